/* test_data_split.c - a text file goes into one split if there are enough files; splits have about
   their shares; too few files are reported. */
#include "check.h"
#include "data/build.h"

static at_ctx ctx;
static char *dir;
static char said[4096]; /* warnings */

static void keep(void *user, at_log_level level, const char *line) {
    (void)user;
    const size_t n = strlen(said);
    if (level == AT_LOG_WARN) (void)snprintf(said + n, sizeof said - n, "%s\n", line);
}

static int setup(void **state) {
    (void)state;
    at_ctx_init(&ctx, 2);
    ctx.log = keep;
    dir = temporary_folder();
    return 0;
}

static int teardown(void **state) {
    (void)state;
    return at_remove_tree(&ctx, dir) ? -1 : 0;
}

static const char *in(const char *rel) {
    static char path[4][600];
    static int turn;
    char *p = path[turn++ % 4];
    (void)snprintf(p, sizeof path[0], "%s/%s", dir, rel);
    return p;
}

/* <domain>/000.txt ...: every paragraph of file i says "mark<i>z"; from 2 to 7 stretches a file. */
static void corpus(const char *domain, int files) {
    static char text[40000];
    assert_int_equal(at_make_dir(&ctx, in(domain)), AT_OK);
    for (int i = 0; i < files; i++) {
        size_t at = 0;
        const size_t size = 8192 + (size_t)(i * 7919 % 20000);
        for (int j = 0; at < size; j++)
            at +=
                (size_t)snprintf(text + at, sizeof text - at,
                                 "Paragraph %c%c of %s says mark%dz and then goes on a while.\n\n",
                                 'a' + j / 26 % 26, 'a' + j % 26, domain, i);
        char leaf[64];
        (void)snprintf(leaf, sizeof leaf, "%s/%03d.txt", domain, i);
        assert_int_equal(at_write_file(&ctx, in(leaf), text, at), AT_OK);
    }
}

typedef struct {
    at_build_source source[2];
    at_build b;
    cJSON *manifest;
    at_dataset *d;
    at_tokenizer *t;
} made;

static void build(made *m, const char *a, const char *b) {
    const char *const name[2] = {a, b};
    *m = (made){.b = at_build_defaults()};
    m->b.source = m->source;
    m->b.out = in("set");
    m->b.vocab = 300;
    m->b.balance.equal = false;
    said[0] = 0;
    for (int i = 0; i < 2 && name[i]; i++) {
        m->source[i] = (at_build_source){.domain = at_strdup(&ctx, i ? "b" : "a"),
                                         .path = at_strdup(&ctx, in(name[i]))};
        m->b.n_sources++;
    }
    OK(at_build_run(&ctx, &m->b, &m->manifest));
    OK(at_dataset_open(&ctx, in("set"), &m->d));
    OK(at_tokenizer_load(&ctx, in("set"), &m->t));
}

static void done(made *m) {
    for (int i = 0; i < 2; i++) {
        at_free(m->source[i].domain);
        at_free(m->source[i].path);
    }
    cJSON_Delete(m->manifest);
    at_dataset_close(m->d);
    at_tokenizer_close(m->t);
}

/* Adds 1 << split to seen[i] for every "mark<i>z" in the split of a domain. */
static void marks(const made *m, const char *domain, int seen[]) {
    const at_domain *d = &m->d->domain[at_dataset_domain(m->d, domain)];
    for (int k = 0; k < AT_SPLITS; k++) {
        const int64_t n = d->shard[k].n_tokens;
        int32_t *id = malloc((size_t)n * sizeof *id);
        size_t bytes;
        at_shard_read(&d->shard[k], 0, n, id);
        char *text = at_tokenizer_decode(&ctx, m->t, id, n, &bytes);
        assert_non_null(text);
        for (const char *p = text; (p = strstr(p, "mark")); p++) seen[atoi(p + 4)] |= 1 << k;
        at_free(text);
        free(id);
    }
}

