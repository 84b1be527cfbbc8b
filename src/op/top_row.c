/* top_row.c - see top_row.h. */
#include "op/top_row.h"
#include "base/maths.h"

/* A student that gives less to all other tokens together is taken to give this: a logarithm of it
   is finite, and so is what is left divided by it. */
static const double LEAST = 1e-30;
/* Of all others to the top, as a logarithm: what is less is this, and still a number. */
static const double MOST_ODDS = 80;

enum { LANES = 8 };

/* Eight partial sums, added up in order. */
static double sum_of(int64_t v, const at_real *p) {
    double lane[LANES] = {0}, sum = 0;
    int64_t j = 0;
    for (; j + LANES <= v; j += LANES)
        for (int i = 0; i < LANES; i++) lane[i] += (double)p[j + i];
    for (int i = 0; j < v; i++, j++) lane[i] += (double)p[j];
    for (int i = 0; i < LANES; i++) sum += lane[i];
    return sum;
}

double at_row_kd_top(const at_kernels *k, int64_t v, const at_kd *how, const at_real *s,
                     const at_top *top, int64_t i, at_real *tmp, double coef, at_real *ds) {
    const int32_t *id = top->id + i * top->n;
    const at_real *logq = top->logq + i * top->n;
    const double tau = how->tau, own = how->kind == AT_KD_SOFT ? 0 : 1;
    const double ls = at_row_softmax(k, v, 1 / tau, s, tmp);
    double value = 0;
    for (int64_t j = 0; j < top->n; j++) {
        const double l = (double)logq[j], q = at_exp(l);
        value += q * (own * l - ((double)s[id[j]] / tau - ls));
        if (ds) ds[id[j]] += (at_real)(coef * tau * ((double)tmp[id[j]] - q));
        tmp[id[j]] = 0;
    }
    if (top->n < v) {
        const double l = (double)top->left[i], q = at_exp(l);
        double p = sum_of(v, tmp);
        if (p < LEAST) p = LEAST;
        value += q * (own * l - at_ln(p));
        if (ds) k->axpy(v, (at_real)(coef * tau * (1 - q / p)), tmp, ds);
    }
    return tau * tau * value;
}

double at_row_top_probability(int64_t v, const at_top *top, int64_t i, int32_t id) {
    for (int64_t j = 0; j < top->n; j++)
        if (top->id[i * top->n + j] == id) return at_exp((double)top->logq[i * top->n + j]);
    return at_exp((double)top->left[i]) / (double)(v - top->n);
}

void at_row_spread_top(int64_t v, double tau, const at_top *top, int64_t i, at_real *z) {
    const int32_t *id = top->id + i * top->n;
    const at_real *logq = top->logq + i * top->n;
    if (top->n < v) {
        const double each = (double)top->left[i] - at_ln((double)(v - top->n));
        for (int64_t j = 0; j < v; j++) z[j] = (at_real)(tau * each);
    }
    for (int64_t j = 0; j < top->n; j++) z[id[j]] = (at_real)(tau * (double)logq[j]);
}

/* ---- the top of a row ---- */

static bool before(const at_real *z, int32_t a, int32_t b) {
    return z[a] > z[b] || (z[a] == z[b] && a < b);
}

/* A heap of n tokens, of which the first comes last, from place i down. */
static void sift(const at_real *z, int64_t n, int32_t *id, int64_t i) {
    for (;;) {
        int64_t last = 2 * i + 1;
        if (last >= n) return;
        if (last + 1 < n && before(z, id[last], id[last + 1])) last++;
        if (!before(z, id[i], id[last])) return;
        const int32_t t = id[i];
        id[i] = id[last];
        id[last] = t;
        i = last;
    }
}

void at_row_select_top(int64_t v, const at_real *z, int64_t n, int32_t *id) {
    for (int64_t j = 0; j < n; j++) id[j] = (int32_t)j;
    for (int64_t i = n / 2; i-- > 0;) sift(z, n, id, i);
    for (int64_t j = n; j < v; j++)
        if (before(z, (int32_t)j, id[0])) {
            id[0] = (int32_t)j;
            sift(z, n, id, 0);
        }
    for (int64_t m = n - 1; m > 0; m--) { /* the last goes to the end */
        const int32_t t = id[0];
        id[0] = id[m];
        id[m] = t;
        sift(z, m, id, 0);
    }
}

void at_row_take_top(const at_kernels *k, int64_t v, const at_real *z, int64_t n, int n_tau,
                     const double *tau, at_real *tmp, int32_t *id, float *logp, float *odds) {
    at_row_select_top(v, z, n, id);
    const double lse = at_row_softmax(k, v, 1, z, tmp);
    for (int64_t j = 0; j < n; j++) logp[j] = (float)((double)z[id[j]] - lse);
    for (int i = 0; i < n_tau; i++) {
        double top = 0;
        (void)at_row_softmax(k, v, 1 / tau[i], z, tmp);
        for (int64_t j = 0; j < n; j++) {
            top += (double)tmp[id[j]];
            tmp[id[j]] = 0;
        }
        const double o = at_ln(sum_of(v, tmp) / top);
        odds[i] = (float)(o > -MOST_ODDS ? o : -MOST_ODDS);
    }
}
