/* reader.c - text, JSON lines, web pages, program sources: one function each. */
#include "data/reader.h"
#include "base/json.h"
#include "data/html_strip.h"
#include "data/lines.h"
#include "data/pairs.h"
#include <stdio.h>
#include <string.h>

enum {
    STRETCH = 4096,        /* a long text is cut after a paragraph once so long  */
    PIECE = 1 << 16,       /* a line of text longer than this is cut             */
    JSON_LINE = 256 << 20, /* a JSON line longer than this is an error           */
};

static at_status emit_document(at_ctx *c, const at_reader *r, at_document *d) {
    r->left->documents++;
    return r->fn(c, r->user, d);
}

static void tick(at_ctx *c, const at_reader *r, const at_lines *l) {
    if (r->reading->tick) r->reading->tick(c, r->reading->tick_user, at_lines_consumed(l));
}

/* Text that is not UTF-8: an error when strict, otherwise counted, and a warning is logged. */
static at_status not_utf8(at_ctx *c, const at_reader *r, const char *where, int64_t offset) {
    if (r->reading->strict)
        return at_error(c, AT_FORMAT, "%s: not UTF-8 text: byte %lld", where, (long long)offset);
    r->left->not_utf8++;
    at_log(c, AT_LOG_WARN, "%s: left out: not UTF-8 text (byte %lld)", where, (long long)offset);
    return AT_OK;
}

static at_status empty(at_ctx *c, const at_reader *r) {
    r->left->empty++;
    at_log(c, AT_LOG_WARN, "%s: the file is empty", r->path);
    return AT_OK;
}

/* ---- text ---- */

typedef struct stretch {
    at_bytes text, key;
    int64_t number;
    bool gap; /* a blank line came since the last line */
} stretch;

static at_status stretch_end(at_ctx *c, const at_reader *r, stretch *t) {
    if (t->text.n == 0) return AT_OK;
    char number[32] = "";
    if (t->number) (void)snprintf(number, sizeof number, "#%lld", (long long)t->number);
    t->key.n = 0;
    at_status s = at_bytes_add(c, &t->key, r->key, strlen(r->key));
    if (!s) s = at_bytes_add(c, &t->key, number, strlen(number) + 1);
    if (!s)
        s = emit_document(c, r,
                          &(at_document){.key = t->key.p,
                                         .file = r->key,
                                         .text = t->text.p,
                                         .bytes = t->text.n,
                                         .separator = "\n\n",
                                         .where = r->path});
    t->text.n = 0;
    t->number++;
    t->gap = false;
    return s;
}

static bool blank(const char *line, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (line[i] != ' ' && line[i] != '\t' && line[i] != '\r' && line[i] != '\f') return false;
    return true;
}

static at_status stretch_line(at_ctx *c, const at_reader *r, stretch *t, const char *line,
                              size_t n) {
    if (blank(line, n)) {
        t->gap = true;
        return t->text.n >= STRETCH ? stretch_end(c, r, t) : AT_OK;
    }
    at_status s = AT_OK;
    /* a text without blank lines has a paragraph on each line, so it is cut between
               lines */
    if (t->text.n >= 2 * STRETCH) s = stretch_end(c, r, t);
    if (!s && t->text.n > 0) s = at_bytes_add(c, &t->text, "\n\n", t->gap ? 2 : 1);
    t->gap = false;
    return s ? s : at_bytes_add(c, &t->text, line, n);
}

/* Checked before any document of the file is handed out, so that the whole file can be skipped. */
static at_status text_check(at_ctx *c, const at_reader *r, int64_t *bad, int64_t *bytes) {
    at_lines *l;
    at_status s = at_lines_open(c, r->path, -(int64_t)PIECE, &l);
    if (s) return s;
    const char *line;
    size_t n;
    *bad = -1;
    *bytes = 0;
    while (!(s = at_lines_next(c, l, &line, &n)) && line) {
        const int64_t at = at_utf8_error(line, n);
        if (at >= 0) *bad = at_lines_offset(l) + at;
        if (at >= 0 || at_interrupted(c)) break;
        *bytes += (int64_t)n;
    }
    at_lines_close(l);
    return s;
}

