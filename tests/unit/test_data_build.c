/* test_data_build.c - from files to a data set: splits, balance, duplicates, determinism, and the
   folder when something goes wrong. */
#include "check.h"
#include "data/build.h"
#include "data/shard.h"
#include <sys/stat.h>
#include <unistd.h>

static at_ctx ctx;
static char *dir;
static atomic_int stop;

static int setup(void **state) {
    (void)state;
    at_ctx_init(&ctx, 2);
    ctx.interrupt = &stop;
    dir = temporary_folder();
    return 0;
}

static int teardown(void **state) {
    (void)state;
    return at_remove_tree(&ctx, dir) ? -1 : 0;
}

static const char *in(const char *rel) {
    static char path[4][4300];
    static int turn;
    turn = (turn + 1) % 4;
    (void)snprintf(path[turn], sizeof path[turn], "%s/%s", dir, rel);
    return path[turn];
}

/* <domain>/<i>.txt for i in [0, n): `lines` sentences of their own each. */
static void corpus(const char *domain, const char *words, int n, int lines) {
    assert_int_equal(at_make_dir(&ctx, in(domain)), AT_OK);
    for (int i = 0; i < n; i++) {
        char leaf[64], text[20000];
        size_t at = 0;
        for (int j = 0; j < lines + i % 3; j++)
            at += (size_t)snprintf(text + at, sizeof text - at,
                                   "%s number %c%c of document %c%c goes on for a while.\n\n",
                                   words, 'a' + j / 26, 'a' + j % 26, 'a' + i / 26, 'a' + i % 26);
        (void)snprintf(leaf, sizeof leaf, "%s/%03d.txt", domain, i);
        assert_int_equal(at_write_file(&ctx, in(leaf), text, at), AT_OK);
    }
}

static at_build options(const at_build_source *source, int64_t n, const char *out) {
    at_build b = at_build_defaults();
    b.source = source;
    b.n_sources = n;
    b.out = out;
    b.vocab = 300;
    return b;
}

static at_build_source from(const char *domain) {
    return (at_build_source){.domain = (char *)domain, .path = at_strdup(&ctx, in(domain))};
}

static at_status build(const at_build *b) {
    cJSON *m = NULL;
    const at_status s = at_build_run(&ctx, b, &m);
    assert_true((s == AT_OK) == (m != NULL));
    cJSON_Delete(m);
    return s;
}

/* No temporary file is left beside the result. */
static void no_leftovers(void) { nothing_in_the_making(&ctx, dir); }

static void same_tree(const char *a, const char *b) {
    at_list l, m;
    assert_int_equal(at_list_tree(&ctx, a, &l), AT_OK);
    assert_int_equal(at_list_tree(&ctx, b, &m), AT_OK);
    assert_int_equal(l.n, m.n);
    for (int64_t i = 0; i < l.n; i++) {
        assert_string_equal(l.item[i], m.item[i]);
        char *p = at_join(&ctx, a, l.item[i]), *q = at_join(&ctx, b, l.item[i]);
        size_t n, k;
        char *x = at_read_file(&ctx, p, 1 << 24, &n), *y = at_read_file(&ctx, q, 1 << 24, &k);
        assert_int_equal(n, k);
        assert_memory_equal(x, y, n);
        at_free(x);
        at_free(y);
        at_free(p);
        at_free(q);
    }
    at_list_free(&l);
    at_list_free(&m);
}

static int64_t tokens(const at_dataset *d, const char *domain, at_split k) {
    return d->domain[at_dataset_domain(d, domain)].shard[k].n_tokens;
}

/* ---- what comes out ---- */

