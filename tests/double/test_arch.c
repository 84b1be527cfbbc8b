/*
 * test_arch.c - what every architecture must do, in double: its whole gradient is the derivative
 * of its loss, saved and loaded it gives the same logits, cached decoding equals the full forward,
 * frozen parameters get no gradient, without training nothing is recorded.
 *
 * A new architecture adds a row of tiny sizes to `rows`; one that has none fails the test.
 */
#include "arch/read.h"
#include "base/file.h"
#include "base/rng.h"
#include "check.h"
#include "infer/session.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *arch, *yaml, *freeze;
} rows[] = {
    {"gpt2",
     "model: {arch: gpt2, n_layer: 2, n_embd: 12, n_head: 3, n_positions: 16, "
     "initializer_range: 0.3}\n",
     "transformer.h.0.*"},
    {"gpt2",
     "model: {arch: gpt2, n_layer: 1, n_embd: 8, n_head: 2, n_positions: 9, n_inner: 12, "
     "activation_function: gelu, tie_word_embeddings: false, resid_pdrop: 0.2, embd_pdrop: 0.1, "
     "initializer_range: 0.3}\n",
     "lm_head.weight"},
    {"moduleformer",
     "model: {arch: moduleformer, n_layer: 2, n_embd: 12, att_hidden: 12, ffd_hidden: 10, "
     "gating_size: 7, n_att_experts: 4, k_att: 2, n_mlp_experts: 5, k_mlp: 3, "
     "initializer_range: 0.5}\n",
     "transformer.h.0.*"},
    {"moduleformer",
     "model: {arch: moduleformer, n_layer: 1, n_embd: 8, n_head: 3, att_hidden: 12, "
     "ffd_hidden: 6, gate_type: gmm, gating_size: 5, n_att_experts: 3, k_att: 1, n_mlp_experts: 4, "
     "k_mlp: 2, renormalise_gates: true, tie_word_embeddings: true, resid_pdrop: 0.2, "
     "embd_pdrop: 0.1, moe_pdrop: 0.1, initializer_range: 0.5}\n",
     "transformer.h.0.mlpf.*"},
    {"moduleformer",
     "model: {arch: moduleformer, n_layer: 2, n_embd: 8, n_head: 2, att_hidden: 8, ffd_hidden: 6, "
     "gate_type: linear, n_att_experts: 3, k_att: 2, n_mlp_experts: 3, k_mlp: 3, "
     "moe_pdrop: 0.1, activation_function: gelu, initializer_range: 0.5}\n",
     "*.gate.*"},
    {"moduleformer",
     "model: {arch: moduleformer, n_layer: 2, n_embd: 8, att_hidden: 8, ffd_hidden: 6, "
     "gating_size: 4, n_att_experts: 3, k_att: 2, n_mlp_experts: 3, k_mlp: 2, norm: rms, "
     "activation_function: swiglu, initializer_range: 0.5}\n",
     "*.ln_1.*"},
    {"moduleformer",
     "model: {arch: moduleformer, n_layer: 2, n_embd: 12, att_hidden: 12, ffd_hidden: 10, "
     "gating_size: 7, n_att_experts: 4, k_att: 2, n_mlp_experts: 5, k_mlp: 3, att_func: softmax, "
     "rope_theta: 50, initializer_range: 0.5}\n",
     "*.attn.*"},
    {"moduleformer",
     "model: {arch: moduleformer, n_layer: 2, n_embd: 8, n_head: 2, att_hidden: 8, ffd_hidden: 6, "
     "gating_size: 4, n_att_experts: 1, k_att: 1, n_mlp_experts: 3, k_mlp: 2, att_func: softmax, "
     "initializer_range: 0.5}\n",
     "*.k_proj.*"},
    {"moduleformer",
     "model: {arch: moduleformer, n_layer: 2, n_embd: 8, n_head: 2, att_hidden: 8, ffd_hidden: 6, "
     "n_att_experts: 1, k_att: 1, n_mlp_experts: 1, k_mlp: 1, initializer_range: 0.5}\n",
     "transformer.h.0.*"},
    {"mlp_moe",
     "model: {arch: mlp_moe, n_inputs: 5, num_labels: 19, hidden_size: 6, n_experts: 1, n_layer: "
     "2}\n",
     "mlp.experts.1.*"},
    {"mlp_moe",
     "model: {arch: mlp_moe, n_inputs: 5, num_labels: 19, hidden_size: 4, n_experts: 3, "
     "activation_function: gelu, "
     "gate_temperature: 1.5}\n",
     "mlp.gate.*"},
    {"mlp_moe",
     "model: {arch: mlp_moe, n_inputs: 5, num_labels: 19, hidden_size: 4, n_experts: 5, k: 2, "
     "n_layer: 3, "
     "gate_type: noisy, hidden_pdrop: 0.2, activation_function: gelu}\n",
     "mlp.bank.3.*"},
    {"mlp_moe",
     "model: {arch: mlp_moe, n_inputs: 5, num_labels: 19, hidden_size: 4, n_experts: 4, gate_type: "
     "gumbel, "
     "gate_temperature: 0.7, activation_function: gelu}\n",
     "mlp.bank.*.row"},
    {"conv_moe",
     "model: {arch: conv_moe, image_height: 6, image_width: 5, image_channels: 2, num_labels: 19, "
     "stem_channels: 3, n_experts: 3, hidden_size: 4, activation_function: gelu, pool: mean}\n",
     "conv.stem.*"},
    {"conv_moe",
     "model: {arch: conv_moe, image_height: 6, image_width: 5, image_channels: 2, num_labels: 19, "
     "stem_channels: 4, n_experts: 4, k: 2, expert: conv, expert_layers: 2, expert_channels: 5, "
     "hidden_size: 4, stem_layers: 1, pool: mean, pool_size: 1, norm: layer, gate_input: pooled, "
     "gate_type: noisy, activation_function: gelu, hidden_pdrop: 0.2}\n",
     "conv.bank.2.*"},
    {"conv_moe",
     "model: {arch: conv_moe, image_height: 6, image_width: 5, image_channels: 2, num_labels: 19, "
     "stem_layers: 0, n_experts: 1, n_layer: 0, expert: conv, expert_layers: 2, expert_channels: "
     "6, norm: layer, stride: 2, pool: none, kernel_size: 5, activation_function: gelu}\n",
     "conv.experts.1.*"},
    {"conv_moe",
     "model: {arch: conv_moe, image_height: 6, image_width: 5, image_channels: 2, num_labels: 19, "
     "stem_layers: 2, stem_channels: 2, n_experts: 3, expert: conv, expert_channels: 2, "
     "hidden_size: 3, pool: none, gate_type: gumbel, activation_function: gelu}\n",
     "conv.gate.*"},
    {"conv_moe",
     "model: {arch: conv_moe, image_height: 6, image_width: 5, image_channels: 2, num_labels: 19, "
     "stem_channels: 3, n_experts: 4, k: 2, expert: conv, expert_layers: 2, expert_channels: 3, "
     "hidden_size: 4, pool: mean, pool_size: 1, norm: batch, activation_function: gelu}\n",
     "conv.bank.2.*"},
    {"conv_moe",
     "model: {arch: conv_moe, image_height: 6, image_width: 5, image_channels: 2, num_labels: 19, "
     "stem_layers: 2, stem_channels: 2, n_experts: 1, n_layer: 0, expert: conv, pool: none, "
     "expert_channels: 3, norm: batch, activation_function: gelu}\n",
     "conv.stem.1.*"},
    {"tabm",
     "model: {arch: tabm, n_inputs: 5, num_labels: 19, hidden_size: 4, n_members: 3, n_layer: 2, "
     "activation_function: gelu, hidden_pdrop: 0.2}\n",
     "tabm.members.1.*"},
    {"tabm", "model: {arch: tabm, n_inputs: 5, num_labels: 19, hidden_size: 6, n_members: 1}\n",
     "tabm.0.weight"},
    {"mlp_moe",
     "model: {arch: mlp_moe, n_inputs: 5, num_labels: 19, hidden_size: 4, n_experts: 3, k: 1, "
     "mixes: probabilities, activation_function: gelu}\n",
     "mlp.bank.1.*"},
    {"mlp_moe",
     "model: {arch: mlp_moe, n_inputs: 5, num_labels: 19, hidden_size: 4, n_experts: 3, "
     "mixes: probabilities, activation_function: gelu}\n",
     "mlp.gate.*"},
    {"text_classifier",
     "model: {arch: text_classifier, n_inputs: 6, num_labels: 19, initializer_range: 0.5, trunk: "
     "{arch: moduleformer, n_layer: 2, n_embd: 8, n_head: 2, att_hidden: 8, ffd_hidden: 6, "
     "gating_size: 4, n_att_experts: 3, k_att: 2, n_mlp_experts: 3, k_mlp: 2, initializer_range: "
     "0.5}}\n",
     "trunk.*.mlpf.*"},
    {"text_classifier",
     "model: {arch: text_classifier, n_inputs: 6, num_labels: 19, initializer_range: 0.3, trunk: "
     "{arch: gpt2, n_layer: 1, n_embd: 8, n_head: 2, n_positions: 6, initializer_range: 0.3, "
     "resid_pdrop: 0.2}}\n",
     "embed"},
    {"trunks",
     "model: {arch: trunks, modules: [a, b], common: true, initializer_range: 0.3, trunk: {arch: "
     "gpt2, "
     "n_layer: 1, n_embd: 8, n_head: 2, n_positions: 9, initializer_range: 0.3, resid_pdrop: "
     "0.2}}\n",
     "trunks.b.*"},
    {"trunks",
     "model: {arch: trunks, modules: [a, b], common: true, combine: learned, tie_word_embeddings: "
     "false, initializer_range: 0.5, trunk: {arch: moduleformer, n_layer: 2, n_embd: 8, n_head: 2, "
     "att_hidden: 8, ffd_hidden: 6, gating_size: 4, n_att_experts: 3, k_att: 2, n_mlp_experts: 3, "
     "k_mlp: 2, initializer_range: 0.5}}\n",
     "*.combine"},
};
enum { ROWS = sizeof rows / sizeof *rows, B = 2, T = 7, V = 19 };

