/* test_attention.c - attention in float against its definition, for every instruction set; same
   bits for every number of threads; the cache against the whole; refusals. */
#include "base/cpu.h"
#include "noise.h"
#include "one_span.h"
#include "op/op.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct shape {
    int64_t B, T;
    int heads;
    int64_t D;
} shape;

static const shape SHAPES[] = {{1, 1, 1, 1},   {2, 3, 2, 4},    {1, 40, 1, 5},
                               {2, 67, 3, 16}, {1, 130, 2, 64}, {1, 33, 1, 80}};
enum { N_SHAPES = sizeof SHAPES / sizeof SHAPES[0] };

typedef struct bench {
    at_ctx c;
    at_compute cp;
    at_arena arena;
    at_run r;
    at_tensor qkv, *y;
} bench;

static void start(bench *b, const shape *s, int threads, unsigned features) {
    memset(b, 0, sizeof *b);
    at_ctx_init(&b->c, threads);
    b->c.cpu = features;
    assert_int_equal(at_compute_open(&b->cp, &b->c), AT_OK);
    at_arena_init(&b->arena, &b->c);
    at_run_init(&b->r, &b->cp, &b->arena, true, 1);
    const int64_t rows = s->B * s->T, cols = 3 * s->heads * s->D;
    b->qkv = (at_tensor){.dim = {rows, cols}, .rank = 2, .need_grad = true, .keep_grad = true};
    b->qkv.data = at_malloc(&b->c, (size_t)(rows * cols) * sizeof(at_real));
    b->qkv.grad = at_calloc(&b->c, (size_t)(rows * cols), sizeof(at_real));
    assert_non_null(b->qkv.data);
    assert_non_null(b->qkv.grad);
    noise_around(b->qkv.data, rows * cols, 1, 0, 2);
}

static void both_ways(bench *b, const shape *s) {
    b->y = at_attention(&b->r, &b->qkv, s->B, s->T, s->heads);
    assert_non_null(b->y);
    b->y->grad = at_run_alloc(&b->r, (size_t)at_numel(b->y) * sizeof(at_real));
    b->y->keep_grad = true;
    noise_around(b->y->grad, at_numel(b->y), 2, 0, 2);
    assert_int_equal(at_backward_from(&b->r, b->y), AT_OK);
}

static void stop(bench *b) {
    at_arena_close(&b->arena);
    at_compute_close(&b->cp);
    at_free(b->qkv.data);
    at_free(b->qkv.grad);
}

/* Definition, in double: y and the gradient of qkv. */
static void define(const bench *b, const shape *s, double *y, double *d) {
    const int64_t C = s->heads * s->D, ld = 3 * C, D = s->D;
    double *p = calloc((size_t)s->T, sizeof *p);
    assert_non_null(p);
    for (int64_t bh = 0; bh < s->B * s->heads; bh++) {
        const int64_t row = bh / s->heads * s->T, h = bh % s->heads * D;
        for (int64_t i = 0; i < s->T; i++) {
            const int64_t at = (row + i) * ld + h;
            const at_real *x = b->qkv.data, *dy = b->y->grad + (row + i) * C + h;
            double sum = 0, dot = 0;
            for (int64_t j = 0; j <= i; j++) {
                double v = 0;
                for (int64_t e = 0; e < D; e++)
                    v += (double)x[at + e] * (double)x[(row + j) * ld + C + h + e];
                p[j] = exp(v / sqrt((double)D));
                sum += p[j];
            }
            for (int64_t e = 0; e < D; e++) {
                double v = 0;
                for (int64_t j = 0; j <= i; j++)
                    v += p[j] / sum * (double)x[(row + j) * ld + 2 * C + h + e];
                y[(row + i) * C + h + e] = v;
                dot += v * (double)dy[e];
            }
            for (int64_t j = 0; j <= i; j++) {
                const int64_t kj = (row + j) * ld + C + h;
                double dp = 0;
                for (int64_t e = 0; e < D; e++) dp += (double)dy[e] * (double)x[kj + C + e];
                const double ds = p[j] / sum * (dp - dot) / sqrt((double)D);
                for (int64_t e = 0; e < D; e++) {
                    d[at + e] += ds * (double)x[kj + e];
                    d[kj + e] += ds * (double)x[at + e];
                    d[kj + C + e] += p[j] / sum * (double)dy[e];
                }
            }
        }
    }
    free(p);
}

