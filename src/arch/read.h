/*
 * read.h - the forward pass of any architecture.
 *
 * at_model_read is a complete pass without recording.  To go on with the hidden states, for
 * instance in training, call at_model_hidden within a run.
 */
#ifndef AT_READ_H
#define AT_READ_H
#include "arch/model.h"

/** Last hidden states [B T, C].  p: further outputs that are wanted; may be NULL. */
at_tensor *at_model_hidden(at_model *m, at_run *r, const at_input *in, at_pass *p);
/** Its output embedding [V, C]; NULL: hidden states are logits. */
at_tensor *at_model_head(const at_model *m);

/** Logits [.., V] of hidden states. */
at_tensor *at_model_logits(const at_model *m, at_run *r, at_tensor *x);

/** Outputs wanted of a pass. */
typedef struct at_readout {
    /** The loss: labels [B T], negative: skipped; the rows in equal parts, a report each. */
    const int32_t *label;
    int64_t parts;
    at_head_report *report;
    /** Logits [V] of rows row[0 .. rows) of the hidden states, each as if alone, or with row NULL
        of all, in order. */
    void (*logits)(void *user, int64_t i, const at_real *logits);
    void *user;
    const int64_t *row;
    int64_t rows;
} at_readout;
/** A pass without recording, for the outputs in `what`; afterwards the arena is as before.
    AT_NUMERIC, with the reason, when something is not finite. */
at_status at_model_read(at_compute *cp, at_arena *arena, at_model *m, const at_input *in,
                        at_pass *p, const at_readout *what);

#endif
