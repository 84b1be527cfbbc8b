/* lab_speed.c - the models of one seed are open at the same time and timed in turns. */
#include "lab/lab_speed.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/sha256.h"
#include "base/stats.h"
#include "base/text.h"
#include "bench/timing.h"
#include "infer/session.h"
#include "lab/lab_trial.h"
#include "train/task_lm.h"
#include "train/trainer.h"
#include <math.h>
#include <string.h>

enum { STEPS = 2, DECODED = 48, ROUNDS_MAX = 64 };

typedef struct {
    at_conf *conf;
    at_recipe recipe;
    at_model *model;
    at_learner learner;
    at_trainer trainer;
    at_session session;
    at_arena arena;
    double train[ROUNDS_MAX], forward[ROUNDS_MAX], decode[ROUNDS_MAX]; /* seconds a token */
} timed_model;

static at_status timed_open(at_lab_session *l, const at_trial *t, timed_model *r) {
    char *model = at_lab_path(l, t, "model");
    at_arena_init(&r->arena, l->c);
    at_status s = model ? AT_OK : AT_OOM;
    if (s == AT_OK) s = at_conf_parse(l->c, t->name, t->recipe, strlen(t->recipe), &r->conf);
    if (s == AT_OK) s = at_recipe_bind(l->c, r->conf, false, &r->recipe);
    if (s == AT_OK) s = at_model_load(l->c, model, true, &r->model);
    r->recipe.train.lr = 0; /* the weights stay */
    r->recipe.train.spike = 0;
    if (s == AT_OK) {
        s = at_learner_open(l->c, &r->recipe, r->model, (at_teacher){0}, l->data, &r->learner);
        if (s == AT_OK) s = at_trainer_open(l->c, &l->cp, &r->recipe, &r->learner, 1, &r->trainer);
    }
    const int64_t batch = r->recipe.train.batch * r->recipe.train.context; /* tokens */
    if (s == AT_OK)
        s = at_session_open(&l->cp, r->model, batch < DECODED ? batch : DECODED, &r->session);
    at_free(model);
    return s;
}

static void timed_close(timed_model *r) {
    at_trainer_close(&r->trainer);
    at_learner_close(&r->learner);
    if (r->session.model) at_session_close(&r->session);
    at_arena_close(&r->arena);
    at_model_close(r->model);
    at_conf_close(r->conf);
}

static at_status run_train(timed_model *r, double *seconds) {
    at_step_report rep;
    double best = 0;
    for (int i = 0; i < STEPS; i++) {
        const at_status s = at_trainer_step(&r->trainer, &rep);
        if (s != AT_OK) return s;
        if (!i || rep.seconds < best) best = rep.seconds;
    }
    *seconds = best / (double)rep.tokens;
    return AT_OK;
}

/* Forward pass and loss of the last training batch, without a tape. */
static at_status run_forward(at_lab_session *l, timed_model *r, double *seconds) {
    const at_lm_batches *b = at_lm_batches_of(&r->learner);
    const at_input in = {.ids = b->input, .B = r->recipe.train.batch, .T = r->recipe.train.context};
    at_head_report rep;
    const at_readout what = {.label = b->target, .parts = 1, .report = &rep};
    const double began = at_now();
    const at_status s = at_model_read(&l->cp, &r->arena, r->model, &in, NULL, &what);
    *seconds = (at_now() - began) / (double)(in.B * in.T);
    return s;
}

static at_status run_decode(timed_model *r, double *seconds) {
    const at_real *logits;
    const int64_t n = r->session.cap, prompt = n / 3;
    const int32_t *ids = at_lm_batches_of(&r->learner)->input;
    at_session_rewind(&r->session, 0);
    at_status s = at_session_feed(&r->session, ids, prompt, &logits);
    const double began = at_now();
    for (int64_t i = prompt; i < n && s == AT_OK; i++)
        s = at_session_feed(&r->session, ids + i, 1, &logits);
    *seconds = (at_now() - began) / (double)(n - prompt);
    return s;
}

static at_status rounds_of(at_lab_session *l, timed_model *r, int n, int rounds, int seed,
                           int seeds) {
    at_status s = AT_OK;
    for (int k = -1; k < rounds; k++) /* the first one warms up */
        for (int i = 0; i < n && s == AT_OK; i++) {
            const int at = k < 0 ? 0 : k;
            if (at_interrupted(l->c)) s = at_error(l->c, AT_INTERRUPTED, "interrupted");
            if (s == AT_OK) s = run_train(&r[i], &r[i].train[at]);
            if (s == AT_OK) s = run_forward(l, &r[i], &r[i].forward[at]);
            if (s == AT_OK) s = run_decode(&r[i], &r[i].decode[at]);
            at_log(l->c, AT_LOG_PROGRESS, "%s: measuring speed, seed %d of %d, round %d of %d",
                   l->lab->name, seed + 1, seeds, at + 1, rounds);
        }
    return s;
}

/* Tokens a second by the median of seconds a token.  *error: standard error of its logarithm (for a
   median 1.25 times that for a mean). */
static double summary(double *seconds, int rounds, double *error) {
    for (int i = 0; i < rounds; i++) seconds[i] = log(seconds[i]);
    *error = rounds > 1 ? 1.2533 * at_stat_sd(seconds, rounds) / sqrt((double)rounds) : 0;
    return exp(-at_time_summary(seconds, rounds).median);
}

