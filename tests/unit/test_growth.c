/* test_growth.c - each key of `extend` of a mixture does what it says.  Models of earlier tests are looked at again in
   later ones. */
#include "arch/read.h"
#include "base/rng.h"
#include "data_fixture.h"
#include "in_folder.h"
#include "train/growth.h"
#include "train/newness.h"
#include <math.h>
#include <unistd.h>

enum { V = 16, C = 8, R = 4, OLD = 2 };

static void make(void) {
    static const char yaml[] =
        "model: {arch: moduleformer, n_layer: 1, n_embd: 8, n_head: 1, att_hidden: 8, "
        "ffd_hidden: 8, gating_size: 4, n_att_experts: 2, n_mlp_experts: 2, k_att: 1, k_mlp: 2, "
        "initializer_range: 0.5}\n";
    at_conf *f = NULL;
    at_model *m = NULL;
    OK(at_conf_parse(&ctx, "model", yaml, sizeof yaml - 1, &f));
    OK(at_model_new(&ctx, f, "model", V, 5, &m));
    at_conf_close(f);
    OK(at_model_save(&ctx, m, in("base"), NULL));
    at_model_close(m);
    OK(fixture_data(&ctx, in("data"), (const char *[]){"a", "b"}, 2, V, 2000));
}

/* With `more` in the section extend; steps of learning rate lr. */
static at_status grow(const char *name, const char *more, int steps, double lr, at_growth *g) {
    char yaml[700], out[600], run[620];
    at_conf *f = NULL;
    at_lm *old = NULL;
    const int n = snprintf(
        yaml, sizeof yaml,
        "seed: 3\nextend: {name: a%s}\ndata: {train: %s}\n"
        "train: {steps: %d, batch: 2, context: 8, lr: %g, weight_decay: 0, eval_every: 0}\n",
        more, in("data"), steps, lr);
    (void)snprintf(out, sizeof out, "%s", in(name));
    (void)snprintf(run, sizeof run, "%s.run", out);
    OK(at_conf_parse(&ctx, "recipe", yaml, (size_t)n, &f));
    OK(at_lm_load(&ctx, in("base"), &old));
    const at_status s = at_grow(&ctx, f, in("base"), old, out, run, NULL, 0, g);
    at_lm_close(old);
    at_conf_close(f);
    return s;
}

/* Part `part` of the module's i-th expert of a kind, as it is in a model; NULL: there is none. */
static const at_tensor *part_of(at_model *m, int kind, int64_t slot, int part) {
    const at_bank *b = at_bank_find(at_model_banks(m), (at_router_id){0, (at_layer_kind)kind});
    at_param_entry *e[AT_BANK_PARTS + 1];
    if (slot >= b->n) return NULL;
    (void)at_bank_slot(b, slot, e);
    return &e[part]->t;
}
enum { IN, OUT, ROW };

static at_model *open(const char *name) {
    at_model *m = NULL;
    OK(at_model_load(&ctx, in(name), false, &m));
    return m;
}

static bool equal(const at_tensor *a, const at_tensor *b) {
    return !memcmp(a->data, b->data, (size_t)at_numel(a) * sizeof *a->data);
}
static double squares(const at_tensor *t) {
    double sum = 0;
    for (int64_t i = 0; i < at_numel(t); i++) sum += (double)t->data[i] * (double)t->data[i];
    return sum;
}

enum { FFN = AT_LAYER_FEED_FORWARD, ATT = AT_LAYER_ATTENTION };

/* ---- keys ------------------------------------------------------------------------------------------ */

static void how_many(void **state) {
    (void)state;
    at_growth g;
    OK(grow("many", ", attention: 1, feed_forward: [3], documents: 3", 1, 0, &g));
    at_model *m = open("many");
    assert_non_null(part_of(m, ATT, OLD, IN));
    assert_null(part_of(m, ATT, OLD + 1, IN));
    assert_non_null(part_of(m, FFN, OLD + 2, IN));
    assert_null(part_of(m, FFN, OLD + 3, IN));
    assert_int_equal(g.parameters, 4 * (2 * C * C + R));
    assert_int_equal(g.domains, 2);
    assert_int_equal(g.domain[0].change.documents, 3);
    assert_true(!g.domain[0].old && g.domain[1].old);
    assert_true(isfinite(g.domain[1].change.lo));
    at_model_close(m);
    OK(grow("plain", "", 1, 0, &g)); /* what is not said: one feed-forward expert, 64 documents */
    m = open("plain");
    assert_null(part_of(m, ATT, OLD, IN));
    assert_null(part_of(m, FFN, OLD + 1, IN));
    assert_int_equal(g.domain[0].change.documents, 4);
    at_model_close(m);
}

