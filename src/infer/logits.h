/* logits.h - raw logits of given tokens, for checking a conversion. */
#ifndef AT_LOGITS_H
#define AT_LOGITS_H
#include "infer/lm.h"

/** Logits [n, V] of one sequence of n ids, by the expert that all of it is routed to; AT_ARG: more than
    the context, or an id that is not of the vocabulary.  ask: who answers, or NULL. */
at_status at_logits(at_compute *cp, const at_lm *m, const at_ask *ask, const int32_t *ids,
                    int64_t n, float *out);

/** ids: "FILE.safetensors[:NAME]" (default input_ids), an integer tensor [B,T] or [T]; out: a
    safetensors file with `logits` F32 [B,T,V].  An `attention_mask` beside the ids marks padding,
    whose logits are 0. */
at_status at_logits_file(at_compute *cp, at_lm *m, const at_ask *ask, const char *ids,
                         const char *out);

#endif
