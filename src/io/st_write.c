/*
 * st_write.c - writing.  Nothing is written before commit, when the layout and the hashes are
 * known, since the header, which contains them, comes before the data.
 */
#include "base/half.h"
#include "io/st_internal.h"
#include <stdlib.h>
#include <string.h>

enum {
    ALIGN = 64,
    PREFIX = 8,
    PIECE = 4096 /* values converted at a time */,
    LARGE = 1 << 28 /* bytes */
};

/* A tensor of the file to write; its values may be in several places and have another type. */
typedef struct item {
    at_st_tensor t;     /* name is owned, no data          */
    at_st_tensor *part; /* its values, one after the other */
    int64_t parts;
} item;

struct at_st_writer {
    at_out out;
    char *path;
    cJSON *meta;
    item *item;
    int64_t n, cap;
    bool stoppable;
};

at_status at_st_writer_open(at_ctx *c, const char *path, at_st_writer **out) {
    *out = NULL;
    at_st_writer *w = at_calloc(c, 1, sizeof *w);
    if (!w) return c->status;
    w->path = at_strdup(c, path);
    at_status s = w->path ? AT_OK : c->status;
    if (s == AT_OK) s = at_out_open(c, path, &w->out);
    if (s == AT_OK) s = at_st_writer_meta(c, w, "format", "pt");
    if (s == AT_OK) s = at_st_writer_meta(c, w, AT_ST_HASHED_KEY, "yes");
    if (s)
        at_st_writer_close(w);
    else
        *out = w;
    return s;
}

void at_st_writer_interruptible(at_st_writer *w) { w->stoppable = true; }

void at_st_writer_close(at_st_writer *w) {
    if (!w) return;
    at_out_close(&w->out);
    for (int64_t i = 0; i < w->n; i++) {
        at_free((void *)(uintptr_t)w->item[i].t.name);
        at_free(w->item[i].part);
    }
    at_free(w->item);
    at_free(w->path);
    cJSON_Delete(w->meta);
    at_free(w);
}

at_status at_st_writer_meta(at_ctx *c, at_st_writer *w, const char *key, const char *value) {
    at_json j;
    at_json_open(&j, c);
    at_json_put_members(&j, w->meta, key);
    at_json_put_string(&j, key, value);
    cJSON *all = at_json_value(&j, w->path);
    if (!all) return c->status;
    cJSON_Delete(w->meta);
    w->meta = all;
    return AT_OK;
}

static bool floating(at_dtype d) {
    return d == AT_DT_F16 || d == AT_DT_BF16 || d == AT_DT_F32 || d == AT_DT_F64;
}

/* Whether the parts can become n values of type d. */
static at_status check_parts(at_ctx *c, const at_st_writer *w, const char *name, at_dtype d,
                             int64_t n, const at_st_tensor *part, int64_t parts) {
    int64_t sum = 0;
    for (int64_t i = 0; i < parts; i++) {
        const at_dtype from = part[i].dtype;
        if (d != from && (!floating(d) || !floating(from)))
            return at_error(c, AT_ARG, "%s: tensor `%.200s`: %s cannot be written as %s", w->path,
                            name, at_dtype_name(from), at_dtype_name(d));
        sum += (int64_t)(part[i].bytes / at_dtype_size(from));
    }
    return sum == n ? AT_OK
                    : at_error(c, AT_SHAPE, "%s: tensor `%.200s`: %lld values for a shape of %lld",
                               w->path, name, (long long)sum, (long long)n);
}

at_status at_st_writer_add_parts(at_ctx *c, at_st_writer *w, const char *name, at_dtype d, int rank,
                                 const int64_t *dim, const at_st_tensor *part, int64_t parts) {
    int64_t n = 0;
    const int64_t size = (int64_t)at_dtype_size(d);
    if (size == 0 || rank < 0 || rank > AT_ST_RANK_MAX || !strcmp(name, "__metadata__"))
        return at_error(c, AT_ARG, "%s: tensor `%.200s`: bad name, dtype or rank %d", w->path, name,
                        rank);
    if (!at_st_elements(rank, dim, &n) || n > ((int64_t)1 << 53) / size)
        return at_error(c, AT_SHAPE, "%s: tensor `%.200s`: impossible shape", w->path, name);
    const at_status s = check_parts(c, w, name, d, n, part, parts);
    if (s != AT_OK) return s;
    if (!at_reserve(c, &w->item, &w->cap, w->n + 1, sizeof *w->item)) return c->status;
    item e = {.t = {.name = at_strdup(c, name), .dtype = d, .rank = rank}, .parts = parts};
    e.part = at_malloc(c, (size_t)parts * sizeof *part);
    if (!e.t.name || !e.part) {
        at_free((void *)(uintptr_t)e.t.name);
        at_free(e.part);
        return c->status;
    }
    for (int i = 0; i < rank; i++) e.t.dim[i] = dim[i];
    e.t.bytes = (size_t)(n * size);
    memcpy(e.part, part, (size_t)parts * sizeof *part);
    for (int64_t i = 0; i < parts; i++) e.part[i].name = e.t.name; /* for messages */
    w->item[w->n++] = e;
    return AT_OK;
}

