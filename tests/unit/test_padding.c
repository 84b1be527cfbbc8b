/*
 * test_padding.c - padding before and after sequences has no effect: logits, losses of routers,
 * counts and gradients are those of the sequences alone.
 *
 * Compiled in float, and again in double (tests/double/test_padding_double.c).
 */
#include "arch/read.h"
#include "base/rng.h"
#include "golden_fixture.h"
#include "infer/session.h"
#include <math.h>
#include <stdio.h>

static at_compute cp;
static at_arena arena;
static const bool in_double = sizeof(at_real) == 8;
static const int32_t first[2] = {4, 0}, end[2] = {11, 8};
enum { REAL = 15 };

static void open_model(fixture *f) {
    open_fixture("tests/golden/moduleformer/molm", f);
    assert_int_equal(f->B, 2);
    assert_int_equal(f->T, 11);
    OK(at_store_train(&f->m->store, false));
    for (int i = 0; i < 22; i++) /* a label each real token but the last of its sequence */
        if (i % 11 < first[i / 11] || i % 11 >= end[i / 11] - 1) f->labels[i] = -1;
}

static at_input padded(const fixture *f) {
    return (at_input){.ids = f->ids, .B = 2, .T = 11, .first = first, .end = end};
}

static at_tensor *logits_of(at_run *r, at_model *m, const at_input *f, at_pass *p) {
    at_tensor *x = at_model_hidden(m, r, f, p);
    at_tensor *l = at_linear(r, x, at_model_head(m), NULL);
    OK(at_run_status(r));
    return l;
}

/* Fewer rows are multiplied another way: the logits of a whole model in float may differ by some
   units of 1e-6, as they do from other programs (tests/unit/test_moduleformer.c has the same
   bound). */
static void same_logits(const at_real *a, const at_real *b, int64_t n, const char *what) {
    for (int64_t i = 0; i < n; i++)
        if (!(fabs((double)(a[i] - b[i])) <= (in_double ? 1e-13 : 1e-5) * (1 + fabs((double)b[i]))))
            fail_msg("%s: value %d: %.9g and %.9g", what, (int)i, (double)a[i], (double)b[i]);
}

/* The logits of each sequence alone, at once and token by token, are those in the padded batch. */
static void padding_is_not_there(void **state) {
    (void)state;
    enum { SETS = 50 };
    fixture f;
    open_model(&f);
    const int64_t V = f.m->dims.vocab;
    for (uint64_t set = 0; set < SETS; set++) { /* the ids of the golden file, then others */
        for (uint64_t i = 0; i < 22 && set > 0; i++)
            f.ids[i] = (int32_t)at_rand_below((uint64_t)V, set, AT_STREAM_TEST, i);
        at_run r;
        at_run_init(&r, &cp, &arena, false, 0);
        const at_input all = padded(&f);
        const at_tensor *l = logits_of(&r, f.m, &all, NULL);
        for (int64_t i = 0; i < 22 * V; i++) assert_true(isfinite((double)l->data[i]));
        for (int b = 0; b < 2; b++) {
            const int64_t n = end[b] - first[b], at = b * 11 + first[b];
            const at_input alone = {.ids = f.ids + at, .B = 1, .T = n};
            same_logits(l->data + at * V, logits_of(&r, f.m, &alone, NULL)->data, n * V, "alone");
            at_session s;
            const at_real *step;
            OK(at_session_open(&cp, f.m, n, &s));
            for (int64_t i = 0; i < n; i++) {
                OK(at_session_feed(&s, alone.ids + i, 1, &step));
                same_logits(l->data + (at + i) * V, step, V, "cached");
            }
            at_session_close(&s);
        }
        at_arena_rewind(&arena, (at_mark){0});
    }
    close_fixture(&f);
}

