/* lab_rows.c - declared runs, workers, and the lines they leave. */
#include "lab/lab_rows.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/par.h"
#include "base/rng.h"
#include "lab/rows_measure.h"
#include "report/jsonl.h"
#include "train/fit.h"
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

struct at_row_runs {
    at_lab_session *l;
    at_lab_table *table;
    int64_t n_tables, cap_tables;
    at_row_trial *trial;
    int64_t n, cap;
    int64_t *slot; /* [slots] index + 1 of a trial by the hash of its name, or 0 */
    int64_t slots;
    /* while training */
    pthread_mutex_t lock;
    FILE *lines;
    double done, todo, began, said; /* work                                        */
    int64_t left;                   /* runs                                        */
};

/* ---- tables ---- */

static void table_close(at_lab_table *t) {
    at_free(t->path);
    at_free(t->label);
    at_free(t->ignore);
    at_table_close(&t->t);
}

static at_status add_table(at_row_runs *r, const char *name, at_lab_table **out) {
    at_ctx *c = r->l->c;
    if (!at_reserve(c, &r->table, &r->cap_tables, r->n_tables + 1, sizeof *r->table)) return AT_OOM;
    *out = &r->table[r->n_tables++];
    **out = (at_lab_table){0};
    (void)snprintf((*out)->name, sizeof(*out)->name, "%s", name);
    return AT_OK;
}

/* So that nothing is changed in the table when threads read it. */
static at_status prepare(at_ctx *c, at_lab_table *t, const char *label) {
    int64_t k = t->t.n - 1;
    at_status s = label ? at_table_column(c, &t->t, label, &k) : AT_OK;
    if (s == AT_OK && !(t->label = at_strdup(c, t->t.column[k].name))) s = AT_OOM;
    if (s == AT_OK) s = at_column_to_levels(c, &t->t, k);
    if (s == AT_OK) t->classes = t->t.column[k].levels.n;
    if (s == AT_OK && 2 * t->classes > t->t.rows)
        s = at_error(c, AT_MISMATCH, "%s: `%s` has %lld different values in %lld rows: no classes",
                     t->path, t->label, (long long)t->classes, (long long)t->t.rows);
    return s;
}

at_status at_rows_read(at_row_runs *r, const char *name, const char *path, const char *label,
                       const char *ignore) {
    at_ctx *c = r->l->c;
    at_lab_table *t;
    at_status s = add_table(r, name, &t);
    if (s != AT_OK) return s;
    t->path = at_strdup(c, path);
    t->ignore = ignore ? at_strdup(c, ignore) : NULL;
    if (!t->path || (ignore && !t->ignore)) return AT_OOM;
    s = at_table_read(c, path, NULL, &t->t);
    if (s == AT_OK) s = at_table_sum(c, path, t->hash);
    return s == AT_OK ? prepare(c, t, label) : s;
}

int at_rows_tables(const at_row_runs *r) { return (int)r->n_tables; }
const at_lab_table *at_rows_table(const at_row_runs *r, int i) { return &r->table[i]; }

/* ---- declaring ---- */

at_status at_rows_open(at_lab_session *l, at_row_runs **out) {
    at_row_runs *r = *out = at_calloc(l->c, 1, sizeof *r);
    if (!r) return AT_OOM;
    r->l = l;
    return AT_OK;
}

void at_rows_close(at_row_runs *r) {
    if (!r) return;
    for (int64_t i = 0; i < r->n_tables; i++) table_close(&r->table[i]);
    for (int64_t i = 0; i < r->n; i++) at_free(r->trial[i].recipe);
    at_free(r->table);
    at_free(r->trial);
    at_free(r->slot);
    at_free(r);
}

int64_t at_rows_count(const at_row_runs *r) { return r->n; }

/* Where the name is among the slots, or where it would be. */
static int64_t slot_of(const at_row_runs *r, const char *name) {
    int64_t i = (int64_t)(at_hash_path(name) % (uint64_t)r->slots);
    while (r->slot[i] && strcmp(r->trial[r->slot[i] - 1].name, name) != 0) i = (i + 1) % r->slots;
    return i;
}

