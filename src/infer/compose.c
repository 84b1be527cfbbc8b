/* compose.c - Pre-trained Language Experts (arXiv 2407.19610, section 5): whole models behind a
   frozen router; nothing is trained jointly. */
#include "infer/compose.h"
#include "base/file.h"
#include "base/sha256.h"
#include <stddef.h>
#include <stdio.h>
#include <string.h>

typedef struct {
    int mode;
    char *router;
} head_keys;
typedef struct {
    char *name, *model;
} expert_keys;

static const at_key head_table[] = {
    {"mode", AT_KEY_CHOICE, offsetof(head_keys, mode), "ple", 0, 0, "ple", "how they join"},
    {"router", AT_KEY_STRING, offsetof(head_keys, router), NULL, 0, 0, NULL, "router folder"},
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

/* One expert: weights copied into experts/, an entry in config.json, a passport. */
static at_status describe(work *w, const expert_keys *k, const at_model *m, const char *file,
                          const char *path) {
    char sha[65];
    at_status s = at_sha256_file(w->c, path, sha);
    if (s != AT_OK) return s;
    at_json_begin_object(&w->config, NULL);
    at_json_put_string(&w->config, "name", k->name);
    at_json_put_string(&w->config, "file", file);
    at_json_put_value(&w->config, "config", m->source); /* as the file is */
    at_json_end(&w->config);
    at_json_begin_object(&w->passports, NULL);
    at_json_put_number(&w->passports, "id", (double)w->n++);
    at_json_put_string(&w->passports, "name", k->name);
    at_json_put_string(&w->passports, "file", file);
    at_json_put_string(&w->passports, "sha256", sha);
    at_json_put_number(&w->passports, "parameters", (double)at_model_numel(m));
    at_json_put_string(&w->passports, "architecture", m->arch->name);
    at_json_put_string(&w->passports, "tokenizer", w->hash ? w->hash : "");
    at_json_put_string(&w->passports, "source", k->model);
    at_json_end(&w->passports);
    return AT_OK;
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

static at_status add_expert(work *w, const expert_keys *k, int64_t i) {
    at_ctx *c = w->c;
    char file[160];
    const int len =
        snprintf(file, sizeof file, "experts/e%03d-%.120s.safetensors", (int)i, k->name);
    if (len < 0 || strchr(k->name, '/'))
        return at_error(c, AT_CONFIG, "expert name `%s` cannot be part of a file name", k->name);
    at_model *m = NULL;
    at_status s = at_model_load(c, k->model, false, &m);
    if (s == AT_OK) s = same_tokenizer(w, k, m);
    char *to = at_join(c, w->dir, file);
    if (s == AT_OK && !to) s = AT_OOM;
    if (s == AT_OK)
        s = m->weights.n == 1 ? at_copy_file(c, at_st_path(m->weights.file[0]), to)
                              : at_weights_save(c, &m->weights, to, NULL, NULL);
    if (s == AT_OK) s = describe(w, k, m, file, to);
    at_free(to);
    at_model_close(m);
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

static at_status fill(work *w, const expert_keys *k, int64_t n, const head_keys *h) {
    at_ctx *c = w->c;
    char *experts = at_join(c, w->dir, "experts");
    at_status s = experts ? at_make_dir(c, experts) : AT_OOM;
    at_free(experts);
    at_json_put_string(&w->config, "model_type", AT_MODULAR_TYPE);
    at_json_put_string(&w->config, "mode", "ple");
    at_json_begin_list(&w->config, "experts");
    at_json_put_number(&w->passports, "format", 1);
    at_json_begin_list(&w->passports, "experts");
    for (int64_t i = 0; i < n && s == AT_OK; i++) s = add_expert(w, &k[i], i);
    if (s == AT_OK) s = copy_router(w, h->router);
    if (s == AT_OK && at_exists(w->tokenizer)) s = copy_into(w, w->tokenizer, "tokenizer.json");
    if (s == AT_OK) s = write_json(w, "config.json", &w->config);
    return s == AT_OK ? write_json(w, "artel.json", &w->passports) : s;
}

at_status at_compose(at_ctx *c, at_conf *f, const char *out) {
    head_keys h = {0};
    at_status s = at_conf_bind(c, f, "", head_table, &h);
    if (s == AT_OK && at_conf_count(f, "experts") < 1)
        s = at_conf_error(c, f, "experts", "expected a list of {name, model}");
    if (s != AT_OK) return s;
    const int64_t n = at_conf_count(f, "experts");
    expert_keys *k = at_calloc(c, (size_t)n, sizeof *k);
    char *bare = NULL;
    work w = {.c = c};
    at_json_open_file(&w.config, c);
    at_json_open_file(&w.passports, c);
    s = k ? read_experts(c, f, k, n) : c->status;
    if (s == AT_OK) s = at_check_new_dir(c, out);
    if (s == AT_OK) s = (bare = at_path_trim(c, out)) ? AT_OK : c->status;
    if (s == AT_OK) s = at_partial_dir(c, bare, &w.dir);
    if (s == AT_OK) s = fill(&w, k, n, &h);
    at_lm *m = NULL; /* checks that the result can be opened */
    if (s == AT_OK) s = at_lm_load(c, w.dir, &m);
    if (s == AT_OK) s = at_lm_finite(c, m);
    at_lm_close(m);
    if (s == AT_OK) s = at_partial_commit(c, w.dir, bare);
    at_partial_drop(c, w.dir);
    at_json_close(&w.config);
    at_json_close(&w.passports);
    at_free(w.hash);
    at_free(w.tokenizer);
    at_free(bare);
    at_free(k);
    return s;
}
