/* member_scale.c - what members of an ensemble with common matrices have of their own: factors and biases. */
#include "op/op.h"

enum { GRAIN = 64 }; /* rows */

typedef struct {
    at_real *dx, *dg, *db; /* during backward; NULL: not wanted */
} scale_attr;

static int64_t members(const at_node *n) { return n->out->dim[1]; }
/* Whether every member reads the same row. */
static bool common(const at_node *n) { return n->in[0]->rank == 2; }

static void fwd_part(void *arg, int64_t begin, int64_t end, int worker) {
    const at_node *n = arg;
    const int64_t k = members(n), c = at_cols(n->out);
    (void)worker;
    for (int64_t s = begin * k; s < end * k; s++) {
        const at_real *x = n->in[0]->data + (common(n) ? s / k : s) * c;
        const at_real *g = n->in[1]->data + s % k * c;
        const at_real *b = n->in[2] ? n->in[2]->data + s % k * c : NULL;
        at_real *y = n->out->data + s * c;
        for (int64_t i = 0; i < c; i++) y[i] = x[i] * g[i];
        for (int64_t i = 0; b && i < c; i++) y[i] += b[i];
    }
}
static void member_scale_fwd(at_node *n) { at_run_par(n->run, n->out->dim[0], GRAIN, fwd_part, n); }

static void rows_part(void *arg, int64_t begin, int64_t end, int worker) {
    const at_node *n = arg;
    const scale_attr *a = n->attr;
    const int64_t k = members(n), c = at_cols(n->out);
    (void)worker;
    for (int64_t s = begin * k; s < end * k; s++) {
        const at_real *dy = n->out->grad + s * c, *g = n->in[1]->data + s % k * c;
        at_real *dx = a->dx + (common(n) ? s / k : s) * c;
        for (int64_t i = 0; i < c; i++) dx[i] += dy[i] * g[i];
    }
}

/* The rows of a member are summed in their order. */
static void members_part(void *arg, int64_t begin, int64_t end, int worker) {
    const at_node *n = arg;
    const scale_attr *a = n->attr;
    const int64_t k = members(n), c = at_cols(n->out), rows = n->out->dim[0];
    (void)worker;
    for (int64_t j = begin; j < end; j++)
        for (int64_t r = 0; r < rows; r++) {
            const at_real *dy = n->out->grad + (r * k + j) * c;
            const at_real *x = n->in[0]->data + (common(n) ? r : r * k + j) * c;
            for (int64_t i = 0; a->dg && i < c; i++) a->dg[j * c + i] += dy[i] * x[i];
            for (int64_t i = 0; a->db && i < c; i++) a->db[j * c + i] += dy[i];
        }
}

static void member_scale_bwd(at_node *n) {
    scale_attr *a = n->attr;
    a->dx = at_grad(n, 0);
    a->dg = at_grad(n, 1);
    a->db = n->in[2] ? at_grad(n, 2) : NULL;
    if (a->dx) at_run_par(n->run, n->out->dim[0], GRAIN, rows_part, n);
    if (a->dg || a->db) at_run_par(n->run, members(n), 1, members_part, n);
}

const at_op at_op_member_scale = {"member_scale", member_scale_fwd, member_scale_bwd, NULL};

at_tensor *at_member_scale(at_run *r, at_tensor *x, at_tensor *g, at_tensor *b) {
    if (!x || !g) return NULL;
    const int64_t k = at_rows(g), c = at_cols(g);
    if (g->rank != 2 || at_cols(x) != c || (x->rank != 2 && (x->rank != 3 || x->dim[1] != k)) ||
        (b && (at_rows(b) != k || at_cols(b) != c))) {
        char sx[96], sg[96];
        return at_fail(r, AT_SHAPE, "member_scale: x %s and factors %s%s", at_shape_text(x, sx),
                       at_shape_text(g, sg), b ? ", biases of the same shape" : "");
    }
    scale_attr *a = at_run_alloc(r, sizeof *a);
    at_tensor *y = at_new(r, 3, (int64_t[]){x->dim[0], k, c});
    return at_apply(r, &at_op_member_scale, (at_tensor *[]){x, g, b}, 3, y, a);
}
