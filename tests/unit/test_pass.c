/*
 * test_pass.c - one way through a model: the input is const and of a kind, routers are known by what
 * they are and not by when they come, a teacher's pass leaves no trace in its student's, and several
 * sequences decoded together get the bits of each alone.
 */
#include "arch/read.h"
#include "base/rng.h"
#include "check.h"
#include "infer/session.h"
#include <math.h>
#include <stdio.h>

enum { B = 2, T = 9, V = 37, N = B * T };

static at_ctx ctx;
static at_compute cp;
static at_arena arena;
static int32_t ids[N], label[N];

static int setup(void **state) {
    (void)state;
    at_ctx_init(&ctx, 2);
    OK(at_compute_open(&cp, &ctx));
    at_arena_init(&arena, &ctx);
    for (int i = 0; i < N; i++) {
        ids[i] = i * 5 % V;
        label[i] = i * 11 % V;
    }
    return 0;
}
static int teardown(void **state) {
    (void)state;
    at_arena_close(&arena);
    at_compute_close(&cp);
    return 0;
}

static at_model *model_of(const char *keys, uint64_t seed) {
    char text[600];
    at_conf *f = NULL;
    at_model *m = NULL;
    (void)snprintf(text, sizeof text, "model: {initializer_range: 0.5, %s}\n", keys);
    OK(at_conf_parse(&ctx, "recipe", text, strlen(text), &f));
    OK(at_model_new(&ctx, f, "model", V, seed, &m));
    OK(at_conf_finish(&ctx, f));
    at_conf_close(f);
    for (int64_t i = 0; i < m->store.n; i++) { /* biases begin at zero */
        at_tensor *t = &m->store.p[i]->t;
        for (int64_t j = 0; t->rank == 1 && j < at_numel(t); j++)
            t->data[j] += (at_real)(0.1 * at_normal(seed, (uint64_t)i, (uint64_t)j));
    }
    return m;
}

static const char mixture[] =
    "arch: moduleformer, n_layer: 2, n_embd: 12, att_hidden: 8, n_head: 2, "
    "ffd_hidden: 10, gating_size: 7, n_att_experts: 4, n_mlp_experts: 5, "
    "resid_pdrop: 0.1, sample_topk: 1";

/* ---- a student and its teacher ---- */

typedef struct {
    double loss, value[AT_AUX_KINDS], slots;
    at_real *grad;
} outcome;

/* A student's step with its teacher read first, or between the student's pass and its loss. */
static void step(at_model *student, at_model *teacher, bool first, outcome *out) {
    static const at_aux aux = {.weight = {0.3, -0.2, 0.25, 0.1}, .factor = {1, 0.7}};
    const at_input in = {.ids = ids, .B = B, .T = T};
    at_usage usage = {0};
    at_pass pass = {.aux = &aux, .usage = &usage}, still = {.still = true};
    at_run r;
    at_store_zero_grad(&student->store);
    at_run_init(&r, &cp, &arena, true, 3);
    at_tensor *y = first ? at_model_hidden(teacher, &r, &in, &still) : NULL;
    at_tensor *x = at_model_hidden(student, &r, &in, &pass);
    if (!first) y = at_model_hidden(teacher, &r, &in, &still);
    assert_null(still.loss);
    assert_true(r.train);
    const at_head_spec spec = {.label = label,
                               .teacher_x = y,
                               .teacher_w = at_model_head(teacher),
                               .kd.tau = 2,
                               .alpha = 0.5};
    at_tensor *loss = at_head_loss(&r, x, at_model_head(student), &spec, NULL);
    loss = at_weighted_sum(&r, (at_tensor *[]){loss, pass.loss}, (double[]){1, 1}, 2);
    OK(at_backward(&r, loss, 1));
    out->loss = (double)loss->data[0];
    memcpy(out->value, pass.value, sizeof pass.value);
    out->slots = 0;
    assert_int_equal(usage.n, 4);
    for (int64_t i = 0; i < usage.n; i++)
        for (int64_t e = 0; e < usage.router[i].e; e++) out->slots += usage.router[i].slots[e];
    out->grad = malloc((size_t)student->store.numel * sizeof *out->grad);
    assert_non_null(out->grad);
    memcpy(out->grad, student->store.grad, (size_t)student->store.numel * sizeof *out->grad);
    at_usage_close(&usage);
    at_arena_rewind(&arena, (at_mark){0});
}

