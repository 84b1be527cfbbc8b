/*
 * test_prune.c - experts of a mixture are scored, chosen and taken out: what is left answers to the bit as the
 * old model does without them, from memory and from files, which shrink; and what cannot be is refused.
 */
#include "arch/closed.h"
#include "base/rng.h"
#include "check.h"
#include "infer/atlas.h"
#include "infer/evaluate.h"
#include "infer/prune.h"
#include <math.h>
#include <stdio.h>

#define DATA "tests/golden/runs/data"
enum { V = 320, LAYERS = 2, ATT = 3, MLP = 5, T = 12 };

static at_ctx ctx;
static at_compute cp;
static at_arena arena;
static at_dataset *data;
static char *dir;

static int setup(void **state) {
    (void)state;
    at_ctx_init(&ctx, 1);
    OK(at_compute_open(&cp, &ctx));
    at_arena_init(&arena, &ctx);
    OK(at_dataset_open(&ctx, DATA, &data));
    dir = strdup(temporary_folder());
    return 0;
}
static int teardown(void **state) {
    (void)state;
    at_dataset_close(data);
    (void)at_remove_tree(&ctx, dir);
    free(dir);
    at_arena_close(&arena);
    at_compute_close(&cp);
    return 0;
}

static at_status make(const char *more, at_model **out) {
    char yaml[600];
    at_conf *f = NULL;
    const int n =
        snprintf(yaml, sizeof yaml,
                 "model: {arch: moduleformer, n_layer: %d, n_embd: 16, n_head: 1, att_hidden: 16, "
                 "ffd_hidden: 8, gating_size: 8, n_att_experts: %d, n_mlp_experts: %d, k_att: 1, "
                 "initializer_range: 0.7%s}\n",
                 LAYERS, ATT, MLP, more);
    OK(at_conf_parse(&ctx, "model.yaml", yaml, (size_t)n, &f));
    const at_status s = at_model_new(&ctx, f, "model", V, 7, out);
    at_conf_close(f);
    return s;
}

/* Experts and routers whose choices are decided, from a folder, as files are. */
static at_model *model_of(const char *more, const char *name, bool narrow) {
    at_model *m = NULL;
    char path[300];
    OK(make(more, &m));
    for (int64_t i = 0; i < m->store.n_stacks; i++) {
        const at_stack *k = m->store.stack[i];
        for (int64_t e = 0; e < k->n; e++)
            for (int64_t j = 0; k->n > 1 && j < at_numel(k->slot[e]) && k->slot[e]->data; j++) {
                union {
                    float f;
                    uint32_t bits;
                } x = {(float)(0.5 * at_normal(3, (uint64_t)i, (uint64_t)(e * 9999 + j)))};
                if (narrow) x.bits &= 0xFFFF0000U;
                k->slot[e]->data[j] = (at_real)x.f;
            }
    }
    m->tokenizer = at_strdup(&ctx, data->tokenizer_hash);
    (void)snprintf(path, sizeof path, "%s/%s", dir, name);
    OK(at_model_save(&ctx, m, path, NULL));
    at_model_close(m);
    OK(at_model_load(&ctx, path, false, &m));
    return m;
}

static at_banks *banks_of(const at_model *m) { return m->arch->banks(m->impl); }

static void keep_logits(void *user, int64_t i, const at_real *logits) {
    memcpy((at_real *)user + i * V, logits, V * sizeof *logits);
}
static void logits_of(at_model *m, at_real out[T * V]) {
    int32_t ids[T];
    for (int i = 0; i < T; i++) ids[i] = (int32_t)at_rand_below(V, 5, 5, (uint64_t)i);
    const at_input in = {.ids = ids, .B = 1, .T = T};
    OK(at_model_read(&cp, &arena, m, &in, NULL,
                     &(at_readout){.logits = keep_logits, .user = out, .rows = T}));
}

static at_prune_text text_of(const int *domain, int n) {
    return (at_prune_text){data, domain, n, AT_VALIDATION, 16, 0};
}

