/*
 * ensemble.h - the answers of several whole models, averaged: the sparse ensemble of Branch-Train-Merge
 * (Li et al. 2022, arXiv 2208.03306) and c-BTM (Gururangan et al. 2023, arXiv 2303.14177).
 *
 *     p(token | text) = sum over the k models with the largest weights of w_i p_i(token | text),
 *
 * w_i the router's probability of model i's class by the first tokens of the window, divided by their sum
 * over those k; without a router all are equal.  A model alone is an ensemble of one.
 */
#ifndef AT_ENSEMBLE_H
#define AT_ENSEMBLE_H
#include "arch/read.h"
#include "data/batch.h"
#include "route/router.h"

typedef struct at_ensemble {
    at_model *const *model;  /* [n], of one vocabulary     */
    int n, k;                /* how many answer, 1 to n    */
    const at_router *router; /* NULL: equal weights       */
    const int *class_of;     /* [n] classes of the router */
} at_ensemble;

typedef struct at_ensemble_loss {
    double nats; /* sum of -log p over the predicted tokens */
    int64_t tokens, windows;
    int64_t *by; /* [n] windows that each had part in, added to, or NULL */
} at_ensemble_loss;

/** Weights [n] of the models for a text that begins with these ids: k of them above 0, their sum 1. */
at_status at_ensemble_weigh(at_ctx *c, const at_ensemble *e, const int32_t *ids, int64_t n,
                            double *weight);
/** Loss over a shard, in windows of `context` tokens, at most `limit` spread evenly (0: all); the first
    `prefix` tokens of each are read, by the router, too, but not scored.  Added to *out. */
at_status at_ensemble_eval(at_compute *cp, const at_ensemble *e, const at_shard *s, int64_t context,
                           int64_t limit, int64_t prefix, at_ensemble_loss *out);

#endif
