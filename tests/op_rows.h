/*
 * op_rows.h - one row for each variant of an operation: how to build it, and the shapes of its inputs.
 *
 * tests/double/test_gradcheck.c checks each row's gradient in double; tests/unit/test_op_bits.c that
 * all instruction sets give the same bits in float.  Rows cover every optional input, rank above 2
 * and repeated inputs.
 */
#ifndef OP_ROWS_H
#define OP_ROWS_H
#include "base/rng.h"
#include "check.h"
#include "op/op.h"
#include "slices.h"
#include <math.h>
#include <string.h>

typedef at_tensor *(*build_fn)(at_run *r, at_tensor **in);
typedef struct {
    const char *name;
    build_fn build;
    int n_in;
    int64_t dim[6][AT_RANK_MAX];
} row;

static at_tensor *b_linear(at_run *r, at_tensor **t) { return at_linear(r, t[0], t[1], t[2]); }
static at_tensor *b_linear0(at_run *r, at_tensor **t) { return at_linear(r, t[0], t[1], NULL); }
static at_tensor *b_linear_io(at_run *r, at_tensor **t) {
    return at_linear_io(r, t[0], t[1], t[2]);
}
static at_tensor *b_linear_twice(at_run *r, at_tensor **t) { /* both gradients are added to */
    at_tensor *y = at_linear(r, t[0], t[1], t[2]);
    at_tensor *z = at_linear(r, t[0], t[1], NULL);
    return at_add(r, y, z);
}
static at_tensor *b_norm(at_run *r, at_tensor **t) {
    return at_layernorm(r, t[0], t[1], t[2], 1e-5);
}
static at_tensor *b_norm0(at_run *r, at_tensor **t) {
    return at_layernorm(r, t[0], t[1], NULL, 1e-5);
}
static at_tensor *b_gelu(at_run *r, at_tensor **t) { return at_gelu(r, t[0], AT_GELU_TANH); }
static at_tensor *b_gelu_erf(at_run *r, at_tensor **t) { return at_gelu(r, t[0], AT_GELU_ERF); }
static at_tensor *b_add(at_run *r, at_tensor **t) { return at_add(r, t[0], t[1]); }
static at_tensor *b_add_self(at_run *r, at_tensor **t) { return at_add(r, t[0], t[0]); }
static at_tensor *b_prepend(at_run *r, at_tensor **t) { return at_prepend(r, t[0], t[1], 2); }
static at_tensor *b_prepend_twice(at_run *r, at_tensor **t) {
    at_tensor *y = at_prepend(r, t[0], t[1], 1);
    at_tensor *z = at_prepend(r, t[1], t[0], 1);
    return at_add(r, y, z);
}
static at_tensor *b_view(at_run *r, at_tensor **t) {
    at_tensor *y = at_gelu(r, t[0], AT_GELU_TANH);
    at_tensor *v = at_view(r, y, 2, (int64_t[]){6, 4});
    at_tensor *z = at_gelu(r, v, AT_GELU_TANH);
    at_tensor *w = at_view(r, z, 3, (int64_t[]){2, 3, 4});
    return at_add(r, w, y);
}
static at_tensor *b_embed(at_run *r, at_tensor **t) {
    return at_embed(r, t[0], (int32_t[]){2, 0, 2, 4}, 4);
}
static at_tensor *b_dropout(at_run *r, at_tensor **t) {
    const bool train = r->train; /* the mask belongs to the draw, not to the recording */
    r->train = true;
    at_tensor *y = at_dropout(r, t[0], 0.4);
    r->train = train;
    return y;
}
static at_tensor *b_attention(at_run *r, at_tensor **t) { return at_attention(r, t[0], 2, 5, 2); }
static at_tensor *b_attention_one(at_run *r, at_tensor **t) {
    return at_attention(r, t[0], 3, 1, 1);
}
static at_tensor *b_attention_long(at_run *r, at_tensor **t) {
    return at_attention(r, t[0], 1, 37, 1);
}
static at_tensor *b_attention_twice(at_run *r, at_tensor **t) { /* added to, both times */
    at_tensor *y = at_attention(r, t[0], 2, 9, 3);
    at_tensor *z = at_attention(r, t[0], 1, 18, 1);
    return at_add(r, y, z);
}
static at_tensor *b_slots(at_run *r, at_tensor **t) {
    return at_attention_slots(r, t[0], t[1], t[2], 2, 5, 2, 2);
}
static at_tensor *b_slots_past(at_run *r, at_tensor **t) {
    return at_attention_slots(r, t[0], t[1], t[2], 2, 4, 1, 1);
}
static at_tensor *b_slots_three(at_run *r, at_tensor **t) { /* a panel ends inside a token */
    return at_attention_slots(r, t[0], t[1], t[2], 1, 13, 3, 1);
}
static at_tensor *b_slots_same(at_run *r, at_tensor **t) {
    return at_attention_slots(r, t[0], t[1], t[1], 1, 13, 2, 1);
}
static at_tensor *b_slots_inner(at_run *r, at_tensor **t) { /* one buffer for all gradients */
    at_tensor *x = at_gelu(r, t[0], AT_GELU_TANH);
    return at_attention_slots(r, x, x, x, 1, 37, 1, 1);
}
static at_tensor *b_slots_twice(at_run *r, at_tensor **t) { /* gradients are added to */
    at_tensor *y = at_attention_slots(r, t[0], t[1], t[1], 1, 4, 1, 1);
    at_tensor *z = at_attention_slots(r, t[0], t[1], t[0], 1, 4, 1, 1);
    return at_add(r, y, z);
}
static at_tensor *b_rope(at_run *r, at_tensor **t) {
    return at_rope(r, t[0], 2, at_rope_angles(r, (int32_t[]){5, 6, 7}, 3, 4, 100));
}
static at_tensor *b_rope_twice(at_run *r, at_tensor **t) { /* gradients are added to */
    const int32_t at[] = {3, 4, 5, 6, 0, 1};
    at_tensor *y = at_rope(r, t[0], 1, at_rope_angles(r, at, 4, 6, 10));
    at_tensor *z = at_rope(r, t[0], 2, at_rope_angles(r, at + 4, 2, 6, 10));
    return at_add(r, y, z);
}
static at_tensor *b_stick(at_run *r, at_tensor **t) {
    return at_stickbreak(r, t[0], t[1], t[2], 2, 5, 2, 2);
}
static at_tensor *b_stick_one(at_run *r, at_tensor **t) {
    return at_stickbreak(r, t[0], t[1], t[2], 3, 1, 1, 1);
}
static at_tensor *b_stick_slots(at_run *r, at_tensor **t) { /* a block ends inside a token */
    return at_stickbreak(r, t[0], t[1], t[2], 1, 9, 3, 1);
}
static at_tensor *b_stick_past(at_run *r, at_tensor **t) {
    return at_stickbreak(r, t[0], t[1], t[2], 2, 4, 1, 1);
}
static at_tensor *b_stick_from(at_run *r,
                               at_tensor **t) { /* padding ends inside a block, and after it */
    static const int32_t from[3] = {3, 0, 9};
    return at_stickbreak_from(r, t[0], t[1], t[2], 3, 11, 2, 1, from);
}
static at_tensor *b_stick_from_past(at_run *r, at_tensor **t) {
    static const int32_t from[2] = {50, 7};
    return at_stickbreak_from(r, t[0], t[1], t[2], 2, 5, 1, 2, from);
}
static at_tensor *b_stick_tile(at_run *r, at_tensor **t) {
    return at_stickbreak(r, t[0], t[1], t[2], 1, 8, 1, 2);
}
static at_tensor *b_stick_long(at_run *r, at_tensor **t) { /* more than a chunk of keys */
    return at_stickbreak(r, t[0], t[1], t[2], 1, 61, 1, 1);
}
static at_tensor *b_stick_same(at_run *r, at_tensor **t) {
    return at_stickbreak(r, t[0], t[1], t[1], 1, 13, 2, 1);
}
static at_tensor *b_stick_twice(at_run *r, at_tensor **t) { /* gradients are added to */
    at_tensor *y = at_stickbreak(r, t[0], t[1], t[1], 1, 4, 1, 1);
    at_tensor *z = at_stickbreak(r, t[0], t[1], t[0], 1, 4, 1, 1);
    return at_add(r, y, z);
}
static at_tensor *b_xent(at_run *r, at_tensor **t) {
    return at_xent(r, t[0], (int32_t[]){1, -1, 3});
}
static at_tensor *fixed(at_run *r, int64_t rows, int64_t cols) {
    at_tensor *t = at_new2(r, rows, cols);
    for (int64_t i = 0; t && i < rows * cols; i++) t->data[i] = (at_real)(i * 7 % 11) / 3;
    return t;
}
static at_tensor *b_distill(at_run *r, at_tensor **t) {
    return at_distill(r, t[0], fixed(r, 3, 5), &(at_kd){AT_KD_FORWARD, 2, 0, AT_TOKENS_ALIKE});
}
static at_tensor *b_distill_reverse(at_run *r, at_tensor **t) {
    return at_distill(r, t[0], fixed(r, 3, 5), &(at_kd){AT_KD_REVERSE, 1.5, 0, AT_TOKENS_ALIKE});
}
static at_tensor *b_distill_soft(at_run *r, at_tensor **t) {
    return at_distill(r, t[0], fixed(r, 3, 5), &(at_kd){AT_KD_SOFT, 1.5, 0, AT_TOKENS_ALIKE});
}
static at_tensor *b_distill_js(at_run *r, at_tensor **t) {
    return at_distill(r, t[0], fixed(r, 3, 5), &(at_kd){AT_KD_JS, 1.5, 0, AT_TOKENS_ALIKE});
}
static at_tensor *b_distill_skew(at_run *r, at_tensor **t) {
    return at_distill(r, t[0], fixed(r, 3, 5), &(at_kd){AT_KD_SKEW, 1.5, 0.2, AT_TOKENS_ALIKE});
}
static at_tensor *b_distill_skew_reverse(at_run *r, at_tensor **t) {
    return at_distill(r, t[0], fixed(r, 3, 5),
                      &(at_kd){AT_KD_SKEW_REVERSE, 1.5, 0.3, AT_TOKENS_ALIKE});
}
static at_tensor *b_distill_teacher(at_run *r, at_tensor **t) { /* the weights do not move */
    const at_kd how = {AT_KD_REVERSE, 2, 0, AT_TOKEN_TEACHER};
    return at_distill_tokens(r, t[0], fixed(r, 4, 5), &how, (int32_t[]){1, -1, 3, 0});
}
static at_tensor *b_head(at_run *r, at_tensor **t) {
    const at_head_spec s = {.label = (int32_t[]){1, -1, 3, 0}};
    return at_head_loss(r, t[0], t[1], &s, NULL);
}
static at_tensor *head_kd(at_run *r, at_tensor **t, at_kd_kind kind, int64_t rows) {
    int32_t label[200];
    for (int i = 0; i < 200; i++) label[i] = i % 7 == 2 ? -1 : i * 5 % 6;
    const at_head_spec s = {.label = label,
                            .teacher_x = fixed(r, rows, 3),
                            .teacher_w = fixed(r, 6, 3),
                            .kd = {kind, 2, 0.1, AT_TOKENS_ALIKE},
                            .alpha = 0.3};
    return at_head_loss(r, t[0], t[1], &s, NULL);
}
static double two_thirds(void *user, const at_head_report *known) {
    (void)user;
    (void)known;
    return 2.0 / 3;
}
/* Two rounds, several blocks: weights of tokens, a weight that comes after the losses. */
static at_tensor *head_weighed(at_run *r, at_tensor **t, at_token_weight weight, bool norms) {
    int32_t label[8] = {3, 0, -1, 5, 1, 1, 4, 2};
    const at_head_spec s = {.label = label,
                            .teacher_x = fixed(r, 8, 3),
                            .teacher_w = fixed(r, 6, 3),
                            .kd = {AT_KD_SKEW, 2, 0.1, weight},
                            .alpha = 0.3,
                            .norms = norms,
                            .weigh = norms ? two_thirds : NULL,
                            .block = 3};
    return at_head_loss(r, t[0], t[1], &s, NULL);
}
static at_tensor *b_head_teacher(at_run *r, at_tensor **t) {
    return head_weighed(r, t, AT_TOKEN_TEACHER, false);
}
static at_tensor *b_head_weighed(at_run *r, at_tensor **t) {
    return head_weighed(r, t, AT_TOKENS_ALIKE, true);
}
static at_tensor *b_head_both(at_run *r, at_tensor **t) {
    return head_weighed(r, t, AT_TOKEN_TEACHER, true);
}
static at_tensor *b_head_kd(at_run *r, at_tensor **t) { return head_kd(r, t, AT_KD_FORWARD, 4); }
static at_tensor *b_head_rkd(at_run *r, at_tensor **t) { return head_kd(r, t, AT_KD_REVERSE, 70); }
static at_tensor *b_head_soft(at_run *r, at_tensor **t) { return head_kd(r, t, AT_KD_SOFT, 4); }
static at_tensor *b_head_js(at_run *r, at_tensor **t) { return head_kd(r, t, AT_KD_JS, 70); }
static at_tensor *b_head_skew(at_run *r, at_tensor **t) { return head_kd(r, t, AT_KD_SKEW, 4); }
static at_tensor *b_head_skew_reverse(at_run *r, at_tensor **t) {
    return head_kd(r, t, AT_KD_SKEW_REVERSE, 70);
}
/* Rows of a teacher over 6 tokens by its n most probable: id i of row j is (2 i + j) mod 6 or the
   next one. */
