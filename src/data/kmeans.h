/*
 * kmeans.h - groups of equal size among sparse vectors of length 1 (spherical k-means, Dhillon and
 * Modha, 2001; balanced as in Gururangan and others, "Scaling expert language models with
 * unsupervised domain discovery", 2023).
 *
 * The likeness of a vector and a group is the cosine of the angle between it and the group's mean.
 * In each round a price for each group, raised while it is asked for too much, makes groups about
 * equal; then each vector, those that gain most by it first, goes to the best group with room left.
 * Beginnings are drawn by the seed as k-means++ does; of four beginnings the best result is kept.
 * The same for every number of threads.
 */
#ifndef AT_KMEANS_H
#define AT_KMEANS_H
#include "base/ctx.h"

enum { AT_KMEANS_MAX = 256 };

typedef struct at_sparse {
    const int32_t *index; /* ascending, below width */
    const double *value;
    int64_t n;
} at_sparse;

typedef struct at_kmeans {
    int k;
    int64_t width;
    double *mean;    /* [width, k], each group's of length 1 */
    double *price;   /* [k] */
    double likeness; /* mean over the vectors */
    int rounds;      /* of the best beginning */
} at_kmeans;

/** n vectors, 1 <= k <= n.  group [n]: where each is. */
at_status at_kmeans_fit(at_ctx *c, const at_sparse *v, int64_t n, int64_t width, int k,
                        uint64_t seed, at_kmeans *out, int *group);
/** The group of any vector, by likeness less price. */
int at_kmeans_assign(const at_kmeans *m, const at_sparse *v);
void at_kmeans_free(at_kmeans *m);

#endif
