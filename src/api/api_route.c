/* api_route.c - training, evaluating and explaining routers. */
#include "api/api.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/text.h"
#include "route/router.h"
#include "token/tokenizer.h"
#include <string.h>

enum { EVAL_LENGTH = 128, EVAL_WINDOWS = 2000, SHORTEST = 8, LONGEST = 1024 };

/* ---- measuring ---- */

static void per_class(at_json *j, const at_router *r, const at_router_score *s) {
    at_json_begin_list(j, "per_class");
    for (int k = 0; k < r->n_classes; k++) {
        at_json_begin_object(j, NULL);
        at_json_put_string(j, "class", r->name[k]);
        at_json_put_number(j, "precision", s->class_precision[k]);
        at_json_put_number(j, "recall", s->class_recall[k]);
        at_json_put_number(j, "f1", s->class_f1[k]);
        at_json_put_number(j, "sequences", (double)s->support[k]);
        at_json_end(j);
    }
    at_json_end(j);
}

static void confusion(at_json *j, const at_router_score *s) {
    at_json_begin_list(j, "confusion");
    for (int64_t i = 0; i < s->n_classes; i++) {
        at_json_begin_list(j, NULL);
        for (int k = 0; k < s->n_classes; k++)
            at_json_put_number(j, NULL, (double)s->confusion[i * s->n_classes + k]);
        at_json_end(j);
    }
    at_json_end(j);
}

static void class_names(at_json *j, const at_router *r) {
    at_json_begin_list(j, "classes");
    for (int k = 0; k < r->n_classes; k++) at_json_put_string(j, NULL, r->name[k]);
    at_json_end(j);
}

/* Whether the split has a window of this length; longer ones would repeat the result before. */
static bool fills(const at_dataset *d, at_split split, int64_t length) {
    int64_t most = 0;
    for (int k = 0; k < d->n_domains; k++)
        if (d->domain[k].shard[split].n_tokens > most) most = d->domain[k].shard[split].n_tokens;
    return length <= most;
}

static void calibration(at_json *j, const at_router_score *s) {
    at_json_put_number(j, "ece", at_router_bins_error(&s->tempered));
    at_json_put_number(j, "ece_before", at_router_bins_error(&s->raw));
}

/* Domains whose split is shorter than a window: theirs is one window of what there is. */
static void short_domains(at_json *j, const at_dataset *d, at_split split, int64_t length) {
    at_json_begin_list(j, "short");
    for (int k = 0; k < d->n_domains; k++)
        if (d->domain[k].shard[split].n_tokens < length)
            at_json_put_string(j, NULL, d->domain[k].name);
    at_json_end(j);
}

static at_status one_length(at_ctx *c, const at_router *r, const at_dataset *d, at_split split,
                            int64_t length, at_json *j) {
    at_router_score s = {0};
    const bool whole = fills(d, split, length);
    const at_status status =
        whole ? at_router_eval(c, r, d, split, length, EVAL_WINDOWS, &s) : AT_OK;
    if (status) return status;
    at_json_begin_object(j, NULL);
    at_json_put_number(j, "length", (double)length);
    at_json_put_number(j, "sequences", (double)s.total);
    if (whole) {
        at_json_put_number(j, "accuracy", s.accuracy);
        at_json_put_number(j, "f1", s.f1);
        at_json_put_number(j, "weighted_f1", s.weighted_f1);
        calibration(j, &s);
    }
    short_domains(j, d, split, length);
    at_json_end(j);
    at_router_score_free(&s);
    return AT_OK;
}

static at_status per_length(at_ctx *c, const at_router *r, const at_dataset *d, at_split split,
                            const artel_router_lengths *o, at_json *j) {
    at_status s = AT_OK;
    at_json_begin_list(j, "per_length");
    for (int i = 0; !s && i < o->n_lengths; i++) s = one_length(c, r, d, split, o->lengths[i], j);
    if (!o->n_lengths)
        for (int64_t n = SHORTEST; !s && n <= LONGEST && fills(d, split, n); n *= 2)
            s = one_length(c, r, d, split, n, j);
    at_json_end(j);
    return s;
}

