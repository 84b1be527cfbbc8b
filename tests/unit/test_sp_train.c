/* test_sp_train.c - SentencePiece-style training: merges as defined, what may be merged, ids. */
#include "base/rng.h"
#include "check.h"
#include "token/token_learn.h"
#include "token/tokenizer.h"

static at_ctx c;
static uint64_t drawn;

static int32_t draw(uint64_t below) {
    return (int32_t)at_rand_below(below, 11, AT_STREAM_TEST, drawn++);
}

static int setup(void **state) {
    (void)state;
    at_ctx_init(&c, 1);
    return 0;
}

/* ---- merges ---- */

enum { SYMBOLS = 3, ROOM = 400 };

typedef struct sample {
    int32_t cell[ROOM];
    int64_t n, start[ROOM], count[ROOM], chunks;
} sample;

/* A few chunks of few symbols, so that pairs overlap and tokens come about in several ways. */
static void make_text(sample *t) {
    *t = (sample){0};
    const int chunks = 1 + draw(12);
    for (int k = 0; k < chunks; k++) {
        t->cell[t->n++] = AT_CELL_BREAK;
        t->start[t->chunks] = t->n;
        t->count[t->chunks++] = 1 + draw(3);
        for (int n = draw(32); n > 0; n--) t->cell[t->n++] = 10 + draw(draw(2) ? SYMBOLS : 2);
        if (t->start[t->chunks - 1] == t->n) t->cell[t->n++] = 10;
    }
    t->cell[t->n++] = AT_CELL_BREAK;
}

static void base(at_words *w) {
    *w = (at_words){0};
    for (int i = 0; i < SYMBOLS; i++)
        assert_int_equal(at_words_add(&c, w, &"abc"[i], 1, 0, NULL), i);
}

/* The definition: count all pairs anew, merge the best, again. */
static void by_definition(sample *t, const at_learning *l, at_words *w, at_ids *out) {
    while (w->n < l->spellings) {
        int64_t best = 0;
        int32_t left = -1, right = -1;
        for (int32_t a = 10; a < 10 + (int32_t)w->n; a++)
            for (int32_t b = 10; b < 10 + (int32_t)w->n; b++) {
                const at_word x = w->item[a - 10], y = w->item[b - 10];
                char both[ROOM] = {0};
                memcpy(both, w->blob + x.start, x.bytes);
                memcpy(both + x.bytes, w->blob + y.start, y.bytes);
                if (l->max_width && x.bytes + y.bytes > l->max_width) continue;
                if (l->no && at_words_find(l->no, both, x.bytes + y.bytes) >= 0) continue;
                int64_t seen = 0, chunk = -1;
                for (int64_t i = 0; i + 1 < t->n; i++) {
                    if (t->cell[i] == AT_CELL_BREAK) chunk++;
                    if (t->cell[i] == a && t->cell[i + 1] == b) seen += t->count[chunk];
                }
                if (seen > best) best = seen, left = a, right = b;
            }
        if (best < l->min_count) return;
        const at_word x = w->item[left - 10], y = w->item[right - 10];
        char both[ROOM];
        memcpy(both, w->blob + x.start, x.bytes);
        memcpy(both + x.bytes, w->blob + y.start, y.bytes);
        const int64_t made = at_words_add(&c, w, both, x.bytes + y.bytes, 0, NULL);
        assert_true(at_reserve(&c, &out->id, &out->cap, out->n + 2, sizeof *out->id));
        out->id[out->n++] = left;
        out->id[out->n++] = right;
        int64_t k = 0;
        for (int64_t i = 0; i < t->n; k++) {
            const bool hit = i + 1 < t->n && t->cell[i] == left && t->cell[i + 1] == right;
            t->cell[k] = hit ? (int32_t)made + 10 : t->cell[i];
            i += hit ? 2 : 1;
        }
        t->n = k;
    }
}

