/* train.h - a whole run: from a recipe to a run folder with a model in it. */
#ifndef AT_TRAIN_H
#define AT_TRAIN_H
#include "train/runfolder.h"
#include "train/trainer.h"

typedef struct at_train_options {
    bool resume;
    bool distilling; /* the recipe has a section distill */
    double rows;     /* see at_aux.rows */
    int64_t
        stop; /* the run ends after this step, unfinished: there is no model; 0: at the recipe's end */
    /* Told of each step that was made, of how many; NULL: nobody is.  An error ends the run. */
    at_status (*step)(void *user, at_model *m, int64_t step, int64_t of);
    void *user;
} at_train_options;

/** What a finished (or interrupted) run has to say; strings are not owned. */
typedef struct at_train_result {
    at_train_state progress;
    double loss;     /* of the last step, NaN when a resumed run had none left */
    double val_loss; /* last validation, NaN when none */
    int64_t numel;
    bool finished;
    bool rows; /* what was read are rows of a table, and progress.tokens are as many */
} at_train_result;

/** Trains in `run`.  Ctrl-C: saves, AT_INTERRUPTED.  AT_NUMERIC: stopped, the last checkpoint is
    intact.  The recipe's sections are bound here; unknown keys are refused. */
at_status at_train(at_ctx *c, at_conf *recipe, const char *run, const at_train_options *o,
                   at_train_result *out);

#endif
