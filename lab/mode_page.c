/* mode_page.c - the report: where mutual distillation helps, where not, and against what. */
#include "base/text.h"
#include "lab/lab_page.h"
#include "lab/mode_lab.h"
#include "report/jsonl.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { SHOWN = 64 };

static const char *spread(char out[SHOWN], const double *x, int n, int digits) {
    (void)snprintf(out, SHOWN, "%.*f \xc2\xb1 %.*f", digits, at_stat_mean(x, n), digits,
                   n > 1 ? at_stat_sd(x, n) : 0);
    return out;
}

static void part(mode *m, const char *name, const char *heading, const char *text) {
    at_page_section(m->l, heading, text);
    at_page_claims_of(m->l, name);
}

static void accuracies(const mode *m, const mode_cell *c, mode_arm a, double *x) {
    for (int k = 0; k < m->scale->seeds; k++) x[k] = mode_accuracy(m, c, a, k);
}

/* "+1.53 (0.40 to 2.60), p 0.004" of the differences of a and b. */
static at_status effect(const mode *m, const mode_cell *c, mode_arm a, mode_arm b,
                        char out[2 * SHOWN]) {
    double x[MODE_SEEDS_MAX], y[MODE_SEEDS_MAX];
    at_estimate e;
    accuracies(m, c, a, x);
    accuracies(m, c, b, y);
    for (int k = 0; k < m->scale->seeds; k++) x[k] -= y[k];
    const at_status s = mode_estimate(m->l->c, x, m->scale->seeds, &e);
    (void)snprintf(out, 2 * SHOWN, "%+.2f (%+.2f to %+.2f), p %.2g", e.mean, e.lo, e.hi, e.p);
    return s;
}

/* ---- E1: table by table ---- */

static at_status gate_table(mode *m, mode_gate g) {
    at_status s = AT_OK;
    at_page_section(m->l, NULL, NULL);
    at_page_table(m->l, mode_gate_title[g],
                  "table|rows|mixture|mutual distillation|alpha|difference, percentage points (95 "
                  "% interval)");
    for (int i = 0; i < m->n && s == AT_OK; i++) {
        const mode_cell c = mode_cell_of(i, g);
        double x[MODE_SEEDS_MAX];
        char plain[SHOWN], mutual[SHOWN], diff[2 * SHOWN];
        accuracies(m, &c, MODE_PLAIN, x);
        (void)spread(plain, x, m->scale->seeds, 2);
        accuracies(m, &c, MODE_MUTUAL, x);
        (void)spread(mutual, x, m->scale->seeds, 2);
        s = effect(m, &c, MODE_MUTUAL, MODE_PLAIN, diff);
        at_page_row(m->l, "%s|%d|%s|%s|%g|%s", at_rows_table(m->rows, i)->name, m->set[i]->rows,
                    plain, mutual, mode_chosen(m, &c, MODE_MUTUAL), diff);
    }
    return s;
}

static at_status accuracy(mode *m) {
    at_status s = AT_OK;
    part(m, "E1", "Against the plain mixture",
         "Test accuracy in percent, mean \xc2\xb1 standard deviation over seeds. A seed draws the "
         "split, the initial values and the order of the rows, the same for both.");
    for (int g = 0; g < 3 && s == AT_OK; g++) s = gate_table(m, mode_main_gates[g]);
    return s;
}

/* ---- E5: rivals ---- */

