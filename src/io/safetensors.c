/*
 * safetensors.c - reading.  The header is not trusted: before any pointer is made, every length is
 * compared with the file, every shape with its range of bytes, and the ranges with one another.
 */
#include "io/safetensors.h"
#include "io/st_internal.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { PREFIX = 8, HEADER_MAX = 100 * 1000 * 1000 };

static const struct {
    const char *name;
    size_t size;
} dtypes[AT_DT_COUNT] = {
    [AT_DT_BOOL] = {"BOOL", 1}, [AT_DT_U8] = {"U8", 1},           [AT_DT_I8] = {"I8", 1},
    [AT_DT_F16] = {"F16", 2},   [AT_DT_F8_E4M3] = {"F8_E4M3", 1}, [AT_DT_F8_E5M2] = {"F8_E5M2", 1},
    [AT_DT_BF16] = {"BF16", 2}, [AT_DT_I16] = {"I16", 2},         [AT_DT_U16] = {"U16", 2},
    [AT_DT_I32] = {"I32", 4},   [AT_DT_U32] = {"U32", 4},         [AT_DT_F32] = {"F32", 4},
    [AT_DT_I64] = {"I64", 8},   [AT_DT_U64] = {"U64", 8},         [AT_DT_F64] = {"F64", 8},
};

const char *at_dtype_name(at_dtype d) {
    return (unsigned)d < AT_DT_COUNT ? dtypes[d].name : "unknown";
}

size_t at_dtype_size(at_dtype d) { return (unsigned)d < AT_DT_COUNT ? dtypes[d].size : 0; }

bool at_st_elements(int rank, const int64_t *dim, int64_t *n) {
    *n = 1;
    for (int i = 0; i < rank; i++) {
        if (dim[i] < 0 || (dim[i] > 0 && *n > INT64_MAX / dim[i])) return false;
        *n *= dim[i];
    }
    return true;
}

/* ---- one entry of the header -------------------------------------------------------------- */

static at_status malformed(at_ctx *c, const at_st *st, const char *tensor, const char *reason) {
    return at_error(c, AT_FORMAT, "%s: tensor `%.200s`: %s", st->path, tensor, reason);
}

/* Numbers of cJSON are doubles, which are exact up to 2^53 only; larger ones are refused. */
static at_status whole(at_ctx *c, const at_st *st, const char *tensor, const char *what,
                       const cJSON *v, int64_t *out) {
    char reason[200];
    const double d = cJSON_IsNumber(v) ? v->valuedouble : -1;
    if (cJSON_IsNumber(v) && d >= 0 && d <= 0x1p53 && d == floor(d)) {
        *out = (int64_t)d;
        return AT_OK;
    }
    if (!cJSON_IsNumber(v))
        (void)snprintf(reason, sizeof reason, "%s: expected a whole number, found another type",
                       what);
    else
        (void)snprintf(reason, sizeof reason,
                       "%s: expected a whole number from 0 to 2^53, found %.17g", what, d);
    return malformed(c, st, tensor, reason);
}

static at_status read_dtype(at_ctx *c, const at_st *st, const cJSON *v, at_st_tensor *t) {
    if (!cJSON_IsString(v)) return malformed(c, st, t->name, "dtype: expected a string");
    for (int i = 0; i < AT_DT_COUNT; i++)
        if (!strcmp(dtypes[i].name, v->valuestring)) {
            t->dtype = (at_dtype)i;
            return AT_OK;
        }
    return at_error(c, AT_FORMAT, "%s: tensor `%.200s`: unknown dtype `%.40s`", st->path, t->name,
                    v->valuestring);
}

static at_status read_shape(at_ctx *c, const at_st *st, const cJSON *v, at_st_tensor *t) {
    if (!cJSON_IsArray(v)) return malformed(c, st, t->name, "shape: expected an array");
    const cJSON *d = NULL;
    cJSON_ArrayForEach(d, v) {
        if (t->rank == AT_ST_RANK_MAX)
            return malformed(c, st, t->name, "shape: more than 8 dimensions are not read");
        const at_status s = whole(c, st, t->name, "shape", d, &t->dim[t->rank]);
        if (s) return s;
        t->rank++;
    }
    return AT_OK;
}

/* Finds the three fields, each at most once; others are ignored. */
static at_status pick_fields(at_ctx *c, const at_st *st, const cJSON *entry, const char *name,
                             const cJSON *field[3]) {
    static const char *const names[3] = {"dtype", "shape", "data_offsets"};
    const cJSON *v = NULL;
    cJSON_ArrayForEach(v, entry) {
        for (int i = 0; i < 3; i++) {
            if (strcmp(v->string, names[i]) != 0) continue;
            if (field[i]) return malformed(c, st, name, "a field is given twice");
            field[i] = v;
        }
    }
    for (int i = 0; i < 3; i++)
        if (!field[i])
            return at_error(c, AT_FORMAT, "%s: tensor `%.200s`: no %s", st->path, name, names[i]);
    return AT_OK;
}

