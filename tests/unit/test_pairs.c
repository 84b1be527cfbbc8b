/* test_pairs.c - texts with their translations: lines, documents of data sets, batches. */
#include "artel.h"
#include "data/build.h"
#include "data/pairs.h"
#include "in_folder.h"
#include <stdio.h>

static void parsed(const char *line, const char *source, const char *target, const char *id) {
    at_pair_line p = {0};
    OK(at_pair_parse(&ctx, "f:1", line, strlen(line), &p));
    const at_bytes *got[] = {&p.source, &p.target, &p.id};
    const char *want[] = {source, target, id};
    for (int i = 0; i < 3; i++)
        if ((size_t)got[i]->n != strlen(want[i]) ||
            (got[i]->n && memcmp(got[i]->p, want[i], strlen(want[i])) != 0))
            fail_msg("%s: part %d is `%.*s`", line, i, (int)got[i]->n, got[i]->p);
    at_pair_line_free(&p);
}

static void no_pair(const char *line, const char *says) {
    at_pair_line p = {0};
    assert_int_equal(at_pair_parse(&ctx, "f:1", line, strlen(line), &p), AT_FORMAT);
    expect_says(&ctx, "f:1");
    expect_says(&ctx, says);
    at_pair_line_free(&p);
}

static void lines(void **state) {
    (void)state;
    parsed("a\tb", "a", "b", "");
    parsed("  a  b \tc\t id 7\r", "a b", "c", "id 7");
    parsed("\tb", "", "b", "");
    parsed("{0} files\tdes {0}", "{0} files", "des {0}", "");
    parsed("{\"source\":\"a\\tb\\n\",\"target\":\"c\",\"id\":7}", "a b", "c", "7");
    parsed(" {\"target\":\"c\",\"source\":\"a\",\"id\":\"k\"}", "a", "c", "k");
    no_pair("one cell", "found 1 cell");
    no_pair("a\tb\tc\td", "found 4 cells");
    no_pair("{\"source\":\"a\"}", "\"target\"");
    no_pair("{\"source\":\"a\",\"target\":1}", "\"target\"");
    no_pair("{\"source\":\"a\",\"target\":\"b\",\"id\":[]}", "\"id\"");
    no_pair("{\"source\":\"\\ud800\",\"target\":\"b\"}", "not JSON");
    no_pair("a\x1e\tb", "the text holds the control character U+001E");
    no_pair("a\tb\x1e", "the translation holds the control character U+001E");
    no_pair("{broken", "f:1");
}

/* ---- data sets ---- */

static const char *const WORD[][3] = {{"cat", "chat", "katze"}, {"dog", "chien", "hund"},
                                      {"red", "rouge", "rot"},  {"big", "grand", "gross"},
                                      {"old", "vieux", "alt"},  {"sea", "mer", "meer"}};

/* 120 lines of words in both languages; line 0 again, and one with an empty side. */
static void write_pairs(const char *path, int to) {
    at_text t;
    at_text_init(&t, &ctx, 0);
    for (int i = 0; i < 120; i++)
        for (int side = 0; side < 2; side++) {
            for (unsigned k = 0, x = (unsigned)i + 7; k < 2 + (unsigned)i % 4; k++, x = x * 31 + 11)
                at_textf(&t, "%s%s", k ? " " : "", WORD[x / 7 % 6][side ? to : 0]);
            at_textf(&t, " %d%s", i, side ? "\n" : "\t");
        }
    at_text_add(&t, "\nalone\t\n");
    OK(at_write_file(&ctx, path, t.s, t.n));
    at_text_close(&t);
}

static cJSON *built(const at_build_source *source, int n, int64_t limit, at_status want) {
    at_build b = at_build_defaults();
    cJSON *manifest = NULL;
    b.source = source;
    b.n_sources = n;
    b.out = in("set");
    b.vocab = 300;
    b.balance.limit = limit;
    b.balance.equal = n > 1;
    const at_status s = at_build_run(&ctx, &b, &manifest);
    if (s != want) fail_msg("%d: %s", s, ctx.message);
    return manifest;
}

static at_build_source source(const char *domain, const char *file, at_source_kind kind) {
    return (at_build_source){(char *)(uintptr_t)domain, (char *)(uintptr_t)in(file), kind};
}

