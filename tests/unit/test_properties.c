/*
 * test_properties.c - property tests: identities that operations fulfil for random shapes and
 * values, without a reference to compare with.
 *
 * Compiled in float, with the kernels of this machine, and again in double
 * (tests/double/test_properties_double.c).
 */
#include "base/rng.h"
#include "check.h"
#include "op/op.h"
#include <math.h>

enum { ROUNDS = 30 };

static at_ctx ctx;
static at_compute cp;
static at_arena arena;
static at_run run;
static uint64_t draws;

static double tolerance(void) { return sizeof(at_real) == 8 ? 1e-12 : 2e-5; }

static int64_t between(int64_t lo, int64_t hi) {
    return lo + (int64_t)at_rand_below((uint64_t)(hi - lo + 1), 1, AT_STREAM_TEST, draws++);
}

static at_tensor *normal2(int64_t rows, int64_t cols, double size) {
    at_tensor *t = at_new2(&run, rows, cols);
    assert_non_null(t);
    for (int64_t i = 0; i < rows * cols; i++)
        t->data[i] = (at_real)(size * at_normal(2, AT_STREAM_TEST, draws++));
    return t;
}

static at_tensor *vector(int64_t n, double size) {
    at_tensor *t = normal2(1, n, size);
    t->rank = 1;
    t->dim[0] = n;
    return t;
}

static at_tensor *copy_of(const at_tensor *t) {
    at_tensor *y = at_new(&run, t->rank, t->dim);
    assert_non_null(y);
    memcpy(y->data, t->data, (size_t)at_numel(t) * sizeof(at_real));
    return y;
}

/* The gradient a backward pass will leave. */
static void wanted(at_tensor *t) {
    const size_t bytes = (size_t)at_numel(t) * sizeof(at_real);
    t->need_grad = t->keep_grad = true;
    assert_non_null(t->grad = at_run_alloc(&run, bytes));
    memset(t->grad, 0, bytes);
}

static at_tensor *computed(at_tensor *y) {
    if (!y) fail_msg("%s", run.message);
    return y;
}

/* Largest difference within `tolerance` of the size of the numbers. */
static void near(const at_real *a, const at_real *b, int64_t n, const char *what) {
    double size = 1, off = 0;
    for (int64_t i = 0; i < n; i++) {
        size = fmax(size, fabs((double)b[i]));
        off = fmax(off, fabs((double)a[i] - (double)b[i]));
    }
    if (!(off <= tolerance() * size)) fail_msg("%s: off by %g of %g", what, off, size);
}

static void near1(double a, double b, const char *what) {
    if (!(fabs(a - b) <= tolerance() * fmax(1, fabs(b)))) fail_msg("%s: %.12g, %.12g", what, a, b);
}

static void same(const at_real *a, const at_real *b, int64_t n, const char *what) {
    if (memcmp(a, b, (size_t)n * sizeof *a) != 0) fail_msg("%s: other bits", what);
}

/* Every round begins with an empty arena and a run that records. */
static void fresh(void) {
    at_arena_rewind(&arena, (at_mark){0});
    at_run_init(&run, &cp, &arena, true, 3);
}
#define EVERY_ROUND for (int round_ = 0; fresh(), round_ < ROUNDS; round_++)

/* ---- attention ------------------------------------------------------------------------- */

typedef struct {
    int64_t B, T, C;
    int heads;
    at_tensor *qkv;
} heads_in;

static heads_in draw_heads(void) {
    heads_in a = {.B = between(1, 3), .T = between(1, 80), .heads = (int)between(1, 3)};
    a.C = a.heads * between(1, 20);
    a.qkv = normal2(a.B * a.T, 3 * a.C, 2);
    return a;
}

static at_real *at_place(const heads_in *a, at_tensor *qkv, int64_t b, int64_t t, int part) {
    return qkv->data + (b * a->T + t) * 3 * a->C + part * a->C;
}

static const at_real *attend(const heads_in *a, at_tensor *qkv) {
    return computed(at_attention(&run, qkv, a->B, a->T, a->heads))->data;
}

/* Outputs are weighted means of the values so far: constant values give this constant, no output
   exceeds all values, the first token attends to itself. */
static void attention_is_a_mean(void **state) {
    (void)state;
    EVERY_ROUND {
        const heads_in a = draw_heads();
        const at_real *y = attend(&a, a.qkv);
        for (int64_t b = 0; b < a.B; b++) {
            near(y + b * a.T * a.C, at_place(&a, a.qkv, b, 0, 2), a.C, "the first token");
            for (int64_t c = 0; c < a.C; c++) {
                double lo = (double)INFINITY, hi = -lo;
                for (int64_t t = 0; t < a.T; t++) {
                    const double v = (double)at_place(&a, a.qkv, b, t, 2)[c];
                    const double at = (double)y[(b * a.T + t) * a.C + c];
                    lo = fmin(lo, v);
                    hi = fmax(hi, v);
                    assert_true(at >= lo - 10 * tolerance() && at <= hi + 10 * tolerance());
                }
            }
        }
        at_tensor *flat = copy_of(a.qkv), *level = normal2(1, a.C, 1);
        at_tensor *expected = at_new2(&run, a.B * a.T, a.C);
        for (int64_t i = 0; i < a.B * a.T; i++) {
            memcpy(flat->data + i * 3 * a.C + 2 * a.C, level->data, (size_t)a.C * sizeof(at_real));
            memcpy(expected->data + i * a.C, level->data, (size_t)a.C * sizeof(at_real));
        }
        near(attend(&a, flat), expected->data, a.B * a.T * a.C, "a constant");
    }
}

