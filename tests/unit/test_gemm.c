/* test_gemm.c - at_gemm_run and at_gemm_serial against the definition: every transpose, edge,
   stride, bias and accumulation; no write outside C; the same bits for every
   number of threads, instruction set and blocking. */
#include "base/half.h"
#include "kernel/gemm.h"
#include "noise.h"
#include "sets.h"
#include <math.h>
#include <string.h>

/* One product with strides larger than needed; every buffer from the heap so that the sanitizer
   sees a step outside. */
typedef struct problem {
    at_gemm g;
    at_real *a, *b, *c, *start, *bias;
    int64_t c_len;
} problem;

static int64_t rows_of(bool t, int64_t r, int64_t c) { return t ? c : r; }

static problem make(at_ctx *c, int64_t m, int64_t n, int64_t k, int mode) {
    problem p = {0};
    const bool ta = mode & 1, tb = mode & 2;
    const int64_t pad = mode & 8 ? 5 : 0;
    p.g = (at_gemm){.ta = ta, .tb = tb, .m = m, .n = n, .k = k, .accumulate = mode & 4};
    p.g.lda = (ta ? m : k) + pad;
    p.g.ldb = (tb ? k : n) + pad;
    p.g.ldc = n + pad;
    p.a = new_noise(c, rows_of(ta, m, k) * p.g.lda + 1, 1);
    p.b = new_noise(c, rows_of(tb, k, n) * p.g.ldb + 1, 2);
    p.c_len = m * p.g.ldc + 1;
    p.c = new_noise(c, p.c_len, 3);
    p.start = new_noise(c, p.c_len, 3);
    p.bias = new_noise(c, n + 1, 4);
    p.g.a = p.a;
    p.g.b = p.b;
    p.g.c = p.c;
    if ((mode & 16) && !p.g.accumulate) p.g.bias = p.bias;
    return p;
}

static void drop(problem *p) {
    at_free(p->a);
    at_free(p->b);
    at_free(p->c);
    at_free(p->start);
    at_free(p->bias);
}

static void reset(problem *p) {
    memcpy(p->c, p->start, (size_t)p->c_len * sizeof *p->c);
    if (!p->g.accumulate) /* C need not be initialised */
        for (int64_t i = 0; i < p->g.m; i++)
            for (int64_t j = 0; j < p->g.n; j++) p->c[i * p->g.ldc + j] = (at_real)NAN;
}

static void check(const problem *p) {
    const at_gemm *g = &p->g;
    for (int64_t i = 0; i < g->m; i++)
        for (int64_t j = 0; j < g->n; j++) {
            double s = g->accumulate ? (double)p->start[i * g->ldc + j] : 0, size = fabs(s);
            for (int64_t l = 0; l < g->k; l++) {
                const double t = (double)(g->ta ? g->a[l * g->lda + i] : g->a[i * g->lda + l]) *
                                 (double)(g->tb ? g->b[j * g->ldb + l] : g->b[l * g->ldb + j]);
                s += t;
                size += fabs(t);
            }
            if (g->bias) s += (double)g->bias[j];
            const double got = (double)g->c[i * g->ldc + j];
            if (!(fabs(got - s) <= 1e-6 * (size + 1)))
                fail_msg("%lldx%lldx%lld ta %d tb %d: C[%lld,%lld] is %g, expected %g",
                         (long long)g->m, (long long)g->n, (long long)g->k, g->ta, g->tb,
                         (long long)i, (long long)j, got, s);
        }
    for (int64_t i = 0; i < p->c_len; i++) /* the padding of C is not C's */
        if (g->ldc == 0 || i / g->ldc >= g->m || i % g->ldc >= g->n)
            assert_true(p->c[i] == p->start[i]);
}

static void modes(at_compute *cp, int64_t m, int64_t n, int64_t k, unsigned which) {
    for (int mode = 0; mode < 32; mode++) {
        if (!(which >> mode & 1)) continue;
        problem p = make(cp->ctx, m, n, k, mode);
        reset(&p);
        assert_int_equal(at_gemm_run(cp, &p.g), AT_OK);
        check(&p);
        reset(&p);
        assert_int_equal(at_gemm_serial(cp, &p.g, cp->threads - 1), AT_OK);
        check(&p);
        drop(&p);
    }
}

static void each_set(void (*f)(at_compute *)) {
    for (int s = 0; s < N_SETS; s++) {
        at_ctx c;
        at_ctx_init(&c, 2);
        if (!set_is_here(s, &c.cpu)) continue;
        at_compute cp;
        assert_int_equal(at_compute_open(&cp, &c), AT_OK);
        f(&cp);
        at_compute_close(&cp);
    }
}

