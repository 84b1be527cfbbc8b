/* bench_decode.c - a session fed one token at a time. */
#include "bench/bench_decode.h"
#include "arch/estimate.h"
#include "base/clock.h"
#include "base/rng.h"
#include "infer/lm.h"
#include "infer/sample.h"
#include "infer/session.h"
#include "kernel/peak.h"
#include "train/recipe.h"
#include <stdio.h>
#include <string.h>

enum { VOCAB = 8192, PROMPT = 16, WARM = 8, ROUND = 16, ROUNDS_MAX = AT_DECODE_MAX / ROUND + 1 };

/* Bytes of the parameters that a token uses.  Matrices may be in BF16; small tensors are in
   at_real. */
static double parameter_bytes(const at_model *m, double active) {
    double small = 0;
    bool bf16 = false;
    for (int64_t i = 0; i < m->store.n; i++) {
        const at_tensor *t = &m->store.p[i]->t;
        bf16 |= t->bf16 != NULL;
        if (t->data && m->store.p[i]->of->t.rank < 3) /* not of experts, most of which are idle */
            small += (double)at_numel(t);
    }
    if (!bf16) return active * sizeof(at_real);
    if (small > active) small = active;
    return (active - small) * sizeof(uint16_t) + small * sizeof(at_real);
}

static double cache_bytes(const at_dims *d, double length) {
    return (double)d->layers * (double)d->cache_width * (d->one_cache ? 1 : 2) * sizeof(at_real) *
           length;
}

/* Resident memory, from Linux's /proc; 0 elsewhere. */
static void resident(at_bench_decode *out) {
    FILE *f = fopen("/proc/self/status", "r");
    char line[256];
    while (f && fgets(line, sizeof line, f)) {
        double kb;
        if (sscanf(line, "VmRSS: %lf", &kb) == 1) out->rss = 1024 * kb;
        if (sscanf(line, "RssAnon: %lf", &kb) == 1) out->rss_anon = 1024 * kb;
        if (sscanf(line, "RssFile: %lf", &kb) == 1) out->rss_file = 1024 * kb;
    }
    if (f) (void)fclose(f);
}

static at_status feed(at_session *s, int64_t n, uint64_t *at, double *seconds,
                      const at_real **logits) {
    int32_t ids[PROMPT];
    for (int64_t i = 0; i < n; i++)
        ids[i] = (int32_t)at_rand_below((uint64_t)s->model->dims.vocab, 1, AT_STREAM_TEST, (*at)++);
    const double began = at_now();
    const at_status st = at_session_feed(s, ids, n, logits);
    *seconds = at_now() - began;
    if (st == AT_OK && at_interrupted(s->cp->ctx))
        return at_error(s->cp->ctx, AT_INTERRUPTED, "interrupted");
    return st;
}

static double median(double *x, int64_t n) { return at_time_summary(x, (int)n).median; }

/* Times the drawing of a token; the next token is a random one all the same, which costs as
   much. */
static at_status draw(at_session *s, const at_real *logits, uint64_t index, at_pick *scratch,
                      double *seconds) {
    static const at_sampling how = {.temperature = 0.8, .top_k = 40, .top_p = 1};
    int32_t id;
    const double began = at_now();
    const at_status st =
        at_sample(s->cp->ctx, logits, s->model->dims.vocab, &how, index, scratch, &id);
    *seconds = at_now() - began;
    return st;
}

/* Decodes in rounds and measures the read peak after each, since other work on the machine slows
   both. t, drawn: seconds of the model and of drawing for each token, [out->tokens]. */
static at_status rounds(at_session *s, uint64_t *at, double *t, double *drawn, at_pick *scratch,
                        at_bench_decode *out) {
    double peak[ROUNDS_MAX], share[ROUNDS_MAX];
    int64_t n = 0;
    at_status st = AT_OK;
    for (int64_t i = 0; i < out->tokens && st == AT_OK; n++) {
        const int64_t left = out->tokens - i, here = left < 2 * ROUND ? left : ROUND;
        double sorted[2 * ROUND];
        for (int64_t k = 0; k < here && st == AT_OK; k++) {
            const at_real *logits = NULL;
            st = feed(s, 1, at, &t[i + k], &logits);
            if (st == AT_OK) st = draw(s, logits, (uint64_t)(i + k), scratch, &drawn[i + k]);
        }
        memcpy(sorted, t + i, (size_t)here * sizeof *t);
        i += here;
        if (i == out->tokens) resident(out);
        peak[n] = st == AT_OK ? at_read_peak(s->cp->ctx, s->cp->threads) : 0;
        share[n] = peak[n] > 0 ? 1 / (peak[n] * median(sorted, here)) : 0;
    }
    if (st != AT_OK) return st;
    out->time = at_time_summary(t, (int)out->tokens);
    out->sampling = at_time_summary(drawn, (int)out->tokens);
    out->peak = median(peak, n);
    out->percent = median(share, n); /* for one byte a token; multiplied later */
    return AT_OK;
}

