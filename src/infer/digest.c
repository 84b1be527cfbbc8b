/* digest.c - see digest.h. */
#include "infer/digest.h"
#include "base/file.h"
#include "base/half.h"
#include "infer/lm.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PIECE = 4096 }; /* values widened at a time */

typedef struct {
    char *name;
    at_st_tensor t;     /* type and shape               */
    at_st_tensor *part; /* values, one after the other */
    int64_t parts;
} item;

typedef struct {
    at_ctx *c;
    const char *group; /* "" or "EXPERT/", before the names added */
    item *item;
    int64_t n, cap;
    const at_store *known; /* of at_digest_shared */
    bool to_the_end;       /* whatever Ctrl-C says */
} items;

/* A name without the optional prefix. */
static const char *bare(const char *name) {
    static const char prefix[] = "transformer.";
    const size_t n = sizeof prefix - 1;
    return strncmp(name, prefix, n) == 0 ? name + n : name;
}

static at_status add(void *user, const at_st_tensor *t, const at_st_tensor *part, int64_t parts) {
    items *l = user;
    if (!at_reserve(l->c, &l->item, &l->cap, l->n + 1, sizeof *l->item)) return AT_OOM;
    const size_t n = strlen(l->group) + strlen(bare(t->name)) + 1;
    item e = {at_malloc(l->c, n), *t, at_malloc(l->c, (size_t)parts * sizeof *part), parts};
    if (!e.name || !e.part) {
        at_free(e.name);
        at_free(e.part);
        return AT_OOM;
    }
    (void)snprintf(e.name, n, "%s%s", l->group, bare(t->name));
    memcpy(e.part, part, (size_t)parts * sizeof *part);
    l->item[l->n++] = e;
    return AT_OK;
}

static void items_close(items *l) {
    for (int64_t i = 0; i < l->n; i++) {
        at_free(l->item[i].name);
        at_free(l->item[i].part);
    }
    at_free(l->item);
}

/* ---- collecting tensors ------------------------------------------------------------------- */

static at_status add_file(items *l, const char *group, const at_st *st) {
    at_status s = at_st_verify(l->c, st);
    l->group = group;
    for (int64_t i = 0; i < at_st_count(st) && s == AT_OK; i++)
        s = add(l, at_st_at(st, i), at_st_at(st, i), 1);
    return s;
}

/* The parameters of a model: without buffers, a tied head once. */
static at_status add_model(items *l, const char *group, const at_model *m) {
    at_status s = AT_OK;
    l->group = group;
    for (int64_t i = 0; i < m->weights.n && s == AT_OK; i++)
        s = at_st_verify(l->c, m->weights.file[i]);
    return s == AT_OK ? at_checkpoint_each(l->c, &m->store, AT_SLAB_VALUE, add, l) : s;
}

static at_status add_lm(items *l, const at_lm *m, const at_st *router) {
    at_status s = AT_OK;
    at_voice v;
    if (m->trunks && (s = at_trunks_voice(l->c, m->trunks, 0, &v)) == AT_OK)
        s = add_model(l, "", v.model);
    for (int i = 0; i < m->n_experts && !m->trunks && s == AT_OK; i++) {
        char group[256] = "";
        if (m->router) (void)snprintf(group, sizeof group, "%.250s/", m->expert[i].name);
        s = add_model(l, group, m->expert[i].model);
    }
    return s == AT_OK && router ? add_file(l, "router/", router) : s;
}

/* ---- hashing ------------------------------------------------------------------------------ */

static int by_name(const void *a, const void *b) {
    return strcmp(((const item *)a)->name, ((const item *)b)->name);
}

static void put_text(at_sha256 *h, const char *text) {
    at_sha256_update(h, text, strlen(text) + 1);
}

static at_status put_values(at_ctx *c, at_sha256 *h, const at_st_tensor *t) {
    if (t->dtype != AT_DT_F16 && t->dtype != AT_DT_BF16) {
        at_sha256_update(h, t->data, t->bytes);
        return AT_OK;
    }
    float wide[PIECE];
    at_status s = AT_OK;
    const size_t size = at_dtype_size(t->dtype), n = t->bytes / size;
    for (size_t i = 0; i < n && s == AT_OK; i += PIECE) {
        const size_t m = n - i < PIECE ? n - i : PIECE;
        at_st_tensor piece = *t;
        piece.data = (const char *)t->data + i * size;
        piece.bytes = m * size;
        s = at_st_to_f32(c, &piece, wide);
        at_sha256_update(h, wide, m * sizeof *wide);
    }
    return s;
}

/* Hashes a tensor and adds its number of values to *values. */
static at_status put_item(at_ctx *c, at_sha256 *h, const item *e, int64_t *values) {
    const at_st_tensor *t = &e->t;
    const bool narrow = t->dtype == AT_DT_F16 || t->dtype == AT_DT_BF16;
    char dims[AT_ST_RANK_MAX * 21 + 1] = "";
    for (int i = 0, n = 0; i < t->rank; i++)
        n += snprintf(dims + n, sizeof dims - (size_t)n, "%s%lld", i ? "," : "",
                      (long long)t->dim[i]);
    put_text(h, e->name);
    put_text(h, narrow ? "F32" : at_dtype_name(t->dtype));
    put_text(h, dims);
    at_status s = AT_OK;
    for (int64_t i = 0; i < e->parts && s == AT_OK; i++) {
        s = put_values(c, h, &e->part[i]);
        *values += (int64_t)(e->part[i].bytes / at_dtype_size(e->part[i].dtype));
    }
    return s;
}

