/* html.c - the page and its blocks. */
#include "report/html.h"
#include <ctype.h>
#include <string.h>
#include <utf8proc.h>

/* ---- escaping ---- */

static const char *entity(unsigned char b) {
    switch (b) {
    case '&': return "&amp;";
    case '<': return "&lt;";
    case '>': return "&gt;";
    case '"': return "&quot;";
    case '\'': return "&#39;";
    default: break;
    }
    return b < 0x20 && b != '\n' && b != '\t' ? "\xEF\xBF\xBD" : b == 0x7F ? "\xEF\xBF\xBD" : NULL;
}

void at_html_escape_bytes(at_text *t, const char *text, size_t n) {
    const unsigned char *s = (const unsigned char *)text;
    for (size_t i = 0; i < n;) {
        utf8proc_int32_t point;
        const utf8proc_ssize_t len = utf8proc_iterate(s + i, (utf8proc_ssize_t)(n - i), &point);
        const char *e = len > 0 ? entity(s[i]) : "\xEF\xBF\xBD";
        if (e)
            at_text_add(t, e);
        else
            at_text_bytes(t, text + i, (size_t)len);
        i += len > 0 ? (size_t)len : 1;
    }
}

void at_html_escape(at_text *t, const char *s) { at_html_escape_bytes(t, s, strlen(s)); }

/* ---- the page ---- */

/* Text, quiet text and every series colour have a contrast of at least 4.5 : 1 to the background in
   both schemes. */
static const char colours[] =
    ":root{color-scheme:light dark;--ground:#fbfbfa;--card:#fff;--ink:#1c1e21;--quiet:#5a6068;"
    "--rule:#e3e4e6;--grid:#ececee;--hi:#1f5fbf;--on-hi:#fff;"
    "--c0:#1f5fbf;--c1:#c2410c;--c2:#1f7a3d;--c3:#8b32a8;--c4:#0e7490;--c5:#b0265c;--c6:#7a5c00;"
    "--c7:#4b5563}"
    "@media(prefers-color-scheme:dark){:root{--ground:#16181b;--card:#1d2024;--ink:#e8e9eb;"
    "--quiet:#a2a8b0;--rule:#33373d;--grid:#2a2e33;--hi:#7db1ff;--on-hi:#0d1420;"
    "--c0:#7db1ff;--c1:#ffa05c;--c2:#74d68f;--c3:#d8a2f2;--c4:#5fd0de;--c5:#ff93b8;--c6:#e5c45c;"
    "--c7:#b6bcc5}}";

static const char blocks[] =
    "*{box-sizing:border-box}"
    "body{margin:0;background:var(--ground);color:var(--ink);"
    "font:16px/1.55 system-ui,-apple-system,'Segoe UI',Roboto,'DejaVu Sans',sans-serif}"
    "main{max-width:60rem;margin:0 auto;padding:2.5rem 1.25rem 4rem}"
    "h1{font-size:1.9rem;line-height:1.2;margin:0 0 .3rem;letter-spacing:-.01em}"
    "h2{font-size:1.25rem;margin:2.6rem 0 .7rem;padding-top:1.1rem;border-top:1px solid "
    "var(--rule)}"
    "p{max-width:44rem;margin:.6rem 0}.sub{color:var(--quiet);margin:0 0 1.6rem}"
    "figure{margin:1rem 0;padding:1rem 1.1rem;background:var(--card);border:1px solid "
    "var(--rule);border-radius:.6rem}"
    ".row{display:grid;grid-template-columns:repeat(auto-fit,minmax(24rem,1fr));gap:0 1rem}"
    "@media(max-width:28rem){.row{grid-template-columns:1fr}}"
    "figcaption{font-weight:600;margin-bottom:.2rem}"
    "svg{display:block;width:100%;height:auto;overflow:visible}"
    "svg text{font-size:12px;fill:var(--quiet)}"
    ".scroll{overflow-x:auto}"
    "table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}"
    "th,td{padding:.42rem .8rem;text-align:left;border-bottom:1px solid var(--rule)}"
    "thead th{color:var(--quiet);font-weight:600;font-size:.86rem}"
    "tbody tr:last-child td{border-bottom:0}.num{text-align:right}"
    "dl{display:flex;flex-wrap:wrap;gap:.8rem;margin:1rem 0;padding:0}"
    "dl div{flex:1 1 8rem;background:var(--card);border:1px solid "
    "var(--rule);border-radius:.6rem;padding:.7rem .9rem}"
    "dt{color:var(--quiet);font-size:.84rem}"
    "dd{margin:0;font-size:1.3rem;font-weight:600;font-variant-numeric:tabular-nums;"
    "overflow-wrap:anywhere}"
    "pre{margin:.3rem 0 0;white-space:pre-wrap;overflow-wrap:anywhere;"
    "font:13.5px/1.5 ui-monospace,'DejaVu Sans Mono',Menlo,Consolas,monospace}"
    ".prompt{color:var(--hi);font-weight:700}"
    "details{margin:1rem 0}summary{cursor:pointer;color:var(--quiet)}"
    "footer{margin-top:3rem;color:var(--quiet);font-size:.84rem}";

