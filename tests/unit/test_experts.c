/*
 * test_experts.c - routing and expert products: ties, idle experts, threads, errors, and the
 * outputs and gradients of the ModuleFormer authors' gates and mixture layers (golden files in
 * double).
 *
 * Compiled in float, and again in double (tests/double/test_experts_double.c) with tighter bounds.
 */
#include "base/rng.h"
#include "check.h"
#include "io/safetensors.h"
#include "op/op.h"
#include "slices.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static at_ctx ctx;
static at_compute cp;
static at_arena arena;

static const bool in_double = sizeof(at_real) == 8;

static at_tensor *random_tensor(at_run *r, int rank, const int64_t *dim, uint64_t stream) {
    at_tensor *t = at_new(r, rank, dim);
    assert_non_null(t);
    for (int64_t i = 0; i < at_numel(t); i++)
        t->data[i] = (at_real)at_normal(3, stream, (uint64_t)i);
    return t;
}
static at_tensor *parameter(at_run *r, int rank, const int64_t *dim, uint64_t stream) {
    at_tensor *t = random_tensor(r, rank, dim, stream);
    t->grad = at_run_alloc(r, (size_t)at_numel(t) * sizeof *t->grad);
    memset(t->grad, 0, (size_t)at_numel(t) * sizeof *t->grad);
    t->need_grad = t->keep_grad = true;
    return t;
}

static void done(void) { at_arena_rewind(&arena, (at_mark){0}); }

/* Equal probabilities: the lowest index.  Lists: every slot once, by expert, ascending. */
static void ties_and_lists(void **state) {
    (void)state;
    at_run r;
    at_routing ro;
    at_run_init(&r, &cp, &arena, false, 0);
    at_tensor *l = at_new2(&r, 3, 5);
    const at_real v[15] = {1, 1, 1, 1, 1, 0, 2, 0, 2, 2, 5, 4, 3, 2, 1};
    memcpy(l->data, v, sizeof v);
    at_tensor *g = at_route(&r, l, 2, false, &ro);
    OK(at_run_status(&r));
    const int32_t pick[6] = {0, 1, 1, 3, 0, 1};
    assert_memory_equal(ro.pick, pick, sizeof pick);
    const int64_t slot[6] = {0, 4, 1, 2, 5, 3}, first[6] = {0, 2, 5, 5, 6, 6};
    assert_memory_equal(ro.slot, slot, sizeof slot);
    assert_memory_equal(ro.first, first, sizeof first);
    for (int i = 0; i < 2; i++) assert_true(fabs((double)g->data[i] - 0.2) < 1e-6);
    g = at_route(&r, l, 2, true, &ro);
    for (int i = 0; i < 3; i++)
        assert_true(fabs((double)(g->data[2 * i] + g->data[2 * i + 1]) - 1) < 1e-6);
    done();
}

/* With logits that are NaN valid experts are chosen; the loss is not finite, which the trainer
   reports. */
static void not_a_number(void **state) {
    (void)state;
    at_run r;
    at_routing ro;
    at_run_init(&r, &cp, &arena, false, 0);
    at_tensor *l = at_new2(&r, 2, 4);
    for (int i = 0; i < 8; i++) l->data[i] = (at_real)(i < 4 ? NAN : -INFINITY);
    assert_non_null(at_route(&r, l, 3, false, &ro));
    assert_int_equal(ro.first[4], 6);
    for (int i = 0; i < 2; i++)
        for (int j = 0; j < 3; j++) assert_int_equal(ro.pick[i * 3 + j], j);
    done();
}

/* ---- masks ---- */

/* Against the definition, expert by expert: who is excluded is in no sum, who is closed is never chosen,
   drawn or not. */
