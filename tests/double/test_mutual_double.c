/*
 * test_mutual_double.c - mutual distillation: what its forms come to by their definitions, in plain
 * loops over all pairs, and the identities between them.
 *
 * Gradients of what is not detached are rows of op_rows.h.  Here teachers and gates are held fixed while
 * an output moves, which a central difference of the op itself could not do.
 */
#include "base/rng.h"
#include "check.h"
#include "op/op.h"
#include <math.h>
#include <string.h>

enum { N = 4, C = 5, KS = 4 };
static at_ctx ctx;
static at_compute cp;
static at_arena arena;

typedef struct {
    at_tensor x, g;
    at_real xv[N * KS * C], gv[N * KS], dx[N * KS * C], dg[N * KS];
    int k;
} inputs;

static void draw(inputs *in, int k) {
    in->k = k;
    in->x = (at_tensor){.data = in->xv, .grad = in->dx, .dim = {N, k, C}, .rank = 3};
    in->g = (at_tensor){.data = in->gv, .grad = in->dg, .dim = {N, k}, .rank = 2};
    in->x.need_grad = in->x.keep_grad = in->g.need_grad = in->g.keep_grad = true;
    for (int i = 0; i < N * k * C; i++)
        in->xv[i] = (at_real)at_normal(3, AT_STREAM_TEST, (uint64_t)i);
    for (int i = 0; i < N * k; i++)
        in->gv[i] = (at_real)(0.05 + at_uniform(4, AT_STREAM_TEST, (uint64_t)i));
}

/* The loss, and its gradients in dx and dg. */
static double value(inputs *in, const at_mutual *how) {
    const at_mark m = at_arena_mark(&arena);
    at_run r;
    memset(in->dx, 0, sizeof in->dx);
    memset(in->dg, 0, sizeof in->dg);
    at_run_init(&r, &cp, &arena, true, 1);
    at_tensor *y = at_mutual_distill(&r, &in->x, &in->g, how);
    if (!y) fail_msg("%s", r.message);
    assert_int_equal(at_backward(&r, y, 1), AT_OK);
    const double v = (double)y->data[0];
    at_arena_rewind(&arena, m);
    return v;
}

static double at(const inputs *in, int n, int j, int c) {
    return (double)in->xv[(n * in->k + j) * C + c];
}

static void near(double found, double expected, const char *what) {
    if (!(fabs(found - expected) <= 1e-12 * (1 + fabs(expected))))
        fail_msg("%s: expected %.15g, found %.15g", what, expected, found);
}

/* Mean over tokens and ordered pairs of the mean square. */
static double pairs(const inputs *in) {
    double sum = 0;
    for (int n = 0; n < N; n++)
        for (int i = 0; i < in->k; i++)
            for (int j = 0; j < in->k; j++)
                for (int c = 0; c < C; c++) sum += pow(at(in, n, i, c) - at(in, n, j, c), 2);
    return sum / (N * C * in->k * (in->k - 1));
}

static void variance_is_the_pairs(void **state) {
    (void)state;
    inputs in;
    for (int k = 2; k <= KS; k++) {
        draw(&in, k);
        const double kappa = k == 2 ? 4 : 1, v = value(&in, &(at_mutual){0}) / kappa;
        near(2.0 * k / (k - 1) * v, pairs(&in), "pairs");
        if (k == 2) near(value(&in, &(at_mutual){0}), pairs(&in), "a pair: mean |e1 - e2|^2");
    }
}

static double log_p(const inputs *in, int n, int j, int c, double tau) {
    double sum = 0;
    for (int i = 0; i < C; i++) sum += exp(at(in, n, j, i) / tau);
    return at(in, n, j, c) / tau - log(sum);
}

