/*
 * aux.h - auxiliary losses: what the routers of a mixture add to the loss.
 *
 * Means are over the tokens of one forward pass, as the authors of ModuleFormer take them, but
 * without padding, which they include.  When gradients are accumulated the mean over the micro-
 * batches is not the loss of the whole batch; for mutual information it is at least as large.  With
 * at_loads it is: a first pass over all micro-batches collects the loads (`collect`), a second one
 * uses them, at the cost of a forward pass.
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

/** Mutual distillation among the feed-forward experts of a token, see at_mutual_distill. */
typedef struct at_peers {
    const bool *layer; /* [layers] which take part, borrowed; NULL: none  */
    int64_t n;         /* how many                                        */
    double alpha;      /* weight of their mean                            */
    bool modules;      /* those modules take part that are run together; it counts as a layer */
    int64_t more;      /* experts beside those of a token that are asked for this alone */
    at_mutual how;
} at_peers;

/** Weights of the auxiliary losses. */
typedef struct at_aux {
    double weight[AT_AUX_KINDS];
    double factor[AT_LAYER_KINDS]; /* of all weights, by the kind of the router's layer */
    double rows; /* of the squares of the routers' rows that learn, at_row_squares */
    at_peers peers;
    double expert_label;  /* of the label loss of each expert alone, mean over those of a sample */
    at_router_id answers; /* of the bank whose experts have it                                   */
} at_aux;

/** Loads of every router over several forward passes: sums of P and F, then means, as p and
    slots. */
typedef struct at_loads {
    at_usage of;
    int passes;
} at_loads;

/** Called before the first pass that collects, and after the last. */
void at_loads_reset(at_loads *l);
void at_loads_finish(at_loads *l);
void at_loads_close(at_loads *l);
/** Adds the loads of a router in a pass. */
void at_loads_add(at_run *r, at_loads *l, at_router_id id, const at_routing *ro);

/** Whether any weight is not zero: of the losses of routers, which depend on loads; of any, or
    of mutual distillation. */
bool at_aux_routed(const at_aux *a);
bool at_aux_wanted(const at_aux *a);
/** One of the losses of a router; whole: its loads over a larger batch, or NULLs. */
at_tensor *at_aux_loss(at_run *r, at_aux_kind kind, at_tensor *logits, const at_routing *ro,
                       const at_batch_load *whole);

#endif
