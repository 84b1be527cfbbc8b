/* convert.c - copies tensor after tensor from the map to the new file, then compares logits. */
#include "infer/convert.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/rng.h"
#include "infer/session.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { IDS = 8 };

typedef struct {
    at_compute *cp;
    const char *from;
    char *temp; /* the folder being filled */
    at_convert_to shape;
    at_dtype type; /* AT_DT_COUNT: as it is */
    at_model *m;   /* the source */
    at_load_options how;
    bool *written; /* [parameters] */
    at_conversion *out;
} work;

/* ---- weights ------------------------------------------------------------------------------- */

static bool choose(void *user, const at_st_tensor *t, at_st_tensor *as) {
    work *w = user;
    at_checkpoint_entry e;
    const bool known = at_checkpoint_find(&w->m->store, &w->how, t->name, &e);
    w->out->read++;
    if (!known && w->shape == AT_TO_ARTEL) {
        w->out->left_out++;
        return false;
    }
    if (known && w->shape == AT_TO_ARTEL) as->name = e.path;
    if (known && w->type != AT_DT_COUNT) as->dtype = w->type;
    for (int64_t i = 0; i < w->m->store.n && known; i++)
        if (w->m->store.p[i] == e.slot || w->m->store.p[i]->of == e.stack) w->written[i] = true;
    w->out->written++;
    w->out->bytes += (double)(t->bytes / at_dtype_size(t->dtype) * at_dtype_size(as->dtype));
    return true;
}

/* Base and modules of a mixture that was extended become one file, in F32 if nothing else is asked for. */
typedef struct {
    work *w;
    at_st_writer *to;
} all_of_it;
static at_status add_whole(void *user, const at_st_tensor *t, const at_st_tensor *part,
                           int64_t parts) {
    const all_of_it *x = user;
    const at_dtype type = x->w->type == AT_DT_COUNT ? AT_DT_F32 : x->w->type;
    int64_t n = 1;
    for (int i = 0; i < t->rank; i++) n *= t->dim[i];
    x->w->out->read += parts;
    x->w->out->written++;
    x->w->out->bytes += (double)n * (double)at_dtype_size(type);
    return at_st_writer_add_parts(x->w->cp->ctx, x->to, t->name, type, t->rank, t->dim, part,
                                  parts);
}

static at_status write_whole(work *w, const char *path) {
    at_ctx *c = w->cp->ctx;
    all_of_it x = {.w = w};
    at_status s = at_st_writer_open(c, path, &x.to);
    if (s == AT_OK) at_st_writer_interruptible(x.to);
    if (s == AT_OK && w->m->tokenizer)
        s = at_st_writer_meta(c, x.to, "artel.tokenizer", w->m->tokenizer);
    if (s == AT_OK) s = at_checkpoint_each(c, &w->m->store, AT_SLAB_VALUE, add_whole, &x);
    if (s == AT_OK) s = at_st_writer_commit(c, x.to);
    at_st_writer_close(x.to);
    return s;
}

static at_status write_weights(work *w) {
    at_ctx *c = w->cp->ctx;
    char *path = at_join(c, w->temp, "model.safetensors");
    if (w->m->members.n) {
        at_log(c, AT_LOG_PROGRESS, "writing %s", w->temp);
        const at_status st = path ? write_whole(w, path) : AT_OOM;
        at_free(path);
        return st;
    }
    w->written = at_calloc(c, (size_t)w->m->store.n, sizeof *w->written);
    at_status s = path && w->written ? AT_OK : AT_OOM;
    at_log(c, AT_LOG_PROGRESS, "writing %s", w->temp);
    if (s == AT_OK) s = at_weights_save(c, &w->m->weights, path, choose, w);
    for (int64_t i = 0; i < w->m->store.n && s == AT_OK; i++)
        if (!w->written[i] &&
            !w->m->store.p[i]->absent) /* cannot happen after strict loading, except by a bug */
            s = at_error(c, AT_MISMATCH, "%s: parameter `%s` was not written", w->temp,
                         w->m->store.p[i]->path);
    at_free(path);
    return s;
}

/* ---- the other files ----------------------------------------------------------------------- */

static at_status write_config(const work *w) {
    at_ctx *c = w->cp->ctx;
    char *from = at_join(c, w->from, "config.json"), *to = at_join(c, w->temp, "config.json");
    at_status s = from && to ? AT_OK : AT_OOM;
    if (s == AT_OK && w->type == AT_DT_COUNT && !w->m->members.n) {
        s = at_copy_file(c, from, to);
    } else if (s == AT_OK) {
        at_json j;
        at_json_open_file(&j, c);
        at_model_source(w->m, w->type == AT_DT_BF16 ? "bfloat16" : "float32", &j);
        s = at_json_save(&j, to);
    }
    at_free(from);
    at_free(to);
    return s;
}

static at_status copy_if_there(const work *w, const char *name) {
    at_ctx *c = w->cp->ctx;
    char *from = at_join(c, w->from, name), *to = at_join(c, w->temp, name);
    at_status s = from && to ? AT_OK : AT_OOM;
    if (s == AT_OK && at_exists(from)) s = at_copy_file(c, from, to);
    at_free(from);
    at_free(to);
    return s;
}

static at_status write_folder(work *w) {
    static const char *const others[] = {"tokenizer.json",
                                         "tokenizer_config.json",
                                         "vocab.json",
                                         "merges.txt",
                                         "added_tokens.json",
                                         "special_tokens_map.json",
                                         "generation_config.json"};
    at_status s = write_weights(w);
    if (s == AT_OK) s = write_config(w);
    for (size_t i = 0; i < sizeof others / sizeof *others && s == AT_OK; i++)
        s = copy_if_there(w, others[i]);
    return s;
}

