/* test_bpe_train.c - merges as defined, ties by id, the same whatever the order of the text. */
#include "check.h"
#include "token/tokenizer.h"

static at_ctx c;

static int setup(void **state) {
    (void)state;
    at_ctx_init(&c, 1);
    return 0;
}

/* Train on NULL-terminated documents. */
static at_tokenizer *train(int64_t vocab, int64_t max_piece, const char *const *text) {
    at_bpe_trainer *b;
    at_tokenizer *t;
    const at_bpe_options o = {.vocab = vocab, .max_piece = max_piece};
    assert_int_equal(at_bpe_trainer_open(&c, &o, &b), AT_OK);
    for (; *text; text++) assert_int_equal(at_bpe_trainer_feed(&c, b, *text, strlen(*text)), AT_OK);
    if (at_bpe_trainer_finish(&c, b, &t)) fail_msg("%s", c.message);
    at_bpe_trainer_close(b);
    return t;
}

static void is_token(const at_tokenizer *t, int32_t id, const char *bytes) {
    size_t n = 0;
    const char *s = at_tokenizer_bytes(t, id, &n);
    assert_non_null(s);
    if (n != strlen(bytes) || memcmp(s, bytes, n)) fail_msg("%d is `%s`, not `%s`", id, s, bytes);
}

static void frequent_pairs_first_then_lower_ids(void **state) {
    (void)state;
    /* Pieces "ab" x3, "cd" x3, "abcd" x2, "ee" x1.  Counts: ab 5, cd 5, bc 2, ee 1. */
    const char *text[] = {"ab\ncd\nab\ncd\nab\ncd\nabcd\nabcd\nee", NULL};
    at_tokenizer *t = train(300, 0, text);
    is_token(t, 0, "<|endoftext|>");
    is_token(t, 1, "!"); /* bytes in the order of the characters that stand for them */
    is_token(t, 257, "ab");
    is_token(t, 258, "cd");
    is_token(t, 259, "abcd"); /* 2 left; "ee" once is below min_count */
    assert_int_equal(at_tokenizer_size(t), 260);
    at_tokenizer_close(t);
    t = train(258, 0, text);
    assert_int_equal(at_tokenizer_size(t), 258); /* no more than asked for */
    at_tokenizer_close(t);
    t = train(257, 0, text); /* bytes alone */
    assert_int_equal(at_tokenizer_size(t), 257);
    at_tokenizer_close(t);
}

static void overlaps_do_not_upset_the_counts(void **state) {
    (void)state;
    const char *text[] = {"aaaaa aaaaa aaaaaaa aa aaaa aaa baaab", NULL};
    at_tokenizer *t = train(400, 0, text);
    at_ids ids = {0};
    assert_int_equal(at_tokenizer_encode(&c, t, "aaaaa", 5, false, &ids), AT_OK);
    size_t n;
    char *back = at_tokenizer_decode(&c, t, ids.id, ids.n, &n);
    assert_int_equal(n, 5);
    assert_memory_equal(back, "aaaaa", 5);
    is_token(t, 257, "aa");
    at_free(back);
    at_ids_free(&ids);
    at_tokenizer_close(t);
}

static void order_of_documents_does_not_matter(void **state) {
    (void)state;
    const char *one[] = {"the ship, the sea", "la mer et le bateau", "das Meer, das Schiff",
                         "def ship():\n    return sea\n", NULL};
    const char *two[] = {"def ship():\n    return sea\n", "das Meer, das Schiff",
                         "la mer et le bateau", "the ship, the sea", NULL};
    at_tokenizer *a = train(290, 0, one), *b = train(290, 0, two);
    assert_string_equal(at_tokenizer_hash(a), at_tokenizer_hash(b));
    at_tokenizer_close(a);
    at_tokenizer_close(b);
}

