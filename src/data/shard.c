/* shard.c - see shard.h for the layout. */
#include "data/shard.h"
#include <assert.h>
#include <string.h>
#include <xxhash.h>

enum { VERSION = 1, HASHED = 144, ALIGN = 64, NARROW_MAX = 65536, BUFFER = 1 << 15 };
static const char magic[8] = {'A', 'R', 'T', 'S', 'H', 'A', 'R', 'D'};

typedef struct head {
    char magic[8];
    uint32_t version, width;
    uint64_t n_tokens, n_docs, n_bytes, n_chars, vocab, token_offset, index_offset, body;
    char tokenizer[AT_HASH_HEX];
    uint64_t check;
} head;
_Static_assert(sizeof(head) == HASHED + 8, "the header has no padding");

static bool little_endian(void) {
    const uint16_t one = 1;
    unsigned char low;
    memcpy(&low, &one, 1);
    return low == 1;
}

static uint64_t index_offset(uint64_t n_tokens, uint64_t width) {
    const uint64_t end = AT_SHARD_HEAD + n_tokens * width;
    return (end + ALIGN - 1) / ALIGN * ALIGN;
}

/* ---- reading ---- */

static at_status head_check(at_ctx *c, const char *path, const at_map *map, head *h) {
    if (map->bytes < AT_SHARD_HEAD)
        return at_error(c, AT_FORMAT, "%s: expected a token shard of at least %d bytes, found %zu",
                        path, AT_SHARD_HEAD, map->bytes);
    memcpy(h, map->data, sizeof *h);
    if (memcmp(h->magic, magic, sizeof magic) != 0)
        return at_error(c, AT_FORMAT, "%s: not a token shard (it does not begin with ARTSHARD)",
                        path);
    if (h->version != VERSION)
        return at_error(c, AT_UNSUPPORTED, "%s: expected shard version %d, found %u", path, VERSION,
                        (unsigned)h->version);
    if (h->check != XXH3_64bits(map->data, HASHED))
        return at_error(c, AT_FORMAT, "%s: the header was altered (its checksum does not hold)",
                        path);
    if (h->width != 2 && h->width != 4)
        return at_error(c, AT_FORMAT, "%s: expected tokens of 2 or 4 bytes, found %u", path,
                        (unsigned)h->width);
    if (h->vocab > (uint64_t)INT32_MAX + 1 || h->n_bytes > INT64_MAX || h->n_chars > INT64_MAX)
        return at_error(c, AT_FORMAT, "%s: a count in the header is out of range", path);
    /* The bounds keep every product below 2^64. */
    if (h->n_tokens > map->bytes / h->width || h->n_docs > map->bytes / sizeof(uint64_t))
        return at_error(
            c, AT_FORMAT,
            "%s: truncated: the header promises %llu tokens of %llu documents, the file "
            "has %zu bytes",
            path, (unsigned long long)h->n_tokens, (unsigned long long)h->n_docs, map->bytes);
    const uint64_t index = index_offset(h->n_tokens, h->width);
    const uint64_t end = index + (h->n_docs + 1) * sizeof(uint64_t);
    if (h->token_offset != AT_SHARD_HEAD || h->index_offset != index)
        return at_error(c, AT_FORMAT, "%s: the offsets in the header do not fit its counts", path);
    if (end != map->bytes)
        return at_error(c, AT_FORMAT, "%s: %s: expected %llu bytes, found %zu", path,
                        end > map->bytes ? "truncated" : "bytes after the end",
                        (unsigned long long)end, map->bytes);
    return AT_OK;
}

static at_status index_check(at_ctx *c, const char *path, const at_shard *s) {
    bool good = s->start[0] == 0 && s->start[s->n_docs] == (uint64_t)s->n_tokens;
    for (int64_t i = 0; good && i < s->n_docs; i++) good = s->start[i] <= s->start[i + 1];
    if (good) return AT_OK;
    return at_error(c, AT_FORMAT,
                    "%s: the index of document starts is not ascending from 0 to %lld", path,
                    (long long)s->n_tokens);
}

