/* l2norm.c - rows scaled to length one. */
#include "op/op.h"
#include <math.h>

enum { GRAIN = 64 }; /* rows */

typedef struct {
    double *length; /* [rows], at least the floor */
    double least;
    at_real *dx; /* during backward */
} l2norm_attr;

static void fwd_part(void *arg, int64_t begin, int64_t end, int worker) {
    const at_node *n = arg;
    const l2norm_attr *a = n->attr;
    const int64_t c = at_cols(n->out);
    (void)worker;
    for (int64_t i = begin; i < end; i++) {
        const at_real *x = n->in[0]->data + i * c;
        a->length[i] = fmax(sqrt(n->run->cp->k.sumsq(c, x)), a->least);
        for (int64_t j = 0; j < c; j++)
            n->out->data[i * c + j] = (at_real)((double)x[j] / a->length[i]);
    }
}
static void l2norm_fwd(at_node *n) { at_run_par(n->run, at_rows(n->out), GRAIN, fwd_part, n); }

/* dx = (dy - y (y.dy)) / |x|; below the floor the length is a constant. */
static void bwd_part(void *arg, int64_t begin, int64_t end, int worker) {
    const at_node *n = arg;
    const l2norm_attr *a = n->attr;
    const int64_t c = at_cols(n->out);
    (void)worker;
    for (int64_t i = begin; i < end; i++) {
        const at_real *y = n->out->data + i * c, *dy = n->out->grad + i * c;
        double along = 0;
        for (int64_t j = 0; j < c && a->length[i] > a->least; j++)
            along += (double)y[j] * (double)dy[j];
        for (int64_t j = 0; j < c; j++)
            a->dx[i * c + j] += (at_real)(((double)dy[j] - along * (double)y[j]) / a->length[i]);
    }
}
static void l2norm_bwd(at_node *n) {
    l2norm_attr *a = n->attr;
    a->dx = at_grad(n, 0);
    if (a->dx) at_run_par(n->run, at_rows(n->out), GRAIN, bwd_part, n);
}

const at_op at_op_l2norm = {"l2norm", l2norm_fwd, l2norm_bwd, NULL};

at_tensor *at_l2norm(at_run *r, at_tensor *x, double least) {
    l2norm_attr *a = x ? at_run_alloc(r, sizeof *a) : NULL;
    if (!a || !(a->length = at_run_values(r, (size_t)at_rows(x) * sizeof *a->length))) return NULL;
    a->least = least;
    at_tensor *y = at_new(r, x->rank, x->dim);
    return at_apply(r, &at_op_l2norm, &x, 1, y, a);
}