static void kl_is_the_pairs(void **state) {
    (void)state;
    inputs in;
    const double tau = 1.7;
    for (int k = 2; k <= KS; k++) {
        draw(&in, k);
        double sum = 0;
        for (int n = 0; n < N; n++)
            for (int i = 0; i < k; i++)
                for (int j = 0; j < k; j++)
                    for (int c = 0; c < C; c++) {
                        const double p = log_p(&in, n, j, c, tau), q = log_p(&in, n, i, c, tau);
                        sum += exp(p) * (p - q);
                    }
        near(value(&in, &(at_mutual){AT_MUTUAL_KL, tau, true}), tau * tau * sum / (N * k * (k - 1)),
             "KL");
    }
}

/* What output (n, j) is held against, and the weight of its square, from the values in `of`. */
static double teacher(const inputs *of, at_mutual_form form, int n, int c, double *weight, int j) {
    double all = 0, mix = 0, mean = 0;
    for (int i = 0; i < of->k; i++) all += (double)of->gv[n * of->k + i];
    for (int i = 0; i < of->k; i++) {
        mix += (double)of->gv[n * of->k + i] / all * at(of, n, i, c);
        mean += at(of, n, i, c) / of->k;
    }
    *weight = form == AT_MUTUAL_GATED ? 1 - (double)of->gv[n * of->k + j] / all : 1;
    return form == AT_MUTUAL_MIXTURE ? mix : mean;
}

/* The loss of `in` with teachers and weights of `fixed`. */
static double against(const inputs *in, const inputs *fixed, const at_mutual *how) {
    const int k = in->k;
    double sum = 0;
    for (int n = 0; n < N; n++)
        for (int j = 0; j < k; j++) {
            double square = 0, shift = 0, kl = 0, w = 1;
            for (int c = 0; c < C; c++) {
                const double off = at(in, n, j, c) - teacher(fixed, how->form, n, c, &w, j);
                square += off * off;
                shift += off;
                for (int i = 0; i < k && how->form == AT_MUTUAL_KL; i++) {
                    const double p = log_p(fixed, n, i, c, how->tau);
                    kl += i == j ? 0 : exp(p) * (p - log_p(in, n, j, c, how->tau));
                }
            }
            if (how->form == AT_MUTUAL_CENTRED) square -= shift * shift / C;
            sum += how->form == AT_MUTUAL_KL ? how->tau * how->tau * kl / (k * (k - 1))
                                             : (k == 2 ? 4.0 : 1.0) / (k * C) * w * square;
        }
    return sum / N;
}

static void detached_teachers_stand_still(void **state) {
    (void)state;
    static inputs in, fixed;
    for (int form = 0; form < AT_MUTUAL_FORMS; form++)
        for (int k = 2; k <= KS; k++) {
            const at_mutual how = {(at_mutual_form)form, 1.3, true};
            draw(&fixed, k);
            near(value(&fixed, &how), against(&fixed, &fixed, &how), "value");
            in = fixed;
            for (int i = 0; i < N * k * C; i++) {
                const double h = 1e-5;
                in.xv[i] = (at_real)((double)fixed.xv[i] + h);
                const double up = against(&in, &fixed, &how);
                in.xv[i] = (at_real)((double)fixed.xv[i] - h);
                const double slope = (up - against(&in, &fixed, &how)) / (2 * h);
                in.xv[i] = fixed.xv[i];
                if (!(fabs(slope - (double)fixed.dx[i]) < 1e-9))
                    fail_msg("form %d, K = %d, output %d: slope %g, gradient %g", form, k, i, slope,
                             (double)fixed.dx[i]);
            }
            for (int i = 0; i < N * k; i++) assert_true(fixed.dg[i] == 0);
        }
}

