/* load_concentration.c - entropy of the load: minimised, few experts take it. */
#include "op/router_loss.h"
#include <math.h>

static void load_concentration_fwd(at_node *n) {
    const at_router_loss *a = n->attr;
    at_mean_load(n);
    if (n->run->status != AT_OK) return;
    double h = 0;
    for (int64_t j = 0; j < a->ro.e; j++)
        if (a->load[j] > 0) h -= a->load[j] * log(a->load[j]);
    n->out->data[0] = (at_real)h;
}

/* An expert whose load has vanished has p = 0 for every token: no slope reaches its logits. */
static void load_concentration_bwd(at_node *n) {
    at_router_loss *a = n->attr;
    for (int64_t j = 0; j < a->ro.e; j++)
        a->load[j] = a->load[j] > 0 ? -(log(a->load[j]) + 1) / (double)a->ro.n : 0;
    at_router_loss_grad(n, a->load, 0);
}

const at_op at_op_load_concentration = {"load_concentration", load_concentration_fwd,
                                        load_concentration_bwd};

at_tensor *at_load_concentration(at_run *r, at_tensor *logits, const at_routing *ro) {
    return at_router_loss_apply(r, &at_op_load_concentration, logits, ro);
}
