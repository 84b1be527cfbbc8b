/* swiglu.c - one half of a row, through a sigmoid, gates the other. */
#include "base/maths.h"
#include "op/op.h"
#include <string.h>

enum { GRAIN = 32 }; /* rows */

/* 1 / (1 + e^-x): e^-x may become infinite, which gives 0. */
static double sigmoid(double x) { return 1 / (1 + at_exp(-x)); }

static void fwd_part(void *arg, int64_t begin, int64_t end, int worker) {
    const at_node *n = arg;
    const int64_t f = at_cols(n->out);
    (void)worker;
    for (int64_t i = begin; i < end; i++) {
        const at_real *h = n->in[0]->data + 2 * i * f, *g = h + f;
        at_real *y = n->out->data + i * f;
        for (int64_t j = 0; j < f; j++)
            y[j] = (at_real)((double)h[j] * sigmoid((double)h[j]) * (double)g[j]);
    }
}
static void swiglu_fwd(at_node *n) { at_run_par(n->run, at_rows(n->out), GRAIN, fwd_part, n); }

typedef struct {
    const at_node *n;
    at_real *dx;
} bwd_arg;

/* silu'(h) = s (1 + h (1 - s)) */
static void bwd_part(void *arg, int64_t begin, int64_t end, int worker) {
    const bwd_arg *b = arg;
    const int64_t f = at_cols(b->n->out);
    (void)worker;
    for (int64_t i = begin; i < end; i++) {
        const at_real *h = b->n->in[0]->data + 2 * i * f, *g = h + f, *dy = b->n->out->grad + i * f;
        at_real *dh = b->dx + 2 * i * f, *dg = dh + f;
        for (int64_t j = 0; j < f; j++) {
            const double x = (double)h[j], s = sigmoid(x), d = (double)dy[j];
            dh[j] += (at_real)(d * (double)g[j] * s * (1 + x * (1 - s)));
            dg[j] += (at_real)(d * x * s);
        }
    }
}
static void swiglu_bwd(at_node *n) {
    bwd_arg b = {n, at_grad(n, 0)};
    if (b.dx) at_run_par(n->run, at_rows(n->out), GRAIN, bwd_part, &b);
}

const at_op at_op_swiglu = {"swiglu", swiglu_fwd, swiglu_bwd};

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
