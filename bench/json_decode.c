/* json_decode.c - the speed of continuing a text. */
#include "api/api_recipe.h"
#include "base/file.h"
#include "bench/bench.h"
#include "bench/bench_decode.h"

artel_status at_json_bench_decode(artel *a, const artel_recipe *r, int64_t tokens, artel_emit emit,
                                  void *user) {
    at_conf *f = NULL;
    at_bench_decode b;
    const bool folder = r->path && at_is_dir(r->path);
    at_status s = AT_OK;
    if (folder && r->n_set)
        s = at_error(&a->ctx, AT_ARG, "%s is a model: its sizes cannot be set", r->path);
    else if (!folder)
        s = at_recipe_open(a, r, &f);
    if (s == AT_OK) s = at_bench_decode_run(&a->ctx, folder ? r->path : NULL, f, tokens, &b);
    at_conf_close(f);
    if (s != AT_OK) return (artel_status)s;
    cJSON *j = cJSON_CreateObject();
    cJSON_AddStringToObject(j, "name", "decode");
    cJSON_AddStringToObject(j, "arch", b.arch);
    cJSON_AddStringToObject(j, "shape", b.shape);
    cJSON_AddNumberToObject(j, "threads", a->ctx.threads);
    cJSON_AddNumberToObject(j, "parameters", (double)b.parameters);
    cJSON_AddNumberToObject(j, "active_parameters", (double)b.active);
    cJSON_AddNumberToObject(j, "load_seconds", b.load_s);
    cJSON_AddNumberToObject(j, "prompt_tokens", (double)b.prompt);
    cJSON_AddNumberToObject(j, "prompt_seconds", b.prompt_s);
    cJSON_AddNumberToObject(j, "tokens", (double)b.tokens);
    cJSON *t = cJSON_AddObjectToObject(j, "seconds");
    cJSON_AddNumberToObject(t, "min", b.time.min);
    cJSON_AddNumberToObject(t, "median", b.time.median);
    cJSON *d = cJSON_AddObjectToObject(j, "sampling_seconds");
    cJSON_AddNumberToObject(d, "min", b.sampling.min);
    cJSON_AddNumberToObject(d, "median", b.sampling.median);
    cJSON_AddNumberToObject(j, "vocab", (double)b.vocab);
    cJSON_AddNumberToObject(j, "tokens_per_s", b.tokens_per_s);
    cJSON_AddNumberToObject(j, "bytes_per_token", b.bytes);
    cJSON_AddNumberToObject(j, "gbytes_per_s", b.gbytes);
    cJSON_AddNumberToObject(j, "read_peak", b.peak);
    cJSON_AddNumberToObject(j, "bound_tokens_per_s", b.bound);
    cJSON_AddNumberToObject(j, "percent_of_bound", b.percent);
    if (b.rss > 0) {
        cJSON *m = cJSON_AddObjectToObject(j, "resident");
        cJSON_AddNumberToObject(m, "bytes", b.rss);
        cJSON_AddNumberToObject(m, "anonymous", b.rss_anon);
        cJSON_AddNumberToObject(m, "file", b.rss_file);
    }
    return at_emit(a, emit, user, j);
}
