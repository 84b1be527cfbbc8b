/* test_data_shard.c - shards and data set folders: round trip, and every way they can be broken. */
#include "check.h"
#include "data_fixture.h"
#include <xxhash.h>

static char *dir;
static at_ctx ctx;

static int setup(void **state) {
    (void)state;
    at_ctx_init(&ctx, 1);
    dir = temporary_folder();
    return 0;
}

static int teardown(void **state) {
    (void)state;
    return at_remove_tree(&ctx, dir) ? -1 : 0;
}

static const char *in_dir(const char *leaf) {
    static char path[512];
    (void)snprintf(path, sizeof path, "%s/%s", dir, leaf);
    return path;
}

static void round_trip(int64_t vocab, int width) {
    const char *path = in_dir(width == 2 ? "narrow.bin" : "wide.bin");
    at_shard_writer *w;
    assert_int_equal(at_shard_writer_open(&ctx, path, vocab, FIXTURE_HASH, &w), AT_OK);
    int32_t *big = malloc(40000 * sizeof *big);
    assert_non_null(big);
    for (int32_t i = 0; i < 40000; i++) big[i] = (int32_t)((int64_t)i * 7919 % vocab);
    assert_int_equal(at_shard_writer_add(&ctx, w, big, 40000, 100, 90), AT_OK);
    assert_int_equal(at_shard_writer_add(&ctx, w, big, 0, 0, 0), AT_OK);
    assert_int_equal(at_shard_writer_add(&ctx, w, big + 5, 3, 11, 10), AT_OK);
    assert_false(at_exists(path)); /* it takes its name only when whole */
    at_shard totals;
    assert_int_equal(at_shard_writer_commit(&ctx, w, &totals), AT_OK);
    assert_int_equal(totals.n_tokens, 40003);

    at_shard_file f;
    assert_int_equal(at_shard_open(&ctx, path, &f), AT_OK);
    assert_int_equal(at_shard_check(&ctx, path, &f), AT_OK);
    assert_int_equal(f.view.width, width);
    assert_int_equal(f.view.n_tokens, 40003);
    assert_int_equal(f.view.n_docs, 3);
    assert_int_equal(f.view.n_bytes, 111);
    assert_int_equal(f.view.n_chars, 100);
    assert_int_equal(f.vocab, vocab);
    assert_string_equal(f.tokenizer, FIXTURE_HASH);
    const uint64_t starts[] = {0, 40000, 40000, 40003};
    assert_memory_equal(f.view.start, starts, sizeof starts);
    assert_int_equal((uintptr_t)f.view.token % 64, 0);
    assert_int_equal((uintptr_t)f.view.start % 64, 0);
    int32_t *back = malloc(40003 * sizeof *back);
    assert_non_null(back);
    at_shard_read(&f.view, 0, 40003, back);
    assert_memory_equal(back, big, 40000 * sizeof *big);
    assert_memory_equal(back + 40000, big + 5, 3 * sizeof *big);
    free(back);
    free(big);
    at_shard_close(&f);
}

static void test_narrow(void **state) {
    (void)state;
    round_trip(65536, 2);
}

static void test_wide(void **state) {
    (void)state;
    round_trip(65537, 4);
}

static void test_writer_refuses(void **state) {
    (void)state;
    at_shard_writer *w;
    const char *path = in_dir("refused.bin");
    assert_int_equal(at_shard_writer_open(&ctx, path, 0, FIXTURE_HASH, &w), AT_ARG);
    assert_int_equal(at_shard_writer_open(&ctx, path, 10, "abc", &w), AT_ARG);
    assert_int_equal(at_shard_writer_open(&ctx, path, 10, FIXTURE_HASH, &w), AT_OK);
    assert_int_equal(at_shard_writer_add(&ctx, w, (const int32_t[]){10}, 1, 1, 1), AT_ARG);
    expect_says(&ctx, "token id 10 is not below 10");
    at_shard_writer_close(w);
    assert_false(at_exists(path));
}

/* ---- broken shards ---- */

static unsigned char *slurp(const char *path, size_t *bytes) {
    char *p = at_read_file(&ctx, path, 1 << 24, bytes);
    assert_non_null(p);
    return (unsigned char *)p;
}

