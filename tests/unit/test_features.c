/* test_features.c - what a model reads of a table's rows: fitted on training rows, kept with it. */
#include "check.h"
#include "data/features.h"
#include "data/table_read.h"
#include <math.h>
#include <stdio.h>

static at_ctx ctx;
static const char text[] = "n,colour,gap,same,id,label\n"
                           "1,red,5,7,r0,a\n2,blue,?,7,r1,b\n3,red,7,7,r2,a\n4,green,9,7,r3,b\n"
                           "100,violet,?,8,r4,c\n?,?,1,7,r5,a\n";
enum { TRAIN = 4 };

static void open_table(at_table *t) {
    OK(at_table_parse(&ctx, "t", text, sizeof text - 1, NULL, t));
}

static void parse(const char *csv, at_table *t) {
    OK(at_table_parse(&ctx, "u", csv, strlen(csv), NULL, t));
}

static void fit(const at_table *t, const char *label, const at_features_options *o,
                at_features *f) {
    static const int64_t row[TRAIN] = {0, 1, 2, 3};
    OK(at_features_fit(&ctx, t, at_table_find(t, label), row, TRAIN, o, f));
}

static void near(const at_real *x, const double *expected, int64_t n) {
    for (int64_t i = 0; i < n; i++)
        if (!(fabs((double)x[i] - expected[i]) < 1e-6 * (1 + fabs(expected[i]))))
            fail_msg("input %d: expected %g, found %g", (int)i, expected[i], (double)x[i]);
}

static void numbers_levels_missing(void **state) {
    (void)state;
    at_table t;
    at_features f;
    at_reading r;
    open_table(&t);
    fit(&t, "label", &(at_features_options){0}, &f);
    /* n; three colours of training rows; gap and whether it is missing; four different ids are few */
    assert_int_equal(f.n, 4);
    assert_int_equal(f.inputs, 1 + 3 + 2 + 4);
    assert_int_equal(f.classes.n, 2);
    assert_int_equal(f.majority, 0); /* two of each: the first */
    assert_string_equal(f.classes.name[1], "b");
    OK(at_reading_open(&ctx, &f, &t, &r));
    at_real x[10];
    const double sd = sqrt(1.25), gap = sqrt(8.0 / 3);
    at_reading_row(&r, 0, x);
    near(x, (double[]){-1.5 / sd, 0, 0, 1, -2 / gap, 0, 1, 0, 0, 0}, 10); /* blue, green, red */
    at_reading_row(&r, 1, x);
    near(x, (double[]){-0.5 / sd, 1, 0, 0, 0, 1, 0, 1, 0, 0}, 10);
    at_reading_row(&r, 4, x); /* a colour and an id that no training row has */
    near(x, (double[]){97.5 / sd, 0, 0, 0, 0, 1, 0, 0, 0, 0}, 10);
    at_reading_row(&r, 5, x);
    near(x, (double[]){0, 0, 0, 0, -6 / gap, 0, 0, 0, 0, 0}, 10);
    at_reading_close(&r);
    at_features_close(&f);
    at_table_close(&t);
}

static void scalings(void **state) {
    (void)state;
    at_table t;
    at_features f;
    at_reading r;
    at_real x[8];
    char *ignore[] = {(char[]){"id"}, (char[]){"colour"}};
    open_table(&t);
    for (int scaling = AT_SCALE_QUANTILE; scaling <= AT_SCALE_NONE; scaling++) {
        fit(&t, "label",
            &(at_features_options){.scaling = (at_scaling)scaling, .ignore = ignore, .n_ignore = 2},
            &f);
        assert_int_equal(f.inputs, 3);
        OK(at_reading_open(&ctx, &f, &t, &r));
        const double w = sqrt(3);
        for (int i = 0; i < 6; i++) {
            static const double n[] = {1, 2, 3, 4, 100, 0}, q[] = {-1, -1. / 3, 1. / 3, 1, 1, 0};
            at_reading_row(&r, i, x);
            near(x, (double[]){scaling == AT_SCALE_NONE ? n[i] : w * q[i]}, 1);
        }
        at_reading_close(&r);
        at_features_close(&f);
    }
    at_table_close(&t);
    /* between and on equal quantiles */
    parse("x,y\n0,1\n2,1\n2,1\n2,1\n6,2\n1,2\n4,2\n2,3\n-9,3\n", &t);
    static const int64_t five[] = {0, 1, 2, 3, 4};
    OK(at_features_fit(&ctx, &t, 1, five, 5, &(at_features_options){.scaling = AT_SCALE_QUANTILE},
                       &f));
    OK(at_reading_open(&ctx, &f, &t, &r));
    static const double at[] = {0, 0.5, 0.5, 0.5, 1, 0.125, 0.875, 0.5, 0};
    for (int i = 0; i < 9; i++) {
        at_reading_row(&r, i, x);
        near(x, (double[]){(2 * at[i] - 1) * sqrt(3)}, 1);
    }
    at_reading_close(&r);
    at_features_close(&f);
    at_table_close(&t);
}

