/* bench_kernel.h - speed of the inner loops against the machine's limit and a stated baseline. */
#ifndef AT_BENCH_KERNEL_H
#define AT_BENCH_KERNEL_H
#include "base/ctx.h"
#include "bench/timing.h"

/** First the machine's limits (rows fma_peak and read_peak), then matrix products in the shapes of
    a small transformer and of expert layers, attention and the optimiser; on one worker and on all
    of c->threads.  About a minute.  AT_OOM, AT_INTERRUPTED, or what emit returns. */
at_status at_bench_kernel(at_ctx *c, at_bench_emit emit, void *user);

#endif
