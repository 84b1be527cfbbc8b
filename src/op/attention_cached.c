/*
 * attention_cached.c - attention of new tokens to cached keys and values, for generation.
 *
 * A few queries read the keys unpacked; heads are divided among the workers if there is enough to
 * do. Many queries in a tensor of their own are computed in tiles, like a whole sequence.
 */
#include "kernel/gemm_few.h"
#include "op/op.h"
#include "op/slots.h"
#include "op/tiled.h"
#include <math.h>

enum { MANY = 16 }; /* from so many queries on packing is faster */

typedef struct {
    const at_run *r;
    const at_real *q;  /* [U, ldq] */
    const at_kv *kv;   /* the new rows already in */
    at_real *y;        /* [U, A] */
    int64_t U, slots;  /* queries, queries of a token */
    int64_t ldq, A, D; /* of a row of q; widths of all heads and of one */
    int64_t past;      /* rows of the cache before */
    at_real *scratch;
    int64_t stride;
} cached;

static void heads_part(void *arg, int64_t begin, int64_t end, int worker) {
    const cached *a = arg;
    const at_kernels *k = &a->r->cp->k;
    const at_real scale = (at_real)(1 / sqrt((double)a->D));
    at_real *p = a->scratch + worker * a->stride;
    const int64_t ld = a->kv->n; /* of p */
    for (int64_t h = begin * a->D; h < end * a->D; h += a->D)
        for (int64_t u = 0; u < a->U; u += AT_FEW) {
            const int m = (int)at_min(AT_FEW, a->U - u);
            const int64_t seen = a->past + (u + m - 1) / a->slots + 1; /* by the last of the m */
            at_few_serial(k, m, true, seen, a->D, a->q + u * a->ldq + h, a->ldq, a->kv->k + h, a->A,
                          false, p, ld);
            for (int i = 0; i < m; i++) {
                at_real *row = p + i * ld;
                const int64_t mine = a->past + (u + i) / a->slots + 1;
                const at_real top = k->max(mine, row);
                k->scale(mine, 1 / k->expsum(mine, scale, top, row, row), row);
                for (int64_t j = mine; j < seen; j++) row[j] = 0;
            }
            at_few_serial(k, m, false, a->D, seen, p, ld, a->kv->v + h, a->A, false,
                          a->y + u * a->A + h, a->A);
        }
}

static void append(at_kv *kv, int64_t T, int64_t A, const at_real *k, const at_real *v,
                   int64_t ld) {
    for (int64_t t = 0; t < T; t++, kv->n++) {
        memcpy(kv->k + kv->n * A, k + t * ld, (size_t)A * sizeof *k);
        memcpy(kv->v + kv->n * A, v + t * ld, (size_t)A * sizeof *v);
    }
}

static bool room(at_run *r, const at_kv *kv, int64_t T) {
    if (T > kv->cap - kv->n)
        at_fail(r, AT_ARG, "attention: %lld tokens after %lld cached ones exceed %lld",
                (long long)T, (long long)kv->n, (long long)kv->cap);
    return r->status == AT_OK;
}

/* Appends k and v of T new tokens (row stride ld) to the cache and attends with the queries of
   a. */
static at_tensor *few(at_run *r, cached *a, at_kv *kv, int64_t T, int heads, const at_real *k,
                      const at_real *v, int64_t ld, at_tensor *y) {
    if (!y) return NULL;
    const int64_t values = AT_FEW * (kv->n + T);
    a->scratch = at_scratch(r->cp, values);
    a->stride = at_scratch_stride(values);
    if (!a->scratch) return at_fail(r, AT_OOM, "attention: %s", r->ctx->message);
    a->r = r;
    a->kv = kv;
    a->y = y->data;
    a->past = kv->n;
    append(kv, T, a->A, k, v, ld);
    enum { PARALLEL_MIN = 1 << 18 }; /* fewer multiply-adds are done by one worker */
    if (a->U * kv->n * a->A < PARALLEL_MIN)
        heads_part(a, 0, heads, 0);
    else
        at_run_par(r, heads, 1, heads_part, a);
    return y;
}

at_tensor *at_attention_cached(at_run *r, at_tensor *qkv, at_kv *kv, int heads) {
    if (!qkv) return NULL;
    const int64_t T = at_rows(qkv), C = at_cols(qkv) / 3;
    if (at_cols(qkv) != 3 * C || heads < 1 || C % heads != 0) {
        char s[96];
        return at_fail(r, AT_SHAPE, "attention: qkv %s for %d heads", at_shape_text(qkv, s), heads);
    }
    if (!room(r, kv, T)) return NULL;
    cached a = {.q = qkv->data, .U = T, .slots = 1, .ldq = 3 * C, .A = C, .D = C / heads};
    return few(r, &a, kv, T, heads, qkv->data + C, qkv->data + 2 * C, 3 * C, at_new2(r, T, C));
}

/* The same in tiles over all cached keys, as for a whole sequence; not recorded. */
static at_tensor *many(at_run *r, at_tensor *q, at_kv *kv, const at_tensor *k, const at_tensor *v,
                       int64_t slots, int heads) {
    const int64_t T = at_rows(k), A = at_cols(k);
    append(kv, T, A, k->data, v->data, A);
    at_tensor keys = {.data = kv->k, .rank = 2, .dim = {kv->n, A}}, values = keys;
    values.data = kv->v;
    const bool train = r->train;
    r->train = false;
    at_tensor *y = at_attention_slots(r, q, &keys, &values, 1, T, slots, heads);
    r->train = train;
    if (!y) kv->n -= T;
    return y;
}

at_tensor *at_attention_slots_cached(at_run *r, at_tensor *q, at_tensor *k, at_tensor *v, at_kv *kv,
                                     int64_t slots, int heads) {
    if (!q || !k || !v) return NULL;
    const int64_t T = at_rows(k), A = at_cols(k);
    if (!at_slots_fit(r, "attention", q, k, v, 1, T, slots, heads)) return NULL;
    if (!room(r, kv, T)) return NULL;
    if (T * slots >= MANY) return many(r, q, kv, k, v, slots, heads);
    cached a = {.q = q->data, .U = T * slots, .slots = slots, .ldq = A, .A = A, .D = A / heads};
    return few(r, &a, kv, T, heads, k->data, v->data, A, at_new(r, 3, (int64_t[]){T, slots, A}));
}
