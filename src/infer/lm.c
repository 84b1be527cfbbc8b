/* lm.c - opening a plain or a composed model, and choosing the expert. */
#include "infer/lm.h"
#include "base/file.h"
#include <string.h>

void at_lm_close(at_lm *m) {
    if (!m) return;
    for (int i = 0; m->expert && i < m->n_experts; i++) {
        at_model_close(m->expert[i].model);
        at_free(m->expert[i].name);
    }
    at_trunks_close(m->trunks);
    at_free(m->expert);
    at_free(m->class_of);
    at_router_close(m->router);
    at_tokenizer_close(m->tokenizer);
    at_free(m->path);
    at_free(m->hash);
    at_free(m);
}

static cJSON *read_config(at_ctx *c, const char *dir, char **path) {
    *path = at_join(c, dir, "config.json");
    return *path ? at_json_read(c, *path) : NULL;
}

static at_status load_tokenizer(at_ctx *c, at_lm *m, const char *dir) {
    char *path = at_join(c, dir, "tokenizer.json");
    at_status s = path ? AT_OK : AT_OOM;
    if (path && at_exists(path)) s = at_tokenizer_load(c, path, &m->tokenizer);
    at_free(path);
    if (s == AT_OK && m->tokenizer && !(m->hash = at_strdup(c, at_tokenizer_hash(m->tokenizer))))
        s = AT_OOM;
    if (s == AT_OK && m->tokenizer && at_tokenizer_size(m->tokenizer) > m->vocab)
        s = at_error(c, AT_MISMATCH, "%s: tokenizer.json has ids up to %lld, the model only %lld",
                     dir, (long long)at_tokenizer_size(m->tokenizer) - 1, (long long)m->vocab);
    return s;
}

static void take_dims(at_lm *m) {
    if (m->trunks) {
        m->context = at_trunks_shape(m->trunks)->dims.context;
        m->vocab = at_trunks_shape(m->trunks)->dims.vocab;
        return;
    }
    for (int i = 0; i < m->n_experts; i++) {
        const at_dims *d = &m->expert[i].model->dims;
        if (i == 0 || d->context < m->context) m->context = d->context;
        if (i == 0 || d->vocab < m->vocab) m->vocab = d->vocab;
    }
}

/* The experts of trunks, by the names of these. */
static at_status name_trunks(at_ctx *c, at_lm *m) {
    const at_modules l = at_trunks_modules(m->trunks);
    at_free(m->expert);
    m->n_experts = 0;
    if (!(m->expert = at_calloc(c, (size_t)l.n, sizeof *m->expert))) return AT_OOM;
    m->n_experts = l.n;
    for (int i = 0; i < l.n; i++)
        if (!(m->expert[i].name = at_strdup(c, l.name[i]))) return AT_OOM;
    return AT_OK;
}

/* The tokenizer that the weights of a plain model name. */
static const char *tokenizer_of(const at_lm *m) {
    return m->trunks ? at_trunks_shape(m->trunks)->tokenizer : m->expert[0].model->tokenizer;
}

/* A plain model of trunks: each is an expert. */
static at_status split_trunks(at_ctx *c, at_lm *m) {
    at_model *x = m->expert[0].model;
    if (at_model_modules(x).n < 1) return AT_OK;
    m->expert[0].model = NULL;
    const at_status s = at_trunks_of(c, x, &m->trunks);
    return s == AT_OK ? name_trunks(c, m) : s;
}

static at_status load_plain(at_ctx *c, at_lm *m, const char *dir) {
    if (!(m->expert = at_calloc(c, 1, sizeof *m->expert))) return AT_OOM;
    m->n_experts = 1;
    at_status s = at_model_load(c, dir, false, &m->expert[0].model);
    if (s == AT_OK) s = split_trunks(c, m);
    if (s != AT_OK) return s;
    take_dims(m);
    if (tokenizer_of(m) && !(m->hash = at_strdup(c, tokenizer_of(m)))) return AT_OOM;
    char *recorded = m->hash;
    m->hash = NULL;
    at_status t = load_tokenizer(c, m, dir);
    if (t == AT_OK && !m->hash) {
        m->hash = recorded;
        recorded = NULL;
    }
    if (t == AT_OK && recorded && m->hash && strcmp(recorded, m->hash) != 0)
        t = at_error(c, AT_MISMATCH,
                     "%s: the weights were trained with tokenizer %.12s, "
                     "tokenizer.json is %.12s",
                     dir, recorded, m->hash);
    at_free(recorded);
    return t;
}

