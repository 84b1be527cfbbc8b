/*
 * history.h - recurrence over blocks of a long text: keys and values of the tokens before a block.
 *
 *   at_history_begin(&h, kept);   pass.history = &h;   ... a forward pass, and its backward ...
 *   at_history_advance(&h);       the block just read is the past of the next one
 *
 * In every attention layer the last `length` keys and values of a sequence stand before those of the
 * block; no gradient goes into them.  Layer by layer they carry what was read before: a token sees
 * more than `length` tokens back in the upper layers.  A pass reads `now` and writes `next`, so that
 * it can be repeated until at_history_advance; they are as the parameters made them when the block
 * was read.  Source: Dai et al. 2019, arXiv 1901.02860; the authors of arXiv 2306.04640 trained so.
 */
#ifndef AT_HISTORY_H
#define AT_HISTORY_H
#include "op/op.h"

typedef struct at_history {
    int64_t layers, B, length, width;
    int kinds;           /* 1: keys are values, 2: keys, then values                    */
    at_real *now, *next; /* [layers, kinds, B, length, width], the newest token last    */
    int32_t *from;       /* [B] first of the keys that a pass has (length + T, or T)    */
    int64_t ahead;       /* keys before the block: length, or 0 when no sequence has any */
} at_history;

/** Of a model with these sizes (at_dims: layers, cache_width, one_cache), B sequences. */
at_status at_history_open(at_ctx *c, int64_t layers, int64_t width, bool one, int64_t B,
                          int64_t length, at_history *h);
void at_history_close(at_history *h);
/** Values in now, and in next. */
int64_t at_history_numel(const at_history *h);

/** Before a pass: sequence b has kept[b] tokens of its past, at most length. */
void at_history_begin(at_history *h, const int32_t *kept);
/** Architectures: keys (which 0) or values (1) of a layer, x [B*T, width], with those of the past
    before them: [B*(ahead + T), width].  h NULL: x. */
at_tensor *at_history_join(at_run *r, at_history *h, int64_t layer, int which, at_tensor *x);
/** After a step: next becomes now. */
void at_history_advance(at_history *h);

#endif
