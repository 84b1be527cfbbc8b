/* test_branches.c - a mixture of branches whose routers are trained: what is frozen keeps its bits; an
   interrupted call goes on; what a recipe may not say. */
#include "in_folder.h"
#include "infer/btx.h"
#include "train/branches.h"
#include <stdio.h>

#define DATA "tests/golden/runs/data"

/* Saves the dense model `name`. */
static void save(const char *name, uint64_t seed) {
    static const char text[] =
        "model: {arch: moduleformer, n_layer: 1, n_embd: 8, n_head: 1, att_hidden: 8, ffd_hidden: "
        "6, "
        "n_att_experts: 1, k_att: 1, n_mlp_experts: 1, k_mlp: 1, initializer_range: 0.2}";
    at_conf *f = NULL;
    at_model *m = NULL;
    OK(at_conf_parse(&ctx, "recipe.yaml", text, strlen(text), &f));
    OK(at_model_new(&ctx, f, "model", 320, seed, &m));
    OK(at_model_save(&ctx, m, in(name), NULL));
    at_model_close(m);
    at_conf_close(f);
}

/* A call with these keys beside the experts'. */
static at_status compose(const char *out, const char *keys) {
    char text[2000];
    at_conf *f = NULL;
    bool is = false;
    (void)snprintf(text, sizeof text,
                   "mode: btx\nexperts: [{name: aa, model: %s}, {name: bb, model: %s}]\n%s\n",
                   in("aa"), in("bb"), keys);
    OK(at_conf_parse(&ctx, "recipe.yaml", text, strlen(text), &f));
    OK(at_branches_asked(&ctx, f, &is));
    assert_true(is);
    const at_status s = at_branches_compose(&ctx, f, in(out));
    at_conf_close(f);
    nothing_in_the_making(&ctx, dir);
    return s;
}

#define MEASURED "data: {train: " DATA "}\nreport: {context: 16, windows: 1, skip: 4}\n"
#define TRAINED                                                                                  \
    MEASURED "train: {steps: 4, batch: 2, context: 16, lr: 0.1, eval_every: 0, save_every: 1}\n" \
             "losses: {switch: 0.01}\n"

static at_model *load(const char *name) {
    at_model *m = NULL;
    OK(at_model_load(&ctx, in(name), false, &m));
    return m;
}

static void routers_alone_are_trained(void **state) {
    (void)state;
    save("aa", 1);
    save("bb", 2);
    OK(compose("plain", ""));
    OK(compose("routers", TRAINED));
    OK(compose("all", TRAINED "trained: all"));
    at_model *a = load("plain"), *b = load("routers"), *c = load("all"), *dense = load("aa");
    for (int64_t i = 0; i < a->store.n; i++) {
        const at_param_entry *e = a->store.p[i];
        const size_t bytes = (size_t)at_numel(&e->t) * sizeof(at_real);
        const bool router = !at_store_stack(&dense->store, e->of->path);
        const bool moved = memcmp(e->t.data, b->store.p[i]->t.data, bytes) != 0;
        if (moved != router) fail_msg("%s %s", e->path, moved ? "moved" : "stayed");
        assert_memory_not_equal(e->t.data, c->store.p[i]->t.data, bytes);
    }
    at_model_close(a);
    at_model_close(b);
    at_model_close(c);
    at_model_close(dense);
}

static atomic_int asked;
static void after_a_step(void *user, at_log_level level, const char *line) {
    (void)user;
    (void)level;
    if (strstr(line, "step 1/4")) atomic_store(&asked, 1);
}

