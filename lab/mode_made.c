/*
 * mode_made.c - a task that is made of domains, so that a gate is needed.
 *
 *   domain d = row mod 4;  u = a centre of d + noise, 2 numbers: which domain
 *   x = noise, 8 numbers;  class = argmax of W_d x, 4 classes: each domain labels the same x its own way
 *
 * The column `domain` is in the file and is not read.
 */
#include "base/file.h"
#include "base/rng.h"
#include "base/text.h"
#include "infer/table_measure.h"
#include "lab/mode_lab.h"
#include "report/jsonl.h"
#include <math.h>
#include <string.h>

enum { PLACE = 2, INPUTS = 8, CLASSES = 4, SEED = 20240131 };

static double draw(uint64_t row, uint64_t i) {
    return at_normal(SEED, AT_STREAM_LAB, (row << 8) + i);
}

static int class_of(uint64_t domain, const double *x) {
    double best = -(double)INFINITY;
    int which = 0;
    for (int k = 0; k < CLASSES; k++) {
        double sum = 0;
        for (int i = 0; i < INPUTS; i++)
            sum += x[i] * draw(1u << 24, (domain * CLASSES + (uint64_t)k) * INPUTS + (uint64_t)i);
        if (!(sum > best)) continue;
        best = sum;
        which = k;
    }
    return which;
}

static void row_of(uint64_t row, at_text *t) {
    const uint64_t domain = row % MODE_DOMAINS;
    double x[INPUTS];
    at_textf(t, "%c,%.5f,%.5f", (int)('a' + domain), (domain & 1 ? 2 : -2) + draw(row, 0),
             (domain & 2 ? 2 : -2) + draw(row, 1));
    for (int i = 0; i < INPUTS; i++) at_textf(t, ",%.5f", x[i] = draw(row, PLACE + (uint64_t)i));
    at_textf(t, ",c%d\n", class_of(domain, x));
}

at_status mode_make(mode *m) {
    at_ctx *c = m->l->c;
    at_text t;
    char *path = at_join(c, m->l->o->out, "domains.csv");
    at_text_init(&t, c, 0);
    at_text_add(&t, "domain,u1,u2");
    for (int i = 0; i < INPUTS; i++) at_textf(&t, ",x%d", i + 1);
    at_text_add(&t, ",class\n");
    for (int i = 0; i < m->scale->made_rows; i++) row_of((uint64_t)i, &t);
    at_status s = path && !t.failed ? AT_OK : AT_OOM;
    if (s == AT_OK) s = at_write_file(c, path, t.s, t.n);
    m->made = at_rows_tables(m->rows);
    m->set[m->made] = &mode_made_set;
    if (s == AT_OK) s = at_rows_read(m->rows, "domains", path, "class", "domain");
    at_text_close(&t);
    at_free(path);
    return s;
}

/* The rows of the test, as the run parted them. */
static at_status test_rows(const mode *m, int64_t seed, at_row_split *out) {
    const at_table *t = &at_rows_table(m->rows, m->made)->t;
    const at_row_split_options how = {.seed = (uint64_t)seed, .validation = 0.2, .test = 0.2};
    int32_t *of = NULL;
    at_status s = at_table_strata(m->l->c, t, t->n - 1, &of);
    if (s == AT_OK) s = at_row_split_make(m->l->c, t->rows, of, &how, out);
    at_free(of);
    return s;
}

/* sum p(e, d) log(p(e, d) / p(e) p(d)) of counts. */
static double information(double n[AT_ROWS_EXPERTS][MODE_DOMAINS], double all) {
    double sum = 0;
    for (int e = 0; e < AT_ROWS_EXPERTS; e++)
        for (int d = 0; d < MODE_DOMAINS; d++) {
            double of_e = 0, of_d = 0;
            for (int i = 0; i < MODE_DOMAINS; i++) of_e += n[e][i];
            for (int i = 0; i < AT_ROWS_EXPERTS; i++) of_d += n[i][d];
            if (n[e][d] > 0) sum += n[e][d] / all * log(n[e][d] * all / of_e / of_d);
        }
    return sum;
}

double mode_domain_information(const mode *m, const mode_cell *c, mode_arm a, int k) {
    const at_row_trial *t = mode_run(m, c, a, k);
    const char *who = t && t->result ? at_jsonl_string(t->result, "dominant") : NULL;
    double n[AT_ROWS_EXPERTS][MODE_DOMAINS] = {{0}}, found = (double)NAN;
    at_row_split split = {0};
    if (!who || test_rows(m, k + 1, &split) != AT_OK) return found;
    const int64_t rows = split.n[AT_PART_TEST];
    if (rows && (int64_t)strlen(who) == rows) {
        for (int64_t i = 0; i < rows; i++)
            n[(who[i] - '0') % AT_ROWS_EXPERTS][split.row[AT_PART_TEST][i] % MODE_DOMAINS]++;
        found = information(n, (double)rows);
    }
    at_row_split_close(&split);
    return found;
}
