/*
 * test_runs.c - whole runs, from recipe to metrics, parameters and evaluation, against an
 * independent program: tests/golden/runs/expected.json, made in float64 by tools/reference_runs.py.
 *
 * Bounds.  Both do the same arithmetic, artel in float32.  A loss is a mean of a few dozen
 * logarithms of sums of 320 terms: its own rounding is below 1e-6 of it.  The rest comes of a few
 * steps with parameters that are off by some 1e-7 of their size; Adam could blow such errors up
 * where a gradient is nearly nothing, but the recipes have an eps far above the rounding of
 * gradients.  What is compared was seen to agree within 1e-6 of its size, by every instruction set;
 * BOUND leaves a factor of ten. A variation must differ from its base by ten times the bound.
 */
#include "arch/model.h"
#include "artel.h"
#include "base/json.h"
#include "check.h"
#include "conf/conf.h"
#include <dirent.h>
#include <math.h>
#include <stdio.h>

#define RUNS "tests/golden/runs/"
static const double BOUND = 1e-5, FAR = 1e-4;

static at_ctx ctx;
static artel *a;
static cJSON *expected;
static char *work;

static const cJSON *field(const cJSON *o, const char *key) {
    const cJSON *f = cJSON_GetObjectItemCaseSensitive(o, key);
    if (!f) fail_msg("%sexpected.json: no field %s", RUNS, key);
    return f;
}
static const char *text_of(const cJSON *o, const char *key) {
    const char *s = cJSON_GetStringValue(field(o, key));
    if (!s) fail_msg("%sexpected.json: field %s is no text", RUNS, key);
    return s;
}

/* ---- comparing ---- */

/* Numbers below this are compared as if they were as large: sums of terms around 1 that cancel. */
static double size_of(const char *key, double x) {
    if (!strcmp(key, "lr")) return 1e-2 * fabs(x); /* no float32 in it, eight digits */
    return fabs(x) > 0.1 ? fabs(x) : 0.1;
}

/* A parameter as its norm and its component along a direction; both differ by at most `bound` of
   the norm. */
static bool same_sketch(const cJSON *want, const cJSON *got, double bound) {
    const double norm = cJSON_GetArrayItem(want, 0)->valuedouble, size = norm > 0.1 ? norm : 0.1;
    bool same = true;
    for (int i = 0; i < 2; i++)
        same &= fabs(cJSON_GetArrayItem(want, i)->valuedouble -
                     cJSON_GetArrayItem(got, i)->valuedouble) <= bound * size;
    return same;
}

/* why[200]: the first place where they differ. */
static bool same(const cJSON *want, const cJSON *got, const char *key, double bound, char *why) {
    const char *name = want->string ? want->string : key;
    if (!got || want->type != got->type) {
        (void)snprintf(why, 200, "%s: missing, or of another kind", name);
        return false;
    }
    if (cJSON_IsNumber(want)) {
        const double w = want->valuedouble, g = got->valuedouble;
        (void)snprintf(why, 200, "%s: expected %.9g, found %.9g", name, w, g);
        return fabs(w - g) <= bound * size_of(name, w);
    }
    if (cJSON_IsString(want)) {
        (void)snprintf(why, 200, "%s: expected %s, found %s", name, want->valuestring,
                       got->valuestring);
        return !strcmp(want->valuestring, got->valuestring);
    }
    if (!strcmp(key, "parameters")) {
        (void)snprintf(why, 200, "%s", name);
        return same_sketch(want, got, bound);
    }
    if (cJSON_GetArraySize(want) != cJSON_GetArraySize(got)) {
        (void)snprintf(why, 200, "%s: expected %d items, found %d", name, cJSON_GetArraySize(want),
                       cJSON_GetArraySize(got));
        return false;
    }
    int i = 0;
    const cJSON *w;
    cJSON_ArrayForEach(w, want) {
        const cJSON *g = cJSON_IsArray(want) ? cJSON_GetArrayItem(got, i)
                                             : cJSON_GetObjectItemCaseSensitive(got, w->string);
        char inner[200];
        if (!same(w, g, name, bound, inner)) {
            if (cJSON_IsArray(want))
                (void)snprintf(why, 200, "%.20s %d, %.150s", name, i, inner);
            else
                (void)snprintf(why, 200, "%.190s", inner);
            return false;
        }
        i++;
    }
    return true;
}

