/* tensor.c - sizes and names of shapes. */
#include "tensor/tensor.h"
#include <inttypes.h>
#include <stdio.h>

int64_t at_numel(const at_tensor *t) {
    int64_t n = 1;
    for (int i = 0; i < t->rank; i++) n *= t->dim[i];
    return n;
}

int64_t at_cols(const at_tensor *t) { return t->rank ? t->dim[t->rank - 1] : 1; }

int64_t at_rows(const at_tensor *t) {
    int64_t n = 1;
    for (int i = 0; i + 1 < t->rank; i++) n *= t->dim[i];
    return n;
}

at_tensor *at_root(at_tensor *t) {
    while (t && t->base) t = t->base;
    return t;
}

char *at_shape_text(const at_tensor *t, char *text) {
    int n = 0;
    for (int i = 0; i < t->rank; i++)
        n += snprintf(text + n, (size_t)(96 - n), "%s%" PRId64, i ? "," : "[", t->dim[i]);
    (void)snprintf(text + n, (size_t)(96 - n), t->rank ? "]" : "[]");
    return text;
}
