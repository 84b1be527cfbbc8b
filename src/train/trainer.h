/*
 * trainer.h - one optimiser step of one or several learners: micro-batches, guard, optimiser.
 *
 * A step is a function of (parameters, moments, what a task keeps, step number, recipes): batches and
 * dropout come from counter-based draws, so a resumed run repeats an uninterrupted one bit for bit.
 *
 * Learners may share stores.  Each store occurs once: it collects the gradients of every learner that
 * uses it and is stepped once.  The loss is the mean of the learners'.
 */
#ifndef AT_TRAINER_H
#define AT_TRAINER_H
#include "tensor/optim.h"
#include "train/learner.h"
#include "train/runstate.h"

typedef struct at_trainer {
    at_ctx *ctx;
    at_compute *cp;
    const at_recipe *recipe; /* of optimiser, schedule, guard, accumulate */
    at_learner *learner;     /* [n_learners], borrowed                    */
    int n_learners;
    at_store **store; /* [n_stores], each once */
    int n_stores;
    at_arena arena;
    at_optim optim;
    at_train_state progress;
} at_trainer;

/** Prepares gradients and moments of the learners' stores. */
at_status at_trainer_open(at_ctx *c, at_compute *cp, const at_recipe *r, at_learner *learner,
                          int n_learners, at_trainer *t);
/** One optimiser step of the learners that are not idle.  AT_NUMERIC when the loss or the gradient
    is not finite, or the loss jumps (recipe key train.spike): then nothing was changed. */
at_status at_trainer_step(at_trainer *t, at_step_report *out);
void at_trainer_close(at_trainer *t);

#endif
