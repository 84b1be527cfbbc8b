/*
 * logistic.c - Newton's method; its linear systems are solved by conjugate gradients.
 *
 * The Hessian I + C X' D X is never formed: a product with it is one pass over the rows.  Systems
 * are solved roughly while the solution is far, and with the diagonal as preconditioner, so that
 * few passes are needed.  A step is halved until the objective falls; that needs no pass, since the
 * margins of w + t d are those of w plus t times those of d. (Lin, Weng and Keerthi 2008, "Trust
 * region Newton method for large-scale logistic regression"; Hsia, Chiang and Lin 2018 on the
 * preconditioner.)
 */
#include "route/logistic.h"
#include "base/maths.h"
#include <math.h>
#include <string.h>

enum { STEPS_MAX = 200, INNER_MAX = 500, HALVINGS_MAX = 40 };

typedef struct solver {
    const at_ctx *ctx;
    const at_sparse_rows *x;
    const int32_t *label;
    int32_t which;
    double c;
    int64_t m;                                     /* columns + 1                                */
    double *w, *g, *d, *r, *p, *hp, *diagonal, *v; /* [m]; v: some vector times the factors      */
    double *margin, *along, *curve;                /* [n]: X w, X d, and D                        */
    int passes;
} solver;

static double dot(const double *a, const double *b, int64_t n) {
    double s0 = 0, s1 = 0, s2 = 0, s3 = 0;
    int64_t i = 0;
    for (; i + 4 <= n; i += 4) {
        s0 += a[i] * b[i];
        s1 += a[i + 1] * b[i + 1];
        s2 += a[i + 2] * b[i + 2];
        s3 += a[i + 3] * b[i + 3];
    }
    for (; i < n; i++) s0 += a[i] * b[i];
    return (s0 + s1) + (s2 + s3);
}

static void with_factors(const solver *s, const double *a, double *v) {
    for (int64_t j = 0; j + 1 < s->m; j++) v[j] = a[j] * s->x->factor[j];
    v[s->m - 1] = a[s->m - 1];
}

/* x_i . a, with v = a times the factors */
static double row_dot(const solver *s, int64_t i, const double *v) {
    const at_sparse_entry *e = s->x->entry + s->x->start[i];
    const int64_t n = s->x->start[i + 1] - s->x->start[i];
    double s0 = 0, s1 = 0, s2 = 0, s3 = 0;
    int64_t k = 0;
    for (; k + 4 <= n; k += 4) {
        s0 += (double)e[k].value * v[e[k].column];
        s1 += (double)e[k + 1].value * v[e[k + 1].column];
        s2 += (double)e[k + 2].value * v[e[k + 2].column];
        s3 += (double)e[k + 3].value * v[e[k + 3].column];
    }
    for (; k < n; k++) s0 += (double)e[k].value * v[e[k].column];
    return ((s0 + s1) + (s2 + s3)) * s->x->scale[i] + v[s->m - 1];
}

/* sum += u x_i without the factors; finish_sum multiplies by them */
static void row_add(const solver *s, int64_t i, double u, double *sum) {
    const at_sparse_entry *e = s->x->entry + s->x->start[i];
    const int64_t n = s->x->start[i + 1] - s->x->start[i];
    const double t = u * s->x->scale[i];
    for (int64_t k = 0; k < n; k++) sum[e[k].column] += (double)e[k].value * t;
    sum[s->m - 1] += u;
}

/* After row_add of all rows: multiplies by the factors and adds b, the gradient of the penalty. */
static void finish_sum(const solver *s, double *sum, const double *b) {
    for (int64_t j = 0; j + 1 < s->m; j++) sum[j] = sum[j] * s->x->factor[j] + b[j];
    sum[s->m - 1] += b[s->m - 1];
}

static double sign(const solver *s, int64_t i) { return s->label[i] == s->which ? 1 : -1; }

/* The sum of losses at margins + t along. */
static double losses(const solver *s, double t) {
    double sum = 0;
    for (int64_t i = 0; i < s->x->n; i++) {
        const double a = sign(s, i) * (s->margin[i] + t * s->along[i]);
        sum += at_log1p(at_exp(-fabs(a))) + (a < 0 ? -a : 0);
    }
    return sum;
}

/* Gradient at w, D, and the diagonal of the Hessian. */
static void differentiate(solver *s) {
    memset(s->g, 0, (size_t)s->m * sizeof *s->g);
    memset(s->diagonal, 0, (size_t)s->m * sizeof *s->g);
    for (int64_t i = 0; i < s->x->n; i++) {
        const double y = sign(s, i), a = y * s->margin[i], e = at_exp(-fabs(a));
        const double wrong = (a < 0 ? 1 : e) / (1 + e); /* probability of the wrong class */
        s->curve[i] = s->c * e / ((1 + e) * (1 + e));
        row_add(s, i, -s->c * y * wrong, s->g);
        const at_sparse_entry *x = s->x->entry + s->x->start[i],
                              *end = s->x->entry + s->x->start[i + 1];
        const double t = s->curve[i] * s->x->scale[i] * s->x->scale[i];
        for (; x < end; x++) s->diagonal[x->column] += (double)x->value * (double)x->value * t;
        s->diagonal[s->m - 1] += s->curve[i];
    }
    finish_sum(s, s->g, s->w);
    for (int64_t j = 0; j + 1 < s->m; j++)
        s->diagonal[j] = 1 + s->diagonal[j] * s->x->factor[j] * s->x->factor[j];
    s->diagonal[s->m - 1] += 1;
    s->passes++;
}