static void same(const char *what, const shape *s, int64_t n, const at_real *got,
                 const double *want) {
    double off = 0, size = 0;
    for (int64_t i = 0; i < n; i++) {
        off += ((double)got[i] - want[i]) * ((double)got[i] - want[i]);
        size += want[i] * want[i];
    }
    if (!(sqrt(off) <= 2e-6 * sqrt(size) + 1e-7))
        fail_msg("%s, B %d T %d heads %d D %d: off by %g of %g", what, (int)s->B, (int)s->T,
                 s->heads, (int)s->D, sqrt(off), sqrt(size));
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
            const int64_t n = at_numel(b.y);
            double *want = calloc((size_t)(4 * n), sizeof *want);
            assert_non_null(want);
            define(&b, &SHAPES[i], want, want + n);
            same("y", &SHAPES[i], n, b.y->data, want);
            same("d qkv", &SHAPES[i], 3 * n, b.qkv.grad, want + n);
            free(want);
            stop(&b);
        }
}

static void test_threads(void **state) {
    (void)state;
    const shape s = {3, 70, 2, 24};
    bench one, more;
    start(&one, &s, 1, at_cpu_features());
    both_ways(&one, &s);
    for (int threads = 2; threads <= 5; threads++) {
        start(&more, &s, threads, at_cpu_features());
        both_ways(&more, &s);
        const size_t bytes = (size_t)at_numel(one.y) * sizeof(at_real);
        assert_memory_equal(one.y->data, more.y->data, bytes);
        assert_memory_equal(one.qkv.grad, more.qkv.grad, 3 * bytes);
        stop(&more);
    }
    stop(&one);
}

/* The whole sequence at once, and in pieces through the cache. */
static void test_cached(void **state) {
    (void)state;
    static const int64_t pieces[] = {1, 5, 64, 1, 2, 57};
    const shape s = {1, 130, 3, 40};
    const int64_t C = s.heads * s.D;
    bench b;
    start(&b, &s, 2, at_cpu_features());
    both_ways(&b, &s);
    at_kv kv = {.cap = s.T};
    int64_t done = 0;
    kv.k = at_malloc(&b.c, (size_t)(s.T * C) * sizeof(at_real));
    kv.v = at_malloc(&b.c, (size_t)(s.T * C) * sizeof(at_real));
    for (size_t i = 0; i < sizeof pieces / sizeof pieces[0]; i++) {
        const int64_t at = done;
        at_tensor part = {.data = b.qkv.data + at * 3 * C, .dim = {pieces[i], 3 * C}, .rank = 2};
        const at_tensor *y =
            at_attention_cached(&b.r, &part, ONE_SPAN(pieces[i], at, &kv), s.heads);
        assert_non_null(y);
        done += pieces[i];
        for (int64_t j = 0; j < pieces[i] * C; j++)
            assert_true(fabs((double)(y->data[j] - b.y->data[at * C + j])) < 1e-5);
    }
    assert_int_equal(done, s.T);
    at_tensor part = {.data = b.qkv.data, .dim = {1, 3 * C}, .rank = 2};
    assert_null(at_attention_cached(&b.r, &part, ONE_SPAN(1, s.T, &kv), s.heads)); /* full */
    assert_int_equal(b.r.status, AT_ARG);
    at_free(kv.k);
    at_free(kv.v);
    stop(&b);
}

static void test_refusals(void **state) {
    (void)state;
    const shape s = {2, 3, 2, 4};
    static const struct {
        int64_t B, T;
        int heads;
    } bad[] = {{2, 4, 2}, {2, 3, 3}, {2, 3, 0}, {1, 3, 2}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        bench b;
        start(&b, &s, 1, 0);
        assert_null(at_attention(&b.r, &b.qkv, bad[i].B, bad[i].T, bad[i].heads));
        assert_int_equal(b.r.status, AT_SHAPE);
        assert_non_null(strstr(b.r.message, "[6,24]"));
        stop(&b);
    }
    bench b;
    start(&b, &s, 1, 0);
    at_kv kv = {.cap = 10};
    assert_null(at_attention_cached(&b.r, &b.qkv, ONE_SPAN(6, 0, &kv), 5));
    assert_int_equal(b.r.status, AT_SHAPE);
    stop(&b);
}

/* Working memory that cannot be had is a status, forward and backward. */
static void test_oom(void **state) {
    (void)state;
    const shape s = {1, 40, 1, 8};
    int failed = 0;
    for (int64_t at = 1;; at++) {
        bench b;
        start(&b, &s, 2, at_cpu_features());
        b.c.fail_after = at;
        at_tensor *y = at_attention(&b.r, &b.qkv, s.B, s.T, s.heads);
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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_definition), cmocka_unit_test(test_threads),
        cmocka_unit_test(test_cached),     cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_oom),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
