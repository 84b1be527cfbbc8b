/*
 * mome_runs.c - the runs of mome_lab.h and their recipes.
 *
 * All students have one shape, one learning rate and one batch, and read as many tokens wherever the
 * claim does not say otherwise.  A student of all languages reads what the students of each language
 * read together.
 */
#include "base/text.h"
#include "lab/lab_table.h"
#include "lab/mome_lab.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { FIRST = 8 }; /* a flag of at_trial of ours: the run that all others need */

/* Layers, width, heads.  A wide student has as many parameters as the students of four languages
   together.  Of 1.5e-3, 3e-3, 6e-3 and 12e-3, tried in 1200 steps with another seed on the
   validation split, 3e-3 was the best rate of a student of text alone and of one language, 6e-3 (by
   0.07 nats) of one with a teacher, and 1.5e-3 of a wide one: the first and the last are used. */
static const mome_scale scales[AT_LAB_SCALES] = {
    [AT_LAB_QUICK] = {.seeds = 5,
                      .batch = 4,
                      .context = 128,
                      .teacher_steps = 3500,
                      .stage_steps = 128,
                      .eval_windows = 32,
                      .windows = 96,
                      .route_windows = 1000,
                      .samples = 20,
                      .teacher = {3, 128, 4},
                      .student = {2, 64, 2},
                      .wide = {2, 160, 5},
                      .lr = 3e-3,
                      .lr_wide = 1.5e-3,
                      .lr_teacher = 3e-3},
    [AT_LAB_FULL] = {.seeds = 8,
                     .batch = 8,
                     .context = 128,
                     .teacher_steps = 20000,
                     .stage_steps = 600,
                     .eval_windows = 64,
                     .save_every = 1000,
                     .windows = 600,
                     .route_windows = 3000,
                     .samples = 40,
                     .teacher = {4, 192, 6},
                     .student = {2, 96, 3},
                     .wide = {3, 208, 4},
                     .lr = 2e-3,
                     .lr_wide = 1e-3,
                     .lr_teacher = 1.5e-3},
    [AT_LAB_TINY] = {.seeds = 2,
                     .batch = 2,
                     .context = 16,
                     .teacher_steps = 6,
                     .stage_steps = 6,
                     .eval_windows = 2,
                     .windows = 4,
                     .route_windows = 20,
                     .samples = 2,
                     .teacher = {1, 16, 2},
                     .student = {1, 8, 2},
                     .wide = {1, 16, 2},
                     .lr = 6e-3,
                     .lr_wide = 3e-3,
                     .lr_teacher = 3e-3},
};

const mome_arm mome_arms[] = {
    {MOME_COMBINED, "both losses, half each (forward KL)", "loss: forward_kl"},
    {"adaptive", "alpha: the paper's adaptive rule", "loss: forward_kl, alpha_rule: adaptive"},
    {"slopes", "alpha: by smoothed slopes", "loss: forward_kl, alpha_rule: slopes"},
    {"anneal", "alpha: from 0 to 1 along a line",
     "loss: forward_kl, alpha: 0, alpha_rule: anneal, alpha_end: 1"},
    {"alternating", "the losses in turns", "loss: forward_kl, schedule: alternating"},
    {"soft-ce", "soft cross entropy", "loss: soft_ce"},
    {"reverse", "reverse KL", "loss: reverse_kl"},
    {"js", "Jensen-Shannon", "loss: js"},
    {"skew", "skewed KL", "loss: skew_kl"},
    {"skew-reverse", "skewed reverse KL", "loss: skew_reverse_kl"},
    {MOME_ALONE, "text alone, as many tokens", NULL},
    {MOME_COMPUTE, "text alone, as many operations", NULL},
    {0}};

const char *mome_domain(const mome *m, int d) { return m->l->data->domain[d].name; }
int mome_language(const mome *m, int first, int stage) { return (first + stage) % m->domains; }

void mome_stage(char out[64], enum mome_mode mode, int first, int stage) {
    if (stage == 0)
        (void)snprintf(out, 64, "expert-%d", first + 1);
    else
        (void)snprintf(out, 64, "%s-%d-%d", mode == MOME_REPLAY ? "replay" : "sequential",
                       first + 1, stage + 1);
}

double mome_number(const mome *m, const char *group, int k, const char *key) {
    return at_lab_number(m->l, group, k + 1, key);
}

double mome_domain_loss(const mome *m, const char *group, int k, int d) {
    const at_trial *t = at_lab_trial(m->l, group, k + 1);
    const cJSON *o = t ? cJSON_GetObjectItemCaseSensitive(t->result, "by_domain") : NULL;
    const cJSON *v = cJSON_GetObjectItemCaseSensitive(o, mome_domain(m, d));
    return cJSON_IsNumber(v) ? v->valuedouble : (double)NAN;
}

/* ---- recipes ---- */

