/* gelu.c - Gaussian error linear unit in both its forms. */
#include "op/op.h"

enum { GRAIN = 16384 };

typedef struct {
    at_gelu_form form;
    at_real *dx; /* during backward */
} gelu_attr;

static void fwd_part(void *arg, int64_t begin, int64_t end, int worker) {
    const at_node *n = arg;
    const at_kernels *k = &n->run->cp->k;
    const bool tanh_form = ((const gelu_attr *)n->attr)->form == AT_GELU_TANH;
    (void)worker;
    (tanh_form ? k->gelu : k->gelu_erf)(end - begin, n->in[0]->data + begin, n->out->data + begin);
}
static void gelu_fwd(at_node *n) { at_run_par(n->run, at_numel(n->out), GRAIN, fwd_part, n); }

static void bwd_part(void *arg, int64_t begin, int64_t end, int worker) {
    const at_node *n = arg;
    const at_kernels *k = &n->run->cp->k;
    const gelu_attr *a = n->attr;
    (void)worker;
    (a->form == AT_GELU_TANH ? k->gelu_grad : k->gelu_erf_grad)(
        end - begin, n->in[0]->data + begin, n->out->grad + begin, a->dx + begin);
}
static void gelu_bwd(at_node *n) {
    gelu_attr *a = n->attr;
    a->dx = at_grad(n, 0);
    if (a->dx) at_run_par(n->run, at_numel(n->out), GRAIN, bwd_part, n);
}

const at_op at_op_gelu = {"gelu", gelu_fwd, gelu_bwd, NULL};

at_tensor *at_gelu(at_run *r, at_tensor *x, at_gelu_form form) {
    gelu_attr *a = x ? at_run_alloc(r, sizeof *a) : NULL;
    if (!a) return NULL;
    *a = (gelu_attr){.form = form};
    at_tensor *y = at_new(r, x->rank, x->dim);
    return at_apply(r, &at_op_gelu, &x, 1, y, a);
}
