/*
 * test_trunks.c - trunks over one embedding: a trunk that waits for its turn is not touched, to the bit;
 * which trunks a pass runs; a resumed run is the uninterrupted one; what is refused, and how.
 */
#include "arch/read.h"
#include "base/file.h"
#include "check.h"
#include "infer/session.h"
#include "train/train.h"
#include <math.h>
#include <stdio.h>

#define DATA "tests/golden/runs/data"

static at_ctx ctx;
static at_compute cp;
static at_arena arena;
static char *root;

#define TRUNK "trunk: {arch: gpt2, n_layer: 1, n_embd: 12, n_head: 2, n_positions: 16}"
#define STEPS \
    "train: {batch: 2, context: 12, accumulate: 2, lr: 1e-2, warmup: 0, schedule: constant, "

static at_conf *conf_of(const char *text) {
    at_conf *f = NULL;
    OK(at_conf_parse(&ctx, "recipe.yaml", text, strlen(text), &f));
    return f;
}

static at_status train(const char *text, const char *run, bool resume) {
    at_conf *f = conf_of(text);
    at_train_result out;
    const at_train_options o = {.resume = resume, .distilling = at_conf_has(f, "distill")};
    char *path = at_join(&ctx, root, run);
    assert_non_null(path);
    const at_status s = at_train(&ctx, f, path, &o, &out);
    at_conf_close(f);
    at_free(path);
    return s;
}

static at_model *trained(const char *run) {
    char path[300];
    at_model *m = NULL;
    (void)snprintf(path, sizeof path, "%s/%s/model", root, run);
    OK(at_model_load(&ctx, path, true, &m));
    return m;
}

static at_model *fresh(const char *text) {
    at_conf *f = conf_of(text);
    at_model *m = NULL;
    OK(at_model_new(&ctx, f, "model", 320, 3, &m));
    at_conf_close(f);
    return m;
}

/* Number of parameters below a path, all of which are the same, or all of which differ. */
static int compare(const at_model *a, const at_model *b, const char *below, bool same) {
    int n = 0;
    for (int64_t i = 0; i < a->store.n; i++) {
        const at_param_entry *x = a->store.p[i], *y = at_store_find(&b->store, x->path);
        if (strncmp(x->path, below, strlen(below)) != 0) continue;
        assert_non_null(y);
        const size_t bytes = (size_t)at_numel(&x->t) * sizeof(at_real);
        if ((memcmp(x->t.data, y->t.data, bytes) == 0) != same)
            fail_msg("%s: expected %s values", x->path, same ? "the same" : "other");
        n++;
    }
    assert_true(n > 0);
    return n;
}

/* With the embedding frozen, a trunk that has a turn in three is the trunk that is trained alone on its
   domain: neither decay, moments, the count of its steps nor its windows know of the other turns. */
static void turns_are_training_alone(void **state) {
    (void)state;
    static const char turns[] =
        "seed: 3\nfreeze: [embed]\nmodel: {arch: trunks, modules: [aa, bb, cc], " TRUNK "}\n"
        "data: {train: " DATA "}\n" STEPS "steps: 12}\n";
    static const char alone[] =
        "seed: 3\nfreeze: [embed]\nmodel: {arch: trunks, modules: [aa, bb, cc], " TRUNK "}\n"
        "data: {train: " DATA ", domains: [bb]}\n" STEPS "steps: 4}\n";
    OK(train(turns, "turns", false));
    OK(train(alone, "alone", false));
    at_model *start = fresh(turns), *all = trained("turns"), *one = trained("alone");
    assert_int_equal(compare(all, one, "trunks.bb.", true), 15);
    (void)compare(all, start, "trunks.aa.", false);
    (void)compare(one, start, "trunks.aa.", true);
    (void)compare(one, start, "trunks.cc.", true);
    (void)compare(all, start, "embed", true);
    at_model_close(start);
    at_model_close(all);
    at_model_close(one);
}

