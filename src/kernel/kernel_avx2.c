/* kernel_avx2.c - built with -mavx2 -mfma. */
#include "kernel/kernel.h"

void at_kernels_avx2(at_kernels *k) { k->name = "avx2"; }
