/* router_rows.c - see router_rows.h.  Features are kept, sums taken in their order in double. */
#include "infer/router_rows.h"
#include "base/ints.h"
#include "base/maths.h"
#include "data/batch.h"
#include "route/router.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { WINDOW = 128, NEWTON = 30, CONJUGATE = 60 };
#define PENALTY 1e-4
#define ENOUGH  1e-5 /* of the gradient at w = 0 */

/* The features of a bank's router: of text i the rows [n i, n (i + 1)), R each. */
typedef struct {
    at_bank *bank;
    int64_t R, n[64];
    at_real *x;         /* [texts, tokens, R] */
    int64_t k;          /* of the bank, while one slot is open */
    uint8_t *use, *was; /* its masks while one slot is open, and otherwise */
} features;

typedef struct {
    at_compute *cp;
    at_model *m;
    features *bank; /* of those with a router */
    int64_t banks;
    int text, n;    /* that is read; all      */
    int64_t tokens; /* of each, at most       */
} work;

/* ---- collecting ---------------------------------------------------------------------------------------- */

static void hear(void *user, at_run *r, at_router_id id, const at_tensor *x) {
    work *w = user;
    features *f = NULL;
    for (int64_t i = 0; i < w->banks; i++)
        if (w->bank[i].bank->id.layer == id.layer && w->bank[i].bank->id.kind == id.kind)
            f = &w->bank[i];
    if (!f) return;
    f->R = at_cols(x);
    if (!f->x && !(f->x = at_calloc(r->ctx, (size_t)(w->n * w->tokens * f->R), sizeof *f->x))) {
        at_fail(r, AT_OOM, "%s", r->ctx->message);
        return;
    }
    const int64_t take = at_min(at_rows(x), w->tokens - f->n[w->text]);
    memcpy(f->x + (w->text * w->tokens + f->n[w->text]) * f->R, x->data,
           (size_t)(take * f->R) * sizeof *x->data);
    f->n[w->text] += take;
}

/* Slot i alone answers, in every bank. */
static void open_slot(work *w, int64_t i) {
    for (int64_t b = 0; b < w->banks; b++) {
        features *f = &w->bank[b];
        memset(f->use, AT_SLOT_EXCLUDED, (size_t)f->bank->n);
        f->use[i] = AT_SLOT_OPEN;
        f->bank->use = f->use;
        f->bank->k = 1;
    }
}
static void open_all(work *w) {
    for (int64_t b = 0; b < w->banks; b++) {
        w->bank[b].bank->use = w->bank[b].was;
        w->bank[b].bank->k = w->bank[b].k;
    }
}

static at_status read_ids(work *w, at_arena *arena, const int32_t *ids, int64_t n) {
    const at_watch watch = {.features = hear, .user = w};
    at_pass p = {.watch = &watch};
    const at_input in = {.ids = ids, .B = 1, .T = n};
    if (at_interrupted(w->cp->ctx)) return at_error(w->cp->ctx, AT_INTERRUPTED, "interrupted");
    return at_model_read(w->cp, arena, w->m, &in, &p, &(at_readout){0});
}

static at_status read_text(work *w, const at_shard *s) {
    at_ctx *c = w->cp->ctx;
    const int64_t context = at_min(WINDOW, w->m->dims.context);
    const int64_t limit = at_div_up(w->tokens, context), all = at_eval_windows(s, context, limit);
    int32_t ids[WINDOW + 1];
    at_arena arena;
    at_status st = AT_OK;
    at_arena_init(&arena, c);
    for (int64_t i = 0; i < all && st == AT_OK; i++) {
        int64_t start, n;
        at_eval_window(s, context, limit, i, &start, &n);
        at_shard_read(s, start, n, ids);
        st = read_ids(w, &arena, ids, at_min(n, context));
    }
    at_arena_close(&arena);
    if (st == AT_OK && w->banks && !w->bank[0].n[w->text])
        st = at_error(c, AT_ARG, "text %d has no tokens to make a router's row from", w->text);
    return st;
}

/* ---- rows ------------------------------------------------------------------------------------------------ */

