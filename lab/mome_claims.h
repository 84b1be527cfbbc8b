/* mome_claims.h - the claims of the lab of the Mixture of Modular Experts, as a table. */
#ifndef AT_MOME_CLAIMS_H
#define AT_MOME_CLAIMS_H
#include "lab/mome_lab.h"

typedef struct mome_claim mome_claim;
struct mome_claim {
    char part;         /* 'a' .. 'f': a section of the page              */
    const char *text;  /* what is claimed, with its bound                */
    const char *paper; /* what the paper says; "-": the claim is ours     */
    const char *unit;
    double (*of)(const mome *m, const mome_claim *c, int k); /* with seed k; NaN: not known */
    const char *a, *b; /* groups of runs, for `of`                       */
    double null;
    at_claim_side side;
    bool ratio; /* `of` is a logarithm: effect, interval and null are told as ratios */
};
/** Ends with part 0. */
extern const mome_claim mome_claim_table[];

/** Mean over the orders, with seed k, of a field of what is forgotten. */
double mome_forgotten(const mome *m, enum mome_mode mode, int k);
double mome_end(const mome *m, enum mome_mode mode, int k);
/** Which classifier, of all but the first, is best on MOME_SHORT tokens of the test split, mean over
    seeds: who is better than every other one is better than it, so that choosing it there cannot
    favour the first. */
int mome_best_rival(const mome *m);
const mome_curve *mome_curve_at(const mome *m, const char *group, int k);

#endif
