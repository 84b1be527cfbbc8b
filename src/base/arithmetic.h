/*
 * arithmetic.h - the name of the arithmetic that results are computed in.
 *
 * Results under the same name have the same bits on every processor, with every compiler and every
 * number of threads.  The name stands for all that decides them: products summed along k in blocks
 * of one fixed length with fused multiply-adds, sums over a row in 16 lanes folded by one tree, and
 * exponentials, logarithms, powers and cosines of our own.  A change of any of these changes the
 * name.  A checkpoint records it; a run goes on under the name that it began with.
 */
#ifndef AT_ARITHMETIC_H
#define AT_ARITHMETIC_H

#define AT_ARITHMETIC "fma16.1"

#endif
