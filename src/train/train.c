/* train.c - the training loop: steps, validation, checkpoints, progress, interrupts. */
#include "train/train.h"
#include "base/clock.h"
#include "base/file.h"
#include "report/report.h"
#include "train/fit.h"
#include "train/teachers.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct {
    at_ctx *c;
    const at_train_options *o;
    at_recipe recipe;
    const at_task *task;
    at_compute cp;
    at_data data;
    at_model *model;
    at_teachers teachers;
    at_runfolder run;
    at_learner learner;
    at_trainer trainer;
    double said; /* when progress was last logged */
    at_train_result *out;
} loop;

/* ---- parts ------------------------------------------------------------------------ */

static at_status open_model(loop *l, at_conf *f) {
    const at_status s = at_fit_model(l->c, f, &l->recipe, &l->data, &l->model);
    if (s != AT_OK) return s;
    if (l->model->members.n)
        at_log(l->c, AT_LOG_WARN,
               "%s has modules: they are trained with the rest as one model, and that of the run "
               "has none",
               l->recipe.top.init);
    l->out->numel = at_model_numel(l->model);
    return l->task->sign_model(l->c, &l->data, l->model);
}

static at_status open_teacher(loop *l) {
    if (!l->o->distilling) return AT_OK;
    if (!l->task->shards)
        return at_error(l->c, AT_UNSUPPORTED, "distill: the task %s has no teachers",
                        l->task->name);
    return at_teachers_open(l->c, &l->recipe, l->data.set, &l->teachers);
}

/* Loads the newest checkpoint; a run that was killed before its first one starts again. */
static at_status resume(loop *l, int64_t *step) {
    const at_status s = at_runfolder_latest(&l->run, step);
    if (s != AT_OK) return s;
    if (*step < 0) {
        *step = 0;
        at_log(l->c, AT_LOG_INFO, "%s: no checkpoint was finished, beginning at step 0",
               l->run.path);
        return AT_OK;
    }
    at_log(l->c, AT_LOG_INFO, "resuming %s at step %lld of %lld", l->run.path, (long long)*step,
           (long long)l->recipe.train.steps);
    return at_runfolder_load(&l->run, *step, &l->learner, &l->trainer.progress);
}

/* The trainer is opened first: a recipe it refuses leaves no folder behind. */
static at_status open_run(loop *l, at_conf *f, const char *path) {
    at_ctx *c = l->c;
    int64_t step = 0;
    const at_teacher teacher =
        l->o->distilling ? at_teachers_source(&l->teachers) : (at_teacher){0};
    at_status s = at_learner_open(c, &l->recipe, l->model, teacher, l->data.set, &l->learner);
    if (s == AT_OK) s = at_trainer_open(c, &l->cp, &l->recipe, &l->learner, 1, &l->trainer);
    memcpy(l->trainer.progress.data, l->data.hash, sizeof l->data.hash);
    if (s == AT_OK) s = at_runfolder_open(c, path, l->o->resume, &l->run);
    char *text = s == AT_OK ? at_conf_dump(c, f, false) : NULL;
    if (s == AT_OK) s = text ? at_runfolder_recipe(&l->run, text, l->o->resume) : AT_OOM;
    at_free(text);
    if (s == AT_OK && l->o->resume) s = resume(l, &step);
    return s == AT_OK ? at_runfolder_log_open(&l->run, step) : s;
}

/* ---- events ------------------------------------------------------------------------- */

static int64_t last_step(const loop *l) {
    const int64_t all = l->recipe.train.steps;
    return l->o->stop && l->o->stop < all ? l->o->stop : all;
}

static void say_progress(loop *l, const at_step_report *r) {
    const double now = at_now();
    const at_train_state *p = &l->trainer.progress;
    if (now - l->said < 0.2 && p->step < last_step(l)) return;
    l->said = now;
    const double eta = p->seconds / (double)p->step * (double)(last_step(l) - p->step);
    at_log(l->c, AT_LOG_PROGRESS, "step %lld/%lld  loss %.4f  lr %.2e  %.0f tokens/s  eta %d:%02d",
           (long long)p->step, (long long)last_step(l), r->loss, r->lr,
           (double)r->tokens / r->seconds, (int)(eta / 60), (int)eta % 60);
}

