/*
 * newness.h - how the routers of a mixture see a domain that is new to it: what their rows are multiplied with,
 * on its text and on that of the other domains.  Rows for new slots come of it, as FlexOlmo (arXiv 2507.07024) and
 * Nexus (arXiv 2408.15901) take embeddings of domains, and which layers need new slots most.
 */
#ifndef AT_NEWNESS_H
#define AT_NEWNESS_H
#include "arch/read.h"
#include "data/dataset.h"

typedef struct at_newness_bank {
    int64_t width, parts;
    double *
        own; /* [parts, width] sums over the new domain's tokens: window i is of part i mod parts */
    double *others;       /* [width] sums over those of the others */
    int64_t *n, n_others; /* [parts] tokens */
    double squares[2];    /* sums of squares, of the new domain and of the others */
} at_newness_bank;

typedef struct at_newness {
    at_newness_bank *bank; /* [banks] as the model lists them */
    int64_t banks;
} at_newness;

/** Reads windows of `context` tokens, evenly spread over the training text of every domain.  more[i]: slots that bank i
    is to get; where it has no router, or gets none, nothing is kept of it but what scores it.  AT_CONFIG: there is no other domain. */
at_status at_newness_read(at_compute *cp, at_model *m, const at_dataset *d, int domain,
                          int64_t context, const int64_t *more, at_newness *out);
void at_newness_close(at_newness *x);

/** Squared distance of the two means, in units of the mean squared distance of a token from its own mean; -1 for a
    bank without a router. */
double at_newness_score(const at_newness *x, int64_t bank);
/** Keeps more[i] of the `layers` banks of each kind with the highest scores, and sets the others to 0. */
void at_newness_choose(const at_newness *x, const at_banks *banks, int64_t layers, int64_t *more);
/** Sets the rows of the new slots of `grown`, the last more[i] of each bank: in the direction in which the mean of their
    part differs from that of the others, as long as the bank's old rows are on average. */
void at_newness_rows(const at_newness *x, const at_model *m, const int64_t *more, at_model *grown);

#endif