/* ---- a run, and what it leaves ---- */

static void collect(void *user, const char *json) {
    cJSON *o = cJSON_Parse(json);
    assert_non_null(o);
    cJSON_AddItemToArray(user, o);
}

static char *in_run(const cJSON *c, const char *name) {
    char *run = at_join(&ctx, work, text_of(c, "name")), *path = at_join(&ctx, run, name);
    assert_non_null(path);
    at_free(run);
    return path;
}

enum { SETS = 32, SET_BYTES = 400 };
typedef struct {
    char text[SETS][SET_BYTES];
    const char *set[SETS];
    char path[200];
    artel_recipe recipe;
} setting;

/* "@NAME" in a list becomes the model of the run of this name, where it lies here. */
static void place_models(const char *from, char *to) {
    size_t n = 0;
    while (*from) {
        const size_t name = *from == '@' ? strcspn(from, "'") - 1 : 0;
        const int k =
            name ? snprintf(to + n, SET_BYTES - n, "%s/%.*s/model", work, (int)name, from + 1)
                 : snprintf(to + n, SET_BYTES - n, "%c", *from);
        assert_true(k > 0 && n + (size_t)k < SET_BYTES);
        n += (size_t)k;
        from += 1 + name;
    }
}

/* All digits of the most probable tokens of a model, beside the runs. */
static void capture_of(const cJSON *how, const char *name, const char *model, char *out) {
    const double tau = 1.7; /* that of distil.yaml */
    const artel_capture_options o = {.top_k = field(how, "top_k")->valueint,
                                     .context = 12,
                                     .bits = 32,
                                     .temperatures = &tau,
                                     .n_temperatures = 1};
    (void)snprintf(out, SET_BYTES - 40, "%s/%s.logits", work, name);
    cJSON *said = cJSON_CreateArray();
    if (artel_capture(a, model, RUNS "data", out, &o, collect, said) != ARTEL_OK)
        fail_msg("%s: %s", name, artel_error(a));
    cJSON_Delete(said);
}

/* Its recipe, its assignments, and the models of other runs where they lie here. */
static void recipe_of(const cJSON *c, setting *s) {
    int n = 0;
    const cJSON *v, *capture = cJSON_GetObjectItemCaseSensitive(c, "capture");
    cJSON_ArrayForEach(v, field(c, "set")) {
        assert_true(n < SETS);
        place_models(v->valuestring, s->text[n]);
        s->set[n] = s->text[n];
        n++;
    }
    cJSON_ArrayForEach(v, cJSON_GetObjectItemCaseSensitive(c, "models")) {
        assert_true(n < SETS);
        char path[SET_BYTES - 40], logits[SET_BYTES - 40];
        (void)snprintf(path, sizeof path, "%s/%s/model", work, v->valuestring);
        if (capture && !strcmp(v->string, "distill.teacher")) {
            capture_of(capture, text_of(c, "name"), path, logits);
            memcpy(path, logits, sizeof path);
        }
        (void)snprintf(s->text[n], SET_BYTES, "%s=%.350s", v->string, path);
        s->set[n] = s->text[n];
        n++;
    }
    (void)snprintf(s->path, sizeof s->path, RUNS "%s", text_of(c, "recipe"));
    s->recipe = (artel_recipe){.path = s->path, .set = s->set, .n_set = n};
}

static artel_task task_of(const cJSON *c) {
    return !strcmp(text_of(c, "task"), "distill") ? ARTEL_DISTILL : ARTEL_TRAIN;
}

