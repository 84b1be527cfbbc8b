/* test_lab_trial.c - runs of a lab are done once, and again when their recipe or the program
   changes; they are measured on the right split; runs that diverge; speeds. */
#include "check.h"
#include "data_fixture.h"
#include "infer/evaluate.h"
#include "lab/lab_result.h"
#include "lab/lab_speed.h"
#include "lab/lab_trial.h"
#include "report/jsonl.h"
#include "report/points.h"
#include "train/train.h"
#include <math.h>

static at_ctx ctx;
static char out[300], data[300], results[340];
static const char *program = "0123456789abcdef", *processor = "an abacus, ref";
static char said[4096]; /* the log, but for progress */

static void listen(void *user, at_log_level level, const char *line) {
    (void)user;
    const size_t n = strlen(said);
    if (level != AT_LOG_PROGRESS) (void)snprintf(said + n, sizeof said - n, "%s\n", line);
}
static bool heard(const char *part) { return strstr(said, part) != NULL; }

static const at_lab nobody = {.name = "test"};
static at_lab_options options = {.out = out, .data = data};

static void open_session(at_lab_session *l) {
    *said = 0;
    *l = (at_lab_session){.c = &ctx, .lab = &nobody, .o = &options, .results_path = results};
    (void)snprintf(l->program, sizeof l->program, "%s", program);
    (void)snprintf(l->processor, sizeof l->processor, "%s", processor);
    ctx.log = l->log = listen;
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
                   "model: {arch: gpt2, n_layer: 1, n_embd: 8, n_head: 2, n_positions: 64}\n"
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
    OK(at_lab_declare(&l, "a", 2, 0, recipe("2e-3", "3")));
    OK(at_lab_declare(&l, "a", 1, AT_TRIAL_MAY_DIVERGE, recipe("1e-3", "3")));
    assert_false(at_lab_numbers(&l, "a", "val_loss", 2, loss));
    OK(at_lab_train(&l, AT_TRIAL_MAY_DIVERGE)); /* that one alone */
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
    OK(at_lab_train(&l, 0));
    assert_true(at_lab_numbers(&l, "a", "val_loss", 1, loss));
    assert_true(loss[0] != first);
    assert_int_equal(cJSON_GetArraySize(l.results), 1);
    close_session(&l);
}

static void test_explodes(void **state) {
    (void)state;
    at_lab_session l;
    open_session(&l);
    OK(at_lab_declare(&l, "wild", 1, AT_TRIAL_MAY_DIVERGE, recipe("0", "1e-9")));
    OK(at_lab_train(&l, 0));
    const at_trial *t = at_lab_trial(&l, "wild", 1);
    assert_non_null(at_jsonl_string(t->result, "diverged"));
    double v;
    assert_false(at_jsonl_number(t->result, "val_loss", &v));
    close_session(&l);

    open_session(&l); /* it is not tried again; where it was not allowed to, it fails */
    OK(at_lab_declare(&l, "wild", 1, AT_TRIAL_MAY_DIVERGE, recipe("0", "1e-9")));
    assert_non_null(at_lab_trial(&l, "wild", 1)->result);
    OK(at_lab_declare(&l, "tame", 1, 0, recipe("0", "1e-9")));
    assert_int_equal(at_lab_train(&l, 0), AT_NUMERIC);
    expect_says(&ctx, "lower train.lr");
    close_session(&l);
}

/* Of validation and test split, the latter of other tokens: which is read for what.  A run that
   settings are chosen by leaves the test split alone. */