static at_ctx ctx;
static at_compute cp;
static at_arena arena;
static int32_t ids[B * T], labels[B * T];
static at_real values[B * T * 60];
enum { BYTES = 6 };
static at_real texts[B * T * BYTES]; /* of 0 to 5 bytes */

static at_model *make(int row) {
    at_conf *f = NULL;
    at_model *m = NULL;
    OK(at_conf_parse(&ctx, "row", rows[row].yaml, strlen(rows[row].yaml), &f));
    OK(at_model_new(&ctx, f, "model", V, 5, &m));
    OK(at_conf_finish(&ctx, f));
    at_conf_close(f);
    for (int64_t i = 0; i < m->store.n_stacks;
         i++) { /* norms, biases, experts off their special values */
        at_tensor *t = &m->store.stack[i]->t;
        for (int64_t j = 0; j < at_numel(t) && t->rank != 2; j++)
            t->data[j] += (at_real)(0.2 * at_normal(3, (uint64_t)i, (uint64_t)j));
    }
    return m;
}

/* Ids, or as many rows. */
static at_input feed_of(const at_model *m) {
    const int64_t n = m->dims.inputs;
    if (m->dims.text) assert_int_equal(n, BYTES);
    const at_real *row = m->dims.text ? texts : values;
    return n ? (at_input){.kind = m->arch->reads, .values = row, .B = B * T, .T = n}
             : (at_input){.ids = ids, .B = B, .T = T};
}

