/* task_lm.c - language models: the next token of windows of text, with or without a teacher. */
#include "train/task_lm.h"
#include "base/file.h"
#include "base/ints.h"
#include "base/rng.h"
#include "infer/evaluate.h"
#include "io/safetensors.h"
#include "train/lm_data.h"
#include "train/own_text.h"
#include <math.h>
#include <stdio.h>

enum { STRETCH = 4 }; /* default length of a stretch, in lengths of history */

/* ---- a learner ------------------------------------------------------------------------ */

static at_status check_history(at_ctx *c, const at_learner *l) {
    const at_recipe *r = l->recipe;
    const at_dims *d = &l->model->dims;
    if (!d->history)
        return at_error(c, AT_CONFIG,
                        "train.history: %s reads each sequence by itself; only stick-breaking "
                        "attention looks back beyond it",
                        l->model->arch->name);
    if (l->teacher.kind)
        return at_error(
            c, AT_CONFIG,
            "train.history: a teacher reads each sequence by itself and would know less "
            "than its student");
    if (r->train.history + r->train.context > d->context)
        return at_error(c, AT_CONFIG,
                        "train.history is %lld and train.context %lld, together more than the %lld "
                        "tokens the model takes",
                        (long long)r->train.history, (long long)r->train.context,
                        (long long)d->context);
    return AT_OK;
}

/* One history a micro-batch: its sequences are its own from step to step. */
static at_status open_history(at_ctx *c, const at_learner *l, at_lm_batches *b) {
    const at_recipe *r = l->recipe;
    const at_dims *d = &l->model->dims;
    const int64_t n = r->train.accumulate;
    if (!r->train.history) return AT_OK;
    /* A stretch begins without history: long ones see more of it, short ones mix the text better. */
    const int64_t full = (r->train.history + r->train.context - 1) / r->train.context;
    const int64_t stretch = r->train.stretch ? r->train.stretch : STRETCH * full;
    at_status s = check_history(c, l);
    if (s == AT_OK) s = at_sampler_consecutive(c, &b->sampler, n, stretch);
    if (s != AT_OK) return s;
    b->kept = at_calloc(c, (size_t)r->train.batch, sizeof *b->kept);
    b->history = at_calloc(c, (size_t)n, sizeof *b->history);
    if (!b->kept || !b->history) return AT_OOM;
    b->histories = n;
    for (int64_t i = 0; i < n && s == AT_OK; i++)
        s = at_history_open(c, d->layers, d->cache_width, d->one_cache, r->train.batch,
                            r->train.history, &b->history[i]);
    return s;
}

/* Of a model of modules, for each domain its own and the common one. */
static at_status open_modules(at_ctx *c, const at_learner *l, at_lm_batches *b) {
    const at_modules m = at_model_modules(l->model);
    const at_sampler *s = &b->sampler;
    if (!m.n && !m.common) return AT_OK;
    if (!(b->module = at_calloc(c, (size_t)s->n_domains, sizeof *b->module))) return AT_OOM;
    b->common = m.common ? UINT64_C(1) << m.n : 0;
    for (int i = 0; i < s->n_domains; i++) {
        const char *name = s->data->domain[s->domain[i]].name;
        const int k = at_model_module(l->model, name);
        if (k < 0 || k == m.n)
            return at_error(
                c, AT_CONFIG,
                "model.modules: none is called `%s`, which is a domain of the data: each "
                "needs a trunk of its name, or leave it out of data.domains",
                name);
        b->module[i] = UINT64_C(1) << k | b->common;
    }
    return AT_OK;
}

/* Domains in turns, or all of them in each batch. */
static at_status open_mix(at_ctx *c, const at_learner *l, at_lm_batches *b) {
    const at_recipe *r = l->recipe;
    const bool modules = b->module != NULL;
    if (modules && r->data.mix == AT_MIX_BALANCED)
        return at_error(
            c, AT_CONFIG,
            "data.mix: balanced: a batch of several domains has no trunk that all of it "
            "could go through; %s needs turns",
            l->model->arch->name);
    if (!modules && r->data.mix != AT_MIX_TURNS) return AT_OK;
    if (r->train.history)
        return at_error(c, AT_CONFIG,
                        "train.history: with data.mix: turns a sequence cannot continue "
                        "the text of the step before, which was of another domain");
    at_sampler_turns(&b->sampler, r->train.accumulate);
    return AT_OK;
}

