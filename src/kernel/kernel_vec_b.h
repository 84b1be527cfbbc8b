/*
 * kernel_vec_b.h - the kernels that read B.  kernel_vec_mat.h includes it once for each type of B
 * and defines
 *
 *   BT, OF_B(name)       the type of a value of B, the name of a function for it
 *   BLOAD(p)             WM values of B as a register of floats
 *   BLOAD_N(p, n)        the first n < WM of them, the rest zero
 *   ROW(p), ROW_N(p, n)  the same of W values, as a vf
 *   TILE_B(t)            B of an at_rows_tile
 *
 * Results for B in BF16 have the bits of those for the same B widened to float.
 */
#define PREFETCH(p, values) prefetch(p, (values) * (int64_t)sizeof(BT))

/* Some rows go to every panel before the next rows do, so that x is read along its rows. */
static void OF_B(pack)(int64_t k, int64_t n, int w, const BT *x, int64_t ldx, float *p) {
    enum { DEEP = 16 };
    for (int64_t l0 = 0; l0 < k; l0 += DEEP) {
        const int64_t l1 = l0 + DEEP < k ? l0 + DEEP : k;
        for (int64_t j = 0; j < n; j += w) {
            float *to = p + j * k + l0 * w;
            const BT *from = x + l0 * ldx + j;
            const float *end = p + j * k + l1 * w;
            if (w == 2 * WM && j + w <= n)
                for (int64_t l = l0; l < l1; l++, to += 2 * WM, from += ldx) {
                    PREFETCH(from, DEEP * ldx);
                    PREFETCH(from, DEEP * ldx + WM);
                    mstore(to, BLOAD(from));
                    mstore(to + WM, BLOAD(from + WM));
                }
            else if (w < WM && j + WM <= n)
                for (int64_t l = l0; l < l1; l++, to += w, from += ldx) {
                    PREFETCH(from, DEEP * ldx);
                    panel_store(to, end, w, BLOAD(from));
                }
            else
                for (int64_t l = l0; l < l1; l++, to += w, from += ldx)
                    for (int i = 0; i < w; i += WM) {
                        const int64_t left = n - j - i, in = left < 0 ? 0 : left < WM ? left : WM;
                        mstore_n(to + i, w - i < WM ? w - i : WM, BLOAD_N(from + i, in));
                    }
        }
    }
}

/* WM x WM values at a time are transposed in registers. */
static void OF_B(pack_transposed)(int64_t k, int64_t n, int w, const BT *x, int64_t ldx, float *p) {
    for (int64_t j = 0; j < n; j += w)
        for (int i = 0; i < w; i += WM) {
            const int wide = w - i < WM ? w - i : WM;
            const int64_t have = n - j - i;
            float *to = p + j * k + i;
            const BT *from = x + (j + i) * ldx;
            const float *end = w < WM ? p + (j + w) * k : to;
            for (int64_t l = 0; l < k; l += WM) {
                const int64_t deep = k - l < WM ? k - l : WM;
                mf r[WM];
                for (int u = 0; u < WM; u++) {
                    PREFETCH(from, (u + WM) * ldx + l);
                    r[u] = u >= have    ? mzero()
                           : deep == WM ? BLOAD(from + u * ldx + l)
                                        : BLOAD_N(from + u * ldx + l, deep);
                }
                transpose(r);
                for (int u = 0; u < deep; u++, to += w) panel_store(to, end, wide, r[u]);
            }
        }
}

