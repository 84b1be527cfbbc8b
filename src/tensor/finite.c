/* finite.c - finds infinities and NaN.  They have all bits of the exponent set, so that adding one
   to the exponent carries into the sign bit. */
#include "tensor/store.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { BLOCK = 4096 }; /* values tested together; compilers vectorise a fixed count */

static int64_t first_bf16(const uint16_t *x, int64_t n) {
    int64_t i = 0;
    for (; i + BLOCK <= n; i += BLOCK) {
        unsigned carry = 0;
        for (int k = 0; k < BLOCK; k++) carry |= (x[i + k] & 0x7f80U) + 0x80U;
        if (carry & 0x8000U) break;
    }
    for (; i < n; i++)
        if ((x[i] & 0x7f80U) == 0x7f80U) return i;
    return -1;
}

int64_t at_first_not_finite(const at_real *x, int64_t n) {
    int64_t i = 0;
#ifndef AT_REAL_DOUBLE
    for (; i + BLOCK <= n; i += BLOCK) {
        uint32_t carry = 0, bits[BLOCK];
        memcpy(bits, x + i, sizeof bits);
        for (int k = 0; k < BLOCK; k++) carry |= (bits[k] & 0x7f800000U) + 0x800000U;
        if (carry & 0x80000000U) break;
    }
#endif
    for (; i < n; i++)
        if (!isfinite(x[i])) return i;
    return -1;
}

/* "[3,17]": where value i of a tensor stands. */
static void place(const at_tensor *t, int64_t i, char *text, size_t room) {
    int64_t at[AT_RANK_MAX];
    for (int d = t->rank - 1; d >= 0; d--) {
        at[d] = i % t->dim[d];
        i /= t->dim[d];
    }
    size_t n = 0;
    for (int d = 0; d < t->rank && n < room; d++)
        n += (size_t)snprintf(text + n, room - n, "%s%lld", d ? "," : "", (long long)at[d]);
}

at_status at_store_finite(at_ctx *c, const at_store *s, const char *where) {
    for (int64_t i = 0; i < s->n; i++) {
        const at_param_entry *e = s->p[i];
        if (e->absent) continue;
        const int64_t n = at_numel(&e->t);
        const int64_t bad =
            e->t.bf16 ? first_bf16(e->t.bf16, n) : at_first_not_finite(e->t.data, n);
        if (bad < 0) continue;
        char at[96] = "";
        place(&e->of->t, (i - e->of->at) * n + bad, at,
              sizeof at); /* as a reader of the file counts */
        const bool nan = e->t.bf16 ? (e->t.bf16[bad] & 0x7fU) != 0 : isnan(e->t.data[bad]);
        return at_error(c, AT_NUMERIC, "%s: tensor `%s`: the value at [%s] is %s", where,
                        e->of->path, at, nan ? "not a number (NaN)" : "infinite");
    }
    return AT_OK;
}
