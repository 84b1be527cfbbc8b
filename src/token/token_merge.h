/*
 * token_merge.h - byte-pair merging: always the pair of lowest rank, of equal ones the leftmost.
 *
 * Short pieces are scanned for it.  Long ones (whole texts, in SentencePiece style) use a heap, n
 * log n in all, so that even a megabyte of one letter takes little time.
 */
#ifndef AT_TOKEN_MERGE_H
#define AT_TOKEN_MERGE_H
#include "token/token_map.h"

/** Buffers reused from piece to piece; zero to begin. */
typedef struct at_merger {
    int32_t *link; /* [2n] previous and next symbol */
    struct at_candidate *heap;
    int64_t link_cap, heap_n, heap_cap;
} at_merger;

/** Merge id[0..*n) in place; *n shrinks. */
at_status at_merge(at_ctx *c, const at_pairs *merges, at_merger *m, int32_t *id, int64_t *n);
void at_merger_close(at_merger *m);

#endif
