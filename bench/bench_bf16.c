/*
 * bench_bf16.c - products with matrices in BF16.  There are many matrices, far more than fit the
 * caches, and calls use them in random order, as decoding uses experts, so that the time is that of
 * reading B from memory.
 */
#include "bench/bench_bf16.h"
#include "kernel/gemm_group.h"
#include "kernel/peak.h"
#include <stdio.h>
#include <string.h>

enum { VALUES = 128 << 20, CALLS = 24, PAIR_MS = 150, FEW_E = 16, FEW_ROWS = 256 };

typedef struct operands {
    at_compute cp;
    bool tb;
    int64_t e, rows, in, out; /* matrices; rows of each that is used */
    int64_t used;             /* matrices that a call uses            */
    uint16_t *w16;            /* [e, in out]                          */
    at_real *w, *x, *y;       /* w: the same in float, or NULL        */
    const uint16_t **mats16;
    const at_real **mats;
    int64_t *first, *row;
    uint64_t random;
    at_status status;
} operands;

static bool operands_open(operands *d, at_ctx *c, bool also_float) {
    if (at_compute_open(&d->cp, c) != AT_OK) return false;
    const int64_t size = d->in * d->out, slots = d->used * d->rows;
    d->w16 = at_malloc(c, (size_t)(d->e * size) * sizeof *d->w16);
    d->x = at_calloc(c, (size_t)(slots * d->in), sizeof *d->x);
    d->y = at_calloc(c, (size_t)(slots * d->out), sizeof *d->y);
    d->mats16 = at_malloc(c, (size_t)d->e * sizeof *d->mats16);
    d->mats = at_malloc(c, (size_t)d->e * sizeof *d->mats);
    d->first = at_calloc(c, (size_t)d->e + 1, sizeof *d->first);
    d->row = at_malloc(c, (size_t)slots * sizeof *d->row);
    if (also_float) d->w = at_malloc(c, (size_t)(d->e * size) * sizeof *d->w);
    if (!d->w16 || !d->x || !d->y || !d->mats16 || !d->mats || !d->first || !d->row) return false;
    if (also_float && !d->w) return false;
    for (int64_t i = 0; i < d->e * size; i++)
        d->w16[i] = (uint16_t)(0x3c00 | (i & 0xff) | (i & 1) << 15); /* about +-0.01 */
    if (d->w) d->cp.k.widen(d->e * size, d->w16, d->w);
    for (int64_t i = 0; i < slots * d->in; i++) d->x[i] = (at_real)(i % 7 - 3);
    for (int64_t i = 0; i < slots; i++) d->row[i] = i;
    for (int64_t i = 0; i < d->e; i++) {
        d->mats16[i] = d->w16 + i * size;
        d->mats[i] = d->w ? d->w + i * size : NULL;
    }
    return true;
}

static void operands_close(operands *d) {
    at_compute_close(&d->cp);
    at_free(d->w16);
    at_free(d->w);
    at_free(d->x);
    at_free(d->y);
    at_free((void *)d->mats16);
    at_free((void *)d->mats);
    at_free(d->first);
    at_free(d->row);
}

/* Gives rows to two random matrices, or to all of them where all are used. */
static void choose(operands *d) {
    d->random = d->random * 6364136223846793005u + 1442695040888963407u;
    const int64_t one = (int64_t)(d->random >> 33) % d->e;
    const int64_t other = (one + d->e / 2) % d->e;
    for (int64_t x = 0; x < d->e; x++)
        d->first[x + 1] = d->first[x] + (d->used == d->e || x == one || x == other ? d->rows : 0);
}

static void group(operands *d, bool in_16) {
    choose(d);
    const at_status s =
        at_gemm_group_run(&d->cp, &(at_gemm_group){.of = {d->e, d->first, d->row, 1},
                                                   .tb = d->tb,
                                                   .n = d->out,
                                                   .k = d->in,
                                                   .a = d->x,
                                                   .lda = d->in,
                                                   .b = in_16 ? NULL : d->mats,
                                                   .b16 = in_16 ? d->mats16 : NULL,
                                                   .ldb = d->tb ? d->in : d->out,
                                                   .c = d->y,
                                                   .ldc = d->out});
    if (s != AT_OK) d->status = s;
}
static void group16(void *arg) { group(arg, true); }
static void group32(void *arg) { group(arg, false); }
static void decode(void *arg) {
    for (int i = 0; i < CALLS; i++) group(arg, true);
}

