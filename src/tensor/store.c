/* store.c - parameters by path, in slabs. */
#include "tensor/store.h"
#include "base/rng.h"
#include <fnmatch.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { PATH = 256, ALIGN = 16 /* values: a cache line */ };

void at_store_init(at_store *s, at_ctx *c) { *s = (at_store){.ctx = c}; }

void at_store_close(at_store *s) {
    for (int64_t i = 0; i < s->n; i++) at_free(s->p[i]);
    for (int64_t i = 0; i < s->n_stacks; i++) {
        at_free(s->stack[i]->slot);
        at_free(s->stack[i]);
    }
    at_free(s->p);
    at_free(s->stack);
    at_free(s->value);
    at_free(s->grad);
    at_free(s->m);
    at_free(s->v);
    at_store_init(s, s->ctx);
}

/* Every stack starts on a cache line; its slots follow each other without a gap. */
static int64_t room(int64_t numel) { return (numel + ALIGN - 1) / ALIGN * ALIGN; }

/* ---- declaring ---- */

static bool possible(at_store *s, const char *path, int rank, const int64_t *dim) {
    int64_t numel = 1;
    for (int i = 0; i < rank; i++) {
        if (dim[i] < 1 || numel > (INT64_MAX >> 6) / dim[i]) {
            s->status = at_error(s->ctx, AT_CONFIG, "%s: dimension %d of size %lld is impossible",
                                 path, i, (long long)dim[i]);
            return false;
        }
        numel *= dim[i];
    }
    return true;
}

/* Adds a stack without its parameters. */
static at_stack *declare(at_store *s, const char *path, int rank, const int64_t *dim, int64_t n) {
    const size_t len = strlen(path);
    if (s->status != AT_OK || !possible(s, path, rank, dim)) return NULL;
    at_stack *k = at_calloc(s->ctx, 1, sizeof *k + len);
    if (!k || !(k->slot = at_calloc(s->ctx, (size_t)n, sizeof(at_tensor *))) ||
        !at_reserve(s->ctx, &s->stack, &s->stack_cap, s->n_stacks + 1, sizeof *s->stack)) {
        if (k) at_free(k->slot);
        at_free(k);
        s->status = AT_OOM;
        return NULL;
    }
    memcpy(k->path, path, len + 1);
    k->t = (at_tensor){.rank = rank, .name = k->path};
    memcpy(k->t.dim, dim, (size_t)rank * sizeof *dim);
    k->at = s->n;
    s->numel += room(at_numel(&k->t));
    s->stack[s->n_stacks++] = k;
    return k;
}

static bool add_slot(at_store *s, at_stack *k, int rank, const int64_t *dim, const char *path) {
    const size_t len = strlen(path);
    at_param_entry *e = at_calloc(s->ctx, 1, sizeof *e + len);
    if (!e || !at_reserve(s->ctx, &s->p, &s->cap, s->n + 1, sizeof *s->p)) {
        at_free(e);
        s->status = AT_OOM;
        return false;
    }
    memcpy(e->path, path, len + 1);
    e->of = k;
    e->moment = -1;
    e->t = (at_tensor){.rank = rank, .name = e->path};
    memcpy(e->t.dim, dim, (size_t)rank * sizeof *dim);
    k->slot[k->n++] = &e->t;
    s->p[s->n++] = e;
    return true;
}

/* A truncated path could be that of another parameter. */
static bool too_long(at_store *s, int len, const char *path) {
    if (len >= 0 && len < PATH) return false;
    s->status = at_error(s->ctx, AT_ARG, "parameter path too long: %.200s...", path);
    return true;
}

void at_store_scope(at_store *s, const char *scope) {
    const int len = snprintf(s->scope, sizeof s->scope, "%s%s", scope, *scope ? "." : "");
    if (len >= (int)sizeof s->scope && s->status == AT_OK)
        s->status = at_error(s->ctx, AT_ARG, "parameter path too long: %.200s...", scope);
}

at_tensor *at_param(at_store *s, at_init init, double std, int rank, const int64_t *dim,
                    const char *fmt, ...) {
    char path[PATH];
    va_list ap;
    const int before = snprintf(path, sizeof path, "%s", s->scope);
    va_start(ap, fmt);
    const int after = vsnprintf(path + before, sizeof path - (size_t)before, fmt, ap);
    va_end(ap);
    if (s->status != AT_OK || too_long(s, after < 0 ? after : before + after, path)) return NULL;
    at_stack *k = declare(s, path, rank, dim, 1);
    if (!k || !add_slot(s, k, rank, dim, path)) return NULL;
    k->init = init;
    k->std = std;
    return k->slot[0];
}

