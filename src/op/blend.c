/* blend.c - several hidden states of the same tokens into one: their mean, or a sum whose weights the
   tokens choose.  Gradients of the rows are summed within blocks of a fixed number of tokens, then over
   the blocks in order, so that the number of workers changes no bit. */
#include "base/maths.h"
#include "op/op.h"
#include <string.h>

enum { BLOCK = 64 }; /* tokens */

typedef struct {
    int n;           /* tensors                                   */
    bool learned;    /* there are rows                            */
    at_real *weight; /* [tokens, n], where there are rows         */
    at_real **dx;    /* [n] during backward; NULL: not wanted     */
    at_real **dw;    /* [n] the same, [blocks, C] partial sums    */
} blend_attr;

/* Softmax over the n products of a token with the rows. */
static void weights_of(const at_node *n, const blend_attr *a, int64_t token, at_real *weight) {
    const int64_t c = at_cols(n->out);
    double score[AT_BLEND_MAX], most = 0, sum = 0;
    for (int k = 0; k < a->n; k++) {
        score[k] = (double)n->run->cp->k.dot(c, n->in[k]->data + token * c, n->in[a->n + k]->data);
        if (k == 0 || score[k] > most) most = score[k];
    }
    for (int k = 0; k < a->n; k++) sum += score[k] = at_exp(score[k] - most);
    for (int k = 0; k < a->n; k++) weight[k] = (at_real)(score[k] / sum);
}

static void fwd_part(void *arg, int64_t begin, int64_t end, int worker) {
    const at_node *n = arg;
    const blend_attr *a = n->attr;
    const int64_t c = at_cols(n->out);
    (void)worker;
    for (int64_t i = begin; i < end; i++) {
        at_real *y = n->out->data + i * c;
        memset(y, 0, (size_t)c * sizeof *y);
        if (a->learned) weights_of(n, a, i, a->weight + i * a->n);
        for (int k = 0; k < a->n; k++) {
            const at_real w = a->learned ? a->weight[i * a->n + k] : (at_real)1 / (at_real)a->n;
            n->run->cp->k.axpy(c, w, n->in[k]->data + i * c, y);
        }
    }
}
static void blend_fwd(at_node *n) { at_run_par(n->run, at_rows(n->out), BLOCK, fwd_part, n); }

/* With weights a of the tensors x:  dx_k = a_k dy + s_k w_k,  dw_k = sum over tokens of s_k x_k,
   s_k = a_k (dy x_k - sum_j a_j dy x_j). */
static void token_back(const at_node *n, const blend_attr *a, int64_t token, int64_t block) {
    const at_kernels *kernel = &n->run->cp->k;
    const int64_t c = at_cols(n->out);
    const at_real *dy = n->out->grad + token * c;
    at_real along[AT_BLEND_MAX] = {0}, mean = 0;
    for (int k = 0; a->learned && k < a->n; k++) {
        along[k] = kernel->dot(c, dy, n->in[k]->data + token * c);
        mean += a->weight[token * a->n + k] * along[k];
    }
    for (int k = 0; k < a->n; k++) {
        const at_real w = a->learned ? a->weight[token * a->n + k] : (at_real)1 / (at_real)a->n;
        const at_real s = w * (along[k] - mean);
        if (a->dx[k]) kernel->axpy(c, w, dy, a->dx[k] + token * c);
        if (!a->learned) continue;
        if (a->dx[k]) kernel->axpy(c, s, n->in[a->n + k]->data, a->dx[k] + token * c);
        if (a->dw[k]) kernel->axpy(c, s, n->in[k]->data + token * c, a->dw[k] + block * c);
    }
}

static void bwd_part(void *arg, int64_t begin, int64_t end, int worker) {
    const at_node *n = arg;
    const blend_attr *a = n->attr;
    (void)worker;
    for (int64_t i = begin; i < end; i++) token_back(n, a, i, begin / BLOCK);
}

static void blend_bwd(at_node *n) {
    blend_attr *a = n->attr;
    const int64_t rows = at_rows(n->out), c = at_cols(n->out), blocks = (rows + BLOCK - 1) / BLOCK;
    const size_t bytes = (size_t)(blocks * c) * sizeof(at_real);
    at_real *dw[AT_BLEND_MAX] = {0};
    for (int k = 0; k < a->n; k++) {
        a->dx[k] = at_grad(n, k);
        if (a->learned) dw[k] = at_grad(n, a->n + k);
    }
    const at_mark mark = at_arena_mark(n->run->arena);
    for (int k = 0; k < a->n; k++) {
        a->dw[k] = dw[k] ? at_run_alloc(n->run, bytes) : NULL;
        if (a->dw[k]) memset(a->dw[k], 0, bytes);
    }
    if (n->run->status != AT_OK) return;
    at_run_par(n->run, rows, BLOCK, bwd_part, n);
    for (int k = 0; k < a->n; k++)
        for (int64_t b = 0; dw[k] && b < blocks; b++) n->run->cp->k.acc(c, a->dw[k] + b * c, dw[k]);
    at_arena_rewind(n->run->arena, mark);
}

const at_op at_op_blend = {"blend", blend_fwd, blend_bwd, NULL};

static bool fits(at_run *r, at_tensor *const *x, at_tensor *const *row, int n) {
    char sx[96], sy[96];
    if (n < 1 || n > AT_BLEND_MAX) {
        at_fail(r, AT_ARG, "blend: %d tensors, expected 1 to %d", n, AT_BLEND_MAX);
        return false;
    }
    for (int k = 0; k < n; k++) {
        if (!x[k] || (row && !row[k])) return false;
        if (at_rows(x[k]) != at_rows(x[0]) || at_cols(x[k]) != at_cols(x[0]))
            at_fail(r, AT_SHAPE, "blend: tensor %d is %s, the first %s", k, at_shape_text(x[k], sx),
                    at_shape_text(x[0], sy));
        else if (row && at_numel(row[k]) != at_cols(x[0]))
            at_fail(r, AT_SHAPE, "blend %s: row %d is %s, its tensor %s",
                    row[k]->name ? row[k]->name : "?", k, at_shape_text(row[k], sy),
                    at_shape_text(x[k], sx));
    }
    return r->status == AT_OK;
}

at_tensor *at_blend(at_run *r, at_tensor *const *x, at_tensor *const *row, int n) {
    if (!fits(r, x, row, n)) return NULL;
    at_tensor *in[2 * AT_BLEND_MAX];
    blend_attr *a = at_run_alloc(r, sizeof *a);
    at_real **pointers = at_run_alloc(r, 2 * (size_t)n * sizeof *pointers);
    const size_t bytes = (size_t)(at_rows(x[0]) * n) * sizeof(at_real);
    at_real *weight = row ? at_run_values(r, bytes) : NULL;
    if (!a || !pointers || (row && !weight)) return NULL;
    *a = (blend_attr){n, row != NULL, weight, pointers, pointers + n};
    for (int k = 0; k < n; k++) {
        in[k] = x[k];
        if (row) in[n + k] = row[k];
    }
    at_tensor *y = at_new(r, x[0]->rank, x[0]->dim);
    return at_apply(r, &at_op_blend, in, row ? 2 * n : n, y, a);
}
