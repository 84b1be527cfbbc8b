/*
 * stickbreak_bwd.c - gradients of stick-breaking attention; weights are recomputed.
 *
 * With dA = dY V^T, G = A dA and beta = sigmoid(s),
 *   dS_im = ((1 - beta_im) G_im - beta_im sum_{j<m} G_ij) / sqrt D
 *   dQ = dS K,  dK = dS^T Q,  dV = A^T dY
 * Blocks of queries are processed in rounds of about 256 queries.  First each block of a round is a
 * task, which computes A and dS for all of its keys and its dQ, and packs A, dS, Q and dY; then each
 * panel of keys is a task, which adds the products of the round to its dK and dV.  So no two tasks write
 * the same value, the order of every sum is fixed by the shapes, and memory is O(S).
 */
#include "op/stickbreak.h"
#include <math.h>

enum { ROUND = 256 };

typedef struct {
    at_node *n;
    at_stick *a;
    const at_kernels *k;
    at_real *dq, *dk, *dv; /* NULL: not wanted                                      */
    bool fresh;            /* dq is to be assigned                                  */
    const at_real *keys_by_value;
    int64_t from_block, to_block; /* of this round                                  */
    int64_t depth;                /* columns of the packs: queries of a round       */
    at_real *p, *ds;              /* by key: panels of mr keys, depth `depth`       */
    at_real *q, *dy;              /* panels of nr values, depth `depth`             */
    int64_t *first, *last;        /* of each block in the round: keys [first, last) */
} backward;

/* ---- a block of queries ---- */

typedef struct {
    at_real *query, *dy;    /* panels of nr queries, depth D      */
    at_real *p, *share, *d; /* [S up to mr, nr]                   */
    at_real *sum;           /* [nr]; first what is left of sticks */
    at_real *t, *tmp;       /* [D up to mr, nr], and transposed       */
} block_memory;

static int64_t block_cut(block_memory *m, at_real *base, const at_kernels *k, const at_stick *a) {
    at_carver c = {base, 0};
    m->query = at_carve(&c, k->nr * a->D);
    m->dy = at_carve(&c, k->nr * a->D);
    m->p = at_carve(&c, at_round_up(a->S, k->mr) * k->nr);
    m->share = at_carve(&c, at_round_up(a->S, k->mr) * k->nr);
    m->d = at_carve(&c, at_round_up(a->S, k->mr) * k->nr);
    m->sum = at_carve(&c, k->nr);
    m->t = at_carve(&c, at_round_up(a->D, k->mr) * k->nr);
    m->tmp = at_carve(&c, k->nr * a->D);
    return c.used;
}

/* Packs rows of x [n, D] as columns [at, at + nr) of the round's panels of nr values. */
static void keep_rows(const backward *w, int64_t n, const at_real *x, int64_t at, at_real *to) {
    const int nr = w->k->nr;
    for (int64_t d = 0; d < w->a->D; d += nr) {
        at_real *panel = to + d * w->depth + at * nr;
        w->k->pack(n, at_min(nr, w->a->D - d), nr, x + d, w->a->A, panel);
        memset(panel + n * nr, 0, (size_t)((nr - n) * nr) * sizeof *panel);
    }
}

/* Packs keys [from, seen) of x [S, nr] as columns [at, at + nr) of the round's panels of mr
   keys. */
static void keep_keys(const backward *w, int64_t from, int64_t seen, const at_real *x, int64_t at,
                      at_real *to) {
    const int mr = w->k->mr, nr = w->k->nr;
    for (int64_t i = from; i < seen; i += mr)
        w->k->pack_transposed(nr, at_min(mr, seen - i), mr, x + i * nr, nr,
                              to + i * w->depth + at * mr);
}

