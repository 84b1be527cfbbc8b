/* top_row.h - a row of a teacher that is known by its most probable tokens and what is left. */
#ifndef AT_TOP_ROW_H
#define AT_TOP_ROW_H
#include "op/softmax_row.h"

/** The loss between row i of the teacher and student s over v tokens, where what is left is one
    token: AT_KD_FORWARD, or AT_KD_SOFT.  When ds is not NULL, ds += coef * gradient.  tmp: v
    values. */
double at_row_kd_top(const at_kernels *k, int64_t v, const at_kd *how, const at_real *s,
                     const at_top *top, int64_t i, at_real *tmp, double coef, at_real *ds);

/** Probability of a token below v, as at_row_spread_top has it. */
double at_row_top_probability(int64_t v, const at_top *top, int64_t i, int32_t id);

/** z with softmax(z / tau) equal to row i, what is left spread evenly over all other tokens. */
void at_row_spread_top(int64_t v, double tau, const at_top *top, int64_t i, at_real *z);

/** The n most probable tokens of a row of logits z [v], n in 1 to v: descending, equal ones by id. */
void at_row_select_top(int64_t v, const at_real *z, int64_t n, int32_t *id);
/** These, the logarithms of their probabilities (of temperature 1), and at each temperature that of the
    odds of all others together, at least -80.  tmp: v values. */
void at_row_take_top(const at_kernels *k, int64_t v, const at_real *z, int64_t n, int n_tau,
                     const double *tau, at_real *tmp, int32_t *id, float *logp, float *odds);

#endif
