/* test_half.c - every 16-bit value against a reference written with ldexp, and rounding at every
   midpoint between neighbours. */
#include "base/half.h"
#include "check.h"
#include <math.h>

static double slow(uint16_t h, int fraction_bits, int exponent_bits) {
    const int bias = (1 << (exponent_bits - 1)) - 1, top = (1 << exponent_bits) - 1;
    const int e = h >> fraction_bits & top, f = h & ((1 << fraction_bits) - 1);
    const double sign = h >> 15 ? -1 : 1;
    if (e == top) return f ? (double)NAN : sign * (double)INFINITY;
    if (e == 0) return sign * ldexp(f, 1 - bias - fraction_bits);
    return sign * ldexp(f + (1 << fraction_bits), e - bias - fraction_bits);
}

typedef struct half {
    const char *name;
    int fraction, exponent;
    float (*widen)(uint16_t);
    uint16_t (*narrow)(float);
} half;

static const half kinds[] = {{"f16", 10, 5, at_f32_from_f16, at_f16_from_f32},
                             {"bf16", 7, 8, at_f32_from_bf16, at_bf16_from_f32}};

static void all_values_widen_exactly_and_come_back(void **state) {
    (void)state;
    for (int k = 0; k < 2; k++)
        for (uint32_t i = 0; i < 65536; i++) {
            const half *h = &kinds[k];
            const double want = slow((uint16_t)i, h->fraction, h->exponent);
            const float got = h->widen((uint16_t)i);
            if (isnan(want)) {
                assert_true(isnan(got));
                assert_true(isnan(h->widen(h->narrow(got))));
                continue;
            }
            if ((double)got != want || (signbit(got) != 0) != (i >> 15 != 0))
                fail_msg("%s %x", h->name, i);
            if (h->narrow(got) != i) fail_msg("%s %x comes back as %x", h->name, i, h->narrow(got));
        }
}

/* Between two neighbours: the midpoint goes to the even one, a hair beside it to the nearer. */
static void narrowing_rounds_to_nearest_even(void **state) {
    (void)state;
    for (int k = 0; k < 2; k++) {
        const half *h = &kinds[k];
        const uint16_t infinite = (uint16_t)(((1 << h->exponent) - 1) << h->fraction);
        for (uint16_t i = 0; i < infinite; i++) {
            const uint16_t next = (uint16_t)(i + 1), even = i & 1 ? next : i;
            const double a = slow(i, h->fraction, h->exponent);
            /* above the largest finite value lies, for rounding, the power of two */
            const double b = next == infinite ? ldexp(1, 1 << (h->exponent - 1))
                                              : slow(next, h->fraction, h->exponent);
            const float middle = (float)((a + b) / 2); /* exact: one bit more than a half has */
            const float below = nextafterf(middle, 0), above = nextafterf(middle, INFINITY);
            if (h->narrow(middle) != even) fail_msg("%s middle above %x", h->name, i);
            if (h->narrow(-middle) != (even | 0x8000)) fail_msg("%s -middle above %x", h->name, i);
            if ((double)below > a && h->narrow(below) != i) fail_msg("%s below %x", h->name, i);
            if ((double)above < b && h->narrow(above) != next) fail_msg("%s above %x", h->name, i);
        }
        assert_int_equal(h->narrow(INFINITY), infinite);
        assert_int_equal(h->narrow(-INFINITY), infinite | 0x8000);
        assert_int_equal(h->narrow(3.4028234e38f), infinite);
        assert_int_equal(h->narrow(1e-45f), 0);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_values_widen_exactly_and_come_back),
        cmocka_unit_test(narrowing_rounds_to_nearest_even),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