/* metrics.jsonl without what a clock says. */
static cJSON *metrics_of(const cJSON *c) {
    char *path = in_run(c, "metrics.jsonl");
    size_t bytes = 0;
    char *text = at_read_file(&ctx, path, 1 << 20, &bytes);
    if (!text) fail_msg("%s", ctx.message);
    cJSON *list = cJSON_CreateArray();
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
        cJSON *o = cJSON_Parse(line);
        assert_non_null(o);
        cJSON_DeleteItemFromObject(o, "wall");
        cJSON_DeleteItemFromObject(o, "tok_s");
        cJSON_AddItemToArray(list, o);
    }
    at_free(text);
    at_free(path);
    return list;
}

static int by_number(const void *x, const void *y) {
    const long u = *(const long *)x, v = *(const long *)y;
    return (u > v) - (u < v);
}

/* Steps of the checkpoints there are, in order. */
static cJSON *checkpoints_of(const cJSON *c) {
    char *path = in_run(c, "checkpoints");
    long step[64];
    int n = 0;
    DIR *d = opendir(path);
    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d));)
        if (!strncmp(e->d_name, "step-", 5)) {
            assert_true(n < 64);
            step[n++] = strtol(e->d_name + 5, NULL, 10);
        }
    (void)closedir(d);
    qsort(step, (size_t)n, sizeof *step, by_number);
    cJSON *list = cJSON_CreateArray();
    for (int i = 0; i < n; i++) cJSON_AddItemToArray(list, cJSON_CreateNumber((double)step[i]));
    at_free(path);
    return list;
}

/* Of the spike guard, as the last checkpoint keeps it. */
static cJSON *loss_mean_of(const cJSON *c, const cJSON *checkpoints) {
    const int last = cJSON_GetArraySize(checkpoints) - 1;
    char name[80];
    assert_true(last >= 0);
    (void)snprintf(name, sizeof name, "checkpoints/step-%08d/state.json",
                   cJSON_GetArrayItem(checkpoints, last)->valueint);
    char *path = in_run(c, name);
    cJSON *o = at_json_read(&ctx, path);
    if (!o) fail_msg("%s", ctx.message);
    const char *text = NULL;
    OK(at_json_string(&ctx, path, o, "loss_mean", &text));
    cJSON *mean = cJSON_CreateNumber(strtod(text, NULL));
    cJSON_Delete(o);
    at_free(path);
    return mean;
}

/* Of each parameter; or, as most of the expected ones are, of all together. */
static cJSON *parameters_of(const cJSON *c) {
    const cJSON *want = cJSON_GetObjectItemCaseSensitive(field(c, "expect"), "parameters");
    double all[2] = {0};
    char *path = in_run(c, "model");
    at_model *m = NULL;
    OK(at_model_load(&ctx, path, true, &m));
    cJSON *o = cJSON_CreateObject();
    for (int64_t i = 0; i < m->store.n_stacks; i++) {
        const at_tensor *t = &m->store.stack[i]->t;
        double norm = 0, along = 0, direction = 0;
        for (int64_t j = 0; j < at_numel(t); j++) {
            const double x = (double)t->data[j], w = (double)(j % 7 - 2);
            norm += x * x;
            along += x * w;
            direction += w * w;
        }
        const double pair[] = {sqrt(norm), along / sqrt(direction)};
        all[0] += norm;
        all[1] += pair[1];
        if (!cJSON_HasObjectItem(want, "all"))
            cJSON_AddItemToObject(o, m->store.stack[i]->path, cJSON_CreateDoubleArray(pair, 2));
    }
    all[0] = sqrt(all[0]);
    if (cJSON_HasObjectItem(want, "all"))
        cJSON_AddItemToObject(o, "all", cJSON_CreateDoubleArray(all, 2));
    at_model_close(m);
    at_free(path);
    return o;
}

