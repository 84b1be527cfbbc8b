/* test_stickbreak.c - stick-breaking attention against its definition and the authors' numbers, for
   every instruction set; same bits for every number of threads; the cache against the whole;
   properties; memory; refusals. */
#include "base/cpu.h"
#include "io/safetensors.h"
#include "noise.h"
#include "one_span.h"
#include "op/op.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct shape {
    int64_t B, T, past, slots;
    int heads;
    int64_t D;
    bool same;   /* k is v                                  */
    double lean; /* mean of k, its size that of q; > 0: short sticks, < 0: long */
} shape;

static const shape SHAPES[] = {
    {1, 1, 0, 1, 1, 1, false, 0},        {2, 3, 0, 2, 2, 4, false, 0},
    {1, 40, 0, 1, 1, 5, true, 0},        {2, 67, 0, 3, 2, 16, false, 0},
    {1, 33, 90, 2, 1, 80, true, -0.8},   {1, 1, 50, 3, 2, 24, false, 0},
    {3, 130, 0, 2, 1, 64, true, -0.7},   {1, 300, 0, 1, 1, 32, false, 1},
    {1, 280, 20, 2, 1, 32, false, -0.9}, {1, 200, 100, 2, 1, 48, true, 2},
};
enum { N_SHAPES = sizeof SHAPES / sizeof SHAPES[0] };

static const bool DOUBLE = sizeof(at_real) == sizeof(double);

typedef struct bench {
    at_ctx c;
    at_compute cp;
    at_arena arena;
    at_run r;
    at_tensor q, k, v, *kv[2]; /* kv: what goes in as k and v */
    at_tensor *y;
} bench;

static void make(bench *b, at_tensor *t, int64_t d0, int64_t d1, int64_t d2) {
    *t = (at_tensor){.dim = {d0, d1, d2}, .rank = 3, .need_grad = true, .keep_grad = true};
    t->data = at_calloc(&b->c, (size_t)at_numel(t), sizeof(at_real));
    t->grad = at_calloc(&b->c, (size_t)at_numel(t), sizeof(at_real));
    assert_non_null(t->data);
    assert_non_null(t->grad);
}

static void start(bench *b, const shape *s, int threads, unsigned features) {
    memset(b, 0, sizeof *b);
    at_ctx_init(&b->c, threads);
    b->c.cpu = features;
    assert_int_equal(at_compute_open(&b->cp, &b->c), AT_OK);
    at_arena_init(&b->arena, &b->c);
    at_run_init(&b->r, &b->cp, &b->arena, true, 1);
    const int64_t A = s->heads * s->D, keys = s->B * (s->past + s->T);
    make(b, &b->q, s->B * s->T, s->slots, A);
    make(b, &b->k, keys, 1, A);
    make(b, &b->v, keys, 1, A);
    noise_around(b->q.data, at_numel(&b->q), 1, fabs(s->lean), 2);
    noise_around(b->k.data, at_numel(&b->k), 2, s->lean, 2);
    noise_around(b->v.data, at_numel(&b->v), 3, 0, 2);
    if (s->same) memcpy(b->v.data, b->k.data, (size_t)at_numel(&b->k) * sizeof(at_real));
    b->kv[0] = &b->k;
    b->kv[1] = s->same ? &b->k : &b->v;
}

static void stop(bench *b) {
    at_arena_close(&b->arena);
    at_compute_close(&b->cp);
    at_tensor *t[] = {&b->q, &b->k, &b->v};
    for (int i = 0; i < 3; i++) {
        at_free(t[i]->data);
        at_free(t[i]->grad);
    }
}

static void forward(bench *b, const shape *s) {
    b->y = at_stickbreak(&b->r, &b->q, b->kv[0], b->kv[1], s->B, s->T, s->slots, s->heads);
    if (!b->y) fail_msg("%s", b->r.message);
}

