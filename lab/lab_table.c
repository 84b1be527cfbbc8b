/* lab_table.c - see lab_table.h. */
#include "lab/lab_table.h"
#include "lab/lab_page.h"
#include "lab/lab_trial.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

double at_lab_number(const at_lab_session *l, const char *group, int64_t seed, const char *key) {
    const at_trial *t = at_lab_trial(l, group, seed);
    const cJSON *o = t ? t->result : NULL;
    const char *dot = strchr(key, '.');
    char part[64];
    if (o && dot) {
        (void)snprintf(part, sizeof part, "%.*s", (int)(dot - key), key);
        o = cJSON_GetObjectItemCaseSensitive(o, part);
        key = dot + 1;
    }
    o = o ? cJSON_GetObjectItemCaseSensitive(o, key) : NULL;
    return cJSON_IsNumber(o) ? o->valuedouble : (double)NAN;
}

at_status at_lab_claim_seeds(at_lab_session *l, const at_claim_text *c, const double *x,
                             int64_t n) {
    double told[AT_LAB_SEEDS_MAX];
    for (int64_t k = 0; k < n; k++) {
        if (!isfinite(x[k]))
            return at_lab_warn(l,
                               "nothing is said of the claim \"%s\": with seed %lld a number is "
                               "missing",
                               c->text, (long long)k + 1);
        told[k] = c->ratio ? exp(x[k]) : x[k];
    }
    at_claim claim = {.text = c->text, .unit = c->unit, .null = c->null, .side = c->side};
    claim.e = at_stat_t(x, n, c->ratio ? log(c->null) : c->null);
    if (c->ratio) claim.e = at_estimate_exp(claim.e);
    at_json j;
    at_lab_claim_begin(l, &claim, &j);
    if (c->part) at_json_put_string(&j, "part", c->part);
    at_json_put_string(&j, "paper", c->paper);
    at_json_put_numbers(&j, "by_seed", told, n);
    return at_lab_claim_end(l, &j);
}

void at_lab_put_quoted(at_text *t, at_lab_session *l, const char *s) {
    at_json j;
    at_json_open_value(&j, l->c);
    at_json_put_string(&j, NULL, s ? s : "");
    char *text = at_json_take(&j);
    if (!text && !t->failed) t->failed = l->c->status;
    at_text_add(t, text ? text : "");
    at_free(text);
}

void at_lab_put_model(at_text *t, at_lab_session *l, const char *group, int64_t seed) {
    char *path = at_lab_model(l, group, seed);
    if (!path && !t->failed) t->failed = l->c->status;
    at_lab_put_quoted(t, l, path);
    at_free(path);
}

const char *at_page_spread(char out[AT_CELL], const double *x, int64_t n, int digits) {
    (void)snprintf(out, AT_CELL, "%.*f \xc2\xb1 %.*f", digits, at_stat_mean(x, n), digits,
                   n > 1 ? at_stat_sd(x, n) : 0);
    return out;
}

void at_page_holding(at_lab_session *l) {
    char value[AT_CELL];
    int holds = 0;
    const cJSON *o;
    cJSON_ArrayForEach(o, l->claims) holds += cJSON_IsTrue(cJSON_GetObjectItem(o, "holds"));
    (void)snprintf(value, sizeof value, "%d of %d", holds, cJSON_GetArraySize(l->claims));
    at_page_figure(l, "claims that hold here", value);
}
