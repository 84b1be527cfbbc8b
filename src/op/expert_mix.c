/*
 * expert_mix.c - a mixture of the experts' probabilities, as logarithms.
 *
 * Everything is taken from logarithms of sums, so that a class which all experts hold impossible has a
 * loss and a gradient, too.
 */
#include "base/maths.h"
#include "op/softmax_row.h"

enum { GRAIN = 16 }; /* tokens */

typedef struct {
    double *lse;      /* [N, K] of each output                */
    at_real *tmp;     /* [threads, C]                         */
    at_real *dx, *dg; /* during backward; NULL: not wanted    */
} mix_attr;

/* What the logarithm of the probability of a class may be above that of the mixture, where a gate is 0. */
static const double FAR = 60;

static void fwd_part(void *arg, int64_t begin, int64_t end, int worker) {
    const at_node *n = arg;
    const mix_attr *a = n->attr;
    const at_tensor *x = n->in[0], *g = n->in[1];
    const int64_t k = x->dim[1], c = x->dim[2];
    for (int64_t i = begin; i < end; i++) {
        const at_real *gate = g->data + i * k, *o = x->data + i * k * c;
        double *lse = a->lse + i * k;
        at_real *y = n->out->data + i * c;
        for (int64_t j = 0; j < k; j++)
            lse[j] = at_row_softmax(&n->run->cp->k, c, 1, o + j * c, a->tmp + worker * c);
        for (int64_t t = 0; t < c; t++) {
            double most = 0, sum = 0;
            bool any = false;
            for (int pass = 0; pass < 2; pass++)
                for (int64_t j = 0; j < k; j++) {
                    if (!(gate[j] > 0)) continue;
                    const double v = at_ln((double)gate[j]) + (double)o[j * c + t] - lse[j];
                    if (pass) sum += at_exp(v - most);
                    if (!pass && (!any || v > most)) most = v;
                    any = true;
                }
            y[t] = (at_real)(most + at_ln(sum));
        }
    }
}
static void expert_mix_fwd(at_node *n) { at_run_par(n->run, n->in[0]->dim[0], GRAIN, fwd_part, n); }

/* Output j of token i: what of the loss is its own, u_t = dy_t g_j p_jt / P_t, has gradient
   u_t - p_jt sum u; the gate has sum u / g_j. */
static void slot(const at_node *n, int64_t i, int64_t j) {
    const mix_attr *a = n->attr;
    const int64_t k = n->in[0]->dim[1], c = n->in[0]->dim[2], s = i * k + j;
    const at_real *o = n->in[0]->data + s * c, *y = n->out->data + i * c,
                  *dy = n->out->grad + i * c;
    const double g = (double)n->in[1]->data[s], lse = a->lse[s];
    double sum = 0;
    for (int64_t t = 0; t < c; t++) {
        const double off = (double)o[t] - lse - (double)y[t];
        sum += (double)dy[t] * at_exp(off < FAR || g > 0 ? off : FAR);
    }
    if (a->dg) a->dg[s] += (at_real)sum;
    for (int64_t t = 0; t < c && a->dx; t++) {
        const double lp = (double)o[t] - lse;
        const double own = g > 0 ? (double)dy[t] * g * at_exp(lp - (double)y[t]) : 0;
        a->dx[s * c + t] += (at_real)(own - g * sum * at_exp(lp));
    }
}
static void bwd_part(void *arg, int64_t begin, int64_t end, int worker) {
    const at_node *n = arg;
    const int64_t k = n->in[0]->dim[1];
    (void)worker;
    for (int64_t i = begin; i < end; i++)
        for (int64_t j = 0; j < k; j++) slot(n, i, j);
}
static void expert_mix_bwd(at_node *n) {
    mix_attr *a = n->attr;
    a->dx = at_grad(n, 0);
    a->dg = at_grad(n, 1);
    if (a->dx || a->dg) at_run_par(n->run, n->in[0]->dim[0], GRAIN, bwd_part, n);
}

const at_op at_op_expert_mix = {"expert_mix", expert_mix_fwd, expert_mix_bwd, NULL};

at_tensor *at_expert_mix(at_run *r, at_tensor *x, at_tensor *gates) {
    if (!x || !gates) return NULL;
    if (x->rank != 3 || x->dim[0] != at_rows(gates) || x->dim[1] != at_cols(gates)) {
        char sx[96], sg[96];
        return at_fail(r, AT_SHAPE, "expert_mix: x %s and gates %s", at_shape_text(x, sx),
                       at_shape_text(gates, sg));
    }
    mix_attr *a = at_run_alloc(r, sizeof *a);
    if (!a) return NULL;
    *a = (mix_attr){0};
    const size_t row = (size_t)x->dim[2] * sizeof *a->tmp;
    if (!(a->lse = at_run_values(r, (size_t)at_numel(gates) * sizeof *a->lse)) ||
        !(a->tmp = at_run_values(r, (size_t)r->cp->threads * row)))
        return NULL;
    at_tensor *y = at_new2(r, x->dim[0], x->dim[2]);
    return at_apply(r, &at_op_expert_mix, (at_tensor *[]){x, gates}, 2, y, a);
}
