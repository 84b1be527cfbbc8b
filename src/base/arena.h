/*
 * arena.h - a bump allocator with marks: activations, tape nodes and gradients of one run.
 *
 * Memory grows in chunks and is kept until close, so that a training step after the first allocates
 * nothing.  Rewound bytes are poisoned under AddressSanitizer.
 */
#ifndef AT_ARENA_H
#define AT_ARENA_H
#include "base/ctx.h"

typedef struct at_chunk at_chunk;
typedef struct at_arena {
    at_ctx *ctx;
    at_chunk *first, *now; /* chunks in order; bytes after `now` are free */
    size_t used, peak;     /* bytes handed out now, and at most           */
} at_arena;

typedef struct at_mark {
    at_chunk *chunk;
    size_t chunk_used, used;
} at_mark;

void at_arena_init(at_arena *a, at_ctx *c);
/** 64-byte aligned bytes, not zeroed; NULL with the error kept in the context. */
void *at_arena_alloc(at_arena *a, size_t bytes);
at_mark at_arena_mark(const at_arena *a);
/** Frees everything allocated after the mark. */
void at_arena_rewind(at_arena *a, at_mark m);
void at_arena_close(at_arena *a);

#endif
