/* blas.c - see blas.h. */
#include "bench/blas.h"
#include "base/cpu.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#if defined(AT_HAVE_BLAS) && !defined(AT_REAL_DOUBLE)
#include <cblas.h>

const char *at_blas_name(char *text, size_t bytes) {
    char version[32] = "";
    const char *core = openblas_get_corename(), *asked = getenv("OPENBLAS_CORETYPE"), *how = "";
    if (asked && *asked) how = strcasecmp(asked, core) == 0 ? ", as asked" : ", not as asked";
    (void)sscanf(openblas_get_config(), "OpenBLAS %31s", version);
    (void)snprintf(text, bytes, "OpenBLAS %s (%s%s)", version, core, how);
    return text;
}

static bool is_one_of(const char *core, const char *const *name) {
    while (*name && strcasecmp(*name, core) != 0) name++;
    return *name != NULL;
}

const char *at_blas_better_coretype(unsigned cpu) {
    static const char *const of_avx512[] = {"SkylakeX", "Cooperlake", "SapphireRapids", NULL},
                             *const of_avx2[] = {"Haswell", "Zen", "Excavator", NULL};
    const char *core = openblas_get_corename(), *asked = getenv("OPENBLAS_CORETYPE");
    if ((asked && *asked) || is_one_of(core, of_avx512)) return NULL;
    if (cpu & AT_CPU_AVX512) return of_avx512[0];
    return (cpu & AT_CPU_AVX2) && !is_one_of(core, of_avx2) ? of_avx2[0] : NULL;
}

void at_blas_threads(int n) { openblas_set_num_threads(n); }

/* 2^28 ticks of the processor's clock, of at least 2 GHz. */
double at_blas_spin_seconds(void) { return openblas_get_num_threads() > 1 ? 0.13 : 0; }

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
const char *at_blas_better_coretype(unsigned cpu) {
    (void)cpu;
    return NULL;
}
void at_blas_threads(int n) { (void)n; }
double at_blas_spin_seconds(void) { return 0; }
void at_blas_gemm(const at_gemm *g) { (void)g; }
#endif
