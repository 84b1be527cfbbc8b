/*
 * test_learners.c - several learners in one step: what they share is stepped once with the gradients
 * of all, what is one's own with its alone, and not at all when it is idle; rules for alpha, schedules
 * and teachers other than the recipe's; what a rule keeps goes on across a resume.
 */
#include "base/rng.h"
#include "check.h"
#include "train/runfolder.h"
#include "train/task_lm.h"
#include "train/trainer.h"
#include <math.h>
#include <stdio.h>

enum { TOKENS = 3000, IDS = 50, WIDTH = 12, ROWS = 30 };

static at_ctx ctx;
static at_compute cp;
static uint16_t token[2][TOKENS];
static at_domain domain[2] = {{.name = "one"}, {.name = "two"}};
static const at_dataset data = {
    .path = "random", .tokenizer_hash = "", .vocab = IDS, .n_domains = 2, .domain = domain};
static char *one_name[] = {"one"}, *two_name[] = {"two"};

static const at_recipe plain = {
    .top = {.seed = 5},
    .train = {.steps = 100,
              .batch = 2,
              .context = 15,
              .accumulate = 2,
              .lr = 1e-2,
              .weight_decay = 0.1,
              .beta1 = 0.9,
              .beta2 = 0.95,
              .eps = 1e-8,
              .clip = 0},
    .distill = {.temperature = 2, .alpha = 0.5, .scope = AT_SCOPE_STEP}};

static at_model *model_of(uint64_t seed) {
    static const char yaml[] =
        "model: {arch: gpt2, n_layer: 1, n_embd: 16, n_head: 2, n_positions: 16}\n";
    at_conf *f = NULL;
    at_model *m = NULL;
    OK(at_conf_parse(&ctx, "recipe.yaml", yaml, strlen(yaml), &f));
    OK(at_model_new(&ctx, f, "model", IDS, seed, &m));
    at_conf_close(f);
    return m;
}

static size_t bytes_of(const at_param_entry *e) {
    return (size_t)at_numel(&e->t) * sizeof(at_real);
}

static void same_parameters(const at_store *a, const at_store *b) {
    for (int64_t i = 0; i < a->n; i++) {
        assert_memory_equal(a->p[i]->t.data, b->p[i]->t.data, bytes_of(a->p[i]));
        assert_int_equal(a->p[i]->steps, b->p[i]->steps);
    }
}

static at_learner learner_of(const at_recipe *r, at_model *m, at_model *teacher) {
    at_learner l;
    OK(at_learner_open(&ctx, r, m, at_teacher_live(teacher), &data, &l));
    return l;
}

/* ---- one model, several learners --------------------------------------------------------- */

/* Twice the same learner is that learner: their gradients are added up, their store is stepped once. */
static void two_are_one(void **state) {
    (void)state;
    at_model *m = model_of(1), *alone = model_of(1);
    at_learner pair[2] = {learner_of(&plain, m, NULL), learner_of(&plain, m, NULL)};
    at_learner single = learner_of(&plain, alone, NULL);
    at_trainer t, u;
    OK(at_trainer_open(&ctx, &cp, &plain, pair, 2, &t));
    OK(at_trainer_open(&ctx, &cp, &plain, &single, 1, &u));
    assert_int_equal(t.n_stores, 1);
    for (int i = 0; i < 3; i++) {
        at_step_report a, b;
        OK(at_trainer_step(&t, &a));
        OK(at_trainer_step(&u, &b));
        assert_true(fabs(a.loss - b.loss) < 1e-5 && fabs(a.norm - b.norm) < 1e-5);
        assert_int_equal(a.tokens, 2 * b.tokens);
    }
    for (int64_t i = 0; i < m->store.numel; i++)
        assert_true(fabs((double)(m->store.value[i] - alone->store.value[i])) < 1e-3);
    for (int64_t i = 0; i < m->store.n; i++) assert_int_equal(m->store.p[i]->steps, 3);
    at_trainer_close(&t);
    at_trainer_close(&u);
    for (int i = 0; i < 2; i++) at_learner_close(&pair[i]);
    at_learner_close(&single);
    at_model_close(m);
    at_model_close(alone);
}

static at_recipe on(char **names) {
    at_recipe r = plain;
    r.data.domains = (at_strings){names, 1};
    return r;
}

