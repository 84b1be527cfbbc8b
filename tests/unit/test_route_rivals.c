/* test_route_rivals.c - every classifier a router can be: against scikit-learn (tests/golden/
   router_rivals.json, made by tools/golden_router.py), against conditions that its optimum meets, and that
   n-grams are counted as they should. */
#include "base/rng.h"
#include "check.h"
#include "route/router.h"
#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>

enum { MAX_IDS = 8192, MAX_SEQUENCES = 300, CLASSES = 3, VOCAB = 48, DIGITS = 10 };

typedef struct sample {
    int32_t id[MAX_IDS], label[MAX_SEQUENCES];
    int64_t start[MAX_SEQUENCES + 1], n;
} sample;

static at_ctx ctx;
static cJSON *golden;
static sample train;
static const char *const names[] = {"en", "fr", "py"};
static const int32_t digits[DIGITS] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9};

static cJSON *of(const cJSON *o, const char *key) {
    cJSON *v = cJSON_GetObjectItemCaseSensitive(o, key);
    if (!v) fail_msg("no %s", key);
    return v;
}

static double at2(const cJSON *rows, int i, int j) {
    return cJSON_GetArrayItem(cJSON_GetArrayItem(rows, i), j)->valuedouble;
}

static int64_t ids_of(const cJSON *list, int32_t *id) {
    int64_t n = 0;
    const cJSON *v;
    cJSON_ArrayForEach(v, list) id[n++] = v->valueint;
    return n;
}

static void read_golden(void) {
    static char text[1 << 16];
    FILE *f = fopen("tests/golden/router_rivals.json", "rb");
    assert_non_null(f);
    text[fread(text, 1, sizeof text - 1, f)] = 0;
    (void)fclose(f);
    golden = cJSON_Parse(text);
    assert_non_null(golden);
    const cJSON *list;
    cJSON_ArrayForEach(list, of(golden, "train")) {
        train.label[train.n] =
            cJSON_GetArrayItem(of(golden, "train_label"), (int)train.n)->valueint;
        train.start[train.n + 1] =
            train.start[train.n] + ids_of(list, train.id + train.start[train.n]);
        train.n++;
    }
}

static at_router_set set_of(const sample *s) {
    return (at_router_set){.n_classes = CLASSES,
                           .name = names,
                           .vocab = VOCAB,
                           .n = s->n,
                           .start = s->start,
                           .id = s->id,
                           .label = s->label};
}

static at_router *fit(const at_router_set *set, const char *name, at_router_options o) {
    at_router *r = NULL;
    OK(at_classifier_find(&ctx, name, &o.classifier));
    OK(at_router_fit(&ctx, set, &o, &r));
    assert_string_equal(r->classifier, name);
    return r;
}

static void compare_answers(const at_router *r, const cJSON *predicted, const cJSON *probability,
                            double far) {
    const cJSON *test = of(golden, "test");
    for (int i = 0; i < cJSON_GetArraySize(test); i++) {
        int32_t id[64];
        double p[CLASSES];
        int best;
        OK(at_router_predict(&ctx, r, id, ids_of(cJSON_GetArrayItem(test, i), id), p, &best, NULL));
        assert_true(fabs(p[0] + p[1] + p[2] - 1) < 1e-12);
        if (predicted) assert_int_equal(best, cJSON_GetArrayItem(predicted, i)->valueint);
        for (int k = 0; probability && k < CLASSES; k++)
            if (fabs(p[k] - at2(probability, i, k)) > far)
                fail_msg("%s: text %d, class %d: %.7f, expected %.7f", r->classifier, i, k, p[k],
                         at2(probability, i, k));
    }
}