static at_status make_room(at_row_runs *r) {
    if (2 * (r->n + 1) <= r->slots) return AT_OK;
    int64_t *old = r->slot;
    const int64_t slots = r->slots ? 2 * r->slots : 1024;
    if (!(r->slot = at_calloc(r->l->c, (size_t)slots, sizeof *r->slot))) {
        r->slot = old;
        return AT_OOM;
    }
    r->slots = slots;
    for (int64_t i = 0; i < r->n; i++) r->slot[slot_of(r, r->trial[i].name)] = i + 1;
    at_free(old);
    return AT_OK;
}

const at_row_trial *at_rows_find(const at_row_runs *r, const char *name) {
    const int64_t i = r->slots ? r->slot[slot_of(r, name)] : 0;
    return i ? &r->trial[i - 1] : NULL;
}

double at_rows_number(const at_row_runs *r, const char *name, const char *key) {
    const at_row_trial *t = at_rows_find(r, name);
    double v;
    return t && t->result && at_jsonl_number(t->result, key, &v) ? v : (double)NAN;
}

void at_rows_head(const at_row_runs *r, int table, int64_t seed, int64_t rows, at_text *out) {
    const at_lab_table *t = &r->table[table];
    at_textf(out, "task: classify\nseed: %lld\ndata: {train: \"%s\"}\ntable:\n  label: \"%s\"\n",
             (long long)seed, t->path, t->label);
    if (t->ignore) at_textf(out, "  ignore: [%s]\n", t->ignore);
    at_textf(out, "  rows: %lld\n", (long long)rows);
}

at_status at_rows_declare(at_row_runs *r, const char *name, int table, int64_t seed, int64_t rows,
                          unsigned flags, double work, const char *recipe) {
    at_ctx *c = r->l->c;
    if (at_rows_find(r, name)) return AT_OK;
    if (make_room(r) != AT_OK || !at_reserve(c, &r->trial, &r->cap, r->n + 1, sizeof *r->trial))
        return AT_OOM;
    at_row_trial *t = &r->trial[r->n];
    *t = (at_row_trial){.table = table, .seed = seed, .rows = rows, .flags = flags, .work = work};
    (void)snprintf(t->name, sizeof t->name, "%s", name);
    if (!(t->recipe = at_strdup(c, recipe))) return AT_OOM;
    at_text x;
    at_text_init(&x, c, 0);
    at_textf(&x, "%s\n%u\n%s", r->table[table].hash, flags, recipe);
    if (x.failed) {
        at_free(t->recipe);
        return AT_OOM;
    }
    at_sha256_text(x.s, x.n, t->hash);
    t->hash[16] = 0;
    at_text_close(&x);
    r->slot[slot_of(r, name)] = r->n + 1;
    r->n++;
    return AT_OK;
}

/* Lines of results.jsonl that are of declared runs. */
static void look_up(at_row_runs *r) {
    cJSON *line;
    cJSON_ArrayForEach(line, r->l->results) {
        const char *name = at_jsonl_string(line, "name"), *hash = at_jsonl_string(line, "recipe");
        const int64_t i = name && r->slots ? r->slot[slot_of(r, name)] : 0;
        if (i && hash && !strcmp(hash, r->trial[i - 1].hash)) r->trial[i - 1].result = line;
    }
}

/* ---- one run ---- */

/* A worker: what it holds of the run before may serve the next one. */
typedef struct {
    at_row_runs *r;
    at_ctx ctx;
    at_compute cp;
    at_table_set *set;
    int table;
    int64_t seed, rows;
    at_status status;
} side;

static at_status open_set(side *w, const at_row_trial *t) {
    at_conf *f = NULL;
    at_recipe recipe;
    if (w->set && w->table == t->table && w->seed == t->seed && w->rows == t->rows) return AT_OK;
    at_table_set_close(w->set);
    w->set = NULL;
    at_status s = at_conf_parse(&w->ctx, t->name, t->recipe, strlen(t->recipe), &f);
    if (s == AT_OK) s = at_recipe_bind(&w->ctx, f, false, &recipe);
    if (s == AT_OK) s = at_table_set_of(&w->ctx, &recipe, &w->r->table[t->table].t, true, &w->set);
    at_conf_close(f);
    w->table = t->table;
    w->seed = t->seed;
    w->rows = t->rows;
    return s;
}