static void merges_are_those_of_the_definition(void **state) {
    (void)state;
    int64_t learnt = 0;
    at_words no = {0};
    assert_int_equal(at_words_add(&c, &no, "ab", 2, 0, NULL), 0);
    for (int round = 0; round < 400; round++) {
        sample t, u;
        make_text(&t);
        u = t;
        at_words w, v;
        at_ids got = {0}, want = {0};
        base(&w);
        base(&v);
        at_learning l = {.first = 10,
                         .spellings = SYMBOLS + 1 + draw(40),
                         .min_count = 1 + draw(3),
                         .max_width = round % 3 ? 0 : 2 + draw(6),
                         .no = round % 4 ? NULL : &no,
                         .cell = t.cell,
                         .cells = t.n,
                         .start = t.start,
                         .count = t.count,
                         .chunks = t.chunks};
        assert_int_equal(at_learn_merges(&c, &l, &w, &got), AT_OK);
        by_definition(&u, &l, &v, &want);
        assert_int_equal(got.n, want.n);
        if (got.n) assert_memory_equal(got.id, want.id, (size_t)got.n * sizeof *got.id);
        assert_int_equal(w.n, v.n);
        learnt += got.n / 2;
        at_ids_free(&got);
        at_ids_free(&want);
        at_words_close(&w);
        at_words_close(&v);
    }
    at_words_close(&no);
    assert_true(learnt > 3000);
}

/* ---- training ---- */

static at_tokenizer *train(const at_bpe_options *o, const char *const *text) {
    at_bpe_trainer *b;
    at_tokenizer *t;
    if (at_bpe_trainer_open(&c, o, &b)) fail_msg("%s", c.message);
    for (; *text; text++) assert_int_equal(at_bpe_trainer_feed(&c, b, *text, strlen(*text)), AT_OK);
    if (at_bpe_trainer_finish(&c, b, &t)) fail_msg("%s", c.message);
    at_bpe_trainer_close(b);
    return t;
}

/* Id of the token with these bytes, behind the bytes' own; -1: none. */
static int32_t find(const at_tokenizer *t, const char *bytes) {
    for (int32_t id = AT_BPE_SP_FIRST; id < at_tokenizer_size(t); id++) {
        size_t n = 0;
        const char *s = at_tokenizer_bytes(t, id, &n);
        if (n == strlen(bytes) && !memcmp(s, bytes, n)) return id;
    }
    return -1;
}

static void ids_are_specials_bytes_characters_merges(void **state) {
    (void)state;
    const at_bpe_options o = {.vocab = 274, .kind = AT_BPE_SENTENCEPIECE, .coverage = 1};
    at_tokenizer *t =
        train(&o, (const char *const[]){"ab ab ab ab cab", "ab\xC3\xA9\xC3\xA9", NULL});
    size_t n;
    assert_int_equal(at_tokenizer_special(t, "<unk>"), 0);
    assert_int_equal(at_tokenizer_special(t, "<s>"), 1);
    assert_int_equal(at_tokenizer_eot(t), 2);
    for (int b = 0; b < 256; b++) {
        const char *s = at_tokenizer_bytes(t, 3 + b, &n);
        assert_int_equal(n, 1);
        assert_int_equal((unsigned char)*s, b);
    }
    assert_int_equal(find(t, "a"), 259); /* by code point; the space is U+2581 */
    assert_int_equal(find(t, "b"), 260);
    assert_int_equal(find(t, "c"), 261);
    assert_int_equal(find(t, "\xC3\xA9"), 262);
    assert_int_equal(find(t, " "), 263);
    assert_int_equal(find(t, "ab"), 264); /* 6 times, then " ab" 5: the texts' own space counts */
    assert_int_equal(find(t, " ab"), 265);
    assert_int_equal(at_tokenizer_size(t), 266); /* nothing else occurs twice */
    at_ids ids = {0};
    assert_int_equal(at_tokenizer_encode(&c, t, "ab cab", 6, false, &ids), AT_OK);
    const int32_t want[] = {265, 263, 261, 264};
    assert_int_equal(ids.n, 4);
    assert_memory_equal(ids.id, want, sizeof want);
    at_ids_free(&ids);
    at_tokenizer_close(t);
}

