/*
 * route.c - top-k routing: softmax over the experts, the k most probable ones, and lists by expert.
 *
 * Probabilities and log-sum-exp of each row are kept for backward and for the losses of
 * router_loss.h, so that nothing is computed from logits twice.
 */
#include "base/ints.h"
#include "base/rng.h"
#include "op/softmax_row.h"
#include <string.h>

enum { GRAIN = 64 }; /* rows */

typedef struct {
    at_real *p;    /* [n, e] */
    double *lse;   /* [n]    */
    int32_t *pick; /* [n, k] */
    int64_t k, drawn;
    uint64_t stream; /* of what is drawn */
    bool renormalise;
    const uint8_t *use; /* as in at_route_spec */
    uint8_t *pools;     /* [n / pool.rows, e] the same of each sequence, or NULL */
    at_route_pool pool; /* min and max as they hold here */
    double *sums;       /* [n / pool.rows, e] of probabilities */
    uint64_t pool_stream;
    at_real *dx; /* during backward     */
} route_attr;

/* Softmax over those in the sum.  They are put side by side for it, so that the result is to the bit
   that of a router without the others. */
static double softmax(const at_kernels *k, const uint8_t *use, int64_t e, const at_real *x,
                      at_real *p) {
    if (!use) return at_row_softmax(k, e, 1, x, p);
    int64_t m = 0;
    for (int64_t j = 0; j < e; j++)
        if (use[j] != AT_SLOT_EXCLUDED) p[m++] = x[j];
    const double lse = at_row_softmax(k, m, 1, p, p);
    for (int64_t j = e - 1; j >= 0; j--) p[j] = use[j] == AT_SLOT_EXCLUDED ? 0 : p[--m];
    return lse;
}

/* Whether j is no choice any more, after n of them. */
static bool gone(const uint8_t *use, const int32_t *pick, int64_t n, int32_t j) {
    bool is = use && use[j] != AT_SLOT_OPEN;
    for (int64_t i = 0; i < n && !is; i++) is = pick[i] == j;
    return is;
}

/* The k largest, each the first of its equals; whatever the values, k different experts. */
static void choose(const at_real *p, const uint8_t *use, int64_t e, int64_t k, int32_t *pick) {
    for (int64_t t = 0; t < k; t++) {
        int32_t best = -1;
        for (int32_t j = 0; j < e; j++) {
            if (best >= 0 && !(p[j] > p[best])) continue;
            if (!gone(use, pick, t, j)) best = j;
        }
        pick[t] = best;
    }
}

/* One more expert beside the n picked, in proportion to p + 1e-6; rounding ends at the last one. */
static int32_t draw(const at_real *p, const uint8_t *use, int64_t e, const int32_t *pick, int64_t n,
                    double u) {
    int32_t last = -1;
    double left = 0;
    for (int pass = 0; pass < 2; pass++) { /* their sum, then where u of it falls */
        if (pass) left *= u;
        for (int32_t j = 0; j < e; j++) {
            if (gone(use, pick, n, j)) continue;
            const double w = (double)p[j] + 1e-6;
            last = j;
            if (!pass)
                left += w;
            else if ((left -= w) < 0)
                return j;
        }
    }
    return last;
}

