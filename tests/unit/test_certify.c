/* test_certify.c - a proof that cannot fail is none: what differs in a bit is seen, wherever it is. */
#include "base/file.h"
#include "check.h"
#include "data/dataset.h"
#include "infer/compose.h"
#include "train/certify.h"
#include <stdio.h>

#define DATA "tests/golden/runs/data"

static at_ctx ctx;
static char *root;

static const char *in(const char *name) {
    static char path[64][300];
    static int next;
    assert_true(next < 64);
    char *p = path[next++];
    (void)snprintf(p, sizeof path[0], "%s/%s", root, name);
    return p;
}

static at_model *make(const char *modules, const char *common) {
    char text[300];
    at_conf *f = NULL;
    at_model *m = NULL;
    (void)snprintf(
        text, sizeof text,
        "model: {arch: trunks, modules: [%s], common: %s, trunk: {arch: gpt2, n_layer: 1, "
        "n_embd: 12, n_head: 2, n_positions: 16}}\n",
        modules, common);
    OK(at_conf_parse(&ctx, "recipe.yaml", text, strlen(text), &f));
    OK(at_model_new(&ctx, f, "model", 320, 3, &m));
    at_conf_close(f);
    return m;
}

/* Saves a model of these modules, in which one value of a parameter (NULL: none) is another. */
static const char *saved(const char *name, const char *modules, const char *common,
                         const char *changed) {
    at_model *m = make(modules, common);
    if (changed) {
        at_param_entry *e = at_store_find(&m->store, changed);
        assert_non_null(e);
        e->t.data[5] += (at_real)1e-3;
    }
    OK(at_model_save(&ctx, m, in(name), NULL));
    at_model_close(m);
    return in(name);
}

/* Initial values depend on paths alone, so that a larger model has the smaller one in it. */
static void what_is_the_same_holds(void **state) {
    (void)state;
    at_certificate r;
    const char *old = saved("old", "aa, cc", "true", NULL);
    OK(at_certify(&ctx, old, saved("more", "aa, cc, bb", "true", NULL), DATA, &r));
    assert_true(r.holds);
    assert_int_equal(r.differ, 0);
    assert_int_equal(r.experts, 5); /* two, with the common one and without, and it alone */
    assert_int_equal(r.windows, 3);
    assert_int_equal(r.tokens, 3 * 16);
    assert_int_equal(r.before.tensors, 1 + 3 * 15);
    assert_int_equal(r.added,
                     16 * 12 + 12 * 36 + 36 + 12 * 12 + 12 + 12 * 48 + 48 + 48 * 12 + 12 + 6 * 12);
    OK(at_certify(&ctx, saved("no-common", "aa", "false", NULL),
                  saved("two", "aa, bb", "false", NULL), DATA, &r));
    assert_true(r.holds);
    assert_int_equal(r.experts, 1);
}

static void what_differs_is_seen(void **state) {
    (void)state;
    static const struct {
        const char *parameter;
        int64_t differ; /* of 5 ways in 3 windows */
    } row[] = {{"trunks.aa.transformer.ln_f.bias", 2 * 3},
               {"trunks.common.transformer.ln_f.bias", 3 * 3},
               {"trunks.cc.transformer.h.0.mlp.c_fc.weight", 2 * 3},
               {"trunks.bb.transformer.ln_f.bias", 0}};
    const char *old = saved("old", "aa, cc", "true", NULL);
    for (int i = 0; i < 4; i++) {
        at_certificate r;
        char name[20];
        (void)snprintf(name, sizeof name, "changed-%d", i);
        OK(at_certify(&ctx, old, saved(name, "aa, cc, bb", "true", row[i].parameter), DATA, &r));
        assert_int_equal(r.differ, row[i].differ);
        assert_true(r.holds == (i == 3)); /* bb is the new one's alone */
        assert_true((strcmp(r.before.hex, r.after.hex) == 0) == (i == 3));
    }
}