static at_status read_entry(at_ctx *c, const at_st *st, const cJSON *entry,
                            const unsigned char *data, size_t data_bytes, at_st_tensor *t) {
    *t = (at_st_tensor){.name = entry->string};
    if (!cJSON_IsObject(entry)) return malformed(c, st, t->name, "expected an object");
    const cJSON *field[3] = {NULL, NULL, NULL};
    int64_t begin = 0, end = 0, n = 0;
    at_status s = pick_fields(c, st, entry, t->name, field);
    if (!s) s = read_dtype(c, st, field[0], t);
    if (!s) s = read_shape(c, st, field[1], t);
    if (!s && (!cJSON_IsArray(field[2]) || cJSON_GetArraySize(field[2]) != 2))
        s = malformed(c, st, t->name, "data_offsets: expected [begin, end]");
    if (!s) s = whole(c, st, t->name, "data_offsets", cJSON_GetArrayItem(field[2], 0), &begin);
    if (!s) s = whole(c, st, t->name, "data_offsets", cJSON_GetArrayItem(field[2], 1), &end);
    if (s) return s;
    const int64_t size = (int64_t)at_dtype_size(t->dtype);
    if (!at_st_elements(t->rank, t->dim, &n) || n > INT64_MAX / size)
        return malformed(c, st, t->name, "shape: the number of bytes does not fit 64 bits");
    if (begin > end || (uint64_t)end > data_bytes)
        return at_error(c, AT_FORMAT,
                        "%s: tensor `%.200s`: data_offsets [%lld, %lld] are outside the %zu bytes "
                        "of data (is the file truncated?)",
                        st->path, t->name, (long long)begin, (long long)end, data_bytes);
    if (end - begin != n * size)
        return at_error(c, AT_FORMAT,
                        "%s: tensor `%.200s`: its shape and dtype need %lld bytes, data_offsets "
                        "span %lld",
                        st->path, t->name, (long long)(n * size), (long long)(end - begin));
    t->data = data + begin;
    t->bytes = (size_t)(end - begin);
    return AT_OK;
}

/* ---- the entries together ----------------------------------------------------------------- */

static int by_place(const void *a, const void *b) {
    const at_st_tensor *x = a, *y = b;
    const unsigned char *p = x->data, *q = y->data;
    if (p != q) return p < q ? -1 : 1;
    if (x->bytes != y->bytes) return x->bytes < y->bytes ? -1 : 1; /* empty ones come first */
    return strcmp(x->name, y->name);
}

static at_status check_tiling(at_ctx *c, at_st *st, const unsigned char *data, size_t bytes) {
    const unsigned char *at = data, *end = data + bytes;
    for (int64_t i = 0; i < st->count; i++) {
        const at_st_tensor *t = &st->tensor[i];
        const unsigned char *p = t->data;
        if (p != at)
            return at_error(c, AT_FORMAT, "%s: tensor `%.200s`: %s byte %zu of the data", st->path,
                            t->name, p < at ? "overlaps another one at" : "leaves a hole before",
                            (size_t)(p - data));
        at = p + t->bytes;
    }
    if (at != end)
        return at_error(c, AT_FORMAT, "%s: %zu bytes after the last tensor belong to none",
                        st->path, (size_t)(end - at));
    return AT_OK;
}

typedef struct named {
    const char *name;
    int64_t i;
} named;

static int by_text(const void *a, const void *b) {
    return strcmp(((const named *)a)->name, ((const named *)b)->name);
}

static at_status index_names(at_ctx *c, at_st *st) {
    const size_t n = (size_t)st->count;
    named *order = at_calloc(c, n, sizeof *order);
    st->by_name = at_calloc(c, n, sizeof *st->by_name);
    at_status s = order && st->by_name ? AT_OK : c->status;
    for (size_t i = 0; !s && i < n; i++) order[i] = (named){st->tensor[i].name, (int64_t)i};
    if (!s && n > 1) qsort(order, n, sizeof *order, by_text);
    for (size_t i = 0; !s && i < n; i++) {
        st->by_name[i] = order[i].i;
        if (i > 0 && !strcmp(order[i].name, order[i - 1].name))
            s = malformed(c, st, order[i].name, "this name is used twice");
    }
    at_free(order);
    return s;
}

static at_status read_meta(at_ctx *c, at_st *st, const cJSON *v) {
    if (st->meta) return at_error(c, AT_FORMAT, "%s: __metadata__ is given twice", st->path);
    if (!cJSON_IsObject(v))
        return at_error(c, AT_FORMAT, "%s: __metadata__: expected an object", st->path);
    const cJSON *m = NULL;
    cJSON_ArrayForEach(m, v) {
        if (!cJSON_IsString(m))
            return at_error(c, AT_FORMAT, "%s: __metadata__: `%.200s`: expected a string", st->path,
                            m->string);
    }
    st->meta = v;
    return AT_OK;
}

