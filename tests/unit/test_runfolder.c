/*
 * test_runfolder.c - the folder of a run: the user's files stay, one program at a time works in it,
 * a checkpoint with a single byte changed is refused, NaN is never saved.
 */
#include "base/arithmetic.h"
#include "base/json.h"
#include "check.h"
#include "io/hash.h"
#include "train/runfolder.h"
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

static at_ctx ctx;
static char *root;

static const char recipe[] = "model: {arch: gpt2, n_layer: 1, n_embd: 8, n_head: 1, "
                             "n_positions: 8}\n";

static const char *in(const char *name) {
    static char path[8][600];
    static int next;
    char *p = path[next++ % 8];
    (void)snprintf(p, sizeof path[0], "%s/%s", root, name);
    return p;
}

static void put(const char *name, const char *text) {
    OK(at_write_file(&ctx, in(name), text, strlen(text)));
}

static void put_in(const char *folder, const char *name) {
    char path[300];
    OK(at_make_dir(&ctx, in(folder)));
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    put(path, "mine");
}

static bool there(const char *name) { return at_exists(in(name)); }

static at_model *new_model(void) {
    at_conf *f = NULL;
    at_model *m = NULL;
    OK(at_conf_parse(&ctx, "recipe.yaml", recipe, strlen(recipe), &f));
    OK(at_model_new(&ctx, f, "model", 20, 3, &m));
    OK(at_store_train(&m->store, true));
    at_conf_close(f);
    return m;
}

static at_train_state state_of(int64_t step) {
    return (at_train_state){.step = step, .tokens = 8 * step, .data = "d"};
}

static at_status save_step(at_runfolder *r, at_model *m, int64_t step, int64_t keep) {
    const at_learner l = {.model = m};
    const at_train_state p = state_of(step);
    return at_runfolder_save(r, &l, &p, NULL, keep);
}

static at_status load_step(at_runfolder *r, at_model *m, int64_t step) {
    at_train_state p = state_of(0);
    at_learner l = {.model = m};
    return at_runfolder_load(r, step, &l, &p);
}

static int setup(void **state) {
    (void)state;
    root = temporary_folder();
    return 0;
}
static int teardown(void **state) {
    (void)state;
    return at_remove_tree(&ctx, root) ? -1 : 0;
}

/* ---- what is the user's ---------------------------------------------------------------------- */

static void only_checkpoints_are_removed(void **state) {
    (void)state;
    at_runfolder r;
    at_model *m = new_model();
    int64_t latest;
    OK(at_runfolder_open(&ctx, in("run"), false, &r));
    put_in("run/checkpoints/best", "model.safetensors");
    put("run/checkpoints/notes.txt", "mine");
    put("run/checkpoints/step-00000003.partial", "mine");
    static const char *const similar[] = {"step-1",         "step-000000001", "step--0000001",
                                          "step-00000001x", "step-+0000001",  "step-"};
    for (size_t i = 0; i < sizeof similar / sizeof *similar; i++) {
        char name[64];
        (void)snprintf(name, sizeof name, "run/checkpoints/%s", similar[i]);
        put_in(name, "state.json");
    }
    put_in("run/checkpoints/step-00000099", "model.safetensors"); /* no state: no checkpoint */
    OK(at_runfolder_latest(&r, &latest));
    assert_int_equal(latest, -1);
    OK(save_step(&r, m, 1, 2));
    put("run/checkpoints/step-00000001/why.txt", "the best so far");
    for (int64_t step = 2; step <= 5; step++) OK(save_step(&r, m, step, 2));
    OK(at_runfolder_latest(&r, &latest));
    assert_int_equal(latest, 5);
    at_list l = {0};
    OK(at_list_names(&ctx, r.checkpoints, &l));
    /* 6 + best + two files + 99, the first with a note in it, the last two */
    assert_int_equal(l.n, 6 + 1 + 2 + 1 + 1 + 2);
    at_list_free(&l);
    assert_true(there("run/checkpoints/best/model.safetensors"));
    assert_true(there("run/checkpoints/notes.txt"));
    assert_true(there("run/checkpoints/step-00000003.partial"));
    assert_true(there("run/checkpoints/step-00000001/why.txt"));
    assert_true(there("run/checkpoints/step-00000001/adam_v.safetensors"));
    assert_false(there("run/checkpoints/step-00000002") || there("run/checkpoints/step-00000003"));
    OK(load_step(&r, m, 4));
    at_runfolder_close(&r);
    at_model_close(m);
}

