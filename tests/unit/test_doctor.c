/* test_doctor.c - each defect is planted and found, where it is and nothing else; a healthy model is silent. */
#include "in_folder.h"
#include "infer/doctor.h"
#include <math.h>
#include <stdio.h>

#define DATA "tests/golden/runs/data"

static at_compute cp;
static at_diagnosis d;

/* A mixture of 4 experts, of which a token uses 2; its values are wide, so that all of it matters. */
static at_model *mixture(const char *more) {
    char text[600];
    at_conf *f = NULL;
    at_model *m = NULL;
    (void)snprintf(text, sizeof text,
                   "model: {arch: moduleformer, n_layer: 2, n_embd: 16, n_head: 2, att_hidden: 16, "
                   "ffd_hidden: 12, n_att_experts: 4, k_att: 2, n_mlp_experts: 4, gating_size: 8, "
                   "initializer_range: 0.2, vocab_size: 320, %s}\n",
                   more);
    OK(at_conf_parse(&ctx, "recipe.yaml", text, strlen(text), &f));
    OK(at_model_new(&ctx, f, "model", 320, 7, &m));
    at_conf_close(f);
    return m;
}

static at_real *values(at_model *m, const char *path) {
    at_param_entry *e = at_store_find(&m->store, path);
    if (!e) fail_msg("no parameter %s", path);
    return e->t.data;
}

static int64_t size(at_model *m, const char *path) {
    return at_numel(&at_store_find(&m->store, path)->t);
}

/* Saves the model, closes it. */
static void save(at_model *m) {
    OK(at_remove_tree(&ctx, in("model")));
    OK(at_model_save(&ctx, m, in("model"), NULL));
    at_model_close(m);
}

/* Puts a key into config.json. */
static void say(const char *key, cJSON *value) {
    cJSON *o = at_json_read(&ctx, in("model/config.json"));
    cJSON_DeleteItemFromObjectCaseSensitive(o, key);
    cJSON_AddItemToObject(o, key, value);
    write_json(&ctx, in("model/config.json"), o);
    cJSON_Delete(o);
}

static void examine(const char *data) {
    const at_doctor_options o = {.data = data, .split = AT_TEST, .context = 32, .windows = 8};
    at_diagnosis_close(&d);
    OK(at_doctor(&cp, in("model"), &o, &d));
}

static void say_all(void) {
    for (int64_t i = 0; i < d.n; i++)
        printf("%s | %s | %s\n", d.item[i].kind, d.item[i].where, d.item[i].measured);
}

/* So many findings, all of this kind; the first where it says, with these words of what was measured. */
static const at_finding *found(int64_t n, const char *kind, const char *where,
                               const char *measured) {
    bool right = d.n == n;
    for (int64_t i = 0; i < d.n; i++) right &= !strcmp(d.item[i].kind, kind);
    right =
        right && n > 0 && strstr(d.item[0].where, where) && strstr(d.item[0].measured, measured);
    if (!right) {
        say_all();
        fail_msg("expected %d of %s, first at `%s` with `%s`", (int)n, kind, where, measured);
    }
    assert_non_null(d.item[0].advice);
    return &d.item[0];
}

static void healthy_models_are_silent(void **state) {
    (void)state;
    static const char *const shape[] = {"k_mlp: 2",
                                        "k_mlp: 2, renormalise_gates: true",
                                        "k_mlp: 1",
                                        "k_mlp: 4, renormalise_gates: true",
                                        "k_mlp: 2, gate_type: linear",
                                        "k_mlp: 2, gate_type: gmm, att_func: softmax",
                                        "k_mlp: 2, aux_loss_weight: 0.1, sample_topk: 1"};
    for (size_t i = 0; i < sizeof shape / sizeof *shape; i++)
        for (int text = 0; text < 2; text++) {
            save(mixture(shape[i]));
            examine(text ? DATA : NULL);
            if (d.n) {
                say_all();
                fail_msg("%s, %s: %d findings", shape[i], text ? DATA : "random", (int)d.n);
            }
            assert_int_equal(d.banks, 4);
            assert_int_equal(d.tokens, text ? 3 * 8 * 32 : 4 * 64);
            assert_true(d.tensors > 40);
        }
}

