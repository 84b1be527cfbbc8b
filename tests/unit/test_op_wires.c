/* test_op_wires.c - faults of operations that gradient checks do not notice, since forward and
   backward agree: which values dropout takes, which divergence is which, the size of each loss. */
#include "base/rng.h"
#include "check.h"
#include "op/op.h"
#include "op/softmax_row.h"
#include <math.h>

static at_ctx ctx;
static at_compute cp;
static at_arena arena;
static at_run run;

static int setup(void **state) {
    (void)state;
    at_ctx_init(&ctx, 2);
    OK(at_compute_open(&cp, &ctx));
    at_arena_init(&arena, &ctx);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    at_arena_close(&arena);
    at_compute_close(&cp);
    return 0;
}

static void fresh(bool train, uint64_t seed) {
    at_arena_rewind(&arena, (at_mark){0});
    at_run_init(&run, &cp, &arena, train, seed);
}

static at_tensor *filled(int64_t rows, int64_t cols, at_real value) {
    at_tensor *t = at_new2(&run, rows, cols);
    assert_non_null(t);
    for (int64_t i = 0; i < rows * cols; i++) t->data[i] = value;
    return t;
}

static void near(double got, double expected, const char *what) {
    if (!(fabs(got - expected) < 1e-5 * fmax(1, fabs(expected))))
        fail_msg("%s: %.9g, expected %.9g", what, got, expected);
}

/* ---- dropout ---- */

enum { MANY = 100000 };

/* Share of the indices where x is dropped and y, at index + shift, is dropped, too. */
static double together(const at_real *x, const at_real *y, int64_t shift) {
    int64_t n = 0;
    for (int64_t i = 0; i + shift < MANY; i++) n += !(x[i] > 0) && !(y[i + shift] > 0);
    return (double)n / MANY;
}

/* With p = 1/2, of any kind of pairs a quarter is dropped. */
static void every_value_is_dropped_for_itself(void **state) {
    (void)state;
    fresh(true, 1);
    at_tensor *x = filled(1, MANY, 1), *a = at_dropout(&run, x, 0.5), *b = at_dropout(&run, x, 0.5);
    assert_non_null(b);
    for (int64_t shift = 1; shift < 9; shift++)
        assert_true(fabs(together(a->data, a->data, shift) - 0.25) < 0.01);
    assert_true(fabs(together(a->data, b->data, 0) - 0.25) < 0.01); /* the next dropout of a run */
    at_real *first = malloc(MANY * sizeof *first);
    assert_non_null(first);
    memcpy(first, a->data, MANY * sizeof *first);
    fresh(true, 2); /* another run */
    at_tensor *c = at_dropout(&run, filled(1, MANY, 1), 0.5);
    assert_true(fabs(together(first, c->data, 0) - 0.25) < 0.01);
    fresh(true, 1);
    at_tensor *d = at_dropout(&run, filled(1, MANY, 1), 0.5);
    assert_memory_equal(first, d->data, MANY * sizeof *first);
    free(first);
}

static void nothing_is_dropped_outside_training(void **state) {
    (void)state;
    fresh(false, 1);
    at_tensor *x = filled(2, 50, 1);
    assert_ptr_equal(at_dropout(&run, x, 0.5), x);
    for (int i = 0; i < 100; i++) near((double)x->data[i], 1, "untouched");
}

/* ---- norms ---- */

static void rms_norm_by_hand(void **state) {
    (void)state;
    enum { ROWS = 3, WIDTH = 7 };
    fresh(false, 0);
    at_tensor *x = filled(ROWS, WIDTH, 0), *g = filled(1, WIDTH, 0);
    g->rank = 1;
    g->dim[0] = WIDTH;
    for (int i = 0; i < ROWS * WIDTH; i++) x->data[i] = (at_real)(i % 5 - 1.5);
    for (int i = 0; i < WIDTH; i++) g->data[i] = (at_real)(1 + i);
    const at_tensor *y = at_rmsnorm(&run, x, g, 0.5);
    assert_non_null(y);
    for (int r = 0; r < ROWS; r++) {
        const at_real *row = x->data + r * WIDTH;
        double sum = 0;
        for (int i = 0; i < WIDTH; i++) sum += (double)(row[i] * row[i]);
        for (int i = 0; i < WIDTH; i++)
            near((double)y->data[r * WIDTH + i], (1 + i) * (double)row[i] / sqrt(sum / WIDTH + 0.5),
                 "norm");
    }
}

/* ---- divergences ---- */

enum { V = 5 };
static double kd(at_kd_kind kind, double tau, double skew, const at_real *s, const at_real *z,
                 at_real *ds) {
    at_real tmp[2 * V];
    memset(ds, 0, V * sizeof *ds);
    return at_row_kd(&cp.k, V, &(at_kd){kind, tau, skew, AT_TOKENS_ALIKE}, s, z, tmp, 1, ds);
}

