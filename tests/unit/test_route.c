/* test_route.c - fitting, predicting, explaining and measuring, on synthetic sequences and against
   scikit-learn (tests/golden/router.json, made by tools/golden_router.py). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above */
#include "base/rng.h"
#include "route/router.h"
#include <cjson/cJSON.h>
#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_IDS = 4096, MAX_SEQUENCES = 256 };

typedef struct sample {
    int32_t id[MAX_IDS], label[MAX_SEQUENCES];
    int64_t start[MAX_SEQUENCES + 1], n;
} sample;

static void add(sample *s, const int32_t *id, int64_t n, int label) {
    assert_true(s->n < MAX_SEQUENCES && s->start[s->n] + n <= MAX_IDS);
    if (n) memcpy(s->id + s->start[s->n], id, (size_t)n * sizeof *id);
    s->label[s->n] = label;
    s->start[s->n + 1] = s->start[s->n] + n;
    s->n++;
}

static at_router_set set_of(const sample *s, const char *const *name, int classes, int64_t vocab) {
    return (at_router_set){.n_classes = classes,
                           .name = name,
                           .vocab = vocab,
                           .n = s->n,
                           .start = s->start,
                           .id = s->id,
                           .label = s->label};
}

static const char *const three[] = {"en", "fr", "py"};

/* Class k prefers ids 10 k + 1 .. 10 k + 9, with noise; 0 ends a document. */
static void synthetic(sample *s, int classes, int each) {
    for (int k = 0; k < classes; k++)
        for (int i = 0; i < each; i++) {
            int32_t id[12];
            for (int t = 0; t < 12; t++) {
                const uint64_t index = (uint64_t)((k * each + i) * 12 + t) * 2;
                const bool noise = at_uniform(3, AT_STREAM_TEST, index) < 0.2;
                id[t] = (int32_t)at_rand_below(noise ? 40 : 9, 3, AT_STREAM_TEST, index + 1) +
                        (noise ? 0 : 10 * k + 1);
            }
            id[11] = 0;
            add(s, id, 12, k);
        }
}

static cJSON *read_golden(void) {
    FILE *f = fopen("tests/golden/router.json", "rb");
    assert_non_null(f);
    static char text[1 << 17];
    const size_t n = fread(text, 1, sizeof text - 1, f);
    (void)fclose(f);
    text[n] = 0;
    cJSON *g = cJSON_Parse(text);
    assert_non_null(g);
    return g;
}

static int64_t ids_of(const cJSON *list, int32_t *id) {
    int64_t n = 0;
    const cJSON *v;
    cJSON_ArrayForEach(v, list) id[n++] = v->valueint;
    return n;
}

static double at2(const cJSON *rows, int i, int j) {
    return cJSON_GetArrayItem(cJSON_GetArrayItem(rows, i), j)->valuedouble;
}

static void equals_scikit_learn(void **state) {
    (void)state;
    at_ctx c;
    at_ctx_init(&c, 2);
    cJSON *g = read_golden();
    static sample s;
    s.n = 0;
    int32_t id[64];
    const cJSON *list;
    int i = 0;
    cJSON_ArrayForEach(list, cJSON_GetObjectItem(g, "train")) {
        const int64_t n = ids_of(list, id);
        add(&s, id, n, cJSON_GetArrayItem(cJSON_GetObjectItem(g, "train_label"), i++)->valueint);
    }
    const int32_t drop = cJSON_GetObjectItem(g, "drop")->valueint;
    const int vocab = cJSON_GetObjectItem(g, "vocab")->valueint;
    at_router_set set = set_of(&s, three, 3, vocab);
    set.drop = &drop;
    set.n_drop = 1;
    at_router_options o = at_router_defaults();
    o.c = cJSON_GetObjectItem(g, "C")->valuedouble;
    o.eps = 1e-9;
    at_router *r;
    assert_int_equal(at_router_fit(&c, &set, &o, &r), AT_OK);
    for (int t = 0; t < vocab; t++) {
        const double idf = cJSON_GetArrayItem(cJSON_GetObjectItem(g, "idf"), t)->valuedouble;
        assert_true(fabs((double)r->idf[t] - idf) <= 1e-6 * (1 + idf));
        for (int k = 0; k < 3; k++) {
            const double w = at2(cJSON_GetObjectItem(g, "weight"), k, t);
            assert_true(fabs((double)r->weight[k * vocab + t] - w) <= 1e-4 * (1 + fabs(w)));
        }
    }
    const cJSON *test = cJSON_GetObjectItem(g, "test");
    for (i = 0; i < cJSON_GetArraySize(test); i++) {
        double p[3];
        int best;
        int64_t known;
        const int64_t n = ids_of(cJSON_GetArrayItem(test, i), id);
        assert_int_equal(at_router_predict(&c, r, id, n, p, &best, &known), AT_OK);
        assert_int_equal(best,
                         cJSON_GetArrayItem(cJSON_GetObjectItem(g, "predicted"), i)->valueint);
        for (int k = 0; k < 3; k++)
            assert_true(fabs(p[k] - at2(cJSON_GetObjectItem(g, "probability"), i, k)) < 1e-4);
        assert_true(fabs(p[0] + p[1] + p[2] - 1) < 1e-12);
        assert_true(known < n); /* each holds an id that training never saw, or only dropped ones */
    }
    at_router_close(r);
    cJSON_Delete(g);
}

