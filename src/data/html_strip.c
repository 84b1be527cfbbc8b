/* html_strip.c - one pass over the bytes; no tree is built. */
#include "data/html_strip.h"
#include <string.h>

typedef struct page {
    at_ctx *c;
    const char *p, *end;
    at_bytes *out;
    bool blank;         /* white space, to be written before the next word */
    bool line;          /* the paragraph being written has a character  */
    char skip[16];      /* the dropped element we are inside, or ""     */
    int depth;          /* how many of it are open                      */
    const char *choice; /* start of the last of several hidden siblings, which is kept */
} page;

static const char *const dropped[] = {
    "aside",  "audio",  "button", "canvas", "footer",   "form",     "head",   "header",
    "iframe", "label",  "math",   "nav",    "noscript", "object",   "option", "pre",
    "script", "select", "style",  "svg",    "template", "textarea", "title",  "video",
};
static const char *const blocks[] = {
    "address", "article", "blockquote", "body",  "br", "caption",  "center",     "dd",
    "details", "dialog",  "div",        "dl",    "dt", "fieldset", "figcaption", "figure",
    "h1",      "h2",      "h3",         "h4",    "h5", "h6",       "hr",         "html",
    "legend",  "li",      "main",       "menu",  "ol", "p",        "section",    "summary",
    "table",   "tbody",   "td",         "tfoot", "th", "thead",    "tr",         "ul",
};

static bool among(const char *const *list, size_t n, const char *name) {
    for (size_t i = 0; i < n; i++)
        if (strcmp(list[i], name) == 0) return true;
    return false;
}
#define AMONG(list, name) among(list, sizeof(list) / sizeof *(list), name)

static at_status paragraph_end(page *g) {
    g->blank = false;
    if (!g->line) return AT_OK;
    g->line = false;
    return at_bytes_char(g->c, g->out, '\n');
}

/* Called before a character: writes the pending blank. */
static at_status begin(page *g) {
    const bool blank = g->blank && g->line;
    g->blank = false;
    g->line = true;
    return blank ? at_bytes_char(g->c, g->out, ' ') : AT_OK;
}

static at_status put(page *g, const char *s, size_t bytes) {
    const at_status status = begin(g);
    return status ? status : at_bytes_add(g->c, g->out, s, bytes);
}

/* Writes a decoded character; any white space becomes a pending blank. */
static at_status put_rune(page *g, uint32_t rune) {
    if (rune <= 0x20 || rune == 0x7F || rune == 0xA0 || (rune >= 0x2000 && rune <= 0x200A) ||
        rune == 0x2028 || rune == 0x2029 || rune == 0x202F || rune == 0x205F || rune == 0x3000) {
        g->blank = true;
        return AT_OK;
    }
    if (rune == 0xAD || (rune >= 0x200B && rune <= 0x200F) || rune == 0x2060 || rune == 0xFEFF)
        return AT_OK;
    const at_status s = begin(g);
    return s ? s : at_bytes_rune(g->c, g->out, rune);
}

/* Numbers 128..159 mean Windows-1252, as in every browser. */
static uint32_t numeric(uint32_t v) {
    static const uint16_t windows[32] = {
        0x20AC, 0x81,   0x201A, 0x0192, 0x201E, 0x2026, 0x2020, 0x2021, 0x02C6, 0x2030, 0x0160,
        0x2039, 0x0152, 0x8D,   0x017D, 0x8F,   0x90,   0x2018, 0x2019, 0x201C, 0x201D, 0x2022,
        0x2013, 0x2014, 0x02DC, 0x2122, 0x0161, 0x203A, 0x0153, 0x9D,   0x017E, 0x0178};
    if (v >= 0x80 && v < 0xA0) return windows[v - 0x80];
    return v ? v : 0xFFFD;
}

