/* lab_page.c - building the description of a page. */
#include "lab/lab_page.h"
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

cJSON *at_page_section(at_lab_session *l, const char *heading, const char *text) {
    cJSON *s = cJSON_CreateObject();
    if (heading) cJSON_AddStringToObject(s, "heading", heading);
    if (text) cJSON_AddStringToObject(s, "text", text);
    cJSON_AddItemToArray(l->page, s);
    return s;
}

/* "a|b|c" as strings. */
static cJSON *cells(const char *text) {
    cJSON *list = cJSON_CreateArray();
    for (const char *at = text;; at++) {
        char cell[256];
        const size_t n = strcspn(at, "|");
        (void)snprintf(cell, sizeof cell, "%.*s", (int)(n < 255 ? n : 255), at);
        cJSON_AddItemToArray(list, cJSON_CreateString(cell));
        at += n;
        if (!*at) return list;
    }
}

cJSON *at_page_table(cJSON *section, const char *title, const char *columns) {
    cJSON *t = cJSON_AddObjectToObject(section, "table");
    if (title) cJSON_AddStringToObject(t, "title", title);
    cJSON_AddItemToObject(t, "columns", cells(columns));
    cJSON_AddArrayToObject(t, "rows");
    return t;
}

void at_page_row(cJSON *table, const char *fmt, ...) {
    char text[1024];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    cJSON_AddItemToArray(cJSON_GetObjectItem(table, "rows"), cells(text));
}

cJSON *at_page_chart(cJSON *section, const char *title, const char *x, const char *y) {
    cJSON *chart = cJSON_AddObjectToObject(section, "chart");
    if (title) cJSON_AddStringToObject(chart, "title", title);
    cJSON_AddStringToObject(chart, "x", x);
    cJSON_AddStringToObject(chart, "y", y);
    cJSON_AddArrayToObject(chart, "series");
    return chart;
}

static cJSON *series(cJSON *chart, const char *name) {
    cJSON *s = cJSON_CreateObject();
    cJSON_AddStringToObject(s, "name", name);
    cJSON_AddItemToArray(cJSON_GetObjectItem(chart, "series"), s);
    return s;
}

cJSON *at_page_points(cJSON *chart, const char *name) {
    return cJSON_AddArrayToObject(series(chart, name), "points");
}

void at_page_point(cJSON *points, double x, double y) {
    cJSON *p = cJSON_CreateArray();
    cJSON_AddItemToArray(p, cJSON_CreateNumber(x));
    cJSON_AddItemToArray(p, isfinite(y) ? cJSON_CreateNumber(y) : cJSON_CreateNull());
    cJSON_AddItemToArray(points, p);
}

void at_page_metrics(cJSON *chart, const at_trial *t, const char *name, const char *x,
                     const char *y) {
    char path[200];
    cJSON *s = series(chart, name);
    (void)snprintf(path, sizeof path, "runs/%s/metrics.jsonl", t->name);
    cJSON_AddStringToObject(s, "metrics", path);
    cJSON_AddStringToObject(s, "x", x);
    cJSON_AddStringToObject(s, "y", y);
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

void at_page_claims(at_lab_session *l) {
    cJSON *section = at_page_section(
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
    cJSON *table =
        at_page_table(section, NULL, "claim|holds|effect|95 % interval|p|p corrected|seeds|unit");
    const cJSON *o;
    cJSON_ArrayForEach(o, l->claims) {
        char effect[32], lo[32], hi[32], p[32], holm[32];
        const cJSON *ci = cJSON_GetObjectItem(o, "ci");
        at_page_row(table, "%s|%s|%s%s|%s to %s|%s|%s|%.0f|%s",
                    cJSON_GetStringValue(cJSON_GetObjectItem(o, "claim")),
                    cJSON_IsTrue(cJSON_GetObjectItem(o, "holds")) ? "yes" : "no", at_page_bound(o),
                    shown(effect, 32, number(cJSON_GetObjectItem(o, "effect"))),
                    shown(lo, 32, number(cJSON_GetArrayItem(ci, 0))),
                    shown(hi, 32, number(cJSON_GetArrayItem(ci, 1))),
                    shown(p, 32, number(cJSON_GetObjectItem(o, "p"))),
                    shown(holm, 32, number(cJSON_GetObjectItem(o, "p_holm"))),
                    number(cJSON_GetObjectItem(o, "n")),
                    cJSON_GetStringValue(cJSON_GetObjectItem(o, "unit")));
    }
}

void at_lab_warn(at_lab_session *l, const char *fmt, ...) {
    char text[400];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    at_log(l->c, AT_LOG_WARN, "%s", text);
    cJSON_AddItemToArray(l->warnings, cJSON_CreateString(text));
}

void at_page_warnings(at_lab_session *l) {
    if (!cJSON_GetArraySize(l->warnings)) return;
    cJSON *t = at_page_table(at_page_section(l, "Doubts", NULL), NULL, "what to bear in mind");
    const cJSON *o;
    cJSON_ArrayForEach(o, l->warnings) at_page_row(t, "%s", cJSON_GetStringValue(o));
}
