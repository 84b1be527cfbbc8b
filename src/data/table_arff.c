/* table_arff.c - ARFF, the format of Weka: declared columns, then rows of cells. */
#include "data/cells.h"
#include "data/table_kinds.h"
#include <math.h>
#include <string.h>
#include <strings.h>

typedef struct {
    at_ctx *c;
    at_table *t;
    const char *at, *end;
    int64_t line;
    at_bytes word;
} arff;

static bool space(char x) { return x == ' ' || x == '\t' || x == '\r'; }

static void skip(arff *a) {
    while (a->at < a->end && space(*a->at)) a->at++;
}

static at_status wrong(arff *a, const char *expected) {
    return at_error(a->c, AT_FORMAT, "%s:%lld: expected %s", a->t->path, (long long)a->line,
                    expected);
}

/* A word, or a text in quotes, into a->word.n bytes; it ends at blanks, breaks and marks. */
static at_status word(arff *a, const char *expected) {
    at_status s = AT_OK;
    skip(a);
    a->word.n = 0;
    if (a->at < a->end && (*a->at == '\'' || *a->at == '"')) {
        const char quote = *a->at++;
        for (; a->at < a->end && *a->at != quote && *a->at != '\n' && !s; a->at++) {
            if (*a->at == '\\' && a->at + 1 < a->end && a->at[1] != '\n') a->at++;
            s = at_bytes_char(a->c, &a->word, *a->at);
        }
        if (s) return s;
        if (a->at == a->end || *a->at != quote) return wrong(a, "a quote at the end of the text");
        a->at++;
        return AT_OK;
    }
    while (a->at < a->end && !space(*a->at) && !strchr("\n,{}", *a->at) && !s)
        s = at_bytes_char(a->c, &a->word, *a->at++);
    return s || a->word.n ? s : wrong(a, expected);
}

static bool is(const arff *a, const char *name) {
    return a->word.n == (int64_t)strlen(name) && !strncasecmp(a->word.p, name, strlen(name));
}

/* {a, b, ...} */
static at_status nominal(arff *a, at_column *k) {
    at_status s = AT_OK;
    a->at++;
    while (!s) {
        s = word(a, "a value of the column, as in {a,b}");
        const int64_t before = k->levels.n;
        if (!s && at_levels_add(a->c, &k->levels, a->word.p, (size_t)a->word.n) < 0)
            s = a->c->status;
        if (!s && k->levels.n == before) s = wrong(a, "each value of the column once");
        skip(a);
        if (s || a->at == a->end || (*a->at != ',' && *a->at != '}')) break;
        if (*a->at++ == '}') return AT_OK;
    }
    return s ? s : wrong(a, "`,` or `}` after a value");
}

/* A column is numbers, declared levels, or (without levels yet) texts.  Which: level != NULL, later. */
static at_status attribute(arff *a, bool *texts) {
    at_status s = word(a, "the name of a column after @attribute");
    if (s) return s;
    at_column *k = at_table_add(a->c, a->t, a->word.p, (size_t)a->word.n);
    if (!k) return AT_OOM;
    if (at_table_find(a->t, k->name) != a->t->n - 1)
        return at_error(a->c, AT_FORMAT, "%s:%lld: two columns are called `%s`", a->t->path,
                        (long long)a->line, k->name);
    skip(a);
    *texts = true;
    if (a->at < a->end && *a->at == '{') return nominal(a, k);
    s = word(a, "the type of a column");
    if (s) return s;
    *texts = is(a, "string");
    if (is(a, "numeric") || is(a, "real") || is(a, "integer") || *texts) return AT_OK;
    return at_error(
        a->c, AT_UNSUPPORTED,
        "%s:%lld: column `%s` is of type %.*s; read are numeric, real, integer, string and {...}",
        a->t->path, (long long)a->line, k->name, (int)a->word.n, a->word.p);
}

