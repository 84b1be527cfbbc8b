/*
 * own_text.h - text that a student writes, for a teacher to speak of (on-policy distillation).
 *
 * Source: Agarwal et al. 2023, arXiv 2306.13649 (generalised knowledge distillation), section 3, with
 * the share lambda of the student's own text as a share of the steps.
 */
#ifndef AT_OWN_TEXT_H
#define AT_OWN_TEXT_H
#include "arch/read.h"

/** Whether a step is one of the student's own text: a draw of its own for each, true for the given
    share of them. */
bool at_own_text_step(uint64_t seed, double share, int64_t step);
/** Sequences ids [B, T] of which the first `prompt` tokens, 1 to T - 1, are given: the model writes the
    others, each drawn from its probabilities (temperature 1, dropout off).  Sequence b has draws of
    its own, by seed and number first + b. */
at_status at_own_text_write(at_compute *cp, at_model *m, uint64_t seed, int64_t first, int64_t B,
                            int64_t T, int64_t prompt, int32_t *ids);
/** Leaves of a loss what is about the tokens that were written: rows prompt - 1 to T - 2 of each
    sequence have the token that follows as their label and hear their teachers, all others have no
    label and hear nobody.  label [B T]. */
void at_own_text_rows(at_run *r, int64_t B, int64_t T, int64_t prompt, const int32_t *ids,
                      int32_t *label, at_head_spec *spec);

#endif
