/* continue.h - several texts continued at the same time: their tokens go through a model together. */
#ifndef AT_CONTINUE_H
#define AT_CONTINUE_H
#include "infer/lm.h"
#include "infer/sample.h"

typedef struct at_continuation {
    at_model *model;  /* borrowed: of a voice, as is                              */
    uint64_t modules; /* which of its modules are run, see at_session */
    at_ids ids;       /* not empty: the prompt, then also what was written; the caller's to free */
    at_sampling how;
    int64_t most; /* tokens that are added, if fewer than to the others; 0: as many */
    bool ended;   /* out: by the end-of-text token */
} at_continuation;

enum { AT_TOGETHER = 16 }; /* texts in one pass, at most */

/** Adds at most n tokens to each text, those that at_generate writes for it alone, bit for bit.  Texts
    of one voice are read together.  AT_INTERRUPTED; AT_NUMERIC. */
at_status at_continue_all(at_compute *cp, const at_lm *m, at_continuation *text, int64_t texts,
                          int64_t n);

#endif