static double processor_seconds(void) {
    struct timespec t;
    if (clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t)) return 0;
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static at_status measure(side *w, const at_row_trial *t, at_model *m, at_json *j) {
    const at_features *f = &w->set->features;
    at_scores s = {0};
    at_status st = at_table_score(&w->cp, m, f, &w->set->part[AT_PART_VALIDATION], &s);
    if (st == AT_OK) {
        at_json_put_number(j, "val_accuracy", s.accuracy);
        at_json_put_number(j, "val_loss", s.loss);
    }
    at_scores_close(&s);
    if (st != AT_OK || t->flags & AT_ROWS_TUNING) return st;
    st = at_table_score(&w->cp, m, f, &w->set->part[AT_PART_TEST], &s);
    if (st == AT_OK) {
        at_json_put_number(j, "test_accuracy", s.accuracy);
        at_json_put_number(j, "test_loss", s.loss);
        at_json_put_number(j, "test_ece", s.ece);
        at_json_put_number(j, "test_rows", (double)s.n);
    }
    at_scores_close(&s);
    if (st == AT_OK && t->flags & AT_ROWS_PROBE)
        st = at_rows_probe(&w->cp, m, &w->set->part[AT_PART_TRAIN], &w->set->part[AT_PART_TEST], j);
    return st;
}

static at_status fit_and_measure(side *w, const at_row_trial *t, at_conf *f, at_json *j) {
    at_ctx *c = &w->ctx;
    const at_data d = at_table_data(w->set);
    const double began = processor_seconds();
    char why[200] = "";
    at_fit fit = {0};
    at_status s = at_fit_open(c, &w->cp, f, &d, &fit);
    if (s == AT_OK) s = at_fit_run(&fit);
    if (s == AT_NUMERIC) {
        (void)snprintf(why, sizeof why, "%.199s", c->message);
        at_error_clear(c);
        fit.learner.task->conclude(&fit.learner);
        s = AT_OK;
    }
    if (s == AT_OK) {
        at_json_put_number(j, "parameters", (double)at_model_numel(fit.model));
        at_json_put_number(j, "steps", (double)fit.trainer.progress.step);
        s = measure(w, t, fit.model, j);
        at_json_put_number(j, "seconds", processor_seconds() - began);
        if (*why) at_json_put_string(j, "diverged", why);
    }
    at_fit_close(&fit);
    return s;
}

static at_status one(side *w, const at_row_trial *t, at_json *j) {
    at_ctx *c = &w->ctx;
    at_conf *f = NULL;
    at_json_open(j, c);
    at_json_put_string(j, "name", t->name);
    at_json_put_number(j, "seed", (double)t->seed);
    at_json_put_string(j, "recipe", t->hash);
    at_json_put_string(j, "program", w->r->l->program);
    at_json_put_string(j, "processor", w->r->l->processor);
    at_status s = open_set(w, t);
    if (s == AT_OK) s = at_conf_parse(c, t->name, t->recipe, strlen(t->recipe), &f);
    if (s == AT_OK) s = fit_and_measure(w, t, f, j);
    at_json_put_string(j, "yaml", t->recipe);
    at_conf_close(f);
    return s == AT_OK ? at_json_finish(j) : s;
}

/* ---- all of them ---- */

static void say(at_row_runs *r, const char *name) {
    const double now = at_now(), spent = now - r->began;
    if (now - r->said < 0.5 && r->left) return;
    r->said = now;
    const double left = r->done > 0 ? spent / r->done * (r->todo - r->done) : 0;
    at_log(r->l->c, AT_LOG_PROGRESS, "%s: %lld of %lld runs left, %d:%02d  %s", r->l->lab->name,
           (long long)r->left, (long long)r->n, (int)(left / 60), (int)left % 60, name);
}

