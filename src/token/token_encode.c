/* token_encode.c - text to ids and back. */
#include "base/file.h"
#include "token/token_bytes.h"
#include "token/token_impl.h"
#include <string.h>

void at_encoder_close(at_encoder *e) {
    at_splitter_close(&e->splitter);
    at_editor_close(&e->normalizer);
    at_editor_close(&e->marks);
    at_merger_close(&e->merger);
}

static at_status push(at_ctx *c, at_ids *out, int32_t id) {
    if (!at_reserve(c, &out->id, &out->cap, out->n + 1, sizeof *out->id)) return c->status;
    out->id[out->n++] = id;
    return AT_OK;
}

/* ---- one piece ---- */

/* First symbols of a byte-level tokenizer: the token of each byte. */
static at_status spell_bytes(at_ctx *c, const at_tokenizer *t, const char *s, size_t n, int32_t *id,
                             int64_t *count) {
    int64_t k = 0;
    for (size_t i = 0; i < n; i++) {
        const unsigned char b = (unsigned char)s[i];
        int32_t v = t->byte_id[b];
        if (v < 0) {
            v = t->unk;
            if (v < 0)
                return at_error(c, AT_UNSUPPORTED, "the tokenizer has no token for byte 0x%02X", b);
            if (t->fuse_unk && k && id[k - 1] == v) continue;
        }
        id[k++] = v;
    }
    *count = k;
    return AT_OK;
}

/* First symbols in SentencePiece style: for each character its token, or those of its bytes, or the
   unknown token. */
static at_status spell_chars(at_ctx *c, const at_tokenizer *t, const char *s, size_t n, int32_t *id,
                             int64_t *count) {
    int64_t k = 0;
    size_t step;
    for (size_t i = 0; i < n; i += step) {
        const uint32_t ch = at_utf8_get(s + i, &step);
        const int64_t known = at_words_find(&t->vocab, s + i, step);
        if (known >= 0) {
            id[k++] = t->vocab.item[known].value;
            continue;
        }
        bool bytes = t->byte_fallback;
        for (size_t j = 0; j < step; j++) {
            id[k + (int64_t)j] = t->byte_id[(unsigned char)s[i + j]];
            bytes = bytes && id[k + (int64_t)j] >= 0;
        }
        if (bytes) {
            k += (int64_t)step;
            continue;
        }
        if (t->unk < 0)
            return at_error(c, AT_UNSUPPORTED, "the tokenizer has no token for U+%04X", ch);
        if (!t->fuse_unk || !k || id[k - 1] != t->unk) id[k++] = t->unk;
    }
    *count = k;
    return AT_OK;
}

at_status at_token_piece(at_ctx *c, const at_tokenizer *t, at_encoder *e, const char *s, size_t n,
                         bool whole, at_ids *out) {
    if (whole && (int64_t)n <= t->longest) {
        const int64_t k = at_words_find(&t->whole, s, n);
        if (k >= 0) return push(c, out, t->whole.item[k].value);
    }
    if (!at_reserve(c, &out->id, &out->cap, out->n + (int64_t)n, sizeof *out->id)) return c->status;
    int32_t *id = out->id + out->n;
    int64_t count = 0;
    at_status st =
        t->bytelevel ? spell_bytes(c, t, s, n, id, &count) : spell_chars(c, t, s, n, id, &count);
    if (!st) st = at_merge(c, &t->merges, &e->merger, id, &count);
    if (!st) out->n += count;
    return st;
}

/* ---- a text ---- */

typedef struct job {
    at_ctx *c;
    const at_tokenizer *t;
    at_encoder e;
    bool specials;
    at_ids *out;
} job;

/* Encodes normalised text without added tokens. */
static at_status plain(job *j, const char *text, size_t bytes, at_place place) {
    if (!bytes) return AT_OK;
    at_ctx *c = j->c;
    at_status st = at_edits_apply(c, &j->t->marks, &j->e.marks, place, &text, &bytes);
    if (!st) st = at_split_text(c, j->t->stage, j->t->stages, &j->e.splitter, text, bytes);
    for (int64_t i = 0; i < j->e.splitter.n && !st; i++) {
        const at_span s = j->e.splitter.span[i];
        for (size_t k = 0, n; k < s.bytes && !st; k += n) {
            const char *p = text + s.start + k;
            n = at_seams_next(&j->t->seams, p, s.bytes - k);
            st = at_token_piece(c, j->t, &j->e, p, n, true, j->out);
        }
    }
    return st;
}

/* Encodes valid UTF-8 without raw added tokens. */
static at_status valid(job *j, const char *text, size_t bytes, at_place place) {
    if (!bytes) return AT_OK;
    at_status st = at_edits_apply(j->c, &j->t->normalizer, &j->e.normalizer, place, &text, &bytes);
    size_t at = 0;
    at_found f = {0};
    while (!st && at_finder_next(&j->t->normalized, text, bytes, j->specials, &f)) {
        if (f.start > at) st = plain(j, text + at, f.start - at, place);
        if (!st) st = push(j->c, j->out, f.id);
        place = AT_PLACE_START;
        at = f.end;
    }
    return st ? st : plain(j, text + at, bytes - at, place);
}