static void divergences_by_hand(void **state) {
    (void)state;
    static const at_real s[V] = {1, -2, 0.5f, 3, 0}, z[V] = {0, 1, 2, -1, 0.25f};
    const double tau = 2.5;
    double p[V], q[V], sp = 0, sq = 0, forward = 0, reverse = 0;
    for (int i = 0; i < V; i++) {
        sp += p[i] = exp((double)s[i] / tau);
        sq += q[i] = exp((double)z[i] / tau);
    }
    for (int i = 0; i < V; i++) {
        p[i] /= sp; /* the student */
        q[i] /= sq; /* the teacher */
        forward += q[i] * log(q[i] / p[i]);
        reverse += p[i] * log(p[i] / q[i]);
    }
    at_real ds[V];
    near(kd(AT_KD_FORWARD, tau, 0, s, z, ds), tau * tau * forward, "forward");
    for (int i = 0; i < V; i++) near((double)ds[i], tau * (p[i] - q[i]), "slope of forward");
    near(kd(AT_KD_REVERSE, tau, 0, s, z, ds), tau * tau * reverse, "reverse");
    for (int i = 0; i < V; i++)
        near((double)ds[i], tau * p[i] * (log(p[i] / q[i]) - reverse), "slope of reverse");

    const double a = 0.2; /* one that is not its own complement */
    double soft = 0, js = 0, half = 0, skew = 0, overlap = 0, back = 0, weight = 0;
    for (int i = 0; i < V; i++) {
        const double m = (p[i] + q[i]) / 2, mq = a * q[i] + (1 - a) * p[i],
                     mp = a * p[i] + (1 - a) * q[i];
        soft -= q[i] * log(p[i]);
        half += p[i] * log(p[i] / m);
        js += (p[i] * log(p[i] / m) + q[i] * log(q[i] / m)) / 2;
        skew += q[i] * log(q[i] / mq);
        overlap += p[i] * q[i] / mq;
        back += p[i] * log(p[i] / mp);
        weight += p[i] * p[i] / mp;
    }
    near(kd(AT_KD_SOFT, tau, 0, s, z, ds), tau * tau * soft, "soft");
    for (int i = 0; i < V; i++) near((double)ds[i], tau * (p[i] - q[i]), "slope of soft");
    near(kd(AT_KD_JS, tau, 0, s, z, ds), tau * tau * js, "js");
    for (int i = 0; i < V; i++)
        near((double)ds[i], tau / 2 * p[i] * (log(2 * p[i] / (p[i] + q[i])) - half), "slope of js");
    near(kd(AT_KD_SKEW, tau, a, s, z, ds), tau * tau * skew, "skew");
    for (int i = 0; i < V; i++)
        near((double)ds[i], tau * (1 - a) * p[i] * (overlap - q[i] / (a * q[i] + (1 - a) * p[i])),
             "slope of skew");
    near(kd(AT_KD_SKEW_REVERSE, tau, a, s, z, ds), tau * tau * back, "skewed reverse");
    for (int i = 0; i < V; i++) {
        const double ratio = p[i] / (a * p[i] + (1 - a) * q[i]);
        near((double)ds[i], tau * p[i] * (log(ratio) - back - a * (ratio - weight)),
             "slope of skewed reverse");
    }
}

static void divergences_that_are_the_same(void **state) {
    (void)state;
    static const at_real s[V] = {1, -2, 0.5f, 3, 0}, z[V] = {0, 1, 2, -1, 0.25f};
    static const at_kd_kind pair[][2] = {{AT_KD_SKEW, AT_KD_FORWARD},
                                         {AT_KD_SKEW_REVERSE, AT_KD_REVERSE}};
    at_real d[V], e[V];
    for (int i = 0; i < 2; i++) { /* nothing is mixed in */
        assert_true(kd(pair[i][0], 1.5, 0, s, z, d) == kd(pair[i][1], 1.5, 0, s, z, e));
        assert_memory_equal(d, e, sizeof d);
    }
    const double entropy = kd(AT_KD_SOFT, 1.5, 0, z, z, d);
    near(kd(AT_KD_SOFT, 1.5, 0, s, z, d) - entropy, kd(AT_KD_FORWARD, 1.5, 0, s, z, e), "soft");
    assert_memory_equal(d, e, sizeof d);
    assert_true(kd(AT_KD_JS, 1.5, 0, s, z, d) == kd(AT_KD_JS, 1.5, 0, z, s, e));
}