/* Changing a token changes no bit of earlier tokens, nor of other sequences. */
static void attention_is_causal(void **state) {
    (void)state;
    EVERY_ROUND {
        const heads_in a = draw_heads();
        const at_real *y = attend(&a, a.qkv);
        const int64_t b = between(0, a.B - 1), t = between(0, a.T - 1), at = b * a.T + t;
        at_tensor *other = copy_of(a.qkv);
        for (int64_t c = 0; c < 3 * a.C; c++) other->data[at * 3 * a.C + c] += 3;
        const at_real *z = attend(&a, other);
        same(z, y, at * a.C, "before");
        const int64_t next = (b + 1) * a.T * a.C;
        same(z + next, y + next, (a.B * a.T) * a.C - next, "other sequences");
        assert_true(memcmp(z + at * a.C, y + at * a.C, (size_t)a.C * sizeof *y) != 0);
    }
}

/* Adding a vector to every key adds the same number to every score of a row. */
static void attention_ignores_a_shift_of_keys(void **state) {
    (void)state;
    EVERY_ROUND {
        const heads_in a = draw_heads();
        at_tensor *moved = copy_of(a.qkv), *by = normal2(1, a.C, 0.5);
        for (int64_t i = 0; i < a.B * a.T; i++)
            for (int64_t c = 0; c < a.C; c++) moved->data[i * 3 * a.C + a.C + c] += by->data[c];
        near(attend(&a, moved), attend(&a, a.qkv), a.B * a.T * a.C, "shifted keys");
    }
}

/* Stick-breaking weights are not negative, sum to at most 1, and are causal. */
static void stick_is_never_longer_than_whole(void **state) {
    (void)state;
    EVERY_ROUND {
        const int64_t B = between(1, 2), T = between(1, 70), slots = between(1, 3);
        const int heads = (int)between(1, 2);
        const int64_t A = heads * between(1, 9);
        at_tensor *q = normal2(B * T, slots * A, 2), *k = normal2(B * T, A, 2);
        at_tensor *v = normal2(B * T, A, 0);
        q->rank = 3;
        q->dim[1] = slots;
        q->dim[2] = A;
        for (int64_t i = 0; i < B * T * A; i++) v->data[i] = 1;
        const at_tensor *y = computed(at_stickbreak(&run, q, k, v, B, T, slots, heads));
        for (int64_t i = 0; i < at_numel(y); i++)
            assert_true(y->data[i] > 0 && (double)y->data[i] < 1 + tolerance());
        const int64_t t = between(0, T - 1), first = ((B - 1) * T + t) * A;
        at_tensor *k2 = copy_of(k), *v2 = copy_of(v);
        for (int64_t c = 0; c < A; c++) {
            k2->data[first + c] += 1;
            v2->data[first + c] += 1;
        }
        const at_tensor *z = computed(at_stickbreak(&run, q, k2, v2, B, T, slots, heads));
        same(z->data, y->data, first * slots, "before");
        assert_true(memcmp(z->data, y->data, (size_t)at_numel(y) * sizeof(at_real)) != 0);
    }
}

/* ---- rows --------------------------------------------------------------------------------- */

static void layernorm_has_mean_0_and_variance_1(void **state) {
    (void)state;
    EVERY_ROUND {
        const int64_t n = between(1, 70), C = between(2, 90);
        at_tensor *x = normal2(n, C, 3), *one = vector(C, 0), *zero = vector(C, 0);
        for (int64_t c = 0; c < C; c++) one->data[c] = 1;
        wanted(x);
        at_tensor *y = computed(at_layernorm(&run, x, one, zero, 1e-12));
        for (int64_t i = 0; i < n; i++) {
            double mean = 0, square = 0, middle = 0, spread = 0; /* of y, of x */
            for (int64_t c = 0; c < C; c++) {
                mean += (double)y->data[i * C + c] / (double)C;
                square += pow((double)y->data[i * C + c], 2) / (double)C;
                middle += (double)x->data[i * C + c] / (double)C;
            }
            for (int64_t c = 0; c < C; c++)
                spread += pow((double)x->data[i * C + c] - middle, 2) / (double)C;
            near1(mean, 0, "mean");
            near1(square, spread / (spread + 1e-12), "variance");
        }
        same(computed(at_layernorm(&run, x, one, NULL, 1e-12))->data, y->data, n * C, "no shift");
        at_tensor *other = copy_of(x); /* neither height nor size of the input matters */
        for (int64_t i = 0; i < n * C; i++) other->data[i] = (at_real)2 * other->data[i] + 1;
        if (C > 8) /* a row of few values may be close to constant */
            near(computed(at_layernorm(&run, other, one, zero, 1e-12))->data, y->data, n * C,
                 "moved and stretched");
        /* so its gradient along both directions is nothing */
        y->grad = normal2(n, C, 1)->data;
        at_run_init(&run, &cp, &arena, true, 3);
        at_tensor *z = computed(at_layernorm(&run, x, one, zero, 1e-12));
        z->grad = y->grad;
        assert_int_equal(at_backward_from(&run, z), AT_OK);
        for (int64_t i = 0; i < n && C > 8; i++) {
            double sum = 0, along = 0;
            for (int64_t c = 0; c < C; c++) {
                sum += (double)x->grad[i * C + c];
                along += (double)x->grad[i * C + c] * (double)x->data[i * C + c];
            }
            assert_true(fabs(sum) < 10 * tolerance() && fabs(along) < 30 * tolerance());
        }
    }
}

