/* report_spec.c - a page from a JSON description.  Every error names its field. */
#include "base/file.h"
#include "base/json.h"
#include "report/grid.h"
#include "report/html.h"
#include "report/jsonl.h"
#include "report/points.h"
#include "report/report.h"
#include "report/svg.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { WHERE = 640, SERIES_MAX = 32, COLUMNS_MAX = 64, LABELS_MAX = 64, SAMPLE_BYTES = 1 << 20 };

typedef struct page {
    at_ctx *c;
    at_text t;
    const char *path; /* of the spec         */
    char *folder;     /* that it lies in     */
} page;

/* ---- fields ---- */

/* The path of a field: "spec.json: sections[2].chart". */
static const char *within(char *out, const char *where, const char *key, int index) {
    const size_t n = strlen(where);
    const char *dot = n && where[n - 1] == ' ' ? "" : ".";
    if (index < 0)
        (void)snprintf(out, WHERE, "%.560s%s%.60s", where, dot, key);
    else
        (void)snprintf(out, WHERE, "%.560s%s%.60s[%d]", where, dot, key, index);
    return out;
}

static bool has(const cJSON *o, const char *key) {
    return cJSON_GetObjectItemCaseSensitive(o, key) != NULL;
}

/* known: "a b c" */
static at_status known_only(page *p, const char *where, const cJSON *o, const char *known) {
    if (!cJSON_IsObject(o)) return at_error(p->c, AT_FORMAT, "%s: expected an object", where);
    const cJSON *f;
    cJSON_ArrayForEach(f, o) {
        const size_t n = strlen(f->string);
        const char *at = known;
        while (at && !(!strncmp(at, f->string, n) && (at[n] == ' ' || !at[n]))) {
            at = strchr(at, ' ');
            if (at) at++;
        }
        if (!at || !n)
            return at_error(p->c, AT_FORMAT, "%s: unknown field \"%.60s\"; known are: %s", where,
                            f->string, known);
    }
    return AT_OK;
}

static at_status optional(page *p, const char *where, const cJSON *o, const char *key,
                          const char **out) {
    *out = NULL;
    return has(o, key) ? at_json_string(p->c, where, o, key, out) : AT_OK;
}

static at_status flag(page *p, const char *where, const cJSON *o, const char *key, bool *out) {
    const cJSON *v = cJSON_GetObjectItemCaseSensitive(o, key);
    *out = cJSON_IsTrue(v);
    if (!v || cJSON_IsBool(v)) return AT_OK;
    return at_error(p->c, AT_FORMAT, "%s: field \"%s\": expected true or false", where, key);
}

/* An array of 1 to `most` elements. */
static at_status filled(page *p, const char *where, const cJSON *o, const char *key, int most,
                        const cJSON **out) {
    const at_status s = at_json_array(p->c, where, o, key, out);
    if (s) return s;
    const int n = cJSON_GetArraySize(*out);
    if (n >= 1 && n <= most) return AT_OK;
    return at_error(p->c, AT_FORMAT, "%s: field \"%s\": %d elements, expected 1 to %d", where, key,
                    n, most);
}

static at_status strings(page *p, const char *where, const char *key, const cJSON *list,
                         const char **out) {
    int i = 0;
    const cJSON *v;
    cJSON_ArrayForEach(v, list) {
        if (!cJSON_IsString(v))
            return at_error(p->c, AT_FORMAT, "%s: field \"%s[%d]\": expected a string", where, key,
                            i);
        out[i++] = v->valuestring;
    }
    return AT_OK;
}

/* A file that the spec names: relative to the spec's folder, or else to the current one. */
static char *locate(page *p, const char *file) {
    if (file[0] == '/') return at_strdup(p->c, file);
    char *beside = at_join(p->c, p->folder, file);
    if (!beside || at_exists(beside) || !at_exists(file)) return beside;
    at_free(beside);
    return at_strdup(p->c, file);
}

