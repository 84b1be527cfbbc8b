/*
 * test_trainer.c - an optimiser step: it changes nothing when loss or gradient are not finite,
 * accumulation equals a larger batch, threads do not change a bit, distillation with alpha 1 and 0
 * is plain training and pure imitation, AdamW and the schedules are those of the papers.
 */
#include "base/rng.h"
#include "check.h"
#include "train/task_lm.h"
#include "train/trainer.h"
#include <math.h>

enum { TOKENS = 4000, IDS = 300 };

static at_ctx ctx;
static uint16_t token[TOKENS];
static at_domain domain = {.name = "random"};
static at_dataset data = {
    .path = "random", .tokenizer_hash = "", .vocab = IDS, .n_domains = 1, .domain = &domain};

static const at_recipe plain = {.top = {.seed = 5},
                                .train = {.steps = 100,
                                          .batch = 2,
                                          .context = 37, /* no multiple of any tile */
                                          .accumulate = 1,
                                          .lr = 1e-2,
                                          .weight_decay = 0.1,
                                          .beta1 = 0.9,
                                          .beta2 = 0.95,
                                          .eps = 1e-8,
                                          .clip = 1},
                                .distill = {.temperature = 2, .skew = 0.1, .alpha = 0.5}};

static at_model *model_of(const char *yaml, uint64_t seed) {
    at_conf *f = NULL;
    at_model *m = NULL;
    OK(at_conf_parse(&ctx, "recipe.yaml", yaml, strlen(yaml), &f));
    OK(at_model_new(&ctx, f, "model", IDS, seed, &m));
    OK(at_conf_finish(&ctx, f));
    at_conf_close(f);
    return m;
}

static const char small[] = "model: {arch: gpt2, n_layer: 2, n_embd: 24, n_head: 3, "
                            "n_positions: 40}\n";
static const char dropping[] = "model: {arch: gpt2, n_layer: 2, n_embd: 24, n_head: 3, "
                               "n_positions: 40, resid_pdrop: 0.2, embd_pdrop: 0.1}\n";
static const char wide[] = "model: {arch: gpt2, n_layer: 1, n_embd: 32, n_head: 2, "
                           "n_positions: 64}\n";

/* A trainer with all that it borrows. */
typedef struct {
    at_recipe recipe;
    at_compute cp;
    at_model *model, *teacher;
    at_learner learner;
    at_trainer t;
} bench;

static void bench_open(bench *b, const at_recipe *r, at_model *model, at_model *teacher,
                       int threads) {
    *b = (bench){.recipe = *r, .model = model, .teacher = teacher};
    ctx.threads = threads;
    OK(at_compute_open(&b->cp, &ctx));
    OK(at_learner_open(&ctx, &b->recipe, model, at_teacher_live(teacher), &data, &b->learner));
    OK(at_trainer_open(&ctx, &b->cp, &b->recipe, &b->learner, 1, &b->t));
}

static void bench_close(bench *b) {
    at_trainer_close(&b->t);
    at_learner_close(&b->learner);
    at_model_close(b->model);
    at_model_close(b->teacher);
    at_compute_close(&b->cp);
}

static at_history *history_of(const bench *b) { return at_lm_batches_of(&b->learner)->history; }

/* Closes the models. */
static void refuse(const at_recipe *r, at_model *m, at_model *teacher, const char *says) {
    at_learner l;
    assert_int_equal(at_learner_open(&ctx, r, m, at_teacher_live(teacher), &data, &l), AT_CONFIG);
    expect_says(&ctx, says);
    at_learner_close(&l);
    at_model_close(m);
    at_model_close(teacher);
}

static at_step_report steps(bench *b, int n) {
    at_step_report rep = {0};
    for (int i = 0; i < n; i++) OK(at_trainer_step(&b->t, &rep));
    return rep;
}

static size_t slab_bytes(const at_store *s) { return (size_t)s->numel * sizeof(at_real); }

static void same_state(const at_store *a, const at_store *b, const char *what) {
    assert_int_equal(a->numel, b->numel);
    if (memcmp(a->value, b->value, slab_bytes(a)) != 0) fail_msg("%s: other parameters", what);
    if (memcmp(a->m, b->m, slab_bytes(a)) != 0) fail_msg("%s: other first moments", what);
    if (memcmp(a->v, b->v, slab_bytes(a)) != 0) fail_msg("%s: other second moments", what);
}

/* ---- when the numbers go wrong --------------------------------------------------------- */

typedef struct {
    at_real *value, *m, *v;
} copy;

