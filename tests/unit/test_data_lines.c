/* test_data_lines.c - lines out of plain, gzip and zstd files, whole, damaged and huge. */
#include "check.h"
#include "data/lines.h"
#include <zlib.h>
#include <zstd.h>

static at_ctx ctx;
static char *dir;

static int setup(void **state) {
    (void)state;
    at_ctx_init(&ctx, 1);
    dir = temporary_folder();
    return 0;
}

static int teardown(void **state) {
    (void)state;
    return at_remove_tree(&ctx, dir) ? -1 : 0;
}

typedef enum packing { PLAIN, GZIP, ZSTD } packing;

static size_t pack(packing how, const char *data, size_t n, unsigned char *out, size_t room) {
    if (how == PLAIN) {
        memcpy(out, data, n);
        return n;
    }
    if (how == ZSTD) {
        const size_t r = ZSTD_compress(out, room, data, n, 3);
        assert_false(ZSTD_isError(r));
        return r;
    }
    z_stream z = {0};
    assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
    unsigned char *copy = malloc(n + 1); /* next_in is not const */
    assert_non_null(copy);
    memcpy(copy, data, n);
    z.next_in = copy;
    z.avail_in = (uInt)n;
    z.next_out = out;
    z.avail_out = (uInt)room;
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    const size_t r = room - z.avail_out;
    (void)deflateEnd(&z);
    free(copy);
    return r;
}

static const char *file(const void *data, size_t n) {
    static char path[4200];
    (void)snprintf(path, sizeof path, "%s/file", dir);
    assert_int_equal(at_write_file(&ctx, path, data, n), AT_OK);
    return path;
}

/* The lines of `text`, joined with '|', however it is packed. */
static void gives(const char *text, size_t n, const char *want) {
    unsigned char packed[1024];
    for (packing how = PLAIN; how <= ZSTD; how++) {
        const size_t m = pack(how, text, n, packed, sizeof packed);
        at_lines *l;
        assert_int_equal(at_lines_open(&ctx, file(packed, m), 1000, &l), AT_OK);
        char all[512] = "";
        const char *line;
        size_t bytes;
        int64_t number = 0;
        while (at_lines_next(&ctx, l, &line, &bytes) == AT_OK && line) {
            (void)strncat(all, line, bytes);
            (void)strcat(all, "|");
            assert_int_equal(at_lines_number(l), ++number);
        }
        assert_string_equal(all, want);
        at_lines_close(l);
    }
}

static void test_ends(void **state) {
    (void)state;
    gives("", 0, "");
    gives("a", 1, "a|");
    gives("a\n", 2, "a|");
    gives("\n", 1, "|");
    gives("\n\na", 3, "||a|");
    gives("a\r\nb\r\n", 6, "a|b|");
    gives("a\rb", 3, "a\rb|");
    gives("one\ntwo\n\nthree", 14, "one|two||three|");
}

/* Lines of every length around the buffers' sizes. */
static void test_large(void **state) {
    (void)state;
    enum { LINES = 300 };
    char *text = malloc(LINES * 2000);
    unsigned char *packed = malloc(LINES * 2000 + 1000);
    assert_non_null(text);
    assert_non_null(packed);
    size_t n = 0;
    for (int i = 0; i < LINES; i++) {
        for (int j = 0; j < i * 6; j++) text[n++] = (char)('a' + (i * 7 + j * j) % 26);
        text[n++] = '\n';
    }
    for (packing how = PLAIN; how <= ZSTD; how++) {
        const size_t m = pack(how, text, n, packed, LINES * 2000 + 1000);
        at_lines *l;
        assert_int_equal(at_lines_open(&ctx, file(packed, m), 4000, &l), AT_OK);
        size_t at = 0;
        for (size_t i = 0; i < LINES; i++) {
            const char *line;
            size_t bytes;
            assert_int_equal(at_lines_next(&ctx, l, &line, &bytes), AT_OK);
            assert_non_null(line);
            assert_int_equal(bytes, i * 6);
            assert_int_equal(at_lines_offset(l), at);
            assert_memory_equal(line, text + at, bytes);
            at += bytes + 1;
        }
        assert_int_equal(at_lines_consumed(l), m);
        at_lines_close(l);
    }
    free(packed);
    free(text);
}

