/*
 * test_op_bits.c - one arithmetic: every instruction set and every number of threads gives the same
 * bits, forward and backward.
 *
 * The rows of op_rows.h in float, and more of them in sizes at which products are cut into blocks,
 * panels and tasks.
 */
#include "op_rows.h"
#include "sets.h"

static at_tensor *b_long_attention(at_run *r, at_tensor **t) {
    return at_attention(r, t[0], 2, 71, 3);
}
static at_tensor *b_wide_attention(at_run *r, at_tensor **t) {
    return at_attention(r, t[0], 1, 70, 1);
}
static at_tensor *b_long_stick(at_run *r, at_tensor **t) {
    return at_stickbreak(r, t[0], t[1], t[2], 2, 75, 2, 2);
}
static at_tensor *b_longer_stick(at_run *r, at_tensor **t) { /* several rounds, sticks that end */
    return at_stickbreak(r, t[0], t[1], t[1], 1, 700, 1, 1);
}

static at_tensor *large_head(at_run *r, at_tensor **t, at_kd_kind kind) {
    int32_t label[90];
    for (int i = 0; i < 90; i++) label[i] = i * 37 % 900;
    const at_head_spec s = {.label = label,
                            .teacher_x = at_detach(r, t[2]),
                            .teacher_w = at_detach(r, t[3]),
                            .kd = {kind, 2, 0.1, AT_TOKENS_ALIKE},
                            .alpha = 0.3};
    return at_head_loss(r, t[0], t[1], &s, NULL);
}
static at_tensor *b_large_head(at_run *r, at_tensor **t) { return large_head(r, t, AT_KD_FORWARD); }
static at_tensor *b_large_js(at_run *r, at_tensor **t) { return large_head(r, t, AT_KD_JS); }

/* clang-format off */
static const row large[] = {
    {"linear/blocks of k",  b_linear,         3, {{37, 700}, {61, 700}, {61}}},
    {"linear/thin",         b_linear,         3, {{70, 300}, {530, 300}, {530}}},
    {"linear/fat",          b_linear_io,      3, {{501, 150}, {150, 70}, {70}}},
    {"linear/few",          b_linear,         3, {{3, 600}, {130, 600}, {130}}},
    {"linear/few rows",     b_linear_io,      3, {{3, 600}, {600, 2500}, {2500}}},
    {"linear/sixteen",      b_linear,         3, {{16, 333}, {90, 333}, {90}}},
    {"layernorm/wide",      b_norm,           3, {{40, 203}, {203}, {203}}},
    {"attention/several",   b_long_attention, 1, {{142, 3 * 3 * 40}}},
    {"attention/deep",      b_wide_attention, 1, {{70, 3 * 100}}},
    {"stickbreak/several",  b_long_stick,     3, {{150, 2, 38}, {150, 38}, {150, 38}}},
    {"stickbreak/rounds",   b_longer_stick,   2, {{700, 1, 24}, {700, 24}}},
    {"head_loss/blocks",    b_large_head,     4, {{90, 120}, {900, 120}, {90, 70}, {900, 70}}},
    {"head_loss/js",        b_large_js,       4, {{90, 120}, {900, 120}, {90, 70}, {900, 70}}},
    {"expert_linear/many",  b_expert,         2, {{400, 40}, {5, 40, 70}}},
    {"expert_linear/deep",  b_expert,         2, {{90, 520}, {3, 520, 33}}},
    {"expert_linear/few",   b_expert,         2, {{30, 200}, {8, 200, 150}}},
};
/* clang-format on */

/* The output, then the gradients, of one row under one set, behind each other. */
static at_real *results(const row *w, unsigned features, int threads, int64_t *n) {
    ctx.cpu = features;
    ctx.threads = threads;
    assert_int_equal(at_compute_open(&cp, &ctx), AT_OK);
    at_tensor t[6], *in[6];
    *n = 0;
    for (int i = 0; i < w->n_in; i++) {
        fill(&t[i], w->dim[i], (uint64_t)i);
        in[i] = &t[i];
        *n += at_numel(&t[i]);
    }
    at_run r;
    at_run_init(&r, &cp, &arena, true, 5);
    at_tensor *y = w->build(&r, in);
    if (!y) fail_msg("%s: %s", w->name, r.message);
    const int64_t m = at_numel(y);
    at_real *all = malloc((size_t)(*n + m) * sizeof *all), *to = all + m;
    assert_non_null(all);
    y->grad = at_run_alloc(&r, (size_t)m * sizeof *all);
    for (int64_t i = 0; i < m; i++) {
        all[i] = y->data[i];
        y->grad[i] = (at_real)at_normal(9, AT_STREAM_TEST, (uint64_t)i);
    }
    assert_int_equal(at_backward_from(&r, y), AT_OK);
    for (int i = 0; i < w->n_in; i++) {
        memcpy(to, t[i].grad, (size_t)at_numel(&t[i]) * sizeof *to);
        to += at_numel(&t[i]);
        at_free(t[i].data);
        at_free(t[i].grad);
    }
    *n += m;
    at_arena_rewind(&arena, (at_mark){0});
    at_compute_close(&cp);
    return all;
}

static int differs(const row *w) {
    int64_t n = 0;
    int bad = 0;
    at_real *want = NULL;
    for (int s = 0; s < N_SETS; s++)
        for (int threads = 1; threads <= 3; threads += 2) {
            unsigned features;
            int64_t m;
            if (!set_is_here(s, &features)) continue;
            at_real *got = results(w, features, threads, &m);
            if (!want) {
                want = got;
                n = m;
                continue;
            }
            assert_int_equal(n, m);
            int64_t i = 0;
            while (i < n && !memcmp(&got[i], &want[i], sizeof *got)) i++;
            if (i < n) {
                print_message("%s: value %lld of %lld is %a with %s on %d threads, not %a\n",
                              w->name, (long long)i, (long long)n, (double)got[i], SETS[s].name,
                              threads, (double)want[i]);
                bad++;
            }
            free(got);
        }
    free(want);
    return bad;
}

static void every_row(void **state) {
    (void)state;
    int bad = 0;
    for (size_t k = 0; k < sizeof rows / sizeof *rows; k++) bad += differs(&rows[k]);
    assert_int_equal(bad, 0);
}

static void every_large_row(void **state) {
    (void)state;
    int bad = 0;
    for (size_t k = 0; k < sizeof large / sizeof *large; k++) bad += differs(&large[k]);
    assert_int_equal(bad, 0);
}

int main(void) {
    at_ctx_init(&ctx, 1);
    at_arena_init(&arena, &ctx);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row),
        cmocka_unit_test(every_large_row),
    };
    const int bad = cmocka_run_group_tests(tests, NULL, NULL);
    at_arena_close(&arena);
    return bad;
}
