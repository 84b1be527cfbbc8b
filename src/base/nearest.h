/* nearest.h - "did you mean ...?": the known name a mistyped one was probably meant to be. */
#ifndef AT_NEAREST_H
#define AT_NEAREST_H
#include <stdint.h>

/** Number of letters to insert, delete, replace or swap with their neighbour to turn a into b (at
    most 64 bytes each; longer ones count as very far). */
int at_edit_distance(const char *a, const char *b);

/** The nearest of n names, or NULL when none is near (more than a third of the letters differ). */
const char *at_nearest(const char *word, const char *const *known, int64_t n);

#endif
