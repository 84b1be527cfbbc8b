/* sample.h - the next token from its logits. */
#ifndef AT_SAMPLE_H
#define AT_SAMPLE_H
#include "base/ctx.h"
#include "base/real.h"

typedef struct at_sampling {
    double temperature; /* 0: the most probable token                              */
    int64_t top_k;      /* only the k most probable; 0: all                        */
    double top_p;       /* only the most probable ones that reach p together; 1: all */
    uint64_t seed;
} at_sampling;

typedef struct at_pick {
    int32_t id;
    at_real logit;
} at_pick;

/** Token number `index` of the text: a function of (logits, settings, index).  Ties go to the lower
    id.  scratch: v picks. */
int32_t at_sample(const at_real *logits, int64_t v, const at_sampling *how, uint64_t index,
                  at_pick *scratch);

#endif