static void words_lines_digits_and_spaces(void **state) {
    (void)state;
    const char *text[] = {"of the 2024 ship\n    of the 2024 ship\n    of the 2024 ship\n", NULL};
    at_bpe_options o = {.vocab = 400, .kind = AT_BPE_SENTENCEPIECE, .coverage = 1};
    at_tokenizer *t = train(&o, text);
    assert_true(find(t, " the") >= 0 && find(t, "2024") < 0 && find(t, " 2024") >= 0);
    assert_true(find(t, " of the") < 0 && find(t, "\n   ") >= 0);
    at_tokenizer_close(t);
    o.across_words = true;
    t = train(&o, text);
    assert_true(find(t, "of the 2024 ship\n") >= 0); /* nothing spans the end of a line */
    for (int32_t id = AT_BPE_SP_FIRST; id < at_tokenizer_size(t); id++) {
        size_t n;
        const char *s = at_tokenizer_bytes(t, id, &n), *line = memchr(s, '\n', n);
        assert_true(!line || line == s + n - 1);
    }
    at_tokenizer_close(t);
    o.max_piece = 6;
    t = train(&o, text);
    for (int32_t id = AT_BPE_SP_FIRST; id < at_tokenizer_size(t); id++) {
        size_t n;
        assert_non_null(at_tokenizer_bytes(t, id, &n));
        assert_true(n <= 6);
    }
    at_tokenizer_close(t);
    o.max_piece = 0;
    o.split_digits = true;
    t = train(&o, text);
    assert_true(find(t, "2") >= 0 && find(t, "20") < 0 && find(t, " 2") < 0);
    assert_true(find(t, "  ") >= 0 && (find(t, " of the ") >= 0 || find(t, "of the ") >= 0));
    at_tokenizer_close(t);
    o.single_spaces = true;
    t = train(&o, text);
    assert_true(find(t, "  ") < 0 && find(t, "   ") < 0 && find(t, " ship\n") >= 0);
    at_tokenizer_close(t);
}

static void rare_characters_are_bytes(void **state) {
    (void)state;
    char text[4096] = "";
    for (int i = 0; i < 400; i++) strcat(text, "ab \xC3\xA9 ");
    strcat(text, "\xE6\xB0\xB4"); /* one of 2001 characters and the space before them */
    at_bpe_options o = {.vocab = 300, .kind = AT_BPE_SENTENCEPIECE};
    at_tokenizer *t = train(&o, (const char *const[]){text, NULL});
    assert_true(find(t, "\xE6\xB0\xB4") < 0 && find(t, "\xC3\xA9") >= 0);
    at_ids ids = {0};
    assert_int_equal(at_tokenizer_encode(&c, t, "\xE6\xB0\xB4", 3, false, &ids), AT_OK);
    const int32_t want[] = {find(t, " "), 3 + 0xE6, 3 + 0xB0, 3 + 0xB4};
    assert_int_equal(ids.n, 4);
    assert_memory_equal(ids.id, want, sizeof want);
    at_ids_free(&ids);
    at_tokenizer_close(t);
    o.coverage = 1;
    t = train(&o, (const char *const[]){text, NULL});
    assert_true(find(t, "\xE6\xB0\xB4") >= 0);
    at_tokenizer_close(t);
    o.coverage = 0.5; /* the space is always there */
    t = train(&o, (const char *const[]){"bbbbbbbbbc", NULL});
    assert_true(find(t, "b") >= 0 && find(t, "c") < 0 && find(t, " ") >= 0);
    at_tokenizer_close(t);
    o.vocab = 261; /* which leaves room for it alone */
    t = train(&o, (const char *const[]){"bbbbbbbbbc", NULL});
    assert_true(find(t, "b") < 0 && find(t, " ") == AT_BPE_SP_FIRST);
    at_tokenizer_close(t);
    o = (at_bpe_options){.vocab = 265, .kind = AT_BPE_SENTENCEPIECE, .coverage = 1};
    t = train(&o, (const char *const[]){"aaaaabbbbccc ccd", NULL});
    assert_true(find(t, "a") >= 0 && find(t, " ") >= 0); /* three, half of what is left */
    assert_true(find(t, "b") >= 0 ? find(t, "c") < 0 : find(t, "c") >= 0);
    assert_true(find(t, "d") < 0);
    at_tokenizer_close(t);
}

