/*
 * bench_group.c - the forward product and both gradients of an expert layer.
 *
 * Rows are gathered and scattered by artel; OpenBLAS gets its rows in one piece.
 */
#include "bench/bench_group.h"
#include "bench/blas.h"
#include "kernel/gemm_group.h"
#include <stdio.h>
#include <string.h>

enum { TOKENS = 2048, PAIR_MS = 120 };

typedef enum way { FORWARD, DX, DW } way;

typedef struct layer {
    at_compute cp;
    way way;
    int64_t e, slots, share, in, out;
    int64_t *first, *row;
    at_real *x, *y, *w;     /* [slots / share, in], [slots, out], [e, in, out] */
    at_real *rows, **grads; /* dx, or the gathered rows for OpenBLAS, [slots, in]; gradients of w */
    const at_real **mats;
    bool dense; /* the baseline is one product of all slots */
    at_status status;
} layer;

static at_real *fill(at_ctx *c, int64_t n) {
    at_real *x = at_malloc(c, (size_t)n * sizeof *x);
    for (int64_t i = 0; x && i < n; i++)
        x[i] = (at_real)((i * 2654435761 & 0xffff) - 0x8000) / 0x10000;
    return x;
}

/* The expert of a slot: with two slots a token two different ones, otherwise in turn. */
static int64_t expert_of(const layer *d, int64_t slot) {
    const uint64_t h = (uint64_t)(slot / d->share + 1) * 0x9e3779b97f4a7c15u;
    const int64_t one = (int64_t)(h >> 40) % d->e, other = (int64_t)(h >> 16 & 0xffffff);
    if (d->share == 1) return slot % d->e;
    return slot % 2 ? (one + 1 + other % (d->e - 1)) % d->e : one;
}

static bool open_layer(layer *d, at_ctx *c) {
    if (at_compute_open(&d->cp, c) != AT_OK) return false;
    d->x = fill(c, d->slots / d->share * d->in);
    d->y = fill(c, d->slots * d->out);
    d->w = fill(c, d->e * d->in * d->out);
    d->rows = fill(c, d->slots * d->in);
    d->first = at_calloc(c, (size_t)d->e + 1, sizeof *d->first);
    d->row = at_malloc(c, (size_t)d->slots * sizeof *d->row);
    d->grads = at_malloc(c, (size_t)d->e * sizeof *d->grads);
    d->mats = at_malloc(c, (size_t)d->e * sizeof *d->mats);
    if (!d->x || !d->y || !d->w || !d->rows || !d->first || !d->row || !d->grads || !d->mats)
        return false;
    int64_t n = 0;
    for (int64_t x = 0; x < d->e; x++) {
        d->grads[x] = d->w + x * d->in * d->out;
        d->mats[x] = d->grads[x];
        for (int64_t s = 0; s < d->slots; s++)
            if (expert_of(d, s) == x) d->row[n++] = s;
        d->first[x + 1] = n;
    }
    return true;
}

static void close_layer(layer *d) {
    at_compute_close(&d->cp);
    at_free(d->x);
    at_free(d->y);
    at_free(d->w);
    at_free(d->rows);
    at_free(d->first);
    at_free(d->row);
    at_free(d->grads);
    at_free((void *)d->mats);
}

static at_status forward(layer *d, const at_groups *of) {
    return at_gemm_group_run(&d->cp, &(at_gemm_group){.of = *of,
                                                      .n = d->out,
                                                      .k = d->in,
                                                      .a = d->x,
                                                      .lda = d->in,
                                                      .b = d->mats,
                                                      .ldb = d->out,
                                                      .c = d->y,
                                                      .ldc = d->out});
}
static at_status gradient_x(layer *d, at_groups of) {
    of.share = 1;
    return at_gemm_group_run(&d->cp, &(at_gemm_group){.of = of,
                                                      .tb = true,
                                                      .n = d->in,
                                                      .k = d->out,
                                                      .a = d->y,
                                                      .lda = d->out,
                                                      .b = d->mats,
                                                      .ldb = d->out,
                                                      .c = d->rows,
                                                      .ldc = d->in});
}
static at_status gradient_w(layer *d, const at_groups *of) {
    return at_gemm_outer_run(&d->cp, &(at_gemm_outer){.of = *of,
                                                      .m = d->in,
                                                      .n = d->out,
                                                      .a = d->x,
                                                      .lda = d->in,
                                                      .b = d->y,
                                                      .ldb = d->out,
                                                      .c = d->grads,
                                                      .ldc = d->out});
}

