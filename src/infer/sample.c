/*
 * sample.c - greedy, temperature, top-k, top-p (Holtzman et al. 2020, arXiv 1904.09751).
 *
 * top_k, top_p and the draw are the same problem: at which token, in descending order, does the sum
 * of weights reach a number?  (For top_k every weight is 1.)  It is solved by bucketing, since
 * sorting the whole vocabulary for each token takes too long.
 */
#include "infer/sample.h"
#include "base/maths.h"
#include "base/rng.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { BUCKETS = 1024, FEW = 32, ROUNDS_MAX = 8 };
static const double WIDTH_MIN = 1e-290; /* divides without overflow */

static int by_logit(const void *a, const void *b) {
    const at_pick *x = a, *y = b;
    if (x->logit != y->logit) return x->logit > y->logit ? -1 : 1;
    return x->id < y->id ? -1 : x->id > y->id;
}

/* Half of a logit, so that differences do not overflow. */
static double half(at_real x) { return 0.5 * (double)x; }

typedef struct range {
    double high, width; /* of halves */
    bool flat;          /* all logits are equal */
} range;

static range range_of(const at_pick *pick, int64_t n) {
    at_real least = pick[0].logit, most = least;
    for (int64_t i = 1; i < n; i++) {
        if (pick[i].logit < least) least = pick[i].logit;
        if (pick[i].logit > most) most = pick[i].logit;
    }
    return (range){half(most), half(most) - half(least), least == most};
}

/* The bucket of a logit; buckets have equal width, bucket 0 the highest logits. */
static int bucket(const range *r, double scale, at_real logit) {
    return (int)((r->high - half(logit)) * scale);
}

/* The pick at which the sum of weights in descending order of logits reaches `goal`, 1 <= goal <=
   sum of all; *reached (may be NULL): that sum.  Picks are given in the order of their ids; room: n
   picks of working memory. */
static at_pick reach(const at_pick *from, int64_t n, uint64_t goal, at_pick *room,
                     uint64_t *reached) {
    uint64_t sum = 0, mass[BUCKETS];
    range r = range_of(from, n);
    /* Each round finds the bucket of the pick and goes on with its picks, which are fewer, since
       the highest and the lowest one are never in the same bucket.  After too many rounds they are
       sorted. */
    for (int round = 0; n > FEW && r.width > WIDTH_MIN && round < ROUNDS_MAX; round++) {
        const double scale = (BUCKETS - 1) / r.width;
        memset(mass, 0, sizeof mass);
        for (int64_t i = 0; i < n; i++) mass[bucket(&r, scale, from[i].logit)] += from[i].weight;
        int b = 0;
        while (sum + mass[b] < goal) sum += mass[b++];
        int64_t kept = 0;
        for (int64_t i = 0; i < n; i++)
            if (bucket(&r, scale, from[i].logit) == b) room[kept++] = from[i];
        n = kept;
        from = room;
        r = range_of(from, n);
    }
    if (!r.flat) {
        if (from != room) memcpy(room, from, (size_t)n * sizeof *room);
        qsort(room, (size_t)n, sizeof *room, by_logit);
        from = room;
    }
    while ((sum += from->weight) < goal) from++;
    if (reached) *reached = sum;
    return *from;
}

/* Finite logits, each of weight 1; returns how many. */
static int64_t fill(const at_real *logits, int64_t v, at_pick *pick) {
    int64_t n = 0;
    for (int32_t i = 0; i < v; i++)
        if (logits[i] > (at_real)-INFINITY) pick[n++] = (at_pick){i, logits[i], 1};
    return n;
}

/* Keeps the first k in descending order of logits, in the order of their ids; returns how many. */
static int64_t keep_first(at_pick *pick, int64_t n, int64_t k, at_pick *room) {
    if (k <= 0 || k >= n) return n;
    const at_pick last = reach(pick, n, (uint64_t)k, room, NULL);
    int64_t kept = 0;
    for (int64_t i = 0; i < n; i++)
        if (by_logit(&pick[i], &last) <= 0) pick[kept++] = pick[i];
    return kept;
}

