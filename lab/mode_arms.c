/* mode_arms.c - the recipes of what is compared. */
#include "base/text.h"
#include "lab/mode_lab.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

const char *const mode_gate_name[MODE_GATES] = {"dense2", "dense4", "sparse", "dense8", "image"};
const char *const mode_gate_title[MODE_GATES] = {"2 experts, dense gates", "4 experts, dense gates",
                                                 "2 of 4 experts", "8 experts, dense gates",
                                                 "a convolution, then 2 of 4 experts"};
static const int gate_experts[MODE_GATES] = {2, 4, 4, 8, 4}, gate_k[MODE_GATES] = {0, 0, 2, 0, 2};
int64_t mode_gate_experts(mode_gate g) { return gate_experts[g]; }

/* Seven values each, that all have the same chance of being lucky. */
#define ALPHAS \
    { 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3 }
#define DECAYS \
    { 0, 0.01, 0.03, 0.1, 0.3, 1, 3 }
const mode_arm_kind mode_arms[MODE_ARMS] = {
    [MODE_PLAIN] = {"plain", "mixture", {0}, 0},
    [MODE_MUTUAL] = {"mutual", "mutual distillation", ALPHAS, 7},
    [MODE_KL] = {"kl", "mutual distillation by KL", ALPHAS, 7},
    [MODE_LABEL] = {"label", "label loss of each expert", ALPHAS, 7},
    [MODE_DECAY] = {"decay", "weight decay", {0.003, 0.01, 0.03, 0.1, 0.3, 1, 3}, 7},
    [MODE_DROPOUT] = {"dropout", "dropout", {0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5}, 7},
    [MODE_BALANCE] = {"balance", "load balancing", {0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1}, 7},
    [MODE_NEGATIVE] = {"negative",
                       "experts driven apart",
                       {-0.0003, -0.001, -0.003, -0.01, -0.03, -0.1, -0.3},
                       7},
    [MODE_TABM] = {"tabm", "ensemble with parts in common (TabM), as many parameters", DECAYS, 7},
    [MODE_ONE] = {"one", "one perceptron, as many parameters", DECAYS, 7},
    [MODE_FAST] = {"fast", "one perceptron, as many operations", DECAYS, 7},
};

/* ---- sizes ---- */

/* Parameters, or multiplications a row, of perceptrons with D inputs, H hidden units, C classes. */
static double size_of(double D, double H, double C, double experts, bool operations) {
    const double biases = operations ? 0 : 1;
    return experts * (D * H + biases * H + H * C + biases * C);
}

/* Hidden units of the one perceptron whose size is nearest. */
static int64_t matched(double D, double H, double C, mode_gate g, bool operations) {
    const double asked = operations && gate_k[g] ? gate_k[g] : gate_experts[g];
    const double gate = gate_experts[g] * (D + (operations ? 0 : 1));
    const double want = size_of(D, H, C, asked, operations) + gate;
    const double a = size_of(D, 1, C, 1, operations), b = size_of(D, 2, C, 1, operations);
    const double width = 1 + (want - a) / (b - a);
    return width < 1 ? 1 : (int64_t)floor(width + 0.5);
}

/* Of TabM with MEMBERS of them; its factors and last layers are the members' own. */
enum { MEMBERS = 8 };
static int64_t matched_ensemble(double D, double H, double C, mode_gate g) {
    const double want = size_of(D, H, C, gate_experts[g], false) + gate_experts[g] * (D + 1);
    const double width = (want - MEMBERS * (D + C)) / (D + MEMBERS * (2 + C));
    return width < 1 ? 1 : (int64_t)floor(width + 0.5);
}

static bool is_ignored(const at_lab_table *t, const char *name) {
    const size_t n = strlen(name);
    for (const char *at = t->ignore; at && *at; at += strcspn(at, ","), at += *at == ',')
        if (strcspn(at, ",") == n && !strncmp(at, name, n)) return true;
    return false;
}

/* Inputs that a column comes to where all rows are learnt from: see data/features.h. */
static double inputs_of_column(const at_column *k, int64_t rows) {
    int64_t missing = 0;
    bool differs = false;
    if (k->image.height) return (double)(k->image.height * k->image.width * k->image.channels);
    const double first = rows ? at_column_value(k, 0) : 0;
    for (int64_t i = 0; i < rows; i++) {
        const double v = at_column_value(k, i);
        missing += isnan(v);
        differs |= v > first || v < first;
    }
    if (!differs) return 0;
    return (k->level ? (double)k->levels.n : 1) + (missing > 0);
}

double mode_inputs(const at_lab_table *t) {
    double n = 0;
    for (int64_t i = 0; i < t->t.n; i++) {
        const at_column *k = &t->t.column[i];
        if (strcmp(k->name, t->label) != 0 && !is_ignored(t, k->name))
            n += inputs_of_column(k, t->t.rows);
    }
    return n;
}

/* ---- recipes ---- */

