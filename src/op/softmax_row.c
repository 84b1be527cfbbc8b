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

/* ---- losses against a mixture of both rows ---- */

/* Tokens of the vocabulary at a time: known to the compiler, which so does several at once. */
enum { BLOCK = 64 };

/* What each of them adds to a loss, and p (derivative by p + c), where c may be any number that is the
   same for all tokens: the softmax takes it out again. */
typedef struct {
    double p[BLOCK], q[BLOCK], m[BLOCK], of_p[BLOCK], of_q[BLOCK], value[BLOCK], slope[BLOCK];
} block;

/* log(x / m) into out, 0 where x is. */
static void logs(const at_kernels *k, const double *x, const double *m, double *out) {
    for (int i = 0; i < BLOCK; i++) out[i] = x[i] == 0 ? 1 : x[i] / m[i];
    k->ln(BLOCK, out, out);
}

/* 0 where both are: m is never 0 but there. */
static double curvature(double p, double q, double m) { return p * (p - q) / (m == 0 ? 1 : m); }

static void js_terms(const at_kernels *k, block *b) {
    for (int i = 0; i < BLOCK; i++) b->m[i] = 0.5 * (b->p[i] + b->q[i]);
    logs(k, b->p, b->m, b->of_p);
    logs(k, b->q, b->m, b->of_q);
    for (int i = 0; i < BLOCK; i++) {
        b->slope[i] = 0.5 * (b->p[i] * b->of_p[i]);
        b->value[i] = b->slope[i] + 0.5 * (b->q[i] * b->of_q[i]);
    }
}

/* The terms of m - q sum to 0 and are there for the digits: with them no term is below 0. */
static void skew_terms(const at_kernels *k, double a, block *b) {
    const double rest = 1 - a;
    for (int i = 0; i < BLOCK; i++) b->m[i] = a * b->q[i] + rest * b->p[i];
    logs(k, b->q, b->m, b->of_q);
    for (int i = 0; i < BLOCK; i++) {
        b->value[i] = b->q[i] * b->of_q[i] + (b->m[i] - b->q[i]);
        b->slope[i] = rest * rest * curvature(b->p[i], b->q[i], b->m[i]);
    }
}

static void skew_reverse_terms(const at_kernels *k, double a, block *b) {
    const double rest = 1 - a;
    for (int i = 0; i < BLOCK; i++) b->m[i] = a * b->p[i] + rest * b->q[i];
    logs(k, b->p, b->m, b->of_p);
    for (int i = 0; i < BLOCK; i++) {
        const double of_p = b->p[i] * b->of_p[i];
        b->value[i] = of_p + (b->m[i] - b->p[i]);
        b->slope[i] = of_p - a * rest * curvature(b->p[i], b->q[i], b->m[i]);
    }
}

/* q becomes the slopes, *slopes their sum.  Sums go from token to token, whatever the block. */
static double against_mixture(const at_kernels *k, int64_t v, const at_kd *how, const at_real *p,
                              at_real *q, double *slopes) {
    double value = 0, sum = 0;
    block b;
    for (int64_t j = 0; j < v; j += BLOCK) {
        const int n = v - j < BLOCK ? (int)(v - j) : BLOCK;
        for (int i = 0; i < BLOCK; i++) b.p[i] = b.q[i] = 0;
        for (int i = 0; i < n; i++) b.p[i] = (double)p[j + i];
        for (int i = 0; i < n; i++) b.q[i] = (double)q[j + i];
        if (how->kind == AT_KD_JS)
            js_terms(k, &b);
        else if (how->kind == AT_KD_SKEW)
            skew_terms(k, how->skew, &b);
        else
            skew_reverse_terms(k, how->skew, &b);
        for (int i = 0; i < n; i++) {
            value += b.value[i];
            sum += b.slope[i];
            q[j + i] = (at_real)b.slope[i];
        }
    }
    *slopes = sum;
    return value;
}

/* ---- all losses ---- */

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
        const double loss = against_mixture(k, v, how, p, q, &slopes);
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