/* Write `bytes` of data as a shard and expect the refusal to say `why`. */
static void refused(const unsigned char *data, size_t bytes, at_status status, const char *why) {
    const char *path = in_dir("broken.bin");
    assert_int_equal(at_write_file(&ctx, path, data, bytes), AT_OK);
    at_shard_file f;
    assert_int_equal(at_shard_open(&ctx, path, &f), status);
    expect_says(&ctx, why);
    expect_says(&ctx, "broken.bin");
}

/* The same with a header field changed by somebody who also renews the header's checksum. */
static void forged(unsigned char *data, size_t bytes, size_t at, uint64_t value, size_t width,
                   const char *why) {
    unsigned char saved[152];
    memcpy(saved, data, sizeof saved);
    memcpy(data + at, &value, width);
    const uint64_t check = XXH3_64bits(data, 144);
    memcpy(data + 144, &check, sizeof check);
    refused(data, bytes, AT_FORMAT, why);
    memcpy(data, saved, sizeof saved);
}

static void test_broken(void **state) {
    (void)state;
    assert_int_equal(fixture_shard(&ctx, in_dir("good.bin"), 0, 64, 200), AT_OK);
    size_t n;
    unsigned char *d = slurp(in_dir("good.bin"), &n);
    refused(d, 0, AT_FORMAT, "at least 4096 bytes, found 0");
    refused(d, 4095, AT_FORMAT, "found 4095");
    refused(d, n - 1, AT_FORMAT, "truncated");
    refused(d, 4096, AT_FORMAT, "truncated");
    unsigned char *longer = malloc(n + 8);
    assert_non_null(longer);
    memcpy(longer, d, n);
    memset(longer + n, 0, 8);
    refused(longer, n + 8, AT_FORMAT, "bytes after the end");
    free(longer);
    d[16] ^= 1;
    refused(d, n, AT_FORMAT, "header was altered");
    d[16] ^= 1;
    d[0] = 'X';
    refused(d, n, AT_FORMAT, "not a token shard");
    d[0] = 'A';
    d[8] = 9;
    refused(d, n, AT_UNSUPPORTED, "found 9");
    d[8] = 1;
    forged(d, n, 12, 3, 4, "2 or 4 bytes, found 3");
    forged(d, n, 16, UINT64_MAX, 8, "truncated");
    forged(d, n, 16, UINT64_C(1) << 63, 8, "truncated");
    forged(d, n, 24, UINT64_MAX, 8, "truncated");
    forged(d, n, 24, 5, 8, "truncated");
    forged(d, n, 24, 3, 8, "bytes after the end");
    forged(d, n, 32, UINT64_MAX, 8, "out of range");
    forged(d, n, 48, UINT64_MAX, 8, "out of range");
    forged(d, n, 56, 8, 8, "offsets");
    forged(d, n, 64, 1 << 20, 8, "offsets");
    uint64_t far = 1000;
    memcpy(d + n - 16, &far, sizeof far);
    refused(d, n, AT_FORMAT, "not ascending");
    free(d);
}

static void test_altered_tokens(void **state) {
    (void)state;
    const char *path = in_dir("altered.bin");
    assert_int_equal(fixture_shard(&ctx, path, 0, 64, 200), AT_OK);
    size_t n;
    unsigned char *d = slurp(path, &n);
    at_shard_file f;
    d[4096 + 2 * 7] ^= 1; /* still below vocab: only the checksum can tell */
    assert_int_equal(at_write_file(&ctx, path, d, n), AT_OK);
    assert_int_equal(at_shard_open(&ctx, path, &f), AT_OK);
    assert_int_equal(at_shard_check(&ctx, path, &f), AT_FORMAT);
    expect_says(&ctx, "checksum");
    at_shard_close(&f);
    d[4096 + 2 * 7 + 1] = 0x40;
    assert_int_equal(at_write_file(&ctx, path, d, n), AT_OK);
    assert_int_equal(at_shard_open(&ctx, path, &f), AT_OK);
    assert_int_equal(at_shard_check(&ctx, path, &f), AT_FORMAT);
    expect_says(&ctx, "token 7 is 16");
    at_shard_close(&f);
    free(d);
}

/* ---- the folder ---- */

