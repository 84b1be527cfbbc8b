/*
 * prune_runs.c - the runs of the lab of pruning.
 *
 * Each kind of model has about the parameters of the mixture, trunks together, and reads the same number of
 * tokens.  What a mixture has in feed-forward and attention experts, a dense model has in one wide expert of
 * each layer, and trunks in one each.  Mixtures and dense models are then fine-tuned on each domain, from the
 * model of the same seed; trunks are not, they have one for each domain.
 */
#include "lab/lab_table.h"
#include "lab/prune_lab.h"
#include <stdio.h>
#include <string.h>

static const pruning_scale scales[AT_LAB_SCALES] = {
    [AT_LAB_QUICK] = {.seeds = 5,
                      .batch = 4,
                      .context = 128,
                      .steps = 1000,
                      .special_steps = 150,
                      .eval_windows = 16,
                      .windows = 32,
                      .score_windows = 16,
                      .loss_windows = 4,
                      .layers = 2,
                      .width = 64,
                      .att = 16,
                      .ffn = 32,
                      .hidden = 32,
                      .k = 2,
                      .lr = 4e-3,
                      .special_lr = 1e-3},
    [AT_LAB_FULL] = {.seeds = 8,
                     .batch = 8,
                     .context = 256,
                     .steps = 4000,
                     .special_steps = 500,
                     .eval_windows = 32,
                     .windows = 100,
                     .save_every = 500,
                     .score_windows = 64,
                     .loss_windows = 8,
                     .layers = 4,
                     .width = 96,
                     .att = 16,
                     .ffn = 32,
                     .hidden = 64,
                     .k = 2,
                     .lr = 4e-3,
                     .special_lr = 1e-3},
    [AT_LAB_TINY] = {.seeds = 2,
                     .batch = 2,
                     .context = 16,
                     .steps = 6,
                     .special_steps = 4,
                     .eval_windows = 2,
                     .windows = 4,
                     .score_windows = 2,
                     .loss_windows = 1,
                     .layers = 1,
                     .width = 8,
                     .att = 8,
                     .ffn = 8,
                     .hidden = 8,
                     .k = 1,
                     .lr = 4e-3,
                     .special_lr = 1e-3},
};

/* A kind: its cuts, and what its recipe has besides the model.  A mixture is a row here. */
static const struct {
    const char *name;
    pruning_cut first, end;
    bool mixture, special;
    const char *losses, *special_losses, *train;
} kinds[PRUNING_KINDS] = {
    [PRUNING_INFORMATION] = {"information", PRUNING_BY_SCORE, PRUNING_BY_SCORE + AT_PRUNE_SCORES,
                             true, true, "mutual_information: 0.001", "concentration: 0.05", ""},
    [PRUNING_POOLS] = {"pools", PRUNING_BY_SCORE, PRUNING_BY_SCORE + AT_PRUNE_SCORES, true, true,
                       "mutual_information: 0.001", "concentration: 0.05", ", pool_max: 8"},
    [PRUNING_TRUNKS] = {"trunks", PRUNING_OWN, PRUNING_OWN + 1, false, false, "", "", ""},
    [PRUNING_DENSE] = {"dense", PRUNING_MAGNITUDE, PRUNING_MAGNITUDE + 1, false, true, "", "", ""},
};

const pruning_scale *pruning_scale_of(const at_lab_session *l) { return &scales[l->o->scale]; }
const char *pruning_kind_name(pruning_kind kind) { return kinds[kind].name; }
bool pruning_special(pruning_kind kind) { return kinds[kind].special; }

const char *pruning_cut_name(pruning_cut cut) {
    if (cut < PRUNING_MAGNITUDE) return at_prune_score_name[cut - PRUNING_BY_SCORE];
    return cut == PRUNING_MAGNITUDE ? "magnitude" : cut == PRUNING_OWN ? "own" : "whole";
}

void pruning_cuts(pruning_kind kind, pruning_cut *first, pruning_cut *end) {
    *first = kinds[kind].first;
    *end = kinds[kind].end;
}

void pruning_group(const at_lab_session *l, pruning_kind kind, int domain, char out[64]) {
    if (domain < 0)
        (void)snprintf(out, 64, "%s", kinds[kind].name);
    else
        (void)snprintf(out, 64, "%s-%.40s", kinds[kind].name, l->data->domain[domain].name);
}

/* ---- recipes ---- */

/* The hidden width of one feed-forward part with which a dense network has the share 1 / parts of the weights of
   the mixture's experts.  Attention as wide as the model has no keys and values of its own. */
