/* bench_group.h - speed of grouped products, as mixtures of experts have them. */
#ifndef AT_BENCH_GROUP_H
#define AT_BENCH_GROUP_H
#include "base/ctx.h"
#include "bench/timing.h"

/** On c->threads workers, against `fma` GFLOP/s of this machine and OpenBLAS.  Rows "experts",
    "experts_dx" and "experts_dw": 2048 tokens, two experts each, against one dense product of the
    same flops; rows "experts_few": few rows an expert, against one product an expert.  Some twenty
    seconds.  Fails with AT_OOM, AT_INTERRUPTED, or the status of emit. */
at_status at_bench_group(at_ctx *c, double fma, at_bench_emit emit, void *user);

#endif
