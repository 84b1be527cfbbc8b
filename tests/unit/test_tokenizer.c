/* test_tokenizer.c - ids equal to the tokenizers package's, every byte kept, bad files refused. */
#include "base/json.h"
#include "base/rng.h"
#include "check.h"
#include "token/token_bytes.h"
#include "token/token_merge.h"
#include "token/tokenizer.h"
#include <utf8proc.h>

#define GOLDEN "tests/golden/tokenizer/"

static at_ctx c;
static uint64_t drawn; /* numbers so far */

static int32_t draw(uint64_t below) {
    return (int32_t)at_rand_below(below, 7, AT_STREAM_TEST, drawn++);
}

static int setup(void **state) {
    (void)state;
    at_ctx_init(&c, 1);
    return 0;
}

static at_tokenizer *load(const char *path) {
    at_tokenizer *t;
    if (at_tokenizer_load(&c, path, &t)) fail_msg("%s", c.message);
    return t;
}

static at_ids encode(const at_tokenizer *t, const char *text, size_t bytes) {
    at_ids ids = {0};
    if (at_tokenizer_encode(&c, t, text, bytes, true, &ids)) fail_msg("%s", c.message);
    return ids;
}

/* decode(encode(text)) is text. */
static void keeps(const at_tokenizer *t, const char *text, size_t bytes) {
    at_ids ids = encode(t, text, bytes);
    size_t n = 0;
    char *back = at_tokenizer_decode(&c, t, ids.id, ids.n, &n);
    assert_non_null(back);
    assert_int_equal(n, bytes);
    assert_memory_equal(back, text, bytes);
    assert_int_equal(back[n], 0);
    at_free(back);
    at_ids_free(&ids);
}

/* ---- golden ids ---- */

static void ids_equal_the_package(void **state) {
    (void)state;
    cJSON *cases = at_json_read(&c, GOLDEN "cases.json");
    assert_non_null(cases);
    const cJSON *texts = cJSON_GetObjectItem(cases, "texts"), *kind, *want;
    int kinds = 0, compared = 0;
    cJSON_ArrayForEach(kind, cJSON_GetObjectItem(cases, "ids")) {
        char path[256];
        (void)snprintf(path, sizeof path, GOLDEN "%s.json", kind->string);
        at_tokenizer *t = load(path);
        const cJSON *text = texts->child;
        for (want = kind->child; want; want = want->next, text = text->next) {
            if (cJSON_IsNull(want)) { /* the package cannot: U+2581 is a space there */
                keeps(t, text->valuestring, strlen(text->valuestring));
                compared++;
                continue;
            }
            at_ids ids = encode(t, text->valuestring, strlen(text->valuestring));
            const cJSON *id = want->child;
            for (int64_t i = 0; i < ids.n || id; i++, id = id->next)
                if (i >= ids.n || !id || id->valueint != ids.id[i])
                    fail_msg("%s: `%s`: token %lld is %d, expected %d", kind->string,
                             text->valuestring, (long long)i, i < ids.n ? (int)ids.id[i] : -1,
                             id ? id->valueint : -1);
            at_ids_free(&ids);
            compared++;
        }
        at_tokenizer_close(t);
        kinds++;
    }
    assert_int_equal(kinds, 8);
    assert_int_equal(compared, 8 * cJSON_GetArraySize(texts));
    cJSON_Delete(cases);
}

