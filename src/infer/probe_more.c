/* probe_more.c - the mixture without one of its experts, and domains that a baseline has drawn. */
#include "base/assign.h"
#include "infer/probe.h"
#include <math.h>

/* ---- without an expert ---- */

typedef struct {
    at_scores *scores;
    const int32_t *class_of;
} measure;

static void heard(void *user, int64_t i, const at_real *logits) {
    const measure *m = user;
    at_scores_class(m->scores, logits, m->class_of[i]);
}

static at_status score(at_compute *cp, at_model *m, const at_table_rows *rows, double *accuracy,
                       double *loss) {
    at_scores s = {0};
    measure of = {&s, rows->class};
    at_status st = at_scores_open(cp->ctx, m->dims.vocab, &s);
    if (st == AT_OK) st = at_table_answer(cp, m, rows->x, rows->n, NULL, heard, &of);
    if (st == AT_OK) at_scores_finish(&s);
    *accuracy = s.accuracy;
    *loss = s.loss;
    at_scores_close(&s);
    return st;
}

at_status at_probe_missing(at_compute *cp, at_model *m, const at_table_rows *rows,
                           at_expert_probe *out) {
    at_bank *b = at_model_answers(m);
    const int64_t k = b->k, open = b->n - 1;
    out->lessened = true;
    out->worst_without = INFINITY;
    out->worst_without_loss = -INFINITY;
    out->mean_without = out->mean_without_loss = 0;
    at_status s = score(cp, m, rows, &out->accuracy, &out->loss);
    b->k = k < open ? k : open;
    for (int64_t i = 0; i < b->n && s == AT_OK; i++) {
        at_probed_expert *e = &out->expert[i];
        s = at_bank_use(cp->ctx, b, i, AT_SLOT_EXCLUDED);
        if (s == AT_OK) s = score(cp, m, rows, &e->without, &e->without_loss);
        if (s == AT_OK) s = at_bank_use(cp->ctx, b, i, AT_SLOT_OPEN);
        out->mean_without += e->without / (double)b->n;
        out->mean_without_loss += e->without_loss / (double)b->n;
        if (e->without < out->worst_without) out->worst_without = e->without;
        if (e->without_loss > out->worst_without_loss) out->worst_without_loss = e->without_loss;
    }
    b->k = k;
    return s;
}

/* ---- domains of a baseline ---- */

at_status at_probe_common(at_ctx *c, const at_heard *own, const at_heard *base,
                          const int32_t *class_of, at_expert_probe *out) {
    const int64_t e = own->e;
    int64_t enough = 0, right = 0, base_right = 0, same = 0;
    if (base->e != e)
        return at_error(c, AT_MISMATCH,
                        "the baseline has %lld experts, the model %lld: they cannot be matched",
                        (long long)base->e, (long long)e);
    double *shared = at_calloc(c, (size_t)(e * e), sizeof *shared);
    int64_t *to = at_calloc(c, (size_t)e, sizeof *to),
            *good = at_calloc(c, (size_t)e, sizeof *good);
    at_status s = shared && to && good ? AT_OK : AT_OOM;
    for (int64_t i = 0; i < own->n && s == AT_OK; i++)
        shared[own->domain[i] * e + base->domain[i]] += 1;
    if (s == AT_OK) s = at_assign(c, e, shared, to);
    out->mean_common = 0;
    for (int64_t j = 0; j < e && s == AT_OK; j++) {
        at_probed_expert *x = &out->expert[j];
        x->match = to[j];
        x->common_rows = 0;
        for (int64_t i = 0; i < own->n; i++) {
            if (base->domain[i] != to[j]) continue;
            x->common_rows++;
            good[j] += own->said[i * e + j] == class_of[i];
            base_right += base->said[i * e + to[j]] == class_of[i];
            same += own->domain[i] == j;
        }
        right += good[j];
        x->common = x->common_rows ? (double)good[j] / (double)x->common_rows : (double)NAN;
        if (x->common_rows < AT_PROBE_FEW) continue;
        out->mean_common += x->common;
        enough++;
    }
    out->compared = s == AT_OK;
    out->common = (double)right / (double)own->n;
    out->baseline_own = (double)base_right / (double)own->n;
    out->shared = (double)same / (double)own->n;
    out->mean_common = enough ? out->mean_common / (double)enough : (double)NAN;
    at_free(shared);
    at_free(to);
    at_free(good);
    return s;
}
