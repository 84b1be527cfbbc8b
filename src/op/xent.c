/* xent.c - mean cross entropy of given logits; the log-sum-exp of each row is all that is kept. */
#include "op/softmax_row.h"
#include <string.h>

typedef struct {
    int32_t *label;
    int64_t count;
    double *lse, *loss; /* [rows] */
    at_real *tmp;       /* [threads, V] */
    at_real *d;         /* during backward */
} xent_attr;

static void fwd_part(void *arg, int64_t begin, int64_t end, int worker) {
    const at_node *n = arg;
    const xent_attr *a = n->attr;
    const int64_t v = at_cols(n->in[0]);
    for (int64_t i = begin; i < end; i++) {
        const at_real *x = n->in[0]->data + i * v;
        a->lse[i] = a->loss[i] = 0;
        if (a->label[i] < 0) continue;
        a->lse[i] = at_row_softmax(&n->run->cp->k, v, 1, x, a->tmp + worker * v);
        a->loss[i] = a->lse[i] - (double)x[a->label[i]];
    }
}
static void xent_fwd(at_node *n) {
    const xent_attr *a = n->attr;
    const int64_t rows = at_rows(n->in[0]);
    at_run_par(n->run, rows, 8, fwd_part, n);
    double sum = 0;
    for (int64_t i = 0; i < rows; i++) sum += a->loss[i];
    n->out->data[0] = (at_real)(sum / (double)a->count);
}

static void bwd_part(void *arg, int64_t begin, int64_t end, int worker) {
    const at_node *n = arg;
    const xent_attr *a = n->attr;
    const int64_t v = at_cols(n->in[0]);
    const at_kernels *k = &n->run->cp->k;
    const at_real g = n->out->grad[0] / (at_real)a->count;
    at_real *p = a->tmp + worker * v;
    for (int64_t i = begin; i < end; i++) {
        if (a->label[i] < 0) continue;
        (void)k->expsum(v, 1, (at_real)a->lse[i], n->in[0]->data + i * v, p);
        k->axpy(v, g, p, a->d + i * v);
        a->d[i * v + a->label[i]] -= g;
    }
}
static void xent_bwd(at_node *n) {
    xent_attr *a = n->attr;
    a->d = at_grad(n, 0);
    if (a->d) at_run_par(n->run, at_rows(n->in[0]), 8, bwd_part, n);
}

const at_op at_op_xent = {"xent", xent_fwd, xent_bwd, NULL};

at_tensor *at_xent(at_run *r, at_tensor *logits, const int32_t *label) {
    xent_attr *a = logits ? at_run_alloc(r, sizeof *a) : NULL;
    if (!a) return NULL;
    const int64_t n = at_rows(logits), v = at_cols(logits);
    const size_t rows = (size_t)n * sizeof(double);
    if (!(a->label = at_run_alloc(r, (size_t)n * sizeof *a->label)) ||
        !(a->lse = at_run_values(r, rows)) || !(a->loss = at_run_values(r, rows)) ||
        !(a->tmp = at_run_values(r, (size_t)r->cp->threads * (size_t)v * sizeof(at_real))))
        return NULL;
    memcpy(a->label, label, (size_t)n * sizeof *label);
    if ((a->count = at_count_labels(r, "xent", label, n, v)) < 0) return NULL;
    at_tensor *y = at_new(r, 1, (int64_t[]){1});
    return at_apply(r, &at_op_xent, &logits, 1, y, a);
}
