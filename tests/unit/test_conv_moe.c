/*
 * test_conv_moe.c - a mixture of convolutional networks is what its formula says, in plain loops: strides,
 * pools, norms, experts that are perceptrons or networks, dense and top-k gates; sizes that do not go.
 */
#include "arch/read.h"
#include "base/rng.h"
#include "check.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { N = 5, H = 7, W = 6, C = 2, OUT = 3, MOST = 4096 };
static at_ctx ctx;
static at_compute cp;
static at_arena arena;
static at_real pixels[N * H * W * C];

static at_status make(const char *more, at_model **out) {
    char yaml[600];
    at_conf *f = NULL;
    (void)snprintf(yaml, sizeof yaml,
                   "model: {arch: conv_moe, image_height: %d, image_width: %d, image_channels: %d, "
                   "num_labels: %d, stem_channels: 3, expert_channels: 4, hidden_size: 5%s}\n",
                   H, W, C, OUT, more);
    OK(at_conf_parse(&ctx, "m", yaml, strlen(yaml), &f));
    const at_status s = at_model_new(&ctx, f, "model", 1, 3, out);
    if (s == AT_OK) OK(at_conf_finish(&ctx, f));
    at_conf_close(f);
    return s;
}

static at_model *model_of(const char *more) {
    at_model *m = NULL;
    OK(make(more, &m));
    for (int64_t i = 0; i < m->store.n; i++) /* biases, too */
        for (int64_t j = 0; j < at_numel(&m->store.p[i]->t); j++)
            m->store.p[i]->t.data[j] += (at_real)(0.3 * at_normal(3, (uint64_t)i, (uint64_t)j));
    return m;
}

static const at_tensor *of(const at_model *m, const char *fmt, int a, int b) {
    char path[64];
    (void)snprintf(path, sizeof path, fmt, a, b);
    const at_param_entry *p = at_store_find(&m->store, path);
    if (!p) fail_msg("no parameter %s", path);
    return &p->t;
}

/* ---- by the formula ---- */

typedef struct {
    int h, w, c;
    double v[MOST];
} image;

typedef struct {
    int kernel, stride, pool, k, stem, own, layers, experts;
    bool mean, norm, gelu, pooled, batch;
    double tau;
} plan;

static double act(const plan *p, double x) {
    return p->gelu ? x / 2 * (1 + erf(x / sqrt(2))) : x > 0 ? x : 0;
}

static void normalise(double *v, int n) {
    double mean = 0, square = 0;
    for (int i = 0; i < n; i++) mean += v[i] / n;
    for (int i = 0; i < n; i++) square += (v[i] - mean) * (v[i] - mean) / n;
    for (int i = 0; i < n; i++) v[i] = (v[i] - mean) / sqrt(square + 1e-5);
}

/* A layer's parameters; its running means and variances, or NULL. */
typedef struct {
    const at_tensor *w, *b, *mean, *var;
} parts;

static void convolve(const plan *p, const image *x, const parts *of, image *y) {
    const at_tensor *w = of->w, *b = of->b;
    const int half = p->kernel / 2, out = (int)at_numel(b);
    *y = (image){.h = (x->h + 2 * half - p->kernel) / p->stride + 1,
                 .w = (x->w + 2 * half - p->kernel) / p->stride + 1,
                 .c = out};
    for (int i = 0; i < y->h; i++)
        for (int j = 0; j < y->w; j++) {
            double *to = y->v + (i * y->w + j) * out;
            for (int o = 0; o < out; o++)
                for (int a = 0; a < p->kernel; a++)
                    for (int d = 0; d < p->kernel; d++)
                        for (int c = 0; c < x->c; c++) {
                            const int row = i * p->stride + a - half, at = j * p->stride + d - half;
                            if (row < 0 || row >= x->h || at < 0 || at >= x->w) continue;
                            to[o] += x->v[(row * x->w + at) * x->c + c] *
                                     (double)w->data[((a * p->kernel + d) * x->c + c) * out + o];
                        }
            if (p->norm) normalise(to, out);
            for (int o = 0; p->batch && o < out; o++)
                to[o] = (to[o] - (double)of->mean->data[o]) / sqrt((double)of->var->data[o] + 1e-5);
            for (int o = 0; o < out; o++) to[o] = act(p, to[o] + (double)b->data[o]);
        }
}

