/* test_route_data.c - routers out of data sets, and routers in files. */
#include "check.h"
/* before the rest */
#include "data_fixture.h"
#include "io/safetensors.h"
#include "route/router.h"
#include <math.h>
#include <string.h>

enum { VOCAB = 64, TOKENS = 6000 };
static const char *const names[] = {"a", "b", "c"};

static at_router_options quick(void) {
    at_router_options o = at_router_defaults();
    o.windows = 60;
    o.seed = 9;
    return o;
}

static at_dataset *open_fixture(at_ctx *c, const char *dir) {
    at_dataset *d;
    assert_int_equal(fixture_data(c, dir, names, 3, VOCAB, TOKENS), AT_OK);
    assert_int_equal(at_dataset_open(c, dir, &d), AT_OK);
    return d;
}

/* Domains that use different tokens, so that there is something to learn: domain k holds
   16 k .. 16 k + 15 with every fifth token from anywhere. */
typedef struct plain {
    uint16_t token[3][TOKENS];
    uint64_t start[2];
    at_domain domain[3];
    at_dataset data;
} plain;

static void fill(plain *p) {
    for (int k = 0; k < 3; k++) {
        for (int i = 0; i < TOKENS; i++)
            p->token[k][i] = (uint16_t)(i % 5 ? 16 * k + i * 7 % 16 : (i * 11 + k) % VOCAB);
        p->domain[k].name = names[k];
        for (int s = 0; s < AT_SPLITS; s++)
            p->domain[k].shard[s] = (at_shard){.width = 2,
                                               .token = p->token[k],
                                               .start = p->start,
                                               .n_tokens = TOKENS,
                                               .n_docs = 1};
    }
    p->start[0] = 0;
    p->start[1] = TOKENS;
    p->data = (at_dataset){.path = "memory",
                           .tokenizer_hash = "feed",
                           .vocab = VOCAB,
                           .n_domains = 3,
                           .domain = p->domain};
}

static void learns_domains(void **state) {
    (void)state;
    at_ctx c;
    at_ctx_init(&c, 2);
    static plain p;
    fill(&p);
    const at_router_options o = quick();
    at_router *r, *again;
    assert_int_equal(at_router_train(&c, &p.data, NULL, 0, &o, &r), AT_OK);
    assert_string_equal(r->tokenizer_hash, "feed");
    assert_int_equal(r->sequences, 3 * 7 * 60 - 3 * (60 - (2 * (TOKENS / 512) + 32)));
    at_router_score s;
    assert_int_equal(at_router_eval(&c, r, &p.data, AT_TEST, 32, 0, &s), AT_OK);
    assert_int_equal(s.total, 3 * (TOKENS / 32));
    assert_true(s.accuracy > 0.99 && s.f1 > 0.99);
    at_router_score_free(&s);
    assert_int_equal(at_router_eval(&c, r, &p.data, AT_TEST, 32, 10, &s), AT_OK);
    assert_int_equal(s.total, 30);
    at_router_score_free(&s);
    /* longer than the split: one window of what there is */
    assert_int_equal(at_router_eval(&c, r, &p.data, AT_TEST, 2 * TOKENS, 0, &s), AT_OK);
    assert_int_equal(s.total, 3);
    at_router_score_free(&s);
    assert_int_equal(at_router_train(&c, &p.data, NULL, 0, &o, &again), AT_OK);
    assert_memory_equal(r->weight, again->weight, sizeof(float) * 3 * VOCAB);
    at_router_close(again);
    at_router_options other = o;
    other.seed++;
    assert_int_equal(at_router_train(&c, &p.data, NULL, 0, &other, &again), AT_OK);
    assert_memory_not_equal(r->weight, again->weight, sizeof(float) * 3 * VOCAB);
    at_router_close(again);
    at_router_close(r);
}

