/* test_data_cluster.c - balanced k-means on planted groups, TF-IDF by hand, and clusters of texts
   compared with their names. */
#include "base/file.h"
#include "base/rng.h"
#include "data/cluster.h"
#include "data/kmeans.h"
#include "data/tfidf.h"
#include "in_folder.h"
#include <math.h>
#include <string.h>

/* ---- k-means ---- */

enum { GROUPS = 4, EACH = 150, N = GROUPS * EACH, WIDTH = 200, TERMS = 12 };
static int32_t index_of[N][TERMS];
static double value_of[N][TERMS];
static at_sparse vector[N];

/* Vectors of group g have most of their terms among 50 of their own. */
static void plant(void) {
    for (int i = 0; i < N; i++) {
        bool has[WIDTH] = {false};
        double squares = 0;
        int n = 0;
        for (uint64_t t = 0; n < TERMS; t++) {
            const uint64_t draw = at_rand_below(50, 1, AT_STREAM_TEST, (uint64_t)i * 1000 + 2 * t);
            const bool own = at_uniform(2, AT_STREAM_TEST, (uint64_t)i * 1000 + t) < 0.8;
            const int group = own ? i % GROUPS : (int)(t % GROUPS);
            const int term = group * 50 + (int)draw;
            if (has[term]) continue;
            has[term] = true;
            n++;
        }
        n = 0;
        for (int term = 0; term < WIDTH; term++)
            if (has[term]) {
                index_of[i][n] = term;
                value_of[i][n] = 1 + (term + i) % 3;
                squares += value_of[i][n] * value_of[i][n];
                n++;
            }
        for (int t = 0; t < TERMS; t++) value_of[i][t] /= sqrt(squares);
        vector[i] = (at_sparse){index_of[i], value_of[i], TERMS};
    }
}

static void planted_groups_are_found(void **state) {
    (void)state;
    static int group[N], again[N];
    plant();
    at_kmeans m, other;
    OK(at_kmeans_fit(&ctx, vector, N, WIDTH, GROUPS, 3, &m, group));
    int count[GROUPS][GROUPS] = {{0}}, right = 0;
    for (int i = 0; i < N; i++) count[group[i]][i % GROUPS]++;
    for (int k = 0; k < GROUPS; k++) {
        int sum = 0, most = 0;
        for (int l = 0; l < GROUPS; l++) {
            sum += count[k][l];
            most = count[k][l] > most ? count[k][l] : most;
        }
        assert_int_equal(sum, EACH); /* exactly balanced */
        right += most;
    }
    assert_true(right > N * 98 / 100);
    int same = 0;
    double like = 0;
    for (int i = 0; i < N; i++) {
        same += at_kmeans_assign(&m, &vector[i]) == group[i];
        for (int t = 0; t < TERMS; t++)
            like += value_of[i][t] * m.mean[index_of[i][t] * GROUPS + group[i]] / N;
    }
    assert_true(same > N * 97 / 100); /* those at the edge were moved for balance */
    assert_true(fabs(like - m.likeness) < 1e-12);
    ctx.threads = 5;
    OK(at_kmeans_fit(&ctx, vector, N, WIDTH, GROUPS, 3, &other, again));
    ctx.threads = 2;
    assert_memory_equal(group, again, sizeof group);
    assert_memory_equal(m.mean, other.mean, WIDTH * GROUPS * sizeof(double));
    at_kmeans_free(&m);
    at_kmeans_free(&other);
}

/* Two kinds of vectors, two thirds of one: balance moves some over, and prices keep it so for
   vectors to come. */
static void groups_are_of_equal_size(void **state) {
    (void)state;
    static int group[300];
    static at_sparse few[300];
    plant();
    for (int i = 0; i < 300; i++) few[i] = vector[i / 3 * GROUPS + (i % 3 == 2)];
    at_kmeans m;
    OK(at_kmeans_fit(&ctx, few, 300, WIDTH, 2, 1, &m, group));
    int first = 0, assigned = 0, minority = -1, together = 0;
    for (int i = 0; i < 300; i++) first += group[i] == 0;
    assert_int_equal(first, 150);
    minority = group[2];
    for (int i = 2; i < 300; i += 3) together += group[i] == minority;
    assert_true(together >= 98); /* the smaller kind is in one group */
    for (int i = 0; i < 300; i++) assigned += at_kmeans_assign(&m, &few[i]) == 0;
    assert_in_range(assigned, 140, 160);
    at_kmeans_free(&m);
    for (int i = 0; i < 11; i++) few[i] = vector[0]; /* nothing to tell them apart */
    OK(at_kmeans_fit(&ctx, few, 11, WIDTH, 3, 1, &m, group));
    int count[3] = {0};
    for (int i = 0; i < 11; i++) count[group[i]]++;
    for (int k = 0; k < 3; k++) assert_in_range(count[k], 3, 4);
    at_kmeans_free(&m);
    assert_int_equal(at_kmeans_fit(&ctx, few, 3, WIDTH, 4, 1, &m, group), AT_ARG);
    assert_int_equal(at_kmeans_fit(&ctx, few, 3, WIDTH, 0, 1, &m, group), AT_ARG);
}

