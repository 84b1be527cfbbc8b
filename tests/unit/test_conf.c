/* test_conf.c - recipes: types, places in messages, suggestions, precedence, the effective text. */
#include "check.h"
#include "conf/conf.h"
#include <math.h>

static at_ctx c;
static at_conf *f;

static int setup(void **state) {
    (void)state;
    at_ctx_init(&c, 1);
    f = NULL;
    return 0;
}

static int teardown(void **state) {
    (void)state;
    at_conf_close(f);
    return 0;
}

typedef struct train {
    int64_t steps, seed;
    double lr;
    bool shuffle;
    char *name;
    int schedule;
    at_strings domains;
    at_ints sizes;
} train;

static const at_key keys[] = {
    {"steps", AT_KEY_INT, offsetof(train, steps), "100", 1, 65536, NULL, "how many"},
    {"seed", AT_KEY_INT, offsetof(train, seed), "0", 0, 0, NULL, NULL},
    {"lr", AT_KEY_REAL, offsetof(train, lr), "6e-4", 0, INFINITY, NULL, NULL},
    {"shuffle", AT_KEY_BOOL, offsetof(train, shuffle), "yes", 0, 0, NULL, NULL},
    {"name", AT_KEY_STRING, offsetof(train, name), "", 0, 0, NULL, NULL},
    {"schedule", AT_KEY_CHOICE, offsetof(train, schedule), "cosine", 0, 0, "constant|linear|cosine",
     NULL},
    {"domains", AT_KEY_STRINGS, offsetof(train, domains), "", 0, 0, NULL, NULL},
    {"sizes", AT_KEY_INTS, offsetof(train, sizes), "", 1, 9, NULL, NULL},
    {0},
};

static void open_text(const char *text) {
    at_conf_close(f);
    f = NULL;
    if (at_conf_parse(&c, "r.yaml", text, strlen(text), &f)) fail_msg("`%s`: %s", text, c.message);
}

static train bound(const char *text) {
    train t = {0};
    open_text(text);
    if (at_conf_bind(&c, f, "train", keys, &t) || at_conf_finish(&c, f))
        fail_msg("`%s`: %s", text, c.message);
    return t;
}

/* The text is refused, by reading, binding "train" or finishing, with exactly this message. */
static void refused(const char *text, const char *says) {
    train t;
    at_conf_close(f);
    f = NULL;
    at_error_clear(&c);
    at_status s = at_conf_parse(&c, "r.yaml", text, strlen(text), &f);
    if (!s) s = at_conf_bind(&c, f, "train", keys, &t);
    if (!s) s = at_conf_finish(&c, f);
    if (s != AT_CONFIG && s != AT_FORMAT) fail_msg("`%s` was accepted", text);
    assert_string_equal(c.message, says);
}

static void values_of_every_kind_are_bound(void **state) {
    (void)state;
    train t = bound("train:\n  steps: 1e3\n  seed: 9223372036854775807\n  lr: 1e-3\n"
                    "  shuffle: Off\n  name: no\n  schedule: linear\n  domains: [en, \"f r\"]\n");
    assert_int_equal(t.steps, 1000);
    assert_int_equal(t.seed, INT64_MAX);
    assert_true(t.lr == 1e-3);
    assert_false(t.shuffle);
    assert_string_equal(t.name, "no");
    assert_int_equal(t.schedule, 1);
    assert_int_equal(t.domains.n, 2);
    assert_string_equal(t.domains.item[1], "f r");
    assert_int_equal(t.sizes.n, 0);
    t = bound("train: {sizes: [3, 1e0, 9]}");
    assert_int_equal(t.sizes.n, 3);
    for (int i = 0; i < 3; i++) assert_int_equal(t.sizes.item[i], ((int[]){3, 1, 9})[i]);
    t = bound("{\"train\": {\"steps\": 7, \"domains\": \"en\", \"name\": \"5\"}}"); /* JSON */
    assert_int_equal(t.steps, 7);
    assert_int_equal(t.domains.n, 1);
    assert_string_equal(t.domains.item[0], "en");
    assert_string_equal(t.name, "5");
}

