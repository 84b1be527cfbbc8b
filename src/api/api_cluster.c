/* api_cluster.c - domains discovered in text: strings to options, clusters.json to rows. */
#include "api/api.h"
#include "base/clock.h"
#include "data/cluster.h"
#include <string.h>

void artel_cluster_defaults(artel_cluster *o) {
    const at_build b = at_build_defaults();
    *o = (artel_cluster){.seed = (int64_t)b.seed,
                         .min_chars = b.filter.min_chars,
                         .min_letters = b.filter.min_letters,
                         .text_field = "text"};
}

/* "PATH", "NAME=PATH", each with or without "KIND:"; a sign behind a slash belongs to the path. */
static at_status source_fill(at_ctx *c, const char *text, at_build_source *s) {
    const char *sign = strchr(text, '='), *slash = strchr(text, '/');
    const char *path = text;
    if (sign && sign > text && (!slash || sign < slash)) {
        if (!(s->domain = at_strdup(c, text))) return c->status;
        s->domain[sign - text] = 0;
        path = sign + 1;
    }
    const char *colon = strchr(path, ':');
    if (colon && at_source_kind_parse(path, (size_t)(colon - path), &s->kind)) path = colon + 1;
    return (s->path = at_strdup(c, path)) ? AT_OK : c->status;
}

static artel_status emit_result(artel *a, const artel_cluster *o, const cJSON *r, double seconds,
                                artel_emit emit, void *user) {
    const cJSON *one;
    int n = 0;
    cJSON_ArrayForEach(one, cJSON_GetObjectItemCaseSensitive(r, "clusters")) {
        at_json j;
        at_json_open(&j, &a->ctx);
        at_json_put_number(&j, "cluster", n++);
        at_json_put_members(&j, one, "");
        const artel_status s = at_emit(a, emit, user, &j);
        if (s) return s;
    }
    at_json j;
    at_json_open(&j, &a->ctx);
    at_json_put_string(&j, "out", o->out);
    at_json_put_members(&j, r, "clusters");
    at_json_put_number(&j, "seconds", seconds);
    return at_emit(a, emit, user, &j);
}

artel_status artel_data_cluster(artel *a, const artel_cluster *o, artel_emit emit, void *user) {
    at_ctx *c = &a->ctx;
    const double began = at_now();
    cJSON *result = NULL;
    at_build_source *source = at_calloc(c, (size_t)o->n_source, sizeof *source);
    at_status s = source ? AT_OK : c->status;
    for (int i = 0; !s && i < o->n_source; i++) s = source_fill(c, o->source[i], &source[i]);
    if (!s && (o->k < 2 || o->k > AT_CLUSTERS_MAX || o->seed < 0 || o->min_chars < 0))
        s = at_error(c, AT_ARG, "k: expected 2 to %d clusters, found %lld", AT_CLUSTERS_MAX,
                     (long long)o->k);
    at_cluster x = {.source = source,
                    .n_sources = o->n_source,
                    .k = s ? 0 : (int)o->k,
                    .out = o->out,
                    .filter = {o->min_chars, o->min_letters},
                    .reading = at_build_defaults().reading,
                    .seed = (uint64_t)o->seed};
    x.reading.text_field = o->text_field;
    if (!s) s = at_cluster_run(c, &x, &result);
    for (int i = 0; source && i < o->n_source; i++) {
        at_free(source[i].domain);
        at_free(source[i].path);
    }
    at_free(source);
    if (s) return at_answer(a, s);
    const artel_status out = emit_result(a, o, result, at_now() - began, emit, user);
    cJSON_Delete(result);
    return out;
}
