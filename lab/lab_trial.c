/* lab_trial.c - trains declared runs that are not finished. */
#include "lab/lab_trial.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/sha256.h"
#include "base/text.h"
#include "lab/lab_result.h"
#include "report/jsonl.h"
#include "train/plan.h"
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

/* Hash of data and recipe; 16 digits are enough to distinguish runs. */
static at_status hash_of(at_lab_session *l, const at_trial *t, char *hex) {
    at_text x;
    at_text_init(&x, l->c, 0);
    at_textf(&x, "%s\n%s", l->data_hash, t->recipe);
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

static at_status plan_of(at_lab_session *l, at_trial *t) {
    at_conf *f = NULL;
    at_status s = conf_of(l, t, &f);
    at_json j;
    at_json_open(&j, l->c);
    if (s == AT_OK) s = at_plan(l->c, f, false, false, &j);
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
    const at_status s = t->plan ? AT_OK : plan_of(l, t);
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
    const double left = seconds_left(l);
    char text[512];
    (void)snprintf(text, sizeof text, "%s %lld/%lld, %d:%02d left: %s  %.300s", l->lab->name,
                   (long long)l->current + 1, (long long)l->n, (int)(left / 60), (int)left % 60,
                   l->trial[l->current].name, line);
    l->log(l->log_user, level, text);
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
        const at_train_options o = {.resume = resume != 0};
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

static at_status one(at_lab_session *l, at_trial *t) {
    at_train_result r;
    cJSON *line = NULL;
    char hex[AT_SHA256_TEXT], *folder = at_lab_path(l, t, NULL);
    l->trial_began = at_now();
    l->c->log = log_trial;
    l->c->log_user = l;
    at_status s = folder ? train(l, t, folder, &r) : AT_OOM;
    l->c->log = l->log;
    l->c->log_user = l->log_user;
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
    if (s == AT_OK) s = add_result(l, t, line);
    if (s == AT_OK) s = drop_checkpoints(l, t);
    if (s != AT_OK) return s;
    const double took = at_now() - l->trial_began;
    double loss = 0;
    if (!exploded) {
        l->worked += t->flops;
        l->work_seconds += took;
    }
    if (at_jsonl_number(line, "test_loss", &loss))
        at_log(l->c, AT_LOG_INFO, "%s: test loss %.4f, %.0f s", t->name, loss, took);
    else if (at_jsonl_number(line, "val_loss", &loss))
        at_log(l->c, AT_LOG_INFO, "%s: validation loss %.4f, %.0f s", t->name, loss, took);
    else
        at_log(l->c, AT_LOG_INFO, "%s: %s", t->name, at_jsonl_string(line, "diverged"));
    return AT_OK;
}

at_status at_lab_train(at_lab_session *l, unsigned flags) {
    at_status s = AT_OK;
    for (int64_t i = 0; i < l->n && s == AT_OK; i++) {
        if ((l->trial[i].flags & flags) != flags) continue;
        l->current = i;
        if (at_interrupted(l->c)) s = AT_INTERRUPTED;
        if (s == AT_OK && !l->trial[i].result) s = one(l, &l->trial[i]);
    }
    return s == AT_INTERRUPTED
               ? at_error(l->c, s, "interrupted in run %lld of %lld; the same command goes on",
                          (long long)l->current + 1, (long long)l->n)
               : s;
}

bool at_lab_numbers(const at_lab_session *l, const char *group, const char *key, int64_t n,
                    double *out) {
    for (int64_t i = 0; i < n; i++) {
        const at_trial *t = at_lab_trial(l, group, i + 1);
        if (!t || !t->result || !at_jsonl_number(t->result, key, &out[i])) return false;
    }
    return true;
}