static void absent_and_empty_give_defaults(void **state) {
    (void)state;
    const char *const texts[] = {"",
                                 "---\n",
                                 "# nothing\n",
                                 "train:\n",
                                 "train: {}\n",
                                 "train: ~\n",
                                 "train: {steps: , lr: null, name: ~, domains: }\n"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        const train t = bound(texts[i]);
        assert_int_equal(t.steps, 100);
        assert_true(t.lr == 6e-4);
        assert_true(t.shuffle);
        assert_null(t.name);
        assert_int_equal(t.schedule, 2);
        assert_int_equal(t.domains.n, 0);
    }
}

static void wrong_values_are_refused_in_their_place(void **state) {
    (void)state;
    refused("train:\n  steps: abc\n", "r.yaml:2:10: `train.steps`: expected a whole number in "
                                      "[1, 65536], found `abc`");
    refused("train: {steps: 0}", "r.yaml:1:16: `train.steps`: expected a whole number in "
                                 "[1, 65536], found `0`");
    refused("train: {steps: 65537}", "r.yaml:1:16: `train.steps`: expected a whole number in "
                                     "[1, 65536], found `65537`");
    static const char *const not_whole[] = {"1.5",  "1_000", "0x10", "1e-1", "nan",
                                            ".inf", "+",     "1e",   "--1",  "1 0",
                                            "1e30", "''",    "true", "7f",   "1e999"};
    for (size_t i = 0; i < sizeof not_whole / sizeof *not_whole; i++) {
        char text[64];
        train t;
        (void)snprintf(text, sizeof text, "train: {steps: %s}", not_whole[i]);
        open_text(text);
        if (at_conf_bind(&c, f, "train", keys, &t) != AT_CONFIG)
            fail_msg("%s was taken for a whole number", not_whole[i]);
        expect_says(&c, "expected a whole number in [1, 65536], found `");
    }
    refused("train: {sizes: [3, 10]}", "r.yaml:1:20: `train.sizes`: expected a whole number in "
                                       "[1, 9], found `10`");
    refused("train: {sizes: 3}", "r.yaml:1:16: `train.sizes`: expected a list of whole numbers, "
                                 "found `3`");
    refused("train: {sizes: [3, [1]]}",
            "r.yaml:1:16: `train.sizes`: expected a list of whole numbers, found a list");
    refused("train: {seed: 9223372036854775808}",
            "r.yaml:1:15: `train.seed`: expected a whole number, found `9223372036854775808`");
    refused("train: {lr: -1}",
            "r.yaml:1:13: `train.lr`: expected a number of at least 0, found `-1`");
    refused("train: {lr: [1, 2]}", "r.yaml:1:13: `train.lr`: expected a number, found a list");
    refused("train: {lr: {a: 1}}", "r.yaml:1:13: `train.lr`: expected a number, found a section");
    refused("train: {shuffle: maybe}",
            "r.yaml:1:18: `train.shuffle`: expected true or false, found `maybe`");
    refused("train: {name: [a]}", "r.yaml:1:15: `train.name`: expected a word, found a list");
    refused("train: {schedule: cosin}", "r.yaml:1:19: `train.schedule`: expected one of constant, "
                                        "linear, cosine, found `cosin`");
    refused("train: {domains: {a: b}}",
            "r.yaml:1:18: `train.domains`: expected a list of words, found a section");
    refused("train: {domains: [[a]]}",
            "r.yaml:1:18: `train.domains`: expected a list of words, found a list");
    refused("train: 5", "r.yaml:1:8: `train`: expected a section (key: value), found `5`");
    refused("train: [1]", "r.yaml:1:8: `train`: expected a section (key: value), found a list");
}

static void unknown_keys_name_the_nearest(void **state) {
    (void)state;
    refused("train:\n  steps: 5\n  stepz: 6\n",
            "r.yaml:3:3: unknown key `train.stepz`, did you mean `train.steps`?");
    refused("trian:\n  steps: 5\n", "r.yaml:1:1: unknown key `trian`, did you mean `train`?");
    refused("steps: 5\n", "r.yaml:1:1: unknown key `steps`, did you mean `train.steps`?");
    refused("train: {quux: 1}", "r.yaml:1:9: unknown key `train.quux`");
    refused("other: [1, 2]", "r.yaml:1:1: unknown key `other`");
    refused("train: {domains: [a], Steps: 1}",
            "r.yaml:1:23: unknown key `train.Steps`, did you mean `train.steps`?");
}