/* A step without the common trunk leaves it alone, and some steps are without it. */
static void common_sits_out(void **state) {
    (void)state;
    static const char recipe[] =
        "seed: %d\nmodel: {arch: trunks, modules: [aa], common: true, common_dropout: 0.5, " TRUNK
        "}\ndata: {train: " DATA ", domains: [aa]}\n" STEPS "steps: 1}\n";
    int without = 0;
    for (int seed = 0; seed < 12; seed++) {
        char text[600], run[20];
        (void)snprintf(text, sizeof text, recipe, seed);
        (void)snprintf(run, sizeof run, "common-%d", seed);
        OK(train(text, run, false));
        at_model *after = trained(run), *before = NULL;
        at_conf *f = conf_of(text);
        OK(at_model_new(&ctx, f, "model", 320, (uint64_t)seed, &before));
        at_conf_close(f);
        const at_param_entry *x =
            at_store_find(&before->store, "trunks.common.transformer.wpe.weight");
        const at_param_entry *y = at_store_find(&after->store, x->path);
        const bool same = !memcmp(x->t.data, y->t.data, (size_t)at_numel(&x->t) * sizeof(at_real));
        (void)compare(before, after, "trunks.common.", same);
        (void)compare(before, after, "trunks.aa.", false);
        without += same;
        at_model_close(before);
        at_model_close(after);
    }
    assert_in_range(without, 2, 10);
}

static void drop(const char *run, const char *name) {
    char path[300];
    (void)snprintf(path, sizeof path, "%s/%s/%s", root, run, name);
    OK(at_remove_tree(&ctx, path));
}

static void resumed_is_uninterrupted(void **state) {
    (void)state;
    static const char recipe[] =
        "seed: 3\nmodel: {arch: trunks, common: true, common_dropout: 0.4, combine: learned, " TRUNK
        "}\ndata: {train: " DATA "}\n" STEPS "steps: 9, save_every: 5}\n";
    OK(train(recipe, "whole", false));
    OK(train(recipe, "parts", false));
    drop("parts", "checkpoints/step-00000009");
    drop("parts", "model");
    OK(train(recipe, "parts", true));
    at_model *a = trained("whole"), *b = trained("parts");
    (void)compare(a, b, "", true);
    at_model_close(a);
    at_model_close(b);
}

/* ---- passes ------------------------------------------------------------------------------------ */

static at_status hidden(at_model *m, uint64_t modules, at_real *out) {
    static const int32_t ids[] = {5, 17, 4, 200, 9, 31};
    const at_input in = {.ids = ids, .B = 2, .T = 3, .modules = modules};
    at_run r;
    at_run_init(&r, &cp, &arena, false, 0);
    const at_tensor *x = at_model_hidden(m, &r, &in, NULL);
    const at_status s = at_run_status(&r);
    if (s == AT_OK) memcpy(out, x->data, (size_t)at_numel(x) * sizeof *out);
    at_arena_rewind(&arena, (at_mark){0});
    return s;
}

/* What runs is the mean of what each gives alone; rows of zeros are the mean, too. */
static void passes_run_what_is_asked(void **state) {
    (void)state;
    enum { N = 6 * 12 };
    static const char *const combine[] = {"mean", "learned"};
    for (int learned = 0; learned < 2; learned++) {
        char text[300];
        at_real one[3][N], some[N], all[N];
        (void)snprintf(text, sizeof text,
                       "model: {arch: trunks, modules: [a, b], common: true, combine: %s, " TRUNK
                       "}\n",
                       combine[learned]);
        at_model *m = fresh(text);
        assert_int_equal(at_model_module(m, "b"), 1);
        assert_int_equal(at_model_module(m, "common"), 2);
        assert_int_equal(at_model_module(m, "c"), -1);
        assert_int_equal(m->dims.layers, 3);
        assert_int_equal(m->dims.module_layers, 1);
        for (int k = 0; k < 3; k++) OK(hidden(m, UINT64_C(1) << k, one[k]));
        OK(hidden(m, 5, some));
        OK(hidden(m, 0, all));
        for (int i = 0; i < N; i++) {
            assert_true(fabs((double)(some[i] - (one[0][i] + one[2][i]) / 2)) < 1e-6);
            assert_true(fabs((double)(all[i] - (one[0][i] + one[1][i] + one[2][i]) / 3)) < 1e-6);
        }
        assert_memory_not_equal(one[0], one[1], sizeof one[0]);
        assert_int_equal(hidden(m, 8, some), AT_ARG);
        expect_says(&ctx, "trunks has 3 modules: it cannot run those of mask 8");
        if (learned) { /* a row decides who is heard */
            at_param_entry *row = at_store_find(&m->store, "trunks.b.combine");
            for (int i = 0; i < 12; i++) row->t.data[i] = one[1][i] * 1000;
            OK(hidden(m, 3, some));
            for (int i = 0; i < 12; i++) assert_true(fabs((double)(some[i] - one[1][i])) < 1e-5);
        }
        at_model_close(m);
    }
}

