/* kernel_avx512.c - the vector kernels on 512 bits; built with -mavx512{f,bw,dq,vl}. */
#include <immintrin.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>

typedef __m512 vf;
typedef __m512d vd;
/* 28 sums, 2 registers of B, 1 value of A: 31 of 32 registers */
enum { W = 16, WM = W, MR = 14, NV = 2, NR = NV * WM };

static inline __mmask16 first(int64_t n) { return (__mmask16)((1u << n) - 1); }

static inline vf vzero(void) { return _mm512_setzero_ps(); }
static inline vf vset1(float a) { return _mm512_set1_ps(a); }
static inline vf vload(const float *p) { return _mm512_loadu_ps(p); }
static inline void vstore(float *p, vf v) { _mm512_storeu_ps(p, v); }
static inline vf vload_n(const float *p, int64_t n) { return _mm512_maskz_loadu_ps(first(n), p); }
static inline void vstore_n(float *p, int64_t n, vf v) { _mm512_mask_storeu_ps(p, first(n), v); }
static inline vf bf16(__m256i v) {
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(v), 16));
}
static inline vf vwiden(const uint16_t *p) {
    return bf16(_mm256_loadu_si256((const __m256i *)(const void *)p));
}
static inline vf vwiden_n(const uint16_t *p, int64_t n) {
    return bf16(_mm256_maskz_loadu_epi16(first(n), p));
}
static inline vf vkeep(vf v, int64_t n) { return _mm512_maskz_mov_ps(first(n), v); }
static inline vf vadd(vf a, vf b) { return _mm512_add_ps(a, b); }
static inline vf vsub(vf a, vf b) { return _mm512_sub_ps(a, b); }
static inline vf vmul(vf a, vf b) { return _mm512_mul_ps(a, b); }
static inline vf vdiv(vf a, vf b) { return _mm512_div_ps(a, b); }
static inline vf vmax(vf a, vf b) { return _mm512_max_ps(a, b); }
static inline vf vmin(vf a, vf b) { return _mm512_min_ps(a, b); }
static inline vf vsqrt(vf a) { return _mm512_sqrt_ps(a); }
static inline vf vpick(vf s, vf a, vf b) {
    return _mm512_mask_blend_ps(_mm512_movepi32_mask(_mm512_castps_si512(s)), a, b);
}
static inline vf vbig(vf v, vf least) {
    return _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(_mm512_abs_ps(v), least, _CMP_NLT_UQ), v);
}
static inline vf vfma(vf a, vf b, vf c) { return _mm512_fmadd_ps(a, b, c); }
static inline vf vfnma(vf a, vf b, vf c) { return _mm512_fnmadd_ps(a, b, c); }
static inline vf vround(vf a) { return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEAREST_INT); }
static inline vf vpow2(vf p, vf n) { return _mm512_scalef_ps(p, n); }

/* The lower half of v and the upper one. */
static inline __m256 low8(vf v) { return _mm512_castps512_ps256(v); }
static inline __m256 high8(vf v) { return _mm512_extractf32x8_ps(v, 1); }
static inline float vsum(vf v) {
    const __m256 e = _mm256_add_ps(low8(v), high8(v));
    __m128 s = _mm_add_ps(_mm256_castps256_ps128(e), _mm256_extractf128_ps(e, 1));
    s = _mm_add_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_add_ss(s, _mm_movehdup_ps(s)));
}
static inline float vmaxlane(vf v) { return _mm512_reduce_max_ps(v); }

static inline vd vd_zero(void) { return _mm512_setzero_pd(); }
static inline double vd_sum(vd v) {
    const __m256d q = _mm256_add_pd(_mm512_castpd512_pd256(v), _mm512_extractf64x4_pd(v, 1));
    const __m128d s = _mm_add_pd(_mm256_castpd256_pd128(q), _mm256_extractf128_pd(q, 1));
    return _mm_cvtsd_f64(_mm_add_sd(s, _mm_unpackhi_pd(s, s)));
}
/* s + the squares of v's lanes i and i + 8, in double */
static inline vd vd_square(vf v, vd s) {
    const vd lo = _mm512_cvtps_pd(low8(v)), hi = _mm512_cvtps_pd(high8(v));
    return _mm512_fmadd_pd(hi, hi, _mm512_fmadd_pd(lo, lo, s));
}

/* A register is a vector: products use the same functions. */
typedef vf mf;
static inline mf mzero(void) { return vzero(); }
static inline mf mset1(float a) { return vset1(a); }
static inline mf mload(const float *p) { return vload(p); }
static inline void mstore(float *p, mf v) { vstore(p, v); }
static inline mf mload_n(const float *p, int64_t n) { return vload_n(p, n); }
static inline void mstore_n(float *p, int64_t n, mf v) { vstore_n(p, n, v); }
static inline mf mwiden(const uint16_t *p) { return vwiden(p); }
static inline mf mwiden_n(const uint16_t *p, int64_t n) { return vwiden_n(p, n); }
static inline mf madd(mf a, mf b) { return vadd(a, b); }
static inline mf mfma(mf a, mf b, mf c) { return vfma(a, b, c); }

/* 4x4 blocks first, inside 128-bit lanes, then the lanes. */
static inline void transpose(vf r[16]) {
    vf t[16];
    for (int i = 0; i < 16; i += 4) {
        const vf a = _mm512_unpacklo_ps(r[i], r[i + 1]), b = _mm512_unpackhi_ps(r[i], r[i + 1]);
        const vf c = _mm512_unpacklo_ps(r[i + 2], r[i + 3]),
                 d = _mm512_unpackhi_ps(r[i + 2], r[i + 3]);
        t[i] = _mm512_shuffle_ps(a, c, 0x44);
        t[i + 1] = _mm512_shuffle_ps(a, c, 0xee);
        t[i + 2] = _mm512_shuffle_ps(b, d, 0x44);
        t[i + 3] = _mm512_shuffle_ps(b, d, 0xee);
    }
    for (int i = 0; i < 4; i++) { /* lane q of t[4p+i] is rows 4p.., column 4q+i */
        const vf a = _mm512_shuffle_f32x4(t[i], t[4 + i], 0x88),
                 b = _mm512_shuffle_f32x4(t[8 + i], t[12 + i], 0x88);
        const vf c = _mm512_shuffle_f32x4(t[i], t[4 + i], 0xdd),
                 d = _mm512_shuffle_f32x4(t[8 + i], t[12 + i], 0xdd);
        r[i] = _mm512_shuffle_f32x4(a, b, 0x88);
        r[8 + i] = _mm512_shuffle_f32x4(a, b, 0xdd);
        r[4 + i] = _mm512_shuffle_f32x4(c, d, 0x88);
        r[12 + i] = _mm512_shuffle_f32x4(c, d, 0xdd);
    }
}

#include "kernel/kernel_vec.h"
#include "kernel/kernel_vec_mat.h"

void at_kernels_avx512(at_kernels *k) {
    k->name = "avx512";
    fill_rows(k);
    fill_products(k);
}