/* m and `how` are constants where this is inlined. */
static inline __attribute__((always_inline)) void
OF_B(rows_m)(const int m, const enum rows_from how, const at_rows_tile *t) {
    mf s[16][NV];
    const float *a = t->a;
    const BT *b = TILE_B(t);
    float *packed = t->packed;
    uintptr_t ahead = (uintptr_t)t->prefetch;
    const uintptr_t step = (uintptr_t)t->prefetch_step;
    const int64_t wa = t->wa, ldb = how == ROWS_PACKED ? NR : t->ldb;
#pragma GCC unroll 16
    for (int i = 0; i < m; i++) {
        __builtin_prefetch(t->c[i] + t->c0, 1);
        __builtin_prefetch(t->c[i] + t->c0 + WM, 1);
    }
#pragma GCC unroll 16
    for (int i = 0; i < m; i++)
#pragma GCC unroll 4
        for (int j = 0; j < NV; j++) s[i][j] = mzero();
    for (int64_t l = t->k; l > 0; l--, a += wa, b += ldb) {
        mf bv[NV];
#pragma GCC unroll 4
        for (int j = 0; j < NV; j++) {
            bv[j] = BLOAD(b + j * WM);
            if (how == ROWS_PACKING) mstore(packed + j * WM, bv[j]);
        }
        if (how == ROWS_PACKING) packed += NR;
        __builtin_prefetch((const void *)ahead);
        if (how != ROWS_PACKED && NR * sizeof *b > 64)
            __builtin_prefetch((const void *)(ahead + 64));
        ahead += step;
#pragma GCC unroll 16
        for (int i = 0; i < m; i++) {
            const mf av = mset1(a[i]);
#pragma GCC unroll 4
            for (int j = 0; j < NV; j++) s[i][j] = mfma(av, bv[j], s[i][j]);
        }
    }
#pragma GCC unroll 16
    for (int i = 0; i < m; i++)
#pragma GCC unroll 4
        for (int j = 0; j < NV; j++) {
            float *y = t->c[i] + t->c0 + j * WM;
            const int64_t left = t->n - j * WM;
            if (left >= WM)
                mstore(y, t->add ? madd(mload(y), s[i][j]) : s[i][j]);
            else if (left > 0)
                mstore_n(y, left, t->add ? madd(mload_n(y, left), s[i][j]) : s[i][j]);
        }
}

static inline __attribute__((always_inline)) void OF_B(rows_of)(const int m,
                                                                const at_rows_tile *t) {
    if (m > MR) return;
    if (t->packed)
        OF_B(rows_m)(m, ROWS_PACKING, t);
    else if (t->ldb != NR)
        OF_B(rows_m)(m, ROWS_UNPACKED, t);
    else
        OF_B(rows_m)(m, ROWS_PACKED, t);
}

static void OF_B(tile_rows)(int m, const at_rows_tile *t) {
    switch (m) {
    case 1: OF_B(rows_of)(1, t); break;
    case 2: OF_B(rows_of)(2, t); break;
    case 3: OF_B(rows_of)(3, t); break;
    case 4: OF_B(rows_of)(4, t); break;
    case 5: OF_B(rows_of)(5, t); break;
    case 6: OF_B(rows_of)(6, t); break;
    case 7: OF_B(rows_of)(7, t); break;
    case 8: OF_B(rows_of)(8, t); break;
    case 9: OF_B(rows_of)(9, t); break;
    case 10: OF_B(rows_of)(10, t); break;
    case 11: OF_B(rows_of)(11, t); break;
    case 12: OF_B(rows_of)(12, t); break;
    case 13: OF_B(rows_of)(13, t); break;
    default: OF_B(rows_of)(14, t); break;
    }
}

/* One register of columns of c, for m rows: c += the sum over `deep` <= 8 terms (rows of b).
   `fresh`: c is overwritten. */
static inline __attribute__((always_inline)) void
OF_B(few_column)(int m, int deep, const float *const *a, int64_t l, const BT *b, int64_t ldb,
                 bool fresh, float *const *c, int64_t j, int64_t wide) {
    mf bv[8], s;
    for (int u = 0; u < deep; u++) {
        PREFETCH(b, (8 + u) * ldb);
        bv[u] = wide == WM ? BLOAD(b + u * ldb) : BLOAD_N(b + u * ldb, wide);
    }
    for (int i = 0; i < m; i++) {
        float *y = c[i] + j;
        s = fresh ? mzero() : wide == WM ? mload(y) : mload_n(y, wide);
        for (int u = 0; u < deep; u++) s = mfma(mset1(a[i][l + u]), bv[u], s);
        if (wide == WM)
            mstore(y, s);
        else
            mstore_n(y, wide, s);
    }
}

