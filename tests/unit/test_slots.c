/* test_slots.c - slots of a stack are parameters of their own: where their values, gradients and moments
   lie, and what files of them look like. */
#include "check.h"
#include "io/checkpoint.h"
#include "tensor/optim.h"
#include <math.h>
#include <stdio.h>

enum { E = 5, ROWS = 6, COLS = 7, SIZE = ROWS * COLS, WIDTH = 9 };
enum { STACK, ROUTER, PLAIN };

static at_ctx ctx;
static at_compute cp;
static char *dir;

static int setup(void **state) {
    (void)state;
    at_ctx_init(&ctx, 2);
    OK(at_compute_open(&cp, &ctx));
    dir = strdup(temporary_folder());
    return 0;
}

static int teardown(void **state) {
    (void)state;
    at_compute_close(&cp);
    const at_status s = at_remove_tree(&ctx, dir);
    free(dir);
    return s ? -1 : 0;
}

static const char *in(const char *name) {
    static char path[4][300];
    static int next;
    char *p = path[next++ % 4];
    (void)snprintf(p, sizeof path[0], "%s/%s", dir, name);
    return p;
}

/* A bank's matrices, its router's rows and a bias; `stacked`: as slots, else as plain parameters. */
static void declare(at_store *s, bool stacked) {
    const int64_t matrices[] = {E, ROWS, COLS}, rows[] = {E, WIDTH}, bias = 3;
    at_store_init(s, &ctx);
    if (stacked) {
        assert_non_null(at_param_stack(s, AT_INIT_UNIFORM, 2, 3, matrices,
                                       (at_stack_names){"w.weight", "experts", "in"}, false));
        assert_non_null(at_param_stack(s, AT_INIT_NORMAL, 1, 2, rows,
                                       (at_stack_names){"gate.weight", "experts", "row"}, true));
    } else {
        assert_non_null(at_param(s, AT_INIT_UNIFORM, 2, 3, matrices, "w.weight"));
        assert_non_null(at_param(s, AT_INIT_NORMAL, 1, 2, rows, "gate.weight"));
    }
    assert_non_null(at_param(s, AT_INIT_NORMAL, 1, 1, &bias, "bias"));
}

static at_store store_of(bool stacked) {
    at_store s;
    declare(&s, stacked);
    OK(at_store_alloc(&s));
    at_store_randomise(&s, 3);
    return s;
}

static void save(const at_store *s, at_slab what, const char *name) {
    OK(at_checkpoint_save(&ctx, s, what, in(name), NULL));
}

static void same_files(const char *a, const char *b) {
    size_t n[2];
    char *x = at_read_file(&ctx, in(a), 1 << 20, &n[0]),
         *y = at_read_file(&ctx, in(b), 1 << 20, &n[1]);
    assert_true(x && y && n[0] == n[1]);
    assert_memory_equal(x, y, n[0]);
    at_free(x);
    at_free(y);
}

static at_status load(at_store *s, const char *name, const at_load_options *how, at_weights *w) {
    OK(at_weights_open(&ctx, in(name), SIZE_MAX, w));
    return at_checkpoint_load(&ctx, s, w, how);
}

/* One tensor a slot, but those that `but` leaves out. */
static void save_slots(const at_store *s, const char *name, unsigned but, bool backwards) {
    at_st_writer *w = NULL;
    OK(at_st_writer_open(&ctx, in(name), &w));
    for (int64_t k = 0; k < s->n; k++) {
        const int64_t i = backwards ? s->n - 1 - k : k;
        const at_st_tensor t = at_checkpoint_tensor(s, s->p[i], AT_SLAB_VALUE);
        const bool left = i < 2 * E && (but & 1U << i % E);
        if (!left) OK(at_st_writer_add_as(&ctx, w, t.name, t.dtype, &t));
    }
    OK(at_st_writer_commit(&ctx, w));
    at_st_writer_close(w);
}

/* ---- values ------------------------------------------------------------------------------- */

