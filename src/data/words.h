/*
 * words.h - words of a text, one after the other: runs of letters.
 *
 * Letters are those of ASCII, folded to small ones, and all characters above 127 but the
 * punctuation of Latin-1 (no-break space, guillemets), of U+2000 to U+20FF (dashes, quotation marks)
 * and of U+3000 to U+303F (full stops of East Asia).
 */
#ifndef AT_WORDS_H
#define AT_WORDS_H
#include "base/ctx.h"

typedef struct at_words {
    const char *p, *end; /* what is left of the text */
    char word[64];       /* the last one found, its first 63 bytes */
    int n;
} at_words;

/** The next word; false: there are no more. */
bool at_word_next(at_words *w);

#endif