/* ---- chart ---- */

static at_status points_of(page *p, const char *where, const cJSON *list, at_points *out) {
    int i = 0;
    const cJSON *v;
    cJSON_ArrayForEach(v, list) {
        const cJSON *x = cJSON_GetArrayItem(v, 0), *y = cJSON_GetArrayItem(v, 1);
        const bool gap = cJSON_IsNull(y);
        if (!cJSON_IsArray(v) || cJSON_GetArraySize(v) != 2 || !cJSON_IsNumber(x) ||
            !(cJSON_IsNumber(y) || gap))
            return at_error(
                p->c, AT_FORMAT,
                "%s: field \"points[%d]\": expected [x, y], two numbers (y may be null)", where, i);
        if (at_points_add(p->c, out, x->valuedouble, gap ? (double)NAN : y->valuedouble))
            return AT_OOM;
        i++;
    }
    return AT_OK;
}

static at_status series_of(page *p, const char *where, const cJSON *o, at_series *out,
                           at_points *points) {
    const char *file = NULL;
    at_curve curve = {0};
    at_status s = known_only(p, where, o, "name metrics x y domain smooth points");
    if (!s) s = optional(p, where, o, "name", &out->name);
    if (!s) s = flag(p, where, o, "smooth", &out->smooth);
    if (s) return s;
    if (has(o, "points") == has(o, "metrics"))
        return at_error(p->c, AT_FORMAT, "%s: expected either \"points\" or \"metrics\"", where);
    if (has(o, "points")) {
        const cJSON *list;
        s = at_json_array(p->c, where, o, "points", &list);
        return s ? s : points_of(p, where, list, points);
    }
    s = at_json_string(p->c, where, o, "metrics", &file);
    if (!s) s = at_json_string(p->c, where, o, "x", &curve.x);
    if (!s) s = at_json_string(p->c, where, o, "y", &curve.y);
    if (!s) s = optional(p, where, o, "domain", &curve.domain);
    if (s) return s;
    char *path = locate(p, file);
    if (!path) return AT_OOM;
    s = at_curves_read(p->c, path, &curve, 1);
    at_free(path);
    *points = curve.points;
    return s ? at_error_in(p->c, where) : AT_OK;
}

static at_status chart(page *p, const char *where, const cJSON *o) {
    at_chart chart = {0};
    const cJSON *list = NULL;
    at_status s = known_only(p, where, o, "title x y log_x log_y series");
    if (!s) s = optional(p, where, o, "title", &chart.title);
    if (!s) s = optional(p, where, o, "x", &chart.x_label);
    if (!s) s = optional(p, where, o, "y", &chart.y_label);
    if (!s) s = flag(p, where, o, "log_x", &chart.log_x);
    if (!s) s = flag(p, where, o, "log_y", &chart.log_y);
    if (!s) s = filled(p, where, o, "series", SERIES_MAX, &list);
    if (s) return s;
    at_series series[SERIES_MAX] = {0};
    at_points points[SERIES_MAX] = {0};
    for (int i = 0; !s && i < cJSON_GetArraySize(list); i++) {
        char inner[WHERE];
        s = series_of(p, within(inner, where, "series", i), cJSON_GetArrayItem(list, i), &series[i],
                      &points[i]);
        at_points_thin(&points[i], AT_POINTS_DRAWN);
        series[i].x = points[i].x;
        series[i].y = points[i].y;
        series[i].n = points[i].n;
        chart.n_series++;
    }
    chart.series = series;
    if (!s) at_svg_chart(&p->t, &chart);
    for (int i = 0; i < chart.n_series; i++) at_points_free(&points[i]);
    return s;
}

/* ---- table and bars ---- */