/* ---- scores ---- */

/* use is what the atlas counts, each domain alike; with gates that are 1 reap is norm; twice as large
   an output has twice the norm, in the last layer, where nothing else follows. */
static void scores(void **state) {
    (void)state;
    at_slot_scores s, u;
    at_atlas atlas;
    at_model *m = model_of(", k_mlp: 2", "a", false);
    const at_prune_text t = text_of((int[]){0, 2}, 2);
    OK(at_slot_scores_read(&cp, m, &t, 1, &s));
    OK(at_atlas_read(&cp, m, data, AT_VALIDATION, 16, 0, &atlas));
    for (int64_t i = 0; i < atlas.n; i++) {
        const at_atlas_router *r = &atlas.router[i];
        const int64_t b = at_bank_find(banks_of(m), r->id) - banks_of(m)->bank;
        for (int64_t e = 0; e < r->e; e++) {
            const double want = (r->slots[e] / (double)atlas.tokens[0] +
                                 r->slots[2 * r->e + e] / (double)atlas.tokens[2]) /
                                2;
            assert_true(fabs(s.value[AT_PRUNE_USE][b][e] - want) < 1e-12);
            const double reap = s.value[AT_PRUNE_REAP][b][e], norm = s.value[AT_PRUNE_NORM][b][e];
            assert_true(want > 0 ? reap > 0 && reap < norm : reap <= 0 && norm <= 0);
        }
    }
    at_atlas_close(&atlas);
    const int64_t last = banks_of(m)->n - 1;
    at_model *twice = model_of(", k_mlp: 2", "b", false);
    at_stack *out = (at_stack *)(uintptr_t)banks_of(twice)->bank[last].part[1];
    at_real *copy = malloc((size_t)at_numel(out->slot[1]) * sizeof *copy);
    for (int64_t j = 0; j < at_numel(out->slot[1]); j++) copy[j] = 2 * out->slot[1]->data[j];
    out->slot[1]->data = copy;
    OK(at_slot_scores_read(&cp, twice, &t, 2, &u));
    for (int64_t e = 0; e < MLP; e++)
        for (int k = AT_PRUNE_REAP; k <= AT_PRUNE_NORM; k++)
            assert_true(u.value[k][last][e] == (e == 1 ? 2 : 1) * s.value[k][last][e]);
    assert_true(u.value[AT_PRUNE_RANDOM][0][0] != s.value[AT_PRUNE_RANDOM][0][0]);
    at_slot_scores_close(&s);
    at_slot_scores_close(&u);
    at_model_close(twice);
    at_model_close(m);
    free(copy);
    m = model_of(", k_mlp: 1, renormalise_gates: true", "c", false);
    OK(at_slot_scores_read(&cp, m, &t, 1, &s));
    for (int64_t b = 0; b < banks_of(m)->n; b++)
        for (int64_t e = 0; e < banks_of(m)->bank[b].n; e++)
            assert_true(s.value[AT_PRUNE_REAP][b][e] == s.value[AT_PRUNE_NORM][b][e]);
    at_slot_scores_close(&s);
    at_model_close(m);
}

