/*
 * test_lab_rows.c - small runs in memory: the bits of `artel train` with the same recipe, the same on one
 * thread as on several, each done once, and what its line says of experts.
 */
#include "artel.h"
#include "base/rng.h"
#include "check.h"
#include "lab/lab_rows.h"
#include "lab/lab_trial.h"
#include "report/jsonl.h"
#include <math.h>

static at_ctx ctx;
static const char *folder;

static char *in_folder(const char *name) {
    static char path[8][512];
    static int next;
    char *p = path[next++ % 8];
    (void)snprintf(p, sizeof path[0], "%s/%s", folder, name);
    return p;
}

static void write_table(void) {
    at_text t;
    at_text_init(&t, &ctx, 0);
    at_text_add(&t, "u,v,other,class\n");
    for (uint64_t i = 0; i < 240; i++) {
        const double u = at_normal(3, AT_STREAM_TEST, 2 * i),
                     v = at_normal(3, AT_STREAM_TEST, 2 * i + 1);
        at_textf(&t, "%.6f,%.6f,%llu,%s\n", u, v, (unsigned long long)i % 7,
                 u * v > 0 ? "same"
                 : u > 0   ? "right"
                           : "left");
    }
    OK(at_write_file(&ctx, in_folder("table.csv"), t.s, t.n));
    at_text_close(&t);
}

static const at_lab nobody = {.name = "test"};
static at_lab_options options;
static atomic_int stop;
static int lines_until_stop; /* of progress; 0: never */

static void listen(void *user, at_log_level level, const char *line) {
    (void)user;
    (void)line;
    if (level == AT_LOG_PROGRESS && lines_until_stop && !--lines_until_stop) stop = 1;
}

static void open_lab(at_lab_session *l, const char *results, int threads) {
    *l = (at_lab_session){
        .c = &ctx, .lab = &nobody, .o = &options, .results_path = in_folder(results)};
    (void)snprintf(l->program, sizeof l->program, "0123456789abcdef");
    (void)snprintf(l->processor, sizeof l->processor, "an abacus, ref");
    ctx.threads = threads;
    ctx.log = listen;
    OK(at_lab_results_open(l));
}

enum { RUNS = 9 };
static char names[RUNS][40];

static void recipe_of(const at_row_runs *r, int i, at_text *x) {
    at_text_init(x, &ctx, 0);
    at_rows_head(r, 0, 1 + i / 3, 90, x);
    at_text_add(x, "  epochs: 4\n  patience: 0\ntrain: {batch: 16, lr: 0.01, weight_decay: 0}\n");
    at_textf(x, "model: {arch: mlp_moe, n_experts: 3, k: %d, hidden_size: 6}\n",
             i % 3 == 2 ? 2 : 0);
    if (i % 3) at_textf(x, "losses: {mutual_distillation: %g}\n", 0.3 * i);
}

static void declare(at_row_runs *r) {
    OK(at_rows_read(r, "table", in_folder("table.csv"), "class", "other"));
    for (int i = 0; i < RUNS; i++) {
        at_text x;
        recipe_of(r, i, &x);
        (void)snprintf(names[i], sizeof names[i], "run%d", i);
        OK(at_rows_declare(r, names[i], 0, 1 + i / 3, 90, i == 1 ? AT_ROWS_TUNING : AT_ROWS_PROBE,
                           1, x.s));
        at_text_close(&x);
    }
    assert_int_equal(at_rows_count(r), RUNS);
}

static void close_lab(at_lab_session *l, at_row_runs *r) {
    at_rows_close(r);
    cJSON_Delete(l->results);
    ctx.log = NULL;
}

/* Its line but for the time it took. */
static char *line_of(const at_row_runs *r, int i) {
    const at_row_trial *t = at_rows_find(r, names[i]);
    assert_non_null(t);
    assert_non_null(t->result);
    cJSON *o = cJSON_Duplicate(t->result, true);
    cJSON_DeleteItemFromObjectCaseSensitive(o, "seconds");
    char *text = cJSON_PrintUnformatted(o);
    cJSON_Delete(o);
    return text;
}

static char *first[RUNS]; /* lines on one thread */

static void test_one_thread(void **state) {
    (void)state;
    at_lab_session l;
    at_row_runs *r;
    open_lab(&l, "one.jsonl", 1);
    OK(at_rows_open(&l, &r));
    declare(r);
    OK(at_rows_train(r));
    for (int i = 0; i < RUNS; i++) first[i] = line_of(r, i);
    assert_true(at_rows_number(r, "run0", "test_accuracy") > 0.4);
    assert_true(isnan(at_rows_number(r, "run1", "test_accuracy"))); /* chooses */
    assert_true(at_rows_number(r, "run1", "val_accuracy") > 0.4);
    assert_true(isnan(at_rows_number(r, "nobody", "val_accuracy")));
    assert_true(strcmp(first[3], first[6]) != 0);
    close_lab(&l, r);
}

static void test_several_threads(void **state) {
    (void)state;
    at_lab_session l;
    at_row_runs *r;
    open_lab(&l, "many.jsonl", 3);
    OK(at_rows_open(&l, &r));
    declare(r);
    OK(at_rows_train(r));
    for (int i = 0; i < RUNS; i++) {
        char *text = line_of(r, i);
        assert_string_equal(text, first[i]);
        cJSON_free(text);
    }
    close_lab(&l, r);
}

static int64_t lines_in(const char *name) {
    size_t n;
    int64_t lines = 0;
    char *text = at_read_file(&ctx, in_folder(name), 1 << 24, &n);
    assert_non_null(text);
    for (size_t i = 0; i < n; i++) lines += text[i] == '\n';
    at_free(text);
    return lines;
}