static void same_bits_for_every_number_of_threads(void **state) {
    (void)state;
    static sample s;
    s.n = 0;
    synthetic(&s, 3, 30);
    at_router *first = NULL;
    for (int threads = 1; threads <= 3; threads++) {
        at_ctx c;
        at_ctx_init(&c, threads);
        const at_router_set set = set_of(&s, three, 3, 40);
        const at_router_options o = at_router_defaults();
        at_router *r;
        assert_int_equal(at_router_fit(&c, &set, &o, &r), AT_OK);
        if (!first) {
            first = r;
            continue;
        }
        assert_memory_equal(r->weight, first->weight, sizeof(float) * 3 * 40);
        assert_memory_equal(r->bias, first->bias, sizeof(float) * 3);
        at_router_close(r);
    }
    at_router_close(first);
}

static void two_classes_have_opposite_weights(void **state) {
    (void)state;
    at_ctx c;
    at_ctx_init(&c, 2);
    static sample s;
    s.n = 0;
    synthetic(&s, 2, 30);
    const at_router_set set = set_of(&s, three, 2, 40);
    const at_router_options o = at_router_defaults();
    at_router *r;
    assert_int_equal(at_router_fit(&c, &set, &o, &r), AT_OK);
    for (int k = 0; k < 2; k++) {
        int32_t id[4] = {10 * k + 2, 10 * k + 3, 10 * k + 4, 0};
        double p[2];
        int best;
        assert_int_equal(at_router_predict(&c, r, id, 4, p, &best, NULL), AT_OK);
        assert_int_equal(best, k);
        assert_true(p[k] > 0.8);
    }
    for (int t = 0; t < 40; t++)
        assert_true(fabsf(r->weight[t] + r->weight[40 + t]) < 0.02F * (1 + fabsf(r->weight[t])));
    at_router_close(r);
}

static void explains_with_the_tokens_that_decided(void **state) {
    (void)state;
    at_ctx c;
    at_ctx_init(&c, 1);
    static sample s;
    s.n = 0;
    synthetic(&s, 3, 40);
    at_router_set set = set_of(&s, three, 3, 48);
    const int32_t end = 0;
    set.drop = &end;
    set.n_drop = 1;
    const at_router_options o = at_router_defaults();
    at_router *r;
    assert_int_equal(at_router_fit(&c, &set, &o, &r), AT_OK);
    const int32_t id[] = {12, 13, 12, 25, 0, 47};
    at_router_reason why[8];
    int64_t n;
    assert_int_equal(at_router_explain(&c, r, id, 6, 1, 8, why, &n), AT_OK);
    assert_int_equal(n, 3); /* 0 is dropped, 47 unknown */
    assert_int_equal(why[0].id, 12);
    assert_int_equal(why[0].count, 2);
    assert_true(why[0].contribution > why[1].contribution && why[1].contribution > 0);
    assert_int_equal(why[2].id, 25); /* speaks for the third class */
    assert_true(why[2].contribution < 0);
    assert_int_equal(at_router_explain(&c, r, id, 6, 1, 1, why, &n), AT_OK);
    assert_int_equal(n, 1);
    assert_int_equal(at_router_explain(&c, r, id, 6, 3, 1, why, &n), AT_ARG);
    at_router_close(r);
}

