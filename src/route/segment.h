/*
 * segment.h - which class each part of a mixed text belongs to.
 *
 * A router's score is a sum over the features of a text, f_c = sum_i e_ic + b_c with
 * e_ic = sum of idf w_c over the features that end at token i, divided by the norm.  Here the norm is that
 * of a window around the token, and the biases are shared out among the tokens of the window, so that the
 * sum over a window is what the router says of it.  The parts are those with the largest
 *
 *     sum_i e_i,c(i) / T - penalty * (number of times the class changes),   T: the router's temperature
 *
 * where no token tells two classes apart by more than half a penalty, so that none makes a part alone.  They are
 * found by the Viterbi algorithm (Viterbi 1967; Forney 1973) in O(tokens * classes).
 */
#ifndef AT_SEGMENT_H
#define AT_SEGMENT_H
#include "route/router.h"

typedef struct at_segment_options {
    int64_t window; /* tokens, above 0 */
    double penalty; /* nats, 0 or above */
} at_segment_options;
/** 16 tokens, 4 nats. */
at_segment_options at_segment_defaults(void);

/** class_of [n]: the class of each token.  AT_ARG: options that make no sense, or an id out of range, whose
    position is named. */
at_status at_router_segment(at_ctx *c, const at_router *r, const int32_t *id, int64_t n,
                            const at_segment_options *o, int32_t *class_of);

#endif
