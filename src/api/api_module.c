/* api_module.c - modules of a mixture: listed, shown, shipped, added, dropped. */
#include "api/api.h"
#include "base/file.h"
#include "infer/life.h"
#include "train/verify.h"
#include <string.h>

static artel_status emit_value(artel *a, const cJSON *v, artel_emit emit, void *user) {
    at_json j;
    at_json_open_value(&j, &a->ctx);
    at_json_put_value(&j, NULL, v);
    return at_emit(a, emit, user, &j);
}

/* artel.json of a folder; NULL with the reason, or AT_OK: there is none. */
static cJSON *record_of(at_ctx *c, const char *model, at_status *s) {
    char *path = at_join(c, model, AT_RECORD_FILE);
    cJSON *o = NULL;
    *s = path ? AT_OK : AT_OOM;
    if (path && !at_is_dir(model))
        *s = at_error(c, AT_IO, "%s: expected a model folder, found %s", model,
                      at_exists(model) ? "a file" : "nothing");
    else if (path && at_exists(path) && !(o = at_json_read(c, path)))
        *s = c->status;
    at_free(path);
    return o;
}

/* One a module, without what is long. */
static artel_status emit_entry(artel *a, const cJSON *e, artel_emit emit, void *user) {
    static const char *const own[] = {"id", "name", "file", "slots"};
    static const char *const told[] = {"digest", "parameters", "trained", "data", "base"};
    const cJSON *passport = cJSON_GetObjectItemCaseSensitive(e, "passport");
    at_json j;
    if (!passport) return emit_value(a, e, emit, user); /* an expert of a composed model */
    at_json_open(&j, &a->ctx);
    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        at_json_put_value(&j, own[i], cJSON_GetObjectItemCaseSensitive(e, own[i]));
    for (size_t i = 0; i < sizeof told / sizeof *told; i++)
        at_json_put_value(&j, told[i], cJSON_GetObjectItemCaseSensitive(passport, told[i]));
    return at_emit(a, emit, user, &j);
}

artel_status artel_module_list(artel *a, const char *model, artel_emit emit, void *user) {
    at_status s;
    cJSON *o = record_of(&a->ctx, model, &s);
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(o, "modules"), *e = NULL;
    if (!list) list = cJSON_GetObjectItemCaseSensitive(o, "experts");
    cJSON_ArrayForEach(e, list) if (s == AT_OK) s = (at_status)emit_entry(a, e, emit, user);
    cJSON_Delete(o);
    return at_answer(a, s);
}

static artel_status show_file(artel *a, const char *path, artel_emit emit, void *user) {
    at_module_file f;
    at_status s = at_module_file_open(&a->ctx, path, &f);
    if (s == AT_OK) s = (at_status)emit_value(a, f.passport, emit, user);
    at_module_file_close(&f);
    return at_answer(a, s);
}

artel_status artel_module_show(artel *a, const char *model, const char *name, artel_emit emit,
                               void *user) {
    at_ctx *c = &a->ctx;
    at_status s;
    if (!name) return show_file(a, model, emit, user);
    cJSON *o = record_of(c, model, &s);
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(o, "modules"), *e = NULL, *found = NULL;
    if (!list) list = cJSON_GetObjectItemCaseSensitive(o, "experts");
    cJSON_ArrayForEach(e, list) {
        const cJSON *n = cJSON_GetObjectItemCaseSensitive(e, "name");
        if (cJSON_IsString(n) && !strcmp(n->valuestring, name)) found = e;
    }
    if (s == AT_OK && !found) s = at_error(c, AT_ARG, "%s has no module `%.80s`", model, name);
    if (s == AT_OK) s = (at_status)emit_value(a, found, emit, user);
    cJSON_Delete(o);
    return at_answer(a, s);
}

static void put_event(at_json *j, const char *what, const char *out, const at_life_event *e) {
    at_json_put_string(j, "model", out);
    at_json_put_string(j, "what", what);
    at_json_put_string(j, "module", e->name);
    at_json_put_number(j, "id", (double)e->id);
    at_json_put_string(j, "digest", e->digest);
    at_json_put_string(j, "base", e->base.hex);
}

