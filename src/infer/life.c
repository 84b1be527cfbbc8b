/* life.c - see life.h. */
#include "infer/life.h"
#include "arch/read.h"
#include "base/file.h"
#include "base/rng.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* ---- a module's file ------------------------------------------------------------------------------ */

void at_module_file_close(at_module_file *f) {
    at_st_close(f->st);
    cJSON_Delete(f->passport);
    *f = (at_module_file){0};
}

static at_status read_passport(at_ctx *c, const char *path, at_module_file *f) {
    const cJSON *base = NULL;
    const char *text = at_st_meta(f->st, AT_PASSPORT_KEY);
    if (!text)
        return at_error(c, AT_FORMAT,
                        "%s: expected a module's file, whose metadata have a passport (%s)", path,
                        AT_PASSPORT_KEY);
    f->passport = at_json_parse(c, path, text, strlen(text));
    if (!f->passport) return c->status;
    at_status s = at_json_string(c, path, f->passport, "name", &f->name);
    if (s == AT_OK) s = at_json_string(c, path, f->passport, "digest", &f->digest);
    if (s == AT_OK) s = at_json_string(c, path, f->passport, "tokenizer", &f->tokenizer);
    if (s == AT_OK) s = at_json_object(c, path, f->passport, "base", &base);
    if (s == AT_OK) s = at_json_string(c, path, base, "digest", &f->base);
    return s;
}

at_status at_module_file_open(at_ctx *c, const char *path, at_module_file *f) {
    at_digest d;
    *f = (at_module_file){0};
    at_status s = at_st_open(c, path, &f->st);
    if (s == AT_OK) s = at_st_verify(c, f->st);
    if (s == AT_OK) s = read_passport(c, path, f);
    if (s == AT_OK) s = at_digest_of(c, path, &d);
    if (s == AT_OK && strcmp(d.hex, f->digest) != 0)
        s = at_error(
            c, AT_MISMATCH,
            "%s: its passport says that its tensors have digest %.12s, but they have %.12s", path,
            f->digest, d.hex);
    if (s != AT_OK) at_module_file_close(f);
    return s;
}

at_status at_module_file_write(at_ctx *c, const char *from, const cJSON *passport,
                               const char *tokenizer, const char *to) {
    at_st *st = NULL;
    at_st_writer *w = NULL;
    char *text = at_json_text(c, passport);
    at_status s = text ? at_st_open(c, from, &st) : AT_OOM;
    if (s == AT_OK) s = at_st_writer_open(c, to, &w);
    if (s == AT_OK && tokenizer) s = at_st_writer_meta(c, w, "artel.tokenizer", tokenizer);
    if (s == AT_OK) s = at_st_writer_meta(c, w, AT_PASSPORT_KEY, text);
    for (int64_t i = 0; s == AT_OK && i < at_st_count(st); i++) {
        const at_st_tensor *t = at_st_at(st, i);
        s = at_st_writer_add_as(c, w, t->name, t->dtype, t);
    }
    if (s == AT_OK) s = at_st_writer_commit(c, w);
    at_st_writer_close(w);
    at_st_close(st);
    at_free(text);
    return s;
}

/* ---- the model ------------------------------------------------------------------------------------- */

at_status at_base_digest(at_ctx *c, const char *model, at_digest *out) {
    at_model *m = NULL;
    at_status s = at_model_load_base(c, model, &m);
    if (s == AT_OK) s = at_digest_model(c, m, out);
    at_model_close(m);
    return s;
}

/* Opens a mixture, and nothing else. */
static at_status open_mixture(at_ctx *c, const char *path, at_lm **out) {
    const at_status s = at_lm_load(c, path, out);
    if (s != AT_OK) return s;
    const at_model *m = (*out)->expert[0].model;
    if (m && !(*out)->router && at_model_banks(m)) return AT_OK;
    return at_error(c, AT_CONFIG, "%s: expected a mixture, which may have modules, found %s", path,
                    m && !(*out)->router ? m->arch->name : "a composed model");
}

