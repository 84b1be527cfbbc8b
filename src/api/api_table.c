/* api_table.c - how good a model of tables is on a file, and what it says of its rows. */
#include "api/api_table.h"
#include "infer/table_measure.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

at_status at_table_none(at_ctx *c, const at_model *m, const char *path) {
    return at_error(c, AT_UNSUPPORTED,
                    "%s is of architecture %s, which does not read rows of a table", path,
                    m->arch->name);
}

/* ---- eval ---- */

at_status at_table_part(at_ctx *c, const char *name, at_part *out) {
    static const char *const known[] = {"train", "validation", "test"};
    for (int i = 0; i < AT_PARTS_OF_TABLE; i++)
        if (!strcmp(known[i], name)) {
            *out = (at_part)i;
            return AT_OK;
        }
    return at_error(c, AT_ARG, "split `%s`: expected train, validation or test", name);
}

at_status at_table_eval(artel *a, at_model *m, const char *data, const artel_eval_options *o,
                        artel_emit emit, void *user) {
    at_ctx *c = &a->ctx;
    at_compute *cp;
    at_part part = AT_PART_TEST;
    at_json j;
    if (o->context || o->windows || o->route_on || o->usage)
        return at_error(
            c, AT_ARG,
            "%s answers rows of a table: context, windows, route-on and usage are for text",
            m->path ? m->path : "the model");
    at_status s = o->split ? at_table_part(c, o->split, &part) : AT_OK;
    if (s == AT_OK) s = at_compute_of(a, &cp);
    if (s != AT_OK) return s;
    at_json_open(&j, c);
    s = at_table_measure(cp, m, data, o->split ? (int)part : -1, &j);
    if (s == AT_OK) return (at_status)at_emit(a, emit, user, &j);
    at_json_close(&j);
    return s;
}

/* ---- predict ---- */

typedef struct {
    at_ctx *c;
    const at_features *f;
    artel_text text;
    void *user;
    at_text line;
    double *p;         /* [classes] */
    char *const *file; /* [rows] of pictures, or NULL */
} predict;

static void send(predict *p) {
    at_text_add(&p->line, "\n");
    if (p->line.failed == AT_OK) p->text(p->user, p->line.s, p->line.n);
    p->line.n = 0;
}

/* A cell of CSV: in quotes where it needs them. */
static void put_cell(at_text *t, const char *s) {
    if (!strpbrk(s, ",\"\r\n") && *s && *s != ' ' && s[strlen(s) - 1] != ' ') {
        at_text_add(t, s);
        return;
    }
    at_text_add(t, "\"");
    for (; *s; s++) at_text_bytes(t, *s == '"' ? "\"\"" : s, *s == '"' ? 2 : 1);
    at_text_add(t, "\"");
}

static void heard(void *user, int64_t row, const at_real *logits) {
    predict *p = user;
    const at_features *f = p->f;
    if (p->file) {
        put_cell(&p->line, p->file[row]);
        at_text_add(&p->line, ",");
    }
    if (f->classes.n) {
        const int64_t best = at_class_probabilities(logits, f->classes.n, p->p);
        put_cell(&p->line, f->classes.name[best]);
        for (int64_t i = 0; i < f->classes.n; i++) at_textf(&p->line, ",%.6g", p->p[i]);
    } else {
        at_textf(&p->line, "%.9g", (double)logits[0] * f->spread + f->mean);
    }
    send(p);
}

static void head(predict *p) {
    char name[512];
    if (p->file) at_text_add(&p->line, "file,");
    put_cell(&p->line, p->f->label);
    for (int64_t i = 0; i < p->f->classes.n; i++) {
        (void)snprintf(name, sizeof name, "p(%s)", p->f->classes.name[i]);
        at_text_add(&p->line, ",");
        put_cell(&p->line, name);
    }
    send(p);
}

static at_status rows(artel *a, at_model *m, const char *file, artel_text text, void *user) {
    at_ctx *c = &a->ctx;
    at_compute *cp;
    at_features f;
    at_table_rows r = {0};
    at_table_origin o;
    predict p = {.c = c, .f = &f, .text = text, .user = user};
    at_text_init(&p.line, c, 0);
    at_status s = at_table_known(c, m, &f, &o);
    if (s != AT_OK) return s;
    s = at_compute_of(a, &cp);
    if (s == AT_OK) s = at_table_unlabelled(c, &f, &o, file, &r);
    if (s == AT_OK && !(p.p = at_calloc(c, (size_t)f.classes.n, sizeof *p.p))) s = AT_OOM;
    p.file = r.file;
    if (s == AT_OK) head(&p);
    if (s == AT_OK) s = at_table_answer(cp, m, r.x, r.n, NULL, heard, &p);
    if (s == AT_OK && p.line.failed != AT_OK) s = p.line.failed;
    at_text_close(&p.line);
    at_free(p.p);
    at_table_rows_close(&r);
    at_features_close(&f);
    at_table_origin_close(&o);
    return s;
}

/* ---- inputs ---- */

static void input_names(at_text *line, const at_feature *f) {
    char name[512];
    for (int64_t i = 0; i < f->width; i++) {
        if (f->indicator && i == f->width - 1)
            (void)snprintf(name, sizeof name, "%s is missing", f->name);
        else if (f->of_levels)
            (void)snprintf(name, sizeof name, "%s=%s", f->name, f->levels.name[i]);
        else
            (void)snprintf(name, sizeof name, "%s", f->name);
        at_text_add(line, ",");
        put_cell(line, name);
    }
}

static void put_inputs(void *user, int part, const char *label, const at_real *x) {
    static const char *const name[] = {"train", "validation", "test", ""};
    predict *p = user;
    at_text_add(&p->line, name[part]);
    at_text_add(&p->line, ",");
    put_cell(&p->line, label);
    for (int64_t i = 0; i < p->f->inputs; i++) at_textf(&p->line, ",%.9g", (double)x[i]);
    send(p);
}

static at_status inputs(at_ctx *c, const at_model *m, const char *file, artel_text text,
                        void *user) {
    at_features f;
    at_table_origin o;
    predict p = {.c = c, .f = &f, .text = text, .user = user};
    at_text_init(&p.line, c, 0);
    at_status s = at_table_known(c, m, &f, &o);
    if (s != AT_OK) return s;
    at_text_add(&p.line, "part,");
    put_cell(&p.line, f.label);
    for (int64_t i = 0; i < f.n; i++) input_names(&p.line, &f.feature[i]);
    send(&p);
    s = at_table_each(c, &f, &o, file, put_inputs, &p);
    if (s == AT_OK && p.line.failed != AT_OK) s = p.line.failed;
    at_text_close(&p.line);
    at_features_close(&f);
    at_table_origin_close(&o);
    return s;
}

artel_status artel_table_inputs(artel *a, const char *model, const char *file, artel_text text,
                                void *user) {
    at_ctx *c = &a->ctx;
    at_model *m = NULL;
    at_status s = at_model_load(c, model, false, &m);
    if (s == AT_OK && !at_model_of_tables(m)) s = at_table_none(c, m, model);
    if (s == AT_OK) s = inputs(c, m, file, text, user);
    at_model_close(m);
    return at_answer(a, s);
}

artel_status artel_predict(artel *a, const char *model, const char *file, artel_text text,
                           void *user) {
    at_ctx *c = &a->ctx;
    at_model *m = NULL;
    at_status s = at_model_load(c, model, false, &m);
    if (s == AT_OK && !at_model_of_tables(m)) s = at_table_none(c, m, model);
    if (s == AT_OK) s = rows(a, m, file, text, user);
    at_model_close(m);
    return at_answer(a, s);
}
