/*
 * test_probe.c - fresh heads, domains of a baseline and the matching of experts, on what made-up experts
 * say.  Real ones are asked in test_mlp_moe.
 */
#include "base/assign.h"
#include "base/rng.h"
#include "check.h"
#include "infer/evaluate.h"
#include "infer/probe.h"
#include "infer/probe_lm.h"
#include <math.h>
#include <stdio.h>

static at_ctx ctx;

/* ---- matching ---- */

/* The best sum over all permutations of columns from `at` on. */
static double best_of(int n, const double *worth, int *column, int at) {
    if (at == n) {
        double sum = 0;
        for (int i = 0; i < n; i++) sum += worth[i * n + column[i]];
        return sum;
    }
    double most = -INFINITY;
    for (int i = at; i < n; i++) {
        const int swap = column[at];
        column[at] = column[i];
        column[i] = swap;
        most = fmax(most, best_of(n, worth, column, at + 1));
        column[i] = column[at];
        column[at] = swap;
    }
    return most;
}

static void assignment(void **state) {
    (void)state;
    enum { MOST = 6 };
    for (uint64_t trial = 0; trial < 60; trial++) {
        const int n = 1 + (int)(trial % MOST);
        double worth[MOST * MOST], sum = 0;
        int column[MOST];
        int64_t to[MOST];
        bool taken[MOST] = {0};
        for (int i = 0; i < n * n; i++)
            worth[i] = trial % 2 ? at_normal(trial, AT_STREAM_TEST, (uint64_t)i)
                                 : (double)at_rand_below(4, trial, AT_STREAM_TEST, (uint64_t)i);
        for (int i = 0; i < n; i++) column[i] = i;
        OK(at_assign(&ctx, n, worth, to));
        for (int i = 0; i < n; i++) {
            assert_in_range(to[i], 0, n - 1);
            assert_false(taken[to[i]]);
            taken[to[i]] = true;
            sum += worth[i * n + to[i]];
        }
        const double most = best_of(n, worth, column, 0);
        if (!(fabs(sum - most) < 1e-9)) fail_msg("%d: %g, the best is %g", n, sum, most);
    }
}

/* ---- made-up experts ---- */

enum { N = 120, E = 3, H = 3, C = 3 };
typedef struct {
    at_heard h;
    int32_t domain[N], said[N * E], class_of[N];
    at_real hidden[N * H];
} made;

/* Domains in turn; the class is where the first value lies. */
static void make(made *m, uint64_t seed) {
    *m = (made){.h = {.n = N, .e = E, .h = H}};
    m->h.domain = m->domain;
    m->h.said = m->said;
    m->h.hidden = m->hidden;
    for (int i = 0; i < N; i++) {
        m->domain[i] = i % E;
        const double x = at_normal(seed, AT_STREAM_TEST, (uint64_t)i);
        m->class_of[i] = x < -0.5 ? 0 : x < 0.5 ? 1 : 2;
        m->hidden[i * H] = (at_real)(x + (x < 0 ? -0.3 : 0.3) * (m->class_of[i] != 1));
        m->hidden[i * H + 1] = (at_real)(x * x);
        m->hidden[i * H + 2] = 7; /* says nothing */
        for (int e = 0; e < E; e++)
            m->said[i * E + e] = e == 2 ? 0 : m->class_of[i]; /* the third is mostly wrong */
    }
}

static at_expert_probe room(at_probed_expert *e) {
    memset(e, 0, E * sizeof *e);
    return (at_expert_probe){.n = N, .experts = E, .expert = e};
}

static void fresh_heads(void **state) {
    (void)state;
    static made train, test;
    at_probed_expert e[E];
    at_expert_probe p = room(e);
    make(&train, 1);
    make(&test, 2);
    OK(at_probe_refit(&ctx, &train.h, train.class_of, &test.h, test.class_of, &p));
    if (!(p.refit > 0.9)) fail_msg("fresh heads are right in %g", p.refit);
    assert_true(p.refitted && p.no_head == 0);
    assert_true(fabs(p.mean_refit - (e[0].refit + e[1].refit + e[2].refit) / E) < 1e-12);
    for (int i = 0; i < E; i++) assert_int_equal(e[i].train_rows, N / E);
    /* of the first expert no row is left to learn from, of the second one class */
    for (int i = 0; i < N; i++) {
        if (train.domain[i] == 0) train.domain[i] = 2;
        if (train.domain[i] == 1) train.class_of[i] = 1;
    }
    int one = 0;
    for (int i = 0; i < N; i++) one += test.domain[i] == 1 && test.class_of[i] == 1;
    OK(at_probe_refit(&ctx, &train.h, train.class_of, &test.h, test.class_of, &p));
    assert_true(p.no_head == 1 && isnan(e[0].refit) && e[0].train_rows == 0);
    assert_true(fabs(e[1].refit - (double)one / (N / E)) < 1e-12 && e[2].refit > 0.9);
    assert_true(fabs(p.refit - (e[1].refit + e[2].refit) / 2) < 1e-12);
    /* classes that nobody knows are wrong, and rows of small domains count in one of the means */
    for (int i = 0; i < N; i++) {
        if (test.domain[i] == 1 && i > 20) test.domain[i] = 2;
        if (test.domain[i] == 1) test.class_of[i] = -1;
    }
    OK(at_probe_refit(&ctx, &train.h, train.class_of, &test.h, test.class_of, &p));
    assert_true(e[1].refit == 0 && fabs(p.mean_refit - e[2].refit) < 1e-12);
    assert_true(p.refit < e[2].refit);
}

