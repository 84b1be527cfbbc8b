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

size_t at_printable(const char *text, size_t bytes, char *out, size_t room) {
    static const char digit[] = "0123456789abcdef";
    const utf8proc_uint8_t *u = (const utf8proc_uint8_t *)text;
    size_t n = 0;
    for (size_t i = 0, step; i < bytes; i += step) {
        utf8proc_int32_t ch;
        const utf8proc_ssize_t k = utf8proc_iterate(u + i, (utf8proc_ssize_t)(bytes - i), &ch);
        step = k > 0 ? (size_t)k : 1;
        if (k <= 0) ch = u[i];
        const bool control = ch < 0x20 ? ch != '\n' && ch != '\t' : ch >= 0x7F && ch < 0xA0;
        if (k > 0 && !control) {
            if (n + step >= room) break;
            memcpy(out + n, text + i, step);
            n += step;
        } else {
            if (n + 4 >= room) break;
            memcpy(out + n, (const char[]){'\\', 'x', digit[ch >> 4], digit[ch & 15]}, 4);
            n += 4;
        }
    }
    if (room) out[n] = 0;
    return n;
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
