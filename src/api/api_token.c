/* api_token.c - tokenizers from outside: ids of texts, training from files, statistics. */
#include "api/api.h"
#include "base/file.h"
#include "token/tokenizer.h"
#include <string.h>

/* The public name and the internal one are the same object. */
static const at_tokenizer *inner(const artel_tokenizer *t) { return (const void *)t; }

artel_status artel_tokenizer_open(artel *a, const char *path, artel_tokenizer **out) {
    at_tokenizer *t;
    const at_status s = at_tokenizer_load(&a->ctx, path, &t);
    *out = (void *)t;
    return (artel_status)s;
}

void artel_tokenizer_close(artel_tokenizer *t) { at_tokenizer_close((void *)t); }
int64_t artel_tokenizer_size(const artel_tokenizer *t) { return at_tokenizer_size(inner(t)); }
const char *artel_tokenizer_hash(const artel_tokenizer *t) { return at_tokenizer_hash(inner(t)); }

artel_status artel_tokenizer_encode(artel *a, const artel_tokenizer *t, const char *text,
                                    size_t bytes, int specials, int32_t **ids, int64_t *n) {
    at_ids out = {0};
    at_status s =
        at_interrupted(&a->ctx) ? at_error(&a->ctx, AT_INTERRUPTED, "interrupted") : AT_OK;
    if (!s) s = at_tokenizer_encode(&a->ctx, inner(t), text, bytes, specials != 0, &out);
    if (s) at_ids_free(&out);
    *ids = out.id;
    *n = out.n;
    return at_answer(a, s);
}

artel_status artel_tokenizer_decode(artel *a, const artel_tokenizer *t, const int32_t *ids,
                                    int64_t n, char **text, size_t *bytes) {
    *text = NULL;
    if (at_interrupted(&a->ctx))
        return at_answer(a, at_error(&a->ctx, AT_INTERRUPTED, "interrupted"));
    *text = at_tokenizer_decode(&a->ctx, inner(t), ids, n, bytes);
    if (*text) return ARTEL_OK;
    if (a->ctx.status == AT_ARG) /* ids come from a file here, not from the program */
        return (artel_status)at_error(&a->ctx, AT_FORMAT, "%s", a->ctx.message);
    return (artel_status)a->ctx.status;
}

/* ---- training ----------------------------------------------------------------------------- */

typedef struct training {
    at_ctx *c;
    at_bpe_trainer *trainer;
    int64_t files;
    uint64_t bytes;
} training;

static at_status feed_file(training *r, const char *path) {
    at_map m;
    if (at_interrupted(r->c)) return at_error(r->c, AT_INTERRUPTED, "%s: interrupted", path);
    at_status s = at_map_open(r->c, path, &m);
    if (s) return s;
    if (m.bytes) s = at_bpe_trainer_feed(r->c, r->trainer, (const char *)m.data, m.bytes);
    r->files++;
    r->bytes += m.bytes;
    at_map_close(&m);
    at_log(r->c, AT_LOG_PROGRESS, "counting: %lld files, %.1f MB", (long long)r->files,
           1e-6 * (double)r->bytes);
    return s;
}

/* A file, or every file below a folder. */
static at_status feed_path(training *r, const char *path) {
    if (!at_is_dir(path)) return feed_file(r, path);
    at_list list = {0};
    at_status s = at_list_tree(r->c, path, &list);
    for (int64_t i = 0; i < list.n && !s; i++) {
        char *file = at_join(r->c, path, list.item[i]);
        s = file ? feed_file(r, file) : r->c->status;
        at_free(file);
    }
    at_list_free(&list);
    return s;
}

static artel_status trained(artel *a, const training *r, const artel_tokenizer_training *o,
                            const at_tokenizer *t, artel_emit emit, void *user) {
    const int64_t size = at_tokenizer_size(t);
    if (size < o->vocab)
        at_log(r->c, AT_LOG_WARN, "%s: %lld tokens, not %lld: no more pairs occur often enough",
               o->output, (long long)size, (long long)o->vocab);
    at_json j;
    at_json_open(&j, &a->ctx);
    at_json_put_string(&j, "tokenizer", o->output);
    at_json_put_number(&j, "vocab", (double)size);
    at_json_put_number(&j, "merges", (double)(size - 257));
    at_json_put_number(&j, "files", (double)r->files);
    at_json_put_number(&j, "bytes", (double)r->bytes);
    at_json_put_string(&j, "hash", at_tokenizer_hash(t));
    return at_emit(a, emit, user, &j);
}

