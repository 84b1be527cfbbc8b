/* ctx.c - last error, allocator with injected failures, log. */
#include "base/ctx.h"
#include "base/cpu.h"
#include "base/escape.h"
#include "base/huge.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *at_status_text(at_status s) {
    switch (s) {
#define X(name, code, text) \
    case AT_##name: return text;
        AT_STATUS_MAP(X)
#undef X
    }
    return "unknown status";
}

void at_ctx_init(at_ctx *c, int threads) {
    *c = (at_ctx){.threads = threads > 0 ? threads : at_cpu_count(), .cpu = at_cpu_features()};
}

at_status at_error(at_ctx *c, at_status s, const char *fmt, ...) {
    char line[AT_MESSAGE_MAX]; /* arguments may point into c->message */
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(line, sizeof line, fmt, ap);
    va_end(ap);
    (void)at_printable(line, strlen(line), c->message, sizeof c->message);
    c->status = s;
    return s;
}

at_status at_error_in(at_ctx *c, const char *where) {
    char line[AT_MESSAGE_MAX];
    (void)snprintf(line, sizeof line, "%.400s: %.600s", where, c->message);
    (void)at_printable(line, strlen(line), c->message, sizeof c->message);
    return c->status;
}

void at_error_clear(at_ctx *c) {
    c->status = AT_OK;
    c->message[0] = 0;
}

void at_log(at_ctx *c, at_log_level level, const char *fmt, ...) {
    if (!c->log) return;
    char raw[AT_MESSAGE_MAX], line[AT_MESSAGE_MAX];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(raw, sizeof raw, fmt, ap);
    va_end(ap);
    (void)at_printable(raw, strlen(raw), line, sizeof line);
    c->log(c->log_user, level, line);
}

bool at_interrupted(const at_ctx *c) { return c->interrupt && atomic_load(c->interrupt); }

static bool allowed(at_ctx *c) { return c->fail_after <= 0 || --c->fail_after > 0; }

static void *checked(at_ctx *c, void *p, size_t bytes) {
    if (!p) (void)at_error(c, AT_OOM, "cannot allocate %zu bytes", bytes);
    return p;
}

void *at_malloc(at_ctx *c, size_t bytes) {
    void *p = allowed(c) ? malloc(bytes ? bytes : 1) : NULL;
    at_huge_pages(p, bytes);
    return checked(c, p, bytes);
}

void *at_calloc(at_ctx *c, size_t count, size_t size) {
    if (size && count > SIZE_MAX / size) return checked(c, NULL, SIZE_MAX);
    const size_t bytes = count * size;
    void *p = allowed(c) ? calloc(1, bytes ? bytes : 1) : NULL;
    at_huge_pages(p, bytes);
    return checked(c, p, bytes);
}

void *at_realloc(at_ctx *c, void *p, size_t bytes) {
    return checked(c, allowed(c) ? realloc(p, bytes ? bytes : 1) : NULL, bytes);
}

char *at_strdup(at_ctx *c, const char *s) {
    const size_t n = strlen(s) + 1;
    char *p = at_malloc(c, n);
    if (p) memcpy(p, s, n);
    return p;
}

void at_free(void *p) { free(p); }

bool at_reserve(at_ctx *c, void *items, int64_t *cap, int64_t need, size_t size) {
    if (need <= *cap) return true;
    int64_t grown = *cap > 8 ? *cap + *cap / 2 : 16;
    if (grown < need) grown = need;
    if ((uint64_t)grown > SIZE_MAX / size) return checked(c, NULL, SIZE_MAX) != NULL;
    void **slot = items;
    void *p = at_realloc(c, *slot, (size_t)grown * size);
    if (!p) return false;
    *slot = p;
    *cap = grown;
    return true;
}
