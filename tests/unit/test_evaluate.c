/* test_evaluate.c - which tokens of a window are scored, and by which expert. */
#include "check.h"
#include "infer/evaluate.h"
#include <math.h>

static at_ctx ctx;
static at_compute cp;

enum { VOCAB = 20, T = 8, SPLIT = 10 }; /* ids below SPLIT are of class 0 */

static at_model *tiny(uint64_t seed) {
    static const char text[] = "model: {arch: gpt2, n_layer: 1, n_embd: 8, n_head: 2, n_positions: "
                               "8, initializer_range: 1}";
    at_conf *f;
    at_model *m;
    OK(at_conf_parse(&ctx, "test", text, sizeof text - 1, &f));
    OK(at_model_new(&ctx, f, "model", VOCAB, seed, &m));
    at_conf_close(f);
    return m;
}

static at_router *by_number(void) {
    static const char *const name[] = {"low", "high"};
    at_router *r;
    OK(at_router_new(&ctx, 2, name, VOCAB, &r));
    for (int i = 0; i < VOCAB; i++) {
        r->idf[i] = 1;
        r->weight[(i < SPLIT ? 0 : VOCAB) + i] = 1;
    }
    return r;
}

static at_eval measure(at_lm *m, const uint16_t *token, int64_t n, int64_t prefix, int64_t by[2]) {
    const at_shard shard = {.width = 2, .token = token, .n_tokens = n};
    at_eval e = {.windows_by = by};
    by[0] = by[1] = 0;
    OK(at_eval_lm(&cp, m, &shard, T, 0, prefix, NULL, &e));
    return e;
}

/* Three low tokens, then six high ones: a router that read the tokens that are scored would choose
   high. */
static void the_router_reads_the_prefix_alone(void **state) {
    (void)state;
    at_expert expert[2] = {{.name = "low", .model = tiny(1)}, {.name = "high", .model = tiny(2)}};
    int class_of[2] = {0, 1};
    at_lm m = {.expert = expert,
               .n_experts = 2,
               .router = by_number(),
               .class_of = class_of,
               .vocab = VOCAB,
               .context = T};
    at_lm low = {.expert = expert, .n_experts = 1, .vocab = VOCAB, .context = T};
    uint16_t token[T + 1] = {1, 7, 4, 12, 19, 10, 15, 11, 18};
    int64_t by[2];
    const at_eval behind = measure(&m, token, T + 1, 3, by);
    assert_int_equal(by[0], 1);
    assert_int_equal(by[1], 0);
    assert_int_equal(behind.tokens, 6);
    assert_int_equal(behind.windows, 1);
    const at_eval all = measure(&m, token, T + 1, 0, by);
    assert_int_equal(by[0], 0);
    assert_int_equal(by[1], 1);
    assert_int_equal(all.tokens, T);

    /* what comes after the prefix is scored by the low expert as without a router: the whole
       window less its beginning */
    const at_eval whole = measure(&low, token, T + 1, 0, by),
                  begin = measure(&low, token, 3, 0, by);
    assert_int_equal(begin.tokens, 2);
    assert_true(fabs(behind.nats - (whole.nats - begin.nats)) < 1e-5);
    const at_eval plain = measure(&low, token, T + 1, 3, by);
    assert_true(plain.nats == behind.nats);

    at_router_close(m.router);
    for (int i = 0; i < 2; i++) at_model_close(expert[i].model);
}

/* A prefix of one token changes nothing; a window that ends within the prefix is skipped. */
static void windows_at_the_edge(void **state) {
    (void)state;
    at_expert e = {.model = tiny(3)};
    at_lm m = {.expert = &e, .n_experts = 1, .vocab = VOCAB, .context = T};
    uint16_t token[2 * T + 4];
    for (int i = 0; i < 2 * T + 4; i++) token[i] = (uint16_t)(i * 7 % VOCAB);
    int64_t by[2];
    const at_eval none = measure(&m, token, 2 * T + 4, 0, by);
    const at_eval one = measure(&m, token, 2 * T + 4, 1, by);
    assert_true(none.nats == one.nats && none.tokens == one.tokens);
    assert_int_equal(none.tokens, 2 * T + 3);
    assert_int_equal(by[0], 3);
    const at_eval four = measure(&m, token, 2 * T + 4, 4, by); /* the last window has 4 tokens */
    assert_int_equal(four.windows, 2);
    assert_int_equal(by[0], 2);
    assert_int_equal(four.tokens, 2 * (T - 3));
    const at_eval last = measure(&m, token, 2 * T + 4, T, by);
    assert_int_equal(last.tokens, 2);
    at_model_close(e.model);
}

int main(void) {
    at_ctx_init(&ctx, 2);
    OK(at_compute_open(&cp, &ctx));
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_router_reads_the_prefix_alone),
                                       cmocka_unit_test(windows_at_the_edge)};
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    at_compute_close(&cp);
    return failed;
}