static void l2norm_has_length_1(void **state) {
    (void)state;
    EVERY_ROUND {
        const int64_t n = between(1, 20), C = between(1, 90);
        at_tensor *x = normal2(n, C, 3);
        const at_tensor *y = computed(at_l2norm(&run, x, 1e-30));
        for (int64_t i = 0; i < n; i++) {
            double square = 0;
            for (int64_t c = 0; c < C; c++) square += pow((double)y->data[i * C + c], 2);
            near1(square, 1, "length");
        }
    }
}

static void linear_is_linear(void **state) {
    (void)state;
    EVERY_ROUND {
        const int64_t n = between(1, 70), in = between(1, 90), out = between(1, 90);
        at_tensor *x = normal2(n, in, 1), *y = normal2(n, in, 1), *w = normal2(out, in, 1);
        at_tensor *sum = at_new2(&run, n, in), *turned = at_new2(&run, in, out);
        const double a = 0.7, b = -1.3;
        for (int64_t i = 0; i < n * in; i++)
            sum->data[i] = (at_real)(a * (double)x->data[i] + b * (double)y->data[i]);
        for (int64_t i = 0; i < out * in; i++) turned->data[i % in * out + i / in] = w->data[i];
        const at_real *fx = computed(at_linear(&run, x, w, NULL))->data;
        const at_real *fy = computed(at_linear(&run, y, w, NULL))->data;
        at_tensor *expected = at_new2(&run, n, out);
        for (int64_t i = 0; i < n * out; i++)
            expected->data[i] = (at_real)(a * (double)fx[i] + b * (double)fy[i]);
        near(computed(at_linear(&run, sum, w, NULL))->data, expected->data, n * out, "a sum");
        near(computed(at_linear_io(&run, x, turned, NULL))->data, fx, n * out, "the transpose");
        at_tensor *shift = vector(out, 1);
        for (int64_t i = 0; i < n * out; i++) expected->data[i] = fx[i] + shift->data[i % out];
        near(computed(at_linear(&run, x, w, shift))->data, expected->data, n * out, "a bias");
        at_tensor *unit = normal2(in, in, 0);
        for (int64_t i = 0; i < in; i++) unit->data[i * in + i] = 1;
        same(computed(at_linear(&run, x, unit, NULL))->data, x->data, n * in, "identity");
    }
}

/* x + gelu(-x) = gelu(x), in both forms. */
static void gelu_and_its_mirror(void **state) {
    (void)state;
    EVERY_ROUND {
        const int64_t n = between(1, 200);
        at_tensor *x = normal2(1, n, 3), *minus = at_new2(&run, 1, n);
        for (int64_t i = 0; i < n; i++) minus->data[i] = -x->data[i];
        for (int form = 0; form < 2; form++) {
            at_tensor *mirror = computed(at_gelu(&run, minus, (at_gelu_form)form));
            at_tensor *y = computed(at_gelu(&run, x, (at_gelu_form)form));
            near(computed(at_add(&run, x, mirror))->data, y->data, n, "gelu");
            same(at_add(&run, mirror, x)->data, at_add(&run, x, mirror)->data, n, "a + b = b + a");
        }
    }
}

static void embed_takes_rows(void **state) {
    (void)state;
    EVERY_ROUND {
        const int64_t n = between(1, 90), V = between(1, 40), C = between(1, 90);
        at_tensor *table = normal2(V, C, 1);
        int32_t ids[90], turned[90];
        wanted(table);
        for (int64_t i = 0; i < n; i++) {
            ids[i] = (int32_t)between(0, V - 1);
            turned[n - 1 - i] = ids[i];
        }
        at_tensor *y = computed(at_embed(&run, table, ids, n));
        const at_tensor *z = computed(at_embed(&run, table, turned, n));
        for (int64_t i = 0; i < n; i++) {
            same(y->data + i * C, table->data + ids[i] * C, C, "a row");
            same(z->data + (n - 1 - i) * C, y->data + i * C, C, "a row in another place");
        }
        /* each row of the table gets the sum of what its tokens got: here how many they are */
        y->grad = at_run_alloc(&run, (size_t)(n * C) * sizeof(at_real));
        for (int64_t i = 0; i < n * C; i++) y->grad[i] = 1;
        assert_int_equal(at_backward_from(&run, y), AT_OK);
        for (int64_t v = 0; v < V; v++) {
            int64_t count = 0;
            for (int64_t i = 0; i < n; i++) count += ids[i] == v;
            for (int64_t c = 0; c < C; c++) assert_true(table->grad[v * C + c] == (at_real)count);
        }
    }
}