/* A line at once, so that an interrupt loses none. */
static at_status keep(at_row_runs *r, at_row_trial *t, at_json *j, at_ctx *c) {
    (void)pthread_mutex_lock(&r->lock);
    const bool written = fwrite(j->text.s, 1, j->text.n, r->lines) == j->text.n &&
                         fputc('\n', r->lines) != EOF && fflush(r->lines) == 0;
    cJSON *line = at_json_value(j, t->name);
    if (line) {
        at_json_append(r->l->results, line);
        t->result = line;
    }
    r->done += t->work;
    r->left--;
    say(r, t->name);
    (void)pthread_mutex_unlock(&r->lock);
    if (!written) return at_error(c, AT_IO, "%s: cannot write", r->l->results_path);
    return line ? AT_OK : AT_OOM;
}

typedef struct {
    at_row_runs *r;
    side *side;
    const int64_t *index;
    atomic_bool failed;
} wave;

static void work(void *arg, int64_t begin, int64_t end, int worker) {
    wave *v = arg;
    side *w = &v->side[worker];
    for (int64_t i = begin; i < end && !atomic_load(&v->failed); i++) {
        at_row_trial *t = &v->r->trial[v->index[i]];
        at_json j = {.depth = 0};
        w->status = at_interrupted(&w->ctx) ? AT_INTERRUPTED : one(w, t, &j);
        if (w->status == AT_OK)
            w->status = keep(v->r, t, &j, &w->ctx);
        else if (w->status != AT_INTERRUPTED)
            (void)at_error_in(&w->ctx, t->name);
        at_json_close(&j);
        if (w->status != AT_OK) atomic_store(&v->failed, true);
    }
}

static at_status open_sides(at_row_runs *r, side *all, int n, int *opened) {
    at_status s = AT_OK;
    for (*opened = 0; *opened < n && s == AT_OK; ++*opened) {
        at_ctx *c = &all[*opened].ctx;
        all[*opened].r = r;
        at_ctx_init(c, 1);
        c->cpu = r->l->c->cpu;
        c->interrupt = r->l->c->interrupt;
        s = at_compute_open(&all[*opened].cp, c);
        if (s != AT_OK) return at_error(r->l->c, s, "%s", c->message);
    }
    return s;
}

static at_status side_by_side(at_row_runs *r, const int64_t *index, int64_t n) {
    at_ctx *c = r->l->c;
    const int sides = n < c->threads ? (int)n : c->threads;
    int opened = 0;
    wave v = {.r = r, .index = index, .side = at_calloc(c, (size_t)sides, sizeof *v.side)};
    if (!v.side) return AT_OOM;
    at_status s = open_sides(r, v.side, sides, &opened);
    if (s == AT_OK) at_par_for(sides, n, 1, work, &v);
    for (int i = 0; i < opened; i++) {
        side *w = &v.side[i];
        if (s == AT_OK && w->status != AT_OK)
            s = w->status == AT_INTERRUPTED ? AT_INTERRUPTED
                                            : at_error(c, w->status, "%s", w->ctx.message);
        at_table_set_close(w->set);
        at_compute_close(&w->cp);
    }
    at_free(v.side);
    return s;
}

at_status at_rows_train(at_row_runs *r) {
    at_ctx *c = r->l->c;
    int64_t n = 0, *index = at_malloc(c, (size_t)(r->n + 1) * sizeof *index);
    if (!index) return AT_OOM;
    look_up(r);
    r->todo = r->done = 0;
    for (int64_t i = 0; i < r->n; i++) {
        if (r->trial[i].result) continue;
        index[n++] = i;
        r->todo += r->trial[i].work;
    }
    r->left = n;
    r->began = at_now();
    at_status s = n ? at_json_write_lines(c, r->l->results_path, r->l->results) : AT_OK;
    if (s == AT_OK && n && !(r->lines = fopen(r->l->results_path, "a")))
        s = at_error(c, AT_IO, "%s: cannot write", r->l->results_path);
    (void)pthread_mutex_init(&r->lock, NULL);
    if (s == AT_OK && n) s = side_by_side(r, index, n);
    (void)pthread_mutex_destroy(&r->lock);
    if (r->lines && fclose(r->lines) && s == AT_OK)
        s = at_error(c, AT_IO, "%s: cannot write", r->l->results_path);
    r->lines = NULL;
    at_free(index);
    r->l->small = r->n;
    if (s == AT_INTERRUPTED)
        return at_error(c, s, "interrupted with %lld of %lld runs left; the same command goes on",
                        (long long)r->left, (long long)r->n);
    return s;
}