static void block(const backward *w, const block_memory *m, int64_t index) {
    const at_stick *a = w->a;
    const at_kernels *k = w->k;
    const int nr = k->nr;
    const at_stick_block b = at_stick_block_at(a, nr, index);
    const int64_t by_key = b.list * at_stick_packed(a, k, AT_STICK_BY_KEY);
    const at_real *q = w->n->in[0]->data + b.at, *dy = w->n->out->grad + b.at;
    k->pack_transposed(a->D, b.n, nr, q, a->A, m->query);
    k->pack_transposed(a->D, b.n, nr, dy, a->A, m->dy);
    const int64_t from =
        at_stick_weights(k, a, &b, a->keys + by_key, m->query, m->p, m->share, m->sum);
    for (int64_t i = from; i < b.seen; i += k->mr)
        k->tile(a->D, a->values + by_key + i * a->D, m->dy, AT_TILE_SET, m->d + i * nr, nr);
    for (int j = 0; j < nr; j++) m->sum[j] = 0;
    k->stick_columns_grad(b.seen - from, nr, (at_real)(1 / sqrt((double)a->D)), m->p + from * nr,
                          m->share + from * nr, m->sum, m->d + from * nr);
    if (w->dq) {
        const at_real *keys = w->keys_by_value + b.list * at_stick_packed(a, k, AT_STICK_BY_VALUE);
        for (int64_t d = 0; d < a->D; d += k->mr)
            k->tile(b.seen - from, keys + d * a->S + from * k->mr, m->d + from * nr, AT_TILE_SET,
                    m->t + d * nr, nr);
        at_write_transposed(k, b.n, a->D, m->t, NULL, m->tmp, w->dq + b.at, a->A, !w->fresh);
    }
    const int64_t slot = index - w->from_block;
    w->first[slot] = from;
    w->last[slot] = b.seen;
    if (w->dk) {
        keep_rows(w, b.n, q, slot * nr, w->q);
        keep_keys(w, from, b.seen, m->d, slot * nr, w->ds);
    }
    if (w->dv) {
        keep_rows(w, b.n, dy, slot * nr, w->dy);
        keep_keys(w, from, b.seen, m->p, slot * nr, w->p);
    }
}

static void blocks_part(void *arg, int64_t begin, int64_t end, int worker) {
    const backward *w = arg;
    block_memory m;
    (void)block_cut(&m, w->a->scratch + worker * w->a->stride, w->k, w->a);
    for (int64_t i = begin; i < end; i++) block(w, &m, w->from_block + i);
}

/* ---- a panel of keys ---- */

/* to[rows, D] += x y over columns [at, at + deep) of the round; a sum is one chain over all
   rounds. */
static void add_product(const backward *w, int64_t rows, int64_t at, int64_t deep, const at_real *x,
                        const at_real *y, at_real *edge, at_real *to) {
    const at_kernels *k = w->k;
    const int64_t D = w->a->D, ld = w->a->A;
    for (int64_t d = 0; d < D; d += k->nr)
        at_tile_at(k, deep, x + at * k->mr, y + d * w->depth + at * k->nr, true, rows,
                   at_min(k->nr, D - d), edge, to + d, ld);
}

static void panel(const backward *w, int64_t list, int64_t key, at_real *edge) {
    const at_stick *a = w->a;
    const int64_t mr = w->k->mr, nr = w->k->nr, rows = at_min(mr, a->S - key);
    const int64_t at = at_stick_list_at(a, list) + key * a->A;
    const int64_t begin = list * a->per_list - w->from_block, end = begin + a->per_list;
    const int64_t stop = at_min(end, w->to_block - w->from_block);
    for (int64_t i = begin < 0 ? 0 : begin;
         i < stop;) { /* consecutive blocks that see keys of this panel */
        int64_t next = i;
        while (next < stop && w->first[next] <= key && key < w->last[next]) next++;
        const int64_t deep = (next - i) * nr;
        if (deep && w->dk)
            add_product(w, rows, i * nr, deep, w->ds + key * w->depth, w->q, edge, w->dk + at);
        if (deep && w->dv)
            add_product(w, rows, i * nr, deep, w->p + key * w->depth, w->dy, edge, w->dv + at);
        i = next > i ? next : i + 1;
    }
}

