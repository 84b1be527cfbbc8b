/* bag.c - counts by sorting a copy: no memory of the size of the vocabulary, and what is counted is in
   cache. */
#include "route/bag.h"
#include "base/maths.h"
#include <math.h>
#include <string.h>

int64_t at_bag_features(const at_bag_spec *s) {
    return s->vocab + (s->ngrams > 1 ? (int64_t)1 << s->hash_bits : 0);
}

/* Odd numbers near 2^64 divided by the golden ratio and by e: each token is mixed into all bits above
   its own, and the highest are taken. */
static uint64_t mix(uint64_t h, int32_t id) {
    h = (h ^ (uint64_t)id) * 0x9E3779B97F4A7C15u;
    return (h ^ h >> 29) * 0x5E2D58D8B3BCDF1Bu;
}

int32_t at_bag_feature(const at_bag_spec *s, const int32_t *id, int n) {
    if (n == 1) return id[0];
    uint64_t h = (uint64_t)n;
    for (int i = 0; i < n; i++) h = mix(h, id[i]);
    return (int32_t)(s->vocab + (int64_t)(h >> (64 - s->hash_bits)));
}

static bool dropped(int32_t id, const int32_t *drop, int n_drop) {
    for (int i = 0; i < n_drop; i++)
        if (drop[i] == id) return true;
    return false;
}

/* Features in the order of the text; how many. */
static int64_t list_features(const at_bag_spec *s, const int32_t *id, int64_t n, int32_t *out) {
    int64_t used = 0, run = 0; /* run: tokens since one was dropped */
    for (int64_t i = 0; i < n; i++) {
        run = dropped(id[i], s->drop, s->n_drop) ? 0 : run + 1;
        for (int k = 1; k <= s->ngrams && k <= run; k++)
            out[used++] = at_bag_feature(s, id + i + 1 - k, k);
    }
    return used;
}

static void insertion_sort(int32_t *a, int64_t n) {
    for (int64_t i = 1; i < n; i++) {
        const int32_t v = a[i];
        int64_t k = i;
        for (; k > 0 && a[k - 1] > v; k--) a[k] = a[k - 1];
        a[k] = v;
    }
}

/* By bytes, the lowest first; `spare` has room for n.  The result is in a. */
static void radix_sort(int32_t *a, int32_t *spare, int64_t n, int64_t limit) {
    for (int shift = 0; shift < 32 && limit >> shift; shift += 8) {
        int64_t at[256] = {0}, sum = 0;
        for (int64_t i = 0; i < n; i++) at[a[i] >> shift & 255]++;
        for (int b = 0; b < 256; b++) {
            const int64_t here = at[b];
            at[b] = sum;
            sum += here;
        }
        for (int64_t i = 0; i < n; i++) spare[at[a[i] >> shift & 255]++] = a[i];
        memcpy(a, spare, (size_t)n * sizeof *a);
    }
}

enum { FEW = 48 }; /* sorted sooner by insertion */

at_status at_bag_fill(at_ctx *c, at_bag *b, const int32_t *id, int64_t n, const at_bag_spec *s) {
    b->n = 0;
    for (int64_t i = 0; i < n; i++)
        if (id[i] < 0 || id[i] >= s->vocab)
            return at_error(c, AT_ARG, "router: token %lld is %d, ids are 0 to %lld", (long long)i,
                            (int)id[i], (long long)s->vocab - 1);
    const int64_t most = n * s->ngrams;
    if (!at_reserve(c, &b->sorted, &b->sorted_cap, most, sizeof *b->sorted)) return AT_OOM;
    if (!at_reserve(c, &b->spare, &b->spare_cap, most, sizeof *b->spare)) return AT_OOM;
    const int64_t used = list_features(s, id, n, b->sorted);
    if (used < FEW)
        insertion_sort(b->sorted, used);
    else
        radix_sort(b->sorted, b->spare, used, at_bag_features(s) - 1);
    /* both arrays grow together; cap is that of the one that grew last */
    int64_t cap = b->cap;
    if (!at_reserve(c, &b->id, &cap, used, sizeof *b->id)) return AT_OOM;
    if (!at_reserve(c, &b->count, &b->cap, used, sizeof *b->count)) return AT_OOM;
    for (int64_t i = 0; i < used; i++) {
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
    at_free(b->spare);
    *b = (at_bag){0};
}

double at_bag_weight(const at_bag_spec *s, int32_t count) {
    return s->sublinear && count > 1 ? 1 + at_ln((double)count) : (double)count;
}

double at_bag_scale(const at_bag *b, const at_bag_spec *s, const float *idf) {
    double sum = 0;
    for (int64_t i = 0; i < b->n; i++) {
        const double v = at_bag_weight(s, b->count[i]) * (double)idf[b->id[i]];
        sum += v * v;
    }
    return sum > 0 ? 1 / sqrt(sum) : 0;
}