static at_status measure(artel *a, const at_router *r, const at_dataset *d, at_split split,
                         const artel_router_lengths *o, artel_emit emit, void *user) {
    at_router_score s;
    const int64_t length = o->length ? o->length : EVAL_LENGTH;
    at_status status = at_router_eval(&a->ctx, r, d, split, length, 0, &s);
    if (status) return status;
    at_json j;
    at_json_open(&j, &a->ctx);
    at_json_put_string(&j, "split", at_split_name[split]);
    at_json_put_number(&j, "length", (double)length);
    at_json_put_number(&j, "sequences", (double)s.total);
    at_json_put_number(&j, "accuracy", s.accuracy);
    at_json_put_number(&j, "precision", s.precision);
    at_json_put_number(&j, "recall", s.recall);
    at_json_put_number(&j, "f1", s.f1);
    at_json_put_number(&j, "weighted_f1", s.weighted_f1);
    at_json_put_number(&j, "temperature", r->temperature);
    calibration(&j, &s);
    class_names(&j, r);
    confusion(&j, &s);
    per_class(&j, r, &s);
    at_router_score_free(&s);
    status = per_length(&a->ctx, r, d, split, o, &j);
    if (!status) return (at_status)at_emit(a, emit, user, &j);
    at_json_close(&j);
    return status;
}

artel_status artel_router_eval(artel *a, const char *router, const char *data_dir,
                               const char *split, const artel_router_lengths *o, artel_emit emit,
                               void *user) {
    static const artel_router_lengths usual = {0};
    int which = 0;
    while (which < AT_SPLITS && strcmp(at_split_name[which], split) != 0) which++;
    if (which == AT_SPLITS)
        return (artel_status)at_error(&a->ctx, AT_ARG,
                                      "split \"%.40s\": expected train, validation or test", split);
    at_router *r = NULL;
    at_dataset *d = NULL;
    at_status s = at_router_load(&a->ctx, router, &r);
    if (!s) s = at_dataset_open_checked(&a->ctx, data_dir, &d);
    if (!s) s = measure(a, r, d, (at_split)which, o ? o : &usual, emit, user);
    at_dataset_close(d);
    at_router_close(r);
    return at_answer(a, s);
}

/* ---- training ---- */

