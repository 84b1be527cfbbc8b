/* config.c - see config.h. */
#include "arch/config.h"
#include <stdio.h>
#include <string.h>

typedef struct {
    char *arch;
} arch_key;
static const at_key recipe_keys[] = {
    {"arch", AT_KEY_STRING, offsetof(arch_key, arch), NULL, 0, 0, NULL, "architecture"},
    {0},
};
static const at_key file_keys[] = {
    {"model_type", AT_KEY_STRING, offsetof(arch_key, arch), NULL, 0, 0, NULL, "architecture"},
    {0},
};

/* What a part leaves to what it is in. */
static const char *const outside[] = {"vocab_size", "tie_word_embeddings", "bos_token_id",
                                      "eos_token_id"};

static bool is_outside(const char *key) {
    for (size_t i = 0; i < sizeof outside / sizeof *outside; i++)
        if (!strcmp(outside[i], key)) return true;
    return false;
}

static void *value_of(const at_config *k, const at_key *key) {
    return (char *)k->values + key->offset;
}

static at_config *part_of(const at_config *k) {
    return k->arch->part ? (void *)((char *)k->values + k->arch->part_offset) : NULL;
}

/* ---- owning --------------------------------------------------------------------------------- */

static void free_strings(at_strings *v) {
    for (int64_t i = 0; i < v->n; i++) at_free(v->item[i]);
    at_free(v->item);
    *v = (at_strings){0};
}

void at_config_close(at_config *k) {
    if (!k->values) return;
    for (const at_key *key = k->arch->keys; key->name; key++) {
        if (key->kind == AT_KEY_STRINGS) free_strings(value_of(k, key));
        if (key->kind == AT_KEY_INTS) at_free(((at_ints *)value_of(k, key))->item);
    }
    if (part_of(k)) at_config_close(part_of(k));
    at_free(k->values);
    *k = (at_config){0};
}

static at_status keep_ints(at_ctx *c, at_ints *v, at_status s) {
    const at_ints from = *v;
    *v = (at_ints){0};
    if (s != AT_OK || !from.n) return s;
    if (!(v->item = at_malloc(c, (size_t)from.n * sizeof *v->item))) return AT_OOM;
    memcpy(v->item, from.item, (size_t)from.n * sizeof *v->item);
    v->n = from.n;
    return AT_OK;
}

/* Lists that a recipe owns are copied: the configuration outlives it. */
static at_status keep_lists(at_ctx *c, const at_config *k) {
    at_status s = AT_OK;
    for (const at_key *key = k->arch->keys; key->name; key++) {
        if (key->kind == AT_KEY_INTS) s = keep_ints(c, value_of(k, key), s);
        if (key->kind != AT_KEY_STRINGS) continue;
        at_strings *v = value_of(k, key);
        const at_strings from = *v;
        *v = (at_strings){0};
        if (s != AT_OK || !from.n) continue;
        if (!(v->item = at_calloc(c, (size_t)from.n, sizeof *v->item))) s = AT_OOM;
        for (int64_t i = 0; i < from.n && s == AT_OK; i++) {
            if (!(v->item[i] = at_strdup(c, from.item[i]))) s = AT_OOM;
            v->n += s == AT_OK;
        }
    }
    return s;
}

/* ---- reading -------------------------------------------------------------------------------- */

static at_status find_arch(at_ctx *c, at_conf *f, const char *section, const at_key *which,
                           const at_arch **out) {
    arch_key key = {0};
    const at_status s = at_conf_bind(c, f, section, which, &key);
    if (s != AT_OK) return s;
    if ((*out = at_arch_find(c, key.arch))) return AT_OK;
    char what[AT_MESSAGE_MAX], path[160];
    memcpy(what, c->message, sizeof what);
    (void)snprintf(path, sizeof path, "%s%s%s", section, *section ? "." : "", which->name);
    return at_conf_error(c, f, path, "%.400s", what);
}

at_status at_config_arch(at_ctx *c, at_conf *f, const char *section, const at_arch **out) {
    return find_arch(c, f, section, recipe_keys, out);
}

/* Binds an architecture's own keys: of a part, those that are not outside of it. */
static at_status bind_keys(at_ctx *c, at_conf *f, const char *section, bool inner, at_config *k) {
    enum { MOST = 64 };
    at_key keys[MOST];
    int n = 0;
    for (const at_key *key = k->arch->keys; key->name && n + 1 < MOST; key++)
        if (!inner || !is_outside(key->name)) keys[n++] = *key;
    keys[n] = (at_key){0};
    if (!(k->values = at_calloc(c, 1, k->arch->config_bytes))) return AT_OOM;
    const at_status s = at_conf_bind(c, f, section, keys, k->values);
    const at_status t = keep_lists(c, k); /* also after a failure: nothing borrowed stays */
    return s == AT_OK ? t : s;
}

static at_status bind_part(at_ctx *c, at_conf *f, const char *section, bool recipe,
                           const at_config *k) {
    at_config *part = part_of(k);
    char path[128], what[160];
    (void)snprintf(path, sizeof path, "%s%s%s", section, *section ? "." : "", k->arch->part);
    const at_key *which = recipe ? recipe_keys : file_keys;
    at_status s = find_arch(c, f, path, which, &part->arch);
    (void)snprintf(what, sizeof what, "%s.%s", path, which->name);
    if (s == AT_OK && !part->arch->trunk)
        s = at_conf_error(c, f, what, "%s cannot be part of another architecture",
                          part->arch->name);
    if (s == AT_OK) s = bind_keys(c, f, path, true, part);
    if (s == AT_OK && part->arch->check) s = part->arch->check(c, f, path, part->values);
    return s;
}

