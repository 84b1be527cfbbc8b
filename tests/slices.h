/* slices.h - the slots of a stacked tensor, as the parameters of a bank lie in one. */
#ifndef SLICES_H
#define SLICES_H
#include "tensor/run.h"
#include <string.h>

/* The dim[0] slices of t, values and gradients in place; t has a gradient already if it needs one. */
static inline at_tensor *const *slices(at_run *r, at_tensor *t) {
    if (!t) return NULL;
    const int64_t n = t->dim[0], size = at_numel(t) / n;
    at_tensor **list = at_run_alloc(r, (size_t)n * sizeof *list);
    at_tensor *slice = at_run_alloc(r, (size_t)n * sizeof *slice);
    for (int64_t e = 0; list && slice && e < n; e++) {
        slice[e] = *t;
        slice[e].rank--;
        memmove(slice[e].dim, t->dim + 1, (size_t)slice[e].rank * sizeof *t->dim);
        slice[e].data = t->data ? t->data + e * size : NULL;
        slice[e].grad = t->grad ? t->grad + e * size : NULL;
        list[e] = &slice[e];
    }
    return slice ? list : NULL;
}

#endif