/* An expert beside those of a token, where every layer has one. */
static int64_t one_is_left(const at_model *m) {
    const at_banks *banks = m->arch->banks ? m->arch->banks(m->impl) : NULL;
    bool left = banks != NULL;
    for (int64_t i = 0; banks && i < banks->n; i++)
        left &=
            banks->bank[i].id.kind != AT_LAYER_FEED_FORWARD || banks->bank[i].n > banks->bank[i].k;
    return left;
}

/* The loss with all losses of routers and experts; with `backward` gradients, too.  Dropout draws the same
   masks each time. */
static double loss_of(at_model *m, bool backward) {
    at_run r;
    at_run_init(&r, &cp, &arena, true, 1);
    enum { LAYERS = 8 }; /* of all trunks together, at most */
    static const bool layer[LAYERS] = {true, true, true, true, true, true, true, true};
    assert_true(m->dims.layers <= LAYERS);
    const at_bank *answers = at_model_answers(m);
    at_aux aux = {.weight = {0.3, -0.2, 0.25, 0.1},
                  .factor = {1, 0.7},
                  .peers = {.layer = layer, .n = 1, .alpha = 0.4, .more = one_is_left(m)}};
    if (answers) {
        aux.expert_label = 0.2;
        aux.answers = answers->id;
    }
    at_pass p = {.aux = &aux, .label = labels};
    const at_input feed = feed_of(m);
    at_tensor *x = at_model_hidden(m, &r, &feed, &p);
    const at_head_spec spec = {.label = labels};
    int32_t each[B * T * 3]; /* an ensemble answers a row several times */
    const int64_t members = x ? at_rows(x) / (B * T) : 1;
    assert_true(members >= 1 && members <= 3);
    for (int64_t i = 0; i < B * T * members; i++) each[i] = labels[i / members];
    at_tensor *loss = at_model_head(m) ? at_head_loss(&r, x, at_model_head(m), &spec, NULL)
                                       : at_xent(&r, x, each);
    bool routers = false;
    for (int64_t i = 0; i < m->store.n_stacks; i++)
        routers |= strstr(m->store.stack[i]->path, ".gate.") != 0;
    assert_true((p.loss != NULL) == routers);
    if (p.loss) loss = at_weighted_sum(&r, (at_tensor *[]){loss, p.loss}, (double[]){1, 1}, 2);
    OK(at_run_status(&r));
    const double v = (double)loss->data[0];
    if (backward) OK(at_backward(&r, loss, 1));
    at_arena_rewind(&arena, (at_mark){0});
    return v;
}

