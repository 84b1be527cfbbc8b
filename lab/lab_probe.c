/* lab_probe.c - a forward pass for each group of windows, then the loss of each bucket of each
   window. */
#include "lab/lab_probe.h"
#include "arch/read.h"
#include "base/file.h"
#include <string.h>

enum { ROWS = 2048 }; /* tokens of a group of windows */

typedef struct {
    at_compute *cp;
    at_model *m;
    const at_shard *s;
    at_usage *usage;
    uint64_t modules;
    at_arena arena;
    int32_t *ids, *label;   /* [B, T] */
    at_head_report *report; /* [B, buckets] */
} prober;

/* Windows [first, first + B), each of T tokens and ending at a multiple of stride; nats
   [B, buckets]. */
static at_status group(prober *p, const int64_t *start, int64_t B, int64_t T, int64_t buckets,
                       double *nats) {
    for (int64_t b = 0; b < B; b++) {
        at_shard_read(p->s, start[b], T, p->ids + b * T);
        at_shard_read(p->s, start[b] + 1, T, p->label + b * T);
    }
    const at_input in = {.ids = p->ids, .B = B, .T = T, .modules = p->modules};
    at_pass pass = {.usage = p->usage};
    const at_readout what = {.label = p->label, .parts = B * buckets, .report = p->report};
    const at_status s = at_model_read(p->cp, &p->arena, p->m, &in, &pass, &what);
    for (int64_t i = 0; i < B * buckets && s == AT_OK; i++)
        nats[i] = p->report[i].ce * (double)p->report[i].n_labels;
    return s;
}

static int64_t all_windows(const at_probe_spec *spec, const at_shard *s) {
    return s->n_tokens > 0 ? (s->n_tokens - 1) / spec->stride : 0;
}

int64_t at_probe_windows(const at_probe_spec *spec, const at_shard *s) {
    const int64_t all = all_windows(spec, s);
    return spec->limit && spec->limit < all ? spec->limit : all;
}

int64_t at_probe_start(const at_probe_spec *spec, const at_shard *s, int64_t i) {
    const int64_t all = all_windows(spec, s), n = at_probe_windows(spec, s);
    const int64_t window = spec->spread ? i * all / n : i;
    return (window + 1) * spec->stride - spec->context;
}

static at_status whole_windows(prober *p, const at_probe_spec *spec, at_probe *out) {
    const int64_t T = spec->context, most = T < ROWS ? ROWS / T : 1;
    int64_t start[ROWS];
    at_status s = AT_OK;
    for (int64_t w = 0; w < out->windows && s == AT_OK; w += most) {
        const int64_t B = out->windows - w < most ? out->windows - w : most;
        for (int64_t b = 0; b < B; b++) start[b] = at_probe_start(spec, p->s, w + b);
        if (at_interrupted(p->cp->ctx)) s = at_error(p->cp->ctx, AT_INTERRUPTED, "interrupted");
        if (s == AT_OK) s = group(p, start, B, T, spec->buckets, out->nats + w * spec->buckets);
    }
    return s;
}

at_status at_probe_run(at_compute *cp, at_model *m, const at_shard *s, const at_probe_spec *spec,
                       at_usage *usage, at_probe *out) {
    at_ctx *c = cp->ctx;
    const int64_t T = spec->context, most = T < ROWS ? ROWS / T : 1;
    *out = (at_probe){.buckets = spec->buckets, .per_bucket = T / spec->buckets};
    if (T < 1 || T > spec->stride || T % spec->buckets || T > m->dims.context)
        return at_error(c, AT_ARG, "windows of %lld tokens in %lld parts do not fit", (long long)T,
                        (long long)spec->buckets);
    out->windows = at_probe_windows(spec, s);
    prober p = {.cp = cp, .m = m, .s = s, .usage = usage, .modules = spec->modules};
    at_arena_init(&p.arena, c);
    p.ids = at_malloc(c, (size_t)(most * T) * sizeof *p.ids);
    p.label = at_malloc(c, (size_t)(most * T) * sizeof *p.label);
    p.report = at_calloc(c, (size_t)(most * spec->buckets), sizeof *p.report);
    out->nats = at_calloc(c, (size_t)(out->windows * spec->buckets + 1), sizeof *out->nats);
    at_status st = p.ids && p.label && p.report && out->nats ? AT_OK : AT_OOM;
    if (st == AT_OK) st = whole_windows(&p, spec, out);
    const int64_t done = out->windows * spec->stride, left = s->n_tokens - 1 - done;
    if (st == AT_OK && spec->tail && left > 0 && left <= T) {
        st = group(&p, &done, 1, left, 1, &out->tail_nats);
        out->tail_tokens = left;
    }
    at_arena_close(&p.arena);
    at_free(p.ids);
    at_free(p.label);
    at_free(p.report);
    return st;
}

void at_probe_close(at_probe *p) {
    at_free(p->nats);
    *p = (at_probe){0};
}

double at_probe_loss(const at_probe *p) {
    double sum = p->tail_nats;
    for (int64_t i = 0; i < p->windows * p->buckets; i++) sum += p->nats[i];
    return sum / (double)(p->windows * p->buckets * p->per_bucket + p->tail_tokens);
}

double at_probe_bucket(const at_probe *p, int64_t bucket) {
    double sum = 0;
    for (int64_t w = 0; w < p->windows; w++) sum += p->nats[w * p->buckets + bucket];
    return sum / (double)(p->windows * p->per_bucket);
}
