/* rmsnorm.c - the gradient of g is summed within blocks of a fixed number of rows, then over the
   blocks in order, so that the number of workers changes no bit. */
#include "op/op.h"
#include <math.h>
#include <string.h>

enum { BLOCK = 64 }; /* rows */

typedef struct {
    double eps;
    at_real *scale; /* [rows] 1 / root mean square */
} rmsnorm_attr;

static void fwd_part(void *arg, int64_t begin, int64_t end, int worker) {
    const at_node *n = arg;
    const rmsnorm_attr *a = n->attr;
    const at_real *g = n->in[1]->data;
    const int64_t c = at_cols(n->out);
    (void)worker;
    for (int64_t i = begin; i < end; i++) {
        const at_real *x = n->in[0]->data + i * c;
        at_real *y = n->out->data + i * c;
        const at_real s = (at_real)(1 / sqrt(n->run->cp->k.sumsq(c, x) / (double)c + a->eps));
        for (int64_t j = 0; j < c; j++) y[j] = g[j] * (x[j] * s);
        a->scale[i] = s;
    }
}
static void rmsnorm_fwd(at_node *n) { at_run_par(n->run, at_rows(n->out), BLOCK, fwd_part, n); }

typedef struct {
    const at_node *n;
    at_real *dx, *dg; /* dg: [blocks, C] partial sums; NULL: not wanted */
} bwd_arg;

/* xhat = x s:  dx = s (g dy - xhat mean(g dy xhat)),  dg = sum over rows of dy xhat. */
static void bwd_part(void *arg, int64_t begin, int64_t end, int worker) {
    const bwd_arg *b = arg;
    const rmsnorm_attr *a = b->n->attr;
    const at_real *g = b->n->in[1]->data;
    const int64_t c = at_cols(b->n->out);
    at_real *dg = b->dg ? b->dg + begin / BLOCK * c : NULL;
    (void)worker;
    if (dg) memset(dg, 0, (size_t)c * sizeof *dg);
    for (int64_t i = begin; i < end; i++) {
        const at_real *x = b->n->in[0]->data + i * c, *dy = b->n->out->grad + i * c;
        const at_real s = a->scale[i];
        for (int64_t j = 0; j < c && dg; j++) dg[j] += dy[j] * (x[j] * s);
        if (!b->dx) continue;
        at_real *dx = b->dx + i * c;
        double along = 0;
        for (int64_t j = 0; j < c; j++) along += (double)(g[j] * dy[j] * x[j]);
        const at_real back = (at_real)(along * (double)s * (double)s / (double)c);
        for (int64_t j = 0; j < c; j++) dx[j] += s * (g[j] * dy[j] - x[j] * back);
    }
}

static void rmsnorm_bwd(at_node *n) {
    const int64_t rows = at_rows(n->out), c = at_cols(n->out), blocks = (rows + BLOCK - 1) / BLOCK;
    at_real *dx = at_grad(n, 0), *dg = at_grad(n, 1);
    const at_mark mark = at_arena_mark(n->run->arena);
    bwd_arg b = {n, dx, dg ? at_run_alloc(n->run, (size_t)(blocks * c) * sizeof *dg) : NULL};
    if (n->run->status != AT_OK) return;
    at_run_par(n->run, rows, BLOCK, bwd_part, &b);
    for (int64_t k = 0; dg && k < blocks; k++) n->run->cp->k.acc(c, b.dg + k * c, dg);
    at_arena_rewind(n->run->arena, mark);
}

const at_op at_op_rmsnorm = {"rmsnorm", rmsnorm_fwd, rmsnorm_bwd, NULL};

at_tensor *at_rmsnorm(at_run *r, at_tensor *x, at_tensor *g, double eps) {
    if (!x || !g) return NULL;
    if (at_numel(g) != at_cols(x)) {
        char sx[96], sg[96];
        return at_fail(r, AT_SHAPE, "rmsnorm %s: x %s and g %s", g->name ? g->name : "?",
                       at_shape_text(x, sx), at_shape_text(g, sg));
    }
    rmsnorm_attr *a = at_run_alloc(r, sizeof *a);
    if (!a || !(a->scale = at_run_values(r, (size_t)at_rows(x) * sizeof *a->scale))) return NULL;
    a->eps = eps;
    at_tensor *y = at_new(r, x->rank, x->dim);
    return at_apply(r, &at_op_rmsnorm, (at_tensor *[]){x, g}, 2, y, a);
}
