/*
 * lab_moduleformer.c - the runs of mf_lab.c: models, their recipes, and learning rates.
 *
 * The dense model is ModuleFormer with a single expert in each layer, which every token uses and
 * no router chooses: the same attention, norms and initial values, so that what differs is sparsity
 * alone.  (gpt2, with learnt positions, needs far more text to reach the same loss; as a yardstick
 * it would flatter the mixture.)
 */
#include "base/text.h"
#include "lab/lab_page.h"
#include "lab/mf_lab.h"
#include "report/jsonl.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

/* What differs between the mixtures of one scale. */
static const struct {
    const char *group, *title, *losses;
    int k;
    bool softmax, lengths, extra; /* extra: not at the quick scale */
} variants[MF_VARIANTS] = {
    {MF_MAIN, "ModuleFormer, k = 2", "mutual_information: 0.001", 2, false, true, false},
    {MF_PLAIN, "without the mutual-information loss", "mutual_information: 0", 2, false, false,
     false},
    {MF_STRONG, "mutual-information loss ten times as heavy", "mutual_information: 0.01", 2, false,
     false, false},
    {MF_SWITCH, "switch balance instead", "switch: 0.01", 2, false, false, true},
    {MF_K1, "k = 1", "mutual_information: 0.001", 1, false, false, false},
    {MF_K4, "k = 4", "mutual_information: 0.001", 4, false, false, false},
    {MF_SOFTMAX, "softmax attention, rotary positions", "mutual_information: 0.001", 2, true, true,
     false},
};

/* Layers, width, hidden width of a feed-forward expert, experts of both kinds. */
static const mf_scale scales[AT_LAB_SCALES] = {
    [AT_LAB_QUICK] = {.seeds = 5,
                      .tokens = 1400000,
                      .tune_tokens = 360000,
                      .batch = 4,
                      .context = 256,
                      .rounds = 12,
                      .eval_windows = 12,
                      .dense = {{2, 64, 256, 1, 1}, {2, 128, 512, 1, 1}, {2, 256, 1024, 1, 1}},
                      .n_dense = 3,
                      .sparse = {2, 96, 96, 8, 16}},
    [AT_LAB_FULL] = {.seeds = 5,
                     .tokens = 6000000,
                     .tune_tokens = 1200000,
                     .batch = 8,
                     .context = 256,
                     .rounds = 20,
                     .eval_windows = 32,
                     .save_every = 500,
                     .extra = true,
                     .dense = {{3, 96, 384, 1, 1},
                               {3, 128, 512, 1, 1},
                               {3, 192, 768, 1, 1},
                               {3, 256, 1024, 1, 1},
                               {3, 384, 1536, 1, 1}},
                     .n_dense = 5,
                     .sparse = {3, 128, 128, 8, 16}},
    [AT_LAB_TINY] = {.seeds = 2,
                     .tokens = 512,
                     .tune_tokens = 256,
                     .batch = 2,
                     .context = 16,
                     .rounds = 2,
                     .eval_windows = 2,
                     .extra = true,
                     .dense = {{1, 8, 16, 1, 1}, {1, 16, 32, 1, 1}},
                     .n_dense = 2,
                     .sparse = {1, 8, 8, 4, 4}},
};

/* For width 128.  The best rate of Adam falls with the width, so the rates that are tried do,
   too. */
static const double rates[MF_RATES] = {0.75e-3, 1.5e-3, 3e-3, 6e-3, 12e-3, 24e-3, 48e-3};

double mf_rate(const mf_model *x, int i) { return rates[i] * 128 / (double)x->shape.width; }

/* ---- models ---- */