static at_status log_step(void *user, const at_step_report *r) {
    loop *l = user;
    const at_train_state *p = &l->trainer.progress;
    const at_status told =
        l->o->step ? l->o->step(l->o->user, l->model, p->step, l->recipe.train.steps) : AT_OK;
    if (told != AT_OK) return told;
    at_json j;
    at_json_open(&j, l->c);
    at_json_put_number(&j, "step", (double)p->step);
    at_json_put_number(&j, "tokens", (double)p->tokens);
    at_json_put_number(&j, "wall", p->seconds);
    at_json_put_number(&j, "loss", r->loss);
    if (l->o->distilling) {
        if (r->own_text)
            at_json_put_bool(&j, "own_text", true);
        else
            at_json_put_number(&j, "ce", r->ce);
        if (r->taught > 0) at_json_put_number(&j, "kd", r->kd);
        at_json_put_number(&j, "alpha", r->alpha);
    }
    if (at_aux_wanted(&l->learner.aux)) {
        if (!l->o->distilling) at_json_put_number(&j, "ce", r->ce);
        at_json_put_number(&j, "aux", r->aux);
        if (l->learner.peers) at_json_put_number(&j, "mutual", r->mutual);
        if (l->learner.aux.expert_label != 0)
            at_json_put_number(&j, "expert_label", r->expert_label);
    }
    if (r->mixture) {
        at_json_put_number(&j, "load_entropy", r->load_entropy);
        at_json_put_number(&j, "dead_experts", (double)r->dead);
    }
    at_json_put_number(&j, "lr", r->lr);
    at_json_put_number(&j, "grad_norm", r->norm);
    at_json_put_number(&j, "tok_s", (double)r->tokens / r->seconds);
    l->out->loss = r->loss;
    say_progress(l, r);
    return at_runfolder_log(&l->run, &j);
}

static void say_score(const loop *l, double loss, double accuracy) {
    const long long step = l->trainer.progress.step;
    if (!l->task->tables)
        at_log(l->c, AT_LOG_INFO, "step %lld: validation loss %.4f (perplexity %.2f)", step, loss,
               exp(loss));
    else if (isnan(accuracy))
        at_log(l->c, AT_LOG_PROGRESS, "step %lld: validation loss %.4f", step, loss);
    else
        at_log(l->c, AT_LOG_PROGRESS, "step %lld: validation loss %.4f, accuracy %.4f", step, loss,
               accuracy);
}

static at_status log_score(void *user, const char *part, double loss, double accuracy) {
    loop *l = user;
    at_json j;
    at_json_open(&j, l->c);
    at_json_put_number(&j, "step", (double)l->trainer.progress.step);
    at_json_put_number(&j, "tokens", (double)l->trainer.progress.tokens);
    at_json_put_string(&j, "domain", part);
    at_json_put_number(&j, "val_loss", loss);
    if (!isnan(accuracy)) at_json_put_number(&j, "val_accuracy", accuracy);
    if (!strcmp(part, "all")) {
        l->out->val_loss = loss;
        say_score(l, loss, accuracy);
    }
    return at_runfolder_log(&l->run, &j);
}

static at_status save(void *user) {
    loop *l = user;
    return at_runfolder_save(&l->run, &l->learner, &l->trainer.progress, l->data.tokenizer,
                             l->recipe.train.keep);
}

static at_status write_result(loop *l) {
    at_json j;
    char *path = at_join(l->c, l->run.path, AT_RESULT_FILE);
    at_json_open_file(&j, l->c);
    at_status s = path ? l->task->result(&l->learner, l->c, &l->cp, &j) : AT_OOM;
    if (s == AT_OK)
        s = at_json_save(&j, path);
    else
        at_json_close(&j);
    at_free(path);
    return s;
}

static at_status finish(loop *l) {
    char *model = at_join(l->c, l->run.path, "model");
    if (l->task->conclude) l->task->conclude(&l->learner);
    at_status s = model ? at_model_save(l->c, l->model, model, l->data.tokenizer) : AT_OOM;
    at_free(model);
    if (l->run.log) (void)fclose(l->run.log);
    l->run.log = NULL;
    if (s == AT_OK && l->task->result) s = write_result(l);
    if (s == AT_OK) s = at_report_run(l->c, l->run.path);
    l->out->finished = s == AT_OK;
    return s;
}

at_status at_train(at_ctx *c, at_conf *recipe, const char *run, const at_train_options *o,
                   at_train_result *out) {
    loop l = {.c = c, .o = o, .out = out};
    *out = (at_train_result){.loss = (double)NAN, .val_loss = (double)NAN};
    /* checks every key before anything is opened, so that errors of the recipe come first */
    at_status s = at_recipe_bind_all(c, recipe, o->distilling, &l.recipe);
    l.recipe.losses.rows = o->rows;
    if (s == AT_OK) s = at_compute_open(&l.cp, c);
    const bool computing = s == AT_OK;
    if (s == AT_OK) {
        l.task = at_tasks[l.recipe.top.task];
        out->rows = l.task->tables;
        s = l.task->open_data(c, &l.recipe, &l.data);
        if (s == AT_OK && l.task->settle) l.task->settle(&l.recipe, &l.data);
    }
    if (s == AT_OK) s = open_model(&l, recipe);
    if (s == AT_OK) s = open_teacher(&l);
    if (s == AT_OK) s = open_run(&l, recipe, run);
    const at_fit_events events = {log_step, log_score, save, &l, o->stop};
    if (s == AT_OK) s = at_fit_steps(&l.trainer, &events);
    if (s == AT_OK && last_step(&l) == l.recipe.train.steps) s = finish(&l);
    out->progress = l.trainer.progress;
    at_trainer_close(&l.trainer);
    at_learner_close(&l.learner);
    at_runfolder_close(&l.run);
    at_model_close(l.model);
    at_teachers_close(&l.teachers);
    if (l.task) l.task->close_data(&l.data);
    if (computing) at_compute_close(&l.cp);
    return s;
}
