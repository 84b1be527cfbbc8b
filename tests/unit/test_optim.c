/*
 * test_optim.c - optimisers as they are chosen from their table: what has no gradient is left alone and
 * counts its own steps; Muon orthogonalises matrices, slot by slot, and leaves the rest to AdamW.
 */
#include "base/rng.h"
#include "check.h"
#include "tensor/optim.h"
#include <math.h>
#include <string.h>

static at_ctx ctx;

/* Wide, tall, a stack of slots (of more than a chunk), an embedding, a vector, one that is frozen. */
enum { WIDE, TALL, STACK, TABLE, VECTOR, FROZEN, PARAMS, SLOT = 36 * 1824, LARGEST = 90 * 130 };
static const int64_t dim[PARAMS][3] = {{90, 130}, {130, 90}, {3, 36, 1824}, {20, 9}, {33}, {9, 9}};
static const int rank[PARAMS] = {2, 2, 3, 2, 1, 2};

typedef struct {
    at_compute cp;
    at_store s;
    at_optim o;
} bench;

static at_store store_of(void) {
    at_store s;
    at_store_init(&s, &ctx);
    for (int k = 0; k < PARAMS; k++) {
        at_tensor *t = at_param(&s, AT_INIT_NORMAL, 1, rank[k], dim[k], "p%d", k);
        assert_non_null(t);
        if (k == TABLE) assert_ptr_equal(at_param_table(t), t);
    }
    OK(at_store_alloc(&s));
    at_store_randomise(&s, 3);
    assert_int_equal(at_store_freeze(&s, "p5"), 1);
    OK(at_store_train(&s, true));
    return s;
}

static bench bench_of(const at_optimiser *rule, int threads) {
    bench b = {.s = store_of()};
    b.o = (at_optim){.rule = rule,
                     .beta1 = 0.9,
                     .beta2 = 0.95,
                     .eps = 1e-8,
                     .weight_decay = 0.1,
                     .momentum = 0.9,
                     .muon_scale = 0.2};
    ctx.threads = threads;
    OK(at_compute_open(&b.cp, &ctx));
    return b;
}

static void close_bench(bench *b) {
    at_store_close(&b->s);
    at_compute_close(&b->cp);
}

/* Other gradients in each step, as if they had flowed there. */
static void give(bench *b, int k, int step) {
    at_tensor *t = &b->s.p[k]->t;
    for (int64_t i = 0; i < at_numel(t); i++)
        t->grad[i] = (at_real)at_normal((uint64_t)step, AT_STREAM_TEST + (uint64_t)k, (uint64_t)i);
    t->has_grad = true;
}

static void take_step(bench *b) { OK(at_optim_step(&b->cp, &b->s, &b->o, 0.01, 1)); }

static void same(const bench *a, const bench *b, int k) {
    const at_param_entry *x = a->s.p[k], *y = b->s.p[k];
    const size_t bytes = (size_t)at_numel(&x->t) * sizeof(at_real);
    assert_memory_equal(x->t.data, y->t.data, bytes);
    assert_int_equal(x->steps, y->steps);
    assert_int_equal(x->moment, y->moment);
    assert_true((x->moment < 0) == (k == FROZEN));
    if (k == FROZEN) return;
    assert_memory_equal(a->s.m + x->moment, b->s.m + y->moment, bytes);
    assert_memory_equal(a->s.v + x->moment, b->s.v + y->moment, bytes);
}

/* Parameter k has its gradients in steps 1 and 4 of one bench, in 1 and 2 of the other: which ends
   where the first does, whatever the rule.  At last steps there is none for anybody. */
