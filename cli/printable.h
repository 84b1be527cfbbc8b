/*
 * printable.h - text from elsewhere (paths, names, messages, generated text) on its way to a person.
 *
 * On stderr always, and on stdout when that is a terminal, control characters but newline and tab
 * are shown as "\x1b": no file and no model moves the cursor, renames the window or types for the
 * user.  What goes into a pipe or a file is left as it is.
 */
#ifndef CLI_PRINTABLE_H
#define CLI_PRINTABLE_H
#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdio.h>

void printable_put(FILE *f, const char *text);
void printable_print(FILE *f, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/** The object of a row that will be drawn on f: its strings are fit for it. cJSON_Delete. */
cJSON *printable_row(const char *json, FILE *f);

/** A stream of bytes for stdout, cut anywhere; zero it first. */
typedef struct printable {
    char held[4]; /* the beginning of a character */
    size_t n;
} printable;
void printable_bytes(printable *s, const char *bytes, size_t n);
void printable_end(printable *s);

#endif
