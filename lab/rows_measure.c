/* rows_measure.c - one pass in which all experts answer every row. */
#include "lab/rows_measure.h"
#include "lab/lab_rows.h"

typedef struct {
    const int32_t *class_of;
    int64_t n, at;
    int64_t asked; /* experts that the model asks of a row: the most probable ones */
    at_routing ro;
    char *dominant, *right;
    int64_t missed[AT_ROWS_EXPERTS]; /* rows right without expert i */
} watching;

static void see(void *user, at_run *r, at_router_id id, const at_routing *ro) {
    watching *w = user;
    (void)r;
    (void)id;
    w->ro = *ro;
}

static int64_t largest(const double *x, int64_t n) {
    int64_t best = 0;
    for (int64_t i = 1; i < n; i++)
        if (x[i] > x[best]) best = i;
    return best;
}

/* What the mixture says without the expert in slot `out`: the most probable others are asked, and their gates
   divide what is theirs together; slots are in order of the gates. */
static int64_t without(const watching *w, const at_real *x, const at_real *gates, int64_t e,
                       int64_t c, int64_t out, double *y) {
    int64_t asked = 0;
    for (int64_t t = 0; t < c; t++) y[t] = 0;
    for (int64_t j = 0; j < e && asked < w->asked; j++) {
        if (j == out) continue;
        for (int64_t t = 0; t < c; t++) y[t] += (double)gates[j] * (double)x[j * c + t];
        asked++;
    }
    return largest(y, c); /* a common factor of the gates changes nothing */
}

static void row(watching *w, const at_real *x, const at_real *gates, const int32_t *pick, int64_t e,
                int64_t c, double *y) {
    const int64_t truth = w->class_of[w->at];
    int mask = 0;
    for (int64_t j = 0; j < e; j++) {
        for (int64_t t = 0; t < c; t++) y[t] = (double)x[j * c + t];
        if (largest(y, c) == truth) mask |= 1 << pick[j];
        w->missed[pick[j]] += without(w, x, gates, e, c, j, y) == truth;
    }
    w->dominant[w->at] = (char)('0' + pick[0]);
    w->right[w->at++] = (char)('0' + mask);
}

static void experts(void *user, at_run *r, at_router_id id, const at_tensor *x,
                    const at_tensor *gates) {
    watching *w = user;
    const int64_t e = x->dim[1], c = x->dim[2];
    double *y = at_malloc(r->ctx, (size_t)c * sizeof *y);
    (void)id;
    for (int64_t i = 0; y && i < x->dim[0]; i++)
        row(w, x->data + i * e * c, gates->data + i * e, w->ro.pick + i * e, e, c, y);
    at_free(y);
}

static void unheard(void *user, int64_t i, const at_real *logits) {
    (void)user;
    (void)i;
    (void)logits;
}

static at_status watch(at_compute *cp, at_model *m, at_bank *b, const at_table_rows *rows,
                       at_json *j) {
    at_ctx *c = cp->ctx;
    watching w = {.class_of = rows->class, .n = rows->n, .asked = b->k};
    const at_watch how = {.see = see, .experts = experts, .user = &w};
    double missing[AT_ROWS_EXPERTS];
    w.dominant = at_calloc(c, (size_t)rows->n + 1, 1);
    w.right = at_calloc(c, (size_t)rows->n + 1, 1);
    at_status s = w.dominant && w.right ? AT_OK : AT_OOM;
    b->k = b->n; /* all answer */
    if (s == AT_OK) s = at_table_answer(cp, m, rows->x, rows->n, &how, unheard, NULL);
    b->k = w.asked;
    if (s == AT_OK && w.at < rows->n) s = AT_OOM;
    for (int64_t i = 0; i < b->n && s == AT_OK; i++)
        missing[i] = (double)w.missed[i] / (double)rows->n;
    if (s == AT_OK) {
        at_json_put_string(j, "dominant", w.dominant);
        at_json_put_string(j, "right", w.right);
        at_json_put_numbers(j, "missing", missing, b->n);
    }
    at_free(w.dominant);
    at_free(w.right);
    return s;
}

at_status at_rows_probe(at_compute *cp, at_model *m, const at_table_rows *rows, at_json *j) {
    at_banks *banks = m->arch->banks ? m->arch->banks(m->impl) : NULL;
    at_expert_probe p;
    at_status s = at_expert_probe_rows(cp, m, rows, &p);
    if (s != AT_OK) return s;
    at_json_begin_object(j, "probe");
    at_expert_probe_write(&p, j);
    at_json_end(j);
    at_expert_probe_close(&p);
    if (banks->bank->n > AT_ROWS_EXPERTS)
        return at_error(cp->ctx, AT_ARG, "%lld experts, and %d are probed at most",
                        (long long)banks->bank->n, AT_ROWS_EXPERTS);
    return watch(cp, m, banks->bank, rows, j);
}
