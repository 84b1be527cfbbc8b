/*
 * printable.h - printing text from elsewhere (paths, names, messages, generated text) safely.
 *
 * On stderr always, and on stdout when it is a terminal, control characters but newline and tab are
 * written as "\x1b", so that no file and no model can move the cursor, rename the window or send
 * escape sequences.  What goes into a pipe or a file is not changed.
 */
#ifndef CLI_PRINTABLE_H
#define CLI_PRINTABLE_H
#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdio.h>

void printable_put(FILE *f, const char *text);
void printable_print(FILE *f, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/** Parses a result that will be printed to f; its strings are safe to print there. cJSON_Delete. */
cJSON *printable_row(const char *json, FILE *f);

/** Text for stdout that arrives in pieces, cut anywhere; zero it first. */
typedef struct printable {
    char held[4]; /* an incomplete character */
    size_t n;
} printable;
void printable_bytes(printable *s, const char *bytes, size_t n);
void printable_end(printable *s);

#endif
