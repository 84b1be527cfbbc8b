/* test_safetensors.c - round trips, a file of another writer, and wrong headers of every kind. */
#include "check.h"
#include "io/safetensors.h"
#include <stdio.h>

static at_ctx c;
static char *root;

static int setup(void **state) {
    (void)state;
    at_ctx_init(&c, 1);
    root = temporary_folder();
    return 0;
}

static int teardown(void **state) {
    (void)state;
    return at_remove_tree(&c, root) ? -1 : 0;
}

/* A file in memory: the length, the header, `data` bytes of data. */
static unsigned char *lying(const char *header, size_t data, size_t *bytes) {
    const size_t n = strlen(header);
    *bytes = 8 + n + data;
    unsigned char *p = at_calloc(&c, 1, *bytes);
    assert_non_null(p);
    for (int i = 0; i < 8; i++) p[i] = (unsigned char)((uint64_t)n >> (8 * i));
    memcpy(p + 8, header, n);
    return p;
}

static void refused(const char *header, size_t data, const char *says) {
    size_t bytes;
    unsigned char *p = lying(header, data, &bytes);
    at_st *st = NULL;
    at_error_clear(&c);
    if (at_st_open_bytes(&c, "m.safetensors", p, bytes, &st) != AT_FORMAT)
        fail_msg("`%s`: not refused as a malformed file (%s)", header, c.message);
    assert_null(st);
    expect_says(&c, "m.safetensors: ");
    expect_says(&c, says);
    at_free(p);
}

#define ONE(dtype, shape, range) \
    "{\"w\":{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":" range "}}"

static void every_lie_of_an_entry_is_refused(void **state) {
    (void)state;
    refused(ONE("F32", "[2]", "[0,8]"), 4, "`w`: data_offsets [0, 8] are outside the 4 bytes");
    refused(ONE("F32", "[2]", "[8,0]"), 8, "`w`: data_offsets [8, 0] are outside");
    refused(ONE("F32", "[3]", "[0,8]"), 8, "`w`: its shape and dtype need 12 bytes");
    refused(ONE("F64", "[2]", "[0,8]"), 8, "need 16 bytes, data_offsets span 8");
    refused(ONE("F32", "[1]", "[0,8]"), 8, "need 4 bytes, data_offsets span 8");
    refused(ONE("F33", "[2]", "[0,8]"), 8, "`w`: unknown dtype `F33`");
    refused(ONE("F32", "[2]", "[4,12]"), 12, "`w`: leaves a hole before byte 4");
    refused(ONE("F32", "[2]", "[0,8]"), 9, "1 bytes after the last tensor");
    refused(ONE("F32", "[-2]", "[0,8]"), 8, "`w`: shape: expected a whole number");
    refused(ONE("F32", "[2.5]", "[0,8]"), 8, "found 2.5");
    refused(ONE("F32", "[\"2\"]", "[0,8]"), 8, "found another type");
    refused(ONE("F32", "2", "[0,8]"), 8, "shape: expected an array");
    refused(ONE("F32", "[9223372036854775808]", "[0,8]"), 8,
            "`w`: shape: expected a whole number from 0 to 2^53, found 9.2233720368547758e+18");
    refused(ONE("F32", "[1e999]", "[0,8]"), 8, "2^53");
    refused(ONE("F32", "[2147483648,2147483648,2147483648]", "[0,8]"), 8,
            "`w`: shape: the number of bytes does not fit");
    refused(ONE("F64", "[4503599627370496,1024]", "[0,8]"), 8, "does not fit");
    refused(ONE("F32", "[4503599627370496,4503599627370496,0]", "[0,0]"), 0, "does not fit");
    refused(ONE("F32", "[1,1,1,1,1,1,1,1,1]", "[0,4]"), 4, "more than 8 dimensions");
    refused(ONE("F32", "[2]", "[0]"), 8, "data_offsets: expected [begin, end]");
    refused(ONE("F32", "[2]", "[0,8,8]"), 8, "data_offsets: expected [begin, end]");
    refused(ONE("F32", "[2]", "[0,18446744073709551616]"), 8, "data_offsets: expected a whole");
    refused(ONE("F32", "[2]", "{\"0\":8}"), 8, "data_offsets: expected [begin, end]");
    refused("{\"w\":{\"shape\":[2],\"data_offsets\":[0,8]}}", 8, "`w`: no dtype");
    refused("{\"w\":{\"dtype\":\"F32\",\"data_offsets\":[0,8]}}", 8, "`w`: no shape");
    refused("{\"w\":{\"dtype\":\"F32\",\"shape\":[2]}}", 8, "`w`: no data_offsets");
    refused("{\"w\":{\"dtype\":\"F32\",\"dtype\":\"F32\",\"shape\":[2]}}", 8, "given twice");
    refused("{\"w\":{\"dtype\":5,\"shape\":[2],\"data_offsets\":[0,8]}}", 8,
            "dtype: expected a str");
    refused("{\"w\":[]}", 8, "`w`: expected an object");
}

