/* weighted_sum.c - one loss from several. */
#include "op/op.h"
#include <string.h>

static void weighted_sum_fwd(at_node *n) {
    const double *w = n->attr;
    double sum = 0;
    for (int i = 0; i < n->n_in; i++) sum += w[i] * (double)n->in[i]->data[0];
    n->out->data[0] = (at_real)sum;
}

static void weighted_sum_bwd(at_node *n) {
    const double *w = n->attr;
    for (int i = 0; i < n->n_in; i++) {
        at_real *d = at_grad(n, i);
        if (d) d[0] += (at_real)(w[i] * (double)n->out->grad[0]);
    }
}

const at_op at_op_weighted_sum = {"weighted_sum", weighted_sum_fwd, weighted_sum_bwd, NULL};

at_tensor *at_weighted_sum(at_run *r, at_tensor *const *x, const double *w, int n) {
    for (int i = 0; i < n; i++) {
        if (!x[i]) return NULL;
        if (at_numel(x[i]) != 1) {
            char s[96];
            return at_fail(r, AT_SHAPE, "weighted_sum: item %d is %s, expected a single number", i,
                           at_shape_text(x[i], s));
        }
    }
    double *keep = at_run_alloc(r, (size_t)n * sizeof *keep);
    if (!keep) return NULL;
    memcpy(keep, w, (size_t)n * sizeof *keep);
    at_tensor *y = at_new(r, 1, (int64_t[]){1});
    return at_apply(r, &at_op_weighted_sum, x, n, y, keep);
}
