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

double at_row_kd(const at_kernels *k, int64_t v, at_kd_kind kind, double tau, const at_real *s,
                 const at_real *z, at_real *tmp, double coef, at_real *ds) {
    at_real *p = tmp, *q = tmp + v;
    const double ls = at_row_softmax(k, v, 1 / tau, s, p), lz = at_row_softmax(k, v, 1 / tau, z, q);
    if (kind == AT_KD_FORWARD) {
        const double kl = (double)(k->dot(v, q, z) - k->dot(v, q, s)) / tau + ls - lz;
        if (ds) {
            k->axpy(v, (at_real)(coef * tau), p, ds);
            k->axpy(v, (at_real)(-coef * tau), q, ds);
        }
        return tau * tau * kl;
    }
    const double kl = (double)(k->dot(v, p, s) - k->dot(v, p, z)) / tau + lz - ls;
    if (ds)
        for (int64_t j = 0; j < v; j++) {
            const double ratio = ((double)s[j] - (double)z[j]) / tau + lz - ls; /* log p - log q */
            ds[j] += (at_real)(coef * tau * (double)p[j] * (ratio - kl));
        }
    return tau * tau * kl;
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