static void both_ways(bench *b, const shape *s) {
    forward(b, s);
    b->y->grad = at_run_alloc(&b->r, (size_t)at_numel(b->y) * sizeof(at_real));
    b->y->keep_grad = true;
    noise_around(b->y->grad, at_numel(b->y), 4, 0, 2);
    assert_int_equal(at_backward_from(&b->r, b->y), AT_OK);
}

/* ---- the definition, in double ---- */

typedef struct truth {
    double *y, *dq, *dk, *dv;
} truth;

static void define_row(const bench *b, const shape *s, const truth *t, int64_t q, int64_t k0,
                       int64_t seen) {
    const int64_t A = s->heads * s->D, D = s->D;
    const at_real *x = b->q.data + q, *dy = b->y->grad + q;
    double a[400], beta[400], rest[400], left = 1, sum = 0;
    for (int64_t j = seen - 1; j >= 0; j--) {
        double v = 0;
        for (int64_t e = 0; e < D; e++) v += (double)x[e] * (double)b->k.data[k0 + j * A + e];
        beta[j] = 1 / (1 + exp(-v / sqrt((double)D)));
        a[j] = beta[j] * left;
        left *= rest[j] = 1 / (1 + exp(v / sqrt((double)D)));
    }
    for (int64_t j = 0; j < seen; j++) {
        const int64_t at = k0 + j * A;
        double da = 0;
        for (int64_t e = 0; e < D; e++) {
            t->y[q + e] += a[j] * (double)b->v.data[at + e];
            t->dv[at + e] += a[j] * (double)dy[e];
            da += (double)dy[e] * (double)b->v.data[at + e];
        }
        const double ds = (rest[j] * a[j] * da - beta[j] * sum) / sqrt((double)D);
        sum += a[j] * da;
        for (int64_t e = 0; e < D; e++) {
            t->dq[q + e] += ds * (double)b->k.data[at + e];
            t->dk[at + e] += ds * (double)x[e];
        }
    }
}

static void same(const char *what, const shape *s, int64_t n, const at_real *got,
                 const double *want) {
    double off = 0, size = 0;
    for (int64_t i = 0; i < n; i++) {
        off += ((double)got[i] - want[i]) * ((double)got[i] - want[i]);
        size += want[i] * want[i];
    }
    if (!(sqrt(off) <= (DOUBLE ? 1e-13 : 5e-6) * sqrt(size) + 1e-30))
        fail_msg("%s, B %d T %d past %d slots %d heads %d D %d: off by %g of %g", what, (int)s->B,
                 (int)s->T, (int)s->past, (int)s->slots, s->heads, (int)s->D, sqrt(off),
                 sqrt(size));
}

static void against_definition(bench *b, const shape *s) {
    const int64_t A = s->heads * s->D, S = s->past + s->T;
    const int64_t nq = at_numel(&b->q), nk = at_numel(&b->k);
    double *all = calloc((size_t)(2 * nq + 2 * nk), sizeof *all);
    assert_non_null(all);
    const truth t = {all, all + nq, all + 2 * nq, all + 2 * nq + nk};
    for (int64_t u = 0; u < s->B * s->T * s->slots; u++)
        for (int64_t h = 0; h < A; h += s->D) {
            const int64_t token = u / s->slots;
            define_row(b, s, &t, u * A + h, token / s->T * S * A + h, s->past + token % s->T + 1);
        }
    if (s->same)
        for (int64_t i = 0; i < nk; i++) t.dk[i] += t.dv[i];
    same("y", s, nq, b->y->data, t.y);
    same("dq", s, nq, b->q.grad, t.dq);
    same("dk", s, nk, b->k.grad, t.dk);
    if (!s->same) same("dv", s, nk, b->v.grad, t.dv);
    free(all);
}

