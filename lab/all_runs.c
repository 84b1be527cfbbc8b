/*
 * all_runs.c - what the three papers give together: a ModuleFormer, a teacher, and experts that teach each
 * other, each with and without the other two.
 *
 * Every arm has the same feed-forward experts, two of them a token, the same width, tokens and
 * schedule.  What stands for "without":
 *   a ModuleFormer    stick-breaking attention experts and the mutual-information loss; else one softmax
 *                     attention with rotary positions, as wide as a token's attention experts together, and
 *                     switch balance, which is what mixtures usually have
 *   a teacher         half of the loss is the divergence from it; else all of it is the text's
 *   mutual distillation   of the feed-forward experts of a token, alpha chosen on the validation split; else none
 */
#include "lab/all_lab.h"
#include "lab/lab_table.h"
#include <math.h>
#include <stdio.h>

enum { FIRST = 8 }; /* a flag of at_trial of ours: the teacher, which comes before all others */
enum { TUNE_SEED = 101 };

static const double alphas[ALL_ALPHAS] = {0.01, 0.1, 1};

static const all_scale scales[AT_LAB_SCALES] = {
    [AT_LAB_QUICK] = {.seeds = 5,
                      .batch = 4,
                      .context = 128,
                      .teacher_steps = 3000,
                      .steps = 1000,
                      .tune_steps = 500,
                      .eval_windows = 16,
                      .windows = 64,
                      .missing_windows = 4,
                      .teacher = {2, 160, 640, 1, 1},
                      .student = {2, 64, 64, 4, 8},
                      .lr = 6e-3,
                      .lr_teacher = 3e-3},
    [AT_LAB_FULL] = {.seeds = 8,
                     .batch = 8,
                     .context = 256,
                     .teacher_steps = 12000,
                     .steps = 3000,
                     .tune_steps = 1000,
                     .eval_windows = 32,
                     .windows = 200,
                     .missing_windows = 8,
                     .save_every = 500,
                     .teacher = {4, 256, 1024, 1, 1},
                     .student = {3, 96, 96, 8, 16},
                     .lr = 4e-3,
                     .lr_teacher = 2e-3},
    [AT_LAB_TINY] = {.seeds = 2,
                     .batch = 2,
                     .context = 16,
                     .teacher_steps = 6,
                     .steps = 6,
                     .tune_steps = 6,
                     .eval_windows = 2,
                     .windows = 4,
                     .missing_windows = 2,
                     .teacher = {1, 16, 32, 1, 1},
                     .student = {1, 8, 8, 3, 4},
                     .lr = 6e-3,
                     .lr_teacher = 3e-3},
};

/* ---- runs ---- */

const char *all_group(int arm) {
    static const char *const name[ALL_ARMS] = {"none", "m", "t", "mt", "p", "mp", "tp", "mtp"};
    return name[arm];
}

static void put_model(at_text *t, const all_shape *h, bool modular) {
    at_textf(t,
             "model: {arch: moduleformer, n_layer: %d, n_embd: %d, n_head: %d, att_hidden: %d, "
             "ffd_hidden: %d, n_att_experts: %d, k_att: %d, n_mlp_experts: %d, k_mlp: %d, "
             "gate_type: linear, tie_word_embeddings: true, att_func: %s}\n",
             h->layers, h->width, modular ? 1 : 2, modular ? h->width : 2 * h->width, h->hidden,
             modular ? h->att : 1, modular ? 2 : 1, h->ffn, h->ffn > 1 ? 2 : 1,
             modular ? "stickbreaking" : "softmax");
}

static void put_training(const all *m, at_text *t, int64_t steps, double lr) {
    const all_scale *z = m->scale;
    at_text_add(t, "data: {train: ");
    at_lab_put_quoted(t, m->l, m->l->o->data);
    at_textf(t,
             "}\ntrain: {steps: %lld, batch: %lld, context: %lld, lr: %g, schedule: cosine, "
             "warmup: 0.05, weight_decay: 0.1, clip: 1.0, spike: 0, eval_every: %lld, "
             "eval_windows: %lld, save_every: %lld, keep: 1}\n",
             (long long)steps, (long long)z->batch, (long long)z->context, lr,
             (long long)(steps > 6 ? steps / 6 : 0), (long long)z->eval_windows,
             (long long)z->save_every);
}

static at_status finish(const all *m, at_text *t, const char *group, int64_t seed, unsigned flags) {
    at_status s = t->failed;
    if (s == AT_OK) s = at_lab_declare(m->l, group, seed, flags, t->s);
    at_text_close(t);
    return s;
}

static at_status declare_teacher(const all *m) {
    at_text t;
    at_text_init(&t, m->l->c, 0);
    at_text_add(&t, "# the teacher of all students, dense\nseed: 1\n");
    put_model(&t, &m->scale->teacher, false);
    put_training(m, &t, m->scale->teacher_steps, m->scale->lr_teacher);
    return finish(m, &t, ALL_TEACHER, 1, FIRST);
}

static at_status declare_arm(const all *m, int arm, const char *group, int64_t seed, unsigned flags,
                             int64_t steps, double alpha) {
    const bool modular = arm & ALL_MODULES;
    at_text t;
    at_text_init(&t, m->l->c, 0);
    at_textf(&t, "seed: %lld\n", (long long)seed);
    put_model(&t, &m->scale->student, modular);
    put_training(m, &t, steps, m->scale->lr);
    at_textf(&t, "losses: {%s, mutual_distillation: %g}\n",
             modular ? "mutual_information: 0.001" : "switch: 0.01", alpha);
    if (arm & ALL_TEACHER_BIT) {
        at_text_add(&t, "distill: {teacher: ");
        at_lab_put_model(&t, m->l, ALL_TEACHER, 1);
        at_text_add(&t, ", temperature: 1.0, alpha: 0.5, loss: forward_kl}\n");
    }
    return finish(m, &t, group, seed, flags);
}

