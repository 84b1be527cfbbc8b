/* runfolder.c - recipe, metrics and checkpoints of a run. */
#include "train/runfolder.h"
#include "base/file.h"
#include "train/recipe.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- the folder ------------------------------------------------------------------- */

/* Locks the folder until the run is closed. */
static at_status take_lock(at_runfolder *r) {
    long holder = 0;
    char *path = at_join(r->ctx, r->path, ".artel-lock");
    at_status s = path ? at_lock_take(r->ctx, path, &r->lock, &holder) : AT_OOM;
    if (s == AT_OK && !r->lock)
        s = at_error(r->ctx, AT_IO,
                     "%s: process %ld is training in this folder: wait until it ends, or stop it "
                     "and continue with --resume",
                     r->path, holder);
    at_free(path);
    return s;
}

/* A new run writes these names: none of them may exist. */
static at_status refuse_taken(at_runfolder *r) {
    static const char *const name[] = {"recipe.yaml", "model", "report.html", AT_RESULT_FILE};
    if (at_exists(r->checkpoints) || at_exists(r->metrics))
        return at_error(r->ctx, AT_ARG,
                        "%s holds a run already: continue it with --resume, or choose another "
                        "folder",
                        r->path);
    at_status s = AT_OK;
    for (int i = 0; i < 4 && s == AT_OK; i++) {
        char *path = at_join(r->ctx, r->path, name[i]);
        s = path ? AT_OK : AT_OOM;
        if (s == AT_OK && at_exists(path))
            s = at_error(r->ctx, AT_ARG,
                         "%s exists and is not of this run, which would write over it: move it "
                         "away, or choose another folder",
                         path);
        at_free(path);
    }
    return s;
}

static at_status sweep_checkpoints(at_runfolder *r);

at_status at_runfolder_open(at_ctx *c, const char *path, bool resume, at_runfolder *out) {
    *out = (at_runfolder){.ctx = c};
    out->path = at_path_trim(c, path);
    out->checkpoints = out->path ? at_join(c, out->path, "checkpoints") : NULL;
    out->metrics = out->path ? at_join(c, out->path, "metrics.jsonl") : NULL;
    if (!out->path || !out->checkpoints || !out->metrics) return AT_OOM;
    if (resume && !at_is_dir(out->checkpoints))
        return at_error(c, AT_ARG, "%s: nothing to resume, there is no checkpoints/ in it", path);
    at_status s = resume ? AT_OK : at_make_dir(c, out->path);
    if (s == AT_OK) s = take_lock(out);
    if (s == AT_OK && !resume) s = refuse_taken(out);
    if (s == AT_OK && !resume) s = at_make_dir(c, out->checkpoints);
    if (s == AT_OK) at_sync_folder_of(out->checkpoints);
    return s == AT_OK ? sweep_checkpoints(out) : s;
}

void at_runfolder_close(at_runfolder *r) {
    if (r->log) (void)fclose(r->log);
    at_lock_release(r->lock);
    at_free(r->path);
    at_free(r->checkpoints);
    at_free(r->metrics);
    *r = (at_runfolder){0};
}

/* The recipe in the folder as it takes effect today: keys that came since have their defaults.
   NULL: it is not understood any more. */
