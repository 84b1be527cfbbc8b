/*
 * kernel_pack_b.h - packing in plain loops.  kernel_plain_b.h and kernel_ref_b.h include it once
 * for each type of B (float, BF16), with BT, OF_B(name) and AS_REAL(value) defined.
 */

static void OF_B(pack)(int64_t k, int64_t n, int w, const BT *x, int64_t ldx, at_real *p) {
    for (int64_t j = 0; j < n; j += w)
        for (int64_t l = 0; l < k; l++)
            for (int i = 0; i < w; i++) *p++ = j + i < n ? AS_REAL(x[l * ldx + j + i]) : 0;
}

static void OF_B(pack_transposed)(int64_t k, int64_t n, int w, const BT *x, int64_t ldx,
                                  at_real *p) {
    for (int64_t j = 0; j < n; j += w)
        for (int64_t l = 0; l < k; l++)
            for (int i = 0; i < w; i++) *p++ = j + i < n ? AS_REAL(x[(j + i) * ldx + l]) : 0;
}