static void masked(void **state) {
    (void)state;
    enum { N = 200, E = 7, K = 3 };
    static const uint8_t use[E] = {AT_SLOT_EXCLUDED, 0, AT_SLOT_CLOSED, 0, 0, AT_SLOT_EXCLUDED, 0};
    for (int way = 0; way < 4; way++) {
        at_run r;
        at_routing ro;
        at_run_init(&r, &cp, &arena, true, 3);
        at_tensor *l = random_tensor(&r, 2, (int64_t[]){N, E}, 5);
        for (int64_t i = 0; i < N; i++) l->data[i * E + 2] += 4; /* who may not be, would be */
        const at_tensor *g = at_route_by(
            &r, l, &(at_route_spec){.k = K, .drawn = way & 2, .renormalise = way & 1, .use = use},
            &ro);
        assert_non_null(g);
        assert_int_equal(ro.live, E - 2);
        int other = 0;
        for (int64_t i = 0; i < N; i++) {
            double p[E], sum = 0, chosen = 0;
            const int32_t *pick = ro.pick + i * K;
            for (int j = 0; j < E; j++)
                sum += p[j] = use[j] == AT_SLOT_EXCLUDED ? 0 : exp((double)l->data[i * E + j]);
            assert_true(fabs(ro.lse[i] - log(sum)) < 1e-5);
            for (int j = 0; j < E; j++)
                assert_true(fabs((double)ro.p[i * E + j] - p[j] / sum) < 1e-6);
            for (int t = 0; t < K; t++) chosen += p[pick[t]] / sum;
            for (int t = 0; t < K; t++) {
                assert_int_equal(use[pick[t]], AT_SLOT_OPEN);
                for (int u = 0; u < t; u++) assert_true(pick[u] != pick[t]);
                if (t && p[pick[t]] > p[pick[t - 1]]) other++;
                const double want = p[pick[t]] / sum / (way & 1 ? chosen : 1);
                assert_true(fabs((double)g->data[i * K + t] - want) < 1e-5);
            }
            if (!(way & 2)) /* the one left out is the least */
                for (int j = 0; j < E; j++)
                    if (use[j] == AT_SLOT_OPEN && j != pick[0] && j != pick[1] && j != pick[2])
                        assert_true(p[j] <= p[pick[2]]);
        }
        assert_true((other > 0) == (way > 1));
        done();
    }
}

/* Beside a closed expert that takes everything the others have gates all the same, if they are to sum
   to 1; there is no gradient to speak of. */
static void nothing_left(void **state) {
    (void)state;
    static const uint8_t use[3] = {0, AT_SLOT_CLOSED, 0};
    at_run r;
    at_routing ro;
    at_run_init(&r, &cp, &arena, true, 0);
    at_tensor *l = parameter(&r, 2, (int64_t[]){1, 3}, 1);
    l->data[1] = 2000;
    at_tensor *g =
        at_route_by(&r, l, &(at_route_spec){.k = 2, .renormalise = true, .use = use}, &ro);
    assert_true(fabs((double)g->data[0] - 0.5) < 1e-6 && fabs((double)g->data[1] - 0.5) < 1e-6);
    g->grad = at_run_alloc(&r, 2 * sizeof *g->grad);
    g->grad[0] = 1;
    g->grad[1] = -1;
    OK(at_backward_from(&r, g));
    for (int j = 0; j < 3; j++) assert_true(fabs((double)l->grad[j]) <= 0);
    done();
}

static void masked_away(void **state) {
    (void)state;
    static const uint8_t use[4] = {0, AT_SLOT_CLOSED, AT_SLOT_EXCLUDED, 0};
    at_run r;
    at_routing ro;
    at_run_init(&r, &cp, &arena, false, 0);
    at_tensor *l = random_tensor(&r, 2, (int64_t[]){6, 4}, 1);
    assert_non_null(at_route_by(&r, l, &(at_route_spec){.k = 2, .use = use}, &ro));
    assert_null(at_route_by(&r, l, &(at_route_spec){.k = 3, .use = use}, &ro));
    assert_int_equal(at_run_status(&r), AT_ARG);
    expect_says(&ctx, "3 experts a token cannot be chosen where 2 of 4 are masked");
    done();
}

/* ---- experts drawn in training ---- */

static at_tensor *equal_rows(at_run *r, int64_t n, const double *p, int64_t e) {
    at_tensor *l = at_new2(r, n, e);
    for (int64_t i = 0; i < n * e; i++) l->data[i] = (at_real)log(p[i % e]);
    return l;
}

/* Pairs (first drawn, second drawn) of 5 experts beside the best, against their probabilities: chi
   squared of 11 degrees of freedom is above 35 once in 4000 times; of 19, above 47.  */
