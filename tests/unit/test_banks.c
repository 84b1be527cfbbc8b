/* test_banks.c - slots of a bank, one by one: frozen, masked, absent, in a type of their own. */
#include "arch/read.h"
#include "base/half.h"
#include "base/rng.h"
#include "check.h"
#include "infer/digest.h"
#include "infer/session.h"
#include "tensor/optim.h"
#include <math.h>
#include <stdio.h>

enum { V = 23, B = 2, T = 9, N = B * T, LAYERS = 2, ATT = 4, MLP = 6 };

static at_ctx ctx;
static at_compute cp;
static at_arena arena;
static int32_t ids[N], labels[N];

static int setup(void **state) {
    (void)state;
    at_ctx_init(&ctx, 2);
    OK(at_compute_open(&cp, &ctx));
    at_arena_init(&arena, &ctx);
    for (uint64_t i = 0; i < N; i++) {
        ids[i] = (int32_t)at_rand_below(V, 1, AT_STREAM_TEST, i);
        labels[i] = (int32_t)at_rand_below(V, 2, AT_STREAM_TEST, i);
    }
    return 0;
}

static int teardown(void **state) {
    (void)state;
    at_arena_close(&arena);
    at_compute_close(&cp);
    return 0;
}

/* values: experts and routers far from what they begin with, so that each choice is decided; or none. */
static at_model *open_model(int att, int mlp, const char *more, bool values) {
    char yaml[600];
    const int n = snprintf(yaml, sizeof yaml,
                           "model: {arch: moduleformer, n_layer: %d, n_embd: 24, n_head: 1, "
                           "att_hidden: 24, ffd_hidden: 40, gating_size: 16, n_att_experts: %d, "
                           "n_mlp_experts: %d, initializer_range: 0.3%s}\n",
                           LAYERS, att, mlp, more);
    at_conf *f = NULL;
    at_model *m = NULL;
    OK(at_conf_parse(&ctx, "model", yaml, (size_t)n, &f));
    OK(values ? at_model_new(&ctx, f, "model", V, 5, &m)
              : at_model_outline(&ctx, f, "model", V, &m));
    OK(at_conf_finish(&ctx, f));
    at_conf_close(f);
    for (int64_t i = 0; values && i < m->store.n_stacks; i++) {
        at_stack *k = m->store.stack[i];
        for (int64_t j = 0; k->n > 1 && j < at_numel(&k->t); j++)
            k->t.data[j] = (at_real)(0.3 * at_normal(3, (uint64_t)i, (uint64_t)j));
    }
    return m;
}

static at_model *model_of(int att, int mlp, const char *more) {
    return open_model(att, mlp, more, true);
}

static at_banks *banks_of(at_model *m) { return m->arch->banks(m->impl); }

static void keep_logits(void *user, int64_t i, const at_real *logits) {
    memcpy((at_real *)user + i * V, logits, V * sizeof *logits);
}

/* All at once, then as a text that is read token by token. */
static void logits_of(at_model *m, at_real out[2 * N * V]) {
    const at_input in = {.ids = ids, .B = B, .T = T};
    OK(at_model_read(&cp, &arena, m, &in, NULL,
                     &(at_readout){.logits = keep_logits, .user = out, .rows = N}));
    at_session s;
    OK(at_session_open(&cp, m, N, &s));
    for (int64_t i = 0; i < N; i++) {
        const at_real *l;
        OK(at_session_feed(&s, ids + i, 1, &l));
        keep_logits(out + N * V, i, l);
    }
    at_session_close(&s);
}

static bool same(const at_real *a, const at_real *b) {
    return !memcmp(a, b, 2 * N * V * sizeof *a);
}

static int64_t chosen_for(const at_bank *b) { return (b->id.layer + (b->id.kind ? 4 : 1)) % b->n; }

static void use_all(at_model *m, at_slot_use use) {
    const at_banks *l = banks_of(m);
    for (int64_t i = 0; i < l->n; i++)
        OK(at_bank_use(&ctx, &l->bank[i], chosen_for(&l->bank[i]), use));
}

/* ---- the list ----------------------------------------------------------------------------- */