static void an_empty_sequence_is_decided_by_the_biases(void **state) {
    (void)state;
    at_ctx c;
    at_ctx_init(&c, 1);
    at_router *r;
    assert_int_equal(at_router_new(&c, 3, three, 10, &r), AT_OK);
    r->bias[1] = 2000; /* an overflow of exp would show as NaN */
    r->bias[0] = -2000;
    double p[3];
    int best;
    int64_t known;
    assert_int_equal(at_router_predict(&c, r, NULL, 0, p, &best, &known), AT_OK);
    assert_int_equal(best, 1);
    assert_int_equal(known, 0);
    assert_true(p[0] == 0 && fabs(p[1] - 2.0 / 3) < 1e-12 && fabs(p[2] - 1.0 / 3) < 1e-12);
    r->bias[1] = r->bias[2] = -3000; /* all sigmoids underflow */
    assert_int_equal(at_router_predict(&c, r, NULL, 0, p, &best, &known), AT_OK);
    assert_true(best == 0 && p[0] == 1);
    at_router_close(r);
}

static void scores_are_those_of_the_textbook(void **state) {
    (void)state;
    at_ctx c;
    at_ctx_init(&c, 1);
    at_router_score s;
    assert_int_equal(at_router_score_init(&c, &s, 4), AT_OK);
    /* a a a b | b b c | d never; c appears only as an answer */
    const int truth[] = {0, 0, 0, 0, 1, 1, 1}, answer[] = {0, 0, 0, 1, 1, 1, 2};
    for (int i = 0; i < 7; i++) at_router_score_add(&s, truth[i], answer[i]);
    at_router_score_finish(&s);
    assert_int_equal(s.total, 7);
    assert_true(fabs(s.accuracy - 5.0 / 7) < 1e-15);
    assert_true(fabs(s.class_precision[0] - 1) < 1e-15 && fabs(s.class_recall[0] - 0.75) < 1e-15);
    assert_true(fabs(s.class_precision[1] - 2.0 / 3) < 1e-15);
    assert_true(fabs(s.class_f1[0] - 6.0 / 7) < 1e-15);
    assert_true(s.class_f1[2] == 0 && s.support[2] == 0 && s.support[3] == 0);
    assert_true(fabs(s.precision - (1 + 2.0 / 3 + 0) / 3) < 1e-15);
    assert_true(fabs(s.recall - (0.75 + 2.0 / 3 + 0) / 3) < 1e-15);
    assert_true(fabs(s.weighted_f1 - (4 * 6.0 / 7 + 3 * 2.0 / 3) / 7) < 1e-15);
    at_router_score_free(&s);
}

static void calibration_error_is_that_of_fifteen_bins(void **state) {
    (void)state;
    at_router_bins b = {0};
    assert_true(at_router_bins_error(&b) == 0);
    at_router_bins_add(&b, 1, true); /* belongs to the last bin */
    assert_true(b.n[14] == 1 && at_router_bins_error(&b) == 0);
    at_router_bins_add(&b, 0.95, false);
    at_router_bins_add(&b, 0.65, true); /* in two bins, so that they make up for nothing */
    at_router_bins_add(&b, 0.68, false);
    assert_true(fabs(at_router_bins_error(&b) - (0.95 + 0.35 + 0.68) / 4) < 1e-15);
    at_router_bins_add(&b, 0.66, false); /* in one, so that they do */
    assert_true(fabs(at_router_bins_error(&b) - (0.95 + 0.31 + 0.68) / 5) < 1e-15);
}

