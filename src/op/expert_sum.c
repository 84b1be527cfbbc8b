/* expert_sum.c - the outputs of a token's experts, weighted by its gates and summed. */
#include "op/op.h"
#include <string.h>

enum { GRAIN = 16 }; /* tokens */

typedef struct {
    at_real *dx, *dg; /* during backward; NULL: not wanted */
    bool fresh;       /* dx is to be assigned              */
} sum_attr;

static void fwd_part(void *arg, int64_t begin, int64_t end, int worker) {
    const at_node *n = arg;
    const at_tensor *x = n->in[0], *g = n->in[1];
    const int64_t k = x->dim[1], c = x->dim[2];
    (void)worker;
    for (int64_t i = begin; i < end; i++) {
        at_real *y = n->out->data + i * c;
        memset(y, 0, (size_t)c * sizeof *y);
        for (int64_t j = 0; j < k; j++)
            n->run->cp->k.axpy(c, g->data[i * k + j], x->data + (i * k + j) * c, y);
    }
}
static void expert_sum_fwd(at_node *n) { at_run_par(n->run, n->in[0]->dim[0], GRAIN, fwd_part, n); }

static void bwd_part(void *arg, int64_t begin, int64_t end, int worker) {
    const at_node *n = arg;
    const sum_attr *a = n->attr;
    const at_kernels *kernel = &n->run->cp->k;
    const at_tensor *x = n->in[0], *g = n->in[1];
    const int64_t k = x->dim[1], c = x->dim[2];
    (void)worker;
    for (int64_t s = begin * k; s < end * k; s++) {
        const at_real *dy = n->out->grad + s / k * c;
        if (a->dg) a->dg[s] += kernel->dot(c, dy, x->data + s * c);
        if (a->dx && a->fresh) memset(a->dx + s * c, 0, (size_t)c * sizeof *dy);
        if (a->dx) kernel->axpy(c, g->data[s], dy, a->dx + s * c);
    }
}
static void expert_sum_bwd(at_node *n) {
    sum_attr *a = n->attr;
    a->dx = at_grad_fresh(n, 0, &a->fresh);
    a->dg = at_grad(n, 1);
    if (a->dx || a->dg) at_run_par(n->run, n->in[0]->dim[0], GRAIN, bwd_part, n);
}

const at_op at_op_expert_sum = {"expert_sum", expert_sum_fwd, expert_sum_bwd, NULL};

at_tensor *at_expert_sum(at_run *r, at_tensor *x, at_tensor *gates) {
    if (!x || !gates) return NULL;
    if (x->rank != 3 || x->dim[0] != at_rows(gates) || x->dim[1] != at_cols(gates)) {
        char sx[96], sg[96];
        return at_fail(r, AT_SHAPE, "expert_sum: x %s and gates %s", at_shape_text(x, sx),
                       at_shape_text(gates, sg));
    }
    sum_attr *a = at_run_alloc(r, sizeof *a);
    at_tensor *y = at_new2(r, x->dim[0], x->dim[2]);
    return at_apply(r, &at_op_expert_sum, (at_tensor *[]){x, gates}, 2, y, a);
}