static void listed(void **state) {
    (void)state;
    at_model *m = model_of(ATT, MLP, "");
    const at_banks *l = banks_of(m);
    at_param_entry *e[AT_BANK_PARTS + 1];
    assert_int_equal(l->n, 2 * LAYERS);
    const at_bank *b = at_bank_find(l, (at_router_id){1, AT_LAYER_FEED_FORWARD});
    assert_non_null(b);
    assert_true(b->n == MLP && b->k == 2);
    assert_int_equal(at_bank_slot(b, 5, e), 3);
    assert_string_equal(e[0]->path, "transformer.h.1.mlpf.experts.5.in");
    assert_string_equal(e[1]->path, "transformer.h.1.mlpf.experts.5.out");
    assert_string_equal(e[2]->path, "transformer.h.1.mlpf.experts.5.row");
    b = at_bank_find(l, (at_router_id){0, AT_LAYER_ATTENTION});
    assert_true(b && b->n == ATT);
    assert_int_equal(at_bank_slot(b, 0, e), 3);
    assert_string_equal(e[0]->path, "transformer.h.0.attn.q_proj.experts.0.in");
    assert_null(at_bank_find(l, (at_router_id){LAYERS, AT_LAYER_ATTENTION}));
    assert_null(at_bank_find(NULL, (at_router_id){0, AT_LAYER_ATTENTION}));
    at_model_close(m);
    m = model_of(1, 1, ", k_att: 1, k_mlp: 1"); /* no router where there is nothing to choose */
    assert_int_equal(at_bank_slot(&banks_of(m)->bank[0], 0, e), 2);
    at_model_close(m);
}

/* ---- training ----------------------------------------------------------------------------- */

static void train(at_model *m, int steps) {
    at_optim o = {.beta1 = 0.9, .beta2 = 0.95, .eps = 1e-8, .weight_decay = 0.1, .clip = 1};
    const at_aux aux = {.weight = {0.1, 0, 0.1, 0.01}, .factor = {1, 1}};
    OK(at_store_train(&m->store, true));
    for (int i = 0; i < steps; i++) {
        at_run r;
        at_pass p = {.aux = &aux};
        const at_input in = {.ids = ids, .B = B, .T = T};
        at_store_zero_grad(&m->store);
        at_run_init(&r, &cp, &arena, true, 1);
        at_tensor *x = at_model_hidden(m, &r, &in, &p);
        const at_head_spec spec = {.label = labels, .alpha = 1};
        at_tensor *loss = at_head_loss(&r, x, at_model_head(m), &spec, NULL);
        loss = at_weighted_sum(&r, (at_tensor *[]){loss, p.loss}, (double[]){1, 1}, 2);
        OK(at_run_status(&r));
        OK(at_backward(&r, loss, 1));
        OK(at_optim_step(&cp, &m->store, &o, 0.01, sqrt(at_grad_squares(&cp, &m->store))));
        at_arena_rewind(&arena, (at_mark){0});
    }
}

static void digests(at_model *m, at_digest out[LAYERS][AT_LAYER_KINDS][MLP]) {
    const at_banks *l = banks_of(m);
    for (int64_t i = 0; i < l->n; i++)
        for (int64_t x = 0; x < l->bank[i].n; x++)
            OK(at_digest_slot(&ctx, m, &l->bank[i], x,
                              &out[l->bank[i].id.layer][l->bank[i].id.kind][x]));
}

/* One slot learns; every other one, its row of the router included, is what it was.  As a list of
   slots, and as a recipe says it. */
static void all_but_one(void **state) {
    (void)state;
    static const char *const gate[] = {"", ", gate_type: linear", ", gate_type: gmm"};
    for (int way = 0; way < 4; way++) {
        at_digest before[LAYERS][AT_LAYER_KINDS][MLP], after[LAYERS][AT_LAYER_KINDS][MLP];
        at_model *m = model_of(ATT, MLP, gate[way % 3]);
        const at_banks *l = banks_of(m);
        const at_bank *one = at_bank_find(l, (at_router_id){1, AT_LAYER_FEED_FORWARD});
        for (int64_t i = 0; i < l->n; i++)
            for (int64_t x = 0; x < l->bank[i].n && way < 3; x++)
                if (&l->bank[i] != one || x != 3) at_bank_freeze(&l->bank[i], x);
        if (way == 3) {
            static const struct {
                const char *glob;
                int n;
            } freeze[] = {{"*.h.?.attn.q_proj.experts.*", 2 * 3 * ATT},
                          {"*.h.0.mlpf.experts.weight", MLP},
                          {"*.h.0.mlpf.output_experts.weight", MLP},
                          {"*.h.0.mlpf.*.row", MLP},
                          {"*.h.1.mlpf.experts.[!3].*", 3 * (MLP - 1)}};
            for (int i = 0; i < 5; i++)
                assert_int_equal(at_store_freeze(&m->store, freeze[i].glob), freeze[i].n);
        }
        digests(m, before);
        train(m, 4);
        digests(m, after);
        for (int layer = 0; layer < LAYERS; layer++)
            for (int kind = 0; kind < AT_LAYER_KINDS; kind++)
                for (int x = 0; x < (kind ? MLP : ATT); x++) {
                    const bool learns = layer == 1 && kind == AT_LAYER_FEED_FORWARD && x == 3;
                    const bool is = !strcmp(before[layer][kind][x].hex, after[layer][kind][x].hex);
                    if (is == learns) fail_msg("way %d: %d.%d.%d", way, layer, kind, x);
                }
        at_param_entry *e[AT_BANK_PARTS + 1];
        assert_int_equal(at_bank_slot(one, 3, e), 3);
        for (int i = 0; i < 3; i++) assert_true(e[i]->steps == 4 && e[i]->moment >= 0);
        assert_int_equal(at_bank_slot(one, 2, e), 3);
        for (int i = 0; i < 3; i++)
            assert_true(e[i]->steps == 0 && e[i]->moment < 0 && !e[i]->t.grad);
        at_model_close(m);
    }
}