/* m is a constant where this is inlined. */
static inline __attribute__((always_inline)) void OF_B(few_m)(int m, const at_few_tile *t) {
    enum {
        COLUMNS = 1024
    }; /* of c at a time: they stay in the first-level cache, with rows of b */
    for (int64_t j0 = 0; j0 < t->n; j0 += COLUMNS) {
        const int64_t end = t->n - j0 < COLUMNS ? t->n : j0 + COLUMNS;
        for (int64_t l = 0; l < t->k; l += 8) {
            const bool fresh = l == 0 && !t->add;
            const BT *bl = TILE_B(t) + l * t->ldb;
            const int deep = t->k - l < 8 ? (int)(t->k - l) : 8;
            int64_t j = j0;
            if (deep == 8)
                for (; j + WM <= end; j += WM)
                    OF_B(few_column)(m, 8, t->a, l, bl + j, t->ldb, fresh, t->c, j, WM);
            for (; j < end; j += WM) {
                const int64_t wide = end - j < WM ? end - j : WM;
                OF_B(few_column)(m, deep, t->a, l, bl + j, t->ldb, fresh, t->c, j, wide);
            }
        }
    }
}

static void OF_B(few_plain)(int m, const at_few_tile *t) {
    switch (m) {
    case 1: OF_B(few_m)(1, t); break;
    case 2: OF_B(few_m)(2, t); break;
    case 3: OF_B(few_m)(3, t); break;
    default: OF_B(few_m)(4, t); break;
    }
}

/* m x q dot products of rows of a and rows of b, columns [at, at + q) of c.  Each is a sum in W
   lanes over k in order, so that its bits do not depend on m and q.  The next q rows are
   prefetched. */
static inline __attribute__((always_inline)) void OF_B(few_dots)(int m, int q, const at_few_tile *t,
                                                                 int64_t at) {
    const float *const *a = t->a;
    const int64_t k = t->k, ldb = t->ldb;
    const BT *b = TILE_B(t) + at * ldb;
    enum { LINE = 64 / (int)sizeof *b, STEP = LINE > W ? LINE : W };
    vf s[4][8], bv[8];
    for (int i = 0; i < m; i++)
        for (int j = 0; j < q; j++) s[i][j] = vzero();
    int64_t l = 0;
    for (; l + STEP <= k; l += STEP) {
        for (int j = 0; j < q; j++) PREFETCH(b, (q + j) * ldb + l);
#pragma GCC unroll 4
        for (int u = 0; u < STEP; u += W) {
            for (int j = 0; j < q; j++) bv[j] = ROW(b + j * ldb + l + u);
            for (int i = 0; i < m; i++) {
                const vf av = vload(a[i] + l + u);
                for (int j = 0; j < q; j++) s[i][j] = vfma(av, bv[j], s[i][j]);
            }
        }
    }
    for (; l < k; l += W) {
        const int64_t wide = k - l < W ? k - l : W;
        for (int j = 0; j < q; j++)
            bv[j] = wide == W ? ROW(b + j * ldb + l) : ROW_N(b + j * ldb + l, wide);
        for (int i = 0; i < m; i++) {
            const vf av = wide == W ? vload(a[i] + l) : vload_n(a[i] + l, wide);
            for (int j = 0; j < q; j++) s[i][j] = vfma(av, bv[j], s[i][j]);
        }
    }
    for (int i = 0; i < m; i++)
        for (int j = 0; j < q; j++) {
            float *y = t->c[i] + at + j;
            const float sum = vsum(s[i][j]);
            *y = t->add ? *y + sum : sum;
        }
}

static inline __attribute__((always_inline)) void OF_B(few_transposed_m)(int m, int q,
                                                                         const at_few_tile *t) {
    int64_t j = 0;
    for (; j + q <= t->n; j += q) OF_B(few_dots)(m, q, t, j);
    for (; j < t->n; j++) OF_B(few_dots)(m, 1, t, j);
}

static void OF_B(few_transposed)(int m, const at_few_tile *t) {
    switch (m) { /* m * q sums fit the registers */
    case 1: OF_B(few_transposed_m)(1, 4, t); break;
    case 2: OF_B(few_transposed_m)(2, WM == 16 ? 4 : 2, t); break;
    case 3: OF_B(few_transposed_m)(3, WM == 16 ? 4 : 1, t); break;
    default: OF_B(few_transposed_m)(4, WM == 16 ? 4 : 1, t); break;
    }
}

#undef PREFETCH
#undef BT
#undef OF_B
#undef BLOAD
#undef BLOAD_N
#undef ROW
#undef ROW_N
#undef TILE_B
