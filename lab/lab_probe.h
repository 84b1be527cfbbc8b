/*
 * lab_probe.h - losses of a model, window by window and position by position.
 *
 * A probe takes windows of `context` tokens that end at the multiples of `stride` (the first at
 * `stride`), so that probes with equal stride and different contexts predict the same last tokens
 * of each window with more or less before them.
 */
#ifndef AT_LAB_PROBE_H
#define AT_LAB_PROBE_H
#include "arch/model.h"
#include "arch/usage.h"
#include "data/dataset.h"

typedef struct at_probe_spec {
    int64_t context, stride; /* context <= stride                                           */
    int64_t buckets;         /* parts of equal length a window's losses are told in         */
    int64_t limit;           /* most windows; 0: all                                        */
    bool spread;             /* these: evenly over the split, not from its beginning        */
    uint64_t modules;        /* of the model, those that are run; 0: all: see at_input      */
    bool tail;               /* also the tokens after the last whole window, as one bucket  */
} at_probe_spec;

typedef struct at_probe {
    double *nats;                /* [windows, buckets] sums                 */
    int64_t windows;             /* whole ones                              */
    int64_t buckets, per_bucket; /* tokens of a bucket          */
    double tail_nats;
    int64_t tail_tokens;
} at_probe;

/** usage (may be NULL): the routers' choices are added. */
at_status at_probe_run(at_compute *cp, at_model *m, const at_shard *s, const at_probe_spec *spec,
                       at_usage *usage, at_probe *out);
void at_probe_close(at_probe *p);
/** How many whole windows a probe has of a shard, and where window i of them begins. */
int64_t at_probe_windows(const at_probe_spec *spec, const at_shard *s);
int64_t at_probe_start(const at_probe_spec *spec, const at_shard *s, int64_t i);
/** Nats a token over everything; over one bucket of all windows. */
double at_probe_loss(const at_probe *p);
double at_probe_bucket(const at_probe *p, int64_t bucket);

#endif
