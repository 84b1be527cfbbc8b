/* learner.c - from a micro-batch to gradients. */
#include "train/learner.h"
#include "base/rng.h"
#include "train/own_text.h"
#include <stdio.h>
#include <string.h>

/* Whether steps run two modules: that of their domain, and the common one. */
static bool two_modules(const at_model *m) {
    const at_modules l = at_model_modules(m);
    return l.n > 0 && l.common;
}

/* The recipe's weights, or those of the model's configuration. */
static at_status aux_weights(at_ctx *c, const at_recipe *r, const at_model *m, at_aux *a) {
    if (!r->with_losses) {
        const double w = at_model_aux(m, a);
        for (int i = 0; i < AT_AUX_KINDS; i++) a->weight[i] *= w > 0 ? w : 0;
        return AT_OK;
    }
    const bool routers = at_model_aux(m, a) >= 0;
    if (!routers && !two_modules(m))
        return at_error(c, AT_CONFIG, "losses: architecture %s has no routers", m->arch->name);
    *a = (at_aux){.factor = {1, 1}};
    a->weight[AT_AUX_MUTUAL] = r->losses.mutual_information;
    a->weight[AT_AUX_CONCENTRATION] = r->losses.concentration;
    a->weight[AT_AUX_SWITCH] = r->losses.balance;
    a->weight[AT_AUX_Z] = r->losses.z;
    a->factor[AT_LAYER_ATTENTION] = r->losses.attention;
    a->factor[AT_LAYER_FEED_FORWARD] = r->losses.feed_forward;
    if (!routers && at_aux_routed(a))
        return at_error(c, AT_CONFIG,
                        "losses: the trunks have no routers, only mutual distillation");
    return AT_OK;
}

/* "losses.mutual_layers" lists this layer, or nothing; *used counts the items that do. */
static bool listed(const at_strings *l, int64_t layer, int64_t *used) {
    char name[24];
    (void)snprintf(name, sizeof name, "%lld", (long long)layer);
    bool is = !l->n;
    for (int64_t i = 0; i < l->n; i++) {
        if (strcmp(l->item[i], name) != 0) continue;
        is = true;
        ++*used;
    }
    return is;
}

/* Which layers' experts distil. */
static at_status open_peers(at_ctx *c, at_learner *l) {
    const at_recipe *r = l->recipe;
    const at_model *m = l->model;
    const at_banks *banks = m && m->arch->banks ? m->arch->banks(m->impl) : NULL;
    at_peers *p = &l->aux.peers;
    int64_t used = 0;
    l->mutual = r->with_losses ? r->losses.mutual_distillation : 0;
    if (l->mutual == 0) return AT_OK;
    *p = (at_peers){.alpha = l->mutual,
                    .more = r->losses.mutual_extra,
                    .how = {.form = (at_mutual_form)r->losses.mutual_form,
                            .tau = r->losses.mutual_temperature,
                            .detach = r->losses.mutual_detach}};
    p->layer = l->peers = at_calloc(c, (size_t)(m ? m->dims.layers : 0), sizeof *l->peers);
    if (!p->layer) return AT_OOM;
    for (int64_t i = 0; banks && i < banks->n; i++) {
        const at_bank *b = &banks->bank[i];
        if (b->id.kind != AT_LAYER_FEED_FORWARD || b->k + p->more < 2) continue;
        l->peers[b->id.layer] = listed(&r->losses.mutual_layers, b->id.layer, &used);
        p->n += l->peers[b->id.layer];
        if (l->peers[b->id.layer] && b->k + p->more > b->n)
            return at_error(
                c, AT_CONFIG,
                "losses.mutual_extra: %lld experts beside the %lld of a token, but layer "
                "%lld has %lld in all",
                (long long)p->more, (long long)b->k, (long long)b->id.layer, (long long)b->n);
    }
    if (m && two_modules(m) && !r->losses.mutual_layers.n) {
        p->modules = true;
        p->n++;
        if (p->more)
            return at_error(c, AT_CONFIG,
                            "losses.mutual_extra: trunks that are not run have no part "
                            "in a step");
    }
    if (used < r->losses.mutual_layers.n)
        return at_error(c, AT_CONFIG,
                        "losses.mutual_layers: of its %lld items %lld are layers with two or more "
                        "feed-forward experts a token; layers are numbered from 0",
                        (long long)r->losses.mutual_layers.n, (long long)used);
    if (!p->n)
        return at_error(c, AT_CONFIG,
                        "losses.mutual_distillation: no token of the model has two feed-forward "
                        "experts, or trunks, that could learn from each other");
    return AT_OK;
}

