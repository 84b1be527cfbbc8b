/* ints.h - small arithmetic of sizes and counts. */
#ifndef AT_INTS_H
#define AT_INTS_H
#include <stdint.h>

static inline int64_t at_min(int64_t a, int64_t b) { return a < b ? a : b; }
static inline int64_t at_max(int64_t a, int64_t b) { return a > b ? a : b; }
/** n, or the nearer end of [lo, hi]; lo <= hi. */
static inline int64_t at_clamp(int64_t n, int64_t lo, int64_t hi) {
    return at_max(lo, at_min(n, hi));
}
/** n / d rounded up; n >= 0, d > 0. */
static inline int64_t at_div_up(int64_t n, int64_t d) { return (n + d - 1) / d; }
/** The least multiple of `to` that is at least n; n >= 0, to > 0. */
static inline int64_t at_round_up(int64_t n, int64_t to) { return at_div_up(n, to) * to; }

#endif
