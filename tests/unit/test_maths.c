/* test_maths.c - base/maths.h against long double, and its bits against what they have always been. */
#include "base/maths.h"
#include "base/rng.h"
#include "check.h"
#include <math.h>
#include <xxhash.h>

/* |got - want| in units of the last place of a double near `want`. */
static double units(double got, long double want) {
    if (isnan(want)) return isnan(got) ? 0 : 1e9;
    if (isinf(want) || isinf(got)) return (long double)got == want ? 0 : 1e9;
    int e;
    (void)frexpl(want, &e);
    const int least = e - 53 < -1074 ? -1074 : e - 53;
    return fabs((double)(((long double)got - want) / ldexpl(1, least)));
}

static const double INF = (double)INFINITY, NOT = (double)NAN;
enum { N = 200000 };

/* Uniform in [lo, hi). */
static double draw(uint64_t i, double lo, double hi) {
    return lo + (hi - lo) * at_uniform(7, AT_STREAM_TEST, i);
}

typedef struct range {
    const char *name;
    double (*f)(double);
    long double (*want)(long double);
    double lo, hi, bound;
} range;

/* As a sine of what u is away from a zero, which keeps its digits. */
static long double cos_turn(long double u) {
    return -sinl(6.283185307179586476925286766559005768L * (0.25L - fabsl(u - 0.5L)));
}

static const range ranges[] = {
    {"exp", at_exp, expl, -1, 1, 1.5},           {"exp", at_exp, expl, -745, 709, 1.5},
    {"exp", at_exp, expl, -1e-8, 1e-8, 1},       {"log", at_ln, logl, 0, 2, 1.5},
    {"log", at_ln, logl, 0.9, 1.1, 1.5},         {"log", at_ln, logl, 0, 1e300, 1.5},
    {"log", at_ln, logl, 0, 1e-310, 1.5},        {"log1p", at_log1p, log1pl, -0.99, 3, 3},
    {"log1p", at_log1p, log1pl, -1e-9, 1e-9, 3}, {"log1p", at_log1p, log1pl, 0, 1e20, 3},
    {"cos", at_cos, cosl, -10, 10, 1.5},         {"cos", at_cos, cosl, -1e6, 1e6, 1.5},
    {"sin", at_sin, sinl, -10, 10, 1.5},         {"sin", at_sin, sinl, -1e6, 1e6, 1.5},
    {"sin", at_sin, sinl, -1e-5, 1e-5, 1},       {"cos2pi", at_cos2pi, cos_turn, 0, 1, 2.5},
};

static void functions_are_right_to_the_last_digit(void **state) {
    (void)state;
    for (size_t k = 0; k < sizeof ranges / sizeof *ranges; k++) {
        const range *r = &ranges[k];
        double worst = 0, at = 0;
        for (uint64_t i = 0; i < N; i++) {
            const double x = draw(i, r->lo, r->hi), u = units(r->f(x), r->want(x));
            if (u <= worst) continue;
            worst = u;
            at = x;
        }
        if (worst > r->bound) fail_msg("%s(%.17g) is off by %g units", r->name, at, worst);
    }
}

static void powers(void **state) {
    (void)state;
    for (uint64_t i = 0; i < N; i++) {
        const double x = draw(2 * i, 1e-3, 1e5), y = draw(2 * i + 1, -3, 3);
        const double u = units(at_pow(x, y), powl(x, y));
        if (u > 2.5 + 2 * fabs(y * log(x))) fail_msg("pow(%.17g, %.17g): %g units", x, y, u);
    }
    assert_true(at_pow(3, 0) == 1);
    for (int64_t n = 0; n < 3000; n += 7) {
        const double u = units(at_powi(0.999, n), powl(0.999, (long double)n));
        if (u > 2 + (double)n) fail_msg("powi(0.999, %lld): %g units", (long long)n, u);
    }
    assert_true(at_powi(2, 10) == 1024 && at_powi(5, 0) == 1);
}

static void edges(void **state) {
    (void)state;
    assert_true(at_exp(0) == 1 && at_exp(-1000) == 0 && at_exp(-INF) == 0);
    assert_true(isinf(at_exp(710)) && isinf(at_exp(INF)) && isnan(at_exp(NOT)));
    assert_true(at_exp(-745) > 0 && at_exp(709.7) < INF);
    assert_true(at_ln(1) == 0 && at_ln(0) == -INF && isnan(at_ln(-1)) && isnan(at_ln(NOT)));
    assert_true(isinf(at_ln(INF)));
    assert_true(at_log1p(0) == 0 && at_log1p(-1) == -INF && isinf(at_log1p(INF)));
    assert_true(at_cos(0) == 1 && at_sin(0) == 0 && isnan(at_cos(INF)) && isnan(at_sin(NOT)));
    assert_true(at_cos2pi(0) == 1 && at_cos2pi(0.5) == -1 && at_cos2pi(1) == 1);
    assert_true(at_cos2pi(0.25) == 0 && at_cos2pi(0.75) == 0);
}

/* The same bits from every compiler and processor: this number may only change together with the
   name of the arithmetic. */
static void bits(void **state) {
    (void)state;
    uint64_t hash = 0;
    for (size_t k = 0; k < sizeof ranges / sizeof *ranges; k++)
        for (uint64_t i = 0; i < 2000; i++) {
            const double y = ranges[k].f(draw(i, ranges[k].lo, ranges[k].hi));
            hash = XXH3_64bits_withSeed(&y, sizeof y, hash);
        }
    assert_int_equal(hash, 0xf30a53492e681a31);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(functions_are_right_to_the_last_digit),
        cmocka_unit_test(powers),
        cmocka_unit_test(edges),
        cmocka_unit_test(bits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