static at_status grid_of(page *p, const char *where, const cJSON *o, at_grid *grid,
                         const char **title) {
    const char *key;
    const cJSON *from;
    at_grid_column column[COLUMNS_MAX] = {0};
    char *path[COLUMNS_MAX] = {0};
    *grid = (at_grid){0};
    at_status s = at_json_string(p->c, where, o, "key", &key);
    if (!s) s = filled(p, where, o, "from", COLUMNS_MAX, &from);
    if (s) return s;
    const int n = cJSON_GetArraySize(from);
    for (int i = 0; !s && i < n; i++) {
        char inner[WHERE];
        const cJSON *f = cJSON_GetArrayItem(from, i);
        within(inner, where, "from", i);
        s = known_only(p, inner, f, "title file field");
        if (!s) s = at_json_string(p->c, inner, f, "title", &column[i].title);
        if (!s) s = at_json_string(p->c, inner, f, "file", &column[i].file);
        if (!s) s = at_json_string(p->c, inner, f, "field", &column[i].field);
        if (!s && !(path[i] = locate(p, column[i].file))) s = AT_OOM;
        column[i].file = path[i];
        title[i] = column[i].title;
    }
    if (!s && (s = at_grid_read(p->c, key, column, n, grid)) != AT_OK)
        (void)at_error_in(p->c, where);
    for (int i = 0; i < n; i++) at_free(path[i]);
    return s;
}

static at_status grid_table(page *p, const char *where, const cJSON *o) {
    const char *title[COLUMNS_MAX + 1] = {0}, *caption;
    at_grid g;
    at_status s = known_only(p, where, o, "title key from");
    if (!s) s = optional(p, where, o, "title", &caption);
    if (!s) s = grid_of(p, where, o, &g, title + 1);
    if (!s) s = at_json_string(p->c, where, o, "key", &title[0]); /* first column */
    if (s) return s;
    const int wide = g.columns + 1;
    enum { DIGITS = 40 };
    char(*text)[DIGITS] = at_malloc(p->c, (size_t)(g.rows * g.columns) * sizeof *text);
    const char **cell = at_malloc(p->c, (size_t)(g.rows * wide) * sizeof *cell);
    if (!text || !cell) s = AT_OOM;
    int64_t at = 0, numbers = 0;
    for (int i = 0; !s && i < g.rows; i++) {
        cell[at++] = g.key[i];
        for (int k = 0; k < g.columns; k++) {
            at_grid_cell(&g, i, k, text[numbers], DIGITS);
            cell[at++] = text[numbers++];
        }
    }
    if (!s) at_html_table(&p->t, caption, wide, title, g.rows, cell);
    at_free(text);
    at_free(cell);
    at_grid_free(&g);
    return s;
}

/* A JSON value as text; numbers are written to `number`. */
static const char *shown(const cJSON *v, char *number, size_t size) {
    if (cJSON_IsString(v)) return v->valuestring;
    if (cJSON_IsBool(v)) return cJSON_IsTrue(v) ? "yes" : "no";
    if (!cJSON_IsNumber(v)) return NULL;
    at_grid_number(v->valuedouble, number, size);
    return number;
}

static at_status table(page *p, const char *where, const cJSON *o) {
    if (has(o, "from") || has(o, "key")) return grid_table(p, where, o);
    const cJSON *columns, *rows;
    const char *title[COLUMNS_MAX], *caption = NULL;
    at_status s = known_only(p, where, o, "title columns rows");
    if (!s) s = optional(p, where, o, "title", &caption);
    if (!s) s = filled(p, where, o, "columns", COLUMNS_MAX, &columns);
    if (!s) s = strings(p, where, "columns", columns, title);
    if (!s) s = at_json_array(p->c, where, o, "rows", &rows);
    if (s) return s;
    enum { DIGITS = 40 };
    const int wide = cJSON_GetArraySize(columns), high = cJSON_GetArraySize(rows);
    char(*text)[DIGITS] = at_malloc(p->c, (size_t)high * (size_t)wide * sizeof *text);
    const char **cell = at_malloc(p->c, (size_t)high * (size_t)wide * sizeof *cell);
    if (!text || !cell) s = AT_OOM;
    int64_t at = 0;
    int i = 0;
    const cJSON *row, *v;
    cJSON_ArrayForEach(row, rows) {
        if (!s && (!cJSON_IsArray(row) || cJSON_GetArraySize(row) != wide))
            s = at_error(p->c, AT_FORMAT, "%s: field \"rows[%d]\": expected a list of %d cells",
                         where, i, wide);
        if (s) break;
        cJSON_ArrayForEach(v, row) {
            cell[at] = shown(v, text[at], DIGITS);
            at++;
        }
        i++;
    }
    if (!s) at_html_table(&p->t, caption, wide, title, high, cell);
    at_free(text);
    at_free(cell);
    return s;
}