static void pool(const plan *p, image *x) {
    const image from = *x;
    const int s = p->pool;
    if (!s) return;
    *x = (image){.h = from.h / s, .w = from.w / s, .c = from.c};
    for (int i = 0; i < x->h; i++)
        for (int j = 0; j < x->w; j++)
            for (int c = 0; c < x->c; c++) {
                double most = -INFINITY, sum = 0;
                for (int a = 0; a < s; a++)
                    for (int d = 0; d < s; d++) {
                        const double v = from.v[((i * s + a) * from.w + j * s + d) * from.c + c];
                        most = fmax(most, v);
                        sum += v;
                    }
                x->v[(i * x->w + j) * x->c + c] = p->mean ? sum / (s * s) : most;
            }
}

static void layer(const plan *p, image *x, const parts *of) {
    static image y;
    convolve(p, x, of, &y);
    *x = y;
    pool(p, x);
}

/* Logits of one expert. */
static void answer(const plan *p, const at_model *m, int e, const image *seen, double *y) {
    static image x;
    static double h[MOST], next[MOST];
    x = *seen;
    for (int i = 0; i < p->own; i++)
        layer(p, &x,
              &(parts){of(m, "conv.bank.%d.%d.weight", e, i), of(m, "conv.bank.%d.%d.bias", e, i),
                       p->batch ? of(m, "conv.bank.%d.%d.mean", e, i) : NULL,
                       p->batch ? of(m, "conv.bank.%d.%d.variance", e, i) : NULL});
    int n = x.h * x.w * x.c;
    memcpy(h, x.v, (size_t)n * sizeof *h);
    for (int i = p->own; i <= p->own + p->layers; i++) {
        const at_tensor *w = of(m, "conv.bank.%d.%d.weight", e, i),
                        *b = of(m, "conv.bank.%d.%d.bias", e, i);
        const int out = (int)at_numel(b);
        assert_int_equal(w->dim[0], n);
        for (int o = 0; o < out; o++) {
            next[o] = (double)b->data[o];
            for (int j = 0; j < n; j++) next[o] += h[j] * (double)w->data[j * out + o];
            if (i < p->own + p->layers) next[o] = act(p, next[o]);
        }
        memcpy(h, next, (size_t)out * sizeof *h);
        n = out;
    }
    memcpy(y, h, OUT * sizeof *y);
}

static void gates_of(const plan *p, const at_model *m, const image *x, double *g) {
    double see[MOST] = {0}, z[8];
    const int places = x->h * x->w, n = p->pooled ? x->c : places * x->c;
    bool asked[8] = {0};
    double sum = 0;
    for (int i = 0; i < places * x->c; i++) {
        if (p->pooled)
            see[i % x->c] += x->v[i] / places;
        else
            see[i] = x->v[i];
    }
    for (int e = 0; e < p->experts; e++) {
        const at_tensor *row = of(m, "conv.bank.%d.row", e, 0);
        assert_int_equal(at_numel(row), n);
        z[e] = (double)of(m, "conv.gate.bias", 0, 0)->data[e];
        for (int j = 0; j < n; j++) z[e] += see[j] * (double)row->data[j];
    }
    for (int i = 0; i < p->k; i++) {
        int best = -1;
        for (int e = 0; e < p->experts; e++)
            if (!asked[e] && (best < 0 || z[e] > z[best])) best = e;
        asked[best] = true;
    }
    for (int e = 0; e < p->experts; e++) sum += g[e] = asked[e] ? exp((z[e] - z[0]) / p->tau) : 0;
    for (int e = 0; e < p->experts; e++) g[e] /= sum;
}

static void expected(const plan *p, const at_model *m, const at_real *row, double *y) {
    static image x;
    double g[8] = {1}, one[OUT];
    x = (image){.h = H, .w = W, .c = C};
    for (int i = 0; i < H * W * C; i++) x.v[i] = (double)row[i];
    for (int i = 0; i < p->stem; i++)
        layer(p, &x,
              &(parts){of(m, "conv.stem.%d.weight", i, 0), of(m, "conv.stem.%d.bias", i, 0),
                       p->batch ? of(m, "conv.stem.%d.mean", i, 0) : NULL,
                       p->batch ? of(m, "conv.stem.%d.variance", i, 0) : NULL});
    if (p->experts > 1) gates_of(p, m, &x, g);
    memset(y, 0, OUT * sizeof *y);
    for (int e = 0; e < p->experts; e++) {
        answer(p, m, e, &x, one);
        for (int o = 0; o < OUT; o++) y[o] += g[e] * one[o];
    }
}

