/*
 * token_learn.c - see token_learn.h.
 *
 * A token lies in as many cells as it has symbols: its id in the first, and in the last, if that is
 * another, the negative number of its cells.  So the next token and the one before are found without
 * links.  The places where a pair occurs are a doubly linked list through two arrays beside the
 * cells, since every place is the left end of one pair at a time: nothing is allocated while merging
 * and no place is looked at in vain.  A heap gives the next pair; its entries may be out of date, so
 * one whose count is too high is put back with the true count.
 */
#include "token/token_learn.h"
#include <stdlib.h>
#include <string.h>

enum { NONE = -1, NEVER = -2 }; /* no place; a pair that must not be merged */
enum { TOLD_EVERY = 128 };

typedef struct pair_info {
    int32_t left, right;
    int32_t head, tail;    /* places, in the order they came  */
    int64_t count, queued; /* now; in its newest heap entry   */
} pair_info;

typedef struct entry {
    int64_t count;
    int32_t left, right, pair;
} entry;

typedef struct state {
    at_ctx *c;
    const at_learning *l;
    int32_t *cell, *prev, *next;
    int64_t chunk;  /* the one that `weight` was asked for last */
    int32_t *width; /* cells of a token, by id - first          */
    int64_t width_cap;
    at_pairs index; /* rank: number in pair */
    pair_info *pair;
    int64_t pairs, pairs_cap;
    int32_t *touched; /* pairs that a merge made more frequent */
    int64_t n_touched, touched_cap;
    int32_t *place; /* of the pair that is merged */
    int64_t place_cap;
    entry *heap;
    int64_t heap_n, heap_cap;
    at_words *spelling;
    at_ids *merges;
    char *buffer;
    int64_t buffer_cap;
} state;

/* ---- heap ---- */

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

/* ---- places of pairs ---- */

/* How often the chunk of a place was seen.  Places come nearly in order: the chunk is searched for
   in steps that double, from the one of the last call. */
static int64_t weight(state *s, int32_t at) {
    const int64_t *start = s->l->start;
    int64_t low = s->chunk, high, step = 1;
    if (start[low] > at) low = 0;
    for (high = low + 1; high < s->l->chunks && start[high] <= at; high += step, step *= 2)
        low = high;
    if (high > s->l->chunks) high = s->l->chunks;
    while (high - low > 1) {
        const int64_t mid = low + (high - low) / 2;
        if (start[mid] <= at)
            low = mid;
        else
            high = mid;
    }
    s->chunk = low;
    return s->l->count[low];
}

static int32_t width(const state *s, int32_t id) { return s->width[id - s->l->first]; }

static bool add_place(state *s, int32_t at, int32_t left, int32_t right, int64_t n) {
    at_pair *slot = at_pairs_add(s->c, &s->index, at_pair_key(left, right));
    if (!slot) return false;
    if (slot->rank < 0) {
        if (!at_reserve(s->c, &s->pair, &s->pairs_cap, s->pairs + 1, sizeof *s->pair)) return false;
        s->pair[s->pairs] = (pair_info){left, right, NONE, NONE, 0, 0};
        slot->rank = (int32_t)s->pairs++;
    }
    pair_info *p = &s->pair[slot->rank];
    p->count += n;
    s->prev[at] = p->tail;
    s->next[at] = NONE;
    if (p->tail == NONE)
        p->head = at;
    else
        s->next[p->tail] = at;
    p->tail = at;
    if (s->n_touched && s->touched[s->n_touched - 1] == slot->rank) return true;
    if (!at_reserve(s->c, &s->touched, &s->touched_cap, s->n_touched + 1, sizeof *s->touched))
        return false;
    s->touched[s->n_touched++] = slot->rank;
    return true;
}

static void drop_place(state *s, int32_t at, int32_t left, int32_t right, int64_t n) {
    pair_info *p = &s->pair[at_pairs_find(&s->index, at_pair_key(left, right))->rank];
    p->count -= n;
    if (s->prev[at] == NONE)
        p->head = s->next[at];
    else
        s->next[s->prev[at]] = s->next[at];
    if (s->next[at] == NONE)
        p->tail = s->prev[at];
    else
        s->prev[s->next[at]] = s->prev[at];
}

/* Adds heap entries for pairs that are more frequent than their newest entry says. */
static bool queue_touched(state *s) {
    for (int64_t i = 0; i < s->n_touched; i++) {
        const pair_info *p = &s->pair[s->touched[i]];
        if (p->queued == NEVER || p->count < s->l->min_count || p->count <= p->queued) continue;
        if (!heap_push(s, s->touched[i])) return false;
    }
    s->n_touched = 0;
    return true;
}

static bool begin(state *s) {
    const int64_t n = s->l->cells;
    s->cell = s->l->cell;
    s->prev = at_malloc(s->c, (size_t)n * sizeof *s->prev);
    s->next = at_malloc(s->c, (size_t)n * sizeof *s->next);
    if (!s->prev || !s->next ||
        !at_reserve(s->c, &s->width, &s->width_cap, s->spelling->n, sizeof *s->width))
        return false;
    for (int64_t i = 0; i < s->spelling->n; i++) s->width[i] = 1;
    for (int64_t i = 0; i + 1 < n; i++) {
        if (s->cell[i] == AT_CELL_BREAK || s->cell[i + 1] == AT_CELL_BREAK) continue;
        if (!add_place(s, (int32_t)i, s->cell[i], s->cell[i + 1], weight(s, (int32_t)i)))
            return false;
    }
    s->n_touched = 0;
    for (int64_t i = 0; i < s->pairs; i++)
        if (s->pair[i].count >= s->l->min_count && !heap_push(s, (int32_t)i)) return false;
    return true;
}

