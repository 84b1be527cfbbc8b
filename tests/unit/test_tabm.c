/*
 * test_tabm.c - an ensemble of perceptrons with matrices in common is what its formula says, in plain loops; members
 * begin as one network that reads signs of its inputs turned over; each learns by a loss of its own.
 */
#include "arch/read.h"
#include "base/rng.h"
#include "check.h"
#include <math.h>
#include <stdio.h>

enum { ROWS = 6, D = 5, H = 4, C = 3, K = 3 };
static at_ctx ctx;
static at_compute cp;
static at_arena arena;
static at_real x[ROWS * D];

static at_model *model_of(int labels, bool fresh) {
    char yaml[300];
    at_conf *f = NULL;
    at_model *m = NULL;
    (void)snprintf(
        yaml, sizeof yaml,
        "model: {arch: tabm, n_inputs: %d, num_labels: %d, hidden_size: %d, n_members: %d, "
        "n_layer: 2}\n",
        D, labels, H, K);
    OK(at_conf_parse(&ctx, "m", yaml, strlen(yaml), &f));
    OK(at_model_new(&ctx, f, "model", 1, 3, &m));
    OK(at_conf_finish(&ctx, f));
    at_conf_close(f);
    for (int64_t i = 0; !fresh && i < m->store.n; i++)
        for (int64_t j = 0; j < at_numel(&m->store.p[i]->t); j++)
            m->store.p[i]->t.data[j] += (at_real)(0.3 * at_normal(3, (uint64_t)i, (uint64_t)j));
    return m;
}

static const at_real *of(const at_model *m, const char *path) {
    const at_param_entry *p = at_store_find(&m->store, path);
    if (!p) fail_msg("no parameter %s", path);
    return p->t.data;
}
static double own(const at_model *m, int k, const char *part, int i) {
    char path[64];
    (void)snprintf(path, sizeof path, "tabm.members.%d.%s", k, part);
    return (double)of(m, path)[i];
}

/* What member k says of a row, in double. */
static void member(const at_model *m, int k, const at_real *row, int labels, double *y) {
    double in[H > D ? H : D];
    int n = D;
    for (int i = 0; i < D; i++) in[i] = (double)row[i];
    for (int l = 0; l < 2; l++) {
        double out[H];
        char weight[32], part[3][16];
        static const char *const name[3] = {"r", "s", "bias"};
        (void)snprintf(weight, sizeof weight, "tabm.%d.weight", l);
        for (int p = 0; p < 3; p++) (void)snprintf(part[p], sizeof part[p], "%d.%s", l, name[p]);
        for (int j = 0; j < H; j++) {
            out[j] = 0;
            for (int i = 0; i < n; i++)
                out[j] += in[i] * own(m, k, part[0], i) * (double)of(m, weight)[i * H + j];
            out[j] = out[j] * own(m, k, part[1], j) + own(m, k, part[2], j);
        }
        n = H;
        for (int j = 0; j < H; j++) in[j] = out[j] > 0 ? out[j] : 0;
    }
    for (int c = 0; c < labels; c++) {
        y[c] = own(m, k, "head.bias", c);
        for (int j = 0; j < H; j++) y[c] += in[j] * own(m, k, "head.weight", j * labels + c);
    }
}

static at_tensor *said(at_run *r, at_model *m, bool train) {
    at_run_init(r, &cp, &arena, train, 1);
    const at_input in = {.kind = AT_INPUT_ROWS, .values = x, .B = ROWS, .T = D};
    at_tensor *y = at_model_hidden(m, r, &in, NULL);
    OK(at_run_status(r));
    return at_model_logits(m, r, y);
}

static void near(double found, double want, const char *what) {
    if (!(fabs(found - want) < 1e-5 * (1 + fabs(want))))
        fail_msg("%s: expected %.9g, found %.9g", what, want, found);
}