/* ---- masks -------------------------------------------------------------------------------- */

/* The same without the slots that are masked in `from`. */
static at_model *without(at_model *from, int att, int mlp, const char *more) {
    at_model *to = model_of(att, mlp, more);
    for (int64_t i = 0; i < to->store.n_stacks; i++) {
        const at_stack *a = from->store.stack[i], *b = to->store.stack[i];
        int64_t gone = -1;
        for (int64_t k = 0; k < banks_of(from)->n && a->n != b->n; k++) {
            const at_bank *bank = &banks_of(from)->bank[k];
            if (a == bank->row || a == bank->part[0] || a == bank->part[1]) gone = chosen_for(bank);
        }
        assert_true((gone >= 0) == (a->n != b->n));
        for (int64_t x = 0, y = 0; x < a->n; x++)
            if (x != gone)
                memcpy(b->slot[y++]->data, a->slot[x]->data,
                       (size_t)at_numel(a->slot[x]) * sizeof(at_real));
    }
    return to;
}

static double losses_of(at_model *m, double value[AT_AUX_KINDS]) {
    const at_aux aux = {.weight = {0.3, 0.2, 0.25, 0.1}, .factor = {1, 0.7}};
    at_run r;
    at_pass p = {.aux = &aux};
    const at_input in = {.ids = ids, .B = B, .T = T};
    at_run_init(&r, &cp, &arena, false, 1);
    (void)at_model_hidden(m, &r, &in, &p);
    OK(at_run_status(&r));
    memcpy(value, p.value, sizeof p.value);
    const double v = (double)p.loss->data[0];
    at_arena_rewind(&arena, (at_mark){0});
    return v;
}

static const char *const routers[] = {
    "", ", gate_type: linear", ", gate_type: gmm", ", renormalise_gates: true, k_mlp: 4",
    ", att_func: softmax, norm: rms, activation_function: swiglu, k_att: 1"};
enum { ROUTERS = sizeof routers / sizeof *routers };

/* Excluded is as if it had never been, to the last bit; the routers' losses are those, too. */
static void excluded(void **state) {
    (void)state;
    at_real a[2 * N * V], b[2 * N * V], whole[2 * N * V];
    for (int i = 0; i < ROUTERS; i++) {
        double x[AT_AUX_KINDS], y[AT_AUX_KINDS];
        at_model *m = model_of(ATT, MLP, routers[i]);
        logits_of(m, whole);
        use_all(m, AT_SLOT_EXCLUDED);
        at_model *less = without(m, ATT - 1, MLP - 1, routers[i]);
        logits_of(m, a);
        logits_of(less, b);
        if (!same(a, b)) fail_msg("%s: another answer than without the slots", routers[i]);
        if (same(a, whole)) fail_msg("%s: nothing was excluded", routers[i]);
        assert_true(fabs(losses_of(m, x) - losses_of(less, y)) < 1e-6);
        for (int k = 0; k < AT_AUX_KINDS; k++)
            if (!(fabs(x[k] - y[k]) < 1e-6))
                fail_msg("%s: loss %d: %g, %g", routers[i], k, x[k], y[k]);
        use_all(m, AT_SLOT_OPEN);
        logits_of(m, b);
        assert_true(same(whole, b));
        at_model_close(m);
        at_model_close(less);
    }
}

/* A slot that nobody would choose: closed it changes no bit, excluded it does, for its share of the
   softmax goes to the others. */
