/*
 * table_cells.c - CSV: the first reading of the text finds out what its columns are, the second fills
 * them.
 */
#include "data/cells.h"
#include "data/table_kinds.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

/* What the cells of a column are, after the first reading. */
typedef struct {
    int64_t numbers, others;
    int64_t odd_line; /* of the first that is no number */
    char odd[40];
    bool levels;
} survey;

typedef struct {
    at_ctx *c;
    at_table *t;
    const at_table_options *o;
    const char *text, *end;
    int64_t line; /* of text */
    char mark;
    bool header;
    survey *of;
    int64_t cap;
} csv;

static at_cells begin(const csv *v) {
    return (at_cells){
        .name = v->t->path, .at = v->text, .end = v->end, .line = v->line, .mark = v->mark};
}

static void skip_lines(csv *v) {
    for (int64_t i = 0; i < v->o->skip && v->text < v->end; i++) {
        const char *nl = memchr(v->text, '\n', (size_t)(v->end - v->text));
        v->text = nl ? nl + 1 : v->end;
        v->line++;
    }
}

/* The mark that the first line has most of, outside of quotes. */
static char mark_of(const csv *v) {
    static const char mark[] = ",;\t|";
    int count[4] = {0}, best = 0;
    bool inside = false, seen = false;
    for (const char *p = v->text; p < v->end && !(*p == '\n' && !inside && seen); p++) {
        inside ^= *p == '"';
        seen |= *p != '\n' && *p != '\r';
        for (int i = 0; i < 4; i++) count[i] += !inside && *p == mark[i];
    }
    for (int i = 1; i < 4; i++)
        if (count[i] > count[best]) best = i;
    return mark[best];
}

/* Names of the columns, and whether the first row has them. */
static at_status first_row(csv *v) {
    at_cells r = begin(v);
    at_cell x;
    at_status s;
    bool words = true;
    while (!(s = at_cells_next(v->c, &r, &x)) && x.text) {
        double number;
        words &= !at_cell_number(x.text, x.bytes, &number) && !at_cell_missing(x.text, x.bytes);
        if (!at_table_add(v->c, v->t, x.text, x.bytes)) s = AT_OOM;
        words &= s || at_table_find(v->t, v->t->column[v->t->n - 1].name) == v->t->n - 1;
        if (s || x.last) break;
    }
    at_cells_close(&r);
    if (s) return s;
    if (!v->t->n) return at_error(v->c, AT_FORMAT, "%s: a table without rows", v->t->path);
    v->header = v->o->header == AT_HEADER_YES || (v->o->header == AT_HEADER_AUTO && words);
    for (int64_t i = 0; i < v->t->n && !s; i++) {
        char *name = v->t->column[i].name;
        if (v->header && *name) {
            if (at_table_find(v->t, name) != i)
                s = at_error(v->c, AT_FORMAT, "%s:%lld: two columns are called `%s`", v->t->path,
                             (long long)v->line, name);
            continue;
        }
        at_free(name);
        if (!(v->t->column[i].name = at_malloc(v->c, 24))) return AT_OOM;
        (void)snprintf(v->t->column[i].name, 24, "c%lld", (long long)i + 1);
    }
    return s;
}

typedef at_status (*cell_fn)(csv *v, int64_t row, int64_t column, const at_cell *x);

/* Every cell, the header's apart; *rows: how many there are. */
static at_status each(csv *v, cell_fn f, int64_t *rows) {
    at_cells r = begin(v);
    at_cell x;
    at_status s = AT_OK;
    int64_t row = v->header ? -1 : 0;
    while (!s && !(s = at_cells_next(v->c, &r, &x)) && x.text) {
        const int64_t column = r.column;
        if (column > v->t->n || (x.last && column < v->t->n))
            s = at_error(v->c, AT_FORMAT,
                         "%s:%lld: %s%lld cells, expected %lld as in the first row", v->t->path,
                         (long long)x.line, x.last ? "" : "more than ",
                         (long long)(x.last ? column : v->t->n), (long long)v->t->n);
        if (!s && row >= 0) s = f(v, row, column - 1, &x);
        row += x.last;
        if (!(row & 1023) && at_interrupted(v->c))
            s = at_error(v->c, AT_INTERRUPTED, "interrupted");
    }
    at_cells_close(&r);
    *rows = row > 0 ? row : 0;
    return s;
}

