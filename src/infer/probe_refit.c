/* probe_refit.c - fresh heads on what experts compute. */
#include "infer/probe.h"
#include "route/classifier.h"
#include <math.h>

static const double EPS =
    1e-3; /* of the gradient: what is left of it changes no figure that is shown */

/* The head of an expert in the making: rows of its domain, as a classifier takes them. */
typedef struct {
    const at_heard *train;
    const int32_t *class_of; /* of the training rows          */
    int32_t e;               /* the expert                    */
    int64_t n, classes;      /* rows; classes that they have  */
    double *mean, *spread;   /* [h] of the rows               */
    int64_t *start;
    at_sparse_entry *entry;
    int32_t *label;  /* [n] numbers of classes that occur     */
    int32_t *number; /* [all classes] the same, -1: none      */
    int32_t *back;   /* [all classes] which class it is       */
    double *w;       /* [classes, h + 1]                      */
} head;

static void head_close(head *h) {
    at_free(h->mean);
    at_free(h->spread);
    at_free(h->start);
    at_free(h->entry);
    at_free(h->label);
    at_free(h->number);
    at_free(h->back);
    at_free(h->w);
}

static at_status head_open(at_ctx *c, head *h, int64_t all) {
    const at_heard *t = h->train;
    for (int64_t i = 0; i < t->n; i++) h->n += t->domain[i] == h->e && h->class_of[i] >= 0;
    const size_t n = (size_t)h->n, width = (size_t)t->h;
    h->mean = at_calloc(c, width, sizeof *h->mean);
    h->spread = at_calloc(c, width, sizeof *h->spread);
    h->start = at_calloc(c, n + 1, sizeof *h->start);
    h->entry = at_calloc(c, n * width, sizeof *h->entry);
    h->label = at_calloc(c, n, sizeof *h->label);
    h->number = at_calloc(c, (size_t)all, sizeof *h->number);
    h->back = at_calloc(c, (size_t)all, sizeof *h->back);
    h->w = at_calloc(c, (size_t)all * (width + 1), sizeof *h->w);
    for (int64_t k = 0; h->number && k < all; k++) h->number[k] = -1;
    return h->mean && h->spread && h->start && h->entry && h->label && h->number && h->back && h->w
               ? AT_OK
               : AT_OOM;
}

/* Mean and deviation of each value over the rows of the domain. */
static void standardise(head *h) {
    const at_heard *t = h->train;
    for (int pass = 0; pass < 2; pass++) {
        double *to = pass ? h->spread : h->mean;
        for (int64_t i = 0; i < t->n; i++) {
            if (t->domain[i] != h->e || h->class_of[i] < 0) continue;
            for (int64_t j = 0; j < t->h; j++) {
                const double x = (double)t->hidden[i * t->h + j];
                to[j] += pass ? (x - h->mean[j]) * (x - h->mean[j]) : x;
            }
        }
        for (int64_t j = 0; j < t->h; j++)
            to[j] = pass ? sqrt(to[j] / (double)h->n) : to[j] / (double)h->n;
    }
}

/* A value that hardly varies where the head is fitted says nothing. */
static double value_of(const head *h, const at_real *x, int64_t j) {
    return h->spread[j] > 1e-9 ? ((double)x[j] - h->mean[j]) / h->spread[j] : 0;
}

static void take_rows(head *h) {
    const at_heard *t = h->train;
    int64_t n = 0, at = 0;
    for (int64_t i = 0; i < t->n; i++) {
        const int32_t k = h->class_of[i];
        if (t->domain[i] != h->e || k < 0) continue;
        if (h->number[k] < 0) {
            h->number[k] = (int32_t)h->classes;
            h->back[h->classes++] = k;
        }
        h->label[n] = h->number[k];
        h->start[n++] = at;
        for (int64_t j = 0; j < t->h; j++)
            h->entry[at++] =
                (at_sparse_entry){(int32_t)j, (float)value_of(h, t->hidden + i * t->h, j)};
    }
    h->start[n] = at;
}

static at_status fit(at_ctx *c, head *h) {
    standardise(h);
    take_rows(h);
    const at_sparse_rows x = {
        .n = h->n, .columns = h->train->h, .start = h->start, .entry = h->entry};
    const at_fit how = {
        .x = &x, .label = h->label, .n_classes = (int)h->classes, .c = 1, .eps = EPS};
    return h->classes > 1 ? at_classifier_softmax.fit(c, &how, h->w) : AT_OK;
}

/* The class that the head names. */
static int32_t named(const head *h, const at_real *x) {
    const int64_t width = h->train->h;
    int64_t best = 0;
    double most = 0;
    for (int64_t k = 0; k < h->classes; k++) {
        const double *w = h->w + k * (width + 1);
        double score = w[width];
        for (int64_t j = 0; j < width; j++) score += w[j] * value_of(h, x, j);
        if (k && !(score > most)) continue;
        most = score;
        best = k;
    }
    return h->back[best];
}

at_status at_probe_refit(at_ctx *c, const at_heard *train, const int32_t *train_class,
                         const at_heard *test, const int32_t *test_class, at_expert_probe *out) {
    int32_t classes = 1;
    int64_t counted = 0, right = 0, enough = 0;
    at_status s = AT_OK;
    for (int64_t i = 0; i < train->n; i++)
        if (train_class[i] >= classes) classes = train_class[i] + 1;
    out->refitted = true;
    out->no_head = 0;
    out->mean_refit = 0;
    for (int32_t e = 0; e < train->e && s == AT_OK; e++) {
        at_probed_expert *to = &out->expert[e];
        head h = {.train = train, .class_of = train_class, .e = e};
        int64_t rows = 0, good = 0;
        s = head_open(c, &h, classes);
        to->train_rows = h.n;
        if (s == AT_OK && h.n) s = fit(c, &h);
        for (int64_t i = 0; i < test->n && h.n && s == AT_OK; i++) {
            if (test->domain[i] != e) continue;
            good += named(&h, test->hidden + i * test->h) == test_class[i];
            rows++;
        }
        head_close(&h);
        out->no_head += !h.n;
        to->refit = rows ? (double)good / (double)rows : (double)NAN;
        counted += rows;
        right += good;
        if (rows < AT_PROBE_FEW) continue;
        out->mean_refit += to->refit;
        enough++;
    }
    out->refit = counted ? (double)right / (double)counted : (double)NAN;
    out->mean_refit = enough ? out->mean_refit / (double)enough : (double)NAN;
    return s;
}
