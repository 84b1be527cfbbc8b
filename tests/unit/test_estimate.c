/* test_estimate.c - what a dry run says of a training step is what the step does: its products, its
   memory, the parameters a token uses; and a dry run costs next to nothing. */
#include "arch/estimate.h"
#include "check.h"
#include <math.h>
#include <stdio.h>

enum { B = 3, T = 48, V = 300 };

static at_ctx ctx;
static at_compute cp;
static int32_t ids[B * T];

static at_model *model_of(const char *keys, bool outline) {
    char text[600];
    at_conf *f = NULL;
    at_model *m = NULL;
    (void)snprintf(text, sizeof text, "model: {%s}\n", keys);
    OK(at_conf_parse(&ctx, "recipe", text, strlen(text), &f));
    OK(outline ? at_model_outline(&ctx, f, "model", V, &m)
               : at_model_new(&ctx, f, "model", V, 1, &m));
    OK(at_conf_finish(&ctx, f));
    at_conf_close(f);
    return m;
}

/* The step itself, counted while it is done. */
static void really(at_model *m, const at_workload *w, at_estimate *out) {
    at_arena arena;
    at_run r;
    at_tally tally = {0};
    at_history h = {0};
    static const int32_t kept[B] = {1, 1, 1};
    at_arena_init(&arena, &ctx);
    OK(at_store_train(&m->store, false));
    if (w->history) {
        OK(at_history_open(&ctx, m->dims.layers, m->dims.cache_width, m->dims.one_cache, B,
                           w->history, &h));
        at_history_begin(&h, kept);
    }
    at_run_init(&r, &cp, &arena, true, 1);
    r.tally = &tally;
    const at_input in = {.ids = ids, .B = B, .T = T};
    at_pass p = {.aux = w->aux, .history = w->history ? &h : NULL};
    at_head_spec spec = {.label = ids, .alpha = 0.5, .kd.tau = 1};
    if (w->teacher) {
        spec.teacher_x = at_model_hidden(w->teacher, &r, &in, &(at_pass){.still = true});
        spec.teacher_w = at_model_head(w->teacher);
    }
    tally.active = 0;
    at_tensor *x = at_model_hidden(m, &r, &in, &p);
    at_tensor *y = at_head_loss(&r, x, at_model_head(m), &spec, NULL);
    if (p.loss) y = at_weighted_sum(&r, (at_tensor *[]){y, p.loss}, (double[]){1, 1}, 2);
    OK(at_backward(&r, y, 1));
    *out = (at_estimate){tally.forward, tally.backward, tally.active, (double)arena.peak};
    at_history_close(&h);
    at_arena_close(&arena);
}

static void steps_are_foreseen(void **state) {
    (void)state;
    static const char gpt2[] = "arch: gpt2, n_layer: 3, n_embd: 64, n_head: 4, n_positions: 64",
                      mixture[] = "arch: moduleformer, n_layer: 2, n_embd: 64, att_hidden: 64, "
                                  "ffd_hidden: 96, n_att_experts: 4, n_mlp_experts: 6";
    static const at_aux aux = {.weight = {1, 0, 1, 1}, .factor = {1, 1}};
    at_model *teacher = model_of(mixture, false);
    const struct {
        const char *keys;
        at_workload w;
    } row[] = {
        {gpt2, {B, T, true, 0, NULL, NULL, 0}},
        {"arch: gpt2, n_layer: 2, n_embd: 48, n_head: 2, n_positions: 64, n_inner: 40, "
         "resid_pdrop: 0.1, tie_word_embeddings: false",
         {B, T, true, 0, teacher, NULL, 0}},
        {mixture, {B, T, true, 0, NULL, &aux, 0}},
        {mixture, {B, T, true, 40, NULL, NULL, 0}},
        {"arch: moduleformer, n_layer: 2, n_embd: 64, n_head: 2, att_hidden: 80, ffd_hidden: 96, "
         "n_att_experts: 4, n_mlp_experts: 6, att_func: softmax, gate_type: gmm, norm: rms, "
         "activation_function: swiglu, k_mlp: 3",
         {B, T, true, 0, teacher, &aux, 0}},
        {"arch: moduleformer, n_layer: 2, n_embd: 64, n_head: 2, att_hidden: 80, ffd_hidden: 96, "
         "n_att_experts: 1, k_att: 1, n_mlp_experts: 1, k_mlp: 1",
         {B, T, true, 0, NULL, NULL, 0}},
    };
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        at_model *m = model_of(row[i].keys, false), *empty = model_of(row[i].keys, true);
        at_estimate said, done;
        OK(at_model_estimate(&cp, empty, &row[i].w, &said));
        really(m, &row[i].w, &done);
        assert_true(said.forward > 0 && said.forward == done.forward);
        assert_true(said.backward > 0 && said.backward == done.backward);
        assert_true(said.active > 0 && said.active == done.active);
        if (!(fabs(said.bytes / done.bytes - 1) < 0.01))
            fail_msg("row %d: %.0f bytes, of which %.0f were used", (int)i, said.bytes, done.bytes);
        at_model_close(m);
        at_model_close(empty);
    }
    at_model_close(teacher);
}

/* A step that no machine has the memory for. */
static void nothing_is_computed(void **state) {
    (void)state;
    at_model *m = model_of("arch: moduleformer, vocab_size: 50295", true);
    at_estimate e;
    OK(at_model_estimate(&cp, m, &(at_workload){.B = 512, .T = 8192, .train = true}, &e));
    assert_true(e.bytes > 1e12);
    /* every expert chosen is multiplied, and the embedding as the output */
    const double products = 2 * 512 * 8192 * e.active;
    assert_true(e.forward > products && e.forward < 8 * products);
    assert_true(fabs(e.backward / e.forward - 2) < 1e-9);
    for (int64_t i = 0; i < m->store.n; i++) assert_false(m->store.p[i]->t.need_grad);
    at_model_close(m);
}

/* Frozen parameters have no gradient to be computed. */
static void frozen_is_cheaper(void **state) {
    (void)state;
    at_model *m = model_of("arch: gpt2, n_layer: 2, n_embd: 32, n_head: 2, n_positions: 64", true);
    const at_workload w = {.B = B, .T = T, .train = true};
    at_estimate all, some;
    OK(at_model_estimate(&cp, m, &w, &all));
    assert_int_equal(at_store_freeze(&m->store, "*.attn.c_attn.weight"), 2);
    OK(at_model_estimate(&cp, m, &w, &some)); /* which others need the gradient through */
    assert_true(some.backward == all.backward - 2 * (2.0 * B * T * 32 * 96));
    for (int64_t i = 0; i < m->store.n; i++) m->store.p[i]->frozen = i < m->store.n - 2;
    OK(at_model_estimate(&cp, m, &w, &some)); /* the last norm alone */
    assert_true(some.forward == all.forward);
    assert_true(some.backward == 2.0 * B * T * 32 * V); /* through the head */
    assert_true(some.bytes < all.bytes);
    at_model_close(m);
}

int main(void) {
    at_ctx_init(&ctx, 2);
    if (at_compute_open(&cp, &ctx) != AT_OK) return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(steps_are_foreseen),
        cmocka_unit_test(nothing_is_computed),
        cmocka_unit_test(frozen_is_cheaper),
    };
    const int bad = cmocka_run_group_tests_name("estimate", tests, NULL, NULL);
    at_compute_close(&cp);
    return bad;
}