/* With other data each: the gradient is the mean of what each alone would have. */
static void each_on_its_own_data(void **state) {
    (void)state;
    const at_recipe r[2] = {on(one_name), on(two_name)};
    at_model *m[3];
    at_real *grad[3];
    double loss[3];
    for (int k = 0; k < 3; k++) { /* one, two, both */
        m[k] = model_of(1);
        at_learner l[2] = {learner_of(&r[k % 2], m[k], NULL), learner_of(&r[1], m[k], NULL)};
        at_trainer t;
        at_step_report rep;
        OK(at_trainer_open(&ctx, &cp, &plain, l, k < 2 ? 1 : 2, &t));
        OK(at_trainer_step(&t, &rep));
        loss[k] = rep.loss;
        grad[k] = m[k]->store.grad;
        at_trainer_close(&t);
        for (int i = 0; i < 2; i++) at_learner_close(&l[i]);
    }
    assert_true(fabs(loss[0] - loss[1]) > 1e-4);
    assert_true(fabs((loss[0] + loss[1]) / 2 - loss[2]) < 1e-6);
    for (int64_t i = 0; i < m[0]->store.numel; i++)
        assert_true(fabs((double)((grad[0][i] + grad[1][i]) / 2 - grad[2][i])) < 1e-6);
    for (int k = 0; k < 3; k++) at_model_close(m[k]);
}

/* ---- trunks over an embedding, and a task of one's own ------------------------------------- */

typedef struct {
    at_store *shared, *own;
    uint64_t stream;
    int stepped;
} trunk;

/* Words through a trunk and back to words of the same embedding; three texts in turn. */
static at_tensor *trunk_loss(at_learner *l, at_run *r, int64_t index, double text_weight,
                             at_pass *p, at_losses *out) {
    trunk *w = l->state;
    int32_t ids[ROWS + 1];
    (void)text_weight;
    (void)p;
    for (int i = 0; i <= ROWS; i++)
        ids[i] = (int32_t)at_rand_below(IDS, (uint64_t)index % 3, w->stream, (uint64_t)i);
    at_head_report rep;
    const at_head_spec spec = {.label = ids + 1, .alpha = 1};
    at_tensor *x = at_embed(r, &w->shared->p[0]->t, ids, ROWS);
    x = at_linear(r, x, &w->own->p[0]->t, NULL);
    x = at_head_loss(r, x, &w->shared->p[0]->t, &spec, &rep);
    out->ce = rep.ce;
    return x;
}
static void trunk_stepped(at_learner *l) { ((trunk *)l->state)->stepped++; }
static void trunk_close(at_learner *l) { (void)l; }
static const at_task trunk_task = {
    .name = "trunk", .close = trunk_close, .loss = trunk_loss, .stepped = trunk_stepped};

/* Trunk 0 and 1 over an embedding. */
typedef struct {
    at_store shared, own[2];
    trunk w[2];
    at_learner l[2];
    at_trainer t;
} trunks;

static void one_matrix(at_store *s, const char *name, int64_t rows) {
    at_store_init(s, &ctx);
    assert_non_null(
        at_param(s, AT_INIT_NORMAL, 0.3, 2, (int64_t[]){rows, WIDTH}, "%s.weight", name));
    OK(at_store_alloc(s));
    at_store_randomise(s, 3);
}

static void open_trunks(trunks *x, const at_recipe *r) {
    *x = (trunks){0};
    one_matrix(&x->shared, "wte", IDS);
    for (int k = 0; k < 2; k++) {
        one_matrix(&x->own[k], k ? "two" : "one", WIDTH);
        x->w[k] = (trunk){&x->shared, &x->own[k], AT_STREAM_TEST + (uint64_t)k, 0};
        x->l[k] = (at_learner){
            .recipe = r,
            .task = &trunk_task,
            .store = {&x->shared, &x->own[k]},
            .n_stores = 2,
            .alpha = {.rule = &at_alpha_rule_fixed, .schedule = &at_distill_schedule_combined},
            .state = &x->w[k]};
    }
    OK(at_trainer_open(&ctx, &cp, r, x->l, 2, &x->t));
}

