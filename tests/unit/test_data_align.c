/* test_data_align.c - aligned domains hold the same documents in every split, and are balanced as
   others are, beside domains that are not aligned. */
#include "base/rng.h"
#include "data/build.h"
#include "data/shard.h"
#include "in_folder.h"
#include <stdlib.h>
#include <string.h>

enum { IDS = 500 };

/* Documents of ids first, first + step, ..: "doc<id>z", then sentences, longer by `more` words where
   the id is odd. */
static void corpus(const char *name, const char *words, int first, int step, int more) {
    static char text[1 << 21];
    size_t n = 0;
    for (int i = first; i < IDS; i += step) {
        n += (size_t)snprintf(text + n, sizeof text - n, "{\"id\": %d, \"text\": \"doc%dz in %s", i,
                              i, name);
        for (int j = 0; j < 10 + i % 23 + (i % 2 ? more : 0); j++) {
            const uint64_t draw = at_rand64(1, AT_STREAM_TEST, (uint64_t)(i * 100 + j));
            n += (size_t)snprintf(text + n, sizeof text - n, " %s%c%c%c", words,
                                  'a' + (int)(draw % 26), 'a' + (int)(draw / 26 % 26),
                                  'a' + (int)(draw / 676 % 26));
        }
        n += (size_t)snprintf(text + n, sizeof text - n, ".\"}\n");
    }
    char leaf[64];
    (void)snprintf(leaf, sizeof leaf, "%s.jsonl", name);
    OK(at_write_file(&ctx, in(leaf), text, n));
}

enum { DOMAINS = 4 };
static const char *const names[DOMAINS] = {"en", "fr", "de", "py"};

static at_build four(void) {
    static char path[DOMAINS][600];
    static at_build_source source[DOMAINS];
    for (int i = 0; i < DOMAINS; i++) {
        (void)snprintf(path[i], sizeof path[i], "%s/%s.jsonl", dir, names[i]);
        source[i] = (at_build_source){.domain = (char *)names[i], .path = path[i]};
    }
    corpus("en", "word", 0, 1, 0); /* all */
    corpus("fr", "parole", 0, 2, 3);
    corpus("de", "wortgewandt", 0, 5, 9);
    corpus("py", "self.", 1, 3, 1);
    at_build b = at_build_defaults();
    b.source = source;
    b.n_sources = DOMAINS;
    b.out = in("set");
    b.vocab = 400;
    b.balance.share[0] = 0.6;
    b.balance.share[1] = b.balance.share[2] = 0.2;
    b.balance.max_diff = 1;
    b.aligned = "fr,en,de";
    return b;
}

/* The ids of a split, ascending; returns how many. */
static int ids_of(const at_dataset *d, const at_tokenizer *t, const char *domain, int split,
                  int *id) {
    const at_shard *s = &d->domain[at_dataset_domain(d, domain)].shard[split];
    int n = 0;
    bool seen[IDS] = {false};
    for (int64_t i = 0; i < s->n_docs; i++) {
        static int32_t token[1 << 13];
        size_t bytes;
        const int64_t tokens = (int64_t)(s->start[i + 1] - s->start[i]) - 1;
        at_shard_read(s, (int64_t)s->start[i], tokens, token);
        char *text = at_tokenizer_decode(&ctx, t, token, tokens, &bytes);
        const char *mark = strstr(text, "doc");
        if (mark && strchr(mark, 'z')) seen[atoi(mark + 3)] = true;
        at_free(text);
    }
    for (int i = 0; i < IDS; i++)
        if (seen[i]) id[n++] = i;
    return n;
}

static int expect_same_ids(int divisor) {
    at_dataset *d;
    at_tokenizer *t;
    OK(at_dataset_open(&ctx, in("set"), &d));
    OK(at_tokenizer_load(&ctx, in("set"), &t));
    int all = 0;
    for (int split = 0; split < AT_SPLITS; split++) {
        int id[3][IDS], n[3];
        for (int i = 0; i < 3; i++) n[i] = ids_of(d, t, names[i], split, id[i]);
        assert_true(n[0] > 0);
        assert_int_equal(n[0], n[1]);
        assert_int_equal(n[0], n[2]);
        for (int j = 0; j < n[0]; j++) {
            assert_int_equal(id[0][j], id[1][j]);
            assert_int_equal(id[0][j], id[2][j]);
            assert_int_equal(id[0][j] % divisor, 0);
        }
        all += n[0];
    }
    at_tokenizer_close(t);
    at_dataset_close(d);
    return all;
}