at_stack *at_param_stack(at_store *s, at_init init, double std, int rank, const int64_t *dim,
                         at_stack_names names, bool together) {
    char whole[PATH];
    const int n = snprintf(whole, sizeof whole, "%s%s", s->scope, names.path);
    if (s->status != AT_OK || too_long(s, n, whole)) return NULL;
    at_stack *k = declare(s, whole, rank, dim, dim[0] > 0 ? dim[0] : 1);
    for (int64_t i = 0; k && i < dim[0]; i++) {
        char path[PATH];
        const int len = snprintf(path, sizeof path, "%s%s.%lld.%s", s->scope, names.bank,
                                 (long long)i, names.part);
        if (too_long(s, len, path) || !add_slot(s, k, rank - 1, dim + 1, path)) return NULL;
    }
    if (!k) return NULL;
    k->init = init;
    k->std = std;
    k->together = together;
    return k;
}

at_tensor *at_param_table(at_tensor *t) {
    if (t) at_param_of(t)->table = true;
    return t;
}

at_param_entry *at_param_of(at_tensor *t) { return (void *)t; /* its first member */ }

void at_param_freeze(at_param_entry *e) {
    e->frozen = true;
    e->t.need_grad = e->t.keep_grad = false;
    e->t.grad = NULL;
}

at_param_entry *at_store_find(const at_store *s, const char *path) {
    for (int64_t i = 0; i < s->n; i++)
        if (!strcmp(s->p[i]->path, path)) return s->p[i];
    return NULL;
}

at_stack *at_store_stack(const at_store *s, const char *path) {
    for (int64_t i = 0; i < s->n_stacks; i++)
        if (!strcmp(s->stack[i]->path, path)) return s->stack[i];
    return NULL;
}

/* ---- memory ---- */

/* Whether a parameter needs memory for its values.  An absent one does if its stack is used as one
   tensor. */
static bool lacks_values(const at_param_entry *e) {
    return !e->t.data && !e->t.bf16 && (!e->absent || e->of->together);
}

/* Sets values and gradient of the stack if those of its parameters are contiguous. */
static void join(at_stack *k) {
    const int64_t size = at_numel(k->slot[0]);
    at_tensor *t = &k->t;
    t->data = k->slot[0]->data;
    t->bf16 = k->slot[0]->bf16;
    for (int64_t i = 1; i < k->n; i++) {
        const at_tensor *u = k->slot[i];
        if (t->data && u->data != t->data + i * size) t->data = NULL;
        if (t->bf16 && u->bf16 != t->bf16 + i * size) t->bf16 = NULL;
    }
}

at_status at_store_alloc(at_store *s) {
    if (s->status != AT_OK) return s->status;
    for (int pass = 0; pass < 2; pass++) { /* first their number, then their places */
        int64_t n = 0;
        for (int64_t i = 0; i < s->n; i++) {
            at_param_entry *e = s->p[i];
            if (i == e->of->at) n = room(n);
            if (!lacks_values(e)) continue;
            if (pass) e->t.data = s->value + n;
            n += at_numel(&e->t);
        }
        if (!pass && !(s->value = at_calloc(s->ctx, (size_t)room(n), sizeof(at_real))))
            return s->status = AT_OOM;
    }
    for (int64_t i = 0; i < s->n_stacks; i++) join(s->stack[i]);
    return AT_OK;
}

static double draw(const at_stack *k, uint64_t seed, uint64_t stream, uint64_t index) {
    switch (k->init) {
    case AT_INIT_ONE: return 1;
    case AT_INIT_NORMAL: return k->std * at_normal(seed, stream, index);
    case AT_INIT_UNIFORM: return k->std * (2 * at_uniform(seed, stream, index) - 1);
    case AT_INIT_SIGN: return at_uniform(seed, stream, index) < 0.5 ? -1 : 1;
    case AT_INIT_ZERO: break;
    }
    return 0;
}

