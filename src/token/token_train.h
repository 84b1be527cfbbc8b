/* token_train.h - the ids of a tokenizer trained by artel, and its tokenizer.json. */
#ifndef AT_TOKEN_TRAIN_H
#define AT_TOKEN_TRAIN_H
#include "token/token_map.h"
#include "token/tokenizer.h"

/** The one special token; it has id 0.  Then come the bytes, in the order of the characters that
    stand for them, then the merges in the order they were learnt. */
#define AT_TRAIN_SPECIAL "<|endoftext|>"

/** Id of every byte. */
void at_train_byte_ids(int32_t id[256]);
/** The byte that is the i-th of the alphabet. */
int at_train_byte(int i);
/** tokenizer.json from the spellings (bytes, by id - 1) and the merges (pairs of ids), from the
    heap; NULL with the error kept. */
char *at_train_json(at_ctx *c, const at_words *spelling, const at_ids *merges);

#endif
