/* model.c - making, loading and saving models. */
#include "arch/model.h"
#include "base/file.h"
#include <stdio.h>
#include <string.h>

void at_model_close(at_model *m) {
    if (!m) return;
    if (m->impl) m->arch->close(m->impl);
    at_store_close(&m->store);
    at_weights_close(&m->weights);
    cJSON_Delete(m->source);
    at_free(m->config);
    at_free(m->path);
    at_free(m->tokenizer);
    at_free(m);
}

typedef struct {
    char *arch;
} arch_key;
static const at_key arch_keys[] = {
    {"arch", AT_KEY_STRING, offsetof(arch_key, arch), NULL, 0, 0, NULL, "architecture"},
    {0},
};
static const at_key hf_keys[] = {
    {"model_type", AT_KEY_STRING, offsetof(arch_key, arch), NULL, 0, 0, NULL, "architecture"},
    {0},
};

/* Sets an integer key of the configuration if it still has the value `unset`. */
static void fill_number(const at_arch *a, void *config, const char *key, int64_t unset,
                        int64_t value) {
    for (const at_key *k = a->keys; k->name; k++)
        if (k->kind == AT_KEY_INT && !strcmp(k->name, key)) {
            int64_t *v = (int64_t *)(void *)((char *)config + k->offset);
            if (*v == unset) *v = value;
        }
}

int64_t at_model_number(const at_model *m, const char *key, int64_t otherwise) {
    for (const at_key *k = m->arch->keys; k->name; k++) {
        if (k->kind != AT_KEY_INT || strcmp(k->name, key) != 0) continue;
        const int64_t v = *(const int64_t *)(const void *)((const char *)m->config + k->offset);
        return v == -1 ? otherwise : v;
    }
    return otherwise;
}

void at_model_end_token(at_model *m, int64_t id) {
    fill_number(m->arch, m->config, "bos_token_id", -1, id);
    fill_number(m->arch, m->config, "eos_token_id", -1, id);
}

/* Architecture, configuration and declared parameters, no values. */
static at_status outline(at_ctx *c, at_conf *f, const char *section, const at_key *which,
                         int64_t vocab, at_model **out) {
    arch_key key = {0};
    *out = NULL;
    at_status s = at_conf_bind(c, f, section, which, &key);
    if (s != AT_OK) return s;
    const at_arch *arch = at_arch_find(c, key.arch);
    if (!arch) {
        char what[AT_MESSAGE_MAX];
        memcpy(what, c->message, sizeof what);
        char path[128];
        (void)snprintf(path, sizeof path, "%s%s%s", section, *section ? "." : "", which->name);
        return at_conf_error(c, f, path, "%.400s", what);
    }
    at_model *m = at_calloc(c, 1, sizeof *m);
    if (!m) return AT_OOM;
    m->arch = arch;
    at_store_init(&m->store, c);
    s = (m->config = at_calloc(c, 1, arch->config_bytes)) ? AT_OK : AT_OOM;
    if (s == AT_OK) s = at_conf_bind(c, f, section, arch->keys, m->config);
    if (s == AT_OK) fill_number(arch, m->config, "vocab_size", 0, vocab);
    if (s == AT_OK && arch->check) s = arch->check(c, f, section, m->config);
    if (s == AT_OK) arch->dims(m->config, &m->dims);
    if (s == AT_OK && m->dims.vocab < 1)
        s = at_conf_error(c, f, section, "vocab_size: expected at least 1 token, found %lld",
                          (long long)m->dims.vocab);
    if (s == AT_OK) s = arch->init(&m->store, m->config, &m->impl);
    if (s == AT_OK)
        *out = m;
    else
        at_model_close(m);
    return s;
}

at_status at_model_outline(at_ctx *c, at_conf *f, const char *section, int64_t vocab,
                           at_model **out) {
    return outline(c, f, section, arch_keys, vocab, out);
}

at_status at_model_new(at_ctx *c, at_conf *f, const char *section, int64_t vocab, uint64_t seed,
                       at_model **out) {
    at_status s = outline(c, f, section, arch_keys, vocab, out);
    if (s != AT_OK) return s;
    s = at_store_alloc(&(*out)->store);
    if (s == AT_OK) {
        at_store_randomise(&(*out)->store, seed);
        return AT_OK;
    }
    at_model_close(*out);
    *out = NULL;
    return s;
}

at_load_options at_model_load_options(const at_model *m, bool borrow) {
    return (at_load_options){
        .prefix = m->arch->prefix, .ignore = m->arch->ignore, .borrow = borrow};
}

