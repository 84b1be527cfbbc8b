/* test_route_file.c - files of routers that are more than the first format says: what is written is what
   is read, and what does not fit together is refused. */
#include "base/file.h"
#include "base/json.h"
#include "check.h"
#include "io/safetensors.h"
#include "route/router.h"
#include <stdio.h>

enum { VOCAB = 24, TEXTS = 30, LONG = 9 };

static at_ctx ctx;
static char dir[] = "/tmp/artel_route_file_XXXXXX";
static int32_t id[TEXTS * LONG], label[TEXTS];
static int64_t start[TEXTS + 1];
static const char *const names[] = {"en", "fr", "py"};

static const char *in(const char *name) {
    static char path[400];
    (void)snprintf(path, sizeof path, "%s/%s", dir, name);
    return path;
}

static at_router *fitted(const at_classifier *how, int ngrams, bool sublinear) {
    for (int i = 0; i < TEXTS; i++) {
        label[i] = i % 3;
        start[i + 1] = start[i] + LONG;
        for (int t = 0; t < LONG; t++)
            id[start[i] + t] = (int32_t)((i * 7 + t * (label[i] + 1)) % (VOCAB - 4) + label[i]);
    }
    const at_router_set set = {.n_classes = 3,
                               .name = names,
                               .vocab = VOCAB,
                               .n = TEXTS,
                               .start = start,
                               .id = id,
                               .label = label,
                               .tokenizer_hash = "feed"};
    at_router_options o = at_router_defaults();
    o.classifier = how;
    o.c = how->c;
    o.ngrams = ngrams;
    o.hash_bits = 9;
    o.sublinear = sublinear;
    at_router *r;
    OK(at_router_fit(&ctx, &set, &o, &r));
    return r;
}

static void same(const at_router *a, const at_router *b) {
    assert_string_equal(a->classifier, b->classifier);
    assert_int_equal(a->link, b->link);
    assert_int_equal(a->ngrams, b->ngrams);
    assert_int_equal(a->hash_bits, b->hash_bits);
    assert_int_equal(a->sublinear, b->sublinear);
    assert_int_equal(a->features, b->features);
    for (int i = 0; i < TEXTS; i++) {
        double p[3], q[3];
        int x, y;
        OK(at_router_predict(&ctx, a, id + start[i], LONG, p, &x, NULL));
        OK(at_router_predict(&ctx, b, id + start[i], LONG, q, &y, NULL));
        assert_int_equal(x, y);
        assert_memory_equal(p, q, sizeof p);
    }
}

static const char *format_of(const char *path) {
    static char format[40];
    at_st *st;
    OK(at_st_open(&ctx, path, &st));
    (void)snprintf(format, sizeof format, "%s", at_st_meta(st, "format"));
    at_st_close(st);
    return format;
}

static void what_is_written_is_read(void **state) {
    (void)state;
    for (int k = 0; at_classifiers[k]; k++)
        for (int kind = 0; kind < 3; kind++) {
            at_router *r = fitted(at_classifiers[k], kind == 1 ? 3 : 1, kind == 2), *back;
            OK(at_router_save(&ctx, r, in("r.safetensors")));
            const bool first = at_classifiers[k] == &at_classifier_logistic && kind == 0;
            assert_string_equal(format_of(in("r.safetensors")),
                                first ? "artel-router-1" : "artel-router-2");
            OK(at_router_load(&ctx, in("r.safetensors"), &back));
            same(r, back);
            at_router_close(back);
            at_router_close(r);
        }
}

/* A file of the second format with other metadata. */
static at_status load_with(const char *features, const char *classifier) {
    enum { CELLS = VOCAB + 256 };
    static float idf[CELLS], weight[2 * CELLS], bias[2];
    const int64_t shape[2] = {2, CELLS}, none = 0;
    at_st_writer *w;
    OK(at_st_writer_open(&ctx, in("w.safetensors"), &w));
    OK(at_st_writer_meta(&ctx, w, "format", "artel-router-2"));
    OK(at_st_writer_meta(&ctx, w, "classes", "[\"a\",\"b\"]"));
    OK(at_st_writer_meta(&ctx, w, "tokenizer", ""));
    if (features) OK(at_st_writer_meta(&ctx, w, "features", features));
    if (classifier) OK(at_st_writer_meta(&ctx, w, "classifier", classifier));
    OK(at_st_writer_add(&ctx, w, "idf", AT_DT_F32, 1, shape + 1, idf));
    OK(at_st_writer_add(&ctx, w, "weight", AT_DT_F32, 2, shape, weight));
    OK(at_st_writer_add(&ctx, w, "bias", AT_DT_F32, 1, shape, bias));
    OK(at_st_writer_add(&ctx, w, "drop", AT_DT_I32, 1, &none, bias));
    OK(at_st_writer_commit(&ctx, w));
    at_st_writer_close(w);
    at_router *r;
    const at_status s = at_router_load(&ctx, in("w.safetensors"), &r);
    assert_true((s == AT_OK) == (r != NULL));
    at_router_close(r);
    return s;
}

