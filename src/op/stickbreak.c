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

/* As if every stick lasted to the oldest key. */
static void stickbreak_cost(const at_node *n, at_cost *c) {
    const at_stick *a = n->attr;
    at_slots_cost(a->lists, a->U, a->slots, a->past, a->D, c);
    c->scratch = at_stick_bwd_bytes(n);
}

const at_op at_op_stickbreak = {"stickbreak", stickbreak_fwd, at_stick_bwd, stickbreak_cost};

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
