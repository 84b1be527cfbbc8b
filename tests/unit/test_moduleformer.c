/*
 * test_moduleformer.c - the architecture against what its authors' code computed: logits, losses,
 * every gradient.  And settings that make no sense, refused by name.
 *
 * Compiled in float, and again in double (tests/double/test_moduleformer_double.c) with bounds as
 * tight as the golden files are precise: some of their tensors are in double, others in float.
 */
#include "arch/estimate.h"
#include "base/file.h"
#include "golden_fixture.h"
#include "infer/logits.h"
#include "infer/session.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static at_compute cp;
static at_arena arena;

static const bool in_double = sizeof(at_real) == 8;

/* Within 1e-5, gradients 1e-4; in double within 1e-9 of what is in double in the file. */
static void near(const fixture *f, const char *name, const at_real *a, double *worst) {
    const double d = distance(f->golden, name, a);
    const bool exact = in_double && at_st_find(f->golden, name)->dtype == AT_DT_F64;
    if (!(d < (exact ? 1e-9 : !strncmp(name, "grad.", 5) ? 1e-4 : 1e-5)))
        fail_msg("%s is off by %g", name, d);
    *worst = d > *worst ? d : *worst;
}

static void against_golden(const char *name) {
    fixture f;
    open_fixture(name, &f);
    OK(at_store_train(&f.m->store, false));
    at_run r;
    at_run_init(&r, &cp, &arena, true, 0);
    at_aux aux;
    at_pass p = {.aux = &aux};
    const double weight = f.m->arch->aux(f.m->config, &aux);
    const at_input feed = {.ids = f.ids, .B = f.B, .T = f.T};
    at_tensor *x = at_model_hidden(f.m, &r, &feed, &p), *head = at_model_head(f.m);
    at_tensor *logits = at_linear(&r, x, head, NULL);
    at_tensor *lm = at_xent(&r, logits, f.labels);
    at_tensor *loss = at_weighted_sum(&r, (at_tensor *[]){lm, p.loss}, (double[]){1, weight}, 2);
    OK(at_run_status(&r));
    double out = 0, gradient = 0;
    near(&f, "logits", logits->data, &out);
    near(&f, "loss_lm", lm->data, &out);
    near(&f, "aux_total", p.loss->data, &out);
    near(&f, "loss_total", loss->data, &out);
    OK(at_backward(&r, loss, 1));
    for (int64_t i = 0; i < f.m->store.n_stacks; i++) {
        const at_stack *e = f.m->store.stack[i];
        char path[300];
        (void)snprintf(path, sizeof path, "grad.%s", e->path);
        near(&f, path, e->t.grad, &gradient);
    }
    print_message("%s: outputs %.1e, gradients %.1e\n", name, out, gradient);
    at_arena_rewind(&arena, (at_mark){0});
    close_fixture(&f);
}

static void golden_molm(void **state) {
    (void)state;
    against_golden("tests/golden/moduleformer/molm");
}
static void golden_dense(void **state) {
    (void)state;
    against_golden("tests/golden/moduleformer/dense");
}
static void golden_gmm(void **state) {
    (void)state;
    against_golden("tests/golden/moduleformer/gmm_gate");
}
static void golden_linear_switch(void **state) {
    (void)state;
    against_golden("tests/golden/moduleformer/linear_gate_switch");
}

