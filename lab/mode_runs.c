/* mode_runs.c - which runs there are, and what was chosen. */
#include "lab/lab_page.h"
#include "lab/mode_lab.h"
#include <math.h>

const int mode_doses[MODE_DOSES] = {150, 300, 600, 1000};
const mode_gate mode_dose_gates[3] = {MODE_DENSE2, MODE_DENSE4, MODE_DENSE8};
const mode_gate mode_main_gates[3] = {MODE_DENSE2, MODE_DENSE4, MODE_SPARSE};

mode_cell mode_cell_of(int table, mode_gate g) {
    return (mode_cell){.table = table, .gate = g, .budget = 1};
}

/* ---- values ---- */

int mode_values(const mode *m, mode_arm a) {
    const int n = mode_arms[a].n;
    return n < m->scale->grid ? n : m->scale->grid;
}

/* Of fewer values than there are, some from the middle. */
double mode_value(const mode *m, mode_arm a, int i) {
    const int n = mode_values(m, a);
    return mode_arms[a].grid[i + (mode_arms[a].n - n) / 2];
}

/* Mean over the seeds that choose, of values that may differ in the number that there are. */
static double tuned(const mode *m, const mode_cell *c, mode_arm a, int i, const char *key) {
    double sum = 0;
    for (int k = 0; k < m->scale->tuning; k++) {
        char name[160];
        mode_name(m, c, a, mode_value(m, a, i), MODE_TUNE_SEED + k, name);
        sum += at_rows_number(m->rows, name, key) / m->scale->tuning;
    }
    return sum;
}

static int best_of(const mode *m, const mode_cell *c, mode_arm a) {
    int best = 0;
    double accuracy = -1, loss = 0;
    for (int i = 0; i < mode_values(m, a); i++) {
        const double is = tuned(m, c, a, i, "val_accuracy"), costs = tuned(m, c, a, i, "val_loss");
        if (!(is > accuracy) && !(is >= accuracy && costs < loss)) continue;
        best = i;
        accuracy = is;
        loss = costs;
    }
    return best;
}

double mode_chosen(const mode *m, const mode_cell *c, mode_arm a) {
    return mode_arms[a].n ? mode_value(m, a, best_of(m, c, a)) : 0;
}

int mode_edge(const mode *m, const mode_cell *c, mode_arm a) {
    const int n = mode_values(m, a), i = n ? best_of(m, c, a) : 0;
    return n < 2 ? 0 : i == 0 ? -1 : i == n - 1;
}

/* ---- numbers ---- */

double mode_number_at(const mode *m, const mode_cell *c, mode_arm a, double value, int k,
                      const char *key) {
    char name[160];
    mode_name(m, c, a, value, k + 1, name);
    return at_rows_number(m->rows, name, key);
}

double mode_number(const mode *m, const mode_cell *c, mode_arm a, int k, const char *key) {
    return mode_number_at(m, c, a, mode_chosen(m, c, a), k, key);
}

const at_row_trial *mode_run(const mode *m, const mode_cell *c, mode_arm a, int k) {
    char name[160];
    mode_name(m, c, a, mode_chosen(m, c, a), k + 1, name);
    return at_rows_find(m->rows, name);
}

/* ---- parts ---- */

static int tables_with(const mode *m, unsigned use, int most, int *table) {
    int n = 0;
    for (int i = 0; i < m->n && n < most; i++)
        if (m->set[i]->use & use || (m->scale->use == 0 && n == 0)) table[n++] = i;
    return m->alone ? 0 : n;
}

int mode_curve_tables(const mode *m, int table[MODE_CURVE_SETS]) {
    return tables_with(m, MODE_IN_CURVE, MODE_CURVE_SETS, table);
}
int mode_dose_tables(const mode *m, int table[MODE_DOSE_SETS]) {
    return tables_with(m, MODE_IN_DOSE, MODE_DOSE_SETS, table);
}

int mode_image_table(const mode *m) {
    for (int i = 0; i < m->n && !m->alone; i++)
        if (at_rows_table(m->rows, i)->t.column[0].image.height) return i;
    return -1;
}

/* -0.003, 0, and the grid with 10 at its end, or every second of it. */
int mode_curve_alphas(const mode *m, double alpha[MODE_GRID_MAX + 2]) {
    static const double all[] = {0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10};
    int n = 0;
    alpha[n++] = -0.003;
    alpha[n++] = 0;
    for (int i = 1 - m->scale->curve_step % 2; i < 8; i += m->scale->curve_step)
        alpha[n++] = all[i];
    return n;
}

/* ---- declaring ---- */

static at_status tune(mode *m, const mode_cell *c, mode_arm a) {
    at_status s = AT_OK;
    for (int k = 0; k < m->scale->tuning; k++)
        for (int i = 0; i < mode_values(m, a) && s == AT_OK; i++)
            s = mode_declare(m, c, a, mode_value(m, a, i), MODE_TUNE_SEED + k, AT_ROWS_TUNING);
    return s;
}

static at_status compare(mode *m, const mode_cell *c, mode_arm a, int seeds) {
    const double value = mode_chosen(m, c, a);
    at_status s = AT_OK;
    for (int k = 0; k < seeds && s == AT_OK; k++)
        s = mode_declare(m, c, a, value, k + 1, AT_ROWS_PROBE);
    return s;
}

/* Both, one after the other: `tuning` says which. */
static at_status declare(mode *m, const mode_cell *c, mode_arm a, int seeds, bool tuning) {
    if (!tuning) return compare(m, c, a, seeds);
    return mode_arms[a].n ? tune(m, c, a) : AT_OK;
}

