/*
 * stickbreak.h - what the two directions of stick-breaking attention share.
 *
 * Queries of a sequence and head are cut into blocks of nr; the slots of a token are neighbouring
 * queries.  Scores of a block have a row for each key and a column for each query: scans go from
 * row to row with vectors of queries, and the products that follow use the block as a packed panel.
 */
#ifndef AT_STICKBREAK_H
#define AT_STICKBREAK_H
#include "op/op.h"
#include "op/tiled.h"

typedef struct at_stick {
    int64_t S, A, D;     /* keys of a sequence, width, width of a head        */
    int64_t U, slots;    /* queries of a sequence = tokens x slots            */
    int64_t past;        /* keys before the first token                       */
    int64_t H, lists;    /* heads; lists of keys = sequences x heads          */
    int64_t per_list;    /* blocks of queries of a list                       */
    const int32_t *from; /* [B] first key of each sequence that counts; NULL: 0 */
    at_real *scratch;    /* per worker, at_scratch                            */
    int64_t stride;
    const at_real *keys, *values; /* packed, see at_stick_pack              */
} at_stick;

typedef struct at_stick_block {
    int64_t list;  /* sequence * H + head                                  */
    int64_t first; /* first query within the sequence                      */
    int64_t n;     /* queries, at most nr                                  */
    int64_t at;    /* offset of the first query's values in q, y, dq, dy   */
    int64_t from;  /* keys before it have weight 0                          */
    int64_t all;   /* keys that every query of the block sees              */
    int64_t seen;  /* keys that the last one sees                          */
} at_stick_block;

at_stick_block at_stick_block_at(const at_stick *a, int nr, int64_t index);

/** Offset of a list's first value in k, v and their gradients. */
static inline int64_t at_stick_list_at(const at_stick *a, int64_t list) {
    return list / a->H * a->S * a->A + list % a->H * a->D;
}

typedef enum at_stick_order {
    AT_STICK_BY_KEY,   /* panels of mr keys, depth D      */
    AT_STICK_BY_VALUE, /* panels of mr values, depth S    */
} at_stick_order;
/** Number of values of one packed list. */
int64_t at_stick_packed(const at_stick *a, const at_kernels *k, at_stick_order order);
/** Pack every list of x [B*S, A], on all workers; arena memory, NULL when the run has failed. */
at_real *at_stick_pack(at_run *r, const at_stick *a, const at_real *x, at_stick_order order);

/** Weights of a block: p [S up to mr, nr], share likewise or NULL.  keys: the list by key; query:
    its panel; left [nr] is working memory.  Returns the first row filled: weights before are 0. */
int64_t at_stick_weights(const at_kernels *k, const at_stick *a, const at_stick_block *b,
                         const at_real *keys, const at_real *query, at_real *p, at_real *share,
                         at_real *left);

/** Working memory of `values` for each worker; false, and the run has failed: out of memory. */
bool at_stick_scratch(at_run *r, at_stick *a, int64_t values);

/** The backward function of the op: dq, dk, dv; and the bytes that it takes meanwhile. */
void at_stick_bwd(at_node *n);
double at_stick_bwd_bytes(const at_node *n);

#endif
