/*
 * rng.h - counter-based random numbers: a draw depends on (seed, stream, index) alone, so that
 * neither the order of draws, nor threads, nor a resume change it.
 *
 * Philox4x32-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3").
 */
#ifndef AT_RNG_H
#define AT_RNG_H
#include <stdint.h>

/* One stream for each purpose, so that more draws for one do not change those for another. */
enum {
    AT_STREAM_INIT = 1, /* parameters: + hash of the path  */
    AT_STREAM_BATCH,    /* which windows make a batch      */
    AT_STREAM_DROPOUT,  /* + node number                   */
    AT_STREAM_SAMPLE,   /* generation                      */
    AT_STREAM_SHUFFLE,  /* document order                  */
    AT_STREAM_TEST,
    AT_STREAM_ROUTE,    /* + number of the draw: experts drawn in training */
    AT_STREAM_LAB,      /* resampling of measurements      */
    AT_STREAM_COMMON,   /* steps without the common trunk */
    AT_STREAM_SPLIT,    /* rows of a table into splits     */
    AT_STREAM_POLICY,   /* which steps are of the student's own text */
    AT_STREAM_OWN_TEXT, /* what he writes in them                    */
    AT_STREAM_CLUSTER,  /* beginnings of k-means; + their number in the upper half */
    AT_STREAM_PRUNE,    /* which experts go by chance                */
    AT_STREAM_POOL,     /* how many experts a document chooses from  */
};

/** 64 random bits. */
uint64_t at_rand64(uint64_t seed, uint64_t stream, uint64_t index);
/** Uniform in (0,1), 53 bits. */
double at_uniform(uint64_t seed, uint64_t stream, uint64_t index);
/** Standard normal (Box-Muller on one Philox block). */
double at_normal(uint64_t seed, uint64_t stream, uint64_t index);
/** Uniform in [0,n), n > 0, without modulo bias worth naming (128-bit multiply). */
uint64_t at_rand_below(uint64_t n, uint64_t seed, uint64_t stream, uint64_t index);
/** Where a permutation of [0, n) that depends on seed and stream takes x; n > 0. */
uint64_t at_rand_permute(uint64_t x, uint64_t n, uint64_t seed, uint64_t stream);
/** FNV-1a of a path, to make a stream of it. */
uint64_t at_hash_path(const char *path);

#endif