static void merges_make_no_special_tokens(void **state) {
    (void)state;
    const char *text[] = {"a<s>b c<s>d e<s>f g</s>h i</s>j k</s>l m<unk>n o<unk>p q<unk>r t<0x41>u "
                          "v<0x41>w y<0x41>z", /* each time between other letters */
                          NULL};
    const at_bpe_options o = {
        .vocab = 500, .kind = AT_BPE_SENTENCEPIECE, .across_words = true, .coverage = 1};
    at_tokenizer *t = train(&o, text);
    assert_true(find(t, "<s>") < 0 && find(t, "</s>") < 0 && find(t, "<unk>") < 0);
    assert_true(find(t, "<0x41>") < 0 && find(t, "s>") >= 0);
    at_ids ids = {0};
    assert_int_equal(at_tokenizer_encode(&c, t, *text, strlen(*text), false, &ids), AT_OK);
    for (int64_t i = 0; i < ids.n; i++) assert_true(ids.id[i] >= AT_BPE_SP_FIRST);
    at_ids_free(&ids);
    at_tokenizer_close(t);
}

/* Many different lines, from the first or from the last. */
static at_tokenizer *sampled(const at_bpe_options *o, bool back) {
    at_bpe_trainer *b;
    at_tokenizer *t;
    assert_int_equal(at_bpe_trainer_open(&c, o, &b), AT_OK);
    for (int i = 0; i < 6000; i++) {
        const int k = back ? 5999 - i : i;
        char line[64];
        const int n = snprintf(line, sizeof line, "line %d is of ship %d\n", k * k, k % 77);
        assert_int_equal(at_bpe_trainer_feed(&c, b, line, (size_t)n), AT_OK);
    }
    assert_int_equal(at_bpe_trainer_finish(&c, b, &t), AT_OK);
    at_bpe_trainer_close(b);
    return t;
}

static void a_sample_does_not_depend_on_order(void **state) {
    (void)state;
    at_bpe_options o = {
        .vocab = 600, .kind = AT_BPE_SENTENCEPIECE, .across_words = true, .sample = 1 << 16};
    at_tokenizer *a = sampled(&o, false), *b = sampled(&o, true);
    o.sample = 1 << 20;
    at_tokenizer *all = sampled(&o, false);
    assert_string_equal(at_tokenizer_hash(a), at_tokenizer_hash(b));
    assert_string_not_equal(at_tokenizer_hash(a), at_tokenizer_hash(all));
    assert_true(find(a, " is of ship ") >= 0);
    at_tokenizer_close(a);
    at_tokenizer_close(b);
    at_tokenizer_close(all);
}

static void impossible_options_are_refused(void **state) {
    (void)state;
    at_bpe_trainer *b;
    at_bpe_options o = {.vocab = 259, .kind = AT_BPE_SENTENCEPIECE};
    assert_int_equal(at_bpe_trainer_open(&c, &o, &b), AT_ARG);
    expect_says(&c, "vocabulary of 259: expected 260 (256 bytes and <unk>, <s>, </s>");
    o = (at_bpe_options){.vocab = 300, .split_digits = true};
    assert_int_equal(at_bpe_trainer_open(&c, &o, &b), AT_ARG);
    expect_says(&c, "options of the kind sentencepiece");
    o = (at_bpe_options){.vocab = 300, .kind = AT_BPE_SENTENCEPIECE, .coverage = 1.5};
    assert_int_equal(at_bpe_trainer_open(&c, &o, &b), AT_ARG);
    expect_says(&c, "coverage: expected a share of 0 to 1, found 1.5");
    o.coverage = 0;
    o.sample = 10;
    assert_int_equal(at_bpe_trainer_open(&c, &o, &b), AT_ARG);
    expect_says(&c, "sample: expected 65536 bytes or more, found 10");
    assert_null(b);
    at_bpe_kind kind = AT_BPE_SENTENCEPIECE;
    assert_int_equal(at_bpe_kind_parse(&c, "unigram", &kind), AT_ARG);
    expect_says(&c, "expected bytes or sentencepiece, found `unigram`");
    assert_int_equal(at_bpe_kind_parse(&c, NULL, &kind), AT_OK);
    assert_int_equal(kind, AT_BPE_BYTES);
}

