/* test_data_balance.c - the sizes domains come out with: every unit within the percentage asked
   for, shares, and the refusal of what cannot be reached. */
#include "data/build.h"
#include "in_folder.h"
#include <string.h>

/* n JSON lines <words> <number>, the i-th of 1 + i % spread sentences. */
static void corpus(const char *name, const char *words, int n, int spread) {
    static char text[1 << 20];
    size_t at = 0;
    for (int i = 0; i < n; i++) {
        at += (size_t)snprintf(text + at, sizeof text - at, "{\"id\": %d, \"text\": \"", i);
        for (int j = 0; j <= i % spread; j++)
            at += (size_t)snprintf(text + at, sizeof text - at,
                                   "%s%s number %d in document %d goes on. ", j ? "\\n\\n" : "",
                                   words, j, i);
        at += (size_t)snprintf(text + at, sizeof text - at, "\"}\n");
    }
    char leaf[64];
    (void)snprintf(leaf, sizeof leaf, "%s.jsonl", name);
    assert_int_equal(at_write_file(&ctx, in(leaf), text, at), AT_OK);
}

static char path_of[3][600];
static at_build_source source[3] = {{.domain = (char *)"a", .path = path_of[0]},
                                    {.domain = (char *)"b", .path = path_of[1]},
                                    {.domain = (char *)"c", .path = path_of[2]}};

static at_build three(void) {
    static bool written;
    if (!written) {
        corpus("a", "A plain sentence", 400, 3);
        corpus("b", "Ein wesentlich l\xC3\xA4ngerer Satz, der", 300, 7);
        corpus("c", "Moins", 900, 2);
    }
    written = true;
    for (int i = 0; i < 3; i++)
        (void)snprintf(path_of[i], sizeof path_of[i], "%s/%c.jsonl", dir, 'a' + i);
    at_build b = at_build_defaults();
    b.source = source;
    b.n_sources = 3;
    b.out = in("set");
    b.vocab = 320;
    b.filter.min_chars = 10;
    return b;
}

/* Units of a domain by the manifest. */
static double units(const cJSON *m, int domain, const char *split, const char *key) {
    const cJSON *d = cJSON_GetArrayItem(cJSON_GetObjectItem(m, "domains"), domain);
    const cJSON *s = cJSON_GetObjectItem(cJSON_GetObjectItem(d, "splits"), split);
    const cJSON *v = cJSON_GetObjectItem(s, key);
    assert_non_null(v);
    return v->valuedouble;
}

static const char *const key_of[] = {"tokens", "bytes", "characters", "documents", "words"};

/* The largest relative size of a split is at most pct above the smallest. */
static void expect_even(const cJSON *m, at_unit unit, const double *share, double pct) {
    for (int k = 0; k < AT_SPLITS; k++) {
        double lo = 1e18, hi = 0;
        for (int i = 0; i < 3; i++) {
            const double v = units(m, i, at_split_name[k], key_of[unit]) / (share ? share[i] : 1);
            lo = v < lo ? v : lo;
            hi = v > hi ? v : hi;
        }
        if (!(lo > 0 && hi <= lo * (1 + pct / 100) * (1 + 1e-9)))
            fail_msg("%s, %s: from %g to %g", key_of[unit], at_split_name[k], lo, hi);
    }
}

static void every_unit_within_one_percent(void **state) {
    (void)state;
    for (at_unit unit = AT_UNIT_TOKENS; unit <= AT_UNIT_WORDS; unit++) {
        at_build b = three();
        b.balance.unit = unit;
        b.balance.max_diff = 1;
        cJSON *m;
        OK(at_build_run(&ctx, &b, &m));
        expect_even(m, unit, NULL, 1);
        cJSON_Delete(m);
    }
}

/* Words of the text that a shard decodes to. */
static int64_t words_in(const at_shard *s, const at_tokenizer *t) {
    int64_t words = 0;
    for (int64_t i = 0; i < s->n_docs; i++) {
        static int32_t id[1 << 14];
        const int64_t n = (int64_t)(s->start[i + 1] - s->start[i]) - 1;
        at_shard_read(s, (int64_t)s->start[i], n, id);
        size_t bytes;
        char *text = at_tokenizer_decode(&ctx, t, id, n, &bytes);
        assert_non_null(text);
        bool inside = false;
        for (size_t j = 0; j < bytes; j++) {
            const bool letter = !strchr(" \t\n\v\f\r", text[j]);
            words += letter && !inside;
            inside = letter;
        }
        at_free(text);
    }
    return words;
}

