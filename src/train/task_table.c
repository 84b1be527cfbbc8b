/* task_table.c - learning from rows: epochs in keyed permutations, validation, the best of them kept. */
#include "base/rng.h"
#include "train/kept.h"
#include "train/learner.h"
#include "train/table_set.h"
#include <math.h>
#include <string.h>

/* What it keeps for a learner. */
typedef struct table_state {
    const at_table_set *set;
    at_real *x, *target; /* of a micro-batch */
    int32_t *label;
    at_kept best;
} table_state;

static table_state *state_of(const at_learner *l) { return l->state; }

/* ---- data and models ---- */

static at_status open_data(at_ctx *c, const at_recipe *r, bool classes, at_data *out) {
    at_table_set *set = NULL;
    const at_status s = at_table_set_open(c, r, classes, &set);
    if (s != AT_OK) return s;
    *out = at_table_data(set);
    return AT_OK;
}

static void close_data(at_data *d) {
    at_table_set_close(d->set);
    *d = (at_data){0};
}

/* Epochs become steps. */
static void settle(at_recipe *r, const at_data *d) {
    const int64_t a_step = r->train.batch * r->train.accumulate;
    const int64_t epoch = (d->samples + a_step - 1) / a_step;
    if (!r->train.steps) r->train.steps = r->table.epochs * epoch;
    if (r->table.evaluate) r->train.eval_every = r->table.evaluate * epoch;
}

static at_status check_model(at_ctx *c, const at_recipe *r, const at_data *d, const at_model *m,
                             const char *what) {
    if (!at_model_of_tables(m))
        return at_error(c, AT_MISMATCH,
                        "%s is of architecture %s, which does not read rows of numbers", what,
                        m->arch->name);
    if (m->dims.text != d->text)
        return at_error(c, AT_MISMATCH, "%s is of architecture %s, which reads %s: table.text %s",
                        what, m->arch->name,
                        m->dims.text ? "a column of texts" : "numbers, and no texts",
                        m->dims.text ? "says which" : "is for text_classifier");
    if (m->dims.inputs == d->inputs && m->dims.vocab == d->outputs) return AT_OK;
    return at_error(
        c, AT_MISMATCH,
        "%s reads %lld numbers and has %lld outputs, but %s comes to %lld inputs and %lld outputs",
        what, (long long)m->dims.inputs, (long long)m->dims.vocab, r->data.train,
        (long long)d->inputs, (long long)d->outputs);
}

static at_status sign_model(at_ctx *c, const at_data *d, at_model *m) {
    const at_table_set *set = d->set;
    return at_table_sign(c, m, &set->features, &set->origin);
}

/* ---- a learner ---- */

static at_status open_state(at_learner *l, at_ctx *c, const void *set) {
    const at_recipe *r = l->recipe;
    if (r->train.history || r->train.stretch)
        return at_error(c, AT_CONFIG, "train.%s: rows of a table do not continue each other",
                        r->train.history ? "history" : "stretch");
    const int64_t batch = l->recipe->train.batch, inputs = l->model->dims.inputs;
    table_state *b = l->state = at_calloc(c, 1, sizeof *b);
    if (!b) return AT_OOM;
    b->set = set;
    l->per_batch = batch;
    if (l->teacher.kind)
        return at_error(c, AT_CONFIG,
                        "distill: a teacher reads text, and this task has rows of a table");
    b->x = at_malloc(c, (size_t)(batch * inputs) * sizeof *b->x);
    b->target = at_malloc(c, (size_t)batch * sizeof *b->target);
    b->label = at_malloc(c, (size_t)batch * sizeof *b->label);
    if (!b->x || !b->target || !b->label) return AT_OOM;
    return at_kept_open(c, l->model, &b->best);
}

static void close_state(at_learner *l) {
    table_state *b = state_of(l);
    if (!b) return;
    at_free(b->x);
    at_free(b->target);
    at_free(b->label);
    at_kept_close(&b->best);
    at_free(b);
}

/* Row number g of all that are read one after the other: each epoch has every row once. */
static int64_t row_of(const at_learner *l, int64_t g, int64_t n) {
    const uint64_t key =
        at_rand64((uint64_t)l->recipe->top.seed, AT_STREAM_BATCH, (uint64_t)(g / n));
    return (int64_t)at_rand_permute((uint64_t)(g % n), (uint64_t)n, key, AT_STREAM_BATCH);
}

/* Each of n values as often as an ensemble has members, which all learn from the same rows. */
static const void *repeat(at_run *run, const void *value, size_t width, int64_t n,
                          int64_t members) {
    const char *from = value;
    char *out = at_run_alloc(run, (size_t)(n * members) * width);
    for (int64_t i = 0; out && i < n * members; i++)
        memcpy(out + (size_t)i * width, from + (size_t)(i / members) * width, width);
    return out;
}

