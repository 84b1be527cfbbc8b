/*
 * par.h - the one place where threads are made.
 *
 * Same bits for every number of threads: the range is cut into chunks of `grain` whatever the
 * number of workers, and a chunk's result must not depend on who computes it.  Reductions write
 * one partial per chunk and sum the partials in order.
 */
#ifndef AT_PAR_H
#define AT_PAR_H
#include <stdint.h>

/** Works on [begin,end).  worker, in [0,threads), selects scratch memory. */
typedef void (*at_par_fn)(void *arg, int64_t begin, int64_t end, int worker);

/** Calls f on the chunks [i*grain, min(n,(i+1)*grain)) of [0,n), in any order, on up to
    `threads` workers, of which the calling thread is one.  Callers in several threads have workers
    each.  Must not be nested. */
void at_par_for(int threads, int64_t n, int64_t grain, at_par_fn f, void *arg);

/** Ends the threads that no caller uses now; a later loop starts others. */
void at_par_stop(void);

#endif