static void calibration_makes_probabilities_honest(void **state) {
    (void)state;
    at_ctx c;
    at_ctx_init(&c, 2);
    static plain p;
    fill(&p);
    const at_router_options o = quick();
    at_router *r;
    assert_int_equal(at_router_train(&c, &p.data, NULL, 0, &o, &r), AT_OK);
    assert_true(r->temperature == 1);
    assert_int_equal(at_router_calibrate(&c, r, &p.data, AT_VALIDATION), AT_OK);
    const double fitted = r->temperature;
    assert_true(fitted > 0.1 && fitted < 0.9); /* the penalty on weights made it too shy */
    at_router_score s;
    assert_int_equal(at_router_eval(&c, r, &p.data, AT_TEST, 8, 0, &s), AT_OK);
    assert_true(at_router_bins_error(&s.tempered) < 0.5 * at_router_bins_error(&s.raw));
    int64_t counted = 0;
    for (int i = 0; i < AT_ROUTER_BINS; i++) counted += s.tempered.n[i];
    assert_int_equal(counted, s.total);
    const double accuracy = s.accuracy;
    at_router_score_free(&s);
    r->temperature = 1;
    assert_int_equal(at_router_eval(&c, r, &p.data, AT_TEST, 8, 0, &s), AT_OK);
    assert_true(s.accuracy == accuracy);
    assert_true(at_router_bins_error(&s.tempered) == at_router_bins_error(&s.raw));
    at_router_score_free(&s);
    assert_int_equal(at_router_calibrate(&c, r, &p.data, AT_VALIDATION), AT_OK);
    assert_true(r->temperature == fitted);
    for (int k = 0; k < 3; k++) p.domain[k].shard[AT_VALIDATION].n_tokens = 0;
    assert_int_equal(at_router_calibrate(&c, r, &p.data, AT_VALIDATION), AT_OK);
    assert_true(r->temperature == fitted);
    p.data.tokenizer_hash = "beef";
    assert_int_equal(at_router_calibrate(&c, r, &p.data, AT_TEST), AT_MISMATCH);
    p.data.tokenizer_hash = "feed";
    for (int64_t n = 1; n <= 2; n++) {
        c.fail_after = n;
        assert_int_equal(at_router_calibrate(&c, r, &p.data, AT_TEST), AT_OOM);
    }
    c.fail_after = 0;
    at_router_close(r);
}

static void refuses_data_that_does_not_fit(void **state) {
    (void)state;
    at_ctx c;
    at_ctx_init(&c, 1);
    static plain p;
    fill(&p);
    at_router_options o = quick();
    at_router *r;
    p.data.n_domains = 1;
    assert_int_equal(at_router_train(&c, &p.data, NULL, 0, &o, &r), AT_FORMAT);
    expect_says(&c, "at least two");
    p.data.n_domains = 3;
    p.domain[1].shard[AT_TRAIN].n_tokens = 0;
    assert_int_equal(at_router_train(&c, &p.data, NULL, 0, &o, &r), AT_FORMAT);
    expect_says(&c, "domain \"b\" has no training token");
    p.domain[1].shard[AT_TRAIN].n_tokens = 3; /* less than any window: taken whole */
    assert_int_equal(at_router_train(&c, &p.data, NULL, 0, &o, &r), AT_OK);
    at_router_score s;
    p.data.tokenizer_hash = "beef";
    assert_int_equal(at_router_eval(&c, r, &p.data, AT_TEST, 8, 0, &s), AT_MISMATCH);
    expect_says(&c, "beef");
    expect_says(&c, "feed");
    p.data.tokenizer_hash = "feed";
    p.domain[2].name = "klingon";
    assert_int_equal(at_router_eval(&c, r, &p.data, AT_TEST, 8, 0, &s), AT_MISMATCH);
    expect_says(&c, "\"klingon\", its classes are ");
    p.domain[2].name = "c";
    for (int k = 0; k < 3; k++) p.domain[k].shard[AT_TEST].n_tokens = 0;
    assert_int_equal(at_router_eval(&c, r, &p.data, AT_TEST, 8, 0, &s), AT_FORMAT);
    expect_says(&c, "test split is empty");
    assert_int_equal(at_router_eval(&c, r, &p.data, AT_TRAIN, 0, 0, &s), AT_ARG);
    at_router_close(r);
    o.n_lengths = 0;
    assert_int_equal(at_router_train(&c, &p.data, NULL, 0, &o, &r), AT_ARG);
    o = quick();
    o.length[2] = -4;
    assert_int_equal(at_router_train(&c, &p.data, NULL, 0, &o, &r), AT_ARG);
    expect_says(&c, "-4");
    o = quick();
    o.windows = 0;
    assert_int_equal(at_router_train(&c, &p.data, NULL, 0, &o, &r), AT_ARG);
    atomic_int stop = 1;
    o = quick();
    c.interrupt = &stop;
    assert_int_equal(at_router_train(&c, &p.data, NULL, 0, &o, &r), AT_INTERRUPTED);
}