static void every_architecture_has_a_row(void **state) {
    (void)state;
    for (int i = 0; at_archs[i]; i++) {
        bool found = false;
        for (int k = 0; k < ROWS; k++) found |= !strcmp(rows[k].arch, at_archs[i]->name);
        if (!found) fail_msg("no row for architecture %s", at_archs[i]->name);
    }
}

/* Along a random direction of each parameter in turn. */
static void gradient_is_the_derivative(void **state) {
    (void)state;
    for (int row = 0; row < ROWS; row++) {
        at_model *m = make(row);
        OK(at_store_train(&m->store, false));
        (void)loss_of(m, true);
        double worst = 0;
        for (int64_t i = 0; i < m->store.n; i++) {
            at_tensor *t = &m->store.p[i]->t;
            const int64_t n = at_numel(t);
            if (m->store.p[i]->frozen) continue; /* buffers */
            const double h = 1e-5;
            double along = 0, f[2];
            for (int64_t j = 0; j < n; j++)
                along += at_normal(11, (uint64_t)i, (uint64_t)j) * (double)t->grad[j];
            for (int k = 0; k < 2; k++) {
                const double by = k ? -2 * h : h;
                for (int64_t j = 0; j < n; j++)
                    t->data[j] += (at_real)(by * at_normal(11, (uint64_t)i, (uint64_t)j));
                f[k] = loss_of(m, false);
            }
            for (int64_t j = 0; j < n; j++)
                t->data[j] += (at_real)(h * at_normal(11, (uint64_t)i, (uint64_t)j));
            const double fd = (f[0] - f[1]) / (2 * h);
            const double rel = fabs(fd - along) / (fabs(fd) + fabs(along) + 1e-6);
            if (!(rel < 1e-6)) fail_msg("%s %s: %g against %g", rows[row].arch, t->name, along, fd);
            worst = rel > worst ? rel : worst;
        }
        print_message("%s: %d parameters, worst %.1e\n", rows[row].arch, (int)m->store.n, worst);
        at_model_close(m);
    }
}