static void close_trunks(trunks *x) {
    at_trainer_close(&x->t);
    at_store_close(&x->shared);
    for (int k = 0; k < 2; k++) {
        at_learner_close(&x->l[k]);
        at_store_close(&x->own[k]);
    }
}

static const at_real *gradient(const at_store *s) { return s->p[0]->t.grad; }

/* The embedding has the mean of both trunks' gradients, a trunk half of its own; with one idle, all of
   the other's.  Each is stepped once a step, what is the idle one's not at all. */
static void trunks_share_an_embedding(void **state) {
    (void)state;
    trunks both, alone[2];
    at_step_report rep;
    open_trunks(&both, &plain);
    assert_int_equal(both.t.n_stores, 3);
    OK(at_trainer_step(&both.t, &rep));
    double loss = 0, norm = 0;
    for (int k = 0; k < 2; k++) {
        at_step_report one;
        trunks *x = &alone[k];
        open_trunks(x, &plain);
        x->l[1 - k].idle = true;
        at_real before[WIDTH * WIDTH];
        memcpy(before, x->own[1 - k].p[0]->t.data, sizeof before);
        OK(at_trainer_step(&x->t, &one));
        loss += one.loss / 2;
        assert_int_equal(2 * one.tokens, rep.tokens);
        assert_memory_equal(before, x->own[1 - k].p[0]->t.data, sizeof before);
        assert_int_equal(x->own[1 - k].p[0]->steps, 0);
        assert_int_equal(x->own[k].p[0]->steps, 1);
        assert_int_equal(x->shared.p[0]->steps, 1);
        assert_true(x->w[k].stepped == 1 && x->w[1 - k].stepped == 0);
    }
    assert_true(fabs(loss - rep.loss) < 1e-6);
    for (int64_t i = 0; i < IDS * WIDTH; i++) {
        const double g = (double)gradient(&both.shared)[i];
        const double mean =
            (double)(gradient(&alone[0].shared)[i] + gradient(&alone[1].shared)[i]) / 2;
        assert_true(fabs(g - mean) < 1e-6);
        norm += g * g;
    }
    for (int k = 0; k < 2; k++)
        for (int64_t i = 0; i < WIDTH * WIDTH; i++) {
            const double g = (double)gradient(&both.own[k])[i];
            assert_true(fabs(g - (double)gradient(&alone[k].own[k])[i] / 2) < 1e-6);
            norm += g * g;
        }
    assert_true(fabs(rep.norm - sqrt(norm)) < 1e-6); /* of all stores together */
    assert_int_equal(both.shared.p[0]->steps, 1);
    for (int k = 0; k < 2; k++) close_trunks(&alone[k]);
    close_trunks(&both);
}

/* Taking turns, both trunks learn. */
static void trunks_take_turns(void **state) {
    (void)state;
    trunks x;
    at_step_report rep, first[2];
    open_trunks(&x, &plain);
    for (int i = 0; i < 60; i++) {
        x.l[0].idle = i % 2 == 1;
        x.l[1].idle = i % 2 == 0;
        OK(at_trainer_step(&x.t, i < 2 ? &first[i] : &rep));
        if (i == 58) assert_true(rep.loss < first[0].loss - 0.1);
    }
    assert_true(rep.loss < first[1].loss - 0.1);
    assert_int_equal(x.shared.p[0]->steps, 60);
    assert_int_equal(x.own[0].p[0]->steps, 30);
    assert_int_equal(x.own[1].p[0]->steps, 30);
    x.l[0].idle = x.l[1].idle = true;
    assert_int_equal(at_trainer_step(&x.t, &rep), AT_ARG);
    expect_says(&ctx, "every learner is idle");
    close_trunks(&x);
}

static void steps_must_agree(void **state) {
    (void)state;
    at_model *m = model_of(1);
    at_recipe other = plain;
    other.train.accumulate = 3;
    at_learner l[2] = {learner_of(&plain, m, NULL), learner_of(&other, m, NULL)};
    at_trainer t;
    assert_int_equal(at_trainer_open(&ctx, &cp, &plain, l, 2, &t), AT_CONFIG);
    expect_says(&ctx, "learner 1 makes a step of 3 micro-batches, the trainer of 2");
    at_trainer_close(&t);
    for (int i = 0; i < 2; i++) at_learner_close(&l[i]);
    at_model_close(m);
}

