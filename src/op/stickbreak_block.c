/* stickbreak_block.c - what both directions of stick-breaking attention share: blocks of queries, packed
   keys and values, and the weights of a block. */
#include "op/stickbreak.h"
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
