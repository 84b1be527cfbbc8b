/* dedup.c - open addressing with linear probing. */
#include "data/dedup.h"
#include <string.h>
#include <xxhash.h>

void at_dedup_free(at_dedup *d) {
    at_free(d->slot);
    *d = (at_dedup){0};
}

/* The slot of the hash, or the free slot where it belongs. */
static uint64_t *place(const at_dedup *d, const uint64_t hash[2]) {
    const uint64_t mask = (uint64_t)d->cap - 1;
    for (uint64_t i = hash[0] & mask;; i = (i + 1) & mask) {
        uint64_t *s = d->slot[i];
        if ((!s[0] && !s[1]) || (s[0] == hash[0] && s[1] == hash[1])) return s;
    }
}

static at_status grow(at_ctx *c, at_dedup *d) {
    at_dedup bigger = {.n = d->n, .cap = d->cap ? 2 * d->cap : 1024};
    bigger.slot = at_calloc(c, (size_t)bigger.cap, sizeof *bigger.slot);
    if (!bigger.slot) return c->status;
    for (int64_t i = 0; i < d->cap; i++)
        if (d->slot[i][0] || d->slot[i][1])
            memcpy(place(&bigger, d->slot[i]), d->slot[i], sizeof *d->slot);
    at_free(d->slot);
    *d = bigger;
    return AT_OK;
}

at_status at_dedup_add(at_ctx *c, at_dedup *d, const void *data, size_t bytes, bool *fresh) {
    if (10 * (d->n + 1) > 7 * d->cap) {
        const at_status s = grow(c, d);
        if (s) return s;
    }
    const XXH128_hash_t h = XXH3_128bits(data, bytes);
    const uint64_t hash[2] = {h.low64 ? h.low64 : 1, h.high64};
    uint64_t *s = place(d, hash);
    *fresh = !s[0] && !s[1];
    if (*fresh) {
        memcpy(s, hash, sizeof hash);
        d->n++;
    }
    return AT_OK;
}
