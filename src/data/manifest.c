/* manifest.c - manifest.json: everything needed to judge a data set and to build it again. */
#include "base/sha256.h"
#include "data/settle.h"
#include "data/shingle.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

static void put(at_json *j, const char *key, int64_t v) { at_json_put_number(j, key, (double)v); }

/* Adds a count unless it is zero. */
static void put_some(at_json *j, const char *key, int64_t v) {
    if (v) put(j, key, v);
}

static at_sizes sizes_of(const at_builder *k, int domain, int split) {
    const at_shard *w = &k->written[domain][split];
    return (at_sizes){w->n_tokens, w->n_bytes, w->n_chars, w->n_docs, k->words[domain][split]};
}

/* Percent that the largest domain is above the smallest, sizes divided by their shares. */
static double reached(const at_builder *k, int split, at_unit unit) {
    double lo = HUGE_VAL, hi = 0;
    for (int i = 0; i < k->n_domains; i++) {
        const at_sizes z = sizes_of(k, i, split);
        const double v = (double)at_sizes_units(&z, unit) / at_balance_weight(&k->balance, i);
        lo = fmin(lo, v);
        hi = fmax(hi, v);
    }
    return lo > 0 ? floor((hi / lo - 1) * 1e6 + 0.5) / 1e4 : hi > 0 ? 1e9 : 0;
}

/* The same in every unit: what is even in tokens need not be in bytes. */
static void put_reached(const at_builder *k, at_json *j) {
    at_json_begin_object(j, "reached_percent");
    for (int s = 0; s < AT_SPLITS; s++)
        at_json_put_number(j, at_split_name[s], reached(k, s, k->balance.unit));
    at_json_end(j);
    at_json_begin_object(j, "reached_percent_by_unit");
    for (int u = 0; u < AT_UNITS; u++) {
        at_json_begin_object(j, at_unit_name((at_unit)u));
        for (int s = 0; s < AT_SPLITS; s++)
            at_json_put_number(j, at_split_name[s], reached(k, s, (at_unit)u));
        at_json_end(j);
    }
    at_json_end(j);
}

static void put_balance(const at_builder *k, at_json *j) {
    const at_balance *b = &k->balance;
    at_json_begin_object(j, "balance");
    at_json_put_bool(j, "asked", b->equal);
    at_json_put_string(j, "unit", at_unit_name(b->unit));
    at_json_put_number(j, "max_diff_percent", b->max_diff);
    if (b->limit > 0) put(j, "limit", b->limit);
    if (b->weight) {
        at_json_begin_object(j, "shares");
        for (int i = 0; i < k->n_domains; i++)
            at_json_put_number(j, k->stage[i].name, b->weight[i]);
        at_json_end(j);
    }
    if (b->aligned) {
        at_json_begin_list(j, "aligned");
        for (int i = 0; i < k->n_domains; i++)
            if (b->aligned[i]) at_json_put_string(j, NULL, k->stage[i].name);
        at_json_end(j);
    }
    put_reached(k, j);
    at_json_end(j);
}

/* What was said of the domain; else the licences its sources have in their folders, "A AND B"; ""
   where that is not known of each source. */
static void licence_of(const at_builder *k, const char *domain, char *out, size_t room) {
    out[0] = 0;
    for (int64_t i = 0; i < k->b->n_licences; i++)
        if (strcmp(k->b->licence[i].domain, domain) == 0)
            (void)snprintf(out, room, "%s", k->b->licence[i].spdx);
    for (int64_t i = 0; !out[0] && i < k->n_sources; i++) {
        if (strcmp(k->source[i].domain, domain) != 0) continue;
        size_t n = 0;
        for (int64_t j = i; j < k->n_sources; j++) {
            const char *one = k->source[j].licence.spdx;
            if (strcmp(k->source[j].domain, domain) != 0) continue;
            bool again = false;
            for (int64_t m = i; m < j; m++)
                again = again || (strcmp(k->source[m].domain, domain) == 0 &&
                                  strcmp(k->source[m].licence.spdx, one) == 0);
            if (again) continue;
            if (!one[0] || n + strlen(one) + 6 > room) {
                out[0] = 0;
                return;
            }
            n += (size_t)snprintf(out + n, room - n, "%s%s", n ? " AND " : "", one);
        }
    }
}

static void put_sources(const at_builder *k, at_json *j, const char *domain) {
    at_json_begin_list(j, "sources");
    for (int64_t i = 0; i < k->n_sources; i++) {
        const at_source *s = &k->source[i];
        if (strcmp(s->domain, domain) != 0) continue;
        at_json_begin_object(j, NULL);
        at_json_put_string(j, "path", s->path);
        at_json_put_string(j, "kind", at_source_kind_name(s->kind));
        put(j, "files", s->files.n);
        put(j, "bytes", s->bytes);
        at_json_put_string(j, "sha256", s->sha256);
        if (s->licence.file) {
            at_json_begin_object(j, "licence");
            at_json_put_string(j, "file", s->licence.file);
            if (s->licence.spdx[0]) at_json_put_string(j, "spdx", s->licence.spdx);
            at_json_put_string(j, "sha256", s->licence.sha256);
            at_json_end(j);
        }
        at_json_end(j);
    }
    at_json_end(j);
}

