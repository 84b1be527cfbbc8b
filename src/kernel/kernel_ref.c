/*
 * kernel_ref.c - the reference: in portable C the same sums that the vector instruction sets
 * compute.
 *
 * A vector is an array of 16 floats, a fused multiply-add is fmaf.  kernel_ref_fma.c compiles this
 * file once more for processors with FMA, where fmaf is one instruction and the compiler vectorises
 * the loops; elsewhere the C library computes fmaf exactly, and slowly.
 */
#include "base/half.h"
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

enum { W = 16, MR = 4, NR = W };

typedef struct vf {
    float v[W];
} vf;
typedef struct vd {
    double v[W / 2];
} vd;

/* EACH(e): the vector whose lane i is e, an expression in i. */
#define EACH(e)                               \
    vf r;                                     \
    for (int i = 0; i < W; i++) r.v[i] = (e); \
    return r

static inline vf vset1(float a) { EACH(a); }
static inline vf vzero(void) { return vset1(0); }
static inline vf vload(const float *p) { EACH(p[i]); }
static inline void vstore(float *p, vf v) { memcpy(p, v.v, sizeof v.v); }
static inline vf vload_n(const float *p, int64_t n) { EACH(i < n ? p[i] : 0); }
static inline void vstore_n(float *p, int64_t n, vf v) {
    for (int64_t i = 0; i < n && i < W; i++) p[i] = v.v[i];
}
static inline vf vwiden(const uint16_t *p) { EACH(at_f32_from_bf16(p[i])); }
static inline vf vwiden_n(const uint16_t *p, int64_t n) {
    EACH(i < n ? at_f32_from_bf16(p[i]) : 0);
}
static inline vf vkeep(vf x, int64_t n) { EACH(i < n ? x.v[i] : 0); }
static inline vf vadd(vf x, vf y) { EACH(x.v[i] + y.v[i]); }
static inline vf vsub(vf x, vf y) { EACH(x.v[i] - y.v[i]); }
static inline vf vmul(vf x, vf y) { EACH(x.v[i] * y.v[i]); }
static inline vf vdiv(vf x, vf y) { EACH(x.v[i] / y.v[i]); }
static inline vf vmax(vf x, vf y) { EACH(x.v[i] > y.v[i] ? x.v[i] : y.v[i]); }
static inline vf vmin(vf x, vf y) { EACH(x.v[i] < y.v[i] ? x.v[i] : y.v[i]); }
static inline vf vsqrt(vf x) { EACH(sqrtf(x.v[i])); }
static inline vf vpick(vf s, vf x, vf y) { EACH(signbit(s.v[i]) ? y.v[i] : x.v[i]); }
static inline vf vbig(vf x, vf least) { EACH(fabsf(x.v[i]) < least.v[i] ? 0 : x.v[i]); }
static inline vf vfma(vf x, vf y, vf z) { EACH(fmaf(x.v[i], y.v[i], z.v[i])); }
static inline vf vfnma(vf x, vf y, vf z) { EACH(fmaf(-x.v[i], y.v[i], z.v[i])); }
static inline vf vround(vf x) { EACH(rintf(x.v[i])); }

/* 2^n, |n| <= 127 */
static inline float power_of_two(int n) {
    const uint32_t bits = (uint32_t)(n + 127) << 23;
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}
/* p 2^n in two steps, so that infinity and the subnormals are reached; for NaN n is not used. */
static inline float times_power(float p, float n) {
    const int whole = isnan(n) ? 0 : (int)n, half = whole >> 1;
    return p * power_of_two(half) * power_of_two(whole - half);
}
static inline vf vpow2(vf x, vf n) { EACH(times_power(x.v[i], n.v[i])); }

static inline float vsum(vf x) {
    for (int n = W / 2; n > 0; n /= 2)
        for (int i = 0; i < n; i++) x.v[i] += x.v[i + n];
    return x.v[0];
}
static inline float vmaxlane(vf x) {
    for (int n = W / 2; n > 0; n /= 2)
        for (int i = 0; i < n; i++) x.v[i] = x.v[i] > x.v[i + n] ? x.v[i] : x.v[i + n];
    return x.v[0];
}
static inline vd vd_zero(void) { return (vd){{0}}; }
static inline double vd_sum(vd x) {
    for (int n = W / 4; n > 0; n /= 2)
        for (int i = 0; i < n; i++) x.v[i] += x.v[i + n];
    return x.v[0];
}
/* The square of a float is exact in double: nothing to fuse. */
static inline vd vd_square(vf x, vd s) {
    for (int i = 0; i < W / 2; i++) {
        s.v[i] += (double)x.v[i] * (double)x.v[i];
        s.v[i] += (double)x.v[i + W / 2] * (double)x.v[i + W / 2];
    }
    return s;
}

