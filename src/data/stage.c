/* stage.c - see stage.h. */
#include "data/stage.h"
#include "base/rng.h"
#include <errno.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

static at_status io_error(at_ctx *c, const char *path, const char *what) {
    return at_error(c, AT_IO, "%s: cannot %s: %s", path, what, strerror(errno));
}

at_status at_stage_open(at_ctx *c, at_stage *s, const char *dir, const char *name) {
    *s = (at_stage){0};
    char leaf[80];
    (void)snprintf(leaf, sizeof leaf, "%.64s.text", name);
    s->text_path = at_join(c, dir, leaf);
    (void)snprintf(leaf, sizeof leaf, "%.64s.ids", name);
    s->ids_path = at_join(c, dir, leaf);
    s->name = at_strdup(c, name);
    if (!s->text_path || !s->ids_path || !s->name) return c->status;
    if (!(s->text = fopen(s->text_path, "w+b"))) return io_error(c, s->text_path, "create");
    if (!(s->ids = fopen(s->ids_path, "w+b"))) return io_error(c, s->ids_path, "create");
    return AT_OK;
}

void at_stage_close(at_stage *s) {
    if (s->text) (void)fclose(s->text);
    if (s->ids) (void)fclose(s->ids);
    at_free(s->text_path);
    at_free(s->ids_path);
    at_free(s->name);
    at_free(s->doc);
    at_free(s->tag);
    at_bytes_free(&s->clean);
    *s = (at_stage){0};
}

/* ---- filters ---- */

/* Whether the text ends as sentences do: with . ! ? : ; or an ellipsis, perhaps inside quotes or
   brackets.  Menus, captions, links and table cells rarely do. */
static bool ends_sentence(const char *p, size_t n) {
    static const char *const closing[] = {")",      "]",      "\"",     "'",
                                          "\u00BB", "\u201D", "\u2019", "\u201C"};
    static const char *const ending[] = {".", "!", "?", ":", ";", "\u2026", "\u3002"};
    for (bool again = true; again;) {
        again = n > 0 && p[n - 1] == ' ';
        n -= again;
        for (size_t i = 0; i < sizeof closing / sizeof *closing; i++) {
            const size_t m = strlen(closing[i]);
            if (n < m || memcmp(p + n - m, closing[i], m) != 0) continue;
            n -= m;
            again = true;
        }
    }
    for (size_t i = 0; i < sizeof ending / sizeof *ending; i++) {
        const size_t m = strlen(ending[i]);
        if (n >= m && memcmp(p + n - m, ending[i], m) == 0) return true;
    }
    return false;
}

/* Whether to keep a paragraph; counts the reason when not. */
static at_status filter_paragraph(at_ctx *c, at_stage *s, const at_document *d, const char *p,
                                  size_t n, const at_filter *f, at_dedup *seen, bool *stays) {
    *stays = false;
    if (d->separator) {
        const int64_t chars = at_utf8_count(p, n);
        if (n == 0) return AT_OK;
        if (chars < f->min_chars) {
            s->dropped.too_short++;
            return AT_OK;
        }
        if ((double)at_utf8_letters(p, n) < f->min_letters * (double)chars) {
            s->dropped.few_letters++;
            return AT_OK;
        }
        if (d->html && f->min_chars > 0 && !ends_sentence(p, n)) {
            s->dropped.no_sentence++;
            return AT_OK;
        }
    }
    const at_status status = at_dedup_add(c, seen, p, n, stays);
    if (!status && !*stays) {
        s->dropped.duplicates++;
        s->dropped.duplicate_bytes += (int64_t)n;
    }
    return status;
}

static const char *find(const char *p, const char *end, const char *what) {
    const size_t m = strlen(what);
    while ((size_t)(end - p) >= m && (p = memchr(p, what[0], (size_t)(end - p) - m + 1))) {
        if (memcmp(p, what, m) == 0) return p;
        p++;
    }
    return end;
}

