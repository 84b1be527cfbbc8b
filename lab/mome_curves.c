/* mome_curves.c - how steady the training of a student was: from its metrics.jsonl, in the second half
   of the run, when learning is no longer the larger part of every change. */
#include "base/stats.h"
#include "lab/mome_lab.h"
#include "report/points.h"
#include <math.h>

/* Standard deviation of the differences from step to step of n values. */
static double step_sd(const double *x, int64_t n) {
    double sum = 0, squares = 0;
    for (int64_t i = 1; i < n; i++) {
        sum += x[i] - x[i - 1];
        squares += (x[i] - x[i - 1]) * (x[i] - x[i - 1]);
    }
    const double count = (double)(n - 1);
    return n < 3 ? (double)NAN : sqrt((squares - sum * sum / count) / (count - 1));
}

static void summary(mome_curve *out, const at_points *norm, const at_points *loss,
                    const at_points *text, const at_points *alpha) {
    const int64_t n = norm->n, half = n / 2;
    *out = (mome_curve){.norm_sd = at_stat_sd(norm->y + half, n - half),
                        .loss_sd = step_sd(loss->y + half, n - half),
                        .text_sd = step_sd(text->y + half, n - half),
                        .alpha_lo = (double)NAN,
                        .alpha_hi = (double)NAN};
    for (int64_t i = 0; i < alpha->n; i++) {
        out->alpha_lo = fmin(out->alpha_lo, alpha->y[i]);
        out->alpha_hi = fmax(out->alpha_hi, alpha->y[i]);
    }
}

at_status mome_curve_of(at_ctx *c, const char *path, mome_curve *out) {
    enum { NORM, LOSS, CE, ALPHA, CURVES };
    at_curve curve[CURVES] = {{.x = "step", .y = "grad_norm"},
                              {.x = "wall", .y = "loss"},
                              {.x = "wall", .y = "ce"},
                              {.x = "wall", .y = "alpha"}};
    at_status s = at_curves_read(c, path, curve, CURVES);
    /* without a teacher the loss is the cross entropy with the text */
    const at_points *loss = &curve[LOSS].points, *norm = &curve[NORM].points;
    const at_points *text = curve[CE].points.n ? &curve[CE].points : loss;
    if (s == AT_OK && (norm->n < 6 || loss->n != norm->n || text->n != norm->n))
        s = at_error(c, AT_FORMAT, "%s: expected at least 6 steps with loss and grad_norm", path);
    if (s == AT_OK) summary(out, norm, loss, text, &curve[ALPHA].points);
    for (int i = 0; i < CURVES; i++) at_points_free(&curve[i].points);
    return s;
}

at_status mome_curves(mome *m) {
    at_status s = AT_OK;
    for (int a = 0; mome_arms[a].group; a++)
        for (int k = 0; k < m->scale->seeds && s == AT_OK; k++) {
            const at_trial *t = at_lab_trial(m->l, mome_arms[a].group, k + 1);
            char *path = at_lab_path(m->l, t, "metrics.jsonl");
            s = path ? mome_curve_of(m->l->c, path, &m->curve[a * m->scale->seeds + k]) : AT_OOM;
            at_free(path);
        }
    return s;
}
