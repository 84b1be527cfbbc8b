/*
 * attention.c - causal attention in tiles of the matrix microkernel.
 *
 * Queries, keys and values are rows of any stride, so the same code serves both forms: q, k, v side
 * by side in one tensor; and a tensor for each, where the slots of a token are neighbouring queries
 * that see the same keys.
 *
 * One task is one head of one sequence, so that no two workers write the same value.  Operands are
 * packed once per task into the panels that `tile` reads.  Scores are computed for a block of w =
 * nr queries (forward) or keys (backward) at a time, in a layout that the next product can use as a
 * packed panel without copying.  Extra memory is O(S) per worker.
 *
 *   forward, w queries:   S^T = K Q^T [keys, w],  P^T = softmax down the columns,
 *                         Y^T = V^T P^T [D, w]
 *   backward, w keys:     P = exp(s Q K^T - lse), dP = dY V^T, dS = s P (dP - rowsum(dY Y)),
 *                         dV^T = dY^T P, dK^T = Q^T dS, dQ += dS K
 *
 * Keeps the log-sum-exp of each row, as Dao et al. 2022 (arXiv 2205.14135).
 */
#include "base/maths.h"
#include "op/op.h"
#include "op/slots.h"
#include "op/tiled.h"
#include <math.h>

/* q and y have a row for each query, k and v one for each key; a list is one head of one sequence.
   Gradients are written in the order dq, dk, dv: they may share a buffer (k and v one tensor),
   which only the first assigns. */
typedef struct {
    int64_t U, slots, S, past; /* queries of a sequence, of a token; keys, keys before it    */
    int64_t D, H, lists;
    int64_t ldq, ldk, ldy; /* from row to row                                          */
    const at_real *q, *k, *v;
    at_real *lse;                   /* [lists, U]                                      */
    at_real *dq, *dk, *dv;          /* backward; NULL: not wanted                      */
    bool fresh_q, fresh_k, fresh_v; /* assign it                                       */
    at_real *scratch;               /* per worker, at_scratch                          */
    int64_t stride;
} attention_attr;

static int64_t query_at(const attention_attr *a, int64_t list) {
    return list / a->H * a->U * a->ldq + list % a->H * a->D;
}
static int64_t key_at(const attention_attr *a, int64_t list) {
    return list / a->H * a->S * a->ldk + list % a->H * a->D;
}
static int64_t out_at(const attention_attr *a, int64_t list) {
    return list / a->H * a->U * a->ldy + list % a->H * a->D;
}
/* Number of keys that query u sees. */
static int64_t keys_seen(const attention_attr *a, int64_t u) { return a->past + u / a->slots + 1; }

/* ---- forward ---- */

typedef struct {
    at_real *keys;      /* K as panels of mr keys, depth D           */
    at_real *values;    /* V^T as panels of mr values, depth S       */
    at_real *query;     /* Q^T, one panel of nr queries, depth D     */
    at_real *s;         /* [S up to mr, nr]                          */
    at_real *y, *tmp;   /* [D up to mr, nr], and transposed              */
    at_real *top, *sum; /* [nr]                                      */
} fwd_memory;

static int64_t fwd_cut(fwd_memory *m, at_real *base, const at_kernels *k, int64_t S, int64_t D) {
    at_carver c = {base, 0};
    m->keys = at_carve(&c, at_round_up(S, k->mr) * D);
    m->values = at_carve(&c, at_round_up(D, k->mr) * S);
    m->query = at_carve(&c, k->nr * D);
    m->s = at_carve(&c, at_round_up(S, k->mr) * k->nr);
    m->y = at_carve(&c, at_round_up(D, k->mr) * k->nr);
    m->tmp = at_carve(&c, k->nr * D);
    m->top = at_carve(&c, k->nr);
    m->sum = at_carve(&c, k->nr);
    return c.used;
}

