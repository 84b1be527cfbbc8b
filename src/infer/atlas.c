/* atlas.c - one pass over each window, counted router by router; then statistics of the counts. */
#include "infer/atlas.h"
#include "base/ints.h"
#include "base/maths.h"
#include "data/batch.h"
#include <math.h>
#include <string.h>

enum { LONGEST = 1024 };

void at_atlas_close(at_atlas *a) {
    for (int64_t i = 0; i < a->n; i++) {
        at_free(a->router[i].slots);
        at_free(a->router[i].by_token);
    }
    at_free(a->router);
    at_free(a->windows);
    at_free(a->tokens);
    at_free(a->place);
    at_free(a->listed);
    at_free(a->times);
    *a = (at_atlas){0};
}

/* ---- which tokens are looked at ---- */

/* The most frequent ones, in steps of powers of two, which needs no sorting. */
static at_status list_tokens(at_ctx *c, at_atlas *a, int64_t vocab, const int64_t *count) {
    a->place = at_malloc(c, (size_t)vocab * sizeof *a->place);
    a->listed = at_malloc(c, (size_t)at_min(vocab, AT_ATLAS_TOKENS) * sizeof *a->listed);
    a->times = at_calloc(c, (size_t)at_min(vocab, AT_ATLAS_TOKENS), sizeof *a->times);
    if (!a->place || !a->listed || !a->times) return AT_OOM;
    for (int64_t t = 0; t < vocab; t++) a->place[t] = -1;
    for (int bit = 62; bit >= 0; bit--)
        for (int64_t t = 0; t < vocab && a->n_listed < AT_ATLAS_TOKENS; t++) {
            if (count[t] < (int64_t)1 << bit || a->place[t] >= 0) continue;
            a->place[t] = (int32_t)a->n_listed;
            a->times[a->n_listed] = (double)count[t];
            a->listed[a->n_listed++] = (int32_t)t;
        }
    return AT_OK;
}

/* ---- counting ---- */

typedef struct {
    at_atlas *a;
    int domain;
    const int32_t *ids; /* of the window that is read */
} reading;

static at_atlas_router *router_of(at_ctx *c, at_atlas *a, at_router_id id, const at_routing *ro) {
    for (int64_t i = 0; i < a->n; i++)
        if (a->router[i].id.layer == id.layer && a->router[i].id.kind == id.kind)
            return &a->router[i];
    if (!at_reserve(c, &a->router, &a->cap, a->n + 1, sizeof *a->router)) return NULL;
    const size_t e = (size_t)ro->e, d = (size_t)a->data->n_domains * e;
    double *x = at_calloc(c, 3 * d + e * e, sizeof *x);
    float *by = at_calloc(c, (size_t)a->n_listed * e, sizeof *by);
    if (!x || !by) {
        at_free(x);
        at_free(by);
        return NULL;
    }
    at_atlas_router *r = &a->router[a->n++];
    *r = (at_atlas_router){.id = id,
                           .e = ro->e,
                           .k = ro->k,
                           .slots = x,
                           .sum = x + d,
                           .square = x + 2 * d,
                           .both = x + 3 * d,
                           .by_token = by};
    return r;
}

static void see(void *user, at_run *run, at_router_id id, const at_routing *ro) {
    reading *w = user;
    at_atlas_router *r = router_of(run->ctx, w->a, id, ro);
    if (!r) {
        at_fail(run, AT_OOM, "%s", run->ctx->message);
        return;
    }
    const int64_t row = w->domain * r->e;
    for (int64_t j = 0; j < r->e; j++) {
        const double n = (double)(ro->first[j + 1] - ro->first[j]);
        const double share = n / (double)(ro->n * ro->k);
        r->slots[row + j] += n;
        r->sum[row + j] += share;
        r->square[row + j] += share * share;
    }
    for (int64_t i = 0; i < ro->n; i++) {
        const int32_t *pick = ro->pick + i * ro->k, at = w->a->place[w->ids[i]];
        for (int64_t s = 0; s < ro->k; s++) {
            if (at >= 0) r->by_token[at * r->e + pick[s]]++;
            for (int64_t t = 0; t < ro->k; t++) r->both[pick[s] * r->e + pick[t]]++;
        }
    }
}

