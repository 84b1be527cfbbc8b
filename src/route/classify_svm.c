/*
 * classify_svm.c - linear support vector machines, each class against the others, with squared hinge loss:
 *
 *     minimise  |w|^2 / 2 + C sum_i max(0, 1 - y_i w.x_i)^2,   the bias a weight like the others
 *
 * in its dual, one coordinate at a time: w = sum a_i y_i x_i, and a_i >= 0 is moved to where its own
 * derivative is zero.  Rows that stay at 0 are left out of a pass, until the others have settled.
 * (Hsieh, Chang, Lin, Keerthi and Sundararajan 2008, "A dual coordinate descent method for large-scale
 * linear SVM", algorithms 1 and 3.)
 */
#include "base/rng.h"
#include "route/classifier.h"
#include <math.h>
#include <string.h>

enum { PASSES_MAX = 1000 };
#define SETTLED 1e-3 /* largest violation less the smallest, at eps 1e-6 and in proportion */

typedef struct dual {
    const at_versus *v;
    double *a, *curve; /* [n]: what is sought; x_i . x_i + 1 / (2 C) */
    double *order;     /* [n]: rows still in play, in the order of the pass */
    int64_t active;
    double high, low;          /* violations of this pass                       */
    double high_before, draws; /* of the pass before; random numbers used so far */
} dual;

static void begin(dual *s) {
    const at_sparse_rows *x = s->v->f->x;
    for (int64_t i = 0; i < x->n; i++) {
        double square = 1; /* the bias */
        for (int64_t e = x->start[i]; e < x->start[i + 1]; e++)
            square += (double)x->entry[e].value * (double)x->entry[e].value;
        s->a[i] = 0;
        s->curve[i] = square + 0.5 / s->v->f->c;
        s->order[i] = (double)i;
    }
    s->active = x->n;
    s->high_before = (double)INFINITY;
    s->draws = 0;
}

static void swap(double *order, int64_t i, int64_t j) {
    const double t = order[i];
    order[i] = order[j];
    order[j] = t;
}

static void shuffle(dual *s) {
    const uint64_t stream = at_hash_path("router/svm") + (uint64_t)s->v->which;
    for (int64_t i = 0; i < s->active; i++) {
        const uint64_t left = (uint64_t)(s->active - i);
        swap(s->order, i,
             i + (int64_t)at_rand_below(left, s->v->f->seed, stream, (uint64_t)s->draws));
        s->draws++;
    }
}

static void pass(dual *s) {
    const at_sparse_rows *x = s->v->f->x;
    double *w = s->v->w;
    s->high = -(double)INFINITY;
    s->low = (double)INFINITY;
    for (int64_t at = 0; at < s->active; at++) {
        const int64_t i = (int64_t)s->order[at];
        const double y = at_versus_sign(s->v, i);
        const double g = y * at_row_dot(x, i, w) - 1 + s->a[i] * 0.5 / s->v->f->c;
        if (s->a[i] == 0 && g > s->high_before) { /* not looked at again until the rest is done */
            swap(s->order, at--, --s->active);
            continue;
        }
        const double violation = s->a[i] == 0 && g > 0 ? 0 : g;
        if (violation > s->high) s->high = violation;
        if (violation < s->low) s->low = violation;
        if (fabs(violation) < 1e-12) continue;
        const double was = s->a[i], now = was - g / s->curve[i];
        s->a[i] = now > 0 ? now : 0;
        at_row_add(x, i, (s->a[i] - was) * y, w);
        w[x->columns] += (s->a[i] - was) * y;
    }
}

static at_status one(const at_versus *v) {
    const int64_t n = v->f->x->n;
    dual s = {.v = v, .a = v->scratch, .curve = v->scratch + n, .order = v->scratch + 2 * n};
    const double enough = SETTLED * v->f->eps / 1e-6;
    begin(&s);
    for (;; v->report->steps++) {
        if (at_interrupted(v->c)) return AT_INTERRUPTED;
        shuffle(&s);
        pass(&s);
        const bool settled = s.high - s.low <= enough, whole = s.active == n;
        v->report->left = s.high > s.low ? s.high - s.low : 0;
        v->report->given_up = v->report->steps == PASSES_MAX;
        if ((settled && whole) || v->report->given_up) return AT_OK;
        s.high_before = s.high > 0 && !settled ? s.high : (double)INFINITY;
        if (settled) s.active = n;
    }
}

static at_status fit(at_ctx *c, const at_fit *f, double *w) {
    return at_one_versus_rest(c, f, 3 * f->x->n, one, w);
}

const at_classifier at_classifier_svm = {.name = "svm",
                                         .help =
                                             "linear support vector machine, squared hinge loss",
                                         .link = AT_LINK_SOFTMAX,
                                         .c = 1,
                                         .fit = fit};
