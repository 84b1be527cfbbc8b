/*
 * clock_runs.c - small mixtures against time: a mixture, and dense models with as many parameters in use for
 * a token, with as many in all, and one between, by tokens and by the clock.
 *
 * Every model is trained for half as long, as long, and twice as long, each run with a schedule of its own,
 * so that a loss at a time between two of them can be told.  Times are tokens over the measured
 * training speed, for which the models of a seed take turns (lab_speed.h).
 */
#include "lab/clock_lab.h"
#include "lab/lab_page.h"
#include "lab/lab_table.h"
#include <math.h>
#include <stdio.h>

enum { TUNE_SEED = 101 };

const char *const clock_title[CLOCK_MODELS] = {"mixture", "dense, equal active size",
                                               "dense, between", "dense, equal total size"};
static const char *const name[CLOCK_MODELS] = {"mixture", "active", "middle", "total"};
static const char *const suffix[CLOCK_HORIZONS] = {"-half", "", "-twice"};
static const double horizon_of[CLOCK_HORIZONS] = {0.5, 1, 2};
/* For width 128; the best rate of Adam falls with the width. */
static const double rates[CLOCK_RATES] = {3e-3, 6e-3, 12e-3};

/* Attention of a mixture: two of `att` experts as wide as the model; of a dense model one.  A dense
   model's hidden width makes the number of its parameters that of the mixture's. */
static const clock_scale scales[AT_LAB_SCALES] = {
    [AT_LAB_QUICK] = {.seeds = 3,
                      .steps = 700,
                      .tune_steps = 175,
                      .batch = 4,
                      .context = 256,
                      .eval_windows = 12,
                      .windows = 64,
                      .rounds = 10,
                      .model = {{2, 96, 96, 8, 16},
                                {2, 96, 288, 1, 1},
                                {2, 128, 512, 1, 1},
                                {2, 192, 704, 1, 1}}},
    [AT_LAB_FULL] = {.seeds = 5,
                     .steps = 3000,
                     .tune_steps = 600,
                     .batch = 8,
                     .context = 256,
                     .eval_windows = 32,
                     .windows = 200,
                     .save_every = 500,
                     .rounds = 20,
                     .model = {{4, 192, 192, 8, 16},
                               {4, 192, 576, 1, 1},
                               {4, 256, 1024, 1, 1},
                               {4, 448, 1568, 1, 1}}},
    [AT_LAB_TINY] =
        {.seeds = 2,
         .steps = 8,
         .tune_steps = 4,
         .batch = 2,
         .context = 16,
         .eval_windows = 2,
         .windows = 4,
         .rounds = 2,
         .model = {{1, 8, 8, 4, 4}, {1, 8, 24, 1, 1}, {1, 12, 32, 1, 1}, {1, 16, 32, 1, 1}}},
};

/* ---- runs ---- */

void clock_group(int model, int horizon, char out[64]) {
    (void)snprintf(out, 64, "%s%s", name[model], suffix[horizon]);
}

static void tune_group(int model, int i, char out[64]) {
    (void)snprintf(out, 64, "tune-%s-%d", name[model], i + 1);
}

double clock_rate(const clock_study *m, int model, int i) {
    return rates[i] * 128 / m->scale->model[model].width;
}

double clock_tune_loss(const clock_study *m, int model, int i) {
    char group[64];
    tune_group(model, i, group);
    return at_lab_number(m->l, group, TUNE_SEED, "val_loss");
}