static const at_top *top_of(at_run *r, int64_t rows, int64_t n) {
    at_top *t = at_run_alloc(r, sizeof *t);
    int32_t *id = at_run_alloc(r, (size_t)(rows * n) * sizeof *id);
    at_real *logq = at_run_alloc(r, (size_t)(rows * n) * sizeof *logq);
    at_real *left = at_run_alloc(r, (size_t)rows * sizeof *left);
    for (int64_t i = 0; i < rows; i++) {
        double sum = 0;
        for (int64_t j = 0; j < n; j++) {
            const double q =
                (n < 6 ? 0.9 : 1) / (double)n * (j == 0 ? 1.3 : 1 - 0.3 / (double)(n - 1));
            id[i * n + j] = (int32_t)((2 * j + j / 3 + i) % 6);
            logq[i * n + j] = (at_real)log(q);
            sum += q;
        }
        left[i] = (at_real)log(n < 6 ? 1 - sum : 1);
    }
    *t = (at_top){n, 6, id, logq, left};
    return t;
}
/* With two teachers: one by its top, the other reads, and has 2 tokens more; rows of each, of both. */
static at_tensor *head_top(at_run *r, at_tensor **t, at_kd_kind kind, int64_t rows, bool several) {
    int32_t label[200];
    int64_t of[2][200];
    for (int i = 0, n[2] = {0}; i < 200; i++) {
        label[i] = i % 7 == 2 ? -1 : i * 5 % 6;
        of[0][i] = i % 4 != 1 ? n[0]++ : -1;
        of[1][i] = i % 4 == 1 || i % 4 == 3 ? n[1]++ : -1;
    }
    const at_head_teacher teacher[2] = {
        {.top = top_of(r, rows, 3), .row = several ? of[0] : NULL, .weight = 3},
        {.x = fixed(r, rows, 3), .w = fixed(r, 8, 3), .row = of[1], .weight = 1}};
    const at_head_spec s = {.label = label,
                            .teacher = teacher,
                            .n_teachers = several ? 2 : 1,
                            .kd = {kind, 2, 0.1},
                            .alpha = 0.3};
    return at_head_loss(r, t[0], t[1], &s, NULL);
}
static at_tensor *b_head_top(at_run *r, at_tensor **t) {
    return head_top(r, t, AT_KD_FORWARD, 4, false);
}
static at_tensor *b_head_top_soft(at_run *r, at_tensor **t) {
    return head_top(r, t, AT_KD_SOFT, 70, false);
}
static at_tensor *b_head_top_js(at_run *r, at_tensor **t) {
    return head_top(r, t, AT_KD_JS, 4, false);
}
static at_tensor *b_head_several(at_run *r, at_tensor **t) {
    return head_top(r, t, AT_KD_FORWARD, 70, true);
}
static at_tensor *b_head_several_reverse(at_run *r, at_tensor **t) {
    return head_top(r, t, AT_KD_REVERSE, 9, true);
}