/* What trees reach on these tables, from the lines of another program. */
static at_status trees_row(mode *m) {
    const char *path = m->l->o->trees;
    double found[MODE_SETS_MAX];
    char cells[MODE_SETS_MAX * 32] = "";
    at_jsonl j;
    cJSON *line = NULL;
    if (!path) return AT_OK;
    for (int i = 0; i < m->n; i++) found[i] = (double)NAN;
    at_status s = at_jsonl_open(m->l->c, path, &j);
    while (s == AT_OK && (s = at_jsonl_next(m->l->c, &j, &line)) == AT_OK && line) {
        const char *name = at_jsonl_string(line, "name");
        for (int i = 0; i < m->n && name; i++)
            if (!strcmp(name, at_rows_table(m->rows, i)->name))
                (void)at_jsonl_number(line, "mean", &found[i]);
        cJSON_Delete(line);
    }
    at_jsonl_close(&j);
    for (int i = 0; i < m->n; i++) {
        const size_t n = strlen(cells);
        if (isnan(found[i]))
            (void)snprintf(cells + n, sizeof cells - n, "|-");
        else
            (void)snprintf(cells + n, sizeof cells - n, "|%.2f", 100 * found[i]);
    }
    if (s == AT_OK) at_page_row(m->l, "gradient-boosted trees (scikit-learn)%s|", cells);
    return s;
}

static at_status rivals(mode *m) {
    at_status s = AT_OK;
    part(m, "E5", "Against what else could be done",
         "All with the same number of values tried. The tables: accuracy with two of four experts, "
         "or of one perceptron that matches them.");
    at_page_section(m->l, NULL, NULL);
    at_text columns;
    at_text_init(&columns, m->l->c, 0);
    at_text_add(&columns, "arm");
    for (int i = 0; i < m->n; i++) at_textf(&columns, "|%s", at_rows_table(m->rows, i)->name);
    at_text_add(&columns, "|mean");
    if (columns.failed) s = AT_OOM;
    if (s == AT_OK) at_page_table(m->l, "Test accuracy, percent (value chosen)", columns.s);
    at_text_close(&columns);
    for (int a = 0; a < MODE_ARMS && s == AT_OK; a++) {
        char cells[MODE_SETS_MAX * 32] = "";
        double all = 0;
        for (int i = 0; i < m->n; i++) {
            const mode_cell c = mode_cell_of(i, MODE_SPARSE);
            double x[MODE_SEEDS_MAX];
            const size_t n = strlen(cells);
            accuracies(m, &c, (mode_arm)a, x);
            const double mean = at_stat_mean(x, m->scale->seeds);
            all += mean / m->n;
            (void)snprintf(cells + n, sizeof cells - n, "|%.2f (%g)", mean,
                           mode_chosen(m, &c, (mode_arm)a));
        }
        at_page_row(m->l, "%s%s|%.2f", mode_arms[a].title, cells, all);
    }
    return s == AT_OK ? trees_row(m) : s;
}

/* Where it is better by more than chance, where worse, where neither: of each table the p corrected for the
   number of tables. */
static at_status verdict(mode *m, mode_arm than, const char *title) {
    char names[3][400] = {"", "", ""};
    double p[MODE_SETS_MAX], holm[MODE_SETS_MAX], mean[MODE_SETS_MAX];
    at_status s = AT_OK;
    for (int i = 0; i < m->n && s == AT_OK; i++) {
        const mode_cell c = mode_cell_of(i, MODE_SPARSE);
        double x[MODE_SEEDS_MAX], y[MODE_SEEDS_MAX];
        at_estimate e;
        accuracies(m, &c, MODE_MUTUAL, x);
        accuracies(m, &c, than, y);
        for (int k = 0; k < m->scale->seeds; k++) x[k] -= y[k];
        s = mode_estimate(m->l->c, x, m->scale->seeds, &e);
        p[i] = e.p;
        mean[i] = e.mean;
    }
    at_stat_holm(p, m->n, holm);
    for (int i = 0; i < m->n; i++) {
        char *to = names[!(holm[i] < 0.05) ? 2 : mean[i] > 0 ? 0 : 1];
        const size_t n = strlen(to);
        (void)snprintf(to + n, sizeof names[0] - n, "%s%s", n ? ", " : "",
                       at_rows_table(m->rows, i)->name);
    }
    for (int i = 0; i < 3; i++)
        if (!*names[i]) (void)snprintf(names[i], sizeof names[i], "-");
    at_page_row(m->l, "%s|%s|%s|%s", title, names[0], names[1], names[2]);
    return s;
}