static void specials_are_text_when_asked(void **state) {
    (void)state;
    at_tokenizer *t = load(GOLDEN "artel.json");
    const char *text = "a<|endoftext|>";
    at_ids with = encode(t, text, strlen(text)), without = {0};
    assert_int_equal(at_tokenizer_encode(&c, t, text, strlen(text), false, &without), AT_OK);
    assert_int_equal(with.n, 2);
    assert_int_equal(with.id[1], 0);
    assert_true(without.n > 4);
    for (int64_t i = 0; i < without.n; i++) assert_int_not_equal(without.id[i], 0);
    assert_int_equal(at_tokenizer_special(t, "<|endoftext|>"), 0);
    assert_int_equal(at_tokenizer_special(t, "<|nothing|>"), -1);
    assert_int_equal(at_tokenizer_eot(t), 0);
    at_ids_free(&with);
    at_ids_free(&without);
    at_tokenizer_close(t);
    t = load(GOLDEN "cl100k.json"); /* which has added tokens that are not special, too */
    text = "<left><|endoftext|>";
    with = encode(t, text, strlen(text));
    assert_int_equal(with.n, 2);
    assert_int_equal(with.id[1], 0);
    assert_int_equal(at_tokenizer_encode(&c, t, text, strlen(text), false, &without), AT_OK);
    assert_int_equal(without.id[0], with.id[0]);
    assert_true(without.n > 4);
    for (int64_t i = 0; i < without.n; i++) assert_int_not_equal(without.id[i], 0);
    at_ids_free(&with);
    at_ids_free(&without);
    at_tokenizer_close(t);
    t = load(GOLDEN "sentencepiece.json");
    assert_int_equal(at_tokenizer_eot(t), 2);
    at_tokenizer_close(t);
}

/* ---- any bytes ---- */

static const char *const lossless[] = {GOLDEN "artel.json", GOLDEN "strings.json",
                                       GOLDEN "artel_words.json", GOLDEN "artel_lines.json"};

static void every_byte_string_is_kept(void **state) {
    (void)state;
    for (size_t k = 0; k < sizeof lossless / sizeof *lossless; k++) {
        at_tokenizer *t = load(lossless[k]);
        char s[80];
        keeps(t, "", 0);
        for (int b = 0; b < 256; b++) {
            s[0] = (char)b;
            keeps(t, s, 1);
        }
        for (int i = 0; i < 4000; i++) {
            const int n = draw(sizeof s), how = draw(3);
            const char *sign[] = {"\xE2\x82\xAC", " ", "\xC3\xA9",     "\n", "\xF0\x9F\x98\x80",
                                  "'s",           "e", "\xE2\x96\x81", "",   "</s>"};
            int w = 0;
            while (w < n) { /* bytes, characters, or both, cut anywhere */
                const char *p = sign[draw(10)];
                const bool raw = how == 0 || (how == 1 && draw(4) == 0);
                if (raw)
                    s[w++] = (char)draw(256);
                else
                    for (; *p && w < n; p++) s[w++] = *p;
            }
            keeps(t, s, (size_t)w);
        }
        at_tokenizer_close(t);
    }
}

static void invalid_bytes_are_their_own_tokens(void **state) {
    (void)state;
    at_tokenizer *t = load(GOLDEN "artel.json");
    at_ids ids = encode(t, "the\xFF\xC3 the", 9);
    at_ids left = encode(t, "the", 3), right = encode(t, " the", 4);
    assert_int_equal(ids.n, left.n + 2 + right.n);
    size_t n;
    const char *b = at_tokenizer_bytes(t, ids.id[left.n], &n);
    assert_int_equal(n, 1);
    assert_memory_equal(b, "\xFF", 1);
    assert_int_equal(ids.id[ids.n - 1], right.id[right.n - 1]);
    assert_null(at_tokenizer_bytes(t, -1, &n));
    assert_null(at_tokenizer_bytes(t, (int32_t)at_tokenizer_size(t), &n));
    at_ids_free(&ids);
    at_ids_free(&left);
    at_ids_free(&right);
    at_tokenizer_close(t);
    t = load(GOLDEN "sentencepiece.json");
    keeps(t, "\xFF hello\xC3( \xE2\x82", 13);
    keeps(t, "  two  spaces ", 14);
    at_tokenizer_close(t);
    t = load(GOLDEN "metaspace.json"); /* has no tokens for bytes */
    ids = (at_ids){0};
    assert_int_equal(at_tokenizer_encode(&c, t, "a\xFF", 2, true, &ids), AT_UNSUPPORTED);
    expect_says(&c, "no token for byte 0xFF");
    assert_int_equal(ids.n, 0);
    at_ids_free(&ids);
    at_tokenizer_close(t);
}

