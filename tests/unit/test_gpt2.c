/*
 * test_gpt2.c - the architecture against golden files computed by transformers, and against
 * itself: cached decoding, save and load.
 *
 * Compiled in float, and again in double (tests/double/test_gpt2_double.c) with tighter bounds.
 *
 * The bias of the keys adds the same number to all scores of a row, so its gradient is zero in
 * theory and pure rounding in practice.  Adam divides rounding by rounding: in float that slice
 * wanders by a fraction of the learning rate a step, in every implementation.  After ten steps it
 * is therefore compared in double alone.
 */
#include "arch/read.h"
#include "base/file.h"
#include "golden_fixture.h"
#include "infer/session.h"
#include "tensor/optim.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static at_compute cp;
static at_arena arena;

static const bool in_double = sizeof(at_real) == 8;

static at_tensor *forward(fixture *f, at_run *r, at_tensor **hidden) {
    const at_input feed = {.ids = f->ids, .B = f->B, .T = f->T};
    *hidden = at_model_hidden(f->m, r, &feed, NULL);
    return at_linear(r, *hidden, at_model_head(f->m), NULL);
}

/* One training pass: logits and all gradients; returns the loss. */
static double backward(fixture *f) {
    at_run r;
    at_tensor *x;
    at_run_init(&r, &cp, &arena, true, 0);
    const at_input feed = {.ids = f->ids, .B = f->B, .T = f->T};
    x = at_model_hidden(f->m, &r, &feed, NULL);
    const at_head_spec spec = {.label = f->labels};
    at_tensor *loss = at_head_loss(&r, x, at_model_head(f->m), &spec, NULL);
    OK(at_run_status(&r));
    const double value = (double)loss->data[0];
    OK(at_backward(&r, loss, 1));
    at_arena_rewind(&arena, (at_mark){0});
    return value;
}

static void against_golden(const char *dir) {
    fixture f;
    open_fixture(dir, &f);
    at_run r;
    at_tensor *x;
    at_run_init(&r, &cp, &arena, false, 0);
    at_tensor *logits = forward(&f, &r, &x);
    OK(at_run_status(&r));
    assert_true(distance(f.golden, "logits", logits->data) < 1e-5);
    at_arena_rewind(&arena, (at_mark){0});

    OK(at_store_train(&f.m->store, true));
    const double loss = backward(&f);
    const at_real value = (at_real)loss;
    assert_true(distance(f.golden, "loss", &value) < 1e-5);
    double worst = 0;
    for (int64_t i = 0; i < f.m->store.n; i++) {
        const at_param_entry *e = f.m->store.p[i];
        char name[300];
        (void)snprintf(name, sizeof name, "grad.%s", e->path);
        const double d = distance(f.golden, name, e->t.grad);
        if (!(d < (in_double ? 1e-6 : 1e-4))) fail_msg("gradient of %s is off by %g", e->path, d);
        worst = d > worst ? d : worst;
    }
    at_optim o = {.beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8, .weight_decay = 0.1};
    for (int step = 0; step < 10; step++) {
        at_store_zero_grad(&f.m->store);
        (void)backward(&f);
        OK(at_optim_step(&cp, &f.m->store, &o, 1e-3, 0));
    }
    double far = 0;
    for (int64_t i = 0; i < f.m->store.n; i++) {
        const at_param_entry *e = f.m->store.p[i];
        char name[300];
        (void)snprintf(name, sizeof name, "step10.%s", e->path);
        const bool keys = !in_double && strstr(e->path, "attn.c_attn.bias");
        const int64_t third = at_numel(&e->t) / 3;
        const double d =
            distance_but(f.golden, name, e->t.data, keys ? third : 0, keys ? 2 * third : 0);
        if (!(d < (in_double ? 1e-6 : 1e-4)))
            fail_msg("after 10 steps %s is off by %g", e->path, d);
        far = d > far ? d : far;
    }
    print_message("%s: worst gradient %.1e, worst parameter after 10 steps %.1e\n", dir, worst,
                  far);
    close_fixture(&f);
}

static void golden_tied(void **state) {
    (void)state;
    against_golden("tests/golden/gpt2");
}
static void golden_untied(void **state) {
    (void)state;
    against_golden("tests/golden/gpt2_untied");
}

/* Cached decoding, token by token and in pieces, equals the full forward. */
static void cached_is_full(void **state) {
    (void)state;
    fixture f;
    open_fixture("tests/golden/gpt2", &f);
    at_run r;
    at_tensor *x;
    at_run_init(&r, &cp, &arena, false, 0);
    at_tensor *full = forward(&f, &r, &x);
    OK(at_run_status(&r));
    const int64_t V = f.m->dims.vocab;
    at_session s;
    OK(at_session_open(&cp, f.m, f.T, &s));
    for (int64_t t = 0; t < f.T;) {
        const int64_t n = t == 0 ? 5 : t % 3 == 0 && t + 2 <= f.T ? 2 : 1;
        const at_real *l;
        OK(at_session_feed(&s, f.ids + t, n, &l));
        t += n;
        double num = 0, den = 0;
        for (int64_t j = 0; j < V; j++) {
            const double b = (double)full->data[(t - 1) * V + j];
            num += ((double)l[j] - b) * ((double)l[j] - b);
            den += b * b;
        }
        assert_true(sqrt(num / den) < 1e-5);
    }
    const at_real *l;
    assert_int_equal(at_session_feed(&s, f.ids, 1, &l), AT_ARG); /* full */
    at_session_close(&s);
    at_arena_rewind(&arena, (at_mark){0});
    close_fixture(&f);
}