artel_status artel_tokenizer_train(artel *a, const artel_tokenizer_training *o, artel_emit emit,
                                   void *user) {
    training r = {.c = &a->ctx};
    const at_bpe_options options = {o->vocab, o->min_count, o->max_piece};
    at_status s = at_check_out_file(r.c, o->output);
    if (!s) s = at_bpe_trainer_open(r.c, &options, &r.trainer);
    for (int i = 0; i < o->n_input && !s; i++) s = feed_path(&r, o->input[i]);
    if (!s && !r.bytes)
        s = at_error(r.c, AT_FORMAT, "%s: no text to learn from", o->n_input ? o->input[0] : "");
    at_tokenizer *t = NULL;
    if (!s) {
        at_log(r.c, AT_LOG_PROGRESS, "merging: %lld tokens wanted", (long long)o->vocab);
        s = at_bpe_trainer_finish(r.c, r.trainer, &t);
    }
    at_bpe_trainer_close(r.trainer);
    if (!s) s = at_tokenizer_save(r.c, t, o->output);
    const artel_status done = s ? at_answer(a, s) : trained(a, &r, o, t, emit, user);
    at_tokenizer_close(t);
    return done;
}

/* ---- statistics --------------------------------------------------------------------------- */

typedef struct stats {
    uint64_t bytes, chars, tokens;
    int64_t distinct;
} stats;

static double per(uint64_t a, uint64_t b) { return b ? (double)a / (double)b : 0; }

static artel_status emit_stats(artel *a, const char *file, const stats *s, const at_tokenizer *t,
                               artel_emit emit, void *user) {
    const int64_t size = at_tokenizer_size(t);
    at_json j;
    at_json_open(&j, &a->ctx);
    at_json_put_string(&j, "file", file);
    at_json_put_number(&j, "bytes", (double)s->bytes);
    at_json_put_number(&j, "characters", (double)s->chars);
    at_json_put_number(&j, "tokens", (double)s->tokens);
    at_json_put_number(&j, "bytes_per_token", per(s->bytes, s->tokens));
    at_json_put_number(&j, "characters_per_token", per(s->chars, s->tokens));
    at_json_put_number(&j, "vocab", (double)size);
    at_json_put_number(&j, "distinct", (double)s->distinct);
    at_json_put_number(&j, "used", per((uint64_t)s->distinct, (uint64_t)size));
    return at_emit(a, emit, user, &j);
}

/* Adds what it finds to the marks of all files; mark holds 1 for this file, 2 for all. */
static at_status count_file(at_ctx *c, const at_tokenizer *t, const char *path, unsigned char *mark,
                            stats *s) {
    at_map m;
    at_ids ids = {0};
    at_status st = at_map_open(c, path, &m);
    if (st) return st;
    if (m.bytes) st = at_tokenizer_encode(c, t, (const char *)m.data, m.bytes, true, &ids);
    for (size_t i = 0; i < m.bytes; i++) s->chars += (m.data[i] & 0xC0) != 0x80;
    for (int64_t i = 0; i < ids.n; i++) mark[ids.id[i]] = 3;
    s->bytes = m.bytes;
    s->tokens = (uint64_t)ids.n;
    at_ids_free(&ids);
    at_map_close(&m);
    return st ? at_error_in(c, path) : AT_OK;
}

/* How many marks have the bit; clears bit 1 for the next file. */
static int64_t marked(unsigned char *mark, int64_t n, unsigned char bit) {
    int64_t found = 0;
    for (int64_t i = 0; i < n; i++) {
        found += (mark[i] & bit) != 0;
        mark[i] &= 2;
    }
    return found;
}

artel_status artel_tokenizer_stats(artel *a, const artel_tokenizer *tokenizer,
                                   const char *const *file, int n, artel_emit emit, void *user) {
    const at_tokenizer *t = inner(tokenizer);
    const int64_t size = at_tokenizer_size(t);
    unsigned char *mark = at_calloc(&a->ctx, (size_t)size, 1);
    if (!mark) return ARTEL_OOM;
    stats all = {0};
    artel_status st = ARTEL_OK;
    for (int i = 0; i < n && !st; i++) {
        stats s = {0};
        st = (artel_status)count_file(&a->ctx, t, file[i], mark, &s);
        if (st) break;
        s.distinct = marked(mark, size, 1);
        all.bytes += s.bytes;
        all.chars += s.chars;
        all.tokens += s.tokens;
        st = emit_stats(a, file[i], &s, t, emit, user);
    }
    all.distinct = marked(mark, size, 2);
    if (!st && n > 1) st = emit_stats(a, "all", &all, t, emit, user);
    at_free(mark);
    return st;
}
