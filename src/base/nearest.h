/* nearest.h - "did you mean ...?": the known name a mistyped one was probably meant to be. */
#ifndef AT_NEAREST_H
#define AT_NEAREST_H
#include <stdint.h>

/** Letters to insert, drop, change or swap with a neighbour to make b of a; names over 64 bytes
    are far from everything. */
int at_edit_distance(const char *a, const char *b);

/** The nearest of n names, or NULL when none is near (more than a third of the letters differ). */
const char *at_nearest(const char *word, const char *const *known, int64_t n);

#endif
