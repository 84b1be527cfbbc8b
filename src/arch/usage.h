/*
 * usage.h - which experts the routers of a mixture choose, counted during forward passes.
 *
 *   at_usage u = {0};
 *   at_pass p = {.usage = &u};  ... any number of forward passes ...
 *   at_usage_summary(&u.router[i], share, &s);
 *   at_usage_close(&u);
 *
 * Counting changes nothing that the passes compute.  Sums are taken token by token in their order,
 * so every number of threads gives the same bits.
 */
#ifndef AT_USAGE_H
#define AT_USAGE_H
#include "op/op.h"

typedef enum at_layer_kind {
    AT_LAYER_ATTENTION,
    AT_LAYER_FEED_FORWARD,
    AT_LAYER_KINDS
} at_layer_kind;
/** "attention", "feed_forward" */
extern const char *const at_layer_kind_name[AT_LAYER_KINDS];

/** Which router of a model. */
typedef struct at_router_id {
    int64_t layer; /* from 0, among the layers of its kind */
    at_layer_kind kind;
} at_router_id;

/** Counts of a router over the tokens it has seen. */
typedef struct at_router_usage {
    at_router_id id;
    int64_t e; /* experts                                               */
    int64_t tokens;
    double *slots;  /* [E] choices of each expert: K a token                 */
    double *p;      /* [E] sums of the tokens' probabilities                 */
    double entropy; /* sum of the entropies of the tokens' probabilities     */
} at_router_usage;

typedef struct at_usage {
    at_router_usage *router; /* in the order they first came                   */
    int64_t n, cap;
    bool slots_only; /* in: leave out p and entropy, which need all probabilities */
} at_usage;

/** Statistics of the counts.  share = slots / sum of slots. */
typedef struct at_usage_report {
    double
        load_entropy;  /* H(share) / log E: 1 for an even load, 0 for a single expert; 1 if E = 1 */
    double perplexity; /* exp H(share): as many experts with an even load               */
    double information; /* I(token; expert) = H(mean p) - mean H(p), nats                */
    int64_t dead;       /* experts with a share below 1 % of 1/E, unused ones included   */
    int64_t unused;     /* experts no token chose                                        */
} at_usage_report;

/** Sets all counts to zero; keeps the memory. */
void at_usage_reset(at_usage *u);
/** to += from; an empty `to` takes the shape.  AT_MISMATCH: counts of another model. */
at_status at_usage_add(at_ctx *c, at_usage *to, const at_usage *from);
void at_usage_close(at_usage *u);
/** share: [E] or NULL.  For a router without tokens all numbers are 0, and every expert is
    unused. */
void at_usage_summary(const at_router_usage *r, double *share, at_usage_report *out);

/** The counts of this router, added with zeros if there are none.  NULL: AT_OOM, or AT_MISMATCH
    when they are of a router with another number of experts. */
at_router_usage *at_usage_of(at_ctx *c, at_usage *u, at_router_id id, int64_t e);
/** Adds the counts of a router in a pass; called by at_pass_router. */
void at_usage_router(at_run *r, at_usage *u, at_router_id id, const at_tensor *logits,
                     const at_routing *ro);

#endif
