/*
 * test_kernels.c - every instruction set of this machine against plain loops within error bounds,
 * and against each other to the bit: all lengths from 0 to 199, unaligned starts, nothing written
 * outside.  With --bench each kernel is also timed against the plain loops.
 */
#include "base/clock.h"
#include "base/cpu.h"
#include "base/maths.h"
#include "check.h"
#include "kernel/kernel.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The reference twice: with fmaf of the C library, and with that of the processor. */
static const struct {
    const char *name;
    unsigned features;
} SETS[] = {{"ref", 0},
            {"ref", AT_CPU_FMA},
            {"avx2", AT_CPU_AVX2},
            {"avx512", AT_CPU_AVX2 | AT_CPU_AVX512}};
enum { N_SETS = sizeof SETS / sizeof SETS[0] };

enum { LEN = 256, BENCH = 4096, PAD = 8, ARRAYS = 4, LONGEST = 199 };

/* The arrays a kernel may touch and the numbers it returns. */
typedef struct vars {
    at_real v[ARRAYS][BENCH + PAD];
    double out[2];
} vars;

/* A row: how to call the kernel on arrays that start at `at`. */
typedef struct row {
    const char *name;
    int64_t least; /* shortest length allowed */
    double bound;  /* |got - ref| <= bound (1 + |ref|), of sums bound (n + |ref|) */
    void (*call)(const at_kernels *k, int64_t n, int at, vars *s);
} row;

#define CALL(f) static void f(const at_kernels *k, int64_t n, int at, vars *s)
#define V(i)    (s->v[i] + at)

CALL(c_acc) { k->acc(n, V(0), V(1)); }
CALL(c_axpy) { k->axpy(n, (at_real)0.7, V(0), V(1)); }
CALL(c_add) { k->add(n, V(0), V(1), V(2)); }
CALL(c_add_onto) { k->add(n, V(0), V(1), V(0)); }
CALL(c_scale) { k->scale(n, (at_real)-1.3, V(0)); }
CALL(c_dot) { s->out[0] = (double)k->dot(n, V(0), V(1)); }
CALL(c_sumsq) { s->out[0] = k->sumsq(n, V(0)); }
CALL(c_max) { s->out[0] = (double)k->max(n, V(0)); }
CALL(c_expsum) { s->out[0] = (double)k->expsum(n, 3, 1, V(0), V(1)); }
CALL(c_expsum_onto) { s->out[0] = (double)k->expsum(n, -3, 0, V(0), V(0)); }
CALL(c_ln) {
    static double x[BENCH];
    for (int64_t i = 0; i < n; i++) x[i] = fabs((double)V(0)[i]) + 1e-9;
    k->ln(n, x, x);
    for (int64_t i = 0; i < n; i++) V(1)[i] = (at_real)x[i];
}
CALL(c_gelu) { k->gelu(n, V(0), V(1)); }
CALL(c_gelu_grad) { k->gelu_grad(n, V(0), V(1), V(2)); }
CALL(c_gelu_erf) { k->gelu_erf(n, V(0), V(1)); }
CALL(c_gelu_erf_grad) { k->gelu_erf_grad(n, V(0), V(1), V(2)); }

CALL(c_swiglu) { k->swiglu(n, V(0), V(1), V(2)); }
CALL(c_swiglu_grad) { k->swiglu_grad(n, V(0), V(1), V(1), V(2), V(3)); }

static void norm(const at_kernels *k, int64_t n, int at, vars *s, const at_real *b) {
    at_real mean, rstd;
    k->layernorm(n, (at_real)1e-5, V(0), V(1), b, V(3), &mean, &rstd);
    s->out[0] = (double)mean;
    s->out[1] = (double)rstd;
}
CALL(c_layernorm) { norm(k, n, at, s, V(2)); }
CALL(c_layernorm_nobias) { norm(k, n, at, s, NULL); }

