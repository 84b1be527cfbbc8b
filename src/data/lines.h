/*
 * lines.h - lines of a file of any size: plain, gzip or zstd (recognised by the first bytes).
 *
 *     at_lines *l;
 *     s = at_lines_open(c, path, limit, &l);
 *     while (!(s = at_lines_next(c, l, &line, &bytes)) && line) ...
 *     at_lines_close(l);
 */
#ifndef AT_LINES_H
#define AT_LINES_H
#include "base/ctx.h"

typedef struct at_lines at_lines;

/** limit: a line longer than so many bytes is an error, or, negative, is handed out in pieces of
    at most -limit bytes that end between characters. */
at_status at_lines_open(at_ctx *c, const char *path, int64_t limit, at_lines **out);
/** *line: the line without "\n" or "\r\n", valid until the next call; NULL at the end of the file.
    AT_FORMAT for damaged or truncated compression and for overlong lines. */
at_status at_lines_next(at_ctx *c, at_lines *l, const char **line, size_t *bytes);
/** Another use: all bytes that were not handed out yet, decompressed and NUL-terminated, from the heap;
    at most `most` of them, AT_FORMAT otherwise. */
at_status at_lines_rest(at_ctx *c, at_lines *l, int64_t most, char **text, size_t *bytes);
/** Number of the line last handed out, from 1. */
int64_t at_lines_number(const at_lines *l);
/** Offset of its first byte in the decompressed file. */
int64_t at_lines_offset(const at_lines *l);
/** Bytes of the file itself consumed so far, for progress. */
int64_t at_lines_consumed(const at_lines *l);
void at_lines_close(at_lines *l);

#endif
