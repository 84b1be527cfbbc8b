/* evaluate.h - loss of a model over token shards. */
#ifndef AT_EVALUATE_H
#define AT_EVALUATE_H
#include "arch/read.h"
#include "data/batch.h"
#include "infer/lm.h"

typedef struct at_eval {
    double nats;         /* sum of -log p over the predicted tokens        */
    int64_t tokens;      /* predicted                                      */
    int64_t bytes;       /* of text they stand for; 0 without a tokenizer  */
    int64_t windows;     /* that had something to predict                 */
    int64_t *windows_by; /* [n_experts] windows each expert answered, or NULL */
    double abstain;      /* given: windows below this probability are not answered */
    int64_t abstained;   /* how many                                               */
    at_usage *usage;     /* of the routers of a mixture, added to, or NULL; a composed model has
                            several networks, of which none is counted        */
    uint64_t modules;    /* of at_eval_model: what is run of it, see at_input */
} at_eval;

/** Mean cross entropy of one network over a shard, in windows of `context` tokens, at most
    `limit` spread evenly (0: all).  Result added to *out. */
at_status at_eval_model(at_compute *cp, at_model *m, const at_shard *s, int64_t context,
                        int64_t limit, const at_tokenizer *tok, at_eval *out);
/** The same for a composed model: the router chooses the expert of each window by its first
    `prefix` tokens, which the expert reads but which are not scored.  prefix 0: every token but the
    first is scored, and the router reads those same tokens, which overrates a composed model.
    Windows that end within the prefix are skipped.  ask: see at_lm_route; may be NULL. */
at_status at_eval_lm(at_compute *cp, at_lm *m, const at_shard *s, int64_t context, int64_t limit,
                     int64_t prefix, const at_ask *ask, at_eval *out);

#endif
