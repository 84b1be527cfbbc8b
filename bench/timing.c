/* timing.c - see timing.h. */
#include "bench/timing.h"
#include "base/clock.h"
#include "bench/blas.h"
#include <stdlib.h>
#include <time.h>

enum { TURNS = 3, LEAST = 1, MOST = 200 };

static double once(void (*f)(void *), void *arg) {
    const double start = at_now();
    f(arg);
    return at_now() - start;
}

static int ascending(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

at_timing at_time_summary(double *t, int n) {
    qsort(t, (size_t)n, sizeof *t, ascending);
    return (at_timing){t[0], n % 2 ? t[n / 2] : (t[n / 2 - 1] + t[n / 2]) / 2};
}

/* Waits until the threads of OpenBLAS sleep.  While they spin they occupy a core that the next
   measurement needs. */
static void wait_for_sleep(void) {
    const struct timespec t = {.tv_nsec = (long)(at_blas_spin_seconds() * 1e9)};
    if (t.tv_nsec > 0) (void)nanosleep(&t, NULL);
}

/* Times at least `least` calls, and more until `seconds` have passed; returns their number. */
static int series(void (*f)(void *), void *arg, double seconds, int least, double *t, int n) {
    const double start = at_now();
    for (int i = 0; n < MOST && (i < least || at_now() - start < seconds); i++)
        t[n++] = once(f, arg);
    return n;
}

void at_time_pair(void (*own)(void *), void (*base)(void *), void *arg, double seconds,
                  at_timing *t_own, at_timing *t_base) {
    double a[MOST], b[MOST];
    int n_own = 0, n_base = 0;
    for (int turn = 0; turn < TURNS; turn++) {
        (void)once(own, arg); /* to warm up */
        n_own = series(own, arg, seconds / (2 * TURNS), LEAST, a, n_own);
        if (!base) continue;
        (void)once(base, arg);
        n_base = series(base, arg, seconds / (2 * TURNS), LEAST, b, n_base);
        wait_for_sleep();
    }
    *t_own = at_time_summary(a, n_own);
    *t_base = base ? at_time_summary(b, n_base) : (at_timing){0, 0};
}
