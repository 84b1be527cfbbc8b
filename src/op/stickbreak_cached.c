/*
 * stickbreak_cached.c - stick-breaking attention of new tokens on cached keys and values.
 *
 * Few queries read keys where they lie, in waves from the newest to the oldest, the first ones
 * short, until nothing is left of any stick.  In a wave all workers compute scores, then each stick
 * is spent in order, then all workers add up slices of the values, which are still near when they
 * are the keys.  Many queries go in tiles like a whole sequence.
 */
#include "kernel/gemm_few.h"
#include "op/op.h"
#include "op/slots.h"
#include "op/tiled.h"
#include <math.h>

enum {
    WAVE = 256,      /* keys of the first wave; twice as many in the next */
    WAVE_MAX = 1024, /* ... up to this many                         */
    CHUNK = 128,     /* keys of a task                              */
    SLICE = 256,     /* values of a task                            */
    MANY = 16,       /* queries that pay for packing                */
    WORTH = 1 << 18, /* multiply-adds that pay for waking the others */
};

typedef struct {
    at_run *r;
    const at_real *q; /* [U, A] */
    const at_kv *kv;  /* the new rows already in */
    at_real *y;
    int64_t A, D, U, slots, past, H;
    int64_t bunches;    /* of AT_FEW queries                           */
    int64_t begin, end; /* keys of this wave                           */
    at_real *p, *rest;  /* [H, U, WAVE_MAX] weights; 1 - beta              */
    at_real *left;      /* [H, U] of each stick                        */
} cached;

/* ---- a wave: scores, sticks, values ---- */

static void scores_part(void *arg, int64_t begin, int64_t end, int worker) {
    const cached *a = arg;
    const int64_t chunks = (a->end - a->begin + CHUNK - 1) / CHUNK;
    (void)worker;
    for (int64_t i = begin; i < end; i++) {
        const int64_t key = a->begin + i % chunks * CHUNK, n = at_min(CHUNK, a->end - key);
        const int64_t h = i / chunks / a->bunches, u = i / chunks % a->bunches * AT_FEW;
        const int m = (int)at_min(AT_FEW, a->U - u);
        at_real *p = a->p + (h * a->U + u) * WAVE_MAX + key - a->begin;
        at_few_serial(&a->r->cp->k, m, true, n, a->D, a->q + u * a->A + h * a->D, a->A,
                      a->kv->k + key * a->A + h * a->D, a->A, false, p, WAVE_MAX);
        for (int j = 0; j < m; j++, p += WAVE_MAX)
            a->r->cp->k.logistic(n, (at_real)(1 / sqrt((double)a->D)), p, p, a->rest + (p - a->p));
    }
}

static void sticks_part(void *arg, int64_t begin, int64_t end, int worker) {
    const cached *a = arg;
    (void)worker;
    for (int64_t i = begin; i < end; i++) {
        at_real *p = a->p + i * WAVE_MAX, left = a->left[i];
        const at_real *rest = a->rest + i * WAVE_MAX;
        int64_t j = a->end - a->begin - 1;
        for (; j > a->past + i % a->U / a->slots - a->begin; j--) p[j] = 0; /* after the query */
        for (; j >= 0; j--) {
            p[j] *= left;
            left *= rest[j];
            if (left < AT_REAL_TINY) left = 0;
        }
        a->left[i] = left;
    }
}

static void values_part(void *arg, int64_t begin, int64_t end, int worker) {
    const cached *a = arg;
    const int64_t slices = (a->D + SLICE - 1) / SLICE;
    (void)worker;
    for (int64_t i = begin; i < end; i++) {
        const int64_t h = i / slices / a->bunches, u = i / slices % a->bunches * AT_FEW;
        const int64_t d = i % slices * SLICE, at = h * a->D + d;
        at_few_serial(&a->r->cp->k, (int)at_min(AT_FEW, a->U - u), false, at_min(SLICE, a->D - d),
                      a->end - a->begin, a->p + (h * a->U + u) * WAVE_MAX, WAVE_MAX,
                      a->kv->v + a->begin * a->A + at, a->A, a->end != a->kv->n,
                      a->y + u * a->A + at, a->A);
    }
}