static at_status digest(items *l, const char *path, at_digest *out) {
    at_ctx *c = l->c;
    at_sha256 h;
    unsigned char bytes[AT_SHA256_BYTES];
    at_sha256_init(&h);
    if (l->n > 1) qsort(l->item, (size_t)l->n, sizeof *l->item, by_name);
    *out = (at_digest){.tensors = l->n};
    at_status s = AT_OK;
    for (int64_t i = 0; i < l->n && s == AT_OK; i++) {
        if (i && !strcmp(l->item[i].name, l->item[i - 1].name))
            s = at_error(c, AT_FORMAT, "%s: tensor `%.200s` is there twice", path, l->item[i].name);
        if (s == AT_OK && !l->to_the_end && at_interrupted(c))
            s = at_error(c, AT_INTERRUPTED, "interrupted");
        if (s == AT_OK) s = put_item(c, &h, &l->item[i], &out->values);
    }
    at_sha256_final(&h, bytes);
    at_sha256_hex(bytes, out->hex);
    return s;
}

static at_status add_known(void *user, const at_st_tensor *t, const at_st_tensor *part,
                           int64_t parts) {
    const items *l = user;
    const bool known = at_store_stack(l->known, t->name) || at_store_find(l->known, t->name);
    return known ? add(user, t, part, parts) : AT_OK;
}

at_status at_digest_shared(at_ctx *c, const at_model *m, const at_model *other, at_digest *out) {
    items l = {.c = c, .group = "", .known = &other->store};
    at_status s = at_checkpoint_each(c, &m->store, AT_SLAB_VALUE, add_known, &l);
    if (s == AT_OK) s = digest(&l, "the model", out);
    items_close(&l);
    return s;
}

at_status at_digest_experts(at_ctx *c, const at_lm *m, const at_lm *known, at_digest *out) {
    items l = {.c = c};
    at_status s = AT_OK;
    for (int i = 0; i < known->n_experts && s == AT_OK; i++) {
        char group[256];
        const int e = at_lm_expert(m, known->expert[i].name);
        (void)snprintf(group, sizeof group, "%.250s/", known->expert[i].name);
        if (e >= 0) s = add_model(&l, group, m->expert[e].model);
    }
    if (s == AT_OK) s = digest(&l, m->path, out);
    items_close(&l);
    return s;
}

at_status at_digest_model(at_ctx *c, const at_model *m, at_digest *out) {
    items l = {.c = c};
    at_status s = add_model(&l, "", m);
    if (s == AT_OK) s = digest(&l, m->path ? m->path : "the model", out);
    items_close(&l);
    return s;
}

at_status at_digest_slot(at_ctx *c, at_model *m, const at_bank *b, int64_t slot, at_digest *out) {
    items l = {.c = c, .group = ""};
    at_param_entry *e[AT_BANK_PARTS + 1];
    const int n = at_bank_slot(b, slot, e);
    at_status s = AT_OK;
    for (int i = 0; i < n && s == AT_OK; i++) {
        const at_st_tensor t = at_checkpoint_tensor(&m->store, e[i], AT_SLAB_VALUE);
        s = e[i]->absent ? at_error(l.c, AT_ARG, "digest: parameter `%s` is absent", e[i]->path)
                         : add(&l, &t, &t, 1);
    }
    if (s == AT_OK) s = digest(&l, "the model", out);
    items_close(&l);
    return s;
}

at_status at_digest_member(at_ctx *c, const at_store *s, const at_banks *banks,
                           const int64_t *first, const int64_t *n, at_digest *out) {
    items l = {.c = c, .group = "", .to_the_end = true};
    at_status status = at_member_each(s, banks, first, n, add, &l);
    if (status == AT_OK) status = digest(&l, "the module", out);
    items_close(&l);
    return status;
}

static at_status of_folder(at_ctx *c, const char *path, at_digest *out) {
    at_lm *m = NULL;
    at_st *router = NULL;
    items l = {.c = c};
    at_status s = at_lm_load(c, path, &m);
    char *file = s == AT_OK && m->router ? at_join(c, path, AT_ROUTER_FILE) : NULL;
    if (s == AT_OK && m->router) s = file ? at_st_open(c, file, &router) : AT_OOM;
    if (s == AT_OK) s = add_lm(&l, m, router);
    if (s == AT_OK) s = digest(&l, path, out);
    items_close(&l);
    at_free(file);
    at_st_close(router);
    at_lm_close(m);
    return s;
}

static at_status of_files(at_ctx *c, const char *path, at_digest *out) {
    at_weights w;
    items l = {.c = c};
    at_status s = at_weights_open(c, path, 0, &w);
    for (int64_t i = 0; i < w.n && s == AT_OK; i++) s = add_file(&l, "", w.file[i]);
    if (s == AT_OK) s = digest(&l, path, out);
    items_close(&l);
    at_weights_close(&w);
    return s;
}

at_status at_digest_of(at_ctx *c, const char *path, at_digest *out) {
    if (!at_is_dir(path)) return of_files(c, path, out);
    char *config = at_join(c, path, "config.json"), *model = at_join(c, path, "model");
    at_status s = config && model ? AT_OK : AT_OOM;
    if (s == AT_OK && at_exists(config))
        s = of_folder(c, path, out);
    else if (s == AT_OK && at_is_dir(model))
        s = of_folder(c, model, out);
    else if (s == AT_OK)
        s = at_error(c, AT_FORMAT,
                     "%s: expected a model or a checkpoint (config.json) or a run with its model/",
                     path);
    at_free(config);
    at_free(model);
    return s;
}