/* The best of several beginnings is kept: a single one ends, for some seed, a fifth below the best. */
static void beginnings_are_tried(void **state) {
    (void)state;
    static int group[N];
    plant();
    double least = 1, most = 0;
    for (uint64_t seed = 1; seed <= 40; seed++) {
        at_kmeans m;
        OK(at_kmeans_fit(&ctx, vector, 64, WIDTH, GROUPS, seed, &m, group));
        least = fmin(least, m.likeness);
        most = fmax(most, m.likeness);
        at_kmeans_free(&m);
    }
    if (least < 0.87 * most) fail_msg("likeness from %g to %g", least, most);
}

/* ---- TF-IDF ---- */

static void weights_are_those_of_the_formula(void **state) {
    (void)state;
    static const char *const text[] = {"apple apple pear", "pear plum", "Pear."};
    at_tfidf f;
    int32_t index[AT_TFIDF_KEPT];
    double value[AT_TFIDF_KEPT];
    OK(at_tfidf_open(&ctx, &f));
    for (int i = 0; i < 3; i++) at_tfidf_see(&f, text[i], strlen(text[i]));
    assert_int_equal(at_tfidf_of(&f, text[0], strlen(text[0]), index, value), 2);
    const double apple = (1 + log(2)) * (log(4.0 / 2) + 1), pear = log(4.0 / 4) + 1;
    const double norm = sqrt(apple * apple + pear * pear);
    assert_true(index[0] < index[1]);
    for (int i = 0; i < 2; i++) {
        const bool is_apple = strcmp(f.word[index[i]], "apple") == 0;
        assert_true(is_apple || strcmp(f.word[index[i]], "pear") == 0);
        assert_true(fabs(value[i] - (is_apple ? apple : pear) / norm) < 1e-14);
    }
    assert_int_equal(at_tfidf_of(&f, "12 .", 4, index, value), 0);
    char many[4000] = "";
    for (int i = 0; i < 300; i++)
        (void)snprintf(many + strlen(many), sizeof many - strlen(many), "w%c%c ", 'a' + i / 26,
                       'a' + i % 26);
    assert_int_equal(at_tfidf_of(&f, many, strlen(many), index, value), AT_TFIDF_KEPT);
    at_tfidf_close(&f);
}

/* ---- clusters ---- */

static void write_texts(const char *folder, const char *letters, int from, int n) {
    OK(at_make_dir(&ctx, in(folder)));
    for (int i = from; i < from + n; i++) {
        char text[2000], leaf[64];
        size_t used = 0;
        for (int w = 0; w < 60; w++) {
            const uint64_t draw = at_rand64(7, AT_STREAM_TEST, (uint64_t)(i * 100 + w));
            used += (size_t)snprintf(text + used, sizeof text - used, "%c%c%c ", letters[draw % 5],
                                     letters[draw / 5 % 5], letters[draw / 25 % 5]);
        }
        (void)snprintf(leaf, sizeof leaf, "%s/%03d.txt", folder, i);
        OK(at_write_file(&ctx, in(leaf), text, used));
    }
}

static double term(double part, double all) { return part > 0 ? -part / all * log(part / all) : 0; }