static const char drawings[] =
    ".legend{list-style:none;display:flex;flex-wrap:wrap;gap:.1rem "
    "1.2rem;margin:.1rem 0 .5rem;padding:0;font-size:.86rem;color:var(--quiet)}"
    ".legend svg{display:inline-block;width:26px;height:10px;margin-right:.4rem}"
    ".legend b{color:var(--ink);font-variant-numeric:tabular-nums;margin-left:.35rem}"
    ".grid{stroke:var(--grid);stroke-width:1}.axis{stroke:var(--quiet);stroke-width:1}"
    ".line{fill:none;stroke-width:2;stroke-linejoin:round;stroke-linecap:round}"
    ".raw{fill:none;stroke-width:1;opacity:.32;stroke-linejoin:round}"
    "svg .end{text-anchor:end}svg .mid{text-anchor:middle}"
    "svg .name{fill:var(--ink);font-weight:600}"
    ".s0{stroke:var(--c0)}.s1{stroke:var(--c1)}.s2{stroke:var(--c2)}.s3{stroke:var(--c3)}"
    ".s4{stroke:var(--c4);stroke-dasharray:7 4}.s5{stroke:var(--c5);stroke-dasharray:7 4}"
    ".s6{stroke:var(--c6);stroke-dasharray:2 4}.s7{stroke:var(--c7);stroke-dasharray:2 4}"
    ".f0{fill:var(--c0)}.f1{fill:var(--c1)}.f2{fill:var(--c2)}.f3{fill:var(--c3)}"
    ".f4{fill:var(--c4)}.f5{fill:var(--c5)}.f6{fill:var(--c6)}.f7{fill:var(--c7)}"
    ".back{fill:var(--grid)}.heat{fill:var(--hi)}svg .cell{text-anchor:middle;fill:var(--ink);"
    "font-size:15px;font-weight:600}svg .share{text-anchor:middle;font-size:11px;fill:var(--ink);"
    "opacity:.8}svg .on{fill:var(--on-hi)}"
    "@media print{main{max-width:none}figure{break-inside:avoid}}";

void at_html_begin(at_text *t, const char *title, const char *subtitle) {
    at_text_add(t, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
                   "<meta http-equiv=\"Content-Security-Policy\" "
                   "content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
                   "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n"
                   "<title>");
    at_html_escape(t, title);
    at_text_add(t, "</title>\n<style>\n");
    at_text_add(t, colours);
    at_text_add(t, blocks);
    at_text_add(t, drawings);
    at_text_add(t, "\n</style>\n</head>\n<body>\n<main>\n<h1>");
    at_html_escape(t, title);
    at_text_add(t, "</h1>\n");
    if (!subtitle || !*subtitle) return;
    at_text_add(t, "<p class=\"sub\">");
    at_html_escape(t, subtitle);
    at_text_add(t, "</p>\n");
}

void at_html_end(at_text *t) {
    at_text_add(t, "<footer>Made by artel.</footer>\n</main>\n</body>\n</html>\n");
}

void at_html_heading(at_text *t, const char *text) {
    at_text_add(t, "<h2>");
    at_html_escape(t, text);
    at_text_add(t, "</h2>\n");
}