static void long_runs_take_no_square_time(void **state) {
    (void)state;
    const size_t n = 1 << 20;
    char *s = at_malloc(&c, n);
    const char *path[] = {GOLDEN "artel.json", GOLDEN "cl100k.json", GOLDEN "sentencepiece.json"};
    for (int k = 0; k < 3; k++) {
        at_tokenizer *t = load(path[k]);
        memset(s, 'e', n);
        keeps(t, s, n);
        memset(s, ' ', n);
        if (k != 2) keeps(t, s, n); /* SentencePiece drops one of them, as the package does */
        memset(s, '\xFF', n);
        keeps(t, s, n);
        at_tokenizer_close(t);
    }
    at_free(s);
}

static void scan_and_heap_merge_alike(void **state) {
    (void)state;
    for (int round = 0; round < 300; round++) {
        at_pairs merges = {0};
        at_merger m = {0};
        for (int32_t i = 0; i < 12; i++) { /* few symbols, so that pairs overlap */
            const int32_t made = 4 + i, top = 4 + i;
            const int32_t left = draw((uint64_t)top);
            const int32_t right = draw((uint64_t)top);
            at_pair *p = at_pairs_add(&c, &merges, at_pair_key(left, right));
            if (p->rank < 0) *p = (at_pair){p->key, i, made};
        }
        int32_t whole[160], slow[160];
        for (int i = 0; i < 160; i++) whole[i] = slow[i] = draw(4);
        int64_t n = 160, k = 160;
        assert_int_equal(at_merge(&c, &merges, &m, whole, &n), AT_OK); /* the heap */
        for (;;) {                                                     /* the definition */
            const at_pair *best = NULL;
            int64_t at = -1;
            for (int64_t i = 0; i + 1 < k; i++) {
                const at_pair *p = at_pairs_find(&merges, at_pair_key(slow[i], slow[i + 1]));
                if (p && (!best || p->rank < best->rank)) best = p, at = i;
            }
            if (!best) break;
            slow[at] = best->id;
            memmove(slow + at + 1, slow + at + 2, (size_t)(k - at - 2) * sizeof *slow);
            k--;
        }
        assert_int_equal(n, k);
        assert_memory_equal(whole, slow, (size_t)n * sizeof *slow);
        int32_t few[40], same[40];
        for (int i = 0; i < 40; i++) few[i] = same[i] = draw(4);
        n = k = 40;
        assert_int_equal(at_merge(&c, &merges, &m, few, &n), AT_OK); /* the scan */
        int32_t padded[160]; /* the same through the heap, behind symbols that never merge */
        for (int i = 0; i < 160; i++) padded[i] = i < 120 ? 100 : same[i - 120];
        k = 160;
        assert_int_equal(at_merge(&c, &merges, &m, padded, &k), AT_OK);
        assert_int_equal(k, n + 120);
        assert_memory_equal(padded + 120, few, (size_t)n * sizeof *few);
        at_pairs_close(&merges);
        at_merger_close(&m);
    }
}

