/*
 * kernel_vec.h - all kernels but matrix products, in terms of a vector `vf` of W = 16 floats.
 *
 * Included by kernel_avx512.c (where vf is one register), kernel_avx2.c (two) and kernel_ref.c (an
 * array) and by nobody else.  They first define vf, the functions listed here and the size of a
 * tile MR x NR, and so get the same kernels with the same bits.  Everything is static.
 *
 *   vzero vset1 vload vstore            whole vectors, no alignment needed
 *   vload_n(p,n) vstore_n(p,n,v)        the first n < W values, the rest zero / untouched
 *   vwiden(p) vwiden_n(p,n)             the same of BF16 values, as floats
 *   vkeep(v,n)                          lanes >= n set to zero
 *   vadd vsub vmul vdiv vmax vmin vsqrt lane by lane; vmax(a,b) gives b where either is NaN
 *   vpick(s,a,b)                        b in lanes where s is negative, else a
 *   vbig(v,least)                       lanes of a magnitude below `least` set to zero
 *   vfma(a,b,c) a b + c, vfnma c - a b  rounded once
 *   vround, vpow2(p,n)                  nearest integer; p 2^n for integral n, |n| < 300
 *   vsum, vmaxlane, vd_sum(v)           over all lanes: 16 -> 8 -> 4 -> 2 -> 1, half to half
 *   vd                                  8 doubles; vd_square(v,s) adds squares of lanes i and i + 8
 */
#include "base/maths.h"
#include "base/maths_ln.h"
#include "kernel/kernel.h"
#include <string.h>

/* ---- exp ---- */

/* exp(x) within 2 ulp: x = n ln 2 + r, polynomial on |r| <= ln 2 / 2 (coefficients of the Cephes
   library, S. Moshier).  Below -104 the result is 0, above 88.8 infinite, NaN stays NaN. */
static inline vf vexp(vf x) {
    x = vmax(vset1(-110.0f), vmin(vset1(110.0f), x));
    const vf n = vround(vmul(x, vset1(1.44269504088896341f)));
    vf r = vfnma(n, vset1(0.693359375f), x);
    r = vfnma(n, vset1(-2.12194440e-4f), r);
    vf p = vset1(1.9875691500e-4f);
    p = vfma(p, r, vset1(1.3981999507e-3f));
    p = vfma(p, r, vset1(8.3334519073e-3f));
    p = vfma(p, r, vset1(4.1665795894e-2f));
    p = vfma(p, r, vset1(1.6666665459e-1f));
    p = vfma(p, r, vset1(5.0000001201e-1f));
    p = vadd(vfma(vmul(r, r), p, r), vset1(1.0f));
    return vpow2(p, n);
}

/* ---- logarithms ---- */

enum { LOGS = 64 };

/* Blocks of one length in memory of their own, so that the compiler vectorises the loop, which has no
   branch; what is no normal number is rare. */
static void ln(int64_t n, const double *x, double *y) {
    for (int64_t i = 0; i < n; i += LOGS) {
        const int64_t here = n - i < LOGS ? n - i : LOGS;
        double v[LOGS];
        int normal = 1;
        memcpy(v, x + i, (size_t)here * sizeof *v);
        for (int64_t j = here; j < LOGS; j++) v[j] = 1;
        for (int j = 0; j < LOGS; j++) normal &= at_ln_is_normal(v[j]);
        if (normal)
            for (int j = 0; j < LOGS; j++) v[j] = at_ln_normal(v[j], 0);
        else
            for (int j = 0; j < LOGS; j++) v[j] = at_ln(v[j]);
        memcpy(y + i, v, (size_t)here * sizeof *v);
    }
}

/* ---- vectors ---- */

static void acc(int64_t n, const float *x, float *y) {
    int64_t i = 0;
    for (; i + W <= n; i += W) vstore(y + i, vadd(vload(y + i), vload(x + i)));
    if (i < n) vstore_n(y + i, n - i, vadd(vload_n(y + i, n - i), vload_n(x + i, n - i)));
}

