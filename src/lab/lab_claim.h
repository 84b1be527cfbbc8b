/*
 * lab_claim.h - what came of a claim.
 *
 *     {"claim","holds","effect","ci":[lo,hi],"p","n","unit", ...}
 *
 * effect is the estimate, ci its 95 % interval, p the two-sided p of "no effect", n the number of
 * independent samples (training seeds).  Numbers that a sample cannot give are null.
 */
#ifndef AT_LAB_CLAIM_H
#define AT_LAB_CLAIM_H
#include "lab/lab_session.h"
#include "lab/stats.h"

/** Adds and emits.  more: further fields, taken; or NULL. */
at_status at_lab_claim(at_lab_session *l, const char *text, bool holds, const at_estimate *e,
                       const char *unit, cJSON *more);

/** exp of an estimate made of logarithms: a ratio. */
at_estimate at_estimate_exp(at_estimate e);
/** mean of a[i] - b[i] over n pairs (at most 64), by at_stat_t against 0. */
at_estimate at_estimate_paired(const double *a, const double *b, int64_t n);

#endif
