/*
 * test_gradcheck.c - is backward the derivative of forward?
 *
 * One row per op variant: loss = sum(c op(inputs)), c random, against a central difference on every
 * element of every input.  The engine is compiled in double here; the bound is 1e-7.  The rows are
 * in tests/op_rows.h.
 */
#include "op_rows.h"

static double evaluate(const row *w, at_tensor **in, const at_real *c, bool train) {
    at_run r;
    at_run_init(&r, &cp, &arena, train, 5);
    at_tensor *y = w->build(&r, in);
    if (!y) fail_msg("%s: %s: %s", w->name, at_status_text(r.status), r.message);
    double s = 0;
    for (int64_t i = 0; i < at_numel(y); i++) s += (double)c[i] * (double)y->data[i];
    if (train) {
        y->grad = at_run_alloc(&r, (size_t)at_numel(y) * sizeof(at_real));
        memcpy(y->grad, c, (size_t)at_numel(y) * sizeof(at_real));
        assert_int_equal(at_backward_from(&r, y), AT_OK);
    }
    return s;
}

static double worst_of(const row *w) {
    at_tensor t[6], *in[6];
    at_real c[4096];
    const double h = 1e-5;
    for (int i = 0; i < w->n_in; i++) {
        fill(&t[i], w->dim[i], (uint64_t)i);
        in[i] = &t[i];
    }
    for (uint64_t i = 0; i < 4096; i++) c[i] = (at_real)at_normal(9, AT_STREAM_TEST, i);
    const at_mark m = at_arena_mark(&arena);
    (void)evaluate(w, in, c, true);
    at_arena_rewind(&arena, m);
    double num = 0, den = 0;
    for (int i = 0; i < w->n_in; i++)
        for (int64_t j = 0; j < at_numel(&t[i]); j++) {
            const at_real x = t[i].data[j];
            t[i].data[j] = (at_real)((double)x + h);
            const double up = evaluate(w, in, c, false);
            t[i].data[j] = (at_real)((double)x - h);
            const double down = evaluate(w, in, c, false);
            t[i].data[j] = x;
            at_arena_rewind(&arena, m);
            const double fd = (up - down) / (2 * h), an = (double)t[i].grad[j];
            num += (fd - an) * (fd - an);
            den += fd * fd + an * an;
        }
    for (int i = 0; i < w->n_in; i++) {
        at_free(t[i].data);
        at_free(t[i].grad);
    }
    assert_true(den > 1e-6); /* a row whose gradient is zero checks nothing */
    return sqrt(num / den);
}

static void every_row(void **state) {
    (void)state;
    int bad = 0;
    for (size_t k = 0; k < sizeof rows / sizeof *rows; k++) {
        const double rel = worst_of(&rows[k]);
        print_message("%-18s rel %.1e%s\n", rows[k].name, rel, rel < 1e-7 ? "" : "  FAIL");
        bad += !(rel < 1e-7);
    }
    assert_int_equal(bad, 0);
}

/* A student equal to its teacher has nothing to learn, at any temperature; what it has to pay for soft
   targets is the teacher's entropy. */
static void distill_of_itself_is_zero(void **state) {
    (void)state;
    at_tensor t;
    fill(&t, (int64_t[AT_RANK_MAX]){3, 5}, 1);
    for (int kind = 0; kind < AT_KD_KINDS; kind++) {
        at_run r;
        at_run_init(&r, &cp, &arena, true, 1);
        memset(t.grad, 0, 15 * sizeof(at_real));
        const at_kd how = {(at_kd_kind)kind, 3, 0.2, AT_TOKENS_ALIKE};
        at_tensor *y = at_distill(&r, &t, at_detach(&r, &t), &how);
        assert_non_null(y);
        assert_true(how.kind == AT_KD_SOFT ? (double)y->data[0] > 1
                                           : fabs((double)y->data[0]) < 1e-12);
        assert_int_equal(at_backward(&r, y, 1), AT_OK);
        for (int i = 0; i < 15; i++) assert_true(fabs((double)t.grad[i]) < 1e-12);
    }
    at_free(t.data);
    at_free(t.grad);
}

/* The first wrong shape names itself and its parameter; later ops do nothing. */
static void errors_stick(void **state) {
    (void)state;
    at_run r;
    at_run_init(&r, &cp, &arena, true, 1);
    at_tensor *x = at_new2(&r, 2, 3), *w = at_new2(&r, 4, 5);
    w->name = "h.0.mlp.c_fc.weight";
    at_tensor *y = at_linear(&r, x, w, NULL);
    y = at_gelu(&r, y, AT_GELU_TANH);
    assert_null(at_add(&r, y, x));
    assert_int_equal(at_run_status(&r), AT_SHAPE);
    assert_non_null(strstr(ctx.message, "h.0.mlp.c_fc.weight"));
    assert_non_null(strstr(ctx.message, "[2,3]"));
    assert_non_null(strstr(ctx.message, "[4,5]"));
}

/* Frozen inputs get no gradient, and a run that does not train records nothing. */
static void no_gradient_where_none_is_wanted(void **state) {
    (void)state;
    at_tensor t[2];
    fill(&t[0], (int64_t[AT_RANK_MAX]){3, 5}, 1);
    fill(&t[1], (int64_t[AT_RANK_MAX]){4, 5}, 2);
    t[1].need_grad = false;
    at_run r;
    at_run_init(&r, &cp, &arena, true, 1);
    at_tensor *y = at_linear(&r, &t[0], &t[1], NULL);
    y->grad = at_run_alloc(&r, 12 * sizeof(at_real));
    for (int i = 0; i < 12; i++) y->grad[i] = 1;
    assert_int_equal(at_backward_from(&r, y), AT_OK);
    double touched = 0;
    for (int i = 0; i < 20; i++) touched += fabs((double)t[1].grad[i]);
    assert_true(touched == 0);
    at_run_init(&r, &cp, &arena, false, 1);
    assert_non_null(at_linear(&r, &t[0], &t[1], NULL));
    assert_int_equal(r.n_nodes, 0);
    for (int i = 0; i < 2; i++) {
        at_free(t[i].data);
        at_free(t[i].grad);
    }
}

int main(void) {
    at_ctx_init(&ctx, 2);
    at_arena_init(&arena, &ctx);
    if (at_compute_open(&cp, &ctx) != AT_OK) return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row),
        cmocka_unit_test(distill_of_itself_is_zero),
        cmocka_unit_test(errors_stick),
        cmocka_unit_test(no_gradient_where_none_is_wanted),
    };
    const int bad = cmocka_run_group_tests(tests, NULL, NULL);
    at_compute_close(&cp);
    at_arena_close(&arena);
    return bad;
}
