/*
 * bench_kernel.c - the shapes are those of one training step of gpt2 with 6 layers, width 384,
 * 2048 tokens and 8192 words, and of its decoding token by token.
 *
 * Products are compared with OpenBLAS on the same number of threads, in turns in this process;
 * the rest with the reference kernels.  Where memory is the limit, bytes read count.
 */
#include "bench/bench_kernel.h"
#include "base/cpu.h"
#include "bench/bench_bf16.h"
#include "bench/bench_group.h"
#include "bench/blas.h"
#include "kernel/peak.h"
#include "op/op.h"
#include <stdio.h>
#include <string.h>

typedef struct peaks {
    double fma, read;
} peaks;

/* The operands of a measurement. */
typedef struct operands {
    at_compute cp, plain; /* plain: reference kernels */
    at_ctx plain_ctx;
    at_real *x[4];
    at_gemm g;
    int64_t n; /* optimiser: parameters */
    int64_t B, T, D;
    int heads;
    bool sticks; /* attention: stick-breaking, not softmax */
    at_arena arena;
    at_status status;
} operands;

enum { PAIR_MS = 250 };

static at_status operands_open(operands *d, at_ctx *c, const int64_t sizes[4]) {
    memset(d, 0, sizeof *d);
    d->plain_ctx = *c;
    d->plain_ctx.cpu = c->cpu & AT_CPU_FMA;
    at_arena_init(&d->arena, c);
    at_status s = at_compute_open(&d->cp, c);
    if (s == AT_OK) s = at_compute_open(&d->plain, &d->plain_ctx);
    if (s != AT_OK) return at_error(c, AT_OOM, "bench: out of memory");
    for (int i = 0; i < 4; i++) {
        if (!sizes[i]) continue;
        d->x[i] = at_malloc(c, (size_t)sizes[i] * sizeof(at_real));
        if (!d->x[i]) return c->status;
        for (int64_t j = 0; j < sizes[i]; j++)
            d->x[i][j] = (at_real)((j * 2654435761 & 0xffff) - 0x8000) / 0x10000;
    }
    return AT_OK;
}

static void operands_close(operands *d) {
    for (int i = 0; i < 4; i++) at_free(d->x[i]);
    at_compute_close(&d->cp);
    at_compute_close(&d->plain);
    at_arena_close(&d->arena);
}

static void keep_status(operands *d, at_status s) {
    if (d->status == AT_OK) d->status = s;
}

/* ---- matrix products ---- */

static const struct {
    const char *name;
    int64_t m, n, k;
    bool ta, tb;
} PRODUCTS[] = {
    {"gemm", 2048, 1152, 384, false, true},  /* queries, keys, values */
    {"gemm", 2048, 1536, 384, false, true},  /* up                    */
    {"gemm", 2048, 384, 1536, false, true},  /* down                  */
    {"gemm", 2048, 1536, 384, false, false}, /* gradient of an input  */
    {"gemm", 1536, 384, 2048, true, false},  /* gradient of a weight  */
    {"gemm", 256, 8192, 384, false, true},   /* output words          */
    {"gemm", 2048, 8192, 384, false, true},
    {"gemm_few", 32, 1536, 384, false, true}, /* a short prompt        */
    {"gemm_few", 1, 1536, 384, false, true},  /* one token             */
    {"gemm_few", 1, 1536, 384, false, false},
    {"gemm_few", 1, 8192, 384, false, true},
};

static void product(void *arg) {
    operands *d = arg;
    keep_status(d, at_gemm_run(&d->cp, &d->g));
}

static void blas(void *arg) { at_blas_gemm(&((operands *)arg)->g); }

static at_status bench_product(at_ctx *c, size_t which, const peaks *p, at_bench_emit emit,
                               void *user) {
    const int64_t m = PRODUCTS[which].m, n = PRODUCTS[which].n, k = PRODUCTS[which].k;
    const bool ta = PRODUCTS[which].ta, tb = PRODUCTS[which].tb;
    char shape[64], name[64];
    operands d;
    at_status s = operands_open(&d, c, (const int64_t[]){m * k, k * n, m * n, 0});
    if (s == AT_OK) {
        d.g = (at_gemm){.ta = ta, .tb = tb, .m = m, .n = n, .k = k};
        d.g.a = d.x[0];
        d.g.lda = ta ? m : k;
        d.g.b = d.x[1];
        d.g.ldb = tb ? k : n;
        d.g.c = d.x[2];
        d.g.ldc = n;
        at_timing own, base;
        const char *baseline = at_blas_name(name, sizeof name);
        at_blas_threads(c->threads);
        at_time_pair(product, baseline ? blas : NULL, &d, PAIR_MS * 1e-3, &own, &base);
        at_blas_threads(1);
        (void)snprintf(shape, sizeof shape, "%lldx%lldx%lld%s%s", (long long)m, (long long)n,
                       (long long)k, ta ? " A transposed" : "", tb ? " B transposed" : "");
        at_bench_row row = {.name = PRODUCTS[which].name, .shape = shape, .threads = c->threads};
        row.time = own;
        row.gflops = 2e-9 * (double)m * (double)n * (double)k / own.min;
        row.peak = 100 * row.gflops / p->fma;
        row.limit = "fma";
        row.baseline = baseline;
        row.ratio = base.min / own.min;
        s = d.status == AT_OK ? emit(user, &row) : d.status;
    }
    operands_close(&d);
    return s;
}

