/* evaluate.c - windows of equal length and expert are batched, so that products are large; sums are
   taken in a fixed order. */
#include "infer/evaluate.h"
#include "base/ints.h"
#include "infer/ensemble.h"
#include <string.h>

enum { GROUP = 8, NOBODY = -2 };

typedef struct {
    at_compute *cp;
    at_arena arena;
    const at_tokenizer *tok;
    int32_t *ids, *label; /* [GROUP, context] */
    int64_t n, T;         /* windows gathered, their length */
    int64_t prefix;       /* tokens of a window that are not predicted */
    at_eval *out;
} group;

static at_status flush(group *g, at_model *m) {
    if (!g->n) return AT_OK;
    at_pass p = {.usage = g->out->usage};
    const at_input in = {.ids = g->ids, .B = g->n, .T = g->T, .modules = g->out->modules};
    at_head_report rep = {0};
    const at_readout what = {.label = g->label, .parts = 1, .report = &rep};
    const at_status s = at_model_read(g->cp, &g->arena, m, &in, &p, &what);
    if (s != AT_OK) return s;
    g->out->nats += rep.ce * (double)rep.n_labels;
    g->out->tokens += rep.n_labels;
    g->out->windows += g->n;
    for (int64_t i = 0; g->tok && i < g->n * g->T; i++) {
        size_t bytes = 0;
        if (g->label[i] >= 0 && at_tokenizer_after(g->tok, g->ids[i], g->label[i], &bytes) &&
            g->label[i] != at_tokenizer_eot(g->tok))
            g->out->bytes += (int64_t)bytes;
    }
    g->n = 0;
    return AT_OK;
}

/* Adds a window.  Of its n tokens n - 1 are scored, or those after the prefix. */
static at_status push(group *g, at_model *m, const at_shard *s, int64_t start, int64_t n,
                      int32_t *window) {
    if (g->n && g->T != n - 1) {
        const at_status st = flush(g, m);
        if (st != AT_OK) return st;
    }
    at_shard_read(s, start, n, window);
    g->T = n - 1;
    memcpy(g->ids + g->n * g->T, window, (size_t)g->T * sizeof *window);
    int32_t *label = g->label + g->n * g->T;
    memcpy(label, window + 1, (size_t)g->T * sizeof *window);
    for (int64_t i = 0; i + 1 < g->prefix; i++) label[i] = -1;
    g->n++;
    return g->n == GROUP ? flush(g, m) : AT_OK;
}

static at_status group_open(group *g, at_compute *cp, int64_t context, const at_tokenizer *tok,
                            int64_t prefix, at_eval *out) {
    *g = (group){.cp = cp, .tok = tok, .prefix = prefix, .out = out};
    at_arena_init(&g->arena, cp->ctx);
    g->ids = at_malloc(cp->ctx, (size_t)(GROUP * context) * sizeof *g->ids);
    g->label = at_malloc(cp->ctx, (size_t)(GROUP * context) * sizeof *g->label);
    return g->ids && g->label ? AT_OK : AT_OOM;
}
static void group_close(group *g) {
    at_arena_close(&g->arena);
    at_free(g->ids);
    at_free(g->label);
}

/* Whether a window of n tokens has any to score after the prefix. */
static bool predicts(int64_t n, int64_t prefix) { return n > (prefix > 1 ? prefix : 1); }

/* Windows that `owner` gives to this model (owner NULL: all). */
static at_status eval_owned(at_compute *cp, at_model *m, const at_shard *s, int64_t context,
                            int64_t limit, const at_tokenizer *tok, int64_t prefix,
                            const int *owner, int self, at_eval *out) {
    group g;
    at_status st = group_open(&g, cp, context, tok, prefix, out);
    int32_t *window = at_malloc(cp->ctx, (size_t)(context + 1) * sizeof *window);
    if (!window) st = AT_OOM;
    const int64_t n = at_eval_windows(s, context, limit);
    for (int64_t i = 0; i < n && st == AT_OK; i++) {
        int64_t start, len;
        if (owner && owner[i] != self) continue;
        if (at_interrupted(cp->ctx)) st = at_error(cp->ctx, AT_INTERRUPTED, "interrupted");
        at_eval_window(s, context, limit, i, &start, &len);
        if (st == AT_OK && predicts(len, prefix)) st = push(&g, m, s, start, len, window);
    }
    if (st == AT_OK) st = flush(&g, m);
    at_free(window);
    group_close(&g);
    return st;
}

at_status at_eval_model(at_compute *cp, at_model *m, const at_shard *s, int64_t context,
                        int64_t limit, const at_tokenizer *tok, at_eval *out) {
    if (context > m->dims.context) context = m->dims.context;
    return eval_owned(cp, m, s, context, limit, tok, 0, NULL, 0, out);
}

