/*
 * stickbreak.c - stick-breaking attention in tiles of the matrix microkernel: the op, forward.
 *
 * Each query has a stick of length 1; from the newest key to the oldest, each key breaks off the part
 * beta = sigmoid(score) of what is left, and that is its weight.  One task is one block of w = nr
 * queries of one head:
 *   S^T = K Q^T [keys, w], a chunk of keys at a time from the newest; weights A^T in place of the
 *   scores, until all sticks of the block are used up;  Y^T = V^T A^T [D, w]
 * What is left of a stick is kept as the product of (1 - beta), not as a sum of logarithms: that needs
 * one exp and one division a weight, and has the rounding errors of a product of T factors.
 */
#include "op/stickbreak.h"
#include "op/slots.h"
#include <math.h>

at_stick_block at_stick_block_at(const at_stick *a, int nr, int64_t index) {
    at_stick_block b = {.list = index / a->per_list, .first = index % a->per_list * nr};
    b.n = at_min(nr, a->U - b.first);
    b.at = (b.list / a->H * a->U + b.first) * a->A + b.list % a->H * a->D;
    b.from = a->from ? a->from[b.list / a->H] : 0;
    b.all = a->past + b.first / a->slots + 1;
    b.seen = a->past + (b.first + b.n - 1) / a->slots + 1;
    return b;
}

/* ---- packing ---- */

typedef struct {
    const at_stick *a;
    const at_kernels *k;
    const at_real *x;
    at_real *to;
    at_stick_order order;
    int64_t piece, pieces; /* keys of a task, tasks of a list */
} packing;

int64_t at_stick_packed(const at_stick *a, const at_kernels *k, at_stick_order order) {
    return order == AT_STICK_BY_KEY ? at_round_up(a->S, k->mr) * a->D
                                    : at_round_up(a->D, k->mr) * a->S;
}

static void pack_part(void *arg, int64_t begin, int64_t end, int worker) {
    const packing *p = arg;
    const at_stick *a = p->a;
    const int mr = p->k->mr;
    (void)worker;
    for (int64_t i = begin; i < end; i++) {
        const int64_t list = i / p->pieces, key = i % p->pieces * p->piece;
        const int64_t n = at_min(p->piece, a->S - key);
        const at_real *x = p->x + at_stick_list_at(a, list) + key * a->A;
        at_real *to = p->to + list * at_stick_packed(a, p->k, p->order);
        if (p->order == AT_STICK_BY_KEY)
            p->k->pack_transposed(a->D, n, mr, x, a->A, to + key * a->D);
        else
            for (int64_t d = 0; d < a->D; d += mr)
                p->k->pack(n, at_min(mr, a->D - d), mr, x + d, a->A, to + d * a->S + key * mr);
    }
}

at_real *at_stick_pack(at_run *r, const at_stick *a, const at_real *x, at_stick_order order) {
    const at_kernels *k = &r->cp->k;
    const int64_t values = a->lists * at_stick_packed(a, k, order), piece = 16 * k->mr;
    packing p = {.a = a, .k = k, .x = x, .order = order, .piece = piece};
    p.pieces = (a->S + piece - 1) / piece;
    p.to = at_run_alloc(r, (size_t)values * sizeof *p.to);
    if (p.to) at_run_par(r, a->lists * p.pieces, 1, pack_part, &p);
    return p.to;
}

/* ---- weights ---- */

int64_t at_stick_weights(const at_kernels *k, const at_stick *a, const at_stick_block *b,
                         const at_real *keys, const at_real *query, at_real *p, at_real *share,
                         at_real *left) {
    const at_real scale = (at_real)(1 / sqrt((double)a->D));
    const int64_t chunk = at_round_up(48, k->mr);
    const int w = k->nr;
    for (int j = 0; j < w; j++) left[j] = j < b->n ? 1 : 0; /* columns past the end take nothing */
    int64_t end = b->seen;
    bool some = true;
    while (some && end > b->from) {
        const int64_t begin = (end - 1) / chunk * chunk;
        for (int64_t i = begin; i < end; i += k->mr)
            k->tile(a->D, keys + i * a->D, query, AT_TILE_SET, p + i * w, w);
        for (int64_t i = begin > b->all ? begin : b->all; i < end;
             i++) /* mask keys after the query */
            at_mask_scores(p + i * w, at_min(b->n, (i - a->past) * a->slots - b->first));
        for (int64_t i = begin * w; i < at_min(b->from, end) * w; i++) p[i] = (at_real)-INFINITY;
        some = k->stick_columns(end - begin, w, scale, p + begin * w,
                                share ? share + begin * w : NULL, left);
        end = begin;
    }
    return end;
}

bool at_stick_scratch(at_run *r, at_stick *a, int64_t values) {
    a->scratch = at_scratch(r->cp, values);
    a->stride = at_scratch_stride(values);
    if (!a->scratch) at_fail(r, AT_OOM, "stickbreak: %s", r->ctx->message);
    return a->scratch != NULL;
}