static void what_is_not_plain_data_is_refused(void **state) {
    (void)state;
    refused("a: &x 1\n", "r.yaml:1:4: anchors (&name) are not supported");
    refused("a: &x [*x]\n", "r.yaml:1:4: anchors (&name) are not supported");
    refused("a: *x\n", "r.yaml:1:4: aliases (*name) are not supported");
    refused("a: !!int 1\n", "r.yaml:1:4: tags (!name) are not supported");
    refused("a: 1\n---\nb: 2\n", "r.yaml:2:1: a second document: one is expected");
    refused("train: {}\na: 1\ntrain: {}\n",
            "r.yaml:3:1: key `train` is given twice (first on line 1)");
    refused("[a]: 1\n", "r.yaml:1:1: a key must be a plain word");
    refused("a: \"x\\0y\"\n", "r.yaml:1:4: a NUL character in a value");
    refused("- 1\n", "r.yaml:1:1: expected `key: value` lines, found a list");
    refused("hello", "r.yaml:1:1: expected `key: value` lines, found a single value");
    char deep[256] = "a: ";
    memset(deep + 3, '[', 40);
    refused(deep, "r.yaml:1:35: nested deeper than 32 levels");
    at_conf *g = NULL;
    assert_int_equal(at_conf_parse(&c, "r.yaml", "a: [1, 2\nb: 3\n", 14, &g), AT_CONFIG);
    expect_says(&c, "r.yaml:2:");
    expect_says(&c, "not YAML: ");
    assert_int_equal(at_conf_parse(&c, "r.yaml", "a: \xff\xfe\n", 6, &g), AT_FORMAT);
    expect_says(&c, "r.yaml: byte 3: ");
    expect_says(&c, "UTF-8");
    assert_int_equal(at_conf_parse(&c, "r.yaml", "a: \0\n", 5, &g), AT_FORMAT);
    assert_null(g);
}

static void required_keys_must_be_there(void **state) {
    (void)state;
    static const at_key required[] = {{"steps", AT_KEY_INT, 0, NULL, 1, 9, NULL, "how many"}, {0}};
    int64_t steps;
    open_text("train: {steps: }");
    assert_int_equal(at_conf_bind(&c, f, "train", required, &steps), AT_CONFIG);
    assert_string_equal(c.message, "r.yaml: the key `train.steps` is missing: how many");
    open_text("train: {}\nstesp: 5\n");
    assert_int_equal(at_conf_bind(&c, f, "", required, &steps), AT_CONFIG);
    assert_string_equal(c.message, "r.yaml:2:1: unknown key `stesp`, did you mean `steps`?");
    open_text("train: {stepz: 5}");
    assert_int_equal(at_conf_bind(&c, f, "train", required, &steps), AT_CONFIG);
    assert_string_equal(c.message,
                        "r.yaml:1:9: unknown key `train.stepz`, did you mean `train.steps`?");
    assert_int_equal(at_conf_bind(&c, f, "", required, &steps), AT_CONFIG);
    assert_string_equal(c.message, "r.yaml: the key `steps` is missing: how many");
}

