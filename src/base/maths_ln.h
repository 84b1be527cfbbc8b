/*
 * maths_ln.h - the arithmetic of at_ln, for loops that take many logarithms at once.
 *
 * Additions, multiplications and one division in a fixed order, no branch: a compiler may do several
 * numbers at a time, with the bits of each alone.
 */
#ifndef AT_MATHS_LN_H
#define AT_MATHS_LN_H
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* ln 2 as a sum of two parts.  The first ends in zero bits, so that its product with a small integer is
   exact. */
#define AT_LN2_HIGH 0x1.62e42fee00000p-1
#define AT_LN2_LOW  0x1.a39ef35793c76p-33

/** Whether at_ln_normal may be asked: x is positive, finite and no subnormal number. */
static inline bool at_ln_is_normal(double x) { return x >= 0x1p-1022 && x < (double)INFINITY; }

/** log x + shift log 2.  x = 2^e m, sqrt(1/2) <= m < sqrt(2);  log m = 2 atanh s,
    s = (m - 1) / (m + 1). */
static inline double at_ln_normal(double x, int shift) {
    const uint64_t sqrt2 = 0x6a09e667f3bcd; /* bits of sqrt 2 behind the point */
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    /* No branch on the fraction, which no processor could foresee. */
    const uint64_t fraction = bits & (((uint64_t)1 << 52) - 1), above = fraction > sqrt2;
    const int e = (int)(bits >> 52) - 1023 + (int)above;
    bits = fraction | (1023 - above) << 52;
    double m;
    memcpy(&m, &bits, sizeof m);
    const double f = m - 1, s = f / (m + 1), z = s * s, k = e + shift;
    double p = 1.0 / 23; /* (atanh s - s) / s^3 */
    p = p * z + 1.0 / 21;
    p = p * z + 1.0 / 19;
    p = p * z + 1.0 / 17;
    p = p * z + 1.0 / 15;
    p = p * z + 1.0 / 13;
    p = p * z + 1.0 / 11;
    p = p * z + 1.0 / 9;
    p = p * z + 1.0 / 7;
    p = p * z + 1.0 / 5;
    p = p * z + 1.0 / 3;
    /* 2 s = f - s f: the rounding of s then counts only in its product with f */
    const double tail = 2 * s * z * p;
    return k * AT_LN2_HIGH + (f + (tail - s * f + k * AT_LN2_LOW));
}

#endif