/* What rows are computed from, of one router. */
typedef struct {
    const features *f;
    int n;
    int64_t tokens;
    double *mean; /* [n, R] */
    double *all;  /* [R]    */
    double v;
    double *w; /* [n, R] */
} fitting;

static const at_real *row_of(const fitting *t, int i, int64_t k) {
    return t->f->x + (i * t->tokens + k) * t->f->R;
}

static double dot(const double *w, const at_real *x, int64_t n) {
    double s = 0;
    for (int64_t r = 0; r < n; r++) s += w[r] * (double)x[r];
    return s;
}

static void means(fitting *t) {
    const int64_t R = t->f->R;
    double off = 0, count = 0;
    for (int i = 0; i < t->n; i++) {
        double *m = t->mean + i * R;
        for (int64_t k = 0; k < t->f->n[i]; k++)
            for (int64_t r = 0; r < R; r++) m[r] += (double)row_of(t, i, k)[r];
        for (int64_t r = 0; r < R; r++) {
            m[r] /= (double)t->f->n[i];
            t->all[r] += m[r] / t->n;
        }
        for (int64_t k = 0; k < t->f->n[i]; k++)
            for (int64_t r = 0; r < R; r++) {
                const double d = (double)row_of(t, i, k)[r] - m[r];
                off += d * d;
            }
        count += (double)t->f->n[i];
    }
    t->v = off / (count * (double)R);
    if (!(t->v > 0)) t->v = 1;
}

static void domain_rows(fitting *t) {
    const int64_t R = t->f->R;
    double all = 0;
    for (int64_t r = 0; r < R; r++) all += t->all[r] * t->all[r];
    for (int i = 0; i < t->n; i++) {
        const double *m = t->mean + i * R;
        double own = 0;
        for (int64_t r = 0; r < R; r++) own += m[r] * m[r];
        const double shift = all > 0 ? (all - own) / (2 * t->v * all) : 0;
        for (int64_t r = 0; r < R; r++)
            t->w[i * R + r] = (m[r] - t->all[r]) / t->v + shift * t->all[r];
    }
}

/* ---- gates: Newton's method with conjugate gradients ---------------------------------------------------- */

typedef struct {
    const fitting *t;
    int which;
    double *curve; /* [n, tokens] second derivatives of each sample's loss */
} gate;

/* Of a sample of text i: its part in the mean over its side. */
static double weight_of(const gate *g, int i) {
    int64_t others = 0;
    for (int k = 0; k < g->t->n; k++) others += k == g->which ? 0 : g->t->f->n[k];
    return 1 / (double)(i == g->which ? g->t->f->n[i] : others);
}

/* The loss at w; its gradient, and the curvature of each sample. */
static double loss_at(const gate *g, const double *w, double *gradient) {
    const fitting *t = g->t;
    const int64_t R = t->f->R;
    double loss = 0;
    for (int64_t r = 0; r < R; r++) {
        loss += PENALTY * t->v * w[r] * w[r] / 2;
        gradient[r] = PENALTY * t->v * w[r];
    }
    for (int i = 0; i < t->n; i++) {
        const double share = weight_of(g, i), sign = i == g->which ? 1 : -1;
        for (int64_t k = 0; k < t->f->n[i]; k++) {
            const at_real *x = row_of(t, i, k);
            const double z = sign * dot(w, x, R), e = at_exp(-fabs(z));
            const double p = z > 0 ? e / (1 + e) : 1 / (1 + e); /* of being wrong */
            loss += share * ((z < 0 ? -z : 0) + at_log1p(e));
            g->curve[i * t->tokens + k] = share * p * (1 - p);
            for (int64_t r = 0; r < R; r++) gradient[r] -= share * sign * p * (double)x[r];
        }
    }
    return loss;
}

static void curvature_times(const gate *g, const double *d, double *out) {
    const fitting *t = g->t;
    const int64_t R = t->f->R;
    for (int64_t r = 0; r < R; r++) out[r] = PENALTY * t->v * d[r];
    for (int i = 0; i < t->n; i++)
        for (int64_t k = 0; k < t->f->n[i]; k++) {
            const at_real *x = row_of(t, i, k);
            const double s = g->curve[i * t->tokens + k] * dot(d, x, R);
            for (int64_t r = 0; r < R; r++) out[r] += s * (double)x[r];
        }
}

