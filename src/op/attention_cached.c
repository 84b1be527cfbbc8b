/*
 * attention_cached.c - attention of new tokens to cached keys and values, for generation.
 *
 * A few queries read the keys unpacked; spans and heads are divided among the workers if there is
 * enough to do.  Many queries of a span in a tensor of their own are computed in tiles, like a whole
 * sequence.
 */
#include "kernel/gemm_few.h"
#include "op/op.h"
#include "op/slots.h"
#include "op/spans.h"
#include "op/tiled.h"
#include <math.h>

enum {
    MANY = 16,             /* from so many queries on packing is faster     */
    PARALLEL_MIN = 1 << 18 /* fewer multiply-adds are done by one worker    */
};

typedef struct {
    at_run *r;
    const at_stretch *s; /* spans, the new rows already in their caches */
    int64_t n;
    const at_real *q;         /* [T slots, ldq] */
    at_real *y;               /* [T slots, A]   */
    int64_t slots;            /* queries of a token */
    int64_t ldq, A, D, heads; /* of a row of q; widths of all heads and of one */
    at_real *scratch;
    int64_t stride;
} cached;

static bool is_many(const cached *a, const at_stretch *s) {
    return a->ldq == a->A && s->n * a->slots >= MANY;
}

/* One head of a span. */
static void head(const cached *a, const at_stretch *s, int64_t h, at_real *p) {
    const at_kernels *k = &a->r->cp->k;
    const at_real scale = (at_real)(1 / sqrt((double)a->D)), *q = a->q + s->row * a->slots * a->ldq;
    at_real *y = a->y + s->row * a->slots * a->A;
    const int64_t ld = s->all, U = s->n * a->slots; /* of p; queries */
    for (int64_t u = 0; u < U; u += AT_FEW) {
        const int m = (int)at_min(AT_FEW, U - u);
        const int64_t seen = s->past + (u + m - 1) / a->slots + 1; /* by the last of the m */
        at_few_serial(k, m, true, seen, a->D, q + u * a->ldq + h, a->ldq, s->kv.k + h, a->A, false,
                      p, ld);
        for (int i = 0; i < m; i++) {
            at_real *row = p + i * ld;
            const int64_t mine = s->past + (u + i) / a->slots + 1;
            const at_real top = k->max(mine, row);
            k->scale(mine, 1 / k->expsum(mine, scale, top, row, row), row);
            for (int64_t j = mine; j < seen; j++) row[j] = 0;
        }
        at_few_serial(k, m, false, a->D, seen, p, ld, s->kv.v + h, a->A, false, y + u * a->A + h,
                      a->A);
    }
}

static void heads_part(void *arg, int64_t begin, int64_t end, int worker) {
    const cached *a = arg;
    for (int64_t i = begin; i < end; i++) {
        const at_stretch *s = &a->s[i / a->heads];
        if (!is_many(a, s)) head(a, s, i % a->heads * a->D, a->scratch + worker * a->stride);
    }
}

/* All spans of few queries. */
static void few(cached *a) {
    int64_t longest = 0, work = 0;
    for (int64_t i = 0; i < a->n; i++) {
        if (is_many(a, &a->s[i])) continue;
        if (a->s[i].all > longest) longest = a->s[i].all;
        work += a->s[i].n * a->slots * a->s[i].all * a->A;
    }
    if (!longest) return;
    a->scratch = at_scratch(a->r->cp, AT_FEW * longest);
    a->stride = at_scratch_stride(AT_FEW * longest);
    if (!a->scratch)
        at_fail(a->r, AT_OOM, "attention: %s", a->r->ctx->message);
    else if (work < PARALLEL_MIN)
        heads_part(a, 0, a->n * a->heads, 0);
    else
        at_run_par(a->r, a->n * a->heads, 1, heads_part, a);
}

at_tensor *at_attention_cached(at_run *r, at_tensor *qkv, const at_spans *s, int64_t layer,
                               int heads) {
    if (!qkv) return NULL;
    const int64_t T = at_rows(qkv), C = at_cols(qkv) / 3;
    if (at_cols(qkv) != 3 * C || heads < 1 || C % heads != 0) {
        char text[96];
        return at_fail(r, AT_SHAPE, "attention: qkv %s for %d heads", at_shape_text(qkv, text),
                       heads);
    }
    const at_stretch *all = at_stretches(r, "attention", s, layer, T);
    at_tensor *y = all ? at_new2(r, T, C) : NULL;
    if (!y) return NULL;
    cached a = {.r = r, .s = all, .n = s->n, .q = qkv->data, .y = y->data, .slots = 1};
    a.ldq = 3 * C;
    a.A = C;
    a.D = C / heads;
    a.heads = heads;
    for (int64_t i = 0; i < s->n; i++)
        at_stretch_keep(&all[i], C, qkv->data + C, qkv->data + 2 * C, 3 * C);
    few(&a);
    return r->status == AT_OK ? y : NULL;
}

at_tensor *at_attention_slots_cached(at_run *r, at_tensor *q, at_tensor *k, at_tensor *v,
                                     const at_spans *s, int64_t layer, int64_t slots, int heads) {
    if (!q || !k || !v) return NULL;
    const int64_t T = at_rows(k), A = at_cols(k);
    if (!at_slots_fit(r, "attention", q, k, v, 1, T, slots, heads)) return NULL;
    const at_stretch *all = at_stretches(r, "attention", s, layer, T);
    at_tensor *y = all ? at_new(r, 3, (int64_t[]){T, slots, A}) : NULL;
    if (!y) return NULL;
    cached a = {.r = r, .s = all, .n = s->n, .q = q->data, .y = y->data, .slots = slots};
    a.ldq = a.A = A;
    a.D = A / heads;
    a.heads = heads;
    for (int64_t i = 0; i < s->n; i++) at_stretch_keep(&all[i], A, k->data, v->data, A);
    few(&a);
    for (int64_t i = 0; i < s->n; i++)
        if (is_many(&a, &all[i]))
            at_stretch_tiled(r, &all[i], slots, heads, at_attention_slots, q, y);
    return r->status == AT_OK ? y : NULL;
}
