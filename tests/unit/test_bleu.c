/*
 * test_bleu.c - BLEU and chrF against what sacreBLEU says (tools/golden_bleu.py), and cases that
 * can be counted by hand.
 */
#include "check.h"
#include "data/bleu.h"
#include "data/lines.h"
#include <math.h>

static at_ctx ctx;
#define FOLDER "tests/golden/bleu/"

static double number(const cJSON *o, const char *key) {
    const cJSON *v = cJSON_GetObjectItemCaseSensitive(o, key);
    assert_true(cJSON_IsNumber(v));
    return v->valuedouble;
}
static void near(double got, double want, const char *what) {
    if (!(fabs(got - want) < 1e-9 * (1 + fabs(want))))
        fail_msg("%s: %.12g, not %.12g", what, got, want);
}

/* Each line alone, then all of them. */
static void as_sacrebleu(void **state) {
    (void)state;
    at_lines *text, *reference;
    at_bleu_counts all, one;
    at_bleu b;
    cJSON *o = at_json_read(&ctx, FOLDER "expected.json");
    assert_non_null(o);
    OK(at_lines_open(&ctx, FOLDER "text.txt", 1 << 20, &text));
    OK(at_lines_open(&ctx, FOLDER "reference.txt", 1 << 20, &reference));
    at_bleu_init(&all, &ctx);
    const cJSON *line;
    int64_t n = 0;
    cJSON_ArrayForEach(line, cJSON_GetObjectItemCaseSensitive(o, "lines")) {
        const char *s, *r;
        size_t ns, nr;
        OK(at_lines_next(&ctx, text, &s, &ns));
        OK(at_lines_next(&ctx, reference, &r, &nr));
        at_bleu_init(&one, &ctx);
        OK(at_bleu_add(&one, s, ns, r, nr));
        at_bleu_score(&one, &b);
        near(b.score, number(line, "bleu"), s);
        near(at_chrf_score(&one), number(line, "chrf"), s);
        at_bleu_close(&one);
        OK(at_bleu_add(&all, s, ns, r, nr));
        n++;
    }
    assert_int_equal(n, 60);
    assert_int_equal(all.lines, 60);
    at_bleu_score(&all, &b);
    near(b.score, number(o, "bleu"), "bleu");
    near(b.brevity, number(o, "brevity"), "brevity");
    near((double)all.words, number(o, "words"), "words");
    near((double)all.reference_words, number(o, "reference_words"), "reference's words");
    const cJSON *p = cJSON_GetObjectItemCaseSensitive(o, "precision");
    for (int k = 0; k < AT_BLEU_ORDER; k++)
        near(b.precision[k], cJSON_GetArrayItem(p, k)->valuedouble, "precision");
    near(at_chrf_score(&all), number(o, "chrf"), "chrf");
    at_bleu_close(&all);
    at_lines_close(text);
    at_lines_close(reference);
    cJSON_Delete(o);
}

static void score(const char *text, const char *reference, at_bleu *b, double *chrf) {
    at_bleu_counts o;
    at_bleu_init(&o, &ctx);
    OK(at_bleu_add(&o, text, strlen(text), reference, strlen(reference)));
    at_bleu_score(&o, b);
    *chrf = at_chrf_score(&o);
    at_bleu_close(&o);
}

static void by_hand(void **state) {
    (void)state;
    at_bleu b;
    double chrf;
    score("a b c d e", "a b c d e", &b, &chrf);
    near(b.score, 100, "the same");
    near(chrf, 100, "the same");
    /* a word repeated counts as often as in the reference: 2 of 4, 1 of 3 pairs, no triple */
    score("a a a a", "a a b c", &b, &chrf);
    near(b.precision[0], 50, "words");
    near(b.precision[1], 100.0 / 3, "pairs");
    near(b.precision[2], 100.0 / (2 * 2), "triples, smoothed");
    near(b.precision[3], 100.0 / (4 * 1), "fours, smoothed");
    near(b.score, 100 * pow(0.5 / 3 * 0.25 * 0.25, 0.25), "all");
    score("a b c d", "a b c d e f", &b, &chrf);
    near(b.brevity, exp(1 - 6.0 / 4), "brevity");
    score("a b c d e f", "a b c d", &b, &chrf);
    assert_true(b.brevity == 1);
    score("", "a b c", &b, &chrf);
    assert_true(b.score == 0 && b.brevity == 0 && chrf == 0);
    score("", "", &b, &chrf);
    assert_true(b.score == 0 && chrf == 0);
    /* two of three letters, one of two pairs, no triple */
    score("abx", "aby", &b, &chrf);
    near(chrf, 100 * (2.0 / 3 + 1.0 / 2 + 0) / 3, "equal lengths: F is precision is recall");
    score("\xFF\xFE", "\xFF\xFF", &b, &chrf); /* no UTF-8, a half in common */
    near(chrf, 100 * (0.5 + 0) / 2, "bytes");
}

static void words(void **state) {
    (void)state;
    static const char *const want[][2] = {
        {"Hello, world!", "Hello , world !"},
        {"3.14 and 1,000.", "3.14 and 1,000 ."},
        {"10-12 x-y", "10 - 12 x-y"},
        {"it's &quot;so&quot; (a/b)", "it's \" so \" ( a / b )"},
        {" \t a\xC2\xA0"
         "b  ",
         "a b"},
        {"<skipped>x", "x"},
        {"", ""},
    };
    for (size_t i = 0; i < sizeof want / sizeof *want; i++) {
        at_text t;
        at_text_init(&t, &ctx, 0);
        OK(at_bleu_words(&ctx, want[i][0], strlen(want[i][0]), &t));
        assert_string_equal(t.s ? t.s : "", want[i][1]);
        at_text_close(&t);
    }
}

int main(void) {
    at_ctx_init(&ctx, 1);
    const struct CMUnitTest tests[] = {cmocka_unit_test(as_sacrebleu), cmocka_unit_test(by_hand),
                                       cmocka_unit_test(words)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
