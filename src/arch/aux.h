/*
 * aux.h - what the routers of a mixture add to the loss, and what is counted of them (usage.h).
 *
 * The caller fills the weights and hangs the struct into at_feed; the architecture calls
 * at_aux_begin, then at_aux_router for each router; the caller finds the weighted sum in `loss`.
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

/** Loads of every router over several forward passes, in the order the routers come. */
typedef struct at_loads {
    double *p, *f;  /* sums of P and F, then means: [routers, E] one after the other */
    int64_t n, cap; /* values used, space                                            */
    int64_t at;     /* of the next router                                            */
    int passes;
} at_loads;

typedef struct at_aux {
    double weight[AT_AUX_KINDS];   /* in                                                       */
    double factor[AT_LAYER_KINDS]; /* in: of all weights, by the kind of the router's layer    */
    at_tensor *loss;               /* out: weighted sum over routers [1]; NULL: nothing weighs */
    double value[AT_AUX_KINDS];    /* out: unweighted sums over routers, of those that weigh   */
    at_loads *loads;               /* in: of the whole batch, or NULL                          */
    bool collect;                  /* in: add to the loads, make no loss                       */
    at_usage *usage;               /* in: count the choices here too, or NULL                  */
    const int32_t *real;           /* rows that are no padding; NULL: all                      */
    int64_t n_real;
} at_aux;

/** Before the first pass that collects; after the last. */
void at_loads_reset(at_loads *l);
void at_loads_finish(at_loads *l);
void at_loads_close(at_loads *l);

/** Does anything weigh? */
bool at_aux_wanted(const at_aux *a);
/** a may be NULL in both: then nothing is done.  first, end: those of the feed. */
void at_aux_begin(at_run *r, at_aux *a, int64_t B, int64_t T, const int32_t *first,
                  const int32_t *end);
void at_aux_router(at_run *r, at_aux *a, at_layer_kind layer, at_tensor *logits,
                   const at_routing *ro);

#endif
