/* timing.c - see timing.h. */
#include "bench/timing.h"
#include "base/clock.h"
#include <stdlib.h>

enum { LEAST = 3, MOST = 200 };

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

void at_time_pair(void (*own)(void *), void (*base)(void *), void *arg, double seconds,
                  at_timing *t_own, at_timing *t_base) {
    double a[MOST], b[MOST];
    int n = 0;
    own(arg);
    if (base) base(arg);
    const double start = at_now();
    while (n < LEAST || (n < MOST && at_now() - start < seconds)) {
        a[n] = once(own, arg);
        b[n] = base ? once(base, arg) : 0;
        n++;
    }
    *t_own = at_time_summary(a, n);
    *t_base = base ? at_time_summary(b, n) : (at_timing){0, 0};
}