/* Weights and biases within a thousandth, answers all the same, ids of one digit left out. */
static void equal_scikit_learn(void **state) {
    (void)state;
    at_router_set set = set_of(&train);
    set.drop = digits;
    set.n_drop = DIGITS;
    const cJSON *row;
    int seen = 0;
    cJSON_ArrayForEach(row, of(golden, "rivals")) {
        at_router_options o = at_router_defaults();
        o.c = of(row, "C")->valuedouble;
        o.eps = 1e-9;
        const char *name = of(row, "classifier")->valuestring;
        at_router *r = fit(&set, name, o);
        for (int k = 0; k < CLASSES; k++) {
            const double b = cJSON_GetArrayItem(of(row, "bias"), k)->valuedouble;
            if (fabs((double)r->bias[k] - b) > 2e-4 * (1 + fabs(b)))
                fail_msg("%s: bias %d is %.6f, expected %.6f", name, k, (double)r->bias[k], b);
            for (int t = 0; t < VOCAB; t++) {
                const double w = at2(of(row, "weight"), k, t),
                             is = (double)r->weight[k * VOCAB + t];
                if (fabs(is - w) > 2e-4 * (1 + fabs(w)))
                    fail_msg("%s: weight %d of class %d is %.6f, expected %.6f", name, t, k, is, w);
            }
        }
        compare_answers(r, of(row, "predicted"),
                        cJSON_GetObjectItemCaseSensitive(row, "probability"), 1e-4);
        at_router_close(r);
        seen++;
    }
    assert_int_equal(seen, 7);
}

/* Cells of 2^18: no two of these few sequences share one, so that hashing changes nothing. */
static void bigrams_equal_scikit_learn(void **state) {
    (void)state;
    const at_router_set set = set_of(&train);
    const cJSON *given = of(golden, "bigrams");
    at_router_options o = at_router_defaults();
    o.c = of(given, "C")->valuedouble;
    o.eps = 1e-9;
    o.ngrams = 2;
    o.sublinear = true;
    at_router *r = fit(&set, "softmax", o);
    assert_int_equal(r->features, VOCAB + (1 << 18));
    compare_answers(r, NULL, of(given, "probability"), 1e-4);
    at_router_close(r);
}

/* ---- features ---- */

static int64_t count_of(const at_bag *b, int32_t feature) {
    for (int64_t i = 0; i < b->n; i++)
        if (b->id[i] == feature) return b->count[i];
    return 0;
}

static void sequences_of_tokens_are_counted(void **state) {
    (void)state;
    const int32_t drop = 7, id[] = {3, 4, 5, 7, 3, 4, 5, 5};
    const at_bag_spec s = {.vocab = 10, .ngrams = 3, .hash_bits = 20, .drop = &drop, .n_drop = 1};
    at_bag b = {0};
    OK(at_bag_fill(&ctx, &b, id, 8, &s));
    assert_int_equal(at_bag_features(&s), 10 + (1 << 20));
    /* 3 4 5 | 34 45 55 | 345 455; none goes over the dropped one */
    assert_int_equal(b.n, 8);
    assert_int_equal(count_of(&b, 5), 3);
    assert_int_equal(count_of(&b, 7), 0);
    assert_int_equal(count_of(&b, at_bag_feature(&s, id, 2)), 2);
    assert_int_equal(count_of(&b, at_bag_feature(&s, id, 3)), 2);
    assert_int_equal(count_of(&b, at_bag_feature(&s, id + 6, 2)), 1);
    assert_int_equal(count_of(&b, at_bag_feature(&s, id + 2, 2)), 0);
    for (int64_t i = 1; i < b.n; i++) assert_true(b.id[i] > b.id[i - 1]);
    const int32_t turned[] = {4, 3};
    assert_int_not_equal(at_bag_feature(&s, id, 2), at_bag_feature(&s, turned, 2));
    at_bag_free(&b);
}

/* Many more than are sorted by insertion. */
static void long_sequences_are_sorted_too(void **state) {
    (void)state;
    enum { LONG = 3000 };
    static int32_t id[LONG];
    int64_t want[300] = {0};
    for (int i = 0; i < LONG; i++) {
        id[i] = (int32_t)at_rand_below(300, 5, AT_STREAM_TEST, (uint64_t)i);
        want[id[i]]++;
    }
    const at_bag_spec s = {.vocab = 300, .ngrams = 2, .hash_bits = 16};
    at_bag b = {0};
    OK(at_bag_fill(&ctx, &b, id, LONG, &s));
    int64_t pairs = 0;
    for (int64_t i = 0; i < b.n; i++) {
        if (i) assert_true(b.id[i] > b.id[i - 1]);
        if (b.id[i] >= 300) pairs += b.count[i];
    }
    for (int32_t t = 0; t < 300; t++) assert_int_equal(count_of(&b, t), want[t]);
    assert_int_equal(pairs, LONG - 1);
    at_bag_free(&b);
}