static void put_left(const at_stage *s, at_json *j) {
    at_json_begin_object(j, "read");
    put(j, "files", s->left.files);
    put(j, "documents", s->left.documents);
    put(j, "documents_kept", s->n);
    put_some(j, "documents_unaligned", s->dropped.unaligned);
    at_json_end(j);
    at_json_begin_object(j, "files_left_out");
    put_some(j, "other_kind", s->left.other_kind);
    put_some(j, "not_utf8", s->left.not_utf8);
    put_some(j, "empty", s->left.empty);
    put_some(j, "too_large", s->left.too_large);
    put_some(j, "too_small", s->left.too_small);
    put_some(j, "long_lines", s->left.long_lines);
    at_json_end(j);
    at_json_begin_object(j, "paragraphs_dropped");
    put(j, "duplicates", s->dropped.duplicates);
    put(j, "duplicate_bytes", s->dropped.duplicate_bytes);
    put_some(j, "too_short", s->dropped.too_short);
    put_some(j, "few_letters", s->dropped.few_letters);
    put_some(j, "no_sentence", s->dropped.no_sentence);
    put_some(j, "other_language", s->dropped.other_language);
    put_some(j, "other_language_bytes", s->dropped.other_language_bytes);
    put_some(j, "near_duplicates", s->dropped.near_duplicates);
    put_some(j, "near_duplicate_bytes", s->dropped.near_duplicate_bytes);
    at_json_end(j);
}

static void put_near(const at_near *n, at_json *j) {
    at_json_begin_object(j, "near_duplicates");
    at_json_put_number(j, "threshold", n->threshold);
    put(j, "shingle_bytes", AT_SHINGLE);
    put(j, "rows", n->rows);
    put(j, "bands", n->bands);
    put(j, "paragraphs", n->paragraphs);
    put(j, "compared", n->compared);
    at_json_begin_object(j, "dropped");
    for (int s = 0; s < AT_SPLITS; s++) put(j, at_split_name[s], n->dropped[s]);
    at_json_end(j);
    at_json_end(j);
}

static at_status put_domain(at_ctx *c, const at_builder *k, int i, at_json *j) {
    const at_stage *s = &k->stage[i];
    const bool ood = i >= k->n_domains;
    at_json_begin_object(j, NULL);
    at_json_put_string(j, "name", s->name);
    char licence[400];
    licence_of(k, s->name, licence, sizeof licence);
    if (licence[0])
        at_json_put_string(j, "licence", licence);
    else
        at_json_put_null(j, "licence");
    if (!ood) at_json_put_string(j, "split_by", s->cut ? "stretch" : "file");
    if (s->pairs) at_json_put_bool(j, "pairs", true);
    if (s->tag) at_json_put_string(j, "tag", s->tag);
    at_json_begin_object(j, "splits");
    for (int p = ood ? AT_TEST : 0; p < AT_SPLITS; p++) {
        const at_shard *w = &k->written[i][p];
        char leaf[128], digest[AT_SHA256_TEXT];
        at_build_shard_name(k, i, (at_split)p, leaf, sizeof leaf);
        char *path = at_join(c, k->dir, leaf);
        const at_status status = path ? at_sha256_file(c, path, digest) : c->status;
        at_free(path);
        if (status) return status;
        at_json_begin_object(j, at_split_name[p]);
        at_json_put_string(j, "file", leaf);
        put(j, "documents", w->n_docs);
        put(j, "bytes", w->n_bytes);
        put(j, "characters", w->n_chars);
        put(j, "words", k->words[i][p]);
        put(j, "tokens", w->n_tokens);
        at_json_put_string(j, "sha256", digest);
        at_json_end(j);
    }
    at_json_end(j);
    at_json_begin_object(j, "overlap_with_training");
    for (int p = ood ? AT_TEST : AT_VALIDATION; p < AT_SPLITS; p++)
        at_json_put_number(j, at_split_name[p], floor(k->overlap[i][p] * 1e6 + 0.5) / 1e6);
    at_json_end(j);
    put_sources(k, j, s->name);
    put_left(s, j);
    at_json_end(j);
    return AT_OK;
}

at_status at_build_manifest(at_ctx *c, const at_builder *k, cJSON **manifest) {
    const at_build *b = k->b;
    at_json j;
    at_json_open_file(&j, c);
    at_json_put_string(&j, "format", "artel-data");
    put(&j, "version", 1);
    put(&j, "seed", (int64_t)b->seed);
    at_json_begin_object(&j, "tokenizer");
    at_json_put_string(&j, "file", "tokenizer.json");
    at_json_put_string(&j, "sha256", at_tokenizer_hash(k->tokenizer));
    put(&j, "vocab", at_tokenizer_size(k->tokenizer));
    at_json_put_bool(&j, "trained_here", b->tokenizer == NULL);
    at_json_put_number(&j, "end_of_text", k->eot);
    at_json_end(&j);
    at_json_begin_object(&j, "split");
    for (int s = 0; s < AT_SPLITS; s++)
        at_json_put_number(&j, at_split_name[s], b->balance.share[s]);
    at_json_end(&j);
    put_balance(k, &j);
    at_json_begin_object(&j, "filter");
    put(&j, "min_chars", b->filter.min_chars);
    at_json_put_number(&j, "min_letters", b->filter.min_letters);
    at_json_put_bool(&j, "language", b->language_filter);
    at_json_end(&j);
    if (b->near_dup > 0) put_near(&k->near, &j);
    at_json_begin_list(&j, "domains");
    at_status s = AT_OK;
    for (int i = 0; !s && i < k->n_domains; i++) s = put_domain(c, k, i, &j);
    if (!s) at_json_end(&j);
    if (!s && k->n_all > k->n_domains) {
        at_json_begin_list(&j, "ood");
        for (int i = k->n_domains; !s && i < k->n_all; i++) s = put_domain(c, k, i, &j);
        if (!s) at_json_end(&j);
    }
    char *path = s ? NULL : at_join(c, k->dir, "manifest.json");
    if (!s) s = path ? at_json_save(&j, path) : c->status;
    at_json_close(&j);
    if (!s && !(*manifest = at_json_read(c, path))) s = c->status;
    at_free(path);
    return s;
}
