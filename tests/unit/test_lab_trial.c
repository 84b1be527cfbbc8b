/* test_lab_trial.c - runs of a lab: done once, done again when their recipe changes, and what
   becomes of one that explodes. */
#include "check.h"
#include "data_fixture.h"
#include "lab/lab_trial.h"
#include "report/jsonl.h"

static at_ctx ctx;
static char out[300], data[300], results[340];

static const at_lab nobody = {.name = "test"};
static at_lab_options options = {.out = out, .data = data};

static void open_session(at_lab_session *l) {
    *l = (at_lab_session){.c = &ctx, .lab = &nobody, .o = &options, .results_path = results};
    OK(at_dataset_open(&ctx, data, &l->data));
    OK(at_compute_open(&l->cp, &ctx));
    OK(at_lab_results_open(l));
}
static void close_session(at_lab_session *l) {
    at_lab_trials_close(l);
    cJSON_Delete(l->results);
    at_dataset_close(l->data);
    at_compute_close(&l->cp);
}

/* A spike is a loss so far above the mean of those before it. */
static const char *recipe(const char *lr, const char *spike) {
    static char text[512];
    (void)snprintf(text, sizeof text,
                   "model: {arch: gpt2, n_layer: 1, n_embd: 8, n_head: 2, n_positions: 16}\n"
                   "data: {train: %s}\n"
                   "train: {steps: 30, batch: 2, context: 16, lr: %s, clip: 0, spike: %s}\n",
                   data, lr, spike);
    return text;
}

static void test_done_once(void **state) {
    (void)state;
    at_lab_session l;
    double loss[2], first;
    open_session(&l);
    OK(at_lab_declare(&l, "a", 1, 0, recipe("1e-3", "3")));
    OK(at_lab_declare(&l, "a", 2, 0, recipe("2e-3", "3")));
    assert_false(at_lab_numbers(&l, "a", "val_loss", 2, loss));
    OK(at_lab_train(&l, 1)); /* the first alone */
    assert_true(at_lab_numbers(&l, "a", "val_loss", 1, &first));
    assert_null(at_lab_trial(&l, "a", 2)->result);
    assert_null(at_lab_trial(&l, "b", 1));
    close_session(&l);

    open_session(&l); /* another process */
    OK(at_lab_declare(&l, "a", 1, 0, recipe("1e-3", "3")));
    assert_non_null(at_lab_trial(&l, "a", 1)->result);
    double *window;
    int64_t n;
    OK(at_lab_windows(&l, at_lab_trial(&l, "a", 1), &window, &n));
    assert_int_equal(n, 2 * 6); /* of 100 tokens in two domains */
    at_free(window);
    OK(at_lab_declare(&l, "a", 1, 0, recipe("3e-3", "3"))); /* a new recipe: not done */
    assert_null(at_lab_trial(&l, "a", 1)->result);
    OK(at_lab_train(&l, l.n));
    assert_true(at_lab_numbers(&l, "a", "val_loss", 1, loss));
    assert_true(loss[0] != first);
    assert_int_equal(cJSON_GetArraySize(l.results), 1);
    close_session(&l);
}

static void test_explodes(void **state) {
    (void)state;
    at_lab_session l;
    open_session(&l);
    OK(at_lab_declare(&l, "wild", 1, AT_TRIAL_DARING, recipe("0", "1e-9")));
    OK(at_lab_train(&l, l.n));
    const at_trial *t = at_lab_trial(&l, "wild", 1);
    assert_non_null(at_jsonl_string(t->result, "diverged"));
    double v;
    assert_false(at_jsonl_number(t->result, "val_loss", &v));
    close_session(&l);

    open_session(&l); /* it is not tried again; where it was not allowed to, it fails */
    OK(at_lab_declare(&l, "wild", 1, AT_TRIAL_DARING, recipe("0", "1e-9")));
    assert_non_null(at_lab_trial(&l, "wild", 1)->result);
    OK(at_lab_declare(&l, "tame", 1, 0, recipe("0", "1e-9")));
    assert_int_equal(at_lab_train(&l, l.n), AT_NUMERIC);
    expect_says(&ctx, "lower train.lr");
    close_session(&l);
}

/* A recipe that is wrong is told of before anything is done. */
static void test_wrong(void **state) {
    (void)state;
    at_lab_session l;
    open_session(&l);
    assert_int_equal(at_lab_declare(&l, "x", 1, 0, "model: {arch: gpt2}\ntrane: {}\n"), AT_CONFIG);
    close_session(&l);
}

int main(void) {
    at_ctx_init(&ctx, 1);
    const char *folder = temporary_folder();
    (void)snprintf(out, sizeof out, "%s/out", folder);
    (void)snprintf(data, sizeof data, "%s/data", folder);
    (void)snprintf(results, sizeof results, "%s/results.jsonl", out);
    if (fixture_data(&ctx, data, (const char *[]){"a", "b"}, 2, 64, 1000) || at_make_dir(&ctx, out))
        return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_done_once),
        cmocka_unit_test(test_explodes),
        cmocka_unit_test(test_wrong),
    };
    const int failed = cmocka_run_group_tests_name("lab runs", tests, NULL, NULL);
    (void)at_remove_tree(&ctx, folder);
    return failed;
}
