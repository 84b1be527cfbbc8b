/*
 * fluency.h - do written texts loop, are they made of words, and in the right language?
 *
 * A word is a run of letters, case of ASCII aside; every byte that is not ASCII counts as one.  Of a
 * text that continues a prompt, and may be cut off, words count that begin and end in it.
 */
#ifndef AT_FLUENCY_H
#define AT_FLUENCY_H
#include "data/dataset.h"
#include "infer/continue.h"
#include "token/token_map.h"

/** The words of the documents of a shard, each once. */
at_status at_fluency_words(at_ctx *c, const at_tokenizer *t, const at_shard *s, at_words *out);

/** Counts over texts; what is added to begins at zero. */
typedef struct at_fluency {
    int64_t texts, ended, tokens; /* ended: before the limit; tokens: without prompts     */
    int64_t words, known;         /* known: in the list of words                          */
    int64_t runs, repeated;       /* four words in a row; repeated: before in the same text */
    int64_t judged, *verdict;     /* texts that a router read, and by class; verdict may be NULL */
} at_fluency;

/** Adds a text: of n ids the first `prompt` are its prompt.  ended: its last word is whole.  r and
    out->verdict [classes of r]: whose class the new tokens are, or both NULL. */
at_status at_fluency_add(at_ctx *c, const at_tokenizer *t, const at_words *known,
                         const at_router *r, const int32_t *ids, int64_t n, int64_t prompt,
                         bool ended, at_fluency *out);

/** Beginnings of documents. */
typedef struct at_prompts {
    int64_t *at;     /* [n] owned: position in the shard                         */
    int64_t *tokens; /* [n] owned: of the document, but for one that ends it */
    int64_t n;
} at_prompts;
/** At most n documents with more than `prompt` tokens, evenly spread over the shard; none: n is 0. */
at_status at_prompts_open(at_ctx *c, const at_shard *s, int32_t end, int64_t prompt, int64_t n,
                          at_prompts *out);
void at_prompts_close(at_prompts *p);

#endif
