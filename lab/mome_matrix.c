/* mome_matrix.c - losses by stage and language: of students that learn one language after the other, of
   modules behind a router, and of students that learn all languages together. */
#include "lab/lab_result.h"
#include "lab/mome_lab.h"
#include "report/points.h"
#include <math.h>
#include <string.h>

static at_forget_matrix empty(const mome *m, int first) {
    at_forget_matrix x = {.stages = m->domains, .n = m->domains};
    for (int i = 0; i < m->domains; i++) x.learnt[i] = first < 0 ? -1 : mome_language(m, first, i);
    return x;
}

/* ---- one after the other ---- */

static at_status of_stages(mome *m, enum mome_mode mode, int first, int k) {
    at_forget_matrix *x = &m->matrix[mode][first][k];
    *x = empty(m, first);
    for (int i = 0; i < m->domains; i++) {
        char group[64];
        mome_stage(group, mode, first, i);
        for (int j = 0; j < m->domains; j++) {
            x->r[i][j] = mome_domain_loss(m, group, k, j);
            if (!isfinite(x->r[i][j]))
                return at_error(m->l->c, AT_FORMAT, "results.jsonl: %s-s%d lacks the loss of %s",
                                group, k + 1, mome_domain(m, j));
        }
    }
    return AT_OK;
}

/* ---- modules: the experts of the first i + 1 languages behind a router ---- */

/* The expert of a window, of those there are after a stage. */
static int choose(const mome *m, const double *p, int first, int stage) {
    int best = first;
    for (int i = 1; i <= stage; i++) {
        const int d = mome_language(m, first, i);
        if (p[d] > p[best]) best = d;
    }
    return best;
}

/* loss [experts] of pointers to [windows of all domains]. */
static void of_modules(mome *m, double *const *loss, int first, int k) {
    at_forget_matrix *x = &m->matrix[MOME_MODULES][first][k];
    *x = empty(m, first);
    for (int i = 0; i < m->domains; i++) {
        int64_t at = 0;
        for (int j = 0; j < m->domains; j++) {
            double sum = 0;
            for (int64_t w = 0; w < m->windows[j]; w++, at++)
                sum += loss[choose(m, m->router[k].p + at * m->domains, first, i)][at];
            x->r[i][j] = sum / (double)m->windows[j];
        }
    }
}

/* Over all windows, with the expert that the router chooses of all, and with the right one. */
static void of_choices(mome *m, double *const *loss, int k) {
    int64_t at = 0;
    double routed = 0, oracle = 0;
    for (int j = 0; j < m->domains; j++)
        for (int64_t w = 0; w < m->windows[j]; w++, at++) {
            routed += loss[choose(m, m->router[k].p + at * m->domains, 0, m->domains - 1)][at];
            oracle += loss[j][at];
        }
    m->routed[k] = routed / (double)at;
    m->oracle[k] = oracle / (double)at;
}

static at_status modules(mome *m, int k) {
    double *loss[MOME_DOMAINS_MAX] = {NULL};
    int64_t all = 0;
    at_status s = AT_OK;
    for (int d = 0; d < m->domains; d++) all += m->windows[d];
    for (int d = 0; d < m->domains && s == AT_OK; d++) {
        char group[64];
        int64_t n = 0;
        mome_stage(group, MOME_SEQUENTIAL, d, 0);
        s = at_lab_windows(m->l, at_lab_trial(m->l, group, k + 1), &loss[d], &n);
        if (s == AT_OK && n != all)
            s = at_error(m->l->c, AT_FORMAT,
                         "runs/%s-s%d/" AT_LAB_WINDOWS
                         ": expected the losses of %lld windows, found %lld",
                         group, k + 1, (long long)all, (long long)n);
    }
    for (int first = 0; first < m->domains && s == AT_OK; first++) of_modules(m, loss, first, k);
    if (s == AT_OK) of_choices(m, loss, k);
    for (int d = 0; d < m->domains; d++) at_free(loss[d]);
    return s;
}

/* ---- all together: the validations of one run, as many as there are stages ---- */

static at_status of_session(mome *m, const char *group, int k, at_forget_matrix *x) {
    at_curve curve[MOME_DOMAINS_MAX];
    const at_trial *t = at_lab_trial(m->l, group, k + 1);
    *x = empty(m, -1);
    for (int d = 0; d < m->domains; d++)
        curve[d] = (at_curve){.x = "step", .y = "val_loss", .domain = mome_domain(m, d)};
    char *path = at_lab_path(m->l, t, "metrics.jsonl");
    at_status s = path ? at_curves_read(m->l->c, path, curve, m->domains) : AT_OOM;
    for (int d = 0; d < m->domains; d++) {
        const at_points *p = &curve[d].points;
        if (s == AT_OK && p->n != m->domains)
            s = at_error(m->l->c, AT_FORMAT, "%s: expected %d validations of %s, found %lld", path,
                         m->domains, mome_domain(m, d), (long long)p->n);
        for (int i = 0; s == AT_OK && i < m->domains; i++) x->r[i][d] = p->y[i];
        at_points_free(&curve[d].points);
    }
    at_free(path);
    return s;
}

at_status mome_matrices(mome *m) {
    at_status s = AT_OK;
    for (int k = 0; k < m->scale->seeds && s == AT_OK; k++) {
        for (int first = 0; first < m->domains && s == AT_OK; first++) {
            s = of_stages(m, MOME_SEQUENTIAL, first, k);
            if (s == AT_OK) s = of_stages(m, MOME_REPLAY, first, k);
        }
        if (s == AT_OK) s = modules(m, k);
        if (s == AT_OK) s = of_session(m, MOME_COMBINED, k, &m->balanced[0][k]);
        if (s == AT_OK) s = of_session(m, MOME_IMBALANCE, k, &m->balanced[1][k]);
    }
    return s;
}
