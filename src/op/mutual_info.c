/* mutual_info.c - low entropy for each token, high entropy of the mean over tokens. */
#include "base/maths.h"
#include "op/router_loss.h"
#include <math.h>

static const double EPS = 1e-8; /* inside the logarithm of the load, as the authors have it */

/* The derivative of P log(P + eps). */
static double slope(double p) { return at_ln(p + EPS) + p / (p + EPS); }

static void mutual_info_fwd(at_node *n) {
    const at_router_loss *a = n->attr;
    const int64_t e = a->ro.e;
    at_mean_load(n);
    if (n->run->status != AT_OK) return;
    double load = 0, token = 0;
    for (int64_t j = 0; j < e; j++) {
        const double at = a->whole.p ? a->whole.p[j] : a->load[j];
        load += at * at_ln(at + EPS) + slope(at) * (a->load[j] - at);
    }
    for (int64_t i = 0; i < a->ro.n; i++) {
        double row = 0;
        for (int64_t j = 0; j < e; j++)
            row += (double)a->ro.p[i * e + j] * ((double)n->in[0]->data[i * e + j] - a->ro.lse[i]);
        token += row;
    }
    n->out->data[0] = (at_real)(load - token / (double)a->ro.n);
}

static void mutual_info_bwd(at_node *n) {
    at_router_loss *a = n->attr;
    const double inv = 1 / (double)a->ro.n;
    for (int64_t j = 0; j < a->ro.e; j++) /* overwrites the load, which is no longer needed */
        a->load[j] = inv * (slope(a->whole.p ? a->whole.p[j] : a->load[j]) - 1);
    at_router_loss_grad(n, a->load, inv);
}

const at_op at_op_mutual_info = {"mutual_info", mutual_info_fwd, mutual_info_bwd, NULL};

at_tensor *at_mutual_info(at_run *r, at_tensor *logits, const at_routing *ro,
                          const at_batch_load *whole) {
    return at_router_loss_apply(r, &at_op_mutual_info, logits, ro, whole);
}
