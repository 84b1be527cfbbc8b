/* trainer.c - the training step. */
#include "train/trainer.h"
#include "base/clock.h"
#include "base/rng.h"
#include <math.h>
#include <string.h>

enum { STRETCH = 4 }; /* default length of a stretch, in lengths of history */

/* The recipe's weights, or those of the model's configuration. */
static at_status aux_weights(at_ctx *c, const at_recipe *r, const at_model *m, at_aux *a) {
    *a = (at_aux){.factor = {1, 1}};
    if (!r->with_losses) {
        const double w = m->arch->aux ? m->arch->aux(m->config, a) : 0;
        for (int i = 0; i < AT_AUX_KINDS; i++) a->weight[i] *= w;
        return AT_OK;
    }
    if (!m->arch->aux)
        return at_error(c, AT_CONFIG, "losses: architecture %s has no routers", m->arch->name);
    a->weight[AT_AUX_MUTUAL] = r->losses.mutual_information;
    a->weight[AT_AUX_CONCENTRATION] = r->losses.concentration;
    a->weight[AT_AUX_SWITCH] = r->losses.balance;
    a->weight[AT_AUX_Z] = r->losses.z;
    a->factor[AT_LAYER_ATTENTION] = r->losses.attention;
    a->factor[AT_LAYER_FEED_FORWARD] = r->losses.feed_forward;
    return AT_OK;
}

/* One history a micro-batch: its sequences are its own from step to step. */
static at_status open_history(at_trainer *t) {
    const at_recipe *r = t->recipe;
    const at_dims *d = &t->model->dims;
    const int64_t n = r->train.accumulate;
    if (!r->train.history) return AT_OK;
    if (!d->history)
        return at_error(t->ctx, AT_CONFIG,
                        "train.history: %s reads each sequence by itself; only stick-breaking "
                        "attention looks back beyond it",
                        t->model->arch->name);
    if (t->teacher)
        return at_error(
            t->ctx, AT_CONFIG,
            "train.history: a teacher reads each sequence by itself and would know less "
            "than its student");
    if (r->train.history + r->train.context > d->context)
        return at_error(t->ctx, AT_CONFIG,
                        "train.history is %lld and train.context %lld, together more than the %lld "
                        "tokens the model takes",
                        (long long)r->train.history, (long long)r->train.context,
                        (long long)d->context);
    /* A stretch begins without history: long ones see more of it, short ones mix the text
       better. */
    const int64_t full = (r->train.history + r->train.context - 1) / r->train.context;
    const int64_t stretch = r->train.stretch ? r->train.stretch : STRETCH * full;
    at_status s = at_sampler_consecutive(t->ctx, &t->sampler, n, stretch);
    if (s != AT_OK) return s;
    t->kept = at_calloc(t->ctx, (size_t)r->train.batch, sizeof *t->kept);
    t->history = at_calloc(t->ctx, (size_t)n, sizeof *t->history);
    if (!t->kept || !t->history) return AT_OOM;
    for (int64_t i = 0; i < n && s == AT_OK; i++)
        s = at_history_open(t->ctx, d->layers, d->cache_width, d->one_cache, r->train.batch,
                            r->train.history, &t->history[i]);
    return s;
}

at_status at_trainer_open(at_ctx *c, at_compute *cp, const at_recipe *r, at_model *model,
                          at_model *teacher, const at_dataset *data, at_trainer *t) {
    *t = (at_trainer){.ctx = c, .cp = cp, .recipe = r, .model = model, .teacher = teacher};
    at_arena_init(&t->arena, c);
    t->optim = (at_optim){.rule = at_optimisers[r->train.optimizer],
                          .beta1 = r->train.beta1,
                          .beta2 = r->train.beta2,
                          .eps = r->train.eps,
                          .weight_decay = r->train.weight_decay,
                          .momentum = r->train.momentum,
                          .muon_scale = r->train.muon_scale,
                          .clip = r->train.clip};
    const int64_t shortest = teacher && teacher->dims.context < model->dims.context
                                 ? teacher->dims.context
                                 : model->dims.context;
    if (r->train.context > shortest)
        return at_error(c, AT_CONFIG, "train.context is %lld, but the %s takes at most %lld tokens",
                        (long long)r->train.context,
                        shortest == model->dims.context ? "model" : "teacher", (long long)shortest);
    at_status s = aux_weights(c, r, model, &t->aux);
    t->whole =
        r->losses.scope == AT_SCOPE_STEP && r->train.accumulate > 1 && at_aux_wanted(&t->aux);
    if (s == AT_OK)
        s = at_sampler_init(c, &t->sampler, data, r->data.domains.item, r->data.domains.n,
                            (uint64_t)r->top.seed, r->train.batch, r->train.context);
    t->usage.slots_only = true;
    if (s == AT_OK) s = open_history(t);
    if (s == AT_OK) s = at_store_train(&model->store, true);
    const size_t bytes = (size_t)(r->train.batch * r->train.context) * sizeof *t->input;
    if (s == AT_OK && !((t->input = at_malloc(c, bytes)) && (t->target = at_malloc(c, bytes))))
        s = AT_OOM;
    return s;
}

void at_trainer_close(at_trainer *t) {
    at_loads_close(&t->loads);
    at_usage_close(&t->usage);
    at_arena_close(&t->arena);
    for (int64_t i = 0; t->history && i < t->recipe->train.accumulate; i++)
        at_history_close(&t->history[i]);
    at_free(t->history);
    at_free(t->kept);
    at_free(t->input);
    at_free(t->target);
}

