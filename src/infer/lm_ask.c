/* lm_ask.c - who answers: one whom the router chooses, or those that the asker names. */
#include "infer/lm.h"
#include <string.h>

bool at_ask_is_set(const at_ask *ask) {
    return ask && (ask->together || ask->common == AT_COMMON_ONLY);
}

bool at_lm_speaks(const at_ask *ask, int expert, int i) {
    return expert >= 0 ? expert == i : ask && ask->together && ask->together[i];
}

static int count(const bool *mask, int n) {
    int k = 0;
    for (int i = 0; mask && i < n; i++) k += mask[i];
    return k;
}

const at_members *at_lm_members(const at_lm *m) {
    const at_model *x = m->trunks ? NULL : m->expert[0].model;
    return x && !m->router && x->members.n ? &x->members : NULL;
}

at_status at_lm_check_ask(at_ctx *c, const at_lm *m, const at_ask *ask) {
    if (!ask) return AT_OK;
    const at_members *own = at_lm_members(m);
    if (ask->members && !own)
        return at_error(c, AT_ARG, "%s has no modules beside its base", m->path);
    if (own && ask->members)
        return at_members_check(c, own, at_model_banks(m->expert[0].model), ask->members, m->path);
    const bool common = m->trunks && at_trunks_modules(m->trunks).common;
    if (ask->common != AT_COMMON_ON && !common)
        return at_error(c, AT_ARG, "%s has no common trunk to leave out or to ask alone", m->path);
    if (ask->common == AT_COMMON_ONLY && (ask->together || ask->allowed))
        return at_error(c, AT_ARG, "%s: the common trunk alone, or experts: not both", m->path);
    if (ask->together && ask->allowed)
        return at_error(c, AT_ARG, "%s: experts to choose from, or experts to average: not both",
                        m->path);
    if (ask->together && !count(ask->together, m->n_experts))
        return at_error(c, AT_ARG, "%s: no expert to average", m->path);
    if (ask->together && !m->trunks)
        return at_error(
            c, AT_ARG,
            "%s: its experts are whole models, each with an embedding and a head of its "
            "own; only trunks that share these can be averaged",
            m->path);
    return AT_OK;
}

/* Without a router only one may be left. */
static at_status choose_alone(at_ctx *c, const at_lm *m, const bool *allowed, double *probs,
                              int *best) {
    const int n = allowed ? count(allowed, m->n_experts) : m->n_experts;
    *best = 0;
    if (n > 1)
        return at_error(
            c, AT_ARG,
            "%s has %d trunks and no router to choose between them: name one, have several "
            "averaged, or compose it with a router",
            m->path, m->n_experts);
    if (n < 1) return at_error(c, AT_ARG, "every expert is excluded");
    while (allowed && !allowed[*best]) ++*best;
    for (int i = 0; probs && i < m->n_experts; i++) probs[i] = i == *best;
    return AT_OK;
}

at_status at_lm_route(at_ctx *c, const at_lm *m, const int32_t *ids, int64_t n, const at_ask *ask,
                      double *probs, int *best) {
    const bool *allowed = ask ? ask->allowed : NULL;
    at_status s = at_lm_check_ask(c, m, ask);
    *best = -1;
    if (s == AT_OK && m->ensemble) {
        if (count(allowed, m->n_experts) == 1) return choose_alone(c, m, allowed, probs, best);
        return at_error(c, AT_ARG,
                        "%s is an ensemble: `artel eval` measures what its models say together; to "
                        "write, one of them is named",
                        m->path);
    }
    for (int i = 0; probs && i < m->n_experts; i++) probs[i] = 0;
    if (s != AT_OK || at_ask_is_set(ask)) return s;
    if (!m->router) return choose_alone(c, m, allowed, probs, best);
    double *p = at_calloc(c, (size_t)m->router->n_classes, sizeof *p);
    if (!p) return AT_OOM;
    int top = 0;
    s = at_router_predict(c, m->router, ids, n, p, &top, NULL);
    for (int i = 0; i < m->n_experts && s == AT_OK; i++) {
        const double v = p[m->class_of[i]];
        if ((!allowed || allowed[i]) && (*best < 0 || v > p[m->class_of[*best]])) *best = i;
    }
    if (s == AT_OK && probs) at_router_temper(m->router, p);
    for (int i = 0; i < m->n_experts && probs && s == AT_OK; i++) probs[i] = p[m->class_of[i]];
    at_free(p);
    if (s == AT_OK && *best < 0) return at_error(c, AT_ARG, "every expert is excluded");
    return s;
}

at_status at_lm_voice(at_ctx *c, const at_lm *m, const at_ask *ask, int expert, at_voice *out) {
    if (!m->trunks) {
        *out = (at_voice){m->expert[expert].model, ask ? ask->members : 0};
        return AT_OK;
    }
    const at_modules l = at_trunks_modules(m->trunks);
    const at_common_use common = ask ? ask->common : AT_COMMON_ON;
    uint64_t mask = l.common && common != AT_COMMON_OFF ? UINT64_C(1) << l.n : 0;
    for (int i = 0; i < l.n; i++)
        if (at_lm_speaks(ask, expert, i)) mask |= UINT64_C(1) << i;
    const at_status s = at_trunks_voice(c, m->trunks, mask, out);
    const char *hash = s == AT_OK ? out->model->tokenizer : NULL;
    if (hash && m->hash && strcmp(hash, m->hash) != 0)
        return at_error(c, AT_MISMATCH,
                        "%s: the trunks were trained with tokenizer %.12s, tokenizer.json is %.12s",
                        m->path, hash, m->hash);
    return s;
}
