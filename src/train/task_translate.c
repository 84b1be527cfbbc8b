/*
 * task_translate.c - texts to their translations: the text is read, the tokens of the translation carry
 * the loss.
 *
 * A batch is of pairs of about the same length, one a sequence; what a shorter one lacks is padding
 * behind it, which no token of the pair sees, and which no router's loss counts.  An epoch has every
 * pair once, in an order of its own, but for less than a batch.
 */
#include "base/ints.h"
#include "base/rng.h"
#include "infer/translate.h"
#include "train/kept.h"
#include "train/learner.h"
#include "train/lm_data.h"
#include <math.h>
#include <string.h>

enum { NEARBY = 32 }; /* batches whose pairs are sorted by length together */

typedef struct {
    at_bitext train;
    int domain[AT_RECIPE_DOMAINS], n_domains;
    int64_t *order, *shuffled; /* [train.n] pairs as they are read in `epoch` */
    int64_t epoch;             /* -1: none yet */
    int32_t *input, *target, *end;
    at_kept best;
} translating;

static translating *state_of(const at_learner *l) { return l->state; }

/* ---- data and models ---- */

/* Domains in use, by index. */
static at_status domains_of(at_ctx *c, const at_recipe *r, const at_dataset *set, int *domain,
                            int *n) {
    *n = 0;
    if (r->data.domains.n > AT_RECIPE_DOMAINS)
        return at_error(c, AT_CONFIG, "data.domains: expected at most %d", AT_RECIPE_DOMAINS);
    for (int i = 0; !r->data.domains.n && i < set->n_domains; i++) domain[(*n)++] = i;
    for (int64_t i = 0; i < r->data.domains.n; i++) {
        const int k = at_dataset_domain(set, r->data.domains.item[i]);
        if (k < 0)
            return at_error(c, AT_CONFIG, "data.domains: no domain `%s` in %s",
                            r->data.domains.item[i], set->path);
        domain[(*n)++] = k;
    }
    return AT_OK;
}

static at_status sign_model(at_ctx *c, const at_data *d, at_model *m) {
    const at_dataset *set = d->set;
    int domain[AT_RECIPE_DOMAINS], n = 0;
    for (int64_t i = 0; i < d->parts && n < AT_RECIPE_DOMAINS; i++) {
        domain[n] = at_dataset_domain(set, d->part[i]);
        n += domain[n] >= 0;
    }
    const at_status s = at_lm_data_sign(c, d, m);
    return s == AT_OK ? at_translate_sign(c, m, set, domain, n) : s;
}

/* ---- a learner ---- */

/* Keys that say how windows of running text are read. */
static at_status refuse(at_ctx *c, const at_recipe *r, const at_model *m) {
    const char *key = r->train.history                      ? "train.history"
                      : r->train.stretch                    ? "train.stretch"
                      : r->train.windows != AT_WINDOWS_AUTO ? "train.windows"
                      : r->data.weights.n                   ? "data.weights"
                      : r->data.mix != AT_MIX_AUTO          ? "data.mix"
                                                            : NULL;
    if (key)
        return at_error(c, AT_CONFIG,
                        "%s: the task translate reads whole pairs, each once an epoch", key);
    if (at_model_modules(m).n)
        return at_error(c, AT_CONFIG,
                        "task: translate: %s has a trunk for each domain, and this "
                        "task trains whole models",
                        m->arch->name);
    if (r->train.context > m->dims.context)
        return at_error(c, AT_CONFIG,
                        "train.context is %lld, but the model takes at most %lld tokens",
                        (long long)r->train.context, (long long)m->dims.context);
    return AT_OK;
}

