/* grow.h - the model that a module's training begins with: a mixture with slots more. */
#ifndef AT_GROW_H
#define AT_GROW_H
#include "arch/model.h"

typedef enum at_grow_init {
    AT_GROW_RANDOM,
    AT_GROW_COPY,
    AT_GROW_ZERO,
    AT_GROW_DOMAIN
} at_grow_init;

/** Like m, with more[i] slots more in bank i, behind the others; all else has the values of m.  New slots are as in
    a fresh model of this seed; copies of the first slots, rows of the router included; or fresh with a last matrix
    of zeros, so that they say nothing yet; of
    AT_GROW_DOMAIN the caller sets the rows (newness.h). */
at_status at_grow_model(at_ctx *c, const at_model *m, const int64_t *more, at_grow_init init,
                        uint64_t seed, at_model **out);

#endif