static void test_splits(void **state) {
    (void)state;
    at_lab_session l;
    open_session(&l);
    OK(at_lab_declare(&l, "s", 1, AT_TRIAL_BY_LENGTH, recipe("1e-2", "3")));
    OK(at_lab_declare(&l, "s", 2, AT_TRIAL_FOR_TUNING, recipe("1e-2", "3")));
    OK(at_lab_train(&l, 0));
    const at_trial *t = at_lab_trial(&l, "s", 1), *chooses = at_lab_trial(&l, "s", 2);
    assert_true(heard("s-s1: test loss") && heard("s-s2: validation loss"));
    double got[AT_SPLITS] = {0}, want[AT_SPLITS];
    assert_true(at_jsonl_number(t->result, "val_loss", &got[AT_VALIDATION]));
    assert_true(at_jsonl_number(t->result, "test_loss", &got[AT_TEST]));
    at_model *m;
    char *path = at_lab_path(&l, t, "model");
    OK(at_model_load(&ctx, path, false, &m));
    for (int split = AT_VALIDATION; split < AT_SPLITS; split++) {
        at_eval e = {0};
        for (int d = 0; d < 2; d++)
            OK(at_eval_model(&l.cp, m, &l.data->domain[d].shard[split], 16, 0, NULL, &e));
        want[split] = e.nats / (double)e.tokens;
        if (fabs(got[split] - want[split]) > 1e-5)
            fail_msg("%s: got %g, expected %g", at_split_name[split], got[split], want[split]);
    }
    assert_true(fabs(want[AT_TEST] - want[AT_VALIDATION]) > 0.01); /* they can be told apart */

    double *window, sum = 0, tail, by[2], v;
    int64_t n;
    OK(at_lab_windows(&l, t, &window, &n));
    for (int64_t i = 0; i < n; i++) sum += window[i] / (double)n;
    at_free(window);
    tail = got[AT_TEST]; /* the windows leave out three tokens of each domain */
    assert_true(fabs(sum - tail) < fabs(sum - got[AT_VALIDATION]));
    const cJSON *domain = cJSON_GetObjectItem(t->result, "by_domain");
    assert_true(at_jsonl_number(domain, "a", &by[0]) && at_jsonl_number(domain, "b", &by[1]));
    assert_true(fabs((by[0] + by[1]) / 2 - got[AT_TEST]) < 1e-9);
    assert_true(at_jsonl_number(cJSON_GetArrayItem(cJSON_GetObjectItem(t->result, "by_context"), 0),
                                "loss", &v));
    assert_true(fabs(v - got[AT_TEST]) < fabs(v - got[AT_VALIDATION]));

    assert_true(at_jsonl_number(chooses->result, "val_loss", &v));
    assert_false(at_jsonl_number(chooses->result, "test_loss", &v));
    assert_null(cJSON_GetObjectItem(chooses->result, "by_domain"));
    at_free(path);
    at_model_close(m);
    close_session(&l);
    open_session(&l); /* finished without a file of windows */
    OK(at_lab_declare(&l, "s", 2, AT_TRIAL_FOR_TUNING, recipe("1e-2", "3")));
    assert_non_null(at_lab_trial(&l, "s", 2)->result);
    close_session(&l);
}

/* ---- runs that need others, side by side ---- */

/* A teacher, two students of it, and one that goes on from each of them. */
static void declare_family(at_lab_session *l, int teacher_steps) {
    char text[1024];
    (void)snprintf(text, sizeof text,
                   "model: {arch: gpt2, n_layer: 1, n_embd: 8, n_head: 2, n_positions: 16}\n"
                   "data: {train: %s}\ntrain: {steps: %d, batch: 2, context: 16}\n",
                   data, teacher_steps);
    OK(at_lab_declare(l, "t", 1, 0, text));
    for (int more = 0; more < 2; more++)
        for (int seed = 1; seed <= 2; seed++) {
            char *teacher = at_lab_model(l, "t", 1);
            char *init = more ? at_lab_model(l, "s", seed) : NULL;
            (void)snprintf(text, sizeof text,
                           "seed: %d\n%s%s\ndata: {train: %s}\ntrain: {steps: %d, batch: 2, "
                           "context: 16}\ndistill: {teacher: %s}\n",
                           seed, more ? "init: " : "",
                           more ? init
                                : "model: {arch: gpt2, n_layer: 1, n_embd: 8, n_head: 2, "
                                  "n_positions: 16}",
                           data, more ? 6 : 3, teacher);
            OK(at_lab_declare(l, more ? "u" : "s", seed, more ? AT_TRIAL_MAY_DIVERGE : 0, text));
            at_free(teacher);
            at_free(init);
        }
}

