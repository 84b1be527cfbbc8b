/* api_inspect.c - reports what a path holds, recognised by its content, not by its name. */
#include "api/api.h"
#include "base/file.h"
#include "data/captured_set.h"
#include "data/dataset.h"
#include "infer/digest.h"
#include "infer/lm.h"
#include "io/safetensors.h"
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct report {
    artel *a;
    artel_emit emit;
    void *user;
    const char *path;
} report;

/* {"kind":..,"path":..}. */
static void head(const report *r, const char *kind, at_json *j) {
    at_json_open(j, &r->a->ctx);
    at_json_put_string(j, "kind", kind);
    at_json_put_string(j, "path", r->path);
}

/* ---- tensor files ------------------------------------------------------------------------- */

static artel_status emit_tensor(const report *r, const at_st_tensor *t) {
    at_json j;
    at_json_open(&j, &r->a->ctx);
    at_json_put_string(&j, "tensor", t->name);
    at_json_put_string(&j, "dtype", at_dtype_name(t->dtype));
    at_json_begin_list(&j, "shape");
    for (int i = 0; i < t->rank; i++) at_json_put_number(&j, NULL, (double)t->dim[i]);
    at_json_end(&j);
    at_json_put_number(&j, "bytes", (double)t->bytes);
    return at_emit(r->a, r->emit, r->user, &j);
}

/* Numbers of a whole tensor file; the number of its values. */
static double add_summary(at_json *j, const at_st *st) {
    double bytes = 0, values = 0;
    for (int64_t i = 0; i < at_st_count(st); i++) {
        const at_st_tensor *t = at_st_at(st, i);
        bytes += (double)t->bytes;
        values += (double)(t->bytes / at_dtype_size(t->dtype));
    }
    at_json_put_number(j, "tensors", (double)at_st_count(st));
    at_json_put_number(j, "values", values);
    at_json_put_number(j, "bytes", bytes);
    at_json_put_string(j, "hashes", at_st_meta(st, AT_ST_HASH_KEY) ? "hold" : "none");
    return values;
}

static void add_metadata(at_json *j, const at_st *st) {
    at_json_begin_object(j, "metadata");
    for (int64_t i = 0; i < at_st_meta_count(st); i++) {
        const char *key, *value;
        at_st_meta_at(st, i, &key, &value);
        if (strcmp(key, AT_ST_HASH_KEY) != 0) at_json_put_string(j, key, value);
    }
    at_json_end(j);
}

/* Opens a tensor file and compares all hashes. */
static at_status open_whole(const report *r, const char *path, at_st **st) {
    at_status s = at_st_open(&r->a->ctx, path, st);
    if (!s) s = at_st_verify(&r->a->ctx, *st);
    if (s) {
        at_st_close(*st);
        *st = NULL;
    }
    return s;
}

static artel_status inspect_tensors(const report *r) {
    at_st *st = NULL;
    artel_status s = (artel_status)open_whole(r, r->path, &st);
    if (s) return s;
    at_json j;
    head(r, "tensors", &j);
    (void)add_summary(&j, st);
    add_metadata(&j, st);
    s = at_emit(r->a, r->emit, r->user, &j);
    for (int64_t i = 0; !s && i < at_st_count(st); i++) s = emit_tensor(r, at_st_at(st, i));
    at_st_close(st);
    return s;
}

/* ---- folders ------------------------------------------------------------------------------ */

static bool has(const report *r, const char *file) {
    char path[PATH_MAX]; /* longer ones name nothing */
    const int n = snprintf(path, sizeof path, "%s/%s", r->path, file);
    return n >= 0 && n < (int)sizeof path && at_exists(path);
}

/* A JSON file of the folder as a field. */
static at_status add_json(const report *r, at_json *j, const char *file, const char *field) {
    char *path = at_join(&r->a->ctx, r->path, file);
    cJSON *v = path ? at_json_read(&r->a->ctx, path) : NULL;
    at_free(path);
    if (!v) return r->a->ctx.status;
    at_json_put_value(j, field, v);
    cJSON_Delete(v);
    return AT_OK;
}

static artel_status finish(const report *r, at_json *j, at_status s) {
    if (!s) return at_emit(r->a, r->emit, r->user, j);
    at_json_close(j);
    return (artel_status)s;
}

static artel_status inspect_dataset(const report *r) {
    at_dataset *d = NULL;
    at_status s = at_dataset_open(&r->a->ctx, r->path, &d); /* sizes of all shards fit */
    if (!s) s = at_dataset_check(&r->a->ctx, d); /* and all tokens are of the vocabulary */
    at_dataset_close(d);
    if (s) return (artel_status)s;
    at_json j;
    head(r, "dataset", &j);
    return finish(r, &j, add_json(r, &j, "manifest.json", "manifest"));
}

static artel_status inspect_logits(const report *r) {
    const at_status s = at_captured_set_check(&r->a->ctx, r->path);
    if (s) return (artel_status)s;
    at_json j;
    head(r, "logits", &j);
    return finish(r, &j, add_json(r, &j, "manifest.json", "manifest"));
}

static at_status add_file(const report *r, at_json *j, const char *name, double *values) {
    char *path = at_join(&r->a->ctx, r->path, name);
    at_st *st = NULL;
    const at_status s = path ? open_whole(r, path, &st) : AT_OOM;
    if (!s) {
        at_json_begin_object(j, NULL);
        at_json_put_string(j, "file", name);
        *values += add_summary(j, st);
        at_json_end(j);
    }
    at_st_close(st);
    at_free(path);
    return s;
}

