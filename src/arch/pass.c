/* pass.c - finds padding once for each pass, and sums the losses of the routers. */
#include "arch/pass.h"
#include <string.h>

/* Rows of the tokens that are no padding. */
static bool find_real(at_run *r, at_pass *p, const at_input *in) {
    p->real = NULL;
    p->n_real = 0;
    if (!in->first && !in->end) return true;
    int32_t *row = at_run_alloc(r, (size_t)(in->B * in->T) * sizeof *row);
    if (!row) return false;
    for (int64_t b = 0; b < in->B; b++)
        for (int64_t t = in->first ? in->first[b] : 0; t < (in->end ? in->end[b] : in->T); t++)
            row[p->n_real++] = (int32_t)(b * in->T + t);
    p->real = row;
    return true;
}

bool at_pass_begin(at_run *r, at_pass *p, const at_input *in) {
    p->modules = in->modules;
    p->loss = NULL;
    memset(p->value, 0, sizeof p->value);
    p->peers = 0;
    if (r->status != AT_OK || !find_real(r, p, in)) return false;
    if (p->collect) p->loads->passes++;
    if (!in->spans.n) return true;
    int64_t n = 0;
    for (int64_t i = 0; i < in->spans.n; i++) n += in->spans.item[i].n;
    if (in->B != 1 || n != in->T || in->first || in->end || p->history)
        at_fail(r, AT_ARG,
                "spans of %lld tokens for %lld sequences of %lld: they continue their sequences "
                "one after the other, without padding or history",
                (long long)n, (long long)in->B, (long long)in->T);
    return r->status == AT_OK;
}

void at_pass_loss(at_run *r, at_pass *p, at_tensor *x, double w) {
    p->loss = p->loss ? at_weighted_sum(r, (at_tensor *[]){p->loss, x}, (double[]){1, w}, 2)
                      : at_weighted_sum(r, &x, &w, 1);
}

void at_pass_router(at_run *r, at_pass *p, at_router_id id, at_tensor *logits,
                    const at_routing *ro) {
    at_routing real;
    if (!logits || r->status != AT_OK || (!p->aux && !p->collect && !p->usage && !p->watch)) return;
    if (p->real) {
        if (!p->n_real) {
            at_fail(r, AT_ARG, "routers: every token is padding");
            return;
        }
        logits = at_embed(r, logits, p->real, p->n_real);
        if (!at_routing_rows(r, ro, p->real, p->n_real, &real) || !logits) return;
        ro = &real;
    }
    if (p->collect && !r->dry) {
        at_loads_add(r, p->loads, id, ro);
        return;
    }
    if (!r->dry) at_usage_router(r, p->usage, id, logits, ro);
    if (!r->dry && p->watch && p->watch->see) p->watch->see(p->watch->user, r, id, ro);
    at_batch_load whole = {0};
    if (p->loads) {
        const at_router_usage *u = at_usage_of(r->ctx, &p->loads->of, id, ro->e);
        if (!u) {
            at_fail(r, r->ctx->status, "%s", r->ctx->message);
            return;
        }
        whole = (at_batch_load){u->p, u->slots};
    }
    for (int i = 0; p->aux && i < AT_AUX_KINDS; i++) {
        const double w = p->aux->weight[i] * p->aux->factor[id.kind];
        if (w == 0) continue;
        at_tensor *x = at_aux_loss(r, (at_aux_kind)i, logits, ro, &whole);
        if (!x) return;
        if (!r->dry) p->value[i] += (double)x->data[0];
        at_pass_loss(r, p, x, w);
    }
}

/* The rows of x that are no padding. */
static at_tensor *without_padding(at_run *r, const at_pass *p, at_tensor *x) {
    if (!p->real || !x) return x;
    const int64_t k = x->dim[1], c = x->rank == 3 ? x->dim[2] : 1;
    at_tensor *row = at_view(r, x, 2, (int64_t[]){x->dim[0], k * c});
    row = at_embed(r, row, p->real, p->n_real);
    return row ? at_view(r, row, x->rank, (int64_t[]){p->n_real, k, c}) : NULL;
}

void at_pass_experts(at_run *r, at_pass *p, at_router_id id, at_tensor *x, at_tensor *gates) {
    const at_peers *peers = p->aux ? &p->aux->peers : NULL;
    if (x && r->status == AT_OK && !r->dry && p->watch && p->watch->experts)
        p->watch->experts(p->watch->user, r, id, without_padding(r, p, x),
                          without_padding(r, p, gates));
    if (!x || r->status != AT_OK || !peers || !peers->layer || p->collect) return;
    if (id.kind != AT_LAYER_FEED_FORWARD || !peers->layer[id.layer]) return;
    x = without_padding(r, p, x);
    gates = without_padding(r, p, gates);
    at_tensor *y = at_mutual_distill(r, x, gates, &peers->how);
    if (!y) return;
    if (!r->dry) p->peers += (double)y->data[0] / (double)peers->n;
    at_pass_loss(r, p, y, peers->alpha / (double)peers->n);
}

void at_pass_features(at_run *r, const at_pass *p, at_router_id id, const at_tensor *x) {
    if (x && !r->dry && p->watch && p->watch->features)
        p->watch->features(p->watch->user, r, id, x);
}

const int32_t *at_input_positions(at_run *r, const at_input *in) {
    int32_t *p = at_run_alloc(r, (size_t)(in->B * in->T) * sizeof *p);
    for (int64_t i = 0; p && !in->spans.n && i < in->B * in->T; i++) p[i] = (int32_t)(i % in->T);
    for (int64_t s = 0, i = 0; p && s < in->spans.n; s++)
        for (int64_t t = 0; t < in->spans.item[s].n; t++)
            p[i++] = (int32_t)(in->spans.item[s].past + t);
    return p;
}
