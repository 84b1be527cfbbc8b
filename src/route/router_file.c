/* router_file.c - a router as one safetensors file: weights as tensors, the rest as metadata.
   A file of the first format is of tokens alone, plain counts and one logistic regression a class; it
   is still what such a router is written as.  The second says in `features` and `classifier` what else
   it is. */
#include "base/file.h"
#include "base/json.h"
#include "io/safetensors.h"
#include "route/router.h"
#include <math.h>
#include <string.h>

#define AT_ROUTER_FORMAT   "artel-router-1"
#define AT_ROUTER_FORMAT_2 "artel-router-2"

static const char *const link_name[] = {"sigmoid", "softmax"}; /* by at_link */

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

static char *describe_features(at_ctx *c, const at_router *r) {
    at_json j;
    at_json_open(&j, c);
    at_json_put_number(&j, "vocab", (double)r->vocab);
    at_json_put_number(&j, "ngrams", r->ngrams);
    at_json_put_number(&j, "hash_bits", r->hash_bits);
    at_json_put_bool(&j, "sublinear", r->sublinear);
    return at_json_take(&j);
}

static char *describe_classifier(at_ctx *c, const at_router *r) {
    at_json j;
    at_json_open(&j, c);
    at_json_put_string(&j, "name", r->classifier);
    at_json_put_string(&j, "link", link_name[r->link]);
    return at_json_take(&j);
}

/* Whether the first format has all of it. */
static bool plain(const at_router *r) {
    return r->ngrams == 1 && !r->sublinear && r->link == AT_LINK_SIGMOID &&
           !strcmp(r->classifier, at_classifier_logistic.name);
}

