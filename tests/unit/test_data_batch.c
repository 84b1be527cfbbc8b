/* test_data_batch.c - what a sampler draws: every window once an epoch, a pure function of
   (seed, index), balanced over the domains. */
#include "check.h"
#include "data/batch.h"

/* A data set in memory whose token i is i, so that a window tells its start. */
enum { TOKENS = 1013, CONTEXT = 10 };
static int32_t token[2][TOKENS];
static at_domain domain[2] = {{.name = "a"}, {.name = "b"}};
static at_dataset data = {.path = "memory", .vocab = 5000, .n_domains = 2, .domain = domain};
static at_ctx ctx;

static int setup(void **state) {
    (void)state;
    at_ctx_init(&ctx, 1);
    for (int d = 0; d < 2; d++) {
        for (int32_t i = 0; i < TOKENS; i++) token[d][i] = i + 2000 * d;
        domain[d].shard[AT_TRAIN] = (at_shard){.width = 4, .token = token[d], .n_tokens = TOKENS};
    }
    return 0;
}

static void test_epoch(void **state) {
    (void)state;
    at_sampler s;
    char *only[] = {(char *)"a"};
    assert_int_equal(at_sampler_init(&ctx, &s, &data, only, 1, 7, 1, CONTEXT), AT_OK);
    const int64_t windows = (TOKENS - 1) / CONTEXT - 1; /* 100 */
    int first[3] = {0};
    int64_t same_order = 0;
    int32_t previous[100] = {0};
    for (int64_t epoch = 0; epoch < 3; epoch++) {
        bool seen[TOKENS] = {0};
        int offset = -1;
        for (int64_t i = 0; i < windows; i++) {
            int32_t x[CONTEXT], y[CONTEXT];
            at_sampler_batch(&s, epoch * windows + i, x, y);
            assert_true(x[0] >= 0 && x[0] + CONTEXT < TOKENS);
            for (int j = 0; j < CONTEXT; j++) {
                assert_int_equal(x[j], x[0] + j);
                assert_int_equal(y[j], x[j] + 1);
            }
            assert_false(seen[x[0]]);
            seen[x[0]] = true;
            /* within an epoch all starts share one offset */
            if (offset < 0) offset = x[0] % CONTEXT;
            assert_int_equal(x[0] % CONTEXT, offset);
            same_order += previous[i] / CONTEXT == x[0] / CONTEXT;
            previous[i] = x[0];
        }
        first[epoch] = offset;
    }
    assert_true(first[0] != first[1] || first[1] != first[2]);
    assert_true(same_order < 20); /* by chance about two of 200 agree */
}

static void test_pure(void **state) {
    (void)state;
    at_sampler s, again, other;
    assert_int_equal(at_sampler_init(&ctx, &s, &data, NULL, 0, 7, 4, CONTEXT), AT_OK);
    assert_int_equal(at_sampler_init(&ctx, &again, &data, NULL, 0, 7, 4, CONTEXT), AT_OK);
    assert_int_equal(at_sampler_init(&ctx, &other, &data, NULL, 0, 8, 4, CONTEXT), AT_OK);
    int32_t x[3][4 * CONTEXT], y[4 * CONTEXT];
    at_sampler_batch(&s, 1000000007, x[0], y);
    for (int64_t i = 0; i < 50; i++) at_sampler_batch(&again, i, x[1], y);
    at_sampler_batch(&again, 1000000007, x[1], y);
    at_sampler_batch(&other, 1000000007, x[2], y);
    assert_memory_equal(x[0], x[1], sizeof x[0]);
    assert_memory_not_equal(x[0], x[2], sizeof x[0]);
}

static void test_balanced(void **state) {
    (void)state;
    at_sampler s;
    assert_int_equal(at_sampler_init(&ctx, &s, &data, NULL, 0, 1, 3, CONTEXT), AT_OK);
    int count[2] = {0};
    for (int64_t i = 0; i < 10; i++) {
        int32_t x[3 * CONTEXT], y[3 * CONTEXT];
        at_sampler_batch(&s, i, x, y);
        for (int b = 0; b < 3; b++) count[x[b * CONTEXT] >= 2000]++;
    }
    assert_int_equal(count[0], 15);
    assert_int_equal(count[1], 15);
}

