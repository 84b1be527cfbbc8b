/* lab_page.c - building the description of a page. */
#include "lab/lab_page.h"
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* How deep it is inside of the sections, of a section, of its table or chart, of rows or series, of the
   points of a series.  Whatever was begun deeper ends when something is begun. */
enum { SECTIONS = 2, SECTION, PART, ITEMS, POINTS = ITEMS + 2 };

static at_json *inside(at_lab_session *l, int depth) {
    at_json_end_to(&l->page, depth);
    return &l->page;
}

static void put_title(at_json *j, const char *key, const char *text) {
    if (text) at_json_put_string(j, key, text);
}

void at_page_section(at_lab_session *l, const char *heading, const char *text) {
    at_json *j = inside(l, SECTIONS);
    at_json_begin_object(j, NULL);
    put_title(j, "heading", heading);
    put_title(j, "text", text);
}

/* "a|b|c" as strings. */
static void put_cells(at_json *j, const char *key, const char *text) {
    at_json_begin_list(j, key);
    for (const char *at = text;; at++) {
        char cell[256];
        const size_t n = strcspn(at, "|");
        (void)snprintf(cell, sizeof cell, "%.*s", (int)(n < 255 ? n : 255), at);
        at_json_put_string(j, NULL, cell);
        at += n;
        if (!*at) break;
    }
    at_json_end(j);
}

void at_page_table(at_lab_session *l, const char *title, const char *columns) {
    at_json *j = inside(l, SECTION);
    at_json_begin_object(j, "table");
    put_title(j, "title", title);
    put_cells(j, "columns", columns);
    at_json_begin_list(j, "rows");
}

void at_page_row(at_lab_session *l, const char *fmt, ...) {
    char text[1024];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    put_cells(inside(l, ITEMS), NULL, text);
}

void at_page_chart(at_lab_session *l, const char *title, const char *x, const char *y) {
    at_json *j = inside(l, SECTION);
    at_json_begin_object(j, "chart");
    put_title(j, "title", title);
    at_json_put_string(j, "x", x);
    at_json_put_string(j, "y", y);
    at_json_begin_list(j, "series");
}

void at_page_log_x(at_lab_session *l) { at_json_put_bool(inside(l, PART), "log_x", true); }

static at_json *begin_series(at_lab_session *l, const char *name) {
    at_json *j = inside(l, ITEMS);
    at_json_begin_object(j, NULL);
    at_json_put_string(j, "name", name);
    return j;
}

void at_page_points(at_lab_session *l, const char *name) {
    at_json_begin_list(begin_series(l, name), "points");
}

void at_page_point(at_lab_session *l, double x, double y) {
    at_json_put_numbers(inside(l, POINTS), NULL, (const double[]){x, y}, 2);
}

void at_page_metrics(at_lab_session *l, const at_trial *t, const char *name, const char *x,
                     const char *y) {
    char path[200];
    at_json *j = begin_series(l, name);
    (void)snprintf(path, sizeof path, "runs/%s/metrics.jsonl", t->name);
    at_json_put_string(j, "metrics", path);
    at_json_put_string(j, "x", x);
    at_json_put_string(j, "y", y);
}

void at_page_smooth(at_lab_session *l) { at_json_put_bool(&l->page, "smooth", true); }

void at_page_heat(at_lab_session *l, const char *title, int rows, const char *const *row,
                  int columns, const char *const *column, const double *value) {
    at_json *j = inside(l, SECTION);
    at_json_begin_object(j, "heat");
    put_title(j, "title", title);
    at_json_begin_list(j, "rows");
    for (int i = 0; i < rows; i++) at_json_put_string(j, NULL, row[i]);
    at_json_end(j);
    at_json_begin_list(j, "columns");
    for (int i = 0; i < columns; i++) at_json_put_string(j, NULL, column[i]);
    at_json_end(j);
    at_json_begin_list(j, "values");
    for (int i = 0; i < rows; i++) at_json_put_numbers(j, NULL, value + i * columns, columns);
    at_json_end(j);
}

void at_page_figures(at_lab_session *l) { at_json_begin_object(inside(l, SECTION), "figures"); }
void at_page_figure(at_lab_session *l, const char *label, const char *value) {
    at_json_put_string(inside(l, PART), label, value);
}

static double number(const cJSON *v) { return cJSON_IsNumber(v) ? v->valuedouble : (double)NAN; }

/* "-" where there is no number. */
static const char *shown(char *out, size_t size, double v) {
    if (isfinite(v))
        (void)snprintf(out, size, "%.4g", v);
    else
        (void)snprintf(out, size, "-");
    return out;
}

