/*
 * alpha_adaptive.c - a loss that rose over a window gives way to the other, as the authors of
 * arXiv 2407.19610 have it.
 *
 * Of a loss the window keeps the last k values: r = (newest - oldest) / mean, w = 1 - r with r
 * clipped to [0, 1], and alpha = w(ce) / (w(ce) + w(kd)).  A loss that falls has w = 1.  State: how
 * many values there were (never more than 2 k: of more only the place in the rings matters), then
 * the two rings.
 */
#include "train/alpha.h"
#include <math.h>

static int64_t window(const at_alpha *a) { return (a->n_state - 1) / 2; }
/* A checkpoint that somebody made up may say anything. */
static int64_t count(const at_alpha *a) {
    const double n = a->state[0];
    return n >= 0 && n < 2.0 * (double)window(a) ? (int64_t)n : 0;
}
static int64_t n_state(int64_t steps) { return 1 + 2 * at_alpha_window(steps, 100); }

static double weight_of(const double *ring, int64_t k, int64_t n) {
    double sum = 0;
    for (int64_t i = 0; i < k; i++) sum += ring[(n + i) % k];
    const double r = (ring[(n - 1) % k] - ring[n % k]) / (sum / (double)k);
    return sum != 0 ? 1 - fmin(fmax(r, 0), 1) : 1;
}

static double weight(const at_alpha *a, int64_t step) {
    const int64_t k = window(a), n = count(a);
    (void)step;
    if (n < k) return a->first;
    const double ce = weight_of(a->state + 1, k, n), kd = weight_of(a->state + 1 + k, k, n);
    return ce + kd > 0 ? ce / (ce + kd) : 0.5;
}

static void observe(at_alpha *a, const at_losses *seen) {
    const int64_t k = window(a), n = count(a);
    a->state[1 + n % k] = seen->ce;
    a->state[1 + k + n % k] = seen->kd;
    a->state[0] = (double)(n + 1 < 2 * k ? n + 1 : k);
}

const at_alpha_rule at_alpha_rule_adaptive = {
    "adaptive", "less of a loss that rose over a window", n_state, weight, observe, false};