/* Zero or x / (1 - p), about 1 - p of them; the next draw is another one. */
static void dropout_keeps_its_share(void **state) {
    (void)state;
    EVERY_ROUND {
        const double p = 0.1 * (double)between(1, 8);
        at_tensor *x = normal2(50, 101, 1);
        const at_tensor *y = computed(at_dropout(&run, x, p)), *z = at_dropout(&run, x, p);
        int64_t kept = 0, both = 0;
        const at_real by = (at_real)(1 / (1 - p));
        for (int64_t i = 0; i < 5050; i++) {
            assert_true(y->data[i] == 0 || y->data[i] == x->data[i] * by);
            kept += y->data[i] != 0;
            both += y->data[i] != 0 && z->data[i] != 0;
        }
        const double sd = sqrt(5050 * p * (1 - p)), q = (1 - p) * (1 - p);
        assert_true(fabs((double)kept - 5050 * (1 - p)) < 5 * sd);
        assert_true(fabs((double)both - 5050 * q) < 5 * sqrt(5050 * q * (1 - q)));
        assert_ptr_equal(at_dropout(&run, x, 0), x);
    }
}

/* ---- losses --------------------------------------------------------------------------------- */

static void shift_rows(at_tensor *t) {
    for (int64_t i = 0; i < at_rows(t); i++) {
        const at_real by = (at_real)(4 * at_normal(5, AT_STREAM_TEST, draws++));
        for (int64_t c = 0; c < at_cols(t); c++) t->data[i * at_cols(t) + c] += by;
    }
}

static void rows_of_gradient_sum_to_zero(const at_tensor *t, const char *what) {
    for (int64_t i = 0; i < at_rows(t); i++) {
        double sum = 0;
        for (int64_t c = 0; c < at_cols(t); c++) sum += (double)t->grad[i * at_cols(t) + c];
        near1(sum, 0, what);
    }
}

static void xent_of_rows(void **state) {
    (void)state;
    EVERY_ROUND {
        const int64_t n = between(1, 40), V = between(1, 300);
        at_tensor *l = normal2(n, V, 3), *moved = copy_of(l), *flat = normal2(n, V, 0);
        int32_t label[40];
        double expected = 0;
        for (int64_t i = 0; i < n; i++) label[i] = (int32_t)between(i ? -1 : 0, V - 1);
        int64_t counted = 0;
        for (int64_t i = 0; i < n; i++) {
            double sum = 0;
            for (int64_t v = 0; v < V; v++) sum += exp((double)l->data[i * V + v]);
            if (label[i] < 0) continue;
            expected += log(sum) - (double)l->data[i * V + label[i]];
            counted++;
        }
        wanted(l);
        at_tensor *y = computed(at_xent(&run, l, label));
        near1((double)y->data[0], expected / (double)counted, "the definition");
        near1((double)computed(at_xent(&run, flat, label))->data[0], log((double)V), "no idea");
        shift_rows(moved);
        near1((double)computed(at_xent(&run, moved, label))->data[0], (double)y->data[0],
              "shifted");
        assert_int_equal(at_backward(&run, y, 1), AT_OK);
        rows_of_gradient_sum_to_zero(l, "gradient of a row");
    }
}

static void distill_of_rows(void **state) {
    (void)state;
    EVERY_ROUND {
        const int64_t n = between(1, 40), V = between(2, 300);
        const double tau = 0.5 * (double)between(1, 8);
        at_tensor *s = normal2(n, V, 2), *t = normal2(n, V, 2);
        at_tensor *s2 = copy_of(s), *t2 = copy_of(t);
        const double skew = 0.1 * (double)between(1, 9);
        double value[AT_KD_KINDS];
        shift_rows(s2);
        shift_rows(t2);
        for (int kind = 0; kind < AT_KD_KINDS; kind++) {
            const at_kd how = {(at_kd_kind)kind, tau, skew, AT_TOKENS_ALIKE};
            at_run_init(&run, &cp, &arena, true, 3);
            wanted(s);
            at_tensor *y = computed(at_distill(&run, s, t, &how));
            value[kind] = (double)y->data[0];
            assert_true(value[kind] > 0);
            const at_tensor *z = computed(at_distill(&run, s2, t2, &how));
            /* tau^2 multiplies what rounding leaves of the shifts */
            near1((double)z->data[0] / (tau * tau), value[kind] / (tau * tau), "shifted");
            assert_int_equal(at_backward(&run, y, 1), AT_OK);
            rows_of_gradient_sum_to_zero(s, "gradient of a row");
        }
        /* the divergence seen from the other side */
        static const at_kd_kind other[AT_KD_KINDS] = {
            AT_KD_REVERSE, AT_KD_FORWARD, AT_KD_SOFT, AT_KD_JS, AT_KD_SKEW_REVERSE, AT_KD_SKEW};
        for (int kind = 0; kind < AT_KD_KINDS; kind++) {
            if (kind == AT_KD_SOFT) continue; /* has no other side */
            const at_kd how = {other[kind], tau, skew, AT_TOKENS_ALIKE};
            near1((double)at_distill(&run, t, s, &how)->data[0], value[kind], "reversed");
        }
    }
}

