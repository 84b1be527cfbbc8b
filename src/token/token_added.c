/* token_added.c - candidates are found by first byte and length, then in a hash table: fast for two
   tokens and for thousands. */
#include "token/token_added.h"
#include "token/token_bytes.h"
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

enum { SPELLING_MAX = 4096 };

at_status at_finder_add(at_ctx *c, at_finder *f, const char *spelling, size_t bytes,
                        int32_t index) {
    if (bytes > SPELLING_MAX)
        return at_error(c, AT_UNSUPPORTED, "added token `%.40s...` is longer than %d bytes",
                        spelling, SPELLING_MAX);
    return at_words_add(c, &f->set, spelling, bytes, index, NULL) < 0 ? c->status : AT_OK;
}

static int by_byte_then_longest(const void *a, const void *b) {
    const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    if (x >> 16 != y >> 16) return x >> 16 < y >> 16 ? -1 : 1;
    return x == y ? 0 : x > y ? -1 : 1;
}

at_status at_finder_build(at_ctx *c, at_finder *f, const at_added *token) {
    f->token = token;
    f->len = at_malloc(c, (size_t)f->set.n * sizeof *f->len);
    if (!f->len) return c->status;
    for (int64_t i = 0; i < f->set.n; i++) { /* first byte and length in one number, to sort */
        const unsigned char first = (unsigned char)at_words_text(&f->set, i)[0];
        f->len[i] = (uint32_t)first << 16 | f->set.item[i].bytes;
        f->ordinary += !token[f->set.item[i].value].special;
    }
    if (f->set.n) qsort(f->len, (size_t)f->set.n, sizeof *f->len, by_byte_then_longest);
    uint32_t kept = 0, byte = 0;
    for (int64_t i = 0; i < f->set.n; i++) {
        if (i > 0 && f->len[i] == f->len[i - 1]) continue;
        while (byte <= f->len[i] >> 16) f->begin[byte++] = kept;
        f->len[kept++] = f->len[i];
    }
    while (byte <= 256) f->begin[byte++] = kept;
    for (uint32_t i = 0; i < kept; i++) f->len[i] &= 0xFFFF;
    return AT_OK;
}

/* Index of the longest token that begins at text, or -1. */
static int64_t longest(const at_finder *f, const char *text, size_t left) {
    const unsigned char first = (unsigned char)text[0];
    for (uint32_t i = f->begin[first]; i < f->begin[first + 1]; i++) {
        if (f->len[i] > left) continue;
        const int64_t k = at_words_find(&f->set, text, f->len[i]);
        if (k >= 0) return k;
    }
    return -1;
}

/* ---- characters beside a token ---- */

/* The character before text[at], where the text is valid; 0 at the start or in broken text. */
static uint32_t char_before(const char *text, size_t at, size_t *bytes) {
    size_t n = 1, have;
    while (n < 4 && n < at && ((unsigned char)text[at - n] & 0xC0) == 0x80) n++;
    *bytes = 0;
    if (!at || at_utf8_valid(text + at - n, n) != n) return 0;
    *bytes = n;
    return at_utf8_get(text + at - n, &have);
}

static uint32_t char_after(const char *text, size_t bytes, size_t at, size_t *n) {
    const size_t left = bytes - at < 4 ? bytes - at : 4;
    *n = 0;
    for (size_t k = 1; k <= left; k++)
        if (at_utf8_valid(text + at, k) == k) return at_utf8_get(text + at, n);
    return 0;
}

/* What \w matches (Unicode TS 18, annex C): alphabetic characters, marks, decimal digits, connector
   punctuation, the two joiners.  Letter-like numbers (Roman numerals) count as alphabetic, other
   numbers (a half, a superscript) do not; of symbols, letters in circles or squares do. */
static bool is_word(uint32_t ch) {
    const utf8proc_category_t g = utf8proc_category((utf8proc_int32_t)ch);
    if ((g >= UTF8PROC_CATEGORY_LU && g <= UTF8PROC_CATEGORY_NL) || g == UTF8PROC_CATEGORY_PC)
        return true;
    if (g == UTF8PROC_CATEGORY_SO)
        return (ch >= 0x24B6 && ch <= 0x24E9) || (ch >= 0x1F130 && ch <= 0x1F149) ||
               (ch >= 0x1F150 && ch <= 0x1F169) || (ch >= 0x1F170 && ch <= 0x1F189);
    return ch == 0x200C || ch == 0x200D;
}

static bool is_whole_word(const char *text, size_t bytes, size_t start, size_t end) {
    size_t n;
    uint32_t ch = char_before(text, start, &n);
    if (n && is_word(ch)) return false;
    ch = char_after(text, bytes, end, &n);
    return !n || !is_word(ch);
}

bool at_finder_next(const at_finder *f, const char *text, size_t bytes, bool specials,
                    at_found *out) {
    if (!f->set.n || (!specials && !f->ordinary)) return false;
    for (size_t i = out->next; i < bytes;) {
        const int64_t k = longest(f, text + i, bytes - i);
        if (k < 0) {
            i++;
            continue;
        }
        const at_added *t = &f->token[f->set.item[k].value];
        size_t start = i, end = i + f->set.item[k].bytes, n;
        i = end;
        if ((t->special && !specials) ||
            (t->single_word && !is_whole_word(text, bytes, start, end)))
            continue;
        while (t->lstrip && start > out->end && at_is_space(char_before(text, start, &n)) && n)
            start -= n;
        while (t->rstrip && end < bytes && at_is_space(char_after(text, bytes, end, &n)) && n)
            end += n;
        if (t->lstrip && start < out->end) start = out->end;
        *out = (at_found){start, end, i, t->id};
        return true;
    }
    return false;
}

void at_finder_close(at_finder *f) {
    at_words_close(&f->set);
    at_free(f->len);
    *f = (at_finder){0};
}
