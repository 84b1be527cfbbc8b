/*
 * documents.h - the loss of a model document by document, and how sure a difference of two models is.
 *
 * A document is what a text has in common with nothing else, so intervals come from drawing documents, not
 * tokens or windows: the bootstrap (B. Efron, 1979) of the ratio of two means, paired by document.
 */
#ifndef AT_DOCUMENTS_H
#define AT_DOCUMENTS_H
#include "arch/read.h"
#include "data/shard.h"

typedef struct at_documents {
    double *nats;    /* [n] sum of -log p over the tokens that were predicted */
    int64_t *tokens; /* [n] */
    int64_t n;
} at_documents;

/** The first context + 1 tokens of at most `most` documents (0: all), spread evenly over the shard; those of a
    single token are left out.  modules: see at_input. */
at_status at_documents_read(at_compute *cp, at_model *m, uint64_t modules, const at_shard *s,
                            int64_t context, int64_t most, at_documents *out);
void at_documents_close(at_documents *d);

typedef struct at_change {
    double before,
        after; /* nats a token, over all documents                                        */
    double change, lo,
        hi; /* after / before - 1, and its 95 % interval; NaN with one document or none */
    int64_t documents, tokens;
} at_change;
/** Of the same documents: percentiles of 2000 draws, which the seed decides. */
at_status at_documents_compare(at_ctx *c, const at_documents *before, const at_documents *after,
                               uint64_t seed, at_change *out);

#endif
