/* layernorm.c - the gradients of g and b are summed within blocks of a fixed number of rows, then
   over the blocks in order, so that the number of workers changes no bit. */
#include "op/op.h"
#include <string.h>

typedef struct {
    double eps;
    at_real *mean, *rstd; /* [rows] */
} layernorm_attr;

enum { BLOCK = 64 }; /* rows */

static void fwd_part(void *arg, int64_t begin, int64_t end, int worker) {
    const at_node *n = arg;
    const layernorm_attr *a = n->attr;
    const at_tensor *x = n->in[0], *g = n->in[1], *b = n->in[2];
    const int64_t c = at_cols(x);
    (void)worker;
    for (int64_t i = begin; i < end; i++)
        n->run->cp->k.layernorm(c, (at_real)a->eps, x->data + i * c, g->data, b ? b->data : NULL,
                                n->out->data + i * c, &a->mean[i], &a->rstd[i]);
}
static void layernorm_fwd(at_node *n) { at_run_par(n->run, at_rows(n->in[0]), BLOCK, fwd_part, n); }

typedef struct {
    at_node *n;
    at_real *dx, *dg, *db; /* dg, db: [blocks, C] partial sums, or NULL */
} bwd_arg;

static void bwd_part(void *arg, int64_t begin, int64_t end, int worker) {
    const bwd_arg *w = arg;
    const at_node *n = w->n;
    const layernorm_attr *a = n->attr;
    const at_tensor *x = n->in[0], *g = n->in[1];
    const int64_t c = at_cols(x), block = begin / BLOCK;
    at_real *dg = w->dg ? w->dg + block * c : NULL, *db = w->db ? w->db + block * c : NULL;
    (void)worker;
    if (dg) memset(dg, 0, (size_t)c * sizeof *dg);
    if (db) memset(db, 0, (size_t)c * sizeof *db);
    for (int64_t i = begin; i < end; i++)
        n->run->cp->k.layernorm_grad(c, x->data + i * c, g->data, a->mean[i], a->rstd[i],
                                     n->out->grad + i * c, w->dx ? w->dx + i * c : NULL, dg, db);
}

static void layernorm_bwd(at_node *n) {
    const int64_t rows = at_rows(n->in[0]), c = at_cols(n->in[0]);
    const int64_t blocks = (rows + BLOCK - 1) / BLOCK;
    at_real *dx = at_grad(n, 0), *dg = at_grad(n, 1), *db = at_grad(n, 2);
    const at_mark mark = at_arena_mark(n->run->arena);
    const size_t bytes = (size_t)(blocks * c) * sizeof(at_real);
    bwd_arg w = {n, dx, dg ? at_run_alloc(n->run, bytes) : NULL,
                 db ? at_run_alloc(n->run, bytes) : NULL};
    if (n->run->status != AT_OK) return;
    at_run_par(n->run, rows, BLOCK, bwd_part, &w);
    for (int64_t k = 0; k < blocks; k++) {
        if (dg) n->run->cp->k.acc(c, w.dg + k * c, dg);
        if (db) n->run->cp->k.acc(c, w.db + k * c, db);
    }
    at_arena_rewind(n->run->arena, mark);
}

const at_op at_op_layernorm = {"layernorm", layernorm_fwd, layernorm_bwd, NULL};

at_tensor *at_layernorm(at_run *r, at_tensor *x, at_tensor *g, at_tensor *b, double eps) {
    if (!x || !g) return NULL;
    if (at_numel(g) != at_cols(x) || (b && at_numel(b) != at_cols(x))) {
        char sx[96], sg[96];
        return at_fail(r, AT_SHAPE, "layernorm %s: x %s and g %s", g->name ? g->name : "?",
                       at_shape_text(x, sx), at_shape_text(g, sg));
    }
    layernorm_attr *a = at_run_alloc(r, sizeof *a);
    if (!a) return NULL;
    a->eps = eps;
    a->mean = at_run_values(r, (size_t)at_rows(x) * sizeof(at_real));
    a->rstd = at_run_values(r, (size_t)at_rows(x) * sizeof(at_real));
    if (!a->mean || !a->rstd) return NULL;
    at_tensor *y = at_new(r, x->rank, x->dim);
    return at_apply(r, &at_op_layernorm, (at_tensor *[]){x, g, b}, 3, y, a);
}
