/*
 * blocking.h - how matrix products are cut into blocks that fit the caches.
 *
 * C[m,n] = A[m,k] B[k,n] is computed in blocks of KC terms of k, MC rows of A and NC columns of B
 * (the letters of Goto & van de Geijn 2008).  KC fixes the order of sums and so the bits: it is the
 * same on every machine.  The others follow the caches and change no bit.
 */
#ifndef AT_BLOCKING_H
#define AT_BLOCKING_H
#include <stdint.h>

enum {
    AT_KC = 384,       /* most terms in a block of k.  With fewer, C is read and written more often;
                        with more, a panel of B leaves the first-level cache */
    AT_MC = 168,       /* most rows of A in a block; whole panels of 4, 6, 12 and 14 rows      */
    AT_MC_GROUP = 672, /* most rows of one expert in a task of a grouped product               */
    AT_NC = 4096,      /* most columns of B packed for all workers                             */
    AT_NC_OWN = 256,   /* most columns of B that a worker packs for itself                     */
    AT_PANEL_MAX = 64, /* rows or columns of a panel (mr, nr) are fewer              */
    AT_PARALLEL_MIN = 1 << 20, /* products of fewer multiply-adds are done by one worker     */
    AT_TASKS = 4 /* tasks for each worker, at least, where there is enough work to cut up */
};

typedef struct at_blocking {
    int64_t mc; /* rows of A that a worker packs; with AT_KC terms a third of the second-level
                       cache */
    int64_t
        mc_group; /* rows of one expert in a task of a grouped product, which packs B for itself */
    int64_t nc_own; /* columns of B that a worker packs for itself                            */
    int64_t nc;     /* most columns of B packed for all workers                               */
    int64_t shared; /* values packed for all workers: a part of the third-level cache         */
    int64_t thin;   /* most values of A in a block of k for each worker to hold all of them in its
                       own cache */
} at_blocking;

/** For caches of so many bytes: the second level of each core, the third in all; 0: not known. */
at_blocking at_blocking_for(int64_t second, int64_t third);

#endif