static void head(void *arg) {
    operands *d = arg;
    const at_status s = at_gemm_run(&d->cp, &(at_gemm){.tb = d->tb,
                                                       .m = 1,
                                                       .n = d->out,
                                                       .k = d->in,
                                                       .a = d->x,
                                                       .lda = d->in,
                                                       .b16 = d->w16,
                                                       .ldb = d->tb ? d->in : d->out,
                                                       .c = d->y,
                                                       .ldc = d->out});
    if (s != AT_OK) d->status = s;
}

enum { HEAD, DECODE, MANY };

static at_status measure(at_ctx *c, operands *d, int kind, double limit, at_bench_emit emit,
                         void *user) {
    static const char *const names[] = {"gemv_bf16", "decode_bf16", "experts_bf16"};
    if (at_interrupted(c)) return at_error(c, AT_INTERRUPTED, "bench: interrupted");
    at_status s =
        operands_open(d, c, kind == MANY) ? AT_OK : at_error(c, AT_OOM, "bench: out of memory");
    if (s == AT_OK) {
        char shape[80];
        at_bench_row row = {.name = names[kind], .shape = shape, .threads = c->threads};
        at_timing base;
        /* the speed of memory varies with what else uses it, so it is measured before and after */
        if (kind != MANY) limit = at_read_peak(c, c->threads);
        at_time_pair(kind == HEAD     ? head
                     : kind == DECODE ? decode
                                      : group16,
                     kind == MANY ? group32 : NULL, d, PAIR_MS * 1e-3, &row.time, &base);
        const char *transposed = d->tb ? " B transposed" : "";
        const long long in = d->in, out = d->out, e = d->e, rows = d->rows;
        const double values = (double)(d->in * d->out);
        if (kind == HEAD)
            (void)snprintf(shape, sizeof shape, "1x%lldx%lld%s", out, in, transposed);
        else if (kind == DECODE)
            (void)snprintf(shape, sizeof shape, "2 of %lld experts, 1 row, %lldx%lld%s", e, in, out,
                           transposed);
        else
            (void)snprintf(shape, sizeof shape, "%lld experts, %lld rows, %lldx%lld%s", e, rows, in,
                           out, transposed);
        if (kind == MANY) {
            row.limit = "fma";
            row.gflops = 2e-9 * (double)(d->used * d->rows) * values / row.time.min;
            row.peak = 100 * row.gflops / limit;
            row.baseline = "float";
            row.ratio = base.min / row.time.min;
        } else {
            const double after = at_read_peak(c, c->threads);
            if (after > limit) limit = after;
            row.limit = "read";
            row.gbytes = 1e-9 * 2 * values * (kind == HEAD ? 1 : 2 * CALLS) / row.time.min;
            row.gflops = row.gbytes; /* two operations for two bytes */
            row.peak = limit > 0 ? 100 * row.gbytes / limit : 0;
        }
        s = d->status == AT_OK ? emit(user, &row) : d->status;
    }
    operands_close(d);
    return s;
}

at_status at_bench_bf16(at_ctx *c, double fma, at_bench_emit emit, void *user) {
    static const int64_t sizes[][2] = {{1024, 1024}, {1024, 2048}, {2048, 1024}};
    at_status s = AT_OK;
    for (int tb = 1; tb >= 0 && s == AT_OK; tb--) {
        operands d = {.tb = tb, .e = 1, .used = 1, .rows = 1, .in = 1024, .out = 50304};
        s = measure(c, &d, HEAD, 0, emit, user);
    }
    for (int i = 0; i < 6 && s == AT_OK; i++) {
        operands d = {.tb = i % 2, .used = 2, .rows = 1};
        d.in = sizes[i / 2][0];
        d.out = sizes[i / 2][1];
        d.e = VALUES / (d.in * d.out);
        s = measure(c, &d, DECODE, 0, emit, user);
    }
    for (int i = 0; i < 4 && s == AT_OK; i++) {
        operands d = {.tb = i % 2, .e = FEW_E, .used = FEW_E, .rows = FEW_ROWS};
        d.in = sizes[i / 2][0];
        d.out = sizes[i / 2][1];
        s = measure(c, &d, MANY, fma, emit, user);
    }
    return s;
}