/* A routing that nothing differentiates: token i to experts by fixed logits; with `idle` the first
   expert is never chosen. */
static void routed(at_run *r, int64_t n, int64_t e, int64_t k, bool idle, at_routing *ro) {
    at_tensor *l = at_new2(r, n, e);
    for (int64_t i = 0; l && i < n * e; i++)
        l->data[i] = idle && i % e == 0 ? -9 : (at_real)(i * i * 7 % 23) / 5;
    (void)at_route(r, l, k, false, ro);
}
static at_tensor *b_route(at_run *r, at_tensor **t) {
    at_routing ro;
    return at_route(r, t[0], 2, false, &ro);
}
static at_tensor *b_route_all(at_run *r, at_tensor **t) {
    at_routing ro;
    return at_route(r, t[0], 4, false, &ro);
}
static at_tensor *b_route_norm(at_run *r, at_tensor **t) {
    at_routing ro;
    return at_route(r, t[0], 3, true, &ro);
}
static at_tensor *drawn(at_run *r, at_tensor **t, int64_t k, int64_t s, bool renormalise) {
    at_routing ro; /* which experts belongs to the draw, not to the recording */
    const bool train = r->train;
    r->train = true;
    at_tensor *y =
        at_route_by(r, t[0], &(at_route_spec){.k = k, .drawn = s, .renormalise = renormalise}, &ro);
    r->train = train;
    return y;
}
/* The rows are sequences of two; which experts are in their pools belongs to the draw. */
static at_tensor *b_route_pool(at_run *r, at_tensor **t) {
    at_routing ro;
    const bool train = r->train;
    r->train = true;
    at_tensor *y = at_route_by(r, t[0], &(at_route_spec){.k = 2, .pool = {2, 3, 2}}, &ro);
    r->train = train;
    return y;
}
/* Of five the second may not be chosen, the fourth is not there. */
static const uint8_t some_masked[5] = {0, AT_SLOT_CLOSED, 0, AT_SLOT_EXCLUDED, 0};
static at_tensor *masked(at_run *r, at_tensor **t, bool renormalise) {
    at_routing ro;
    return at_route_by(
        r, t[0], &(at_route_spec){.k = 2, .renormalise = renormalise, .use = some_masked}, &ro);
}
static at_tensor *b_route_masked(at_run *r, at_tensor **t) { return masked(r, t, false); }
static at_tensor *b_route_masked_norm(at_run *r, at_tensor **t) { return masked(r, t, true); }
static at_tensor *b_route_drawn(at_run *r, at_tensor **t) { return drawn(r, t, 3, 2, false); }
static at_tensor *b_route_drawn_norm(at_run *r, at_tensor **t) { return drawn(r, t, 2, 2, true); }
static at_tensor *b_expert(at_run *r, at_tensor **t) {
    at_routing ro;
    routed(r, t[0]->dim[0], t[1]->dim[0], 2, t[1]->dim[0] > 3, &ro);
    return at_expert_linear(r, t[0], slices(r, t[1]), &ro);
}
static at_tensor *b_expert_list(at_run *r, at_tensor **t) { /* a parameter an expert */
    at_routing ro;
    routed(r, t[0]->dim[0], 3, 1, false, &ro);
    return at_expert_linear(r, t[0], t + 1, &ro);
}
static at_tensor *b_expert_twice(at_run *r, at_tensor **t) {
    at_tensor *y = b_expert(r, t);
    at_tensor *z = b_expert(r, t);
    return at_add(r, y, z);
}
static at_tensor *b_expert_bias(at_run *r, at_tensor **t) {
    at_routing ro;
    routed(r, t[0]->dim[0], 3, t[0]->dim[1], false, &ro);
    return at_expert_bias(r, t[0], t + 1, &ro);
}
static at_tensor *b_expert_bias_twice(at_run *r, at_tensor **t) {
    at_tensor *y = b_expert_bias(r, t);
    at_tensor *z = b_expert_bias(r, t);
    return at_add(r, y, z);
}
static at_tensor *noisy(at_run *r, at_tensor *x, at_tensor *spread) {
    const bool train = r->train; /* the noise belongs to the draw, not to the recording */
    r->train = true;
    at_tensor *y = at_gate_noise(r, x, spread, spread ? AT_NOISE_NORMAL : AT_NOISE_GUMBEL, 0.7);
    r->train = train;
    return y;
}
static at_tensor *b_noise(at_run *r, at_tensor **t) { return noisy(r, t[0], t[1]); }
static at_tensor *b_noise_gumbel(at_run *r, at_tensor **t) { return noisy(r, t[0], NULL); }
static at_tensor *b_square(at_run *r, at_tensor **t) {
    static const at_real target[6] = {1, 0, -1, 2, 0.5, 0};
    return at_square_loss(r, t[0], target);
}
static at_tensor *b_relu(at_run *r, at_tensor **t) { return at_relu(r, t[0]); }
static at_tensor *b_expert_sum(at_run *r, at_tensor **t) { return at_expert_sum(r, t[0], t[1]); }
static at_tensor *b_member_scale(at_run *r, at_tensor **t) {
    return at_member_scale(r, t[0], t[1], t[2]);
}
static at_tensor *b_member_factors(at_run *r, at_tensor **t) {
    return at_member_scale(r, t[0], t[1], NULL);
}
static at_tensor *b_member_scale_twice(at_run *r, at_tensor **t) {
    return at_member_scale(r, at_member_scale(r, t[0], t[1], t[1]), t[1], NULL);
}
static at_tensor *b_mean_softmax(at_run *r, at_tensor **t) { return at_mean_softmax(r, t[0]); }
static at_tensor *b_mean_softmax_twice(at_run *r, at_tensor **t) {
    return at_add(r, at_mean_softmax(r, t[0]), at_mean_softmax(r, t[0]));
}
static at_tensor *b_expert_sum_twice(at_run *r, at_tensor **t) {
    at_tensor *y = at_expert_sum(r, t[0], t[1]);
    at_tensor *z = at_expert_sum(r, t[0], t[1]);
    return at_add(r, y, z);
}
/* Gates that sum to 1, with gradients of their own. */
static at_tensor *b_expert_mix(at_run *r, at_tensor **t) {
    at_routing ro;
    at_tensor *g = at_route(r, t[1], t[0]->dim[1], true, &ro);
    return at_expert_mix(r, t[0], g);
}
static at_tensor *b_mutual_variance(at_run *r, at_tensor **t) {
    return at_mutual_distill(r, t[0], NULL, &(at_mutual){.form = AT_MUTUAL_VARIANCE});
}
static at_tensor *b_mutual_detached(at_run *r, at_tensor **t) {
    return at_mutual_distill(r, t[0], NULL, &(at_mutual){AT_MUTUAL_VARIANCE, 0, true});
}
static at_tensor *b_mutual_kl(at_run *r, at_tensor **t) {
    return at_mutual_distill(r, t[0], NULL, &(at_mutual){AT_MUTUAL_KL, 1.5, false});
}
static at_tensor *b_mutual_centred(at_run *r, at_tensor **t) {
    return at_mutual_distill(r, t[0], NULL, &(at_mutual){.form = AT_MUTUAL_CENTRED});
}
/* Gates that an op made, above 0 and of any sum. */
static at_tensor *with_gates(at_run *r, at_tensor **t, at_mutual_form form) {
    at_routing ro;
    at_tensor *g = at_route(r, t[1], t[0]->dim[1], false, &ro);
    return at_mutual_distill(r, t[0], g, &(at_mutual){.form = form});
}
static at_tensor *b_mutual_gated(at_run *r, at_tensor **t) {
    return with_gates(r, t, AT_MUTUAL_GATED);
}
static at_tensor *b_mutual_mixture(at_run *r, at_tensor **t) {
    return with_gates(r, t, AT_MUTUAL_MIXTURE);
}
static at_tensor *b_mutual_even(at_run *r, at_tensor **t) { /* gates absent, gradients added to */
    at_tensor *y = at_mutual_distill(r, t[0], NULL, &(at_mutual){.form = AT_MUTUAL_GATED});
    at_tensor *z = at_mutual_distill(r, t[0], NULL, &(at_mutual){.form = AT_MUTUAL_MIXTURE});
    return at_add(r, y, z);
}
typedef at_tensor *(*router_loss)(at_run *r, at_tensor *logits, const at_routing *ro,
                                  const at_batch_load *whole);