static at_status read_entries(at_ctx *c, at_st *st, const unsigned char *data, size_t bytes) {
    const int n = cJSON_GetArraySize(st->head);
    st->tensor = at_calloc(c, (size_t)n, sizeof *st->tensor);
    at_status s = st->tensor ? AT_OK : c->status;
    for (const cJSON *v = st->head->child; !s && v; v = v->next) {
        if (!strcmp(v->string, "__metadata__"))
            s = read_meta(c, st, v);
        else if (!(s = read_entry(c, st, v, data, bytes, &st->tensor[st->count])))
            st->count++;
    }
    if (!s && st->count > 1) qsort(st->tensor, (size_t)st->count, sizeof *st->tensor, by_place);
    if (!s)
        s = index_names(c, st); /* before the ranges: tensors of the same name usually overlap */
    if (!s) s = check_tiling(c, st, data, bytes);
    return s;
}

static at_status read_header(at_ctx *c, at_st *st, const unsigned char *p, size_t bytes) {
    if (bytes < PREFIX)
        return at_error(c, AT_FORMAT, "%s: %zu bytes are too few for a tensor file", st->path,
                        bytes);
    uint64_t n = 0;
    for (int i = 0; i < PREFIX; i++) n |= (uint64_t)p[i] << (8 * i);
    if (n > HEADER_MAX)
        return at_error(c, AT_FORMAT,
                        "%s: not a tensor file: its header would be %llu bytes, at most %d are "
                        "allowed",
                        st->path, (unsigned long long)n, HEADER_MAX);
    if (n > bytes - PREFIX)
        return at_error(c, AT_FORMAT,
                        "%s: the header says %llu bytes, the file has %zu after the length (is it "
                        "truncated?)",
                        st->path, (unsigned long long)n, bytes - PREFIX);
    if (n < 2 || p[PREFIX] != '{')
        return at_error(c, AT_FORMAT, "%s: the header does not begin with `{`", st->path);
    char name[512];
    (void)snprintf(name, sizeof name, "%.480s: header", st->path);
    st->head = at_json_parse(c, name, (const char *)p + PREFIX, (size_t)n);
    if (!st->head) return c->status;
    return read_entries(c, st, p + PREFIX + n, bytes - PREFIX - (size_t)n);
}

/* ---- opening and looking up --------------------------------------------------------------- */

static at_status open_with(at_ctx *c, const char *name, at_map map, const void *data, size_t bytes,
                           at_st **out) {
    *out = NULL;
    at_st *st = at_calloc(c, 1, sizeof *st);
    if (!st) {
        at_map_close(&map);
        return c->status;
    }
    st->map = map;
    st->path = at_strdup(c, name);
    const at_status s = st->path ? read_header(c, st, data, bytes) : c->status;
    if (s)
        at_st_close(st);
    else
        *out = st;
    return s;
}

at_status at_st_open(at_ctx *c, const char *path, at_st **out) {
    at_map map;
    *out = NULL;
    const at_status s = at_map_open(c, path, &map);
    return s ? s : open_with(c, path, map, map.data, map.bytes, out);
}

at_status at_st_open_bytes(at_ctx *c, const char *name, const void *data, size_t bytes,
                           at_st **out) {
    return open_with(c, name, (at_map){0}, data, bytes, out);
}

void at_st_close(at_st *st) {
    if (!st) return;
    at_map_close(&st->map);
    cJSON_Delete(st->head);
    at_free(st->path);
    at_free(st->tensor);
    at_free(st->by_name);
    at_free(st);
}

const char *at_st_path(const at_st *st) { return st->path; }
int64_t at_st_count(const at_st *st) { return st->count; }

const at_st_tensor *at_st_at(const at_st *st, int64_t i) {
    return i >= 0 && i < st->count ? &st->tensor[i] : NULL;
}

const at_st_tensor *at_st_find(const at_st *st, const char *name) {
    int64_t lo = 0, hi = st->count;
    while (lo < hi) {
        const int64_t mid = lo + (hi - lo) / 2;
        const at_st_tensor *t = &st->tensor[st->by_name[mid]];
        const int order = strcmp(name, t->name);
        if (order == 0) return t;
        if (order < 0)
            hi = mid;
        else
            lo = mid + 1;
    }
    return NULL;
}

const char *at_st_meta(const at_st *st, const char *key) {
    const cJSON *v = st->meta ? cJSON_GetObjectItemCaseSensitive(st->meta, key) : NULL;
    return v ? v->valuestring : NULL;
}

int64_t at_st_meta_count(const at_st *st) { return st->meta ? cJSON_GetArraySize(st->meta) : 0; }

void at_st_meta_at(const at_st *st, int64_t i, const char **key, const char **value) {
    const cJSON *v = st->meta && i <= INT32_MAX ? cJSON_GetArrayItem(st->meta, (int)i) : NULL;
    *key = v ? v->string : NULL;
    *value = v ? v->valuestring : NULL;
}