static void save_and_load(void **state) {
    (void)state;
    char dir[] = "/tmp/artel-test-XXXXXX";
    assert_non_null(mkdtemp(dir));
    char path[128];
    (void)snprintf(path, sizeof path, "%s/m", dir);
    fixture f;
    open_fixture("tests/golden/gpt2_untied", &f);
    at_model *back = NULL;
    OK(at_model_save(&ctx, f.m, path, NULL));
    OK(at_model_save(&ctx, f.m, path, NULL)); /* over itself */
    OK(at_model_load(&ctx, path, false, &back));
    assert_int_equal(back->store.n, f.m->store.n);
    for (int64_t i = 0; i < back->store.n; i++)
        assert_memory_equal(back->store.p[i]->t.data, f.m->store.p[i]->t.data,
                            (size_t)at_numel(&back->store.p[i]->t) * sizeof(at_real));
    at_model_close(back);
    OK(at_remove_tree(&ctx, dir));
    close_fixture(&f);
}

/* A frozen parameter gets no gradient and does not move. */
static void frozen_stays(void **state) {
    (void)state;
    fixture f;
    open_fixture("tests/golden/gpt2", &f);
    assert_true(at_store_freeze(&f.m->store, "transformer.h.1.*") == 12);
    OK(at_store_train(&f.m->store, true));
    at_param_entry *e = at_store_find(&f.m->store, "transformer.h.1.mlp.c_fc.weight");
    const size_t bytes = (size_t)at_numel(&e->t) * sizeof(at_real);
    at_real *before = malloc(bytes);
    memcpy(before, e->t.data, bytes);
    (void)backward(&f);
    assert_null(e->t.grad);
    at_optim o = {.beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8, .weight_decay = 0.1};
    OK(at_optim_step(&cp, &f.m->store, &o, 1e-3, 0));
    assert_memory_equal(before, e->t.data, bytes);
    free(before);
    close_fixture(&f);
}

/* Invalid configurations are refused by the name of the key. */
static void refuse(const char *yaml, const char *says) {
    at_conf *conf = NULL;
    at_model *m = NULL;
    OK(at_conf_parse(&ctx, "recipe.yaml", yaml, strlen(yaml), &conf));
    const at_status s = at_model_new(&ctx, conf, "model", 50, 1, &m);
    assert_int_not_equal(s, AT_OK);
    if (!strstr(ctx.message, says)) fail_msg("expected `%s` in: %s", says, ctx.message);
    at_conf_close(conf);
}
static void bad_configurations(void **state) {
    (void)state;
    refuse("model: {arch: gpt2, n_embd: 10, n_head: 3}\n", "n_head");
    refuse("model: {arch: gpt3}\n", "gpt3");
    refuse("model: {arch: gpt2, n_layer: 0}\n", "n_layer");
    refuse("model: {arch: gpt2, n_embd: 99999999}\n", "n_embd");
    refuse("model: {arch: gpt2, scale_attn_weights: false}\n", "scale_attn_weights");
    refuse("model: {arch: gpt2, activation_function: relu}\n", "activation_function");
    refuse("model: {arch: gpt2, attn_pdrop: 0.1}\n", "attn_pdrop");
    refuse("model: {n_layer: 2}\n", "arch");
}

/* The same seed gives the same parameters, another seed others. */
static void seeds(void **state) {
    (void)state;
    static const char yaml[] = "model: {arch: gpt2, n_embd: 8, n_head: 2, n_layer: 1}\n";
    at_model *m[3];
    for (int i = 0; i < 3; i++) {
        at_conf *conf = NULL;
        OK(at_conf_parse(&ctx, "recipe", yaml, strlen(yaml), &conf));
        OK(at_model_new(&ctx, conf, "model", 50, i == 2 ? 8 : 7, &m[i]));
        at_conf_close(conf);
    }
    const size_t bytes = (size_t)m[0]->store.numel * sizeof(at_real);
    assert_memory_equal(m[0]->store.value, m[1]->store.value, bytes);
    assert_true(memcmp(m[0]->store.value, m[2]->store.value, bytes) != 0);
    for (int i = 0; i < 3; i++) at_model_close(m[i]);
}

int main(void) {
    at_ctx_init(&ctx, 2);
    at_arena_init(&arena, &ctx);
    if (at_compute_open(&cp, &ctx) != AT_OK) return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(golden_tied),    cmocka_unit_test(golden_untied),
        cmocka_unit_test(cached_is_full), cmocka_unit_test(save_and_load),
        cmocka_unit_test(frozen_stays),   cmocka_unit_test(bad_configurations),
        cmocka_unit_test(seeds),
    };
    const int bad = cmocka_run_group_tests(tests, NULL, NULL);
    at_compute_close(&cp);
    at_arena_close(&arena);
    return bad;
}