/* The loss of leaving one out is what an evaluation of the model without it says. */
static void losses(void **state) {
    (void)state;
    at_slot_scores s;
    at_model *m = model_of(", k_mlp: 2", "a", false);
    const at_prune_text t = text_of((int[]){1}, 1);
    OK(at_slot_scores_read(&cp, m, &t, 1, &s));
    OK(at_slot_losses(&cp, m, &t, AT_SLOT_EXCLUDED, &s));
    at_eval all = {0}, less = {0};
    OK(at_eval_model(&cp, m, &data->domain[1].shard[AT_VALIDATION], 16, 0, NULL, &all));
    OK(at_bank_use(&ctx, &banks_of(m)->bank[3], 2, AT_SLOT_EXCLUDED));
    OK(at_eval_model(&cp, m, &data->domain[1].shard[AT_VALIDATION], 16, 0, NULL, &less));
    const double want = less.nats / (double)less.tokens - all.nats / (double)all.tokens;
    assert_true(fabs(s.value[AT_PRUNE_LOSS][3][2] - want) < 1e-12 && want != 0);
    at_slot_scores_close(&s);
    at_model_close(m);
    m = model_of(", k_mlp: 5", "d", false); /* nobody can be missed */
    OK(at_slot_scores_read(&cp, m, &t, 1, &s));
    OK(at_slot_losses(&cp, m, &t, AT_SLOT_CLOSED, &s));
    assert_true(isinf(s.value[AT_PRUNE_LOSS][1][0]) && isfinite(s.value[AT_PRUNE_LOSS][0][0]));
    at_slot_scores_close(&s);
    at_model_close(m);
}

/* ---- choice ---- */

static double each_a_hundred(void *user, const at_prune_choice *gone) {
    (void)user;
    return (double)(100 * (gone->slots - gone->n));
}

static at_status choose(const at_slot_scores *s, at_prune_score by, at_prune_limit limit,
                        double value, at_prune_choice *out) {
    at_prune_choice_close(out);
    return at_prune_choose(&ctx, s, by, limit, value, each_a_hundred, NULL, out);
}

static void choice(void **state) {
    (void)state;
    at_slot_scores s;
    at_prune_choice c = {0};
    at_model *m = model_of(", k_mlp: 2", "a", false);
    const at_prune_text t = text_of((int[]){0}, 1);
    OK(at_slot_scores_read(&cp, m, &t, 1, &s));
    assert_int_equal(at_prune_open(banks_of(m)), LAYERS * (ATT + MLP));
    assert_int_equal(at_prune_most(banks_of(m)), LAYERS * (ATT - 1 + MLP - 2));
    /* scores far apart in scale from layer to layer: relative to their layer's mean they are alike */
    for (int64_t b = 0; b < 2 * LAYERS; b++)
        for (int64_t e = 0; e < banks_of(m)->bank[b].n; e++) {
            s.value[AT_PRUNE_REAP][b][e] = pow(10, (double)b) * (double)(e + 1);
            s.value[AT_PRUNE_RANDOM][b][e] = (double)(b + 1) - (double)e / 10;
        }
    OK(choose(&s, AT_PRUNE_REAP, AT_PRUNE_COUNT, 4, &c));
    assert_true(c.n == 4 && c.gone[1][0] && c.gone[3][0] && c.gone[0][0] && c.gone[2][0]);
    OK(choose(&s, AT_PRUNE_RANDOM, AT_PRUNE_COUNT, 3, &c)); /* as they are; k stay */
    assert_true(c.gone[0][2] && c.gone[0][1] && !c.gone[0][0] && c.gone[1][4]);
    OK(choose(&s, AT_PRUNE_REAP, AT_PRUNE_SHARE, 0.5, &c));
    assert_int_equal(c.n, 8);
    OK(choose(&s, AT_PRUNE_REAP, AT_PRUNE_SHARE, 0.51, &c));
    assert_int_equal(c.n, 7);
    assert_int_equal(choose(&s, AT_PRUNE_REAP, AT_PRUNE_SHARE, 0.3, &c), AT_ARG);
    expect_says(
        &ctx, "11 of 16 experts cannot go: each layer keeps those that a token uses, which leaves "
              "6 at least");
    OK(choose(&s, AT_PRUNE_REAP, AT_PRUNE_EXPERTS, 2, &c));
    assert_true(c.n == 8 && c.gone[1][2] && !c.gone[1][3] && c.gone[0][0] && !c.gone[0][1]);
    assert_int_equal(choose(&s, AT_PRUNE_REAP, AT_PRUNE_EXPERTS, 1, &c), AT_ARG);
    expect_says(&ctx, "in the feed_forward bank of layer 0 a token uses 2");
    OK(choose(&s, AT_PRUNE_REAP, AT_PRUNE_THRESHOLD, 25, &c));
    assert_true(c.n == 4 && c.gone[0][1] && c.gone[1][1] && !c.gone[2][0]);
    OK(choose(&s, AT_PRUNE_REAP, AT_PRUNE_BUDGET, 1250, &c));
    assert_int_equal(c.n, 4);
    OK(choose(&s, AT_PRUNE_REAP, AT_PRUNE_BUDGET, 1600, &c));
    assert_int_equal(c.n, 0);
    assert_int_equal(choose(&s, AT_PRUNE_REAP, AT_PRUNE_BUDGET, 599, &c), AT_ARG);
    expect_says(&ctx,
                "a budget of 599 bytes cannot be met: with no more experts than a token uses the "
                "file has about 600");
    for (int64_t e = 0; e < MLP; e++) s.value[AT_PRUNE_USE][3][e] = e == 4 ? 1 : 0;
    OK(choose(&s, AT_PRUNE_REAP, AT_PRUNE_UNUSED, 0, &c));
    assert_true(c.gone[3][0] && c.gone[3][2] && !c.gone[3][3] && !c.gone[3][4]);
    at_prune_choice_close(&c);
    at_slot_scores_close(&s);
    at_model_close(m);
}