at_status at_shard_open(at_ctx *c, const char *path, at_shard_file *out) {
    *out = (at_shard_file){0};
    if (!little_endian())
        return at_error(c, AT_UNSUPPORTED, "%s: shards are little-endian, this machine is not",
                        path);
    at_status s = at_map_open(c, path, &out->map);
    if (s) return s;
    head h;
    if ((s = head_check(c, path, &out->map, &h))) {
        at_shard_close(out);
        return s;
    }
    const unsigned char *base = out->map.data;
    out->view = (at_shard){.width = (int)h.width,
                           .token = base + AT_SHARD_HEAD,
                           .start = (const uint64_t *)(const void *)(base + h.index_offset),
                           .n_tokens = (int64_t)h.n_tokens,
                           .n_docs = (int64_t)h.n_docs,
                           .n_bytes = (int64_t)h.n_bytes,
                           .n_chars = (int64_t)h.n_chars};
    out->vocab = (int64_t)h.vocab;
    out->body = h.body;
    memcpy(out->tokenizer, h.tokenizer, AT_HASH_HEX);
    s = index_check(c, path, &out->view);
    if (s) at_shard_close(out);
    return s;
}

void at_shard_read(const at_shard *s, int64_t i, int64_t n, int32_t *out) {
    assert(i >= 0 && n >= 0 && n <= s->n_tokens - i);
    if (s->width == 2) {
        const uint16_t *t = (const uint16_t *)s->token + i;
        for (int64_t j = 0; j < n; j++) out[j] = t[j];
    } else {
        const int32_t *t = (const int32_t *)s->token + i;
        for (int64_t j = 0; j < n; j++) out[j] = t[j];
    }
}

at_status at_shard_check(at_ctx *c, const char *path, const at_shard_file *f) {
    const at_shard *s = &f->view;
    int32_t chunk[4096];
    for (int64_t i = 0; i < s->n_tokens; i += 4096) {
        const int64_t n = s->n_tokens - i < 4096 ? s->n_tokens - i : 4096;
        at_shard_read(s, i, n, chunk);
        for (int64_t j = 0; j < n; j++)
            if (chunk[j] < 0 || chunk[j] >= f->vocab)
                return at_error(c, AT_FORMAT, "%s: token %lld is %lld, expected an id below %lld",
                                path, (long long)(i + j), (long long)(uint32_t)chunk[j],
                                (long long)f->vocab);
    }
    XXH3_state_t *x = XXH3_createState();
    if (!x) return at_error(c, AT_OOM, "cannot allocate a hash state");
    (void)XXH3_64bits_reset(x);
    (void)XXH3_64bits_update(x, s->token, (size_t)s->n_tokens * (size_t)s->width);
    (void)XXH3_64bits_update(x, s->start, ((size_t)s->n_docs + 1) * sizeof *s->start);
    const uint64_t body = XXH3_64bits_digest(x);
    (void)XXH3_freeState(x);
    if (body != f->body)
        return at_error(c, AT_FORMAT, "%s: altered: the checksum of the tokens does not hold",
                        path);
    return AT_OK;
}

void at_shard_close(at_shard_file *s) {
    if (s) at_map_close(&s->map);
    if (s) *s = (at_shard_file){0};
}

/* ---- writing ---- */

struct at_shard_writer {
    at_out out;
    head head;
    uint64_t *start;
    int64_t n_start, cap;
    XXH3_state_t *hash;
    unsigned char buffer[BUFFER];
};

void at_shard_writer_close(at_shard_writer *w) {
    if (!w) return;
    at_out_close(&w->out);
    if (w->hash) (void)XXH3_freeState(w->hash);
    at_free(w->start);
    at_free(w);
}

