/* lab_trial.c - trains declared runs that are not finished. */
#include "lab/lab_trial.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/sha256.h"
#include "base/text.h"
#include "lab/lab_result.h"
#include "report/jsonl.h"
#include "train/plan.h"
#include "train/recipe.h"
#include "train/train.h"
#include <stdio.h>
#include <string.h>

/* ---- results.jsonl ---- */

static bool has_text(const cJSON *line, const char *key, const char *value) {
    const char *s = at_jsonl_string(line, key);
    return s && !strcmp(s, value);
}

/* Another program may train differently; another processor gives the same losses, but other
   speeds. */
static void log_left_out(const at_lab_session *l, int64_t programs, int64_t processors) {
    if (programs)
        at_log(l->c, AT_LOG_WARN,
               "%s: %lld finished runs are of another program than this one (%s); they are done "
               "again",
               l->results_path, (long long)programs, l->program);
    if (processors)
        at_log(l->c, AT_LOG_INFO,
               "%s: %lld finished runs are of another processor than this one (%s); their losses "
               "stay, speeds are measured here",
               l->results_path, (long long)processors, l->processor);
}

at_status at_lab_results_open(at_lab_session *l) {
    at_jsonl j;
    cJSON *line = NULL;
    int64_t programs = 0, processors = 0;
    if (!(l->results = at_json_list(l->c))) return l->c->status;
    if (!at_exists(l->results_path)) return AT_OK;
    at_status s = at_jsonl_open(l->c, l->results_path, &j);
    while (s == AT_OK && (s = at_jsonl_next(l->c, &j, &line)) == AT_OK && line) {
        if (!has_text(line, "program", l->program)) {
            cJSON_Delete(line);
            programs++;
            continue;
        }
        processors += !has_text(line, "processor", l->processor);
        at_json_append(l->results, line);
    }
    at_jsonl_close(&j);
    if (s == AT_OK) log_left_out(l, programs, processors);
    return s;
}

/* Rewrites the whole file atomically; it is small. */
static at_status results_write(at_lab_session *l) {
    return at_json_write_lines(l->c, l->results_path, l->results);
}

static cJSON *result_of(const at_lab_session *l, const char *name) {
    cJSON *line;
    cJSON_ArrayForEach(line, l->results) if (has_text(line, "name", name)) return line;
    return NULL;
}

/* ---- declaring ---- */

void at_lab_trials_close(at_lab_session *l) {
    for (int64_t i = 0; i < l->n; i++) {
        at_free(l->trial[i].recipe);
        cJSON_Delete(l->trial[i].plan);
    }
    at_free(l->trial);
    l->trial = NULL;
    l->n = l->cap = 0;
}

const at_trial *at_lab_trial(const at_lab_session *l, const char *group, int64_t seed) {
    for (int64_t i = 0; i < l->n; i++)
        if (l->trial[i].seed == seed && !strcmp(l->trial[i].group, group)) return &l->trial[i];
    return NULL;
}

char *at_lab_model(at_lab_session *l, const char *group, int64_t seed) {
    const at_trial *t = at_lab_trial(l, group, seed);
    if (t) return at_lab_path(l, t, "model");
    (void)at_error(l->c, AT_ARG, "no run %s-s%lld was declared", group, (long long)seed);
    return NULL;
}

/* Hash of data and recipe, and of those of the runs that it needs; 16 digits are enough to
   distinguish runs. */
static at_status hash_of(at_lab_session *l, const at_trial *t, char *hex) {
    at_text x;
    at_text_init(&x, l->c, 0);
    at_textf(&x, "%s\n%s", l->data_hash, t->recipe);
    for (int i = 0; i < AT_TRIAL_NEEDS && !x.failed; i++) {
        char of_need[AT_SHA256_TEXT];
        if (t->need[i] < 0) continue;
        const at_status s = hash_of(l, &l->trial[t->need[i]], of_need);
        if (s != AT_OK) x.failed = s;
        at_textf(&x, "\n%s", of_need);
    }
    if (!x.failed) at_sha256_text(x.s, x.n, hex);
    hex[16] = 0;
    at_text_close(&x);
    return x.failed;
}

