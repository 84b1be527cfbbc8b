/* doctor_read.c - what a mixture does with text: gates and choices forwards, routers' gradients backwards. */
#include "base/ints.h"
#include "base/maths.h"
#include "base/rng.h"
#include "data/batch.h"
#include "infer/doctor.h"
#include "infer/lm.h"
#include <math.h>
#include <string.h>

enum { LEARN = 4, RANDOM = 64 }; /* windows that are read backwards, too; tokens drawn at random */

/* What was seen of a router. */
typedef struct {
    at_router_id id;
    int64_t k, tokens;
    double off;      /* largest difference of a gate from what the configuration says */
    double sum;      /* of the token where it is: what the gates sum to               */
    double last;     /* sum of the last choice's gates                                */
    double simplex;  /* largest difference of logits from probabilities               */
    double gradient; /* sum of squares                                                */
    int64_t rows;    /* values of its rows                                            */
} seen;

typedef struct {
    at_compute *cp;
    at_model *m;
    at_diagnosis *d;
    const at_doctor_options *o;
    const at_banks *banks;
    seen *router; /* [banks] */
    bool renormalise;
    at_usage usage;
    double reference; /* mean square of the gradient of norms */
    int64_t learnt;   /* windows read backwards               */
    at_arena arena;
    int32_t *ids, *label;
} reading;

static seen *router_of(reading *w, at_router_id id) {
    for (int64_t i = 0; i < w->banks->n; i++)
        if (w->banks->bank[i].id.layer == id.layer && w->banks->bank[i].id.kind == id.kind)
            return &w->router[i];
    return NULL;
}

/* Whether the logits of a token are probabilities themselves: none below 0, their sum 1. */
static double off_simplex(const at_routing *ro, int64_t t) {
    double sum = 0, off = 0;
    for (int64_t e = 0; e < ro->e; e++) {
        const double p = (double)ro->p[t * ro->e + e];
        const double logit = p > 0 ? at_ln(p) + ro->lse[t] : -1;
        sum += logit;
        if (-logit > off) off = -logit;
    }
    return fabs(sum - 1) > off ? fabs(sum - 1) : off;
}

static void see_gates(void *user, at_run *r, at_router_id id, const at_tensor *gates,
                      const at_routing *ro) {
    reading *w = user;
    seen *s = router_of(w, id);
    (void)r;
    if (!s) return;
    s->k = ro->k;
    for (int64_t t = 0; t < ro->n; t++) {
        const at_real *g = gates->data + t * ro->k, *p = ro->p + t * ro->e;
        double chosen = 0, sum = 0;
        for (int64_t j = 0; j < ro->k; j++) {
            chosen += (double)p[ro->pick[t * ro->k + j]];
            sum += (double)g[j];
        }
        for (int64_t j = 0; j < ro->k; j++) {
            const double want = (double)p[ro->pick[t * ro->k + j]] / (w->renormalise ? chosen : 1);
            if (fabs((double)g[j] - want) > s->off) {
                s->off = fabs((double)g[j] - want);
                s->sum = sum;
            }
        }
        s->last += (double)g[ro->k - 1];
        const double off = off_simplex(ro, t);
        if (off > s->simplex) s->simplex = off;
    }
    s->tokens += ro->n;
}

/* ---- passes -------------------------------------------------------------------------------------------- */

static bool is_norm(const at_param_entry *e) { return e->of->n == 1 && e->t.rank == 1; }

/* Rows of routers and, to compare with, norms learn; nothing else does. */
static at_status prepare(reading *w) {
    at_store *s = &w->m->store;
    for (int64_t i = 0; i < s->n; i++) {
        bool row = false;
        for (int64_t b = 0; b < w->banks->n; b++) row |= s->p[i]->of == w->banks->bank[b].row;
        if (!row && !is_norm(s->p[i])) at_param_freeze(s->p[i]);
    }
    return at_store_train(s, false);
}

static void add_gradients(reading *w) {
    const at_store *s = &w->m->store;
    double sum = 0;
    int64_t n = 0;
    for (int64_t i = 0; i < s->n; i++) {
        const at_tensor *t = &s->p[i]->t;
        if (!is_norm(s->p[i]) || !t->grad) continue;
        for (int64_t k = 0; k < at_numel(t); k++) sum += (double)t->grad[k] * (double)t->grad[k];
        n += at_numel(t);
    }
    if (n) w->reference += sum / (double)n;
    for (int64_t b = 0; b < w->banks->n; b++) {
        const at_stack *row = w->banks->bank[b].row;
        const at_real *g = row ? row->t.grad : NULL;
        w->router[b].rows = row ? at_numel(&row->t) : 0;
        for (int64_t k = 0; g && k < w->router[b].rows; k++)
            w->router[b].gradient += (double)g[k] * (double)g[k];
    }
    w->learnt++;
}

