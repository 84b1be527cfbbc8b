/* utf8.c - see utf8.h; the tables of Unicode are utf8proc's. */
#include "data/utf8.h"
#include <string.h>
#include <utf8proc.h>

at_status at_bytes_add(at_ctx *c, at_bytes *t, const char *s, size_t bytes) {
    if (bytes > (size_t)INT64_MAX / 4 ||
        !at_reserve(c, &t->p, &t->cap, t->n + (int64_t)bytes + 1, 1))
        return c->status ? c->status : at_error(c, AT_OOM, "a text of %zu bytes", bytes);
    if (bytes) memcpy(t->p + t->n, s, bytes);
    t->n += (int64_t)bytes;
    return AT_OK;
}

at_status at_bytes_char(at_ctx *c, at_bytes *t, char byte) { return at_bytes_add(c, t, &byte, 1); }

at_status at_bytes_rune(at_ctx *c, at_bytes *t, uint32_t rune) {
    if (rune > 0x10FFFF || (rune >= 0xD800 && rune <= 0xDFFF)) rune = 0xFFFD;
    utf8proc_uint8_t b[4];
    const utf8proc_ssize_t n = utf8proc_encode_char((utf8proc_int32_t)rune, b);
    return at_bytes_add(c, t, (const char *)b, (size_t)n);
}

void at_bytes_free(at_bytes *t) {
    at_free(t->p);
    *t = (at_bytes){0};
}

int64_t at_utf8_error(const char *s, size_t bytes) {
    const utf8proc_uint8_t *p = (const utf8proc_uint8_t *)s;
    for (size_t i = 0; i < bytes;) {
        if (p[i] < 0x80) { /* nearly always */
            if (!p[i]) return (int64_t)i;
            i++;
            continue;
        }
        utf8proc_int32_t rune;
        const utf8proc_ssize_t n = utf8proc_iterate(p + i, (utf8proc_ssize_t)(bytes - i), &rune);
        if (n <= 0) return (int64_t)i;
        i += (size_t)n;
    }
    return -1;
}

int64_t at_utf8_count(const char *s, size_t bytes) {
    int64_t n = 0;
    for (size_t i = 0; i < bytes; i++) n += ((unsigned char)s[i] & 0xC0) != 0x80;
    return n;
}

static bool is_blank(char ch) { return ch == ' ' || (ch >= '\t' && ch <= '\r'); }

int64_t at_utf8_words(const char *s, size_t bytes) {
    int64_t n = bytes > 0 && !is_blank(s[0]);
    for (size_t i = 1; i < bytes; i++) n += is_blank(s[i - 1]) && !is_blank(s[i]);
    return n;
}

size_t at_utf8_cut(const char *s, size_t bytes, size_t max) {
    if (bytes <= max) return bytes;
    size_t n = max;
    while (n > 0 && ((unsigned char)s[n] & 0xC0) == 0x80) n--;
    return n;
}

static bool is_letter(utf8proc_int32_t rune) {
    switch (utf8proc_category(rune)) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_MC:
    case UTF8PROC_CATEGORY_ZS: return true;
    default: return false;
    }
}

int64_t at_utf8_letters(const char *s, size_t bytes) {
    const utf8proc_uint8_t *p = (const utf8proc_uint8_t *)s;
    int64_t letters = 0;
    for (size_t i = 0; i < bytes;) {
        if (p[i] < 0x80) {
            const unsigned char low = p[i] | 0x20;
            letters += (low >= 'a' && low <= 'z') || p[i] == ' ' || p[i] == '\n' || p[i] == '\t';
            i++;
            continue;
        }
        utf8proc_int32_t rune;
        const utf8proc_ssize_t n = utf8proc_iterate(p + i, (utf8proc_ssize_t)(bytes - i), &rune);
        if (n <= 0) return letters;
        letters += is_letter(rune);
        i += (size_t)n;
    }
    return letters;
}