static void test_folder(void **state) {
    (void)state;
    const char *const names[] = {"en", "fr"};
    char path[512];
    (void)snprintf(path, sizeof path, "%s", in_dir("set"));
    assert_int_equal(fixture_data(&ctx, path, names, 2, 64, 1000), AT_OK);
    at_dataset *d;
    assert_int_equal(at_dataset_open(&ctx, path, &d), AT_OK);
    assert_int_equal(at_dataset_check(&ctx, d), AT_OK);
    assert_int_equal(d->n_domains, 2);
    assert_int_equal(d->vocab, 64);
    assert_int_equal(at_dataset_domain(d, "fr"), 1);
    assert_int_equal(at_dataset_domain(d, "de"), -1);
    assert_int_equal(d->domain[1].shard[AT_TRAIN].n_tokens, 1000);
    assert_int_equal(d->domain[1].shard[AT_TEST].n_docs, 2);
    int32_t t;
    at_shard_read(&d->domain[1].shard[AT_TRAIN], 123, 1, &t);
    assert_int_equal(t, fixture_token(1, 123, 64));
    at_dataset_close(d);
}

/* Replace `from` by `to` in the manifest of a fresh data set; opening must fail and say `why`. */
static void manifest_with(const char *from, const char *to, at_status status, const char *why) {
    const char *const names[] = {"en", "fr"};
    char path[512], manifest[600];
    (void)snprintf(path, sizeof path, "%s", in_dir("edited"));
    (void)snprintf(manifest, sizeof manifest, "%s/manifest.json", path);
    assert_int_equal(fixture_data(&ctx, path, names, 2, 64, 1000), AT_OK);
    size_t n;
    char *text = (char *)slurp(manifest, &n);
    char *at = strstr(text, from);
    assert_non_null(at);
    char *edited = malloc(n + strlen(to) + 1);
    assert_non_null(edited);
    (void)sprintf(edited, "%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
    assert_int_equal(at_write_file(&ctx, manifest, edited, strlen(edited)), AT_OK);
    free(edited);
    at_free(text);
    at_dataset *d;
    assert_int_equal(at_dataset_open(&ctx, path, &d), status);
    assert_null(d);
    expect_says(&ctx, why);
}

static void test_bad_folder(void **state) {
    (void)state;
    at_dataset *d;
    assert_int_equal(at_dataset_open(&ctx, in_dir("nowhere"), &d), AT_IO);
    expect_says(&ctx, "no such data set");
    assert_int_equal(at_dataset_open(&ctx, dir, &d), AT_FORMAT);
    expect_says(&ctx, "no manifest.json");
    manifest_with("artel-data", "other", AT_FORMAT, "found \"other\"");
    manifest_with("{", "", AT_FORMAT, "manifest.json");
    manifest_with("\"en\"", "\"fr\"", AT_FORMAT, "appears twice");
    manifest_with("\"en\"", "\"../en\"", AT_FORMAT, "domain name");
    manifest_with("\"en\"", "\"xx\"", AT_IO, "xx.train.bin");
    manifest_with("64", "65", AT_MISMATCH, "of 64 ids");
    manifest_with("1000", "999", AT_MISMATCH, "999 tokens");
    manifest_with("\"splits\"", "\"parts\"", AT_FORMAT, "splits");
    manifest_with("\"test\"", "\"tset\"", AT_FORMAT, "test");
    manifest_with("00112233", "0011", AT_FORMAT, "64 hex digits");
    manifest_with("00112233", "ff112233", AT_MISMATCH, "tokenizer");
}

static void test_out_of_memory(void **state) {
    (void)state;
    const char *const names[] = {"en"};
    char path[512];
    (void)snprintf(path, sizeof path, "%s", in_dir("oom"));
    assert_int_equal(fixture_data(&ctx, path, names, 1, 64, 500), AT_OK);
    at_status s = AT_OOM;
    int64_t n = 0;
    for (n = 1; n < 100 && s; n++) {
        at_dataset *d;
        ctx.fail_after = n;
        s = at_dataset_open(&ctx, path, &d);
        ctx.fail_after = 0;
        if (s) assert_int_equal(s, AT_OOM);
        at_dataset_close(d);
    }
    assert_true(n > 4 && n < 100);
    for (n = 1, s = AT_OOM; n < 100 && s; n++) {
        ctx.fail_after = n;
        s = fixture_shard(&ctx, in_dir("oom.bin"), 0, 64, 100);
        ctx.fail_after = 0;
        if (s) assert_false(at_exists(in_dir("oom.bin")));
    }
    assert_true(n > 2 && n < 100);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_narrow),         cmocka_unit_test(test_wide),
        cmocka_unit_test(test_writer_refuses), cmocka_unit_test(test_broken),
        cmocka_unit_test(test_altered_tokens), cmocka_unit_test(test_folder),
        cmocka_unit_test(test_bad_folder),     cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
