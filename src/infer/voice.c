/* voice.c - see voice.h. */
#include "infer/voice.h"
#include "base/file.h"
#include <pthread.h>
#include <string.h>

typedef struct view {
    uint64_t mask;
    at_model *model;
} view;

struct at_trunks {
    at_model *shape; /* of a plain model: all of it              */
    bool whole;      /* it has values                            */
    cJSON *config;   /* of all trunks                            */
    char *name;      /* of config.json, for messages             */
    char **file;     /* [modules + common + 1], the base's first */
    int n_files;
    pthread_mutex_t mutex; /* of views */
    view *view;
    int64_t n_views, cap_views;
};

void at_trunks_close(at_trunks *t) {
    if (!t) return;
    for (int64_t i = 0; i < t->n_views; i++) at_model_close(t->view[i].model);
    for (int i = 0; t->file && i < t->n_files; i++) at_free(t->file[i]);
    at_model_close(t->shape);
    cJSON_Delete(t->config);
    (void)pthread_mutex_destroy(&t->mutex);
    at_free(t->view);
    at_free(t->file);
    at_free(t->name);
    at_free(t);
}

static at_trunks *make(at_ctx *c) {
    at_trunks *t = at_calloc(c, 1, sizeof *t);
    if (t && pthread_mutex_init(&t->mutex, NULL) != 0) {
        (void)at_error(c, AT_OOM, "cannot make a lock");
        at_free(t);
        t = NULL;
    }
    return t;
}

at_status at_trunks_of(at_ctx *c, at_model *whole, at_trunks **out) {
    at_trunks *t = *out = make(c);
    if (!t) {
        at_model_close(whole);
        return AT_OOM;
    }
    t->shape = whole;
    t->whole = true;
    return AT_OK;
}

at_modules at_trunks_modules(const at_trunks *t) { return at_model_modules(t->shape); }
const at_model *at_trunks_shape(const at_trunks *t) { return t->shape; }

/* ---- composed folders -------------------------------------------------------------------------- */

static at_status add_file(at_ctx *c, at_trunks *t, const char *dir, const char *file) {
    if (strstr(file, "..") || file[0] == '/')
        return at_error(c, AT_FORMAT, "%s: expected a path in this folder, found `%s`", t->name,
                        file);
    char *path = at_join(c, dir, file);
    if (!path) return AT_OOM;
    t->file[t->n_files++] = path;
    return AT_OK;
}

/* The files in the order of the modules. */
static at_status read_files(at_ctx *c, at_trunks *t, const char *dir, const cJSON *o,
                            const cJSON *base) {
    const cJSON *experts = NULL;
    const char *file = NULL, *name = NULL;
    const at_modules l = at_trunks_modules(t);
    int i = 0;
    at_status s = at_json_array(c, t->name, o, "experts", &experts);
    if (s == AT_OK && cJSON_GetArraySize(experts) != l.n)
        s = at_error(c, AT_FORMAT, "%s: `experts` lists %d, but the base has %d modules", t->name,
                     cJSON_GetArraySize(experts), l.n);
    if (s == AT_OK && !(t->file = at_calloc(c, (size_t)l.n + 2, sizeof *t->file))) s = AT_OOM;
    if (s == AT_OK) s = at_json_string(c, t->name, base, "file", &file);
    if (s == AT_OK) s = add_file(c, t, dir, file);
    for (const cJSON *e = s == AT_OK ? experts->child : NULL; e && s == AT_OK; e = e->next, i++) {
        s = at_json_string(c, t->name, e, "name", &name);
        if (s == AT_OK && strcmp(name, l.name[i]) != 0)
            s = at_error(c, AT_FORMAT, "%s: expert %d is `%s`, module %d of the base `%s`", t->name,
                         i, name, i, l.name[i]);
        if (s == AT_OK) s = at_json_string(c, t->name, e, "file", &file);
        if (s == AT_OK) s = add_file(c, t, dir, file);
    }
    if (s == AT_OK && l.common) s = at_json_string(c, t->name, base, "common", &file);
    return s == AT_OK && l.common ? add_file(c, t, dir, file) : s;
}