static cJSON *evaluations_of(const cJSON *c) {
    char *path = in_run(c, "model");
    cJSON *list = cJSON_CreateArray();
    const cJSON *e;
    cJSON_ArrayForEach(e, field(c, "eval")) {
        cJSON *lines = cJSON_CreateArray();
        const artel_eval_options o = {.split = cJSON_GetArrayItem(e, 0)->valuestring,
                                      .context = cJSON_GetArrayItem(e, 1)->valueint,
                                      .windows = cJSON_GetArrayItem(e, 2)->valueint};
        if (artel_eval(a, path, RUNS "data", &o, collect, lines) != ARTEL_OK)
            fail_msg("%s: %s", text_of(c, "name"), artel_error(a));
        cJSON_AddItemToArray(list, lines);
    }
    at_free(path);
    return list;
}

static cJSON *run_case(const cJSON *c) {
    setting s;
    recipe_of(c, &s);
    char *path = in_run(c, "");
    cJSON *said = cJSON_CreateArray(), *o = cJSON_CreateObject();
    const artel_status status = artel_train(a, &s.recipe, task_of(c), path, 0, collect, said);
    if (status != ARTEL_OK && status != ARTEL_NUMERIC)
        fail_msg("%s: %s", text_of(c, "name"), artel_error(a));
    cJSON_AddStringToObject(o, "status", status == ARTEL_OK ? "ok" : "spike");
    cJSON_AddItemToObject(o, "metrics", metrics_of(c));
    cJSON *checkpoints = checkpoints_of(c);
    cJSON_AddItemToObject(o, "checkpoints", checkpoints);
    if (status == ARTEL_OK) {
        cJSON_AddItemToObject(o, "loss_mean", loss_mean_of(c, checkpoints));
        cJSON_AddItemToObject(o, "parameters", parameters_of(c));
        cJSON_AddItemToObject(o, "eval", evaluations_of(c));
    }
    cJSON_Delete(said);
    at_free(path);
    return o;
}

/* ---- tests ---- */

/* Prints all runs that differ, since together they show what is wrong. */
static void runs_agree(void **state) {
    (void)state;
    int n = 0, wrong = 0;
    const cJSON *c;
    cJSON_ArrayForEach(c, field(expected, "cases")) {
        char why[200];
        cJSON *got = run_case(c);
        if (!same(field(c, "expect"), got, "", BOUND, why)) {
            print_error("%s: %s\n", text_of(c, "name"), why);
            wrong++;
        }
        cJSON_Delete(got);
        n++;
    }
    if (wrong || n < 50) fail_msg("%d of %d runs differ from the reference", wrong, n);
}

static const cJSON *case_of(const char *name) {
    const cJSON *c;
    cJSON_ArrayForEach(c, field(expected, "cases")) if (!strcmp(text_of(c, "name"), name)) return c;
    fail_msg("no run %s", name);
    return NULL;
}

/* The setting that a run varies must change what is compared. */
static void variations_differ(void **state) {
    (void)state;
    const cJSON *c;
    cJSON_ArrayForEach(c, field(expected, "cases")) {
        char why[200];
        const cJSON *base = field(c, "base");
        if (!cJSON_IsString(base)) continue;
        cJSON *from = cJSON_Duplicate(field(case_of(base->valuestring), "expect"), true);
        cJSON *to = cJSON_Duplicate(field(c, "expect"), true);
        static const char *const other[] = {"eval", "parameters"}; /* not the same ones in all */
        for (int i = 0; i < 2; i++) {
            cJSON_DeleteItemFromObject(from, other[i]);
            cJSON_DeleteItemFromObject(to, other[i]);
        }
        if (same(from, to, "", FAR, why))
            fail_msg("%s says what %s says: it tests nothing", text_of(c, "name"),
                     base->valuestring);
        cJSON_Delete(from);
        cJSON_Delete(to);
    }
}

