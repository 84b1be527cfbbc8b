/* lab_claim.c - claims as objects. */
#include "lab/lab_claim.h"
#include <math.h>

at_estimate at_estimate_exp(at_estimate e) {
    e.mean = exp(e.mean);
    e.lo = exp(e.lo);
    e.hi = exp(e.hi);
    return e;
}

at_estimate at_estimate_paired(const double *a, const double *b, int64_t n) {
    double d[64];
    if (n > 64) n = 64;
    for (int64_t i = 0; i < n; i++) d[i] = a[i] - b[i];
    return at_stat_t(d, n, 0);
}

at_status at_lab_claim(at_lab_session *l, const char *text, bool holds, const at_estimate *e,
                       const char *unit, cJSON *more) {
    cJSON *o = cJSON_CreateObject(), *ci = NULL;
    cJSON_AddStringToObject(o, "claim", text);
    cJSON_AddBoolToObject(o, "holds", holds);
    cJSON_AddNumberToObject(o, "effect", e->mean);
    ci = cJSON_AddArrayToObject(o, "ci");
    cJSON_AddItemToArray(ci, cJSON_CreateNumber(e->lo));
    cJSON_AddItemToArray(ci, cJSON_CreateNumber(e->hi));
    cJSON_AddNumberToObject(o, "p", e->p);
    cJSON_AddNumberToObject(o, "n", (double)e->n);
    cJSON_AddStringToObject(o, "unit", unit);
    for (cJSON *v = more ? more->child : NULL; v; v = more->child) {
        cJSON_DetachItemViaPointer(more, v);
        cJSON_AddItemToObject(o, v->string, v);
    }
    cJSON_Delete(more);
    cJSON *copy = cJSON_Duplicate(o, true);
    cJSON_AddItemToArray(l->claims, o);
    return copy ? l->o->emit(l->o->user, copy) : at_error(l->c, AT_OOM, "out of memory");
}
