/*
 * dedup.h - the set of paragraphs seen so far, as 128-bit hashes (XXH3).
 *
 * Only paragraphs that are equal byte for byte are duplicates.  Memory: 23 to 46 bytes for each
 * distinct paragraph.  With a billion of them the probability of any collision is 1e-21.
 */
#ifndef AT_DEDUP_H
#define AT_DEDUP_H
#include "base/ctx.h"

typedef struct at_dedup {
    uint64_t (*slot)[2]; /* {0,0}: free */
    int64_t n, cap;      /* cap: a power of two */
} at_dedup;

/** Adds the bytes to the set; *fresh: they were not in it before. */
at_status at_dedup_add(at_ctx *c, at_dedup *d, const void *data, size_t bytes, bool *fresh);
void at_dedup_free(at_dedup *d);

#endif
