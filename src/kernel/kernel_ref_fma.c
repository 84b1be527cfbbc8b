/* kernel_ref_fma.c - the reference built with -mavx2 -mfma, where fmaf is one instruction. */
#define AT_REF_FILL at_kernels_ref_fma
#include "kernel/kernel_ref.c"
