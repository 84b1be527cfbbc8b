/*
 * test_taught.c - what teachers say of a student's rows: of the most probable tokens alone, of several
 * at once, over vocabularies of other lengths, of some rows only; against loops written anew.
 */
#include "base/rng.h"
#include "check.h"
#include "op/op.h"
#include <math.h>
#include <string.h>

enum { N = 21, C = 3, V = 11, MORE = 13 };

static at_ctx ctx;
static at_compute cp;
static at_arena arena;
static at_run run;

static at_tensor *random_tensor(int64_t rows, int64_t cols, uint64_t seed) {
    at_tensor *t = at_new2(&run, rows, cols);
    for (int64_t i = 0; i < rows * cols; i++)
        t->data[i] = (at_real)at_normal(seed, AT_STREAM_TEST, (uint64_t)i);
    return t;
}

/* softmax of the first v logits of a row, divided by tau */
static void softmax(const at_tensor *x, const at_tensor *w, int64_t row, int64_t v, double tau,
                    double *p) {
    double sum = 0;
    for (int64_t j = 0; j < v; j++) {
        double z = 0;
        for (int64_t k = 0; k < C; k++)
            z += (double)x->data[row * C + k] * (double)w->data[j * C + k];
        sum += p[j] = exp(z / tau);
    }
    for (int64_t j = 0; j < v; j++) p[j] /= sum;
}

static double forward_kl(int64_t v, const double *q, const double *p) {
    double kl = 0;
    for (int64_t j = 0; j < v; j++) kl += q[j] * log(q[j] / p[j]);
    return kl;
}

/* The n largest of q, and what is left. */
typedef struct {
    int32_t id[N * V];
    at_real logq[N * V], left[N];
    at_top top;
} tops;

static void take_top(const at_tensor *x, const at_tensor *w, int64_t n, double tau, tops *t) {
    for (int64_t i = 0; i < N; i++) {
        double q[V], left = 0;
        softmax(x, w, i, V, tau, q);
        for (int64_t j = 0; j < n; j++) {
            int64_t best = 0;
            for (int64_t k = 1; k < V; k++)
                if (q[k] > q[best]) best = k;
            t->id[i * n + j] = (int32_t)best;
            t->logq[i * n + j] = (at_real)log(q[best]);
            q[best] = -1;
        }
        for (int64_t k = 0; k < V; k++) left += q[k] > 0 ? q[k] : 0;
        t->left[i] = (at_real)log(left);
    }
    t->top = (at_top){n, V, t->id, t->logq, t->left};
}

static const at_real *gradient(at_tensor *x, at_tensor *w, const at_head_spec *s, double *kd) {
    at_head_report rep = {0};
    x->need_grad = true;
    x->grad = NULL;
    at_tensor *y = at_head_loss(&run, x, w, s, &rep);
    OK(at_run_status(&run));
    OK(at_backward(&run, y, 1));
    *kd = rep.kd;
    return x->grad;
}

static void begin(void) {
    at_arena_init(&arena, &ctx);
    at_run_init(&run, &cp, &arena, true, 0);
}
static void end(void) { at_arena_close(&arena); }

/* With all tokens in the top it is the teacher himself, of any loss; with fewer, forward and soft are
   below by what lumping loses, and their gradients off by at most twice what is left. */
static void top_of_one(void **state) {
    (void)state;
    static const int32_t label[N];
    for (int kind = 0; kind < AT_KD_KINDS; kind++)
        for (int64_t n = V; n >= 2; n -= 3) {
            static tops t;
            double kd, whole;
            begin();
            at_tensor *x = random_tensor(N, C, 1), *w = random_tensor(V, C, 2);
            at_tensor *tx = random_tensor(N, C, 3), *tw = random_tensor(V, C, 4);
            take_top(tx, tw, n, 1.7, &t);
            const at_head_teacher top = {.top = &t.top, .weight = 1};
            at_head_spec s = {.label = label, .alpha = 0, .kd = {(at_kd_kind)kind, 1.7, 0.2}};
            s.teacher_x = tx;
            s.teacher_w = tw;
            const at_real *full = gradient(x, w, &s, &whole);
            s.teacher_x = s.teacher_w = NULL;
            s.teacher = &top;
            s.n_teachers = 1;
            const at_real *few = gradient(x, w, &s, &kd);
            double off = 0, left = 0, reach = 0;
            for (int64_t i = 0; i < N; i++) left += n < V ? exp((double)t.left[i]) : 0;
            for (int64_t i = 0; i < N * C; i++) off += fabs((double)(full[i] - few[i]));
            for (int64_t i = 0; i < V * C; i++) reach = fmax(reach, fabs((double)w->data[i]));
            if (n == V) {
                assert_true(fabs(kd - whole) < 1e-12);
                assert_true(off < 1e-12);
            } else if (kind == AT_KD_FORWARD) {
                assert_true(kd < whole - 1e-9 && kd > 0);
            }
            if (n < V && (kind == AT_KD_FORWARD || kind == AT_KD_SOFT)) {
                assert_true(off > 1e-9);
                assert_true(off <= C * reach * 1.7 * 2 * left / N);
            }
            end();
        }
}

