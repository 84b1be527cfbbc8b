/*
 * token_train.c - learning merges from counted pieces.
 *
 * Pieces are counted as they are fed.  At the end every distinct piece is a row of symbols, and the
 * counts of neighbouring pairs are updated as merges change the rows.  A heap gives the next pair;
 * its entries may be out of date, so one whose count is too high is put back with the true count.
 * Ties go to the lower left id, then to the lower right one, so that the result does not depend on
 * the order of the text.
 */
#include "token/token_train.h"
#include "token/token_bytes.h"
#include "token/token_impl.h"
#include <string.h>

enum { SPECIALS = 1, FIRST_BYTE = SPECIALS, FIRST_MERGE = SPECIALS + 256, BLOCK = 1 << 20 };

struct at_bpe_trainer {
    at_bpe_options o;
    at_split split;
    at_splitter splitter;
    at_words piece; /* value: index in count (the same) */
    int64_t *count, count_cap;
};

at_status at_bpe_trainer_open(at_ctx *c, const at_bpe_options *o, at_bpe_trainer **out) {
    *out = NULL;
    if (o->vocab < FIRST_MERGE || o->vocab > AT_TOKEN_IDS_MAX)
        return at_error(c, AT_ARG, "vocabulary of %lld: expected %d (256 bytes and %s) to %d",
                        (long long)o->vocab, FIRST_MERGE, AT_TRAIN_SPECIAL, AT_TOKEN_IDS_MAX);
    at_bpe_trainer *t = at_calloc(c, 1, sizeof *t);
    if (!t) return c->status;
    t->o = *o;
    if (t->o.min_count <= 0) t->o.min_count = 2;
    if (t->o.max_piece <= 0) t->o.max_piece = 64;
    const at_status st = at_split_open(c, "trainer", at_gpt2_pattern, false, &t->split);
    if (st) {
        at_free(t);
        return st;
    }
    *out = t;
    return AT_OK;
}

void at_bpe_trainer_close(at_bpe_trainer *t) {
    if (!t) return;
    at_split_close(&t->split);
    at_splitter_close(&t->splitter);
    at_words_close(&t->piece);
    at_free(t->count);
    at_free(t);
}

/* ---- counting ---- */

static at_status count_piece(at_ctx *c, at_bpe_trainer *t, const char *s, size_t n) {
    bool fresh;
    const int64_t i = at_words_add(c, &t->piece, s, n, 0, &fresh);
    if (i < 0 || !at_reserve(c, &t->count, &t->count_cap, i + 1, sizeof *t->count))
        return c->status;
    t->count[i] = fresh ? 1 : t->count[i] + 1;
    return AT_OK;
}

/* Pieces longer than max_piece are cut between characters. */
static at_status count_span(at_ctx *c, at_bpe_trainer *t, const char *s, size_t n) {
    const size_t max = (size_t)t->o.max_piece;
    while (n > max) {
        size_t k = max;
        while (k > 1 && ((unsigned char)s[k] & 0xC0) == 0x80) k--;
        if (((unsigned char)s[k] & 0xC0) == 0x80) k = max; /* the character is longer than max */
        const at_status st = count_piece(c, t, s, k);
        if (st) return st;
        s += k;
        n -= k;
    }
    return n ? count_piece(c, t, s, n) : AT_OK;
}

/* Bytes of the next block; it ends at a newline if it can, so that few pieces are cut in two. */
static size_t block(const char *text, size_t bytes) {
    if (bytes <= BLOCK) return bytes;
    size_t n = BLOCK;
    while (n > BLOCK / 2 && text[n - 1] != '\n') n--;
    if (n > BLOCK / 2) return n;
    for (n = BLOCK; n > BLOCK - 4 && ((unsigned char)text[n] & 0xC0) == 0x80;) n--;
    return n;
}

static at_status feed_block(at_ctx *c, at_bpe_trainer *t, const char *text, size_t bytes) {
    for (size_t i = 0; i < bytes;) {
        const size_t n = at_utf8_valid(text + i, bytes - i);
        at_status st = at_split_text(c, &t->split, 1, &t->splitter, text + i, n);
        for (int64_t k = 0; k < t->splitter.n && !st; k++) {
            const at_span s = t->splitter.span[k];
            st = count_span(c, t, text + i + s.start, s.bytes);
        }
        if (st) return st;
        i += n;
        i += at_utf8_invalid(text + i, bytes - i); /* encoded one by one: nothing to merge */
    }
    return AT_OK;
}

at_status at_bpe_trainer_feed(at_ctx *c, at_bpe_trainer *t, const char *text, size_t bytes) {
    at_status st = AT_OK;
    for (size_t i = 0, n; i < bytes && !st; i += n) {
        n = block(text + i, bytes - i);
        st = feed_block(c, t, text + i, n);
    }
    return st;
}

