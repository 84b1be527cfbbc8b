/*
 * rows.h - sparse rows, one a training sequence, and the products that linear classifiers ask of them.
 *
 * A row is x_i = scale_i (value_ij factor_j)_j and a last value of 1, whose weight is the bias.  The
 * values are counts until at_rows_weigh has multiplied factors and scales into them.
 */
#ifndef AT_ROWS_H
#define AT_ROWS_H
#include <stdint.h>

typedef struct at_sparse_entry {
    int32_t column;
    float value; /* a count, exact; of weighed rows what it stands for */
} at_sparse_entry;

/** Row i is entry[start[i]] .. entry[start[i + 1] - 1], its columns distinct, in [0, columns). */
typedef struct at_sparse_rows {
    int64_t n, columns; /* columns: without the one of the bias */
    const int64_t *start;
    at_sparse_entry *entry;
    const double *scale;  /* [n]; NULL: the rows are weighed   */
    const double *factor; /* [columns]; NULL likewise          */
} at_sparse_rows;

/** Multiplies factors and scales into the values, and forgets them. */
static inline void at_rows_weigh(at_sparse_rows *x) {
    for (int64_t i = 0; x->scale && i < x->n; i++)
        for (int64_t k = x->start[i]; k < x->start[i + 1]; k++) {
            at_sparse_entry *e = &x->entry[k];
            e->value = (float)((double)e->value * x->factor[e->column] * x->scale[i]);
        }
    x->scale = x->factor = (const double *)0;
}

/** Of weighed rows: x_i . w, w [columns + 1], the bias last.  In one fixed order. */
static inline double at_row_dot(const at_sparse_rows *x, int64_t i, const double *w) {
    const at_sparse_entry *e = x->entry + x->start[i], *end = x->entry + x->start[i + 1];
    double s0 = 0, s1 = 0;
    for (; e + 2 <= end; e += 2) {
        s0 += (double)e[0].value * w[e[0].column];
        s1 += (double)e[1].value * w[e[1].column];
    }
    if (e < end) s0 += (double)e->value * w[e->column];
    return s0 + s1 + w[x->columns];
}

/** Of weighed rows: w += t x_i without the last value; that is the caller's. */
static inline void at_row_add(const at_sparse_rows *x, int64_t i, double t, double *w) {
    const at_sparse_entry *e = x->entry + x->start[i], *end = x->entry + x->start[i + 1];
    for (; e < end; e++) w[e->column] += (double)e->value * t;
}

#endif