static void what_they_begin_as(void **state) {
    (void)state;
    at_growth g;
    OK(grow("copy", ", feed_forward: 2, init: copy", 1, 0, &g));
    OK(grow("zero", ", feed_forward: 2, init: zero", 1, 0, &g));
    at_model *r = open("many"), *c = open("copy"), *z = open("zero");
    for (int i = 0; i < 2; i++) {
        for (int p = 0; p < 3; p++) {
            assert_true(equal(part_of(c, FFN, OLD + i, p), part_of(c, FFN, i, p)));
            assert_false(equal(part_of(r, FFN, OLD + i, p), part_of(r, FFN, i, p)));
        }
        assert_true(equal(part_of(z, FFN, OLD + i, IN), part_of(r, FFN, OLD + i, IN)));
        assert_true(squares(part_of(z, FFN, OLD + i, OUT)) == 0);
        assert_true(squares(part_of(r, FFN, OLD + i, OUT)) > 0);
    }
    at_model_close(r);
    at_model_close(c);
    at_model_close(z);
}

/* Rows that point to where the new text is: the router gives the new slots more of it than of the other domain's. */
static void rows_of_the_domain(void **state) {
    (void)state;
    at_growth g;
    OK(grow("domain", ", feed_forward: 2, init: domain", 1, 0, &g));
    at_model *m = open("domain"), *r = open("many");
    double mean = 0;
    for (int i = 0; i < OLD; i++) mean += sqrt(squares(part_of(m, FFN, i, ROW))) / OLD;
    for (int i = 0; i < 2; i++) {
        assert_true(equal(part_of(m, FFN, OLD + i, IN), part_of(r, FFN, OLD + i, IN)));
        assert_true(fabs(sqrt(squares(part_of(m, FFN, OLD + i, ROW))) - mean) < 1e-5);
    }
    assert_false(equal(part_of(m, FFN, OLD, ROW), part_of(m, FFN, OLD + 1, ROW)));
    at_model_close(m);
    at_model_close(r);
}

/* Means and spread that are known: scores, the layers that are chosen, rows. */
static void a_difference_that_is_known(void **state) {
    (void)state;
    double own[2][2] = {{2, 0}, {6, 0}}, others[2] = {0, 0}, own2[2] = {4, 4}, others2[2] = {0, 0};
    int64_t n[2] = {1, 1}, n2 = 4, more[2] = {2, 1};
    at_newness_bank bank[2] = {{.width = 2,
                                .parts = 2,
                                .own = own[0],
                                .others = others,
                                .n = n,
                                .n_others = 2,
                                .squares = {40, 2}},
                               {.width = 2,
                                .parts = 1,
                                .own = own2,
                                .others = others2,
                                .n = &n2,
                                .n_others = 4,
                                .squares = {12, 4}}};
    const at_newness x = {bank, 2};
    at_bank b[2] = {{.id = {0, AT_LAYER_ATTENTION}}, {.id = {1, AT_LAYER_ATTENTION}}};
    const at_banks banks = {b, 2};
    assert_true(fabs(at_newness_score(&x, 0) - 16 / 2.5) < 1e-12); /* (40 - 2 * 16 + 2) / 4 */
    assert_true(fabs(at_newness_score(&x, 1) - 2 / 1.0) < 1e-12);  /* (12 - 4 * 2 + 4) / 8  */
    at_newness_choose(&x, &banks, 1, more);
    assert_true(more[0] == 2 && more[1] == 0);
    more[1] = 1;
    at_newness_choose(&x, &banks, 2, more);
    assert_true(more[0] == 2 && more[1] == 1);
    b[1].id.kind = AT_LAYER_FEED_FORWARD; /* another kind has layers of its own */
    at_newness_choose(&x, &banks, 1, more);
    assert_true(more[0] == 2 && more[1] == 1);
}

static void what_learns(void **state) {
    (void)state;
    at_growth g, h;
    OK(grow("all", "", 4, 0.1, &g));
    OK(grow("rows", ", free: router", 4, 0.1, &h));
    at_model *b = open("plain"), *a = open("all"), *r = open("rows");
    for (int p = 0; p < 3; p++) {
        assert_false(equal(part_of(a, FFN, OLD, p), part_of(b, FFN, OLD, p)));
        assert_true(equal(part_of(r, FFN, OLD, p), part_of(b, FFN, OLD, p)) == (p != ROW));
    }
    at_model_close(b);
    at_model_close(a);
    at_model_close(r);
}

