/* checkpoint.c - matching names and shapes of a store against files. */
#include "io/checkpoint.h"
#include "base/file.h"
#include "base/json.h"
#include <stdint.h>
#include <string.h>

/* ---- files ----------------------------------------------------------------- */

static void free_names(char **as, int64_t n) {
    for (int64_t i = 0; as && i < n; i++) at_free(as[i]);
    at_free(as);
}

void at_weights_close(at_weights *w) {
    for (int64_t i = 0; i < w->n; i++) {
        free_names(w->as[i], at_st_count(w->file[i]));
        at_st_close(w->file[i]);
    }
    at_free(w->file);
    at_free(w->as);
    *w = (at_weights){0};
}

static size_t tensor_bytes(const at_st *st) {
    size_t bytes = 0;
    for (int64_t i = 0; i < at_st_count(st); i++) bytes += at_st_at(st, i)->bytes;
    return bytes;
}

size_t at_weights_bytes(const at_weights *w) {
    size_t bytes = 0;
    for (int64_t i = 0; i < w->n; i++) bytes += tensor_bytes(w->file[i]);
    return bytes;
}

at_status at_weights_add(at_ctx *c, at_weights *w, const char *path, size_t verify_below) {
    at_st *st = NULL;
    at_status s = at_st_open(c, path, &st);
    if (s != AT_OK) return s;
    const size_t n = (size_t)w->n + 1;
    at_st **grown = at_realloc(c, w->file, n * sizeof *grown);
    if (grown) w->file = grown;
    char ***as = grown ? at_realloc(c, w->as, n * sizeof *as) : NULL;
    if (!as) {
        at_st_close(st);
        return AT_OOM;
    }
    w->as = as;
    w->as[w->n] = NULL;
    w->file[w->n++] = st;
    return tensor_bytes(st) <= verify_below ? at_st_verify(c, st) : AT_OK;
}

at_status at_weights_rename(at_ctx *c, at_weights *w,
                            char *(*name)(void *user, const char *written), void *user) {
    const int64_t last = w->n - 1, n = at_st_count(w->file[last]);
    char **as = at_calloc(c, (size_t)n + 1, sizeof *as);
    if (!as) return AT_OOM;
    for (int64_t i = 0; i < n; i++)
        if (!(as[i] = name(user, at_st_at(w->file[last], i)->name))) {
            free_names(as, i);
            return c->status;
        }
    w->as[last] = as;
    return AT_OK;
}

const char *at_weights_name(const at_weights *w, int64_t file, int64_t i) {
    return w->as[file] ? w->as[file][i] : at_st_at(w->file[file], i)->name;
}

/* Opens the shards that an index names, each once, in the order of first mention. */
static at_status add_index(at_ctx *c, at_weights *w, const char *dir, const char *path,
                           size_t verify_below) {
    cJSON *index = at_json_read(c, path);
    if (!index) return c->status;
    const cJSON *map = NULL;
    at_status s = at_json_object(c, path, index, "weight_map", &map);
    for (const cJSON *e = s == AT_OK ? map->child : NULL; e && s == AT_OK; e = e->next) {
        bool seen = false;
        for (const cJSON *p = map->child; p != e && !seen; p = p->next)
            seen =
                cJSON_IsString(p) && cJSON_IsString(e) && !strcmp(p->valuestring, e->valuestring);
        if (seen) continue;
        if (!cJSON_IsString(e) || strstr(e->valuestring, "..") || e->valuestring[0] == '/' ||
            w->n == AT_SHARDS_MAX) {
            s = at_error(c, AT_FORMAT,
                         "%s: weight_map of `%s`: expected a file name in this folder", path,
                         e->string);
            break;
        }
        char *shard = at_join(c, dir, e->valuestring);
        s = shard ? at_weights_add(c, w, shard, verify_below) : AT_OOM;
        at_free(shard);
    }
    cJSON_Delete(index);
    return s;
}

static char *folder_of(at_ctx *c, const char *path) {
    const char *slash = strrchr(path, '/');
    if (!slash) return at_strdup(c, ".");
    char *dir = at_strdup(c, path);
    if (dir) dir[slash == path ? 1 : slash - path] = 0;
    return dir;
}

