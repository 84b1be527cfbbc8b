/* growth_proof.c - what a module left as it was, bit for bit, and what it changed, measured. */
#include "base/arithmetic.h"
#include "base/file.h"
#include "infer/doc_losses.h"
#include "train/growth_internal.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WINDOW = 64 /* tokens of a domain whose logits are compared */, LONGEST = 1024 };

/* ---- promises ----------------------------------------------------------------------------------- */

/* The domain of the data that promise i is of; NULL: it is of bits. */
static const at_domain *domain_of(const growth *w, int i) {
    const at_prune_promise *p = &w->promise[i];
    for (int d = 0; p->domain && d < w->set->n_domains; d++)
        if ((int)strlen(w->set->domain[d].name) == p->domain_bytes &&
            !strncmp(w->set->domain[d].name, p->domain, (size_t)p->domain_bytes))
            return &w->set->domain[d];
    return NULL;
}

at_status growth_check_domains(growth *w) {
    for (int i = 0; i < w->n_require; i++) {
        const at_domain *d = domain_of(w, i);
        if (w->promise[i].domain && (!d || d->shard[AT_VALIDATION].n_docs < 2))
            return at_error(
                w->c, AT_ARG,
                "require %s: %s has no domain of this name with validation text of two documents",
                w->require[i], w->data);
    }
    return AT_OK;
}

static at_status keep_promises(const growth *w) {
    const at_growth *g = w->out;
    if (g->differ)
        return at_error(w->c, AT_MISMATCH,
                        "not bit-identical: with module `%s` excluded %lld of %lld windows are "
                        "answered otherwise than before.  %s is as it was",
                        g->name, (long long)g->differ, (long long)(g->ways * g->windows),
                        w->source);
    for (int i = 0; i < w->n_require; i++) {
        const at_domain *of = domain_of(w, i);
        for (int d = 0; of && d < g->domains; d++) {
            const at_change *x = &g->domain[d].change;
            if (strcmp(g->domain[d].name, of->name) != 0 || x->hi <= w->promise[i].increase)
                continue;
            return at_error(w->c, AT_MISMATCH,
                            "require %s does not hold: the loss of %s changes by %+.3g %%, 95 %% "
                            "interval %+.3g %% to %+.3g %%, over %lld documents.  %s is as it was",
                            w->require[i], of->name, 100 * x->change, 100 * x->lo, 100 * x->hi,
                            (long long)x->documents, w->source);
        }
    }
    return AT_OK;
}

/* ---- logits -------------------------------------------------------------------------------------- */

typedef struct {
    at_real *to;
    int64_t V;
} keep;
static void put_row(void *user, int64_t i, const at_real *logits) {
    const keep *k = user;
    memcpy(k->to + i * k->V, logits, (size_t)k->V * sizeof *logits);
}

typedef struct {
    at_model *model;
    uint64_t modules;
} asked;

static at_status answer(at_compute *cp, at_arena *arena, const asked *a, const int32_t *ids,
                        int64_t n, at_real *out) {
    keep k = {out, a->model->dims.vocab};
    const at_input in = {.ids = ids, .B = 1, .T = n, .modules = a->modules};
    return at_model_read(cp, arena, a->model, &in, NULL,
                         &(at_readout){.logits = put_row, .user = &k, .rows = n});
}