static void drawn_as_probable(void **state) {
    (void)state;
    enum { N = 20000, E = 5 };
    static const double p[E] = {0.1, 0.4, 0.05, 0.25, 0.2};
    for (int best = 0; best < 2; best++) {
        at_run r;
        at_run_init(&r, &cp, &arena, true, 11);
        at_tensor *l = equal_rows(&r, N, p, E);
        at_routing ro;
        const int64_t k = 2 + best;
        const at_tensor *g = at_route_by(&r, l, &(at_route_spec){.k = k, .drawn = 2}, &ro);
        assert_non_null(g);
        double count[E][E] = {{0}}, chi = 0, rest = best ? 0.6 : 1;
        for (int64_t i = 0; i < N; i++) {
            const int32_t *pick = ro.pick + i * k;
            if (best) assert_int_equal(pick[0], 1);
            count[pick[best]][pick[best + 1]]++;
            for (int64_t j = 0; j < k; j++)
                assert_true(fabs((double)g->data[i * k + j] - p[pick[j]]) < 1e-6);
        }
        for (int a = 0; a < E; a++)
            for (int b = 0; b < E; b++) {
                const bool can = a != b && !(best && (a == 1 || b == 1));
                const double want = can ? N * p[a] / rest * p[b] / (rest - p[a]) : 0;
                if (!can) assert_true(count[a][b] == 0);
                if (can) chi += pow(count[a][b] - want, 2) / want;
            }
        if (!(chi < (best ? 35 : 47))) fail_msg("chi squared %g", chi);
        done();
    }
}

/* A draw depends on seed, number and token; not on threads, nor on what the others are. */
/* The tokens of a sequence choose from one pool: those experts that the whole sequence likes best, as many as are
   drawn; all is then to the bit as in a router without the others.  Not on the number of threads, nor where the
   run does not train. */
static void pools(void **state) {
    (void)state;
    enum { B = 40, T = 5, E = 8, K = 2 };
    static const uint8_t use[E] = {0, 0, AT_SLOT_CLOSED, 0, 0, AT_SLOT_EXCLUDED, 0, 0};
    int32_t first[B * T * K];
    bool sizes[E + 1] = {0};
    for (int i = 0; i < 3; i++) {
        at_ctx c = ctx;
        at_compute own;
        c.threads = i + 1;
        assert_int_equal(at_compute_open(&own, &c), AT_OK);
        at_run r;
        at_routing ro, alone, none;
        at_run_init(&r, &own, &arena, true, 5);
        at_tensor *l = random_tensor(&r, 2, (int64_t[]){B * T, E}, 2);
        const at_route_spec how = {.k = K, .use = use, .pool = {1, 4, T}},
                            plain = {.k = K, .use = use};
        const at_tensor *g = at_route_by(&r, l, &how, &ro);
        assert_non_null(g);
        assert_non_null(at_route_by(&r, l, &plain, &none));
        if (!i) memcpy(first, ro.pick, sizeof first);
        assert_memory_equal(first, ro.pick, sizeof first);
        assert_memory_not_equal(first, none.pick, sizeof first);
        for (int b = 0; b < B; b++) {
            double sum[E] = {0}, least = INFINITY;
            uint8_t mine[E];
            int m = 0;
            for (int j = 0; j < E; j++) {
                const bool in = use[j] == AT_SLOT_OPEN && ro.p[b * T * E + j] > 0;
                mine[j] = in ? AT_SLOT_OPEN : use[j] ? use[j] : AT_SLOT_EXCLUDED;
                for (int t = 0; t < T; t++) sum[j] += (double)none.p[(b * T + t) * E + j];
                if (in && sum[j] < least) least = sum[j];
                m += in;
            }
            sizes[m] = true;
            for (int j = 0; j < E; j++)
                assert_true(mine[j] == AT_SLOT_OPEN || use[j] || sum[j] < least);
            at_tensor *rows = at_new2(&r, T, E);
            memcpy(rows->data, l->data + b * T * E, T * E * sizeof *rows->data);
            const at_tensor *h =
                at_route_by(&r, rows, &(at_route_spec){.k = K, .use = mine}, &alone);
            assert_memory_equal(h->data, g->data + b * T * K, T * K * sizeof *h->data);
            assert_memory_equal(alone.pick, ro.pick + b * T * K, T * K * sizeof *alone.pick);
            assert_memory_equal(alone.p, ro.p + b * T * E, T * E * sizeof *alone.p);
        }
        r.train = false;
        assert_non_null(at_route_by(&r, l, &how, &alone));
        assert_memory_equal(alone.pick, none.pick, sizeof first);
        r.train = true;
        assert_null(at_route_by(&r, l, &(at_route_spec){.k = K, .pool = {1, 4, 3}}, &alone));
        assert_int_equal(at_run_status(&r), AT_ARG);
        expect_says(&c, "pools of 1 to 4 experts for sequences of 3 of 200 rows");
        done();
        at_compute_close(&own);
    }
    for (int m = 0; m <= E; m++) assert_int_equal(sizes[m], m >= K && m <= 4);
}

