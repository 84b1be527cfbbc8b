/* test_sessions.c - the public interface to models that stay open: what is asked of one is what is asked
   of its folder, sessions write what generate writes, and several contexts may ask at the same time. */
#include "api/api.h"
#include "check.h"
#include "io/safetensors.h"
#include <math.h>
#include <pthread.h>

enum { NEW = 12, PROMPT = 5, CONTEXT = 24 };
static const char plain[] = "tests/golden/gpt2", mixture[] = "tests/golden/moduleformer/molm";
static const int32_t prompt[PROMPT] = {3, 1, 4, 1, 5};
static const artel_sampling drawn = {
    .temperature = 1.1, .top_k = 20, .top_p = 0.95, .repeat_penalty = 1.5, .seed = 11};

static at_ctx ctx;
static artel *a;
static char *folder;
static char composed[300], data[300];

#define GOOD(call)                                                         \
    do {                                                                   \
        if ((call) != ARTEL_OK) fail_msg("%s: %s", #call, artel_error(a)); \
    } while (0)
#define BAD(call, status, part)                                            \
    do {                                                                   \
        assert_int_equal(call, status);                                    \
        if (!strstr(artel_error(a), part)) fail_msg("%s", artel_error(a)); \
    } while (0)

static void ignore(void *user, const char *json) {
    (void)user;
    (void)json;
}

/* ---- a composed model, made with the public interface ---------------------------------------- */

/* A dozen documents of one language. */
static void write_texts(const char *name, const char *const words[4]) {
    char path[400];
    (void)snprintf(path, sizeof path, "%s/%s-text", folder, name);
    OK(at_make_dir(&ctx, path));
    for (int d = 0; d < 12; d++) {
        (void)snprintf(path, sizeof path, "%s/%s-text/%d.txt", folder, name, d);
        FILE *f = fopen(path, "w");
        assert_non_null(f);
        for (int i = 0; i < 10; i++) {
            for (int k = 0; k < 24; k++)
                fprintf(f, "%s%d ", words[(i * 7 + k * k + k + d) % 4], (i * k + d) % 10);
            fprintf(f, "only%c .\n\n", 'a' + d); /* a word of this document alone */
        }
        assert_int_equal(fclose(f), 0);
    }
}

static artel_status train_expert(const char *name) {
    char of[340], domain[60], run[340];
    (void)snprintf(of, sizeof of, "data.train=%s", data);
    (void)snprintf(domain, sizeof domain, "data.domains=[%s]", name);
    (void)snprintf(run, sizeof run, "%s/%s", folder, name);
    const char *const set[] = {
        of, domain, "model={arch: gpt2, n_layer: 1, n_embd: 16, n_head: 2, n_positions: 24}",
        "train={steps: 12, batch: 4, context: 16, lr: 0.01}"};
    const artel_recipe r = {.set = set, .n_set = 4};
    return artel_train(a, &r, ARTEL_TRAIN, run, 0, ignore, NULL);
}

static int make_composed(void **state) {
    (void)state;
    char one[340], two[340], router[300], by[340], experts[700];
    at_ctx_init(&ctx, 1);
    a = artel_open(2, NULL, NULL);
    folder = temporary_folder();
    write_texts("aa", (const char *const[]){"mino", "take", "lora", "sune"});
    write_texts("bb", (const char *const[]){"zuvog", "drikep", "falwix", "bruhog"});
    (void)snprintf(one, sizeof one, "aa=%s/aa-text", folder);
    (void)snprintf(two, sizeof two, "bb=%s/bb-text", folder);
    (void)snprintf(data, sizeof data, "%s/data", folder);
    (void)snprintf(router, sizeof router, "%s/router", folder);
    (void)snprintf(composed, sizeof composed, "%s/composed", folder);
    const char *const domains[] = {one, two};
    artel_data d;
    artel_data_defaults(&d);
    d.domain = domains;
    d.n_domain = 2;
    d.out = data;
    d.vocab = 300;
    const artel_router_options defaults = {0};
    GOOD(artel_data_build(a, &d, ignore, NULL));
    GOOD(train_expert("aa"));
    GOOD(train_expert("bb"));
    GOOD(artel_router_train(a, data, router, &defaults, ignore, NULL));
    (void)snprintf(by, sizeof by, "router=%s", router);
    (void)snprintf(experts, sizeof experts,
                   "experts=[{name: aa, model: %s/aa/model}, {name: bb, model: %s/bb/model}]",
                   folder, folder);
    const char *const set[] = {"mode=ple", by, experts};
    const artel_recipe r = {.set = set, .n_set = 3};
    GOOD(artel_compose(a, &r, composed, ignore, NULL));
    return 0;
}

static int remove_all(void **state) {
    (void)state;
    artel_close(a);
    return at_remove_tree(&ctx, folder);
}

/* ---- texts ----------------------------------------------------------------------------------- */

typedef struct {
    int32_t id[NEW];
    int n;
    char expert[20];
} text;

static void take_text(void *user, const char *json) {
    text *t = user;
    at_ctx c; /* callbacks leave the context of the call alone */
    at_ctx_init(&c, 1);
    cJSON *o = at_json_parse(&c, "result", json, strlen(json));
    assert_non_null(o);
    const cJSON *expert = cJSON_GetObjectItemCaseSensitive(o, "expert"), *id;
    if (expert) (void)snprintf(t->expert, sizeof t->expert, "%s", expert->valuestring);
    cJSON_ArrayForEach(id, cJSON_GetObjectItemCaseSensitive(o, "ids")) t->id[t->n++] =
        (int32_t)id->valueint;
    cJSON_Delete(o);
}

static text generated(artel *with, const artel_model *m, const char *path, const int32_t *ids,
                      uint64_t seed) {
    text t = {.n = 0};
    artel_generate_options o = {.ids = ids, .n_ids = PROMPT, .n = NEW, .sampling = drawn};
    o.sampling.seed = seed;
    const artel_status s = m ? artel_model_generate(with, m, &o, NULL, take_text, &t)
                             : artel_generate(with, path, &o, NULL, take_text, &t);
    if (s != ARTEL_OK) fail_msg("%s", artel_error(with));
    return t;
}

/* The loop of artel.h. */
static text by_session(artel_session *s, const artel_model *m, uint64_t seed) {
    text t = {.n = 0};
    artel_sampling how = drawn;
    how.seed = seed;
    int32_t id = 0;
    while (t.n < NEW) {
        GOOD(artel_session_sample(s, &how, &id));
        if (id == artel_model_end(m)) break;
        t.id[t.n++] = id;
        GOOD(artel_session_feed(s, &id, 1));
    }
    return t;
}

static void same(const text *x, const text *y) {
    assert_int_equal(x->n, y->n);
    assert_memory_equal(x->id, y->id, (size_t)x->n * sizeof *x->id);
}

static void sessions_write_what_generate_writes(void **state) {
    (void)state;
    const char *const path[] = {plain, mixture, composed};
    for (int i = 0; i < 3; i++) {
        artel_model *m = NULL;
        artel_session *s = NULL;
        GOOD(artel_model_open(a, path[i], &m));
        text first = {.n = 0};
        for (uint64_t seed = 1; seed < 6; seed++) {
            const text folder_says = generated(a, NULL, path[i], prompt, seed);
            const text model_says = generated(a, m, NULL, prompt, seed);
            same(&folder_says, &model_says);
            GOOD(artel_session_open(a, m, NULL, &s));
            GOOD(artel_session_feed(s, prompt, PROMPT));
            const text session_says = by_session(s, m, seed);
            same(&folder_says, &session_says);
            if (i == 2) assert_string_equal(artel_session_expert(s), folder_says.expert);
            if (i < 2) assert_null(artel_session_expert(s));
            artel_session_close(s);
            if (seed == 1) first = folder_says;
            if (seed == 2) assert_true(memcmp(first.id, folder_says.id, sizeof first.id) != 0);
        }
        artel_model_close(m);
    }
}

/* A folder that is gone is not read again. */
static void is_opened_once(void **state) {
    (void)state;
    char copy[300], from[400], to[400];
    (void)snprintf(copy, sizeof copy, "%s/copy", folder);
    OK(at_make_dir(&ctx, copy));
    const char *const file[] = {"config.json", "model.safetensors"};
    for (int i = 0; i < 2; i++) {
        (void)snprintf(from, sizeof from, "%s/%s", plain, file[i]);
        (void)snprintf(to, sizeof to, "%s/%s", copy, file[i]);
        OK(at_copy_file(&ctx, from, to));
    }
    artel_model *m = NULL;
    GOOD(artel_model_open(a, copy, &m));
    const text before = generated(a, NULL, copy, prompt, 4);
    OK(at_remove_tree(&ctx, copy));
    const text after = generated(a, m, NULL, prompt, 4);
    same(&before, &after);
    const artel_generate_options o = {.ids = prompt, .n_ids = PROMPT, .n = 1};
    BAD(artel_generate(a, copy, &o, NULL, ignore, NULL), ARTEL_IO, "expected a model folder");
    artel_model_close(m);
    assert_int_equal(artel_model_open(a, copy, &m), ARTEL_IO);
    assert_null(m);
    artel_model_close(NULL);
    artel_session_close(NULL);
}

static void facts(void **state) {
    (void)state;
    artel_model *m = NULL;
    artel_tokenizer *t = NULL;
    GOOD(artel_model_open(a, composed, &m));
    GOOD(artel_tokenizer_open(a, data, &t));
    assert_int_equal(artel_model_vocab(m), artel_tokenizer_size(t));
    assert_int_equal(artel_model_context(m), CONTEXT);
    assert_int_equal(artel_model_experts(m), 2);
    assert_string_equal(artel_model_expert(m, 0), "aa");
    assert_string_equal(artel_model_expert(m, 1), "bb");
    assert_null(artel_model_expert(m, 2));
    assert_null(artel_model_expert(m, -1));
    assert_string_equal(artel_tokenizer_hash(artel_model_tokenizer(m)), artel_tokenizer_hash(t));
    char *end = NULL;
    size_t bytes = 0;
    const int32_t id = artel_model_end(m);
    GOOD(artel_tokenizer_decode(a, artel_model_tokenizer(m), &id, 1, &end, &bytes));
    assert_string_equal(end, "<|endoftext|>");
    artel_free(end);
    artel_tokenizer_close(t);
    artel_model_close(m);
    GOOD(artel_model_open(a, plain, &m));
    assert_int_equal(artel_model_experts(m), 1);
    assert_null(artel_model_expert(m, 0));
    assert_null(artel_model_tokenizer(m));
    artel_model_close(m);
}

/* ---- logits, loss ---------------------------------------------------------------------------- */

static void near(const float *x, const float *y, int64_t n) {
    double d = 0, size = 0;
    for (int64_t i = 0; i < n; i++) {
        d += ((double)x[i] - (double)y[i]) * ((double)x[i] - (double)y[i]);
        size += (double)y[i] * (double)y[i];
    }
    assert_true(size > 0 && sqrt(d / size) < 1e-5);
}

static void logits(void **state) {
    (void)state;
    const char *const path[] = {plain, mixture, composed};
    char ids[300], out[300];
    (void)snprintf(ids, sizeof ids, "%s/ids.safetensors", folder);
    (void)snprintf(out, sizeof out, "%s/logits.safetensors", folder);
    for (int i = 0; i < 3; i++) {
        artel_model *m = NULL;
        artel_session *s = NULL;
        at_st_writer *w = NULL;
        at_st *st = NULL;
        GOOD(artel_model_open(a, path[i], &m));
        const int64_t V = artel_model_vocab(m);
        float *all = calloc((size_t)(PROMPT * V), sizeof *all);
        GOOD(artel_model_logits(a, m, prompt, PROMPT, all));
        OK(at_st_writer_open(&ctx, ids, &w)); /* the same by the folder and a file: the same bits */
        OK(at_st_writer_add(&ctx, w, "input_ids", AT_DT_I32, 2, (int64_t[]){1, PROMPT}, prompt));
        OK(at_st_writer_commit(&ctx, w));
        at_st_writer_close(w);
        GOOD(artel_logits(a, path[i], NULL, ids, out));
        OK(at_st_open(&ctx, out, &st));
        assert_memory_equal(at_st_find(st, "logits")->data, all,
                            (size_t)(PROMPT * V) * sizeof *all);
        at_st_close(st);
        GOOD(
            artel_session_open(a, m, &(artel_session_options){.expert = i == 2 ? "aa" : NULL}, &s));
        const float *step = NULL;
        if (i == 2) { /* the expert that the router takes for the whole */
            artel_session_close(s);
            GOOD(artel_session_open(a, m, NULL, &s));
            GOOD(artel_session_feed(s, prompt, PROMPT));
        }
        for (int t = 0; t < PROMPT && i < 2; t++) {
            GOOD(artel_session_feed(s, prompt + t, 1));
            GOOD(artel_session_logits(s, &step));
            near(step, all + t * V, V);
        }
        GOOD(artel_session_logits(s, &step));
        near(step, all + (PROMPT - 1) * V, V);
        BAD(artel_model_logits(a, m, prompt, 0, all), ARTEL_ARG, "found 0");
        const int32_t wrong[] = {0, (int32_t)V};
        BAD(artel_model_logits(a, m, wrong, 2, all), ARTEL_ARG, "position 1 is outside");
        artel_session_close(s);
        artel_model_close(m);
        free(all);
    }
}

static void keep_last(void *user, const char *json) {
    char *line = user;
    (void)snprintf(line, 2000, "%s", json);
}

static void loss(void **state) {
    (void)state;
    artel_model *m = NULL;
    char one[2000] = "", other[2000] = "";
    const artel_eval_options o = {.split = "train", .windows = 6, .usage = 1};
    GOOD(artel_model_open(a, composed, &m));
    GOOD(artel_eval(a, composed, data, &o, keep_last, one));
    for (int i = 0; i < 2; i++) {
        GOOD(artel_model_eval(a, m, data, &o, keep_last, other));
        assert_string_equal(one, other);
    }
    assert_non_null(strstr(one, "\"domain\":\"all\""));
    artel_model_close(m);
}

typedef struct {
    char line[12][1000];
    int n;
} rows;
static void keep_all(void *user, const char *json) {
    rows *r = user;
    assert_true(r->n < 12);
    const char *speed = strstr(json, ",\"tokens_per_second\""); /* the last field */
    (void)snprintf(r->line[r->n++], 1000, "%.*s", (int)(speed ? speed - json : 999), json);
}

/* How texts read: once each domain for the documents, then a line a temperature. */
static void fluency(void **state) {
    (void)state;
    artel_model *m = NULL;
    static const double hot[] = {0, 1.5};
    artel_fluency_options o = {
        .split = "train", .prompt = 6, .n = 40, .samples = 11, .temperatures = hot};
    o.n_temperatures = 2;
    static rows one, other;
    GOOD(artel_model_open(a, composed, &m));
    one.n = other.n = 0;
    GOOD(artel_fluency(a, composed, data, &o, keep_all, &one));
    GOOD(artel_model_fluency(a, m, data, &o, keep_all, &other));
    assert_int_equal(one.n, 6);
    assert_int_equal(other.n, 6);
    for (int i = 0; i < 6; i++) {
        assert_string_equal(one.line[i], other.line[i]);
        const char *domain = i < 3 ? "\"domain\":\"aa\"" : "\"domain\":\"bb\"";
        static const char *const t[] = {"\"temperature\":null,", "\"temperature\":0,",
                                        "\"temperature\":1.5,"};
        assert_non_null(strstr(one.line[i], domain));
        assert_non_null(strstr(one.line[i], t[i % 3]));
        if (i % 3) /* there are fewer documents than texts */
            assert_non_null(
                strstr(one.line[i], "\"texts\":11,\"prompt_tokens\":6,\"new_tokens\":"));
    }
    for (int i = 0; i < 6; i += 3) { /* of the training text itself every word is known */
        assert_non_null(strstr(one.line[i], "\"known\":1,"));
        assert_non_null(strstr(one.line[i], "\"language\":1,"));
    }
    o.sampling.seed = 1; /* matters where something is drawn */
    other.n = 0;
    GOOD(artel_model_fluency(a, m, data, &o, keep_all, &other));
    assert_string_equal(one.line[1], other.line[1]);
    assert_string_not_equal(one.line[2], other.line[2]);
    other.n = 0;
    GOOD(artel_model_fluency(a, m, data, NULL, keep_all, &other));
    assert_int_equal(other.n, 8);
    for (int i = 0; i < 8; i += 4) { /* the training text does not know what only they say */
        assert_non_null(strstr(other.line[i], "\"prompt_tokens\":32,\"new_tokens\":"));
        assert_null(strstr(other.line[i], "\"known\":1,"));
    }
    artel_model_close(m);
}

static int64_t words_written(const artel_model *m, int64_t samples, uint64_t seed) {
    static const double hot = 1.5;
    rows r = {.n = 0};
    artel_fluency_options o = {
        .prompt = 6, .samples = samples, .temperatures = &hot, .n_temperatures = 1};
    o.sampling.seed = seed;
    GOOD(artel_model_fluency(a, m, data, &o, keep_all, &r));
    const char *words = strstr(r.line[1], "\"words\":");
    assert_non_null(words);
    return atoll(words + 8);
}

/* The documents of the split are fewer than the texts: these begin alike and go on by draws of their
   own. */
static void texts_have_draws_of_their_own(void **state) {
    (void)state;
    artel_model *m = NULL;
    GOOD(artel_model_open(a, composed, &m));
    const int64_t one = words_written(m, 1, 0), next = words_written(m, 1, 1);
    assert_true(one != next);
    assert_int_equal(words_written(m, 2, 0), one + next);
    artel_model_close(m);
}

static void fluency_refusals(void **state) {
    (void)state;
    static const double cold = -1;
    artel_fluency_options o = {.prompt = 100000};
    BAD(artel_fluency(a, composed, data, &o, ignore, NULL), ARTEL_ARG,
        "no document of domain aa in the split test has more than the 100000 tokens of a prompt");
    o = (artel_fluency_options){.samples = -3};
    BAD(artel_fluency(a, composed, data, &o, ignore, NULL), ARTEL_ARG, "-3 texts of 100 tokens");
    o = (artel_fluency_options){.temperatures = &cold, .n_temperatures = 1};
    BAD(artel_fluency(a, composed, data, &o, ignore, NULL), ARTEL_ARG, "temperature -1");
    o = (artel_fluency_options){.split = "best"};
    BAD(artel_fluency(a, composed, data, &o, ignore, NULL), ARTEL_ARG, "split `best`");
    o = (artel_fluency_options){.router = "nowhere"};
    BAD(artel_fluency(a, composed, data, &o, ignore, NULL), ARTEL_IO, "nowhere");
    BAD(artel_fluency(a, plain, data, NULL, ignore, NULL), ARTEL_ARG, "tests/golden/gpt2 has no");
}

/* Whichever allocation fails, nothing is lost and it is said. */
static void fluency_without_memory(void **state) {
    (void)state;
    artel_model *m = NULL;
    static const double hot = 1;
    const artel_fluency_options o = {.split = "train",
                                     .prompt = 4,
                                     .n = 3,
                                     .samples = 2,
                                     .temperatures = &hot,
                                     .n_temperatures = 1};
    GOOD(artel_model_open(a, composed, &m));
    artel_status st = ARTEL_OOM;
    for (int64_t k = 1; st != ARTEL_OK; k += 1 + k / 60) {
        a->ctx.fail_after = k;
        st = artel_model_fluency(a, m, data, &o, ignore, NULL);
        a->ctx.fail_after = 0;
        if (st != ARTEL_OK) assert_int_equal(st, ARTEL_OOM);
    }
    artel_model_close(m);
}

/* ---- sessions -------------------------------------------------------------------------------- */

static artel_session *session_of(const char *path, artel_model **m) {
    artel_session *s = NULL;
    GOOD(artel_model_open(a, path, m));
    GOOD(artel_session_open(a, *m, NULL, &s));
    return s;
}

static void rewinds(void **state) {
    (void)state;
    artel_model *m = NULL;
    artel_session *s = session_of(plain, &m);
    GOOD(artel_session_feed(s, prompt, PROMPT));
    const text x = by_session(s, m, 1), y = generated(a, m, NULL, prompt, 2);
    assert_int_equal(artel_session_length(s), PROMPT + x.n);
    artel_session_rewind(s, PROMPT); /* another answer, and the first one again */
    const text other = by_session(s, m, 2);
    same(&other, &y);
    artel_session_rewind(s, PROMPT);
    assert_int_equal(artel_session_length(s), PROMPT);
    const text again = by_session(s, m, 1);
    same(&again, &x);
    artel_session_rewind(s, 2); /* another prompt with the same beginning */
    GOOD(artel_session_feed(s, prompt + 2, PROMPT - 2));
    artel_session_rewind(s, 1000); /* there is no more than that */
    const text whole = by_session(s, m, 1);
    same(&whole, &x);
    artel_session_rewind(s, 0);
    assert_int_equal(artel_session_length(s), 0);
    GOOD(artel_session_feed(s, prompt, PROMPT));
    const text fresh = by_session(s, m, 1);
    same(&fresh, &x);
    artel_session_close(s);
    artel_model_close(m);
}

static void feed_words(artel_session *s, const artel_model *m, const char *words) {
    int32_t *ids = NULL;
    int64_t n = 0;
    GOOD(artel_tokenizer_encode(a, artel_model_tokenizer(m), words, strlen(words), 0, &ids, &n));
    GOOD(artel_session_feed(s, ids, n));
    artel_free(ids);
}

/* The first tokens choose, later ones do not, and whoever begins again is routed again. */
static void experts(void **state) {
    (void)state;
    artel_model *m = NULL;
    artel_session *s = session_of(composed, &m);
    assert_null(artel_session_expert(s));
    feed_words(s, m, "lora3 sune5");
    assert_string_equal(artel_session_expert(s), "aa");
    artel_session_rewind(s, 1);
    feed_words(s, m, "zuvog1 drikep2");
    assert_string_equal(artel_session_expert(s), "aa");
    artel_session_rewind(s, 0);
    assert_null(artel_session_expert(s));
    feed_words(s, m, "zuvog1 drikep2");
    assert_string_equal(artel_session_expert(s), "bb");
    artel_session_close(s);
    GOOD(artel_session_open(a, m, &(artel_session_options){.expert = "aa"}, &s));
    assert_string_equal(artel_session_expert(s), "aa");
    feed_words(s, m, "zuvog1 drikep2");
    artel_session_rewind(s, 0);
    assert_string_equal(artel_session_expert(s), "aa");
    artel_session_close(s);
    BAD(artel_session_open(a, m, &(artel_session_options){.expert = "cc"}, &s), ARTEL_ARG,
        "has no expert `cc`");
    assert_null(s);
    artel_model_close(m);
}

static int32_t next(artel_session *s, artel_sampling how) {
    int32_t id = -1;
    GOOD(artel_session_sample(s, &how, &id));
    return id;
}

/* Each field of how a token is chosen. */
static void choices(void **state) {
    (void)state;
    artel_model *m = NULL;
    artel_session *s = session_of(plain, &m);
    GOOD(artel_session_feed(s, prompt, PROMPT));
    const int32_t best = next(s, (artel_sampling){.seed = 0});
    int other = 0;
    for (uint64_t seed = 0; seed < 20; seed++) {
        other += next(s, (artel_sampling){.temperature = 50, .seed = seed}) != best;
        assert_int_equal(next(s, (artel_sampling){.temperature = 50, .top_k = 1, .seed = seed}),
                         best);
        assert_int_equal(next(s, (artel_sampling){.temperature = 50, .top_p = 1e-9, .seed = seed}),
                         best);
    }
    assert_true(other > 10);
    int32_t said[PROMPT + 6];
    memcpy(said, prompt, sizeof prompt);
    for (int n = PROMPT; n < PROMPT + 6; n++) {
        said[n] = next(s, (artel_sampling){.repeat_penalty = 1e30});
        for (int i = 0; i < n; i++) assert_int_not_equal(said[i], said[n]);
        GOOD(artel_session_feed(s, &said[n], 1));
    }
    artel_session_close(s);
    artel_model_close(m);
}

/* A call that fails leaves the session as it was. */
static void refusals(void **state) {
    (void)state;
    artel_model *m = NULL;
    artel_session *s = NULL;
    const float *l = NULL;
    int32_t id = 0, wrong[] = {1, 300};
    GOOD(artel_model_open(a, composed, &m));
    BAD(artel_session_open(a, m, &(artel_session_options){.capacity = CONTEXT + 1}, &s), ARTEL_ARG,
        "expected 0 to 24");
    BAD(artel_session_open(a, m, &(artel_session_options){.capacity = -1}, &s), ARTEL_ARG, "-1");
    GOOD(artel_session_open(a, m, &(artel_session_options){.capacity = 7}, &s));
    assert_int_equal(artel_session_capacity(s), 7);
    BAD(artel_session_sample(s, &drawn, &id), ARTEL_ARG, "has read nothing");
    BAD(artel_session_logits(s, &l), ARTEL_ARG, "has read nothing");
    assert_null(l);
    BAD(artel_session_feed(s, wrong, 2), ARTEL_ARG, "id 300 at position 1");
    BAD(artel_session_feed(s, prompt, 0), ARTEL_ARG, "found 0");
    assert_null(artel_session_expert(s));
    GOOD(artel_session_feed(s, prompt, PROMPT));
    GOOD(artel_session_sample(s, &drawn, &id));
    BAD(artel_session_feed(s, prompt, 3), ARTEL_ARG, "expected 1 to 2 more tokens, found 3");
    BAD(artel_session_feed(s, wrong, 2), ARTEL_ARG, "id 300");
    artel_interrupt(a);
    assert_int_equal(artel_session_feed(s, prompt, 1), ARTEL_INTERRUPTED);
    assert_int_equal(artel_session_length(s), PROMPT);
    int32_t same_id = -1;
    GOOD(artel_session_sample(s, &drawn, &same_id));
    assert_int_equal(id, same_id);
    GOOD(artel_session_feed(s, prompt, 2));
    BAD(artel_session_feed(s, prompt, 1), ARTEL_ARG, "expected 1 to 0");
    artel_session_close(s);
    artel_model_close(m);
}

/* Whichever allocation fails, the session is as before, and the same call works when there is memory. */
static void no_memory(void **state) {
    (void)state;
    artel_model *m = NULL;
    GOOD(artel_model_open(a, composed, &m));
    const text wanted = generated(a, m, NULL, prompt, 3);
    artel_status st = ARTEL_OOM;
    int failures = 0;
    for (int64_t k = 1; st != ARTEL_OK; k++) {
        artel_session *s = NULL;
        int32_t id = 0;
        a->ctx.fail_after = k;
        st = artel_session_open(a, m, NULL, &s);
        if (st == ARTEL_OK) st = artel_session_feed(s, prompt, PROMPT);
        const bool read = st == ARTEL_OK;
        if (read) st = artel_session_sample(s, &drawn, &id);
        a->ctx.fail_after = 0;
        failures += st != ARTEL_OK;
        if (st != ARTEL_OK) assert_int_equal(st, ARTEL_OOM);
        if (s && !read) {
            assert_int_equal(artel_session_length(s), 0);
            assert_null(artel_session_expert(s));
            GOOD(artel_session_feed(s, prompt, PROMPT));
        }
        if (s) {
            const text t = by_session(s, m, 3);
            same(&t, &wanted);
        }
        artel_session_close(s);
    }
    assert_true(failures > 5);
    artel_model_close(m);
}

/* ---- one model, two contexts, two threads ----------------------------------------------------- */

enum { ASKED = 25 };
typedef struct {
    const artel_model *m;
    uint64_t seed;
    text said[ASKED];
    int failed;
} asker;

/* Without assertions, which belong to the main thread. */
static void *ask(void *arg) {
    asker *k = arg;
    artel *own = artel_open(2, NULL, NULL);
    for (int i = 0; i < ASKED && own; i++) {
        artel_generate_options o = {.ids = prompt, .n_ids = PROMPT, .n = NEW, .sampling = drawn};
        o.sampling.seed = k->seed + (uint64_t)i;
        k->failed += artel_model_generate(own, k->m, &o, NULL, take_text, &k->said[i]) != ARTEL_OK;
    }
    k->failed += !own;
    artel_close(own);
    return NULL;
}

static void many_ask_one(void **state) {
    (void)state;
    const char *const path[] = {mixture, composed};
    for (int i = 0; i < 2; i++) {
        artel *opener = artel_open(1, NULL, NULL);
        artel_model *m = NULL;
        assert_int_equal(artel_model_open(opener, path[i], &m), ARTEL_OK);
        artel_close(opener); /* the model stays */
        asker k[2] = {{.m = m, .seed = 100}, {.m = m, .seed = 200}};
        pthread_t t[2];
        for (int j = 0; j < 2; j++) assert_int_equal(pthread_create(&t[j], NULL, ask, &k[j]), 0);
        for (int j = 0; j < 2; j++) assert_int_equal(pthread_join(t[j], NULL), 0);
        for (int j = 0; j < 2; j++) {
            assert_int_equal(k[j].failed, 0);
            for (int n = 0; n < ASKED; n++) {
                const text alone = generated(a, m, NULL, prompt, k[j].seed + (uint64_t)n);
                same(&alone, &k[j].said[n]);
            }
        }
        artel_model_close(m);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sessions_write_what_generate_writes),
        cmocka_unit_test(is_opened_once),
        cmocka_unit_test(facts),
        cmocka_unit_test(logits),
        cmocka_unit_test(loss),
        cmocka_unit_test(fluency),
        cmocka_unit_test(texts_have_draws_of_their_own),
        cmocka_unit_test(fluency_refusals),
        cmocka_unit_test(fluency_without_memory),
        cmocka_unit_test(rewinds),
        cmocka_unit_test(experts),
        cmocka_unit_test(choices),
        cmocka_unit_test(refusals),
        cmocka_unit_test(no_memory),
        cmocka_unit_test(many_ask_one),
    };
    return cmocka_run_group_tests(tests, make_composed, remove_all);
}
