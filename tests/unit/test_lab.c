/* test_lab.c - statistics against known values, the frontier, and losses window by window. */
#include "base/stats.h"
#include "check.h"
#include "infer/evaluate.h"
#include "lab/frontier.h"
#include "lab/lab_probe.h"
#include <math.h>

static at_ctx ctx;

static void near(double got, double want, double within) {
    if (!(fabs(got - want) <= within)) fail_msg("got %.10g, expected %.10g", got, want);
}

/* ---- statistics ---- */

/* Quantiles from printed tables. */
static void test_t(void **state) {
    (void)state;
    static const double table[][3] = {{0.975, 1, 12.7062047364}, {0.975, 2, 4.3026527297},
                                      {0.975, 4, 2.7764451052},  {0.975, 9, 2.2621571628},
                                      {0.95, 5, 2.0150483733},   {0.975, 120, 1.9799304051},
                                      {0.025, 2, -4.3026527297}, {0.5, 3, 0}};
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        near(at_stat_t_quantile(table[i][0], table[i][1]), table[i][2], 1e-8);
        near(at_stat_t_cdf(table[i][2], table[i][1]), table[i][0], 1e-9);
    }
    near(at_stat_t_cdf(1, 1), 0.75, 1e-12); /* Cauchy: 1/2 + atan(t)/pi */
    near(at_stat_t_cdf(-30, 2), 0.00055463134098, 1e-12);
    near(at_stat_normal_quantile(0.975), 1.959963985, 1e-8);
    near(at_stat_normal_cdf(-1), 0.1586552539, 1e-9);
}

static void test_interval(void **state) {
    (void)state;
    const double x[] = {5.1, 4.9, 5.6, 5.8, 6.0};
    at_estimate e = at_stat_t(x, 5, 5);
    near(e.mean, 5.48, 1e-12);
    near(e.sd, 0.4658325880, 1e-9);
    near(e.lo, 4.9015924463, 1e-9);
    near(e.hi, 6.0584075537, 1e-9);
    near(e.p, 0.0825682967, 1e-9);
    e = at_stat_t(x, 1, 0);
    near(e.mean, 5.1, 0);
    assert_true(isnan(e.lo) && isnan(e.hi) && isnan(e.p));
    const double same[] = {2, 2, 2};
    e = at_stat_t(same, 3, 0);
    assert_true(e.lo == 2 && e.hi == 2 && e.p == 0.25); /* that three signs agree */
    assert_true(at_stat_t(same, 3, 2).p == 1);
    assert_true(isnan(at_stat_sd(x, 1)));
}

static void test_sign_flip(void **state) {
    (void)state;
    const double all[] = {1, 2, 3}, mixed[] = {3, -1, 2, 0.5};
    near(at_stat_sign_flip(all, 3, 0, 1), 2.0 / 8, 0);
    /* sums of the 16 choices at least 4.5 from zero: +-6.5 +-5.5 +-4.5 */
    near(at_stat_sign_flip(mixed, 4, 0, 1), 6.0 / 16, 0);
    near(at_stat_sign_flip(all, 3, 2, 1), 1, 0);
    double many[100];
    for (int i = 0; i < 100; i++) many[i] = i % 2 ? 1 : -1;
    near(at_stat_sign_flip(many, 100, 0, 1), 1, 0);
    for (int i = 0; i < 100; i++) many[i] = 0.3 + (i % 2 ? 1 : -1);
    const double p = at_stat_sign_flip(many, 100, 0, 1); /* about P(|z| > 2.87) */
    assert_true(p > 0.001 && p < 0.01);
    assert_true(at_stat_sign_flip(many, 100, 0, 1) == p);
}

/* By hand: 0.005 x 4, 0.01 x 3, 0.03 x 2, and 0.04 x 1 is less than the one before it. */
static void test_holm(void **state) {
    (void)state;
    const double p[] = {0.01, 0.04, 0.03, 0.005}, want[] = {0.03, 0.06, 0.06, 0.02};
    double got[5];
    at_stat_holm(p, 4, got);
    for (int i = 0; i < 4; i++) near(got[i], want[i], 1e-15);
    const double gap[] = {0.04, (double)NAN, 0.03}; /* what was not tested does not count */
    at_stat_holm(gap, 3, got);
    near(got[0], 0.06, 1e-15);
    near(got[2], 0.06, 1e-15);
    assert_true(isnan(got[1]));
    const double large[] = {0.5, 0.5, 0.5, 0.9, 0.0};
    at_stat_holm(large, 5, got);
    for (int i = 0; i < 4; i++) near(got[i], 1, 0);
    near(got[4], 0, 0);
    at_stat_holm(p, 1, got);
    near(got[0], 0.01, 0);
}