static void a_saved_router_is_the_same_router(void **state) {
    (void)state;
    at_ctx c;
    at_ctx_init(&c, 2);
    char *dir = temporary_folder();
    at_dataset *d = open_fixture(&c, dir);
    const at_router_options o = quick();
    const int32_t drop[] = {0, 63};
    at_router *r, *back;
    assert_int_equal(at_router_train(&c, d, drop, 2, &o, &r), AT_OK);
    r->temperature = 1.0 / 3;
    char *path = at_join(&c, dir, AT_ROUTER_FILE);
    assert_int_equal(at_router_save(&c, r, path), AT_OK);
    for (int by_folder = 0; by_folder < 2; by_folder++) {
        assert_int_equal(at_router_load(&c, by_folder ? dir : path, &back), AT_OK);
        assert_int_equal(back->n_classes, 3);
        assert_int_equal(back->vocab, VOCAB);
        assert_int_equal(back->sequences, r->sequences);
        assert_true(back->temperature == 1.0 / 3);
        assert_int_equal(back->n_drop, 2);
        assert_int_equal(back->drop[1], 63);
        assert_string_equal(back->tokenizer_hash, FIXTURE_HASH);
        for (int k = 0; k < 3; k++) assert_string_equal(back->name[k], names[k]);
        assert_memory_equal(back->idf, r->idf, sizeof(float) * VOCAB);
        assert_memory_equal(back->weight, r->weight, sizeof(float) * 3 * VOCAB);
        assert_memory_equal(back->bias, r->bias, sizeof(float) * 3);
        assert_true(back->trained.c == o.c && back->trained.windows == o.windows);
        assert_int_equal(back->trained.n_lengths, o.n_lengths);
        assert_int_equal(back->trained.length[6], 512);
        at_router_close(back);
    }
    at_free(path);
    at_router_close(r);
    at_dataset_close(d);
    assert_int_equal(at_remove_tree(&c, dir), AT_OK);
}

/* Writes a router file with one thing wrong. */
typedef struct flaw {
    const char *format, *classes, *tokenizer;
    int64_t vocab, columns;
    float idf;
    bool drop;
    const char *temperature;
} flaw;

static at_status load_flawed(at_ctx *c, const char *path, flaw f) {
    float idf[8] = {f.idf, 1, 1, 1, 1, 1, 1, 1}, weight[16] = {0}, bias[2] = {0};
    int32_t drop[1] = {0};
    const int64_t wide[2] = {2, f.columns}, one = 1;
    at_st_writer *w;
    assert_int_equal(at_st_writer_open(c, path, &w), AT_OK);
    if (f.format) assert_int_equal(at_st_writer_meta(c, w, "format", f.format), AT_OK);
    if (f.classes) assert_int_equal(at_st_writer_meta(c, w, "classes", f.classes), AT_OK);
    if (f.tokenizer) assert_int_equal(at_st_writer_meta(c, w, "tokenizer", f.tokenizer), AT_OK);
    if (f.temperature)
        assert_int_equal(at_st_writer_meta(c, w, "temperature", f.temperature), AT_OK);
    assert_int_equal(at_st_writer_add(c, w, "idf", AT_DT_F32, 1, &f.vocab, idf), AT_OK);
    assert_int_equal(at_st_writer_add(c, w, "weight", AT_DT_F32, 2, wide, weight), AT_OK);
    assert_int_equal(at_st_writer_add(c, w, "bias", AT_DT_F32, 1, wide, bias), AT_OK);
    if (f.drop) assert_int_equal(at_st_writer_add(c, w, "drop", AT_DT_I32, 1, &one, drop), AT_OK);
    assert_int_equal(at_st_writer_commit(c, w), AT_OK);
    at_st_writer_close(w);
    at_router *r;
    const at_status s = at_router_load(c, path, &r);
    if (s)
        assert_null(r);
    else
        at_router_close(r);
    return s;
}

