/*
 * test_generate.c - texts from models whose output is known.
 *
 * The blocks of these models are zero, so the next token depends on the last one alone.  Embeddings
 * are random signs; the output row of a token that is to follow another one is the embedding of
 * that other one.
 */
#include "base/rng.h"
#include "check.h"
#include "infer/generate.h"
#include "infer/logits.h"
#include <math.h>

enum { WIDTH = 64, CONTEXT = 16 };

static at_ctx ctx;
static at_compute cp;
static at_tokenizer *tok;

/* ---- models ------------------------------------------------------------------------------ */

static double sign(int32_t id, int64_t i) {
    return at_uniform(9, AT_STREAM_TEST + (uint64_t)id, (uint64_t)i) < 0.5 ? -1 : 1;
}

static at_real *values(at_model *m, const char *path) {
    at_param_entry *e = at_store_find(&m->store, path);
    assert_non_null(e);
    return e->t.data;
}

static at_model *blank(void) {
    static const char yaml[] =
        "model: {arch: gpt2, n_layer: 1, n_embd: 64, n_head: 2, n_positions: "
        "16, initializer_range: 0, tie_word_embeddings: false}\n";
    at_conf *f = NULL;
    at_model *m = NULL;
    OK(at_conf_parse(&ctx, "recipe.yaml", yaml, sizeof yaml - 1, &f));
    OK(at_model_new(&ctx, f, "model", at_tokenizer_size(tok), 1, &m));
    at_conf_close(f);
    at_real *wte = values(m, "transformer.wte.weight");
    for (int32_t id = 0; id < m->dims.vocab; id++)
        for (int64_t i = 0; i < WIDTH; i++) wte[id * WIDTH + i] = (at_real)sign(id, i);
    return m;
}

static void follows(at_model *m, int32_t before, int32_t after) {
    at_real *head = values(m, "lm_head.weight") + (int64_t)after * WIDTH;
    for (int64_t i = 0; i < WIDTH; i++) head[i] += (at_real)sign(before, i);
}

/* The token of a lone byte. */
static int32_t of_byte(char b) {
    at_ids ids = {0};
    OK(at_tokenizer_encode(&ctx, tok, &b, 1, false, &ids));
    assert_int_equal(ids.n, 1);
    const int32_t id = ids.id[0];
    at_ids_free(&ids);
    return id;
}

/* Each byte of the text is followed by the next one; bytes must not repeat. */
static void says(at_model *m, const char *text) {
    for (size_t i = 0; text[i + 1]; i++) follows(m, of_byte(text[i]), of_byte(text[i + 1]));
}

/* One network as a language model; *e and *lm lie with the caller. */
static at_lm plain_lm(at_expert *e, at_model *m) {
    *e = (at_expert){.model = m};
    return (at_lm){.path = "model",
                   .expert = e,
                   .n_experts = 1,
                   .tokenizer = tok,
                   .vocab = m->dims.vocab,
                   .context = m->dims.context};
}

typedef struct {
    char text[4096];
    size_t n;
    int pieces, routed, expert;
    double probs[4];
    atomic_int *stop; /* set by the second piece when given */
} heard;

static void hear(void *user, const char *bytes, size_t n) {
    heard *h = user;
    assert_true(n > 0 && h->n + n < sizeof h->text);
    memcpy(h->text + h->n, bytes, n);
    h->n += n;
    h->text[h->n] = 0;
    h->pieces++;
    if (h->stop && h->pieces == 2) *h->stop = 1;
}

static void hear_route(void *user, const at_lm *m, int expert, const double *probs,
                       const at_ids *prompt) {
    heard *h = user;
    (void)prompt;
    assert_int_equal(h->n, 0); /* before the text */
    h->routed++;
    h->expert = expert;
    for (int i = 0; i < m->n_experts; i++) h->probs[i] = probs[i];
}

static at_status ask(at_lm *m, at_generation g, heard *h, at_generated *out) {
    g.text = hear;
    g.routed = hear_route;
    g.user = h;
    return at_generate(&cp, m, &g, out);
}

static const at_sampling cold = {.temperature = 0};