artel_status artel_module_export(artel *a, const char *model, const char *name, const char *out,
                                 artel_emit emit, void *user) {
    const at_status s = at_module_export(&a->ctx, model, name, out);
    if (s != AT_OK) return at_answer(a, s);
    at_json j;
    at_json_open(&j, &a->ctx);
    at_json_put_string(&j, "module", name);
    at_json_put_string(&j, "file", out);
    return at_emit(a, emit, user, &j);
}

artel_status artel_module_add(artel *a, const char *model, const char *file, const char *as,
                              const char *out, artel_emit emit, void *user) {
    at_life_event e;
    const at_status s = at_module_add(&a->ctx, model, file, as, out, &e);
    if (s != AT_OK) return at_answer(a, s);
    at_json j;
    at_json_open(&j, &a->ctx);
    put_event(&j, "add", out, &e);
    return at_emit(a, emit, user, &j);
}

artel_status artel_module_drop(artel *a, const char *model, const char *name, int certify,
                               const char *out, artel_emit emit, void *user) {
    at_life_event e;
    at_removal r;
    at_status s = at_module_drop(&a->ctx, model, name, certify != 0, out, &e, &r);
    if (s == AT_OK) {
        at_json j;
        at_json_open(&j, &a->ctx);
        put_event(&j, "drop", out, &e);
        at_json_put_bool(&j, "exact", r.holds);
        if (!r.holds) at_json_put_string(&j, "reason", r.reason);
        at_json_put_number(&j, "compared_logits", (double)r.compared);
        at_json_put_value(&j, "chain", r.chain);
        s = (at_status)at_emit(a, emit, user, &j);
    }
    at_removal_close(&r);
    return at_answer(a, s);
}

artel_status artel_module_merge(artel *a, const char *model, const char *other, const char *out,
                                artel_emit emit, void *user) {
    int64_t added;
    const at_status s = at_module_merge(&a->ctx, model, other, out, &added);
    if (s != AT_OK) return at_answer(a, s);
    at_json j;
    at_json_open(&j, &a->ctx);
    at_json_put_string(&j, "model", out);
    at_json_put_number(&j, "added", (double)added);
    return at_emit(a, emit, user, &j);
}

/* The file of a module of a folder, from the heap; NULL: the reason is kept. */
static char *file_of(at_ctx *c, const char *model, const char *name) {
    at_members l = {0};
    char *path = NULL;
    at_status s = at_members_read(c, model, &l);
    const int i = s == AT_OK ? at_member_find(&l, name) : -1;
    if (s == AT_OK && i < 0) s = at_error(c, AT_ARG, "%s has no module `%.80s`", model, name);
    if (s == AT_OK) path = at_join(c, model, l.item[i].file);
    at_members_close(&l);
    return path;
}

static artel_status say_verified(artel *a, const at_verify_options *o, const at_verification *v,
                                 at_status s, artel_emit emit, void *user) {
    char reason[AT_MESSAGE_MAX];
    at_json j;
    (void)snprintf(reason, sizeof reason, "%s", a->ctx.message);
    at_json_open(&j, &a->ctx);
    at_json_put_string(&j, "module", v->name);
    at_json_put_string(&j, "file", o->file);
    at_json_put_bool(&j, "verified", v->holds);
    at_json_put_bool(&j, "whole", v->whole);
    at_json_put_number(&j, "steps", (double)v->steps);
    at_json_put_number(&j, "of", (double)v->of);
    at_json_put_string(&j, "digest", v->digest);
    if (s != AT_OK) at_json_put_string(&j, "reason", reason);
    at_json_put_value(&j, "chain", v->chain);
    const artel_status told = at_emit(a, emit, user, &j);
    return s == AT_OK ? told : at_answer(a, at_error(&a->ctx, s, "%s", reason));
}

artel_status artel_module_verify(artel *a, const char *model, const char *name, const char *data,
                                 const char *base, const char *run, int64_t steps, artel_emit emit,
                                 void *user) {
    at_verification v = {0};
    char *file = name ? file_of(&a->ctx, model, name) : at_strdup(&a->ctx, model);
    if (!file) return at_answer(a, a->ctx.status);
    const at_verify_options o = {file, data, base ? base : model, run, steps};
    const at_status s = at_module_verify(&a->ctx, &o, &v);
    const artel_status answer =
        s == AT_OK || s == AT_MISMATCH ? say_verified(a, &o, &v, s, emit, user) : at_answer(a, s);
    at_verification_close(&v);
    at_free(file);
    return answer;
}