static at_status no_weights(at_ctx *c, const char *dir) {
    char *one = at_join(c, dir, "pytorch_model.bin");
    char *many = at_join(c, dir, "pytorch_model.bin.index.json");
    at_status s = AT_OOM;
    if (one && many && (at_exists(one) || at_exists(many)))
        s = at_error(c, AT_UNSUPPORTED,
                     "%s: expected model.safetensors, found pickled weights (.bin): a pickle is a "
                     "program, so it is not read here.  Convert each .bin file where you trust it, "
                     "with Python: from safetensors.torch import save_file; "
                     "save_file(torch.load(\"X.bin\", weights_only=True), \"X.safetensors\"); "
                     "one file is to be named model.safetensors, several are to be listed in "
                     "model.safetensors.index.json as they were in pytorch_model.bin.index.json",
                     dir);
    else if (one && many)
        s = at_error(
            c, AT_FORMAT,
            "%s: expected model.safetensors or model.safetensors.index.json in this folder", dir);
    at_free(one);
    at_free(many);
    return s;
}

at_status at_weights_open(at_ctx *c, const char *path, size_t verify_below, at_weights *out) {
    *out = (at_weights){0};
    const size_t len = strlen(path);
    const bool folder = at_is_dir(path);
    char *dir = folder ? at_strdup(c, path) : folder_of(c, path);
    char *single = folder && dir ? at_join(c, path, "model.safetensors") : NULL;
    char *index = folder && dir ? at_join(c, path, "model.safetensors.index.json") : NULL;
    at_status s = AT_OK;
    if (!dir || (folder && (!single || !index)))
        s = AT_OOM;
    else if (folder && at_exists(single))
        s = at_weights_add(c, out, single, verify_below);
    else if (folder && at_exists(index))
        s = add_index(c, out, dir, index, verify_below);
    else if (folder)
        s = no_weights(c, path);
    else if (len > 5 && !strcmp(path + len - 5, ".json"))
        s = add_index(c, out, dir, path, verify_below);
    else
        s = at_weights_add(c, out, path, verify_below);
    at_free(dir);
    at_free(single);
    at_free(index);
    if (s != AT_OK) at_weights_close(out);
    return s;
}

static const at_st_tensor *renamed(const at_weights *w, int64_t file, const char *name) {
    for (int64_t i = 0; i < at_st_count(w->file[file]); i++)
        if (!strcmp(w->as[file][i], name)) return at_st_at(w->file[file], i);
    return NULL;
}

const at_st_tensor *at_weights_find(const at_weights *w, const char *name, const at_st **file) {
    for (int64_t i = 0; i < w->n; i++) {
        const at_st_tensor *t = w->as[i] ? renamed(w, i, name) : at_st_find(w->file[i], name);
        if (t) {
            if (file) *file = w->file[i];
            return t;
        }
    }
    return NULL;
}

/* Copies the metadata, except for what the writer adds itself. */
static at_status copy_meta(at_ctx *c, const at_st *st, at_st_writer *w) {
    at_status s = AT_OK;
    for (int64_t i = 0; i < at_st_meta_count(st) && s == AT_OK; i++) {
        const char *key, *value;
        at_st_meta_at(st, i, &key, &value);
        if (strcmp(key, AT_ST_HASH_KEY) != 0) s = at_st_writer_meta(c, w, key, value);
    }
    return s;
}

at_status at_weights_save(at_ctx *c, const at_weights *w, const char *path,
                          bool (*choose)(void *user, const at_st_tensor *t, at_st_tensor *as),
                          void *user) {
    at_st_writer *to = NULL;
    at_status s = at_st_writer_open(c, path, &to);
    if (s == AT_OK) at_st_writer_interruptible(to);
    if (s == AT_OK && w->n) s = copy_meta(c, w->file[0], to);
    for (int64_t f = 0; f < w->n; f++)
        for (int64_t i = 0; i < at_st_count(w->file[f]) && s == AT_OK; i++) {
            const at_st_tensor *t = at_st_at(w->file[f], i);
            at_st_tensor as = *t;
            as.name = at_weights_name(w, f, i);
            if (!choose || choose(user, t, &as))
                s = at_st_writer_add_as(c, to, as.name, as.dtype, t);
        }
    if (s == AT_OK) s = at_st_writer_commit(c, to);
    at_st_writer_close(to);
    return s;
}

/* ---- loading ------------------------------------------------------------------ */

