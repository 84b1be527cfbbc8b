/* session.c - cached decoding. */
#include "infer/session.h"
#include <string.h>

enum { FIRST = 128 }; /* tokens there is room for when the first one comes */

at_status at_session_open(at_compute *cp, at_model *m, int64_t cap, at_session *s) {
    at_ctx *c = cp->ctx;
    if (cap < 1 || cap > m->dims.context) cap = m->dims.context;
    *s = (at_session){.cp = cp, .model = m, .cap = cap};
    at_arena_init(&s->arena, c);
    s->cache = at_calloc(c, (size_t)m->dims.layers, sizeof *s->cache);
    s->logits = at_calloc(c, (size_t)m->dims.vocab, sizeof *s->logits);
    if (s->cache && s->logits) return AT_OK;
    at_session_close(s);
    return AT_OOM;
}

void at_session_close(at_session *s) {
    at_arena_close(&s->arena);
    for (int64_t i = 0; s->cache && i < s->model->dims.layers; i++) {
        if (s->cache[i].v != s->cache[i].k) at_free(s->cache[i].v);
        at_free(s->cache[i].k);
    }
    at_free(s->cache);
    at_free(s->logits);
    *s = (at_session){0};
}

/* More room for a layer; what is in it stays, whether there is memory or not. */
static bool grow(at_ctx *c, at_kv *kv, bool one, size_t bytes) {
    at_real *k = at_realloc(c, kv->k, bytes);
    if (!k) return false;
    kv->k = k;
    at_real *v = one ? k : at_realloc(c, kv->v, bytes);
    if (!v) return false;
    kv->v = v;
    return true;
}

/* Room for n tokens in all: at least doubled, so that a long text moves each row a few times. */
static at_status reserve(at_session *s, int64_t n) {
    const at_dims *d = &s->model->dims;
    for (int64_t i = 0; i < d->layers; i++) {
        at_kv *kv = &s->cache[i];
        int64_t cap = kv->cap ? kv->cap : FIRST;
        while (cap < n) cap *= 2;
        if (cap > s->cap) cap = s->cap;
        if (cap <= kv->cap) continue;
        const size_t bytes = (size_t)(cap * d->cache_width) * sizeof *kv->k;
        if (!grow(s->cp->ctx, kv, d->one_cache, bytes)) return AT_OOM;
        kv->cap = cap;
    }
    return AT_OK;
}

int64_t at_session_length(const at_session *s) { return s->cache[0].n; }

void at_session_rewind(at_session *s, int64_t n) {
    for (int64_t i = 0; i < s->model->dims.layers; i++)
        if (s->cache[i].n > n) s->cache[i].n = n;
}

at_status at_session_feed(at_session *s, const int32_t *ids, int64_t n, const at_real **logits) {
    const int64_t before = at_session_length(s);
    at_model *m = s->model;
    if (n < 1 || before + n > s->cap)
        return at_error(s->cp->ctx, AT_ARG, "%lld tokens after %lld do not fit a session of %lld",
                        (long long)n, (long long)before, (long long)s->cap);
    if (reserve(s, before + n) != AT_OK) return AT_OOM;
    const at_mark mark = at_arena_mark(&s->arena);
    at_run r;
    at_run_init(&r, s->cp, &s->arena, false, 0);
    const at_feed feed = {.ids = ids, .B = 1, .T = n, .cache = s->cache};
    at_tensor *x = m->arch->hidden(&r, m->impl, &feed);
    at_tensor *last = at_new2(&r, 1, m->dims.width);
    if (x && last) {
        const int64_t C = m->dims.width;
        memcpy(last->data, x->data + (n - 1) * C, (size_t)C * sizeof *x->data);
    }
    at_tensor *y = at_linear(&r, x ? last : NULL, m->arch->head(m->impl), NULL);
    if (y) memcpy(s->logits, y->data, (size_t)m->dims.vocab * sizeof *y->data);
    at_status st = at_run_status(&r);
    at_arena_rewind(&s->arena, mark);
    if (st == AT_OK && at_first_not_finite(s->logits, m->dims.vocab) >= 0)
        st = at_model_diagnose(m);
    if (st != AT_OK) at_session_rewind(s, before);
    *logits = s->logits;
    return st;
}
