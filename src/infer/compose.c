/* compose.c - a router in front of experts (arXiv 2407.19610, section 3): whole models that were trained
   apart (Pre-trained Language Experts), or the trunks of one that was trained in turns (Joint Expert
   Embedding Training; with a common trunk, the Mixture of Experts with a Common Expert). */
#include "infer/compose.h"
#include "base/file.h"
#include "base/sha256.h"
#include <stddef.h>
#include <stdio.h>
#include <string.h>

enum { PLE, JEET, MOE_CE, BTX, ENSEMBLE };
typedef struct {
    int mode;
    int64_t k;
    char *router, *model;
} head_keys;
typedef struct {
    char *name, *model;
} expert_keys;

static const at_key head_table[] = {
    {"mode", AT_KEY_CHOICE, offsetof(head_keys, mode), "ple", 0, 0, AT_COMPOSE_MODES,
     AT_COMPOSE_MODES_HELP},
    {"router", AT_KEY_STRING, offsetof(head_keys, router), "", 0, 0, NULL,
     "router folder; an ensemble without one weighs all the same"},
    {"k", AT_KEY_INT, offsetof(head_keys, k), "0", 0, 65536, NULL,
     "models of an ensemble that answer a text; 0: 2"},
    {"model", AT_KEY_STRING, offsetof(head_keys, model), "", 0, 0, NULL, "model folder, of trunks"},
    {0},
};
static const at_key expert_table[] = {
    {"name", AT_KEY_STRING, offsetof(expert_keys, name), NULL, 0, 0, NULL, "class in the router"},
    {"model", AT_KEY_STRING, offsetof(expert_keys, model), NULL, 0, 0, NULL, "model folder"},
    {0},
};

typedef struct {
    at_ctx *c;
    char *dir;                 /* being filled */
    char *hash;                /* tokenizer of the first expert */
    char *tokenizer;           /* path of its tokenizer.json */
    at_json config, passports; /* with their lists of experts open */
    int64_t n;                 /* experts in them */
} work;

/* What a passport says of a file. */
typedef struct {
    const char *name, *file, *arch, *source;
    int64_t numel;
    const char *base; /* SHA-256 of the file that trunks share, or NULL */
} passport;

static at_status sha_of(work *w, const char *file, char sha[AT_SHA256_TEXT]) {
    char *path = at_join(w->c, w->dir, file);
    const at_status s = path ? at_sha256_file(w->c, path, sha) : AT_OOM;
    at_free(path);
    return s;
}

static at_status add_passport(work *w, const passport *p) {
    char sha[AT_SHA256_TEXT];
    at_json *j = &w->passports;
    const at_status s = sha_of(w, p->file, sha);
    if (s != AT_OK) return s;
    at_json_begin_object(j, NULL);
    at_json_put_number(j, "id", (double)w->n++);
    at_json_put_string(j, "name", p->name);
    at_json_put_string(j, "file", p->file);
    at_json_put_string(j, "sha256", sha);
    at_json_put_number(j, "parameters", (double)p->numel);
    at_json_put_string(j, "architecture", p->arch);
    at_json_put_string(j, "tokenizer", w->hash ? w->hash : "");
    at_json_put_string(j, "source", p->source);
    if (p->base) at_json_put_string(j, "base", p->base);
    at_json_end(j);
    return AT_OK;
}

/* One expert: weights copied into experts/, an entry in config.json, a passport. */
static at_status describe(work *w, const expert_keys *k, const at_model *m, const char *file) {
    at_json_begin_object(&w->config, NULL);
    at_json_put_string(&w->config, "name", k->name);
    at_json_put_string(&w->config, "file", file);
    at_json_put_value(&w->config, "config", m->source); /* as the file is */
    at_json_end(&w->config);
    return add_passport(
        w, &(passport){k->name, file, m->arch->name, k->model, at_model_numel(m), NULL});
}

static at_status same_tokenizer(work *w, const expert_keys *k, const at_model *m) {
    at_ctx *c = w->c;
    if (!w->hash) {
        w->tokenizer = at_join(c, k->model, "tokenizer.json");
        w->hash = at_strdup(c, m->tokenizer ? m->tokenizer : "");
        return w->tokenizer && w->hash ? AT_OK : AT_OOM;
    }
    if (strcmp(w->hash, m->tokenizer ? m->tokenizer : "") != 0)
        return at_error(c, AT_MISMATCH,
                        "%s was trained with tokenizer %.12s, the experts before it "
                        "with %.12s",
                        k->model, m->tokenizer ? m->tokenizer : "(none)", w->hash);
    return AT_OK;
}

