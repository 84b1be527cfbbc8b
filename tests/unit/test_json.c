/* test_json.c - what is refused, with which place in the message, and the messages of the
   getters. */
#include "base/json.h"
#include "check.h"
#include <math.h>

static at_ctx c;

static int setup(void **state) {
    (void)state;
    at_ctx_init(&c, 1);
    return 0;
}

static cJSON *parse(const char *text) { return at_json_parse(&c, "x.json", text, strlen(text)); }

static void refuses(const char *text, size_t bytes, const char *says) {
    at_error_clear(&c);
    cJSON *v = at_json_parse(&c, "x.json", text, bytes);
    if (v) fail_msg("`%s` was accepted", text);
    assert_int_equal(c.status, AT_FORMAT);
    expect_says(&c, "x.json: ");
    expect_says(&c, says);
}

static void malformed_text_is_refused_at_its_byte(void **state) {
    (void)state;
    refuses("", 0, "found nothing");
    refuses(" \n ", 3, "found nothing");
    refuses("{\"a\":1,", 7, "ends too early");
    refuses("{\"a\":1", 6, "ends too early");
    refuses("\"abc", 4, "byte 0: this string does not end");
    refuses("[1, \"abc\\", 9, "byte 4: this string does not end");
    refuses("{\"a\" 1}", 7, "byte 5: not JSON");
    refuses("[1,]", 4, "byte 3: not JSON");
    refuses("{} x", 4, "byte 3: expected the end, found `x`");
    refuses("{} a line\nand more", 18, "found `a line`"); /* messages are one line */
    refuses("[1\n2]", 5, "near `2]`");
    refuses("{} \x01", 4, "found `(a control character)`");
    refuses("[0] ......................", 26, "found `....................`");
    refuses("[0] ...................\xc3\xa9", 25, "found `...................`");
    refuses("{}{}", 4, "byte 2: expected the end");
    refuses("[1]\0", 4, "byte 3: a NUL byte");
    refuses("[\"\xff\"]", 5, "byte 2: not UTF-8");
    refuses("[\"\xc0\xaf\"]", 6, "byte 2: not UTF-8");
    refuses("[\"\xed\xa0\x80\"]", 7, "byte 2: not UTF-8");
    refuses("[\"\xe2\x82", 4, "byte 2: not UTF-8");
    refuses("[\"a\\u0000b\"]", 12, "byte 3: \\u0000");
}

static void utf8_and_escapes_pass(void **state) {
    (void)state;
    cJSON *v = parse("[\"\\\\u0000\", \"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\", \"\\\"[[[[\"]");
    assert_non_null(v);
    assert_string_equal(cJSON_GetArrayItem(v, 0)->valuestring, "\\u0000");
    assert_string_equal(cJSON_GetArrayItem(v, 2)->valuestring, "\"[[[[");
    cJSON_Delete(v);
}

static void depth_is_limited(void **state) {
    (void)state;
    char text[2 * AT_JSON_DEPTH_MAX + 3] = {0};
    memset(text, '[', AT_JSON_DEPTH_MAX);
    memset(text + AT_JSON_DEPTH_MAX, ']', AT_JSON_DEPTH_MAX);
    cJSON *v = parse(text);
    assert_non_null(v);
    cJSON_Delete(v);
    memset(text, '[', AT_JSON_DEPTH_MAX + 1);
    memset(text + AT_JSON_DEPTH_MAX + 1, ']', AT_JSON_DEPTH_MAX + 1);
    refuses(text, strlen(text), "byte 64: nested deeper than 64 levels");
    const size_t many = 1 << 20; /* would overflow the stack of a naive reader */
    char *deep = at_malloc(&c, many);
    assert_non_null(deep);
    for (size_t i = 0; i < many; i++) deep[i] = i % 5 ? '[' : '{';
    refuses(deep, many, "nested deeper");
    at_free(deep);
}

