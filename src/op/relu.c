/* relu.c - rectified linear unit. */
#include "op/op.h"

enum { GRAIN = 16384 };

static void fwd_part(void *arg, int64_t begin, int64_t end, int worker) {
    const at_node *n = arg;
    const at_real *x = n->in[0]->data;
    at_real *y = n->out->data;
    (void)worker;
    for (int64_t i = begin; i < end; i++) y[i] = x[i] > 0 ? x[i] : 0;
}
static void relu_fwd(at_node *n) { at_run_par(n->run, at_numel(n->out), GRAIN, fwd_part, n); }

typedef struct {
    const at_node *n;
    at_real *dx;
} relu_arg;
static void bwd_part(void *arg, int64_t begin, int64_t end, int worker) {
    const relu_arg *b = arg;
    const at_real *x = b->n->in[0]->data, *dy = b->n->out->grad;
    (void)worker;
    for (int64_t i = begin; i < end; i++) b->dx[i] += x[i] > 0 ? dy[i] : 0;
}
static void relu_bwd(at_node *n) {
    relu_arg b = {n, at_grad(n, 0)};
    if (b.dx) at_run_par(n->run, at_numel(n->out), GRAIN, bwd_part, &b);
}

const at_op at_op_relu = {"relu", relu_fwd, relu_bwd, NULL};

at_tensor *at_relu(at_run *r, at_tensor *x) {
    if (!x) return NULL;
    at_tensor *y = at_new(r, x->rank, x->dim);
    return at_apply(r, &at_op_relu, &x, 1, y, NULL);
}