/* The network of a plain folder, or of a composed one the expert of this name. */
static at_status open_expert(at_ctx *c, const expert_keys *k, at_lm **lm, at_model **m) {
    const at_status s = at_lm_load(c, k->model, lm);
    if (s != AT_OK) return s;
    const at_lm *l = *lm;
    const int e = l->router && !l->trunks ? at_lm_expert(l, k->name) : 0;
    if (e < 0)
        return at_error(c, AT_CONFIG, "%s is composed, but has no expert `%s`", k->model, k->name);
    if (!(*m = l->expert[e].model))
        return at_error(c, AT_CONFIG,
                        "%s is of trunks over one embedding: none of them is a model by itself; "
                        "`mode: jeet` and `mode: moe-ce` compose all of them",
                        k->model);
    return AT_OK;
}

static at_status add_expert(work *w, const expert_keys *k, int64_t i) {
    at_ctx *c = w->c;
    char file[160];
    const int len =
        snprintf(file, sizeof file, "experts/e%03d-%.120s.safetensors", (int)i, k->name);
    if (len < 0 || strchr(k->name, '/'))
        return at_error(c, AT_CONFIG, "expert name `%s` cannot be part of a file name", k->name);
    at_lm *lm = NULL;
    at_model *m = NULL;
    at_status s = open_expert(c, k, &lm, &m);
    if (s == AT_OK) s = same_tokenizer(w, k, m);
    char *to = at_join(c, w->dir, file);
    if (s == AT_OK && !to) s = AT_OOM;
    if (s == AT_OK)
        s = m->weights.n == 1 ? at_copy_file(c, at_st_path(m->weights.file[0]), to)
                              : at_weights_save(c, &m->weights, to, NULL, NULL);
    if (s == AT_OK) s = describe(w, k, m, file);
    at_free(to);
    at_lm_close(lm);
    return s;
}

static at_status write_json(work *w, const char *name, at_json *j) {
    char *path = at_join(w->c, w->dir, name);
    at_json_end(j);
    const at_status s = path ? at_json_save(j, path) : AT_OOM;
    at_free(path);
    return s;
}

static at_status copy_into(work *w, const char *from, const char *name) {
    char *to = at_join(w->c, w->dir, name);
    const at_status s = to ? at_copy_file(w->c, from, to) : AT_OOM;
    at_free(to);
    return s;
}

static at_status copy_router(work *w, const char *router) {
    char *inside = at_join(w->c, router, AT_ROUTER_FILE);
    if (!inside) return AT_OOM;
    const at_status s = copy_into(w, at_is_dir(router) ? inside : router, AT_ROUTER_FILE);
    at_free(inside);
    return s;
}

/* Reads the whole recipe before anything is written.  Names must be unique, since the router
   chooses experts by name. */
static at_status read_experts(at_ctx *c, at_conf *f, expert_keys *k, int64_t n) {
    at_status s = AT_OK;
    for (int64_t i = 0; i < n && s == AT_OK; i++) {
        char section[40];
        (void)snprintf(section, sizeof section, "experts.%d", (int)i);
        s = at_conf_bind(c, f, section, expert_table, &k[i]);
        (void)snprintf(section, sizeof section, "experts.%d.name", (int)i);
        for (int64_t j = 0; j < i && s == AT_OK; j++)
            if (strcmp(k[i].name, k[j].name) == 0)
                s = at_conf_error(c, f, section,
                                  "expert %d (%s) and expert %d (%s) are both called `%s`: the "
                                  "router has one class of a name",
                                  (int)j, k[j].model, (int)i, k[i].model, k[i].name);
    }
    return s == AT_OK ? at_conf_finish(c, f) : s;
}

static at_status make_folder(work *w, const char *name) {
    char *path = at_join(w->c, w->dir, name);
    const at_status s = path ? at_make_dir(w->c, path) : AT_OOM;
    at_free(path);
    return s;
}

static at_status add_experts(work *w, const expert_keys *k, int64_t n) {
    at_status s = make_folder(w, "experts");
    at_json_begin_list(&w->config, "experts");
    at_json_begin_list(&w->passports, "experts");
    for (int64_t i = 0; i < n && s == AT_OK; i++) s = add_expert(w, &k[i], i);
    return s;
}

/* ---- trunks ---------------------------------------------------------------------------------- */

/* Which tensors go into a file: those below a path, or (below NULL) those of no trunk. */
typedef struct {
    const char *below;
    int64_t numel;
} selection;

