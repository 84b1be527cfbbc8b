/*
 * test_fluency.c - texts continued together are those continued alone; what is counted of a text.
 */
#include "check.h"
#include "infer/fluency.h"
#include "infer/generate.h"
#include "io/safetensors.h"

enum { TEXTS = 37, NEW = 60 };
static at_ctx ctx;
static at_compute cp;
static at_tokenizer *tok;

/* ---- together as alone ---------------------------------------------------------------------- */

static void take(void *user, int32_t id) {
    at_ids *ids = user;
    assert_true(at_reserve(&ctx, &ids->id, &ids->cap, ids->n + 1, sizeof id));
    ids->id[ids->n++] = id;
}

static at_model *loaded(const char *path) {
    at_model *m = NULL;
    OK(at_model_load(&ctx, path, false, &m));
    return m;
}

static at_continuation begun(at_model *m, int64_t i) {
    at_continuation t = {
        .model = m,
        .how = {.temperature = 1.1, .top_k = 20, .repeat_penalty = 1.3, .seed = (uint64_t)i}};
    for (int64_t k = 0; k < 1 + i * 7 % 45; k++) take(&t.ids, (int32_t)(1 + (i * 5 + k * k) % 60));
    return t;
}

/* Two networks by turns, prompts up to beyond the context, texts longer than that; some end. */
static void together_as_alone(void **state) {
    (void)state;
    at_expert e[2] = {{"one", loaded("tests/golden/gpt2")},
                      {"two", loaded("tests/golden/moduleformer/molm")}};
    at_lm m = {.path = "model", .expert = e, .n_experts = 2};
    m.vocab = e[0].model->dims.vocab < e[1].model->dims.vocab ? e[0].model->dims.vocab
                                                              : e[1].model->dims.vocab;
    at_continuation t[TEXTS];
    for (int64_t i = 0; i < TEXTS; i++) t[i] = begun(e[i % 3 == 1].model, i);
    OK(at_continue_all(&cp, &m, t, TEXTS, NEW));
    int ended = 0, long_ones = 0;
    for (int64_t i = 0; i < TEXTS; i++) {
        at_continuation same = begun(t[i].model, i);
        at_expert own = {.model = t[i].model};
        at_lm alone = {.path = "model", .expert = &own, .n_experts = 1, .vocab = m.vocab};
        at_ids whole = {0};
        at_generated out;
        for (int64_t k = 0; k < same.ids.n; k++) take(&whole, same.ids.id[k]);
        const at_generation g = {.ids = same.ids.id,
                                 .n_ids = same.ids.n,
                                 .n = NEW,
                                 .sampling = same.how,
                                 .token = take,
                                 .user = &whole};
        OK(at_generate(&cp, &alone, &g, &out));
        assert_int_equal(t[i].ended, out.ended);
        assert_int_equal(t[i].ids.n, whole.n);
        assert_memory_equal(t[i].ids.id, whole.id, (size_t)whole.n * sizeof *whole.id);
        ended += t[i].ended;
        long_ones += !t[i].ended;
        at_ids_free(&whole);
        at_ids_free(&same.ids);
        at_ids_free(&t[i].ids);
    }
    assert_true(ended > 2 && long_ones > 2);
    for (int i = 0; i < 2; i++) at_model_close(e[i].model);
}

static void interrupted(void **state) {
    (void)state;
    at_expert e = {.model = loaded("tests/golden/gpt2")};
    at_lm m = {.path = "model", .expert = &e, .n_experts = 1, .vocab = e.model->dims.vocab};
    at_continuation t = begun(e.model, 3);
    const int64_t before = t.ids.n;
    atomic_int stop = 1;
    ctx.interrupt = &stop;
    assert_int_equal(at_continue_all(&cp, &m, &t, 1, NEW), AT_INTERRUPTED);
    ctx.interrupt = NULL;
    assert_int_equal(t.ids.n, before);
    OK(at_continue_all(&cp, &m, &t, 1, 0));
    assert_int_equal(t.ids.n, before);
    OK(at_continue_all(&cp, &m, &t, 1, 1));
    assert_true(t.ids.n == before + 1 || t.ended);
    at_ids_free(&t.ids);
    at_model_close(e.model);
}

/* ---- words ------------------------------------------------------------------------------------ */

static at_words known_of(const char *text) {
    at_ids ids = {0};
    OK(at_tokenizer_encode(&ctx, tok, text, strlen(text), false, &ids));
    uint16_t token[400];
    assert_true(ids.n < 400);
    for (int64_t i = 0; i < ids.n; i++) token[i] = (uint16_t)ids.id[i];
    const uint64_t start[] = {0, (uint64_t)ids.n / 2, (uint64_t)ids.n};
    const at_shard s = {.width = 2, .token = token, .start = start, .n_tokens = ids.n, .n_docs = 2};
    at_words w = {0};
    OK(at_fluency_words(&ctx, tok, &s, &w));
    at_ids_free(&ids);
    return w;
}

/* A document ends a word. */
static void words_of_documents(void **state) {
    (void)state;
    at_words w = known_of("The cat'S h\xC3\xA4t, the 2 CATs.");
    static const char *const there[] = {"the", "cat", "s", "h\xC3\xA4t", "cats"};
    for (int i = 0; i < 5; i++)
        if (at_words_find(&w, there[i], strlen(there[i])) < 0 && i != 3) fail_msg("%s", there[i]);
    at_words_close(&w);
    w = known_of("abcdef"); /* cut in the middle */
    assert_int_equal(w.n, 2);
    assert_true(at_words_find(&w, "abc", 3) >= 0 && at_words_find(&w, "def", 3) >= 0);
    at_words_close(&w);
}