static void own(void *arg) {
    layer *d = arg;
    const at_groups of = {d->e, d->first, d->row, d->share};
    const at_status s = d->way == FORWARD ? forward(d, &of)
                        : d->way == DX    ? gradient_x(d, of)
                                          : gradient_w(d, &of);
    if (s != AT_OK) d->status = s;
}

/* The baseline: all slots times one matrix, or those of each expert times its own. */
static void blas(void *arg) {
    layer *d = arg;
    const int64_t each = d->dense ? d->slots : d->slots / d->e;
    for (int64_t x = 0; x < d->slots / each; x++) {
        at_real *rows = d->rows + x * each * d->in, *y = d->y + x * each * d->out;
        at_gemm g = {.m = each, .n = d->out, .k = d->in, .a = rows, .lda = d->in, .c = y};
        g.b = d->mats[x];
        g.ldb = g.ldc = d->out;
        if (d->way == DX)
            g = (at_gemm){.tb = true,
                          .m = each,
                          .n = d->in,
                          .k = d->out,
                          .a = y,
                          .lda = d->out,
                          .b = d->mats[x],
                          .ldb = d->out,
                          .c = rows,
                          .ldc = d->in};
        if (d->way == DW)
            g = (at_gemm){.ta = true,
                          .m = d->in,
                          .n = d->out,
                          .k = each,
                          .a = rows,
                          .lda = d->in,
                          .b = y,
                          .ldb = d->out,
                          .c = d->grads[x],
                          .ldc = d->out};
        at_blas_gemm(&g);
    }
}

static at_status measure(at_ctx *c, layer *d, const char *name, double fma, at_bench_emit emit,
                         void *user) {
    if (at_interrupted(c)) return at_error(c, AT_INTERRUPTED, "bench: interrupted");
    at_status s = open_layer(d, c) ? AT_OK : at_error(c, AT_OOM, "bench: out of memory");
    if (s == AT_OK) {
        char shape[64], base_name[64];
        at_bench_row row = {.name = name, .shape = shape, .threads = c->threads, .limit = "fma"};
        row.baseline = at_blas_name(base_name, sizeof base_name);
        at_timing base;
        at_blas_threads(c->threads);
        at_time_pair(own, row.baseline ? blas : NULL, d, PAIR_MS * 1e-3, &row.time, &base);
        at_blas_threads(1);
        if (d->dense)
            (void)snprintf(shape, sizeof shape, "%lld experts, %lldx%lld", (long long)d->e,
                           (long long)d->in, (long long)d->out);
        else
            (void)snprintf(shape, sizeof shape, "%lld experts, %lld rows, %lldx%lld",
                           (long long)d->e, (long long)(d->slots / d->e), (long long)d->in,
                           (long long)d->out);
        row.gflops = 2e-9 * (double)d->slots * (double)d->in * (double)d->out / row.time.min;
        row.peak = 100 * row.gflops / fma;
        row.ratio = base.min / row.time.min;
        s = d->status == AT_OK ? emit(user, &row) : d->status;
    }
    close_layer(d);
    return s;
}

at_status at_bench_group(at_ctx *c, double fma, at_bench_emit emit, void *user) {
    static const char *const names[] = {"experts", "experts_dx", "experts_dw"};
    static const int64_t widths[][2] = {{256, 1024}, {512, 512}, {1024, 1024}};
    static const int64_t experts[] = {8, 16, 64}, rows[] = {8, 16, 32, 64};
    at_status s = AT_OK;
    for (int w = 0; w < 3; w++)
        for (int i = 0; i < 3; i++)
            for (int z = FORWARD; z <= (w == 1 ? DW : FORWARD) && s == AT_OK; z++) {
                layer d = {.e = experts[i], .slots = 2 * TOKENS, .share = 2, .dense = true};
                d.way = (way)z;
                d.in = widths[w][0];
                d.out = widths[w][1];
                s = measure(c, &d, names[z], fma, emit, user);
            }
    for (int w = 1; w < 3; w++)
        for (int i = 0; i < 4 && s == AT_OK; i++) {
            layer d = {.e = 16, .slots = 16 * rows[i], .share = 1};
            d.in = widths[w][0];
            d.out = widths[w][1];
            s = measure(c, &d, "experts_few", fma, emit, user);
        }
    return s;
}
