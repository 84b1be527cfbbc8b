/* encode.c - the steps of a build that have to do with tokens: tokenizer, encoding, shards. */
#include "base/par.h"
#include "data/build.h"
#include "data/pairs.h"
#include "data/progress.h"
#include "data/settle.h"
#include "data/shard.h"
#include <string.h>

enum { GROUP_DOCS = 512, GROUP_BYTES = 4 << 20 };

static at_status stop_asked(at_ctx *c) {
    return at_interrupted(c) ? at_error(c, AT_INTERRUPTED, "data build: interrupted") : AT_OK;
}

/* ---- the tokenizer ---- */

static int64_t train_bytes(const at_stage *s) {
    int64_t sum = 0;
    for (int64_t i = 0; i < s->n; i++)
        if (s->doc[i].split == AT_TRAIN) sum += s->doc[i].bytes;
    return sum;
}

/* Feeds training documents in order, `budget` bytes in all; the last one is cut. */
static at_status feed_domain(at_ctx *c, at_bpe_trainer *t, at_stage *s, int64_t budget) {
    int64_t n;
    int64_t *order = at_balance_order(c, s, AT_TRAIN, &n);
    if (!order) return c->status;
    at_bytes text = {0};
    at_status status = AT_OK;
    for (int64_t i = 0; !status && i < n && budget > 0; i++) {
        status = stop_asked(c);
        if (!status) status = at_stage_text(c, s, &s->doc[order[i]], &text);
        if (status) break;
        size_t bytes = at_utf8_cut(text.p, (size_t)text.n, (size_t)budget);
        budget = bytes < (size_t)text.n ? 0 : budget - text.n;
        const size_t first = s->pairs ? at_pair_first(text.p, bytes) : bytes;
        if (s->tag) status = at_bpe_trainer_feed(c, t, s->tag, strlen(s->tag));
        if (!status) status = at_bpe_trainer_feed(c, t, text.p, first);
        if (!status && first < bytes)
            status = at_bpe_trainer_feed(c, t, text.p + first + 1, bytes - first - 1);
    }
    at_bytes_free(&text);
    at_free(order);
    return status;
}

static at_status train(at_ctx *c, at_builder *k) {
    const at_bpe_options o = {
        .vocab = k->b->vocab, .kind = k->b->kind, .min_count = 2, .max_piece = 64};
    at_bpe_trainer *t;
    at_status s = at_bpe_trainer_open(c, &o, &t);
    if (s) return s;
    int64_t budget = k->b->sample;
    for (int i = 0; i < k->n_domains; i++) {
        const int64_t have = train_bytes(&k->stage[i]);
        if (have < budget) budget = have;
    }
    at_log(c, AT_LOG_INFO, "training a tokenizer of %lld tokens on %.1f MB of each domain",
           (long long)k->b->vocab, (double)budget / 1e6);
    for (int i = 0; !s && i < k->n_domains; i++) s = feed_domain(c, t, &k->stage[i], budget);
    if (!s) s = at_bpe_trainer_finish(c, t, &k->tokenizer);
    at_bpe_trainer_close(t);
    return s;
}

at_status at_build_tokenizer(at_ctx *c, at_builder *k) {
    at_status s =
        k->b->tokenizer ? at_tokenizer_load(c, k->b->tokenizer, &k->tokenizer) : train(c, k);
    if (s) return s;
    k->eot = at_tokenizer_eot(k->tokenizer);
    bool pairs = false;
    for (int i = 0; i < k->n_all; i++) pairs = pairs || k->stage[i].pairs;
    if (k->eot < 0 && pairs)
        return at_error(c, AT_ARG,
                        "the tokenizer has no end-of-text token, which is to stand between a text "
                        "and its translation");
    if (k->eot < 0)
        at_log(c, AT_LOG_WARN,
               "the tokenizer has no end-of-text token: documents follow each other unmarked");
    char *path = at_join(c, k->dir, "tokenizer.json");
    s = path ? at_tokenizer_save(c, k->tokenizer, path) : c->status;
    at_free(path);
    return s;
}

/* ---- ids of all documents ---- */

/* Consecutive documents, whose text is contiguous in the staging file. */
typedef struct group {
    const at_tokenizer *tokenizer;
    const at_staged *doc;
    const char *text;
    int64_t base; /* text_at of the first */
    at_ids *ids;  /* [n] */
    at_ctx *ctx;  /* [threads]: a context belongs to one thread */
    at_status *status;
    int32_t eot;
    const char *tag; /* of pairs, or NULL */
} group;

/* One piece of text; the token that ends it. */
static at_status encode_piece(at_ctx *c, const group *g, const char *text, size_t bytes,
                              at_ids *ids) {
    at_status s = at_tokenizer_encode(c, g->tokenizer, text, bytes, false, ids);
    if (s || g->eot < 0) return s;
    if (!at_reserve(c, &ids->id, &ids->cap, ids->n + 1, sizeof *ids->id)) return c->status;
    ids->id[ids->n++] = g->eot;
    return AT_OK;
}

static at_status encode_pair(at_ctx *c, const group *g, const char *text, size_t bytes,
                             at_ids *ids) {
    const size_t first = at_pair_first(text, bytes);
    at_bytes source = {0};
    at_status s = g->tag ? at_bytes_add(c, &source, g->tag, strlen(g->tag)) : AT_OK;
    if (!s) s = at_bytes_add(c, &source, text, first);
    if (!s) s = encode_piece(c, g, source.p, (size_t)source.n, ids);
    at_bytes_free(&source);
    return s ? s : encode_piece(c, g, text + first + 1, bytes - first - 1, ids);
}

