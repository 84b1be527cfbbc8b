/*
 * peak.h - what this machine can do at best, measured: the denominators of every "percent of peak".
 */
#ifndef AT_PEAK_H
#define AT_PEAK_H
#include "base/ctx.h"

/** Fused multiply-add peak in GFLOP/s of `threads` workers together, with the instruction set of
    c->cpu: independent chains in registers, no memory; the best of several runs of about 10 ms.
    A multiply-add counts as two operations. */
double at_fma_peak(at_ctx *c, int threads);

/** GB/s (1e9 bytes) that `threads` workers together read from memory far larger than the caches;
    the best of several passes over 256 MiB.  0 when there is not that much memory. */
double at_read_peak(at_ctx *c, int threads);

#endif
