/* api_route.c - training and comparing routers. */
#include "api/api_route.h"
#include "base/clock.h"
#include "base/file.h"
#include "token/tokenizer.h"
#include <string.h>

/* Ids of one digit, which the token pattern of scikit-learn's TfidfVectorizer does not take for words. */
enum { SKLEARN_IDS = 10 };

static at_status options(at_ctx *c, const artel_router_options *given, at_router_options *o) {
    *o = at_router_defaults();
    if (!given) return AT_OK;
    if (given->classifier) {
        const at_status s = at_classifier_find(c, given->classifier, &o->classifier);
        if (s) return s;
    }
    o->c = given->c != 0 ? given->c : o->classifier->c;
    if (given->ngrams != 0) o->ngrams = given->ngrams;
    if (given->hash_bits != 0) o->hash_bits = given->hash_bits;
    o->sublinear = given->sublinear != 0;
    if (given->windows != 0) o->windows = given->windows;
    o->seed = given->seed;
    if (!given->n_lengths) return AT_OK;
    if (given->n_lengths < 0 || given->n_lengths > AT_ROUTER_LENGTHS_MAX)
        return at_error(c, AT_ARG, "router: %d training lengths, 1 to %d", given->n_lengths,
                        AT_ROUTER_LENGTHS_MAX);
    o->n_lengths = given->n_lengths;
    memcpy(o->length, given->length, (size_t)given->n_lengths * sizeof *o->length);
    return AT_OK;
}

/* The data set's tokenizer; *out stays NULL when it has none (ids alone are enough to train). */
static at_status tokenizer_of(at_ctx *c, const at_dataset *d, at_tokenizer **out) {
    char *path = at_join(c, d->path, "tokenizer.json");
    if (!path) return AT_OOM;
    at_status s = AT_OK;
    if (at_exists(path))
        s = at_tokenizer_load(c, path, out);
    else
        at_log(c, AT_LOG_WARN, "%s is missing: texts cannot be explained later", path);
    if (!s && *out && strcmp(at_tokenizer_hash(*out), d->tokenizer_hash) != 0)
        s = at_error(c, AT_MISMATCH, "%s has hash %s, but the data set was made with %s", path,
                     at_tokenizer_hash(*out), d->tokenizer_hash);
    at_free(path);
    return s;
}

/* A folder may be replaced when it holds a router and nothing else. */
static at_status replaceable(at_ctx *c, const char *dir) {
    static const char *const name[] = {AT_ROUTER_FILE, "tokenizer.json"};
    char *inside = at_join(c, dir, AT_ROUTER_FILE);
    at_router *there = NULL;
    at_status s = inside ? AT_OK : c->status;
    if (!s && at_exists(inside)) s = at_router_load(c, inside, &there);
    if (s != AT_OOM) s = AT_OK; /* something else, or damaged: no router */
    if (!s) s = at_check_replaceable(c, dir, "router", name, there ? 2 : 0);
    at_router_close(there);
    at_free(inside);
    return s;
}

static at_status save(at_ctx *c, const at_router *r, const at_tokenizer *t, const char *out) {
    char *dir = NULL, *weights = NULL, *words = NULL;
    at_status s = at_partial_dir(c, out, &dir);
    if (!s) weights = at_join(c, dir, AT_ROUTER_FILE);
    if (!s) words = at_join(c, dir, "tokenizer.json");
    if (!s && (!weights || !words)) s = AT_OOM;
    if (!s && t) s = at_tokenizer_save(c, t, words);
    if (!s) s = at_router_save(c, r, weights);
    if (!s) s = replaceable(c, out); /* still */
    if (!s) s = at_replace_dir(c, dir, out);
    at_partial_drop(c, dir);
    at_free(weights);
    at_free(words);
    return s;
}

/* What is made of a data set, and what it is made with. */
typedef struct work {
    at_dataset *d;
    at_tokenizer *t;
    at_router_options o;
    at_router_windows w;
    int32_t drop[1 + SKLEARN_IDS];
    int n_drop;
} work;

static at_status work_open(at_ctx *c, const char *data_dir, const artel_router_options *given,
                           work *x) {
    at_status s = options(c, given, &x->o);
    if (!s) s = at_dataset_open_checked(c, data_dir, &x->d);
    if (!s) s = tokenizer_of(c, x->d, &x->t);
    if (s) return s;
    const int32_t end = x->t ? at_tokenizer_eot(x->t) : -1;
    if (end >= 0) x->drop[x->n_drop++] = end;
    for (int32_t i = 0; given && given->sklearn_ids && i < SKLEARN_IDS; i++)
        if (i != end) x->drop[x->n_drop++] = i;
    return at_router_windows_draw(c, x->d, x->drop, x->n_drop, &x->o, &x->w);
}

static void work_close(work *x) {
    at_router_windows_free(&x->w);
    at_tokenizer_close(x->t);
    at_dataset_close(x->d);
}

