/* diagnosis.c - the list of findings. */
#include "infer/diagnosis.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct {
    const char *kind;
    at_severity severity;
    const char *advice;
} kinds[] = {
    {"not-finite", AT_SEVERITY_ERROR, "take an earlier checkpoint: what it computes is no number"},
    {"zero", AT_SEVERITY_WARNING,
     "nothing flows through it: was it loaded, was it ever trained?  An expert like this can be "
     "pruned"},
    {"duplicate", AT_SEVERITY_WARNING,
     "one of them can be pruned; after an upcycling, train until they differ, with noise on the "
     "copy"},
    {"k-too-large", AT_SEVERITY_ERROR, "lower k, or prune to what is alive and train again"},
    {"no-gradient", AT_SEVERITY_ERROR,
     "this router learns nothing from text: with one expert a token set renormalise_gates: false, "
     "or "
     "use two"},
    {"gates", AT_SEVERITY_ERROR,
     "set renormalise_gates to what the model was trained with: another scale of gates is another "
     "model"},
    {"gates-twice", AT_SEVERITY_ERROR,
     "the gates were normalised before they were exported: take the logits of the router instead"},
    {"never-chosen", AT_SEVERITY_WARNING,
     "not calibrated by this text: read text that it was made for before it is pruned or "
     "quantised"},
    {"dead", AT_SEVERITY_WARNING,
     "train with an auxiliary loss (losses.switch, losses.mutual_information)"},
    {"aux-discarded", AT_SEVERITY_WARNING,
     "set aux_loss_weight, or a section losses in the recipe, before the model is trained further"},
    {NULL, AT_SEVERITY_WARNING, NULL},
};

at_status at_doctor_find(at_ctx *c, at_diagnosis *d, const char *kind, const char *where,
                         double value, const char *fmt, ...) {
    int k = 0;
    va_list ap;
    while (kinds[k].kind && strcmp(kinds[k].kind, kind) != 0) k++;
    if (!at_reserve(c, &d->item, &d->cap, d->n + 1, sizeof *d->item)) return AT_OOM;
    at_finding *f = &d->item[d->n++];
    *f = (at_finding){
        .kind = kind, .advice = kinds[k].advice, .severity = kinds[k].severity, .value = value};
    (void)snprintf(f->where, sizeof f->where, "%s", where);
    va_start(ap, fmt);
    (void)vsnprintf(f->measured, sizeof f->measured, fmt, ap);
    va_end(ap);
    return AT_OK;
}

void at_doctor_place(at_router_id id, char place[64]) {
    (void)snprintf(place, 64, "layer %lld, %s", (long long)id.layer, at_layer_kind_name[id.kind]);
}

void at_diagnosis_close(at_diagnosis *d) {
    at_free(d->item);
    *d = (at_diagnosis){0};
}