/* Special tokens in a text, U+2581, and spaces where a text begins: what decoding must undo. */
static void spaces_put_by_the_normalizer_are_taken_away(void **state) {
    (void)state;
    at_tokenizer *t = load(GOLDEN "artel_words.json");
    const char *text[] = {" ",           "  a",        "</s>",      "</s>a",
                          "</s> a",      "a</s>",      "a</s>b",    "a</s></s>",
                          "<s> <unk> x", AT_MARK " a", " " AT_MARK, "a </s>"};
    for (size_t i = 0; i < sizeof text / sizeof *text; i++) keeps(t, text[i], strlen(text[i]));
    at_ids ids = encode(t, "the</s>the", 10), the = encode(t, "the", 3);
    size_t n = 0;
    assert_int_equal(ids.n, 2 * the.n + 1);
    assert_int_equal(ids.id[the.n], 2);
    assert_int_equal(ids.id[the.n + 1], the.id[0]);
    const int32_t first = the.id[0];
    assert_int_equal(*at_tokenizer_bytes(t, first, &n), ' ');
    const size_t all = n;
    assert_int_equal(*at_tokenizer_after(t, -1, first, &n), 't');
    assert_int_equal(n, all - 1);
    assert_int_equal(*at_tokenizer_after(t, 2, first, &n), 't');
    assert_int_equal(*at_tokenizer_after(t, first, first, &n), ' ');
    assert_int_equal(n, all);
    assert_null(at_tokenizer_after(t, first, -1, &n));
    at_ids_free(&ids);
    ids = encode(t, "a" AT_MARK "b", 5);
    const int32_t mark[] = {3 + 0xE2, 3 + 0x96, 3 + 0x81};
    assert_memory_equal(ids.id + 1, mark, sizeof mark);
    at_ids_free(&ids);
    at_ids_free(&the);
    at_tokenizer_close(t);
    t = load(GOLDEN "sentencepiece.json"); /* which does not say that U+2581 is kept */
    ids = encode(t, "a" AT_MARK "b", 5);
    for (int64_t i = 0; i < ids.n; i++) assert_int_not_equal(ids.id[i], 3 + 0xE2);
    at_ids_free(&ids);
    at_tokenizer_close(t);
}

/* With and without seams the ids are the same: the tokenizers differ in an unused merge of bytes. */
static void seams_do_not_change_ids(void **state) {
    (void)state;
    const char *path[] = {GOLDEN "artel_words.json", GOLDEN "artel_lines.json",
                          GOLDEN "sentencepiece.json"};
    size_t n;
    char *text = at_read_file(&c, GOLDEN "train.txt", 1 << 20, &n);
    for (int k = 0; k < 3; k++) {
        at_tokenizer *fast = load(path[k]), *slow;
        cJSON *v = at_json_read(&c, path[k]), *m = cJSON_GetObjectItem(v, "model");
        cJSON_AddNumberToObject(cJSON_GetObjectItem(m, "vocab"), "<0xFE><0xFF>", 4000);
        const char *pair[] = {"<0xFE>", "<0xFF>"};
        cJSON_AddItemToArray(cJSON_GetObjectItem(m, "merges"), cJSON_CreateStringArray(pair, 2));
        char *json = cJSON_PrintUnformatted(v);
        if (at_tokenizer_parse(&c, "slow", json, strlen(json), &slow)) fail_msg("%s", c.message);
        at_ids a = encode(fast, text, n), b = encode(slow, text, n);
        assert_int_equal(a.n, b.n);
        assert_memory_equal(a.id, b.id, (size_t)a.n * sizeof *a.id);
        at_ids_free(&a);
        at_ids_free(&b);
        cJSON_free(json);
        cJSON_Delete(v);
        at_tokenizer_close(fast);
        at_tokenizer_close(slow);
    }
    at_free(text);
}

/* ---- files ---- */