static at_real *copied(const at_real *x, size_t bytes) {
    at_real *y = malloc(bytes);
    assert_non_null(y);
    return memcpy(y, x, bytes);
}

static copy copy_of(const at_store *s) {
    const size_t n = slab_bytes(s);
    return (copy){copied(s->value, n), copied(s->m, n), copied(s->v, n)};
}

static void unchanged_since(const at_store *s, copy *c) {
    assert_memory_equal(s->value, c->value, slab_bytes(s));
    assert_memory_equal(s->m, c->m, slab_bytes(s));
    assert_memory_equal(s->v, c->v, slab_bytes(s));
    free(c->value);
    free(c->m);
    free(c->v);
}

/* A step that fails changes nothing: after the repair the run goes on with the same bits. */
static void not_a_number(void **state) {
    (void)state;
    bench b, calm;
    bench_open(&b, &plain, model_of(small, 1), NULL, 2);
    bench_open(&calm, &plain, model_of(small, 1), NULL, 2);
    (void)steps(&b, 2);
    static const at_real poison[] = {(at_real)NAN, (at_real)INFINITY};
    for (int i = 0; i < 2; i++) {
        at_real *p = &at_store_find(&b.model->store, "transformer.h.1.mlp.c_fc.weight")->t.data[7];
        const at_real was = *p;
        *p = poison[i];
        const at_train_state before = b.t.progress;
        copy c = copy_of(&b.model->store);
        at_step_report rep;
        assert_int_equal(at_trainer_step(&b.t, &rep), AT_NUMERIC);
        expect_says(&ctx, "step 3: loss ");
        expect_says(&ctx, "train.lr");
        unchanged_since(&b.model->store, &c);
        assert_memory_equal(&before, &b.t.progress, sizeof before);
        for (int64_t k = 0; k < b.model->store.n; k++)
            assert_int_equal(b.model->store.p[k]->steps, 2);
        *p = was;
    }
    (void)steps(&b, 2);
    (void)steps(&calm, 4);
    same_state(&b.model->store, &calm.model->store, "after a repair");
    bench_close(&b);
    bench_close(&calm);
}

static void loss_spike(void **state) {
    (void)state;
    bench b;
    bench_open(&b, &plain, model_of(small, 1), NULL, 2);
    b.recipe.train.spike = 1;
    at_step_report rep;
    b.t.progress.loss_mean = 0.5;
    b.t.progress.loss_n = 19; /* too few to judge by */
    OK(at_trainer_step(&b.t, &rep));
    assert_true(rep.loss > 5 && rep.loss < 6.5); /* about log 300 */
    b.t.progress.loss_mean = 0.5;
    b.t.progress.loss_n = 20;
    copy c = copy_of(&b.model->store);
    assert_int_equal(at_trainer_step(&b.t, &rep), AT_NUMERIC);
    expect_says(&ctx, "step 2: the loss jumped to 5.");
    expect_says(&ctx, "0.5000");
    expect_says(&ctx, "train.spike");
    unchanged_since(&b.model->store, &c);
    assert_int_equal(b.t.progress.step, 1);
    b.recipe.train.spike = 0; /* never */
    OK(at_trainer_step(&b.t, &rep));
    bench_close(&b);
}

static void context_too_long(void **state) {
    (void)state;
    at_recipe r = plain;
    r.train.context = 41;
    refuse(&r, model_of(small, 1), NULL,
           "train.context is 41, but the model takes at most 40 tokens");
    refuse(&r, model_of(wide, 1), model_of(small, 1),
           "train.context is 41, but the teacher takes at most 40 tokens");
}

/* ---- what a step computes --------------------------------------------------------------- */

static double distance(const at_real *a, const at_real *b, int64_t n) {
    double num = 0, den = 0;
    for (int64_t i = 0; i < n; i++) {
        num += ((double)a[i] - (double)b[i]) * ((double)a[i] - (double)b[i]);
        den += (double)b[i] * (double)b[i];
    }
    return sqrt(num / den);
}

/* 3 micro-batches of 2 are the batch of 6. */
static void accumulation_is_a_larger_batch(void **state) {
    (void)state;
    at_recipe many = plain, large = plain;
    many.train.accumulate = 3;
    large.train.batch = 6;
    bench a, b;
    bench_open(&a, &many, model_of(small, 1), NULL, 2);
    bench_open(&b, &large, model_of(small, 1), NULL, 2);
    const at_step_report ra = steps(&a, 1), rb = steps(&b, 1);
    assert_int_equal(ra.tokens, rb.tokens);
    assert_true(fabs(ra.loss - rb.loss) < 1e-5 * rb.loss);
    assert_true(fabs(ra.norm - rb.norm) < 1e-5 * rb.norm);
    assert_true(distance(a.model->store.grad, b.model->store.grad, a.model->store.numel) < 1e-5);
    bench_close(&a);
    bench_close(&b);
}

