/* test_data_language.c - words of a text, and the filter by function words. */
#include "base/rng.h"
#include "data/build.h"
#include "data/language.h"
#include "data/words.h"
#include "in_folder.h"
#include <string.h>

static void expect_words(const char *text, const char *joined) {
    char got[600] = "";
    at_words w = {.p = text, .end = text + strlen(text)};
    while (at_word_next(&w)) {
        assert_int_equal(w.n, (int)strlen(w.word));
        (void)snprintf(got + strlen(got), sizeof got - strlen(got), "%s|", w.word);
    }
    assert_string_equal(got, joined);
}

static void words_of_a_text(void **state) {
    (void)state;
    expect_words("", "");
    expect_words(" 12, 34. ", "");
    expect_words("It's THE 2nd x", "it|s|the|nd|x|");
    expect_words("l\u2019\u00E9t\u00E9\u00A0: \u00ABoui\u00BB \u2014 na\u00EFf",
                 "l|\u00E9t\u00E9|oui|na\u00EFf|");
    expect_words("\u041C\u0438\u0440\u3002\u4E16\u754C", "\u041C\u0438\u0440|\u4E16\u754C|");
    char longest[200], folded[80];
    memset(longest, 'Q', sizeof longest - 1);
    longest[sizeof longest - 1] = 0;
    memset(folded, 'q', 63);
    memcpy(folded + 63, "|", 2);
    expect_words(longest, folded);
    expect_words("\xC2", "\xC2|"); /* cut off: no further than the end */
    expect_words("\xE2\x80", "\xE2\x80|");
}

/* ---- the filter ---- */

static const char *const english[] = {"the", "of",   "and", "to",  "in",
                                      "is",  "that", "it",  "was", "for"};
static const char *const french[] = {"le",  "de",  "et", "la",   "les",
                                     "est", "que", "un", "dans", "pour"};

/* A paragraph whose every other word is a function word, the others of 2000 of the subject. */
static size_t paragraph(char *to, size_t room, const char *const *words, uint64_t i, int subject) {
    size_t n = 0;
    for (uint64_t w = 0; w < 12; w++)
        n += (size_t)snprintf(to + n, room - n, "%s subject%c%c%c ",
                              words[at_rand_below(10, i, AT_STREAM_TEST, w)], 'a' + subject,
                              'a' + (int)at_rand_below(26, i, AT_STREAM_TEST, 100 + w),
                              'a' + (int)at_rand_below(26, i, AT_STREAM_TEST, 200 + w));
    return n;
}

static void add(at_stage *s, at_dedup *seen, const char *key, const char *text, const char *gap) {
    const at_filter all = {0, 0};
    const at_document d = {
        .key = key, .text = text, .bytes = (int64_t)strlen(text), .separator = gap};
    OK(at_stage_add(&ctx, s, &d, &all, seen));
}

static int64_t kept_of(at_stage *s, const char *word) {
    at_bytes t = {0};
    int64_t n = 0;
    for (int64_t i = 0; i < s->n; i++) {
        OK(at_stage_text(&ctx, s, &s->doc[i], &t));
        t.p[t.n] = 0;
        n += strstr(t.p, word) != NULL;
        assert_int_equal(s->doc[i].chars, at_utf8_count(t.p, (size_t)t.n));
        assert_int_equal(s->doc[i].words, at_utf8_words(t.p, (size_t)t.n));
    }
    at_bytes_free(&t);
    return n;
}

enum { DOCS = 400 };

static const char *stage_folder(void) {
    static char path[600];
    (void)snprintf(path, sizeof path, "%s/stage", dir);
    return path;
}

/* Documents of two paragraphs in en and fr; in fr the second of every fourth is English.  A third
   domain is of program sources with English in them. */
static void foreign_paragraphs_go(void **state) {
    (void)state;
    static char name[3][4] = {"en", "fr", "py"};
    at_stage s[3];
    at_dedup seen = {0};
    OK(at_make_dir(&ctx, stage_folder()));
    for (int k = 0; k < 3; k++) OK(at_stage_open(&ctx, &s[k], stage_folder(), name[k]));
    for (uint64_t i = 0; i < DOCS; i++) {
        char text[4000], key[32];
        (void)snprintf(key, sizeof key, "%d", (int)i);
        size_t n = paragraph(text, sizeof text, english, i, 0);
        memcpy(text + n, "\n\n", 2);
        (void)paragraph(text + n + 2, sizeof text - n - 2, english, i + 1000, 1);
        add(&s[0], &seen, key, text, "\n\n");
        n = paragraph(text, sizeof text, french, i + 2000, 2);
        memcpy(text + n, "\n\n", 2);
        (void)paragraph(text + n + 2, sizeof text - n - 2, i % 4 ? french : english, i + 3000,
                        i % 4 ? 3 : 4);
        add(&s[1], &seen, key, text, "\n\n");
        (void)paragraph(text, sizeof text, english, i + 4000, 5);
        add(&s[2], &seen, key, text, NULL);
    }
    /* a French document that is English but for one paragraph of no function words at all */
    add(&s[1], &seen, "none", "Menu Datei Ansicht", "\n\n");
    add(&s[1], &seen, "english", "the of and to in is that it was for the of and to in is", "\n\n");
    add(&s[1], &seen, "source", "the of and to in is that it was for the of and to in it", NULL);
    OK(at_language_filter(&ctx, s, 3));
    assert_int_equal(s[0].n, DOCS);
    assert_int_equal(s[1].n, DOCS + 2); /* a program is not judged */
    assert_int_equal(s[2].n, DOCS);
    assert_int_equal(s[0].dropped.other_language, 0);
    assert_int_equal(s[2].dropped.other_language, 0);
    assert_int_equal(s[1].dropped.other_language, DOCS / 4 + 1);
    assert_true(s[1].dropped.other_language_bytes > DOCS / 4 * 100);
    assert_int_equal(s[1].dropped.documents, 1);
    assert_int_equal(kept_of(&s[1], "subjecte"), 0); /* the English ones */
    assert_int_equal(kept_of(&s[1], "subjectd"), DOCS * 3 / 4);
    assert_int_equal(kept_of(&s[1], "subjectc"), DOCS);
    assert_int_equal(kept_of(&s[1], "Menu Datei"), 1);
    assert_int_equal(kept_of(&s[0], "subjectb"), DOCS);
    at_stage alone[2] = {s[0], s[2]};
    assert_int_equal(at_language_filter(&ctx, alone, 2), AT_ARG);
    expect_says(&ctx, "expected at least two domains with paragraphs");
    s[0] = alone[0];
    s[2] = alone[1];
    for (int k = 0; k < 3; k++) at_stage_close(&s[k]);
    at_dedup_free(&seen);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_of_a_text),
        cmocka_unit_test(foreign_paragraphs_go),
    };
    return cmocka_run_group_tests_name("data_language", tests, setup, teardown);
}