at_status at_config_bind(at_ctx *c, at_conf *f, const char *section, bool recipe, int64_t vocab,
                         at_config *out) {
    *out = (at_config){0};
    at_status s = find_arch(c, f, section, recipe ? recipe_keys : file_keys, &out->arch);
    if (s == AT_OK) s = bind_keys(c, f, section, false, out);
    if (s == AT_OK && out->arch->part) s = bind_part(c, f, section, recipe, out);
    if (s == AT_OK) at_config_fill(out, "vocab_size", 0, vocab);
    if (s == AT_OK && out->arch->check) s = out->arch->check(c, f, section, out->values);
    return s;
}

/* ---- single numbers -------------------------------------------------------------------------- */

void at_config_fill(const at_config *k, const char *key, int64_t unset, int64_t value) {
    for (const at_key *e = k->arch->keys; e->name; e++)
        if (e->kind == AT_KEY_INT && !strcmp(e->name, key)) {
            int64_t *v = value_of(k, e);
            if (*v == unset) *v = value;
        }
}

double at_config_aux(const at_config *k, at_aux *a) {
    return k->arch->aux ? k->arch->aux(k->values, a) : -1;
}

int64_t at_config_number(const at_config *k, const char *key, int64_t otherwise) {
    for (const at_key *e = k->arch->keys; e->name; e++) {
        if (e->kind != AT_KEY_INT || strcmp(e->name, key) != 0) continue;
        const int64_t v = *(const int64_t *)value_of(k, e);
        return v == -1 ? otherwise : v;
    }
    return otherwise;
}

/* ---- writing --------------------------------------------------------------------------------- */

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

static void put_strings(at_json *j, const char *name, const at_strings *v) {
    at_json_begin_list(j, name);
    for (int64_t i = 0; i < v->n; i++) at_json_put_string(j, NULL, v->item[i]);
    at_json_end(j);
}

static void put_ints(at_json *j, const char *name, const at_ints *v) {
    at_json_begin_list(j, name);
    for (int64_t i = 0; i < v->n; i++) at_json_put_number(j, NULL, (double)v->item[i]);
    at_json_end(j);
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
    case AT_KEY_STRINGS:
        if (!((const at_strings *)p)->n) return false;
        put_strings(j, k->name, p);
        return true;
    case AT_KEY_INTS: /* files have lists that say something alone */
        if (!((const at_ints *)p)->n) return false;
        put_ints(j, k->name, p);
        return true;
    case AT_KEY_STRING: break;
    }
    return false;
}

static const char *type_of(const at_arch *a) { return a->type ? a->type : a->name; }

/* The configuration inside of another one. */
static void put_part(at_json *j, const char *name, const at_config *k) {
    at_json_begin_object(j, name);
    at_json_put_string(j, "model_type", type_of(k->arch));
    for (const at_key *key = k->arch->keys; key->name; key++)
        if (!is_outside(key->name)) (void)put_key(j, key, value_of(k, key));
    at_json_end(j);
}

/* Writes a key of config.json whose value the model determines; false: it is no such key. */
static bool put_own(at_json *j, const at_config *k, const char *key) {
    if (!strcmp(key, "model_type")) {
        at_json_put_string(j, key, type_of(k->arch));
        return true;
    }
    if (!strcmp(key, "architectures")) {
        at_json_begin_list(j, key);
        at_json_put_string(j, NULL, k->arch->hf_class);
        at_json_end(j);
        return true;
    }
    if (k->arch->part && !strcmp(key, k->arch->part)) {
        put_part(j, key, part_of(k));
        return true;
    }
    for (const at_key *e = k->arch->keys; e->name; e++)
        if (!strcmp(e->name, key)) return put_key(j, e, value_of(k, e));
    return false;
}

static bool has(const cJSON *o, const char *key) {
    return cJSON_GetObjectItemCaseSensitive(o, key) != NULL;
}

void at_config_put(at_json *j, const at_config *k, const cJSON *source, const char *type) {
    const char *type_key = has(source, "dtype") /* its newer name */ ? "dtype" : "torch_dtype";
    const cJSON *e = NULL;
    cJSON_ArrayForEach(e, source) {
        if (!strcmp(e->string, type_key))
            at_json_put_string(j, type_key, type);
        else if (!k || !put_own(j, k, e->string))
            at_json_put_value(j, e->string, e);
    }
    if (k && !has(source, "model_type")) (void)put_own(j, k, "model_type");
    if (k && !has(source, "architectures")) (void)put_own(j, k, "architectures");
    if (!has(source, type_key)) at_json_put_string(j, type_key, type);
    for (const at_key *key = k ? k->arch->keys : NULL; key && key->name; key++)
        if (!has(source, key->name)) (void)put_own(j, k, key->name);
    if (k && k->arch->part && !has(source, k->arch->part)) (void)put_own(j, k, k->arch->part);
}
