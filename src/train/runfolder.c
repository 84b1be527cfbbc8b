/* runfolder.c - recipe, metrics and checkpoints of a run. */
#include "train/runfolder.h"
#include "base/file.h"
#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

at_status at_runfolder_open(at_ctx *c, const char *path, bool resume, at_runfolder *out) {
    *out = (at_runfolder){.ctx = c};
    out->path = at_strdup(c, path);
    out->checkpoints = at_join(c, path, "checkpoints");
    out->metrics = at_join(c, path, "metrics.jsonl");
    if (!out->path || !out->checkpoints || !out->metrics) return AT_OOM;
    if (!resume && (at_exists(out->checkpoints) || at_exists(out->metrics)))
        return at_error(c, AT_ARG,
                        "%s holds a run already: continue it with --resume, or remove the folder",
                        path);
    if (resume && !at_exists(out->checkpoints))
        return at_error(c, AT_ARG, "%s: nothing to resume, there is no checkpoints/ in it", path);
    return at_make_dir(c, out->checkpoints);
}

void at_runfolder_close(at_runfolder *r) {
    if (r->log) (void)fclose(r->log);
    at_free(r->path);
    at_free(r->checkpoints);
    at_free(r->metrics);
    *r = (at_runfolder){0};
}

/* The first line in which two texts differ, from 1; 0: none. */
static int first_difference(const char *a, const char *b) {
    int line = 1;
    for (; *a && *a == *b; a++, b++) line += *a == '\n';
    return *a == *b ? 0 : line;
}

at_status at_runfolder_recipe(at_runfolder *r, const char *text, bool resume) {
    at_ctx *c = r->ctx;
    char *path = at_join(c, r->path, "recipe.yaml");
    if (!path) return AT_OOM;
    at_status s = AT_OK;
    if (resume && at_exists(path)) {
        char *old = at_read_file(c, path, (size_t)1 << 24, NULL);
        if (!old) s = c->status;
        const int line = old ? first_difference(old, text) : 0;
        if (line)
            s = at_error(c, AT_MISMATCH,
                         "%s:%d: the recipe has changed since the run began; a resumed run must "
                         "use the same one",
                         path, line);
        at_free(old);
    } else {
        s = at_write_file(c, path, text, strlen(text));
    }
    at_free(path);
    return s;
}

/* ---- checkpoints ------------------------------------------------------------------ */

/* "step-00000120" -> 120; anything else, temporaries included: -1. */
static int64_t step_of(const char *name) {
    if (strncmp(name, "step-", 5) != 0 || strlen(name) < 6) return -1;
    char *end;
    const long long v = strtoll(name + 5, &end, 10);
    return *end ? -1 : (int64_t)v;
}

int64_t at_runfolder_latest(at_runfolder *r) {
    int64_t best = -1;
    DIR *d = opendir(r->checkpoints);
    for (const struct dirent *e = d ? readdir(d) : NULL; e; e = readdir(d))
        if (step_of(e->d_name) > best) best = step_of(e->d_name);
    if (d) (void)closedir(d);
    return best;
}

static char *step_path(at_runfolder *r, int64_t step) {
    char name[32];
    (void)snprintf(name, sizeof name, "step-%08lld", (long long)step);
    return at_join(r->ctx, r->checkpoints, name);
}

/* The oldest beyond `keep` go; what is not a checkpoint (a temporary of a killed run) goes too. */
static at_status tidy(at_runfolder *r, int64_t keep) {
    for (;;) {
        int64_t n = 0, oldest = -1;
        char junk[300] = "";
        DIR *d = opendir(r->checkpoints);
        for (const struct dirent *e = d ? readdir(d) : NULL; e; e = readdir(d)) {
            const int64_t step = step_of(e->d_name);
            if (step < 0 && e->d_name[0] != '.' && strlen(e->d_name) < sizeof junk)
                strcpy(junk, e->d_name);
            if (step < 0) continue;
            n++;
            if (oldest < 0 || step < oldest) oldest = step;
        }
        if (d) (void)closedir(d);
        if (!*junk && n <= keep) return AT_OK;
        char *path = *junk ? at_join(r->ctx, r->checkpoints, junk) : step_path(r, oldest);
        const at_status s = path ? at_remove_tree(r->ctx, path) : AT_OOM;
        at_free(path);
        if (s != AT_OK) return s;
    }
}

/* Numbers that must survive exactly are written as hexadecimal floating point. */
static void add_exact(cJSON *o, const char *key, double v) {
    char text[64];
    (void)snprintf(text, sizeof text, "%a", v);
    cJSON_AddStringToObject(o, key, text);
}

