/*
 * aux.h - what the routers of a mixture add to the loss.
 *
 * Means are over the tokens of one forward pass, as the authors of ModuleFormer take them, but not
 * over padding, which they count too.  When
 * gradients are accumulated this is not the loss of the whole batch: mutual information, for one, is
 * at least as large on the average of the parts.  at_loads makes it so: all parts are passed once
 * with `collect` set, then once more with the loads collected, which costs a forward pass.
 */
#ifndef AT_AUX_H
#define AT_AUX_H
#include "arch/usage.h"

typedef enum at_aux_kind {
    AT_AUX_MUTUAL,        /* at_mutual_info        */
    AT_AUX_CONCENTRATION, /* at_load_concentration */
    AT_AUX_SWITCH,        /* at_switch_balance     */
    AT_AUX_Z,             /* at_zloss              */
    AT_AUX_KINDS
} at_aux_kind;

/** What weighs in the loss. */
typedef struct at_aux {
    double weight[AT_AUX_KINDS];
    double factor[AT_LAYER_KINDS]; /* of all weights, by the kind of the router's layer */
} at_aux;

/** Loads of every router over several forward passes: sums of P and F, then means, as p and slots. */
typedef struct at_loads {
    at_usage of;
    int passes;
} at_loads;

/** Before the first pass that collects; after the last. */
void at_loads_reset(at_loads *l);
void at_loads_finish(at_loads *l);
void at_loads_close(at_loads *l);
/** The loads of one pass more. */
void at_loads_add(at_run *r, at_loads *l, at_router_id id, const at_routing *ro);

/** Does anything weigh? */
bool at_aux_wanted(const at_aux *a);
/** One of the losses of a router; whole: its loads over a larger batch, or NULLs. */
at_tensor *at_aux_loss(at_run *r, at_aux_kind kind, at_tensor *logits, const at_routing *ro,
                       const at_batch_load *whole);

#endif