static void small(at_compute *cp) {
    static const int64_t sizes[] = {0, 1, 2, 3, 5, 17, 33};
    enum { S = sizeof sizes / sizeof sizes[0] };
    for (int i = 0; i < S; i++)
        for (int j = 0; j < S; j++)
            for (int l = 0; l < S; l++) modes(cp, sizes[i], sizes[j], sizes[l], ~0u);
}

static void test_small(void **state) {
    (void)state;
    each_set(small);
}

/* Shapes larger than every block, in each of the three ways of gemm.c; accumulated, with padding
   and bias. */
static void blocks(at_compute *cp) {
    const unsigned some = 0xfu << 4 | 0xfu << 24;
    modes(cp, 4, 1030, 70, some);
    modes(cp, 1, 67, 1111, some);
    modes(cp, 18, 530, 522, some);
    modes(cp, 200, 40, 530, some);
}

static void test_blocks(void **state) {
    (void)state;
    each_set(blocks);
}

/* More columns than are packed at a time. */
static void test_wide(void **state) {
    (void)state;
    at_ctx c;
    at_ctx_init(&c, 2);
    at_compute cp;
    assert_int_equal(at_compute_open(&cp, &c), AT_OK);
    problem p = make(&c, 300, 4200, 600, 8 | 16);
    p.g.m = 290;
    reset(&p);
    assert_int_equal(at_gemm_run(&cp, &p.g), AT_OK);
    check(&p);
    drop(&p);
    at_compute_close(&cp);
}

/* The same bits for every number of threads, every instruction set, and whatever is packed at a
   time: the first, slow case is the one that all others are compared with. */
static void test_bits(void **state) {
    (void)state;
    static const int64_t shape[][3] = {
        {1, 5000, 300}, {3, 4001, 277}, {40, 700, 600}, {333, 111, 1030}, {200, 640, 64}};
    static const at_blocking block[] = {{84, 168, 64, 96, 1 << 14, 1 << 10},
                                        {336, 336, 512, 4096, 1 << 20, 1 << 18}};
    enum { SHAPES = sizeof shape / sizeof shape[0] };
    for (int s = 0; s < SHAPES; s++)
        for (int mode = 0; mode < 4; mode++) {
            at_real *one = NULL;
            for (int run = 0; run < 4 * N_SETS; run++) { /* 1, 3, 5, 7 threads */
                at_ctx c;
                at_ctx_init(&c, 1 + run % 4 * 2);
                if (!set_is_here(run / 4, &c.cpu)) continue;
                at_compute cp;
                assert_int_equal(at_compute_open_with(&cp, &c, &block[run % 2]), AT_OK);
                problem p = make(&c, shape[s][0], shape[s][1], shape[s][2], mode);
                assert_int_equal(at_gemm_run(&cp, &p.g), AT_OK);
                if (!one) {
                    one = p.c;
                    p.c = NULL;
                } else
                    assert_memory_equal(one, p.c, (size_t)p.c_len * sizeof *one);
                drop(&p);
                at_compute_close(&cp);
            }
            at_free(one);
        }
}

/* Caches of any size, or of none that is known, give blocks that fit them. */
static void test_blocking(void **state) {
    (void)state;
    static const int64_t second[] = {0, 1 << 10, 256 << 10, 512 << 10, 1 << 20, 2 << 20, 1 << 26};
    for (size_t i = 0; i < sizeof second / sizeof *second; i++) {
        const at_blocking b = at_blocking_for(second[i], second[i] * 16);
        assert_true(b.mc >= 84 && b.mc % 84 == 0 && b.nc_own >= 64 && b.nc_own % 64 == 0);
        assert_true(b.nc >= b.nc_own && b.shared > 0 && b.thin > 0);
        assert_true(b.mc_group >= b.mc && b.mc_group <= AT_MC_GROUP && b.mc_group % 84 == 0);
        if (second[i] >= 256 << 10)
            assert_true(b.mc * AT_KC * (int64_t)sizeof(at_real) <= second[i] / 2);
    }
    assert_true(at_blocking_for(512 << 10, 0).mc < at_blocking_for(2 << 20, 0).mc);
    assert_true(at_blocking_for(512 << 10, 0).mc_group < at_blocking_for(2 << 20, 0).mc_group);
}

