/*
 * near.h - drops paragraphs that are nearly copies of others, within splits and across them.
 *
 * Paragraphs (whole documents where these have none) are looked at in the order test, validation,
 * train, and in each domain by domain.  One whose likeness (shingle.h) to an earlier one that
 * stayed is at least the threshold is dropped: nothing that is trained on is nearly what is tested
 * on, whatever the domains.
 *
 * Candidates are found by sketches of bands x rows numbers: two paragraphs that agree in all rows
 * of a band are compared in full (locality-sensitive hashing; Leskovec, Rajaraman, Ullman, "Mining
 * of Massive Datasets", 3.4).  Of a pair just at the threshold one in a hundred is missed, of closer
 * ones far fewer.  Where more than 16 paragraphs share a band, each is compared with the first 8
 * and the last 8.  Memory: 32 MiB and a bit for each paragraph; the rest is in temporary files, 16
 * bytes for each band of a paragraph.
 */
#ifndef AT_NEAR_H
#define AT_NEAR_H
#include "data/stage.h"

/** Paragraphs compared and dropped. */
typedef struct at_near {
    double threshold; /* 0: near copies are not looked for */
    int rows, bands;
    int64_t paragraphs, compared;
    int64_t dropped[AT_SPLITS];
} at_near;

/** threshold: 0.5 to 1; fills rows and bands. */
at_status at_near_init(at_ctx *c, double threshold, at_near *out);
/** Rewrites the stages; splits are assigned.  dir: for temporary files. */
at_status at_near_drop(at_ctx *c, at_stage *domain, int n, const char *dir, at_near *near);

#endif
