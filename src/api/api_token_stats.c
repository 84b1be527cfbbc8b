/* api_token_stats.c - what a tokenizer makes of texts: tokens, whether they give back every byte, and
   which are the most frequent. */
#include "api/api.h"
#include "base/file.h"
#include "base/text.h"
#include "token/tokenizer.h"
#include <stdlib.h>
#include <string.h>

typedef struct stats {
    at_ctx *c;
    const at_tokenizer *t;
    int64_t files, bytes, chars, tokens, decoded, partial, distinct;
    bool exact;     /* every file came back from its tokens     */
    int64_t *count; /* [vocabulary] how often a token occurs    */
    bool *partly;   /* [vocabulary] it is not whole characters   */
} stats;

static double per(int64_t a, int64_t b) { return b ? (double)a / (double)b : 0; }

/* Is it bytes of characters, not characters? */
static bool is_partial(const char *s, size_t n) {
    for (size_t i = 0; i < n;) {
        const unsigned char b = (unsigned char)s[i];
        const size_t len = b < 0x80               ? 1
                           : b < 0xC2 || b > 0xF4 ? 0
                           : b < 0xE0             ? 2
                           : b < 0xF0             ? 3
                                                  : 4;
        if (!len || i + len > n) return true;
        for (size_t k = 1; k < len; k++)
            if ((s[i + k] & 0xC0) != 0x80) return true;
        i += len;
    }
    return false;
}

static at_status stats_open(at_ctx *c, const at_tokenizer *t, stats *s) {
    const int64_t size = at_tokenizer_size(t);
    *s = (stats){.c = c, .t = t, .exact = true};
    s->count = at_calloc(c, (size_t)size, sizeof *s->count);
    s->partly = at_calloc(c, (size_t)size, sizeof *s->partly);
    if (!s->count || !s->partly) return c->status;
    for (int64_t id = 0; id < size; id++) {
        size_t n = 0;
        const char *bytes = at_tokenizer_bytes(t, (int32_t)id, &n);
        s->partly[id] = bytes && is_partial(bytes, n);
    }
    return AT_OK;
}

static void stats_close(stats *s) {
    at_free(s->count);
    at_free(s->partly);
}

static at_status count_text(stats *s, const char *text, size_t bytes) {
    at_ids ids = {0};
    at_status st = at_tokenizer_encode(s->c, s->t, text, bytes, true, &ids);
    size_t n = 0;
    char *back = st ? NULL : at_tokenizer_decode(s->c, s->t, ids.id, ids.n, &n);
    if (!st && !back) st = s->c->status;
    for (size_t i = 0; i < bytes; i++) s->chars += (text[i] & 0xC0) != 0x80;
    for (int64_t i = 0; i < ids.n && !st; i++) {
        s->distinct += !s->count[ids.id[i]]++;
        s->partial += s->partly[ids.id[i]];
    }
    s->exact = s->exact && !st && n == bytes && !memcmp(text, back, n);
    s->files++;
    s->bytes += (int64_t)bytes;
    s->decoded += (int64_t)n;
    s->tokens += ids.n;
    at_free(back);
    at_ids_free(&ids);
    return st;
}

static at_status count_file(stats *s, const char *path) {
    at_map m;
    if (at_interrupted(s->c)) return at_error(s->c, AT_INTERRUPTED, "%s: interrupted", path);
    at_status st = at_map_open(s->c, path, &m);
    if (st) return st;
    st = count_text(s, m.bytes ? (const char *)m.data : "", m.bytes);
    at_map_close(&m);
    return st ? at_error_in(s->c, path) : AT_OK;
}

/* A file, or every file below a folder. */
static at_status count_path(stats *s, const char *path) {
    if (!at_is_dir(path)) return count_file(s, path);
    at_list list = {0};
    at_status st = at_list_tree(s->c, path, &list);
    for (int64_t i = 0; i < list.n && !st; i++) {
        char *file = at_join(s->c, path, list.item[i]);
        st = file ? count_file(s, file) : s->c->status;
        at_free(file);
    }
    at_list_free(&list);
    return st;
}

static void add_up(stats *all, const stats *s) {
    all->files += s->files;
    all->bytes += s->bytes;
    all->chars += s->chars;
    all->tokens += s->tokens;
    all->decoded += s->decoded;
    all->partial += s->partial;
    all->exact = all->exact && s->exact;
    for (int64_t id = 0; id < at_tokenizer_size(s->t); id++) {
        all->distinct += s->count[id] && !all->count[id];
        all->count[id] += s->count[id];
    }
}