static void test_whole(void **state) {
    (void)state;
    corpus("en", "English sentence", 60, 6);
    corpus("fr",
           "Phrase fran\xC3\xA7"
           "aise tout \xC3\xA0 fait plus longue",
           60, 9);
    const at_build_source source[] = {from("en"), from("fr")};
    at_build b = options(source, 2, in("set"));
    const at_build_licence licence = {(char *)"en", (char *)"CC0-1.0"};
    b.licence = &licence;
    b.n_licences = 1;
    cJSON *m;
    assert_int_equal(at_build_run(&ctx, &b, &m), AT_OK);
    no_leftovers();
    at_dataset *d;
    assert_int_equal(at_dataset_open(&ctx, in("set"), &d), AT_OK);
    assert_int_equal(at_dataset_check(&ctx, d), AT_OK);
    for (int k = 0; k < AT_SPLITS; k++) { /* balanced within 5 % */
        const double en = (double)tokens(d, "en", (at_split)k),
                     fr = (double)tokens(d, "fr", (at_split)k);
        assert_true(en > 0 && fr > 0);
        assert_true((en > fr ? en / fr : fr / en) <= 1.05);
    }
    const cJSON *en = cJSON_GetArrayItem(cJSON_GetObjectItem(m, "domains"), 0);
    assert_string_equal(cJSON_GetObjectItem(en, "licence")->valuestring, "CC0-1.0");
    assert_int_equal(cJSON_GetObjectItem(cJSON_GetObjectItem(en, "read"), "documents")->valueint,
                     60);
    cJSON_Delete(m);

    /* tokens decode to the text, each document ended by the end-of-text token */
    at_tokenizer *t;
    assert_int_equal(at_tokenizer_load(&ctx, in("set"), &t), AT_OK);
    assert_string_equal(at_tokenizer_hash(t), d->tokenizer_hash);
    assert_int_equal(at_tokenizer_size(t), 300);
    const at_shard *s = &d->domain[1].shard[AT_TRAIN];
    int32_t id[4096];
    const int64_t n = (int64_t)s->start[1];
    assert_in_range(n, 2, 4096);
    at_shard_read(s, 0, n, id);
    assert_int_equal(id[n - 1], at_tokenizer_eot(t));
    size_t bytes;
    char *text = at_tokenizer_decode(&ctx, t, id, n - 1, &bytes);
    assert_int_equal(strncmp(text,
                             "Phrase fran\xC3\xA7"
                             "aise",
                             17),
                     0);
    at_free(text);
    at_tokenizer_close(t);
    at_dataset_close(d);

    /* again, with another number of threads, over the old set: the same bytes */
    b.out = in("again");
    ctx.threads = 1;
    assert_int_equal(build(&b), AT_OK);
    assert_int_equal(build(&b), AT_OK);
    ctx.threads = 2;
    same_tree(in("set"), in("again"));
    no_leftovers();
    b.seed = 2;
    assert_int_equal(build(&b), AT_OK);
    at_free(source[0].path);
    at_free(source[1].path);
}

/* Documents of one key are in the same split in every domain, and splits do not depend on the
   seed. */
static void test_parallel(void **state) {
    (void)state;
    at_stage stage[2];
    at_dedup seen = {0};
    const at_filter keep_all = {0, 0};
    at_balance b = at_build_defaults().balance;
    b.unit = AT_UNIT_BYTES;
    assert_int_equal(at_make_dir(&ctx, in("stage")), AT_OK);
    assert_int_equal(at_stage_open(&ctx, &stage[0], in("stage"), "a"), AT_OK);
    assert_int_equal(at_stage_open(&ctx, &stage[1], in("stage"), "b"), AT_OK);
    for (int k = 0; k < 2; k++)
        for (int i = 0; i < 500; i++) {
            char key[32], text[64];
            (void)snprintf(key, sizeof key, "doc%d", (k ? 499 - i : i));
            const int n = snprintf(text, sizeof text, "text %d of domain %d", i, k);
            const at_document doc = {.key = key, .text = text, .bytes = n, .separator = "\n"};
            assert_int_equal(at_stage_add(&ctx, &stage[k], &doc, &keep_all, &seen), AT_OK);
        }
    at_dedup_free(&seen);
    assert_int_equal(at_balance_split(&ctx, stage, 2, &b, 5), AT_OK);
    int count[AT_SPLITS] = {0};
    at_split first[500];
    for (int i = 0; i < 500; i++) {
        assert_int_equal(stage[0].doc[i].key, stage[1].doc[499 - i].key);
        assert_int_equal(stage[0].doc[i].split, stage[1].doc[499 - i].split);
        assert_int_equal(stage[0].doc[i].order, stage[1].doc[499 - i].order);
        count[stage[0].doc[i].split]++;
        first[i] = stage[0].doc[i].split;
    }
    assert_in_range(count[AT_TRAIN], 430, 470);
    assert_in_range(count[AT_VALIDATION], 10, 42);
    assert_in_range(count[AT_TEST], 10, 42);
    const uint64_t order = stage[0].doc[0].order;
    assert_int_equal(at_balance_split(&ctx, stage, 2, &b, 6), AT_OK);
    assert_true(order != stage[0].doc[0].order);
    for (int i = 0; i < 500; i++) assert_int_equal(stage[0].doc[i].split, first[i]);
    at_stage_close(&stage[0]);
    at_stage_close(&stage[1]);
}

