/* levels.h - the different texts of a column, each with a number: categories, classes. */
#ifndef AT_LEVELS_H
#define AT_LEVELS_H
#include "base/ctx.h"

typedef struct at_levels {
    char **name; /* [n], owned */
    int64_t n, cap;
    int32_t *slot; /* [slots] of a hash table: number + 1, or 0 */
    int64_t slots;
} at_levels;

/** The number of this text, or -1. */
int32_t at_levels_find(const at_levels *l, const char *text, size_t bytes);
/** The same; a new text gets the next number.  -1: out of memory. */
int32_t at_levels_add(at_ctx *c, at_levels *l, const char *text, size_t bytes);
/** Puts the texts in order: by value where all are numbers, else by bytes.  to[old number] = new one;
    room for n. */
at_status at_levels_sort(at_ctx *c, at_levels *l, int32_t *to);
void at_levels_close(at_levels *l);

#endif
