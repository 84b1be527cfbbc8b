/* probe.c - sums over rows, taken in their order. */
#include "infer/probe.h"
#include "base/maths.h"
#include <math.h>
#include <string.h>

/* ---- what experts say ---- */

typedef struct {
    at_heard *out;
    int64_t at, seen; /* rows whose answers, whose hidden values have come */
    at_router_id id;
    at_routing ro; /* of the piece at hand */
    at_ctx *c;
    at_status status;
} hearing;

static void see(void *user, at_run *r, at_router_id id, const at_routing *ro) {
    hearing *h = user;
    (void)r;
    if (id.layer == h->id.layer && id.kind == h->id.kind) h->ro = *ro;
}

/* The expert of the domain is the first that was chosen. */
static void hidden(void *user, at_run *r, at_router_id id, const at_tensor *x) {
    hearing *h = user;
    at_heard *o = h->out;
    const int64_t k = x->dim[1], width = x->dim[2];
    (void)r;
    if (id.layer != h->id.layer || id.kind != h->id.kind || h->status != AT_OK) return;
    if (!o->hidden) {
        o->h = width;
        o->hidden = at_malloc(h->c, (size_t)(o->n * width) * sizeof *o->hidden);
        if (!o->hidden) h->status = AT_OOM;
    }
    for (int64_t i = 0; i < x->dim[0] && o->hidden; i++, h->seen++)
        memcpy(o->hidden + h->seen * width, x->data + i * k * width,
               (size_t)width * sizeof *o->hidden);
}

static int32_t largest(const at_real *x, int64_t n) {
    int32_t best = 0;
    for (int32_t i = 1; i < n; i++)
        if (x[i] > x[best]) best = i;
    return best;
}

/* Squares of what outputs are off from their mean, and of them. */
static void spread(at_heard *o, const at_real *x, int64_t c) {
    for (int64_t t = 0; t < c; t++) {
        double mean = 0;
        for (int64_t j = 0; j < o->e; j++) mean += (double)x[j * c + t] / (double)o->e;
        for (int64_t j = 0; j < o->e; j++) {
            const double v = (double)x[j * c + t];
            o->off += (v - mean) * (v - mean);
            o->size += v * v;
        }
    }
}

static void experts(void *user, at_run *r, at_router_id id, const at_tensor *x,
                    const at_tensor *gates) {
    hearing *h = user;
    at_heard *o = h->out;
    const int64_t e = o->e, c = x->dim[2];
    (void)r;
    if (id.layer != h->id.layer || id.kind != h->id.kind) return;
    for (int64_t i = 0; i < x->dim[0]; i++, h->at++) {
        const int32_t *pick = h->ro.pick + i * e;
        const at_real *row = x->data + i * e * c;
        for (int64_t j = 0; j < e; j++) {
            const double g = (double)gates->data[i * e + j];
            o->said[h->at * e + pick[j]] = largest(row + j * c, c);
            if (g > 0) o->entropy -= g * at_ln(g);
        }
        o->domain[h->at] = pick[0];
        spread(o, row, c);
    }
}

static void unheard(void *user, int64_t i, const at_real *logits) {
    (void)user;
    (void)i;
    (void)logits;
}

at_status at_hear_experts(at_compute *cp, at_model *m, const at_table_rows *rows, bool with_hidden,
                          at_heard *out) {
    at_ctx *c = cp->ctx;
    at_bank *b = at_model_answers(m);
    *out = (at_heard){.n = rows->n, .e = b ? b->n : 0};
    if (!b || !rows->class)
        return at_error(c, AT_ARG, "%s: there are no experts that name classes",
                        m->path ? m->path : "the model");
    if (!rows->n) return at_error(c, AT_ARG, "no rows to ask experts about");
    hearing h = {.out = out, .id = b->id, .c = c};
    out->domain = at_calloc(c, (size_t)rows->n, sizeof *out->domain);
    out->said = at_calloc(c, (size_t)(rows->n * b->n), sizeof *out->said);
    at_status s = out->domain && out->said ? AT_OK : AT_OOM;
    const int64_t k = b->k;
    b->k = b->n; /* all answer */
    const at_watch watch = {
        .see = see, .experts = experts, .hidden = with_hidden ? hidden : NULL, .user = &h};
    if (s == AT_OK) s = at_table_answer(cp, m, rows->x, rows->n, &watch, unheard, NULL);
    b->k = k;
    if (s == AT_OK) s = h.status;
    if (s != AT_OK) at_heard_close(out);
    return s;
}