static at_real *logits_of(at_model *m) {
    at_run r;
    at_run_init(&r, &cp, &arena, false, 0);
    const at_input feed = feed_of(m);
    at_tensor *x = at_model_hidden(m, &r, &feed, NULL);
    at_tensor *y = at_model_logits(m, &r, x);
    OK(at_run_status(&r));
    assert_int_equal(r.n_nodes, 0);
    at_real *copy = malloc(sizeof *copy * B * T * V);
    memcpy(copy, y->data, sizeof *copy * B * T * V);
    at_arena_rewind(&arena, (at_mark){0});
    return copy;
}

static void saved_and_loaded_is_the_same(void **state) {
    (void)state;
    char dir[] = "/tmp/artel-arch-XXXXXX";
    assert_non_null(mkdtemp(dir));
    for (int row = 0; row < ROWS; row++) {
        at_model *m = make(row), *back = NULL;
        at_real *a = logits_of(m);
        OK(at_model_save(&ctx, m, dir, NULL));
        OK(at_model_load(&ctx, dir, row % 2, &back));
        at_real *b = logits_of(back);
        assert_memory_equal(a, b, sizeof *a * B * T * V);
        free(a);
        free(b);
        at_model_close(m);
        at_model_close(back);
    }
    OK(at_remove_tree(&ctx, dir));
}

static void cached_is_full(void **state) {
    (void)state;
    for (int row = 0; row < ROWS; row++) {
        at_model *m = make(row);
        if (m->dims.inputs) { /* nothing to keep */
            at_model_close(m);
            continue;
        }
        at_real *full = logits_of(m);
        at_session s;
        OK(at_session_open(&cp, m, T, &s));
        for (int64_t t = 0; t < T;) {
            const int64_t n = t == 0 ? 3 : 1;
            const at_real *l;
            OK(at_session_feed(&s, ids + t, n, &l));
            t += n;
            for (int64_t j = 0; j < V; j++)
                assert_true(fabs((double)(l[j] - full[(t - 1) * V + j])) < 1e-12);
        }
        at_session_close(&s);
        free(full);
        at_model_close(m);
    }
}

static void frozen_gets_no_gradient(void **state) {
    (void)state;
    for (int row = 0; row < ROWS; row++) {
        at_model *m = make(row), *free_one = make(row);
        assert_true(at_store_freeze(&m->store, rows[row].freeze) > 0);
        OK(at_store_train(&m->store, true));
        OK(at_store_train(&free_one->store, true));
        assert_true(loss_of(m, true) == loss_of(free_one, true));
        for (int64_t i = 0; i < m->store.n; i++) {
            const at_param_entry *e = m->store.p[i];
            if (e->frozen)
                assert_null(e->t.grad);
            else /* freezing others changes no bit of what is left */
                assert_memory_equal(e->t.grad, free_one->store.p[i]->t.grad,
                                    (size_t)at_numel(&e->t) * sizeof(at_real));
        }
        at_model_close(m);
        at_model_close(free_one);
    }
}

int main(void) {
    at_ctx_init(&ctx, 2);
    at_arena_init(&arena, &ctx);
    if (at_compute_open(&cp, &ctx) != AT_OK) return 1;
    for (uint64_t i = 0; i < B * T; i++) {
        ids[i] = (int32_t)at_rand_below(V, 2, AT_STREAM_TEST, i);
        for (uint64_t j = 0; j < 60; j++)
            values[60 * i + j] = (at_real)at_normal(6, AT_STREAM_TEST, 60 * i + j);
        for (uint64_t j = 0; j < i % BYTES; j++)
            texts[BYTES * i + j] = (at_real)(1 + at_rand_below(256, 8, AT_STREAM_TEST, 60 * i + j));
        labels[i] = i % 5 == 3 ? -1 : (int32_t)at_rand_below(V, 4, AT_STREAM_TEST, i);
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_architecture_has_a_row),
        cmocka_unit_test(gradient_is_the_derivative),
        cmocka_unit_test(saved_and_loaded_is_the_same),
        cmocka_unit_test(cached_is_full),
        cmocka_unit_test(frozen_gets_no_gradient),
    };
    const int bad = cmocka_run_group_tests(tests, NULL, NULL);
    at_compute_close(&cp);
    at_arena_close(&arena);
    return bad;
}
