/*
 * data_fixture.h - a small data set on disk for tests: tokens by a rule, no tokenizer needed.
 *
 *     fixture_data(c, dir, (const char *[]){"a", "b"}, 2, 64, 1000);
 *
 * makes dir with two domains of vocabulary 64: training 1000 tokens, validation and test a tenth
 * each, in documents of 50 tokens.  Token i of domain d is (i*(d+3) + i/7) % vocab, plain enough
 * for a small model to learn.
 */
#ifndef DATA_FIXTURE_H
#define DATA_FIXTURE_H
#include "base/file.h"
#include "base/json.h"
#include "data/dataset.h"
#include <stdio.h>

#define FIXTURE_HASH "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

static inline int32_t fixture_token(int domain, int64_t i, int64_t vocab) {
    return (int32_t)((i * (domain + 3) + i / 7) % vocab);
}

static inline at_status fixture_shard(at_ctx *c, const char *path, int domain, int64_t vocab,
                                      int64_t tokens) {
    at_shard_writer *w;
    at_status s = at_shard_writer_open(c, path, vocab, FIXTURE_HASH, &w);
    if (s) return s;
    int32_t doc[50];
    for (int64_t i = 0; !s && i < tokens; i += 50) {
        const int64_t n = tokens - i < 50 ? tokens - i : 50;
        for (int64_t j = 0; j < n; j++) doc[j] = fixture_token(domain, i + j, vocab);
        s = at_shard_writer_add(c, w, doc, n, 4 * n, 3 * n);
    }
    if (!s) return at_shard_writer_commit(c, w, NULL);
    at_shard_writer_close(w);
    return s;
}

static inline at_status fixture_data(at_ctx *c, const char *dir, const char *const *names, int n,
                                     int64_t vocab, int64_t tokens) {
    at_status s = at_make_dir(c, dir);
    at_json j;
    at_json_open_file(&j, c);
    at_json_put_string(&j, "format", "artel-data");
    at_json_put_number(&j, "version", 1);
    at_json_begin_object(&j, "tokenizer");
    at_json_put_string(&j, "sha256", FIXTURE_HASH);
    at_json_put_number(&j, "vocab", (double)vocab);
    at_json_end(&j);
    at_json_begin_list(&j, "domains");
    for (int d = 0; !s && d < n; d++) {
        at_json_begin_object(&j, NULL);
        at_json_put_string(&j, "name", names[d]);
        at_json_begin_object(&j, "splits");
        for (int k = 0; !s && k < AT_SPLITS; k++) {
            const int64_t count = k == AT_TRAIN ? tokens : tokens / 10;
            at_json_begin_object(&j, at_split_name[k]);
            at_json_put_number(&j, "tokens", (double)count);
            at_json_put_number(&j, "documents", (double)((count + 49) / 50));
            at_json_end(&j);
            char path[512];
            (void)snprintf(path, sizeof path, "%s/%s.%s.bin", dir, names[d], at_split_name[k]);
            s = fixture_shard(c, path, d, vocab, count);
        }
        at_json_end_to(&j, 2);
    }
    at_json_end_to(&j, 1);
    char path[512];
    (void)snprintf(path, sizeof path, "%s/manifest.json", dir);
    if (!s) return at_json_save(&j, path);
    at_json_close(&j);
    return s;
}

#endif
