/*
 * dedup.h - which paragraphs were seen before: a set of 128-bit hashes (XXH3).
 *
 * Exact: letters, digits and punctuation count.  Memory: 16 bytes a distinct paragraph at 70 % load,
 * so 23 to 46 bytes each; a billion distinct paragraphs would collide with chance 1e-21.
 */
#ifndef AT_DEDUP_H
#define AT_DEDUP_H
#include "base/ctx.h"

typedef struct at_dedup {
    uint64_t (*slot)[2]; /* {0,0}: free */
    int64_t n, cap;      /* cap: a power of two */
} at_dedup;

/** *fresh: the bytes were not seen before (and now they are). */
at_status at_dedup_add(at_ctx *c, at_dedup *d, const void *data, size_t bytes, bool *fresh);
void at_dedup_free(at_dedup *d);

#endif
