/* aux.c - a chain of weighted sums, router after router; loads of a whole batch. */
#include "arch/aux.h"
#include <string.h>

static at_tensor *one_loss(at_run *r, at_aux_kind kind, at_tensor *logits, const at_routing *ro,
                           const at_batch_load *whole) {
    switch (kind) {
    case AT_AUX_MUTUAL: return at_mutual_info(r, logits, ro, whole);
    case AT_AUX_CONCENTRATION: return at_load_concentration(r, logits, ro, whole);
    case AT_AUX_SWITCH: return at_switch_balance(r, logits, ro, whole);
    default: return at_zloss(r, logits, ro);
    }
}

/* ---- loads ---- */

void at_loads_reset(at_loads *l) {
    l->n = l->at = 0;
    l->passes = 0;
}
void at_loads_finish(at_loads *l) {
    for (int64_t i = 0; i < l->n; i++) {
        l->p[i] /= l->passes;
        l->f[i] /= l->passes;
    }
}
void at_loads_close(at_loads *l) {
    at_free(l->p);
    at_free(l->f);
    *l = (at_loads){0};
}

/* The first pass makes room. */
static bool reserve(at_run *r, at_loads *l, int64_t e) {
    if (l->n >= l->at + e) return true;
    int64_t cap[2] = {l->cap, l->cap};
    if (!at_reserve(r->ctx, &l->p, &cap[0], l->at + e, sizeof *l->p) ||
        !at_reserve(r->ctx, &l->f, &cap[1], l->at + e, sizeof *l->f)) {
        at_fail(r, AT_OOM, "%s", r->ctx->message);
        return false;
    }
    l->cap = cap[0] < cap[1] ? cap[0] : cap[1];
    for (; l->n < l->at + e; l->n++) l->p[l->n] = l->f[l->n] = 0;
    return true;
}

static void collect(at_run *r, at_loads *l, const at_routing *ro) {
    if (!reserve(r, l, ro->e)) return;
    double *p = l->p + l->at, *f = l->f + l->at;
    for (int64_t i = 0; i < ro->n; i++)
        for (int64_t j = 0; j < ro->e; j++) p[j] += (double)ro->p[i * ro->e + j] / (double)ro->n;
    for (int64_t j = 0; j < ro->e; j++)
        f[j] += (double)(ro->first[j + 1] - ro->first[j]) / (double)(ro->n * ro->k);
    l->at += ro->e;
}

/* ---- losses ---- */

bool at_aux_wanted(const at_aux *a) {
    bool any = false;
    for (int i = 0; i < AT_AUX_KINDS; i++)
        for (int k = 0; k < AT_LAYER_KINDS; k++) any |= a->weight[i] * a->factor[k] != 0;
    return any;
}

/* Rows of the tokens that are no padding. */
static void find_real(at_run *r, at_aux *a, int64_t B, int64_t T, const int32_t *first,
                      const int32_t *end) {
    a->real = NULL;
    a->n_real = 0;
    int32_t *row = first || end ? at_run_alloc(r, (size_t)(B * T) * sizeof *row) : NULL;
    if (!row) return;
    for (int64_t b = 0; b < B; b++)
        for (int64_t t = first ? first[b] : 0; t < (end ? end[b] : T); t++)
            row[a->n_real++] = (int32_t)(b * T + t);
    a->real = row;
    if (!a->n_real) at_fail(r, AT_ARG, "routers: every token is padding");
}

void at_aux_begin(at_run *r, at_aux *a, int64_t B, int64_t T, const int32_t *first,
                  const int32_t *end) {
    if (!a) return;
    find_real(r, a, B, T, first, end);
    a->loss = NULL;
    memset(a->value, 0, sizeof a->value);
    at_usage_begin(a->usage);
    if (!a->loads) return;
    a->loads->at = 0;
    a->loads->passes += a->collect;
}

void at_aux_router(at_run *r, at_aux *a, at_layer_kind layer, at_tensor *logits,
                   const at_routing *ro) {
    at_routing real;
    if (!a || !logits || r->status != AT_OK) return;
    if (a->real) {
        logits = at_embed(r, logits, a->real, a->n_real);
        if (!at_routing_rows(r, ro, a->real, a->n_real, &real) || !logits) return;
        ro = &real;
    }
    if (a->collect) {
        collect(r, a->loads, ro);
        return;
    }
    at_usage_router(r, a->usage, layer, logits, ro);
    at_batch_load whole = {0};
    if (a->loads) {
        whole = (at_batch_load){a->loads->p + a->loads->at, a->loads->f + a->loads->at};
        a->loads->at += ro->e;
    }
    for (int i = 0; i < AT_AUX_KINDS; i++) {
        const double w = a->weight[i] * a->factor[layer];
        if (w == 0) continue;
        at_tensor *x = one_loss(r, (at_aux_kind)i, logits, ro, &whole);
        if (!x) return;
        a->value[i] += (double)x->data[0];
        a->loss = a->loss ? at_weighted_sum(r, (at_tensor *[]){a->loss, x}, (double[]){1, w}, 2)
                          : at_weighted_sum(r, &x, &w, 1);
    }
}
