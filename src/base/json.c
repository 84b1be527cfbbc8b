/*
 * json.c - reading: one pass over the bytes before cJSON sees them, and typed getters.
 *
 * The pass refuses what cJSON would take silently (bytes that are not UTF-8, a NUL, which would
 * cut a C string) and what would make it recurse deeply.  cJSON always gets a NUL-terminated
 * buffer with the NUL counted in: releases before 1.7.18 read one byte past a shorter length.
 */
#include "base/json.h"
#include "base/file.h"
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* ---- memory ------------------------------------------------------------------------------- */

static _Thread_local bool refused; /* an allocation of the parser's */
static _Thread_local at_ctx *counting;

static void *json_malloc(size_t bytes) {
    void *p = counting ? at_malloc(counting, bytes) : malloc(bytes);
    if (!p) refused = true;
    return p;
}

static void install(void) {
    cJSON_InitHooks(&(cJSON_Hooks){.malloc_fn = json_malloc, .free_fn = free});
}

static void hook(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    (void)pthread_once(&once, install);
}

void at_json_inject(at_ctx *c) { counting = c; }

cJSON *at_json_list(at_ctx *c) { return at_json_parse(c, "list", "[]", 2); }
void at_json_append(cJSON *list, cJSON *item) { (void)cJSON_AddItemToArray(list, item); }

/* ---- text --------------------------------------------------------------------------------- */

enum { JSON_BYTES_MAX = 1 << 30 };

/* Bytes of the UTF-8 character at p (at most `left`), 0 when it is none. */
static size_t utf8_step(const unsigned char *p, size_t left) {
    if (p[0] < 0x80) return 1;
    const size_t n = p[0] >= 0xF0 ? 4 : p[0] >= 0xE0 ? 3 : 2;
    if (p[0] < 0xC2 || p[0] > 0xF4 || n > left) return 0;
    for (size_t i = 1; i < n; i++)
        if ((p[i] & 0xC0) != 0x80) return 0;
    if (p[0] == 0xE0 && p[1] < 0xA0) return 0; /* overlong  */
    if (p[0] == 0xED && p[1] > 0x9F) return 0; /* surrogate */
    if (p[0] == 0xF0 && p[1] < 0x90) return 0; /* overlong  */
    if (p[0] == 0xF4 && p[1] > 0x8F) return 0; /* > 10FFFF  */
    return n;
}

static at_status scan(at_ctx *c, const char *name, const char *text, size_t bytes) {
    const unsigned char *p = (const unsigned char *)text;
    int depth = 0;
    size_t start = 0; /* of the string we are in */
    bool quoted = false;
    for (size_t i = 0, step; i < bytes; i += step) {
        step = utf8_step(p + i, bytes - i);
        if (step == 0) return at_error(c, AT_FORMAT, "%s: byte %zu: not UTF-8", name, i);
        if (p[i] == 0) return at_error(c, AT_FORMAT, "%s: byte %zu: a NUL byte in JSON", name, i);
        if (quoted) {
            if (p[i] == '"') quoted = false;
            if (p[i] != '\\') continue;
            if (bytes - i >= 6 && !memcmp(p + i, "\\u0000", 6))
                return at_error(c, AT_FORMAT, "%s: byte %zu: \\u0000 in a string is not supported",
                                name, i);
            if (i + 1 < bytes && p[i + 1] < 0x80 && p[i + 1]) step = 2;
        } else if (p[i] == '"') {
            quoted = true;
            start = i;
        } else if (p[i] == '{' || p[i] == '[') {
            if (++depth > AT_JSON_DEPTH_MAX)
                return at_error(c, AT_FORMAT, "%s: byte %zu: nested deeper than %d levels", name, i,
                                AT_JSON_DEPTH_MAX);
        } else if (p[i] == '}' || p[i] == ']') {
            depth--;
        }
    }
    if (quoted)
        return at_error(c, AT_FORMAT, "%s: byte %zu: this string does not end", name, start);
    return AT_OK;
}

static bool blank(char ch) { return ch == ' ' || ch == '\t' || ch == '\n' || ch == '\r'; }

/* The first few characters of s on one line, for a message; out: 32 bytes. */
static const char *excerpt(const char *s, char *out) {
    size_t n = 0;
    while (n < 20 && (unsigned char)s[n] >= ' ' && s[n] != 0x7f) n++;
    while (n > 0 && ((unsigned char)s[n] & 0xc0) == 0x80) n--; /* not inside one */
    memcpy(out, s, n);
    out[n] = 0;
    return n ? out : *s ? "(a control character)" : "(end)";
}