static void axpy(int64_t n, float a, const float *x, float *y) {
    const vf va = vset1(a);
    int64_t i = 0;
    for (; i + W <= n; i += W) vstore(y + i, vfma(va, vload(x + i), vload(y + i)));
    if (i < n) vstore_n(y + i, n - i, vfma(va, vload_n(x + i, n - i), vload_n(y + i, n - i)));
}

static void add(int64_t n, const float *x, const float *y, float *z) {
    int64_t i = 0;
    for (; i + W <= n; i += W) vstore(z + i, vadd(vload(x + i), vload(y + i)));
    if (i < n) vstore_n(z + i, n - i, vadd(vload_n(x + i, n - i), vload_n(y + i, n - i)));
}

static void scale(int64_t n, float a, float *x) {
    const vf va = vset1(a);
    int64_t i = 0;
    for (; i + W <= n; i += W) vstore(x + i, vmul(va, vload(x + i)));
    if (i < n) vstore_n(x + i, n - i, vmul(va, vload_n(x + i, n - i)));
}

/* Four sums hide the latency of the additions. */
static float dot(int64_t n, const float *x, const float *y) {
    vf s[4] = {vzero(), vzero(), vzero(), vzero()};
    int64_t i = 0;
    for (; i + 4 * W <= n; i += 4 * W)
        for (int u = 0; u < 4; u++) s[u] = vfma(vload(x + i + u * W), vload(y + i + u * W), s[u]);
    for (; i + W <= n; i += W) s[0] = vfma(vload(x + i), vload(y + i), s[0]);
    if (i < n) s[1] = vfma(vload_n(x + i, n - i), vload_n(y + i, n - i), s[1]);
    return vsum(vadd(vadd(s[0], s[1]), vadd(s[2], s[3])));
}

static double sumsq(int64_t n, const float *x) {
    vd s = vd_zero();
    int64_t i = 0;
    for (; i + W <= n; i += W) s = vd_square(vload(x + i), s);
    if (i < n) s = vd_square(vload_n(x + i, n - i), s);
    return vd_sum(s);
}

static float max(int64_t n, const float *x) {
    vf m = vset1(x[0]);
    int64_t i = 0;
    for (; i + W <= n; i += W) m = vmax(vload(x + i), m);
    float r = vmaxlane(m);
    for (; i < n; i++) r = x[i] > r ? x[i] : r;
    return r;
}

static float expsum(int64_t n, float a, float shift, const float *x, float *y) {
    const vf va = vset1(a), vs = vset1(shift);
    vf s0 = vzero(), s1 = vzero();
    int64_t i = 0;
    for (; i + 2 * W <= n; i += 2 * W) {
        const vf e0 = vexp(vmul(va, vsub(vload(x + i), vs)));
        const vf e1 = vexp(vmul(va, vsub(vload(x + i + W), vs)));
        vstore(y + i, e0);
        vstore(y + i + W, e1);
        s0 = vadd(s0, e0);
        s1 = vadd(s1, e1);
    }
    for (; i < n; i += W) {
        const int64_t left = n - i < W ? n - i : W;
        const vf e = vkeep(vexp(vmul(va, vsub(vload_n(x + i, left), vs))), left);
        vstore_n(y + i, left, e);
        s0 = vadd(s0, e);
    }
    return vsum(vadd(s0, s1));
}

/* ---- activations ---- */

/* u with gelu(x) = x s(u), s the logistic function: (1 + tanh v) / 2 = s(2 v). */
static const float GELU_K = 2 * 0.79788456080286535588f, GELU_C = 0.044715f;

static inline vf gelu_gate(vf x, vf x2) {
    const vf u = vmul(vmul(vset1(-GELU_K), x), vfma(x2, vset1(GELU_C), vset1(1.0f)));
    return vdiv(vset1(1.0f), vadd(vset1(1.0f), vexp(u)));
}

