/*
 * test_translate_task.c - learning to translate, from recipe to translations: only tokens of translations
 * carry loss, padding changes nothing, the best validation is kept, the same bits on any threads and after
 * a resume, with and without mutual distillation.
 */
#include "artel.h"
#include "data/build.h"
#include "in_folder.h"
#include "infer/translate.h"
#include <math.h>
#include <stdio.h>

static const char *const WORD[][2] = {{"ka", "ze"}, {"mo", "lu"}, {"ti", "wo"}, {"su", "pi"}};
enum { WORDS = 4 };

/* All lines of one to four words, a word of the translation for each. */
static void write_pairs(void) {
    at_text t;
    at_text_init(&t, &ctx, 0);
    for (int n = 1, all = WORDS; n <= 4; n++, all *= WORDS)
        for (int i = 0; i < all; i++)
            for (int side = 0; side < 2; side++)
                for (int k = 0, x = i; k < n; k++, x /= WORDS)
                    at_textf(&t, "%s%s", WORD[x % WORDS][side],
                             k + 1 < n ? " "
                             : side    ? "\n"
                                       : "\t");
    OK(at_write_file(&ctx, in("pairs.tsv"), t.s, t.n));
    at_text_close(&t);
    const at_build_source source[] = {
        {(char *)(uintptr_t) "aa-bb", (char *)(uintptr_t)in("pairs.tsv"), AT_KIND_PAIRS}};
    at_build b = at_build_defaults();
    cJSON *m = NULL;
    b.source = source;
    b.n_sources = 1;
    b.out = in("set");
    b.vocab = 270;
    OK(at_build_run(&ctx, &b, &m));
    cJSON_Delete(m);
}

static int setup_pairs(void **state) {
    (void)setup(state);
    write_pairs();
    return 0;
}

enum { SETS = 32 };
typedef struct {
    char text[SETS][640];
    int n;
} sets;

static void add(sets *s, const char *assignment) {
    assert_true(s->n < SETS);
    (void)snprintf(s->text[s->n++], sizeof s->text[0], "%s", assignment);
}

static sets plain(void) {
    static const char *const set[] = {"task=translate",
                                      "model.arch=gpt2",
                                      "model.n_embd=32",
                                      "model.n_layer=1",
                                      "model.n_head=2",
                                      "model.n_positions=40",
                                      "model.initializer_range=0.1",
                                      "train.batch=16",
                                      "train.context=24",
                                      "train.lr=1e-2",
                                      "train.steps=20",
                                      "train.eval_every=10",
                                      "train.weight_decay=0",
                                      "train.save_every=0",
                                      "train.eval_windows=0"};
    sets s = {.n = 0};
    char data[640];
    (void)snprintf(data, sizeof data, "data.train=%s", in("set"));
    add(&s, data);
    for (size_t i = 0; i < sizeof set / sizeof *set; i++) add(&s, set[i]);
    return s;
}

static sets mixture(void) {
    sets s = plain();
    static const char *const set[] = {
        "model.arch=moduleformer", "model.n_layer=1",       "model.n_head=1",
        "model.att_hidden=16",     "model.ffd_hidden=16",   "model.n_att_experts=2",
        "model.k_att=1",           "model.n_mlp_experts=3", "model.k_mlp=2",
        "model.gate_type=linear",  "model.n_positions="};
    for (size_t i = 0; i + 1 < sizeof set / sizeof *set; i++) add(&s, set[i]);
    /* keys of the other architecture go */
    int n = 0;
    for (int i = 0; i < s.n; i++)
        if (strncmp(s.text[i], "model.n_positions", 17) != 0 &&
            strcmp(s.text[i], "model.arch=gpt2") != 0)
            memmove(s.text[n++], s.text[i], sizeof s.text[0]);
    s.n = n;
    return s;
}

static artel_status run(const sets *s, const char *name, int threads, bool resume, char *why) {
    artel *a = artel_open(threads, NULL, NULL);
    assert_non_null(a);
    const char *set[SETS];
    for (int i = 0; i < s->n; i++) set[i] = s->text[i];
    const artel_recipe r = {.set = set, .n_set = s->n};
    const artel_status st = artel_train(a, &r, ARTEL_TRAIN, in(name), resume, NULL, NULL);
    (void)snprintf(why, 600, "%s", artel_error(a));
    artel_close(a);
    return st;
}

static void trained(const sets *s, const char *name, int threads) {
    char why[600];
    if (run(s, name, threads, false, why) != ARTEL_OK) fail_msg("%s: %s", name, why);
}

static double test_loss(const char *run) {
    char file[200];
    (void)snprintf(file, sizeof file, "%s/result.json", run);
    cJSON *o = at_json_read(&ctx, in(file));
    const cJSON *d = cJSON_GetArrayItem(cJSON_GetObjectItem(o, "directions"), 0);
    assert_string_equal(cJSON_GetObjectItem(d, "direction")->valuestring, "aa-bb");
    assert_true(cJSON_GetObjectItem(d, "pairs")->valuedouble > 5);
    const double loss = cJSON_GetObjectItem(d, "loss")->valuedouble;
    cJSON_Delete(o);
    return loss;
}