at_status at_module_copy_model(at_ctx *c, const char *model, const char *dir) {
    at_list l = {0};
    at_status s = at_list_tree(c, model, &l);
    for (int64_t i = 0; i < l.n && s == AT_OK; i++) {
        if (!strcmp(l.item[i], "certificate.json")) continue;
        char *from = at_join(c, model, l.item[i]), *to = at_join(c, dir, l.item[i]);
        char *slash = to ? strrchr(to, '/') : NULL;
        s = from && to ? AT_OK : AT_OOM;
        if (s == AT_OK && at_interrupted(c)) s = at_error(c, AT_INTERRUPTED, "interrupted");
        if (s == AT_OK) {
            *slash = 0;
            s = at_make_dir(c, to);
            *slash = '/';
        }
        if (s == AT_OK) s = at_copy_file(c, from, to);
        at_free(from);
        at_free(to);
    }
    at_list_free(&l);
    return s;
}

/* ---- artel.json ------------------------------------------------------------------------------------ */

/* What happened to a model, into its history. */
typedef struct {
    const char *what, *name, *digest;
    int64_t id;
} happened;

static void put_event(at_json *j, const happened *h) {
    at_json_begin_object(j, NULL);
    at_json_put_string(j, "what", h->what);
    at_json_put_number(j, "id", (double)h->id);
    at_json_put_string(j, "name", h->name);
    at_json_put_string(j, "digest", h->digest);
    at_json_end(j);
}

static void put_list(at_json *j, const cJSON *list, const cJSON *without) {
    const cJSON *e = NULL;
    cJSON_ArrayForEach(e, list) if (e != without) at_json_put_value(j, NULL, e);
}

static int64_t last_id(const at_members *l) {
    const cJSON *v = cJSON_GetObjectItemCaseSensitive(l->record, "ids");
    return cJSON_IsNumber(v) ? (int64_t)v->valuedouble : 0;
}

/* The record of a folder anew: without a module, with one more (a JSON object), or both; and what happened, or
   NULL. */
static at_status write_record(at_ctx *c, const char *dir, const at_members *l,
                              const at_digest *base, const cJSON *without, const cJSON *more,
                              const happened *h) {
    char *path = at_join(c, dir, AT_RECORD_FILE);
    const int64_t ids = h && more ? h->id : last_id(l);
    at_json j;
    at_json_open_file(&j, c);
    at_json_put_number(&j, "format", 2);
    at_json_begin_object(&j, "base");
    at_json_put_string(&j, "digest", base->hex);
    at_json_put_number(&j, "parameters", (double)base->values);
    at_json_end(&j);
    at_json_begin_list(&j, "modules");
    put_list(&j, cJSON_GetObjectItemCaseSensitive(l->record, "modules"), without);
    if (more) at_json_put_value(&j, NULL, more);
    at_json_end(&j);
    at_json_put_number(&j, "ids", (double)ids);
    at_json_begin_list(&j, "history");
    put_list(&j, cJSON_GetObjectItemCaseSensitive(l->record, "history"), NULL);
    if (h) put_event(&j, h);
    at_json_end(&j);
    const at_status s = path ? at_json_save(&j, path) : AT_OOM;
    if (!path) at_json_close(&j);
    at_free(path);
    return s;
}

static cJSON *new_entry(at_ctx *c, const at_module_file *f, int64_t id, const char *name,
                        const char *file) {
    at_json j;
    at_json_open(&j, c);
    at_json_put_number(&j, "id", (double)id);
    at_json_put_string(&j, "name", name);
    at_json_put_string(&j, "file", file);
    at_json_put_value(&j, "slots", cJSON_GetObjectItemCaseSensitive(f->passport, "slots"));
    at_json_put_value(&j, "passport", f->passport);
    return at_json_value(&j, "module");
}

/* ---- adding ---------------------------------------------------------------------------------------- */

static at_status check_fits(at_ctx *c, const char *dir, const char *file, const at_module_file *f,
                            const char *name, const at_members *l, const at_digest *base,
                            const char *hash) {
    if (!at_name_ok(name))
        return at_error(c, AT_ARG, "`%.80s`: expected up to 64 letters, digits and ._-+", name);
    if (at_member_find(l, name) >= 0)
        return at_error(c, AT_ARG, "%s has a module `%s` already: give this one another name", dir,
                        name);
    if (strcmp(f->base, base->hex) != 0)
        return at_error(c, AT_MISMATCH,
                        "%s: module `%s` was trained on a base with digest %.12s, that of %s has "
                        "%.12s",
                        file, f->name, f->base, dir, base->hex);
    if (*f->tokenizer && hash && strcmp(f->tokenizer, hash) != 0)
        return at_error(c, AT_MISMATCH,
                        "%s: module `%s` was trained with tokenizer %.12s, %s has %.12s", file,
                        f->name, f->tokenizer, dir, hash);
    if (l->n == AT_MEMBERS_MAX)
        return at_error(c, AT_UNSUPPORTED, "%s has %d modules, the most there may be", dir, l->n);
    return AT_OK;
}