static void fwd_part(void *arg, int64_t begin, int64_t end, int worker) {
    const at_node *n = arg;
    const route_attr *a = n->attr;
    const int64_t e = at_cols(n->in[0]), k = a->k;
    (void)worker;
    for (int64_t i = begin; i < end; i++) {
        at_real *p = a->p + i * e, *g = n->out->data + i * k, sum = 0;
        int32_t *pick = a->pick + i * k;
        const uint8_t *use = a->pools ? a->pools + i / a->pool.rows * e : a->use;
        a->lse[i] = softmax(&n->run->cp->k, use, e, n->in[0]->data + i * e, p);
        choose(p, use, e, k - a->drawn, pick);
        for (int64_t t = k - a->drawn; t < k; t++)
            pick[t] = draw(p, use, e, pick, t,
                           at_uniform(n->run->seed, a->stream, (uint64_t)(i * a->drawn + t)));
        for (int64_t t = 0; t < k; t++) sum += g[t] = p[pick[t]];
        for (int64_t t = 0; t < k && a->renormalise;
             t++) /* they may all be 0 beside a closed one */
            g[t] = sum > 0 ? g[t] / sum : 1 / (at_real)k;
    }
}
/* The pools of some sequences: what is excluded in each. */
static void pool_part(void *arg, int64_t begin, int64_t end, int worker) {
    const at_node *n = arg;
    const route_attr *a = n->attr;
    const int64_t e = at_cols(n->in[0]), T = a->pool.rows;
    (void)worker;
    for (int64_t b = begin; b < end; b++) {
        uint8_t *use = a->pools + b * e;
        double *sum = a->sums + b * e;
        at_real *p = a->p + b * T * e;
        for (int64_t j = 0; j < e; j++) sum[j] = 0;
        for (int64_t t = 0; t < T; t++, p += e) {
            (void)softmax(&n->run->cp->k, a->use, e, n->in[0]->data + (b * T + t) * e, p);
            for (int64_t j = 0; j < e; j++) sum[j] += (double)p[j];
        }
        int64_t m = a->pool.min + (int64_t)at_rand_below((uint64_t)(a->pool.max - a->pool.min + 1),
                                                         n->run->seed, a->pool_stream, (uint64_t)b);
        for (int64_t j = 0; j < e; j++)
            use[j] = a->use && a->use[j] == AT_SLOT_CLOSED ? AT_SLOT_CLOSED : AT_SLOT_EXCLUDED;
        for (; m > 0; m--) {
            int64_t best = -1;
            for (int64_t j = 0; j < e; j++) {
                if (use[j] == AT_SLOT_OPEN || (a->use && a->use[j] != AT_SLOT_OPEN)) continue;
                if (best < 0 || sum[j] > sum[best]) best = j;
            }
            use[best] = AT_SLOT_OPEN;
        }
    }
}
static void route_fwd(at_node *n) {
    const route_attr *a = n->attr;
    if (a->pools) at_run_par(n->run, at_rows(n->in[0]) / a->pool.rows, 1, pool_part, n);
    at_run_par(n->run, at_rows(n->in[0]), GRAIN, fwd_part, n);
}

/* dlogits = p (dp - sum p dp), where dp is nonzero for the chosen experts only; with renormalised
   gates g = p / S it is dp = (dg - sum g dg) / S. */
static void bwd_part(void *arg, int64_t begin, int64_t end, int worker) {
    const at_node *n = arg;
    const route_attr *a = n->attr;
    const int64_t e = at_cols(n->in[0]), k = a->k;
    (void)worker;
    for (int64_t i = begin; i < end; i++) {
        const at_real *p = a->p + i * e, *g = n->out->data + i * k, *dg = n->out->grad + i * k;
        const int32_t *pick = a->pick + i * k;
        at_real *d = a->dx + i * e;
        double shift = 0, sum = 1, all = 0;
        if (a->renormalise) {
            sum = 0;
            for (int64_t t = 0; t < k; t++) {
                shift += (double)(g[t] * dg[t]);
                sum += (double)p[pick[t]];
            }
            if (!(sum > 0)) continue;
        }
        for (int64_t t = 0; t < k; t++) {
            const int32_t j = pick[t];
            const double dp = ((double)dg[t] - shift) / sum * (double)p[j];
            d[j] += (at_real)dp;
            all += dp;
        }
        n->run->cp->k.axpy(e, (at_real)-all, p, d);
    }
}
static void route_bwd(at_node *n) {
    route_attr *a = n->attr;
    a->dx = at_grad(n, 0);
    if (a->dx) at_run_par(n->run, at_rows(n->in[0]), GRAIN, bwd_part, n);
}

const at_op at_op_route = {"route", route_fwd, route_bwd, NULL};

/* Counting sort of the slots by expert, stable. */
static void sort_slots(const int32_t *pick, int64_t slots, int64_t e, int64_t *slot,
                       int64_t *first) {
    memset(first, 0, (size_t)(e + 2) * sizeof *first);
    for (int64_t s = 0; s < slots; s++) first[pick[s] + 2]++;
    for (int64_t j = 2; j < e + 2; j++) first[j] += first[j - 1];
    for (int64_t s = 0; s < slots; s++) slot[first[pick[s] + 1]++] = s;
}

