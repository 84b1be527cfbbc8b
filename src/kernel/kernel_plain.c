/*
 * kernel_plain.c - what every kernel computes, in plain loops: sums in double, exp and tanh from
 * libm.
 *
 * The double build (gradient checks) has no other kernels, and the tests compare all others with
 * these.  They are no part of the library, since their bits depend on compiler and libm.
 */
#include "base/half.h"
#include "base/maths.h"
#include "kernel/kernel.h"
#include <math.h>

#ifdef AT_REAL_DOUBLE
static at_real real_exp(at_real x) { return exp(x); }
static at_real real_tanh(at_real x) { return tanh(x); }
static at_real real_sqrt(at_real x) { return sqrt(x); }
static at_real real_abs(at_real x) { return fabs(x); }
#else
static at_real real_exp(at_real x) { return expf(x); }
static at_real real_tanh(at_real x) { return tanhf(x); }
static at_real real_sqrt(at_real x) { return sqrtf(x); }
static at_real real_abs(at_real x) { return fabsf(x); }
#endif

static void acc(int64_t n, const at_real *x, at_real *y) {
    for (int64_t i = 0; i < n; i++) y[i] += x[i];
}

static void axpy(int64_t n, at_real a, const at_real *x, at_real *y) {
    for (int64_t i = 0; i < n; i++) y[i] += a * x[i];
}

static void add(int64_t n, const at_real *x, const at_real *y, at_real *z) {
    for (int64_t i = 0; i < n; i++) z[i] = x[i] + y[i];
}

static void scale(int64_t n, at_real a, at_real *x) {
    for (int64_t i = 0; i < n; i++) x[i] *= a;
}

static at_real dot(int64_t n, const at_real *x, const at_real *y) {
    double s = 0;
    for (int64_t i = 0; i < n; i++) s += (double)x[i] * (double)y[i];
    return (at_real)s;
}

static double sumsq(int64_t n, const at_real *x) {
    double s = 0;
    for (int64_t i = 0; i < n; i++) s += (double)x[i] * (double)x[i];
    return s;
}

static at_real max(int64_t n, const at_real *x) {
    at_real m = x[0];
    for (int64_t i = 1; i < n; i++) m = x[i] > m ? x[i] : m;
    return m;
}

static void ln(int64_t n, const double *x, double *y) {
    for (int64_t i = 0; i < n; i++) y[i] = at_ln(x[i]);
}

static at_real expsum(int64_t n, at_real a, at_real shift, const at_real *x, at_real *y) {
    double s = 0;
    for (int64_t i = 0; i < n; i++) {
        y[i] = real_exp(a * (x[i] - shift));
        s += (double)y[i];
    }
    return (at_real)s;
}

/* sqrt(2/pi) and the cubic term of the tanh form (Hendrycks & Gimpel 2016, arXiv 1606.08415). */
static const at_real K0 = (at_real)0.79788456080286535588, K1 = (at_real)0.044715;
static const at_real HALF = (at_real)0.5;

static void gelu(int64_t n, const at_real *x, at_real *y) {
    for (int64_t i = 0; i < n; i++) {
        const at_real v = x[i];
        y[i] = HALF * v * (1 + real_tanh(K0 * (v + K1 * v * v * v)));
    }
}

static void gelu_grad(int64_t n, const at_real *x, const at_real *dy, at_real *dx) {
    for (int64_t i = 0; i < n; i++) {
        const at_real v = x[i], t = real_tanh(K0 * (v + K1 * v * v * v));
        const at_real d = HALF * (1 + t) + HALF * v * (1 - t * t) * K0 * (1 + 3 * K1 * v * v);
        dx[i] += d * dy[i];
    }
}

/* Phi(x), the distribution function of the standard normal. */
static double normal_below(double x) { return 0.5 * erfc(-x * 0.70710678118654752440); }

static void gelu_erf(int64_t n, const at_real *x, at_real *y) {
    for (int64_t i = 0; i < n; i++) y[i] = (at_real)((double)x[i] * normal_below((double)x[i]));
}

static void gelu_erf_grad(int64_t n, const at_real *x, const at_real *dy, at_real *dx) {
    for (int64_t i = 0; i < n; i++) { /* gelu'(x) = Phi(x) + x phi(x) */
        const double v = (double)x[i];
        const double d = normal_below(v) + v * exp(-0.5 * v * v) * 0.39894228040143267794;
        dx[i] += (at_real)(d * (double)dy[i]);
    }
}

/* 1 / (1 + e^-x); where e^-x is infinite this is 0. */
static double logistic_of(double x) { return 1 / (1 + exp(-x)); }

static void swiglu(int64_t n, const at_real *h, const at_real *g, at_real *y) {
    for (int64_t i = 0; i < n; i++)
        y[i] = (at_real)((double)h[i] * logistic_of((double)h[i]) * (double)g[i]);
}

