/* grow.c - see grow.h. */
#include "train/grow.h"
#include <string.h>

/* Values of a parameter of one model into another's of the same shape. */
static at_status take(at_ctx *c, const at_model *m, const at_param_entry *from,
                      at_param_entry *to) {
    const at_st_tensor t = at_checkpoint_tensor(&m->store, from, AT_SLAB_VALUE);
    if (from->absent && to->absent) return AT_OK; /* of a slot that is closed in both */
    if (from->absent) return at_error(c, AT_ARG, "parameter `%s` is absent", from->path);
    return at_checkpoint_read(c, &t, to->t.data);
}

static at_status copy_old(at_ctx *c, const at_model *m, at_model *g) {
    at_status s = AT_OK;
    for (int64_t i = 0; i < m->store.n && s == AT_OK; i++) {
        at_param_entry *to = at_store_find(&g->store, m->store.p[i]->path);
        s = to ? take(c, m, m->store.p[i], to)
               : at_error(c, AT_FORMAT, "no parameter `%s`", m->store.p[i]->path);
    }
    return s;
}

/* The i-th of those slots of a bank that are there, from the first again after the last. */
static int64_t present(const at_bank *b, int64_t i) {
    int64_t slot = 0, left = i;
    for (int64_t tried = 0; tried < 2 * b->n; tried++, slot = (slot + 1) % b->n)
        if (!at_param_of(b->part[0]->slot[slot])->absent && left-- == 0) break;
    return slot;
}

/* New slots of a bank begin as the old ones, one after the other. */
static at_status copy_slots(at_ctx *c, const at_model *m, const at_bank *old, const at_bank *new) {
    at_param_entry *from[AT_BANK_PARTS + 1], *to[AT_BANK_PARTS + 1];
    at_status s = AT_OK;
    for (int64_t i = old->n; i < new->n; i++) {
        const int parts = at_bank_slot(old, present(old, i - old->n), from);
        (void)at_bank_slot(new, i, to);
        for (int k = 0; k < parts && s == AT_OK; k++) s = take(c, m, from[k], to[k]);
    }
    return s;
}

static void silence(const at_bank *old, const at_bank *new) {
    at_tensor *const *last = new->part[new->parts - 1]->slot;
    for (int64_t i = old->n; i < new->n; i++)
        memset(last[i]->data, 0, (size_t)at_numel(last[i]) * sizeof *last[i]->data);
}

at_status at_grow_model(at_ctx *c, const at_model *m, const int64_t *more, at_grow_init init,
                        uint64_t seed, at_model **out) {
    const at_banks *banks = at_model_banks(m);
    at_model *g = NULL;
    *out = NULL;
    cJSON *config = at_members_widen(c, m->arch, banks, m->source, more);
    at_status s = config ? at_model_load_parts(c, m->path, config, NULL, 0, &g) : AT_OOM;
    cJSON_Delete(config);
    if (s == AT_OK) s = at_store_alloc(&g->store);
    if (s == AT_OK) {
        at_store_randomise(&g->store, seed);
        s = copy_old(c, m, g);
    }
    const at_banks *grown = s == AT_OK ? at_model_banks(g) : NULL;
    for (int64_t i = 0; i < banks->n && s == AT_OK; i++) {
        if (init == AT_GROW_COPY) s = copy_slots(c, m, &banks->bank[i], &grown->bank[i]);
        if (init == AT_GROW_ZERO) silence(&banks->bank[i], &grown->bank[i]);
    }
    if (s == AT_OK && m->tokenizer && !(g->tokenizer = at_strdup(c, m->tokenizer))) s = AT_OOM;
    if (s == AT_OK)
        *out = g;
    else
        at_model_close(g);
    return s;
}
