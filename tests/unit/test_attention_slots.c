/* test_attention_slots.c - attention with a tensor each for queries, keys and values, against its
   definition for every instruction set; same bits for every number of threads and in the packed
   form; the cache against the whole; refusals.  And rotary positions. */
#include "base/cpu.h"
#include "noise.h"
#include "one_span.h"
#include "op/op.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct shape {
    int64_t B, T, past, slots;
    int heads;
    int64_t D;
} shape;

static const shape SHAPES[] = {{1, 1, 0, 1, 1, 2},    {2, 3, 0, 2, 2, 4},   {1, 40, 0, 3, 1, 5},
                               {2, 19, 48, 2, 2, 16}, {1, 65, 0, 2, 2, 64}, {1, 33, 7, 1, 1, 80},
                               {3, 1, 50, 5, 1, 12}};
enum { N_SHAPES = sizeof SHAPES / sizeof SHAPES[0] };

typedef struct bench {
    at_ctx c;
    at_compute cp;
    at_arena arena;
    at_run r;
    at_tensor t[3], *y; /* q, k, v */
} bench;

static void start(bench *b, const shape *s, int threads, unsigned features) {
    memset(b, 0, sizeof *b);
    at_ctx_init(&b->c, threads);
    b->c.cpu = features;
    assert_int_equal(at_compute_open(&b->cp, &b->c), AT_OK);
    at_arena_init(&b->arena, &b->c);
    at_run_init(&b->r, &b->cp, &b->arena, true, 1);
    for (int i = 0; i < 3; i++) {
        const int64_t rows = s->B * (s->T + (i ? s->past : 0)), A = s->heads * s->D;
        at_tensor *t = &b->t[i];
        *t = (at_tensor){.dim = {rows, i ? 1 : s->slots, A}, .rank = 3};
        t->need_grad = t->keep_grad = true;
        t->data = at_malloc(&b->c, (size_t)at_numel(t) * sizeof(at_real));
        t->grad = at_calloc(&b->c, (size_t)at_numel(t), sizeof(at_real));
        assert_non_null(t->data);
        assert_non_null(t->grad);
        noise_around(t->data, at_numel(t), (uint64_t)i + 1, 0, 2);
    }
}

static void both_ways(bench *b, const shape *s) {
    b->y = at_attention_slots(&b->r, &b->t[0], &b->t[1], &b->t[2], s->B, s->T, s->slots, s->heads);
    assert_non_null(b->y);
    b->y->grad = at_run_alloc(&b->r, (size_t)at_numel(b->y) * sizeof(at_real));
    b->y->keep_grad = true;
    noise_around(b->y->grad, at_numel(b->y), 9, 0, 2);
    assert_int_equal(at_backward_from(&b->r, b->y), AT_OK);
}

static void stop(bench *b) {
    at_arena_close(&b->arena);
    at_compute_close(&b->cp);
    for (int i = 0; i < 3; i++) {
        at_free(b->t[i].data);
        at_free(b->t[i].grad);
    }
}

/* One query, by definition; at: its values, from: those of the first key of its head. */
static void define_one(const bench *b, int64_t A, int64_t D, int64_t at, int64_t from, int64_t keys,
                       double *y, double *const d[3]) {
    const at_real *q = b->t[0].data + at, *dy = b->y->grad + at;
    double p[256], sum = 0, dot = 0;
    assert_true(keys <= 256);
    for (int64_t j = 0; j < keys; j++) {
        double v = 0;
        for (int64_t e = 0; e < D; e++) v += (double)q[e] * (double)b->t[1].data[from + j * A + e];
        sum += p[j] = exp(v / sqrt((double)D));
    }
    for (int64_t e = 0; e < D; e++) {
        for (int64_t j = 0; j < keys; j++)
            y[at + e] += p[j] / sum * (double)b->t[2].data[from + j * A + e];
        dot += y[at + e] * (double)dy[e];
    }
    for (int64_t j = 0; j < keys; j++) {
        const int64_t key = from + j * A;
        double dp = 0;
        for (int64_t e = 0; e < D; e++) dp += (double)dy[e] * (double)b->t[2].data[key + e];
        const double ds = p[j] / sum * (dp - dot) / sqrt((double)D);
        for (int64_t e = 0; e < D; e++) {
            d[0][at + e] += ds * (double)b->t[1].data[key + e];
            d[1][key + e] += ds * (double)q[e];
            d[2][key + e] += p[j] / sum * (double)dy[e];
        }
    }
}