at_status at_shard_writer_open(at_ctx *c, const char *path, int64_t vocab, const char *tokenizer,
                               at_shard_writer **out) {
    *out = NULL;
    if (vocab < 1 || vocab > (int64_t)INT32_MAX || strlen(tokenizer) != AT_HASH_HEX)
        return at_error(c, AT_ARG,
                        "%s: a shard needs a vocabulary of 1 to 2^31-1 tokens and a "
                        "tokenizer hash of %d digits",
                        path, AT_HASH_HEX);
    at_shard_writer *w = at_calloc(c, 1, sizeof *w);
    if (!w) return c->status;
    memcpy(w->head.magic, magic, sizeof magic);
    w->head.version = VERSION;
    w->head.width = vocab <= NARROW_MAX ? 2 : 4;
    w->head.vocab = (uint64_t)vocab;
    memcpy(w->head.tokenizer, tokenizer, AT_HASH_HEX);
    at_status s = AT_OK;
    w->hash = XXH3_createState();
    if (!w->hash) s = at_error(c, AT_OOM, "cannot allocate a hash state");
    if (w->hash) (void)XXH3_64bits_reset(w->hash);
    if (!s && !at_reserve(c, &w->start, &w->cap, 1, sizeof *w->start)) s = c->status;
    if (!s) w->start[w->n_start++] = 0;
    if (!s) s = at_out_open(c, path, &w->out);
    static const unsigned char zeros[AT_SHARD_HEAD];
    if (!s) s = at_out_write(c, &w->out, zeros, sizeof zeros);
    if (s)
        at_shard_writer_close(w);
    else
        *out = w;
    return s;
}

static at_status put(at_ctx *c, at_shard_writer *w, const void *data, size_t bytes) {
    (void)XXH3_64bits_update(w->hash, data, bytes);
    return at_out_write(c, &w->out, data, bytes);
}

at_status at_shard_writer_add(at_ctx *c, at_shard_writer *w, const int32_t *id, int64_t n,
                              int64_t bytes, int64_t chars) {
    if (!at_reserve(c, &w->start, &w->cap, w->n_start + 1, sizeof *w->start)) return c->status;
    const int64_t room = BUFFER / (int64_t)w->head.width;
    for (int64_t i = 0; i < n; i += room) {
        const int64_t part = n - i < room ? n - i : room;
        for (int64_t j = 0; j < part; j++) {
            const int32_t t = id[i + j];
            if (t < 0 || (uint64_t)t >= w->head.vocab)
                return at_error(c, AT_ARG, "%s: token id %d is not below %llu", w->out.path, t,
                                (unsigned long long)w->head.vocab);
            if (w->head.width == 2) {
                const uint16_t v = (uint16_t)t;
                memcpy(w->buffer + 2 * j, &v, sizeof v);
            } else {
                memcpy(w->buffer + 4 * j, &t, sizeof t);
            }
        }
        const at_status s = put(c, w, w->buffer, (size_t)part * w->head.width);
        if (s) return s;
    }
    w->head.n_tokens += (uint64_t)n;
    w->head.n_docs++;
    w->head.n_bytes += (uint64_t)bytes;
    w->head.n_chars += (uint64_t)chars;
    w->start[w->n_start++] = w->head.n_tokens;
    return AT_OK;
}

at_status at_shard_writer_commit(at_ctx *c, at_shard_writer *w, at_shard *totals) {
    head *h = &w->head;
    h->token_offset = AT_SHARD_HEAD;
    h->index_offset = index_offset(h->n_tokens, h->width);
    const uint64_t gap = h->index_offset - (AT_SHARD_HEAD + h->n_tokens * h->width);
    static const unsigned char zeros[ALIGN];
    at_status s = at_out_write(c, &w->out, zeros, (size_t)gap);
    if (!s) s = put(c, w, w->start, (size_t)w->n_start * sizeof *w->start);
    h->body = XXH3_64bits_digest(w->hash);
    h->check = XXH3_64bits(h, HASHED);
    if (!s && fseek(w->out.f, 0, SEEK_SET) != 0)
        s = at_error(c, AT_IO, "%s: cannot go back to the header", w->out.path);
    if (!s) s = at_out_write(c, &w->out, h, sizeof *h);
    if (!s) s = at_out_commit(c, &w->out);
    if (!s && totals)
        *totals = (at_shard){.width = (int)h->width,
                             .n_tokens = (int64_t)h->n_tokens,
                             .n_docs = (int64_t)h->n_docs,
                             .n_bytes = (int64_t)h->n_bytes,
                             .n_chars = (int64_t)h->n_chars};
    at_shard_writer_close(w);
    return s;
}
