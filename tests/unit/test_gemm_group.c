/* test_gemm_group.c - grouped products against the definition: matrices with 0, 1 and many rows,
   every edge, both directions; rows not listed stay; the same bits for every number of threads. */
#include "base/half.h"
#include "kernel/gemm_group.h"
#include "noise.h"
#include "sets.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_E = 8 };

/* Listed rows are spread over `rows` of them; every buffer from the heap and just long enough, so
   that the sanitizer sees a step outside. */
typedef struct problem {
    int64_t first[MOST_E + 1], e, total, rows, n, k, share;
    int64_t *row;
    at_real *a, *b, *c, *start, *w[MOST_E], *d[MOST_E];
    uint16_t *w16[MOST_E]; /* NULL, or used in place of w */
} problem;

static problem make(at_ctx *c, const int64_t *loads, int64_t e, int64_t n, int64_t k,
                    int64_t share) {
    problem p = {.e = e, .n = n, .k = k, .share = share};
    for (int64_t x = 0; x < e; x++) p.first[x + 1] = p.first[x] + loads[x];
    p.total = p.first[e];
    p.rows = p.total + 3; /* some are nobody's */
    p.row = at_malloc(c, (size_t)(p.total + 1) * sizeof *p.row);
    assert_non_null(p.row);
    const int64_t step = p.rows % 7 ? 7 : 11; /* coprime to all numbers of rows here */
    assert_true(p.rows % step != 0);
    for (int64_t i = 0; i < p.total; i++) p.row[i] = i * step % p.rows;
    p.a = new_noise(c, (p.rows / share + 1) * k, 1); /* rows of k, read by the listed */
    p.b = new_noise(c, p.rows * n, 2);
    p.c = new_noise(c, p.rows * n, 3);
    p.start = new_noise(c, p.rows * n, 3);
    for (int64_t x = 0; x < e; x++) {
        p.w[x] = new_noise(c, n * k, (uint64_t)(10 + x));
        p.d[x] = new_noise(c, n * k, (uint64_t)(50 + x));
    }
    return p;
}

static void drop(problem *p) {
    at_free(p->row);
    at_free(p->a);
    at_free(p->b);
    at_free(p->c);
    at_free(p->start);
    for (int64_t x = 0; x < p->e; x++) {
        at_free(p->w[x]);
        at_free(p->d[x]);
        at_free(p->w16[x]);
    }
}

static at_groups groups(const problem *p) { return (at_groups){p->e, p->first, p->row, p->share}; }

static at_status product(at_compute *cp, problem *p, bool tb, bool accumulate) {
    const at_real *b[MOST_E];
    int64_t in_16 = 0;
    for (int64_t x = 0; x < p->e; x++) {
        in_16 += p->w16[x] != NULL;
        b[x] = p->w16[x] ? NULL : p->w[x];
    }
    memcpy(p->c, p->start, (size_t)(p->rows * p->n) * sizeof *p->c);
    for (int64_t i = 0; !accumulate && i < p->total; i++) /* C need not be initialised */
        for (int64_t j = 0; j < p->n; j++) p->c[p->row[i] * p->n + j] = (at_real)NAN;
    return at_gemm_group_run(cp,
                             &(at_gemm_group){.of = groups(p),
                                              .tb = tb,
                                              .n = p->n,
                                              .k = p->k,
                                              .a = p->a,
                                              .lda = p->k,
                                              .b = in_16 == p->e ? NULL : b,
                                              .b16 = in_16 ? (const uint16_t *const *)p->w16 : NULL,
                                              .ldb = tb ? p->k : p->n,
                                              .c = p->c,
                                              .ldc = p->n,
                                              .accumulate = accumulate});
}

static void near(double got, double want, double size, const char *what, int64_t i, int64_t j) {
    if (!(fabs(got - want) <= 1e-6 * (size + 1)))
        fail_msg("%s[%lld,%lld] is %g, expected %g", what, (long long)i, (long long)j, got, want);
}

static void check_product(const problem *p, bool tb, bool accumulate) {
    char *listed = calloc((size_t)p->rows, 1);
    assert_non_null(listed);
    for (int64_t x = 0; x < p->e; x++)
        for (int64_t i = p->first[x]; i < p->first[x + 1]; i++) {
            const int64_t r = p->row[i];
            listed[r] = 1;
            for (int64_t j = 0; j < p->n; j++) {
                double s = accumulate ? (double)p->start[r * p->n + j] : 0, size = fabs(s);
                for (int64_t l = 0; l < p->k; l++) {
                    const double t = (double)p->a[r / p->share * p->k + l] *
                                     (double)p->w[x][tb ? j * p->k + l : l * p->n + j];
                    s += t;
                    size += fabs(t);
                }
                near((double)p->c[r * p->n + j], s, size, "C", r, j);
            }
        }
    for (int64_t r = 0; r < p->rows; r++)
        if (!listed[r])
            assert_memory_equal(p->c + r * p->n, p->start + r * p->n, (size_t)p->n * sizeof *p->c);
    free(listed);
}