/* Stopped after some runs; what is torn is dropped; the same call does the others and no more. */
static void test_goes_on(void **state) {
    (void)state;
    at_lab_session l;
    at_row_runs *r;
    open_lab(&l, "part.jsonl", 1);
    OK(at_rows_open(&l, &r));
    declare(r);
    ctx.interrupt = &stop;
    lines_until_stop = 1;
    assert_int_equal(at_rows_train(r), AT_INTERRUPTED);
    assert_non_null(strstr(ctx.message, "goes on"));
    const int64_t done = lines_in("part.jsonl");
    assert_true(done >= 1 && done < RUNS);
    close_lab(&l, r);
    stop = lines_until_stop = 0;
    FILE *f = fopen(in_folder("part.jsonl"), "a");
    assert_non_null(f);
    (void)fputs("{\"name\":\"run8\",\"tor", f);
    (void)fclose(f);
    for (int again = 0; again < 2; again++) {
        open_lab(&l, "part.jsonl", 2);
        assert_int_equal(cJSON_GetArraySize(l.results), again ? RUNS : done);
        OK(at_rows_open(&l, &r));
        declare(r);
        OK(at_rows_train(r));
        assert_int_equal(lines_in("part.jsonl"), RUNS);
        for (int i = 0; i < RUNS; i++) {
            char *text = line_of(r, i);
            assert_string_equal(text, first[i]);
            cJSON_free(text);
        }
        close_lab(&l, r);
    }
    ctx.interrupt = NULL;
}

/* The recipe in the line, trained in a folder. */
static void test_same_as_train(void **state) {
    (void)state;
    cJSON *line = cJSON_Parse(first[4]);
    const char *yaml = at_jsonl_string(line, "yaml");
    assert_non_null(yaml);
    OK(at_write_file(&ctx, in_folder("recipe.yaml"), yaml, strlen(yaml)));
    artel *a = artel_open(2, NULL, NULL);
    const artel_recipe recipe = {.path = in_folder("recipe.yaml")};
    if (artel_train(a, &recipe, ARTEL_TRAIN, in_folder("run"), false, NULL, NULL) != ARTEL_OK)
        fail_msg("%s", artel_error(a));
    artel_close(a);
    cJSON *o = at_json_read(&ctx, in_folder("run/result.json"));
    double x, y;
    assert_non_null(o);
    assert_true(at_jsonl_number(o, "accuracy", &x) && at_jsonl_number(line, "test_accuracy", &y));
    assert_true(x == y);
    assert_true(at_jsonl_number(o, "log_loss", &x) && at_jsonl_number(line, "test_loss", &y));
    assert_true(x == y);
    cJSON_Delete(o);
    cJSON_Delete(line);
}

/* What is counted from the two strings is what the probe says. */
static void test_experts(void **state) {
    (void)state;
    for (int i = 0; i < RUNS; i++) {
        cJSON *line = cJSON_Parse(first[i]);
        const char *who = at_jsonl_string(line, "dominant"),
                   *right = at_jsonl_string(line, "right");
        if (i == 1) {
            assert_null(who);
            cJSON_Delete(line);
            continue;
        }
        const cJSON *p = cJSON_GetObjectItem(line, "probe");
        double own = 0, some = 0, want, all = 0;
        const size_t n = strlen(who);
        assert_int_equal(strlen(right), n);
        for (size_t k = 0; k < n; k++) {
            const int mask = right[k] - '0', e = who[k] - '0';
            assert_true(mask >= 0 && mask < 8 && e >= 0 && e < 3);
            own += mask >> e & 1;
            some += mask != 0;
            for (int j = 0; j < 3; j++) all += mask >> j & 1;
        }
        assert_true(at_jsonl_number(p, "own_domain", &want) &&
                    fabs(own / (double)n - want) < 1e-12);
        assert_true(at_jsonl_number(p, "recall", &want) && fabs(own / some - want) < 1e-12);
        assert_true(at_jsonl_number(p, "all_rows", &want) &&
                    fabs(all / 3 / (double)n - want) < 1e-12);
        assert_true(at_jsonl_number(p, "without", &want) && want > 0.2 && want < 1);
        assert_true(at_jsonl_number(p, "refit", &want) && want > 0.2);
        cJSON_Delete(line);
    }
}

/* A label of many numbers is refused; so is a file that is not there. */
static void test_refused(void **state) {
    (void)state;
    at_lab_session l;
    at_row_runs *r;
    open_lab(&l, "refused.jsonl", 1);
    OK(at_rows_open(&l, &r));
    assert_int_equal(at_rows_read(r, "x", in_folder("table.csv"), "u", NULL), AT_MISMATCH);
    assert_non_null(strstr(ctx.message, "`u` has 240 different values in 240 rows"));
    assert_int_equal(at_rows_read(r, "x", in_folder("table.csv"), "clas", NULL), AT_ARG);
    assert_int_equal(at_rows_read(r, "x", in_folder("none.csv"), NULL, NULL), AT_IO);
    close_lab(&l, r);
}

int main(void) {
    at_ctx_init(&ctx, 1);
    folder = temporary_folder();
    write_table();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_thread), cmocka_unit_test(test_several_threads),
        cmocka_unit_test(test_goes_on),    cmocka_unit_test(test_same_as_train),
        cmocka_unit_test(test_experts),    cmocka_unit_test(test_refused),
    };
    const int failed = cmocka_run_group_tests_name("rows", tests, NULL, NULL);
    for (int i = 0; i < RUNS; i++) cJSON_free(first[i]);
    (void)at_remove_tree(&ctx, folder);
    return failed;
}