/* Dropout, several blocks of rows in head_loss, sizes that fit no tile, a teacher. */
static void threads_change_no_bit(void **state) {
    (void)state;
    static const char yaml[] =
        "model: {arch: gpt2, n_layer: 1, n_embd: 20, n_head: 2, n_positions: "
        "40, vocab_size: 131077, resid_pdrop: 0.2, embd_pdrop: 0.1}\n";
    static const char teacher[] = "model: {arch: gpt2, n_layer: 1, n_embd: 12, n_head: 1, "
                                  "n_positions: 40, vocab_size: 131077}\n";
    for (int distilling = 0; distilling < 2; distilling++) {
        bench b[3];
        for (int i = 0; i < 3; i++) {
            bench_open(&b[i], &plain, model_of(yaml, 1), distilling ? model_of(teacher, 2) : NULL,
                       i + 1);
            (void)steps(&b[i], 2);
            if (i) same_state(&b[0].model->store, &b[i].model->store, i == 1 ? "2" : "3 threads");
        }
        for (int i = 0; i < 3; i++) bench_close(&b[i]);
    }
}

/* ---- mixtures ---- */

static const char mixture[] =
    "model: {arch: moduleformer, n_layer: 2, n_embd: 24, att_hidden: 24, ffd_hidden: 20, "
    "gating_size: 8, n_att_experts: 4, n_mlp_experts: 6, aux_loss_weight: 0.01, "
    "sample_topk: 1, resid_pdrop: 0.1, moe_pdrop: 0.1}\n";

/* Losses of the routers are part of the loss, weighed by the recipe, or else by the model. */
static void losses_of_routers(void **state) {
    (void)state;
    bench b;
    at_recipe r = plain;
    bench_open(&b, &r, model_of(mixture, 1), NULL, 2);
    at_step_report own = steps(&b, 1);
    assert_true(own.aux != 0); /* 0.01 times four mutual informations, near 0 at the start */
    assert_true(fabs(own.loss - own.ce - own.aux) < 1e-5 && fabs(own.aux) < 0.01);
    bench_close(&b);

    r.with_losses = true;
    r.losses.attention = r.losses.feed_forward = 1;
    bench_open(&b, &r, model_of(mixture, 1), NULL, 2);
    assert_true(steps(&b, 1).aux == 0);
    bench_close(&b);

    r.losses.balance = 0.5; /* even load costs 1 a router */
    bench_open(&b, &r, model_of(mixture, 1), NULL, 2);
    at_step_report all = steps(&b, 1);
    assert_true(fabs(all.aux - 4 * 0.5) < 0.1);
    bench_close(&b);

    r.losses.attention = 0;
    r.train.accumulate = 3;
    bench_open(&b, &r, model_of(mixture, 1), NULL, 2);
    assert_true(fabs(steps(&b, 1).aux - 2 * 0.5) < 0.1);
    bench_close(&b);
}

/* Minimised for a while, mutual information falls. */
static void mutual_information_is_learnt(void **state) {
    (void)state;
    bench b;
    at_recipe r = plain;
    r.with_losses = true;
    r.losses.attention = r.losses.feed_forward = 1;
    r.losses.mutual_information = 1;
    bench_open(&b, &r, model_of(mixture, 1), NULL, 2);
    const double before = steps(&b, 1).aux, after = steps(&b, 30).aux;
    if (!(after < before - 1)) fail_msg("from %g to %g", before, after);
    bench_close(&b);
}

/* ---- mutual distillation ---- */

static at_recipe with_peers(double alpha) {
    at_recipe r = plain;
    r.with_losses = true;
    r.losses.z = 0.01;
    r.losses.attention = r.losses.feed_forward = 1;
    r.losses.mutual_distillation = alpha;
    r.losses.mutual_end = r.losses.mutual_temperature = 1;
    return r;
}