static const char *digest_in(const cJSON *passport) {
    const cJSON *v = cJSON_GetObjectItemCaseSensitive(passport, "digest");
    return cJSON_IsString(v) ? v->valuestring : "";
}

static const cJSON *passport_of(const at_member *m) {
    return cJSON_GetObjectItemCaseSensitive(m->entry, "passport");
}

/* A module that was trained beside others answers otherwise without them. */
static void warn_of_companions(at_ctx *c, const at_module_file *f, const at_members *l) {
    const cJSON *base = cJSON_GetObjectItemCaseSensitive(f->passport, "base"), *e = NULL;
    cJSON_ArrayForEach(e, cJSON_GetObjectItemCaseSensitive(base, "modules")) {
        bool here = false;
        for (int i = 0; i < l->n; i++)
            here |= !strcmp(digest_in(passport_of(&l->item[i])), digest_in(e));
        const cJSON *name = cJSON_GetObjectItemCaseSensitive(e, "name");
        if (!here)
            at_log(c, AT_LOG_WARN,
                   "module `%s` was trained beside module `%s`, which is not here: it answers "
                   "otherwise than it did there",
                   f->name, cJSON_IsString(name) ? name->valuestring : "?");
    }
}

at_status at_module_put(at_ctx *c, const char *dir, const char *shown, const char *file,
                        const char *as, const char *what, const at_digest *base,
                        at_life_event *done) {
    at_lm *m = NULL;
    at_module_file f = {0};
    at_members l = {0};
    cJSON *entry = NULL;
    char rel[160] = "", *to = NULL, *modules = at_join(c, dir, "modules");
    at_status s = modules ? open_mixture(c, dir, &m) : AT_OOM;
    if (s == AT_OK) s = at_members_read(c, dir, &l);
    if (s == AT_OK) s = at_module_file_open(c, file, &f);
    const char *name = as ? as : f.name;
    if (s == AT_OK) s = check_fits(c, shown, file, &f, name, &l, base, m->hash);
    at_lm_close(m);
    const int64_t id = last_id(&l) + 1;
    if (s == AT_OK) {
        warn_of_companions(c, &f, &l);
        (void)snprintf(rel, sizeof rel, "modules/%03" PRId64 "-%.64s.safetensors", id, name);
        s = (to = at_join(c, dir, rel)) ? at_make_dir(c, modules) : AT_OOM;
    }
    if (s == AT_OK) s = at_copy_file(c, file, to);
    if (s == AT_OK) s = (entry = new_entry(c, &f, id, name, rel)) ? AT_OK : AT_OOM;
    if (s == AT_OK)
        s = write_record(c, dir, &l, base, NULL, entry, &(happened){what, name, f.digest, id});
    if (s == AT_OK) {
        *done = (at_life_event){.id = id, .base = *base};
        (void)snprintf(done->name, sizeof done->name, "%s", name);
        (void)snprintf(done->digest, sizeof done->digest, "%s", f.digest);
    }
    cJSON_Delete(entry);
    at_module_file_close(&f);
    at_members_close(&l);
    at_free(to);
    at_free(modules);
    return s;
}

at_status at_module_reseal(at_ctx *c, const char *dir, const char *file, const at_digest *base) {
    at_module_file f = {0};
    at_members l = {0};
    cJSON *entry = NULL;
    at_status s = at_module_file_open(c, file, &f);
    if (s == AT_OK) s = at_members_read(c, dir, &l);
    const at_member *m = s == AT_OK && l.n ? &l.item[l.n - 1] : NULL;
    if (s == AT_OK && !m) s = at_error(c, AT_ARG, "%s has no modules", dir);
    char *to = s == AT_OK ? at_join(c, dir, m->file) : NULL;
    if (s == AT_OK) s = to ? at_copy_file(c, file, to) : AT_OOM;
    if (s == AT_OK) s = (entry = new_entry(c, &f, m->id, m->name, m->file)) ? AT_OK : AT_OOM;
    if (s == AT_OK) s = write_record(c, dir, &l, base, m->entry, entry, NULL);
    cJSON_Delete(entry);
    at_module_file_close(&f);
    at_members_close(&l);
    at_free(to);
    return s;
}