/* Sets t->result if the run is finished: there is a line with its hash, and its files are there.
   (Lines of other programs were left out when the results were read.) */
static at_status look_up(at_lab_session *l, at_trial *t) {
    char hex[AT_SHA256_TEXT];
    if (hash_of(l, t, hex) != AT_OK) return AT_OOM;
    cJSON *line = result_of(l, t->name);
    char *model = at_lab_path(l, t, "model/config.json");
    char *windows = at_lab_path(l, t, AT_LAB_WINDOWS);
    t->result = NULL;
    const bool whole = model && windows && at_exists(model) &&
                       (t->flags & AT_TRIAL_FOR_TUNING || at_exists(windows));
    if (line && has_text(line, "recipe", hex) && (whole || at_jsonl_string(line, "diverged")))
        t->result = line;
    const at_status s = model && windows ? AT_OK : AT_OOM;
    at_free(model);
    at_free(windows);
    return s;
}

static at_status conf_of(at_lab_session *l, const at_trial *t, at_conf **f) {
    return at_conf_parse(l->c, t->name, t->recipe, strlen(t->recipe), f);
}

/* The run before t whose model lies in this folder, or -1. */
static int64_t owner_of(at_lab_session *l, const at_trial *t, const char *model) {
    int64_t who = -1;
    for (int64_t i = 0; model && who < 0 && i < t - l->trial; i++) {
        char *path = at_lab_path(l, &l->trial[i], "model");
        if (path && !strcmp(path, model)) who = i;
        at_free(path);
    }
    return who;
}

/* What the recipe says of the run: how many tokens, with a teacher or without, after which others. */
static at_status read_recipe(at_lab_session *l, at_trial *t) {
    at_conf *f = NULL;
    at_recipe r;
    at_status s = conf_of(l, t, &f);
    if (s == AT_OK) {
        t->distilling = at_conf_has(f, "distill");
        s = at_recipe_bind(l->c, f, t->distilling, &r);
    }
    if (s == AT_OK) {
        t->need[0] = owner_of(l, t, r.top.init);
        t->need[1] = t->distilling ? owner_of(l, t, r.distill.teacher) : -1;
        t->tokens = (double)(r.train.steps * r.train.accumulate) *
                    (double)(r.train.batch * r.train.context);
    }
    at_conf_close(f);
    return s;
}

/* Whether the models exist that it needs. */
static bool is_ready(const at_lab_session *l, const at_trial *t) {
    for (int i = 0; i < AT_TRIAL_NEEDS; i++)
        if (t->need[i] >= 0 && !l->trial[t->need[i]].result) return false;
    return true;
}

/* A plan needs the models that the run begins with.  Until they exist its cost is guessed to be, for
   a token, that of the run that makes the first of them. */
static at_status plan_of(at_lab_session *l, at_trial *t) {
    if (t->plan) return AT_OK;
    for (int i = 0; i < AT_TRIAL_NEEDS && !is_ready(l, t); i++) {
        if (t->need[i] < 0) continue;
        const at_trial *need = &l->trial[t->need[i]];
        t->flops = need->flops / need->tokens * t->tokens;
        return AT_OK;
    }
    at_conf *f = NULL;
    at_status s = conf_of(l, t, &f);
    at_json j;
    at_json_open(&j, l->c);
    if (s == AT_OK) s = at_plan(l->c, f, t->distilling, false, &j);
    if (s == AT_OK && !(t->plan = at_json_value(&j, t->name))) s = l->c->status;
    at_json_close(&j);
    at_conf_close(f);
    (void)(t->plan && at_jsonl_number(t->plan, "flops", &t->flops));
    return s;
}

at_status at_lab_declare(at_lab_session *l, const char *group, int64_t seed, unsigned flags,
                         const char *recipe) {
    at_trial *t = NULL;
    for (int64_t i = 0; i < l->n; i++)
        if (l->trial[i].seed == seed && !strcmp(l->trial[i].group, group)) t = &l->trial[i];
    if (!t) {
        if (!at_reserve(l->c, &l->trial, &l->cap, l->n + 1, sizeof *l->trial)) return AT_OOM;
        t = &l->trial[l->n++];
        *t = (at_trial){.seed = seed, .flags = flags};
        (void)snprintf(t->group, sizeof t->group, "%s", group);
        (void)snprintf(t->name, sizeof t->name, "%s-s%lld", group, (long long)seed);
    }
    at_free(t->recipe);
    if (!(t->recipe = at_strdup(l->c, recipe))) return AT_OOM;
    at_status s = read_recipe(l, t);
    if (s == AT_OK) s = plan_of(l, t);
    return s == AT_OK ? look_up(l, t) : s;
}

