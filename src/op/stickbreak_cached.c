/*
 * stickbreak_cached.c - stick-breaking attention of new tokens on cached keys and values.
 *
 * Few queries read keys where they lie, from the newest, and stop where nothing is left of their
 * sticks; many go in tiles like a whole sequence.
 */
#include "op/op.h"
#include "op/tiled.h"
#include <math.h>

enum { CHUNK = 128, MANY = 16 }; /* keys at a time; queries that pay for packing */

typedef struct {
    const at_run *r;
    const at_real *q; /* [U, A] */
    const at_kv *kv;  /* the new rows already in */
    at_real *y;
    int64_t A, D, U, slots, past;
    at_real *scratch;
    int64_t stride;
} cached;

/* Scores x [n] of the keys before `end` -> weights, newest first; returns what is left. */
static at_real spend(const cached *a, int64_t n, at_real *x, at_real *rest, at_real left) {
    a->r->cp->k.logistic(n, (at_real)(1 / sqrt((double)a->D)), x, x, rest);
    for (int64_t j = n - 1; j >= 0; j--) {
        x[j] *= left;
        left *= rest[j];
        if (left < AT_REAL_TINY) left = 0;
    }
    return left;
}

/* Queries [u, u + m) of the head at offset h; p [m, keys]. */
static void few_queries(const cached *a, int64_t h, int64_t u, int m, at_real *p, at_real *rest) {
    const at_kernels *k = &a->r->cp->k;
    const int64_t ld = a->past + a->U / a->slots;
    int64_t end = a->past + (u + m - 1) / a->slots + 1;
    const int64_t seen = end;
    at_real left[AT_FEW] = {1, 1, 1, 1};
    bool some = true;
    while (some && end > 0) {
        const int64_t begin = end > CHUNK ? end - CHUNK : 0;
        k->few_turn(m, end - begin, a->D, a->q + u * a->A + h, a->A, a->kv->k + begin * a->A + h,
                    a->A, 0, p + begin, ld);
        some = false;
        for (int i = 0; i < m; i++) {
            at_real *x = p + i * ld;
            const int64_t mine = at_least(end, a->past + (u + i) / a->slots + 1);
            for (int64_t j = mine > begin ? mine : begin; j < end; j++) x[j] = 0;
            if (mine > begin) left[i] = spend(a, mine - begin, x + begin, rest, left[i]);
            some |= left[i] > 0;
        }
        end = begin;
    }
    k->few(m, a->D, seen - end, p + end, ld, a->kv->v + end * a->A + h, a->A, 0,
           a->y + u * a->A + h, a->A);
}

static void heads_part(void *arg, int64_t begin, int64_t end, int worker) {
    const cached *a = arg;
    at_real *rest = a->scratch + worker * a->stride;
    for (int64_t h = begin * a->D; h < end * a->D; h += a->D)
        for (int64_t u = 0; u < a->U; u += AT_FEW)
            few_queries(a, h, u, (int)at_least(AT_FEW, a->U - u), rest + CHUNK, rest);
}

static void append(at_kv *kv, const at_tensor *k, const at_tensor *v) {
    const int64_t at = kv->n * at_cols(k);
    const size_t bytes = (size_t)at_numel(k) * sizeof(at_real);
    memcpy(kv->k + at, k->data, bytes);
    if (kv->v != kv->k) memcpy(kv->v + at, v->data, bytes);
    kv->n += at_rows(k);
}

/* All cached keys in tiles, without recording. */
static at_tensor *many(at_run *r, at_tensor *q, at_kv *kv, int64_t T, int64_t slots, int heads) {
    at_tensor k = {.data = kv->k, .rank = 2, .dim = {kv->n, at_cols(q)}}, v = k;
    v.data = kv->v;
    const bool train = r->train;
    r->train = false;
    at_tensor *y = at_stickbreak(r, q, &k, &v, 1, T, slots, heads);
    r->train = train;
    return y;
}

at_tensor *at_stickbreak_cached(at_run *r, at_tensor *q, at_tensor *k, at_tensor *v, at_kv *kv,
                                int64_t slots, int heads) {
    if (!q || !k || !v) return NULL;
    const int64_t T = at_rows(k), A = at_cols(k);
    if (slots < 1 || heads < 1 || A % heads != 0 || at_cols(q) != A || at_rows(q) != T * slots ||
        at_cols(v) != A || at_rows(v) != T) {
        char qs[96], ks[96], vs[96];
        return at_fail(r, AT_SHAPE, "stickbreak: q %s, k %s, v %s for %lld slots and %d heads",
                       at_shape_text(q, qs), at_shape_text(k, ks), at_shape_text(v, vs),
                       (long long)slots, heads);
    }
    if (T > kv->cap - kv->n)
        return at_fail(r, AT_ARG, "stickbreak: %lld tokens after %lld cached ones exceed %lld",
                       (long long)T, (long long)kv->n, (long long)kv->cap);
    cached a = {.r = r, .q = q->data, .kv = kv, .A = A, .D = A / heads, .slots = slots};
    a.U = T * slots;
    a.past = kv->n;
    if (a.U >= MANY) {
        append(kv, k, v);
        at_tensor *y = many(r, q, kv, T, slots, heads);
        if (!y) kv->n = a.past;
        return y;
    }
    at_tensor *y = at_new(r, 3, (int64_t[]){T, slots, A});
    if (!y) return NULL;
    const int64_t values = CHUNK + AT_FEW * (a.past + T);
    a.scratch = at_scratch(r->cp, values);
    a.stride = at_scratch_stride(values);
    if (!a.scratch) return at_fail(r, AT_OOM, "stickbreak: %s", r->ctx->message);
    append(kv, k, v);
    a.y = y->data;
    enum { WORTH = 1 << 18 }; /* multiply-adds that pay for waking the workers */
    if (a.U * kv->n * A < WORTH)
        heads_part(&a, 0, heads, 0);
    else
        at_run_par(r, heads, 1, heads_part, &a);
    return y;
}
