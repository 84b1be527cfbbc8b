/*
 * assign.h - the assignment problem: each row gets a column of its own so that the sum of what the pairs are
 * worth is the largest.  Source: Kuhn 1955, the Hungarian method, with the potentials of Jonker and Volgenant
 * 1987.
 */
#ifndef AT_ASSIGN_H
#define AT_ASSIGN_H
#include "base/ctx.h"

/** worth [n, n]; to[i]: the column of row i.  In O(n^3); of equal sums always the same one.  AT_OOM. */
at_status at_assign(at_ctx *c, int64_t n, const double *worth, int64_t *to);

#endif
