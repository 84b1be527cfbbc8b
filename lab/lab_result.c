/* lab_result.c - evaluates a finished model on the validation and the test split, and summarises
   its training. */
#include "lab/lab_result.h"
#include "base/file.h"
#include "lab/lab_missing.h"
#include "lab/lab_probe.h"
#include "report/jsonl.h"
#include "report/points.h"
#include "train/recipe.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { CONTEXTS = 3, POSITIONS = 16 }; /* trained, twice and four times that; parts of the last */

typedef struct {
    at_lab_session *l;
    const at_trial *t;
    at_model *m;
    at_usage usage;
    int64_t context;
    at_json line, windows; /* of results.jsonl; {"loss": {domain: [..]}} */
} measuring;

/* ---- losses ---- */

static void keep_windows(at_json *j, const char *domain, const at_probe *p) {
    at_json_begin_list(j, domain);
    for (int64_t i = 0; i < p->windows; i++)
        at_json_put_number(j, NULL, p->nats[i] / (double)p->per_bucket);
    at_json_end(j);
}

/* What is run of a model of modules: the one of the domain's name with the common one, as in training;
   either of them alone. */
enum mode { WHOLE, OWN, COMMON, MODES };

/* 0: all there is. */
static uint64_t modules_of(const measuring *w, int domain, enum mode mode) {
    const at_modules l = at_model_modules(w->m);
    const int own = at_model_module(w->m, w->l->data->domain[domain].name);
    const uint64_t common = l.common ? UINT64_C(1) << l.n : 0;
    if (mode == COMMON) return common;
    return (own < 0 ? 0 : UINT64_C(1) << own) | (mode == WHOLE ? common : 0);
}

/* Of a whole split, or of the windows that the lab is content with; of the test split also the loss of
   each domain and of each window, and the use of the routers. */
static at_status split_loss(measuring *w, at_split split, enum mode mode) {
    static const char *const total[MODES] = {"test_loss", "test_loss_own", "test_loss_common"};
    const bool test = split == AT_TEST && mode == WHOLE;
    at_lab_session *l = w->l;
    at_probe_spec spec = {.context = w->context,
                          .stride = w->context,
                          .buckets = 1,
                          .limit = l->windows,
                          .spread = l->windows > 0,
                          .tail = !l->windows};
    double nats = 0, tokens = 0;
    at_status s = AT_OK;
    if (test) at_json_begin_object(&w->line, "by_domain");
    for (int d = 0; d < l->data->n_domains && s == AT_OK; d++) {
        at_probe p;
        const at_shard *shard = &l->data->domain[d].shard[split];
        if (shard->n_tokens < 2) continue;
        spec.modules = modules_of(w, d, mode);
        s = at_probe_run(&l->cp, w->m, shard, &spec, test ? &w->usage : NULL, &p);
        if (s == AT_OK) {
            const double n = (double)(p.windows * p.per_bucket + p.tail_tokens);
            const double loss = at_probe_loss(&p);
            if (test) at_json_put_number(&w->line, l->data->domain[d].name, loss);
            if (test) keep_windows(&w->windows, l->data->domain[d].name, &p);
            nats += loss * n;
            tokens += n;
        }
        at_probe_close(&p);
    }
    if (test) at_json_end(&w->line);
    if (s == AT_OK && tokens <= 0)
        s = at_error(l->c, AT_FORMAT, "%s: the %s split is empty", l->o->data,
                     at_split_name[split]);
    at_json_put_number(&w->line, split == AT_TEST ? total[mode] : "val_loss", nats / tokens);
    if (mode == WHOLE) at_json_put_number(&w->line, test ? "test_tokens" : "val_tokens", tokens);
    return s;
}

/* Settings are chosen on the validation split and claims tested on the test split. */
static at_status losses(measuring *w) {
    at_status s = split_loss(w, AT_VALIDATION, WHOLE);
    if (s != AT_OK || w->t->flags & AT_TRIAL_FOR_TUNING) return s;
    const bool both = at_model_modules(w->m).n && at_model_modules(w->m).common;
    for (int mode = WHOLE; mode <= (both ? COMMON : WHOLE) && s == AT_OK; mode++)
        s = split_loss(w, AT_TEST, (enum mode)mode);
    return s;
}

/* ---- routers ---- */

