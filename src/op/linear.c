/* linear.c - y = x w^T + b, or y = x w + b for weights stored [in, out]. */
#include "op/op.h"
#include <string.h>

typedef struct {
    bool io; /* w is [in, out] */
} linear_attr;

static void linear_fwd(at_node *n) {
    const at_tensor *x = n->in[0], *w = n->in[1], *b = n->in[2];
    const bool io = ((const linear_attr *)n->attr)->io;
    const int64_t in = at_cols(x), out = at_cols(n->out);
    const at_status s = at_gemm_run(n->run->cp, &(at_gemm){.tb = !io,
                                                           .m = at_rows(x),
                                                           .n = out,
                                                           .k = in,
                                                           .a = x->data,
                                                           .lda = in,
                                                           .b = w->data,
                                                           .b16 = w->bf16,
                                                           .ldb = w->dim[1],
                                                           .c = n->out->data,
                                                           .ldc = out,
                                                           .bias = b ? b->data : NULL,
                                                           .parts = at_run_parts(n->run, x)});
    if (s != AT_OK) at_fail(n->run, s, "linear: %s", n->run->ctx->message);
}

/* Column sums; each worker has a slice of the columns and adds the rows in order. */
typedef struct {
    const at_kernels *k;
    const at_real *dy;
    at_real *db;
    int64_t rows, cols;
} colsum;
static void colsum_part(void *arg, int64_t begin, int64_t end, int worker) {
    const colsum *s = arg;
    (void)worker;
    for (int64_t i = 0; i < s->rows; i++)
        s->k->acc(end - begin, s->dy + i * s->cols + begin, s->db + begin);
}

static void linear_bwd(at_node *n) {
    const at_tensor *x = n->in[0], *w = n->in[1];
    at_compute *cp = n->run->cp;
    const bool io = ((const linear_attr *)n->attr)->io;
    const int64_t rows = at_rows(x), in = at_cols(x), out = at_cols(n->out);
    const at_real *dy = n->out->grad;
    bool fx, fw;
    at_status s = AT_OK;
    at_real *dx = at_grad_fresh(n, 0, &fx);
    if (dx) /* dx = dy w */
        s = at_gemm_run(cp, &(at_gemm){.tb = io,
                                       .m = rows,
                                       .n = in,
                                       .k = out,
                                       .a = dy,
                                       .lda = out,
                                       .b = w->data,
                                       .b16 = w->bf16,
                                       .ldb = w->dim[1],
                                       .c = dx,
                                       .ldc = in,
                                       .accumulate = !fx});
    at_real *dw = at_grad_fresh(n, 1, &fw);
    if (dw && s == AT_OK && !io) /* dw [out,in] = dy^T x */
        s = at_gemm_run(cp, &(at_gemm){.ta = true,
                                       .m = out,
                                       .n = in,
                                       .k = rows,
                                       .a = dy,
                                       .lda = out,
                                       .b = x->data,
                                       .ldb = in,
                                       .c = dw,
                                       .ldc = in,
                                       .accumulate = !fw});
    if (dw && s == AT_OK && io) /* dw [in,out] = x^T dy */
        s = at_gemm_run(cp, &(at_gemm){.ta = true,
                                       .m = in,
                                       .n = out,
                                       .k = rows,
                                       .a = x->data,
                                       .lda = in,
                                       .b = dy,
                                       .ldb = out,
                                       .c = dw,
                                       .ldc = out,
                                       .accumulate = !fw});
    if (s != AT_OK) at_fail(n->run, s, "linear: %s", n->run->ctx->message);
    at_real *db = at_grad(n, 2);
    if (db) at_run_par(n->run, out, 256, colsum_part, &(colsum){&cp->k, dy, db, rows, out});
}

static void linear_cost(const at_node *n, at_cost *c) {
    const double product = 2 * (double)(at_rows(n->in[0]) * at_cols(n->in[0]) * at_cols(n->out));
    c->forward = product;
    c->backward = product * (n->in[0]->need_grad + n->in[1]->need_grad);
}

const at_op at_op_linear = {"linear", linear_fwd, linear_bwd, linear_cost};

static at_tensor *build(at_run *r, at_tensor *x, at_tensor *w, at_tensor *b, bool io) {
    if (!x || !w) return NULL;
    const int64_t in = w->rank == 2 ? w->dim[io ? 0 : 1] : -1, out = w->dim[io ? 1 : 0];
    if (at_cols(x) != in || (b && at_numel(b) != out)) {
        char sx[96], sw[96];
        return at_fail(r, AT_SHAPE, "linear %s: x %s and w %s (%s)", w->name ? w->name : "?",
                       at_shape_text(x, sx), at_shape_text(w, sw), io ? "in,out" : "out,in");
    }
    linear_attr *a = at_run_alloc(r, sizeof *a);
    if (!a) return NULL;
    a->io = io;
    int64_t dim[AT_RANK_MAX];
    memcpy(dim, x->dim, sizeof dim);
    dim[x->rank - 1] = out;
    at_tensor *y = at_new(r, x->rank, dim);
    return at_apply_bf16(r, &at_op_linear, (at_tensor *[]){x, w, b}, 3, y, a);
}

at_tensor *at_linear(at_run *r, at_tensor *x, at_tensor *w, at_tensor *b) {
    return build(r, x, w, b, false);
}
at_tensor *at_linear_io(at_run *r, at_tensor *x, at_tensor *w, at_tensor *b) {
    return build(r, x, w, b, true);
}
