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
    cJSON *j = cJSON_CreateObject();
    cJSON_AddStringToObject(j, "name", "step");
    cJSON_AddStringToObject(j, "arch", b.arch);
    cJSON_AddStringToObject(j, "shape", b.shape);
    cJSON_AddNumberToObject(j, "threads", a->ctx.threads);
    cJSON_AddNumberToObject(j, "parameters", (double)b.parameters);
    cJSON *t = cJSON_AddObjectToObject(j, "seconds");
    cJSON_AddNumberToObject(t, "min", b.min);
    cJSON_AddNumberToObject(t, "median", b.median);
    cJSON_AddNumberToObject(j, "tokens_per_s", b.tokens_per_s);
    cJSON_AddNumberToObject(j, "flops", b.flops);
    cJSON_AddNumberToObject(j, "gflops", b.gflops);
    cJSON_AddNumberToObject(j, "peak_gflops", b.peak_gflops);
    cJSON_AddNumberToObject(j, "percent_of_peak", b.percent_of_peak);
    return at_emit(a, emit, user, j);
}
