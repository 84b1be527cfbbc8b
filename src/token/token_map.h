/*
 * token_map.h - two hash tables: byte strings to numbers, pairs of ids to merges.
 *
 * Entries are never removed.  Once built, a table is read by several threads without locks.
 */
#ifndef AT_TOKEN_MAP_H
#define AT_TOKEN_MAP_H
#include "base/ctx.h"

/* ---- byte strings ---- */

typedef struct at_word {
    uint64_t start; /* in blob */
    uint32_t bytes;
    int32_t value; /* the caller's */
} at_word;

typedef struct at_words {
    char *blob;
    int64_t blob_n, blob_cap;
    at_word *item; /* in order of arrival */
    int64_t n, cap;
    uint64_t *slot; /* high half: hash, low half: index + 1; 0: free */
    uint64_t mask;  /* slots - 1, or 0 while there are none          */
} at_words;

/** The hash that the table uses. */
uint64_t at_words_hash(const char *s, size_t bytes);
/** Index of the string, or -1. */
int64_t at_words_find(const at_words *w, const char *s, size_t bytes);
/** Index of the string, added with `value` when it is new (*fresh).  -1: out of memory. */
int64_t at_words_add(at_ctx *c, at_words *w, const char *s, size_t bytes, int32_t value,
                     bool *fresh);
void at_words_close(at_words *w);

static inline const char *at_words_text(const at_words *w, int64_t index) {
    return w->blob + w->item[index].start;
}

/* ---- pairs of ids ---- */

typedef struct at_pair {
    uint64_t key;     /* left id in the high half, right id in the low half */
    int32_t rank, id; /* place in the list of merges, token that is made    */
} at_pair;

typedef struct at_pairs {
    at_pair *slot;
    uint64_t mask; /* slots - 1 */
    int shift;     /* 64 - log2(slots) */
    int64_t n;
} at_pairs;

#define AT_PAIR_NONE UINT64_MAX

static inline uint64_t at_pair_key(int32_t left, int32_t right) {
    return (uint64_t)(uint32_t)left << 32 | (uint32_t)right;
}

/** The entry, or NULL. */
static inline at_pair *at_pairs_find(const at_pairs *p, uint64_t key) {
    if (!p->slot) return NULL;
    uint64_t i = (key * UINT64_C(0x9E3779B97F4A7C15)) >> p->shift;
    for (;; i = (i + 1) & p->mask) {
        at_pair *s = &p->slot[i];
        if (s->key == key) return s;
        if (s->key == AT_PAIR_NONE) return NULL;
    }
}

/** The entry, added with rank and id -1 when it is new; valid until the next add.  NULL: AT_OOM. */
at_pair *at_pairs_add(at_ctx *c, at_pairs *p, uint64_t key);
void at_pairs_close(at_pairs *p);

#endif
