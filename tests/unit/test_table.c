/*
 * test_table.c - tables: CSV, ARFF, FANN, IDX; what is refused, with its place; splits by class.
 */
#include "base/file.h"
#include "base/rng.h"
#include "check.h"
#include "data/split.h"
#include "data/table_read.h"
#include <math.h>
#include <stdio.h>
#include <zlib.h>

static at_ctx ctx;

static at_table parsed(const char *text, const at_table_options *o) {
    at_table t;
    OK(at_table_parse(&ctx, "t", text, strlen(text), o, &t));
    return t;
}

static void refused(const char *text, at_status status, const char *says) {
    at_table t;
    const at_status s = at_table_parse(&ctx, "t", text, strlen(text), NULL, &t);
    if (s != status)
        fail_msg("\"%s\": status %d (%s), expected \"%s\"", text, s, ctx.message, says);
    expect_says(&ctx, says);
    assert_true(!t.n && !t.rows && !t.column);
}

static double number(const at_table *t, const char *column, int64_t row) {
    const int64_t k = at_table_find(t, column);
    if (k < 0) fail_msg("no column %s", column);
    assert_non_null(t->column[k].number);
    return t->column[k].number[row];
}

static const char *level(const at_table *t, const char *column, int64_t row) {
    const int64_t k = at_table_find(t, column);
    if (k < 0) fail_msg("no column %s", column);
    assert_non_null(t->column[k].level);
    const int32_t l = t->column[k].level[row];
    return l < 0 ? "missing" : t->column[k].levels.name[l];
}

static void csv(void **state) {
    (void)state;
    at_table t = parsed("\xEF\xBB\xBF"
                        "a, b ,\"c \"\"d\"\"\",e\r\n"
                        "1,x,\"two\r\nlines, and a mark\",-1.5e-3\r\n"
                        "\r\n"
                        "?, y z ,\"\",NA\n"
                        "+.5,\"x\",w,7.",
                        NULL);
    assert_int_equal(t.n, 4);
    assert_int_equal(t.rows, 3);
    assert_true(number(&t, "a", 0) == 1 && isnan(number(&t, "a", 1)) && number(&t, "a", 2) == 0.5);
    assert_true(number(&t, "e", 0) == -1.5e-3 && isnan(number(&t, "e", 1)) &&
                number(&t, "e", 2) == 7);
    assert_string_equal(level(&t, "b", 0), "x");
    assert_string_equal(level(&t, "b", 1), "y z");
    assert_string_equal(level(&t, "b", 2), "x");
    assert_string_equal(level(&t, "c \"d\"", 0), "two\r\nlines, and a mark");
    assert_string_equal(level(&t, "c \"d\"", 1), "missing");
    assert_int_equal(t.line[0], 2);
    assert_int_equal(t.line[1], 5);
    assert_int_equal(t.line[2], 6);
    assert_int_equal(t.outputs, 0);
    at_table_close(&t);
}

/* The first row is a header if nothing in it could be a value; names that are missing are made up. */
static void headers(void **state) {
    (void)state;
    static const struct {
        const char *text;
        at_table_header header;
        int64_t skip, rows;
        const char *name;
    } of[] = {
        {"a,b\n1,2\n", AT_HEADER_AUTO, 0, 1, "b"},
        {"a,3\n1,2\n", AT_HEADER_AUTO, 0, 2, "c2"},
        {"a,a\n1,2\n", AT_HEADER_NO, 0, 2, "c2"},
        {"u,v\nx,y\n", AT_HEADER_AUTO, 0, 1, "v"},
        {"u,v\nx,y\n", AT_HEADER_NO, 0, 2, "c2"},
        {"1,2\n3,4\n", AT_HEADER_YES, 0, 1, "2"},
        {"a,,c\n1,2,3\n", AT_HEADER_YES, 0, 1, "c2"},
        {"150 4 words\n1;2\n", AT_HEADER_AUTO, 1, 1, "c2"},
        {"a\tb\n1\t2\n", AT_HEADER_AUTO, 0, 1, "b"},
        {"a|b,c|d\n1|2|3\n", AT_HEADER_YES, 0, 1, "b,c"},
        {"a;b\n1;2,5\n", AT_HEADER_YES, 0, 1, "b"},
        {"a,a\nx,y\n", AT_HEADER_AUTO, 0, 2, "c1"},
    };
    for (size_t i = 0; i < sizeof of / sizeof *of; i++) {
        at_table t =
            parsed(of[i].text, &(at_table_options){.header = of[i].header, .skip = of[i].skip});
        if (t.rows != of[i].rows || at_table_find(&t, of[i].name) < 0)
            fail_msg("%s: %lld rows, last column %s", of[i].text, (long long)t.rows,
                     t.column[t.n - 1].name);
        at_table_close(&t);
    }
}

