/*
 * html_strip.h - extracts the prose of a web page.
 *
 * Elements that are not prose are dropped with their content (script, style, head, nav, header,
 * footer, aside, pre, svg, forms, ...); block tags end a paragraph; entities are decoded; white
 * space, non-breaking spaces included, collapses to one blank; soft hyphens and zero-width marks
 * are removed.  Inline <code> is kept: a sentence without its object is worse than one with a
 * strange word.  Elements with the attribute `hidden` are dropped, but of several in a row, from
 * which a script chooses, the last is kept.  Any bytes are accepted; valid UTF-8 in gives valid
 * UTF-8 out.
 */
#ifndef AT_HTML_STRIP_H
#define AT_HTML_STRIP_H
#include "data/utf8.h"

/** Append the paragraphs of the page, each ended by '\n'. */
at_status at_html_strip(at_ctx *c, const char *html, size_t bytes, at_bytes *out);
/** The code point of a named entity ("eacute"), or 0. */
uint32_t at_html_entity(const char *name, size_t bytes);

#endif
