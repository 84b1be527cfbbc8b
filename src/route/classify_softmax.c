/*
 * classify_softmax.c - one logistic regression over all classes:
 *
 *     minimise  |W|^2 / 2 + C sum_i -log softmax(W x_i + b)_(y_i)
 *
 * with biases that are not penalised, as scikit-learn's LogisticRegression has it.  Newton's method with
 * systems solved by conjugate gradients, like logistic.c, but over all classes at once: weights lie as
 * [columns + 1, K], so that an entry of a row meets the K weights of its column in one place.  Sums over
 * rows are made for two classes a worker, in the order of the rows, so that bits do not depend on the
 * number of threads.
 */
#include "base/maths.h"
#include "base/par.h"
#include "route/classifier.h"
#include <math.h>
#include <string.h>

enum { STEPS_MAX = 200, INNER_MAX = 500, HALVINGS_MAX = 40, ROWS = 2048, PAIR = 2 };

typedef struct solver {
    at_ctx *ctx;
    const at_fit *f;
    int64_t k, m; /* classes; (columns + 1) k                       */
    double *w, *g, *d, *r, *p, *hp, *diagonal, *z; /* [columns + 1, k]                         */
    double *score, *along, *prob, *pull; /* [n, k]: X w, X d, softmax of score, what each row
                                                adds to a sum                                  */
    double *loss;                        /* [n]                                            */
    const double *from;                  /* operands of the loops below                    */
    double *to, t;
    bool square;
} solver;

static double dot(const solver *s, const double *a, const double *b) {
    double s0 = 0, s1 = 0;
    int64_t i = 0;
    for (; i + 2 <= s->m; i += 2) {
        s0 += a[i] * b[i];
        s1 += a[i + 1] * b[i + 1];
    }
    for (; i < s->m; i++) s0 += a[i] * b[i];
    return s0 + s1;
}

/* The squared penalty leaves out the biases: a dot product of all but the last row. */
static double penalised(const solver *s, const double *a, const double *b) {
    double sum = dot(s, a, b);
    for (int64_t j = s->m - s->k; j < s->m; j++) sum -= a[j] * b[j];
    return sum;
}

/* to [n, k] = X from */
static void products(void *arg, int64_t begin, int64_t end, int worker) {
    (void)worker;
    const solver *s = arg;
    const at_sparse_rows *x = s->f->x;
    const int64_t k = s->k;
    for (int64_t i = begin; i < end; i++) {
        double *to = s->to + i * k;
        memcpy(to, s->from + s->m - k, (size_t)k * sizeof *to);
        for (int64_t e = x->start[i]; e < x->start[i + 1]; e++) {
            const double v = (double)x->entry[e].value, *w = s->from + x->entry[e].column * k;
            for (int64_t q = 0; q < k; q++) to[q] += v * w[q];
        }
    }
}

/* to = sum over rows of x_i pull_i, or of the squares of x_i, for a pair of classes */
static void sums(void *arg, int64_t begin, int64_t end, int worker) {
    (void)worker;
    const solver *s = arg;
    const at_sparse_rows *x = s->f->x;
    const int64_t k = s->k;
    for (int64_t j = 0; j < s->m; j += k)
        for (int64_t q = begin; q < end; q++) s->to[j + q] = 0;
    for (int64_t i = 0; i < x->n; i++) {
        const double *pull = s->pull + i * k;
        for (int64_t q = begin; q < end; q++) s->to[s->m - k + q] += pull[q];
        for (int64_t e = x->start[i]; e < x->start[i + 1]; e++) {
            const double x_e = (double)x->entry[e].value, v = s->square ? x_e * x_e : x_e;
            double *to = s->to + x->entry[e].column * k;
            for (int64_t q = begin; q < end; q++) to[q] += v * pull[q];
        }
    }
}

/* loss [n] at score + t along */
static void losses_of(void *arg, int64_t begin, int64_t end, int worker) {
    (void)worker;
    const solver *s = arg;
    for (int64_t i = begin; i < end; i++) {
        const double *a = s->score + i * s->k, *b = s->along + i * s->k;
        double most = -(double)INFINITY, sum = 0;
        for (int64_t q = 0; q < s->k; q++)
            if (a[q] + s->t * b[q] > most) most = a[q] + s->t * b[q];
        for (int64_t q = 0; q < s->k; q++) sum += at_exp(a[q] + s->t * b[q] - most);
        const int32_t y = s->f->label[i];
        s->loss[i] = at_ln(sum) + most - (a[y] + s->t * b[y]);
    }
}