static const char *split_by(const made *m, int domain) {
    const cJSON *d = cJSON_GetArrayItem(cJSON_GetObjectItem(m->manifest, "domains"), domain);
    return cJSON_GetStringValue(cJSON_GetObjectItem(d, "split_by"));
}

static void shares_hold(const made *m, const char *domain) {
    const at_domain *d = &m->d->domain[at_dataset_domain(m->d, domain)];
    double all = 0;
    for (int k = 0; k < AT_SPLITS; k++) all += (double)d->shard[k].n_bytes;
    for (int k = 0; k < AT_SPLITS; k++) {
        const double share = (double)d->shard[k].n_bytes / all, want = m->b.balance.share[k];
        if (share < 0.5 * want || share > 1.5 * want)
            fail_msg("%s: %s has %g of the text, asked for %g", domain, at_split_name[k], share,
                     want);
    }
}

/* Whatever the number of files: 15 are enough for 5 %. */
static void a_file_goes_into_one_split(void **state) {
    (void)state;
    static const int files[] = {15, 20, 33, 81};
    for (int i = 0; i < 4; i++) {
        char name[8];
        int seen[100] = {0};
        made m;
        (void)snprintf(name, sizeof name, "n%d", files[i]);
        corpus(name, files[i]);
        build(&m, name, NULL);
        marks(&m, "a", seen);
        for (int j = 0; j < files[i]; j++)
            if (seen[j] != 1 && seen[j] != 2 && seen[j] != 4)
                fail_msg("file %d of %d is in splits %d", j, files[i], seen[j]);
        shares_hold(&m, "a");
        assert_string_equal(split_by(&m, 0), "file");
        assert_string_equal(said, "");
        done(&m);
    }
}

static void files_of_one_name_go_together(void **state) {
    (void)state;
    int a[100] = {0}, b[100] = {0};
    made m;
    corpus("x", 40);
    corpus("y", 40);
    build(&m, "x", "y");
    marks(&m, "a", a);
    marks(&m, "b", b);
    for (int j = 0; j < 40; j++) assert_int_equal(a[j], b[j]);
    shares_hold(&m, "a");
    shares_hold(&m, "b");
    done(&m);
}

/* A domain with few files is cut and reported, another one beside it is not. */
static void few_files_are_told(void **state) {
    (void)state;
    int a[100] = {0}, b[100] = {0};
    made m;
    corpus("few", 4);
    corpus("many", 60);
    build(&m, "few", "many");
    assert_string_equal(split_by(&m, 0), "stretch");
    assert_string_equal(split_by(&m, 1), "file");
    assert_non_null(strstr(said, "domain \"a\""));
    assert_non_null(strstr(said, "too few"));
    assert_null(strstr(said, "domain \"b\""));
    marks(&m, "a", a);
    marks(&m, "b", b);
    int all = 0;
    for (int j = 0; j < 4; j++) all |= a[j];
    assert_int_equal(all, 7);
    for (int j = 0; j < 60; j++) assert_true(b[j] == 1 || b[j] == 2 || b[j] == 4);
    done(&m);
}

/* A line of JSON is a document of its own, in one file or in many. */
static void lines_are_documents(void **state) {
    (void)state;
    made m;
    static char text[40000];
    size_t at = 0;
    for (int i = 0; i < 200; i++)
        at += (size_t)snprintf(text + at, sizeof text - at,
                               "{\"text\": \"Line %c%c says something that is long enough, "
                               "and then ends.\"}\n",
                               'a' + i / 26, 'a' + i % 26);
    OK(at_write_file(&ctx, in("lines.jsonl"), text, at));
    build(&m, "lines.jsonl", NULL);
    assert_string_equal(said, "");
    assert_string_equal(split_by(&m, 0), "file");
    for (int k = 0; k < AT_SPLITS; k++) assert_true(m.d->domain[0].shard[k].n_docs > 0);
    done(&m);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_goes_into_one_split),
        cmocka_unit_test(files_of_one_name_go_together),
        cmocka_unit_test(few_files_are_told),
        cmocka_unit_test(lines_are_documents),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
