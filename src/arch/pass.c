/* pass.c - finds padding once for each pass, and sums the losses of the routers. */
#include "arch/pass.h"
#include <string.h>

/* Rows of the tokens that are no padding. */
bool at_pass_padding(at_run *r, at_pass *p, const at_input *in) {
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
    p->sequences = in->B;
    p->loss = NULL;
    memset(p->value, 0, sizeof p->value);
    p->peers = p->expert_label = 0;
    if (r->status != AT_OK || !at_pass_padding(r, p, in)) return false;
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

/* [N, K, C] of x and the J of y behind them; of gates, C = 1. */
static at_tensor *beside(at_run *r, at_tensor *x, at_tensor *y, int64_t c) {
    if (!x || !y) return NULL;
    const int64_t n = x->dim[0], k = x->dim[1], j = y->dim[1];
    x = at_view(r, x, 2, (int64_t[]){n * k, c});
    y = at_view(r, y, 2, (int64_t[]){n * j, c});
    x = at_prepend(r, x, y, n);
    return x ? at_view(r, x, 3, (int64_t[]){n, k + j, c}) : NULL;
}

/* Gates of 0 for those who do not answer. */
static at_tensor *silent(at_run *r, at_tensor *gates, int64_t more) {
    at_tensor *none = at_new2(r, at_rows(gates), more);
    if (!none) return NULL;
    if (!r->dry) memset(none->data, 0, (size_t)at_numel(none) * sizeof *none->data);
    at_tensor *g = beside(r, gates, none, 1);
    return g ? at_view(r, g, 2, (int64_t[]){at_rows(gates), at_cols(gates) + more}) : NULL;
}

void at_pass_hidden(at_run *r, const at_pass *p, at_router_id id, at_tensor *x) {
    if (x && r->status == AT_OK && !r->dry && p->watch && p->watch->hidden)
        p->watch->hidden(p->watch->user, r, id, without_padding(r, p, x));
}

/* Whether the experts of this layer learn from each other. */
static bool are_peers(const at_pass *p, at_router_id id) {
    const at_peers *peers = p->aux ? &p->aux->peers : NULL;
    return peers && peers->layer && id.kind == AT_LAYER_FEED_FORWARD && peers->layer[id.layer];
}

/* Those of a pass that collects, too: all that is drawn in it is drawn as in the next one. */
int64_t at_pass_others(const at_run *r, const at_pass *p, at_router_id id) {
    return r->train && are_peers(p, id) ? p->aux->peers.more : 0;
}

/* What each expert of a sample loses by itself, as if it were the model. */
static void label_loss(at_run *r, at_pass *p, at_tensor *x) {
    const int64_t k = x->dim[1], n = x->dim[0] * k;
    int32_t *label = p->label ? at_run_alloc(r, (size_t)n * sizeof *label) : NULL;
    at_real *target = p->label ? NULL : at_run_alloc(r, (size_t)n * sizeof *target);
    if (!label && !target) return;
    for (int64_t i = 0; i < n; i++) {
        if (label) label[i] = p->label[i / k];
        if (target) target[i] = p->target[i / k];
    }
    at_tensor *y = at_view(r, x, 2, (int64_t[]){n, x->dim[2]});
    y = label ? at_xent(r, y, label) : at_square_loss(r, y, target);
    if (!y) return;
    if (!r->dry) p->expert_label += (double)y->data[0];
    at_pass_loss(r, p, y, p->aux->expert_label);
}

static void distil(at_run *r, at_pass *p, at_tensor *x, at_tensor *gates) {
    const at_peers *peers = &p->aux->peers;
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

void at_pass_experts(at_run *r, at_pass *p, at_router_id id, at_tensor *x, at_tensor *gates,
                     at_tensor *others) {
    if (x && r->status == AT_OK && !r->dry && p->watch && p->watch->experts)
        p->watch->experts(p->watch->user, r, id, without_padding(r, p, x),
                          without_padding(r, p, gates));
    if (!x || r->status != AT_OK) return;
    if (p->aux && p->aux->expert_label != 0 && !p->collect && (p->label || p->target) &&
        id.layer == p->aux->answers.layer && id.kind == p->aux->answers.kind)
        label_loss(r, p, x);
    if (p->collect || !are_peers(p, id)) return;
    if (!others && at_pass_others(r, p, id)) {
        at_fail(r, AT_UNSUPPORTED,
                "losses.mutual_extra: this architecture asks no experts beside those of a sample");
        return;
    }
    if (others) {
        x = beside(r, x, others, x->dim[2]);
        gates = silent(r, gates, others->dim[1]);
        if (!x || !gates) return;
    }
    distil(r, p, x, gates);
}

void at_pass_modules(at_run *r, at_pass *p, at_tensor *const *h, int n) {
    if (r->status != AT_OK || !p->aux || !p->aux->peers.modules || p->collect || n < 2) return;
    at_tensor *x = NULL;
    for (int i = 0; i < n && h[i]; i++) {
        at_tensor *y = at_view(r, h[i], 3, (int64_t[]){at_rows(h[i]), 1, at_cols(h[i])});
        x = i ? beside(r, x, y, at_cols(h[i])) : y;
    }
    distil(r, p, x, NULL);
}

const int32_t *at_input_positions(at_run *r, const at_input *in) {
    int32_t *p = at_run_alloc(r, (size_t)(in->B * in->T) * sizeof *p);
    for (int64_t i = 0; p && !in->spans.n && i < in->B * in->T; i++) p[i] = (int32_t)(i % in->T);
    for (int64_t s = 0, i = 0; p && s < in->spans.n; s++)
        for (int64_t t = 0; t < in->spans.item[s].n; t++)
            p[i++] = (int32_t)(in->spans.item[s].past + t);
    return p;
}