static bool selected(void *user, const at_st_tensor *t, at_st_tensor *as) {
    static const char trunks[] = "trunks.";
    selection *s = user;
    (void)as;
    const char *start = s->below ? s->below : trunks;
    if ((strncmp(t->name, start, strlen(start)) == 0) != (s->below != NULL)) return false;
    s->numel += (int64_t)(t->bytes / at_dtype_size(t->dtype));
    return true;
}

/* Trunk i of the model into a file of its own, which is named in `file`. */
static at_status write_trunk(work *w, const at_model *m, int i, const char *name, char file[160],
                             int64_t *numel) {
    char below[96];
    (void)snprintf(below, sizeof below, "trunks.%.64s.", name);
    (void)snprintf(file, 160, "modules/%03d-%.64s.safetensors", i, name);
    selection some = {.below = below};
    char *path = at_join(w->c, w->dir, file);
    const at_status s = path ? at_weights_save(w->c, &m->weights, path, selected, &some) : AT_OOM;
    at_free(path);
    *numel = some.numel;
    return s;
}

static at_status check_mode(work *w, at_conf *f, const head_keys *h, const at_model *m) {
    const at_modules l = at_model_modules(m);
    if (l.n < 1)
        return at_conf_error(w->c, f, "model", "%s is of architecture %s, which has no trunks",
                             h->model, m->arch->name);
    if (l.common == (h->mode == MOE_CE)) return AT_OK;
    return at_conf_error(w->c, f, "mode", "%s has %s common trunk: it is composed with mode: %s",
                         h->model, l.common ? "a" : "no", l.common ? "moe-ce" : "jeet");
}

/* A class of the router for each trunk: said here by their names, before anything is written. */
static at_status check_router(work *w, at_conf *f, const head_keys *h, const at_model *m) {
    at_router *r = NULL;
    const at_modules l = at_model_modules(m);
    at_status s = at_router_load(w->c, h->router, &r);
    if (s == AT_OK && m->tokenizer) s = at_router_check(w->c, r, h->model, m->tokenizer);
    for (int i = 0; i < l.n && s == AT_OK; i++)
        if (at_router_class(r, l.name[i]) < 0)
            s = at_conf_error(
                w->c, f, "router",
                "%s was trained for other classes: it knows none called `%s`, which is a "
                "trunk of %s",
                h->router, l.name[i], h->model);
    at_router_close(r);
    return s;
}

static at_status add_trunks(work *w, const at_model *m, const char *source) {
    const at_modules l = at_model_modules(m);
    char file[160], common[160] = "", sha[AT_SHA256_TEXT];
    char *base = at_join(w->c, w->dir, "model.safetensors");
    selection rest = {0};
    int64_t numel = 0;
    at_status s = base ? make_folder(w, "modules") : AT_OOM;
    if (s == AT_OK) s = at_weights_save(w->c, &m->weights, base, selected, &rest);
    at_free(base);
    if (s == AT_OK) s = sha_of(w, "model.safetensors", sha);
    if (s == AT_OK && l.common) s = write_trunk(w, m, l.n, AT_MODULE_COMMON, common, &numel);
    at_json_begin_object(&w->config, "base");
    at_json_put_string(&w->config, "file", "model.safetensors");
    if (l.common) at_json_put_string(&w->config, "common", common);
    at_json_put_value(&w->config, "config", m->source);
    at_json_end(&w->config);
    at_json_begin_list(&w->config, "experts");
    at_json_begin_list(&w->passports, "experts");
    for (int i = 0; i < l.n && s == AT_OK; i++) {
        int64_t n = 0;
        s = write_trunk(w, m, i, l.name[i], file, &n);
        at_json_begin_object(&w->config, NULL);
        at_json_put_string(&w->config, "name", l.name[i]);
        at_json_put_string(&w->config, "file", file);
        at_json_end(&w->config);
        if (s == AT_OK)
            s = add_passport(w, &(passport){l.name[i], file, m->arch->name, source, n, sha});
    }
    if (s == AT_OK && l.common)
        s = add_passport(w,
                         &(passport){AT_MODULE_COMMON, common, m->arch->name, source, numel, sha});
    return s;
}

/* ---- all of it ------------------------------------------------------------------------------- */

