/* api_probe.c - what the experts of a model know. */
#include "api/api_table.h"
#include "infer/lm.h"
#include "infer/probe.h"
#include "infer/probe_lm.h"

/* The rows that the model learnt from, where the file is the one that it learnt from. */
static at_status training_rows(at_ctx *c, const at_model *m, const char *data, at_table_rows *rows,
                               const at_table_rows **out) {
    bool own = false;
    at_features f;
    *out = NULL;
    at_status s = at_table_is_own(c, m, data, &own);
    if (s != AT_OK || !own) return s;
    s = at_table_open_rows(c, m, data, AT_PART_TRAIN, &f, rows);
    if (s != AT_OK) return s;
    at_features_close(&f);
    *out = rows;
    return AT_OK;
}

static at_status measure(at_compute *cp, at_model *m, const char *data, at_model *base,
                         const at_table_rows *rows, at_json *j) {
    at_table_rows train = {0};
    at_probe_with with = {.baseline = base, .missing = true};
    at_expert_probe p = {0};
    at_status s = training_rows(cp->ctx, m, data, &train, &with.train);
    if (s == AT_OK) s = at_expert_probe_with(cp, m, rows, &with, &p);
    at_json_put_number(j, "rows", (double)rows->n);
    at_json_put_number(j, "mixture", p.accuracy);
    if (s == AT_OK) at_expert_probe_write(&p, j);
    at_expert_probe_close(&p);
    at_table_rows_close(&train);
    return s;
}

static at_status probe(artel *a, at_model *m, const char *data, const artel_probe_options *o,
                       at_json *j) {
    at_ctx *c = &a->ctx;
    at_compute *cp;
    at_part part = AT_PART_TEST;
    at_features f;
    at_table_rows rows;
    at_model *base = NULL;
    if (o->context || o->windows)
        return at_error(c, AT_ARG, "%s answers rows of a table: context and windows are for text",
                        m->path);
    at_status s = o->split ? at_table_part(c, o->split, &part) : AT_OK;
    if (s == AT_OK) s = at_compute_of(a, &cp);
    if (s == AT_OK && o->baseline) s = at_model_load(c, o->baseline, false, &base);
    if (s == AT_OK && base && (!at_model_of_tables(base) || base->dims.inputs != m->dims.inputs))
        s = at_error(c, AT_MISMATCH, "%s does not read the rows that %s reads", o->baseline,
                     m->path);
    if (s == AT_OK) s = at_table_open_rows(c, m, data, o->split ? (int)part : -1, &f, &rows);
    if (s == AT_OK) {
        at_json_put_string(j, "label", f.label);
        s = measure(cp, m, data, base, &rows, j);
        at_table_rows_close(&rows);
        at_features_close(&f);
    }
    at_model_close(base);
    return s;
}

/* ---- language models ---- */

enum { CONTEXT = 128, WINDOWS = 16 };

static at_status probe_lm(artel *a, at_model *m, const char *data, const artel_probe_options *o,
                          at_json *j) {
    at_ctx *c = &a->ctx;
    at_compute *cp;
    at_dataset *d = NULL;
    at_split split = AT_TEST;
    at_lm_probe p = {.context = o->context ? o->context : CONTEXT,
                     .windows = o->windows ? o->windows : WINDOWS};
    if (o->baseline)
        return at_error(c, AT_ARG, "a baseline is for models of tables: %s reads text", m->path);
    at_status s = at_compute_of(a, &cp);
    if (s == AT_OK) s = at_model_finite(c, m);
    if (s == AT_OK) s = at_dataset_open_checked(c, data, &d);
    if (s == AT_OK && o->split) s = at_dataset_show(c, d, o->split, &split);
    if (s == AT_OK)
        s = at_lm_check_data(c, m->path, m->tokenizer, m->dims.vocab, data, d->tokenizer_hash,
                             d->vocab);
    if (s == AT_OK) s = at_lm_probe_measure(cp, m, d, split, &p);
    if (s == AT_OK) at_lm_probe_write(&p, d, j);
    at_lm_probe_close(&p);
    at_dataset_close(d);
    return s;
}

/* The slots of the model are its own while it is asked: nobody else has it open. */
artel_status artel_probe(artel *a, const char *model, const char *data,
                         const artel_probe_options *o, artel_emit emit, void *user) {
    static const artel_probe_options nothing = {0};
    at_ctx *c = &a->ctx;
    at_model *m = NULL;
    at_json j;
    at_json_open(&j, c);
    at_status s = at_model_load(c, model, false, &m);
    if (!o) o = &nothing;
    if (s == AT_OK && m->arch->reads == AT_INPUT_IDS)
        s = probe_lm(a, m, data, o, &j);
    else if (s == AT_OK)
        s = at_model_of_tables(m) ? probe(a, m, data, o, &j) : at_table_none(c, m, model);
    at_model_close(m);
    if (s == AT_OK) return at_emit(a, emit, user, &j);
    at_json_close(&j);
    return at_answer(a, s);
}
