/* prune_scores.c - see prune_scores.h. */
#include "infer/prune_scores.h"
#include "base/rng.h"
#include "infer/evaluate.h"
#include <math.h>
#include <string.h>

const char *const at_prune_score_name[AT_PRUNE_SCORES] = {"use", "reap", "norm", "loss", "random"};

void at_slot_scores_close(at_slot_scores *s) {
    for (int64_t b = 0; s->of && b < s->of->n; b++) {
        if (s->bank) at_free(s->bank[b].chosen);
        for (int k = 0; k < AT_PRUNE_SCORES; k++)
            if (s->value[k]) at_free(s->value[k][b]);
    }
    for (int k = 0; k < AT_PRUNE_SCORES; k++) at_free(s->value[k]);
    at_free(s->bank);
    at_free(s->tokens);
    *s = (at_slot_scores){0};
}

static at_status make_values(at_ctx *c, at_slot_scores *s, at_prune_score k) {
    if (!(s->value[k] = at_calloc(c, (size_t)s->of->n, sizeof *s->value[k]))) return AT_OOM;
    for (int64_t b = 0; b < s->of->n; b++)
        if (!(s->value[k][b] = at_calloc(c, (size_t)s->of->bank[b].n, sizeof(double))))
            return AT_OOM;
    return AT_OK;
}

static at_status open(at_ctx *c, const at_banks *banks, const at_prune_text *t, at_slot_scores *s) {
    *s = (at_slot_scores){.of = banks, .domains = t->n};
    s->bank = at_calloc(c, (size_t)banks->n, sizeof *s->bank);
    s->tokens = at_calloc(c, (size_t)t->n, sizeof *s->tokens);
    if (!s->bank || !s->tokens) return AT_OOM;
    for (int64_t b = 0; b < banks->n; b++) {
        const size_t n = (size_t)t->n * (size_t)banks->bank[b].n;
        double *x = at_calloc(c, 3 * n, sizeof *x);
        if (!x) return AT_OOM;
        s->bank[b] = (at_slot_sums){x, x + n, x + 2 * n};
    }
    return AT_OK;
}

/* ---- sums ---- */

typedef struct {
    at_slot_scores *s;
    int domain;
    at_routing last; /* that was seen; what its experts say comes next */
} reading;

static int64_t bank_of(const at_banks *l, at_router_id id) { return at_bank_find(l, id) - l->bank; }

static void see(void *user, at_run *r, at_router_id id, const at_routing *ro) {
    reading *w = user;
    (void)r;
    double *chosen = w->s->bank[bank_of(w->s->of, id)].chosen + w->domain * ro->e;
    for (int64_t j = 0; j < ro->e; j++) chosen[j] += (double)(ro->first[j + 1] - ro->first[j]);
    w->last = *ro;
}

static void experts(void *user, at_run *r, at_router_id id, const at_tensor *x,
                    const at_tensor *gates) {
    reading *w = user;
    const at_slot_sums *sums = &w->s->bank[bank_of(w->s->of, id)];
    const int64_t slots = w->last.n * w->last.k, C = at_numel(x) / slots,
                  row = w->domain * w->last.e;
    (void)r;
    for (int64_t i = 0; i < slots; i++) {
        double square = 0;
        for (int64_t j = 0; j < C; j++) {
            const double v = (double)x->data[i * C + j];
            square += v * v;
        }
        const double norm = sqrt(square);
        sums->gated[row + w->last.pick[i]] += (double)gates->data[i] * norm;
        sums->norm[row + w->last.pick[i]] += norm;
    }
}

static at_status read_domain(at_compute *cp, at_arena *arena, at_model *m, const at_prune_text *t,
                             int domain, at_slot_scores *s, int32_t *ids) {
    at_ctx *c = cp->ctx;
    const at_domain *d = &t->data->domain[t->domain[domain]];
    const at_shard *shard = &d->shard[t->split];
    reading w = {.s = s, .domain = domain};
    const at_watch watch = {.see = see, .experts = experts, .user = &w};
    const int64_t n = at_eval_windows(shard, t->context, t->windows);
    at_log(c, AT_LOG_PROGRESS, "scores: reading %s", d->name);
    at_status st = AT_OK;
    for (int64_t i = 0; i < n && st == AT_OK; i++) {
        int64_t start, len;
        at_pass p = {.watch = &watch};
        if (at_interrupted(c)) return at_error(c, AT_INTERRUPTED, "interrupted");
        at_eval_window(shard, t->context, t->windows, i, &start, &len);
        if (len > t->context) len = t->context;
        at_shard_read(shard, start, len, ids);
        const at_input in = {.ids = ids, .B = 1, .T = len};
        st = at_model_read(cp, arena, m, &in, &p, &(at_readout){0});
        s->tokens[domain] += len;
    }
    if (st == AT_OK && !s->tokens[domain])
        st = at_error(c, AT_ARG, "%s: domain `%s`: the split %s is empty", t->data->path, d->name,
                      at_split_name[t->split]);
    return at_dataset_error(c, t->data, st);
}

