/* lines.c - see lines.h: a raw buffer, a decoder, a text buffer, and the search for '\n'. */
#include "data/lines.h"
#include "base/file.h"
#include "data/utf8.h"
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

enum { RAW = 1 << 16, ROOM = 1 << 17 };
typedef enum coding { PLAIN, GZIP, ZSTD } coding;

struct at_lines {
    FILE *f;
    char *path;
    coding coding;
    z_stream z;
    bool z_open;
    ZSTD_DStream *zs;
    unsigned char raw[RAW];
    size_t raw_at, raw_n;
    bool raw_end; /* the file has been read to its end             */
    bool mid;     /* inside a compressed stream: the file must not end here */
    int64_t consumed;
    at_bytes text;    /* decoded bytes not handed out yet, and the line last handed out */
    int64_t at;       /* first byte of the next line in text   */
    int64_t searched; /* no '\n' in [at, searched)             */
    int64_t base;     /* offset of text.p[0] in decoded bytes  */
    int64_t limit, number, offset;
    bool pieces, open_line, end;
};

void at_lines_close(at_lines *l) {
    if (!l) return;
    if (l->f) (void)fclose(l->f);
    if (l->z_open) (void)inflateEnd(&l->z);
    if (l->zs) (void)ZSTD_freeDStream(l->zs);
    at_bytes_free(&l->text);
    at_free(l->path);
    at_free(l);
}

static at_status refill(at_ctx *c, at_lines *l) {
    if (l->raw_at < l->raw_n || l->raw_end) return AT_OK;
    errno = 0;
    l->raw_n = fread(l->raw, 1, RAW, l->f);
    l->raw_at = 0;
    l->consumed += (int64_t)l->raw_n;
    if (l->raw_n == 0) {
        if (ferror(l->f))
            return at_error(c, AT_IO, "%s: cannot read: %s", l->path, strerror(errno));
        l->raw_end = true;
    }
    return AT_OK;
}

static at_status decoder_open(at_ctx *c, at_lines *l) {
    at_status s = refill(c, l);
    if (s) return s;
    static const unsigned char zstd_magic[4] = {0x28, 0xB5, 0x2F, 0xFD};
    if (l->raw_n >= 2 && l->raw[0] == 0x1F && l->raw[1] == 0x8B) l->coding = GZIP;
    if (l->raw_n >= 4 && memcmp(l->raw, zstd_magic, 4) == 0) l->coding = ZSTD;
    if (l->coding == GZIP) {
        if (inflateInit2(&l->z, 15 + 16) != Z_OK)
            return at_error(c, AT_OOM, "%s: cannot start zlib", l->path);
        l->z_open = true;
    } else if (l->coding == ZSTD) {
        l->zs = ZSTD_createDStream();
        if (!l->zs) return at_error(c, AT_OOM, "%s: cannot start zstd", l->path);
    }
    return AT_OK;
}

at_status at_lines_open(at_ctx *c, const char *path, int64_t limit, at_lines **out) {
    *out = NULL;
    at_lines *l = at_calloc(c, 1, sizeof *l);
    if (!l) return c->status;
    l->pieces = limit < 0;
    l->limit = limit < 0 ? -limit : limit;
    at_status s = AT_OK;
    if (!(l->path = at_strdup(c, path)))
        s = c->status;
    else if (!(s = at_file_open(c, path, &l->f)))
        s = decoder_open(c, l);
    if (s)
        at_lines_close(l);
    else
        *out = l;
    return s;
}

/* Each decoder decompresses some raw bytes into *n bytes at `to`; *n may be 0. */

static at_status inflate_some(at_ctx *c, at_lines *l, unsigned char *to, size_t room, size_t *n) {
    l->z.next_in = l->raw + l->raw_at;
    l->z.avail_in = (uInt)(l->raw_n - l->raw_at);
    l->z.next_out = to;
    l->z.avail_out = (uInt)room;
    const int r = inflate(&l->z, Z_NO_FLUSH);
    l->raw_at = l->raw_n - l->z.avail_in;
    *n = room - l->z.avail_out;
    l->mid = true;
    if (r == Z_STREAM_END) { /* another gzip member may follow */
        l->mid = false;
        (void)inflateReset(&l->z);
    } else if (r != Z_OK && r != Z_BUF_ERROR) {
        return at_error(c, AT_FORMAT, "%s: damaged gzip data: %s", l->path,
                        l->z.msg ? l->z.msg : "no reason given");
    }
    return AT_OK;
}

