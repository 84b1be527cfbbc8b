/* runstate.c - see runstate.h. */
#include "train/runstate.h"
#include "base/arithmetic.h"
#include "base/file.h"
#include "base/json.h"
#include "io/hash.h"
#include "io/safetensors.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const int64_t MOST = (int64_t)1 << 52;

/* ---- writing ------------------------------------------------------------------------------ */

/* Numbers that must survive exactly are written as hexadecimal floating point. */
static void put_exact(at_json *j, const char *key, double v) {
    char text[64];
    (void)snprintf(text, sizeof text, "%a", v);
    at_json_put_string(j, key, text);
}

static void put_alpha(at_json *j, const at_alpha *a) {
    at_json_begin_list(j, "alpha");
    for (int64_t i = 0; i < a->n_state; i++) put_exact(j, NULL, a->state[i]);
    at_json_end(j);
}

static at_status put_hashes(at_ctx *c, const char *dir, at_json *j) {
    at_list l = {0};
    at_json_begin_object(j, "files");
    at_status s = at_list_names(c, dir, &l);
    if (s == AT_OK) at_list_sort(&l);
    for (int64_t i = 0; i < l.n && s == AT_OK; i++) {
        char text[AT_HASH_TEXT], *path = at_join(c, dir, l.item[i]);
        s = path ? at_hash_file(c, path, text) : AT_OOM;
        if (s == AT_OK) at_json_put_string(j, l.item[i], text);
        at_free(path);
    }
    at_json_end(j);
    at_list_free(&l);
    return s;
}

/* The hash of all fields but the hash itself, independent of the layout of the file. */
static at_status hash_of(at_ctx *c, const cJSON *o, char text[AT_HASH_TEXT]) {
    at_json j;
    at_json_open(&j, c);
    at_json_put_members(&j, o, "hash");
    const at_status s = at_json_finish(&j);
    if (s == AT_OK) at_hash_bytes(j.text.s, j.text.n, text);
    at_json_close(&j);
    return s;
}

/* What most parameters share, and the others by path. */
static void put_steps(at_json *j, const at_store *store) {
    int64_t most = 0;
    for (int64_t i = 0; i < store->n; i++)
        if (store->p[i]->steps > most) most = store->p[i]->steps;
    at_json_put_number(j, "optimiser_steps", (double)most);
    at_json_begin_object(j, "other_steps");
    for (int64_t i = 0; i < store->n; i++) {
        const at_param_entry *e = store->p[i];
        if (!e->frozen && e->steps != most) at_json_put_number(j, e->path, (double)e->steps);
    }
    at_json_end(j);
}

static at_status describe(at_ctx *c, const char *dir, const at_store *store, const at_alpha *a,
                          const at_train_state *p, at_json *j) {
    at_json_put_number(j, "step", (double)p->step);
    at_json_put_number(j, "tokens", (double)p->tokens);
    put_steps(j, store);
    at_json_put_number(j, "losses", (double)p->loss_n);
    put_exact(j, "loss_mean", p->loss_mean);
    put_exact(j, "seconds", p->seconds);
    put_alpha(j, a);
    at_json_put_string(j, "data", p->data);
    at_json_put_string(j, "arithmetic", AT_ARITHMETIC);
    return put_hashes(c, dir, j);
}

at_status at_runstate_write(at_ctx *c, const char *dir, const at_store *store, const at_alpha *a,
                            const at_train_state *p) {
    char hash[AT_HASH_TEXT], *path = at_join(c, dir, AT_RUNSTATE_FILE);
    at_json j;
    at_json_open(&j, c);
    at_status s = path ? describe(c, dir, store, a, p, &j) : AT_OOM;
    cJSON *state = s == AT_OK ? at_json_value(&j, dir) : NULL;
    at_json_close(&j);
    if (s == AT_OK) s = state ? hash_of(c, state, hash) : c->status;
    if (s == AT_OK) {
        at_json_open_file(&j, c);
        at_json_put_members(&j, state, "hash");
        at_json_put_string(&j, "hash", hash);
        s = at_json_save(&j, path);
    }
    if (s == AT_OOM) (void)at_error(c, s, "%s: no memory for a checkpoint's state", dir);
    cJSON_Delete(state);
    at_free(path);
    return s;
}

/* ---- reading ------------------------------------------------------------------------------ */

static at_status parse_exact(at_ctx *c, const char *path, const char *key, const char *text,
                             double *out) {
    char *end = NULL;
    *out = strtod(text, &end);
    if (end != text && !*end && isfinite(*out)) return AT_OK;
    return at_error(c, AT_FORMAT, "%s: field \"%s\": expected a finite number, found \"%.40s\"",
                    path, key, text);
}

static at_status read_exact(at_ctx *c, const char *path, const cJSON *o, const char *key,
                            double *out) {
    const char *text = NULL;
    const at_status s = at_json_string(c, path, o, key, &text);
    return s == AT_OK ? parse_exact(c, path, key, text, out) : s;
}

/* Those of before, when rules kept nothing, have no such field. */
static at_status read_alpha(at_ctx *c, const char *path, const cJSON *o, at_alpha *a) {
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(o, "alpha");
    const int n = cJSON_GetArraySize(list);
    const cJSON *item;
    if (n != a->n_state)
        return at_error(c, AT_FORMAT, "%s: field \"alpha\": expected %lld numbers, found %d", path,
                        (long long)a->n_state, n);
    at_status s = AT_OK;
    double *out = a->state;
    cJSON_ArrayForEach(item, list) {
        const char *text = cJSON_GetStringValue(item);
        if (s == AT_OK) s = parse_exact(c, path, "alpha", text ? text : "", out++);
    }
    return s;
}

