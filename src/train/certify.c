/* certify.c - see certify.h. */
#include "train/certify.h"
#include "data/dataset.h"
#include "infer/logits.h"
#include <string.h>

enum { WINDOW = 64 }; /* tokens of a domain that are read */

typedef struct {
    at_compute cp;
    at_lm *old, *new;
    at_certificate *r;
} work;

/* Number i is expert i with the common trunk; then, where there is one, each without it; then it alone. */
static int64_t ways(const at_lm *m) {
    return m->trunks && at_trunks_modules(m->trunks).common ? 2 * m->n_experts + 1 : m->n_experts;
}

/* Logits [n, V] in the i-th way of the old model; experts of `of` are found by name. */
static at_status answer(work *w, const at_lm *of, int64_t i, const int32_t *ids, int64_t n,
                        float *out) {
    at_ctx *c = w->cp.ctx;
    const int64_t k = w->old->n_experts;
    const int e = at_lm_expert(of, w->old->expert[i % k].name);
    if (e < 0)
        return at_error(c, AT_MISMATCH, "%s has no expert `%s`, which %s has", of->path,
                        w->old->expert[i % k].name, w->old->path);
    bool *one = at_calloc(c, (size_t)of->n_experts, sizeof *one);
    if (!one) return AT_OOM;
    one[e] = true;
    at_ask ask = {.allowed = one, .common = i < k ? AT_COMMON_ON : AT_COMMON_OFF};
    if (i == 2 * k) ask = (at_ask){.common = AT_COMMON_ONLY};
    const at_status s = at_logits(&w->cp, of, &ask, ids, n, out);
    at_free(one);
    return s;
}

static at_status compare_window(work *w, const at_shard *shard) {
    int32_t ids[WINDOW];
    at_ctx *c = w->cp.ctx;
    at_certificate *r = w->r;
    int64_t n = WINDOW < w->old->context ? WINDOW : w->old->context;
    if (shard->n_tokens < n) n = shard->n_tokens;
    const size_t bytes = (size_t)(n * w->old->vocab) * sizeof(float);
    float *a = at_malloc(c, bytes), *b = at_malloc(c, bytes);
    at_status s = a && b ? AT_OK : AT_OOM;
    if (s == AT_OK) at_shard_read(shard, 0, n, ids);
    for (int64_t i = 0; i < r->experts && s == AT_OK; i++) {
        s = answer(w, w->old, i, ids, n, a);
        if (s == AT_OK) s = answer(w, w->new, i, ids, n, b);
        if (s == AT_OK) r->differ += memcmp(a, b, bytes) != 0;
    }
    r->windows++;
    r->tokens += n;
    at_free(a);
    at_free(b);
    return s;
}

static at_status compare_logits(work *w, const char *data) {
    at_ctx *c = w->cp.ctx;
    at_dataset *d = NULL;
    w->r->experts = ways(w->old);
    at_status s = at_dataset_open(c, data, &d);
    for (int i = 0; s == AT_OK && i < d->n_domains; i++)
        if (d->domain[i].shard[AT_VALIDATION].n_tokens > 0)
            s = compare_window(w, &d->domain[i].shard[AT_VALIDATION]);
    if (s == AT_OK && !w->r->windows)
        s = at_error(c, AT_CONFIG,
                     "%s: without a validation split there is no text to compare the models on",
                     data);
    at_dataset_close(d);
    return s;
}

static at_status compare_tensors(work *w) {
    at_ctx *c = w->cp.ctx;
    at_voice a, b;
    if (!w->old->trunks) {
        at_status st = at_digest_experts(c, w->old, w->old, &w->r->before);
        if (st == AT_OK) st = at_digest_experts(c, w->new, w->old, &w->r->after);
        w->r->added = at_lm_numel(w->new) - at_lm_numel(w->old);
        return st;
    }
    at_status s = at_trunks_voice(c, w->old->trunks, 0, &a);
    if (s == AT_OK) s = at_trunks_voice(c, w->new->trunks, 0, &b);
    if (s == AT_OK) s = at_digest_shared(c, a.model, a.model, &w->r->before);
    if (s == AT_OK) s = at_digest_shared(c, b.model, a.model, &w->r->after);
    if (s == AT_OK) w->r->added = at_model_numel(b.model) - at_model_numel(a.model);
    return s;
}

static at_status open(at_ctx *c, const char *path, at_lm **out) {
    const at_status s = at_lm_load(c, path, out);
    if (s != AT_OK || (*out)->trunks || (*out)->router) return s;
    return at_error(c, AT_CONFIG, "%s is a single network: it has no experts to compare", path);
}

static at_status same_kind(const work *w) {
    if (!w->old->trunks == !w->new->trunks) return AT_OK;
    return at_error(w->cp.ctx, AT_CONFIG, "of %s and %s one has trunks, the other whole models",
                    w->old->path, w->new->path);
}

at_status at_certify(at_ctx *c, const char *before, const char *after, const char *data,
                     at_certificate *r) {
    work w = {.r = r};
    *r = (at_certificate){0};
    at_status s = at_compute_open(&w.cp, c);
    if (s != AT_OK) return s;
    s = open(c, before, &w.old);
    if (s == AT_OK) s = open(c, after, &w.new);
    if (s == AT_OK) s = same_kind(&w);
    if (s == AT_OK) s = compare_tensors(&w);
    if (s == AT_OK) s = compare_logits(&w, data);
    r->holds = s == AT_OK && !strcmp(r->before.hex, r->after.hex) && !r->differ;
    at_lm_close(w.old);
    at_lm_close(w.new);
    at_compute_close(&w.cp);
    return s;
}