static double norm2(const double *x, int64_t n) {
    double s = 0;
    for (int64_t r = 0; r < n; r++) s += x[r] * x[r];
    return s;
}

/* step: about -H^-1 gradient.  b: [3, R] of scratch. */
static void newton_step(const gate *g, const double *gradient, double *step, double *b) {
    const int64_t R = g->t->f->R;
    double *res = b, *dir = b + R, *h = b + 2 * R, rr = norm2(gradient, R);
    const double stop = rr * 1e-4;
    for (int64_t r = 0; r < R; r++) {
        step[r] = 0;
        res[r] = dir[r] = -gradient[r];
    }
    for (int i = 0; i < CONJUGATE && rr > stop; i++) {
        double dh = 0;
        curvature_times(g, dir, h);
        for (int64_t r = 0; r < R; r++) dh += dir[r] * h[r];
        if (!(dh > 0)) return;
        const double a = rr / dh;
        for (int64_t r = 0; r < R; r++) {
            step[r] += a * dir[r];
            res[r] -= a * h[r];
        }
        const double next = norm2(res, R);
        for (int64_t r = 0; r < R; r++) dir[r] = res[r] + next / rr * dir[r];
        rr = next;
    }
}

/* w [R] from 0.  b: [7, R] of scratch. */
static void fit_gate(const gate *g, double *w, double *b) {
    const int64_t R = g->t->f->R;
    double *gradient = b, *step = b + R, *next = b + 2 * R, *other = b + 3 * R;
    double loss = loss_at(g, w, gradient);
    const double first = norm2(gradient, R);
    for (int i = 0; i < NEWTON && norm2(gradient, R) > ENOUGH * ENOUGH * first; i++) {
        newton_step(g, gradient, step, b + 4 * R);
        double scale = 1, then = loss;
        for (int half = 0; half < 20; half++, scale /= 2) {
            for (int64_t r = 0; r < R; r++) next[r] = w[r] + scale * step[r];
            then = loss_at(g, next, other);
            if (then < loss) break;
        }
        if (!(then < loss)) return;
        loss = then;
        memcpy(w, next, (size_t)R * sizeof *w);
        memcpy(gradient, other, (size_t)R * sizeof *gradient);
    }
}

static at_status gate_rows(at_ctx *c, fitting *t) {
    const int64_t R = t->f->R;
    gate g = {.t = t, .curve = at_calloc(c, (size_t)(t->n * t->tokens), sizeof *g.curve)};
    double *b = at_calloc(c, (size_t)(7 * R), sizeof *b);
    const at_status s = g.curve && b ? AT_OK : AT_OOM;
    for (g.which = 0; g.which < t->n && s == AT_OK && !at_interrupted(c); g.which++)
        fit_gate(&g, t->w + g.which * R, b);
    at_free(g.curve);
    at_free(b);
    return s == AT_OK && at_interrupted(c) ? at_error(c, AT_INTERRUPTED, "interrupted") : s;
}

/* ---- the temperature, and the parameters ----------------------------------------------------------------- */

/* Divides the rows by the temperature at which they tell the texts apart best. */
static at_status temper(at_ctx *c, fitting *t) {
    const int64_t R = t->f->R;
    int64_t all = 0, at = 0;
    for (int i = 0; i < t->n; i++) all += t->f->n[i];
    double *p = at_malloc(c, (size_t)(all * t->n) * sizeof *p);
    int32_t *label = at_malloc(c, (size_t)all * sizeof *label);
    for (int i = 0; i < t->n && p && label; i++)
        for (int64_t k = 0; k < t->f->n[i]; k++, at++) {
            double most = -INFINITY, sum = 0, *row = p + at * t->n;
            label[at] = i;
            for (int j = 0; j < t->n; j++) {
                row[j] = dot(t->w + j * R, row_of(t, i, k), R);
                if (row[j] > most) most = row[j];
            }
            for (int j = 0; j < t->n; j++) sum += row[j] = at_exp(row[j] - most);
            for (int j = 0; j < t->n; j++) row[j] /= sum;
        }
    const double T = p && label ? at_router_temperature(p, label, all, t->n) : 1;
    for (int64_t i = 0; i < t->n * R; i++) t->w[i] /= T;
    const at_status s = p && label ? AT_OK : AT_OOM;
    at_free(p);
    at_free(label);
    return s;
}

