/* token_symbols.c - see token_train.h: what merges are learnt from, of both kinds. */
#include "token/token_bytes.h"
#include "token/token_learn.h"
#include "token/token_train.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

enum { CHARS = 0x110000, MARK = 0x2581 };

void at_symbols_close(at_symbols *s) {
    at_words_close(&s->spelling);
    at_words_close(&s->no);
    at_free(s->cell);
    at_free(s->start);
    at_free(s->count);
    *s = (at_symbols){0};
}

/* Room for n more cells. */
static bool room(at_ctx *c, at_symbols *s, int64_t n) {
    return at_reserve(c, &s->cell, &s->cells_cap, s->cells + n, sizeof *s->cell);
}

/* Ends the chunk before, and begins one; there is room for a cell. */
static bool chunk(at_ctx *c, at_symbols *s, int64_t count) {
    if (s->chunks && s->start[s->chunks - 1] == s->cells) { /* that one is empty */
        s->count[s->chunks - 1] = count;
        return true;
    }
    if (!at_reserve(c, &s->start, &s->start_cap, s->chunks + 1, sizeof *s->start) ||
        !at_reserve(c, &s->count, &s->count_cap, s->chunks + 1, sizeof *s->count))
        return false;
    s->cell[s->cells++] = AT_CELL_BREAK;
    s->start[s->chunks] = s->cells;
    s->count[s->chunks++] = count;
    return true;
}

/* ---- bytes ---- */

at_status at_symbols_bytes(at_ctx *c, const at_words *piece, const int64_t *count, at_symbols *s) {
    int32_t byte_id[256];
    at_train_byte_ids(byte_id);
    s->first = AT_TRAIN_FIRST;
    for (int b = 0; b < 256; b++) { /* in the order of their ids */
        const char one = (char)at_train_byte(b);
        if (at_words_add(c, &s->spelling, &one, 1, 0, NULL) < 0) return c->status;
    }
    for (int64_t i = 0; i < piece->n; i++) {
        const char *text = at_words_text(piece, i);
        const uint32_t n = piece->item[i].bytes;
        if (!room(c, s, (int64_t)n + 2) || !chunk(c, s, count[i])) return c->status;
        for (uint32_t k = 0; k < n; k++) s->cell[s->cells++] = byte_id[(unsigned char)text[k]];
    }
    if (!room(c, s, 1)) return c->status;
    s->cell[s->cells++] = AT_CELL_BREAK;
    return AT_OK;
}

/* ---- characters ---- */

typedef struct letter {
    uint32_t ch;
    int64_t count;
} letter;

static int by_count(const void *a, const void *b) {
    const letter *x = a, *y = b;
    if (x->count != y->count) return x->count > y->count ? -1 : 1;
    return (x->ch > y->ch) - (x->ch < y->ch);
}

static int by_char(const void *a, const void *b) {
    const letter *x = a, *y = b;
    return (x->ch > y->ch) - (x->ch < y->ch);
}

/* What a character is among the symbols: 0 if nothing, for U+2581 stands for spaces and JSON holds
   no NUL. */
static uint32_t symbol_of(uint32_t ch) { return ch == MARK ? 0 : ch == ' ' ? MARK : ch; }

/* Every character with its count, the most frequent first; *total of them in the text. */
static letter *letters(at_ctx *c, const at_words *piece, const int64_t *count, int64_t *n,
                       int64_t *total) {
    int64_t *seen = at_calloc(c, CHARS, sizeof *seen), cap = 0;
    letter *list = NULL;
    *n = *total = 0;
    if (!seen) return NULL;
    for (int64_t i = 0; i < piece->n; i++) {
        const char *text = at_words_text(piece, i);
        size_t step;
        for (size_t k = 0; k < piece->item[i].bytes; k += step)
            seen[symbol_of(at_utf8_get(text + k, &step))] += count[i];
    }
    seen[MARK] += !seen[MARK]; /* every text begins with one */
    for (uint32_t ch = 1; ch < CHARS; ch++) {
        if (!seen[ch]) continue;
        if (!at_reserve(c, &list, &cap, *n + 1, sizeof *list)) {
            at_free(list);
            at_free(seen);
            return NULL;
        }
        list[(*n)++] = (letter){ch, seen[ch]};
        *total += seen[ch];
    }
    qsort(list, (size_t)*n, sizeof *list, by_count);
    at_free(seen);
    return list;
}

