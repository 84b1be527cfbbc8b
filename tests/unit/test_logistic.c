/* test_logistic.c - the solver of the router's fit: that it ends where the gradient is zero, by a
   gradient that is computed here densely and another way. */
#include "base/rng.h"
#include "check.h"
#include "route/logistic.h"
#include <math.h>

enum { N = 240, COLUMNS = 37, MOST = N * COLUMNS };

static at_ctx ctx;
static int64_t start[N + 1];
static at_sparse_entry entry[MOST];
static double scale[N], factor[COLUMNS], dense[N][COLUMNS + 1];
static int32_t label[N];
static at_sparse_rows rows = {
    .n = N, .columns = COLUMNS, .start = start, .entry = entry, .scale = scale, .factor = factor};

static double u(uint64_t i) { return at_uniform(11, AT_STREAM_TEST, i); }

/* Rows of every length, the empty one too; class 0 is rare; columns of very unequal sizes. */
static void make_rows(void) {
    uint64_t at = 0;
    int64_t n = 0;
    for (int j = 0; j < COLUMNS; j++) factor[j] = exp(6 * u(at++) - 3);
    for (int64_t i = 0; i < N; i++) {
        label[i] = i < 9 ? 0 : (int32_t)(1 + i % 2);
        scale[i] = 0.05 + 0.3 * u(at++);
        for (int32_t j = 0; j < COLUMNS; j++) {
            const bool own = j % 3 == label[i];
            if (i == 20 || u(at++) > (own ? 0.6 : 0.2)) continue;
            entry[n++] = (at_sparse_entry){j, (float)(1 + (int)(3 * u(at++)))};
            dense[i][j] = scale[i] * (double)entry[n - 1].value * factor[j];
        }
        dense[i][COLUMNS] = 1;
        start[i + 1] = n;
    }
}

static at_status fit(int32_t which, double c, double eps, double *w, at_logistic_report *r) {
    double *scratch = malloc((size_t)at_logistic_scratch(&rows) * sizeof *scratch);
    assert_non_null(scratch);
    const at_logistic_options o = {.c = c, .eps = eps};
    const at_status s = at_logistic_fit(&ctx, &rows, label, which, &o, scratch, w, r);
    free(scratch);
    return s;
}

/* |w - C sum (1 - p_i) y_i x_i| */
static double gradient(int32_t which, double c, const double *w) {
    double sum = 0;
    for (int j = 0; j <= COLUMNS; j++) {
        double g = w[j];
        for (int i = 0; i < N; i++) {
            const double y = label[i] == which ? 1 : -1;
            double f = 0;
            for (int k = 0; k <= COLUMNS; k++) f += w[k] * dense[i][k];
            g -= c * y * dense[i][j] / (1 + exp(y * f));
        }
        sum += g * g;
    }
    return sqrt(sum);
}

static void ends_where_the_gradient_is_zero(void **state) {
    (void)state;
    static const double zero[COLUMNS + 1];
    for (double c = 1e-3; c < 1e7; c *= 100)
        for (int32_t which = 0; which < 3; which++) {
            double w[COLUMNS + 1];
            at_logistic_report r;
            OK(fit(which, c, 1e-6, w, &r));
            assert_true(r.converged);
            const double rarer = which == 0 ? 9.0 : which == 1 ? 115.0 : 116.0;
            const double left = gradient(which, c, w) / gradient(which, c, zero);
            if (!(left <= 1.01e-6 * rarer / N))
                fail_msg("C %g, class %d: %g of the gradient is left", c, (int)which, left);
            assert_true(fabs(r.gradient - left) <= 1e-3 * left + 1e-13);
            /* a system solved without its diagonal takes twice as many passes and more */
            if (r.passes > 330) fail_msg("C %g: %d passes, %d steps", c, r.passes, r.steps);
            print_message("C %g class %d: %d steps, %d passes\n", c, (int)which, r.steps, r.passes);
        }
}

/* Asked for more precision than a double has, it stops where no step helps, and reports that. */
static void says_when_it_gave_up(void **state) {
    (void)state;
    double w[COLUMNS + 1];
    at_logistic_report r;
    OK(fit(1, 10, 1e-300, w, &r));
    assert_false(r.converged);
    assert_true(r.gradient < 1e-12 && r.steps < 60);
}

static void stops_when_asked(void **state) {
    (void)state;
    atomic_int stop = 1;
    double w[COLUMNS + 1];
    at_logistic_report r;
    ctx.interrupt = &stop;
    assert_int_equal(fit(1, 10, 1e-6, w, &r), AT_INTERRUPTED);
    ctx.interrupt = NULL;
    assert_true(r.passes <= 1);
}

int main(void) {
    at_ctx_init(&ctx, 1);
    make_rows();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ends_where_the_gradient_is_zero),
        cmocka_unit_test(says_when_it_gave_up),
        cmocka_unit_test(stops_when_asked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
