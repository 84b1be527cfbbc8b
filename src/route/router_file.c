/* router_file.c - a router as one safetensors file: weights as tensors, the rest as metadata. */
#include "base/file.h"
#include "base/json.h"
#include "io/safetensors.h"
#include "route/router.h"
#include <math.h>
#include <string.h>

#define AT_ROUTER_FORMAT "artel-router-1"

/* ---- writing ---- */

static char *describe_options(at_ctx *c, const at_router *r) {
    const at_router_options *o = &r->trained;
    at_json j;
    at_json_open(&j, c);
    at_json_begin_list(&j, "lengths");
    for (int i = 0; i < o->n_lengths; i++) at_json_put_number(&j, NULL, (double)o->length[i]);
    at_json_end(&j);
    at_json_put_number(&j, "C", o->c);
    at_json_put_number(&j, "eps", o->eps);
    at_json_put_number(&j, "windows", (double)o->windows);
    at_json_put_number(&j, "seed", (double)o->seed);
    at_json_put_number(&j, "sequences", (double)r->sequences);
    return at_json_take(&j);
}

static char *describe_classes(at_ctx *c, const at_router *r) {
    at_json j;
    at_json_open_value(&j, c);
    at_json_begin_list(&j, NULL);
    for (int i = 0; i < r->n_classes; i++) at_json_put_string(&j, NULL, r->name[i]);
    return at_json_take(&j);
}

static char *describe_temperature(at_ctx *c, const at_router *r) {
    at_json j;
    at_json_open_value(&j, c);
    at_json_put_number(&j, NULL, r->temperature);
    return at_json_take(&j);
}

at_status at_router_save(at_ctx *c, const at_router *r, const char *path) {
    char *options = describe_options(c, r), *classes = describe_classes(c, r);
    char *temperature = describe_temperature(c, r);
    at_st_writer *w = NULL;
    const int64_t shape[2] = {r->n_classes, r->vocab}, drops = r->n_drop;
    at_status s = options && classes && temperature ? at_st_writer_open(c, path, &w) : AT_OOM;
    if (!s) s = at_st_writer_meta(c, w, "format", AT_ROUTER_FORMAT);
    if (!s) s = at_st_writer_meta(c, w, "classes", classes);
    if (!s) s = at_st_writer_meta(c, w, "tokenizer", r->tokenizer_hash);
    if (!s) s = at_st_writer_meta(c, w, "options", options);
    if (!s) s = at_st_writer_meta(c, w, "temperature", temperature);
    if (!s) s = at_st_writer_add(c, w, "idf", AT_DT_F32, 1, shape + 1, r->idf);
    if (!s) s = at_st_writer_add(c, w, "weight", AT_DT_F32, 2, shape, r->weight);
    if (!s) s = at_st_writer_add(c, w, "bias", AT_DT_F32, 1, shape, r->bias);
    if (!s) s = at_st_writer_add(c, w, "drop", AT_DT_I32, 1, &drops, r->drop);
    if (!s) s = at_st_writer_commit(c, w);
    at_st_writer_close(w);
    at_free(options);
    at_free(classes);
    at_free(temperature);
    return s;
}

/* ---- reading ---- */

static at_status missing(at_ctx *c, const at_st *st, const char *what, const char *why) {
    (void)at_error(c, AT_FORMAT, "%s: not a router: %s %s", at_st_path(st), what, why);
    return AT_FORMAT;
}

static at_status floats(at_ctx *c, const at_st *st, const char *name, int rank, const int64_t *dim,
                        float *out) {
    const at_st_tensor *t = at_st_find(st, name);
    if (!t) return missing(c, st, name, "is missing");
    bool same = t->rank == rank && t->dtype == AT_DT_F32;
    int64_t n = 1;
    for (int i = 0; same && i < rank; i++) {
        same = t->dim[i] == dim[i];
        n *= dim[i];
    }
    if (!same) return missing(c, st, name, "is not F32 of the shape the classes ask for");
    const at_status s = at_st_to_f32(c, t, out);
    if (s) return s;
    for (int64_t i = 0; i < n; i++)
        if (!isfinite(out[i])) return missing(c, st, name, "holds a number that is not finite");
    return AT_OK;
}

