/* table_measure.c - from a file to matrices, and from answers to scores. */
#include "infer/table_measure.h"
#include "base/sha256.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

/* Classes of the rows for the split, -1: no label; a single class where numbers are predicted. */
at_status at_table_strata(at_ctx *c, const at_table *t, int64_t label, int32_t **out) {
    const at_column *k = &t->column[label];
    int64_t missing = 0;
    if (!(*out = at_calloc(c, (size_t)t->rows, sizeof **out))) return AT_OOM;
    for (int64_t i = 0; i < t->rows; i++) {
        (*out)[i] = isnan(at_column_value(k, i)) ? -1 : k->level ? k->level[i] : 0;
        missing += (*out)[i] < 0;
    }
    if (missing)
        at_log(c, AT_LOG_WARN, "%s: %lld of %lld rows are left out: `%s` is missing", t->path,
               (long long)missing, (long long)t->rows, k->name);
    return AT_OK;
}

void at_table_rows_close(at_table_rows *r) {
    at_free(r->x);
    at_free(r->class);
    at_free(r->target);
    for (int64_t i = 0; r->file && i < r->n; i++) at_free(r->file[i]);
    at_free(r->file);
    *r = (at_table_rows){0};
}

/* What is to be predicted. */
static at_status read_labels(at_ctx *c, const at_features *f, const at_table *t, int64_t label,
                             const int64_t *row, at_table_rows *out) {
    const at_column *k = &t->column[label];
    int32_t *class_of = NULL;
    at_status s = AT_OK;
    if (f->classes.n) {
        s = at_table_classes(c, f, k, &class_of);
        if (s == AT_OK && !(out->class = at_calloc(c, (size_t)out->n, sizeof *out->class)))
            s = AT_OOM;
    } else if (!(out->target = at_calloc(c, (size_t)out->n, sizeof *out->target))) {
        s = AT_OOM;
    }
    for (int64_t i = 0; i < out->n && s == AT_OK; i++) {
        const int64_t at = row[i];
        if (out->class)
            out->class[i] = k->level[at] < 0 ? -1 : class_of[k->level[at]];
        else
            out->target[i] = (at_real)((at_column_value(k, at) - f->mean) / f->spread);
    }
    at_free(class_of);
    return s;
}

/* The rows that have a label. */
static at_status with_label(at_ctx *c, const at_table *t, int64_t label, int64_t **row,
                            int64_t *n) {
    int32_t *class_of = NULL;
    at_status s = at_table_strata(c, t, label, &class_of);
    if (s == AT_OK && !(*row = at_calloc(c, (size_t)t->rows, sizeof **row))) s = AT_OOM;
    *n = 0;
    for (int64_t i = 0; i < t->rows && s == AT_OK; i++)
        if (class_of[i] >= 0) (*row)[(*n)++] = i;
    at_free(class_of);
    return s;
}

at_status at_table_rows_read(at_ctx *c, const at_features *f, at_table *t, const int64_t *row,
                             int64_t n, at_table_rows *out) {
    at_reading r = {0};
    int64_t label, *own = NULL;
    *out = (at_table_rows){.n = n};
    at_status s = at_table_label(c, f, t, &label);
    if (s == AT_OK && !row) {
        s = with_label(c, t, label, &own, &out->n);
        row = own;
    }
    if (s == AT_OK) s = at_reading_open(c, f, t, &r);
    if (s == AT_OK && !(out->x = at_malloc(c, (size_t)(out->n * f->inputs) * sizeof *out->x)))
        s = AT_OOM;
    for (int64_t i = 0; i < out->n && s == AT_OK; i++)
        at_reading_row(&r, row[i], out->x + i * f->inputs);
    if (s == AT_OK) s = read_labels(c, f, t, label, row, out);
    at_reading_close(&r);
    at_free(own);
    if (s != AT_OK) at_table_rows_close(out);
    return s;
}

