/* row_squares.c - sum of the squares of some rows of a matrix: keeps them small, others are not touched. */
#include "op/op.h"
#include <string.h>

static void row_squares_fwd(at_node *n) {
    const bool *use = n->attr;
    const int64_t C = at_cols(n->in[0]);
    double sum = 0;
    for (int64_t i = 0; i < at_rows(n->in[0]); i++)
        for (int64_t j = 0; use[i] && j < C; j++) {
            const double x = (double)n->in[0]->data[i * C + j];
            sum += x * x;
        }
    n->out->data[0] = (at_real)sum;
}

static void row_squares_bwd(at_node *n) {
    const bool *use = n->attr;
    const int64_t C = at_cols(n->in[0]);
    const at_real two = 2 * n->out->grad[0];
    at_real *d = at_grad(n, 0);
    for (int64_t i = 0; d && i < at_rows(n->in[0]); i++)
        for (int64_t j = 0; use[i] && j < C; j++) d[i * C + j] += two * n->in[0]->data[i * C + j];
}

const at_op at_op_row_squares = {"row_squares", row_squares_fwd, row_squares_bwd, NULL};

at_tensor *at_row_squares(at_run *r, at_tensor *x, const bool *use) {
    if (!x || r->status != AT_OK) return NULL;
    const size_t bytes = (size_t)at_rows(x) * sizeof *use;
    bool *keep = at_run_alloc(r, bytes);
    if (!keep) return NULL;
    memcpy(keep, use, bytes);
    at_tensor *y = at_new(r, 1, (int64_t[]){1});
    return at_apply(r, &at_op_row_squares, &x, 1, y, keep);
}