static at_status read_pairs(at_ctx *c, const at_recipe *r, const at_dataset *set, translating *b) {
    at_bitext *p = &b->train;
    at_status s = domains_of(c, r, set, b->domain, &b->n_domains);
    for (int i = 0; i < b->n_domains && s == AT_OK; i++)
        s = at_bitext_add(c, set, AT_TRAIN, b->domain[i], r->train.context + 1, p);
    if (s != AT_OK) return s;
    if (p->n < r->train.batch)
        return at_error(
            c, AT_CONFIG,
            "train.batch is %lld, and %s has %lld pairs of at most %lld tokens to learn "
            "from (train.context; the longest has %lld)",
            (long long)r->train.batch, set->path, (long long)p->n, (long long)r->train.context,
            (long long)p->longest - 1);
    if (p->left)
        at_log(c, AT_LOG_WARN,
               "%s: %lld of %lld pairs are longer than train.context, %lld tokens, and are left "
               "out; the longest has %lld",
               set->path, (long long)p->left, (long long)(p->n + p->left),
               (long long)r->train.context, (long long)p->longest - 1);
    return AT_OK;
}

static at_status open_state(at_learner *l, at_ctx *c, const void *set) {
    const at_recipe *r = l->recipe;
    translating *b = l->state = at_calloc(c, 1, sizeof *b);
    if (!b) return AT_OOM;
    b->epoch = -1;
    at_status s = refuse(c, r, l->model);
    if (s == AT_OK) s = read_pairs(c, r, set, b);
    if (s != AT_OK) return s;
    const size_t all = (size_t)b->train.n, tokens = (size_t)(r->train.batch * r->train.context);
    l->per_batch = at_max(1, r->train.batch * b->train.tokens / b->train.n);
    b->order = at_malloc(c, all * sizeof *b->order);
    b->shuffled = at_malloc(c, all * sizeof *b->shuffled);
    b->input = at_malloc(c, tokens * sizeof *b->input);
    b->target = at_malloc(c, tokens * sizeof *b->target);
    b->end = at_malloc(c, (size_t)r->train.batch * sizeof *b->end);
    if (!b->order || !b->shuffled || !b->input || !b->target || !b->end) return AT_OOM;
    return at_kept_open(c, l->model, &b->best);
}

static void close_state(at_learner *l) {
    translating *b = state_of(l);
    if (!b) return;
    at_bitext_close(&b->train);
    at_free(b->order);
    at_free(b->shuffled);
    at_free(b->input);
    at_free(b->target);
    at_free(b->end);
    at_kept_close(&b->best);
    at_free(b);
}

/* The pairs of an epoch: shuffled, sorted by length among neighbours, and their batches shuffled. */
static at_status begin_epoch(at_ctx *c, at_learner *l, int64_t epoch) {
    translating *b = state_of(l);
    const int64_t n = b->train.n, B = l->recipe->train.batch, batches = n / B, near = NEARBY * B;
    const uint64_t key = at_rand64((uint64_t)l->recipe->top.seed, AT_STREAM_BATCH, (uint64_t)epoch);
    at_status s = AT_OK;
    for (int64_t i = 0; i < n; i++)
        b->shuffled[i] = (int64_t)at_rand_permute((uint64_t)i, (uint64_t)n, key, AT_STREAM_BATCH);
    for (int64_t i = 0; i < batches * B && s == AT_OK; i += near)
        s = at_bitext_sort(c, &b->train, b->shuffled + i, at_min(near, batches * B - i));
    for (int64_t i = 0; i < batches; i++) {
        const int64_t from =
            (int64_t)at_rand_permute((uint64_t)i, (uint64_t)batches, key + 1, AT_STREAM_BATCH);
        memcpy(b->order + i * B, b->shuffled + from * B, (size_t)B * sizeof *b->order);
    }
    if (s == AT_OK) b->epoch = epoch;
    return s;
}

static at_tensor *loss_of(at_learner *l, at_run *run, int64_t index, double text_weight, at_pass *p,
                          at_losses *out) {
    translating *b = state_of(l);
    const int64_t B = l->recipe->train.batch, batches = b->train.n / B;
    (void)text_weight;
    if (b->epoch != index / batches) {
        const at_status s = begin_epoch(run->ctx, l, index / batches);
        if (s != AT_OK) return at_fail(run, s, "%s", run->ctx->message);
    }
    const int64_t *which = b->order + index % batches * B;
    const int64_t T = at_bitext_width(&b->train, which, B);
    at_bitext_batch(&b->train, which, B, T, b->input, b->target, b->end);
    const at_input in = {.ids = b->input, .B = B, .T = T, .end = b->end};
    at_tensor *x = at_model_hidden(l->model, run, &in, p);
    if (p->collect) return x;
    const at_head_spec spec = {.label = b->target, .alpha = 1};
    at_head_report rep = {0};
    x = at_head_loss(run, x, at_model_head(l->model), &spec, &rep);
    *out = (at_losses){.ce = rep.ce};
    return x;
}