/* By counting all 2^n choices of signs, ranks having been given by hand; the first is the example of SciPy's
   manual, which says 0.041259765625. */
static void test_wilcoxon(void **state) {
    (void)state;
    const double plain[] = {6, 8, 14, 16, 23, 24, 28, 29, 41, -48, 49, 56, 60, -67, 75};
    near(at_stat_wilcoxon(plain, 15, 0), 0.041259765625, 1e-15);
    const double five[] = {1, 2, 3, 4, 5};
    near(at_stat_wilcoxon(five, 5, 0), 2.0 / 32, 1e-15);
    near(at_stat_wilcoxon(five, 5, 3), 1, 1e-15);     /* -2 -1 0 1 2: in the middle */
    near(at_stat_wilcoxon(five, 5, 2), 0.375, 1e-15); /* -1 0 1 2 3 */
    const double ties[] = {1, 1, 2, -2, 3};
    near(at_stat_wilcoxon(ties, 5, 0), 0.375, 1e-15);
    /* ranks 2, 2, 2, 4.5, 4.5: 9 of 32 choices have a positive sum of at most 4.5; of ranks 3, 3, 3, 5, 5 fewer */
    near(at_stat_wilcoxon((const double[]){-2, -2, -2, -3, 3}, 5, 0), 0.5625, 1e-15);
    const double zeros[] = {0, 0, 0}, one[] = {2};
    near(at_stat_wilcoxon(zeros, 3, 0), 1, 0);
    near(at_stat_wilcoxon(one, 1, 0), 1, 0);
    near(at_stat_wilcoxon((const double[]){0.5, 1.5, -0.25, 2.5}, 4, 0), 0.25, 1e-15);
    double many[AT_WILCOXON_MAX + 1];
    for (int i = 0; i <= AT_WILCOXON_MAX; i++) many[i] = i + 1;
    near(at_stat_wilcoxon(many, AT_WILCOXON_MAX, 0), ldexp(1, 1 - AT_WILCOXON_MAX), 1e-30);
    assert_true(isnan(at_stat_wilcoxon(many, AT_WILCOXON_MAX + 1, 0)));
    assert_true(isnan(at_stat_wilcoxon(many, 0, 0)));
    many[3] = (double)NAN;
    assert_true(isnan(at_stat_wilcoxon(many, 9, 0)));
}

/* Of x = 0.1 i^2, i = 1..20, NumPy finds with a million resamples 9.40 to 20.375. */
static void test_bca(void **state) {
    (void)state;
    double x[20];
    at_estimate e;
    for (int i = 0; i < 20; i++) x[i] = 0.1 * (i + 1) * (i + 1);
    OK(at_stat_bca(&ctx, x, 20, 0, 20000, 1, &e));
    near(e.mean, 14.35, 1e-9);
    near(e.lo, 9.40, 0.15);
    near(e.hi, 20.375, 0.15);
    near(e.p, 1.0 / 16384, 1e-12);
    const double same[] = {1, 1, 1};
    OK(at_stat_bca(&ctx, same, 3, 0, 100, 1, &e));
    assert_true(e.lo == 1 && e.hi == 1);
    assert_int_equal(at_stat_bca(&ctx, x, 1, 0, 100, 1, &e), AT_ARG);
    ctx.fail_after = 1;
    assert_int_equal(at_stat_bca(&ctx, x, 20, 0, 100, 1, &e), AT_OOM);
}

/* ---- frontier ---- */

static void test_frontier(void **state) {
    (void)state;
    const double loss[] = {4.0, 5.0, 4.5}, speed[] = {100, 400, 200};
    at_frontier_side side;
    near(at_frontier_speed(loss, speed, 3, 4.5, &side), 200, 1e-9);
    assert_int_equal(side, AT_FRONTIER_WITHIN);
    near(at_frontier_speed(loss, speed, 3, 4.75, &side), sqrt(200.0 * 400), 1e-9);
    near(at_frontier_speed(loss, speed, 3, 4.25, &side), sqrt(200.0 * 100), 1e-9);
    near(at_frontier_speed(loss, speed, 3, 3.9, &side), 100, 0);
    assert_int_equal(side, AT_FRONTIER_BEYOND);
    near(at_frontier_speed(loss, speed, 3, 5.5, &side), 400, 0);
    assert_int_equal(side, AT_FRONTIER_BEFORE);
    /* a middle model that is worse than the fastest is passed over */
    const double bent[] = {5.0, 5.2, 4.0}, falling[] = {400, 200, 100};
    near(at_frontier_speed(bent, falling, 3, 5.2 - 1.2 * 0.5, &side), sqrt(200.0 * 100), 1e-9);
    assert_int_equal(side, AT_FRONTIER_WITHIN);
    /* beyond: the speed of the best, which need not be the slowest */
    const double dip[] = {5.0, 4.0, 4.2};
    near(at_frontier_speed(dip, falling, 3, 3, &side), 200, 0);
    assert_int_equal(side, AT_FRONTIER_BEYOND);
}