void at_heard_close(at_heard *h) {
    at_free(h->domain);
    at_free(h->said);
    at_free(h->hidden);
    *h = (at_heard){0};
}

/* ---- what it comes to ---- */

static void count(const at_heard *h, const int32_t *class_of, at_expert_probe *o, int64_t *some,
                  int64_t *chosen) {
    for (int64_t i = 0; i < h->n; i++) {
        const int32_t *said = h->said + i * h->e, own = h->domain[i];
        bool any = false;
        o->expert[own].rows++;
        for (int64_t j = 0; j < h->e; j++) {
            const bool right = said[j] == class_of[i];
            any |= right;
            o->expert[j].all += right;
            if (j == own) continue;
            o->others += right;
            o->disagree += said[j] != said[own];
        }
        o->expert[own].right += said[own] == class_of[i];
        *some += any;
        *chosen += said[own] == class_of[i];
    }
}

static void read_out(const at_heard *h, const int32_t *class_of, at_expert_probe *o) {
    const double n = (double)o->n, others = n * (double)(o->experts - 1);
    int64_t most = 0, enough = 0, some = 0, chosen = 0;
    count(h, class_of, o, &some, &chosen);
    for (int64_t i = 0; i < o->experts; i++) {
        at_probed_expert *e = &o->expert[i];
        most = e->rows > most ? e->rows : most;
        e->right = e->rows ? e->right / (double)e->rows : 0;
        e->all /= n;
        o->mean_all += e->all / (double)o->experts;
        if (e->rows < AT_PROBE_FEW) continue;
        o->mean_own += e->right;
        enough++;
    }
    o->few = o->experts - enough;
    if (enough) o->mean_own /= (double)enough;
    o->own = (double)chosen / n;
    o->none_right = 1 - (double)some / n;
    o->gate_wrong = (double)(some - chosen) / n;
    o->recall = some ? (double)chosen / (double)some : 0;
    o->others /= others;
    o->disagree /= others;
    o->spread = h->size > 0 ? h->off / h->size : 0;
    o->entropy = h->entropy / (n * at_ln((double)o->experts));
    o->load = (double)most / n;
}

static at_status refit(at_compute *cp, at_model *m, const at_table_rows *train, const at_heard *own,
                       const at_table_rows *rows, at_expert_probe *out) {
    at_heard h;
    at_status s = at_hear_experts(cp, m, train, true, &h);
    if (s != AT_OK) return s;
    s = at_probe_refit(cp->ctx, &h, train->class, own, rows->class, out);
    at_heard_close(&h);
    return s;
}

static at_status common(at_compute *cp, at_model *base, const at_heard *own,
                        const at_table_rows *rows, at_expert_probe *out) {
    at_heard h;
    at_status s = at_hear_experts(cp, base, rows, false, &h);
    if (s != AT_OK) return s;
    s = at_probe_common(cp->ctx, own, &h, rows->class, out);
    at_heard_close(&h);
    return s;
}