static void encode_some(void *arg, int64_t begin, int64_t end, int worker) {
    group *g = arg;
    at_ctx *c = &g->ctx[worker];
    for (int64_t i = begin; i < end; i++) {
        const at_staged *d = &g->doc[i];
        at_ids *ids = &g->ids[i];
        ids->n = 0;
        const char *text = g->text + (d->text_at - g->base);
        const at_status s = d->pair ? encode_pair(c, g, text, (size_t)d->bytes, ids)
                                    : encode_piece(c, g, text, (size_t)d->bytes, ids);
        if (s && !g->status[worker]) g->status[worker] = s;
    }
}

static at_status encode_group(at_ctx *c, at_stage *s, int64_t first, int64_t n, group *g) {
    at_par_for(c->threads, n, 8, encode_some, g);
    for (int w = 0; w < c->threads; w++)
        if (g->status[w]) return at_error(c, g->status[w], "%s", g->ctx[w].message);
    at_status status = AT_OK;
    for (int64_t i = 0; !status && i < n; i++) {
        at_staged *d = &s->doc[first + i];
        d->ids_at = s->n_ids;
        d->tokens = g->ids[i].n;
        status = at_stage_put_ids(c, s, g->ids[i].id, g->ids[i].n);
    }
    return status;
}

static at_status encode_domain(at_ctx *c, at_stage *s, group *g, at_progress *p, double *done) {
    at_bytes text = {0};
    at_status status = AT_OK;
    g->tag = s->tag;
    for (int64_t first = 0; !status && first < s->n;) {
        int64_t n = 0, bytes = 0;
        while (first + n < s->n && n < GROUP_DOCS && (n == 0 || bytes < GROUP_BYTES))
            bytes += s->doc[first + n++].bytes;
        /* documents were staged one after the other: one read gets them all */
        const at_staged all = {.text_at = s->doc[first].text_at, .bytes = bytes};
        status = stop_asked(c);
        if (!status) status = at_stage_text(c, s, &all, &text);
        g->doc = s->doc + first;
        g->text = text.p;
        g->base = all.text_at;
        if (!status) status = encode_group(c, s, first, n, g);
        first += n;
        *done += (double)bytes;
        at_progress_tick(c, p, *done);
    }
    at_bytes_free(&text);
    return status;
}

at_status at_build_encode(at_ctx *c, at_builder *k) {
    at_progress p;
    double total = 0, done = 0;
    for (int i = 0; i < k->n_all; i++) total += (double)k->stage[i].text_bytes;
    at_progress_begin(&p, "encoding", total);
    group g = {.tokenizer = k->tokenizer,
               .eot = k->eot,
               .ids = at_calloc(c, GROUP_DOCS, sizeof(at_ids)),
               .ctx = at_calloc(c, (size_t)c->threads, sizeof(at_ctx)),
               .status = at_calloc(c, (size_t)c->threads, sizeof(at_status))};
    at_status s = g.ids && g.ctx && g.status ? AT_OK : c->status;
    for (int w = 0; !s && w < c->threads; w++) {
        at_ctx_init(&g.ctx[w], 1);
        g.ctx[w].cpu = c->cpu;
    }
    for (int i = 0; !s && i < k->n_all; i++) s = encode_domain(c, &k->stage[i], &g, &p, &done);
    for (int64_t i = 0; g.ids && i < GROUP_DOCS; i++) at_ids_free(&g.ids[i]);
    at_free(g.ids);
    at_free(g.ctx);
    at_free(g.status);
    return s;
}

/* ---- shards ---- */

void at_build_shard_name(const at_builder *k, int domain, at_split split, char *out, size_t room) {
    (void)snprintf(out, room, "%s.%s.bin", k->stage[domain].name,
                   domain < k->n_domains ? at_split_name[split] : "ood");
}

static at_status write_split(at_ctx *c, at_builder *k, int domain, at_split split) {
    at_stage *s = &k->stage[domain];
    char leaf[128];
    at_build_shard_name(k, domain, split, leaf, sizeof leaf);
    char *path = at_join(c, k->dir, leaf);
    int64_t n;
    int64_t *order = path ? at_balance_order(c, s, split, &n) : NULL;
    at_shard_writer *w = NULL;
    at_status status = order ? at_shard_writer_open(c, path, at_tokenizer_size(k->tokenizer),
                                                    at_tokenizer_hash(k->tokenizer), &w)
                             : c->status;
    int32_t *id = NULL;
    int64_t cap = 0;
    for (int64_t i = 0; !status && i < n; i++) {
        const at_staged *d = &s->doc[order[i]];
        if (d->take == 0) continue;
        status = stop_asked(c);
        if (!status && !at_reserve(c, &id, &cap, d->tokens, sizeof *id)) status = c->status;
        if (!status) status = at_stage_ids(c, s, d, id);
        if (status) break;
        const at_sizes z = at_build_cut(k, d, id);
        if (z.tokens > 0) status = at_shard_writer_add(c, w, id, z.tokens, z.bytes, z.chars);
        k->words[domain][split] += z.words;
    }
    at_free(id);
    at_free(order);
    at_free(path);
    if (!status) return at_shard_writer_commit(c, w, &k->written[domain][split]);
    at_shard_writer_close(w);
    return status;
}

at_status at_build_write(at_ctx *c, at_builder *k) {
    at_status s = AT_OK;
    for (int i = 0; !s && i < k->n_all; i++)
        for (int split = i < k->n_domains ? 0 : AT_TEST; !s && split < AT_SPLITS; split++)
            s = write_split(c, k, i, (at_split)split);
    return s;
}
