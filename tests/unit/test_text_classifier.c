/*
 * test_text_classifier.c - a text means the same beside longer ones, its padding reaches neither mean nor routers, and
 * what is no text is refused.
 */
#include "arch/read.h"
#include "check.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { N = 9, ROWS = 4, LABELS = 3 };
static at_ctx ctx;
static at_compute cp;
static at_arena arena;

/* With the longest among them, and an empty one. */
static const char *const text[ROWS] = {"ab", "", "long, it", "\xff!"};
static at_real rows[ROWS * N];

static at_model *model_of(const char *trunk) {
    at_conf *f = NULL;
    at_model *m = NULL;
    char yaml[500];
    (void)snprintf(yaml, sizeof yaml,
                   "model: {arch: text_classifier, n_inputs: %d, num_labels: %d, "
                   "initializer_range: 0.5, trunk: {%s}}\n",
                   N, LABELS, trunk);
    OK(at_conf_parse(&ctx, "m", yaml, strlen(yaml), &f));
    OK(at_model_new(&ctx, f, "model", 1, 3, &m));
    OK(at_conf_finish(&ctx, f));
    at_conf_close(f);
    return m;
}
#define MIXTURE                                                                            \
    "arch: moduleformer, n_layer: 2, n_embd: 8, n_head: 2, att_hidden: 8, ffd_hidden: 6, " \
    "gating_size: 4, n_att_experts: 3, k_att: 2, n_mlp_experts: 3, k_mlp: 2, "             \
    "initializer_range: 0.5"
#define DENSE "arch: gpt2, n_layer: 2, n_embd: 8, n_head: 2, n_positions: 9, initializer_range: 0.5"

static void count(void *user, at_run *r, at_router_id id, const at_routing *ro) {
    int64_t *n = user;
    (void)r;
    n[id.kind] += ro->n;
}

/* The logits of rows; seen: how many tokens the routers of a kind had. */
static void answer(at_model *m, const at_real *values, int64_t B, at_real *logits, int64_t *seen) {
    at_run r;
    const at_watch watch = {.see = count, .user = seen};
    at_pass p = {.watch = seen ? &watch : NULL};
    const at_input in = {.kind = AT_INPUT_ROWS, .values = values, .B = B, .T = N};
    at_run_init(&r, &cp, &arena, false, 0);
    const at_tensor *y = at_model_hidden(m, &r, &in, &p);
    OK(at_run_status(&r));
    assert_true(at_rows(y) == B && at_cols(y) == LABELS);
    memcpy(logits, y->data, (size_t)at_numel(y) * sizeof *logits);
    at_arena_rewind(&arena, (at_mark){0});
}

static void alone_and_beside(void **state) {
    (void)state;
    static const char *const trunk[] = {MIXTURE, DENSE};
    for (int t = 0; t < 2; t++) {
        at_model *m = model_of(trunk[t]);
        at_real all[ROWS * LABELS], one[LABELS];
        assert_true(m->dims.text && m->dims.inputs == N && m->dims.vocab == LABELS);
        answer(m, rows, ROWS, all, NULL);
        for (int i = 0; i < ROWS; i++) {
            answer(m, rows + i * N, 1, one, NULL);
            for (int c = 0; c < LABELS; c++) /* sums of other lengths are rounded otherwise */
                assert_true(fabs((double)(one[c] - all[i * LABELS + c])) < 1e-5);
            for (int k = 0; k < i; k++)
                assert_memory_not_equal(all + k * LABELS, all + i * LABELS, sizeof one);
        }
        at_model_close(m);
    }
}

static void routers_see_no_padding(void **state) {
    (void)state;
    at_model *m = model_of(MIXTURE);
    at_real all[ROWS * LABELS];
    int64_t seen[AT_LAYER_KINDS] = {0};
    answer(m, rows, ROWS, all, seen);
    assert_int_equal(seen[AT_LAYER_FEED_FORWARD], 2 * (2 + 1 + 8 + 2)); /* layers, tokens */
    assert_int_equal(seen[AT_LAYER_ATTENTION], 2 * (2 + 1 + 8 + 2));
    at_model_close(m);
}

static void refusals(void **state) {
    (void)state;
    at_model *m = model_of(DENSE);
    at_real row[N] = {1.0f};
    const struct {
        at_real value;
        int64_t T;
        const char *says;
    } bad[] = {{257, N, "257 is no byte of a text"},
               {-1, N, "-1 is no byte of a text"},
               {1, N - 1, "texts of 8 bytes, expected 9"}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        at_run r;
        row[0] = bad[i].value;
        const at_input in = {.kind = AT_INPUT_ROWS, .values = row, .B = 1, .T = bad[i].T};
        at_run_init(&r, &cp, &arena, false, 0);
        assert_null(at_model_hidden(m, &r, &in, NULL));
        assert_int_equal(at_run_status(&r), AT_ARG);
        expect_says(&ctx, bad[i].says);
        at_arena_rewind(&arena, (at_mark){0});
    }
    at_model_close(m);
}

int main(void) {
    at_ctx_init(&ctx, 1);
    at_arena_init(&arena, &ctx);
    if (at_compute_open(&cp, &ctx) != AT_OK) return 1;
    for (int i = 0; i < ROWS; i++)
        for (int j = 0; text[i][j]; j++) rows[i * N + j] = (at_real)(unsigned char)text[i][j] + 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(alone_and_beside),
        cmocka_unit_test(routers_see_no_padding),
        cmocka_unit_test(refusals),
    };
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    at_arena_close(&arena);
    at_compute_close(&cp);
    return failed;
}
