/* sets.h - the instruction sets of this build and machine, for tests that run in each of them. */
#ifndef SETS_H
#define SETS_H
#include "base/cpu.h"
#include <stdbool.h>

static const struct {
    const char *name;
    unsigned features;
} SETS[] = {{"ref", 0}, {"avx2", AT_CPU_AVX2}, {"avx512", AT_CPU_AVX2 | AT_CPU_AVX512}};
enum { N_SETS = sizeof SETS / sizeof SETS[0] };

/** Whether set s is here, and its features (the reference with hardware's multiply-adds). */
static inline bool set_is_here(int s, unsigned *features) {
    const unsigned have = at_cpu_features();
    *features = SETS[s].features | (have & AT_CPU_FMA);
    return (SETS[s].features & have) == SETS[s].features;
}

#endif