static at_status verdicts(mode *m) {
    at_status s = AT_OK;
    at_page_section(
        m->l, "Where it helps",
        "With two of four experts: tables on which mutual distillation is better or worse "
        "than each arm, p below 0.05 after Holm's correction for the number of tables.");
    at_page_table(m->l, NULL, "than|better on|worse on|neither");
    for (int a = 0; a < MODE_ARMS && s == AT_OK; a++)
        if (a != MODE_MUTUAL) s = verdict(m, (mode_arm)a, mode_arms[a].title);
    return s;
}

/* ---- E2: experts ---- */

static void probe_row(mode *m, int table, mode_gate g, mode_arm a) {
    static const char *const key[] = {"own_domain",    "recall",       "all_rows",
                                      "other_domains", "none_right",   "disagreement",
                                      "spread",        "gate_entropy", "largest_domain"};
    const mode_cell c = mode_cell_of(table, g);
    const int n = m->scale->seeds;
    char cells[9 * 24] = "";
    double fresh = 0, common = 0, lost = 0;
    for (int i = 0; i < 9; i++) {
        const size_t at = strlen(cells);
        double sum = 0;
        for (int k = 0; k < n; k++) sum += mode_probed(m, &c, a, k, key[i]) / n;
        (void)snprintf(cells + at, sizeof cells - at, "|%.*f", i < 6 ? 1 : 3,
                       i < 6 ? 100 * sum : sum);
    }
    for (int k = 0; k < n; k++) {
        fresh += mode_refit(m, &c, a, k) / n;
        common += mode_common(m, &c, a, k) / n;
        lost += mode_lost(m, &c, a, k) / n;
    }
    at_page_row(m->l, "%s|%s%s|%.1f|%.1f|%.2f", at_rows_table(m->rows, table)->name,
                mode_arms[a].title, cells, fresh, common, lost);
}

static void probes(mode *m) {
    part(m, "E2", "What experts know",
         "An expert alone was never trained to classify: it is read off a mixture. Distillation "
         "makes "
         "it resemble the mixture, so that its accuracy rises even where nothing more was learnt. "
         "Hence domains that are the same for both, fresh heads on the experts' hidden layers, and "
         "what the "
         "mixture loses without one of its experts, mean over experts.");
    for (int g = 1; g < 3; g++) {
        at_page_section(m->l, NULL, NULL);
        at_page_table(
            m->l, mode_gate_title[mode_main_gates[g]],
            "table|arm|right on own domain|right expert picked|right on all rows|right on "
            "other domains|no expert right|disagreement|spread|entropy of gates|largest "
            "domain|with a fresh head|on the mixture's domains|lost without one");
        for (int i = 0; i < m->n; i++) {
            probe_row(m, i, mode_main_gates[g], MODE_PLAIN);
            probe_row(m, i, mode_main_gates[g], MODE_MUTUAL);
        }
    }
}

/* ---- E3: the curve ---- */

static double curve_mean(const mode *m, const mode_cell *c, double alpha, const char *key) {
    const mode_arm a = alpha < 0 ? MODE_NEGATIVE : alpha > 0 ? MODE_MUTUAL : MODE_PLAIN;
    double sum = 0;
    for (int k = 0; k < m->scale->curve_seeds; k++)
        sum += mode_number_at(m, c, a, alpha, k, key) / m->scale->curve_seeds;
    return sum;
}

