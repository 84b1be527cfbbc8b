/*
 * test_atlas.c - the atlas of experts: its counts against those of usage.h, and its statistics on
 * counts whose answers are known.
 */
#include "check.h"
#include "data_fixture.h"
#include "infer/atlas.h"
#include "infer/evaluate.h"
#include <math.h>
#include <stdio.h>
#include <unistd.h>

static at_ctx ctx;
static at_compute cp;

static at_model *mixture(const char *arch) {
    at_conf *f = NULL;
    at_model *m = NULL;
    char yaml[400];
    (void)snprintf(yaml, sizeof yaml, "model: {arch: %s, n_layer: 2, n_embd: 24%s}\n", arch,
                   strcmp(arch, "gpt2") ? ", att_hidden: 24, ffd_hidden: 20, gating_size: 8, "
                                          "n_att_experts: 4, n_mlp_experts: 6, "
                                          "initializer_range: 0.5"
                                        : ", n_head: 2, n_positions: 40");
    OK(at_conf_parse(&ctx, "recipe.yaml", yaml, strlen(yaml), &f));
    OK(at_model_new(&ctx, f, "model", 64, 3, &m));
    at_conf_close(f);
    return m;
}

static at_dataset *data(const char *folder) {
    at_dataset *d = NULL;
    char path[300];
    (void)snprintf(path, sizeof path, "%s/data", folder);
    OK(fixture_data(&ctx, path, (const char *[]){"a", "b", "c"}, 3, 64, 3000));
    OK(at_dataset_open(&ctx, path, &d));
    return d;
}

/* What it counts is what an evaluation of the same windows counts. */
static void counts(void **state) {
    (void)state;
    char *folder = temporary_folder();
    at_dataset *d = data(folder);
    at_model *m = mixture("moduleformer");
    at_atlas a;
    OK(at_atlas_read(&cp, m, d, AT_TEST, 32, 5, &a));
    assert_int_equal(a.n, 4);
    assert_int_equal(a.n_listed > 0 && a.n_listed <= 64, 1);
    for (int k = 0; k < 3; k++) {
        at_usage u = {0};
        at_eval e = {.usage = &u};
        OK(at_eval_model(&cp, m, &d->domain[k].shard[AT_TEST], 32, 5, NULL, &e));
        assert_int_equal(a.windows[k], e.windows);
        assert_int_equal(a.tokens[k], u.router[0].tokens);
        for (int i = 0; i < 4; i++) {
            const at_atlas_router *r = &a.router[i];
            assert_int_equal(r->id.layer, u.router[i].id.layer);
            assert_int_equal(r->id.kind, u.router[i].id.kind);
            for (int64_t j = 0; j < r->e; j++)
                assert_true(r->slots[k * r->e + j] == u.router[i].slots[j]);
        }
        at_usage_close(&u);
    }
    double listed = 0, tokens = 0;
    for (int64_t i = 0; i < a.n_listed; i++) listed += a.times[i];
    for (int k = 0; k < 3; k++) tokens += (double)a.tokens[k];
    assert_true(listed == tokens); /* of 64 tokens all are listed */
    for (int i = 0; i < 4; i++) {
        const at_atlas_router *r = &a.router[i];
        for (int64_t j = 0; j < r->e; j++) {
            double by = 0, both = 0, chosen = 0;
            for (int64_t t = 0; t < a.n_listed; t++) by += (double)r->by_token[t * r->e + j];
            for (int64_t x = 0; x < r->e; x++) both += r->both[j * r->e + x];
            for (int k = 0; k < 3; k++) chosen += r->slots[k * r->e + j];
            assert_true(by == chosen && r->both[j * r->e + j] == chosen);
            assert_true(both == chosen * (double)r->k); /* each choice has k - 1 others beside it */
        }
    }
    at_atlas_close(&a);
    OK(at_atlas_read(&cp, m, d, AT_TEST, 32, 1, &a)); /* of one window the square is the share's */
    for (int i = 0; i < 4; i++)
        for (int64_t j = 0; j < 3 * a.router[i].e; j++)
            assert_true(a.router[i].square[j] == a.router[i].sum[j] * a.router[i].sum[j]);
    at_atlas_close(&a);
    at_model_close(m);
    at_dataset_close(d);
    OK(at_remove_tree(&ctx, folder));
}

