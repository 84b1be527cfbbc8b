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

void at_lab_claim_begin(at_lab_session *l, const at_claim *claim, at_json *j) {
    const at_estimate *e = &claim->e;
    at_json_open(j, l->c);
    at_json_put_string(j, "claim", claim->text);
    at_json_put_bool(j, "holds", false);
    at_json_put_number(j, "effect", e->mean);
    at_json_put_numbers(j, "ci", (const double[]){e->lo, e->hi}, 2);
    at_json_put_number(j, "p", e->p);
    at_json_put_null(j, "p_holm");
    at_json_put_number(j, "n", (double)e->n);
    at_json_put_string(j, "unit", claim->unit);
    at_json_put_number(j, "null", claim->null);
    at_json_put_string(j, "side", claim->side == AT_ABOVE ? "above" : "below");
    if (claim->bound) at_json_put_string(j, "bound", claim->bound);
    if (claim->family) at_json_put_string(j, "family", claim->family);
}

at_status at_lab_claim_end(at_lab_session *l, at_json *j) {
    cJSON *o = at_json_value(j, "claim");
    if (!o) return l->c->status;
    at_json_append(l->claims, o);
    if (cJSON_GetArraySize(l->claims) > CLAIMS_MAX)
        return at_error(l->c, AT_UNSUPPORTED, "a lab has %d claims at most", CLAIMS_MAX);
    return AT_OK;
}

/* Whether an effect that is only a limit can support a claim on this side. */
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

/* The claim with what was decided of it. */
static cJSON *decided(at_ctx *c, const cJSON *claim, double p_holm) {
    at_json j;
    at_json_open(&j, c);
    const cJSON *v = NULL;
    cJSON_ArrayForEach(v, claim) {
        if (!strcmp(v->string, "holds"))
            at_json_put_bool(&j, "holds", decide(claim, p_holm));
        else if (!strcmp(v->string, "p_holm"))
            at_json_put_number(&j, "p_holm", p_holm);
        else
            at_json_put_value(&j, v->string, v);
    }
    return at_json_value(&j, "claim");
}

static bool same_family(const cJSON *a, const cJSON *b) {
    const char *x = at_jsonl_string(a, "family"), *y = at_jsonl_string(b, "family");
    return x && y ? !strcmp(x, y) : x == y;
}

/* Corrects each claim among its family. */
static void correct(const cJSON *claims, int n, const double *p, double *adjusted) {
    for (int i = 0; i < n; i++) {
        double own[CLAIMS_MAX], out[CLAIMS_MAX];
        int m = 0, at = 0;
        for (int k = 0; k < n; k++) {
            if (!same_family(cJSON_GetArrayItem(claims, i), cJSON_GetArrayItem(claims, k)))
                continue;
            if (k == i) at = m;
            own[m++] = p[k];
        }
        at_stat_holm(own, m, out);
        adjusted[i] = out[at];
    }
}

at_status at_lab_claims_decide(at_lab_session *l) {
    double p[CLAIMS_MAX], adjusted[CLAIMS_MAX];
    const int n = cJSON_GetArraySize(l->claims);
    cJSON *all = at_json_list(l->c);
    at_status s = all ? AT_OK : l->c->status;
    for (int i = 0; i < n; i++)
        if (!at_jsonl_number(cJSON_GetArrayItem(l->claims, i), "p", &p[i])) p[i] = (double)NAN;
    correct(l->claims, n, p, adjusted);
    for (int i = 0; i < n && s == AT_OK; i++) {
        cJSON *o = decided(l->c, cJSON_GetArrayItem(l->claims, i), adjusted[i]);
        if (!o) s = l->c->status;
        if (o) at_json_append(all, o);
        at_json j;
        at_json_open_value(&j, l->c);
        at_json_put_value(&j, NULL, o);
        if (s == AT_OK) s = l->o->emit(l->o->user, &j);
        at_json_close(&j);
    }
    cJSON_Delete(l->claims);
    l->claims = all;
    return s;
}