#define PAIR(a, x, b, y)                                                  \
    "{\"" a "\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":" x "}," \
    "\"" b "\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":" y "}}"

static void entries_that_do_not_fit_together_are_refused(void **state) {
    (void)state;
    refused(PAIR("a", "[0,4]", "b", "[2,6]"), 6, "`b`: overlaps another one at byte 2");
    refused(PAIR("a", "[0,4]", "b", "[0,4]"), 4, "`b`: overlaps another one at byte 0");
    refused(PAIR("a", "[0,4]", "b", "[5,9]"), 9, "`b`: leaves a hole before byte 5");
    refused(PAIR("a", "[0,4]", "a", "[4,8]"), 8, "`a`: this name is used twice");
    refused("{\"__metadata__\":[]}", 0, "__metadata__: expected an object");
    refused("{\"__metadata__\":{\"a\":1}}", 0, "__metadata__: `a`: expected a string");
    refused("{\"__metadata__\":{},\"__metadata__\":{}}", 0, "__metadata__ is given twice");
}

static void headers_that_are_none_are_refused(void **state) {
    (void)state;
    refused("[]", 0, "does not begin with `{`");
    refused(" {}", 0, "does not begin with `{`");
    refused("{\"a\"", 0, "header: byte 4: the JSON text ends too early");
    refused("{} {}", 0, "header: byte 3: expected the end");
    char deep[300] = "{\"a\":";
    memset(deep + 5, '[', 200);
    refused(deep, 0, "header: byte 68: nested deeper than 64 levels");

    at_st *st;
    unsigned char p[32] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, '{', '}'};
    assert_int_equal(at_st_open_bytes(&c, "x", p, sizeof p, &st), AT_FORMAT);
    expect_says(&c, "header would be 9223372036854775807 bytes, at most 100000000");
    const uint64_t long_header = 25;
    memcpy(p, &long_header, 8);
    assert_int_equal(at_st_open_bytes(&c, "x", p, sizeof p, &st), AT_FORMAT);
    expect_says(&c, "the header says 25 bytes, the file has 24 after the length");
    assert_int_equal(at_st_open_bytes(&c, "x", p, 7, &st), AT_FORMAT);
    expect_says(&c, "7 bytes are too few");
    assert_int_equal(at_st_open_bytes(&c, "x", "", 0, &st), AT_FORMAT);
    expect_says(&c, "0 bytes are too few");

    char *path = at_join(&c, root, "none.safetensors");
    assert_int_equal(at_st_open(&c, path, &st), AT_IO);
    expect_says(&c, path);
    assert_int_equal(at_write_file(&c, path, "", 0), AT_OK);
    assert_int_equal(at_st_open(&c, path, &st), AT_FORMAT);
    expect_says(&c, path);
    expect_says(&c, "0 bytes are too few");
    at_free(path);
}

static void an_empty_table_is_a_file(void **state) {
    (void)state;
    size_t bytes;
    unsigned char *p = lying("{}   ", 0, &bytes);
    at_st *st;
    assert_int_equal(at_st_open_bytes(&c, "x", p, bytes, &st), AT_OK);
    assert_int_equal(at_st_count(st), 0);
    assert_null(at_st_at(st, 0));
    assert_null(at_st_find(st, "a"));
    assert_null(at_st_meta(st, "a"));
    assert_int_equal(at_st_verify(&c, st), AT_OK);
    at_st_close(st);
    at_free(p);
}

