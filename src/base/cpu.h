/* cpu.h - what this processor can do and how many cores this process may use. */
#ifndef AT_CPU_H
#define AT_CPU_H
#include <stdint.h>

/* Sets of instructions that are used together; a processor that lacks one of a set has none of
   it. */
enum {
    AT_CPU_AVX2 = 1,   /* AVX2 + FMA + F16C         */
    AT_CPU_AVX512 = 2, /* AVX-512 F + BW + DQ + VL  */
    AT_CPU_FMA = 4,    /* AVX2 + FMA for the reference kernels: faster, the same bits */
};

/** Features of this machine, lowered (never raised) by $ARTEL_CPU = ref | avx2 | avx512.
    Results do not depend on them, see kernel/kernel.h. */
unsigned at_cpu_features(void);
/** "avx512", "avx2" or "ref". */
const char *at_cpu_name(unsigned features);
/** Bytes of this machine's cache of level 2 or 3; 0: not known. */
int64_t at_cpu_cache(int level);
/** Cores this process may use: affinity mask and cgroup quota included; at least 1. */
int at_cpu_count(void);

#endif
