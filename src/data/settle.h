/*
 * settle.h - what of each document is written, to the token, and the proof that domains have the
 * sizes asked for.
 *
 * A document is cut between tokens, so that a size in bytes, characters or words is met but for a
 * token, and the end-of-text token counts.  balance.h chooses documents without looking at tokens;
 * here the exact sizes are added up, and what is too much is cut off the largest domain until all
 * are as near to each other as was asked.
 */
#ifndef AT_SETTLE_H
#define AT_SETTLE_H
#include "data/build.h"

/** Sizes of a document or of a split. */
typedef struct at_sizes {
    int64_t tokens, bytes, chars, docs, words;
} at_sizes;
int64_t at_sizes_units(const at_sizes *s, at_unit unit);

/** What is written of a document: its first `tokens` ids, the last of which is replaced by
    end-of-text where it is cut.  id [d->tokens] holds its ids and is changed so.  docs is 0 when
    nothing is left. */
at_sizes at_build_cut(const at_builder *k, const at_staged *d, int32_t *id);

/** Adds up what would be written and cuts until every split is within max_diff.  AT_FORMAT names
    split and domains where that is not possible, because what could be cut is larger than the
    difference. */
at_status at_build_settle(at_ctx *c, at_builder *k);

#endif