/* Sets the weights, drops picks of weight 0, and returns the sum. */
static uint64_t weigh(at_pick *pick, int64_t *n, int64_t v, double most, double temperature) {
    int bits = 52;
    while ((uint64_t)v > (uint64_t)1 << (62 - bits)) bits--;
    const double unit = (double)((uint64_t)1 << bits);
    uint64_t total = 0;
    int64_t kept = 0;
    for (int64_t i = 0; i < *n; i++) {
        const double x = ((double)pick[i].logit - most) / temperature;
        const uint64_t w = x < -37 ? 0 : (uint64_t)(at_exp(x) * unit); /* e^-37 < 2^-52 */
        if (w) pick[kept++] = (at_pick){pick[i].id, pick[i].logit, w};
        total += w;
    }
    *n = kept;
    return total;
}

/* part of a sum, at least 1 and no more than all */
static uint64_t share(uint64_t sum, double part) {
    const double x = ceil(part * (double)sum);
    if (x >= (double)sum) return sum;
    return x < 1 ? 1 : (uint64_t)x;
}

static at_status most_probable(at_ctx *c, const at_real *logits, int64_t v, int32_t *id) {
    int32_t best = 0;
    at_real most = (at_real)-INFINITY;
    for (int32_t i = 0; i < v; i++) {
        if (!(logits[i] < (at_real)INFINITY))
            return at_error(c, AT_NUMERIC,
                            "the logit of token %d is %g: the model's parameters or its hidden "
                            "states are not finite",
                            (int)i, (double)logits[i]);
        if (logits[i] > most) most = logits[best = i];
    }
    if (!(most > (at_real)-INFINITY))
        return at_error(c, AT_NUMERIC, "all %lld logits are -infinity: no token can follow",
                        (long long)v);
    *id = best;
    return AT_OK;
}

at_status at_sample(at_ctx *c, const at_real *logits, int64_t v, const at_sampling *how,
                    uint64_t index, at_pick *pick, int32_t *id) {
    const at_status s = most_probable(c, logits, v, id);
    if (s != AT_OK || !(how->temperature > 0)) return s;
    at_pick *room = pick + v;
    int64_t n = keep_first(pick, fill(logits, v, pick), how->top_k, room);
    uint64_t total = weigh(pick, &n, v, (double)logits[*id], how->temperature);
    if (how->top_p > 0 && how->top_p < 1)
        (void)reach(pick, n, share(total, how->top_p), room, &total);
    const double u = at_uniform(how->seed, AT_STREAM_SAMPLE, index);
    *id = reach(pick, n, share(total, u), room, NULL).id;
    return AT_OK;
}

at_status at_chooser_open(at_ctx *c, int64_t v, at_chooser *out) {
    *out = (at_chooser){.v = v,
                        .scratch = at_malloc(c, 2 * (size_t)v * sizeof *out->scratch),
                        .lowered = at_malloc(c, (size_t)v * sizeof *out->lowered)};
    if (out->scratch && out->lowered) return AT_OK;
    at_chooser_close(out);
    return AT_OOM;
}

void at_chooser_close(at_chooser *h) {
    at_free(h->scratch);
    at_free(h->lowered);
    *h = (at_chooser){0};
}

/* Lowered once, however often it was said. */
static const at_real *penalised(const at_chooser *h, const at_real *logits, double penalty,
                                const int32_t *text, int64_t n) {
    const double by = at_ln(penalty);
    memcpy(h->lowered, logits, (size_t)h->v * sizeof *logits);
    for (int64_t i = n > AT_REPEAT_WINDOW ? n - AT_REPEAT_WINDOW : 0; i < n; i++)
        h->lowered[text[i]] = (at_real)((double)logits[text[i]] - by);
    return h->lowered;
}

at_status at_choose(at_ctx *c, const at_chooser *h, const at_real *logits, const at_sampling *how,
                    const int32_t *text, int64_t n, int32_t *id) {
    if (how->repeat_penalty > 0 && how->repeat_penalty != 1)
        logits = penalised(h, logits, how->repeat_penalty, text, n);
    return at_sample(c, logits, h->v, how, (uint64_t)n, h->scratch, id);
}