static at_status clean(at_ctx *c, at_stage *s, const at_document *d, const at_filter *f,
                       at_dedup *seen) {
    const char *p = d->text, *end = d->text + d->bytes;
    const size_t gap = d->separator ? strlen(d->separator) : 0;
    at_status status = AT_OK;
    s->clean.n = 0;
    while (!status && p < end) {
        const char *stop = gap ? find(p, end, d->separator) : end;
        const char *from = p;
        size_t n = (size_t)(stop - p);
        p = stop + (stop < end ? gap : 0);
        while (gap && n > 0 && (*from == '\n' || *from == '\r')) from++, n--;
        while (gap && n > 0 && strchr(" \n\r\t", from[n - 1])) n--;
        bool stays;
        status = filter_paragraph(c, s, d, from, n, f, seen, &stays);
        if (!status && stays && s->clean.n > 0)
            status = at_bytes_add(c, &s->clean, d->separator, gap);
        if (!status && stays) status = at_bytes_add(c, &s->clean, from, n);
    }
    return status;
}

at_status at_stage_add(at_ctx *c, at_stage *s, const at_document *d, const at_filter *f,
                       at_dedup *seen) {
    at_status status = clean(c, s, d, f, seen);
    if (status) return status;
    if (s->clean.n == 0) {
        s->dropped.documents++;
        return AT_OK;
    }
    if (!at_reserve(c, &s->doc, &s->cap, s->n + 1, sizeof *s->doc)) return c->status;
    if (fwrite(s->clean.p, 1, (size_t)s->clean.n, s->text) != (size_t)s->clean.n)
        return io_error(c, s->text_path, "write");
    const char *group = d->file ? d->file : d->key;
    s->doc[s->n++] = (at_staged){.key = XXH3_64bits(d->key, strlen(d->key)),
                                 .group = XXH3_64bits(group, strlen(group)),
                                 .file = XXH3_64bits(group, strlen(group)),
                                 .text_at = s->text_bytes,
                                 .bytes = s->clean.n,
                                 .chars = at_utf8_count(s->clean.p, (size_t)s->clean.n),
                                 .words = at_utf8_words(s->clean.p, (size_t)s->clean.n),
                                 .gap = d->separator ? (int)strlen(d->separator) : 0,
                                 .pair = d->pair};
    s->text_bytes += s->clean.n;
    return AT_OK;
}

/* ---- writing anew ---- */

bool at_paragraph_next(at_paragraphs *all, const char **p, size_t *bytes) {
    static const char *const separator[] = {"", "\n", "\n\n"};
    if (all->p >= all->end) return false;
    const char *stop = all->gap ? find(all->p, all->end, separator[all->gap]) : all->end;
    *p = all->p;
    *bytes = (size_t)(stop - all->p);
    all->p = stop < all->end ? stop + all->gap : all->end;
    return true;
}

/* What stays of a document, in s->clean. */
static at_status what_stays(at_ctx *c, at_stage *s, const at_staged *d, const at_bytes *text,
                            at_stays_fn stays, void *user) {
    at_paragraphs all = {text->p, text->p + text->n, d->gap};
    const char *p;
    size_t n;
    at_status status = AT_OK;
    s->clean.n = 0;
    for (int64_t i = 0; !status && at_paragraph_next(&all, &p, &n); i++) {
        bool yes;
        status = stays(c, user, s, d, i, p, n, &yes);
        if (status || !yes) continue;
        if (s->clean.n > 0) status = at_bytes_add(c, &s->clean, "\n\n", (size_t)d->gap);
        if (!status) status = at_bytes_add(c, &s->clean, p, n);
    }
    return status;
}

/* The text of s->clean as that of the document. */
static at_status append(at_ctx *c, FILE *f, const char *path, const at_bytes *clean, int64_t at,
                        at_staged *d) {
    if (fwrite(clean->p, 1, (size_t)clean->n, f) != (size_t)clean->n)
        return io_error(c, path, "write");
    d->text_at = at;
    d->bytes = clean->n;
    d->chars = at_utf8_count(clean->p, (size_t)clean->n);
    d->words = at_utf8_words(clean->p, (size_t)clean->n);
    return AT_OK;
}