static void saving_and_hashing(void **state) {
    (void)state;
    char *root = temporary_folder();
    at_tokenizer *t = load(GOLDEN "artel.json"), *other;
    char *path = at_join(&c, root, "tokenizer.json");
    assert_int_equal(at_tokenizer_save(&c, t, path), AT_OK);
    size_t a, b;
    char *one = at_read_file(&c, GOLDEN "artel.json", 1 << 20, &a);
    char *two = at_read_file(&c, path, 1 << 20, &b);
    assert_int_equal(a, b);
    assert_memory_equal(one, two, a);
    other = load(root); /* a folder holds one */
    assert_string_equal(at_tokenizer_hash(t), at_tokenizer_hash(other));
    assert_int_equal(strlen(at_tokenizer_hash(t)), 64);
    at_tokenizer_close(other);
    cJSON *v = at_json_parse(&c, "x", one, a); /* another layout is the same tokenizer */
    char *compact = cJSON_PrintUnformatted(v);
    assert_int_equal(at_tokenizer_parse(&c, "x", compact, strlen(compact), &other), AT_OK);
    assert_string_equal(at_tokenizer_hash(t), at_tokenizer_hash(other));
    at_tokenizer_close(other);
    cJSON_free(compact);
    cJSON_DeleteItemFromArray(cJSON_GetObjectItem(cJSON_GetObjectItem(v, "model"), "merges"), 3);
    compact = cJSON_PrintUnformatted(v); /* one merge less is another one */
    assert_int_equal(at_tokenizer_parse(&c, "x", compact, strlen(compact), &other), AT_OK);
    assert_string_not_equal(at_tokenizer_hash(t), at_tokenizer_hash(other));
    at_tokenizer_close(other);
    cJSON_free(compact);
    cJSON_Delete(v);
    at_tokenizer_close(t);
    at_free(one);
    at_free(two);
    at_free(path);
    assert_int_equal(at_remove_tree(&c, root), AT_OK);
}

static void ids_out_of_range_are_named(void **state) {
    (void)state;
    at_tokenizer *t = load(GOLDEN "artel.json");
    const int32_t bad[] = {5, 6, 420, -1};
    size_t n;
    assert_null(at_tokenizer_decode(&c, t, bad, 3, &n));
    assert_int_equal(c.status, AT_ARG);
    expect_says(&c, "token 2 is 420");
    assert_null(at_tokenizer_decode(&c, t, bad + 3, 1, &n));
    expect_says(&c, "token 0 is -1");
    at_tokenizer_close(t);
}

#define BYTELEVEL "\"pre_tokenizer\":{\"type\":\"ByteLevel\",\"add_prefix_space\":false}"
#define MODEL(vocab, merges) \
    "\"model\":{\"type\":\"BPE\",\"vocab\":{" vocab "},\"merges\":[" merges "]}"
#define SPLIT(regex)                                                                            \
    "{\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"Split\","         \
    "\"behavior\":\"Isolated\",\"pattern\":{\"Regex\":\"" regex "\"}},{\"type\":\"ByteLevel\"," \
    "\"add_prefix_space\":false,\"use_regex\":false}]}," MODEL("\"a\":0", "") "}"

static void refuses(at_status status, const char *json, const char *says) {
    at_tokenizer *t;
    at_error_clear(&c);
    if (!at_tokenizer_parse(&c, "x.json", json, strlen(json), &t)) fail_msg("accepted: %s", json);
    assert_null(t);
    expect_says(&c, "x.json");
    expect_says(&c, says);
    assert_int_equal(c.status, status);
}