/* Forwards, and backwards while there are few windows. */
static at_status read_window(reading *w, int64_t n) {
    const at_watch watch = {.gates = see_gates, .user = w};
    const bool learn = w->learnt < LEARN && n > 1;
    const at_input in = {.ids = w->ids, .B = 1, .T = n};
    at_pass p = {.usage = &w->usage, .watch = &watch};
    const at_mark mark = at_arena_mark(&w->arena);
    at_run r;
    at_run_init(&r, w->cp, &w->arena, learn, w->o->seed);
    at_tensor *x = at_model_hidden(w->m, &r, &in, &p);
    at_status s;
    if (learn) {
        at_head_report rep;
        const at_head_spec spec = {.label = w->label, .alpha = 1};
        x = at_head_loss(&r, x, at_model_head(w->m), &spec, &rep);
        s = at_run_status(&r);
        at_store_zero_grad(&w->m->store);
        if (s == AT_OK) s = at_backward(&r, x, 1);
        if (s == AT_OK) add_gradients(w);
    } else {
        s = at_run_status(&r);
    }
    at_arena_rewind(&w->arena, mark);
    w->d->tokens += n;
    return s;
}

static at_status read_random(reading *w) {
    at_status s = AT_OK;
    for (int i = 0; i < LEARN && s == AT_OK; i++) {
        for (int64_t t = 0; t < RANDOM; t++)
            w->ids[t] = (int32_t)at_rand_below((uint64_t)w->m->dims.vocab, w->o->seed, (uint64_t)i,
                                               (uint64_t)t);
        memcpy(w->label, w->ids + 1, (RANDOM - 1) * sizeof *w->label);
        w->label[RANDOM - 1] = -1;
        s = read_window(w, RANDOM);
    }
    return s;
}

static at_status read_data(reading *w, int64_t context) {
    at_ctx *c = w->cp->ctx;
    const at_doctor_options *o = w->o;
    at_dataset *d = NULL;
    at_status s = at_dataset_open_checked(c, o->data, &d);
    if (s == AT_OK)
        s = at_lm_check_data(c, w->m->path, w->m->tokenizer, w->m->dims.vocab, o->data,
                             d->tokenizer_hash, d->vocab);
    for (int64_t i = 0, more = 1; more && s == AT_OK; i++) {
        more = 0;
        for (int k = 0; k < d->n_domains && s == AT_OK; k++) { /* a window of each, in turns */
            const at_shard *shard = &d->domain[k].shard[o->split];
            int64_t start, n;
            if (i >= at_eval_windows(shard, context, o->windows)) continue;
            at_eval_window(shard, context, o->windows, i, &start, &n);
            if (n < 2) continue;
            more = 1;
            if (at_interrupted(c)) s = at_error(c, AT_INTERRUPTED, "interrupted");
            at_shard_read(shard, start, n - 1, w->ids);
            at_shard_read(shard, start + 1, n - 1, w->label);
            if (s == AT_OK) s = at_dataset_error(c, d, read_window(w, n - 1));
        }
    }
    if (s == AT_OK && !w->d->tokens)
        s = at_error(c, AT_ARG, "%s: the split %s has no text", o->data, at_split_name[o->split]);
    at_dataset_close(d);
    return s;
}

/* ---- findings ------------------------------------------------------------------------------------------ */

static at_status judge_router(reading *w, const seen *s) {
    at_ctx *c = w->cp->ctx;
    char place[64];
    at_status st = AT_OK;
    at_doctor_place(s->id, place);
    const double reach = w->reference > 0 ? sqrt(s->gradient / (double)s->rows / w->reference) : 1;
    if (reach < AT_DOCTOR_REACH)
        st = at_doctor_find(
            c, w->d, "no-gradient", place, reach,
            "the gradient of its rows by the language loss alone is %.2g of that of "
            "norms (root mean squares), %lld experts a token, gates %s",
            reach, (long long)s->k, w->renormalise ? "divided by their sum" : "as they are");
    if (st == AT_OK && s->off > 1e-3)
        st = at_doctor_find(
            c, w->d, "gates", place, s->off,
            "the configuration says that gates are %s; one differs by %.4f from that, "
            "where they sum to %.4f",
            w->renormalise ? "divided by their sum" : "the probabilities", s->off, s->sum);
    if (st == AT_OK && s->simplex < 1e-3)
        st = at_doctor_find(c, w->d, "gates-twice", place, s->simplex,
                            "of all %lld tokens the logits are above 0 and sum to 1, within %.2g",
                            (long long)s->tokens, s->simplex);
    const double last = s->last / (double)s->tokens;
    if (st == AT_OK && s->k > 1 && last < AT_DOCTOR_IDLE)
        st = at_doctor_find(c, w->d, "k-too-large", place, last,
                            "the mean gate of the last of %lld experts that a token uses is %.2g",
                            (long long)s->k, last);
    return st;
}