static void fwd_list(const at_kernels *k, const attention_attr *a, const fwd_memory *m,
                     int64_t list, at_real *y) {
    const int64_t S = a->S, D = a->D;
    const at_real *q = a->q + query_at(a, list);
    const at_real scale = (at_real)(1 / sqrt((double)D));
    const int w = k->nr;
    k->pack_transposed(D, S, k->mr, a->k + key_at(a, list), a->ldk, m->keys);
    k->pack(S, D, k->mr, a->v + key_at(a, list), a->ldk, m->values);
    for (int64_t u = 0; u < a->U; u += w) {
        const int64_t n = at_min(w, a->U - u), keys = keys_seen(a, u + n - 1);
        k->pack_transposed(D, n, w, q + u * a->ldq, a->ldq, m->query);
        for (int64_t i = 0; i < keys; i += k->mr)
            k->tile(D, m->keys + i * D, m->query, AT_TILE_SET, m->s + i * w, w);
        for (int64_t i = keys_seen(a, u); i < keys; i++) /* mask keys after the query */
            at_mask_scores(m->s + i * w, at_min(n, (i - a->past) * a->slots - u));
        k->softmax_columns(keys, w, scale, m->s, m->top, m->sum);
        for (int64_t d = 0; d < D; d += k->mr)
            k->tile(keys, m->values + d * S, m->s, AT_TILE_SET, m->y + d * w, w);
        at_write_transposed(k, n, D, m->y, m->sum, m->tmp, y + u * a->ldy, a->ldy, false);
        at_real *lse = a->lse + list * a->U + u;
        for (int64_t j = 0; j < n; j++)
            lse[j] = (at_real)((double)(scale * m->top[j]) + at_ln((double)m->sum[j]));
    }
}

static void fwd_part(void *arg, int64_t begin, int64_t end, int worker) {
    const at_node *n = arg;
    const attention_attr *a = n->attr;
    const at_kernels *k = &n->run->cp->k;
    fwd_memory m;
    (void)fwd_cut(&m, a->scratch + worker * a->stride, k, a->S, a->D);
    for (int64_t i = begin; i < end; i++) fwd_list(k, a, &m, i, n->out->data + out_at(a, i));
}

/* ---- backward ---- */

typedef struct {
    at_real *q, *dy;      /* as panels of mr rows, depth D              */
    at_real *qt, *dyt;    /* transposed, as panels of mr values, depth U */
    at_real *key, *value; /* one panel of nr keys, depth D             */
    at_real *flat;        /* the same keys as panels of nr values, depth nr */
    at_real *p, *ds;      /* [U up to mr, nr]                           */
    at_real *ds_panels;   /* dS as panels of mr queries, depth nr       */
    at_real *t, *tmp;     /* [D up to mr, nr], and transposed               */
    at_real *edge;        /* [mr, nr]                                   */
    at_real *dot;         /* [U] rowsum(dY Y)                           */
} bwd_memory;

static int64_t bwd_cut(bwd_memory *m, at_real *base, const at_kernels *k, int64_t U, int64_t D) {
    at_carver c = {base, 0};
    const int64_t rows = at_round_up(U, k->mr) + k->mr;
    m->q = at_carve(&c, rows * D);
    m->dy = at_carve(&c, rows * D);
    m->qt = at_carve(&c, at_round_up(D, k->mr) * U);
    m->dyt = at_carve(&c, at_round_up(D, k->mr) * U);
    m->key = at_carve(&c, k->nr * D);
    m->value = at_carve(&c, k->nr * D);
    m->flat = at_carve(&c, at_round_up(D, k->nr) * k->nr);
    m->p = at_carve(&c, rows * k->nr);
    m->ds = at_carve(&c, rows * k->nr);
    m->ds_panels = at_carve(&c, rows * k->nr);
    m->t = at_carve(&c, at_round_up(D, k->mr) * k->nr);
    m->tmp = at_carve(&c, k->nr * D);
    m->edge = at_carve(&c, k->mr * k->nr);
    m->dot = at_carve(&c, U);
    return c.used;
}

/* dq[rows, D] (+)= dS K for n keys; rows is a multiple of mr except at the end of the sequence.  A
   sum is one chain over all blocks of keys, so that their width, nr, changes no bit. */
static void bwd_query(const at_kernels *k, const bwd_memory *m, int64_t rows, int64_t n, int64_t D,
                      at_real *dq, int64_t ld, bool plus) {
    k->pack_transposed(n, rows, k->mr, m->ds, k->nr, m->ds_panels);
    for (int64_t d = 0; d < D; d += k->nr)
        for (int64_t i = 0; i < rows; i += k->mr)
            at_tile_at(k, n, m->ds_panels + i * n, m->flat + d * n, plus, at_min(k->mr, rows - i),
                       at_min(k->nr, D - d), m->edge, dq + i * ld + d, ld);
}

