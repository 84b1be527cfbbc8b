/* half.c - by bits: 1 sign, then 5 exponent and 10 fraction bits (f16), or 8 and 7 (bf16). */
#include "base/half.h"
#include <string.h>

static uint32_t bits_of(float f) {
    uint32_t u;
    memcpy(&u, &f, sizeof u);
    return u;
}

static float float_of(uint32_t u) {
    float f;
    memcpy(&f, &u, sizeof f);
    return f;
}

float at_f32_from_bf16(uint16_t h) { return float_of((uint32_t)h << 16); }

float at_f32_from_f16(uint16_t h) {
    const uint32_t sign = (uint32_t)(h & 0x8000) << 16, exponent = h >> 10 & 31, f = h & 0x3FF;
    if (exponent == 31) return float_of(sign | 0x7F800000u | f << 13);
    if (exponent > 0) return float_of(sign | (exponent + 112) << 23 | f << 13);
    const float tiny = (float)f * 0x1p-24f; /* subnormal, exact in a float */
    return float_of(sign | bits_of(tiny));
}

/* x >> n, rounded to nearest, ties to even; 0 < n < 32. */
static uint32_t shift_round(uint32_t x, int n) {
    const uint32_t kept = x >> n, rest = x & ((1u << n) - 1), half = 1u << (n - 1);
    return kept + (rest > half || (rest == half && (kept & 1)));
}

uint16_t at_bf16_from_f32(float f) {
    const uint32_t u = bits_of(f);
    if ((u & 0x7FFFFFFFu) > 0x7F800000u) return (uint16_t)(u >> 16 | 0x40);
    return (uint16_t)shift_round(u, 16); /* a carry out of the fraction is the next exponent */
}

uint16_t at_f16_from_f32(float f) {
    const uint32_t u = bits_of(f), sign = u >> 16 & 0x8000, a = u & 0x7FFFFFFFu;
    if (a > 0x7F800000u) return (uint16_t)(sign | 0x7E00);
    if (a >= 0x47800000u) return (uint16_t)(sign | 0x7C00); /* 65536 and more, infinity */
    if (a >= 0x38800000u) return (uint16_t)(sign | (shift_round(a, 13) - (112u << 10)));
    if (a < 0x33000000u) return (uint16_t)sign; /* below half of the smallest subnormal */
    const int n = 126 - (int)(a >> 23);         /* 24-bit significand into units of 2^-24 */
    return (uint16_t)(sign | shift_round((a & 0x7FFFFFu) | 0x800000u, n));
}
