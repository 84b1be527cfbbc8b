/*
 * read.h - a model reads an input: the one way through any architecture.
 *
 * at_model_read is a pass from beginning to end.  Whoever goes on with the hidden states, to train
 * for instance, calls at_model_hidden within a run of its own.
 */
#ifndef AT_READ_H
#define AT_READ_H
#include "arch/model.h"

/** Last hidden states [B T, C].  p: what is wanted beside them, and what was made; NULL: nothing. */
at_tensor *at_model_hidden(at_model *m, at_run *r, const at_input *in, at_pass *p);
/** Its output embedding [V, C]. */
at_tensor *at_model_head(const at_model *m);

/** What is wanted of a pass. */
typedef struct at_readout {
    /** The loss: labels [B T], negative: skipped; the rows in equal parts, a report each. */
    const int32_t *label;
    int64_t parts;
    at_head_report *report;
    /** Logits [V] of rows row[0 .. rows) of the hidden states, each as if alone, or with row NULL of
        all, in order. */
    void (*logits)(void *user, int64_t i, const at_real *logits);
    void *user;
    const int64_t *row;
    int64_t rows;
} at_readout;
/** Hidden states, and of these what is wanted, without recording; the arena is as before.
    AT_NUMERIC, with the reason, when something is not finite. */
at_status at_model_read(at_compute *cp, at_arena *arena, at_model *m, const at_input *in,
                        at_pass *p, const at_readout *what);

#endif
