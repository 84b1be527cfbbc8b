/* relu.c - rectified linear unit. */
#include "op/op.h"
#include <string.h>

enum { GRAIN = 16384, BLOCK = 16 };

/* y is v where x > 0, else 0.  Signs of x are as good as random, and a branch on each costs more than all else:
   blocks of one length in memory of their own let the compiler choose without branches. */
static void where_positive(int64_t n, const at_real *x, const at_real *v, at_real *y) {
    int64_t i = 0;
    for (; i + BLOCK <= n; i += BLOCK) {
        at_real a[BLOCK], b[BLOCK];
        memcpy(a, x + i, sizeof a);
        memcpy(b, v + i, sizeof b);
        for (int j = 0; j < BLOCK; j++) b[j] = a[j] > 0 ? b[j] : 0;
        memcpy(y + i, b, sizeof b);
    }
    for (; i < n; i++) y[i] = x[i] > 0 ? v[i] : 0;
}

static void fwd_part(void *arg, int64_t begin, int64_t end, int worker) {
    const at_node *n = arg;
    const at_real *x = n->in[0]->data + begin;
    (void)worker;
    where_positive(end - begin, x, x, n->out->data + begin);
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
    enum { MANY = 8 * BLOCK };
    for (int64_t i = begin; i < end; i += MANY) {
        const int64_t n = end - i < MANY ? end - i : MANY;
        at_real d[MANY];
        where_positive(n, x + i, dy + i, d);
        b->n->run->cp->k.acc(n, d, b->dx + i);
    }
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
