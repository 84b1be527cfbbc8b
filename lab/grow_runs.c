/*
 * grow_runs.c - the runs of grow_lab.h that are ordinary ones, and their recipes.
 *
 * The old languages are read in equal parts.  Whatever learns a language more reads as much of it as the first
 * run has read of each of its own, and what has all languages from the beginning as much of each.
 */
#include "lab/grow_lab.h"
#include "lab/lab_table.h"
#include <stdio.h>

static const grow_scale scales[AT_LAB_SCALES] = {
    [AT_LAB_QUICK] = {.seeds = 3,
                      .batch = 4,
                      .context = 128,
                      .steps = 1200,
                      .eval_windows = 16,
                      .windows = 96,
                      .shape = {2, 64, 64, 4, 8, 192},
                      .lr = 6e-3,
                      .lr_more = 3e-3,
                      .att_more = 1,
                      .ffn_more = 4,
                      .review = 60,
                      .review_share = 0.01},
    [AT_LAB_FULL] = {.seeds = 5,
                     .batch = 8,
                     .context = 256,
                     .steps = 4000,
                     .eval_windows = 32,
                     .windows = 300,
                     .save_every = 500,
                     .shape = {3, 128, 128, 8, 16, 384},
                     .lr = 4e-3,
                     .lr_more = 2e-3,
                     .att_more = 2,
                     .ffn_more = 8,
                     .review = 100,
                     .review_share = 0.01},
    [AT_LAB_TINY] = {.seeds = 2,
                     .batch = 2,
                     .context = 16,
                     .steps = 6,
                     .eval_windows = 2,
                     .windows = 4,
                     .shape = {1, 8, 8, 3, 4, 16},
                     .lr = 6e-3,
                     .lr_more = 6e-3,
                     .att_more = 1,
                     .ffn_more = 1,
                     .review = 2,
                     .review_share = 0.5},
};

const char *const grow_title[GROW_WAYS] = {"mixture, new experts",
                                           "mixture, new experts, reviewed",
                                           "JEET, a new trunk",
                                           "dense, trained on",
                                           "mixture, trained on",
                                           "mixture, all from the beginning",
                                           "dense, all from the beginning"};

const char *grow_domain(const grow *m, int place) {
    return m->l->data->domain[m->order[place]].name;
}

void grow_group(grow_way way, int stage, char out[64]) {
    static const char *const name[GROW_WAYS] = {"modules",   "reviewed", "trunks",     "tuned",
                                                "tuned-mix", "joint",    "joint-dense"};
    static const char *const base[GROW_WAYS] = {"base-mix", "base-mix", "base-trunks", "base-dense",
                                                "base-mix", "joint",    "joint-dense"};
    if (stage == 0 || way >= GROW_JOINT)
        (void)snprintf(out, 64, "%s", base[way]);
    else
        (void)snprintf(out, 64, "%s-%d", name[way], stage);
}

int64_t grow_stage_steps(const grow *m) { return m->scale->steps / m->old; }

/* ---- recipes ---- */

static void put_mixture(at_text *t, const grow_shape *h, bool dense) {
    at_textf(t,
             "arch: moduleformer, n_layer: %d, n_embd: %d, n_head: 1, att_hidden: %d, ffd_hidden: "
             "%d, n_att_experts: %d, k_att: %d, n_mlp_experts: %d, k_mlp: %d, gate_type: linear",
             h->layers, h->width, h->width, dense ? h->dense : h->hidden, dense ? 1 : h->att,
             dense ? 1 : 2, dense ? 1 : h->ffn, dense ? 1 : 2);
}

static void put_model(const grow *m, at_text *t, grow_way way) {
    at_text_add(t, "model: {");
    if (way == GROW_TRUNKS) {
        at_text_add(t, "arch: trunks, modules: [");
        for (int i = 0; i < m->old; i++) {
            at_text_add(t, i ? ", " : "");
            at_lab_put_quoted(t, m->l, grow_domain(m, i));
        }
        at_text_add(t, "], common: false, tie_word_embeddings: true, trunk: {");
    }
    put_mixture(t, &m->scale->shape,
                way == GROW_TRUNKS || way == GROW_TUNED || way == GROW_JOINT_DENSE);
    at_text_add(t, way == GROW_TRUNKS ? "}}\n" : ", tie_word_embeddings: true}\n");
}

