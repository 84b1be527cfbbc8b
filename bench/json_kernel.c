/* json_kernel.c - measurements as JSON objects. */
#include "api/api.h"
#include "bench/bench.h"
#include "bench/bench_kernel.h"
#include "bench/blas.h"

const char *at_bench_baseline(char *text, size_t bytes) {
    const char *name = at_blas_name(text, bytes);
    return name ? name : "none";
}

typedef struct sink {
    artel *a;
    artel_emit emit;
    void *user;
} sink;

static void add_seconds(cJSON *o, const at_timing *t) {
    cJSON *s = cJSON_AddObjectToObject(o, "seconds");
    cJSON_AddNumberToObject(s, "min", t->min);
    cJSON_AddNumberToObject(s, "median", t->median);
}

static at_status emit_row(void *user, const at_bench_row *r) {
    const sink *k = user;
    cJSON *o = cJSON_CreateObject();
    cJSON_AddStringToObject(o, "name", r->name);
    cJSON_AddStringToObject(o, "shape", r->shape);
    cJSON_AddNumberToObject(o, "threads", r->threads);
    if (r->time.min > 0) add_seconds(o, &r->time);
    if (r->gflops > 0) cJSON_AddNumberToObject(o, "gflops", r->gflops);
    if (r->gbytes > 0) cJSON_AddNumberToObject(o, "gbytes_per_s", r->gbytes);
    cJSON_AddNumberToObject(o, "percent_of_peak", r->peak);
    cJSON_AddStringToObject(o, "limit", r->limit);
    if (r->baseline) {
        cJSON_AddStringToObject(o, "baseline", r->baseline);
        cJSON_AddNumberToObject(o, "ratio", r->ratio);
    }
    return (at_status)at_emit(k->a, k->emit, k->user, o);
}

artel_status at_json_bench_kernel(artel *a, artel_emit emit, void *user) {
    return (artel_status)at_bench_kernel(&a->ctx, emit_row, &(sink){a, emit, user});
}