static void domains_of_another(void **state) {
    (void)state;
    static const int other[E] = {1, 2, 0};
    static made own, base;
    at_probed_expert e[E];
    at_expert_probe p = room(e);
    make(&own, 1);
    make(&base, 1);
    OK(at_probe_common(&ctx, &own.h, &base.h, own.class_of, &p));
    assert_true(p.shared == 1 && fabs(p.common - p.baseline_own) < 1e-12 && p.common < 1);
    for (int i = 0; i < E; i++) assert_true(e[i].match == i && e[i].common_rows == N / E);
    assert_true(e[0].common == 1 && e[1].common == 1 && e[2].common < 0.6);
    /* the same experts under other numbers, and the last ten rows in another domain */
    for (int i = 0; i < N; i++) base.domain[i] = other[own.domain[i]];
    for (int i = N - 9; i < N; i++) base.domain[i] = 0;
    OK(at_probe_common(&ctx, &own.h, &base.h, own.class_of, &p));
    for (int i = 0; i < E; i++) assert_int_equal(e[i].match, other[i]);
    assert_int_equal(e[2].common_rows, N / E + 6);
    assert_true(fabs(p.shared - (N - 6.0) / N) < 1e-12);
    double right = 0;
    for (int i = 0; i < E; i++) right += e[i].common * (double)e[i].common_rows;
    assert_true(fabs(p.common - right / N) < 1e-12);
    assert_true(fabs(p.mean_common - (e[0].common + e[1].common + e[2].common) / E) < 1e-12);
    base.h.e = 2;
    assert_int_equal(at_probe_common(&ctx, &own.h, &base.h, own.class_of, &p), AT_MISMATCH);
    expect_says(&ctx, "the baseline has 2 experts, the model 3");
}

/* ---- language models ---- */

enum { V = 23, TOKENS = 260, CONTEXT = 16, WINDOWS = 5 };
static at_compute cp;

static at_model *mixture(const char *attention) {
    char text[300];
    (void)snprintf(
        text, sizeof text,
        "model: {arch: moduleformer, n_layer: 2, n_embd: 12, att_hidden: 12, ffd_hidden: 10, "
        "gating_size: 7, %s, n_mlp_experts: 3, k_mlp: 3, "
        "initializer_range: 0.7}",
        attention);
    at_conf *f;
    at_model *m;
    OK(at_conf_parse(&ctx, "test", text, strlen(text), &f));
    OK(at_model_new(&ctx, f, "model", V, 5, &m));
    at_conf_close(f);
    return m;
}

/* Nats a token of both domains, by the function that artel eval uses. */
static double evaluated(at_model *m, const at_dataset *d, at_usage *usage) {
    at_eval e = {.usage = usage};
    for (int i = 0; i < 2; i++)
        OK(at_eval_model(&cp, m, &d->domain[i].shard[AT_TEST], CONTEXT, WINDOWS, NULL, &e));
    return e.nats / (double)e.tokens;
}

static void close_to(double found, double want, const char *what) {
    if (!(fabs(found - want) < 1e-5 * (1 + fabs(want))))
        fail_msg("%s: expected %g, found %g", what, want, found);
}

