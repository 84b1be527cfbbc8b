/* prune.c - see prune.h. */
#include "infer/prune.h"
#include "base/file.h"
#include "base/ints.h"
#include "base/partial.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PROOF = 8 /* documents of a domain and split */, WINDOW = 64 /* tokens of each */ };
const double at_prune_shares[AT_PRUNE_SHARES] = {1, 0.5, 0.25, 0.125};

/* ---- promises ---- */

at_status at_prune_promise_read(at_ctx *c, const char *text, at_prune_promise *out) {
    *out = (at_prune_promise){0};
    if (!strcmp(text, "bit-identical")) return AT_OK;
    const char *colon = strrchr(text, ':');
    char *end = NULL;
    const bool signed_one = colon && (colon[1] == '+' || colon[1] == '-');
    const double v = signed_one ? strtod(colon + 1, &end) : 0;
    if (!end || end < colon + 3 || strcmp(end, "%") != 0 || !isfinite(v) || colon == text)
        return at_error(c, AT_ARG,
                        "`%.80s`: expected bit-identical, or DOMAIN:+P%% such as fr:+1%%", text);
    *out = (at_prune_promise){text, (int)(colon - text), v / 100};
    return AT_OK;
}

/* The relative increase of a domain's loss, to the end of its interval where it has one. */
static double increase_of(const at_prune_domain *d) {
    const double x = isfinite(d->increase.hi) ? d->increase.hi : d->increase.mean;
    return x / at_doc_losses_mean(&d->before);
}

static at_status broken(at_ctx *c, const at_prune_domain *d, double most) {
    return at_error(
        c, AT_MISMATCH,
        "domain `%s`: the loss goes from %.4f to %.4f, with its interval by up to %.2f %%, and "
        "%.2f %% was allowed: no model was made",
        d->name, at_doc_losses_mean(&d->before), at_doc_losses_mean(&d->after),
        100 * increase_of(d), 100 * most);
}

static at_status keep_promises(at_ctx *c, const at_pruned *p) {
    const at_prune_options *o = &p->how;
    for (int d = 0; d < p->data->n_domains; d++)
        if (p->domain[d].kept && o->most >= 0 && !(increase_of(&p->domain[d]) <= o->most))
            return broken(c, &p->domain[d], o->most);
    for (int64_t i = 0; i < o->n_promises; i++) {
        const at_prune_promise *q = &o->promise[i];
        if (!q->domain && !p->identical)
            return at_error(
                c, AT_MISMATCH,
                "bit-identical was required, but answers on text of the domains that are "
                "kept differ: no model was made");
        for (int d = 0; q->domain && d < p->data->n_domains; d++) {
            const at_prune_domain *x = &p->domain[d];
            if ((int)strlen(x->name) != q->domain_bytes ||
                strncmp(x->name, q->domain, (size_t)q->domain_bytes) != 0)
                continue;
            if (!(increase_of(x) <= q->increase)) return broken(c, x, q->increase);
        }
    }
    return AT_OK;
}

/* ---- what is there ---- */

void at_pruned_close(at_pruned *p) {
    for (int d = 0; p->domain && d < p->data->n_domains; d++) {
        at_doc_losses_close(&p->domain[d].before);
        at_doc_losses_close(&p->domain[d].after);
    }
    at_free(p->domain);
    at_slot_scores_close(&p->scores);
    at_prune_choice_close(&p->choice);
    at_dataset_close(p->data);
    at_lm_close(p->lm);
    *p = (at_pruned){0};
}

static at_model *model_of(const at_pruned *p) { return p->lm->expert[0].model; }

static at_status find_domains(at_ctx *c, at_pruned *p) {
    const at_prune_options *o = &p->how;
    const at_dataset *d = p->data;
    if (!(p->domain = at_calloc(c, (size_t)d->n_domains, sizeof *p->domain))) return AT_OOM;
    for (int i = 0; i < d->n_domains; i++) {
        p->domain[i].name = d->domain[i].name;
        p->domain[i].kept = o->n_keep == 0;
    }
    for (int64_t i = 0; i < o->n_keep; i++) {
        const int x = at_dataset_domain(d, o->keep[i]);
        if (x < 0)
            return at_error(c, AT_ARG, "%s has no domain `%.80s` that could be kept", d->path,
                            o->keep[i]);
        p->domain[x].kept = true;
    }
    for (int64_t i = 0; i < o->n_promises; i++) {
        char name[80];
        const at_prune_promise *q = &o->promise[i];
        if (!q->domain) continue;
        (void)snprintf(name, sizeof name, "%.*s", q->domain_bytes, q->domain);
        if (at_dataset_domain(d, name) < 0)
            return at_error(c, AT_ARG, "%s has no domain `%s` to promise anything of", d->path,
                            name);
    }
    return AT_OK;
}