static void drawn_by_number(void **state) {
    (void)state;
    enum { N = 500 };
    static const double p[4] = {0.3, 0.3, 0.2, 0.2};
    int32_t first[N * 2], more[3][N * 2];
    for (int i = 0; i < 4; i++) {
        at_ctx c = ctx;
        at_compute own;
        c.threads = i ? i : 2;
        assert_int_equal(at_compute_open(&own, &c), AT_OK);
        at_run r;
        at_run_init(&r, &own, &arena, true, 5 + (i == 0));
        at_routing a, b, half;
        at_tensor *l = equal_rows(&r, N, p, 4);
        assert_non_null(at_route_by(&r, l, &(at_route_spec){.k = 2, .drawn = 1}, &a));
        if (!i) memcpy(first, a.pick, sizeof first);
        if (i) memcpy(more[i - 1], a.pick, sizeof first);
        assert_non_null(at_route_by(&r, l, &(at_route_spec){.k = 2, .drawn = 1}, &b));
        assert_memory_not_equal(a.pick, b.pick, sizeof first); /* another number */
        at_run_init(&r, &own, &arena, true, 5 + (i == 0));
        l = equal_rows(&r, N / 2, p, 4);
        assert_non_null(at_route_by(&r, l, &(at_route_spec){.k = 2, .drawn = 1}, &half));
        assert_memory_equal(a.pick, half.pick, sizeof first / 2);
        r.train = false; /* plain */
        assert_non_null(at_route_by(&r, l, &(at_route_spec){.k = 2, .drawn = 1}, &half));
        for (int j = 0; j < N / 2; j++) assert_true(half.pick[2 * j] + half.pick[2 * j + 1] == 1);
        done();
        at_compute_close(&own);
    }
    assert_memory_not_equal(first, more[0], sizeof first); /* another seed */
    assert_memory_equal(more[0], more[1], sizeof first);
    assert_memory_equal(more[0], more[2], sizeof first);
}

/* Different experts are drawn even when probabilities are 0 and 1, or NaN. */
static void drawn_of_nothing(void **state) {
    (void)state;
    at_run r;
    at_run_init(&r, &cp, &arena, true, 5);
    at_tensor *l = at_new2(&r, 3, 4);
    for (int i = 0; i < 12; i++) l->data[i] = i < 4 ? (at_real)NAN : i == 6 ? 1000 : 0;
    at_routing ro;
    assert_non_null(at_route_by(&r, l, &(at_route_spec){.k = 4, .drawn = 3}, &ro));
    for (int i = 0; i < 3; i++) {
        int seen = 0;
        for (int j = 0; j < 4; j++) seen |= 1 << ro.pick[4 * i + j];
        assert_int_equal(seen, 15);
    }
    assert_int_equal(ro.pick[4], 2);
    assert_null(at_route_by(&r, l, &(at_route_spec){.k = 2, .drawn = 3}, &ro));
    assert_int_equal(r.status, AT_ARG);
    assert_non_null(strstr(r.message, "3 of 2 choices cannot be drawn"));
    done();
}