static at_status loads(measuring *w) {
    double entropy = 0, dead = 0, experts = 0;
    const at_usage *u = &w->usage;
    if (!u->n) return AT_OK;
    at_json *j = &w->line;
    at_json_begin_list(j, "load");
    for (int64_t i = 0; i < u->n; i++) {
        const at_router_usage *r = &u->router[i];
        at_usage_report report;
        double *share = at_malloc(w->l->c, (size_t)r->e * sizeof *share);
        if (!share) return AT_OOM;
        at_usage_summary(r, share, &report);
        at_json_begin_object(j, NULL);
        at_json_put_string(j, "kind", at_layer_kind_name[r->id.kind]);
        at_json_put_number(j, "layer", (double)r->id.layer);
        at_json_put_number(j, "entropy", report.load_entropy);
        at_json_put_number(j, "dead", (double)report.dead);
        at_json_put_number(j, "information", report.information);
        at_json_put_numbers(j, "share", share, r->e);
        at_json_end(j);
        at_free(share);
        entropy += report.load_entropy / (double)u->n;
        dead += (double)report.dead;
        experts += (double)r->e;
    }
    at_json_end(j);
    at_json_put_number(&w->line, "load_entropy", entropy);
    at_json_put_number(&w->line, "dead", dead);
    at_json_put_number(&w->line, "experts", experts);
    return AT_OK;
}

/* ---- contexts longer than in training ---- */

/* Sums the loss of each bucket over all domains: nats [buckets]; *tokens in each bucket. */
static at_status probe_all(measuring *w, const at_probe_spec *spec, double *nats, double *tokens) {
    const at_lab_session *l = w->l;
    at_status s = AT_OK;
    *tokens = 0;
    for (int d = 0; d < l->data->n_domains && s == AT_OK; d++) {
        at_probe p;
        const at_shard *shard = &l->data->domain[d].shard[AT_TEST];
        s = at_probe_run(&w->l->cp, w->m, shard, spec, NULL, &p);
        for (int64_t b = 0; s == AT_OK && p.windows && b < p.buckets; b++)
            nats[b] += at_probe_bucket(&p, b) * (double)(p.windows * p.per_bucket);
        *tokens += (double)(p.windows * p.per_bucket);
        at_probe_close(&p);
    }
    return s;
}

static at_status lengths(measuring *w) {
    const int64_t longest = w->context << (CONTEXTS - 1);
    at_json *j = &w->line;
    at_json_begin_list(j, "by_context");
    at_status s = AT_OK;
    double tokens = 0;
    for (int i = 0; i < CONTEXTS && s == AT_OK; i++) {
        double nats[1 << (CONTEXTS - 1)] = {0};
        const at_probe_spec spec = {
            .context = w->context << i, .stride = longest, .buckets = (int64_t)1 << i};
        s = probe_all(w, &spec, nats, &tokens);
        if (tokens <= 0) break;
        at_json_begin_object(j, NULL);
        at_json_put_number(j, "context", (double)spec.context);
        at_json_put_number(j, "loss", nats[spec.buckets - 1] / tokens);
        at_json_put_number(j, "tokens", tokens);
        at_json_end(j);
    }
    at_json_end(j);
    at_json_begin_list(j, "by_position");
    double nats[POSITIONS] = {0};
    const at_probe_spec spec = {.context = longest, .stride = longest, .buckets = POSITIONS};
    if (s == AT_OK) s = probe_all(w, &spec, nats, &tokens);
    for (int i = 0; s == AT_OK && tokens > 0 && i < POSITIONS; i++) {
        at_json_begin_object(j, NULL);
        at_json_put_number(j, "position", ((double)i + 0.5) * (double)longest / POSITIONS);
        at_json_put_number(j, "loss", nats[i] / tokens);
        at_json_end(j);
    }
    at_json_end(j);
    return s;
}

/* ---- the training ---- */

