/* plan.c - estimates sizes by a dry run and time from a measured peak, and warns about unusual
   settings. */
#include "train/plan.h"
#include "arch/estimate.h"
#include "kernel/peak.h"
#include "train/recipe.h"
#include "train/task.h"
#include "train/teachers.h"
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Share of the multiply-add peak that a step is assumed to reach (see bench/RESULTS.md). */
static const double REACHED = 0.5;

typedef struct {
    at_ctx *c;
    const at_recipe *r;
    at_model *m;
    at_teachers *teachers;
    at_model *along;        /* the only teacher, if it is a model that reads all of the text */
    const at_dataset *data; /* of text; or        */
    const at_data *rows;    /* of a task on rows  */
    at_json *j;
    double numel, trained; /* parameters in all; those that are not frozen */
    double tokens, have;   /* that are read, or rows; have: those of the data */
    at_estimate step;      /* of one micro-batch */
    bool timed;
} plan;

static void doubt(plan *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void doubt(plan *p, const char *fmt, ...) {
    char text[256];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    at_json_put_string(p->j, NULL, text);
}

static double embedding(const at_model *m) { return (double)(m->dims.vocab * m->dims.width); }

static void sizes(plan *p) {
    const at_dims *d = &p->m->dims;
    at_json_put_string(p->j, "arch", p->m->arch->name);
    at_json_put_number(p->j, "parameters", p->numel);
    at_json_put_number(p->j, "active", p->step.active);
    at_json_put_number(p->j, "vocabulary", (double)d->vocab);
    at_json_put_number(p->j, "steps", (double)p->r->train.steps);
    at_json_put_number(p->j, "tokens_per_step", p->tokens / (double)p->r->train.steps);
    at_json_put_number(p->j, "tokens", p->tokens);
    at_json_put_number(p->j, "tokens_per_parameter", p->tokens / p->numel);
    at_json_put_number(p->j, "first_loss", log((double)d->vocab));
}

/* The same of a model that reads rows. */
static void sizes_of_rows(plan *p) {
    const at_dims *d = &p->m->dims;
    const double batch = (double)p->r->train.batch;
    at_json_put_string(p->j, "arch", p->m->arch->name);
    at_json_put_number(p->j, "parameters", p->numel);
    at_json_put_number(p->j, "active", p->step.active);
    at_json_put_number(p->j, "inputs", (double)d->inputs);
    at_json_put_number(p->j, "outputs", (double)d->vocab);
    at_json_put_number(p->j, "steps", (double)p->r->train.steps);
    at_json_put_number(p->j, "rows_per_step", p->tokens / (double)p->r->train.steps);
    at_json_put_number(p->j, "rows", p->tokens);
    at_json_put_number(p->j, "data_rows", p->have);
    at_json_put_number(p->j, "epochs", p->tokens / p->have);
    at_json_put_number(p->j, "first_loss", d->vocab > 1 ? log((double)d->vocab) : 1);
    at_json_put_number(p->j, "flops_per_row", (p->step.forward + p->step.backward) / batch);
}

static void memory(plan *p) {
    const double size = sizeof(at_real);
    const double values = size * p->numel, moments = 2 * size * p->trained;
    const double grads = size * p->trained;
    /* two buffers */
    const double kinds = p->m->dims.one_cache ? 1 : 2, history = (double)p->r->train.history;
    const double a_key = size * (double)(p->m->dims.layers * p->m->dims.cache_width) * kinds;
    const double kept = 2 * a_key * (double)(p->r->train.batch * p->r->train.accumulate) * history;
    double teacher = 0;
    for (int i = 0; i < p->teachers->n; i++)
        if (p->teachers->one[i].model)
            teacher += size * (double)at_model_numel(p->teachers->one[i].model);
    const double best = p->rows ? values : 0; /* the model of the best validation */
    const double total = values + grads + moments + p->step.bytes + teacher + kept + best;
    at_json_begin_object(p->j, "memory_bytes");
    at_json_put_number(p->j, "parameters", values);
    at_json_put_number(p->j, "gradients", grads);
    at_json_put_number(p->j, "moments", moments);
    at_json_put_number(p->j, "activations", p->step.bytes);
    if (teacher > 0) at_json_put_number(p->j, "teacher", teacher);
    if (history > 0) at_json_put_number(p->j, "history", kept);
    if (p->rows) at_json_put_number(p->j, "best_model", best);
    at_json_put_number(p->j, "total", total);
    at_json_end(p->j);
    at_json_put_number(p->j, "disk_bytes",
                       values * ((double)p->r->train.keep + 1) +
                           (moments + best) * (double)p->r->train.keep +
                           kept / 2 * (double)p->r->train.keep);
}

static void work(plan *p) {
    const double passes = (double)(p->r->train.steps * p->r->train.accumulate);
    const double flops = (p->step.forward + p->step.backward) * passes;
    at_json_put_number(p->j, "flops", flops);
    if (!p->timed) return;
    const double peak = 1e9 * at_fma_peak(p->c, p->c->threads);
    at_json_put_number(p->j, "peak_flops_per_s", peak);
    at_json_put_number(p->j, "assumed_share_of_peak", REACHED);
    at_json_put_number(p->j, "seconds", flops / (REACHED * peak));
}

static void suspect(plan *p) {
    const at_dims *d = &p->m->dims;
    const at_recipe *r = p->r;
    at_json_begin_list(p->j, "doubts");
    if (p->have > 0 && p->tokens > 8 * p->have)
        doubt(p, "the data is read %.1f times: the model will learn it by heart",
              p->tokens / p->have);
    if (d->head_size > 0 && d->head_size < 16)
        doubt(p, "heads of size %lld are small: fewer, wider heads learn and run better",
              (long long)d->head_size);
    if (d->layers > d->width / 4)
        doubt(p, "%lld layers of width %lld: deep and thin models are slow and hard to train",
              (long long)d->layers, (long long)d->width);
    if (embedding(p->m) > 0.6 * p->numel)
        doubt(p, "%.0f %% of the parameters are the vocabulary's: a smaller one, or a wider model",
              100 * embedding(p->m) / p->numel);
    if (p->tokens < 2 * p->numel)
        doubt(p, "%.1f tokens a parameter are few; about 20 are usual", p->tokens / p->numel);
    if (r->train.lr > 5e-3) doubt(p, "lr %g is high: the loss may explode", r->train.lr);
    if (r->train.lr < 1e-5) doubt(p, "lr %g is low: little will be learnt", r->train.lr);
    if (!d->any_length && r->train.context < d->context / 4)
        doubt(p,
              "trained on %lld tokens at a time, the model takes %lld: later positions stay "
              "untrained",
              (long long)r->train.context, (long long)d->context);
    if (r->train.history && !d->history)
        doubt(p, "train.history: %s reads each sequence by itself: the run will be refused",
              p->m->arch->name);
    if (r->train.warmup == 0) doubt(p, "no warm-up: Adam's first steps are large");
    if (r->train.clip == 0) doubt(p, "gradients are not clipped");
    at_json_end(p->j);
}

static void suspect_rows(plan *p) {
    const at_recipe *r = p->r;
    at_json_begin_list(p->j, "doubts");
    if (p->numel > 20 * p->have)
        doubt(p, "%.0f parameters for each of %.0f rows: fewer experts, or narrower ones",
              p->numel / p->have, p->have);
    if ((double)(r->train.batch * r->train.accumulate) > p->have)
        doubt(p, "a step reads %lld rows, of %.0f that there are",
              (long long)(r->train.batch * r->train.accumulate), p->have);
    if (r->train.lr > 5e-2) doubt(p, "lr %g is high: the loss may explode", r->train.lr);
    if (r->train.lr < 1e-5) doubt(p, "lr %g is low: little will be learnt", r->train.lr);
    if (r->table.validation == 0)
        doubt(p, "no rows for validation: the model is the last one, not the best");
    if (!r->table.test && r->table.test_share == 0)
        doubt(p, "no rows for a test: how good the model is will not be known");
    at_json_end(p->j);
}

static void about_data(plan *p) {
    for (int i = 0; i < p->data->n_domains; i++) {
        const char *name = p->data->domain[i].name;
        bool used = p->r->data.domains.n == 0;
        for (int64_t k = 0; k < p->r->data.domains.n; k++)
            used |= !strcmp(p->r->data.domains.item[k], name);
        if (used) p->have += (double)p->data->domain[i].shard[AT_TRAIN].n_tokens;
    }
    at_json_put_number(p->j, "data_tokens", p->have);
    if (p->have > 0) at_json_put_number(p->j, "epochs", p->tokens / p->have);
}

/* Modules are called so where the recipe does not name them. */
static at_status domains_as_modules(at_ctx *c, at_conf *f, const at_recipe *r,
                                    const at_dataset *d) {
    if (r->data.domains.n) return at_recipe_modules(c, f, r->data.domains.item, r->data.domains.n);
    char **name = at_calloc(c, (size_t)d->n_domains, sizeof *name);
    for (int i = 0; name && i < d->n_domains; i++) name[i] = (char *)(uintptr_t)d->domain[i].name;
    const at_status s = name ? at_recipe_modules(c, f, name, d->n_domains) : AT_OOM;
    at_free(name);
    return s;
}

static at_status open_parts(at_ctx *c, at_conf *f, const at_recipe *r, at_dataset **data,
                            at_model **m, at_teachers *teachers) {
    at_status s = at_dataset_open(c, r->data.train, data);
    if (s != AT_OK) return s;
    s = domains_as_modules(c, f, r, *data);
    if (s == AT_OK)
        s = r->top.init ? at_model_load(c, r->top.init, false, m)
                        : at_model_outline(c, f, "model", (*data)->vocab, m);
    if (s == AT_OK) s = at_recipe_freeze(c, f, r, &(*m)->store);
    if (s == AT_OK && r->distilling) s = at_teachers_open(c, r, *data, teachers);
    return s == AT_OK ? at_conf_finish(c, f) : s;
}

/* Of a task on rows: the file is read, so that its columns and rows are known. */
static at_status open_rows(at_ctx *c, at_conf *f, at_recipe *r, at_data *data, at_model **m) {
    const at_task *task = at_tasks[r->top.task];
    if (r->distilling)
        return at_error(c, AT_UNSUPPORTED, "distill: the task %s has no teachers", task->name);
    at_status s = task->open_data(c, r, data);
    if (s != AT_OK) return s;
    task->settle(r, data);
    s = at_recipe_sizes(c, f, data->inputs, data->outputs, data->image);
    if (s == AT_OK)
        s = r->top.init ? at_model_load(c, r->top.init, false, m)
                        : at_model_outline(c, f, "model", data->outputs, m);
    if (s == AT_OK) s = task->check_model(c, r, data, *m, r->top.init ? r->top.init : "the model");
    if (s == AT_OK) s = at_recipe_freeze(c, f, r, &(*m)->store);
    return s == AT_OK ? at_conf_finish(c, f) : s;
}

/* One of the domains', and the common one. */
static uint64_t modules_of_a_step(const at_model *m) {
    const at_modules l = at_model_modules(m);
    return l.n ? 1 | (l.common ? UINT64_C(1) << l.n : 0) : 0;
}

/* Share of the sequences that a teacher reads. */
static double share_of(const plan *p, const at_tutor *t) {
    const at_recipe *r = p->r;
    double all = 0, his = 0;
    for (int i = 0; i < p->data->n_domains; i++) {
        double weight = r->data.domains.n ? 0 : 1;
        if (!r->data.domains.n && r->data.weights.n == p->data->n_domains)
            weight = (double)r->weight[i];
        for (int64_t k = 0; k < r->data.domains.n; k++)
            if (!strcmp(r->data.domains.item[k], p->data->domain[i].name))
                weight = r->data.weights.n > k ? (double)r->weight[k] : 1;
        all += weight;
        his += t->domain[i] ? weight : 0;
    }
    return all > 0 ? his / all : 0;
}

/* A teacher who reads a part of the text, or beside others; captured logits cost nothing. */
static at_status try_teacher(plan *p, at_compute *cp, const at_tutor *t) {
    at_estimate e;
    const at_workload w = {.B = p->r->train.batch, .T = p->r->train.context};
    if (!t->model) return AT_OK;
    const at_status s = at_model_estimate(cp, t->model, &w, &e);
    p->step.forward += share_of(p, t) * e.forward;
    return s;
}

/* A text that the student writes costs it as much as reading one, in products that are slower. */
static at_status try_writing(plan *p, at_compute *cp) {
    at_estimate e;
    const at_workload w = {.B = p->r->train.batch, .T = p->r->train.context};
    if (p->r->distill.on_policy == 0) return AT_OK;
    const at_status s = at_model_estimate(cp, p->m, &w, &e);
    p->step.forward += p->r->distill.on_policy * e.forward;
    return s;
}

/* What a micro-batch costs, with all that is read beside it. */
static at_status try_step(plan *p) {
    const at_workload w = {.B = p->r->train.batch,
                           .T = p->rows ? 1 : p->r->train.context,
                           .train = true,
                           .history = p->m->dims.history ? p->r->train.history : 0,
                           .teacher = p->along,
                           .modules = modules_of_a_step(p->m)};
    at_compute cp;
    at_status s = at_compute_open(&cp, p->c);
    if (s != AT_OK) return s;
    s = at_model_estimate(&cp, p->m, &w, &p->step);
    if (s == AT_OK && p->r->distilling) s = try_writing(p, &cp);
    for (int i = 0; i < p->teachers->n && s == AT_OK && !p->along; i++)
        s = try_teacher(p, &cp, &p->teachers->one[i]);
    at_compute_close(&cp);
    return s;
}

/* With the sizes known. */
static void tell(plan *p) {
    if (p->rows)
        sizes_of_rows(p);
    else
        sizes(p);
    if (!p->rows) about_data(p);
    memory(p);
    work(p);
    if (p->rows)
        suspect_rows(p);
    else
        suspect(p);
}

at_status at_plan(at_ctx *c, at_conf *f, bool distilling, bool timed, at_json *j) {
    at_recipe r;
    at_dataset *data = NULL;
    at_model *m = NULL;
    at_data rows = {0};
    at_teachers teachers = {0};
    at_status s = at_recipe_bind(c, f, distilling, &r);
    const bool of_rows = s == AT_OK && at_tasks[r.top.task]->tables;
    if (s == AT_OK)
        s = of_rows ? open_rows(c, f, &r, &rows, &m) : open_parts(c, f, &r, &data, &m, &teachers);
    if (s == AT_OK) {
        plan p = {.c = c, .r = &r, .m = m, .teachers = &teachers, .data = data, .timed = timed};
        p.j = j;
        if (teachers.n == 1 && share_of(&p, &teachers.one[0]) >= 1) p.along = teachers.one[0].model;
        p.numel = (double)at_model_numel(m);
        p.trained = (double)at_store_trained(&m->store);
        p.rows = of_rows ? &rows : NULL;
        p.have = (double)rows.samples;
        p.tokens = (double)r.train.steps * (double)(r.train.batch * r.train.accumulate) *
                   (of_rows ? 1 : (double)r.train.context);
        s = try_step(&p);
        if (s == AT_OK) tell(&p);
    }
    at_model_close(m);
    at_teachers_close(&teachers);
    at_dataset_close(data);
    if (of_rows && rows.set) at_tasks[r.top.task]->close_data(&rows);
    return s;
}
