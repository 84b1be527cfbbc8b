/*
 * balance.h - assigns documents to splits, and selects documents so that the domains have equal
 * size.
 *
 * Both depend on the documents' keys: documents of the same key in different domains fall in the
 * same split (whatever the seed) and come in the same order (decided by the seed).
 *
 * All stretches of a text file go into one split, drawn by the file's key.  Where that leaves a
 * split more than 25 % off its share of the domain's bytes, whole files are moved, as few as it
 * takes; where one stays more than 50 % off, or empty, the files are too few: the domain is marked
 * `cut`, a warning is logged, and its stretches are split one by one.
 */
#ifndef AT_BALANCE_H
#define AT_BALANCE_H
#include "data/stage.h"

typedef struct at_balance {
    at_unit unit;
    bool equal;      /* domains are cut to the smallest                       */
    double max_diff; /* percent that the largest may be above the smallest    */
    int64_t limit;   /* units of training text a domain at most; 0: no limit  */
    double share[AT_SPLITS];
    const double *weight; /* [domains] relative sizes asked for, above 0; NULL: all the same */
    const bool *aligned;  /* [domains] align.h; NULL: none */
    uint64_t seed;        /* of the order of aligned files */
} at_balance;

/** The weight of a domain. */
static inline double at_balance_weight(const at_balance *b, int domain) {
    return b->weight ? b->weight[domain] : 1;
}

/** Sets `split` and `order` of every document.  A split that would be empty in a domain gets one
    group (in all domains).  AT_FORMAT when a domain has fewer documents than there are splits. */
at_status at_balance_split(at_ctx *c, at_stage *domain, int n, const at_balance *b, uint64_t seed);
/** Sets `take` of every document.  They are taken in order; one that would exceed the target is
    passed over.  If the domain then is too small, the first one passed over is cut to fit.  With
    weights, sizes over weights are made equal, and no domain exceeds the limit. */
at_status at_balance_take(at_ctx *c, at_stage *domain, int n, const at_balance *b);
/** Indices of the documents of one split by order, from the heap; *count how many. NULL: OOM. */
int64_t *at_balance_order(at_ctx *c, const at_stage *s, at_split split, int64_t *count);

#endif