/* ---- what is left ---- */

static void some(at_model *m, at_prune_choice *c) {
    at_slot_scores s;
    const at_prune_text t = text_of((int[]){0}, 1);
    OK(at_slot_scores_read(&cp, m, &t, 3, &s));
    OK(at_prune_choose(&ctx, &s, AT_PRUNE_RANDOM, AT_PRUNE_COUNT, 7, NULL, NULL, c));
    at_slot_scores_close(&s);
}

static void mask(at_model *m, const at_prune_choice *c, at_slot_use use) {
    for (int64_t b = 0; b < banks_of(m)->n; b++)
        for (int64_t e = 0; e < banks_of(m)->bank[b].n; e++)
            if (c->gone[b][e]) OK(at_bank_use(&ctx, &banks_of(m)->bank[b], e, use));
}

static int64_t in_memory(const at_model *m) {
    int64_t n = 0;
    for (int64_t i = 0; i < m->store.n; i++)
        if (m->store.p[i]->t.data || m->store.p[i]->t.bf16) n += at_numel(&m->store.p[i]->t);
    return n;
}

/* Removed is excluded, forbidden is closed, to the bit: as made, and from files, to learn or not.  A model that
   was pruned is pruned again. */
static void ways(void **state) {
    (void)state;
    static const char *const gates[] = {", k_mlp: 2", ", k_mlp: 1, gate_type: linear",
                                        ", k_mlp: 2, gate_type: gmm, renormalise_gates: true"};
    static at_real a[T * V], b[T * V];
    for (int i = 0; i < 6; i++) {
        const bool forbid = i & 1;
        at_prune_choice c = {0};
        at_model *m = model_of(gates[i / 2], "a", false), *less = NULL, *back = NULL;
        char path[300];
        some(m, &c);
        OK(at_prune_make(&ctx, m, &c, (at_prune_way){.forbid = forbid}, &less));
        (void)snprintf(path, sizeof path, "%s/less%d", dir, i);
        OK(at_make_dir(&ctx, path));
        OK(at_prune_write(&ctx, m, less, path));
        assert_true(at_prune_bytes(m, &c, (at_prune_way){.forbid = forbid}) >
                    (double)at_weights_bytes(&m->weights) / 2);
        logits_of(less, b);
        mask(m, &c, forbid ? AT_SLOT_CLOSED : AT_SLOT_EXCLUDED);
        logits_of(m, a);
        if (memcmp(a, b, sizeof a) != 0)
            fail_msg("%s, forbid %d: another answer", gates[i / 2], forbid);
        assert_true(at_model_numel(less) < at_model_numel(m));
        for (int train = 0; train < 2; train++) {
            OK(at_model_load(&ctx, path, train, &back));
            logits_of(back, b);
            assert_memory_equal(a, b, sizeof a);
            assert_int_equal(in_memory(back), at_model_numel(less));
            OK(at_store_train(&back->store, true));
            at_model_close(back);
        }
        at_prune_choice_close(&c);
        at_model_close(less);
        at_model_close(m);
        OK(at_model_load(&ctx, path, false, &m)); /* once more */
        const int64_t open = at_prune_open(banks_of(m));
        at_slot_scores s;
        const at_prune_text t = text_of((int[]){0}, 1);
        OK(at_slot_scores_read(&cp, m, &t, 3, &s));
        OK(at_prune_choose(&ctx, &s, AT_PRUNE_USE, AT_PRUNE_COUNT, 1, NULL, NULL, &c));
        at_slot_scores_close(&s);
        assert_true(c.slots == open && open >= LAYERS * (ATT + MLP) - 7 - 2); /* but banks of one */
        OK(at_prune_make(&ctx, m, &c, (at_prune_way){.forbid = !forbid}, &less));
        mask(m, &c, forbid ? AT_SLOT_EXCLUDED : AT_SLOT_CLOSED);
        logits_of(m, a);
        logits_of(less, b);
        assert_memory_equal(a, b, sizeof a);
        at_prune_choice_close(&c);
        at_model_close(less);
        at_model_close(m);
    }
}

