/* test_route_segment.c - the parts of a mixed text are the best there are: against all paths there can be, with
   the evidence of each token worked out here in another way. */
#include "base/rng.h"
#include "check.h"
#include "route/segment.h"
#include <math.h>

enum { N = 10, CLASSES = 3, VOCAB = 7, PATHS = 59049 }; /* 3^10 */

static at_ctx ctx;
static at_router *router;
static const char *const names[] = {"en", "fr", "py"};
static const int32_t drop = 6;

static double u(uint64_t i) { return at_uniform(4, AT_STREAM_TEST, i); }

static void make_router(void) {
    OK(at_router_new(&ctx, CLASSES, names, VOCAB, &router));
    router->n_drop = 1;
    router->drop[0] = drop;
    router->temperature = 1.5;
    for (int t = 0; t < VOCAB; t++) {
        router->idf[t] = (float)(1 + u((uint64_t)t));
        for (int k = 0; k < CLASSES; k++)
            router->weight[k * VOCAB + t] =
                (float)(8 * u((uint64_t)(100 + k * VOCAB + t)) - 4) + (t % CLASSES == k ? 6 : 0);
    }
    for (int k = 0; k < CLASSES; k++) router->bias[k] = (float)(0.3 * k);
}

static void evidence(const int32_t *id, const at_segment_options *o, double e[N][CLASSES]) {
    for (int64_t i = 0; i < N; i++) {
        double square = 0;
        const int64_t begin = i - o->window / 2, end = begin + o->window;
        int64_t inside = 0, count[VOCAB] = {0};
        for (int64_t j = begin; j < end; j++) {
            if (j < 0 || j >= N) continue;
            inside++;
            if (id[j] != drop) count[id[j]]++;
        }
        for (int t = 0; t < VOCAB; t++) square += pow((double)count[t] * (double)router->idf[t], 2);
        double most = -1e300;
        for (int k = 0; k < CLASSES; k++) {
            e[i][k] = (double)router->bias[k] / (double)inside;
            if (id[i] != drop)
                e[i][k] += (double)router->idf[id[i]] * (double)router->weight[k * VOCAB + id[i]] /
                           sqrt(square);
            e[i][k] /= router->temperature;
            most = fmax(most, e[i][k]);
        }
        for (int k = 0; k < CLASSES; k++) e[i][k] = fmax(e[i][k], most - o->penalty / 2);
    }
}

static double worth(double e[N][CLASSES], const int32_t *path, double penalty) {
    double sum = 0;
    for (int i = 0; i < N; i++) sum += e[i][path[i]] - (i && path[i] != path[i - 1] ? penalty : 0);
    return sum;
}

static void the_parts_are_the_best_there_are(void **state) {
    (void)state;
    static const at_segment_options options[] = {{16, 0.5}, {4, 0.5}, {3, 0.2}, {16, 4}, {1, 0.1}};
    int changes = 0;
    for (uint64_t round = 0; round < 100; round++) {
        const at_segment_options *o = &options[round % 5];
        int32_t id[N], found[N], path[N];
        double e[N][CLASSES], best = -1e300;
        for (uint64_t i = 0, k = round; i < N;
             i++) { /* some tokens that favour one class, then another */
            const uint64_t at = 1000 + 2 * (round * N + i);
            k += u(at) < 0.2;
            id[i] =
                u(at + 1) < 0.1 ? drop : (int32_t)(k % CLASSES + (u(at + 1) < 0.5 ? CLASSES : 0));
        }
        evidence(id, o, e);
        for (int p = 0; p < PATHS; p++) {
            for (int i = 0, rest = p; i < N; i++, rest /= CLASSES) path[i] = rest % CLASSES;
            best = fmax(best, worth(e, path, o->penalty));
        }
        OK(at_router_segment(&ctx, router, id, N, o, found));
        if (!(fabs(worth(e, found, o->penalty) - best) < 1e-9))
            fail_msg("round %d: %.9f, the best is %.9f", (int)round, worth(e, found, o->penalty),
                     best);
        for (int i = 1; i < N; i++) changes += found[i] != found[i - 1];
    }
    print_message("%d changes of class\n", changes);
    assert_true(changes > 20);
}

static void a_whole_text_is_what_the_router_says(void **state) {
    (void)state;
    const at_segment_options o = {.window = 64, .penalty = 1e6};
    for (uint64_t round = 0; round < 50; round++) {
        int32_t id[N], found[N];
        int best;
        for (uint64_t i = 0; i < N; i++) id[i] = (int32_t)(u(5000 + round * N + i) * VOCAB);
        OK(at_router_predict(&ctx, router, id, N, NULL, &best, NULL));
        OK(at_router_segment(&ctx, router, id, N, &o, found));
        for (int i = 0; i < N; i++) assert_int_equal(found[i], best);
    }
}

static void bad_input_is_named(void **state) {
    (void)state;
    int32_t id[] = {1, 2, 7}, found[3];
    at_segment_options o = at_segment_defaults();
    assert_int_equal(at_router_segment(&ctx, router, id, 3, &o, found), AT_ARG);
    assert_non_null(strstr(ctx.message, "token 2 is 7"));
    OK(at_router_segment(&ctx, router, id, 0, &o, found));
    o.penalty = -1;
    assert_int_equal(at_router_segment(&ctx, router, id, 2, &o, found), AT_ARG);
    o.penalty = (double)NAN;
    assert_int_equal(at_router_segment(&ctx, router, id, 2, &o, found), AT_ARG);
    o = at_segment_defaults();
    o.window = 0;
    assert_int_equal(at_router_segment(&ctx, router, id, 2, &o, found), AT_ARG);
    assert_non_null(strstr(ctx.message, "a window of 0 tokens"));
}

int main(void) {
    at_ctx_init(&ctx, 1);
    make_router();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_parts_are_the_best_there_are),
        cmocka_unit_test(a_whole_text_is_what_the_router_says),
        cmocka_unit_test(bad_input_is_named),
    };
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    at_router_close(router);
    return failed;
}