static void test_definition(void **state) {
    (void)state;
    static const unsigned sets[] = {0, AT_CPU_AVX2, AT_CPU_AVX2 | AT_CPU_AVX512};
    for (int f = 0; f < 3; f++)
        for (int i = 0; i < N_SHAPES; i++) {
            if ((sets[f] & at_cpu_features()) != sets[f]) continue;
            bench b;
            start(&b, &SHAPES[i], 2, sets[f]);
            both_ways(&b, &SHAPES[i]);
            against_definition(&b, &SHAPES[i]);
            stop(&b);
        }
}

/* Gradients are added to what is there. */
static void test_twice(void **state) {
    (void)state;
    for (int i = 0; i < N_SHAPES; i++) {
        const shape *s = &SHAPES[i];
        bench b;
        start(&b, s, 2, at_cpu_features());
        both_ways(&b, s);
        const int64_t n = at_numel(&b.q);
        double *twice = calloc((size_t)n, sizeof *twice);
        assert_non_null(twice);
        for (int64_t j = 0; j < n; j++) twice[j] = 2 * (double)b.q.grad[j];
        both_ways(&b, s);
        same("2 dq", s, n, b.q.grad, twice);
        free(twice);
        stop(&b);
    }
}

/* ---- the authors' numbers ---- */

static void read_into(bench *b, const at_st *st, const char *name, double *to) {
    const at_st_tensor *t = at_st_find(st, name);
    assert_non_null(t);
    assert_int_equal(at_st_to_f64(&b->c, t, to), AT_OK);
}

/* Widen x [n, D] by a column of `fill` (or by -fills[i]) and scale what was there. */
static void widen(const double *x, int64_t n, int64_t D, double scale, double fill,
                  const double *fills, at_real *to) {
    for (int64_t i = 0; i < n; i++) {
        for (int64_t e = 0; e < D; e++) to[i * (D + 1) + e] = (at_real)(scale * x[i * D + e]);
        to[i * (D + 1) + D] = (at_real)(fills ? -fills[i] : fill);
    }
}

static void near(const char *name, const at_real *got, int64_t n, int64_t D, double scale,
                 const double *want) {
    double off = 0, size = 0;
    for (int64_t i = 0; i < n; i++)
        for (int64_t e = 0; e < D; e++) {
            const double d = scale * (double)got[i * (D + 1) + e] - want[i * D + e];
            off += d * d;
            size += want[i * D + e] * want[i * D + e];
        }
    if (!(sqrt(off) <= (DOUBLE ? 1e-13 : 5e-6) * sqrt(size) + 1e-300))
        fail_msg("%s: off by %g of %g", name, sqrt(off), sqrt(size));
}

/* The cases also give the gradient of what is left, rem = 1 - sum a: one more value column of ones
   has the output 1 - rem, and its gradient is -drem.  1/sqrt(D) is put right in q. */
static void golden(const char *name, int64_t T, int64_t S, int64_t D) {
    char path[128];
    (void)snprintf(path, sizeof path, "tests/golden/moduleformer/kernels/%s.safetensors", name);
    const shape s = {1, T, S - T, 1, 1, D + 1, false, 0};
    const double up = sqrt((double)(D + 1) / (double)D);
    double q[128], k[128], v[128], dy[128], drem[16], x[128], rem[16];
    bench b;
    start(&b, &s, 1, at_cpu_features());
    at_st *st = NULL;
    assert_int_equal(at_st_open(&b.c, path, &st), AT_OK);
    read_into(&b, st, "q", q);
    read_into(&b, st, "k", k);
    read_into(&b, st, "v", v);
    read_into(&b, st, "do", dy);
    read_into(&b, st, "drem", drem);
    widen(q, T, D, up, 0, NULL, b.q.data);
    widen(k, S, D, 1, 0, NULL, b.k.data);
    widen(v, S, D, 1, 1, NULL, b.v.data);
    forward(&b, &s);
    b.y->grad = at_run_alloc(&b.r, (size_t)at_numel(b.y) * sizeof(at_real));
    b.y->keep_grad = true;
    widen(dy, T, D, 1, 0, drem, b.y->grad);
    assert_int_equal(at_backward_from(&b.r, b.y), AT_OK);
    read_into(&b, st, "o", x);
    near(name, b.y->data, T, D, 1, x);
    read_into(&b, st, "rem", rem);
    for (int64_t i = 0; i < T; i++)
        assert_true(fabs(1 - (double)b.y->data[i * (D + 1) + D] - rem[i]) <
                    (DOUBLE ? 1e-15 : 3e-7));
    read_into(&b, st, "dq", x);
    near(name, b.q.grad, T, D, up, x);
    read_into(&b, st, "dk", x);
    near(name, b.k.grad, S, D, 1, x);
    read_into(&b, st, "dv", x);
    near(name, b.v.grad, S, D, 1, x);
    at_st_close(st);
    stop(&b);
}