/* ---- attention ---- */

static at_tensor whole(at_real *data, at_real *grad, int64_t rows, int64_t cols) {
    return (at_tensor){.data = data,
                       .grad = grad,
                       .dim = {rows, cols},
                       .rank = 2,
                       .need_grad = grad != NULL,
                       .keep_grad = true};
}

/* Softmax attention with q, k, v side by side; or stick-breaking with two queries a token and keys
   as values. */
static void attend(operands *d, at_compute *cp, bool back) {
    const at_mark mark = at_arena_mark(&d->arena);
    at_run r;
    at_run_init(&r, cp, &d->arena, back, 0);
    const int64_t rows = d->B * d->T, C = d->heads * d->D;
    at_real *dq = back ? d->x[1] : NULL, *dk = back ? d->x[3] : NULL;
    at_tensor q = whole(d->x[0], dq, d->sticks ? 2 * rows : rows, d->sticks ? C : 3 * C);
    at_tensor k = whole(d->x[2], dk, rows, C);
    at_tensor *y = d->sticks ? at_stickbreak(&r, &q, &k, &k, d->B, d->T, 2, d->heads)
                             : at_attention(&r, &q, d->B, d->T, d->heads);
    if (y && back) {
        y->grad = d->x[d->sticks ? 0 : 2]; /* the values do not matter */
        y->keep_grad = true;
        keep_status(d, at_backward_from(&r, y));
    }
    keep_status(d, at_run_status(&r));
    at_arena_rewind(&d->arena, mark);
}
static void attend_forward(void *arg) { attend(arg, &((operands *)arg)->cp, false); }
static void attend_forward_plain(void *arg) { attend(arg, &((operands *)arg)->plain, false); }
static void attend_both(void *arg) { attend(arg, &((operands *)arg)->cp, true); }
static void attend_both_plain(void *arg) { attend(arg, &((operands *)arg)->plain, true); }

/* scores: number of pairs of query and key that are not masked. */
static at_status time_attention(at_ctx *c, operands *d, bool back, double scores, bool compare,
                                at_bench_row *row, const peaks *p, at_bench_emit emit, void *user) {
    at_timing base;
    at_time_pair(back ? attend_both : attend_forward,
                 !compare ? NULL
                 : back   ? attend_both_plain
                          : attend_forward_plain,
                 d, PAIR_MS * 1e-3, &row->time, &base);
    row->threads = c->threads;
    /* 2 products forward, 5 backward */
    row->gflops = (back ? 7 : 2) * 2e-9 * scores * (double)(d->heads * d->D) / row->time.min;
    row->peak = 100 * row->gflops / p->fma;
    row->limit = "fma";
    row->baseline = compare ? "reference kernels" : NULL;
    row->ratio = base.min / row->time.min;
    return d->status == AT_OK ? emit(user, row) : d->status;
}

static at_status bench_attention(at_ctx *c, bool back, const peaks *p, at_bench_emit emit,
                                 void *user) {
    const int64_t B = 8, T = 256, H = 6, D = 64, values = B * T * H * D;
    at_bench_row row = {.name = back ? "attention_forward_backward" : "attention_forward",
                        .shape = "8x256, 6 heads of 64"};
    operands d;
    at_status s = operands_open(&d, c, (const int64_t[]){3 * values, 3 * values, values, 0});
    if (s == AT_OK) {
        d.B = B;
        d.T = T;
        d.D = D;
        d.heads = (int)H;
        s = time_attention(c, &d, back, (double)(B * (T * (T + 1) / 2)), true, &row, p, emit, user);
    }
    operands_close(&d);
    return s;
}

/* Scores so low that no stick is used up and no key skipped.  For long sequences there is no
   comparison with the reference kernels, which would take minutes. */
static at_status bench_sticks(at_ctx *c, int64_t B, int64_t T, const char *shape, bool back,
                              const peaks *p, at_bench_emit emit, void *user) {
    const int64_t D = 256, values = B * T * D;
    at_bench_row row = {.name = back ? "stickbreak_forward_backward" : "stickbreak_forward",
                        .shape = shape};
    operands d;
    at_status s = operands_open(&d, c, (const int64_t[]){2 * values, 2 * values, values, values});
    if (s == AT_OK) {
        d.B = B;
        d.T = T;
        d.D = D;
        d.heads = 1;
        d.sticks = true;
        for (int64_t i = 0; i < 2 * values; i++) d.x[0][i] += (at_real)0.6;
        for (int64_t i = 0; i < values; i++) d.x[2][i] -= (at_real)0.6;
        s = time_attention(c, &d, back, (double)(2 * B * (T * (T + 1) / 2)), T <= 512, &row, p,
                           emit, user);
    }
    operands_close(&d);
    return s;
}