static void define(const bench *b, const shape *s, double *y, double *const d[3]) {
    const int64_t D = s->D, A = s->heads * D, S = s->past + s->T;
    for (int64_t i = 0; i < s->B; i++)
        for (int64_t u = 0; u < s->T * s->slots; u++)
            for (int64_t h = 0; h < A; h += D)
                define_one(b, A, D, (i * s->T * s->slots + u) * A + h, i * S * A + h,
                           s->past + u / s->slots + 1, y, d);
}

static void same(const char *what, int shape_index, int64_t n, const at_real *got,
                 const double *want) {
    double off = 0, size = 0;
    for (int64_t i = 0; i < n; i++) {
        off += ((double)got[i] - want[i]) * ((double)got[i] - want[i]);
        size += want[i] * want[i];
    }
    if (!(sqrt(off) <= 2e-6 * sqrt(size) + 1e-7))
        fail_msg("%s of shape %d: off by %g of %g", what, shape_index, sqrt(off), sqrt(size));
}

static void test_definition(void **state) {
    (void)state;
    static const unsigned sets[] = {0, AT_CPU_AVX2, AT_CPU_AVX2 | AT_CPU_AVX512};
    static const char *const names[] = {"dq", "dk", "dv"};
    for (int f = 0; f < 3; f++)
        for (int i = 0; i < N_SHAPES; i++) {
            if ((sets[f] & at_cpu_features()) != sets[f]) continue;
            bench b;
            start(&b, &SHAPES[i], 2, sets[f]);
            both_ways(&b, &SHAPES[i]);
            double *want = calloc((size_t)at_numel(b.y), sizeof *want), *d[3];
            for (int k = 0; k < 3; k++) d[k] = calloc((size_t)at_numel(&b.t[k]), sizeof *d[k]);
            assert_true(want && d[0] && d[1] && d[2]);
            define(&b, &SHAPES[i], want, d);
            same("y", i, at_numel(b.y), b.y->data, want);
            for (int k = 0; k < 3; k++) {
                same(names[k], i, at_numel(&b.t[k]), b.t[k].grad, d[k]);
                free(d[k]);
            }
            free(want);
            stop(&b);
        }
}

static void test_threads(void **state) {
    (void)state;
    const shape s = {2, 30, 11, 2, 2, 24};
    bench one, more;
    start(&one, &s, 1, at_cpu_features());
    both_ways(&one, &s);
    for (int threads = 2; threads <= 5; threads++) {
        start(&more, &s, threads, at_cpu_features());
        both_ways(&more, &s);
        assert_memory_equal(one.y->data, more.y->data, (size_t)at_numel(one.y) * sizeof(at_real));
        for (int i = 0; i < 3; i++)
            assert_memory_equal(one.t[i].grad, more.t[i].grad,
                                (size_t)at_numel(&one.t[i]) * sizeof(at_real));
        stop(&more);
    }
    stop(&one);
}