static void curve_chart(mode *m, int table) {
    double alpha[MODE_GRID_MAX + 2];
    const int n = mode_curve_alphas(m, alpha);
    char title[120];
    (void)snprintf(title, sizeof title, "%s: test accuracy by alpha (at the left: none)",
                   at_rows_table(m->rows, table)->name);
    at_page_section(m->l, NULL, NULL);
    at_page_table(m->l, title, "alpha|accuracy|with more epochs");
    mode_cell c[2] = {mode_cell_of(table, MODE_SPARSE), mode_cell_of(table, MODE_SPARSE)};
    c[1].budget = m->scale->curve_budget;
    for (int i = 0; i < n; i++)
        at_page_row(m->l, "%g|%.2f|%.2f", alpha[i],
                    100 * curve_mean(m, &c[0], alpha[i], "test_accuracy"),
                    100 * curve_mean(m, &c[1], alpha[i], "test_accuracy"));
    at_page_chart(m->l, title, "alpha", "percent");
    for (int b = 0; b < 2; b++) {
        char name[40];
        (void)snprintf(name, sizeof name, "%d epochs", m->set[table]->epochs * c[b].budget);
        at_page_points(m->l, name);
        for (int i = 1; i < n; i++)
            at_page_point(m->l, i == 1 ? 0.001 : alpha[i],
                          100 * curve_mean(m, &c[b], alpha[i], "test_accuracy"));
    }
    at_page_log_x(m->l);
}

static void curves(mode *m) {
    int table[MODE_CURVE_SETS];
    const int n = mode_curve_tables(m, table);
    if (!n) return;
    part(m, "E3", "How much",
         "Two of four experts. The claims compare the alpha that was chosen on "
         "other seeds; the largest is 10.");
    for (int i = 0; i < n; i++) curve_chart(m, table[i]);
}

/* ---- E4: the dose ---- */

static void dose_chart(mode *m, int table) {
    char title[120];
    (void)snprintf(title, sizeof title, "%s: gain in percentage points, by rows to learn from",
                   at_rows_table(m->rows, table)->name);
    at_page_section(m->l, NULL, NULL);
    at_page_chart(m->l, title, "rows", "points");
    for (int g = 0; g < 3; g++) {
        at_page_points(m->l, mode_gate_title[mode_dose_gates[g]]);
        for (int d = 0; d < MODE_DOSES; d++) {
            const mode_cell c = {table, mode_dose_gates[g], 1, mode_doses[d]};
            double sum = 0;
            for (int k = 0; k < m->scale->dose_seeds; k++)
                sum +=
                    (mode_accuracy(m, &c, MODE_MUTUAL, k) - mode_accuracy(m, &c, MODE_PLAIN, k)) /
                    m->scale->dose_seeds;
            at_page_point(m->l, mode_doses[d], sum);
        }
    }
    at_page_log_x(m->l);
}

static void doses(mode *m) {
    int table[MODE_DOSE_SETS];
    const int n = mode_dose_tables(m, table);
    if (!n) return;
    part(m, "E4", "How few rows, how many experts", NULL);
    for (int i = 0; i < n; i++) dose_chart(m, table[i]);
}

/* ---- E6, E7 ---- */

static void domains(mode *m) {
    static const mode_arm arms[] = {MODE_PLAIN, MODE_MUTUAL, MODE_ONE};
    if (m->made < 0) return;
    part(m, "E6", "A task made of domains",
         "Four clouds of rows, each of which labels the same eight numbers in its own way. Purity "
         "is "
         "the mutual information of the dominating expert and the cloud, in nats; log 4 is 1.386.");
    at_page_section(m->l, NULL, NULL);
    at_page_table(m->l, NULL, "gate|arm|accuracy|purity");
    for (int g = 1; g < 3; g++)
        for (int a = 0; a < 3; a++) {
            const mode_cell c = mode_cell_of(m->made, mode_main_gates[g]);
            double x[MODE_SEEDS_MAX], y[MODE_SEEDS_MAX];
            char one[SHOWN], two[SHOWN] = "-";
            accuracies(m, &c, arms[a], x);
            for (int k = 0; k < m->scale->seeds; k++)
                y[k] = a < 2 ? mode_domain_information(m, &c, arms[a], k) : 0;
            if (a < 2) (void)spread(two, y, m->scale->seeds, 3);
            at_page_row(m->l, "%s|%s|%s|%s", mode_gate_title[c.gate], mode_arms[arms[a]].title,
                        spread(one, x, m->scale->seeds, 2), two);
        }
}