static void csv_refused(void **state) {
    (void)state;
    refused("a,b\n1,2\n3\n", AT_FORMAT, "t:3: 1 cells, expected 2");
    refused("a,b\n1,2\n\n3,4,5\n", AT_FORMAT, "t:4: 3 cells, expected 2");
    refused("a,b\n1,2,3,4\n", AT_FORMAT, "t:2: more than 2 cells");
    refused("a,b\n1,\"2\n3,4\n", AT_FORMAT, "t:2: the quote that opens cell 2 is never closed");
    refused("a,b\n1,\"2\"x\n", AT_FORMAT, "t:2: cell 2: after the quote that ends it expected `,`");
    refused("a,b\n1,2\n3,4\n5,six\n", AT_FORMAT,
            "t:4: column `b`: `six` is no number, while 2 of 3 cells");
    refused("", AT_FORMAT, "t: a table without rows");
    refused("\n\n", AT_FORMAT, "t: a table without rows");
    refused("a,b\n", AT_FORMAT, "t: a table without rows");
    refused("a,b\n1,\xff\n", AT_FORMAT, "t:2: not UTF-8 text (byte 6)");
    at_table t;
    assert_int_equal(at_table_parse(&ctx, "t", "a,a\n1,2\n", 8,
                                    &(at_table_options){.header = AT_HEADER_YES}, &t),
                     AT_FORMAT);
    expect_says(&ctx, "two columns are called `a`");
    char *wrong[] = {(char[]){"colour"}};
    assert_int_equal(at_table_parse(&ctx, "t", "color,b\n1,2\n", 12,
                                    &(at_table_options){.levels = wrong, .n_levels = 1}, &t),
                     AT_ARG);
    expect_says(&ctx, "no column `colour`, did you mean `color`?");
}

/* Numbers that are asked for as levels keep their texts, in the order of their values. */
static void levels(void **state) {
    (void)state;
    char *name[] = {(char[]){"k"}};
    const at_table_options o = {.levels = name, .n_levels = 1};
    at_table t = parsed("k,x\n10,1\n9,1\n?,2\n10,3\n-1,3\n", &o);
    const at_column *k = &t.column[0];
    assert_int_equal(k->levels.n, 3);
    assert_string_equal(k->levels.name[0], "-1");
    assert_string_equal(k->levels.name[1], "9");
    assert_string_equal(k->levels.name[2], "10");
    assert_true(k->level[0] == 2 && k->level[1] == 1 && k->level[2] == -1 && k->level[4] == 0);
    assert_int_equal(at_levels_find(&k->levels, "9", 1), 1);
    assert_int_equal(at_levels_find(&k->levels, "8", 1), -1);
    at_table_close(&t);
    t = parsed("k\nb\na\nB\n", NULL); /* bytes */
    assert_string_equal(t.column[0].levels.name[0], "B");
    assert_string_equal(t.column[0].levels.name[2], "b");
    at_table_close(&t);
    t = parsed("x,y\n0.1,1\n2,1\n1e3,1\n0.30000000000000004,2\n", NULL);
    OK(at_column_to_levels(&ctx, &t, 0)); /* afterwards, from the numbers */
    assert_string_equal(level(&t, "x", 0), "0.1");
    assert_string_equal(level(&t, "x", 2), "1000");
    assert_string_equal(level(&t, "x", 3), "0.30000000000000004");
    at_table_close(&t);
}

