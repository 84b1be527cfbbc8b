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

static void add_seconds(at_json *j, const at_timing *t) {
    at_json_begin_object(j, "seconds");
    at_json_put_number(j, "min", t->min);
    at_json_put_number(j, "median", t->median);
    at_json_end(j);
}

static at_status emit_row(void *user, const at_bench_row *r) {
    const sink *k = user;
    at_json j;
    at_json_open(&j, &k->a->ctx);
    at_json_put_string(&j, "name", r->name);
    at_json_put_string(&j, "shape", r->shape);
    at_json_put_number(&j, "threads", r->threads);
    if (r->time.min > 0) add_seconds(&j, &r->time);
    if (r->gflops > 0) at_json_put_number(&j, "gflops", r->gflops);
    if (r->gbytes > 0) at_json_put_number(&j, "gbytes_per_s", r->gbytes);
    at_json_put_number(&j, "percent_of_peak", r->peak);
    at_json_put_string(&j, "limit", r->limit);
    if (r->baseline) {
        at_json_put_string(&j, "baseline", r->baseline);
        at_json_put_number(&j, "ratio", r->ratio);
    }
    return (at_status)at_emit(k->a, k->emit, k->user, &j);
}

artel_status at_json_bench_kernel(artel *a, artel_emit emit, void *user) {
    return (artel_status)at_bench_kernel(&a->ctx, emit_row, &(sink){a, emit, user});
}
