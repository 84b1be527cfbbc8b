/* fit.c - a model, and its steps. */
#include "train/fit.h"

at_status at_fit_model(at_ctx *c, at_conf *f, const at_recipe *r, const at_data *d,
                       at_model **out) {
    const at_task *task = at_tasks[r->top.task];
    at_status s = at_recipe_modules(c, f, d->part, d->parts);
    if (s == AT_OK && d->inputs) s = at_recipe_sizes(c, f, d->inputs, d->outputs, d->image);
    if (s == AT_OK)
        s = r->top.init ? at_model_load(c, r->top.init, true, out)
                        : at_model_new(c, f, "model", d->outputs, (uint64_t)r->top.seed, out);
    if (s == AT_OK) s = task->check_model(c, r, d, *out, r->top.init ? r->top.init : "the model");
    return s == AT_OK ? at_recipe_freeze(c, f, r, &(*out)->store) : s;
}

static bool due(int64_t step, int64_t every) { return every > 0 && step % every == 0; }

static bool done(const at_learner *l) { return l->task->done && l->task->done(l); }

static at_status unheard(void *user, const char *part, double loss, double accuracy) {
    (void)user;
    (void)part;
    (void)loss;
    (void)accuracy;
    return AT_OK;
}

at_status at_fit_steps(at_trainer *t, const at_fit_events *e) {
    const at_recipe *r = t->recipe;
    at_train_state *p = &t->progress;
    at_learner *l = t->learner;
    const at_score_fn score = e->score ? e->score : unheard;
    int64_t saved = p->step ? p->step : -1;
    at_status s = AT_OK;
    const int64_t end = e->stop && e->stop < r->train.steps ? e->stop : r->train.steps;
    while (p->step < end && s == AT_OK && !done(l) && !at_interrupted(t->ctx)) {
        at_step_report rep;
        if ((s = at_trainer_step(t, &rep)) != AT_OK) return s;
        if (e->step) s = e->step(e->user, &rep);
        const bool last = p->step == r->train.steps;
        if (s == AT_OK && (last || due(p->step, r->train.eval_every)))
            s = l->task->evaluate(l, t->ctx, t->cp, score, e->user);
        if (s == AT_INTERRUPTED) s = AT_OK; /* the step itself is complete: save it below */
        if (s == AT_OK && e->save && (last || due(p->step, r->train.save_every))) {
            s = e->save(e->user);
            saved = p->step;
        }
    }
    if (s != AT_OK || p->step >= end || done(l)) return s;
    if (e->save && p->step > 0 && saved != p->step) s = e->save(e->user);
    if (s != AT_OK) return s;
    return at_error(t->ctx, AT_INTERRUPTED,
                    "interrupted at step %lld of %lld; continue with --resume", (long long)p->step,
                    (long long)r->train.steps);
}

at_status at_fit_open(at_ctx *c, at_compute *cp, at_conf *f, const at_data *d, at_fit *out) {
    *out = (at_fit){0};
    at_recipe *r = &out->recipe;
    at_status s = at_recipe_bind_all(c, f, false, r);
    if (s != AT_OK) return s;
    const at_task *task = at_tasks[r->top.task];
    if (task->settle) task->settle(r, d);
    s = at_fit_model(c, f, r, d, &out->model);
    if (s == AT_OK) s = at_learner_open(c, r, out->model, (at_teacher){0}, d->set, &out->learner);
    if (s == AT_OK) s = at_trainer_open(c, cp, r, &out->learner, 1, &out->trainer);
    return s;
}

at_status at_fit_run(at_fit *f) {
    const at_status s = at_fit_steps(&f->trainer, &(at_fit_events){0});
    if (s == AT_OK && f->learner.task->conclude) f->learner.task->conclude(&f->learner);
    return s;
}

void at_fit_close(at_fit *f) {
    at_trainer_close(&f->trainer);
    at_learner_close(&f->learner);
    at_model_close(f->model);
    *f = (at_fit){0};
}