static at_status write_state(at_ctx *c, const char *dir, const at_optim *o,
                             const at_train_state *p) {
    char *path = at_join(c, dir, "state.json");
    cJSON *s = cJSON_CreateObject();
    cJSON_AddNumberToObject(s, "step", (double)p->step);
    cJSON_AddNumberToObject(s, "tokens", (double)p->tokens);
    cJSON_AddNumberToObject(s, "optimiser_steps", (double)o->t);
    cJSON_AddNumberToObject(s, "losses", (double)p->loss_n);
    add_exact(s, "loss_mean", p->loss_mean);
    add_exact(s, "seconds", p->seconds);
    cJSON_AddStringToObject(s, "data", p->data);
    const at_status st = path ? at_json_write(c, path, s) : AT_OOM;
    cJSON_Delete(s);
    at_free(path);
    return st;
}

static at_status moments(at_ctx *c, const char *dir, at_store *s, bool save) {
    static const char *const name[2] = {"adam_m.safetensors", "adam_v.safetensors"};
    at_status st = AT_OK;
    for (int i = 0; i < 2 && st == AT_OK; i++) {
        char *path = at_join(c, dir, name[i]);
        const at_slab what = i ? AT_SLAB_V : AT_SLAB_M;
        st = !path  ? AT_OOM
             : save ? at_checkpoint_save(c, s, what, path, NULL)
                    : at_checkpoint_load_slab(c, s, what, path);
        at_free(path);
    }
    return st;
}

/* ---- keys and values of the blocks before ---- */

static const char history_name[] = "history.safetensors";

static at_status save_history(at_ctx *c, const char *dir, const at_history *h, int64_t n) {
    if (!h) return AT_OK;
    at_st_writer *w = NULL;
    char *path = at_join(c, dir, history_name);
    at_status s = path ? at_st_writer_open(c, path, &w) : AT_OOM;
    const at_dtype type = sizeof(at_real) == 4 ? AT_DT_F32 : AT_DT_F64;
    for (int64_t i = 0; i < n && s == AT_OK; i++) {
        const int64_t dim[] = {h[i].layers * h[i].kinds, h[i].B, h[i].length, h[i].width};
        char name[40];
        (void)snprintf(name, sizeof name, "micro_batch.%lld", (long long)i);
        s = at_st_writer_add(c, w, name, type, 4, dim, h[i].now);
    }
    if (s == AT_OK) s = at_st_writer_commit(c, w);
    at_st_writer_close(w);
    at_free(path);
    return s;
}

static at_status read_history(at_ctx *c, const at_st *st, int64_t i, at_history *h) {
    char name[40];
    (void)snprintf(name, sizeof name, "micro_batch.%lld", (long long)i);
    const at_st_tensor *t = at_st_find(st, name);
    const int64_t dim[] = {h->layers * h->kinds, h->B, h->length, h->width};
    bool same = t && t->rank == 4;
    for (int k = 0; same && k < 4; k++) same = t->dim[k] == dim[k];
    if (!same)
        return at_error(c, AT_FORMAT, "%s: expected a tensor `%s` of shape [%lld,%lld,%lld,%lld]",
                        at_st_path(st), name, (long long)dim[0], (long long)dim[1],
                        (long long)dim[2], (long long)dim[3]);
    const at_status s = sizeof(at_real) == 4 ? at_st_to_f32(c, t, (float *)(void *)h->now)
                                             : at_st_to_f64(c, t, (double *)(void *)h->now);
    return s == AT_OK ? s : at_error_in(c, at_st_path(st));
}

static at_status load_history(at_ctx *c, const char *dir, at_history *h, int64_t n) {
    if (!h) return AT_OK;
    at_st *st = NULL;
    char *path = at_join(c, dir, history_name);
    at_status s = path ? at_st_open(c, path, &st) : AT_OOM;
    if (s == AT_OK) s = at_st_verify(c, st);
    for (int64_t i = 0; i < n && s == AT_OK; i++) s = read_history(c, st, i, &h[i]);
    at_st_close(st);
    at_free(path);
    return s;
}

at_status at_runfolder_save(at_runfolder *r, const at_model *m, const at_optim *o,
                            const at_train_state *p, const at_history *history, int64_t histories,
                            const char *tokenizer, int64_t keep) {
    at_ctx *c = r->ctx;
    char *final = step_path(r, p->step);
    const size_t n = final ? strlen(final) + 10 : 0;
    char *temp = final ? at_malloc(c, n) : NULL;
    at_status s = temp ? AT_OK : AT_OOM;
    if (s == AT_OK) (void)snprintf(temp, n, "%s.partial", final);
    if (s == AT_OK) s = at_model_save(c, m, temp, tokenizer);
    if (s == AT_OK) s = moments(c, temp, (at_store *)(uintptr_t)&m->store, true);
    if (s == AT_OK) s = save_history(c, temp, history, histories);
    if (s == AT_OK) s = write_state(c, temp, o, p);
    if (s == AT_OK) s = at_replace_dir(c, temp, final);
    if (s == AT_OK)
        s = tidy(r, keep);
    else if (temp) {
        at_ctx keep_error = *c;
        (void)at_remove_tree(c, temp);
        *c = keep_error;
    }
    at_free(temp);
    at_free(final);
    return s;
}