static at_status same_shape(at_ctx *c, const at_st *st, const at_st_tensor *t,
                            const at_tensor *want) {
    bool same = t->rank == want->rank;
    for (int i = 0; same && i < t->rank; i++) same = t->dim[i] == want->dim[i];
    if (same) return AT_OK;
    at_tensor found = {.rank = t->rank < AT_RANK_MAX ? t->rank : AT_RANK_MAX};
    for (int i = 0; i < found.rank; i++) found.dim[i] = t->dim[i];
    char a[96], b[96];
    return at_error(c, AT_FORMAT, "%s: tensor `%s`: expected shape %s, found %s", at_st_path(st),
                    t->name, at_shape_text(want, a), at_shape_text(&found, b));
}

at_status at_checkpoint_read(at_ctx *c, const at_st_tensor *t, at_real *out) {
#ifdef AT_REAL_DOUBLE
    return at_st_to_f64(c, t, out);
#else
    return at_st_to_f32(c, t, out);
#endif
}

enum {
    SMALL = 1 << 16
}; /* values; smaller tensors in BF16 are widened once, when they are loaded */

static const at_st_tensor *find(const at_weights *w, const at_load_options *how, const char *path,
                                const at_st **st) {
    const size_t n = strlen(how->prefix);
    const at_st_tensor *t = at_weights_find(w, path, st);
    return !t && n && !strncmp(path, how->prefix, n) ? at_weights_find(w, path + n, st) : t;
}

/* The tensor of a file with the values of a parameter. */
typedef struct source {
    const at_st *st;
    const at_st_tensor *t; /* of the stack, or of this parameter alone; NULL: nowhere */
    bool stacked, whole;   /* whole: it is of all slots; else of the first, others stand alone */
    at_st_tensor part;     /* of t */
} source;

/* Whether a tensor has a stack's first slots, before others that are in the files by themselves. */
static bool is_beginning(const at_st_tensor *t, const at_stack *k) {
    return t->rank == k->t.rank && t->rank > 1 && t->dim[0] > 0 && t->dim[0] < k->n;
}

static source locate(const at_weights *w, const at_load_options *how, const at_param_entry *e,
                     int64_t slot) {
    source x = {.whole = true}, alone = {0};
    x.t = find(w, how, e->of->path, &x.st);
    x.stacked = x.t != NULL;
    const bool some = x.t && is_beginning(x.t, e->of);
    if (!x.t || (some && slot >= x.t->dim[0])) alone.t = find(w, how, e->path, &alone.st);
    if (alone.t) x = alone;
    if (!x.t) return x;
    x.part = *x.t;
    if (!x.stacked) return x;
    if (some && slot < x.t->dim[0]) x.whole = false; /* those behind it are looked for in turn */
    x.part.bytes /= (size_t)(x.whole ? e->of->n : x.t->dim[0]);
    x.part.data = (const char *)x.t->data + (size_t)slot * x.part.bytes;
    return x;
}

static at_status check_shape(at_ctx *c, const source *x, const at_param_entry *e) {
    at_tensor want = x->stacked ? e->of->t : e->t;
    if (x->stacked && !x->whole) want.dim[0] = x->t->dim[0];
    return same_shape(c, x->st, x->t, &want);
}

/* Points e to its values in the mapped file if their type and alignment allow; false: they must be
   copied. */
static bool borrow(const source *x, at_param_entry *e) {
    const at_dtype own = sizeof(at_real) == 4 ? AT_DT_F32 : AT_DT_F64;
    const uintptr_t at = (uintptr_t)x->part.data;
    if (e->of->together && !(x->stacked && x->whole)) return false;
    if (x->t->dtype == own && at % sizeof(at_real) == 0)
        e->t.data = (at_real *)at; /* read only, see at_load_options */
    else if (x->t->dtype == AT_DT_BF16 && at % sizeof(uint16_t) == 0 && e->of->t.rank > 1 &&
             at_numel(&e->of->t) >= SMALL)
        e->t.bf16 = x->part.data;
    else
        return false;
    return true;
}

static at_status missing(at_ctx *c, const at_store *s, const at_weights *w,
                         const at_load_options *how, const at_stack *k, const at_param_entry *e) {
    bool some = false; /* the files have other slots of the stack */
    for (int64_t i = 0; i < k->n; i++) some |= locate(w, how, s->p[k->at + i], i).t != NULL;
    return at_error(c, AT_FORMAT, "%s: tensor `%s` is missing",
                    w->n == 1 ? at_st_path(w->file[0]) : "checkpoint", some ? e->path : k->path);
}

