/* build.c - the steps of a build, and the folder it makes. */
#include "data/build.h"
#include "base/file.h"
#include "base/rng.h"
#include "data/align.h"
#include "data/language.h"
#include "data/overlap.h"
#include "data/pairs.h"
#include "data/progress.h"
#include "data/settle.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { DOMAINS_MAX = 64 };

at_build at_build_defaults(void) {
    return (at_build){.sample = 16 << 20,
                      .balance = {.unit = AT_UNIT_TOKENS,
                                  .equal = true,
                                  .max_diff = 5,
                                  .share = {0.9, 0.05, 0.05}},
                      .filter = {.min_chars = 40, .min_letters = 0.7},
                      .reading = {.max_file = 8 << 20, .max_line = 1000, .min_source = 200},
                      .seed = 1};
}

static at_status options_check(at_ctx *c, const at_build *b) {
    if (b->n_sources < 1) return at_error(c, AT_ARG, "no domain: expected at least one NAME=PATH");
    for (int64_t i = 0; i < b->n_sources + b->n_ood; i++) {
        const char *name = at_build_source_at(b, i)->domain;
        if (!at_name_ok(name))
            return at_error(c, AT_ARG,
                            "a domain name is made of letters, digits and ._-+, found \"%.80s\"",
                            name);
    }
    for (int64_t i = 0; i < b->n_licences; i++) {
        bool known = false;
        for (int64_t j = 0; j < b->n_sources + b->n_ood; j++)
            known = known || strcmp(at_build_source_at(b, j)->domain, b->licence[i].domain) == 0;
        if (!known)
            return at_error(c, AT_ARG,
                            "a licence is named for domain \"%.80s\", which has no source",
                            b->licence[i].domain);
    }
    if (!b->out || !*b->out) return at_error(c, AT_ARG, "no output folder");
    if (!b->tokenizer == !b->vocab)
        return at_error(c, AT_ARG, "expected either a tokenizer or the size of one to train");
    double sum = 0;
    bool sane = b->balance.share[AT_TRAIN] > 0;
    for (int k = 0; k < AT_SPLITS; k++) {
        sane = sane && b->balance.share[k] >= 0;
        sum += b->balance.share[k];
    }
    if (!sane || fabs(sum - 1) > 1e-6)
        return at_error(c, AT_ARG,
                        "split: expected three shares of train, validation and test that sum to 1, "
                        "train above 0; found %g, %g, %g",
                        b->balance.share[0], b->balance.share[1], b->balance.share[2]);
    if (!(b->balance.max_diff >= 0 && b->balance.max_diff <= 1000))
        return at_error(c, AT_ARG, "max-diff: expected a percentage from 0 to 1000, found %g",
                        b->balance.max_diff);
    if (b->seed > UINT64_C(1) << 53)
        return at_error(c, AT_ARG, "seed: expected a number up to 2^53");
    return AT_OK;
}

/* ---- the folder ---- */

/* The names of a data set's files, by its manifest; none when it is no data set. */
static at_status files_of(at_ctx *c, const char *out, at_list *files) {
    at_error_clear(c);
    char *path = at_join(c, out, "manifest.json");
    cJSON *m = path && at_exists(path) ? at_json_read(c, path) : NULL;
    const cJSON *format = cJSON_GetObjectItemCaseSensitive(m, "format"), *d, *k;
    const bool ours = cJSON_IsString(format) && strcmp(format->valuestring, "artel-data") == 0;
    at_status s = path && c->status != AT_OOM ? AT_OK : c->status;
    if (ours) s = at_list_add(c, files, "manifest.json");
    if (ours && !s) s = at_list_add(c, files, "tokenizer.json");
    static const char *const lists[] = {"domains", "ood"};
    for (int i = 0; ours && i < 2; i++)
        cJSON_ArrayForEach(d, cJSON_GetObjectItemCaseSensitive(m, lists[i])) {
            cJSON_ArrayForEach(k, cJSON_GetObjectItemCaseSensitive(d, "splits")) {
                const char *name =
                    cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(k, "file"));
                if (!s && name) s = at_list_add(c, files, name);
            }
        }
    cJSON_Delete(m);
    at_free(path);
    if (!s) at_error_clear(c); /* a damaged manifest counts as none */
    return s;
}

