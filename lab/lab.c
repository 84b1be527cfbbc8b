/* lab.c - the table of labs, and the steps that all labs share. */
#include "lab/lab.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/nearest.h"
#include "base/sha256.h"
#include "base/text.h"
#include "lab/lab_trial.h"
#include "report/report.h"
#include <stdio.h>
#include <string.h>

const char *const at_lab_scale_name[AT_LAB_SCALES] = {"quick", "full", "tiny"};
const at_lab *const at_labs[] = {&at_lab_moduleformer, &at_lab_mome, &at_lab_mode,  &at_lab_all,
                                 &at_lab_clock,        &at_lab_grow, &at_lab_prune, NULL};

static const at_lab *find(at_ctx *c, const char *name) {
    const char *known[16];
    int n = 0;
    for (; at_labs[n] && n < 16; n++) {
        if (!strcmp(at_labs[n]->name, name)) return at_labs[n];
        known[n] = at_labs[n]->name;
    }
    const char *near = at_nearest(name, known, n);
    (void)at_error(c, AT_ARG, "no lab is called `%s`%s%s%s; `artel lab` lists them", name,
                   near ? ", did you mean `" : "", near ? near : "", near ? "`?" : "");
    return NULL;
}

static at_status open_data(at_lab_session *l) {
    const char *path = l->o->data;
    if (l->lab->open) return l->lab->open(l);
    char *manifest = at_join(l->c, path, "manifest.json");
    if (!manifest) return AT_OOM;
    at_status s = AT_OK;
    if (!at_exists(manifest))
        s = at_error(l->c, AT_IO,
                     "%s: there is no data set; ./demo.sh makes the one labs use, `artel data "
                     "build` makes others, --data names them",
                     path);
    if (s == AT_OK) s = at_dataset_open_checked(l->c, path, &l->data);
    if (s == AT_OK) s = at_sha256_file(l->c, manifest, l->data_hash);
    at_free(manifest);
    return s;
}

/* lab.json records the lab, scale and data of the folder, so that results of different ones are
   never mixed. */
static at_status claim_folder(at_lab_session *l) {
    const char *want[3][2] = {{"lab", l->lab->name},
                              {"scale", at_lab_scale_name[l->o->scale]},
                              {"data_sha256", l->data_hash}};
    char *path = at_join(l->c, l->o->out, "lab.json");
    at_status s = path ? at_check_out_dir(l->c, l->o->out) : AT_OOM;
    if (s == AT_OK && !at_exists(path)) s = at_check_replaceable(l->c, l->o->out, "lab", NULL, 0);
    if (s == AT_OK) s = at_make_dir(l->c, l->o->out);
    if (s == AT_OK && at_exists(path)) {
        cJSON *o = at_json_read(l->c, path);
        s = o ? AT_OK : l->c->status;
        for (int i = 0; i < 3 && s == AT_OK; i++) {
            const char *is = NULL;
            s = at_json_string(l->c, path, o, want[i][0], &is);
            if (s == AT_OK && strcmp(is, want[i][1]))
                s = at_error(l->c, AT_ARG,
                             "%s: the folder holds another lab's results (%s is %s, not %s); "
                             "choose another one",
                             path, want[i][0], is, want[i][1]);
        }
        cJSON_Delete(o);
    } else if (s == AT_OK) {
        at_json j;
        at_json_open_file(&j, l->c);
        for (int i = 0; i < 3; i++) at_json_put_string(&j, want[i][0], want[i][1]);
        if (l->o->data) at_json_put_string(&j, "data", l->o->data);
        s = at_json_save(&j, path);
    }
    at_free(path);
    return s;
}

static at_status write_lines(at_lab_session *l, const char *name, const cJSON *list) {
    char *path = at_join(l->c, l->o->out, name);
    const at_status s = path ? at_json_write_lines(l->c, path, list) : AT_OOM;
    at_free(path);
    return s;
}