static at_status write_kind(at_ctx *c, at_st_writer *w, const at_router *r) {
    if (plain(r)) return at_st_writer_meta(c, w, "format", AT_ROUTER_FORMAT);
    char *features = describe_features(c, r), *classifier = describe_classifier(c, r);
    at_status s = features && classifier ? AT_OK : AT_OOM;
    if (!s) s = at_st_writer_meta(c, w, "format", AT_ROUTER_FORMAT_2);
    if (!s) s = at_st_writer_meta(c, w, "features", features);
    if (!s) s = at_st_writer_meta(c, w, "classifier", classifier);
    at_free(features);
    at_free(classifier);
    return s;
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
    const int64_t shape[2] = {r->n_classes, r->features}, drops = r->n_drop;
    at_status s = options && classes && temperature ? at_st_writer_open(c, path, &w) : AT_OOM;
    if (!s) s = write_kind(c, w, r);
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

/* An object of the metadata, or NULL after an error. */
static cJSON *described(at_ctx *c, const at_st *st, const char *key) {
    const char *text = at_st_meta(st, key);
    if (!text) {
        (void)missing(c, st, key, "is missing in the metadata");
        return NULL;
    }
    return at_json_parse(c, at_st_path(st), text, strlen(text));
}

/* What the second format says of the features; `cells` is how many there must be. */
static at_status read_features(at_ctx *c, const at_st *st, int64_t cells, at_bag_spec *spec) {
    cJSON *v = described(c, st, "features");
    if (!v) return c->status;
    int64_t ngrams = 0, bits = 0;
    const char *path = at_st_path(st);
    at_status s = at_json_int(c, path, v, "vocab", 1, INT32_MAX, &spec->vocab);
    if (!s) s = at_json_int(c, path, v, "ngrams", 1, AT_NGRAMS_MAX, &ngrams);
    if (!s) s = at_json_int(c, path, v, "hash_bits", 0, AT_HASH_BITS_MOST, &bits);
    const cJSON *sublinear = cJSON_GetObjectItemCaseSensitive(v, "sublinear");
    if (!s && !cJSON_IsBool(sublinear)) s = missing(c, st, "sublinear", "is not true or false");
    spec->ngrams = (int)ngrams;
    spec->hash_bits = (int)bits;
    spec->sublinear = cJSON_IsTrue(sublinear);
    cJSON_Delete(v);
    if (!s && at_bag_features(spec) != cells)
        return missing(c, st, "idf", "is not of as many features as the metadata say");
    return s;
}

static at_status read_classifier(at_ctx *c, const at_st *st, at_router *r) {
    cJSON *v = described(c, st, "classifier");
    if (!v) return c->status;
    const char *name = NULL, *link = NULL;
    at_status s = at_json_string(c, at_st_path(st), v, "name", &name);
    if (!s) s = at_json_string(c, at_st_path(st), v, "link", &link);
    if (!s && (!name[0] || strlen(name) >= sizeof r->classifier))
        s = missing(c, st, "the classifier's name", "is empty or longer than 31 characters");
    if (!s) {
        r->link = !strcmp(link, link_name[AT_LINK_SOFTMAX]) ? AT_LINK_SOFTMAX : AT_LINK_SIGMOID;
        if (strcmp(link, link_name[r->link]) != 0)
            s = missing(c, st, "the classifier's link", "is neither sigmoid nor softmax");
        memcpy(r->classifier, name, strlen(name) + 1);
    }
    cJSON_Delete(v);
    return s;
}

/* Class names -> an empty router of the right shape. */
static at_status read_shape(at_ctx *c, const at_st *st, at_router **out) {
    const char *format = at_st_meta(st, "format"), *classes = at_st_meta(st, "classes");
    const char *hash = at_st_meta(st, "tokenizer");
    const at_st_tensor *idf = at_st_find(st, "idf");
    const bool second = format && !strcmp(format, AT_ROUTER_FORMAT_2);
    if (!format || (!second && strcmp(format, AT_ROUTER_FORMAT) != 0))
        return missing(c, st, "the metadata",
                       "do not say format \"" AT_ROUTER_FORMAT "\" or \"" AT_ROUTER_FORMAT_2 "\"");
    if (!classes) return missing(c, st, "classes", "are missing in the metadata");
    if (!hash || strlen(hash) > 64) return missing(c, st, "the tokenizer hash", "is missing");
    if (!idf || idf->rank != 1) return missing(c, st, "idf", "is missing or not a vector");
    at_bag_spec spec = {.vocab = idf->dim[0], .ngrams = 1};
    if (second) {
        const at_status known = read_features(c, st, idf->dim[0], &spec);
        if (known) return known;
    }
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
    at_status s = ok ? at_router_new_of(c, n, name, &spec, out)
                     : missing(c, st, "classes", "are not a list of names");
    if (ok && s == AT_ARG) { /* here the file is at fault */
        (void)at_error_in(c, at_st_path(st));
        s = c->status = AT_FORMAT;
    }
    if (!s && *out) memcpy((*out)->tokenizer_hash, hash, strlen(hash) + 1);
    if (!s && second) s = read_classifier(c, st, *out);
    cJSON_Delete(v);
    return s;
}

/* All of a checked file. */
static at_status read_router(at_ctx *c, const at_st *st, at_router **out) {
    at_router *r = NULL;
    at_status s = at_st_verify(c, st);
    if (!s) s = read_shape(c, st, &r);
    if (!s && r) {
        const int64_t shape[2] = {r->n_classes, r->features};
        s = floats(c, st, "idf", 1, shape + 1, r->idf);
        if (!s) s = floats(c, st, "weight", 2, shape, r->weight);
        if (!s) s = floats(c, st, "bias", 1, shape, r->bias);
        if (!s) s = read_drop(c, st, r);
        if (!s) s = read_temperature(c, st, r);
        if (!s) s = read_options(c, st, r);
    }
    if (s)
        at_router_close(r);
    else
        *out = r;
    return s;
}

at_status at_router_load(at_ctx *c, const char *path, at_router **out) {
    *out = NULL;
    char *inside = at_is_dir(path) ? at_join(c, path, AT_ROUTER_FILE) : at_strdup(c, path);
    if (!inside) return AT_OOM;
    at_st *st = NULL;
    at_status s = at_st_open(c, inside, &st);
    if (!s) s = read_router(c, st, out);
    at_st_close(st);
    at_free(inside);
    return s;
}

at_status at_router_parse(at_ctx *c, const char *name, const void *data, size_t size,
                          at_router **out) {
    *out = NULL;
    at_st *st = NULL;
    at_status s = at_st_open_bytes(c, name, data, size, &st);
    if (!s) s = read_router(c, st, out);
    at_st_close(st);
    return s;
}