/* The teacher may have gradients of its own to collect (another learner's turn): none come. */
static void teacher_leaves_no_trace(void **state) {
    (void)state;
    at_model *student = model_of(mixture, 1), *teacher = model_of(mixture, 2);
    outcome a, b;
    OK(at_store_train(&student->store, true));
    OK(at_store_train(&teacher->store, true));
    at_store_zero_grad(&teacher->store);
    step(student, teacher, true, &a);
    step(student, teacher, false, &b);
    assert_true(a.loss == b.loss);
    assert_memory_equal(a.value, b.value, sizeof a.value);
    assert_true(a.slots == 4 * 2 * N && b.slots == a.slots);
    assert_memory_equal(a.grad, b.grad, (size_t)student->store.numel * sizeof *a.grad);
    for (int64_t i = 0; i < teacher->store.numel; i++) assert_true(teacher->store.grad[i] == 0);
    free(a.grad);
    free(b.grad);
    at_model_close(student);
    at_model_close(teacher);
}

/* ---- routers ---- */

/* In whatever order they come, counts and loads are those of the router named. */
static void routers_by_name(void **state) {
    (void)state;
    static const at_router_id order[2][3] = {
        {{0, AT_LAYER_ATTENTION}, {0, AT_LAYER_FEED_FORWARD}, {1, AT_LAYER_ATTENTION}},
        {{1, AT_LAYER_ATTENTION}, {0, AT_LAYER_ATTENTION}, {0, AT_LAYER_FEED_FORWARD}}};
    static const at_aux aux = {.weight = {1}, .factor = {1, 1}};
    at_usage usage = {0};
    at_loads loads = {0};
    double value[2];
    for (int way = 0; way < 2; way++) {
        at_run r;
        at_run_init(&r, &cp, &arena, false, 0);
        const at_input in = {.ids = ids, .B = B, .T = T};
        at_pass p = {.aux = &aux, .usage = way ? &usage : NULL, .loads = &loads, .collect = !way};
        if (!way) at_loads_reset(&loads);
        assert_true(at_pass_begin(&r, &p, &in));
        for (int i = 0; i < 3; i++) { /* each has its own preferences */
            const at_router_id id = order[way][i];
            at_tensor *l = at_new2(&r, N, 4);
            at_routing ro;
            for (int j = 0; j < N * 4; j++)
                l->data[j] = (at_real)((j * (3 + 2 * (int)id.kind + 5 * (int)id.layer)) % 7);
            (void)at_route(&r, l, 2, false, &ro);
            at_pass_router(&r, &p, id, l, &ro);
        }
        OK(at_run_status(&r));
        if (!way) at_loads_finish(&loads);
        value[way] = p.value[AT_AUX_MUTUAL];
        at_arena_rewind(&arena, (at_mark){0});
    }
    assert_true(value[0] == 0 && value[1] < 0);
    for (int64_t i = 0; i < 3; i++) {
        const at_router_usage *u = at_usage_of(&ctx, &usage, loads.of.router[i].id, 4);
        assert_int_equal(u->tokens, N);
        for (int e = 0; e < 4; e++)
            assert_true(fabs(loads.of.router[i].slots[e] - u->slots[e] / (2 * N)) < 1e-12);
    }
    assert_int_equal(usage.n, 3);
    at_usage_close(&usage);
    at_loads_close(&loads);
}

/* ---- inputs ---- */

/* A pass changes no part of its input, nor anything that the next one sees: not even a cache. */
static void input_is_const(void **state) {
    (void)state;
    at_model *m = model_of(mixture, 1);
    const int64_t A = m->dims.cache_width;
    at_real *room = at_calloc(&ctx, (size_t)(2 * 2 * 20 * A), sizeof *room);
    assert_non_null(room);
    const at_kv kv[2] = {{room, room + 20 * A, 20}, {room + 40 * A, room + 60 * A, 20}};
    const at_span span = {.n = 5, .past = 4, .cache = kv};
    const at_input in = {.ids = ids, .B = 1, .T = 5, .spans = {&span, 1}}, before = in;
    at_run r;
    at_run_init(&r, &cp, &arena, false, 0);
    at_pass p = {.aux = &(at_aux){.weight = {1, 1, 1, 1}, .factor = {1, 1}}};
    const at_tensor *a = at_model_hidden(m, &r, &in, &p), *loss = p.loss;
    const at_tensor *b = at_model_hidden(m, &r, &in, &p);
    OK(at_run_status(&r));
    assert_true(loss->data[0] != 0 && loss->data[0] == p.loss->data[0]);
    assert_memory_equal(a->data, b->data, (size_t)at_numel(a) * sizeof(at_real));
    assert_memory_equal(&in, &before, sizeof in);
    for (int64_t j = 0; j < 4 * A; j++) assert_true(room[j] == 0); /* what was there stays */
    for (int64_t j = 4 * A; j < 9 * A; j++) assert_true(room[j] != 0);
    at_arena_rewind(&arena, (at_mark){0});
    at_free(room);
    at_model_close(m);
}

