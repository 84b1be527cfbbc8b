/*
 * sample.h - the next token from its logits.
 *
 * The draw is defined independently of the algorithm.  Tokens are sorted in descending order of
 * their logits, equal ones by id.  The weight of a token is floor(exp((logit - largest) /
 * temperature) S), where S is a power of two: 2^52, or less where all weights together would not
 * fit 62 bits.  Weights are integers, so that their sums have no order.  top_k keeps the first k
 * tokens; top_p keeps, of these, the shortest beginning whose weights reach top_p of theirs.  The
 * token drawn is the first one at which the sum of weights reaches u times that of all that were
 * kept, u uniform in (0,1).
 */
#ifndef AT_SAMPLE_H
#define AT_SAMPLE_H
#include "base/ctx.h"
#include "base/real.h"

typedef struct at_sampling {
    double temperature; /* 0: the most probable token                              */
    int64_t top_k;      /* only the k most probable; 0: all                        */
    double top_p;       /* only the most probable ones that reach p together; 1: all */
    uint64_t seed;
    double repeat_penalty; /* a token among the last AT_REPEAT_WINDOW becomes so many times less
                              likely, before temperature and choice; 0, 1: off      */
} at_sampling;

enum { AT_REPEAT_WINDOW = 64 };

typedef struct at_pick {
    int32_t id;
    at_real logit;
    uint64_t weight;
} at_pick;

/** Token number `index` of the text: a function of (logits, settings, index).  scratch: 2 v picks,
    v < 2^31; time grows as v.  AT_NUMERIC, naming the token: a logit that is NaN or +infinite; none
    that is finite.  -infinity is a token that never comes. */
at_status at_sample(at_ctx *c, const at_real *logits, int64_t v, const at_sampling *how,
                    uint64_t index, at_pick *scratch, int32_t *id);

/** Memory to draw from v logits again and again. */
typedef struct at_chooser {
    int64_t v;
    at_pick *scratch;
    at_real *lowered; /* logits after the penalty */
} at_chooser;

at_status at_chooser_open(at_ctx *c, int64_t v, at_chooser *out);
void at_chooser_close(at_chooser *h);
/** The token after the n of a text, at_sample with index n, once the penalty has lowered what was said
    lately, the prompt included. */
at_status at_choose(at_ctx *c, const at_chooser *h, const at_real *logits, const at_sampling *how,
                    const int32_t *text, int64_t n, int32_t *id);

#endif
