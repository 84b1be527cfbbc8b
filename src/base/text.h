/*
 * text.h - a string builder: append, format, take.
 *
 * Sticky failure: the first append that does not fit (memory, or `max` bytes) keeps its error in
 * the context, and every later append does nothing; the caller asks once, at the end.
 *
 *     at_text t;
 *     at_text_init(&t, c, 0);
 *     at_textf(&t, "%d of %d", i, n);
 *     char *s = at_text_take(&t);        // NULL after a failure; at_free(s)
 */
#ifndef AT_TEXT_H
#define AT_TEXT_H
#include "base/ctx.h"

typedef struct at_text {
    at_ctx *ctx;
    char *s;          /* NUL-terminated once anything was appended, else NULL */
    size_t n;         /* bytes, without the NUL                               */
    size_t max;       /* more is refused with AT_UNSUPPORTED                  */
    at_status failed; /* AT_OK, or the first failure                          */
    int64_t cap;
} at_text;

/** max 0: 1 GiB. */
void at_text_init(at_text *t, at_ctx *c, size_t max);
void at_text_add(at_text *t, const char *s);
void at_text_bytes(at_text *t, const char *s, size_t n);
/** The same, with U+FFFD for every byte that is no UTF-8, and for NUL: text that JSON can hold. */
void at_text_utf8(at_text *t, const char *s, size_t n);
void at_textf(at_text *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/** The string (never NULL on success, "" when nothing was appended) and an empty builder. */
char *at_text_take(at_text *t);
/** Frees.  Harmless after take. */
void at_text_close(at_text *t);

#endif
