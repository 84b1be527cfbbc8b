/*
 * lab_claim.h - the result of testing a claim.
 *
 *     {"claim","holds","effect","ci":[lo,hi],"p","p_holm","n","unit","null","side", ...}
 *
 * A claim says that an effect lies above (side "above") or below ("below") a number, its null.
 * effect is the estimate, ci its 95 % interval, p the two-sided p of an effect of exactly null, n
 * the number of independent samples (training seeds).  p_holm is p corrected for the number of
 * claims of the lab, or of those that name the same "family".  The claim holds when the effect lies on its side and p_holm is below 0.05.
 * Numbers that a sample cannot give are null; such a claim does not hold.
 *
 * "bound": the effect is no estimate but a limit.  "at_least": the true one is as large or larger,
 * so that a claim "below" cannot hold; "at_most": the other way round; "mixed": one with some
 * seeds, the other with others, and nothing holds; "none".
 */
#ifndef AT_LAB_CLAIM_H
#define AT_LAB_CLAIM_H
#include "base/stats.h"
#include "lab/lab_session.h"

typedef enum at_claim_side { AT_BELOW = -1, AT_ABOVE = 1 } at_claim_side;

typedef struct at_claim {
    const char *text, *unit, *bound; /* bound: as above, or NULL           */
    const char *family;              /* or NULL                            */
    at_estimate e;                   /* p: of null                         */
    double null;
    at_claim_side side;
} at_claim;

/** A claim, to which further fields may be added; _end keeps it until all are made, and closes j. */
void at_lab_claim_begin(at_lab_session *l, const at_claim *claim, at_json *j);
at_status at_lab_claim_end(at_lab_session *l, at_json *j);
/** After the last one: corrects for their number, decides each, and emits them. */
at_status at_lab_claims_decide(at_lab_session *l);

/** exp of an estimate made of logarithms: a ratio. */
at_estimate at_estimate_exp(at_estimate e);
/** mean of a[i] - b[i] over n pairs (at most 64), by at_stat_t against null. */
at_estimate at_estimate_paired(const double *a, const double *b, int64_t n, double null);

#endif