static at_status read_text(at_ctx *c, const at_reader *r) {
    int64_t bad, bytes;
    at_status s = text_check(c, r, &bad, &bytes);
    if (s) return s;
    if (bad >= 0) return not_utf8(c, r, r->path, bad);
    if (bytes == 0) return empty(c, r);
    at_lines *l;
    if ((s = at_lines_open(c, r->path, -(int64_t)PIECE, &l))) return s;
    stretch t = {0};
    const char *line;
    size_t n;
    while (!(s = at_lines_next(c, l, &line, &n)) && line) {
        if (at_lines_offset(l) == 0 && n >= 3 && memcmp(line, "\xEF\xBB\xBF", 3) == 0) {
            line += 3; /* byte order mark */
            n -= 3;
        }
        if ((s = stretch_line(c, r, &t, line, n)) || at_interrupted(c)) break;
        tick(c, r, l);
    }
    if (!s) s = stretch_end(c, r, &t);
    at_lines_close(l);
    at_bytes_free(&t.text);
    at_bytes_free(&t.key);
    return s;
}

/* ---- JSON lines ---- */

static at_status json_key(at_ctx *c, const at_reader *r, const cJSON *o, int64_t line,
                          at_bytes *key) {
    const cJSON *id = cJSON_GetObjectItemCaseSensitive(o, "id");
    char number[64];
    key->n = 0;
    /* An id identifies the document whatever file it is in, so the file's name is not in the
       key. */
    if (cJSON_IsString(id) && id->valuestring[0])
        return at_bytes_add(c, key, id->valuestring, strlen(id->valuestring) + 1);
    if (cJSON_IsNumber(id))
        (void)snprintf(number, sizeof number, "%.17g", id->valuedouble);
    else
        (void)snprintf(number, sizeof number, "#%lld", (long long)line);
    at_status s = cJSON_IsNumber(id) ? AT_OK : at_bytes_add(c, key, r->key, strlen(r->key));
    return s ? s : at_bytes_add(c, key, number, strlen(number) + 1);
}

static at_status json_line(at_ctx *c, const at_reader *r, const char *line, size_t n,
                           int64_t number, at_bytes *key) {
    char where[600];
    (void)snprintf(where, sizeof where, "%.560s:%lld", r->path, (long long)number);
    const int64_t bad = at_utf8_error(line, n);
    if (bad >= 0) return not_utf8(c, r, where, bad);
    cJSON *o = at_json_parse(c, where, line, n);
    if (!o) return c->status;
    const char *field = r->reading->text_field ? r->reading->text_field : "text", *text;
    at_status s = AT_OK;
    if (!cJSON_IsObject(o))
        s = at_error(c, AT_FORMAT, "%s: expected a JSON object with a string \"%s\"", where, field);
    if (!s) s = at_json_string(c, where, o, field, &text);
    const int64_t inside = s ? -1 : at_utf8_error(text, strlen(text)); /* "\ud800" */
    if (!s && inside >= 0)
        s = not_utf8(c, r, where, inside);
    else if (!s && blank(text, strlen(text)))
        r->left->empty++;
    else if (!s && !(s = json_key(c, r, o, number, key)))
        s = emit_document(c, r,
                          &(at_document){.key = key->p,
                                         .text = text,
                                         .bytes = (int64_t)strlen(text),
                                         .separator = "\n\n",
                                         .where = where});
    cJSON_Delete(o);
    return s;
}

/* ---- pairs ---- */

typedef struct pair_state {
    at_pair_line line;
    at_bytes text, key;
} pair_state;

static at_status pair_line(at_ctx *c, const at_reader *r, const char *line, size_t n,
                           int64_t number, pair_state *p) {
    char where[600];
    (void)snprintf(where, sizeof where, "%.560s:%lld", r->path, (long long)number);
    const int64_t bad = at_utf8_error(line, n);
    if (bad >= 0) return not_utf8(c, r, where, bad);
    at_status s = at_pair_parse(c, where, line, n, &p->line);
    if (s) return s;
    const at_bytes *a = &p->line.source, *b = &p->line.target;
    if (a->n == 0 || b->n == 0) {
        r->left->empty++;
        return AT_OK;
    }
    const at_bytes *key = p->line.id.n ? &p->line.id : a;
    p->text.n = p->key.n = 0;
    s = at_bytes_add(c, &p->text, a->p, (size_t)a->n);
    if (!s) s = at_bytes_add(c, &p->text, (char[]){AT_PAIR_MARK}, 1);
    if (!s) s = at_bytes_add(c, &p->text, b->p, (size_t)b->n);
    if (!s) s = at_bytes_add(c, &p->key, key->p, (size_t)key->n);
    if (!s) s = at_bytes_add(c, &p->key, "", 1);
    if (s) return s;
    return emit_document(
        c, r,
        &(at_document){
            .key = p->key.p, .text = p->text.p, .bytes = p->text.n, .where = where, .pair = true});
}