typedef struct {
    const char *title, *init; /* init: the group to begin with, or NULL */
    const mome_shape *shape;  /* where it begins with nothing */
    bool trunks, common;      /* of that shape, one a language, over one embedding */
    double dropout;           /* of the common one */
    const char *distill;
    bool taught;
    int64_t steps, eval_every;
    double lr;
    int domain[MOME_DOMAINS_MAX]; /* read, with their weights */
    int64_t weight[MOME_DOMAINS_MAX];
    int domains; /* 0: all, equally often */
} run;

static void put_model(const mome *m, at_text *t, const run *r) {
    if (r->trunks) {
        at_text_add(t, "model: {arch: trunks, modules: [");
        for (int d = 0; d < m->domains; d++) {
            at_text_add(t, d ? ", " : "");
            at_lab_put_quoted(t, m->l, mome_domain(m, d));
        }
        at_textf(t, "], common: %s, combine: mean, common_dropout: %g, ",
                 r->common ? "true" : "false", r->dropout);
    } else {
        at_text_add(t, "model: {arch: gpt2, ");
    }
    at_text_add(t, "initializer_range: 0.06, tie_word_embeddings: true, ");
    at_textf(t, "%sn_layer: %d, n_embd: %d, n_head: %d, n_positions: %lld%s}\n",
             r->trunks ? "trunk: {arch: gpt2, initializer_range: 0.06, " : "", r->shape->layers,
             r->shape->width, r->shape->heads, (long long)m->scale->context, r->trunks ? "}" : "");
}

static void put_data(const mome *m, at_text *t, const run *r) {
    at_text_add(t, "data: {train: ");
    at_lab_put_quoted(t, m->l, m->l->o->data);
    for (int i = 0; i < r->domains; i++) {
        at_text_add(t, i ? ", " : ", domains: [");
        at_lab_put_quoted(t, m->l, mome_domain(m, r->domain[i]));
    }
    for (int i = 0; i < r->domains && r->domains > 1; i++)
        at_textf(t, "%s%lld", i ? ", " : "], weights: [", (long long)r->weight[i]);
    at_text_add(t, r->domains ? "]}\n" : "}\n");
}

static at_status declare(const mome *m, const char *group, int64_t seed, unsigned flags,
                         const run *r) {
    const mome_scale *z = m->scale;
    at_text t;
    at_text_init(&t, m->l->c, 0);
    at_textf(&t, "# %s\nseed: %lld\n", r->title, (long long)seed);
    if (r->init) {
        at_text_add(&t, "init: ");
        at_lab_put_model(&t, m->l, r->init, seed);
        at_text_add(&t, "\n");
    } else {
        put_model(m, &t, r);
    }
    put_data(m, &t, r);
    at_textf(&t,
             "train: {steps: %lld, batch: %lld, context: %lld, lr: %g, schedule: cosine, warmup: "
             "0.05, weight_decay: 0.1, clip: 1.0, spike: 0, eval_every: %lld, eval_windows: %lld, "
             "save_every: %lld, keep: 1}\n",
             (long long)r->steps, (long long)z->batch, (long long)z->context, r->lr,
             (long long)r->eval_every, (long long)z->eval_windows, (long long)z->save_every);
    if (r->taught) {
        at_text_add(&t, "distill: {teacher: ");
        at_lab_put_model(&t, m->l, MOME_TEACHER, 1);
        at_textf(&t, ", temperature: 1.0, %s%s}\n",
                 strstr(r->distill, "alpha: ") ? "" : "alpha: 0.5, ", r->distill);
    }
    at_status s = t.failed;
    if (s == AT_OK) s = at_lab_declare(m->l, group, seed, flags, t.s);
    at_text_close(&t);
    return s;
}

/* A student of all languages, taught as the one that all are compared with. */
static run student(const mome *m) {
    return (run){.title = mome_arms[0].title,
                 .shape = &m->scale->student,
                 .distill = mome_arms[0].distill,
                 .taught = true,
                 .steps = m->together,
                 .eval_every = m->scale->stage_steps,
                 .lr = m->scale->lr};
}

/* ---- teacher and arms ---- */

static at_status declare_teacher(const mome *m) {
    const run r = {.title = "the teacher of all students",
                   .shape = &m->scale->teacher,
                   .steps = m->scale->teacher_steps,
                   .eval_every = m->scale->teacher_steps / 4,
                   .lr = m->scale->lr_teacher};
    return declare(m, MOME_TEACHER, 1, FIRST, &r);
}

/* Trunks that are trained together, a step a language in turns. */
static at_status declare_trunks(const mome *m, int64_t seed) {
    run r = student(m);
    r.trunks = true;
    r.title = "JEET: a trunk a language over one embedding and head";
    at_status s = declare(m, MOME_JEET, seed, 0, &r);
    r.common = true;
    r.title = "MoE-CE: the same with a trunk that is always run";
    if (s == AT_OK) s = declare(m, MOME_COMMON, seed, 0, &r);
    r.dropout = 0.3;
    r.title = "MoE-CE, three steps of ten without the common trunk";
    return s == AT_OK ? declare(m, MOME_DROPPED, seed, 0, &r) : s;
}