/* A folder may be replaced when it is empty or holds a data set and nothing else. */
static at_status replaceable(at_ctx *c, const char *out) {
    at_list files = {0};
    at_status s = at_is_dir(out) ? files_of(c, out, &files) : AT_OK;
    if (!s) s = at_check_replaceable(c, out, "data set", (const char *const *)files.item, files.n);
    at_list_free(&files);
    return s;
}

static at_status folder_open(at_ctx *c, at_builder *k) {
    if (!(k->out = at_path_trim(c, k->b->out))) return c->status;
    at_status s = at_check_out_dir(c, k->out);
    if (!s) s = replaceable(c, k->out);
    if (!s) s = at_partial_dir(c, k->out, &k->dir);
    if (s) return s;
    if (!(k->stage_dir = at_join(c, k->dir, "stage"))) return c->status;
    return at_make_dir(c, k->stage_dir);
}

/* Replaces the old folder, if nobody has put other files into it meanwhile. */
static at_status folder_commit(at_ctx *c, at_builder *k) {
    at_status s = at_remove_tree(c, k->stage_dir);
    if (!s) s = replaceable(c, k->out);
    return s ? s : at_replace_dir(c, k->dir, k->out);
}

/* ---- reading ---- */

typedef struct staging {
    at_builder *k;
    at_stage *stage;
} staging;

static at_status stage_document(at_ctx *c, void *user, const at_document *d) {
    staging *s = user;
    return at_stage_add(c, s->stage, d, &s->k->b->filter, &s->k->seen);
}

/* Out-of-domain sets come after the domains. */
static int domain_of(const at_builder *k, const char *name) {
    for (int i = 0; i < k->n_all; i++)
        if (strcmp(k->stage[i].name, name) == 0) return i;
    return -1;
}

/* The shares in the order of the domains. */
static at_status weights_fill(at_ctx *c, at_builder *k) {
    const at_build *b = k->b;
    if (!b->n_shares) return AT_OK;
    if (!b->balance.equal)
        return at_error(c, AT_ARG, "share: sizes are kept only where domains are balanced");
    if (!(k->weight = at_calloc(c, (size_t)k->n_domains, sizeof *k->weight))) return c->status;
    for (int64_t i = 0; i < b->n_shares; i++) {
        const at_build_share *s = &b->share[i];
        const int d = domain_of(k, s->domain);
        if (d < 0 || d >= k->n_domains)
            return at_error(c, AT_ARG, "share: no domain \"%.80s\" has a source", s->domain);
        if (!(s->weight > 0 && s->weight <= 1e12))
            return at_error(c, AT_ARG, "share: domain \"%s\": expected a number above 0, found %g",
                            s->domain, s->weight);
        if (k->weight[d] > 0)
            return at_error(c, AT_ARG, "share: domain \"%s\" is named twice", s->domain);
        k->weight[d] = s->weight;
    }
    for (int i = 0; i < k->n_domains; i++)
        if (!(k->weight[i] > 0))
            return at_error(c, AT_ARG,
                            "share: domain \"%s\" has none; expected one for each domain",
                            k->stage[i].name);
    k->balance.weight = k->weight;
    return AT_OK;
}

/* Which domains are aligned. */
static at_status aligned_fill(at_ctx *c, at_builder *k) {
    const char *list = k->b->aligned;
    if (!list) return AT_OK;
    if (!(k->aligned = at_calloc(c, (size_t)k->n_domains, sizeof *k->aligned))) return c->status;
    const bool all = strcmp(list, "all") == 0;
    for (int i = 0; i < k->n_domains; i++) k->aligned[i] = all;
    for (const char *p = list; !all && *p; p += *p == ',') {
        char name[80];
        const int n = (int)strcspn(p, ",");
        (void)snprintf(name, sizeof name, "%.*s", n, p);
        const int d = domain_of(k, name);
        if (d < 0 || d >= k->n_domains)
            return at_error(c, AT_ARG, "aligned: no domain \"%s\" has a source", name);
        k->aligned[d] = true;
        p += n;
    }
    int count = 0;
    for (int i = 0; i < k->n_domains; i++) count += k->aligned[i];
    if (count < 2)
        return at_error(c, AT_ARG, "aligned: expected at least two domains, found \"%.200s\"",
                        list);
    k->balance.aligned = k->aligned;
    return AT_OK;
}

