/*
 * attention.c - causal attention in tiles of the matrix micro-kernel.
 *
 * One task is one head of one sequence, so that no two workers write the same value.  Operands are
 * packed once per task into the panels `tile` reads; scores exist for a block of w = nr queries
 * (forward) or keys (backward) at a time and are laid out so that the product that consumes them
 * reads them as a packed panel where they lie.  Extra memory is O(T) per worker.
 *
 *   forward, w queries:   S^T = K Q^T [keys, w],  P^T = softmax down the columns,
 *                         Y^T = V^T P^T [D, w]
 *   backward, w keys:     P = exp(s Q K^T - lse), dP = dY V^T, dS = s P (dP - rowsum(dY Y)),
 *                         dV^T = dY^T P, dK^T = Q^T dS, dQ += dS K
 *
 * Keeps the log-sum-exp of each row, as Dao et al. 2022 (arXiv 2205.14135).
 */
#include "op/op.h"
#include "op/tiled.h"
#include <math.h>

typedef struct {
    int64_t B, T, C, D;
    int H;
    at_real *lse; /* [B,H,T] */
    at_real *d;   /* backward: gradient of qkv; fresh: assign it */
    bool fresh;
    at_real *scratch; /* per worker, at_scratch */
    int64_t stride;
} attention_attr;

/* ---- forward ---- */

typedef struct {
    at_real *keys;      /* K as panels of mr keys, depth D           */
    at_real *values;    /* V^T as panels of mr values, depth T       */
    at_real *query;     /* Q^T, one panel of nr queries, depth D     */
    at_real *s;         /* [T up to mr, nr]                          */
    at_real *y, *tmp;   /* [D up to mr, nr], and turned              */
    at_real *top, *sum; /* [nr]                                      */
} fwd_memory;

static int64_t fwd_cut(fwd_memory *m, at_real *base, const at_kernels *k, int64_t T, int64_t D) {
    at_cutter c = {base, 0};
    m->keys = at_cut(&c, at_up(T, k->mr) * D);
    m->values = at_cut(&c, at_up(D, k->mr) * T);
    m->query = at_cut(&c, k->nr * D);
    m->s = at_cut(&c, at_up(T, k->mr) * k->nr);
    m->y = at_cut(&c, at_up(D, k->mr) * k->nr);
    m->tmp = at_cut(&c, k->nr * D);
    m->top = at_cut(&c, k->nr);
    m->sum = at_cut(&c, k->nr);
    return c.used;
}

static void fwd_head(const at_kernels *k, const attention_attr *a, const fwd_memory *m,
                     const at_real *q, at_real *y, at_real *lse) {
    const int64_t T = a->T, D = a->D, ld = 3 * a->C;
    const at_real scale = (at_real)(1 / sqrt((double)D));
    const int w = k->nr;
    k->pack_turn(D, T, k->mr, q + a->C, ld, m->keys);
    k->pack_copy(T, D, k->mr, q + 2 * a->C, ld, m->values);
    for (int64_t j0 = 0; j0 < T; j0 += w) {
        const int64_t n = at_least(w, T - j0), keys = j0 + n;
        k->pack_turn(D, n, w, q + j0 * ld, ld, m->query);
        for (int64_t i = 0; i < keys; i += k->mr)
            k->tile(D, m->keys + i * D, m->query, 0, m->s + i * w, w);
        for (int64_t i = j0; i < keys; i++) /* keys after the query */
            for (int64_t j = j0; j < i; j++) m->s[i * w + j - j0] = (at_real)-INFINITY;
        k->soft_down(keys, w, scale, m->s, m->top, m->sum);
        for (int64_t d = 0; d < D; d += k->mr)
            k->tile(keys, m->values + d * T, m->s, 0, m->y + d * w, w);
        at_turn_out(k, n, D, m->y, m->sum, m->tmp, y + j0 * a->C, a->C, false);
        for (int64_t j = 0; j < n; j++)
            lse[j0 + j] = (at_real)((double)(scale * m->top[j]) + log((double)m->sum[j]));
    }
}