/* Gradients through keys [j0, j0+n) of a list. */
static void bwd_keys(const at_kernels *k, const attention_attr *a, const bwd_memory *m,
                     int64_t list, int64_t j0) {
    const int64_t D = a->D, ld = a->ldk, n = at_min(k->nr, a->S - j0);
    const int64_t u0 = j0 > a->past ? (j0 - a->past) * a->slots
                                    : 0; /* the first query that sees one of these keys */
    const int64_t i0 = u0 / k->mr * k->mr, rows = a->U - i0, skip = u0 - i0; /* whole panels */
    const int64_t at = key_at(a, list) + j0 * ld;
    const at_real scale = (at_real)(1 / sqrt((double)D)), *lse = a->lse + list * a->U;
    const int w = k->nr;
    k->pack_transposed(D, n, w, a->k + at, ld, m->key);
    k->pack_transposed(D, n, w, a->v + at, ld, m->value);
    k->pack(n, D, w, a->k + at, ld, m->flat);
    for (int64_t i = 0; i < rows; i += k->mr) {
        k->tile(D, m->q + (i0 + i) * D, m->key, AT_TILE_SET, m->p + i * w, w);
        k->tile(D, m->dy + (i0 + i) * D, m->value, AT_TILE_SET, m->ds + i * w, w);
    }
    for (int64_t i = 0; i < rows && keys_seen(a, i0 + i) < j0 + w;
         i++) { /* mask queries before the key */
        const int64_t seen = keys_seen(a, i0 + i) - j0;
        const int64_t j = seen > 0 ? seen : 0;
        at_mask_scores(m->p + i * w + j, w - j);
    }
    k->softmax_columns_grad(rows, w, scale, lse + i0, m->dot + i0, m->p, m->ds);
    if (a->dq)
        bwd_query(k, m, rows, n, D, a->dq + query_at(a, list) + i0 * a->ldq, a->ldq,
                  !a->fresh_q || j0 > 0);
    for (int64_t d = 0; d < D && a->dk; d += k->mr)
        k->tile(rows - skip, m->qt + d * a->U + u0 * k->mr, m->ds + skip * w, AT_TILE_SET,
                m->t + d * w, w);
    if (a->dk) at_write_transposed(k, n, D, m->t, NULL, m->tmp, a->dk + at, ld, !a->fresh_k);
    for (int64_t d = 0; d < D && a->dv; d += k->mr)
        k->tile(rows - skip, m->dyt + d * a->U + u0 * k->mr, m->p + skip * w, AT_TILE_SET,
                m->t + d * w, w);
    if (a->dv) at_write_transposed(k, n, D, m->t, NULL, m->tmp, a->dv + at, ld, !a->fresh_v);
}

static void bwd_part(void *arg, int64_t begin, int64_t end, int worker) {
    const at_node *n = arg;
    const attention_attr *a = n->attr;
    const at_kernels *k = &n->run->cp->k;
    const int64_t U = a->U, D = a->D;
    bwd_memory m;
    (void)bwd_cut(&m, a->scratch + worker * a->stride, k, U, D);
    for (int64_t list = begin; list < end; list++) {
        const at_real *q = a->q + query_at(a, list), *y = n->out->data + out_at(a, list);
        const at_real *dy = n->out->grad + out_at(a, list);
        k->pack_transposed(D, U, k->mr, q, a->ldq, m.q);
        k->pack(U, D, k->mr, q, a->ldq, m.qt);
        k->pack_transposed(D, U, k->mr, dy, a->ldy, m.dy);
        k->pack(U, D, k->mr, dy, a->ldy, m.dyt);
        for (int64_t i = 0; i < U; i++) m.dot[i] = k->dot(D, dy + i * a->ldy, y + i * a->ldy);
        for (int64_t j = 0; j < a->S; j += k->nr) bwd_keys(k, a, &m, list, j);
    }
}

/* ---- op ---- */