static void bad_files_are_refused_by_name(void **state) {
    (void)state;
    at_tokenizer *t;
    assert_int_equal(at_tokenizer_load(&c, "/nonexistent.json", &t), AT_IO);
    expect_says(&c, "/nonexistent.json");
    refuses(AT_FORMAT, "", "found nothing");
    refuses(AT_FORMAT, "[]", "no object");
    refuses(AT_FORMAT, "{}", "\"model\"");
    refuses(AT_UNSUPPORTED, "{\"model\":{\"type\":\"Unigram\"}}", "`Unigram`");
    refuses(AT_FORMAT, "{\"model\":{\"type\":\"BPE\"}}", "\"vocab\"");
    refuses(AT_UNSUPPORTED, "{" MODEL("\"a\":0", "") "}", "neither byte-level");
    refuses(AT_FORMAT, "{" BYTELEVEL "," MODEL("\"a\":-1", "") "}", "`a`: expected an id");
    refuses(AT_FORMAT, "{" BYTELEVEL "," MODEL("\"a\":0.5", "") "}", "`a`: expected an id");
    refuses(AT_FORMAT, "{" BYTELEVEL "," MODEL("\"a\":1e12", "") "}", "`a`: expected an id");
    refuses(AT_FORMAT, "{" BYTELEVEL "," MODEL("\"a\":\"0\"", "") "}", "`a`: expected an id");
    refuses(AT_FORMAT, "{" BYTELEVEL "," MODEL("\"a\":0,\"b\":0", "") "}", "`b` has id 0");
    refuses(AT_FORMAT, "{" BYTELEVEL "," MODEL("\"a\":0,\"a\":1", "") "}", "`a` is there twice");
    refuses(AT_FORMAT, "{" BYTELEVEL "," MODEL("\"a\":0", "\"ab\"") "}", "merge 0: expected");
    refuses(AT_FORMAT, "{" BYTELEVEL "," MODEL("\"a\":0", "\"a a a\"") "}", "merge 0: expected");
    refuses(AT_FORMAT, "{" BYTELEVEL "," MODEL("\"a\":0", "[\"a\"]") "}", "merge 0: expected");
    refuses(AT_FORMAT, "{" BYTELEVEL "," MODEL("\"a\":0", "[\"a\",1]") "}", "merge 0: expected");
    refuses(AT_FORMAT, "{" BYTELEVEL "," MODEL("\"a\":0", "\"a b\"") "}", "`b` is not in");
    refuses(AT_FORMAT, "{" BYTELEVEL "," MODEL("\"a\":0", "\"a aaaaaaaaaaaaaa\"") "}", "not in");
    refuses(AT_FORMAT, "{" BYTELEVEL "," MODEL("\"a\":0", "\"a a\"") "}", "make no known token");
    refuses(AT_UNSUPPORTED,
            "{\"normalizer\":{\"type\":\"Lowercase\"}," BYTELEVEL "," MODEL("", "") "}",
            "normalizer `Lowercase`");
    refuses(AT_UNSUPPORTED, "{\"pre_tokenizer\":{\"type\":\"Whitespace\"}," MODEL("", "") "}",
            "pre_tokenizer `Whitespace`");
    refuses(AT_UNSUPPORTED,
            "{" BYTELEVEL ",\"decoder\":{\"type\":\"WordPiece\"}," MODEL("", "") "}",
            "decoder `WordPiece`");
    refuses(AT_UNSUPPORTED,
            "{" BYTELEVEL ",\"model\":{\"dropout\":0.1,\"vocab\":{},\"merges\":[]}}", "dropout");
    refuses(AT_FORMAT, "{" BYTELEVEL ",\"model\":{\"unk_token\":\"u\",\"vocab\":{},\"merges\":[]}}",
            "`u`");
    refuses(AT_FORMAT,
            "{\"added_tokens\":[{\"id\":0,\"content\":\"z\"}]," BYTELEVEL
            "," MODEL("\"a\":0", "") "}",
            "added token `z` has id 0, which is `a`");
    refuses(AT_FORMAT, "{\"added_tokens\":[{\"id\":0}]," BYTELEVEL "," MODEL("\"a\":0", "") "}",
            "\"content\"");
    refuses(AT_UNSUPPORTED, SPLIT("[a&&b]"), "&&");
    refuses(AT_UNSUPPORTED, SPLIT("[a[b]]"), "a set within a set");
    refuses(AT_UNSUPPORTED, SPLIT("(a"), "closing parenthesis");
    refuses(AT_UNSUPPORTED, SPLIT("\\\\h+"), "escape");
}

/* Is ch in the list first, last, first, last, ... that grows? */
static bool in_ranges(const cJSON *list, const cJSON **at, uint32_t ch) {
    if (!*at) *at = list->child;
    while ((*at)->next && (*at)->next->next && (double)ch > (*at)->next->valuedouble)
        *at = (*at)->next->next;
    return (double)ch >= (*at)->valuedouble && (double)ch <= (*at)->next->valuedouble;
}