static at_status declare_main(mode *m, int table, bool tuning) {
    const int seeds = m->scale->seeds;
    at_status s = AT_OK;
    for (int g = 0; g < 3; g++) {
        const mode_cell c = mode_cell_of(table, mode_main_gates[g]);
        if (s == AT_OK) s = declare(m, &c, MODE_PLAIN, seeds, tuning);
        if (s == AT_OK) s = declare(m, &c, MODE_MUTUAL, seeds, tuning);
    }
    const mode_cell c = mode_cell_of(table, MODE_SPARSE);
    for (int a = MODE_KL; a < MODE_ARMS && s == AT_OK; a++)
        s = declare(m, &c, (mode_arm)a, seeds, tuning);
    return s;
}

static at_status declare_curve(mode *m, int table, int budget) {
    double alpha[MODE_GRID_MAX + 2];
    const int n = mode_curve_alphas(m, alpha);
    mode_cell c = mode_cell_of(table, MODE_SPARSE);
    at_status s = AT_OK;
    c.budget = budget;
    for (int k = 0; k < m->scale->curve_seeds; k++)
        for (int i = 0; i < n && s == AT_OK; i++) {
            const mode_arm a = alpha[i] < 0   ? MODE_NEGATIVE
                               : alpha[i] > 0 ? MODE_MUTUAL
                                              : MODE_PLAIN;
            s = mode_declare(m, &c, a, alpha[i], k + 1, AT_ROWS_PROBE);
        }
    return s;
}

static at_status declare_curves(mode *m, bool tuning) {
    int table[MODE_CURVE_SETS];
    const int n = mode_curve_tables(m, table);
    at_status s = AT_OK;
    for (int i = 0; i < n && s == AT_OK; i++) {
        mode_cell c = mode_cell_of(table[i], MODE_SPARSE);
        c.budget = m->scale->curve_budget;
        s = declare(m, &c, MODE_MUTUAL, m->scale->curve_seeds, tuning);
        if (s == AT_OK && !tuning) s = declare_curve(m, table[i], 1);
        if (s == AT_OK && !tuning) s = declare_curve(m, table[i], c.budget);
    }
    return s;
}

static at_status declare_doses(mode *m, bool tuning) {
    int table[MODE_DOSE_SETS];
    const int n = mode_dose_tables(m, table);
    at_status s = AT_OK;
    for (int i = 0; i < n; i++)
        for (int r = 0; r < MODE_DOSES; r++)
            for (int g = 0; g < 3 && s == AT_OK; g++) {
                const mode_cell c = {table[i], mode_dose_gates[g], 1, mode_doses[r]};
                s = declare(m, &c, MODE_PLAIN, m->scale->dose_seeds, tuning);
                if (s == AT_OK) s = declare(m, &c, MODE_MUTUAL, m->scale->dose_seeds, tuning);
            }
    return s;
}

static at_status declare_made(mode *m, bool tuning) {
    static const mode_arm arms[] = {MODE_PLAIN, MODE_MUTUAL, MODE_LABEL, MODE_ONE};
    at_status s = AT_OK;
    for (int g = 1; g < 3 && m->made >= 0; g++)
        for (int a = 0; a < 4 && s == AT_OK; a++) {
            const mode_cell c = mode_cell_of(m->made, mode_main_gates[g]);
            s = declare(m, &c, arms[a], m->scale->seeds, tuning);
        }
    return s;
}

static at_status declare_images(mode *m, bool tuning) {
    const mode_cell c = mode_cell_of(mode_image_table(m), MODE_IMAGE);
    if (c.table < 0) return AT_OK;
    const at_status s = declare(m, &c, MODE_PLAIN, m->scale->image_seeds, tuning);
    return s == AT_OK ? declare(m, &c, MODE_MUTUAL, m->scale->image_seeds, tuning) : s;
}

static at_status declare_all(mode *m, bool tuning) {
    at_status s = AT_OK;
    for (int i = 0; i < m->n && s == AT_OK; i++) s = declare_main(m, i, tuning);
    if (s == AT_OK) s = declare_made(m, tuning);
    if (s == AT_OK) s = declare_curves(m, tuning);
    if (s == AT_OK) s = declare_images(m, tuning);
    return s == AT_OK ? declare_doses(m, tuning) : s;
}

/* How many of the values chosen are at an end of what was tried. */
static at_status warn_of_edges(mode *m) {
    int n = 0, all = 0;
    for (int i = 0; i < m->n; i++)
        for (int g = 0; g < 3; g++) {
            const mode_cell c = mode_cell_of(i, mode_main_gates[g]);
            n += mode_edge(m, &c, MODE_MUTUAL) != 0;
            all++;
        }
    return n ? at_lab_warn(
                   m->l,
                   "of %d alphas that were chosen, %d are the least or the largest that was "
                   "tried: a better one may lie beyond",
                   all, n)
             : AT_OK;
}

at_status mode_train(mode *m) {
    for (int i = 0; i < at_rows_tables(m->rows); i++)
        m->inputs[i] = mode_inputs(at_rows_table(m->rows, i));
    at_status s = declare_all(m, true);
    if (s == AT_OK) s = at_rows_train(m->rows);
    if (s == AT_OK) s = declare_all(m, false);
    if (s == AT_OK) s = at_rows_train(m->rows);
    return s == AT_OK ? warn_of_edges(m) : s;
}
