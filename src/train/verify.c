/* verify.c - see verify.h. */
#include "train/verify.h"
#include "base/arithmetic.h"
#include "base/file.h"
#include "base/lock.h"
#include "train/growth_internal.h"
#include <stdio.h>
#include <string.h>

typedef struct {
    at_ctx *c;
    const at_verify_options *o;
    at_module_file f;
    const cJSON *created, *data; /* of its passport */
    int64_t stop;                /* the last step that is compared; 0: it is made to its end */
    at_json links;
    at_verification *out;
} work;

void at_verification_close(at_verification *v) {
    cJSON_Delete(v->chain);
    *v = (at_verification){0};
}

/* ---- what the passport has ------------------------------------------------------------------------- */

/* The last step of those with a digest that is at most the one asked for. */
static at_status choose_steps(work *w) {
    const cJSON *list = NULL, *e = NULL;
    at_status s = at_json_array(w->c, w->o->file, w->created, "digests", &list);
    if (s == AT_OK)
        s = at_json_int(w->c, w->o->file, w->created, "steps", 1, (int64_t)1 << 52, &w->out->of);
    if (s != AT_OK) return s;
    w->out->whole = !w->o->steps || w->o->steps >= w->out->of;
    w->out->steps = w->out->whole ? w->out->of : 0;
    if (w->out->whole) return AT_OK;
    cJSON_ArrayForEach(e, list) {
        int64_t step = 0;
        s = at_json_int(w->c, w->o->file, e, "step", 1, (int64_t)1 << 52, &step);
        if (s != AT_OK) return s;
        if (step <= w->o->steps && step > w->stop) w->stop = step;
    }
    w->out->steps = w->stop;
    if (w->stop) return AT_OK;
    return at_error(w->c, AT_MISMATCH,
                    "%s: its passport has no digest of the module after %lld steps or fewer",
                    w->o->file, (long long)w->o->steps);
}

static at_status read_passport(work *w) {
    const char *arithmetic;
    at_status s = at_module_file_open(w->c, w->o->file, &w->f);
    if (s != AT_OK) return s;
    (void)snprintf(w->out->name, sizeof w->out->name, "%.64s", w->f.name);
    (void)snprintf(w->out->digest, sizeof w->out->digest, "%.64s", w->f.digest);
    s = at_json_object(w->c, w->o->file, w->f.passport, "created", &w->created);
    if (s == AT_OK) s = at_json_object(w->c, w->o->file, w->f.passport, "data", &w->data);
    if (s == AT_OK) s = at_json_string(w->c, w->o->file, w->created, "arithmetic", &arithmetic);
    if (s == AT_OK && strcmp(arithmetic, AT_ARITHMETIC) != 0)
        s = at_error(w->c, AT_MISMATCH,
                     "%s: it was made in arithmetic `%.40s`, this program computes in `%s`, with "
                     "other bits",
                     w->o->file, arithmetic, AT_ARITHMETIC);
    return s == AT_OK ? choose_steps(w) : s;
}

/* ---- the data --------------------------------------------------------------------------------------- */

/* The shards have the hashes that the manifest says. */
static at_status check_shard(work *w, const cJSON *split) {
    const char *file, *sha;
    char found[AT_SHA256_TEXT] = "";
    at_status s = at_json_string(w->c, w->o->data, split, "file", &file);
    if (s == AT_OK) s = at_json_string(w->c, w->o->data, split, "sha256", &sha);
    if (s != AT_OK || at_interrupted(w->c))
        return s != AT_OK ? s : at_error(w->c, AT_INTERRUPTED, "interrupted");
    char *path = at_join(w->c, w->o->data, file);
    s = path ? at_sha256_file(w->c, path, found) : AT_OOM;
    at_life_link(&w->links, "data", file, sha, found);
    if (s == AT_OK && strcmp(sha, found) != 0)
        s = at_error(w->c, AT_MISMATCH,
                     "%s: the manifest says that it has SHA-256 %.12s, it has %.12s", path, sha,
                     found);
    at_free(path);
    return s;
}

