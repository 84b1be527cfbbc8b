/* extend.c - see extend.h. */
#include "train/extend.h"
#include "base/file.h"
#include "infer/compose.h"
#include <stdio.h>
#include <string.h>

typedef struct {
    char *name, *from, *router;
} extend_keys;
static const at_key extend_table[] = {
    {"name", AT_KEY_STRING, offsetof(extend_keys, name), NULL, 0, 0, NULL,
     "of the new expert, and of a domain of the data"},
    {"from", AT_KEY_STRING, offsetof(extend_keys, from), "random", 0, 0, NULL,
     "what it begins as: random, common, or another expert"},
    {"router", AT_KEY_STRING, offsetof(extend_keys, router), "", 0, 0, NULL,
     "router folder; none: one is fitted on the data"},
    {0},
};

typedef struct {
    at_ctx *c;
    at_conf *f;
    const char *source, *run;
    extend_keys k;
    int64_t seed;
    char *data; /* path of the data set */
    at_lm *old;
    at_model *whole; /* all trunks of old; of whole models the one to begin as, or to be shaped as;
                        borrowed */
} work;

static bool at_random(const work *w) { return !strcmp(w->k.from, "random"); }

static char *in_run(const work *w, const char *name) { return at_join(w->c, w->run, name); }

/* ---- what is asked for ------------------------------------------------------------------------- */

static at_status read_keys(work *w) {
    at_status s = at_conf_bind(w->c, w->f, "extend", extend_table, &w->k);
    if (s == AT_OK) s = at_recipe_seed(w->c, w->f, &w->seed);
    if (s == AT_OK) s = at_recipe_data(w->c, w->f, &w->data);
    if (s != AT_OK) return s;
    if (at_conf_has(w->f, "model") || at_conf_has(w->f, "init"))
        return at_conf_error(w->c, w->f, at_conf_has(w->f, "model") ? "model" : "init",
                             "the model that is extended is what the run begins with");
    if (!at_name_ok(w->k.name) || !strcmp(w->k.name, AT_MODULE_COMMON))
        return at_conf_error(w->c, w->f, "extend.name",
                             "`%.80s`: expected up to 64 letters, digits and ._-+, and not `%s`",
                             w->k.name, AT_MODULE_COMMON);
    return AT_OK;
}

static at_status find_trunks(work *w) {
    at_voice v;
    const at_status s = at_trunks_voice(w->c, w->old->trunks, 0, &v);
    if (s != AT_OK) return s;
    w->whole = v.model;
    if (at_model_module(w->whole, w->k.name) >= 0)
        return at_conf_error(w->c, w->f, "extend.name", "%s has a trunk `%s` already", w->source,
                             w->k.name);
    if (!at_random(w) && at_model_module(w->whole, w->k.from) < 0)
        return at_conf_error(w->c, w->f, "extend.from", "%s has no trunk `%s`", w->source,
                             w->k.from);
    return at_model_finite(w->c, w->whole);
}

static at_status find_experts(work *w) {
    const int from = at_random(w) ? 0 : at_lm_expert(w->old, w->k.from);
    if (at_lm_expert(w->old, w->k.name) >= 0)
        return at_conf_error(w->c, w->f, "extend.name", "%s has an expert `%s` already", w->source,
                             w->k.name);
    if (from < 0)
        return at_conf_error(w->c, w->f, "extend.from", "%s has no expert `%s`", w->source,
                             w->k.from);
    w->whole = w->old->expert[from].model;
    return at_lm_finite(w->c, w->old);
}

static at_status open_old(work *w) {
    const at_status s = at_lm_load(w->c, w->source, &w->old);
    if (s != AT_OK) return s;
    if (w->old->ensemble)
        return at_error(w->c, AT_CONFIG,
                        "%s is an ensemble: train the new model by itself, and compose all again",
                        w->source);
    if (w->old->trunks) return find_trunks(w);
    if (w->old->router) return find_experts(w);
    return at_error(w->c, AT_CONFIG,
                    "%s is a single network.  Compose it with others behind a router, and that can "
                    "be extended",
                    w->source);
}

/* ---- what the run begins with ------------------------------------------------------------------ */

/* The configuration with one more module; of a whole model its own. */
static cJSON *start_config(const work *w) {
    const at_modules l = at_model_modules(w->whole);
    const cJSON *e = NULL;
    at_json j;
    at_json_open(&j, w->c);
    if (!w->old->trunks) {
        at_json_put_members(&j, w->whole->source, "");
        return at_json_value(&j, w->source);
    }
    cJSON_ArrayForEach(e, w->whole->source) {
        if (strcmp(e->string, "modules") != 0) {
            at_json_put_value(&j, e->string, e);
            continue;
        }
        at_json_begin_list(&j, "modules");
        for (int i = 0; i < l.n; i++) at_json_put_string(&j, NULL, l.name[i]);
        at_json_put_string(&j, NULL, w->k.name);
        at_json_end(&j);
    }
    return at_json_value(&j, w->source);
}

