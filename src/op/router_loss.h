/* router_loss.h - what the losses of a router share: the mean load, and the gradient of the
   logits. */
#ifndef AT_ROUTER_LOSS_H
#define AT_ROUTER_LOSS_H
#include "op/op.h"

/** What each of these losses keeps. */
typedef struct at_router_loss {
    at_routing ro;
    double *load;        /* [e] mean over tokens of the probabilities */
    at_batch_load whole; /* of a larger batch, or NULL in both        */
} at_router_loss;

/** Apply a loss -> [1]: checks that the routing is that of the logits. */
at_tensor *at_router_loss_apply(at_run *r, const at_op *op, at_tensor *logits, const at_routing *ro,
                                const at_batch_load *whole);
/** Fill a->load, in blocks of rows added in order. */
void at_mean_load(at_node *n);
/**
 * For a loss with  dL/dp_ne = t[e] - entropy log p_ne:  dlogits += dL p_ne (dL/dp_ne - sum_j p_nj
 * dL/dp_nj), the gradient of the softmax.  t: [e].
 */
void at_router_loss_grad(at_node *n, const double *t, double entropy);

#endif