/* ---- alpha, schedules, teachers --------------------------------------------------------------- */

/* Half the way to the ratio of the losses, each time. */
static int64_t two_numbers(int64_t steps) {
    assert_int_equal(steps, plain.train.steps);
    return 2;
}
static double moved(const at_alpha *a, int64_t step) {
    assert_int_equal(step, (int64_t)a->state[1]);
    return a->first + a->state[0];
}
static void move(at_alpha *a, const at_losses *seen) {
    a->state[0] += (seen->ce / (seen->ce + seen->kd) - a->first - a->state[0]) / 2;
    a->state[1]++;
}
static const at_alpha_rule moving = {"moving", "", two_numbers, moved, move, false};

static double in_turns(double alpha, int64_t turn) { return turn % 2 ? 0 : alpha; }
static const at_distill_schedule turns = {"turns", "", in_turns, false};

/* A live one that looks at what it is asked for. */
typedef struct {
    at_model *m;
    int64_t asked, next;
} watched;
static void watch(const at_teacher *t, at_run *r, const at_lesson *lesson, at_head_spec *spec) {
    watched *w = t->state;
    assert_int_equal(lesson->index, w->next++);
    w->asked++;
    const at_teacher live = at_teacher_live(w->m);
    live.kind->give(&live, r, lesson, spec);
}
static at_status begin_watched(const at_teacher *t, at_ctx *c, const at_recipe *r, at_sampler *s) {
    (void)t;
    (void)c;
    assert_true(s->data == &data && s->context == r->train.context);
    return AT_OK;
}
static const at_teacher_kind watching = {"watched", "", watch, begin_watched};

typedef struct {
    at_model *m, *teacher;
    watched w;
    at_learner l;
    at_trainer t;
} pupil;

static void open_pupil_of(const at_recipe *r, pupil *p, const at_alpha_rule *rule,
                          const at_distill_schedule *schedule) {
    *p = (pupil){.m = model_of(1), .teacher = model_of(2)};
    p->w = (watched){.m = p->teacher};
    OK(at_learner_open(&ctx, r, p->m, (at_teacher){&watching, &p->w}, &data, &p->l));
    at_alpha_close(&p->l.alpha);
    p->l.alpha = (at_alpha){.rule = rule, .schedule = schedule, .first = 0.5};
    OK(at_alpha_open(&ctx, &p->l.alpha, plain.train.steps));
    OK(at_trainer_open(&ctx, &cp, r, &p->l, 1, &p->t));
}

static void open_pupil(pupil *p, const at_alpha_rule *rule, const at_distill_schedule *schedule) {
    open_pupil_of(&plain, p, rule, schedule);
}

static void close_pupil(pupil *p) {
    at_trainer_close(&p->t);
    at_learner_close(&p->l);
    at_model_close(p->m);
    at_model_close(p->teacher);
}

/* The loss has the weights that rule and schedule say; a refused step teaches the rule nothing. */
static void alpha_moves(void **state) {
    (void)state;
    pupil p;
    open_pupil(&p, &moving, &turns);
    double alpha = 0.5;
    for (int i = 0; i < 4; i++) {
        at_step_report r;
        if (i == 2) {
            at_real *x = &p.m->store.p[0]->t.data[3];
            const at_real was = *x;
            *x = (at_real)NAN;
            assert_int_equal(at_trainer_step(&p.t, &r), AT_NUMERIC);
            *x = was;
            p.w.next = 2 * i;
        }
        OK(at_trainer_step(&p.t, &r));
        const double a = i % 2 ? 0 : alpha;
        assert_true(fabs(r.loss - a * r.ce - (1 - a) * r.kd) < 1e-6);
        assert_true(fabs(r.alpha - a) < 1e-12);
        assert_true(fabs(r.steady - (r.ce + r.kd) / 2) < 1e-6);
        alpha += (r.ce / (r.ce + r.kd) - alpha) / 2;
        assert_true(fabs(p.l.alpha.state[0] - (alpha - 0.5)) < 1e-12);
        assert_true(fabs(p.l.alpha.state[1] - (i + 1)) < 1e-12);
    }
    assert_true(fabs(alpha - 0.5) > 0.01);
    assert_int_equal(p.w.asked, 2 * 5); /* once for each micro-batch */
    close_pupil(&p);
}

