/* mf_page.c - the report of the ModuleFormer lab. */
#include "lab/lab_page.h"
#include "lab/lab_table.h"
#include "lab/mf_lab.h"
#include "report/points.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static double mean(const double *x, int64_t n) { return at_stat_mean(x, n); }

static double of_first(const mf *m, const char *group, const char *key) {
    double v = 0;
    const at_trial *t = at_lab_trial(m->l, group, 1);
    (void)mf_number(t->result, key, &v);
    return v;
}

/* Tokens a second, geometric mean over seeds. */
static double speed(const mf *m, int i, int what) {
    double sum = 0;
    for (int64_t k = 0; k < m->scale->seeds; k++) sum += log(mf_speed_of(&m->speed[k][i], what));
    return exp(sum / (double)m->scale->seeds);
}

/* Every model: sizes, quality, speed. */
static void overview(mf *m) {
    at_page_section(
        m->l, "Models",
        "Same data, tokens, batch and schedule; the learning rate of each size is the best of a "
        "sweep (below), that of the variants is the mixture's. Loss is that of the whole test "
        "split, mean and standard deviation over seeds. Speeds are medians of rounds in which the "
        "models of a seed took turns, geometric mean over seeds. Memory is what a training run is "
        "planned to need.");
    at_page_table(m->l, NULL,
                  "model|parameters (M)|active a token (M)|test loss|training "
                  "tokens/s|reading tokens/s|writing tokens/s|memory (MB)");
    for (int i = 0; i < m->n; i++) {
        char loss[64];
        const char *group = m->model[i].group;
        at_page_row(m->l, "%s|%.2f|%.2f|%s|%.0f|%.0f|%.0f|%.0f", m->model[i].title,
                    1e-6 * of_first(m, group, "parameters"), 1e-6 * of_first(m, group, "active"),
                    at_page_spread(loss, m->loss[i], m->scale->seeds, 4), speed(m, i, MF_TRAIN),
                    speed(m, i, MF_READ), speed(m, i, MF_WRITE),
                    1e-6 * of_first(m, group, "peak_bytes"));
    }
}

static void frontier(mf *m, const char *title, int what) {
    const int dense = m->scale->n_dense;
    const char *const axis[3] = {"training tokens/s", "reading tokens/s", "writing tokens/s"};
    at_page_section(m->l, NULL, NULL);
    at_page_chart(m->l, title, axis[what], "test loss, nats a token");
    at_page_points(m->l, "dense models");
    for (int i = 0; i < m->n; i++) {
        if (i >= dense) at_page_points(m->l, m->model[i].title);
        at_page_point(m->l, speed(m, i, what), mean(m->loss[i], m->scale->seeds));
    }
    at_page_log_x(m->l);
}

static void curves(mf *m, const char *title, int from, int to) {
    at_page_section(m->l, NULL, NULL);
    at_page_chart(m->l, title, "tokens", "validation loss, nats a token");
    for (int i = from; i < to; i++)
        at_page_metrics(m->l, at_lab_trial(m->l, m->model[i].group, 1), m->model[i].title, "tokens",
                        "val_loss");
}

/* Adds seconds to validation lines, which have none: those of the training step before. */
static at_status validation_by_clock(mf *m, const at_trial *t) {
    at_curve curve[2] = {{.x = "step", .y = "val_loss"}, {.x = "step", .y = "wall"}};
    char *path = at_lab_path(m->l, t, "metrics.jsonl");
    const at_status s = path ? at_curves_read(m->l->c, path, curve, 2) : AT_OOM;
    const at_points *loss = &curve[0].points, *wall = &curve[1].points;
    for (int64_t i = 0, k = 0; s == AT_OK && i < loss->n; i++) {
        while (k + 1 < wall->n && wall->x[k] < loss->x[i]) k++;
        if (k < wall->n) at_page_point(m->l, wall->y[k], loss->y[i]);
    }
    at_points_free(&curve[0].points);
    at_points_free(&curve[1].points);
    at_free(path);
    return s;
}

/* Times can be compared only if all runs were done on one processor. */
static bool one_processor(const mf *m) {
    for (int i = 0; i <= m->scale->n_dense; i++) {
        const cJSON *o = at_lab_trial(m->l, m->model[i].group, 1)->result;
        const char *name = cJSON_GetStringValue(cJSON_GetObjectItem(o, "processor"));
        if (!name || strcmp(name, m->l->processor) != 0) return false;
    }
    return true;
}