static void a_name_that_is_taken_is_kept(void **state) {
    (void)state;
    at_runfolder r;
    at_model *m = new_model();
    OK(at_runfolder_open(&ctx, in("run"), false, &r));
    put_in("run/checkpoints/step-00000002", "mine");
    OK(save_step(&r, m, 2, 1));
    OK(load_step(&r, m, 2));
    assert_true(there("run/checkpoints/step-00000002.kept-1/mine"));
    at_runfolder_close(&r);

    /* a model that is there: the same one is left alone, another one kept under another name */
    OK(at_model_save(&ctx, m, in("run/model"), NULL));
    put("run/model/README.md", "mine");
    OK(at_model_save(&ctx, m, in("run/model"), NULL));
    assert_true(there("run/model/README.md"));
    assert_false(there("run/model.kept-1"));
    m->store.p[0]->t.data[0] += 1;
    OK(at_model_save(&ctx, m, in("run/model"), NULL));
    assert_true(there("run/model.kept-1/README.md"));
    assert_true(there("run/model.kept-1/model.safetensors"));
    assert_false(there("run/model/README.md"));
    at_model_close(m);
}

static void what_would_be_written_over_is_refused(void **state) {
    (void)state;
    static const char *const name[] = {"recipe.yaml", "report.html", "model"};
    for (int i = 0; i < 3; i++) {
        at_runfolder r;
        char path[64];
        (void)snprintf(path, sizeof path, "run%d/%s", i, name[i]);
        OK(at_make_dir(&ctx, in(i == 0 ? "run0" : i == 1 ? "run1" : "run2")));
        if (i < 2)
            put(path, "mine");
        else
            put_in(path, "weights");
        assert_int_equal(at_runfolder_open(&ctx,
                                           in(i == 0   ? "run0"
                                              : i == 1 ? "run1"
                                                       : "run2"),
                                           false, &r),
                         AT_ARG);
        expect_says(&ctx, path);
        at_runfolder_close(&r);
        assert_true(there(path));
        (void)snprintf(path, sizeof path, "run%d", i);
        nothing_in_the_making(&ctx, in(path));
    }
}

