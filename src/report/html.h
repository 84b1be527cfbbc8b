/*
 * html.h - a self-contained page: no scripts, fonts, pictures or links; light or dark as the
 * reader's system is set.
 *
 * Everything that comes from outside goes through at_html_escape, which also replaces control
 * characters and bytes that are not UTF-8 (a model's output may hold any byte), so that the page
 * is always well formed.  Failures are those of the at_text, which remembers them.
 */
#ifndef AT_HTML_H
#define AT_HTML_H
#include "base/text.h"

/** Text for element content and quoted attribute values. */
void at_html_escape(at_text *t, const char *s);
void at_html_escape_bytes(at_text *t, const char *text, size_t n);

/** subtitle may be NULL. */
void at_html_begin(at_text *t, const char *title, const char *subtitle);
void at_html_end(at_text *t);
void at_html_heading(at_text *t, const char *text);
/** Paragraphs, separated by empty lines in the text. */
void at_html_text(at_text *t, const char *text);
/** Large figures in a row: n pairs of label and value. */
void at_html_figures(at_text *t, int n, const char *const *label, const char *const *value);
/** cell [rows, columns], NULL: empty.  Columns of numbers are aligned right.  caption may be
    NULL. */
void at_html_table(at_text *t, const char *caption, int columns, const char *const *title, int rows,
                   const char *const *cell);
/** Figures between these two stand side by side where there is room. */
void at_html_row_begin(at_text *t);
void at_html_row_end(at_text *t);
/** Generated text after its prompt; label and prompt may be NULL.  A prompt that the text begins
    with is shown once. */
void at_html_sample(at_text *t, const char *label, const char *prompt, const char *text);
/** Preformatted text, folded under a line to click on. */
void at_html_listing(at_text *t, const char *summary, const char *text);

#endif
