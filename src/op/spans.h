/* spans.h - what attention on caches asks of spans, and does with the keys and values of new tokens. */
#ifndef AT_SPANS_H
#define AT_SPANS_H
#include "op/op.h"
#include <string.h>

/** One span of a pass: the rows that are its own, the cache of this layer. */
typedef struct at_stretch {
    int64_t row, n, past, all; /* first row, rows; tokens before, and with them */
    at_kv kv;
} at_stretch;

/** Of every span of s, which are to have T tokens together; NULL: the run has failed. */
static inline at_stretch *at_stretches(at_run *r, const char *op, const at_spans *s, int64_t layer,
                                       int64_t T) {
    if (r->dry) return at_fail(r, AT_UNSUPPORTED, "%s: caches have no dry run", op);
    at_stretch *all = at_run_alloc(r, (size_t)s->n * sizeof *all);
    int64_t row = 0;
    for (int64_t i = 0; all && i < s->n; i++) {
        const at_span *x = &s->item[i];
        all[i] = (at_stretch){row, x->n, x->past, x->past + x->n, x->cache[layer]};
        row += x->n;
        if (x->n < 1 || all[i].all > all[i].kv.cap)
            return at_fail(r, AT_ARG, "%s: %lld tokens after %lld cached ones exceed %lld", op,
                           (long long)x->n, (long long)x->past, (long long)all[i].kv.cap);
    }
    if (all && row != T)
        return at_fail(r, AT_SHAPE, "%s: %lld tokens for spans of %lld", op, (long long)T,
                       (long long)row);
    return all;
}

/** Rows of k and v [T, A], ld from row to row, into the cache. */
static inline void at_stretch_keep(const at_stretch *s, int64_t A, const at_real *k,
                                   const at_real *v, int64_t ld) {
    const size_t bytes = (size_t)A * sizeof *k;
    for (int64_t t = 0; t < s->n; t++) {
        memcpy(s->kv.k + (s->past + t) * A, k + (s->row + t) * ld, bytes);
        if (s->kv.v != s->kv.k) memcpy(s->kv.v + (s->past + t) * A, v + (s->row + t) * ld, bytes);
    }
}

/** Attention over a whole sequence: at_attention_slots or at_stickbreak. */
typedef at_tensor *(*at_whole_fn)(at_run *r, at_tensor *q, at_tensor *k, at_tensor *v, int64_t B,
                                  int64_t T, int64_t slots, int heads);
/** The queries of a span, of all q [T slots, A], in tiles over all cached keys, as for a whole
    sequence, to y; not recorded. */
static inline void at_stretch_tiled(at_run *r, const at_stretch *s, int64_t slots, int heads,
                                    at_whole_fn f, const at_tensor *q, at_tensor *y) {
    const int64_t A = at_cols(q), at = s->row * slots * A;
    at_tensor keys = {.data = s->kv.k, .rank = 2, .dim = {s->all, A}}, values = keys;
    at_tensor mine = {.data = q->data + at, .rank = 2, .dim = {s->n * slots, A}};
    values.data = s->kv.v;
    const bool train = r->train;
    const at_mark mark = at_arena_mark(r->arena);
    r->train = false;
    const at_tensor *z = f(r, &mine, &keys, &values, 1, s->n, slots, heads);
    if (z) memcpy(y->data + at, z->data, (size_t)at_numel(z) * sizeof *z->data);
    at_arena_rewind(r->arena, mark);
    r->train = train;
}

#endif