static at_status check_data(work *w) {
    const char *sha;
    char found[AT_SHA256_TEXT] = "";
    const cJSON *list = NULL, *d = NULL, *split = NULL;
    char *path = at_join(w->c, w->o->data, "manifest.json");
    at_status s = path ? at_json_string(w->c, w->o->file, w->data, "manifest", &sha) : AT_OOM;
    if (s == AT_OK) s = at_sha256_file(w->c, path, found);
    if (s == AT_OK) at_life_link(&w->links, "data", "manifest.json", sha, found);
    if (s == AT_OK && strcmp(sha, found) != 0)
        s = at_error(
            w->c, AT_MISMATCH,
            "%s: module `%s` was trained on data whose manifest has SHA-256 %.12s, this one has "
            "%.12s",
            path, w->f.name, sha, found);
    cJSON *o = s == AT_OK ? at_json_read(w->c, path) : NULL;
    if (s == AT_OK) s = o ? at_json_array(w->c, path, o, "domains", &list) : w->c->status;
    cJSON_ArrayForEach(d, list) {
        const cJSON *splits = cJSON_GetObjectItemCaseSensitive(d, "splits");
        cJSON_ArrayForEach(split, splits) if (s == AT_OK) s = check_shard(w, split);
    }
    cJSON_Delete(o);
    at_free(path);
    return s;
}

/* ---- making it again --------------------------------------------------------------------------------- */

static char *in_run(const work *w, const char *name) { return at_join(w->c, w->o->run, name); }

/* What was made has the whole passport, and so the digest, of the module. */
static at_status compare(work *w, const char *again) {
    at_members l = {0};
    at_module_file f = {0};
    at_status s = at_members_read(w->c, again, &l);
    if (s == AT_OK && !l.n) s = at_error(w->c, AT_MISMATCH, "%s has no module", again);
    char *path = s == AT_OK ? at_join(w->c, again, l.item[l.n - 1].file) : NULL;
    if (s == AT_OK) s = path ? at_module_file_open(w->c, path, &f) : AT_OOM;
    if (s == AT_OK) at_life_link(&w->links, "module", w->f.name, w->f.digest, f.digest);
    if (s == AT_OK) s = growth_compare(w->c, w->o->file, w->f.passport, f.passport);
    at_module_file_close(&f);
    at_members_close(&l);
    at_free(path);
    return s;
}

static at_status train(work *w, const char *base, const char *again, const char *run) {
    const char *recipe;
    at_conf *f = NULL;
    at_lm *old = NULL;
    at_growth *g = at_calloc(w->c, 1, sizeof *g);
    at_status s = g ? at_json_string(w->c, w->o->file, w->created, "recipe", &recipe) : AT_OOM;
    if (s == AT_OK) s = at_conf_parse(w->c, w->o->file, recipe, strlen(recipe), &f);
    if (s == AT_OK)
        s = at_recipe_set(w->c, f, "artel module verify", "data.train", &w->o->data, 1, false);
    if (s == AT_OK) s = at_lm_load(w->c, base, &old);
    if (s == AT_OK) s = growth_again(w->c, f, base, old, again, run, &w->f, w->o->file, w->stop, g);
    at_lm_close(old);
    at_conf_close(f);
    at_free(g);
    return s;
}

static void tell_steps(work *w) {
    const cJSON *e = NULL;
    cJSON_ArrayForEach(e, cJSON_GetObjectItemCaseSensitive(w->created, "digests")) {
        char name[40];
        const cJSON *step = cJSON_GetObjectItemCaseSensitive(e, "step");
        const cJSON *d = cJSON_GetObjectItemCaseSensitive(e, "digest");
        if (!cJSON_IsNumber(step) || !cJSON_IsString(d)) continue;
        if (step->valuedouble > (double)w->out->steps) continue;
        (void)snprintf(name, sizeof name, "%.0f", step->valuedouble);
        at_life_link(&w->links, "step", name, d->valuestring, d->valuestring);
    }
}