/* ---- what a module was trained beside ------------------------------------------------------------------- */

void at_life_link(at_json *j, const char *what, const char *name, const char *recorded,
                  const char *found) {
    at_json_begin_object(j, NULL);
    at_json_put_string(j, "what", what);
    at_json_put_string(j, "name", name);
    at_json_put_string(j, "recorded", recorded);
    at_json_put_string(j, "found", found);
    at_json_end(j);
}

/* A module of the model with the digest that is recorded, or -1; *instead: what the one of this name has. */
static int find_digest(const at_members *l, const char *name, const char *digest,
                       const char **instead) {
    *instead = "none";
    for (int i = 0; i < l->n; i++)
        if (!strcmp(digest_in(passport_of(&l->item[i])), digest)) return i;
    const int i = at_member_find(l, name);
    if (i >= 0) *instead = digest_in(passport_of(&l->item[i]));
    return -1;
}

/* One of those it was trained beside, into the folder. */
static at_status put_beside(at_ctx *c, const char *model, const char *file, const cJSON *told,
                            const at_members *l, const at_digest *base, const char *dir,
                            at_json *links) {
    const char *name, *digest, *instead;
    char rel[160];
    int64_t id;
    at_module_file f = {0};
    at_members here = {0};
    cJSON *entry = NULL;
    char *from = NULL, *to = NULL;
    at_status s = at_json_string(c, file, told, "name", &name);
    if (s == AT_OK) s = at_json_string(c, file, told, "digest", &digest);
    if (s == AT_OK) s = at_json_int(c, file, told, "id", 1, (int64_t)1 << 52, &id);
    if (s == AT_OK && !at_name_ok(name))
        s = at_error(c, AT_FORMAT, "%s: field \"name\" of a module beside: found `%.80s`", file,
                     name);
    if (s != AT_OK) return s;
    const int i = find_digest(l, name, digest, &instead);
    at_life_link(links, "module", name, digest, i >= 0 ? digest : instead);
    if (i < 0)
        return at_error(c, AT_MISMATCH,
                        "%s: it was trained beside module `%s` with digest %.12s, %s has %.12s",
                        file, name, digest, model, instead);
    (void)snprintf(rel, sizeof rel, "modules/%03" PRId64 "-%.64s.safetensors", id, name);
    from = at_join(c, model, l->item[i].file);
    to = at_join(c, dir, rel);
    s = from && to ? at_module_file_open(c, from, &f) : AT_OOM;
    if (s == AT_OK) s = at_copy_file(c, from, to);
    if (s == AT_OK) s = at_members_read(c, dir, &here);
    if (s == AT_OK) s = (entry = new_entry(c, &f, id, name, rel)) ? AT_OK : AT_OOM;
    if (s == AT_OK)
        s = write_record(c, dir, &here, base, NULL, entry, &(happened){"add", name, digest, id});
    cJSON_Delete(entry);
    at_module_file_close(&f);
    at_members_close(&here);
    at_free(from);
    at_free(to);
    return s;
}

at_status at_module_beside(at_ctx *c, const char *model, const char *file, const at_module_file *f,
                           const char *dir, at_json *links) {
    at_lm *m = NULL;
    at_members l = {0};
    at_digest base = {0};
    const cJSON *of = cJSON_GetObjectItemCaseSensitive(f->passport, "base"), *told = NULL;
    char *modules = at_join(c, dir, "modules");
    at_status s = modules ? open_mixture(c, model, &m) : AT_OOM;
    const char *hash = s == AT_OK && m->hash ? m->hash : "";
    if (s == AT_OK) s = at_base_digest(c, model, &base);
    if (s == AT_OK) at_life_link(links, "base", "base", f->base, base.hex);
    if (s == AT_OK) at_life_link(links, "tokenizer", "tokenizer", f->tokenizer, hash);
    if (s == AT_OK && strcmp(f->base, base.hex) != 0)
        s = at_error(c, AT_MISMATCH,
                     "%s: it was trained on a base with digest %.12s, that of %s has %.12s", file,
                     f->base, model, base.hex);
    if (s == AT_OK && strcmp(f->tokenizer, hash) != 0)
        s = at_error(c, AT_MISMATCH, "%s: it was trained with tokenizer %.12s, %s has %.12s", file,
                     f->tokenizer, model, *hash ? hash : "none");
    at_lm_close(m);
    if (s == AT_OK) s = at_members_read(c, model, &l);
    if (s == AT_OK) s = at_module_copy_model(c, model, dir);
    if (s == AT_OK) s = at_remove_tree(c, modules);
    if (s == AT_OK) s = at_make_dir(c, modules);
    if (s == AT_OK) s = write_record(c, dir, &(at_members){0}, &base, NULL, NULL, NULL);
    cJSON_ArrayForEach(told, cJSON_GetObjectItemCaseSensitive(of, "modules")) if (s == AT_OK) s =
        put_beside(c, model, file, told, &l, &base, dir, links);
    at_members_close(&l);
    at_free(modules);
    return s;
}