static void test_needs(void **state) {
    (void)state;
    at_lab_session l;
    double loss[2][2], again[2];
    open_session(&l);
    declare_family(&l, 2);
    assert_null(at_lab_model(&l, "nobody", 1));
    expect_says(&ctx, "no run nobody-s1 was declared");
    const at_trial *u = at_lab_trial(&l, "u", 2), *s = at_lab_trial(&l, "s", 2);
    assert_true(u->need[0] == s - l.trial && u->need[1] == 0 && s->need[0] < 0 && s->need[1] == 0);
    assert_true(s->tokens == 96 &&
                u->tokens == 192); /* until there are models, costs are guessed */
    assert_true(u->flops == 2 * s->flops && s->flops == at_lab_trial(&l, "t", 1)->flops * 1.5);
    assert_int_equal(at_lab_train(&l, AT_TRIAL_MAY_DIVERGE), AT_ARG);
    expect_says(&ctx, "u-s2 needs the model of a run that is not finished");
    OK(at_lab_train(&l, 0));
    assert_true(at_lab_numbers(&l, "s", "test_loss", 2, loss[0]));
    assert_true(at_lab_numbers(&l, "u", "test_loss", 2, loss[1]));
    assert_true(loss[0][0] != loss[0][1] && loss[1][0] != loss[0][0]);
    close_session(&l);

    open_session(&l); /* all of it is there; but with another teacher nothing of its students is */
    declare_family(&l, 2);
    assert_non_null(at_lab_trial(&l, "u", 2)->result);
    close_session(&l);
    open_session(&l);
    declare_family(&l, 1);
    for (int i = 0; i < 5; i++) assert_null(l.trial[i].result);
    close_session(&l);

    open_session(&l); /* side by side: the same */
    l.sides = 3;
    cJSON *none = at_json_list(&ctx);
    cJSON_Delete(l.results);
    l.results = none;
    declare_family(&l, 2);
    OK(at_lab_train(&l, 0));
    assert_int_equal(cJSON_GetArraySize(l.results), 5);
    for (int i = 0; i < 2; i++) {
        assert_true(at_lab_numbers(&l, i ? "u" : "s", "test_loss", 2, again));
        assert_true(again[0] == loss[i][0] && again[1] == loss[i][1]);
    }
    for (int i = 0; i < 5; i++) assert_non_null(l.trial[i].plan);
    assert_true(heard("u-s1: test loss") && heard("u-s2: test loss"));
    close_session(&l);
}

/* One of two runs fails: its sentence is told, and what the other one came to is kept or not begun. */
static void test_side_fails(void **state) {
    (void)state;
    at_lab_session l;
    open_session(&l);
    l.sides = 2;
    OK(at_lab_declare(&l, "wild", 2, 0, recipe("0", "1e-9")));
    OK(at_lab_declare(&l, "calm", 2, 0, recipe("1e-3", "3")));
    assert_int_equal(at_lab_train(&l, 0), AT_NUMERIC);
    expect_says(&ctx, "lower train.lr");
    assert_null(at_lab_trial(&l, "wild", 2)->result);
    close_session(&l);
}

/* Losses of some windows, spread over the split, instead of all. */
static void test_windows(void **state) {
    (void)state;
    at_lab_session l;
    open_session(&l);
    l.windows = 4;
    OK(at_lab_declare(&l, "w", 1, 0, recipe("1e-3", "3")));
    OK(at_lab_train(&l, 0));
    const at_trial *t = at_lab_trial(&l, "w", 1);
    double *window, *all, test, sum = 0;
    int64_t n;
    OK(at_lab_windows(&l, t, &window, &n));
    assert_int_equal(n, 2 * 4);
    for (int64_t i = 0; i < n; i++) sum += window[i] / (double)n;
    assert_true(at_jsonl_number(t->result, "test_loss", &test) && fabs(sum - test) < 1e-9);
    close_session(&l);
    open_session(&l); /* 0 1 3 4 of the six of each domain */
    OK(at_lab_declare(&l, "whole", 1, 0, recipe("1e-3", "3")));
    OK(at_lab_train(&l, 0));
    OK(at_lab_windows(&l, at_lab_trial(&l, "whole", 1), &all, &n));
    assert_int_equal(n, 2 * 6);
    for (int i = 0; i < 8; i++)
        assert_true(fabs(window[i] - all[i / 4 * 6 + i % 4 * 6 / 4]) < 1e-6);
    at_free(window);
    at_free(all);
    close_session(&l);
}

/* A model of modules is measured as it is validated in training, each domain by its own module and the
   common one; and without that one, and by it alone. */
