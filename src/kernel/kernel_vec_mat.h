/*
 * kernel_vec_mat.h - the matrix product in terms of the vectors of kernel_vec.h, which includes it.
 *
 * What reads B is in kernel_vec_b.h, compiled once for B in float and once for B in BF16.
 */

enum { NR = NV * W };

/* The sums stay in MR * NV registers for the whole of k. */
static void tile(int64_t k, const float *a, const float *b, float beta, float *c, int64_t ldc) {
    vf s[MR][NV];
#pragma GCC unroll 16
    for (int i = 0; i < MR; i++) {
        __builtin_prefetch(c + i * ldc, 1);
        __builtin_prefetch(c + i * ldc + NR - 1, 1);
#pragma GCC unroll 4
        for (int j = 0; j < NV; j++) s[i][j] = vzero();
    }
    for (int64_t l = 0; l < k; l++, a += MR, b += NR) {
        vf bv[NV];
#pragma GCC unroll 4
        for (int j = 0; j < NV; j++) bv[j] = vload(b + j * W);
#pragma GCC unroll 16
        for (int i = 0; i < MR; i++) {
            const vf av = vset1(a[i]);
#pragma GCC unroll 4
            for (int j = 0; j < NV; j++) s[i][j] = vfma(av, bv[j], s[i][j]);
        }
    }
#pragma GCC unroll 16
    for (int i = 0; i < MR; i++)
#pragma GCC unroll 4
        for (int j = 0; j < NV; j++) {
            float *y = c + i * ldc + j * W;
            vstore(y, beta != 0 ? vadd(vload(y), s[i][j]) : s[i][j]);
        }
}

/* Store the first `wide` lanes of a row of a panel; whole when the surplus falls on what is written
   next, which is so in a panel narrower than a vector except at its end. */
static inline void panel_store(float *to, const float *end, int wide, vf v) {
    if (wide == W || to + W <= end)
        vstore(to, v);
    else
        vstore_n(to, wide, v);
}

/* Ask for what lies so many bytes after p; it may lie outside of everything. */
static inline void ahead(const void *p, int64_t bytes) {
    __builtin_prefetch((const void *)((uintptr_t)p + (uintptr_t)bytes));
}

/* pack_copy (kernel_vec_b.h) of listed rows. */
static void pick_copy(int64_t k, int64_t n, int w, const float *x, int64_t ldx, const int64_t *row,
                      float *p) {
    enum { DEEP = 16 };
    for (int64_t l0 = 0; l0 < k; l0 += DEEP) {
        const int64_t l1 = l0 + DEEP < k ? l0 + DEEP : k;
        const int64_t next = l0 + 2 * DEEP <= k ? DEEP : 0; /* the list ends */
        for (int64_t j = 0; j < n; j += w) {
            float *to = p + j * k + l0 * w;
            const float *end = p + j * k + l1 * w;
            if (w == 2 * W && j + w <= n)
                for (int64_t l = l0; l < l1; l++, to += 2 * W) {
                    const float *from = x + row[l] * ldx + j;
                    ahead(x + row[l + next] * ldx + j, 0);
                    ahead(x + row[l + next] * ldx + j, W * (int64_t)sizeof *x);
                    vstore(to, vload(from));
                    vstore(to + W, vload(from + W));
                }
            else if (w < W && j + W <= n)
                for (int64_t l = l0; l < l1; l++, to += w) {
                    ahead(x + row[l + next] * ldx + j, 0);
                    panel_store(to, end, w, vload(x + row[l] * ldx + j));
                }
            else
                for (int64_t l = l0; l < l1; l++, to += w)
                    for (int i = 0; i < w; i += W) {
                        const float *from = x + row[l] * ldx + j + i;
                        const int64_t left = n - j - i, in = left < 0 ? 0 : left < W ? left : W;
                        vstore_n(to + i, w - i < W ? w - i : W, vload_n(from, in));
                    }
        }
    }
}

/* pack_turn of listed columns of the transpose. */
static void pick_turn(int64_t k, int64_t n, int w, const float *x, int64_t ldx, const int64_t *row,
                      float *p) {
    for (int64_t j = 0; j < n; j += w)
        for (int i = 0; i < w; i += W) {
            const int wide = w - i < W ? w - i : W;
            const int64_t have = n - j - i < W ? n - j - i : W;
            float *to = p + j * k + i;
            const float *from[W], *end = w < W ? p + (j + w) * k : to;
            for (int u = 0; u < W; u++) from[u] = u < have ? x + row[j + i + u] * ldx : x;
            for (int64_t l = 0; l < k; l += W) {
                const int64_t deep = k - l < W ? k - l : W;
                vf r[W];
                for (int u = 0; u < W; u++)
                    r[u] = u >= have   ? vzero()
                           : deep == W ? vload(from[u] + l)
                                       : vload_n(from[u] + l, deep);
                transpose(r);
                for (int u = 0; u < deep; u++, to += w) panel_store(to, end, wide, r[u]);
            }
        }
}

/* B is packed; is read where it lies; or there, and left packed. */
enum rows_from { ROWS_PACKED, ROWS_LYING, ROWS_KEPT };

#define BT         float
#define OF_B(name) name
#define BLOAD      vload
#define BLOAD_N    vload_n
#define TILE_B(t)  (t)->b
#include "kernel/kernel_vec_b.h"

#define BT         uint16_t
#define OF_B(name) name##16
#define BLOAD      vwiden
#define BLOAD_N    vwiden_n
#define TILE_B(t)  (t)->b16
#include "kernel/kernel_vec_b.h"

static void tile_rows_any(int m, const at_rows_tile *t) {
    if (t->b16)
        tile_rows16(m, t);
    else
        tile_rows(m, t);
}

static void widen(int64_t n, const uint16_t *x, float *y) {
    int64_t i = 0;
    for (; i + W <= n; i += W) vstore(y + i, vwiden(x + i));
    if (i < n) vstore_n(y + i, n - i, vwiden_n(x + i, n - i));
}

static void few_rows(int m, bool turn, const at_few_tile *t) {
    if (t->b16)
        (turn ? few_across16 : few_along16)(m, t);
    else
        (turn ? few_across : few_along)(m, t);
}
