/* slots.h - what attention over q [B*T, slots, A], k and v [B*S, A] asks of its shapes. */
#ifndef AT_SLOTS_H
#define AT_SLOTS_H
#include "tensor/run.h"

/** Whether the shapes fit together; if not, fails the run with a sentence that names them all. */
static inline bool at_slots_fit(at_run *r, const char *op, const at_tensor *q, const at_tensor *k,
                                const at_tensor *v, int64_t B, int64_t T, int64_t slots,
                                int heads) {
    const int64_t A = at_cols(k), S = B > 0 ? at_rows(k) / B : 0;
    if (B > 0 && T > 0 && slots > 0 && heads > 0 && A % heads == 0 && S >= T &&
        at_rows(k) == B * S && at_cols(v) == A && at_rows(v) == B * S && at_cols(q) == A &&
        at_rows(q) == B * T * slots)
        return true;
    char qs[96], ks[96], vs[96];
    at_fail(r, AT_SHAPE, "%s: q %s, k %s, v %s for %lld x %lld tokens, %lld slots, %d heads", op,
            at_shape_text(q, qs), at_shape_text(k, ks), at_shape_text(v, vs), (long long)B,
            (long long)T, (long long)slots, heads);
    return false;
}

/** Products of U queries, slots of each token, with the keys they see in each of `lists` heads of
    width D; `past` keys come before the first token.  What backward computes again is not counted. */
static inline void at_slots_cost(int64_t lists, int64_t U, int64_t slots, int64_t past, int64_t D,
                                 at_cost *c) {
    const double T = (double)(U / slots), seen = T * (double)past + T * (T + 1) / 2;
    c->forward = 4 * (double)(lists * slots * D) * seen;
    c->backward = 2 * c->forward;
}

#endif
