/* text.c - a string builder that remembers its first failure. */
#include "base/text.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <utf8proc.h>

void at_text_init(at_text *t, at_ctx *c, size_t max) {
    *t = (at_text){.ctx = c, .max = max ? max : (size_t)1 << 30};
}

/* Room for n more bytes and the NUL. */
static bool room(at_text *t, size_t n) {
    if (t->failed) return false;
    if (n > t->max - t->n) {
        t->failed =
            at_error(t->ctx, AT_UNSUPPORTED,
                     "text: %zu bytes after %zu are more than the limit of %zu", n, t->n, t->max);
        return false;
    }
    if (!at_reserve(t->ctx, &t->s, &t->cap, (int64_t)(t->n + n + 1), 1)) t->failed = AT_OOM;
    return !t->failed;
}

void at_text_bytes(at_text *t, const char *s, size_t n) {
    if (!room(t, n)) return;
    if (n) memcpy(t->s + t->n, s, n);
    t->n += n;
    t->s[t->n] = 0;
}

void at_text_utf8(at_text *t, const char *s, size_t n) {
    const utf8proc_uint8_t *u = (const utf8proc_uint8_t *)s;
    for (size_t i = 0, whole = 0; i < n; i += whole) { /* the longest valid stretch at a time */
        utf8proc_int32_t point;
        utf8proc_ssize_t step = 0;
        for (whole = 0; i + whole < n && s[i + whole]; whole += (size_t)step)
            if ((step = utf8proc_iterate(u + i + whole, (utf8proc_ssize_t)(n - i - whole),
                                         &point)) <= 0)
                break;
        at_text_bytes(t, s + i, whole);
        if (i + whole == n) break;
        at_text_add(t, "\xEF\xBF\xBD");
        whole++;
    }
}

void at_text_add(at_text *t, const char *s) { at_text_bytes(t, s, strlen(s)); }

void at_textf(at_text *t, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    const int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    if (n < 0 || !room(t, (size_t)n)) return;
    va_start(ap, fmt);
    (void)vsnprintf(t->s + t->n, (size_t)n + 1, fmt, ap);
    va_end(ap);
    t->n += (size_t)n;
}

char *at_text_take(at_text *t) {
    at_text_bytes(t, "", 0);
    char *s = t->failed ? NULL : t->s;
    if (s) t->s = NULL;
    at_text_close(t);
    return s;
}

void at_text_close(at_text *t) {
    at_free(t->s);
    t->s = NULL;
    t->n = 0;
    t->cap = 0;
}