static double units(const cJSON *m, int domain, int split, const char *key) {
    const cJSON *d = cJSON_GetArrayItem(cJSON_GetObjectItem(m, "domains"), domain);
    const cJSON *s = cJSON_GetObjectItem(cJSON_GetObjectItem(d, "splits"), at_split_name[split]);
    return cJSON_GetObjectItem(s, key)->valuedouble;
}

static void expect_even(const cJSON *m, const char *key, double pct) {
    for (int k = 0; k < AT_SPLITS; k++) {
        double lo = 1e18, hi = 0;
        for (int i = 0; i < DOMAINS; i++) {
            const double v = units(m, i, k, key);
            lo = v < lo ? v : lo;
            hi = v > hi ? v : hi;
        }
        if (!(lo > 0 && hi <= lo * (1 + pct / 100))) fail_msg("%s %d: %g to %g", key, k, lo, hi);
    }
}

static void aligned_domains_say_the_same(void **state) {
    (void)state;
    static const struct {
        at_unit unit;
        const char *key;
    } by[] = {
        {AT_UNIT_TOKENS, "tokens"}, {AT_UNIT_CHARS, "characters"}, {AT_UNIT_DOCS, "documents"}};
    for (size_t i = 0; i < sizeof by / sizeof *by; i++) {
        at_build b = four();
        b.balance.unit = by[i].unit;
        cJSON *m;
        OK(at_build_run(&ctx, &b, &m));
        assert_int_equal(expect_same_ids(10), IDS / 10); /* all that the three have */
        expect_even(m, by[i].key, 1);
        const cJSON *read =
            cJSON_GetObjectItem(cJSON_GetArrayItem(cJSON_GetObjectItem(m, "domains"), 0), "read");
        assert_int_equal(cJSON_GetObjectItem(read, "documents_unaligned")->valueint,
                         IDS - IDS / 10);
        cJSON_Delete(m);
    }
}

static void a_limit_and_shares_hold_in_aligned_domains(void **state) {
    (void)state;
    at_build b = four();
    const at_build_share share[] = {
        {(char *)"en", 2}, {(char *)"fr", 1}, {(char *)"de", 1}, {(char *)"py", 1}};
    b.balance.limit = 600;
    cJSON *m;
    OK(at_build_run(&ctx, &b, &m));
    assert_in_range(expect_same_ids(10), 10, IDS / 10 - 10); /* some of them */
    expect_even(m, "tokens", 1);
    for (int i = 0; i < DOMAINS; i++) {
        assert_true(units(m, i, 0, "tokens") <= 610);
        assert_true(units(m, i, 0, "tokens") >= 590);
    }
    cJSON_Delete(m);
    b.balance.limit = 0;
    b.share = share;
    b.n_shares = 4;
    OK(at_build_run(&ctx, &b, &m));
    (void)expect_same_ids(10);
    for (int k = 0; k < AT_SPLITS; k++) {
        const double ratio = units(m, 0, k, "tokens") / units(m, 1, k, "tokens");
        if (!(ratio > 1.98 && ratio < 2.02)) fail_msg("%g", ratio);
    }
    cJSON_Delete(m);
    b.n_shares = 0;
    b.balance.equal = false;
    b.balance.limit = 600;
    OK(at_build_run(&ctx, &b, &m));
    for (int i = 0; i < DOMAINS; i++) assert_true(units(m, i, 0, "tokens") <= 615);
    cJSON_Delete(m);
}