/* ---- from sums to scores ---- */

static double weigh(const at_slot_scores *s, const double *sum, int64_t e, int64_t slot) {
    double x = 0;
    for (int d = 0; d < s->domains; d++) x += sum[d * e + slot] / (double)s->tokens[d];
    return x;
}

static at_status finish(at_ctx *c, at_slot_scores *s, uint64_t seed) {
    static const at_prune_score made[] = {AT_PRUNE_USE, AT_PRUNE_REAP, AT_PRUNE_NORM,
                                          AT_PRUNE_RANDOM};
    for (size_t i = 0; i < sizeof made / sizeof *made; i++)
        if (make_values(c, s, made[i]) != AT_OK) return AT_OOM;
    uint64_t number = 0;
    for (int64_t b = 0; b < s->of->n; b++)
        for (int64_t e = 0, n = s->of->bank[b].n; e < n; e++) {
            const at_slot_sums *x = &s->bank[b];
            const double chosen = weigh(s, x->chosen, n, e);
            s->value[AT_PRUNE_USE][b][e] = chosen / s->domains;
            if (chosen > 0) s->value[AT_PRUNE_REAP][b][e] = weigh(s, x->gated, n, e) / chosen;
            if (chosen > 0) s->value[AT_PRUNE_NORM][b][e] = weigh(s, x->norm, n, e) / chosen;
            s->value[AT_PRUNE_RANDOM][b][e] = at_uniform(seed, AT_STREAM_PRUNE, number++);
        }
    return AT_OK;
}

at_status at_slot_scores_read(at_compute *cp, at_model *m, const at_prune_text *t, uint64_t seed,
                              at_slot_scores *out) {
    at_ctx *c = cp->ctx;
    const at_banks *banks = m->arch->banks ? m->arch->banks(m->impl) : NULL;
    bool routed = false;
    *out = (at_slot_scores){0};
    for (int64_t b = 0; banks && b < banks->n; b++) routed |= banks->bank[b].row != NULL;
    if (!routed)
        return at_error(c, AT_ARG,
                        "%s: its architecture, %s, has no routers whose experts could be "
                        "scored",
                        m->path ? m->path : "the model", m->arch->name);
    at_arena arena;
    at_arena_init(&arena, c);
    int32_t *ids = at_malloc(c, (size_t)t->context * sizeof *ids);
    at_status s = ids ? open(c, banks, t, out) : AT_OOM;
    for (int d = 0; d < t->n && s == AT_OK; d++) s = read_domain(cp, &arena, m, t, d, out, ids);
    if (s == AT_OK) s = finish(c, out, seed);
    at_free(ids);
    at_arena_close(&arena);
    return s;
}

/* ---- leaving one out ---- */

/* Mean over the domains of their losses. */
static at_status mean_loss(at_compute *cp, at_model *m, const at_prune_text *t, double *out) {
    *out = 0;
    for (int d = 0; d < t->n; d++) {
        at_eval e = {0};
        const at_shard *shard = &t->data->domain[t->domain[d]].shard[t->split];
        const at_status s = at_eval_model(cp, m, shard, t->context, t->windows, NULL, &e);
        if (s != AT_OK) return at_dataset_error(cp->ctx, t->data, s);
        *out += e.nats / (double)e.tokens / t->n;
    }
    return AT_OK;
}

at_status at_slot_losses(at_compute *cp, at_model *m, const at_prune_text *t, at_slot_use how,
                         at_slot_scores *s) {
    at_ctx *c = cp->ctx;
    double whole = 0;
    at_status st = make_values(c, s, AT_PRUNE_LOSS);
    if (st == AT_OK) st = mean_loss(cp, m, t, &whole);
    for (int64_t i = 0; i < s->of->n && st == AT_OK; i++) {
        at_bank *b = &s->of->bank[i];
        at_log(c, AT_LOG_PROGRESS, "scores: layer %lld, %s, without each of %lld experts",
               (long long)b->id.layer, at_layer_kind_name[b->id.kind], (long long)b->n);
        for (int64_t e = 0; e < b->n && st == AT_OK; e++) {
            double *x = &s->value[AT_PRUNE_LOSS][i][e];
            *x = (double)INFINITY;
            if (at_bank_open(b) <= b->k || !at_bank_is_open(b, e)) continue;
            st = at_bank_use(c, b, e, how);
            if (st == AT_OK) st = mean_loss(cp, m, t, x);
            *x -= whole;
            const at_status back = at_bank_use(c, b, e, AT_SLOT_OPEN);
            if (st == AT_OK) st = back;
        }
    }
    return st;
}