static void values_that_are_none(void **state) {
    (void)state;
    at_model *m = mixture("k_mlp: 2");
    save(m);
    /* models with NaN are not saved as such */
    at_model *good = NULL;
    OK(at_model_load(&ctx, in("model"), true, &good));
    at_real *x = values(good, "transformer.h.1.ln_2.weight");
    x[3] = (at_real)NAN;
    x[5] = (at_real)INFINITY;
    OK(at_checkpoint_save(&ctx, &good->store, AT_SLAB_VALUE, in("model/model.safetensors"), NULL));
    at_model_close(good);
    examine(NULL);
    found(1, "not-finite", "transformer.h.1.ln_2.weight",
          "2 of 16 values are NaN or infinite, the first at 3");
    assert_int_equal(d.tokens, 0);
    assert_int_equal(d.item[0].severity, AT_SEVERITY_ERROR);
}

static void zeros(void **state) {
    (void)state;
    at_model *m = mixture("k_mlp: 2");
    const char *path = "transformer.h.0.mlpf.experts.2.out";
    memset(values(m, path), 0, (size_t)size(m, path) * sizeof(at_real));
    save(m);
    examine(NULL);
    found(1, "zero", path, "all of its 192 values are 0");
    assert_int_equal(d.item[0].severity, AT_SEVERITY_WARNING);
}

/* Models that read rows of numbers: tensors and banks are looked at, and no text is read. */
static void models_of_tables(void **state) {
    (void)state;
    static const char text[] = "model: {arch: mlp_moe, n_inputs: 5, num_labels: 3, n_experts: 4}\n";
    at_conf *f = NULL;
    at_model *m = NULL;
    OK(at_conf_parse(&ctx, "recipe.yaml", text, strlen(text), &f));
    OK(at_model_new(&ctx, f, "model", 3, 7, &m));
    at_conf_close(f);
    at_bank *b = m->arch->banks(m->impl)->bank;
    const int64_t tensors = m->store.n, parts = b->parts;
    save(m);
    examine(NULL);
    if (d.n) say_all();
    assert_int_equal(d.n, 0); /* shifts that are zero are no defect */
    assert_int_equal(d.tensors, tensors);
    assert_int_equal(d.banks, 1);
    assert_int_equal(d.tokens, 0);
    OK(at_model_load(&ctx, in("model"), true, &m));
    b = m->arch->banks(m->impl)->bank;
    for (int64_t i = 0; i < parts; i++)
        memcpy(b->part[i]->slot[2]->data, b->part[i]->slot[1]->data,
               (size_t)at_numel(b->part[i]->slot[1]) * sizeof(at_real));
    save(m);
    examine(NULL);
    found(1, "duplicate", "matrices of experts 1 and 2", "1.000000");
}

static void copies(void **state) {
    (void)state;
    at_model *m = mixture("k_mlp: 2");
    char a[64], b[64];
    for (int part = 0; part < 2; part++) {
        (void)snprintf(a, sizeof a, "transformer.h.1.attn.q_proj.experts.1.%s",
                       part ? "out" : "in");
        (void)snprintf(b, sizeof b, "transformer.h.1.attn.q_proj.experts.3.%s",
                       part ? "out" : "in");
        memcpy(values(m, b), values(m, a), (size_t)size(m, a) * sizeof(at_real));
    }
    save(m);
    examine(NULL);
    const at_finding *f = found(1, "duplicate", "layer 1, attention: matrices of experts 1 and 3",
                                "cosine of their values 1.000000");
    assert_true(fabs(f->value - 1) < 1e-9);

    m = mixture("k_mlp: 2");
    memcpy(values(m, "transformer.h.0.mlpf.experts.3.row"),
           values(m, "transformer.h.0.mlpf.experts.0.row"), 8 * sizeof(at_real));
    save(m);
    examine(NULL);
    found(1, "duplicate", "layer 0, feed_forward: router rows of experts 0 and 3", "1.000000");
}

