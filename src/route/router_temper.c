/* router_temper.c - temperature scaling of a router's probabilities. */
#include "base/maths.h"
#include "route/router.h"
#include <math.h>

enum { HALVINGS = 48 };
#define LEAST_LN (-745.0) /* below the logarithm of the smallest double */

void at_router_temper(const at_router *r, double *p) {
    if (r->temperature == 1) return;
    double most = 0, sum = 0;
    for (int k = 0; k < r->n_classes; k++)
        if (p[k] > most) most = p[k];
    const double top = at_ln(most);
    for (int k = 0; k < r->n_classes; k++) {
        p[k] = p[k] > 0 ? at_exp((at_ln(p[k]) - top) / r->temperature) : 0;
        sum += p[k];
    }
    for (int k = 0; k < r->n_classes; k++) p[k] /= sum;
}

/* Logarithm of the true class less its mean under the probabilities to the power `sharp`: the slope
   of the log-likelihood of one sequence. */
static double slope(const double *ln, int n, int truth, double sharp) {
    double most = ln[0], sum = 0, mean = 0;
    for (int k = 1; k < n; k++)
        if (ln[k] > most) most = ln[k];
    for (int k = 0; k < n; k++) {
        const double e = at_exp((ln[k] - most) * sharp);
        sum += e;
        mean += e * (ln[k] - most);
    }
    return ln[truth] - most - mean / sum;
}

double at_router_temperature(double *p, const int32_t *label, int64_t n, int n_classes) {
    for (int64_t i = 0; i < n * n_classes; i++) p[i] = p[i] > 0 ? at_ln(p[i]) : LEAST_LN;
    double low = 1 / AT_ROUTER_HOTTEST, high = AT_ROUTER_HOTTEST;
    for (int step = 0; step < HALVINGS; step++) {
        const double sharp = sqrt(low * high);
        double rise = 0;
        for (int64_t i = 0; i < n; i++)
            rise += slope(p + i * n_classes, n_classes, label[i], sharp);
        if (rise > 0)
            low = sharp;
        else
            high = sharp;
    }
    return 1 / sqrt(low * high);
}
