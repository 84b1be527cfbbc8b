/* test_nn_wires.c - details of parameters that small models do not show: initial values depend on
   path and index, norms of gradients over several chunks, clipping to another norm than 1. */
#include "check.h"
#include "tensor/optim.h"
#include <math.h>

static at_ctx ctx;
static at_compute cp;

static int setup(void **state) {
    (void)state;
    at_ctx_init(&ctx, 2);
    OK(at_compute_open(&cp, &ctx));
    return 0;
}

static int teardown(void **state) {
    (void)state;
    at_compute_close(&cp);
    return 0;
}

static at_store store_of(const char *a, const char *b, int64_t rows, int64_t cols) {
    at_store s;
    at_store_init(&s, &ctx);
    const int64_t dim[2] = {rows, cols};
    assert_non_null(at_param(&s, AT_INIT_NORMAL, 1, 2, dim, "%s", a));
    if (b) assert_non_null(at_param(&s, AT_INIT_NORMAL, 1, 2, dim, "%s", b));
    OK(at_store_alloc(&s));
    at_store_randomise(&s, 3);
    return s;
}

static const at_real *values(const at_store *s, const char *path) {
    return at_store_find(s, path)->t.data;
}

/* By path, whatever else there is; no two values alike. */
static void first_values_by_path_and_place(void **state) {
    (void)state;
    enum { ROWS = 40, COLS = 64, N = ROWS * COLS };
    at_store one = store_of("first", "second", ROWS, COLS);
    at_store other = store_of("second", NULL, ROWS, COLS);
    const at_real *a = values(&one, "first"), *b = values(&one, "second");
    assert_memory_equal(b, values(&other, "second"), N * sizeof *b);
    double along = 0;
    for (int i = 0; i < N; i++) along += (double)(a[i] * b[i]);
    assert_true(fabs(along) < 5 * sqrt(N)); /* independent: standard deviation sqrt(N) */
    for (int shift = 1; shift < N / 2; shift++) {
        double same = 0;
        for (int i = 0; i + shift < N; i++) same += (double)(a[i] * a[i + shift]);
        if (!(fabs(same) < 6 * sqrt(N))) fail_msg("values repeat after %d", shift);
    }
    at_store_close(&one);
    at_store_close(&other);
}

static void norm_of_many_values(void **state) {
    (void)state;
    enum { ROWS = 700, COLS = 300 }; /* 3.2 chunks */
    at_store s = store_of("w", "v", ROWS, COLS);
    OK(at_store_train(&s, false));
    double sum = 0;
    for (int k = 0; k < 2; k++)
        for (int64_t i = 0; i < ROWS * COLS; i++) {
            const at_real g = (at_real)((double)(i % 1000) / 1000);
            s.p[k]->t.grad[i] = g;
            s.p[k]->t.has_grad = true;
            sum += (double)(g * g);
        }
    const double norm = sqrt(at_grad_squares(&cp, &s));
    assert_true(fabs(norm / sqrt(sum) - 1) < 1e-5);
    at_store_close(&s);
}

/* The first moment tells what gradient was taken. */
static void clipped_to_the_norm_asked_for(void **state) {
    (void)state;
    static const double clip[] = {0, 0.5, 1, 4}, factor[] = {1, 0.25, 0.5, 1};
    for (int k = 0; k < 4; k++) {
        at_store s = store_of("w", NULL, 3, 5);
        OK(at_store_train(&s, true));
        for (int i = 0; i < 15; i++) s.p[0]->t.grad[i] = (at_real)(i - 7);
        at_optim o = {.beta1 = 0.9, .beta2 = 0.95, .eps = 1e-8, .clip = clip[k]};
        s.p[0]->t.has_grad = true;
        OK(at_optim_step(&cp, &s, &o, 1e-3, 2));
        for (int i = 0; i < 15; i++)
            assert_true(fabs((double)s.m[i] - 0.1 * factor[k] * (i - 7)) < 1e-6);
        at_store_close(&s);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(first_values_by_path_and_place),
        cmocka_unit_test(norm_of_many_values),
        cmocka_unit_test(clipped_to_the_norm_asked_for),
    };
    return cmocka_run_group_tests_name("nn_wires", tests, setup, teardown);
}
