/* token_bytes.h - UTF-8 as tokenizers need it, and GPT-2's alphabet: a printable character for each
   byte. */
#ifndef AT_TOKEN_BYTES_H
#define AT_TOKEN_BYTES_H
#include "base/ctx.h"

/** U+2581, which stands for a space in SentencePiece style. */
#define AT_MARK "\xE2\x96\x81"

/** Bytes from the start of text that are valid UTF-8 (no surrogates, no overlong forms). */
size_t at_utf8_valid(const char *text, size_t bytes);
/** Bytes from the start of text until valid UTF-8 begins again; 0 when it is valid there. */
size_t at_utf8_invalid(const char *text, size_t bytes);
/** The character at text, which is valid there; *bytes its length. */
uint32_t at_utf8_get(const char *text, size_t *bytes);
/** Writes ch, at most 4 bytes; returns their number. */
size_t at_utf8_put(char *p, uint32_t ch);

/** Code point that stands for byte b in a vocabulary: itself when printable, else U+0100 on. */
uint32_t at_alphabet_char(unsigned char b);
/** The byte a code point stands for, or -1. */
int at_alphabet_byte(uint32_t ch);

/** The bytes that a spelling in the alphabet (valid UTF-8, n bytes) stands for, at most n; false
    when a character is not in the alphabet. */
bool at_alphabet_bytes(const char *s, size_t n, char *out, size_t *bytes);

/** Unicode White_Space: what \s means to the tokenizers package. */
bool at_is_space(uint32_t ch);

#endif