static at_status read_exact(at_ctx *c, const char *path, const cJSON *o, const char *key,
                            double *out) {
    const char *text = NULL;
    at_status s = at_json_string(c, path, o, key, &text);
    char *end = NULL;
    if (s == AT_OK) *out = strtod(text, &end);
    if (s == AT_OK && (end == text || *end || !isfinite(*out)))
        s = at_error(c, AT_FORMAT, "%s: field \"%s\": expected a finite number, found \"%.40s\"",
                     path, key, text);
    return s;
}

/* Another data set under the same name would go on with other batches, or other token ids. */
static at_status same_data(at_ctx *c, const char *path, const cJSON *o, const char *now) {
    const char *then = NULL;
    const at_status s = at_json_string(c, path, o, "data", &then);
    if (s != AT_OK || !strcmp(then, now)) return s;
    return at_error(c, AT_MISMATCH,
                    "%s: the data set has changed since the run began (its manifest was %.12s, is "
                    "%.12s)",
                    path, then, now);
}

static at_status read_state(at_ctx *c, const char *dir, int64_t step, at_optim *o,
                            at_train_state *p) {
    char *path = at_join(c, dir, "state.json");
    cJSON *j = path ? at_json_read(c, path) : NULL;
    const int64_t most = (int64_t)1 << 52;
    at_status s = j ? AT_OK : c->status;
    if (s == AT_OK) s = at_json_int(c, path, j, "step", step, step, &p->step);
    if (s == AT_OK) s = at_json_int(c, path, j, "tokens", 0, most, &p->tokens);
    if (s == AT_OK) s = at_json_int(c, path, j, "optimiser_steps", 0, most, &o->t);
    if (s == AT_OK) s = at_json_int(c, path, j, "losses", 0, most, &p->loss_n);
    if (s == AT_OK) s = read_exact(c, path, j, "loss_mean", &p->loss_mean);
    if (s == AT_OK) s = read_exact(c, path, j, "seconds", &p->seconds);
    if (s == AT_OK) s = same_data(c, path, j, p->data);
    cJSON_Delete(j);
    at_free(path);
    return s;
}

at_status at_runfolder_load(at_runfolder *r, int64_t step, at_model *m, at_optim *o,
                            at_train_state *p, at_history *history, int64_t histories) {
    at_ctx *c = r->ctx;
    char *dir = step_path(r, step);
    if (!dir) return AT_OOM;
    at_weights w = {0};
    at_status s = read_state(c, dir, step, o, p);
    if (s == AT_OK) s = at_weights_open(c, dir, SIZE_MAX, &w);
    const at_load how = {.prefix = m->arch->prefix, .ignore = m->arch->ignore};
    if (s == AT_OK) s = at_checkpoint_load(c, &m->store, &w, &how);
    at_weights_close(&w);
    if (s == AT_OK) s = moments(c, dir, &m->store, false);
    if (s == AT_OK) s = load_history(c, dir, history, histories);
    at_free(dir);
    return s;
}

/* ---- metrics ------------------------------------------------------------------------- */

/* Bytes of the leading lines whose "step" is at most `step`; stops at a torn last line. */
static size_t kept_bytes(const char *text, size_t bytes, int64_t step) {
    size_t at = 0;
    while (at < bytes) {
        const char *end = memchr(text + at, '\n', bytes - at);
        if (!end) break;
        const char *key = strstr(text + at, "\"step\":");
        if (!key || key > end || strtoll(key + 7, NULL, 10) > step) break;
        at = (size_t)(end - text) + 1;
    }
    return at;
}

at_status at_runfolder_log_open(at_runfolder *r, int64_t step) {
    at_ctx *c = r->ctx;
    if (at_exists(r->metrics)) {
        size_t bytes = 0;
        char *text = at_read_file(c, r->metrics, (size_t)1 << 32, &bytes);
        if (!text) return c->status;
        const size_t keep = kept_bytes(text, bytes, step);
        const at_status s = keep < bytes ? at_write_file(c, r->metrics, text, keep) : AT_OK;
        at_free(text);
        if (s != AT_OK) return s;
    }
    r->log = fopen(r->metrics, "a");
    return r->log ? AT_OK
                  : at_error(c, AT_IO, "%s: cannot append: %s", r->metrics, strerror(errno));
}

at_status at_runfolder_log(at_runfolder *r, cJSON *o) {
    char *text = cJSON_PrintUnformatted(o);
    cJSON_Delete(o);
    if (!text) return at_error(r->ctx, AT_OOM, "a line of metrics does not fit in memory");
    const bool ok = fprintf(r->log, "%s\n", text) > 0 && fflush(r->log) == 0;
    cJSON_free(text);
    return ok ? AT_OK
              : at_error(r->ctx, AT_IO, "%s: cannot write: %s", r->metrics, strerror(errno));
}