static artel_status emit_stats(artel *a, const char *file, const stats *s, artel_emit emit,
                               void *user) {
    const int64_t size = at_tokenizer_size(s->t);
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
    at_json_put_number(&j, "used", per(s->distinct, size));
    at_json_put_number(&j, "partial", per(s->partial, s->tokens));
    at_json_put_number(&j, "files", (double)s->files);
    at_json_put_number(&j, "decoded_bytes", (double)s->decoded);
    at_json_put_bool(&j, "exact", s->exact);
    return at_emit(a, emit, user, &j);
}

/* ---- the most frequent tokens ---- */

typedef struct ranked {
    int64_t count;
    int32_t id;
} ranked;

static int by_count(const void *a, const void *b) {
    const ranked *x = a, *y = b;
    if (x->count != y->count) return x->count > y->count ? -1 : 1;
    return (x->id > y->id) - (x->id < y->id);
}

static artel_status emit_token(artel *a, const char *file, const stats *s, ranked r,
                               artel_emit emit, void *user) {
    size_t n = 0;
    const char *bytes = at_tokenizer_bytes(s->t, r.id, &n);
    at_text shown, hex;
    at_text_init(&shown, &a->ctx, 0);
    at_text_init(&hex, &a->ctx, 0);
    at_text_utf8(&shown, bytes, n);
    for (size_t i = 0; i < n; i++) at_textf(&hex, "%02x", (unsigned)(unsigned char)bytes[i]);
    char *text = at_text_take(&shown), *digits = at_text_take(&hex);
    artel_status st = text && digits ? ARTEL_OK : ARTEL_OOM;
    if (!st) {
        at_json j;
        at_json_open(&j, &a->ctx);
        at_json_put_string(&j, "file", file);
        at_json_put_number(&j, "token", r.id);
        at_json_put_string(&j, "text", text);
        at_json_put_string(&j, "hex", digits);
        at_json_put_number(&j, "count", (double)r.count);
        at_json_put_number(&j, "share", per(r.count, s->tokens));
        st = at_emit(a, emit, user, &j);
    }
    at_free(text);
    at_free(digits);
    return st;
}

static artel_status emit_top(artel *a, const char *file, const stats *s, int64_t top,
                             artel_emit emit, void *user) {
    const int64_t size = at_tokenizer_size(s->t);
    ranked *r = at_malloc(s->c, (size_t)size * sizeof *r);
    artel_status st = r ? ARTEL_OK : ARTEL_OOM;
    for (int64_t id = 0; id < size && !st; id++) r[id] = (ranked){s->count[id], (int32_t)id};
    if (!st) qsort(r, (size_t)size, sizeof *r, by_count);
    for (int64_t i = 0; i < size && i < top && !st && r[i].count; i++)
        st = emit_token(a, file, s, r[i], emit, user);
    at_free(r);
    return st;
}

/* ---- a text after the other ---- */

artel_status artel_tokenizer_stats(artel *a, const artel_tokenizer *tokenizer,
                                   const char *const *file, int n, artel_emit emit, void *user) {
    const at_tokenizer *t = (const void *)tokenizer;
    stats all;
    artel_status st = (artel_status)stats_open(&a->ctx, t, &all);
    for (int i = 0; i < n && !st; i++) {
        stats s;
        st = (artel_status)stats_open(&a->ctx, t, &s);
        if (!st) st = (artel_status)count_path(&s, file[i]);
        if (!st) {
            add_up(&all, &s);
            st = emit_stats(a, file[i], &s, emit, user);
        }
        stats_close(&s);
    }
    if (!st && n > 1) st = emit_stats(a, "all", &all, emit, user);
    stats_close(&all);
    return at_answer(a, (at_status)st);
}

artel_status artel_tokenizer_top(artel *a, const artel_tokenizer *tokenizer,
                                 const char *const *file, int n, int64_t top, artel_emit emit,
                                 void *user) {
    const at_tokenizer *t = (const void *)tokenizer;
    artel_status st = ARTEL_OK;
    for (int i = 0; i < n && !st; i++) {
        stats s;
        st = (artel_status)stats_open(&a->ctx, t, &s);
        if (!st) st = (artel_status)count_path(&s, file[i]);
        if (!st) st = emit_top(a, file[i], &s, top, emit, user);
        stats_close(&s);
    }
    return at_answer(a, (at_status)st);
}