/* The fused loss is the sum of its parts. */
static void head_loss_is_its_parts(void **state) {
    (void)state;
    EVERY_ROUND {
        const int64_t n = between(1, 150), C = between(1, 40), V = between(2, 300);
        const int64_t Ct = between(1, 40);
        at_tensor *x = normal2(n, C, 1), *w = normal2(V, C, 0.3);
        at_head_spec h = {.teacher_x = normal2(n, Ct, 1),
                          .teacher_w = normal2(V, Ct, 0.3),
                          .kd = {(at_kd_kind)(round_ % AT_KD_KINDS), 2, 0.3, AT_TOKENS_ALIKE},
                          .alpha = 0.3};
        int32_t label[150];
        for (int64_t i = 0; i < n; i++) label[i] = (int32_t)between(i ? -1 : 0, V - 1);
        h.label = label;
        at_head_report rep;
        const double y = (double)computed(at_head_loss(&run, x, w, &h, &rep))->data[0];
        at_tensor *s = at_linear(&run, x, w, NULL),
                  *t = at_linear(&run, h.teacher_x, h.teacher_w, NULL);
        const double ce = (double)computed(at_xent(&run, s, label))->data[0];
        const double kd = (double)computed(at_distill(&run, s, t, &h.kd))->data[0];
        near1(rep.ce, ce, "cross entropy");
        near1(rep.kd, kd, "divergence");
        near1(y, 0.3 * ce + 0.7 * kd, "together");
    }
}

/* Row i of t alone. */
static at_tensor *row_of(const at_tensor *t, int64_t i) {
    at_tensor *y = at_new2(&run, 1, at_cols(t));
    assert_non_null(y);
    memcpy(y->data, t->data + i * at_cols(t), (size_t)at_cols(t) * sizeof(at_real));
    return y;
}

static double share_of(at_token_weight kind, double tau, const at_tensor *s, const at_tensor *t,
                       int64_t i, int32_t label) {
    const at_tensor *x = kind == AT_TOKEN_SURPRISE ? s : t;
    const at_real *row = x->data + i * at_cols(x);
    double sum = 0;
    if (kind == AT_TOKEN_SURPRISE) tau = 1;
    for (int64_t v = 0; v < at_cols(x); v++) sum += exp((double)row[v] / tau);
    if (label < 0) return 0;
    const double p = exp((double)row[label] / tau) / sum;
    return kind == AT_TOKEN_SURPRISE ? -log(p) : 1 - p;
}

/* Loss and gradient of weighed rows are those of each row alone, by shares that add up to 1. */
static void tokens_are_weighed(void **state) {
    (void)state;
    EVERY_ROUND {
        const int64_t n = between(1, 20), V = between(2, 60);
        at_tensor *s = normal2(n, V, 1.5), *t = normal2(n, V, 1.5);
        const at_kd how = {(at_kd_kind)(round_ % AT_KD_KINDS), 1.5, 0.2,
                           round_ % 2 ? AT_TOKEN_SURPRISE : AT_TOKEN_TEACHER};
        at_kd alike = how;
        alike.weight = AT_TOKENS_ALIKE;
        int32_t label[20];
        double w[20], sum = 0, loss = 0;
        for (int64_t i = 0; i < n; i++) {
            label[i] = (int32_t)between(i ? -1 : 0, V - 1);
            sum += w[i] = share_of(how.weight, how.tau, s, t, i, label[i]);
        }
        wanted(s);
        at_tensor *y = computed(at_distill_tokens(&run, s, t, &how, label));
        assert_int_equal(at_backward(&run, y, 1), AT_OK);
        at_real *expected = normal2(n, V, 0)->data;
        for (int64_t i = 0; i < n; i++) {
            at_run_init(&run, &cp, &arena, true, 3);
            at_tensor *one = row_of(s, i);
            wanted(one);
            at_tensor *l = computed(at_distill_tokens(&run, one, row_of(t, i), &alike, NULL));
            assert_int_equal(at_backward(&run, l, 1), AT_OK);
            loss += w[i] / sum * (double)l->data[0];
            for (int64_t v = 0; v < V; v++)
                expected[i * V + v] = (at_real)(w[i] / sum * (double)one->grad[v]);
        }
        near1((double)y->data[0], loss, "loss");
        near(s->grad, expected, n * V, "gradient");
    }
}