static at_status open(at_learner *l, at_ctx *c, const void *set) {
    const at_recipe *r = l->recipe;
    const int64_t context = r->train.context, longest = l->model->dims.context;
    at_lm_batches *b = l->state = at_calloc(c, 1, sizeof *b);
    if (!b) return AT_OOM;
    if (context > longest)
        return at_error(c, AT_CONFIG,
                        "train.context is %lld, but the model takes at most %lld tokens",
                        (long long)context, (long long)longest);
    at_status s = at_sampler_init(c, &b->sampler, set, r->data.domains.item, r->data.domains.n,
                                  (uint64_t)r->top.seed, r->train.batch, context);
    b->sampler.aligned = r->train.windows == AT_WINDOWS_ALIGNED;
    if (s == AT_OK && l->teacher.kind) s = l->teacher.kind->begin(&l->teacher, c, r, &b->sampler);
    if (s == AT_OK && r->data.weights.n)
        s = at_sampler_weigh(c, &b->sampler, r->weight, r->data.weights.n);
    if (s == AT_OK) s = open_modules(c, l, b);
    if (s == AT_OK) s = open_mix(c, l, b);
    if (s == AT_OK && b->module && r->distilling && r->distill.on_policy > 0)
        s = at_error(c, AT_CONFIG, "distill.on_policy: %s does not write while it is trained",
                     l->model->arch->name);
    if (s == AT_OK) s = open_history(c, l, b);
    const size_t bytes = (size_t)(r->train.batch * context) * sizeof *b->input;
    if (s != AT_OK) return s;
    b->input = at_malloc(c, bytes);
    b->target = at_malloc(c, bytes);
    b->domain = at_malloc(c, (size_t)r->train.batch * sizeof *b->domain);
    b->start = at_malloc(c, (size_t)r->train.batch * sizeof *b->start);
    return b->input && b->target && b->domain && b->start ? AT_OK : AT_OOM;
}

static void close(at_learner *l) {
    at_lm_batches *b = at_lm_batches_of(l);
    if (!b) return;
    for (int64_t i = 0; i < b->histories; i++) at_history_close(&b->history[i]);
    at_free(b->history);
    at_free(b->kept);
    at_free(b->module);
    at_free(b->input);
    at_free(b->target);
    at_free(b->domain);
    at_free(b->start);
    at_free(b);
}

/* What of the model is run: in some steps without the common module, so that the others learn to do
   without it.  0: all there is. */
static uint64_t modules_of(const at_learner *l, const at_lm_batches *b, int64_t index) {
    const at_recipe *r = l->recipe;
    if (!b->module) return 0;
    const uint64_t all = b->module[at_sampler_turn(&b->sampler, index)];
    const uint64_t step = (uint64_t)(index / r->train.accumulate);
    const double share = at_model_modules(l->model).common_dropout;
    const bool without = at_uniform((uint64_t)r->top.seed, AT_STREAM_COMMON, step) < share;
    return without ? all & ~b->common : all;
}

static at_tensor *loss(at_learner *l, at_run *run, int64_t index, double text_weight, at_pass *p,
                       at_losses *out) {
    const at_recipe *r = l->recipe;
    const at_lm_batches *b = at_lm_batches_of(l);
    const at_input in = {.ids = b->input,
                         .B = r->train.batch,
                         .T = r->train.context,
                         .modules = modules_of(l, b, index)};
    at_sampler_batch(&b->sampler, index, b->input, b->target);
    if (l->own_text) {
        const at_status s =
            at_own_text_write(run->cp, l->model, (uint64_t)r->top.seed, index * in.B, in.B, in.T,
                              r->distill.on_policy_prompt, b->input);
        if (s != AT_OK) return at_fail(run, s, "%s", run->ctx->message);
    }
    if (b->history) {
        for (int64_t i = 0; i < in.B; i++) {
            const int64_t before = at_sampler_windows_before(&b->sampler, index, i) * in.T;
            b->kept[i] = (int32_t)at_min(before, r->train.history);
        }
        p->history = &b->history[index % b->histories];
        at_history_begin(p->history, b->kept);
    }
    const bool warm = index >= r->distill.warmup_steps * r->train.accumulate;
    at_head_spec spec = {
        .label = b->target,
        .alpha = text_weight,
        .norms = l->alpha.rule->norms,
        .weigh = at_learner_weighs(l) ? at_learner_weigh : NULL,
        .user = l,
        .kd = {.kind = (at_kd_kind)(warm ? r->distill.loss : r->distill.warmup_loss),
               .tau = r->distill.temperature,
               .skew = r->distill.skew,
               .weight = (at_token_weight)r->distill.token_weight}};
    const bool taught = !p->collect && at_learner_asks(l, text_weight);
    if (taught) {
        const at_lesson lesson = {&in, index, b->domain, b->start};
        at_sampler_places(&b->sampler, index, b->domain, b->start);
        l->teacher.kind->give(&l->teacher, run, &lesson, &spec);
        if (l->own_text)
            at_own_text_rows(run, in.B, in.T, r->distill.on_policy_prompt, b->input, b->target,
                             &spec);
    }
    at_tensor *x = at_model_hidden(l->model, run, &in, p);
    if (p->collect) return x;
    at_head_report rep = {0};
    x = at_head_loss(run, x, at_model_head(l->model), &spec, &rep);
    *out = (at_losses){rep.ce, rep.kd, rep.ce_norm, rep.kd_norm, taught};
    return x;
}

