/*
 * shingle.h - how alike two texts are: sets of short pieces, and sketches of such sets.
 *
 * A text is folded first: letters of ASCII to small ones, digits to 0, runs of other bytes below
 * 128 to one blank.  Its shingles are all stretches of AT_SHINGLE bytes of that, hashed to 64 bits.
 * The likeness of two texts is that of the sets (Jaccard): |A and B| / |A or B|.
 *
 * Broder, "On the resemblance and containment of documents", 1997: the probability that the least
 * hash of two sets is the same is their likeness.  One hash of each shingle serves all numbers of a
 * sketch (one permutation hashing, Li, Owen and Zhang, NeurIPS 2012): it falls into one of n bins,
 * and each bin keeps its least.  An empty bin takes the number of another one, drawn in an order
 * that depends on the bin alone (Shrivastava, "Optimal densification", ICML 2017).
 */
#ifndef AT_SHINGLE_H
#define AT_SHINGLE_H
#include "data/utf8.h"

enum { AT_SHINGLE = 8, AT_SKETCH_MAX = 256 };

/** Folds into `out` (replaced). */
at_status at_fold(at_ctx *c, const char *p, size_t n, at_bytes *out);

/** A set of shingles: a table of hashes, 0 where it is free. */
typedef struct at_shingles {
    uint64_t *slot; /* [room], of cap allocated */
    int64_t n, room, cap;
} at_shingles;
/** Of folded text, replacing what was there; a text shorter than a shingle is one shingle, an empty
    one has none. */
at_status at_shingles_of(at_ctx *c, const at_bytes *folded, at_shingles *out);
double at_shingles_alike(const at_shingles *a, const at_shingles *b);
void at_shingles_free(at_shingles *s);

/** n numbers, 1 to AT_SKETCH_MAX, of folded text; false when the text is empty. */
bool at_sketch(const at_bytes *folded, int n, uint64_t *out);

/** Hashes of all stretches of `length` bytes of folded text, one after the other: a sum modulo 2^64
    that a step changes at both ends (Karp and Rabin, 1987). */
typedef struct at_roll {
    const unsigned char *p;
    int64_t i, n, length;
    uint64_t sum, out; /* the sum; factor of the byte that leaves */
} at_roll;
at_roll at_roll_begin(const at_bytes *folded, int64_t length);
/** false: there are no more. */
bool at_roll_next(at_roll *r, uint64_t *hash);

#endif