/* Which domains are pairs.  One model is to tell several directions apart: each text says its own. */
static at_status pairs_fill(at_ctx *c, at_builder *k) {
    int n = 0;
    for (int d = 0; d < k->n_all; d++) {
        int64_t pairs = 0, sources = 0;
        for (int64_t i = 0; i < k->n_sources; i++) {
            if (domain_of(k, k->source[i].domain) != d) continue;
            pairs += k->source[i].kind == AT_KIND_PAIRS;
            sources++;
        }
        if (pairs && pairs < sources)
            return at_error(c, AT_ARG,
                            "domain \"%s\": %lld of its %lld sources are pairs: all, or none",
                            k->stage[d].name, (long long)pairs, (long long)sources);
        k->stage[d].pairs = pairs > 0;
        n += pairs > 0;
    }
    for (int d = 0; d < k->n_all && n > 1; d++)
        if (k->stage[d].pairs && !(k->stage[d].tag = at_pair_tag(c, k->stage[d].name)))
            return c->status;
    return AT_OK;
}

static at_status sources_open(at_ctx *c, at_builder *k) {
    const at_build *b = k->b;
    k->n_sources = b->n_sources + b->n_ood;
    k->source = at_calloc(c, (size_t)k->n_sources, sizeof *k->source);
    k->stage = at_calloc(c, DOMAINS_MAX, sizeof *k->stage);
    k->written = at_calloc(c, DOMAINS_MAX, sizeof *k->written);
    k->words = at_calloc(c, DOMAINS_MAX, sizeof *k->words);
    k->overlap = at_calloc(c, DOMAINS_MAX, sizeof *k->overlap);
    if (!k->source || !k->stage || !k->written || !k->words || !k->overlap) return c->status;
    for (int64_t i = 0; i < k->n_sources; i++) {
        const at_build_source *s = at_build_source_at(b, i);
        at_status status = at_source_open(c, s->path, s->domain, s->kind, &k->source[i]);
        if (status) return status;
        const int d = domain_of(k, s->domain);
        if (i >= b->n_sources && d >= 0 && d < k->n_domains)
            return at_error(c, AT_ARG, "ood: \"%s\" is the name of a domain", s->domain);
        if (d >= 0) continue;
        if (k->n_all == DOMAINS_MAX)
            return at_error(c, AT_ARG, "expected at most %d domains", DOMAINS_MAX);
        status = at_stage_open(c, &k->stage[k->n_all], k->stage_dir, s->domain);
        if (status) return status;
        k->n_all++;
        k->n_domains += i < b->n_sources;
    }
    at_status s = pairs_fill(c, k);
    if (!s) s = weights_fill(c, k);
    return s ? s : aligned_fill(c, k);
}

/* For progress inside a file: bytes read before it. */
typedef struct reading {
    at_progress progress;
    double done;
} reading;

static void tick(at_ctx *c, void *user, int64_t bytes) {
    reading *r = user;
    at_progress_tick(c, &r->progress, r->done + (double)bytes);
}

static at_status read_source(at_ctx *c, at_builder *k, at_source *s, reading *r) {
    staging to = {k, &k->stage[domain_of(k, s->domain)]};
    at_read_options how = k->b->reading;
    how.tick = tick;
    how.tick_user = r;
    at_status status = at_source_digest(c, s, s->sha256);
    for (int64_t i = 0; !status && i < s->files.n; i++) {
        status = at_source_file(c, s, i, &how, stage_document, &to, &to.stage->left);
        if (!status && at_interrupted(c))
            status = at_error(c, AT_INTERRUPTED, "data build: interrupted");
        r->done += (double)at_source_size(s, i);
        tick(c, r, 0);
    }
    return status;
}

/* A domain may have been read in vain, and filters may leave nothing of it. */
static at_status text_left(at_ctx *c, const at_builder *k) {
    for (int i = 0; i < k->n_all; i++) {
        const at_stage *s = &k->stage[i];
        if (s->n == 0)
            return at_error(
                c, AT_FORMAT,
                "domain \"%s\": no text left: %lld files read, %lld not UTF-8, %lld empty, "
                "%lld of another kind; %lld paragraphs too short, %lld duplicates, %lld in the "
                "language of another domain",
                s->name, (long long)s->left.files, (long long)s->left.not_utf8,
                (long long)s->left.empty, (long long)s->left.other_kind,
                (long long)s->dropped.too_short, (long long)s->dropped.duplicates,
                (long long)s->dropped.other_language);
    }
    return AT_OK;
}

