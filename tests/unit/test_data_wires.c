/* test_data_wires.c - details that small builds do not show: limits for each split, filters at
   their limit, a table of paragraphs that has grown. */
#include "base/rng.h"
#include "data/balance.h"
#include "in_folder.h"
#include <stdio.h>

static void what_was_seen_stays_seen(void **state) {
    (void)state;
    at_dedup d = {0};
    for (int round = 0; round < 2; round++)
        for (int i = 0; i < 5000; i++) {
            char text[32];
            bool fresh;
            const int n = snprintf(text, sizeof text, "paragraph %d", i);
            OK(at_dedup_add(&ctx, &d, text, (size_t)n, &fresh));
            if (fresh != !round) fail_msg("%s, round %d", text, round);
        }
    assert_int_equal(d.n, 5000);
    at_dedup_free(&d);
}

/* ---- balance ---- */

enum { DOCS = 30000 };

/* Documents of 10 tokens each, of keys of their own. */
static at_stage stage_of(char *name, uint64_t first, int64_t n) {
    at_stage s = {.name = name, .n = n, .cap = n};
    s.doc = at_calloc(&ctx, (size_t)n, sizeof *s.doc);
    assert_non_null(s.doc);
    for (int64_t i = 0; i < n; i++) {
        const uint64_t key = at_rand64(5, AT_STREAM_TEST, first + (uint64_t)i);
        s.doc[i] = (at_staged){.key = key, .group = key, .tokens = 10, .bytes = 40};
    }
    return s;
}

static int64_t documents(const at_stage *s, at_split k, bool taken) {
    int64_t n = 0;
    for (int64_t i = 0; i < s->n; i++)
        n += s->doc[i].split == k && (!taken || s->doc[i].take == INT64_MAX);
    return n;
}

static void expect_near(int64_t got, double expected, double share, const char *what) {
    if ((double)got < expected * (1 - share) || (double)got > expected * (1 + share))
        fail_msg("%s: %lld, expected about %.0f", what, (long long)got, expected);
}

static void shares_and_limits_are_those_asked_for(void **state) {
    (void)state;
    static char name[2][2] = {"a", "b"};
    at_stage s[2] = {stage_of(name[0], 0, DOCS), stage_of(name[1], DOCS, DOCS / 2)};
    at_balance b = {.unit = AT_UNIT_TOKENS, .equal = true, .max_diff = 5, .share = {0.5, 0.3, 0.2}};
    OK(at_balance_split(&ctx, s, 2, &b, 1));
    for (int k = 0; k < AT_SPLITS; k++)
        expect_near(documents(&s[0], (at_split)k, false), DOCS * b.share[k], 0.03, "split");
    OK(at_balance_take(&ctx, s, 2, &b)); /* both to the size of the smaller */
    for (int i = 0; i < 2; i++)
        for (int k = 0; k < AT_SPLITS; k++)
            expect_near(documents(&s[i], (at_split)k, true), DOCS / 2 * b.share[k], 0.03, "taken");

    b.limit = 20000; /* tokens of training text; the other splits in proportion */
    for (int i = 0; i < 2; i++)
        for (int64_t j = 0; j < s[i].n; j++) s[i].doc[j].take = 0;
    OK(at_balance_take(&ctx, s, 2, &b));
    for (int i = 0; i < 2; i++)
        for (int k = 0; k < AT_SPLITS; k++)
            expect_near(documents(&s[i], (at_split)k, true), 2000 * b.share[k] / b.share[0], 0.01,
                        "limited");
    for (int i = 0; i < 2; i++) at_free(s[i].doc);
}

/* ---- filters ---- */

/* How much of a paragraph is kept. */
static int64_t left_of(const char *text, const at_filter *f) {
    at_stage s;
    at_dedup seen = {0};
    OK(at_stage_open(&ctx, &s, dir, "stage"));
    const at_document d = {.key = "k",
                           .text = text,
                           .bytes = (int64_t)strlen(text),
                           .separator = "\n\n",
                           .where = "x"};
    OK(at_stage_add(&ctx, &s, &d, f, &seen));
    const int64_t n = s.text_bytes;
    at_stage_close(&s);
    at_dedup_free(&seen);
    return n;
}

/* "At least so many" includes so many; a character is not a byte. */
static void filters_at_their_edge(void **state) {
    (void)state;
    const at_filter ten = {.min_chars = 10, .min_letters = 0.5};
    assert_int_equal(left_of("abcdefghij", &ten), 10);
    assert_int_equal(left_of("abcdefghi", &ten), 0);
    assert_int_equal(left_of("abcdefgh\xC3\xA9", &ten), 0);
    assert_int_equal(left_of("abcdefghi\xC3\xA9", &ten), 11);
    assert_int_equal(left_of("abcde12345", &ten), 10);
    assert_int_equal(left_of("abcd123456", &ten), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_seen_stays_seen),
        cmocka_unit_test(shares_and_limits_are_those_asked_for),
        cmocka_unit_test(filters_at_their_edge),
    };
    return cmocka_run_group_tests_name("data_wires", tests, setup, teardown);
}
