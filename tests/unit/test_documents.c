/* test_documents.c - losses by document, and the interval of a difference. */
#include "check.h"
#include "train/documents.h"
#include <math.h>

enum { N = 12 };
static at_ctx ctx;

static at_documents of(double nats[N], int64_t tokens[N], int64_t n) {
    return (at_documents){.nats = nats, .tokens = tokens, .n = n};
}

/* Where all documents change by the same share there is nothing to be unsure of. */
static void an_even_change_is_certain(void **state) {
    (void)state;
    double a[N], b[N];
    int64_t t[N];
    at_change x;
    for (int i = 0; i < N; i++) {
        a[i] = 1 + i;
        b[i] = 1.25 * a[i];
        t[i] = 2;
    }
    const at_documents before = of(a, t, N), after = of(b, t, N);
    OK(at_documents_compare(&ctx, &before, &after, 1, &x));
    assert_true(fabs(x.change - 0.25) < 1e-12 && fabs(x.lo - 0.25) < 1e-12 &&
                fabs(x.hi - 0.25) < 1e-12);
    assert_true(fabs(x.before - 78.0 / 24) < 1e-12 && fabs(x.after - 97.5 / 24) < 1e-12);
    assert_true(x.documents == N && x.tokens == 2 * N);
    OK(at_documents_compare(&ctx, &before, &before, 1, &x));
    assert_true(x.change == 0 && x.lo == 0 && x.hi == 0);
}

/* A few documents that change much: the interval has the change in it, and is as wide as the spread says. */
static void an_uneven_change_is_not(void **state) {
    (void)state;
    double a[N], b[N];
    int64_t t[N];
    at_change x, y;
    for (int i = 0; i < N; i++) {
        a[i] = 10;
        b[i] = i % 2 ? 12
                     : 9; /* +20 % and -10 %: mean +5 %, standard error 15 % / sqrt(12) = 4.33 % */
        t[i] = 5;
    }
    const at_documents before = of(a, t, N), after = of(b, t, N);
    OK(at_documents_compare(&ctx, &before, &after, 7, &x));
    assert_true(fabs(x.change - 0.05) < 1e-12);
    assert_true(x.lo > -0.05 && x.lo < -0.02 && x.hi > 0.12 && x.hi < 0.15);
    OK(at_documents_compare(&ctx, &before, &after, 7, &y));
    assert_true(x.lo == y.lo && x.hi == y.hi); /* the seed decides */
}

static void too_few(void **state) {
    (void)state;
    double a[N] = {3};
    int64_t t[N] = {1};
    at_change x;
    const at_documents one = of(a, t, 1), none = of(a, t, 0);
    OK(at_documents_compare(&ctx, &one, &one, 1, &x));
    assert_true(x.change == 0 && isnan(x.lo) && isnan(x.hi));
    assert_int_equal(at_documents_compare(&ctx, &one, &none, 1, &x), AT_ARG);
    expect_says(&ctx, "1 of one model, 0 of the other");
}

int main(void) {
    at_ctx_init(&ctx, 1);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_even_change_is_certain),
        cmocka_unit_test(an_uneven_change_is_not),
        cmocka_unit_test(too_few),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
