/*
 * runfolder.h - what a training run leaves behind: recipe.yaml, metrics.jsonl, checkpoints/,
 * model/.
 *
 * A checkpoint is a folder checkpoints/step-NNNNNNNN that appears complete or not at all: a model
 * folder plus the optimiser's moments, state.json, and what the task keeps (train/task.h).  Only
 * folders of exactly such a name that hold nothing else are ever removed; anything else in the folder
 * of a run is the user's, and stays.
 */
#ifndef AT_RUNFOLDER_H
#define AT_RUNFOLDER_H
#include "base/lock.h"
#include "train/learner.h"
#include "train/runstate.h"
#include <stdio.h>

/** What a finished run says of its model, where the task says something. */
#define AT_RESULT_FILE "result.json"

typedef struct at_runfolder {
    at_ctx *ctx;
    char *path, *checkpoints, *metrics;
    FILE *log;     /* metrics.jsonl, appended         */
    at_lock *lock; /* of the folder, until it is closed */
} at_runfolder;

/** Makes the folder, and keeps everybody else out of it until it is closed: AT_IO names the process
    that is at work in it.  Without resume it must hold no run, nor anything that the run would
    write over (AT_ARG says how to go on). */
at_status at_runfolder_open(at_ctx *c, const char *path, bool resume, at_runfolder *out);
void at_runfolder_close(at_runfolder *r);

/** recipe.yaml: written on a fresh run; on resume it must say the same: AT_MISMATCH names the
    first line that differs. */
at_status at_runfolder_recipe(at_runfolder *r, const char *text, bool resume);

/** Step of the newest checkpoint, or -1. */
at_status at_runfolder_latest(at_runfolder *r, int64_t *step);
/** Save the learner, then remove all but the newest `keep`.
    AT_NUMERIC: a parameter is not finite, nothing is written or removed. */
at_status at_runfolder_save(at_runfolder *r, const at_learner *l, const at_train_state *p,
                            const char *tokenizer, int64_t keep);
/** Fill parameters, moments and step counts of the learner's model, its alpha, what its task keeps,
    and *p from the checkpoint of `step`.  What at_runstate_read refuses is refused, and what
    at_model_load does. */
at_status at_runfolder_load(at_runfolder *r, int64_t step, at_learner *l, at_train_state *p);
/** Append one line to metrics.jsonl (closes j). */
at_status at_runfolder_log(at_runfolder *r, at_json *j);
/** Drop the lines beyond `step` (a resume will write them again), then append. */
at_status at_runfolder_log_open(at_runfolder *r, int64_t step);

#endif
