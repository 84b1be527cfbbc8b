/* manifest.c - what a data set says of itself: everything needed to judge it and to make it again. */
#include "base/sha256.h"
#include "data/build.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

static const char *const units[] = {"tokens", "bytes", "chars", "docs"};

const char *at_unit_name(at_unit u) { return units[u]; }

bool at_unit_parse(const char *name, at_unit *out) {
    for (size_t i = 0; i < sizeof units / sizeof *units; i++)
        if (strcmp(units[i], name) == 0) {
            *out = (at_unit)i;
            return true;
        }
    return false;
}

static void put(cJSON *o, const char *key, int64_t v) {
    cJSON_AddNumberToObject(o, key, (double)v);
}

/* Counts that are zero would be noise. */
static void put_some(cJSON *o, const char *key, int64_t v) {
    if (v) put(o, key, v);
}

static int64_t units_of(const at_shard *s, at_unit u) {
    switch (u) {
    case AT_UNIT_TOKENS: return s->n_tokens;
    case AT_UNIT_BYTES: return s->n_bytes;
    case AT_UNIT_CHARS: return s->n_chars;
    case AT_UNIT_DOCS: break;
    }
    return s->n_docs;
}

/* Percent that the largest domain is above the smallest. */
static double reached(const at_builder *k, int split) {
    double lo = HUGE_VAL, hi = 0;
    for (int i = 0; i < k->n_domains; i++) {
        const double v = (double)units_of(&k->written[i][split], k->b->balance.unit);
        lo = fmin(lo, v);
        hi = fmax(hi, v);
    }
    return lo > 0 ? floor((hi / lo - 1) * 1e6 + 0.5) / 1e4 : hi > 0 ? 1e9 : 0;
}

static void put_balance(at_ctx *c, const at_builder *k, cJSON *m) {
    const at_balance *b = &k->b->balance;
    cJSON *o = cJSON_AddObjectToObject(m, "balance");
    cJSON_AddBoolToObject(o, "asked", b->equal);
    cJSON_AddStringToObject(o, "unit", units[b->unit]);
    cJSON_AddNumberToObject(o, "max_diff_percent", b->max_diff);
    if (b->limit > 0) put(o, "limit", b->limit);
    cJSON *r = cJSON_AddObjectToObject(o, "reached_percent");
    for (int s = 0; s < AT_SPLITS; s++) {
        const double diff = reached(k, s);
        cJSON_AddNumberToObject(r, at_split_name[s], diff);
        if (b->equal && diff > b->max_diff)
            at_log(c, AT_LOG_WARN,
                   "%s: the largest domain is %.2f %% above the smallest, asked for %g %%",
                   at_split_name[s], diff, b->max_diff);
    }
}

static const char *licence_of(const at_build *b, const char *domain) {
    const char *found = NULL;
    for (int64_t i = 0; i < b->n_licences; i++)
        if (strcmp(b->licence[i].domain, domain) == 0) found = b->licence[i].spdx;
    return found;
}

static void put_sources(const at_builder *k, cJSON *o, const char *domain) {
    cJSON *list = cJSON_AddArrayToObject(o, "sources");
    for (int64_t i = 0; i < k->b->n_sources; i++) {
        const at_source *s = &k->source[i];
        if (strcmp(s->domain, domain) != 0) continue;
        cJSON *e = cJSON_CreateObject();
        cJSON_AddStringToObject(e, "path", s->path);
        cJSON_AddStringToObject(e, "kind", at_source_kind_name(s->kind));
        put(e, "files", s->files.n);
        put(e, "bytes", s->bytes);
        cJSON_AddStringToObject(e, "sha256", s->sha256);
        at_json_append(list, e);
    }
}

