/*
 * stats.h - what a handful of numbers says, and how sure one can be.
 *
 * Samples are few (training runs, one a seed) or many (windows of text).  For few: Student's t.
 * For many: the bootstrap.  A comparison is made on paired differences d_i = a_i - b_i (same seed,
 * or same window of text), which are then a sample like any other.
 */
#ifndef AT_STATS_H
#define AT_STATS_H
#include "base/ctx.h"

/** Sum x / n; NaN for n = 0. */
double at_stat_mean(const double *x, int64_t n);
/** Sample standard deviation, sqrt(sum (x - mean)^2 / (n - 1)); NaN for n < 2. */
double at_stat_sd(const double *x, int64_t n);

/** P(T <= t) of Student's t with df > 0 degrees of freedom:
    1 - I(df / (df + t^2); df / 2, 1 / 2) / 2 for t >= 0, I the regularised incomplete beta. */
double at_stat_t_cdf(double t, double df);
/** The t with P(T <= t) = p, 0 < p < 1. */
double at_stat_t_quantile(double p, double df);
/** P(Z <= z) of the standard normal distribution, and its inverse. */
double at_stat_normal_cdf(double z);
double at_stat_normal_quantile(double p);

typedef struct at_estimate {
    double mean, sd;
    double lo, hi; /* 95 % confidence interval; NaN where the sample gives none */
    double p;      /* two-sided, of the null that the true mean is `null`; NaN  */
    int64_t n;
} at_estimate;

/**
 * Interval mean +- t(0.975; n - 1) sd / sqrt(n), and the p of the t-test of mean = null.
 * n = 1 has neither: lo, hi, p are NaN.  Without any spread the interval is the mean, and p the least
 * that at_stat_sign_flip gives: a t-test would be sure of whatever n equal counts say.
 */
at_estimate at_stat_t(const double *x, int64_t n, double null);

/**
 * Holm's correction of n probabilities of tests made together (S. Holm, "A simple sequentially
 * rejective multiple test procedure", 1979): the j-th least of m becomes (m - j + 1) times itself,
 * at most 1 and never less than a lesser one.  Rejecting where the result is below 0.05 rejects one
 * true null or more in at most 5 % of all cases, whatever depends on what.  NaN: no test was made;
 * it stays NaN and does not count.  adjusted [n], not p itself.
 */
void at_stat_holm(const double *p, int64_t n, double *adjusted);

/**
 * Two-sided p of the null that each x_i - null is as likely as its negative: the share of the 2^n
 * choices of signs whose |mean| is at least that of the sample.  All of them up to n = 16, else
 * 2^14 drawn ones (with the sample itself counted among them).  The least possible p is 2 / 2^n:
 * 0.25 for n = 3.
 */
double at_stat_sign_flip(const double *x, int64_t n, double null, uint64_t seed);

/**
 * 95 % interval of the mean by `resamples` bootstrap draws, bias-corrected and accelerated
 * (B. Efron, "Better bootstrap confidence intervals", 1987): quantiles of the resampled means at
 *   Phi(z0 + (z0 + z) / (1 - a (z0 + z))),  z = -+1.96,
 *   z0 = Phi^-1(share of them below the mean, ties by half),
 *   a  = sum (x - mean)^3 / (6 (sum (x - mean)^2)^1.5), the jackknife's for a mean.
 * *p is two-sided, of at_stat_sign_flip.  Needs n >= 2.
 */
at_status at_stat_bca(at_ctx *c, const double *x, int64_t n, double null, int64_t resamples,
                      uint64_t seed, at_estimate *out);

/**
 * Two-sided p of the signed-rank test of F. Wilcoxon, 1945, exact: |x_i - null| are ranked, equal ones
 * have the mean of their ranks, those that are 0 are left out, and the sum of the ranks of the positive
 * ones is held against its distribution over all 2^n choices of signs:
 *   p = min(1, 2 min(P(W <= w), P(W >= w))).
 * 1 where all are 0; NaN without numbers, or with more than AT_WILCOXON_MAX.  The least p is 2 / 2^n.
 */
enum { AT_WILCOXON_MAX = 64 };
double at_stat_wilcoxon(const double *x, int64_t n, double null);

#endif
