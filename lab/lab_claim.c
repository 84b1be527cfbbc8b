/* lab_claim.c - claims as objects, decided together. */
#include "lab/lab_claim.h"
#include "report/jsonl.h"
#include <math.h>
#include <string.h>

enum { CLAIMS_MAX = 64 };

at_estimate at_estimate_exp(at_estimate e) {
    e.mean = exp(e.mean);
    e.lo = exp(e.lo);
    e.hi = exp(e.hi);
    return e;
}

at_estimate at_estimate_paired(const double *a, const double *b, int64_t n, double null) {
    double d[64];
    if (n > 64) n = 64;
    for (int64_t i = 0; i < n; i++) d[i] = a[i] - b[i];
    return at_stat_t(d, n, null);
}

at_status at_lab_claim(at_lab_session *l, const at_claim *claim, cJSON *more) {
    const at_estimate *e = &claim->e;
    cJSON *o = cJSON_CreateObject(), *ci = NULL;
    cJSON_AddStringToObject(o, "claim", claim->text);
    cJSON_AddFalseToObject(o, "holds");
    cJSON_AddNumberToObject(o, "effect", e->mean);
    ci = cJSON_AddArrayToObject(o, "ci");
    cJSON_AddItemToArray(ci, cJSON_CreateNumber(e->lo));
    cJSON_AddItemToArray(ci, cJSON_CreateNumber(e->hi));
    cJSON_AddNumberToObject(o, "p", e->p);
    cJSON_AddNullToObject(o, "p_holm");
    cJSON_AddNumberToObject(o, "n", (double)e->n);
    cJSON_AddStringToObject(o, "unit", claim->unit);
    cJSON_AddNumberToObject(o, "null", claim->null);
    cJSON_AddStringToObject(o, "side", claim->side == AT_ABOVE ? "above" : "below");
    if (claim->bound) cJSON_AddStringToObject(o, "bound", claim->bound);
    for (cJSON *v = more ? more->child : NULL; v; v = more->child) {
        cJSON_DetachItemViaPointer(more, v);
        cJSON_AddItemToObject(o, v->string, v);
    }
    cJSON_Delete(more);
    cJSON_AddItemToArray(l->claims, o);
    if (cJSON_GetArraySize(l->claims) > CLAIMS_MAX)
        return at_error(l->c, AT_UNSUPPORTED, "a lab has %d claims at most", CLAIMS_MAX);
    return AT_OK;
}

/* A limit on one side says nothing of the other. */
static bool bound_allows(const char *bound, bool above) {
    if (!bound || !strcmp(bound, "none")) return true;
    return !strcmp(bound, above ? "at_least" : "at_most");
}

static bool decide(const cJSON *o, double p_holm) {
    double effect, null;
    const char *side = at_jsonl_string(o, "side");
    const bool above = side && !strcmp(side, "above");
    if (!at_jsonl_number(o, "effect", &effect) || !at_jsonl_number(o, "null", &null)) return false;
    return bound_allows(at_jsonl_string(o, "bound"), above) && p_holm < 0.05 &&
           (above ? effect > null : effect < null);
}

at_status at_lab_claims_decide(at_lab_session *l) {
    double p[CLAIMS_MAX], adjusted[CLAIMS_MAX];
    const int n = cJSON_GetArraySize(l->claims);
    at_status s = AT_OK;
    for (int i = 0; i < n; i++)
        if (!at_jsonl_number(cJSON_GetArrayItem(l->claims, i), "p", &p[i])) p[i] = (double)NAN;
    at_stat_holm(p, n, adjusted);
    for (int i = 0; i < n && s == AT_OK; i++) {
        cJSON *o = cJSON_GetArrayItem(l->claims, i);
        cJSON_ReplaceItemInObjectCaseSensitive(o, "holds",
                                               cJSON_CreateBool(decide(o, adjusted[i])));
        cJSON_ReplaceItemInObjectCaseSensitive(o, "p_holm", cJSON_CreateNumber(adjusted[i]));
        cJSON *copy = cJSON_Duplicate(o, true);
        s = copy ? l->o->emit(l->o->user, copy) : at_error(l->c, AT_OOM, "out of memory");
    }
    return s;
}