/* With alpha 0 it is the plain mixture, to the bit; with a large one its experts agree more. */
static void peers(void **state) {
    (void)state;
    at_recipe r[] = {with_peers(0), with_peers(0), with_peers(300), with_peers(300)};
    r[0].losses.mutual_form = AT_MUTUAL_KL;
    r[3].losses.mutual_end = 0;
    bench b[4];
    double before[4], after[4];
    for (int i = 0; i < 4; i++) {
        bench_open(&b[i], &r[i], model_of(mixture, 1), NULL, 2);
        before[i] = steps(&b[i], 1).mutual;
        after[i] = steps(&b[i], 40).mutual;
    }
    same_state(&b[0].model->store, &b[1].model->store, "alpha 0");
    assert_true(before[0] == 0 && after[0] == 0);
    assert_true(before[2] > 0 && after[2] < 0.5 * before[2]);
    assert_true(before[3] == before[2] && after[3] > after[2]);
    for (int i = 0; i < 4; i++) bench_close(&b[i]);
}

static char first_layer[] = "0", third_layer[] = "2";

/* The loss is the mean over layers, whichever are named. */
static void peers_by_layer(void **state) {
    (void)state;
    char *name[] = {first_layer, first_layer};
    char second_layer[] = "1";
    double mutual[3], aux[3];
    for (int i = 0; i < 3; i++) {
        at_recipe r = with_peers(2);
        r.losses.z = 0;
        name[0] = i ? second_layer : first_layer;
        if (i < 2) r.losses.mutual_layers = (at_strings){name, 1};
        bench b;
        bench_open(&b, &r, model_of(mixture, 1), NULL, 2);
        const at_step_report rep = steps(&b, 1);
        mutual[i] = rep.mutual;
        aux[i] = rep.aux;
        bench_close(&b);
    }
    assert_true(mutual[0] != mutual[1]);
    for (int i = 0; i < 3; i++) assert_true(fabs(aux[i] - 2 * mutual[i]) < 1e-6 * aux[i]);
    assert_true(fabs(mutual[2] - (mutual[0] + mutual[1]) / 2) < 1e-6 * mutual[2]);
}

static void peers_refused(void **state) {
    (void)state;
    char *name[] = {first_layer, third_layer};
    at_recipe r = with_peers(1);
    r.losses.mutual_layers = (at_strings){name, 2};
    refuse(&r, model_of(mixture, 1), NULL, "losses.mutual_layers: of its 2 items 1 are");
    r.losses.mutual_layers.n = 0;
    static const char one[] = "model: {arch: moduleformer, n_layer: 2, n_embd: 24, att_hidden: 24, "
                              "ffd_hidden: 20, gating_size: 8, k_mlp: 1}\n";
    refuse(&r, model_of(one, 1), NULL, "losses.mutual_distillation: no token");
}

static void mixtures_on_any_threads(void **state) {
    (void)state;
    bench b[3];
    at_recipe r = plain;
    r.with_losses = true;
    r.losses.mutual_information = 0.1;
    r.losses.z = 0.01;
    r.losses.attention = r.losses.feed_forward = 1;
    r.losses.mutual_distillation = 3;
    r.losses.mutual_end = r.losses.mutual_temperature = 1;
    r.losses.mutual_form = AT_MUTUAL_MIXTURE;
    for (int i = 0; i < 3; i++) {
        bench_open(&b[i], &r, model_of(mixture, 1), NULL, i + 1);
        (void)steps(&b[i], 4);
        if (i > 0) same_state(&b[i].model->store, &b[0].model->store, "other threads");
    }
    for (int i = 0; i < 3; i++) bench_close(&b[i]);
}

/* With scope: step 3 micro-batches of 2 are the batch of 6, although the losses do not add up; with
   scope: micro_batch they are not. */
static void loads_of_a_whole_step(void **state) {
    (void)state;
    static const char calm[] =
        "model: {arch: moduleformer, n_layer: 2, n_embd: 24, att_hidden: 24, ffd_hidden: 20, "
        "gating_size: 8, n_att_experts: 4, n_mlp_experts: 6, initializer_range: 0.5}\n";
    for (int scope = 0; scope < 2; scope++) {
        at_recipe many = plain;
        many.with_losses = true;
        many.losses.mutual_information = 0.5;
        many.losses.concentration = 0.3;
        many.losses.balance = 0.7;
        many.losses.z = 0.01;
        many.losses.attention = many.losses.feed_forward = 1;
        many.losses.scope = scope;
        at_recipe large = many;
        many.train.accumulate = 3;
        large.train.batch = 6;
        bench a, b;
        bench_open(&a, &many, model_of(calm, 1), NULL, 2);
        bench_open(&b, &large, model_of(calm, 1), NULL, 2);
        const at_step_report ra = steps(&a, 1), rb = steps(&b, 1);
        const double d = distance(a.model->store.grad, b.model->store.grad, a.model->store.numel);
        const double v = fabs(ra.aux - rb.aux) / fabs(rb.aux);
        if (scope == AT_SCOPE_STEP ? !(d < 1e-5 && v < 1e-5) : !(d > 1e-4 && v > 1e-4))
            fail_msg("scope %d: gradients %g apart, values %g", scope, d, v);
        bench_close(&a);
        bench_close(&b);
    }
}