/* In training every member's logits; else the log of the mean of their probabilities. */
static void formula(void **state) {
    (void)state;
    at_model *m = model_of(C, false);
    at_run r;
    const at_tensor *each = said(&r, m, true);
    assert_int_equal(at_rows(each), ROWS * K);
    const at_tensor *all = said(&r, m, false);
    assert_int_equal(at_rows(all), ROWS);
    for (int n = 0; n < ROWS; n++) {
        double mean[C] = {0};
        for (int k = 0; k < K; k++) {
            double y[C], sum = 0;
            member(m, k, x + n * D, C, y);
            for (int c = 0; c < C; c++) {
                near((double)each->data[(n * K + k) * C + c], y[c], "a member");
                sum += exp(y[c]);
            }
            for (int c = 0; c < C; c++) mean[c] += exp(y[c]) / sum / K;
        }
        for (int c = 0; c < C; c++) near((double)all->data[n * C + c], log(mean[c]), "all members");
    }
    at_arena_rewind(&arena, (at_mark){0});
    at_model_close(m);
}

/* Of numbers the mean. */
static void a_number(void **state) {
    (void)state;
    at_model *m = model_of(1, false);
    at_run r;
    const at_tensor *all = said(&r, m, false);
    for (int n = 0; n < ROWS; n++) {
        double sum = 0, y;
        for (int k = 0; k < K; k++) {
            member(m, k, x + n * D, 1, &y);
            sum += y;
        }
        near((double)all->data[n], sum / K, "the mean");
    }
    at_arena_rewind(&arena, (at_mark){0});
    at_model_close(m);
}

/* Factors are signs at the input, of which members have different ones, and else 1; biases are 0. */
static void fresh(void **state) {
    (void)state;
    at_model *m = model_of(C, true);
    int minus = 0;
    for (int k = 0; k < K; k++)
        for (int i = 0; i < H; i++) {
            const double sign = own(m, k, "0.r", i);
            assert_true(fabs(sign) == 1 && own(m, k, "1.r", i) == 1);
            assert_true(own(m, k, "0.s", i) == 1 && own(m, k, "1.bias", i) == 0);
            minus += sign < 0;
        }
    assert_true(minus > 0 && minus < K * H);
    at_model_close(m);
}

static void wrong_width(void **state) {
    (void)state;
    at_model *m = model_of(C, true);
    at_run r;
    at_run_init(&r, &cp, &arena, false, 1);
    const at_input in = {.kind = AT_INPUT_ROWS, .values = x, .B = ROWS, .T = D - 1};
    assert_null(at_model_hidden(m, &r, &in, NULL));
    assert_int_equal(at_run_status(&r), AT_ARG);
    expect_says(&ctx, "tabm: rows of 4 numbers, expected 5");
    at_arena_rewind(&arena, (at_mark){0});
    at_model_close(m);
}

static void wrong_shapes(void **state) {
    (void)state;
    at_run r;
    at_run_init(&r, &cp, &arena, false, 1);
    at_tensor *g = at_new2(&r, 3, 4), *b = at_new2(&r, 2, 4);
    assert_null(at_member_scale(&r, at_new(&r, 3, (int64_t[]){5, 2, 4}), g, NULL));
    assert_int_equal(at_run_status(&r), AT_SHAPE);
    expect_says(&ctx, "member_scale: x");
    at_run_init(&r, &cp, &arena, false, 1);
    assert_null(at_member_scale(&r, at_new2(&r, 5, 4), g, b));
    assert_int_equal(at_run_status(&r), AT_SHAPE);
    at_run_init(&r, &cp, &arena, false, 1);
    assert_null(at_mean_softmax(&r, g));
    assert_int_equal(at_run_status(&r), AT_SHAPE);
    expect_says(&ctx, "expected [rows, members, classes]");
    at_arena_rewind(&arena, (at_mark){0});
}

int main(void) {
    at_ctx_init(&ctx, 1);
    OK(at_compute_open(&cp, &ctx));
    at_arena_init(&arena, &ctx);
    for (int i = 0; i < ROWS * D; i++) x[i] = (at_real)at_normal(1, 2, (uint64_t)i);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(formula),     cmocka_unit_test(a_number),     cmocka_unit_test(fresh),
        cmocka_unit_test(wrong_width), cmocka_unit_test(wrong_shapes),
    };
    const int rc = cmocka_run_group_tests(tests, NULL, NULL);
    at_arena_close(&arena);
    at_compute_close(&cp);
    return rc;
}
