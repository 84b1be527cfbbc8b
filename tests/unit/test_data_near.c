/* test_data_near.c - sorting outside of memory, likeness and its sketches, near copies across
   splits, and how much of the held-out text is in the training text. */
#include "base/rng.h"
#include "data/build.h"
#include "data/overlap.h"
#include "data/shard.h"
#include "data/shingle.h"
#include "data/sorter.h"
#include "in_folder.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- sorter ---- */

static int by_pair(const void *a, const void *b) {
    const at_pair *x = a, *y = b;
    if (x->key != y->key) return x->key < y->key ? -1 : 1;
    return x->value < y->value ? -1 : x->value > y->value;
}

static void sorted_as_in_memory(void **state) {
    (void)state;
    enum { MOST = 20000 };
    static at_pair expected[MOST];
    static const int64_t counts[] = {0, 1, 63, 64, 65, 1000, MOST};
    for (size_t k = 0; k < sizeof counts / sizeof *counts; k++) {
        const int64_t n = counts[k];
        at_sorter *s;
        OK(at_sorter_open(&ctx, in("pairs"), 4096, &s));
        for (int64_t i = 0; i < n; i++) {
            const uint64_t u = (uint64_t)i;
            expected[i] = (at_pair){at_rand_below(n > 100 ? 700 : UINT64_MAX, 3, AT_STREAM_TEST, u),
                                    at_rand_below(50, 4, AT_STREAM_TEST, u)};
            OK(at_sorter_add(&ctx, s, expected[i].key, expected[i].value));
        }
        qsort(expected, (size_t)n, sizeof *expected, by_pair);
        OK(at_sorter_begin(&ctx, s));
        at_pair p;
        bool more;
        for (int64_t i = 0; i < n; i++) {
            OK(at_sorter_next(&ctx, s, &p, &more));
            assert_true(more);
            assert_int_equal(p.key, expected[i].key);
            assert_int_equal(p.value, expected[i].value);
        }
        OK(at_sorter_next(&ctx, s, &p, &more));
        assert_false(more);
        at_sorter_close(s);
        assert_false(at_exists(in("pairs")));
    }
}

/* ---- likeness ---- */

static at_bytes folded_of(const char *text) {
    at_bytes t = {0};
    OK(at_fold(&ctx, text, strlen(text), &t));
    return t;
}

static double alike(const char *a, const char *b) {
    at_bytes x = folded_of(a), y = folded_of(b);
    at_shingles s = {0}, t = {0};
    OK(at_shingles_of(&ctx, &x, &s));
    OK(at_shingles_of(&ctx, &y, &t));
    const double j = at_shingles_alike(&s, &t);
    at_shingles_free(&s);
    at_shingles_free(&t);
    at_bytes_free(&x);
    at_bytes_free(&y);
    return j;
}

static void folding_and_likeness(void **state) {
    (void)state;
    at_bytes t = folded_of("  The  QUICK-brown (fox) 1987,\n\tM\xC3\xBCller. ");
    assert_int_equal(t.n, strlen("the quick brown fox 0000 m\xC3\xBCller"));
    assert_memory_equal(t.p, "the quick brown fox 0000 m\xC3\xBCller", (size_t)t.n);
    at_bytes_free(&t);
    assert_true(alike("one text", "One, text!") == 1);
    assert_true(alike("version 12 of it", "version 34 of it") == 1);
    assert_true(alike("abcdefgh", "ijklmnop") == 0);
    assert_true(alike("abc", "abd") == 0); /* shorter than a shingle: the whole */
    /* abcdefghij has 3 shingles, abcdefghijkl 5, all of the former among them */
    assert_true(fabs(alike("abcdefghij", "abcdefghijkl") - 3.0 / 5) < 1e-15);
    assert_true(fabs(alike("aaaaaaaaaaaaaaaaaaa", "aaaaaaaa") - 1) < 1e-15);
    at_bytes none = folded_of(" - ");
    uint64_t sketch[AT_SKETCH_MAX];
    assert_int_equal(none.n, 0);
    assert_false(at_sketch(&none, 32, sketch));
    at_bytes_free(&none);
}

/* n letters of which about every 1/change-th differs from those of seed 0. */
static void letters(char *to, int n, double change, uint64_t seed) {
    for (int i = 0; i < n; i++) {
        const uint64_t at = (uint64_t)i;
        uint64_t from = 0;
        if (seed && at_uniform(seed, AT_STREAM_TEST, at) < change) from = seed;
        to[i] = (char)('a' + (int)at_rand_below(26, from + 77, AT_STREAM_TEST + 1, at));
    }
    to[n] = 0;
}

