/* kernel_avx512.c - built with -mavx512f -mavx512bw -mavx512dq -mavx512vl. */
#include "kernel/kernel.h"

void at_kernels_avx512(at_kernels *k) { k->name = "avx512"; }