/* Adds a tensor whose values are contiguous; a wrong shape is refused later. */
static at_status add_one(at_ctx *c, at_st_writer *w, const char *name, at_dtype d, int rank,
                         const int64_t *dim, at_dtype from, const void *data) {
    int64_t n = 0;
    if (rank < 0 || rank > AT_ST_RANK_MAX || !at_st_elements(rank, dim, &n)) n = 0;
    const at_st_tensor part = {
        .dtype = from, .data = data, .bytes = (size_t)n * at_dtype_size(from)};
    return at_st_writer_add_parts(c, w, name, d, rank, dim, &part, 1);
}

at_status at_st_writer_add(at_ctx *c, at_st_writer *w, const char *name, at_dtype d, int rank,
                           const int64_t *dim, const void *data) {
    return add_one(c, w, name, d, rank, dim, d, data);
}

at_status at_st_writer_add_as(at_ctx *c, at_st_writer *w, const char *name, at_dtype d,
                              const at_st_tensor *from) {
    return add_one(c, w, name, d, from->rank, from->dim, from->dtype, from->data);
}

/* ---- the bytes of a tensor, in order ------------------------------------------------------ */

typedef at_status (*take_fn)(void *arg, const void *bytes, size_t n);

/* Converts n floats to 16 bits, in place. */
static void narrow(float *f, size_t n, at_dtype to) {
    for (size_t i = 0; i < n; i++) {
        const uint16_t h = to == AT_DT_BF16 ? at_bf16_from_f32(f[i]) : at_f16_from_f32(f[i]);
        memcpy((char *)f + i * sizeof h, &h, sizeof h);
    }
}

/* Converts the piece p to type `to`. */
static at_status convert(at_ctx *c, const at_st_tensor *p, at_dtype to, double *wide) {
    if (to == AT_DT_F64) return at_st_to_f64(c, p, wide);
    float *f = (float *)wide;
    const at_status s = at_st_to_f32(c, p, f);
    if (s == AT_OK && to != AT_DT_F32) narrow(f, p->bytes / at_dtype_size(p->dtype), to);
    return s;
}

static at_status give_part(at_ctx *c, const at_st_tensor *p, at_dtype to, take_fn take, void *arg) {
    if (p->dtype == to) return take(arg, p->data, p->bytes);
    const size_t from = at_dtype_size(p->dtype), n = p->bytes / from;
    double wide[PIECE];
    at_status s = AT_OK;
    for (size_t i = 0; i < n && s == AT_OK; i += PIECE) {
        const size_t m = n - i < PIECE ? n - i : PIECE;
        at_st_tensor piece = *p;
        piece.data = (const char *)p->data + i * from;
        piece.bytes = m * from;
        s = convert(c, &piece, to, wide);
        if (s == AT_OK) s = take(arg, wide, m * at_dtype_size(to));
    }
    return s;
}

static at_status stream_values(at_ctx *c, const item *e, take_fn take, void *arg) {
    at_status s = AT_OK;
    for (int64_t i = 0; i < e->parts && s == AT_OK; i++)
        s = give_part(c, &e->part[i], e->t.dtype, take, arg);
    return s;
}

static at_status take_hash(void *arg, const void *bytes, size_t n) {
    if (n) (void)XXH3_64bits_update(arg, bytes, n);
    return AT_OK;
}

typedef struct sink {
    at_ctx *c;
    at_out *out;
} sink;
static at_status take_file(void *arg, const void *bytes, size_t n) {
    const sink *s = arg;
    return at_out_write(s->c, s->out, bytes, n);
}

/* ---- the header --------------------------------------------------------------------------- */

/* The order of the data: first empty tensors by name (they share one offset, so a reader can sort
   them by nothing else), then wide types before narrow ones, otherwise as added. */
static void lay_out(const at_st_writer *w, int64_t *order) {
    int64_t k = 0;
    for (int64_t i = 0; i < w->n; i++) {
        if (w->item[i].t.bytes > 0) continue;
        int64_t at = k++;
        for (; at > 0 && strcmp(w->item[order[at - 1]].t.name, w->item[i].t.name) > 0; at--)
            order[at] = order[at - 1];
        order[at] = i;
    }
    for (size_t size = 8; size > 0; size /= 2)
        for (int64_t i = 0; i < w->n; i++)
            if (w->item[i].t.bytes > 0 && at_dtype_size(w->item[i].t.dtype) == size) order[k++] = i;
}

/* Before tensor i: logs the progress for large files, and checks for an interrupt. */
static at_status report_progress(at_ctx *c, const at_st_writer *w, const int64_t *order, int64_t i,
                                 const char *what) {
    double all = 0, before = 0;
    if (w->stoppable && at_interrupted(c)) return at_error(c, AT_INTERRUPTED, "interrupted");
    for (int64_t k = 0; k < w->n; k++) {
        all += (double)w->item[order[k]].t.bytes;
        if (k < i) before += (double)w->item[order[k]].t.bytes;
    }
    if (all > LARGE)
        at_log(c, AT_LOG_PROGRESS, "%s: %s, %.0f %%", w->path, what, 100 * before / all);
    return AT_OK;
}