/* Two domains, three experts: 0 is a's alone, 1 is shared, 2 is nobody's. */
static void statistics(void **state) {
    (void)state;
    static const at_domain domains[] = {{.name = "a"}, {.name = "b"}};
    const at_dataset d = {.n_domains = 2, .domain = (at_domain *)(uintptr_t)domains};
    double slots[] = {30, 10, 0, 0, 20, 0}, both[9] = {30, 6, 0, 6, 30, 0, 0, 0, 0};
    /* shares of two windows a domain: a 1 and 1/2, b always 1 of expert 1 */
    double sum[] = {1.5, 0.5, 0, 0, 2, 0}, square[] = {1.25, 0.25, 0, 0, 2, 0};
    float by[] = {28, 2, 0, 2, 28, 0, 6, 0, 0};
    int64_t windows[] = {2, 2}, tokens[] = {40, 20};
    int32_t listed[] = {7, 9, 11};
    double times[] = {30, 30, 6};
    const at_atlas_router r = {
        .e = 3, .k = 1, .slots = slots, .sum = sum, .square = square, .both = both, .by_token = by};
    const at_atlas a = {.data = &d,
                        .windows = windows,
                        .tokens = tokens,
                        .listed = listed,
                        .times = times,
                        .n_listed = 3};
    double share, half, part;
    at_atlas_expert(&a, &r, 0, 0, &share, &half);
    assert_true(share == 0.75);
    assert_true(fabs(half - 1.96 * sqrt(0.125 / 2)) < 1e-12);
    at_atlas_expert(&a, &r, 1, 1, &share, &half);
    assert_true(share == 1 && half == 0);
    /* a (3/4, 1/4), b (0, 1), mean (3/8, 5/8) */
    const double want = 0.5 * (0.75 * log(2) + 0.25 * log(0.4) + log(1.6));
    assert_true(fabs(at_atlas_information(&a, &r) - want) < 1e-12);
    assert_int_equal(at_atlas_home(&a, &r, 0, &part), 0);
    assert_true(part == 1);
    assert_int_equal(at_atlas_home(&a, &r, 1, &part), 1);
    assert_true(fabs(part - 0.8) < 1e-12);
    assert_int_equal(at_atlas_home(&a, &r, 2, &part), -1);
    int32_t id[4];
    assert_int_equal(at_atlas_tokens(&a, &r, 0, 4, id), 1); /* 9 is rare there, 11 everywhere */
    assert_int_equal(id[0], 7);
    assert_int_equal(at_atlas_tokens(&a, &r, 2, 4, id), 0);
    assert_true(fabs(at_atlas_company(&a, &r, 0, 1) - 6.0 * 60 / 900) < 1e-12);
    assert_true(isnan(at_atlas_company(&a, &r, 0, 2)));
    windows[1] = 1;
    at_atlas_expert(&a, &r, 1, 1, &share, &half);
    assert_true(isnan(half));
}

/* The tokens come in order of their score, the best of them. */
static void best_tokens(void **state) {
    (void)state;
    static const at_domain domain = {.name = "a"};
    const at_dataset d = {.n_domains = 1, .domain = (at_domain *)(uintptr_t)&domain};
    enum { N = 50 };
    float by[2 * N];
    double times[N], both[4] = {0, 0, 0, 1};
    int32_t listed[N], id[N];
    int64_t windows = 1, tokens = 0;
    for (int i = 0; i < N; i++) {
        listed[i] = i;
        times[i] = 100;
        by[2 * i] = (float)(10 + i * 7 % N); /* all different */
        by[2 * i + 1] = 0;
        both[0] += 5;
        tokens += 100;
    }
    const at_atlas_router r = {.e = 2, .k = 1, .both = both, .by_token = by};
    const at_atlas a = {.data = &d,
                        .windows = &windows,
                        .tokens = &tokens,
                        .listed = listed,
                        .times = times,
                        .n_listed = N};
    assert_int_equal(at_atlas_tokens(&a, &r, 0, 5, id), 5);
    for (int i = 0; i < 5; i++) assert_int_equal(id[i] * 7 % N, N - 1 - i);
    assert_int_equal(at_atlas_tokens(&a, &r, 0, N, id), 32);
}

static void refusals(void **state) {
    (void)state;
    char *folder = temporary_folder();
    at_dataset *d = data(folder);
    at_model *m = mixture("gpt2");
    at_atlas a;
    assert_int_equal(at_atlas_read(&cp, m, d, AT_TEST, 0, 2, &a), AT_ARG);
    expect_says(&ctx, "gpt2, has no routers");
    at_atlas_close(&a);
    at_model_close(m);
    at_dataset_close(d);
    OK(at_remove_tree(&ctx, folder));
}

int main(void) {
    at_ctx_init(&ctx, 2);
    if (at_compute_open(&cp, &ctx) != AT_OK) return 1;
    const struct CMUnitTest tests[] = {cmocka_unit_test(counts), cmocka_unit_test(statistics),
                                       cmocka_unit_test(best_tokens), cmocka_unit_test(refusals)};
    const int bad = cmocka_run_group_tests(tests, NULL, NULL);
    at_compute_close(&cp);
    return bad;
}
