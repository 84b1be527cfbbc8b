/* test_text.c - the growing string: appending, formatting, its limit, text that JSON can hold. */
#include "base/escape.h"
#include "base/text.h"
#include "check.h"

static at_ctx ctx;

static void append(void **state) {
    (void)state;
    at_text t;
    at_text_init(&t, &ctx, 0);
    at_text_add(&t, "one");
    at_text_bytes(&t, ", two!", 5);
    at_textf(&t, " %d%%", 3);
    char *s = at_text_take(&t);
    assert_string_equal(s, "one, two 3%");
    at_free(s);
    s = at_text_take(&t); /* an empty builder */
    assert_string_equal(s, "");
    at_free(s);
}

static void limit(void **state) {
    (void)state;
    at_text t;
    at_text_init(&t, &ctx, 5);
    at_text_add(&t, "12345");
    assert_int_equal(t.failed, AT_OK);
    at_text_add(&t, "6");
    assert_int_equal(t.failed, AT_UNSUPPORTED);
    at_textf(&t, "%s", ""); /* the first failure stays */
    assert_null(at_text_take(&t));
    assert_int_equal(ctx.status, AT_UNSUPPORTED);
    expect_says(&ctx, "limit of 5");
}

#define FFFD "\xEF\xBF\xBD"

static void utf8(void **state) {
    (void)state;
    static const struct {
        const char *in;
        size_t n;
        const char *out;
    } row[] = {
        {"", 0, ""},
        {"plain", 5, "plain"},
        {"\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80", 9, "\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80"},
        {"\xC3", 1, FFFD},
        {"a\xC3", 2, "a" FFFD},
        {"\xC3"
         "a",
         2, FFFD "a"},
        {"\xE2\x82", 2, FFFD FFFD},
        {"a\0b", 3, "a" FFFD "b"},
        {"\xFF\xFEx\x80", 4, FFFD FFFD "x" FFFD},
        {"\xED\xA0\x80", 3, FFFD FFFD FFFD}, /* a surrogate */
        {"\xC0\x80", 2, FFFD FFFD},          /* longer than it needs to be */
    };
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        at_text t;
        at_text_init(&t, &ctx, 0);
        at_text_utf8(&t, row[i].in, row[i].n);
        char *s = at_text_take(&t);
        if (!s || strcmp(s, row[i].out) != 0) fail_msg("row %zu: %s", i, s ? s : "nothing");
        at_free(s);
    }
}

static void shown(const char *text, size_t n, const char *wanted) {
    char out[200];
    const size_t got = at_printable(text, n, out, sizeof out);
    assert_string_equal(out, wanted);
    assert_int_equal(got, strlen(wanted));
}

static void control_characters_are_shown(void **state) {
    (void)state;
    shown("plain\n\ttext", 11, "plain\n\ttext");
    shown("a\x1b[31mb\r\x07", 9, "a\\x1b[31mb\\x0d\\x07");
    shown("a\0b\x7f", 4, "a\\x00b\\x7f");
    shown("\xC2\x9B\xC2\x80\xC2\x9F\xC2\xA0", 8, "\\x9b\\x80\\x9f\xC2\xA0");
    shown("\x9b\xff\xC3", 3, "\\x9b\\xff\\xc3"); /* no UTF-8 */
    shown("\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80", 9, "\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80");
    char out[6];
    assert_int_equal(at_printable("abc\x1bz", 5, out, sizeof out), 3); /* whole escapes or none */
    assert_string_equal(out, "abc");
    assert_int_equal(at_printable("abcdefg", 7, out, sizeof out), 5);
    assert_string_equal(out, "abcde");
}

static char logged[100];
static void log_line(void *user, at_log_level level, const char *line) {
    (void)user;
    (void)level;
    (void)snprintf(logged, sizeof logged, "%s", line);
}

static void sentences_hold_no_control_characters(void **state) {
    (void)state;
    at_ctx c;
    at_ctx_init(&c, 1);
    c.log = log_line;
    (void)at_error(&c, AT_IO, "%s: no", "x\x1b[2Jy");
    assert_string_equal(c.message, "x\\x1b[2Jy: no");
    (void)at_error_in(&c, "\xC2\x9Bz");
    assert_string_equal(c.message, "\\x9bz: x\\x1b[2Jy: no");
    at_log(&c, AT_LOG_WARN, "%s", "\x1b]0;title\x07");
    assert_string_equal(logged, "\\x1b]0;title\\x07");
}

int main(void) {
    at_ctx_init(&ctx, 1);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(append),
        cmocka_unit_test(limit),
        cmocka_unit_test(utf8),
        cmocka_unit_test(control_characters_are_shown),
        cmocka_unit_test(sentences_hold_no_control_characters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
