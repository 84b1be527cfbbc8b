/* router.c - making and freeing a router, predicting and explaining. */
#include "route/router.h"
#include "base/maths.h"
#include "route/bag.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

at_router_options at_router_defaults(void) {
    return (at_router_options){.c = 10,
                               .eps = 1e-6,
                               .windows = 3000,
                               .seed = 1,
                               .n_lengths = 7,
                               .length = {8, 16, 32, 64, 128, 256, 512},
                               .classifier = &at_classifier_logistic,
                               .ngrams = 1,
                               .hash_bits = 18};
}

at_bag_spec at_router_spec(const at_router *r) {
    return (at_bag_spec){.vocab = r->vocab,
                         .ngrams = r->ngrams,
                         .hash_bits = r->hash_bits,
                         .sublinear = r->sublinear,
                         .drop = r->drop,
                         .n_drop = r->n_drop};
}

static at_status check_spec(at_ctx *c, int n_classes, const at_bag_spec *s) {
    if (s->ngrams < 1 || s->ngrams > AT_NGRAMS_MAX)
        return at_error(c, AT_ARG, "router: n-grams of up to %d tokens, 1 to %d", s->ngrams,
                        AT_NGRAMS_MAX);
    if (s->ngrams > 1 && (s->hash_bits < AT_HASH_BITS_LEAST || s->hash_bits > AT_HASH_BITS_MOST))
        return at_error(c, AT_ARG, "router: a hash of %d bits, %d to %d", s->hash_bits,
                        AT_HASH_BITS_LEAST, AT_HASH_BITS_MOST);
    if (s->vocab < 1 || s->vocab > INT32_MAX || at_bag_features(s) > INT32_MAX / n_classes)
        return at_error(c, AT_ARG, "router: a vocabulary of %lld tokens", (long long)s->vocab);
    return AT_OK;
}

at_status at_router_new(at_ctx *c, int n_classes, const char *const *name, int64_t vocab,
                        at_router **out) {
    const at_bag_spec tokens = {.vocab = vocab, .ngrams = 1};
    return at_router_new_of(c, n_classes, name, &tokens, out);
}

at_status at_router_new_of(at_ctx *c, int n_classes, const char *const *name,
                           const at_bag_spec *spec, at_router **out) {
    *out = NULL;
    if (n_classes < 2 || n_classes > AT_ROUTER_CLASSES_MAX)
        return at_error(c, AT_ARG, "router: %d classes, 2 to %d can be told apart", n_classes,
                        AT_ROUTER_CLASSES_MAX);
    const at_status checked = check_spec(c, n_classes, spec);
    if (checked) return checked;
    at_router *r = at_calloc(c, 1, sizeof *r);
    if (!r) return AT_OOM;
    r->vocab = spec->vocab;
    r->ngrams = spec->ngrams;
    r->hash_bits = spec->ngrams > 1 ? spec->hash_bits : 0;
    r->sublinear = spec->sublinear;
    r->features = at_bag_features(spec);
    const size_t cells = (size_t)r->features, k = (size_t)n_classes;
    (void)snprintf(r->classifier, sizeof r->classifier, "%s", at_classifier_logistic.name);
    r->temperature = 1;
    r->name = at_calloc(c, k, sizeof *r->name);
    if (r->name) r->n_classes = n_classes;
    r->idf = at_calloc(c, cells, sizeof *r->idf);
    r->weight = at_calloc(c, cells * k, sizeof *r->weight);
    r->bias = at_calloc(c, k, sizeof *r->bias);
    bool ok = r->name && r->idf && r->weight && r->bias;
    for (int i = 0; ok && i < n_classes; i++) ok = (r->name[i] = at_strdup(c, name[i])) != NULL;
    if (!ok) {
        at_router_close(r);
        return AT_OOM;
    }
    for (int i = 0; i < n_classes; i++)
        if (!name[i][0] || at_router_class(r, name[i]) != i) {
            (void)at_error(c, AT_ARG, "router: class %d: the name \"%.80s\" is %s", i, name[i],
                           name[i][0] ? "taken by another class" : "empty");
            at_router_close(r);
            return AT_ARG;
        }
    *out = r;
    return AT_OK;
}

void at_router_close(at_router *r) {
    if (!r) return;
    for (int i = 0; r->name && i < r->n_classes; i++) at_free(r->name[i]);
    at_free(r->name);
    at_free(r->idf);
    at_free(r->weight);
    at_free(r->bias);
    at_free(r);
}

at_status at_router_check(at_ctx *c, const at_router *r, const char *what,
                          const char *tokenizer_hash) {
    const char *h = tokenizer_hash ? tokenizer_hash : "";
    if (!strcmp(r->tokenizer_hash, h)) return AT_OK;
    return at_error(c, AT_MISMATCH,
                    "router was trained with tokenizer %s, but %s has tokenizer %s: the same ids "
                    "would mean other words",
                    r->tokenizer_hash[0] ? r->tokenizer_hash : "(none)", what, h[0] ? h : "(none)");
}

int at_router_class(const at_router *r, const char *name) {
    for (int i = 0; i < r->n_classes; i++)
        if (!strcmp(r->name[i], name)) return i;
    return -1;
}