/* A session takes memory for the trunks that it runs, and gives what a pass of these gives; sessions that
   run others do not fit in one pass. */
static void sessions_run_what_is_asked(void **state) {
    (void)state;
    static const int32_t ids[] = {5, 17, 4};
    at_model *m = fresh("model: {arch: trunks, modules: [a, b], common: true, " TRUNK "}\n");
    at_session s[2];
    const at_real *logits;
    for (int i = 0; i < 2; i++) {
        OK(at_session_open(&cp, m, 0, &s[i]));
        s[i].modules = i ? 6 : 5; /* with the common one */
    }
    OK(at_session_feed(&s[0], ids, 2, &logits));
    OK(at_session_feed(&s[0], ids + 2, 1, &logits));
    assert_true(s[0].cache[0].k && !s[0].cache[1].k && s[0].cache[2].k);
    at_run r;
    at_run_init(&r, &cp, &arena, false, 0);
    const at_input in = {.ids = ids, .B = 1, .T = 3, .modules = 5};
    at_tensor *x = at_model_hidden(m, &r, &in, NULL);
    x = at_linear(&r, x, at_model_head(m), NULL);
    OK(at_run_status(&r));
    for (int64_t i = 0; i < 320; i++)
        assert_true(fabs((double)(logits[i] - x->data[2 * 320 + i])) < 1e-5);
    at_arena_rewind(&arena, (at_mark){0});
    at_session_part part[] = {{.session = &s[0], .ids = ids, .n = 1},
                              {.session = &s[1], .ids = ids, .n = 1}};
    assert_int_equal(at_session_feed_all(part, 2), AT_ARG);
    for (int i = 0; i < 2; i++) at_session_close(&s[i]);
    at_model_close(m);
}

/* Slots of the banks of a trunk are parameters of it. */
static void slots_have_paths(void **state) {
    (void)state;
    at_model *m =
        fresh("model: {arch: trunks, modules: [a, b], trunk: {arch: moduleformer, n_layer: 1, "
              "n_embd: 8, att_hidden: 8, ffd_hidden: 6, gating_size: 4}}\n");
    assert_non_null(at_store_find(&m->store, "trunks.a.transformer.h.0.mlpf.experts.1.in"));
    assert_non_null(at_store_find(&m->store, "trunks.b.transformer.h.0.mlpf.experts.1.row"));
    at_model_close(m);
}

/* ---- mutual distillation ----------------------------------------------------------------------- */

static char *bytes_of(const char *run, size_t *n) {
    char path[300];
    (void)snprintf(path, sizeof path, "%s/%s/model/model.safetensors", root, run);
    char *b = at_read_file(&ctx, path, 1 << 24, n);
    if (!b) fail_msg("%s", ctx.message);
    return b;
}

/* What the trunks of a step learn from each other; an alpha of 0 leaves every bit. */
static void trunks_are_peers(void **state) {
    (void)state;
    static const char base[] = "model: {arch: trunks, common: true, " TRUNK "}\ndata: {train: " DATA
                               "}\n" STEPS "steps: 4}\n";
    static const char *const losses[] = {"", "losses: {mutual_distillation: 0}\n",
                                         "losses: {mutual_distillation: 5}\n"};
    char *bytes[3];
    size_t n[3];
    for (int i = 0; i < 3; i++) {
        char text[1200], run[20];
        (void)snprintf(text, sizeof text, "%s%s", base, losses[i]);
        (void)snprintf(run, sizeof run, "peers-%d", i);
        OK(train(text, run, false));
        bytes[i] = bytes_of(run, &n[i]);
    }
    assert_true(n[0] == n[1] && n[0] == n[2]);
    assert_memory_equal(bytes[0], bytes[1], n[0]);
    assert_true(memcmp(bytes[0], bytes[2], n[0]) != 0);
    for (int i = 0; i < 3; i++) at_free(bytes[i]);
}

/* ---- refusals ---------------------------------------------------------------------------------- */

static void refused(const char *model, const char *rest, at_status status, const char *says) {
    char text[900];
    (void)snprintf(text, sizeof text, "model: {arch: trunks, %s}\n%s", model, rest);
    assert_int_equal(train(text, "refused", false), status);
    expect_says(&ctx, says);
}