/* ---- merging ---- */

/* The token that left and right make, NONE without memory, NEVER when it must not be; two ways to
   the same bytes give the same token. */
static int32_t make_token(state *s, int32_t left, int32_t right) {
    const at_word *w = s->spelling->item, a = w[left - s->l->first], b = w[right - s->l->first];
    const int64_t n = (int64_t)a.bytes + b.bytes;
    if (s->l->max_width && (int64_t)width(s, left) + width(s, right) > s->l->max_width)
        return NEVER;
    if (!at_reserve(s->c, &s->buffer, &s->buffer_cap, n, 1)) return NONE;
    memcpy(s->buffer, s->spelling->blob + a.start, a.bytes);
    memcpy(s->buffer + a.bytes, s->spelling->blob + b.start, b.bytes);
    if (s->l->no && at_words_find(s->l->no, s->buffer, (size_t)n) >= 0) return NEVER;
    const int64_t i = at_words_add(s->c, s->spelling, s->buffer, (size_t)n, 0, NULL);
    if (i < 0 || !at_reserve(s->c, &s->width, &s->width_cap, i + 1, sizeof *s->width)) return NONE;
    s->width[i] = width(s, left) + width(s, right);
    return (int32_t)i + s->l->first;
}

/* Where the token before `at` begins, or NONE at the start of a chunk. */
static int32_t begin_before(const state *s, int32_t at) {
    const int32_t last = s->cell[at - 1];
    return last == AT_CELL_BREAK ? NONE : last < 0 ? at + last : at - 1;
}

/* Merges the pair at a place, unless a merge to its left has taken it away. */
static bool merge_place(state *s, int32_t at, int32_t left, int32_t right, int32_t made) {
    int32_t *cell = s->cell;
    if (cell[at] != left) return true;
    const int32_t middle = at + width(s, left);
    if (cell[middle] != right) return true;
    const int32_t after = middle + width(s, right), before_at = begin_before(s, at);
    const int64_t n = weight(s, at);
    drop_place(s, at, left, right, n);
    if (before_at != NONE) drop_place(s, before_at, cell[before_at], left, n);
    if (cell[after] != AT_CELL_BREAK) drop_place(s, middle, right, cell[after], n);
    cell[at] = made;
    cell[middle] = NONE;
    cell[after - 1] = at - after;
    if (before_at != NONE && !add_place(s, before_at, cell[before_at], made, n)) return false;
    return cell[after] == AT_CELL_BREAK || add_place(s, at, made, cell[after], n);
}

static int by_place(const void *a, const void *b) {
    const int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
    return (x > y) - (x < y);
}

/* Copies the places of a pair, in order: where a token has come twice, its places may have none. */
static int64_t places(state *s, const pair_info *p) {
    int64_t n = 0;
    bool sorted = true;
    for (int32_t at = p->head; at != NONE; at = s->next[at]) {
        if (!at_reserve(s->c, &s->place, &s->place_cap, n + 1, sizeof *s->place)) return -1;
        sorted = sorted && (!n || s->place[n - 1] < at);
        s->place[n++] = at;
    }
    if (!sorted) qsort(s->place, (size_t)n, sizeof *s->place, by_place);
    return n;
}

static bool merge_pair(state *s, int32_t pair) {
    const int32_t left = s->pair[pair].left, right = s->pair[pair].right;
    const int32_t made = make_token(s, left, right);
    if (made == NEVER) {
        s->pair[pair].queued = NEVER;
        return true;
    }
    at_ids *m = s->merges;
    if (made < 0 || !at_reserve(s->c, &m->id, &m->cap, m->n + 2, sizeof *m->id)) return false;
    m->id[m->n++] = left;
    m->id[m->n++] = right;
    const int64_t n = places(s, &s->pair[pair]);
    bool ok = n >= 0;
    s->chunk = 0;
    for (int64_t i = 0; i < n && ok; i++) ok = merge_place(s, s->place[i], left, right, made);
    return ok && queue_touched(s);
}

static at_status merge_all(state *s) {
    const int64_t symbols = s->spelling->n;
    while (s->spelling->n < s->l->spellings && s->heap_n > 0) {
        const entry top = heap_pop(s);
        pair_info *p = &s->pair[top.pair];
        if (top.count != p->queued) continue; /* this pair has a newer entry */
        if (p->count != top.count) {
            if (p->count < s->l->min_count)
                p->queued = 0;
            else if (!heap_push(s, top.pair))
                return s->c->status;
            continue;
        }
        p->queued = 0;
        if (s->merges->n % (2 * TOLD_EVERY) == 0 && s->merges->n)
            at_log(s->c, AT_LOG_PROGRESS, "merging: %lld of %lld merges",
                   (long long)s->merges->n / 2, (long long)(s->l->spellings - symbols));
        if (at_interrupted(s->c)) return at_error(s->c, AT_INTERRUPTED, "tokenizer: interrupted");
        if (!merge_pair(s, top.pair)) return s->c->status;
    }
    return AT_OK;
}

at_status at_learn_merges(at_ctx *c, const at_learning *l, at_words *spelling, at_ids *merges) {
    if (l->cells > INT32_MAX - 1)
        return at_error(c, AT_ARG,
                        "%lld symbols of different text are too many to learn from: take a sample",
                        (long long)l->cells);
    state s = {.c = c, .l = l, .spelling = spelling, .merges = merges};
    const at_status st = begin(&s) ? merge_all(&s) : c->status;
    at_free(s.prev);
    at_free(s.next);
    at_free(s.width);
    at_pairs_close(&s.index);
    at_free(s.pair);
    at_free(s.touched);
    at_free(s.place);
    at_free(s.heap);
    at_free(s.buffer);
    return st;
}