static at_status refine_into(at_ctx *c, at_stage *s, FILE *f, const char *path, at_stays_fn stays,
                             void *user) {
    at_bytes text = {0};
    int64_t kept = 0, at = 0;
    at_status status = AT_OK;
    for (int64_t i = 0; !status && i < s->n; i++) {
        at_staged d = s->doc[i];
        if (at_interrupted(c)) status = at_error(c, AT_INTERRUPTED, "data build: interrupted");
        if (!status) status = at_stage_text(c, s, &d, &text);
        if (!status) status = what_stays(c, s, &d, &text, stays, user);
        if (status) break;
        if (s->clean.n == 0) {
            s->dropped.documents++;
            continue;
        }
        status = append(c, f, path, &s->clean, at, &d);
        at += d.bytes;
        s->doc[kept++] = d;
    }
    at_bytes_free(&text);
    if (!status) s->n = kept;
    if (!status) s->text_bytes = at;
    return status;
}

at_status at_stage_refine(at_ctx *c, at_stage *s, at_stays_fn stays, void *user) {
    at_bytes path = {0};
    at_status status = at_bytes_add(c, &path, s->text_path, strlen(s->text_path));
    if (!status) status = at_bytes_add(c, &path, ".new", 5);
    FILE *f = NULL;
    if (!status && !(f = fopen(path.p, "w+b"))) status = io_error(c, path.p, "create");
    if (!status) status = refine_into(c, s, f, path.p, stays, user);
    if (!status && rename(path.p, s->text_path) != 0) status = io_error(c, path.p, "rename");
    if (!status) { /* the old text is gone with its file */
        (void)fclose(s->text);
        s->text = f;
    } else if (f) {
        (void)fclose(f);
    }
    at_bytes_free(&path);
    return status;
}

/* ---- reading back ---- */

static at_status read_at(at_ctx *c, FILE *f, const char *path, void *to, size_t bytes, int64_t at) {
    if (fflush(f) != 0) return io_error(c, path, "write");
    char *p = to;
    while (bytes > 0) {
        const ssize_t n = pread(fileno(f), p, bytes, (off_t)at);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return io_error(c, path, "read");
        if (n == 0) return at_error(c, AT_IO, "%s: the temporary file became shorter", path);
        p += n;
        at += n;
        bytes -= (size_t)n;
    }
    return AT_OK;
}

at_status at_stage_text(at_ctx *c, at_stage *s, const at_staged *d, at_bytes *t) {
    if (!at_reserve(c, &t->p, &t->cap, d->bytes + 1, 1)) return c->status;
    t->n = d->bytes;
    return read_at(c, s->text, s->text_path, t->p, (size_t)d->bytes, d->text_at);
}

at_status at_stage_ids(at_ctx *c, at_stage *s, const at_staged *d, int32_t *out) {
    return read_at(c, s->ids, s->ids_path, out, (size_t)d->tokens * sizeof *out,
                   d->ids_at * (int64_t)sizeof *out);
}

at_status at_stage_put_ids(at_ctx *c, at_stage *s, const int32_t *id, int64_t n) {
    if (fwrite(id, sizeof *id, (size_t)n, s->ids) != (size_t)n)
        return io_error(c, s->ids_path, "write");
    s->n_ids += n;
    return AT_OK;
}

static const char *const units[AT_UNITS] = {"tokens", "bytes", "chars", "docs", "words"};

const char *at_unit_name(at_unit u) { return units[u]; }

bool at_unit_parse(const char *name, at_unit *out) {
    for (int i = 0; i < AT_UNITS; i++)
        if (strcmp(units[i], name) == 0) {
            *out = (at_unit)i;
            return true;
        }
    return false;
}

int64_t at_staged_units(const at_staged *d, at_unit unit) {
    switch (unit) {
    case AT_UNIT_TOKENS: return d->tokens;
    case AT_UNIT_BYTES: return d->bytes;
    case AT_UNIT_CHARS: return d->chars;
    case AT_UNIT_WORDS: return d->words;
    case AT_UNIT_DOCS:
    case AT_UNITS: break;
    }
    return 1;
}