/* Words of the manifest are those of the text that the tokens stand for, cut documents too. */
static void words_are_those_written(void **state) {
    (void)state;
    at_build b = three();
    b.balance.unit = AT_UNIT_WORDS;
    b.balance.max_diff = 0.5;
    cJSON *m;
    OK(at_build_run(&ctx, &b, &m));
    at_dataset *d;
    at_tokenizer *t;
    OK(at_dataset_open(&ctx, in("set"), &d));
    OK(at_tokenizer_load(&ctx, in("set"), &t));
    for (int i = 0; i < 3; i++)
        for (int k = 0; k < AT_SPLITS; k++)
            assert_int_equal(words_in(&d->domain[i].shard[k], t),
                             (int64_t)units(m, i, at_split_name[k], "words"));
    at_tokenizer_close(t);
    at_dataset_close(d);
    cJSON_Delete(m);
}

static void sizes_follow_the_shares(void **state) {
    (void)state;
    const at_build_share share[] = {{(char *)"b", 10}, {(char *)"a", 70}, {(char *)"c", 20}};
    const double by_domain[] = {70, 10, 20};
    at_build b = three();
    b.share = share;
    b.n_shares = 3;
    b.balance.max_diff = 2;
    cJSON *m;
    OK(at_build_run(&ctx, &b, &m));
    expect_even(m, AT_UNIT_TOKENS, by_domain, 2);
    /* the domain that is short for its share is used whole */
    const double all = units(m, 0, "train", "documents") + units(m, 0, "validation", "documents") +
                       units(m, 0, "test", "documents");
    assert_true(all > 390);
    cJSON_Delete(m);
    b.balance.limit = 700; /* of the largest share */
    OK(at_build_run(&ctx, &b, &m));
    expect_even(m, AT_UNIT_TOKENS, by_domain, 2);
    assert_true(units(m, 0, "train", "tokens") <= 700 * 1.02);
    assert_true(units(m, 0, "train", "tokens") >= 700 * 0.98);
    cJSON_Delete(m);
}

static void refused(const at_build *b, at_status status, const char *why) {
    cJSON *m;
    assert_int_equal(at_build_run(&ctx, b, &m), status);
    assert_null(m);
    expect_says(&ctx, why);
    nothing_in_the_making(&ctx, dir);
}

static void what_cannot_be_is_refused(void **state) {
    (void)state;
    at_build b = three();
    const at_build_share few[] = {{(char *)"a", 1}, {(char *)"b", 2}};
    b.share = few;
    b.n_shares = 2;
    refused(&b, AT_ARG, "domain \"c\" has none");
    const at_build_share unknown[] = {{(char *)"a", 1}, {(char *)"x", 2}};
    b.share = unknown;
    refused(&b, AT_ARG, "no domain \"x\"");
    const at_build_share twice[] = {{(char *)"a", 1}, {(char *)"a", 2}};
    b.share = twice;
    refused(&b, AT_ARG, "named twice");
    const at_build_share zero[] = {{(char *)"a", 0}};
    b.share = zero;
    b.n_shares = 1;
    refused(&b, AT_ARG, "above 0");
    b.balance.equal = false;
    refused(&b, AT_ARG, "balanced");
    /* three documents of validation text cannot be shared out 1 to 1000 */
    const at_build_share wide[] = {{(char *)"a", 1000}, {(char *)"b", 1}, {(char *)"c", 1000}};
    b = three();
    b.share = wide;
    b.n_shares = 3;
    b.balance.unit = AT_UNIT_DOCS;
    refused(&b, AT_FORMAT, "cannot be balanced within 5 %");
    expect_says(&ctx, "other shares");
}

/* With every token a word of its own size, nothing but luck makes bytes equal to the byte: either
   it does, or the reason is given. */
static void no_difference_at_all(void **state) {
    (void)state;
    for (at_unit unit = AT_UNIT_TOKENS; unit <= AT_UNIT_WORDS; unit++) {
        at_build b = three();
        b.balance.unit = unit;
        b.balance.max_diff = 0;
        cJSON *m;
        const at_status s = at_build_run(&ctx, &b, &m);
        if (s)
            expect_says(&ctx, "cannot be balanced within 0 %");
        else
            expect_even(m, unit, NULL, 0);
        if (unit == AT_UNIT_TOKENS || unit == AT_UNIT_DOCS) OK(s);
        cJSON_Delete(m);
        at_error_clear(&ctx);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_unit_within_one_percent),
        cmocka_unit_test(words_are_those_written),
        cmocka_unit_test(sizes_follow_the_shares),
        cmocka_unit_test(what_cannot_be_is_refused),
        cmocka_unit_test(no_difference_at_all),
    };
    return cmocka_run_group_tests_name("data_balance", tests, setup, teardown);
}