static at_status bars(page *p, const char *where, const cJSON *o) {
    const char *series[COLUMNS_MAX] = {0};
    at_bars b = {.series = series};
    at_grid g;
    at_status s = known_only(p, where, o, "title label key from");
    if (!s) s = optional(p, where, o, "title", &b.title);
    if (!s) s = optional(p, where, o, "label", &b.label);
    if (!s) s = grid_of(p, where, o, &g, series);
    if (s) return s;
    b.n_groups = g.rows;
    b.n_series = g.columns;
    b.group = (const char *const *)g.key;
    b.value = g.value;
    at_svg_bars(&p->t, &b);
    at_grid_free(&g);
    return AT_OK;
}

/* ---- the rest ---- */

static at_status counts(page *p, const char *where, const char *title, const cJSON *names,
                        const cJSON *rows) {
    const int n = cJSON_GetArraySize(names);
    const char *label[LABELS_MAX];
    at_status s = strings(p, where, "labels", names, label);
    double *count = s ? NULL : at_calloc(p->c, (size_t)n * (size_t)n, sizeof *count);
    if (!s && !count) s = AT_OOM;
    if (!s && cJSON_GetArraySize(rows) != n)
        s = at_error(p->c, AT_FORMAT, "%s: field \"counts\": %d rows for %d labels", where,
                     cJSON_GetArraySize(rows), n);
    for (int i = 0; !s && i < n; i++) {
        const cJSON *row = cJSON_GetArrayItem(rows, i);
        for (int j = 0; !s && j < n; j++) {
            const cJSON *v = cJSON_GetArrayItem(row, j);
            if (cJSON_GetArraySize(row) != n || !cJSON_IsNumber(v) || v->valuedouble < 0)
                s = at_error(p->c, AT_FORMAT,
                             "%s: field \"counts[%d]\": expected %d numbers, none below 0", where,
                             i, n);
            else
                count[i * n + j] = v->valuedouble;
        }
    }
    if (!s) at_svg_confusion(&p->t, title, n, label, count);
    at_free(count);
    return s;
}

static at_status counts_in_file(page *p, const char *where, const char *title, const char *file) {
    char *path = locate(p, file);
    if (!path) return AT_OOM;
    at_jsonl j;
    cJSON *line = NULL;
    at_status s = at_jsonl_open(p->c, path, &j);
    while (!s) {
        s = at_jsonl_next(p->c, &j, &line);
        if (s || !line || has(line, "confusion")) break;
        cJSON_Delete(line);
        line = NULL;
    }
    if (!s && !line) s = at_error(p->c, AT_FORMAT, "%s: no line has a field \"confusion\"", path);
    const cJSON *names = NULL, *rows = NULL;
    if (!s) s = filled(p, path, line, "classes", LABELS_MAX, &names);
    if (!s) s = at_json_array(p->c, path, line, "confusion", &rows);
    if (!s) s = counts(p, path, title, names, rows);
    if (s) (void)at_error_in(p->c, where);
    cJSON_Delete(line);
    at_jsonl_close(&j);
    at_free(path);
    return s;
}

