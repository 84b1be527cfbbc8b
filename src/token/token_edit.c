/* token_edit.c - see token_edit.h.  Unicode normalisation is utf8proc's. */
#include "token/token_edit.h"
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

at_status at_edits_add(at_ctx *c, at_edits *e, at_edit_kind kind, const char *from,
                       const char *to) {
    if (!at_reserve(c, &e->item, &e->cap, e->n + 1, sizeof *e->item)) return c->status;
    at_edit x = {.kind = kind};
    if ((from && !(x.from = at_strdup(c, from))) || (to && !(x.to = at_strdup(c, to)))) {
        at_free(x.from);
        return c->status;
    }
    e->item[e->n++] = x;
    return AT_OK;
}

void at_edits_close(at_edits *e) {
    for (int64_t i = 0; i < e->n; i++) {
        at_free(e->item[i].from);
        at_free(e->item[i].to);
    }
    at_free(e->item);
    *e = (at_edits){0};
}

static bool put(at_ctx *c, at_editor *m, const char *s, size_t n) {
    if (!at_reserve(c, &m->text, &m->cap, m->n + (int64_t)n, 1)) return false;
    if (n) memcpy(m->text + m->n, s, n);
    m->n += (int64_t)n;
    return true;
}

static bool replace(at_ctx *c, at_editor *m, const at_edit *e, const char *s, size_t n) {
    const size_t from = strlen(e->from), to = strlen(e->to);
    size_t done = 0;
    for (size_t i = 0; i + from <= n;) {
        const char *hit = memchr(s + i, e->from[0], n - from - i + 1);
        if (!hit) break;
        i = (size_t)(hit - s);
        if (memcmp(hit, e->from, from) != 0) {
            i++;
            continue;
        }
        if (!put(c, m, s + done, i - done) || !put(c, m, e->to, to)) return false;
        done = i += from;
    }
    return put(c, m, s + done, n - done);
}

static at_status unicode_form(at_ctx *c, at_editor *m, at_edit_kind kind, const char *s, size_t n) {
    size_t ascii = 0;
    while (ascii < n && (unsigned char)s[ascii] < 0x80) ascii++;
    if (ascii == n)
        return put(c, m, s, n) ? AT_OK : c->status; /* ASCII is normalised in all four forms */
    const bool compose = kind == AT_EDIT_NFC || kind == AT_EDIT_NFKC;
    const bool compat = kind == AT_EDIT_NFKC || kind == AT_EDIT_NFKD;
    const int how = UTF8PROC_STABLE | (compose ? UTF8PROC_COMPOSE : UTF8PROC_DECOMPOSE) |
                    (compat ? UTF8PROC_COMPAT : 0);
    utf8proc_uint8_t *out = NULL;
    const utf8proc_ssize_t got = utf8proc_map((const utf8proc_uint8_t *)s, (utf8proc_ssize_t)n,
                                              &out, (utf8proc_option_t)how);
    if (got < 0)
        return at_error(c, got == UTF8PROC_ERROR_NOMEM ? AT_OOM : AT_FORMAT,
                        "Unicode normalisation: %s", utf8proc_errmsg(got));
    const bool ok = put(c, m, (const char *)out, (size_t)got);
    free(out); /* utf8proc's own */
    return ok ? AT_OK : c->status;
}

static at_status apply(at_ctx *c, const at_edit *e, at_editor *m, at_place place, const char *s,
                       size_t n) {
    bool ok = true;
    switch (e->kind) {
    case AT_EDIT_REPLACE: ok = replace(c, m, e, s, n); break;
    case AT_EDIT_NFC:
    case AT_EDIT_NFD:
    case AT_EDIT_NFKC:
    case AT_EDIT_NFKD: return unicode_form(c, m, e->kind, s, n);
    case AT_EDIT_PREPEND:
    case AT_EDIT_PREPEND_UNLESS:
    case AT_EDIT_PREPEND_FIRST: {
        const size_t k = strlen(e->to);
        bool wanted = place != AT_PLACE_INSIDE;
        if (e->kind == AT_EDIT_PREPEND_FIRST) wanted = place == AT_PLACE_FIRST;
        if (e->kind != AT_EDIT_PREPEND && n >= k && !memcmp(s, e->to, k)) wanted = false;
        ok = (!wanted || put(c, m, e->to, k)) && put(c, m, s, n);
        break;
    }
    }
    return ok ? AT_OK : c->status;
}

at_status at_edits_apply(at_ctx *c, const at_edits *e, at_editor *m, at_place place,
                         const char **text, size_t *bytes) {
    if (!*bytes) return AT_OK;
    for (int64_t i = 0; i < e->n; i++) {
        char *keep = m->text; /* holds the input from the second edit on */
        const int64_t keep_cap = m->cap;
        m->text = m->other;
        m->cap = m->other_cap;
        m->other = keep;
        m->other_cap = keep_cap;
        m->n = 0;
        const at_status st = apply(c, &e->item[i], m, place, *text, *bytes);
        if (st) return st;
        *text = m->text;
        *bytes = (size_t)m->n;
    }
    return AT_OK;
}

void at_editor_close(at_editor *m) {
    at_free(m->text);
    at_free(m->other);
    *m = (at_editor){0};
}