static void long_words_take_no_square_time(void **state) {
    (void)state;
    const size_t n = 3 << 20;
    char *s = at_malloc(&c, n + 1);
    at_bpe_options o = {.vocab = 600, .kind = AT_BPE_SENTENCEPIECE, .across_words = true};
    for (int kind = 0; kind < 2; kind++) { /* one letter, and characters without spaces */
        for (size_t i = 0; i < n; i += 3)
            memcpy(s + i,
                   kind ? (const char *[]){"\xE6\xB0\xB4", "\xE7\x81\xAB", "\xE6\x9C\xA8"}[draw(3)]
                        : "eee",
                   3);
        s[n] = 0;
        at_tokenizer *t = train(&o, (const char *const[]){s, NULL});
        at_ids ids = {0};
        size_t m;
        assert_int_equal(at_tokenizer_encode(&c, t, s, n, false, &ids), AT_OK);
        char *back = at_tokenizer_decode(&c, t, ids.id, ids.n, &m);
        assert_int_equal(m, n);
        assert_memory_equal(back, s, n);
        at_free(back);
        at_ids_free(&ids);
        at_tokenizer_close(t);
    }
    at_free(s);
}

static void interrupt_and_memory(void **state) {
    (void)state;
    at_bpe_trainer *b;
    at_tokenizer *t;
    const at_bpe_options o = {
        .vocab = 300, .kind = AT_BPE_SENTENCEPIECE, .across_words = true, .sample = 1 << 16};
    atomic_int stop = 1;
    const char *line = "the ship, the sea\n";
    assert_int_equal(at_bpe_trainer_open(&c, &o, &b), AT_OK);
    assert_int_equal(at_bpe_trainer_feed(&c, b, line, strlen(line)), AT_OK);
    assert_int_equal(at_bpe_trainer_feed(&c, b, line, strlen(line)), AT_OK);
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
        for (int i = 0; i < 20 && !st; i++) { /* more than the sample: it is thinned */
            char text[4096];
            for (int j = 0; j < 4095; j++) text[j] = (char)('a' + (i * 7 + j * j) % 11);
            st = at_bpe_trainer_feed(&c, b, text, 4095);
        }
        if (!st) st = at_bpe_trainer_finish(&c, b, &t);
        const bool done = c.fail_after > 0;
        c.fail_after = 0;
        at_bpe_trainer_close(b);
        at_tokenizer_close(t);
        if (done) break;
        assert_int_equal(st, AT_OOM);
        failures++;
    }
    assert_true(failures > 40);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(merges_are_those_of_the_definition, setup),
        cmocka_unit_test_setup(ids_are_specials_bytes_characters_merges, setup),
        cmocka_unit_test_setup(words_lines_digits_and_spaces, setup),
        cmocka_unit_test_setup(rare_characters_are_bytes, setup),
        cmocka_unit_test_setup(merges_make_no_special_tokens, setup),
        cmocka_unit_test_setup(a_sample_does_not_depend_on_order, setup),
        cmocka_unit_test_setup(impossible_options_are_refused, setup),
        cmocka_unit_test_setup(long_words_take_no_square_time, setup),
        cmocka_unit_test_setup(interrupt_and_memory, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