static at_status options(at_ctx *c, const artel_router_options *given, at_router_options *o) {
    *o = at_router_defaults();
    if (!given) return AT_OK;
    if (given->c != 0) o->c = given->c;
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

static at_status tell(artel *a, const at_router *r, const char *dir, double seconds,
                      artel_emit emit, void *user) {
    int64_t features = 0;
    for (int64_t t = 0; t < r->vocab; t++) features += r->idf[t] > 0;
    at_json j;
    at_json_open(&j, &a->ctx);
    at_json_put_string(&j, "router", dir);
    class_names(&j, r);
    at_json_put_number(&j, "sequences", (double)r->sequences);
    at_json_put_number(&j, "features", (double)features);
    at_json_put_number(&j, "temperature", r->temperature);
    at_json_put_number(&j, "seconds", seconds);
    return (at_status)at_emit(a, emit, user, &j);
}

artel_status artel_router_train(artel *a, const char *data_dir, const char *out_dir,
                                const artel_router_options *given, artel_emit emit, void *user) {
    at_ctx *c = &a->ctx;
    const double begin = at_now();
    at_router_options o;
    at_dataset *d = NULL;
    at_tokenizer *t = NULL;
    at_router *r = NULL;
    char *out = at_path_trim(c, out_dir);
    at_status s = out ? at_check_out_dir(c, out) : c->status;
    if (!s) s = replaceable(c, out);
    if (!s) s = options(c, given, &o);
    if (!s) s = at_dataset_open_checked(c, data_dir, &d);
    if (!s) s = tokenizer_of(c, d, &t);
    const int32_t end = t ? at_tokenizer_eot(t) : -1;
    if (!s) s = at_router_train(c, d, &end, end >= 0, &o, &r);
    if (!s) s = at_router_calibrate(c, r, d, AT_VALIDATION);
    if (!s) s = save(c, r, t, out);
    if (!s) s = tell(a, r, out_dir, at_now() - begin, emit, user);
    const artel_router_lengths usual = {0};
    if (!s && fills(d, AT_VALIDATION, 1)) s = measure(a, r, d, AT_VALIDATION, &usual, emit, user);
    at_router_close(r);
    at_tokenizer_close(t);
    at_dataset_close(d);
    at_free(out);
    return at_answer(a, s);
}

/* ---- explaining ---- */

/* The folder of a file, or the path itself when it is a folder. */
static char *folder_of(at_ctx *c, const char *path) {
    char *dir = at_strdup(c, path);
    if (!dir || at_is_dir(path)) return dir;
    char *slash = strrchr(dir, '/');
    if (slash)
        slash[slash == dir] = 0;
    else
        dir[0] = 0;
    if (dir[0]) return dir;
    at_free(dir);
    return at_strdup(c, ".");
}

/* The text of a token as valid UTF-8 for JSON; a token may be part of a character. */
static char *printable(at_ctx *c, const at_tokenizer *t, int32_t id) {
    at_text out;
    size_t n = 0;
    const char *s = at_tokenizer_bytes(t, id, &n);
    at_text_init(&out, c, 0);
    if (s) at_text_utf8(&out, s, n);
    return at_text_take(&out);
}

static at_status reasons(at_ctx *c, const at_router *r, const at_tokenizer *t, const at_ids *ids,
                         int best, int64_t top, at_json *j) {
    if (top > ids->n) top = ids->n;
    if (top < 1) top = 0;
    at_router_reason *why = at_malloc(c, (size_t)top * sizeof *why);
    int64_t n = 0;
    at_json_begin_list(j, "reasons");
    at_status s = why ? at_router_explain(c, r, ids->id, ids->n, best, top, why, &n) : AT_OOM;
    for (int64_t i = 0; !s && i < n; i++) {
        char *token = printable(c, t, why[i].id);
        at_json_begin_object(j, NULL);
        at_json_put_string(j, "token", token);
        at_json_put_number(j, "id", why[i].id);
        at_json_put_number(j, "count", (double)why[i].count);
        at_json_put_number(j, "contribution", why[i].contribution);
        at_json_end(j);
        at_free(token);
    }
    at_json_end(j);
    at_free(why);
    return s;
}

static at_status explain(artel *a, const at_router *r, const at_tokenizer *t, const at_ids *ids,
                         int64_t top, artel_emit emit, void *user) {
    double *p = at_malloc(&a->ctx, (size_t)r->n_classes * sizeof *p);
    if (!p) return AT_OOM;
    int best = 0;
    int64_t known = 0;
    at_status s = at_router_predict(&a->ctx, r, ids->id, ids->n, p, &best, &known);
    at_json j;
    at_json_open(&j, &a->ctx);
    if (!s) {
        at_router_temper(r, p);
        at_json_put_string(&j, "class", r->name[best]);
        at_json_begin_object(&j, "probabilities");
        for (int k = 0; k < r->n_classes; k++) at_json_put_number(&j, r->name[k], p[k]);
        at_json_end(&j);
        at_json_put_number(&j, "tokens", (double)ids->n);
        at_json_put_number(&j, "known", (double)known);
        s = reasons(&a->ctx, r, t, ids, best, top, &j);
    }
    at_free(p);
    if (!s) return (at_status)at_emit(a, emit, user, &j);
    at_json_close(&j);
    return s;
}

artel_status artel_router_explain(artel *a, const char *router, const char *tokenizer,
                                  const char *text, size_t bytes, int64_t top, artel_emit emit,
                                  void *user) {
    at_ctx *c = &a->ctx;
    at_router *r = NULL;
    at_tokenizer *t = NULL;
    at_ids ids = {0};
    char *beside = tokenizer ? NULL : folder_of(c, router);
    at_status s = tokenizer || beside ? at_router_load(c, router, &r) : AT_OOM;
    const char *from = tokenizer ? tokenizer : beside;
    if (!s) s = at_tokenizer_load(c, from, &t);
    if (!s) s = at_router_check(c, r, from, at_tokenizer_hash(t));
    if (!s) s = at_tokenizer_encode(c, t, text, bytes, false, &ids);
    if (!s) s = explain(a, r, t, &ids, top, emit, user);
    at_ids_free(&ids);
    at_tokenizer_close(t);
    at_router_close(r);
    at_free(beside);
    return (artel_status)s;
}
