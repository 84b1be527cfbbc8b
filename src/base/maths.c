/*
 * maths.c - argument reduction, then a power series long enough for a double.
 *
 * Taylor coefficients are used as they are: on the reduced ranges the first term left out is below
 * 2^-57 of the result, and everyone can check them.
 */
#include "base/maths.h"
#include "base/maths_ln.h"
#include <math.h>
#include <string.h>

/* The nearest integer, |x| < 2^51: after adding 1.5 2^52 a double has no bits for a fraction. */
static double nearest(double x) { return (x + 0x1.8p52) - 0x1.8p52; }

/* 2^n, -1022 <= n <= 1023. */
static double power_of_two(int n) {
    const uint64_t bits = (uint64_t)(n + 1023) << 52;
    double x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* pi / 2 as a sum of parts.  The first ones end in zero bits, so that their products with a small
   integer are exact. */
static const double HALF_PI_1 = 0x1.921fb54400000p+0, HALF_PI_2 = 0x1.0b4611a600000p-34,
                    HALF_PI_3 = 0x1.3198a2e037073p-69;

/* x = n ln 2 + r, |r| <= ln 2 / 2;  e^x = 2^n e^r. */
double at_exp(double x) {
    if (isnan(x)) return x;
    if (x > 709.79) return (double)INFINITY;
    if (x < -746) return 0;
    const double n = nearest(x * 1.44269504088896340736);
    const double high = x - n * AT_LN2_HIGH, low = n * AT_LN2_LOW, r = high - low;
    static const double over_factorial[] = {
        1.0 / 6227020800, 1.0 / 479001600, 1.0 / 39916800, 1.0 / 3628800, 1.0 / 362880, 1.0 / 40320,
        1.0 / 5040,       1.0 / 720,       1.0 / 120,      1.0 / 24,      1.0 / 6,      0.5};
    double p = 0; /* (e^r - 1 - r) / r^2 */
    for (int i = 0; i < 12; i++) p = p * r + over_factorial[i];
    const double rest = (high - r) - low; /* what r lost by rounding */
    const double y = 1 + (r + (r * r * p + rest));
    const int whole = (int)n, half = whole / 2; /* in two steps, to reach the smallest numbers */
    return y * power_of_two(half) * power_of_two(whole - half);
}

double at_ln(double x) {
    if (at_ln_is_normal(x)) return at_ln_normal(x, 0);
    if (isnan(x) || x == (double)INFINITY) return x;
    if (x == 0) return (double)-INFINITY;
    if (x < 0) return (double)NAN;
    return at_ln_normal(x * 0x1p54, -54);
}

/* 1 + x is rounded to u, so log(u) is right for u - 1 instead of x; multiplying by x / (u - 1)
   corrects that. */
double at_log1p(double x) {
    const double u = 1 + x;
    if (u == 1) return x;
    if (u == (double)INFINITY) return u;
    return at_ln(u) * (x / (u - 1));
}

double at_pow(double x, double y) { return y == 0 ? 1 : at_exp(y * at_ln(x)); }

double at_powi(double x, int64_t n) {
    double y = 1;
    for (; n > 0; n /= 2, x *= x)
        if (n % 2) y *= x;
    return y;
}

/* |r| <= pi / 4, r + low exact */
static double sin_near(double r, double low) {
    const double z = r * r;
    double p = 0; /* (sin r - r) / r^3 */
    static const double c[] = {
        1.0 / 355687428096000, -1.0 / 1307674368000, 1.0 / 6227020800, -1.0 / 39916800,
        1.0 / 362880,          -1.0 / 5040,          1.0 / 120,        -1.0 / 6};
    for (int i = 0; i < 8; i++) p = p * z + c[i];
    return r + (r * z * p + low);
}

static double cos_near(double r, double low) {
    const double z = r * r;
    double p = 0; /* (cos r - 1 + r^2 / 2) / r^4 */
    static const double c[] = {
        -1.0 / 6402373705728000, 1.0 / 20922789888000, -1.0 / 87178291200, 1.0 / 479001600,
        -1.0 / 3628800,          1.0 / 40320,          -1.0 / 720,         1.0 / 24};
    for (int i = 0; i < 8; i++) p = p * z + c[i];
    const double half = 0.5 * z, w = 1 - half;
    return w + (((1 - w) - half) + (z * z * p - r * low));
}

/* cos(r + quarter pi / 2) */
static double cos_quarter(int64_t quarter, double r, double low) {
    switch (quarter & 3) {
    case 0: return cos_near(r, low);
    case 1: return -sin_near(r, low);
    case 2: return -cos_near(r, low);
    default: return sin_near(r, low);
    }
}

static double cos_from(double x, int64_t quarters) {
    if (!isfinite(x)) return (double)NAN;
    if (fabs(x) > 0x1p50) return 1; /* no digit of its angle is left */
    const double n = nearest(x * 0.63661977236758134308);
    const double a = x - n * HALF_PI_1, b = n * HALF_PI_2, r = a - b;
    const double t = r - a; /* what r lost by rounding, whichever of a and b is larger */
    const double rest = (a - (r - t)) - (b + t) - n * HALF_PI_3, sum = r + rest;
    return cos_quarter((int64_t)n + quarters, sum, (r - sum) + rest);
}

double at_cos(double x) { return cos_from(x, 0); }
double at_sin(double x) { return cos_from(x, -1); }

double at_cos2pi(double u) {
    const double n = nearest(4 * u);
    return cos_quarter((int64_t)n, (u - n / 4) * 6.28318530717958647693, 0);
}