static void a_number_to_predict(void **state) {
    (void)state;
    at_table t;
    at_features f;
    open_table(&t);
    fit(&t, "n", &(at_features_options){0}, &f);
    assert_int_equal(f.classes.n, 0);
    assert_true(f.mean == 2.5 && fabs(f.spread - sqrt(1.25)) < 1e-12);
    at_features_close(&f);
    OK(at_features_fit(&ctx, &t, 0, (int64_t[]){2, 3, 4}, 3, &(at_features_options){0}, &f));
    assert_true(fabs(f.mean - 107.0 / 3) < 1e-12); /* of these rows, wherever they are */
    at_features_close(&f);
    at_table_close(&t);
}

static void refused(void **state) {
    (void)state;
    at_table t, few;
    at_features f;
    at_reading r;
    static const int64_t row[] = {0, 2};
    open_table(&t);
    assert_int_equal(at_features_fit(&ctx, &t, 5, row, 2, &(at_features_options){0}, &f),
                     AT_FORMAT);
    expect_says(&ctx,
                "t: column `label`: expected two classes or more in 2 training rows, found 1");
    assert_int_equal(at_features_fit(&ctx, &t, 3, row, 2, &(at_features_options){0}, &f),
                     AT_FORMAT);
    expect_says(&ctx, "column `same` is the same number in all of 2");
    char *wrong[] = {(char[]){"color"}};
    assert_int_equal(at_features_fit(&ctx, &t, 5, (int64_t[]){0, 1}, 2,
                                     &(at_features_options){.ignore = wrong, .n_ignore = 1}, &f),
                     AT_ARG);
    expect_says(&ctx, "no column `color`, did you mean `colour`?");
    fit(&t, "label", &(at_features_options){0}, &f);
    parse("n,gap\n1,2\n", &few);
    assert_int_equal(at_reading_open(&ctx, &f, &few, &r), AT_MISMATCH);
    expect_says(&ctx, "u: no column `colour`, which the model reads");
    at_table_close(&few);
    parse("n,gap,colour,id\n1,2,red,x\nmany,2,red,x\nfew,3,red,x\n", &few);
    assert_int_equal(at_reading_open(&ctx, &f, &few, &r), AT_MISMATCH);
    expect_says(&ctx, "column `n`: expected a number");
    at_table_close(&few);
    at_features_close(&f);
    at_table_close(&t);
}

/* Written and read again: the same inputs, to the bit. */
static void round_trip(void **state) {
    (void)state;
    at_table t;
    at_features f, g;
    at_reading r, q;
    at_real x[16], y[16];
    open_table(&t);
    for (int scaling = 0; scaling <= AT_SCALE_NONE; scaling++)
        for (int label = 0; label < 2; label++) {
            at_json j;
            fit(&t, label ? "n" : "label", &(at_features_options){.scaling = (at_scaling)scaling},
                &f);
            at_json_open(&j, &ctx);
            at_features_write(&f, &j);
            cJSON *o = at_json_value(&j, "written");
            assert_non_null(o);
            OK(at_features_read(&ctx, "read", o, &g));
            assert_int_equal(f.inputs, g.inputs);
            assert_int_equal(f.classes.n, g.classes.n);
            assert_int_equal(f.majority, g.majority);
            assert_true(f.mean == g.mean && f.spread == g.spread);
            OK(at_reading_open(&ctx, &f, &t, &r));
            OK(at_reading_open(&ctx, &g, &t, &q));
            for (int i = 0; i < 6; i++) {
                at_reading_row(&r, i, x);
                at_reading_row(&q, i, y);
                assert_memory_equal(x, y, (size_t)f.inputs * sizeof *x);
            }
            at_reading_close(&r);
            at_reading_close(&q);
            at_features_close(&f);
            at_features_close(&g);
            cJSON_Delete(o);
        }
    at_table_close(&t);
}