/* Few large documents: one is cut so that the difference asked for is kept. */
static void test_balance(void **state) {
    (void)state;
    for (at_unit unit = AT_UNIT_TOKENS; unit <= AT_UNIT_DOCS; unit++) {
        at_staged small[5], large[7];
        at_stage s[2] = {{.name = (char *)"s", .doc = small, .n = 5},
                         {.name = (char *)"l", .doc = large, .n = 7}};
        for (uint64_t i = 0; i < 7; i++) {
            const at_staged d = {
                .key = i, .bytes = 1000, .chars = 1000, .tokens = 1000, .order = 7 - i};
            if (i < 5) small[i] = d;
            large[i] = d;
            large[i].bytes = large[i].chars = large[i].tokens = 1900;
        }
        at_balance b = {.unit = unit, .equal = true, .max_diff = 5, .share = {1, 0, 0}};
        assert_int_equal(at_balance_take(&ctx, s, 2, &b), AT_OK);
        int64_t sum[2] = {0}, cuts = 0;
        for (int k = 0; k < 2; k++)
            for (int64_t i = 0; i < s[k].n; i++) {
                const at_staged *d = &s[k].doc[i];
                cuts += d->take != 0 && d->take != INT64_MAX;
                sum[k] += d->take == INT64_MAX ? at_staged_units(d, unit) : d->take;
            }
        assert_int_equal(sum[0], unit == AT_UNIT_DOCS ? 5 : 5000);
        assert_int_equal(sum[1], sum[0]);
        assert_int_equal(cuts, unit == AT_UNIT_DOCS ? 0 : 1);
        /* in order: the last of large has the lowest */
        assert_int_equal(large[6].take, INT64_MAX);
        assert_int_equal(large[0].take, 0);
        /* without balance, up to a limit */
        for (int i = 0; i < 7; i++) large[i].take = 0;
        b.equal = false;
        b.limit = unit == AT_UNIT_DOCS ? 6 : 6 * 1900;
        assert_int_equal(at_balance_take(&ctx, s, 2, &b), AT_OK);
        assert_int_equal(large[1].take, INT64_MAX);
        assert_int_equal(large[0].take, 0);
    }
}

/* Cut by each unit, the shards really are as long as asked. */
static void test_units(void **state) {
    (void)state;
    corpus("few", "Few words", 6, 8);
    corpus("many", "Many more words by far than few", 40, 12);
    const at_build_source source[] = {from("few"), from("many")};
    for (at_unit unit = AT_UNIT_TOKENS; unit <= AT_UNIT_CHARS; unit++) {
        at_build b = options(source, 2, in("units"));
        b.balance.unit = unit;
        b.balance.max_diff = 3;
        assert_int_equal(build(&b), AT_OK);
        at_dataset *d;
        assert_int_equal(at_dataset_open(&ctx, in("units"), &d), AT_OK);
        for (int k = 0; k < AT_SPLITS; k++) {
            double v[2];
            for (int i = 0; i < 2; i++) {
                const at_shard *s = &d->domain[i].shard[k];
                v[i] = (double)(unit == AT_UNIT_TOKENS  ? s->n_tokens
                                : unit == AT_UNIT_BYTES ? s->n_bytes
                                                        : s->n_chars);
            }
            assert_true(v[0] > 0 && v[1] > 0);
            /* a token is not always one unit: the cut may fall a word short */
            assert_true((v[1] - v[0]) / v[0] < 0.05 && (v[0] - v[1]) / v[0] < 0.05);
        }
        at_dataset_close(d);
    }
    at_free(source[0].path);
    at_free(source[1].path);
}

static void test_duplicates(void **state) {
    (void)state;
    at_stage s;
    at_dedup seen = {0};
    const at_filter f = {.min_chars = 10, .min_letters = 0.7};
    assert_int_equal(at_make_dir(&ctx, in("dup")), AT_OK);
    assert_int_equal(at_stage_open(&ctx, &s, in("dup"), "a"), AT_OK);
    static const char text[] =
        "A sentence of its own.\nshort\nA sentence of its own.\n"
        "A sentence of its own 2.\n1234567890 12345 67890\nFile - Open - Menu";
    at_document doc = {
        .key = "k", .text = text, .bytes = sizeof text - 1, .separator = "\n", .html = true};
    assert_int_equal(at_stage_add(&ctx, &s, &doc, &f, &seen), AT_OK);
    assert_int_equal(s.n, 1);
    at_bytes t = {0};
    assert_int_equal(at_stage_text(&ctx, &s, &s.doc[0], &t), AT_OK);
    assert_int_equal(t.n, 47);
    assert_memory_equal(t.p, "A sentence of its own.\nA sentence of its own 2.", 47);
    assert_int_equal(s.dropped.duplicates, 1);
    assert_int_equal(s.dropped.duplicate_bytes, 22);
    assert_int_equal(s.dropped.too_short, 1);
    assert_int_equal(s.dropped.few_letters, 1);
    assert_int_equal(s.dropped.no_sentence, 1);
    /* all of it seen before: no document */
    assert_int_equal(at_stage_add(&ctx, &s, &doc, &f, &seen), AT_OK);
    assert_int_equal(s.n, 1);
    assert_int_equal(s.dropped.documents, 1);
    /* a program is one piece */
    doc.separator = NULL;
    assert_int_equal(at_stage_add(&ctx, &s, &doc, &f, &seen), AT_OK);
    assert_int_equal(s.n, 2);
    assert_int_equal(s.doc[1].bytes, sizeof text - 1);
    at_bytes_free(&t);
    at_stage_close(&s);
    /* many: the set grows and forgets nothing */
    for (int pass = 0; pass < 2; pass++)
        for (int i = 0; i < 20000; i++) {
            bool fresh;
            assert_int_equal(at_dedup_add(&ctx, &seen, &i, sizeof i, &fresh), AT_OK);
            assert_int_equal(fresh, pass == 0);
        }
    at_dedup_free(&seen);
}

