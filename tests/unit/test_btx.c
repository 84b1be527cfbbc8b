/* test_btx.c - dense branches become one mixture: whose values are where, what is refused; an ensemble of whole
   models against its formula. */
#include "in_folder.h"
#include "infer/btx.h"
#include "infer/ensemble.h"
#include "infer/evaluate.h"
#include "infer/logits.h"
#include <math.h>
#include <stdio.h>

#define DATA "tests/golden/runs/data"
#define DENSE                                                                                      \
    "arch: moduleformer, n_layer: 2, n_embd: 12, n_head: 2, att_hidden: 8, ffd_hidden: 10, "       \
    "n_att_experts: 1, k_att: 1, n_mlp_experts: 1, k_mlp: 1, initializer_range: 0.3, vocab_size: " \
    "320"

/* Saves a model of these keys and opens it as a branch. */
static at_branch branch(const char *name, const char *keys, uint64_t seed, const char *tokenizer) {
    at_conf *f = NULL;
    at_model *m = NULL;
    char text[700];
    (void)snprintf(text, sizeof text, "model: {%s}\n", keys);
    OK(at_conf_parse(&ctx, "recipe.yaml", text, strlen(text), &f));
    OK(at_model_new(&ctx, f, "model", 320, seed, &m));
    for (int64_t i = 0; i < m->store.n; i++) /* wide enough that experts matter */
        if (m->store.p[i]->of->init == AT_INIT_UNIFORM)
            for (int64_t k = 0; k < at_numel(&m->store.p[i]->t); k++) m->store.p[i]->t.data[k] *= 4;
    if (tokenizer) m->tokenizer = at_strdup(&ctx, tokenizer);
    OK(at_model_save(&ctx, m, in(name), NULL));
    at_model_close(m);
    at_conf_close(f);
    at_branch b = {.name = name};
    OK(at_model_load(&ctx, in(name), false, &b.model));
    return b;
}

static void drop(at_branch *b, int n) {
    for (int i = 0; i < n; i++) at_model_close(b[i].model);
}

static const at_real *values(const at_model *m, const char *path) {
    const at_param_entry *e = at_store_find(&m->store, path);
    if (!e) fail_msg("no parameter %s", path);
    return e->t.data;
}

static void same(const at_model *a, const char *path, const at_model *b, const char *of) {
    const at_param_entry *e = at_store_find(&a->store, path);
    const at_real *x = values(a, path);
    if (memcmp(x, values(b, of), (size_t)at_numel(&e->t) * sizeof *x) != 0)
        fail_msg("%s differs from %s", path, of);
}

static void mean_of(const at_model *m, const char *path, const at_branch *b, int n) {
    const at_param_entry *e = at_store_find(&m->store, path);
    for (int64_t k = 0; k < at_numel(&e->t); k++) {
        double sum = 0;
        for (int i = 0; i < n; i++) sum += (double)values(b[i].model, path)[k];
        assert_true(values(m, path)[k] == (at_real)(sum / n));
    }
}

static at_btx three(at_branch *b) {
    return (at_btx){.branch = b,
                    .n = 3,
                    .ffn = AT_BTX_EXPERTS,
                    .k = 2,
                    .k_att = 2,
                    .gate = "linear",
                    .gating_size = 6,
                    .renormalise = true,
                    .seed = 4};
}