/* Counts of `text` after `prompt`. */
static at_fluency counted(const at_words *known, const char *prompt, const char *text, bool ended,
                          int times) {
    at_ids ids = {0};
    at_fluency f = {0};
    OK(at_tokenizer_encode(&ctx, tok, prompt, strlen(prompt), false, &ids));
    const int64_t n = ids.n;
    OK(at_tokenizer_encode(&ctx, tok, text, strlen(text), false, &ids));
    for (int i = 0; i < times; i++)
        OK(at_fluency_add(&ctx, tok, known, NULL, ids.id, ids.n, n, ended, &f));
    assert_int_equal(f.tokens, times * (ids.n - n));
    assert_int_equal(f.texts, times);
    assert_int_equal(f.ended, ended ? times : 0);
    at_ids_free(&ids);
    return f;
}

static void is(at_fluency f, int64_t words, int64_t known, int64_t runs, int64_t repeated) {
    if (f.words == words && f.known == known && f.runs == runs && f.repeated == repeated) return;
    fail_msg("%lld words, %lld known, %lld runs, %lld repeated", (long long)f.words,
             (long long)f.known, (long long)f.runs, (long long)f.repeated);
}

static void words_of_a_text(void **state) {
    (void)state;
    at_words w = known_of("one two three four five six seven    ");
    is(counted(&w, "", "One two, THREE four", true, 1), 4, 4, 1, 0);
    is(counted(&w, "", "One two, THREE fou", true, 1), 4, 3, 1, 0);
    is(counted(&w, "", "one two three fou", false, 1), 3, 3, 0, 0);  /* cut off */
    is(counted(&w, "", "one two three fou ", false, 1), 4, 3, 1, 0); /* not cut off */
    is(counted(&w, "on", "e two three four", true, 1), 3, 3, 0, 0);  /* the prompt began it */
    is(counted(&w, "on ", "e two three four", true, 1), 4, 3, 1, 0); /* it did not */
    is(counted(&w, "one two three four", " five", true, 1), 1, 1, 0,
       0); /* no run with the prompt */
    is(counted(&w, "", "one two one two one two", true, 1), 6, 6, 3, 1);
    is(counted(&w, "", "a a a a a a", true, 1), 6, 0, 3, 2);
    is(counted(&w, "", "one two three four", true, 3), 12, 12, 3, 0); /* texts are their own */
    is(counted(&w, "", " .5, ", true, 1), 0, 0, 0, 0);
    is(counted(&w, "one", "", false, 1), 0, 0, 0, 0);
    at_words_close(&w);
}

/* ---- prompts ----------------------------------------------------------------------------------- */

static void beginnings(void **state) {
    (void)state;
    static const uint16_t token[] = {1, 2, 9, 1, 2, 3, 9, 9, 4, 5, 6, 7, 1, 2, 3, 4, 9};
    static const uint64_t start[] = {0, 3, 7, 8, 12, 17};
    const at_shard s = {.width = 2, .token = token, .start = start, .n_tokens = 17, .n_docs = 5};
    at_prompts p;
    OK(at_prompts_open(&ctx, &s, 9, 2, 9, &p)); /* 2, 3, 0, 4, 4 tokens */
    assert_int_equal(p.n, 3);
    static const int64_t at[] = {3, 8, 12}, tokens[] = {3, 4, 4};
    assert_memory_equal(p.at, at, sizeof at);
    assert_memory_equal(p.tokens, tokens, sizeof tokens);
    at_prompts_close(&p);
    OK(at_prompts_open(&ctx, &s, 9, 1, 2, &p)); /* the first and third of four */
    assert_true(p.n == 2 && p.at[0] == 0 && p.at[1] == 8);
    at_prompts_close(&p);
    OK(at_prompts_open(&ctx, &s, 9, 4, 2, &p));
    assert_int_equal(p.n, 0);
    at_prompts_close(&p);
    OK(at_prompts_open(&ctx, &s, -1, 4, 2, &p)); /* no token ends a document */
    assert_true(p.n == 1 && p.at[0] == 12 && p.tokens[0] == 5);
    at_prompts_close(&p);
}

int main(void) {
    static const char text[] = "some words";
    at_bpe_trainer *t = NULL;
    at_ctx_init(&ctx, 2);
    if (at_compute_open(&cp, &ctx) != AT_OK ||
        at_bpe_trainer_open(&ctx, &(at_bpe_options){.vocab = 257, .min_count = 2, .max_piece = 64},
                            &t) != AT_OK ||
        at_bpe_trainer_feed(&ctx, t, text, sizeof text - 1) != AT_OK ||
        at_bpe_trainer_finish(&ctx, t, &tok) != AT_OK)
        return 1;
    at_bpe_trainer_close(t);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(together_as_alone),  cmocka_unit_test(interrupted),
        cmocka_unit_test(words_of_documents), cmocka_unit_test(words_of_a_text),
        cmocka_unit_test(beginnings),
    };
    const int bad = cmocka_run_group_tests(tests, NULL, NULL);
    at_tokenizer_close(tok);
    at_compute_close(&cp);
    return bad;
}