/* Declared as slots or as one parameter: the same first values in the same place, the same file. */
static void as_one_parameter(void **state) {
    (void)state;
    at_store slots = store_of(true), plain = store_of(false);
    assert_int_equal(slots.n, 2 * E + 1);
    assert_int_equal(slots.n_stacks, 3);
    assert_string_equal(slots.p[3]->path, "experts.3.in");
    assert_string_equal(slots.p[E + 2]->path, "experts.2.row");
    assert_string_equal(slots.stack[STACK]->path, "w.weight");
    assert_int_equal(slots.numel, plain.numel);
    assert_memory_equal(slots.value, plain.value, (size_t)plain.numel * sizeof(at_real));
    assert_ptr_equal(slots.stack[STACK]->slot[4]->data, slots.stack[STACK]->t.data + 4 * SIZE);
    save(&slots, AT_SLAB_VALUE, "slots");
    save(&plain, AT_SLAB_VALUE, "plain");
    same_files("slots", "plain");
    at_store_close(&slots);
    at_store_close(&plain);
}

/* Slots are read where the stack lies in the file; widened where they are small and narrow. */
static void borrowed(void **state) {
    (void)state;
    at_store s = store_of(true), t;
    at_weights w;
    save(&s, AT_SLAB_VALUE, "file");
    declare(&t, true);
    OK(load(&t, "file", &(at_load_options){.prefix = "", .borrow = true}, &w));
    const at_st_tensor *there = at_weights_find(&w, "w.weight", NULL);
    for (int64_t i = 0; i < E; i++) {
        assert_ptr_equal(t.stack[STACK]->slot[i]->data, (const at_real *)there->data + i * SIZE);
        assert_memory_equal(t.p[i]->t.data, s.p[i]->t.data, SIZE * sizeof(at_real));
    }
    assert_ptr_equal(t.stack[ROUTER]->t.data, at_weights_find(&w, "gate.weight", NULL)->data);
    save(&t, AT_SLAB_VALUE, "again");
    same_files("file", "again");
    at_store_close(&t);
    at_weights_close(&w);
    at_store_close(&s);
}

static void borrowed_in_bf16(void **state) {
    (void)state;
    const int64_t dim[] = {4, 128, 128};
    const at_stack_names names = {"big.weight", "experts", "in"};
    at_store s, t;
    at_weights w;
    at_st_writer *to = NULL;
    at_store_init(&s, &ctx);
    at_stack *k = at_param_stack(&s, AT_INIT_NORMAL, 1, 3, dim, names, false);
    OK(at_store_alloc(&s));
    at_store_randomise(&s, 3);
    at_st_tensor from = at_checkpoint_tensor(&s, s.p[0], AT_SLAB_VALUE);
    from.rank = 3;
    memcpy(from.dim, dim, sizeof dim);
    OK(at_st_writer_open(&ctx, in("narrow"), &to));
    OK(at_st_writer_add_as(&ctx, to, k->path, AT_DT_BF16, &from));
    OK(at_st_writer_commit(&ctx, to));
    at_st_writer_close(to);
    at_store_init(&t, &ctx);
    k = at_param_stack(&t, AT_INIT_NORMAL, 1, 3, dim, names, false);
    OK(load(&t, "narrow", &(at_load_options){.prefix = "", .borrow = true}, &w));
    const uint16_t *there = at_weights_find(&w, "big.weight", NULL)->data;
    for (int64_t i = 0; i < 4; i++) {
        assert_null(k->slot[i]->data);
        assert_ptr_equal(k->slot[i]->bf16, there + i * 128 * 128);
    }
    at_store_close(&t);
    at_weights_close(&w);
    at_store_close(&s);
}

/* A file may have the slots one by one; rows that are read as one are brought together. */
static void one_by_one(void **state) {
    (void)state;
    at_store s = store_of(true), t;
    at_weights w;
    save(&s, AT_SLAB_VALUE, "stacked");
    save_slots(&s, "single", 0, true);
    for (int borrow = 0; borrow < 2; borrow++) {
        declare(&t, true);
        OK(load(&t, "single", &(at_load_options){.prefix = "", .borrow = borrow}, &w));
        const at_real *rows = t.stack[ROUTER]->t.data;
        assert_memory_equal(rows, s.stack[ROUTER]->t.data, E * WIDTH * sizeof *rows);
        save(&t, AT_SLAB_VALUE, "again");
        same_files("stacked", "again");
        at_store_close(&t);
        at_weights_close(&w);
    }
    at_store_close(&s);
}