/* hp = H p */
static void hessian_product(solver *s) {
    with_factors(s, s->p, s->v);
    memset(s->hp, 0, (size_t)s->m * sizeof *s->hp);
    for (int64_t i = 0; i < s->x->n; i++) row_add(s, i, s->curve[i] * row_dot(s, i, s->v), s->hp);
    finish_sum(s, s->hp, s->p);
    s->passes++;
}

/* H d = -g, until |residual| <= small */
static at_status newton_direction(solver *s, double small) {
    const int64_t m = s->m;
    double rz = 0;
    for (int64_t j = 0; j < m; j++) {
        s->d[j] = 0;
        s->r[j] = -s->g[j];
        s->p[j] = s->r[j] / s->diagonal[j];
    }
    rz = dot(s->r, s->p, m);
    for (int k = 0; k < INNER_MAX && dot(s->r, s->r, m) > small * small; k++) {
        if (at_interrupted(s->ctx)) return AT_INTERRUPTED;
        hessian_product(s);
        const double alpha = rz / dot(s->p, s->hp, m);
        for (int64_t j = 0; j < m; j++) {
            s->d[j] += alpha * s->p[j];
            s->r[j] -= alpha * s->hp[j];
            s->v[j] = s->r[j] / s->diagonal[j];
        }
        const double next = dot(s->r, s->v, m), beta = next / rz;
        rz = next;
        for (int64_t j = 0; j < m; j++) s->p[j] = s->v[j] + beta * s->p[j];
    }
    return AT_OK;
}

/* w += t d with the first t = 1, 1/2, ... at which the objective f falls; when the expected
   decrease is below the rounding error of f, t = 1.  False: no t did. */
static bool step(solver *s, double *f) {
    const int64_t m = s->m;
    with_factors(s, s->d, s->v);
    for (int64_t i = 0; i < s->x->n; i++) s->along[i] = row_dot(s, i, s->v);
    s->passes++;
    const double slope = dot(s->g, s->d, m), ww = dot(s->w, s->w, m), wd = dot(s->w, s->d, m),
                 dd = dot(s->d, s->d, m);
    double t = 1;
    for (int k = 0; k < HALVINGS_MAX; k++, t /= 2) {
        const double now = (ww + t * (2 * wd + t * dd)) / 2 + s->c * losses(s, t);
        if (!(now - *f <= 0.01 * t * slope + 1e-12 * *f)) continue;
        for (int64_t j = 0; j < m; j++) s->w[j] += t * s->d[j];
        for (int64_t i = 0; i < s->x->n; i++) s->margin[i] += t * s->along[i];
        *f = now;
        return true;
    }
    return false;
}

int64_t at_logistic_scratch(const at_sparse_rows *x) { return 7 * (x->columns + 1) + 3 * x->n; }

static void divide_scratch(solver *s, double *scratch) {
    double **of_columns[] = {&s->g, &s->d, &s->r, &s->p, &s->hp, &s->diagonal, &s->v};
    for (size_t i = 0; i < sizeof of_columns / sizeof *of_columns; i++, scratch += s->m)
        *of_columns[i] = scratch;
    s->margin = scratch;
    s->along = scratch + s->x->n;
    s->curve = scratch + 2 * s->x->n;
}

at_status at_logistic_fit(const at_ctx *c, const at_sparse_rows *x, const int32_t *label,
                          int32_t which, const at_logistic_options *o, double *scratch, double *w,
                          at_logistic_report *report) {
    solver s = {
        .ctx = c, .x = x, .label = label, .which = which, .c = o->c, .m = x->columns + 1, .w = w};
    divide_scratch(&s, scratch);
    *report = (at_logistic_report){0};
    int64_t of_class = 0;
    for (int64_t i = 0; i < x->n; i++) {
        s.margin[i] = s.along[i] = 0;
        of_class += label[i] == which;
    }
    for (int64_t j = 0; j < s.m; j++) w[j] = 0;
    const int64_t others = x->n - of_class, rarer = of_class < others ? of_class : others;
    const double enough = o->eps * (double)(rarer > 1 ? rarer : 1) / (double)x->n;
    double f = o->c * losses(&s, 0), first = 0, last_norm = 0, last_f = 0;
    for (;; report->steps++) {
        differentiate(&s);
        const double norm = sqrt(dot(s.g, s.g, s.m));
        if (!report->steps) first = norm;
        report->gradient = first > 0 ? norm / first : 0;
        report->passes = s.passes;
        report->converged = report->gradient <= enough;
        const bool stuck = report->steps && norm >= last_norm && f >= last_f;
        if (report->converged || stuck || report->steps == STEPS_MAX) return AT_OK;
        last_norm = norm;
        last_f = f;
        /* solved only as exactly as the remaining gradient is worth, and at most as the last step
           needs */
        const double root = sqrt(report->gradient), roughly = root < 0.5 ? root : 0.5;
        const double small = roughly * norm, target = 0.5 * enough * first;
        if (newton_direction(&s, small > target ? small : target)) return AT_INTERRUPTED;
        if (!step(&s, &f)) return AT_OK;
    }
}
