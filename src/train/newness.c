/* newness.c - see newness.h. */
#include "train/newness.h"
#include "data/batch.h"
#include <math.h>

enum { WINDOWS = 32 /* of a domain */ };

void at_newness_close(at_newness *x) {
    for (int64_t i = 0; x->bank && i < x->banks; i++) {
        at_free(x->bank[i].own);
        at_free(x->bank[i].others);
        at_free(x->bank[i].n);
    }
    at_free(x->bank);
    *x = (at_newness){0};
}

static at_status make(at_ctx *c, const at_model *m, const int64_t *more, at_newness *x) {
    const at_banks *banks = at_model_banks(m);
    *x = (at_newness){.bank = at_calloc(c, (size_t)banks->n, sizeof *x->bank), .banks = banks->n};
    if (!x->bank) return AT_OOM;
    for (int64_t i = 0; i < banks->n; i++) {
        at_newness_bank *b = &x->bank[i];
        if (!banks->bank[i].row) continue;
        b->width = at_numel(banks->bank[i].row->slot[0]);
        b->parts = more[i] > 0 ? more[i] : 1;
        b->own = at_calloc(c, (size_t)(b->parts * b->width), sizeof *b->own);
        b->others = at_calloc(c, (size_t)b->width, sizeof *b->others);
        b->n = at_calloc(c, (size_t)b->parts, sizeof *b->n);
        if (!b->own || !b->others || !b->n) return AT_OOM;
    }
    return AT_OK;
}

/* ---- reading ---------------------------------------------------------------------------------------- */

typedef struct {
    const at_banks *banks;
    at_newness *x;
    bool own;
    int64_t window;
} seen;

static void add(void *user, at_run *r, at_router_id id, const at_tensor *t) {
    const seen *s = user;
    (void)r;
    int64_t i = 0;
    while (i < s->banks->n &&
           (s->banks->bank[i].id.layer != id.layer || s->banks->bank[i].id.kind != id.kind))
        i++;
    if (!t || i == s->banks->n) return;
    at_newness_bank *b = &s->x->bank[i];
    const int64_t part = s->window % b->parts, W = b->width;
    double *sum = s->own ? b->own + part * W : b->others;
    for (int64_t k = 0; k < at_numel(t); k++) {
        const double v = (double)t->data[k];
        sum[k % W] += v;
        b->squares[s->own ? 0 : 1] += v * v;
    }
    *(s->own ? &b->n[part] : &b->n_others) += at_rows(t);
}

static at_status read_domain(at_compute *cp, at_arena *arena, at_model *m, const at_shard *shard,
                             int64_t context, int32_t *ids, seen *s) {
    const at_watch watch = {.features = add, .user = s};
    const int64_t n = at_eval_windows(shard, context, WINDOWS);
    at_status st = AT_OK;
    for (int64_t i = 0; i < n && st == AT_OK; i++) {
        int64_t start, len;
        at_eval_window(shard, context, WINDOWS, i, &start, &len);
        if (len < 2) continue;
        at_shard_read(shard, start, len - 1, ids);
        at_pass p = {.watch = &watch};
        const at_input in = {.ids = ids, .B = 1, .T = len - 1};
        s->window = i;
        if (at_interrupted(cp->ctx)) return at_error(cp->ctx, AT_INTERRUPTED, "interrupted");
        st = at_model_read(cp, arena, m, &in, &p, &(at_readout){0});
    }
    return st;
}

at_status at_newness_read(at_compute *cp, at_model *m, const at_dataset *d, int domain,
                          int64_t context, const int64_t *more, at_newness *x) {
    at_ctx *c = cp->ctx;
    seen s = {.banks = at_model_banks(m), .x = x};
    at_arena arena;
    if (context > m->dims.context) context = m->dims.context;
    int32_t *ids = at_malloc(c, (size_t)(context + 1) * sizeof *ids);
    at_arena_init(&arena, c);
    at_status st = make(c, m, more, x);
    if (st == AT_OK && !ids) st = AT_OOM;
    if (st == AT_OK && d->n_domains < 2)
        st = at_error(c, AT_CONFIG, "%s has no other domain to compare `%s` with", d->path,
                      d->domain[domain].name);
    for (int i = 0; i < d->n_domains && st == AT_OK; i++) {
        s.own = i == domain;
        st = read_domain(cp, &arena, m, &d->domain[i].shard[AT_TRAIN], context, ids, &s);
    }
    at_arena_close(&arena);
    at_free(ids);
    if (st != AT_OK) at_newness_close(x);
    return st;
}

/* ---- what comes of it ---------------------------------------------------------------------------------- */

/* Value k of the mean over all parts. */
static double mean_own(const at_newness_bank *b, int64_t k) {
    double sum = 0, n = 0;
    for (int64_t i = 0; i < b->parts; i++) {
        sum += b->own[i * b->width + k];
        n += (double)b->n[i];
    }
    return n > 0 ? sum / n : 0;
}

double at_newness_score(const at_newness *x, int64_t bank) {
    const at_newness_bank *b = &x->bank[bank];
    double apart = 0, within[2] = {b->squares[0], b->squares[1]}, n = 0;
    if (!b->width) return -1;
    for (int64_t i = 0; i < b->parts; i++) n += (double)b->n[i];
    for (int64_t k = 0; k < b->width; k++) {
        const double p = mean_own(b, k), q = b->others[k] / (double)b->n_others;
        apart += (p - q) * (p - q);
        within[0] -= n * p * p;
        within[1] -= (double)b->n_others * q * q;
    }
    const double mean = (within[0] + within[1]) / (n + (double)b->n_others);
    return mean > 0 ? apart / mean : 0;
}

void at_newness_choose(const at_newness *x, const at_banks *banks, int64_t layers, int64_t *more) {
    for (int64_t i = 0; i < banks->n; i++) {
        int64_t before = 0; /* banks of its kind that see more of a difference */
        const double own = at_newness_score(x, i);
        for (int64_t j = 0; j < banks->n; j++) {
            const double other = at_newness_score(x, j);
            before += banks->bank[j].id.kind == banks->bank[i].id.kind &&
                      (other > own || (other == own && j < i));
        }
        if (before >= layers) more[i] = 0;
    }
}

static double length(const at_tensor *t) {
    double sum = 0;
    for (int64_t k = 0; k < at_numel(t); k++) sum += (double)t->data[k] * (double)t->data[k];
    return sqrt(sum);
}

/* Row of part i; `as_long`: what its length is to be. */
static void set_row(const at_newness_bank *b, int64_t i, double as_long, at_tensor *row) {
    double sum = 0;
    for (int pass = 0; pass < 2; pass++)
        for (int64_t k = 0; k < b->width; k++) {
            const double p = b->n[i] ? b->own[i * b->width + k] / (double)b->n[i] : mean_own(b, k);
            const double v = p - b->others[k] / (double)b->n_others;
            if (pass)
                row->data[k] = (at_real)(sum > 0 ? v * as_long / sqrt(sum) : 0);
            else
                sum += v * v;
        }
}

void at_newness_rows(const at_newness *x, const at_model *m, const int64_t *more, at_model *grown) {
    const at_banks *banks = at_model_banks(m);
    for (int64_t i = 0; i < banks->n; i++) {
        const at_bank *old = &banks->bank[i], *new = &at_model_banks(grown)->bank[i];
        double mean = 0;
        for (int64_t k = 0; more[i] && k < old->n; k++)
            mean += length(new->row->slot[k]) / (double)old->n;
        for (int64_t k = 0; k < more[i]; k++)
            set_row(&x->bank[i], k, mean, new->row->slot[old->n + k]);
    }
}