static void test_golden(void **state) {
    (void)state;
    golden("sb_square", 9, 9, 4);
    golden("sb_cold", 9, 9, 4);
    golden("sb_past", 5, 12, 4);
    golden("sb_one", 1, 1, 4);
    golden("sb_decode", 1, 13, 8);
}

/* ---- threads, cache ---- */

static void test_threads(void **state) {
    (void)state;
    for (int i = 6; i < N_SHAPES; i++) {
        const shape *s = &SHAPES[i];
        bench one, more;
        start(&one, s, 1, at_cpu_features());
        both_ways(&one, s);
        const size_t bytes = (size_t)at_numel(&one.q) * sizeof(at_real);
        const size_t keys = (size_t)at_numel(&one.k) * sizeof(at_real);
        for (int threads = 2; threads <= 4; threads++) {
            start(&more, s, threads, at_cpu_features());
            both_ways(&more, s);
            assert_memory_equal(one.y->data, more.y->data, bytes);
            assert_memory_equal(one.q.grad, more.q.grad, bytes);
            assert_memory_equal(one.k.grad, more.k.grad, keys);
            assert_memory_equal(one.v.grad, more.v.grad, keys);
            stop(&more);
        }
        stop(&one);
    }
}

static at_tensor part_of(const at_tensor *t, int64_t row, int64_t rows) {
    at_tensor p = *t;
    const int64_t values = t->dim[1] * t->dim[2];
    p.data = t->data + row * values;
    p.dim[0] = rows;
    return p;
}

/* The whole sequence at once, and in pieces through the cache; one buffer where keys are values. */
static void cached(const shape *s) {
    static const int64_t pieces[] = {1, 5, 64, 1, 2, 200, 1, 26};
    const int64_t A = s->heads * s->D;
    bench b;
    start(&b, s, 2, at_cpu_features());
    both_ways(&b, s);
    at_kv kv = {.cap = s->T};
    int64_t done = 0;
    kv.k = at_malloc(&b.c, (size_t)(s->T * A) * sizeof(at_real));
    kv.v = s->same ? kv.k : at_malloc(&b.c, (size_t)(s->T * A) * sizeof(at_real));
    for (size_t i = 0; i < sizeof pieces / sizeof pieces[0]; i++) {
        const int64_t at = done, nodes = b.r.n_nodes;
        at_tensor q = part_of(&b.q, at, pieces[i]), k = part_of(b.kv[0], at, pieces[i]);
        at_tensor v = part_of(b.kv[1], at, pieces[i]);
        const at_tensor *y = at_stickbreak_cached(&b.r, &q, &k, &v, ONE_SPAN(pieces[i], at, &kv),
                                                  s->slots, s->heads);
        assert_non_null(y);
        assert_int_equal(b.r.n_nodes, nodes);
        done += pieces[i];
        for (int64_t j = 0; j < at_numel(y); j++)
            assert_true(fabs((double)(y->data[j] - b.y->data[at * s->slots * A + j])) < 3e-6);
    }
    assert_int_equal(done, s->T);
    at_tensor q = part_of(&b.q, 0, 1), k = part_of(&b.k, 0, 1);
    assert_null(at_stickbreak_cached(&b.r, &q, &k, &k, ONE_SPAN(1, s->T, &kv), s->slots,
                                     s->heads)); /* full */
    assert_int_equal(b.r.status, AT_ARG);
    if (!s->same) at_free(kv.v);
    at_free(kv.k);
    stop(&b);
}