static void absent(void **state) {
    (void)state;
    at_store s = store_of(true), t;
    at_weights w;
    save_slots(&s, "some", 1U << 2 | 1U << 4, false);
    declare(&t, true);
    assert_int_equal(load(&t, "some", &(at_load_options){.prefix = ""}, &w), AT_FORMAT);
    expect_says(&ctx, "tensor `experts.2.in` is missing");
    at_store_close(&t);
    at_weights_close(&w);
    declare(&t, true);
    OK(load(&t, "some", &(at_load_options){.prefix = "", .partial = true}, &w));
    for (int64_t i = 0; i < 2 * E; i++) {
        const bool gone = i % E == 2 || i % E == 4;
        assert_true(t.p[i]->absent == gone);
        if (i < E) assert_true((t.p[i]->t.data == NULL) == gone);
    }
    at_store full = store_of(true); /* it has values that are not those of the file */
    at_weights again;
    OK(load(&full, "some", &(at_load_options){.prefix = "", .partial = true}, &again));
    assert_true(full.p[2]->absent && !full.p[2]->t.data && !full.stack[STACK]->t.data);
    at_store_close(&full);
    at_weights_close(&again);
    OK(at_store_finite(&ctx, &t, "some"));
    OK(at_store_train(&t, true)); /* what is not there does not learn */
    assert_int_equal(t.p[2]->moment, -1);
    assert_null(t.p[2]->t.grad);
    save(&t, AT_SLAB_VALUE, "again");
    same_files("some", "again");
    at_store_close(&t);
    at_weights_close(&w);
    at_store_close(&s);
}

static void refused(void **state) {
    (void)state;
    at_store s = store_of(true), t;
    at_weights w;
    at_st_writer *to = NULL;
    OK(at_st_writer_open(&ctx, in("twice"), &to));
    for (int64_t i = 0; i < s.n_stacks; i++) {
        const at_stack *k = s.stack[i];
        OK(at_st_writer_add(&ctx, to, k->path, sizeof(at_real) == 4 ? AT_DT_F32 : AT_DT_F64,
                            k->t.rank, k->t.dim, k->t.data));
    }
    const at_st_tensor slot = at_checkpoint_tensor(&s, s.p[1], AT_SLAB_VALUE);
    OK(at_st_writer_add_as(&ctx, to, slot.name, slot.dtype, &slot));
    OK(at_st_writer_commit(&ctx, to));
    at_st_writer_close(to);
    declare(&t, true);
    assert_int_equal(load(&t, "twice", &(at_load_options){.prefix = ""}, &w), AT_FORMAT);
    expect_says(&ctx, "tensor `experts.1.in` is given twice");
    at_store_close(&t);
    at_weights_close(&w);
    s.p[3]->t.data[9] = (at_real)NAN;
    assert_int_equal(at_store_finite(&ctx, &s, "here"), AT_NUMERIC); /* told as the file has it */
    expect_says(&ctx, "tensor `w.weight`: the value at [3,1,2]");
    at_store_close(&s);
}

/* ---- training ----------------------------------------------------------------------------- */

static void give(at_store *s) {
    at_store_zero_grad(s);
    for (int64_t i = 0; i < s->n_stacks; i++) s->stack[i]->t.has_grad = true;
    for (int64_t i = 0; i < s->n; i++) {
        at_tensor *t = &s->p[i]->t;
        t->has_grad = true;
        for (int64_t j = 0; t->grad && j < at_numel(t); j++)
            t->grad[j] = (at_real)(0.25 * (double)((7 * i + j) % 9 - 4));
    }
}

static void step(at_store *s) {
    at_optim o = {.beta1 = 0.9, .beta2 = 0.95, .eps = 1e-8, .weight_decay = 0.1};
    OK(at_optim_step(&cp, s, &o, 0.01, 1));
}