/* Borrows the values of a parameter, or only checks that they are there; *has: borrowed. */
static at_status place_one(at_ctx *c, const at_store *s, const at_weights *w,
                           const at_load_options *how, int64_t i, bool *has) {
    at_param_entry *e = s->p[i];
    if (e->absent && !e->of->together) { /* by the configuration: nothing of it is read */
        *has = true;
        return AT_OK;
    }
    const source x = locate(w, how, e, i - e->of->at);
    if (!x.t && how->partial && e->of->n > 1) {
        e->absent = *has = true;
        if (!e->of->together) e->t.data = e->of->t.data = NULL;
        return AT_OK;
    }
    if (!x.t) return missing(c, s, w, how, e->of, e);
    const at_status status = check_shape(c, &x, e);
    *has = status == AT_OK && how->borrow && borrow(&x, e);
    if (status == AT_OK && !*has)
        at_map_prefetch(x.part.data, x.part.bytes); /* small tensors are scattered over the file */
    return status;
}

static at_status read_one(at_ctx *c, const at_store *s, const at_weights *w,
                          const at_load_options *how, int64_t i, at_real *out) {
    const source x = locate(w, how, s->p[i], i - s->p[i]->of->at);
    const at_status status = at_checkpoint_read(c, &x.part, out);
    return status == AT_OK ? AT_OK : at_error_in(c, at_st_path(x.st));
}

static bool entry_of(const at_store *s, const char *name, at_checkpoint_entry *out) {
    *out = (at_checkpoint_entry){.stack = at_store_stack(s, name)};
    if (!out->stack) out->slot = at_store_find(s, name);
    out->path = out->stack ? out->stack->path : out->slot ? out->slot->path : NULL;
    return out->path != NULL;
}

bool at_checkpoint_find(const at_store *s, const at_load_options *how, const char *name,
                        at_checkpoint_entry *out) {
    char full[512];
    if (entry_of(s, name, out)) return true;
    if (strlen(how->prefix) + strlen(name) >= sizeof full) return false;
    strcpy(full, how->prefix);
    strcat(full, name);
    return entry_of(s, full, out);
}

static at_status given_twice(at_ctx *c, const at_st *st, const at_st_tensor *t,
                             const at_st *other) {
    return at_error(c, AT_FORMAT, "%s: tensor `%s` is given twice, the other is in %s",
                    at_st_path(st), t->name, at_st_path(other));
}

/* Whether a tensor of the stack has this slot, too. */
static bool in_stack(const at_store *s, const at_weights *w, const at_load_options *how,
                     const at_param_entry *e, const at_st **st) {
    const at_st_tensor *t = find(w, how, e->of->path, st);
    int64_t slot = 0;
    while (s->p[e->of->at + slot] != e) slot++;
    return t && !(is_beginning(t, e->of) && slot >= t->dim[0]);
}

/* Checks that every tensor of the files belongs to parameters or may be ignored. */
static at_status all_used(at_ctx *c, const at_store *s, const at_weights *w,
                          const at_load_options *how) {
    for (int64_t f = 0; f < w->n; f++)
        for (int64_t i = 0; i < at_st_count(w->file[f]); i++) {
            const at_st_tensor *t = at_st_at(w->file[f], i);
            const char *name = at_weights_name(w, f, i);
            const at_st *st = NULL;
            at_checkpoint_entry e;
            const bool known = at_checkpoint_find(s, how, name, &e);
            if (!known && how->ignore && how->ignore(name)) continue;
            if (!known)
                return at_error(c, AT_FORMAT,
                                "%s: tensor `%s` belongs to no parameter of this model",
                                at_st_path(w->file[f]), name);
            if (find(w, how, e.path, &st) != t || (e.slot && in_stack(s, w, how, e.slot, &st)))
                return given_twice(c, w->file[f], t, st);
        }
    return AT_OK;
}

at_status at_checkpoint_load(at_ctx *c, at_store *s, const at_weights *w,
                             const at_load_options *how) {
    at_status status = s->status;
    bool *has = at_calloc(c, (size_t)s->n, sizeof *has);
    if (!has) return AT_OOM;
    for (int64_t i = 0; i < s->n && status == AT_OK; i++)
        status = place_one(c, s, w, how, i, &has[i]);
    if (status == AT_OK) status = all_used(c, s, w, how);
    if (status == AT_OK && !s->value) status = at_store_alloc(s);
    for (int64_t i = 0; i < s->n && status == AT_OK; i++)
        if (!has[i]) status = read_one(c, s, w, how, i, s->p[i]->t.data);
    at_free(has);
    return status;
}