static void test_modules(void **state) {
    (void)state;
    at_lab_session l;
    char text[512];
    double trained = 0, whole, test, own, common;
    (void)snprintf(text, sizeof text,
                   "model: {arch: trunks, modules: [a, b], common: true, trunk: {arch: gpt2, "
                   "n_layer: 1, n_embd: 8, n_head: 2, n_positions: 16}}\n"
                   "data: {train: %s}\n"
                   "train: {steps: 30, batch: 2, context: 16, lr: 3e-2, eval_windows: 0}\n",
                   data);
    open_session(&l);
    OK(at_lab_declare(&l, "m", 1, 0, text));
    OK(at_lab_train(&l, 0));
    const at_trial *t = at_lab_trial(&l, "m", 1);
    at_curve curve = {.x = "step", .y = "val_loss"};
    char *path = at_lab_path(&l, t, "metrics.jsonl");
    OK(at_curves_read(&ctx, path, &curve, 1));
    trained = curve.points.y[curve.points.n - 1];
    at_points_free(&curve.points);
    at_free(path);
    assert_true(at_jsonl_number(t->result, "val_loss", &whole) && fabs(whole - trained) < 1e-6);
    assert_true(at_jsonl_number(t->result, "test_loss", &test) &&
                at_jsonl_number(t->result, "test_loss_own", &own) &&
                at_jsonl_number(t->result, "test_loss_common", &common));
    assert_true(fabs(own - test) > 1e-3 && fabs(common - test) > 1e-3 && fabs(own - common) > 1e-3);
    close_session(&l);
}

/* ---- who made it ---- */

static void test_processor(void **state) {
    (void)state;
    at_lab_session l;
    open_session(&l);
    OK(at_lab_declare(&l, "p", 1, 0, recipe("1e-3", "3")));
    OK(at_lab_train(&l, 0));
    assert_string_equal(at_jsonl_string(at_lab_trial(&l, "p", 1)->result, "program"), program);
    assert_string_equal(at_jsonl_string(at_lab_trial(&l, "p", 1)->result, "processor"), processor);
    const int lines = cJSON_GetArraySize(l.results);
    close_session(&l);
    const char *was = processor;
    processor = "two abaci, ref";
    open_session(&l); /* losses have the same bits everywhere */
    OK(at_lab_declare(&l, "p", 1, 0, recipe("1e-3", "3")));
    assert_non_null(at_lab_trial(&l, "p", 1)->result);
    assert_string_equal(at_jsonl_string(at_lab_trial(&l, "p", 1)->result, "processor"), was);
    assert_true(
        heard("finished runs are of another processor than this one (two abaci, ref); their "
              "losses stay, speeds are measured here"));
    assert_false(heard("another program"));
    assert_int_equal(cJSON_GetArraySize(l.results), lines);
    close_session(&l);
    processor = was;
    open_session(&l);
    assert_false(heard("another"));
    close_session(&l);
}

static void test_program(void **state) {
    (void)state;
    at_lab_session l;
    open_session(&l);
    OK(at_lab_declare(&l, "q", 1, 0, recipe("1e-3", "3")));
    OK(at_lab_declare(&l, "q", 2, AT_TRIAL_MAY_DIVERGE, recipe("0", "1e-9")));
    OK(at_lab_train(&l, 0));
    close_session(&l);
    program = "fedcba9876543210";
    open_session(&l);
    assert_true(heard("finished runs are of another program than this one (fedcba9876543210); they "
                      "are done again"));
    OK(at_lab_declare(&l, "q", 1, 0, recipe("1e-3", "3")));
    OK(at_lab_declare(&l, "q", 2, AT_TRIAL_MAY_DIVERGE, recipe("0", "1e-9")));
    assert_null(at_lab_trial(&l, "q", 1)->result);
    assert_null(at_lab_trial(&l, "q", 2)->result); /* what exploded may not explode again */
    OK(at_lab_train(&l, 0));
    assert_true(heard("q-s1: test loss"));
    assert_string_equal(at_jsonl_string(at_lab_trial(&l, "q", 1)->result, "program"), program);
    assert_int_equal(cJSON_GetArraySize(l.results), 2); /* nothing of the other one is left */
    close_session(&l);
}

/* An interrupted run is continued by the program that began it only.  The test puts a file into the
   run's folder; it is gone when the run was started again. */
static void test_unfinished(void **state) {
    (void)state;
    at_lab_session l;
    open_session(&l);
    for (int same = 1; same >= 0; same--) {
        at_conf *f;
        at_train_result r;
        char folder[400], path[440];
        (void)snprintf(folder, sizeof folder, "%s/runs/u-s%d", out, same + 1);
        OK(at_lab_declare(&l, "u", same + 1, 0, recipe("1e-3", "3")));
        OK(at_conf_parse(&ctx, "u", recipe("1e-3", "3"), strlen(recipe("1e-3", "3")), &f));
        OK(at_train(&ctx, f, folder, &(at_train_options){0}, &r));
        at_conf_close(f);
        (void)snprintf(path, sizeof path, "%s/program.txt", folder);
        OK(at_write_file(&ctx, path, same ? program : "another", same ? strlen(program) : 7));
        (void)snprintf(path, sizeof path, "%s/beside", folder);
        OK(at_write_file(&ctx, path, "", 0));
        OK(at_lab_train(&l, 0));
        assert_int_equal(at_exists(path), same);
    }
    close_session(&l);
}

