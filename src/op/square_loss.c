/* square_loss.c - mean square of what numbers are off. */
#include "op/op.h"
#include <string.h>

static double off(const at_node *n, int64_t i) {
    return (double)n->in[0]->data[i] - (double)((const at_real *)n->attr)[i];
}

static void square_loss_fwd(at_node *n) {
    const int64_t rows = at_numel(n->in[0]);
    double sum = 0;
    for (int64_t i = 0; i < rows; i++) sum += off(n, i) * off(n, i);
    n->out->data[0] = (at_real)(sum / (double)rows);
}

static void square_loss_bwd(at_node *n) {
    const int64_t rows = at_numel(n->in[0]);
    const double coef = 2 * (double)n->out->grad[0] / (double)rows;
    at_real *d = at_grad(n, 0);
    for (int64_t i = 0; d && i < rows; i++) d[i] += (at_real)(coef * off(n, i));
}

const at_op at_op_square_loss = {"square_loss", square_loss_fwd, square_loss_bwd, NULL};

at_tensor *at_square_loss(at_run *r, at_tensor *x, const at_real *target) {
    if (!x || r->status != AT_OK) return NULL;
    const size_t bytes = (size_t)at_numel(x) * sizeof *target;
    at_real *keep = at_run_alloc(r, bytes);
    if (!keep) return NULL;
    memcpy(keep, target, bytes);
    at_tensor *y = at_new(r, 1, (int64_t[]){1});
    return at_apply(r, &at_op_square_loss, &x, 1, y, keep);
}