/* ---- a new folder --------------------------------------------------------------------------------- */

typedef struct {
    at_ctx *c;
    char *bare, *dir; /* where it is to be, and while it is made */
} making;

static at_status begin(at_ctx *c, const char *model, const char *out, making *w) {
    *w = (making){.c = c};
    at_status s = at_check_new_dir(c, out);
    if (s == AT_OK) s = (w->bare = at_path_trim(c, out)) ? AT_OK : c->status;
    if (s == AT_OK) s = at_partial_dir(c, w->bare, &w->dir);
    return s == AT_OK ? at_module_copy_model(c, model, w->dir) : s;
}

/* It is opened before it gets its name. */
static at_status end(making *w, at_status s) {
    at_lm *m = NULL;
    if (s == AT_OK) s = at_lm_load(w->c, w->dir, &m);
    if (s == AT_OK) s = at_lm_finite(w->c, m);
    at_lm_close(m);
    if (s == AT_OK) s = at_partial_commit(w->c, w->dir, w->bare);
    at_partial_drop(w->c, w->dir);
    at_free(w->bare);
    return s;
}

at_status at_module_add(at_ctx *c, const char *model, const char *file, const char *as,
                        const char *out, at_life_event *done) {
    making w;
    at_digest base;
    at_lm *m = NULL;
    at_status s = open_mixture(c, model, &m);
    at_lm_close(m);
    if (s == AT_OK) s = at_base_digest(c, model, &base);
    if (s != AT_OK) return s;
    s = begin(c, model, out, &w);
    if (s == AT_OK) s = at_module_put(c, w.dir, model, file, as, "add", &base, done);
    return end(&w, s);
}

/* Index of the module, or AT_ARG. */
static at_status find_module(at_ctx *c, const char *model, const at_members *l, const char *name,
                             int *out) {
    at_lm *m = NULL;
    *out = at_member_find(l, name);
    if (*out >= 0) return AT_OK;
    const at_status opened = l->n ? AT_OK : open_mixture(c, model, &m);
    at_lm_close(m);
    if (opened != AT_OK) return opened;
    at_text t;
    at_text_init(&t, c, 0);
    for (int i = 0; i < l->n; i++) at_textf(&t, "%s`%s`", i ? ", " : "", l->item[i].name);
    char *names = at_text_take(&t);
    if (!names) return AT_OOM;
    const at_status s = at_error(c, AT_ARG, "%s has no module `%.80s`, it has %.600s", model, name,
                                 *names ? names : "none");
    at_free(names);
    return s;
}

at_status at_module_export(at_ctx *c, const char *model, const char *name, const char *out) {
    at_members l = {0};
    at_module_file f = {0};
    int i = 0;
    at_status s = at_check_out_file(c, out);
    if (s == AT_OK) s = at_members_read(c, model, &l);
    if (s == AT_OK) s = find_module(c, model, &l, name, &i);
    char *path = s == AT_OK ? at_join(c, model, l.item[i].file) : NULL;
    if (s == AT_OK) s = path ? at_module_file_open(c, path, &f) : AT_OOM;
    if (s == AT_OK) s = at_copy_file(c, path, out);
    at_module_file_close(&f);
    at_members_close(&l);
    at_free(path);
    return s;
}

static bool has_digest(const at_members *l, const char *digest) {
    for (int i = 0; i < l->n; i++)
        if (!strcmp(digest_in(passport_of(&l->item[i])), digest)) return true;
    return false;
}