static at_status seconds(mf *m) {
    if (!one_processor(m)) {
        at_page_section(m->l, NULL,
                        "The runs were trained on more than one processor, or on another one "
                        "than this: their seconds are not compared.");
        return AT_OK;
    }
    at_page_section(m->l, NULL, NULL);
    at_page_chart(m->l, "Validation loss against seconds of training (seed 1)", "seconds",
                  "validation loss, nats a token");
    at_status s = AT_OK;
    for (int i = 0; i <= m->scale->n_dense && s == AT_OK; i++) {
        at_page_points(m->l, m->model[i].title);
        s = validation_by_clock(m, at_lab_trial(m->l, m->model[i].group, 1));
    }
    return s;
}

/* ---- load ---- */

static int falling(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x < y) - (x > y);
}

/* Shares of the experts, most used first, mean over routers of a kind and over seeds. */
static void load_line(mf *m, const mf_model *x, const char *kind) {
    double share[256], sum[256] = {0};
    int n = 0, routers = 0;
    for (int64_t seed = 1; seed <= m->scale->seeds; seed++) {
        const cJSON *r, *list = cJSON_GetObjectItemCaseSensitive(
                            at_lab_trial(m->l, x->group, seed)->result, "load");
        cJSON_ArrayForEach(r, list) {
            const char *is = cJSON_GetStringValue(cJSON_GetObjectItem(r, "kind"));
            const cJSON *v = cJSON_GetObjectItem(r, "share");
            if (!is || *is != *kind) continue;
            n = cJSON_GetArraySize(v) < 256 ? cJSON_GetArraySize(v) : 256;
            for (int e = 0; e < n; e++) share[e] = cJSON_GetNumberValue(cJSON_GetArrayItem(v, e));
            qsort(share, (size_t)n, sizeof *share, falling);
            for (int e = 0; e < n; e++) sum[e] += share[e];
            routers++;
        }
    }
    at_page_points(m->l, x->title);
    for (int e = 0; e < n; e++) at_page_point(m->l, e + 1, sum[e] / routers);
}

/* Whether a variant differs from the mixture only by the losses of its routers. */
static bool by_loss(const mf *m, int i) {
    return i >= m->scale->n_dense && m->model[i].k == 2 && !m->model[i].softmax;
}

static void load(mf *m) {
    const int64_t n = m->scale->seeds;
    at_page_section(
        m->l, "Load of the experts",
        "Load entropy is that of the shares of the tokens, over its maximum: 1 is an even load. An "
        "expert is dead when it gets less than a hundredth of its even share of the test split.");
    at_page_table(m->l, NULL, "model|load entropy|dead experts|of|test loss");
    for (int i = m->scale->n_dense; i < m->n; i++) {
        double entropy[MF_SEEDS_MAX] = {0}, dead[MF_SEEDS_MAX] = {0};
        char a[64], b[64];
        (void)at_lab_numbers(m->l, m->model[i].group, "load_entropy", n, entropy);
        (void)at_lab_numbers(m->l, m->model[i].group, "dead", n, dead);
        at_page_row(m->l, "%s|%s|%.1f|%.0f|%s", m->model[i].title, at_page_spread(a, entropy, n, 4),
                    mean(dead, n), of_first(m, m->model[i].group, "experts"),
                    at_page_spread(b, m->loss[i], n, 4));
    }
    const char *const kind[2] = {"attention", "feed_forward"};
    const char *const title[2] = {"Share of the tokens, attention experts, most used first",
                                  "Share of the tokens, feed-forward experts, most used first"};
    for (int k = 0; k < 2; k++) {
        at_page_section(m->l, NULL, NULL);
        at_page_chart(m->l, title[k], "expert", "share of the choices");
        for (int i = 0; i < m->n; i++)
            if (by_loss(m, i)) load_line(m, &m->model[i], kind[k]);
    }
}

/* ---- length ---- */

static const char *attention_of(const mf_model *x) {
    return x->softmax ? "softmax, rotary positions" : "stick-breaking";
}

static void length_row(mf *m, const mf_model *x) {
    const int64_t n = m->scale->seeds;
    double loss[3][MF_SEEDS_MAX];
    char a[64], b[64], c[64];
    for (int k = 0; k < n; k++)
        for (int w = 0; w < 3; w++)
            loss[w][k] = mf_context_loss(at_lab_trial(m->l, x->group, k + 1), w);
    at_page_row(m->l, "%s|%s|%s|%s", attention_of(x), at_page_spread(a, loss[0], n, 4),
                at_page_spread(b, loss[1], n, 4), at_page_spread(c, loss[2], n, 4));
}