/* All declarations; `text`, by column, grows. */
static at_status header(arff *a, bool **texts, int64_t *cap) {
    at_status s = AT_OK;
    while (!s && a->at < a->end) {
        skip(a);
        if (a->at < a->end && *a->at == '@') {
            s = word(a, "@relation, @attribute or @data");
            if (s) return s;
            if (is(a, "@data")) {
                while (a->at < a->end && *a->at != '\n') a->at++;
                return AT_OK;
            }
            if (is(a, "@attribute")) {
                if (!at_reserve(a->c, texts, cap, a->t->n + 1, sizeof **texts)) return AT_OOM;
                s = attribute(a, *texts + a->t->n);
            } else if (!is(a, "@relation")) {
                s = wrong(a, "@relation, @attribute or @data");
            }
        } else if (a->at < a->end && *a->at != '%' && *a->at != '\n') {
            s = wrong(a, "a line that begins with @ or %");
        }
        while (!s && a->at < a->end && *a->at != '\n') a->at++;
        if (!s && a->at < a->end) {
            a->at++;
            a->line++;
        }
    }
    return s ? s : wrong(a, "@data");
}

static at_status cell(arff *a, at_column *k, bool declared, int64_t row, const at_cell *x) {
    const bool missing = !x->quoted && x->bytes == 1 && *x->text == '?';
    if (k->number) {
        k->number[row] = (double)NAN;
        if (missing || at_cell_number(x->text, x->bytes, &k->number[row])) return AT_OK;
        return at_error(a->c, AT_FORMAT,
                        "%s:%lld: column `%s`: expected a number or ?, found `%.*s`", a->t->path,
                        (long long)x->line, k->name, (int)(x->bytes < 80 ? x->bytes : 80), x->text);
    }
    k->level[row] = missing    ? -1
                    : declared ? at_levels_find(&k->levels, x->text, x->bytes)
                               : at_levels_add(a->c, &k->levels, x->text, x->bytes);
    if (missing || k->level[row] >= 0) return AT_OK;
    return !declared
               ? a->c->status
               : at_error(a->c, AT_FORMAT,
                          "%s:%lld: column `%s`: `%.*s` is none of its %lld values", a->t->path,
                          (long long)x->line, k->name, (int)(x->bytes < 80 ? x->bytes : 80),
                          x->text, (long long)k->levels.n);
}

/* Rows, counted first (fill false). */
static at_status rows(arff *a, bool fill, const bool *declared) {
    at_cells r = {
        .name = a->t->path, .at = a->at, .end = a->end, .line = a->line, .mark = ',', .arff = true};
    at_table *t = a->t;
    at_cell x;
    at_status s = AT_OK;
    int64_t row = 0;
    while (!s && !(s = at_cells_next(a->c, &r, &x)) && x.text) {
        if (r.column == 1 && !x.quoted && x.bytes && *x.text == '{')
            s = at_error(a->c, AT_UNSUPPORTED, "%s:%lld: sparse rows are not read", t->path,
                         (long long)x.line);
        else if (r.column > t->n || (x.last && r.column < t->n))
            s = at_error(a->c, AT_FORMAT,
                         "%s:%lld: %s%lld cells, expected one for each of %lld columns", t->path,
                         (long long)x.line, x.last ? "" : "more than ",
                         (long long)(x.last ? r.column : t->n), (long long)t->n);
        if (!s && fill) {
            if (r.column == 1) t->line[row] = x.line;
            s = cell(a, &t->column[r.column - 1], declared[r.column - 1], row, &x);
        }
        row += x.last;
    }
    at_cells_close(&r);
    t->rows = row;
    return s;
}

at_status at_table_read_arff(at_ctx *c, const char *text, size_t bytes, at_table *t) {
    arff a = {.c = c, .t = t, .at = text, .end = text + bytes, .line = 1};
    bool *texts = NULL, *declared = NULL;
    int64_t cap = 0;
    at_status s = header(&a, &texts, &cap);
    if (!s && !t->n) s = wrong(&a, "@attribute before @data");
    if (!s) s = rows(&a, false, NULL);
    if (!s && (!(t->line = at_calloc(c, (size_t)t->rows, sizeof *t->line)) ||
               !(declared = at_calloc(c, (size_t)t->n, sizeof *declared))))
        s = AT_OOM;
    for (int64_t i = 0; i < t->n && !s; i++) {
        at_column *k = &t->column[i];
        declared[i] = k->levels.n > 0;
        if (texts[i])
            k->level = at_calloc(c, (size_t)t->rows, sizeof *k->level);
        else
            k->number = at_calloc(c, (size_t)t->rows, sizeof *k->number);
        if (!k->level && !k->number) s = AT_OOM;
    }
    if (!s) s = rows(&a, true, declared);
    at_bytes_free(&a.word);
    at_free(texts);
    at_free(declared);
    return s;
}