/* ---- time left ---- */

static double seconds_left(const at_lab_session *l) {
    double left = 0;
    for (int64_t i = 0; i < l->n; i++)
        if (!l->trial[i].result) left += l->trial[i].flops;
    const double guess = 1e11 * l->c->threads; /* until something was measured */
    const double speed = l->worked > 0 ? l->worked / l->work_seconds : guess;
    const double s = left / speed - (at_now() - l->trial_began);
    return (s > 0 ? s : 0) + l->later;
}

/* Turns progress of a run into progress of the lab; other messages of a run are dropped. */
static void log_trial(void *user, at_log_level level, const char *line) {
    const at_lab_session *l = user;
    if (!l->log || level == AT_LOG_INFO) return;
    at_lab_session *whole = l->whole;
    (void)pthread_mutex_lock(&whole->lock);
    const double left = seconds_left(whole);
    char text[512];
    (void)snprintf(text, sizeof text, "%s %lld/%lld, %d:%02d left: %s  %.300s", l->lab->name,
                   (long long)l->current + 1, (long long)l->n, (int)(left / 60), (int)left % 60,
                   l->trial[l->current].name, line);
    l->log(l->log_user, level, text);
    (void)pthread_mutex_unlock(&whole->lock);
}

/* ---- training ---- */

/* A file in the folder of a run that names the program that began it. */
#define BEGUN_BY "program.txt"

static bool begun_by_this(at_lab_session *l, const char *path) {
    char *text = at_exists(path) ? at_read_file(l->c, path, 256, NULL) : NULL;
    const bool same = text && !strcmp(text, l->program);
    if (!text) at_error_clear(l->c);
    at_free(text);
    return same;
}

static at_status begin(at_lab_session *l, const char *folder, const char *mark) {
    at_status s = at_remove_tree(l->c, folder);
    if (s == AT_OK) s = at_make_dir(l->c, folder);
    return s == AT_OK ? at_write_file(l->c, mark, l->program, strlen(l->program)) : s;
}

/* Continues a run that was interrupted; one begun with another recipe or program is started
   again. */
static at_status train(at_lab_session *l, const at_trial *t, const char *folder,
                       at_train_result *r) {
    char *state = at_lab_path(l, t, "checkpoints"), *mark = at_lab_path(l, t, BEGUN_BY);
    at_status s = state && mark ? AT_MISMATCH : AT_OOM;
    for (int resume = s == AT_MISMATCH && at_exists(state) && begun_by_this(l, mark);
         s == AT_MISMATCH && resume >= 0; resume--) {
        at_conf *f = NULL;
        const at_train_options o = {.resume = resume != 0, .distilling = t->distilling};
        s = o.resume ? AT_OK : begin(l, folder, mark);
        if (s == AT_OK) s = conf_of(l, t, &f);
        if (s == AT_OK) s = at_train(l->c, f, folder, &o, r);
        at_conf_close(f);
    }
    at_free(state);
    at_free(mark);
    return s;
}

/* Removes the checkpoints, which take three times the space of the model. */
static at_status drop_checkpoints(at_lab_session *l, const at_trial *t) {
    char *state = at_lab_path(l, t, "checkpoints");
    const at_status s = state ? at_remove_tree(l->c, state) : AT_OOM;
    at_free(state);
    return s;
}

static cJSON *diverged(const at_lab_session *l, const at_trial *t, const char *hash) {
    at_json j;
    at_json_open(&j, l->c);
    at_json_put_string(&j, "name", t->name);
    at_json_put_string(&j, "group", t->group);
    at_json_put_number(&j, "seed", (double)t->seed);
    at_json_put_string(&j, "recipe", hash);
    at_json_put_string(&j, "program", l->program);
    at_json_put_string(&j, "processor", l->processor);
    at_json_put_string(&j, "diverged", l->c->message);
    return at_json_value(&j, t->name);
}