/* Lines that are not blank, without a byte order mark. */
static at_status each_line(at_ctx *c, const at_reader *r,
                           at_status (*f)(at_ctx *, const at_reader *, const char *, size_t,
                                          int64_t, void *),
                           void *user) {
    at_lines *l;
    at_status s = at_lines_open(c, r->path, JSON_LINE, &l);
    if (s) return s;
    const char *line;
    size_t n;
    while (!(s = at_lines_next(c, l, &line, &n)) && line) {
        if (at_lines_number(l) == 1 && n >= 3 && memcmp(line, "\xEF\xBB\xBF", 3) == 0) {
            line += 3;
            n -= 3;
        }
        if (blank(line, n)) continue;
        if ((s = f(c, r, line, n, at_lines_number(l), user)) || at_interrupted(c)) break;
        tick(c, r, l);
    }
    if (!s && at_lines_number(l) == 0) s = empty(c, r);
    at_lines_close(l);
    return s;
}

static at_status a_pair(at_ctx *c, const at_reader *r, const char *line, size_t n, int64_t number,
                        void *user) {
    return pair_line(c, r, line, n, number, user);
}

static at_status a_document(at_ctx *c, const at_reader *r, const char *line, size_t n,
                            int64_t number, void *user) {
    return json_line(c, r, line, n, number, user);
}

static at_status read_pairs(at_ctx *c, const at_reader *r) {
    pair_state p = {0};
    const at_status s = each_line(c, r, a_pair, &p);
    at_pair_line_free(&p.line);
    at_bytes_free(&p.text);
    at_bytes_free(&p.key);
    return s;
}

static at_status read_jsonl(at_ctx *c, const at_reader *r) {
    at_bytes key = {0};
    const at_status s = each_line(c, r, a_document, &key);
    at_bytes_free(&key);
    return s;
}

/* ---- whole files ---- */

static bool long_line(const at_map *m, int64_t max) {
    const unsigned char *p = m->data, *end = m->data + m->bytes;
    while (p < end) {
        const unsigned char *nl = memchr(p, '\n', (size_t)(end - p));
        if ((nl ? nl : end) - p > max) return true;
        if (!nl) break;
        p = nl + 1;
    }
    return false;
}

static at_status whole_html(at_ctx *c, const at_reader *r, const char *p, size_t n) {
    at_bytes text = {0};
    at_status s = at_html_strip(c, p, n, &text);
    if (!s && text.n > 0)
        s = emit_document(c, r,
                          &(at_document){.key = r->key,
                                         .text = text.p,
                                         .bytes = text.n - 1, /* without the last '\n' */
                                         .separator = "\n",
                                         .html = true,
                                         .where = r->path});
    at_bytes_free(&text);
    return s;
}

static at_status read_whole(at_ctx *c, const at_reader *r, bool html) {
    at_map m;
    at_status s = at_map_open(c, r->path, &m);
    if (s) return s;
    const char *p = (const char *)m.data;
    size_t n = m.bytes;
    const int64_t bad = (int64_t)n <= r->reading->max_file ? at_utf8_error(p, n) : -1;
    if (n == 0) {
        s = empty(c, r);
    } else if ((int64_t)n > r->reading->max_file) {
        r->left->too_large++;
    } else if (bad >= 0) {
        s = not_utf8(c, r, r->path, bad);
    } else if (html) {
        s = whole_html(c, r, p, n);
    } else if ((int64_t)n < r->reading->min_source) {
        r->left->too_small++;
    } else if (long_line(&m, r->reading->max_line)) {
        r->left->long_lines++;
    } else {
        if (n >= 3 && memcmp(p, "\xEF\xBB\xBF", 3) == 0) {
            p += 3;
            n -= 3;
        }
        s = emit_document(
            c, r, &(at_document){.key = r->key, .text = p, .bytes = (int64_t)n, .where = r->path});
    }
    at_map_close(&m);
    return s;
}

at_status at_reader_run(at_ctx *c, at_source_kind kind, const at_reader *r) {
    switch (kind) {
    case AT_KIND_JSONL: return read_jsonl(c, r);
    case AT_KIND_PAIRS: return read_pairs(c, r);
    case AT_KIND_HTML: return read_whole(c, r, true);
    case AT_KIND_SOURCE: return read_whole(c, r, false);
    case AT_KIND_AUTO:
    case AT_KIND_TEXT: break;
    }
    return read_text(c, r);
}
