/*
 * runstate.h - state.json of a checkpoint: what a resume needs beside tensors, the arithmetic it was
 * computed in, and the hash of every file of the checkpoint, its own included.
 */
#ifndef AT_RUNSTATE_H
#define AT_RUNSTATE_H
#include "tensor/store.h"
#include "train/alpha.h"

#define AT_RUNSTATE_FILE "state.json"

typedef struct at_train_state {
    int64_t step;     /* optimiser steps done                  */
    int64_t tokens;   /* seen                                  */
    double loss_mean; /* running mean of the spike guard       */
    int64_t loss_n;   /* losses in it                          */
    double seconds;   /* of training so far                    */
    char data[65];    /* SHA-256 of the data set's manifest.json, which names every shard's */
} at_train_state;

/** Into the folder, whose other files are all there.  s: for how often each parameter was stepped;
    a: for what its rule keeps. */
at_status at_runstate_write(at_ctx *c, const char *dir, const at_store *s, const at_alpha *a,
                            const at_train_state *p);
/** AT_MISMATCH: another arithmetic (base/arithmetic.h), or another data set than p->data says.
    AT_FORMAT names the file, and the tensor in it, that is not what was written. */
at_status at_runstate_read(at_ctx *c, const char *dir, int64_t step, at_store *s, at_alpha *a,
                           at_train_state *p);

#endif
