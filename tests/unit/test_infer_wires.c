/* test_infer_wires.c - a conversion that damages a model is refused. */
#include "arch/model.h"
#include "check.h"
#include "infer/convert.h"
#include <math.h>
#include <stdio.h>

enum { V = 19, C = 8 };

/* A model whose logits are small differences of large numbers, of which BF16 keeps nothing: the
   last norm gives hidden states of ones, the output rows are 1, -1 and a little. */
static void save_delicate_model(at_ctx *c, const char *path) {
    static const char recipe[] =
        "model: {arch: gpt2, n_layer: 1, n_embd: 8, n_head: 2, n_positions: 12, "
        "tie_word_embeddings: false}\n";
    at_conf *f = NULL;
    at_model *m = NULL;
    if (at_conf_parse(c, "recipe", recipe, strlen(recipe), &f) != AT_OK ||
        at_model_new(c, f, "model", V, 1, &m) != AT_OK)
        fail_msg("%s", c->message);
    at_conf_close(f);
    at_tensor *g = &at_store_find(&m->store, "transformer.ln_f.weight")->t;
    at_tensor *b = &at_store_find(&m->store, "transformer.ln_f.bias")->t;
    at_tensor *head = &at_store_find(&m->store, "lm_head.weight")->t;
    for (int i = 0; i < C; i++) g->data[i] = 0, b->data[i] = 1;
    memset(head->data, 0, V * C * sizeof *head->data);
    for (int v = 0; v < V; v++) {
        head->data[v * C] = 1;
        head->data[v * C + 1] = (at_real)(-1 + 1e-4 * (v + 1));
    }
    if (at_model_save(c, m, path, NULL) != AT_OK) fail_msg("%s", c->message);
    at_model_close(m);
}

static void a_spoilt_model_is_not_delivered(void **state) {
    (void)state;
    at_ctx ctx;
    at_compute cp;
    at_conversion done;
    char from[300], to[300];
    at_ctx_init(&ctx, 2);
    char *dir = temporary_folder();
    (void)snprintf(from, sizeof from, "%s/from", dir);
    (void)snprintf(to, sizeof to, "%s/to", dir);
    OK(at_compute_open(&cp, &ctx));
    save_delicate_model(&ctx, from);
    assert_int_equal(at_convert(&cp, from, to, AT_TO_ARTEL, AT_DT_BF16, 1, &done), AT_MISMATCH);
    expect_says(&ctx, "its logits differ");
    assert_false(at_exists(to));
    OK(at_convert(&cp, from, to, AT_TO_ARTEL, AT_DT_F32, 1, &done));
    assert_true(at_exists(to));
    at_compute_close(&cp);
    OK(at_remove_tree(&ctx, dir));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_spoilt_model_is_not_delivered)};
    return cmocka_run_group_tests_name("infer_wires", tests, NULL, NULL);
}