static at_tensor *of_router(at_run *r, at_tensor *logits, router_loss f) {
    at_routing ro;
    (void)at_route(r, logits, 2, false, &ro);
    return f(r, logits, &ro, NULL);
}
/* As a part of a batch with other loads. */
static at_tensor *of_part(at_run *r, at_tensor *logits, router_loss f) {
    static const double p[5] = {0.5, 0.2, 0.15, 0.1, 0.05}, share[5] = {0.3, 0.3, 0.2, 0.1, 0.1};
    at_routing ro;
    (void)at_route(r, logits, 2, false, &ro);
    return f(r, logits, &ro, &(at_batch_load){p, share});
}
static at_tensor *b_mutual_part(at_run *r, at_tensor **t) {
    return of_part(r, t[0], at_mutual_info);
}
static at_tensor *b_concentration_part(at_run *r, at_tensor **t) {
    return of_part(r, t[0], at_load_concentration);
}
static at_tensor *b_balance_part(at_run *r, at_tensor **t) {
    return of_part(r, t[0], at_switch_balance);
}
static at_tensor *b_mutual(at_run *r, at_tensor **t) { return of_router(r, t[0], at_mutual_info); }
static at_tensor *b_concentration(at_run *r, at_tensor **t) {
    return of_router(r, t[0], at_load_concentration);
}
static at_tensor *b_balance(at_run *r, at_tensor **t) {
    return of_router(r, t[0], at_switch_balance);
}
static at_tensor *b_row_squares(at_run *r, at_tensor **t) {
    return at_row_squares(r, t[0], (const bool[]){true, false, false, true, true});
}
static at_tensor *b_zloss(at_run *r, at_tensor **t) {
    at_routing ro;
    (void)at_route(r, t[0], 2, false, &ro);
    return at_zloss(r, t[0], &ro);
}
static at_tensor *b_weighted(at_run *r, at_tensor **t) {
    return at_weighted_sum(r, (at_tensor *[]){t[0], t[1], t[0]}, (double[]){2, -0.5, 0.25}, 3);
}
static at_tensor *b_patches(at_run *r, at_tensor **t) {
    return at_patches(r, t[0], &(at_window){2, 3, 1, 1});
}
static at_tensor *b_patches_apart(at_run *r, at_tensor **t) { /* pixels that no window sees */
    return at_patches(r, t[0], &(at_window){2, 1, 3, 0});
}
static at_tensor *b_convolution(at_run *r, at_tensor **t) {
    at_tensor *y = at_patches(r, t[0], &(at_window){3, 3, 2, 1});
    return at_linear(r, y, t[1], t[2]);
}
static at_tensor *b_patches_twice(at_run *r, at_tensor **t) { /* gradients are added to */
    at_tensor *y = at_patches(r, t[0], &(at_window){1, 1, 1, 0});
    at_tensor *z = at_patches(r, t[0], &(at_window){1, 1, 1, 0});
    return at_add(r, y, z);
}
static at_tensor *b_pool(at_run *r, at_tensor **t) {
    return at_pool_window(r, t[0], &(at_window){2, 2, 2, 0}, AT_POOL_MAX);
}
static at_tensor *b_pool_over(at_run *r, at_tensor **t) { /* windows overlap */
    return at_pool_window(r, t[0], &(at_window){3, 2, 1, 1}, AT_POOL_MAX);
}
static at_tensor *b_pool_mean(at_run *r, at_tensor **t) {
    return at_pool_window(r, t[0], &(at_window){3, 2, 2, 1}, AT_POOL_MEAN);
}
static at_tensor *b_pool_all(at_run *r, at_tensor **t) {
    return at_pool_window(r, t[0], &(at_window){3, 4, 1, 0}, AT_POOL_MEAN);
}
/* Running means and variances that are not touched. */
static at_tensor *normed_by_batch(at_run *r, at_tensor *x, const at_routing *ro, bool batch) {
    static at_real zero[4], ones[4] = {1, 1, 1, 1};
    static at_tensor mean, var;
    at_tensor *means[3] = {&mean, &mean, &mean}, *vars[3] = {&var, &var, &var};
    mean = (at_tensor){.rank = 1, .dim = {at_cols(x)}, .data = zero};
    var = (at_tensor){.rank = 1, .dim = {at_cols(x)}, .data = ones};
    at_tensor **m = at_run_alloc(r, sizeof means), **v = at_run_alloc(r, sizeof vars);
    memcpy(m, means, sizeof means);
    memcpy(v, vars, sizeof vars);
    return at_batchnorm(
        r, x, ro,
        &(at_batch_norm){
            .mean = m, .var = v, .momentum = 0.1, .eps = 1e-5, .batch = batch, .keep = true});
}
static at_tensor *b_batchnorm(at_run *r, at_tensor **t) {
    at_routing ro;
    routed(r, t[0]->dim[0], 3, t[0]->dim[1], false, &ro);
    return normed_by_batch(r, t[0], &ro, true);
}
static at_tensor *b_batchnorm_running(at_run *r, at_tensor **t) {
    at_routing ro;
    routed(r, t[0]->dim[0], 3, t[0]->dim[1], false, &ro);
    return normed_by_batch(r, t[0], &ro, false);
}
static at_tensor *b_batchnorm_single(at_run *r, at_tensor **t) { /* added to the gradient of x */
    at_routing ro;
    if (!at_routing_single(r, t[0]->dim[0], &ro)) return NULL;
    at_tensor *y = normed_by_batch(r, t[0], &ro, true);
    return at_add(r, y, t[0]);
}
static at_tensor *b_swap(at_run *r, at_tensor **t) { return at_swap(r, t[0]); }
static at_tensor *b_swap_twice(at_run *r, at_tensor **t) { /* gradients are added to */
    at_tensor *y = at_swap(r, t[0]);
    return at_add(r, y, t[0]);
}
static at_tensor *b_l2norm(at_run *r, at_tensor **t) { return at_l2norm(r, t[0], 1e-12); }
static at_tensor *b_l2norm_floor(at_run *r, at_tensor **t) { return at_l2norm(r, t[0], 3); }
static at_tensor *b_blend_mean(at_run *r, at_tensor **t) { return at_blend(r, t, NULL, 3); }
static at_tensor *b_blend_learned(at_run *r, at_tensor **t) { return at_blend(r, t, t + 3, 3); }
static at_tensor *b_blend_pair(at_run *r, at_tensor **t) { return at_blend(r, t, t + 2, 2); }
static at_tensor *b_blend_twice(at_run *r, at_tensor **t) { /* one of them, and its row, is both */
    at_tensor *y = at_gelu(r, t[0], AT_GELU_TANH);
    return at_blend(r, (at_tensor *[]){y, t[0], y}, (at_tensor *[]){t[1], t[1], t[1]}, 3);
}
static at_tensor *b_rmsnorm(at_run *r, at_tensor **t) { return at_rmsnorm(r, t[0], t[1], 1e-5); }
static at_tensor *b_swiglu(at_run *r, at_tensor **t) { return at_swiglu(r, t[0]); }
static at_tensor *b_exp_scale(at_run *r, at_tensor **t) { return at_exp_scale(r, t[0], t[1]); }