static void refused_inputs(void **state) {
    (void)state;
    static const char *const yaml[] = {mixture, "arch: gpt2, n_layer: 1, n_embd: 8, n_head: 2"};
    static const at_kv kv[2] = {{0}};
    static const at_span span = {.n = 4, .cache = kv};
    static const int32_t none[B] = {0};
    const at_input bad[] = {
        {.kind = AT_INPUT_ROWS, .B = B, .T = T},
        {.kind = AT_INPUT_IMAGES, .B = B, .T = T},
        {.ids = ids, .B = 1, .T = 5, .spans = {&span, 1}},              /* 4 tokens of 5 */
        {.ids = ids, .B = 2, .T = 2, .spans = {&span, 1}},              /* a batch */
        {.ids = ids, .B = 1, .T = 4, .end = none, .spans = {&span, 1}}, /* padding */
        {.ids = ids, .B = 1, .T = 4, .spans = {&span, 1}},              /* no room in the cache */
    };
    for (int k = 0; k < 2; k++) {
        at_model *m = model_of(yaml[k], 1);
        for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
            at_run r;
            at_run_init(&r, &cp, &arena, false, 0);
            assert_null(at_model_hidden(m, &r, &bad[i], NULL));
            assert_int_equal(at_run_status(&r), AT_ARG);
            if (i == 0)
                assert_non_null(strstr(ctx.message, "reads token ids, not rows of numbers"));
            at_arena_rewind(&arena, (at_mark){0});
        }
        at_model_close(m);
    }
}

/* ---- several sequences ---- */

enum { VARIED = 6, SEQUENCES = 20, PASSES = 8, LONGEST_TEXT = 160 };

/* Tokens that the first sequences read in each pass; 0: it is not there. */
static const int varied[PASSES][VARIED] = {
    {30, 0, 5, 0, 1, 0}, {1, 3, 1, 0, 1, 0},   {1, 1, 1, 20, 1, 0},
    {0, 1, 2, 1, 1, 90}, {0, 17, 1, 1, 4, 1},  {1, 1, 1, 1, 1, 1},
    {4, 0, 1, 16, 0, 1}, {20, 17, 0, 0, 0, 0}, /* none of few */
};

/* The others read one token each in some passes, so that there are many sequences of few tokens. */
static int reads(int pass, int which) {
    return which < VARIED ? varied[pass][which] : pass > 1 && pass < 5;
}

/* Tokens of a sequence alone, with the same pieces; logits of pass i at alone[i]. */
static void read_alone(at_model *m, int which, at_real (*alone)[V]) {
    at_session s;
    const at_real *l;
    int64_t at = 0;
    OK(at_session_open(&cp, m, 0, &s));
    for (int i = 0; i < PASSES; i++) {
        int32_t text[LONGEST_TEXT];
        const int n = reads(i, which);
        if (!n) continue;
        for (int k = 0; k < n; k++)
            text[k] =
                (int32_t)at_rand_below(V, (uint64_t)which, AT_STREAM_TEST, (uint64_t)(at + k));
        at += n;
        OK(at_session_feed(&s, text, n, &l));
        memcpy(alone[i], l, sizeof *alone);
    }
    at_session_close(&s);
}

static void read_together(at_model *m, at_real (*alone)[PASSES][V], const char *name) {
    at_session s[SEQUENCES];
    int64_t at[SEQUENCES] = {0};
    for (int q = 0; q < SEQUENCES; q++) OK(at_session_open(&cp, m, 0, &s[q]));
    for (int i = 0; i < PASSES; i++) {
        static int32_t text[SEQUENCES][LONGEST_TEXT];
        at_session_part part[SEQUENCES];
        int which[SEQUENCES];
        int64_t n = 0;
        for (int k = 0; k < SEQUENCES; k++) {
            const int q = (k + i) % SEQUENCES; /* in another order each time */
            if (!reads(i, q)) continue;
            for (int t = 0; t < reads(i, q); t++)
                text[q][t] =
                    (int32_t)at_rand_below(V, (uint64_t)q, AT_STREAM_TEST, (uint64_t)at[q]++);
            which[n] = q;
            part[n++] = (at_session_part){.session = &s[q], .ids = text[q], .n = reads(i, q)};
        }
        OK(at_session_feed_all(part, n));
        for (int64_t k = 0; k < n; k++) {
            assert_int_equal(at_session_length(part[k].session), at[which[k]]);
            for (int64_t j = 0; j < V; j++)
                if (memcmp(&part[k].logits[j], &alone[which[k]][i][j], sizeof(at_real)))
                    fail_msg("%s: pass %d, sequence %d, logit %d: %a, alone %a", name, i, which[k],
                             (int)j, (double)part[k].logits[j], (double)alone[which[k]][i][j]);
        }
    }
    for (int q = 0; q < SEQUENCES; q++) at_session_close(&s[q]);
}