static void without_a_gradient_nothing_happens(void **state) {
    (void)state;
    for (int rule = 0; at_optimisers[rule]; rule++) {
        bench a = bench_of(at_optimisers[rule], 2), b = bench_of(at_optimisers[rule], 2);
        for (int step = 1; step <= 4; step++) {
            at_store_zero_grad(&a.s);
            for (int k = 0; k < PARAMS - 1; k++)
                if (k == WIDE || step == 1 || step == 4) give(&a, k, step);
            take_step(&a);
        }
        for (int step = 1; step <= 2; step++) {
            at_store_zero_grad(&b.s);
            for (int k = 1; k < PARAMS - 1; k++) give(&b, k, step == 1 ? 1 : 4);
            take_step(&b);
        }
        for (int k = 1; k < PARAMS; k++) same(&a, &b, k);
        assert_int_equal(a.s.p[WIDE]->steps, 4);
        assert_int_equal(a.s.p[VECTOR]->steps, 2);
        assert_int_equal(b.s.p[WIDE]->steps, 0);
        assert_int_equal(a.s.p[FROZEN]->steps, 0);
        at_store_zero_grad(&a.s);
        at_store_zero_grad(&b.s);
        assert_true(at_grad_squares(&a.cp, &a.s) <= 0);
        take_step(&a);
        for (int k = 1; k < PARAMS; k++) same(&a, &b, k);
        close_bench(&a);
        close_bench(&b);
    }
}

static void on_any_threads(void **state) {
    (void)state;
    for (int rule = 0; at_optimisers[rule]; rule++) {
        bench b[4]; /* with 4 threads they share each slot, else each has its own */
        for (int i = 0; i < 4; i++) {
            b[i] = bench_of(at_optimisers[rule], i + 1);
            for (int step = 1; step <= 2; step++) {
                for (int k = 0; k < PARAMS - 1; k++) give(&b[i], k, step);
                take_step(&b[i]);
            }
            for (int k = 0; k < PARAMS; k++) same(&b[0], &b[i], k);
        }
        for (int i = 0; i < 4; i++) close_bench(&b[i]);
    }
}

/* ---- Muon ---- */

/* What a step added to a matrix, in steps of one size: its rows are nearly orthogonal. */
static void is_orthogonal(const double *x, int64_t rows, int64_t cols, double lr) {
    const bool wide = rows <= cols;
    const int64_t n = wide ? rows : cols, k = wide ? cols : rows;
    double diagonal = 0, rest = 0;
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < n; j++) {
            double sum = 0;
            for (int64_t l = 0; l < k; l++)
                sum += wide ? x[i * cols + l] * x[j * cols + l] : x[l * cols + i] * x[l * cols + j];
            sum /= lr * lr * 0.2 * 0.2 * (double)k; /* 0.7 to 1.2, squared, in every direction */
            if (i == j && !(sum > 0.4 && sum < 1.5)) fail_msg("a direction goes %g", sum);
            *(i == j ? &diagonal : &rest) += sum * sum;
        }
    if (!(rest < 0.2 * diagonal)) /* of the gradient itself: 0.7 */
        fail_msg("beside the diagonal %g of %g", rest, diagonal);
}

static void matrices_step_evenly(void **state) {
    (void)state;
    static double was[LARGEST];
    for (int k = WIDE; k <= TALL; k++)
        for (int times = 1; times <= 1000;
             times *= 1000) { /* how large a gradient is says nothing */
            bench b = bench_of(&at_optimiser_muon, 2);
            at_tensor *t = &b.s.p[k]->t;
            const int64_t n = at_numel(t);
            b.o.weight_decay = 0;
            give(&b, k, 1);
            for (int64_t i = 0; i < n; i++) {
                was[i] = (double)t->data[i];
                t->grad[i] *= (at_real)times * (at_real)(1 + i % 5); /* far from orthogonal */
            }
            take_step(&b);
            for (int64_t i = 0; i < n; i++) was[i] = (double)t->data[i] - was[i];
            is_orthogonal(was, t->dim[0], t->dim[1], 0.01);
            close_bench(&b);
        }
}