static void panels_part(void *arg, int64_t begin, int64_t end, int worker) {
    const backward *w = arg;
    const int64_t panels = (w->a->S + w->k->mr - 1) / w->k->mr;
    at_real *edge = w->a->scratch + worker * w->a->stride;
    for (int64_t i = begin; i < end; i++)
        panel(w, w->from_block / w->a->per_list + i / panels, i % panels * w->k->mr, edge);
}

/* ---- all rounds ---- */

/* Allocates in the arena what the rounds share. */
static bool prepare(backward *w) {
    at_run *r = w->n->run;
    at_stick *a = w->a;
    const at_kernels *k = w->k;
    const at_real *kd = w->n->in[1]->data, *vd = w->n->in[2]->data;
    a->keys = at_stick_pack(r, a, kd, AT_STICK_BY_KEY);
    a->values = vd == kd ? a->keys : at_stick_pack(r, a, vd, AT_STICK_BY_KEY);
    if (w->dq) w->keys_by_value = at_stick_pack(r, a, kd, AT_STICK_BY_VALUE);
    w->depth = at_round_up(ROUND, k->nr);
    const size_t by_key = (size_t)(at_round_up(a->S, k->mr) * w->depth) * sizeof(at_real);
    const size_t by_value = (size_t)(at_round_up(a->D, k->nr) * w->depth) * sizeof(at_real);
    if (w->dk) {
        w->ds = at_run_alloc(r, by_key);
        w->q = at_run_alloc(r, by_value);
    }
    if (w->dv) {
        w->p = at_run_alloc(r, by_key);
        w->dy = at_run_alloc(r, by_value);
    }
    w->first = at_run_alloc(r, (size_t)(w->depth / k->nr) * sizeof *w->first);
    w->last = at_run_alloc(r, (size_t)(w->depth / k->nr) * sizeof *w->last);
    block_memory m;
    int64_t values = block_cut(&m, NULL, k, a);
    if (values < k->mr * k->nr) values = k->mr * k->nr;
    return w->last && at_stick_scratch(r, a, values);
}

double at_stick_bwd_bytes(const at_node *n) {
    const at_stick *a = n->attr;
    const at_kernels *k = &n->run->cp->k;
    const int64_t depth = at_round_up(ROUND, k->nr), lists = n->in[1] == n->in[2] ? 1 : 2;
    const int64_t packed =
        lists * at_stick_packed(a, k, AT_STICK_BY_KEY) + at_stick_packed(a, k, AT_STICK_BY_VALUE);
    const int64_t block = (at_round_up(a->S, k->mr) + at_round_up(a->D, k->nr)) * depth;
    return (double)(a->lists * packed + 2 * block) * sizeof(at_real);
}

void at_stick_bwd(at_node *n) {
    at_run *r = n->run;
    backward w = {.n = n, .a = n->attr, .k = &r->cp->k};
    w.dq = at_grad_fresh(n, 0, &w.fresh);
    w.dk = at_grad(n, 1);
    w.dv = at_grad(n, 2);
    const int64_t panels = (w.a->S + w.k->mr - 1) / w.k->mr;
    const int64_t blocks = w.a->lists * w.a->per_list;
    const at_mark mark = at_arena_mark(r->arena);
    if (prepare(&w))
        for (; w.from_block < blocks; w.from_block = w.to_block) {
            w.to_block = at_min(w.from_block + w.depth / w.k->nr, blocks);
            at_run_par(r, w.to_block - w.from_block, 1, blocks_part, &w);
            const int64_t lists =
                (w.to_block - 1) / w.a->per_list - w.from_block / w.a->per_list + 1;
            if (w.dk || w.dv) at_run_par(r, lists * panels, 4, panels_part, &w);
        }
    at_arena_rewind(r->arena, mark);
}