static void more_than_are_alive(void **state) {
    (void)state;
    at_model *m = mixture("k_mlp: 3");
    char path[64];
    for (int i = 0; i < 2; i++) {
        (void)snprintf(path, sizeof path, "transformer.h.0.mlpf.experts.%d.in", i);
        memset(values(m, path), 0, (size_t)size(m, path) * sizeof(at_real));
    }
    save(m);
    examine(NULL);
    assert_int_equal(d.n, 3); /* and two that are zero */
    assert_string_equal(d.item[2].kind, "k-too-large");
    assert_string_equal(d.item[2].where, "layer 0, feed_forward");
    assert_non_null(strstr(d.item[2].measured, "a token uses 3 experts, but 2 of 4 have"));

    m = mixture("k_mlp: 2, gate_type: linear"); /* one logit is far above the others */
    at_real *b = values(m, "transformer.h.0.ln_2.bias");
    for (int i = 0; i < 16; i++) {
        b[i] = 1;
        values(m, "transformer.h.0.mlpf.experts.2.row")[i] = (at_real)0.7;
    }
    save(m);
    examine(NULL);
    found(1, "k-too-large", "layer 0, feed_forward", "the mean gate of the last of 2 experts");
}

static void routers_that_learn_nothing(void **state) {
    (void)state;
    save(mixture("k_mlp: 1, renormalise_gates: true"));
    examine(NULL);
    const at_finding *f = found(2, "no-gradient", "layer 0, feed_forward",
                                "1 experts a token, gates divided by their sum");
    assert_true(f->value < 1e-9);
    examine(DATA);
    found(2, "no-gradient", "layer 0, feed_forward", "by the language loss alone");
}

static void gates_of_the_configuration(void **state) {
    (void)state;
    save(mixture("k_mlp: 2"));
    say("norm_topk_prob", cJSON_CreateBool(1));
    examine(NULL);
    found(1, "gates", "config.json", "norm_topk_prob is true, but renormalise_gates is false");
    say("norm_topk_prob", cJSON_CreateBool(0));
    examine(NULL);
    assert_int_equal(d.n, 0);
    say("moe_renormalize", cJSON_CreateBool(1));
    examine(NULL);
    found(1, "gates", "config.json", "moe_renormalize is true");

    /* gates that are computed otherwise than it is said: the doctor is told another configuration */
    at_model *m = mixture("k_mlp: 2, renormalise_gates: true");
    save(m);
    OK(at_model_load(&ctx, in("model"), true, &m));
    cJSON_ReplaceItemInObjectCaseSensitive(m->source, "renormalise_gates", cJSON_CreateBool(0));
    const at_doctor_options o = {.context = 32};
    at_diagnosis_close(&d);
    d.banks = 4;
    OK(at_doctor_read(&cp, m, &o, &d));
    found(4, "gates", "layer 0, attention",
          "the configuration says that gates are the probabilities");
    assert_non_null(strstr(d.item[0].measured, "where they sum to 1.0000"));
    assert_true(d.item[0].value > 0.1);
    at_model_close(m);
}

/* Whatever is read, the router of layer 0 has the logits 0.1, 0.2, 0.3, 0.4: those of a softmax before it. */
static void gates_normalised_twice(void **state) {
    (void)state;
    at_model *m = mixture("k_mlp: 2, gate_type: linear");
    for (int i = 0; i < 16; i++) values(m, "transformer.h.0.ln_2.weight")[i] = (at_real)1e-9;
    char path[64];
    for (int e = 0; e < 4; e++) {
        (void)snprintf(path, sizeof path, "transformer.h.0.mlpf.experts.%d.row", e);
        memset(values(m, path), 0, 16 * sizeof(at_real));
        values(m, path)[0] = (at_real)0.1 * (at_real)(e + 1);
        values(m, path)[1 + e] = 1; /* rows are not the same; the other inputs are 0 */
    }
    values(m, "transformer.h.0.ln_2.bias")[0] = 1;
    save(m);
    examine(NULL);
    found(1, "gates-twice", "layer 0, feed_forward", "the logits are above 0 and sum to 1");
}