/* Many texts: the table of numbers grows, and each is found again. */
static void many_levels(void **state) {
    (void)state;
    at_levels l = {0};
    enum { N = 5000 };
    static int32_t to[N];
    char text[24];
    for (int i = 0; i < 2 * N; i++) {
        const int n = snprintf(text, sizeof text, "%d", i * 7919 % N);
        assert_true(at_levels_add(&ctx, &l, text, (size_t)n) >= 0);
    }
    assert_int_equal(l.n, N);
    OK(at_levels_sort(&ctx, &l, to));
    for (int i = 0; i < N; i++) {
        const int n = snprintf(text, sizeof text, "%d", i);
        assert_int_equal(at_levels_find(&l, text, (size_t)n), i);
        assert_int_equal(to[i], i * 7919 % N);
    }
    at_levels_close(&l);
}

static void arff(void **state) {
    (void)state;
    at_table t =
        parsed("% a comment\n@RELATION 'some data'\n\n@attribute 'the width' REAL % and one\n"
               "@attribute kind {b, 'a c', \"d\"}\n@attribute word string\n@ATTRIBUTE n integer\n"
               "@data\n% none\n1.5, 'a c', hello, 3\n?,?,'it\\'s, %',4\n2,d,?,?\n",
               NULL);
    assert_int_equal(t.n, 4);
    assert_int_equal(t.rows, 3);
    assert_true(number(&t, "the width", 0) == 1.5 && isnan(number(&t, "the width", 1)));
    assert_true(number(&t, "n", 1) == 4 && isnan(number(&t, "n", 2)));
    assert_string_equal(t.column[1].levels.name[0], "b"); /* as declared */
    assert_string_equal(level(&t, "kind", 0), "a c");
    assert_string_equal(level(&t, "kind", 1), "missing");
    assert_string_equal(level(&t, "word", 1), "it's, %");
    assert_int_equal(t.line[2], 12);
    at_table_close(&t);
    refused("@relation r\n@attribute x real\n@data\n1\ntwo\n", AT_FORMAT,
            "t:5: column `x`: expected a number or ?, found `two`");
    refused("@relation r\n@attribute x {a,b}\n@data\na\nc\n", AT_FORMAT,
            "t:5: column `x`: `c` is none of its 2 values");
    refused("@relation r\n@attribute x {a,a}\n@data\na\n", AT_FORMAT,
            "t:2: expected each value of the column once");
    refused("@relation r\n@attribute x {a b}\n@data\na\n", AT_FORMAT, "t:2: expected `,` or `}`");
    refused("@relation r\n@attribute x date\n@data\n1\n", AT_UNSUPPORTED,
            "t:2: column `x` is of type date");
    refused("@relation r\n@attribute x real\n@attribute x real\n@data\n1,1\n", AT_FORMAT,
            "t:3: two columns are called `x`");
    refused("@relation r\n@attribute x real\n1\n", AT_FORMAT,
            "t:3: expected a line that begins with @ or %");
    refused("@relation r\n@attribute x real\n", AT_FORMAT, "t:3: expected @data");
    refused("@relation r\n@data\n1\n", AT_FORMAT, "expected @attribute before @data");
    refused("@relation r\n@attribute x real\n@data\n{0 1}\n", AT_UNSUPPORTED, "t:4: sparse rows");
    refused("@relation r\n@attribute x real\n@data\n1,2\n", AT_FORMAT,
            "t:4: 2 cells, expected one");
}