void grow_put_training(const grow *m, at_text *t, int64_t steps, double lr) {
    const grow_scale *z = m->scale;
    at_textf(t,
             "train: {steps: %lld, batch: %lld, context: %lld, lr: %g, schedule: cosine, warmup: "
             "0.05, weight_decay: 0.1, clip: 1.0, spike: 0, eval_every: %lld, eval_windows: %lld, "
             "save_every: %lld, keep: 1}\n",
             (long long)steps, (long long)z->batch, (long long)z->context, lr,
             (long long)(steps > 6 ? steps / 6 : 0), (long long)z->eval_windows,
             (long long)z->save_every);
}

/* Places [from, to) of the order are read; init: a group, or NULL. */
static at_status declare(const grow *m, grow_way way, const char *group, int64_t seed,
                         const char *init, int from, int to, int64_t steps) {
    const bool mixture = way <= GROW_REVIEWED || way == GROW_TUNED_MIX || way == GROW_JOINT;
    at_text t;
    at_text_init(&t, m->l->c, 0);
    at_textf(&t, "# %s\nseed: %lld\n", grow_title[way], (long long)seed);
    if (init) {
        at_text_add(&t, "init: ");
        at_lab_put_model(&t, m->l, init, seed);
        at_text_add(&t, "\n");
    } else {
        put_model(m, &t, way);
    }
    at_text_add(&t, "data: {train: ");
    at_lab_put_quoted(&t, m->l, m->l->o->data);
    for (int i = from; i < to; i++) {
        at_text_add(&t, i > from ? ", " : ", domains: [");
        at_lab_put_quoted(&t, m->l, grow_domain(m, i));
    }
    at_text_add(&t, "]}\n");
    grow_put_training(m, &t, steps, init ? m->scale->lr_more : m->scale->lr);
    if (mixture) at_text_add(&t, "losses: {mutual_information: 0.001}\n");
    at_status s = t.failed;
    if (s == AT_OK) s = at_lab_declare(m->l, group, seed, 0, t.s);
    at_text_close(&t);
    return s;
}

/* ---- all of it ---- */

at_status grow_open(grow *m, at_lab_session *l) {
    *m = (grow){.l = l, .scale = &scales[l->o->scale], .domains = l->data->n_domains};
    if (m->domains < 3 || m->domains > GROW_DOMAINS_MAX)
        return at_error(
            l->c, AT_UNSUPPORTED,
            "%s: this lab takes 3 to %d domains, of which it adds two to the others, and "
            "the data set has %d",
            l->o->data, GROW_DOMAINS_MAX, m->domains);
    /* The first of the data set and the last are added: German and Python to English and French. */
    m->old = m->domains - GROW_STAGES;
    for (int i = 0; i < m->old; i++) m->order[i] = i + 1;
    m->order[m->old] = 0;
    m->order[m->old + 1] = m->domains - 1;
    l->sides = l->c->threads;
    l->windows = m->scale->windows;
    l->later = 0;
    return AT_OK;
}

at_status grow_train(grow *m) {
    const int64_t stage = grow_stage_steps(m), all = m->scale->steps + GROW_STAGES * stage;
    at_status s = AT_OK;
    char group[64], before[64];
    for (int64_t seed = 1; seed <= m->scale->seeds; seed++) {
        for (int way = GROW_REVIEWED; way <= GROW_TUNED && s == AT_OK; way++) {
            grow_group((grow_way)way, 0, group);
            s = declare(m, (grow_way)way, group, seed, NULL, 0, m->old, m->scale->steps);
        }
        for (int way = GROW_JOINT; way < GROW_WAYS && s == AT_OK; way++) {
            grow_group((grow_way)way, 0, group);
            s = declare(m, (grow_way)way, group, seed, NULL, 0, m->domains, all);
        }
        for (int way = GROW_TUNED; way <= GROW_TUNED_MIX; way++)
            for (int i = 1; i <= GROW_STAGES && s == AT_OK; i++) {
                grow_group((grow_way)way, i - 1, before);
                grow_group((grow_way)way, i, group);
                s = declare(m, (grow_way)way, group, seed, before, m->old + i - 1, m->old + i,
                            stage);
            }
    }
    return s == AT_OK ? at_lab_train(m->l, 0) : s;
}
