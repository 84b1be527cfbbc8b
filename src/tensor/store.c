/* store.c - parameters by path, in slabs. */
#include "tensor/store.h"
#include "base/rng.h"
#include <fnmatch.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void at_store_init(at_store *s, at_ctx *c) { *s = (at_store){.ctx = c}; }

void at_store_close(at_store *s) {
    for (int64_t i = 0; i < s->n; i++) at_free(s->p[i]);
    at_free(s->p);
    at_free(s->value);
    at_free(s->grad);
    at_free(s->m);
    at_free(s->v);
    at_store_init(s, s->ctx);
}

/* Every parameter starts on a cache line. */
static int64_t room(const at_tensor *t) { return (at_numel(t) + 15) / 16 * 16; }

at_tensor *at_param(at_store *s, at_init init, double std, int rank, const int64_t *dim,
                    const char *fmt, ...) {
    if (s->status != AT_OK) return NULL;
    char path[256];
    va_list ap;
    va_start(ap, fmt);
    const int len = vsnprintf(path, sizeof path, fmt, ap);
    va_end(ap);
    if (len < 0 ||
        (size_t)len >= sizeof path) { /* a truncated path could be that of another parameter */
        s->status = at_error(s->ctx, AT_ARG, "parameter path too long: %.200s...", path);
        return NULL;
    }
    int64_t numel = 1;
    for (int i = 0; i < rank; i++) {
        if (dim[i] < 1 || numel > (INT64_MAX >> 6) / dim[i]) {
            s->status = at_error(s->ctx, AT_CONFIG, "%s: dimension %d of size %lld is impossible",
                                 path, i, (long long)dim[i]);
            return NULL;
        }
        numel *= dim[i];
    }
    at_param_entry *e = at_calloc(s->ctx, 1, sizeof *e + (size_t)len);
    if (!e || !at_reserve(s->ctx, &s->p, &s->cap, s->n + 1, sizeof *s->p)) {
        at_free(e);
        s->status = AT_OOM;
        return NULL;
    }
    memcpy(e->path, path, (size_t)len + 1);
    e->init = init;
    e->std = std;
    e->first = s->numel;
    e->t = (at_tensor){.rank = rank, .name = e->path};
    memcpy(e->t.dim, dim, (size_t)rank * sizeof *dim);
    s->numel += room(&e->t);
    s->p[s->n++] = e;
    return &e->t;
}

at_tensor *at_param_table(at_tensor *t) {
    if (t) ((at_param_entry *)(void *)t)->table = true; /* t is its first member */
    return t;
}

at_param_entry *at_store_find(const at_store *s, const char *path) {
    for (int64_t i = 0; i < s->n; i++)
        if (!strcmp(s->p[i]->path, path)) return s->p[i];
    return NULL;
}

static at_real *slab(at_store *s) { return at_calloc(s->ctx, (size_t)s->numel, sizeof(at_real)); }

at_status at_store_alloc(at_store *s) {
    if (s->status != AT_OK) return s->status;
    int64_t n = 0;
    for (int64_t i = 0; i < s->n; i++)
        if (!s->p[i]->t.data && !s->p[i]->t.bf16) n += room(&s->p[i]->t);
    if (!(s->value = at_calloc(s->ctx, (size_t)n, sizeof(at_real)))) return s->status = AT_OOM;
    n = 0;
    for (int64_t i = 0; i < s->n; i++) {
        at_tensor *t = &s->p[i]->t;
        if (t->data || t->bf16) continue;
        t->data = s->value + n;
        n += room(t);
    }
    return AT_OK;
}

static double draw(const at_param_entry *e, uint64_t seed, uint64_t stream, uint64_t index) {
    switch (e->init) {
    case AT_INIT_ONE: return 1;
    case AT_INIT_NORMAL: return e->std * at_normal(seed, stream, index);
    case AT_INIT_UNIFORM: return e->std * (2 * at_uniform(seed, stream, index) - 1);
    case AT_INIT_ZERO: break;
    }
    return 0;
}

void at_store_randomise(at_store *s, uint64_t seed) {
    for (int64_t i = 0; i < s->n; i++) {
        const at_param_entry *e = s->p[i];
        const uint64_t stream = AT_STREAM_INIT ^ at_hash_path(e->path) << 8;
        const int64_t n = at_numel(&e->t);
        for (int64_t j = 0; j < n; j++) e->t.data[j] = (at_real)draw(e, seed, stream, (uint64_t)j);
    }
}

at_status at_store_train(at_store *s, bool moments) {
    if (!s->grad && !(s->grad = slab(s))) return s->status = AT_OOM;
    if (moments && !s->m && !(s->m = slab(s))) return s->status = AT_OOM;
    if (moments && !s->v && !(s->v = slab(s))) return s->status = AT_OOM;
    for (int64_t i = 0; i < s->n; i++) {
        at_tensor *t = &s->p[i]->t;
        t->need_grad = t->keep_grad = !s->p[i]->frozen;
        t->grad = s->p[i]->frozen ? NULL : s->grad + s->p[i]->first;
    }
    return AT_OK;
}

void at_store_zero_grad(at_store *s) {
    if (s->grad) memset(s->grad, 0, (size_t)s->numel * sizeof *s->grad);
    for (int64_t i = 0; i < s->n; i++) s->p[i]->t.has_grad = false;
}

int64_t at_store_freeze(at_store *s, const char *glob) {
    int64_t n = 0;
    for (int64_t i = 0; i < s->n; i++) {
        at_param_entry *e = s->p[i];
        if (fnmatch(glob, e->path, 0) != 0) continue;
        e->frozen = true;
        e->t.need_grad = e->t.keep_grad = false;
        e->t.grad = NULL;
        n++;
    }
    return n;
}
