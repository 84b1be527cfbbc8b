/* bench_data.c - see bench_data.h. */
#include "bench/bench_data.h"
#include "data/build.h"
#include "data/overlap.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef struct bench {
    at_build b;
    at_source source;
    at_stage stage;
    at_dedup seen;
    double spent, all_bytes, all_seconds;
    at_bench_data_emit emit;
    void *user;
} bench;

static double processor(void) { return (double)clock() / CLOCKS_PER_SEC; }

static void begin(bench *x) { x->spent = processor(); }

static at_status end(bench *x, const char *step, double bytes, bool always) {
    const at_bench_data row = {step, bytes, processor() - x->spent};
    if (always) {
        x->all_bytes = bytes;
        x->all_seconds += row.seconds;
    }
    return x->emit(x->user, &row);
}

static at_status stage_document(at_ctx *c, void *user, const at_document *d) {
    bench *x = user;
    return at_stage_add(c, &x->stage, d, &x->b.filter, &x->seen);
}

static at_status read_all(at_ctx *c, bench *x) {
    at_status s = AT_OK;
    for (int64_t i = 0; !s && i < x->source.files.n; i++) {
        s = at_source_file(c, &x->source, i, &x->b.reading, stage_document, x, &x->stage.left);
        if (!s && at_interrupted(c)) s = at_error(c, AT_INTERRUPTED, "bench data: interrupted");
    }
    if (!s && x->stage.n == 0)
        s = at_error(c, AT_FORMAT, "%s: no text to measure with", x->source.path);
    return s;
}

static at_status steps(at_ctx *c, bench *x, const char *dir) {
    const double bytes = (double)x->source.bytes;
    begin(x);
    at_status s = at_source_digest(c, &x->source, x->source.sha256);
    if (!s) s = end(x, "digest", bytes, true);
    begin(x);
    if (!s) s = read_all(c, x);
    if (!s) s = end(x, "read", bytes, true);
    if (!s) {
        const at_bench_data all = {"all", x->all_bytes, x->all_seconds};
        s = x->emit(x->user, &all);
    }
    at_dedup_free(&x->seen);
    if (!s) s = at_balance_split(c, &x->stage, 1, &x->b.balance, x->b.seed);
    at_near near;
    if (!s) s = at_near_init(c, 0.8, &near);
    const double staged = (double)x->stage.text_bytes;
    begin(x);
    if (!s) s = at_near_drop(c, &x->stage, 1, dir, &near);
    if (!s) s = end(x, "near", staged, false);
    for (int64_t i = 0; i < x->stage.n; i++) x->stage.doc[i].take = INT64_MAX;
    double share[1][AT_SPLITS];
    const double left = (double)x->stage.text_bytes;
    begin(x);
    if (!s) s = at_overlap(c, &x->stage, 1, share);
    return s ? s : end(x, "overlap", left, false);
}

at_status at_bench_data_run(at_ctx *c, const char *path, at_bench_data_emit emit, void *user) {
    bench x = {.b = at_build_defaults(), .emit = emit, .user = user};
    const char *temporary = getenv("TMPDIR");
    char *dir = at_join(c, temporary && *temporary ? temporary : "/tmp", "artel-bench-XXXXXX");
    if (!dir) return c->status;
    at_status s = AT_OK;
    if (!mkdtemp(dir)) s = at_error(c, AT_IO, "%s: cannot make a temporary folder", dir);
    const bool made = !s;
    if (!s) s = at_source_open(c, path, "text", AT_KIND_AUTO, &x.source);
    if (!s) s = at_stage_open(c, &x.stage, dir, "text");
    if (!s) s = steps(c, &x, dir);
    at_stage_close(&x.stage);
    at_source_close(&x.source);
    at_dedup_free(&x.seen);
    if (made) {
        const at_status removed = at_remove_tree(c, dir);
        if (!s) s = removed;
    }
    at_free(dir);
    return s;
}