static void closed(void **state) {
    (void)state;
    at_real a[2 * N * V], b[2 * N * V];
    at_model *m = model_of(ATT, MLP, ", k_mlp: 1");
    at_usage u = {0};
    at_pass p = {.usage = &u};
    const at_input in = {.ids = ids, .B = B, .T = T};
    at_bank *bank = at_bank_find(banks_of(m), (at_router_id){0, AT_LAYER_FEED_FORWARD});
    logits_of(m, a);
    OK(at_model_read(&cp, &arena, m, &in, &p,
                     &(at_readout){.logits = keep_logits, .user = b, .rows = 1}));
    const at_router_usage *counts = at_usage_of(&ctx, &u, bank->id, bank->n);
    int64_t idle = -1, busy = -1;
    for (int64_t x = 0; x < bank->n; x++) {
        if (!(counts->slots[x] > 0)) idle = x;
        if (busy < 0 || counts->slots[x] > counts->slots[busy]) busy = x;
    }
    assert_true(idle >= 0 && counts->p[idle] > 0);
    OK(at_bank_use(&ctx, bank, idle, AT_SLOT_CLOSED));
    logits_of(m, b);
    assert_memory_equal(a, b, N * V * sizeof *a); /* of the same texts */
    OK(at_bank_use(&ctx, bank, idle, AT_SLOT_EXCLUDED));
    logits_of(m, b);
    assert_memory_not_equal(a, b, N * V * sizeof *a);
    OK(at_bank_use(&ctx, bank, idle, AT_SLOT_OPEN));
    OK(at_bank_use(&ctx, bank, busy, AT_SLOT_CLOSED));
    at_usage_reset(&u);
    OK(at_model_read(&cp, &arena, m, &in, &p,
                     &(at_readout){.logits = keep_logits, .user = b, .rows = 1}));
    assert_true(counts->slots[busy] <= 0 && counts->p[busy] > 0.1);
    at_usage_close(&u);
    at_model_close(m);
}

/* Layers with different numbers of slots: to the bit the model whose other slots are excluded, in memory
   and from its files, where it says what it has.  Equal numbers may be listed, too. */
static void by_layer(void **state) {
    (void)state;
    static const char *const lists = ", att_experts_by_layer: [3, 4], mlp_experts_by_layer: [6, 5]";
    at_real a[2 * N * V], b[2 * N * V];
    char path[300];
    at_model *m = model_of(ATT, MLP, ", gate_type: linear"), *from = NULL;
    at_banks *l = banks_of(m);
    OK(at_bank_use(&ctx, &l->bank[0], chosen_for(&l->bank[0]), AT_SLOT_EXCLUDED));
    OK(at_bank_use(&ctx, &l->bank[3], chosen_for(&l->bank[3]), AT_SLOT_EXCLUDED));
    char more[160];
    (void)snprintf(more, sizeof more, ", gate_type: linear%s", lists);
    at_model *less = without(m, ATT, MLP, more);
    logits_of(m, a);
    logits_of(less, b);
    assert_true(same(a, b));
    (void)snprintf(path, sizeof path, "%s/less", temporary_folder());
    OK(at_model_save(&ctx, less, path, NULL));
    for (int train = 0; train < 2; train++) {
        OK(at_model_load(&ctx, path, train, &from));
        for (int i = 0; i < 4; i++)
            assert_int_equal(banks_of(from)->bank[i].n, ((int[]){3, 6, 4, 5})[i]);
        logits_of(from, b);
        assert_true(same(a, b));
        at_model_close(from);
    }
    double value[AT_AUX_KINDS], same_value[AT_AUX_KINDS];
    assert_true(fabs(losses_of(m, value) - losses_of(less, same_value)) < 1e-6);
    at_model_close(less);
    at_model_close(m);
    m = model_of(ATT, MLP, "");
    less = model_of(5, 7, ", att_experts_by_layer: [4, 4], mlp_experts_by_layer: [6, 6]");
    logits_of(m, a);
    logits_of(less, b);
    assert_true(same(a, b));
    at_model_close(less);
    at_model_close(m);
}

static void too_few(void **state) {
    (void)state;
    at_real a[2 * N * V];
    at_model *m = model_of(ATT, MLP, ", k_att: 3");
    at_bank *b = at_bank_find(banks_of(m), (at_router_id){1, AT_LAYER_ATTENTION});
    OK(at_bank_use(&ctx, b, 2, AT_SLOT_CLOSED));
    OK(at_bank_use(&ctx, b, 2, AT_SLOT_EXCLUDED));
    assert_int_equal(at_bank_use(&ctx, b, 0, AT_SLOT_CLOSED), AT_ARG);
    expect_says(&ctx, "attention bank of layer 1: a token uses 3 slots, but without slot 0 only 2");
    assert_int_equal(at_bank_use(&ctx, b, ATT, AT_SLOT_CLOSED), AT_ARG);
    expect_says(&ctx, "slot 4 of 4 does not exist");
    logits_of(m, a); /* as before */
    at_model_close(m);
}