static void an_interrupted_call_goes_on(void **state) {
    (void)state;
    OK(compose("whole", TRAINED));
    atomic_store(&asked, 0);
    ctx.interrupt = &asked;
    ctx.log = after_a_step;
    assert_int_equal(compose("twice", TRAINED), AT_INTERRUPTED);
    assert_false(at_exists(in("twice")));
    atomic_store(&asked, 0);
    ctx.log = NULL;
    OK(compose("twice", TRAINED));
    ctx.interrupt = NULL;
    char *a = at_read_file(&ctx, in("whole/model.safetensors"), 1 << 20, &(size_t){0});
    size_t n;
    char *b = at_read_file(&ctx, in("twice/model.safetensors"), 1 << 20, &n);
    assert_memory_equal(a, b, n);
    at_free(a);
    at_free(b);
}

static void refused(const char *keys, const char *says) {
    const at_status s = compose("refused", keys);
    if (s == AT_OK) fail_msg("taken: %s", keys);
    expect_says(&ctx, says);
    assert_false(at_exists(in("refused")));
    assert_false(at_exists(in("refused.run")));
}

static void what_a_recipe_may_not_say(void **state) {
    (void)state;
    refused("rest: base", "`rest`: to take it from the base, the key `base` is needed");
    refused("attention: base", "`attention`: to take it from the base");
    refused("k: 3", "`k`: 3 experts a token, but there are 2");
    refused("attention: experts\nk_att: 3", "`k_att`: 3 experts a token, but there are 2");
    refused("k: 1\n" TRAINED, "`k`: the gate of a single expert divided by itself is always 1");
    refused("train: {steps: 1}", "`train`: routers are trained on text: `data` is missing");
    refused("router: gates", "`router`: rows are made from text: `data` is missing");
    refused("init: x", "`init`: the mixture is what the training begins with");
    refused("freeze: ['*']", "`freeze`: the mixture is what the training begins with");
    refused("model: {arch: gpt2}", "`model`: the mixture is what the training begins with");
    refused("rst: base", "unknown key");
    refused("report: {skip: 1}", "unknown key"); /* of nothing that is measured */
    refused(MEASURED "losses: {switch: 1}", "unknown key");
    refused("data: {train: " DATA "}\nreport: {context: 8, skip: 8}",
            "report.skip: 8 tokens of a window of 8 leave nothing to score");
    refused("data: {train: " DATA "}\nreport: {split: best}", "best");
    refused("data: {train: " DATA "}\nreport: {skip: 2000, context: 4000}",
            "no domain has more than report.skip = 2000 tokens in the split test");
    refused("base: nowhere", "nowhere");
    OK(compose("there", ""));
    assert_int_equal(compose("there", ""), AT_ARG);
}

static void experts_of_a_recipe(void **state) {
    (void)state;
    const struct {
        const char *experts, *says;
    } bad[] = {
        {"[]", "expected a list of 2 to 64 {name, model}, found 0"},
        {"[{name: aa, model: x}]", "found 1"},
        {"[{name: aa, model: x}, {name: aa, model: y}]", "two experts are called `aa`"},
        {"[{name: a/b, model: x}, {name: aa, model: y}]", "expected up to 64 letters"},
        {"[{name: aa}, {name: bb, model: y}]", "`experts.0.model`"},
        {"[{name: aa, model: x, k: 1}, {name: bb, model: y}]", "unknown key"},
        {"[{name: aa, model: nowhere}, {name: bb, model: y}]", "nowhere"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char text[300];
        at_conf *f = NULL;
        (void)snprintf(text, sizeof text, "mode: btx\nexperts: %s\n", bad[i].experts);
        OK(at_conf_parse(&ctx, "recipe.yaml", text, strlen(text), &f));
        assert_true(at_branches_compose(&ctx, f, in("bad")) != AT_OK);
        expect_says(&ctx, bad[i].says);
        at_conf_close(f);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(routers_alone_are_trained),
        cmocka_unit_test(an_interrupted_call_goes_on),
        cmocka_unit_test(what_a_recipe_may_not_say),
        cmocka_unit_test(experts_of_a_recipe),
    };
    return cmocka_run_group_tests_name("branches", tests, setup, teardown);
}