/* ---- optimiser: limited by memory ---- */

enum { OPT_BYTES = 4 * sizeof(at_real) }; /* p, g, m, v read; three are also written */

static void optimise(operands *d, const at_kernels *k) {
    const at_adamw h = {.lr = (at_real)1e-3,
                        .b1 = (at_real)0.9,
                        .b2 = (at_real)0.99,
                        .eps = (at_real)1e-8,
                        .clip = 1,
                        .c1 = 1,
                        .c2 = 1};
    k->adamw(d->n, d->x[0], d->x[1], d->x[2], d->x[3], &h);
}
static void optimise_own(void *arg) { optimise(arg, &((operands *)arg)->cp.k); }
static void optimise_plain(void *arg) { optimise(arg, &((operands *)arg)->plain.k); }

static at_status bench_optimiser(at_ctx *c, const peaks *p, at_bench_emit emit, void *user) {
    const int64_t n = 13 << 20;
    operands d;
    at_status s = operands_open(&d, c, (const int64_t[]){n, n, n, n});
    if (s == AT_OK) {
        d.n = n;
        for (int64_t i = 0; i < n; i++) d.x[3][i] = d.x[3][i] * d.x[3][i];
        at_timing own, base;
        at_time_pair(optimise_own, optimise_plain, &d, PAIR_MS * 1e-3, &own, &base);
        at_bench_row row = {.name = "adamw", .shape = "13631488", .threads = 1, .time = own};
        row.gflops = 15e-9 * (double)n / own.min;
        row.gbytes = 1e-9 * OPT_BYTES * (double)n / own.min;
        row.peak = 100 * row.gbytes / p->read;
        row.limit = "read";
        row.baseline = "reference kernels";
        row.ratio = base.min / own.min;
        s = emit(user, &row);
    }
    operands_close(&d);
    return s;
}

/* ---- all ---- */

static at_status limits(at_ctx *c, peaks *p, at_bench_emit emit, void *user) {
    p->fma = at_fma_peak(c, c->threads);
    p->read = at_read_peak(c, c->threads);
    const at_bench_row fma = {.name = "fma_peak",
                              .shape = "registers",
                              .threads = c->threads,
                              .gflops = p->fma,
                              .peak = 100,
                              .limit = "fma"};
    const at_bench_row read = {.name = "read_peak",
                               .shape = "256 MiB",
                               .threads = c->threads,
                               .gbytes = p->read,
                               .peak = 100,
                               .limit = "read"};
    const at_status s = emit(user, &fma);
    return s == AT_OK && p->read > 0 ? emit(user, &read) : s;
}

static at_status on_threads(at_ctx *c, at_bench_emit emit, void *user) {
    peaks p;
    at_status s = limits(c, &p, emit, user);
    for (size_t i = 0; i < sizeof PRODUCTS / sizeof PRODUCTS[0] && s == AT_OK; i++)
        s = at_interrupted(c) ? at_error(c, AT_INTERRUPTED, "bench: interrupted")
                              : bench_product(c, i, &p, emit, user);
    if (s == AT_OK) s = at_bench_group(c, p.fma, emit, user);
    if (s == AT_OK) s = at_bench_bf16(c, p.fma, emit, user);
    if (s == AT_OK) s = bench_attention(c, false, &p, emit, user);
    if (s == AT_OK) s = bench_attention(c, true, &p, emit, user);
    for (int back = 0; back < 2 && s == AT_OK; back++) {
        s = bench_sticks(c, 4, 512, "4x512, 2 queries of 256", back, &p, emit, user);
        if (s == AT_OK)
            s = bench_sticks(c, 1, 4096, "1x4096, 2 queries of 256", back, &p, emit, user);
    }
    if (s == AT_OK && c->threads == 1 && p.read > 0) s = bench_optimiser(c, &p, emit, user);
    return s;
}

at_status at_bench_kernel(at_ctx *c, at_bench_emit emit, void *user) {
    const int threads = c->threads;
    char name[64];
    const char *better = at_blas_better_coretype(c->cpu);
    if (better && at_blas_name(name, sizeof name))
        at_log(c, AT_LOG_WARN,
               "%s uses kernels of an older processor than this one: with OPENBLAS_CORETYPE=%s it "
               "is a stronger baseline",
               name, better);
    c->threads = 1;
    at_status s = on_threads(c, emit, user);
    c->threads = threads;
    return s == AT_OK && threads > 1 ? on_threads(c, emit, user) : s;
}
