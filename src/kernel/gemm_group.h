/*
 * gemm_group.h - grouped products: many matrices at once, each times the rows listed for it (the
 * experts of a mixture, each with its tokens).
 *
 * Rows are gathered while they are packed and scattered while they are written; a matrix without
 * rows costs nothing.  As in gemm.h, the number of workers changes no bit.
 */
#ifndef AT_GEMM_GROUP_H
#define AT_GEMM_GROUP_H
#include "kernel/gemm.h"

/** Which rows belong to which matrix: matrix x of e has row[first[x]] ... row[first[x+1] - 1]. */
typedef struct at_groups {
    int64_t e;
    const int64_t *first; /* [e + 1], ascending                                   */
    const int64_t *row;   /* no row is listed twice                               */
    int64_t share;        /* listed row r is row r / share of A; at least 1       */
} at_groups;

typedef struct at_gemm_group {
    at_groups of;
    bool tb;      /* use the transpose of each B                                       */
    int64_t n, k; /* C[r, n] = beta C + A[r / share, k] op(B[x])[k, n], r listed for x */
    const at_real *a;
    int64_t lda;
    const at_real *const
        *b; /* [e], each of row stride ldb, NULL where b16 has it or no row is listed */
    const uint16_t *const
        *b16; /* [e] in BF16, see gemm.h, NULL where b has it; NULL: b has them all */
    int64_t ldb;
    at_real *c; /* rows that are not listed stay as they are */
    int64_t ldc;
    bool accumulate; /* beta: true 1, false 0 */
} at_gemm_group;

/** k >= 1.  AT_OOM is the only failure. */
at_status at_gemm_group_run(at_compute *cp, const at_gemm_group *g);

typedef struct at_gemm_outer {
    at_groups of;
    int64_t m, n; /* C[x][m, n] += the sum over r listed for x of A[r / share, m]^T B[r, n] */
    const at_real *a;
    int64_t lda;
    const at_real *b;
    int64_t ldb;
    at_real *const *c; /* [e], each of row stride ldc; NULL: not wanted */
    int64_t ldc;
} at_gemm_outer;

/** Rows are summed in the order listed.  AT_OOM is the only failure. */
at_status at_gemm_outer_run(at_compute *cp, const at_gemm_outer *g);

#endif