static at_status put_hashes(at_ctx *c, at_st_writer *w, const int64_t *order) {
    char *text = at_malloc(c, (size_t)(w->n + 1) * 16 + 1);
    if (!text) return c->status;
    at_st_hash_text(at_st_meta_hash(w->meta), text);
    at_status s = AT_OK;
    for (int64_t i = 0; i < w->n && s == AT_OK; i++) {
        XXH3_state_t h;
        s = report_progress(c, w, order, i, "reading");
        at_st_tensor_hash_begin(&h, &w->item[order[i]].t);
        if (s == AT_OK) s = stream_values(c, &w->item[order[i]], take_hash, &h);
        char digits[17];
        at_st_hash_text(XXH3_64bits_digest(&h), digits);
        memcpy(text + (i + 1) * 16, digits, sizeof digits);
    }
    if (s == AT_OK) s = at_st_writer_meta(c, w, AT_ST_HASH_KEY, text);
    at_free(text);
    return s;
}

static void put_numbers(at_json *j, const char *key, const int64_t *v, int n) {
    at_json_begin_list(j, key);
    for (int i = 0; i < n; i++) at_json_put_number(j, NULL, (double)v[i]);
    at_json_end(j);
}

/* JSON text of the header; NULL when out of memory. */
static char *header_text(at_ctx *c, const at_st_writer *w, const int64_t *order) {
    at_json j;
    at_json_open(&j, c);
    at_json_put_value(&j, "__metadata__", w->meta);
    int64_t range[2] = {0, 0};
    for (int64_t i = 0; i < w->n; i++) {
        const at_st_tensor *t = &w->item[order[i]].t;
        range[1] = range[0] + (int64_t)t->bytes;
        at_json_begin_object(&j, t->name);
        at_json_put_string(&j, "dtype", at_dtype_name(t->dtype));
        put_numbers(&j, "shape", t->dim, t->rank);
        put_numbers(&j, "data_offsets", range, 2);
        at_json_end(&j);
        range[0] = range[1];
    }
    return at_json_take(&j);
}

static int by_text(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static at_status refuse_twins(at_ctx *c, const at_st_writer *w) {
    const char **name = at_calloc(c, (size_t)w->n, sizeof *name);
    if (!name) return c->status;
    for (int64_t i = 0; i < w->n; i++) name[i] = w->item[i].t.name;
    if (w->n > 1) qsort(name, (size_t)w->n, sizeof *name, by_text);
    at_status s = AT_OK;
    for (int64_t i = 1; !s && i < w->n; i++)
        if (!strcmp(name[i], name[i - 1]))
            s = at_error(c, AT_ARG, "%s: tensor `%.200s` was added twice", w->path, name[i]);
    at_free(name);
    return s;
}

static at_status write_header(at_ctx *c, at_st_writer *w, const char *text) {
    static const char spaces[ALIGN + 1] =
        "                                                                ";
    /* A header that the reader would refuse (a name that is not UTF-8, say) is not written. */
    cJSON *again = at_json_parse(c, w->path, text, strlen(text));
    if (!again) return c->status;
    cJSON_Delete(again);
    const size_t n = strlen(text), pad = (ALIGN - (PREFIX + n) % ALIGN) % ALIGN;
    unsigned char prefix[PREFIX];
    for (int i = 0; i < PREFIX; i++) prefix[i] = (unsigned char)((uint64_t)(n + pad) >> (8 * i));
    at_status s = at_out_write(c, &w->out, prefix, PREFIX);
    if (s == AT_OK) s = at_out_write(c, &w->out, text, n);
    return s ? s : at_out_write(c, &w->out, spaces, pad);
}

at_status at_st_writer_commit(at_ctx *c, at_st_writer *w) {
    at_status s = refuse_twins(c, w);
    int64_t *order = at_calloc(c, (size_t)w->n, sizeof *order);
    if (s == AT_OK && !order) s = c->status;
    if (s == AT_OK) lay_out(w, order);
    if (s == AT_OK) s = put_hashes(c, w, order);
    char *text = s ? NULL : header_text(c, w, order);
    if (s == AT_OK && !text) s = at_error(c, AT_OOM, "%s: no memory for the header", w->path);
    if (s == AT_OK) s = write_header(c, w, text);
    for (int64_t i = 0; !s && i < w->n; i++) {
        s = report_progress(c, w, order, i, "writing");
        if (s == AT_OK) s = stream_values(c, &w->item[order[i]], take_file, &(sink){c, &w->out});
    }
    if (!s)
        s = at_out_commit(c, &w->out);
    else
        at_out_close(&w->out);
    at_free(text);
    at_free(order);
    return s;
}