static void assignments_win_and_say_where_they_came_from(void **state) {
    (void)state;
    train t;
    open_text("train: {steps: 5, name: x}\n");
    assert_int_equal(at_conf_set(&c, f, "train.steps=6", "environment ARTEL_SET"), AT_OK);
    assert_int_equal(at_conf_set(&c, f, "train.steps=7", "option --set"), AT_OK);
    assert_int_equal(at_conf_set(&c, f, "train.domains=[en, fr]", "option --set"), AT_OK);
    assert_int_equal(at_conf_set(&c, f, "train.name=", "option --set"), AT_OK);
    assert_int_equal(at_conf_bind(&c, f, "train", keys, &t), AT_OK);
    assert_int_equal(at_conf_finish(&c, f), AT_OK);
    assert_int_equal(t.steps, 7);
    assert_int_equal(t.domains.n, 2);
    assert_null(t.name);

    open_text("");
    assert_int_equal(at_conf_set(&c, f, "train={steps: 9, schedule: linear}", "option --set"), 0);
    assert_int_equal(at_conf_bind(&c, f, "train", keys, &t), AT_OK);
    assert_int_equal(t.steps, 9);

    open_text("list: [{a: 1}, {a: 2}]\nx: 1\n");
    assert_int_equal(at_conf_set(&c, f, "train.stepz=1", "option --set"), AT_OK);
    assert_int_equal(at_conf_set(&c, f, "x=", "option --set"), AT_OK);
    assert_int_equal(at_conf_set(&c, f, "list.1.a=3", "option --set"), AT_OK);
    assert_int_equal(at_conf_set(&c, f, "list.2.a=3", "option --set"), AT_CONFIG);
    assert_string_equal(c.message, "option --set: the list has no item `list.2`");
    assert_int_equal(at_conf_set(&c, f, "list.0.a.b=3", "option --set"), AT_CONFIG);
    assert_string_equal(c.message, "option --set: `list.0.a` is a value, it has no key `b`");
    static const char *const bad[] = {"steps", "=5", "a..b=1", ".a=1", "a.=1", ""};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (at_conf_set(&c, f, bad[i], "option --set") != AT_ARG) fail_msg("`%s`", bad[i]);
    assert_int_equal(at_conf_set(&c, f, "a=[1", "option --set"), AT_CONFIG);
    expect_says(&c, "option --set: not YAML");

    open_text("");
    assert_int_equal(at_conf_set(&c, f, "train.stepz=1", "option --set"), AT_OK);
    assert_int_equal(at_conf_bind(&c, f, "train", keys, &t), AT_OK);
    assert_int_equal(at_conf_finish(&c, f), AT_CONFIG);
    assert_string_equal(c.message,
                        "option --set: unknown key `train.stepz`, did you mean `train.steps`?");
    open_text("");
    assert_int_equal(at_conf_set(&c, f, "train.steps=many", "option --set"), AT_OK);
    assert_int_equal(at_conf_bind(&c, f, "train", keys, &t), AT_CONFIG);
    assert_string_equal(c.message, "option --set: `train.steps`: expected a whole number in "
                                   "[1, 65536], found `many`");
}

typedef struct expert {
    char *name;
} expert;
static const at_key expert_keys[] = {{"name", AT_KEY_STRING, 0, NULL, 0, 0, NULL, NULL}, {0}};

static void lists_of_sections_and_free_names(void **state) {
    (void)state;
    expert e;
    at_strings names;
    open_text("experts:\n  - name: en\n  - {name: fr}\ndomains: {x: 1, y: 2}\nseveral: 5\n");
    assert_true(at_conf_has(f, "experts"));
    assert_true(at_conf_has(f, "experts.1.name"));
    assert_false(at_conf_has(f, "experts.2"));
    assert_int_equal(at_conf_count(f, "experts"), 2);
    assert_int_equal(at_conf_count(f, "absent"), 0);
    assert_int_equal(at_conf_bind(&c, f, "experts.1", expert_keys, &e), AT_OK);
    assert_string_equal(e.name, "fr");
    assert_int_equal(at_conf_keys(&c, f, "domains", &names), AT_OK);
    assert_int_equal(names.n, 2);
    assert_string_equal(names.item[1], "y");
    assert_int_equal(at_conf_keys(&c, f, "absent", &names), AT_OK);
    assert_int_equal(names.n, 0);
    assert_int_equal(at_conf_keys(&c, f, "experts", &names), AT_CONFIG);
    assert_int_equal(at_conf_error(&c, f, "experts.1.name", "no such %s", "data"), AT_CONFIG);
    assert_string_equal(c.message, "r.yaml:3:12: `experts.1.name`: no such data");
    assert_int_equal(at_conf_error(&c, f, "absent", "needed"), AT_CONFIG);
    assert_string_equal(c.message, "r.yaml: `absent`: needed");
    assert_int_equal(at_conf_finish(&c, f), AT_CONFIG); /* experts.0 was never bound */
    assert_string_equal(c.message,
                        "r.yaml:2:5: unknown key `experts.0`, did you mean `experts.1`?");
    assert_int_equal(at_conf_bind(&c, f, "experts.0", expert_keys, &e), AT_OK);
    assert_int_equal(at_conf_finish(&c, f), AT_CONFIG);
    assert_string_equal(c.message, "r.yaml:4:11: unknown key `domains.x`");
    open_text("several: 5\n");
    assert_int_equal(at_conf_count(f, "several"), 0);
    assert_int_equal(at_conf_finish(&c, f), AT_CONFIG);
    assert_string_equal(c.message, "r.yaml:1:1: `several`: expected a list");
}