static void same_model(const char *a, const char *b, bool same) {
    char file[2][200];
    size_t n, m;
    (void)snprintf(file[0], sizeof file[0], "%s/model/model.safetensors", a);
    (void)snprintf(file[1], sizeof file[1], "%s/model/model.safetensors", b);
    char *x = at_read_file(&ctx, in(file[0]), 1 << 24, &n),
         *y = at_read_file(&ctx, in(file[1]), 1 << 24, &m);
    if (!x || !y) fail_msg("%s", ctx.message);
    if ((n == m && !memcmp(x, y, n)) != same) fail_msg("%s and %s: same bytes or not", a, b);
    at_free(x);
    at_free(y);
}

/* It learns the words, and says them one by one. */
static void translations(void **state) {
    (void)state;
    sets s = plain();
    add(&s, "train.steps=300");
    add(&s, "train.eval_every=100");
    trained(&s, "words", 1);
    if (!(test_loss("words") < 0.3)) fail_msg("loss %g", test_loss("words"));
    at_lm *m = NULL;
    at_compute cp;
    OK(at_compute_open(&cp, &ctx));
    OK(at_lm_load(&ctx, in("words/model"), &m));
    char *tag = NULL, *out[3];
    bool ended[3];
    OK(at_translate_tag(&ctx, at_lm_shape(m), NULL, &tag));
    assert_string_equal(tag, "");
    at_free(tag);
    assert_int_equal(at_translate_tag(&ctx, at_lm_shape(m), "aa-cc", &tag), AT_ARG);
    expect_says(&ctx, "direction `aa-cc`: expected one of aa-bb");
    const char *const text[] = {"ka mo ti", "  su   ka ", "mo ti su ka"};
    at_translating how = {.tag = ""};
    OK(at_translate_texts(&cp, m, &how, text, 3, out, ended));
    static const char *const want[] = {"ze lu wo", "pi ze", "lu wo pi ze"};
    for (int i = 0; i < 3; i++) {
        assert_string_equal(out[i], want[i]);
        assert_true(ended[i]);
        at_free(out[i]);
    }
    how.most = 1;
    OK(at_translate_texts(&cp, m, &how, text, 1, out, ended));
    assert_true(!ended[0] && strlen(out[0]) < 3);
    at_free(out[0]);
    char longer[400] = "";
    for (int i = 0; i < 60; i++) (void)strcat(longer, "ka ");
    const char *const one[] = {longer};
    assert_int_equal(at_translate_texts(&cp, m, &how, one, 1, out, ended), AT_ARG);
    expect_says(&ctx, "the model takes 40 in all");
    at_lm_close(m);
    at_compute_close(&cp);
}

/* The loss of each translation's tokens alone, one pair at a time without padding, is that of batches. */
static void losses(void **state) {
    (void)state;
    at_model *m = NULL;
    at_dataset *set = NULL;
    at_bitext p = {0};
    at_compute cp;
    at_arena arena;
    OK(at_compute_open(&cp, &ctx));
    at_arena_init(&arena, &ctx);
    sets s = mixture();
    trained(&s, "mixed", 1);
    OK(at_model_load(&ctx, in("mixed/model"), false, &m));
    OK(at_dataset_open(&ctx, in("set"), &set));
    OK(at_bitext_add(&ctx, set, AT_TEST, 0, 0, &p));
    double nats = 0;
    int64_t tokens = 0;
    for (int64_t i = 0; i < p.n; i++) {
        int32_t id[64], label[64];
        const at_pair *one = &p.pair[i];
        at_pair_read(&p, one, id);
        for (int t = 0; t + 1 < one->all; t++) label[t] = t + 1 < one->source ? -1 : id[t + 1];
        const at_input in = {.ids = id, .B = 1, .T = one->all - 1};
        at_head_report rep;
        const at_readout what = {.label = label, .parts = 1, .report = &rep};
        OK(at_model_read(&cp, &arena, m, &in, NULL, &what));
        assert_int_equal(rep.n_labels, one->all - one->source);
        nats += rep.ce * (double)rep.n_labels;
        tokens += rep.n_labels;
    }
    at_eval e = {0};
    OK(at_bitext_loss(&cp, m, &p, 0, &e));
    assert_int_equal(e.tokens, tokens);
    assert_int_equal(e.windows, p.n);
    if (fabs(e.nats - nats) > 1e-4 * nats) fail_msg("%g, alone %g", e.nats, nats);
    if (fabs(e.nats / (double)e.tokens - test_loss("mixed")) > 1e-9) fail_msg("another result");
    at_eval few = {0};
    OK(at_bitext_loss(&cp, m, &p, 3, &few));
    assert_int_equal(few.windows, 3);
    at_bitext_close(&p);
    at_dataset_close(set);
    at_model_close(m);
    at_arena_close(&arena);
    at_compute_close(&cp);
}