static void swiglu_grad(int64_t n, const at_real *h, const at_real *g, const at_real *dy,
                        at_real *dh, at_real *dg) {
    for (int64_t i = 0; i < n; i++) {
        const double x = (double)h[i], s = logistic_of(x), d = (double)dy[i];
        dh[i] += (at_real)(d * (double)g[i] * s * (1 + x * (1 - s)));
        dg[i] += (at_real)(d * x * s);
    }
}

static void layernorm(int64_t c, at_real eps, const at_real *x, const at_real *g, const at_real *b,
                      at_real *y, at_real *mean, at_real *rstd) {
    double s = 0, v = 0;
    for (int64_t i = 0; i < c; i++) s += (double)x[i];
    const double mu = s / (double)c;
    for (int64_t i = 0; i < c; i++) v += ((double)x[i] - mu) * ((double)x[i] - mu);
    const at_real m = (at_real)mu, r = 1 / real_sqrt((at_real)(v / (double)c) + eps);
    for (int64_t i = 0; i < c; i++) y[i] = g[i] * ((x[i] - m) * r) + (b ? b[i] : 0);
    *mean = m;
    *rstd = r;
}

static void layernorm_grad(int64_t c, const at_real *x, const at_real *g, at_real mean,
                           at_real rstd, const at_real *dy, at_real *dx, at_real *dg, at_real *db) {
    double s0 = 0, s1 = 0; /* sums of d and of d xhat, d = dy g */
    for (int64_t i = 0; i < c; i++) {
        const at_real h = (x[i] - mean) * rstd;
        s0 += (double)(dy[i] * g[i]);
        s1 += (double)(dy[i] * g[i] * h);
        if (dg) dg[i] += dy[i] * h;
        if (db) db[i] += dy[i];
    }
    if (!dx) return;
    const at_real m0 = (at_real)(s0 / (double)c), m1 = (at_real)(s1 / (double)c);
    for (int64_t i = 0; i < c; i++) dx[i] += rstd * (dy[i] * g[i] - m0 - (x[i] - mean) * rstd * m1);
}

static void softmax_columns(int64_t n, int w, at_real a, at_real *x, at_real *top, at_real *sum) {
    for (int j = 0; j < w; j++) {
        top[j] = x[j];
        for (int64_t i = 1; i < n; i++) top[j] = x[i * w + j] > top[j] ? x[i * w + j] : top[j];
        double s = 0;
        for (int64_t i = 0; i < n; i++) {
            at_real *v = x + i * w + j;
            *v = real_exp(a * (*v - top[j]));
            s += (double)*v;
        }
        sum[j] = (at_real)s;
    }
}

static void softmax_columns_grad(int64_t n, int w, at_real a, const at_real *lse,
                                 const at_real *shift, at_real *p, at_real *d) {
    for (int64_t i = 0; i < n; i++, p += w, d += w)
        for (int j = 0; j < w; j++) {
            p[j] = real_exp(a * p[j] - lse[i]);
            d[j] = a * p[j] * (d[j] - shift[i]);
        }
}

/* The exponent is never positive: beta and 1 - beta keep full precision at both ends. */
static void beta_of(at_real x, at_real *beta, at_real *rest) {
    const at_real t = real_exp(x < 0 ? x : -x), r = 1 / (1 + t);
    *beta = x < 0 ? t * r : r;
    *rest = x < 0 ? r : t * r;
}

static bool stick_columns(int64_t n, int w, at_real a, at_real *x, at_real *share, at_real *left) {
    for (int64_t i = n - 1; i >= 0; i--)
        for (int j = 0; j < w; j++) {
            at_real b, rest;
            beta_of(a * x[i * w + j], &b, &rest);
            if (share) share[i * w + j] = x[i * w + j] < 0 ? b : -rest;
            x[i * w + j] = b * left[j];
            left[j] *= rest;
            if (left[j] < AT_STICK_LEAST) left[j] = 0;
        }
    bool some = false;
    for (int j = 0; j < w; j++) some |= left[j] > 0;
    return some;
}

static void stick_columns_grad(int64_t n, int w, at_real a, const at_real *p, const at_real *share,
                               at_real *sum, at_real *d) {
    for (int64_t i = 0; i < n; i++)
        for (int j = 0; j < w; j++) {
            const at_real f = share[i * w + j], g = p[i * w + j] * d[i * w + j];
            const at_real beta = signbit(f) ? 1 + f : f, rest = signbit(f) ? -f : 1 - f;
            d[i * w + j] = a * (rest * g - beta * sum[j]);
            sum[j] += g;
        }
}

static void logistic(int64_t n, at_real a, const at_real *x, at_real *beta, at_real *rest) {
    for (int64_t i = 0; i < n; i++) beta_of(a * x[i], &beta[i], &rest[i]);
}