/* Tensors may differ where no answer does: rows of words that the text does not have. */
static void digests_see_what_answers_do_not(void **state) {
    (void)state;
    at_certificate r;
    at_model *m = make("aa, cc", "true");
    at_real *last =
        &at_store_find(&m->store, "trunks.aa.transformer.wpe.weight")->t.data[16 * 12 - 1];
    *last = -*last; /* the last position; windows are as long as the context, so it is seen */
    OK(at_model_save(&ctx, m, in("position"), NULL));
    at_model_close(m);
    OK(at_certify(&ctx, saved("old", "aa, cc", "true", NULL), in("position"), DATA, &r));
    assert_int_equal(r.differ, 2 * 3);
    assert_false(r.holds);
    assert_int_equal(at_certify(&ctx, saved("old", "aa, cc", "true", NULL),
                                saved("less", "aa", "true", NULL), DATA, &r),
                     AT_MISMATCH);
    expect_says(&ctx, "less has no expert `cc`, which");
    assert_false(r.holds);
}

/* A plain model with initial values of this seed. */
static const char *whole(const char *name, uint64_t seed) {
    static const char text[] =
        "model: {arch: gpt2, n_layer: 1, n_embd: 12, n_head: 2, n_positions: 16}\n";
    at_conf *f = NULL;
    at_model *m = NULL;
    OK(at_conf_parse(&ctx, "recipe.yaml", text, strlen(text), &f));
    OK(at_model_new(&ctx, f, "model", 320, seed, &m));
    at_conf_close(f);
    OK(at_model_save(&ctx, m, in(name), NULL));
    at_model_close(m);
    return in(name);
}

static const char *composed(const char *name, const char *experts) {
    char text[1200];
    at_conf *f = NULL;
    (void)snprintf(text, sizeof text, "mode: ple\nrouter: %s\nexperts: [%s]\n",
                   in("router.safetensors"), experts);
    OK(at_conf_parse(&ctx, "compose.yaml", text, strlen(text), &f));
    OK(at_compose(&ctx, f, in(name)));
    at_conf_close(f);
    return in(name);
}

/* Of whole models, those of one name are compared. */
static void whole_models(void **state) {
    (void)state;
    char experts[1000];
    at_certificate r;
    at_dataset *d = NULL;
    at_router *router = NULL;
    const at_router_options o = at_router_defaults();
    OK(at_dataset_open(&ctx, DATA, &d));
    OK(at_router_train(&ctx, d, NULL, 0, &o, &router));
    OK(at_router_save(&ctx, router, in("router.safetensors")));
    at_router_close(router);
    at_dataset_close(d);
    const char *a = whole("a", 1), *b = whole("b", 2);
#define EXPERTS(...) ((void)snprintf(experts, sizeof experts, __VA_ARGS__), experts)
    const char *old =
        composed("ple", EXPERTS("{name: aa, model: %s}, {name: cc, model: %s}", a, b));
    const char *more = composed("ple3", EXPERTS("{name: cc, model: %s}, {name: aa, model: %s}, "
                                                "{name: bb, model: %s}",
                                                old, old, b));
    OK(at_certify(&ctx, old, more, DATA, &r));
    assert_true(r.holds);
    assert_true(r.differ == 0 && r.experts == 2 && r.windows == 3 && r.tokens == 3 * 16);
    assert_true(r.added > 0);
    const char *other =
        composed("other", EXPERTS("{name: cc, model: %s}, {name: aa, model: %s}", a, b));
    OK(at_certify(&ctx, old, other, DATA, &r));
    assert_false(r.holds);
    assert_int_equal(r.differ, 2 * 3);
    assert_string_not_equal(r.before.hex, r.after.hex);
    const char *less = composed("fewer", EXPERTS("{name: aa, model: %s}", a));
    assert_int_equal(at_certify(&ctx, old, less, DATA, &r), AT_MISMATCH);
    expect_says(&ctx, "fewer has no expert `cc`, which");
    assert_int_equal(at_certify(&ctx, old, saved("trunks", "aa, cc", "true", NULL), DATA, &r),
                     AT_CONFIG);
    expect_says(&ctx, "the other whole models");
    assert_int_equal(at_certify(&ctx, a, old, DATA, &r), AT_CONFIG);
    expect_says(&ctx, "a is a single network");
#undef EXPERTS
}

int main(void) {
    at_ctx_init(&ctx, 2);
    root = at_strdup(&ctx, temporary_folder());
    if (!root) return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_the_same_holds),
        cmocka_unit_test(what_differs_is_seen),
        cmocka_unit_test(digests_see_what_answers_do_not),
        cmocka_unit_test(whole_models),
    };
    const int bad = cmocka_run_group_tests(tests, NULL, NULL);
    (void)at_remove_tree(&ctx, root);
    at_free(root);
    return bad;
}
