/* test_data_source.c - documents out of files and folders: kinds, keys, and bad input. */
#include "check.h"
#include "data/source.h"

static at_ctx ctx;
static char *dir;
static char warned[1024];

static void keep_warning(void *user, at_log_level level, const char *line) {
    (void)user;
    if (level == AT_LOG_WARN) (void)snprintf(warned, sizeof warned, "%s", line);
}

static int setup(void **state) {
    (void)state;
    at_ctx_init(&ctx, 1);
    ctx.log = keep_warning;
    dir = temporary_folder();
    return 0;
}

static int teardown(void **state) {
    (void)state;
    return at_remove_tree(&ctx, dir) ? -1 : 0;
}

/* A file below the folder, whose folders are made. */
static const char *file(const char *rel, const char *text, size_t n) {
    static char path[4300];
    (void)snprintf(path, sizeof path, "%s/%s", dir, rel);
    char *slash = strrchr(path, '/');
    *slash = 0;
    assert_int_equal(at_make_dir(&ctx, path), AT_OK);
    *slash = '/';
    assert_int_equal(at_write_file(&ctx, path, text, n), AT_OK);
    return path;
}

static const char *text_file(const char *rel, const char *text) {
    return file(rel, text, strlen(text));
}

/* Documents as "key{text}" one after the other. */
static at_bytes seen;
static at_skipped left;

static at_status note(at_ctx *c, void *user, const at_document *d) {
    (void)user;
    assert_int_equal(at_utf8_error(d->text, (size_t)d->bytes), -1);
    at_status s = at_bytes_add(c, &seen, d->key, strlen(d->key));
    if (!s) s = at_bytes_char(c, &seen, '{');
    if (!s) s = at_bytes_add(c, &seen, d->text, (size_t)d->bytes);
    return s ? s : at_bytes_char(c, &seen, '}');
}

static at_status read_as(const char *path, const char *domain, at_source_kind kind, bool strict) {
    const at_read_options r = {
        .strict = strict, .max_file = 100000, .max_line = 200, .min_source = 10};
    at_source s;
    seen.n = 0;
    left = (at_skipped){0};
    warned[0] = 0;
    at_status status = at_source_open(&ctx, path, domain, kind, &s);
    if (status) return status;
    for (int64_t i = 0; !status && i < s.files.n; i++)
        status = at_source_file(&ctx, &s, i, &r, note, NULL, &left);
    at_source_close(&s);
    assert_int_equal(at_bytes_char(&ctx, &seen, 0), AT_OK);
    return status;
}

static void test_kinds(void **state) {
    (void)state;
    assert_int_equal(at_source_kind_of_path("a/b.txt"), AT_KIND_TEXT);
    assert_int_equal(at_source_kind_of_path("a.md.gz"), AT_KIND_TEXT);
    assert_int_equal(at_source_kind_of_path("a.JSONL.zst"), AT_KIND_JSONL);
    assert_int_equal(at_source_kind_of_path("a.html"), AT_KIND_HTML);
    assert_int_equal(at_source_kind_of_path("a.html.gz"), AT_KIND_AUTO);
    assert_int_equal(at_source_kind_of_path("a.py"), AT_KIND_SOURCE);
    assert_int_equal(at_source_kind_of_path("a.bin"), AT_KIND_AUTO);
    assert_int_equal(at_source_kind_of_path(".txt"), AT_KIND_AUTO);
    at_source_kind k;
    assert_true(at_source_kind_parse("html:x", 4, &k));
    assert_int_equal(k, AT_KIND_HTML);
    assert_false(at_source_kind_parse("pdf", 3, &k));
}