static const at_real MEAN = (at_real)0.1, RSTD = (at_real)1.7;
CALL(c_norm_grad) { k->layernorm_grad(n, V(0), V(1), MEAN, RSTD, V(1), V(2), V(3), NULL); }
CALL(c_norm_grad_db) { k->layernorm_grad(n, V(0), V(1), MEAN, RSTD, V(1), V(2), NULL, V(3)); }
CALL(c_norm_grad_only) { k->layernorm_grad(n, V(0), V(1), MEAN, RSTD, V(1), NULL, V(2), V(3)); }
CALL(c_adamw) {
    const at_adamw h = {.lr = (at_real)1e-2,
                        .b1 = (at_real)0.9,
                        .b2 = (at_real)0.95,
                        .eps = (at_real)1e-8,
                        .wd = (at_real)0.1,
                        .clip = (at_real)0.5,
                        .c1 = (at_real)3,
                        .c2 = (at_real)7};
    for (int64_t i = 0; i < n; i++) V(3)[i] = V(3)[i] * V(3)[i]; /* second moments are positive */
    k->adamw(n, V(0), V(1), V(2), V(3), &h);
}

/* Blocks of 32 columns; n counts values, so rows come and go with it. */
enum { BLOCK = 32 };
CALL(c_soft_down) {
    if (n >= BLOCK) k->softmax_columns(n / BLOCK, BLOCK, (at_real)0.7, V(0), V(1), V(2));
}
CALL(c_soft_grad) {
    k->softmax_columns_grad(n / BLOCK, BLOCK, (at_real)0.7, s->v[2], s->v[3], V(0), V(1));
}

CALL(c_stick_down) {
    const int64_t rows = n / BLOCK;
    at_real left[BLOCK];
    for (int j = 0; j < BLOCK; j++) left[j] = (at_real)(j + 1) / BLOCK;
    const bool some = k->stick_columns(rows, BLOCK, (at_real)1.3, V(0), V(1), left);
    for (int j = 0; j < BLOCK; j++) s->out[0] += (double)left[j];
    s->out[1] = some;
}
CALL(c_stick_down_only) {
    at_real left[BLOCK] = {0, 1};
    (void)k->stick_columns(n / BLOCK, BLOCK, (at_real)9, V(0), NULL, left);
    s->out[0] = (double)left[1];
}
CALL(c_stick_grad) {
    at_real sum[BLOCK] = {0, 1};
    for (int64_t i = 0; i < n; i++) V(1)[i] /= 4; /* a share is at most half */
    k->stick_columns_grad(n / BLOCK, BLOCK, (at_real)0.7, V(0), V(1), sum, V(2));
    for (int j = 0; j < BLOCK; j++) s->out[0] += (double)sum[j];
}
CALL(c_logistic) { k->logistic(n, (at_real)-2, V(0), V(1), V(2)); }
CALL(c_logistic_onto) { k->logistic(n, 30, V(0), V(0), V(2)); }

CALL(c_widen) {
    uint16_t x[LEN + PAD];
    for (int i = 0; i < LEN + PAD; i++) x[i] = (uint16_t)(i * 251 + 7);
    k->widen(n < LEN ? n : LEN, x + at, V(0));
}

static const row ROWS[] = {
    {"widen", 0, 0, c_widen},
    {"acc", 0, 0, c_acc},
    {"axpy", 0, 2e-7, c_axpy},
    {"add", 0, 0, c_add},
    {"add in place", 0, 0, c_add_onto},
    {"scale", 0, 0, c_scale},
    {"dot", 0, 2e-7, c_dot},
    {"sumsq", 0, 1e-15, c_sumsq},
    {"max", 1, 0, c_max},
    {"expsum", 0, 4e-7, c_expsum},
    {"expsum in place", 0, 4e-7, c_expsum_onto},
    {"ln", 0, 0, c_ln},
    {"gelu", 0, 3e-7, c_gelu},
    {"gelu_grad", 0, 1e-6, c_gelu_grad},
    {"gelu_erf", 0, 3e-7, c_gelu_erf},
    {"gelu_erf_grad", 0, 1e-6, c_gelu_erf_grad},
    {"swiglu", 0, 4e-7, c_swiglu},
    {"swiglu_grad", 0, 1e-6, c_swiglu_grad},
    {"layernorm", 1, 4e-6, c_layernorm},
    {"layernorm, no bias", 1, 4e-6, c_layernorm_nobias},
    {"layernorm_grad dx dg", 1, 2e-6, c_norm_grad},
    {"layernorm_grad dx db", 1, 2e-6, c_norm_grad_db},
    {"layernorm_grad dg db", 1, 2e-6, c_norm_grad_only},
    {"adamw", 0, 1e-6, c_adamw},
    {"softmax_columns", 0, 1e-6, c_soft_down},
    {"softmax_columns_grad", 0, 2e-6, c_soft_grad},
    {"stick_columns", 0, 1e-6, c_stick_down},
    {"stick_columns, p only", 0, 1e-6, c_stick_down_only},
    {"stick_columns_grad", 0, 2e-6, c_stick_grad},
    {"logistic", 0, 4e-7, c_logistic},
    {"logistic in place", 0, 4e-7, c_logistic_onto},
};
enum { N_ROWS = sizeof ROWS / sizeof ROWS[0] };