static inline vf vgelu(vf x) { return vmul(x, gelu_gate(x, vmul(x, x))); }

static inline vf vgelu_grad(vf x) {
    const vf x2 = vmul(x, x), s = gelu_gate(x, x2);
    const vf du = vmul(vset1(GELU_K), vfma(x2, vset1(3 * GELU_C), vset1(1.0f)));
    const vf ds = vmul(vfnma(s, s, s), du);
    return vfma(x, ds, s);
}

static void gelu(int64_t n, const float *x, float *y) {
    int64_t i = 0;
    for (; i + W <= n; i += W) vstore(y + i, vgelu(vload(x + i)));
    if (i < n) vstore_n(y + i, n - i, vgelu(vload_n(x + i, n - i)));
}

static void gelu_grad(int64_t n, const float *x, const float *dy, float *dx) {
    int64_t i = 0;
    for (; i + W <= n; i += W)
        vstore(dx + i, vfma(vload(dy + i), vgelu_grad(vload(x + i)), vload(dx + i)));
    if (i < n) {
        const vf d = vgelu_grad(vload_n(x + i, n - i));
        vstore_n(dx + i, n - i, vfma(vload_n(dy + i, n - i), d, vload_n(dx + i, n - i)));
    }
}

static inline vf poly(vf x, const float *c, int n) {
    vf p = vset1(c[0]);
    for (int i = 1; i < n; i++) p = vfma(p, x, vset1(c[i]));
    return p;
}

/* Phi(x) = erfc(-x / sqrt 2) / 2, and e = exp(-x^2 / 2).  erf by a polynomial below 1, above by
   erfc(z) = exp(-z^2) / z p(1/z^2), one p up to 2 and one beyond (coefficients of the Cephes
   library, S. Moshier). */
static inline vf normal_below(vf x, vf *e) {
    static const float T[] = {7.853861353153693e-5f, -8.010193625184903e-4f,
                              5.188327685732524e-3f, -2.685381193529856e-2f,
                              1.128358514861418e-1f, -3.761262582423300e-1f,
                              1.128379165726710e+0f};
    static const float P[] = {
        2.326819970068386e-2f,  -1.387039388740657e-1f, 3.687424674597105e-1f,
        -5.824733027278666e-1f, 6.210004621745983e-1f,  -4.944515323274145e-1f,
        3.404879937665872e-1f,  -2.741127028184656e-1f, 5.638259427386472e-1f};
    static const float R[] = {-1.047766399936249e+1f, 1.297719955372516e+1f,
                              -7.495518717768503e+0f, 2.921019019210786e+0f,
                              -1.015265279202700e+0f, 4.218463358204948e-1f,
                              -2.820767439740514e-1f, 5.641895067754075e-1f};
    const vf z = vmul(x, vset1(0.70710678118654752440f)), up = vmax(z, vsub(vzero(), z));
    const vf z2 = vmul(z, z), inverse = vdiv(vset1(1.0f), vmax(vset1(1.0f), up));
    *e = vexp(vmul(vmul(x, x), vset1(-0.5f)));
    const vf y = vmul(inverse, inverse);
    const vf p = vpick(vsub(up, vset1(2.0f)), poly(y, R, 8), poly(y, P, 9));
    const vf tail = vmul(vmul(*e, inverse), vmul(vset1(0.5f), p)); /* Phi(-|x|) where |z| >= 1 */
    const vf far = vpick(x, vsub(vset1(1.0f), tail), tail);
    const vf half = vmul(vset1(0.5f), z), near = vfma(half, poly(z2, T, 7), vset1(0.5f));
    return vpick(vsub(up, vset1(1.0f)), far, near);
}

