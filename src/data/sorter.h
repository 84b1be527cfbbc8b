/*
 * sorter.h - sorts more pairs of numbers than memory holds.
 *
 *     at_sorter *s;
 *     at_sorter_open(c, path, bytes, &s);
 *     ... at_sorter_add(c, s, key, value); ...
 *     at_sorter_begin(c, s);
 *     while (!(status = at_sorter_next(c, s, &pair, &more)) && more) ...
 *     at_sorter_close(s);
 *
 * Pairs come back by key, those of one key by value.  What does not fit is sorted in runs, which
 * wait in a temporary file and are merged.
 */
#ifndef AT_SORTER_H
#define AT_SORTER_H
#include "base/ctx.h"

typedef struct at_pair {
    uint64_t key, value;
} at_pair;

typedef struct at_sorter at_sorter;

/** path: of the temporary file, which is made when it is needed and removed at the end.  memory:
    bytes used at most, from 1 KiB on. */
at_status at_sorter_open(at_ctx *c, const char *path, int64_t memory, at_sorter **out);
at_status at_sorter_add(at_ctx *c, at_sorter *s, uint64_t key, uint64_t value);
/** No more are added; the first can be asked for. */
at_status at_sorter_begin(at_ctx *c, at_sorter *s);
/** *more: false when there was none. */
at_status at_sorter_next(at_ctx *c, at_sorter *s, at_pair *out, bool *more);
/** Accepts NULL. */
void at_sorter_close(at_sorter *s);

#endif