static void losses(void **state) {
    (void)state;
    fixture f;
    open_model(&f);
    at_run r;
    at_run_init(&r, &cp, &arena, false, 0);
    at_usage usage = {0}, part = {0}, sum = {0};
    static const bool layer[16] = {true, true};
    const at_peers peers = {.layer = layer, .n = 2, .alpha = 1, .how = {.form = AT_MUTUAL_MIXTURE}};
    const at_aux aux = {.factor = {1, 1}, .weight = {1, 1, 1, 1}, .peers = peers},
                 only_z = {.factor = {1, 1}, .weight = {[AT_AUX_Z] = 1}, .peers = peers};
    at_pass pass = {.aux = &aux, .usage = &usage};
    const at_input all = padded(&f);
    (void)logits_of(&r, f.m, &all, &pass);
    double z = 0, mutual = 0;
    for (int b = 0; b < 2; b++) {
        at_usage_reset(&part);
        at_pass one = {.aux = &only_z, .usage = &part};
        const int64_t n = end[b] - first[b];
        const at_input alone = {.ids = f.ids + b * 11 + first[b], .B = 1, .T = n};
        (void)logits_of(&r, f.m, &alone, &one);
        z += one.value[AT_AUX_Z] * (double)n / REAL;
        mutual += one.peers * (double)n / REAL;
        OK(at_usage_add(&ctx, &sum, &part));
    }
    double information = 0, concentration = 0;
    for (int64_t i = 0; i < sum.n; i++) {
        at_usage_report one, both;
        at_usage_summary(&usage.router[i], NULL, &both);
        at_usage_summary(&sum.router[i], NULL, &one);
        assert_int_equal(usage.router[i].tokens, REAL);
        assert_true(fabs(one.load_entropy - both.load_entropy) < 1e-12);
        information += one.information;
        for (int64_t e = 0; e < sum.router[i].e; e++) {
            const double p = sum.router[i].p[e] / REAL;
            concentration -= p * log(p);
        }
    }
    const double tight = in_double ? 1e-6 : 1e-5; /* the loss adds 1e-8 within its logarithm */
    assert_true(fabs(pass.value[AT_AUX_MUTUAL] + information) < tight);
    assert_true(fabs(pass.value[AT_AUX_CONCENTRATION] - concentration) < tight);
    assert_true(fabs(pass.value[AT_AUX_Z] - z) < tight * (1 + z));
    assert_true(mutual > 0 && fabs(pass.peers - mutual) < tight * mutual);
    at_usage *u[] = {&usage, &part, &sum};
    for (int i = 0; i < 3; i++) at_usage_close(u[i]);
    at_arena_rewind(&arena, (at_mark){0});
    close_fixture(&f);
}

/* CE of the real tokens and what the routers add, weighed; gradients are added to the store's. */
static double loss_of(fixture *f, const at_input *in, const int32_t *label, const at_aux *aux,
                      double scale) {
    at_run r;
    at_run_init(&r, &cp, &arena, true, 0);
    at_pass p = {.aux = aux};
    at_tensor *x = at_model_hidden(f->m, &r, in, &p);
    const at_head_spec spec = {.label = label};
    at_tensor *loss = at_head_loss(&r, x, at_model_head(f->m), &spec, NULL);
    if (aux) loss = at_weighted_sum(&r, (at_tensor *[]){loss, p.loss}, (double[]){1, 1}, 2);
    OK(at_run_status(&r));
    const double v = (double)loss->data[0];
    if (scale > 0) OK(at_backward(&r, loss, (at_real)scale));
    at_arena_rewind(&arena, (at_mark){0});
    return v;
}

static void gradients(void **state) {
    (void)state;
    fixture f;
    open_model(&f);
    at_store *s = &f.m->store;
    const at_input all = padded(&f);
    at_store_zero_grad(s);
    (void)loss_of(&f, &all, f.labels, NULL, 1);
    at_real *whole = malloc((size_t)s->numel * sizeof *whole);
    memcpy(whole, s->grad, (size_t)s->numel * sizeof *whole);
    at_store_zero_grad(s);
    for (int b = 0; b < 2; b++) {
        const int64_t n = end[b] - first[b], at = b * 11 + first[b];
        const at_input alone = {.ids = f.ids + at, .B = 1, .T = n};
        (void)loss_of(&f, &alone, f.labels + at, NULL, (double)(n - 1) / (REAL - 2));
    }
    double off = 0, size = 0;
    for (int64_t i = 0; i < s->numel; i++) {
        off += pow((double)(whole[i] - s->grad[i]), 2);
        size += pow((double)s->grad[i], 2);
    }
    if (!(sqrt(off) < (in_double ? 1e-13 : 1e-6) * sqrt(size)))
        fail_msg("off by %g of %g", sqrt(off), sqrt(size));
    free(whole);
    close_fixture(&f);
}