/* ---- texts ---------------------------------------------------------------------------------- */

static void a_known_text(void **state) {
    (void)state;
    at_expert e;
    at_lm m = plain_lm(&e, blank());
    heard h = {0};
    at_generated out;
    says(e.model, "abcdefghij");
    OK(ask(&m, (at_generation){.prompt = "xa", .n = 5, .sampling = cold}, &h, &out));
    assert_string_equal(h.text, "bcdef");
    assert_int_equal(out.prompt_tokens, 2);
    assert_int_equal(out.new_tokens, 5);
    assert_false(out.ended);
    assert_int_equal(h.routed, 1);
    assert_true(h.probs[0] == 1);
    h = (heard){0};
    OK(ask(&m, (at_generation){.prompt = "a", .n = 0, .sampling = cold}, &h, &out));
    assert_int_equal(h.n, 0);
    assert_int_equal(out.new_tokens, 0);
    at_model_close(e.model);
}

static void end_of_text(void **state) {
    (void)state;
    at_expert e;
    at_lm m = plain_lm(&e, blank());
    heard h = {0};
    at_generated out;
    says(e.model, "abcd");
    follows(e.model, of_byte('d'), at_tokenizer_eot(tok));
    follows(e.model, at_tokenizer_eot(tok), of_byte('a'));
    OK(ask(&m, (at_generation){.prompt = "b", .n = 9, .sampling = cold}, &h, &out));
    assert_string_equal(h.text, "cd"); /* the token itself is no text */
    assert_true(out.ended);
    assert_int_equal(out.new_tokens, 2);
    h = (heard){0}; /* nothing to go on from: as after the end of a text */
    OK(ask(&m, (at_generation){.prompt = "", .n = 2, .sampling = cold}, &h, &out));
    assert_string_equal(h.text, "ab");
    at_model_close(e.model);
}

/* A model that repeats three tokens goes on beyond its context, with a prompt longer than that,
   too. */
static void beyond_the_context(void **state) {
    (void)state;
    at_expert e;
    at_lm m = plain_lm(&e, blank());
    says(e.model, "xyzx");
    char prompt[64];
    for (size_t length = 1; length < sizeof prompt; length += length < 14 ? 1 : 7) {
        heard h = {0};
        at_generated out;
        memset(prompt, 'q', length);
        prompt[length - 1] = 'x';
        prompt[length] = 0;
        OK(ask(&m, (at_generation){.prompt = prompt, .n = 100, .sampling = cold}, &h, &out));
        assert_int_equal(out.new_tokens, 100);
        assert_int_equal(h.n, 100);
        for (size_t i = 0; i < h.n; i++) assert_int_equal(h.text[i], "yzx"[i % 3]);
    }
    at_model_close(e.model);
}

/* A penalty ends the repetition when the tokens have become unlikely enough; a penalty of 1 does
   not. */
static void repetition(void **state) {
    (void)state;
    at_expert e;
    at_lm m = plain_lm(&e, blank());
    says(e.model, "xyzx");
    at_generated out;
    for (int k = 0; k < 2; k++) {
        heard h = {0};
        OK(ask(&m, (at_generation){.prompt = "x", .n = 7, .sampling = {.repeat_penalty = k}}, &h,
               &out));
        assert_string_equal(h.text, "yzxyzxy");
    }
    heard h = {0};
    OK(ask(&m, (at_generation){.prompt = "x", .n = 40, .sampling = {.repeat_penalty = 1e60}}, &h,
           &out));
    assert_int_equal(h.text[0], 'y');
    assert_int_equal(h.text[1], 'z');
    for (int64_t i = 0; i < (int64_t)h.n; i++)
        for (int64_t j = 0; j < i; j++)
            if (h.text[i] == h.text[j]) fail_msg("byte %d comes twice", h.text[i]);
    assert_null(strchr(h.text, 'x')); /* the prompt counts */
    at_model_close(e.model);
}

