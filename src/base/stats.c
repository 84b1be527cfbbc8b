/* stats.c - small samples by exact tests, large ones by resampling. */
#include "base/stats.h"
#include "base/rng.h"
#include <math.h>
#include <stdlib.h>

enum { EXACT_FLIPS = 16, DRAWN_FLIPS = 1 << 14 };

double at_stat_mean(const double *x, int64_t n) {
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += x[i];
    return sum / (double)n;
}

/* The central moment of the given power. */
static double moment(const double *x, int64_t n, int power) {
    const double mean = at_stat_mean(x, n);
    double sum = 0;
    for (int64_t i = 0; i < n; i++) {
        const double d = x[i] - mean;
        sum += power == 2 ? d * d : d * d * d;
    }
    return sum;
}

double at_stat_sd(const double *x, int64_t n) {
    return n < 2 ? (double)NAN : sqrt(moment(x, n, 2) / (double)(n - 1));
}

/* ---- distributions ---- */

/* Continued fraction of the incomplete beta function, by the method of Lentz. */
static double beta_fraction(double x, double a, double b) {
    const double tiny = 1e-300;
    double c = 1, d = 1 - (a + b) * x / (a + 1);
    d = 1 / (fabs(d) < tiny ? tiny : d);
    double f = d;
    for (int m = 1; m < 500; m++) {
        for (int odd = 0; odd < 2; odd++) {
            const double k = odd ? -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
                                 : m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
            d = 1 + k * d;
            c = 1 + k / c;
            d = 1 / (fabs(d) < tiny ? tiny : d);
            if (fabs(c) < tiny) c = tiny;
            f *= c * d;
        }
        if (fabs(c * d - 1) < 1e-15) break;
    }
    return f;
}

/* I(x; a, b); rest = 1 - x, given for the digits it has where x is next to 1.  The fraction
   converges quickly on one side of (a + 1) / (a + b + 2). */
static double beta_share(double x, double rest, double a, double b) {
    if (x <= 0) return 0;
    if (rest <= 0) return 1;
    const double front = exp(lgamma(a + b) - lgamma(a) - lgamma(b) + a * log(x) + b * log(rest));
    if (x < (a + 1) / (a + b + 2)) return front * beta_fraction(x, a, b) / a;
    return 1 - front * beta_fraction(rest, b, a) / b;
}

double at_stat_t_cdf(double t, double df) {
    const double all = df + t * t, tail = beta_share(df / all, t * t / all, df / 2, 0.5) / 2;
    return t > 0 ? 1 - tail : tail;
}

double at_stat_normal_cdf(double z) { return erfc(-z / sqrt(2)) / 2; }

/* The root of a rising distribution function, by halving. */
static double inverse(double (*cdf)(double x, double df), double df, double p) {
    double lo = -1, hi = 1;
    while (cdf(lo, df) > p && lo > -1e12) lo *= 2;
    while (cdf(hi, df) < p && hi < 1e12) hi *= 2;
    for (int i = 0; i < 200 && hi - lo > 1e-15 * fabs(hi + lo); i++) {
        const double mid = (lo + hi) / 2;
        if (cdf(mid, df) < p)
            lo = mid;
        else
            hi = mid;
    }
    return (lo + hi) / 2;
}

static double normal(double z, double unused) {
    (void)unused;
    return at_stat_normal_cdf(z);
}

double at_stat_t_quantile(double p, double df) { return inverse(at_stat_t_cdf, df, p); }
double at_stat_normal_quantile(double p) { return inverse(normal, 0, p); }

/* ---- estimates ---- */

at_estimate at_stat_t(const double *x, int64_t n, double null) {
    at_estimate e = {.mean = at_stat_mean(x, n), .sd = at_stat_sd(x, n), .n = n};
    e.lo = e.hi = e.p = (double)NAN;
    if (n < 2) return e;
    const double error = e.sd / sqrt((double)n), df = (double)(n - 1);
    const double half = at_stat_t_quantile(0.975, df) * error;
    e.lo = e.mean - half;
    e.hi = e.mean + half;
    if (error > 0)
        e.p = 2 * at_stat_t_cdf(-fabs(e.mean - null) / error, df);
    else
        e.p = e.mean != null ? ldexp(2, -(int)n) : 1;
    return e;
}

void at_stat_holm(const double *p, int64_t n, double *adjusted) {
    int64_t left = 0;
    double least = 0; /* the largest so far: the result never decreases */
    for (int64_t i = 0; i < n; i++) {
        adjusted[i] = (double)NAN;
        left += !isnan(p[i]);
    }
    for (; left > 0; left--) {
        int64_t next = -1;
        for (int64_t i = 0; i < n; i++)
            if (!isnan(p[i]) && isnan(adjusted[i]) && (next < 0 || p[i] < p[next])) next = i;
        least = fmin(1, fmax(least, (double)left * p[next]));
        adjusted[next] = least;
    }
}

