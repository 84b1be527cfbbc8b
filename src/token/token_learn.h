/*
 * token_learn.h - merges of byte-pair encoding, learnt from counted chunks of symbols.
 *
 * Always the pair of neighbours that occurs most often is merged, everywhere, in each chunk from
 * the left; ties go to the lower left id, then to the lower right one.  Time n log n in the symbols
 * of all chunks, whatever their lengths.  Memory: 12 bytes a symbol and about 60 a distinct pair.
 * R. Sennrich et al., "Neural Machine Translation of Rare Words with Subword Units", ACL 2016.
 */
#ifndef AT_TOKEN_LEARN_H
#define AT_TOKEN_LEARN_H
#include "token/token_map.h"
#include "token/tokenizer.h"

/** What stands before a chunk's symbols, and behind the last chunk. */
#define AT_CELL_BREAK INT32_MIN

typedef struct at_learning {
    int32_t first;      /* id of spelling 0                                               */
    int64_t spellings;  /* merging stops when there are so many                           */
    int64_t min_count;  /* pairs seen less often are not merged                           */
    int64_t max_width;  /* symbols in a token that merging makes; 0: any                  */
    const at_words *no; /* spellings that merging must not make, or NULL                  */
    int32_t *cell;      /* [cells] break, symbols, break, symbols, ..., break; overwritten */
    int64_t cells;
    const int64_t *start; /* [chunks] index of a chunk's first symbol, ascending            */
    const int64_t *count; /* [chunks] how often it was seen                                 */
    int64_t chunks;
} at_learning;

/** Adds to spelling, which holds the bytes of every symbol (by id - first), the bytes of merged
    tokens, and to merges the pairs of ids, in the order they were learnt.  AT_ARG: more than 2^31 - 2
    cells; AT_INTERRUPTED. */
at_status at_learn_merges(at_ctx *c, const at_learning *l, at_words *spelling, at_ids *merges);

#endif
