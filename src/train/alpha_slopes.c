/*
 * alpha_slopes.c - more of the loss that falls more slowly, by slopes that all of the past is in.
 *
 * Two means of each loss, every one of which moves by g = 2 / (k + 1) of what it is off: u follows
 * the loss, v follows u.  On a straight line u - v is the slope times (k - 1) / 2, so that r =
 * 2 k / (k - 1) (u - v) / v is the change over k values as a share of the level.  With r clipped to
 * [-1, 1] the odds of the text are those of the recipe's alpha times exp(r(ce) - r(kd)).  State: 1
 * once there was a value; u, v of ce; u, v of kd.
 */
#include "base/maths.h"
#include "train/alpha.h"
#include <math.h>

static int64_t n_state(int64_t steps) {
    (void)steps;
    return 5;
}

static double change_of(const double *uv, double k) {
    const double r = 2 * k / (k - 1) * (uv[0] - uv[1]) / uv[1];
    return uv[1] > 0 ? fmin(fmax(r, -1), 1) : 0;
}

static double weight(const at_alpha *a, int64_t step) {
    const double k = (double)at_alpha_window(a->steps, 10);
    (void)step;
    const double ce = a->first * at_exp(change_of(a->state + 1, k));
    const double kd = (1 - a->first) * at_exp(change_of(a->state + 3, k));
    return ce / (ce + kd);
}

static void observe(at_alpha *a, const at_losses *seen) {
    const double loss[] = {seen->ce, seen->kd}, k = (double)at_alpha_window(a->steps, 10);
    const double g = a->state[0] > 0 ? 2 / (k + 1) : 1;
    a->state[0] = 1;
    for (int i = 0; i < 2; i++) {
        double *uv = a->state + 1 + 2 * i;
        uv[0] += g * (loss[i] - uv[0]);
        uv[1] += g * (uv[0] - uv[1]);
    }
}

const at_alpha_rule at_alpha_rule_slopes = {
    "slopes", "more of the loss that falls more slowly", n_state, weight, observe, false};