/* ---- writing ------------------------------------------------------------------------------ */

static const float weights[6] = {1, -2, 3.5f, 0, 1e-30f, 1e30f};
static const int64_t ids[2] = {INT64_MIN, INT64_MAX};
static const uint8_t flags[3] = {1, 0, 255};

static char *write_sample(const char *name) {
    char *path = at_join(&c, root, name);
    at_st_writer *w;
    assert_int_equal(at_st_writer_open(&c, path, &w), AT_OK);
    assert_int_equal(at_st_writer_add(&c, w, "flags", AT_DT_U8, 1, (int64_t[]){3}, flags), AT_OK);
    assert_int_equal(at_st_writer_add(&c, w, "w", AT_DT_F32, 2, (int64_t[]){2, 3}, weights), AT_OK);
    assert_int_equal(at_st_writer_add(&c, w, "z", AT_DT_F32, 2, (int64_t[]){0, 3}, NULL), AT_OK);
    assert_int_equal(at_st_writer_add(&c, w, "ids", AT_DT_I64, 1, (int64_t[]){2}, ids), AT_OK);
    assert_int_equal(at_st_writer_add(&c, w, "e", AT_DT_I64, 1, (int64_t[]){0}, NULL), AT_OK);
    assert_int_equal(at_st_writer_add(&c, w, "a\"b\\\n\xc3\xa9", AT_DT_F32, 0, NULL, weights),
                     AT_OK);
    assert_int_equal(at_st_writer_meta(&c, w, "step", "1"), AT_OK);
    assert_int_equal(at_st_writer_meta(&c, w, "step", "17"), AT_OK);
    assert_false(at_exists(path)); /* not before commit */
    assert_int_equal(at_st_writer_commit(&c, w), AT_OK);
    at_st_writer_close(w);
    return path;
}

static void what_is_written_is_read(void **state) {
    (void)state;
    char *path = write_sample("a.safetensors"), *again = write_sample("b.safetensors");
    at_st *st;
    assert_int_equal(at_st_open(&c, path, &st), AT_OK);
    assert_string_equal(at_st_path(st), path);
    assert_int_equal(at_st_count(st), 6);
    assert_string_equal(at_st_meta(st, "format"), "pt");
    assert_string_equal(at_st_meta(st, "step"), "17");
    assert_int_equal(at_st_meta_count(st), 4);
    const char *key, *value;
    at_st_meta_at(st, 2, &key, &value);
    assert_string_equal(key, "step");
    at_st_meta_at(st, 4, &key, &value);
    assert_null(key);
    for (int64_t i = 0; i < at_st_count(st); i++) {
        const at_st_tensor *t = at_st_at(st, i);
        assert_ptr_equal(at_st_find(st, t->name), t);
        assert_int_equal((uintptr_t)t->data % at_dtype_size(t->dtype), 0);
    }
    assert_int_equal((uintptr_t)at_st_at(st, 0)->data % 64, 0);
    const at_st_tensor *w = at_st_find(st, "w");
    assert_int_equal(w->dtype, AT_DT_F32);
    assert_int_equal(w->rank, 2);
    assert_int_equal(w->dim[0], 2);
    assert_int_equal(w->dim[1], 3);
    assert_memory_equal(w->data, weights, sizeof weights);
    assert_memory_equal(at_st_find(st, "ids")->data, ids, sizeof ids);
    assert_int_equal(at_st_find(st, "a\"b\\\n\xc3\xa9")->rank, 0);
    assert_null(at_st_find(st, "absent"));
    assert_int_equal(at_st_verify(&c, st), AT_OK);
    at_st_close(st);
    size_t n, m;
    char *x = at_read_file(&c, path, 1 << 20, &n), *y = at_read_file(&c, again, 1 << 20, &m);
    assert_int_equal(n, m);
    assert_memory_equal(x, y, n);
    at_free(x);
    at_free(y);
    at_free(path);
    at_free(again);
}