static at_status zstd_some(at_ctx *c, at_lines *l, unsigned char *to, size_t room, size_t *n) {
    ZSTD_inBuffer in = {l->raw, l->raw_n, l->raw_at};
    ZSTD_outBuffer out = {to, room, 0};
    const size_t r = ZSTD_decompressStream(l->zs, &out, &in);
    if (ZSTD_isError(r))
        return at_error(c, AT_FORMAT, "%s: damaged zstd data: %s", l->path, ZSTD_getErrorName(r));
    l->raw_at = in.pos;
    l->mid = r != 0;
    *n = out.pos;
    return AT_OK;
}

/* Append decoded bytes to the text; sets end when there are no more. */
static at_status decode(at_ctx *c, at_lines *l) {
    if (l->at > 0) { /* drops the lines handed out before */
        memmove(l->text.p, l->text.p + l->at, (size_t)(l->text.n - l->at));
        l->text.n -= l->at;
        l->base += l->at;
        l->searched -= l->at;
        l->at = 0;
    }
    if (!at_reserve(c, &l->text.p, &l->text.cap, l->text.n + ROOM, 1)) return c->status;
    unsigned char *to = (unsigned char *)l->text.p + l->text.n;
    size_t n = 0;
    at_status s = AT_OK;
    while (!s && n == 0 && !l->end) {
        s = refill(c, l);
        const bool dry = l->raw_at == l->raw_n;
        if (s || (dry && !l->mid)) {
            l->end = true;
        } else if (l->coding == PLAIN) {
            n = l->raw_n - l->raw_at;
            memcpy(to, l->raw + l->raw_at, n);
            l->raw_at = l->raw_n;
        } else {
            s = l->coding == GZIP ? inflate_some(c, l, to, ROOM, &n)
                                  : zstd_some(c, l, to, ROOM, &n);
            if (!s && n == 0 && dry && l->raw_end)
                s = at_error(c, AT_FORMAT, "%s: truncated: the compressed data has no end",
                             l->path);
        }
    }
    l->text.n += (int64_t)n;
    return s;
}

static void return_line(at_lines *l, int64_t length, bool newline, const char **line,
                        size_t *bytes) {
    if (!l->open_line) l->number++;
    l->offset = l->base + l->at;
    *line = l->text.p + l->at;
    *bytes = (size_t)length;
    l->at += length + newline;
    l->searched = l->at;
    l->open_line = !newline;
    if (newline && length > 0 && (*line)[length - 1] == '\r') (*bytes)--;
}

at_status at_lines_next(at_ctx *c, at_lines *l, const char **line, size_t *bytes) {
    *line = NULL;
    *bytes = 0;
    while (true) {
        const char *from = l->text.p ? l->text.p + l->searched : NULL;
        const char *nl = from ? memchr(from, '\n', (size_t)(l->text.n - l->searched)) : NULL;
        l->searched = l->text.n;
        const int64_t have = (nl ? nl - l->text.p : l->text.n) - l->at;
        if (have > l->limit) {
            if (!l->pieces)
                return at_error(c, AT_FORMAT, "%s:%lld: the line is longer than %lld bytes",
                                l->path, (long long)l->number + 1, (long long)l->limit);
            size_t cut = at_utf8_cut(l->text.p + l->at, (size_t)have, (size_t)l->limit);
            if (cut == 0) cut = (size_t)l->limit;
            return_line(l, (int64_t)cut, false, line, bytes);
            return AT_OK;
        }
        if (nl) {
            return_line(l, have, true, line, bytes);
            return AT_OK;
        }
        if (l->end) {
            if (have > 0) return_line(l, have, false, line, bytes);
            return AT_OK;
        }
        const at_status s = decode(c, l);
        if (s) return s;
    }
}

at_status at_lines_rest(at_ctx *c, at_lines *l, int64_t most, char **text, size_t *bytes) {
    at_status s = AT_OK;
    *text = NULL;
    while (!s && !l->end && l->text.n - l->at <= most) s = decode(c, l);
    if (!s && l->text.n - l->at > most)
        s = at_error(c, AT_FORMAT, "%s: longer than %lld bytes", l->path, (long long)most);
    if (!s && !(*text = at_malloc(c, (size_t)(l->text.n - l->at) + 1))) s = AT_OOM;
    if (s) return s;
    *bytes = (size_t)(l->text.n - l->at);
    if (*bytes) memcpy(*text, l->text.p + l->at, *bytes);
    (*text)[*bytes] = 0;
    return AT_OK;
}

int64_t at_lines_number(const at_lines *l) { return l->number; }
int64_t at_lines_offset(const at_lines *l) { return l->offset; }
int64_t at_lines_consumed(const at_lines *l) { return l->consumed; }