static void the_temperature_is_the_likeliest(void **state) {
    (void)state;
    /* three of four are right where 9 to 1 is said: 9 to the power 1 / T is 3 */
    double p[] = {0.9, 0.1, 0.1, 0.9, 0.9, 0.1, 0.1, 0.9};
    const double same[] = {0.9, 0.1, 0.1, 0.9, 0.9, 0.1, 0.1, 0.9};
    const int32_t label[] = {0, 1, 0, 0}, right[] = {0, 1, 0, 1}, wrong[] = {1, 0, 1, 0};
    assert_true(fabs(at_router_temperature(p, label, 4, 2) - 2) < 1e-9);
    memcpy(p, same, sizeof p);
    assert_true(fabs(at_router_temperature(p, right, 4, 2) - 0.1) < 1e-9);
    memcpy(p, same, sizeof p);
    assert_true(fabs(at_router_temperature(p, wrong, 4, 2) - 10) < 1e-9);
    double zero[] = {1, 0, 1, 0};
    assert_true(fabs(at_router_temperature(zero, wrong, 2, 2) - 10) < 1e-9);
}

static void tempering_keeps_the_order(void **state) {
    (void)state;
    at_ctx c;
    at_ctx_init(&c, 1);
    at_router *r;
    assert_int_equal(at_router_new(&c, 3, three, 10, &r), AT_OK);
    assert_true(r->temperature == 1);
    const double given[] = {0.09, 0.01, 0.9};
    double p[3];
    memcpy(p, given, sizeof p);
    at_router_temper(r, p);
    assert_memory_equal(p, given, sizeof p);
    r->temperature = 2;
    at_router_temper(r, p);
    const double sum = 0.3 + 0.1 + sqrt(0.9);
    assert_true(fabs(p[0] - 0.3 / sum) < 1e-15 && fabs(p[1] - 0.1 / sum) < 1e-15);
    assert_true(fabs(p[2] - sqrt(0.9) / sum) < 1e-15);
    p[0] = 0.25;
    p[1] = 0;
    p[2] = 0.75;
    r->temperature = 0.5;
    at_router_temper(r, p);
    assert_true(fabs(p[0] - 0.1) < 1e-15 && p[1] == 0 && fabs(p[2] - 0.9) < 1e-15);
    at_router_close(r);
}

static void bad_input_is_named(void **state) {
    (void)state;
    at_ctx c;
    at_ctx_init(&c, 1);
    static sample s;
    s.n = 0;
    synthetic(&s, 2, 4);
    at_router_options o = at_router_defaults();
    at_router *r;
    at_router_set set = set_of(&s, three, 3, 40);
    assert_int_equal(at_router_fit(&c, &set, &o, &r), AT_ARG);
    assert_non_null(strstr(c.message, "\"py\" has no training sequence"));
    assert_null(r);
    set = set_of(&s, three, 1, 40);
    assert_int_equal(at_router_fit(&c, &set, &o, &r), AT_ARG);
    set = set_of(&s, three, 2, 5);
    assert_int_equal(at_router_fit(&c, &set, &o, &r), AT_ARG);
    assert_non_null(strstr(c.message, "ids are 0 to 4"));
    const char *const twins[] = {"en", "en"};
    set = set_of(&s, twins, 2, 40);
    assert_int_equal(at_router_fit(&c, &set, &o, &r), AT_ARG);
    assert_non_null(strstr(c.message, "taken"));
    set = set_of(&s, three, 2, 40);
    o.c = 0;
    assert_int_equal(at_router_fit(&c, &set, &o, &r), AT_ARG);
    o.c = NAN;
    assert_int_equal(at_router_fit(&c, &set, &o, &r), AT_ARG);
    o = at_router_defaults();
    s.label[0] = 7;
    assert_int_equal(at_router_fit(&c, &set, &o, &r), AT_ARG);
    assert_non_null(strstr(c.message, "label 7"));
    s.label[0] = 0;
    sample *empty = calloc(1, sizeof *empty);
    assert_non_null(empty);
    add(empty, NULL, 0, 0);
    add(empty, NULL, 0, 1);
    set = set_of(empty, three, 2, 40);
    assert_int_equal(at_router_fit(&c, &set, &o, &r), AT_ARG);
    assert_non_null(strstr(c.message, "no training sequence holds a token"));
    free(empty);
    assert_int_equal(at_router_new(&c, 2, three, 8, &r), AT_OK);
    const int32_t id[] = {1, 2, 8};
    int best;
    assert_int_equal(at_router_predict(&c, r, id, 3, NULL, &best, NULL), AT_ARG);
    assert_non_null(strstr(c.message, "token 2 is 8"));
    (void)strcpy(r->tokenizer_hash, "aaaa");
    assert_int_equal(at_router_check(&c, r, "the data set x", "aaaa"), AT_OK);
    assert_int_equal(at_router_check(&c, r, "the data set x", "bbbb"), AT_MISMATCH);
    assert_non_null(strstr(c.message, "aaaa"));
    assert_non_null(strstr(c.message, "bbbb"));
    assert_non_null(strstr(c.message, "the data set x"));
    at_router_close(r);
}