static void language_model(void **state) {
    (void)state;
    static uint16_t token[2][TOKENS];
    at_domain domain[2] = {{.name = "aa"}, {.name = "bb"}};
    at_dataset d = {.path = "data", .vocab = V, .n_domains = 2, .domain = domain};
    for (int i = 0; i < 2; i++) {
        for (int t = 0; t < TOKENS; t++)
            token[i][t] = (uint16_t)at_rand_below(V - 8 * (uint64_t)i, 3, (uint64_t)i, (uint64_t)t);
        domain[i].shard[AT_TEST] =
            (at_shard){.width = 2, .token = token[i], .n_tokens = i ? TOKENS / 2 : TOKENS};
    }
    at_model *m = mixture("n_att_experts: 4, k_att: 2");
    at_banks *banks = m->arch->banks(m->impl);
    at_lm_probe p = {.context = CONTEXT, .windows = WINDOWS};
    OK(at_lm_probe_measure(&cp, m, &d, AT_TEST, &p));
    assert_int_equal(p.n, banks->n);
    assert_true(p.tokens == 2 * CONTEXT * WINDOWS);
    at_usage usage = {0};
    close_to(p.loss, evaluated(m, &d, &usage), "loss");
    close_to(p.loss, (p.domain_loss[0] + p.domain_loss[1]) / 2, "domains");
    for (int64_t i = 0; i < p.n; i++) {
        const at_probed_bank *b = &p.bank[i];
        at_bank *own = &banks->bank[i];
        const at_router_usage *u = at_usage_of(&ctx, &usage, b->id, b->n);
        double share = 0, nats = 0, mean = 0, worst = 0;
        int64_t tokens = 0;
        for (int64_t j = 0; j < b->n; j++) {
            const at_probed_slot *s = &b->slot[j];
            close_to(s->share, u->slots[j] / (double)(u->tokens * b->k), "share");
            share += s->share;
            tokens += s->tokens;
            nats += s->tokens ? s->loss * (double)s->tokens : 0;
            const int64_t k = own->k;
            own->k = k < own->n ? k : own->n - 1;
            OK(at_bank_use(&ctx, own, j, AT_SLOT_EXCLUDED));
            const double without = evaluated(m, &d, NULL);
            OK(at_bank_use(&ctx, own, j, AT_SLOT_OPEN));
            own->k = k;
            close_to(s->without, without, "without an expert");
            mean += without / (double)b->n;
            worst = fmax(worst, without);
        }
        close_to(share, 1, "shares");
        close_to(nats / (double)tokens, p.loss, "domains of experts");
        assert_int_equal(tokens, p.tokens);
        close_to(b->mean_without, mean, "mean");
        close_to(b->worst_without, worst, "worst");
        assert_true(b->spread > 0 && b->spread <= 1);
        assert_true(b->gate_entropy > 0 && b->gate_entropy <= 1 && b->load_entropy <= 1 + 1e-9);
    }
    /* of the first feed-forward bank: its domains are its choices if only one is made */
    at_usage one = {0};
    assert_int_equal(banks->bank[1].id.kind, AT_LAYER_FEED_FORWARD);
    banks->bank[1].k = 1;
    (void)evaluated(m, &d, &one);
    banks->bank[1].k = 3;
    const at_router_usage *u = at_usage_of(&ctx, &one, p.bank[1].id, p.bank[1].n);
    double most = 0;
    for (int64_t j = 0; j < p.bank[1].n; j++) {
        close_to((double)p.bank[1].slot[j].tokens, u->slots[j], "first choices");
        most = fmax(most, u->slots[j]);
    }
    close_to(p.bank[1].largest, most / (double)p.tokens, "largest domain");
    at_usage_close(&usage);
    at_usage_close(&one);
    at_lm_probe_close(&p);
    domain[0].shard[AT_TEST].n_tokens = domain[1].shard[AT_TEST].n_tokens = 1;
    assert_int_equal(at_lm_probe_measure(&cp, m, &d, AT_TEST, &p), AT_ARG);
    expect_says(&ctx, "data: the split test is empty");
    at_model_close(m);
    /* attention that uses all its experts does with one less */
    domain[0].shard[AT_TEST].n_tokens = CONTEXT + 1;
    m = mixture("n_att_experts: 2, k_att: 2");
    p = (at_lm_probe){.context = CONTEXT, .windows = WINDOWS};
    OK(at_lm_probe_measure(&cp, m, &d, AT_TEST, &p));
    assert_true(p.bank[0].worst_without > 0 && p.bank[0].k == 2);
    assert_true(fabs(p.bank[0].slot[0].without - p.loss) > 1e-4);
    at_lm_probe_close(&p);
    at_model_close(m);
}

int main(void) {
    at_ctx_init(&ctx, 2);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(assignment),
        cmocka_unit_test(fresh_heads),
        cmocka_unit_test(domains_of_another),
        cmocka_unit_test(language_model),
    };
    if (at_compute_open(&cp, &ctx) != AT_OK) return 1;
    const int bad = cmocka_run_group_tests(tests, NULL, NULL);
    at_compute_close(&cp);
    return bad;
}