/* m: the model whose trunks they are, or NULL. */
static at_status fill(work *w, const expert_keys *k, int64_t n, const at_model *m,
                      const head_keys *h) {
    static const char *const mode[] = {"ple", "jeet", "moe-ce", "btx", "ensemble"};
    at_json_put_string(&w->config, "model_type", AT_MODULAR_TYPE);
    at_json_put_string(&w->config, "mode", mode[h->mode]);
    if (h->mode == ENSEMBLE) at_json_put_number(&w->config, "k", h->k ? (double)h->k : 2);
    at_json_put_number(&w->passports, "format", 1);
    at_status s = m ? add_trunks(w, m, h->model) : add_experts(w, k, n);
    if (s == AT_OK && h->router) s = copy_router(w, h->router);
    if (s == AT_OK && at_exists(w->tokenizer)) s = copy_into(w, w->tokenizer, "tokenizer.json");
    if (s == AT_OK) s = write_json(w, "config.json", &w->config);
    return s == AT_OK ? write_json(w, "artel.json", &w->passports) : s;
}

/* The folder, once its parts are known to fit. */
static at_status build(work *w, const expert_keys *k, int64_t n, const at_model *of,
                       const head_keys *h, const char *out) {
    at_ctx *c = w->c;
    char *bare = NULL;
    at_json_open_file(&w->config, c);
    at_json_open_file(&w->passports, c);
    at_status s = at_check_new_dir(c, out);
    if (s == AT_OK) s = (bare = at_path_trim(c, out)) ? AT_OK : c->status;
    if (s == AT_OK) s = at_partial_dir(c, bare, &w->dir);
    if (s == AT_OK) s = fill(w, k, n, of, h);
    at_lm *m = NULL; /* checks that the result can be opened */
    if (s == AT_OK) s = at_lm_load(c, w->dir, &m);
    if (s == AT_OK) s = at_lm_finite(c, m);
    at_lm_close(m);
    if (s == AT_OK) s = at_partial_commit(c, w->dir, bare);
    at_partial_drop(c, w->dir);
    at_json_close(&w->config);
    at_json_close(&w->passports);
    at_free(w->hash);
    at_free(w->tokenizer);
    at_free(bare);
    return s;
}

static at_status compose_models(work *w, at_conf *f, const head_keys *h, const char *out) {
    at_ctx *c = w->c;
    if (h->model) return at_conf_error(c, f, "model", "of mode jeet and moe-ce; ple has `experts`");
    if (at_conf_count(f, "experts") < 1)
        return at_conf_error(c, f, "experts", "expected a list of {name, model}");
    const int64_t n = at_conf_count(f, "experts");
    if ((h->k ? h->k : 2) > n && h->mode == ENSEMBLE)
        return at_conf_error(c, f, "k", "%lld models answer together, but there are %lld",
                             (long long)(h->k ? h->k : 2), (long long)n);
    expert_keys *k = at_calloc(c, (size_t)n, sizeof *k);
    at_status s = k ? read_experts(c, f, k, n) : c->status;
    if (s == AT_OK) s = build(w, k, n, NULL, h, out);
    at_free(k);
    return s;
}

static at_status compose_trunks(work *w, at_conf *f, const head_keys *h, const char *out) {
    at_ctx *c = w->c;
    at_model *m = NULL;
    at_status s = at_conf_finish(c, f);
    if (s == AT_OK && !h->model)
        s = at_conf_error(c, f, "", "the key `model` is missing: the folder of a model of trunks");
    if (s == AT_OK) s = at_model_load(c, h->model, false, &m);
    if (s == AT_OK) s = check_mode(w, f, h, m);
    if (s == AT_OK) s = check_router(w, f, h, m);
    if (s == AT_OK) w->tokenizer = at_join(c, h->model, "tokenizer.json");
    if (s == AT_OK) w->hash = at_strdup(c, m->tokenizer ? m->tokenizer : "");
    if (s == AT_OK && (!w->tokenizer || !w->hash)) s = AT_OOM;
    if (s == AT_OK) {
        s = build(w, NULL, 0, m, h, out);
    } else {
        at_free(w->tokenizer);
        at_free(w->hash);
    }
    at_model_close(m);
    return s;
}

at_status at_compose(at_ctx *c, at_conf *f, const char *out) {
    head_keys h = {0};
    work w = {.c = c};
    const at_status s = at_conf_bind(c, f, "", head_table, &h);
    if (s != AT_OK) return s;
    if (h.mode != ENSEMBLE && h.k)
        return at_conf_error(c, f, "k", "of mode ensemble and btx: else one expert answers");
    if (h.mode != ENSEMBLE && !h.router)
        return at_conf_error(c, f, "", "the key `router` is missing: the folder of a router");
    return h.mode == PLE || h.mode == ENSEMBLE ? compose_models(&w, f, &h, out)
                                               : compose_trunks(&w, f, &h, out);
}