void mf_models(mf *m) {
    const mf_scale *z = m->scale = &scales[m->l->o->scale];
    for (int i = 0; i < z->n_dense; i++) {
        mf_model *x = &m->model[m->n++];
        *x = (mf_model){.shape = z->dense[i], .k = 1};
        (void)snprintf(x->group, sizeof x->group, "dense-%d", x->shape.width);
        (void)snprintf(x->title, sizeof x->title, "dense, width %d", x->shape.width);
    }
    for (int i = 0; i <= z->n_dense; i++) {
        m->sweep[i].low = MF_RATE_LOW;
        m->sweep[i].high = MF_RATE_HIGH;
    }
    for (int i = 0; i < MF_VARIANTS; i++) {
        if (variants[i].extra && !z->extra) continue;
        mf_model *x = &m->model[m->n++];
        *x = (mf_model){.shape = z->sparse,
                        .k = variants[i].k,
                        .losses = variants[i].losses,
                        .softmax = variants[i].softmax,
                        .lengths = variants[i].lengths};
        (void)snprintf(x->group, sizeof x->group, "%s", variants[i].group);
        (void)snprintf(x->title, sizeof x->title, "%s", variants[i].title);
    }
}

/* YAML of one run; every run has the same data, tokens, batch and schedule. */
static at_status declare(mf *m, const mf_model *x, const char *group, int64_t seed, double lr,
                         int64_t tokens) {
    const mf_scale *z = m->scale;
    const mf_shape *h = &x->shape;
    at_text t;
    at_json path;
    at_json_open_value(&path, m->l->c);
    at_json_put_string(&path, NULL, m->l->o->data);
    char *quoted = at_json_take(&path);
    const int64_t steps = tokens / (z->batch * z->context);
    const unsigned flags = seed == MF_TUNE_SEED ? AT_TRIAL_MAY_DIVERGE | AT_TRIAL_FOR_TUNING
                           : x->lengths         ? AT_TRIAL_BY_LENGTH
                                                : 0;
    at_text_init(&t, m->l->c, 0);
    at_textf(&t, "# %s, learning rate %g\nseed: %lld\n", x->title, lr, (long long)seed);
    at_textf(&t,
             "model: {arch: moduleformer, n_layer: %d, n_embd: %d, n_head: 1, att_hidden: %d, "
             "ffd_hidden: %d, n_att_experts: %d, k_att: %d, n_mlp_experts: %d, k_mlp: %d, "
             "gate_type: linear, tie_word_embeddings: true, att_func: %s}\n",
             h->layers, h->width, h->width, h->hidden, h->att, x->k, h->ffn, x->k,
             x->softmax ? "softmax" : "stickbreaking");
    at_textf(&t, "data: {train: %s}\n", quoted ? quoted : "");
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
    if (s == AT_OK) s = at_lab_declare(m->l, group, seed, flags, t.s);
    at_text_close(&t);
    at_free(quoted);
    return s;
}

static at_status declare_seeds(mf *m, const mf_model *x, double lr) {
    at_status s = AT_OK;
    for (int64_t seed = 1; seed <= m->scale->seeds && s == AT_OK; seed++)
        s = declare(m, x, x->group, seed, lr, m->scale->tokens);
    return s;
}

/* ---- learning rates: chosen by the validation split, which no claim is tested on ---- */

/* Name of the group that tries rate i. */
static void tune_group(const mf_model *x, int i, char *out, size_t size) {
    (void)snprintf(out, size, "tune-%s-lr%g", x->group, mf_rate(x, i));
}

static at_status declare_tuning(mf *m, int i) {
    at_status s = AT_OK;
    const mf_model *x = &m->model[i];
    for (int r = m->sweep[i].low; r <= m->sweep[i].high && s == AT_OK; r++) {
        char group[64];
        tune_group(x, r, group, sizeof group);
        s = declare(m, x, group, MF_TUNE_SEED, mf_rate(x, r), m->scale->tune_tokens);
    }
    return s;
}

double mf_tune_loss(const mf *m, int i, int r) {
    char group[64];
    double loss;
    tune_group(&m->model[i], r, group, sizeof group);
    const at_trial *t = at_lab_trial(m->l, group, MF_TUNE_SEED);
    return t && t->result && at_jsonl_number(t->result, "val_loss", &loss) ? loss : (double)NAN;
}

