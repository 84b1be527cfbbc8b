/* bench_step.c - times at_trainer_step on a data set of random tokens in memory. */
#include "bench/bench_step.h"
#include "arch/estimate.h"
#include "base/rng.h"
#include "kernel/peak.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { VOCAB = 8192, STEPS_MAX = 1000 };

static const char *const defaults[] = {
    "data.train=random", "train.steps=1000000", "model.arch=gpt2",       "model.n_layer=6",
    "model.n_embd=384",  "model.n_head=6",      "model.n_positions=256",
};

static int by_value(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static at_status measure(at_trainer *t, int64_t steps, at_bench_step *out) {
    double seconds[STEPS_MAX];
    at_step_report rep;
    for (int64_t i = -2; i < steps; i++) {
        const at_status s = at_trainer_step(t, &rep);
        if (s != AT_OK) return s;
        if (at_interrupted(t->ctx)) return at_error(t->ctx, AT_INTERRUPTED, "interrupted");
        if (i >= 0) seconds[i] = rep.seconds;
    }
    qsort(seconds, (size_t)steps, sizeof *seconds, by_value);
    out->min = seconds[0];
    out->median = seconds[steps / 2];
    out->tokens = rep.tokens;
    out->tokens_per_s = (double)rep.tokens / out->median;
    return AT_OK;
}

static at_status with_model(at_ctx *c, at_compute *cp, const at_recipe *r, at_model *m,
                            int64_t steps, at_bench_step *out) {
    const int64_t n = r->train.context * r->train.batch * 8 + 1;
    const int64_t vocab = m->dims.vocab < VOCAB ? m->dims.vocab : VOCAB;
    uint16_t *ids = at_malloc(c, (size_t)n * sizeof *ids);
    if (!ids) return AT_OOM;
    for (int64_t i = 0; i < n; i++)
        ids[i] = (uint16_t)at_rand_below((uint64_t)vocab, 1, AT_STREAM_TEST, (uint64_t)i);
    at_domain domain = {.name = "random"};
    domain.shard[AT_TRAIN] = (at_shard){.width = 2, .token = ids, .n_tokens = n};
    const at_dataset data = {
        .path = "random", .tokenizer_hash = "", .vocab = vocab, .n_domains = 1, .domain = &domain};
    at_learner l;
    at_trainer t = {0};
    at_status s = at_learner_open(c, r, m, (at_teacher){0}, &data, &l);
    if (s == AT_OK) s = at_trainer_open(c, cp, r, &l, 1, &t);
    if (s == AT_OK) s = measure(&t, steps, out);
    at_trainer_close(&t);
    at_learner_close(&l);
    at_free(ids);
    return s;
}

at_status at_bench_step_run(at_ctx *c, at_conf *f, int64_t steps, at_bench_step *out) {
    at_recipe r;
    at_compute cp;
    at_model *m = NULL;
    *out = (at_bench_step){0};
    if (steps < 1 || steps > STEPS_MAX)
        return at_error(c, AT_ARG, "%lld steps: expected 1 to %d", (long long)steps, STEPS_MAX);
    at_status s = AT_OK;
    const bool named = at_conf_has(f, "model.arch"); /* then the defaults for gpt2 do not apply */
    for (size_t i = 0; i < sizeof defaults / sizeof *defaults && s == AT_OK; i++) {
        char key[64];
        (void)snprintf(key, sizeof key, "%.*s", (int)strcspn(defaults[i], "="), defaults[i]);
        if (named && !strncmp(key, "model.", 6)) continue;
        if (!at_conf_has(f, key)) s = at_conf_set(c, f, defaults[i], "default of bench step");
    }
    if (s == AT_OK) s = at_recipe_bind(c, f, false, &r);
    if (s == AT_OK) s = at_model_new(c, f, "model", VOCAB, 1, &m);
    if (s == AT_OK) s = at_conf_finish(c, f);
    if (s == AT_OK) s = at_compute_open(&cp, c);
    if (s != AT_OK) {
        at_model_close(m);
        return s;
    }
    at_estimate e;
    const at_workload w = {.B = r.train.batch, .T = r.train.context, .train = true};
    s = with_model(c, &cp, &r, m, steps, out);
    if (s == AT_OK) s = at_model_estimate(&cp, m, &w, &e);
    if (s == AT_OK) {
        (void)snprintf(out->arch, sizeof out->arch, "%s", m->arch->name);
        (void)snprintf(out->shape, sizeof out->shape,
                       "layers %lld, width %lld, vocabulary %lld, context %lld, batch %lld",
                       (long long)m->dims.layers, (long long)m->dims.width,
                       (long long)m->dims.vocab, (long long)r.train.context,
                       (long long)r.train.batch);
        out->parameters = at_model_numel(m);
        out->flops = (e.forward + e.backward) * (double)r.train.accumulate;
        out->gflops = out->flops / out->median * 1e-9;
        out->peak_gflops = at_fma_peak(c, c->threads);
        out->percent_of_peak = 100 * out->gflops / out->peak_gflops;
    }
    at_model_close(m);
    at_compute_close(&cp);
    return s;
}
