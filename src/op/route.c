/*
 * route.c - top-k routing: softmax over the experts, the k most probable ones, and lists by expert.
 *
 * Probabilities and log-sum-exp of each row are kept for backward and for the losses of
 * router_loss.h, so that nothing is computed from logits twice.
 */
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
    at_real *dx; /* during backward */
} route_attr;

/* Top-k; of equal ones the first.  Gives k different experts even where values are NaN. */
static void choose(const at_real *p, int64_t e, int64_t k, int32_t *pick) {
    for (int64_t t = 0; t < k; t++) {
        int32_t best = -1;
        for (int32_t j = 0; j < e; j++) {
            bool used = best >= 0 && !(p[j] > p[best]);
            for (int64_t u = 0; u < t && !used; u++) used = pick[u] == j;
            if (!used) best = j;
        }
        pick[t] = best;
    }
}

/* Draws an expert other than the n picked ones with probabilities in proportion to p + 1e-6.  When
   rounding leaves u beyond the sum it is the last one. */
static int32_t draw(const at_real *p, int64_t e, const int32_t *pick, int64_t n, double u) {
    int32_t last = -1;
    double left = 0;
    for (int pass = 0; pass < 2;
         pass++) { /* first their sum, then the one that u times the sum falls on */
        if (pass) left *= u;
        for (int32_t j = 0; j < e; j++) {
            bool used = false;
            for (int64_t i = 0; i < n && !used; i++) used = pick[i] == j;
            if (used) continue;
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
        a->lse[i] = at_row_softmax(&n->run->cp->k, e, 1, n->in[0]->data + i * e, p);
        choose(p, e, k - a->drawn, pick);
        for (int64_t t = k - a->drawn; t < k; t++)
            pick[t] = draw(p, e, pick, t,
                           at_uniform(n->run->seed, a->stream, (uint64_t)(i * a->drawn + t)));
        for (int64_t t = 0; t < k; t++) sum += g[t] = p[pick[t]];
        for (int64_t t = 0; t < k && a->renormalise; t++) g[t] /= sum;
    }
}
static void route_fwd(at_node *n) { at_run_par(n->run, at_rows(n->in[0]), GRAIN, fwd_part, n); }

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

const at_op at_op_route = {"route", route_fwd, route_bwd};

/* Counting sort of the slots by expert, stable. */
static void sort_slots(const int32_t *pick, int64_t slots, int64_t e, int64_t *slot,
                       int64_t *first) {
    memset(first, 0, (size_t)(e + 2) * sizeof *first);
    for (int64_t s = 0; s < slots; s++) first[pick[s] + 2]++;
    for (int64_t j = 2; j < e + 2; j++) first[j] += first[j - 1];
    for (int64_t s = 0; s < slots; s++) slot[first[pick[s] + 1]++] = s;
}

at_tensor *at_route(at_run *r, at_tensor *logits, int64_t k, bool renormalise, at_routing *ro) {
    return at_route_drawn(r, logits, k, 0, renormalise, ro);
}

at_tensor *at_route_drawn(at_run *r, at_tensor *logits, int64_t k, int64_t drawn, bool renormalise,
                          at_routing *ro) {
    *ro = (at_routing){0};
    if (!logits) return NULL;
    const int64_t n = at_rows(logits), e = at_cols(logits);
    if (k < 1 || k > e || e > INT32_MAX)
        return at_fail(r, AT_ARG, "route: %lld of %lld experts cannot be chosen", (long long)k,
                       (long long)e);
    if (drawn < 0 || drawn > k)
        return at_fail(r, AT_ARG, "route: %lld of %lld choices cannot be drawn", (long long)drawn,
                       (long long)k);
    route_attr *a = at_run_alloc(r, sizeof *a);
    if (!a) return NULL;
    *a = (route_attr){.k = k, .renormalise = renormalise};
    if (drawn && r->train) {
        a->drawn = drawn;
        a->stream = AT_STREAM_ROUTE + (++r->draw << 8);
    }
    int64_t *slot = at_run_alloc(r, (size_t)(n * k) * sizeof *slot);
    int64_t *first = at_run_alloc(r, (size_t)(e + 2) * sizeof *first);
    a->p = at_run_alloc(r, (size_t)(n * e) * sizeof *a->p);
    a->lse = at_run_alloc(r, (size_t)n * sizeof *a->lse);
    a->pick = at_run_alloc(r, (size_t)(n * k) * sizeof *a->pick);
    at_tensor *g = at_new2(r, n, k);
    if (!(g = at_apply(r, &at_op_route, &logits, 1, g, a))) return NULL;
    sort_slots(a->pick, n * k, e, slot, first);
    *ro = (at_routing){n, k, e, a->pick, slot, first, a->p, a->lse};
    return g;
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
    *out = (at_routing){n, k, e, pick, slot, first, p, lse};
    return true;
}
