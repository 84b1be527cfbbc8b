/* trainer.c - the training step. */
#include "train/trainer.h"
#include "base/clock.h"
#include <math.h>

static bool has(const at_trainer *t, const at_store *s) {
    for (int i = 0; i < t->n_stores; i++)
        if (t->store[i] == s) return true;
    return false;
}

/* Every store of every learner once, in the order in which they come. */
static at_status collect_stores(at_trainer *t) {
    at_status s = AT_OK;
    int n = 0;
    for (int k = 0; k < t->n_learners; k++) {
        const int64_t own = t->learner[k].recipe->train.accumulate;
        if (own != t->recipe->train.accumulate)
            return at_error(t->ctx, AT_CONFIG,
                            "learner %d makes a step of %lld micro-batches, the trainer of %lld", k,
                            (long long)own, (long long)t->recipe->train.accumulate);
        n += t->learner[k].n_stores;
    }
    if (!(t->store = at_calloc(t->ctx, (size_t)n, sizeof(at_store *)))) return AT_OOM;
    for (int k = 0; k < t->n_learners; k++) {
        const at_learner *l = &t->learner[k];
        for (int i = 0; i < l->n_stores && s == AT_OK; i++) {
            if (has(t, l->store[i])) continue;
            t->store[t->n_stores++] = l->store[i];
            s = at_store_train(l->store[i], true);
        }
    }
    return s;
}

at_status at_trainer_open(at_ctx *c, at_compute *cp, const at_recipe *r, at_learner *learner,
                          int n_learners, at_trainer *t) {
    *t =
        (at_trainer){.ctx = c, .cp = cp, .recipe = r, .learner = learner, .n_learners = n_learners};
    at_arena_init(&t->arena, c);
    t->optim = (at_optim){.rule = at_optimisers[r->train.optimizer],
                          .beta1 = r->train.beta1,
                          .beta2 = r->train.beta2,
                          .eps = r->train.eps,
                          .weight_decay = r->train.weight_decay,
                          .momentum = r->train.momentum,
                          .muon_scale = r->train.muon_scale,
                          .clip = r->train.clip};
    return collect_stores(t);
}

void at_trainer_close(at_trainer *t) {
    at_arena_close(&t->arena);
    at_free(t->store);
}

static void report_usage(const at_trainer *t, at_step_report *out) {
    int64_t routers = 0;
    for (int k = 0; k < t->n_learners; k++) {
        const at_learner *l = &t->learner[k];
        for (int64_t i = 0; i < l->usage.n && !l->idle; i++) {
            at_usage_report u;
            if (!l->usage.router[i].tokens) continue; /* of a module that the step left out */
            at_usage_summary(&l->usage.router[i], NULL, &u);
            out->load_entropy += u.load_entropy;
            out->dead += u.dead;
            routers++;
        }
    }
    out->mixture = routers > 0;
    if (routers) out->load_entropy /= (double)routers;
}

/* Refuses a step that would damage the parameters. */
static at_status guard(at_trainer *t, const at_step_report *out) {
    const at_train_state *p = &t->progress;
    const double limit = t->recipe->train.spike;
    const long long step = (long long)p->step + 1;
    if (!isfinite(out->loss) || !isfinite(out->norm))
        return at_error(t->ctx, AT_NUMERIC,
                        "step %lld: loss %g, gradient norm %g; the parameters are as they were "
                        "before it.  Try a lower train.lr, or train.clip",
                        step, out->loss, out->norm);
    if (limit > 0 && p->loss_n >= 20 && !out->own_text && out->steady > p->loss_mean + limit)
        return at_error(t->ctx, AT_NUMERIC,
                        "step %lld: the loss jumped to %.4f from a running mean of %.4f (more than "
                        "train.spike = %g); the parameters are as they were before it.  Try a "
                        "lower train.lr, or train.clip",
                        step, out->steady, p->loss_mean, limit);
    return AT_OK;
}

/* Losses and gradients of all learners that take part. */
static at_status gradients(at_trainer *t, int n, at_step_report *out) {
    const int64_t accumulate = t->recipe->train.accumulate;
    const double share = 1 / (double)(accumulate * n);
    at_place at = {.ctx = t->ctx,
                   .cp = t->cp,
                   .arena = &t->arena,
                   .step = t->progress.step,
                   .n = t->n_learners};
    at_status s = AT_OK;
    for (int64_t i = -1; i < accumulate; i++) /* -1: what comes before the first micro-batch */
        for (at.k = 0; at.k < t->n_learners && s == AT_OK; at.k++) {
            at_learner *l = &t->learner[at.k];
            if (l->idle) continue;
            s = i < 0 ? at_learner_begin_step(l, &at)
                      : at_learner_micro_batch(l, &at, i, share, out);
        }
    return s;
}

static double norm_of_gradients(const at_trainer *t) {
    double squares = 0;
    for (int i = 0; i < t->n_stores; i++) squares += at_grad_squares(t->cp, t->store[i]);
    return sqrt(squares);
}

static at_status change(at_trainer *t, at_step_report *out) {
    const at_recipe *r = t->recipe;
    at_train_state *p = &t->progress;
    at_status s = AT_OK;
    out->lr = r->train.lr * at_schedule_factor(at_schedules[r->train.schedule], p->step,
                                               r->train.steps, r->train.warmup, r->train.floor);
    for (int i = 0; i < t->n_stores && s == AT_OK; i++)
        s = at_optim_step(t->cp, t->store[i], &t->optim, out->lr, out->norm);
    if (s != AT_OK) return s;
    for (int k = 0; k < t->n_learners; k++)
        if (!t->learner[k].idle) at_learner_end_step(&t->learner[k]);
    const double weight = p->loss_n < 50 ? 1 / (double)(p->loss_n + 1) : 0.02;
    if (!out->own_text) { /* losses of other text are of another kind */
        p->loss_mean += weight * (out->steady - p->loss_mean);
        p->loss_n++;
    }
    p->step++;
    p->tokens += out->tokens;
    return AT_OK;
}

at_status at_trainer_step(at_trainer *t, at_step_report *out) {
    const double began = at_now();
    int n = 0;
    *out = (at_step_report){0};
    for (int k = 0; k < t->n_learners; k++) {
        const at_recipe *r = t->learner[k].recipe;
        if (t->learner[k].idle) continue;
        out->tokens += t->learner[k].per_batch * r->train.accumulate;
        n++;
    }
    if (!n) return at_error(t->ctx, AT_ARG, "a step: every learner is idle");
    for (int i = 0; i < t->n_stores; i++) at_store_zero_grad(t->store[i]);
    at_status s = gradients(t, n, out);
    if (s != AT_OK) return s;
    report_usage(t, out);
    if (out->taught > 0 && out->taught < 0.999) out->kd /= out->taught;
    out->norm = norm_of_gradients(t);
    s = guard(t, out);
    if (s == AT_OK) s = change(t, out);
    out->seconds = at_now() - began;
    if (s == AT_OK) t->progress.seconds += out->seconds;
    return s;
}
