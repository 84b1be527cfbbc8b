/*
 * token_added.h - added tokens (<|endoftext|>, runs of spaces, ...): found in raw text before
 * anything else, the leftmost first and of those the longest.
 */
#ifndef AT_TOKEN_ADDED_H
#define AT_TOKEN_ADDED_H
#include "token/token_map.h"

typedef struct at_added {
    int32_t id;
    bool special, lstrip, rstrip, single_word, normalized;
    char *content; /* as written in the file */
    size_t bytes;
} at_added;

/** An index of added tokens, to find them in a text. */
typedef struct at_finder {
    const at_added *token; /* borrowed */
    at_words set;          /* the spelling looked for -> index in token       */
    uint32_t begin[257];   /* by first byte: where its lengths begin in len   */
    uint32_t *len;         /* lengths, the longest first                      */
    int64_t ordinary;      /* how many are not special                        */
} at_finder;

typedef struct at_found {
    size_t start, end; /* of the token with the space that it strips                   */
    size_t next;       /* where to search on: space stripped by rstrip is searched again */
    int32_t id;
} at_found;

/** Adds token[index] under a spelling.  After the last one at_finder_build is called once. */
at_status at_finder_add(at_ctx *c, at_finder *f, const char *spelling, size_t bytes, int32_t index);
at_status at_finder_build(at_ctx *c, at_finder *f, const at_added *token);
/** The first token at or after out->next.  False: no more.  Zero *out to begin.  Special tokens are
    ignored unless `specials`.  As in the tokenizers package a token of spaces is found even in
    spaces that rstrip of the token before has stripped, so its start may lie before that one's
    end. */
bool at_finder_next(const at_finder *f, const char *text, size_t bytes, bool specials,
                    at_found *out);
void at_finder_close(at_finder *f);

#endif