/* A walk over the windows of a split: the first one counts tokens, the second one reads them. */
typedef struct {
    at_compute *cp;
    at_model *m;
    at_arena arena;
    int64_t *count; /* [V], of the first walk */
    int32_t *ids;
} walk;

static at_status read_window(walk *w, reading *at, int64_t n) {
    const at_watch watch = {.see = see, .user = at};
    at_pass p = {.watch = &watch};
    const at_input in = {.ids = w->ids, .B = 1, .T = n};
    const at_status s = at_model_read(w->cp, &w->arena, w->m, &in, &p, &(at_readout){0});
    if (s != AT_OK) return s;
    at->a->windows[at->domain]++;
    at->a->tokens[at->domain] += n;
    return AT_OK;
}

static at_status walk_domain(walk *w, at_atlas *a, int domain, const at_shard *s, int64_t context,
                             int64_t limit) {
    at_ctx *c = w->cp->ctx;
    reading at = {a, domain, w->ids};
    at_status st = AT_OK;
    const int64_t windows = at_eval_windows(s, context, limit);
    for (int64_t i = 0; i < windows && st == AT_OK; i++) {
        int64_t start, n;
        if (at_interrupted(c)) return at_error(c, AT_INTERRUPTED, "interrupted");
        at_eval_window(s, context, limit, i, &start, &n);
        n = at_min(n, context);
        at_shard_read(s, start, n, w->ids);
        for (int64_t t = 0; t < n && w->count; t++) {
            if (w->ids[t] >= w->m->dims.vocab)
                return at_error(c, AT_ARG, "token %d, the model has %lld", (int)w->ids[t],
                                (long long)w->m->dims.vocab);
            w->count[w->ids[t]]++;
        }
        if (!w->count) st = read_window(w, &at, n);
    }
    return st;
}

static at_status walk_all(walk *w, at_atlas *a, at_split split, int64_t context, int64_t limit) {
    at_status s = AT_OK;
    for (int d = 0; d < a->data->n_domains && s == AT_OK; d++) {
        if (!w->count) at_log(w->cp->ctx, AT_LOG_PROGRESS, "reading %s", a->data->domain[d].name);
        s = walk_domain(w, a, d, &a->data->domain[d].shard[split], context, limit);
    }
    return at_dataset_error(w->cp->ctx, a->data, s);
}

static bool has_routers(const at_model *m) {
    const at_banks *b = m->arch->banks ? m->arch->banks(m->impl) : NULL;
    bool some = false;
    for (int64_t i = 0; b && i < b->n; i++) some |= b->bank[i].row != NULL;
    return some;
}

at_status at_atlas_read(at_compute *cp, at_model *m, const at_dataset *d, at_split split,
                        int64_t context, int64_t limit, at_atlas *out) {
    at_ctx *c = cp->ctx;
    const size_t n = (size_t)d->n_domains, vocab = (size_t)m->dims.vocab;
    *out = (at_atlas){.data = d};
    if (!has_routers(m))
        return at_error(c, AT_ARG, "%s: its architecture, %s, has no routers to draw an atlas of",
                        m->path ? m->path : "the model", m->arch->name);
    if (context <= 0) context = LONGEST;
    context = at_min(context, m->dims.context);
    walk w = {.cp = cp, .m = m};
    at_arena_init(&w.arena, c);
    int64_t *count = w.count = at_calloc(c, vocab, sizeof *count);
    w.ids = at_malloc(c, (size_t)context * sizeof *w.ids);
    out->windows = at_calloc(c, n, sizeof *out->windows);
    out->tokens = at_calloc(c, n, sizeof *out->tokens);
    at_status s = count && w.ids && out->windows && out->tokens ? AT_OK : AT_OOM;
    if (s == AT_OK) s = walk_all(&w, out, split, context, limit);
    if (s == AT_OK) s = list_tokens(c, out, m->dims.vocab, count);
    w.count = NULL;
    if (s == AT_OK && !out->n_listed)
        s = at_error(c, AT_ARG, "%s: the split %s is empty", d->path, at_split_name[split]);
    if (s == AT_OK) s = walk_all(&w, out, split, context, limit);
    at_arena_close(&w.arena);
    at_free(count);
    at_free(w.ids);
    return s;
}

