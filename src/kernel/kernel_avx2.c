/* kernel_avx2.c - the vector kernels on 256 bits; built with -mavx2 -mfma. */
#include <immintrin.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>

/* 12 sums, 2 registers of B, 1 value of A: 15 of 16 registers */
enum { W = 16, WM = 8, MR = 6, NV = 2, NR = NV * WM };

/* ---- one register ---- */

typedef __m256 mf;

/* Mask of the lanes below n; n may be negative or more than 8. */
static inline __m256i first(int64_t n) {
    static const int32_t lanes[16] = {-1, -1, -1, -1, -1, -1, -1, -1};
    const int64_t at = n < 0 ? 0 : n > 8 ? 8 : n;
    return _mm256_loadu_si256((const __m256i *)(const void *)(lanes + 8 - at));
}

static inline mf mzero(void) { return _mm256_setzero_ps(); }
static inline mf mset1(float a) { return _mm256_set1_ps(a); }
static inline mf mload(const float *p) { return _mm256_loadu_ps(p); }
static inline void mstore(float *p, mf v) { _mm256_storeu_ps(p, v); }
static inline mf mload_n(const float *p, int64_t n) { return _mm256_maskload_ps(p, first(n)); }
static inline void mstore_n(float *p, int64_t n, mf v) { _mm256_maskstore_ps(p, first(n), v); }
static inline mf mwiden(const uint16_t *p) {
    const __m128i v = _mm_loadu_si128((const __m128i *)(const void *)p);
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(v), 16));
}
static inline mf mwiden_n(const uint16_t *p, int64_t n) {
    uint16_t whole[8] = {0};
    for (int64_t i = 0; i < n && i < 8; i++) whole[i] = p[i];
    return mwiden(whole);
}
static inline mf madd(mf a, mf b) { return _mm256_add_ps(a, b); }
static inline mf mfma(mf a, mf b, mf c) { return _mm256_fmadd_ps(a, b, c); }

/* 2^n for |n| <= 127, by the bits of the exponent.  vpow2 multiplies by two such powers, so that
   infinity and the subnormals are reached. */
static inline mf exponent(__m256i n) {
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(n, _mm256_set1_epi32(127)), 23));
}
static inline mf mpow2(mf p, mf n) {
    const __m256i whole = _mm256_cvtps_epi32(n), half = _mm256_srai_epi32(whole, 1);
    return _mm256_mul_ps(_mm256_mul_ps(p, exponent(half)), exponent(_mm256_sub_epi32(whole, half)));
}

/* 4x4 blocks first, inside 128-bit lanes, then the lanes. */
static inline void transpose(mf r[8]) {
    mf t[8];
    for (int i = 0; i < 8; i += 4) {
        const mf a = _mm256_unpacklo_ps(r[i], r[i + 1]), b = _mm256_unpackhi_ps(r[i], r[i + 1]);
        const mf c = _mm256_unpacklo_ps(r[i + 2], r[i + 3]),
                 d = _mm256_unpackhi_ps(r[i + 2], r[i + 3]);
        t[i] = _mm256_shuffle_ps(a, c, 0x44);
        t[i + 1] = _mm256_shuffle_ps(a, c, 0xee);
        t[i + 2] = _mm256_shuffle_ps(b, d, 0x44);
        t[i + 3] = _mm256_shuffle_ps(b, d, 0xee);
    }
    for (int i = 0; i < 4; i++) {
        r[i] = _mm256_permute2f128_ps(t[i], t[4 + i], 0x20);
        r[4 + i] = _mm256_permute2f128_ps(t[i], t[4 + i], 0x31);
    }
}

/* ---- a vector: two registers ---- */

typedef struct vf {
    __m256 a, b;
} vf;
typedef struct vd {
    __m256d a, b;
} vd;

