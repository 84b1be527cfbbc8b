/* aux.c - the losses of a router; loads over a whole batch. */
#include "arch/aux.h"

at_tensor *at_aux_loss(at_run *r, at_aux_kind kind, at_tensor *logits, const at_routing *ro,
                       const at_batch_load *whole) {
    switch (kind) {
    case AT_AUX_MUTUAL: return at_mutual_info(r, logits, ro, whole);
    case AT_AUX_CONCENTRATION: return at_load_concentration(r, logits, ro, whole);
    case AT_AUX_SWITCH: return at_switch_balance(r, logits, ro, whole);
    default: return at_zloss(r, logits, ro);
    }
}

bool at_aux_routed(const at_aux *a) {
    bool any = false;
    for (int i = 0; i < AT_AUX_KINDS; i++)
        for (int k = 0; k < AT_LAYER_KINDS; k++) any |= a->weight[i] * a->factor[k] != 0;
    return any;
}
bool at_aux_wanted(const at_aux *a) {
    return at_aux_routed(a) || a->rows != 0 || a->peers.layer || a->expert_label != 0;
}

/* ---- loads ---- */

void at_loads_reset(at_loads *l) {
    at_usage_reset(&l->of);
    l->passes = 0;
}
void at_loads_finish(at_loads *l) {
    for (int64_t i = 0; i < l->of.n; i++) {
        const at_router_usage *u = &l->of.router[i];
        for (int64_t j = 0; j < u->e; j++) {
            u->p[j] /= l->passes;
            u->slots[j] /= l->passes;
        }
    }
}
void at_loads_close(at_loads *l) { at_usage_close(&l->of); }

void at_loads_add(at_run *r, at_loads *l, at_router_id id, const at_routing *ro) {
    const at_router_usage *u = at_usage_of(r->ctx, &l->of, id, ro->e);
    if (!u) {
        at_fail(r, r->ctx->status, "%s", r->ctx->message);
        return;
    }
    for (int64_t i = 0; i < ro->n; i++)
        for (int64_t j = 0; j < ro->e; j++) u->p[j] += (double)ro->p[i * ro->e + j] / (double)ro->n;
    for (int64_t j = 0; j < ro->e; j++)
        u->slots[j] += (double)(ro->first[j + 1] - ro->first[j]) / (double)(ro->n * ro->k);
}
