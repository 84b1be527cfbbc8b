/* noise.h - pseudo-random numbers for tests, the same every time. */
#ifndef NOISE_H
#define NOISE_H
#include "base/ctx.h"
#include "base/real.h"
#include "check.h"

/** n values spread evenly over [middle - reach, middle + reach). */
static inline void noise_around(at_real *x, int64_t n, uint64_t seed, double middle, double reach) {
    for (int64_t i = 0; i < n; i++) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        x[i] = (at_real)((double)(seed >> 40) / (1 << 23) * reach - reach + middle);
    }
}

/** n values in [-1, 1) from the context's allocator. */
static inline at_real *new_noise(at_ctx *c, int64_t n, uint64_t seed) {
    at_real *x = at_malloc(c, (size_t)(n > 0 ? n : 1) * sizeof *x);
    assert_non_null(x);
    noise_around(x, n, seed, 0, 1);
    return x;
}

#endif
