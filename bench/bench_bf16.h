/* bench_bf16.h - products with matrices in BF16: read for one row, and used for many. */
#ifndef AT_BENCH_BF16_H
#define AT_BENCH_BF16_H
#include "base/ctx.h"
#include "bench/timing.h"

/** Rows "gemv_bf16" (a head of 50304 words), "decode_bf16" (two experts of many, a row each) in
    bytes of matrices against what is read just before or after, and "experts_bf16" (256 rows for each expert) in flops
    against fma GFLOP/s and the same product in float.  AT_OOM, AT_INTERRUPTED, or what emit
    returns. */
at_status at_bench_bf16(at_ctx *c, double fma, at_bench_emit emit, void *user);

#endif
