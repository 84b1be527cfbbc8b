/* token_split.c - see token_split.h; patterns are PCRE2's. */
#include "token/token_split.h"
#include "base/text.h"
#include "token/token_bytes.h"
#include <string.h>
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

const char at_gpt2_pattern[] =
    "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

enum { PATTERN_MAX = 16384, STEPS = 2000000, STEPS_A_BYTE = 16 };

/* PCRE2's \s with UCP has U+180E, which left White_Space in Unicode 6.3. */
#define SPACES                                                                   \
    "\\x{9}-\\x{d} \\x{85}\\x{a0}\\x{1680}\\x{2000}-\\x{200a}\\x{2028}\\x{2029}" \
    "\\x{202f}\\x{205f}\\x{3000}"

/* ---- translation ---- */

static at_status refuse(at_ctx *c, const char *name, const char *pattern, const char *what) {
    return at_error(c, AT_UNSUPPORTED, "%s: pattern `%.120s`: %s", name, pattern, what);
}

/* The pattern in PCRE2's syntax, with the same meaning.  What cannot be translated exactly is
   refused. */
static at_status translate(at_ctx *c, const char *name, const char *pattern, at_text *out) {
    bool in_set = false;
    size_t set_start = 0;
    for (size_t i = 0; pattern[i];) {
        const char *p = pattern + i;
        const char *add = p;
        size_t take = 1, n = 1;
        if (p[0] == '\\') {
            if (!p[1]) return refuse(c, name, pattern, "ends in a backslash");
            take = n = 2;
            if (p[1] == 's') {
                add = in_set ? SPACES : "[" SPACES "]";
                n = strlen(add);
            } else if (p[1] == 'S') {
                if (in_set) return refuse(c, name, pattern, "\\S in a set is not supported");
                add = "[^" SPACES "]";
                n = strlen(add);
            } else if (strchr("hHRXgGKzZQE", p[1])) {
                return refuse(c, name, pattern, "an escape that means different things elsewhere");
            }
        } else if (in_set) {
            if (p[0] == '[' && p[1] != ':')
                return refuse(c, name, pattern, "a set within a set is not supported");
            if (p[0] == '&' && p[1] == '&')
                return refuse(c, name, pattern, "the intersection && is not supported");
            if (p[0] == '[') { /* [:alpha:] up to its end */
                const char *end = strstr(p, ":]");
                if (!end) return refuse(c, name, pattern, "[: without :]");
                take = n = (size_t)(end - p) + 2;
            } else if (p[0] == ']' && i > set_start) {
                in_set = false;
            }
        } else if (p[0] == '[') {
            in_set = true;
            set_start = i + (p[1] == '^' ? 2 : 1); /* a ] right here is a letter */
        }
        at_text_bytes(out, add, n);
        i += take;
    }
    return AT_OK;
}

at_status at_split_open(at_ctx *c, const char *name, const char *pattern, bool literal,
                        at_split *out) {
    *out = (at_split){.literal = literal};
    const size_t bytes = strlen(pattern);
    if (!bytes) return at_error(c, AT_FORMAT, "%s: a pattern is empty", name);
    if (bytes > PATTERN_MAX) return refuse(c, name, pattern, "longer than 16384 bytes");
    at_text t;
    at_text_init(&t, c, 0);
    if (literal)
        at_text_add(&t, pattern);
    else if (translate(c, name, pattern, &t)) {
        at_text_close(&t);
        return c->status;
    }
    const size_t n = t.n;
    char *meant = at_text_take(&t);
    if (!meant) return c->status;
    const uint32_t how = literal ? PCRE2_UTF | PCRE2_LITERAL : PCRE2_UTF | PCRE2_UCP;
    int why = 0;
    PCRE2_SIZE at = 0;
    pcre2_code *code = pcre2_compile((PCRE2_SPTR)meant, n, how, &why, &at, NULL);
    at_free(meant);
    if (!code) {
        PCRE2_UCHAR message[160];
        if (pcre2_get_error_message(why, message, sizeof message) < 0) message[0] = 0;
        return refuse(c, name, pattern, (const char *)message);
    }
    (void)pcre2_jit_compile(code, PCRE2_JIT_COMPLETE); /* without it: slower, the same pieces */
    out->code = code;
    out->pattern = at_strdup(c, pattern);
    if (!out->pattern) {
        at_split_close(out);
        return c->status;
    }
    return AT_OK;
}

