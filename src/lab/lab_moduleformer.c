/*
 * lab_moduleformer.c - ModuleFormer against dense models, and its parts one at a time.
 *
 * The dense model is ModuleFormer with a single expert in each layer, which every token uses and
 * no router chooses: the same attention, norms and initial values, so that what differs is sparsity
 * alone.  (gpt2, with learnt positions, needs far more text to reach the same loss; as a yardstick
 * it would flatter the mixture.)
 */
#include "base/text.h"
#include "lab/mf_lab.h"
#include <stdio.h>
#include <string.h>

#define SPARSE(layers, width, hidden, att, ffn, k)                                   \
    "arch: moduleformer, n_layer: " layers ", n_embd: " width ", att_hidden: " width \
    ", n_head: 1, ffd_hidden: " hidden ", n_att_experts: " att ", k_att: " k         \
    ", n_mlp_experts: " ffn ", k_mlp: " k ", gating_size: 64, tie_word_embeddings: true"
#define DENSE(layers, width, hidden) SPARSE(layers, width, hidden, "1", "1", "1")
#define MI                           "mutual_information: 0.001"
#define SOFTMAX                      ", att_func: softmax"

/* Variants of the mixture: the same for every scale but for the sizes. */
#define VARIANTS(s1, s2, s4)                                                                       \
    {                                                                                              \
        {MF_MAIN, "ModuleFormer, k = 2", s2, MI, true},                                            \
            {MF_PLAIN, "without the mutual-information loss", s2, "mutual_information: 0", false}, \
            {MF_SWITCH, "switch balance instead", s2, "switch: 0.01", false},                      \
            {MF_K1, "k = 1", s1, MI, false}, {MF_K4, "k = 4", s4, MI, false}, {                    \
            MF_SOFTMAX, "softmax attention, rotary positions", s2 SOFTMAX, MI, true                \
        }                                                                                          \
    }

static const mf_scale scales[AT_LAB_SCALES] = {
    [AT_LAB_QUICK] =
        {.seeds = 3,
         .tokens = 600000,
         .tune_tokens = 250000,
         .batch = 4,
         .context = 256,
         .rounds = 12,
         .eval_windows = 16,
         .lr = {3e-3, 6e-3, 12e-3},
         .rates = 3,
         .dense = {{"dense-128", "dense, width 128", DENSE("3", "128", "512"), NULL, false},
                   {"dense-192", "dense, width 192", DENSE("4", "192", "768"), NULL, false},
                   {"dense-256", "dense, width 256", DENSE("4", "256", "1024"), NULL, false}},
         .n_dense = 3,
         .variant = VARIANTS(SPARSE("3", "128", "256", "8", "16", "1"),
                             SPARSE("3", "128", "256", "8", "16", "2"),
                             SPARSE("3", "128", "256", "8", "16", "4"))},
    [AT_LAB_FULL] =
        {.seeds = 5,
         .tokens = 4000000,
         .tune_tokens = 1500000,
         .batch = 8,
         .context = 256,
         .rounds = 20,
         .eval_windows =
             32,
         .save_every = 500,
         .lr = {1.5e-3, 3e-3, 6e-3, 12e-3},
         .rates = 4,
         .dense = {{"dense-128", "dense, width 128", DENSE("3", "128", "512"), NULL, false},
                   {"dense-192", "dense, width 192", DENSE("4", "192", "768"), NULL, false},
                   {"dense-256", "dense, width 256", DENSE("4", "256", "1024"), NULL, false},
                   {"dense-384", "dense, width 384", DENSE("6", "384", "1536"), NULL, false}},
         .n_dense = 4,
         .variant = VARIANTS(SPARSE("4", "192", "384", "8", "16", "1"),
                             SPARSE("4", "192", "384", "8", "16", "2"),
                             SPARSE("4", "192", "384", "8", "16", "4"))},
    [AT_LAB_TINY] = {.seeds = 2,
                     .tokens = 512,
                     .tune_tokens = 256,
                     .batch = 2,
                     .context = 16,
                     .rounds = 2,
                     .eval_windows = 2,
                     .lr = {3e-3, 6e-3},
                     .rates = 2,
                     .dense = {{"dense-8", "dense, width 8", DENSE("1", "8", "16"), NULL, false},
                               {"dense-16", "dense, width 16", DENSE("1", "16", "32"), NULL,
                                false}},
                     .n_dense = 2,
                     .variant = VARIANTS(SPARSE("1", "8", "8", "4", "4", "1"),
                                         SPARSE("1", "8", "8", "4", "4", "2"),
                                         SPARSE("1", "8", "8", "4", "4", "4"))},
};

static const char *const claims[] = {
    "a ModuleFormer has the quality of a dense model at more than twice its throughput: in "
    "training, in reading, in writing token by token",
    "the mutual-information loss evens the load of the experts, keeps them alive, and costs "
    "nothing",
    "more experts a token (k) are better, and slower",
    "stick-breaking attention needs no positions, learns as well as softmax attention with them, "
    "and reads on beyond the length it was trained on",
    NULL};

/* ---- recipes ---- */