/* Those beside the chosen: open ones, each as often as another, the same each time. */
static void others(void **state) {
    (void)state;
    enum { N = 4000, E = 6, K = 2, MORE = 2 };
    static const uint8_t use[E] = {0, 0, 0, AT_SLOT_CLOSED, 0, 0};
    const at_route_spec how = {.k = K, .use = use};
    static int32_t before[N * MORE];
    for (int again = 0; again < 3; again++) {
        at_run r;
        at_routing ro, more;
        int64_t count[E] = {0};
        at_run_init(&r, &cp, &arena, true, again < 2 ? 7 : 8);
        at_tensor *l = random_tensor(&r, 2, (int64_t[]){N, E}, 4);
        for (int i = 0; i < N; i++) l->data[i * E] = 9; /* always chosen */
        (void)at_route_by(&r, l, &how, &ro);
        assert_true(at_route_others(&r, &ro, use, MORE, &more));
        assert_true(more.n == N && more.k == MORE && more.e == E && more.first[E] == N * MORE);
        for (int s = 0; s < N * MORE; s++) {
            const int32_t j = more.pick[s], *chosen = ro.pick + s / MORE * K;
            assert_true(j != 3 && j != 0 && j != chosen[0] && j != chosen[1]);
            assert_true(s % MORE == 0 || j != more.pick[s - 1]);
            count[j]++;
        }
        for (int j = 0; j < E; j++)
            for (int64_t i = more.first[j]; i < more.first[j + 1]; i++)
                assert_int_equal(more.pick[more.slot[i]], j);
        for (int j = 1; j < E; j++)
            if (j != 3) assert_in_range(count[j], N / 2 - 200, N / 2 + 200);
        if (again) assert_true(!memcmp(before, more.pick, sizeof before) == (again == 1));
        memcpy(before, more.pick, sizeof before);
        assert_false(at_route_others(&r, &ro, use, 4, &more));
        assert_int_equal(at_run_status(&r), AT_ARG);
        assert_non_null(strstr(ctx.message, "4 more experts beside 2, but 5 are open"));
        done();
    }
}

static void errors(void **state) {
    (void)state;
    at_run r;
    at_routing ro;
    at_run_init(&r, &cp, &arena, false, 0);
    at_tensor *l = random_tensor(&r, 2, (int64_t[]){6, 4}, 1);
    assert_null(at_route(&r, l, 5, false, &ro));
    assert_int_equal(at_run_status(&r), AT_ARG);
    assert_non_null(strstr(ctx.message, "5 of 4 experts"));

    at_run_init(&r, &cp, &arena, false, 0);
    at_tensor *g = at_route(&r, l, 2, false, &ro);
    at_tensor *x = random_tensor(&r, 2, (int64_t[]){6, 3}, 2);
    at_tensor *w = random_tensor(&r, 3, (int64_t[]){4, 5, 3}, 3);
    w->name = "mlpf.experts.weight";
    at_tensor *y = at_expert_linear(&r, x, slices(&r, w), &ro);
    assert_null(at_expert_sum(&r, y, g));
    assert_int_equal(at_run_status(&r), AT_SHAPE);
    assert_non_null(strstr(ctx.message, "mlpf.experts.weight [5,3]"));

    at_run_init(&r, &cp, &arena, false, 0);
    at_tensor *few = random_tensor(&r, 2, (int64_t[]){4, 5}, 2);
    assert_null(at_expert_linear(&r, few, slices(&r, w), &ro));
    assert_int_equal(at_run_status(&r), AT_SHAPE);
    assert_non_null(strstr(ctx.message, "6 tokens"));

    at_run_init(&r, &cp, &arena, false, 0);
    assert_null(at_mutual_info(&r, few, &ro, NULL));
    assert_int_equal(at_run_status(&r), AT_SHAPE);
    at_run_init(&r, &cp, &arena, false, 0);
    assert_null(at_expert_sum(&r, few, g));
    assert_int_equal(at_run_status(&r), AT_SHAPE);
    done();
}

/* An expert that no token chose has no gradient, not even a buffer for it. */
static void idle_expert_is_left_alone(void **state) {
    (void)state;
    at_run r;
    at_routing ro;
    at_run_init(&r, &cp, &arena, true, 0);
    at_tensor *l = at_new2(&r, 7, 3), *w[3];
    for (int i = 0; i < 21; i++) l->data[i] = i % 3 == 1 ? -5 : (at_real)(i % 2);
    (void)at_route(&r, l, 2, false, &ro);
    assert_int_equal(ro.first[1], ro.first[2]);
    at_tensor *x = parameter(&r, 2, (int64_t[]){7, 4}, 1);
    for (int e = 0; e < 3; e++) {
        w[e] = random_tensor(&r, 2, (int64_t[]){4, 5}, (uint64_t)(2 + e));
        w[e]->need_grad = w[e]->keep_grad = true;
    }
    at_tensor *y = at_expert_linear(&r, x, w, &ro);
    OK(at_run_status(&r));
    y->grad = at_run_alloc(&r, (size_t)at_numel(y) * sizeof *y->grad);
    for (int64_t i = 0; i < at_numel(y); i++) y->grad[i] = 1;
    OK(at_backward_from(&r, y));
    assert_non_null(w[0]->grad);
    assert_null(w[1]->grad);
    assert_non_null(w[2]->grad);
    done();
}

