/*
 * aux.h - auxiliary losses: what the routers of a mixture add to the loss.
 *
 * The caller fills the weights and hangs the struct into at_feed; the architecture calls
 * at_aux_begin, then at_aux_router for each router; the caller finds the weighted sum in `loss`.
 * Means are over the tokens of one forward pass, as the authors of ModuleFormer take them: when
 * gradients are accumulated, each micro-batch has its own (mutual information is not additive: the
 * mean over micro-batches is at least that of the whole batch).
 */
#ifndef AT_AUX_H
#define AT_AUX_H
#include "op/op.h"

typedef enum at_aux_kind {
    AT_AUX_MUTUAL,        /* at_mutual_info        */
    AT_AUX_CONCENTRATION, /* at_load_concentration */
    AT_AUX_SWITCH,        /* at_switch_balance     */
    AT_AUX_Z,             /* at_zloss              */
    AT_AUX_KINDS
} at_aux_kind;

typedef enum at_layer_kind {
    AT_LAYER_ATTENTION,
    AT_LAYER_FEED_FORWARD,
    AT_LAYER_KINDS
} at_layer_kind;

typedef struct at_aux {
    double weight[AT_AUX_KINDS];   /* in                                                       */
    double factor[AT_LAYER_KINDS]; /* in: of all weights, by the kind of the router's layer    */
    at_tensor *loss;               /* out: weighted sum over routers [1]; NULL: nothing weighs */
    double value[AT_AUX_KINDS];    /* out: unweighted sums over routers, of those that weigh   */
} at_aux;

/** Does anything weigh? */
bool at_aux_wanted(const at_aux *a);
/** a may be NULL in both: then nothing is done. */
void at_aux_begin(at_aux *a);
void at_aux_router(at_run *r, at_aux *a, at_layer_kind layer, at_tensor *logits,
                   const at_routing *ro);

#endif