/* YAML of one run; every run has the same data, tokens, batch and schedule. */
static at_status declare(mf *m, const mf_model *x, const char *group, int64_t seed, double lr,
                         int64_t tokens) {
    const mf_scale *z = m->scale;
    at_text t;
    cJSON *path = cJSON_CreateString(m->l->o->data);
    char *quoted = path ? cJSON_PrintUnformatted(path) : NULL;
    const int64_t steps = tokens / (z->batch * z->context);
    at_text_init(&t, m->l->c, 0);
    at_textf(&t, "# %s, learning rate %g\nseed: %lld\nmodel: {%s}\ndata: {train: %s}\n", x->title,
             lr, (long long)seed, x->model, quoted ? quoted : "");
    at_textf(&t,
             "train: {steps: %lld, batch: %lld, context: %lld, lr: %g, schedule: cosine, "
             "warmup: 0.05, weight_decay: 0.1, clip: 1.0, eval_every: %lld, eval_windows: %lld, "
             "save_every: %lld, keep: 1}\n",
             (long long)steps, (long long)z->batch, (long long)z->context, lr,
             (long long)(steps > 6 ? steps / 6 : 0), (long long)z->eval_windows,
             (long long)z->save_every);
    if (x->losses) at_textf(&t, "losses: {%s}\n", x->losses);
    at_status s = t.failed;
    if (s == AT_OK && !quoted) s = AT_OOM;
    if (s == AT_OK) s = at_lab_declare(m->l, group, seed, x->lengths, t.s);
    at_text_close(&t);
    cJSON_free(quoted);
    cJSON_Delete(path);
    return s;
}

static at_status declare_seeds(mf *m, const mf_model *x, double lr) {
    at_status s = AT_OK;
    for (int64_t seed = 1; seed <= m->scale->seeds && s == AT_OK; seed++)
        s = declare(m, x, x->group, seed, lr, m->scale->tokens);
    return s;
}

/* ---- learning rates ---- */

void mf_tune_group(const mf_model *x, double lr, char *out, size_t size) {
    (void)snprintf(out, size, "tune-%s-lr%g", x->group, lr);
}

static at_status declare_tuning(mf *m, const mf_model *x) {
    at_status s = AT_OK;
    mf_model short_run = *x;
    short_run.lengths = false;
    for (int i = 0; i < m->scale->rates && s == AT_OK; i++) {
        char group[48];
        mf_tune_group(x, m->scale->lr[i], group, sizeof group);
        s = declare(m, &short_run, group, MF_TUNE_SEED, m->scale->lr[i], m->scale->tune_tokens);
    }
    return s;
}

/* The rate with the least validation loss of the short runs. */
static double best_rate(const mf *m, const mf_model *x) {
    double best = 0, least = 0;
    for (int i = 0; i < m->scale->rates; i++) {
        char group[48];
        double loss;
        mf_tune_group(x, m->scale->lr[i], group, sizeof group);
        const at_trial *t = at_lab_trial(m->l, group, MF_TUNE_SEED);
        if (!t || !t->result || !mf_number(t->result, "val_loss", &loss)) continue;
        if (best > 0 && loss >= least) continue;
        best = m->scale->lr[i];
        least = loss;
    }
    return best > 0 ? best : m->scale->lr[0];
}

/* All runs are declared before the first begins, so that the time left is known; those that wait for
   a learning rate get it when it is known. */
static at_status declare_all(mf *m) {
    const mf_scale *z = m->scale;
    at_status s = AT_OK;
    for (int i = 0; i < z->n_dense && s == AT_OK; i++) s = declare_tuning(m, &z->dense[i]);
    if (s == AT_OK) s = declare_tuning(m, &z->variant[0]);
    m->tuning = m->l->n;
    for (int i = 0; i < z->n_dense && s == AT_OK; i++)
        s = declare_seeds(m, &z->dense[i], best_rate(m, &z->dense[i]));
    for (int i = 0; i < MF_VARIANTS && s == AT_OK; i++)
        s = declare_seeds(m, &z->variant[i], best_rate(m, &z->variant[0]));
    return s;
}

static at_status run(at_lab_session *l) {
    mf m = {.l = l, .scale = &scales[l->o->scale]};
    l->later = 1.5 * (m.scale->n_dense + MF_VARIANTS) * (m.scale->rounds + 1) / 10;
    at_status s = declare_all(&m);
    if (s == AT_OK) s = at_lab_train(l, m.tuning);
    if (s == AT_OK) s = declare_all(&m);
    if (s == AT_OK) s = at_lab_train(l, l->n);
    for (int i = 0; i < m.scale->n_dense; i++) m.rate[i] = best_rate(&m, &m.scale->dense[i]);
    m.rate[m.scale->n_dense] = best_rate(&m, &m.scale->variant[0]);
    if (s == AT_OK) s = mf_measure(&m);
    if (s == AT_OK) s = mf_claims(&m);
    return s == AT_OK ? mf_page(&m) : s;
}

const at_lab at_lab_moduleformer = {
    .name = "moduleformer",
    .source = "Shen et al. 2023, arXiv 2306.04640",
    .title = "ModuleFormer: what sparsity, its losses and its attention bring",
    .claims = claims,
    .run = run,
};