static at_status make(work *w) {
    char *base = in_run(w, "base"), *again = in_run(w, "again"), *run = in_run(w, "run");
    at_status s = base && again && run ? at_remove_tree(w->c, base) : AT_OOM;
    if (s == AT_OK) s = at_remove_tree(w->c, again);
    if (s == AT_OK) s = at_make_dir(w->c, base);
    if (s == AT_OK) s = at_module_beside(w->c, w->o->base, w->o->file, &w->f, base, &w->links);
    if (s == AT_OK) s = check_data(w);
    if (s == AT_OK) s = train(w, base, again, run);
    if (s == AT_OK) tell_steps(w);
    if (s == AT_OK && w->out->whole) s = compare(w, again);
    at_free(base);
    at_free(again);
    at_free(run);
    return s;
}

/* ---- the folder -------------------------------------------------------------------------------------- */

/* It is new, empty, or of an interrupted call for the same file. */
static at_status claim(work *w, const char *mark) {
    char sha[AT_SHA256_TEXT];
    at_list l = {0};
    at_status s = at_sha256_file(w->c, w->o->file, sha);
    if (s == AT_OK && at_exists(mark)) {
        cJSON *o = at_json_read(w->c, mark);
        const cJSON *of = cJSON_GetObjectItemCaseSensitive(o, "module");
        if (!cJSON_IsString(of) || strcmp(of->valuestring, sha) != 0)
            s = at_error(w->c, AT_ARG,
                         "%s: there another module was being verified: expected that of %s",
                         w->o->run, w->o->file);
        cJSON_Delete(o);
        return s;
    }
    if (s == AT_OK && at_exists(w->o->run)) s = at_list_names(w->c, w->o->run, &l);
    if (s == AT_OK && l.n)
        s = at_error(w->c, AT_ARG, "%s exists, and is no folder of this command", w->o->run);
    at_list_free(&l);
    if (s == AT_OK) s = at_make_dir(w->c, w->o->run);
    if (s != AT_OK) return s;
    at_json j;
    at_json_open_file(&j, w->c);
    at_json_put_string(&j, "module", sha);
    return at_json_save(&j, mark);
}

static at_status in_folder(work *w) {
    char *mark = in_run(w, "verifies.json"), *path = in_run(w, ".artel-lock");
    at_lock *lock = NULL;
    long holder = 0;
    at_status s = mark && path ? claim(w, mark) : AT_OOM;
    bool mine = false;
    if (s == AT_OK) s = at_lock_take(w->c, path, &lock, &holder);
    if (s == AT_OK && !lock && holder)
        s = at_error(w->c, AT_IO, "%s: process %ld is at work there", w->o->run, holder);
    else if (s == AT_OK)
        mine = true;
    if (s == AT_OK) s = make(w);
    if (s == AT_INTERRUPTED)
        s = at_error(w->c, AT_INTERRUPTED, "interrupted: %s is kept, and the same call goes on",
                     w->o->run);
    else if (mine)
        (void)at_remove_tree(w->c, w->o->run);
    at_lock_release(lock);
    at_free(mark);
    at_free(path);
    return s;
}

at_status at_module_verify(at_ctx *c, const at_verify_options *o, at_verification *out) {
    work w = {.c = c, .o = o, .out = out};
    *out = (at_verification){0};
    at_json_open_value(&w.links, c);
    at_json_begin_list(&w.links, NULL);
    at_status s = read_passport(&w);
    if (s == AT_OK) s = in_folder(&w);
    out->holds = s == AT_OK;
    out->chain = at_json_value(&w.links, "chain");
    at_module_file_close(&w.f);
    return s == AT_OK && !out->chain ? AT_OOM : s;
}