static void fann(void **state) {
    (void)state;
    at_table t = parsed("3 2 2\n0 1.5\n0 1\n2 3\n1 0\n-1 0\n0 1\n", NULL);
    assert_int_equal(t.n, 3); /* one of two outputs is 1: classes */
    assert_int_equal(t.outputs, 1);
    assert_true(number(&t, "in2", 0) == 1.5 && number(&t, "in1", 2) == -1);
    assert_string_equal(level(&t, "class", 0), "2");
    assert_string_equal(level(&t, "class", 1), "1");
    assert_int_equal(t.line[1], 4);
    at_table_close(&t);
    t = parsed("2 1 2\n0\n0.5 1\n2\n0.25 0\n", NULL);
    assert_int_equal(t.n, 3);
    assert_int_equal(t.outputs, 2);
    assert_true(number(&t, "out1", 1) == 0.25);
    at_table_close(&t);
    refused("2 1 1\n0 1\n", AT_FORMAT, "expected a number, found the end of the file");
    refused("2 1 1\n0 1 x 1\n", AT_FORMAT, "t:2: expected a number, found `x`");
    refused("1 1 1\n0 1 5\n", AT_FORMAT, "more numbers than 1 rows of 2");
    refused("999999999 9 9\n0 1 5\n", AT_FORMAT, "do not fit into");
}

static void put32(unsigned char *p, uint32_t x) {
    for (int i = 0; i < 4; i++) p[i] = (unsigned char)(x >> (24 - 8 * i));
}

static void write_gz(const char *path, const void *p, unsigned n) {
    gzFile f = gzopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(gzwrite(f, p, n), (int)n);
    assert_int_equal(gzclose(f), Z_OK);
}

static void idx(void **state) {
    (void)state;
    unsigned char images[4 + 12 + 3 * 4] = {0, 0, 8, 3}, labels[4 + 4 + 3] = {0, 0, 8, 1};
    for (int i = 0; i < 3; i++) put32(images + 4 + 4 * i, i ? 2 : 3);
    put32(labels + 4, 3);
    for (int i = 0; i < 12; i++) images[16 + i] = (unsigned char)(i * 20);
    for (int i = 0; i < 3; i++) labels[8 + i] = (unsigned char)(9 - i);
    char *dir = at_strdup(&ctx, temporary_folder()),
         *a = at_join(&ctx, dir, "t-images-idx3-ubyte.gz"),
         *b = at_join(&ctx, dir, "t-labels-idx1-ubyte.gz");
    at_table t;
    write_gz(a, images, sizeof images);
    OK(at_table_read(&ctx, a, NULL, &t));
    assert_int_equal(t.n, 1); /* without labels */
    assert_int_equal(t.outputs, 0);
    assert_true(t.column[0].image.height == 2 && t.column[0].image.width == 2 &&
                t.column[0].image.channels == 1);
    assert_int_equal(at_column_to_levels(&ctx, &t, 0), AT_MISMATCH);
    expect_says(&ctx, "has images: they are no classes");
    at_table_close(&t);
    write_gz(b, labels, sizeof labels);
    OK(at_table_read(&ctx, a, NULL, &t));
    assert_int_equal(t.n, 2);
    assert_int_equal(t.rows, 3);
    assert_int_equal(t.outputs, 1);
    assert_memory_equal(t.column[0].byte, images + 16, 12);
    OK(at_column_to_levels(&ctx, &t, 1));
    assert_string_equal(level(&t, "label", 0), "9");
    at_table_close(&t);
    put32(labels + 4, 2);
    write_gz(b, labels, sizeof labels - 1);
    assert_int_equal(at_table_read(&ctx, a, NULL, &t), AT_MISMATCH);
    expect_says(&ctx, "expected 3 labels");
    images[7] = 9; /* rows */
    write_gz(a, images, sizeof images);
    assert_int_equal(at_table_read(&ctx, a, NULL, &t), AT_FORMAT);
    expect_says(&ctx, "9 rows of 4 values are 52 bytes, found 28");
    OK(at_remove_tree(&ctx, dir));
    at_free(a);
    at_free(b);
    at_free(dir);
    static const unsigned char floats[] = {0,    0,    13, 1, 0,    0,    0, 2,
                                           0xBF, 0xC0, 0,  0, 0x7F, 0x80, 0, 0};
    OK(at_table_parse(&ctx, "t", (const char *)floats, sizeof floats, NULL, &t));
    assert_true(t.column[0].number[0] == -1.5 &&
                isnan(t.column[0].number[1])); /* infinite: missing */
    at_table_close(&t);
}

/* ---- splits ---- */

