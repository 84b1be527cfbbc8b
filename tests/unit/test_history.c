/*
 * test_history.c - recurrence over blocks: with unchanged parameters the second block, with the
 * first as its history, equals the second half of both read at once; no gradient flows into
 * history; how much is kept of which sequence.
 *
 * Compiled in float, and again in double (tests/double/test_history_double.c), where the gradient
 * is compared with differences too.
 */
#include "arch/read.h"
#include "base/rng.h"
#include "check.h"
#include <math.h>
#include <stdio.h>

enum { B = 2, T = 9, V = 40, BLOCKS = 3 };

static at_ctx ctx;
static at_compute cp;
static at_arena arena;
static const bool in_double = sizeof(at_real) == 8;
static int32_t ids[B][BLOCKS * T]; /* blocks of tokens of their own: 0-9, 10-19, 20-29 */

static const char *const yaml[] = {
    "model: {arch: moduleformer, n_layer: 2, n_embd: 12, att_hidden: 12, ffd_hidden: 10, "
    "gating_size: 7, n_att_experts: 4, n_mlp_experts: 5, initializer_range: 0.5}\n",
    "model: {arch: moduleformer, n_layer: 2, n_embd: 10, n_head: 2, att_hidden: 12, ffd_hidden: "
    "10, "
    "gating_size: 7, n_att_experts: 4, n_mlp_experts: 5, initializer_range: 0.5}\n",
    "model: {arch: moduleformer, n_layer: 1, n_embd: 12, att_hidden: 12, ffd_hidden: 10, "
    "gating_size: 7, n_att_experts: 4, n_mlp_experts: 5, initializer_range: 0.5}\n",
};

static at_model *make(int which) {
    at_conf *f = NULL;
    at_model *m = NULL;
    OK(at_conf_parse(&ctx, "model", yaml[which], strlen(yaml[which]), &f));
    OK(at_model_new(&ctx, f, "model", V, 5, &m));
    OK(at_conf_finish(&ctx, f));
    at_conf_close(f);
    for (int64_t i = 0; i < m->store.n_stacks; i++) { /* experts far from the zero they begin at */
        at_tensor *t = &m->store.stack[i]->t;
        for (int64_t j = 0; j < at_numel(t) && t->rank == 3; j++)
            t->data[j] = (at_real)(0.5 * at_normal(3, (uint64_t)i, (uint64_t)j));
    }
    return m;
}

static void open_for(const at_model *m, int64_t length, at_history *h) {
    OK(at_history_open(&ctx, m->dims.layers, m->dims.cache_width, m->dims.one_cache, B, length, h));
}

/* Hidden states of blocks [first, first + n) as one feed. */
static at_tensor *feed(at_run *r, at_model *m, int first, int n, at_history *h) {
    int32_t x[B * BLOCKS * T];
    for (int b = 0; b < B; b++)
        memcpy(x + b * n * T, ids[b] + first * T, (size_t)(n * T) * sizeof *x);
    const at_input f = {.ids = x, .B = B, .T = n * T};
    at_tensor *y = at_model_hidden(m, r, &f, &(at_pass){.history = h});
    OK(at_run_status(r));
    return y;
}

/* Blocks one after the other: `length` holds all that came before. */
static void blocks_are_the_whole(void **state) {
    (void)state;
    for (int which = 0; which < 2; which++) {
        at_model *m = make(which);
        at_history h;
        open_for(m, BLOCKS * T, &h);
        at_run r;
        at_run_init(&r, &cp, &arena, false, 0);
        const at_tensor *all = feed(&r, m, 0, BLOCKS, NULL);
        const int64_t C = m->dims.width;
        for (int k = 0; k < BLOCKS; k++) {
            at_history_begin(&h, (int32_t[B]){k * T, k * T});
            assert_int_equal(h.ahead, k ? BLOCKS * T : 0);
            const at_tensor *y = feed(&r, m, k, 1, &h);
            const at_tensor *again = feed(&r, m, k, 1, &h); /* a pass moves nothing */
            assert_memory_equal(y->data, again->data, (size_t)at_numel(y) * sizeof(at_real));
            at_history_advance(&h);
            for (int b = 0; b < B; b++)
                for (int64_t j = 0; j < T * C; j++) {
                    const double want = (double)all->data[(b * BLOCKS + k) * T * C + j];
                    const double off = fabs((double)y->data[b * T * C + j] - want);
                    if (!(off < (in_double ? 1e-12 : 2e-5)))
                        fail_msg("model %d, block %d: off by %g", which, k, off);
                }
        }
        at_arena_rewind(&arena, (at_mark){0});
        at_history_close(&h);
        at_model_close(m);
    }
}