/* At '&': a known entity, or the ampersand itself. */
static at_status entity(page *g) {
    const char *p = g->p + 1;
    uint32_t rune = 0;
    if (p < g->end && *p == '#') {
        p++;
        const bool hex = p < g->end && (*p == 'x' || *p == 'X');
        p += hex;
        const char *digits = p;
        for (; p < g->end; p++) {
            uint32_t d = 99;
            if (*p >= '0' && *p <= '9')
                d = (uint32_t)(*p - '0');
            else if ((*p | 0x20) >= 'a' && (*p | 0x20) <= 'f')
                d = (uint32_t)((*p | 0x20) - 'a') + 10;
            if (d >= (hex ? 16u : 10u)) break;
            if (rune < 0x200000) rune = rune * (hex ? 16 : 10) + d;
        }
        rune = p > digits ? numeric(rune) : 0;
    } else {
        const char *name = p;
        while (p < g->end && p - name < 10 &&
               ((*p >= '0' && *p <= '9') || ((*p | 0x20) >= 'a' && (*p | 0x20) <= 'z')))
            p++;
        rune = at_html_entity(name, (size_t)(p - name));
    }
    if (!rune) {
        g->p++;
        return put(g, "&", 1);
    }
    g->p = p < g->end && *p == ';' ? p + 1 : p;
    return put_rune(g, rune);
}

static const char *find(const char *p, const char *end, const char *what) {
    const size_t n = strlen(what);
    for (; (size_t)(end - p) >= n; p++) {
        p = memchr(p, what[0], (size_t)(end - p));
        if (!p || (size_t)(end - p) < n) return end;
        if (memcmp(p, what, n) == 0) return p + n;
    }
    return end;
}

/* From after '<name' to after '>'; quotes hide a '>'.  *closed: "/>" . */
static const char *tag_end(const char *p, const char *end, bool *closed) {
    char quote = 0;
    *closed = false;
    for (; p < end; p++) {
        if (quote) {
            if (*p == quote) quote = 0;
        } else if ((*p == '"' || *p == '\'') && p[-1] == '=') {
            quote = *p; /* a stray quote elsewhere must not swallow the page */
        } else if (*p == '>') {
            *closed = p[-1] == '/';
            return p + 1;
        }
    }
    return end;
}

/* Whether the attributes in [p, end) contain `hidden`, outside quotes. */
static bool has_hidden(const char *p, const char *end) {
    char quote = 0;
    for (; p + 6 < end; p++) {
        if (quote) {
            if (*p == quote) quote = 0;
        } else if ((*p == '"' || *p == '\'') && p[-1] == '=') {
            quote = *p;
        } else if ((*p == ' ' || *p == '\n') && end - p > 7 && memcmp(p + 1, "hidden", 6) == 0 &&
                   strchr(" \n=>/", p[7])) {
            return true;
        }
    }
    return false;
}

/* The place after the end tag of the element `name` whose content begins at p; NULL when there is
   none nearby. */
static const char *element_end(const char *p, const char *end, const char *name) {
    enum { REACH = 1 << 14 };
    const size_t n = strlen(name);
    if (end - p > REACH) end = p + REACH;
    for (int depth = 1; p < end && (p = memchr(p, '<', (size_t)(end - p))); p++) {
        const bool closing = p + 1 < end && p[1] == '/';
        const char *from = p + 1 + closing;
        if ((size_t)(end - from) <= n || strncmp(from, name, n) != 0 || !strchr(" \n\t>/", from[n]))
            continue;
        depth += closing ? -1 : 1;
        if (depth == 0) return find(from, end, ">");
    }
    return NULL;
}

/* After a tag with `hidden`: drops the element, which a reader does not see.  But of several hidden
   elements in a row a script shows one (the word for this system, say): the last is kept. */
static void hide(page *g, const char *name, const char *tag) {
    const char *end = element_end(g->p, g->end, name);
    if (!end) return;
    const char *next = end;
    while (next < g->end && (*next == ' ' || *next == '\n')) next++;
    bool closed;
    const bool more = next < g->end && *next == '<' && next + 1 < g->end && next[1] != '/' &&
                      has_hidden(next + 1, tag_end(next + 1, g->end, &closed));
    const bool chosen = g->choice == tag && !more;
    if (more) g->choice = next;
    if (chosen) return;
    g->p = end;
}

/* What a tag does: open or close a dropped element, or end a paragraph. */
static at_status tag(page *g, const char *name, bool closing, bool closed) {
    if (g->skip[0]) {
        /* a head without an end tag ends where the body begins */
        if (strcmp(g->skip, "head") == 0 && strcmp(name, "body") == 0) g->skip[0] = 0;
        if (strcmp(g->skip, name) != 0 || (closed && !closing)) return AT_OK;
        g->depth += closing ? -1 : 1;
        if (g->depth == 0) g->skip[0] = 0;
        return AT_OK;
    }
    if (AMONG(dropped, name)) {
        if (!closing && !closed) {
            (void)memcpy(g->skip, name, sizeof g->skip);
            g->depth = 1;
        }
        /* a label or a button stands inside a sentence, the others between paragraphs */
        g->blank = true;
        return strcmp(name, "label") && strcmp(name, "button") ? paragraph_end(g) : AT_OK;
    }
    if (AMONG(blocks, name)) return paragraph_end(g);
    if (strcmp(name, "img") == 0) g->blank = true;
    return AT_OK;
}