static at_status open(at_ctx *c, const char *model, const at_prune_options *o, at_pruned *p) {
    *p = (at_pruned){.how = *o};
    at_status s = at_lm_load(c, model, &p->lm);
    if (s == AT_OK && (p->lm->n_experts > 1 || p->lm->trunks))
        s = at_error(
            c, AT_ARG,
            "%s: experts inside of one network are pruned; of a composed model whole experts "
            "are left out",
            model);
    if (s == AT_OK) s = at_lm_finite(c, p->lm);
    if (s == AT_OK) s = at_dataset_open_checked(c, o->data, &p->data);
    if (s == AT_OK)
        s = at_lm_check_data(c, p->lm->path, p->lm->hash, p->lm->vocab, o->data,
                             p->data->tokenizer_hash, p->data->vocab);
    if (s == AT_OK) s = find_domains(c, p);
    if (s == AT_OK) p->how.context = at_min(o->context, model_of(p)->dims.context);
    return s;
}

/* ---- scores and losses ---- */

static at_status read_scores(at_compute *cp, at_pruned *p, unsigned wanted) {
    const at_prune_options *o = &p->how;
    int *index = at_calloc(cp->ctx, (size_t)p->data->n_domains + 1, sizeof *index);
    if (!index) return AT_OOM;
    at_prune_text t = {p->data, index, 0, o->calibrate, o->context, o->windows};
    for (int d = 0; d < p->data->n_domains; d++)
        if (p->domain[d].kept) index[t.n++] = d;
    at_status s = at_slot_scores_read(cp, model_of(p), &t, o->seed, &p->scores);
    if (s == AT_OK && wanted >> AT_PRUNE_LOSS & 1)
        s = at_slot_losses(cp, model_of(p), &t, o->way.forbid ? AT_SLOT_CLOSED : AT_SLOT_EXCLUDED,
                           &p->scores);
    at_free(index);
    return s;
}

static at_status read_losses(at_compute *cp, at_pruned *p, at_model *m, bool after, bool all) {
    const at_prune_options *o = &p->how;
    at_status s = AT_OK;
    for (int d = 0; d < p->data->n_domains && s == AT_OK; d++) {
        at_prune_domain *x = &p->domain[d];
        at_doc_losses *l = after ? &x->after : &x->before;
        at_doc_losses_close(l);
        if (!all && !x->kept) continue;
        at_log(cp->ctx, AT_LOG_PROGRESS, "losses: %s, %s", x->name, after ? "after" : "before");
        s = at_doc_losses_read(cp, m, &p->data->domain[d].shard[o->measure], o->context,
                               o->documents, l);
        s = at_dataset_error(cp->ctx, p->data, s);
        if (s == AT_OK && !l->n && x->kept)
            s = at_error(cp->ctx, AT_ARG, "%s: domain `%s`: the split %s is empty", p->data->path,
                         x->name, at_split_name[o->measure]);
        if (s == AT_OK && after)
            s = at_doc_losses_increase(cp->ctx, &x->before, &x->after, o->seed, &x->increase);
    }
    return s;
}

/* ---- answers to the bit ---- */

typedef struct {
    at_real *to;
    int64_t V;
} rows;

static void keep_row(void *user, int64_t i, const at_real *logits) {
    const rows *w = user;
    memcpy(w->to + i * w->V, logits, (size_t)w->V * sizeof *logits);
}

static at_status answer(at_compute *cp, at_arena *arena, at_model *m, const int32_t *ids, int64_t n,
                        at_real *out) {
    rows w = {out, m->dims.vocab};
    const at_input in = {.ids = ids, .B = 1, .T = n};
    const at_readout what = {.logits = keep_row, .user = &w, .rows = n};
    return at_model_read(cp, arena, m, &in, NULL, &what);
}

static at_status compare_split(at_compute *cp, at_pruned *p, at_model *new, int d, at_split split) {
    at_ctx *c = cp->ctx;
    const at_shard *s = &p->data->domain[d].shard[split];
    const int64_t V = new->dims.vocab, n = at_min(PROOF, s->n_docs);
    at_real *a = at_malloc(c, (size_t)(2 * WINDOW * V) * sizeof *a), *b = a ? a + WINDOW * V : NULL;
    at_arena arena;
    at_arena_init(&arena, c);
    at_status st = a ? AT_OK : AT_OOM;
    for (int64_t i = 0; i < n && st == AT_OK; i++) {
        int32_t ids[WINDOW];
        const int64_t doc = i * s->n_docs / n, at = (int64_t)s->start[doc];
        const int64_t len = at_min(at_min((int64_t)s->start[doc + 1] - at, WINDOW), p->how.context);
        if (len < 1) continue;
        at_shard_read(s, at, len, ids);
        st = answer(cp, &arena, model_of(p), ids, len, a);
        if (st == AT_OK) st = answer(cp, &arena, new, ids, len, b);
        for (int64_t t = 0; t < len && st == AT_OK; t++)
            p->domain[d].differ += memcmp(a + t * V, b + t * V, (size_t)V * sizeof *a) != 0;
        p->domain[d].compared += len;
    }
    at_arena_close(&arena);
    at_free(a);
    return st;
}

