/* bench_step.h - speed of whole training steps on random tokens. */
#ifndef AT_BENCH_STEP_H
#define AT_BENCH_STEP_H
#include "conf/conf.h"
#include "train/trainer.h"

typedef struct at_bench_step {
    char arch[64], shape[160];
    int64_t parameters, tokens; /* tokens: a step                                       */
    double min, median;         /* seconds a step                                       */
    double tokens_per_s;        /* by the median                                        */
    double flops;               /* of the products of a step; recomputation is not
                                   counted                                              */
    double gflops, peak_gflops, percent_of_peak;
} at_bench_step;

/** recipe: sections model and train (batch, context, accumulate); the rest has defaults.
    2 steps to warm up, then `steps` timed ones. */
at_status at_bench_step_run(at_ctx *c, at_conf *recipe, int64_t steps, at_bench_step *out);

#endif