/* Values of the old model; the new trunk keeps its own, or takes those of another.  A whole model has no
   trunks: all of it is fresh, or that of another. */
static at_status copy_values(const work *w, at_model *m) {
    if (!w->old->trunks && at_random(w)) return AT_OK;
    char fresh[96], path[256];
    const int n = snprintf(fresh, sizeof fresh, "trunks.%.64s.", w->k.name);
    at_status s = AT_OK;
    for (int64_t i = 0; i < m->store.n && s == AT_OK; i++) {
        at_param_entry *e = m->store.p[i];
        (void)snprintf(path, sizeof path, "%s", e->path);
        if (!strncmp(e->path, fresh, (size_t)n)) {
            if (at_random(w)) continue;
            (void)snprintf(path, sizeof path, "trunks.%.64s.%.180s", w->k.from, e->path + n);
        }
        const at_param_entry *from = at_store_find(&w->whole->store, path);
        if (!from) return at_error(w->c, AT_FORMAT, "%s: no parameter `%s`", w->source, path);
        const at_st_tensor t = at_checkpoint_tensor(&w->whole->store, from, AT_SLAB_VALUE);
        s = at_checkpoint_read(w->c, &t, e->t.data);
    }
    return s;
}

static at_status write_start(work *w, const char *path) {
    at_model *m = NULL;
    cJSON *config = start_config(w);
    at_status s = config ? at_model_load_parts(w->c, w->source, config, NULL, 0, &m) : AT_OOM;
    cJSON_Delete(config);
    if (s == AT_OK) s = at_store_alloc(&m->store);
    if (s == AT_OK) {
        at_store_randomise(&m->store, (uint64_t)w->seed);
        s = copy_values(w, m);
    }
    if (s == AT_OK && w->whole->tokenizer && !(m->tokenizer = at_strdup(w->c, w->whole->tokenizer)))
        s = AT_OOM;
    char *tokenizer = s == AT_OK ? at_join(w->c, w->source, "tokenizer.json") : NULL;
    if (s == AT_OK && !tokenizer) s = AT_OOM;
    if (s == AT_OK) s = at_model_save(w->c, m, path, at_exists(tokenizer) ? tokenizer : NULL);
    at_free(tokenizer);
    at_model_close(m);
    return s;
}

/* ---- training ----------------------------------------------------------------------------------- */

static at_status set(work *w, const char *key, const char *const *text, int n, bool list) {
    return at_recipe_set(w->c, w->f, "artel extend", key, text, n, list);
}

/* Everything but the new trunk stays. */
static at_status freeze(work *w) {
    enum { MOST = AT_MODULES_MAX + 3 };
    const at_modules l = at_model_modules(w->whole);
    char glob[MOST][96];
    const char *item[MOST];
    int n = 0;
    (void)snprintf(glob[n++], sizeof glob[0], "embed");
    if (at_store_find(&w->whole->store, "head")) (void)snprintf(glob[n++], sizeof glob[0], "head");
    for (int i = 0; i < l.n + l.common; i++)
        (void)snprintf(glob[n++], sizeof glob[0], "trunks.%.64s.*",
                       i < l.n ? l.name[i] : AT_MODULE_COMMON);
    for (int i = 0; i < n; i++) item[i] = glob[i];
    return set(w, "freeze", item, n, true);
}

static at_status train(work *w) {
    char *start = in_run(w, "start"), *before = in_run(w, "checkpoints");
    at_train_result out;
    at_status s = start && before ? at_make_dir(w->c, w->run) : AT_OOM;
    if (s == AT_OK) s = write_start(w, start);
    if (s == AT_OK) s = set(w, "init", &(const char *){start}, 1, false);
    if (s == AT_OK) s = set(w, "data.domains", &(const char *){w->k.name}, 1, true);
    if (s == AT_OK && w->old->trunks) s = freeze(w);
    const at_train_options how = {.resume = before && at_is_dir(before),
                                  .distilling = at_conf_has(w->f, "distill")};
    if (s == AT_OK) s = at_train(w->c, w->f, w->run, &how, &out);
    at_free(start);
    at_free(before);
    return s;
}

/* ---- the new model ------------------------------------------------------------------------------ */

static at_status fit_router(work *w, const char *path) {
    at_dataset *d = NULL;
    at_router *r = NULL;
    const at_router_options o = at_router_defaults();
    const int32_t end = w->old->tokenizer ? at_tokenizer_eot(w->old->tokenizer) : -1;
    at_status s = at_dataset_open_checked(w->c, w->data, &d);
    if (s == AT_OK) s = at_router_train(w->c, d, &end, end >= 0, &o, &r);
    if (s == AT_OK) s = at_router_calibrate(w->c, r, d, AT_VALIDATION);
    if (s == AT_OK) s = at_router_save(w->c, r, path);
    at_router_close(r);
    at_dataset_close(d);
    return s;
}

