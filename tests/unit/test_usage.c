/*
 * test_usage.c - counts of routers against what the losses of the same routers say, counts of a
 * model's forward passes, sums of counts, and that counting changes nothing.
 */
#include "arch/read.h"
#include "check.h"
#include <math.h>
#include <stdio.h>

static at_ctx ctx;
static at_compute cp;
static at_arena arena;

static at_model *model_of(const char *yaml) {
    at_conf *f = NULL;
    at_model *m = NULL;
    OK(at_conf_parse(&ctx, "recipe.yaml", yaml, strlen(yaml), &f));
    OK(at_model_new(&ctx, f, "model", 50, 3, &m));
    at_conf_close(f);
    return m;
}
static const char mixture[] =
    "model: {arch: moduleformer, n_layer: 2, n_embd: 24, att_hidden: 24, ffd_hidden: 20, "
    "gating_size: 8, n_att_experts: 4, n_mlp_experts: 6, initializer_range: 0.5}\n";

/* Tokens on experts 0, 1, 1, 3 of 5, surely. */
static void counts(void **state) {
    (void)state;
    static const int to[] = {0, 1, 1, 3};
    at_run r;
    at_run_init(&r, &cp, &arena, false, 0);
    at_tensor *l = at_new2(&r, 4, 5);
    for (int i = 0; i < 20; i++) l->data[i] = i % 5 == to[i / 5] ? 200 : 0;
    at_routing ro;
    assert_non_null(at_route(&r, l, 1, false, &ro));
    at_usage u = {0};
    for (int pass = 0; pass < 2; pass++)
        at_usage_router(&r, &u, (at_router_id){0, AT_LAYER_FEED_FORWARD}, l, &ro);
    OK(at_run_status(&r));
    assert_int_equal(u.n, 1);
    assert_int_equal(u.router[0].tokens, 8);
    double share[5];
    at_usage_report rep;
    at_usage_summary(&u.router[0], share, &rep);
    static const double want[] = {0.25, 0.5, 0, 0.25, 0};
    for (int i = 0; i < 5; i++) assert_true(share[i] == want[i]);
    const double h = 1.5 * log(2);
    assert_true(fabs(rep.load_entropy - h / log(5)) < 1e-12);
    assert_true(fabs(rep.perplexity - exp(h)) < 1e-12);
    assert_true(fabs(rep.information - h) < 1e-12); /* each token is sure */
    assert_int_equal(rep.dead, 2);
    assert_int_equal(rep.unused, 2);
    at_usage_reset(&u);
    at_usage_summary(&u.router[0], share, &rep);
    assert_true(share[1] == 0 && rep.load_entropy == 0 && rep.dead == 5 && rep.unused == 5);
    at_usage_close(&u);
    at_arena_rewind(&arena, (at_mark){0});
}

/* A rarely used expert is dead, but not unused: one choice of 1000 among 5 experts is half a per
   cent of an even share, three are one and a half. */
static void dead_or_rare(void **state) {
    (void)state;
    double x[10] = {400, 300, 299, 1, 0, 0, 0, 0, 0, 0};
    at_router_usage u = {.e = 5, .tokens = 1000, .slots = x, .p = x + 5};
    at_usage_report rep;
    at_usage_summary(&u, NULL, &rep);
    assert_int_equal(rep.dead, 2);
    assert_int_equal(rep.unused, 1);
    x[3] = 3;
    x[4] = 2;
    at_usage_summary(&u, NULL, &rep);
    assert_int_equal(rep.dead, 1);
    assert_int_equal(rep.unused, 0);
    assert_true(rep.information == 0);
    u.e = 1; /* a single expert has no uneven load */
    at_usage_summary(&u, NULL, &rep);
    assert_true(rep.load_entropy == 1 && rep.perplexity == 1 && rep.dead == 0);
}

/* The loss of mutual information is minus what the usage of the same tokens says. */
static void information_is_the_loss(void **state) {
    (void)state;
    at_run r;
    at_run_init(&r, &cp, &arena, false, 0);
    at_tensor *l = at_new2(&r, 300, 7);
    for (int i = 0; i < 2100; i++) l->data[i] = (at_real)(i * 7919 % 1009) / 200;
    at_routing ro;
    (void)at_route(&r, l, 2, false, &ro);
    const at_tensor *loss = at_mutual_info(&r, l, &ro, NULL);
    assert_non_null(loss);
    at_usage u = {0};
    at_usage_router(&r, &u, (at_router_id){0, AT_LAYER_ATTENTION}, l, &ro);
    at_usage_report rep;
    at_usage_summary(&u.router[0], NULL, &rep);
    assert_true(rep.information > 0.1);
    assert_true(fabs(rep.information + (double)loss->data[0]) < 1e-5);
    at_usage_close(&u);
    at_arena_rewind(&arena, (at_mark){0});
}