static inline vf vgelu_erf(vf x) {
    vf e;
    return vmul(x, normal_below(x, &e));
}
static inline vf vgelu_erf_grad(vf x) {
    vf e;
    const vf below = normal_below(x, &e);
    return vfma(vmul(x, vset1(0.39894228040143267794f)), e, below);
}

static void gelu_erf(int64_t n, const float *x, float *y) {
    int64_t i = 0;
    for (; i + W <= n; i += W) vstore(y + i, vgelu_erf(vload(x + i)));
    if (i < n) vstore_n(y + i, n - i, vgelu_erf(vload_n(x + i, n - i)));
}

static void gelu_erf_grad(int64_t n, const float *x, const float *dy, float *dx) {
    int64_t i = 0;
    for (; i + W <= n; i += W)
        vstore(dx + i, vfma(vload(dy + i), vgelu_erf_grad(vload(x + i)), vload(dx + i)));
    if (i < n) {
        const vf d = vgelu_erf_grad(vload_n(x + i, n - i));
        vstore_n(dx + i, n - i, vfma(vload_n(dy + i, n - i), d, vload_n(dx + i, n - i)));
    }
}

static inline vf vlogistic(vf x) {
    return vdiv(vset1(1.0f), vadd(vset1(1.0f), vexp(vsub(vzero(), x))));
}

static inline vf vswiglu(vf h, vf g) { return vmul(vmul(h, vlogistic(h)), g); }

/* Adds to *dh and *dg. */
static inline void vswiglu_grad(vf h, vf g, vf dy, vf *dh, vf *dg) {
    const vf one = vset1(1.0f), s = vlogistic(h);
    *dh = vfma(vmul(dy, g), vmul(s, vfma(h, vsub(one, s), one)), *dh);
    *dg = vfma(dy, vmul(h, s), *dg);
}

static void swiglu(int64_t n, const float *h, const float *g, float *y) {
    int64_t i = 0;
    for (; i + W <= n; i += W) vstore(y + i, vswiglu(vload(h + i), vload(g + i)));
    if (i < n) vstore_n(y + i, n - i, vswiglu(vload_n(h + i, n - i), vload_n(g + i, n - i)));
}

static void swiglu_grad(int64_t n, const float *h, const float *g, const float *dy, float *dh,
                        float *dg) {
    int64_t i = 0;
    for (; i + W <= n; i += W) {
        vf a = vload(dh + i), b = vload(dg + i);
        vswiglu_grad(vload(h + i), vload(g + i), vload(dy + i), &a, &b);
        vstore(dh + i, a);
        vstore(dg + i, b);
    }
    if (i < n) {
        const int64_t left = n - i;
        vf a = vload_n(dh + i, left), b = vload_n(dg + i, left);
        vswiglu_grad(vload_n(h + i, left), vload_n(g + i, left), vload_n(dy + i, left), &a, &b);
        vstore_n(dh + i, left, a);
        vstore_n(dg + i, left, b);
    }
}

/* ---- rows ---- */

/* sum (x - shift)^power over c values, power 1 or 2, four sums at a time. */
static inline float moment(int64_t c, const float *x, float shift, bool square) {
    const vf vs = vset1(shift);
    vf s[4] = {vzero(), vzero(), vzero(), vzero()};
    int64_t i = 0;
    for (; i + 4 * W <= c; i += 4 * W)
        for (int u = 0; u < 4; u++) {
            const vf d = vsub(vload(x + i + u * W), vs);
            s[u] = square ? vfma(d, d, s[u]) : vadd(d, s[u]);
        }
    for (; i < c; i += W) {
        const int64_t left = c - i < W ? c - i : W;
        const vf d = vkeep(vsub(vload_n(x + i, left), vs), left);
        s[0] = square ? vfma(d, d, s[0]) : vadd(d, s[0]);
    }
    return vsum(vadd(vadd(s[0], s[1]), vadd(s[2], s[3])));
}

static inline vf normed(vf x, vf mean, vf rstd) { return vmul(vsub(x, mean), rstd); }

