/* test_data_html.c - prose out of pages: what stays, what goes, what broken markup does. */
#include "check.h"
#include "data/html_strip.h"

static at_ctx ctx;

static int setup(void **state) {
    (void)state;
    at_ctx_init(&ctx, 1);
    return 0;
}

static void becomes_n(const char *html, size_t bytes, const char *want) {
    at_bytes out = {0};
    assert_int_equal(at_html_strip(&ctx, html, bytes, &out), AT_OK);
    assert_int_equal(at_bytes_char(&ctx, &out, 0), AT_OK);
    assert_string_equal(out.p, want);
    at_bytes_free(&out);
}

static void becomes(const char *html, const char *want) { becomes_n(html, strlen(html), want); }

static void test_blocks(void **state) {
    (void)state;
    becomes("", "");
    becomes("plain", "plain\n");
    becomes("<p>one<p>two", "one\ntwo\n");
    becomes("<div><p>one</p></div> <div></div>\n<p>two</p>", "one\ntwo\n");
    becomes("<h1>Title</h1>text", "Title\ntext\n");
    becomes("<ul><li>a</li><li>b</li></ul>", "a\nb\n");
    becomes("<table><tr><td>a</td><td>b</td></tr></table>", "a\nb\n");
    becomes("one<br>two<br/>three", "one\ntwo\nthree\n");
    becomes("<P CLASS=x>upper</P>", "upper\n");
    becomes("a <b>bold</b> and <i>it</i>alic", "a bold and italic\n");
    becomes("a<span> </span>b", "a b\n");
}

static void test_dropped(void **state) {
    (void)state;
    becomes("<head><title>t</title></head><body>b", "b\n");
    becomes("<head><meta x><body>b", "b\n"); /* a head without its end */
    becomes("a<script>if (1 < 2) document.write('<p>no</p>');</script>b", "a\nb\n");
    becomes("<script>\"</scrip\"</script>b", "b\n");
    becomes("<style>p > b {}</style>b", "b\n");
    becomes("<nav>x<nav>y</nav>z</nav>b", "b\n");
    becomes("<header>h</header><footer>f</footer><aside>a</aside>b", "b\n");
    becomes("<pre>x <code>y</code></pre>b", "b\n");
    becomes("<svg><text>no</text></svg>b", "b\n");
    becomes("<svg/>b", "b\n");
    becomes("use <code>printf</code> here", "use printf here\n"); /* inline code is prose */
    becomes("a<!-- <p>no</p> -->b", "ab\n");
    becomes("<!DOCTYPE html><?xml version=1?>b", "b\n");
    becomes("<script>never closed", "");
    becomes("<nav>never closed", "");
    becomes("a<!-- never closed", "a\n");
    becomes("a</nav>b", "a\nb\n"); /* an end without a start */
}

static void test_hidden(void **state) {
    (void)state;
    becomes("a <span hidden>not seen</span> b", "a b\n");
    becomes("<p hidden=\"true\">not <p>seen</p></p>b", "b\n");
    becomes("a <b class=\"x hidden y\">seen</b> b", "a seen b\n");
    becomes("<input type=\"hidden\">b", "b\n");
    /* of several in a row a script shows one: the last stays */
    becomes("press <i hidden>Command</i><i hidden>Ctrl</i>+F", "press Ctrl+F\n");
    becomes("a <i hidden>1</i> <i hidden>2</i>\n<i hidden><i>3</i></i> b", "a 3 b\n");
    becomes("<i hidden>never closed", "never closed\n");
    becomes("<i hidden>1</i><i hidden>never", "never\n");
    becomes("<i hidden", "");
}

static void test_space(void **state) {
    (void)state;
    becomes("  a \t\n  b  ", "a b\n");
    becomes("a&nbsp;b\xC2\xA0"
            "c\xE2\x80\xAF"
            "d",
            "a b c d\n");
    becomes("soft\xC2\xAD"
            "hy&shy;phen zero\xE2\x80\x8Bwidth",
            "softhyphen zerowidth\n");
    becomes("<p> </p><p>&nbsp;</p>", "");
}