/* Output and all gradients of one mixture layer, with `threads` workers. */
static at_real *mixture(int threads, int64_t *n) {
    const int64_t N = 700, C = 24, F = 40, E = 5;
    at_run r;
    at_routing ro;
    const int before = cp.threads;
    cp.threads = threads;
    at_run_init(&r, &cp, &arena, true, 0);
    at_tensor *p[4] = {
        parameter(&r, 2, (int64_t[]){N, C}, 1), parameter(&r, 2, (int64_t[]){E, C}, 2),
        parameter(&r, 3, (int64_t[]){E, C, F}, 3), parameter(&r, 3, (int64_t[]){E, F, C}, 4)};
    at_tensor *l = at_linear(&r, p[0], p[1], NULL);
    at_tensor *g = at_route(&r, l, 2, false, &ro);
    at_tensor *h = at_expert_linear(&r, p[0], slices(&r, p[2]), &ro);
    h = at_gelu(&r, h, AT_GELU_TANH);
    h = at_expert_linear(&r, h, slices(&r, p[3]), &ro);
    at_tensor *y = at_expert_sum(&r, h, g);
    at_tensor *aux = at_mutual_info(&r, l, &ro, NULL);
    OK(at_run_status(&r));
    y->grad = at_run_alloc(&r, (size_t)at_numel(y) * sizeof *y->grad);
    for (int64_t i = 0; i < at_numel(y); i++) y->grad[i] = (at_real)(i % 7) - 3;
    aux->grad = at_run_alloc(&r, 8);
    aux->grad[0] = 1;
    *n = 1 + at_numel(y);
    for (int i = 0; i < 4; i++) *n += at_numel(p[i]);
    at_real *all = malloc((size_t)*n * sizeof *all), *to = all;
    *to++ = aux->data[0];
    memcpy(to, y->data, (size_t)at_numel(y) * sizeof *to);
    to += at_numel(y);
    OK(at_backward_from(&r, aux));
    for (int i = 0; i < 4; i++) {
        memcpy(to, p[i]->grad, (size_t)at_numel(p[i]) * sizeof *to);
        to += at_numel(p[i]);
    }
    done();
    cp.threads = before;
    return all;
}

static void threads_change_no_bit(void **state) {
    (void)state;
    int64_t n = 0;
    at_real *one = mixture(1, &n);
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += fabs((double)one[i]);
    assert_true(sum > 1 && isfinite(sum));
    for (int threads = 2; threads <= cp.threads; threads++) {
        at_real *many = mixture(threads, &n);
        assert_memory_equal(one, many, (size_t)n * sizeof *one);
        free(many);
    }
    free(one);
}

/* ---- golden ---- */

static at_tensor *golden_tensor(at_run *r, const at_st *st, const char *name, bool grad) {
    const at_st_tensor *s = at_st_find(st, name);
    if (!s) fail_msg("%s: no tensor %s", at_st_path(st), name);
    const int64_t none = 1;
    at_tensor *t = s->rank ? at_new(r, s->rank, s->dim) : at_new(r, 1, &none);
    double *wide = malloc((size_t)at_numel(t) * sizeof *wide);
    OK(at_st_to_f64(&ctx, s, wide));
    for (int64_t i = 0; i < at_numel(t); i++) t->data[i] = (at_real)wide[i];
    free(wide);
    if (grad) {
        t->grad = at_run_alloc(r, (size_t)at_numel(t) * sizeof *t->grad);
        memset(t->grad, 0, (size_t)at_numel(t) * sizeof *t->grad);
        t->need_grad = t->keep_grad = true;
    }
    return t;
}

static void same(at_run *r, const at_st *st, const char *name, const at_real *x, double bound) {
    const at_tensor *t = golden_tensor(r, st, name, false);
    double num = 0, den = 0;
    for (int64_t i = 0; i < at_numel(t); i++) {
        const double a = (double)x[i], b = (double)t->data[i];
        num += (a - b) * (a - b);
        den += b * b;
    }
    if (!(sqrt(num) <= bound * sqrt(den)))
        fail_msg("%s: %s is off by %g", at_st_path(st), name, sqrt(num / den));
}