/* ---- comparing logits ---------------------------------------------------------------------- */

/* Logits [n, V] of one text. */
static at_status answer(at_compute *cp, at_model *m, const int32_t *ids, int64_t n, at_real *out) {
    at_session se;
    at_status s = at_session_open(cp, m, n, &se);
    if (s != AT_OK) return s;
    const int64_t V = m->dims.vocab;
    for (int64_t i = 0; i < n && s == AT_OK; i++) {
        const at_real *l;
        s = at_session_feed(&se, ids + i, 1, &l);
        if (s == AT_OK) memcpy(out + i * V, l, (size_t)V * sizeof *l);
    }
    at_session_close(&se);
    return s;
}

/* The difference that is allowed: 0, unless values were narrowed, which may also change choices of
   routers. */
static double allowance(const work *w) {
    if (w->type != AT_DT_BF16) return 0;
    for (int64_t f = 0; f < w->m->weights.n; f++)
        for (int64_t i = 0; i < at_st_count(w->m->weights.file[f]); i++)
            if (at_st_at(w->m->weights.file[f], i)->dtype != AT_DT_BF16) return 0.1;
    return 0;
}

static void compare(const at_real *a, const at_real *b, int64_t n, at_conversion *out) {
    double whole = 0, apart = 0;
    for (int64_t i = 0; i < n; i++) {
        const double x = (double)a[i], d = fabs(x - (double)b[i]);
        whole += x * x;
        apart += d * d;
        if (!(d <= out->largest)) out->largest = d; /* so a NaN is not overlooked */
    }
    out->difference = apart > 0 || isnan(apart) ? sqrt(apart / whole) : 0;
}

static at_status prove(work *w, uint64_t seed) {
    at_ctx *c = w->cp->ctx;
    at_model *m = NULL;
    at_status s = at_model_load(c, w->temp, false, &m);
    if (s != AT_OK) return s;
    const int64_t V = w->m->dims.vocab, n = IDS < m->dims.context ? IDS : m->dims.context;
    int32_t ids[IDS];
    for (int64_t i = 0; i < n; i++)
        ids[i] = (int32_t)at_rand_below((uint64_t)V, seed, AT_STREAM_TEST, (uint64_t)i);
    at_real *a = at_malloc(c, (size_t)(2 * n * V) * sizeof *a), *b = a ? a + n * V : NULL;
    if (!a) s = AT_OOM;
    at_log(c, AT_LOG_PROGRESS, "comparing logits");
    if (s == AT_OK) s = answer(w->cp, w->m, ids, n, a);
    if (s == AT_OK) s = answer(w->cp, m, ids, n, b);
    w->out->ids = n;
    w->out->allowed = allowance(w);
    if (s == AT_OK) compare(a, b, n * V, w->out);
    if (s == AT_OK && !(w->out->difference <= w->out->allowed))
        s = at_error(
            c, AT_MISMATCH,
            "%s: its logits differ from those of %s by %.3g of their size, at most %.3g is "
            "allowed",
            w->temp, w->from, w->out->difference, w->out->allowed);
    at_free(a);
    at_model_close(m);
    return s;
}

/* ---- all ----------------------------------------------------------------------------------- */

/* A composed model has a list of experts where a plain one has sizes. */
static at_status refuse_composed(at_ctx *c, const char *dir) {
    char *path = at_join(c, dir, "config.json");
    cJSON *o = path ? at_json_read(c, path) : NULL;
    at_status s = o ? AT_OK : c->status;
    if (o && cJSON_IsArray(cJSON_GetObjectItemCaseSensitive(o, "experts")))
        s = at_error(c, AT_UNSUPPORTED, "%s is a composed model: convert the models of its experts",
                     dir);
    cJSON_Delete(o);
    at_free(path);
    return s;
}

/* Programs of others have the architecture as it was published. */
static at_status refuse_foreign(const work *w) {
    const at_arch *a = w->m->arch;
    const char *what = w->shape == AT_TO_HF && a->foreign ? a->foreign(w->m->config) : NULL;
    if (!what) return AT_OK;
    return at_error(
        w->cp->ctx, AT_UNSUPPORTED,
        "%s: programs that read `%s` as it was published know no %s: it can be converted to "
        "artel's own layout alone",
        w->from, a->name, what);
}

at_status at_convert(at_compute *cp, const char *from, const char *to, at_convert_to shape,
                     at_dtype type, uint64_t seed, at_conversion *out) {
    at_ctx *c = cp->ctx;
    const double began = at_now();
    *out = (at_conversion){0};
    work w = {.cp = cp, .from = from, .shape = shape, .type = type, .out = out};
    char *bare = NULL;
    at_status s = refuse_composed(c, from);
    if (s == AT_OK) s = at_check_new_dir(c, to);
    if (s == AT_OK) s = (bare = at_path_trim(c, to)) ? AT_OK : c->status;
    if (s == AT_OK) s = at_partial_dir(c, bare, &w.temp);
    if (s == AT_OK) s = at_model_load(c, from, false, &w.m);
    if (s == AT_OK) s = refuse_foreign(&w);
    if (s == AT_OK) s = at_model_finite(c, w.m);
    if (s == AT_OK) {
        w.how = at_model_load_options(w.m, true);
        out->files = w.m->weights.n;
        s = write_folder(&w);
    }
    if (s == AT_OK) s = prove(&w, seed);
    if (s == AT_OK) s = at_partial_commit(c, w.temp, bare);
    at_partial_drop(c, w.temp);
    at_model_close(w.m);
    at_free(w.written);
    at_free(bare);
    out->seconds = at_now() - began;
    return s;
}