/* A near copy that goes takes its translations with it. */
static void what_one_domain_loses_all_lose(void **state) {
    (void)state;
    at_build b = four();
    b.near_dup = 0.9;
    static char text[1 << 20];
    size_t n;
    char *all = at_read_file(&ctx, in("en.jsonl"), sizeof text, &n);
    assert_non_null(all);
    memcpy(text, all, n); /* document 10 of en is nearly its document 490 */
    char *ten = strstr(text, "{\"id\": 10,"), *end = strchr(ten, '\n');
    at_bytes out = {0};
    OK(at_bytes_add(&ctx, &out, text, (size_t)(ten - text)));
    const char *last = strstr(all, "{\"id\": 490,");
    const char *body = strstr(last, "doc490z"), *stop = strchr(last, '\n');
    OK(at_bytes_add(&ctx, &out, "{\"id\": 10, \"text\": \"", 20));
    OK(at_bytes_add(&ctx, &out, body, (size_t)(stop - body) - 3));
    OK(at_bytes_add(&ctx, &out, " too.\"}", 7));
    OK(at_bytes_add(&ctx, &out, end, n - (size_t)(end - text)));
    OK(at_write_file(&ctx, in("en.jsonl"), out.p, (size_t)out.n));
    at_bytes_free(&out);
    at_free(all);
    cJSON *m;
    OK(at_build_run(&ctx, &b, &m));
    const cJSON *near = cJSON_GetObjectItem(m, "near_duplicates");
    double dropped = 0;
    for (int k = 0; k < AT_SPLITS; k++)
        dropped += cJSON_GetObjectItem(cJSON_GetObjectItem(near, "dropped"), at_split_name[k])
                       ->valuedouble;
    assert_int_equal((int)dropped, 1);
    at_dataset *d;
    OK(at_dataset_open(&ctx, in("set"), &d));
    for (int i = 0; i < 3; i++) {
        int64_t docs = 0;
        for (int k = 0; k < AT_SPLITS; k++) docs += d->domain[i].shard[k].n_docs;
        assert_int_equal(docs, IDS / 10 - 1);
    }
    at_dataset_close(d);
    cJSON_Delete(m);
}

/* Files of several stretches are taken whole, in all domains. */
static void files_are_aligned_whole(void **state) {
    (void)state;
    static char text[60000];
    static char path[2][600];
    const at_build_source source[2] = {{.domain = (char *)"en", .path = path[0]},
                                       {.domain = (char *)"fr", .path = path[1]}};
    for (int k = 0; k < 2; k++) {
        (void)snprintf(path[k], sizeof path[k], "%s/files-%s", dir, names[k]);
        OK(at_make_dir(&ctx, path[k]));
        for (int i = k; i < 60; i++) { /* fr lacks the first */
            size_t n = 0;
            for (int j = 0; n < 6000 + 3000 * (size_t)(i % 5) + 2000 * (size_t)k; j++)
                n += (size_t)snprintf(text + n, sizeof text - n,
                                      "Paragraph %c%c in %s says mark%dz and goes on a while.\n\n",
                                      'a' + j / 26 % 26, 'a' + j % 26, names[k], i);
            char file[700];
            (void)snprintf(file, sizeof file, "%.560s/%02d.%s.txt", path[k], i, names[k]);
            OK(at_write_file(&ctx, file, text, n));
        }
    }
    at_build b = four();
    b.source = source;
    b.n_sources = 2;
    b.aligned = "all";
    cJSON *m;
    OK(at_build_run(&ctx, &b, &m));
    at_dataset *d;
    at_tokenizer *t;
    OK(at_dataset_open(&ctx, in("set"), &d));
    OK(at_tokenizer_load(&ctx, in("set"), &t));
    int files = 0;
    for (int split = 0; split < AT_SPLITS; split++) {
        bool seen[2][60] = {{false}};
        for (int k = 0; k < 2; k++) {
            const at_shard *s = &d->domain[k].shard[split];
            for (int64_t i = 0; i < s->n_docs; i++) {
                static int32_t token[1 << 14];
                size_t bytes;
                const int64_t tokens = (int64_t)(s->start[i + 1] - s->start[i]) - 1;
                at_shard_read(s, (int64_t)s->start[i], tokens, token);
                char *decoded = at_tokenizer_decode(&ctx, t, token, tokens, &bytes);
                const char *mark = strstr(decoded, "mark");
                if (mark) seen[k][atoi(mark + 4)] = true;
                at_free(decoded);
            }
        }
        for (int i = 0; i < 60; i++) {
            assert_int_equal(seen[0][i], seen[1][i]);
            files += seen[0][i];
        }
        const double a = units(m, 0, split, "tokens"), z = units(m, 1, split, "tokens");
        assert_true(a <= 1.01 * z && z <= 1.01 * a);
    }
    assert_int_equal(files, 59);
    at_tokenizer_close(t);
    at_dataset_close(d);
    cJSON_Delete(m);
}