/* The file `logits` writes: logits of all sequences, and the auxiliary loss as a scalar. */
static void logits_file(void **state) {
    (void)state;
    char dir[] = "/tmp/artel-test-XXXXXX", out[64];
    assert_non_null(mkdtemp(dir));
    (void)snprintf(out, sizeof out, "%s/out.safetensors", dir);
    at_lm *m = NULL;
    at_st *got = NULL;
    fixture f;
    open_fixture("tests/golden/moduleformer/molm", &f);
    OK(at_lm_load(&ctx, "tests/golden/moduleformer/molm", &m));
    OK(at_logits_file(&cp, m, NULL, "tests/golden/moduleformer/molm/golden.safetensors", out));
    OK(at_st_open(&ctx, out, &got));
    static const char *const name[2] = {"logits", "aux_loss"}, *const want[2] = {"logits",
                                                                                 "aux_total"};
    for (int i = 0; i < 2; i++) {
        const at_st_tensor *t = at_st_find(got, name[i]);
        assert_non_null(t);
        assert_int_equal(t->rank, i == 0 ? 3 : 0);
        double *wide = malloc(sizeof *wide * 2000);
        at_real *x = malloc(sizeof *x * 2000);
        const int64_t n = i == 0 ? f.B * f.T * f.m->dims.vocab : 1;
        assert_true(n <= 2000);
        OK(at_st_to_f64(&ctx, t, wide));
        for (int64_t j = 0; j < n; j++) x[j] = (at_real)wide[j];
        assert_true(distance(f.golden, want[i], x) < 1e-5);
        free(wide);
        free(x);
    }
    at_st_close(got);
    at_lm_close(m);
    close_fixture(&f);
    OK(at_remove_tree(&ctx, dir));
}

/* Where keys are values, a session keeps them once; rewound, it answers as before. */
static void session_rewinds(void **state) {
    (void)state;
    fixture f;
    open_fixture("tests/golden/moduleformer/molm", &f);
    at_session s;
    OK(at_session_open(&cp, f.m, f.T, &s));
    assert_ptr_equal(s.cache[0].k, s.cache[0].v);
    const at_real *l;
    const int64_t V = f.m->dims.vocab;
    OK(at_session_feed(&s, f.ids, 6, &l));
    at_real *first = malloc((size_t)V * sizeof *first);
    memcpy(first, l, (size_t)V * sizeof *first);
    OK(at_session_feed(&s, f.ids + 6, 2, &l));
    at_session_rewind(&s, 5);
    OK(at_session_feed(&s, f.ids + 5, 1, &l));
    for (int64_t i = 0; i < V; i++) assert_true(fabs((double)(l[i] - first[i])) < 1e-5);
    free(first);
    at_session_close(&s);
    close_fixture(&f);
}

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
    refuse("model: {arch: moduleformer, k_att: 17}\n", "k_att");
    refuse("model: {arch: moduleformer, k_att: 17}\n", "n_att_experts = 16");
    refuse("model: {arch: moduleformer, k_mlp: 9, n_mlp_experts: 8}\n", "k_mlp");
    refuse("model: {arch: moduleformer, k_mlp: 0}\n", "k_mlp");
    refuse("model: {arch: moduleformer, n_layer: 3, mlp_experts_by_layer: [4, 5]}\n",
           "`model.mlp_experts_by_layer`: expected a number for each of n_layer = 3, found 2");
    refuse("model: {arch: moduleformer, n_layer: 2, att_experts_by_layer: [2, 1]}\n",
           "`model.att_experts_by_layer`: layer 1 has 1 experts, but k_att = 2");
    refuse("model: {arch: moduleformer, n_layer: 2, att_experts_by_layer: [2, 0]}\n",
           "expected a whole number in [1, 65536], found `0`");
    refuse("model: {arch: moduleformer, n_layer: 2, mlp_experts_by_layer: [1, 1], k_mlp: 1, "
           "n_att_experts: 1, k_att: 1, sample_topk: 2, att_experts_by_layer: [1, 2]}\n",
           "2 experts drawn");
    refuse("model: {arch: moduleformer, n_head: 3}\n", "n_head");
    refuse("model: {arch: moduleformer, gate_type: hash}\n", "gate_type");
    refuse("model: {arch: moduleformer, aux_loss_type: none}\n", "aux_loss_type");
    refuse("model: {arch: moduleformer, att_func: linear}\n", "att_func");
    refuse("model: {arch: moduleformer, rope_theta: 0}\n", "rope_theta");
    refuse("model: {arch: moduleformer, att_func: softmax, att_hidden: 15, n_head: 5}\n",
           "heads of 3 values");
    refuse("model: {arch: moduleformer, universal: true}\n", "universal");
    refuse("model: {arch: moduleformer, pre_norm: false}\n", "pre_norm");
    refuse("model: {arch: moduleformer, sample_topk: 3}\n", "3 experts drawn, but k_att = 2");
    refuse("model: {arch: moduleformer, sample_topk: 2, k_mlp: 1}\n", "sample_topk");
    refuse("model: {arch: moduleformer, activation_function: relu}\n", "activation_function");
}

