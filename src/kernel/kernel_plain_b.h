/*
 * kernel_plain_b.h - the kernels that read B, in plain loops.  kernel_plain.c includes it once for
 * each type of B and defines BT, OF_B(name), AS_REAL(value) and TILE_B(t), as in kernel_vec_b.h.
 */

#include "kernel/kernel_pack_b.h"

static void OF_B(tile_rows)(int m, const at_rows_tile *t) {
    at_real s[MR][NR] = {{0}};
    const at_real *a = t->a;
    const BT *b = TILE_B(t);
    for (int64_t l = 0; l < t->k; l++, a += t->wa, b += t->ldb) {
        for (int i = 0; i < m; i++)
            for (int j = 0; j < NR; j++) s[i][j] += a[i] * AS_REAL(b[j]);
        for (int j = 0; t->packed && j < NR; j++) t->packed[l * NR + j] = AS_REAL(b[j]);
    }
    for (int i = 0; i < m; i++)
        for (int64_t j = 0; j < t->n; j++) {
            at_real *y = t->c[i] + t->c0 + j;
            *y = t->add ? *y + s[i][j] : s[i][j];
        }
}

static void OF_B(few_plain)(int m, const at_few_tile *t) {
    const BT *b = TILE_B(t);
    for (int i = 0; i < m; i++) {
        const at_real *a = t->a[i];
        at_real *y = t->c[i];
        for (int64_t j = 0; !t->add && j < t->n; j++) y[j] = 0;
        for (int64_t l = 0; l < t->k; l++)
            for (int64_t j = 0; j < t->n; j++) y[j] += a[l] * AS_REAL(b[l * t->ldb + j]);
    }
}

static void OF_B(few_transposed)(int m, const at_few_tile *t) {
    const BT *b = TILE_B(t);
    for (int i = 0; i < m; i++) {
        const at_real *a = t->a[i];
        at_real *y = t->c[i];
        for (int64_t j = 0; j < t->n; j++) {
            double s = 0;
            for (int64_t l = 0; l < t->k; l++)
                s += (double)a[l] * (double)AS_REAL(b[j * t->ldb + l]);
            y[j] = t->add ? y[j] + (at_real)s : (at_real)s;
        }
    }
}

#undef BT
#undef OF_B
#undef AS_REAL
#undef TILE_B