at_tensor *at_route(at_run *r, at_tensor *logits, int64_t k, bool renormalise, at_routing *ro) {
    return at_route_by(r, logits, &(at_route_spec){.k = k, .renormalise = renormalise}, ro);
}

/* open: experts that may be chosen. */
static bool set_pool(at_run *r, route_attr *a, const at_route_pool *pool, int64_t n, int64_t e,
                     int64_t open) {
    if (pool->rows < 1 || n % pool->rows || pool->min > pool->max) {
        at_fail(r, AT_ARG,
                "route: pools of %lld to %lld experts for sequences of %lld of %lld rows",
                (long long)pool->min, (long long)pool->max, (long long)pool->rows, (long long)n);
        return false;
    }
    a->pool = (at_route_pool){at_max(at_min(pool->min, open), a->k),
                              at_max(at_min(pool->max, open), a->k), pool->rows};
    const size_t size = (size_t)(n / pool->rows * e);
    a->pools = at_run_values(r, size);
    a->sums = at_run_values(r, size * sizeof *a->sums);
    a->pool_stream = AT_STREAM_POOL + (++r->draw << 8);
    return r->status == AT_OK;
}

at_tensor *at_route_by(at_run *r, at_tensor *logits, const at_route_spec *how, at_routing *ro) {
    *ro = (at_routing){0};
    if (!logits) return NULL;
    const int64_t n = at_rows(logits), e = at_cols(logits), k = how->k;
    int64_t closed = 0, excluded = 0;
    for (int64_t j = 0; how->use && j < e; j++) {
        closed += how->use[j] != AT_SLOT_OPEN;
        excluded += how->use[j] == AT_SLOT_EXCLUDED;
    }
    if (k < 1 || k > e || e > INT32_MAX)
        return at_fail(r, AT_ARG, "route: %lld of %lld experts cannot be chosen", (long long)k,
                       (long long)e);
    if (k > e - closed)
        return at_fail(r, AT_ARG,
                       "route: %lld experts a token cannot be chosen where %lld of %lld are masked",
                       (long long)k, (long long)closed, (long long)e);
    if (how->drawn < 0 || how->drawn > k)
        return at_fail(r, AT_ARG, "route: %lld of %lld choices cannot be drawn",
                       (long long)how->drawn, (long long)k);
    route_attr *a = at_run_alloc(r, sizeof *a);
    if (!a) return NULL;
    *a = (route_attr){.k = k, .renormalise = how->renormalise, .use = closed ? how->use : NULL};
    if (how->pool.max > 0 && r->train && !set_pool(r, a, &how->pool, n, e, e - closed)) return NULL;
    if (how->drawn && r->train) {
        a->drawn = how->drawn;
        a->stream = AT_STREAM_ROUTE + (++r->draw << 8);
    }
    int64_t *slot = at_run_values(r, (size_t)(n * k) * sizeof *slot);
    int64_t *first = at_run_values(r, (size_t)(e + 2) * sizeof *first);
    a->p = at_run_values(r, (size_t)(n * e) * sizeof *a->p);
    a->lse = at_run_values(r, (size_t)n * sizeof *a->lse);
    a->pick = at_run_values(r, (size_t)(n * k) * sizeof *a->pick);
    at_tensor *g = at_new2(r, n, k);
    if (!(g = at_apply(r, &at_op_route, &logits, 1, g, a))) return NULL;
    if (!r->dry) sort_slots(a->pick, n * k, e, slot, first);
    *ro = (at_routing){n, k, e, e - excluded, a->pick, slot, first, a->p, a->lse};
    return g;
}

