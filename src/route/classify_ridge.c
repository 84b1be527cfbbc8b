/*
 * classify_ridge.c - ridge regression on targets of 1 for the class and -1 for the others:
 *
 *     minimise  alpha |w|^2 + sum_i (y_i - w.x_i - b)^2,   alpha = 1 / C, b not penalised
 *
 * (Hoerl and Kennard 1970).  The normal equations are solved by conjugate gradients with the diagonal as
 * preconditioner; the matrix is never formed.
 */
#include "route/classifier.h"
#include <math.h>

enum { STEPS_MAX = 2000, ARRAYS = 5 };

static double dot(const double *a, const double *b, int64_t n) {
    double s0 = 0, s1 = 0;
    int64_t i = 0;
    for (; i + 2 <= n; i += 2) {
        s0 += a[i] * b[i];
        s1 += a[i + 1] * b[i + 1];
    }
    for (; i < n; i++) s0 += a[i] * b[i];
    return s0 + s1;
}

/* to = (X'X + alpha) p */
static void normal_product(const at_versus *v, const double *p, double *to) {
    const at_sparse_rows *x = v->f->x;
    for (int64_t j = 0; j < x->columns; j++) to[j] = p[j] / v->f->c;
    to[x->columns] = 0;
    for (int64_t i = 0; i < x->n; i++) {
        const double f = at_row_dot(x, i, p);
        at_row_add(x, i, f, to);
        to[x->columns] += f;
    }
}

/* The diagonal of X'X + alpha, and X'y. */
static void begin(const at_versus *v, double *diagonal, double *r) {
    const at_sparse_rows *x = v->f->x;
    for (int64_t j = 0; j <= x->columns; j++) {
        diagonal[j] = j < x->columns ? 1 / v->f->c : (double)x->n;
        r[j] = 0;
    }
    for (int64_t i = 0; i < x->n; i++) {
        const double y = at_versus_sign(v, i);
        at_row_add(x, i, y, r);
        r[x->columns] += y;
        for (int64_t e = x->start[i]; e < x->start[i + 1]; e++)
            diagonal[x->entry[e].column] += (double)x->entry[e].value * (double)x->entry[e].value;
    }
}

static at_status one(const at_versus *v) {
    const int64_t m = v->f->x->columns + 1;
    double *diagonal = v->scratch, *r = diagonal + m, *p = r + m, *z = p + m, *hp = z + m;
    begin(v, diagonal, r);
    for (int64_t j = 0; j < m; j++) p[j] = r[j] / diagonal[j];
    double rz = dot(r, p, m);
    const double first = sqrt(dot(r, r, m));
    for (;; v->report->steps++) {
        v->report->left = first > 0 ? sqrt(dot(r, r, m)) / first : 0;
        v->report->given_up = v->report->steps == STEPS_MAX;
        if (v->report->left <= v->f->eps || v->report->given_up) return AT_OK;
        if (at_interrupted(v->c)) return AT_INTERRUPTED;
        normal_product(v, p, hp);
        const double alpha = rz / dot(p, hp, m);
        for (int64_t j = 0; j < m; j++) {
            v->w[j] += alpha * p[j];
            r[j] -= alpha * hp[j];
            z[j] = r[j] / diagonal[j];
        }
        const double next = dot(r, z, m), beta = next / rz;
        rz = next;
        for (int64_t j = 0; j < m; j++) p[j] = z[j] + beta * p[j];
    }
}

static at_status fit(at_ctx *c, const at_fit *f, double *w) {
    return at_one_versus_rest(c, f, ARRAYS * (f->x->columns + 1), one, w);
}

const at_classifier at_classifier_ridge = {.name = "ridge",
                                           .help = "ridge regression on targets of 1 and -1",
                                           .link = AT_LINK_SOFTMAX,
                                           .c = 1,
                                           .fit = fit};