/* The options are for information only; a field that is missing or invalid stays 0. */
static at_status read_options(at_ctx *c, const at_st *st, at_router *r) {
    const char *text = at_st_meta(st, "options");
    if (!text) return AT_OK;
    cJSON *v = at_json_parse(c, at_st_path(st), text, strlen(text));
    if (!v && c->status == AT_OOM) return AT_OOM;
    if (!v) {
        at_error_clear(c);
        return AT_OK;
    }
    at_router_options *o = &r->trained;
    const double n = cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(v, "sequences"));
    const double windows = cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(v, "windows"));
    const double seed = cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(v, "seed"));
    o->c = cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(v, "C"));
    o->eps = cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(v, "eps"));
    if (n >= 0 && n < 0x1p53) r->sequences = (int64_t)n;
    if (windows >= 0 && windows < 0x1p53) o->windows = (int64_t)windows;
    if (seed >= 0 && seed < 0x1p63) o->seed = (uint64_t)seed;
    const cJSON *l;
    cJSON_ArrayForEach(l, cJSON_GetObjectItemCaseSensitive(v, "lengths")) {
        const double x = cJSON_GetNumberValue(l);
        if (o->n_lengths < AT_ROUTER_LENGTHS_MAX && x >= 1 && x < 0x1p31)
            o->length[o->n_lengths++] = (int64_t)x;
    }
    cJSON_Delete(v);
    return AT_OK;
}

/* Routers of before have none: 1. */
static at_status read_temperature(at_ctx *c, const at_st *st, at_router *r) {
    const char *text = at_st_meta(st, "temperature");
    if (!text) return AT_OK;
    cJSON *v = at_json_parse(c, at_st_path(st), text, strlen(text));
    if (!v) return c->status;
    const double t = cJSON_GetNumberValue(v);
    cJSON_Delete(v);
    if (!(t >= 1 / AT_ROUTER_HOTTEST && t <= AT_ROUTER_HOTTEST))
        return missing(c, st, "temperature", "is not a number from 0.1 to 10");
    r->temperature = t;
    return AT_OK;
}

static at_status read_drop(at_ctx *c, const at_st *st, at_router *r) {
    const at_st_tensor *t = at_st_find(st, "drop");
    if (!t) return missing(c, st, "drop", "is missing");
    if (t->rank != 1 || t->dtype != AT_DT_I32 || t->dim[0] > AT_ROUTER_DROP_MAX)
        return missing(c, st, "drop", "is not a short list of I32");
    memcpy(r->drop, t->data, t->bytes);
    r->n_drop = (int)t->dim[0];
    return AT_OK;
}

/* Class names -> an empty router of the right shape. */
static at_status read_shape(at_ctx *c, const at_st *st, at_router **out) {
    const char *format = at_st_meta(st, "format"), *classes = at_st_meta(st, "classes");
    const char *hash = at_st_meta(st, "tokenizer");
    const at_st_tensor *idf = at_st_find(st, "idf");
    if (!format || strcmp(format, AT_ROUTER_FORMAT) != 0)
        return missing(c, st, "the metadata", "do not say format \"" AT_ROUTER_FORMAT "\"");
    if (!classes) return missing(c, st, "classes", "are missing in the metadata");
    if (!hash || strlen(hash) > 64) return missing(c, st, "the tokenizer hash", "is missing");
    if (!idf || idf->rank != 1) return missing(c, st, "idf", "is missing or not a vector");
    cJSON *v = at_json_parse(c, at_st_path(st), classes, strlen(classes));
    if (!v) return c->status;
    const char *name[AT_ROUTER_CLASSES_MAX];
    int n = 0;
    const cJSON *item;
    bool ok = cJSON_IsArray(v);
    cJSON_ArrayForEach(item, v) {
        ok = ok && cJSON_IsString(item) && n < AT_ROUTER_CLASSES_MAX;
        if (ok) name[n++] = item->valuestring;
    }
    at_status s = ok ? at_router_new(c, n, name, idf->dim[0], out)
                     : missing(c, st, "classes", "are not a list of names");
    if (ok && s == AT_ARG) { /* here the file is at fault */
        (void)at_error_in(c, at_st_path(st));
        s = c->status = AT_FORMAT;
    }
    if (!s && *out) memcpy((*out)->tokenizer_hash, hash, strlen(hash) + 1);
    cJSON_Delete(v);
    return s;
}

at_status at_router_load(at_ctx *c, const char *path, at_router **out) {
    *out = NULL;
    char *inside = at_is_dir(path) ? at_join(c, path, AT_ROUTER_FILE) : at_strdup(c, path);
    if (!inside) return AT_OOM;
    at_st *st = NULL;
    at_router *r = NULL;
    at_status s = at_st_open(c, inside, &st);
    if (!s) s = at_st_verify(c, st);
    if (!s) s = read_shape(c, st, &r);
    if (!s && r) {
        const int64_t shape[2] = {r->n_classes, r->vocab};
        s = floats(c, st, "idf", 1, shape + 1, r->idf);
        if (!s) s = floats(c, st, "weight", 2, shape, r->weight);
        if (!s) s = floats(c, st, "bias", 1, shape, r->bias);
        if (!s) s = read_drop(c, st, r);
        if (!s) s = read_temperature(c, st, r);
        if (!s) s = read_options(c, st, r);
    }
    at_st_close(st);
    at_free(inside);
    if (s)
        at_router_close(r);
    else
        *out = r;
    return s;
}
