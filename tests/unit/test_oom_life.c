/* test_oom_life.c - memory runs out while a model is extended, and while its modules are read and changed. */
#include "infer/life.h"
#include "oom_fixture.h"
#include "train/extend.h"
#include "train/growth.h"

static const char one_trunk[] =
    "model: {arch: trunks, modules: [a], trunk: {arch: gpt2, n_layer: 1, "
    "n_embd: 8, n_head: 2, n_positions: 16}}\n";

static void save(const char *yaml, const char *name) {
    at_model *m = NULL;
    OK(model_of(yaml, &m));
    OK(at_model_save(&ctx, m, in_root(name), NULL));
    at_model_close(m);
}

/* A module for a mixture, with rows that come of the text; put into another folder, taken out, shipped. */
static at_status grow(void) {
    char text[2048];
    at_conf *f = NULL;
    at_lm *old = NULL;
    at_growth *g = at_calloc(&ctx, 1, sizeof *g);
    const int n = snprintf(text, sizeof text,
                           "extend: {name: b, attention: 1, init: domain, documents: 2}\n"
                           "data: {train: %s/data}\n"
                           "train: {steps: 1, batch: 1, context: 8, eval_windows: 1}\n",
                           root);
    at_status s = g ? at_conf_parse(&ctx, "recipe.yaml", text, (size_t)n, &f) : AT_OOM;
    if (s == AT_OK) s = at_lm_load(&ctx, in_root("mixture"), &old);
    if (s == AT_OK)
        s = at_grow(&ctx, f, in_root("mixture"), old, in_root("out/more"), in_root("out/run"), NULL,
                    0, g);
    at_lm_close(old);
    at_conf_close(f);
    at_free(g);
    return s;
}
static at_status change(void) {
    at_life_event e;
    at_removal r = {0};
    int64_t added;
    at_status s = at_module_export(&ctx, in_root("grown"), "b", in_root("out/b"));
    if (s == AT_OK)
        s = at_module_add(&ctx, in_root("mixture"), in_root("out/b"), "c", in_root("out/c"), &e);
    if (s == AT_OK)
        s = at_module_merge(&ctx, in_root("mixture"), in_root("grown"), in_root("out/m"), &added);
    if (s == AT_OK) s = at_module_drop(&ctx, in_root("grown"), "b", true, in_root("out/d"), &e, &r);
    at_removal_close(&r);
    return s;
}
static void whole_or_nothing(void) {
    static const char *const name[] = {"out/c", "out/m", "out/d"};
    for (int i = 0; i < 3; i++)
        if (at_exists(in_root(name[i]))) OK(load_lm(name[i]));
    nothing_in_the_making(&ctx, in_root("out"));
    empty_out();
}
static at_status load_grown(void) { return load_lm("grown"); }

/* One more trunk: a model that was not proved does not stay. */
static at_status extend(void) {
    char text[2048];
    at_conf *f = NULL;
    at_extension out;
    const int n = snprintf(text, sizeof text,
                           "extend: {name: b}\ndata: {train: %s/data}\n"
                           "train: {steps: 1, batch: 1, context: 8, eval_windows: 1}\n",
                           root);
    at_status s = at_conf_parse(&ctx, "recipe.yaml", text, (size_t)n, &f);
    if (s == AT_OK)
        s = at_extend(&ctx, f, in_root("one-trunk"), in_root("out/more"), in_root("out/run"), &out);
    at_conf_close(f);
    if (s == AT_OK) assert_true(out.proof.holds && at_exists(in_root("out/more/certificate.json")));
    return s;
}
static void not_extended(void) {
    if (at_exists(in_root("out/more"))) fail_msg("a model without a certificate");
    OK(at_remove_tree(&ctx, in_root("out/run")));
}
static void again(void) {
    OK(at_remove_tree(&ctx, in_root("out/more")));
    OK(at_remove_tree(&ctx, in_root("out/run")));
}

static void extending(void **state) {
    (void)state;
    empty_out();
    every_allocation("extend", 29, extend, not_extended, again);
    again();
    every_allocation("grow", 53, grow, not_extended, again);
}

/* What growing made last is there, with all its memory. */
static void modules(void **state) {
    (void)state;
    OK(at_remove_tree(&ctx, in_root("out/run")));
    assert_int_equal(rename(in_root("out/more"), in_root("grown")), 0);
    every_allocation("modules read", 1, load_grown, NULL, NULL);
    every_allocation("modules changed", 11, change, whole_or_nothing, whole_or_nothing);
}

static int begin(void **state) {
    (void)state;
    open_root();
    save(one_trunk, "one-trunk");
    save(oom_mixture, "mixture");
    return 0;
}

int main(void) {
    at_ctx_init(&ctx, 1);
    const struct CMUnitTest tests[] = {cmocka_unit_test(extending), cmocka_unit_test(modules)};
    return cmocka_run_group_tests(tests, begin, end);
}