/* Where one row leaves nothing of what the other is sure of. */
static void divergences_from_mixtures_are_bounded(void **state) {
    (void)state;
    static const at_real s[V] = {900, -900, 0, 0, 0}, z[V] = {-900, 900, 0, 0, 0};
    static const at_real far[V] = {-900, -900, -900, 0, 0};
    at_real ds[V];
    near(kd(AT_KD_JS, 2, 0, s, z, ds), 4 * log(2), "js");
    for (int i = 0; i < V; i++) near((double)ds[i], 0, "slope of js");
    near(kd(AT_KD_SKEW, 2, 0.1, s, z, ds), 4 * log(10), "skew");
    for (int i = 0; i < V; i++) near((double)ds[i], 0, "slope of skew");
    near(kd(AT_KD_SKEW_REVERSE, 2, 0.1, s, z, ds), 4 * log(10), "skewed reverse");
    for (int i = 0; i < V; i++) near((double)ds[i], 0, "slope of skewed reverse");
    for (int kind = AT_KD_JS; kind < AT_KD_KINDS; kind++) {
        near(kd((at_kd_kind)kind, 1, 0.1, far, far, ds), 0, "of itself");
        for (int i = 0; i < V; i++) near((double)ds[i], 0, "slope of itself");
    }
}

static void numbers_of_a_divergence_are_checked(void **state) {
    (void)state;
    static const at_kd bad[] = {{AT_KD_JS, 0, 0, AT_TOKENS_ALIKE},
                                {AT_KD_SKEW, 1, 1, AT_TOKENS_ALIKE},
                                {AT_KD_SKEW, 1, -0.1, AT_TOKENS_ALIKE},
                                {AT_KD_JS, 1, 0, AT_TOKEN_TEACHER}};
    static const char *const says[] = {"temperature 0", "skew 1", "skew -0.1", "weighed by labels"};
    for (int i = 0; i < 4; i++) {
        fresh(false, 0);
        at_tensor *s = filled(2, 3, 0), *t = filled(2, 3, 1);
        assert_null(at_distill(&run, s, t, &bad[i]));
        assert_int_equal(at_run_status(&run), AT_ARG);
        expect_says(&ctx, says[i]);
    }
}

/* ---- labels ---- */

static void labels_outside_are_refused_and_skipped_ones_left_out(void **state) {
    (void)state;
    fresh(false, 0);
    at_tensor *l = filled(3, 4, 0);
    for (int i = 8; i < 12; i++) l->data[i] = (at_real)(i - 8);
    static const int32_t skipped[3] = {2, -1, -1}, outside[3] = {0, 4, 0};
    at_tensor *x = at_xent(&run, l, skipped);
    assert_non_null(x);
    near((double)x->data[0], log(4), "mean over one label");
    assert_null(at_xent(&run, l, outside));
    assert_int_equal(at_run_status(&run), AT_ARG);
    expect_says(&ctx, "label 4 at position 1");
}

/* ---- losses of routers ---- */

enum { E = 4, N = 6 };

/* Every token as sure of expert i % 2 as `sure` says: the load of two of four experts. */
static at_tensor *logits_of(at_real sure) {
    at_tensor *l = filled(N, E, 0);
    for (int i = 0; i < N; i++) l->data[i * E + i % 2] = sure;
    return l;
}

static void losses_of_routers_by_hand(void **state) {
    (void)state;
    at_routing ro;
    fresh(false, 0);
    at_tensor *even = filled(N, E, 0); /* the first of equals: all slots at expert 0 */
    assert_non_null(at_route(&run, even, 1, false, &ro));
    near((double)at_mutual_info(&run, even, &ro, NULL)->data[0], 0, "mutual information, even");
    near((double)at_load_concentration(&run, even, &ro, NULL)->data[0], log(E), "load, even");
    near((double)at_switch_balance(&run, even, &ro, NULL)->data[0], 1, "balance, even");
    near((double)at_zloss(&run, even, &ro)->data[0], log(E) * log(E), "z, even");

    at_tensor *sure = logits_of(40); /* p is 1 where the token goes, half of them at each of two */
    assert_non_null(at_route(&run, sure, 1, false, &ro));
    near((double)at_mutual_info(&run, sure, &ro, NULL)->data[0], -log(2), "mutual information");
    near((double)at_load_concentration(&run, sure, &ro, NULL)->data[0], log(2), "load");
    near((double)at_switch_balance(&run, sure, &ro, NULL)->data[0], E * 0.5, "balance");
    near((double)at_zloss(&run, sure, &ro)->data[0], 1600, "z");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_value_is_dropped_for_itself),
        cmocka_unit_test(nothing_is_dropped_outside_training),
        cmocka_unit_test(rms_norm_by_hand),
        cmocka_unit_test(divergences_by_hand),
        cmocka_unit_test(divergences_that_are_the_same),
        cmocka_unit_test(divergences_from_mixtures_are_bounded),
        cmocka_unit_test(numbers_of_a_divergence_are_checked),
        cmocka_unit_test(labels_outside_are_refused_and_skipped_ones_left_out),
        cmocka_unit_test(losses_of_routers_by_hand),
    };
    return cmocka_run_group_tests_name("op_wires", tests, setup, teardown);
}
