/* test_sample.c - drawing tokens: by probabilities, and against what the header defines, by sorting. */
#include "base/clock.h"
#include "base/maths.h"
#include "base/rng.h"
#include "check.h"
#include "infer/sample.h"
#include <math.h>

static at_ctx ctx;

enum { MANY = 160000 };
static at_pick scratch[2 * MANY];

static int32_t draw(const at_real *logits, int64_t v, const at_sampling *how, uint64_t index) {
    int32_t id = -1;
    OK(at_sample(&ctx, logits, v, how, index, scratch, &id));
    return id;
}

/* ---- probabilities --------------------------------------------------------------------- */

enum { V = 6, DRAWS = 20000 };

/* Draws of many indices against probabilities: none where 0 is expected, the rest by chi-square
   (30 is far beyond chance for at most 5 degrees of freedom). */
static void draws_are(const at_real *logits, const at_sampling *how, const double *expected) {
    int64_t count[V] = {0};
    for (uint64_t i = 0; i < DRAWS; i++) {
        const int32_t id = draw(logits, V, how, i);
        assert_in_range(id, 0, V - 1);
        assert_int_equal(id, draw(logits, V, how, i)); /* a function of its inputs */
        count[id]++;
    }
    double chi = 0;
    for (int k = 0; k < V; k++) {
        const double e = expected[k] * DRAWS, d = (double)count[k] - e;
        if (e == 0 && count[k]) fail_msg("%d was drawn %lld times", k, (long long)count[k]);
        if (e > 0) chi += d * d / e;
    }
    if (!(chi < 30)) fail_msg("chi-square %g", chi);
}

/* softmax(logits / temperature) over the ids of `kept`. */
static void softmax(const at_real *logits, double temperature, const bool *kept, double *p) {
    double sum = 0;
    for (int k = 0; k < V; k++) sum += p[k] = kept[k] ? exp((double)logits[k] / temperature) : 0;
    for (int k = 0; k < V; k++) p[k] /= sum;
}

static const at_real uneven[V] = {0.5f, 2, -1, 2.5f, 2, (at_real)-INFINITY};

static void greedy(void **state) {
    (void)state;
    static const at_real ties[V] = {1, 3, 2, 3, 3, 0};
    for (uint64_t i = 0; i < 50; i++) {
        const at_sampling cold = {.temperature = 0, .top_k = 3, .top_p = 0.5, .seed = i};
        assert_int_equal(draw(ties, V, &cold, i), 1);
        const at_sampling one = {.temperature = 9, .top_k = 1, .top_p = 1, .seed = i};
        assert_int_equal(draw(ties, V, &one, i), 1);
        assert_int_equal(draw(uneven, V, &one, i), 3);
        const at_sampling sharp = {.temperature = 1e-300, .top_p = 1, .seed = i};
        assert_int_equal(draw(uneven, V, &sharp, i), 3);
        const at_sampling little = {.temperature = 1, .top_p = 1e-9, .seed = i};
        assert_int_equal(draw(uneven, V, &little, i), 3);
    }
}

static void temperature(void **state) {
    (void)state;
    static const bool all[V] = {true, true, true, true, true, true};
    double p[V];
    for (double t = 0.5; t <= 4; t *= 2) {
        softmax(uneven, t, all, p);
        draws_are(uneven, &(at_sampling){.temperature = t, .top_p = 1, .seed = 1}, p);
    }
}

/* Of the equal logits of 1 and 4 the lower id is kept. */
static void top_k(void **state) {
    (void)state;
    static const bool two[V] = {false, true, false, true},
                      three[V] = {false, true, false, true, true};
    double p[V];
    softmax(uneven, 1.5, two, p);
    draws_are(uneven, &(at_sampling){.temperature = 1.5, .top_k = 2, .top_p = 1, .seed = 2}, p);
    softmax(uneven, 1.5, three, p);
    draws_are(uneven, &(at_sampling){.temperature = 1.5, .top_k = 3, .top_p = 1, .seed = 2}, p);
    static const bool all[V] = {true, true, true, true, true, true};
    softmax(uneven, 1.5, all, p);
    draws_are(uneven, &(at_sampling){.temperature = 1.5, .top_k = 99, .top_p = 1, .seed = 2}, p);
}