/* ---- speed ---- */

static void declare_sizes(at_lab_session *l) {
    char text[512];
    for (int large = 0; large < 2; large++) {
        (void)snprintf(text, sizeof text,
                       "model: {arch: gpt2, n_layer: %d, n_embd: %d, n_head: 2, n_positions: 64}\n"
                       "data: {train: %s}\ntrain: {steps: 1, batch: 2, context: 64}\n",
                       large ? 4 : 1, large ? 128 : 8, data);
        OK(at_lab_declare(l, large ? "large" : "small", 1, 0, text));
    }
}

/* Digits are lost on the way through a file. */
static bool equal(const at_speed *a, const at_speed *b, int n) {
    bool all = true;
    for (int i = 0; i < n; i++)
        all &= fabs(a[i].train / b[i].train - 1) < 1e-12 &&
               fabs(a[i].forward / b[i].forward - 1) < 1e-12 &&
               fabs(a[i].decode / b[i].decode - 1) < 1e-12;
    return all;
}

/* Speeds are tokens a second: fewer for a model with a thousand times the work. */
static void test_speed(void **state) {
    (void)state;
    at_lab_session l;
    at_speed speed[4], again[4];
    open_session(&l);
    declare_sizes(&l);
    OK(at_lab_train(&l, 0));
    const at_trial *small = at_lab_trial(&l, "small", 1), *large = at_lab_trial(&l, "large", 1);
    const at_trial *t[] = {small, large, large, small}; /* two seeds */
    OK(at_lab_speed(&l, t, 2, 2, 3, speed));
    for (int k = 0; k < 4; k += 3) { /* beside its neighbour */
        const at_speed *fast = &speed[k], *slow = &speed[k ? 2 : 1];
        assert_true(fast->train > 3 * slow->train);
        assert_true(fast->forward > 3 * slow->forward);
        assert_true(fast->decode > 1.5 * slow->decode);
        assert_true(fast->train > 100 && slow->decode > 1);
    }
    OK(at_lab_speed(&l, t, 2, 2, 3, again)); /* kept */
    assert_true(equal(speed, again, 4));
    assert_false(heard("measured again"));
    (void)snprintf(l.processor, sizeof l.processor, "another abacus");
    OK(at_lab_speed(&l, t, 2, 2, 3, again));
    assert_true(heard("speed.json: of another processor (an abacus, ref; this is another abacus): "
                      "measured again"));
    assert_false(equal(speed, again, 4));
    *said = 0;
    OK(at_lab_speed(&l, t, 2, 2, 3, speed));
    assert_true(equal(speed, again, 4));
    (void)snprintf(l.program, sizeof l.program, "another");
    OK(at_lab_speed(&l, t, 2, 2, 3, again));
    assert_true(heard("of another program"));
    assert_false(equal(speed, again, 4));
    assert_int_equal(at_lab_speed(&l, t, AT_SPEED_SEEDS + 1, 1, 3, again), AT_ARG);
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
    char test[400]; /* tokens by another rule */
    for (int d = 0; d < 2; d++) {
        (void)snprintf(test, sizeof test, "%s/%c.test.bin", data, 'a' + d);
        if (fixture_shard(&ctx, test, 10 + d, 64, 100)) return 1;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_done_once), cmocka_unit_test(test_explodes),
        cmocka_unit_test(test_splits),    cmocka_unit_test(test_processor),
        cmocka_unit_test(test_program),   cmocka_unit_test(test_unfinished),
        cmocka_unit_test(test_needs),     cmocka_unit_test(test_side_fails),
        cmocka_unit_test(test_windows),   cmocka_unit_test(test_modules),
        cmocka_unit_test(test_speed),     cmocka_unit_test(test_wrong),
    };
    const int failed = cmocka_run_group_tests_name("lab runs", tests, NULL, NULL);
    (void)at_remove_tree(&ctx, folder);
    return failed;
}