static void tune_group(int i, char out[32]) { (void)snprintf(out, 32, "tune-alpha-%g", alphas[i]); }

double all_tune_loss(const all *m, int i) {
    char group[32];
    tune_group(i, group);
    return at_lab_number(m->l, group, TUNE_SEED, "val_loss");
}

double all_alpha(int i) { return alphas[i]; }

/* Short runs of the mixture without a teacher, with a seed of their own. */
static at_status tune(all *m) {
    at_status s = AT_OK;
    for (int i = 0; i < ALL_ALPHAS && s == AT_OK; i++) {
        char group[32];
        tune_group(i, group);
        s = declare_arm(m, ALL_MODULES, group, TUNE_SEED, AT_TRIAL_FOR_TUNING, m->scale->tune_steps,
                        alphas[i]);
    }
    if (s == AT_OK) s = at_lab_train(m->l, AT_TRIAL_FOR_TUNING);
    for (int i = 1; i < ALL_ALPHAS && s == AT_OK; i++)
        if (all_tune_loss(m, i) < all_tune_loss(m, m->best)) m->best = i;
    return s;
}

void all_open(all *m, at_lab_session *l) {
    *m = (all){.l = l, .scale = &scales[l->o->scale]};
    l->sides = l->c->threads;
    l->windows = m->scale->windows;
    l->missing_windows = m->scale->missing_windows;
}

at_status all_train(all *m) {
    at_status s = declare_teacher(m);
    if (s == AT_OK) s = at_lab_train(m->l, FIRST);
    if (s == AT_OK) s = tune(m);
    for (int64_t seed = 1; seed <= m->scale->seeds; seed++)
        for (int arm = 0; arm < ALL_ARMS && s == AT_OK; arm++)
            s = declare_arm(m, arm, all_group(arm), seed, AT_TRIAL_MISSING, m->scale->steps,
                            arm & ALL_PEERS ? alphas[m->best] : 0);
    return s == AT_OK ? at_lab_train(m->l, 0) : s;
}

/* ---- claims ---- */

double all_number(const all *m, int arm, int64_t k, const char *key) {
    return at_lab_number(m->l, all_group(arm), k + 1, key);
}

/* What a part changes: with it minus without it, mean over the arms of the other two. */
double all_effect(const all *m, int bit, int64_t k, const char *key) {
    double sum = 0;
    for (int arm = 0; arm < ALL_ARMS; arm++)
        sum += (arm & bit ? 1 : -1) * all_number(m, arm, k, key) / (ALL_ARMS / 2);
    return sum;
}

/* The loss of all three minus that of the best two, whichever they are with this seed. */
static double all_against_two(const all *m, int64_t k) {
    double best = (double)INFINITY;
    for (int bit = 1; bit < ALL_ARMS; bit *= 2)
        best = fmin(best, all_number(m, (ALL_ARMS - 1) ^ bit, k, "test_loss"));
    return all_number(m, ALL_ARMS - 1, k, "test_loss") - best;
}

typedef struct {
    at_claim_text text;
    int bit; /* of the effect; 0: all three against any two */
    const char *key;
} claim;

#define NATS "nats a token"
static const claim table[] = {
    {{"a", "a ModuleFormer is better than an ordinary mixture of equal active size", "-", NATS, 0,
      AT_BELOW, false},
     ALL_MODULES,
     "test_loss"},
    {{"a", "a teacher makes mixtures better from as many tokens", "-", NATS, 0, AT_BELOW, false},
     ALL_TEACHER_BIT,
     "test_loss"},
    {{"a", "experts that teach each other make a better mixture", "-", NATS, 0, AT_BELOW, false},
     ALL_PEERS,
     "test_loss"},
    {{"b", "all three together are better than the best two of them", "-", NATS, 0, AT_BELOW,
      false},
     0,
     NULL},
    {{"c", "experts that teach each other: less is lost when one is missing", "-",
      "nats a token lost, mean over experts", 0, AT_BELOW, false},
     ALL_PEERS,
     "missing.mean"},
    {{"c", "experts that teach each other: less is lost when the most needed one is missing", "-",
      "nats a token lost, worst expert", 0, AT_BELOW, false},
     ALL_PEERS,
     "missing.worst"},
    {{"c", "a teacher: less is lost when an expert is missing", "-",
      "nats a token lost, mean over experts", 0, AT_BELOW, false},
     ALL_TEACHER_BIT,
     "missing.mean"},
};

at_status all_claims(all *m) {
    at_status s = AT_OK;
    for (size_t i = 0; i < sizeof table / sizeof *table && s == AT_OK; i++) {
        double x[ALL_SEEDS_MAX];
        for (int64_t k = 0; k < m->scale->seeds; k++)
            x[k] =
                table[i].bit ? all_effect(m, table[i].bit, k, table[i].key) : all_against_two(m, k);
        s = at_lab_claim_seeds(m->l, &table[i].text, x, m->scale->seeds);
    }
    return s == AT_OK ? at_lab_claims_decide(m->l) : s;
}