/* Where micro-batches are the turns, a step has both losses, each of half of it; in turns of the text
   the teacher is not asked.  Where both losses count, the rule hears of each micro-batch. */
static void micro_batches_are_turns(void **state) {
    (void)state;
    pupil p;
    at_recipe by_micro_batch = plain;
    by_micro_batch.distill.scope = AT_SCOPE_MICRO_BATCH;
    open_pupil_of(&by_micro_batch, &p, &at_alpha_rule_adaptive, &at_distill_schedule_alternating);
    for (int i = 0; i < 3; i++) {
        at_step_report r;
        p.w.next = 2 * i + 1; /* the first micro-batch is the text's alone */
        OK(at_trainer_step(&p.t, &r));
        assert_true(r.alpha == 0.5 && r.taught == 0.5);
        assert_int_equal(p.w.asked, i + 1);
        assert_true(p.l.alpha.state[0] == 0); /* it has no say */
        assert_true(fabs(r.loss - (p.l.seen[0].ce + p.l.seen[1].kd) / 2) < 1e-6);
        assert_true(fabs(r.kd - p.l.seen[1].kd) < 1e-12 && p.l.seen[0].kd == 0);
        assert_true(fabs(r.steady - r.ce) < 1e-6);
    }
    close_pupil(&p);
    open_pupil_of(&by_micro_batch, &p, &at_alpha_rule_adaptive, &at_distill_schedule_combined);
    for (int i = 0; i < 3; i++) {
        at_step_report r;
        OK(at_trainer_step(&p.t, &r));
        const double *seen = p.l.alpha.state;
        assert_true(seen[0] == 2 * (i + 1));
        const double *ce = &seen[1 + 2 * i], *kd = &seen[21 + 2 * i];
        assert_true(fabs(ce[0] + ce[1] - 2 * r.ce) < 1e-12 && ce[0] != ce[1]);
        assert_true(fabs(kd[0] + kd[1] - 2 * r.kd) < 1e-12 && kd[0] != kd[1]);
    }
    close_pupil(&p);
}

/* The share of the text in all losses so far. */
static double in_all(const at_alpha *a, int64_t step) {
    (void)step;
    return a->state[0] > 0 ? a->state[0] / (a->state[0] + a->state[1]) : a->first;
}
static void add_up(at_alpha *a, const at_losses *seen) {
    a->state[0] += seen->ce;
    a->state[1] += seen->kd;
}
static const at_alpha_rule of_all = {"of all", "", two_numbers, in_all, add_up, false};

/* Alpha follows from the micro-batch's own losses and those before it; what a refused step said is
   forgotten. */
static void alpha_sees_its_own(void **state) {
    (void)state;
    pupil p;
    at_recipe own = plain;
    own.distill.scope = AT_SCOPE_MICRO_BATCH;
    own.distill.sees = AT_ALPHA_SEES_OWN;
    open_pupil_of(&own, &p, &of_all, &at_distill_schedule_combined);
    at_alpha_close(&p.l.trial);
    p.l.trial = (at_alpha){.rule = &of_all, .schedule = p.l.alpha.schedule, .first = 0.5};
    OK(at_alpha_open(&ctx, &p.l.trial, plain.train.steps));
    double ce = 0, kd = 0;
    for (int i = 0; i < 4; i++) {
        at_step_report r;
        if (i == 2) {
            at_real *x = &p.m->store.p[0]->t.data[3];
            const at_real was = *x;
            *x = (at_real)INFINITY;
            assert_int_equal(at_trainer_step(&p.t, &r), AT_NUMERIC);
            *x = was;
            p.w.next = 2 * i;
        }
        OK(at_trainer_step(&p.t, &r));
        double alpha[2], loss = 0;
        for (int j = 0; j < 2; j++) {
            const at_losses *seen = &p.l.seen[j];
            ce += seen->ce;
            kd += seen->kd;
            alpha[j] = ce / (ce + kd);
            loss += (alpha[j] * seen->ce + (1 - alpha[j]) * seen->kd) / 2;
        }
        assert_true(fabs(r.alpha - (alpha[0] + alpha[1]) / 2) < 1e-12 && alpha[0] != alpha[1]);
        assert_true(fabs(r.loss - loss) < 1e-6);
        assert_true(fabs(p.l.alpha.state[0] - ce) < 1e-12);
        assert_true(fabs(p.l.alpha.state[1] - kd) < 1e-12);
    }
    close_pupil(&p);
}