at_status at_table_unlabelled(at_ctx *c, const at_features *f, const at_table_origin *o,
                              const char *file, at_table_rows *out) {
    at_table_options how = at_table_reading(o, f);
    at_table t = {0};
    at_reading r = {0};
    *out = (at_table_rows){0};
    how.n_levels = 0; /* the label may be missing */
    at_status s = at_table_read(c, file, &how, &t);
    if (s == AT_OK) s = at_reading_open(c, f, &t, &r);
    if (s == AT_OK) {
        out->n = t.rows;
        out->x = at_malloc(c, (size_t)(out->n * f->inputs) * sizeof *out->x);
        if (!out->x) s = AT_OOM;
    }
    for (int64_t i = 0; i < out->n && s == AT_OK; i++)
        at_reading_row(&r, i, out->x + i * f->inputs);
    at_reading_close(&r);
    if (s == AT_OK) {
        out->file = t.file;
        t.file = NULL;
    }
    at_table_close(&t);
    if (s != AT_OK) at_table_rows_close(out);
    return s;
}

/* ---- scores ---- */

typedef struct {
    const at_table_rows *rows;
    const at_features *f;
    at_scores *scores;
} measure;

static void heard(void *user, int64_t i, const at_real *logits) {
    const measure *m = user;
    const at_features *f = m->f;
    if (m->rows->class)
        at_scores_class(m->scores, logits, m->rows->class[i]);
    else
        at_scores_number(m->scores, (double)logits[0] * f->spread + f->mean,
                         (double)m->rows->target[i] * f->spread + f->mean);
}

at_status at_table_score(at_compute *cp, at_model *m, const at_features *f,
                         const at_table_rows *rows, at_scores *out) {
    measure of = {rows, f, out};
    at_status s = at_scores_open(cp->ctx, f->classes.n, out);
    if (s == AT_OK) s = at_table_answer(cp, m, rows->x, rows->n, NULL, heard, &of);
    if (s == AT_OK) at_scores_finish(out);
    return s;
}

void at_table_put_scores(const at_features *f, const at_table_rows *rows, const at_scores *s,
                         at_json *j) {
    int64_t most = 0;
    at_json_put_string(j, "label", f->label);
    for (int64_t i = 0; rows->class && i < rows->n; i++) most += rows->class[i] == f->majority;
    if (rows->class) at_json_put_number(j, "baseline", (double)most / (double)rows->n);
    at_scores_write(s, f->classes.name, j);
}

/* The rows as the run shared them out; *label: its column. */
static at_status split_of(at_ctx *c, const at_features *f, const at_table_origin *o, at_table *t,
                          int64_t *label, at_row_split *split) {
    int32_t *class_of = NULL;
    at_status s = at_table_label(c, f, t, label);
    if (s == AT_OK) s = at_table_strata(c, t, *label, &class_of);
    if (s == AT_OK) s = at_row_split_make(c, t->rows, class_of, &o->split, split);
    at_free(class_of);
    return s;
}

/* The part of the rows that the split of the run gave it. */
static at_status rows_of_part(at_ctx *c, const at_features *f, const at_table_origin *o,
                              at_table *t, at_part part, at_table_rows *out) {
    int64_t label;
    at_row_split split = {0};
    at_status s = split_of(c, f, o, t, &label, &split);
    if (s == AT_OK) s = at_table_rows_read(c, f, t, split.row[part], split.n[part], out);
    at_row_split_close(&split);
    return s;
}

/* Whether the model learnt from this very file. */
static at_status is_own(at_ctx *c, const at_table_origin *o, const char *file, bool *own) {
    char hash[AT_SHA256_TEXT];
    const at_status s = at_table_sum(c, file, hash);
    *own = s == AT_OK && !strcmp(hash, o->sha256);
    return s;
}

