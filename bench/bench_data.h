/* bench_data.h - speed of what a data set goes through before it is tokenised. */
#ifndef AT_BENCH_DATA_H
#define AT_BENCH_DATA_H
#include "base/ctx.h"

typedef struct at_bench_data {
    const char *step; /* "digest", "read", "near", "overlap"                      */
    double bytes;     /* that the step was given                                  */
    double seconds;   /* of processor time, of all threads                        */
} at_bench_data;
typedef at_status (*at_bench_data_emit)(void *user, const at_bench_data *row);

/** Reads, filters, deduplicates and stages the text of a file or folder, drops near copies, splits
    and measures the overlap, in a folder for temporary files that is removed.  A row each, and
    "all", which is digest and read: what every build does. */
at_status at_bench_data_run(at_ctx *c, const char *path, at_bench_data_emit emit, void *user);

#endif