at_status at_trunks_open(at_ctx *c, const char *dir, const char *config_path, const cJSON *o,
                         at_trunks **out) {
    at_trunks *t = *out = make(c);
    const cJSON *base = NULL, *config = NULL;
    if (!t) return AT_OOM;
    at_status s = (t->name = at_strdup(c, config_path)) ? AT_OK : AT_OOM;
    if (s == AT_OK) s = at_json_object(c, config_path, o, "base", &base);
    if (s == AT_OK) s = at_json_object(c, config_path, base, "config", &config);
    if (s == AT_OK) s = at_model_load_parts(c, config_path, config, NULL, 0, &t->shape);
    if (s == AT_OK && !t->shape->arch->modules)
        s = at_error(c, AT_FORMAT, "%s: the base is of architecture %s, which has no modules",
                     config_path, t->shape->arch->name);
    if (s == AT_OK) s = read_files(c, t, dir, o, base);
    if (s == AT_OK) {
        at_json j;
        at_json_open_value(&j, c);
        at_json_put_value(&j, NULL, config);
        if (!(t->config = at_json_value(&j, config_path))) s = AT_OOM;
    }
    if (s == AT_OK) return AT_OK;
    at_trunks_close(t);
    *out = NULL;
    return s;
}

/* The configuration with some of the trunks. */
static cJSON *config_of(at_ctx *c, const at_trunks *t, uint64_t mask) {
    const at_modules l = at_trunks_modules(t);
    at_json j;
    at_json_open(&j, c);
    const cJSON *e = NULL;
    cJSON_ArrayForEach(e, t->config) {
        if (!strcmp(e->string, "modules")) {
            at_json_begin_list(&j, "modules");
            for (int i = 0; i < l.n; i++)
                if (mask >> i & 1) at_json_put_string(&j, NULL, l.name[i]);
            at_json_end(&j);
        } else if (!strcmp(e->string, "common")) {
            at_json_put_bool(&j, "common", l.common && mask >> l.n & 1);
        } else {
            at_json_put_value(&j, e->string, e);
        }
    }
    return at_json_value(&j, t->name);
}

static at_status open_view(at_ctx *c, at_trunks *t, uint64_t mask, at_model **out) {
    const char *file[AT_MODULES_MAX + 2] = {t->file[0]};
    int64_t n = 1;
    for (int i = 1; i < t->n_files; i++)
        if (mask >> (i - 1) & 1) file[n++] = t->file[i];
    if (!at_reserve(c, &t->view, &t->cap_views, t->n_views + 1, sizeof *t->view)) return AT_OOM;
    cJSON *config = config_of(c, t, mask);
    const at_status s = config ? at_model_load_parts(c, t->name, config, file, n, out) : AT_OOM;
    cJSON_Delete(config);
    if (s == AT_OK) t->view[t->n_views++] = (view){mask, *out};
    return s;
}

at_status at_trunks_voice(at_ctx *c, at_trunks *t, uint64_t mask, at_voice *out) {
    const at_modules l = at_trunks_modules(t);
    const int n = l.n + l.common;
    const uint64_t all = n < 64 ? (UINT64_C(1) << n) - 1 : UINT64_MAX;
    if (!mask) mask = all;
    *out = (at_voice){t->shape, mask};
    if (t->whole) return AT_OK;
    *out = (at_voice){0};
    at_status s = AT_OK;
    (void)pthread_mutex_lock(&t->mutex);
    for (int64_t i = 0; i < t->n_views && !out->model; i++)
        if (t->view[i].mask == mask) out->model = t->view[i].model;
    if (!out->model) s = open_view(c, t, mask, &out->model);
    (void)pthread_mutex_unlock(&t->mutex);
    return s;
}
