/*
 * json_write.c - writes JSON as text directly, without building a tree.
 *
 * The layout and the digits are those of cJSON's printers, which wrote these files before: tests
 * compare, and files that are hashed keep their hashes.
 */
#include "base/file.h"
#include "base/json.h"
#include <assert.h>
#include <float.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void add(at_json *j, const char *s) { at_text_add(&j->text, s); }

/* A string in quotes; control characters, quotes and backslashes are escaped, other bytes are
   kept. */
static void quote(at_json *j, const char *s) {
    static const char plain[] = "\"\\\b\f\n\r\t", letter[] = "\"\\bfnrt";
    add(j, "\"");
    for (const char *p = s; *p; s = p) {
        while ((unsigned char)*p >= ' ' && *p != '"' && *p != '\\') p++;
        at_text_bytes(&j->text, s, (size_t)(p - s));
        if (!*p) break;
        const char *known = strchr(plain, *p);
        if (known)
            at_text_bytes(&j->text, (const char[]){'\\', letter[known - plain]}, 2);
        else
            at_textf(&j->text, "\\u%04x", (unsigned)(unsigned char)*p);
        p++;
    }
    add(j, "\"");
}

static void indent(at_json *j, int depth) {
    for (int i = 0; i < depth; i++) add(j, "\t");
}

/* Writes what comes before a value: comma, line break, key. */
static void lead(at_json *j, const char *key) {
    const bool object = j->depth && j->open[j->depth - 1] == '{';
    assert(object == (key != NULL)); /* items of an object have keys, others have none */
    assert(j->depth || j->first);    /* one value */
    if (!j->first) add(j, ",");
    if (j->indented && object)
        add(j, "\n");
    else if (j->indented && !j->first)
        add(j, " ");
    j->first = false;
    if (!object) return;
    if (j->indented) indent(j, j->depth);
    quote(j, key);
    add(j, j->indented ? ":\t" : ":");
}

static void begin(at_json *j, const char *key, char bracket) {
    if (j->text.failed) return;
    lead(j, key);
    add(j, bracket == '{' ? "{" : "[");
    if (j->depth < AT_JSON_DEPTH_MAX)
        j->open[j->depth++] = bracket;
    else if (!j->text.failed)
        j->text.failed = at_error(j->text.ctx, AT_FORMAT, "JSON nested deeper than %d levels",
                                  AT_JSON_DEPTH_MAX);
    j->first = true;
}

static void start(at_json *j, at_ctx *c, bool indented) {
    *j = (at_json){.indented = indented, .first = true};
    at_text_init(&j->text, c, 0);
}
void at_json_open_value(at_json *j, at_ctx *c) { start(j, c, false); }
void at_json_open(at_json *j, at_ctx *c) {
    start(j, c, false);
    begin(j, NULL, '{');
}
void at_json_open_file(at_json *j, at_ctx *c) {
    start(j, c, true);
    begin(j, NULL, '{');
}

void at_json_begin_object(at_json *j, const char *key) { begin(j, key, '{'); }
void at_json_begin_list(at_json *j, const char *key) { begin(j, key, '['); }

void at_json_end(at_json *j) {
    if (j->text.failed) return;
    assert(j->depth > 0);
    const bool object = j->open[--j->depth] == '{';
    if (j->indented && object) {
        add(j, "\n");
        indent(j, j->depth);
    }
    add(j, object ? "}" : "]");
    j->first = false;
}

void at_json_end_to(at_json *j, int depth) {
    while (!j->text.failed && j->depth > depth) at_json_end(j);
}

/* ---- values ------------------------------------------------------------------------------- */

static void plain(at_json *j, const char *key, const char *text) {
    if (j->text.failed) return;
    lead(j, key);
    add(j, text);
}

void at_json_put_string(at_json *j, const char *key, const char *text) {
    if (j->text.failed) return;
    if (!text) { /* after an allocation that failed */
        j->text.failed = AT_OOM;
        return;
    }
    lead(j, key);
    quote(j, text);
}

/* 15 digits if they give the same number, otherwise 17; the decimal point does not depend on the
   locale. */