static at_status load_weights(at_ctx *c, at_model *m, const char *path, bool train) {
    const size_t read_below =
        train ? SIZE_MAX : (size_t)1 << 30; /* larger files are mapped and not read */
    at_status s = at_weights_open(c, path, read_below, &m->weights);
    const at_load_options how = at_model_load_options(m, !train);
    if (s == AT_OK) s = at_checkpoint_load(c, &m->store, &m->weights, &how);
    if (s == AT_OK && at_weights_bytes(&m->weights) <= read_below) s = at_model_finite(c, m);
    if (s == AT_OK && m->weights.n) {
        const char *hash = at_st_meta(m->weights.file[0], "artel.tokenizer");
        if (hash && !(m->tokenizer = at_strdup(c, hash))) s = AT_OOM;
    }
    if (train) at_weights_close(&m->weights);
    if (train) m->finite = false; /* its values change */
    return s;
}

at_status at_model_load(at_ctx *c, const char *dir, bool train, at_model **out) {
    *out = NULL;
    at_conf *f = NULL;
    at_model *m = NULL;
    char *path = at_join(c, dir, "config.json");
    at_status s = path ? at_conf_read(c, path, &f) : AT_OOM;
    if (s == AT_OK) s = outline(c, f, "", hf_keys, 0, &m);
    if (s == AT_OK) s = (m->path = at_strdup(c, dir)) ? AT_OK : AT_OOM;
    if (s == AT_OK) s = (m->source = at_json_read(c, path)) ? AT_OK : c->status;
    if (s == AT_OK && train) s = at_store_alloc(&m->store);
    if (s == AT_OK) s = load_weights(c, m, dir, train);
    if (s == AT_OK)
        *out = m;
    else
        at_model_close(m);
    at_conf_close(f);
    at_free(path);
    return s;
}

at_status at_model_load_parts(at_ctx *c, const char *name, const cJSON *config, const char *weights,
                              at_model **out) {
    *out = NULL;
    at_conf *f = NULL;
    at_model *m = NULL;
    char *text = at_json_text(c, config);
    const size_t bytes = text ? strlen(text) : 0;
    at_status s = text ? at_conf_parse(c, name, text, bytes, &f) : AT_OOM;
    if (s == AT_OK) s = outline(c, f, "", hf_keys, 0, &m);
    if (s == AT_OK) s = (m->source = at_json_parse(c, name, text, bytes)) ? AT_OK : c->status;
    if (s == AT_OK) s = load_weights(c, m, weights, false);
    if (s == AT_OK)
        *out = m;
    else
        at_model_close(m);
    at_conf_close(f);
    at_free(text);
    return s;
}

static const char *where_of(const at_model *m) {
    return m->weights.n == 1 ? at_st_path(m->weights.file[0]) : m->path ? m->path : "the model";
}

at_status at_model_finite(at_ctx *c, at_model *m) {
    if (m->finite) return AT_OK;
    const at_status s = at_store_finite(c, &m->store, where_of(m));
    if (s == AT_OK) m->finite = true;
    return s;
}

at_status at_model_diagnose(at_ctx *c, at_model *m) {
    const at_status s = at_model_finite(c, m);
    return s != AT_OK ? s
                      : at_error(c, AT_NUMERIC,
                                 "%s: what the model computes is not finite, though all its "
                                 "parameters are: some are too large for float32",
                                 where_of(m));
}

int64_t at_model_numel(const at_model *m) {
    int64_t n = 0;
    for (int64_t i = 0; i < m->store.n; i++) n += at_numel(&m->store.p[i]->t);
    return n;
}

/* ---- saving -------------------------------------------------------------------- */

static void put_choice(at_json *j, const at_key *k, int index) {
    const char *p = k->choices;
    for (; index > 0 && p; index--) {
        p = strchr(p, '|');
        if (p) p++;
    }
    char word[64] = "";
    for (size_t i = 0; p && p[i] && p[i] != '|' && i + 1 < sizeof word; i++) word[i] = p[i];
    at_json_put_string(j, k->name, word);
}

/* Writes a key of the configuration; false: its value is not saved. */
static bool put_key(at_json *j, const at_key *k, const void *p) {
    const int64_t n = k->kind == AT_KEY_INT ? *(const int64_t *)p : 0;
    switch (k->kind) {
    case AT_KEY_INT:
        if (n == -1) /* unset */
            at_json_put_null(j, k->name);
        else
            at_json_put_number(j, k->name, (double)n);
        return true;
    case AT_KEY_REAL: at_json_put_number(j, k->name, *(const double *)p); return true;
    case AT_KEY_BOOL: at_json_put_bool(j, k->name, *(const bool *)p); return true;
    case AT_KEY_CHOICE: put_choice(j, k, *(const int *)p); return true;
    case AT_KEY_STRING:
    case AT_KEY_STRINGS: break;
    }
    return false;
}

/* Writes a key of config.json whose value the model determines; false: it is no such key. */
static bool put_own(at_json *j, const at_model *m, const char *key) {
    if (!strcmp(key, "model_type")) {
        at_json_put_string(j, key, m->arch->name);
        return true;
    }
    if (!strcmp(key, "architectures")) {
        at_json_begin_list(j, key);
        at_json_put_string(j, NULL, m->arch->hf_class);
        at_json_end(j);
        return true;
    }
    for (const at_key *k = m->arch->keys; k->name; k++)
        if (!strcmp(k->name, key)) return put_key(j, k, (const char *)m->config + k->offset);
    return false;
}