/* text[bytes] is 0. */
static cJSON *parse_terminated(at_ctx *c, const char *name, const char *text, size_t bytes) {
    if (scan(c, name, text, bytes)) return NULL;
    size_t first = 0;
    while (first < bytes && blank(text[first])) first++;
    if (first == bytes) {
        (void)at_error(c, AT_FORMAT, "%s: expected JSON, found nothing (%zu bytes)", name, bytes);
        return NULL;
    }
    char near[32];
    const char *end = NULL;
    hook();
    refused = false;
    cJSON *v = cJSON_ParseWithLengthOpts(text, bytes + 1, &end, 0);
    if (refused) {
        (void)at_error(c, AT_OOM, "%s: no memory for its %zu bytes of JSON", name, bytes);
        cJSON_Delete(v);
        return NULL;
    }
    size_t at = end ? (size_t)(end - text) : 0;
    if (!v) {
        if (at >= bytes)
            (void)at_error(c, AT_FORMAT, "%s: byte %zu: the JSON text ends too early", name, bytes);
        else
            (void)at_error(c, AT_FORMAT, "%s: byte %zu: not JSON, near `%s`", name, at,
                           excerpt(text + at, near));
        return NULL;
    }
    while (at < bytes && blank(text[at])) at++;
    if (at < bytes) {
        (void)at_error(c, AT_FORMAT, "%s: byte %zu: expected the end, found `%s`", name, at,
                       excerpt(text + at, near));
        cJSON_Delete(v);
        return NULL;
    }
    return v;
}

cJSON *at_json_parse(at_ctx *c, const char *name, const char *text, size_t bytes) {
    if (bytes > JSON_BYTES_MAX) {
        (void)at_error(c, AT_FORMAT, "%s: %zu bytes of JSON, at most %d are read", name, bytes,
                       JSON_BYTES_MAX);
        return NULL;
    }
    char *copy = at_malloc(c, bytes + 1);
    if (!copy) return NULL;
    if (bytes) memcpy(copy, text, bytes);
    copy[bytes] = 0;
    cJSON *v = parse_terminated(c, name, copy, bytes);
    at_free(copy);
    return v;
}

cJSON *at_json_read(at_ctx *c, const char *path) {
    size_t bytes;
    char *text = at_read_file(c, path, JSON_BYTES_MAX, &bytes);
    if (!text) return NULL;
    cJSON *v = parse_terminated(c, path, text, bytes);
    at_free(text);
    return v;
}

/* ---- getters ------------------------------------------------------------------------------ */

static const char *kind(const cJSON *v) {
    if (!v) return "nothing";
    if (cJSON_IsString(v)) return "a string";
    if (cJSON_IsNumber(v)) return "a number";
    if (cJSON_IsBool(v)) return "a boolean";
    if (cJSON_IsNull(v)) return "null";
    return cJSON_IsArray(v) ? "an array" : "an object";
}

static at_status wrong(at_ctx *c, const char *name, const char *key, const char *expected,
                       const cJSON *found) {
    return at_error(c, AT_FORMAT, "%s: field \"%s\": expected %s, found %s", name, key, expected,
                    kind(found));
}

static const cJSON *field(const cJSON *o, const char *key) {
    return cJSON_IsObject(o) ? cJSON_GetObjectItemCaseSensitive(o, key) : NULL;
}

at_status at_json_string(at_ctx *c, const char *name, const cJSON *o, const char *key,
                         const char **out) {
    const cJSON *v = field(o, key);
    if (!cJSON_IsString(v) || !v->valuestring) return wrong(c, name, key, "a string", v);
    *out = v->valuestring;
    return AT_OK;
}

at_status at_json_int(at_ctx *c, const char *name, const cJSON *o, const char *key, int64_t lo,
                      int64_t hi, int64_t *out) {
    const cJSON *v = field(o, key);
    if (!cJSON_IsNumber(v)) return wrong(c, name, key, "a whole number", v);
    const double d = v->valuedouble;
    if (!(fabs(d) <= 0x1p53) || d != floor(d)) /* beyond 2^53 a double no longer counts */
        return at_error(c, AT_FORMAT, "%s: field \"%s\": expected a whole number, found %.17g",
                        name, key, d);
    const int64_t i = (int64_t)d;
    if (i < lo || i > hi)
        return at_error(c, AT_FORMAT,
                        "%s: field \"%s\": expected a whole number in [%lld, %lld], found %lld",
                        name, key, (long long)lo, (long long)hi, (long long)i);
    *out = i;
    return AT_OK;
}

at_status at_json_number(at_ctx *c, const char *name, const cJSON *o, const char *key,
                         double *out) {
    const cJSON *v = field(o, key);
    if (!cJSON_IsNumber(v)) return wrong(c, name, key, "a number", v);
    if (!isfinite(v->valuedouble))
        return at_error(c, AT_FORMAT, "%s: field \"%s\": expected a finite number, found %g", name,
                        key, v->valuedouble);
    *out = v->valuedouble;
    return AT_OK;
}

at_status at_json_object(at_ctx *c, const char *name, const cJSON *o, const char *key,
                         const cJSON **out) {
    const cJSON *v = field(o, key);
    if (!cJSON_IsObject(v)) return wrong(c, name, key, "an object", v);
    *out = v;
    return AT_OK;
}

at_status at_json_array(at_ctx *c, const char *name, const cJSON *o, const char *key,
                        const cJSON **out) {
    const cJSON *v = field(o, key);
    if (!cJSON_IsArray(v)) return wrong(c, name, key, "an array", v);
    *out = v;
    return AT_OK;
}
