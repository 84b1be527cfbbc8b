/* all_page.c - the report of the lab of all three papers together. */
#include "lab/all_lab.h"
#include "lab/lab_page.h"
#include "lab/lab_table.h"
#include <math.h>
#include <stdio.h>

static const char *const title[ALL_ARMS] = {
    "none of the three",   "ModuleFormer",   "teacher",  "ModuleFormer, teacher", "peers",
    "ModuleFormer, peers", "teacher, peers", "all three"};

static const char *cell(const all *m, int arm, const char *key, char out[AT_CELL]) {
    double x[ALL_SEEDS_MAX];
    for (int64_t k = 0; k < m->scale->seeds; k++) x[k] = all_number(m, arm, k, key);
    return at_page_spread(out, x, m->scale->seeds, 4);
}

static void arms(all *m) {
    at_page_section(
        m->l, "Every arm",
        "Mean \xc2\xb1 standard deviation over seeds. Missing: how much more the loss is when an "
        "expert is left out, mean over the experts of all routers, and the worst of them.");
    at_page_table(
        m->l, NULL,
        "arm|parameters (M)|active (M)|test loss|one missing|the worst missing|load entropy");
    for (int arm = 0; arm < ALL_ARMS; arm++) {
        char loss[AT_CELL], mean[AT_CELL], worst[AT_CELL], load[AT_CELL];
        at_page_row(m->l, "%s|%.2f|%.2f|%s|%s|%s|%s", title[arm],
                    1e-6 * all_number(m, arm, 0, "parameters"),
                    1e-6 * all_number(m, arm, 0, "active"), cell(m, arm, "test_loss", loss),
                    cell(m, arm, "missing.mean", mean), cell(m, arm, "missing.worst", worst),
                    cell(m, arm, "load_entropy", load));
    }
    at_page_chart(m->l, "Validation loss against training tokens (seed 1)", "tokens",
                  "validation loss, nats a token");
    for (int arm = 0; arm < ALL_ARMS; arm++)
        at_page_metrics(m->l, at_lab_trial(m->l, all_group(arm), 1), title[arm], "tokens",
                        "val_loss");
}

static void effects(all *m) {
    static const char *const name[3] = {"ModuleFormer", "teacher", "peers"};
    at_page_section(m->l, "What each part changes",
                    "With it minus without it, mean over the four arms of the other two.");
    at_page_table(m->l, NULL, "part|test loss|loss when an expert is missing");
    for (int i = 0; i < 3; i++) {
        double loss[ALL_SEEDS_MAX], missing[ALL_SEEDS_MAX];
        char a[AT_CELL], b[AT_CELL];
        for (int64_t k = 0; k < m->scale->seeds; k++) {
            loss[k] = all_effect(m, 1 << i, k, "test_loss");
            missing[k] = all_effect(m, 1 << i, k, "missing.mean");
        }
        at_page_row(m->l, "%s|%s|%s", name[i], at_page_spread(a, loss, m->scale->seeds, 4),
                    at_page_spread(b, missing, m->scale->seeds, 4));
    }
}

static void tuning(all *m) {
    at_page_section(
        m->l, "Alpha of mutual distillation",
        "Validation loss of short runs of the ModuleFormer without a teacher, with a seed of "
        "their own. The best is used in every arm with peers.");
    at_page_table(m->l, NULL, "alpha|validation loss|chosen");
    for (int i = 0; i < ALL_ALPHAS; i++)
        at_page_row(m->l, "%g|%.4f|%s", all_alpha(i), all_tune_loss(m, i),
                    i == m->best ? "yes" : "");
}

static void setup(all *m) {
    const all_scale *z = m->scale;
    char text[700];
    (void)snprintf(text, sizeof text,
                   "%d layers of width %d; %d feed-forward experts, two a token; ModuleFormer: %d "
                   "attention experts, two a token, "
                   "stick-breaking, and the mutual-information loss; without: one softmax "
                   "attention of twice the width, rotary "
                   "positions, and switch balance. The teacher is dense, %d layers of width %d, "
                   "%lld steps. %lld steps of "
                   "%lld x %lld tokens, learning rate %g, cosine, for every arm; %lld seeds.",
                   z->student.layers, z->student.width, z->student.ffn, z->student.att,
                   z->teacher.layers, z->teacher.width, (long long)z->teacher_steps,
                   (long long)z->steps, (long long)z->batch, (long long)z->context, z->lr,
                   (long long)z->seeds);
    at_page_section(m->l, "Sizes", text);
}

void all_page(all *m) {
    at_page_section(m->l, NULL,
                    "Three papers, each about one way to make a modular language model better: "
                    "experts in every "
                    "part of a layer, a teacher, experts that teach each other. Here they are "
                    "switched on and off, all "
                    "eight ways.");
    at_page_figures(m->l);
    at_page_holding(m->l);
    at_page_warnings(m->l);
    at_page_claims(m->l);
    effects(m);
    arms(m);
    tuning(m);
    setup(m);
}
