/* prune_put.c - what pruning did, as JSON: the certificate. */
#include "infer/prune.h"
#include <math.h>

static const char *const limit_name[] = {"unused", "threshold", "experts",
                                         "share",  "count",     "budget"};

static void put_estimate(at_json *j, const at_prune_domain *d) {
    const double before = at_doc_losses_mean(&d->before);
    at_json_put_number(j, "increase", d->increase.mean);
    at_json_put_number(j, "increase_low", d->increase.lo);
    at_json_put_number(j, "increase_high", d->increase.hi);
    at_json_put_number(j, "relative", d->increase.mean / before);
    at_json_put_number(j, "relative_high", d->increase.hi / before);
}

static void put_domain(at_json *j, const at_prune_domain *d) {
    at_json_begin_object(j, NULL);
    at_json_put_string(j, "domain", d->name);
    at_json_put_bool(j, "kept", d->kept);
    at_json_put_number(j, "documents", (double)d->before.n);
    at_json_put_number(j, "tokens", (double)d->before.all_tokens);
    at_json_put_number(j, "loss_before", at_doc_losses_mean(&d->before));
    at_json_put_number(j, "loss_after", at_doc_losses_mean(&d->after));
    put_estimate(j, d);
    if (d->kept) at_json_put_number(j, "logits_compared", (double)d->compared);
    if (d->kept) at_json_put_number(j, "logits_that_differ", (double)d->differ);
    at_json_end(j);
}

static void put_bank(at_json *j, const at_pruned *p, int64_t b) {
    const at_bank *bank = &p->choice.of->bank[b];
    const double *use = p->scores.value[AT_PRUNE_USE][b];
    int64_t gone = 0, open = 0;
    double lost = 0;
    for (int64_t e = 0; e < bank->n; e++) {
        gone += p->choice.gone[b][e];
        open += !bank->use || bank->use[e] == AT_SLOT_OPEN;
        lost += p->choice.gone[b][e] ? use[e] : 0;
    }
    at_json_begin_object(j, NULL);
    at_json_put_number(j, "layer", (double)bank->id.layer);
    at_json_put_string(j, "kind", at_layer_kind_name[bank->id.kind]);
    at_json_put_number(j, "experts_before", (double)open);
    at_json_put_number(j, "experts_after", (double)(open - gone));
    at_json_begin_list(j, "gone"); /* by their numbers in the old model */
    for (int64_t e = 0; e < bank->n; e++)
        if (p->choice.gone[b][e]) at_json_put_number(j, NULL, (double)e);
    at_json_end(j);
    at_json_put_number(j, "use_of_gone", lost / (double)bank->k); /* share of all choices */
    at_json_end(j);
}

void at_pruned_put(at_json *j, const at_pruned *p) {
    const at_prune_options *o = &p->how;
    at_json_put_string(j, "certificate", p->identical ? "bit-identical" : "measured");
    at_json_put_string(j, "from", p->lm->path);
    at_json_put_string(j, "how", o->way.forbid ? "forbid" : "remove");
    at_json_put_bool(j, "renormalised", o->way.renormalise);
    at_json_put_string(j, "score", at_prune_score_name[o->score]);
    at_json_put_string(j, "limit",
                       o->limit == AT_PRUNE_UNUSED && o->most >= 0 ? "loss" : limit_name[o->limit]);
    if (o->limit == AT_PRUNE_UNUSED)
        at_json_put_null(j, "value");
    else
        at_json_put_number(j, "value", o->value);
    at_json_put_number(j, "experts_before", (double)p->choice.slots);
    at_json_put_number(j, "experts_after", (double)(p->choice.slots - p->choice.n));
    at_json_put_number(j, "parameters_before", p->parameters[0]);
    at_json_put_number(j, "parameters_after", p->parameters[1]);
    at_json_put_number(j, "bytes_before", p->bytes[0]);
    at_json_put_number(j, "bytes_after", p->bytes[1]);
    at_json_put_string(j, "calibrated_on", at_split_name[o->calibrate]);
    at_json_put_string(j, "measured_on", at_split_name[o->measure]);
    at_json_begin_list(j, "domains");
    for (int d = 0; d < p->data->n_domains; d++)
        if (p->domain[d].before.n) put_domain(j, &p->domain[d]);
    at_json_end(j);
    at_json_begin_list(j, "banks");
    for (int64_t b = 0; b < p->choice.of->n; b++)
        if (p->choice.of->bank[b].row) put_bank(j, p, b);
    at_json_end(j);
}