static void refused(const at_build *b, at_status status, const char *why) {
    cJSON *m;
    assert_int_equal(at_build_run(&ctx, b, &m), status);
    expect_says(&ctx, why);
    nothing_in_the_making(&ctx, dir);
}

static void what_cannot_be_is_refused(void **state) {
    (void)state;
    at_build b = four();
    b.aligned = "en";
    refused(&b, AT_ARG, "at least two domains");
    b.aligned = "en,nl";
    refused(&b, AT_ARG, "no domain \"nl\"");
    b.aligned = "";
    refused(&b, AT_ARG, "at least two domains");
    b = four();
    corpus("fr", "parole", 1, 10, 0);
    refused(&b, AT_FORMAT, "no document is in all aligned domains");
}

/* Every option at once, with each allocation failing in turn. */
static void out_of_memory(void **state) {
    (void)state;
    static char path[3][600];
    static const char *const words[3] = {"word", "parole", "other"};
    const at_build_source source[2] = {{.domain = (char *)"en", .path = path[0]},
                                       {.domain = (char *)"fr", .path = path[1]}};
    const at_build_source ood = {.domain = (char *)"tales", .path = path[2]};
    const at_build_share share[] = {{(char *)"en", 2}, {(char *)"fr", 1}};
    for (int k = 0; k < 3; k++) {
        static const char *const folder[3] = {"oom-en", "oom-fr", "oom-tales"};
        (void)snprintf(path[k], sizeof path[k], "%s/%s", dir, folder[k]);
        OK(at_make_dir(&ctx, path[k]));
        for (int i = 0; i < 9; i++) {
            char file[700], text[600];
            size_t n = 0;
            for (int j = 0; j < 12; j++)
                n += (size_t)snprintf(text + n, sizeof text - n, "%s%c%c%c ", words[k],
                                      'a' + (i * 7 + j) % 26, 'a' + (i + j * j) % 26, 'a' + i);
            (void)snprintf(file, sizeof file, "%.560s/%d.txt", path[k], i);
            OK(at_write_file(&ctx, file, text, n));
        }
    }
    OK(at_write_file(&ctx, in("oom-en/LICENCE"), "MIT", 3));
    at_build b = at_build_defaults();
    b.source = source;
    b.n_sources = 2;
    b.ood = &ood;
    b.n_ood = 1;
    b.share = share;
    b.n_shares = 2;
    b.out = in("oomset");
    b.vocab = 260;
    b.aligned = "all";
    b.near_dup = 0.9;
    b.language_filter = true;
    b.balance.max_diff = 20;
    at_status s = AT_OOM;
    int64_t n = 1, failures = 0;
    ctx.threads = 1;
    while (s) {
        cJSON *m;
        at_json_inject(&ctx);
        ctx.fail_after = n;
        s = at_build_run(&ctx, &b, &m);
        ctx.fail_after = 0;
        cJSON_Delete(m);
        if (s) assert_int_equal(s, AT_OOM);
        if (s) nothing_in_the_making(&ctx, dir);
        failures += s != 0;
        n += 1 + n / 40;
    }
    at_json_inject(NULL);
    ctx.threads = 2;
    assert_true(failures > 60);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(aligned_domains_say_the_same),
        cmocka_unit_test(a_limit_and_shares_hold_in_aligned_domains),
        cmocka_unit_test(what_one_domain_loses_all_lose),
        cmocka_unit_test(files_are_aligned_whole),
        cmocka_unit_test(what_cannot_be_is_refused),
        cmocka_unit_test(out_of_memory),
    };
    return cmocka_run_group_tests_name("data_align", tests, setup, teardown);
}