static void test_cached(void **state) {
    (void)state;
    cached(&(shape){1, 300, 0, 2, 3, 40, false, -0.8});
    cached(&(shape){1, 300, 0, 3, 1, 24, true, 0.2});
    cached(&(shape){1, 300, 0, 1, 1, 64, false, 1.5});
}

/* Padding before a sequence has no effect: values and gradients are those of the sequence alone,
   and those of padding are zero, whatever it contains. */
static void without_padding(const bench *all, const shape *w, int64_t b, int64_t from) {
    const int64_t A = w->heads * w->D, S = w->T + w->past, row = w->slots * A;
    const int64_t gone = from > w->past ? from - w->past : 0; /* queries */
    const int64_t T = w->T - gone, keys = (S - from) * A, at = (b * S + from) * A;
    const int64_t q = (b * w->T + gone) * row;
    const size_t bytes = (size_t)(T * row) * sizeof(at_real);
    for (int64_t j = b * w->T * row; j < q; j++)
        assert_true(all->y->data[j] == 0 && all->q.grad[j] == 0);
    for (int64_t j = b * S * A; j < at; j++)
        assert_true(all->k.grad[j] == 0 && all->v.grad[j] == 0);
    if (!T) return;
    const shape rest = {1, T, S - from - T, w->slots, w->heads, w->D, w->same, 0};
    bench one;
    start(&one, &rest, 2, at_cpu_features());
    memcpy(one.q.data, all->q.data + q, bytes);
    memcpy(one.k.data, all->k.data + at, (size_t)keys * sizeof(at_real));
    memcpy(one.v.data, all->v.data + at, (size_t)keys * sizeof(at_real));
    forward(&one, &rest);
    one.y->grad = at_run_alloc(&one.r, bytes);
    memcpy(one.y->grad, all->y->grad + q, bytes);
    one.y->keep_grad = true;
    assert_int_equal(at_backward_from(&one.r, one.y), AT_OK);
    for (int64_t j = 0; j < T * row; j++) {
        assert_true(fabs((double)(one.y->data[j] - all->y->data[q + j])) < 3e-6);
        assert_true(fabs((double)(one.q.grad[j] - all->q.grad[q + j])) < 1e-4);
    }
    for (int64_t j = 0; j < keys; j++) {
        assert_true(fabs((double)(one.k.grad[j] - all->k.grad[at + j])) < 1e-4);
        assert_true(fabs((double)(one.v.grad[j] - all->v.grad[at + j])) < 1e-4);
    }
    stop(&one);
}

static void test_from(void **state) {
    (void)state;
    static const int32_t from[4] = {0, 5, 48, 130};
    static const shape both[2] = {{4, 130, 0, 2, 1, 20, false, -0.3},
                                  {4, 40, 90, 1, 2, 12, true, 0}};
    for (int i = 0; i < 2; i++) {
        const shape *w = &both[i];
        const int64_t A = w->heads * w->D, S = w->T + w->past;
        bench all;
        start(&all, w, 2, at_cpu_features());
        for (int64_t b = 0; b < 4; b++)
            for (int64_t j = 0; j < from[b] * A; j++) all.k.data[b * S * A + j] = 1000;
        all.y = at_stickbreak_from(&all.r, &all.q, all.kv[0], all.kv[1], 4, w->T, w->slots,
                                   w->heads, from);
        assert_non_null(all.y);
        all.y->grad = at_run_alloc(&all.r, (size_t)at_numel(all.y) * sizeof(at_real));
        noise_around(all.y->grad, at_numel(all.y), 4, 0, 2);
        all.y->keep_grad = true;
        assert_int_equal(at_backward_from(&all.r, all.y), AT_OK);
        for (int64_t b = 0; b < 4; b++) without_padding(&all, w, b, from[b]);
        stop(&all);
    }
    bench b;
    start(&b, &both[0], 1, at_cpu_features());
    static const int32_t beyond[4] = {0, 0, 131, 0};
    assert_null(at_stickbreak_from(&b.r, &b.q, &b.k, &b.v, 4, 130, 2, 1, beyond));
    assert_int_equal(b.r.status, AT_ARG);
    assert_non_null(strstr(b.r.message, "sequence 2 begins at 131 of 130 keys"));
    stop(&b);
}

