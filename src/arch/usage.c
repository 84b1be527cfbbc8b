/* usage.c - counts of the choices of routers, and statistics of them. */
#include "arch/usage.h"
#include "base/maths.h"
#include <math.h>
#include <string.h>

const char *const at_layer_kind_name[AT_LAYER_KINDS] = {"attention", "feed_forward"};

static void forget(at_router_usage *u) {
    u->tokens = 0;
    u->entropy = 0;
    memset(u->slots, 0, (size_t)(2 * u->e) * sizeof *u->slots);
}

void at_usage_reset(at_usage *u) {
    for (int64_t i = 0; i < u->n; i++) forget(&u->router[i]);
}

void at_usage_close(at_usage *u) {
    for (int64_t i = 0; i < u->n; i++) at_free(u->router[i].slots);
    at_free(u->router);
    *u = (at_usage){0};
}

static at_router_usage *find(const at_usage *u, at_router_id id) {
    for (int64_t i = 0; i < u->n; i++)
        if (u->router[i].id.layer == id.layer && u->router[i].id.kind == id.kind)
            return &u->router[i];
    return NULL;
}

/* slots and p of a router are one block. */
at_router_usage *at_usage_of(at_ctx *c, at_usage *u, at_router_id id, int64_t e) {
    at_router_usage *t = find(u, id);
    if (!t && at_reserve(c, &u->router, &u->cap, u->n + 1, sizeof *u->router)) {
        double *x = at_calloc(c, (size_t)(2 * e), sizeof *x);
        if (!x) return NULL;
        t = &u->router[u->n++];
        *t = (at_router_usage){.id = id, .e = e, .slots = x, .p = x + e};
    }
    if (!t || t->e == e) return t;
    (void)at_error(c, AT_MISMATCH, "usage: counts of two different models");
    return NULL;
}

at_status at_usage_add(at_ctx *c, at_usage *to, const at_usage *from) {
    const bool empty = !to->n;
    for (int64_t i = 0; i < from->n; i++) {
        const at_router_usage *f = &from->router[i];
        if (!empty && !find(to, f->id))
            return at_error(c, AT_MISMATCH, "usage: counts of two different models");
        at_router_usage *t = at_usage_of(c, to, f->id, f->e);
        if (!t) return c->status;
        for (int64_t j = 0; j < 2 * f->e; j++) t->slots[j] += f->slots[j];
        t->tokens += f->tokens;
        t->entropy += f->entropy;
    }
    return AT_OK;
}

/* ---- counting ---- */

/* -sum p log p = log-sum-exp - sum p logit: where p is 0 nothing is added. */
static void count_probabilities(at_router_usage *u, const at_tensor *logits, const at_routing *ro) {
    for (int64_t i = 0; i < ro->n; i++) {
        const at_real *p = ro->p + i * ro->e, *l = logits->data + i * ro->e;
        double sum = 0;
        for (int64_t j = 0; j < ro->e; j++) {
            if (!(p[j] > 0)) continue;
            u->p[j] += (double)p[j];
            sum += (double)p[j] * ((double)l[j] - ro->lse[i]);
        }
        u->entropy -= sum;
    }
}

void at_usage_router(at_run *r, at_usage *u, at_router_id id, const at_tensor *logits,
                     const at_routing *ro) {
    if (!u || !logits || r->status != AT_OK) return;
    at_router_usage *t = at_usage_of(r->ctx, u, id, ro->e);
    if (!t) {
        at_fail(r, r->ctx->status, "%s", r->ctx->message);
        return;
    }
    t->tokens += ro->n;
    for (int64_t j = 0; j < ro->e; j++) t->slots[j] += (double)(ro->first[j + 1] - ro->first[j]);
    if (!u->slots_only) count_probabilities(t, logits, ro);
}

/* ---- statistics ---- */

/* Entropy of x / sum x. */
static double entropy(const double *x, int64_t n, double sum) {
    double h = 0;
    for (int64_t j = 0; j < n; j++)
        if (x[j] > 0) h -= x[j] / sum * at_ln(x[j] / sum);
    return h;
}

void at_usage_summary(const at_router_usage *r, double *share, at_usage_report *out) {
    double slots = 0, mass = 0;
    *out = (at_usage_report){0};
    for (int64_t j = 0; j < r->e; j++) {
        slots += r->slots[j];
        mass += r->p[j];
    }
    for (int64_t j = 0; j < r->e; j++) {
        const double s = slots > 0 ? r->slots[j] / slots : 0;
        if (share) share[j] = s;
        out->dead += s < 0.01 / (double)r->e;
        out->unused += !(s > 0);
    }
    if (!(slots > 0)) return;
    const double h = entropy(r->slots, r->e, slots);
    out->load_entropy = r->e > 1 ? h / at_ln((double)r->e) : 1;
    out->perplexity = at_exp(h);
    if (!(mass > 0)) return; /* slots_only */
    const double information = entropy(r->p, r->e, mass) - r->entropy / (double)r->tokens;
    out->information = information > 0 ? information : 0; /* rounding */
}