at_status at_module_merge(at_ctx *c, const char *model, const char *other, const char *out,
                          int64_t *added) {
    making w;
    at_digest a, b;
    at_members own = {0}, theirs = {0};
    at_life_event done;
    *added = 0;
    at_status s = at_base_digest(c, model, &a);
    if (s == AT_OK) s = at_base_digest(c, other, &b);
    if (s == AT_OK && strcmp(a.hex, b.hex) != 0)
        s = at_error(c, AT_MISMATCH,
                     "%s and %s did not grow from one base: the digests of theirs are %.12s and "
                     "%.12s",
                     model, other, a.hex, b.hex);
    if (s == AT_OK) s = at_members_read(c, model, &own);
    if (s == AT_OK) s = at_members_read(c, other, &theirs);
    if (s == AT_OK) {
        s = begin(c, model, out, &w);
        for (int i = 0; i < theirs.n && s == AT_OK; i++) {
            const at_member *m = &theirs.item[i];
            if (has_digest(&own, digest_in(passport_of(m)))) continue;
            char *file = at_join(c, other, m->file);
            s = file ? at_module_put(c, w.dir, model, file, m->name, "merge", &a, &done) : AT_OOM;
            at_free(file);
            *added += s == AT_OK;
        }
        s = end(&w, s);
    }
    at_members_close(&own);
    at_members_close(&theirs);
    return s;
}

/* ---- dropping --------------------------------------------------------------------------------------- */

void at_removal_close(at_removal *r) {
    cJSON_Delete(r->chain);
    *r = (at_removal){0};
}

static const char *text_in(const cJSON *o, const char *key) {
    const cJSON *v = cJSON_GetObjectItemCaseSensitive(o, key);
    return cJSON_IsString(v) ? v->valuestring : "";
}

static void doubt(at_removal *r, const char *fmt, const char *a, const char *b) {
    if (!r->holds) return;
    r->holds = false;
    (void)snprintf(r->reason, sizeof r->reason, fmt, a, b);
}

/* Whether another module was trained while this one was there. */
static bool saw(const at_member *m, const char *digest) {
    const cJSON *base = cJSON_GetObjectItemCaseSensitive(passport_of(m), "base"), *e = NULL;
    cJSON_ArrayForEach(e, cJSON_GetObjectItemCaseSensitive(
                              base, "modules")) if (!strcmp(digest_in(e), digest)) return true;
    return false;
}

/* Of the base and of each module that stays: the digest that was recorded, and the one that is there. */
static at_status look(at_ctx *c, const char *dir, const at_members *l, int gone,
                      const at_digest *base, at_removal *r) {
    const cJSON *passport = passport_of(&l->item[gone]);
    const char *name = l->item[gone].name;
    const cJSON *trained = cJSON_GetObjectItemCaseSensitive(passport, "base");
    at_json j;
    at_status s = AT_OK;
    r->holds = true;
    at_json_open_value(&j, c);
    at_json_begin_list(&j, NULL);
    at_life_link(&j, "base", "base", text_in(trained, "digest"), base->hex);
    if (strcmp(text_in(trained, "digest"), base->hex) != 0)
        doubt(r, "the base is not the one that module `%s` was trained on%s", name, "");
    if (strcmp(text_in(passport, "trained"), "alone") != 0)
        doubt(r, "module `%s` was trained jointly: what is left learned from its data, too%s", name,
              "");
    for (int i = 0; i < l->n && s == AT_OK; i++) {
        at_digest d = {0};
        if (i == gone) continue;
        char *file = at_join(c, dir, l->item[i].file);
        s = file ? at_digest_of(c, file, &d) : AT_OOM;
        at_free(file);
        at_life_link(&j, "module", l->item[i].name, digest_in(passport_of(&l->item[i])), d.hex);
        if (strcmp(digest_in(passport_of(&l->item[i])), d.hex) != 0)
            doubt(r, "module `%s` is not the one that its passport describes%s", l->item[i].name,
                  "");
        if (saw(&l->item[i], digest_in(passport)))
            doubt(r, "module `%s` was trained while `%s` was there, and so knows of it",
                  l->item[i].name, name);
    }
    r->chain = at_json_value(&j, "chain");
    return s == AT_OK && !r->chain ? AT_OOM : s;
}