static at_status judge_expert(reading *w, const at_router_usage *u, int64_t e, double share) {
    char place[64], where[96];
    double slots = 0;
    for (int64_t i = 0; i < u->e; i++) slots += u->slots[i];
    const double even = slots / (double)u->e;
    at_doctor_place(u->id, place);
    (void)snprintf(where, sizeof where, "%s: expert %lld", place, (long long)e);
    if (even < AT_DOCTOR_EXPECT || share * (double)u->e >= 0.01) return AT_OK;
    return at_doctor_find(w->cp->ctx, w->d, u->slots[e] > 0 ? "dead" : "never-chosen", where,
                          u->slots[e], "%.0f of %.0f choices; an even load would give it %.0f",
                          u->slots[e], slots, even);
}

static at_status judge_load(reading *w, const at_router_usage *u) {
    at_ctx *c = w->cp->ctx;
    at_usage_report rep;
    at_aux aux;
    char place[64];
    double *share = at_malloc(c, (size_t)u->e * sizeof *share);
    if (!share) return AT_OOM;
    at_usage_summary(u, share, &rep);
    at_status s = AT_OK;
    for (int64_t e = 0; e < u->e && s == AT_OK; e++) s = judge_expert(w, u, e, share[e]);
    at_free(share);
    const cJSON *type = cJSON_GetObjectItemCaseSensitive(w->m->source, "aux_loss_type");
    if (s != AT_OK || !cJSON_IsString(type) || at_model_aux(w->m, &aux) > 0 ||
        rep.load_entropy >= AT_DOCTOR_UNEVEN)
        return s;
    at_doctor_place(u->id, place);
    return at_doctor_find(c, w->d, "aux-discarded", place, rep.load_entropy,
                          "aux_loss_type is %s, its weight 0, and the load is uneven: normalised "
                          "entropy %.3f",
                          type->valuestring, rep.load_entropy);
}

static at_status judge(reading *w) {
    at_status s = AT_OK;
    for (int64_t i = 0; i < w->banks->n && s == AT_OK; i++)
        if (w->router[i].tokens) s = judge_router(w, &w->router[i]);
    for (int64_t i = 0; w->o->data && i < w->usage.n && s == AT_OK; i++)
        s = judge_load(w, &w->usage.router[i]);
    return s;
}

at_status at_doctor_read(at_compute *cp, at_model *m, const at_doctor_options *o, at_diagnosis *d) {
    at_ctx *c = cp->ctx;
    const int64_t context = at_min(at_max(o->context, 2), m->dims.context);
    reading w = {.cp = cp, .m = m, .d = d, .o = o, .usage = {.slots_only = true}};
    if (!d->banks || m->arch->reads != AT_INPUT_IDS || !m->arch->head) return AT_OK;
    w.banks = m->arch->banks(m->impl);
    w.renormalise = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(m->source, "renormalise_gates"));
    w.router = at_calloc(c, (size_t)w.banks->n, sizeof *w.router);
    w.ids = at_malloc(c, (size_t)at_max(context, RANDOM) * sizeof *w.ids);
    w.label = at_malloc(c, (size_t)at_max(context, RANDOM) * sizeof *w.label);
    at_status s = w.router && w.ids && w.label ? prepare(&w) : AT_OOM;
    for (int64_t i = 0; i < w.banks->n && w.router; i++) w.router[i].id = w.banks->bank[i].id;
    at_arena_init(&w.arena, c);
    if (s == AT_OK) s = o->data ? read_data(&w, context) : read_random(&w);
    if (s == AT_OK) s = judge(&w);
    at_arena_close(&w.arena);
    at_usage_close(&w.usage);
    at_free(w.router);
    at_free(w.ids);
    at_free(w.label);
    return s;
}