static void what_is_refused(void **state) {
    (void)state;
    static const char rest[] = "data: {train: " DATA "}\n" STEPS "steps: 1}\n";
    static const char twice[] = "trunk: {arch: trunks, trunk: {arch: gpt2}}";
    char teacher[700], path[300];
    refused(TRUNK ", combine: learned", rest, AT_CONFIG, "model.combine`: learned weights need");
    refused(TRUNK ", common_dropout: 0.1", rest, AT_CONFIG,
            "there is no common trunk to leave out");
    refused(TRUNK ", modules: [aa, bb, aa]", rest, AT_CONFIG, "`aa` is there twice");
    refused(TRUNK ", modules: [common]", rest, AT_CONFIG, "`common` is the name of the trunk");
    refused(TRUNK ", modules: [a/b]", rest, AT_CONFIG, "`a/b`: expected up to 64 letters");
    refused(twice, rest, AT_CONFIG, "trunks cannot be part of another architecture");
    refused("trunk: {arch: gpt3}", rest, AT_CONFIG, "architecture `gpt3` is unknown");
    refused("trunk: {arch: gpt2, n_embd: 10, n_head: 3}", rest, AT_CONFIG, "model.trunk.n_head");
    refused("trunk: {arch: gpt2, vocab_size: 9}", rest, AT_CONFIG,
            "unknown key `model.trunk.vocab_size`");
    refused(TRUNK ", modules: [aa, cc]", rest, AT_CONFIG,
            "model.modules: none is called `bb`, which is a domain of the data");
    refused(TRUNK, "data: {train: " DATA ", mix: balanced}\n" STEPS "steps: 1}\n", AT_CONFIG,
            "data.mix: balanced: a batch of several domains has no trunk");
    refused(TRUNK, "data: {train: " DATA "}\n" STEPS "steps: 1, history: 8}\n", AT_CONFIG,
            "train.history: with data.mix: turns");
    refused(TRUNK,
            "data: {train: " DATA "}\n" STEPS "steps: 1}\nlosses: {mutual_distillation: 1}\n",
            AT_CONFIG, "losses: architecture trunks has no routers");
    refused(TRUNK ", common: true",
            "data: {train: " DATA "}\n" STEPS "steps: 1}\nlosses: {mutual_distillation: 1, z: 1}\n",
            AT_CONFIG, "the trunks have no routers, only mutual distillation");
    refused(TRUNK ", common: true",
            "data: {train: " DATA "}\n" STEPS
            "steps: 1}\nlosses: {mutual_distillation: 1, mutual_extra: 1}\n",
            AT_CONFIG, "losses.mutual_extra: trunks that are not run have no part in a step");
    refused(TRUNK ", common: true",
            "data: {train: " DATA "}\n" STEPS
            "steps: 1}\nlosses: {mutual_distillation: 1, mutual_layers: [0]}\n",
            AT_CONFIG, "losses.mutual_layers: of its 1 items 0 are layers");
    OK(train("model: {arch: trunks, " TRUNK "}\ndata: {train: " DATA "}\n" STEPS "steps: 1}\n",
             "teacher", false));
    (void)snprintf(teacher, sizeof teacher, "%sdistill: {teacher: %s/teacher/model}\n", rest, root);
    refused(TRUNK, teacher, AT_CONFIG, "the teacher is a model of trunks");
    (void)snprintf(path, sizeof path, "%s/refused", root);
    assert_false(at_exists(path));
}

int main(void) {
    at_ctx_init(&ctx, 2);
    at_arena_init(&arena, &ctx);
    root = at_strdup(&ctx, temporary_folder());
    if (!root || at_compute_open(&cp, &ctx) != AT_OK) return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(turns_are_training_alone),   cmocka_unit_test(common_sits_out),
        cmocka_unit_test(resumed_is_uninterrupted),   cmocka_unit_test(passes_run_what_is_asked),
        cmocka_unit_test(sessions_run_what_is_asked), cmocka_unit_test(slots_have_paths),
        cmocka_unit_test(trunks_are_peers),           cmocka_unit_test(what_is_refused),
    };
    const int bad = cmocka_run_group_tests(tests, NULL, NULL);
    at_compute_close(&cp);
    at_arena_close(&arena);
    (void)at_remove_tree(&ctx, root);
    at_free(root);
    return bad;
}
