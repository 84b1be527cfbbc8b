/*
 * alpha_gradients.c - both losses pull equally hard: weights by the norms of their gradients.
 *
 * G is the norm of the gradient of a loss, a mean over tokens, by the logits; alpha G(ce) : (1 - alpha)
 * G(kd) is what alpha : 1 - alpha is in the recipe.  With a recipe's alpha of a half 1 - alpha is G(ce)
 * / (G(ce) + G(kd)).  The norms are exponential means, which move by 2 / (k + 1) of what they are off.
 * By the logits, since head_loss makes that gradient anyway; what lies below them is the same for both
 * losses.  The idea is that of GradNorm (Chen et al. 2018, arXiv 1711.02257), without its term for the
 * speed of training.  State: 1 once there was a value; the means of ce and kd.
 */
#include "train/alpha.h"

static int64_t n_state(int64_t steps) {
    (void)steps;
    return 3;
}

static double weight(const at_alpha *a, int64_t step) {
    const double ce = (1 - a->first) * a->state[1], kd = a->first * a->state[2];
    (void)step;
    return ce + kd > 0 ? kd / (ce + kd) : a->first;
}

static void observe(at_alpha *a, const at_losses *seen) {
    const double norm[] = {seen->ce_norm, seen->kd_norm};
    const double k = (double)at_alpha_window(a->steps, 100);
    const double g = a->state[0] > 0 ? 2 / (k + 1) : 1;
    a->state[0] = 1;
    for (int i = 0; i < 2; i++) a->state[1 + i] += g * (norm[i] - a->state[1 + i]);
}

const at_alpha_rule at_alpha_rule_gradient_norm = {
    "gradient_norm", "gradients of both losses of equal norm", n_state, weight, observe, true};
