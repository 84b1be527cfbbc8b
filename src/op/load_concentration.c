/* load_concentration.c - entropy of the load; minimising it concentrates the load on few
   experts. */
#include "base/maths.h"
#include "op/router_loss.h"
#include <math.h>

/* log P, or 0 for an expert without any load: its p is 0 for every token, so the gradient of its
   logits is 0 in any case. */
static double log_load(const at_router_loss *a, int64_t j) {
    const double p = a->whole.p ? a->whole.p[j] : a->load[j];
    return p > 0 ? at_ln(p) : 0;
}

static void load_concentration_fwd(at_node *n) {
    const at_router_loss *a = n->attr;
    at_mean_load(n);
    if (n->run->status != AT_OK) return;
    double h = 0; /* also the linearised loss, since loads sum to 1 */
    for (int64_t j = 0; j < a->ro.e; j++) h -= a->load[j] * log_load(a, j);
    n->out->data[0] = (at_real)h;
}

static void load_concentration_bwd(at_node *n) {
    at_router_loss *a = n->attr;
    for (int64_t j = 0; j < a->ro.e; j++) a->load[j] = -(log_load(a, j) + 1) / (double)a->ro.n;
    at_router_loss_grad(n, a->load, 0);
}

const at_op at_op_load_concentration = {"load_concentration", load_concentration_fwd,
                                        load_concentration_bwd, NULL};

at_tensor *at_load_concentration(at_run *r, at_tensor *logits, const at_routing *ro,
                                 const at_batch_load *whole) {
    return at_router_loss_apply(r, &at_op_load_concentration, logits, ro, whole);
}