/* ---- merging ---- */

typedef struct pair_info {
    int32_t left, right;
    int64_t count, queued; /* now; in its newest heap entry    */
    int32_t *row;          /* rows that had it, maybe no longer */
    int64_t rows, cap;
} pair_info;

typedef struct entry {
    int64_t count;
    int32_t left, right, pair;
} entry;

typedef struct state {
    at_ctx *c;
    const at_bpe_trainer *t;
    int32_t *symbol; /* all rows, one behind the other */
    int64_t *start;  /* [rows + 1] where they begin    */
    int32_t *length; /* symbols left in a row          */
    at_pairs index;  /* rank: number in pair           */
    pair_info *pair;
    int64_t pairs, pairs_cap;
    int32_t *touched; /* pairs that a merge made more frequent */
    int64_t n_touched, touched_cap;
    entry *heap;
    int64_t heap_n, heap_cap;
    at_words spelling; /* bytes of a token -> id - FIRST_BYTE, its index */
    at_ids merges;     /* left, right, left, right, ...     */
    char *buffer;
    int64_t buffer_cap;
} state;

/* Is a to be merged before b? */
static bool before(const entry *a, const entry *b) {
    if (a->count != b->count) return a->count > b->count;
    return a->left != b->left ? a->left < b->left : a->right < b->right;
}

static bool heap_push(state *s, int32_t pair) {
    if (!at_reserve(s->c, &s->heap, &s->heap_cap, s->heap_n + 1, sizeof *s->heap)) return false;
    pair_info *p = &s->pair[pair];
    p->queued = p->count;
    const entry x = {p->count, p->left, p->right, pair};
    int64_t i = s->heap_n++;
    for (int64_t up; i > 0 && before(&x, &s->heap[up = (i - 1) / 2]); i = up)
        s->heap[i] = s->heap[up];
    s->heap[i] = x;
    return true;
}

static entry heap_pop(state *s) {
    const entry top = s->heap[0], last = s->heap[--s->heap_n];
    int64_t i = 0;
    for (int64_t down; (down = 2 * i + 1) < s->heap_n; i = down) {
        if (down + 1 < s->heap_n && before(&s->heap[down + 1], &s->heap[down])) down++;
        if (!before(&s->heap[down], &last)) break;
        s->heap[i] = s->heap[down];
    }
    s->heap[i] = last;
    return top;
}

/* Count the pairs of a row: sign +1 adds them, -1 takes them away. */
static bool count_row(state *s, int32_t row, int sign) {
    const int32_t *x = s->symbol + s->start[row];
    const int64_t weight = s->t->count[row];
    for (int32_t i = 0; i + 1 < s->length[row]; i++) {
        at_pair *slot = at_pairs_add(s->c, &s->index, at_pair_key(x[i], x[i + 1]));
        if (!slot) return false;
        if (slot->rank < 0) {
            if (!at_reserve(s->c, &s->pair, &s->pairs_cap, s->pairs + 1, sizeof *s->pair))
                return false;
            s->pair[s->pairs] = (pair_info){.left = x[i], .right = x[i + 1]};
            slot->rank = (int32_t)s->pairs++;
        }
        pair_info *p = &s->pair[slot->rank];
        p->count += sign * weight;
        if (sign < 0) continue;
        if (!p->rows || p->row[p->rows - 1] != row) {
            if (!at_reserve(s->c, &p->row, &p->cap, p->rows + 1, sizeof *p->row)) return false;
            p->row[p->rows++] = row;
        }
        if (!at_reserve(s->c, &s->touched, &s->touched_cap, s->n_touched + 1, sizeof *s->touched))
            return false;
        s->touched[s->n_touched++] = slot->rank;
    }
    return true;
}

/* Adds heap entries for pairs that are more frequent than their newest entry says. */
static bool queue_touched(state *s) {
    for (int64_t i = 0; i < s->n_touched; i++) {
        const pair_info *p = &s->pair[s->touched[i]];
        if (p->count > p->queued && !heap_push(s, s->touched[i])) return false;
    }
    s->n_touched = 0;
    return true;
}

static bool begin(state *s) {
    const at_words *w = &s->t->piece;
    int32_t byte_id[256];
    at_train_byte_ids(byte_id);
    int64_t total = 0;
    for (int64_t i = 0; i < w->n; i++) total += w->item[i].bytes;
    s->symbol = at_malloc(s->c, (size_t)total * sizeof *s->symbol);
    s->start = at_malloc(s->c, (size_t)(w->n + 1) * sizeof *s->start);
    s->length = at_malloc(s->c, (size_t)w->n * sizeof *s->length);
    if (!s->symbol || !s->start || !s->length) return false;
    for (int64_t i = 0, k = 0; i < w->n; i++) {
        const char *text = at_words_text(w, i);
        s->start[i] = k;
        s->length[i] = (int32_t)w->item[i].bytes;
        for (uint32_t b = 0; b < w->item[i].bytes; b++)
            s->symbol[k++] = byte_id[(unsigned char)text[b]];
        if (!count_row(s, (int32_t)i, 1)) return false;
        s->n_touched = 0; /* all pairs are queued at the end */
    }
    for (int64_t i = 0; i < s->pairs; i++)
        if (!heap_push(s, (int32_t)i)) return false;
    for (int b = 0; b < 256; b++) { /* in the order of their ids */
        const char one = (char)at_train_byte(b);
        if (at_words_add(s->c, &s->spelling, &one, 1, 0, NULL) < 0) return false;
    }
    return true;
}

