/* switch_balance.c - sum of mean probability times share of the slots: smallest for an even
   load. */
#include "op/router_loss.h"

/* Share of the slots that chose expert j; it has no gradient. */
static double share(const at_router_loss *a, int64_t j) {
    const at_routing *ro = &a->ro;
    if (a->whole.f) return a->whole.f[j];
    return (double)(ro->first[j + 1] - ro->first[j]) / (double)(ro->n * ro->k);
}

static void switch_balance_fwd(at_node *n) {
    const at_router_loss *a = n->attr;
    at_mean_load(n);
    if (n->run->status != AT_OK) return;
    double sum = 0;
    for (int64_t j = 0; j < a->ro.e; j++) sum += a->load[j] * share(a, j);
    n->out->data[0] = (at_real)((double)a->ro.live * sum);
}

static void switch_balance_bwd(at_node *n) {
    at_router_loss *a = n->attr;
    for (int64_t j = 0; j < a->ro.e; j++)
        a->load[j] = (double)a->ro.live * share(a, j) / (double)a->ro.n;
    at_router_loss_grad(n, a->load, 0);
}

const at_op at_op_switch_balance = {"switch_balance", switch_balance_fwd, switch_balance_bwd, NULL};

at_tensor *at_switch_balance(at_run *r, at_tensor *logits, const at_routing *ro,
                             const at_batch_load *whole) {
    return at_router_loss_apply(r, &at_op_switch_balance, logits, ro, whole);
}
