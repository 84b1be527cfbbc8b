/*
 * doc_losses.h - the loss of a network document by document, for intervals: documents are independent of
 * each other, windows and tokens are not.
 */
#ifndef AT_DOC_LOSSES_H
#define AT_DOC_LOSSES_H
#include "arch/read.h"
#include "base/stats.h"
#include "data/dataset.h"

typedef struct at_doc_losses {
    double *nats;    /* [n] sum of -log p over the predicted tokens of a document */
    int64_t *tokens; /* [n] how many                                              */
    int64_t n, cap_nats, cap_tokens;
    double all_nats;
    int64_t all_tokens;
} at_doc_losses;

/** Documents of a shard, at most `limit` spread evenly over it (0: all), each by itself and up to its first
    `context` + 1 tokens.  Those of one token are left out. */
at_status at_doc_losses_read(at_compute *cp, at_model *m, const at_shard *s, int64_t context,
                             int64_t limit, at_doc_losses *out);
void at_doc_losses_close(at_doc_losses *l);
/** Nats per token. */
double at_doc_losses_mean(const at_doc_losses *l);
/** After minus before, nats per token, of the same documents: with n documents, t tokens and d_i the
    difference of document i the mean of n d_i / t, and its interval of 95 % (at_stat_bca; below two documents
    NaN).  Equal losses have the interval [0, 0]. */
at_status at_doc_losses_increase(at_ctx *c, const at_doc_losses *before, const at_doc_losses *after,
                                 uint64_t seed, at_estimate *out);

#endif