/* single_word: for every character beside a token the package and artel agree whether it is part of
   a word. */
static void words_are_unicode_words(void **state) {
    (void)state;
    at_tokenizer *t;
    at_ids ids = {0};
    assert_int_equal(at_tokenizer_load(&c, GOLDEN "cl100k.json", &t), AT_OK);
    assert_int_equal(at_tokenizer_encode(&c, t, "ships", 5, true, &ids), AT_OK);
    assert_int_equal(ids.n, 1);
    const int32_t ships = ids.id[0];
    cJSON *golden = at_json_read(&c, GOLDEN "word.json");
    const cJSON *word = cJSON_GetObjectItem(golden, "word"), *in_word = NULL;
    const cJSON *known = cJSON_GetObjectItem(golden, "known"), *in_known = NULL;
    int asked = 0;
    for (uint32_t ch = 1; ch < 0x110000; ch++) {
        char text[16];
        const utf8proc_ssize_t n =
            utf8proc_encode_char((utf8proc_int32_t)ch, (utf8proc_uint8_t *)text);
        if (!in_ranges(known, &in_known, ch) || (ch >= 0xD800 && ch < 0xF900) || ch >= 0xF0000 ||
            utf8proc_category((utf8proc_int32_t)ch) == UTF8PROC_CATEGORY_CN)
            continue; /* nor surrogates and private ones, which are many and alike */
        memcpy(text + n, "ships", 5);
        assert_int_equal(at_tokenizer_encode(&c, t, text, (size_t)n + 5, true, &ids), AT_OK);
        const bool alone = ids.id[ids.n - 1] == ships;
        if (alone == in_ranges(word, &in_word, ch)) fail_msg("U+%04X", (unsigned)ch);
        asked++;
    }
    assert_true(asked > 130000);
    cJSON_Delete(golden);
    at_ids_free(&ids);
    at_tokenizer_close(t);
}

static void no_memory_is_a_status(void **state) {
    (void)state;
    size_t n;
    char *json = at_read_file(&c, GOLDEN "cl100k.json", 1 << 20, &n);
    int failures = 0;
    for (int64_t k = 1; k < 100000; k++) {
        at_tokenizer *t = NULL;
        at_ids ids = {0};
        c.fail_after = k;
        at_status st = at_tokenizer_parse(&c, "x", json, n, &t);
        if (!st) st = at_tokenizer_encode(&c, t, "ships <left> e\xCC\x81 word\xFF", 21, true, &ids);
        const bool done = c.fail_after > 0;
        c.fail_after = 0;
        if (!done) {
            assert_int_equal(st, AT_OOM);
            failures++;
        }
        at_ids_free(&ids);
        at_tokenizer_close(t);
        if (done) break;
    }
    assert_true(failures > 20);
    at_free(json);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(ids_equal_the_package, setup),
        cmocka_unit_test_setup(specials_are_text_when_asked, setup),
        cmocka_unit_test_setup(every_byte_string_is_kept, setup),
        cmocka_unit_test_setup(invalid_bytes_are_their_own_tokens, setup),
        cmocka_unit_test_setup(long_runs_take_no_square_time, setup),
        cmocka_unit_test_setup(scan_and_heap_merge_alike, setup),
        cmocka_unit_test_setup(spaces_put_by_the_normalizer_are_taken_away, setup),
        cmocka_unit_test_setup(seams_do_not_change_ids, setup),
        cmocka_unit_test_setup(saving_and_hashing, setup),
        cmocka_unit_test_setup(ids_out_of_range_are_named, setup),
        cmocka_unit_test_setup(bad_files_are_refused_by_name, setup),
        cmocka_unit_test_setup(words_are_unicode_words, setup),
        cmocka_unit_test_setup(no_memory_is_a_status, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
