/* token_merge.c - two algorithms with the same result; test_tokenizer compares them. */
#include "token/token_merge.h"
#include <string.h>

enum { SHORT_MAX = 80 };

/* ---- short: look for the lowest rank each time ---- */

static void look(const at_pairs *merges, const int32_t *id, int64_t i, int32_t *rank,
                 int32_t *made) {
    const at_pair *p = at_pairs_find(merges, at_pair_key(id[i], id[i + 1]));
    rank[i] = p ? p->rank : INT32_MAX;
    made[i] = p ? p->id : -1;
}

static int64_t merge_short(const at_pairs *merges, int32_t *id, int64_t n) {
    int32_t rank[SHORT_MAX], made[SHORT_MAX];
    for (int64_t i = 0; i + 1 < n; i++) look(merges, id, i, rank, made);
    while (n > 1) {
        int64_t best = 0;
        for (int64_t i = 1; i + 1 < n; i++)
            if (rank[i] < rank[best]) best = i;
        if (rank[best] == INT32_MAX) break;
        id[best] = made[best];
        const size_t tail = (size_t)(n - best - 2) * sizeof *id;
        memmove(id + best + 1, id + best + 2, tail);
        memmove(rank + best, rank + best + 1, tail);
        memmove(made + best, made + best + 1, tail);
        n--;
        if (best > 0) look(merges, id, best - 1, rank, made);
        if (best + 1 < n) look(merges, id, best, rank, made);
    }
    return n;
}

/* ---- long: a heap of candidates over a doubly linked list ---- */

typedef struct at_candidate {
    uint64_t order; /* rank in the high half, position in the low half */
    int32_t made;
} at_candidate;

static bool push(at_ctx *c, at_merger *m, at_candidate x) {
    if (!at_reserve(c, &m->heap, &m->heap_cap, m->heap_n + 1, sizeof *m->heap)) return false;
    int64_t i = m->heap_n++;
    for (int64_t up; i > 0 && m->heap[up = (i - 1) / 2].order > x.order; i = up)
        m->heap[i] = m->heap[up];
    m->heap[i] = x;
    return true;
}

static at_candidate pop(at_merger *m) {
    const at_candidate top = m->heap[0], last = m->heap[--m->heap_n];
    int64_t i = 0;
    for (int64_t down; (down = 2 * i + 1) < m->heap_n; i = down) {
        if (down + 1 < m->heap_n && m->heap[down + 1].order < m->heap[down].order) down++;
        if (m->heap[down].order >= last.order) break;
        m->heap[i] = m->heap[down];
    }
    m->heap[i] = last;
    return top;
}

static bool push_candidate(at_ctx *c, const at_pairs *merges, at_merger *m, const int32_t *id,
                           int32_t left, int32_t right) {
    const at_pair *p = at_pairs_find(merges, at_pair_key(id[left], id[right]));
    if (!p) return true;
    const uint64_t order = (uint64_t)(uint32_t)p->rank << 32 | (uint32_t)left;
    return push(c, m, (at_candidate){order, p->id});
}

/* A symbol that was merged into its left neighbour has id -1. */
static at_status merge_long(at_ctx *c, const at_pairs *merges, at_merger *m, int32_t *id,
                            int64_t *count) {
    const int64_t n = *count;
    if (n > INT32_MAX / 2)
        return at_error(c, AT_ARG, "one piece of %lld bytes is too long to encode; cut the text",
                        (long long)n);
    if (!at_reserve(c, &m->link, &m->link_cap, 2 * n, sizeof *m->link)) return c->status;
    int32_t *prev = m->link, *next = m->link + n;
    m->heap_n = 0;
    for (int32_t i = 0; i < n; i++) {
        prev[i] = i - 1;
        next[i] = i + 1 < n ? i + 1 : -1;
        if (i + 1 < n && !push_candidate(c, merges, m, id, i, i + 1)) return c->status;
    }
    while (m->heap_n > 0) {
        const at_candidate top = pop(m);
        const int32_t i = (int32_t)(top.order & UINT32_MAX);
        if (id[i] < 0 || next[i] < 0) continue;
        const int32_t j = next[i];
        const at_pair *p = at_pairs_find(merges, at_pair_key(id[i], id[j]));
        if (!p || p->id != top.made) continue; /* the pair of this entry is no longer there */
        id[i] = top.made;
        id[j] = -1;
        next[i] = next[j];
        if (next[i] >= 0) prev[next[i]] = i;
        if (prev[i] >= 0 && !push_candidate(c, merges, m, id, prev[i], i)) return c->status;
        if (next[i] >= 0 && !push_candidate(c, merges, m, id, i, next[i])) return c->status;
    }
    int64_t kept = 0;
    for (int64_t i = 0; i < n; i++)
        if (id[i] >= 0) id[kept++] = id[i];
    *count = kept;
    return AT_OK;
}

at_status at_merge(at_ctx *c, const at_pairs *merges, at_merger *m, int32_t *id, int64_t *n) {
    if (*n > SHORT_MAX) return merge_long(c, merges, m, id, n);
    *n = merge_short(merges, id, *n);
    return AT_OK;
}

void at_merger_close(at_merger *m) {
    at_free(m->link);
    at_free(m->heap);
    *m = (at_merger){0};
}