static bool spell(at_ctx *c, at_words *w, uint32_t ch) {
    char text[4];
    return at_words_add(c, w, text, at_utf8_put(text, ch), 0, NULL) >= 0;
}

/* Writes the ids of the alphabet to id, 0 for other characters, and its spellings. */
static at_status alphabet(at_ctx *c, const at_bpe_options *o, const at_words *piece,
                          const int64_t *count, at_symbols *s, int32_t *id) {
    int64_t n, total, covered = 0, kept = 0;
    letter *list = letters(c, piece, count, &n, &total);
    if (!list) return c->status;
    const int64_t room_for =
        (o->vocab - AT_BPE_SP_FIRST) / 2 > 1 ? (o->vocab - AT_BPE_SP_FIRST) / 2 : 1;
    while (kept < n && kept < room_for && (double)covered < o->coverage * (double)total)
        covered += list[kept++].count;
    int64_t mark = 0;
    while (list[mark].ch != MARK) mark++;
    if (mark >= kept) list[kept < room_for ? kept++ : kept - 1] = list[mark];
    qsort(list, (size_t)kept, sizeof *list, by_char);
    at_status st = AT_OK;
    for (int64_t i = 0; i < kept && !st; i++) {
        id[list[i].ch] = s->first + (int32_t)i;
        if (!spell(c, &s->spelling, list[i].ch)) st = c->status;
    }
    at_free(list);
    return st;
}

/* A merge that made the spelling of a special token or of a byte would be taken for that. */
static at_status reserve_spellings(at_ctx *c, at_words *no) {
    for (int i = 0; i < AT_TRAIN_SP_SPECIALS; i++)
        if (at_words_add(c, no, at_train_specials[i], strlen(at_train_specials[i]), 0, NULL) < 0)
            return c->status;
    for (int b = 0; b < 256; b++) {
        char text[8];
        (void)snprintf(text, sizeof text, "<0x%02X>", (unsigned)b);
        if (at_words_add(c, no, text, 6, 0, NULL) < 0) return c->status;
    }
    return AT_OK;
}

static bool is_digit(uint32_t ch) {
    return ch < 128 ? ch >= '0' && ch <= '9'
                    : utf8proc_category((utf8proc_int32_t)ch) == UTF8PROC_CATEGORY_ND;
}

static at_status put_piece(at_ctx *c, const at_bpe_options *o, const char *text, size_t bytes,
                           int64_t count, const int32_t *id, at_symbols *s) {
    if (!room(c, s, 2 * (int64_t)bytes + 2) || !chunk(c, s, count)) return c->status;
    bool space = false;
    for (size_t i = 0, step; i < bytes; i += step) {
        const uint32_t ch = at_utf8_get(text + i, &step);
        const int32_t symbol = id[symbol_of(ch)];
        const bool apart = !symbol || (o->split_digits && is_digit(ch));
        const bool again = o->single_spaces && space && ch == ' ';
        if ((apart || again) && !chunk(c, s, count)) return c->status;
        if (!apart) s->cell[s->cells++] = symbol;
        space = ch == ' ';
    }
    return AT_OK;
}

at_status at_symbols_chars(at_ctx *c, const at_bpe_options *o, const at_words *piece,
                           const int64_t *count, at_symbols *s) {
    s->first = AT_BPE_SP_FIRST;
    int32_t *id = at_calloc(c, CHARS, sizeof *id);
    at_status st = id ? alphabet(c, o, piece, count, s, id) : c->status;
    if (!st) st = reserve_spellings(c, &s->no);
    for (int64_t i = 0; i < piece->n && !st; i++)
        st = put_piece(c, o, at_words_text(piece, i), piece->item[i].bytes, count[i], id, s);
    at_free(id);
    if (st || !room(c, s, 1)) return c->status;
    s->cell[s->cells++] = AT_CELL_BREAK;
    return AT_OK;
}