static int dense_hidden(const pruning_scale *z, int parts) {
    const int w = z->width, layer = 2 * z->att * w * w + 2 * z->ffn * w * z->hidden;
    const int h = (layer / parts - 2 * w * w) / (2 * w);
    return h > 1 ? h : 1;
}

static void put_network(at_text *t, const pruning_scale *z, bool mixture, int parts) {
    const int h = mixture ? z->hidden : dense_hidden(z, parts);
    at_textf(t,
             "arch: moduleformer, n_layer: %d, n_embd: %d, n_head: 1, att_hidden: %d, "
             "ffd_hidden: %d, n_att_experts: %d, k_att: %d, n_mlp_experts: %d, k_mlp: %d, "
             "gate_type: linear",
             z->layers, z->width, z->width, h, mixture ? z->att : 1, mixture ? z->k : 1,
             mixture ? z->ffn : 1, mixture ? z->k : 1);
}

static void put_model(const pruning *m, at_text *t, pruning_kind kind) {
    at_text_add(t, "model: {");
    if (kind == PRUNING_TRUNKS) {
        at_text_add(t, "arch: trunks, modules: [");
        for (int d = 0; d < m->domains; d++) {
            at_text_add(t, d ? ", " : "");
            at_lab_put_quoted(t, m->l, m->l->data->domain[d].name);
        }
        at_text_add(t, "], trunk: {");
        put_network(t, m->scale, false, m->domains);
        at_text_add(t, "}");
    } else {
        put_network(t, m->scale, kinds[kind].mixture, 1);
    }
    at_text_add(t, ", tie_word_embeddings: true}\n");
}

static void put_training(const pruning *m, at_text *t, pruning_kind kind, int domain) {
    const pruning_scale *z = m->scale;
    const int64_t steps = domain < 0 ? z->steps : z->special_steps;
    at_text_add(t, "data: {train: ");
    at_lab_put_quoted(t, m->l, m->l->o->data);
    if (domain >= 0) {
        at_text_add(t, ", domains: [");
        at_lab_put_quoted(t, m->l, m->l->data->domain[domain].name);
        at_text_add(t, "]");
    }
    at_textf(t, "}\ntrain: {steps: %lld, batch: %lld, context: %lld, lr: %g, ", (long long)steps,
             (long long)z->batch, (long long)z->context, domain < 0 ? z->lr : z->special_lr);
    at_textf(t,
             "schedule: cosine, warmup: 0.05, weight_decay: 0.1, clip: 1.0, spike: 0, "
             "eval_every: %lld, eval_windows: %lld, save_every: %lld, keep: 1%s}\n",
             (long long)(steps > 6 ? steps / 6 : 0), (long long)z->eval_windows,
             (long long)z->save_every, kinds[kind].train);
    const char *losses = domain < 0 ? kinds[kind].losses : kinds[kind].special_losses;
    if (*losses) at_textf(t, "losses: {%s}\n", losses);
}

static at_status declare(const pruning *m, pruning_kind kind, int domain, int64_t seed) {
    char group[64], whole[64];
    at_text t;
    at_text_init(&t, m->l->c, 0);
    pruning_group(m->l, kind, domain, group);
    pruning_group(m->l, kind, -1, whole);
    at_textf(&t, "seed: %lld\n", (long long)seed);
    if (domain < 0) {
        put_model(m, &t, kind);
    } else {
        at_text_add(&t, "init: ");
        at_lab_put_model(&t, m->l, whole, seed);
        at_text_add(&t, "\n");
    }
    put_training(m, &t, kind, domain);
    at_status s = t.failed;
    if (s == AT_OK) s = at_lab_declare(m->l, group, seed, 0, t.s);
    at_text_close(&t);
    return s;
}

at_status pruning_open(pruning *m, at_lab_session *l) {
    *m = (pruning){.l = l, .scale = pruning_scale_of(l), .domains = l->data->n_domains};
    l->sides = l->c->threads;
    l->windows = m->scale->windows;
    if (m->domains < 2 || m->domains > PRUNING_DOMAINS_MAX)
        return at_error(l->c, AT_ARG, "%s: the lab needs 2 to %d domains, and there are %d",
                        l->o->data, (int)PRUNING_DOMAINS_MAX, m->domains);
    return AT_OK;
}

at_status pruning_train(pruning *m) {
    at_status s = AT_OK;
    for (int64_t seed = 1; seed <= m->scale->seeds; seed++)
        for (int kind = 0; kind < PRUNING_KINDS; kind++)
            for (int d = -1; d < (kinds[kind].special ? m->domains : 0) && s == AT_OK; d++)
                s = declare(m, (pruning_kind)kind, d, seed);
    return s == AT_OK ? at_lab_train(m->l, 0) : s;
}
