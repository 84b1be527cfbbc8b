/* words.c - see words.h. */
#include "data/words.h"

/* Bytes of the character at p; *letter: whether it belongs to words. */
static int character(const unsigned char *p, const unsigned char *end, bool *letter) {
    const unsigned char b = *p;
    if (b < 0x80) {
        *letter = (b | 0x20) >= 'a' && (b | 0x20) <= 'z';
        return 1;
    }
    *letter = true;
    if (end - p >= 2 && b == 0xC2) {
        *letter = p[1] == 0xAA || p[1] == 0xB5 || p[1] == 0xBA;
        return 2;
    }
    if (end - p >= 3 &&
        ((b == 0xE2 && p[1] >= 0x80 && p[1] <= 0x83) || (b == 0xE3 && p[1] == 0x80))) {
        *letter = false;
        return 3;
    }
    return 1;
}

bool at_word_next(at_words *w) {
    const unsigned char *p = (const unsigned char *)w->p, *end = (const unsigned char *)w->end;
    w->n = 0;
    while (p < end) {
        bool letter;
        const int bytes = character(p, end, &letter);
        if (!letter && w->n > 0) break;
        for (int i = 0; letter && i < bytes && w->n < (int)sizeof w->word - 1; i++)
            w->word[w->n++] = (char)(p[i] < 0x80 ? p[i] | 0x20 : p[i]);
        p += bytes;
    }
    w->p = (const char *)p;
    w->word[w->n] = 0;
    return w->n > 0;
}