static at_status compare_answers(at_compute *cp, at_pruned *p, at_model *new) {
    at_status s = AT_OK;
    p->identical = true;
    for (int d = 0; d < p->data->n_domains && s == AT_OK; d++) {
        at_prune_domain *x = &p->domain[d];
        x->compared = x->differ = 0;
        if (!x->kept) continue;
        s = compare_split(cp, p, new, d, p->how.calibrate);
        if (s == AT_OK && p->how.measure != p->how.calibrate)
            s = compare_split(cp, p, new, d, p->how.measure);
        p->identical &=
            !x->differ && x->before.n == x->after.n &&
            !memcmp(x->before.nats, x->after.nats, (size_t)x->before.n * sizeof *x->before.nats);
    }
    return s;
}

/* ---- who goes ---- */

static double bytes_without(void *user, const at_prune_choice *gone) {
    const at_pruned *p = user;
    return at_prune_bytes(model_of(p), gone, p->how.way);
}

static at_status choose(at_ctx *c, at_pruned *p, at_prune_score by, at_prune_limit limit,
                        double value) {
    at_prune_choice_close(&p->choice);
    return at_prune_choose(c, &p->scores, by, limit, value, bytes_without, p, &p->choice);
}

/* Whether the losses of the domains that are kept stay within `most` when n experts go. */
static at_status fits(at_compute *cp, at_pruned *p, int64_t n, bool *good) {
    at_model *new = NULL;
    at_status s = choose(cp->ctx, p, p->how.score, AT_PRUNE_COUNT, (double)n);
    if (s == AT_OK) s = at_prune_make(cp->ctx, model_of(p), &p->choice, p->how.way, &new);
    if (s == AT_OK) s = read_losses(cp, p, new, true, false);
    *good = s == AT_OK;
    for (int d = 0; d < p->data->n_domains && *good; d++)
        *good &= !p->domain[d].kept || increase_of(&p->domain[d]) <= p->how.most;
    at_model_close(new);
    return s;
}

/* The most that can go within the losses, by halving. */
static at_status search(at_compute *cp, at_pruned *p) {
    int64_t good = 0, bad = at_prune_most(p->scores.of) + 1;
    at_status s = AT_OK;
    while (bad - good > 1 && s == AT_OK) {
        const int64_t n = good + (bad - good) / 2;
        bool is = false;
        s = fits(cp, p, n, &is);
        at_log(cp->ctx, AT_LOG_INFO, "%lld of %lld experts go: %s", (long long)n,
               (long long)p->choice.slots, is ? "the losses allow it" : "too many");
        if (is)
            good = n;
        else
            bad = n;
    }
    return s == AT_OK ? choose(cp->ctx, p, p->how.score, AT_PRUNE_COUNT, (double)good) : s;
}

/* ---- all of it ---- */

static at_status write_record(at_ctx *c, const at_pruned *p, const char *dir) {
    const at_model *m = model_of(p);
    char *path = at_join(c, dir, "certificate.json"), *record = at_join(c, dir, "artel.json");
    at_status s = path && record ? AT_OK : AT_OOM;
    at_json j;
    if (s == AT_OK) {
        at_json_open_file(&j, c);
        at_pruned_put(&j, p);
        s = at_json_save(&j, path);
    }
    if (s == AT_OK && m->members.record) { /* what is left is one: no id is used again */
        at_json_open_file(&j, c);
        at_json_put_members(&j, m->members.record, "modules");
        at_json_begin_list(&j, "modules");
        at_json_end(&j);
        s = at_json_save(&j, record);
    }
    at_free(path);
    at_free(record);
    return s;
}

/* The model in the folder is what is measured. */
static at_status measure_files(at_compute *cp, at_pruned *p, const char *dir) {
    at_ctx *c = cp->ctx;
    at_model *new = NULL;
    at_status s = at_model_load(c, dir, false, &new);
    if (s == AT_OK) s = read_losses(cp, p, new, true, true);
    if (s == AT_OK) s = compare_answers(cp, p, new);
    if (s == AT_OK) {
        p->parameters[0] = (double)at_model_numel(model_of(p));
        p->parameters[1] = (double)at_model_numel(new);
        p->bytes[0] = (double)at_weights_bytes(&model_of(p)->weights);
        p->bytes[1] = (double)at_weights_bytes(&new->weights);
    }
    at_model_close(new);
    return s;
}