static void put_left(const at_stage *s, cJSON *o) {
    cJSON *r = cJSON_AddObjectToObject(o, "read");
    put(r, "files", s->left.files);
    put(r, "documents", s->left.documents);
    put(r, "documents_kept", s->n);
    cJSON *f = cJSON_AddObjectToObject(o, "files_left_out");
    put_some(f, "other_kind", s->left.other_kind);
    put_some(f, "not_utf8", s->left.not_utf8);
    put_some(f, "empty", s->left.empty);
    put_some(f, "too_large", s->left.too_large);
    put_some(f, "too_small", s->left.too_small);
    put_some(f, "long_lines", s->left.long_lines);
    cJSON *d = cJSON_AddObjectToObject(o, "paragraphs_dropped");
    put(d, "duplicates", s->dropped.duplicates);
    put(d, "duplicate_bytes", s->dropped.duplicate_bytes);
    put_some(d, "too_short", s->dropped.too_short);
    put_some(d, "few_letters", s->dropped.few_letters);
    put_some(d, "no_sentence", s->dropped.no_sentence);
}

static at_status put_domain(at_ctx *c, const at_builder *k, int i, cJSON *list) {
    const at_stage *s = &k->stage[i];
    cJSON *o = cJSON_CreateObject();
    if (!at_json_append(list, o)) return at_error(c, AT_OOM, "the manifest");
    cJSON_AddStringToObject(o, "name", s->name);
    const char *licence = licence_of(k->b, s->name);
    if (licence)
        cJSON_AddStringToObject(o, "licence", licence);
    else
        cJSON_AddNullToObject(o, "licence");
    cJSON_AddStringToObject(o, "split_by", s->cut ? "stretch" : "file");
    cJSON *splits = cJSON_AddObjectToObject(o, "splits");
    for (int j = 0; j < AT_SPLITS; j++) {
        const at_shard *w = &k->written[i][j];
        char leaf[128], digest[AT_SHA256_TEXT];
        (void)snprintf(leaf, sizeof leaf, "%s.%s.bin", s->name, at_split_name[j]);
        char *path = at_join(c, k->dir, leaf);
        const at_status status = path ? at_sha256_file(c, path, digest) : c->status;
        at_free(path);
        if (status) return status;
        cJSON *e = cJSON_AddObjectToObject(splits, at_split_name[j]);
        cJSON_AddStringToObject(e, "file", leaf);
        put(e, "documents", w->n_docs);
        put(e, "bytes", w->n_bytes);
        put(e, "characters", w->n_chars);
        put(e, "tokens", w->n_tokens);
        cJSON_AddStringToObject(e, "sha256", digest);
    }
    put_sources(k, o, s->name);
    put_left(s, o);
    return AT_OK;
}

at_status at_build_manifest(at_ctx *c, const at_builder *k, cJSON **manifest) {
    const at_build *b = k->b;
    cJSON *m = cJSON_CreateObject();
    cJSON_AddStringToObject(m, "format", "artel-data");
    put(m, "version", 1);
    put(m, "seed", (int64_t)b->seed);
    cJSON *t = cJSON_AddObjectToObject(m, "tokenizer");
    cJSON_AddStringToObject(t, "file", "tokenizer.json");
    cJSON_AddStringToObject(t, "sha256", at_tokenizer_hash(k->tokenizer));
    put(t, "vocab", at_tokenizer_size(k->tokenizer));
    cJSON_AddBoolToObject(t, "trained_here", b->tokenizer == NULL);
    cJSON_AddNumberToObject(t, "end_of_text", k->eot);
    cJSON *share = cJSON_AddObjectToObject(m, "split");
    for (int s = 0; s < AT_SPLITS; s++)
        cJSON_AddNumberToObject(share, at_split_name[s], b->balance.share[s]);
    put_balance(c, k, m);
    cJSON *filter = cJSON_AddObjectToObject(m, "filter");
    put(filter, "min_chars", b->filter.min_chars);
    cJSON_AddNumberToObject(filter, "min_letters", b->filter.min_letters);
    cJSON *list = cJSON_AddArrayToObject(m, "domains");
    at_status s = list ? AT_OK : at_error(c, AT_OOM, "the manifest");
    for (int i = 0; !s && i < k->n_domains; i++) s = put_domain(c, k, i, list);
    char *path = s ? NULL : at_join(c, k->dir, "manifest.json");
    if (!s) s = path ? at_json_write(c, path, m) : c->status;
    at_free(path);
    if (s) cJSON_Delete(m);
    *manifest = s ? NULL : m;
    return s;
}