static void put_expert(at_json *j, const char *name, const char *model) {
    at_json_begin_object(j, NULL);
    at_json_put_string(j, "name", name);
    at_json_put_string(j, "model", model);
    at_json_end(j);
}

/* What is composed: the trunks of the run's model, or the old folder's experts and that model. */
static void put_experts(const work *w, at_json *j, const char *model) {
    if (w->old->trunks) {
        at_json_put_string(j, "mode", at_model_modules(w->whole).common ? "moe-ce" : "jeet");
        at_json_put_string(j, "model", model);
        return;
    }
    at_json_put_string(j, "mode", "ple");
    at_json_begin_list(j, "experts");
    for (int i = 0; i < w->old->n_experts; i++) put_expert(j, w->old->expert[i].name, w->source);
    put_expert(j, w->k.name, model);
    at_json_end(j);
}

static at_status compose(work *w, const char *out) {
    char *own = in_run(w, AT_ROUTER_FILE), *model = in_run(w, "model");
    at_conf *f = NULL;
    at_status s = own && model ? AT_OK : AT_OOM;
    if (s == AT_OK && !w->k.router) s = fit_router(w, own);
    at_json j;
    at_json_open(&j, w->c);
    at_json_put_string(&j, "router", w->k.router ? w->k.router : own);
    if (model) put_experts(w, &j, model);
    char *text = at_json_take(&j);
    if (s == AT_OK && !text) s = AT_OOM;
    if (s == AT_OK) s = at_conf_parse(w->c, "the extended model", text, strlen(text), &f);
    if (s == AT_OK) s = at_compose(w->c, f, out);
    at_conf_close(f);
    at_free(text);
    at_free(own);
    at_free(model);
    return s;
}

/* ---- the proof ----------------------------------------------------------------------------------- */

static at_status write_certificate(const work *w, const char *out, const at_certificate *r) {
    char *path = at_join(w->c, out, "certificate.json");
    at_json j;
    at_json_open_file(&j, w->c);
    at_json_put_string(&j, "kind", "bit-identical");
    at_json_put_string(&j, "model", w->source);
    at_json_put_string(&j, "added", w->k.name);
    at_json_put_number(&j, "parameters", (double)r->added);
    at_json_put_string(&j, "digest", r->before.hex);
    at_json_put_number(&j, "tensors", (double)r->before.tensors);
    at_json_begin_list(&j, "experts");
    for (int i = 0; i < w->old->n_experts; i++)
        at_json_put_string(&j, NULL, w->old->expert[i].name);
    at_json_end(&j);
    at_json_put_number(&j, "ways_to_answer", (double)r->experts);
    at_json_put_string(&j, "text", w->data);
    at_json_put_number(&j, "windows", (double)r->windows);
    at_json_put_number(&j, "tokens", (double)r->tokens);
    const at_status s = path ? at_json_save(&j, path) : AT_OOM;
    if (!path) at_json_close(&j);
    at_free(path);
    return s;
}

/* A model that is not what was promised does not stay. */
static at_status prove(const work *w, const char *out, at_certificate *r) {
    at_status s = at_certify(w->c, w->source, out, w->data, r);
    if (s == AT_OK && r->holds) s = write_certificate(w, out, r);
    if (s == AT_OK && r->holds) return AT_OK;
    at_ctx quiet = *w->c;
    (void)at_remove_tree(&quiet, out); /* made by this call */
    if (s != AT_OK) return s;
    return at_error(w->c, AT_MISMATCH,
                    "the certificate does not hold: digest of the old tensors %.12s before, %.12s "
                    "after; %lld of %lld answers differ.  %s is as it was",
                    r->before.hex, r->after.hex, (long long)r->differ,
                    (long long)(r->experts * r->windows), w->source);
}

at_status at_extend(at_ctx *c, at_conf *f, const char *model, const char *out, const char *run,
                    at_extension *result) {
    work w = {.c = c, .f = f, .source = model, .run = run};
    *result = (at_extension){0};
    at_status s = read_keys(&w);
    if (s == AT_OK) s = at_check_new_dir(c, out);
    if (s == AT_OK) s = open_old(&w);
    if (s == AT_OK) s = train(&w);
    if (s == AT_OK) s = compose(&w, out);
    if (s == AT_OK) s = prove(&w, out, &result->proof);
    result->trunk = w.old && w.old->trunks;
    if (s == AT_OK) (void)snprintf(result->name, sizeof result->name, "%s", w.k.name);
    at_lm_close(w.old);
    return s;
}