/* The fewest of the most probable ones that reach p together, among those top_k has left. */
static void top_p(void **state) {
    (void)state;
    at_real l[V];
    static const double share[V] = {0.1, 0.4, 0.05, 0.25, 0.15, 0.05};
    for (int k = 0; k < V; k++) l[k] = (at_real)log(share[k]);
    double p[V];
    static const bool two[V] = {false, true, false, true},
                      three[V] = {false, true, false, true, true};
    softmax(l, 1, two, p);
    draws_are(l, &(at_sampling){.temperature = 1, .top_p = 0.6, .seed = 3}, p);
    softmax(l, 1, three, p);
    draws_are(l, &(at_sampling){.temperature = 1, .top_p = 0.7, .seed = 3}, p);
    /* top_k first: of the three left, 0.4 / 0.8 and 0.25 / 0.8 reach 0.75 */
    softmax(l, 1, two, p);
    draws_are(l, &(at_sampling){.temperature = 1, .top_k = 3, .top_p = 0.75, .seed = 3}, p);
}

/* ---- the definition -------------------------------------------------------------------- */

static int descending(const void *a, const void *b) {
    const at_pick *x = a, *y = b;
    if (x->logit != y->logit) return x->logit > y->logit ? -1 : 1;
    return x->id < y->id ? -1 : x->id > y->id;
}

/* The words of sample.h, by sorting. */
static int32_t defined(const at_real *logits, int64_t v, const at_sampling *how, uint64_t index) {
    static at_pick p[MANY];
    for (int32_t i = 0; i < v; i++) p[i] = (at_pick){i, logits[i], 0};
    qsort(p, (size_t)v, sizeof *p, descending);
    double unit = 0x1p52;
    while (unit * (double)v > 0x1p62) unit /= 2;
    int64_t n = how->top_k > 0 && how->top_k < v ? how->top_k : v;
    uint64_t total = 0;
    for (int64_t i = 0; i < n; i++) {
        const double x = ((double)p[i].logit - (double)p[0].logit) / how->temperature;
        total += p[i].weight = (uint64_t)floor(at_exp(x) * unit);
    }
    if (how->top_p > 0 && how->top_p < 1) {
        uint64_t sum = 0;
        int64_t m = 0;
        while ((double)sum < how->top_p * (double)total) sum += p[m++].weight;
        total = sum;
    }
    const double goal = at_uniform(how->seed, AT_STREAM_SAMPLE, index) * (double)total;
    uint64_t sum = 0;
    for (int64_t i = 0;; i++)
        if ((double)(sum += p[i].weight) >= goal) return p[i].id;
}

/* Logits of many shapes: spread out, with many ties, one far above, one far below, all the same,
   nothing but a few, large and small. */
static void shape(at_real *l, int64_t v, int kind, uint64_t seed) {
    for (int64_t i = 0; i < v; i++) {
        const double z = at_normal(seed, AT_STREAM_TEST, (uint64_t)i);
        switch (kind) {
        case 0: l[i] = (at_real)(3 * z); break;
        case 1: l[i] = (at_real)floor(2 * z); break;
        case 2: l[i] = (at_real)(i == v / 3 ? 3e38 : z); break;
        case 3: l[i] = (at_real)(i == v / 3 ? -3e38 : 1e-3 * z); break;
        case 4: l[i] = (at_real)1.25; break;
        case 5: l[i] = z > 1.5 ? (at_real)z : (at_real)-INFINITY; break;
        case 6: l[i] = (at_real)(1e-41 * z); break;
        default: l[i] = (at_real)(1e30 * z * z * z); break;
        }
    }
    l[v / 2] = (at_real)0.5; /* one at least is finite */
}

static void draws_what_is_defined(void **state) {
    (void)state;
    static at_real l[MANY];
    static const int64_t size[] = {1, 2, 33, 700, 5003};
    static const at_sampling how[] = {
        {.temperature = 1, .top_p = 1},
        {.temperature = 0.7, .top_k = 40, .top_p = 1},
        {.temperature = 1.3, .top_k = 500, .top_p = 0.9},
        {.temperature = 1, .top_p = 0.95},
        {.temperature = 1e-3, .top_p = 0.5},
        {.temperature = 1e4, .top_k = 4999, .top_p = 0.999},
        {.temperature = 1e300, .top_p = 1e-9},
        {.temperature = 1, .top_k = 1},
    };
    for (int kind = 0; kind < 8; kind++)
        for (size_t k = 0; k < sizeof size / sizeof *size; k++) {
            shape(l, size[k], kind, 5 + k);
            for (size_t h = 0; h < sizeof how / sizeof *how; h++)
                for (uint64_t i = 0; i < 12; i++) {
                    at_sampling s = how[h];
                    s.seed = i;
                    const int32_t want = defined(l, size[k], &s, i), got = draw(l, size[k], &s, i);
                    if (want != got)
                        fail_msg("kind %d, %d tokens, settings %d, draw %d: %d instead of %d", kind,
                                 (int)size[k], (int)h, (int)i, (int)got, (int)want);
                }
        }
}

