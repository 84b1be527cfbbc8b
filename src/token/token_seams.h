/*
 * token_seams.h - where a text without pieces can be cut into some, with the same ids.
 *
 * Tokenizers in SentencePiece style merge over the whole text.  But a merge joins neighbours into a
 * token of the vocabulary: between two characters that are neighbours in none of its tokens, nothing
 * is ever merged.  Such a place is a seam, and what lies between two seams can be encoded, or looked
 * up, alone.  Where merges stay inside words the pieces are words.
 */
#ifndef AT_TOKEN_SEAMS_H
#define AT_TOKEN_SEAMS_H
#include "token/token_map.h"

typedef struct at_seams {
    at_pairs inside; /* neighbours in some token, as code points */
    bool known;      /* else there is nothing to cut by          */
} at_seams;

/** Counts the neighbours of a token, valid UTF-8. */
at_status at_seams_add(at_ctx *c, at_seams *s, const char *token, size_t bytes);
/** Bytes up to the first seam of a text of valid UTF-8, or all. */
size_t at_seams_next(const at_seams *s, const char *text, size_t bytes);
void at_seams_close(at_seams *s);

#endif