/* One slot and no history is the packed form, bit for bit. */
static void test_packed(void **state) {
    (void)state;
    const shape s = {2, 37, 0, 1, 3, 8};
    const int64_t rows = s.B * s.T, C = s.heads * s.D;
    bench b;
    start(&b, &s, 2, at_cpu_features());
    both_ways(&b, &s);
    at_tensor qkv = {.dim = {rows, 3 * C}, .rank = 2, .need_grad = true, .keep_grad = true};
    qkv.data = at_malloc(&b.c, (size_t)(rows * 3 * C) * sizeof(at_real));
    qkv.grad = at_calloc(&b.c, (size_t)(rows * 3 * C), sizeof(at_real));
    assert_true(qkv.data && qkv.grad);
    for (int64_t i = 0; i < 3 * rows; i++)
        memcpy(qkv.data + i * C, b.t[i % 3].data + i / 3 * C, (size_t)C * sizeof(at_real));
    at_tensor *y = at_attention(&b.r, &qkv, s.B, s.T, s.heads);
    assert_non_null(y);
    assert_memory_equal(y->data, b.y->data, (size_t)(rows * C) * sizeof(at_real));
    y->grad = b.y->grad;
    assert_int_equal(at_backward_from(&b.r, y), AT_OK);
    for (int64_t i = 0; i < 3 * rows; i++)
        assert_memory_equal(qkv.grad + i * C, b.t[i % 3].grad + i / 3 * C,
                            (size_t)C * sizeof(at_real));
    at_free(qkv.data);
    at_free(qkv.grad);
    stop(&b);
}

static at_tensor part_of(const at_tensor *t, int64_t row, int64_t rows) {
    at_tensor p = *t;
    p.data = t->data + row * t->dim[1] * t->dim[2];
    p.dim[0] = rows;
    return p;
}

/* The whole sequence at once, and in pieces through the cache. */
static void test_cached(void **state) {
    (void)state;
    static const int64_t pieces[] = {1, 5, 64, 1, 2, 57};
    const shape s = {1, 130, 0, 3, 2, 40};
    const int64_t A = s.heads * s.D;
    bench b;
    start(&b, &s, 2, at_cpu_features());
    both_ways(&b, &s);
    at_kv kv = {.cap = s.T};
    int64_t done = 0;
    kv.k = at_malloc(&b.c, (size_t)(s.T * A) * sizeof(at_real));
    kv.v = at_malloc(&b.c, (size_t)(s.T * A) * sizeof(at_real));
    for (size_t i = 0; i < sizeof pieces / sizeof pieces[0]; i++) {
        const int64_t at = done, nodes = b.r.n_nodes;
        at_tensor part[3];
        for (int k = 0; k < 3; k++) part[k] = part_of(&b.t[k], at, pieces[i]);
        const at_tensor *y = at_attention_slots_cached(
            &b.r, &part[0], &part[1], &part[2], ONE_SPAN(pieces[i], at, &kv), s.slots, s.heads);
        assert_non_null(y);
        assert_int_equal(b.r.n_nodes, nodes);
        done += pieces[i];
        for (int64_t j = 0; j < at_numel(y); j++)
            assert_true(fabs((double)(y->data[j] - b.y->data[at * s.slots * A + j])) < 1e-5);
    }
    assert_int_equal(done, s.T);
    at_tensor q = part_of(&b.t[0], 0, 1), k = part_of(&b.t[1], 0, 1);
    assert_null(at_attention_slots_cached(&b.r, &q, &k, &k, ONE_SPAN(1, s.T, &kv), s.slots,
                                          s.heads)); /* full */
    assert_int_equal(b.r.status, AT_ARG);
    at_free(kv.k);
    at_free(kv.v);
    stop(&b);
}

static void test_refusals(void **state) {
    (void)state;
    const shape s = {2, 3, 1, 2, 2, 4};
    static const shape bad[] = {{2, 4, 0, 2, 2, 0}, {2, 3, 0, 1, 2, 0}, {2, 3, 0, 2, 3, 0},
                                {2, 3, 0, 2, 0, 0}, {0, 3, 0, 2, 2, 0}, {2, 6, 0, 1, 2, 0}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        bench b;
        start(&b, &s, 1, 0);
        assert_null(at_attention_slots(&b.r, &b.t[0], &b.t[1], &b.t[2], bad[i].B, bad[i].T,
                                       bad[i].slots, bad[i].heads));
        assert_int_equal(b.r.status, AT_SHAPE);
        assert_non_null(strstr(b.r.message, "[6,2,8]"));
        stop(&b);
    }
    bench b;
    start(&b, &s, 1, 0);
    at_kv kv = {.cap = 10};
    assert_null(
        at_attention_slots_cached(&b.r, &b.t[0], &b.t[1], &b.t[2], ONE_SPAN(6, 0, &kv), 3, 2));
    assert_int_equal(b.r.status, AT_SHAPE);
    assert_non_null(strstr(b.r.message, "3 slots"));
    stop(&b);
}

