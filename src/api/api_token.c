/* api_token.c - tokenizers from outside: ids of texts, training from files. */
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

/* Tokens of one character; merges have more. */
static int64_t alphabet(const at_tokenizer *t, at_bpe_kind kind) {
    int64_t found = 0;
    size_t n;
    if (kind == AT_BPE_BYTES) return 0;
    for (int64_t id = AT_BPE_SP_FIRST; id < at_tokenizer_size(t); id++) {
        const char *s = at_tokenizer_bytes(t, (int32_t)id, &n);
        int64_t chars = 0;
        for (size_t i = 0; s && i < n; i++) chars += (s[i] & 0xC0) != 0x80;
        found += chars == 1;
    }
    return found;
}

static artel_status trained(artel *a, const training *r, const artel_tokenizer_training *o,
                            at_bpe_kind kind, const at_tokenizer *t, artel_emit emit, void *user) {
    const int64_t size = at_tokenizer_size(t), chars = alphabet(t, kind);
    if (size < o->vocab)
        at_log(r->c, AT_LOG_WARN, "%s: %lld tokens, not %lld: no more pairs occur often enough",
               o->output, (long long)size, (long long)o->vocab);
    at_json j;
    at_json_open(&j, &a->ctx);
    at_json_put_string(&j, "tokenizer", o->output);
    at_json_put_number(&j, "vocab", (double)size);
    at_json_put_number(&j, "merges", (double)(size - chars - (kind ? AT_BPE_SP_FIRST : 257)));
    at_json_put_number(&j, "files", (double)r->files);
    at_json_put_number(&j, "bytes", (double)r->bytes);
    at_json_put_string(&j, "kind", at_bpe_kind_name[kind]);
    at_json_put_number(&j, "characters", (double)chars);
    at_json_put_string(&j, "hash", at_tokenizer_hash(t));
    return at_emit(a, emit, user, &j);
}

artel_status artel_tokenizer_train(artel *a, const artel_tokenizer_training *o, artel_emit emit,
                                   void *user) {
    training r = {.c = &a->ctx};
    at_bpe_options options = {.vocab = o->vocab,
                              .min_count = o->min_count,
                              .max_piece = o->max_piece,
                              .across_words = o->across_words != 0,
                              .split_digits = o->split_digits != 0,
                              .single_spaces = o->single_spaces != 0,
                              .coverage = o->coverage / 100,
                              .sample = o->sample};
    at_status s = at_bpe_kind_parse(r.c, o->kind, &options.kind);
    if (!s) s = at_check_out_file(r.c, o->output);
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
    const artel_status done = s ? at_answer(a, s) : trained(a, &r, o, options.kind, t, emit, user);
    at_tokenizer_close(t);
    return done;
}
