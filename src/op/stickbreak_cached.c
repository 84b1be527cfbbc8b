/*
 * stickbreak_cached.c - stick-breaking attention of new tokens to cached keys and values.
 *
 * A few queries read the cache unpacked, in waves of keys from the newest to the oldest, until all
 * sticks are used up; the first waves are short, since most sticks are.  In a wave all workers
 * compute scores, then the weights of each stick are computed in order, then all workers add up
 * slices of the values, which are still in the cache when they are the keys.  With many spans each
 * worker does whole spans.  Many queries of a span are computed in tiles, like a whole sequence.
 */
#include "kernel/gemm_few.h"
#include "op/op.h"
#include "op/slots.h"
#include "op/spans.h"
#include "op/tiled.h"
#include <math.h>

enum {
    WAVE = 256,      /* keys of the first wave; twice as many in the next */
    WAVE_MAX = 1024, /* ... up to this many                         */
    CHUNK = 128,     /* keys of a task                              */
    SLICE = 256,     /* values of a task                            */
    MANY = 16,       /* from so many queries on packing is faster   */
    WORTH = 1 << 18, /* fewer multiply-adds are done by one worker  */
};

typedef struct {
    at_run *r;
    const at_real *q; /* [U, A] */
    const at_kv *kv;  /* the new rows already in */
    at_real *y;
    int64_t A, D, U, slots, past, all, H;
    bool alone;         /* on this worker */
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
            if (left < AT_STICK_LEAST) left = 0;
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
                      a->kv->v + a->begin * a->A + at, a->A, a->end != a->all, a->y + u * a->A + at,
                      a->A);
    }
}

/* ---- all ---- */

static void spread(cached *a, int64_t n, at_par_fn f) {
    if (a->alone || a->U * (a->end - a->begin) * a->A < WORTH)
        f(a, 0, n, 0);
    else
        at_run_par(a->r, n, 1, f, a);
}

static bool some_left(const cached *a) {
    bool some = false;
    for (int64_t i = 0; i < a->H * a->U; i++) some |= a->left[i] > 0;
    return some;
}

/* All waves over the cached keys; those of the new tokens are in the cache already. */
static void waves(cached *a) {
    for (int64_t i = 0; i < a->H * a->U; i++) a->left[i] = 1;
    a->begin = a->all;
    for (int64_t wave = WAVE; a->begin > 0 && some_left(a); wave = at_min(2 * wave, WAVE_MAX)) {
        a->end = a->begin;
        a->begin = a->end > wave ? a->end - wave : 0;
        const int64_t chunks = (a->end - a->begin + CHUNK - 1) / CHUNK;
        spread(a, a->H * a->bunches * chunks, scores_part);
        spread(a, a->H * a->U, sticks_part);
        spread(a, a->H * a->bunches * ((a->D + SLICE - 1) / SLICE), values_part);
    }
}

static void spans_part(void *arg, int64_t begin, int64_t end, int worker) {
    cached *a = arg;
    (void)worker;
    for (int64_t i = begin; i < end; i++)
        if (a[i].U < MANY) waves(&a[i]);
}

/* All spans of few queries. */
static void few(at_run *r, cached *a, int64_t n) {
    const bool each = n >= 2 * r->cp->threads;
    const at_mark mark = at_arena_mark(r->arena);
    for (int64_t i = 0; i < n; i++) {
        if (a[i].U >= MANY) continue;
        const int64_t sticks = a[i].H * a[i].U;
        const size_t bytes = (size_t)(sticks * WAVE_MAX) * sizeof(at_real);
        a[i].left = at_run_alloc(r, (size_t)sticks * sizeof(at_real));
        a[i].p = at_run_alloc(r, bytes);
        a[i].rest = at_run_alloc(r, bytes);
        a[i].bunches = (a[i].U + AT_FEW - 1) / AT_FEW;
        a[i].alone = each;
    }
    if (r->status == AT_OK && each)
        at_run_par(r, n, 1, spans_part, a);
    else if (r->status == AT_OK)
        spans_part(a, 0, n, 0);
    at_arena_rewind(r->arena, mark);
}

at_tensor *at_stickbreak_cached(at_run *r, at_tensor *q, at_tensor *k, at_tensor *v,
                                const at_spans *s, int64_t layer, int64_t slots, int heads) {
    if (!q || !k || !v) return NULL;
    const int64_t T = at_rows(k), A = at_cols(k);
    if (!at_slots_fit(r, "stickbreak", q, k, v, 1, T, slots, heads)) return NULL;
    const at_stretch *each = at_stretches(r, "stickbreak", s, layer, T);
    at_tensor *y = each ? at_new(r, 3, (int64_t[]){T, slots, A}) : NULL;
    cached *a = y ? at_run_alloc(r, (size_t)s->n * sizeof *a) : NULL;
    if (!a) return NULL;
    for (int64_t i = 0; i < s->n; i++) {
        const int64_t at = each[i].row * slots * A;
        a[i] = (cached){.r = r, .q = q->data + at, .kv = &each[i].kv, .y = y->data + at};
        a[i].A = A;
        a[i].D = A / heads;
        a[i].H = heads;
        a[i].slots = slots;
        a[i].U = each[i].n * slots;
        a[i].past = each[i].past;
        a[i].all = each[i].all;
        at_stretch_keep(&each[i], A, k->data, v->data, A);
    }
    few(r, a, s->n);
    for (int64_t i = 0; i < s->n; i++)
        if (a[i].U >= MANY) at_stretch_tiled(r, &each[i], slots, heads, at_stickbreak, q, y);
    return r->status == AT_OK ? y : NULL;
}