/* More tokens than 52 bits of weight leave room for; and what a draw takes, for who asks. */
static void a_large_vocabulary(void **state) {
    (void)state;
    static at_real l[MANY];
    static const at_sampling how[] = {{.temperature = 1, .top_p = 1},
                                      {.temperature = 0.8, .top_k = 40, .top_p = 1},
                                      {.temperature = 1, .top_p = 0.95}};
    static const int64_t size[] = {50257, MANY - 7};
    for (int kind = 0; kind < 5; kind += 4)
        for (int k = 0; k < 2; k++) {
            shape(l, size[k], kind, 77);
            for (size_t h = 0; h < sizeof how / sizeof *how; h++) {
                const double began = at_now();
                int32_t got[8];
                for (uint64_t i = 0; i < 8; i++) got[i] = draw(l, size[k], &how[h], i);
                const double took = (at_now() - began) / 8;
                print_message("%6d tokens, %s, top_k %d, top_p %g: %.2f ms\n", (int)size[k],
                              kind ? "all equal" : "normal", (int)how[h].top_k, how[h].top_p,
                              1e3 * took);
                for (uint64_t i = 0; i < 8; i += 4)
                    assert_int_equal(got[i], defined(l, size[k], &how[h], i));
            }
        }
}

/* ---- what was said ------------------------------------------------------------------------ */

/* Lowered while it is among the last AT_REPEAT_WINDOW, by one factor however often; logits stay. */
static void repeat_penalty(void **state) {
    (void)state;
    const at_real l[V] = {3, 2, 1, 0, 0, 0};
    const at_sampling how = {.repeat_penalty = 4}; /* ln 4 = 1.39 */
    int32_t text[AT_REPEAT_WINDOW + 1] = {0}, id;
    at_chooser h;
    OK(at_chooser_open(&ctx, V, &h));
    for (int i = 1; i <= AT_REPEAT_WINDOW; i++) text[i] = 5;
    OK(at_choose(&ctx, &h, l, &how, text, AT_REPEAT_WINDOW, &id));
    assert_int_equal(id, 1);
    OK(at_choose(&ctx, &h, l, &how, text, AT_REPEAT_WINDOW + 1, &id));
    assert_int_equal(id, 0); /* said too long ago */
    text[1] = text[2] = 0;
    text[3] = 1;
    OK(at_choose(&ctx, &h, l, &how, text, 4, &id));
    assert_int_equal(id, 0); /* 1.61, 0.61, 1: once, not three times */
    OK(at_choose(&ctx, &h, l, &(at_sampling){.repeat_penalty = 1}, text, 4, &id));
    assert_int_equal(id, 0);
    assert_true(l[0] > 2.9f);
    at_chooser_close(&h);
}

/* ---- refusals -------------------------------------------------------------------------- */

static void what_is_not_finite(void **state) {
    (void)state;
    static const at_sampling how[] = {{.temperature = 0},
                                      {.temperature = 1, .top_k = 2, .top_p = 1}};
    for (size_t h = 0; h < 2; h++) {
        at_real l[V] = {1, 2, (at_real)NAN, 3, (at_real)NAN, 0};
        int32_t id = -7;
        assert_int_equal(at_sample(&ctx, l, V, &how[h], 0, scratch, &id), AT_NUMERIC);
        expect_says(&ctx, "token 2 is nan");
        l[2] = 0;
        l[4] = (at_real)INFINITY;
        assert_int_equal(at_sample(&ctx, l, V, &how[h], 0, scratch, &id), AT_NUMERIC);
        expect_says(&ctx, "token 4 is inf");
        for (int i = 0; i < V; i++) l[i] = (at_real)-INFINITY;
        assert_int_equal(at_sample(&ctx, l, V, &how[h], 0, scratch, &id), AT_NUMERIC);
        expect_says(&ctx, "all 6 logits");
        l[3] = -5;
        assert_int_equal(draw(l, V, &how[h], 0), 3);
    }
}

int main(void) {
    at_ctx_init(&ctx, 1);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(greedy),
        cmocka_unit_test(temperature),
        cmocka_unit_test(top_k),
        cmocka_unit_test(top_p),
        cmocka_unit_test(draws_what_is_defined),
        cmocka_unit_test(a_large_vocabulary),
        cmocka_unit_test(repeat_penalty),
        cmocka_unit_test(what_is_not_finite),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