/* A run over micro-batch `index`, whose tokens are read; the same one each time. */
static at_input begin(at_trainer *t, int64_t index, at_run *run, at_pass *pass) {
    const at_recipe *r = t->recipe;
    const uint64_t seed = at_rand64((uint64_t)r->top.seed, AT_STREAM_DROPOUT, (uint64_t)index);
    at_sampler_batch(&t->sampler, index, t->input, t->target);
    at_run_init(run, t->cp, &t->arena, true, seed);
    *pass = (at_pass){.aux = &t->aux, .loads = t->whole ? &t->loads : NULL};
    const at_input in = {.ids = t->input, .B = r->train.batch, .T = r->train.context};
    if (!t->history) return in;
    for (int64_t b = 0; b < in.B; b++) {
        const int64_t read = at_sampler_windows_before(&t->sampler, index, b) * in.T;
        t->kept[b] = (int32_t)(read < r->train.history ? read : r->train.history);
    }
    pass->history = &t->history[index % r->train.accumulate];
    at_history_begin(pass->history, t->kept);
    return in;
}

/* Collects the loads of the routers over all micro-batches in an extra forward pass, with the
   dropout of the step. */
static at_status collect_loads(at_trainer *t, int64_t first) {
    at_status s = AT_OK;
    at_loads_reset(&t->loads);
    for (int64_t i = 0; i < t->recipe->train.accumulate && s == AT_OK; i++) {
        const at_mark mark = at_arena_mark(&t->arena);
        at_run run;
        at_pass pass;
        const at_input in = begin(t, first + i, &run, &pass);
        pass.collect = true;
        (void)at_model_hidden(t->model, &run, &in, &pass);
        s = at_run_status(&run);
        at_arena_rewind(&t->arena, mark);
    }
    at_loads_finish(&t->loads);
    return s;
}

/* One micro-batch: gradients are added with weight 1/accumulate. */
static at_status micro_batch(at_trainer *t, int64_t index, at_step_report *out) {
    const at_recipe *r = t->recipe;
    const at_mark mark = at_arena_mark(&t->arena);
    at_run run;
    at_pass pass;
    const at_input in = begin(t, index, &run, &pass);
    at_head_spec spec = {.label = t->target, .alpha = 1};
    if (t->teacher) {
        spec.teacher_x = at_model_hidden(t->teacher, &run, &in, &(at_pass){.still = true});
        spec.teacher_w = at_model_head(t->teacher);
        spec.kind = (at_kd_kind)r->distill.loss;
        spec.tau = r->distill.temperature;
        spec.alpha = r->distill.alpha;
    }
    at_head_report rep = {0};
    pass.usage = &t->usage;
    at_tensor *x = at_model_hidden(t->model, &run, &in, &pass);
    at_tensor *loss = at_head_loss(&run, x, at_model_head(t->model), &spec, &rep);
    if (pass.loss)
        loss = at_weighted_sum(&run, (at_tensor *[]){loss, pass.loss}, (double[]){1, 1}, 2);
    const double share = 1 / (double)r->train.accumulate;
    at_status s = at_dataset_error(t->ctx, t->sampler.data, at_run_status(&run));
    if (s == AT_OK) {
        out->loss += share * (double)loss->data[0];
        out->ce += share * rep.ce;
        out->kd += share * rep.kd;
        if (pass.loss) out->aux += share * (double)pass.loss->data[0];
        s = at_backward(&run, loss, (at_real)share);
    }
    at_arena_rewind(&t->arena, mark);
    return s;
}

static void report_usage(const at_trainer *t, at_step_report *out) {
    out->mixture = t->usage.n > 0;
    for (int64_t i = 0; i < t->usage.n; i++) {
        at_usage_report u;
        at_usage_summary(&t->usage.router[i], NULL, &u);
        out->load_entropy += u.load_entropy / (double)t->usage.n;
        out->dead += u.dead;
    }
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
    if (limit > 0 && p->loss_n >= 20 && out->loss > p->loss_mean + limit)
        return at_error(t->ctx, AT_NUMERIC,
                        "step %lld: the loss jumped to %.4f from a running mean of %.4f (more than "
                        "train.spike = %g); the parameters are as they were before it.  Try a "
                        "lower train.lr, or train.clip",
                        step, out->loss, p->loss_mean, limit);
    return AT_OK;
}

at_status at_trainer_step(at_trainer *t, at_step_report *out) {
    const at_recipe *r = t->recipe;
    at_train_state *p = &t->progress;
    const double began = at_now();
    *out = (at_step_report){.tokens = r->train.batch * r->train.context * r->train.accumulate};
    at_store_zero_grad(&t->model->store);
    at_usage_reset(&t->usage);
    at_status s = t->whole ? collect_loads(t, p->step * r->train.accumulate) : AT_OK;
    for (int64_t i = 0; i < r->train.accumulate && s == AT_OK; i++)
        s = micro_batch(t, p->step * r->train.accumulate + i, out);
    if (s != AT_OK) return s;
    report_usage(t, out);
    out->norm = sqrt(at_grad_squares(t->cp, &t->model->store));
    if ((s = guard(t, out)) != AT_OK) return s;
    out->lr = r->train.lr * at_schedule_factor(at_schedules[r->train.schedule], p->step,
                                               r->train.steps, r->train.warmup, r->train.floor);
    s = at_optim_step(t->cp, &t->model->store, &t->optim, out->lr, out->norm);
    if (s != AT_OK) return s;
    for (int64_t i = 0; t->history && i < r->train.accumulate; i++)
        at_history_advance(&t->history[i]);
    const double weight = p->loss_n < 50 ? 1 / (double)(p->loss_n + 1) : 0.02;
    p->loss_mean += weight * (out->loss - p->loss_mean);
    p->loss_n++;
    p->step++;
    p->tokens += out->tokens;
    out->seconds = at_now() - began;
    p->seconds += out->seconds;
    return AT_OK;
}