bool at_route_others(at_run *r, const at_routing *ro, const uint8_t *use, int64_t more,
                     at_routing *out) {
    const int64_t n = ro->n, e = ro->e;
    int64_t open = 0;
    for (int64_t j = 0; j < e; j++) open += !use || use[j] == AT_SLOT_OPEN;
    if (more < 1 || ro->k + more > open)
        return at_fail(r, AT_ARG, "route: %lld more experts beside %lld, but %lld are open",
                       (long long)more, (long long)ro->k, (long long)open);
    int32_t *pick = at_run_values(r, (size_t)(n * more) * sizeof *pick);
    int64_t *slot = at_run_values(r, (size_t)(n * more) * sizeof *slot);
    int64_t *first = at_run_values(r, (size_t)(e + 2) * sizeof *first);
    int32_t *taken = at_run_alloc(r, (size_t)(ro->k + more) * sizeof *taken);
    if (!pick || !slot || !first || !taken) return false;
    const uint64_t stream = AT_STREAM_ROUTE + (++r->draw << 8);
    for (int64_t i = 0; i < n && !r->dry; i++) {
        memcpy(taken, ro->pick + i * ro->k, (size_t)ro->k * sizeof *taken);
        for (int64_t t = 0; t < more; t++) {
            int64_t left = (int64_t)at_rand_below((uint64_t)(open - ro->k - t), r->seed, stream,
                                                  (uint64_t)(i * more + t));
            int32_t j = 0;
            while (gone(use, taken, ro->k + t, j) || left-- > 0) j++;
            taken[ro->k + t] = pick[i * more + t] = j;
        }
    }
    if (!r->dry) sort_slots(pick, n * more, e, slot, first);
    *out = (at_routing){n, more, e, ro->live, pick, slot, first, ro->p, ro->lse};
    return true;
}

bool at_routing_rows(at_run *r, const at_routing *ro, const int32_t *row, int64_t n,
                     at_routing *out) {
    const int64_t k = ro->k, e = ro->e;
    int32_t *pick = at_run_alloc(r, (size_t)(n * k) * sizeof *pick);
    int64_t *slot = at_run_alloc(r, (size_t)(n * k) * sizeof *slot);
    int64_t *first = at_run_alloc(r, (size_t)(e + 2) * sizeof *first);
    at_real *p = at_run_alloc(r, (size_t)(n * e) * sizeof *p);
    double *lse = at_run_alloc(r, (size_t)n * sizeof *lse);
    if (!pick || !slot || !first || !p || !lse) return false;
    for (int64_t i = 0; i < n; i++) {
        memcpy(pick + i * k, ro->pick + row[i] * k, (size_t)k * sizeof *pick);
        memcpy(p + i * e, ro->p + row[i] * e, (size_t)e * sizeof *p);
        lse[i] = ro->lse[row[i]];
    }
    sort_slots(pick, n * k, e, slot, first);
    *out = (at_routing){n, k, e, ro->live, pick, slot, first, p, lse};
    return true;
}

bool at_routing_places(at_run *r, const at_routing *ro, int64_t L, bool apart, at_routing *out) {
    const int64_t k = ro->k, slots = ro->n * k;
    int32_t *pick = at_run_values(r, (size_t)(slots * L) * sizeof *pick);
    int64_t *slot = at_run_values(r, (size_t)(slots * L) * sizeof *slot);
    int64_t *first = at_run_values(r, (size_t)(ro->e + 1) * sizeof *first);
    if (!pick || !slot || !first) return false;
    *out = (at_routing){
        slots * L / (apart ? 1 : k), apart ? 1 : k, ro->e, ro->live, pick, slot, first, NULL, NULL};
    if (r->dry) return true;
    for (int64_t x = 0; x <= ro->e; x++) first[x] = ro->first[x] * L;
    for (int64_t i = 0; i < slots; i++)
        for (int64_t l = 0; l < L; l++) {
            const int64_t s = ro->slot[i], n = s / k, j = s % k;
            const int64_t to = apart ? s * L + l : (n * L + l) * k + j;
            slot[i * L + l] = to;
            pick[to] = ro->pick[s];
        }
    return true;
}

bool at_routing_single(at_run *r, int64_t n, at_routing *out) {
    int32_t *pick = at_run_values(r, (size_t)n * sizeof *pick);
    int64_t *slot = at_run_values(r, (size_t)n * sizeof *slot);
    int64_t *first = at_run_values(r, 2 * sizeof *first);
    if (!pick || !slot || !first) return false;
    *out = (at_routing){n, 1, 1, 1, pick, slot, first, NULL, NULL};
    if (r->dry) return true;
    first[0] = 0;
    first[1] = n;
    for (int64_t i = 0; i < n; i++) {
        pick[i] = 0;
        slot[i] = i;
    }
    return true;
}
