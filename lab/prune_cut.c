/*
 * prune_cut.c - what a run costs each domain when it is cut down to it.
 *
 * Of a mixture experts go, by each score, as `artel prune --share` takes them (removed, gates not renormalised):
 * scores are those of the domain's validation split.  Of a model of trunks the trunk of the domain stays.  Of
 * a dense model the smallest weights of every matrix of attention and feed-forward parts become zero, the same
 * share of each (Han et al. 2015, arXiv 1506.02626, without training on), and count as gone.  A run that was
 * fine-tuned on a domain is cut down to that one.  Losses are of evenly spread windows of the test split.
 */
#include "base/file.h"
#include "lab/lab_probe.h"
#include "lab/prune_lab.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    at_lab_session *l;
    const pruning_scale *scale;
    at_model *m;
    at_json *line;
    int64_t context;
    uint64_t seed;
    int only; /* the domain that the run was fine-tuned on, or -1 */
} cutting;

void pruning_key(const at_lab_session *l, int domain, pruning_cut cut, double share,
                 const char *what, char out[PRUNING_KEY]) {
    (void)snprintf(out, PRUNING_KEY, "%.80s %s %g %s", l->data->domain[domain].name,
                   pruning_cut_name(cut), 100 * share, what);
}

/* The loss of a domain, and the size of the model that has it. */
static at_status put(const cutting *w, at_model *m, int d, uint64_t modules, pruning_cut cut,
                     double share, double size) {
    const at_probe_spec spec = {.context = w->context,
                                .stride = w->context,
                                .buckets = 1,
                                .limit = w->scale->windows,
                                .spread = true,
                                .modules = modules};
    char key[PRUNING_KEY];
    at_probe p;
    const at_status s =
        at_probe_run(&w->l->cp, m, &w->l->data->domain[d].shard[AT_TEST], &spec, NULL, &p);
    if (s == AT_OK) {
        pruning_key(w->l, d, cut, share, "loss", key);
        at_json_put_number(w->line, key, at_probe_loss(&p));
        pruning_key(w->l, d, cut, share, "parameters", key);
        at_json_put_number(w->line, key, size);
    }
    at_probe_close(&p);
    return s;
}

static bool asked(const cutting *w, int d) { return w->only < 0 || w->only == d; }

/* ---- experts of a mixture ---- */

static at_status cut_experts(const cutting *w, const at_slot_scores *scores, int d, int by,
                             double share) {
    const at_prune_way way = {0};
    at_prune_choice gone = {0};
    at_model *left = NULL;
    const int64_t all = at_prune_open(scores->of), least = all - at_prune_most(scores->of);
    if (ceil(share * (double)all) < (double)least) return AT_OK; /* fewer than a token uses */
    at_status s = at_prune_choose(w->l->c, scores, (at_prune_score)by, AT_PRUNE_SHARE, share, NULL,
                                  NULL, &gone);
    if (s == AT_OK) s = at_prune_make(w->l->c, w->m, &gone, way, &left);
    if (s == AT_OK)
        s = put(w, left, d, 0, (pruning_cut)(PRUNING_BY_SCORE + by), share,
                (double)at_model_numel(left));
    at_model_close(left);
    at_prune_choice_close(&gone);
    return s;
}

static at_status cut_mixture(const cutting *w, int d) {
    at_slot_scores scores = {0};
    at_prune_text text = {w->l->data, &d, 1, AT_VALIDATION, w->context, w->scale->score_windows};
    at_status s = at_slot_scores_read(&w->l->cp, w->m, &text, w->seed, &scores);
    text.windows = w->scale->loss_windows;
    if (s == AT_OK) s = at_slot_losses(&w->l->cp, w->m, &text, AT_SLOT_EXCLUDED, &scores);
    for (int by = 0; by < AT_PRUNE_SCORES; by++)
        for (int i = 1; i < AT_PRUNE_SHARES && s == AT_OK; i++)
            s = cut_experts(w, &scores, d, by, at_prune_shares[i]);
    at_slot_scores_close(&scores);
    return s;
}

/* ---- weights of a dense model ---- */

