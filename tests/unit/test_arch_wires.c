/* test_arch_wires.c - every configuration key of an architecture has its effect.  Tests that
   compare forward with backward do not notice a key that both ignore. */
#include "arch/read.h"
#include "check.h"
#include <math.h>
#include <stdio.h>

enum { B = 2, T = 9, V = 19, C = 12, N = B * T * C };

static at_ctx ctx;
static at_compute cp;
static at_arena arena;
static int32_t ids[B * T];

static int setup(void **state) {
    (void)state;
    at_ctx_init(&ctx, 2);
    OK(at_compute_open(&cp, &ctx));
    at_arena_init(&arena, &ctx);
    for (int i = 0; i < B * T; i++) ids[i] = (i % T * 5 + i % T / 3) % V; /* two equal sequences */
    return 0;
}

static int teardown(void **state) {
    (void)state;
    at_arena_close(&arena);
    at_compute_close(&cp);
    return 0;
}

/* keys: "key: value, ..." on top of small sizes. */
static at_model *model_of(const char *arch, const char *keys) {
    static const char gpt2[] = "n_layer: 2, n_embd: 12, n_head: 3, n_positions: 30",
                      mixture[] =
                          "n_layer: 2, n_embd: 12, att_hidden: 8, n_head: 2, ffd_hidden: 10, "
                          "gating_size: 7, n_att_experts: 4, n_mlp_experts: 5";
    char text[600];
    at_conf *f = NULL;
    at_model *m = NULL;
    (void)snprintf(text, sizeof text, "model: {arch: %s, initializer_range: 0.5, %s%s%s}\n", arch,
                   strcmp(arch, "gpt2") ? mixture : gpt2, *keys ? ", " : "", keys);
    OK(at_conf_parse(&ctx, "recipe", text, strlen(text), &f));
    OK(at_model_new(&ctx, f, "model", V, 5, &m));
    OK(at_conf_finish(&ctx, f));
    at_conf_close(f);
    return m;
}

static void hidden_of(at_model *m, bool train, uint64_t seed, at_real *out) {
    at_run r;
    at_run_init(&r, &cp, &arena, train, seed);
    const at_input feed = {.ids = ids, .B = B, .T = T};
    const at_tensor *x = at_model_hidden(m, &r, &feed, NULL);
    OK(at_run_status(&r));
    memcpy(out, x->data, N * sizeof *out);
    at_arena_rewind(&arena, (at_mark){0});
}

static bool same(const at_real *a, const at_real *b) { return !memcmp(a, b, N * sizeof *a); }

/* The vocabulary is the data's where the recipe names none. */
static void vocabulary_of_the_data(void **state) {
    (void)state;
    static const char *const arch[] = {"gpt2", "moduleformer"};
    for (int i = 0; i < 2; i++) {
        at_model *m = model_of(arch[i], ""), *n = model_of(arch[i], "vocab_size: 40");
        assert_int_equal(m->dims.vocab, V);
        assert_int_equal(at_model_head(m)->dim[0], V);
        assert_int_equal(n->dims.vocab, 40);
        at_model_close(m);
        at_model_close(n);
    }
}

/* A key that makes training random: values depend on the seed, but not outside of training. */
static void draws(const char *arch, const char *key, const char *keys) {
    at_real a[N], b[N], c[N];
    at_model *m = model_of(arch, keys);
    hidden_of(m, true, 1, a);
    hidden_of(m, true, 2, b);
    hidden_of(m, true, 1, c);
    if (same(a, b)) fail_msg("%s: %s does nothing in training", arch, key);
    if (!same(a, c)) fail_msg("%s: %s does not depend on the seed alone", arch, key);
    hidden_of(m, false, 1, a);
    hidden_of(m, false, 2, b);
    if (!same(a, b)) fail_msg("%s: %s does something outside training", arch, key);
    at_model_close(m);
}

static void keys_that_draw(void **state) {
    (void)state;
    draws("gpt2", "embd_pdrop", "embd_pdrop: 0.2");
    draws("gpt2", "resid_pdrop", "resid_pdrop: 0.2");
    draws("moduleformer", "embd_pdrop", "embd_pdrop: 0.2");
    draws("moduleformer", "resid_pdrop", "resid_pdrop: 0.2");
    draws("moduleformer", "moe_pdrop", "moe_pdrop: 0.2");
    draws("moduleformer", "sample_topk", "sample_topk: 1");
}

/* Each branch has its own dropout: still seen when the output matrices of the other branch are
   zero. */
