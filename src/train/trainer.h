/*
 * trainer.h - one optimiser step: batches, forward, backward, guard, AdamW.
 *
 * A step is a function of (parameters, moments, history, step number, recipe): batches and dropout
 * come from counter-based draws, so a resumed run repeats an uninterrupted one bit for bit.
 */
#ifndef AT_TRAINER_H
#define AT_TRAINER_H
#include "arch/read.h"
#include "train/recipe.h"
#include "train/runfolder.h"

typedef struct at_step_report {
    double loss, ce, kd; /* means over the step's tokens; kd 0 without a teacher */
    double aux;          /* of the routers, weighted, part of loss; 0 without    */
    double norm;         /* of the gradient, before clipping                     */
    double load_entropy; /* of the experts' load, mean over routers; see arch/usage.h */
    int64_t dead;        /* experts the step did without, all routers together        */
    bool mixture;        /* there are routers: the two above say something            */
    double lr;
    double seconds;
    int64_t tokens;
} at_step_report;

typedef struct at_trainer {
    at_ctx *ctx;
    at_compute *cp;
    const at_recipe *recipe;
    at_model *model;   /* borrowed */
    at_model *teacher; /* borrowed, or NULL */
    at_sampler sampler;
    at_arena arena;
    at_optim optim;
    at_train_state progress;
    int32_t *input, *target; /* [batch, context] */
    at_history *history;     /* [accumulate], where the recipe has train.history */
    int32_t *kept;           /* [batch] */
    at_aux aux;              /* weights of the routers' losses */
    at_loads loads;          /* of a whole step, where `whole` */
    bool whole;
    at_usage usage; /* of a step's experts            */
} at_trainer;

/** Prepares gradients and moments of the model; the data set stays borrowed. */
at_status at_trainer_open(at_ctx *c, at_compute *cp, const at_recipe *r, at_model *model,
                          at_model *teacher, const at_dataset *data, at_trainer *t);
/** One optimiser step.  AT_NUMERIC when the loss or the gradient is not finite, or the loss jumps
    (recipe key train.spike): then nothing was changed. */
at_status at_trainer_step(at_trainer *t, at_step_report *out);
void at_trainer_close(at_trainer *t);

#endif
