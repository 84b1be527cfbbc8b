/* swiglu.c - silu of the first half of a row times the second half. */
#include "op/op.h"
#include <string.h>

enum { GRAIN = 32 }; /* rows */

static void fwd_part(void *arg, int64_t begin, int64_t end, int worker) {
    const at_node *n = arg;
    const int64_t f = at_cols(n->out);
    (void)worker;
    for (int64_t i = begin; i < end; i++) {
        const at_real *h = n->in[0]->data + 2 * i * f;
        n->run->cp->k.swiglu(f, h, h + f, n->out->data + i * f);
    }
}
static void swiglu_fwd(at_node *n) { at_run_par(n->run, at_rows(n->out), GRAIN, fwd_part, n); }

typedef struct {
    const at_node *n;
    at_real *dx;
} bwd_arg;

static void bwd_part(void *arg, int64_t begin, int64_t end, int worker) {
    const bwd_arg *b = arg;
    const int64_t f = at_cols(b->n->out);
    (void)worker;
    for (int64_t i = begin; i < end; i++) {
        const at_real *h = b->n->in[0]->data + 2 * i * f;
        at_real *dh = b->dx + 2 * i * f;
        b->n->run->cp->k.swiglu_grad(f, h, h + f, b->n->out->grad + i * f, dh, dh + f);
    }
}
static void swiglu_bwd(at_node *n) {
    bwd_arg b = {n, at_grad(n, 0)};
    if (b.dx) at_run_par(n->run, at_rows(n->out), GRAIN, bwd_part, &b);
}

const at_op at_op_swiglu = {"swiglu", swiglu_fwd, swiglu_bwd, NULL};

at_tensor *at_swiglu(at_run *r, at_tensor *x) {
    if (!x) return NULL;
    if (at_cols(x) % 2) {
        char s[96];
        return at_fail(r, AT_SHAPE, "swiglu: x %s has no two halves", at_shape_text(x, s));
    }
    int64_t dim[AT_RANK_MAX];
    memcpy(dim, x->dim, sizeof dim);
    dim[x->rank - 1] /= 2;
    at_tensor *y = at_new(r, x->rank, dim);
    return at_apply(r, &at_op_swiglu, &x, 1, y, NULL);
}