/* Who answers each window: an expert; -1, those whom `ask` names; or nobody, where the router is not sure
   or nothing is to be predicted. */
static at_status choose(at_ctx *c, const at_lm *m, const at_shard *s, int64_t context,
                        int64_t limit, int64_t prefix, const at_ask *ask, int *owner,
                        at_eval *out) {
    int32_t *window = at_malloc(c, (size_t)(context + 1) * sizeof *window);
    double *probs = at_calloc(c, (size_t)m->n_experts, sizeof *probs);
    at_status st = window && probs ? AT_OK : AT_OOM;
    const int64_t n = at_eval_windows(s, context, limit);
    for (int64_t i = 0; i < n && st == AT_OK; i++) {
        int64_t start, len;
        owner[i] = NOBODY;
        at_eval_window(s, context, limit, i, &start, &len);
        at_shard_read(s, start, len, window);
        if (!predicts(len, prefix)) continue;
        st = at_lm_route(c, m, window, prefix ? prefix : len - 1, ask, probs, &owner[i]);
        if (st == AT_OK && m->router && owner[i] >= 0 && probs[owner[i]] < out->abstain) {
            owner[i] = NOBODY;
            out->abstained++;
        }
        for (int e = 0; e < m->n_experts && st == AT_OK && out->windows_by; e++)
            out->windows_by[e] += owner[i] != NOBODY && at_lm_speaks(ask, owner[i], e);
    }
    at_free(probs);
    at_free(window);
    return st;
}

static bool has_any(const int *owner, int64_t n, int self) {
    for (int64_t i = 0; i < n; i++)
        if (owner[i] == self) return true;
    return false;
}

/* Of those who are allowed. */
static at_status eval_ensemble(at_compute *cp, const at_lm *m, const at_shard *s, int64_t context,
                               int64_t limit, int64_t prefix, const at_ask *ask, at_eval *out) {
    at_ctx *c = cp->ctx;
    at_status st = at_lm_check_ask(c, m, ask);
    if (st == AT_OK && out->abstain > 0)
        st = at_error(c, AT_UNSUPPORTED, "%s is an ensemble: it does not abstain", m->path);
    at_model **model = at_calloc(c, (size_t)m->n_experts, sizeof *model);
    int *class_of = at_calloc(c, (size_t)m->n_experts, sizeof *class_of);
    at_ensemble_loss l = {.by = at_calloc(c, (size_t)m->n_experts, sizeof *l.by)};
    at_ensemble e = {.model = model, .router = m->router, .class_of = class_of};
    if (!model || !class_of || !l.by) st = AT_OOM;
    for (int i = 0; i < m->n_experts && st == AT_OK; i++) {
        if (ask && ask->allowed && !ask->allowed[i]) continue;
        class_of[e.n] = m->router ? m->class_of[i] : 0;
        model[e.n++] = m->expert[i].model;
    }
    e.k = (int)at_min(m->ensemble, e.n);
    if (st == AT_OK && !e.n) st = at_error(c, AT_ARG, "every expert is excluded");
    if (st == AT_OK) st = at_ensemble_eval(cp, &e, s, context, limit, prefix, &l);
    out->nats += l.nats;
    out->tokens += l.tokens;
    out->windows += l.windows;
    for (int i = 0, at = 0; i < m->n_experts && st == AT_OK && out->windows_by; i++)
        if (!ask || !ask->allowed || ask->allowed[i]) out->windows_by[i] += l.by[at++];
    at_free(l.by);
    at_free(model);
    at_free(class_of);
    return st;
}

at_status at_eval_lm(at_compute *cp, at_lm *m, const at_shard *s, int64_t context, int64_t limit,
                     int64_t prefix, const at_ask *ask, at_eval *out) {
    at_ctx *c = cp->ctx;
    if (context <= 0 || context > m->context) context = m->context;
    if (m->ensemble) return eval_ensemble(cp, m, s, context, limit, prefix, ask, out);
    const int64_t n = at_eval_windows(s, context, limit);
    int *owner = at_calloc(c, (size_t)n + 1, sizeof *owner);
    at_usage *usage = out->usage;
    if (m->n_experts > 1) out->usage = NULL;
    at_status st = owner ? choose(c, m, s, context, limit, prefix, ask, owner, out) : AT_OOM;
    for (int e = -1; e < m->n_experts && st == AT_OK; e++) {
        at_voice v;
        if (!has_any(owner, n, e)) continue; /* nothing of it is read from disk */
        st = at_lm_voice(c, m, ask, e, &v);
        out->modules = v.modules;
        if (st == AT_OK)
            st = eval_owned(cp, v.model, s, context, limit, m->tokenizer, prefix, owner, e, out);
    }
    out->usage = usage;
    at_free(owner);
    return st;
}