/* Rows of a router of cosines count by direction; their length goes into its temperature. */
static void set_temperature(work *w, const fitting *t) {
    const int64_t R = t->f->R;
    const at_stack *row = t->f->bank->row;
    char path[200];
    double length = 0;
    const char *dot_at = strrchr(row->path, '.');
    (void)snprintf(path, sizeof path, "%.*s.temperature", (int)(dot_at - row->path), row->path);
    at_param_entry *e = at_store_find(&w->m->store, path);
    for (int i = 0; i < t->n; i++) length += sqrt(norm2(t->w + i * R, R)) / t->n;
    if (e && length > 0) e->t.data[0] = (at_real)at_ln(length);
}

static at_status set_rows(work *w, at_rows_by how, const features *f) {
    at_ctx *c = w->cp->ctx;
    const size_t n = (size_t)w->n, R = (size_t)f->R;
    fitting t = {.f = f, .n = w->n, .tokens = w->tokens};
    t.mean = at_calloc(c, n * R, sizeof *t.mean);
    t.all = at_calloc(c, R, sizeof *t.all);
    t.w = at_calloc(c, n * R, sizeof *t.w);
    at_status s = t.mean && t.all && t.w ? AT_OK : AT_OOM;
    if (s == AT_OK) means(&t);
    if (s == AT_OK && how == AT_ROWS_DOMAIN) domain_rows(&t);
    if (s == AT_OK && how == AT_ROWS_GATES) s = gate_rows(c, &t);
    if (s == AT_OK) s = temper(c, &t);
    for (int i = 0; i < w->n && s == AT_OK; i++)
        for (int64_t r = 0; r < f->R; r++)
            f->bank->row->slot[i]->data[r] = (at_real)t.w[i * f->R + r];
    if (s == AT_OK) set_temperature(w, &t);
    at_free(t.mean);
    at_free(t.all);
    at_free(t.w);
    return s;
}

static at_status find_banks(work *w) {
    at_ctx *c = w->cp->ctx;
    at_banks *banks = w->m->arch->banks(w->m->impl);
    if (!(w->bank = at_calloc(c, (size_t)banks->n, sizeof *w->bank))) return AT_OOM;
    for (int64_t i = 0; i < banks->n; i++) {
        at_bank *b = &banks->bank[i];
        if (!b->row) continue;
        if (b->n != w->n)
            return at_error(c, AT_ARG, "%s bank of layer %lld: %lld slots, but %d texts",
                            at_layer_kind_name[b->id.kind], (long long)b->id.layer, (long long)b->n,
                            w->n);
        features *f = &w->bank[w->banks++];
        *f = (features){.bank = b, .k = b->k, .was = b->use};
        if (!(f->use = at_calloc(c, (size_t)b->n, sizeof *f->use))) return AT_OOM;
    }
    return AT_OK;
}

static void close_banks(work *w) {
    for (int64_t b = 0; b < w->banks; b++) {
        at_free(w->bank[b].use);
        at_free(w->bank[b].x);
    }
    at_free(w->bank);
}

at_status at_router_rows(at_compute *cp, at_model *m, at_rows_by how, const at_shard *const *text,
                         int n, int64_t tokens) {
    work w = {.cp = cp, .m = m, .n = n, .tokens = tokens};
    if (how == AT_ROWS_RANDOM) return AT_OK;
    at_status s = find_banks(&w);
    for (w.text = 0; w.text < n && s == AT_OK; w.text++) {
        open_slot(&w, w.text);
        s = read_text(&w, text[w.text]);
        open_all(&w);
    }
    for (int64_t b = 0; b < w.banks && s == AT_OK; b++) s = set_rows(&w, how, &w.bank[b]);
    close_banks(&w);
    return s;
}

