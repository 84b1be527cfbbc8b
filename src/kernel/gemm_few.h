/*
 * gemm_few.h - matrix products where A has few rows: one row is a matrix-vector product (GEMV).
 *
 * They do so little work for each value of B that reading B is what takes time: B is read once,
 * without packing.  gemm.h and gemm_group.h choose this by themselves; at_few_serial is for callers
 * that are inside of at_par_for.
 */
#ifndef AT_GEMM_FEW_H
#define AT_GEMM_FEW_H
#include "kernel/gemm.h"

enum { AT_FEW_TRANSPOSED = 16 }; /* most rows where B is transposed; otherwise AT_FEW */

/** What the products of one call have in common: c[i][n] (+)= a[i][k] op(B)[k,n] for the rows i of
    A; k >= 1. */
typedef struct at_few_shape {
    bool tb;         /* B is stored [n,k], else [k,n]; rows ldb apart */
    bool accumulate; /* to C                                          */
    int64_t n, k, ldb;
} at_few_shape;

typedef struct at_few {
    int m; /* 1 .. AT_FEW or AT_FEW_TRANSPOSED */
    const at_real *a[AT_FEW_TRANSPOSED];
    at_real *c[AT_FEW_TRANSPOSED];
    const at_real *b;
    const uint16_t *b16; /* NULL, or B in BF16 in place of b */
} at_few;

/** Whether so many rows of A are few. */
static inline bool at_is_few(bool tb, int64_t rows) {
    return rows <= (tb ? (int64_t)AT_FEW_TRANSPOSED : (int64_t)AT_FEW);
}

/** On the calling worker alone: c[m,n] = a[m,k] op(B), or with `add` c += (row strides lda, ldb,
    ldc).  1 <= m <= AT_FEW.  B is [k,n], or [n,k] with `tb`. */
static inline void at_few_serial(const at_kernels *k, int m, bool tb, int64_t n, int64_t terms,
                                 const at_real *a, int64_t lda, const at_real *b, int64_t ldb,
                                 bool add, at_real *c, int64_t ldc) {
    const at_real *rows_a[AT_FEW];
    at_real *rows_c[AT_FEW];
    for (int i = 0; i < m; i++) {
        rows_a[i] = a + i * lda;
        rows_c[i] = c + i * ldc;
    }
    k->few_rows(m, tb,
                &(at_few_tile){
                    .n = n, .k = terms, .b = b, .ldb = ldb, .add = add, .a = rows_a, .c = rows_c});
}

/** Size of the buffer that at_few_run needs for partial sums, in values. */
int64_t at_few_scratch(const at_few_shape *s, int64_t count, int threads);

/** `count` products of this shape on up to `threads` workers. */
void at_few_run(const at_kernels *k, const at_few_shape *s, const at_few *f, int64_t count,
                int threads, at_real *partial);

#endif
