/*
 * logistic.h - logistic regression with an L2 penalty, on sparse rows.
 *
 *     minimise  |w|^2 / 2 + C sum_i log(1 + exp(-y_i w.x_i)),   y_i = 1 for the class, -1 for others
 *
 * The rows (rows.h) are not weighed: counts are kept and factors multiplied into w instead, so that an
 * entry takes 8 bytes and is exact.  The bias is penalised like the other weights.
 *
 * Sums have one fixed order and use base/maths.h, so that the bits of w depend on the input alone.
 */
#ifndef AT_LOGISTIC_H
#define AT_LOGISTIC_H
#include "base/ctx.h"
#include "route/rows.h"

typedef struct at_logistic_options {
    double c;   /* inverse strength of the penalty, above 0                                       */
    double eps; /* stops where |gradient| <= eps * rarer / n * |gradient at w = 0|, rarer: rows of
                   the class or of the others, whichever are fewer                                */
} at_logistic_options;

typedef struct at_logistic_report {
    int steps;       /* of Newton's method                                        */
    int passes;      /* over all rows                                             */
    double gradient; /* what is left of the gradient at w = 0                     */
    bool converged;  /* false: stopped by rounding or by the limit of steps           */
} at_logistic_report;

/** Doubles of scratch memory that a fit on these rows needs. */
int64_t at_logistic_scratch(const at_sparse_rows *x);

/** w [columns + 1], the bias last, for rows whose label is `which` against all others.
    AT_INTERRUPTED as soon as c is; the context is only read, so that workers may share it. */
at_status at_logistic_fit(const at_ctx *c, const at_sparse_rows *x, const int32_t *label,
                          int32_t which, const at_logistic_options *o, double *scratch, double *w,
                          at_logistic_report *report);

#endif