static bool lend(at_node *n, int64_t values) {
    attention_attr *a = n->attr;
    a->scratch = at_scratch(n->run->cp, values);
    a->stride = at_scratch_stride(values);
    if (!a->scratch) at_fail(n->run, AT_OOM, "attention: %s", n->run->ctx->message);
    return a->scratch != NULL;
}

static void attention_fwd(at_node *n) {
    const attention_attr *a = n->attr;
    fwd_memory m;
    if (lend(n, fwd_cut(&m, NULL, &n->run->cp->k, a->S, a->D)))
        at_run_par(n->run, a->lists, 1, fwd_part, n);
}

static void attention_bwd(at_node *n) {
    attention_attr *a = n->attr;
    bwd_memory m;
    a->dq = at_grad_fresh(n, 0, &a->fresh_q);
    if (n->n_in == 1) { /* side by side */
        a->dk = a->dq ? a->dq + (a->k - a->q) : NULL;
        a->dv = a->dq ? a->dq + (a->v - a->q) : NULL;
        a->fresh_k = a->fresh_v = a->fresh_q;
    } else {
        a->dk = at_grad_fresh(n, 1, &a->fresh_k);
        a->dv = at_grad_fresh(n, 2, &a->fresh_v);
    }
    if (n->run->status == AT_OK && lend(n, bwd_cut(&m, NULL, &n->run->cp->k, a->U, a->D)))
        at_run_par(n->run, a->lists, 1, bwd_part, n);
}

static void attention_cost(const at_node *n, at_cost *c) {
    const attention_attr *a = n->attr;
    at_slots_cost(a->lists, a->U, a->slots, a->past, a->D, c);
}

const at_op at_op_attention = {"attention", attention_fwd, attention_bwd, attention_cost};

static attention_attr *keep(at_run *r, const attention_attr *sizes) {
    attention_attr *a = at_run_alloc(r, sizeof *a);
    if (!a) return NULL;
    *a = *sizes;
    a->lse = at_run_values(r, (size_t)(a->lists * a->U) * sizeof *a->lse);
    return a->lse ? a : NULL;
}

at_tensor *at_attention(at_run *r, at_tensor *qkv, int64_t B, int64_t T, int heads) {
    if (!qkv) return NULL;
    const int64_t C = at_cols(qkv) / 3;
    if (at_cols(qkv) != 3 * C || heads < 1 || C % heads != 0 || at_rows(qkv) != B * T) {
        char s[96];
        return at_fail(r, AT_SHAPE, "attention: qkv %s for %lld x %lld tokens and %d heads",
                       at_shape_text(qkv, s), (long long)B, (long long)T, heads);
    }
    attention_attr *a = keep(r, &(attention_attr){.U = T,
                                                  .slots = 1,
                                                  .S = T,
                                                  .D = C / heads,
                                                  .H = heads,
                                                  .lists = B * heads,
                                                  .ldq = 3 * C,
                                                  .ldk = 3 * C,
                                                  .ldy = C,
                                                  .q = qkv->data,
                                                  .k = qkv->data + C,
                                                  .v = qkv->data + 2 * C});
    at_tensor *y = a ? at_new2(r, B * T, C) : NULL;
    return y ? at_apply(r, &at_op_attention, &qkv, 1, y, a) : NULL;
}

at_tensor *at_attention_slots(at_run *r, at_tensor *q, at_tensor *k, at_tensor *v, int64_t B,
                              int64_t T, int64_t slots, int heads) {
    if (!q || !k || !v) return NULL;
    if (!at_slots_fit(r, "attention", q, k, v, B, T, slots, heads)) return NULL;
    const int64_t A = at_cols(k), S = at_rows(k) / B;
    attention_attr *a = keep(r, &(attention_attr){.U = T * slots,
                                                  .slots = slots,
                                                  .S = S,
                                                  .past = S - T,
                                                  .D = A / heads,
                                                  .H = heads,
                                                  .lists = B * heads,
                                                  .ldq = A,
                                                  .ldk = A,
                                                  .ldy = A,
                                                  .q = q->data,
                                                  .k = k->data,
                                                  .v = v->data});
    at_tensor *y = a ? at_new(r, 3, (int64_t[]){B * T, slots, A}) : NULL;
    return y ? at_apply(r, &at_op_attention, (at_tensor *[]){q, k, v}, 3, y, a) : NULL;
}