int mf_best(const mf *m, int i) {
    int best = -1;
    double least = (double)INFINITY;
    for (int r = m->sweep[i].low; r <= m->sweep[i].high; r++) {
        const double loss = mf_tune_loss(m, i, r);
        if (!(loss < least)) continue;
        best = r;
        least = loss;
    }
    return best;
}

/* Where training diverges with all of them, the best is taken to be at the lower end. */
int mf_edge(const mf *m, int i) {
    const int best = mf_best(m, i);
    return best <= m->sweep[i].low ? -1 : best == m->sweep[i].high ? 1 : 0;
}

bool mf_add_rate(mf *m, int i) {
    const int side = mf_edge(m, i);
    if (side < 0 && m->sweep[i].low > 0) {
        m->sweep[i].low--;
        return true;
    }
    if (side > 0 && m->sweep[i].high + 1 < MF_RATES) {
        m->sweep[i].high++;
        return true;
    }
    return false;
}

/* All runs are declared before the first begins, for the estimate of the time left; those whose
   learning rate is not known yet get it later. */
static at_status declare_all(mf *m) {
    const int dense = m->scale->n_dense;
    at_status s = AT_OK;
    for (int i = 0; i <= dense && s == AT_OK; i++) s = declare_tuning(m, i);
    for (int i = 0; i < m->n && s == AT_OK; i++) {
        const int swept = i < dense ? i : dense, best = mf_best(m, swept);
        s = declare_seeds(m, &m->model[i],
                          mf_rate(&m->model[swept], best < 0 ? MF_RATE_LOW : best));
    }
    return s;
}

/* For rates.jsonl. */
static at_status keep_rates(const mf *m, int i) {
    static const char *const edge[3] = {"lowest", "none", "highest"};
    const mf_model *x = &m->model[i];
    at_json j;
    at_json_open(&j, m->l->c);
    at_json_put_string(&j, "group", x->group);
    at_json_put_number(&j, "rate", mf_rate(x, mf_best(m, i)));
    at_json_put_string(&j, "edge", edge[mf_edge(m, i) + 1]);
    at_json_begin_list(&j, "tried");
    for (int r = m->sweep[i].low; r <= m->sweep[i].high; r++) {
        at_json_begin_object(&j, NULL);
        at_json_put_number(&j, "rate", mf_rate(x, r));
        at_json_put_number(&j, "val_loss", mf_tune_loss(m, i, r)); /* null: diverged */
        at_json_end(&j);
    }
    at_json_end(&j);
    cJSON *o = at_json_value(&j, "rates");
    if (o) at_json_append(m->l->rates, o);
    return o ? AT_OK : m->l->c->status;
}

at_status mf_choose_rates(mf *m) {
    for (int i = 0; i <= m->scale->n_dense; i++) {
        const mf_model *x = &m->model[i];
        const int best = mf_best(m, i), side = mf_edge(m, i);
        if (best < 0)
            return at_error(m->l->c, AT_NUMERIC, "%s: every learning rate from %g to %g exploded",
                            x->group, mf_rate(x, m->sweep[i].low), mf_rate(x, m->sweep[i].high));
        at_status s = keep_rates(m, i);
        if (s == AT_OK && side)
            s = at_lab_warn(m->l,
                            "%s: the best learning rate, %g, is the %s of those tried (%g to %g); "
                            "a better one may lie beyond",
                            x->title, mf_rate(x, best), side < 0 ? "lowest" : "highest",
                            mf_rate(x, m->sweep[i].low), mf_rate(x, m->sweep[i].high));
        if (s != AT_OK) return s;
    }
    return AT_OK;
}

/* Short runs with each rate; while the best one is at an end of the range, the next one is
   tried. */
at_status mf_tune(mf *m) {
    at_status s = declare_all(m);
    for (bool more = true; more && s == AT_OK;) {
        more = false;
        s = at_lab_train(m->l, AT_TRIAL_FOR_TUNING);
        for (int i = 0; i <= m->scale->n_dense && s == AT_OK; i++) more |= mf_add_rate(m, i);
        if (s == AT_OK) s = declare_all(m);
    }
    return s == AT_OK ? mf_choose_rates(m) : s;
}
