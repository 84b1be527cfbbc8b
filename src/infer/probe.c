/* probe.c - sums over rows, taken in their order. */
#include "infer/probe.h"
#include "base/maths.h"

typedef struct {
    at_expert_probe *out;
    const int32_t *class_of; /* of all rows */
    int64_t at;              /* rows seen   */
    at_routing ro;           /* of the piece at hand */

    int64_t *said;        /* [experts] classes    */
    double off, size;     /* sums of squares      */
    int64_t some, chosen; /* rows that some expert gets right, that of the domain does */
} probing;

static void see(void *user, at_run *r, at_router_id id, const at_routing *ro) {
    probing *p = user;
    (void)r;
    (void)id;
    p->ro = *ro;
}

static int64_t largest(const at_real *x, int64_t n) {
    int64_t best = 0;
    for (int64_t i = 1; i < n; i++)
        if (x[i] > x[best]) best = i;
    return best;
}

/* Squares of what outputs are off from their mean, and of them. */
static void spread(probing *p, const at_real *x, int64_t e, int64_t c) {
    for (int64_t t = 0; t < c; t++) {
        double mean = 0;
        for (int64_t j = 0; j < e; j++) mean += (double)x[j * c + t] / (double)e;
        for (int64_t j = 0; j < e; j++) {
            const double v = (double)x[j * c + t];
            p->off += (v - mean) * (v - mean);
            p->size += v * v;
        }
    }
}

/* A row: x [E, C] by slot, pick [E] whose they are, the first the most probable. */
static void row(probing *p, const at_real *x, const at_real *gates, const int32_t *pick, int64_t c,
                int32_t truth) {
    at_expert_probe *o = p->out;
    const int64_t e = o->experts;
    bool any = false;
    for (int64_t j = 0; j < e; j++) {
        p->said[pick[j]] = largest(x + j * c, c);
        const double g = (double)gates[j];
        if (g > 0) o->entropy -= g * at_ln(g);
    }
    at_probed_expert *own = &o->expert[pick[0]];
    own->rows++;
    for (int64_t i = 0; i < e; i++) {
        const bool right = p->said[i] == truth;
        any |= right;
        o->expert[i].all += right;
        if (i == pick[0]) continue;
        o->others += right;
        o->disagree += p->said[i] != p->said[pick[0]];
    }
    own->right += p->said[pick[0]] == truth;
    p->some += any;
    p->chosen += p->said[pick[0]] == truth;
    spread(p, x, e, c);
}

static void experts(void *user, at_run *r, at_router_id id, const at_tensor *x,
                    const at_tensor *gates) {
    probing *p = user;
    const int64_t e = x->dim[1], c = x->dim[2];
    (void)r;
    (void)id;
    for (int64_t i = 0; i < x->dim[0]; i++)
        row(p, x->data + i * e * c, gates->data + i * e, p->ro.pick + i * e, c,
            p->class_of[p->at++]);
}

static void unheard(void *user, int64_t i, const at_real *logits) {
    (void)user;
    (void)i;
    (void)logits;
}

static void finish(at_expert_probe *o, const probing *p) {
    const double n = (double)o->n, others = n * (double)(o->experts - 1);
    int64_t most = 0, enough = 0;
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
    o->own = (double)p->chosen / n;
    o->none_right = 1 - (double)p->some / n;
    o->recall = p->some ? (double)p->chosen / (double)p->some : 0;
    o->others /= others;
    o->disagree /= others;
    o->spread = p->size > 0 ? p->off / p->size : 0;
    o->entropy /= n * at_ln((double)o->experts);
    o->load = (double)most / n;
}

at_status at_expert_probe_rows(at_compute *cp, at_model *m, const at_table_rows *rows,
                               at_expert_probe *out) {
    at_ctx *c = cp->ctx;
    at_banks *banks = m->arch->banks ? m->arch->banks(m->impl) : NULL;
    at_bank *b = banks && banks->n == 1 ? banks->bank : NULL;
    *out = (at_expert_probe){.n = rows->n, .experts = b ? b->n : 0};
    if (!b || b->n < 2 || !rows->class || m->arch->head)
        return at_error(c, AT_ARG, "%s: there are no experts that name classes",
                        m->path ? m->path : "the model");
    if (!rows->n) return at_error(c, AT_ARG, "no rows to ask experts about");
    probing p = {.out = out, .class_of = rows->class};
    const size_t e = (size_t)b->n;
    out->expert = at_calloc(c, e, sizeof *out->expert);
    p.said = at_calloc(c, e, sizeof *p.said);
    at_status s = out->expert && p.said ? AT_OK : AT_OOM;
    const int64_t k = b->k;
    b->k = b->n; /* all answer */
    const at_watch watch = {.see = see, .experts = experts, .user = &p};
    if (s == AT_OK) s = at_table_answer(cp, m, rows->x, rows->n, &watch, unheard, NULL);
    b->k = k;
    if (s == AT_OK) finish(out, &p);
    at_free(p.said);
    if (s != AT_OK) at_expert_probe_close(out);
    return s;
}

void at_expert_probe_close(at_expert_probe *p) {
    at_free(p->expert);
    *p = (at_expert_probe){0};
}

void at_expert_probe_write(const at_expert_probe *p, at_json *j) {
    at_json_put_number(j, "experts", (double)p->experts);
    at_json_put_number(j, "own_domain", p->own);
    at_json_put_number(j, "mean_own_domain", p->mean_own);
    at_json_put_number(j, "small_domains", (double)p->few);
    at_json_put_number(j, "all_rows", p->mean_all);
    at_json_put_number(j, "other_domains", p->others);
    at_json_put_number(j, "recall", p->recall);
    at_json_put_number(j, "none_right", p->none_right);
    at_json_put_number(j, "disagreement", p->disagree);
    at_json_put_number(j, "spread", p->spread);
    at_json_put_number(j, "gate_entropy", p->entropy);
    at_json_put_number(j, "largest_domain", p->load);
    at_json_begin_list(j, "by_expert");
    for (int64_t i = 0; i < p->experts; i++) {
        at_json_begin_object(j, NULL);
        at_json_put_number(j, "rows", (double)p->expert[i].rows);
        at_json_put_number(j, "own_domain", p->expert[i].right);
        at_json_put_number(j, "all_rows", p->expert[i].all);
        at_json_end(j);
    }
    at_json_end(j);
}
