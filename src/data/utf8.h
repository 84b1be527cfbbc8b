/* utf8.h - growing byte buffers, and functions for UTF-8 that the readers share. */
#ifndef AT_UTF8_H
#define AT_UTF8_H
#include "base/ctx.h"

typedef struct at_bytes {
    char *p;
    int64_t n, cap;
} at_bytes;

at_status at_bytes_add(at_ctx *c, at_bytes *t, const char *s, size_t bytes);
at_status at_bytes_char(at_ctx *c, at_bytes *t, char byte);
/** Appends a code point as UTF-8; an invalid one (a surrogate, above U+10FFFF) becomes U+FFFD. */
at_status at_bytes_rune(at_ctx *c, at_bytes *t, uint32_t rune);
void at_bytes_free(at_bytes *t);

/** Offset of the first byte that is not UTF-8 text (a NUL counts as none), or -1. */
int64_t at_utf8_error(const char *s, size_t bytes);
/** Code points in valid UTF-8. */
int64_t at_utf8_count(const char *s, size_t bytes);
/** Words: runs of bytes that are no white space of ASCII. */
int64_t at_utf8_words(const char *s, size_t bytes);
/** Where to cut valid UTF-8 to at most `max` bytes without breaking a character. */
size_t at_utf8_cut(const char *s, size_t bytes, size_t max);
/** Code points that are letters, marks or white space in valid UTF-8. */
int64_t at_utf8_letters(const char *s, size_t bytes);

#endif