void at_split_close(at_split *s) {
    pcre2_code_free(s->code);
    at_free(s->pattern);
    *s = (at_split){0};
}

/* ---- cutting ---- */

static bool add_span(at_ctx *c, at_splitter *s, size_t start, size_t end) {
    if (end <= start) return true;
    if (!at_reserve(c, &s->span, &s->cap, s->n + 1, sizeof *s->span)) return false;
    s->span[s->n++] = (at_span){start, end - start};
    return true;
}

/* Limits the number of match attempts: it may be linear in the length of the text, not
   quadratic. */
static bool prepare(at_ctx *c, at_splitter *s, size_t bytes) {
    if (!s->limits) s->limits = pcre2_match_context_create(NULL);
    if (!s->match && s->limits) s->match = pcre2_match_data_create(1, NULL);
    if (!s->match) return at_error(c, AT_OOM, "no memory for matching"), false;
    const size_t most = (UINT32_MAX - STEPS) / STEPS_A_BYTE;
    const size_t n = bytes < most ? bytes : most;
    (void)pcre2_set_match_limit(s->limits, (uint32_t)(STEPS + STEPS_A_BYTE * n));
    return true;
}

/* The stack of JIT code is small; when it does not suffice the interpreter, which uses the heap, is
   tried. */
static int match(const at_split *stage, at_splitter *s, const char *p, size_t bytes, size_t at) {
    const uint32_t how = PCRE2_NO_UTF_CHECK;
    const int rc = pcre2_match(stage->code, (PCRE2_SPTR)p, bytes, at, how, s->match, s->limits);
    if (rc != PCRE2_ERROR_JIT_STACKLIMIT) return rc;
    return pcre2_match(stage->code, (PCRE2_SPTR)p, bytes, at, how | PCRE2_NO_JIT, s->match,
                       s->limits);
}

/* Splits text[from.start, +from.bytes); the pattern cannot look beyond it. */
static at_status cut(at_ctx *c, const at_split *stage, at_splitter *s, const char *text,
                     at_span from) {
    const char *p = text + from.start;
    size_t done = 0, at = 0; /* emitted, searched */
    const PCRE2_SIZE *found = pcre2_get_ovector_pointer(s->match);
    while (at < from.bytes) {
        const int rc = match(stage, s, p, from.bytes, at);
        if (rc == PCRE2_ERROR_NOMATCH) break;
        if (rc < 0)
            return at_error(c, AT_UNSUPPORTED,
                            "pattern `%.120s`: matching gives up at byte %zu (PCRE2 error %d)",
                            stage->pattern, from.start + at, rc);
        if (found[1] <= found[0]) { /* empty, or ends before it starts (\K): skip a character */
            size_t n;
            if (found[0] >= from.bytes) break;
            (void)at_utf8_get(p + found[0], &n);
            at = (found[0] > at ? found[0] : at) + n;
            continue;
        }
        if (!add_span(c, s, from.start + done, from.start + found[0]) ||
            !add_span(c, s, from.start + found[0], from.start + found[1]))
            return c->status;
        done = at = found[1];
    }
    return add_span(c, s, from.start + done, from.start + from.bytes) ? AT_OK : c->status;
}

at_status at_split_text(at_ctx *c, const at_split *stage, int stages, at_splitter *s,
                        const char *text, size_t bytes) {
    s->n = 0;
    if (!add_span(c, s, 0, bytes)) return c->status;
    if (stages && !prepare(c, s, bytes)) return c->status;
    for (int k = 0; k < stages; k++) {
        const at_splitter before = *s;
        s->span = before.other;
        s->cap = before.other_cap;
        s->n = 0;
        s->other = before.span;
        s->other_cap = before.cap;
        for (int64_t i = 0; i < before.n; i++) {
            const at_status st = cut(c, &stage[k], s, text, s->other[i]);
            if (st) return st;
        }
    }
    return AT_OK;
}

void at_splitter_close(at_splitter *s) {
    at_free(s->span);
    at_free(s->other);
    pcre2_match_data_free(s->match);
    pcre2_match_context_free(s->limits);
    *s = (at_splitter){0};
}