/* Inside of script, style and the like there is no markup but their own end tag. */
static void raw_text(page *g) {
    if (strcmp(g->skip, "script") && strcmp(g->skip, "style") && strcmp(g->skip, "textarea") &&
        strcmp(g->skip, "title"))
        return;
    const size_t n = strlen(g->skip);
    while (g->p < g->end) {
        const char *p = find(g->p, g->end, "</");
        g->p = p;
        if ((size_t)(g->end - p) < n) {
            g->p = g->end;
            return;
        }
        size_t i = 0;
        while (i < n && (p[i] | 0x20) == g->skip[i]) i++;
        if (i == n) {
            g->p = p - 2;
            return;
        }
    }
}

/* At '<'. */
static at_status markup(page *g) {
    const char *p = g->p + 1;
    if (g->end - p >= 3 && memcmp(p, "!--", 3) == 0) {
        g->p = find(p + 3, g->end, "-->");
        return AT_OK;
    }
    if (p < g->end && (*p == '!' || *p == '?')) {
        g->p = find(p, g->end, ">");
        return AT_OK;
    }
    const bool closing = p < g->end && *p == '/';
    p += closing;
    char name[16] = {0};
    size_t n = 0;
    const char *from = p;
    for (; p < g->end &&
           (((*p | 0x20) >= 'a' && (*p | 0x20) <= 'z') || (p > from && *p >= '0' && *p <= '9'));
         p++)
        if (n + 1 < sizeof name) name[n++] = (char)(*p >= '0' && *p <= '9' ? *p : *p | 0x20);
    if (n == 0) { /* a lone '<' is text */
        g->p++;
        return g->skip[0] ? AT_OK : put(g, "<", 1);
    }
    bool closed;
    const char *start = g->p;
    g->p = tag_end(p, g->end, &closed);
    if (!closing && !closed && !g->skip[0] && has_hidden(p, g->p)) hide(g, name, start);
    const at_status s = tag(g, name, closing, closed);
    if (!s && g->skip[0] && !closing) raw_text(g);
    return s;
}

static size_t rune_bytes(const char *p, const char *end, uint32_t *rune) {
    const unsigned char a = (unsigned char)p[0];
    size_t n = a < 0x80 ? 1 : a >= 0xF0 ? 4 : a >= 0xE0 ? 3 : a >= 0xC0 ? 2 : 1;
    *rune = a < 0x80 ? a : n > 1 ? a & (0xFFu >> (n + 1)) : 0xFFFD;
    if ((size_t)(end - p) < n) n = 1;
    for (size_t i = 1; i < n; i++) *rune = *rune << 6 | ((unsigned char)p[i] & 0x3Fu);
    return n;
}

at_status at_html_strip(at_ctx *c, const char *html, size_t bytes, at_bytes *out) {
    page g = {.c = c, .p = html, .end = html + bytes, .out = out};
    at_status s = AT_OK;
    while (!s && g.p < g.end) {
        if (*g.p == '<') {
            s = markup(&g);
        } else if (g.skip[0]) {
            const char *next = memchr(g.p, '<', (size_t)(g.end - g.p));
            g.p = next ? next : g.end;
        } else if (*g.p == '&') {
            s = entity(&g);
        } else {
            uint32_t rune;
            const size_t n = rune_bytes(g.p, g.end, &rune);
            if (rune > 0x20 && rune < 0x7F) { /* nearly always: a run of plain characters */
                size_t run = 1;
                while (g.p + run < g.end && g.p[run] > 0x20 && g.p[run] < 0x7F && g.p[run] != '<' &&
                       g.p[run] != '&')
                    run++;
                s = put(&g, g.p, run);
                g.p += run;
            } else {
                s = put_rune(&g, rune);
                g.p += n;
            }
        }
    }
    return s ? s : paragraph_end(&g);
}