static at_status declare(const clock_study *m, int model, const char *group, int64_t seed,
                         unsigned flags, int64_t steps, int rate) {
    const clock_scale *z = m->scale;
    const clock_shape *h = &z->model[model];
    const int k_att = h->att > 1 ? 2 : 1, k_ffn = h->ffn > 1 ? 2 : 1;
    at_text t;
    at_text_init(&t, m->l->c, 0);
    at_textf(&t, "# %s\nseed: %lld\n", clock_title[model], (long long)seed);
    at_textf(&t,
             "model: {arch: moduleformer, n_layer: %d, n_embd: %d, n_head: 1, att_hidden: %d, "
             "ffd_hidden: %d, n_att_experts: %d, k_att: %d, n_mlp_experts: %d, k_mlp: %d, "
             "gate_type: linear, tie_word_embeddings: true}\n",
             h->layers, h->width, h->width, h->hidden, h->att, k_att, h->ffn, k_ffn);
    at_text_add(&t, "data: {train: ");
    at_lab_put_quoted(&t, m->l, m->l->o->data);
    at_textf(&t,
             "}\ntrain: {steps: %lld, batch: %lld, context: %lld, lr: %g, schedule: cosine, "
             "warmup: 0.05, weight_decay: 0.1, clip: 1.0, spike: 0, eval_every: %lld, "
             "eval_windows: %lld, save_every: %lld, keep: 1}\n",
             (long long)steps, (long long)z->batch, (long long)z->context,
             clock_rate(m, model, rate), (long long)(steps > 6 ? steps / 6 : 0),
             (long long)z->eval_windows, (long long)z->save_every);
    if (h->ffn > 1) at_text_add(&t, "losses: {mutual_information: 0.001}\n");
    at_status s = t.failed;
    if (s == AT_OK) s = at_lab_declare(m->l, group, seed, flags, t.s);
    at_text_close(&t);
    return s;
}

/* Short runs with each rate and a seed of their own; the best on the validation split is kept. */
static at_status tune(clock_study *m) {
    at_status s = AT_OK;
    for (int model = 0; model < CLOCK_MODELS; model++)
        for (int i = 0; i < CLOCK_RATES && s == AT_OK; i++) {
            char group[64];
            tune_group(model, i, group);
            s = declare(m, model, group, TUNE_SEED, AT_TRIAL_FOR_TUNING | AT_TRIAL_MAY_DIVERGE,
                        m->scale->tune_steps, i);
        }
    if (s == AT_OK) s = at_lab_train(m->l, AT_TRIAL_FOR_TUNING);
    for (int model = 0; model < CLOCK_MODELS && s == AT_OK; model++) {
        int *best = &m->rate[model];
        for (int i = 1; i < CLOCK_RATES; i++)
            if (clock_tune_loss(m, model, i) < clock_tune_loss(m, model, *best)) *best = i;
        if (*best != 0 && *best != CLOCK_RATES - 1) continue;
        s = at_lab_warn(m->l, "%s: the best learning rate, %g, is the last one tried on its side",
                        clock_title[model], clock_rate(m, model, *best));
    }
    return s;
}

void clock_open(clock_study *m, at_lab_session *l) {
    *m = (clock_study){.l = l, .scale = &scales[l->o->scale]};
    l->sides = l->c->threads;
    l->windows = m->scale->windows;
    l->later = 0.1 * CLOCK_MODELS * (m->scale->rounds + 1) * (double)m->scale->seeds;
}

at_status clock_train(clock_study *m) {
    at_status s = tune(m);
    for (int64_t seed = 1; seed <= m->scale->seeds; seed++)
        for (int model = 0; model < CLOCK_MODELS; model++)
            for (int h = 0; h < CLOCK_HORIZONS && s == AT_OK; h++) {
                char group[64];
                clock_group(model, h, group);
                s = declare(m, model, group, seed, 0,
                            (int64_t)(horizon_of[h] * (double)m->scale->steps), m->rate[model]);
            }
    return s == AT_OK ? at_lab_train(m->l, 0) : s;
}

