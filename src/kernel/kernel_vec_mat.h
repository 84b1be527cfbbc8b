/*
 * kernel_vec_mat.h - matrix products in terms of a register `mf` of WM floats.  kernel_avx2.c and
 * kernel_avx512.c include it after kernel_vec.h and define
 *
 *   mzero mset1 mload mstore mload_n mstore_n mwiden mwiden_n madd mfma     as in kernel_vec.h
 *   transpose(r)                                of the WM x WM values in r[0..WM)
 *
 * A tile is MR rows by NV registers, NR = NV * WM columns.  The kernels that read B are in
 * kernel_vec_b.h, which is compiled once for B in float and once for B in BF16.
 */

/* The sums stay in MR * NV registers for the whole of k. */
static void tile(int64_t k, const float *a, const float *b, at_tile_mode mode, float *c,
                 int64_t ldc) {
    mf s[MR][NV];
#pragma GCC unroll 16
    for (int i = 0; i < MR; i++) {
        __builtin_prefetch(c + i * ldc, 1);
        __builtin_prefetch(c + i * ldc + NR - 1, 1);
#pragma GCC unroll 4
        for (int j = 0; j < NV; j++) s[i][j] = mzero();
    }
    if (mode == AT_TILE_CONTINUE)
#pragma GCC unroll 16
        for (int i = 0; i < MR; i++)
#pragma GCC unroll 4
            for (int j = 0; j < NV; j++) s[i][j] = mload(c + i * ldc + j * WM);
    for (int64_t l = 0; l < k; l++, a += MR, b += NR) {
        mf bv[NV];
#pragma GCC unroll 4
        for (int j = 0; j < NV; j++) bv[j] = mload(b + j * WM);
#pragma GCC unroll 16
        for (int i = 0; i < MR; i++) {
            const mf av = mset1(a[i]);
#pragma GCC unroll 4
            for (int j = 0; j < NV; j++) s[i][j] = mfma(av, bv[j], s[i][j]);
        }
    }
#pragma GCC unroll 16
    for (int i = 0; i < MR; i++)
#pragma GCC unroll 4
        for (int j = 0; j < NV; j++) {
            float *y = c + i * ldc + j * WM;
            mstore(y, mode == AT_TILE_ADD ? madd(mload(y), s[i][j]) : s[i][j]);
        }
}

/* Store the first `wide` lanes of v as a row of a panel that ends at `end`.  A whole register is
   stored where that only reaches rows of the panel that are written later. */
static inline void panel_store(float *to, const float *end, int wide, mf v) {
    if (wide == WM || to + WM <= end)
        mstore(to, v);
    else
        mstore_n(to, wide, v);
}

/* Prefetch the cache line so many bytes after p, which may be any address. */
static inline void prefetch(const void *p, int64_t bytes) {
    __builtin_prefetch((const void *)((uintptr_t)p + (uintptr_t)bytes));
}

/* `pack` of kernel_vec_b.h for listed rows; later rows of the list are prefetched. */
static void pack_gathered(int64_t k, int64_t n, int w, const float *x, int64_t ldx,
                          const int64_t *row, float *p) {
    enum { DEEP = 16 };
    for (int64_t l0 = 0; l0 < k; l0 += DEEP) {
        const int64_t l1 = l0 + DEEP < k ? l0 + DEEP : k;
        const int64_t next = l0 + 2 * DEEP <= k ? DEEP : 0; /* not past the end of the list */
        for (int64_t j = 0; j < n; j += w) {
            float *to = p + j * k + l0 * w;
            const float *end = p + j * k + l1 * w;
            if (w == 2 * WM && j + w <= n)
                for (int64_t l = l0; l < l1; l++, to += 2 * WM) {
                    const float *from = x + row[l] * ldx + j;
                    prefetch(x + row[l + next] * ldx + j, 0);
                    prefetch(x + row[l + next] * ldx + j, WM * (int64_t)sizeof *x);
                    mstore(to, mload(from));
                    mstore(to + WM, mload(from + WM));
                }
            else if (w < WM && j + WM <= n)
                for (int64_t l = l0; l < l1; l++, to += w) {
                    prefetch(x + row[l + next] * ldx + j, 0);
                    panel_store(to, end, w, mload(x + row[l] * ldx + j));
                }
            else
                for (int64_t l = l0; l < l1; l++, to += w)
                    for (int i = 0; i < w; i += WM) {
                        const float *from = x + row[l] * ldx + j + i;
                        const int64_t left = n - j - i, in = left < 0 ? 0 : left < WM ? left : WM;
                        mstore_n(to + i, w - i < WM ? w - i : WM, mload_n(from, in));
                    }
        }
    }
}