/* Of a whole model: routers by layer and kind, k choices a token; the hidden states are the
   same. */
static void of_a_model(void **state) {
    (void)state;
    enum { N = 60 };
    int32_t ids[N];
    for (int i = 0; i < N; i++) ids[i] = i * 17 % 50;
    at_model *m = model_of(mixture);
    at_usage whole = {0}, load = {.slots_only = true}, part = {0}, sum = {0};
    at_real *plain = NULL;
    for (int i = 0; i < 3; i++) {
        at_run r;
        at_run_init(&r, &cp, &arena, false, 0);
        at_pass pass = {.usage = i == 1 ? &whole : &load};
        const at_input feed = {.ids = ids, .B = 3, .T = N / 3};
        const at_tensor *x = at_model_hidden(m, &r, &feed, i ? &pass : NULL);
        OK(at_run_status(&r));
        if (!i) plain = x->data;
        assert_memory_equal(plain, x->data, (size_t)at_numel(x) * sizeof(at_real));
        assert_null(pass.loss);
    }
    assert_int_equal(whole.n, 4);
    for (int i = 0; i < 4; i++) {
        const at_router_usage *u = &whole.router[i];
        assert_int_equal(u->id.layer, i / 2);
        assert_int_equal(u->id.kind, i % 2);
        assert_int_equal(u->e, i % 2 ? 6 : 4);
        assert_int_equal(u->tokens, N);
        double slots = 0, mass = 0;
        for (int64_t j = 0; j < u->e; j++) {
            slots += u->slots[j];
            mass += u->p[j];
            assert_true(u->slots[j] == load.router[i].slots[j]);
            assert_true(load.router[i].p[j] == 0);
        }
        assert_true(slots == 2 * N);
        assert_true(fabs(mass - N) < 1e-4);
        assert_true(u->entropy > 0 && u->entropy < N * log((double)u->e));
    }
    for (int b = 0; b < 3; b++) { /* sequence by sequence, then added up */
        at_run r;
        at_run_init(&r, &cp, &arena, false, 0);
        at_usage_reset(&part);
        at_pass pass = {.usage = &part};
        const at_input feed = {.ids = ids + b * N / 3, .B = 1, .T = N / 3};
        (void)at_model_hidden(m, &r, &feed, &pass);
        OK(at_run_status(&r));
        OK(at_usage_add(&ctx, &sum, &part));
    }
    for (int i = 0; i < 4; i++) {
        assert_int_equal(sum.router[i].tokens, N);
        for (int64_t j = 0; j < sum.router[i].e; j++)
            assert_true(sum.router[i].slots[j] == whole.router[i].slots[j]);
        assert_true(fabs(sum.router[i].entropy - whole.router[i].entropy) < 1e-4);
    }
    at_usage other = {0};
    at_run r;
    at_run_init(&r, &cp, &arena, false, 0);
    at_tensor *l = at_new2(&r, 2, 3);
    memset(l->data, 0, 6 * sizeof *l->data);
    at_routing ro;
    (void)at_route(&r, l, 1, false, &ro);
    at_usage_router(&r, &other, (at_router_id){0, AT_LAYER_ATTENTION}, l, &ro);
    assert_int_equal(at_usage_add(&ctx, &sum, &other), AT_MISMATCH);
    at_usage_router(&r, &whole, (at_router_id){0, AT_LAYER_ATTENTION}, l, &ro);
    assert_int_equal(at_run_status(&r), AT_MISMATCH);
    at_usage *all[] = {&whole, &load, &part, &sum, &other};
    for (int i = 0; i < 5; i++) at_usage_close(all[i]);
    at_model_close(m);
    at_arena_rewind(&arena, (at_mark){0});
}

int main(void) {
    at_ctx_init(&ctx, 2);
    at_arena_init(&arena, &ctx);
    if (at_compute_open(&cp, &ctx) != AT_OK) return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts),
        cmocka_unit_test(dead_or_rare),
        cmocka_unit_test(information_is_the_loss),
        cmocka_unit_test(of_a_model),
    };
    const int bad = cmocka_run_group_tests(tests, NULL, NULL);
    at_compute_close(&cp);
    at_arena_close(&arena);
    return bad;
}