/* Types of the files stay, and the estimate of their size holds. */
static void narrow(void **state) {
    (void)state;
    at_prune_choice c = {0};
    at_model *m = model_of(", k_mlp: 2", "n", true), *less = NULL;
    char path[300], as[300];
    (void)snprintf(path, sizeof path, "%s/n16", dir);
    OK(at_make_dir(&ctx, path));
    (void)snprintf(as, sizeof as, "%s/n/config.json", dir);
    char *to = at_join(&ctx, path, "config.json"), *file = at_join(&ctx, path, "model.safetensors");
    OK(at_copy_file(&ctx, as, to));
    at_st_writer *w = NULL;
    OK(at_st_writer_open(&ctx, file, &w));
    for (int64_t i = 0; i < at_st_count(m->weights.file[0]); i++) {
        const at_st_tensor *x = at_st_at(m->weights.file[0], i);
        OK(at_st_writer_add_as(&ctx, w, x->name, x->rank > 1 ? AT_DT_BF16 : AT_DT_F32, x));
    }
    OK(at_st_writer_commit(&ctx, w));
    at_st_writer_close(w);
    at_model_close(m);
    OK(at_model_load(&ctx, path, false, &m));
    some(m, &c);
    for (int forbid = 0; forbid < 2; forbid++) {
        at_weights got;
        const at_prune_way way = {.forbid = forbid};
        OK(at_prune_make(&ctx, m, &c, way, &less));
        (void)snprintf(as, sizeof as, "%s/n%d", dir, forbid);
        OK(at_make_dir(&ctx, as));
        OK(at_prune_write(&ctx, m, less, as));
        OK(at_weights_open(&ctx, as, 1 << 30, &got));
        for (int64_t i = 0; i < at_st_count(got.file[0]); i++) {
            const at_st_tensor *x = at_st_at(got.file[0], i);
            assert_int_equal(x->dtype, x->rank > 1 ? AT_DT_BF16 : AT_DT_F32);
        }
        at_map whole;
        char *name = at_join(&ctx, as, "model.safetensors");
        OK(at_map_open(&ctx, name, &whole));
        const double bytes = at_prune_bytes(m, &c, way);
        assert_true(bytes >= (double)whole.bytes && bytes < 1.3 * (double)whole.bytes);
        at_map_close(&whole);
        at_free(name);
        at_weights_close(&got);
        at_model_close(less);
    }
    at_prune_choice_close(&c);
    at_model_close(m);
    at_free(to);
    at_free(file);
}

