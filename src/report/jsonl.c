/* jsonl.c - lines of a mapped file. */
#include "report/jsonl.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

at_status at_jsonl_open(at_ctx *c, const char *path, at_jsonl *out) {
    *out = (at_jsonl){.path = path};
    return at_map_open(c, path, &out->map);
}

void at_jsonl_close(at_jsonl *j) { at_map_close(&j->map); }

static bool blank(const char *s, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (!strchr(" \t\r", s[i])) return false;
    return true;
}

at_status at_jsonl_next(at_ctx *c, at_jsonl *j, cJSON **out) {
    *out = NULL;
    while (j->at < j->map.bytes) {
        const char *begin = (const char *)j->map.data + j->at;
        const size_t left = j->map.bytes - j->at;
        const char *newline = memchr(begin, '\n', left);
        const size_t n = newline ? (size_t)(newline - begin) : left;
        j->at += n + (newline ? 1 : 0);
        j->line++;
        if (blank(begin, n)) continue;
        char name[512];
        (void)snprintf(name, sizeof name, "%.460s:%lld", j->path, (long long)j->line);
        *out = at_json_parse(c, name, begin, n);
        if (cJSON_IsObject(*out)) return AT_OK;
        if (*out) {
            cJSON_Delete(*out);
            *out = NULL;
            return at_error(c, AT_FORMAT, "%s: expected an object", name);
        }
        if (newline || c->status != AT_FORMAT) return c->status;
        at_error_clear(c);
    }
    return AT_OK;
}

bool at_jsonl_number(const cJSON *object, const char *key, double *out) {
    const cJSON *v = cJSON_GetObjectItemCaseSensitive(object, key);
    if (!cJSON_IsNumber(v) || !isfinite(v->valuedouble)) return false;
    *out = v->valuedouble;
    return true;
}

const char *at_jsonl_string(const cJSON *object, const char *key) {
    return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, key));
}
