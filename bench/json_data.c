/* json_data.c - the speed of reading text. */
#include "api/api.h"
#include "bench/bench.h"
#include "bench/bench_data.h"

typedef struct rows {
    artel *a;
    artel_emit emit;
    void *user;
} rows;

static at_status emit_row(void *user, const at_bench_data *row) {
    const rows *r = user;
    at_json j;
    at_json_open(&j, &r->a->ctx);
    at_json_put_string(&j, "name", "data");
    at_json_put_string(&j, "step", row->step);
    at_json_put_number(&j, "bytes", row->bytes);
    at_json_put_number(&j, "cpu_seconds", row->seconds);
    at_json_put_number(&j, "mbytes_per_s", row->seconds > 0 ? row->bytes / 1e6 / row->seconds : 0);
    return (at_status)at_emit(r->a, r->emit, r->user, &j);
}

artel_status at_json_bench_data(artel *a, const char *path, artel_emit emit, void *user) {
    rows r = {a, emit, user};
    return at_answer(a, at_bench_data_run(&a->ctx, path, emit_row, &r));
}
