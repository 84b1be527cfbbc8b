/*
 * digest.h - a digest of parameters that does not depend on how they are stored.
 *
 * SHA-256 over the tensors in the order of their names (bytewise), of each: the name, a NUL, the
 * type, a NUL, the dimensions in decimal with commas between them, a NUL, the values, little-endian
 * and row-major.  F16 and BF16 are widened to F32, exactly, and called F32.  A name counts without
 * a leading "transformer.".  So it does not depend on shards, on the order in a file, on metadata,
 * on the naming (artel's or that of the authors) or on values being stored narrower than they are
 * used.
 */
#ifndef AT_DIGEST_H
#define AT_DIGEST_H
#include "base/sha256.h"
#include "infer/lm.h"

typedef struct at_digest {
    char hex[AT_SHA256_TEXT];
    int64_t tensors, values;
} at_digest;

/** path: a model folder or a checkpoint (its parameters, no buffers), a composed model (names
    "EXPERT/NAME", those of trunks as in the model they came from, and "router/NAME"), a run (its model/), a tensor file or an index (every tensor).
    Hashes in the files are verified.  AT_INTERRUPTED between two tensors. */
at_status at_digest_of(at_ctx *c, const char *path, at_digest *out);
/** Of those parameters of m whose paths the other model has, too. */
at_status at_digest_shared(at_ctx *c, const at_model *m, const at_model *other, at_digest *out);
/** Of those experts of m, whole models, whose names `known` has, too: names "EXPERT/NAME". */
at_status at_digest_experts(at_ctx *c, const at_lm *m, const at_lm *known, at_digest *out);
/** Of all parameters of a model. */
at_status at_digest_model(at_ctx *c, const at_model *m, at_digest *out);
/** Of the parameters of one slot of a bank, its row of the router among them, under their own paths. */
at_status at_digest_slot(at_ctx *c, at_model *m, const at_bank *b, int64_t slot, at_digest *out);
/** Of slots first[i] ... first[i] + n[i] - 1 of bank i: what at_digest_of says of the file that at_member_write makes
    of them.  It is made in any case: no Ctrl-C ends it. */
at_status at_digest_member(at_ctx *c, const at_store *s, const at_banks *banks,
                           const int64_t *first, const int64_t *n, at_digest *out);

#endif