/* Steps, norm and moments of slots are those of one parameter. */
static void trained_as_one(void **state) {
    (void)state;
    at_store slots = store_of(true), plain = store_of(false);
    OK(at_store_train(&slots, true));
    OK(at_store_train(&plain, true));
    give(&slots);
    give(&plain);
    memcpy(plain.grad, slots.grad, (size_t)plain.n_grad * sizeof *plain.grad);
    assert_true(at_grad_squares(&cp, &slots) > 0);
    assert_true(at_grad_squares(&cp, &slots) == at_grad_squares(&cp, &plain));
    step(&slots);
    step(&plain);
    assert_memory_equal(slots.value, plain.value, (size_t)plain.numel * sizeof(at_real));
    save(&slots, AT_SLAB_M, "slots");
    save(&plain, AT_SLAB_M, "plain");
    same_files("slots", "plain");
    at_store_close(&slots);
    at_store_close(&plain);
}

/* Only what learns has a gradient and moments; rows of one router have one gradient. */
static void frozen(void **state) {
    (void)state;
    at_store s = store_of(true), was = store_of(true), back = store_of(true);
    OK(at_store_train(&s, true));
    const int64_t all = s.n_grad;
    assert_int_equal(all, s.numel);
    assert_int_equal(at_store_freeze(&s, "experts.[!3].*"), 2 * (E - 1));
    OK(at_store_train(&s, true));
    assert_int_equal(s.n_grad, (SIZE + 15) / 16 * 16 + (E * WIDTH + 15) / 16 * 16 + 16);
    assert_int_equal(s.p[2 * E]->moment, (SIZE + 15) / 16 * 16 + (WIDTH + 15) / 16 * 16);
    give(&s);
    double sum = 0;
    for (int64_t i = 0; i < s.n; i++)
        for (int64_t j = 0; !s.p[i]->frozen && j < at_numel(&s.p[i]->t); j++)
            sum += (double)(s.p[i]->t.grad[j] * s.p[i]->t.grad[j]);
    assert_true(at_grad_squares(&cp, &s) - sum < 1e-4 && sum - at_grad_squares(&cp, &s) < 1e-4);
    for (int k = 0; k < 3; k++) step(&s);
    for (int64_t i = 0; i < s.n; i++) {
        const bool still = i < 2 * E && i % E != 3;
        assert_true(s.p[i]->frozen == still && (s.p[i]->moment < 0) == still);
        assert_true((s.p[i]->t.grad == NULL) == still && s.p[i]->steps == (still ? 0 : 3));
        const size_t bytes = (size_t)at_numel(&s.p[i]->t) * sizeof(at_real);
        assert_true(!memcmp(s.p[i]->t.data, was.p[i]->t.data, bytes) == still);
    }
    save(&s, AT_SLAB_V, "v");
    assert_int_equal(at_store_freeze(&back, "experts.[!3].*"), 2 * (E - 1));
    OK(at_store_train(&back, true));
    OK(at_checkpoint_load_slab(&ctx, &back, AT_SLAB_V, in("v")));
    for (int64_t i = 0; i < s.n; i++)
        if (!s.p[i]->frozen)
            assert_memory_equal(s.v + s.p[i]->moment, back.v + back.p[i]->moment,
                                (size_t)at_numel(&s.p[i]->t) * sizeof(at_real));
    at_store_close(&s);
    at_store_close(&was);
    at_store_close(&back);
}

/* The path in files names all slots, as recipes of before do. */
static void freeze_by_file(void **state) {
    (void)state;
    at_store s = store_of(true);
    assert_int_equal(at_store_freeze(&s, "w.*"), E);
    assert_int_equal(at_store_freeze(&s, "*.1.row"), 1);
    assert_int_equal(at_store_freeze(&s, "experts"), 0);
    at_store_close(&s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_one_parameter), cmocka_unit_test(borrowed),
        cmocka_unit_test(borrowed_in_bf16), cmocka_unit_test(one_by_one),
        cmocka_unit_test(absent),           cmocka_unit_test(refused),
        cmocka_unit_test(trained_as_one),   cmocka_unit_test(frozen),
        cmocka_unit_test(freeze_by_file),
    };
    return cmocka_run_group_tests_name("slots", tests, setup, teardown);
}
