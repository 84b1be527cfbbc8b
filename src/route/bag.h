/*
 * bag.h - bag of words: the features of a token sequence with their counts, for TF-IDF vectors.
 *
 * A feature below the vocabulary is a token.  Those above are cells of a table of 2^hash_bits, into which
 * sequences of 2 to `ngrams` tokens are hashed; several may share a cell.  A sequence that a dropped token
 * interrupts is none.
 */
#ifndef AT_BAG_H
#define AT_BAG_H
#include "base/ctx.h"

enum { AT_NGRAMS_MAX = 8, AT_HASH_BITS_LEAST = 8, AT_HASH_BITS_MOST = 26 };

/** What counts. */
typedef struct at_bag_spec {
    int64_t vocab;
    int ngrams, hash_bits; /* ngrams 1: tokens alone                        */
    bool sublinear;        /* a feature that occurs n times has 1 + ln n    */
    const int32_t *drop;   /* [n_drop] ids that are ignored                 */
    int n_drop;
} at_bag_spec;

/** Distinct features, ascending, with their counts. */
typedef struct at_bag {
    int32_t *id, *count;
    int64_t n, cap;
    int32_t *sorted, *spare; /* scratch */
    int64_t sorted_cap, spare_cap;
} at_bag;

/** Number of features. */
int64_t at_bag_features(const at_bag_spec *s);
/** The feature of n tokens in a row, 1 <= n <= ngrams. */
int32_t at_bag_feature(const at_bag_spec *s, const int32_t *id, int n);
/** Counts the features of n tokens.  AT_ARG names the position of an id outside [0, vocab). */
at_status at_bag_fill(at_ctx *c, at_bag *b, const int32_t *id, int64_t n, const at_bag_spec *s);
void at_bag_free(at_bag *b);
/** What a count weighs before its idf: itself, or 1 + ln count. */
double at_bag_weight(const at_bag_spec *s, int32_t count);
/** 1 / |weight * idf|, or 0 for a vector of zeros. */
double at_bag_scale(const at_bag *b, const at_bag_spec *s, const float *idf);

#endif
