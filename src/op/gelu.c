/* gelu.c - Gaussian error linear unit; the tanh form is a kernel, the erf form a plain loop. */
#include "op/op.h"
#include <math.h>

enum { GRAIN = 16384 };

typedef struct {
    at_gelu_form form;
    at_real *dx; /* during backward */
} gelu_attr;

static void fwd_part(void *arg, int64_t begin, int64_t end, int worker) {
    const at_node *n = arg;
    const at_real *x = n->in[0]->data;
    at_real *y = n->out->data;
    (void)worker;
    if (((const gelu_attr *)n->attr)->form == AT_GELU_TANH) {
        n->run->cp->k.gelu(end - begin, x + begin, y + begin);
        return;
    }
    for (int64_t i = begin; i < end; i++) {
        const double v = (double)x[i];
        y[i] = (at_real)(0.5 * v * (1 + erf(v * 0.70710678118654752440)));
    }
}
static void gelu_fwd(at_node *n) { at_run_par(n->run, at_numel(n->out), GRAIN, fwd_part, n); }

static void bwd_part(void *arg, int64_t begin, int64_t end, int worker) {
    const at_node *n = arg;
    const gelu_attr *a = n->attr;
    const at_real *x = n->in[0]->data, *dy = n->out->grad;
    (void)worker;
    if (a->form == AT_GELU_TANH) {
        n->run->cp->k.gelu_grad(end - begin, x + begin, dy + begin, a->dx + begin);
        return;
    }
    for (int64_t i = begin; i < end; i++) { /* Phi(x) + x phi(x) */
        const double v = (double)x[i];
        const double d = 0.5 * (1 + erf(v * 0.70710678118654752440)) +
                         v * exp(-0.5 * v * v) * 0.39894228040143267794;
        a->dx[i] += (at_real)(d * (double)dy[i]);
    }
}
static void gelu_bwd(at_node *n) {
    gelu_attr *a = n->attr;
    a->dx = at_grad(n, 0);
    if (a->dx) at_run_par(n->run, at_numel(n->out), GRAIN, bwd_part, n);
}

const at_op at_op_gelu = {"gelu", gelu_fwd, gelu_bwd};

at_tensor *at_gelu(at_run *r, at_tensor *x, at_gelu_form form) {
    gelu_attr *a = x ? at_save(r, sizeof *a) : NULL;
    if (!a) return NULL;
    *a = (gelu_attr){.form = form};
    at_tensor *y = at_new(r, x->rank, x->dim);
    return at_apply(r, &at_op_gelu, &x, 1, y, a);
}