/* One token on a long cache, the work of one head shared by all workers. */
static void test_decode_threads(void **state) {
    (void)state;
    const shape s = {1, 1, 1800, 2, 1, 600, true, -0.45};
    at_real first[2 * 600];
    for (int threads = 1; threads <= 3; threads++) {
        bench b;
        start(&b, &s, threads, at_cpu_features());
        forward(&b, &s);
        at_kv kv = {.k = b.k.data, .v = b.k.data, .cap = 1801};
        at_tensor k = part_of(&b.k, 1800, 1);
        const at_tensor *y = at_stickbreak_cached(&b.r, &b.q, &k, &k, ONE_SPAN(1, 1800, &kv), 2, 1);
        assert_non_null(y);
        for (int64_t i = 0; i < at_numel(y); i++)
            assert_true(fabs((double)(y->data[i] - b.y->data[i])) < 3e-6);
        if (threads == 1) memcpy(first, y->data, sizeof first);
        assert_memory_equal(first, y->data, sizeof first);
        stop(&b);
    }
}

/* ---- what must hold ---- */

/* With all values one the output is the sum of the weights. */
static void test_spent(void **state) {
    (void)state;
    const shape s = {1, 200, 0, 2, 1, 16, false, -0.9};
    bench b;
    start(&b, &s, 1, at_cpu_features());
    for (int64_t i = 0; i < at_numel(&b.v); i++) b.v.data[i] = 1;
    forward(&b, &s);
    for (int64_t i = 0; i < at_numel(b.y); i++)
        assert_true(b.y->data[i] > 0 && (double)b.y->data[i] < 1 + 1e-6);
    stop(&b);
}

/* A newest key that takes all leaves nothing to older ones, and where the newest take nothing the
   older ones share as if they were not there. */
static void test_newest_first(void **state) {
    (void)state;
    const shape s = {1, 90, 0, 1, 1, 8, false, 0};
    bench b, cut;
    start(&b, &s, 1, at_cpu_features());
    for (int64_t i = 0; i < at_numel(&b.q); i++) b.q.data[i] = b.k.data[i] = 100;
    forward(&b, &s);
    assert_memory_equal(b.y->data, b.v.data, (size_t)at_numel(b.y) * sizeof(at_real));
    stop(&b);
    start(&b, &s, 1, at_cpu_features());
    start(&cut, &s, 1, at_cpu_features());
    at_real *q = b.q.data + 89 * 8;
    for (int64_t i = 50; i < 90; i++) /* keys opposite to the last query */
        for (int e = 0; e < 8; e++) b.k.data[i * 8 + e] = -1000 * q[e];
    memcpy(cut.q.data + 49 * 8, q, 8 * sizeof *q);
    forward(&b, &s);
    forward(&cut, &s);
    for (int e = 0; e < 8; e++)
        assert_true(fabs((double)(b.y->data[89 * 8 + e] - cut.y->data[49 * 8 + e])) < 1e-6);
    stop(&b);
    stop(&cut);
}

