/*
 * mode_claims.c - the claims, written down before there were results, and the numbers they are about.
 *
 * A sample is either the tables (mean over seeds of the differences on each), as J. Demsar proposes in
 * "Statistical comparisons of classifiers over multiple data sets", 2006, or the seeds (mean over tables).
 * p is that of the exact signed-rank test, the interval a BCa bootstrap's.
 */
#include "lab/lab_page.h"
#include "lab/mode_lab.h"
#include "report/jsonl.h"
#include <math.h>
#include <string.h>

typedef struct claim claim;
struct claim {
    const char *part; /* "E1": also the family that p is corrected in */
    const char *text, *paper, *unit;
    bool tables; /* the sample is the tables                 */
    mode_gate gate;
    mode_arm a, b;
    mode_measure measure;                               /* that of a less that of b, or */
    double (*of)(const mode *m, const claim *c, int k); /* with seed k; NaN: not known  */
    int (*seeds)(const mode *m);                        /* of `of`                      */
    int x, y;                                           /* for `of`                     */
    at_claim_side side;
};

/* ---- numbers of a seed ---- */

static int curve_seeds(const mode *m) { return m->scale->curve_seeds; }
static int dose_seeds(const mode *m) { return m->scale->dose_seeds; }
static int made_seeds(const mode *m) { return m->made >= 0 ? m->scale->seeds : 0; }
static int text_seeds(const mode *m) { return m->text ? m->scale->text_seeds : 0; }

/* What the alpha that was chosen gains over none (x 0) or over the largest (x 1), mean over the tables. */
static double curve(const mode *m, int x, int budget, int k) {
    int table[MODE_CURVE_SETS];
    const int n = mode_curve_tables(m, table);
    double alpha[MODE_GRID_MAX + 2], sum = 0;
    const double last = alpha[mode_curve_alphas(m, alpha) - 1];
    for (int i = 0; i < n; i++) {
        mode_cell c = mode_cell_of(table[i], MODE_SPARSE);
        c.budget = budget;
        const double than = x ? 100 * mode_number_at(m, &c, MODE_MUTUAL, last, k, "test_accuracy")
                              : mode_accuracy(m, &c, MODE_PLAIN, k);
        sum += (mode_accuracy(m, &c, MODE_MUTUAL, k) - than) / n;
    }
    return n ? sum : (double)NAN;
}
static double curve_of(const mode *m, const claim *c, int k) {
    return curve(m, c->x, c->y ? m->scale->curve_budget : 1, k);
}
static double collapse_shrinks(const mode *m, const claim *c, int k) {
    (void)c;
    return curve(m, 1, 1, k) - curve(m, 1, m->scale->curve_budget, k);
}

/* The gain with dose d and gate g, mean over the tables. */
static double dose(const mode *m, int d, int g, int k) {
    int table[MODE_DOSE_SETS];
    const int n = mode_dose_tables(m, table);
    double sum = 0;
    for (int i = 0; i < n; i++) {
        const mode_cell c = {table[i], mode_dose_gates[g], 1, mode_doses[d]};
        sum += (mode_accuracy(m, &c, MODE_MUTUAL, k) - mode_accuracy(m, &c, MODE_PLAIN, k)) / n;
    }
    return n ? sum : (double)NAN;
}
static double fewer_rows(const mode *m, const claim *c, int k) {
    double sum = 0;
    (void)c;
    for (int g = 0; g < 3; g++) sum += (dose(m, 0, g, k) - dose(m, MODE_DOSES - 1, g, k)) / 3;
    return sum;
}
static double more_experts(const mode *m, const claim *c, int k) {
    double sum = 0;
    (void)c;
    for (int d = 0; d < MODE_DOSES; d++) sum += (dose(m, d, 2, k) - dose(m, d, 0, k)) / MODE_DOSES;
    return sum;
}

static double made(const mode *m, const claim *c, int k) {
    const mode_cell cell = mode_cell_of(m->made, c->gate);
    return mode_accuracy(m, &cell, c->a, k) - mode_accuracy(m, &cell, c->b, k);
}
static double keeps_domains(const mode *m, const claim *c, int k) {
    const mode_cell cell = mode_cell_of(m->made, c->gate);
    return mode_domain_information(m, &cell, c->a, k) -
           0.9 * mode_domain_information(m, &cell, c->b, k);
}

static int image_seeds(const mode *m) {
    return mode_image_table(m) >= 0 ? m->scale->image_seeds : 0;
}
static double image(const mode *m, const claim *c, int k) {
    const mode_cell cell = mode_cell_of(mode_image_table(m), MODE_IMAGE);
    return mode_accuracy(m, &cell, c->a, k) - mode_accuracy(m, &cell, c->b, k);
}