/* Every split had a document of every domain before near copies were dropped. */
static at_status splits_left(at_ctx *c, const at_builder *k) {
    for (int i = 0; i < k->n_domains; i++)
        for (int split = 0; split < AT_SPLITS; split++) {
            const at_stage *s = &k->stage[i];
            bool any = k->balance.share[split] <= 0;
            for (int64_t j = 0; j < s->n && !any; j++) any = s->doc[j].split == (at_split)split;
            if (!any)
                return at_error(c, AT_FORMAT,
                                "domain \"%s\": nothing of the %s split is left: %lld of its "
                                "paragraphs are nearly copies of others (near-dup %g)",
                                s->name, at_split_name[split],
                                (long long)s->dropped.near_duplicates, k->near.threshold);
        }
    return AT_OK;
}

static at_status read_all(at_ctx *c, at_builder *k) {
    reading r = {.done = 0};
    double total = 0;
    for (int64_t i = 0; i < k->n_sources; i++) total += (double)k->source[i].bytes;
    at_progress_begin(&r.progress, "reading", total);
    for (int64_t i = 0; i < k->n_sources; i++) {
        const at_status s = read_source(c, k, &k->source[i], &r);
        if (s) return s;
    }
    return text_left(c, k);
}

/* All of an out-of-domain set is tested on. */
static void hold_out(at_builder *k) {
    for (int i = k->n_domains; i < k->n_all; i++)
        for (int64_t j = 0; j < k->stage[i].n; j++) {
            at_staged *d = &k->stage[i].doc[j];
            d->split = AT_TEST;
            d->order = at_rand64(k->b->seed, AT_STREAM_SHUFFLE, d->key);
            d->take = INT64_MAX;
        }
}

/* What is dropped because of other paragraphs, and what goes into which split. */
static at_status refine(at_ctx *c, at_builder *k) {
    const at_build *b = k->b;
    at_status s = AT_OK;
    if (b->language_filter) s = at_language_filter(c, k->stage, k->n_domains);
    if (!s) s = text_left(c, k);
    if (!s && k->aligned) s = at_align(c, k->stage, k->n_domains, k->aligned);
    if (!s) s = at_balance_split(c, k->stage, k->n_domains, &k->balance, b->seed);
    hold_out(k);
    if (!s && b->near_dup > 0) s = at_near_drop(c, k->stage, k->n_all, k->stage_dir, &k->near);
    if (!s && b->near_dup > 0 && k->aligned) /* what one domain lost, the others lose */
        s = at_align(c, k->stage, k->n_domains, k->aligned);
    if (!s) s = splits_left(c, k);
    return s ? s : text_left(c, k);
}

static void builder_close(at_ctx *c, at_builder *k) {
    for (int64_t i = 0; k->source && i < k->n_sources; i++) at_source_close(&k->source[i]);
    for (int i = 0; k->stage && i < DOMAINS_MAX; i++) at_stage_close(&k->stage[i]);
    at_free(k->source);
    at_free(k->stage);
    at_free(k->written);
    at_free(k->words);
    at_free(k->weight);
    at_free(k->aligned);
    at_free(k->overlap);
    at_dedup_free(&k->seen);
    at_tokenizer_close(k->tokenizer);
    at_partial_drop(c, k->dir);
    at_free(k->stage_dir);
    at_free(k->out);
}

at_status at_build_run(at_ctx *c, const at_build *b, cJSON **manifest) {
    *manifest = NULL;
    at_status s = options_check(c, b);
    if (s) return s;
    at_builder k = {.b = b, .balance = b->balance};
    k.balance.seed = b->seed;
    if (b->near_dup != 0) s = at_near_init(c, b->near_dup, &k.near);
    if (!s) s = folder_open(c, &k);
    if (!s) s = sources_open(c, &k);
    if (!s) s = read_all(c, &k);
    at_dedup_free(&k.seen);
    if (!s) s = refine(c, &k);
    if (!s) s = at_build_tokenizer(c, &k);
    if (!s) s = at_build_encode(c, &k);
    if (!s) s = at_balance_take(c, k.stage, k.n_domains, &k.balance);
    if (!s) s = at_build_settle(c, &k);
    if (!s) s = at_overlap(c, k.stage, k.n_all, k.overlap);
    if (!s) s = at_build_write(c, &k);
    if (!s) s = at_build_manifest(c, &k, manifest);
    if (!s) s = folder_commit(c, &k);
    builder_close(c, &k);
    if (s) {
        cJSON_Delete(*manifest);
        *manifest = NULL;
    }
    return s;
}