typedef struct {
    at_real *to;
    int64_t V;
} keep;
static void put_row(void *user, int64_t i, const at_real *logits) {
    const keep *k = user;
    memcpy(k->to + i * k->V, logits, (size_t)k->V * sizeof *logits);
}

/* Logits of tokens drawn at random: of the old model with the module excluded, and of the new one. */
static at_status compare_logits(at_ctx *c, at_model *m[2], const uint64_t mask[2], at_removal *r) {
    enum { T = 64 };
    int32_t ids[T];
    at_compute cp;
    at_arena arena;
    const int64_t V = m[0]->dims.vocab, n = m[0]->dims.context < T ? m[0]->dims.context : T;
    at_real *out[2] = {at_malloc(c, (size_t)(n * V) * sizeof(at_real)),
                       at_malloc(c, (size_t)(n * V) * sizeof(at_real))};
    at_status s = out[0] && out[1] ? at_compute_open(&cp, c) : AT_OOM;
    if (s == AT_OK) {
        at_arena_init(&arena, c);
        for (int64_t i = 0; i < n; i++)
            ids[i] = (int32_t)at_rand_below((uint64_t)V, 1, AT_STREAM_LAB, (uint64_t)i);
        for (int i = 0; i < 2 && s == AT_OK; i++) {
            keep k = {out[i], V};
            const at_input in = {.ids = ids, .B = 1, .T = n, .modules = mask[i]};
            s = at_model_read(&cp, &arena, m[i], &in, NULL,
                              &(at_readout){.logits = put_row, .user = &k, .rows = n});
        }
        at_arena_close(&arena);
        at_compute_close(&cp);
    }
    if (s == AT_OK) r->compared = n * V;
    if (s == AT_OK && memcmp(out[0], out[1], (size_t)(n * V) * sizeof(at_real)) != 0)
        s = at_error(c, AT_MISMATCH,
                     "what is left answers otherwise than the model with the module excluded");
    at_free(out[0]);
    at_free(out[1]);
    return s;
}

static at_status compare_answers(at_ctx *c, const char *before, int gone, const char *after,
                                 at_removal *r) {
    at_model *m[2] = {NULL, NULL};
    bool use[AT_MEMBERS_MAX];
    at_status s = at_model_load(c, before, false, &m[0]);
    if (s == AT_OK) s = at_model_load(c, after, false, &m[1]);
    for (int i = 0; i < AT_MEMBERS_MAX; i++) use[i] = i != gone;
    if (s == AT_OK)
        s = compare_logits(c, m, (const uint64_t[]){at_members_mask(&m[0]->members, use), 0}, r);
    at_model_close(m[0]);
    at_model_close(m[1]);
    return s;
}

at_status at_module_drop(at_ctx *c, const char *model, const char *name, bool certify,
                         const char *out, at_life_event *done, at_removal *r) {
    making w;
    at_digest base;
    at_members l = {0};
    int gone = 0;
    *r = (at_removal){0};
    at_status s = at_members_read(c, model, &l);
    if (s == AT_OK) s = find_module(c, model, &l, name, &gone);
    if (s == AT_OK) s = at_base_digest(c, model, &base);
    if (s == AT_OK) s = look(c, model, &l, gone, &base, r);
    if (s == AT_OK && certify && !r->holds)
        s = at_error(c, AT_MISMATCH, "%s: the removal of `%s` is not exact: %s", model, name,
                     r->reason);
    if (s == AT_OK) {
        const at_member *m = &l.item[gone];
        const char *digest = digest_in(passport_of(m));
        s = begin(c, model, out, &w);
        if (s == AT_OK)
            s = write_record(c, w.dir, &l, &base, m->entry, NULL,
                             &(happened){"drop", m->name, digest, m->id});
        char *file = s == AT_OK ? at_join(c, w.dir, l.n > 1 ? m->file : "modules") : NULL;
        if (s == AT_OK) s = file ? at_remove_tree(c, file) : AT_OOM;
        at_free(file);
        if (s == AT_OK) s = compare_answers(c, model, gone, w.dir, r);
        *done = (at_life_event){.id = m->id, .base = base};
        (void)snprintf(done->name, sizeof done->name, "%s", m->name);
        (void)snprintf(done->digest, sizeof done->digest, "%s", digest);
        s = end(&w, s);
    }
    at_members_close(&l);
    return s;
}