/* The same document has the same key in every language. */
static void test_keys(void **state) {
    (void)state;
    char root[4300];
    (void)text_file("keys/en-US/sub/a.html", "<p>x</p>");
    (void)text_file("keys/fr/sub/a.html", "<p>x</p>");
    (void)text_file("keys/sub/a.de.html", "<p>x</p>");
    (void)snprintf(root, sizeof root, "%s/keys/en-US", dir);
    assert_int_equal(read_as(root, "en", AT_KIND_AUTO, true), AT_OK);
    assert_string_equal(seen.p, "sub/a.html{x}");
    (void)snprintf(root, sizeof root, "%s/keys", dir);
    assert_int_equal(read_as(root, "fr", AT_KIND_AUTO, true), AT_OK);
    assert_string_equal(seen.p, "en-US/sub/a.html{x}sub/a.html{x}sub/a.de.html{x}");
    assert_int_equal(read_as(root, "en", AT_KIND_AUTO, true), AT_OK);
    assert_string_equal(seen.p, "sub/a.html{x}fr/sub/a.html{x}sub/a.de.html{x}");
    assert_int_equal(read_as(root, "de", AT_KIND_AUTO, true), AT_OK);
    assert_non_null(strstr(seen.p, "}sub/a.html{x}"));
}

static void test_folder(void **state) {
    (void)state;
    char root[4300];
    (void)snprintf(root, sizeof root, "%s/mix", dir);
    (void)text_file("mix/a.txt", "text\n");
    (void)text_file("mix/b.jsonl", "{\"text\":\"json\"}\n");
    (void)text_file("mix/c.html", "<p>page");
    (void)text_file("mix/d.py", "print(1)  # code\n");
    (void)text_file("mix/e.bin", "other");
    (void)text_file("mix/.hidden.txt", "hidden");
    (void)text_file("mix/.git/f.txt", "hidden");
    assert_int_equal(read_as(root, "x", AT_KIND_AUTO, true), AT_OK);
    assert_string_equal(seen.p, "a.txt{text}b.jsonl#1{json}c.html{page}d.py{print(1)  # code\n}");
    assert_int_equal(left.files, 4);
    assert_int_equal(left.other_kind, 1);
    assert_int_equal(left.documents, 4);
    assert_int_equal(read_as(root, "x", AT_KIND_HTML, true), AT_OK);
    assert_string_equal(seen.p, "c.html{page}");
    assert_int_equal(left.other_kind, 4);
    assert_int_equal(read_as(root, "x", AT_KIND_TEXT, true), AT_OK);
    assert_string_equal(seen.p, "a.txt{text}e.bin{other}"); /* an unknown name may be text */
    assert_int_equal(read_as("/nowhere", "x", AT_KIND_AUTO, true), AT_IO);
    expect_says(&ctx, "/nowhere: no such file or folder (domain \"x\")");
}

static void test_text(void **state) {
    (void)state;
    assert_int_equal(read_as(text_file("t/a.txt", "\xEF\xBB\xBFone\r\ntwo\n\n\n \nthree\n"), "x",
                             AT_KIND_AUTO, true),
                     AT_OK);
    assert_string_equal(seen.p, "a.txt{one\ntwo\n\nthree}");
    /* a long text is cut at blank lines, never inside a paragraph */
    at_bytes big = {0};
    for (int i = 0; i < 300; i++) {
        char line[64];
        const int n = snprintf(line, sizeof line, "paragraph %d of a long text%s", i,
                               i % 3 == 2 ? "\n\n" : "\n");
        assert_int_equal(at_bytes_add(&ctx, &big, line, (size_t)n), AT_OK);
    }
    assert_int_equal(read_as(file("t/big.txt", big.p, (size_t)big.n), "x", AT_KIND_AUTO, true),
                     AT_OK);
    assert_int_equal(left.documents, 3);
    assert_non_null(strstr(seen.p, "}big.txt#1{paragraph"));
    assert_non_null(strstr(seen.p, "}big.txt#2{paragraph"));
    assert_non_null(strstr(seen.p, "paragraph 299 of a long text}"));
    at_bytes_free(&big);
}

