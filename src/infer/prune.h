/*
 * prune.h - a mixture for some domains alone: experts that these can do without are taken out, what stays the
 * same is proved and what changes is measured.
 */
#ifndef AT_PRUNE_H
#define AT_PRUNE_H
#include "infer/doc_losses.h"
#include "infer/lm.h"
#include "infer/prune_make.h"

/** A promise that is asked for: DOMAIN:+P%, with a minus one that the loss falls by at least P %, or bit-identical (domain NULL) on all domains that are kept. */
typedef struct at_prune_promise {
    const char *domain;
    int domain_bytes;
    double increase; /* of the loss, relative: at most this, up to the end of its interval */
} at_prune_promise;
/** AT_ARG: it is neither. */
at_status at_prune_promise_read(at_ctx *c, const char *text, at_prune_promise *out);

typedef struct at_prune_options {
    const char *data;
    char *const *keep; /* [n_keep] domains; none: all */
    int64_t n_keep;
    at_prune_score score;
    at_prune_limit limit;
    double value;
    at_prune_way way;
    double most; /* relative increase of the loss of each domain that is kept; negative: any.  With
                    AT_PRUNE_UNUSED: as many experts go as it allows */
    const at_prune_promise *promise;
    int64_t n_promises;
    at_split calibrate, measure; /* where scores come from, and losses */
    int64_t context;             /* tokens of a window, and of a document           */
    int64_t windows;             /* most of a domain for the scores; 0: all         */
    int64_t documents;           /* most of a domain for losses; 0: all             */
    uint64_t seed;
} at_prune_options;

typedef struct at_prune_domain {
    const char *name; /* of the data set */
    bool kept;
    at_doc_losses before, after;
    at_estimate increase;     /* nats per token                                 */
    int64_t compared, differ; /* logits of kept domains: tokens, and those of another answer */
} at_prune_domain;

typedef struct at_pruned {
    at_lm *lm;
    at_dataset *data;
    at_slot_scores scores;
    at_prune_choice choice;
    at_prune_domain *domain; /* [data->n_domains] */
    at_prune_options how;
    double parameters[2], bytes[2]; /* before, after: in all, of model.safetensors */
    bool
        identical; /* every answer on the text of the domains that are kept is the same to the bit */
} at_pruned;

/** `out` appears whole, with certificate.json, or not at all.  AT_ARG: a limit that cannot be kept, an unknown
    domain; AT_MISMATCH: a promise that does not hold.  `result` is closed in any case. */
at_status at_prune(at_compute *cp, const char *model, const at_prune_options *o, const char *out,
                   at_pruned *result);
void at_pruned_close(at_pruned *p);
/** What was done, compared and measured, into an open object. */
void at_pruned_put(at_json *j, const at_pruned *p);

/* ---- the frontier ---- */

/** Loss of a domain when a share of the experts stays. */
typedef struct at_prune_point {
    at_prune_score score;
    double share, parameters, bytes;
    int64_t slots; /* that are left */
    int domain;
    double loss;
    at_estimate increase;
} at_prune_point;
enum { AT_PRUNE_SHARES = 4 };
extern const double at_prune_shares[AT_PRUNE_SHARES]; /* 1, 1/2, 1/4, 1/8 */

/** Every score of `scores` (a bit each) at every share that leaves each layer what a token uses; `each` sees
    all domains of a point.  limit, value, most and promises of the options do not count. */
at_status at_prune_frontier(at_compute *cp, const char *model, const at_prune_options *o,
                            unsigned scores, void (*each)(void *user, const at_prune_point *p),
                            void *user, at_pruned *result);

#endif