/* Every single-byte change is refused: at opening, or by verify. */
static void every_altered_byte_is_seen(void **state) {
    (void)state;
    char *path = write_sample("a.safetensors");
    size_t n;
    char *p = at_read_file(&c, path, 1 << 20, &n);
    assert_non_null(p);
    int64_t named = 0;
    for (size_t i = 0; i < n; i++) {
        const char keep = p[i];
        p[i] = (char)(keep ^ 4);
        at_st *st = NULL;
        at_status s = at_st_open_bytes(&c, "altered", p, n, &st);
        if (!s) s = at_st_verify(&c, st);
        if (s != AT_FORMAT) fail_msg("byte %zu of %zu may change unseen", i, n);
        expect_says(&c, "altered: ");
        named += strstr(c.message, "tensor `w`: altered: its content") != NULL;
        at_st_close(st);
        p[i] = keep;
    }
    assert_true(named >= (int64_t)sizeof weights);
    for (size_t i = 0; i < n; i++) { /* and every truncation at opening already */
        at_st *st = NULL;
        assert_int_equal(at_st_open_bytes(&c, "cut", p, i, &st), AT_FORMAT);
    }
    at_free(p);
    at_free(path);
}

static void the_writer_refuses_nonsense(void **state) {
    (void)state;
    char *path = at_join(&c, root, "x.safetensors");
    at_st_writer *w;
    assert_int_equal(at_st_writer_open(&c, path, &w), AT_OK);
    const int64_t two[] = {2}, negative[] = {-1}, huge[] = {1LL << 31, 1LL << 31};
    assert_int_equal(at_st_writer_add(&c, w, "a", AT_DT_F32, 1, negative, weights), AT_SHAPE);
    assert_int_equal(at_st_writer_add(&c, w, "a", AT_DT_F32, 2, huge, weights), AT_SHAPE);
    assert_int_equal(at_st_writer_add(&c, w, "a", AT_DT_F32, 9, two, weights), AT_ARG);
    assert_int_equal(at_st_writer_add(&c, w, "a", AT_DT_COUNT, 1, two, weights), AT_ARG);
    assert_int_equal(at_st_writer_add(&c, w, "__metadata__", AT_DT_F32, 1, two, weights), AT_ARG);
    assert_int_equal(at_st_writer_add(&c, w, "a", AT_DT_F32, 1, two, weights), AT_OK);
    assert_int_equal(at_st_writer_add(&c, w, "a", AT_DT_F32, 1, two, weights), AT_OK);
    assert_int_equal(at_st_writer_commit(&c, w), AT_ARG);
    expect_says(&c, "tensor `a` was added twice");
    at_st_writer_close(w);
    assert_int_equal(at_st_writer_open(&c, path, &w), AT_OK);
    assert_int_equal(at_st_writer_add(&c, w, "\xff", AT_DT_F32, 1, two, weights), AT_OK);
    assert_int_equal(at_st_writer_commit(&c, w), AT_FORMAT);
    expect_says(&c, "not UTF-8");
    at_st_writer_close(w);
    assert_int_equal(at_st_writer_open(&c, path, &w), AT_OK);
    at_st_writer_close(w);
    at_list l;
    assert_int_equal(at_list_tree(&c, root, &l), AT_OK);
    assert_int_equal(l.n, 0); /* nothing and no temporary is left */
    at_list_free(&l);
    at_free(path);
}

/* ---- values ------------------------------------------------------------------------------- */

