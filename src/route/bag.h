/* bag.h - bag of words: the tokens of a sequence with their counts, for TF-IDF vectors. */
#ifndef AT_BAG_H
#define AT_BAG_H
#include "base/ctx.h"

/** Distinct ids, ascending, with their counts. */
typedef struct at_bag {
    int32_t *id, *count;
    int64_t n, cap;
    int64_t known;   /* tokens that were counted */
    int32_t *sorted; /* scratch                  */
    int64_t sorted_cap;
} at_bag;

/** Counts of the ids that are not dropped.  AT_ARG names the position of an id outside [0,
    vocab). */
at_status at_bag_fill(at_ctx *c, at_bag *b, const int32_t *id, int64_t n, int64_t vocab,
                      const int32_t *drop, int n_drop);
void at_bag_free(at_bag *b);
/** 1 / |count * idf|, or 0 for a vector of zeros. */
double at_bag_scale(const at_bag *b, const float *idf);

#endif