static inline vf vzero(void) { return (vf){mzero(), mzero()}; }
static inline vf vset1(float x) { return (vf){mset1(x), mset1(x)}; }
static inline vf vload(const float *p) { return (vf){mload(p), mload(p + 8)}; }
static inline void vstore(float *p, vf v) {
    mstore(p, v.a);
    mstore(p + 8, v.b);
}
static inline vf vload_n(const float *p, int64_t n) {
    return (vf){mload_n(p, n), n > 8 ? mload_n(p + 8, n - 8) : mzero()};
}
static inline void vstore_n(float *p, int64_t n, vf v) {
    mstore_n(p, n, v.a);
    if (n > 8) mstore_n(p + 8, n - 8, v.b);
}
static inline vf vwiden(const uint16_t *p) { return (vf){mwiden(p), mwiden(p + 8)}; }
static inline vf vwiden_n(const uint16_t *p, int64_t n) {
    return (vf){mwiden_n(p, n), n > 8 ? mwiden_n(p + 8, n - 8) : mzero()};
}
static inline vf vkeep(vf v, int64_t n) {
    return (vf){_mm256_and_ps(v.a, _mm256_castsi256_ps(first(n))),
                _mm256_and_ps(v.b, _mm256_castsi256_ps(first(n - 8)))};
}
static inline vf vadd(vf x, vf y) { return (vf){madd(x.a, y.a), madd(x.b, y.b)}; }
static inline vf vsub(vf x, vf y) { return (vf){_mm256_sub_ps(x.a, y.a), _mm256_sub_ps(x.b, y.b)}; }
static inline vf vmul(vf x, vf y) { return (vf){_mm256_mul_ps(x.a, y.a), _mm256_mul_ps(x.b, y.b)}; }
static inline vf vdiv(vf x, vf y) { return (vf){_mm256_div_ps(x.a, y.a), _mm256_div_ps(x.b, y.b)}; }
static inline vf vmax(vf x, vf y) { return (vf){_mm256_max_ps(x.a, y.a), _mm256_max_ps(x.b, y.b)}; }
static inline vf vmin(vf x, vf y) { return (vf){_mm256_min_ps(x.a, y.a), _mm256_min_ps(x.b, y.b)}; }
static inline vf vsqrt(vf x) { return (vf){_mm256_sqrt_ps(x.a), _mm256_sqrt_ps(x.b)}; }
static inline vf vpick(vf s, vf x, vf y) {
    return (vf){_mm256_blendv_ps(x.a, y.a, s.a), _mm256_blendv_ps(x.b, y.b, s.b)};
}
static inline mf mbig(mf v, mf least) {
    const mf magnitude = _mm256_andnot_ps(mset1(-0.0f), v);
    return _mm256_and_ps(v, _mm256_cmp_ps(magnitude, least, _CMP_NLT_UQ));
}
static inline vf vbig(vf v, vf least) { return (vf){mbig(v.a, least.a), mbig(v.b, least.b)}; }
static inline vf vfma(vf x, vf y, vf z) { return (vf){mfma(x.a, y.a, z.a), mfma(x.b, y.b, z.b)}; }
static inline vf vfnma(vf x, vf y, vf z) {
    return (vf){_mm256_fnmadd_ps(x.a, y.a, z.a), _mm256_fnmadd_ps(x.b, y.b, z.b)};
}
static inline vf vround(vf x) {
    return (vf){_mm256_round_ps(x.a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC),
                _mm256_round_ps(x.b, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)};
}
static inline vf vpow2(vf p, vf n) { return (vf){mpow2(p.a, n.a), mpow2(p.b, n.b)}; }

static inline float vsum(vf v) {
    const mf e = madd(v.a, v.b);
    __m128 s = _mm_add_ps(_mm256_castps256_ps128(e), _mm256_extractf128_ps(e, 1));
    s = _mm_add_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_add_ss(s, _mm_movehdup_ps(s)));
}
static inline float vmaxlane(vf v) {
    const mf e = _mm256_max_ps(v.a, v.b);
    __m128 s = _mm_max_ps(_mm256_castps256_ps128(e), _mm256_extractf128_ps(e, 1));
    s = _mm_max_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_max_ss(s, _mm_movehdup_ps(s)));
}

static inline vd vd_zero(void) { return (vd){_mm256_setzero_pd(), _mm256_setzero_pd()}; }
static inline double vd_sum(vd v) {
    const __m256d q = _mm256_add_pd(v.a, v.b);
    const __m128d s = _mm_add_pd(_mm256_castpd256_pd128(q), _mm256_extractf128_pd(q, 1));
    return _mm_cvtsd_f64(_mm_add_sd(s, _mm_unpackhi_pd(s, s)));
}
/* s + x^2 + y^2 of four lanes each, in double */
static inline __m256d squares(__m128 x, __m128 y, __m256d s) {
    const __m256d lo = _mm256_cvtps_pd(x), hi = _mm256_cvtps_pd(y);
    return _mm256_fmadd_pd(hi, hi, _mm256_fmadd_pd(lo, lo, s));
}
/* s + the squares of v's lanes i and i + 8, in double */
static inline vd vd_square(vf v, vd s) {
    return (vd){squares(_mm256_castps256_ps128(v.a), _mm256_castps256_ps128(v.b), s.a),
                squares(_mm256_extractf128_ps(v.a, 1), _mm256_extractf128_ps(v.b, 1), s.b)};
}

#include "kernel/kernel_vec.h"
#include "kernel/kernel_vec_mat.h"

void at_kernels_avx2(at_kernels *k) {
    k->name = "avx2";
    fill_rows(k);
    fill_products(k);
}