/* `pack_transposed` of kernel_vec_b.h for listed rows of x. */
static void pack_gathered_transposed(int64_t k, int64_t n, int w, const float *x, int64_t ldx,
                                     const int64_t *row, float *p) {
    for (int64_t j = 0; j < n; j += w)
        for (int i = 0; i < w; i += WM) {
            const int wide = w - i < WM ? w - i : WM;
            const int64_t have = n - j - i < WM ? n - j - i : WM;
            float *to = p + j * k + i;
            const float *from[WM], *end = w < WM ? p + (j + w) * k : to;
            for (int u = 0; u < WM; u++) from[u] = u < have ? x + row[j + i + u] * ldx : x;
            for (int64_t l = 0; l < k; l += WM) {
                const int64_t deep = k - l < WM ? k - l : WM;
                mf r[WM];
                for (int u = 0; u < WM; u++)
                    r[u] = u >= have    ? mzero()
                           : deep == WM ? mload(from[u] + l)
                                        : mload_n(from[u] + l, deep);
                transpose(r);
                for (int u = 0; u < deep; u++, to += w) panel_store(to, end, wide, r[u]);
            }
        }
}

/* How tile_rows reads B: packed; unpacked; or unpacked, and packs it for the tiles that follow. */
enum rows_from { ROWS_PACKED, ROWS_UNPACKED, ROWS_PACKING };

#define BT          float
#define OF_B(name)  name
#define BLOAD       mload
#define BLOAD_N     mload_n
#define ROW(p)      vload(p)
#define ROW_N(p, n) vload_n(p, n)
#define TILE_B(t)   (t)->b
#include "kernel/kernel_vec_b.h"

#define BT          uint16_t
#define OF_B(name)  name##16
#define BLOAD       mwiden
#define BLOAD_N     mwiden_n
#define ROW(p)      vwiden(p)
#define ROW_N(p, n) vwiden_n(p, n)
#define TILE_B(t)   (t)->b16
#include "kernel/kernel_vec_b.h"

#include "kernel/kernel_by_type.h"

/* ---- measuring ---- */

/* Twelve independent chains: more than the latency of a multiply-add times the units for it, with
   any processor of the last ten years. */
static double burn(int64_t rounds, float *sink) {
    enum { CHAINS = 12, TIMES = 8 };
    mf s[CHAINS];
    const mf a = mset1(0.5f), b = mset1(0.25f);
#pragma GCC unroll 12
    for (int i = 0; i < CHAINS; i++) s[i] = mset1((float)i);
    for (int64_t r = 0; r < rounds; r++)
#pragma GCC unroll 8
        for (int t = 0; t < TIMES; t++)
#pragma GCC unroll 12
            for (int i = 0; i < CHAINS; i++) s[i] = mfma(s[i], a, b);
    mf all = s[0];
    for (int i = 1; i < CHAINS; i++) all = madd(all, s[i]);
    float lane[WM];
    mstore(lane, all);
    *sink = lane[0];
    return 2.0 * WM * CHAINS * TIMES * (double)rounds;
}

static void fill_products(at_kernels *k) {
    k->mr = MR;
    k->nr = NR;
    k->tile = tile;
    k->pack = pack;
    k->pack_transposed = pack_transposed;
    k->pack_gathered = pack_gathered;
    k->pack_gathered_transposed = pack_gathered_transposed;
    k->tile_rows = tile_rows_any;
    k->few_rows = few_rows;
    k->pack16 = pack16;
    k->pack_transposed16 = pack_transposed16;
    k->burn = burn;
}