/* Two who read, the second with tokens more: the mean of their probabilities, by weight, where both
   speak; a row of which nobody speaks does not count. */
static void several(void **state) {
    (void)state;
    static const int32_t label[N];
    int64_t row[2][N], n[2] = {0};
    double kd, want = 0, weight[2] = {3, 1};
    const double tau = 1.4;
    int spoken = 0;
    begin();
    at_tensor *x = random_tensor(N, C, 1), *w = random_tensor(V, C, 2);
    at_tensor *tx[2] = {random_tensor(N, C, 3), random_tensor(N, C, 5)};
    at_tensor *tw[2] = {random_tensor(V, C, 4), random_tensor(MORE, C, 6)};
    for (int i = 0; i < N; i++) {
        row[0][i] = i % 5 < 2 ? -1 : n[0]++;
        row[1][i] = i % 5 == 0 || i % 5 == 3 ? -1 : n[1]++;
    }
    for (int i = 0; i < N; i++) {
        double p[V], q[V] = {0}, all = 0;
        for (int m = 0; m < 2; m++) {
            double one[V];
            if (row[m][i] < 0) continue;
            softmax(tx[m], tw[m], row[m][i], V, tau, one);
            for (int j = 0; j < V; j++) q[j] += weight[m] * one[j];
            all += weight[m];
        }
        if (all == 0) continue;
        for (int j = 0; j < V; j++) q[j] /= all;
        softmax(x, w, i, V, tau, p);
        want += tau * tau * forward_kl(V, q, p);
        spoken++;
    }
    const at_head_teacher t[2] = {{.x = tx[0], .w = tw[0], .row = row[0], .weight = weight[0]},
                                  {.x = tx[1], .w = tw[1], .row = row[1], .weight = weight[1]}};
    const at_head_spec s = {
        .label = label, .alpha = 0.5, .kd = {AT_KD_FORWARD, tau, 0}, .teacher = t, .n_teachers = 2};
    (void)gradient(x, w, &s, &kd);
    assert_true(spoken > 10 && spoken < N);
    assert_true(fabs(kd - want / spoken) < 1e-12);
    end();
}

/* Student and teacher, either may have more tokens: the KD compares those that both have. */
static void padded(void **state) {
    (void)state;
    static const int32_t label[N];
    for (int k = 0; k < 2; k++) {
        double kd, want = 0;
        begin();
        at_tensor *x = random_tensor(N, C, 1), *w = random_tensor(k ? MORE : V, C, 2);
        at_tensor *tx = random_tensor(N, C, 3), *tw = random_tensor(k ? V : MORE, C, 4);
        for (int i = 0; i < N; i++) {
            double p[V], q[V];
            softmax(x, w, i, V, 2, p);
            softmax(tx, tw, i, V, 2, q);
            want += 4 * forward_kl(V, q, p) / N;
        }
        const at_head_spec s = {.label = label,
                                .alpha = 0,
                                .kd = {AT_KD_FORWARD, 2, 0},
                                .teacher_x = tx,
                                .teacher_w = tw};
        (void)gradient(x, w, &s, &kd);
        assert_true(fabs(kd - want) < 1e-12);
        end();
    }
}

static void refuses(void **state) {
    (void)state;
    static const int32_t label[N];
    static tops t;
    int64_t far[N], twice[N], none[N];
    for (int i = 0; i < N; i++) {
        far[i] = 2 * i < N ? 2 * i : -1;
        twice[i] = i / 2;
        none[i] = -1;
    }
    const int64_t *const bad[] = {far, twice, none};
    for (int k = 0; k < 5; k++) {
        begin();
        at_tensor *x = random_tensor(N, C, 1), *w = random_tensor(k == 3 ? V - 1 : V, C, 2);
        at_tensor *tx = random_tensor(N, C, 3), *tw = random_tensor(V, k == 4 ? C + 1 : C, 4);
        if (k < 4) take_top(tx, tw, 2, 1, &t);
        const at_head_teacher one = {.x = tx,
                                     .w = tw,
                                     .row = k < 3 ? bad[k] : NULL,
                                     .top = k == 3 ? &t.top : NULL,
                                     .weight = 1};
        const at_head_spec s = {.label = label,
                                .alpha = 0,
                                .kd = {AT_KD_FORWARD, 1, 0},
                                .teacher = &one,
                                .n_teachers = 1};
        assert_null(at_head_loss(&run, x, w, &s, NULL));
        assert_int_equal(run.status, k == 2 ? AT_ARG : AT_SHAPE);
        end();
    }
}

int main(void) {
    at_ctx_init(&ctx, 2);
    OK(at_compute_open(&cp, &ctx));
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(top_of_one),
        cmocka_unit_test(several),
        cmocka_unit_test(padded),
        cmocka_unit_test(refuses),
    };
    const int rc = cmocka_run_group_tests(tests, NULL, NULL);
    at_compute_close(&cp);
    return rc;
}