enum { PARTS = 5 };
typedef struct {
    const char *name[PARTS];
    at_tensor *w[PARTS];
} parts;

static at_tensor *part(at_run *r, const at_st *st, parts *p, int i, const char *name) {
    char path[96];
    (void)snprintf(path, sizeof path, "w.%s", name);
    p->name[i] = name;
    return p->w[i] = golden_tensor(r, st, path, true);
}

static void same_gradients(at_run *r, const at_st *st, const parts *p, double bound) {
    for (int i = 0; i < PARTS && p->name[i]; i++) {
        char path[96];
        (void)snprintf(path, sizeof path, "d.%s", p->name[i]);
        same(r, st, path, p->w[i]->grad, bound);
    }
}

/* Logits of a gate of the authors' three kinds. */
static at_tensor *gate_logits(at_run *r, const at_st *st, parts *p, const char *kind,
                              at_tensor *x) {
    if (!strcmp(kind, "linear")) return at_linear(r, x, part(r, st, p, 0, "w_gate.0.weight"), NULL);
    if (!strcmp(kind, "mlp")) {
        at_tensor *w = part(r, st, p, 0, "w_gate.0.weight");
        at_tensor *h = at_linear(r, x, w, part(r, st, p, 1, "w_gate.0.bias"));
        h = at_gelu(r, h, AT_GELU_ERF);
        return at_linear(r, h, part(r, st, p, 2, "w_gate.3.weight"), NULL);
    }
    at_tensor *z = at_linear(r, x, part(r, st, p, 0, "w_gate.weight"), NULL);
    z = at_l2norm(r, z, 1e-12);
    at_tensor *c = at_l2norm(r, part(r, st, p, 1, "expert_centroids"), 1e-12);
    z = at_linear(r, z, c, NULL);
    return at_exp_scale(r, z, part(r, st, p, 2, "temperature"));
}

static void one_gate(const char *kind, const char *loss) {
    char path[128];
    (void)snprintf(path, sizeof path, "tests/golden/moduleformer/kernels/gate_%s_%s.safetensors",
                   kind, loss);
    at_st *st = NULL;
    OK(at_st_open(&ctx, path, &st));
    at_run r;
    at_routing ro;
    parts p = {0};
    at_run_init(&r, &cp, &arena, true, 0);
    at_tensor *x = golden_tensor(&r, st, "x", true), *dg = golden_tensor(&r, st, "dg", false);
    at_tensor *l = gate_logits(&r, st, &p, kind, x);
    at_tensor *g = at_route(&r, l, at_cols(dg), false, &ro), *aux;
    if (!strcmp(loss, "mi")) {
        aux = at_mutual_info(&r, l, &ro, NULL);
    } else {
        at_tensor *s = at_switch_balance(&r, l, &ro, NULL), *z = at_zloss(&r, l, &ro);
        aux = at_weighted_sum(&r, (at_tensor *[]){s, z}, (double[]){1, 0.1}, 2);
    }
    OK(at_run_status(&r));
    /* The authors count frequencies in float even in a double model. */
    const double value = !in_double ? 1e-5 : !strcmp(loss, "mi") ? 1e-12 : 1e-7;
    const double slope = !in_double ? 1e-4 : !strcmp(loss, "mi") ? 1e-11 : 1e-7;
    same(&r, st, "probs", ro.p, value);
    same(&r, st, "g", g->data, value);
    same(&r, st, "aux", aux->data, value);
    int64_t idx[64];
    OK(at_st_to_i64(&ctx, at_st_find(st, "idx"), idx));
    for (int64_t s = 0; s < ro.n * ro.k; s++) assert_int_equal(ro.pick[s], idx[s]);
    g->grad = dg->data;
    aux->grad = at_run_alloc(&r, 8);
    aux->grad[0] = (at_real)atof(at_st_meta(st, "w_aux"));
    OK(at_backward_from(&r, aux));
    same(&r, st, "dx", x->grad, slope);
    same_gradients(&r, st, &p, slope);
    at_st_close(st);
    done();
}