/* Sequences of different lengths, joining and leaving, get the bits of each alone.  Widths are such
   that few rows and many go different ways with different last bits. */
static void together_as_alone(void **state) {
    (void)state;
    static const char *const yaml[] = {
        "arch: gpt2, n_layer: 2, n_embd: 400, n_head: 5, n_positions: 200",
        "arch: moduleformer, n_layer: 2, n_embd: 400, att_hidden: 400, ffd_hidden: 420, "
        "n_att_experts: 3, n_mlp_experts: 5, gating_size: 40",
        "arch: moduleformer, n_layer: 1, n_embd: 400, n_head: 3, att_hidden: 402, ffd_hidden: 410, "
        "n_att_experts: 4, k_att: 3, n_mlp_experts: 5, gate_type: gmm, activation_function: swiglu",
        "arch: moduleformer, n_layer: 2, n_embd: 400, n_head: 2, att_hidden: 404, ffd_hidden: 410, "
        "n_att_experts: 4, n_mlp_experts: 3, att_func: softmax, gate_type: linear, norm: rms",
        "arch: moduleformer, n_layer: 1, n_embd: 400, n_head: 2, att_hidden: 404, ffd_hidden: 410, "
        "n_att_experts: 1, k_att: 1, n_mlp_experts: 1, k_mlp: 1, att_func: softmax"};
    static at_real alone[SEQUENCES][PASSES][V];
    for (size_t i = 0; i < sizeof yaml / sizeof *yaml; i++) {
        at_model *m = model_of(yaml[i], 7);
        for (int threads = 1; threads <= 2; threads++) {
            at_compute_close(&cp);
            ctx.threads = threads;
            OK(at_compute_open(&cp, &ctx));
            for (int q = 0; q < SEQUENCES && threads == 1; q++) read_alone(m, q, alone[q]);
            read_together(m, alone, yaml[i]);
        }
        at_model_close(m);
    }
}

/* What cannot be read together leaves every session as it was. */
static void refused_sessions(void **state) {
    (void)state;
    static const char small[] = "arch: gpt2, n_layer: 1, n_embd: 8, n_head: 2, n_positions: 6";
    at_model *m = model_of(small, 1), *other = model_of(small, 2);
    at_session a, b, c;
    OK(at_session_open(&cp, m, 0, &a));
    OK(at_session_open(&cp, m, 4, &b));
    OK(at_session_open(&cp, other, 0, &c));
    at_session_part twice[] = {{&a, ids, 2, NULL}, {&a, ids, 2, NULL}},
                    two[] = {{&a, ids, 2, NULL}, {&c, ids, 2, NULL}},
                    full[] = {{&a, ids, 2, NULL}, {&b, ids, 5, NULL}},
                    good[] = {{&a, ids, 6, NULL}, {&b, ids, 4, NULL}};
    assert_int_equal(at_session_feed_all(twice, 2), AT_ARG);
    assert_int_equal(at_session_feed_all(two, 2), AT_ARG);
    assert_int_equal(at_session_feed_all(full, 2), AT_ARG);
    OK(at_session_feed_all(good, 0));
    assert_true(at_session_length(&a) == 0 && at_session_length(&b) == 0);
    OK(at_session_feed_all(good, 2));
    assert_true(at_session_length(&a) == 6 && at_session_length(&b) == 4);
    at_session_close(&a);
    at_session_close(&b);
    at_session_close(&c);
    at_model_close(m);
    at_model_close(other);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(teacher_leaves_no_trace), cmocka_unit_test(routers_by_name),
        cmocka_unit_test(input_is_const),          cmocka_unit_test(refused_inputs),
        cmocka_unit_test(together_as_alone),       cmocka_unit_test(refused_sessions),
    };
    return cmocka_run_group_tests_name("pass", tests, setup, teardown);
}