static void a_file_of_the_python_package_is_read(void **state) {
    (void)state;
    at_st *st;
    assert_int_equal(at_st_open(&c, "tests/golden/tensors.safetensors", &st), AT_OK);
    assert_int_equal(at_st_count(st), 9);
    assert_string_equal(at_st_meta(st, "gr\xc3\xb6\xc3\x9f"
                                       "e"),
                        "\xc3\xbc");
    assert_int_equal(at_st_verify(&c, st), AT_OK); /* it has no hashes */
    float f[6];
    double d[6];
    int64_t i[4];
    assert_int_equal(at_st_to_f32(&c, at_st_find(st, "matrix"), f), AT_OK);
    assert_int_equal(at_st_to_f64(&c, at_st_find(st, "matrix"), d), AT_OK);
    for (int k = 0; k < 6; k++) assert_true(f[k] == (float)k / 4 && d[k] == k / 4.0);
    assert_int_equal(at_st_to_f64(&c, at_st_find(st, "double"), d), AT_OK);
    assert_true(d[0] == 1e300 && d[1] == -1e-300 && d[2] == 0.1);
    assert_int_equal(at_st_to_f32(&c, at_st_find(st, "double"), f), AT_OK);
    assert_true(f[2] == 0.1f);
    assert_int_equal(at_st_to_f32(&c, at_st_find(st, "half"), f), AT_OK);
    assert_true(f[0] == 0.5f && f[1] == -65504 && f[2] == 0x1p-24f);
    assert_int_equal(at_st_to_i64(&c, at_st_find(st, "ids"), i), AT_OK);
    assert_true(i[0] == 1 && i[1] == 2 && i[2] == -3 && i[3] == 1LL << 40);
    assert_int_equal(at_st_to_i64(&c, at_st_find(st, "small"), i), AT_OK);
    assert_true(i[0] == -128 && i[1] == 127);
    assert_int_equal(at_st_to_i64(&c, at_st_find(st, "bytes"), i), AT_OK);
    assert_true(i[0] == 0 && i[1] == 255 && i[2] == 7);
    assert_int_equal(at_st_to_i64(&c, at_st_find(st, "matrix"), i), AT_FORMAT);
    expect_says(&c, "tensor `matrix`: expected integers, found F32");
    assert_int_equal(at_st_to_f32(&c, at_st_find(st, "ids"), f), AT_FORMAT);
    expect_says(&c, "tensor `ids`: expected F16, BF16, F32 or F64, found I64");
    at_st_close(st);
}

static void wide_integers_and_bf16_are_converted(void **state) {
    (void)state;
    const uint64_t big[2] = {5, 1ull << 63};
    const uint16_t b[2] = {0x3F80, 0xC040};
    at_st_tensor t = {
        .name = "u", .dtype = AT_DT_U64, .rank = 1, .dim = {1}, .data = big, .bytes = 8};
    int64_t i[2];
    float f[2];
    double d[2];
    assert_int_equal(at_st_to_i64(&c, &t, i), AT_OK);
    assert_int_equal(i[0], 5);
    t.bytes = 16;
    assert_int_equal(at_st_to_i64(&c, &t, i), AT_FORMAT);
    expect_says(&c, "value 9223372036854775808 does not fit");
    t = (at_st_tensor){
        .name = "b", .dtype = AT_DT_BF16, .rank = 1, .dim = {2}, .data = b, .bytes = 4};
    assert_int_equal(at_st_to_f32(&c, &t, f), AT_OK);
    assert_int_equal(at_st_to_f64(&c, &t, d), AT_OK);
    assert_true(f[0] == 1 && f[1] == -3 && d[0] == 1 && d[1] == -3);
}

static void out_of_memory_is_said_at_every_allocation(void **state) {
    (void)state;
    char *path = write_sample("a.safetensors");
    at_st *st = NULL;
    int64_t n = 1;
    for (;; n++) {
        c.fail_after = n;
        const at_status s = at_st_open(&c, path, &st);
        c.fail_after = 0;
        if (!s) break;
        assert_int_equal(s, AT_OOM);
        assert_null(st);
    }
    assert_true(n > 4);
    at_st_close(st);
    at_free(path);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void) {
    const struct CMUnitTest tests[] = {
        T(every_lie_of_an_entry_is_refused),
        T(entries_that_do_not_fit_together_are_refused),
        T(headers_that_are_none_are_refused),
        T(an_empty_table_is_a_file),
        T(what_is_written_is_read),
        T(every_altered_byte_is_seen),
        T(the_writer_refuses_nonsense),
        T(a_file_of_the_python_package_is_read),
        T(wide_integers_and_bf16_are_converted),
        T(out_of_memory_is_said_at_every_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