static void texts(mode *m) {
    if (!m->text) return;
    part(m, "E7", "Text",
         "Language models of two layers with two of four feed-forward experts a token.");
    at_page_section(m->l, NULL, NULL);
    at_page_table(m->l, NULL, "alpha|test loss, nats a token");
    for (int a = 0; a < MODE_TEXT_ARMS; a++) {
        char group[64], text[SHOWN];
        double x[MODE_SEEDS_MAX];
        mode_text_group(a, group);
        if (at_lab_numbers(m->l, group, "test_loss", m->scale->text_seeds, x))
            at_page_row(m->l, "%g|%s", mode_text_alpha[a],
                        spread(text, x, m->scale->text_seeds, 4));
    }
}

static void images(mode *m) {
    static const mode_arm arms[] = {MODE_PLAIN, MODE_MUTUAL};
    const mode_cell c = mode_cell_of(mode_image_table(m), MODE_IMAGE);
    if (c.table < 0) return;
    part(m, "E8", "Images", "A convolution that all experts share, then two of four experts.");
    at_page_section(m->l, NULL, NULL);
    at_page_table(m->l, at_rows_table(m->rows, c.table)->name, "arm|value|accuracy");
    for (int a = 0; a < 2; a++) {
        double x[MODE_SEEDS_MAX];
        char text[SHOWN];
        for (int k = 0; k < m->scale->image_seeds; k++) x[k] = mode_accuracy(m, &c, arms[a], k);
        at_page_row(m->l, "%s|%g|%s", mode_arms[arms[a]].title, mode_chosen(m, &c, arms[a]),
                    spread(text, x, m->scale->image_seeds, 2));
    }
}

static void summary(mode *m) {
    char value[SHOWN];
    int holds = 0;
    const cJSON *o;
    cJSON_ArrayForEach(o, m->l->claims) holds += cJSON_IsTrue(cJSON_GetObjectItem(o, "holds"));
    at_page_section(
        m->l, NULL,
        "Experts of a mixture learn from each other what one of them alone has seen. Every "
        "arm's value is chosen on validation rows of seeds that are used for nothing else; "
        "accuracy is that of test rows, which chose nothing. The claims were written before "
        "there were results. The numbers of the paper were not available to us, and none is "
        "compared with.");
    at_page_figures(m->l);
    (void)snprintf(value, sizeof value, "%d of %d", holds, cJSON_GetArraySize(m->l->claims));
    at_page_figure(m->l, "claims that hold here", value);
    (void)snprintf(value, sizeof value, "%d", m->n);
    at_page_figure(m->l, "tables", value);
    (void)snprintf(value, sizeof value, "%lld", (long long)at_rows_count(m->rows));
    at_page_figure(m->l, "runs", value);
    at_page_section(
        m->l, "How to read this page",
        "p is that of the exact signed-rank test, two-sided, and corrected by Holm's "
        "method for the number of claims of a section; intervals are the bootstrap's, not "
        "corrected. Claims on tables (first two sections) have tables for a sample, the "
        "others seeds: what is said of seeds is said of these tables. A claim holds when "
        "its effect lies on its side and the corrected p is below 0.05.");
}

at_status mode_page(mode *m) {
    summary(m);
    at_page_warnings(m->l);
    at_status s = verdicts(m);
    if (s == AT_OK) s = accuracy(m);
    if (s == AT_OK) s = rivals(m);
    probes(m);
    curves(m);
    doses(m);
    domains(m);
    texts(m);
    images(m);
    return s;
}
