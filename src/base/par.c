/* par.c - OpenMP, or a plain loop where the compiler has none. */
#include "base/par.h"
#ifdef _OPENMP
#include <omp.h>
#endif

void at_par_for(int threads, int64_t n, int64_t grain, at_par_fn f, void *arg) {
    if (n <= 0) return;
    if (grain < 1) grain = 1;
    const int64_t chunks = (n + grain - 1) / grain;
    if (threads <= 1 || chunks == 1) {
        for (int64_t i = 0; i < chunks; i++)
            f(arg, i * grain, (i + 1) * grain < n ? (i + 1) * grain : n, 0);
        return;
    }
#ifdef _OPENMP
    const int team = chunks < threads ? (int)chunks : threads;
#pragma omp parallel for schedule(dynamic, 1) num_threads(team)
    for (int64_t i = 0; i < chunks; i++)
        f(arg, i * grain, (i + 1) * grain < n ? (i + 1) * grain : n, omp_get_thread_num());
#else
    for (int64_t i = 0; i < chunks; i++)
        f(arg, i * grain, (i + 1) * grain < n ? (i + 1) * grain : n, 0);
#endif
}

int at_par_cores(void) {
#ifdef _OPENMP
    return omp_get_num_procs();
#else
    return 0;
#endif
}