/* Adds to the windows that differ, of the beginning of each domain's validation text. */
static at_status compare(growth *w, at_compute *cp, asked a, asked b, at_growth *g) {
    at_arena arena;
    int32_t ids[WINDOW];
    const size_t most = (size_t)(WINDOW * w->m->dims.vocab);
    at_real *x = at_malloc(w->c, most * sizeof *x), *y = at_malloc(w->c, most * sizeof *y);
    at_status s = x && y ? AT_OK : AT_OOM;
    at_arena_init(&arena, w->c);
    g->windows = g->tokens = 0;
    g->ways++;
    for (int d = 0; d < w->set->n_domains && s == AT_OK; d++) {
        const at_shard *shard = &w->set->domain[d].shard[AT_VALIDATION];
        int64_t n = shard->n_tokens < WINDOW ? shard->n_tokens : WINDOW;
        if (n > w->m->dims.context) n = w->m->dims.context;
        if (n < 1) continue;
        at_shard_read(shard, 0, n, ids);
        s = answer(cp, &arena, &a, ids, n, x);
        if (s == AT_OK) s = answer(cp, &arena, &b, ids, n, y);
        if (s != AT_OK) break;
        g->differ += memcmp(x, y, (size_t)(n * w->m->dims.vocab) * sizeof *x) != 0;
        g->windows++;
        g->tokens += n;
    }
    if (s == AT_OK && !g->windows)
        s = at_error(w->c, AT_CONFIG,
                     "%s: without a validation split there is no text to compare the models on",
                     w->data);
    at_arena_close(&arena);
    at_free(x);
    at_free(y);
    return s;
}

at_status growth_check_start(growth *w, const char *start) {
    at_model *m = NULL;
    at_compute cp;
    at_growth g = {0};
    at_status s = at_compute_open(&cp, w->c);
    if (s != AT_OK) return s;
    s = at_model_load(w->c, start, false, &m);
    at_banks *banks = s == AT_OK ? at_model_banks(m) : NULL;
    for (int64_t b = 0; s == AT_OK && b < banks->n; b++)
        for (int64_t i = banks->bank[b].n - w->more[b]; i < banks->bank[b].n && s == AT_OK; i++)
            s = at_bank_use(w->c, &banks->bank[b], i, AT_SLOT_EXCLUDED);
    if (s == AT_OK) s = compare(w, &cp, (asked){w->m, 0}, (asked){m, 0}, &g);
    if (s == AT_OK && g.differ)
        s = at_error(w->c, AT_MISMATCH,
                     "the model that training begins with is not %s with slots more: %lld of %lld "
                     "windows are answered otherwise",
                     w->source, (long long)g.differ, (long long)g.windows);
    at_model_close(m);
    at_compute_close(&cp);
    return s;
}

at_status growth_check_frozen(const growth *w, const at_model *trained) {
    at_status s = AT_OK;
    for (int64_t i = 0; i < w->m->store.n && s == AT_OK; i++) {
        const at_param_entry *a = w->m->store.p[i], *b = at_store_find(&trained->store, a->path);
        if (a->absent) continue;
        const size_t bytes = (size_t)at_numel(&a->t) * sizeof(at_real);
        at_real *x = at_malloc(w->c, bytes), *y = at_malloc(w->c, bytes);
        const at_st_tensor t = at_checkpoint_tensor(&w->m->store, a, AT_SLAB_VALUE);
        s = !b       ? at_error(w->c, AT_MISMATCH, "the trained model has no `%s`", a->path)
            : x && y ? at_checkpoint_read(w->c, &t, x)
                     : AT_OOM;
        if (s == AT_OK) {
            const at_st_tensor u = at_checkpoint_tensor(&trained->store, b, AT_SLAB_VALUE);
            s = at_checkpoint_read(w->c, &u, y);
        }
        if (s == AT_OK && memcmp(x, y, bytes) != 0)
            s = at_error(w->c, AT_MISMATCH, "`%s` changed while module `%s` was trained", a->path,
                         w->k.name);
        at_free(x);
        at_free(y);
    }
    return s;
}

/* ---- digests -------------------------------------------------------------------------------------- */

static at_status digest_file(at_ctx *c, const char *dir, const char *file, at_digest *out) {
    char *path = at_join(c, dir, file);
    const at_status s = path ? at_digest_of(c, path, out) : AT_OOM;
    at_free(path);
    return s;
}