#include "kernel/kernel_vec.h"

/* ---- matrix products ---- */

/* Continues the chains s[i][j] over k terms: s[i][j] += a[l*wa + i] b[l*ldb + j], i < m. */
static void chain(int m, int64_t k, const float *a, int64_t wa, const float *b, int64_t ldb,
                  float s[MR][NR]) {
    for (int64_t l = 0; l < k; l++, a += wa, b += ldb)
        for (int i = 0; i < m; i++) {
            const float f = a[i];
            float *restrict y = s[i];
            for (int j = 0; j < NR; j++) y[j] = fmaf(f, b[j], y[j]);
        }
}

/* The same for all MR = 4 rows, written out so that the compiler keeps the sums in registers. */
static void chain_all(int64_t k, const float *a, int64_t wa, const float *b, int64_t ldb,
                      float s[MR][NR]) {
    float *restrict y0 = s[0], *restrict y1 = s[1], *restrict y2 = s[2], *restrict y3 = s[3];
    for (int64_t l = 0; l < k; l++, a += wa, b += ldb) {
        const float f0 = a[0], f1 = a[1], f2 = a[2], f3 = a[3];
        for (int j = 0; j < NR; j++) {
            y0[j] = fmaf(f0, b[j], y0[j]);
            y1[j] = fmaf(f1, b[j], y1[j]);
            y2[j] = fmaf(f2, b[j], y2[j]);
            y3[j] = fmaf(f3, b[j], y3[j]);
        }
    }
}

static void tile(int64_t k, const float *a, const float *b, at_tile_mode mode, float *c,
                 int64_t ldc) {
    float s[MR][NR] = {{0}};
    for (int i = 0; i < MR && mode == AT_TILE_CONTINUE; i++) memcpy(s[i], c + i * ldc, sizeof s[i]);
    chain_all(k, a, MR, b, NR, s);
    for (int i = 0; i < MR; i++)
        for (int j = 0; j < NR; j++) {
            float *y = c + i * ldc + j;
            *y = mode == AT_TILE_ADD ? *y + s[i][j] : s[i][j]; /* SET must not read C */
        }
}

static void pack_gathered(int64_t k, int64_t n, int w, const float *x, int64_t ldx,
                          const int64_t *row, float *p) {
    for (int64_t j = 0; j < n; j += w)
        for (int64_t l = 0; l < k; l++)
            for (int i = 0; i < w; i++) *p++ = j + i < n ? x[row[l] * ldx + j + i] : 0;
}

static void pack_gathered_transposed(int64_t k, int64_t n, int w, const float *x, int64_t ldx,
                                     const int64_t *row, float *p) {
    for (int64_t j = 0; j < n; j += w)
        for (int64_t l = 0; l < k; l++)
            for (int i = 0; i < w; i++) *p++ = j + i < n ? x[row[j + i] * ldx + l] : 0;
}

#define BT          float
#define OF_B(name)  name
#define AS_REAL(v)  (v)
#define TILE_B(t)   (t)->b
#define ROW(p)      vload(p)
#define ROW_N(p, n) vload_n(p, n)
#include "kernel/kernel_ref_b.h"

#define BT          uint16_t
#define OF_B(name)  name##16
#define AS_REAL(v)  at_f32_from_bf16(v)
#define TILE_B(t)   (t)->b16
#define ROW(p)      vwiden(p)
#define ROW_N(p, n) vwiden_n(p, n)
#include "kernel/kernel_ref_b.h"

#include "kernel/kernel_by_type.h"

/* Enough independent chains to hide the latency of a multiply-add when the compiler vectorises. */
static double burn(int64_t rounds, float *sink) {
    enum { CHAINS = 96 };
    float s[CHAINS], all = 0;
    for (int i = 0; i < CHAINS; i++) s[i] = (float)i;
    for (int64_t r = 0; r < rounds; r++)
        for (int i = 0; i < CHAINS; i++) s[i] = fmaf(s[i], 0.5f, 0.25f);
    for (int i = 0; i < CHAINS; i++) all += s[i];
    *sink = all;
    return 2.0 * CHAINS * (double)rounds;
}

#ifndef AT_REF_FILL
#define AT_REF_FILL at_kernels_ref
#endif

void AT_REF_FILL(at_kernels *k) {
    k->name = "ref";
    fill_rows(k);
    k->mr = MR;
    k->nr = NR;
    k->tile = tile;
    k->pack = pack;
    k->pack_transposed = pack_transposed;
    k->pack_gathered = pack_gathered;
    k->pack_gathered_transposed = pack_gathered_transposed;
    k->tile_rows = tile_rows_any;
    k->few_rows = few_rows;
    k->pack16 = pack16;
    k->pack_transposed16 = pack_transposed16;
    k->burn = burn;
}