/* The share of equal numbers estimates the likeness, in long texts and in those that leave most bins
   empty. */
static void sketches_estimate_likeness(void **state) {
    (void)state;
    static const int lengths[] = {30, 300, 5000};
    for (int k = 0; k < 3; k++) {
        double error = 0, bias = 0;
        for (uint64_t seed = 1; seed <= 40; seed++) {
            static char a[6000], b[6000];
            uint64_t x[128], y[128];
            letters(a, lengths[k], 0, 0);
            letters(b, lengths[k], 0.002 * (double)(seed % 20), seed);
            at_bytes f = folded_of(a), g = folded_of(b);
            assert_true(at_sketch(&f, 128, x) && at_sketch(&g, 128, y));
            int same = 0;
            for (int i = 0; i < 128; i++) same += x[i] == y[i];
            const double d = same / 128.0 - alike(a, b);
            error += d * d / 40;
            bias += d / 40;
            at_bytes_free(&f);
            at_bytes_free(&g);
        }
        if (sqrt(error) > 0.1 || fabs(bias) > 0.03)
            fail_msg("%d letters: bias %g, error %g", lengths[k], bias, sqrt(error));
    }
}

static void rolling_hashes_are_of_their_bytes(void **state) {
    (void)state;
    at_bytes a = folded_of("some text, then the same again; and more"),
             b = folded_of("zz then the same again yy");
    uint64_t hash, seen[64];
    int n = 0, common = 0, all = 0;
    for (at_roll r = at_roll_begin(&a, 10); at_roll_next(&r, &hash);) seen[n++] = hash;
    assert_int_equal(n, a.n - 9);
    for (at_roll r = at_roll_begin(&b, 10); at_roll_next(&r, &hash); all++)
        for (int i = 0; i < n; i++) common += seen[i] == hash;
    assert_int_equal(all, b.n - 9);
    assert_int_equal(common, (int)strlen(" then the same again ") - 9);
    for (at_roll r = at_roll_begin(&a, 100); at_roll_next(&r, &hash);) fail();
    at_bytes_free(&a);
    at_bytes_free(&b);
}

/* ---- in a data set ---- */

enum { DOCS = 600 };

/* Paragraph i of words drawn from a small vocabulary; a copy has some of them changed. */
static size_t paragraph(char *to, size_t room, int i, int words, double change) {
    size_t n = 0;
    for (int w = 0; w < words; w++) {
        const uint64_t at = (uint64_t)(i * 1000 + w);
        const bool other = at_uniform(8, AT_STREAM_TEST, at) < change;
        const uint64_t word = at_rand_below(5000, other ? 9 : 10, AT_STREAM_TEST, at);
        n += (size_t)snprintf(to + n, room - n, "%c%c%c%c%c ", 'a' + (int)(word % 26),
                              'a' + (int)(word / 26 % 26), 'e' + (int)(word % 7),
                              'a' + (int)(word / 676), 'h' + (int)(word % 11));
    }
    return n;
}

/* DOCS JSON lines in two domains; every third of b is a near copy of one of a. */
static void write_copies(double change) {
    static char text[2][1 << 21];
    size_t n[2] = {0, 0};
    for (int i = 0; i < DOCS; i++) {
        const int words = 12 + i % 60;
        for (int k = 0; k < 2; k++) {
            const bool copy = k == 1 && i % 3 == 0;
            n[k] += (size_t)snprintf(text[k] + n[k], sizeof text[k] - n[k],
                                     "{\"id\": \"%c%d\", \"text\": \"", 'a' + k, i);
            n[k] += paragraph(text[k] + n[k], sizeof text[k] - n[k], copy || !k ? i : i + 10000,
                              words, copy ? change : 0);
            n[k] += (size_t)snprintf(text[k] + n[k], sizeof text[k] - n[k], ".\"}\n");
        }
    }
    OK(at_write_file(&ctx, in("a.jsonl"), text[0], n[0]));
    OK(at_write_file(&ctx, in("b.jsonl"), text[1], n[1]));
}