/* Characters are handed out whole; bytes that are none unchanged, at the end at the latest. */
static void utf8_is_held_back(void **state) {
    (void)state;
    at_expert e;
    at_lm m = plain_lm(&e, blank());
    heard h = {0};
    at_generated out;
    says(e.model, "a\xE2\x82\xAC"
                  "b\xC3\xA9"
                  "c\xF0\x9F\x98\x80");
    OK(ask(&m, (at_generation){.prompt = "a", .n = 11, .sampling = cold}, &h, &out));
    assert_string_equal(h.text, "\xE2\x82\xAC"
                                "b\xC3\xA9"
                                "c\xF0\x9F\x98\x80");
    assert_int_equal(h.pieces, 5);
    h = (heard){0}; /* cut inside a character */
    OK(ask(&m, (at_generation){.prompt = "c", .n = 3, .sampling = cold}, &h, &out));
    assert_string_equal(h.text, "\xF0\x9F\x98");
    assert_int_equal(h.pieces, 1);
    at_model_close(e.model);

    m = plain_lm(&e, blank());
    says(e.model, "a\xE2z\x80y\xFFw"); /* a lead byte alone, a tail byte alone, no byte of UTF-8 */
    h = (heard){0};
    OK(ask(&m, (at_generation){.prompt = "a", .n = 6, .sampling = cold}, &h, &out));
    assert_string_equal(h.text, "\xE2z\x80y\xFFw");
    assert_int_equal(h.pieces, 6);
    at_model_close(e.model);
}

/* SentencePiece style: the bytes of a character are tokens, and the space in front of the first word
   is not the text's where the text begins. */
static void sentencepiece_texts(void **state) {
    (void)state;
    at_tokenizer *bytes = tok;
    OK(at_tokenizer_load(&ctx, "tests/golden/tokenizer/artel_words.json", &tok));
    at_expert e;
    at_lm m = plain_lm(&e, blank());
    heard h = {0};
    at_generated out;
    at_ids the = {0};
    OK(at_tokenizer_encode(&ctx, tok, "the", 3, false, &the)); /* begins with a space's token */
    const int32_t euro[] = {3 + 0xE2, 3 + 0x82, 3 + 0xAC};
    follows(e.model, at_tokenizer_eot(tok), the.id[0]);
    for (int64_t i = 1; i < the.n; i++) follows(e.model, the.id[i - 1], the.id[i]);
    follows(e.model, the.id[the.n - 1], euro[0]);
    follows(e.model, euro[0], euro[1]);
    follows(e.model, euro[1], euro[2]);
    follows(e.model, euro[2], the.id[0]);
    OK(ask(&m, (at_generation){.prompt = "", .n = the.n + 4, .sampling = cold}, &h, &out));
    if (strncmp(h.text, "the\xE2\x82\xAC ", 7) != 0) fail_msg("`%s`", h.text);
    at_ids_free(&the);
    at_model_close(e.model);
    at_tokenizer_close(tok);
    tok = bytes;
}

/* A flat model: every token is as likely as any other. */
static void seeds(void **state) {
    (void)state;
    at_expert e;
    at_lm m = plain_lm(&e, blank());
    static heard h[3];
    for (int i = 0; i < 3; i++) {
        at_generated out;
        const at_sampling how = {.temperature = 1, .top_p = 1, .seed = i == 2 ? 8 : 7};
        at_compute with = {0};
        ctx.threads = i + 1;
        OK(at_compute_open(&with, &ctx));
        const at_generation g = {
            .prompt = "a", .n = 60, .sampling = how, .text = hear, .user = &h[i]};
        OK(at_generate(&with, &m, &g, &out));
        at_compute_close(&with);
        assert_true(out.new_tokens == 60 || out.ended);
    }
    ctx.threads = 2;
    assert_true(h[0].n > 20);
    assert_int_equal(h[0].n, h[1].n);
    assert_memory_equal(h[0].text, h[1].text, h[0].n);
    assert_true(h[0].n != h[2].n || memcmp(h[0].text, h[2].text, h[0].n) != 0);
    at_model_close(e.model);
}