/* Sizes of the released models, by arithmetic; where all experts are used, all but the embedding is
   active. */
static void sizes(void **state) {
    (void)state;
    static const struct {
        const char *yaml;
        int64_t numel, active;
    } row[] = {
        {"model: {arch: moduleformer, vocab_size: 50295}\n", 4142526464, 366482432},
        {"model: {arch: moduleformer, vocab_size: 50295, k_att: 4, k_mlp: 4}\n", 4142526464,
         668472320},
        {"model: {arch: moduleformer, vocab_size: 50295, n_layer: 48}\n", 8182046720, 681460736},
        {"model: {arch: moduleformer, vocab_size: 50, n_embd: 24, att_hidden: 36, n_head: 3, "
         "k_att: 16, k_mlp: 32, norm: rms, activation_function: swiglu, gate_type: gmm}\n",
         0, 0},
        {"model: {arch: moduleformer, vocab_size: 50, n_embd: 24, att_hidden: 24, k_att: 16, "
         "k_mlp: 32, gate_type: linear}\n",
         0, 0},
        {"model: {arch: moduleformer, vocab_size: 50, n_embd: 24, att_hidden: 36, n_head: 3, "
         "n_att_experts: 1, k_att: 1, n_mlp_experts: 1, k_mlp: 1, ffd_hidden: 48, n_layer: 2, "
         "att_func: softmax}\n",
         2 * 50 * 24 + 2 * 24 + 2 * (2 * 2 * 24 + 2 * 25 * 36 + 2 * 24 * 36 + 2 * 24 * 48), 0},
        /* of two layers, the second one's attention has no router; one expert a token in each */
        {"model: {arch: moduleformer, vocab_size: 50, n_embd: 24, att_hidden: 24, ffd_hidden: 48, "
         "n_layer: 2, k_att: 1, k_mlp: 1, gate_type: linear, att_experts_by_layer: [4, 1], "
         "mlp_experts_by_layer: [2, 8]}\n",
         2 * 50 * 24 + 5 * 2 * 24 + (4 + 1) * 2 * 24 * 24 + 4 * 24 + 10 * (2 * 24 * 48 + 24),
         50 * 24 + 5 * 2 * 24 + 2 * 2 * 24 * 24 + 4 * 24 + 2 * 2 * 24 * 48 + 10 * 24},
    };
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        at_conf *f = NULL;
        at_model *m = NULL;
        OK(at_conf_parse(&ctx, "row", row[i].yaml, strlen(row[i].yaml), &f));
        OK(at_model_outline(&ctx, f, "model", 0, &m));
        const int64_t n = at_model_numel(m), embedding = m->dims.vocab * m->dims.width;
        if (row[i].numel) assert_int_equal(n, row[i].numel);
        at_estimate e;
        OK(at_model_estimate(&cp, m, &(at_workload){.B = 1, .T = 1}, &e));
        assert_int_equal((int64_t)e.active, row[i].active ? row[i].active : n - embedding);
        at_model_close(m);
        at_conf_close(f);
    }
}

