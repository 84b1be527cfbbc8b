/*
 * kernel.h - the CPU's inner loops: raw pointers and sizes, no tensors, one table.
 *
 * The table is filled with the kernels of the best instruction set that the machine has.  All
 * instruction sets (kernel_vec.h is one source for all) and all compilers give the same bits:
 *
 *   - a sum over k in a matrix product is a chain: one fused multiply-add after the other in the
 *     order of k, begun at zero (or at C, where that is said); blocks of k, cut from the shape alone,
 *     are added to C;
 *   - a sum over the values of a row has 16 lanes (value i in lane i % 16, some kernels with several
 *     accumulators a lane), which are added up 16 -> 8 -> 4 -> 2 -> 1, each half to the other;
 *   - exp and erf are polynomials of our own; a b + c is fused where it is written as one, and
 *     nowhere else.  Logarithms are those of base/maths.h, in double.
 *
 * The name of this arithmetic is AT_ARITHMETIC; a change of any bit changes the name.  The double
 * build (gradient checks) has the plain loops of kernel_plain.c, which define what is computed.
 * Unless said otherwise pointers need no alignment and do not overlap.
 */
#ifndef AT_KERNEL_H
#define AT_KERNEL_H
#include "base/ctx.h"
#include "base/real.h"
#include <stdbool.h>

typedef struct at_adamw {
    at_real lr, b1, b2, eps, wd, clip, c1, c2;
} at_adamw;

/** A tile whose rows of C may lie anywhere:
    c[i][c0 + j] (+)= sum_{l<k} a[l*wa + i] b[l*ldb + j]. */
typedef struct at_rows_tile {
    int64_t n, k;     /* columns of C, n <= nr; terms of the sum                    */
    const at_real *a; /* packed in panels of wa columns                             */
    int64_t wa;
    const at_real *b;    /* packed, then ldb = nr; or unpacked; nr columns are read      */
    const uint16_t *b16; /* NULL, or b in BF16 and unpacked, in place of b              */
    int64_t ldb;
    /* After each term of the sum one cache line (two where b is not packed) is prefetched from
       `prefetch`, which then moves on by prefetch_step bytes; any address will do. */
    const void *prefetch;
    int64_t prefetch_step;
    at_real *packed; /* where to leave b packed, nr k values; NULL: nowhere */
    bool add;        /* false: C is overwritten */
    at_real *const *c;
    int64_t c0;
} at_rows_tile;

/** Few rows of A times an unpacked b: c[i] (+)= a[i] b, where the rows of A and C may lie anywhere;
    see gemm_few.h. */
typedef struct at_few_tile {
    int64_t n, k;
    const at_real *const *a;
    const at_real *b;
    const uint16_t *b16; /* NULL, or b in BF16, in place of b */
    int64_t ldb;
    bool add; /* false: C is overwritten */
    at_real *const *c;
} at_few_tile;

/** What `tile` does with C. */
typedef enum at_tile_mode {
    AT_TILE_SET,     /* C = the sums, which begin at zero; C is not read          */
    AT_TILE_ADD,     /* C = C + the sums, which begin at zero                     */
    AT_TILE_CONTINUE /* C = the sums, which begin at C: a chain that goes on over several calls */
} at_tile_mode;