/* With one layer a short history acts as a mask: a token sees `length` keys of the block before; in
   a sequence that begins anew it sees none, whatever is in the buffer. */
static void as_much_as_is_kept(void **state) {
    (void)state;
    at_model *m = make(2);
    at_history h;
    open_for(m, 4, &h);
    at_run r;
    at_run_init(&r, &cp, &arena, false, 0);
    const int64_t C = m->dims.width;
    at_history_begin(&h, (int32_t[B]){0, 0});
    (void)feed(&r, m, 0, 1, &h);
    at_history_advance(&h);
    at_history_begin(&h, (int32_t[B]){4, 0});
    const at_tensor *y = feed(&r, m, 1, 1, &h);
    int32_t x[4 + T]; /* the last 4 of the block before, then this one */
    memcpy(x, ids[0] + T - 4, sizeof x);
    const at_input f = {.ids = x, .B = 1, .T = 4 + T};
    const at_tensor *with = at_model_hidden(m, &r, &f, NULL);
    const at_tensor *without = feed(&r, m, 1, 1, NULL);
    OK(at_run_status(&r));
    for (int64_t j = 0; j < T * C; j++) {
        assert_true(fabs((double)(y->data[j] - with->data[4 * C + j])) < 2e-5);
        assert_true(fabs((double)(y->data[T * C + j] - without->data[T * C + j])) < 2e-5);
    }
    at_arena_rewind(&arena, (at_mark){0});
    at_history_close(&h);
    at_model_close(m);
}

/* Loss of the second block; labels of a first one in the same feed are skipped. */
static double loss_of(at_model *m, int first, int n, at_history *h, bool backward) {
    int32_t label[B * BLOCKS * T];
    for (int i = 0; i < B * n * T; i++) label[i] = i % (n * T) < (n - 1) * T ? -1 : i * 7 % V;
    if (n == 1) /* the same labels as where two blocks are fed */
        for (int i = 0; i < B * T; i++) label[i] = (i / T * 2 * T + T + i % T) * 7 % V;
    at_run r;
    at_run_init(&r, &cp, &arena, true, 1);
    at_tensor *x = feed(&r, m, first, n, h);
    const at_head_spec spec = {.label = label};
    at_tensor *loss = at_head_loss(&r, x, at_model_head(m), &spec, NULL);
    OK(at_run_status(&r));
    const double v = (double)loss->data[0];
    if (backward) OK(at_backward(&r, loss, 1));
    at_arena_rewind(&arena, (at_mark){0});
    return v;
}

static at_model *after_a_block(int which, at_history *h) {
    at_model *m = make(which);
    OK(at_store_train(&m->store, false));
    open_for(m, T, h);
    at_history_begin(h, (int32_t[B]){0, 0});
    (void)loss_of(m, 0, 1, h, false);
    at_history_advance(h);
    at_history_begin(h, (int32_t[B]){T, T});
    return m;
}

/* The two blocks have no token in common.  Read at once, gradients also flow through the keys of
   the first block, into its rows of the embedding and the norm before attention; all other
   gradients are equal. */
