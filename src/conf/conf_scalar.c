/* conf_scalar.c - recognising numbers and words among scalars, and writing scalars. */
#include "conf/conf_internal.h"
#include <string.h>

static size_t digits(const char *s) { return strspn(s, "0123456789"); }

bool at_yaml_number(const char *s, bool *whole) {
    s += *s == '+' || *s == '-';
    const size_t before = digits(s);
    s += before;
    size_t after = 0;
    *whole = *s == 0;
    if (*s == '.') {
        after = digits(s + 1);
        s += 1 + after;
    }
    if (before + after == 0) return false;
    if (*s == 'e' || *s == 'E') {
        s++;
        s += *s == '+' || *s == '-';
        const size_t n = digits(s);
        if (n == 0) return false;
        s += n;
    }
    return *s == 0;
}

bool at_yaml_same_word(const char *a, const char *b) {
    for (; *a && *b; a++, b++)
        if ((*a | 32) != (*b | 32)) return false;
    return !*a && !*b;
}

static bool is_plain(const char *s) {
    static const char safe[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_./-";
    static const char *const taken[] = {"true", "false", "yes", "no",  "on",   "off", "null",
                                        "y",    "n",     "nan", "inf", ".inf", ".nan"};
    bool whole;
    if (!*s || s[strspn(s, safe)] || *s == '-' || digits(s) || at_yaml_number(s, &whole))
        return false;
    for (size_t i = 0; i < sizeof taken / sizeof *taken; i++)
        if (at_yaml_same_word(s, taken[i])) return false;
    return true;
}

/* Number of bytes of the character at p if it must be escaped in double quotes (control characters
   and line breaks beyond ASCII, byte order mark, non-characters); otherwise 0. */
static size_t hidden(const unsigned char *s, unsigned *code) {
    if (s[0] == 0xC2 && s[1] >= 0x80 && s[1] < 0xA0) {
        *code = s[1];
        return 2;
    }
    const bool breaks = s[0] == 0xE2 && s[1] == 0x80 && (s[2] == 0xA8 || s[2] == 0xA9);
    const bool mark = s[0] == 0xEF && s[1] == 0xBB && s[2] == 0xBF;
    const bool none = s[0] == 0xEF && s[1] == 0xBF && (s[2] == 0xBE || s[2] == 0xBF);
    if (!breaks && !mark && !none) return 0;
    *code = (s[0] & 15u) << 12 | (s[1] & 63u) << 6 | (s[2] & 63u);
    return 3;
}

void at_yaml_show(at_text *t, const char *text) {
    if (is_plain(text)) {
        at_text_add(t, text);
        return;
    }
    at_text_add(t, "\"");
    for (const unsigned char *s = (const unsigned char *)text; *s; s++) {
        unsigned code = 0;
        const size_t bytes = hidden(s, &code);
        if (bytes) {
            at_textf(t, "\\u%04x", code);
            s += bytes - 1;
        } else if (*s == '"' || *s == '\\') {
            at_textf(t, "\\%c", *s);
        } else if (*s == '\n') {
            at_text_add(t, "\\n");
        } else if (*s < 32 || *s == 127) {
            at_textf(t, "\\x%02x", *s);
        } else {
            at_text_bytes(t, (const char *)s, 1);
        }
    }
    at_text_add(t, "\"");
}
