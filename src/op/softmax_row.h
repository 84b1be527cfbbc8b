/* softmax_row.h - softmax, log-sum-exp and divergence of a row of logits: shared by xent, distill
   and head_loss. */
#ifndef AT_SOFTMAX_ROW_H
#define AT_SOFTMAX_ROW_H
#include "op/op.h"

/** log sum_j exp(a x_j); y (v values, may be x) receives softmax(a x). */
double at_row_softmax(const at_kernels *k, int64_t v, double a, const at_real *x, at_real *y);

/** The loss `how` between teacher z and student s, see at_kd_kind; when ds is not NULL,
    ds += coef * gradient.  tmp: 2 v values. */
double at_row_kd(const at_kernels *k, int64_t v, const at_kd *how, const at_real *s,
                 const at_real *z, at_real *tmp, double coef, at_real *ds);

/** Unnormalised weight of a row among the others, see at_token_weight; tmp: v values. */
double at_row_weight(const at_kernels *k, int64_t v, const at_kd *how, const at_real *s,
                     const at_real *z, int32_t label, at_real *tmp);
/** w[n] becomes each weight's share of their sum, or 0 where that is 0. */
void at_weight_shares(int64_t n, double *w);

/** Number of labels >= 0.  Fails the run and returns -1 when one is not below v, or none is >=
    0. */
int64_t at_count_labels(at_run *r, const char *op, const int32_t *label, int64_t n, int64_t v);

#endif