/* Turns by weights: whole rounds have exact shares, spread out; each domain's windows come in the
   order they have when it is read alone; equal weights are no weights. */
static void test_weights(void **state) {
    (void)state;
    at_sampler s, alone, plain;
    char *a[] = {(char *)"a"};
    assert_int_equal(at_sampler_init(&ctx, &s, &data, NULL, 0, 3, 1, CONTEXT), AT_OK);
    assert_int_equal(at_sampler_init(&ctx, &alone, &data, a, 1, 3, 1, CONTEXT), AT_OK);
    assert_int_equal(at_sampler_init(&ctx, &plain, &data, NULL, 0, 3, 1, CONTEXT), AT_OK);
    assert_int_equal(at_sampler_weigh(&ctx, &s, (const int64_t[]){30, 20}, 2), AT_OK);
    const char *order = "ababaababaababa"; /* credits 3 2, 1 4, 4 1, 2 3, 5 0 */
    int64_t of_a = 0;
    int32_t x[CONTEXT], y[CONTEXT], z[CONTEXT];
    for (int64_t i = 0; order[i]; i++) {
        at_sampler_batch(&s, i, x, y);
        assert_int_equal(x[0] >= 2000, order[i] == 'b');
        if (order[i] == 'b') continue;
        at_sampler_batch(&alone, of_a++, z, y);
        assert_memory_equal(x, z, sizeof x);
    }
    assert_int_equal(at_sampler_weigh(&ctx, &s, (const int64_t[]){7, 7}, 2), AT_OK);
    for (int64_t i = 0; i < 12; i++) {
        at_sampler_batch(&s, i, x, y);
        at_sampler_batch(&plain, i, z, y);
        assert_memory_equal(x, z, sizeof x);
    }
    assert_int_equal(at_sampler_weigh(&ctx, &s, (const int64_t[]){1}, 1), AT_CONFIG);
    expect_says(&ctx, "data.weights: expected 2, one for each domain, found 1");
    assert_int_equal(at_sampler_weigh(&ctx, &s, (const int64_t[]){1, 0}, 2), AT_CONFIG);
    expect_says(&ctx, "at least 1, found 0");
    assert_int_equal(at_sampler_weigh(&ctx, &s, (const int64_t[]){999, 2}, 2), AT_CONFIG);
    expect_says(&ctx, "common factor, 1, they add up to more than 1000");
    assert_int_equal(at_sampler_weigh(&ctx, &s, (const int64_t[]){999000000, 1000000}, 2), AT_OK);
}

/* Turns of steps: all of a step is of one domain, whose windows are those it reads alone. */
static void test_turns(void **state) {
    (void)state;
    enum { N = 2 * CONTEXT, ACCUMULATE = 3 };
    at_sampler s, alone[2];
    char *a[] = {(char *)"a"}, *b[] = {(char *)"b"};
    assert_int_equal(at_sampler_init(&ctx, &s, &data, NULL, 0, 3, 2, CONTEXT), AT_OK);
    assert_int_equal(at_sampler_init(&ctx, &alone[0], &data, a, 1, 3, 2, CONTEXT), AT_OK);
    assert_int_equal(at_sampler_init(&ctx, &alone[1], &data, b, 1, 3, 2, CONTEXT), AT_OK);
    assert_int_equal(at_sampler_weigh(&ctx, &s, (const int64_t[]){2, 1}, 2), AT_OK);
    assert_int_equal(at_sampler_turn(&s, 4), -1);
    assert_int_equal(at_sampler_steps_before(&s, 5), 5);
    at_sampler_turns(&s, ACCUMULATE);
    const char *order = "abaabaaba";
    int64_t had[2] = {0};
    for (int64_t step = 0; order[step]; step++) {
        const int who = order[step] == 'b';
        assert_int_equal(at_sampler_steps_before(&s, step), had[who]);
        for (int64_t i = 0; i < ACCUMULATE; i++) {
            int32_t x[N], y[N], z[N];
            assert_int_equal(at_sampler_turn(&s, step * ACCUMULATE + i), who);
            at_sampler_batch(&s, step * ACCUMULATE + i, x, y);
            at_sampler_batch(&alone[who], had[who] * ACCUMULATE + i, z, y);
            assert_memory_equal(x, z, sizeof x);
        }
        had[who]++;
    }
}