static at_status outer(at_compute *cp, problem *p) {
    return at_gemm_outer_run(cp, &(at_gemm_outer){.of = groups(p),
                                                  .m = p->k,
                                                  .n = p->n,
                                                  .a = p->a,
                                                  .lda = p->k,
                                                  .b = p->b,
                                                  .ldb = p->n,
                                                  .c = p->d,
                                                  .ldc = p->n});
}

static void check_outer(at_ctx *c, const problem *p) {
    for (int64_t x = 0; x < p->e; x++) {
        at_real *start = new_noise(c, p->n * p->k, (uint64_t)(50 + x));
        for (int64_t i = 0; i < p->k; i++)
            for (int64_t j = 0; j < p->n; j++) {
                double s = (double)start[i * p->n + j], size = fabs(s);
                for (int64_t l = p->first[x]; l < p->first[x + 1]; l++) {
                    const double t = (double)p->a[p->row[l] / p->share * p->k + i] *
                                     (double)p->b[p->row[l] * p->n + j];
                    s += t;
                    size += fabs(t);
                }
                near((double)p->d[x][i * p->n + j], s, size, "dW", i, j);
            }
        at_free(start);
    }
}

static void all_ways(at_compute *cp, const int64_t *loads, int64_t e, int64_t n, int64_t k,
                     int64_t share) {
    problem p = make(cp->ctx, loads, e, n, k, share);
    for (int way = 0; way < 4; way++) {
        assert_int_equal(product(cp, &p, way & 1, way & 2), AT_OK);
        check_product(&p, way & 1, way & 2);
    }
    assert_int_equal(outer(cp, &p), AT_OK);
    check_outer(cp->ctx, &p);
    drop(&p);
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

/* Every number of rows a tile or two may have, with none and one beside it. */
static void loads(at_compute *cp) {
    for (int64_t m = 0; m <= 33; m++)
        all_ways(cp, (const int64_t[]){0, m, 1, 0}, 4, 37, 19, 1 + m % 3);
}
static void test_loads(void **state) {
    (void)state;
    each_set(loads);
}

static void widths(at_compute *cp) {
    static const int64_t sizes[] = {1, 2, 7, 8, 15, 16, 31, 32, 33, 64, 65};
    enum { S = sizeof sizes / sizeof sizes[0] };
    for (int i = 0; i < S; i++)
        for (int j = 0; j < S; j++)
            all_ways(cp, (const int64_t[]){3, 17, 5}, 3, sizes[i], sizes[j], 2);
}
static void test_widths(void **state) {
    (void)state;
    each_set(widths);
}

/* Shapes larger than every block: rows, columns, k, and the sum over rows. */
static void blocks(at_compute *cp) {
    all_ways(cp, (const int64_t[]){2, 400, 0, 9}, 4, 70, 66, 2);
    all_ways(cp, (const int64_t[]){1, 40}, 2, 1100, 30, 1);
    all_ways(cp, (const int64_t[]){4, 20}, 2, 40, 1030, 1);
    all_ways(cp, (const int64_t[]){530}, 1, 40, 20, 1);
}
static void test_blocks(void **state) {
    (void)state;
    each_set(blocks);
}

static void test_nothing(void **state) {
    (void)state;
    at_ctx c;
    at_ctx_init(&c, 2);
    at_compute cp;
    assert_int_equal(at_compute_open(&cp, &c), AT_OK);
    all_ways(&cp, (const int64_t[]){0, 0, 0}, 3, 8, 8, 1);
    problem p = make(&c, (const int64_t[]){5, 6}, 2, 8, 8, 1);
    at_free(p.d[1]);
    p.d[1] = NULL; /* not wanted */
    assert_int_equal(outer(&cp, &p), AT_OK);
    p.e = 1;
    check_outer(&c, &p);
    p.e = 2;
    drop(&p);
    at_compute_close(&cp);
}

static void test_threads(void **state) {
    (void)state;
    static const int64_t load[] = {300, 0, 1, 40, 9, 3};
    for (int tb = 0; tb < 2; tb++) {
        at_real *one = NULL, *outer_one = NULL;
        for (int threads = 1; threads <= 3; threads++) {
            at_ctx c;
            at_ctx_init(&c, threads);
            at_compute cp;
            assert_int_equal(at_compute_open(&cp, &c), AT_OK);
            problem p = make(&c, load, 6, 200, 600, 2);
            assert_int_equal(product(&cp, &p, tb, false), AT_OK);
            assert_int_equal(outer(&cp, &p), AT_OK);
            if (threads == 1) {
                one = p.c;
                outer_one = p.d[0];
                p.c = p.d[0] = NULL;
            } else {
                assert_memory_equal(one, p.c, (size_t)(p.rows * p.n) * sizeof *one);
                assert_memory_equal(outer_one, p.d[0], (size_t)(p.n * p.k) * sizeof *one);
            }
            drop(&p);
            at_compute_close(&cp);
        }
        at_free(one);
        at_free(outer_one);
    }
}

/* Matrices in BF16, all or every other one, give the bits of the same matrices widened beforehand. */
static void same_bits(at_compute *cp, const int64_t *loads, int64_t e, int64_t n, int64_t k) {
    problem p = make(cp->ctx, loads, e, n, k, 2);
    at_real *want = new_noise(cp->ctx, p.rows * n, 1);
    uint16_t *w16[MOST_E];
    for (int64_t x = 0; x < e; x++) {
        w16[x] = at_malloc(cp->ctx, (size_t)(n * k) * sizeof *w16[x]);
        assert_non_null(w16[x]);
        for (int64_t i = 0; i < n * k; i++) {
            w16[x][i] = at_bf16_from_f32((float)p.w[x][i]);
            p.w[x][i] = (at_real)at_f32_from_bf16(w16[x][i]);
        }
    }
    for (int way = 0; way < 4; way++) {
        memset(p.w16, 0, sizeof p.w16);
        assert_int_equal(product(cp, &p, way & 1, way & 2), AT_OK);
        memcpy(want, p.c, (size_t)(p.rows * n) * sizeof *want);
        for (int64_t which = 0; which < 3; which++) {
            for (int64_t x = 0; x < e; x++) p.w16[x] = which == 2 || x % 2 == which ? w16[x] : NULL;
            assert_int_equal(product(cp, &p, way & 1, way & 2), AT_OK);
            if (memcmp(want, p.c, (size_t)(p.rows * n) * sizeof *want) != 0)
                fail_msg("%s, %lld columns, k = %lld, way %d: other bits", cp->k.name, (long long)n,
                         (long long)k, way);
        }
    }
    at_free(want);
    drop(&p);
}

static void bf16(at_compute *cp) {
    static const int64_t sizes[][2] = {{1, 1},   {7, 16},    {32, 8},    {31, 33},   {33, 65},
                                       {70, 66}, {1100, 30}, {40, 1030}, {300, 600}, {1024, 40}};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        const int64_t n = sizes[i][0], k = sizes[i][1];
        same_bits(cp, (const int64_t[]){1, 1}, 2, n, k);
        same_bits(cp, (const int64_t[]){1, 0, 2, 3, 4, 5}, 6, n, k);
        same_bits(cp, (const int64_t[]){8, 15, 33, 64, 1, 0}, 6, n, k);
    }
    same_bits(cp, (const int64_t[]){170, 97}, 2, 70, 66);
}
static void test_bf16(void **state) {
    (void)state;
    for (int threads = 1; threads <= 3; threads++) {
        for (int s = 0; s < N_SETS; s++) {
            at_ctx c;
            at_ctx_init(&c, threads);
            if (!set_is_here(s, &c.cpu)) continue;
            at_compute cp;
            assert_int_equal(at_compute_open(&cp, &c), AT_OK);
            bf16(&cp);
            at_compute_close(&cp);
        }
    }
}

/* Whatever allocation fails, the status says so and nothing leaks. */
static void test_oom(void **state) {
    (void)state;
    at_ctx c;
    at_ctx_init(&c, 2);
    problem p = make(&c, (const int64_t[]){5, 6}, 2, 8, 8, 1);
    for (int direction = 0; direction < 2; direction++) {
        int failures = 0;
        for (int64_t at = 1;; at++) {
            at_compute cp;
            assert_int_equal(at_compute_open(&cp, &c), AT_OK);
            c.fail_after = at;
            const at_status s = direction ? outer(&cp, &p) : product(&cp, &p, false, false);
            c.fail_after = 0;
            at_compute_close(&cp);
            if (!s) break;
            assert_int_equal(s, AT_OOM);
            assert_int_equal(c.status, AT_OOM);
            failures++;
        }
        assert_int_equal(failures, 2);
    }
    drop(&p);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_loads),   cmocka_unit_test(test_widths),
        cmocka_unit_test(test_blocks),  cmocka_unit_test(test_nothing),
        cmocka_unit_test(test_threads), cmocka_unit_test(test_oom),
        cmocka_unit_test(test_bf16),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