/* A level that is there or missing is an input; one that never is there is none. */
static void single_levels(void **state) {
    (void)state;
    at_table t;
    at_features f;
    at_reading r;
    at_real x[2];
    static const int64_t row[] = {0, 1, 2};
    parse("a,b,y\nt,?,p\n?,?,q\nt,?,p\n", &t);
    OK(at_features_fit(&ctx, &t, 2, row, 3, &(at_features_options){0}, &f));
    assert_int_equal(f.inputs, 1);
    OK(at_reading_open(&ctx, &f, &t, &r));
    for (int i = 0; i < 3; i++) {
        at_reading_row(&r, i, x);
        assert_true(x[0] == (at_real)(i != 1));
    }
    at_reading_close(&r);
    at_features_close(&f);
    at_table_close(&t);
}

/* A column that numbers the rows is left out. */
/* A column of texts is bytes plus 1, alone, cut and filled up; it is kept as it was, and stands alone. */
static void texts(void **state) {
    (void)state;
    enum { LENGTH = 4 };
    static const char *const bad[] = {
        "{\"label\": \"l\", \"classes\": [\"a\", \"b\"], \"majority\": 0, \"columns\": ["
        "{\"name\": \"s\", \"text\": 4}, {\"name\": \"t\", \"text\": 4}]}",
        "{\"label\": \"l\", \"classes\": [\"a\", \"b\"], \"majority\": 0, \"columns\": ["
        "{\"name\": \"s\", \"text\": 0}]}"};
    at_table t, digits;
    at_features f, g;
    at_reading r;
    at_json j;
    at_real x[LENGTH];
    parse("n,s,l\n1,\xc3\xa9!,a\n2,longer,b\n3,?,a\n4,ab,b\n", &t);
    fit(&t, "l", &(at_features_options){.text = "s", .text_length = LENGTH}, &f);
    at_json_open(&j, &ctx);
    at_features_write(&f, &j);
    cJSON *o = at_json_value(&j, "f");
    assert_non_null(o);
    OK(at_features_read(&ctx, "read", o, &g));
    cJSON_Delete(o);
    assert_true(at_features_text(&f) && at_features_text(&g) && g.inputs == LENGTH && g.n == 1);
    OK(at_reading_open(&ctx, &g, &t, &r));
    static const double expected[TRAIN][LENGTH] = {
        {0xc4, 0xaa, '!' + 1}, {'l' + 1, 'o' + 1, 'n' + 1, 'g' + 1}, {0}, {'a' + 1, 'b' + 1}};
    for (int i = 0; i < TRAIN; i++) {
        at_reading_row(&r, i, x);
        near(x, expected[i], LENGTH);
    }
    at_reading_close(&r);
    parse("s\n12\n7\n", &digits);
    OK(at_reading_open(&ctx, &g, &digits, &r));
    at_reading_row(&r, 0, x);
    near(x, (double[]){'1' + 1, '2' + 1, 0, 0}, LENGTH);
    at_reading_close(&r);
    at_table_close(&digits);
    at_features_close(&g);
    at_features_close(&f);
    at_table_close(&t);
    for (int i = 0; i < 2; i++) {
        o = cJSON_Parse(bad[i]);
        assert_non_null(o);
        assert_int_equal(at_features_read(&ctx, "bad", o, &g), AT_FORMAT);
        expect_says(&ctx, "\"text\"");
        cJSON_Delete(o);
    }
}

static void identifiers(void **state) {
    (void)state;
    enum { N = 60 };
    char csv[N * 24] = "id,x,y\n";
    int64_t row[N];
    for (int i = 0; i < N; i++) {
        row[i] = i;
        (void)snprintf(csv + strlen(csv), 24, "n%d,%d,%d\n", i, i * i % 7, i % 2);
    }
    at_table t;
    at_features f;
    OK(at_table_parse(&ctx, "t", csv, strlen(csv), NULL, &t));
    OK(at_column_to_levels(&ctx, &t, 2));
    OK(at_features_fit(&ctx, &t, 2, row, N, &(at_features_options){0}, &f));
    assert_int_equal(f.n, 1);
    assert_string_equal(f.feature[0].name, "x");
    at_features_close(&f);
    at_table_close(&t);
}

int main(void) {
    at_ctx_init(&ctx, 1);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_levels_missing),
        cmocka_unit_test(scalings),
        cmocka_unit_test(a_number_to_predict),
        cmocka_unit_test(refused),
        cmocka_unit_test(round_trip),
        cmocka_unit_test(texts),
        cmocka_unit_test(identifiers),
        cmocka_unit_test(single_levels),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