/* ---- probe ---- */

enum { N = 77, T = 8 };

static at_model *tiny_model(void) {
    static const char text[] = "model: {arch: moduleformer, n_layer: 1, n_embd: 8, att_hidden: 8, "
                               "ffd_hidden: 8, gating_size: 4, n_att_experts: 3, k_att: 2, "
                               "n_mlp_experts: 4, k_mlp: 2, vocab_size: 20, initializer_range: 1}";
    at_conf *f;
    at_model *m;
    OK(at_conf_parse(&ctx, "test", text, sizeof text - 1, &f));
    OK(at_model_new(&ctx, f, "model", 20, 1, &m));
    at_conf_close(f);
    return m;
}

/* Sums over windows and parts are those of the evaluation that users see. */
static void test_probe(void **state) {
    (void)state;
    uint16_t token[N];
    for (int i = 0; i < N; i++) token[i] = (uint16_t)(i * i % 19);
    const at_shard shard = {.width = 2, .token = token, .n_tokens = N};
    at_compute cp;
    OK(at_compute_open(&cp, &ctx));
    at_model *m = tiny_model();
    at_eval whole = {0};
    OK(at_eval_model(&cp, m, &shard, T, 0, NULL, &whole));
    at_usage usage = {0};
    at_probe p, q;
    OK(at_probe_run(&cp, m, &shard,
                    &(at_probe_spec){.context = T, .stride = T, .buckets = 1, .tail = true}, &usage,
                    &p));
    assert_int_equal(p.windows, 9);
    assert_int_equal(p.tail_tokens, 4);
    near(at_probe_loss(&p), whole.nats / (double)whole.tokens, 1e-6);
    assert_int_equal(usage.n, 2);
    assert_int_equal(usage.router[1].e, 4);
    assert_int_equal(usage.router[0].tokens, 76);
    /* the parts of the windows make up the windows */
    OK(at_probe_run(&cp, m, &shard, &(at_probe_spec){.context = T, .stride = T, .buckets = 4}, NULL,
                    &q));
    for (int w = 0; w < 9; w++)
        near(q.nats[4 * w] + q.nats[4 * w + 1] + q.nats[4 * w + 2] + q.nats[4 * w + 3], p.nats[w],
             1e-5);
    near(at_probe_bucket(&q, 0) + at_probe_bucket(&q, 1) + at_probe_bucket(&q, 2) +
             at_probe_bucket(&q, 3),
         4 * at_probe_loss(&q), 1e-6);
    at_probe_close(&p);
    at_probe_close(&q);
    /* half as long windows that end at the same places are every other one of the short kind */
    at_probe shorter;
    OK(at_probe_run(&cp, m, &shard, &(at_probe_spec){.context = T, .stride = 2 * T, .buckets = 1},
                    NULL, &shorter));
    OK(at_probe_run(&cp, m, &shard, &(at_probe_spec){.context = T, .stride = T, .buckets = 1}, NULL,
                    &p));
    assert_int_equal(shorter.windows, 4);
    for (int w = 0; w < 4; w++) near(shorter.nats[w], p.nats[2 * w + 1], 1e-6);
    at_probe_close(&p);
    at_probe_close(&shorter);
    assert_int_equal(at_probe_run(&cp, m, &shard,
                                  &(at_probe_spec){.context = T, .stride = 4, .buckets = 1}, NULL,
                                  &p),
                     AT_ARG);
    at_usage_close(&usage);
    at_model_close(m);
    at_compute_close(&cp);
}

int main(void) {
    at_ctx_init(&ctx, 1);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_t),         cmocka_unit_test(test_interval),
        cmocka_unit_test(test_sign_flip), cmocka_unit_test(test_bca),
        cmocka_unit_test(test_holm),      cmocka_unit_test(test_frontier),
        cmocka_unit_test(test_wilcoxon),  cmocka_unit_test(test_probe),
    };
    return cmocka_run_group_tests_name("lab", tests, NULL, NULL);
}
