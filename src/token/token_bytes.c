/* token_bytes.c - see token_bytes.h; the alphabet is computed by a rule in place of a table. */
#include "token/token_bytes.h"
#include <string.h>

/* Length of the valid character at p, or 0. */
static size_t step(const unsigned char *p, size_t left) {
    const unsigned char a = p[0];
    if (a < 0x80) return 1;
    if (a < 0xC2 || a > 0xF4) return 0;
    const size_t n = a < 0xE0 ? 2 : a < 0xF0 ? 3 : 4;
    if (left < n) return 0;
    for (size_t i = 1; i < n; i++)
        if ((p[i] & 0xC0) != 0x80) return 0;
    if ((a == 0xE0 && p[1] < 0xA0) || (a == 0xED && p[1] > 0x9F) || (a == 0xF0 && p[1] < 0x90) ||
        (a == 0xF4 && p[1] > 0x8F))
        return 0;
    return n;
}

size_t at_utf8_valid(const char *text, size_t bytes) {
    const unsigned char *p = (const unsigned char *)text;
    size_t i = 0;
    while (i < bytes) {
        uint64_t w;
        while (bytes - i >= sizeof w) { /* eight ASCII bytes at a time */
            memcpy(&w, p + i, sizeof w);
            if (w & UINT64_C(0x8080808080808080)) break;
            i += sizeof w;
        }
        if (i >= bytes) break;
        const size_t n = step(p + i, bytes - i);
        if (!n) return i;
        i += n;
    }
    return i;
}

size_t at_utf8_invalid(const char *text, size_t bytes) {
    const unsigned char *p = (const unsigned char *)text;
    size_t i = 0;
    while (i < bytes && !step(p + i, bytes - i)) i++;
    return i;
}

uint32_t at_utf8_get(const char *text, size_t *bytes) {
    const unsigned char *p = (const unsigned char *)text;
    if (p[0] < 0x80) return *bytes = 1, p[0];
    if (p[0] < 0xE0) return *bytes = 2, (p[0] & 0x1Fu) << 6 | (p[1] & 0x3Fu);
    if (p[0] < 0xF0) return *bytes = 3, (p[0] & 0x0Fu) << 12 | (p[1] & 0x3Fu) << 6 | (p[2] & 0x3Fu);
    *bytes = 4;
    return (p[0] & 0x07u) << 18 | (p[1] & 0x3Fu) << 12 | (p[2] & 0x3Fu) << 6 | (p[3] & 0x3Fu);
}

size_t at_utf8_put(char *p, uint32_t ch) {
    if (ch < 0x80) return p[0] = (char)ch, 1;
    if (ch < 0x800) {
        p[0] = (char)(0xC0 | ch >> 6);
        p[1] = (char)(0x80 | (ch & 0x3F));
        return 2;
    }
    if (ch < 0x10000) {
        p[0] = (char)(0xE0 | ch >> 12);
        p[1] = (char)(0x80 | (ch >> 6 & 0x3F));
        p[2] = (char)(0x80 | (ch & 0x3F));
        return 3;
    }
    p[0] = (char)(0xF0 | ch >> 18);
    p[1] = (char)(0x80 | (ch >> 12 & 0x3F));
    p[2] = (char)(0x80 | (ch >> 6 & 0x3F));
    p[3] = (char)(0x80 | (ch & 0x3F));
    return 4;
}

/* Printable in Latin-1 and not a space: such bytes stand for themselves. */
static bool printable(uint32_t b) {
    return (b >= 33 && b <= 126) || (b >= 161 && b <= 172) || (b >= 174 && b <= 255);
}

/* The 68 others, in order, are U+0100..U+0143: 0..32, 127..160 and 173. */
uint32_t at_alphabet_char(unsigned char b) {
    if (printable(b)) return b;
    return 0x100u + (b <= 32 ? b : b < 173 ? b - 127u + 33u : 67u);
}

int at_alphabet_byte(uint32_t ch) {
    if (printable(ch)) return (int)ch;
    if (ch < 0x100 || ch > 0x143) return -1;
    const uint32_t i = ch - 0x100;
    return (int)(i <= 32 ? i : i < 67 ? i - 33 + 127 : 173);
}

bool at_alphabet_bytes(const char *s, size_t n, char *out, size_t *bytes) {
    size_t w = 0, step;
    for (size_t i = 0; i < n; i += step) {
        const int b = at_alphabet_byte(at_utf8_get(s + i, &step));
        if (b < 0) return false;
        out[w++] = (char)b;
    }
    *bytes = w;
    return true;
}

bool at_is_space(uint32_t ch) {
    return (ch >= 9 && ch <= 13) || ch == ' ' || ch == 0x85 || ch == 0xA0 || ch == 0x1680 ||
           (ch >= 0x2000 && ch <= 0x200A) || ch == 0x2028 || ch == 0x2029 || ch == 0x202F ||
           ch == 0x205F || ch == 0x3000;
}
