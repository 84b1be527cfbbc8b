/* kernel_ref_fma.c - the reference once more, built with -mavx2 -mfma: fmaf is an instruction there. */
#define AT_REF_FILL at_kernels_ref_fma
#include "kernel/kernel_ref.c"