static void golden_file_is_reproduced(void **state) {
    (void)state;
    size_t n, m, k;
    char *text = at_read_file(&c, "tests/golden/tokenizer/train.txt", 1 << 20, &n);
    char *want = at_read_file(&c, "tests/golden/tokenizer/artel.json", 1 << 20, &m);
    assert_non_null(text);
    assert_non_null(want);
    char *root = temporary_folder(), *path = at_join(&c, root, "tokenizer.json");
    at_tokenizer *t = train(380, 0, (const char *const[]){text, NULL});
    assert_int_equal(at_tokenizer_save(&c, t, path), AT_OK);
    char *got = at_read_file(&c, path, 1 << 20, &k);
    assert_int_equal(m, k);
    assert_memory_equal(want, got, m);
    at_tokenizer_close(t);
    at_free(text);
    at_free(want);
    at_free(got);
    at_free(path);
    assert_int_equal(at_remove_tree(&c, root), AT_OK);
}

static void long_pieces_are_cut_between_characters(void **state) {
    (void)state;
    char text[3 * 3000 + 1];
    for (int i = 0; i < 3000; i++) memcpy(text + 3 * i, i % 2 ? "水" : "火", 4);
    at_tokenizer *t = train(400, 16, (const char *const[]){text, NULL});
    for (int32_t id = 257; id < at_tokenizer_size(t); id++) {
        size_t n = 0;
        assert_non_null(at_tokenizer_bytes(t, id, &n));
        assert_true(n <= 15); /* five characters fit in sixteen bytes */
    }
    assert_true(at_tokenizer_size(t) > 260);
    at_tokenizer_close(t);
}

static void broken_and_empty_text(void **state) {
    (void)state;
    at_tokenizer *t = train(300, 0, (const char *const[]){"", NULL});
    assert_int_equal(at_tokenizer_size(t), 257);
    at_tokenizer_close(t);
    t = train(300, 0, (const char *const[]){"\xFF\xFF\xFF\xFF ab ab\xC3", NULL});
    for (int32_t id = 257; id < at_tokenizer_size(t); id++) {
        size_t n = 0;
        assert_null(strchr(at_tokenizer_bytes(t, id, &n), '\xFF'));
    }
    is_token(t, (int32_t)at_tokenizer_size(t) - 1, " ab");
    at_tokenizer_close(t);
}

static void impossible_options_are_refused(void **state) {
    (void)state;
    at_bpe_trainer *b;
    at_bpe_options o = {.vocab = 256};
    assert_int_equal(at_bpe_trainer_open(&c, &o, &b), AT_ARG);
    expect_says(&c, "vocabulary of 256: expected 257");
    o.vocab = INT64_MAX;
    assert_int_equal(at_bpe_trainer_open(&c, &o, &b), AT_ARG);
    assert_null(b);
}

static void interrupt_and_memory(void **state) {
    (void)state;
    at_bpe_trainer *b;
    at_tokenizer *t;
    const at_bpe_options o = {.vocab = 300};
    const char *text = "the ship, the sea, the ship";
    atomic_int stop = 1;
    assert_int_equal(at_bpe_trainer_open(&c, &o, &b), AT_OK);
    assert_int_equal(at_bpe_trainer_feed(&c, b, text, strlen(text)), AT_OK);
    c.interrupt = &stop;
    assert_int_equal(at_bpe_trainer_finish(&c, b, &t), AT_INTERRUPTED);
    assert_null(t);
    c.interrupt = NULL;
    at_bpe_trainer_close(b);
    int failures = 0;
    for (int64_t k = 1;; k++) {
        c.fail_after = k;
        t = NULL;
        at_status st = at_bpe_trainer_open(&c, &o, &b);
        if (!st) st = at_bpe_trainer_feed(&c, b, text, strlen(text));
        if (!st) st = at_bpe_trainer_finish(&c, b, &t);
        const bool done = c.fail_after > 0;
        c.fail_after = 0;
        at_bpe_trainer_close(b);
        at_tokenizer_close(t);
        if (done) break;
        assert_int_equal(st, AT_OOM);
        failures++;
    }
    assert_true(failures > 20);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(frequent_pairs_first_then_lower_ids, setup),
        cmocka_unit_test_setup(overlaps_do_not_upset_the_counts, setup),
        cmocka_unit_test_setup(order_of_documents_does_not_matter, setup),
        cmocka_unit_test_setup(golden_file_is_reproduced, setup),
        cmocka_unit_test_setup(long_pieces_are_cut_between_characters, setup),
        cmocka_unit_test_setup(broken_and_empty_text, setup),
        cmocka_unit_test_setup(impossible_options_are_refused, setup),
        cmocka_unit_test_setup(interrupt_and_memory, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