static at_status confusion(page *p, const char *where, const cJSON *o) {
    const char *title, *file = NULL;
    const cJSON *names, *rows;
    at_status s = known_only(p, where, o, "title labels counts file");
    if (!s) s = optional(p, where, o, "title", &title);
    if (!s) s = optional(p, where, o, "file", &file);
    if (s) return s;
    if (file) return counts_in_file(p, where, title, file);
    s = filled(p, where, o, "labels", LABELS_MAX, &names);
    if (!s) s = at_json_array(p->c, where, o, "counts", &rows);
    return s ? s : counts(p, where, title, names, rows);
}

/* Row i of a matrix of numbers, null where there is none. */
static at_status heat_row(page *p, const char *where, const cJSON *row, int i, int n, double *out) {
    bool good = cJSON_GetArraySize(row) == n;
    for (int j = 0; good && j < n; j++) {
        const cJSON *v = cJSON_GetArrayItem(row, j);
        good = cJSON_IsNumber(v) || cJSON_IsNull(v);
        out[j] = cJSON_IsNumber(v) ? v->valuedouble : (double)NAN;
    }
    return good ? AT_OK
                : at_error(p->c, AT_FORMAT, "%s: field \"values[%d]\": expected %d numbers or null",
                           where, i, n);
}

static at_status heat(page *p, const char *where, const cJSON *o) {
    const cJSON *rows, *columns, *values;
    const char *row[LABELS_MAX], *column[LABELS_MAX];
    at_heat h = {.row = row, .column = column};
    at_status s = known_only(p, where, o, "title rows columns values");
    if (!s) s = optional(p, where, o, "title", &h.title);
    if (!s) s = filled(p, where, o, "rows", LABELS_MAX, &rows);
    if (!s) s = filled(p, where, o, "columns", LABELS_MAX, &columns);
    if (!s) s = at_json_array(p->c, where, o, "values", &values);
    if (!s) s = strings(p, where, "rows", rows, row);
    if (!s) s = strings(p, where, "columns", columns, column);
    if (s) return s;
    h.rows = cJSON_GetArraySize(rows);
    h.columns = cJSON_GetArraySize(columns);
    if (cJSON_GetArraySize(values) != h.rows)
        return at_error(p->c, AT_FORMAT, "%s: field \"values\": %d rows for %d names", where,
                        cJSON_GetArraySize(values), h.rows);
    double *value = at_malloc(p->c, (size_t)(h.rows * h.columns) * sizeof *value);
    if (!value) return AT_OOM;
    for (int i = 0; !s && i < h.rows; i++)
        s = heat_row(p, where, cJSON_GetArrayItem(values, i), i, h.columns, value + i * h.columns);
    h.value = value;
    if (!s) at_svg_heat(&p->t, &h);
    at_free(value);
    return s;
}

static at_status sample(page *p, const char *where, const cJSON *o) {
    const char *label, *prompt, *text, *file;
    at_status s = known_only(p, where, o, "label prompt text file");
    if (!s) s = optional(p, where, o, "label", &label);
    if (!s) s = optional(p, where, o, "prompt", &prompt);
    if (!s) s = optional(p, where, o, "text", &text);
    if (!s) s = optional(p, where, o, "file", &file);
    if (s) return s;
    if (!text == !file)
        return at_error(p->c, AT_FORMAT, "%s: expected either \"text\" or \"file\"", where);
    char *path = file ? locate(p, file) : NULL, *read = NULL;
    size_t n;
    if (file && path) text = read = at_read_file(p->c, path, SAMPLE_BYTES, &n);
    if (!text)
        s = at_error_in(p->c, where);
    else
        at_html_sample(&p->t, label, prompt, text);
    at_free(read);
    at_free(path);
    return s;
}

static at_status samples(page *p, const char *where, const cJSON *list) {
    if (!cJSON_IsArray(list)) return at_error(p->c, AT_FORMAT, "%s: expected an array", where);
    at_status s = AT_OK;
    int i = 0;
    const cJSON *o;
    cJSON_ArrayForEach(o, list) {
        char inner[WHERE];
        (void)snprintf(inner, sizeof inner, "%.600s[%d]", where, i++);
        if ((s = sample(p, inner, o)) != AT_OK) break;
    }
    return s;
}

