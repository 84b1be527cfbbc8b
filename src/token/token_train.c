/*
 * token_train.c - text is counted in pieces as it is fed; at the end merges are learnt from them.
 *
 * Of texts that are cut at the ends of lines most pieces are different.  When they become too many
 * half of them are given up, those whose hash has one more bit set: what is left is a sample that
 * does not depend on the order of the text, with counts that are exact.
 */
#include "token/token_train.h"
#include "token/token_bytes.h"
#include "token/token_impl.h"
#include "token/token_learn.h"
#include <string.h>

enum { BLOCK = 1 << 20, LINE_MAX_BYTES = 4096, SAMPLE_MIN = 1 << 16 };

/* Words with the space before them, and marks such as accents with their letters. */
static const char words[] =
    " ?[\\p{L}\\p{M}]+| ?\\p{N}+| ?[^\\s\\p{L}\\p{M}\\p{N}]+|\\s+(?!\\S)|\\s+";

struct at_bpe_trainer {
    at_bpe_options o;
    at_split split;
    at_splitter splitter;
    at_words piece; /* value: index in count (the same) */
    int64_t *count, count_cap;
    int halvings; /* of the sample: only pieces whose hash begins with so many zeros are kept */
    char *begun;  /* the first block of a document, a space before it */
    int64_t begun_cap;
};

const char *const at_bpe_kind_name[2] = {"bytes", "sentencepiece"};

at_status at_bpe_kind_parse(at_ctx *c, const char *name, at_bpe_kind *out) {
    for (int i = 0; i < 2; i++)
        if (!name || !strcmp(name, at_bpe_kind_name[i])) {
            *out = (at_bpe_kind)i;
            return AT_OK;
        }
    return at_error(c, AT_ARG, "kind of tokenizer: expected bytes or sentencepiece, found `%.40s`",
                    name);
}

static at_status options_check(at_ctx *c, const at_bpe_options *o) {
    const bool sp = o->kind == AT_BPE_SENTENCEPIECE;
    const int least = sp ? AT_BPE_SP_FIRST + 1 : AT_TRAIN_FIRST + 256;
    if (o->vocab < least || o->vocab > AT_TOKEN_IDS_MAX)
        return at_error(c, AT_ARG, "vocabulary of %lld: expected %d (256 bytes and %s) to %d",
                        (long long)o->vocab, least,
                        sp ? "<unk>, <s>, </s>, \xE2\x96\x81" : AT_TRAIN_SPECIAL, AT_TOKEN_IDS_MAX);
    if (!sp &&
        (o->across_words || o->split_digits || o->single_spaces || o->coverage != 0 || o->sample))
        return at_error(
            c, AT_ARG,
            "across words, split digits, single spaces, coverage and sample are options "
            "of the kind sentencepiece");
    if (!(o->coverage >= 0 && o->coverage <= 1))
        return at_error(c, AT_ARG, "coverage: expected a share of 0 to 1, found %g", o->coverage);
    if (o->sample && o->sample < SAMPLE_MIN)
        return at_error(c, AT_ARG, "sample: expected %d bytes or more, found %lld", SAMPLE_MIN,
                        (long long)o->sample);
    return AT_OK;
}

at_status at_bpe_trainer_open(at_ctx *c, const at_bpe_options *o, at_bpe_trainer **out) {
    *out = NULL;
    if (options_check(c, o)) return c->status;
    at_bpe_trainer *t = at_calloc(c, 1, sizeof *t);
    if (!t) return c->status;
    t->o = *o;
    if (t->o.min_count <= 0) t->o.min_count = 2;
    if (t->o.max_piece <= 0) t->o.max_piece = 64;
    if (t->o.coverage == 0) t->o.coverage = 0.9995;
    if (t->o.sample <= 0) t->o.sample = 64 << 20;
    const char *pattern = o->kind == AT_BPE_SENTENCEPIECE ? words : at_gpt2_pattern;
    const at_status st = at_split_open(c, "trainer", pattern, false, &t->split);
    if (st) {
        at_free(t);
        return st;
    }
    *out = t;
    return AT_OK;
}

static void forget_pieces(at_bpe_trainer *t) {
    at_words_close(&t->piece);
    at_free(t->count);
    t->count = NULL;
    t->count_cap = 0;
}

void at_bpe_trainer_close(at_bpe_trainer *t) {
    if (!t) return;
    at_split_close(&t->split);
    at_splitter_close(&t->splitter);
    forget_pieces(t);
    at_free(t->begun);
    at_free(t);
}

/* ---- counting ---- */

static bool sampled(const at_bpe_trainer *t, const char *s, size_t n) {
    return !t->halvings || !(at_words_hash(s, n) >> (64 - t->halvings));
}

/* Gives up half of the pieces until the others fit the sample. */
static at_status thin(at_ctx *c, at_bpe_trainer *t) {
    at_status st = AT_OK;
    while (!st && t->piece.blob_n > t->o.sample && t->halvings < 63) {
        t->halvings++;
        at_words kept = {0};
        for (int64_t i = 0; i < t->piece.n && !st; i++) {
            const char *s = at_words_text(&t->piece, i);
            if (!sampled(t, s, t->piece.item[i].bytes)) continue;
            const int64_t k = at_words_add(c, &kept, s, t->piece.item[i].bytes, 0, NULL);
            if (k < 0) st = c->status;
            if (k >= 0) t->count[k] = t->count[i]; /* k is at most i */
        }
        at_words_close(&t->piece);
        t->piece = kept;
    }
    return st;
}