/* What comes later changes no bit of what came before. */
static void test_causal(void **state) {
    (void)state;
    const shape s = {1, 150, 20, 2, 2, 16, false, 0};
    const int64_t A = 32, at = 77;
    bench b, other;
    start(&b, &s, 2, at_cpu_features());
    start(&other, &s, 2, at_cpu_features());
    for (int64_t i = (20 + at) * A; i < at_numel(&b.k); i++) {
        other.k.data[i] = 3 - other.k.data[i];
        other.v.data[i] *= 2;
    }
    forward(&b, &s);
    forward(&other, &s);
    const size_t bytes = (size_t)(at * 2 * A) * sizeof(at_real);
    assert_memory_equal(b.y->data, other.y->data, bytes);
    assert_memory_not_equal(b.y->data, other.y->data, bytes + (size_t)A * sizeof(at_real));
    stop(&b);
    stop(&other);
}

/* Keys after the sticks are used up are not read: NaN there has no effect. */
static void test_early_exit(void **state) {
    (void)state;
    const shape s = {1, 200, 450, 2, 1, 16, false, 3};
    bench b, other;
    start(&b, &s, 2, at_cpu_features());
    start(&other, &s, 2, at_cpu_features());
    const int64_t n = 100 * 16; /* values of the oldest keys */
    for (int64_t i = 0; i < n; i++) other.k.data[i] = other.v.data[i] = (at_real)NAN;
    both_ways(&b, &s);
    both_ways(&other, &s);
    const size_t bytes = (size_t)at_numel(&b.q) * sizeof(at_real);
    const size_t keys = (size_t)at_numel(&b.k) * sizeof(at_real);
    assert_memory_equal(b.y->data, other.y->data, bytes);
    assert_memory_equal(b.q.grad, other.q.grad, bytes);
    assert_memory_equal(b.k.grad, other.k.grad, keys);
    assert_memory_equal(b.v.grad, other.v.grad, keys);
    for (int64_t i = 0; i < n; i++) assert_true(other.k.grad[i] == 0 && other.v.grad[i] == 0);
    at_kv kv = {.k = other.k.data, .v = other.v.data, .cap = 650};
    at_tensor q = part_of(&other.q, 0, 1), k = part_of(&other.k, 450, 1);
    at_tensor v = part_of(&other.v, 450, 1);
    const at_tensor *y = at_stickbreak_cached(&other.r, &q, &k, &v, ONE_SPAN(1, 450, &kv), 2, 1);
    assert_non_null(y);
    for (int64_t i = 0; i < at_numel(y); i++)
        assert_true(fabs((double)(y->data[i] - b.y->data[i])) < 1e-6);
    stop(&b);
    stop(&other);
}

/* NaN in a key that still gets a weight shows in the output. */
static void test_nan_shows(void **state) {
    (void)state;
    const shape s = {1, 40, 0, 1, 1, 8, false, 0};
    bench b;
    start(&b, &s, 1, at_cpu_features());
    b.k.data[30 * 8] = (at_real)NAN;
    forward(&b, &s);
    for (int64_t i = 0; i < 40; i++) assert_true((i >= 30) == !!isnan(b.y->data[i * 8]));
    stop(&b);
}

static size_t peak_of(int64_t T, size_t *kept) {
    const shape s = {1, T, 0, 1, 1, 8, false, 0};
    bench b;
    start(&b, &s, 2, at_cpu_features());
    forward(&b, &s);
    *kept = b.arena.used - (size_t)at_numel(b.y) * sizeof(at_real);
    both_ways(&b, &s);
    const size_t peak = b.arena.peak;
    stop(&b);
    return peak;
}

/* Nothing is kept but the output, and working memory grows with T, not with its square. */
static void test_memory(void **state) {
    (void)state;
    size_t kept, kept_short;
    const size_t small = peak_of(4096, &kept_short), large = peak_of(32768, &kept);
    assert_int_equal(kept, kept_short);
    assert_true(kept < 4096);
    assert_true(large < 9 * small);
    assert_true(large < (size_t)32768 * 700 * sizeof(at_real)); /* all weights: 23 times that */
}

/* ---- failures ---- */