static at_status compare_tensors(growth *w, const char *dir) {
    at_digest a, b;
    const at_members *l = &w->m->members;
    at_status s = at_base_digest(w->c, dir, &b);
    if (s == AT_OK && strcmp(w->out->base.hex, b.hex) != 0)
        s = at_error(w->c, AT_MISMATCH, "the base has digest %.12s, it had %.12s", b.hex,
                     w->out->base.hex);
    for (int i = 0; i < l->n && s == AT_OK; i++) {
        s = digest_file(w->c, w->source, l->item[i].file, &a);
        if (s == AT_OK) s = digest_file(w->c, dir, l->item[i].file, &b);
        if (s == AT_OK && strcmp(a.hex, b.hex) != 0)
            s = at_error(w->c, AT_MISMATCH, "module `%s` has digest %.12s, it had %.12s",
                         l->item[i].name, b.hex, a.hex);
        w->out->modules++;
    }
    return s;
}

/* ---- losses --------------------------------------------------------------------------------------- */

static at_status measure_domain(growth *w, at_compute *cp, at_model *new, const at_domain *d) {
    at_doc_losses a = {0}, b = {0};
    at_estimate more = {0};
    at_growth_domain *g = &w->out->domain[w->out->domains];
    const at_shard *s = &d->shard[AT_VALIDATION];
    const int64_t T = w->context < LONGEST ? w->context : LONGEST;
    *g = (at_growth_domain){.old = strcmp(d->name, w->k.name) != 0};
    (void)snprintf(g->name, sizeof g->name, "%.64s", d->name);
    at_status st = at_doc_losses_read(cp, w->m, s, T, w->k.documents, &a);
    if (st == AT_OK) st = at_doc_losses_read(cp, new, s, T, w->k.documents, &b);
    if (st == AT_OK) st = at_doc_losses_increase(w->c, &a, &b, (uint64_t)w->seed, &more);
    if (st == AT_OK && a.n) {
        const double before = at_doc_losses_mean(&a);
        g->change = (at_change){.before = before,
                                .after = at_doc_losses_mean(&b),
                                .change = more.mean / before,
                                .lo = more.lo / before,
                                .hi = more.hi / before,
                                .documents = a.n,
                                .tokens = a.all_tokens};
        w->out->domains++;
    }
    at_doc_losses_close(&a);
    at_doc_losses_close(&b);
    return st;
}

at_status growth_prove(growth *w, const char *dir) {
    at_model *new = NULL;
    at_compute cp;
    at_status s = at_compute_open(&cp, w->c);
    if (s != AT_OK) return s;
    s = compare_tensors(w, dir);
    if (s == AT_OK) s = at_model_load(w->c, dir, false, &new);
    if (s == AT_OK) {
        bool use[AT_MEMBERS_MAX] = {0};
        const int n = w->m->members.n;
        for (int i = 0; i < n; i++) use[i] = true;
        const uint64_t others = at_members_mask(&new->members, use);
        w->out->parameters = at_model_numel(new) - at_model_numel(w->m);
        s = compare(w, &cp, (asked){w->m, 0}, (asked){new, others}, w->out);
        if (s == AT_OK && n) s = compare(w, &cp, (asked){w->m, 1}, (asked){new, 1}, w->out);
    }
    for (int d = 0; s == AT_OK && d < w->set->n_domains; d++)
        s = measure_domain(w, &cp, new, &w->set->domain[d]);
    at_model_close(new);
    at_compute_close(&cp);
    return s == AT_OK ? keep_promises(w) : s;
}

/* ---- as JSON -------------------------------------------------------------------------------------- */

static void put_domains(const at_growth *g, at_json *j, const char *key) {
    at_json_begin_list(j, key);
    for (int i = 0; i < g->domains; i++) {
        const at_growth_domain *d = &g->domain[i];
        at_json_begin_object(j, NULL);
        at_json_put_string(j, "domain", d->name);
        at_json_put_bool(j, "old", d->old);
        at_json_put_number(j, "documents", (double)d->change.documents);
        at_json_put_number(j, "tokens", (double)d->change.tokens);
        at_json_put_number(j, "before", d->change.before);
        at_json_put_number(j, "after", d->change.after);
        at_json_put_number(j, "change", d->change.change);
        at_json_put_number(j, "low", d->change.lo);
        at_json_put_number(j, "high", d->change.hi);
        at_json_end(j);
    }
    at_json_end(j);
}