static at_status add_result(at_lab_session *l, at_trial *t, cJSON *line) {
    cJSON *old = result_of(l, t->name);
    if (old) cJSON_Delete(cJSON_DetachItemViaPointer(l->results, old));
    at_json_append(l->results, line);
    t->result = line;
    return results_write(l);
}

static void say_done(const at_lab_session *l, const at_trial *t, double took) {
    double loss = 0;
    if (at_jsonl_number(t->result, "test_loss", &loss))
        at_log(l->c, AT_LOG_INFO, "%s: test loss %.4f, %.0f s", t->name, loss, took);
    else if (at_jsonl_number(t->result, "val_loss", &loss))
        at_log(l->c, AT_LOG_INFO, "%s: validation loss %.4f, %.0f s", t->name, loss, took);
    else
        at_log(l->c, AT_LOG_INFO, "%s: %s", t->name, at_jsonl_string(t->result, "diverged"));
}

/* Keeps what came of a run; sides take turns here. */
static at_status keep(at_lab_session *l, at_trial *t, cJSON *line) {
    at_lab_session *whole = l->whole;
    const double took = at_now() - l->trial_began;
    const bool exploded = at_jsonl_string(line, "diverged") != NULL;
    (void)pthread_mutex_lock(&whole->lock);
    at_status s = add_result(l, t, line);
    if (s == AT_OK && !exploded) {
        whole->worked += t->flops;
        whole->work_seconds += took / (l == whole ? 1 : whole->sides);
    }
    whole->trial_began = at_now();
    (void)pthread_mutex_unlock(&whole->lock);
    if (s == AT_OK) s = drop_checkpoints(l, t);
    if (s == AT_OK) say_done(l, t, took);
    return s;
}

static at_status one(at_lab_session *l, at_trial *t) {
    at_train_result r;
    cJSON *line = NULL;
    char hex[AT_SHA256_TEXT], *folder = at_lab_path(l, t, NULL);
    at_log_fn log = l->c->log;
    void *log_user = l->c->log_user;
    at_status s = folder ? plan_of(l, t) : AT_OOM;
    l->trial_began = at_now();
    l->c->log = log_trial;
    l->c->log_user = l;
    if (s == AT_OK) s = train(l, t, folder, &r);
    l->c->log = log;
    l->c->log_user = log_user;
    at_free(folder);
    const bool exploded = s == AT_NUMERIC && t->flags & AT_TRIAL_MAY_DIVERGE;
    if (hash_of(l, t, hex) != AT_OK) return AT_OOM;
    if (exploded) {
        line = diverged(l, t, hex);
        s = line ? AT_OK : l->c->status;
        if (s == AT_OK) at_error_clear(l->c);
    } else if (s == AT_OK) {
        s = at_lab_result(l, t, hex, &line);
    }
    return s == AT_OK ? keep(l, t, line) : s;
}

/* ---- side by side ---- */

/* Runs that can be done now, and a copy of the session for each side that does them, with a context
   of its own: one thread, and errors that are told when all have ended. */
typedef struct {
    at_lab_session *side; /* [sides] */
    at_ctx *ctx;
    at_status *status;
    int sides;
    const int64_t *ready; /* indices of runs */
    atomic_bool failed;   /* one of them     */
} wave;

static void log_side(void *user, at_log_level level, const char *line) {
    const at_lab_session *l = user;
    if (!l->log) return;
    (void)pthread_mutex_lock(&l->whole->lock);
    l->log(l->log_user, level, line);
    (void)pthread_mutex_unlock(&l->whole->lock);
}

static at_status open_side(at_lab_session *l, wave *w) {
    const int k = w->sides;
    at_ctx *c = &w->ctx[k];
    at_ctx_init(c, 1);
    c->cpu = l->c->cpu;
    c->interrupt = l->c->interrupt;
    c->log = log_side;
    c->log_user = &w->side[k];
    w->side[k] = *l;
    w->side[k].c = c;
    w->status[k] = at_compute_open(&w->side[k].cp, c);
    w->sides += w->status[k] == AT_OK;
    return w->status[k];
}