/* Every allocation may fail: a status, no crash (and no leak, under the sanitizers). */
static void survives_every_failed_allocation(void **state) {
    (void)state;
    static sample s;
    s.n = 0;
    synthetic(&s, 2, 6);
    int64_t failures = 0;
    for (;; failures++) {
        at_ctx c;
        at_ctx_init(&c, 1);
        c.fail_after = failures + 1;
        const at_router_set set = set_of(&s, three, 2, 40);
        const at_router_options o = at_router_defaults();
        at_router *r;
        const at_status fitted = at_router_fit(&c, &set, &o, &r);
        c.fail_after = 0;
        if (!fitted) {
            at_router_close(r);
            break;
        }
        assert_int_equal(fitted, AT_OOM);
        assert_null(r);
        assert_true(failures < 200);
    }
    assert_true(failures > 10);
}

static void keep_line(void *user, at_log_level level, const char *line) {
    assert_int_equal(level, AT_LOG_WARN);
    (void)snprintf(user, 200, "%s", line);
}

/* A fit that cannot reach the precision asked for logs a warning with the class, and is used. */
static void warns_of_a_fit_that_gave_up(void **state) {
    (void)state;
    char said[200] = "";
    at_ctx c;
    at_ctx_init(&c, 1);
    c.log = keep_line;
    c.log_user = said;
    static sample s;
    s.n = 0;
    synthetic(&s, 2, 30);
    const at_router_set set = set_of(&s, three, 2, 40);
    at_router_options o = at_router_defaults();
    at_router *r;
    assert_int_equal(at_router_fit(&c, &set, &o, &r), AT_OK);
    assert_string_equal(said, "");
    at_router_close(r);
    o.eps = 1e-300;
    assert_int_equal(at_router_fit(&c, &set, &o, &r), AT_OK);
    if (!strstr(said, "class \"fr\" was given up after")) fail_msg("%s", said);
    at_router_close(r);
}

static void stops_when_asked(void **state) {
    (void)state;
    static atomic_int stop = 1;
    at_ctx c;
    at_ctx_init(&c, 2);
    c.interrupt = &stop;
    static sample s;
    s.n = 0;
    synthetic(&s, 2, 30);
    const at_router_set set = set_of(&s, three, 2, 40);
    const at_router_options o = at_router_defaults();
    at_router *r;
    assert_int_equal(at_router_fit(&c, &set, &o, &r), AT_INTERRUPTED);
    assert_null(r);
    assert_non_null(strstr(c.message, "interrupted"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equals_scikit_learn),
        cmocka_unit_test(same_bits_for_every_number_of_threads),
        cmocka_unit_test(two_classes_have_opposite_weights),
        cmocka_unit_test(explains_with_the_tokens_that_decided),
        cmocka_unit_test(an_empty_sequence_is_decided_by_the_biases),
        cmocka_unit_test(scores_are_those_of_the_textbook),
        cmocka_unit_test(calibration_error_is_that_of_fifteen_bins),
        cmocka_unit_test(the_temperature_is_the_likeliest),
        cmocka_unit_test(tempering_keeps_the_order),
        cmocka_unit_test(bad_input_is_named),
        cmocka_unit_test(warns_of_a_fit_that_gave_up),
        cmocka_unit_test(stops_when_asked),
        cmocka_unit_test(survives_every_failed_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
