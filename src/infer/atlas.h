/*
 * atlas.h - who is used where: the experts of a mixture by domain, by token, and by company.
 *
 *   at_atlas a = {0};
 *   at_atlas_read(cp, model, data, AT_TEST, 0, 200, &a);
 *   at_atlas_expert(&a, &a.router[i], expert, domain, &share, &half);
 *   at_atlas_close(&a);
 *
 * Counts are of one reading of one split and of nothing else.  Tokens of a window depend on each
 * other, so the intervals of shares come from how they differ between windows.
 */
#ifndef AT_ATLAS_H
#define AT_ATLAS_H
#include "arch/read.h"
#include "data/dataset.h"

enum {
    AT_ATLAS_TOKENS = 4096
}; /* as many different tokens are looked at, the most frequent ones */

/** Counts of a router; D domains, E experts. */
typedef struct at_atlas_router {
    at_router_id id;
    int64_t e, k;
    double *slots;   /* [D, E] choices                                                    */
    double *sum;     /* [D, E] over windows, of the share of a window's choices           */
    double *square;  /* [D, E] over windows, of its square                                */
    double *both;    /* [E, E] tokens that chose both; on the diagonal those that chose e */
    float *by_token; /* [listed, E] of each listed token, how often it chose each expert */
} at_atlas_router;

typedef struct at_atlas {
    const at_dataset *data;    /* borrowed */
    int64_t *windows, *tokens; /* [D] read */
    int32_t *place;            /* [V] a token's place among the listed ones, or -1    */
    int32_t *listed;           /* [n_listed] tokens                                   */
    double *times;             /* [n_listed] how often each was read                  */
    int64_t n_listed;
    at_atlas_router *router; /* in the order of the passes                            */
    int64_t n, cap;
} at_atlas;

/** Reads every domain of a split in windows of `context` tokens (at most the model's; 0: that, at
    most 1024), at most `limit` a domain (0: all).  AT_ARG: the model has no routers, or the split
    has no text.  Closed in any case. */
at_status at_atlas_read(at_compute *cp, at_model *m, const at_dataset *d, at_split split,
                        int64_t context, int64_t limit, at_atlas *out);
void at_atlas_close(at_atlas *a);

/** Share of a domain's choices that fall on an expert, and half the width of its interval of 95 %
    (NaN below two windows). */
void at_atlas_expert(const at_atlas *a, const at_atlas_router *r, int64_t expert, int domain,
                     double *share, double *half);
/** I(expert; domain) in nats over the domains that were read, each with equal weight: 0 when all
    domains use the experts alike, ln D when none shares an expert with another. */
double at_atlas_information(const at_atlas *a, const at_atlas_router *r);
/** The domain that uses an expert most, each domain with equal weight; *part: its part of the
    expert's use, 1 / D where all use it alike.  -1: nobody uses it. */
int at_atlas_home(const at_atlas *a, const at_atlas_router *r, int64_t expert, double *part);
/** The tokens that choose an expert most beyond what is usual: those with the largest
    n ln (P(expert | token) / P(expert)), n the times they chose it; at least AT_ATLAS_SEEN of them.
    Returns how many of `most` there are. */
enum { AT_ATLAS_SEEN = 10 };
int64_t at_atlas_tokens(const at_atlas *a, const at_atlas_router *r, int64_t expert, int64_t most,
                        int32_t *id);
/** P(a and b) / (P(a) P(b)) over tokens: above 1 they are chosen together more often than by chance.
    NaN where one is not used. */
double at_atlas_company(const at_atlas *a, const at_atlas_router *r, int64_t x, int64_t y);

#endif