static void test_jsonl(void **state) {
    (void)state;
    assert_int_equal(read_as(text_file("j/a.jsonl", "{\"text\":\"one\",\"id\":\"Q1\"}\n\n"
                                                    "{\"id\":7,\"text\":\"t\\u00e9\"}\r\n"
                                                    "{\"text\":\" \"}\n{\"text\":\"last\"}"),
                             "x", AT_KIND_AUTO, true),
                     AT_OK);
    assert_string_equal(seen.p, "Q1{one}7{t\xC3\xA9}a.jsonl#5{last}");
    assert_int_equal(left.empty, 1);
    static const char *const bad[][2] = {
        {"{\"text\":\"ok\"}\n{\"text\":3}\n", "a.jsonl:2"},
        {"{\"text\":\"ok\"}\n{\"body\":\"x\"}\n", "a.jsonl:2"},
        {"{\"text\":\"ok\"}\n\n{\"text\":\"x\n", "a.jsonl:3"},
        {"[1]\n", "a.jsonl:1"},
        {"{\"text\":\"a\"} {\"text\":\"b\"}\n", "a.jsonl:1"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(read_as(text_file("j/a.jsonl", bad[i][0]), "x", AT_KIND_AUTO, false),
                         AT_FORMAT);
        expect_says(&ctx, bad[i][1]);
    }
}

/* A file or a JSON line that is not UTF-8: an error that says where, or left out and counted. */
static void test_not_utf8(void **state) {
    (void)state;
    static const struct {
        const char *name, *text, *where;
    } bad[] = {
        {"u/a.txt", "good paragraph\n\nna\xEFve", "a.txt: not UTF-8 text: byte 18"},
        {"u/a.html", "<p>na\xEFve", "a.html: not UTF-8 text: byte 5"},
        {"u/a.py", "print('na\xEFve')", "a.py: not UTF-8 text: byte 9"},
        {"u/a.jsonl", "{\"text\":\"na\xEFve\"}", "a.jsonl:1: not UTF-8 text: byte 11"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        const char *path = text_file(bad[i].name, bad[i].text);
        assert_int_equal(read_as(path, "x", AT_KIND_AUTO, true), AT_FORMAT);
        expect_says(&ctx, bad[i].where);
        assert_int_equal(read_as(path, "x", AT_KIND_AUTO, false), AT_OK);
        assert_string_equal(seen.p, "");
        assert_int_equal(left.not_utf8, 1);
        assert_non_null(strstr(warned, "left out: not UTF-8"));
    }
}

static void test_left_out(void **state) {
    (void)state;
    static const char *const empties[] = {"e/a.txt", "e/a.html", "e/a.py", "e/a.jsonl"};
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(read_as(text_file(empties[i], ""), "x", AT_KIND_AUTO, true), AT_OK);
        assert_int_equal(left.empty, 1);
        assert_non_null(strstr(warned, "the file is empty"));
    }
    assert_int_equal(read_as(text_file("e/b.py", "x = 1\n"), "x", AT_KIND_AUTO, true), AT_OK);
    assert_int_equal(left.too_small, 1);
    char line[400];
    memset(line, '1', sizeof line);
    assert_int_equal(read_as(file("e/c.py", line, sizeof line), "x", AT_KIND_AUTO, true), AT_OK);
    assert_int_equal(left.long_lines, 1);
    char *large = calloc(1, 100001);
    assert_non_null(large);
    memset(large, 'a', 100001);
    assert_int_equal(read_as(file("e/d.html", large, 100001), "x", AT_KIND_AUTO, true), AT_OK);
    assert_int_equal(left.too_large, 1);
    assert_string_equal(seen.p, "");
    free(large);
}

static void test_digest(void **state) {
    (void)state;
    char root[4300], one[65], two[65];
    (void)snprintf(root, sizeof root, "%s/d", dir);
    (void)text_file("d/a.txt", "x");
    (void)text_file("d/b.txt", "y");
    at_source s;
    assert_int_equal(at_source_open(&ctx, root, "x", AT_KIND_AUTO, &s), AT_OK);
    assert_int_equal(s.bytes, 2);
    assert_int_equal(at_source_digest(&ctx, &s, one), AT_OK);
    (void)text_file("d/b.txt", "z");
    assert_int_equal(at_source_digest(&ctx, &s, two), AT_OK);
    assert_string_not_equal(one, two);
    (void)text_file("d/b.txt", "y");
    assert_int_equal(at_source_digest(&ctx, &s, two), AT_OK);
    assert_string_equal(one, two);
    at_source_close(&s);
    at_bytes_free(&seen);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kinds),    cmocka_unit_test(test_keys),
        cmocka_unit_test(test_folder),   cmocka_unit_test(test_text),
        cmocka_unit_test(test_jsonl),    cmocka_unit_test(test_not_utf8),
        cmocka_unit_test(test_left_out), cmocka_unit_test(test_digest),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