static void fill(vars *s) {
    uint64_t x = 88172645463325252u;
    for (int a = 0; a < ARRAYS; a++)
        for (int i = 0; i < BENCH + PAD; i++) {
            x ^= x << 13;
            x ^= x >> 7;
            x ^= x << 17;
            s->v[a][i] = (at_real)(x >> 40) / (at_real)(1 << 22) - 2;
        }
    s->out[0] = s->out[1] = 0;
}

static void near(const char *set, const char *what, int64_t n, double got, double ref,
                 double allowed) {
    if (!(fabs(got - ref) <= allowed))
        fail_msg("%s %s, n = %lld: %.9g, reference %.9g", set, what, (long long)n, got, ref);
}

static void compare(const at_kernels *k, const row *r, const vars *start, vars *ref, vars *got) {
    at_kernels plain;
    at_kernels_plain(&plain);
    for (int64_t n = r->least; n <= LONGEST; n++)
        for (int at = 0; at < 3; at++) {
            memcpy(ref, start, sizeof *ref);
            memcpy(got, start, sizeof *got);
            r->call(&plain, n, at, ref);
            r->call(k, n, at, got);
            for (int a = 0; a < ARRAYS; a++)
                for (int i = 0; i < LEN; i++)
                    if (i < at || i >= at + n) {
                        if (got->v[a][i] != start->v[a][i])
                            fail_msg("%s %s, n = %lld: wrote outside", k->name, r->name,
                                     (long long)n);
                    } else
                        near(k->name, r->name, n, (double)got->v[a][i], (double)ref->v[a][i],
                             r->bound * (1 + fabs((double)ref->v[a][i])));
            for (int o = 0; o < 2; o++)
                near(k->name, r->name, n, got->out[o], ref->out[o],
                     r->bound * ((double)n + fabs(ref->out[o])));
        }
}

static void each_set(void (*f)(const at_kernels *)) {
    const unsigned have = at_cpu_features();
    for (int s = 0; s < N_SETS; s++) {
        if ((SETS[s].features & have) != SETS[s].features) continue;
        at_kernels k;
        at_kernels_fill(&k, SETS[s].features);
        assert_string_equal(k.name, SETS[s].name);
        f(&k);
    }
}

static void rows(const at_kernels *k) {
    vars *v = malloc(3 * sizeof *v);
    assert_non_null(v);
    fill(&v[0]);
    for (int r = 0; r < N_ROWS; r++) compare(k, &ROWS[r], &v[0], &v[1], &v[2]);
    free(v);
}

static void test_rows(void **state) {
    (void)state;
    each_set(rows);
}

/* ---- one arithmetic ---- */

static void same(const at_kernels *k, const char *what, int64_t n, const void *ref, const void *got,
                 size_t bytes) {
    if (memcmp(ref, got, bytes) != 0)
        fail_msg("%s %s, n = %lld: other bits than the portable reference", k->name, what,
                 (long long)n);
}