/* A matrix and its transpose take the same step. */
static void shape_says_nothing(void **state) {
    (void)state;
    bench b = bench_of(&at_optimiser_muon, 2);
    at_tensor *w = &b.s.p[WIDE]->t, *t = &b.s.p[TALL]->t;
    const int64_t rows = w->dim[0], cols = w->dim[1];
    for (int step = 1; step <= 3; step++) {
        give(&b, WIDE, step);
        give(&b, TALL, step);
        for (int64_t i = 0; i < rows; i++)
            for (int64_t j = 0; j < cols; j++) {
                t->grad[j * rows + i] = w->grad[i * cols + j];
                if (step == 1) t->data[j * rows + i] = w->data[i * cols + j];
            }
        take_step(&b);
    }
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < cols; j++)
            assert_true(fabs((double)(t->data[j * rows + i] - w->data[i * cols + j])) < 1e-5);
    close_bench(&b);
}

static void the_rest_is_adamws(void **state) {
    (void)state;
    bench a = bench_of(&at_optimiser_adamw, 2), m = bench_of(&at_optimiser_muon, 2);
    for (int step = 1; step <= 3; step++) {
        for (int k = 0; k < PARAMS - 1; k++) give(&a, k, step), give(&m, k, step);
        take_step(&a);
        take_step(&m);
    }
    same(&a, &m, TABLE);
    same(&a, &m, VECTOR);
    same(&a, &m, FROZEN);
    for (int k = WIDE; k <= STACK; k++)
        assert_memory_not_equal(a.s.p[k]->t.data, m.s.p[k]->t.data, 64);
    close_bench(&a);
    close_bench(&m);
}

/* Slots of a stack do not know of each other, and one without a token stays where it is. */
static void slots_are_matrices(void **state) {
    (void)state;
    bench a = bench_of(&at_optimiser_muon, 2), b = bench_of(&at_optimiser_muon, 2);
    const size_t bytes = SLOT * sizeof(at_real);
    at_real *x = a.s.p[STACK]->t.data, *y = b.s.p[STACK]->t.data;
    static at_real before[SLOT];
    for (int step = 1; step <= 3; step++) {
        give(&a, STACK, step);
        give(&b, STACK, step);
        memcpy(before, x + SLOT, bytes);
        memset(b.s.p[STACK]->t.grad, 0, bytes);
        if (step == 2) memset(a.s.p[STACK]->t.grad + SLOT, 0, bytes);
        if (step == 2) memset(b.s.p[STACK]->t.grad + SLOT, 0, bytes);
        take_step(&a);
        take_step(&b);
        assert_int_equal(memcmp(before, x + SLOT, bytes) == 0, step == 2);
    }
    assert_memory_equal(x + SLOT, y + SLOT, 2 * bytes);
    at_store fresh = store_of();
    assert_memory_equal(y, fresh.p[STACK]->t.data, bytes);
    at_store_close(&fresh);
    assert_memory_not_equal(x, y, bytes);
    close_bench(&a);
    close_bench(&b);
}

static void momentum_of_clipped_gradients(void **state) {
    (void)state;
    bench b = bench_of(&at_optimiser_muon, 2);
    b.o.clip = 2;
    give(&b, WIDE, 1);
    OK(at_optim_step(&b.cp, &b.s, &b.o, 0.01, 8));
    for (int64_t i = 0; i < LARGEST; i++)
        assert_true(fabs((double)(b.s.m[i] - b.s.p[WIDE]->t.grad[i] / 4)) < 1e-7);
    close_bench(&b);
}

/* Rows of the table are told apart by their names. */
static void names(void **state) {
    (void)state;
    assert_string_equal(at_optimisers[0]->name, "adamw");
    assert_string_equal(at_optimisers[1]->name, "muon");
    assert_null(at_optimisers[2]);
}

int main(void) {
    at_ctx_init(&ctx, 2);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_gradient_nothing_happens),
        cmocka_unit_test(on_any_threads),
        cmocka_unit_test(matrices_step_evenly),
        cmocka_unit_test(shape_says_nothing),
        cmocka_unit_test(the_rest_is_adamws),
        cmocka_unit_test(slots_are_matrices),
        cmocka_unit_test(momentum_of_clipped_gradients),
        cmocka_unit_test(names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