void at_growth_write(const at_growth *g, const char *model, at_json *j) {
    at_json_put_string(j, "kind", "module");
    at_json_put_string(j, "model", model);
    at_json_put_string(j, "added", g->name);
    at_json_put_number(j, "id", (double)g->id);
    at_json_put_number(j, "parameters", (double)g->parameters);
    at_json_put_string(j, "digest", g->digest);
    at_json_begin_object(j, "excluded");
    at_json_put_string(j, "kind", g->differ ? "differs" : "bit-identical");
    at_json_put_string(j, "base", g->base.hex);
    at_json_put_number(j, "tensors", (double)g->base.tensors);
    at_json_put_number(j, "modules", (double)g->modules);
    at_json_put_number(j, "ways_to_answer", (double)g->ways);
    at_json_put_number(j, "windows", (double)g->windows);
    at_json_put_number(j, "tokens", (double)g->tokens);
    at_json_end(j);
    at_json_begin_object(j, "included");
    at_json_put_string(j, "kind", "measured");
    put_domains(g, j, "domains");
    at_json_end(j);
    if (!g->review_tokens) return;
    at_json_put_number(j, "review_tokens", (double)g->review_tokens);
    at_json_put_number(j, "review_share", g->review_share);
}

/* The recipe as it took effect, without the places of this machine: of the run's file, which has a line for each
   scalar, those of `init` and of `train` in `data`. */
static void put_recipe(const growth *w, at_json *j) {
    char *path = at_join(w->c, w->run, "recipe.yaml");
    char *text = path ? at_read_file(w->c, path, (size_t)1 << 24, NULL) : NULL;
    bool data = false;
    at_text t;
    at_text_init(&t, w->c, 0);
    for (const char *at = text; at && *at;) {
        const size_t n = strcspn(at, "\n"), whole = n + (at[n] == '\n');
        if (*at != ' ' && *at != '-') data = n == 5 && !strncmp(at, "data:", n);
        if (!strncmp(at, "init: ", 6))
            at_text_add(&t, "init: BASE\n");
        else if (data && !strncmp(at, "  train: ", 9))
            at_text_add(&t, "  train: DATA\n");
        else
            at_text_bytes(&t, at, whole);
        at += whole;
    }
    at_free(text);
    text = text ? at_text_take(&t) : NULL;
    at_text_close(&t);
    at_json_put_string(j, "recipe", text);
    at_free(path);
    at_free(text);
}

/* "A AND B" is two licences. */
static void put_licences(at_json *j, const char *text) {
    for (const char *at = text; at;) {
        const char *and = strstr(at, " AND ");
        char one[200];
        (void)snprintf(one, sizeof one, "%.*s", and? (int)(and-at) : (int)strlen(at), at);
        at_json_put_string(j, NULL, one);
        at = and? and+5 : NULL;
    }
}

static bool reads(const growth *w, const cJSON *domain) {
    const cJSON *name = cJSON_GetObjectItemCaseSensitive(domain, "name");
    return cJSON_IsString(name) && (w->k.review || !strcmp(name->valuestring, w->k.name));
}

static at_status put_data(const growth *w, at_json *j) {
    char sha[AT_SHA256_TEXT] = "";
    char *path = at_join(w->c, w->data, "manifest.json");
    at_status s = path ? at_sha256_file(w->c, path, sha) : AT_OOM;
    cJSON *o = s == AT_OK ? at_json_read(w->c, path) : NULL;
    if (s == AT_OK && !o) s = w->c->status;
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(o, "domains"), *d = NULL;
    at_json_begin_object(j, "data");
    at_json_put_string(j, "manifest", sha);
    at_json_begin_list(j, "domains");
    cJSON_ArrayForEach(d, list) if (reads(w, d))
        at_json_put_string(j, NULL, cJSON_GetObjectItemCaseSensitive(d, "name")->valuestring);
    at_json_end(j);
    at_json_begin_list(j, "licences");
    cJSON_ArrayForEach(d, list) {
        const cJSON *licence = cJSON_GetObjectItemCaseSensitive(d, "licence");
        if (reads(w, d))
            put_licences(j, cJSON_IsString(licence) ? licence->valuestring : "unknown");
    }
    at_json_end(j);
    at_json_end(j);
    cJSON_Delete(o);
    at_free(path);
    return s;
}

