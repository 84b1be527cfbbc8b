/* aux.c - a chain of weighted sums, router after router. */
#include "arch/aux.h"
#include <string.h>

typedef at_tensor *(*loss_fn)(at_run *r, at_tensor *logits, const at_routing *ro);
static const loss_fn losses[AT_AUX_KINDS] = {at_mutual_info, at_load_concentration,
                                             at_switch_balance, at_zloss};

bool at_aux_wanted(const at_aux *a) {
    bool any = false;
    for (int i = 0; i < AT_AUX_KINDS; i++)
        for (int k = 0; k < AT_LAYER_KINDS; k++) any |= a->weight[i] * a->factor[k] != 0;
    return any;
}

void at_aux_begin(at_aux *a) {
    if (!a) return;
    a->loss = NULL;
    memset(a->value, 0, sizeof a->value);
}

void at_aux_router(at_run *r, at_aux *a, at_layer_kind layer, at_tensor *logits,
                   const at_routing *ro) {
    if (!a || !logits) return;
    for (int i = 0; i < AT_AUX_KINDS; i++) {
        const double w = a->weight[i] * a->factor[layer];
        if (w == 0) continue;
        at_tensor *x = losses[i](r, logits, ro);
        if (!x) return;
        a->value[i] += (double)x->data[0];
        a->loss = a->loss ? at_weighted_sum(r, (at_tensor *[]){a->loss, x}, (double[]){1, w}, 2)
                          : at_weighted_sum(r, &x, &w, 1);
    }
}