static at_status load_expert(at_ctx *c, at_lm *m, const char *dir, const char *config_path,
                             const cJSON *e, int i) {
    const char *name = NULL, *file = NULL;
    const cJSON *config = NULL;
    at_status s = at_json_string(c, config_path, e, "name", &name);
    if (s == AT_OK) s = at_json_string(c, config_path, e, "file", &file);
    if (s == AT_OK) s = at_json_object(c, config_path, e, "config", &config);
    if (s != AT_OK) return s;
    if (strstr(file, "..") || file[0] == '/')
        return at_error(c, AT_FORMAT,
                        "%s: file of expert `%s`: expected a path in this folder, "
                        "found `%s`",
                        config_path, name, file);
    char *path = at_join(c, dir, file);
    if (!path || !(m->expert[i].name = at_strdup(c, name)))
        s = AT_OOM;
    else
        s = at_model_load_parts(c, config_path, config, &(const char *){path}, 1,
                                &m->expert[i].model);
    at_free(path);
    return s;
}

/* Finds the router's class of each expert, by name. */
static at_status match_router(at_ctx *c, at_lm *m, const char *dir) {
    at_status s = at_router_load(c, dir, &m->router);
    if (s != AT_OK) return s;
    if (m->hash && (s = at_router_check(c, m->router, dir, m->hash)) != AT_OK) return s;
    if (!(m->class_of = at_calloc(c, (size_t)m->n_experts, sizeof *m->class_of))) return AT_OOM;
    for (int i = 0; i < m->n_experts; i++) {
        m->class_of[i] = at_router_class(m->router, m->expert[i].name);
        if (m->class_of[i] < 0)
            return at_error(c, AT_MISMATCH, "%s: the router knows no class `%s`", dir,
                            m->expert[i].name);
        for (int j = 0; j < i; j++)
            if (m->class_of[j] == m->class_of[i])
                return at_error(c, AT_MISMATCH,
                                "%s: experts %d and %d are both called `%s`: the second could "
                                "never answer",
                                dir, j, i, m->expert[i].name);
    }
    return AT_OK;
}

/* Trunks over a base. */
static at_status load_trunks(at_ctx *c, at_lm *m, const char *dir, const char *config_path,
                             const cJSON *o) {
    at_status s = at_trunks_open(c, dir, config_path, o, &m->trunks);
    if (s == AT_OK) s = name_trunks(c, m);
    if (s != AT_OK) return s;
    take_dims(m);
    s = load_tokenizer(c, m, dir);
    return s == AT_OK ? match_router(c, m, dir) : s;
}

/* An ensemble says how many of its experts answer; it may have no router. */
static at_status load_ensemble(at_ctx *c, at_lm *m, const char *dir, const char *config_path,
                               const cJSON *o) {
    const cJSON *mode = cJSON_GetObjectItemCaseSensitive(o, "mode");
    if (!cJSON_IsString(mode) || strcmp(mode->valuestring, "ensemble") != 0)
        return match_router(c, m, dir);
    const at_status s = at_json_int(c, config_path, o, "k", 1, m->n_experts, &m->ensemble);
    char *router = s == AT_OK ? at_join(c, dir, AT_ROUTER_FILE) : NULL;
    if (s == AT_OK && !router) return AT_OOM;
    const bool routed = router && at_exists(router);
    at_free(router);
    return routed ? match_router(c, m, dir) : s;
}

static at_status load_modular(at_ctx *c, at_lm *m, const char *dir, const char *config_path,
                              const cJSON *o) {
    const cJSON *experts = NULL;
    if (cJSON_HasObjectItem(o, "base")) return load_trunks(c, m, dir, config_path, o);
    at_status s = at_json_array(c, config_path, o, "experts", &experts);
    if (s != AT_OK) return s;
    const int n = cJSON_GetArraySize(experts);
    if (n < 1) return at_error(c, AT_FORMAT, "%s: `experts` is empty", config_path);
    if (!(m->expert = at_calloc(c, (size_t)n, sizeof *m->expert))) return AT_OOM;
    m->n_experts = n;
    int i = 0;
    for (const cJSON *e = experts->child; e && s == AT_OK; e = e->next)
        s = load_expert(c, m, dir, config_path, e, i++);
    if (s != AT_OK) return s;
    take_dims(m);
    s = load_tokenizer(c, m, dir);
    for (i = 0; i < n && s == AT_OK; i++) {
        const char *h = m->expert[i].model->tokenizer;
        if (h && m->hash && strcmp(h, m->hash) != 0)
            s = at_error(c, AT_MISMATCH,
                         "%s: expert `%s` was trained with tokenizer %.12s, "
                         "tokenizer.json is %.12s",
                         dir, m->expert[i].name, h, m->hash);
    }
    return s == AT_OK ? load_ensemble(c, m, dir, config_path, o) : s;
}