/* ---- values ------------------------------------------------------------------------------- */

/* A model from the slots that a folder has: what is absent is refused, or masked. */
static void absent(void **state) {
    (void)state;
    at_real a[2 * N * V], b[2 * N * V];
    char *dir = strdup(temporary_folder()), path[300];
    at_model *m = model_of(ATT, MLP, "");
    at_bank *bank = at_bank_find(banks_of(m), (at_router_id){0, AT_LAYER_FEED_FORWARD});
    at_param_entry *e[AT_BANK_PARTS + 1];
    at_weights w;
    for (int rows = 0; rows < 2; rows++) { /* with or without its row of the router */
        at_st_writer *to = NULL;
        (void)snprintf(path, sizeof path, "%s/some.safetensors", dir);
        OK(at_st_writer_open(&ctx, path, &to));
        const int n = at_bank_slot(bank, 1, e);
        for (int64_t i = 0; i < m->store.n; i++) {
            const at_param_entry *p = m->store.p[i];
            const bool gone = p == e[0] || p == e[1] || (!rows && p == e[n - 1]);
            const at_st_tensor t = at_checkpoint_tensor(&m->store, p, AT_SLAB_VALUE);
            if (!gone) OK(at_st_writer_add_as(&ctx, to, t.name, t.dtype, &t));
        }
        OK(at_st_writer_commit(&ctx, to));
        at_st_writer_close(to);
        at_model *x = open_model(ATT, MLP, "", false);
        OK(at_weights_open(&ctx, path, SIZE_MAX, &w));
        OK(at_checkpoint_load(&ctx, &x->store, &w,
                              &(at_load_options){.prefix = "", .partial = true}));
        at_bank *there = at_bank_find(banks_of(x), bank->id);
        const at_input in = {.ids = ids, .B = B, .T = T};
        const at_readout what = {.logits = keep_logits, .user = b, .rows = N};
        assert_int_equal(at_model_read(&cp, &arena, x, &in, NULL, &what), AT_ARG);
        expect_says(&ctx, rows ? "mlpf.experts.1.in` is absent" : "mlpf.experts.1.row` is absent");
        for (at_slot_use use = rows ? AT_SLOT_CLOSED : AT_SLOT_EXCLUDED; use <= AT_SLOT_EXCLUDED;
             use++) {
            OK(at_bank_use(&ctx, bank, 1, use));
            OK(at_bank_use(&ctx, there, 1, use));
            logits_of(m, a);
            logits_of(x, b);
            assert_true(same(a, b));
        }
        at_model_close(x);
        at_weights_close(&w);
    }
    at_model_close(m);
    OK(at_remove_tree(&ctx, dir));
    free(dir);
}

/* Slots of one bank may be of several types: BF16 says what the same numbers in float say. */
static void types_of_their_own(void **state) {
    (void)state;
    enum { MOST = 24 * 40 };
    static uint16_t narrow[2][MOST];
    at_real a[2 * N * V], b[2 * N * V];
    at_model *m = model_of(ATT, MLP, "");
    at_param_entry *e[AT_BANK_PARTS + 1];
    (void)at_bank_slot(&banks_of(m)->bank[1], 2, e);
    for (int i = 0; i < 2; i++) {
        at_tensor *t = &e[i]->t;
        assert_int_equal(at_numel(t), MOST);
        for (int64_t j = 0; j < MOST; j++) {
            narrow[i][j] = at_bf16_from_f32((float)t->data[j]);
            t->data[j] = (at_real)at_f32_from_bf16(narrow[i][j]);
        }
    }
    logits_of(m, a);
    for (int i = 0; i < 2; i++) {
        e[i]->t.data = NULL;
        e[i]->t.bf16 = narrow[i];
    }
    logits_of(m, b);
    assert_true(same(a, b));
    at_model_close(m);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(listed), cmocka_unit_test(all_but_one),        cmocka_unit_test(excluded),
        cmocka_unit_test(closed), cmocka_unit_test(by_layer),           cmocka_unit_test(too_few),
        cmocka_unit_test(absent), cmocka_unit_test(types_of_their_own),
    };
    return cmocka_run_group_tests_name("banks", tests, setup, teardown);
}