static void layernorm(int64_t c, float eps, const float *x, const float *g, const float *b,
                      float *y, float *mean, float *rstd) {
    const float m = moment(c, x, 0, false) / (float)c;
    const float r = 1 / sqrtf(moment(c, x, m, true) / (float)c + eps);
    const vf vm = vset1(m), vr = vset1(r);
    int64_t i = 0;
    for (; i + W <= c; i += W)
        vstore(y + i, vfma(vload(g + i), normed(vload(x + i), vm, vr), b ? vload(b + i) : vzero()));
    if (i < c) {
        const int64_t n = c - i;
        const vf shift = b ? vload_n(b + i, n) : vzero();
        vstore_n(y + i, n, vfma(vload_n(g + i, n), normed(vload_n(x + i, n), vm, vr), shift));
    }
    *mean = m;
    *rstd = r;
}

static void layernorm_grad(int64_t c, const float *x, const float *g, float mean, float rstd,
                           const float *dy, float *dx, float *dg, float *db) {
    const vf vm = vset1(mean), vr = vset1(rstd);
    vf s0 = vzero(), s1 = vzero(); /* sums of d and of d xhat, d = dy g */
    int64_t i = 0;
    for (; i + W <= c; i += W) {
        const vf h = normed(vload(x + i), vm, vr), e = vload(dy + i), d = vmul(e, vload(g + i));
        s0 = vadd(s0, d);
        s1 = vfma(d, h, s1);
        if (dg) vstore(dg + i, vfma(e, h, vload(dg + i)));
        if (db) vstore(db + i, vadd(e, vload(db + i)));
    }
    if (i < c) { /* lanes past the end hold dy = 0 */
        const int64_t n = c - i;
        const vf h = normed(vload_n(x + i, n), vm, vr), e = vload_n(dy + i, n);
        const vf d = vmul(e, vload_n(g + i, n));
        s0 = vadd(s0, d);
        s1 = vfma(d, h, s1);
        if (dg) vstore_n(dg + i, n, vfma(e, h, vload_n(dg + i, n)));
        if (db) vstore_n(db + i, n, vadd(e, vload_n(db + i, n)));
    }
    if (!dx) return;
    const vf m0 = vset1(vsum(s0) / (float)c), m1 = vset1(vsum(s1) / (float)c);
    for (i = 0; i + W <= c; i += W) {
        const vf h = normed(vload(x + i), vm, vr), d = vmul(vload(dy + i), vload(g + i));
        vstore(dx + i, vfma(vr, vfnma(h, m1, vsub(d, m0)), vload(dx + i)));
    }
    if (i < c) {
        const int64_t n = c - i;
        const vf h = normed(vload_n(x + i, n), vm, vr);
        const vf d = vmul(vload_n(dy + i, n), vload_n(g + i, n));
        vstore_n(dx + i, n, vfma(vr, vfnma(h, m1, vsub(d, m0)), vload_n(dx + i, n)));
    }
}

/* ---- attention ---- */

static void softmax_columns(int64_t n, int w, float a, float *x, float *top, float *sum) {
    const vf va = vset1(a);
    for (int j = 0; j < w; j += W) {
        vf m = vload(x + j), m1 = m, s = vzero(), s1 = s;
        int64_t i = 1;
        for (; i + 2 <= n; i += 2) {
            m = vmax(vload(x + i * w + j), m);
            m1 = vmax(vload(x + (i + 1) * w + j), m1);
        }
        if (i < n) m = vmax(vload(x + i * w + j), m);
        m = vmax(m, m1);
        for (i = 0; i + 2 <= n; i += 2) {
            float *v = x + i * w + j, *v1 = v + w;
            const vf e = vexp(vmul(va, vsub(vload(v), m)));
            const vf e1 = vexp(vmul(va, vsub(vload(v1), m)));
            vstore(v, e);
            vstore(v1, e1);
            s = vadd(s, e);
            s1 = vadd(s1, e1);
        }
        if (i < n) {
            const vf e = vexp(vmul(va, vsub(vload(x + i * w + j), m)));
            vstore(x + i * w + j, e);
            s = vadd(s, e);
        }
        vstore(top + j, m);
        vstore(sum + j, vadd(s, s1));
    }
}

