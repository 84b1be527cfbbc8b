/* api_ask.c - see api_ask.h. */
#include "api/api_ask.h"
#include <fnmatch.h>
#include <string.h>

void at_asked_free(at_asked *a) {
    at_free(a->mask);
    *a = (at_asked){0};
}

/* Sets the mask of these names to `in`; "all" stands for all of them. */
static at_status mark(at_ctx *c, const at_lm *m, const char *const *name, int n, bool in,
                      bool *mask) {
    for (int k = 0; k < n; k++) {
        const int e = at_lm_expert(m, name[k]);
        const bool all = e < 0 && !strcmp(name[k], "all");
        if (e < 0 && !all) return at_error(c, AT_ARG, "%s has no expert `%s`", m->path, name[k]);
        for (int i = 0; i < m->n_experts; i++)
            if (all || i == e) mask[i] = in;
    }
    return AT_OK;
}

static at_status common_of(at_ctx *c, const char *text, at_common_use *out) {
    static const char *const word[] = {"on", "off", "only"};
    *out = AT_COMMON_ON;
    if (!text) return AT_OK;
    for (int i = 0; i < 3; i++)
        if (!strcmp(text, word[i])) {
            *out = (at_common_use)i;
            return AT_OK;
        }
    return at_error(c, AT_ARG, "common `%.40s`: expected on, off or only", text);
}

/* ---- modules of a mixture ------------------------------------------------------------------------ */

static bool allowed(const cJSON *licence, const artel_who *who) {
    for (int i = 0; cJSON_IsString(licence) && i < who->n_licences; i++)
        if (!fnmatch(who->licences[i], licence->valuestring, 0)) return true;
    return false;
}

/* Whether a module's passport names licences of its data, all of them allowed. */
static bool may_be_used(const at_member *m, const artel_who *who) {
    const cJSON *passport = cJSON_GetObjectItemCaseSensitive(m->entry, "passport"), *v = NULL;
    const cJSON *data = cJSON_GetObjectItemCaseSensitive(passport, "data");
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(data, "licences");
    bool all = cJSON_GetArraySize(list) > 0;
    cJSON_ArrayForEach(v, list) all &= allowed(v, who);
    return all;
}

static at_status name_members(at_ctx *c, const at_lm *m, const at_members *l,
                              const char *const *name, int n, bool in, bool *use) {
    for (int k = 0; k < n; k++) {
        const int e = at_member_find(l, name[k]);
        const bool all = e < 0 && !strcmp(name[k], "all"), none = !strcmp(name[k], "none");
        if (e < 0 && !all && !none)
            return at_error(c, AT_ARG, "%s has no module `%s`", m->path, name[k]);
        for (int i = 0; i < l->n; i++)
            if (all || i == e) use[i] = in;
    }
    return AT_OK;
}

static at_status members_of(at_ctx *c, const at_lm *m, const at_members *l, const artel_who *who,
                            at_ask *out) {
    bool use[AT_MEMBERS_MAX];
    for (int i = 0; i < l->n; i++) use[i] = !who->n_modules && !who->n_experts;
    at_status s = name_members(c, m, l, who->modules, who->n_modules, true, use);
    if (s == AT_OK) s = name_members(c, m, l, who->experts, who->n_experts, true, use);
    if (s == AT_OK) s = name_members(c, m, l, who->exclude, who->n_exclude, false, use);
    for (int i = 0; i < l->n && who->n_licences; i++) use[i] &= may_be_used(&l->item[i], who);
    out->members = at_members_mask(l, use);
    return s == AT_OK ? at_lm_check_ask(c, m, out) : s;
}

at_status at_ask_of(at_ctx *c, const at_lm *m, const artel_who *who, at_asked *out) {
    *out = (at_asked){0};
    if (!who) return AT_OK;
    const bool choose = who->n_experts || who->n_modules || who->n_exclude,
               together = who->n_average > 0;
    const at_members *own = at_lm_members(m);
    at_status s = common_of(c, who->common, &out->ask.common);
    if (s == AT_OK && own && (choose || who->n_licences)) {
        s = members_of(c, m, own, who, &out->ask);
        if (s != AT_OK || !together) return s;
    }
    if (s == AT_OK && who->n_licences && !own)
        s = at_error(c, AT_ARG, "%s has no modules whose passports name licences", m->path);
    if (s != AT_OK) return s;
    if (choose || together) {
        if (!(out->mask = at_calloc(c, 2 * (size_t)m->n_experts, sizeof *out->mask))) return AT_OOM;
        bool *chosen = out->mask, *average = out->mask + m->n_experts;
        for (int i = 0; i < m->n_experts; i++) chosen[i] = !who->n_experts && !who->n_modules;
        s = mark(c, m, who->experts, who->n_experts, true, chosen);
        if (s == AT_OK) s = mark(c, m, who->modules, who->n_modules, true, chosen);
        if (s == AT_OK) s = mark(c, m, who->exclude, who->n_exclude, false, chosen);
        if (s == AT_OK) s = mark(c, m, who->average, who->n_average, true, average);
        if (choose) out->ask.allowed = chosen;
        if (together) out->ask.together = average;
    }
    return s == AT_OK ? at_lm_check_ask(c, m, &out->ask) : s;
}