static void work(void *arg, int64_t begin, int64_t end, int worker) {
    wave *w = arg;
    at_lab_session *l = &w->side[worker];
    for (int64_t i = begin; i < end && !atomic_load(&w->failed); i++) {
        l->current = w->ready[i];
        w->status[worker] = at_interrupted(l->c) ? AT_INTERRUPTED : one(l, &l->trial[w->ready[i]]);
        if (w->status[worker] != AT_OK) atomic_store(&w->failed, true);
    }
}

static at_status side_by_side(at_lab_session *l, const int64_t *ready, int64_t n) {
    const int sides = n < l->sides ? (int)n : l->sides;
    wave w = {.ready = ready,
              .side = at_calloc(l->c, (size_t)sides, sizeof *w.side),
              .ctx = at_calloc(l->c, (size_t)sides, sizeof *w.ctx),
              .status = at_calloc(l->c, (size_t)sides, sizeof *w.status)};
    at_status s = w.side && w.ctx && w.status ? AT_OK : AT_OOM;
    for (int64_t i = 0; i < n && s == AT_OK; i++) s = plan_of(l, &l->trial[ready[i]]);
    while (w.sides < sides && s == AT_OK) s = open_side(l, &w);
    if (s == AT_OK) at_par_for(sides, n, 1, work, &w);
    for (int i = 0; i < w.sides; i++) {
        if (s == AT_OK && w.status[i] != AT_OK) {
            l->current = w.side[i].current;
            s = w.status[i] == AT_INTERRUPTED ? AT_INTERRUPTED
                                              : at_error(l->c, w.status[i], "%s", w.ctx[i].message);
        }
        at_compute_close(&w.side[i].cp);
    }
    at_free(w.side);
    at_free(w.ctx);
    at_free(w.status);
    return s;
}

/* ---- all of them ---- */

static at_status explained(at_lab_session *l, at_status s) {
    return s == AT_INTERRUPTED
               ? at_error(l->c, s, "interrupted in run %lld of %lld; the same command goes on",
                          (long long)l->current + 1, (long long)l->n)
               : s;
}

/* Unfinished runs with these flags, of which *n are ready and come first; -1 after the last. */
static void sort_out(const at_lab_session *l, unsigned flags, int64_t *index, int64_t *n,
                     int64_t *waiting) {
    *n = 0;
    *waiting = -1;
    for (int64_t i = 0; i < l->n; i++) {
        const at_trial *t = &l->trial[i];
        if ((t->flags & flags) != flags || t->result) continue;
        if (is_ready(l, t))
            index[(*n)++] = i;
        else
            *waiting = i;
    }
}

at_status at_lab_train(at_lab_session *l, unsigned flags) {
    at_status s = AT_OK;
    int64_t n = 0, waiting = -1;
    int64_t *index = at_malloc(l->c, (size_t)l->n * sizeof *index);
    if (!index) return AT_OOM;
    l->whole = l;
    (void)pthread_mutex_init(&l->lock, NULL);
    for (sort_out(l, flags, index, &n, &waiting); n && s == AT_OK;
         sort_out(l, flags, index, &n, &waiting)) {
        if (l->sides > 1 && n > 1) {
            s = side_by_side(l, index, n);
            continue;
        }
        l->current = index[0];
        s = at_interrupted(l->c) ? AT_INTERRUPTED : one(l, &l->trial[index[0]]);
    }
    (void)pthread_mutex_destroy(&l->lock);
    at_free(index);
    if (s == AT_OK && waiting >= 0)
        s = at_error(l->c, AT_ARG, "%s needs the model of a run that is not finished",
                     l->trial[waiting].name);
    return explained(l, s);
}

bool at_lab_numbers(const at_lab_session *l, const char *group, const char *key, int64_t n,
                    double *out) {
    for (int64_t i = 0; i < n; i++) {
        const at_trial *t = at_lab_trial(l, group, i + 1);
        if (!t || !t->result || !at_jsonl_number(t->result, key, &out[i])) return false;
    }
    return true;
}
