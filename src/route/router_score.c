/* router_score.c - confusion counts and what follows from them; calibration. */
#include "route/router.h"
#include <math.h>

void at_router_bins_add(at_router_bins *b, double probability, bool right) {
    int i = (int)(probability * AT_ROUTER_BINS);
    if (i >= AT_ROUTER_BINS) i = AT_ROUTER_BINS - 1;
    b->sum[i] += probability;
    b->n[i]++;
    b->right[i] += right;
}

double at_router_bins_error(const at_router_bins *b) {
    double error = 0;
    int64_t n = 0;
    for (int i = 0; i < AT_ROUTER_BINS; i++) {
        error += fabs(b->sum[i] - (double)b->right[i]);
        n += b->n[i];
    }
    return n ? error / (double)n : 0;
}

const double at_router_risk_at[AT_ROUTER_RISKS] = {0, 0.5, 0.7, 0.8, 0.9, 0.95, 0.99, 0.999};

void at_router_risk_add(at_router_score *s, double probability, bool right) {
    for (int i = 0; i < AT_ROUTER_RISKS; i++) {
        if (probability < at_router_risk_at[i]) continue;
        s->risk[i].answered++;
        s->risk[i].wrong += !right;
    }
}

at_status at_router_score_init(at_ctx *c, at_router_score *s, int n_classes) {
    const size_t n = (size_t)n_classes;
    *s = (at_router_score){.n_classes = n_classes};
    s->confusion = at_calloc(c, n * n, sizeof *s->confusion);
    s->support = at_calloc(c, n, sizeof *s->support);
    s->class_precision = at_calloc(c, n, sizeof(double));
    s->class_recall = at_calloc(c, n, sizeof(double));
    s->class_f1 = at_calloc(c, n, sizeof(double));
    if (s->confusion && s->support && s->class_precision && s->class_recall && s->class_f1)
        return AT_OK;
    at_router_score_free(s);
    return AT_OOM;
}

void at_router_score_add(at_router_score *s, int truth, int predicted) {
    s->confusion[(int64_t)truth * s->n_classes + predicted]++;
    s->total++;
}

static double ratio(double part, double whole) { return whole > 0 ? part / whole : 0; }

void at_router_score_finish(at_router_score *s) {
    const int n = s->n_classes;
    int64_t right = 0, occur = 0;
    s->precision = s->recall = s->f1 = s->weighted_f1 = 0;
    for (int k = 0; k < n; k++) {
        int64_t truth = 0, predicted = 0;
        for (int j = 0; j < n; j++) {
            truth += s->confusion[(int64_t)k * n + j];
            predicted += s->confusion[(int64_t)j * n + k];
        }
        const double hit = (double)s->confusion[(int64_t)k * n + k];
        right += s->confusion[(int64_t)k * n + k];
        s->support[k] = truth;
        s->class_precision[k] = ratio(hit, (double)predicted);
        s->class_recall[k] = ratio(hit, (double)truth);
        s->class_f1[k] = ratio(2 * hit, (double)(truth + predicted));
        s->weighted_f1 += s->class_f1[k] * (double)truth;
        if (!truth && !predicted) continue;
        occur++;
        s->precision += s->class_precision[k];
        s->recall += s->class_recall[k];
        s->f1 += s->class_f1[k];
    }
    s->accuracy = ratio((double)right, (double)s->total);
    s->precision = ratio(s->precision, (double)occur);
    s->recall = ratio(s->recall, (double)occur);
    s->f1 = ratio(s->f1, (double)occur);
    s->weighted_f1 = ratio(s->weighted_f1, (double)s->total);
}

void at_router_score_free(at_router_score *s) {
    at_free(s->confusion);
    at_free(s->support);
    at_free(s->class_precision);
    at_free(s->class_recall);
    at_free(s->class_f1);
    *s = (at_router_score){0};
}