/* ---- statistics ---- */

static double domain_slots(const at_atlas_router *r, int d) {
    double n = 0;
    for (int64_t j = 0; j < r->e; j++) n += r->slots[d * r->e + j];
    return n;
}

static double share_of(const at_atlas_router *r, int64_t expert, int d) {
    const double n = domain_slots(r, d);
    return n > 0 ? r->slots[d * r->e + expert] / n : 0;
}

void at_atlas_expert(const at_atlas *a, const at_atlas_router *r, int64_t expert, int domain,
                     double *share, double *half) {
    const int64_t at = domain * r->e + expert;
    const double n = (double)a->windows[domain];
    *share = share_of(r, expert, domain);
    *half = (double)NAN;
    if (n < 2) return;
    const double mean = r->sum[at] / n, v = (r->square[at] / n - mean * mean) * n / (n - 1);
    *half = 1.96 * sqrt((v > 0 ? v : 0) / n);
}

/* Domains that were read. */
static int read_domains(const at_atlas *a) {
    int n = 0;
    for (int d = 0; d < a->data->n_domains; d++) n += a->windows[d] > 0;
    return n;
}

double at_atlas_information(const at_atlas *a, const at_atlas_router *r) {
    const double n = read_domains(a);
    double sum = 0;
    for (int64_t j = 0; j < r->e; j++) {
        double mean = 0;
        for (int d = 0; d < a->data->n_domains; d++) mean += share_of(r, j, d) / n;
        for (int d = 0; d < a->data->n_domains; d++) {
            const double s = share_of(r, j, d);
            if (s > 0) sum += s / n * at_ln(s / mean);
        }
    }
    return sum > 0 ? sum : 0;
}

int at_atlas_home(const at_atlas *a, const at_atlas_router *r, int64_t expert, double *part) {
    int best = -1;
    double all = 0, most = 0;
    for (int d = 0; d < a->data->n_domains; d++) {
        const double s = share_of(r, expert, d);
        all += s;
        if (s > most) {
            most = s;
            best = d;
        }
    }
    *part = all > 0 ? most / all : 0;
    return best;
}

/* Tokens that were read. */
static double tokens_read(const at_atlas *a) {
    double n = 0;
    for (int d = 0; d < a->data->n_domains; d++) n += (double)a->tokens[d];
    return n;
}

int64_t at_atlas_tokens(const at_atlas *a, const at_atlas_router *r, int64_t expert, int64_t most,
                        int32_t *id) {
    enum { MOST = 32 };
    double score[MOST];
    int64_t n = 0;
    most = at_min(most, MOST);
    const double usual = r->both[expert * r->e + expert] / tokens_read(a);
    for (int64_t t = 0; t < a->n_listed; t++) {
        const double chose = (double)r->by_token[t * r->e + expert];
        if (chose < AT_ATLAS_SEEN || !(chose / a->times[t] > usual)) continue;
        const double s = chose * at_ln(chose / a->times[t] / usual);
        if (n == most && score[n - 1] >= s) continue;
        int64_t i = n < most ? n++ : n - 1;
        for (; i > 0 && score[i - 1] < s; i--) {
            score[i] = score[i - 1];
            id[i] = id[i - 1];
        }
        score[i] = s;
        id[i] = a->listed[t];
    }
    return n;
}

double at_atlas_company(const at_atlas *a, const at_atlas_router *r, int64_t x, int64_t y) {
    const double nx = r->both[x * r->e + x], ny = r->both[y * r->e + y];
    return nx > 0 && ny > 0 ? r->both[x * r->e + y] * tokens_read(a) / (nx * ny) : (double)NAN;
}
