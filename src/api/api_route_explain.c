/* api_route_explain.c - why a text goes where it goes. */
#include "api/api_route.h"
#include "base/file.h"
#include "base/text.h"
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
