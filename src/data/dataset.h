/*
 * dataset.h - a data set folder opened for reading: manifest.json and memory-mapped token shards.
 *
 * A shard <domain>.<split>.bin holds the tokens of all documents in order, each document followed
 * by the end-of-text token, and the index of document starts.
 */
#ifndef AT_DATASET_H
#define AT_DATASET_H
#include "data/shard.h"

typedef enum at_split { AT_TRAIN, AT_VALIDATION, AT_TEST, AT_SPLITS } at_split;
extern const char *const at_split_name[AT_SPLITS]; /* "train", "validation", "test" */
/** By name; AT_ARG lists the known ones. */
at_status at_split_find(at_ctx *c, const char *name, at_split *out);

typedef struct at_domain {
    const char *name;
    at_shard shard[AT_SPLITS];
    bool pairs;      /* its documents are texts with their translations (pairs.h)    */
    const char *tag; /* what every one of these texts begins with, "en-fr ", or NULL */
} at_domain;

typedef struct at_dataset {
    const char *path;
    const char *tokenizer_hash; /* hex SHA-256                             */
    int64_t vocab;              /* tokenizer's highest id + 1              */
    int n_domains;
    at_domain *domain;
    int n_ood; /* sets of other text, to be tested on: shard[AT_TEST] alone is filled */
    at_domain *ood;
    void *own;
} at_dataset;

/** The split of that name; "ood": the data set shows its out-of-domain sets in place of its domains
    from now on, and *out is AT_TEST.  AT_ARG: no such split, or no such sets. */
at_status at_dataset_show(at_ctx *c, at_dataset *d, const char *split, at_split *out);

/** Maps the shards and checks their headers and sizes, not their tokens. */
at_status at_dataset_open(at_ctx *c, const char *path, at_dataset **out);
/** Reads all tokens.  AT_FORMAT names file and position of the first token id >= vocab, or a file
    whose checksum is wrong. */
at_status at_dataset_check(at_ctx *c, const at_dataset *d);
/** Opens, and checks the tokens of a set of at most AT_CHECK_BYTES, which takes a moment.  In a
    larger set a damaged token is found only when a model meets it (AT_ARG); at_dataset_error says
    then that the data is at fault. */
at_status at_dataset_open_checked(at_ctx *c, const char *path, at_dataset **out);
#define AT_CHECK_BYTES ((int64_t)1 << 30)
/** For a status that came of using the data: AT_ARG (a token that no model has) becomes AT_FORMAT
    with the path of the set in front of the message; any other status is returned as it is. */
at_status at_dataset_error(at_ctx *c, const at_dataset *d, at_status s);
void at_dataset_close(at_dataset *d);
/** The checksum of a domain's tokens and index, from the header of its shard. */
uint64_t at_dataset_sum(const at_dataset *d, int domain, at_split split);
/** Index of a domain by name, or -1. */
int at_dataset_domain(const at_dataset *d, const char *name);

#endif