static at_dataset *opened(void) {
    at_dataset *d = NULL;
    OK(at_dataset_open_checked(&ctx, in("set"), &d));
    return d;
}

static void one_direction(void **state) {
    (void)state;
    write_pairs(in("fr.tsv"), 1);
    const at_build_source s[] = {source("en-fr", "fr.tsv", AT_KIND_PAIRS)};
    cJSON *m = built(s, 1, 0, AT_OK);
    const cJSON *d = cJSON_GetArrayItem(cJSON_GetObjectItem(m, "domains"), 0);
    assert_true(cJSON_IsTrue(cJSON_GetObjectItem(d, "pairs")));
    assert_null(cJSON_GetObjectItem(d, "tag"));
    /* bytes are those of the texts, without what stands between them */
    double bytes = 0;
    const cJSON *x = NULL;
    cJSON_ArrayForEach(x, cJSON_GetObjectItem(d, "splits")) bytes +=
        cJSON_GetObjectItem(x, "bytes")->valuedouble;
    size_t n;
    char *text = at_read_file(&ctx, in("fr.tsv"), 1 << 20, &n);
    assert_true(bytes == (double)n - 2 * 120 - (double)strlen("\nalone\t\n"));
    at_free(text);
    cJSON_Delete(m);

    at_dataset *set = opened();
    at_bitext all = {0};
    for (int k = 0; k < AT_SPLITS; k++) {
        at_bitext p = {0};
        OK(at_bitext_add(&ctx, set, (at_split)k, 0, 0, &p));
        assert_int_equal(p.n, set->domain[0].shard[k].n_docs);
        assert_true(p.n > 0 && p.left == 0);
        at_bitext_close(&p);
    }
    OK(at_bitext_add(&ctx, set, AT_TRAIN, 0, 0, &all));
    int32_t id[400];
    for (int64_t i = 0; i < all.n; i++) {
        const at_pair *one = &all.pair[i];
        at_pair_read(&all, one, id);
        const int32_t end = id[one->all - 1];
        for (int64_t k = 0; k < one->all; k++)
            assert_int_equal(id[k] == end, k == one->source - 1 || k == one->all - 1);
    }
    /* those that are too long are counted and left out */
    at_bitext some = {0};
    OK(at_bitext_add(&ctx, set, AT_TRAIN, 0, all.longest - 1, &some));
    assert_true(some.left > 0 && some.n + some.left == all.n && some.longest == all.longest);
    at_bitext_close(&some);
    at_bitext_close(&all);
    at_dataset_close(set);
}

static void batches(void **state) {
    (void)state;
    at_dataset *set = opened();
    at_bitext p = {0};
    OK(at_bitext_add(&ctx, set, AT_TRAIN, 0, 0, &p));
    int64_t which[6] = {5, 0, 3, 4, 1, 2};
    OK(at_bitext_sort(&ctx, &p, which, 6));
    for (int i = 1; i < 6; i++) {
        const at_pair *a = &p.pair[which[i - 1]], *b = &p.pair[which[i]];
        assert_true(a->all < b->all || (a->all == b->all && which[i - 1] < which[i]));
    }
    const int64_t T = at_bitext_width(&p, which, 6);
    assert_int_equal(T, p.pair[which[5]].all - 1);
    int32_t input[6 * 400], target[6 * 400], end[6], id[400];
    at_bitext_batch(&p, which, 6, T, input, target, end);
    for (int b = 0; b < 6; b++) {
        const at_pair *one = &p.pair[which[b]];
        at_pair_read(&p, one, id);
        assert_int_equal(end[b], one->all - 1);
        for (int64_t t = 0; t < T; t++) {
            const bool real = t < one->all - 1, scored = real && t + 1 >= one->source;
            if (real) assert_int_equal(input[b * T + t], id[t]);
            assert_int_equal(target[b * T + t], scored ? id[t + 1] : -1);
            assert_true(input[b * T + t] >= 0);
        }
    }
    at_bitext_close(&p);
    at_dataset_close(set);
}

