/*
 * test_alpha.c - rules and schedules by themselves: what alpha follows which losses.
 *
 * The adaptive rules are compared with their definitions over whole histories, which are kept here
 * in plain lists.
 */
#include "base/rng.h"
#include "check.h"
#include "train/alpha.h"
#include <math.h>

enum { MOST = 500 };
static at_ctx ctx;
static double ce[MOST], kd[MOST];

static at_alpha opened(const at_alpha_rule *rule, double first, int64_t steps) {
    at_alpha a = {
        .rule = rule, .schedule = &at_distill_schedule_combined, .first = first, .last = 0.9};
    OK(at_alpha_open(&ctx, &a, steps));
    return a;
}

static void tell(at_alpha *a, int i) {
    at_alpha_observe(a, &(at_losses){ce[i], kd[i], ce[i], kd[i], true});
}

/* After the first n losses of a run of so many steps. */
static double after(const at_alpha_rule *rule, double first, int64_t steps, int n) {
    at_alpha a = opened(rule, first, steps);
    for (int i = 0; i < n; i++) tell(&a, i);
    const double w = at_alpha_weight(&a, n, n);
    at_alpha_close(&a);
    return w;
}

static void lines(double ce_from, double ce_to, double kd_from, double kd_to, int n) {
    for (int i = 0; i < n; i++) {
        ce[i] = ce_from + (ce_to - ce_from) * i / (n - 1);
        kd[i] = kd_from + (kd_to - kd_from) * i / (n - 1);
    }
}

static void noise(void) {
    for (int i = 0; i < MOST; i++) {
        ce[i] = 3 + 2 * at_uniform(1, AT_STREAM_TEST, (uint64_t)i);
        kd[i] = 0.2 + at_uniform(2, AT_STREAM_TEST, (uint64_t)i);
    }
}

static void is(double want, double got) {
    if (!(fabs(want - got) < 1e-12)) fail_msg("expected %.15g, found %.15g", want, got);
}

/* ---- adaptive ------------------------------------------------------------------------------------ */

static void adaptive_cases(void **state) {
    (void)state;
    const at_alpha_rule *r = &at_alpha_rule_adaptive;
    lines(3, 2, 1, 0.1, 20);
    is(0.5, after(r, 0.3, 100, 20)); /* both fall */
    is(0.3, after(r, 0.3, 100, 19)); /* the window is not full */
    lines(1, 2, 1, 1, 20);
    is(0.25, after(r, 0.5, 100, 20)); /* r is 2/3 */
    lines(1, 1, 1, 2, 20);
    is(0.75, after(r, 0.5, 100, 20));
    for (int i = 0; i < 20; i++) ce[i] = i < 19 ? 1 : 4;
    lines(ce[0], ce[0], 2, 1, 20);
    ce[19] = 4; /* r is 3 / 1.15: beyond the limit */
    is(0, after(r, 0.5, 100, 20));
    for (int i = 0; i < 20; i++) kd[i] = ce[i];
    is(0.5, after(r, 0.3, 100, 20)); /* neither has any weight */
    for (int i = 0; i < 20; i++) ce[i] = kd[i] = 0;
    is(0.5, after(r, 0.3, 100, 20)); /* a loss of nothing does not rise */
}

/* By the definition, with windows of 20 and of a hundredth of the run. */
static void adaptive_windows(void **state) {
    (void)state;
    noise();
    for (int steps = 1000; steps <= 4000; steps += 3000)
        for (int n = 0; n < 130; n++) {
            const int k = steps > 2000 ? steps / 100 : 20;
            const double *h[] = {ce, kd};
            double w[2] = {0.3, 0.7};
            for (int i = 0; i < 2 && n >= k; i++) {
                double sum = 0;
                for (int j = n - k; j < n; j++) sum += h[i][j];
                w[i] = 1 - fmin(fmax((h[i][n - 1] - h[i][n - k]) * k / sum, 0), 1);
            }
            is(w[0] + w[1] > 0 ? w[0] / (w[0] + w[1]) : 0.5,
               after(&at_alpha_rule_adaptive, 0.3, steps, n));
        }
}

/* ---- slopes --------------------------------------------------------------------------------------- */

/* On straight lines r becomes k slope / v, where v is what the line was k - 1 values ago. */
static void slopes_on_lines(void **state) {
    (void)state;
    const at_alpha_rule *r = &at_alpha_rule_slopes;
    is(0.3, after(r, 0.3, 100, 0));
    lines(3, 3, 1, 1, MOST);
    is(0.3, after(r, 0.3, 100, MOST)); /* nothing moves */
    lines(100, 110, 60, 50, MOST);
    for (int steps = 100; steps <= 400; steps += 300) {
        const double k = steps > 200 ? steps / 10 : 20, each = 10 / (MOST - 1.0);
        const double up = k * each / (110 - (k - 1) * each);
        const double down = -k * each / (50 + (k - 1) * each);
        const double odds = 0.3 / 0.7 * exp(up - down);
        assert_true(fabs(after(r, 0.3, steps, MOST) - odds / (1 + odds)) < 1e-7);
    }
}