/* A run sets this key and no other to a value. */
static bool has_run(const char *key) {
    const size_t n = strlen(key);
    const cJSON *c, *v;
    cJSON_ArrayForEach(c, field(expected, "cases")) {
        bool found = false, others = false;
        cJSON_ArrayForEach(v, field(c, "own")) {
            const char *s = v->valuestring;
            if (!strncmp(s, key, n) && s[n] == '=' && s[n + 1])
                found = true;
            else if (s[strlen(s) - 1] != '=') /* "key=" gives the default back */
                others = true;
        }
        if (found && !others) return true;
    }
    return false;
}

/* Whether a key has only one possible value. */
static bool only_one_value(artel_task task, const artel_recipe *r, const char *key,
                           const char *value) {
    char assignment[220], refusal[240], *yaml = NULL;
    const char *set[] = {assignment};
    (void)snprintf(assignment, sizeof assignment, "%.180s=nothing", key);
    (void)snprintf(refusal, sizeof refusal, "expected one of %s, found", value);
    const artel_recipe other = {.path = r->path, .set = set, .n_set = 1};
    const artel_status s = artel_recipe_print(a, &other, task, &yaml);
    artel_free(yaml);
    return s != ARTEL_OK && strstr(artel_error(a), refusal);
}

static char *value_of(at_conf *f, const char *section, const char *name) {
    char *out = NULL;
    const at_key key[] = {{name, AT_KEY_STRING, 0, "", 0, 0, NULL, ""}, {0}};
    OK(at_conf_bind(&ctx, f, section, key, &out));
    return out;
}

/* The effective recipe, read again. */
static at_conf *printed(const artel_recipe *r, artel_task task) {
    char *yaml = NULL;
    at_conf *f = NULL;
    if (artel_recipe_print(a, r, task, &yaml) != ARTEL_OK) fail_msg("%s", artel_error(a));
    OK(at_conf_parse(&ctx, "printed", yaml, strlen(yaml), &f));
    artel_free(yaml);
    return f;
}