at_status at_lm_load(at_ctx *c, const char *dir, at_lm **out) {
    *out = NULL;
    if (!at_is_dir(dir))
        return at_error(c, AT_IO, "%s: expected a model folder, found %s", dir,
                        at_exists(dir) ? "a file" : "nothing");
    at_lm *m = at_calloc(c, 1, sizeof *m);
    char *config_path = NULL;
    cJSON *o = m ? read_config(c, dir, &config_path) : NULL;
    at_status s = o ? AT_OK : c->status;
    if (s == AT_OK) {
        s = (m->path = at_strdup(c, dir)) ? AT_OK : AT_OOM;
    }
    if (s == AT_OK) {
        const cJSON *type = cJSON_GetObjectItemCaseSensitive(o, "model_type");
        const bool modular = cJSON_IsString(type) && !strcmp(type->valuestring, AT_MODULAR_TYPE);
        s = modular ? load_modular(c, m, dir, config_path, o) : load_plain(c, m, dir);
    }
    if (s == AT_OK)
        *out = m;
    else
        at_lm_close(m);
    cJSON_Delete(o);
    at_free(config_path);
    return s;
}

const at_model *at_lm_shape(const at_lm *m) {
    return m->trunks ? at_trunks_shape(m->trunks) : m->expert[0].model;
}

at_status at_lm_finite(at_ctx *c, at_lm *m) {
    at_status s = AT_OK;
    at_voice v = {0};
    if (m->trunks && (s = at_trunks_voice(c, m->trunks, 0, &v)) == AT_OK)
        s = at_model_finite(c, v.model);
    for (int i = 0; i < m->n_experts && !m->trunks && s == AT_OK; i++)
        s = at_model_finite(c, m->expert[i].model);
    return s;
}

int64_t at_lm_numel(const at_lm *m) {
    int64_t n = m->trunks ? at_model_numel(at_trunks_shape(m->trunks)) : 0;
    for (int i = 0; i < m->n_experts && !m->trunks; i++) n += at_model_numel(m->expert[i].model);
    return n;
}

int32_t at_lm_end(const at_lm *m, const at_model *x) {
    return m->tokenizer ? at_tokenizer_eot(m->tokenizer)
                        : (int32_t)at_model_number(x, "eos_token_id", -1);
}

at_status at_lm_check_ids(at_ctx *c, const at_lm *m, const int32_t *ids, int64_t n) {
    for (int64_t i = 0; i < n; i++)
        if (ids[i] < 0 || ids[i] >= m->vocab)
            return at_error(c, AT_ARG,
                            "id %d at position %lld is outside [0,%lld), the vocabulary of %s",
                            (int)ids[i], (long long)i, (long long)m->vocab, m->path);
    return AT_OK;
}

int at_lm_expert(const at_lm *m, const char *name) {
    for (int i = 0; i < m->n_experts; i++)
        if (m->expert[i].name && !strcmp(m->expert[i].name, name)) return i;
    return -1;
}

at_status at_lm_check_data(at_ctx *c, const char *model, const char *hash, int64_t vocab,
                           const char *data, const char *data_hash, int64_t data_vocab) {
    if (hash && data_hash && *data_hash && strcmp(hash, data_hash) != 0)
        return at_error(c, AT_MISMATCH,
                        "%s was made with tokenizer %.12s, %s with %.12s: the same "
                        "ids mean other text",
                        model, hash, data, data_hash);
    if (data_vocab > vocab)
        return at_error(c, AT_MISMATCH, "%s has ids up to %lld, the vocabulary of %s only %lld",
                        data, (long long)data_vocab - 1, model, (long long)vocab);
    return AT_OK;
}