static double losses(solver *s, double t) {
    double sum = 0;
    s->t = t;
    at_par_for(s->ctx->threads, s->f->x->n, ROWS, losses_of, s);
    for (int64_t i = 0; i < s->f->x->n; i++) sum += s->loss[i];
    return sum;
}

/* prob, and pull = C (prob - truth) */
static void probabilities(void *arg, int64_t begin, int64_t end, int worker) {
    (void)worker;
    const solver *s = arg;
    for (int64_t i = begin; i < end; i++) {
        const double *a = s->score + i * s->k;
        double *p = s->prob + i * s->k, most = -(double)INFINITY, sum = 0;
        for (int64_t q = 0; q < s->k; q++)
            if (a[q] > most) most = a[q];
        for (int64_t q = 0; q < s->k; q++) sum += p[q] = at_exp(a[q] - most);
        for (int64_t q = 0; q < s->k; q++) {
            p[q] /= sum;
            s->pull[i * s->k + q] = s->f->c * (p[q] - (s->f->label[i] == q));
        }
    }
}

/* pull = C p (1 - p), for the diagonal of the Hessian */
static void curvatures(void *arg, int64_t begin, int64_t end, int worker) {
    (void)worker;
    const solver *s = arg;
    for (int64_t i = begin * s->k; i < end * s->k; i++)
        s->pull[i] = s->f->c * s->prob[i] * (1 - s->prob[i]);
}

/* pull = C p (along - p . along) */
static void curve(void *arg, int64_t begin, int64_t end, int worker) {
    (void)worker;
    const solver *s = arg;
    for (int64_t i = begin; i < end; i++) {
        const double *a = s->along + i * s->k, *p = s->prob + i * s->k;
        double mean = 0;
        for (int64_t q = 0; q < s->k; q++) mean += p[q] * a[q];
        for (int64_t q = 0; q < s->k; q++) s->pull[i * s->k + q] = s->f->c * p[q] * (a[q] - mean);
    }
}

static void rows(solver *s, at_par_fn f) { at_par_for(s->ctx->threads, s->f->x->n, ROWS, f, s); }

static void multiply(solver *s, const double *from, double *to) {
    s->from = from;
    s->to = to;
    rows(s, products);
}

static void sum_rows(solver *s, bool square, double *to) {
    s->to = to;
    s->square = square;
    at_par_for(s->ctx->threads, s->k, PAIR, sums, s);
}

/* Gradient at w, and the diagonal of the Hessian. */
static void differentiate(solver *s) {
    const int64_t of_weights = s->m - s->k;
    rows(s, probabilities);
    sum_rows(s, false, s->g);
    for (int64_t j = 0; j < of_weights; j++) s->g[j] += s->w[j];
    rows(s, curvatures);
    sum_rows(s, true, s->diagonal);
    for (int64_t j = 0; j < of_weights; j++) s->diagonal[j] += 1;
    for (int64_t j = of_weights; j < s->m; j++) s->diagonal[j] += 1e-9; /* a class all certain */
}

static void hessian_product(solver *s) {
    multiply(s, s->p, s->along);
    rows(s, curve);
    sum_rows(s, false, s->hp);
    for (int64_t j = 0; j < s->m - s->k; j++) s->hp[j] += s->p[j];
}

/* H d = -g, until |residual| <= small */
static at_status newton_direction(solver *s, double small) {
    for (int64_t j = 0; j < s->m; j++) {
        s->d[j] = 0;
        s->r[j] = -s->g[j];
        s->p[j] = s->r[j] / s->diagonal[j];
    }
    double rz = dot(s, s->r, s->p);
    for (int i = 0; i < INNER_MAX && dot(s, s->r, s->r) > small * small; i++) {
        if (at_interrupted(s->ctx))
            return at_error(s->ctx, AT_INTERRUPTED, "router: interrupted while fitting");
        hessian_product(s);
        const double alpha = rz / dot(s, s->p, s->hp);
        for (int64_t j = 0; j < s->m; j++) {
            s->d[j] += alpha * s->p[j];
            s->r[j] -= alpha * s->hp[j];
            s->z[j] = s->r[j] / s->diagonal[j];
        }
        const double next = dot(s, s->r, s->z), beta = next / rz;
        rz = next;
        for (int64_t j = 0; j < s->m; j++) s->p[j] = s->z[j] + beta * s->p[j];
    }
    return AT_OK;
}

