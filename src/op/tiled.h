/*
 * tiled.h - shared by ops that use the matrix microkernel: dividing a worker's memory into buffers,
 * masking scores, tiles at the edge, writing a block transposed.
 */
#ifndef AT_TILED_H
#define AT_TILED_H
#include "base/ints.h"
#include "kernel/gemm.h"
#include <math.h>
#include <string.h>

/** Sets n scores to -infinity: keys that a query does not see, or queries that do not see a key. */
static inline void at_mask_scores(at_real *score, int64_t n) {
    for (int64_t i = 0; i < n; i++) score[i] = (at_real)-INFINITY;
}

/** Divides a worker's memory into aligned buffers; with base NULL it only counts their size. */
typedef struct at_carver {
    at_real *base;
    int64_t used;
} at_carver;
static inline at_real *at_carve(at_carver *c, int64_t values) {
    at_real *p = c->base ? c->base + c->used : NULL;
    c->used += at_scratch_stride(values);
    return p;
}

/** A tile of which only [rows, cols] is stored, rows <= mr, cols <= nr: c = x y, or with `go_on`
    the chains continue from c.  edge: a buffer of mr * nr values. */
static inline void at_tile_at(const at_kernels *k, int64_t terms, const at_real *x,
                              const at_real *y, bool go_on, int64_t rows, int64_t cols,
                              at_real *edge, at_real *c, int64_t ldc) {
    const at_tile_mode mode = go_on ? AT_TILE_CONTINUE : AT_TILE_SET;
    if (rows == k->mr && cols == k->nr) {
        k->tile(terms, x, y, mode, c, ldc);
        return;
    }
    const size_t bytes = (size_t)cols * sizeof *c;
    if (go_on) { /* the rest of the tile is computed as well, so it must not be NaN */
        memset(edge, 0, (size_t)(k->mr * k->nr) * sizeof *edge);
        for (int64_t i = 0; i < rows; i++) memcpy(edge + i * k->nr, c + i * ldc, bytes);
    }
    k->tile(terms, x, y, mode, edge, k->nr);
    for (int64_t i = 0; i < rows; i++) memcpy(c + i * ldc, edge + i * k->nr, bytes);
}

/** y[j, :] (+)= x[:, j] / divisor[j] for the first n columns of x [D, nr]; divisor may be NULL;
    tmp holds nr * D values. */
static inline void at_write_transposed(const at_kernels *k, int64_t n, int64_t D, const at_real *x,
                                       const at_real *divisor, at_real *tmp, at_real *y,
                                       int64_t ldy, bool plus) {
    k->pack_transposed(n, D, (int)D, x, k->nr, tmp);
    for (int64_t j = 0; j < n; j++) {
        at_real *from = tmp + j * D, *to = y + j * ldy;
        if (divisor) k->scale(D, 1 / divisor[j], from);
        if (plus)
            k->acc(D, from, to);
        else
            memcpy(to, from, (size_t)D * sizeof *to);
    }
}

#endif
