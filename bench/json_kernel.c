/* json_kernel.c - measurements as JSON objects. */
#include "api/api.h"
#include "bench/bench.h"
#include "bench/bench_kernel.h"
#include "bench/blas.h"
#include <string.h>

artel_status at_json_version(artel *a, artel_emit emit, void *user) {
    char *about = artel_about(a), text[96];
    cJSON *o = about ? at_json_parse(&a->ctx, "about", about, strlen(about)) : NULL;
    const char *blas = at_blas_name(text, sizeof text);
    artel_status s = o ? ARTEL_OK : (artel_status)a->ctx.status;
    at_json j;
    at_json_open(&j, &a->ctx);
    at_json_put_members(&j, o, "blas");
    at_json_put_string(&j, "blas", blas ? blas : "none");
    if (s == ARTEL_OK) s = at_emit(a, emit, user, &j);
    at_json_close(&j);
    cJSON_Delete(o);
    artel_free(about);
    return s;
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