static double norm_of_gradient(at_tensor *logits, at_tensor *loss) {
    double squares = 0;
    assert_int_equal(at_backward(&run, computed(loss), 1), AT_OK);
    for (int64_t i = 0; i < at_numel(logits); i++)
        squares += (double)logits->grad[i] * (double)logits->grad[i];
    return sqrt(squares);
}

static int asked;
static double by_norms(void *user, const at_head_report *known) {
    *(at_head_report *)user = *known;
    asked++;
    return known->ce / (known->ce + known->kd);
}

/* Whatever the blocks: losses, norms and the gradient of the fused loss are those of its parts, with
   weights of tokens and with a weight that follows from the losses. */
static void weighed_head_loss_is_its_parts(void **state) {
    (void)state;
    EVERY_ROUND {
        const int64_t n = between(1, 40), C = between(1, 20), V = between(2, 60);
        at_tensor *x = normal2(n, C, 1), *w = normal2(V, C, 0.3);
        at_tensor *x2 = copy_of(x), *w2 = copy_of(w);
        int32_t label[40];
        for (int64_t i = 0; i < n; i++) label[i] = (int32_t)between(i ? -1 : 0, V - 1);
        at_head_report known = {0}, rep;
        const at_head_spec h = {
            .label = label,
            .teacher_x = normal2(n, C, 1),
            .teacher_w = normal2(V, C, 0.3),
            .kd = {(at_kd_kind)(round_ % AT_KD_KINDS), 2, 0.3, (at_token_weight)(round_ % 3)},
            .alpha = 0.3,
            .norms = round_ % 5 != 0,
            .weigh = round_ % 4 ? by_norms : NULL,
            .user = &known,
            .block = between(0, n)};
        for (int i = 0; i < 2; i++) wanted(i ? w : x), wanted(i ? w2 : x2);
        asked = 0;
        at_tally tally = {0};
        run.tally = &tally;
        at_tensor *y = computed(at_head_loss(&run, x, w, &h, &rep));
        run.tally = NULL;
        const bool twice = (h.weigh || h.kd.weight) && h.block > 0 && h.block < n;
        near1(tally.forward, (double)(n * V * C * 4 * (twice ? 2 : 1)), "operations");
        assert_int_equal(asked, h.weigh ? 1 : 0);
        assert_int_equal(at_backward(&run, y, 1), AT_OK);

        at_run_init(&run, &cp, &arena, true, 3);
        at_tensor *s = computed(at_linear(&run, x2, w2, NULL));
        at_tensor *t = computed(at_linear(&run, h.teacher_x, h.teacher_w, NULL));
        at_tensor *loss[] = {computed(at_xent(&run, s, label)),
                             computed(at_distill_tokens(&run, s, t, &h.kd, label))};
        const double ce = (double)loss[0]->data[0], kd = (double)loss[1]->data[0];
        const double alpha = h.weigh ? ce / (ce + kd) : 0.3;
        near1(rep.ce, ce, "cross entropy");
        near1(rep.kd, kd, "divergence");
        near1((double)y->data[0], alpha * ce + (1 - alpha) * kd, "together");
        at_tensor *both = computed(at_weighted_sum(&run, loss, (double[]){alpha, 1 - alpha}, 2));
        assert_int_equal(at_backward(&run, both, 1), AT_OK);
        near(x->grad, x2->grad, n * C, "dx");
        near(w->grad, w2->grad, V * C, "dw");
        for (int i = 0; i < 2; i++) {
            at_run_init(&run, &cp, &arena, true, 3);
            at_tensor *copy = copy_of(s);
            wanted(copy);
            const double norm =
                norm_of_gradient(copy, i ? at_distill_tokens(&run, copy, t, &h.kd, label)
                                         : at_xent(&run, copy, label));
            near1(i ? rep.kd_norm : rep.ce_norm, h.norms ? norm : 0, i ? "norm of kd" : "of ce");
        }
        if (h.weigh) {
            near1(known.ce, rep.ce, "ce before");
            near1(known.kd, rep.kd, "kd before");
            near1(known.ce_norm, rep.ce_norm, "norm of ce before");
            near1(known.kd_norm, rep.kd_norm, "norm of kd before");
        }
    }
}

/* Tokens weigh the same whether their teacher is read or listed, and those of whom no teacher speaks
   nothing: the others weigh what they would without them. */