static void files_that_lie_are_refused(void **state) {
    (void)state;
    at_ctx c;
    at_ctx_init(&c, 1);
    char *dir = temporary_folder();
    char *path = at_join(&c, dir, "r.safetensors");
    const flaw whole = {"artel-router-1", "[\"a\",\"b\"]", "feed", 8, 8, 1, true, NULL};
    assert_int_equal(load_flawed(&c, path, whole), AT_OK);
    at_router *old;
    assert_int_equal(at_router_load(&c, path, &old), AT_OK);
    assert_true(old->temperature == 1);
    at_router_close(old);
    const struct {
        flaw f;
        const char *says;
    } bad[] = {
        {{NULL, whole.classes, "feed", 8, 8, 1, true, NULL}, "artel-router-1"},
        {{"artel-router-9", whole.classes, "feed", 8, 8, 1, true, NULL}, "artel-router-1"},
        {{whole.format, NULL, "feed", 8, 8, 1, true, NULL}, "classes"},
        {{whole.format, "[\"a\"", "feed", 8, 8, 1, true, NULL}, "r.safetensors"},
        {{whole.format, "{\"a\":1}", "feed", 8, 8, 1, true, NULL}, "list of names"},
        {{whole.format, "[\"a\",7]", "feed", 8, 8, 1, true, NULL}, "list of names"},
        {{whole.format, "[\"a\"]", "feed", 8, 8, 1, true, NULL}, "1 classes"},
        {{whole.format, "[\"a\",\"a\"]", "feed", 8, 8, 1, true, NULL}, "taken"},
        {{whole.format, "[\"a\",\"b\",\"c\"]", "feed", 8, 8, 1, true, NULL}, "weight"},
        {{whole.format, whole.classes, NULL, 8, 8, 1, true, NULL}, "tokenizer"},
        {{whole.format, whole.classes, "feed", 8, 7, 1, true, NULL}, "weight"},
        {{whole.format, whole.classes, "feed", 8, 8, NAN, true, NULL}, "not finite"},
        {{whole.format, whole.classes, "feed", 8, 8, 1, false, NULL}, "drop"},
        {{whole.format, whole.classes, "feed", 8, 8, 1, true, "0"}, "temperature"},
        {{whole.format, whole.classes, "feed", 8, 8, 1, true, "10.5"}, "temperature"},
        {{whole.format, whole.classes, "feed", 8, 8, 1, true, "\"hot\""}, "temperature"},
        {{whole.format, whole.classes, "feed", 8, 8, 1, true, "{"}, "r.safetensors"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(load_flawed(&c, path, bad[i].f), AT_FORMAT);
        expect_says(&c, bad[i].says);
        expect_says(&c, "r.safetensors");
    }
    at_router *r;
    assert_int_equal(at_write_file(&c, path, "{}", 2), AT_OK);
    assert_int_equal(at_router_load(&c, path, &r), AT_FORMAT);
    assert_int_equal(at_router_load(&c, dir, &r), AT_IO);
    expect_says(&c, "router.safetensors");
    at_free(path);
    assert_int_equal(at_remove_tree(&c, dir), AT_OK);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(learns_domains),
        cmocka_unit_test(calibration_makes_probabilities_honest),
        cmocka_unit_test(refuses_data_that_does_not_fit),
        cmocka_unit_test(a_saved_router_is_the_same_router),
        cmocka_unit_test(files_that_lie_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