/* The token that left and right make; two ways to the same bytes give the same token. */
static int32_t make_token(state *s, int32_t left, int32_t right) {
    const at_word *w = s->spelling.item, a = w[left - FIRST_BYTE], b = w[right - FIRST_BYTE];
    const int64_t n = (int64_t)a.bytes + b.bytes;
    if (!at_reserve(s->c, &s->buffer, &s->buffer_cap, n, 1)) return -1;
    memcpy(s->buffer, s->spelling.blob + a.start, a.bytes);
    memcpy(s->buffer + a.bytes, s->spelling.blob + b.start, b.bytes);
    const int64_t i = at_words_add(s->c, &s->spelling, s->buffer, (size_t)n, 0, NULL);
    return i < 0 ? -1 : (int32_t)i + FIRST_BYTE;
}

static bool merge_row(state *s, int32_t row, int32_t left, int32_t right, int32_t made) {
    int32_t *x = s->symbol + s->start[row];
    const int32_t n = s->length[row];
    int32_t at = 0;
    while (at + 1 < n && !(x[at] == left && x[at + 1] == right)) at++;
    if (at + 1 >= n) return true; /* merged away since */
    if (!count_row(s, row, -1)) return false;
    int32_t w = 0;
    for (int32_t i = 0; i < n; w++) {
        const bool hit = i + 1 < n && x[i] == left && x[i + 1] == right;
        x[w] = hit ? made : x[i];
        i += hit ? 2 : 1;
    }
    s->length[row] = w;
    return count_row(s, row, 1);
}

static bool merge_pair(state *s, int32_t pair) {
    const int32_t left = s->pair[pair].left, right = s->pair[pair].right;
    const int32_t made = make_token(s, left, right);
    if (made < 0 ||
        !at_reserve(s->c, &s->merges.id, &s->merges.cap, s->merges.n + 2, sizeof *s->merges.id))
        return false;
    s->merges.id[s->merges.n++] = left;
    s->merges.id[s->merges.n++] = right;
    int32_t *row = s->pair[pair].row; /* taken over: s->pair may move */
    const int64_t rows = s->pair[pair].rows;
    s->pair[pair].row = NULL;
    s->pair[pair].rows = s->pair[pair].cap = 0;
    bool ok = true;
    for (int64_t i = 0; i < rows && ok; i++) ok = merge_row(s, row[i], left, right, made);
    at_free(row);
    return ok && queue_touched(s);
}

static at_status merge_all(state *s) {
    while (s->spelling.n + SPECIALS < s->t->o.vocab && s->heap_n > 0) {
        const entry top = heap_pop(s);
        pair_info *p = &s->pair[top.pair];
        if (top.count != p->queued) continue; /* this pair has a newer entry */
        if (p->count != top.count) {
            if (p->count < s->t->o.min_count)
                p->queued = 0;
            else if (!heap_push(s, top.pair))
                return s->c->status;
            continue;
        }
        if (top.count < s->t->o.min_count) break;
        p->queued = 0;
        if (at_interrupted(s->c)) return at_error(s->c, AT_INTERRUPTED, "tokenizer: interrupted");
        if (!merge_pair(s, top.pair)) return s->c->status;
    }
    return AT_OK;
}

at_status at_bpe_trainer_finish(at_ctx *c, at_bpe_trainer *t, at_tokenizer **out) {
    *out = NULL;
    state s = {.c = c, .t = t};
    at_status st = begin(&s) ? merge_all(&s) : c->status;
    char *json = st ? NULL : at_train_json(c, &s.spelling, &s.merges);
    if (json)
        st = at_tokenizer_parse(c, "trained tokenizer", json, strlen(json), out);
    else if (!st)
        st = c->status;
    at_free(json);
    for (int64_t i = 0; i < s.pairs; i++) at_free(s.pair[i].row);
    at_free(s.pair);
    at_free(s.symbol);
    at_free(s.start);
    at_free(s.length);
    at_free(s.touched);
    at_free(s.heap);
    at_free(s.buffer);
    at_pairs_close(&s.index);
    at_words_close(&s.spelling);
    at_ids_free(&s.merges);
    return st;
}