static void interrupted(void **state) {
    (void)state;
    atomic_int stop = 0;
    at_expert e;
    at_lm m = plain_lm(&e, blank());
    heard h = {.stop = &stop};
    at_generated out;
    says(e.model, "xyzx");
    ctx.interrupt = &stop;
    assert_int_equal(ask(&m, (at_generation){.prompt = "x", .n = 50, .sampling = cold}, &h, &out),
                     AT_INTERRUPTED);
    ctx.interrupt = NULL;
    assert_string_equal(h.text, "yz");
    assert_int_equal(out.new_tokens, 2);
    at_model_close(e.model);
}

/* A parameter that is NaN gives an error; the text before it has been handed out. */
static void not_a_number(void **state) {
    (void)state;
    at_expert e;
    at_lm m = plain_lm(&e, blank());
    heard h = {0};
    at_generated out;
    says(e.model, "xyz");
    values(e.model, "lm_head.weight")[(int64_t)of_byte('q') * WIDTH] = (at_real)NAN;
    assert_int_equal(ask(&m, (at_generation){.prompt = "x", .n = 5, .sampling = cold}, &h, &out),
                     AT_NUMERIC);
    expect_says(&ctx, "lm_head.weight");
    expect_says(&ctx, "is not a number");
    assert_int_equal(h.n, 0);
    at_model_close(e.model);
}

static void without_tokenizer(void **state) {
    (void)state;
    at_expert e;
    at_lm m = plain_lm(&e, blank());
    heard h = {0};
    at_generated out;
    m.tokenizer = NULL;
    assert_int_equal(ask(&m, (at_generation){.prompt = "a", .n = 1}, &h, &out), AT_ARG);
    expect_says(&ctx, "model has no tokenizer.json");
    at_model_close(e.model);
}

/* ---- experts ------------------------------------------------------------------------------- */

/* Three experts; the router's classes are in another order, and know one name more. */
static void routing(void **state) {
    (void)state;
    at_expert e[3] = {{"one", blank()}, {"two", blank()}, {"three", blank()}};
    static const char *const answer[3] = {"x1", "x2", "x3"};
    for (int i = 0; i < 3; i++) {
        says(e[i].model, answer[i]);
        follows(e[i].model, of_byte(answer[i][1]), at_tokenizer_eot(tok));
    }
    at_router *r = NULL;
    OK(at_router_new(&ctx, 4, (const char *const[]){"other", "three", "one", "two"},
                     at_tokenizer_size(tok), &r));
    for (int64_t i = 0; i < r->vocab; i++) r->idf[i] = 1;
    r->bias[0] = 9; /* no expert of this name: never an answer */
    r->bias[1] = 1;
    r->bias[2] = 2;
    r->weight[3 * r->vocab + of_byte('x')] = 5;
    int class_of[3] = {2, 3, 1};
    at_lm m = plain_lm(e, e[0].model);
    m.n_experts = 3;
    m.router = r;
    m.class_of = class_of;
    static const struct {
        const char *prompt;
        bool allowed[3];
        int expert;
    } row[] = {
        {"x", {true, true, true}, 1},
        {"x", {true, false, true}, 0},
        {"x", {false, false, true}, 2},
        {"qx", {false, true, true}, 1},
        {"qqqqqqqqqx", {true, true, true}, 0} /* a tenth of the weight is less than a bias */,
    };
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        heard h = {0};
        at_generated out;
        OK(ask(
            &m,
            (at_generation){
                .prompt = row[i].prompt, .n = 5, .sampling = cold, .ask.allowed = row[i].allowed},
            &h, &out));
        assert_int_equal(h.expert, row[i].expert);
        assert_string_equal(h.text, answer[row[i].expert] + 1);
        assert_true(h.probs[0] + h.probs[1] + h.probs[2] < 1);
        assert_true(h.probs[0] > 0 && h.probs[1] > 0 && h.probs[2] > 0);
        /* at another temperature the same expert answers, and is told with another probability */
        heard cool = {0};
        r->temperature = 0.1;
        OK(ask(
            &m,
            (at_generation){
                .prompt = row[i].prompt, .n = 5, .sampling = cold, .ask.allowed = row[i].allowed},
            &cool, &out));
        r->temperature = 1;
        assert_int_equal(cool.expert, row[i].expert);
        assert_true(fabs(cool.probs[row[i].expert] - h.probs[row[i].expert]) > 1e-3);
    }
    heard h = {0};
    at_generated out;
    static const bool none[3];
    assert_int_equal(ask(&m, (at_generation){.prompt = "x", .n = 1, .ask.allowed = none}, &h, &out),
                     AT_ARG);
    expect_says(&ctx, "excluded");
    assert_int_equal(h.routed, 0);
    at_router_close(r);
    for (int i = 0; i < 3; i++) at_model_close(e[i].model);
}