static int by_size(const void *a, const void *b) {
    const at_real x = *(const at_real *)a, y = *(const at_real *)b;
    return (x > y) - (x < y);
}

/* Zeroes all but a share of a matrix; adds to *gone how many are zero. */
static at_status zero_smallest(at_ctx *c, at_tensor *t, double share, double *gone) {
    const int64_t n = at_numel(t), out = n - (int64_t)ceil(share * (double)n);
    at_real *size = at_malloc(c, (size_t)n * sizeof *size);
    if (!size) return AT_OOM;
    for (int64_t i = 0; i < n; i++) size[i] = (at_real)fabs((double)t->data[i]);
    qsort(size, (size_t)n, sizeof *size, by_size);
    for (int64_t i = 0; i < n && out > 0; i++)
        if (fabs((double)t->data[i]) <= (double)size[out - 1]) {
            t->data[i] = 0;
            *gone += 1;
        }
    at_free(size);
    return AT_OK;
}

static at_status cut_dense(const cutting *w) {
    at_model *m = NULL;
    at_status s = at_model_load(w->l->c, w->m->path, true, &m);
    for (int i = 1; i < AT_PRUNE_SHARES && s == AT_OK; i++) {
        const double share = at_prune_shares[i];
        double gone = 0;
        for (int64_t p = 0; p < m->store.n && s == AT_OK; p++) {
            at_param_entry *e = m->store.p[p];
            if (e->t.rank > 1 && !e->table) s = zero_smallest(w->l->c, &e->t, share, &gone);
        }
        for (int d = 0; d < w->l->data->n_domains && s == AT_OK; d++)
            if (asked(w, d))
                s = put(w, m, d, 0, PRUNING_MAGNITUDE, share, (double)at_model_numel(m) - gone);
    }
    at_model_close(m);
    return s;
}

/* ---- trunks ---- */

/* Parameters of a model when of all its trunks one stays. */
static double with_trunk(const at_model *m, const char *name) {
    double n = 0;
    const size_t own = strlen(name);
    for (int64_t i = 0; i < m->store.n; i++) {
        const at_param_entry *e = m->store.p[i];
        const char *trunk = strncmp(e->path, "trunks.", 7) ? NULL : e->path + 7;
        if (!trunk || (!strncmp(trunk, name, own) && trunk[own] == '.'))
            n += (double)at_numel(&e->t);
    }
    return n;
}

/* ---- all of it ---- */

static at_status cut_for(const cutting *w, int d) {
    const char *name = w->l->data->domain[d].name;
    const at_modules trunks = at_model_modules(w->m);
    const int own = trunks.n ? at_model_module(w->m, name) : -1;
    const uint64_t modules = own < 0 ? 0 : UINT64_C(1) << own;
    at_status s =
        put(w, w->m, d, modules, PRUNING_WHOLE, at_prune_shares[0], (double)at_model_numel(w->m));
    if (s == AT_OK && trunks.n)
        return put(w, w->m, d, modules, PRUNING_OWN, 1.0 / trunks.n, with_trunk(w->m, name));
    const at_banks *banks = at_model_banks(w->m);
    return s == AT_OK && banks && at_prune_most(banks) > 0 ? cut_mixture(w, d) : s;
}

at_status pruning_measure(at_lab_session *l, const at_trial *t, at_model *m, int64_t context,
                          at_json *line) {
    cutting w = {l, pruning_scale_of(l), m, line, context, (uint64_t)t->seed, -1};
    char group[64];
    for (int kind = 0; kind < PRUNING_KINDS; kind++)
        for (int d = 0; d < l->data->n_domains; d++) {
            pruning_group(l, (pruning_kind)kind, d, group);
            if (!strcmp(group, t->group)) w.only = d;
        }
    at_status s = AT_OK;
    at_json_begin_object(line, "pruned");
    for (int d = 0; d < l->data->n_domains && s == AT_OK; d++)
        if (asked(&w, d)) s = cut_for(&w, d);
    const at_banks *banks = at_model_banks(m);
    const bool dense = !at_model_modules(m).n && !(banks && at_prune_most(banks) > 0);
    if (s == AT_OK && dense) s = cut_dense(&w);
    at_json_end(line);
    return s;
}