/* Any threads, any interruption: here a run of half the steps that goes on. */
static void same_bits(void **state) {
    (void)state;
    sets s = mixture();
    add(&s, "losses.switch=0.1");
    trained(&s, "one", 1);
    trained(&s, "two", 2);
    same_model("one", "two", true);
    add(&s, "train.save_every=10");
    trained(&s, "saved", 1);
    same_model("one", "saved", true);
    OK(at_remove_tree(&ctx, in("saved/checkpoints/step-00000020")));
    OK(at_remove_tree(&ctx, in("saved/model")));
    char why[600];
    if (run(&s, "saved", 1, true, why) != ARTEL_OK) fail_msg("%s", why);
    same_model("one", "saved", true);
    add(&s, "seed=8");
    trained(&s, "seed", 1);
    same_model("one", "seed", false);
}

/* alpha = 0 is the mixture itself; any other moves it, and so does its form. */
static void mutual(void **state) {
    (void)state;
    sets s = mixture();
    trained(&s, "alone", 1);
    add(&s, "losses.mutual_distillation=0");
    trained(&s, "zero", 1);
    same_model("alone", "zero", true);
    add(&s, "losses.mutual_distillation=0.5");
    trained(&s, "half", 1);
    same_model("alone", "half", false);
}

/* Validation losses that a run has logged. */
static int validations_of(const char *name) {
    char path[64];
    size_t n;
    (void)snprintf(path, sizeof path, "%s/metrics.jsonl", name);
    char *text = at_read_file(&ctx, in(path), 1 << 24, &n);
    int count = 0;
    assert_non_null(text);
    for (const char *at = text; (at = strstr(at, "\"val_loss\"")) != NULL; at++) count++;
    at_free(text);
    return count;
}

/* With a rate that destroys the model the best validation is the first; and it stops there. */
static void best(void **state) {
    (void)state;
    sets s = plain();
    add(&s, "train.lr=1");
    add(&s, "train.warmup=0.5");
    add(&s, "train.schedule=constant");
    add(&s, "train.spike=0");
    add(&s, "train.steps=40");
    add(&s, "train.eval_every=2");
    add(&s, "train.clip=0");
    trained(&s, "best", 1);
    add(&s, "translate.best=false");
    trained(&s, "last", 1);
    if (!(test_loss("best") < test_loss("last"))) fail_msg("not the best of them");
    add(&s, "translate.best=true");
    add(&s, "translate.patience=2");
    trained(&s, "patient", 1);
    /* of the direction, and of all; the first is the best, and two more are not */
    assert_int_equal(validations_of("best"), 2 * 20);
    assert_int_equal(validations_of("patient"), 2 * 3);
}

static void refused(const char *set, const char *says) {
    char why[600];
    sets s = plain();
    add(&s, set);
    if (run(&s, "refused", 1, false, why) == ARTEL_OK || !strstr(why, says))
        fail_msg("%s: %s; expected %s", set, why, says);
    assert_false(at_exists(in("refused")));
}

static void refusals(void **state) {
    (void)state;
    refused("train.history=8", "train.history: the task translate reads whole pairs");
    refused("train.stretch=8", "train.stretch");
    refused("train.windows=aligned", "train.windows");
    refused("data.weights=[2]", "data.weights");
    refused("data.mix=turns", "data.mix");
    refused("data.domains=[bb-aa]", "no domain `bb-aa`");
    refused("train.tokens=100", "train.tokens");
    refused("train.context=400", "train.context is 400, but the model takes at most 40");
    refused("train.batch=4000", "train.batch is 4000, and");
    refused("train.context=3", "pairs of at most 3 tokens to learn from");
    refused("translate.bets=true", "unknown key");
    at_model *m = NULL;
    char *tag = NULL;
    sets s = plain();
    add(&s, "task=lm");
    add(&s, "train.steps=1");
    add(&s, "train.context=4");
    trained(&s, "lm", 1);
    OK(at_model_load(&ctx, in("lm/model"), false, &m));
    assert_int_equal(at_translate_tag(&ctx, m, NULL, &tag), AT_UNSUPPORTED);
    expect_says(&ctx, "was not trained to translate");
    at_model_close(m);
    add(&s, "translate.patience=2");
    char why[600];
    assert_int_not_equal(run(&s, "refused", 1, false, why), ARTEL_OK);
    assert_non_null(strstr(why, "translate"));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(translations), cmocka_unit_test(losses),
                                       cmocka_unit_test(same_bits),    cmocka_unit_test(mutual),
                                       cmocka_unit_test(best),         cmocka_unit_test(refusals)};
    return cmocka_run_group_tests_name("translate", tests, setup_pairs, teardown);
}
