/*
 * lab_table.h - what labs need whose claims are a table: the numbers of a run, a claim made of one
 * number a seed, paths in recipes, cells of the page.
 */
#ifndef AT_LAB_TABLE_H
#define AT_LAB_TABLE_H
#include "base/text.h"
#include "lab/lab_claim.h"

enum { AT_LAB_SEEDS_MAX = 64, AT_CELL = 64 };

/** The number under `key` of the result of a run; NaN when there is none.  At "a.b": of key b in the
    object a. */
double at_lab_number(const at_lab_session *l, const char *group, int64_t seed, const char *key);

typedef struct at_claim_text {
    const char *part;  /* section of the page, or NULL                            */
    const char *text;  /* what is claimed, with its bound                         */
    const char *paper; /* what the paper says of it; "-": the claim is ours       */
    const char *unit;
    double null;
    at_claim_side side;
    bool ratio; /* x are logarithms: effect, interval, null are told as ratios */
} at_claim_text;
/** A claim about the mean of x [n], one a seed, by Student's t, with "part", "paper" and "by_seed".  A number
    that is NaN: no claim, but a warning. */
at_status at_lab_claim_seeds(at_lab_session *l, const at_claim_text *c, const double *x, int64_t n);

/** A string in quotes, as YAML has it; where the model of a run will be, in the same way. */
void at_lab_put_quoted(at_text *t, at_lab_session *l, const char *s);
void at_lab_put_model(at_text *t, at_lab_session *l, const char *group, int64_t seed);

/** "4.3712 +- 0.0080": mean and standard deviation, as a cell. */
const char *at_page_spread(char out[AT_CELL], const double *x, int64_t n, int digits);
/** How many claims hold, as the first figure of a page. */
void at_page_holding(at_lab_session *l);

#endif
