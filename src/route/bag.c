/* bag.c - counts by sorting a copy: O(n log n) time, and no memory of the size of the
   vocabulary. */
#include "route/bag.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

static int ascending(const void *a, const void *b) {
    const int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
    return (x > y) - (x < y);
}

static bool dropped(int32_t id, const int32_t *drop, int n_drop) {
    for (int i = 0; i < n_drop; i++)
        if (drop[i] == id) return true;
    return false;
}

at_status at_bag_fill(at_ctx *c, at_bag *b, const int32_t *id, int64_t n, int64_t vocab,
                      const int32_t *drop, int n_drop) {
    b->n = b->known = 0;
    if (!at_reserve(c, &b->sorted, &b->sorted_cap, n, sizeof *b->sorted)) return AT_OOM;
    for (int64_t i = 0; i < n; i++) {
        if (id[i] < 0 || id[i] >= vocab)
            return at_error(c, AT_ARG, "router: token %lld is %d, ids are 0 to %lld", (long long)i,
                            (int)id[i], (long long)vocab - 1);
        if (!dropped(id[i], drop, n_drop)) b->sorted[b->known++] = id[i];
    }
    if (b->known) qsort(b->sorted, (size_t)b->known, sizeof *b->sorted, ascending);
    /* both arrays grow together; cap is that of the one that grew last */
    int64_t cap = b->cap;
    if (!at_reserve(c, &b->id, &cap, b->known, sizeof *b->id)) return AT_OOM;
    if (!at_reserve(c, &b->count, &b->cap, b->known, sizeof *b->count)) return AT_OOM;
    for (int64_t i = 0; i < b->known; i++) {
        if (b->n && b->id[b->n - 1] == b->sorted[i]) {
            b->count[b->n - 1]++;
        } else {
            b->id[b->n] = b->sorted[i];
            b->count[b->n++] = 1;
        }
    }
    return AT_OK;
}

void at_bag_free(at_bag *b) {
    at_free(b->id);
    at_free(b->count);
    at_free(b->sorted);
    *b = (at_bag){0};
}

double at_bag_scale(const at_bag *b, const float *idf) {
    double sum = 0;
    for (int64_t i = 0; i < b->n; i++) {
        const double v = (double)b->count[i] * (double)idf[b->id[i]];
        sum += v * v;
    }
    return sum > 0 ? 1 / sqrt(sum) : 0;
}
