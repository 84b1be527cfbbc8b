/*
 * cluster.h - domains discovered in unlabelled text: groups of documents of about equal number, by
 * their words.
 *
 * Sources are read, filtered and deduplicated as for a data set (stage.h).  Vectors (tfidf.h) of
 * at most 16384 documents, evenly spread, are grouped (kmeans.h); every document then goes to the
 * group it is most like, less the group's price.  The result is a folder:
 *
 *   c0.jsonl, c1.jsonl, ...   {"id":..,"text":..} a line: sources of a data set
 *   clusters.json             k, seed, and of each group: file, documents, bytes, words that mark it,
 *                             labels; purity and nmi
 *
 * Where sources are named (NAME=PATH) the names are labels that the groups are compared with, and
 * nothing else: purity, the share of documents in groups whose most frequent label they have; and
 * normalised mutual information 2 I(label; group) / (H(label) + H(group)).
 *
 * Memory: 30 MiB and 4 KiB for each group's share of 32768 words, 25 MiB for the sample, 104 bytes a
 * document.  The same for every number of threads.
 */
#ifndef AT_CLUSTER_H
#define AT_CLUSTER_H
#include "data/build.h"

enum { AT_CLUSTERS_MAX = 64 };

typedef struct at_cluster {
    const at_build_source *source; /* domain NULL: without a label */
    int64_t n_sources;
    int k;
    const char *out;
    at_filter filter;
    at_read_options reading;
    uint64_t seed;
} at_cluster;

/** *result: the content of clusters.json; cJSON_Delete it. */
at_status at_cluster_run(at_ctx *c, const at_cluster *o, cJSON **result);

#endif
