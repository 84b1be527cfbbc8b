/* token_map.c - linear probing, at most half full, hashes by XXH3. */
#include "token/token_map.h"
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

/* ---- byte strings ---- */

uint64_t at_words_hash(const char *s, size_t bytes) { return XXH3_64bits(s, bytes); }

int64_t at_words_find(const at_words *w, const char *s, size_t bytes) {
    if (!w->slot) return -1;
    const uint64_t h = XXH3_64bits(s, bytes);
    for (uint64_t i = h & w->mask;; i = (i + 1) & w->mask) {
        const uint64_t v = w->slot[i];
        if (!v) return -1;
        if (v >> 32 != h >> 32) continue;
        const at_word *k = &w->item[(v & UINT32_MAX) - 1];
        if (k->bytes == bytes && !memcmp(w->blob + k->start, s, bytes))
            return (int64_t)(v & UINT32_MAX) - 1;
    }
}

static void place(at_words *w, uint64_t h, int64_t index) {
    uint64_t i = h & w->mask;
    while (w->slot[i]) i = (i + 1) & w->mask;
    w->slot[i] = h >> 32 << 32 | (uint64_t)(index + 1);
}

static bool grow_words(at_ctx *c, at_words *w) {
    const uint64_t slots = w->slot ? (w->mask + 1) * 2 : 64;
    uint64_t *fresh = at_calloc(c, slots, sizeof *fresh);
    if (!fresh) return false;
    at_free(w->slot);
    w->slot = fresh;
    w->mask = slots - 1;
    for (int64_t i = 0; i < w->n; i++)
        place(w, XXH3_64bits(at_words_text(w, i), w->item[i].bytes), i);
    return true;
}

int64_t at_words_add(at_ctx *c, at_words *w, const char *s, size_t bytes, int32_t value,
                     bool *fresh) {
    const int64_t found = at_words_find(w, s, bytes);
    if (fresh) *fresh = found < 0;
    if (found >= 0) return found;
    if (bytes > INT32_MAX || w->n >= INT32_MAX) {
        (void)at_error(c, AT_OOM, "a table of strings is full (%lld entries)", (long long)w->n);
        return -1;
    }
    if ((!w->slot || (uint64_t)w->n * 2 >= w->mask) && !grow_words(c, w)) return -1;
    if (!at_reserve(c, &w->item, &w->cap, w->n + 1, sizeof *w->item) ||
        !at_reserve(c, &w->blob, &w->blob_cap, w->blob_n + (int64_t)bytes, 1))
        return -1;
    if (bytes) memcpy(w->blob + w->blob_n, s, bytes);
    w->item[w->n] =
        (at_word){.start = (uint64_t)w->blob_n, .bytes = (uint32_t)bytes, .value = value};
    w->blob_n += (int64_t)bytes;
    place(w, XXH3_64bits(s, bytes), w->n);
    return w->n++;
}

void at_words_close(at_words *w) {
    at_free(w->blob);
    at_free(w->item);
    at_free(w->slot);
    *w = (at_words){0};
}

/* ---- pairs of ids ---- */

static at_pair *free_slot(at_pairs *p, uint64_t key) {
    uint64_t i = (key * UINT64_C(0x9E3779B97F4A7C15)) >> p->shift;
    while (p->slot[i].key != AT_PAIR_NONE) i = (i + 1) & p->mask;
    return &p->slot[i];
}

static bool grow_pairs(at_ctx *c, at_pairs *p) {
    const at_pairs old = *p;
    const uint64_t slots = old.slot ? (old.mask + 1) * 2 : 64;
    at_pair *fresh = at_calloc(c, slots, sizeof *fresh);
    if (!fresh) return false;
    for (uint64_t i = 0; i < slots; i++) fresh[i].key = AT_PAIR_NONE;
    *p = (at_pairs){fresh, slots - 1, old.slot ? old.shift - 1 : 58, old.n};
    for (uint64_t i = 0; old.slot && i <= old.mask; i++)
        if (old.slot[i].key != AT_PAIR_NONE) *free_slot(p, old.slot[i].key) = old.slot[i];
    at_free(old.slot);
    return true;
}

at_pair *at_pairs_add(at_ctx *c, at_pairs *p, uint64_t key) {
    at_pair *found = at_pairs_find(p, key);
    if (found) return found;
    if ((!p->slot || (uint64_t)p->n * 2 >= p->mask) && !grow_pairs(c, p)) return NULL;
    found = free_slot(p, key);
    *found = (at_pair){key, -1, -1};
    p->n++;
    return found;
}

void at_pairs_close(at_pairs *p) {
    at_free(p->slot);
    *p = (at_pairs){0};
}