/* With the losses of the routers: the derivative, in double. */
static void derivative_of_the_routers(void **state) {
    (void)state;
    if (!in_double) return;
    fixture f;
    open_model(&f);
    const at_aux aux = {.factor = {1, 0.7}, .weight = {0.3, -0.2, 0.25, 0.1}};
    const at_input all = padded(&f);
    at_store_zero_grad(&f.m->store);
    (void)loss_of(&f, &all, f.labels, &aux, 1);
    for (int64_t i = 0; i < f.m->store.n_stacks; i++) {
        at_tensor *t = &f.m->store.stack[i]->t;
        const double step = 1e-6;
        double along = 0, v[2];
        for (int64_t j = 0; j < at_numel(t); j++)
            along += at_normal(11, (uint64_t)i, (uint64_t)j) * (double)t->grad[j];
        for (int k = 0; k < 2; k++) {
            for (int64_t j = 0; j < at_numel(t); j++)
                t->data[j] +=
                    (at_real)((k ? -2 * step : step) * at_normal(11, (uint64_t)i, (uint64_t)j));
            v[k] = loss_of(&f, &all, f.labels, &aux, 0);
        }
        for (int64_t j = 0; j < at_numel(t); j++)
            t->data[j] += (at_real)(step * at_normal(11, (uint64_t)i, (uint64_t)j));
        const double want = (v[0] - v[1]) / (2 * step);
        if (!(fabs(along - want) < 1e-6 * (1 + fabs(want))))
            fail_msg("%s: %.12g, difference %.12g", f.m->store.stack[i]->path, along, want);
    }
    close_fixture(&f);
}

/* The content of padding changes no bit. */
static void whatever_it_holds(void **state) {
    (void)state;
    fixture f;
    open_model(&f);
    const int64_t V = f.m->dims.vocab;
    at_run r;
    at_run_init(&r, &cp, &arena, false, 0);
    const at_aux aux = {.factor = {1, 1}, .weight = {1, 1, 1, 1}};
    at_pass one = {.aux = &aux}, two = one;
    const at_input all = padded(&f);
    const at_tensor *a = logits_of(&r, f.m, &all, &one);
    for (int i = 0; i < 22; i++)
        if (i % 11 < first[i / 11] || i % 11 >= end[i / 11]) f.ids[i] = 60 - f.ids[i];
    const at_tensor *b = logits_of(&r, f.m, &all, &two);
    for (int s = 0; s < 2; s++)
        assert_memory_equal(a->data + (s * 11 + first[s]) * V, b->data + (s * 11 + first[s]) * V,
                            (size_t)((end[s] - first[s]) * V) * sizeof(at_real));
    assert_memory_equal(one.value, two.value, sizeof one.value);
    at_arena_rewind(&arena, (at_mark){0});
    close_fixture(&f);
}

static void refused(void **state) {
    (void)state;
    fixture f;
    open_fixture("tests/golden/gpt2", &f);
    static const int32_t one[2] = {1, 1}, all[2] = {11, 11};
    at_run r;
    at_run_init(&r, &cp, &arena, false, 0);
    at_input in = {.ids = f.ids, .B = 2, .T = 19, .first = one};
    assert_null(at_model_hidden(f.m, &r, &in, NULL));
    assert_int_equal(at_run_status(&r), AT_ARG);
    expect_says(&ctx, "padding");
    close_fixture(&f);
    open_model(&f);
    at_pass p = {.aux = &(at_aux){.factor = {1, 1}, .weight = {1}}};
    in = (at_input){.ids = f.ids, .B = 2, .T = 11, .first = all, .end = all};
    at_run_init(&r, &cp, &arena, false, 0);
    assert_null(at_model_hidden(f.m, &r, &in, &p));
    assert_int_equal(at_run_status(&r), AT_ARG);
    expect_says(&ctx, "every token is padding");
    at_arena_rewind(&arena, (at_mark){0});
    close_fixture(&f);
}

int main(void) {
    at_ctx_init(&ctx, 2);
    at_arena_init(&arena, &ctx);
    if (at_compute_open(&cp, &ctx) != AT_OK) return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(padding_is_not_there),
        cmocka_unit_test(losses),
        cmocka_unit_test(gradients),
        cmocka_unit_test(derivative_of_the_routers),
        cmocka_unit_test(whatever_it_holds),
        cmocka_unit_test(refused),
    };
    const int bad = cmocka_run_group_tests(tests, NULL, NULL);
    at_compute_close(&cp);
    at_arena_close(&arena);
    return bad;
}
