/*
 * classify_sgd.c - averaged stochastic gradients, each class against the others:
 *
 *     minimise  alpha |w|^2 / 2 + mean_i loss(y_i, w.x_i + b),   alpha = 1 / (C n)
 *
 * with steps 1 / (alpha (t0 + t)) and the mean of the weights from the second pass on.  Losses: hinge
 * max(0, 1 - m), modified Huber (the square of hinge down to m = -1, then -4 m), logistic
 * log(1 + exp(-m)), where m = y f.  (Bottou 2012, "Stochastic gradient descent tricks", with t0 as there;
 * Xu 2011, "Towards optimal one pass large scale learning with averaged stochastic gradient descent".)
 *
 * w = shrink v: a step shrinks all of w by one multiplication.  The sum of all w since averaging began is
 * total v - behind, with total the sum of shrink, and behind what v had not yet when total was less.
 */
#include "base/maths.h"
#include "base/rng.h"
#include "route/classifier.h"
#include <math.h>

enum { PASSES = 20 };
#define BIAS_RATE \
    0.01 /* the bias is met by every row: smaller steps, as is usual for sparse rows */

typedef double slope_fn(double margin);

static double hinge(double m) { return m < 1 ? -1 : 0; }
static double huber(double m) { return m >= 1 ? 0 : m >= -1 ? -2 * (1 - m) : -4; }
static double logistic(double m) { return -1 / (1 + at_exp(m)); }

static void shuffle(const at_versus *v, int pass, double *order) {
    const int64_t n = v->f->x->n;
    const uint64_t stream = at_hash_path("router/sgd");
    for (int64_t i = n - 1; i > 0; i--) {
        const uint64_t index = (uint64_t)(pass * n + i);
        const int64_t j = (int64_t)at_rand_below((uint64_t)i + 1, v->f->seed, stream, index);
        const double t = order[i];
        order[i] = order[j];
        order[j] = t;
    }
}

static at_status descend(const at_versus *v, slope_fn *slope) {
    const at_sparse_rows *x = v->f->x;
    const int64_t n = x->n;
    double *w = v->w, *behind = v->scratch, *order = v->scratch + x->columns + 1;
    const double alpha = 1 / (v->f->c * (double)n), typical = sqrt(1 / sqrt(alpha));
    const double steepest = fabs(slope(-typical)), first = typical / (steepest > 1 ? steepest : 1);
    const double t0 = 1 / (first * alpha);
    double shrink = 1, total = 0, bias = 0, biases = 0, t = 0, averaged = 0;
    for (int64_t j = 0; j < x->columns; j++) behind[j] = 0;
    for (int64_t i = 0; i < n; i++) order[i] = (double)i;
    for (int pass = 0; pass < PASSES; pass++) {
        if (at_interrupted(v->c)) return AT_INTERRUPTED;
        shuffle(v, pass, order);
        for (int64_t at = 0; at < n; at++, t++) {
            const int64_t i = (int64_t)order[at];
            const double y = at_versus_sign(v, i), rate = 1 / (alpha * (t0 + t));
            const double f = shrink * (at_row_dot(x, i, w) - w[x->columns]) + bias;
            const double pull = -rate * y * slope(y * f);
            shrink *= 1 - rate * alpha;
            if (pull != 0) {
                at_row_add(x, i, pull / shrink, w);
                if (pass) at_row_add(x, i, total * (pull / shrink), behind);
                bias += BIAS_RATE * pull;
            }
            if (!pass) continue;
            total += shrink;
            biases += bias;
            averaged++;
        }
    }
    for (int64_t j = 0; j < x->columns; j++) w[j] = (total * w[j] - behind[j]) / averaged;
    w[x->columns] = biases / averaged;
    return AT_OK;
}

static at_status one_hinge(const at_versus *v) { return descend(v, hinge); }
static at_status one_huber(const at_versus *v) { return descend(v, huber); }
static at_status one_logistic(const at_versus *v) { return descend(v, logistic); }

static at_status with(at_ctx *c, const at_fit *f, at_versus_fn one, double *w) {
    return at_one_versus_rest(c, f, f->x->columns + 1 + f->x->n, one, w);
}
static at_status fit_hinge(at_ctx *c, const at_fit *f, double *w) {
    return with(c, f, one_hinge, w);
}
static at_status fit_huber(at_ctx *c, const at_fit *f, double *w) {
    return with(c, f, one_huber, w);
}
static at_status fit_logistic(at_ctx *c, const at_fit *f, double *w) {
    return with(c, f, one_logistic, w);
}

const at_classifier at_classifier_sgd_hinge = {.name = "sgd-hinge",
                                               .help = "averaged stochastic gradients, hinge loss",
                                               .link = AT_LINK_SOFTMAX,
                                               .c = 1,
                                               .fit = fit_hinge};
const at_classifier at_classifier_sgd_huber = {
    .name = "sgd-modified-huber",
    .help = "averaged stochastic gradients, modified Huber loss",
    .link = AT_LINK_SOFTMAX,
    .c = 1,
    .fit = fit_huber};
const at_classifier at_classifier_sgd_log = {.name = "sgd-log",
                                             .help = "averaged stochastic gradients, logistic loss",
                                             .link = AT_LINK_SIGMOID,
                                             .c = 1,
                                             .fit = fit_logistic};
