/* peak.c - how fast this machine multiplies and reads at best. */
#include "kernel/peak.h"
#include "base/clock.h"
#include "base/par.h"
#include "kernel/kernel.h"
#include <string.h>

enum { RUNS = 12, AHEAD = 1024 }; /* words */

typedef struct probe {
    at_kernels k;
    int64_t rounds;        /* burn                                  */
    const uint64_t *words; /* read: in slices, a multiple of 8 long */
    int64_t slice;
} probe;

/* One slice of work for each worker.  Storing to a volatile makes the compiler compute them. */
static void burn_slice(void *arg, int64_t begin, int64_t end, int worker) {
    const probe *p = arg;
    volatile at_real keep;
    at_real sink;
    (void)worker;
    for (int64_t i = begin; i < end; i++) {
        (void)p->k.burn(p->rounds, &sink);
        keep = sink;
    }
    (void)keep;
}

/* Four sums of 64-bit words: fast enough for any memory, without vector instructions.  Prefetching
   keeps more cache lines under way than the processor does by itself. */
static void read_slice(void *arg, int64_t begin, int64_t end, int worker) {
    const probe *p = arg;
    volatile uint64_t keep;
    (void)worker;
    for (int64_t i = begin; i < end; i++) {
        const uint64_t *x = p->words + i * p->slice;
        uint64_t s[4] = {0};
        for (int64_t j = 0; j < p->slice; j += 8) {
            __builtin_prefetch(x + (j + AHEAD < p->slice ? j + AHEAD : j));
            for (int u = 0; u < 4; u++) s[u] += x[j + u];
            for (int u = 0; u < 4; u++) s[u] += x[j + 4 + u];
        }
        keep = s[0] + s[1] + s[2] + s[3];
    }
    (void)keep;
}

static double best(int threads, int64_t slices, at_par_fn f, probe *p) {
    double t = 1e30;
    for (int run = 0; run < RUNS; run++) {
        const double start = at_now();
        at_par_for(threads, slices, 1, f, p);
        const double took = at_now() - start;
        if (took < t) t = took;
    }
    return t;
}

double at_fma_peak(at_ctx *c, int threads) {
    probe p = {.rounds = 1000};
    at_kernels_fill(&p.k, c->cpu);
    if (threads < 1) threads = 1;
    at_real sink;
    double flops = 0, took = 0; /* how many rounds make 10 ms */
    while (took < 0.01) {
        p.rounds *= 2;
        const double start = at_now();
        flops = p.k.burn(p.rounds, &sink);
        took = at_now() - start;
    }
    return flops * threads / best(threads, threads, burn_slice, &p) * 1e-9;
}

double at_read_peak(at_ctx *c, int threads) {
    enum { BYTES = 256 << 20, SLICES = 256 };
    uint64_t *words = at_malloc(c, BYTES);
    if (!words) {
        at_error_clear(c);
        return 0;
    }
    memset(words, 1, BYTES); /* pages never written all map to one page of zeros */
    probe p = {.words = words, .slice = BYTES / (int64_t)sizeof *words / SLICES};
    const double t = best(threads < 1 ? 1 : threads, SLICES, read_slice, &p);
    at_free(words);
    return (double)BYTES / t * 1e-9;
}
