/* exp_scale.c - a learnt temperature: all values are multiplied by exp(t). */
#include "base/maths.h"
#include "op/op.h"

static void exp_scale_fwd(at_node *n) {
    const double f = at_exp((double)n->in[1]->data[0]);
    for (int64_t i = 0, m = at_numel(n->out); i < m; i++)
        n->out->data[i] = (at_real)(f * (double)n->in[0]->data[i]);
}

static void exp_scale_bwd(at_node *n) {
    const int64_t m = at_numel(n->out);
    const at_real *dy = n->out->grad;
    at_real *dx = at_grad(n, 0), *dt = at_grad(n, 1);
    if (dx) n->run->cp->k.axpy(m, (at_real)at_exp((double)n->in[1]->data[0]), dy, dx);
    if (!dt) return;
    double sum = 0;
    for (int64_t i = 0; i < m; i++) sum += (double)dy[i] * (double)n->out->data[i];
    dt[0] += (at_real)sum;
}

const at_op at_op_exp_scale = {"exp_scale", exp_scale_fwd, exp_scale_bwd, NULL};

at_tensor *at_exp_scale(at_run *r, at_tensor *x, at_tensor *t) {
    if (!x || !t) return NULL;
    if (at_numel(t) != 1) {
        char s[96];
        return at_fail(r, AT_SHAPE, "exp_scale %s: expected one number, found %s",
                       t->name ? t->name : "?", at_shape_text(t, s));
    }
    at_tensor *y = at_new(r, x->rank, x->dim);
    return at_apply(r, &at_op_exp_scale, (at_tensor *[]){x, t}, 2, y, NULL);
}