static bool has(const cJSON *o, const char *key) {
    return cJSON_GetObjectItemCaseSensitive(o, key) != NULL;
}

/* Writes the configuration that was read, in its order; with a model (not NULL) its own values
   replace those read, and keys that are missing are added. */
static void put_config(at_json *j, const cJSON *source, const at_model *m, const char *type) {
    const char *type_key = has(source, "dtype") /* its newer name */ ? "dtype" : "torch_dtype";
    const cJSON *e = NULL;
    cJSON_ArrayForEach(e, source) {
        if (!strcmp(e->string, type_key))
            at_json_put_string(j, type_key, type);
        else if (!m || !put_own(j, m, e->string))
            at_json_put_value(j, e->string, e);
    }
    if (m && !has(source, "model_type")) (void)put_own(j, m, "model_type");
    if (m && !has(source, "architectures")) (void)put_own(j, m, "architectures");
    if (!has(source, type_key)) at_json_put_string(j, type_key, type);
    for (const at_key *k = m ? m->arch->keys : NULL; k && k->name; k++)
        if (!has(source, k->name)) (void)put_own(j, m, k->name);
}

void at_model_config(const at_model *m, at_json *j) { put_config(j, m->source, m, "float32"); }

void at_model_source(const at_model *m, const char *type, at_json *j) {
    put_config(j, m->source, NULL, type);
}

at_status at_model_write(at_ctx *c, const at_model *m, const char *dir, const char *tokenizer) {
    char *config = at_join(c, dir, "config.json"), *weights = at_join(c, dir, "model.safetensors");
    char *tok = at_join(c, dir, "tokenizer.json");
    at_status s =
        config && weights && tok ? at_store_finite(c, &m->store, "the model to be saved") : AT_OOM;
    if (s == AT_OK) {
        at_json j;
        at_json_open_file(&j, c);
        at_model_config(m, &j);
        s = at_json_save(&j, config);
    }
    const char *meta[] = {"artel.tokenizer", m->tokenizer ? m->tokenizer : "", NULL};
    if (s == AT_OK)
        s = at_checkpoint_save(c, &m->store, AT_SLAB_VALUE, weights, m->tokenizer ? meta : NULL);
    if (s == AT_OK && tokenizer) s = at_copy_file(c, tokenizer, tok);
    at_free(config);
    at_free(weights);
    at_free(tok);
    return s;
}

static at_status same_bytes(at_ctx *c, const char *a, const char *b, bool *same) {
    at_map x = {0}, y = {0};
    at_status s = at_map_open(c, a, &x);
    if (s == AT_OK) s = at_map_open(c, b, &y);
    *same = s == AT_OK && x.bytes == y.bytes && (!x.bytes || !memcmp(x.data, y.data, x.bytes));
    at_map_close(&x);
    at_map_close(&y);
    return s;
}

/* Whether the folder `there` has every file of `made`, byte for byte. */
static at_status holds(at_ctx *c, const char *there, const char *made, bool *same) {
    at_list l = {0};
    at_status s = at_list_names(c, made, &l);
    *same = true;
    for (int64_t i = 0; i < l.n && s == AT_OK && *same; i++) {
        char *a = at_join(c, made, l.item[i]), *b = at_join(c, there, l.item[i]);
        s = a && b ? AT_OK : AT_OOM;
        if (s == AT_OK && same_bytes(c, a, b, same) != AT_OK) {
            s = c->status == AT_OOM ? AT_OOM
                                    : AT_OK; /* a file that cannot be read counts as different */
            if (s == AT_OK) at_error_clear(c);
        }
        at_free(a);
        at_free(b);
    }
    at_list_free(&l);
    return s;
}

/* Renames the finished folder.  An existing folder of this name is kept: as it is if it holds the
   same model, otherwise under another name. */
static at_status deliver(at_ctx *c, const char *made, const char *dir) {
    bool same = false;
    char *kept = NULL;
    at_status s = AT_OK;
    if (at_exists(dir)) {
        s = holds(c, dir, made, &same);
        if (s != AT_OK || same) return s;
        s = at_move_aside(c, dir, &kept);
        if (s == AT_OK)
            at_log(c, AT_LOG_WARN, "%s was there and is another model: it is now %s", dir, kept);
        at_free(kept);
    }
    return s == AT_OK ? at_partial_commit(c, made, dir) : s;
}

at_status at_model_save(at_ctx *c, const at_model *m, const char *dir,
                        const char *source_tokenizer) {
    char *made = NULL;
    at_status s = at_partial_dir(c, dir, &made);
    if (s == AT_OK) s = at_model_write(c, m, made, source_tokenizer);
    if (s == AT_OK) s = deliver(c, made, dir);
    at_partial_drop(c, made);
    return s;
}