/* ---- rotary positions ---- */

/* Rotation against a computation by hand; the product of query and key depends only on their
   distance. */
static void test_rope(void **state) {
    (void)state;
    const shape s = {2, 3, 0, 2, 2, 4};
    bench b;
    start(&b, &s, 2, at_cpu_features());
    static const int32_t at[] = {30002, 30003, 30004, 30005, 30006, 30007};
    at_tensor *y = at_rope(&b.r, &b.t[0], 2, at_rope_angles(&b.r, at, 3, 4, 10000)),
              *z = at_rope(&b.r, &b.t[0], 2, at_rope_angles(&b.r, at + 3, 3, 4, 10000));
    assert_true(y && z);
    for (int64_t i = 0; i < at_numel(y); i++) {
        const int64_t pair = i % 2, row = i / 8, first = i - i % 4 + pair;
        const double angle = (double)(30002 + row / 2 % 3) * (pair ? 0.01 : 1);
        const double u = (double)b.t[0].data[first], v = (double)b.t[0].data[first + 2];
        const double want =
            i % 4 < 2 ? u * cos(angle) - v * sin(angle) : v * cos(angle) + u * sin(angle);
        assert_true(fabs((double)y->data[i] - want) < 1e-6);
    }
    const at_kernels *k = &b.cp.k;
    const at_real *q = y->data, *key = y->data + 16; /* tokens 0 and 1 */
    assert_true(fabs((double)(k->dot(4, q, key) - k->dot(4, z->data, z->data + 16))) < 1e-5);
    /* 6 tokens of 4 positions */
    assert_null(at_rope(&b.r, &b.t[0], 2, at_rope_angles(&b.r, at, 4, 4, 10000)));
    assert_int_equal(b.r.status, AT_SHAPE);
    assert_non_null(strstr(b.r.message, "4 positions"));
    stop(&b);
    start(&b, &s, 1, 0);
    /* heads of 6 in 8 values */
    assert_null(at_rope(&b.r, &b.t[0], 2, at_rope_angles(&b.r, at, 3, 6, 10000)));
    assert_int_equal(b.r.status, AT_SHAPE);
    stop(&b);
    start(&b, &s, 1, 0);
    assert_null(at_rope_angles(&b.r, at, 3, 5, 10000));
    assert_int_equal(b.r.status, AT_ARG);
    stop(&b);
}

/* Working memory that cannot be had is a status, forward and backward. */
static void test_oom(void **state) {
    (void)state;
    const shape s = {1, 40, 0, 2, 1, 8};
    int failed = 0;
    for (int64_t at = 1; at < 1000; at++) {
        bench b;
        start(&b, &s, 2, at_cpu_features());
        b.c.fail_after = at;
        int32_t place[40];
        for (int i = 0; i < 40; i++) place[i] = i;
        at_tensor *q = at_rope(&b.r, &b.t[0], 2, at_rope_angles(&b.r, place, 40, 8, 10000));
        at_tensor *y = at_attention_slots(&b.r, q, &b.t[1], &b.t[2], 1, 40, 2, 1);
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
    assert_in_range(failed, 2, 900);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_definition), cmocka_unit_test(test_threads),
        cmocka_unit_test(test_packed),     cmocka_unit_test(test_cached),
        cmocka_unit_test(test_refusals),   cmocka_unit_test(test_rope),
        cmocka_unit_test(test_oom),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
