/* json_step.c - the speed of training steps. */
#include "api/api_recipe.h"
#include "bench/bench.h"
#include "bench/bench_step.h"

artel_status at_json_bench_step(artel *a, const artel_recipe *r, int64_t steps, artel_emit emit,
                                void *user) {
    at_conf *f = NULL;
    at_bench_step b;
    at_status s = at_recipe_open(a, r, &f);
    if (s == AT_OK) s = at_bench_step_run(&a->ctx, f, steps, &b);
    at_conf_close(f);
    if (s != AT_OK) return (artel_status)s;
    at_json j;
    at_json_open(&j, &a->ctx);
    at_json_put_string(&j, "name", "step");
    at_json_put_string(&j, "arch", b.arch);
    at_json_put_string(&j, "shape", b.shape);
    at_json_put_number(&j, "threads", a->ctx.threads);
    at_json_put_number(&j, "parameters", (double)b.parameters);
    at_json_begin_object(&j, "seconds");
    at_json_put_number(&j, "min", b.min);
    at_json_put_number(&j, "median", b.median);
    at_json_end(&j);
    at_json_put_number(&j, "tokens_per_s", b.tokens_per_s);
    at_json_put_number(&j, "flops", b.flops);
    at_json_put_number(&j, "gflops", b.gflops);
    at_json_put_number(&j, "peak_gflops", b.peak_gflops);
    at_json_put_number(&j, "percent_of_peak", b.percent_of_peak);
    return at_emit(a, emit, user, &j);
}