/* Of variance and centred the gradient is the same, detached or not; of the others it is not. */
static void where_detaching_matters(void **state) {
    (void)state;
    static inputs a, b;
    for (int form = 0; form < AT_MUTUAL_FORMS; form++)
        for (int k = 2; k <= KS; k++) {
            double most = 0, gates = 0;
            draw(&a, k);
            draw(&b, k);
            near(value(&a, &(at_mutual){(at_mutual_form)form, 1.3, true}),
                 value(&b, &(at_mutual){(at_mutual_form)form, 1.3, false}), "detached");
            for (int i = 0; i < N * k * C; i++)
                most = fmax(most, fabs((double)(a.dx[i] - b.dx[i])));
            for (int i = 0; i < N * k; i++) gates = fmax(gates, fabs((double)b.dg[i]));
            const bool same = form == AT_MUTUAL_VARIANCE || form == AT_MUTUAL_CENTRED;
            /* of a pair both are off by the same, whatever the gates */
            const bool gated = (form == AT_MUTUAL_GATED && k > 2) || form == AT_MUTUAL_MIXTURE;
            if (same ? most > 0 : most < 1e-3) fail_msg("form %d, K = %d: %g", form, k, most);
            assert_true(gated ? gates > 1e-3 : gates < 1e-15);
        }
}

/* Peers that agree have nothing to teach, and one expert has no peers: exactly nothing. */
static void agreement_costs_nothing(void **state) {
    (void)state;
    static inputs in;
    for (int form = 0; form < AT_MUTUAL_FORMS; form++)
        for (int detach = 0; detach < 2; detach++)
            for (int k = 1; k <= KS; k++) {
                draw(&in, k);
                for (int i = 0; i < N * k * C && k > 1; i++)
                    in.xv[i] = in.xv[i / (k * C) * k * C + i % C];
                assert_true(value(&in, &(at_mutual){(at_mutual_form)form, 1.3, detach != 0}) == 0);
                for (int i = 0; i < N * k * C; i++) assert_true(fabs((double)in.dx[i]) == 0);
                for (int i = 0; i < N * k; i++) assert_true(fabs((double)in.dg[i]) < 1e-15);
            }
}

/* KL and centred do not see a shift of an output; variance does. */
static void shifts(void **state) {
    (void)state;
    static inputs in;
    for (int form = 0; form < AT_MUTUAL_FORMS; form++) {
        const at_mutual how = {(at_mutual_form)form, 1.3, true};
        draw(&in, 3);
        const double before = value(&in, &how);
        for (int c = 0; c < C; c++) in.xv[C + c] += 2;
        const double change = fabs(value(&in, &how) - before);
        const bool blind = form == AT_MUTUAL_KL || form == AT_MUTUAL_CENTRED;
        assert_true(blind ? change < 1e-12 : change > 1e-2);
    }
}

static void refusals(void **state) {
    (void)state;
    static inputs in;
    at_run r;
    draw(&in, 3);
    at_run_init(&r, &cp, &arena, true, 1);
    assert_null(at_mutual_distill(&r, &in.x, &in.g, &(at_mutual){.form = AT_MUTUAL_KL}));
    assert_int_equal(at_run_status(&r), AT_ARG);
    assert_non_null(strstr(ctx.message, "temperature 0"));
    at_run_init(&r, &cp, &arena, true, 1);
    in.g.dim[1] = 2;
    assert_null(at_mutual_distill(&r, &in.x, &in.g, &(at_mutual){0}));
    assert_int_equal(at_run_status(&r), AT_SHAPE);
    assert_non_null(strstr(ctx.message, "[4,3,5]"));
    assert_non_null(strstr(ctx.message, "[4,2]"));
}

int main(void) {
    at_ctx_init(&ctx, 2);
    at_arena_init(&arena, &ctx);
    if (at_compute_open(&cp, &ctx) != AT_OK) return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(variance_is_the_pairs),
        cmocka_unit_test(kl_is_the_pairs),
        cmocka_unit_test(detached_teachers_stand_still),
        cmocka_unit_test(where_detaching_matters),
        cmocka_unit_test(agreement_costs_nothing),
        cmocka_unit_test(shifts),
        cmocka_unit_test(refusals),
    };
    const int bad = cmocka_run_group_tests(tests, NULL, NULL);
    at_compute_close(&cp);
    at_arena_close(&arena);
    return bad;
}
