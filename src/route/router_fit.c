/* router_fit.c - sequences -> sparse rows -> a linear classifier. */
#include "base/maths.h"
#include "route/bag.h"
#include "route/router.h"
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct fit {
    at_sparse_entry *entry; /* all rows, one after the other                             */
    int64_t n_entries, cap;
    int64_t *start; /* [n + 1]                                                          */
    at_bag_spec spec;
    int64_t features;
    int32_t *column; /* [features] of one seen in training, or -1                        */
    int64_t *df;     /* [features] sequences with it                                     */
    double *scale;   /* [n] makes a row's length 1                                       */
    double *factor;  /* [features] idf by column                                         */
    int64_t columns;
} fit;

static at_status check(at_ctx *c, const at_router_set *set, const at_router_options *o) {
    if (!(o->c > 0) || !isfinite(o->c) || !(o->eps > 0) || !isfinite(o->eps))
        return at_error(c, AT_ARG, "router: C is %g and eps is %g, both must be above 0", o->c,
                        o->eps);
    if (set->n_drop < 0 || set->n_drop > AT_ROUTER_DROP_MAX)
        return at_error(c, AT_ARG, "router: %d ids to drop, at most %d", set->n_drop,
                        AT_ROUTER_DROP_MAX);
    if (set->n < 1 || set->n > INT_MAX / 2)
        return at_error(c, AT_ARG, "router: %lld training sequences", (long long)set->n);
    if (set->tokenizer_hash && strlen(set->tokenizer_hash) > 64)
        return at_error(c, AT_ARG, "router: a tokenizer hash of more than 64 characters");
    for (int k = 0; k < set->n_classes; k++) {
        int64_t found = 0;
        for (int64_t i = 0; i < set->n; i++) found += set->label[i] == k;
        if (!found)
            return at_error(c, AT_ARG, "router: class \"%.80s\" has no training sequence",
                            set->name[k]);
    }
    for (int64_t i = 0; i < set->n; i++)
        if (set->label[i] < 0 || set->label[i] >= set->n_classes)
            return at_error(c, AT_ARG, "router: sequence %lld has label %d of %d classes",
                            (long long)i, (int)set->label[i], set->n_classes);
    return AT_OK;
}

/* Fills the rows with (feature, weight of its count), and df. */
static at_status count(at_ctx *c, const at_router_set *set, fit *f) {
    const size_t n = (size_t)set->n, features = (size_t)f->features;
    f->start = at_calloc(c, n + 1, sizeof *f->start);
    f->scale = at_malloc(c, n * sizeof *f->scale);
    f->column = at_malloc(c, features * sizeof *f->column);
    f->df = at_calloc(c, features, sizeof *f->df);
    f->factor = at_malloc(c, features * sizeof *f->factor);
    if (!f->start || !f->scale || !f->column || !f->df || !f->factor) return AT_OOM;
    at_bag b = {0};
    at_status s = AT_OK;
    for (int64_t i = 0; !s && i < set->n; i++) {
        if (at_interrupted(c)) s = at_error(c, AT_INTERRUPTED, "router: interrupted while reading");
        if (!s)
            s = at_bag_fill(c, &b, set->id + set->start[i], set->start[i + 1] - set->start[i],
                            &f->spec);
        if (!s && !at_reserve(c, &f->entry, &f->cap, f->n_entries + b.n, sizeof *f->entry))
            s = AT_OOM;
        if (s) break;
        for (int64_t j = 0; j < b.n; j++) {
            f->entry[f->n_entries++] =
                (at_sparse_entry){b.id[j], (float)at_bag_weight(&f->spec, b.count[j])};
            f->df[b.id[j]]++;
        }
        f->start[i + 1] = f->n_entries;
    }
    at_bag_free(&b);
    return s;
}

/* Maps ids to columns, and computes the scale that makes each TF-IDF vector of length 1. */
static void weigh(const at_router_set *set, fit *f, float *idf) {
    for (int64_t t = 0; t < f->features; t++) {
        f->column[t] = -1;
        if (!f->df[t]) continue;
        idf[t] = (float)(at_ln((1.0 + (double)set->n) / (1.0 + (double)f->df[t])) + 1);
        f->factor[f->columns] = (double)idf[t];
        f->column[t] = (int32_t)f->columns++;
    }
    for (int64_t i = 0; i < set->n; i++) {
        double sum = 0;
        for (int64_t k = f->start[i]; k < f->start[i + 1]; k++) {
            at_sparse_entry *e = &f->entry[k];
            e->column = f->column[e->column];
            const double v = (double)e->value * f->factor[e->column];
            sum += v * v;
        }
        f->scale[i] = sum > 0 ? 1 / sqrt(sum) : 0;
    }
}

static at_status solve(at_ctx *c, const at_router_set *set, const at_router_options *o, fit *f,
                       at_router *r) {
    at_sparse_rows rows = {.n = set->n,
                           .columns = f->columns,
                           .start = f->start,
                           .entry = f->entry,
                           .scale = f->scale,
                           .factor = f->factor};
    if (!o->classifier->counts) at_rows_weigh(&rows);
    const at_fit given = {.x = &rows,
                          .label = set->label,
                          .n_classes = set->n_classes,
                          .name = set->name,
                          .c = o->c,
                          .eps = o->eps,
                          .seed = o->seed};
    const int64_t each = f->columns + 1;
    double *w = at_calloc(c, (size_t)set->n_classes, (size_t)each * sizeof *w);
    const at_status s = w ? o->classifier->fit(c, &given, w) : AT_OOM;
    for (int64_t k = 0; !s && k < set->n_classes; k++) {
        float *weight = r->weight + k * f->features;
        for (int64_t t = 0; t < f->features; t++)
            if (f->column[t] >= 0) weight[t] = (float)w[k * each + f->column[t]];
        r->bias[k] = (float)w[k * each + f->columns];
    }
    at_free(w);
    return s;
}

at_status at_router_fit(at_ctx *c, const at_router_set *set, const at_router_options *o,
                        at_router **out) {
    *out = NULL;
    at_router *r = NULL;
    fit f = {.spec = {.vocab = set->vocab,
                      .ngrams = o->ngrams,
                      .hash_bits = o->hash_bits,
                      .sublinear = o->sublinear,
                      .drop = set->drop,
                      .n_drop = set->n_drop}};
    at_status s = at_router_new_of(c, set->n_classes, set->name, &f.spec, &r);
    if (s) return s;
    f.features = r->features;
    s = check(c, set, o);
    if (!s) s = count(c, set, &f);
    if (!s) {
        weigh(set, &f, r->idf);
        if (!f.columns) s = at_error(c, AT_ARG, "router: no training sequence holds a token");
    }
    if (!s) s = solve(c, set, o, &f, r);
    if (!s) {
        r->n_drop = set->n_drop;
        if (set->n_drop) memcpy(r->drop, set->drop, (size_t)set->n_drop * sizeof *r->drop);
        if (set->tokenizer_hash)
            memcpy(r->tokenizer_hash, set->tokenizer_hash, strlen(set->tokenizer_hash) + 1);
        r->sequences = set->n;
        r->trained = *o;
        r->link = o->classifier->link;
        (void)snprintf(r->classifier, sizeof r->classifier, "%s", o->classifier->name);
        *out = r;
    } else {
        at_router_close(r);
    }
    at_free(f.entry);
    at_free(f.start);
    at_free(f.scale);
    at_free(f.column);
    at_free(f.df);
    at_free(f.factor);
    return s;
}
