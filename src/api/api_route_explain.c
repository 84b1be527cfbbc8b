/* api_route_explain.c - why a text goes where it goes, and which parts of it go where. */
#include "api/api_route.h"
#include "base/file.h"
#include "base/text.h"
#include "route/segment.h"
#include "token/tokenizer.h"
#include <string.h>

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

static at_status reasons(at_ctx *c, const at_router *r, const at_tokenizer *t, const at_ids *ids,
                         int best, int64_t top, at_json *j) {
    if (top > ids->n) top = ids->n;
    if (top < 1) top = 0;
    at_router_reason *why = at_malloc(c, (size_t)top * sizeof *why);
    int64_t n = 0;
    at_json_begin_list(j, "reasons");
    at_status s = why ? at_router_explain(c, r, ids->id, ids->n, best, top, why, &n) : AT_OOM;
    for (int64_t i = 0; !s && i < n; i++) {
        char *token = at_route_words(c, t, ids, &why[i]);
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
                         const artel_router_text *o, artel_emit emit, void *user) {
    double *p = at_malloc(&a->ctx, (size_t)r->n_classes * sizeof *p);
    if (!p) return AT_OOM;
    int best = 0;
    int64_t known = 0;
    at_status s = at_router_predict(&a->ctx, r, ids->id, ids->n, p, &best, &known);
    at_json j;
    at_json_open(&j, &a->ctx);
    if (!s) {
        at_router_temper(r, p);
        at_route_answer(&j, r, best, p[best], o->abstain);
        at_json_begin_object(&j, "probabilities");
        for (int k = 0; k < r->n_classes; k++) at_json_put_number(&j, r->name[k], p[k]);
        at_json_end(&j);
        at_json_put_number(&j, "tokens", (double)ids->n);
        at_json_put_number(&j, "known", (double)known);
        s = reasons(&a->ctx, r, t, ids, best, o->top, &j);
    }
    at_free(p);
    if (!s) return (at_status)at_emit(a, emit, user, &j);
    at_json_close(&j);
    return s;
}

/* ---- parts of a text ---- */

/* Byte i of the text is where token i begins; AT_UNSUPPORTED unless the tokens are the text. */
static at_status places(at_ctx *c, const at_tokenizer *t, const at_ids *ids, const char *text,
                        size_t bytes, size_t *place) {
    size_t at = 0;
    bool same = true;
    for (int64_t i = 0; same && i < ids->n; i++) {
        size_t n = 0;
        const char *s = at_tokenizer_bytes(t, ids->id[i], &n);
        place[i] = at;
        same = s && n <= bytes - at && (!n || !memcmp(s, text + at, n));
        at += n;
    }
    place[ids->n] = at;
    if (same && at == bytes) return AT_OK;
    return at_error(c, AT_UNSUPPORTED,
                    "the tokenizer changes the text before it cuts it, so that the places of its "
                    "tokens in the text are not known");
}

static at_status put_part(artel *a, const at_router *r, const char *text, const size_t place[2],
                          const int32_t *id, int64_t n, int which, const artel_router_text *o,
                          double *p, artel_emit emit, void *user) {
    int best;
    at_text part;
    at_status s = at_router_predict(&a->ctx, r, id, n, p, &best, NULL);
    if (s) return s;
    at_router_temper(r, p);
    at_text_init(&part, &a->ctx, 0);
    at_text_utf8(&part, text + place[0], place[1] - place[0]);
    char *shown = at_text_take(&part);
    at_json j;
    at_json_open(&j, &a->ctx);
    at_route_answer(&j, r, which, p[which], o->abstain);
    at_json_put_number(&j, "begin", (double)place[0]);
    at_json_put_number(&j, "end", (double)place[1]);
    at_json_put_number(&j, "tokens", (double)n);
    at_json_put_number(&j, "probability", p[which]);
    at_json_put_string(&j, "text", shown);
    at_free(shown);
    return (at_status)at_emit(a, emit, user, &j);
}

static at_status segment(artel *a, const at_router *r, const at_tokenizer *t, const at_ids *ids,
                         const char *text, size_t bytes, const artel_router_text *o,
                         artel_emit emit, void *user) {
    at_ctx *c = &a->ctx;
    at_segment_options how = at_segment_defaults();
    if (o->window) how.window = o->window;
    if (o->penalty != 0) how.penalty = o->penalty;
    const size_t n = (size_t)ids->n;
    int32_t *class_of = at_malloc(c, n * sizeof *class_of);
    size_t *place = at_malloc(c, (n + 1) * sizeof *place);
    double *p = at_malloc(c, (size_t)r->n_classes * sizeof *p);
    at_status s = class_of && place && p ? AT_OK : AT_OOM;
    if (!s) s = places(c, t, ids, text, bytes, place);
    if (!s) s = at_router_segment(c, r, ids->id, ids->n, &how, class_of);
    for (int64_t i = 0, end; !s && i < ids->n; i = end) {
        for (end = i; end < ids->n && class_of[end] == class_of[i];) end++;
        const size_t from_to[] = {place[i], place[end]};
        s = put_part(a, r, text, from_to, ids->id + i, end - i, class_of[i], o, p, emit, user);
    }
    at_free(p);
    at_free(place);
    at_free(class_of);
    return s;
}

/* ---- what both begin with ---- */

typedef struct reading {
    at_router *r;
    at_tokenizer *t;
    at_ids ids;
} reading;

static at_status read_text(at_ctx *c, const char *router, const char *tokenizer, const char *text,
                           size_t bytes, reading *x) {
    char *beside = tokenizer ? NULL : folder_of(c, router);
    at_status s = tokenizer || beside ? at_router_load(c, router, &x->r) : AT_OOM;
    const char *from = tokenizer ? tokenizer : beside;
    if (!s) s = at_tokenizer_load(c, from, &x->t);
    if (!s) s = at_router_check(c, x->r, from, at_tokenizer_hash(x->t));
    if (!s) s = at_tokenizer_encode(c, x->t, text, bytes, false, &x->ids);
    at_free(beside);
    return s;
}

static void reading_close(reading *x) {
    at_ids_free(&x->ids);
    at_tokenizer_close(x->t);
    at_router_close(x->r);
}

artel_status artel_router_explain(artel *a, const char *router, const char *text, size_t bytes,
                                  const artel_router_text *given, artel_emit emit, void *user) {
    const artel_router_text usual = {0}, *o = given ? given : &usual;
    reading x = {0};
    at_status s = read_text(&a->ctx, router, o->tokenizer, text, bytes, &x);
    if (!s) s = explain(a, x.r, x.t, &x.ids, o, emit, user);
    reading_close(&x);
    return (artel_status)s;
}

artel_status artel_router_segment(artel *a, const char *router, const char *text, size_t bytes,
                                  const artel_router_text *given, artel_emit emit, void *user) {
    const artel_router_text usual = {0}, *o = given ? given : &usual;
    reading x = {0};
    at_status s = read_text(&a->ctx, router, o->tokenizer, text, bytes, &x);
    if (!s) s = segment(a, x.r, x.t, &x.ids, text, bytes, o, emit, user);
    reading_close(&x);
    return at_answer(a, s);
}