/* ---- recurrence ---- */

static at_recipe reading_on(void) {
    at_recipe r = plain;
    r.train.history = 50; /* a block of 37 and part of the one before */
    r.train.stretch = 32;
    r.train.accumulate = 2;
    r.with_losses = true;
    r.losses.mutual_information = 0.1;
    r.losses.attention = r.losses.feed_forward = 1;
    r.losses.scope = AT_SCOPE_STEP;
    return r;
}

static void same_history(const bench *a, const bench *b) {
    const int64_t n = at_history_numel(&history_of(a)[0]);
    assert_int_equal(n, at_history_numel(&history_of(b)[0]));
    for (int i = 0; i < 2; i++)
        assert_memory_equal(history_of(a)[i].now, history_of(b)[i].now,
                            (size_t)n * sizeof(at_real));
}

/* 4 sequences read stretches of 32 blocks; the first one begins another stretch meanwhile. */
static void history_on_any_threads(void **state) {
    (void)state;
    const at_recipe r = reading_on();
    bench b[3];
    for (int i = 0; i < 3; i++) {
        bench_open(&b[i], &r, model_of(mixture, 1), NULL, i + 1);
        b[i].t.progress.step = 30;
        (void)steps(&b[i], 4);
        if (i > 0) same_state(&b[i].model->store, &b[0].model->store, "other threads");
        if (i > 0) same_history(&b[i], &b[0]);
        assert_int_equal(history_of(&b[i])[0].ahead, 50);
        assert_int_equal(history_of(&b[i])[0].from[0], 50 - 37); /* one block into it */
        assert_int_equal(history_of(&b[i])[0].from[1], 0);
    }
    for (int i = 0; i < 3; i++) bench_close(&b[i]);
}

/* What comes before is seen: the first step is that of plain blocks, the second is not; and 2
   micro-batches of 2 are the batch of 4. */
static void history_is_read(void **state) {
    (void)state;
    static const char calm[] =
        "model: {arch: moduleformer, n_layer: 2, n_embd: 24, att_hidden: 24, ffd_hidden: 20, "
        "gating_size: 8, n_att_experts: 4, n_mlp_experts: 6, initializer_range: 0.5}\n";
    at_recipe many = plain;
    many.train.history = 50;
    many.train.accumulate = 2;
    at_recipe large = many;
    large.train.batch = 4;
    large.train.accumulate = 1;
    bench a, b, blind;
    bench_open(&a, &many, model_of(calm, 1), NULL, 2);
    bench_open(&b, &large, model_of(calm, 1), NULL, 2);
    bench_open(&blind, &many, model_of(calm, 1), NULL, 2);
    for (int step = 0; step < 3; step++) {
        for (int i = 0; i < 2; i++) /* forgets each time */
            memset(history_of(&blind)[i].now, 0,
                   (size_t)at_history_numel(&history_of(&blind)[i]) * sizeof(at_real));
        const at_step_report ra = steps(&a, 1), rb = steps(&b, 1), rc = steps(&blind, 1);
        assert_true(fabs(ra.loss - rb.loss) < 2e-5 * rb.loss);
        assert_true((ra.loss == rc.loss) == (step == 0));
    }
    bench_close(&a);
    bench_close(&b);
    bench_close(&blind);
}

/* A step that is refused leaves history where it was: repaired, the run goes on with the same
   bits. */
static void history_of_a_refused_step(void **state) {
    (void)state;
    const at_recipe r = reading_on();
    bench b, calm;
    bench_open(&b, &r, model_of(mixture, 1), NULL, 2);
    bench_open(&calm, &r, model_of(mixture, 1), NULL, 2);
    (void)steps(&b, 2);
    at_real *p = &at_store_find(&b.model->store, "transformer.h.1.ln_2.weight")->t.data[7];
    const at_real was = *p;
    at_step_report rep;
    *p = (at_real)NAN;
    assert_int_equal(at_trainer_step(&b.t, &rep), AT_NUMERIC);
    *p = was;
    (void)steps(&b, 1);
    (void)steps(&calm, 3);
    same_state(&b.model->store, &calm.model->store, "after a repair");
    same_history(&b, &calm);
    bench_close(&b);
    bench_close(&calm);
}

