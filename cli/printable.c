/* printable.c - see printable.h. */
#include "printable.h"
#include "artel.h"
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PIECE = 1024 };

static bool wanted(FILE *f) {
    static int terminal = -1; /* of stdout */
    if (f == stderr) return true;
    if (terminal < 0) terminal = isatty(STDOUT_FILENO);
    return terminal != 0;
}

/* Number of bytes of an incomplete character at the end of a text. */
static size_t open_end(const char *bytes, size_t n) {
    for (size_t k = 1; k <= 3 && k <= n; k++) {
        const unsigned char b = (unsigned char)bytes[n - k];
        if (b < 0x80) break;
        if (b >= 0xC0) return (b >= 0xF0 ? 4U : b >= 0xE0 ? 3U : 2U) > k ? k : 0;
    }
    return 0;
}

static void put_escaped(FILE *f, const char *bytes, size_t n) {
    char out[4 * PIECE + 1];
    while (n > 0) {
        size_t now = n < PIECE ? n : PIECE;
        if (now < n) now -= open_end(bytes, now);
        (void)fwrite(out, 1, artel_printable(bytes, now, out, sizeof out), f);
        bytes += now;
        n -= now;
    }
}

void printable_put(FILE *f, const char *text) {
    if (wanted(f))
        put_escaped(f, text, strlen(text));
    else
        (void)fputs(text, f);
}

void printable_print(FILE *f, const char *fmt, ...) {
    char text[4 * PIECE];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    printable_put(f, text);
}

/* ---- rows --------------------------------------------------------------------------------- */

/* The character of a JSON escape; s points to the letter after the backslash. */
static unsigned long escaped(const char *s) {
    char digits[5] = "";
    if (*s != 'u') return *s == 'b' ? 8 : *s == 'f' ? 12 : *s == 'r' ? 13 : 'x';
    for (int i = 0; i < 4 && s[i + 1]; i++) digits[i] = s[i + 1];
    return strtoul(digits, NULL, 16);
}

/* In JSON control characters occur as escapes only ("\u001b"), which become text ("\\x1b"). */
static char *escaped_row(const char *s) {
    char *out = malloc(3 * strlen(s) + 1), *o = out; /* "\r" becomes five bytes */
    for (; out && *s; s++) {
        const unsigned long ch = *s == '\\' ? escaped(s + 1) : 'x';
        const bool control = (ch < 0x20 && ch != '\n' && ch != '\t') || (ch >= 0x7F && ch < 0xA0);
        if (control) {
            o += sprintf(o, "\\\\x%02lx", ch);
            s += s[1] == 'u' ? 5 : 1;
        } else {
            if (*s == '\\' && s[1]) *o++ = *s++;
            *o++ = *s;
        }
    }
    if (out) *o = 0;
    return out;
}

cJSON *printable_row(const char *json, FILE *f) {
    if (!wanted(f)) return cJSON_Parse(json);
    char *text = escaped_row(json);
    cJSON *o = text ? cJSON_Parse(text) : NULL;
    free(text);
    return o;
}

/* ---- streams ------------------------------------------------------------------------------ */

void printable_bytes(printable *s, const char *bytes, size_t n) {
    if (!wanted(stdout)) {
        (void)fwrite(bytes, 1, n, stdout);
        return;
    }
    while (s->n > 0 && n > 0) { /* until the character is complete, or invalid */
        s->held[s->n++] = *bytes++;
        n--;
        if (open_end(s->held, s->n) == s->n) continue;
        put_escaped(stdout, s->held, s->n);
        s->n = 0;
    }
    const size_t open = open_end(bytes, n);
    put_escaped(stdout, bytes, n - open);
    if (open == 0) return;
    memcpy(s->held, bytes + n - open, open);
    s->n = open;
}

void printable_end(printable *s) {
    put_escaped(stdout, s->held, s->n);
    s->n = 0;
}