double at_stat_sign_flip(const double *x, int64_t n, double null, uint64_t seed) {
    const bool all = n <= EXACT_FLIPS;
    const int64_t choices = all ? (int64_t)1 << n : DRAWN_FLIPS;
    double seen = 0, size = 0;
    for (int64_t i = 0; i < n; i++) {
        seen += x[i] - null;
        size += fabs(x[i] - null);
    }
    const double least = fabs(seen) - 1e-12 * size; /* equal up to rounding counts as equal */
    int64_t far = all ? 0 : 1;
    for (int64_t k = all ? 0 : 1; k < choices; k++) {
        double sum = 0;
        uint64_t bits = (uint64_t)k;
        for (int64_t i = 0; i < n; i++) {
            if (!all && i % 64 == 0)
                bits = at_rand64(seed, AT_STREAM_LAB, (uint64_t)(k * ((n + 63) / 64) + i / 64));
            sum += bits >> (i % 64) & 1 ? null - x[i] : x[i] - null;
        }
        far += fabs(sum) >= least;
    }
    return (double)far / (double)choices;
}

static int by_value(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Between the order statistics of a sorted sample. */
static double quantile(const double *sorted, int64_t n, double p) {
    const double at = p * (double)(n - 1);
    const int64_t i = at < 0 ? 0 : (int64_t)at;
    if (i >= n - 1) return sorted[n - 1];
    return sorted[i] + (at - (double)i) * (sorted[i + 1] - sorted[i]);
}

at_status at_stat_bca(at_ctx *c, const double *x, int64_t n, double null, int64_t resamples,
                      uint64_t seed, at_estimate *out) {
    *out = at_stat_t(x, n, null);
    if (n < 2 || resamples < 2)
        return at_error(c, AT_ARG, "a bootstrap needs two samples and two draws at least");
    if (out->sd <= 0) return AT_OK;
    double *mean = at_malloc(c, (size_t)resamples * sizeof *mean);
    if (!mean) return AT_OOM;
    double below = 0;
    for (int64_t k = 0; k < resamples; k++) {
        double sum = 0;
        for (int64_t i = 0; i < n; i++)
            sum += x[at_rand_below((uint64_t)n, seed, AT_STREAM_LAB, (uint64_t)(k * n + i))];
        mean[k] = sum / (double)n;
        below += mean[k] < out->mean ? 1 : mean[k] > out->mean ? 0 : 0.5;
    }
    qsort(mean, (size_t)resamples, sizeof *mean, by_value);
    const double edge = 0.5 / (double)resamples, share = below / (double)resamples;
    const double z0 = at_stat_normal_quantile(share < edge       ? edge
                                              : share > 1 - edge ? 1 - edge
                                                                 : share);
    const double a = moment(x, n, 3) / (6 * pow(moment(x, n, 2), 1.5));
    const double z[2] = {at_stat_normal_quantile(0.025), at_stat_normal_quantile(0.975)};
    double end[2];
    for (int i = 0; i < 2; i++)
        end[i] =
            quantile(mean, resamples, at_stat_normal_cdf(z0 + (z0 + z[i]) / (1 - a * (z0 + z[i]))));
    at_free(mean);
    out->lo = end[0];
    out->hi = end[1];
    out->p = at_stat_sign_flip(x, n, null, seed);
    return AT_OK;
}

typedef struct {
    double size;
    bool positive;
} signed_size;

static int by_size(const void *a, const void *b) {
    const double x = ((const signed_size *)a)->size, y = ((const signed_size *)b)->size;
    return (x > y) - (x < y);
}

double at_stat_wilcoxon(const double *x, int64_t n, double null) {
    signed_size d[AT_WILCOXON_MAX];
    /* share[w]: of the choices of signs so far that have the sum w of doubled ranks, which are whole */
    double share[AT_WILCOXON_MAX * (AT_WILCOXON_MAX + 1) + 1] = {1};
    int64_t m = 0, seen = 0, top = 0;
    if (n < 1 || n > AT_WILCOXON_MAX) return (double)NAN;
    for (int64_t i = 0; i < n; i++) {
        const double v = x[i] - null;
        if (isnan(v)) return (double)NAN;
        if (v > 0 || v < 0) d[m++] = (signed_size){fabs(v), v > 0};
    }
    if (m > 1) qsort(d, (size_t)m, sizeof *d, by_size);
    for (int64_t i = 0, j = 0; i < m; i = j) {
        while (j < m && !(d[j].size > d[i].size)) j++;
        const int64_t rank = i + 1 + j; /* twice the mean of i + 1 .. j */
        for (int64_t k = i; k < j; k++) {
            seen += d[k].positive ? rank : 0;
            for (int64_t w = top; w >= 0; w--) {
                share[w + rank] += share[w] / 2;
                share[w] /= 2;
            }
            top += rank;
        }
    }
    double below = 0, above = 0;
    for (int64_t w = 0; w <= top; w++) {
        if (w <= seen) below += share[w];
        if (w >= seen) above += share[w];
    }
    return fmin(1, 2 * fmin(below, above));
}
