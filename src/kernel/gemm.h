/*
 * gemm.h - matrix products (GEMM), and the workers and buffers that compute them.
 *
 * Every element of C is summed over k in an order fixed by the shapes, never by the number of
 * threads: 1 and 64 threads give the same bits.
 */
#ifndef AT_GEMM_H
#define AT_GEMM_H
#include "kernel/blocking.h"
#include "kernel/kernel.h"

/** Kernels, number of workers and their packing buffers (which grow as needed and stay). */
typedef struct at_compute {
    at_ctx *ctx;
    at_kernels k;
    int threads;
    at_blocking block;
    void *scratch; /* owned; see gemm.c */
} at_compute;

at_status at_compute_open(at_compute *cp, at_ctx *c);
/** The same with this blocking in place of the one for the machine's caches. */
at_status at_compute_open_with(at_compute *cp, at_ctx *c, const at_blocking *block);
void at_compute_close(at_compute *cp);

/** Working memory for one at_par_for: worker w has `values` values from
    base + w * at_scratch_stride(values) on, 64-byte aligned, contents undefined.  Valid until the
    next call; products in between do not use it.  NULL: AT_OOM. */
at_real *at_scratch(at_compute *cp, int64_t values);
int64_t at_scratch_stride(int64_t values);

/** Rows that belong together, for instance the new tokens of each of several sequences.  Few rows are
    multiplied in another way than many, which gives other last bits; in parts, the rows of each get
    the bits that they get alone. */
typedef struct at_parts {
    const int64_t *rows; /* [n] of each part, one part after the other */
    int64_t n, all;      /* parts; rows of all together                */
} at_parts;

typedef struct at_gemm {
    bool ta, tb;     /* use the transpose of A, of B                       */
    int64_t m, n, k; /* C[m,n] = beta C + op(A)[m,k] op(B)[k,n] (+ bias[n]) */
    const at_real *a;
    int64_t lda; /* row stride as stored                               */
    const at_real *b;
    const uint16_t *b16; /* B in BF16 in place of b, which is then NULL: the bits of the product
                            are those of B widened                           */
    int64_t ldb;         /* in values                                          */
    at_real *c;
    int64_t ldc;
    bool accumulate;       /* beta: true 1, false 0 (C need not be initialised)  */
    const at_real *bias;   /* [n] added to every row, or NULL; not with accumulate */
    const at_parts *parts; /* of the rows of A, or NULL: they are one part; not with ta */
} at_gemm;

/** C = beta C + op(A) op(B) (+ bias) on all workers.  AT_OOM is the only failure. */
at_status at_gemm_run(at_compute *cp, const at_gemm *g);
/** The same on the calling worker alone, for use inside at_par_for; `worker` is its number. */
at_status at_gemm_serial(at_compute *cp, const at_gemm *g, int worker);

#endif