typedef struct at_kernels {
    const char *name; /* "ref", "avx2", "avx512" */

    /* ---- vectors of n values ---- */
    /** y += x */
    void (*acc)(int64_t n, const at_real *x, at_real *y);
    /** y += a x */
    void (*axpy)(int64_t n, at_real a, const at_real *x, at_real *y);
    /** z = x + y; z may be x or y. */
    void (*add)(int64_t n, const at_real *x, const at_real *y, at_real *z);
    /** x *= a */
    void (*scale)(int64_t n, at_real a, at_real *x);
    /** sum x y */
    at_real (*dot)(int64_t n, const at_real *x, const at_real *y);
    /** sum x^2, in double. */
    double (*sumsq)(int64_t n, const at_real *x);
    /** Largest value, n >= 1. */
    at_real (*max)(int64_t n, const at_real *x);
    /** y = exp(a (x - shift)), returns sum y.  y may be x. */
    at_real (*expsum)(int64_t n, at_real a, at_real shift, const at_real *x, at_real *y);

    /** y = log x in double, the bits of at_ln.  y may be x. */
    void (*ln)(int64_t n, const double *x, double *y);

    /* ---- activations ---- */
    /** y = gelu(x), tanh form: x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))). */
    void (*gelu)(int64_t n, const at_real *x, at_real *y);
    /** dx += dy gelu'(x). */
    void (*gelu_grad)(int64_t n, const at_real *x, const at_real *dy, at_real *dx);
    /** The same in the erf form: x/2 (1 + erf(x / sqrt 2)). */
    void (*gelu_erf)(int64_t n, const at_real *x, at_real *y);
    void (*gelu_erf_grad)(int64_t n, const at_real *x, const at_real *dy, at_real *dx);
    /** y = silu(h) g, silu(h) = h / (1 + exp(-h)). */
    void (*swiglu)(int64_t n, const at_real *h, const at_real *g, at_real *y);
    /** dh += dy g silu'(h), dg += dy silu(h);  silu' = s (1 + h (1 - s)), s = 1 / (1 + exp(-h)). */
    void (*swiglu_grad)(int64_t n, const at_real *h, const at_real *g, const at_real *dy,
                        at_real *dh, at_real *dg);

    /* ---- rows ---- */
    /** y = g (x - mean) rstd + b over c values; writes mean and rstd = 1/sqrt(var + eps).
        b may be NULL (zero). */
    void (*layernorm)(int64_t c, at_real eps, const at_real *x, const at_real *g, const at_real *b,
                      at_real *y, at_real *mean, at_real *rstd);
    /** dx += the gradient of layernorm; dg += dy xhat, db += dy; dx, dg, db may be NULL. */
    void (*layernorm_grad)(int64_t c, const at_real *x, const at_real *g, at_real mean,
                           at_real rstd, const at_real *dy, at_real *dx, at_real *dg, at_real *db);

    /* ---- attention: blocks [n,w] with w = nr, see op/attention.c ---- */
    /** Softmax of each column, unnormalised: x = exp(a (x - top)), with top[w] the largest value
        and sum[w] the sum of the column; n >= 1, a > 0.  Entries of -infinity become 0. */
    void (*softmax_columns)(int64_t n, int w, at_real a, at_real *x, at_real *top, at_real *sum);
    /** Its gradient, in place, for each row i: p = exp(a p - lse[i]), then d = a p (d - shift[i]);
        on entry p holds scores and d the gradient of the probabilities. */
    void (*softmax_columns_grad)(int64_t n, int w, at_real a, const at_real *lse,
                                 const at_real *shift, at_real *p, at_real *d);

    /* ---- stick-breaking: the same blocks, one row a key, see op/stickbreak.c ---- */
    /** From the last row to the first, x the scores, left[w] what is left of each column's stick:
        beta = 1 / (1 + exp(-a x));  x = beta left;  left *= 1 - beta, 0 below AT_STICK_LEAST.
        share (NULL: not wanted) is a block like x: beta, or beta - 1 with its sign bit set,
        whichever is nearer to 0, so that both beta and 1 - beta keep their digits.
        A score of -infinity takes nothing.  Returns whether any column has something left. */
    bool (*stick_columns)(int64_t n, int w, at_real a, at_real *x, at_real *share, at_real *left);
    /** From the first row to the last, d the gradient of p, sum[w] that of the rows before:
        d' = a ((1 - beta) p d - beta sum);  sum += p d. */
    void (*stick_columns_grad)(int64_t n, int w, at_real a, const at_real *p, const at_real *share,
                               at_real *sum, at_real *d);
    /** beta = 1 / (1 + exp(-a x)), rest = 1 - beta, each to full precision; beta may be x. */
    void (*logistic)(int64_t n, at_real a, const at_real *x, at_real *beta, at_real *rest);

    /* ---- optimiser ---- */
    /** AdamW (Loshchilov & Hutter 2019): m = b1 m + (1-b1) s g; v = b2 v + (1-b2) (s g)^2;
        p -= lr (m c1 / (sqrt(v c2) + eps) + wd p), with s the clip factor and c1 = 1/(1-b1^t),
        c2 = 1/(1-b2^t).  Moments below the smallest normal number become 0: without a gradient they
        would end as subnormal numbers that b1 and b2 cannot make smaller, and slow every step. */
    void (*adamw)(int64_t n, at_real *p, const at_real *g, at_real *m, at_real *v,
                  const at_adamw *h);

    /* ---- matrix product: microkernel and packing, see gemm.h ---- */
    int mr, nr; /* rows of A and columns of B in a tile */
    /** c[mr,nr] (row stride ldc) (+)= sum_{l<k} a[l*mr+i] b[l*nr+j]; a and b are packed. */
    void (*tile)(int64_t k, const at_real *a, const at_real *b, at_tile_mode mode, at_real *c,
                 int64_t ldc);
    /** Pack n columns of k rows into panels of w columns, one after the other, the last filled
        with zeros: column i of panel q, row l, goes to p[(q*k + l)*w + i] from x[l*ldx + q*w+i].
        p has k * w * ceil(n / w) values. */
    void (*pack)(int64_t k, int64_t n, int w, const at_real *x, int64_t ldx, at_real *p);
    /** The same from the transpose: x[(q*w+i)*ldx + l]. */
    void (*pack_transposed)(int64_t k, int64_t n, int w, const at_real *x, int64_t ldx, at_real *p);
    /** `pack` with rows row[0], row[1], ... of x in place of rows 0, 1, ... */
    void (*pack_gathered)(int64_t k, int64_t n, int w, const at_real *x, int64_t ldx,
                          const int64_t *row, at_real *p);
    /** `pack_transposed` with rows row[0], row[1], ... of x: from x[row[q*w+i]*ldx + l]. */
    void (*pack_gathered_transposed)(int64_t k, int64_t n, int w, const at_real *x, int64_t ldx,
                                     const int64_t *row, at_real *p);
    /** A tile of m rows, 1 <= m <= mr.  Every sum has the bits that `tile` gives it. */
    void (*tile_rows)(int m, const at_rows_tile *t);
    /** 1 <= m <= AT_FEW rows of A times an unpacked B[k,n], or [n,k] with `tb`; see at_few_tile. */
    void (*few_rows)(int m, bool tb, const at_few_tile *t);

    /* ---- B in BF16: values are widened as they are read; sums are as above ---- */
    /** y = x as at_real. */
    void (*widen)(int64_t n, const uint16_t *x, at_real *y);
    void (*pack16)(int64_t k, int64_t n, int w, const uint16_t *x, int64_t ldx, at_real *p);
    void (*pack_transposed16)(int64_t k, int64_t n, int w, const uint16_t *x, int64_t ldx,
                              at_real *p);

    /* ---- measuring, see peak.h ---- */
    /** Multiply-adds in registers, `rounds` times a fixed number; returns the number of
        floating-point operations (a multiply-add is two).  *sink: a result, so that the compiler
        cannot leave them out. */
    double (*burn)(int64_t rounds, at_real *sink);
} at_kernels;

enum {
    AT_FEW = 4,        /* most rows of A in few_rows                  */
    AT_TILE_MAX = 1024 /* mr * nr is no more, with any instruction set */
};

/** A stick shorter than this (2^-64; 2^-128 in double) counts as used up.  All older keys together
    would weigh less than the rounding error of the weights before them, and their products would be
    subnormal numbers, on which many processors spend a hundred cycles and more for an instruction. */
#define AT_STICK_LEAST \
    ((at_real)(sizeof(at_real) == 8 ? 2.93873587705571877e-39 : 5.42101086242752217e-20))

/** Kernels of the best instruction set in `features` (AT_CPU_*) that this build has, or else the
    reference. */
void at_kernels_fill(at_kernels *k, unsigned features);
void at_kernels_ref(at_kernels *k);     /* portable C */
void at_kernels_ref_fma(at_kernels *k); /* the same source for processors with FMA    */
void at_kernels_avx2(at_kernels *k);
void at_kernels_avx512(at_kernels *k);
void at_kernels_plain(at_kernels *k); /* the definition, see kernel_plain.c */

#endif