static at_status count_piece(at_ctx *c, at_bpe_trainer *t, const char *s, size_t n) {
    bool fresh;
    if (!sampled(t, s, n)) return AT_OK;
    const int64_t i = at_words_add(c, &t->piece, s, n, 0, &fresh);
    if (i < 0 || !at_reserve(c, &t->count, &t->count_cap, i + 1, sizeof *t->count))
        return c->status;
    t->count[i] = fresh ? 1 : t->count[i] + 1;
    return t->o.across_words && t->piece.blob_n > t->o.sample ? thin(c, t) : AT_OK;
}

/* What is longer than max is cut between characters. */
static at_status count_span(at_ctx *c, at_bpe_trainer *t, const char *s, size_t n, size_t max) {
    while (n > max) {
        size_t k = max;
        while (k > 1 && ((unsigned char)s[k] & 0xC0) == 0x80) k--;
        if (((unsigned char)s[k] & 0xC0) == 0x80) k = max; /* the character is longer than max */
        const at_status st = count_piece(c, t, s, k);
        if (st) return st;
        s += k;
        n -= k;
    }
    return n ? count_piece(c, t, s, n) : AT_OK;
}

static at_status count_words(at_ctx *c, at_bpe_trainer *t, const char *text, size_t n) {
    at_status st = at_split_text(c, &t->split, 1, &t->splitter, text, n);
    for (int64_t k = 0; k < t->splitter.n && !st; k++) {
        const at_span s = t->splitter.span[k];
        st = count_span(c, t, text + s.start, s.bytes, (size_t)t->o.max_piece);
    }
    return st;
}

/* A line ends behind its newline. */
static at_status count_lines(at_ctx *c, at_bpe_trainer *t, const char *text, size_t n) {
    at_status st = AT_OK;
    for (size_t i = 0, k; i < n && !st; i += k) {
        const char *end = memchr(text + i, '\n', n - i);
        k = end ? (size_t)(end - text) + 1 - i : n - i;
        st = count_span(c, t, text + i, k, LINE_MAX_BYTES);
    }
    return st;
}

/* Bytes of the next block; it ends at a newline if it can, so that few pieces are cut in two. */
static size_t block(const char *text, size_t bytes) {
    if (bytes <= BLOCK) return bytes;
    size_t n = BLOCK;
    while (n > BLOCK / 2 && text[n - 1] != '\n') n--;
    if (n > BLOCK / 2) return n;
    for (n = BLOCK; n > BLOCK - 4 && ((unsigned char)text[n] & 0xC0) == 0x80;) n--;
    return n;
}

static at_status feed_block(at_ctx *c, at_bpe_trainer *t, const char *text, size_t bytes) {
    for (size_t i = 0; i < bytes;) {
        const size_t n = at_utf8_valid(text + i, bytes - i);
        const at_status st =
            t->o.across_words ? count_lines(c, t, text + i, n) : count_words(c, t, text + i, n);
        if (st) return st;
        i += n;
        i += at_utf8_invalid(text + i, bytes - i); /* encoded one by one: nothing to merge */
    }
    return AT_OK;
}

/* The first block of a document, with the space that SentencePiece puts before it. */
static at_status feed_begin(at_ctx *c, at_bpe_trainer *t, const char *text, size_t bytes) {
    if (t->o.kind != AT_BPE_SENTENCEPIECE) return feed_block(c, t, text, bytes);
    if (!at_reserve(c, &t->begun, &t->begun_cap, (int64_t)bytes + 1, 1)) return c->status;
    t->begun[0] = ' ';
    memcpy(t->begun + 1, text, bytes);
    return feed_block(c, t, t->begun, bytes + 1);
}

at_status at_bpe_trainer_feed(at_ctx *c, at_bpe_trainer *t, const char *text, size_t bytes) {
    at_status st = AT_OK;
    for (size_t i = 0, n; i < bytes && !st; i += n) {
        n = block(text + i, bytes - i);
        st = i ? feed_block(c, t, text + i, n) : feed_begin(c, t, text, n);
    }
    return st;
}

/* ---- merging ---- */

static at_status learn(at_ctx *c, const at_bpe_trainer *t, at_symbols *s, at_ids *merges) {
    const bool sp = t->o.kind == AT_BPE_SENTENCEPIECE;
    const at_learning l = {.first = s->first,
                           .spellings = t->o.vocab - s->first,
                           .min_count = t->o.min_count,
                           .max_width = sp ? t->o.max_piece : 0,
                           .no = &s->no,
                           .cell = s->cell,
                           .cells = s->cells,
                           .start = s->start,
                           .count = s->count,
                           .chunks = s->chunks};
    return at_learn_merges(c, &l, &s->spelling, merges);
}

at_status at_bpe_trainer_finish(at_ctx *c, at_bpe_trainer *t, at_tokenizer **out) {
    *out = NULL;
    at_symbols s = {0};
    at_ids merges = {0};
    if (t->halvings)
        at_log(c, AT_LOG_INFO, "merges are learnt from 1/%lld of the different lines, %.1f MB",
               1LL << t->halvings, 1e-6 * (double)t->piece.blob_n);
    at_status st = t->o.kind == AT_BPE_SENTENCEPIECE
                       ? at_symbols_chars(c, &t->o, &t->piece, t->count, &s)
                       : at_symbols_bytes(c, &t->piece, t->count, &s);
    forget_pieces(t);
    if (!st) st = learn(c, t, &s, &merges);
    char *json = st ? NULL : at_train_json(c, t->o.kind, &s.spelling, &merges);
    if (json)
        st = at_tokenizer_parse(c, "trained tokenizer", json, strlen(json), out);
    else if (!st)
        st = c->status;
    at_free(json);
    at_symbols_close(&s);
    at_ids_free(&merges);
    return st;
}