/* ---- saving -------------------------------------------------------------------- */

static at_real *slab_of(const at_store *s, const at_param_entry *e, at_slab what) {
    if (what == AT_SLAB_VALUE) return e->t.data;
    return (what == AT_SLAB_M ? s->m : s->v) + e->moment;
}

static bool holds(const at_param_entry *e, at_slab what) {
    return what == AT_SLAB_VALUE ? !e->absent : e->moment >= 0;
}

at_st_tensor at_checkpoint_tensor(const at_store *s, const at_param_entry *e, at_slab what) {
    const bool narrow = what == AT_SLAB_VALUE && e->t.bf16;
    at_st_tensor t = {.name = e->path, .rank = e->t.rank};
    t.dtype = narrow ? AT_DT_BF16 : sizeof(at_real) == 4 ? AT_DT_F32 : AT_DT_F64;
    t.data = narrow ? (const void *)e->t.bf16 : slab_of(s, e, what);
    t.bytes = (size_t)at_numel(&e->t) * at_dtype_size(t.dtype);
    memcpy(t.dim, e->t.dim, sizeof e->t.dim);
    return t;
}

static at_status each_of_stack(at_ctx *c, const at_store *s, const at_stack *k, at_slab what,
                               at_tensor_fn f, void *user) {
    at_st_tensor *part = at_malloc(c, (size_t)k->n * sizeof *part);
    if (!part) return AT_OOM;
    int64_t n = 0;
    for (int64_t i = 0; i < k->n; i++)
        if (holds(s->p[k->at + i], what))
            part[n++] = at_checkpoint_tensor(s, s->p[k->at + i], what);
    at_status status = AT_OK;
    if (n == k->n) {
        at_st_tensor all = part[0];
        all.name = k->path;
        all.rank = k->t.rank;
        memcpy(all.dim, k->t.dim, sizeof k->t.dim);
        status = f(user, &all, part, n);
    } else
        for (int64_t i = 0; i < n && status == AT_OK; i++) status = f(user, &part[i], &part[i], 1);
    at_free(part);
    return status;
}

at_status at_checkpoint_each(at_ctx *c, const at_store *s, at_slab what, at_tensor_fn f,
                             void *user) {
    at_status status = AT_OK;
    for (int64_t i = 0; i < s->n_stacks && status == AT_OK; i++)
        status = each_of_stack(c, s, s->stack[i], what, f, user);
    return status;
}

typedef struct sink {
    at_ctx *c;
    at_st_writer *w;
} sink;
static at_status write_tensor(void *user, const at_st_tensor *t, const at_st_tensor *part,
                              int64_t parts) {
    const sink *to = user;
    const at_dtype type = sizeof(at_real) == 4 ? AT_DT_F32 : AT_DT_F64;
    return at_st_writer_add_parts(to->c, to->w, t->name, type, t->rank, t->dim, part, parts);
}

at_status at_checkpoint_save(at_ctx *c, const at_store *s, at_slab what, const char *path,
                             const char *const *meta) {
    at_st_writer *w = NULL;
    at_status status = at_st_writer_open(c, path, &w);
    for (; status == AT_OK && meta && meta[0]; meta += 2)
        status = at_st_writer_meta(c, w, meta[0], meta[1]);
    if (status == AT_OK) status = at_checkpoint_each(c, s, what, write_tensor, &(sink){c, w});
    if (status == AT_OK) status = at_st_writer_commit(c, w);
    at_st_writer_close(w);
    return status;
}

at_status at_checkpoint_load_slab(at_ctx *c, at_store *s, at_slab what, const char *path) {
    const at_load_options how = {.prefix = ""};
    at_weights w = {0};
    at_status status = at_weights_open(c, path, SIZE_MAX, &w);
    for (int64_t i = 0; i < s->n && status == AT_OK; i++) {
        at_param_entry *e = s->p[i];
        if (!holds(e, what)) continue;
        const source x = locate(&w, &how, e, i - e->of->at);
        status = x.t ? check_shape(c, &x, e) : missing(c, s, &w, &how, e->of, e);
        if (status == AT_OK) status = read_one(c, s, &w, &how, i, slab_of(s, e, what));
    }
    at_weights_close(&w);
    return status;
}