static at_status hand_out(at_ctx *c, const at_features *f, at_table *t, int64_t label,
                          const at_row_split *split, at_table_row_fn fn, void *user) {
    at_reading r = {0};
    const at_column *k = &t->column[label];
    uint8_t *part = at_malloc(c, (size_t)t->rows);
    at_real *x = at_malloc(c, (size_t)f->inputs * sizeof *x);
    at_status s = part && x ? at_reading_open(c, f, t, &r) : AT_OOM;
    if (part) memset(part, AT_PARTS_OF_TABLE, (size_t)t->rows);
    for (int p = 0; p < AT_PARTS_OF_TABLE && part; p++)
        for (int64_t i = 0; i < split->n[p]; i++) part[split->row[p][i]] = (uint8_t)p;
    for (int64_t i = 0; i < t->rows && s == AT_OK; i++) {
        char number[32] = "";
        const double v = at_column_value(k, i);
        if (!k->level && !isnan(v)) (void)snprintf(number, sizeof number, "%.9g", v);
        at_reading_row(&r, i, x);
        fn(user, part[i], k->level && k->level[i] >= 0 ? k->levels.name[k->level[i]] : number, x);
        if (at_interrupted(c)) s = at_error(c, AT_INTERRUPTED, "interrupted");
    }
    at_reading_close(&r);
    at_free(part);
    at_free(x);
    return s;
}

at_status at_table_each(at_ctx *c, const at_features *f, const at_table_origin *o, const char *file,
                        at_table_row_fn fn, void *user) {
    const at_table_options how = at_table_reading(o, f);
    at_table t = {0};
    at_row_split split = {0};
    int64_t label = 0;
    bool own;
    at_status s = is_own(c, o, file, &own);
    if (s == AT_OK) s = at_table_read(c, file, &how, &t);
    if (s == AT_OK)
        s = own ? split_of(c, f, o, &t, &label, &split) : at_table_label(c, f, &t, &label);
    if (s == AT_OK) s = hand_out(c, f, &t, label, &split, fn, user);
    at_row_split_close(&split);
    at_table_close(&t);
    return s;
}

static at_status rows_of_file(at_ctx *c, const at_features *f, const at_table_origin *o,
                              const char *file, int part, at_table_rows *out) {
    const at_table_options how = at_table_reading(o, f);
    at_table t = {0};
    bool own;
    at_status s = is_own(c, o, file, &own);
    if (s == AT_OK && !own && part >= 0)
        s = at_error(c, AT_ARG, "%s is not the file that the model learnt from: it has no splits",
                     file);
    if (s == AT_OK) s = at_table_read(c, file, &how, &t);
    if (s == AT_OK)
        s = own ? rows_of_part(c, f, o, &t, part < 0 ? AT_PART_TEST : (at_part)part, out)
                : at_table_rows_read(c, f, &t, NULL, 0, out);
    at_table_close(&t);
    if (s == AT_OK && !out->n)
        s = at_error(c, AT_ARG, "%s: no rows to measure%s", file,
                     own && o->own_test ? ": those of the test were in a file of their own" : "");
    return s;
}

at_status at_table_is_own(at_ctx *c, const at_model *m, const char *file, bool *own) {
    char hash[AT_SHA256_TEXT];
    at_features f;
    at_table_origin o;
    at_status s = at_table_known(c, m, &f, &o);
    if (s != AT_OK) return s;
    s = at_table_sum(c, file, hash);
    *own = s == AT_OK && !strcmp(hash, o.sha256);
    at_features_close(&f);
    at_table_origin_close(&o);
    return s;
}

at_status at_table_open_rows(at_ctx *c, const at_model *m, const char *file, int part,
                             at_features *f, at_table_rows *rows) {
    at_table_origin o;
    *rows = (at_table_rows){0};
    at_status s = at_table_known(c, m, f, &o);
    if (s != AT_OK) return s;
    s = rows_of_file(c, f, &o, file, part, rows);
    at_table_origin_close(&o);
    if (s != AT_OK) {
        at_features_close(f);
        at_table_rows_close(rows);
    }
    return s;
}

at_status at_table_measure(at_compute *cp, at_model *m, const char *file, int part, at_json *j) {
    at_features f;
    at_table_rows rows;
    at_scores scores = {0};
    at_status s = at_table_open_rows(cp->ctx, m, file, part, &f, &rows);
    if (s != AT_OK) return s;
    s = at_table_score(cp, m, &f, &rows, &scores);
    if (s == AT_OK) at_table_put_scores(&f, &rows, &scores, j);
    at_scores_close(&scores);
    at_table_rows_close(&rows);
    at_features_close(&f);
    return s;
}
