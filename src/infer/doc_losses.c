/* doc_losses.c - see doc_losses.h. */
#include "infer/doc_losses.h"
#include "base/ints.h"
#include <math.h>
#include <string.h>

enum { RESAMPLES = 2000 };

void at_doc_losses_close(at_doc_losses *l) {
    at_free(l->nats);
    at_free(l->tokens);
    *l = (at_doc_losses){0};
}

static at_status add(at_ctx *c, at_doc_losses *l, double nats, int64_t tokens) {
    if (!at_reserve(c, &l->nats, &l->cap_nats, l->n + 1, sizeof *l->nats) ||
        !at_reserve(c, &l->tokens, &l->cap_tokens, l->n + 1, sizeof *l->tokens))
        return AT_OOM;
    l->nats[l->n] = nats;
    l->tokens[l->n++] = tokens;
    l->all_nats += nats;
    l->all_tokens += tokens;
    return AT_OK;
}

at_status at_doc_losses_read(at_compute *cp, at_model *m, const at_shard *s, int64_t context,
                             int64_t limit, at_doc_losses *out) {
    at_ctx *c = cp->ctx;
    at_arena arena;
    *out = (at_doc_losses){0};
    context = at_min(context, m->dims.context);
    const int64_t n = limit > 0 ? at_min(limit, s->n_docs) : s->n_docs;
    int32_t *ids = at_malloc(c, (size_t)(context + 1) * sizeof *ids);
    at_status st = ids ? AT_OK : AT_OOM;
    at_arena_init(&arena, c);
    for (int64_t i = 0; i < n && st == AT_OK; i++) {
        const int64_t d = n < s->n_docs ? i * s->n_docs / n : i;
        const int64_t start = (int64_t)s->start[d];
        const int64_t len = at_min((int64_t)s->start[d + 1] - start, context + 1);
        if (at_interrupted(c)) st = at_error(c, AT_INTERRUPTED, "interrupted");
        if (st != AT_OK || len < 2) continue;
        at_shard_read(s, start, len, ids);
        const at_input in = {.ids = ids, .B = 1, .T = len - 1};
        at_head_report r = {0};
        const at_readout what = {.label = ids + 1, .parts = 1, .report = &r};
        st = at_model_read(cp, &arena, m, &in, NULL, &what);
        if (st == AT_OK) st = add(c, out, r.ce * (double)r.n_labels, r.n_labels);
    }
    at_arena_close(&arena);
    at_free(ids);
    return st;
}

double at_doc_losses_mean(const at_doc_losses *l) { return l->all_nats / (double)l->all_tokens; }

at_status at_doc_losses_increase(at_ctx *c, const at_doc_losses *before, const at_doc_losses *after,
                                 uint64_t seed, at_estimate *out) {
    const int64_t n = before->n;
    const double t = (double)before->all_tokens, nan = (double)NAN;
    *out = (at_estimate){.n = n, .lo = nan, .hi = nan, .sd = nan, .p = nan};
    if (!n) return AT_OK;
    if (after->n == n && !memcmp(before->nats, after->nats, (size_t)n * sizeof *before->nats)) {
        *out = (at_estimate){.n = n, .p = 1};
        return AT_OK;
    }
    double *x = at_malloc(c, (size_t)n * sizeof *x);
    if (!x) return AT_OOM;
    for (int64_t i = 0; i < n; i++) x[i] = (after->nats[i] - before->nats[i]) * (double)n / t;
    out->mean = at_stat_mean(x, n);
    const at_status s = n > 1 ? at_stat_bca(c, x, n, 0, RESAMPLES, seed, out) : AT_OK;
    at_free(x);
    return s;
}