static void fwd_part(void *arg, int64_t begin, int64_t end, int worker) {
    const at_node *n = arg;
    const attention_attr *a = n->attr;
    const at_kernels *k = &n->run->cp->k;
    fwd_memory m;
    (void)fwd_cut(&m, a->scratch + worker * a->stride, k, a->T, a->D);
    for (int64_t bh = begin; bh < end; bh++) {
        const int64_t row = bh / a->H * a->T, h = bh % a->H * a->D;
        fwd_head(k, a, &m, n->in[0]->data + row * 3 * a->C + h, n->out->data + row * a->C + h,
                 a->lse + bh * a->T);
    }
}

/* ---- backward ---- */

typedef struct {
    at_real *q, *dy;      /* as panels of mr rows, depth D              */
    at_real *qt, *dyt;    /* transposed, as panels of mr values, depth T */
    at_real *key, *value; /* one panel of nr keys, depth D             */
    at_real *flat;        /* the same keys as panels of nr values, depth nr */
    at_real *p, *ds;      /* [T up to mr, nr]                           */
    at_real *turned;      /* dS as panels of mr queries, depth nr       */
    at_real *t, *tmp;     /* [D up to mr, nr], and turned               */
    at_real *edge;        /* [mr, nr]                                   */
    at_real *dot;         /* [T] rowsum(dY Y)                           */
} bwd_memory;

static int64_t bwd_cut(bwd_memory *m, at_real *base, const at_kernels *k, int64_t T, int64_t D) {
    at_cutter c = {base, 0};
    const int64_t rows = at_up(T, k->mr) + k->mr;
    m->q = at_cut(&c, rows * D);
    m->dy = at_cut(&c, rows * D);
    m->qt = at_cut(&c, at_up(D, k->mr) * T);
    m->dyt = at_cut(&c, at_up(D, k->mr) * T);
    m->key = at_cut(&c, k->nr * D);
    m->value = at_cut(&c, k->nr * D);
    m->flat = at_cut(&c, at_up(D, k->nr) * k->nr);
    m->p = at_cut(&c, rows * k->nr);
    m->ds = at_cut(&c, rows * k->nr);
    m->turned = at_cut(&c, rows * k->nr);
    m->t = at_cut(&c, at_up(D, k->mr) * k->nr);
    m->tmp = at_cut(&c, k->nr * D);
    m->edge = at_cut(&c, k->mr * k->nr);
    m->dot = at_cut(&c, T);
    return c.used;
}

/* dq[rows, D] (+)= dS K for n keys; rows is a multiple of mr except at the end of the sequence. */
static void bwd_query(const at_kernels *k, const bwd_memory *m, int64_t rows, int64_t n, int64_t D,
                      at_real *dq, int64_t ld, bool plus) {
    k->pack_turn(n, rows, k->mr, m->ds, k->nr, m->turned);
    for (int64_t d = 0; d < D; d += k->nr) {
        const int64_t cols = at_least(k->nr, D - d);
        for (int64_t i = 0; i < rows; i += k->mr) {
            const int64_t high = at_least(k->mr, rows - i);
            const at_real *x = m->turned + i * n, *y = m->flat + d * n;
            at_real *to = dq + i * ld + d;
            if (high == k->mr && cols == k->nr) {
                k->tile(n, x, y, plus ? 1 : 0, to, ld);
                continue;
            }
            k->tile(n, x, y, 0, m->edge, k->nr);
            for (int64_t r = 0; r < high; r++)
                for (int64_t c = 0; c < cols; c++)
                    to[r * ld + c] =
                        plus ? to[r * ld + c] + m->edge[r * k->nr + c] : m->edge[r * k->nr + c];
        }
    }
}