static void pairs_tell_what_tokens_cannot(void **state) {
    (void)state;
    static sample s;
    for (int i = 0; i < 120; i++) { /* the same tokens in three orders */
        const int k = i % 3;
        for (int t = 0; t < 12; t++)
            s.id[12 * i + t] = 20 + (k == 0 ? t : k == 1 ? 11 - t : t * 5 % 12);
        s.label[i] = k;
        s.start[i + 1] = 12 * (i + 1);
        s.n++;
    }
    const at_router_set set = set_of(&s);
    at_router_options o = at_router_defaults();
    o.ngrams = 2;
    for (int k = 0; at_classifiers[k]; k++) {
        o.c = at_classifiers[k]->c;
        at_router *r = fit(&set, at_classifiers[k]->name, o);
        for (int i = 0; i < 3; i++) {
            int best;
            OK(at_router_predict(&ctx, r, s.id + 12 * i, 12, NULL, &best, NULL));
            if (best != i) fail_msg("%s: class %d is taken for %d", r->classifier, i, best);
        }
        at_router_reason why[40];
        int64_t n;
        OK(at_router_explain(&ctx, r, s.id, 12, 0, 40, why, &n));
        assert_int_equal(n, 23); /* 12 tokens, 11 pairs */
        assert_int_equal(why[0].tokens, 2);
        assert_int_equal(
            at_bag_feature(&(at_bag_spec){.vocab = VOCAB, .ngrams = 2, .hash_bits = 18},
                           s.id + why[0].first, 2),
            why[0].id);
        at_router_close(r);
    }
}

/* ---- what holds for all ---- */

static void same_bits_for_every_number_of_threads(void **state) {
    (void)state;
    const at_router_set set = set_of(&train);
    for (int k = 0; at_classifiers[k]; k++) {
        at_router *first = NULL;
        for (int threads = 1; threads <= 3; threads++) {
            at_router_options o = at_router_defaults();
            o.c = at_classifiers[k]->c;
            ctx.threads = threads;
            at_router *r = fit(&set, at_classifiers[k]->name, o);
            if (!first) {
                first = r;
                continue;
            }
            assert_memory_equal(r->weight, first->weight, sizeof(float) * CLASSES * VOCAB);
            assert_memory_equal(r->bias, first->bias, sizeof(float) * CLASSES);
            at_router_close(r);
        }
        at_router_close(first);
    }
    ctx.threads = 2;
}

/* Another seed takes the rows in another order: stochastic ones change, but not much. */
static void stochastic_ones_follow_the_seed(void **state) {
    (void)state;
    const at_router_set set = set_of(&train);
    const char *const drawn[] = {"sgd-hinge", "sgd-modified-huber", "sgd-log"};
    for (int i = 0; i < 3; i++) {
        at_router_options o = at_router_defaults();
        o.c = 1;
        at_router *a = fit(&set, drawn[i], o);
        o.seed = 2;
        at_router *b = fit(&set, drawn[i], o);
        double apart = 0, size = 0;
        for (int t = 0; t < CLASSES * VOCAB; t++) {
            apart += fabs((double)a->weight[t] - (double)b->weight[t]);
            size += fabs((double)a->weight[t]);
        }
        assert_true(apart > 0);
        if (!(apart < 0.2 * size)) fail_msg("%s: %g of %g", drawn[i], apart, size);
        at_router_close(a);
        at_router_close(b);
    }
}

/* The objective of one class against the others, its bias outside of the penalty. */
static double objective(const at_router *r, int which, double alpha, const char *loss) {
    double sum = 0, square = 0;
    for (int t = 0; t < VOCAB; t++) {
        const double w = (double)r->weight[which * VOCAB + t];
        square += w * w;
    }
    for (int64_t i = 0; i < train.n; i++) {
        at_bag b = {0};
        const at_bag_spec spec = at_router_spec(r);
        OK(at_bag_fill(&ctx, &b, train.id + train.start[i], train.start[i + 1] - train.start[i],
                       &spec));
        const double scale = at_bag_scale(&b, &spec, r->idf);
        double f = (double)r->bias[which];
        for (int64_t j = 0; j < b.n; j++)
            f += b.count[j] * scale * (double)r->idf[b.id[j]] *
                 (double)r->weight[which * VOCAB + b.id[j]];
        const double m = train.label[i] == which ? f : -f;
        if (!strcmp(loss, "hinge"))
            sum += m < 1 ? 1 - m : 0;
        else if (!strcmp(loss, "huber"))
            sum += m < -1 ? -4 * m : m < 1 ? (1 - m) * (1 - m) : 0;
        else
            sum += log1p(exp(-m));
        at_bag_free(&b);
    }
    return alpha * square / 2 + sum / (double)train.n;
}

