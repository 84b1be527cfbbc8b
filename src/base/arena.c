/* arena.c - a list of chunks.  Memory comes from the current one; those after it are empty. */
#include "base/arena.h"
#include <stdlib.h>
#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#define POISON(p, n)   ASAN_POISON_MEMORY_REGION(p, n)
#define UNPOISON(p, n) ASAN_UNPOISON_MEMORY_REGION(p, n)
#else
#define POISON(p, n)   ((void)(p), (void)(n))
#define UNPOISON(p, n) ((void)(p), (void)(n))
#endif

enum { ALIGN = 64, CHUNK = 32 << 20 };

struct at_chunk {
    at_chunk *next;
    size_t cap, used;
    char *base; /* cap bytes, aligned */
};

void at_arena_init(at_arena *a, at_ctx *c) { *a = (at_arena){.ctx = c}; }

static at_chunk *chunk_new(at_ctx *c, size_t need) {
    const size_t cap = need > CHUNK ? need : CHUNK;
    char *p = at_malloc(c, sizeof(at_chunk) + cap + ALIGN);
    if (!p) return NULL;
    at_chunk *k = (void *)p;
    char *base = p + sizeof(at_chunk);
    base += (ALIGN - (uintptr_t)base % ALIGN) % ALIGN;
    *k = (at_chunk){.cap = cap, .base = base};
    POISON(base, cap);
    return k;
}

void *at_arena_alloc(at_arena *a, size_t bytes) {
    if (bytes > SIZE_MAX / 2) {
        (void)at_error(a->ctx, AT_OOM, "arena: %zu bytes asked for", bytes);
        return NULL;
    }
    const size_t need = (bytes + ALIGN - 1) / ALIGN * ALIGN + (bytes ? 0 : ALIGN);
    at_chunk *k = a->now;
    while (k && k->cap - k->used < need && k->next) k = k->next; /* later chunks are empty */
    if (!k || k->cap - k->used < need) {
        at_chunk *fresh = chunk_new(a->ctx, need);
        if (!fresh) return NULL;
        if (k) k->next = fresh;
        if (!a->first) a->first = fresh;
        k = fresh;
    }
    a->now = k;
    void *p = k->base + k->used;
    k->used += need;
    a->used += need;
    if (a->used > a->peak) a->peak = a->used;
    UNPOISON(p, bytes);
    return p;
}

at_mark at_arena_mark(const at_arena *a) {
    return (at_mark){a->now, a->now ? a->now->used : 0, a->used};
}

void at_arena_rewind(at_arena *a, at_mark m) {
    at_chunk *k = m.chunk ? m.chunk : a->first;
    for (; k; k = k->next) {
        const size_t keep = k == m.chunk ? m.chunk_used : 0;
        POISON(k->base + keep, k->used - keep);
        k->used = keep;
    }
    a->now = m.chunk ? m.chunk : a->first;
    a->used = m.used;
}

void at_arena_close(at_arena *a) {
    for (at_chunk *k = a->first, *next; k; k = next) {
        next = k->next;
        UNPOISON(k->base, k->cap);
        at_free(k);
    }
    a->first = a->now = NULL;
    a->used = 0;
}