static char *effective(at_ctx *c, const char *path) {
    at_conf *f = NULL;
    at_recipe r;
    at_status s = at_conf_read(c, path, &f);
    if (s == AT_OK) s = at_recipe_bind_all(c, f, at_conf_has(f, "distill"), &r);
    char *text = s == AT_OK ? at_conf_dump(c, f, false) : NULL;
    at_conf_close(f);
    return text;
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
        char *old = effective(c, path);
        if (!old) old = at_read_file(c, path, (size_t)1 << 24, NULL);
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

enum { NAME = 32 };

static void step_name(int64_t step, char name[NAME]) {
    (void)snprintf(name, NAME, "step-%08lld", (long long)step);
}

static char *step_path(at_runfolder *r, int64_t step) {
    char name[NAME];
    step_name(step, name);
    return at_join(r->ctx, r->checkpoints, name);
}

/* "step-00000120" -> 120; any other name, "step-120" included: -1. */
static int64_t step_of(const char *name) {
    char own[NAME];
    if (strncmp(name, "step-", 5) != 0 || name[5] < '0' || name[5] > '9') return -1;
    const int64_t step = (int64_t)strtoll(name + 5, NULL, 10);
    step_name(step, own);
    return strcmp(name, own) == 0 ? step : -1;
}

/* Checkpoints are renamed when complete, so a folder without state.json is none. */
static at_status is_checkpoint(at_runfolder *r, int64_t step, bool *is) {
    char *dir = step_path(r, step), *state = dir ? at_join(r->ctx, dir, AT_RUNSTATE_FILE) : NULL;
    const at_status s = state ? AT_OK : AT_OOM;
    *is = state && at_exists(state);
    at_free(dir);
    at_free(state);
    return s;
}

at_status at_runfolder_latest(at_runfolder *r, int64_t *step) {
    at_list l = {0};
    at_status s = at_list_names(r->ctx, r->checkpoints, &l);
    *step = -1;
    for (int64_t i = 0; i < l.n && s == AT_OK; i++) {
        const int64_t n = step_of(l.item[i]);
        bool is = false;
        if (n > *step) s = is_checkpoint(r, n, &is);
        if (is) *step = n;
    }
    at_list_free(&l);
    return s;
}

/* Removes checkpoints that a killed process was writing: ".step-00000120.artel-partial-...", see
   base/partial.h. */
static at_status sweep_checkpoints(at_runfolder *r) {
    at_list l = {0};
    at_status s = at_list_names(r->ctx, r->checkpoints, &l);
    for (int64_t i = 0; i < l.n && s == AT_OK; i++) {
        char *name = l.item[i], *end = strstr(name, ".artel-");
        if (*name != '.' || !end) continue;
        *end = 0;
        if (step_of(name + 1) < 0) continue;
        char *path = at_join(r->ctx, r->checkpoints, name + 1);
        s = path ? at_partial_sweep(r->ctx, path) : AT_OOM;
        at_free(path);
    }
    at_list_free(&l);
    return s;
}

/* ---- removing the oldest ---- */

static const char *const moments_name[2] = {"adam_m.safetensors", "adam_v.safetensors"};

/* Whether a folder holds nothing but files of a checkpoint.  One with a file of the user's is never
   removed. */
static bool all_ours(at_ctx *c, const char *dir) {
    const char *name[32] = {"config.json",   "model.safetensors", "tokenizer.json",
                            moments_name[0], moments_name[1],     AT_RUNSTATE_FILE};
    int64_t n = 6;
    for (int i = 0; at_tasks[i] && n < 32; i++)
        if (at_tasks[i]->file) name[n++] = at_tasks[i]->file;
    struct stat st;
    at_ctx quiet = *c;
    return lstat(dir, &st) == 0 && S_ISDIR(st.st_mode) &&
           at_check_replaceable(&quiet, dir, "checkpoint", name, n) == AT_OK;
}

/* Renames before removing, so that a checkpoint that is half removed is never taken for a whole
   one. */
static at_status retire(at_ctx *c, const char *dir) {
    char *going = NULL;
    at_status s = at_partial_dir(c, dir, &going);
    if (s == AT_OK && rename(dir, going) != 0)
        s = at_error(c, AT_IO, "%s: cannot remove: %s", dir, strerror(errno));
    at_partial_drop(c, going);
    return s;
}

static int by_step(const void *a, const void *b) {
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

/* Removes all checkpoints but the newest `keep`, and nothing else. */
static at_status tidy(at_runfolder *r, int64_t keep) {
    at_ctx *c = r->ctx;
    at_list l = {0};
    at_status s = at_list_names(c, r->checkpoints, &l);
    int64_t n = 0, *step = s == AT_OK ? at_calloc(c, (size_t)l.n, sizeof *step) : NULL;
    if (s == AT_OK && !step) s = AT_OOM;
    for (int64_t i = 0; i < l.n && s == AT_OK; i++) {
        char *dir = at_join(c, r->checkpoints, l.item[i]);
        bool is = false;
        step[n] = step_of(l.item[i]);
        s = dir ? AT_OK : AT_OOM;
        if (s == AT_OK && step[n] >= 0) s = is_checkpoint(r, step[n], &is);
        if (is && all_ours(c, dir)) n++;
        at_free(dir);
    }
    if (n > 1) qsort(step, (size_t)n, sizeof *step, by_step);
    for (int64_t i = 0; i < n - keep && s == AT_OK; i++) {
        char *dir = step_path(r, step[i]);
        s = dir ? retire(c, dir) : AT_OOM;
        at_free(dir);
    }
    at_list_free(&l);
    at_free(step);
    return s;
}

/* ---- saving and loading ---- */

static at_status moments(at_ctx *c, const char *dir, at_store *s, bool save) {
    at_status st = AT_OK;
    for (int i = 0; i < 2 && st == AT_OK; i++) {
        char *path = at_join(c, dir, moments_name[i]);
        const at_slab what = i ? AT_SLAB_V : AT_SLAB_M;
        st = !path  ? AT_OOM
             : save ? at_checkpoint_save(c, s, what, path, NULL)
                    : at_checkpoint_load_slab(c, s, what, path);
        at_free(path);
    }
    return st;
}

/* A folder of this name that is no checkpoint is the user's: it is renamed, not removed. */
static at_status make_way(at_ctx *c, const char *dir) {
    char *kept = NULL;
    if (!at_exists(dir)) return AT_OK;
    const at_status s = at_move_aside(c, dir, &kept);
    if (s == AT_OK) at_log(c, AT_LOG_WARN, "%s was there before this run: it is now %s", dir, kept);
    at_free(kept);
    return s;
}

/* Syncs metrics.jsonl before a checkpoint, so that it has the lines of the checkpoint's steps. */
static at_status sync_log(at_runfolder *r) {
    if (!r->log || (fflush(r->log) == 0 && fsync(fileno(r->log)) == 0)) return AT_OK;
    return at_error(r->ctx, AT_IO, "%s: cannot write: %s", r->metrics, strerror(errno));
}

at_status at_runfolder_save(at_runfolder *r, const at_learner *l, const at_train_state *p,
                            const char *tokenizer, int64_t keep) {
    at_ctx *c = r->ctx;
    char *final = step_path(r, p->step), *made = NULL;
    at_status s = final ? at_partial_dir(c, final, &made) : AT_OOM;
    if (s == AT_OK) s = at_model_write(c, l->model, made, tokenizer);
    if (s == AT_OK) s = moments(c, made, &l->model->store, true);
    if (s == AT_OK && l->state && l->task->save) s = l->task->save(l, c, made);
    if (s == AT_OK) s = at_runstate_write(c, made, &l->model->store, &l->alpha, p);
    if (s == AT_OK) s = sync_log(r);
    if (s == AT_OK) s = make_way(c, final);
    if (s == AT_OK) s = at_partial_commit(c, made, final);
    at_partial_drop(c, made);
    at_free(final);
    return s == AT_OK ? tidy(r, keep) : s;
}

at_status at_runfolder_load(at_runfolder *r, int64_t step, at_learner *l, at_train_state *p) {
    at_ctx *c = r->ctx;
    at_model *m = l->model;
    char *dir = step_path(r, step);
    if (!dir) return AT_OOM;
    at_weights w = {0};
    at_status s = at_runstate_read(c, dir, step, &m->store, &l->alpha, p);
    if (s == AT_OK) s = at_weights_open(c, dir, SIZE_MAX, &w);
    const at_load_options how = {.prefix = m->arch->prefix, .ignore = m->arch->ignore};
    if (s == AT_OK) s = at_checkpoint_load(c, &m->store, &w, &how);
    at_weights_close(&w);
    if (s == AT_OK) s = moments(c, dir, &m->store, false);
    if (s == AT_OK && l->state && l->task->load) s = l->task->load(l, c, dir);
    at_free(dir);
    return s;
}

/* ---- metrics ------------------------------------------------------------------------- */

/* Moves the lines to keep to the front and returns their bytes.  Lines of later steps are dropped,
   since they will be written again, and so is an incomplete last line; lines of other programs are
   kept. */
static size_t keep_lines(char *text, size_t bytes, int64_t step) {
    size_t kept = 0;
    for (size_t at = 0; at < bytes;) {
        const char *end = memchr(text + at, '\n', bytes - at);
        if (!end) break;
        const size_t n = (size_t)(end - (text + at)) + 1;
        const char *key = strstr(text + at, "\"step\":");
        if (!key || key > end || strtoll(key + 7, NULL, 10) <= step) {
            memmove(text + kept, text + at, n);
            kept += n;
        }
        at += n;
    }
    return kept;
}

at_status at_runfolder_log_open(at_runfolder *r, int64_t step) {
    at_ctx *c = r->ctx;
    if (at_exists(r->metrics)) {
        size_t bytes = 0;
        char *text = at_read_file(c, r->metrics, (size_t)1 << 32, &bytes);
        if (!text) return c->status;
        const size_t keep = keep_lines(text, bytes, step);
        const at_status s = keep < bytes ? at_write_file(c, r->metrics, text, keep) : AT_OK;
        at_free(text);
        if (s != AT_OK) return s;
    }
    r->log = fopen(r->metrics, "a");
    return r->log ? AT_OK
                  : at_error(c, AT_IO, "%s: cannot append: %s", r->metrics, strerror(errno));
}

at_status at_runfolder_log(at_runfolder *r, at_json *j) {
    char *text = at_json_take(j);
    if (!text) return r->ctx->status;
    const bool ok = fprintf(r->log, "%s\n", text) > 0 && fflush(r->log) == 0;
    at_free(text);
    return ok ? AT_OK
              : at_error(r->ctx, AT_IO, "%s: cannot write: %s", r->metrics, strerror(errno));
}