/* A checkpoint that lacks an expert, or has one too many, is refused with both shapes. */
static void wrong_shapes(void **state) {
    (void)state;
    char dir[] = "/tmp/artel-test-XXXXXX", path[64];
    assert_non_null(mkdtemp(dir));
    (void)snprintf(path, sizeof path, "%s/m", dir);
    fixture f;
    open_fixture("tests/golden/moduleformer/molm", &f);
    OK(at_model_save(&ctx, f.m, path, NULL));
    char config[80];
    (void)snprintf(config, sizeof config, "%s/config.json", path);
    size_t bytes = 0;
    char *text = at_read_file(&ctx, config, 1 << 20, &bytes);
    assert_non_null(text);
    char *at = strstr(text, "\"n_mlp_experts\"");
    assert_non_null(at);
    at = strchr(at, '6');
    assert_non_null(at);
    *at = '5';
    FILE *file = fopen(config, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, bytes, file), bytes);
    assert_int_equal(fclose(file), 0);
    at_model *m = NULL;
    assert_int_equal(at_model_load(&ctx, path, false, &m), AT_FORMAT);
    assert_non_null(strstr(ctx.message, "[5,32,48]"));
    assert_non_null(strstr(ctx.message, "[6,32,48]"));
    at_free(text);
    OK(at_remove_tree(&ctx, dir));
    close_fixture(&f);
}

/* ---- long texts ---- */

/* Most bytes of the arena while one layer reads T tokens and, with `train`, learns from them. */
static size_t peak_of(int64_t T, bool train) {
    static const char yaml[] = "model: {arch: moduleformer, vocab_size: 20, n_layer: 1, n_embd: 8, "
                               "att_hidden: 8, ffd_hidden: 8, gating_size: 4, n_att_experts: 3, "
                               "n_mlp_experts: 3, k_att: 1, k_mlp: 1}\n";
    at_conf *f = NULL;
    at_model *m = NULL;
    OK(at_conf_parse(&ctx, "long", yaml, strlen(yaml), &f));
    OK(at_model_new(&ctx, f, "model", 20, 1, &m));
    at_conf_close(f);
    if (train) OK(at_store_train(&m->store, false));
    int32_t *ids = malloc((size_t)T * sizeof *ids);
    for (int64_t i = 0; i < T; i++) ids[i] = (int32_t)(i * i % 19);
    at_arena own;
    at_arena_init(&own, &ctx);
    at_run r;
    at_run_init(&r, &cp, &own, train, 0);
    at_pass p = {.aux = &(at_aux){.factor = {1, 1}, .weight = {1}}};
    const at_input feed = {.ids = ids, .B = 1, .T = T};
    at_tensor *x = at_model_hidden(m, &r, &feed, &p);
    const at_head_spec spec = {.label = ids};
    at_tensor *loss = at_head_loss(&r, x, at_model_head(m), &spec, NULL);
    OK(at_run_status(&r));
    assert_true(isfinite((double)loss->data[0]));
    if (train) OK(at_backward(&r, loss, 1));
    const size_t peak = own.peak;
    at_arena_close(&own);
    at_model_close(m);
    free(ids);
    return peak;
}

/* 32768 tokens: memory grows with the text, not with its square. */
static void long_texts(void **state) {
    (void)state;
    for (int train = 0; train < 2; train++) {
        const size_t small = peak_of(2048, train), large = peak_of(32768, train);
        if (!(large < 17 * small)) fail_msg("%zu bytes of 2048 tokens, %zu of 32768", small, large);
        assert_true(large <
                    (size_t)32768 * 1600 * sizeof(at_real)); /* weights alone: 20 times that */
        print_message("%s: %.0f bytes a token\n", train ? "training" : "reading",
                      (double)large / 32768);
    }
}

int main(void) {
    at_ctx_init(&ctx, 2);
    at_arena_init(&arena, &ctx);
    if (at_compute_open(&cp, &ctx) != AT_OK) return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(golden_molm),
        cmocka_unit_test(golden_dense),
        cmocka_unit_test(golden_gmm),
        cmocka_unit_test(golden_linear_switch),
        cmocka_unit_test(logits_file),
        cmocka_unit_test(session_rewinds),
        cmocka_unit_test(bad_configurations),
        cmocka_unit_test(wrong_shapes),
        cmocka_unit_test(sizes),
        cmocka_unit_test(long_texts),
    };
    const int bad = cmocka_run_group_tests(tests, NULL, NULL);
    at_compute_close(&cp);
    at_arena_close(&arena);
    return bad;
}