/* Whether a file of the folder holds parameters of the model: the one file, those of an index,
   those of experts. */
static bool of_model(const cJSON *shards, const char *name) {
    if (!shards && !strcmp(name, "model.safetensors")) return true;
    if (!strncmp(name, "experts/", 8)) return true;
    for (const cJSON *e = shards ? shards->child : NULL; e; e = e->next)
        if (cJSON_IsString(e) && !strcmp(e->valuestring, name)) return true;
    return false;
}

/* Number of parameters of the model, or of the values of all tensors if it cannot be loaded.  NaN
   in a parameter is an error, like a wrong hash. */
static at_status parameters_of(const report *r, double values, double *n) {
    at_ctx *c = &r->a->ctx;
    at_lm *m = NULL;
    at_status s = at_lm_load(c, r->path, &m);
    *n = s == AT_OK ? (double)at_lm_numel(m) : values;
    if (s == AT_OK) s = at_lm_finite(c, m);
    at_lm_close(m);
    if (s == AT_OK || s == AT_NUMERIC || s == AT_OOM) return s;
    at_error_clear(c);
    return AT_OK;
}

static at_status add_files(const report *r, at_json *j) {
    at_ctx *c = &r->a->ctx;
    at_list l;
    double values = 0, others = 0;
    at_status s = at_list_tree(c, r->path, &l);
    if (s) return s;
    cJSON *index = NULL;
    if (!has(r, "model.safetensors") && has(r, "model.safetensors.index.json")) {
        char *path = at_join(c, r->path, "model.safetensors.index.json");
        index = path ? at_json_read(c, path) : NULL;
        at_free(path);
        if (!index) s = c->status;
    }
    const cJSON *shards = cJSON_GetObjectItemCaseSensitive(index, "weight_map");
    static const char end[] = ".safetensors";
    at_json_begin_list(j, "files");
    for (int64_t i = 0; i < l.n && !s; i++) {
        const size_t n = strlen(l.item[i]);
        if (n >= sizeof end && !strcmp(l.item[i] + n - (sizeof end - 1), end))
            s = add_file(r, j, l.item[i], of_model(shards, l.item[i]) ? &values : &others);
    }
    at_json_end(j);
    at_list_free(&l);
    cJSON_Delete(index);
    double n = 0;
    if (!s) s = parameters_of(r, values, &n);
    if (!s) at_json_put_number(j, "parameters", n);
    return s;
}

static artel_status inspect_model(const report *r) {
    at_json j;
    head(r, "model", &j);
    at_status s = add_json(r, &j, "config.json", "config");
    if (!s && has(r, "artel.json")) s = add_json(r, &j, "artel.json", "artel");
    if (!s) s = add_files(r, &j);
    if (!s) at_json_put_bool(&j, "tokenizer", has(r, "tokenizer.json"));
    return finish(r, &j, s);
}

/* The last whole line of metrics.jsonl, NULL without one; a run killed while writing leaves half a
   line behind. */
static at_status last_metrics(at_ctx *c, const char *path, int64_t *lines, cJSON **v) {
    size_t bytes;
    char *text = at_read_file(c, path, (size_t)1 << 30, &bytes);
    if (!text) return c->status;
    char *last = NULL, *line = text;
    for (char *nl; (nl = strchr(line, '\n')); line = nl + 1) {
        *nl = 0;
        if (nl > line) {
            last = line;
            ++*lines;
        }
    }
    *v = last ? at_json_parse(c, path, last, strlen(last)) : NULL;
    at_free(text);
    return last && !*v ? c->status : AT_OK;
}

static artel_status inspect_run(const report *r, const char *metrics) {
    int64_t lines = 0;
    cJSON *last = NULL;
    const at_status s = last_metrics(&r->a->ctx, metrics, &lines, &last);
    at_json j;
    head(r, "run", &j);
    at_json_put_number(&j, "lines", (double)lines);
    at_json_put_value(&j, "last", last);
    cJSON_Delete(last);
    return finish(r, &j, s);
}

static artel_status inspect_folder(const report *r) {
    if (at_captured_is(&r->a->ctx, r->path)) return inspect_logits(r);
    if (has(r, "manifest.json")) return inspect_dataset(r);
    if (has(r, "config.json")) return inspect_model(r);
    if (has(r, "metrics.jsonl")) {
        char *metrics = at_join(&r->a->ctx, r->path, "metrics.jsonl");
        const artel_status s = metrics ? inspect_run(r, metrics) : ARTEL_OOM;
        at_free(metrics);
        return s;
    }
    return (artel_status)at_error(&r->a->ctx, AT_FORMAT,
                                  "%s: expected a model (config.json), a data set (manifest.json) "
                                  "or a run (metrics.jsonl), found none of these files",
                                  r->path);
}

artel_status artel_inspect(artel *a, const char *path, artel_emit emit, void *user) {
    const report r = {a, emit, user, path};
    return at_is_dir(path) ? inspect_folder(&r) : inspect_tensors(&r);
}

artel_status artel_digest(artel *a, const char *path, artel_emit emit, void *user) {
    const report r = {a, emit, user, path};
    at_digest d;
    const at_status s = at_digest_of(&a->ctx, path, &d);
    if (s) return at_answer(a, s);
    at_json j;
    head(&r, "digest", &j);
    at_json_put_string(&j, "digest", d.hex);
    at_json_put_number(&j, "tensors", (double)d.tensors);
    at_json_put_number(&j, "values", (double)d.values);
    return at_emit(a, emit, user, &j);
}