static void history_refused(void **state) {
    (void)state;
    at_recipe r = plain;
    r.train.history = 50;
    refuse(&r, model_of(small, 1), NULL, "train.history: gpt2 reads each sequence by itself");
    refuse(&r, model_of(mixture, 1), model_of(small, 1), "train.history: a teacher");
    r.train.history = 1 << 15;
    refuse(&r, model_of(mixture, 1), NULL,
           "train.history is 32768 and train.context 37, together more than the 32768");
    r.train.history = 50;
    r.train.context = 2500;
    refuse(&r, model_of(mixture, 1), NULL,
           "domain \"random\": expected more than 5000 training tokens");
}

static void losses_need_routers(void **state) {
    (void)state;
    at_recipe r = plain;
    r.with_losses = true;
    refuse(&r, model_of(small, 1), NULL, "losses: architecture gpt2 has no routers");
}

/* Loss of one step on text that is the same in every window, with fixed parameters, so that two
   losses differ by their dropout only. */
static double monotonous(const char *yaml, uint64_t seed, int64_t step, int64_t accumulate) {
    static const uint16_t same[TOKENS];
    at_domain d = domain;
    at_dataset text = data;
    d.shard[AT_TRAIN].token = same;
    text.domain = &d;
    bench b = {.recipe = plain, .model = model_of(yaml, 1)};
    b.recipe.top.seed = (int64_t)seed;
    b.recipe.train.accumulate = accumulate;
    ctx.threads = 2;
    OK(at_compute_open(&b.cp, &ctx));
    OK(at_learner_open(&ctx, &b.recipe, b.model, (at_teacher){0}, &text, &b.learner));
    OK(at_trainer_open(&ctx, &b.cp, &b.recipe, &b.learner, 1, &b.t));
    b.t.progress.step = step;
    const double loss = steps(&b, 1).loss;
    bench_close(&b);
    return loss;
}

static void dropout_differs_by_step_and_seed(void **state) {
    (void)state;
    const double one = monotonous(dropping, 5, 0, 1), next = monotonous(dropping, 5, 1, 1);
    assert_true(one == monotonous(dropping, 5, 0, 1));
    assert_true(fabs(next - one) > 1e-4);
    assert_true(fabs(monotonous(dropping, 6, 0, 1) - one) > 1e-4);
    /* each micro-batch has its own: two of them see what two steps would */
    assert_true(fabs(monotonous(dropping, 5, 0, 2) - (one + next) / 2) < 1e-5);
    /* and without dropout nothing differs */
    const double calm = monotonous(small, 5, 0, 1);
    assert_true(calm == monotonous(small, 6, 3, 1) && fabs(calm - one) > 1e-4);
}

static void frozen_parameters_stay(void **state) {
    (void)state;
    bench b;
    at_model *m = model_of(small, 1), *fresh = model_of(small, 1);
    assert_int_equal(at_store_freeze(&m->store, "transformer.h.0.*"), 12);
    assert_int_equal(at_store_freeze(&m->store, "*wpe*"), 1);
    assert_int_equal(at_store_freeze(&m->store, "h.0.*"), 0);
    bench_open(&b, &plain, m, NULL, 2);
    (void)steps(&b, 3);
    for (int64_t i = 0; i < m->store.n; i++) {
        const at_param_entry *e = m->store.p[i];
        const bool frozen = !strncmp(e->path, "transformer.h.0.", 16) || strstr(e->path, "wpe");
        const bool same = !memcmp(e->t.data, fresh->store.p[i]->t.data,
                                  (size_t)at_numel(&e->t) * sizeof(at_real));
        if (same != frozen) fail_msg("%s: %s", e->path, same ? "did not move" : "moved");
    }
    at_model_close(fresh);
    bench_close(&b);
}

/* ---- distillation ------------------------------------------------------------------------ */

static void alpha_one_is_plain_training(void **state) {
    (void)state;
    for (int kind = 0; kind < AT_KD_KINDS; kind++) {
        at_recipe r = plain;
        r.distill.alpha = 1;
        r.distill.loss = kind;
        bench a, b;
        bench_open(&a, &plain, model_of(dropping, 1), NULL, 2);
        bench_open(&b, &r, model_of(dropping, 1), model_of(wide, 2), 2);
        const at_step_report ra = steps(&a, 3), rb = steps(&b, 3);
        same_state(&a.model->store, &b.model->store, "alpha 1");
        assert_true(ra.loss == rb.loss && ra.ce == rb.ce && ra.norm == rb.norm);
        assert_true(ra.kd == 0 && rb.kd > 0);
        bench_close(&a);
        bench_close(&b);
    }
}

