/* table_fann.c - the data files of libfann: numbers, those of a row on two lines. */
#include "data/cells.h"
#include "data/table_kinds.h"
#include <stdio.h>
#include <string.h>

enum { MOST = 1 << 20 };

typedef struct {
    at_ctx *c;
    const at_table *t;
    const char *at, *end;
    int64_t line;
} words;

/* The next number; AT_FORMAT where there is none. */
static at_status number(words *w, const char *what, double *out) {
    for (; w->at < w->end && strchr(" \t\r\n", *w->at); w->at++) w->line += *w->at == '\n';
    const char *begin = w->at;
    while (w->at < w->end && !strchr(" \t\r\n", *w->at)) w->at++;
    const size_t n = (size_t)(w->at - begin);
    if (n && at_cell_number(begin, n, out)) return AT_OK;
    return at_error(w->c, AT_FORMAT, "%s:%lld: expected %s, found %s%.*s%s", w->t->path,
                    (long long)w->line, what, n ? "`" : "the end of the file",
                    (int)(n < 80 ? n : 80), begin, n ? "`" : "");
}

/* Whether of the last columns exactly one is above all others in each row, as a class is written. */
static bool one_of(const at_table *t, int64_t first, double *low, double *high) {
    *low = *high = t->column[first].number[0];
    for (int64_t i = 0; i < t->rows; i++)
        for (int64_t k = first; k < t->n; k++) {
            const double v = t->column[k].number[i];
            if (v < *low) *low = v;
            if (v > *high) *high = v;
        }
    for (int64_t i = 0; i < t->rows; i++) {
        int64_t ones = 0;
        for (int64_t k = first; k < t->n; k++) {
            const double v = t->column[k].number[i];
            if (v > *low && v < *high) return false;
            ones += v >= *high;
        }
        if (ones != 1) return false;
    }
    return *high > *low;
}

/* Several outputs that say which class it is become one column of levels "1", "2", ... */
static at_status join_classes(at_ctx *c, at_table *t, int64_t inputs) {
    double low, high;
    if (t->n - inputs < 2 || !t->rows || !one_of(t, inputs, &low, &high)) return AT_OK;
    at_column k = {.level = at_calloc(c, (size_t)t->rows, sizeof *k.level),
                   .name = at_strdup(c, "class")};
    at_status s = k.level && k.name ? AT_OK : AT_OOM;
    for (int64_t i = inputs; i < t->n && !s; i++) {
        char name[24];
        const int n = snprintf(name, sizeof name, "%lld", (long long)(i - inputs) + 1);
        if (at_levels_add(c, &k.levels, name, (size_t)n) < 0) s = c->status;
    }
    if (s) {
        at_free(k.level);
        at_free(k.name);
        at_levels_close(&k.levels);
        return s;
    }
    for (int64_t i = 0; i < t->rows; i++)
        for (int64_t j = inputs; j < t->n; j++)
            if (t->column[j].number[i] >= high) k.level[i] = (int32_t)(j - inputs);
    for (int64_t j = inputs; j < t->n; j++) {
        at_free(t->column[j].name);
        at_free(t->column[j].number);
    }
    t->column[inputs] = k;
    t->n = inputs + 1;
    return AT_OK;
}

at_status at_table_read_fann(at_ctx *c, const char *text, size_t bytes, at_table *t) {
    static const char *const what[] = {"the number of rows", "the number of inputs",
                                       "the number of outputs"};
    words w = {.c = c, .t = t, .at = text, .end = text + bytes, .line = 1};
    double size[3];
    at_status s = AT_OK;
    for (int i = 0; i < 3 && !s; i++) s = number(&w, what[i], &size[i]);
    /* a number takes two bytes at least */
    if (!s && !(size[0] >= 1 && size[1] >= 1 && size[2] >= 0 && size[1] + size[2] <= MOST &&
                size[0] * (size[1] + size[2]) <= (double)bytes))
        s = at_error(c, AT_FORMAT,
                     "%s:1: %g rows of %g inputs and %g outputs do not fit into %lld bytes",
                     t->path, size[0], size[1], size[2], (long long)bytes);
    if (s) return s;
    t->rows = (int64_t)size[0];
    const int64_t inputs = (int64_t)size[1], all = inputs + (int64_t)size[2];
    for (int64_t i = 0; i < all && !s; i++) {
        char name[32];
        const int n = i < inputs
                          ? snprintf(name, sizeof name, "in%lld", (long long)i + 1)
                          : snprintf(name, sizeof name, "out%lld", (long long)(i - inputs) + 1);
        at_column *k = at_table_add(c, t, name, (size_t)n);
        if (!k || !(k->number = at_calloc(c, (size_t)t->rows, sizeof *k->number))) s = AT_OOM;
    }
    if (!s && !(t->line = at_calloc(c, (size_t)t->rows, sizeof *t->line))) s = AT_OOM;
    for (int64_t i = 0; i < t->rows && !s; i++)
        for (int64_t k = 0; k < all && !s; k++) {
            s = number(&w, "a number", &t->column[k].number[i]);
            if (!k) t->line[i] = w.line;
        }
    while (!s && w.at < w.end && strchr(" \t\r\n", *w.at)) w.at++;
    if (!s && w.at < w.end)
        s = at_error(c, AT_FORMAT, "%s: more numbers than %lld rows of %lld have", t->path,
                     (long long)t->rows, (long long)all);
    if (!s) s = join_classes(c, t, inputs);
    t->outputs = t->n - inputs;
    return s;
}
