/*
 * attention_cached.c - attention of new tokens on cached keys and values, for generation.
 *
 * Few queries against keys where they lie: nothing is packed.  Heads are independent, workers
 * share them when there is enough to do.
 */
#include "op/op.h"
#include <math.h>
#include <string.h>

typedef struct {
    const at_run *r;
    const at_real *q;   /* [T, 3C] */
    const at_kv *kv;    /* the new rows already in */
    at_real *y;         /* [T, C] */
    int64_t T, C, D, n; /* n: rows of the cache before */
    at_real *scratch;
    int64_t stride;
} cached;

static void heads_part(void *arg, int64_t begin, int64_t end, int worker) {
    const cached *a = arg;
    const at_kernels *k = &a->r->cp->k;
    const at_real scale = (at_real)(1 / sqrt((double)a->D));
    at_real *p = a->scratch + worker * a->stride;
    const int64_t ld = a->n + a->T; /* of p */
    for (int64_t h = begin * a->D; h < end * a->D; h += a->D)
        for (int64_t t = 0; t < a->T; t += AT_FEW) {
            const int m = a->T - t < AT_FEW ? (int)(a->T - t) : AT_FEW;
            const int64_t seen = a->n + t + m; /* by the last of the m queries */
            k->few_turn(m, seen, a->D, a->q + t * 3 * a->C + h, 3 * a->C, a->kv->k + h, a->C, 0, p,
                        ld);
            for (int i = 0; i < m; i++) {
                at_real *row = p + i * ld;
                const int64_t mine = a->n + t + i + 1;
                const at_real top = k->max(mine, row);
                k->scale(mine, 1 / k->expsum(mine, scale, top, row, row), row);
                for (int64_t j = mine; j < seen; j++) row[j] = 0;
            }
            k->few(m, a->D, seen, p, ld, a->kv->v + h, a->C, 0, a->y + t * a->C + h, a->C);
        }
}

at_tensor *at_attention_cached(at_run *r, at_tensor *qkv, at_kv *kv, int heads) {
    if (!qkv) return NULL;
    const int64_t T = at_rows(qkv), C = at_cols(qkv) / 3;
    if (at_cols(qkv) != 3 * C || heads < 1 || C % heads != 0) {
        char s[96];
        return at_fail(r, AT_SHAPE, "attention: qkv %s for %d heads", at_shape_text(qkv, s), heads);
    }
    if (T > kv->cap - kv->n)
        return at_fail(r, AT_ARG, "attention: %lld tokens after %lld cached ones exceed %lld",
                       (long long)T, (long long)kv->n, (long long)kv->cap);
    at_tensor *y = at_new2(r, T, C);
    if (!y) return NULL;
    cached a = {.r = r, .q = qkv->data, .kv = kv, .y = y->data, .T = T, .C = C, .D = C / heads};
    a.n = kv->n;
    const int64_t values = AT_FEW * (a.n + T);
    a.scratch = at_scratch(r->cp, values);
    a.stride = at_scratch_stride(values);
    if (!a.scratch) return at_fail(r, AT_OOM, "attention: %s", r->ctx->message);
    for (int64_t t = 0; t < T; t++, kv->n++) {
        const at_real *from = qkv->data + t * 3 * C + C;
        memcpy(kv->k + kv->n * C, from, (size_t)C * sizeof *from);
        memcpy(kv->v + kv->n * C, from + C, (size_t)C * sizeof *from);
    }
    enum { WORTH = 1 << 18 }; /* multiply-adds that pay for waking the workers */
    if (T * kv->n * C < WORTH)
        heads_part(&a, 0, heads, 0);
    else
        at_run_par(r, heads, 1, heads_part, &a);
    return y;
}
