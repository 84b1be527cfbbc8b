/* session.c - cached decoding. */
#include "infer/session.h"
#include <string.h>

at_status at_session_open(at_compute *cp, at_model *m, int64_t cap, at_session *s) {
    at_ctx *c = cp->ctx;
    if (cap < 1 || cap > m->dims.context) cap = m->dims.context;
    *s = (at_session){.cp = cp, .model = m, .cap = cap};
    at_arena_init(&s->arena, c);
    const int64_t L = m->dims.layers, W = m->dims.cache_width, each = m->dims.one_cache ? 1 : 2;
    s->cache = at_calloc(c, (size_t)L, sizeof *s->cache);
    s->slab = at_calloc(c, (size_t)(each * L * cap), (size_t)W * sizeof *s->slab);
    s->logits = at_calloc(c, (size_t)m->dims.vocab, sizeof *s->logits);
    if (!s->cache || !s->slab || !s->logits) {
        at_session_close(s);
        return AT_OOM;
    }
    for (int64_t i = 0; i < L; i++)
        s->cache[i] = (at_kv){.k = s->slab + each * i * cap * W,
                              .v = s->slab + (each * i + each - 1) * cap * W,
                              .cap = cap};
    return AT_OK;
}

void at_session_close(at_session *s) {
    at_arena_close(&s->arena);
    at_free(s->cache);
    at_free(s->slab);
    at_free(s->logits);
    *s = (at_session){0};
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
    const at_status st = at_run_status(&r);
    at_arena_rewind(&s->arena, mark);
    if (st != AT_OK) at_session_rewind(s, before);
    *logits = s->logits;
    return st;
}