/* Steps of a student without a teacher that cost what a taught one costs. */
static int64_t equal_compute(const mome *m, int64_t seed) {
    const at_trial *taught = at_lab_trial(m->l, MOME_COMBINED, seed);
    const at_trial *alone = at_lab_trial(m->l, MOME_ALONE, seed);
    return llround((double)m->together * taught->flops / alone->flops);
}

static at_status declare_arms(const mome *m, int64_t seed) {
    at_status s = AT_OK;
    for (const mome_arm *a = mome_arms; a->group && s == AT_OK; a++) {
        run r = student(m);
        r.title = a->title;
        r.taught = a->distill != NULL;
        r.distill = a->distill;
        if (!strcmp(a->group, MOME_COMPUTE)) r.steps = equal_compute(m, seed);
        s = declare(m, a->group, seed, 0, &r);
    }
    run wide = student(m);
    wide.title = "as many parameters as the students of all languages together";
    wide.shape = &m->scale->wide;
    wide.lr = m->scale->lr_wide;
    return s == AT_OK ? declare(m, MOME_WIDE, seed, 0, &wide) : s;
}

/* ---- one language after the other ---- */

/* 95 % of the sequences are of the new language, the rest evenly of those before. */
static void replay(const mome *m, run *r, int first, int stage) {
    r->domains = stage + 1;
    r->weight[0] = (int64_t)19 * stage;
    for (int i = 1; i <= stage; i++) {
        r->domain[i] = mome_language(m, first, i - 1);
        r->weight[i] = 1;
    }
}

static at_status declare_stage(const mome *m, enum mome_mode mode, int first, int stage,
                               int64_t seed) {
    char group[64], before[64], title[128];
    const int d = mome_language(m, first, stage);
    run r = student(m);
    mome_stage(group, mode, first, stage);
    (void)snprintf(title, sizeof title, "stage %d of those that begin with %s%s: %s", stage + 1,
                   mome_domain(m, first), mode == MOME_REPLAY ? ", with replay" : "",
                   mome_domain(m, d));
    r.title = title;
    r.steps = m->scale->stage_steps;
    r.eval_every = 0;
    r.domain[0] = d;
    r.domains = 1;
    if (stage) {
        mome_stage(before, mode, first, stage - 1);
        r.init = before;
        if (mode == MOME_REPLAY) replay(m, &r, first, stage);
    }
    return declare(m, group, seed, 0, &r);
}

/* One language in seven of ten sequences, another one with each seed. */
static at_status declare_imbalanced(const mome *m, int64_t seed) {
    run r = student(m);
    r.title = "seven sequences of ten are of one language";
    r.domains = m->domains;
    for (int i = 0; i < m->domains; i++) {
        r.domain[i] = mome_language(m, (int)((seed - 1) % m->domains), i);
        r.weight[i] = i ? 30 : (int64_t)70 * (m->domains - 1);
    }
    return declare(m, MOME_IMBALANCE, seed, 0, &r);
}

/* By stages, so that the runs of a stage of all seeds and orders can be done side by side. */
static at_status declare_stages(const mome *m) {
    at_status s = AT_OK;
    for (int stage = 0; stage < m->domains; stage++)
        for (int mode = MOME_SEQUENTIAL; mode <= (stage ? MOME_REPLAY : MOME_SEQUENTIAL); mode++)
            for (int first = 0; first < m->domains; first++)
                for (int64_t seed = 1; seed <= m->scale->seeds && s == AT_OK; seed++)
                    s = declare_stage(m, (enum mome_mode)mode, first, stage, seed);
    return s;
}

/* ---- all of it ---- */

at_status mome_open(mome *m, at_lab_session *l) {
    *m = (mome){.l = l, .scale = &scales[l->o->scale], .domains = l->data->n_domains};
    if (m->domains < 2 || m->domains > MOME_DOMAINS_MAX)
        return at_error(l->c, AT_UNSUPPORTED,
                        "%s: this lab takes 2 to %d domains, and the data set has %d", l->o->data,
                        MOME_DOMAINS_MAX, m->domains);
    m->together = m->domains * m->scale->stage_steps;
    l->sides = l->c->threads;
    l->windows = m->scale->windows;
    int arms = 0;
    while (mome_arms[arms].group) arms++;
    m->curve = at_calloc(l->c, (size_t)(arms * m->scale->seeds), sizeof *m->curve);
    return m->curve ? AT_OK : AT_OOM;
}

void mome_close(mome *m) {
    at_free(m->curve);
    for (int k = 0; k < MOME_SEEDS_MAX; k++) at_free(m->router[k].p);
}

/* What a run costs is known when its teacher is there; so the teacher comes first. */
at_status mome_train(mome *m) {
    at_status s = declare_teacher(m);
    if (s == AT_OK) s = at_lab_train(m->l, FIRST);
    for (int64_t seed = 1; seed <= m->scale->seeds && s == AT_OK; seed++) {
        s = declare_arms(m, seed);
        if (s == AT_OK) s = declare_imbalanced(m, seed);
        if (s == AT_OK) s = declare_trunks(m, seed);
    }
    if (s == AT_OK) s = declare_stages(m);
    return s == AT_OK ? at_lab_train(m->l, 0) : s;
}