static void experts_that_no_text_chooses(void **state) {
    (void)state;
    at_model *m = mixture("k_mlp: 2, gate_type: linear");
    at_real *b = values(m, "transformer.h.1.ln_2.bias");
    for (int i = 0; i < 16; i++) {
        b[i] = 1;
        values(m, "transformer.h.1.mlpf.experts.1.row")[i] =
            (at_real)-0.7 - (at_real)0.01 * (at_real)i;
    }
    save(m);
    examine(NULL);
    assert_int_equal(d.n, 0); /* of tokens at random nothing is said of loads */
    examine(DATA);
    const at_finding *f = found(1, "never-chosen", "layer 1, feed_forward: expert 1",
                                "0 of 1536 choices; an even load would give it 384");
    assert_int_equal(f->severity, AT_SEVERITY_WARNING);
    /* too little text to say so */
    const at_doctor_options o = {.data = DATA, .split = AT_TEST, .context = 8, .windows = 1};
    at_diagnosis_close(&d);
    OK(at_doctor(&cp, in("model"), &o, &d));
    assert_int_equal(d.n, 0);
    assert_int_equal(d.tokens, 24);
}

static void losses_that_are_thrown_away(void **state) {
    (void)state;
    save(mixture("k_mlp: 2"));
    say("router_aux_loss_coef", cJSON_CreateNumber(0.001));
    examine(NULL);
    found(1, "aux-discarded", "config.json",
          "router_aux_loss_coef is 0.001, but no loss of routers has a weight");
    say("aux_loss_weight", cJSON_CreateNumber(0.01));
    examine(NULL);
    assert_int_equal(d.n, 0);

    at_model *m =
        mixture("k_mlp: 1, gate_type: linear, aux_loss_type: switch"); /* one takes nearly all */
    at_real *b = values(m, "transformer.h.1.ln_2.bias");
    for (int i = 0; i < 16; i++) {
        b[i] = 1;
        values(m, "transformer.h.1.mlpf.experts.1.row")[i] = (at_real)0.3;
    }
    save(m);
    examine(DATA);
    bool told = false;
    for (int64_t i = 0; i < d.n; i++)
        told |= !strcmp(d.item[i].kind, "aux-discarded") &&
                strstr(d.item[i].measured, "aux_loss_type is switch, its weight 0");
    if (!told) say_all();
    assert_true(told);
}

static void what_cannot_be_examined(void **state) {
    (void)state;
    const at_doctor_options o = {.data = "nowhere", .context = 32};
    at_diagnosis_close(&d);
    assert_int_not_equal(at_doctor(&cp, in("nothing"), &o, &d), AT_OK);
    save(mixture("k_mlp: 2"));
    at_diagnosis_close(&d);
    assert_int_not_equal(at_doctor(&cp, in("model"), &o, &d), AT_OK);
    expect_says(&ctx, "nowhere");
    say("model_type", cJSON_CreateString("artel-modular"));
    at_diagnosis_close(&d);
    assert_int_equal(at_doctor(&cp, in("model"), &o, &d), AT_ARG);
    expect_says(&ctx, "is composed of whole models behind a router");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(healthy_models_are_silent),
        cmocka_unit_test(values_that_are_none),
        cmocka_unit_test(zeros),
        cmocka_unit_test(models_of_tables),
        cmocka_unit_test(copies),
        cmocka_unit_test(more_than_are_alive),
        cmocka_unit_test(routers_that_learn_nothing),
        cmocka_unit_test(gates_of_the_configuration),
        cmocka_unit_test(gates_normalised_twice),
        cmocka_unit_test(experts_that_no_text_chooses),
        cmocka_unit_test(losses_that_are_thrown_away),
        cmocka_unit_test(what_cannot_be_examined),
    };
    at_ctx_init(&ctx, 2);
    if (at_compute_open(&cp, &ctx) != AT_OK) return 1;
    const int failed = cmocka_run_group_tests_name("doctor", tests, setup, teardown);
    at_diagnosis_close(&d);
    at_compute_close(&cp);
    return failed;
}