static void taught_tokens_are_weighed(void **state) {
    (void)state;
    EVERY_ROUND {
        enum { MOST = 20, V = 7, C = 3 };
        const int64_t n = between(2, MOST);
        at_tensor *x = normal2(n, C, 1), *w = normal2(V, C, 1), *tx = normal2(n, C, 1);
        at_tensor *tw = normal2(V, C, 1), *few = normal2(n, C, 0), *few_tx = normal2(n, C, 0);
        at_tensor *z = computed(at_linear(&run, tx, tw, NULL));
        int32_t label[MOST], few_label[MOST], id[MOST * V];
        at_real logq[MOST * V], left[MOST] = {0};
        int64_t row[MOST], m = 0;
        for (int64_t i = 0; i < n; i++) {
            double sum = 0;
            row[i] = i && between(0, 2) == 0 ? -1 : i;
            label[i] = (int32_t)between(0, V - 1);
            for (int v = 0; v < V; v++) sum += exp((double)z->data[i * V + v] / 2);
            for (int v = 0; v < V; v++) { /* in any order */
                id[i * V + v] = V - 1 - v;
                logq[i * V + v] = (at_real)((double)z->data[i * V + V - 1 - v] / 2 - log(sum));
            }
            if (row[i] < 0) continue;
            memcpy(few->data + m * C, x->data + i * C, C * sizeof(at_real));
            memcpy(few_tx->data + m * C, tx->data + i * C, C * sizeof(at_real));
            few_label[m++] = label[i];
        }
        few->dim[0] = few_tx->dim[0] = m;
        const at_top top = {.n = V, .v = V, .id = id, .logq = logq, .left = left};
        const at_head_teacher listed = {.top = &top, .row = row, .weight = 1},
                              reads = {.x = tx, .w = tw, .row = row, .weight = 1};
        at_head_spec h = {
            .label = few_label,
            .teacher_x = few_tx,
            .teacher_w = tw,
            .kd = {AT_KD_FORWARD, 2, 0, round_ % 2 ? AT_TOKEN_SURPRISE : AT_TOKEN_TEACHER},
            .norms = true,
            .alpha = 0.3};
        at_head_report of_few, of_all;
        (void)computed(at_head_loss(&run, few, w, &h, &of_few));
        h.label = label;
        h.teacher_x = NULL;
        h.n_teachers = 1;
        for (int i = 0; i < 2; i++) {
            h.teacher = i ? &listed : &reads;
            h.block = between(0, n);
            (void)computed(at_head_loss(&run, x, w, &h, &of_all));
            near1(of_all.kd, of_few.kd, "divergence");
            near1(of_all.kd_norm, of_few.kd_norm, "norm");
        }
    }
}

/* ---- routing ------------------------------------------------------------------------------- */

static void gates_are_shares(void **state) {
    (void)state;
    EVERY_ROUND {
        const int64_t n = between(1, 60), E = between(1, 20), k = between(1, E);
        at_tensor *l = normal2(n, E, 2);
        at_routing ro, all;
        const at_tensor *g = computed(at_route(&run, l, k, true, &ro));
        const at_tensor *full = computed(at_route(&run, l, E, false, &all));
        for (int64_t i = 0; i < n; i++) {
            double sum = 0, whole = 0;
            for (int64_t j = 0; j < k; j++) {
                sum += (double)g->data[i * k + j];
                assert_int_equal(ro.pick[i * k + j], all.pick[i * E + j]);
                assert_true(j == 0 || g->data[i * k + j] <= g->data[i * k + j - 1]);
            }
            for (int64_t j = 0; j < E; j++) whole += (double)full->data[i * E + j];
            near1(sum, 1, "renormalised gates");
            near1(whole, 1, "gates of all experts");
        }
        /* every slot is in the list of one expert, the one it picked */
        assert_int_equal(ro.first[0], 0);
        assert_int_equal(ro.first[E], n * k);
        for (int64_t e = 0; e < E; e++)
            for (int64_t i = ro.first[e]; i < ro.first[e + 1]; i++) {
                assert_int_equal(ro.pick[ro.slot[i]], e);
                assert_true(i == ro.first[e] || ro.slot[i] > ro.slot[i - 1]);
            }
    }
}

/* The value of a pixel; 0 outside of the image. */
static double pixel(const at_tensor *x, int64_t b, int64_t y, int64_t at, int64_t c) {
    const bool in = y >= 0 && y < x->dim[1] && at >= 0 && at < x->dim[2];
    return in ? (double)x->data[((b * x->dim[1] + y) * x->dim[2] + at) * x->dim[3] + c] : 0;
}

/* Convolution and pooling by their definitions. */
static void images_by_definition(void **state) {
    (void)state;
    EVERY_ROUND {
        const at_window w = {between(1, 4), between(1, 4), between(1, 3), 0};
        at_window v = w;
        v.pad = between(0, (w.rows < w.columns ? w.rows : w.columns) - 1);
        const int64_t B = between(1, 3), h = between(4, 9), wide = between(4, 9), C = between(1, 4),
                      out = between(1, 5), K = w.rows * w.columns * C;
        at_tensor *flat = normal2(B * h * wide, C, 1);
        at_tensor *x = at_view(&run, flat, 4, (int64_t[]){B, h, wide, C});
        at_tensor *k = normal2(out, K, 1), *bias = vector(out, 1);
        at_tensor *y = computed(at_linear(&run, computed(at_patches(&run, x, &v)), k, bias));
        at_tensor *most = computed(at_pool_window(&run, x, &v, AT_POOL_MAX));
        at_tensor *mean = computed(at_pool_window(&run, x, &v, AT_POOL_MEAN));
        const int64_t H = (h + 2 * v.pad - v.rows) / v.stride + 1;
        const int64_t W = (wide + 2 * v.pad - v.columns) / v.stride + 1;
        assert_true(y->dim[1] == H && y->dim[2] == W && most->dim[1] == H && most->dim[2] == W);
        for (int64_t p = 0; p < B * H * W; p++) {
            const int64_t b = p / (H * W), top = p / W % H * v.stride - v.pad,
                          left = p % W * v.stride - v.pad;
            for (int64_t o = 0; o < out; o++) {
                double sum = (double)bias->data[o];
                for (int64_t i = 0; i < K; i++)
                    sum += (double)k->data[o * K + i] *
                           pixel(x, b, top + i / (v.columns * C), left + i / C % v.columns, i % C);
                near1((double)y->data[p * out + o], sum, "convolution");
            }
            for (int64_t c = 0; c < C; c++) {
                double sum = 0, n = 0, best = -1e9;
                for (int64_t i = top; i < top + v.rows; i++)
                    for (int64_t j = left; j < left + v.columns; j++) {
                        if (i < 0 || i >= h || j < 0 || j >= wide) continue;
                        sum += pixel(x, b, i, j, c);
                        best = fmax(best, pixel(x, b, i, j, c));
                        n++;
                    }
                near1((double)most->data[p * C + c], best, "the largest");
                near1((double)mean->data[p * C + c], sum / n, "the mean");
            }
        }
    }
}