static void rows_agree(const at_kernels *k) {
    vars *v = malloc(3 * sizeof *v);
    assert_non_null(v);
    fill(&v[0]);
    at_kernels ref;
    at_kernels_ref(&ref);
    for (int r = 0; r < N_ROWS; r++)
        for (int64_t n = ROWS[r].least; n <= LONGEST; n++) {
            memcpy(&v[1], &v[0], sizeof *v);
            memcpy(&v[2], &v[0], sizeof *v);
            ROWS[r].call(&ref, n, 1, &v[1]);
            ROWS[r].call(k, n, 1, &v[2]);
            same(k, ROWS[r].name, n, &v[1], &v[2], sizeof *v);
        }
    free(v);
}

/* exp from subnormal results to infinite ones; NaN gives NaN in every instruction set. */
static void exp_agrees(const at_kernels *k) {
    enum { STEPS = 100000 };
    at_real x[16], y[16], z[16];
    at_kernels ref;
    at_kernels_ref(&ref);
    for (int i = 0; i < STEPS; i += 16) {
        for (int j = 0; j < 16; j++) x[j] = (at_real)(-120.0 + 240.0 * (i + j) / STEPS);
        (void)ref.expsum(16, 1, 0, x, y);
        (void)k->expsum(16, 1, 0, x, z);
        same(k, "exp", i, y, z, sizeof y);
    }
}

/* Logarithms are those of at_ln, numbers that are none and the smallest ones among the others, too. */
static void ln_agrees(const at_kernels *k) {
    enum { MOST = 200 };
    static const double odd[] = {0,         -0.0,     -1,        0x1p-1074, 0x1p-1023,
                                 0x1p-1022, INFINITY, -INFINITY, NAN};
    double x[MOST], y[MOST + 1], z[MOST];
    for (int round = 0; round < 40; round++) {
        const int n = round * 5;
        for (int i = 0; i < n; i++)
            x[i] = ldexp(1 + (double)((i * 7919 + round * 104729) % 10007) / 10007,
                         round % 4 ? i * 31 % 2000 - 1000 : i % 3 - 1);
        if (round % 3 == 0 && n) x[n * 5 / 7 % n] = odd[round / 3 % 9];
        for (int i = 0; i < n; i++) z[i] = at_ln(x[i]);
        y[n] = 5;
        k->ln(n, x, y);
        same(k, "ln", n, z, y, (size_t)n * sizeof *z);
        assert_true(y[n] == 5);
        k->ln(n, x, x);
        same(k, "ln in place", n, z, x, (size_t)n * sizeof *z);
    }
}

/* The kernels that read B, in both types, on odd sizes. */
static void few_agree(const at_kernels *k) {
    enum { M = 4, N = 37, K = 75 };
    static at_real a[M][K], b[N * K], c[2][M][N];
    static uint16_t b16[N * K];
    at_kernels ref;
    at_kernels_ref(&ref);
    for (int i = 0; i < M * K; i++) a[i / K][i % K] = (at_real)sin(i);
    for (int i = 0; i < N * K; i++) b[i] = (at_real)cos(i), b16[i] = (uint16_t)(0x3e80 + i % 300);
    for (int m = 1; m <= M; m++)
        for (int form = 0; form < 8; form++) {
            const bool turn = form & 1, half = form & 2, plus = form & 4;
            for (int set = 0; set < 2; set++) {
                const at_real *rows[M];
                at_real *out[M];
                for (int i = 0; i < m; i++) {
                    rows[i] = a[i];
                    out[i] = c[set][i];
                    for (int j = 0; j < N; j++) out[i][j] = (at_real)(i - j);
                }
                const at_few_tile t = {.n = N,
                                       .k = K,
                                       .a = rows,
                                       .b = half ? NULL : b,
                                       .b16 = half ? b16 : NULL,
                                       .ldb = turn ? K : N,
                                       .add = plus,
                                       .c = out};
                (set ? k : &ref)->few_rows(m, turn, &t);
            }
            same(k, "few_rows", form, c[0], c[1], sizeof c[0]);
        }
}

static void test_agreement(void **state) {
    (void)state;
    each_set(rows_agree);
    each_set(exp_agrees);
    each_set(ln_agrees);
    each_set(few_agree);
}

/* ---- exp over its whole range, and what is no number ---- */

