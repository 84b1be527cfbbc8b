/* test_json.c - what is refused, where, and what the getters say. */
#include "base/json.h"
#include "check.h"

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
    assert_int_equal(at_json_write(&c, p, v), AT_OK);
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

static cJSON *build_some(void) {
    cJSON *o = cJSON_CreateObject(), *list = cJSON_AddArrayToObject(o, "list");
    cJSON_AddStringToObject(o, "name", "value");
    for (int i = 0; i < 3; i++) at_json_append(list, cJSON_CreateNumber(i));
    at_json_put(o, "more", cJSON_CreateString("text"));
    cJSON_AddBoolToObject(cJSON_AddObjectToObject(o, "below"), "yes", true);
    return o;
}

/* Whichever allocation fails: the whole text, or AT_OOM; and the next text is whole again. */
static void no_key_is_lost(void **state) {
    (void)state;
    static const char whole[] =
        "{\"list\":[0,1,2],\"name\":\"value\",\"more\":\"text\",\"below\":{\"yes\":true}}";
    int64_t n = 0;
    for (bool done = false; !done;) {
        at_json_inject(&c);
        c.fail_after = ++n;
        cJSON *o = build_some();
        cJSON *v = at_json_parse(&c, "between", "[1]", 3); /* forgets nothing */
        cJSON_Delete(v);
        char *text = at_json_text(&c, o, false);
        done = c.fail_after > 0;
        c.fail_after = 0;
        at_json_inject(NULL);
        if (text && strcmp(text, whole) != 0) fail_msg("allocation %lld: %s", (long long)n, text);
        if (!text) assert_int_equal(c.status, AT_OOM);
        if (!done) assert_true(!text || !v);
        assert_true(!done || text);
        cJSON_free(text);
        cJSON_Delete(o);
        o = build_some();
        text = at_json_text(&c, o, false);
        assert_non_null(text);
        assert_string_equal(text, whole);
        cJSON_free(text);
        cJSON_Delete(o);
    }
    assert_true(n > 20);
    assert_null(at_json_text(&c, NULL, true));
    assert_int_equal(c.status, AT_OOM);
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
        cmocka_unit_test_setup(no_key_is_lost, setup),
        cmocka_unit_test_setup(parsing_says_what_it_lacks, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