static void whose_values_are_where(void **state) {
    (void)state;
    at_branch b[4] = {branch("v0", DENSE, 1, NULL), branch("v1", DENSE, 2, NULL),
                      branch("v2", DENSE, 3, NULL), branch("vb", DENSE, 4, NULL)};
    char path[96];
    at_model *m = NULL, *again = NULL;
    at_btx how = three(b);
    OK(at_btx_check(&ctx, &how));
    OK(at_btx_make(&ctx, &how, &m));
    for (int i = 0; i < 3; i++)
        for (int part = 0; part < 2; part++) {
            const char *name = part ? "out" : "in";
            char from[96];
            (void)snprintf(path, sizeof path, "transformer.h.1.mlpf.experts.%d.%s", i, name);
            (void)snprintf(from, sizeof from, "transformer.h.1.mlpf.experts.0.%s", name);
            if (at_store_find(&b[0].model->store, from) == NULL)
                (void)snprintf(from, sizeof from, "transformer.h.1.mlpf.%sexperts.weight",
                               part ? "output_" : "");
            same(m, path, b[i].model, from);
        }
    mean_of(m, "lm_head.weight", b, 3);
    mean_of(m, "transformer.wte.weight", b, 3);
    mean_of(m, "transformer.h.0.attn.k_proj.weight", b, 3);
    mean_of(m, "transformer.h.1.ln_2.bias", b, 3);
    assert_int_equal(at_model_number(m, "n_mlp_experts", 0), 3);
    assert_int_equal(at_model_number(m, "k_mlp", 0), 2);
    assert_int_equal(at_model_number(m, "n_att_experts", 0), 1);
    assert_int_equal(at_model_number(m, "k_att", 0), 1);
    OK(at_btx_make(&ctx, &how, &again));
    same(m, "transformer.h.0.mlpf.experts.1.row", again, "transformer.h.0.mlpf.experts.1.row");
    at_model_close(again);
    at_model_close(m);

    how.seed = 5; /* of routers alone */
    how.rest = AT_BTX_BASE;
    how.attention = AT_BTX_EXPERTS;
    how.base = b[3].model;
    how.gate = "mlp";
    OK(at_btx_check(&ctx, &how));
    OK(at_btx_make(&ctx, &how, &m));
    same(m, "lm_head.weight", b[3].model, "lm_head.weight");
    same(m, "transformer.h.0.attn.v_proj.bias", b[3].model, "transformer.h.0.attn.v_proj.bias");
    assert_int_equal(at_model_number(m, "n_att_experts", 0), 3);
    assert_int_equal(at_model_number(m, "k_att", 0), 2);
    const at_banks *to = m->arch->banks(m->impl);
    for (int64_t i = 0; i < to->n; i++)
        for (int x = 0; x < 3; x++)
            for (int p = 0; p < to->bank[i].parts; p++) {
                const at_bank *of =
                    at_bank_find(b[x].model->arch->banks(b[x].model->impl), to->bank[i].id);
                const at_tensor *u = to->bank[i].part[p]->slot[x], *v = of->part[p]->slot[0];
                assert_memory_equal(u->data, v->data, (size_t)at_numel(u) * sizeof *u->data);
            }
    assert_int_equal(at_store_find(&m->store, "transformer.h.0.mlpf.experts.1.row")->t.dim[0], 6);
    at_model_close(m);

    how.ffn = how.attention = how.rest = AT_BTX_AVERAGE; /* nothing is an expert */
    OK(at_btx_make(&ctx, &how, &m));
    for (int64_t i = 0; i < m->store.n; i++) mean_of(m, m->store.p[i]->path, b, 3);
    assert_int_equal(m->store.n, b[0].model->store.n);
    at_model_close(m);
    drop(b, 4);
}

static void hear(void *user, int64_t i, const at_real *logits) {
    memcpy((at_real *)user + i * 320, logits, 320 * sizeof *logits);
}

static void logits_of(at_compute *cp, at_model *m, at_real *out) {
    static const int32_t ids[9] = {5, 300, 7, 7, 19, 250, 3, 80, 81};
    at_arena arena;
    at_arena_init(&arena, &ctx);
    const at_input input = {.ids = ids, .B = 1, .T = 9};
    const at_readout what = {.logits = hear, .user = out};
    OK(at_model_read(cp, &arena, m, &input, NULL, &what));
    at_arena_close(&arena);
}

/* Copies of one model, put together, are that model, whatever the routers choose. */
static void copies_are_the_model(void **state) {
    (void)state;
    at_compute cp;
    OK(at_compute_open(&cp, &ctx));
    at_branch b[3] = {branch("c0", DENSE, 1, NULL), branch("c1", DENSE, 1, NULL),
                      branch("c2", DENSE, 1, NULL)};
    static at_real x[9 * 320], y[9 * 320];
    logits_of(&cp, b[0].model, x);
    for (int attention = 0; attention < 2; attention++) {
        at_model *m = NULL;
        at_btx how = three(b);
        if (attention) how.attention = AT_BTX_EXPERTS;
        OK(at_btx_make(&ctx, &how, &m));
        logits_of(&cp, m, y);
        for (int i = 0; i < 9 * 320; i++) assert_true(fabs((double)(x[i] - y[i])) < 1e-4);
        at_model_close(m);
        how.renormalise = false; /* gates of two of three are below 1 together */
        OK(at_btx_make(&ctx, &how, &m));
        logits_of(&cp, m, y);
        double most = 0;
        for (int i = 0; i < 9 * 320; i++) most = fmax(most, fabs((double)(x[i] - y[i])));
        assert_true(most > 1e-2);
        at_model_close(m);
    }
    drop(b, 3);
    at_compute_close(&cp);
}

static void refused(at_status s, at_branch other, at_btx how, const char *says) {
    at_branch b[3] = {how.branch[0], how.branch[1], other};
    how.branch = b;
    assert_int_equal(at_btx_check(&ctx, &how), s);
    expect_says(&ctx, says);
    drop(&other, 1);
}

