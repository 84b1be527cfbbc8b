/* documents.c - see documents.h. */
#include "train/documents.h"
#include "base/rng.h"
#include <math.h>
#include <stdlib.h>

enum { DRAWS = 2000 };

void at_documents_close(at_documents *d) {
    at_free(d->nats);
    at_free(d->tokens);
    *d = (at_documents){0};
}

static at_status read_one(at_compute *cp, at_arena *arena, at_model *m, uint64_t modules,
                          const at_shard *s, int64_t doc, int64_t context, int32_t *ids,
                          at_documents *out) {
    const int64_t start = (int64_t)s->start[doc];
    int64_t n = (int64_t)s->start[doc + 1] - start;
    if (n > context + 1) n = context + 1;
    if (n < 2) return AT_OK;
    at_shard_read(s, start, n, ids);
    at_head_report rep = {0};
    const at_input in = {.ids = ids, .B = 1, .T = n - 1, .modules = modules};
    const at_readout what = {.label = ids + 1, .parts = 1, .report = &rep};
    const at_status st = at_model_read(cp, arena, m, &in, NULL, &what);
    if (st != AT_OK) return st;
    out->nats[out->n] = rep.ce * (double)rep.n_labels;
    out->tokens[out->n++] = rep.n_labels;
    return AT_OK;
}

at_status at_documents_read(at_compute *cp, at_model *m, uint64_t modules, const at_shard *s,
                            int64_t context, int64_t most, at_documents *out) {
    at_ctx *c = cp->ctx;
    if (context > m->dims.context) context = m->dims.context;
    const int64_t n = most > 0 && most < s->n_docs ? most : s->n_docs;
    at_arena arena;
    at_arena_init(&arena, c);
    *out = (at_documents){.nats = at_calloc(c, (size_t)n + 1, sizeof *out->nats),
                          .tokens = at_calloc(c, (size_t)n + 1, sizeof *out->tokens)};
    int32_t *ids = at_calloc(c, (size_t)context + 1, sizeof *ids);
    at_status st = ids && out->nats && out->tokens ? AT_OK : AT_OOM;
    for (int64_t i = 0; i < n && st == AT_OK; i++) {
        if (at_interrupted(c)) st = at_error(c, AT_INTERRUPTED, "interrupted");
        if (st == AT_OK)
            st = read_one(cp, &arena, m, modules, s, i * s->n_docs / n, context, ids, out);
    }
    at_free(ids);
    at_arena_close(&arena);
    if (st != AT_OK) at_documents_close(out);
    return st;
}

static int ascending(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The value below which a share of n sorted ones lies, between two of them in proportion. */
static double quantile(const double *x, int64_t n, double share) {
    const double at = share * (double)(n - 1);
    const int64_t i = (int64_t)at;
    return i + 1 < n ? x[i] + (at - (double)i) * (x[i + 1] - x[i]) : x[n - 1];
}

at_status at_documents_compare(at_ctx *c, const at_documents *a, const at_documents *b,
                               uint64_t seed, at_change *out) {
    double sum[2] = {0, 0};
    const int64_t n = a->n;
    *out = (at_change){.documents = n, .lo = (double)NAN, .hi = (double)NAN};
    if (b->n != n)
        return at_error(c, AT_ARG, "documents: %lld of one model, %lld of the other", (long long)n,
                        (long long)b->n);
    for (int64_t i = 0; i < n; i++) {
        out->tokens += a->tokens[i];
        sum[0] += a->nats[i];
        sum[1] += b->nats[i];
    }
    out->before = sum[0] / (double)out->tokens;
    out->after = sum[1] / (double)out->tokens;
    out->change = sum[1] / sum[0] - 1;
    if (n < 2) return AT_OK;
    double *draw = at_malloc(c, DRAWS * sizeof *draw);
    if (!draw) return AT_OOM;
    for (int64_t d = 0; d < DRAWS; d++) {
        double x = 0, y = 0;
        for (int64_t i = 0; i < n; i++) {
            const int64_t k =
                (int64_t)at_rand_below((uint64_t)n, seed, AT_STREAM_LAB, (uint64_t)(d * n + i));
            x += a->nats[k];
            y += b->nats[k];
        }
        draw[d] = y / x - 1;
    }
    qsort(draw, DRAWS, sizeof *draw, ascending);
    out->lo = quantile(draw, DRAWS, 0.025);
    out->hi = quantile(draw, DRAWS, 0.975);
    at_free(draw);
    return AT_OK;
}
