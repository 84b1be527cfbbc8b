/* timing.h - repeated timing of a call and of its baseline, in turns, and the row that results. */
#ifndef AT_TIMING_H
#define AT_TIMING_H
#include "base/status.h"

typedef struct at_timing {
    double min, median; /* seconds; 0: not measured */
} at_timing;

/** Of n >= 1 measurements; sorts them. */
at_timing at_time_summary(double *t, int n);

/** Calls own(arg) some times, then base(arg), in turns, each time after one call to warm up, until
    about `seconds` are used; at least 3 and at most 200 times each.  Between base and own there is
    time for the threads of base to go to sleep.  base may be NULL. */
void at_time_pair(void (*own)(void *), void (*base)(void *), void *arg, double seconds,
                  at_timing *t_own, at_timing *t_base);

/** One result.  What is not known is 0 or NULL. */
typedef struct at_bench_row {
    const char *name;  /* "gemm"                                               */
    const char *shape; /* "2048x1536x384"                                      */
    int threads;
    at_timing time;       /* of one call                                          */
    double gflops;        /* 1e9 operations a second by time.min                  */
    double peak;          /* percent of what this machine can do with its threads */
    const char *limit;    /* what that is: "fma" or "read"                        */
    double gbytes;        /* 1e9 bytes a second, of rows limited by memory        */
    const char *baseline; /* what it is compared with; NULL: nothing              */
    double ratio;         /* baseline's time.min over ours: above 1 we are faster */
} at_bench_row;
typedef at_status (*at_bench_emit)(void *user, const at_bench_row *row);

#endif