static void alpha_zero_is_imitation(void **state) {
    (void)state;
    for (int kind = 0; kind < AT_KD_KINDS; kind++) {
        at_recipe r = plain;
        r.distill.alpha = 0;
        r.distill.loss = kind;
        bench b;
        bench_open(&b, &r, model_of(small, 1), model_of(wide, 2), 2);
        const at_step_report first = steps(&b, 1);
        assert_true(fabs(first.loss - first.kd) < 1e-6 * first.kd);
        assert_true(first.ce > 5);
        const at_step_report late = steps(&b, 30);
        /* the entropy of the teacher stays in the loss with soft targets */
        const double share = kind == AT_KD_SOFT ? 1 : 0.5;
        if (!(late.kd < share * first.kd)) fail_msg("kd fell from %g to %g", first.kd, late.kd);
        bench_close(&b);
    }
}

static void own_teacher_teaches_nothing(void **state) {
    (void)state;
    for (int kind = 0; kind < AT_KD_KINDS; kind++) {
        at_recipe r = plain;
        r.distill.alpha = 0;
        r.distill.loss = kind;
        bench b;
        bench_open(&b, &r, model_of(small, 1), model_of(small, 1), 2);
        const at_step_report rep = steps(&b, 1);
        if (!((kind == AT_KD_SOFT || fabs(rep.kd) < 1e-6) && rep.norm < 1e-6))
            fail_msg("kd %g, gradient norm %g", rep.kd, rep.norm);
        bench_close(&b);
    }
}

/* ---- optimiser and schedule ----------------------------------------------------------------- */

static void schedules(void **state) {
    (void)state;
    static const struct {
        const at_schedule *kind;
        int64_t step, steps;
        double warmup, floor, factor;
    } row[] = {
        {&at_schedule_constant, 0, 100, 0, 0.1, 1},
        {&at_schedule_constant, 99, 100, 0, 0.1, 1},
        {&at_schedule_constant, 0, 100, 0.1, 0.1,
         1.0 / 11}, /* the first step moves, the eleventh is full */
        {&at_schedule_constant, 9, 100, 0.1, 0.1, 10.0 / 11},
        {&at_schedule_constant, 10, 100, 0.1, 0.1, 1},
        {&at_schedule_linear, 4, 100, 0.1, 0.1, 5.0 / 11},
        {&at_schedule_linear, 10, 100, 0.1, 0.1, 1},
        {&at_schedule_linear, 55, 100, 0.1, 0.1, 0.55},
        {&at_schedule_linear, 100, 100, 0.1, 0.1, 0.1},
        {&at_schedule_linear, 25, 100, 0, 0, 0.75},
        {&at_schedule_cosine, 0, 100, 0, 0.1, 1},
        {&at_schedule_cosine, 50, 100, 0, 0.1, 0.55},
        {&at_schedule_cosine, 25, 100, 0, 0, 0.85355339059327373},
        {&at_schedule_cosine, 75, 100, 0, 0, 0.14644660940672627},
        {&at_schedule_cosine, 70, 100, 0.1, 0.2,
         0.4}, /* two thirds of the way: (1 + cos 120 deg)/2 = 1/4 */
        {&at_schedule_cosine, 100, 100, 0.1, 0.2, 0.2},
        {&at_schedule_cosine, 99, 100, 1, 0.2, 100.0 / 101}, /* nothing but warm-up */
        {&at_schedule_cosine, 0, 1, 0, 0.2, 1},
    };
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        const double f =
            at_schedule_factor(row[i].kind, row[i].step, row[i].steps, row[i].warmup, row[i].floor);
        if (!(fabs(f - row[i].factor) < 1e-12))
            fail_msg("row %zu: %.15g, expected %.15g", i, f, row[i].factor);
    }
}

enum { PARAMS = 4, LONGEST = 70001 };

/* PyTorch's AdamW written out, in double. */
static void hand_step(double *p, const at_real *g, double *m, double *v, int64_t n, int t,
                      double lr, double wd, double scale) {
    for (int64_t i = 0; i < n; i++) {
        const double d = scale * (double)g[i];
        p[i] -= lr * wd * p[i];
        m[i] = 0.9 * m[i] + 0.1 * d;
        v[i] = 0.95 * v[i] + 0.05 * d * d;
        p[i] -= lr * (m[i] / (1 - pow(0.9, t))) / (sqrt(v[i] / (1 - pow(0.95, t))) + 1e-8);
    }
}

