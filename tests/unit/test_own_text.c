/*
 * test_own_text.c - text that a student writes: the given tokens stay, a sequence has the same draws
 * in whatever batch, with any number of threads; what is said of it is about the written tokens.
 */
#include "base/rng.h"
#include "check.h"
#include "conf/conf.h"
#include "train/own_text.h"
#include <math.h>

enum { V = 60, T = 24, B = 5 };

static at_ctx ctx;

static at_model *model_of(const char *yaml) {
    at_conf *f = NULL;
    at_model *m = NULL;
    OK(at_conf_parse(&ctx, "recipe.yaml", yaml, strlen(yaml), &f));
    OK(at_model_new(&ctx, f, "model", V, 3, &m));
    at_conf_close(f);
    return m;
}

static const char *const models[] = {
    "model: {arch: gpt2, n_layer: 2, n_embd: 16, n_head: 2, n_positions: 24, resid_pdrop: 0.5, "
    "initializer_range: 0.4}\n",
    "model: {arch: moduleformer, n_layer: 1, n_embd: 16, att_hidden: 16, ffd_hidden: 16, "
    "n_att_experts: 3, n_mlp_experts: 4, gating_size: 4, initializer_range: 0.4}\n"};

static void begin(int32_t *ids) {
    for (int i = 0; i < B * T; i++) ids[i] = (int32_t)(i * 7 % V);
}

static void writes(void **state) {
    (void)state;
    static const int64_t prompts[] = {1, 3, 9, T - 1};
    for (size_t k = 0; k < 2; k++) {
        at_model *m = model_of(models[k]);
        for (size_t p = 0; p < 4; p++) {
            const int64_t prompt = prompts[p];
            int32_t given[B * T], first[B * T], ids[B * T];
            begin(given);
            for (int threads = 1; threads <= 3; threads++) {
                at_ctx c;
                at_compute cp;
                at_ctx_init(&c, threads);
                if (at_compute_open(&cp, &c) != AT_OK) fail_msg("%s", c.message);
                begin(ids);
                if (at_own_text_write(&cp, m, 5, 70, B, T, prompt, ids) != AT_OK)
                    fail_msg("%s", c.message);
                if (threads == 1) memcpy(first, ids, sizeof ids);
                assert_memory_equal(first, ids, sizeof ids);
                begin(ids); /* the third alone, of which the others know nothing */
                if (at_own_text_write(&cp, m, 5, 72, 1, T, prompt, ids + 2 * T) != AT_OK)
                    fail_msg("%s", c.message);
                assert_memory_equal(first + (size_t)2 * T, ids + (size_t)2 * T, T * sizeof *ids);
                at_compute_close(&cp);
            }
            int same = 0;
            for (int b = 0; b < B; b++)
                for (int t = 0; t < T; t++) {
                    const int i = b * T + t;
                    assert_true(first[i] >= 0 && first[i] < V);
                    if (t < prompt) assert_int_equal(first[i], given[i]);
                    if (t >= prompt) same += first[i] == given[i];
                }
            assert_true(same < B * (T - prompt));
        }
        at_model_close(m);
    }
}

/* Draws follow the model's probabilities, and differ by seed and number. */
static void draws(void **state) {
    (void)state;
    at_compute cp;
    int count[V] = {0}, n = 0;
    at_model *m = model_of(models[0]);
    OK(at_compute_open(&cp, &ctx));
    int32_t ids[200 * 2] = {0};
    for (uint64_t seed = 0; seed < 10; seed++) {
        for (int b = 0; b < 200; b++) ids[2 * b] = 4;
        OK(at_own_text_write(&cp, m, seed, 1000, 200, 2, 1, ids));
        for (int b = 0; b < 200; b++, n++) count[ids[2 * b + 1]]++;
    }
    at_arena arena;
    at_run r;
    at_arena_init(&arena, &ctx);
    at_run_init(&r, &cp, &arena, false, 0);
    const int32_t one = 4;
    const at_input in = {.ids = &one, .B = 1, .T = 1};
    at_tensor *z = at_linear(&r, at_model_hidden(m, &r, &in, NULL), at_model_head(m), NULL);
    double sum = 0, chi = 0;
    for (int j = 0; j < V; j++) sum += exp((double)z->data[j]);
    for (int j = 0; j < V; j++) {
        const double want = n * exp((double)z->data[j]) / sum;
        chi += (count[j] - want) * (count[j] - want) / want;
    }
    assert_true(chi < 120 && chi > 20); /* 59 degrees of freedom */
    at_arena_close(&arena);
    at_model_close(m);
    at_compute_close(&cp);
}

static void rows(void **state) {
    (void)state;
    at_compute cp;
    at_arena arena;
    at_run r;
    OK(at_compute_open(&cp, &ctx));
    at_arena_init(&arena, &ctx);
    at_run_init(&r, &cp, &arena, true, 0);
    int32_t ids[12], label[12];
    int64_t second[12];
    for (int i = 0; i < 12; i++) {
        ids[i] = i;
        second[i] = i < 6 ? -1 : i - 6;
    }
    at_tensor *x = at_new2(&r, 12, 4);
    const at_head_teacher two[2] = {{.x = x, .w = x, .weight = 2}, {.x = x, .w = x, .row = second}};
    at_head_spec s = {.label = label, .teacher = two, .n_teachers = 2};
    at_own_text_rows(&r, 2, 6, 2, ids, label, &s);
    assert_true(s.n_teachers == 2 && s.teacher[0].weight == 2);
    for (int i = 0; i < 12; i++) {
        const bool written = i % 6 >= 1 && i % 6 < 5;
        assert_int_equal(label[i], written ? i + 1 : -1);
        assert_int_equal(s.teacher[0].row[i], written ? i : -1);
        assert_int_equal(s.teacher[1].row[i], written && i >= 6 ? i - 6 : -1);
    }
    at_head_spec live = {.label = label, .teacher_x = x, .teacher_w = x};
    at_own_text_rows(&r, 2, 6, 2, ids, label, &live);
    assert_true(!live.teacher_x && live.n_teachers == 1 && live.teacher[0].x == x);
    at_arena_close(&arena);
    at_compute_close(&cp);
}

static void share(void **state) {
    (void)state;
    int n = 0, again = 0;
    for (int64_t step = 0; step < 4000; step++) {
        n += at_own_text_step(9, 0.25, step);
        again += at_own_text_step(9, 0.25, step) == at_own_text_step(10, 0.25, step);
        assert_false(at_own_text_step(9, 0, step));
        assert_true(at_own_text_step(9, 1, step));
    }
    assert_true(abs(n - 1000) < 120 && again < 3000);
}

int main(void) {
    at_ctx_init(&ctx, 2);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes),
        cmocka_unit_test(draws),
        cmocka_unit_test(rows),
        cmocka_unit_test(share),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