static at_status explain(const at_learner *l, at_ctx *c, at_status s) {
    return at_dataset_error(c, state_of(l)->train.set, s);
}

/* ---- measuring ---- */

/* Of one direction in a split; pairs that the model cannot take are passed over. */
static at_status measure(const at_learner *l, at_ctx *c, at_compute *cp, int domain, at_split split,
                         int64_t limit, at_bitext *p, at_eval *out) {
    const at_dataset *set = state_of(l)->train.set;
    *p = (at_bitext){0};
    *out = (at_eval){0};
    at_status s = at_bitext_add(c, set, split, domain, l->model->dims.context + 1, p);
    if (s == AT_OK) s = at_bitext_loss(cp, l->model, p, limit, out);
    at_bitext_close(p);
    return at_dataset_error(c, set, s);
}

static at_status evaluate(at_learner *l, at_ctx *c, at_compute *cp, at_score_fn f, void *user) {
    translating *b = state_of(l);
    double nats = 0, tokens = 0;
    at_status s = AT_OK;
    for (int i = 0; i < b->n_domains && s == AT_OK; i++) {
        at_eval e;
        at_bitext p;
        s = measure(l, c, cp, b->domain[i], AT_VALIDATION, l->recipe->train.eval_windows, &p, &e);
        if (s != AT_OK || !e.tokens) continue;
        s = f(user, b->train.set->domain[b->domain[i]].name, e.nats / (double)e.tokens,
              (double)NAN);
        nats += e.nats;
        tokens += (double)e.tokens;
    }
    if (s != AT_OK || !(tokens > 0)) return s;
    const double loss = nats / tokens;
    at_kept_offer(&b->best, l->model, 0, loss, !b->best.any || loss < b->best.loss);
    return f(user, "all", loss, (double)NAN);
}

static bool done(const at_learner *l) {
    const int64_t patience = l->recipe->translate.patience;
    return patience > 0 && state_of(l)->best.since >= patience;
}

static void conclude(at_learner *l) {
    if (l->recipe->translate.best) at_kept_restore(&state_of(l)->best, l->model);
}

static at_status result(at_learner *l, at_ctx *c, at_compute *cp, at_json *j) {
    const translating *b = state_of(l);
    at_status s = AT_OK;
    at_json_put_string(j, "part", "test");
    at_json_begin_list(j, "directions");
    for (int i = 0; i < b->n_domains && s == AT_OK; i++) {
        at_eval e;
        at_bitext p;
        s = measure(l, c, cp, b->domain[i], AT_TEST, 0, &p, &e);
        at_json_begin_object(j, NULL);
        at_json_put_string(j, "direction", b->train.set->domain[b->domain[i]].name);
        at_json_put_number(j, "pairs", (double)e.windows);
        at_json_put_number(j, "tokens", (double)e.tokens);
        at_json_put_number(j, "loss", e.tokens ? e.nats / (double)e.tokens : (double)NAN);
        at_json_end(j);
    }
    at_json_end(j);
    return s;
}

static at_status save(const at_learner *l, at_ctx *c, const char *dir) {
    return at_kept_save(c, &state_of(l)->best, dir);
}

static at_status load(at_learner *l, at_ctx *c, const char *dir) {
    return at_kept_load(c, &state_of(l)->best, dir);
}

const at_task at_task_translate = {.name = "translate",
                                   .help = "the translation of texts",
                                   .pairs = true,
                                   .open_data = at_lm_data_open,
                                   .close_data = at_lm_data_close,
                                   .check_model = at_lm_data_check,
                                   .sign_model = sign_model,
                                   .open = open_state,
                                   .close = close_state,
                                   .loss = loss_of,
                                   .explain = explain,
                                   .evaluate = evaluate,
                                   .done = done,
                                   .conclude = conclude,
                                   .result = result,
                                   .file = AT_KEPT_FILE,
                                   .save = save,
                                   .load = load};
