/* report_run.c - the page of a training run, from metrics.jsonl and the recipe.
 *
 * Known numbers (loss, val_loss, lr, tok_s, grad_norm) have their place on the page; any other number
 * of training steps gets a chart under its name, so that a new loss term needs no change here. */
#include "base/file.h"
#include "report/axis.h"
#include "report/grid.h"
#include "report/html.h"
#include "report/jsonl.h"
#include "report/points.h"
#include "report/report.h"
#include "report/report_result.h"
#include "report/svg.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { KEYS_MAX = 24, DOMAINS_MAX = 32, /* KEYS_MAX <= DOMAINS_MAX */ RECIPE_BYTES = 1 << 20 };

typedef struct names {
    char *item[DOMAINS_MAX];
    int n;
} names;

typedef struct run {
    at_ctx *c;
    at_text t;
    char *metrics;      /* path                                             */
    const char *x;      /* "tokens" or "step", whichever the steps carry    */
    names key;          /* numbers of training steps without a known place  */
    names domain;       /* of validation lines, "all" left out              */
    at_curve loss, val; /* over x                                           */
    at_curve rate;      /* tokens per second                                */
    double steps, tokens, seconds;
} run;

static void names_free(names *l) {
    for (int i = 0; i < l->n; i++) at_free(l->item[i]);
}

/* Adds a name that is not in the list yet, if there is space. */
static at_status names_add(at_ctx *c, names *l, const char *s, int most) {
    for (int i = 0; i < l->n; i++)
        if (!strcmp(l->item[i], s)) return AT_OK;
    if (l->n == most) return AT_OK;
    if (!(l->item[l->n] = at_strdup(c, s))) return AT_OOM;
    l->n++;
    return AT_OK;
}

static bool placed(const char *key) {
    static const char *const known[] = {"step",    "tokens", "loss",  "tok_s",    "seconds", "eta",
                                        "elapsed", "time",   "epoch", "val_loss", "wall"};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (!strcmp(known[i], key)) return true;
    return false;
}

static void most_of(const cJSON *line, const char *key, double *most) {
    double v;
    if (at_jsonl_number(line, key, &v) && v > *most) *most = v;
}

/* A first pass over the metrics, to find out which numbers and domains there are. */
static at_status scan_metrics(run *r) {
    at_jsonl j;
    bool tokens = false;
    at_status s = at_jsonl_open(r->c, r->metrics, &j);
    while (!s) {
        cJSON *line;
        double v;
        s = at_jsonl_next(r->c, &j, &line);
        if (s || !line) break;
        most_of(line, "step", &r->steps);
        most_of(line, "tokens", &r->tokens);
        most_of(line, "seconds", &r->seconds);
        const char *domain = at_jsonl_string(line, "domain");
        if (domain && strcmp(domain, "all") != 0 && at_jsonl_number(line, "val_loss", &v))
            s = names_add(r->c, &r->domain, domain, DOMAINS_MAX);
        if (at_jsonl_number(line, "loss", &v)) {
            tokens = tokens || at_jsonl_number(line, "tokens", &v);
            const cJSON *f;
            cJSON_ArrayForEach(f, line) {
                if (!s && cJSON_IsNumber(f) && !placed(f->string))
                    s = names_add(r->c, &r->key, f->string, KEYS_MAX);
            }
        }
        cJSON_Delete(line);
    }
    at_jsonl_close(&j);
    r->x = tokens ? "tokens" : "step";
    return s;
}

/* Validation lines may lack the number of tokens; then it is that of the training line of their
   step. */
static at_status read_curves(run *r, at_curve *curve, int n) {
    at_status s = at_curves_read(r->c, r->metrics, curve, n);
    for (int k = 0; !s && k < n; k++) {
        if (curve[k].points.n || !strcmp(curve[k].x, "step")) continue;
        at_curve again = {.x = "step", .y = curve[k].y, .domain = curve[k].domain};
        s = at_curves_read(r->c, r->metrics, &again, 1);
        const double per_step = r->steps > 0 ? r->tokens / r->steps : 0;
        for (int64_t i = 0; i < again.points.n; i++) again.points.x[i] *= per_step;
        curve[k].points = again.points;
    }
    return s;
}

