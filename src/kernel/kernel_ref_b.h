/*
 * kernel_ref_b.h - the kernels that read B, in portable C.  kernel_ref.c includes it once for each
 * type of B and defines BT, OF_B(name), AS_REAL(value), TILE_B(t), ROW(p), ROW_N(p, n) as in
 * kernel_vec_b.h.
 */

#include "kernel/kernel_pack_b.h"

/* Some rows of B at a time are widened into a buffer, which is also what `packed` gets. */
static void OF_B(tile_rows)(int m, const at_rows_tile *t) {
    enum { DEEP = 32 };
    float s[MR][NR] = {{0}};
    const BT *b = TILE_B(t);
    for (int64_t l = 0; l < t->k; l += DEEP) {
        const int64_t deep = t->k - l < DEEP ? t->k - l : DEEP;
        float rows[DEEP * NR];
        for (int64_t u = 0; u < deep; u++) vstore(rows + u * NR, ROW(b + (l + u) * t->ldb));
        if (t->packed) memcpy(t->packed + l * NR, rows, (size_t)(deep * NR) * sizeof *rows);
        if (m == MR)
            chain_all(deep, t->a + l * t->wa, t->wa, rows, NR, s);
        else
            chain(m, deep, t->a + l * t->wa, t->wa, rows, NR, s);
    }
    for (int i = 0; i < m; i++) {
        float *y = t->c[i] + t->c0;
        for (int64_t j = 0; j < t->n; j++) y[j] = t->add ? y[j] + s[i][j] : s[i][j];
    }
}

static void OF_B(few_plain)(int m, const at_few_tile *t) {
    const BT *b = TILE_B(t);
    for (int i = 0; i < m; i++) {
        const float *a = t->a[i];
        float *y = t->c[i];
        for (int64_t j = 0; !t->add && j < t->n; j++) y[j] = 0;
        for (int64_t l = 0; l < t->k; l++) {
            const BT *row = b + l * t->ldb;
            const float f = a[l];
            for (int64_t j = 0; j < t->n; j++) y[j] = fmaf(f, AS_REAL(row[j]), y[j]);
        }
    }
}

static void OF_B(few_transposed)(int m, const at_few_tile *t) {
    for (int i = 0; i < m; i++)
        for (int64_t j = 0; j < t->n; j++) {
            const BT *b = TILE_B(t) + j * t->ldb;
            vf s = vzero();
            int64_t l = 0;
            for (; l + W <= t->k; l += W) s = vfma(vload(t->a[i] + l), ROW(b + l), s);
            if (l < t->k) s = vfma(vload_n(t->a[i] + l, t->k - l), ROW_N(b + l, t->k - l), s);
            float *y = &t->c[i][j];
            *y = t->add ? *y + vsum(s) : vsum(s);
        }
}

#undef BT
#undef OF_B
#undef AS_REAL
#undef TILE_B
#undef ROW
#undef ROW_N