static double text_loss(const mode *m, int arm, int k) {
    char group[64];
    double v;
    mode_text_group(arm, group);
    const at_trial *t = at_lab_trial(m->l, group, k + 1);
    return t && t->result && at_jsonl_number(t->result, "test_loss", &v) ? v : (double)NAN;
}
static double text(const mode *m, const claim *c, int k) {
    return text_loss(m, c->x, k) - text_loss(m, 0, k);
}

/* ---- the claims ---- */

#define POINTS "percentage points"
#define RIVAL(arm, name)                                                                          \
    {                                                                                             \
        "E5", "mutual distillation is more accurate than " name, "-", POINTS, false, MODE_SPARSE, \
            MODE_MUTUAL, arm, mode_accuracy, NULL, NULL, 0, 0, AT_ABOVE                           \
    }
#define CURVE(text, x, y)                                                                \
    {                                                                                    \
        "E3", text, "a moderate alpha is best", POINTS, false, MODE_SPARSE, MODE_MUTUAL, \
            MODE_PLAIN, NULL, curve_of, curve_seeds, x, y, AT_ABOVE                      \
    }
#define MAIN(gate, name)                                                                           \
    {                                                                                              \
        "E1", "mutual distillation raises accuracy: " name, "better than the plain mixture",       \
            POINTS, true, gate, MODE_MUTUAL, MODE_PLAIN, mode_accuracy, NULL, NULL, 0, 0, AT_ABOVE \
    }
#define PROBE(text, paper, f, side)                                                              \
    {                                                                                            \
        "E2", text, paper, POINTS, true, MODE_SPARSE, MODE_MUTUAL, MODE_PLAIN, f, NULL, NULL, 0, \
            0, side                                                                              \
    }

static const claim claims[] = {
    MAIN(MODE_DENSE2, "two experts, dense gates"),
    MAIN(MODE_DENSE4, "four experts, dense gates"),
    MAIN(MODE_SPARSE, "two of four experts"),
    PROBE("experts alone are more often right on their own domain", "each expert is better",
          mode_own_domain, AT_ABOVE),
    PROBE("the gate more often picks an expert that is right, where there is one",
          "the gate is better", mode_recall, AT_ABOVE),
    PROBE("experts are more often right on the domains of the plain mixture", "-", mode_common,
          AT_ABOVE),
    PROBE("a fresh head on what an expert computes is more often right on its domain", "-",
          mode_refit, AT_ABOVE),
    PROBE("less is lost where one expert is missing", "-", mode_lost, AT_BELOW),
    CURVE("a moderate alpha is better than none", 0, 0),
    CURVE("a moderate alpha is better than the largest", 1, 0),
    CURVE("with more epochs, a moderate alpha is better than none", 0, 1),
    CURVE("with more epochs, a moderate alpha is better than the largest", 1, 1),
    {"E3", "more epochs make up for a part of what the largest alpha costs", "-", POINTS, false,
     MODE_SPARSE, MODE_MUTUAL, MODE_PLAIN, NULL, collapse_shrinks, curve_seeds, 0, 0, AT_ABOVE},
    {"E4", "the gain is larger with fewer rows to learn from", "narrow vision of experts", POINTS,
     false, MODE_DENSE4, MODE_MUTUAL, MODE_PLAIN, NULL, fewer_rows, dose_seeds, 0, 0, AT_ABOVE},
    {"E4", "the gain is larger with eight experts than with two", "narrow vision of experts",
     POINTS, false, MODE_DENSE4, MODE_MUTUAL, MODE_PLAIN, NULL, more_experts, dose_seeds, 0, 0,
     AT_ABOVE},
    RIVAL(MODE_LABEL, "a label loss of each expert"),
    RIVAL(MODE_ONE, "one perceptron with as many parameters"),
    RIVAL(MODE_FAST, "one perceptron with as many operations"),
    RIVAL(MODE_TABM, "an ensemble of perceptrons with parts in common (TabM)"),
    RIVAL(MODE_DECAY, "weight decay"),
    RIVAL(MODE_DROPOUT, "dropout"),
    RIVAL(MODE_BALANCE, "load balancing"),
    RIVAL(MODE_KL, "its KL form"),
    {"E5", "experts that are driven apart are worse than the plain mixture", "-", POINTS, false,
     MODE_SPARSE, MODE_NEGATIVE, MODE_PLAIN, mode_accuracy, NULL, NULL, 0, 0, AT_BELOW},
    {"E6", "where the task is made of domains, the mixture is better than one perceptron", "-",
     POINTS, false, MODE_DENSE4, MODE_PLAIN, MODE_ONE, NULL, made, made_seeds, 0, 0, AT_ABOVE},
    {"E6", "where the task is made of domains, mutual distillation raises accuracy", "-", POINTS,
     false, MODE_DENSE4, MODE_MUTUAL, MODE_PLAIN, NULL, made, made_seeds, 0, 0, AT_ABOVE},
    {"E6", "experts keep nine tenths of what they tell of the domains", "experts stay different",
     "nats, less nine tenths", false, MODE_DENSE4, MODE_MUTUAL, MODE_PLAIN, NULL, keeps_domains,
     made_seeds, 0, 0, AT_ABOVE},
    {"E7", "in a language model of two languages alpha 0.01 lowers the loss", "better on text",
     "nats a token", false, MODE_SPARSE, MODE_MUTUAL, MODE_PLAIN, NULL, text, text_seeds, 1, 0,
     AT_BELOW},
    {"E7", "in a language model of two languages alpha 0.1 lowers the loss", "better on text",
     "nats a token", false, MODE_SPARSE, MODE_MUTUAL, MODE_PLAIN, NULL, text, text_seeds, 2, 0,
     AT_BELOW},
    {"E8", "behind a convolution, mutual distillation raises accuracy on images",
     "better on images", POINTS, false, MODE_IMAGE, MODE_MUTUAL, MODE_PLAIN, NULL, image,
     image_seeds, 0, 0, AT_ABOVE},
};
enum { CLAIMS = sizeof claims / sizeof *claims };