static at_status figures(page *p, const char *where, const cJSON *o) {
    const char *label[COLUMNS_MAX], *value[COLUMNS_MAX];
    char number[COLUMNS_MAX][40];
    if (!cJSON_IsObject(o)) return at_error(p->c, AT_FORMAT, "%s: expected an object", where);
    int n = 0;
    const cJSON *v;
    cJSON_ArrayForEach(v, o) {
        if (n == COLUMNS_MAX)
            return at_error(p->c, AT_FORMAT, "%s: more than %d figures", where, COLUMNS_MAX);
        label[n] = v->string;
        value[n] = shown(v, number[n], sizeof number[n]);
        if (!value[n])
            return at_error(p->c, AT_FORMAT, "%s: field \"%.60s\": expected a string or a number",
                            where, v->string);
        n++;
    }
    at_html_figures(&p->t, n, label, value);
    return AT_OK;
}

static at_status section(page *p, const char *where, const cJSON *o) {
    static const struct {
        const char *key;
        at_status (*draw)(page *p, const char *where, const cJSON *o);
    } part[] = {{"figures", figures},     {"chart", chart}, {"bars", bars},      {"table", table},
                {"confusion", confusion}, {"heat", heat},   {"samples", samples}};
    const char *heading, *text;
    at_status s =
        known_only(p, where, o, "heading text figures chart bars table confusion heat samples");
    if (!s) s = optional(p, where, o, "heading", &heading);
    if (!s) s = optional(p, where, o, "text", &text);
    if (s) return s;
    if (heading) at_html_heading(&p->t, heading);
    if (text) at_html_text(&p->t, text);
    for (size_t i = 0; !s && i < sizeof part / sizeof *part; i++) {
        char inner[WHERE];
        const cJSON *v = cJSON_GetObjectItemCaseSensitive(o, part[i].key);
        if (v) s = part[i].draw(p, within(inner, where, part[i].key, -1), v);
    }
    return s;
}

static at_status build(page *p, const cJSON *spec) {
    const char *title, *subtitle;
    const cJSON *list;
    at_status s = known_only(p, p->path, spec, "title subtitle sections");
    if (!s) s = at_json_string(p->c, p->path, spec, "title", &title);
    if (!s) s = optional(p, p->path, spec, "subtitle", &subtitle);
    if (!s) s = at_json_array(p->c, p->path, spec, "sections", &list);
    if (s) return s;
    at_html_begin(&p->t, title, subtitle);
    int i = 0;
    const cJSON *o;
    cJSON_ArrayForEach(o, list) {
        char root[WHERE], where[WHERE];
        (void)snprintf(root, sizeof root, "%.400s: ", p->path);
        if ((s = section(p, within(where, root, "sections", i++), o)) != AT_OK) return s;
    }
    at_html_end(&p->t);
    return p->t.failed;
}

at_status at_report_spec(at_ctx *c, const char *spec_path, const char *out_path) {
    const at_status writable = at_check_out_file(c, out_path);
    if (writable) return writable;
    cJSON *spec = at_json_read(c, spec_path);
    if (!spec) return c->status;
    page p = {.c = c, .path = spec_path, .folder = at_strdup(c, spec_path)};
    at_status s = p.folder ? AT_OK : AT_OOM;
    at_text_init(&p.t, c, 0);
    if (!s) {
        char *slash = strrchr(p.folder, '/');
        if (slash)
            slash[slash == p.folder] = 0;
        else
            memcpy(p.folder, ".", 2); /* a file that could be read has a name */
        s = build(&p, spec);
    }
    if (!s) s = at_write_file(c, out_path, p.t.s, p.t.n);
    at_text_close(&p.t);
    at_free(p.folder);
    cJSON_Delete(spec);
    return s;
}