/* Leftovers of a killed process are removed when the run is opened again, whatever its step was. */
static void leftovers_are_cleared(void **state) {
    (void)state;
    at_runfolder r;
    OK(at_runfolder_open(&ctx, in("run"), false, &r));
    at_runfolder_close(&r);
    const pid_t child = fork();
    if (child == 0) {
        char *made;
        if (at_partial_dir(&ctx, in("run/checkpoints/step-00000007"), &made)) _exit(1);
        (void)kill(getpid(), SIGKILL);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    OK(at_runfolder_open(&ctx, in("run"), true, &r));
    nothing_in_the_making(&ctx, r.checkpoints);
    at_runfolder_close(&r);
}

static void lines_of_others_stay(void **state) {
    (void)state;
    at_runfolder r;
    OK(at_runfolder_open(&ctx, in("run"), false, &r));
    put("run/metrics.jsonl",
        "{\"step\":1}\n# a note\n{\"step\":2}\n{\"step\":3}\n# another\n{\"ste");
    OK(at_runfolder_log_open(&r, 2));
    at_runfolder_close(&r);
    char *text = at_read_file(&ctx, in("run/metrics.jsonl"), 1000, NULL);
    assert_string_equal(text, "{\"step\":1}\n# a note\n{\"step\":2}\n# another\n");
    at_free(text);
}

/* ---- one at a time --------------------------------------------------------------------------- */

static void one_program_at_a_time(void **state) {
    (void)state;
    at_runfolder r, second;
    int go[2], done[2];
    char c = 0;
    assert_int_equal(pipe(go), 0);
    assert_int_equal(pipe(done), 0);
    const pid_t child = fork();
    if (child == 0) {
        if (at_runfolder_open(&ctx, in("run"), false, &r)) _exit(1);
        if (write(go[1], "x", 1) != 1 || read(done[0], &c, 1) != 1) _exit(2);
        (void)kill(getpid(), SIGKILL);
    }
    assert_int_equal(read(go[0], &c, 1), 1);
    for (int resume = 0; resume < 2; resume++) {
        char who[64];
        assert_int_equal(at_runfolder_open(&ctx, in("run"), resume, &second), AT_IO);
        (void)snprintf(who, sizeof who, "process %ld is training in this folder", (long)child);
        expect_says(&ctx, who);
        at_runfolder_close(&second);
    }
    assert_true(there("run/.artel-lock")); /* those who were refused took nothing away */
    assert_int_equal(write(done[1], "x", 1), 1);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    /* the lock of a process that was killed is gone with it */
    OK(at_runfolder_open(&ctx, in("run"), true, &r));
    assert_int_equal(at_runfolder_open(&ctx, in("run"), true, &second), AT_IO);
    expect_says(&ctx, "is training in this folder"); /* in this process, too */
    at_runfolder_close(&second);
    assert_int_equal(at_runfolder_open(&ctx, in("run"), true, &second), AT_IO);
    at_runfolder_close(&second);
    at_runfolder_close(&r);
    nothing_in_the_making(&ctx, in("run"));
    OK(at_runfolder_open(&ctx, in("run"), true, &r));
    at_runfolder_close(&r);
    for (int i = 0; i < 2; i++) (void)close(go[i]), (void)close(done[i]);
}

/* ---- hashes ---------------------------------------------------------------------------------- */

static void flip(const char *path, size_t at) {
    size_t n;
    char *text = at_read_file(&ctx, path, 1 << 20, &n);
    assert_non_null(text);
    text[at < n ? at : n - 1] ^= 1;
    OK(at_write_file(&ctx, path, text, n));
    at_free(text);
}

static void every_byte_counts(void **state) {
    (void)state;
    static const char *const name[] = {"model.safetensors", "adam_m.safetensors",
                                       "adam_v.safetensors", "config.json", "state.json"};
    at_runfolder r;
    at_model *m = new_model();
    OK(at_runfolder_open(&ctx, in("run"), false, &r));
    OK(save_step(&r, m, 1, 9));
    OK(save_step(&r, m, 2, 9));
    m->store.m[0] = 1;
    OK(save_step(&r, m, 3, 9));
    for (int i = 0; i < 5; i++) {
        char path[200];
        (void)snprintf(path, sizeof path, "run/checkpoints/step-00000002/%s", name[i]);
        size_t n;
        char *text = at_read_file(&ctx, in(path), 1 << 20, &n);
        for (size_t at = 0; at < n; at += n / 13 + 1) {
            flip(in(path), at);
            const at_status s = load_step(&r, m, 2);
            /* blanks between the fields of state.json say nothing */
            if (s == AT_OK && !(i == 4 && (text[at] == '\t' || text[at] == '\n')))
                fail_msg("%s: byte %zu may be changed", name[i], at);
            if (s != AT_OK) expect_says(&ctx, i == 4 ? "step-00000002" : name[i]);
            OK(at_write_file(&ctx, in(path), text, n));
        }
        at_free(text);
        OK(load_step(&r, m, 2));
    }
    flip(in("run/checkpoints/step-00000002/adam_v.safetensors"), 1 << 19); /* the last value */
    assert_int_equal(load_step(&r, m, 2), AT_FORMAT);
    expect_says(&ctx, "tensor `transformer.");
    /* whole, but of another step */
    OK(at_copy_file(&ctx, in("run/checkpoints/step-00000003/adam_m.safetensors"),
                    in("run/checkpoints/step-00000001/adam_m.safetensors")));
    assert_int_equal(load_step(&r, m, 1), AT_FORMAT);
    expect_says(&ctx, "adam_m.safetensors: altered, or of another checkpoint");
    OK(load_step(&r, m, 3));
    at_runfolder_close(&r);
    at_model_close(m);
}

static void another_arithmetic_is_refused(void **state) {
    (void)state;
    at_runfolder r;
    at_model *m = new_model();
    const char *path = "run/checkpoints/step-00000001/state.json";
    OK(at_runfolder_open(&ctx, in("run"), false, &r));
    OK(save_step(&r, m, 1, 9));
    cJSON *o = at_json_read(&ctx, in(path));
    const cJSON *name = cJSON_GetObjectItemCaseSensitive(o, "arithmetic");
    assert_true(cJSON_IsString(name));
    assert_string_equal(name->valuestring, AT_ARITHMETIC);
    cJSON_ReplaceItemInObjectCaseSensitive(o, "arithmetic", cJSON_CreateString("abacus.7"));
    write_json(&ctx, in(path), o);
    assert_int_equal(load_step(&r, m, 1), AT_MISMATCH);
    expect_says(&ctx, "`abacus.7`");
    expect_says(&ctx, "`" AT_ARITHMETIC "`");
    expect_says(&ctx, "init: ");
    cJSON_DeleteItemFromObjectCaseSensitive(o, "arithmetic");
    write_json(&ctx, in(path), o);
    assert_int_equal(load_step(&r, m, 1), AT_MISMATCH);
    expect_says(&ctx, "none recorded");
    cJSON_Delete(o);
    at_runfolder_close(&r);
    at_model_close(m);
}

/* ---- how often each was stepped -------------------------------------------------------------- */

static void steps_of_each_parameter(void **state) {
    (void)state;
    const char *path = "run/checkpoints/step-00000009/state.json";
    at_runfolder r;
    at_model *m = new_model();
    const int64_t n = m->store.n;
    assert_int_equal(at_store_freeze(&m->store, "transformer.wpe.weight"), 1);
    for (int64_t i = 0; i < n; i++) m->store.p[i]->steps = m->store.p[i]->frozen ? 0 : 9;
    m->store.p[n - 1]->steps = 4;
    OK(at_runfolder_open(&ctx, in("run"), false, &r));
    OK(save_step(&r, m, 9, 9));
    for (int64_t i = 0; i < n; i++) m->store.p[i]->steps = 77;
    OK(load_step(&r, m, 9));
    for (int64_t i = 0; i < n; i++)
        assert_int_equal(m->store.p[i]->steps, m->store.p[i]->frozen ? 0 : i == n - 1 ? 4 : 9);

    /* checkpoints from before had one number for all; a path of another model is refused */
    for (int other = 0; other < 2; other++) {
        char hash[AT_HASH_TEXT];
        cJSON *o = at_json_read(&ctx, in(path));
        cJSON_DeleteItemFromObject(o, "hash");
        cJSON_DeleteItemFromObject(o, "other_steps");
        if (other)
            cJSON_AddNumberToObject(cJSON_AddObjectToObject(o, "other_steps"), "its.weight", 3);
        char *text = at_json_text(&ctx, o);
        at_hash_bytes(text, strlen(text), hash);
        at_free(text);
        cJSON_AddStringToObject(o, "hash", hash);
        write_json(&ctx, in(path), o);
        cJSON_Delete(o);
        const at_status s = load_step(&r, m, 9);
        assert_int_equal(s, other ? AT_FORMAT : AT_OK);
        if (other) expect_says(&ctx, "expected paths of parameters, found `its.weight`");
        for (int64_t i = 0; i < n; i++)
            assert_int_equal(m->store.p[i]->steps, m->store.p[i]->frozen ? 0 : 9);
    }
    at_runfolder_close(&r);
    at_model_close(m);
}

/* ---- numbers --------------------------------------------------------------------------------- */

static void only_numbers_are_saved(void **state) {
    (void)state;
    static const at_real poison[] = {(at_real)NAN, (at_real)INFINITY, (at_real)-INFINITY};
    at_runfolder r;
    at_model *m = new_model();
    OK(at_runfolder_open(&ctx, in("run"), false, &r));
    OK(save_step(&r, m, 1, 1));
    for (int i = 0; i < 3; i++) {
        at_tensor *t = &at_store_find(&m->store, "transformer.h.0.mlp.c_fc.weight")->t;
        const at_real was = t->data[35];
        t->data[35] = poison[i];
        assert_int_equal(save_step(&r, m, 2, 1), AT_NUMERIC);
        expect_says(&ctx, "tensor `transformer.h.0.mlp.c_fc.weight`: the value at [1,3] is ");
        expect_says(&ctx, i ? "infinite" : "NaN");
        assert_int_equal(at_model_save(&ctx, m, in("model"), NULL), AT_NUMERIC);
        assert_false(there("model"));
        nothing_in_the_making(&ctx, root);
        nothing_in_the_making(&ctx, r.checkpoints);
        assert_true(there("run/checkpoints/step-00000001"));
        t->data[35] = was;
    }
    OK(save_step(&r, m, 2, 1));
    at_runfolder_close(&r);
    at_model_close(m);
}

static void the_first_is_found(void **state) {
    (void)state;
    enum { N = 3 * 4096 + 5 };
    at_real *x = calloc(N, sizeof *x);
    for (int i = 0; i < N; i++) x[i] = (i % 2 ? -1 : 1) * (at_real)3.4e38;
    assert_int_equal(at_first_not_finite(x, N), -1);
    static const int at[] = {0, 1, 4095, 4096, 8191, N - 1};
    for (int i = 5; i >= 0; i--) {
        x[at[i]] = i % 2 ? (at_real)NAN : (at_real)-INFINITY;
        assert_int_equal(at_first_not_finite(x, N), at[i]);
    }
    free(x);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void) {
    at_ctx_init(&ctx, 1);
    const struct CMUnitTest tests[] = {
        T(only_checkpoints_are_removed),
        T(a_name_that_is_taken_is_kept),
        T(what_would_be_written_over_is_refused),
        T(leftovers_are_cleared),
        T(lines_of_others_stay),
        T(one_program_at_a_time),
        T(every_byte_counts),
        T(another_arithmetic_is_refused),
        T(steps_of_each_parameter),
        T(only_numbers_are_saved),
        T(the_first_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