/* clang-format off */
static const row rows[] = {
    {"linear",            b_linear,         3, {{3, 5}, {4, 5}, {4}}},
    {"linear/rank3",      b_linear,         3, {{2, 3, 5}, {4, 5}, {4}}},
    {"linear/nobias",     b_linear0,        2, {{2, 3, 5}, {4, 5}}},
    {"linear/io",         b_linear_io,      3, {{2, 3, 5}, {5, 4}, {4}}},
    {"linear/twice",      b_linear_twice,   3, {{3, 5}, {4, 5}, {4}}},
    {"linear/wide",       b_linear,         3, {{9, 33}, {41, 33}, {41}}},
    {"layernorm",         b_norm,           3, {{3, 7}, {7}, {7}}},
    {"layernorm/blocks",  b_norm,           3, {{2, 65, 5}, {5}, {5}}},
    {"layernorm/nobias",  b_norm0,          2, {{3, 7}, {7}}},
    {"gelu",              b_gelu,           1, {{4, 5}}},
    {"gelu/erf",          b_gelu_erf,       1, {{2, 2, 5}}},
    {"add",               b_add,            2, {{4, 5}, {4, 5}}},
    {"add/self",          b_add_self,       1, {{2, 2, 5}}},
    {"prepend",           b_prepend,        2, {{6, 3}, {4, 3}}},
    {"prepend/twice",     b_prepend_twice,  2, {{5, 3}, {4, 3}}},
    {"view",              b_view,           1, {{2, 3, 4}}},
    {"embed/repeat",      b_embed,          1, {{5, 3}}},
    {"dropout",           b_dropout,        1, {{5, 7}}},
    {"attention",         b_attention,      1, {{10, 12}}},
    {"attention/one",     b_attention_one,  1, {{3, 6}}},
    {"attention/long",    b_attention_long, 1, {{37, 9}}},
    {"attention/wide",    b_attention_one,  1, {{3, 57}}},
    {"attention/twice",   b_attention_twice, 1, {{18, 27}}},
    {"attention/slots",   b_slots,          3, {{10, 2, 6}, {10, 6}, {10, 6}}},
    {"attention/past",    b_slots_past,     3, {{8, 1, 5}, {14, 5}, {14, 5}}},
    {"attention/panels",  b_slots_three,    3, {{13, 3, 5}, {13, 5}, {13, 5}}},
    {"attention/same",    b_slots_same,     2, {{13, 2, 5}, {13, 5}}},
    {"attention/inner",   b_slots_inner,    1, {{37, 1, 3}}},
    {"attention/added",   b_slots_twice,    2, {{4, 1, 5}, {4, 5}}},
    {"rope",              b_rope,           1, {{6, 2, 8}}},
    {"rope/twice",        b_rope_twice,     1, {{4, 1, 12}}},
    {"stickbreak",        b_stick,          3, {{10, 2, 6}, {10, 6}, {10, 6}}},
    {"stickbreak/one",    b_stick_one,      3, {{3, 1, 6}, {3, 6}, {3, 6}}},
    {"stickbreak/slots",  b_stick_slots,    3, {{9, 3, 5}, {9, 5}, {9, 5}}},
    {"stickbreak/past",   b_stick_past,     3, {{8, 1, 5}, {14, 5}, {14, 5}}},
    {"stickbreak/from",   b_stick_from,     3, {{33, 2, 5}, {33, 5}, {33, 5}}},
    {"stickbreak/from_past", b_stick_from_past, 3, {{10, 1, 6}, {112, 6}, {112, 6}}},
    {"stickbreak/tile",   b_stick_tile,     3, {{8, 1, 8}, {8, 8}, {8, 8}}},
    {"stickbreak/long",   b_stick_long,     3, {{61, 1, 3}, {61, 3}, {61, 3}}},
    {"stickbreak/same",   b_stick_same,     2, {{13, 2, 5}, {13, 5}}},
    {"stickbreak/twice",  b_stick_twice,    2, {{4, 1, 5}, {4, 5}}},
    {"xent/skip",         b_xent,           1, {{3, 5}}},
    {"distill/forward",   b_distill,        1, {{3, 5}}},
    {"distill/reverse",   b_distill_reverse,1, {{3, 5}}},
    {"distill/soft",      b_distill_soft,   1, {{3, 5}}},
    {"distill/js",        b_distill_js,     1, {{3, 5}}},
    {"distill/skew",      b_distill_skew,   1, {{3, 5}}},
    {"distill/skewed reverse", b_distill_skew_reverse, 1, {{3, 5}}},
    {"distill/by teacher", b_distill_teacher, 1, {{4, 5}}},
    {"head_loss/by teacher", b_head_teacher,  2, {{2, 4, 3}, {6, 3}}},
    {"head_loss/weighed", b_head_weighed,   2, {{8, 3}, {6, 3}}},
    {"head_loss/both",    b_head_both,      2, {{8, 3}, {6, 3}}},
    {"head_loss/xent",    b_head,           2, {{2, 2, 3}, {5, 3}}},
    {"head_loss/forward", b_head_kd,        2, {{4, 3}, {6, 3}}},
    {"head_loss/reverse", b_head_rkd,       2, {{70, 3}, {6, 3}}},
    {"head_loss/soft",    b_head_soft,      2, {{4, 3}, {6, 3}}},
    {"head_loss/js",      b_head_js,        2, {{70, 3}, {6, 3}}},
    {"head_loss/skew",    b_head_skew,      2, {{4, 3}, {6, 3}}},
    {"head_loss/skewed reverse", b_head_skew_reverse, 2, {{70, 3}, {6, 3}}},
    {"head_loss/top forward", b_head_top,   2, {{4, 3}, {6, 3}}},
    {"head_loss/top soft", b_head_top_soft, 2, {{70, 3}, {6, 3}}},
    {"head_loss/top js", b_head_top_js,     2, {{4, 3}, {6, 3}}},
    {"head_loss/several", b_head_several,   2, {{70, 3}, {6, 3}}},
    {"head_loss/several reverse", b_head_several_reverse, 2, {{9, 3}, {6, 3}}},
    {"route",             b_route,          1, {{7, 5}}},
    {"route/all",         b_route_all,      1, {{3, 4}}},
    {"route/renormalise", b_route_norm,     1, {{7, 5}}},
    {"route/drawn",       b_route_drawn,    1, {{9, 6}}},
    {"route/pool",        b_route_pool,     1, {{8, 6}}},
    {"route/drawn_norm",  b_route_drawn_norm, 1, {{9, 4}}},
    {"route/masked",      b_route_masked,   1, {{7, 5}}},
    {"route/masked_norm", b_route_masked_norm, 1, {{7, 5}}},
    {"expert_linear",     b_expert,         2, {{6, 4}, {3, 4, 3}}},
    {"expert_linear/slots", b_expert,       2, {{6, 2, 4}, {3, 4, 3}}},
    {"expert_linear/idle",  b_expert,       2, {{6, 4}, {5, 4, 3}}},
    {"expert_linear/tiles", b_expert,       2, {{150, 2}, {2, 2, 3}}},
    {"expert_linear/wide",  b_expert,       2, {{4, 3}, {2, 3, 135}}},
    {"expert_linear/list",  b_expert_list,  4, {{6, 4}, {4, 3}, {4, 3}, {4, 3}}},
    {"expert_linear/twice", b_expert_twice, 2, {{5, 2, 3}, {3, 3, 2}}},
    {"relu",              b_relu,           1, {{2, 2, 5}}},
    {"square_loss",       b_square,         1, {{6, 1}}},
    {"gate_noise",        b_noise,          2, {{5, 4}, {5, 4}}},
    {"gate_noise/gumbel", b_noise_gumbel,   1, {{5, 4}}},
    {"expert_bias",       b_expert_bias,    4, {{6, 2, 4}, {4}, {4}, {4}}},
    {"expert_bias/idle",  b_expert_bias,    4, {{1, 2, 4}, {4}, {4}, {4}}},
    {"expert_bias/twice", b_expert_bias_twice, 4, {{6, 1, 4}, {4}, {4}, {4}}},
    {"expert_sum",        b_expert_sum,     2, {{5, 2, 3}, {5, 2}}},
    {"expert_sum/twice",  b_expert_sum_twice, 2, {{5, 3, 2}, {5, 3}}},
    {"member_scale",      b_member_scale,   3, {{5, 3, 4}, {3, 4}, {3, 4}}},
    {"member_scale/common", b_member_scale, 3, {{5, 4}, {3, 4}, {3, 4}}},
    {"member_scale/factors", b_member_factors, 2, {{70, 2, 3}, {2, 3}}},
    {"member_scale/twice", b_member_scale_twice, 2, {{5, 4}, {3, 4}}},
    {"mean_softmax",      b_mean_softmax,   1, {{5, 3, 4}}},
    {"mean_softmax/one",  b_mean_softmax,   1, {{20, 1, 4}}},
    {"mean_softmax/twice", b_mean_softmax_twice, 1, {{4, 2, 5}}},
    {"expert_mix",        b_expert_mix,     2, {{5, 3, 4}, {5, 4}}},
    {"expert_mix/many",   b_expert_mix,     2, {{40, 2, 7}, {40, 2}}},
    {"mutual_distill",       b_mutual_variance, 1, {{5, 3, 4}}},
    {"mutual_distill/pair",  b_mutual_variance, 1, {{5, 2, 4}}},
    {"mutual_distill/detached", b_mutual_detached, 1, {{5, 4, 3}}},
    {"mutual_distill/kl",    b_mutual_kl,       1, {{5, 3, 4}}},
    {"mutual_distill/kl pair", b_mutual_kl,     1, {{5, 2, 4}}},
    {"mutual_distill/centred", b_mutual_centred, 1, {{5, 3, 4}}},
    {"mutual_distill/gated", b_mutual_gated,    2, {{5, 3, 4}, {5, 4}}},
    {"mutual_distill/gated pair", b_mutual_gated, 2, {{5, 2, 4}, {5, 3}}},
    {"mutual_distill/mixture", b_mutual_mixture, 2, {{5, 3, 4}, {5, 4}}},
    {"mutual_distill/mixture of all", b_mutual_mixture, 2, {{40, 4, 3}, {40, 4}}},
    {"mutual_distill/even",  b_mutual_even,     1, {{5, 3, 4}}},
    {"mutual_info",       b_mutual,         1, {{7, 5}}},
    {"mutual_info/blocks", b_mutual,        1, {{300, 3}}},
    {"load_concentration", b_concentration, 1, {{7, 5}}},
    {"switch_balance",    b_balance,        1, {{7, 5}}},
    {"mutual_info/part",  b_mutual_part,    1, {{7, 5}}},
    {"load_concentration/part", b_concentration_part, 1, {{7, 5}}},
    {"switch_balance/part", b_balance_part, 1, {{7, 5}}},
    {"zloss",             b_zloss,          1, {{7, 5}}},
    {"row_squares",       b_row_squares,    1, {{5, 7}}},
    {"weighted_sum",      b_weighted,       2, {{1}, {1}}},
    {"patches",           b_patches,        1, {{2, 3, 4, 2}}},
    {"patches/apart",     b_patches_apart,  1, {{1, 5, 4, 3}}},
    {"patches/conv",      b_convolution,    3, {{2, 5, 4, 2}, {3, 18}, {3}}},
    {"patches/twice",     b_patches_twice,  1, {{2, 2, 2, 2}}},
    {"pool",              b_pool,           1, {{2, 5, 4, 3}}},
    {"pool/over",         b_pool_over,      1, {{2, 3, 4, 2}}},
    {"pool/mean",         b_pool_mean,      1, {{2, 4, 4, 2}}},
    {"pool/all",          b_pool_all,       1, {{3, 3, 4, 2}}},
    {"batchnorm",         b_batchnorm,      1, {{9, 2, 3}}},
    {"batchnorm/running", b_batchnorm_running, 1, {{9, 2, 3}}},
    {"batchnorm/blocks",  b_batchnorm_single, 1, {{300, 1, 2}}},
    {"swap",              b_swap,           1, {{2, 3, 4, 5}}},
    {"swap/twice",        b_swap_twice,     1, {{2, 3, 3, 2}}},
    {"l2norm",            b_l2norm,         1, {{3, 2, 5}}},
    {"l2norm/floor",      b_l2norm_floor,   1, {{9, 2}}},
    {"exp_scale",         b_exp_scale,      2, {{3, 4}, {1}}},
    {"rmsnorm",           b_rmsnorm,        2, {{2, 3, 7}, {7}}},
    {"rmsnorm/blocks",    b_rmsnorm,        2, {{130, 5}, {5}}},
    {"swiglu",            b_swiglu,         1, {{2, 35, 6}}},
    {"blend/mean",        b_blend_mean,     3, {{2, 3, 5}, {2, 3, 5}, {2, 3, 5}}},
    {"blend/learned",     b_blend_learned,  6, {{2, 3, 5}, {2, 3, 5}, {2, 3, 5}, {5}, {5}, {5}}},
    {"blend/blocks",      b_blend_pair,     4, {{130, 3}, {130, 3}, {3}, {3}}},
    {"blend/twice",       b_blend_twice,    2, {{4, 3}, {3}}},
};
/* clang-format on */

static at_ctx ctx;
static at_compute cp;
static at_arena arena;

static void fill(at_tensor *t, const int64_t *dim, uint64_t stream) {
    memset(t, 0, sizeof *t);
    while (t->rank < AT_RANK_MAX && dim[t->rank]) {
        t->dim[t->rank] = dim[t->rank];
        t->rank++;
    }
    const int64_t n = at_numel(t);
    t->data = at_calloc(&ctx, (size_t)n, sizeof(at_real));
    t->grad = at_calloc(&ctx, (size_t)n, sizeof(at_real));
    t->need_grad = t->keep_grad = true;
    for (int64_t j = 0; j < n; j++)
        t->data[j] = (at_real)(2 * at_normal(7, AT_STREAM_TEST + stream, (uint64_t)j));
}

#endif
