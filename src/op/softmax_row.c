/* softmax_row.c - rows of logits. */
#include "op/softmax_row.h"
#include "base/maths.h"
#include <math.h>

double at_row_softmax(const at_kernels *k, int64_t v, double a, const at_real *x, at_real *y) {
    const at_real top = k->max(v, x);
    const at_real sum = k->expsum(v, (at_real)a, top, x, y);
    k->scale(v, 1 / sum, y);
    return a * (double)top + at_ln((double)sum);
}

/* What one token of the vocabulary adds to a loss, and p (derivative by p + c), where c may be any
   number that is the same for all tokens: the softmax takes it out again. */
typedef struct {
    double value, slope;
} kd_term;

/* x log(x / m), 0 where x is. */
static double x_log(double x, double m) { return x == 0 ? 0 : x * at_ln(x / m); }

static kd_term js_term(double p, double q) {
    const double m = 0.5 * (p + q), of_p = 0.5 * x_log(p, m);
    return (kd_term){of_p + 0.5 * x_log(q, m), of_p};
}

/* The terms of m - q sum to 0 and are there for the digits: with them no term is below 0. */
static kd_term skew_term(double a, double p, double q) {
    const double b = 1 - a, m = a * q + b * p;
    return (kd_term){x_log(q, m) + (m - q), b * b * (p * (p - q) / m)};
}

static kd_term skew_reverse_term(double a, double p, double q) {
    const double b = 1 - a, m = a * p + b * q, of_p = x_log(p, m);
    return (kd_term){of_p + (m - p), of_p - a * b * (p * (p - q) / m)};
}

/* Losses against a mixture of both rows; q becomes the slopes, *slopes their sum. */
static double against_mixture(int64_t v, const at_kd *how, const at_real *p, at_real *q,
                              double *slopes) {
    double value = 0, sum = 0;
    for (int64_t j = 0; j < v; j++) {
        const double x = (double)p[j], y = (double)q[j];
        if (x == 0 && y == 0) continue;
        const kd_term t = how->kind == AT_KD_JS     ? js_term(x, y)
                          : how->kind == AT_KD_SKEW ? skew_term(how->skew, x, y)
                                                    : skew_reverse_term(how->skew, x, y);
        value += t.value;
        sum += t.slope;
        q[j] = (at_real)t.slope;
    }
    *slopes = sum;
    return value;
}

/* A mixture with nothing of the other row in it is that row. */
static at_kd_kind kind_of(const at_kd *how) {
    if (how->skew > 0) return how->kind;
    return how->kind == AT_KD_SKEW           ? AT_KD_FORWARD
           : how->kind == AT_KD_SKEW_REVERSE ? AT_KD_REVERSE
                                             : how->kind;
}

double at_row_kd(const at_kernels *k, int64_t v, const at_kd *how, const at_real *s,
                 const at_real *z, at_real *tmp, double coef, at_real *ds) {
    const at_kd_kind kind = kind_of(how);
    const double tau = how->tau;
    at_real *p = tmp, *q = tmp + v;
    const double ls = at_row_softmax(k, v, 1 / tau, s, p), lz = at_row_softmax(k, v, 1 / tau, z, q);
    if (kind == AT_KD_FORWARD || kind == AT_KD_SOFT) {
        const at_real of_s = k->dot(v, q, s);
        const double loss = kind == AT_KD_SOFT ? ls - (double)of_s / tau
                                               : (double)(k->dot(v, q, z) - of_s) / tau + ls - lz;
        if (ds) {
            k->axpy(v, (at_real)(coef * tau), p, ds);
            k->axpy(v, (at_real)(-coef * tau), q, ds);
        }
        return tau * tau * loss;
    }
    if (kind != AT_KD_REVERSE) {
        double slopes;
        const double loss = against_mixture(v, how, p, q, &slopes);
        if (ds) {
            k->axpy(v, (at_real)(coef * tau), q, ds);
            k->axpy(v, (at_real)(-coef * tau * slopes), p, ds);
        }
        return tau * tau * loss;
    }
    const double kl = (double)(k->dot(v, p, s) - k->dot(v, p, z)) / tau + lz - ls;
    if (ds)
        for (int64_t j = 0; j < v; j++) {
            const double ratio = ((double)s[j] - (double)z[j]) / tau + lz - ls; /* log p - log q */
            ds[j] += (at_real)(coef * tau * (double)p[j] * (ratio - kl));
        }
    return tau * tau * kl;
}

double at_row_weight(const at_kernels *k, int64_t v, const at_kd *how, const at_real *s,
                     const at_real *z, int32_t label, at_real *tmp) {
    if (how->weight == AT_TOKENS_ALIKE) return 1;
    if (label < 0) return 0;
    if (how->weight == AT_TOKEN_SURPRISE) return at_row_softmax(k, v, 1, s, tmp) - (double)s[label];
    (void)at_row_softmax(k, v, 1 / how->tau, z, tmp);
    return 1 - (double)tmp[label];
}

void at_weight_shares(int64_t n, double *w) {
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += w[i] = w[i] > 0 ? w[i] : 0; /* rounding may go below */
    for (int64_t i = 0; i < n && sum > 0; i++) w[i] /= sum;
}

int64_t at_count_labels(at_run *r, const char *op, const int32_t *label, int64_t n, int64_t v) {
    int64_t count = 0;
    for (int64_t i = 0; i < n; i++) {
        if (label[i] >= v) {
            at_fail(r, AT_ARG, "%s: label %d at position %lld is outside [0,%lld)", op,
                    (int)label[i], (long long)i, (long long)v);
            return -1;
        }
        count += label[i] >= 0;
    }
    if (!count) at_fail(r, AT_ARG, "%s: every label is skipped", op);
    return count ? count : -1;
}