/* ---- all ---- */

static void spread(cached *a, int64_t n, at_par_fn f) {
    if (a->U * (a->end - a->begin) * a->A < WORTH)
        f(a, 0, n, 0);
    else
        at_run_par(a->r, n, 1, f, a);
}

static bool some_left(const cached *a) {
    bool some = false;
    for (int64_t i = 0; i < a->H * a->U; i++) some |= a->left[i] > 0;
    return some;
}

/* All cached keys where they lie; the new rows are already in. */
static void waves(cached *a) {
    for (int64_t i = 0; i < a->H * a->U; i++) a->left[i] = 1;
    a->begin = a->kv->n;
    for (int64_t wave = WAVE; a->begin > 0 && some_left(a); wave = at_min(2 * wave, WAVE_MAX)) {
        a->end = a->begin;
        a->begin = a->end > wave ? a->end - wave : 0;
        const int64_t chunks = (a->end - a->begin + CHUNK - 1) / CHUNK;
        spread(a, a->H * a->bunches * chunks, scores_part);
        spread(a, a->H * a->U, sticks_part);
        spread(a, a->H * a->bunches * ((a->D + SLICE - 1) / SLICE), values_part);
    }
}

static void append(at_kv *kv, const at_tensor *k, const at_tensor *v) {
    const int64_t at = kv->n * at_cols(k);
    const size_t bytes = (size_t)at_numel(k) * sizeof(at_real);
    memcpy(kv->k + at, k->data, bytes);
    if (kv->v != kv->k) memcpy(kv->v + at, v->data, bytes);
    kv->n += at_rows(k);
}

/* Keys and values of the new tokens join the cache only when nothing can fail any more. */
static at_tensor *few(cached *a, at_kv *kv, const at_tensor *k, const at_tensor *v) {
    at_run *r = a->r;
    const int64_t sticks = a->H * a->U;
    const size_t bytes = (size_t)(sticks * WAVE_MAX) * sizeof(at_real);
    at_tensor *y = at_new(r, 3, (int64_t[]){at_rows(k), a->slots, a->A});
    const at_mark mark = at_arena_mark(r->arena);
    a->left = at_run_alloc(r, (size_t)sticks * sizeof(at_real));
    a->p = at_run_alloc(r, bytes);
    a->rest = at_run_alloc(r, bytes);
    if (!a->rest) return NULL;
    append(kv, k, v);
    a->y = y->data;
    a->bunches = (a->U + AT_FEW - 1) / AT_FEW;
    waves(a);
    at_arena_rewind(r->arena, mark);
    return y;
}

/* All cached keys in tiles, without recording. */
static at_tensor *many(cached *a, at_tensor *q, at_kv *kv, const at_tensor *k, const at_tensor *v) {
    append(kv, k, v);
    at_tensor keys = {.data = kv->k, .rank = 2, .dim = {kv->n, a->A}}, values = keys;
    values.data = kv->v;
    at_run *r = a->r;
    const bool train = r->train;
    r->train = false;
    at_tensor *y = at_stickbreak(r, q, &keys, &values, 1, at_rows(k), a->slots, (int)a->H);
    r->train = train;
    if (!y) kv->n = a->past;
    return y;
}

at_tensor *at_stickbreak_cached(at_run *r, at_tensor *q, at_tensor *k, at_tensor *v, at_kv *kv,
                                int64_t slots, int heads) {
    if (!q || !k || !v) return NULL;
    const int64_t T = at_rows(k), A = at_cols(k);
    if (!at_slots_fit(r, "stickbreak", q, k, v, 1, T, slots, heads)) return NULL;
    if (T > kv->cap - kv->n)
        return at_fail(r, AT_ARG, "stickbreak: %lld tokens after %lld cached ones exceed %lld",
                       (long long)T, (long long)kv->n, (long long)kv->cap);
    cached a = {.r = r, .q = q->data, .kv = kv, .A = A, .D = A / heads, .slots = slots};
    a.H = heads;
    a.U = T * slots;
    a.past = kv->n;
    return a.U < MANY ? few(&a, kv, k, v) : many(&a, q, kv, k, v);
}