static void exponential(const at_kernels *k) {
    enum { STEPS = 20000 };
    for (int i = 0; i <= STEPS; i += 16) {
        at_real x[16], y[16];
        for (int j = 0; j < 16; j++) x[j] = (at_real)(-90.0 + 178.5 * (i + j) / (STEPS + 16));
        (void)k->expsum(16, 1, 0, x, y);
        for (int j = 0; j < 16; j++) {
            const double e = exp((double)x[j]);
            near(k->name, "exp", 16, (double)y[j], e, 3e-7 * e + 1e-44);
        }
    }
    at_real x[5] = {(at_real)-INFINITY, -150, 100, (at_real)NAN, 0}, y[5];
    (void)k->expsum(5, 1, 0, x, y);
    assert_true(y[0] == 0 && y[1] == 0 && y[4] == 1);
    assert_true(isinf(y[2]) && isnan(y[3]));
}

static void test_exp(void **state) {
    (void)state;
    each_set(exponential);
}

static void far_gelu(const at_kernels *k) {
    at_real x[6] = {-1000, -20, -8, 8, 20, 1000}, y[6], d[6] = {0}, e[6], f[6] = {0};
    const at_real one[6] = {1, 1, 1, 1, 1, 1};
    k->gelu(6, x, y);
    k->gelu_grad(6, x, one, d);
    k->gelu_erf(6, x, e);
    k->gelu_erf_grad(6, x, one, f);
    for (int i = 0; i < 6; i++) {
        near(k->name, "gelu far out", 6, (double)y[i], i < 3 ? 0 : (double)x[i], 1e-6);
        near(k->name, "gelu_grad far out", 6, (double)d[i], i < 3 ? 0 : 1, 1e-6);
        near(k->name, "gelu_erf far out", 6, (double)e[i], i < 3 ? 0 : (double)x[i], 1e-6);
        near(k->name, "gelu_erf_grad far out", 6, (double)f[i], i < 3 ? 0 : 1, 1e-6);
    }
    at_real nan = (at_real)NAN;
    k->gelu(1, &nan, y);
    k->gelu_erf(1, &nan, y + 1);
    assert_true(isnan(y[0]) && isnan(y[1]));
}

/* The erf form over all its pieces, tails to their last digits. */
static void every_erf(const at_kernels *k) {
    at_real x[2000], y[2000], d[2000] = {0}, one[2000];
    for (int i = 0; i < 2000; i++) {
        x[i] = (at_real)(i - 1000) / 100;
        one[i] = 1;
    }
    k->gelu_erf(2000, x, y);
    k->gelu_erf_grad(2000, x, one, d);
    for (int i = 0; i < 2000; i++) {
        const double v = (double)x[i], below = 0.5 * erfc(-v * 0.70710678118654752440);
        const double slope = below + v * exp(-0.5 * v * v) * 0.39894228040143267794;
        near(k->name, "gelu_erf", i, (double)y[i], v * below, 4e-6 * fabs(v * below) + 1e-37);
        near(k->name, "gelu_erf_grad", i, (double)d[i], slope, 4e-7);
    }
}

static void test_far_gelu(void **state) {
    (void)state;
    each_set(far_gelu);
    each_set(every_erf);
}

/* Both ends of the logistic function keep their digits; sticks end at 2^-64;
   -infinity takes nothing; not a number is not hidden. */
