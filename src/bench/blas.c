/* blas.c - see blas.h. */
#include "bench/blas.h"
#include <stdio.h>
#if defined(AT_HAVE_BLAS) && !defined(AT_REAL_DOUBLE)
#include <cblas.h>

const char *at_blas_name(char *text, size_t bytes) {
    char version[32] = "";
    (void)sscanf(openblas_get_config(), "OpenBLAS %31s", version);
    (void)snprintf(text, bytes, "OpenBLAS %s (%s)", version, openblas_get_corename());
    return text;
}

void at_blas_threads(int n) { openblas_set_num_threads(n); }

/* 2^28 ticks of the processor's clock, of at least 2 GHz. */
double at_blas_rest(void) { return openblas_get_num_threads() > 1 ? 0.13 : 0; }

void at_blas_gemm(const at_gemm *g) {
    cblas_sgemm(CblasRowMajor, g->ta ? CblasTrans : CblasNoTrans, g->tb ? CblasTrans : CblasNoTrans,
                (blasint)g->m, (blasint)g->n, (blasint)g->k, 1, g->a, (blasint)g->lda, g->b,
                (blasint)g->ldb, 0, g->c, (blasint)g->ldc);
}
#else
const char *at_blas_name(char *text, size_t bytes) {
    (void)text;
    (void)bytes;
    return NULL;
}
void at_blas_threads(int n) { (void)n; }
double at_blas_rest(void) { return 0; }
void at_blas_gemm(const at_gemm *g) { (void)g; }
#endif
