/* doctor_look.c - what tensors and the configuration say, without reading a token. */
#include "infer/doctor.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- each tensor ----------------------------------------------------------------------------------- */

static at_status look_at(at_ctx *c, const at_param_entry *e, at_diagnosis *d, bool *finite) {
    const int64_t n = at_numel(&e->t);
    int64_t bad = 0, some = 0;
    for (int64_t i = 0; i < n; i++) {
        bad += !isfinite(e->t.data[i]);
        some += e->t.data[i] != 0;
    }
    d->tensors++;
    if (bad) {
        *finite = false;
        return at_doctor_find(c, d, "not-finite", e->path, (double)bad,
                              "%lld of %lld values are NaN or infinite, the first at %lld",
                              (long long)bad, (long long)n,
                              (long long)at_first_not_finite(e->t.data, n));
    }
    const bool matters = e->of->init != AT_INIT_ZERO; /* shifts begin as zeros, and may stay */
    if (some || !matters) return AT_OK;
    return at_doctor_find(c, d, "zero", e->path, 0, "all of its %lld values are 0", (long long)n);
}

/* ---- slots ------------------------------------------------------------------------------------------ */

static double dot(const at_tensor *a, const at_tensor *b) {
    double s = 0;
    for (int64_t i = 0; i < at_numel(a); i++) s += (double)a->data[i] * (double)b->data[i];
    return s;
}

/* Over all parts of the slots: a . b */
static double slots_dot(const at_bank *b, int64_t x, int64_t y) {
    double s = 0;
    for (int i = 0; i < b->parts; i++) s += dot(b->part[i]->slot[x], b->part[i]->slot[y]);
    return s;
}

/* |a|^2 |b|^2 of the cosine; below 0 counts as nothing in common. */
static double cosine(double ab, double aa, double bb) {
    return aa > 0 && bb > 0 ? ab / sqrt(aa * bb) : 0;
}

static at_status compare(at_ctx *c, const at_bank *b, int64_t x, int64_t y, double cos,
                         const char *what, at_diagnosis *d) {
    char place[64], where[160];
    at_doctor_place(b->id, place);
    (void)snprintf(where, sizeof where, "%s: %s of experts %lld and %lld", place, what,
                   (long long)x, (long long)y);
    return at_doctor_find(c, d, "duplicate", where, cos, "cosine of their values %.6f", cos);
}

static at_status find_duplicates(at_ctx *c, const at_bank *b, at_diagnosis *d) {
    at_status s = AT_OK;
    double *own = at_malloc(c, (size_t)b->n * sizeof *own),
           *row = at_malloc(c, (size_t)b->n * sizeof *row);
    if (!own || !row) s = AT_OOM;
    for (int64_t x = 0; x < b->n && s == AT_OK; x++) {
        own[x] = slots_dot(b, x, x);
        row[x] = b->row ? dot(b->row->slot[x], b->row->slot[x]) : 0;
        for (int64_t y = 0; y < x && s == AT_OK; y++) {
            const double e = cosine(slots_dot(b, x, y), own[x], own[y]);
            const double r =
                b->row ? cosine(dot(b->row->slot[x], b->row->slot[y]), row[x], row[y]) : 0;
            if (e > AT_DOCTOR_COSINE) s = compare(c, b, y, x, e, "matrices", d);
            /* rows of a router with few columns are close by chance: the same ones alone count */
            if (s == AT_OK && r > 1 - 1e-9 && fabs(row[x] - row[y]) <= 1e-9 * row[x])
                s = compare(c, b, y, x, r, "router rows", d);
        }
    }
    at_free(own);
    at_free(row);
    return s;
}

static bool silent(const at_bank *b, int64_t x) {
    for (int i = 0; i < b->parts; i++)
        if (b->part[i]->init != AT_INIT_ZERO &&
            !(dot(b->part[i]->slot[x], b->part[i]->slot[x]) > 0))
            return true;
    return false;
}

static at_status count_alive(at_ctx *c, const at_bank *b, at_diagnosis *d) {
    int64_t alive = 0;
    char place[64];
    for (int64_t x = 0; x < b->n; x++) alive += !silent(b, x);
    at_doctor_place(b->id, place);
    return alive >= b->k
               ? AT_OK
               : at_doctor_find(c, d, "k-too-large", place, (double)alive,
                                "a token uses %lld experts, but %lld of %lld have a matrix "
                                "of zeros or NaN",
                                (long long)b->k, (long long)(b->n - alive), (long long)b->n);
}

/* ---- the configuration --------------------------------------------------------------------------------- */

/* Weights of auxiliary losses by the names that other programs have for them. */
static at_status look_at_losses(at_ctx *c, const at_model *m, at_diagnosis *d) {
    static const char *const name[] = {"router_aux_loss_coef", "aux_loss_coef",
                                       "aux_loss_alpha",       "moe_aux_loss_coeff",
                                       "router_z_loss_coef",   NULL};
    at_aux aux;
    at_status s = AT_OK;
    const double weight = at_model_aux(m, &aux);
    for (int i = 0; name[i] && s == AT_OK; i++) {
        const cJSON *v = cJSON_GetObjectItemCaseSensitive(m->source, name[i]);
        if (cJSON_IsNumber(v) && v->valuedouble > 0 && !(weight > 0))
            s = at_doctor_find(
                c, d, "aux-discarded", "config.json", v->valuedouble,
                "%s is %g, but no loss of routers has a weight: aux_loss_weight is %g", name[i],
                v->valuedouble, weight > 0 ? weight : 0);
    }
    return s;
}

/* What other programs call renormalise_gates. */
static at_status look_at_gates(at_ctx *c, const at_model *m, at_diagnosis *d) {
    static const char *const name[] = {"norm_topk_prob", "moe_renormalize",
                                       "normalize_expert_weights", NULL};
    const cJSON *own = cJSON_GetObjectItemCaseSensitive(m->source, "renormalise_gates");
    const bool ours = cJSON_IsTrue(own);
    at_status s = AT_OK;
    for (int i = 0; name[i] && s == AT_OK; i++) {
        const cJSON *v = cJSON_GetObjectItemCaseSensitive(m->source, name[i]);
        if (cJSON_IsBool(v) && (bool)cJSON_IsTrue(v) != ours)
            s = at_doctor_find(c, d, "gates", "config.json", ours,
                               "%s is %s, but renormalise_gates is %s%s", name[i],
                               ours ? "false" : "true", ours ? "true" : "false",
                               own ? "" : " (as it is not said)");
    }
    return s;
}

at_status at_doctor_look(at_ctx *c, const at_model *m, at_diagnosis *d, bool *finite) {
    const at_banks *banks = m->arch->banks ? m->arch->banks(m->impl) : NULL;
    at_status s = AT_OK;
    *finite = true;
    for (int64_t i = 0; i < m->store.n && s == AT_OK; i++)
        if (!m->store.p[i]->absent) s = look_at(c, m->store.p[i], d, finite);
    for (int64_t i = 0; banks && i < banks->n && s == AT_OK; i++) {
        const at_bank *b = &banks->bank[i];
        if (b->n < 2) continue;
        d->banks++;
        s = find_duplicates(c, b, d);
        if (s == AT_OK) s = count_alive(c, b, d);
    }
    if (s == AT_OK && d->banks) s = look_at_losses(c, m, d);
    return s == AT_OK && d->banks ? look_at_gates(c, m, d) : s;
}