/* ---- forward ---- */

typedef struct {
    at_real *query;   /* panel of nr queries, depth D       */
    at_real *p;       /* [S up to mr, nr]                   */
    at_real *left;    /* [nr]                               */
    at_real *y, *tmp; /* [D up to mr, nr], and transposed       */
} fwd_memory;

static int64_t fwd_cut(fwd_memory *m, at_real *base, const at_kernels *k, const at_stick *a) {
    at_carver c = {base, 0};
    m->query = at_carve(&c, k->nr * a->D);
    m->p = at_carve(&c, at_round_up(a->S, k->mr) * k->nr);
    m->left = at_carve(&c, k->nr);
    m->y = at_carve(&c, at_round_up(a->D, k->mr) * k->nr);
    m->tmp = at_carve(&c, k->nr * a->D);
    return c.used;
}

static void fwd_part(void *arg, int64_t begin, int64_t end, int worker) {
    const at_node *n = arg;
    const at_stick *a = n->attr;
    const at_kernels *k = &n->run->cp->k;
    const int w = k->nr;
    fwd_memory m;
    (void)fwd_cut(&m, a->scratch + worker * a->stride, k, a);
    for (int64_t i = begin; i < end; i++) { /* blocks with the most keys first */
        const at_stick_block b = at_stick_block_at(a, w, a->lists * a->per_list - 1 - i);
        const at_real *keys = a->keys + b.list * at_stick_packed(a, k, AT_STICK_BY_KEY);
        const at_real *values = a->values + b.list * at_stick_packed(a, k, AT_STICK_BY_VALUE);
        k->pack_transposed(a->D, b.n, w, n->in[0]->data + b.at, a->A, m.query);
        const int64_t from = at_stick_weights(k, a, &b, keys, m.query, m.p, NULL, m.left);
        for (int64_t d = 0; d < a->D; d += k->mr)
            k->tile(b.seen - from, values + d * a->S + from * k->mr, m.p + from * w, AT_TILE_SET,
                    m.y + d * w, w);
        at_write_transposed(k, b.n, a->D, m.y, NULL, m.tmp, n->out->data + b.at, a->A, false);
    }
}

static void stickbreak_fwd(at_node *n) {
    at_run *r = n->run;
    at_stick *a = n->attr;
    fwd_memory m;
    const at_mark mark = at_arena_mark(r->arena);
    a->keys = at_stick_pack(r, a, n->in[1]->data, AT_STICK_BY_KEY);
    a->values = at_stick_pack(r, a, n->in[2]->data, AT_STICK_BY_VALUE);
    if (a->values && at_stick_scratch(r, a, fwd_cut(&m, NULL, &r->cp->k, a)))
        at_run_par(r, a->lists * a->per_list, 1, fwd_part, n);
    at_arena_rewind(r->arena, mark);
}

const at_op at_op_stickbreak = {"stickbreak", stickbreak_fwd, at_stick_bwd};

/* Checks `from`.  A query before it sees no key: y = 0. */
static bool sane_from(at_run *r, const int32_t *from, int64_t B, int64_t S) {
    for (int64_t b = 0; from && b < B; b++)
        if (from[b] < 0 || from[b] > S) {
            (void)at_fail(r, AT_ARG, "stickbreak: sequence %lld begins at %d of %lld keys",
                          (long long)b, from[b], (long long)S);
            return false;
        }
    return true;
}

at_tensor *at_stickbreak(at_run *r, at_tensor *q, at_tensor *k, at_tensor *v, int64_t B, int64_t T,
                         int64_t slots, int heads) {
    return at_stickbreak_from(r, q, k, v, B, T, slots, heads, NULL);
}

at_tensor *at_stickbreak_from(at_run *r, at_tensor *q, at_tensor *k, at_tensor *v, int64_t B,
                              int64_t T, int64_t slots, int heads, const int32_t *from) {
    if (!q || !k || !v) return NULL;
    if (!at_slots_fit(r, "stickbreak", q, k, v, B, T, slots, heads)) return NULL;
    const int64_t A = at_cols(k), S = at_rows(k) / B;
    if (!sane_from(r, from, B, S)) return NULL;
    at_stick *a = at_run_alloc(r, sizeof *a);
    at_tensor *y = a ? at_new(r, 3, (int64_t[]){B * T, slots, A}) : NULL;
    if (!y) return NULL;
    *a = (at_stick){.S = S, .A = A, .D = A / heads, .U = T * slots, .slots = slots, .past = S - T};
    a->H = heads;
    a->from = from;
    a->lists = B * heads;
    a->per_list = (a->U + r->cp->k.nr - 1) / r->cp->k.nr;
    return at_apply(r, &at_op_stickbreak, (at_tensor *[]){q, k, v}, 3, y, a);
}
