/*
 * fit.h - from a recipe and its data to a trained model, in memory.
 *
 * A run in a folder (train.h) is these steps with a log and checkpoints.  What trains many small models does
 * without: at_fit_open, at_fit_run, at_fit_close, with the same bits.
 */
#ifndef AT_FIT_H
#define AT_FIT_H
#include "train/trainer.h"

/** What is told on the way; each may be NULL. */
typedef struct at_fit_events {
    at_status (*step)(void *user, const at_step_report *r);
    at_score_fn score;
    at_status (*save)(void *user); /* where the recipe says so, at the end, and when interrupted */
    void *user;
    int64_t
        stop; /* the steps end after this one, without a validation or a checkpoint; 0: at the recipe's end */
} at_fit_events;

/** The model that a recipe begins with, for data that is open. */
at_status at_fit_model(at_ctx *c, at_conf *f, const at_recipe *r, const at_data *d, at_model **out);

/** Steps of the trainer's first learner to their end, from wherever they stand, validations among them.
    AT_INTERRUPTED: the step under way was made.  AT_NUMERIC: see at_trainer_step. */
at_status at_fit_steps(at_trainer *t, const at_fit_events *e);

typedef struct at_fit {
    at_recipe recipe; /* strings are those of the conf */
    at_model *model;
    at_learner learner;
    at_trainer trainer;
} at_fit;

/** Everything that a recipe without a teacher needs, but data, which stays borrowed. */
at_status at_fit_open(at_ctx *c, at_compute *cp, at_conf *f, const at_data *d, at_fit *out);
/** at_fit_steps, then the model is the one to be kept. */
at_status at_fit_run(at_fit *f);
void at_fit_close(at_fit *f);

#endif