static void what_is_refused(void **state) {
    (void)state;
    at_branch b[3] = {branch("r0", DENSE, 1, "aaaa"),
                      branch("r1", DENSE ", resid_pdrop: 0.1", 2, "aaaa")};
    b[2] = b[1];
    const at_btx how = three(b);
    OK(at_btx_check(&ctx, &how)); /* dropout is not what a model computes */
    refused(AT_MISMATCH, branch("r2", DENSE ", norm: rms", 1, "aaaa"), how, "has norm: \"rms\"");
    refused(AT_MISMATCH, branch("r3", DENSE, 1, "bbbb"), how, "was trained with tokenizer bbbb");
    refused(AT_MISMATCH, branch("r4", DENSE, 1, NULL), how, "was trained with tokenizer (none)");
    refused(AT_MISMATCH,
            branch("r5",
                   "arch: moduleformer, n_layer: 2, n_embd: 12, n_head: 2, att_hidden: 8, "
                   "ffd_hidden: 10, n_att_experts: 1, k_att: 1, n_mlp_experts: 3, k_mlp: 1",
                   1, "aaaa"),
            how, "layer 0 has 3 feed_forward experts; branches are dense");
    refused(
        AT_UNSUPPORTED,
        branch("r6", "arch: gpt2, n_layer: 1, n_embd: 12, n_head: 2, n_positions: 16", 1, "aaaa"),
        how, "is of architecture gpt2: mode btx makes a mixture of dense models");
    at_btx with = how;
    at_branch base = branch("r7", DENSE ", layer_norm_epsilon: 1e-4", 1, "aaaa");
    with.base = base.model;
    assert_int_equal(at_btx_check(&ctx, &with), AT_MISMATCH);
    expect_says(&ctx, "layer_norm_epsilon: 0.0001");
    drop(&base, 1);
    drop(b, 2);
}

/* ---- ensembles --------------------------------------------------------------------------------------- */

static void an_ensemble_is_its_formula(void **state) {
    (void)state;
    at_compute cp;
    at_dataset *d = NULL;
    OK(at_compute_open(&cp, &ctx));
    OK(at_dataset_open(&ctx, DATA, &d));
    const at_shard *s = &d->domain[0].shard[AT_TEST];
    at_branch b[3] = {branch("e0", DENSE, 1, NULL), branch("e1", DENSE, 2, NULL),
                      branch("e2", DENSE, 3, NULL)};
    at_model *m[3] = {b[0].model, b[1].model, b[2].model}, *twice[2] = {m[0], m[0]};
    at_ensemble_loss one = {0}, two = {0}, mean = {0};
    at_eval plain = {0};
    at_ensemble e = {.model = m, .n = 1, .k = 1};
    OK(at_ensemble_eval(&cp, &e, s, 16, 3, 0, &one));
    OK(at_eval_model(&cp, m[0], s, 16, 3, NULL, &plain));
    assert_int_equal(one.tokens, plain.tokens);
    assert_int_equal(one.windows, 3);
    assert_true(fabs(one.nats - plain.nats) < 1e-4);
    e = (at_ensemble){.model = twice, .n = 2, .k = 2};
    OK(at_ensemble_eval(&cp, &e, s, 16, 3, 0, &two));
    assert_true(fabs(two.nats - one.nats) < 1e-3);

    /* three models, the first two weigh the same where there is no router: by the logits of each */
    e = (at_ensemble){.model = m, .n = 3, .k = 2};
    OK(at_ensemble_eval(&cp, &e, s, 16, 1, 5, &mean));
    assert_int_equal(mean.tokens, 12); /* of 16, those after the fifth token */
    static at_real l[2][16 * 320];
    int32_t ids[17];
    double nats = 0;
    int64_t start, n;
    at_eval_window(s, 16, 1, 0, &start, &n);
    at_shard_read(s, start, n, ids);
    at_arena arena;
    at_arena_init(&arena, &ctx);
    for (int i = 0; i < 2; i++) {
        const at_input input = {.ids = ids, .B = 1, .T = 16};
        const at_readout what = {.logits = hear, .user = l[i]};
        OK(at_model_read(&cp, &arena, m[i], &input, NULL, &what));
    }
    at_arena_close(&arena);
    for (int t = 4; t < 16; t++) {
        double p = 0;
        for (int i = 0; i < 2; i++) {
            double sum = 0;
            for (int v = 0; v < 320; v++) sum += exp((double)l[i][t * 320 + v]);
            p += 0.5 * exp((double)l[i][t * 320 + ids[t + 1]]) / sum;
        }
        nats -= log(p);
    }
    assert_true(fabs(mean.nats - nats) < 1e-6 * nats);

    /* with one: the k largest, divided by their sum */
    at_router *r = NULL;
    const at_router_options o = at_router_defaults();
    OK(at_router_train(&ctx, d, NULL, 0, &o, &r));
    const int class_of[3] = {2, 0, 1};
    double w[3], p[3];
    int best;
    e = (at_ensemble){m, 3, 2, r, class_of};
    OK(at_router_predict(&ctx, r, ids, 16, p, &best, NULL));
    OK(at_ensemble_weigh(&ctx, &e, ids, 16, w));
    const int last = p[2] <= p[0] && p[2] <= p[1] ? 2 : p[0] <= p[1] ? 0 : 1;
    for (int i = 0; i < 3; i++)
        assert_true(fabs(w[i] - (class_of[i] == last ? 0 : p[class_of[i]] / (1 - p[last]))) < 1e-9);
    at_router_close(r);
    drop(b, 3);
    at_dataset_close(d);
    at_compute_close(&cp);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whose_values_are_where),
        cmocka_unit_test(copies_are_the_model),
        cmocka_unit_test(what_is_refused),
        cmocka_unit_test(an_ensemble_is_its_formula),
    };
    return cmocka_run_group_tests_name("btx", tests, setup, teardown);
}