static void adamw(int64_t n, at_real *p, const at_real *g, at_real *m, at_real *v,
                  const at_adamw *h) {
    for (int64_t i = 0; i < n; i++) {
        const at_real d = h->clip * g[i];
        m[i] = h->b1 * m[i] + (1 - h->b1) * d;
        v[i] = h->b2 * v[i] + (1 - h->b2) * d * d;
        if (real_abs(m[i]) < AT_REAL_TINY) m[i] = 0;
        if (v[i] < AT_REAL_TINY) v[i] = 0;
        p[i] -= h->lr * (m[i] * h->c1 / (real_sqrt(v[i] * h->c2) + h->eps) + h->wd * p[i]);
    }
}

/* ---- matrix product ---- */

enum { MR = 4, NR = 8 };

static void tile(int64_t k, const at_real *a, const at_real *b, at_tile_mode mode, at_real *c,
                 int64_t ldc) {
    at_real s[MR][NR] = {{0}};
    for (int i = 0; i < MR && mode == AT_TILE_CONTINUE; i++)
        for (int j = 0; j < NR; j++) s[i][j] = c[i * ldc + j];
    for (int64_t l = 0; l < k; l++, a += MR, b += NR) {
#pragma GCC unroll 4
        for (int i = 0; i < MR; i++)
            for (int j = 0; j < NR; j++) s[i][j] += a[i] * b[j];
    }
    for (int i = 0; i < MR; i++)
        for (int j = 0; j < NR; j++) {
            at_real *y = c + i * ldc + j;
            *y = mode == AT_TILE_ADD ? *y + s[i][j] : s[i][j]; /* SET must not read C */
        }
}

static void pack_gathered(int64_t k, int64_t n, int w, const at_real *x, int64_t ldx,
                          const int64_t *row, at_real *p) {
    for (int64_t j = 0; j < n; j += w)
        for (int64_t l = 0; l < k; l++)
            for (int i = 0; i < w; i++) *p++ = j + i < n ? x[row[l] * ldx + j + i] : 0;
}

static void pack_gathered_transposed(int64_t k, int64_t n, int w, const at_real *x, int64_t ldx,
                                     const int64_t *row, at_real *p) {
    for (int64_t j = 0; j < n; j += w)
        for (int64_t l = 0; l < k; l++)
            for (int i = 0; i < w; i++) *p++ = j + i < n ? x[row[j + i] * ldx + l] : 0;
}

static void widen(int64_t n, const uint16_t *x, at_real *y) {
    for (int64_t i = 0; i < n; i++) y[i] = (at_real)at_f32_from_bf16(x[i]);
}

#define BT         at_real
#define OF_B(name) name
#define AS_REAL(v) (v)
#define TILE_B(t)  (t)->b
#include "kernel/kernel_plain_b.h"

#define BT         uint16_t
#define OF_B(name) name##16
#define AS_REAL(v) (at_real) at_f32_from_bf16(v)
#define TILE_B(t)  (t)->b16
#include "kernel/kernel_plain_b.h"

#include "kernel/kernel_by_type.h"

/* Enough independent chains to hide the latency of both operations when the compiler vectorises. */
static double burn(int64_t rounds, at_real *sink) {
    enum { CHAINS = 48 };
    at_real s[CHAINS], all = 0;
    const at_real a = (at_real)0.5, b = (at_real)0.25;
    for (int i = 0; i < CHAINS; i++) s[i] = (at_real)i;
    for (int64_t r = 0; r < rounds; r++)
        for (int i = 0; i < CHAINS; i++) s[i] = s[i] * a + b;
    for (int i = 0; i < CHAINS; i++) all += s[i];
    *sink = all;
    return 2.0 * CHAINS * (double)rounds;
}

void at_kernels_plain(at_kernels *k) {
    *k = (at_kernels){
        .name = "plain",
        .acc = acc,
        .axpy = axpy,
        .add = add,
        .scale = scale,
        .dot = dot,
        .sumsq = sumsq,
        .max = max,
        .expsum = expsum,
        .ln = ln,
        .gelu = gelu,
        .gelu_grad = gelu_grad,
        .gelu_erf = gelu_erf,
        .gelu_erf_grad = gelu_erf_grad,
        .swiglu = swiglu,
        .swiglu_grad = swiglu_grad,
        .layernorm = layernorm,
        .layernorm_grad = layernorm_grad,
        .softmax_columns = softmax_columns,
        .softmax_columns_grad = softmax_columns_grad,
        .stick_columns = stick_columns,
        .stick_columns_grad = stick_columns_grad,
        .logistic = logistic,
        .adamw = adamw,
        .mr = MR,
        .nr = NR,
        .tile = tile,
        .pack = pack,
        .pack_transposed = pack_transposed,
        .pack_gathered = pack_gathered,
        .pack_gathered_transposed = pack_gathered_transposed,
        .tile_rows = tile_rows_any,
        .few_rows = few_rows,
        .widen = widen,
        .pack16 = pack16,
        .pack_transposed16 = pack_transposed16,
        .burn = burn,
    };
}
