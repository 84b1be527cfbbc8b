/* mean_softmax.c - the mean of what members say, as probabilities. */
#include "base/maths.h"
#include "op/softmax_row.h"
#include <math.h>

enum { GRAIN = 16 }; /* rows */

typedef struct {
    at_real *tmp; /* [threads, V]            */
    double *lse;  /* [N, K] of the logits    */
    at_real *dx;  /* during backward         */
} mean_attr;

/* log of the mean over members of exp(x[k] - lse[k]), of class c. */
static at_real log_mean(const at_real *x, const double *lse, int64_t k, int64_t v, int64_t c) {
    double top = -INFINITY, sum = 0;
    for (int64_t j = 0; j < k; j++) {
        const double z = (double)x[j * v + c] - lse[j];
        if (z > top) top = z;
    }
    for (int64_t j = 0; j < k; j++) sum += at_exp((double)x[j * v + c] - lse[j] - top);
    return (at_real)(top + at_ln(sum / (double)k));
}

static void fwd_part(void *arg, int64_t begin, int64_t end, int worker) {
    const at_node *n = arg;
    const mean_attr *a = n->attr;
    const int64_t k = n->in[0]->dim[1], v = at_cols(n->out);
    for (int64_t i = begin; i < end; i++) {
        const at_real *x = n->in[0]->data + i * k * v;
        double *lse = a->lse + i * k;
        for (int64_t j = 0; j < k; j++)
            lse[j] = at_row_softmax(&n->run->cp->k, v, 1, x + j * v, a->tmp + worker * v);
        for (int64_t c = 0; c < v; c++) n->out->data[i * v + c] = log_mean(x, lse, k, v, c);
    }
}
static void mean_softmax_fwd(at_node *n) { at_run_par(n->run, n->out->dim[0], GRAIN, fwd_part, n); }

/* dy_c / dx_jc' = w_jc (delta_cc' - p_jc'), where w_jc = p_jc / (K exp(y_c)) is the part of member j. */
static void bwd_part(void *arg, int64_t begin, int64_t end, int worker) {
    const at_node *n = arg;
    const mean_attr *a = n->attr;
    const int64_t k = n->in[0]->dim[1], v = at_cols(n->out);
    (void)worker;
    for (int64_t s = begin * k; s < end * k; s++) {
        const at_real *x = n->in[0]->data + s * v, *y = n->out->data + s / k * v;
        const at_real *dy = n->out->grad + s / k * v;
        double sum = 0;
        for (int64_t c = 0; c < v; c++) {
            const double p = (double)x[c] - a->lse[s];
            const double d = (double)dy[c] * at_exp(p - (double)y[c]) / (double)k;
            sum += d;
            a->dx[s * v + c] += (at_real)d;
        }
        for (int64_t c = 0; c < v; c++)
            a->dx[s * v + c] -= (at_real)(sum * at_exp((double)x[c] - a->lse[s]));
    }
}
static void mean_softmax_bwd(at_node *n) {
    mean_attr *a = n->attr;
    a->dx = at_grad(n, 0);
    if (a->dx) at_run_par(n->run, n->out->dim[0], GRAIN, bwd_part, n);
}

const at_op at_op_mean_softmax = {"mean_softmax", mean_softmax_fwd, mean_softmax_bwd, NULL};

at_tensor *at_mean_softmax(at_run *r, at_tensor *x) {
    if (!x) return NULL;
    if (x->rank != 3) {
        char sx[96];
        return at_fail(r, AT_SHAPE, "mean_softmax: logits %s, expected [rows, members, classes]",
                       at_shape_text(x, sx));
    }
    const int64_t v = at_cols(x);
    mean_attr *a = at_run_alloc(r, sizeof *a);
    if (!a || !(a->lse = at_run_values(r, (size_t)at_rows(x) * sizeof *a->lse)) ||
        !(a->tmp = at_run_values(r, (size_t)r->cp->threads * (size_t)v * sizeof *a->tmp)))
        return NULL;
    return at_apply(r, &at_op_mean_softmax, &x, 1, at_new2(r, x->dim[0], v), a);
}