at_status at_expert_probe_with(at_compute *cp, at_model *m, const at_table_rows *rows,
                               const at_probe_with *with, at_expert_probe *out) {
    static const at_probe_with nothing = {0};
    const double none = (double)NAN;
    at_heard h;
    if (!with) with = &nothing;
    *out = (at_expert_probe){.refit = none, .mean_refit = none, .common = none};
    at_status s = at_hear_experts(cp, m, rows, with->train != NULL, &h);
    if (s != AT_OK) return s;
    out->n = h.n;
    out->experts = h.e;
    if (!(out->expert = at_calloc(cp->ctx, (size_t)h.e, sizeof *out->expert))) s = AT_OOM;
    for (int64_t i = 0; i < h.e && s == AT_OK; i++)
        out->expert[i].refit = out->expert[i].common = out->expert[i].without =
            out->expert[i].without_loss = none;
    if (s == AT_OK) read_out(&h, rows->class, out);
    if (s == AT_OK && h.hidden) s = refit(cp, m, with->train, &h, rows, out);
    if (s == AT_OK && with->baseline) s = common(cp, with->baseline, &h, rows, out);
    if (s == AT_OK && with->missing) s = at_probe_missing(cp, m, rows, out);
    at_heard_close(&h);
    if (s != AT_OK) at_expert_probe_close(out);
    return s;
}

at_status at_expert_probe_rows(at_compute *cp, at_model *m, const at_table_rows *rows,
                               at_expert_probe *out) {
    return at_expert_probe_with(cp, m, rows, NULL, out);
}

void at_expert_probe_close(at_expert_probe *p) {
    at_free(p->expert);
    *p = (at_expert_probe){0};
}

/* ---- JSON ---- */

static void put(at_json *j, const char *key, double x) {
    if (isnan(x))
        at_json_put_null(j, key);
    else
        at_json_put_number(j, key, x);
}

static void write_expert(const at_expert_probe *p, const at_probed_expert *e, at_json *j) {
    at_json_begin_object(j, NULL);
    put(j, "rows", (double)e->rows);
    put(j, "share", (double)e->rows / (double)p->n);
    put(j, "own_domain", e->right);
    put(j, "all_rows", e->all);
    if (p->refitted) {
        put(j, "train_rows", (double)e->train_rows);
        put(j, "refit", e->refit);
    }
    if (p->compared) {
        put(j, "baseline_expert", (double)e->match);
        put(j, "common_rows", (double)e->common_rows);
        put(j, "common_domain", e->common);
    }
    if (p->lessened) {
        put(j, "without", e->without);
        put(j, "without_loss", e->without_loss);
    }
    at_json_end(j);
}

void at_expert_probe_write(const at_expert_probe *p, at_json *j) {
    put(j, "experts", (double)p->experts);
    put(j, "own_domain", p->own);
    put(j, "mean_own_domain", p->mean_own);
    put(j, "small_domains", (double)p->few);
    put(j, "all_rows", p->mean_all);
    put(j, "other_domains", p->others);
    put(j, "recall", p->recall);
    put(j, "none_right", p->none_right);
    put(j, "gate_wrong", p->gate_wrong);
    put(j, "disagreement", p->disagree);
    put(j, "spread", p->spread);
    put(j, "gate_entropy", p->entropy);
    put(j, "largest_domain", p->load);
    if (p->refitted) {
        put(j, "refit", p->refit);
        put(j, "mean_refit", p->mean_refit);
        put(j, "no_head", (double)p->no_head);
    }
    if (p->compared) {
        put(j, "common_domains", p->common);
        put(j, "mean_common_domain", p->mean_common);
        put(j, "baseline_own_domain", p->baseline_own);
        put(j, "shared_domain", p->shared);
    }
    if (p->lessened) {
        put(j, "loss", p->loss);
        put(j, "without", p->mean_without);
        put(j, "worst_without", p->worst_without);
        put(j, "without_loss", p->mean_without_loss);
        put(j, "worst_without_loss", p->worst_without_loss);
    }
    at_json_put_string(j, "note",
                       "own_domain reads an expert's logits as if it answered alone, for which no "
                       "expert of a soft mixture is trained: experts that come closer to the "
                       "mixture look better there; refit and common_domains are free of that");
    at_json_begin_list(j, "by_expert");
    for (int64_t i = 0; i < p->experts; i++) write_expert(p, &p->expert[i], j);
    at_json_end(j);
}