at_status clock_measure(clock_study *m) {
    const at_trial *t[CLOCK_SEEDS_MAX * CLOCK_MODELS] = {NULL};
    at_speed speed[CLOCK_SEEDS_MAX * CLOCK_MODELS];
    const int seeds = (int)m->scale->seeds;
    char group[64];
    for (int k = 0; k < seeds; k++)
        for (int i = 0; i < CLOCK_MODELS; i++) {
            clock_group(i, CLOCK_WHOLE, group);
            t[k * CLOCK_MODELS + i] = at_lab_trial(m->l, group, k + 1);
        }
    const at_status s = at_lab_speed(m->l, t, seeds, CLOCK_MODELS, m->scale->rounds, speed);
    for (int k = 0; s == AT_OK && k < seeds; k++)
        for (int i = 0; i < CLOCK_MODELS; i++) m->speed[k][i] = speed[k * CLOCK_MODELS + i];
    return s;
}

/* ---- losses and times ---- */

double clock_loss(const clock_study *m, int model, int horizon, int64_t k) {
    char group[64];
    clock_group(model, horizon, group);
    return at_lab_number(m->l, group, k + 1, "test_loss");
}

double clock_seconds(const clock_study *m, int model, int horizon, int64_t k) {
    char group[64];
    clock_group(model, horizon, group);
    return at_lab_number(m->l, group, k + 1, "tokens") / m->speed[k][model].train;
}

double clock_loss_in_time(const clock_study *m, int model, int64_t k, bool *outside) {
    const double t = clock_seconds(m, CLOCK_MIXTURE, CLOCK_WHOLE, k);
    int i = 0;
    while (i + 2 < CLOCK_HORIZONS && clock_seconds(m, model, i + 1, k) < t) i++;
    const double a = clock_seconds(m, model, i, k), b = clock_seconds(m, model, i + 1, k);
    *outside = t < a || t > b;
    const double x = log(t / a) / log(b / a);
    return (1 - x) * clock_loss(m, model, i, k) + x * clock_loss(m, model, i + 1, k);
}

/* ---- claims ---- */

#define NATS "nats a token"
static const struct {
    at_claim_text text;
    int model;
    bool by_time;
} table[] = {
    {{"a", "with equal tokens a mixture is better than a dense model of equal active size",
      "1.579 against 1.655 (arXiv 2605.13769)", NATS, 0, AT_BELOW, false},
     CLOCK_ACTIVE,
     false},
    {{"a", "with equal tokens a mixture is worse than a dense model of equal total size",
      "1.579 against 1.561 (arXiv 2605.13769)", NATS, 0, AT_ABOVE, false},
     CLOCK_TOTAL,
     false},
    {{"b", "in equal time a mixture is better than a dense model of equal active size", "-", NATS,
      0, AT_BELOW, false},
     CLOCK_ACTIVE,
     true},
    {{"b", "in equal time a mixture is better than a dense model of a size between", "-", NATS, 0,
      AT_BELOW, false},
     CLOCK_MIDDLE,
     true},
    {{"b", "in equal time a mixture is better than a dense model of equal total size", "-", NATS, 0,
      AT_BELOW, false},
     CLOCK_TOTAL,
     true},
};

at_status clock_claims(clock_study *m) {
    at_status s = AT_OK;
    for (size_t i = 0; i < sizeof table / sizeof *table && s == AT_OK; i++) {
        double x[CLOCK_SEEDS_MAX];
        bool drawn_on = false;
        for (int64_t k = 0; k < m->scale->seeds; k++) {
            bool outside = false;
            const double other = table[i].by_time
                                     ? clock_loss_in_time(m, table[i].model, k, &outside)
                                     : clock_loss(m, table[i].model, CLOCK_WHOLE, k);
            x[k] = clock_loss(m, CLOCK_MIXTURE, CLOCK_WHOLE, k) - other;
            drawn_on |= outside;
        }
        if (drawn_on)
            s = at_lab_warn(
                m->l,
                "%s: the mixture's time lies beyond the runs of this model, whose loss is "
                "drawn on from the nearest two",
                clock_title[table[i].model]);
        if (s == AT_OK) s = at_lab_claim_seeds(m->l, &table[i].text, x, m->scale->seeds);
    }
    return s == AT_OK ? at_lab_claims_decide(m->l) : s;
}