/* Bytes before the first U+2581. */
static size_t before_mark(const char *text, size_t bytes) {
    const size_t n = sizeof AT_MARK - 1;
    for (size_t i = 0; i + n <= bytes; i++) {
        const char *hit = memchr(text + i, AT_MARK[0], bytes - n - i + 1);
        if (!hit) break;
        i = (size_t)(hit - text);
        if (!memcmp(hit, AT_MARK, n)) return i;
    }
    return bytes;
}

/* Encodes the text between two raw added tokens, whatever its bytes. */
static at_status stretch(job *j, const char *text, size_t bytes, at_place place) {
    at_status st = AT_OK;
    for (size_t i = 0; i < bytes && !st;) {
        size_t n = at_utf8_valid(text + i, bytes - i);
        if (j->t->keep_mark) n = before_mark(text + i, n);
        st = valid(j, text + i, n, place);
        place = AT_PLACE_INSIDE;
        i += n;
        n = at_utf8_invalid(text + i, bytes - i);
        if (!n && i < bytes) n = sizeof AT_MARK - 1;
        for (size_t k = 0; k < n && !st; k++) {
            const int32_t id = j->t->byte_id[(unsigned char)text[i + k]];
            st = id >= 0 ? push(j->c, j->out, id)
                         : at_error(j->c, AT_UNSUPPORTED,
                                    "byte %zu is not UTF-8, and the tokenizer has no token for "
                                    "byte 0x%02X",
                                    i + k, (unsigned char)text[i + k]);
        }
        i += n;
    }
    return st;
}

at_status at_tokenizer_encode(at_ctx *c, const at_tokenizer *t, const char *text, size_t bytes,
                              bool specials, at_ids *out) {
    job j = {.c = c, .t = t, .specials = specials, .out = out};
    const int64_t before = out->n;
    at_status st = AT_OK;
    size_t at = 0;
    at_place place = AT_PLACE_FIRST;
    at_found f = {0};
    while (!st && at_finder_next(&t->raw, text, bytes, specials, &f)) {
        if (f.start > at) st = stretch(&j, text + at, f.start - at, place);
        if (!st) st = push(c, out, f.id);
        place = AT_PLACE_START;
        at = f.end;
    }
    if (!st) st = stretch(&j, text + at, bytes - at, place);
    at_encoder_close(&j.e);
    if (st) out->n = before;
    return st;
}

void at_ids_free(at_ids *ids) {
    at_free(ids->id);
    *ids = (at_ids){0};
}

/* ---- decoding ---- */

char *at_tokenizer_decode(at_ctx *c, const at_tokenizer *t, const int32_t *id, int64_t n,
                          size_t *bytes) {
    uint64_t total = 0;
    for (int64_t i = 0; i < n; i++) {
        if (id[i] < 0 || id[i] >= t->size || t->token[id[i]].bytes < 0) {
            (void)at_error(c, AT_ARG, "token %lld is %d: the vocabulary has no such id",
                           (long long)i, (int)id[i]);
            return NULL;
        }
        total += (uint64_t)t->token[id[i]].bytes;
    }
    char *s = at_malloc(c, total + 1);
    if (!s) return NULL;
    size_t w = 0;
    for (int64_t i = 0; i < n; i++) {
        size_t len = 0;
        const char *from = at_tokenizer_after(t, i ? id[i - 1] : -1, id[i], &len);
        memcpy(s + w, from, len);
        w += len;
    }
    s[w] = 0;
    *bytes = w;
    return s;
}

/* ---- properties ---- */

int64_t at_tokenizer_size(const at_tokenizer *t) { return t->size; }
const char *at_tokenizer_hash(const at_tokenizer *t) { return t->hash; }

int32_t at_tokenizer_special(const at_tokenizer *t, const char *content) {
    for (int64_t i = 0; i < t->n_added; i++)
        if (t->added[i].special && !strcmp(t->added[i].content, content)) return t->added[i].id;
    return -1;
}

int32_t at_tokenizer_eot(const at_tokenizer *t) {
    const char *name[] = {"<|endoftext|>", "</s>", "<eos>", "<|end_of_text|>"};
    for (size_t i = 0; i < sizeof name / sizeof *name; i++) {
        const int32_t id = at_tokenizer_special(t, name[i]);
        if (id >= 0) return id;
    }
    return -1;
}

const char *at_tokenizer_bytes(const at_tokenizer *t, int32_t id, size_t *bytes) {
    if (id < 0 || id >= t->size || t->token[id].bytes < 0) return NULL;
    *bytes = (size_t)t->token[id].bytes;
    return t->blob + t->token[id].start;
}

const char *at_tokenizer_after(const at_tokenizer *t, int32_t before, int32_t id, size_t *bytes) {
    const char *s = at_tokenizer_bytes(t, id, bytes);
    if (!s || !*bytes || *s != ' ' || !t->strip_start) return s;
    const bool anew = t->prepends && before >= 0 && before < t->size && t->token[before].raw &&
                      !t->token[id].added;
    if (before >= 0 && !anew) return s;
    --*bytes;
    return s + 1;
}

at_status at_tokenizer_save(at_ctx *c, const at_tokenizer *t, const char *path) {
    return at_write_file(c, path, t->source, t->source_bytes);
}