static void softmax_columns_grad(int64_t n, int w, float a, const float *lse, const float *shift,
                                 float *p, float *d) {
    const vf va = vset1(a);
    for (int64_t i = 0; i < n; i++) {
        const vf minus = vset1(-lse[i]), vs = vset1(shift[i]);
        for (int j = 0; j < w; j += W, p += W, d += W) {
            const vf e = vexp(vfma(va, vload(p), minus));
            vstore(p, e);
            vstore(d, vmul(vmul(va, e), vsub(vload(d), vs)));
        }
    }
}

/* ---- stick-breaking ---- */

enum { ABREAST = NR / W }; /* vectors in a row of a block */

/* t r is the smaller of beta and 1 - beta, r the larger. */
static inline void vbeta(vf x, vf *beta, vf *rest) {
    const vf t = vexp(vmin(x, vsub(vzero(), x)));
    const vf r = vdiv(vset1(1.0f), vadd(vset1(1.0f), t)), tr = vmul(t, r);
    *beta = vpick(x, r, tr);
    *rest = vpick(x, tr, r);
}

/* One row of one vector of columns; returns what is left. */
static inline vf stick_step(vf a, vf left, float *x, float *share) {
    const vf s = vmul(a, vload(x));
    vf b, rest;
    vbeta(s, &b, &rest);
    if (share) vstore(share, vpick(s, vmul(vset1(-1.0f), rest), b));
    vstore(x, vmul(b, left));
    return vbig(vmul(left, rest), vset1(AT_STICK_LEAST));
}

static bool stick_columns(int64_t n, int w, float a, float *x, float *share, float *left) {
    const vf va = vset1(a);
    vf most = vzero();
    for (int j = 0; j < w; j += ABREAST * W) { /* several sticks hide the latency of one */
        vf l[ABREAST];
        for (int u = 0; u < ABREAST; u++) l[u] = vload(left + j + u * W);
        for (int64_t i = (n - 1) * w + j; i >= 0; i -= w)
#pragma GCC unroll 4
            for (int u = 0; u < ABREAST; u++)
                l[u] = stick_step(va, l[u], x + i + u * W, share ? share + i + u * W : NULL);
        for (int u = 0; u < ABREAST; u++) {
            vstore(left + j + u * W, l[u]);
            most = vmax(l[u], most);
        }
    }
    return vmaxlane(most) > 0;
}

static inline vf stick_grad_step(vf a, vf sum, const float *p, const float *share, float *d) {
    const vf f = vload(share), g = vmul(vload(p), vload(d)), one = vset1(1.0f);
    const vf beta = vpick(f, f, vadd(one, f));
    const vf rest = vpick(f, vsub(one, f), vsub(vzero(), f));
    vstore(d, vmul(a, vfnma(beta, sum, vmul(rest, g))));
    return vadd(sum, g);
}

static void stick_columns_grad(int64_t n, int w, float a, const float *p, const float *share,
                               float *sum, float *d) {
    const vf va = vset1(a);
    for (int j = 0; j < w; j += ABREAST * W) {
        vf s[ABREAST];
        for (int u = 0; u < ABREAST; u++) s[u] = vload(sum + j + u * W);
        for (int64_t i = j; i < n * w; i += w)
#pragma GCC unroll 4
            for (int u = 0; u < ABREAST; u++)
                s[u] = stick_grad_step(va, s[u], p + i + u * W, share + i + u * W, d + i + u * W);
        for (int u = 0; u < ABREAST; u++) vstore(sum + j + u * W, s[u]);
    }
}