static void keys_are_detached(void **state) {
    (void)state;
    at_history h;
    at_model *m = after_a_block(2, &h), *whole = make(2);
    OK(at_store_train(&whole->store, false));
    const double one = loss_of(m, 1, 1, &h, true), two = loss_of(whole, 0, 2, NULL, true);
    assert_true(fabs(one - two) < (in_double ? 1e-12 : 1e-5));
    for (int64_t i = 0; i < m->store.n_stacks; i++) {
        const at_stack *e = m->store.stack[i], *w = whole->store.stack[i];
        double off = 0, size = 0;
        const bool table = strstr(e->path, "wte") != NULL;
        if (strstr(e->path, "ln_1")) continue;
        for (int64_t j = 0; j < at_numel(&e->t); j++) {
            if (table && j / m->dims.width < 10) { /* tokens of the first block */
                assert_true(e->t.grad[j] == 0);
                continue;
            }
            off += pow((double)(e->t.grad[j] - w->t.grad[j]), 2);
            size += pow((double)w->t.grad[j], 2);
        }
        if (!(sqrt(off) <= (in_double ? 1e-11 : 1e-4) * sqrt(size)))
            fail_msg("%s: off by %g of %g", e->path, sqrt(off), sqrt(size));
        if (!table) continue;
        double there = 0;
        for (int64_t j = 0; j < 10 * m->dims.width; j++) there += fabs((double)w->t.grad[j]);
        assert_true(there > 1e-4);
    }
    at_history_close(&h);
    at_model_close(m);
    at_model_close(whole);
}

/* With several layers and separate keys and values: the gradient is the derivative for fixed
   history. */
static void gradient_is_the_derivative(void **state) {
    (void)state;
    if (!in_double) return;
    for (int which = 0; which < 2; which++) {
        at_history h;
        at_model *m = after_a_block(which, &h);
        (void)loss_of(m, 1, 1, &h, true);
        for (int64_t i = 0; i < m->store.n_stacks; i++) {
            at_tensor *t = &m->store.stack[i]->t;
            const double step = 1e-5;
            double along = 0, f[2];
            for (int64_t j = 0; j < at_numel(t); j++)
                along += at_normal(11, (uint64_t)i, (uint64_t)j) * (double)t->grad[j];
            for (int k = 0; k < 2; k++) {
                for (int64_t j = 0; j < at_numel(t); j++)
                    t->data[j] +=
                        (at_real)((k ? -2 * step : step) * at_normal(11, (uint64_t)i, (uint64_t)j));
                f[k] = loss_of(m, 1, 1, &h, false);
            }
            for (int64_t j = 0; j < at_numel(t); j++)
                t->data[j] += (at_real)(step * at_normal(11, (uint64_t)i, (uint64_t)j));
            const double want = (f[0] - f[1]) / (2 * step);
            if (!(fabs(along - want) < 1e-7 * (1 + fabs(want))))
                fail_msg("model %d, %s: %.12g, difference %.12g", which, m->store.stack[i]->path,
                         along, want);
        }
        at_history_close(&h);
        at_model_close(m);
    }
}

static void refusals(void **state) {
    (void)state;
    at_model *m = make(0);
    at_history h;
    OK(at_history_open(&ctx, 1, m->dims.cache_width, m->dims.one_cache, B, 4, &h));
    at_run r;
    at_run_init(&r, &cp, &arena, false, 0);
    at_history_begin(&h, (int32_t[B]){0, 0});
    const at_input f = {.ids = ids[0], .B = B, .T = T};
    assert_null(at_model_hidden(m, &r, &f, &(at_pass){.history = &h}));
    assert_int_equal(at_run_status(&r), AT_SHAPE);
    expect_says(&ctx, "layer 1; kept are 1 layers");
    at_history_close(&h);
    assert_int_equal(at_history_open(&ctx, 1 << 20, 1 << 20, false, 1 << 20, 1 << 20, &h), AT_OOM);
    at_history_close(&h);
    at_model_close(m);
    at_arena_rewind(&arena, (at_mark){0});
}

int main(void) {
    at_ctx_init(&ctx, 2);
    at_arena_init(&arena, &ctx);
    if (at_compute_open(&cp, &ctx) != AT_OK) return 1;
    for (int b = 0; b < B; b++)
        for (int i = 0; i < BLOCKS * T; i++) ids[b][i] = i / T * 10 + (i * 7 + b * 3) % 10;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_are_the_whole),
        cmocka_unit_test(as_much_as_is_kept),
        cmocka_unit_test(keys_are_detached),
        cmocka_unit_test(gradient_is_the_derivative),
        cmocka_unit_test(refusals),
    };
    const int bad = cmocka_run_group_tests(tests, NULL, NULL);
    at_compute_close(&cp);
    at_arena_close(&arena);
    return bad;
}