void at_json_put_number(at_json *j, const char *key, double v) {
    char text[40];
    (void)snprintf(text, sizeof text, "%.15g", v);
    const double back = strtod(text, NULL);
    if (!(fabs(back - v) <= fmax(fabs(back), fabs(v)) * DBL_EPSILON))
        (void)snprintf(text, sizeof text, "%.17g", v);
    char *point = strchr(text, localeconv()->decimal_point[0]);
    if (point) *point = '.';
    plain(j, key, isfinite(v) ? text : "null");
}

void at_json_put_numbers(at_json *j, const char *key, const double *v, int64_t n) {
    at_json_begin_list(j, key);
    for (int64_t i = 0; i < n; i++) at_json_put_number(j, NULL, v[i]);
    at_json_end(j);
}

void at_json_put_bool(at_json *j, const char *key, bool v) { plain(j, key, v ? "true" : "false"); }
void at_json_put_null(at_json *j, const char *key) { plain(j, key, "null"); }

void at_json_put_value(at_json *j, const char *key, const cJSON *v) {
    if (cJSON_IsObject(v) || cJSON_IsArray(v)) {
        begin(j, key, cJSON_IsObject(v) ? '{' : '[');
        for (const cJSON *e = v->child; e; e = e->next)
            at_json_put_value(j, cJSON_IsObject(v) ? e->string : NULL, e);
        at_json_end(j);
    } else if (cJSON_IsString(v)) {
        at_json_put_string(j, key, v->valuestring);
    } else if (cJSON_IsNumber(v)) {
        at_json_put_number(j, key, v->valuedouble);
    } else if (cJSON_IsBool(v)) {
        at_json_put_bool(j, key, cJSON_IsTrue(v));
    } else {
        at_json_put_null(j, key);
    }
}

void at_json_put_members(at_json *j, const cJSON *o, const char *without) {
    const cJSON *e = NULL;
    cJSON_ArrayForEach(e, o) {
        if (strcmp(e->string, without) != 0) at_json_put_value(j, e->string, e);
    }
}

/* ---- finishing ---------------------------------------------------------------------------- */

at_status at_json_finish(at_json *j) {
    if (j->depth == 1) at_json_end(j);
    assert(j->text.failed || (j->depth == 0 && !j->first)); /* begun and ended */
    if (j->text.failed == AT_OOM)                           /* replaces any later error */
        (void)at_error(j->text.ctx, AT_OOM, "no memory for all of a JSON text");
    return j->text.failed;
}

char *at_json_take(at_json *j) {
    char *text = at_json_finish(j) ? NULL : at_text_take(&j->text);
    at_json_close(j);
    return text;
}

cJSON *at_json_value(at_json *j, const char *name) {
    at_ctx *c = j->text.ctx;
    cJSON *v = at_json_finish(j) ? NULL : at_json_parse(c, name, j->text.s, j->text.n);
    at_json_close(j);
    return v;
}

at_status at_json_save(at_json *j, const char *path) {
    at_ctx *c = j->text.ctx;
    (void)at_json_finish(j);
    at_text_add(&j->text, "\n");
    at_status s = at_json_finish(j) ? at_error_in(c, path) : AT_OK;
    if (s == AT_OK) s = at_write_file(c, path, j->text.s, j->text.n);
    at_json_close(j);
    return s;
}

void at_json_close(at_json *j) { at_text_close(&j->text); }

char *at_json_text(at_ctx *c, const cJSON *v) {
    at_json j;
    at_json_open_value(&j, c);
    at_json_put_value(&j, NULL, v);
    return at_json_take(&j);
}

at_status at_json_write_lines(at_ctx *c, const char *path, const cJSON *list) {
    at_text lines;
    at_text_init(&lines, c, 0);
    at_status s = AT_OK;
    for (const cJSON *e = list->child; e && s == AT_OK; e = e->next) {
        char *line = at_json_text(c, e);
        at_text_add(&lines, line ? line : "");
        at_text_add(&lines, "\n");
        s = line ? lines.failed : AT_OOM;
        at_free(line);
    }
    s = s ? at_error_in(c, path) : at_write_file(c, path, lines.s ? lines.s : "", lines.n);
    at_text_close(&lines);
    return s;
}