/* More of what falls more slowly, within limits; one outlier moves it less than the endpoints. */
static void slopes_are_bounded(void **state) {
    (void)state;
    const at_alpha_rule *r = &at_alpha_rule_slopes;
    lines(3, 3, 2, 1, 100);
    assert_true(after(r, 0.5, 100, 100) > 0.51);
    lines(3, 2, 1, 1, 100);
    assert_true(after(r, 0.5, 100, 100) < 0.49);
    lines(1, 1, 1, 1, 100);
    for (int i = 90; i < 100; i++) ce[i] = 1e6;
    const double most = after(r, 0.5, 100, 100);
    is(exp(1) / (exp(1) + 1), most); /* r is 1 at most */
    for (int i = 0; i < 100; i++) ce[i] = 0;
    is(0.5, after(r, 0.5, 100, 100)); /* a loss of nothing has no slope */
    is(0, after(r, 0, 100, 100));
    is(1, after(r, 1, 100, 100));
    lines(1, 1, 1, 1, 100);
    ce[99] = 1.5;
    assert_true(fabs(after(r, 0.5, 100, 100) - 0.5) <
                fabs(after(&at_alpha_rule_adaptive, 0.5, 100, 100) - 0.5) / 4);
}

/* ---- norms of gradients ------------------------------------------------------------------------- */

static void gradient_norms(void **state) {
    (void)state;
    const at_alpha_rule *r = &at_alpha_rule_gradient_norm;
    assert_true(r->norms);
    is(0.3, after(r, 0.3, 100, 0));
    lines(2, 2, 1, 1, MOST);
    is(1.0 / 3, after(r, 0.5, 100, 30)); /* 1/3 of 2 is 2/3 of 1 */
    is(0.25 / (0.25 + 1.5), after(r, 0.25, 100, 30));
    is(0, after(r, 0, 100, 9));
    is(1, after(r, 1, 100, 9));
    lines(0, 0, 0, 0, 9);
    is(0.3, after(r, 0.3, 100, 9));
    noise();
    for (int steps = 1000; steps <= 4000; steps += 3000) {
        const double g = 2.0 / ((steps > 2000 ? 40 : 20) + 1);
        double of_ce = ce[0], of_kd = kd[0];
        for (int i = 1; i < 90; i++) {
            of_ce = (1 - g) * of_ce + g * ce[i];
            of_kd = (1 - g) * of_kd + g * kd[i];
        }
        is(0.3 * of_kd / (0.3 * of_kd + 0.7 * of_ce), after(r, 0.3, steps, 90));
    }
    at_alpha a = opened(r, 0.5, 100); /* the losses themselves do not matter */
    at_alpha_observe(&a, &(at_losses){100, 1, 1, 3, true});
    is(0.75, at_alpha_weight(&a, 1, 1));
    at_alpha b = opened(r, 0.5, 100);
    at_alpha_copy(&b, &a);
    at_alpha_observe(&a, &(at_losses){1, 1, 9, 1, true});
    is(0.75, at_alpha_weight(&b, 1, 1));
    at_alpha_close(&a);
    at_alpha_close(&b);
}

/* ---- the others ------------------------------------------------------------------------------------ */

static void annealing(void **state) {
    (void)state;
    at_alpha a = opened(&at_alpha_rule_anneal, 0.1, 5); /* to 0.9 */
    for (int i = 0; i < 5; i++) is(0.1 + 0.2 * i, at_alpha_weight(&a, i, 0));
    at_alpha_close(&a);
    a = opened(&at_alpha_rule_anneal, 0.1, 1);
    is(0.1, at_alpha_weight(&a, 0, 0));
    at_alpha_close(&a);
    a = opened(&at_alpha_rule_fixed, 0.1, 5);
    is(0.1, at_alpha_weight(&a, 3, 3));
    at_alpha_close(&a);
}

static void alternating(void **state) {
    (void)state;
    at_alpha a = opened(&at_alpha_rule_fixed, 0.3, 5);
    a.schedule = &at_distill_schedule_alternating;
    for (int i = 0; i < 6; i++) is(i % 2 ? 0 : 1, at_alpha_weight(&a, 1, i));
    at_alpha_close(&a);
}

/* Long runs: what is kept stays within its place, and goes on where it was. */
static void what_is_kept(void **state) {
    (void)state;
    static const int64_t numbers[] = {0, 41, 5, 0, 3};
    noise();
    for (int i = 0; at_alpha_rules[i]; i++) {
        at_alpha a = opened(at_alpha_rules[i], 0.3, 100), b = opened(at_alpha_rules[i], 0.3, 100);
        assert_int_equal(a.n_state, numbers[i]);
        for (int n = 0; n < MOST; n++) {
            tell(&a, n);
            if (n == 70 && a.n_state) memcpy(b.state, a.state, (size_t)a.n_state * sizeof *a.state);
            if (n > 70) tell(&b, n);
            if (n > 70) assert_true(at_alpha_weight(&a, n, n) == at_alpha_weight(&b, n, n));
        }
        at_alpha_close(&a);
        at_alpha_close(&b);
    }
}

/* Counts that no run leaves behind are none. */
static void made_up_counts(void **state) {
    (void)state;
    static const double count[] = {-1, 40, 1e300};
    for (int i = 0; i < 3; i++) {
        at_alpha a = opened(&at_alpha_rule_adaptive, 0.3, 100);
        a.state[0] = count[i];
        is(0.3, at_alpha_weight(&a, 0, 0));
        at_alpha_observe(&a, &(at_losses){.ce = 2, .kd = 3});
        assert_true(a.state[0] == 1 && a.state[1] == 2 && a.state[21] == 3);
        at_alpha_close(&a);
    }
}

int main(void) {
    at_ctx_init(&ctx, 1);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(adaptive_cases),  cmocka_unit_test(adaptive_windows),
        cmocka_unit_test(slopes_on_lines), cmocka_unit_test(slopes_are_bounded),
        cmocka_unit_test(gradient_norms),  cmocka_unit_test(annealing),
        cmocka_unit_test(alternating),     cmocka_unit_test(what_is_kept),
        cmocka_unit_test(made_up_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