static cJSON *build(double near, int threads) {
    static char path[2][600];
    static at_build_source source[2] = {{.domain = (char *)"a", .path = path[0]},
                                        {.domain = (char *)"b", .path = path[1]}};
    for (int i = 0; i < 2; i++)
        (void)snprintf(path[i], sizeof path[i], "%s/%c.jsonl", dir, 'a' + i);
    at_build b = at_build_defaults();
    b.source = source;
    b.n_sources = 2;
    b.out = in("set");
    b.vocab = 300;
    b.near_dup = near;
    b.balance.equal = false;
    b.balance.share[0] = 0.6;
    b.balance.share[1] = b.balance.share[2] = 0.2;
    ctx.threads = threads;
    cJSON *m;
    OK(at_build_run(&ctx, &b, &m));
    ctx.threads = 2;
    return m;
}

static double at(const cJSON *m, const char *a, const char *b) {
    const cJSON *v = cJSON_GetObjectItem(cJSON_GetObjectItem(m, a), b);
    assert_non_null(v);
    return v->valuedouble;
}

/* All documents of the set built last, decoded and as sets of shingles. */
typedef struct document {
    at_shingles set;
    at_split split;
} document;

static int64_t read_documents(document *to) {
    at_dataset *d;
    at_tokenizer *t;
    int64_t n = 0;
    OK(at_dataset_open(&ctx, in("set"), &d));
    OK(at_tokenizer_load(&ctx, in("set"), &t));
    for (int k = 0; k < 2; k++)
        for (int split = 0; split < AT_SPLITS; split++) {
            const at_shard *s = &d->domain[k].shard[split];
            for (int64_t i = 0; i < s->n_docs; i++) {
                static int32_t id[1 << 12];
                size_t bytes;
                const int64_t tokens = (int64_t)(s->start[i + 1] - s->start[i]) - 1;
                at_shard_read(s, (int64_t)s->start[i], tokens, id);
                char *text = at_tokenizer_decode(&ctx, t, id, tokens, &bytes);
                at_bytes folded = folded_of(text);
                to[n] = (document){.split = (at_split)split};
                OK(at_shingles_of(&ctx, &folded, &to[n++].set));
                at_bytes_free(&folded);
                at_free(text);
            }
        }
    at_tokenizer_close(t);
    at_dataset_close(d);
    return n;
}

/* Pairs that are at least this alike: of two splits, of one. */
static int64_t tested_alike; /* pairs of the test split, counted by count_alike */

static void count_alike(double threshold, int64_t *across, int64_t *within) {
    static document doc[2 * DOCS];
    const int64_t n = read_documents(doc);
    *across = *within = tested_alike = 0;
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < i; j++) {
            /* sets of such sizes cannot be as alike */
            const double x = (double)doc[i].set.n, y = (double)doc[j].set.n;
            if (fmin(x, y) < threshold * fmax(x, y)) continue;
            if (at_shingles_alike(&doc[i].set, &doc[j].set) >= threshold) {
                const bool same = doc[i].split == doc[j].split;
                ++*(same ? within : across);
                tested_alike += same && doc[i].split == AT_TEST;
            }
        }
    for (int64_t i = 0; i < n; i++) at_shingles_free(&doc[i].set);
}

static void no_near_copy_is_left(void **state) {
    (void)state;
    write_copies(0.015);
    int64_t across, within;
    cJSON *m = build(0, 2);
    assert_null(cJSON_GetObjectItem(m, "near_duplicates"));
    cJSON_Delete(m);
    count_alike(0.8, &across, &within);
    if (across < 40 || within < 30) fail_msg("%lld, %lld", (long long)across, (long long)within);
    const int64_t planted = across + within, tested = tested_alike;

    m = build(0.8, 2);
    count_alike(0.8, &across, &within);
    assert_int_equal(across, 0);
    assert_int_equal(within, 0);
    const cJSON *near = cJSON_GetObjectItem(m, "near_duplicates");
    double dropped = 0;
    for (int k = 0; k < AT_SPLITS; k++) dropped += at(near, "dropped", at_split_name[k]);
    assert_int_equal((int)dropped, planted); /* each copy has one original */
    assert_true(at(m, "near_duplicates", "paragraphs") > 2 * DOCS - 150);
    const cJSON *b = cJSON_GetArrayItem(cJSON_GetObjectItem(m, "domains"), 1);
    const cJSON *a = cJSON_GetArrayItem(cJSON_GetObjectItem(m, "domains"), 0);
    assert_int_equal((int)at(near, "dropped", "test"), tested);
    /* in pairs across splits the held-out one stays, so that both domains lose some */
    assert_true(at(b, "paragraphs_dropped", "near_duplicates") > 30);
    assert_true(at(a, "paragraphs_dropped", "near_duplicates") > 10);
    cJSON_Delete(m);
}