static void clusters_are_compared_with_names(void **state) {
    (void)state;
    write_texts("north", "kstvr", 0, 51);
    write_texts("south", "aeiou", 100, 59);
    write_texts("mixed", "kstvr", 300, 8); /* named south, too */
    const at_build defaults = at_build_defaults();
    const at_build_source source[] = {
        {.domain = (char *)"north", .path = at_strdup(&ctx, in("north"))},
        {.domain = (char *)"south", .path = at_strdup(&ctx, in("south"))},
        {.domain = (char *)"south", .path = at_strdup(&ctx, in("mixed"))}};
    at_cluster o = {.source = source,
                    .n_sources = 3,
                    .k = 2,
                    .out = in("clusters"),
                    .filter = defaults.filter,
                    .reading = defaults.reading,
                    .seed = 1};
    cJSON *r;
    OK(at_cluster_run(&ctx, &o, &r));
    const cJSON *list = cJSON_GetObjectItem(r, "clusters");
    double n[2][2], all = 118, right = 0, both = 0, groups = 0, labels = 0;
    for (int k = 0; k < 2; k++) {
        const cJSON *of = cJSON_GetObjectItem(cJSON_GetArrayItem(list, k), "labels");
        n[k][0] = cJSON_GetObjectItem(of, "north")->valuedouble;
        n[k][1] = cJSON_GetObjectItem(of, "south")->valuedouble;
        right += fmax(n[k][0], n[k][1]);
        both += term(n[k][0], all) + term(n[k][1], all);
        groups += term(n[k][0] + n[k][1], all);
        assert_int_equal(
            cJSON_GetArraySize(cJSON_GetObjectItem(cJSON_GetArrayItem(list, k), "words")), 12);
    }
    for (int l = 0; l < 2; l++) labels += term(n[0][l] + n[1][l], all);
    assert_true(n[0][0] + n[0][1] + n[1][0] + n[1][1] == all && n[0][0] + n[1][0] == 51);
    assert_true(right >= 105 &&
                right < all); /* the eight are in the wrong one, as they should be */
    assert_true(fabs(cJSON_GetObjectItem(r, "purity")->valuedouble - right / all) < 1e-12);
    const double nmi = 2 * (groups + labels - both) / (groups + labels);
    assert_true(fabs(cJSON_GetObjectItem(r, "nmi")->valuedouble - nmi) < 1e-12);
    assert_true(nmi > 0.5 && nmi < 0.95);
    cJSON_Delete(r);
    /* every document once; the files are sources of a data set */
    static char path[2][600];
    const at_build_source made[] = {{.domain = (char *)"c0", .path = path[0]},
                                    {.domain = (char *)"c1", .path = path[1]}};
    for (int k = 0; k < 2; k++)
        (void)snprintf(path[k], sizeof path[k], "%s/clusters/c%d.jsonl", dir, k);
    at_build b = defaults;
    b.source = made;
    b.n_sources = 2;
    b.vocab = 300;
    b.out = in("set");
    b.balance.equal = false;
    OK(at_build_run(&ctx, &b, &r));
    double documents = 0;
    for (int k = 0; k < 2; k++)
        documents += cJSON_GetObjectItem(
                         cJSON_GetObjectItem(
                             cJSON_GetArrayItem(cJSON_GetObjectItem(r, "domains"), k), "read"),
                         "documents_kept")
                         ->valuedouble;
    assert_int_equal((int)documents, (int)all);
    cJSON_Delete(r);
    /* over the old ones; a folder of something else stays */
    OK(at_cluster_run(&ctx, &o, &r));
    cJSON_Delete(r);
    o.out = in("north");
    assert_int_equal(at_cluster_run(&ctx, &o, &r), AT_ARG);
    expect_says(&ctx, "holds no clusters");
    o.out = in("more");
    o.k = 1;
    assert_int_equal(at_cluster_run(&ctx, &o, &r), AT_ARG);
    o.k = 60;
    o.n_sources = 1;
    o.source = &source[2];
    assert_int_equal(at_cluster_run(&ctx, &o, &r), AT_FORMAT);
    expect_says(&ctx, "a document for each of 60 clusters, found 8");
    nothing_in_the_making(&ctx, dir);
    for (int i = 0; i < 3; i++) at_free(source[i].path);
}

static void out_of_memory(void **state) {
    (void)state;
    write_texts("oom", "kstvr", 500, 6);
    const at_build defaults = at_build_defaults();
    const at_build_source source = {.domain = (char *)"x", .path = at_strdup(&ctx, in("oom"))};
    const at_cluster o = {.source = &source,
                          .n_sources = 1,
                          .k = 2,
                          .out = in("oomset"),
                          .filter = defaults.filter,
                          .reading = defaults.reading,
                          .seed = 1};
    at_status s = AT_OOM;
    int64_t n = 1, failures = 0;
    ctx.threads = 1;
    while (s) {
        cJSON *r;
        at_json_inject(&ctx);
        ctx.fail_after = n;
        s = at_cluster_run(&ctx, &o, &r);
        ctx.fail_after = 0;
        cJSON_Delete(r);
        if (s) assert_int_equal(s, AT_OOM);
        if (s) nothing_in_the_making(&ctx, dir);
        failures += s != 0;
        n += 1 + n / 40;
    }
    at_json_inject(NULL);
    ctx.threads = 2;
    assert_true(failures > 30);
    at_free(source.path);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(planted_groups_are_found),
        cmocka_unit_test(groups_are_of_equal_size),
        cmocka_unit_test(beginnings_are_tried),
        cmocka_unit_test(weights_are_those_of_the_formula),
        cmocka_unit_test(clusters_are_compared_with_names),
        cmocka_unit_test(out_of_memory),
    };
    return cmocka_run_group_tests_name("data_cluster", tests, setup, teardown);
}