static void getters_say_expected_and_found(void **state) {
    (void)state;
    cJSON *v = parse("{\"s\":\"t\",\"i\":5,\"r\":1.5,\"big\":1e300,\"inf\":1e999,\"o\":{},\"a\":[],"
                     "\"n\":null,\"b\":true}");
    assert_non_null(v);
    const char *s = NULL;
    int64_t i = 0;
    double d = 0;
    const cJSON *o = NULL;
    assert_int_equal(at_json_string(&c, "f", v, "s", &s), AT_OK);
    assert_string_equal(s, "t");
    assert_int_equal(at_json_int(&c, "f", v, "i", 0, 5, &i), AT_OK);
    assert_int_equal(i, 5);
    assert_int_equal(at_json_number(&c, "f", v, "r", &d), AT_OK);
    assert_true(d == 1.5);
    assert_int_equal(at_json_object(&c, "f", v, "o", &o), AT_OK);
    assert_int_equal(at_json_array(&c, "f", v, "a", &o), AT_OK);
    assert_int_equal(at_json_string(&c, "f", v, "zz", &s), AT_FORMAT);
    assert_string_equal(c.message, "f: field \"zz\": expected a string, found nothing");
    assert_int_equal(at_json_int(&c, "f", v, "i", 0, 4, &i), AT_FORMAT);
    expect_says(&c, "expected a whole number in [0, 4], found 5");
    assert_int_equal(at_json_int(&c, "f", v, "r", 0, 4, &i), AT_FORMAT);
    expect_says(&c, "expected a whole number, found 1.5");
    assert_int_equal(at_json_int(&c, "f", v, "big", INT64_MIN, INT64_MAX, &i), AT_FORMAT);
    assert_int_equal(at_json_int(&c, "f", v, "s", 0, 4, &i), AT_FORMAT);
    expect_says(&c, "found a string");
    assert_int_equal(at_json_number(&c, "f", v, "inf", &d), AT_FORMAT);
    expect_says(&c, "finite");
    assert_int_equal(at_json_object(&c, "f", v, "n", &o), AT_FORMAT);
    expect_says(&c, "expected an object, found null");
    assert_int_equal(at_json_array(&c, "f", v, "b", &o), AT_FORMAT);
    expect_says(&c, "expected an array, found a boolean");
    assert_int_equal(at_json_array(&c, "f", NULL, "b", &o), AT_FORMAT);
    cJSON_Delete(v);
}

static void files_round_trip(void **state) {
    (void)state;
    char *root = temporary_folder();
    char *p = at_join(&c, root, "v.json");
    cJSON *v = parse("{\"a\":[1,2.5,\"x\"],\"b\":0.1}");
    assert_non_null(v);
    write_json(&c, p, v);
    cJSON *w = at_json_read(&c, p);
    assert_non_null(w);
    assert_true(cJSON_Compare(v, w, 1));
    cJSON_Delete(v);
    cJSON_Delete(w);
    at_free(p);
    p = at_join(&c, root, "none.json");
    assert_null(at_json_read(&c, p));
    assert_int_equal(c.status, AT_IO);
    expect_says(&c, p);
    at_free(p);
    assert_int_equal(at_remove_tree(&c, root), AT_OK);
}

/* The text is cJSON's, on one line and on many, digits and escapes included. */
static void text_is_as_it_was(void **state) {
    (void)state;
    static const char *const text[] = {
        "{}",
        "[]",
        "[[],{},[{}],{\"a\":{}}]",
        "{\"a\":[1,[2,{\"b\":3}],\"\"],\"c\":{\"d\":null,\"e\":true,\"f\":false},\"g\":{}}",
        "{\"quote\":\"\\\"\\\\/\\b\\f\\n\\r\\t\\u0001\\u001f\\u007f\xC3\xA9\\u20AC\"}",
        "[0,1,-1,1e15,123456789012345680,1e21,1e300,-1e-300,0.1,0.30000000000000004,1.5,"
        "3.14159265358979312,2.2250738585072014e-308,5e-324,1e999,-1e999,0.1234567890123456]",
    };
    for (size_t i = 0; i < sizeof text / sizeof *text; i++) {
        cJSON *v = parse(text[i]);
        assert_non_null(v);
        for (int indented = 0; indented < 2; indented++) {
            at_json j;
            at_json_open_value(&j, &c);
            j.indented = indented;
            at_json_put_value(&j, NULL, v);
            char *ours = at_json_take(&j);
            char *theirs = indented ? cJSON_Print(v) : cJSON_PrintUnformatted(v);
            assert_non_null(ours);
            assert_string_equal(ours, theirs);
            at_free(ours);
            cJSON_free(theirs);
        }
        cJSON_Delete(v);
    }
    for (int i = 0; i < 2000; i++) { /* numbers of every size, by a multiplier */
        const uint64_t bits = (uint64_t)(i + 1) * 0x9E3779B97F4A7C15u;
        double d;
        memcpy(&d, &bits, sizeof d);
        if (i % 2) d = (double)(bits >> 40) / 1000;
        cJSON *v = cJSON_CreateNumber(d);
        char *ours = at_json_text(&c, v), *theirs = cJSON_PrintUnformatted(v);
        assert_string_equal(ours, theirs);
        at_free(ours);
        cJSON_free(theirs);
        cJSON_Delete(v);
    }
}