static void what_does_not_fit_is_refused(void **state) {
    (void)state;
    const char *f = "{\"vocab\":24,\"ngrams\":2,\"hash_bits\":8,\"sublinear\":true}";
    const char *k = "{\"name\":\"svm\",\"link\":\"softmax\"}";
    OK(load_with(f, k));
    const struct {
        const char *features, *classifier, *says;
    } bad[] = {
        {NULL, k, "features is missing"},
        {f, NULL, "classifier is missing"},
        {"{", k, "w.safetensors"},
        {f, "[", "w.safetensors"},
        {"{\"vocab\":0,\"ngrams\":2,\"hash_bits\":8,\"sublinear\":true}", k, "vocab"},
        {"{\"vocab\":24,\"ngrams\":9,\"hash_bits\":8,\"sublinear\":true}", k, "ngrams"},
        {"{\"vocab\":24,\"ngrams\":0,\"hash_bits\":8,\"sublinear\":true}", k, "ngrams"},
        {"{\"vocab\":24,\"ngrams\":2,\"hash_bits\":70,\"sublinear\":true}", k, "hash_bits"},
        {"{\"vocab\":24,\"ngrams\":2,\"hash_bits\":9,\"sublinear\":true}", k, "as many features"},
        {"{\"vocab\":24,\"ngrams\":1,\"hash_bits\":8,\"sublinear\":true}", k, "as many features"},
        {"{\"vocab\":276,\"ngrams\":2,\"hash_bits\":2,\"sublinear\":true}", k, "2 bits"},
        {"{\"vocab\":24,\"ngrams\":2,\"hash_bits\":8,\"sublinear\":1}", k, "sublinear"},
        {f, "{\"name\":\"\",\"link\":\"softmax\"}", "name"},
        {f, "{\"name\":\"svm\",\"link\":\"probit\"}", "neither sigmoid nor softmax"},
        {f, "{\"name\":\"a name that is a good deal too long\",\"link\":\"softmax\"}", "name"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(load_with(bad[i].features, bad[i].classifier), AT_FORMAT);
        if (!strstr(ctx.message, bad[i].says) || !strstr(ctx.message, "w.safetensors"))
            fail_msg("%d: \"%s\" does not say \"%s\"", (int)i, ctx.message, bad[i].says);
    }
}

static void survives_every_failed_allocation(void **state) {
    (void)state;
    at_router *r = fitted(&at_classifier_svm, 2, true), *back = NULL;
    OK(at_router_save(&ctx, r, in("r.safetensors")));
    for (int saving = 0; saving < 2; saving++) {
        int64_t failures = 0;
        for (;; failures++) {
            at_ctx c;
            at_ctx_init(&c, 1);
            c.fail_after = failures + 1;
            at_json_inject(&c);
            const at_status s = saving ? at_router_save(&c, r, in("r.safetensors"))
                                       : at_router_load(&c, in("r.safetensors"), &back);
            c.fail_after = 0;
            at_json_inject(NULL);
            if (!s) break;
            assert_int_equal(s, AT_OOM);
            if (failures >= 3000) fail_msg("saving %d: %s", saving, c.message);
        }
        assert_true(failures > 10);
    }
    at_router_close(back);
    at_router_close(r);
}

int main(void) {
    at_ctx_init(&ctx, 2);
    if (!mkdtemp(dir)) return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(what_does_not_fit_is_refused),
        cmocka_unit_test(survives_every_failed_allocation),
    };
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    return at_remove_tree(&ctx, dir) ? 1 : failed;
}