/* What the rule keeps is saved: a resumed run goes on with the same bits. */
static void resumed(const at_alpha_rule *rule) {
    pupil whole, again, other;
    char says[80];
    at_step_report r;
    at_runfolder f;
    char *root = temporary_folder(), *run = at_join(&ctx, root, "run");
    assert_non_null(run);
    open_pupil(&whole, rule, &turns);
    OK(at_runfolder_open(&ctx, run, false, &f));
    for (int i = 0; i < 5; i++) {
        OK(at_trainer_step(&whole.t, &r));
        if (i == 2) OK(at_runfolder_save(&f, &whole.l, &whole.t.progress, NULL, 1));
    }
    open_pupil(&again, rule, &turns);
    OK(at_runfolder_load(&f, 3, &again.l, &again.t.progress));
    again.w.next = 2 * 3;
    for (int i = 3; i < 5; i++) OK(at_trainer_step(&again.t, &r));
    same_parameters(&whole.m->store, &again.m->store);
    const int64_t n = whole.l.alpha.n_state;
    assert_memory_equal(whole.l.alpha.state, again.l.alpha.state, (size_t)n * sizeof(double));
    open_pupil(&other, &at_alpha_rule_fixed, &turns); /* it keeps nothing */
    assert_int_equal(at_runfolder_load(&f, 3, &other.l, &other.t.progress), AT_FORMAT);
    (void)snprintf(says, sizeof says, "field \"alpha\": expected 0 numbers, found %d", (int)n);
    expect_says(&ctx, says);
    close_pupil(&whole);
    close_pupil(&again);
    close_pupil(&other);
    at_runfolder_close(&f);
    at_free(run);
    OK(at_remove_tree(&ctx, root));
}

static void alpha_is_resumed(void **state) {
    (void)state;
    resumed(&moving);
    resumed(&at_alpha_rule_adaptive);
    resumed(&at_alpha_rule_slopes);
    resumed(&at_alpha_rule_gradient_norm);
}

/* ---- tables ------------------------------------------------------------------------------------- */

static void tables(void **state) {
    (void)state;
    static const char *const task[] = {"lm", "classify", "regress", "translate"};
    for (int i = 0; i < 4; i++) assert_string_equal(at_tasks[i]->name, task[i]);
    assert_null(at_tasks[4]);
    static const char *const rule[] = {"fixed", "adaptive", "slopes", "anneal", "gradient_norm"};
    for (int i = 0; i < 5; i++) assert_string_equal(at_alpha_rules[i]->name, rule[i]);
    assert_null(at_alpha_rules[5]);
    assert_string_equal(at_distill_schedules[0]->name, "combined");
    assert_string_equal(at_distill_schedules[1]->name, "alternating");
    assert_null(at_distill_schedules[2]);
    static const char *const schedule[] = {"constant", "linear", "cosine"};
    for (int i = 0; i < 3; i++) assert_string_equal(at_schedules[i]->name, schedule[i]);
    assert_null(at_schedules[3]);
}

int main(void) {
    at_ctx_init(&ctx, 2);
    if (at_compute_open(&cp, &ctx) != AT_OK) return 1;
    for (int k = 0; k < 2; k++) {
        for (int64_t i = 0; i < TOKENS; i++)
            token[k][i] =
                (uint16_t)at_rand_below(IDS, 1 + (uint64_t)k, AT_STREAM_TEST, (uint64_t)i);
        domain[k].shard[AT_TRAIN] = (at_shard){.width = 2, .token = token[k], .n_tokens = TOKENS};
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_are_one),
        cmocka_unit_test(each_on_its_own_data),
        cmocka_unit_test(trunks_share_an_embedding),
        cmocka_unit_test(trunks_take_turns),
        cmocka_unit_test(steps_must_agree),
        cmocka_unit_test(alpha_moves),
        cmocka_unit_test(micro_batches_are_turns),
        cmocka_unit_test(alpha_sees_its_own),
        cmocka_unit_test(alpha_is_resumed),
        cmocka_unit_test(tables),
    };
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    at_compute_close(&cp);
    return failed;
}