static void open_page(at_lab_session *l) {
    char subtitle[320];
    (void)snprintf(subtitle, sizeof subtitle, "%s, scale %s, %d threads, %s", l->lab->source,
                   at_lab_scale_name[l->o->scale], l->c->threads, l->processor);
    at_json_open_file(&l->page, l->c);
    at_json_put_string(&l->page, "title", l->lab->title);
    at_json_put_string(&l->page, "subtitle", subtitle);
    at_json_begin_list(&l->page, "sections");
}

static at_status write_page(at_lab_session *l, char **page) {
    at_json_end_to(&l->page, 1);
    char *path = at_join(l->c, l->o->out, "report.json");
    *page = at_join(l->c, l->o->out, "report.html");
    at_status s = path && *page ? at_json_save(&l->page, path) : AT_OOM;
    if (s == AT_OK) s = at_report_spec(l->c, path, *page);
    at_free(path);
    return s;
}

static at_status conclude(at_lab_session *l) {
    char *page = NULL;
    at_status s = write_lines(l, "claims.jsonl", l->claims);
    if (s == AT_OK) s = write_lines(l, "rates.jsonl", l->rates);
    if (s == AT_OK) s = write_page(l, &page);
    if (s == AT_OK) {
        at_json j;
        at_json_open(&j, l->c);
        at_json_put_string(&j, "lab", l->lab->name);
        at_json_put_string(&j, "scale", at_lab_scale_name[l->o->scale]);
        at_json_put_number(&j, "runs", (double)(l->n + l->small));
        at_json_put_number(&j, "seconds", at_now() - l->began);
        at_json_put_string(&j, "report", page);
        at_json_put_string(&j, "program", l->program);
        at_json_put_string(&j, "processor", l->processor);
        at_json_put_value(&j, "warnings", l->warnings);
        s = l->o->emit(l->o->user, &j);
    }
    at_free(page);
    return s;
}

at_status at_lab_run(at_ctx *c, const char *name, const at_lab_options *o) {
    at_lab_session l = {.c = c, .o = o, .began = at_now(), .log = c->log, .log_user = c->log_user};
    at_lab_options own = *o;
    if (!(l.lab = find(c, name))) return c->status;
    if (!l.lab->open && (own.label || own.text || own.trees))
        return at_error(c, AT_ARG, "%s: the lab %s has no use for it",
                        own.label  ? "--label"
                        : own.text ? "--text"
                                   : "--trees",
                        l.lab->name);
    if (!own.data && !l.lab->open) own.data = AT_LAB_DATA;
    l.o = &own;
    at_status s = open_data(&l);
    if (s == AT_OK) s = claim_folder(&l);
    if (s == AT_OK && !(l.results_path = at_join(c, o->out, "results.jsonl"))) s = AT_OOM;
    if (s == AT_OK) s = at_self_program(c, l.program);
    l.program[16] = 0; /* enough to distinguish programs */
    at_self_processor(c, l.processor);
    if (s == AT_OK) s = at_lab_results_open(&l);
    if (s == AT_OK) s = at_compute_open(&l.cp, c);
    const bool computing = s == AT_OK;
    open_page(&l);
    if (s == AT_OK) s = (l.claims = at_json_list(c)) ? AT_OK : c->status;
    if (s == AT_OK) s = (l.rates = at_json_list(c)) ? AT_OK : c->status;
    if (s == AT_OK) s = (l.warnings = at_json_list(c)) ? AT_OK : c->status;
    if (s == AT_OK) s = l.lab->run(&l);
    if (s == AT_OK) s = conclude(&l);
    if (computing) at_compute_close(&l.cp);
    at_lab_trials_close(&l);
    cJSON_Delete(l.results);
    cJSON_Delete(l.claims);
    cJSON_Delete(l.rates);
    cJSON_Delete(l.warnings);
    at_json_close(&l.page);
    at_dataset_close(l.data);
    at_free(l.results_path);
    return s;
}