static at_series series_of(const char *name, at_curve *curve, bool smooth) {
    at_points_thin(&curve->points, AT_POINTS_DRAWN);
    return (at_series){name, curve->points.x, curve->points.y, curve->points.n, smooth};
}

static int ascending(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The median; NAN of no points, or when memory runs out, which the page reports. */
static double median(run *r, const at_points *p) {
    double *v = p->n ? at_malloc(r->c, (size_t)p->n * sizeof *v) : NULL;
    if (p->n && !v) r->t.failed = AT_OOM;
    if (!v) return (double)NAN;
    memcpy(v, p->y, (size_t)p->n * sizeof *v);
    qsort(v, (size_t)p->n, sizeof *v, ascending);
    const double m = v[p->n / 2];
    at_free(v);
    return m;
}

static void figures(run *r) {
    const char *label[8], *value[8];
    char text[8][40];
    int n = 0;
    double best = (double)INFINITY;
    const at_points *loss = &r->loss.points, *val = &r->val.points;
    for (int64_t i = 0; i < val->n; i++) best = fmin(best, val->y[i]);
    const double number[] = {r->steps, r->tokens, loss->n ? loss->y[loss->n - 1] : (double)NAN,
                             best,     exp(best), median(r, &r->rate.points)};
    static const char *const name[] = {"steps",           "tokens",     "last training loss",
                                       "best validation", "perplexity", "tokens/s (median)"};
    for (int i = 0; i < 6; i++) {
        if (!isfinite(number[i]) || number[i] <= 0) continue;
        if (number[i] < 1e6)
            at_grid_number(number[i], text[n], sizeof text[n]);
        else
            at_short_number(number[i], text[n], sizeof text[n]);
        label[n] = name[i];
        value[n] = text[n];
        n++;
    }
    if (n) at_html_figures(&r->t, n, label, value);
}

static const char *axis_name(const run *r) { return r->x[0] == 't' ? "tokens" : "step"; }

static void loss_chart(run *r) {
    at_series s[2];
    int n = 0;
    s[n++] = series_of("training", &r->loss, true);
    if (r->val.points.n) s[n++] = series_of("validation", &r->val, false);
    const at_chart chart = {.title = "Loss",
                            .x_label = axis_name(r),
                            .y_label = "nats per token",
                            .series = s,
                            .n_series = n};
    at_svg_chart(&r->t, &chart);
}

static at_status domain_chart(run *r) {
    at_curve curve[DOMAINS_MAX] = {0};
    at_series s[DOMAINS_MAX];
    for (int k = 0; k < r->domain.n; k++)
        curve[k] = (at_curve){.x = r->x, .y = "val_loss", .domain = r->domain.item[k]};
    const at_status status = read_curves(r, curve, r->domain.n);
    for (int k = 0; k < r->domain.n; k++) s[k] = series_of(r->domain.item[k], &curve[k], false);
    const at_chart chart = {.title = "Validation loss by domain",
                            .x_label = axis_name(r),
                            .y_label = "nats per token",
                            .series = s,
                            .n_series = r->domain.n};
    if (!status) at_svg_chart(&r->t, &chart);
    for (int k = 0; k < r->domain.n; k++) at_points_free(&curve[k].points);
    return status;
}

static void small_chart(run *r, const char *title, const char *unit, at_curve *curve, bool smooth) {
    const at_series s = series_of(title, curve, smooth);
    const at_chart chart = {.title = title,
                            .x_label = axis_name(r),
                            .y_label = unit,
                            .small = true,
                            .series = &s,
                            .n_series = 1};
    if (s.n) at_svg_chart(&r->t, &chart);
}

static const char *title_of(const char *key) {
    static const char *const said[][2] = {{"lr", "Learning rate"},
                                          {"grad_norm", "Gradient norm"},
                                          {"ce", "Cross-entropy"},
                                          {"kd", "Distillation loss"},
                                          {"alpha", "Alpha, the weight of the cross-entropy"},
                                          {"aux", "Auxiliary loss of the routers"},
                                          {"mutual", "Mutual distillation of the experts"},
                                          {"expert_label", "Loss of experts that answer alone"},
                                          {"load_entropy", "Evenness of the experts' load"},
                                          {"dead_experts", "Dead experts"}};
    for (size_t i = 0; i < sizeof said / sizeof *said; i++)
        if (!strcmp(said[i][0], key)) return said[i][1];
    return key;
}

static at_status other_charts(run *r) {
    at_curve curve[KEYS_MAX] = {0};
    for (int k = 0; k < r->key.n; k++) curve[k] = (at_curve){.x = r->x, .y = r->key.item[k]};
    const at_status s = at_curves_read(r->c, r->metrics, curve, r->key.n);
    for (int k = 0; !s && k < r->key.n; k++)
        small_chart(r, title_of(curve[k].y), NULL, &curve[k], strcmp(curve[k].y, "lr") != 0);
    for (int k = 0; k < r->key.n; k++) at_points_free(&curve[k].points);
    if (!s) small_chart(r, "Speed", "tokens per second", &r->rate, true);
    return s;
}

static at_status recipe(run *r, const char *run_dir) {
    char *path = at_join(r->c, run_dir, "recipe.yaml");
    if (!path) return AT_OOM;
    size_t n;
    char *text = at_exists(path) ? at_read_file(r->c, path, RECIPE_BYTES, &n) : NULL;
    const bool failed = !text && at_exists(path);
    if (text) {
        at_html_heading(&r->t, "Recipe");
        at_html_listing(&r->t, "the effective recipe of this run", text);
    }
    at_free(text);
    at_free(path);
    return failed ? r->c->status : AT_OK;
}

static at_status build(run *r, const char *run_dir) {
    at_status s = scan_metrics(r);
    if (s) return s;
    r->loss = (at_curve){.x = r->x, .y = "loss"};
    r->val = (at_curve){.x = r->x, .y = "val_loss"};
    r->rate = (at_curve){.x = r->x, .y = "tok_s"};
    at_curve curve[] = {r->loss, r->val, r->rate};
    s = read_curves(r, curve, 3);
    r->loss = curve[0];
    r->val = curve[1];
    r->rate = curve[2];
    if (s) return s;
    size_t n = strlen(run_dir);
    while (n > 1 && run_dir[n - 1] == '/') n--;
    size_t first = n;
    while (first > 0 && run_dir[first - 1] != '/') first--;
    char title[160];
    const bool named = run_dir[first] != '.'; /* "." and ".." are no titles */
    (void)snprintf(title, sizeof title, "Training run%s%.*s", named ? ": " : "",
                   named ? (int)(n - first < 120 ? n - first : 120) : 0, run_dir + first);
    at_html_begin(&r->t, title, NULL);
    figures(r);
    s = at_report_result(r->c, &r->t, run_dir);
    loss_chart(r);
    if (!s && r->domain.n) s = domain_chart(r);
    if (!s && (r->key.n || r->rate.points.n)) {
        at_html_heading(&r->t, "How the training went");
        at_html_row_begin(&r->t);
        s = other_charts(r);
        at_html_row_end(&r->t);
    }
    if (!s) s = recipe(r, run_dir);
    at_html_end(&r->t);
    return s ? s : r->t.failed;
}

at_status at_report_run(at_ctx *c, const char *run_dir) {
    run r = {.c = c, .metrics = at_join(c, run_dir, "metrics.jsonl")};
    char *out = at_join(c, run_dir, "report.html");
    at_text_init(&r.t, c, 0);
    at_status s = r.metrics && out ? at_check_out_file(c, out) : AT_OOM;
    if (!s) s = build(&r, run_dir);
    if (!s) s = at_write_file(c, out, r.t.s, r.t.n);
    at_text_close(&r.t);
    names_free(&r.key);
    names_free(&r.domain);
    at_points_free(&r.loss.points);
    at_points_free(&r.val.points);
    at_points_free(&r.rate.points);
    at_free(r.metrics);
    at_free(out);
    return s;
}
