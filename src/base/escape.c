/* escape.c - control characters and broken UTF-8 made visible. */
#include "base/escape.h"
#include <stdbool.h>
#include <string.h>
#include <utf8proc.h>

size_t at_printable(const char *text, size_t bytes, char *out, size_t room) {
    static const char digit[] = "0123456789abcdef";
    const utf8proc_uint8_t *u = (const utf8proc_uint8_t *)text;
    size_t n = 0;
    for (size_t i = 0, step; i < bytes; i += step) {
        utf8proc_int32_t ch;
        const utf8proc_ssize_t k = utf8proc_iterate(u + i, (utf8proc_ssize_t)(bytes - i), &ch);
        step = k > 0 ? (size_t)k : 1;
        if (k <= 0) ch = u[i];
        const bool control = ch < 0x20 ? ch != '\n' && ch != '\t' : ch >= 0x7F && ch < 0xA0;
        if (k > 0 && !control) {
            if (n + step >= room) break;
            memcpy(out + n, text + i, step);
            n += step;
        } else {
            if (n + 4 >= room) break;
            memcpy(out + n, (const char[]){'\\', 'x', digit[ch >> 4], digit[ch & 15]}, 4);
            n += 4;
        }
    }
    if (room) out[n] = 0;
    return n;
}
