/* test_bench.c - measurements are plausible, and stop when asked to. */
#include "base/cpu.h"
#include "bench/bench_kernel.h"
#include "bench/blas.h"
#include "check.h"
#include "kernel/peak.h"

static void test_summary(void **state) {
    (void)state;
    double odd[] = {3, 1, 2}, even[] = {4, 1, 3, 2};
    at_timing t = at_time_summary(odd, 3);
    assert_true(t.min == 1 && t.median == 2);
    t = at_time_summary(even, 4);
    assert_true(t.min == 1 && t.median == 2.5);
}

typedef struct calls {
    int own, base, turns; /* turns: from own to base */
    bool last_was_own;
} calls;
static void own(void *arg) {
    calls *c = arg;
    c->last_was_own = true;
    c->own++;
}
static void base(void *arg) {
    calls *c = arg;
    c->turns += c->last_was_own;
    c->last_was_own = false;
    c->base++;
}
static void alone(void *arg) { ((calls *)arg)->own++; }

static void test_turns(void **state) {
    (void)state;
    calls c = {0};
    at_timing a, b;
    at_time_pair(own, base, &c, 0, &a, &b);
    assert_int_equal(c.own, 6); /* three times one to warm up and one measured */
    assert_int_equal(c.base, 6);
    assert_int_equal(c.turns, 3);
    assert_true(a.min >= 0 && a.median >= a.min);
    at_time_pair(alone, NULL, &c, 0, &a, &b);
    assert_true(b.min == 0 && b.median == 0);
}

static void test_peak(void **state) {
    (void)state;
    at_ctx c;
    at_ctx_init(&c, 1);
    const double peak = at_fma_peak(&c, 1);
    assert_true(peak > 0.1 && peak < 1e5);
}

/* The baseline says whose kernels it uses, and whether somebody asked for them. */
static void test_blas_name(void **state) {
    (void)state;
    char name[64], core[32] = "";
    (void)unsetenv("OPENBLAS_CORETYPE");
    if (!at_blas_name(name, sizeof name)) skip();
    assert_null(strstr(name, "asked"));
    assert_int_equal(sscanf(name, "OpenBLAS %*s (%31[^)]", core), 1);
    assert_null(at_blas_better_coretype(0));
    const char *better = at_blas_better_coretype(AT_CPU_AVX2 | AT_CPU_AVX512);
    const bool newest = strcmp(core, "SkylakeX") == 0 || strcmp(core, "Cooperlake") == 0 ||
                        strcmp(core, "SapphireRapids") == 0;
    assert_true(newest ? better == NULL : strcmp(better, "SkylakeX") == 0);
    better = at_blas_better_coretype(AT_CPU_AVX2);
    if (strcmp(core, "Prescott") == 0) assert_string_equal(better, "Haswell");
    if (strcmp(core, "Haswell") == 0 || strcmp(core, "Zen") == 0) assert_null(better);
    assert_int_equal(setenv("OPENBLAS_CORETYPE", core, 1), 0);
    assert_non_null(strstr(at_blas_name(name, sizeof name), ", as asked)"));
    assert_null(at_blas_better_coretype(AT_CPU_AVX2 | AT_CPU_AVX512));
    assert_int_equal(setenv("OPENBLAS_CORETYPE", "other", 1), 0);
    assert_non_null(strstr(at_blas_name(name, sizeof name), ", not as asked)"));
    (void)unsetenv("OPENBLAS_CORETYPE");
}

/* A receiver that asks to stop after some rows. */
static at_status count_then_stop(void *user, const at_bench_row *row) {
    assert_non_null(row->name);
    assert_non_null(row->shape);
    assert_true(row->gflops > 0 || row->gbytes > 0);
    return --*(int *)user ? AT_OK : AT_IO;
}

static void test_stops(void **state) {
    (void)state;
    atomic_int stop = 1;
    at_ctx c;
    at_ctx_init(&c, 2);
    int left = 1;
    assert_int_equal(at_bench_kernel(&c, count_then_stop, &left), AT_IO);
    assert_int_equal(left, 0);
    assert_int_equal(c.threads, 2);
    c.interrupt = &stop;
    left = 100;
    assert_int_equal(at_bench_kernel(&c, count_then_stop, &left), AT_INTERRUPTED);
    assert_true(left >= 98); /* nothing but the limits */
    assert_int_equal(c.status, AT_INTERRUPTED);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_summary),   cmocka_unit_test(test_turns), cmocka_unit_test(test_peak),
        cmocka_unit_test(test_blas_name), cmocka_unit_test(test_stops),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