/* Gradients through keys [j0, j0+n) of one head; q, dq at the head's first row. */
static void bwd_keys(const at_kernels *k, const attention_attr *a, const bwd_memory *m, int64_t j0,
                     const at_real *q, const at_real *lse, at_real *dq) {
    const int64_t T = a->T, D = a->D, ld = 3 * a->C, n = at_least(k->nr, T - j0);
    const int64_t i0 = j0 / k->mr * k->mr, rows = T - i0, skip = j0 - i0; /* whole panels */
    const at_real *key = q + a->C + j0 * ld, *value = key + a->C;
    const at_real scale = (at_real)(1 / sqrt((double)D));
    const int w = k->nr;
    k->pack_turn(D, n, w, key, ld, m->key);
    k->pack_turn(D, n, w, value, ld, m->value);
    k->pack_copy(n, D, w, key, ld, m->flat);
    for (int64_t i = 0; i < rows; i += k->mr) {
        k->tile(D, m->q + (i0 + i) * D, m->key, 0, m->p + i * w, w);
        k->tile(D, m->dy + (i0 + i) * D, m->value, 0, m->ds + i * w, w);
    }
    for (int64_t i = 0; i < rows && i < skip + n; i++) /* queries before the key */
        for (int64_t j = i < skip ? 0 : i - skip + 1; j < w; j++)
            m->p[i * w + j] = (at_real)-INFINITY;
    k->soft_grad(rows, w, scale, lse + i0, m->dot + i0, m->p, m->ds);
    at_real *dk = dq + a->C + j0 * ld, *dv = dk + a->C;
    for (int64_t d = 0; d < D; d += k->mr)
        k->tile(T - j0, m->dyt + d * T + j0 * k->mr, m->p + skip * w, 0, m->t + d * w, w);
    at_turn_out(k, n, D, m->t, NULL, m->tmp, dv, ld, !a->fresh);
    for (int64_t d = 0; d < D; d += k->mr)
        k->tile(T - j0, m->qt + d * T + j0 * k->mr, m->ds + skip * w, 0, m->t + d * w, w);
    at_turn_out(k, n, D, m->t, NULL, m->tmp, dk, ld, !a->fresh);
    bwd_query(k, m, rows, n, D, dq + i0 * ld, ld, !a->fresh || j0 > 0);
}

static void bwd_part(void *arg, int64_t begin, int64_t end, int worker) {
    const at_node *n = arg;
    const attention_attr *a = n->attr;
    const at_kernels *k = &n->run->cp->k;
    const int64_t T = a->T, D = a->D, ld = 3 * a->C;
    bwd_memory m;
    (void)bwd_cut(&m, a->scratch + worker * a->stride, k, T, D);
    for (int64_t bh = begin; bh < end; bh++) {
        const int64_t row = bh / a->H * T, h = bh % a->H * D;
        const at_real *q = n->in[0]->data + row * ld + h, *y = n->out->data + row * a->C + h;
        const at_real *dy = n->out->grad + row * a->C + h;
        k->pack_turn(D, T, k->mr, q, ld, m.q);
        k->pack_copy(T, D, k->mr, q, ld, m.qt);
        k->pack_turn(D, T, k->mr, dy, a->C, m.dy);
        k->pack_copy(T, D, k->mr, dy, a->C, m.dyt);
        for (int64_t i = 0; i < T; i++) m.dot[i] = k->dot(D, dy + i * a->C, y + i * a->C);
        for (int64_t j0 = 0; j0 < T; j0 += k->nr)
            bwd_keys(k, a, &m, j0, q, a->lse + bh * T, a->d + row * ld + h);
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
    if (lend(n, fwd_cut(&m, NULL, &n->run->cp->k, a->T, a->D)))
        at_run_par(n->run, a->B * a->H, 1, fwd_part, n);
}

static void attention_bwd(at_node *n) {
    attention_attr *a = n->attr;
    bwd_memory m;
    a->d = at_grad_fresh(n, 0, &a->fresh);
    if (a->d && lend(n, bwd_cut(&m, NULL, &n->run->cp->k, a->T, a->D)))
        at_run_par(n->run, a->B * a->H, 1, bwd_part, n);
}

const at_op at_op_attention = {"attention", attention_fwd, attention_bwd};

at_tensor *at_attention(at_run *r, at_tensor *qkv, int64_t B, int64_t T, int heads) {
    if (!qkv) return NULL;
    const int64_t C = at_cols(qkv) / 3;
    if (at_cols(qkv) != 3 * C || heads < 1 || C % heads != 0 || at_rows(qkv) != B * T) {
        char s[96];
        return at_fail(r, AT_SHAPE, "attention: qkv %s for %lld x %lld tokens and %d heads",
                       at_shape_text(qkv, s), (long long)B, (long long)T, heads);
    }
    attention_attr *a = at_save(r, sizeof *a);
    if (!a) return NULL;
    *a = (attention_attr){.B = B, .T = T, .C = C, .D = C / heads, .H = heads};
    a->lse = at_save(r, (size_t)(B * T * heads) * sizeof *a->lse);
    if (!a->lse) return NULL;
    at_tensor *y = at_new2(r, B * T, C);
    return at_apply(r, &at_op_attention, &qkv, 1, y, a);
}