static void build_some(at_json *j) {
    at_json_begin_list(j, "list");
    for (int i = 0; i < 3; i++) at_json_put_number(j, NULL, i);
    at_json_end(j);
    at_json_put_string(j, "name", "value");
    at_json_put_numbers(j, "pair", (const double[]){0.5, (double)NAN}, 2);
    at_json_begin_object(j, "below");
    at_json_put_bool(j, "yes", true);
    at_json_begin_list(j, "deep");
    at_json_begin_object(j, NULL);
    at_json_put_null(j, "none");
    at_json_end_to(j, 1);
    at_json_put_string(j, "more", "text that is long enough to make the buffer grow once more");
}
static const char built[] =
    "{\"list\":[0,1,2],\"name\":\"value\",\"pair\":[0.5,null],\"below\":{\"yes\":true,\"deep\":"
    "[{\"none\":null}]},\"more\":\"text that is long enough to make the buffer grow once more\"}";

/* Whichever allocation fails, and whatever is told in between: the whole text, or AT_OOM and a
   sentence; and the next text is whole again. */
static void no_key_is_lost(void **state) {
    (void)state;
    int64_t n = 0, failures = 0;
    for (bool done = false; !done;) {
        at_error_clear(&c);
        at_json j;
        c.fail_after = ++n;
        at_json_open(&j, &c);
        build_some(&j);
        done = c.fail_after > 0;
        c.fail_after = 0;
        (void)at_error(&c, AT_FORMAT, "something else");
        build_some(&j);
        char *text = at_json_take(&j);
        assert_true(done == (text != NULL));
        if (!text) assert_int_equal(c.status, AT_OOM);
        if (!text) expect_says(&c, "no memory for all of a JSON text");
        failures += !text;
        at_free(text);
        at_json_open(&j, &c);
        build_some(&j);
        text = at_json_take(&j);
        assert_non_null(text);
        assert_string_equal(text, built);
        at_free(text);
    }
    assert_true(failures >= 4);
    at_json j;
    at_json_open(&j, &c);
    at_json_put_string(&j, "name", NULL); /* an at_join that failed */
    at_json_put_number(&j, "next", 1);
    assert_null(at_json_take(&j));
    assert_int_equal(c.status, AT_OOM);
}

/* A file is there as a whole or not at all; the error names it. */
static void no_file_is_half(void **state) {
    (void)state;
    char *root = temporary_folder();
    char *p = at_join(&c, root, "v.json");
    bool done = false;
    for (int64_t n = 1; !done; n++) {
        at_json j;
        c.fail_after = n;
        at_json_open_file(&j, &c);
        build_some(&j);
        const at_status s = at_json_save(&j, p);
        done = c.fail_after > 0;
        c.fail_after = 0;
        assert_int_equal(s, done ? AT_OK : AT_OOM);
        assert_int_equal(at_exists(p), done);
        nothing_in_the_making(&c, root);
        if (!done) assert_int_equal(c.status, AT_OOM);
    }
    cJSON *v = at_json_read(&c, p), *want = parse(built);
    assert_true(cJSON_Compare(v, want, 1));
    cJSON_Delete(v);
    cJSON_Delete(want);
    at_free(p);
    assert_int_equal(at_remove_tree(&c, root), AT_OK);
}

static void too_deep_to_write(void **state) {
    (void)state;
    at_json j;
    at_json_open(&j, &c);
    for (int i = 1; i < AT_JSON_DEPTH_MAX; i++) at_json_begin_object(&j, "a");
    assert_int_equal(j.text.failed, AT_OK);
    at_json_begin_list(&j, "b");
    at_json_end_to(&j, 0);
    assert_null(at_json_take(&j));
    assert_int_equal(c.status, AT_FORMAT);
    expect_says(&c, "nested deeper than 64 levels");
}

static void parsing_says_what_it_lacks(void **state) {
    (void)state;
    for (int64_t n = 1;; n++) {
        at_json_inject(&c);
        c.fail_after = n;
        cJSON *v = at_json_parse(&c, "x", "{\"a\":[1,\"b\"]}", 13);
        const bool done = c.fail_after > 0;
        c.fail_after = 0;
        at_json_inject(NULL);
        cJSON_Delete(v);
        assert_true(done == (v != NULL));
        if (done) break;
        assert_int_equal(c.status, AT_OOM);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(malformed_text_is_refused_at_its_byte, setup),
        cmocka_unit_test_setup(utf8_and_escapes_pass, setup),
        cmocka_unit_test_setup(depth_is_limited, setup),
        cmocka_unit_test_setup(getters_say_expected_and_found, setup),
        cmocka_unit_test_setup(files_round_trip, setup),
        cmocka_unit_test_setup(text_is_as_it_was, setup),
        cmocka_unit_test_setup(no_key_is_lost, setup),
        cmocka_unit_test_setup(no_file_is_half, setup),
        cmocka_unit_test_setup(too_deep_to_write, setup),
        cmocka_unit_test_setup(parsing_says_what_it_lacks, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