static void both_branches_drop(void **state) {
    (void)state;
    static const char *const branch[][3] = {
        {"gpt2", ".attn.c_proj.", ".mlp.c_proj."},
        {"moduleformer", ".attn.q_proj.output_experts", ".mlpf.output_experts"}};
    for (int i = 0; i < 2; i++)
        for (int k = 1; k < 3; k++) {
            at_real a[N], b[N];
            at_model *m = model_of(branch[i][0], "resid_pdrop: 0.2");
            for (int64_t j = 0; j < m->store.n_stacks; j++) {
                at_tensor *t = &m->store.stack[j]->t;
                if (strstr(m->store.stack[j]->path, branch[i][k]))
                    memset(t->data, 0, (size_t)at_numel(t) * sizeof *t->data);
            }
            hidden_of(m, true, 1, a);
            hidden_of(m, true, 2, b);
            if (same(a, b)) fail_msg("%s: no dropout beside %s", branch[i][0], branch[i][k]);
            at_model_close(m);
        }
}

/* Checks that a key changes the output, everything else equal. */
static void matters(const char *arch, const char *a, const char *b) {
    at_real x[N], y[N];
    at_model *m = model_of(arch, a), *n = model_of(arch, b);
    hidden_of(m, false, 1, x);
    hidden_of(n, false, 1, y);
    if (same(x, y)) fail_msg("%s: `%s` is as `%s`", arch, a, b);
    at_model_close(m);
    at_model_close(n);
}

static void keys_that_matter(void **state) {
    (void)state;
    matters("gpt2", "activation_function: gelu", "activation_function: gelu_new");
    matters("gpt2", "layer_norm_epsilon: 1e-5", "layer_norm_epsilon: 0.1");
    matters("moduleformer", "k_att: 1, k_mlp: 2", "k_att: 2, k_mlp: 2");
    matters("moduleformer", "k_att: 2, k_mlp: 1", "k_att: 2, k_mlp: 2");
    matters("moduleformer", "renormalise_gates: true", "renormalise_gates: false");
    matters("moduleformer", "layer_norm_epsilon: 1e-5", "layer_norm_epsilon: 0.1");
    matters("moduleformer", "norm: rms, layer_norm_epsilon: 1e-5",
            "norm: rms, layer_norm_epsilon: 0.1");
    matters("moduleformer", "att_func: softmax, rope_theta: 50",
            "att_func: softmax, rope_theta: 5000");
    matters("moduleformer", "activation_function: gelu", "activation_function: gelu_new");
}

/* Changing any parameter changes the output. */
static void every_parameter_matters(void **state) {
    (void)state;
    static const char *const row[][2] = {
        {"gpt2", ""},
        {"moduleformer", "k_att: 4, k_mlp: 5"}, /* all experts are in use */
        {"moduleformer", "k_att: 4, k_mlp: 5, att_func: softmax"},
        {"moduleformer", "k_att: 4, k_mlp: 5, gate_type: gmm, norm: rms"},
        {"moduleformer", "k_att: 4, k_mlp: 5, gate_type: linear, activation_function: swiglu"}};
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        at_real a[N], b[N];
        at_model *m = model_of(row[i][0], row[i][1]);
        hidden_of(m, false, 0, a);
        for (int64_t k = 0; k < m->store.n; k++) {
            at_tensor *t = &m->store.p[k]->t;
            const bool output = !strcmp(m->store.p[k]->path, "lm_head.weight");
            const int64_t n = at_numel(t);
            at_real *old = malloc((size_t)n * sizeof *old);
            assert_non_null(old);
            memcpy(old, t->data, (size_t)n * sizeof *old);
            for (int64_t j = 0; j < n; j++) t->data[j] += (at_real)(0.01 * (double)(1 + j % 7));
            hidden_of(m, false, 0, b);
            if (same(a, b) != output) fail_msg("%s: %s", row[i][1], m->store.p[k]->path);
            memcpy(t->data, old, (size_t)n * sizeof *old);
            free(old);
        }
        at_model_close(m);
    }
}

/* The output of a sequence depends neither on the other sequences of the batch nor on its place. */
static void equal_sequences_are_equal(void **state) {
    (void)state;
    static const char *const arch[] = {"gpt2", "moduleformer"};
    for (int i = 0; i < 2; i++) {
        at_real a[N];
        at_model *m = model_of(arch[i], "");
        hidden_of(m, false, 0, a);
        for (int j = 0; j < T * C; j++)
            if (!(fabs((double)(a[j] - a[T * C + j])) < 1e-5)) fail_msg("%s: value %d", arch[i], j);
        at_model_close(m);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vocabulary_of_the_data),  cmocka_unit_test(keys_that_draw),
        cmocka_unit_test(both_branches_drop),      cmocka_unit_test(keys_that_matter),
        cmocka_unit_test(every_parameter_matters), cmocka_unit_test(equal_sequences_are_equal),
    };
    return cmocka_run_group_tests_name("arch_wires", tests, setup, teardown);
}