void at_html_text(at_text *t, const char *text) {
    while (*text) {
        const char *end = strstr(text, "\n\n");
        const size_t n = end ? (size_t)(end - text) : strlen(text);
        if (n) {
            at_text_add(t, "<p>");
            at_html_escape_bytes(t, text, n);
            at_text_add(t, "</p>\n");
        }
        text += n;
        while (*text == '\n') text++;
    }
}

void at_html_figures(at_text *t, int n, const char *const *label, const char *const *value) {
    at_text_add(t, "<dl>\n");
    for (int i = 0; i < n; i++) {
        at_text_add(t, "<div><dt>");
        at_html_escape(t, label[i]);
        at_text_add(t, "</dt><dd>");
        at_html_escape(t, value[i]);
        at_text_add(t, "</dd></div>\n");
    }
    at_text_add(t, "</dl>\n");
}

/* A number, perhaps with sign, grouping, exponent, percent or a unit of one letter. */
static bool numeric(const char *s) {
    if (!s || !*s || !strcmp(s, "-") || !strcmp(s, "\xE2\x80\x93")) return true;
    if (*s == '-' || *s == '+') s++;
    if (!isdigit((unsigned char)*s) && *s != '.') return false;
    const size_t n = strspn(s, "0123456789.,eE+- ");
    return !s[n] || !s[n + 1];
}

void at_html_table(at_text *t, const char *caption, int columns, const char *const *title, int rows,
                   const char *const *cell) {
    enum { WIDEST = 64 };
    bool right[WIDEST];
    for (int j = 0; j < columns && j < WIDEST; j++) {
        right[j] = rows > 0;
        for (int i = 0; i < rows && right[j]; i++) right[j] = numeric(cell[i * columns + j]);
    }
    at_text_add(t, "<figure class=\"scroll\">");
    if (caption) {
        at_text_add(t, "<figcaption>");
        at_html_escape(t, caption);
        at_text_add(t, "</figcaption>");
    }
    at_text_add(t, "<table>\n<thead><tr>");
    for (int j = 0; j < columns; j++) {
        at_text_add(t, j < WIDEST && right[j] ? "<th class=\"num\">" : "<th>");
        at_html_escape(t, title[j]);
        at_text_add(t, "</th>");
    }
    at_text_add(t, "</tr></thead>\n<tbody>\n");
    for (int i = 0; i < rows; i++) {
        at_text_add(t, "<tr>");
        for (int j = 0; j < columns; j++) {
            at_text_add(t, j < WIDEST && right[j] ? "<td class=\"num\">" : "<td>");
            if (cell[i * columns + j]) at_html_escape(t, cell[i * columns + j]);
            at_text_add(t, "</td>");
        }
        at_text_add(t, "</tr>\n");
    }
    at_text_add(t, "</tbody>\n</table></figure>\n");
}

void at_html_row_begin(at_text *t) { at_text_add(t, "<div class=\"row\">\n"); }
void at_html_row_end(at_text *t) { at_text_add(t, "</div>\n"); }

void at_html_sample(at_text *t, const char *label, const char *prompt, const char *text) {
    at_text_add(t, "<figure>");
    if (label) {
        at_text_add(t, "<figcaption>");
        at_html_escape(t, label);
        at_text_add(t, "</figcaption>");
    }
    /* HTML drops a line break right after <pre>, so that one of the text's own is not lost */
    at_text_add(t, "<pre>\n");
    if (prompt && *prompt) {
        const size_t n = strlen(prompt);
        if (!strncmp(text, prompt, n)) text += n;
        at_text_add(t, "<span class=\"prompt\">");
        at_html_escape(t, prompt);
        at_text_add(t, "</span>");
    }
    at_html_escape(t, text);
    at_text_add(t, "</pre></figure>\n");
}

void at_html_listing(at_text *t, const char *summary, const char *text) {
    at_text_add(t, "<details><summary>");
    at_html_escape(t, summary);
    at_text_add(t, "</summary><figure><pre>\n");
    at_html_escape(t, text);
    at_text_add(t, "</pre></figure></details>\n");
}
