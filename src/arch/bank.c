/* bank.c - what is done to the slots of a bank, whatever architecture it is of. */
#include "arch/bank.h"
#include <stdint.h>

void at_banks_close(at_banks *b) {
    for (int64_t i = 0; i < b->n; i++) at_free(b->bank[i].use);
    at_free(b->bank);
    *b = (at_banks){0};
}

at_bank *at_bank_find(const at_banks *banks, at_router_id id) {
    for (int64_t i = 0; banks && i < banks->n; i++)
        if (banks->bank[i].id.layer == id.layer && banks->bank[i].id.kind == id.kind)
            return &banks->bank[i];
    return NULL;
}

int at_bank_slot(const at_bank *b, int64_t slot, at_param_entry *out[AT_BANK_PARTS + 1]) {
    int n = 0;
    for (int i = 0; i < b->parts; i++) out[n++] = at_param_of(b->part[i]->slot[slot]);
    if (b->row) out[n++] = at_param_of(b->row->slot[slot]);
    return n;
}

void at_bank_freeze(const at_bank *b, int64_t slot) {
    at_param_entry *e[AT_BANK_PARTS + 1];
    const int n = at_bank_slot(b, slot, e);
    for (int i = 0; i < n; i++) at_param_freeze(e[i]);
}

bool at_bank_is_open(const at_bank *b, int64_t slot) {
    return !b->use || b->use[slot] == AT_SLOT_OPEN;
}

int64_t at_bank_open(const at_bank *b) {
    int64_t n = 0;
    for (int64_t i = 0; i < b->n; i++) n += at_bank_is_open(b, i);
    return n;
}

at_status at_bank_use(at_ctx *c, at_bank *b, int64_t slot, at_slot_use use) {
    const char *kind = at_layer_kind_name[b->id.kind];
    const long long layer = b->id.layer;
    if (slot < 0 || slot >= b->n)
        return at_error(c, AT_ARG, "%s bank of layer %lld: slot %lld of %lld does not exist", kind,
                        layer, (long long)slot, (long long)b->n);
    int64_t open = use == AT_SLOT_OPEN;
    for (int64_t i = 0; i < b->n; i++) open += i != slot && at_bank_is_open(b, i);
    if (open < b->k)
        return at_error(
            c, AT_ARG,
            "%s bank of layer %lld: a token uses %lld slots, but without slot %lld only "
            "%lld would be left to choose from",
            kind, layer, (long long)b->k, (long long)slot, (long long)open);
    if (!b->use && !(b->use = at_calloc(c, (size_t)b->n, sizeof *b->use))) return AT_OOM;
    b->use[slot] = (uint8_t)use;
    return AT_OK;
}

/* What may become of each slot: the bank's own masks, and modules that the pass leaves out are excluded.
   NULL: all are open. */
static bool uses(at_run *r, const at_pass *p, const at_bank *b, const uint8_t **out) {
    *out = b->use;
    if (!p->modules || !b->owner) return true;
    uint8_t *use = at_run_alloc(r, (size_t)b->n);
    int64_t open = 0;
    for (int64_t i = 0; use && i < b->n; i++) {
        const bool in = p->modules >> b->owner[i] & 1;
        use[i] = !in ? AT_SLOT_EXCLUDED : b->use ? b->use[i] : AT_SLOT_OPEN;
        open += use[i] == AT_SLOT_OPEN;
    }
    if (use && open < b->k)
        at_fail(
            r, AT_ARG,
            "%s bank of layer %lld: a token uses %lld slots, but the modules that are run leave "
            "only %lld",
            at_layer_kind_name[b->id.kind], (long long)b->id.layer, (long long)b->k,
            (long long)open);
    *out = use;
    return r->status == AT_OK;
}

/* A row that is not there would be read as zeros. */
static bool rows_are_there(at_run *r, const at_bank *b, const uint8_t *use) {
    for (int64_t i = 0; i < b->n; i++) {
        const at_param_entry *e = at_param_of(b->row->slot[i]);
        if (!e->absent || (use && use[i] == AT_SLOT_EXCLUDED)) continue;
        at_fail(r, AT_ARG, "router: `%s` is absent, so its slot is to be excluded", e->path);
        return false;
    }
    return true;
}

/* Rows that learn are kept small, so that their slots are used where they are clearly better. */
static void hold_rows(at_run *r, at_pass *p, const at_bank *b) {
    if (!p->aux || p->aux->rows == 0 || p->collect || !r->train) return;
    bool *learns = at_run_alloc(r, (size_t)b->n * sizeof *learns), any = false;
    for (int64_t i = 0; learns && i < b->n; i++)
        any |= learns[i] = !at_param_of(b->row->slot[i])->frozen;
    if (!any) return;
    at_tensor *x = at_row_squares(r, (at_tensor *)(uintptr_t)&b->row->t, learns);
    if (x) at_pass_loss(r, p, x, p->aux->rows);
}

at_tensor *at_bank_route(at_run *r, at_pass *p, const at_bank *b, at_tensor *logits, int64_t drawn,
                         bool renormalise, at_routing *ro) {
    const uint8_t *use;
    if (!logits || !uses(r, p, b, &use) || !rows_are_there(r, b, use)) return NULL;
    at_route_spec how = {b->k, drawn, renormalise, use, {0}};
    if (p->pool && p->sequences > 0)
        how.pool = (at_route_pool){p->pool->min, p->pool->max, at_rows(logits) / p->sequences};
    at_tensor *gates = at_route_by(r, logits, &how, ro);
    at_pass_router(r, p, b->id, logits, ro);
    if (gates && !r->dry && p->watch && p->watch->gates)
        p->watch->gates(p->watch->user, r, b->id, gates, ro);
    hold_rows(r, p, b);
    return gates;
}

bool at_bank_others(at_run *r, const at_pass *p, const at_bank *b, const at_routing *ro,
                    at_routing *others) {
    const int64_t n = r->status == AT_OK ? at_pass_others(r, p, b->id) : 0;
    const uint8_t *use;
    return n > 0 && uses(r, p, b, &use) && at_route_others(r, ro, use, n, others);
}
