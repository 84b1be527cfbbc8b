/* blas.h - OpenBLAS as the baseline of products, where the build has it. */
#ifndef AT_BLAS_H
#define AT_BLAS_H
#include "kernel/gemm.h"

/** "OpenBLAS 0.3.21 (Haswell)": its version, and the processor whose kernels it uses, in text of
    `bytes`; with $OPENBLAS_CORETYPE set also whether these are the ones asked for.  NULL, and then
    nothing else may be called: not in this build. */
const char *at_blas_name(char *text, size_t bytes);
/** The $OPENBLAS_CORETYPE to set when OpenBLAS does not know this processor and would compete with
    kernels below `cpu` (AT_CPU_* features); NULL: it uses what there is, or what was asked for. */
const char *at_blas_better_coretype(unsigned cpu);
void at_blas_threads(int n);
/** Seconds, less than one, that its threads spin after a product; 0 with one thread. */
double at_blas_spin_seconds(void);
/** C = op(A) op(B); accumulate and bias are not looked at. */
void at_blas_gemm(const at_gemm *g);

#endif