/* at_compute_open chooses the blocks for this machine's caches, whose sizes /sys tells. */
static void test_caches(void **state) {
    (void)state;
    at_ctx c;
    at_ctx_init(&c, 1);
    at_compute cp;
    assert_int_equal(at_compute_open(&cp, &c), AT_OK);
    const at_blocking want = at_blocking_for(at_cpu_cache(2), at_cpu_cache(3));
    assert_memory_equal(&cp.block, &want, sizeof want);
    at_compute_close(&cp);
    if (!at_exists("/sys/devices/system/cpu/cpu0/cache/index2/size")) return;
    assert_true(at_cpu_cache(2) >= 64 << 10 && at_cpu_cache(2) <= 1 << 30);
    assert_true(at_cpu_cache(9) == 0);
}

/* B in BF16 gives the bits of B widened beforehand: serial and shared, few rows and many. */
static void same_bits(at_compute *cp, int64_t m, int64_t n, int64_t k, int mode) {
    problem p = make(cp->ctx, m, n, k, mode);
    const int64_t values = rows_of(p.g.tb, k, n) * p.g.ldb;
    uint16_t *b16 = at_malloc(cp->ctx, (size_t)(values + 1) * sizeof *b16);
    at_real *want = at_malloc(cp->ctx, (size_t)p.c_len * sizeof *want);
    assert_true(b16 && want);
    for (int64_t i = 0; i < values; i++) {
        b16[i] = at_bf16_from_f32((float)p.b[i]);
        p.b[i] = (at_real)at_f32_from_bf16(b16[i]);
    }
    for (int serial = 0; serial < 2; serial++) {
        for (int in_16 = 0; in_16 < 2; in_16++) {
            p.g.b = in_16 ? NULL : p.b;
            p.g.b16 = in_16 ? b16 : NULL;
            reset(&p);
            const at_status s =
                serial ? at_gemm_serial(cp, &p.g, cp->threads - 1) : at_gemm_run(cp, &p.g);
            assert_int_equal(s, AT_OK);
            if (!in_16) memcpy(want, p.c, (size_t)p.c_len * sizeof *want);
        }
        if (memcmp(want, p.c, (size_t)p.c_len * sizeof *want) != 0)
            fail_msg("%s %lldx%lldx%lld mode %d serial %d: other bits", cp->k.name, (long long)m,
                     (long long)n, (long long)k, mode, serial);
    }
    at_free(b16);
    at_free(want);
    drop(&p);
}

static void bf16(at_compute *cp) {
    static const int64_t shape[][3] = {
        {1, 1, 1},      {1, 33, 17},    {2, 16, 65},     {3, 31, 8},      {4, 100, 40},
        {5, 32, 33},    {13, 65, 70},   {32, 47, 16},    {1, 1100, 1030}, {4, 2100, 60},
        {40, 200, 530}, {200, 70, 140}, {130, 200, 150}, {17, 5, 1040},
    };
    for (size_t i = 0; i < sizeof shape / sizeof shape[0]; i++)
        for (int mode = 0; mode < 32; mode++)
            if (shape[i][0] * shape[i][1] * shape[i][2] < 20000 ? mode % 5 != 4
                                                                : mode == 11 || mode == 24)
                same_bits(cp, shape[i][0], shape[i][1], shape[i][2], mode);
}

static void test_bf16(void **state) {
    (void)state;
    for (int s = 0; s < N_SETS; s++)
        for (int threads = 1; threads <= 3; threads++) {
            at_ctx c;
            at_ctx_init(&c, threads);
            if (!set_is_here(s, &c.cpu)) continue;
            at_compute cp;
            assert_int_equal(at_compute_open(&cp, &c), AT_OK);
            bf16(&cp);
            at_compute_close(&cp);
        }
}

/* Whatever allocation fails, the status says so and nothing leaks. */
static void test_oom(void **state) {
    (void)state;
    at_ctx c;
    at_ctx_init(&c, 2);
    problem p = make(&c, 300, 100, 100, 0);
    int failures = 0;
    for (int64_t at = 1;; at++) {
        at_compute cp;
        c.fail_after = at;
        at_status s = at_compute_open(&cp, &c);
        if (!s) s = at_gemm_run(&cp, &p.g);
        c.fail_after = 0;
        at_compute_close(&cp);
        if (!s) break;
        assert_int_equal(s, AT_OOM);
        assert_int_equal(c.status, AT_OOM);
        failures++;
    }
    assert_int_equal(failures, 3);
    drop(&p);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_small),    cmocka_unit_test(test_blocks),
        cmocka_unit_test(test_wide),     cmocka_unit_test(test_bits),
        cmocka_unit_test(test_blocking), cmocka_unit_test(test_caches),
        cmocka_unit_test(test_oom),      cmocka_unit_test(test_bf16),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