/* An expert with more tokens than another one: logits of those that all have. */
static void logits_of_unequal_experts(void **state) {
    (void)state;
    static const char more[] = "model: {arch: gpt2, n_layer: 1, n_embd: 8, n_head: 2, n_positions: "
                               "16, vocab_size: 300}\n";
    static const int32_t ids[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    char *dir = temporary_folder(), in[300], out[300];
    (void)snprintf(in, sizeof in, "%s/in.safetensors", dir);
    (void)snprintf(out, sizeof out, "%s/out.safetensors", dir);
    at_expert e[2] = {{"one", blank()}, {"two", NULL}};
    at_conf *f = NULL;
    OK(at_conf_parse(&ctx, "recipe.yaml", more, sizeof more - 1, &f));
    OK(at_model_new(&ctx, f, "model", 1, 1, &e[1].model));
    at_conf_close(f);
    at_router *r = NULL;
    OK(at_router_new(&ctx, 2, (const char *const[]){"one", "two"}, 300, &r));
    r->bias[1] = 1;
    int class_of[2] = {0, 1};
    at_lm m = plain_lm(e, e[0].model);
    m.n_experts = 2;
    m.router = r;
    m.class_of = class_of;
    at_st_writer *w = NULL;
    OK(at_st_writer_open(&ctx, in, &w));
    OK(at_st_writer_add(&ctx, w, "input_ids", AT_DT_I32, 2, (int64_t[]){2, 4}, ids));
    OK(at_st_writer_commit(&ctx, w));
    at_st_writer_close(w);
    OK(at_logits_file(&cp, &m, NULL, in, out));

    at_st *st = NULL;
    OK(at_st_open(&ctx, out, &st));
    const at_st_tensor *t = at_st_find(st, "logits");
    assert_int_equal(t->rank, 3);
    assert_int_equal(t->dim[2], m.vocab);
    float *got = malloc(t->bytes);
    OK(at_st_to_f32(&ctx, t, got));
    at_arena arena;
    at_run run;
    at_arena_init(&arena, &ctx);
    at_run_init(&run, &cp, &arena, false, 0);
    const at_input feed = {.ids = ids, .B = 2, .T = 4};
    at_tensor *x = at_model_hidden(e[1].model, &run, &feed, NULL);
    at_tensor *full = at_linear(&run, x, at_model_head(e[1].model), NULL);
    OK(at_run_status(&run));
    for (int64_t i = 0; i < 8; i++)
        for (int64_t k = 0; k < m.vocab; k++)
            assert_true(fabs((double)(got[i * m.vocab + k] - full->data[i * 300 + k])) < 1e-6);
    free(got);
    at_arena_close(&arena);
    at_st_close(st);
    at_router_close(r);
    for (int i = 0; i < 2; i++) at_model_close(e[i].model);
    OK(at_remove_tree(&ctx, dir));
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
        cmocka_unit_test(a_known_text),
        cmocka_unit_test(end_of_text),
        cmocka_unit_test(beyond_the_context),
        cmocka_unit_test(repetition),
        cmocka_unit_test(utf8_is_held_back),
        cmocka_unit_test(sentencepiece_texts),
        cmocka_unit_test(seeds),
        cmocka_unit_test(interrupted),
        cmocka_unit_test(not_a_number),
        cmocka_unit_test(without_tokenizer),
        cmocka_unit_test(routing),
        cmocka_unit_test(logits_of_unequal_experts),
    };
    const int bad = cmocka_run_group_tests(tests, NULL, NULL);
    at_tokenizer_close(tok);
    at_compute_close(&cp);
    return bad;
}