static void the_effective_recipe_reads_back(void **state) {
    (void)state;
    train t, u;
    expert e;
    open_text("train: {steps: 1e2, lr: 0.1, domains: [en, 'no', \"5\", \"a\\\"\\n\\u2028\\u0085"
              "\\xe9#: x\"], name: \"true\", sizes: [4, 2]}\nexperts: [{name: a b}, {name: c}]\n");
    assert_int_equal(at_conf_set(&c, f, "train.seed=3", "option --set"), AT_OK);
    assert_int_equal(at_conf_bind(&c, f, "train", keys, &t), AT_OK);
    assert_int_equal(at_conf_bind(&c, f, "experts.0", expert_keys, &e), AT_OK);
    assert_int_equal(at_conf_bind(&c, f, "experts.1", expert_keys, &e), AT_OK);
    char *text = at_conf_dump(&c, f, false), *origins = at_conf_dump(&c, f, true);
    assert_non_null(text);
    assert_string_equal(text,
                        "train:\n  steps: 100\n  seed: 3\n  lr: 0.1\n  shuffle: true\n"
                        "  name: \"true\"\n  schedule: cosine\n  domains: [en, \"no\", \"5\", "
                        "\"a\\\"\\n\\u2028\\u0085\xc3\xa9#: x\"]\n"
                        "  sizes: [4, 2]\n"
                        "experts:\n  -\n    name: \"a b\"\n  -\n    name: c\n");
    assert_non_null(strstr(origins, "  steps: 100  # r.yaml:1:9\n"));
    assert_non_null(strstr(origins, "  seed: 3  # option --set\n"));
    assert_non_null(strstr(origins, "  schedule: cosine  # default\n"));
    for (int i = 0; i < 2; i++) {
        at_conf *g = NULL;
        const char *again = i ? origins : text;
        assert_int_equal(at_conf_parse(&c, "again", again, strlen(again), &g), AT_OK);
        assert_int_equal(at_conf_bind(&c, g, "train", keys, &u), AT_OK);
        assert_int_equal(at_conf_bind(&c, g, "experts.0", expert_keys, &e), AT_OK);
        assert_int_equal(at_conf_bind(&c, g, "experts.1", expert_keys, &e), AT_OK);
        assert_int_equal(at_conf_finish(&c, g), AT_OK);
        char *same = at_conf_dump(&c, g, false);
        assert_string_equal(same, text);
        assert_int_equal(u.domains.n, 4);
        for (int k = 0; k < 4; k++) assert_string_equal(u.domains.item[k], t.domains.item[k]);
        at_free(same);
        at_conf_close(g);
    }
    at_free(text);
    at_free(origins);
}

static void numbers_read_back_to_the_bit(void **state) {
    (void)state;
    static const double values[] = {0.1, 1e-300, 6e-4, 1.0 / 3, 123456789.125, 5e-324, 1e22, 0};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        char text[80];
        (void)snprintf(text, sizeof text, "train: {lr: %.17g}", values[i]);
        (void)bound(text);
        char *dump = at_conf_dump(&c, f, false);
        const train t = bound(dump);
        assert_true(t.lr == values[i]);
        at_free(dump);
    }
}

static void memory_may_run_out_anywhere(void **state) {
    (void)state;
    const char text[] = "train: {steps: 5, domains: [a, b], name: x}\n";
    for (int64_t n = 1;; n++) {
        train t;
        c.fail_after = n;
        at_status s = at_conf_parse(&c, "r.yaml", text, strlen(text), &f);
        if (!s) s = at_conf_set(&c, f, "train.lr=1", "option --set");
        if (!s) s = at_conf_bind(&c, f, "train", keys, &t);
        char *dump = s ? NULL : at_conf_dump(&c, f, true);
        if (!s && !dump) s = c.status;
        c.fail_after = 0;
        at_free(dump);
        at_conf_close(f);
        f = NULL;
        if (!s) {
            assert_true(n > 20);
            break;
        }
        assert_int_equal(s, AT_OOM);
    }
}

#define T(x) cmocka_unit_test_setup_teardown(x, setup, teardown)
int main(void) {
    const struct CMUnitTest tests[] = {
        T(values_of_every_kind_are_bound),
        T(absent_and_empty_give_defaults),
        T(wrong_values_are_refused_in_their_place),
        T(unknown_keys_name_the_nearest),
        T(what_is_not_plain_data_is_refused),
        T(required_keys_must_be_there),
        T(assignments_win_and_say_where_they_came_from),
        T(lists_of_sections_and_free_names),
        T(the_effective_recipe_reads_back),
        T(numbers_read_back_to_the_bit),
        T(memory_may_run_out_anywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
