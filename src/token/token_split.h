/*
 * token_split.h - splits text into pieces; merges happen inside a piece only.
 *
 * A pattern is translated so that it means what the tokenizers package means by it (\s is Unicode
 * White_Space without U+180E) and compiled by PCRE2 (UTF, UCP, JIT where the system allows it).
 * Matches and the text between matches are both pieces ("Isolated").
 */
#ifndef AT_TOKEN_SPLIT_H
#define AT_TOKEN_SPLIT_H
#include "base/ctx.h"

/** The pattern of GPT-2: contractions, letters, numbers, other signs, space. */
extern const char at_gpt2_pattern[];

typedef struct at_split {
    void *code;    /* pcre2_code */
    char *pattern; /* as written */
    bool literal;
} at_split;

typedef struct at_span {
    size_t start, bytes;
} at_span;

/** Buffers reused from text to text; zero to begin. */
typedef struct at_splitter {
    at_span *span; /* the result: n of them, in order, covering the text */
    int64_t n, cap;
    at_span *other;
    int64_t other_cap;
    void *match, *limits; /* pcre2_match_data, pcre2_match_context */
} at_splitter;

/** AT_UNSUPPORTED, with PCRE2's reason, when PCRE2 cannot express the pattern. */
at_status at_split_open(at_ctx *c, const char *name, const char *pattern, bool literal,
                        at_split *out);
void at_split_close(at_split *s);

/** Splits valid UTF-8 by each of the stages in turn; s->span[0..n) is the result. */
at_status at_split_text(at_ctx *c, const at_split *stage, int stages, at_splitter *s,
                        const char *text, size_t bytes);
void at_splitter_close(at_splitter *s);

#endif