static void far_sticks(const at_kernels *k) {
    at_real x[8] = {-80, -20, -1, 0, 1, 20, 80, (at_real)-INFINITY}, b[8], rest[8];
    k->logistic(8, 1, x, b, rest);
    for (int i = 0; i < 7; i++) {
        const double e = exp(-(double)x[i]), f = exp((double)x[i]);
        near(k->name, "logistic", 8, (double)b[i], 1 / (1 + e), 4e-7 / (1 + e));
        near(k->name, "1 - logistic", 8, (double)rest[i], 1 / (1 + f), 4e-7 / (1 + f));
    }
    assert_true(b[7] == 0 && rest[7] == 1);
    at_real block[3 * BLOCK], left[BLOCK];
    for (int i = 0; i < 3 * BLOCK; i++) block[i] = 40;
    for (int j = 0; j < BLOCK; j++) left[j] = 1;
    assert_false(k->stick_columns(3, BLOCK, 1, block, NULL, left)); /* e^-80 */
    for (int j = 0; j < BLOCK; j++) {
        assert_true(left[j] == 0 && block[j] == 0);
        assert_true(block[BLOCK + j] > 0 && block[2 * BLOCK + j] == 1);
    }
    for (int i = 0; i < BLOCK; i++) block[i] = 22; /* 1 - beta = e^-22 = 2^-31.7 */
    for (int i = 0; i < BLOCK; i++) block[BLOCK + i] = (at_real)22.3; /* 2^-32.2 */
    for (int j = 0; j < BLOCK; j++) left[j] = 1;
    assert_true(k->stick_columns(2, BLOCK, 1, block, NULL, left)); /* 2^-63.9 */
    for (int j = 0; j < BLOCK; j++) assert_true(left[j] > 0 && block[j] > 0);
    for (int i = 0; i < 2 * BLOCK; i++) block[i] = (at_real)22.3;
    for (int j = 0; j < BLOCK; j++) left[j] = 1;
    assert_false(k->stick_columns(2, BLOCK, 1, block, NULL, left)); /* 2^-64.3 */
    for (int j = 0; j < BLOCK; j++) assert_true(left[j] == 0 && block[j] > 0);
    for (int j = 0; j < BLOCK; j++) {
        block[j] = j == 3 ? (at_real)NAN : (at_real)-INFINITY;
        left[j] = (at_real)0.5;
    }
    assert_true(k->stick_columns(1, BLOCK, 1, block, NULL, left));
    for (int j = 0; j < BLOCK; j++)
        assert_true(j == 3 ? isnan(block[j]) && isnan(left[j])
                           : block[j] == 0 && left[j] == (at_real)0.5);
}

/* Without a gradient moments shrink to 0 and do not stay subnormal numbers. */
static void idle_moments(const at_kernels *k) {
    const at_adamw h = {
        .b1 = (at_real)0.9, .b2 = (at_real)0.95, .c1 = 1, .c2 = 1, .eps = (at_real)1e-8, .clip = 1};
    at_real p[19], g[19] = {0}, m[19], v[19];
    for (int i = 0; i < 19; i++) {
        p[i] = 1;
        m[i] = 3 * AT_REAL_TINY * (i % 2 ? -1 : 1);
        v[i] = 3 * AT_REAL_TINY;
    }
    k->adamw(19, p, g, m, v, &h);
    for (int i = 0; i < 19; i++) assert_true(m[i] != 0 && v[i] != 0);
    for (int t = 0; t < 40; t++) k->adamw(19, p, g, m, v, &h);
    for (int i = 0; i < 19; i++) assert_true(m[i] == 0 && v[i] == 0 && p[i] == 1);
}

static void test_idle_moments(void **state) {
    (void)state;
    at_kernels plain;
    at_kernels_plain(&plain);
    idle_moments(&plain);
    each_set(idle_moments);
}

static void test_far_sticks(void **state) {
    (void)state;
    at_kernels plain;
    at_kernels_plain(&plain);
    far_sticks(&plain);
    each_set(far_sticks);
}

/* ---- packing ---- */

static void packing(const at_kernels *k) {
    enum { ROWS_MAX = 40, LD = 103, PANELS = 40 * 112 };
    static at_real x[LD * LD], got[PANELS + 16], ref[PANELS + 16];
    static const int widths[] = {4, 6, 8, 14, 16, 32};
    at_kernels plain;
    at_kernels_plain(&plain);
    for (int i = 0; i < LD * LD; i++) x[i] = (at_real)(i + 1);
    for (size_t w = 0; w < sizeof widths / sizeof widths[0]; w++)
        for (int64_t depth = 0; depth <= ROWS_MAX; depth++)
            for (int64_t n = 1; n <= 70; n += n < 40 ? 1 : 7)
                for (int turn = 0; turn < 2; turn++) {
                    for (int i = 0; i < PANELS + 16; i++) got[i] = ref[i] = -1;
                    (turn ? plain.pack_transposed : plain.pack)(depth, n, widths[w], x, LD, ref);
                    (turn ? k->pack_transposed : k->pack)(depth, n, widths[w], x, LD, got);
                    if (memcmp(ref, got, sizeof ref) != 0)
                        fail_msg("%s pack %s: width %d, %lld x %lld", k->name,
                                 turn ? "turn" : "copy", widths[w], (long long)depth, (long long)n);
                }
}

