/* api_ask.c - see api_ask.h. */
#include "api/api_ask.h"
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

at_status at_ask_of(at_ctx *c, const at_lm *m, const artel_who *who, at_asked *out) {
    *out = (at_asked){0};
    if (!who) return AT_OK;
    const bool choose = who->n_experts || who->n_exclude, together = who->n_average > 0;
    at_status s = common_of(c, who->common, &out->ask.common);
    if (s != AT_OK) return s;
    if (choose || together) {
        if (!(out->mask = at_calloc(c, 2 * (size_t)m->n_experts, sizeof *out->mask))) return AT_OOM;
        bool *allowed = out->mask, *average = out->mask + m->n_experts;
        for (int i = 0; i < m->n_experts; i++) allowed[i] = who->n_experts == 0;
        s = mark(c, m, who->experts, who->n_experts, true, allowed);
        if (s == AT_OK) s = mark(c, m, who->exclude, who->n_exclude, false, allowed);
        if (s == AT_OK) s = mark(c, m, who->average, who->n_average, true, average);
        if (choose) out->ask.allowed = allowed;
        if (together) out->ask.together = average;
    }
    return s == AT_OK ? at_lm_check_ask(c, m, &out->ask) : s;
}