static void formula(void **state) {
    (void)state;
    static const struct {
        const char *more;
        plan p;
    } how[] = {
        {"", {3, 1, 2, 4, 1, 0, 1, 4, .tau = 1}},
        {", k: 2, n_layer: 2, gate_input: pooled, activation_function: gelu",
         {3, 1, 2, 2, 1, 0, 2, 4, .tau = 1, .pooled = true, .gelu = true}},
        {", expert: conv, n_layer: 0, norm: layer, pool: mean",
         {3, 1, 2, 4, 1, 1, 0, 4, .tau = 1, .norm = true, .mean = true}},
        {", expert: conv, expert_layers: 2, k: 2, n_experts: 5, pool: none, norm: layer, "
         "gate_temperature: 2",
         {3, 1, 0, 2, 1, 2, 1, 5, .tau = 2, .norm = true}},
        {", expert: conv, expert_layers: 2, n_layer: 1, stem_layers: 0, stride: 2, pool: none, "
         "kernel_size: 5, n_experts: 3",
         {5, 2, 0, 3, 0, 2, 1, 3, .tau = 1}},
        {", stem_layers: 2, n_experts: 1, expert: conv, kernel_size: 1, pool_size: 1, norm: layer",
         {1, 1, 1, 1, 2, 1, 1, 1, .tau = 1, .norm = true}},
        {", stem_layers: 1, n_experts: 2, expert: conv, pool_size: 1, gate_type: gumbel",
         {3, 1, 1, 2, 1, 1, 1, 2, .tau = 1}},
        {", expert: conv, expert_layers: 2, pool_size: 1, k: 2, norm: batch",
         {3, 1, 1, 2, 1, 2, 1, 4, .tau = 1, .batch = true}},
        {", expert: conv, n_experts: 1, stem_layers: 2, pool: none, norm: batch",
         {3, 1, 0, 1, 2, 1, 1, 1, .tau = 1, .batch = true}},
        {", stem_layers: 1, n_experts: 2, pool_size: 3, gate_type: noisy",
         {3, 1, 3, 2, 1, 0, 1, 2, .tau = 1}},
    };
    for (size_t i = 0; i < sizeof how / sizeof *how; i++) {
        at_model *m = model_of(how[i].more);
        at_run r;
        at_run_init(&r, &cp, &arena, false, 1);
        const at_input in = {.kind = AT_INPUT_ROWS, .values = pixels, .B = N, .T = H * W * C};
        const at_tensor *l = at_model_hidden(m, &r, &in, NULL);
        OK(at_run_status(&r));
        assert_true(at_rows(l) == N && at_cols(l) == OUT);
        for (int n = 0; n < N; n++) {
            double y[OUT];
            expected(&how[i].p, m, pixels + n * H * W * C, y);
            for (int o = 0; o < OUT; o++)
                if (!(fabs(y[o] - (double)l->data[n * OUT + o]) < 2e-4 * (1 + fabs(y[o]))))
                    fail_msg("{%s} image %d: expected %g, found %g", how[i].more, n, y[o],
                             (double)l->data[n * OUT + o]);
        }
        at_arena_rewind(&arena, (at_mark){0});
        at_model_close(m);
    }
}

static void refused(const char *more, const char *says) {
    at_model *m = NULL;
    assert_int_equal(make(more, &m), AT_CONFIG);
    assert_null(m);
    expect_says(&ctx, says);
}

static void refusals(void **state) {
    (void)state;
    refused(", kernel_size: 4", "model.kernel_size");
    refused(", kernel_size: 4", "expected an odd number, found 4");
    refused(", stem_layers: 3", "model.stem_layers");
    refused(", stem_layers: 3", "has 1 x 1 of the 7 x 6 pixels left, too few to pool by 2");
    refused(", expert: conv, expert_layers: 2", "model.expert_layers");
    refused(", expert: conv, expert_layers: 2, n_layer: 2", "at most 4 layers");
    refused(", k: 5", "5 experts a row, but n_experts = 4");
    at_model *m = model_of("");
    at_run r;
    at_run_init(&r, &cp, &arena, false, 1);
    const at_input in = {.kind = AT_INPUT_ROWS, .values = pixels, .B = N, .T = H * W};
    assert_null(at_model_hidden(m, &r, &in, NULL));
    assert_int_equal(at_run_status(&r), AT_ARG);
    expect_says(&ctx, "rows of 42 numbers, expected images of 7 x 6 x 2");
    at_model_close(m);
}