/* ---- prompts ----------------------------------------------------------------------------------------------- */

/* Adds sign times the mean of the tokens' embeddings to out [R]; of no prompts, nothing. */
static at_status add_embeddings(work *w, const at_prompts *p, double sign, double *out) {
    const at_param_entry *e = at_store_find(&w->m->store, "transformer.wte.weight");
    const int64_t R = e ? e->t.dim[1] : 0, n = p->start[p->n];
    if (!e)
        return at_error(w->cp->ctx, AT_UNSUPPORTED,
                        "gate_mode cheap_embed: %s has no token embedding", w->m->arch->name);
    for (int64_t i = 0; i < n; i++)
        if (p->id[i] < 0 || p->id[i] >= e->t.dim[0])
            return at_error(w->cp->ctx, AT_ARG, "token %d of a prompt is outside the vocabulary",
                            (int)p->id[i]);
    for (int64_t i = 0; i < n; i++)
        for (int64_t r = 0; r < R; r++)
            out[r] += sign * (double)e->t.data[p->id[i] * R + r] / (double)n;
    return AT_OK;
}

static at_status read_prompts(work *w, const at_prompts *p) {
    at_arena arena;
    at_status s = AT_OK;
    at_arena_init(&arena, w->cp->ctx);
    for (int64_t i = 0; i < p->n && s == AT_OK; i++)
        s = read_ids(w, &arena, p->id + p->start[i], p->start[i + 1] - p->start[i]);
    at_arena_close(&arena);
    return s;
}

/* Adds sign times the mean of the features of the text at hand, and forgets them. */
static void add_features(work *w, features *f, double sign, double *out) {
    for (int64_t k = 0; k < f->n[w->text]; k++)
        for (int64_t r = 0; r < f->R; r++)
            out[r] +=
                sign * (double)f->x[(w->text * w->tokens + k) * f->R + r] / (double)f->n[w->text];
    f->n[w->text] = 0;
}

/* The row of the slot at hand in each bank, sum [banks, R] of what was added. */
static void put_rows(work *w, const double *sum, int64_t R) {
    for (int64_t b = 0; b < w->banks; b++) {
        at_tensor *row = w->bank[b].bank->row->slot[w->text];
        const double length = sqrt(norm2(sum + b * R, R));
        for (int64_t r = 0; r < at_numel(row) && length > 0; r++)
            row->data[r] = (at_real)(sum[b * R + r] / length);
    }
}

static at_status rows_of_slot(work *w, bool embeddings, const at_prompts *const side[2]) {
    const int64_t R = at_numel(w->bank[0].bank->row->slot[0]);
    double *sum = at_calloc(w->cp->ctx, (size_t)(w->banks * R), sizeof *sum);
    at_status s = sum ? AT_OK : AT_OOM;
    for (int i = 0; i < 2 && s == AT_OK; i++) {
        if (!embeddings) s = read_prompts(w, side[i]);
        for (int64_t b = 0; b < w->banks && s == AT_OK; b++) {
            if (embeddings)
                s = add_embeddings(w, side[i], i ? -1 : 1, sum + b * R);
            else
                add_features(w, &w->bank[b], i ? -1 : 1, sum + b * R);
        }
    }
    if (s == AT_OK) put_rows(w, sum, R);
    at_free(sum);
    return s;
}

at_status at_router_rows_of_prompts(at_compute *cp, at_model *m, bool embeddings,
                                    const at_prompts *positive, const at_prompts *negative, int n) {
    work w = {.cp = cp, .m = m, .n = n};
    for (int i = 0; i < n; i++)
        w.tokens = at_max(
            w.tokens, at_max(positive[i].start[positive[i].n], negative[i].start[negative[i].n]));
    at_status s = find_banks(&w);
    for (w.text = 0; w.text < n && s == AT_OK; w.text++) {
        const at_prompts *const side[2] = {&positive[w.text], &negative[w.text]};
        open_slot(&w, w.text);
        s = rows_of_slot(&w, embeddings, side);
        open_all(&w);
    }
    close_banks(&w);
    return s;
}