/* Of equal values the first has the gradient. */
static void the_first_of_equals(void **state) {
    (void)state;
    at_run_init(&run, &cp, &arena, true, 3);
    at_tensor *x = at_new(&run, 4, (int64_t[]){1, 2, 2, 1});
    for (int i = 0; i < 4; i++) x->data[i] = i > 0;
    wanted(x);
    at_tensor *y = computed(at_pool_window(&run, x, &(at_window){2, 2, 1, 0}, AT_POOL_MAX));
    at_real one = 1;
    y->grad = &one;
    assert_int_equal(at_backward_from(&run, y), AT_OK);
    for (int i = 0; i < 4; i++) assert_true(x->grad[i] == (at_real)(i == 1));
    at_run_init(&run, &cp, &arena, false, 3);
    x = at_new(&run, 4, (int64_t[]){1, 2, 2, 1});
    assert_null(at_patches(&run, x, &(at_window){3, 1, 1, 0}));
    assert_non_null(strstr(run.message, "does not fit into [1,2,2,1]"));
    at_run_init(&run, &cp, &arena, false, 3);
    assert_null(at_pool_window(&run, x, &(at_window){2, 2, 1, 2}, AT_POOL_MEAN));
    assert_non_null(strstr(run.message, "beside the image"));
    at_run_init(&run, &cp, &arena, false, 3);
    assert_null(at_patches(&run, normal2(2, 2, 1), &(at_window){1, 1, 1, 0}));
    assert_non_null(strstr(run.message, "expected images"));
}

/* When all experts have the same matrix, routing has no effect. */
static void equal_experts_are_one(void **state) {
    (void)state;
    EVERY_ROUND {
        const int64_t n = between(1, 60), E = between(1, 6), k = between(1, E);
        const int64_t in = between(1, 40), out = between(1, 40);
        at_tensor *x = normal2(n, in, 1), *w = normal2(in, out, 1), *l = normal2(n, E, 2);
        at_tensor *each[6];
        for (int64_t e = 0; e < E; e++) each[e] = w;
        at_routing ro;
        at_tensor *gates = computed(at_route(&run, l, k, true, &ro));
        at_tensor *y = computed(at_expert_linear(&run, x, each, &ro));
        y = computed(at_expert_sum(&run, y, gates));
        near(y->data, computed(at_linear_io(&run, x, w, NULL))->data, n * out, "equal experts");
    }
}

int main(void) {
    at_ctx_init(&ctx, 2);
    at_arena_init(&arena, &ctx);
    if (at_compute_open(&cp, &ctx) != AT_OK) return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(attention_is_a_mean),
        cmocka_unit_test(attention_is_causal),
        cmocka_unit_test(attention_ignores_a_shift_of_keys),
        cmocka_unit_test(stick_is_never_longer_than_whole),
        cmocka_unit_test(layernorm_has_mean_0_and_variance_1),
        cmocka_unit_test(l2norm_has_length_1),
        cmocka_unit_test(images_by_definition),
        cmocka_unit_test(the_first_of_equals),
        cmocka_unit_test(linear_is_linear),
        cmocka_unit_test(gelu_and_its_mirror),
        cmocka_unit_test(embed_takes_rows),
        cmocka_unit_test(dropout_keeps_its_share),
        cmocka_unit_test(xent_of_rows),
        cmocka_unit_test(distill_of_rows),
        cmocka_unit_test(head_loss_is_its_parts),
        cmocka_unit_test(tokens_are_weighed),
        cmocka_unit_test(weighed_head_loss_is_its_parts),
        cmocka_unit_test(taught_tokens_are_weighed),
        cmocka_unit_test(gates_are_shares),
        cmocka_unit_test(equal_experts_are_one),
    };
    const int bad = cmocka_run_group_tests(tests, NULL, NULL);
    at_arena_close(&arena);
    at_compute_close(&cp);
    return bad;
}
