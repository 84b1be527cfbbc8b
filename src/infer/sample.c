/* sample.c - greedy, temperature, top-k, top-p (Holtzman et al. 2020, arXiv 1904.09751). */
#include "infer/sample.h"
#include "base/rng.h"
#include <math.h>
#include <stdlib.h>

static int by_logit(const void *a, const void *b) {
    const at_pick *x = a, *y = b;
    if (x->logit != y->logit) return x->logit > y->logit ? -1 : 1;
    return x->id < y->id ? -1 : x->id > y->id;
}

int32_t at_sample(const at_real *logits, int64_t v, const at_sampling *how, uint64_t index,
                  at_pick *pick) {
    int32_t best = 0;
    for (int32_t i = 1; i < v; i++)
        if (logits[i] > logits[best]) best = i;
    if (how->temperature <= 0) return best;
    for (int32_t i = 0; i < v; i++) pick[i] = (at_pick){i, logits[i]};
    qsort(pick, (size_t)v, sizeof *pick, by_logit);
    int64_t n = how->top_k > 0 && how->top_k < v ? how->top_k : v;
    double total = 0;
    for (int64_t i = 0; i < n; i++)
        total += exp((double)(pick[i].logit - pick[0].logit) / how->temperature);
    if (how->top_p > 0 && how->top_p < 1) {
        double sum = 0;
        int64_t m = 0;
        while (m < n && sum < how->top_p * total)
            sum += exp((double)(pick[m++].logit - pick[0].logit) / how->temperature);
        n = m;
        total = sum;
    }
    double left = total * at_uniform(how->seed, AT_STREAM_SAMPLE, index);
    for (int64_t i = 0; i < n; i++) {
        left -= exp((double)(pick[i].logit - pick[0].logit) / how->temperature);
        if (left <= 0) return pick[i].id;
    }
    return pick[n - 1].id;
}