static void test_refusals(void **state) {
    (void)state;
    const shape s = {2, 3, 0, 2, 2, 4, false, 0};
    static const struct {
        int64_t B, T, slots;
        int heads;
    } bad[] = {{2, 4, 2, 2}, {2, 3, 1, 2}, {2, 3, 2, 3}, {2, 3, 2, 0}, {1, 3, 2, 2},
               {0, 3, 2, 2}, {2, 0, 2, 2}, {2, 3, 0, 2}, {4, 3, 1, 2}, {2, 6, 1, 2}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        bench b;
        start(&b, &s, 1, 0);
        assert_null(
            at_stickbreak(&b.r, &b.q, &b.k, &b.v, bad[i].B, bad[i].T, bad[i].slots, bad[i].heads));
        assert_int_equal(b.r.status, AT_SHAPE);
        assert_non_null(strstr(b.r.message, "[6,2,8]"));
        stop(&b);
    }
    bench b;
    start(&b, &s, 1, 0);
    at_kv kv = {.cap = 10};
    assert_null(at_stickbreak_cached(&b.r, &b.q, &b.k, &b.v, ONE_SPAN(6, 0, &kv), 3, 2));
    assert_int_equal(b.r.status, AT_SHAPE);
    assert_non_null(strstr(b.r.message, "3 slots"));
    stop(&b);
}

/* Working memory that cannot be had is a status, forward and backward. */
static void test_oom(void **state) {
    (void)state;
    const shape s = {1, 40, 0, 2, 1, 8, false, 0};
    int failed = 0;
    for (int64_t at = 1;; at++) {
        bench b;
        start(&b, &s, 2, at_cpu_features());
        b.c.fail_after = at;
        at_tensor *y = at_stickbreak(&b.r, &b.q, &b.k, &b.v, 1, 40, 2, 1);
        if (y && (y->grad = at_run_alloc(&b.r, (size_t)at_numel(y) * sizeof(at_real)))) {
            noise_around(y->grad, at_numel(y), 2, 0, 2);
            (void)at_backward_from(&b.r, y);
        }
        b.c.fail_after = 0;
        const at_status status = b.r.status;
        stop(&b);
        if (!status) break;
        assert_int_equal(status, AT_OOM);
        failed++;
    }
    assert_true(failed >= 2);
}

/* The same with a cache. */
static void test_cached_oom(void **state) {
    (void)state;
    const shape s = {1, 40, 0, 2, 1, 8, false, 0};
    int failed = 0;
    for (int64_t at = 1; at < 1000; at++) {
        bench b;
        start(&b, &s, 1, at_cpu_features());
        at_real room[2][40 * 8];
        at_kv kv = {.k = room[0], .v = room[1], .cap = 40};
        b.c.fail_after = at;
        at_tensor q = part_of(&b.q, 0, 30), k = part_of(&b.k, 0, 30);
        const at_tensor *y = at_stickbreak_cached(&b.r, &q, &k, &k, ONE_SPAN(30, 0, &kv), 2, 1);
        q = part_of(&b.q, 30, 1);
        k = part_of(&b.k, 30, 1);
        if (y) y = at_stickbreak_cached(&b.r, &q, &k, &k, ONE_SPAN(1, 30, &kv), 2, 1);
        b.c.fail_after = 0;
        const at_status status = b.r.status;
        assert_int_equal(status, y ? AT_OK : AT_OOM);
        stop(&b);
        if (y) break;
        failed++;
    }
    assert_in_range(failed, 1, 900);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_definition),
        cmocka_unit_test(test_twice),
        cmocka_unit_test(test_golden),
        cmocka_unit_test(test_threads),
        cmocka_unit_test(test_cached),
        cmocka_unit_test(test_from),
        cmocka_unit_test(test_decode_threads),
        cmocka_unit_test(test_spent),
        cmocka_unit_test(test_newest_first),
        cmocka_unit_test(test_causal),
        cmocka_unit_test(test_early_exit),
        cmocka_unit_test(test_nan_shows),
        cmocka_unit_test(test_memory),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_oom),
        cmocka_unit_test(test_cached_oom),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