static void adamw_by_hand(void **state) {
    (void)state;
    static const int64_t dim[PARAMS][2] = {{7, 10000}, {LONGEST, 0}, {3, 5}, {9, 9}};
    static double p[PARAMS][LONGEST], m[PARAMS][LONGEST], v[PARAMS][LONGEST];
    at_store s;
    at_compute cp;
    ctx.threads = 3;
    OK(at_compute_open(&cp, &ctx));
    at_store_init(&s, &ctx);
    for (int k = 0; k < PARAMS; k++)
        assert_non_null(at_param(&s, AT_INIT_NORMAL, 1, dim[k][1] ? 2 : 1, dim[k], "p%d", k));
    OK(at_store_alloc(&s));
    at_store_randomise(&s, 3);
    assert_int_equal(at_store_freeze(&s, "p3"), 1);
    OK(at_store_train(&s, true));
    for (int k = 0; k < PARAMS; k++)
        for (int64_t i = 0; i < at_numel(&s.p[k]->t); i++) p[k][i] = (double)s.p[k]->t.data[i];
    at_optim o = {.beta1 = 0.9, .beta2 = 0.95, .eps = 1e-8, .weight_decay = 0.2, .clip = 50};
    for (int t = 1; t <= 4; t++) {
        double sum = 0;
        const double size = t % 2 ? 1 : 1e-3; /* above the clip, then below it */
        for (int k = 0; k < PARAMS - 1; k++)
            for (int64_t i = 0; i < at_numel(&s.p[k]->t); i++) {
                const double g = size * at_normal(4, (uint64_t)(10 * k + t), (uint64_t)i);
                s.p[k]->t.has_grad = true;
                s.p[k]->t.grad[i] = (at_real)g;
                sum += (double)(at_real)g * (double)(at_real)g;
            }
        const double norm = sqrt(at_grad_squares(&cp, &s));
        assert_true(fabs(norm - sqrt(sum)) < 1e-9 * norm);
        assert_true((norm > 50) == (t % 2 == 1));
        for (int k = 0; k < PARAMS - 1; k++)
            hand_step(p[k], s.p[k]->t.grad, m[k], v[k], at_numel(&s.p[k]->t), t, 0.01,
                      s.p[k]->t.rank == 2 ? 0.2 : 0, norm > 50 ? 50 / norm : 1);
        OK(at_optim_step(&cp, &s, &o, 0.01, norm));
        for (int k = 0; k < PARAMS; k++) {
            double num = 0, den = 0;
            for (int64_t i = 0; i < at_numel(&s.p[k]->t); i++) {
                num += pow((double)s.p[k]->t.data[i] - p[k][i], 2);
                den += p[k][i] * p[k][i];
            }
            const double off = sqrt(num / den);
            if (!(off < (k == 3 ? 1e-300 : 1e-6))) fail_msg("step %d: p%d is off by %g", t, k, off);
        }
    }
    at_store_close(&s);
    at_compute_close(&cp);
}

int main(void) {
    at_ctx_init(&ctx, 2);
    for (int64_t i = 0; i < TOKENS; i++)
        token[i] = (uint16_t)at_rand_below(IDS, 1, AT_STREAM_TEST, (uint64_t)i);
    domain.shard[AT_TRAIN] = (at_shard){.width = 2, .token = token, .n_tokens = TOKENS};
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(not_a_number),
        cmocka_unit_test(loss_spike),
        cmocka_unit_test(context_too_long),
        cmocka_unit_test(accumulation_is_a_larger_batch),
        cmocka_unit_test(threads_change_no_bit),
        cmocka_unit_test(losses_of_routers),
        cmocka_unit_test(mutual_information_is_learnt),
        cmocka_unit_test(peers),
        cmocka_unit_test(peers_by_layer),
        cmocka_unit_test(peers_refused),
        cmocka_unit_test(mixtures_on_any_threads),
        cmocka_unit_test(loads_of_a_whole_step),
        cmocka_unit_test(losses_need_routers),
        cmocka_unit_test(history_on_any_threads),
        cmocka_unit_test(history_is_read),
        cmocka_unit_test(history_of_a_refused_step),
        cmocka_unit_test(history_refused),
        cmocka_unit_test(dropout_differs_by_step_and_seed),
        cmocka_unit_test(frozen_parameters_stay),
        cmocka_unit_test(alpha_one_is_plain_training),
        cmocka_unit_test(alpha_zero_is_imitation),
        cmocka_unit_test(own_teacher_teaches_nothing),
        cmocka_unit_test(schedules),
        cmocka_unit_test(adamw_by_hand),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