static void length_line(mf *m, const mf_model *x) {
    const int64_t n = m->scale->seeds;
    const cJSON *first =
        cJSON_GetObjectItem(at_lab_trial(m->l, x->group, 1)->result, "by_position");
    at_page_points(m->l, attention_of(x));
    for (int p = 0; p < cJSON_GetArraySize(first); p++) {
        double at = 0, sum = 0, v;
        for (int k = 0; k < n; k++) {
            const cJSON *o = cJSON_GetArrayItem(
                cJSON_GetObjectItem(at_lab_trial(m->l, x->group, k + 1)->result, "by_position"), p);
            if (mf_number(o, "loss", &v)) sum += v / (double)n;
            (void)mf_number(o, "position", &at);
        }
        at_page_point(m->l, at, sum);
    }
}

static void length(mf *m) {
    const int64_t context = m->scale->context;
    char text[512];
    (void)snprintf(
        text, sizeof text,
        "Trained at %lld tokens. The table has the loss of the same tokens, the last %lld "
        "of each window of %lld, read with more or less text before them; the chart the "
        "loss at each place of the long windows.",
        (long long)context, (long long)context, (long long)(4 * context));
    at_page_section(m->l, "Beyond the training length", text);
    at_page_table(m->l, NULL, "attention|trained length|twice|four times");
    for (int i = 0; i < m->n; i++)
        if (m->model[i].lengths) length_row(m, &m->model[i]);
    at_page_chart(m->l, "Loss by position", "position in the window", "nats a token");
    for (int i = 0; i < m->n; i++)
        if (m->model[i].lengths) length_line(m, &m->model[i]);
}

static void tuning(mf *m) {
    at_page_section(
        m->l, "Learning rates",
        "Validation loss of short runs with a seed of their own; the best rate of each size is "
        "used for all of its runs. Where it was the last one on its side, the next was tried as "
        "well, twice at most.");
    at_page_table(m->l, NULL, "model|learning rate|validation loss|chosen");
    for (int k = 0; k <= m->scale->n_dense; k++)
        for (int r = m->sweep[k].low; r <= m->sweep[k].high; r++) {
            char loss[32];
            const double v = mf_tune_loss(m, k, r);
            const char *const chosen[3] = {"yes, the lowest", "yes", "yes, the highest"};
            (void)snprintf(loss, sizeof loss, isfinite(v) ? "%.4f" : "exploded", v);
            at_page_row(m->l, "%s|%g|%s|%s", m->model[k].title, mf_rate(&m->model[k], r), loss,
                        r == mf_best(m, k) ? chosen[mf_edge(m, k) + 1] : "");
        }
}

static void summary(mf *m) {
    char text[600];
    const mf_scale *z = m->scale;
    const at_lab_session *l = m->l;
    const char *const label[3] = {"throughput, training", "throughput, reading",
                                  "throughput, writing"};
    (void)snprintf(
        text, sizeof text,
        "A mixture of %d attention experts and %d feed-forward experts in each of %d "
        "layers of width %d, against dense models of the same kind. %lld tokens of "
        "training a run, %lld seeds, batches of %lld x %lld. The figures are throughputs "
        "over that of a dense model of the same test loss; \"at least\": no dense model tried "
        "here is as good, and the best of them stands in.",
        z->sparse.att, z->sparse.ffn, z->sparse.layers, z->sparse.width, (long long)z->tokens,
        (long long)z->seeds, (long long)z->batch, (long long)z->context);
    at_page_section(m->l, NULL, text);
    at_page_figures(m->l);
    for (int i = 0; i < 3; i++) {
        char value[64];
        const cJSON *o = cJSON_GetArrayItem(l->claims, i);
        (void)snprintf(value, sizeof value, "%s%.2f x", at_page_bound(o),
                       cJSON_GetNumberValue(cJSON_GetObjectItem(o, "effect")));
        at_page_figure(m->l, label[i], value);
    }
}

at_status mf_page(mf *m) {
    summary(m);
    at_page_warnings(m->l);
    at_page_claims(m->l);
    overview(m);
    frontier(m, "Quality against training throughput", 0);
    frontier(m, "Quality against throughput reading", 1);
    frontier(m, "Quality against throughput writing", 2);
    curves(m, "Validation loss against training tokens (seed 1)", 0, m->scale->n_dense + 1);
    curves(m, "The same for the variants of the mixture", m->scale->n_dense, m->n);
    const at_status s = seconds(m);
    load(m);
    length(m);
    tuning(m);
    return s;
}
