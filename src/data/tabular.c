/* tabular.c - columns of a table. */
#include "data/tabular.h"
#include "base/nearest.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void at_table_close(at_table *t) {
    for (int64_t i = 0; i < t->n; i++) {
        at_free(t->column[i].name);
        at_free(t->column[i].number);
        at_free(t->column[i].byte);
        at_free(t->column[i].level);
        at_levels_close(&t->column[i].levels);
    }
    at_free(t->column);
    at_free(t->path);
    at_free(t->line);
    for (int64_t i = 0; t->file && i < t->rows; i++) at_free(t->file[i]);
    at_free(t->file);
    *t = (at_table){0};
}

at_column *at_table_add(at_ctx *c, at_table *t, const char *name, size_t bytes) {
    if (!at_reserve(c, &t->column, &t->cap, t->n + 1, sizeof *t->column)) return NULL;
    at_column *k = &t->column[t->n];
    *k = (at_column){.name = at_malloc(c, bytes + 1)};
    if (!k->name) return NULL;
    if (bytes) memcpy(k->name, name, bytes);
    k->name[bytes] = 0;
    t->n++;
    return k;
}

int64_t at_table_find(const at_table *t, const char *name) {
    for (int64_t i = 0; i < t->n; i++)
        if (!strcmp(t->column[i].name, name)) return i;
    return -1;
}

at_status at_table_column(at_ctx *c, const at_table *t, const char *name, int64_t *out) {
    if ((*out = at_table_find(t, name)) >= 0) return AT_OK;
    const char **known = at_calloc(c, (size_t)t->n, sizeof *known);
    if (!known) return AT_OOM;
    for (int64_t i = 0; i < t->n; i++) known[i] = t->column[i].name;
    const char *near = at_nearest(name, known, t->n);
    const char *last = t->n ? t->column[t->n - 1].name : "";
    at_free(known);
    return near
               ? at_error(c, AT_ARG, "%s: no column `%s`, did you mean `%s`?", t->path, name, near)
               : at_error(c, AT_ARG, "%s: no column `%s` among its %lld, of which the last is `%s`",
                          t->path, name, (long long)t->n, last);
}

double at_column_value(const at_column *k, int64_t row) {
    if (k->byte) return (double)k->byte[row];
    if (k->number) return k->number[row];
    return k->level[row] < 0 ? (double)NAN : (double)k->level[row];
}

const char *at_table_where(const at_table *t, int64_t row, char text[AT_WHERE]) {
    if (t->file)
        (void)snprintf(text, AT_WHERE, "%.500s", t->file[row]);
    else if (t->line)
        (void)snprintf(text, AT_WHERE, "%.460s:%lld", t->path, (long long)t->line[row]);
    else
        (void)snprintf(text, AT_WHERE, "%.460s: row %lld", t->path, (long long)row);
    return text;
}

at_status at_column_sort(at_ctx *c, at_column *k, int64_t rows) {
    int32_t *to = at_calloc(c, (size_t)k->levels.n, sizeof *to);
    at_status s = to ? at_levels_sort(c, &k->levels, to) : AT_OOM;
    for (int64_t i = 0; i < rows && !s; i++)
        if (k->level[i] >= 0) k->level[i] = to[k->level[i]];
    at_free(to);
    return s;
}

at_status at_column_to_levels(at_ctx *c, at_table *t, int64_t column) {
    at_column *k = &t->column[column];
    at_status s = AT_OK;
    if (k->level) return AT_OK;
    if (k->image.height)
        return at_error(c, AT_MISMATCH, "%s: column `%s` has images: they are no classes", t->path,
                        k->name);
    k->level = at_malloc(c, (size_t)t->rows * sizeof *k->level);
    if (!k->level) return AT_OOM;
    for (int64_t i = 0; i < t->rows && !s; i++) {
        const double v = at_column_value(k, i);
        char text[40];
        int digits = 15;
        k->level[i] = -1;
        if (isnan(v)) continue;
        do (void)snprintf(text, sizeof text, "%.*g", digits, v);
        while (digits++ < 17 && strtod(text, NULL) != v);
        if ((k->level[i] = at_levels_add(c, &k->levels, text, strlen(text))) < 0) s = c->status;
    }
    at_free(k->number);
    at_free(k->byte);
    k->number = NULL;
    k->byte = NULL;
    return s ? s : at_column_sort(c, k, t->rows);
}