static at_status check_budget(at_ctx *c, const at_pruned *p, const char *dir) {
    if (p->how.limit != AT_PRUNE_BUDGET) return AT_OK;
    at_map file = {0};
    char *path = at_join(c, dir, "model.safetensors");
    at_status s = path ? at_map_open(c, path, &file) : AT_OOM;
    if (s == AT_OK && (double)file.bytes > p->how.value)
        s = at_error(c, AT_MISMATCH, "the file has %.0f bytes, more than the budget of %.0f",
                     (double)file.bytes, p->how.value);
    at_map_close(&file);
    at_free(path);
    return s;
}

at_status at_prune(at_compute *cp, const char *model, const at_prune_options *o, const char *out,
                   at_pruned *p) {
    at_ctx *c = cp->ctx;
    char *bare = NULL, *dir = NULL;
    at_model *new = NULL;
    at_status s = at_check_new_dir(c, out);
    *p = (at_pruned){0};
    if (s == AT_OK) s = open(c, model, o, p);
    if (s == AT_OK) s = read_scores(cp, p, 1U << o->score);
    if (s == AT_OK) s = read_losses(cp, p, model_of(p), false, true);
    if (s == AT_OK && o->limit == AT_PRUNE_UNUSED && o->most >= 0)
        s = search(cp, p);
    else if (s == AT_OK)
        s = choose(c, p, o->score, o->limit, o->value);
    if (s == AT_OK) s = at_prune_make(c, model_of(p), &p->choice, o->way, &new);
    if (s == AT_OK) s = (bare = at_path_trim(c, out)) ? AT_OK : c->status;
    if (s == AT_OK) s = at_partial_dir(c, bare, &dir);
    if (s == AT_OK) s = at_prune_write(c, model_of(p), new, dir);
    at_model_close(new);
    if (s == AT_OK) s = measure_files(cp, p, dir);
    if (s == AT_OK) s = check_budget(c, p, dir);
    if (s == AT_OK) s = keep_promises(c, p);
    if (s == AT_OK) s = write_record(c, p, dir);
    if (s == AT_OK) s = at_partial_commit(c, dir, bare);
    at_partial_drop(c, dir);
    at_free(bare);
    return s;
}

/* ---- the frontier ---- */

static at_status point(at_compute *cp, at_pruned *p, at_prune_score by, double share,
                       void (*each)(void *user, const at_prune_point *p), void *user) {
    at_model *new = NULL;
    at_status s = choose(cp->ctx, p, by, AT_PRUNE_SHARE, share);
    if (s == AT_OK) s = at_prune_make(cp->ctx, model_of(p), &p->choice, p->how.way, &new);
    if (s == AT_OK) s = read_losses(cp, p, new, true, true);
    for (int d = 0; d < p->data->n_domains && s == AT_OK; d++) {
        const at_prune_domain *x = &p->domain[d];
        if (!x->after.n) continue;
        const at_prune_point q = {.score = by,
                                  .share = share,
                                  .parameters = (double)at_model_numel(new),
                                  .bytes = bytes_without(p, &p->choice),
                                  .slots = p->choice.slots - p->choice.n,
                                  .domain = d,
                                  .loss = at_doc_losses_mean(&x->after),
                                  .increase = x->increase};
        each(user, &q);
    }
    at_model_close(new);
    return s;
}

at_status at_prune_frontier(at_compute *cp, const char *model, const at_prune_options *o,
                            unsigned scores, void (*each)(void *user, const at_prune_point *p),
                            void *user, at_pruned *p) {
    at_status s = open(cp->ctx, model, o, p);
    if (s == AT_OK) s = read_scores(cp, p, scores);
    if (s == AT_OK) s = read_losses(cp, p, model_of(p), false, true);
    for (int k = 0; k < AT_PRUNE_SCORES && s == AT_OK; k++)
        for (int i = 0; i < AT_PRUNE_SHARES && s == AT_OK; i++) {
            const int64_t all = at_prune_open(p->scores.of);
            if (!(scores >> k & 1)) continue;
            if (ceil(at_prune_shares[i] * (double)all) <
                (double)(all - at_prune_most(p->scores.of))) {
                at_log(cp->ctx, AT_LOG_INFO,
                       "%s: %g %% of the experts are fewer than tokens use: left out",
                       at_prune_score_name[k], 100 * at_prune_shares[i]);
                continue;
            }
            s = point(cp, p, (at_prune_score)k, at_prune_shares[i], each, user);
        }
    return s;
}