static void rows_are_held(void **state) {
    (void)state;
    at_growth g;
    OK(grow("held", ", router_decay: 100", 4, 0.1, &g));
    at_model *a = open("all"), *b = open("held");
    assert_true(squares(part_of(b, FFN, OLD, ROW)) < 0.5 * squares(part_of(a, FFN, OLD, ROW)));
    at_model_close(a);
    at_model_close(b);
}

static void a_review(void **state) {
    (void)state;
    at_growth g, h;
    assert_int_equal(grow("most", ", review: 3", 4, 0.1, &g), AT_CONFIG);
    expect_says(&ctx, "3 steps read 1.2 % of the other domains' training text, "
                      "extend.review_share is 1 %: expected at most 2 steps");
    OK(grow("after", ", review: 3, review_share: 0.02", 4, 0.1, &h));
    assert_int_equal(h.review_tokens, 3 * 2 * 8 / 2); /* of two domains one is old */
    assert_true(fabs(h.review_share - 24.0 / 2000) < 1e-12);
    at_model *a = open("all"), *b = open("after");
    assert_true(equal(part_of(a, FFN, OLD, IN), part_of(b, FFN, OLD, IN)));
    assert_true(equal(part_of(a, FFN, OLD, OUT), part_of(b, FFN, OLD, OUT)));
    assert_false(equal(part_of(a, FFN, OLD, ROW), part_of(b, FFN, OLD, ROW)));
    at_model_close(a);
    at_model_close(b);
}

/* The passport has what a second making needs, and nothing of this machine. */
static void the_passport(void **state) {
    (void)state;
    at_growth g;
    at_module_file f;
    char sha[AT_SHA256_TEXT];
    OK(grow("again", "", 4, 0.1, &g)); /* the same call, the same bytes */
    size_t n[2];
    char *x = at_read_file(&ctx, in("all/modules/001-a.safetensors"), 1 << 20, &n[0]);
    char *y = at_read_file(&ctx, in("again/modules/001-a.safetensors"), 1 << 20, &n[1]);
    assert_true(x && y && n[0] == n[1] && !memcmp(x, y, n[0]));
    at_free(x);
    at_free(y);
    OK(at_module_file_open(&ctx, in("all/modules/001-a.safetensors"), &f));
    assert_string_equal(f.digest, g.digest);
    assert_string_equal(f.base, g.base.hex);
    const cJSON *data = cJSON_GetObjectItemCaseSensitive(f.passport, "data");
    const cJSON *created = cJSON_GetObjectItemCaseSensitive(f.passport, "created");
    OK(at_sha256_file(&ctx, in("data/manifest.json"), sha));
    assert_string_equal(cJSON_GetObjectItemCaseSensitive(data, "manifest")->valuestring, sha);
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(data, "domains")), 1);
    assert_true(cJSON_GetObjectItemCaseSensitive(created, "steps")->valuedouble == 4);
    const char *recipe = cJSON_GetObjectItemCaseSensitive(created, "recipe")->valuestring;
    assert_non_null(strstr(recipe, "train: DATA"));
    assert_non_null(strstr(recipe, "init: BASE"));
    assert_null(strstr(recipe, dir));
    at_module_file_close(&f);
    /* one that was edited, in a file whose hashes are right */
    OK(at_module_file_open(&ctx, in("all/modules/001-a.safetensors"), &f));
    cJSON_GetObjectItemCaseSensitive(f.passport, "digest")->valuestring[0] ^= 1;
    OK(at_module_file_write(&ctx, in("all/modules/001-a.safetensors"), f.passport, NULL,
                            in("false")));
    at_module_file_close(&f);
    assert_int_equal(at_module_file_open(&ctx, in("false"), &f), AT_MISMATCH);
    expect_says(&ctx, "its passport says that its tensors have digest");
    at_module_file_close(&f);
}

static int begin(void **state) {
    /* many small files are synced: in memory when there is such a place */
    if (access("/dev/shm", W_OK) == 0) (void)setenv("TMPDIR", "/dev/shm", 0);
    if (setup(state)) return -1;
    make();
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(how_many),
        cmocka_unit_test(what_they_begin_as),
        cmocka_unit_test(what_learns),
        cmocka_unit_test(rows_of_the_domain),
        cmocka_unit_test(a_difference_that_is_known),
        cmocka_unit_test(rows_are_held),
        cmocka_unit_test(a_review),
        cmocka_unit_test(the_passport),
    };
    return cmocka_run_group_tests(tests, begin, teardown);
}