/* Reads to the end or to the first error. */
static at_status drain(const char *path, int64_t limit) {
    at_lines *l;
    at_status s = at_lines_open(&ctx, path, limit, &l);
    const char *line = "";
    size_t bytes;
    while (!s && line) s = at_lines_next(&ctx, l, &line, &bytes);
    at_lines_close(l);
    return s;
}

static void test_members(void **state) {
    (void)state;
    for (packing how = GZIP; how <= ZSTD; how++) { /* files may be joined by cat */
        unsigned char two[512];
        size_t n = pack(how, "one\ntw", 6, two, 256);
        n += pack(how, "o\nthree", 7, two + n, 256);
        at_lines *l;
        assert_int_equal(at_lines_open(&ctx, file(two, n), 100, &l), AT_OK);
        static const char *const want[] = {"one", "two", "three"};
        for (int i = 0; i < 3; i++) {
            const char *line;
            size_t bytes;
            assert_int_equal(at_lines_next(&ctx, l, &line, &bytes), AT_OK);
            assert_int_equal(bytes, strlen(want[i]));
            assert_memory_equal(line, want[i], bytes);
        }
        at_lines_close(l);
    }
}

static void test_damaged(void **state) {
    (void)state;
    char text[4000];
    for (size_t i = 0; i < sizeof text; i++) text[i] = (char)(i * i % 251 % 26 + 'a');
    unsigned char packed[8192];
    for (packing how = GZIP; how <= ZSTD; how++) {
        const size_t n = pack(how, text, sizeof text, packed, sizeof packed);
        assert_int_equal(drain(file(packed, n), 5000), AT_OK);
        assert_int_equal(drain(file(packed, n / 2), 5000), AT_FORMAT);
        expect_says(&ctx, "truncated");
        assert_int_equal(drain(file(packed, n - 1), 5000), AT_FORMAT);
        memset(packed + n / 2, 0xFF, n / 4);
        assert_int_equal(drain(file(packed, n), 5000), AT_FORMAT);
        expect_says(&ctx, "damaged");
    }
}

static void test_limit(void **state) {
    (void)state;
    assert_int_equal(drain(file("ok\n12345\n", 9), 5), AT_OK);
    assert_int_equal(drain(file("ok\n123456\n", 10), 5), AT_FORMAT);
    expect_says(&ctx, "file:2: the line is longer than 5 bytes");
    /* in pieces that never break a character */
    at_lines *l;
    assert_int_equal(at_lines_open(&ctx,
                                   file("ab\xC3\xA9"
                                        "cdef\ng",
                                        10),
                                   -3, &l),
                     AT_OK);
    static const char *const want[] = {"ab",
                                       "\xC3\xA9"
                                       "c",
                                       "def", "g"};
    static const int64_t number[] = {1, 1, 1, 2};
    for (int i = 0; i < 4; i++) {
        const char *line;
        size_t bytes;
        assert_int_equal(at_lines_next(&ctx, l, &line, &bytes), AT_OK);
        assert_int_equal(bytes, strlen(want[i]));
        assert_memory_equal(line, want[i], bytes);
        assert_int_equal(at_lines_number(l), number[i]);
    }
    at_lines_close(l);
}

static void test_missing(void **state) {
    (void)state;
    assert_int_equal(drain("/nowhere/at/all", 10), AT_IO);
    expect_says(&ctx, "/nowhere/at/all");
    assert_int_equal(drain(dir, 10), AT_IO); /* a folder */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ends),    cmocka_unit_test(test_large),
        cmocka_unit_test(test_members), cmocka_unit_test(test_damaged),
        cmocka_unit_test(test_limit),   cmocka_unit_test(test_missing),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
