/* session.c - cached decoding. */
#include "infer/session.h"
#include <string.h>

enum { FIRST = 128 }; /* tokens that the cache is first allocated for */

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

/* Grows the cache of a layer; its content stays, also when memory runs out. */
static bool grow(at_ctx *c, at_kv *kv, bool one, size_t bytes) {
    at_real *k = at_realloc(c, kv->k, bytes);
    if (!k) return false;
    kv->k = k;
    at_real *v = one ? k : at_realloc(c, kv->v, bytes);
    if (!v) return false;
    kv->v = v;
    return true;
}

/* Makes room for n tokens in all; at least doubles, so that rows are copied only a few times. */
static at_status reserve(at_session *s, int64_t n) {
    const at_dims *d = &s->model->dims;
    for (int64_t i = 0; i < d->layers; i++) {
        at_kv *kv = &s->cache[i];
        const int64_t module = d->module_layers ? i / d->module_layers : 0;
        if (s->modules && !(s->modules >> module & 1)) continue; /* nobody writes into it */
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

int64_t at_session_length(const at_session *s) { return s->n; }

void at_session_rewind(at_session *s, int64_t n) {
    if (s->n > n) s->n = n;
}

int64_t at_session_prompt(const at_session *s, int64_t n) {
    const int64_t use = n < s->cap ? n : s->cap - s->cap / 4;
    return use > 0 ? use : 1;
}

int64_t at_session_kept(const at_session *s) { return s->cap / 2 > 0 ? s->cap / 2 : 1; }

/* Room for what a session is to read; whether it belongs to the others before it. */
static at_status prepare(const at_session_part *part, int64_t i) {
    at_session *s = part[i].session;
    at_ctx *c = s->cp->ctx;
    if (s->model != part->session->model || s->modules != part->session->modules)
        return at_error(c, AT_ARG, "sessions of two models do not fit in one pass");
    for (int64_t j = 0; j < i; j++)
        if (part[j].session == s) return at_error(c, AT_ARG, "a session is twice in one pass");
    if (part[i].n < 1 || s->n + part[i].n > s->cap)
        return at_error(c, AT_ARG, "%lld tokens after %lld do not fit a session of %lld",
                        (long long)part[i].n, (long long)s->n, (long long)s->cap);
    return reserve(s, s->n + part[i].n);
}

static void keep_logits(void *user, int64_t i, const at_real *logits) {
    const at_session_part *part = user;
    at_session *s = part[i].session;
    memcpy(s->logits, logits, (size_t)s->model->dims.vocab * sizeof *logits);
}

/* One pass over all parts; ids, spans and row have room for them. */
static at_status pass(at_session_part *part, int64_t parts, int32_t *ids, at_span *span,
                      int64_t *row) {
    at_session *first = part->session;
    at_input in = {.ids = ids, .B = 1, .spans = {span, parts}, .modules = first->modules};
    for (int64_t i = 0; i < parts; i++) {
        const at_session *s = part[i].session;
        memcpy(ids + in.T, part[i].ids, (size_t)part[i].n * sizeof *ids);
        span[i] = (at_span){.n = part[i].n, .past = s->n, .cache = s->cache};
        in.T += part[i].n;
        row[i] = in.T - 1;
    }
    const at_readout what = {.logits = keep_logits, .user = part, .row = row, .rows = parts};
    return at_model_read(first->cp, &first->arena, first->model, &in, NULL, &what);
}

at_status at_session_feed_all(at_session_part *part, int64_t parts) {
    if (parts < 1) return AT_OK;
    at_session *first = part->session;
    int64_t tokens = 0;
    for (int64_t i = 0; i < parts; i++) {
        const at_status s = prepare(part, i);
        if (s != AT_OK) return s;
        tokens += part[i].n;
    }
    const at_mark mark = at_arena_mark(&first->arena);
    int32_t *ids = at_arena_alloc(&first->arena, (size_t)tokens * sizeof *ids);
    at_span *span = at_arena_alloc(&first->arena, (size_t)parts * sizeof *span);
    int64_t *row = at_arena_alloc(&first->arena, (size_t)parts * sizeof *row);
    const at_status s = ids && span && row ? pass(part, parts, ids, span, row) : AT_OOM;
    at_arena_rewind(&first->arena, mark);
    for (int64_t i = 0; i < parts && s == AT_OK; i++) {
        part[i].session->n += part[i].n;
        part[i].logits = part[i].session->logits;
    }
    return s;
}

at_status at_session_feed(at_session *s, const int32_t *ids, int64_t n, const at_real **logits) {
    at_session_part part = {.session = s, .ids = ids, .n = n};
    const at_status st = at_session_feed_all(&part, 1);
    *logits = s->logits;
    return st;
}