typedef struct trials {
    at_router_trial trial[AT_ROUTER_TRIALS];
    int n;
} trials;

static at_status fit(at_ctx *c, const work *x, bool tune, trials *t, at_router **out) {
    at_status s = AT_OK;
    if (tune) s = at_router_tune(c, x->d, &x->w, &x->o, out, t->trial, &t->n);
    if (!s && !tune) s = at_router_fit(c, &x->w.set, &x->o, out);
    if (s == AT_ARG) s = at_error_in(c, x->d->path);
    if (!s) s = at_router_calibrate(c, *out, x->d, AT_VALIDATION);
    return s;
}

static at_status tell(artel *a, const at_router *r, const char *dir, const trials *t,
                      double seconds, artel_emit emit, void *user) {
    int64_t features = 0;
    for (int64_t i = 0; i < r->features; i++) features += r->idf[i] > 0;
    at_json j;
    at_json_open(&j, &a->ctx);
    at_json_put_string(&j, "router", dir);
    at_route_classes(&j, r);
    at_json_put_string(&j, "classifier", r->classifier);
    at_json_put_number(&j, "C", r->trained.c);
    at_json_put_number(&j, "sequences", (double)r->sequences);
    at_json_put_number(&j, "features", (double)features);
    at_json_put_number(&j, "temperature", r->temperature);
    at_json_put_number(&j, "seconds", seconds);
    if (t->n) at_json_begin_list(&j, "trials");
    for (int i = 0; i < t->n; i++) {
        at_json_begin_object(&j, NULL);
        at_json_put_number(&j, "C", t->trial[i].c);
        at_json_put_number(&j, "f1", t->trial[i].f1);
        at_json_end(&j);
    }
    if (t->n) at_json_end(&j);
    return (at_status)at_emit(a, emit, user, &j);
}

artel_status artel_router_train(artel *a, const char *data_dir, const char *out_dir,
                                const artel_router_options *given, artel_emit emit, void *user) {
    at_ctx *c = &a->ctx;
    const double begin = at_now();
    const artel_router_lengths usual = {0};
    work x = {0};
    trials t = {0};
    at_router *r = NULL;
    char *out = at_path_trim(c, out_dir);
    at_status s = out ? at_check_out_dir(c, out) : c->status;
    if (!s) s = replaceable(c, out);
    if (!s) s = work_open(c, data_dir, given, &x);
    if (!s) s = fit(c, &x, given && given->tune, &t, &r);
    if (!s) s = save(c, r, x.t, out);
    if (!s) s = tell(a, r, out_dir, &t, at_now() - begin, emit, user);
    if (!s && at_route_fills(x.d, AT_VALIDATION, 1))
        s = at_route_measure(a, r, x.d, AT_VALIDATION, &usual, emit, user);
    at_router_close(r);
    work_close(&x);
    at_free(out);
    return at_answer(a, s);
}

/* ---- comparing ---- */

static at_status compare_one(artel *a, work *x, const at_classifier *one,
                             const artel_router_options *given, at_split split,
                             const artel_router_lengths *lengths, artel_emit emit, void *user) {
    at_ctx *c = &a->ctx;
    trials t = {0};
    at_router *r = NULL;
    x->o.classifier = one;
    x->o.c = given && given->c != 0 ? given->c : one->c;
    const double begin = at_now();
    at_status s = fit(c, x, given && given->tune, &t, &r);
    const double seconds = at_now() - begin;
    at_json j;
    at_json_open(&j, c);
    if (!s) {
        at_json_put_string(&j, "classifier", one->name);
        at_json_put_string(&j, "about", one->help);
        at_json_put_number(&j, "C", r->trained.c);
        at_json_put_number(&j, "fit_seconds", seconds);
        s = at_route_per_length(c, r, x->d, split, lengths, &j);
    }
    if (!s) s = (at_status)at_emit(a, emit, user, &j);
    at_json_close(&j);
    at_router_close(r);
    return s;
}

artel_status artel_router_compare(artel *a, const char *data_dir, const artel_router_options *given,
                                  const char *const *names, int n_names, const char *split,
                                  const artel_router_lengths *lengths, artel_emit emit,
                                  void *user) {
    at_ctx *c = &a->ctx;
    const artel_router_lengths usual = {0};
    const at_classifier *one = NULL;
    at_split which = AT_TEST;
    work x = {0};
    at_status s = at_split_find(c, split, &which);
    for (int i = 0; !s && i < n_names; i++) s = at_classifier_find(c, names[i], &one);
    if (!s) s = work_open(c, data_dir, given, &x);
    for (int i = 0; !s && (n_names ? i < n_names : at_classifiers[i] != NULL); i++) {
        one = at_classifiers[i];
        if (n_names) s = at_classifier_find(c, names[i], &one);
        if (!s) s = compare_one(a, &x, one, given, which, lengths ? lengths : &usual, emit, user);
    }
    work_close(&x);
    return at_answer(a, s);
}