static void put_base(const growth *w, at_json *j) {
    const at_members *l = &w->m->members;
    at_json_begin_object(j, "base");
    at_json_put_string(j, "digest", w->out->base.hex);
    at_json_put_number(j, "parameters", (double)w->out->base.values);
    at_json_begin_list(j, "modules");
    for (int i = 0; i < l->n; i++) {
        const cJSON *p = cJSON_GetObjectItemCaseSensitive(l->item[i].entry, "passport");
        at_json_begin_object(j, NULL);
        at_json_put_number(j, "id", (double)l->item[i].id);
        at_json_put_string(j, "name", l->item[i].name);
        at_json_put_value(j, "digest", cJSON_GetObjectItemCaseSensitive(p, "digest"));
        at_json_end(j);
    }
    at_json_end(j);
    at_json_end(j);
}

static void put_slots(const growth *w, at_json *j) {
    const at_banks *banks = at_model_banks(w->m);
    at_json_begin_object(j, "slots");
    for (int k = 0; k < AT_LAYER_KINDS; k++) {
        at_json_begin_list(j, at_layer_kind_name[k]);
        for (int64_t b = 0; b < banks->n; b++)
            if (banks->bank[b].id.kind == (at_layer_kind)k)
                at_json_put_number(j, NULL, (double)w->more[b]);
        at_json_end(j);
    }
    at_json_end(j);
}

static at_status put_owned(const growth *w, const char *slots, at_json *j) {
    at_st *st = NULL;
    const at_status s = at_st_open(w->c, slots, &st);
    at_json_begin_list(j, "owns");
    for (int64_t i = 0; s == AT_OK && i < at_st_count(st); i++) {
        const at_st_tensor *t = at_st_at(st, i);
        at_json_begin_object(j, NULL);
        at_json_put_string(j, "path", t->name);
        at_json_put_string(j, "type", at_dtype_name(t->dtype));
        at_json_begin_list(j, "shape");
        for (int k = 0; k < t->rank; k++) at_json_put_number(j, NULL, (double)t->dim[k]);
        at_json_end(j);
        at_json_end(j);
    }
    at_json_end(j);
    at_st_close(st);
    return s;
}

cJSON *growth_passport(const growth *w, const char *slots, bool measured) {
    at_digest d;
    at_json j;
    at_json_open(&j, w->c);
    at_status s = at_digest_of(w->c, slots, &d);
    at_json_put_string(&j, "name", w->k.name);
    at_json_put_string(&j, "digest", s == AT_OK ? d.hex : "");
    at_json_put_number(&j, "parameters", s == AT_OK ? (double)d.values : 0);
    at_json_put_string(&j, "tokenizer", w->m->tokenizer ? w->m->tokenizer : "");
    at_json_put_string(&j, "trained", "alone");
    put_base(w, &j);
    put_slots(w, &j);
    if (s == AT_OK) s = put_data(w, &j);
    at_json_begin_object(&j, "created");
    at_json_put_string(&j, "arithmetic", AT_ARITHMETIC);
    at_json_put_number(&j, "seed", (double)w->seed);
    at_json_put_number(&j, "steps", (double)w->steps);
    put_recipe(w, &j);
    at_json_put_value(&j, "digests", w->digests);
    at_json_end(&j);
    if (s == AT_OK) s = put_owned(w, slots, &j);
    if (measured) put_domains(w->out, &j, "evaluation");
    cJSON *o = at_json_value(&j, "passport");
    if (s == AT_OK) return o;
    cJSON_Delete(o);
    return NULL;
}