static at_tensor *loss_of(at_learner *l, at_run *run, int64_t index, double text_weight, at_pass *p,
                          at_losses *out) {
    table_state *b = state_of(l);
    const at_table_rows *t = &b->set->part[AT_PART_TRAIN];
    const int64_t batch = l->recipe->train.batch, inputs = l->model->dims.inputs;
    (void)text_weight;
    for (int64_t i = 0; i < batch; i++) {
        const int64_t row = row_of(l, index * batch + i, t->n);
        memcpy(b->x + i * inputs, t->x + row * inputs, (size_t)inputs * sizeof *b->x);
        b->label[i] = t->class ? t->class[row] : 0;
        b->target[i] = t->target ? t->target[row] : 0;
    }
    p->label = t->class ? b->label : NULL;
    p->target = t->class ? NULL : b->target;
    const at_input in = {.kind = AT_INPUT_ROWS, .values = b->x, .B = batch, .T = inputs};
    at_tensor *x = at_model_hidden(l->model, run, &in, p);
    if (p->collect) return x;
    if (!(x = at_model_logits(l->model, run, x))) return NULL;
    const int64_t members = at_rows(x) / batch;
    const void *label = t->class ? repeat(run, b->label, sizeof *b->label, batch, members)
                                 : repeat(run, b->target, sizeof *b->target, batch, members);
    if (!label) return NULL;
    x = t->class ? at_xent(run, x, label) : at_square_loss(run, x, label);
    *out = (at_losses){.ce = x && !run->dry ? (double)x->data[0] : 0};
    return x;
}

/* ---- measuring ---- */

/* Classes by accuracy, where the recipe says so; else, and among equals, by the loss. */
static bool better(const at_learner *l, const table_state *b, double score, double loss) {
    const at_kept *k = &b->best;
    if (!k->any) return true;
    if (b->set->features.classes.n && l->recipe->table.best == AT_BEST_ACCURACY)
        return score > k->score || (!(score < k->score) && loss < k->loss);
    return loss < k->loss;
}

static at_status evaluate(at_learner *l, at_ctx *c, at_compute *cp, at_score_fn f, void *user) {
    table_state *b = state_of(l);
    const at_features *features = &b->set->features;
    const at_table_rows *rows = &b->set->part[AT_PART_VALIDATION];
    at_scores s = {0};
    (void)c;
    if (!rows->n) return AT_OK;
    at_status st = at_table_score(cp, l->model, features, rows, &s);
    const double loss = features->classes.n ? s.loss : s.loss / features->spread / features->spread;
    if (st == AT_OK) {
        at_kept_offer(&b->best, l->model, s.accuracy, loss, better(l, b, s.accuracy, loss));
        st = f(user, "all", loss, features->classes.n ? s.accuracy : (double)NAN);
    }
    at_scores_close(&s);
    return st;
}

static bool done(const at_learner *l) {
    const int64_t patience = l->recipe->table.patience;
    return patience > 0 && state_of(l)->best.since >= patience;
}

static void conclude(at_learner *l) { at_kept_restore(&state_of(l)->best, l->model); }

static at_status result(at_learner *l, at_ctx *c, at_compute *cp, at_json *j) {
    const table_state *b = state_of(l);
    const at_features *f = &b->set->features;
    const at_table_rows *rows = &b->set->part[AT_PART_TEST];
    at_scores s = {0};
    (void)c;
    at_json_put_string(j, "part", "test");
    at_json_put_numbers(j, "split",
                        (double[]){(double)b->set->part[AT_PART_TRAIN].n,
                                   (double)b->set->part[AT_PART_VALIDATION].n, (double)rows->n},
                        3);
    if (!rows->n) return AT_OK;
    const at_status st = at_table_score(cp, l->model, f, rows, &s);
    if (st == AT_OK) at_table_put_scores(f, rows, &s, j);
    at_scores_close(&s);
    return st;
}

static at_status save(const at_learner *l, at_ctx *c, const char *dir) {
    return at_kept_save(c, &state_of(l)->best, dir);
}

static at_status load(at_learner *l, at_ctx *c, const char *dir) {
    return at_kept_load(c, &state_of(l)->best, dir);
}

/* ---- the rows of the table of tasks ---- */

static at_status open_classes(at_ctx *c, const at_recipe *r, at_data *out) {
    return open_data(c, r, true, out);
}
static at_status open_numbers(at_ctx *c, const at_recipe *r, at_data *out) {
    return open_data(c, r, false, out);
}

#define TABLE_TASK(the_name, the_help, the_open)                                             \
    {                                                                                        \
        .name = the_name, .help = the_help, .tables = true, .open_data = the_open,           \
        .close_data = close_data, .settle = settle, .check_model = check_model,              \
        .sign_model = sign_model, .open = open_state, .close = close_state, .loss = loss_of, \
        .evaluate = evaluate, .done = done, .conclude = conclude, .result = result,          \
        .file = AT_KEPT_FILE, .save = save, .load = load                                     \
    }
const at_task at_task_classify =
    TABLE_TASK("classify", "the class of rows of a table", open_classes);
const at_task at_task_regress = TABLE_TASK("regress", "a number of rows of a table", open_numbers);