/* f_c of every class, summed in double in the order of the ids, so that the bits are the same
   everywhere; returns the class. */
static int decide(const at_router *r, const at_bag *b, const at_bag_spec *spec, double *f) {
    const double scale = at_bag_scale(b, spec, r->idf);
    int best = 0;
    for (int k = 0; k < r->n_classes; k++) {
        const float *w = r->weight + (int64_t)k * r->features;
        double sum = 0;
        for (int64_t i = 0; i < b->n; i++)
            sum +=
                at_bag_weight(spec, b->count[i]) * (double)r->idf[b->id[i]] * (double)w[b->id[i]];
        f[k] = sum * scale + (double)r->bias[k];
        if (f[k] > f[best]) best = k;
    }
    return best;
}

/* sigmoid(f_k) / sum of sigmoid(f_j) from logarithms, so that no sum of underflows divides; or softmax. */
static void normalise(at_link link, double *f, int n) {
    double most = -(double)INFINITY, sum = 0;
    for (int k = 0; k < n; k++) {
        if (link == AT_LINK_SIGMOID)
            f[k] = f[k] > 0 ? -at_log1p(at_exp(-f[k])) : f[k] - at_log1p(at_exp(f[k]));
        if (f[k] > most) most = f[k];
    }
    for (int k = 0; k < n; k++) sum += f[k] = at_exp(f[k] - most);
    for (int k = 0; k < n; k++) f[k] /= sum;
}

at_status at_router_predict(at_ctx *c, const at_router *r, const int32_t *id, int64_t n,
                            double *probability, int *best, int64_t *known) {
    at_bag b = {0};
    double few[32];
    double *f = r->n_classes <= 32 ? few : at_malloc(c, (size_t)r->n_classes * sizeof *f);
    const at_bag_spec spec = at_router_spec(r);
    at_status s = f ? at_bag_fill(c, &b, id, n, &spec) : AT_OOM;
    if (!s) {
        *best = decide(r, &b, &spec, f);
        if (probability) {
            normalise(r->link, f, r->n_classes);
            memcpy(probability, f, (size_t)r->n_classes * sizeof *f);
        }
        if (known) {
            *known = 0;
            for (int64_t i = 0; i < b.n && b.id[i] < r->vocab; i++)
                if (r->idf[b.id[i]] > 0) *known += b.count[i];
        }
    }
    at_bag_free(&b);
    if (f != few) at_free(f);
    return s;
}

/* largest contribution first; ties by id, so that the order is always the same */
static int stronger(const void *a, const void *b) {
    const at_router_reason *x = a, *y = b;
    if (x->contribution < y->contribution) return 1;
    if (x->contribution > y->contribution) return -1;
    return (x->id > y->id) - (x->id < y->id);
}

static double lead(const at_router *r, int which, int32_t id) {
    double rival = -(double)INFINITY;
    for (int k = 0; k < r->n_classes; k++) {
        const double w = (double)r->weight[(int64_t)k * r->features + id];
        if (k != which && w > rival) rival = w;
    }
    return (double)r->weight[(int64_t)which * r->features + id] - rival;
}

/* Where the tokens of a feature begin, the first time, and how many they are. */
static void locate(const at_bag_spec *s, const int32_t *id, int64_t n, at_router_reason *why) {
    const int least = why->id < s->vocab ? 1 : 2, most = why->id < s->vocab ? 1 : s->ngrams;
    for (int64_t i = 0; i < n; i++)
        for (int k = least; k <= most && k <= n - i; k++)
            if (at_bag_feature(s, id + i, k) == why->id) {
                why->first = i;
                why->tokens = k;
                return;
            }
}

at_status at_router_explain(at_ctx *c, const at_router *r, const int32_t *id, int64_t n_ids,
                            int which, int64_t top, at_router_reason *reason, int64_t *n) {
    *n = 0;
    if (which < 0 || which >= r->n_classes)
        return at_error(c, AT_ARG, "router: class %d of %d", which, r->n_classes);
    at_bag b = {0};
    const at_bag_spec spec = at_router_spec(r);
    at_status s = at_bag_fill(c, &b, id, n_ids, &spec);
    at_router_reason *all = s ? NULL : at_malloc(c, (size_t)b.n * sizeof *all);
    if (!s && !all) s = AT_OOM;
    if (!s) {
        const double scale = at_bag_scale(&b, &spec, r->idf);
        int64_t m = 0;
        for (int64_t i = 0; i < b.n; i++) {
            if (!(r->idf[b.id[i]] > 0)) continue; /* never seen in training */
            const double x = at_bag_weight(&spec, b.count[i]) * (double)r->idf[b.id[i]] * scale;
            all[m++] = (at_router_reason){
                .id = b.id[i], .count = b.count[i], .contribution = x * lead(r, which, b.id[i])};
        }
        if (m) qsort(all, (size_t)m, sizeof *all, stronger);
        *n = m < top ? m : top;
        for (int64_t i = 0; i < *n; i++) {
            reason[i] = all[i];
            locate(&spec, id, n_ids, &reason[i]);
        }
    }
    at_free(all);
    at_bag_free(&b);
    return s;
}
