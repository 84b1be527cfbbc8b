/* rng.c - Philox4x32-10. */
#include "base/rng.h"
#include "base/maths.h"
#include <math.h>

enum { ROUNDS = 4 }; /* of a permutation */

static void philox(uint64_t seed, uint64_t stream, uint64_t index, uint32_t c[4]) {
    uint32_t k0 = (uint32_t)seed, k1 = (uint32_t)(seed >> 32);
    c[0] = (uint32_t)index;
    c[1] = (uint32_t)(index >> 32);
    c[2] = (uint32_t)stream;
    c[3] = (uint32_t)(stream >> 32);
    for (int round = 0; round < 10; round++) {
        const uint64_t p0 = (uint64_t)0xD2511F53u * c[0], p1 = (uint64_t)0xCD9E8D57u * c[2];
        const uint32_t n0 = (uint32_t)(p1 >> 32) ^ c[1] ^ k0, n2 = (uint32_t)(p0 >> 32) ^ c[3] ^ k1;
        c[1] = (uint32_t)p1;
        c[3] = (uint32_t)p0;
        c[0] = n0;
        c[2] = n2;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
}

uint64_t at_rand64(uint64_t seed, uint64_t stream, uint64_t index) {
    uint32_t c[4];
    philox(seed, stream, index, c);
    return (uint64_t)c[1] << 32 | c[0];
}

static double unit(uint32_t hi, uint32_t lo) {
    return ((double)(((uint64_t)hi << 32 | lo) >> 11) + 0.5) * 0x1p-53;
}

double at_uniform(uint64_t seed, uint64_t stream, uint64_t index) {
    uint32_t c[4];
    philox(seed, stream, index, c);
    return unit(c[1], c[0]);
}

double at_normal(uint64_t seed, uint64_t stream, uint64_t index) {
    uint32_t c[4];
    philox(seed, stream, index, c);
    return sqrt(-2 * at_ln(unit(c[1], c[0]))) * at_cos2pi(unit(c[3], c[2]));
}

uint64_t at_rand_below(uint64_t n, uint64_t seed, uint64_t stream, uint64_t index) {
    const uint64_t r = at_rand64(seed, stream, index);
    const uint64_t rl = (uint32_t)r, rh = r >> 32, nl = (uint32_t)n,
                   nh = n >> 32; /* high word of r*n */
    const uint64_t mid = rh * nl + (rl * nl >> 32), mid2 = rl * nh + (uint32_t)mid;
    return rh * nh + (mid >> 32) + (mid2 >> 32);
}

/* A Feistel network is a permutation of [0, 4^half); repeating it until the value is below n
   ("cycle walking") makes it one of [0, n).  4^half < 4n, so it takes fewer than four steps on
   average. */
uint64_t at_rand_permute(uint64_t x, uint64_t n, uint64_t seed, uint64_t stream) {
    unsigned half = 1;
    while (half < 32 && (UINT64_C(1) << (2 * half)) < n) half++;
    const uint64_t mask = (UINT64_C(1) << half) - 1;
    do {
        uint64_t left = x >> half, right = x & mask;
        for (uint64_t r = 0; r < ROUNDS; r++) {
            const uint64_t next = left ^ (at_rand64(seed, stream, r << 32 | right) & mask);
            left = right;
            right = next;
        }
        x = left << half | right;
    } while (x >= n);
    return x;
}

uint64_t at_hash_path(const char *path) {
    uint64_t h = 0xcbf29ce484222325u;
    for (; *path; path++) h = (h ^ (unsigned char)*path) * 0x100000001b3u;
    return h;
}