static void test_entities(void **state) {
    (void)state;
    becomes("&lt;p&gt; &amp;amp; &quot;q&quot; &apos;", "<p> &amp; \"q\" '\n");
    becomes("&eacute;&Auml;&szlig;&euro;&hellip;",
            "\xC3\xA9\xC3\x84\xC3\x9F\xE2\x82\xAC\xE2\x80\xA6\n");
    becomes("&#233;&#xE9;&#XE9;", "\xC3\xA9\xC3\xA9\xC3\xA9\n");
    becomes("&eacute", "\xC3\xA9\n");                      /* the semicolon may be missing */
    becomes("&#150;&#x80;", "\xE2\x80\x93\xE2\x82\xAC\n"); /* Windows-1252 */
    becomes("&#0;&#xD800;&#x110000;&#99999999999;",
            "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\n");
    becomes("AT&T &unknown; & &# &#x; &;", "AT&T &unknown; & &# &#x; &;\n");
    becomes("end&", "end&\n");
    assert_int_equal(at_html_entity("zwnj", 4), 8204);
    assert_int_equal(at_html_entity("AElig", 5), 198);
    assert_int_equal(at_html_entity("aelig", 5), 230);
    assert_int_equal(at_html_entity("thetasymx", 9), 0);
    assert_int_equal(at_html_entity("", 0), 0);
}

static void test_broken(void **state) {
    (void)state;
    becomes("1 < 2 and 3 > 2", "1 < 2 and 3 > 2\n");
    becomes("a<", "a<\n");
    becomes("a<b", "a\n");
    becomes("<a title=\"x > y\">link</a>", "link\n");
    becomes("<p don't>text</p>", "text\n"); /* a stray quote hides nothing */
    becomes("<a href=\"never closed>text</a>", "");
    becomes("</>x", "</>x\n");
    becomes_n("a\0b", 3, "a b\n");
}

/* Random bytes made of markup: never a crash, valid UTF-8 stays valid, no empty paragraph. */
static void test_random(void **state) {
    (void)state;
    static const char *const parts[] = {"<p>", "</p>",  "<script", ">",      "</script>",  "&#",
                                        "x41", ";",     "&eacute", "<!--",   "-->",        "\"",
                                        "=",   "a",     " ",       "<nav/>", "\xC3\xA9",   "<",
                                        "/",   "<body", "<head>",  "\n",     "<i hidden>", "</i>"};
    uint32_t r = 12345;
    for (int round = 0; round < 3000; round++) {
        at_bytes in = {0}, out = {0};
        for (int i = 0; i < 30; i++) {
            r = r * 1664525 + 1013904223;
            const char *s = parts[(r >> 16) % (sizeof parts / sizeof *parts)];
            assert_int_equal(at_bytes_add(&ctx, &in, s, strlen(s)), AT_OK);
        }
        assert_int_equal(at_html_strip(&ctx, in.p, (size_t)in.n, &out), AT_OK);
        assert_true(out.n <= 4 * in.n);
        assert_true(out.n == 0 || (out.p[0] != '\n' && out.p[out.n - 1] == '\n'));
        assert_int_equal(at_utf8_error(out.p, (size_t)out.n), -1);
        for (int64_t i = 1; i < out.n; i++) assert_false(out.p[i] == '\n' && out.p[i - 1] == '\n');
        at_bytes_free(&in);
        at_bytes_free(&out);
    }
}

static void test_utf8(void **state) {
    (void)state;
    assert_int_equal(at_utf8_error("abc\xC3\xA9", 5), -1);
    assert_int_equal(at_utf8_error("ab\xE9 c", 5), 2);     /* Latin-1     */
    assert_int_equal(at_utf8_error("ab\xC0\x80", 4), 2);   /* overlong    */
    assert_int_equal(at_utf8_error("\xED\xA0\x80", 3), 0); /* a surrogate */
    assert_int_equal(at_utf8_error("ab\xC3", 3), 2);       /* cut         */
    assert_int_equal(at_utf8_error("a\0b", 3), 1);
    assert_int_equal(at_utf8_count("a\xC3\xA9\xF0\x9F\x98\x80", 7), 3);
    assert_int_equal(at_utf8_cut("a\xC3\xA9z", 4, 2), 1);
    assert_int_equal(at_utf8_cut("a\xC3\xA9z", 4, 3), 3);
    assert_int_equal(at_utf8_cut("a\xC3\xA9z", 4, 9), 4);
    assert_int_equal(at_utf8_letters("a1 \xC3\xA9-", 6), 3);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_blocks),   cmocka_unit_test(test_dropped),
        cmocka_unit_test(test_hidden),   cmocka_unit_test(test_space),
        cmocka_unit_test(test_entities), cmocka_unit_test(test_broken),
        cmocka_unit_test(test_random),   cmocka_unit_test(test_utf8),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