static void logistic(int64_t n, float a, const float *x, float *beta, float *rest) {
    const vf va = vset1(a);
    for (int64_t i = 0; i < n; i += W) {
        const int64_t m = n - i < W ? n - i : W;
        vf b, r;
        vbeta(vmul(va, m == W ? vload(x + i) : vload_n(x + i, m)), &b, &r);
        if (m == W) {
            vstore(beta + i, b);
            vstore(rest + i, r);
        } else {
            vstore_n(beta + i, m, b);
            vstore_n(rest + i, m, r);
        }
    }
}

/* ---- BF16 ---- */

static void widen(int64_t n, const uint16_t *x, float *y) {
    int64_t i = 0;
    for (; i + W <= n; i += W) vstore(y + i, vwiden(x + i));
    if (i < n) vstore_n(y + i, n - i, vwiden_n(x + i, n - i));
}

/* ---- optimiser ---- */

typedef struct adam_consts {
    vf clip, b1, r1, b2, r2, c1, c2, eps, lr, wd, tiny;
} adam_consts;

static inline vf adam_step(const adam_consts *k, vf p, vf g, vf *m, vf *v) {
    const vf d = vmul(k->clip, g);
    *m = vbig(vfma(k->b1, *m, vmul(k->r1, d)), k->tiny);
    *v = vbig(vfma(k->b2, *v, vmul(vmul(k->r2, d), d)), k->tiny);
    const vf u = vdiv(vmul(*m, k->c1), vadd(vsqrt(vmul(*v, k->c2)), k->eps));
    return vfnma(k->lr, vfma(k->wd, p, u), p);
}

static void adamw(int64_t n, float *p, const float *g, float *m, float *v, const at_adamw *h) {
    const adam_consts k = {.clip = vset1(h->clip),
                           .b1 = vset1(h->b1),
                           .r1 = vset1(1 - h->b1),
                           .b2 = vset1(h->b2),
                           .r2 = vset1(1 - h->b2),
                           .c1 = vset1(h->c1),
                           .c2 = vset1(h->c2),
                           .eps = vset1(h->eps),
                           .lr = vset1(h->lr),
                           .wd = vset1(h->wd),
                           .tiny = vset1(AT_REAL_TINY)};
    int64_t i = 0;
    for (; i + W <= n; i += W) {
        vf vm = vload(m + i), vv = vload(v + i);
        const vf vp = adam_step(&k, vload(p + i), vload(g + i), &vm, &vv);
        vstore(m + i, vm);
        vstore(v + i, vv);
        vstore(p + i, vp);
    }
    if (i < n) {
        const int64_t left = n - i;
        vf vm = vload_n(m + i, left), vv = vload_n(v + i, left);
        const vf vp = adam_step(&k, vload_n(p + i, left), vload_n(g + i, left), &vm, &vv);
        vstore_n(m + i, left, vm);
        vstore_n(v + i, left, vv);
        vstore_n(p + i, left, vp);
    }
}

static void fill_rows(at_kernels *k) {
    k->acc = acc;
    k->axpy = axpy;
    k->add = add;
    k->scale = scale;
    k->dot = dot;
    k->sumsq = sumsq;
    k->max = max;
    k->expsum = expsum;
    k->ln = ln;
    k->gelu = gelu;
    k->gelu_grad = gelu_grad;
    k->gelu_erf = gelu_erf;
    k->gelu_erf_grad = gelu_erf_grad;
    k->swiglu = swiglu;
    k->swiglu_grad = swiglu_grad;
    k->layernorm = layernorm;
    k->layernorm_grad = layernorm_grad;
    k->softmax_columns = softmax_columns;
    k->softmax_columns_grad = softmax_columns_grad;
    k->stick_columns = stick_columns;
    k->stick_columns_grad = stick_columns_grad;
    k->logistic = logistic;
    k->adamw = adamw;
    k->widen = widen;
}