/* How a file is read is tested where files are: test_table, test_table_task, cli/images. */
static bool of_files(const char *key) {
    static const char *const keys[] = {"table.header",     "table.skip", "table.frame",
                                       "table.image_size", "table.test", "table.text",
                                       "table.text_length"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (!strcmp(key, keys[i])) return true;
    return false;
}

/* Every key of a section has a run that varies it, or only one possible value. */
static void keys_of(const char *recipe, artel_task task, const char *section) {
    char path[200], key[200];
    (void)snprintf(path, sizeof path, RUNS "%s", recipe);
    const artel_recipe plain = {.path = path};
    at_conf *f = printed(&plain, task);
    at_strings keys = {0};
    OK(at_conf_keys(&ctx, f, section, &keys));
    assert_true(keys.n > 0);
    for (int64_t i = 0; i < keys.n; i++) {
        (void)snprintf(key, sizeof key, "%s.%s", section, keys.item[i]);
        if (has_run(key) || of_files(key)) continue;
        if (!only_one_value(task, &plain, key, value_of(f, section, keys.item[i])))
            fail_msg("%s: no run of tools/reference_cases.py sets this key alone", key);
    }
    at_conf_close(f);
}

static void every_key_has_a_run(void **state) {
    (void)state;
    keys_of("gpt2.yaml", ARTEL_TRAIN, "train");
    keys_of("distil.yaml", ARTEL_DISTILL, "distill");
    keys_of("mixture.yaml", ARTEL_TRAIN, "losses");
    keys_of("table.yaml", ARTEL_TRAIN, "table");
}

/* An assignment without value gives the default back. */
static void defaults_of(const char *recipe, artel_task task, const char *section) {
    char path[200], text[SETS][64];
    const char *set[SETS];
    int n = 0;
    const cJSON *v;
    cJSON_ArrayForEach(v, field(field(expected, "defaults"), section)) {
        assert_true(n < SETS);
        (void)snprintf(text[n], sizeof text[n], "%s.%s=", section, v->string);
        set[n] = text[n];
        n++;
    }
    if (!strcmp(section, "train")) { /* one of the two must be given */
        (void)snprintf(text[n], sizeof text[n], "train.steps=1");
        set[n] = text[n];
        n++;
    }
    (void)snprintf(path, sizeof path, RUNS "%s", recipe);
    const artel_recipe r = {.path = path, .set = set, .n_set = n};
    at_conf *f = printed(&r, task);
    cJSON_ArrayForEach(v, field(field(expected, "defaults"), section)) {
        if (!strcmp(v->string, "steps")) continue;
        if (cJSON_IsArray(v)) {
            at_strings list = {0};
            const at_key key[] = {{v->string, AT_KEY_STRINGS, 0, "", 0, 0, NULL, ""}, {0}};
            OK(at_conf_bind(&ctx, f, section, key, &list));
            assert_int_equal(list.n, cJSON_GetArraySize(v));
            continue;
        }
        const char *found = value_of(f, section, v->string);
        assert_non_null(found);
        if (cJSON_IsString(v) ? strcmp(found, v->valuestring) != 0
            : cJSON_IsBool(v) ? strcmp(found, cJSON_IsTrue(v) ? "true" : "false") != 0
                              : strtod(found, NULL) != v->valuedouble)
            fail_msg("%s.%s: the default is %s, the reference knows another", section, v->string,
                     found);
    }
    at_conf_close(f);
}

static void defaults_are_those_of_the_reference(void **state) {
    (void)state;
    defaults_of("gpt2.yaml", ARTEL_TRAIN, "train");
    defaults_of("distil.yaml", ARTEL_DISTILL, "distill");
    defaults_of("mixture.yaml", ARTEL_TRAIN, "losses");
}

/* Both count what products multiply; the reference is rounded to six digits. */
static void plans_agree(void **state) {
    (void)state;
    const cJSON *p;
    cJSON_ArrayForEach(p, field(expected, "plans")) {
        setting s;
        recipe_of(p, &s);
        cJSON *said = cJSON_CreateArray();
        if (artel_plan(a, &s.recipe, task_of(p), collect, said) != ARTEL_OK)
            fail_msg("%s: %s", text_of(p, "name"), artel_error(a));
        const cJSON *got = cJSON_GetArrayItem(said, 0), *want;
        cJSON_ArrayForEach(want, field(p, "expect")) {
            const double w = want->valuedouble, g = field(got, want->string)->valuedouble;
            const double bound = !strcmp(want->string, "flops") ? 1e-5 : 0;
            if (!(fabs(g - w) <= bound * w))
                fail_msg("plan of %s: %s is %.6g, counted were %.6g", text_of(p, "name"),
                         want->string, g, w);
        }
        cJSON_Delete(said);
    }
}

static int begin(void **state) {
    (void)state;
    at_ctx_init(&ctx, 1);
    /* hundreds of small files are made and synced: in memory, where there is such a folder */
    if (at_is_dir("/dev/shm")) (void)setenv("TMPDIR", "/dev/shm", 0);
    work = at_strdup(&ctx, temporary_folder());
    a = artel_open(2, NULL, NULL);
    expected = at_json_read(&ctx, RUNS "expected.json");
    if (!expected) print_error("%s\n", ctx.message);
    return work && a && expected ? 0 : 1;
}

static int end(void **state) {
    (void)state;
    if (work) (void)at_remove_tree(&ctx, work);
    at_free(work);
    artel_close(a);
    cJSON_Delete(expected);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(runs_agree), /* first: plans ask for a model that it makes */
        cmocka_unit_test(variations_differ),
        cmocka_unit_test(every_key_has_a_run),
        cmocka_unit_test(defaults_are_those_of_the_reference),
        cmocka_unit_test(plans_agree),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
