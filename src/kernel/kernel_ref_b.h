/*
 * kernel_ref_b.h - the reference of what reads B; kernel.c includes it once for each type B may lie
 * in and defines BT, OF_B(name), AS_REAL(value) and TILE_B(t), as in kernel_vec_b.h.
 */

static void OF_B(pack_copy)(int64_t k, int64_t n, int w, const BT *x, int64_t ldx, at_real *p) {
    for (int64_t j = 0; j < n; j += w)
        for (int64_t l = 0; l < k; l++)
            for (int i = 0; i < w; i++) *p++ = j + i < n ? AS_REAL(x[l * ldx + j + i]) : 0;
}

static void OF_B(pack_turn)(int64_t k, int64_t n, int w, const BT *x, int64_t ldx, at_real *p) {
    for (int64_t j = 0; j < n; j += w)
        for (int64_t l = 0; l < k; l++)
            for (int i = 0; i < w; i++) *p++ = j + i < n ? AS_REAL(x[(j + i) * ldx + l]) : 0;
}

static void OF_B(tile_rows)(int m, const at_rows_tile *t) {
    at_real s[MR][NR] = {{0}};
    const at_real *a = t->a;
    const BT *b = TILE_B(t);
    for (int64_t l = 0; l < t->k; l++, a += t->wa, b += t->ldb) {
        for (int i = 0; i < m; i++)
            for (int j = 0; j < NR; j++) s[i][j] += a[i] * AS_REAL(b[j]);
        for (int j = 0; t->keep && j < NR; j++) t->keep[l * NR + j] = AS_REAL(b[j]);
    }
    for (int i = 0; i < m; i++)
        for (int64_t j = 0; j < t->n; j++) {
            at_real *y = t->c[i] + t->c0 + j;
            *y = t->add ? *y + s[i][j] : s[i][j];
        }
}

static void OF_B(few)(int m, int64_t n, int64_t k, const at_real *a, int64_t lda, const BT *b,
                      int64_t ldb, at_real beta, at_real *c, int64_t ldc) {
    for (int i = 0; i < m; i++) {
        at_real *y = c + i * ldc;
        if (beta == 0)
            for (int64_t j = 0; j < n; j++) y[j] = 0;
        for (int64_t l = 0; l < k; l++)
            for (int64_t j = 0; j < n; j++) y[j] += a[i * lda + l] * AS_REAL(b[l * ldb + j]);
    }
}

static void OF_B(few_turn)(int m, int64_t n, int64_t k, const at_real *a, int64_t lda, const BT *b,
                           int64_t ldb, at_real beta, at_real *c, int64_t ldc) {
    for (int i = 0; i < m; i++)
        for (int64_t j = 0; j < n; j++) {
            at_real *y = c + i * ldc + j;
            double s = 0;
            for (int64_t l = 0; l < k; l++)
                s += (double)a[i * lda + l] * (double)AS_REAL(b[j * ldb + l]);
            *y = beta != 0 ? *y + (at_real)s : (at_real)s;
        }
}

#undef BT
#undef OF_B
#undef AS_REAL
#undef TILE_B
