/* blas.h - OpenBLAS as the baseline of products, where the build has it. */
#ifndef AT_BLAS_H
#define AT_BLAS_H
#include "kernel/gemm.h"

/** "OpenBLAS 0.3.21 (Haswell)": its version, and the processor it takes this one for, in text of
    `bytes`; NULL, and then nothing else may be called: not in this build. */
const char *at_blas_name(char *text, size_t bytes);
void at_blas_threads(int n);
/** Seconds, less than one, that its threads stay awake after a product; 0 with one thread. */
double at_blas_rest(void);
/** C = op(A) op(B); accumulate and bias are not looked at. */
void at_blas_gemm(const at_gemm *g);

#endif