static void splits(void **state) {
    (void)state;
    enum { N = 300 };
    int32_t of[N];
    for (int i = 0; i < N; i++) of[i] = i < 3 ? -1 : i == 3 ? 2 : i % 4 == 0;
    const at_row_split_options o = {.seed = 3, .validation = 0.2, .test = 0.1};
    at_row_split s, again, other;
    OK(at_row_split_make(&ctx, N, of, &o, &s));
    int seen[N] = {0}, class[AT_PARTS_OF_TABLE][3] = {{0}};
    for (int p = 0; p < AT_PARTS_OF_TABLE; p++)
        for (int64_t i = 0; i < s.n[p]; i++) {
            assert_true(!i || s.row[p][i] > s.row[p][i - 1]);
            seen[s.row[p][i]]++;
            class[p][of[s.row[p][i]]]++;
        }
    for (int i = 0; i < N; i++) assert_int_equal(seen[i], of[i] >= 0);
    int all[3] = {0};
    for (int i = 3; i < N; i++) all[of[i]]++;
    for (int k = 0; k < 2; k++) {
        assert_int_equal(class[AT_PART_TEST][k], (int)floor(0.1 * all[k] + 0.5));
        assert_int_equal(class[AT_PART_VALIDATION][k], (int)floor(0.2 * all[k] + 0.5));
    }
    assert_int_equal(class[AT_PART_TRAIN][2], 1); /* the only one of its class */
    OK(at_row_split_make(&ctx, N, of, &o, &again));
    OK(at_row_split_make(
        &ctx, N, of, &(at_row_split_options){.seed = 4, .validation = 0.2, .test = 0.1}, &other));
    assert_memory_equal(s.row[AT_PART_TEST], again.row[AT_PART_TEST],
                        (size_t)s.n[AT_PART_TEST] * 8);
    assert_true(
        memcmp(s.row[AT_PART_TEST], other.row[AT_PART_TEST], (size_t)s.n[AT_PART_TEST] * 8) != 0);
    at_row_split_close(&again);
    at_row_split_close(&other);
    /* fewer rows for training: some of those, of each class in proportion; the rest stays */
    OK(at_row_split_make(
        &ctx, N, of, &(at_row_split_options){.seed = 3, .validation = 0.2, .test = 0.1, .most = 40},
        &other));
    assert_int_equal(other.n[AT_PART_TRAIN], 40);
    assert_int_equal(other.n[AT_PART_TEST], s.n[AT_PART_TEST]);
    int ones = 0;
    for (int64_t i = 0; i < 40; i++) {
        bool in = false;
        for (int64_t j = 0; j < s.n[AT_PART_TRAIN]; j++)
            in |= s.row[AT_PART_TRAIN][j] == other.row[AT_PART_TRAIN][i];
        assert_true(in);
        ones += of[other.row[AT_PART_TRAIN][i]] == 1;
    }
    assert_in_range(ones, 9, 11);
    at_row_split_close(&other);
    at_row_split_close(&s);
}

/* ---- data frames of R ---- */

#define FRAMES "fuzz/corpus/fuzz_table/frames.rda"

static at_status read_frame(const char *frame, bool if_many, at_table *t) {
    return at_table_read(&ctx, FRAMES,
                         &(at_table_options){.frame = frame, .frame_if_many = if_many}, t);
}

/* Every kind of column, each with a value that is missing; texts in Latin-1; sequences and wrapped vectors
   in R's own representations. */