/* Stochastic gradients come near the least value: nowhere around them is it much lower. */
static void stochastic_ones_come_near_their_least(void **state) {
    (void)state;
    const at_router_set set = set_of(&train);
    const char *const drawn[][2] = {
        {"sgd-hinge", "hinge"}, {"sgd-modified-huber", "huber"}, {"sgd-log", "log"}};
    for (int i = 0; i < 3; i++) {
        at_router_options o = at_router_defaults();
        o.c = 1;
        at_router *r = fit(&set, drawn[i][0], o);
        const double alpha = 1 / (double)train.n, here = objective(r, 1, alpha, drawn[i][1]);
        double least = here;
        for (int t = 0; t <= VOCAB; t++) {
            float *w = t < VOCAB ? &r->weight[VOCAB + t] : &r->bias[1];
            const float was = *w;
            for (int step = -8; step <= 8; step++) {
                *w = was + 0.1F * (float)step;
                const double there = objective(r, 1, alpha, drawn[i][1]);
                if (there < least) least = there;
            }
            *w = was;
        }
        print_message("%s: %.6f, at most %.6f lower around\n", drawn[i][0], here, here - least);
        if (!(here - least < 0.01 * here))
            fail_msg("%s: %.6f around %.6f", drawn[i][0], least, here);
        at_router_close(r);
    }
}

static void faults_of_options_are_named(void **state) {
    (void)state;
    const at_router_set set = set_of(&train);
    const at_classifier *none = &at_classifier_svm;
    assert_int_equal(at_classifier_find(&ctx, "forest", &none), AT_ARG);
    assert_null(none);
    assert_non_null(strstr(ctx.message, "\"forest\": expected one of logistic, softmax, svm, "));
    assert_non_null(strstr(ctx.message, "centroid"));
    at_router *r;
    at_router_options o = at_router_defaults();
    o.ngrams = 9;
    assert_int_equal(at_router_fit(&ctx, &set, &o, &r), AT_ARG);
    assert_non_null(strstr(ctx.message, "9 tokens, 1 to 8"));
    o.ngrams = 2;
    o.hash_bits = 40;
    assert_int_equal(at_router_fit(&ctx, &set, &o, &r), AT_ARG);
    assert_non_null(strstr(ctx.message, "40 bits, 8 to 26"));
    atomic_int stop = 1;
    for (int k = 0; at_classifiers[k]; k++) {
        o = at_router_defaults();
        o.classifier = at_classifiers[k];
        ctx.interrupt = &stop;
        assert_int_equal(at_router_fit(&ctx, &set, &o, &r), AT_INTERRUPTED);
        ctx.interrupt = NULL;
    }
}

static void survive_every_failed_allocation(void **state) {
    (void)state;
    const at_router_set set = set_of(&train);
    for (int k = 0; at_classifiers[k]; k++) {
        int64_t failures = 0;
        for (;; failures++) {
            at_ctx c;
            at_ctx_init(&c, 1);
            c.fail_after = failures + 1;
            at_router_options o = at_router_defaults();
            o.classifier = at_classifiers[k];
            o.ngrams = 2;
            o.hash_bits = 8;
            at_router *r;
            const at_status s = at_router_fit(&c, &set, &o, &r);
            c.fail_after = 0;
            if (!s) {
                at_router_close(r);
                break;
            }
            assert_int_equal(s, AT_OOM);
            assert_null(r);
            assert_true(failures < 300);
        }
        assert_true(failures > 8);
    }
}

int main(void) {
    at_ctx_init(&ctx, 2);
    read_golden();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_scikit_learn),
        cmocka_unit_test(bigrams_equal_scikit_learn),
        cmocka_unit_test(sequences_of_tokens_are_counted),
        cmocka_unit_test(long_sequences_are_sorted_too),
        cmocka_unit_test(pairs_tell_what_tokens_cannot),
        cmocka_unit_test(same_bits_for_every_number_of_threads),
        cmocka_unit_test(stochastic_ones_follow_the_seed),
        cmocka_unit_test(stochastic_ones_come_near_their_least),
        cmocka_unit_test(faults_of_options_are_named),
        cmocka_unit_test(survive_every_failed_allocation),
    };
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    cJSON_Delete(golden);
    return failed;
}
