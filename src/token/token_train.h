/* token_train.h - the ids of a tokenizer trained by artel, its symbols, and its tokenizer.json. */
#ifndef AT_TOKEN_TRAIN_H
#define AT_TOKEN_TRAIN_H
#include "token/token_map.h"
#include "token/tokenizer.h"

/** Byte level: the one special token has id 0.  Then come the bytes, in the order of the characters
    that stand for them, then the merges in the order they were learnt. */
#define AT_TRAIN_SPECIAL "<|endoftext|>"
/** SentencePiece style: <unk>, <s>, </s>, the bytes, the alphabet by code point, then the merges. */
enum { AT_TRAIN_FIRST = 1, AT_TRAIN_SP_SPECIALS = 3 };
extern const char *const at_train_specials[AT_TRAIN_SP_SPECIALS];

/** Id of every byte. */
void at_train_byte_ids(int32_t id[256]);
/** The byte that is the i-th of the alphabet. */
int at_train_byte(int i);

/** Pieces of text as symbols, to learn merges from (token_learn.h). */
typedef struct at_symbols {
    int32_t first;     /* id of the first symbol */
    at_words spelling; /* of the symbols, by id - first; merges are added to it */
    at_words no;       /* spellings that no merge may make                      */
    int32_t *cell;
    int64_t cells, cells_cap;
    int64_t *start, *count; /* [chunks] */
    int64_t chunks, start_cap, count_cap;
} at_symbols;

/** A symbol a byte: token_symbols.c. */
at_status at_symbols_bytes(at_ctx *c, const at_words *piece, const int64_t *count, at_symbols *s);
/** A symbol a character, spaces as U+2581; the alphabet is of the most frequent characters that
    together are o->coverage of the text, at most half of the vocabulary that the bytes leave.  Other
    characters end a chunk, as do U+2581 itself and what o keeps from merging: token_symbols.c. */
at_status at_symbols_chars(at_ctx *c, const at_bpe_options *o, const at_words *piece,
                           const int64_t *count, at_symbols *s);
void at_symbols_close(at_symbols *s);

/** tokenizer.json from the spellings (by id - first) and the merges (pairs of ids), from the heap;
    NULL with the error kept. */
char *at_train_json(at_ctx *c, at_bpe_kind kind, const at_words *spelling, const at_ids *merges);

#endif
