/* grid.c - joins lines of several files by key. */
#include "report/grid.h"
#include "report/jsonl.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { ROWS_MAX = 1024 };

static int row_of(const at_grid *g, const char *key) {
    for (int i = 0; i < g->rows; i++)
        if (!strcmp(g->key[i], key)) return i;
    return -1;
}

static at_status read_keys(at_ctx *c, const char *key, const char *file, at_grid *g) {
    at_jsonl j;
    at_status s = at_jsonl_open(c, file, &j);
    while (!s) {
        cJSON *line;
        s = at_jsonl_next(c, &j, &line);
        if (s || !line) break;
        const char *v = at_jsonl_string(line, key);
        if (v && row_of(g, v) < 0) {
            if (g->rows == ROWS_MAX)
                s = at_error(c, AT_FORMAT, "%s: more than %d values of \"%s\"", file, ROWS_MAX,
                             key);
            else if (!at_reserve(c, &g->key, &g->key_cap, g->rows + 1, sizeof *g->key) ||
                     !(g->key[g->rows] = at_strdup(c, v)))
                s = AT_OOM;
            else
                g->rows++;
        }
        cJSON_Delete(line);
    }
    at_jsonl_close(&j);
    if (!s && !g->rows)
        s = at_error(c, AT_FORMAT, "%s: no line has a string under \"%s\"", file, key);
    return s;
}

static at_status read_column(at_ctx *c, const char *key, const at_grid_column *column, int k,
                             at_grid *g) {
    at_jsonl j;
    bool found = false;
    at_status s = at_jsonl_open(c, column->file, &j);
    while (!s) {
        cJSON *line;
        s = at_jsonl_next(c, &j, &line);
        if (s || !line) break;
        const char *v = at_jsonl_string(line, key);
        const int row = v ? row_of(g, v) : -1;
        double number;
        if (row >= 0 && at_jsonl_number(line, column->field, &number)) {
            g->value[row * g->columns + k] = number; /* a later line replaces an earlier one */
            found = true;
        }
        cJSON_Delete(line);
    }
    at_jsonl_close(&j);
    if (!s && !found)
        s = at_error(c, AT_FORMAT, "%s: no line has a number under \"%s\" for a \"%s\" in question",
                     column->file, column->field, key);
    return s;
}

at_status at_grid_read(at_ctx *c, const char *key, const at_grid_column *column, int columns,
                       at_grid *out) {
    *out = (at_grid){.columns = columns};
    at_status s = read_keys(c, key, column[0].file, out);
    if (!s) {
        out->value = at_malloc(c, (size_t)out->rows * (size_t)columns * sizeof *out->value);
        if (!out->value) s = AT_OOM;
    }
    for (int i = 0; !s && i < out->rows * columns; i++) out->value[i] = (double)NAN;
    for (int k = 0; !s && k < columns; k++) s = read_column(c, key, &column[k], k, out);
    if (s) at_grid_free(out);
    return s;
}

void at_grid_free(at_grid *g) {
    for (int i = 0; i < g->rows; i++) at_free(g->key[i]);
    at_free(g->key);
    at_free(g->value);
    *g = (at_grid){0};
}

void at_grid_number(double v, char *out, size_t size) {
    if (!isfinite(v)) {
        (void)snprintf(out, size, "\xE2\x80\x93");
        return;
    }
    if (fabs(v) < 1000 || fabs(v) >= 1e15) {
        const bool whole = v == floor(v) && fabs(v) < 1e15;
        (void)snprintf(out, size, whole ? "%.0f" : "%.4g", v);
        return;
    }
    char digits[32];
    (void)snprintf(digits, sizeof digits, "%.0f", fabs(v));
    const size_t n = strlen(digits);
    size_t at = 0;
    if (v < 0 && size > 1) out[at++] = '-';
    for (size_t i = 0; i < n && at + 2 < size; i++) {
        if (i && (n - i) % 3 == 0) out[at++] = ',';
        out[at++] = digits[i];
    }
    out[at] = 0;
}

void at_grid_cell(const at_grid *g, int row, int column, char *out, size_t size) {
    const double v = g->value[row * g->columns + column];
    bool whole = true;
    double most = 0;
    for (int i = 0; i < g->rows; i++) {
        const double x = g->value[i * g->columns + column];
        if (!isfinite(x)) continue;
        whole = whole && x == floor(x);
        most = fmax(most, fabs(x));
    }
    if (whole || !isfinite(v) || most >= 1000)
        at_grid_number(v, out, size);
    else
        (void)snprintf(out, size, "%.*f", most >= 100 ? 1 : most >= 10 ? 2 : most >= 1 ? 3 : 4, v);
}
