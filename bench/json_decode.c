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
    at_json j;
    at_json_open(&j, &a->ctx);
    at_json_put_string(&j, "name", "decode");
    at_json_put_string(&j, "arch", b.arch);
    at_json_put_string(&j, "shape", b.shape);
    at_json_put_number(&j, "threads", a->ctx.threads);
    at_json_put_number(&j, "parameters", (double)b.parameters);
    at_json_put_number(&j, "active_parameters", b.active);
    at_json_put_number(&j, "load_seconds", b.load_s);
    at_json_put_number(&j, "prompt_tokens", (double)b.prompt);
    at_json_put_number(&j, "prompt_seconds", b.prompt_s);
    at_json_put_number(&j, "tokens", (double)b.tokens);
    at_json_begin_object(&j, "seconds");
    at_json_put_number(&j, "min", b.time.min);
    at_json_put_number(&j, "median", b.time.median);
    at_json_end(&j);
    at_json_begin_object(&j, "sampling_seconds");
    at_json_put_number(&j, "min", b.sampling.min);
    at_json_put_number(&j, "median", b.sampling.median);
    at_json_end(&j);
    at_json_put_number(&j, "vocab", (double)b.vocab);
    at_json_put_number(&j, "tokens_per_s", b.tokens_per_s);
    at_json_put_number(&j, "bytes_per_token", b.bytes);
    at_json_put_number(&j, "gbytes_per_s", b.gbytes);
    at_json_put_number(&j, "read_peak", b.peak);
    at_json_put_number(&j, "bound_tokens_per_s", b.bound);
    at_json_put_number(&j, "percent_of_bound", b.percent);
    if (b.rss > 0) {
        at_json_begin_object(&j, "resident");
        at_json_put_number(&j, "bytes", b.rss);
        at_json_put_number(&j, "anonymous", b.rss_anon);
        at_json_put_number(&j, "file", b.rss_file);
        at_json_end(&j);
    }
    return at_emit(a, emit, user, &j);
}
