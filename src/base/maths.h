/*
 * maths.h - exponentials, logarithms, cosines whose bits do not depend on the machine.
 *
 * Results of libm differ from version to version and from processor to processor.  Wherever a value
 * can reach a parameter, a logit or a random draw, these functions are used instead: additions,
 * multiplications and divisions of doubles in one fixed order, which IEEE 754 defines to the bit.
 * Errors are below 1.5 units in the last place where nothing else is said
 * (tests/unit/test_maths.c).
 */
#ifndef AT_MATHS_H
#define AT_MATHS_H
#include <stdint.h>

/** e^x; 0 below -746, infinite above 709.79. */
double at_exp(double x);
/** Natural logarithm; -infinity at 0, NaN below. */
double at_ln(double x);
/** log(1 + x), exact to the last digits for small x too; within 3 units. */
double at_log1p(double x);
/** x^y = exp(y log x) for x > 0; relative error about |y log x| 2^-52. */
double at_pow(double x, double y);
/** x^n, n >= 0, by squaring. */
double at_powi(double x, int64_t n);
/** Cosine and sine; |x| <= 10^6 (beyond, digits are lost, but the same ones everywhere). */
double at_cos(double x);
double at_sin(double x);
/** cos(2 pi u), 0 <= u <= 1. */
double at_cos2pi(double u);

#endif