/* Every source says its direction; translations of one text are in one split; limits drop pairs whole. */
static void two_directions(void **state) {
    (void)state;
    write_pairs(in("de.tsv"), 2);
    const at_build_source s[] = {source("en-fr", "fr.tsv", AT_KIND_PAIRS),
                                 source("en-de", "de.tsv", AT_KIND_PAIRS)};
    cJSON *m = built(s, 2, 400, AT_OK);
    cJSON_Delete(m);
    at_dataset *set = opened();
    at_tokenizer *t = NULL;
    OK(at_tokenizer_load(&ctx, in("set"), &t));
    char *held[400];
    int n = 0;
    for (int d = 0; d < 2; d++) {
        assert_string_equal(set->domain[d].tag, d ? "en-de " : "en-fr ");
        const int64_t tokens = set->domain[d].shard[AT_TRAIN].n_tokens;
        if (tokens > 410 || tokens < 300) fail_msg("%lld tokens", (long long)tokens);
        for (int k = 0; k < AT_SPLITS; k++) {
            at_bitext p = {0};
            OK(at_bitext_add(&ctx, set, (at_split)k, d, 0, &p));
            for (int64_t i = 0; i < p.n; i++) {
                int32_t id[400];
                size_t bytes;
                at_pair_read(&p, &p.pair[i], id);
                char *text = at_tokenizer_decode(&ctx, t, id, p.pair[i].source - 1, &bytes);
                assert_memory_equal(text, set->domain[d].tag, 6);
                held[n++] = text;
                memmove(text + 1, text + 6, strlen(text + 6) + 1);
                text[0] = (char)('0' + k);
            }
            at_bitext_close(&p);
        }
    }
    for (int i = 0; i < n; i++)
        for (int j = 0; j < i; j++)
            if (!strcmp(held[i] + 1, held[j] + 1)) assert_int_equal(held[i][0], held[j][0]);
    while (n) at_free(held[--n]);
    at_tokenizer_close(t);
    at_dataset_close(set);
}

static void refused(void **state) {
    (void)state;
    OK(at_write_file(&ctx, in("plain.txt"), "some text\n", 10));
    const at_build_source mixed[] = {source("en-fr", "fr.tsv", AT_KIND_PAIRS),
                                     source("en-fr", "plain.txt", AT_KIND_TEXT)};
    (void)built(mixed, 2, 0, AT_ARG);
    expect_says(&ctx, "1 of its 2 sources are pairs: all, or none");
    OK(at_write_file(&ctx, in("bad.tsv"), "a\tb\nno tab\n", 11));
    const at_build_source bad[] = {source("en-fr", "bad.tsv", AT_KIND_PAIRS)};
    (void)built(bad, 1, 0, AT_FORMAT);
    expect_says(&ctx, "bad.tsv:2: expected a text, a tab, its translation");

    /* a domain of text, and documents that are no pairs under a manifest that says they are */
    at_bitext p = {0};
    const char *texts = "{\"text\":\"one text\"}\n{\"text\":\"another\"}\n{\"text\":\"a third\"}\n"
                        "{\"text\":\"the fourth\"}\n";
    OK(at_write_file(&ctx, in("en.jsonl"), texts, strlen(texts)));
    const at_build_source plain[] = {source("en", "en.jsonl", AT_KIND_JSONL)};
    at_build b = at_build_defaults();
    cJSON *m = NULL;
    b.source = plain;
    b.n_sources = 1;
    b.out = in("set");
    b.vocab = 300;
    b.filter.min_chars = 0;
    b.filter.min_letters = 0;
    OK(at_build_run(&ctx, &b, &m));
    at_dataset *set = opened();
    assert_int_equal(at_bitext_add(&ctx, set, AT_TRAIN, 0, 0, &p), AT_MISMATCH);
    expect_says(&ctx, "domain \"en\" is plain text");
    set->domain[0].pairs = true;
    assert_int_equal(at_bitext_add(&ctx, set, AT_TRAIN, 0, 0, &p), AT_FORMAT);
    expect_says(&ctx, "train, document 0: expected a text, a token that ends it");
    at_bitext_close(&p);
    at_dataset_close(set);
    cJSON_Delete(m);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(lines), cmocka_unit_test(one_direction),
                                       cmocka_unit_test(batches), cmocka_unit_test(two_directions),
                                       cmocka_unit_test(refused)};
    return cmocka_run_group_tests_name("pairs", tests, setup, teardown);
}