static void refuse(const char *closed, const char *says) {
    char more[200];
    at_model *m = NULL;
    (void)snprintf(more, sizeof more, ", k_mlp: 2, closed_experts: [%s]", closed);
    assert_int_equal(make(more, &m), AT_CONFIG);
    expect_says(&ctx, "`model.closed_experts`: ");
    expect_says(&ctx, says);
}

static void closed(void **state) {
    (void)state;
    at_model *m = NULL;
    refuse("feed_forward.0", "expected KIND.LAYER.EXPERT");
    refuse("ffn.0.1", "`ffn.0.1`: expected KIND.LAYER.EXPERT");
    refuse("feed_forward.0.01", "expected KIND.LAYER.EXPERT");
    refuse("feed_forward.0.-1", "expected KIND.LAYER.EXPERT");
    refuse("feed_forward.0.5", "there is no such expert");
    refuse("attention.2.0", "there is no such expert");
    refuse("attention.1.0, attention.1.0", "is listed twice");
    refuse("attention.1.0, attention.0.0, attention.1.1, attention.1.2",
           "`attention.1.2`: a token uses 1 experts, but only 0 would be left");
    OK(make(", k_mlp: 2, closed_experts: [feed_forward.1.3]", &m)); /* and learns without it */
    const at_stack *in = banks_of(m)->bank[3].part[0];
    assert_true(at_param_of(in->slot[3])->absent && !in->slot[3]->data && in->slot[2]->data);
    OK(at_store_train(&m->store, true));
    assert_true(!in->slot[3]->grad && in->slot[2]->grad);
    at_model_close(m);
}

/* ---- all of it ---- */

static at_prune_options options(char *const *keep, int64_t n) {
    return (at_prune_options){.data = DATA,
                              .keep = keep,
                              .n_keep = n,
                              .most = -1,
                              .calibrate = AT_VALIDATION,
                              .measure = AT_TEST,
                              .context = 16};
}

static at_status prune(const at_prune_options *o, const char *name, at_pruned *p) {
    char from[300], to[300];
    (void)snprintf(from, sizeof from, "%s/a", dir);
    (void)snprintf(to, sizeof to, "%s/%s", dir, name);
    return at_prune(&cp, from, o, to, p);
}

static void promises(void **state) {
    (void)state;
    at_prune_promise q[2];
    at_pruned p;
    at_model_close(model_of(", k_mlp: 2", "a", false));
    static const char *const bad[] = {"fr",    "fr:1%",     "fr:+1",  ":+1%",
                                      "fr:+%", "identical", "fr:+-1%"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(at_prune_promise_read(&ctx, bad[i], q), AT_ARG);
        expect_says(&ctx, "expected bit-identical, or DOMAIN:+P%");
    }
    at_prune_options o = options((char *[]){"aa"}, 1);
    o.limit = AT_PRUNE_SHARE;
    o.value = 0.5;
    OK(prune(&o, "p1", &p));
    assert_false(p.identical);
    assert_true(p.choice.n == 8 && p.bytes[1] < p.bytes[0] && p.parameters[1] < p.parameters[0]);
    assert_true(p.domain[0].kept && !p.domain[1].kept && p.domain[1].after.n > 1);
    const at_estimate x = p.domain[0].increase;
    const double before = at_doc_losses_mean(&p.domain[0].before),
                 after = at_doc_losses_mean(&p.domain[0].after);
    assert_true(fabs(x.mean - (after - before)) < 1e-9 && x.lo < x.mean && x.mean < x.hi);
    double high[3];
    for (int d = 0; d < 3; d++)
        high[d] = p.domain[d].increase.hi / at_doc_losses_mean(&p.domain[d].before);
    at_pruned_close(&p);
    OK(at_prune_promise_read(&ctx, "bit-identical", &q[0]));
    o.promise = q;
    o.n_promises = 1;
    assert_int_equal(prune(&o, "p2", &p), AT_MISMATCH);
    expect_says(&ctx, "bit-identical was required");
    at_pruned_close(&p);
    /* to the end of the interval: what is just above it holds, what is just below does not */
    int tried = 0;
    for (int d = 0; d < 3; d++) {
        char text[80];
        if (!(high[d] > 0)) continue;
        for (int below = 0; below < 2; below++) {
            (void)snprintf(text, sizeof text, "%s:+%.9f%%", data->domain[d].name,
                           100 * high[d] * (below ? 0.999 : 1.001));
            OK(at_prune_promise_read(&ctx, text, &q[0]));
            assert_int_equal(prune(&o, below ? "p4" : text, &p), below ? AT_MISMATCH : AT_OK);
            if (below) expect_says(&ctx, ": the loss goes from");
            at_pruned_close(&p);
        }
        tried++;
    }
    assert_true(tried > 0);
    OK(at_prune_promise_read(&ctx, "zz:+1%", &q[0]));
    assert_int_equal(prune(&o, "p4", &p), AT_ARG);
    expect_says(&ctx, "no domain `zz` to promise");
    at_pruned_close(&p);
    nothing_in_the_making(&ctx, dir);
    char path[300];
    (void)snprintf(path, sizeof path, "%s/p4", dir);
    assert_false(at_exists(path));
}

