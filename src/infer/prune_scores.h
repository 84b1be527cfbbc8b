/*
 * prune_scores.h - how much each expert of a mixture matters to some text.
 *
 * Over the tokens n of a domain d that were read, with g_e(n) the gate of expert e for n (as it reaches the
 * expert's output) and y_e(n) the output before the gate, sums over those that chose e, and R_d all tokens:
 *
 *     use    C_de / R_d                              how often e is chosen: C_de times
 *     reap   sum g_e |y_e| / C_e                     mean of gate x norm of the output (REAP, arXiv 2510.13999)
 *     norm   sum |y_e| / C_e                         mean norm of the output (MAN, arXiv 2606.15716)
 *     loss   loss without e - loss with it           nats a token, e closed or excluded; the costly one
 *     random a number in [0, 1)                      the control: by the seed alone
 *
 * Over several domains each counts alike: use is the mean of theirs; reap and norm are means over the tokens
 * that chose e, a token of domain d weighing 1 / R_d; loss is the mean.  Who is never chosen has 0 in the first
 * three.
 */
#ifndef AT_PRUNE_SCORES_H
#define AT_PRUNE_SCORES_H
#include "arch/read.h"
#include "data/dataset.h"

typedef enum at_prune_score {
    AT_PRUNE_USE,
    AT_PRUNE_REAP,
    AT_PRUNE_NORM,
    AT_PRUNE_LOSS,
    AT_PRUNE_RANDOM,
    AT_PRUNE_SCORES
} at_prune_score;
/** "use", "reap", "norm", "loss", "random" */
extern const char *const at_prune_score_name[AT_PRUNE_SCORES];

/** Sums over the tokens of each domain, of a bank of E slots: [D, E]. */
typedef struct at_slot_sums {
    double *chosen, *gated, *norm;
} at_slot_sums;

typedef struct at_slot_scores {
    const at_banks *of;              /* borrowed from the model                 */
    int domains;                     /* that were read                          */
    int64_t *tokens;                 /* [D]                                     */
    at_slot_sums *bank;              /* [banks]                                 */
    double **value[AT_PRUNE_SCORES]; /* [banks][E]; loss: NULL until at_slot_losses */
} at_slot_scores;

/** Which text: windows of `context` tokens of these domains (indices of the data set) of a split, at most
    `windows` of each (0: all). */
typedef struct at_prune_text {
    const at_dataset *data;
    const int *domain;
    int n;
    at_split split;
    int64_t context, windows;
} at_prune_text;

/** All scores but loss, in one pass.  AT_ARG: the model has no routers, or a domain no text in the split. */
at_status at_slot_scores_read(at_compute *cp, at_model *m, const at_prune_text *t, uint64_t seed,
                              at_slot_scores *out);
/** The score loss: a pass for each slot that can be missed; `how`, AT_SLOT_CLOSED or AT_SLOT_EXCLUDED, is
    what becomes of it.  A slot without which too few would be left has infinity. */
at_status at_slot_losses(at_compute *cp, at_model *m, const at_prune_text *t, at_slot_use how,
                         at_slot_scores *s);
void at_slot_scores_close(at_slot_scores *s);

#endif
