/*
 * estimate.h - what a model costs, found by a dry run: its own forward pass, and backward, on shapes
 * alone.  Parameters need no values, nothing is computed, and no architecture has formulas of its own.
 */
#ifndef AT_ESTIMATE_H
#define AT_ESTIMATE_H
#include "arch/read.h"

typedef struct at_workload {
    int64_t B, T;
    bool train;        /* with the loss, and backward                    */
    int64_t history;   /* tokens before each sequence, where training    */
    at_model *teacher; /* read beside it, or NULL                        */
    const at_aux *aux; /* losses of routers, or NULL                     */
    uint64_t modules;  /* those that are run, see at_input; 0: all        */
} at_workload;

typedef struct at_estimate {
    double forward, backward; /* floating-point operations of products; the teacher's are forward */
    double active;            /* parameters that a token uses, embedding rows apart; of the model */
    double bytes;             /* of all values of the pass, gradients of parameters apart         */
} at_estimate;

/** cp is for its number of workers, each of which has memory of its own in some ops. */
at_status at_model_estimate(at_compute *cp, at_model *m, const at_workload *w, at_estimate *out);

#endif