static void frames(void **state) {
    (void)state;
    at_table t;
    OK(read_frame("cars", false, &t));
    assert_int_equal(t.rows, 3);
    assert_int_equal(t.n, 7);
    assert_true(number(&t, "speed", 0) == 4.5 && isnan(number(&t, "speed", 1)) &&
                isnan(number(&t, "speed", 2)));
    assert_true(number(&t, "doors", 1) == 5 && isnan(number(&t, "doors", 2)));
    assert_string_equal(level(&t, "fast", 0), "TRUE");
    assert_string_equal(level(&t, "fast", 1), "missing");
    assert_string_equal(level(&t, "fast", 2), "FALSE");
    assert_string_equal(level(&t, "kind", 0), "bus");
    assert_string_equal(level(&t, "kind", 1), "missing");
    assert_string_equal(level(&t, "kind", 2), "van");
    const at_column *kind = &t.column[at_table_find(&t, "kind")];
    assert_int_equal(kind->levels.n, 3); /* as declared, not in order */
    assert_string_equal(kind->levels.name[0], "van");
    assert_string_equal(level(&t, "maker", 0), "K\xC3\x83\xC2\xB6");
    assert_string_equal(level(&t, "maker", 1), "missing");
    assert_string_equal(level(&t, "maker", 2), "\xC3\x89");
    assert_true(number(&t, "row", 0) == 10 && number(&t, "row", 2) == 14);
    assert_true(number(&t, "width", 2) == 3);
    at_table_close(&t);
    OK(at_table_read(&ctx, "fuzz/corpus/fuzz_table/one.rds",
                     &(at_table_options){.frame = "any", .frame_if_many = true}, &t));
    assert_int_equal(t.rows, 8);
    assert_string_equal(level(&t, "class", 1), "yes");
    at_table_close(&t);
}

static void which_frame(void **state) {
    (void)state;
    at_table t;
    OK(read_frame("small", true, &t));
    assert_int_equal(t.rows, 8);
    assert_string_equal(level(&t, "y", 1), "\xC3\xB6");
    at_table_close(&t);
    assert_int_equal(read_frame(NULL, false, &t), AT_ARG);
    expect_says(&ctx, FRAMES ": several data frames, table.frame says which: it has cars, small");
    assert_int_equal(read_frame("mat", false, &t), AT_ARG);
    expect_says(&ctx, "no data frame `mat`: it has cars, small");
    assert_int_equal(at_table_parse(&ctx, "t", "a\n1\n", 4, &(at_table_options){.frame = "a"}, &t),
                     AT_ARG);
    expect_says(&ctx, "t: a data frame `a` of R is asked for, and this is none");
    OK(at_table_parse(&ctx, "t", "a\n1\n", 4,
                      &(at_table_options){.frame = "a", .frame_if_many = true}, &t));
    at_table_close(&t);
}

/* Cut anywhere, or with any byte turned over, it is an error that names the file, or a table still. */
static void damaged_frames(void **state) {
    (void)state;
    at_table t;
    size_t bytes;
    const at_table_options o = {.frame = "cars"};
    char *text = at_read_file(&ctx, FRAMES, 1 << 20, &bytes);
    assert_non_null(text);
    for (size_t n = 5; n < bytes; n++) {
        if (!at_table_parse(&ctx, "name", text, n, &o, &t)) fail_msg("%zu bytes are enough", n);
        expect_says(&ctx, "name: ");
    }
    assert_int_equal(at_table_parse(&ctx, "name", text, bytes - 8, &o, &t), AT_FORMAT);
    expect_says(&ctx, "name: byte 1");
    expect_says(&ctx, "of the R data: the file is cut off here");
    for (size_t i = 5; i < bytes; i++) {
        text[i] = (char)~text[i];
        if (!at_table_parse(&ctx, "name", text, bytes, &o, &t)) at_table_close(&t);
        text[i] = (char)~text[i];
    }
    at_free(text);
    refused("RDA3\nA\n3\n", AT_UNSUPPORTED, "save(..., ascii = FALSE)");
    refused("BZh91AY", AT_UNSUPPORTED, "t: compressed by bzip2");
    refused("\xFD"
            "7zXZ",
            AT_FORMAT, "not UTF-8 text");
}

int main(void) {
    at_ctx_init(&ctx, 1);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(csv),    cmocka_unit_test(headers),     cmocka_unit_test(csv_refused),
        cmocka_unit_test(levels), cmocka_unit_test(many_levels), cmocka_unit_test(arff),
        cmocka_unit_test(fann),   cmocka_unit_test(idx),         cmocka_unit_test(splits),
        cmocka_unit_test(frames), cmocka_unit_test(which_frame), cmocka_unit_test(damaged_frames),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