/* w += t d with the first t = 1, 1/2, ... at which the objective falls; false: no t did. */
static bool step(solver *s, double *objective) {
    multiply(s, s->d, s->along);
    const double slope = dot(s, s->g, s->d), ww = penalised(s, s->w, s->w),
                 wd = penalised(s, s->w, s->d), dd = penalised(s, s->d, s->d);
    double t = 1;
    for (int i = 0; i < HALVINGS_MAX; i++, t /= 2) {
        const double now = (ww + t * (2 * wd + t * dd)) / 2 + s->f->c * losses(s, t);
        if (!(now - *objective <= 0.01 * t * slope + 1e-12 * *objective)) continue;
        for (int64_t j = 0; j < s->m; j++) s->w[j] += t * s->d[j];
        for (int64_t i2 = 0; i2 < s->f->x->n * s->k; i2++) s->score[i2] += t * s->along[i2];
        *objective = now;
        return true;
    }
    return false;
}

static at_status minimise(solver *s, at_fit_report *report) {
    double objective = s->f->c * losses(s, 0), first = 0, last_norm = 0, last = 0;
    for (;; report->steps++) {
        differentiate(s);
        const double norm = sqrt(dot(s, s->g, s->g));
        if (!report->steps) first = norm;
        report->left = first > 0 ? norm / first : 0;
        const bool stuck = report->steps && norm >= last_norm && objective >= last;
        report->given_up = report->left > s->f->eps && (stuck || report->steps == STEPS_MAX);
        if (report->left <= s->f->eps || report->given_up) return AT_OK;
        last_norm = norm;
        last = objective;
        const double root = sqrt(report->left), roughly = root < 0.5 ? root : 0.5;
        const double small = roughly * norm, target = 0.5 * s->f->eps * first;
        const at_status status = newton_direction(s, small > target ? small : target);
        if (status) return status;
        if (!step(s, &objective)) {
            report->given_up = true;
            return AT_OK;
        }
    }
}

/* Biases may be moved all by the same amount: their mean is 0, as when one starts and steps straight. */
static void take_weights(const solver *s, double *w) {
    double mean = 0;
    for (int64_t q = 0; q < s->k; q++) mean += s->w[s->m - s->k + q] / (double)s->k;
    const int64_t each = s->m / s->k;
    for (int64_t q = 0; q < s->k; q++) {
        for (int64_t j = 0; j < each; j++) w[q * each + j] = s->w[j * s->k + q];
        w[q * each + each - 1] -= mean;
    }
}

static at_status fit(at_ctx *c, const at_fit *f, double *w) {
    const int64_t k = f->n_classes, m = (f->x->columns + 1) * k, cells = f->x->n * k;
    solver s = {.ctx = c, .f = f, .k = k, .m = m};
    double **of_columns[] = {&s.w, &s.g, &s.d, &s.r, &s.p, &s.hp, &s.diagonal, &s.z};
    double **of_rows[] = {&s.score, &s.along, &s.prob, &s.pull};
    enum { COLUMN_ARRAYS = sizeof of_columns / sizeof *of_columns };
    enum { ROW_ARRAYS = sizeof of_rows / sizeof *of_rows };
    double *memory =
        at_calloc(c, (size_t)(COLUMN_ARRAYS * m + ROW_ARRAYS * cells + f->x->n), sizeof *memory);
    if (!memory) return AT_OOM;
    for (int i = 0; i < COLUMN_ARRAYS; i++) *of_columns[i] = memory + i * m;
    for (int i = 0; i < ROW_ARRAYS; i++) *of_rows[i] = memory + COLUMN_ARRAYS * m + i * cells;
    s.loss = memory + COLUMN_ARRAYS * m + ROW_ARRAYS * cells;
    at_fit_report report = {0};
    const at_status status = minimise(&s, &report);
    if (!status) {
        take_weights(&s, w);
        if (report.given_up)
            at_log(c, AT_LOG_WARN,
                   "router: the fit was given up after %d steps, with %.1e of the gradient left",
                   report.steps, report.left);
    }
    at_free(memory);
    return status;
}

const at_classifier at_classifier_softmax = {
    .name = "softmax",
    .help = "one logistic regression over all classes, as scikit-learn's",
    .link = AT_LINK_SOFTMAX,
    .c = 10,
    .fit = fit};