/* A resume with another data set would have other batches, or other token ids. */
static at_status same_data(at_ctx *c, const char *path, const cJSON *o, const char *now) {
    const char *then = NULL;
    const at_status s = at_json_string(c, path, o, "data", &then);
    if (s != AT_OK || !strcmp(then, now)) return s;
    return at_error(c, AT_MISMATCH,
                    "%s: the data set has changed since the run began (its manifest was %.12s, is "
                    "%.12s)",
                    path, then, now);
}

/* With another arithmetic the remaining steps would have other bits. */
static at_status same_arithmetic(at_ctx *c, const char *dir, const cJSON *o) {
    const cJSON *then = cJSON_GetObjectItemCaseSensitive(o, "arithmetic");
    const char *name = cJSON_IsString(then) ? then->valuestring : "none recorded";
    if (!strcmp(name, AT_ARITHMETIC)) return AT_OK;
    return at_error(c, AT_MISMATCH,
                    "%s was computed in arithmetic `%.40s`, this program computes in `%s`, and the "
                    "run would not end with the bits it was begun for.  Continue with an artel of "
                    "that arithmetic (artel --version names it), or begin another run from these "
                    "parameters: `init: %s` in place of the recipe's section model",
                    dir, name, AT_ARITHMETIC, dir);
}

/* The error for a file with a wrong hash; those inside of a tensor file tell which tensor. */
static at_status altered(at_ctx *c, const char *path, const char *found, const char *expected) {
    const size_t n = strlen(path);
    static const char tensors[] = ".safetensors";
    if (n >= sizeof tensors && !strcmp(path + n - (sizeof tensors - 1), tensors)) {
        at_st *st = NULL;
        at_status s = at_st_open(c, path, &st);
        if (s == AT_OK) s = at_st_verify(c, st);
        at_st_close(st);
        if (s != AT_OK) return s;
    }
    return at_error(c, AT_FORMAT,
                    "%s: altered, or of another checkpoint: its content is not what was written "
                    "(hash %s, expected %.16s)",
                    path, found, expected);
}

static at_status check_files(at_ctx *c, const char *dir, const char *path, const cJSON *o) {
    const cJSON *files = NULL;
    at_status s = at_json_object(c, path, o, "files", &files);
    for (const cJSON *e = s == AT_OK ? files->child : NULL; e && s == AT_OK; e = e->next) {
        char text[AT_HASH_TEXT];
        if (!cJSON_IsString(e) || strchr(e->string, '/') || e->string[0] == '.')
            return at_error(c, AT_FORMAT,
                            "%s: field \"files\": expected names and hashes, found `%s`", path,
                            e->string);
        char *file = at_join(c, dir, e->string);
        s = file ? at_hash_file(c, file, text) : AT_OOM;
        if (s == AT_OK && strcmp(text, e->valuestring) != 0)
            s = altered(c, file, text, e->valuestring);
        at_free(file);
    }
    return s;
}

static at_status check_self(at_ctx *c, const char *path, const cJSON *o) {
    char text[AT_HASH_TEXT];
    const cJSON *kept = cJSON_GetObjectItemCaseSensitive(o, "hash");
    at_status s = hash_of(c, o, text);
    if (s == AT_OK && (!cJSON_IsString(kept) || strcmp(kept->valuestring, text) != 0))
        s = at_error(c, AT_FORMAT, "%s: altered: its content is not what was written", path);
    return s;
}

/* Those of before had one number for all parameters. */
static at_status read_steps(at_ctx *c, const char *path, const cJSON *o, at_store *store) {
    int64_t most = 0;
    at_status s = at_json_int(c, path, o, "optimiser_steps", 0, MOST, &most);
    for (int64_t i = 0; i < store->n && s == AT_OK; i++)
        store->p[i]->steps = store->p[i]->frozen ? 0 : most;
    const cJSON *other = cJSON_GetObjectItemCaseSensitive(o, "other_steps");
    for (const cJSON *e = other ? other->child : NULL; e && s == AT_OK; e = e->next) {
        at_param_entry *p = at_store_find(store, e->string);
        if (!p)
            return at_error(c, AT_FORMAT,
                            "%s: field \"other_steps\": expected paths of parameters, found `%s`",
                            path, e->string);
        s = at_json_int(c, path, other, e->string, 0, MOST, &p->steps);
    }
    return s;
}

at_status at_runstate_read(at_ctx *c, const char *dir, int64_t step, at_store *store, at_alpha *a,
                           at_train_state *p) {
    char *path = at_join(c, dir, AT_RUNSTATE_FILE);
    cJSON *j = path ? at_json_read(c, path) : NULL;
    at_status s = j ? same_arithmetic(c, dir, j) : c->status;
    if (s == AT_OK) s = at_json_int(c, path, j, "step", step, step, &p->step);
    if (s == AT_OK) s = at_json_int(c, path, j, "tokens", 0, MOST, &p->tokens);
    if (s == AT_OK) s = read_steps(c, path, j, store);
    if (s == AT_OK) s = at_json_int(c, path, j, "losses", 0, MOST, &p->loss_n);
    if (s == AT_OK) s = read_exact(c, path, j, "loss_mean", &p->loss_mean);
    if (s == AT_OK) s = read_exact(c, path, j, "seconds", &p->seconds);
    if (s == AT_OK) s = read_alpha(c, path, j, a);
    if (s == AT_OK) s = same_data(c, path, j, p->data);
    if (s == AT_OK) s = check_self(c, path, j);
    if (s == AT_OK) s = check_files(c, dir, path, j);
    cJSON_Delete(j);
    at_free(path);
    return s;
}