/* ---- samples ---- */

static double difference(const mode *m, const claim *c, int table, int k) {
    const mode_cell cell = mode_cell_of(table, c->gate);
    return c->measure(m, &cell, c->a, k) - c->measure(m, &cell, c->b, k);
}

static int by_table(const mode *m, const claim *c, double *x) {
    for (int i = 0; i < m->n; i++) {
        x[i] = 0;
        for (int k = 0; k < m->scale->seeds; k++) x[i] += difference(m, c, i, k) / m->scale->seeds;
    }
    return m->n;
}

static int by_seed(const mode *m, const claim *c, double *x) {
    const int n = c->of ? c->seeds(m) : m->scale->seeds;
    for (int k = 0; k < n; k++) {
        x[k] = c->of ? c->of(m, c, k) : 0;
        for (int i = 0; i < m->n && !c->of; i++) x[k] += difference(m, c, i, k) / m->n;
    }
    return n;
}

static bool known(const double *x, int n) {
    for (int i = 0; i < n; i++)
        if (!isfinite(x[i])) return false;
    return n > 0;
}

at_status mode_estimate(at_ctx *c, const double *x, int n, at_estimate *out) {
    enum { DRAWS = 4000 };
    *out = at_stat_t(x, n, 0);
    const at_status s = n > 1 ? at_stat_bca(c, x, n, 0, DRAWS, 1, out) : AT_OK;
    out->p = n > 1 ? at_stat_wilcoxon(x, n, 0) : (double)NAN;
    return s;
}

static at_status make(mode *m, const claim *c) {
    double x[MODE_SEEDS_MAX > MODE_SETS_MAX ? MODE_SEEDS_MAX : MODE_SETS_MAX];
    double sets[MODE_SETS_MAX], seeds[MODE_SEEDS_MAX];
    const bool tables = c->tables && !m->alone;
    const int n = tables ? by_table(m, c, x) : by_seed(m, c, x);
    at_claim one = {.text = c->text, .unit = c->unit, .family = c->part, .side = c->side};
    at_json j;
    if (!known(x, n)) return AT_OK; /* a part that this call has not */
    const at_status s = mode_estimate(m->l->c, x, n, &one.e);
    if (s != AT_OK) return s;
    at_lab_claim_begin(m->l, &one, &j);
    at_json_put_string(&j, "part", c->part);
    at_json_put_string(&j, "paper", c->paper);
    at_json_put_string(&j, "sample", tables ? "tables" : "seeds");
    if (c->measure) {
        const int n_sets = by_table(m, c, sets);
        at_json_put_numbers(&j, "by_table", sets, n_sets);
        at_json_put_number(&j, "p_tables", at_stat_wilcoxon(sets, n_sets, 0));
    }
    const int n_seeds = by_seed(m, c, seeds);
    at_json_put_numbers(&j, "by_seed", seeds, n_seeds);
    return at_lab_claim_end(m->l, &j);
}

at_status mode_claims(mode *m) {
    at_status s = AT_OK;
    for (int i = 0; i < CLAIMS && s == AT_OK; i++) s = make(m, &claims[i]);
    return s == AT_OK ? at_lab_claims_decide(m->l) : s;
}