/* Experts that answer by themselves have a label loss each. */
static at_status open_expert_label(at_ctx *c, at_learner *l) {
    const double weight = l->recipe->with_losses ? l->recipe->losses.expert_label : 0;
    const at_bank *b = l->model ? at_model_answers(l->model) : NULL;
    if (weight == 0) return AT_OK;
    if (!b)
        return at_error(c, AT_CONFIG,
                        "losses.expert_label: the model has no experts that answer by themselves");
    l->aux.expert_label = weight;
    l->aux.answers = b->id;
    return AT_OK;
}

/* Alpha of mutual distillation in a step. */
static double mutual_alpha(const at_learner *l, int64_t step) {
    const int64_t steps = l->recipe->train.steps;
    const double done = steps > 1 ? (double)step / (double)(steps - 1) : 0;
    return l->mutual * (1 + (l->recipe->losses.mutual_end - 1) * done);
}

/* Pools of experts, which a model needs routers for. */
static at_status open_pool(at_ctx *c, at_learner *l) {
    const at_recipe *r = l->recipe;
    at_aux nothing;
    l->pool = (at_route_pool){r->train.pool_min, r->train.pool_max, 0};
    if (!l->pool.max) return AT_OK;
    if (l->pool.min > l->pool.max)
        return at_error(c, AT_CONFIG, "train.pool_min is %lld, more than train.pool_max = %lld",
                        (long long)l->pool.min, (long long)l->pool.max);
    if (at_model_aux(l->model, &nothing) < 0)
        return at_error(c, AT_CONFIG, "train.pool_max: architecture %s has no routers",
                        l->model->arch->name);
    return AT_OK;
}

at_status at_learner_open(at_ctx *c, const at_recipe *r, at_model *m, at_teacher teacher,
                          const void *set, at_learner *l) {
    *l = (at_learner){.recipe = r,
                      .task = at_tasks[r->top.task],
                      .model = m,
                      .per_batch = r->train.batch * r->train.context,
                      .store = {&m->store},
                      .n_stores = 1,
                      .teacher = teacher,
                      .alpha = {.rule = at_alpha_rules[r->distill.alpha_rule],
                                .schedule = at_distill_schedules[r->distill.schedule],
                                .first = r->distill.alpha,
                                .last = r->distill.alpha_end}};
    at_status s = l->task->open(l, c, set);
    if (s == AT_OK && teacher.kind) {
        l->seen = at_calloc(c, (size_t)r->train.accumulate, sizeof *l->seen);
        if (!l->seen) s = AT_OOM;
    }
    if (s == AT_OK) s = aux_weights(c, r, m, &l->aux);
    l->aux.rows = r->losses.rows;
    if (s == AT_OK) s = open_peers(c, l);
    if (s == AT_OK) s = open_expert_label(c, l);
    if (s == AT_OK) s = open_pool(c, l);
    l->trial = l->alpha;
    if (s == AT_OK) s = at_alpha_open(c, &l->alpha, r->train.steps);
    if (s == AT_OK) s = at_alpha_open(c, &l->trial, r->train.steps);
    l->whole =
        r->losses.scope == AT_SCOPE_STEP && r->train.accumulate > 1 && at_aux_routed(&l->aux);
    l->usage.slots_only = true;
    return s;
}

void at_learner_close(at_learner *l) {
    if (l->task) l->task->close(l);
    at_alpha_close(&l->alpha);
    at_alpha_close(&l->trial);
    at_free(l->seen);
    at_free(l->peers);
    at_loads_close(&l->loads);
    at_usage_close(&l->usage);
    *l = (at_learner){0};
}

bool at_learner_writes(const at_learner *l, int64_t step) {
    const at_recipe *r = l->recipe;
    return l->teacher.kind && r->distill.on_policy > 0 &&
           at_own_text_step((uint64_t)r->top.seed, r->distill.on_policy, step);
}

bool at_learner_asks(const at_learner *l, double text_weight) {
    return l->teacher.kind && !(l->alpha.schedule->in_turns && text_weight >= 1);
}

static bool turns_are_steps(const at_learner *l) {
    return l->recipe->distill.scope == AT_SCOPE_STEP;
}

/* Where domains rotate, each has turns of its own: else some would have one loss alone for ever. */
static int64_t turn(const at_learner *l, int64_t step, int64_t i) {
    const int64_t own = l->task->own_step ? l->task->own_step(l, step) : step;
    return turns_are_steps(l) ? own : own * l->recipe->train.accumulate + i;
}

