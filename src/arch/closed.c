/* closed.c - see closed.h. */
#include "arch/closed.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void at_slot_name(at_router_id id, int64_t slot, char name[AT_SLOT_NAME]) {
    (void)snprintf(name, AT_SLOT_NAME, "%s.%" PRId64 ".%" PRId64, at_layer_kind_name[id.kind],
                   id.layer, slot);
}

/* A name is what at_slot_name writes, to the letter. */
static bool parse(const char *name, at_router_id *id, int64_t *slot) {
    char again[AT_SLOT_NAME];
    for (int k = 0; k < AT_LAYER_KINDS; k++) {
        const size_t n = strlen(at_layer_kind_name[k]);
        if (strncmp(name, at_layer_kind_name[k], n) != 0 || name[n] != '.') continue;
        char *end;
        *id = (at_router_id){strtoll(name + n + 1, &end, 10), (at_layer_kind)k};
        *slot = *end == '.' ? strtoll(end + 1, NULL, 10) : -1;
        at_slot_name(*id, *slot, again);
        return *slot >= 0 && id->layer >= 0 && !strcmp(name, again);
    }
    return false;
}

at_status at_closed_check(at_ctx *c, const at_conf *f, const char *path, const at_strings *list,
                          int64_t layers, at_bank_size (*size)(const void *config, at_router_id id),
                          const void *config) {
    for (int64_t i = 0; i < list->n; i++) {
        at_router_id id, other;
        int64_t slot, x, closed = 1;
        const char *name = list->item[i];
        if (!parse(name, &id, &slot))
            return at_conf_error(
                c, f, path, "`%.60s`: expected KIND.LAYER.EXPERT, such as feed_forward.0.3", name);
        const at_bank_size b = id.layer < layers ? size(config, id) : (at_bank_size){0};
        if (slot >= b.n) return at_conf_error(c, f, path, "`%.60s`: there is no such expert", name);
        for (int64_t j = 0; j < i; j++) {
            if (!strcmp(name, list->item[j]))
                return at_conf_error(c, f, path, "`%.60s` is listed twice", name);
            if (parse(list->item[j], &other, &x))
                closed += other.kind == id.kind && other.layer == id.layer;
        }
        if (b.n - closed < b.k)
            return at_conf_error(c, f, path,
                                 "`%.60s`: a token uses %lld experts, but only %lld would be left",
                                 name, (long long)b.k, (long long)(b.n - closed));
    }
    return AT_OK;
}

at_status at_closed_apply(at_ctx *c, const at_banks *banks, const at_strings *list) {
    at_status s = AT_OK;
    for (int64_t i = 0; i < list->n && s == AT_OK; i++) {
        at_router_id id;
        int64_t slot;
        if (!parse(list->item[i], &id, &slot)) continue; /* the check has refused it */
        at_bank *b = at_bank_find(banks, id);
        s = at_bank_use(c, b, slot, AT_SLOT_CLOSED);
        for (int p = 0; p < b->parts && s == AT_OK; p++)
            at_param_of(b->part[p]->slot[slot])->absent = true;
    }
    return s;
}
