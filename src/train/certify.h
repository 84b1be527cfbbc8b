/*
 * certify.h - whether a model of trunks, or of whole experts behind a router, answers, for all that was in an
 * older one, as that one does: bit for bit, on tensors and on logits.
 */
#ifndef AT_CERTIFY_H
#define AT_CERTIFY_H
#include "infer/digest.h"

/** What was compared. */
typedef struct at_certificate {
    at_digest before, after; /* of the tensors of the old model, there and in the new one         */
    int64_t experts; /* ways in which the old model can be asked: each of its experts, with a
                                common trunk also without it, and the common one alone              */
    int64_t windows,
        tokens;     /* that all of them read: the beginning of each domain's validation text */
    int64_t differ; /* answers of these that differ in a bit                             */
    int64_t added;  /* parameters that the new model has more                            */
    bool holds;
} at_certificate;

/** before, after: folders, composed or of a run of trunks.  AT_CONFIG: one of them is a single network, they
    are of two kinds, or the data set has no validation text. */
at_status at_certify(at_ctx *c, const char *before, const char *after, const char *data,
                     at_certificate *out);

#endif
