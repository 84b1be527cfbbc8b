/* kernel.c - the choice between the instruction sets of this build and this machine. */
#include "kernel/kernel.h"
#include "base/cpu.h"

void at_kernels_fill(at_kernels *k, unsigned features) {
#ifdef AT_REAL_DOUBLE
    (void)features;
    at_kernels_plain(k);
#else
    at_kernels_ref(k);
#ifdef AT_HAVE_X86_FMA
    if (features & AT_CPU_FMA) at_kernels_ref_fma(k);
#endif
#ifdef AT_HAVE_X86_KERNELS
    if (features & AT_CPU_AVX2) at_kernels_avx2(k);
    if (features & AT_CPU_AVX512) at_kernels_avx512(k);
#endif
    (void)features;
#endif
}