/* Running means and variances follow those of a batch, in training alone, not when loads are counted, and not where
   the layer is frozen. */
static void running(void **state) {
    (void)state;
    at_model *m = model_of(", norm: batch, norm_momentum: 0.25, kernel_size: 1, n_experts: 2");
    const at_tensor *w = of(m, "conv.stem.0.weight", 0, 0);
    const at_tensor *mean = of(m, "conv.stem.0.mean", 0, 0),
                    *var = of(m, "conv.stem.0.variance", 0, 0);
    const at_input in = {.kind = AT_INPUT_ROWS, .values = pixels, .B = N, .T = H * W * C};
    enum { ROWS = N * H * W };
    double before[2][3];
    assert_true(at_param_of((at_tensor *)(uintptr_t)mean)->frozen);
    for (int i = 0; i < 4; i++) { /* not in training, counting loads, in training, frozen */
        at_run r;
        at_loads loads = {0};
        at_pass p = {.collect = i == 1, .loads = i == 1 ? &loads : NULL};
        for (int o = 0; o < 3; o++) {
            before[0][o] = (double)mean->data[o];
            before[1][o] = (double)var->data[o];
        }
        if (i == 3)
            at_param_freeze(at_param_of((at_tensor *)(uintptr_t)of(m, "conv.stem.0.bias", 0, 0)));
        at_run_init(&r, &cp, &arena, i > 0, 1);
        (void)at_model_hidden(m, &r, &in, &p);
        OK(at_run_status(&r));
        at_arena_rewind(&arena, (at_mark){0});
        at_loads_close(&loads);
        for (int o = 0; o < 3; o++) {
            double sum = 0, squares = 0;
            for (int n = 0; n < ROWS; n++) {
                double v = 0;
                for (int c = 0; c < C; c++)
                    v += (double)pixels[n * C + c] * (double)w->data[c * 3 + o];
                sum += v;
                squares += v * v;
            }
            const double middle = sum / ROWS, spread = (squares - sum * middle) / (ROWS - 1);
            const double to[2] = {i != 2 ? before[0][o] : 0.75 * before[0][o] + 0.25 * middle,
                                  i != 2 ? before[1][o] : 0.75 * before[1][o] + 0.25 * spread};
            assert_true(fabs((double)mean->data[o] - to[0]) < 1e-5);
            assert_true(fabs((double)var->data[o] - to[1]) < 1e-5);
        }
    }
    at_model_close(m);
}

/* Dropout and noise are for training alone, and others for each seed. */
static void chance(void **state) {
    (void)state;
    static const char *const how[] = {"", ", hidden_pdrop: 0.5", ", gate_type: gumbel",
                                      ", gate_type: noisy"};
    const at_input in = {.kind = AT_INPUT_ROWS, .values = pixels, .B = N, .T = H * W * C};
    for (int i = 0; i < 4; i++) {
        at_model *m = model_of(how[i]);
        at_real first[N * OUT];
        for (uint64_t seed = 1; seed < 3; seed++) {
            at_run r;
            at_run_init(&r, &cp, &arena, true, seed);
            const at_tensor *y = at_model_hidden(m, &r, &in, NULL);
            OK(at_run_status(&r));
            if (seed == 1)
                memcpy(first, y->data, sizeof first);
            else
                assert_true(!memcmp(first, y->data, sizeof first) == (i == 0));
            at_arena_rewind(&arena, (at_mark){0});
        }
        at_model_close(m);
    }
}

int main(void) {
    at_ctx_init(&ctx, 2);
    at_arena_init(&arena, &ctx);
    if (at_compute_open(&cp, &ctx) != AT_OK) return 1;
    for (uint64_t i = 0; i < N * H * W * C; i++)
        pixels[i] = (at_real)at_normal(1, AT_STREAM_TEST, i);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(formula),
        cmocka_unit_test(refusals),
        cmocka_unit_test(chance),
        cmocka_unit_test(running),
    };
    const int bad = cmocka_run_group_tests(tests, NULL, NULL);
    at_compute_close(&cp);
    at_arena_close(&arena);
    return bad;
}