/* A higher threshold leaves the copies that are less alike; so does, nearly, a lower one. */
static void the_threshold_is_that_asked_for(void **state) {
    (void)state;
    write_copies(0.03);
    int64_t across[3], within[3];
    static const double threshold[3] = {0.6, 0.75, 0.9};
    cJSON_Delete(build(0, 2));
    int64_t all[3];
    for (int k = 0; k < 3; k++) {
        count_alike(threshold[k], &across[k], &within[k]);
        all[k] = across[k] + within[k];
    }
    assert_true(all[0] > all[1] + 10 && all[1] > all[2] + 10 && all[2] > 10);
    for (int k = 0; k < 3; k++) {
        cJSON *m = build(threshold[k], 1);
        const cJSON *near = cJSON_GetObjectItem(m, "near_duplicates");
        double dropped = 0;
        for (int i = 0; i < AT_SPLITS; i++) dropped += at(near, "dropped", at_split_name[i]);
        /* one in a hundred at the threshold may be missed */
        if (dropped > (double)all[k] || dropped < (double)all[k] - 1)
            fail_msg("threshold %g: %g of %lld dropped", threshold[k], dropped, (long long)all[k]);
        cJSON_Delete(m);
    }
}

/* Half of each test document is also training text. */
static void overlap_is_measured(void **state) {
    (void)state;
    static char half[2][4000], both[8000];
    at_stage s[2];
    const at_filter all = {0, 0};
    at_dedup seen = {0};
    OK(at_make_dir(&ctx, in("stage")));
    OK(at_stage_open(&ctx, &s[0], in("stage"), "a"));
    OK(at_stage_open(&ctx, &s[1], in("stage"), "b"));
    for (int i = 0; i < 60; i++)
        for (int k = 0; k < 2; k++) {
            (void)paragraph(half[0], sizeof half[0], i, 200, 0);
            (void)paragraph(half[1], sizeof half[1], i + 2000, 200, 0);
            (void)snprintf(both, sizeof both, "%s%s%s", k ? half[1] : half[0], k ? "" : half[1],
                           k ? "x" : "");
            at_document d = {.key = both, .text = both, .bytes = (int64_t)strlen(both)};
            OK(at_stage_add(&ctx, &s[k], &d, &all, &seen));
            at_staged *doc = &s[k].doc[s[k].n - 1];
            doc->split = k ? AT_TRAIN : i % 2 ? AT_TEST : AT_VALIDATION;
            doc->take = i % 4 == 3 && k ? 0 : INT64_MAX;
        }
    double share[2][AT_SPLITS];
    OK(at_overlap(&ctx, s, 2, share));
    /* 200 words of 6 letters are half; of the test documents, every other second half was not
       taken */
    const double expected = (1199.0 - 47) / (2399 - 47);
    assert_true(fabs(share[0][AT_VALIDATION] - expected) < 0.002);
    assert_true(fabs(share[0][AT_TEST] - expected / 2) < 0.002);
    assert_true(share[0][AT_TRAIN] == 0 && share[1][AT_TEST] == 0);
    at_stage_close(&s[0]);
    at_stage_close(&s[1]);
    at_dedup_free(&seen);
}

static void what_cannot_be_is_refused(void **state) {
    (void)state;
    at_near near;
    assert_int_equal(at_near_init(&ctx, 0.4, &near), AT_ARG);
    expect_says(&ctx, "from 0.5 to 1");
    assert_int_equal(at_near_init(&ctx, 1.01, &near), AT_ARG);
    assert_int_equal(at_near_init(&ctx, (double)NAN, &near), AT_ARG);
    for (int t = 50; t <= 100; t++) {
        OK(at_near_init(&ctx, t / 100.0, &near));
        assert_in_range(near.rows * near.bands, 1, AT_SKETCH_MAX);
        const double found = 1 - pow(1 - pow(near.threshold, near.rows), near.bands);
        assert_true(found >= 0.99);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sorted_as_in_memory),
        cmocka_unit_test(folding_and_likeness),
        cmocka_unit_test(sketches_estimate_likeness),
        cmocka_unit_test(rolling_hashes_are_of_their_bytes),
        cmocka_unit_test(no_near_copy_is_left),
        cmocka_unit_test(the_threshold_is_that_asked_for),
        cmocka_unit_test(overlap_is_measured),
        cmocka_unit_test(what_cannot_be_is_refused),
    };
    return cmocka_run_group_tests_name("data_near", tests, setup, teardown);
}