/* The windows drawn from a domain do not depend on the other domains in use: an expert sees what
   the teacher saw. */
static void test_independent(void **state) {
    (void)state;
    at_sampler both, alone;
    char *b[] = {(char *)"b"};
    assert_int_equal(at_sampler_init(&ctx, &both, &data, NULL, 0, 3, 2, CONTEXT), AT_OK);
    assert_int_equal(at_sampler_init(&ctx, &alone, &data, b, 1, 3, 1, CONTEXT), AT_OK);
    for (int64_t i = 0; i < 20; i++) {
        int32_t x[2 * CONTEXT], z[CONTEXT], y[2 * CONTEXT];
        at_sampler_batch(&both, i, x, y);
        at_sampler_batch(&alone, i, z, y);
        assert_memory_equal(x + CONTEXT, z, sizeof z);
    }
}

/* The shortest shards: exactly one window, and every offset stays inside. */
static void test_short(void **state) {
    (void)state;
    at_domain d = {.name = "short"};
    at_dataset set = {.path = "memory", .vocab = 5000, .n_domains = 1, .domain = &d};
    for (int64_t n = CONTEXT + 1; n < 5 * CONTEXT; n++) {
        d.shard[AT_TRAIN] = (at_shard){.width = 4, .token = token[0], .n_tokens = n};
        at_sampler s;
        assert_int_equal(at_sampler_init(&ctx, &s, &set, NULL, 0, 3, 1, CONTEXT), AT_OK);
        for (int64_t i = 0; i < 40; i++) {
            int32_t x[CONTEXT], y[CONTEXT];
            at_sampler_batch(&s, i, x, y);
            assert_in_range(x[0], 0, n - 1 - CONTEXT);
            assert_int_equal(y[CONTEXT - 1], x[0] + CONTEXT);
        }
    }
}

/* Consecutive windows: all windows of a stretch, then those of another one; stretches of an epoch
   do not overlap; micro-batches are parts of a larger batch. */
static void test_walk(void **state) {
    (void)state;
    enum { LANES = 12, STRETCH = 5, STEPS = 60, EPOCH = (TOKENS - 1) / (STRETCH * CONTEXT) - 1 };
    at_sampler s, large;
    assert_int_equal(at_sampler_init(&ctx, &s, &data, NULL, 0, 7, 4, CONTEXT), AT_OK);
    assert_int_equal(at_sampler_init(&ctx, &large, &data, NULL, 0, 7, LANES, CONTEXT), AT_OK);
    assert_int_equal(at_sampler_windows_before(&s, 5, 1), 0); /* windows are drawn */
    assert_int_equal(at_sampler_consecutive(&ctx, &s, 3, STRETCH), AT_OK);
    assert_int_equal(at_sampler_consecutive(&ctx, &large, 1, STRETCH), AT_OK);
    int32_t last[LANES], begin[2][STEPS * LANES / STRETCH];
    int begun[2] = {0}, at_once = 0;
    for (int64_t step = 0; step < STEPS; step++) {
        int32_t x[LANES * CONTEXT], y[LANES * CONTEXT], z[LANES * CONTEXT], w[LANES * CONTEXT];
        for (int64_t i = 0; i < 3; i++)
            at_sampler_batch(&s, 3 * step + i, x + i * 4 * CONTEXT, y + i * 4 * CONTEXT);
        at_sampler_batch(&large, step, z, w);
        assert_memory_equal(x, z, sizeof x);
        assert_memory_equal(y, w, sizeof y);
        int fresh = 0;
        for (int lane = 0; lane < LANES; lane++) {
            const int32_t *v = x + lane * CONTEXT;
            const int d = v[0] >= 2000;
            const int64_t walked = at_sampler_windows_before(&s, 3 * step + lane / 4, lane % 4);
            assert_int_equal(walked, at_sampler_windows_before(&large, step, lane));
            assert_int_equal(d, lane % 2);
            assert_in_range(walked, 0, step < STRETCH ? step : STRETCH - 1);
            if (walked)
                assert_int_equal(v[0], last[lane] + CONTEXT);
            else if (step)
                begin[d][begun[d]++] = v[0];
            fresh += !walked;
            last[lane] = v[0];
            for (int j = 0; j < CONTEXT; j++) {
                assert_int_equal(v[j], v[0] + j);
                assert_int_equal(y[lane * CONTEXT + j], v[j] + 1);
                assert_true(v[j] - 2000 * d < TOKENS - 1);
            }
        }
        if (step && fresh > at_once) at_once = fresh;
    }
    assert_true(at_once <= LANES / STRETCH + 1);
    for (int d = 0; d < 2; d++) { /* an epoch that is whole: from its second stretch of lanes on */
        assert_true(begun[d] >= 3 * EPOCH);
        int64_t near = 0;
        for (int i = 0; i < begun[d]; i++)
            for (int j = 0; j < i; j++) near += abs(begin[d][i] - begin[d][j]) < STRETCH * CONTEXT;
        assert_true(near <
                    begun[d] * 6); /* the same place once an epoch, of 4, and its neighbours */
    }
}