static at_status explain(const at_learner *l, at_ctx *c, at_status s) {
    return at_dataset_error(c, at_lm_batches_of(l)->sampler.data, s);
}

static int64_t own_step(const at_learner *l, int64_t step) {
    return at_sampler_steps_before(&at_lm_batches_of(l)->sampler, step);
}

static void stepped(at_learner *l) {
    at_lm_batches *b = at_lm_batches_of(l);
    for (int64_t i = 0; i < b->histories; i++) at_history_advance(&b->history[i]);
}

static at_status evaluate(at_learner *l, at_ctx *c, at_compute *cp, at_score_fn f, void *user) {
    const at_lm_batches *b = at_lm_batches_of(l);
    const at_sampler *smp = &b->sampler;
    const at_recipe *r = l->recipe;
    at_eval all = {0};
    at_status s = AT_OK;
    for (int i = 0; i < smp->n_domains && s == AT_OK; i++) {
        const at_domain *d = &smp->data->domain[smp->domain[i]];
        at_eval e = {.modules = b->module ? b->module[i] : 0};
        if (d->shard[AT_VALIDATION].n_tokens < 2) continue;
        s = at_eval_model(cp, l->model, &d->shard[AT_VALIDATION], r->train.context,
                          r->train.eval_windows, NULL, &e);
        s = at_dataset_error(c, smp->data, s);
        if (s == AT_OK) s = f(user, d->name, e.nats / (double)e.tokens, (double)NAN);
        all.nats += e.nats;
        all.tokens += e.tokens;
    }
    if (s != AT_OK || !all.tokens) return s;
    return f(user, "all", all.nats / (double)all.tokens, (double)NAN);
}

/* ---- keys and values of the blocks before, in a checkpoint ------------------------------- */

static at_status save(const at_learner *l, at_ctx *c, const char *dir) {
    const at_lm_batches *b = at_lm_batches_of(l);
    if (!b || !b->histories) return AT_OK;
    at_st_writer *w = NULL;
    char *path = at_join(c, dir, l->task->file);
    at_status s = path ? at_st_writer_open(c, path, &w) : AT_OOM;
    const at_dtype type = sizeof(at_real) == 4 ? AT_DT_F32 : AT_DT_F64;
    for (int64_t i = 0; i < b->histories && s == AT_OK; i++) {
        const at_history *h = &b->history[i];
        const int64_t dim[] = {h->layers * h->kinds, h->B, h->length, h->width};
        char name[40];
        (void)snprintf(name, sizeof name, "micro_batch.%lld", (long long)i);
        s = at_st_writer_add(c, w, name, type, 4, dim, h->now);
    }
    if (s == AT_OK) s = at_st_writer_commit(c, w);
    at_st_writer_close(w);
    at_free(path);
    return s;
}

static at_status read_history(at_ctx *c, const at_st *st, int64_t i, at_history *h) {
    char name[40];
    (void)snprintf(name, sizeof name, "micro_batch.%lld", (long long)i);
    const at_st_tensor *t = at_st_find(st, name);
    const int64_t dim[] = {h->layers * h->kinds, h->B, h->length, h->width};
    bool same = t && t->rank == 4;
    for (int k = 0; same && k < 4; k++) same = t->dim[k] == dim[k];
    if (!same)
        return at_error(c, AT_FORMAT, "%s: expected a tensor `%s` of shape [%lld,%lld,%lld,%lld]",
                        at_st_path(st), name, (long long)dim[0], (long long)dim[1],
                        (long long)dim[2], (long long)dim[3]);
    const at_status s = sizeof(at_real) == 4 ? at_st_to_f32(c, t, (float *)(void *)h->now)
                                             : at_st_to_f64(c, t, (double *)(void *)h->now);
    return s == AT_OK ? s : at_error_in(c, at_st_path(st));
}

static at_status load(at_learner *l, at_ctx *c, const char *dir) {
    at_lm_batches *b = at_lm_batches_of(l);
    if (!b || !b->histories) return AT_OK;
    at_st *st = NULL;
    char *path = at_join(c, dir, l->task->file);
    at_status s = path ? at_st_open(c, path, &st) : AT_OOM;
    if (s == AT_OK) s = at_st_verify(c, st);
    for (int64_t i = 0; i < b->histories && s == AT_OK; i++)
        s = read_history(c, st, i, &b->history[i]);
    at_st_close(st);
    at_free(path);
    return s;
}

const at_task at_task_lm = {.name = "lm",
                            .help = "the next token of text",
                            .shards = true,
                            .open_data = at_lm_data_open,
                            .close_data = at_lm_data_close,
                            .check_model = at_lm_data_check,
                            .sign_model = at_lm_data_sign,
                            .open = open,
                            .close = close,
                            .loss = loss,
                            .explain = explain,
                            .own_step = own_step,
                            .stepped = stepped,
                            .evaluate = evaluate,
                            .file = "history.safetensors",
                            .save = save,
                            .load = load};