const char *at_page_bound(const cJSON *claim) {
    const char *bound = cJSON_GetStringValue(cJSON_GetObjectItem(claim, "bound"));
    if (!bound || !strcmp(bound, "none")) return "";
    return !strcmp(bound, "at_least")  ? "at least "
           : !strcmp(bound, "at_most") ? "at most "
                                       : "of mixed limits: ";
}

typedef struct {
    const char *text, *holds, *unit;
    char effect[32], interval[72], p[32], holm[32];
} shown_claim;

static void show_claim(const cJSON *o, shown_claim *v) {
    const cJSON *ci = cJSON_GetObjectItem(o, "ci");
    char lo[32], hi[32];
    v->text = cJSON_GetStringValue(cJSON_GetObjectItem(o, "claim"));
    v->holds = cJSON_IsTrue(cJSON_GetObjectItem(o, "holds")) ? "yes" : "no";
    v->unit = cJSON_GetStringValue(cJSON_GetObjectItem(o, "unit"));
    (void)shown(v->effect, 32, number(cJSON_GetObjectItem(o, "effect")));
    (void)snprintf(v->interval, sizeof v->interval, "%s to %s",
                   shown(lo, 32, number(cJSON_GetArrayItem(ci, 0))),
                   shown(hi, 32, number(cJSON_GetArrayItem(ci, 1))));
    (void)shown(v->p, 32, number(cJSON_GetObjectItem(o, "p")));
    (void)shown(v->holm, 32, number(cJSON_GetObjectItem(o, "p_holm")));
}

void at_page_claims(at_lab_session *l) {
    at_page_section(
        l, "Claims",
        "Tested on the test split, which no setting was chosen by. The interval is Student's t "
        "over "
        "training seeds, 95 %, paired where two kinds of run share seeds; p is two-sided, of the "
        "number the claim names. A claim holds when the effect lies on its side and p, corrected "
        "by Holm's method for the number of claims on this page, is below 0.05: an interval can "
        "lie "
        "on its side and the claim still not hold. \"At least\" and \"at most\": the effect and "
        "its "
        "interval are those of a limit, and the true effect may lie beyond it.");
    at_page_table(l, NULL, "claim|holds|effect|95 % interval|p|p corrected|seeds|unit");
    const cJSON *o;
    cJSON_ArrayForEach(o, l->claims) {
        shown_claim v;
        show_claim(o, &v);
        at_page_row(l, "%s|%s|%s%s|%s|%s|%s|%.0f|%s", v.text, v.holds, at_page_bound(o), v.effect,
                    v.interval, v.p, v.holm, number(cJSON_GetObjectItem(o, "n")), v.unit);
    }
}

void at_page_claims_of(at_lab_session *l, const char *part) {
    at_page_table(l, NULL,
                  "claim|the paper says|holds here|effect|95 % interval|p corrected|sample|unit");
    const cJSON *o;
    cJSON_ArrayForEach(o, l->claims) {
        const char *of = cJSON_GetStringValue(cJSON_GetObjectItem(o, "part"));
        const char *paper = cJSON_GetStringValue(cJSON_GetObjectItem(o, "paper"));
        const char *sample = cJSON_GetStringValue(cJSON_GetObjectItem(o, "sample"));
        shown_claim v;
        if (!of || strcmp(of, part) != 0) continue;
        show_claim(o, &v);
        at_page_row(l, "%s|%s|%s|%s%s|%s|%s|%.0f %s|%s", v.text, paper ? paper : "", v.holds,
                    at_page_bound(o), v.effect, v.interval, v.holm,
                    number(cJSON_GetObjectItem(o, "n")), sample ? sample : "seeds", v.unit);
    }
}

at_status at_lab_warn(at_lab_session *l, const char *fmt, ...) {
    char text[400];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    at_log(l->c, AT_LOG_WARN, "%s", text);
    at_json j;
    at_json_open_value(&j, l->c);
    at_json_put_string(&j, NULL, text);
    cJSON *o = at_json_value(&j, "warning");
    if (o) at_json_append(l->warnings, o);
    return o ? AT_OK : l->c->status;
}

void at_page_warnings(at_lab_session *l) {
    if (!cJSON_GetArraySize(l->warnings)) return;
    at_page_section(l, "Doubts", NULL);
    at_page_table(l, NULL, "what to bear in mind");
    const cJSON *o;
    cJSON_ArrayForEach(o, l->warnings) at_page_row(l, "%s", cJSON_GetStringValue(o));
}