/* Experts that the text never chooses go, and every answer on it stays; and as many as the losses allow. */
static void limits(void **state) {
    (void)state;
    at_pruned p;
    at_model *m = model_of(", k_mlp: 2", "a", false);
    at_param_entry *e[AT_BANK_PARTS + 1];
    const at_bank *bank = &banks_of(m)->bank[3];
    at_model_close(m);
    /* a router that never chooses expert 2 of the last layer */
    char path[300];
    (void)snprintf(path, sizeof path, "%s/a", dir);
    OK(at_model_load(&ctx, path, true, &m));
    bank = &banks_of(m)->bank[3];
    const int n = at_bank_slot(bank, 2, e);
    at_param_entry *hidden = at_store_find(&m->store, "transformer.h.1.mlpf.gate.w_gate.0.bias");
    assert_non_null(hidden);
    for (int64_t j = 0; j < at_numel(&hidden->t); j++)
        hidden->t.data[j] = 3; /* all of it is active */
    for (int64_t j = 0; j < at_numel(&e[n - 1]->t); j++) e[n - 1]->t.data[j] = -3;
    (void)snprintf(path, sizeof path, "%s/unused", dir);
    OK(at_model_save(&ctx, m, path, NULL));
    at_model_close(m);
    at_prune_options o = options(NULL, 0);
    o.way.forbid = true;
    at_prune_promise q;
    OK(at_prune_promise_read(&ctx, "bit-identical", &q));
    o.promise = &q;
    o.n_promises = 1;
    char out[300];
    (void)snprintf(out, sizeof out, "%s/u1", dir);
    OK(at_prune(&cp, path, &o, out, &p));
    assert_true(p.identical && p.choice.gone[3][2]);
    for (int d = 0; d < 3; d++)
        assert_true(p.domain[d].compared > 0 && !p.domain[d].differ &&
                    p.domain[d].increase.hi <= 0);
    at_pruned_close(&p);
    o = options(NULL, 0);
    o.most = 0.02;
    (void)snprintf(out, sizeof out, "%s/u2", dir);
    OK(at_prune(&cp, path, &o, out, &p));
    for (int d = 0; d < 3; d++)
        assert_true(p.domain[d].increase.hi <= 0.02 * at_doc_losses_mean(&p.domain[d].before));
    assert_true(p.choice.n >= 1 && p.choice.n < at_prune_most(p.choice.of));
    at_pruned_close(&p);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(scores),   cmocka_unit_test(losses),
                                       cmocka_unit_test(choice),   cmocka_unit_test(ways),
                                       cmocka_unit_test(narrow),   cmocka_unit_test(closed),
                                       cmocka_unit_test(promises), cmocka_unit_test(limits)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