static void model(const mode *m, const mode_cell *c, mode_arm a, double value, at_text *x) {
    const mode_set *z = m->set[c->table];
    const at_lab_table *t = at_rows_table(m->rows, c->table);
    const double inputs = m->inputs[c->table];
    if (c->gate == MODE_IMAGE)
        at_textf(x,
                 "model: {arch: conv_moe, stem_channels: 8, n_experts: %d, k: %d, hidden_size: %d",
                 gate_experts[c->gate], gate_k[c->gate], z->hidden);
    else if (a == MODE_TABM)
        at_textf(x, "model: {arch: tabm, n_members: %d, hidden_size: %lld", MEMBERS,
                 (long long)matched_ensemble(inputs, z->hidden, (double)t->classes, c->gate));
    else if (a == MODE_ONE || a == MODE_FAST)
        at_textf(
            x, "model: {arch: mlp_moe, n_experts: 1, hidden_size: %lld",
            (long long)matched(inputs, z->hidden, (double)t->classes, c->gate, a == MODE_FAST));
    else
        at_textf(x, "model: {arch: mlp_moe, n_experts: %d, k: %d, hidden_size: %d",
                 gate_experts[c->gate], gate_k[c->gate], z->hidden);
    if (a == MODE_DROPOUT) at_textf(x, ", hidden_pdrop: %g", value);
    at_text_add(x, "}\n");
}

static void losses(mode_arm a, double value, at_text *x) {
    switch (a) {
    case MODE_MUTUAL:
    case MODE_NEGATIVE: at_textf(x, "losses: {mutual_distillation: %g}\n", value); return;
    case MODE_KL:
        at_textf(x, "losses: {mutual_distillation: %g, mutual_form: kl}\n", value);
        return;
    case MODE_LABEL: at_textf(x, "losses: {expert_label: %g}\n", value); return;
    case MODE_BALANCE: at_textf(x, "losses: {switch: %g}\n", value); return;
    case MODE_PLAIN:
    case MODE_DECAY:
    case MODE_DROPOUT:
    case MODE_TABM:
    case MODE_ONE:
    case MODE_FAST:
    case MODE_ARMS: return;
    }
}

/* Whether it is no mixture. */
static bool is_one(mode_arm a) { return a == MODE_ONE || a == MODE_FAST || a == MODE_TABM; }

static double epochs_of(const mode *m, const mode_cell *c) {
    return (double)m->set[c->table]->epochs * c->budget;
}
static int64_t rows_of(const mode *m, const mode_cell *c) {
    return c->rows ? c->rows : m->set[c->table]->rows;
}

void mode_name(const mode *m, const mode_cell *c, mode_arm a, double value, int64_t seed,
               char out[160]) {
    char rows[24] = "", budget[24] = "", tuned[32] = "";
    if (c->rows) (void)snprintf(rows, sizeof rows, "-%lld", (long long)c->rows);
    if (c->budget != 1) (void)snprintf(budget, sizeof budget, "-x%d", c->budget);
    if (mode_arms[a].n) (void)snprintf(tuned, sizeof tuned, "%g", value);
    (void)snprintf(out, 160, "%s%s%s/%s/%s%s/s%lld", at_rows_table(m->rows, c->table)->name, rows,
                   budget, mode_gate_name[c->gate], mode_arms[a].name, tuned, (long long)seed);
}

at_status mode_declare(mode *m, const mode_cell *c, mode_arm a, double value, int64_t seed,
                       unsigned flags) {
    enum { BATCH = 32, VALIDATION = 2000, TEST = 4000 };
    const mode_set *z = m->set[c->table];
    const at_lab_table *t = at_rows_table(m->rows, c->table);
    const double n = (double)t->t.rows, share = 0.2;
    const double decay = a == MODE_DECAY || is_one(a) ? value : 0;
    char name[160];
    at_text x;
    at_text_init(&x, m->l->c, 0);
    at_rows_head(m->rows, c->table, seed, rows_of(m, c), &x);
    at_textf(&x, "  validation: %.6g\n  test_share: %.6g\n", fmin(share, VALIDATION / n),
             fmin(share, TEST / n));
    at_textf(&x, "  epochs: %.0f\n  patience: 0\n", epochs_of(m, c));
    at_textf(&x,
             "train: {batch: %d, lr: %g, schedule: constant, warmup: 0, weight_decay: %g, beta2: "
             "0.999, clip: 0, spike: 0}\n",
             BATCH, z->lr, decay);
    model(m, c, a, value, &x);
    losses(a, value, &x);
    mode_name(m, c, a, value, seed, name);
    if (gate_experts[c->gate] > AT_ROWS_EXPERTS || is_one(a)) flags &= ~(unsigned)AT_ROWS_PROBE;
    const double rows = fmin((double)rows_of(m, c), n);
    const double work = epochs_of(m, c) * rows * gate_experts[c->gate] * z->hidden *
                        (m->inputs[c->table] + (double)t->classes + 40);
    const at_status s =
        x.failed ? AT_OOM
                 : at_rows_declare(m->rows, name, c->table, seed, rows_of(m, c), flags, work, x.s);
    at_text_close(&x);
    return s;
}