static at_status measure(at_compute *cp, at_model *m, int64_t tokens, at_bench_decode *out) {
    double *t = at_malloc(cp->ctx, 2 * (size_t)tokens * sizeof *t);
    at_pick *scratch = at_malloc(cp->ctx, 2 * (size_t)m->dims.vocab * sizeof *scratch);
    at_session s;
    at_status st = t && scratch ? at_session_open(cp, m, 0, &s) : AT_OOM;
    if (st != AT_OK) {
        at_free(t);
        at_free(scratch);
        return st;
    }
    const at_real *logits;
    uint64_t at = 0;
    const int64_t room = s.cap - WARM - 1;
    out->prompt = PROMPT < room - tokens ? PROMPT : 1;
    out->tokens = tokens < room ? tokens : room;
    if (out->tokens < 1)
        st = at_error(cp->ctx, AT_ARG, "a context of %lld tokens is too short to measure in",
                      (long long)s.cap);
    if (st == AT_OK) st = feed(&s, out->prompt, &at, &out->prompt_s, &logits);
    for (int64_t i = 0; i < WARM && st == AT_OK; i++) st = feed(&s, 1, &at, t, &logits);
    if (st == AT_OK) st = rounds(&s, &at, t, t + tokens, scratch, out);
    const double length = (double)(out->prompt + WARM) + (double)out->tokens / 2;
    out->bytes = parameter_bytes(m, out->active) + cache_bytes(&m->dims, length);
    at_session_close(&s);
    at_free(t);
    at_free(scratch);
    return st;
}

/* Binds the other sections of the recipe only to find unknown keys. */
static at_status make(at_ctx *c, at_conf *f, at_model **m) {
    at_recipe r;
    at_status s = AT_OK;
    if (!at_conf_has(f, "data.train")) s = at_conf_set(c, f, "data.train=random", "bench decode");
    if (s == AT_OK && !at_conf_has(f, "train.steps"))
        s = at_conf_set(c, f, "train.steps=1", "bench decode");
    if (s == AT_OK) s = at_recipe_bind(c, f, false, &r);
    if (s == AT_OK) s = at_model_new(c, f, "model", VOCAB, 1, m);
    if (s == AT_OK) s = at_conf_finish(c, f);
    return s;
}

static void describe(const at_model *m, at_bench_decode *out) {
    (void)snprintf(out->arch, sizeof out->arch, "%s", m->arch->name);
    (void)snprintf(out->shape, sizeof out->shape, "layers %lld, width %lld, vocabulary %lld",
                   (long long)m->dims.layers, (long long)m->dims.width, (long long)m->dims.vocab);
    out->parameters = at_model_numel(m);
    out->vocab = m->dims.vocab;
}

at_status at_bench_decode_run(at_ctx *c, const char *dir, at_conf *recipe, int64_t tokens,
                              at_bench_decode *out) {
    *out = (at_bench_decode){0};
    if (tokens < 1 || tokens > AT_DECODE_MAX)
        return at_error(c, AT_ARG, "%lld tokens: expected 1 to %d", (long long)tokens,
                        AT_DECODE_MAX);
    at_compute cp;
    at_lm *lm = NULL;
    at_model *made = NULL;
    at_status s = at_compute_open(&cp, c);
    if (s != AT_OK) return s;
    const double began = at_now();
    s = dir ? at_lm_load(c, dir, &lm) : make(c, recipe, &made);
    out->load_s = at_now() - began;
    if (s == AT_OK) {
        at_voice v = {.model = made};
        if (dir) s = at_lm_voice(c, lm, NULL, 0, &v);
        at_model *m = v.model;
        const at_workload token = {.B = 1, .T = 1};
        at_estimate e;
        if (s == AT_OK) describe(m, out);
        if (s == AT_OK) s = at_model_estimate(&cp, m, &token, &e);
        out->active = e.active;
        if (s == AT_OK) s = measure(&cp, m, tokens, out);
    }
    at_lm_close(lm);
    at_model_close(made);
    at_compute_close(&cp);
    if (s != AT_OK) return s;
    out->tokens_per_s = 1 / (out->time.median + out->sampling.median);
    out->gbytes = out->bytes / out->time.median * 1e-9;
    out->bound = out->peak * 1e9 / out->bytes;
    out->percent *= 100 * 1e-9 * out->bytes;
    return AT_OK;
}