void at_store_randomise(at_store *s, uint64_t seed) {
    for (int64_t i = 0; i < s->n; i++) {
        const at_stack *k = s->p[i]->of;
        const uint64_t stream = AT_STREAM_INIT ^ at_hash_path(k->path) << 8;
        const int64_t n = at_numel(&s->p[i]->t), before = (i - k->at) * n;
        for (int64_t j = 0; j < n && s->p[i]->t.data; j++) /* NULL: absent */
            s->p[i]->t.data[j] = (at_real)draw(k, seed, stream, (uint64_t)(before + j));
    }
}

static bool trained(const at_param_entry *e) { return !e->frozen && !e->absent; }

int64_t at_store_trained(const at_store *s) {
    int64_t n = 0;
    for (int64_t i = 0; i < s->n; i++) n += trained(s->p[i]) ? at_numel(&s->p[i]->t) : 0;
    return n;
}

/* From *grad and *moment on in the slabs, which move on.  Rows that are read as one tensor have one
   gradient, if any of them learns. */
static void place_training(at_store *s, at_stack *k, int64_t *grad, int64_t *moment) {
    const int64_t size = at_numel(k->slot[0]);
    at_real *first = s->grad ? s->grad + *grad : NULL, *next = first;
    int64_t n = 0;
    for (int64_t i = 0; i < k->n; i++) n += trained(s->p[k->at + i]);
    const bool whole = n > 0 && k->together;
    for (int64_t i = 0; i < k->n; i++) {
        at_param_entry *e = s->p[k->at + i];
        const bool on = trained(e);
        e->t.need_grad = e->t.keep_grad = on;
        e->t.grad = on ? next : NULL;
        e->moment = on ? *moment : -1;
        if (next && (on || whole)) next += size;
        if (on) *moment += size;
    }
    *moment = room(*moment);
    *grad += room((whole ? k->n : n) * size);
    k->t.need_grad = k->t.keep_grad = n > 0;
    k->t.grad = whole || n == k->n ? first : NULL;
}

static bool slab(at_store *s, at_real **p, int64_t n) {
    return (*p = at_calloc(s->ctx, (size_t)n, sizeof **p)) != NULL;
}

at_status at_store_train(at_store *s, bool moments) {
    at_real **const slabs[] = {&s->grad, &s->m, &s->v};
    for (int i = 0; i < 3; i++) {
        at_free(*slabs[i]);
        *slabs[i] = NULL;
    }
    for (int pass = 0; pass < 2; pass++) { /* how much, then where */
        int64_t n = 0;
        s->n_grad = 0;
        for (int64_t i = 0; i < s->n_stacks; i++) place_training(s, s->stack[i], &s->n_grad, &n);
        if (!pass && !slab(s, &s->grad, s->n_grad)) return s->status = AT_OOM;
        if (!pass && moments && (!slab(s, &s->m, n) || !slab(s, &s->v, n)))
            return s->status = AT_OOM;
    }
    return AT_OK;
}

int64_t at_store_run(const at_store *s, int64_t i, int64_t *numel) {
    int64_t n = 0;
    *numel = 0;
    for (const at_param_entry *first = s->p[i]; i + n < s->n; n++) {
        const at_param_entry *e = s->p[i + n];
        const bool reached = e->t.has_grad || (e->of->together && e->of->t.has_grad);
        if (!trained(e) || !reached || e->of != first->of || e->steps != first->steps ||
            e->t.grad != first->t.grad + *numel || e->t.data != first->t.data + *numel)
            break;
        *numel += at_numel(&e->t);
    }
    return n;
}

void at_store_zero_grad(at_store *s) {
    if (s->grad) memset(s->grad, 0, (size_t)s->n_grad * sizeof *s->grad);
    for (int64_t i = 0; i < s->n; i++) s->p[i]->t.has_grad = s->p[i]->of->t.has_grad = false;
}

static bool matches(const at_param_entry *e, const char *glob) {
    return !fnmatch(glob, e->path, 0) || !fnmatch(glob, e->of->path, 0);
}

int64_t at_store_freeze(at_store *s, const char *glob) {
    int64_t n = 0;
    for (int64_t i = 0; i < s->n; i++) {
        if (!matches(s->p[i], glob)) continue;
        at_param_freeze(s->p[i]);
        n++;
    }
    return n;
}

int64_t at_store_thaw(at_store *s, const char *glob) {
    int64_t n = 0;
    for (int64_t i = 0; i < s->n; i++) {
        if (!matches(s->p[i], glob)) continue;
        s->p[i]->frozen = false;
        n++;
    }
    return n;
}