static at_status look(csv *v, int64_t row, int64_t column, const at_cell *x) {
    survey *k = &v->of[column];
    double number;
    (void)row;
    if (at_cell_missing(x->text, x->bytes)) return AT_OK;
    if (at_cell_number(x->text, x->bytes, &number)) {
        k->numbers++;
        return AT_OK;
    }
    if (!k->others++) {
        const size_t n = at_utf8_cut(x->text, x->bytes, sizeof k->odd - 1);
        memcpy(k->odd, x->text, n);
        k->odd_line = x->line;
    }
    return AT_OK;
}

static bool named(const at_table_options *o, const char *name) {
    for (int64_t i = 0; i < o->n_levels; i++)
        if (!strcmp(o->levels[i], name)) return true;
    return false;
}

static at_status decide(csv *v) {
    for (int64_t i = 0; i < v->t->n; i++) {
        survey *k = &v->of[i];
        at_column *col = &v->t->column[i];
        const bool asked = named(v->o, col->name);
        if (!asked && k->others && k->numbers > k->others)
            return at_error(
                v->c, AT_FORMAT,
                "%s:%lld: column `%s`: `%s` is no number, while %lld of %lld cells are; "
                "write ? for what is missing, or name the column under table.categories",
                v->t->path, (long long)k->odd_line, col->name, k->odd, (long long)k->numbers,
                (long long)(k->numbers + k->others));
        k->levels = asked || k->others > 0;
        const size_t each = k->levels ? sizeof *col->level : sizeof *col->number;
        void *values = at_calloc(v->c, (size_t)v->t->rows, each);
        if (!values) return AT_OOM;
        if (k->levels)
            col->level = values;
        else
            col->number = values;
    }
    return AT_OK;
}

static at_status keep(csv *v, int64_t row, int64_t column, const at_cell *x) {
    at_column *k = &v->t->column[column];
    const bool missing = at_cell_missing(x->text, x->bytes);
    v->t->line[row] = column ? v->t->line[row] : x->line;
    if (k->number) {
        if (!at_cell_number(x->text, x->bytes, &k->number[row])) k->number[row] = (double)NAN;
        return AT_OK;
    }
    k->level[row] = missing ? -1 : at_levels_add(v->c, &k->levels, x->text, x->bytes);
    return missing || k->level[row] >= 0 ? AT_OK : v->c->status;
}

static at_status in_order(csv *v) {
    at_status s = AT_OK;
    for (int64_t i = 0; i < v->t->n && !s; i++) {
        at_column *k = &v->t->column[i];
        if (k->level) s = at_column_sort(v->c, k, v->t->rows);
    }
    return s;
}

at_status at_table_read_cells(at_ctx *c, const char *text, size_t bytes, const at_table_options *o,
                              at_table *t) {
    csv v = {.c = c, .t = t, .o = o, .text = text, .end = text + bytes, .line = 1};
    int64_t rows;
    if (bytes >= 3 && !memcmp(text, "\xEF\xBB\xBF", 3)) v.text += 3;
    skip_lines(&v);
    v.mark = mark_of(&v);
    at_status s = first_row(&v);
    if (!s && !(v.of = at_calloc(c, (size_t)t->n, sizeof *v.of))) s = AT_OOM;
    if (!s) s = each(&v, look, &t->rows);
    if (!s && !(t->line = at_calloc(c, (size_t)t->rows, sizeof *t->line))) s = AT_OOM;
    if (!s) s = decide(&v);
    if (!s) s = each(&v, keep, &rows);
    if (!s) s = in_order(&v);
    at_free(v.of);
    return s;
}
