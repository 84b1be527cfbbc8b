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
#include "data/shard.h"
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
    cJSON *m = cJSON_CreateObject();
    cJSON_AddStringToObject(m, "format", "artel-data");
    cJSON_AddNumberToObject(m, "version", 1);
    cJSON *t = cJSON_AddObjectToObject(m, "tokenizer");
    cJSON_AddStringToObject(t, "sha256", FIXTURE_HASH);
    cJSON_AddNumberToObject(t, "vocab", (double)vocab);
    cJSON *domains = cJSON_AddArrayToObject(m, "domains");
    for (int d = 0; !s && d < n; d++) {
        cJSON *o = cJSON_CreateObject();
        cJSON_AddItemToArray(domains, o);
        cJSON_AddStringToObject(o, "name", names[d]);
        cJSON *splits = cJSON_AddObjectToObject(o, "splits");
        for (int k = 0; !s && k < AT_SPLITS; k++) {
            const int64_t count = k == AT_TRAIN ? tokens : tokens / 10;
            cJSON *e = cJSON_AddObjectToObject(splits, at_split_name[k]);
            cJSON_AddNumberToObject(e, "tokens", (double)count);
            cJSON_AddNumberToObject(e, "documents", (double)((count + 49) / 50));
            char path[512];
            (void)snprintf(path, sizeof path, "%s/%s.%s.bin", dir, names[d], at_split_name[k]);
            s = fixture_shard(c, path, d, vocab, count);
        }
    }
    char path[512];
    (void)snprintf(path, sizeof path, "%s/manifest.json", dir);
    if (!s) s = at_json_write(c, path, m);
    cJSON_Delete(m);
    return s;
}

#endif
