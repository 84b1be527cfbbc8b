/*
 * runfolder.h - what a training run leaves behind: recipe.yaml, metrics.jsonl, checkpoints/,
 * model/.
 *
 * A checkpoint is a folder checkpoints/step-NNNNNNNN that appears whole or not at all: a model
 * folder plus Adam's moments, state.json, and history.safetensors where sequences read on.
 */
#ifndef AT_RUNFOLDER_H
#define AT_RUNFOLDER_H
#include "arch/history.h"
#include "arch/model.h"
#include "nn/optim.h"
#include <stdio.h>

/** What a resume needs beside parameters and moments. */
typedef struct at_train_state {
    int64_t step;     /* optimiser steps done                  */
    int64_t tokens;   /* seen                                  */
    double loss_mean; /* running mean of the spike guard       */
    int64_t loss_n;   /* losses in it                          */
    double seconds;   /* of training so far                    */
    char data[65];    /* SHA-256 of the data set's manifest.json, which names every shard's */
} at_train_state;

typedef struct at_runfolder {
    at_ctx *ctx;
    char *path, *checkpoints, *metrics;
    FILE *log; /* metrics.jsonl, appended */
} at_runfolder;

/** Makes the folder; without resume it must hold no run yet (AT_ARG says how to go on). */
at_status at_runfolder_open(at_ctx *c, const char *path, bool resume, at_runfolder *out);
void at_runfolder_close(at_runfolder *r);

/** recipe.yaml: written on a fresh run; on resume it must say the same: AT_MISMATCH names the
    first line that differs. */
at_status at_runfolder_recipe(at_runfolder *r, const char *text, bool resume);

/** Step of the newest checkpoint, or -1. */
int64_t at_runfolder_latest(at_runfolder *r);
/** Save, then remove all but the newest `keep`.  history [histories]: of the micro-batches, or NULL. */
at_status at_runfolder_save(at_runfolder *r, const at_model *m, const at_optim *o,
                            const at_train_state *p, const at_history *history, int64_t histories,
                            const char *tokenizer, int64_t keep);
/** Fill parameters and moments of m, *o, *p and the histories from the checkpoint of `step`.
    AT_MISMATCH when it was made with another data set than p->data says. */
at_status at_runfolder_load(at_runfolder *r, int64_t step, at_model *m, at_optim *o,
                            at_train_state *p, at_history *history, int64_t histories);
/** Append one line to metrics.jsonl (deletes o). */
at_status at_runfolder_log(at_runfolder *r, cJSON *o);
/** Drop the lines beyond `step` (a resume will write them again), then append. */
at_status at_runfolder_log_open(at_runfolder *r, int64_t step);

#endif