static void test_walk_refuses(void **state) {
    (void)state;
    at_sampler s;
    assert_int_equal(at_sampler_init(&ctx, &s, &data, NULL, 0, 7, 3, CONTEXT), AT_OK);
    assert_int_equal(at_sampler_consecutive(&ctx, &s, 1, 1000), AT_OK);
    assert_int_equal(s.stretch, 101); /* what fits */
    assert_int_equal(at_sampler_init(&ctx, &s, &data, NULL, 0, 7, 3, 600), AT_OK);
    assert_int_equal(at_sampler_consecutive(&ctx, &s, 1, 4), AT_CONFIG);
    expect_says(&ctx, "domain \"a\": expected more than 1200 training tokens");
    expect_says(&ctx, "found 1013");
}

static void test_refuses(void **state) {
    (void)state;
    at_sampler s;
    char *none[] = {(char *)"zz"};
    assert_int_equal(at_sampler_init(&ctx, &s, &data, none, 1, 1, 1, 4), AT_CONFIG);
    expect_says(&ctx, "no domain \"zz\"");
    assert_int_equal(at_sampler_init(&ctx, &s, &data, NULL, 0, 1, 1, TOKENS), AT_CONFIG);
    expect_says(&ctx, "domain \"a\"");
    expect_says(&ctx, "found 1013");
    assert_int_equal(at_sampler_init(&ctx, &s, &data, NULL, 0, 1, 0, 4), AT_ARG);
    assert_int_equal(at_sampler_init(&ctx, &s, &data, NULL, 0, 1, 1, 0), AT_ARG);
}

static void test_eval_windows(void **state) {
    (void)state;
    at_shard s = {.width = 4, .token = token[0], .n_tokens = TOKENS};
    assert_int_equal(at_eval_windows(&s, 10, 0), 102);
    int64_t start, n, targets = 0;
    for (int64_t i = 0; i < 102; i++) {
        at_eval_window(&s, 10, 0, i, &start, &n);
        assert_int_equal(start, 10 * i);
        assert_true(start + n <= TOKENS);
        targets += n - 1;
    }
    assert_int_equal(targets, TOKENS - 1); /* every token but the first predicted once */
    assert_int_equal(n, 3);
    assert_int_equal(at_eval_windows(&s, 10, 5), 5);
    int64_t previous = -1;
    for (int64_t i = 0; i < 5; i++) {
        at_eval_window(&s, 10, 5, i, &start, &n);
        assert_true(start > previous && start % 10 == 0);
        assert_int_equal(n, 11);
        previous = start;
    }
    assert_true(previous > TOKENS / 2);
    s.n_tokens = 1;
    assert_int_equal(at_eval_windows(&s, 10, 0), 0);
    s.n_tokens = 2;
    assert_int_equal(at_eval_windows(&s, 10, 0), 1);
    at_eval_window(&s, 10, 0, 0, &start, &n);
    assert_int_equal(n, 2);
    s.n_tokens = 12;
    assert_int_equal(at_eval_windows(&s, 10, 0), 2);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_epoch),        cmocka_unit_test(test_pure),
        cmocka_unit_test(test_balanced),     cmocka_unit_test(test_weights),
        cmocka_unit_test(test_independent),  cmocka_unit_test(test_short),
        cmocka_unit_test(test_refuses),      cmocka_unit_test(test_walk),
        cmocka_unit_test(test_turns),        cmocka_unit_test(test_walk_refuses),
        cmocka_unit_test(test_eval_windows),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