static at_status time_seed(at_lab_session *l, const at_trial *const *t, int seed, int seeds, int n,
                           int rounds, at_speed *out) {
    timed_model *r = at_calloc(l->c, (size_t)n, sizeof *r);
    at_status s = r ? AT_OK : AT_OOM;
    for (int i = 0; i < n && s == AT_OK; i++) s = timed_open(l, t[i], &r[i]);
    if (s == AT_OK) s = rounds_of(l, r, n, rounds, seed, seeds);
    for (int i = 0; i < n && r; i++) {
        if (s == AT_OK) {
            out[i].train = summary(r[i].train, rounds, &out[i].error[0]);
            out[i].forward = summary(r[i].forward, rounds, &out[i].error[1]);
            out[i].decode = summary(r[i].decode, rounds, &out[i].error[2]);
        }
        timed_close(&r[i]);
    }
    at_free(r);
    return s;
}

static at_status measure(at_lab_session *l, const at_trial *const *t, int seeds, int n, int rounds,
                         at_speed *out) {
    at_status s = AT_OK;
    for (int k = 0; k < seeds && s == AT_OK; k++)
        s = time_seed(l, t + k * n, k, seeds, n, rounds, out + k * n);
    return s;
}

/* ---- speed.json ---- */

static at_status key_of(at_lab_session *l, const at_trial *const *t, int n, char *hex) {
    at_text x;
    at_text_init(&x, l->c, 0);
    at_textf(&x, "%s %s %s %d", l->data_hash, l->program, l->processor, l->c->threads);
    for (int i = 0; i < n; i++) at_text_add(&x, t[i]->recipe);
    if (!x.failed) at_sha256_text(x.s, x.n, hex);
    at_text_close(&x);
    return x.failed;
}

static bool field(const cJSON *o, const char *key, double *out) {
    const cJSON *v = cJSON_GetObjectItemCaseSensitive(o, key);
    *out = cJSON_IsNumber(v) ? v->valuedouble : 0;
    return *out > 0;
}

static bool load_speeds(const cJSON *kept, const char *key, int n, at_speed *out) {
    const cJSON *was = cJSON_GetObjectItemCaseSensitive(kept, "key");
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(kept, "models");
    if (!cJSON_IsString(was) || strcmp(was->valuestring, key) || cJSON_GetArraySize(list) != n)
        return false;
    bool all = true;
    for (int i = 0; i < n; i++) {
        const cJSON *o = cJSON_GetArrayItem(list, i);
        all &= field(o, "train", &out[i].train) && field(o, "forward", &out[i].forward) &&
               field(o, "decode", &out[i].decode);
        const cJSON *error = cJSON_GetObjectItemCaseSensitive(o, "error");
        for (int k = 0; k < 3; k++) {
            const cJSON *v = cJSON_GetArrayItem(error, k);
            all &= cJSON_IsNumber(v) != 0;
            out[i].error[k] = v ? v->valuedouble : 0;
        }
    }
    return all;
}

static at_status save_speeds(at_lab_session *l, const char *path, const char *key,
                             const at_trial *const *t, int n, const at_speed *speed) {
    at_json j;
    at_json_open_file(&j, l->c);
    at_json_put_string(&j, "key", key);
    at_json_put_string(&j, "program", l->program);
    at_json_put_string(&j, "processor", l->processor);
    at_json_put_number(&j, "threads", l->c->threads);
    at_json_begin_list(&j, "models");
    for (int i = 0; i < n; i++) {
        at_json_begin_object(&j, NULL);
        at_json_put_string(&j, "name", t[i]->name);
        at_json_put_number(&j, "train", speed[i].train);
        at_json_put_number(&j, "forward", speed[i].forward);
        at_json_put_number(&j, "decode", speed[i].decode);
        at_json_put_numbers(&j, "error", speed[i].error, 3);
        at_json_end(&j);
    }
    at_json_end(&j);
    return at_json_save(&j, path);
}

static void log_reason(const at_lab_session *l, const char *path, const cJSON *kept) {
    const cJSON *was = cJSON_GetObjectItemCaseSensitive(kept, "processor");
    if (cJSON_IsString(was) && strcmp(was->valuestring, l->processor) != 0)
        at_log(l->c, AT_LOG_INFO, "%s: of another processor (%s; this is %s): measured again", path,
               was->valuestring, l->processor);
    else
        at_log(l->c, AT_LOG_INFO,
               "%s: of another program, of other runs or another number of threads: measured again",
               path);
}

at_status at_lab_speed(at_lab_session *l, const at_trial *const *t, int seeds, int n, int rounds,
                       at_speed *out) {
    char key[AT_SHA256_TEXT];
    if (n < 1 || n > AT_SPEED_MODELS || seeds < 1 || seeds > AT_SPEED_SEEDS || rounds < 1 ||
        rounds > ROUNDS_MAX)
        return at_error(l->c, AT_ARG, "%d models of %d seeds, %d rounds", n, seeds, rounds);
    char *path = at_join(l->c, l->o->out, "speed.json");
    at_status s = path ? key_of(l, t, seeds * n, key) : AT_OOM;
    cJSON *kept = s == AT_OK && at_exists(path) ? at_json_read(l->c, path) : NULL;
    if (s == AT_OK && !load_speeds(kept, key, seeds * n, out)) {
        if (kept) log_reason(l, path, kept);
        s = measure(l, t, seeds, n, rounds, out);
        if (s == AT_OK) s = save_speeds(l, path, key, t, seeds * n, out);
    }
    cJSON_Delete(kept);
    at_free(path);
    return s;
}