static void golden_gates(void **state) {
    (void)state;
    one_gate("mlp", "mi");
    one_gate("linear", "mi");
    one_gate("linear", "switch");
    one_gate("gmm", "mi");
    one_gate("gmm", "switch");
}

/* What the authors' test has between "map" and "reduce", in place of attention. */
static void tanh_fwd(at_node *n) {
    for (int64_t i = 0; i < at_numel(n->out); i++)
        n->out->data[i] = (at_real)tanh((double)n->in[0]->data[i]);
}
static void tanh_bwd(at_node *n) {
    at_real *d = at_grad(n, 0);
    for (int64_t i = 0; i < at_numel(n->out); i++)
        d[i] += n->out->grad[i] * (1 - n->out->data[i] * n->out->data[i]);
}
static const at_op test_tanh = {"tanh", tanh_fwd, tanh_bwd, NULL};

static void one_layer(const char *name, bool feed_forward) {
    char path[128];
    (void)snprintf(path, sizeof path, "tests/golden/moduleformer/kernels/%s.safetensors", name);
    at_st *st = NULL;
    OK(at_st_open(&ctx, path, &st));
    at_run r;
    at_routing ro;
    parts p = {0};
    at_run_init(&r, &cp, &arena, true, 0);
    at_tensor *x = golden_tensor(&r, st, "x", true), *dy = golden_tensor(&r, st, "dy", false);
    at_tensor *w = part(&r, st, &p, 0, "gate.w_gate.0.weight");
    at_tensor *flat = at_view(&r, x, 2, (int64_t[]){at_rows(x), at_cols(x)});
    at_tensor *l = at_linear(&r, flat, w, part(&r, st, &p, 1, "gate.w_gate.0.bias"));
    l = at_gelu(&r, l, AT_GELU_ERF);
    l = at_linear(&r, l, part(&r, st, &p, 2, "gate.w_gate.3.weight"), NULL);
    at_tensor *g = at_route(&r, l, 2, false, &ro);
    at_tensor *h =
        at_expert_linear(&r, flat, slices(&r, part(&r, st, &p, 3, "experts.weight")), &ro);
    h = feed_forward ? at_gelu(&r, h, AT_GELU_TANH)
                     : at_apply(&r, &test_tanh, &h, 1, at_new(&r, h->rank, h->dim), NULL);
    w = part(&r, st, &p, 4, "output_experts.weight");
    h = at_expert_linear(&r, h, slices(&r, w), &ro);
    at_tensor *y = at_expert_sum(&r, h, g);
    at_tensor *aux = at_mutual_info(&r, l, &ro, NULL);
    OK(at_run_status(&r));
    same(&r, st, "y", y->data, in_double ? 1e-12 : 1e-5);
    same(&r, st, "aux", aux->data, in_double ? 1e-12 : 1e-5);
    y->grad = dy->data;
    aux->grad = at_run_alloc(&r, 8);
    aux->grad[0] = (at_real)atof(at_st_meta(st, "w_aux"));
    OK(at_backward_from(&r, aux));
    same(&r, st, "dx", x->grad, in_double ? 1e-11 : 1e-4);
    same_gradients(&r, st, &p, in_double ? 1e-11 : 1e-4);
    at_st_close(st);
    done();
}

static void golden_layers(void **state) {
    (void)state;
    one_layer("moe_mlp", true);
    one_layer("moe_mapreduce", false);
}

int main(void) {
    at_ctx_init(&ctx, 3);
    at_arena_init(&arena, &ctx);
    if (at_compute_open(&cp, &ctx) != AT_OK) return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ties_and_lists),
        cmocka_unit_test(not_a_number),
        cmocka_unit_test(masked),
        cmocka_unit_test(nothing_left),
        cmocka_unit_test(masked_away),
        cmocka_unit_test(drawn_as_probable),
        cmocka_unit_test(drawn_by_number),
        cmocka_unit_test(pools),
        cmocka_unit_test(drawn_of_nothing),
        cmocka_unit_test(others),
        cmocka_unit_test(errors),
        cmocka_unit_test(idle_expert_is_left_alone),
        cmocka_unit_test(threads_change_no_bit),
        cmocka_unit_test(golden_gates),
        cmocka_unit_test(golden_layers),
    };
    const int bad = cmocka_run_group_tests(tests, NULL, NULL);
    at_compute_close(&cp);
    at_arena_close(&arena);
    return bad;
}