/* Bit by bit: zeros of both signs, the smallest numbers, infinities; NaN stays NaN. */
static void widening(const at_kernels *k) {
    enum { N = 37 };
    static const uint16_t bits[7] = {0, 0x8000, 1, 0x3f80, 0xc020, 0x7f80, 0xff80};
    static const float values[7] = {0, -0.0f, 0x1p-133f, 1, -2.5f, INFINITY, -INFINITY};
    uint16_t x[N];
    at_real y[N];
    for (int i = 0; i < N; i++) x[i] = i == N - 2 ? 0x7fc1 : bits[i % 7];
    k->widen(N, x, y);
    for (int i = 0; i < N; i++) {
        if (i == N - 2)
            assert_true(isnan(y[i]));
        else
            assert_true(y[i] == (at_real)values[i % 7] &&
                        !signbit(y[i]) == !signbit(values[i % 7]));
    }
}

static void test_widening(void **state) {
    (void)state;
    at_kernels plain;
    at_kernels_plain(&plain);
    widening(&plain);
    each_set(widening);
}

static void test_packing(void **state) {
    (void)state;
    at_kernels plain;
    at_kernels_plain(&plain);
    const at_real x[6] = {1, 2, 3, 4, 5, 6}; /* 2 x 3 */
    at_real p[8];
    plain.pack(2, 3, 2, x, 3, p);
    const at_real copied[8] = {1, 2, 4, 5, 3, 0, 6, 0};
    assert_memory_equal(p, copied, sizeof p);
    plain.pack_transposed(3, 2, 2, x, 3, p);
    const at_real turned[6] = {1, 4, 2, 5, 3, 6};
    assert_memory_equal(p, turned, sizeof turned);
    each_set(packing);
}

/* ---- speed ---- */

static double time_of(const at_kernels *k, const row *r, const vars *start, vars *s) {
    enum { REPEATS = 30, CALLS = 50 };
    double best = 1e30;
    for (int rep = 0; rep < REPEATS; rep++) {
        memcpy(s, start, sizeof *s);
        const double t = at_now();
        for (int i = 0; i < CALLS; i++) r->call(k, BENCH, 0, s);
        const double took = (at_now() - t) / CALLS;
        if (took < best) best = took;
    }
    return best;
}

static void bench(void) {
    vars *v = malloc(2 * sizeof *v);
    if (!v) return;
    fill(&v[0]);
    at_kernels plain;
    at_kernels_plain(&plain);
    const unsigned have = at_cpu_features();
    printf("%d values            ns/value:  ref", BENCH);
    for (int s = 0; s < N_SETS; s++) printf("  %7s", SETS[s].name);
    printf("\n");
    for (int r = 0; r < N_ROWS; r++) {
        const double ref = time_of(&plain, &ROWS[r], &v[0], &v[1]);
        printf("%-24s %14.3f", ROWS[r].name, 1e9 * ref / BENCH);
        for (int s = 0; s < N_SETS; s++) {
            if ((SETS[s].features & have) != SETS[s].features) continue;
            at_kernels k;
            at_kernels_fill(&k, SETS[s].features);
            printf("  %7.3f", 1e9 * time_of(&k, &ROWS[r], &v[0], &v[1]) / BENCH);
        }
        printf("\n");
    }
    free(v);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),         cmocka_unit_test(test_exp),
        cmocka_unit_test(test_far_gelu),     cmocka_unit_test(test_far_sticks),
        cmocka_unit_test(test_idle_moments), cmocka_unit_test(test_packing),
        cmocka_unit_test(test_widening),     cmocka_unit_test(test_agreement),
    };
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    if (argc > 1 && !strcmp(argv[1], "--bench")) bench();
    return failed;
}
