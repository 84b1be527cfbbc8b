/*
 * history.h - recurrence over blocks of a long text (as in Transformer-XL): keys and values of the
 * tokens before a block.
 *
 *   at_history_begin(&h, kept);   pass.history = &h;   ... a forward pass, and its backward ...
 *   at_history_advance(&h);       the block just read is the past of the next one
 *
 * In every attention layer the last `length` keys and values of a sequence are put before those of
 * the block; no gradient flows into them.  They depend on earlier tokens in turn, so that upper
 * layers see more than `length` tokens back.  They are not recomputed when parameters change.  A
 * pass reads `now` and writes `next`, so that it can be repeated until at_history_advance. Source:
 * Dai et al. 2019, arXiv 1901.02860; the authors of arXiv 2306.04640 trained so.
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

/** For a model with these sizes (at_dims: layers, cache_width, one_cache) and B sequences. */
at_status at_history_open(at_ctx *c, int64_t layers, int64_t width, bool one, int64_t B,
                          int64_t length, at_history *h);
void at_history_close(at_history *h);
/** Number of values in `now`, which is that in `next`. */
int64_t at_history_numel(const at_history *h);

/** Called before a pass: sequence b has kept[b] earlier tokens, at most `length`. */
void at_history_begin(at_history *h, const int32_t *kept);
/** Called by architectures: keys (which 0) or values (1) of a layer, x [B*T, width], after those of
    earlier tokens: [B*(ahead + T), width].  h NULL: x. */
at_tensor *at_history_join(at_run *r, at_history *h, int64_t layer, int which, at_tensor *x);
/** Called after a step: `next` becomes `now`. */
void at_history_advance(at_history *h);

#endif