static int by_value(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static at_status training(measuring *w) {
    at_curve curve[3] = {
        {.x = "step", .y = "tok_s"}, {.x = "wall", .y = "loss"}, {.x = "step", .y = "tokens"}};
    char *path = at_lab_path(w->l, w->t, "metrics.jsonl");
    at_status s = path ? at_curves_read(w->l->c, path, curve, 3) : AT_OOM;
    at_free(path);
    if (s == AT_OK && curve[0].points.n && curve[1].points.n && curve[2].points.n) {
        const int64_t n = curve[0].points.n, tail = curve[1].points.n < 20 ? curve[1].points.n : 20;
        qsort(curve[0].points.y, (size_t)n, sizeof(double), by_value);
        double loss = 0;
        for (int64_t i = 0; i < tail; i++)
            loss += curve[1].points.y[curve[1].points.n - 1 - i] / (double)tail;
        at_json_put_number(&w->line, "steps", (double)n);
        at_json_put_number(&w->line, "tokens", curve[2].points.y[curve[2].points.n - 1]);
        at_json_put_number(&w->line, "train_loss", loss); /* mean of the last steps */
        at_json_put_number(&w->line, "seconds", curve[1].points.x[curve[1].points.n - 1]);
        at_json_put_number(&w->line, "tokens_per_s", curve[0].points.y[n / 2]);
    }
    for (int i = 0; i < 3; i++) at_points_free(&curve[i].points);
    return s;
}

static void planned(measuring *w) {
    double v;
    const cJSON *memory = cJSON_GetObjectItemCaseSensitive(w->t->plan, "memory_bytes");
    const char *arch = at_jsonl_string(w->t->plan, "arch");
    at_json_put_string(&w->line, "arch", arch ? arch : "");
    if (at_jsonl_number(w->t->plan, "parameters", &v))
        at_json_put_number(&w->line, "parameters", v);
    if (at_jsonl_number(w->t->plan, "active", &v)) at_json_put_number(&w->line, "active", v);
    if (at_jsonl_number(memory, "total", &v)) at_json_put_number(&w->line, "peak_bytes", v);
}

static at_status context_of(measuring *w) {
    at_conf *f = NULL;
    at_recipe r;
    at_status s = at_conf_parse(w->l->c, w->t->name, w->t->recipe, strlen(w->t->recipe), &f);
    if (s == AT_OK) s = at_recipe_bind(w->l->c, f, w->t->distilling, &r);
    if (s == AT_OK) w->context = r.train.context;
    at_conf_close(f);
    return s;
}

at_status at_lab_result(at_lab_session *l, const at_trial *t, const char *hash, cJSON **out) {
    measuring w = {.l = l, .t = t};
    *out = NULL;
    at_json_open(&w.line, l->c);
    at_json_open_file(&w.windows, l->c);
    at_json_begin_object(&w.windows, "loss");
    at_json_put_string(&w.line, "name", t->name);
    at_json_put_string(&w.line, "group", t->group);
    at_json_put_number(&w.line, "seed", (double)t->seed);
    at_json_put_string(&w.line, "recipe", hash);
    at_json_put_string(&w.line, "program", l->program);
    at_json_put_string(&w.line, "processor", l->processor);
    planned(&w);
    char *model = at_lab_path(l, t, "model"), *windows = at_lab_path(l, t, AT_LAB_WINDOWS);
    at_status s = model && windows ? context_of(&w) : AT_OOM;
    if (s == AT_OK) s = at_model_load(l->c, model, false, &w.m);
    if (s == AT_OK) s = training(&w);
    if (s == AT_OK) s = losses(&w);
    if (s == AT_OK) s = loads(&w);
    if (s == AT_OK && (t->flags & AT_TRIAL_BY_LENGTH)) s = lengths(&w);
    if (s == AT_OK && (t->flags & AT_TRIAL_MISSING))
        s = at_lab_missing(l, w.m, w.context, l->missing_windows, &w.line);
    if (s == AT_OK && l->also && !(t->flags & AT_TRIAL_FOR_TUNING))
        s = l->also(l, t, w.m, w.context, &w.line);
    at_json_end(&w.windows);
    if (s == AT_OK && !(t->flags & AT_TRIAL_FOR_TUNING)) s = at_json_save(&w.windows, windows);
    if (s == AT_OK && !(*out = at_json_value(&w.line, t->name))) s = l->c->status;
    at_free(model);
    at_free(windows);
    at_usage_close(&w.usage);
    at_model_close(w.m);
    at_json_close(&w.windows);
    at_json_close(&w.line);
    return s;
}

at_status at_lab_windows(at_lab_session *l, const at_trial *t, double **loss, int64_t *n) {
    char *path = at_lab_path(l, t, AT_LAB_WINDOWS);
    cJSON *file = path ? at_json_read(l->c, path) : NULL;
    const cJSON *by = NULL, *domain, *v;
    int64_t cap = 0;
    *loss = NULL;
    *n = 0;
    at_status s = file ? at_json_object(l->c, path, file, "loss", &by) : l->c->status;
    if (s == AT_OK) cJSON_ArrayForEach(domain, by) {
            cJSON_ArrayForEach(v, domain) {
                if (s == AT_OK && !cJSON_IsNumber(v))
                    s = at_error(l->c, AT_FORMAT, "%s: expected numbers", path);
                if (s == AT_OK && !at_reserve(l->c, loss, &cap, *n + 1, sizeof **loss)) s = AT_OOM;
                if (s == AT_OK) (*loss)[(*n)++] = v->valuedouble;
            }
        }
    cJSON_Delete(file);
    at_free(path);
    return s;
}