/* Micro-batch i of the step, the same one each time; what it came to is in the arena. */
static at_tensor *read(at_learner *l, const at_place *at, int64_t i, at_run *run, at_pass *pass,
                       double *text_weight, at_losses *losses) {
    const int64_t index = at->step * l->recipe->train.accumulate + i;
    const uint64_t seed = at_rand64((uint64_t)l->recipe->top.seed, AT_STREAM_DROPOUT,
                                    (uint64_t)(index * at->n + at->k));
    at_run_init(run, at->cp, at->arena, true, seed);
    if (l->peers) l->aux.peers.alpha = mutual_alpha(l, at->step);
    pass->aux = &l->aux;
    pass->pool = l->pool.max ? &l->pool : NULL;
    pass->loads = l->whole ? &l->loads : NULL;
    l->at_step = at->step;
    l->turn = turn(l, at->step, i);
    l->own_text = at_learner_writes(l, at->step);
    *text_weight = l->own_text ? 0 : at_alpha_weight(&l->alpha, at->step, l->turn);
    at_tensor *loss = l->task->loss(l, run, index, *text_weight, pass, losses);
    if (at_learner_weighs(l)) *text_weight = l->alpha_now;
    return loss;
}

bool at_learner_weighs(const at_learner *l) {
    return l->teacher.kind && l->recipe->distill.sees == AT_ALPHA_SEES_OWN &&
           !l->alpha.schedule->in_turns && !l->own_text;
}

double at_learner_weigh(void *learner, const at_head_report *known) {
    at_learner *l = learner;
    at_alpha_observe(&l->trial,
                     &(at_losses){known->ce, known->kd, known->ce_norm, known->kd_norm, true});
    l->alpha_now = at_alpha_weight(&l->trial, l->at_step, l->turn);
    return l->alpha_now;
}

static at_status explained(const at_learner *l, const at_place *at, at_run *run) {
    const at_status s = at_run_status(run);
    return l->task->explain ? l->task->explain(l, at->ctx, s) : s;
}

/* Collects the loads of the routers over all micro-batches in an extra forward pass, with the
   dropout of the step. */
at_status at_learner_begin_step(at_learner *l, const at_place *at) {
    at_status s = AT_OK;
    double text_weight;
    at_usage_reset(&l->usage);
    if (at_learner_weighs(l)) at_alpha_copy(&l->trial, &l->alpha);
    if (!l->whole) return AT_OK;
    at_loads_reset(&l->loads);
    for (int64_t i = 0; i < l->recipe->train.accumulate && s == AT_OK; i++) {
        const at_mark mark = at_arena_mark(at->arena);
        at_run run;
        at_losses losses;
        (void)read(l, at, i, &run, &(at_pass){.collect = true}, &text_weight, &losses);
        s = explained(l, at, &run);
        at_arena_rewind(at->arena, mark);
    }
    at_loads_finish(&l->loads);
    return s;
}

at_status at_learner_micro_batch(at_learner *l, const at_place *at, int64_t i, double share,
                                 at_step_report *out) {
    const at_mark mark = at_arena_mark(at->arena);
    at_run run;
    at_pass pass = {.usage = &l->usage};
    at_losses losses = {0};
    double alpha;
    at_tensor *loss = read(l, at, i, &run, &pass, &alpha, &losses);
    if (pass.loss)
        loss = at_weighted_sum(&run, (at_tensor *[]){loss, pass.loss}, (double[]){1, 1}, 2);
    at_status s = explained(l, at, &run);
    if (s == AT_OK) {
        const double first = l->alpha.schedule->in_turns ? 1 : l->alpha.first;
        const double by_first = (first - alpha) * (losses.ce - losses.kd);
        out->loss += share * (double)loss->data[0];
        out->steady += share * ((double)loss->data[0] + by_first);
        out->alpha += share * alpha;
        out->ce += share * losses.ce;
        out->kd += share * losses.kd;
        if (losses.taught) out->taught += share;
        out->own_text |= l->own_text;
        if (l->seen) l->seen[i] = losses;
        if (pass.loss) out->aux += share * (double)pass.loss->data[0];
        out->mutual += share * pass.peers;
        out->expert_label += share * pass.expert_label;
        s = at_backward(&run, loss, (at_real)share);
    }
    at_arena_rewind(at->arena, mark);
    return s;
}

/* Where the losses take turns no rule is asked; of the student's own text none is told. */
static void observe(at_learner *l) {
    if (l->alpha.schedule->in_turns || l->own_text) return;
    const int64_t n = l->recipe->train.accumulate;
    at_losses mean = {0};
    for (int64_t i = 0; i < n; i++) {
        mean.ce += l->seen[i].ce / (double)n;
        mean.kd += l->seen[i].kd / (double)n;
        mean.ce_norm += l->seen[i].ce_norm / (double)n;
        mean.kd_norm += l->seen[i].kd_norm / (double)n;
        if (!turns_are_steps(l)) at_alpha_observe(&l->alpha, &l->seen[i]);
    }
    if (turns_are_steps(l)) at_alpha_observe(&l->alpha, &mean);
}

void at_learner_end_step(at_learner *l) {
    if (l->seen) observe(l);
    if (l->task->stepped) l->task->stepped(l);
}