/* ---- what goes wrong ---- */

static void refused(const at_build *b, at_status status, const char *why) {
    const bool before = at_exists(b->out);
    assert_int_equal(build(b), status);
    expect_says(&ctx, why);
    assert_int_equal(at_exists(b->out), before);
    no_leftovers();
}

static void test_refused(void **state) {
    (void)state;
    corpus("ok", "Sentences as always", 20, 4);
    at_build_source source[] = {from("ok"), from("ok")};
    at_build b = options(source, 1, in("no"));
    b.vocab = 0;
    refused(&b, AT_ARG, "either a tokenizer or the size");
    b.vocab = 300;
    b.tokenizer = in("no.json");
    refused(&b, AT_ARG, "either a tokenizer or the size");
    b.vocab = 0;
    refused(&b, AT_IO, "no.json");
    b.tokenizer = NULL;
    b.vocab = 300;
    b.balance.share[0] = 0.5;
    refused(&b, AT_ARG, "sum to 1");
    b.balance.share[0] = 0.9;
    b.balance.max_diff = -1;
    refused(&b, AT_ARG, "max-diff");
    b.balance.max_diff = 5;
    b.n_sources = 0;
    refused(&b, AT_ARG, "at least one");
    b.n_sources = 2;
    source[1].domain = (char *)"../x";
    refused(&b, AT_ARG, "../x");
    source[1].domain = (char *)"other"; /* its text was all seen in the first domain */
    refused(&b, AT_FORMAT, "domain \"other\": no text left");
    b.n_sources = 1;
    const at_build_licence licence = {(char *)"zz", (char *)"MIT"};
    b.licence = &licence;
    b.n_licences = 1;
    refused(&b, AT_ARG, "\"zz\"");
    b.n_licences = 0;
    char *path = source[0].path;
    source[0].path = (char *)"/nowhere";
    refused(&b, AT_IO, "/nowhere");
    assert_int_equal(at_write_file(&ctx, in("one.txt"),
                                   "One document alone cannot be in all three splits.\n", 50),
                     AT_OK);
    source[0].path = (char *)in("one.txt");
    refused(&b, AT_FORMAT, "at least 3 documents");
    source[0].path = path;
    stop = 1;
    refused(&b, AT_INTERRUPTED, "interrupted");
    stop = 0;
    b.out = in("ok"); /* a folder of something else stays as it is */
    refused(&b, AT_ARG, "holds no data set");
    b.out = in("ok/000.txt");
    refused(&b, AT_ARG, "not a folder");
    if (geteuid() != 0) {
        assert_int_equal(at_make_dir(&ctx, in("locked")), AT_OK);
        assert_int_equal(chmod(in("locked"), 0500), 0);
        b.out = in("locked/set");
        refused(&b, AT_IO, "locked");
        assert_int_equal(chmod(in("locked"), 0700), 0);
    }
    at_free(source[0].path);
    at_free(source[1].path);
}

static void test_out_of_memory(void **state) {
    (void)state;
    corpus("oom", "Sentences as always", 8, 3);
    const at_build_source source[] = {from("oom")};
    const at_build b = options(source, 1, in("oomset"));
    at_status s = AT_OOM;
    int64_t n = 1, failures = 0;
    ctx.threads = 1;
    while (s) { /* every allocation early on, then ever fewer of them */
        at_json_inject(&ctx);
        ctx.fail_after = n;
        s = build(&b);
        ctx.fail_after = 0;
        if (s) assert_int_equal(s, AT_OOM);
        if (s) no_leftovers();
        failures += s != 0;
        n += 1 + n / 40;
    }
    at_json_inject(NULL);
    ctx.threads = 2;
    assert_true(failures > 50);
    at_free(source[0].path);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole),         cmocka_unit_test(test_parallel),
        cmocka_unit_test(test_balance),       cmocka_unit_test(test_units),
        cmocka_unit_test(test_duplicates),    cmocka_unit_test(test_refused),
        cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
