/* mf_claims.c - from runs to claims. */
#include "lab/frontier.h"
#include "lab/mf_lab.h"
#include "report/jsonl.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { RESAMPLES = 2000 };

bool mf_number(const cJSON *o, const char *key, double *out) {
    return at_jsonl_number(o, key, out);
}

double mf_context_loss(const at_trial *t, int i) {
    double v = (double)NAN;
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(t->result, "by_context");
    (void)at_jsonl_number(cJSON_GetArrayItem(list, i), "loss", &v);
    return v;
}

at_status mf_measure(mf *m) {
    const at_trial *t[MF_MODELS];
    const int n = m->n;
    for (int i = 0; i < n; i++) {
        const char *group = m->model[i].group;
        t[i] = at_lab_trial(m->l, group, 1);
        if (!at_lab_numbers(m->l, group, "val_loss", m->scale->seeds, m->loss[i]))
            return at_error(m->l->c, AT_FORMAT, "results.jsonl: runs of %s lack val_loss", group);
    }
    return at_lab_speed(m->l, t, n, m->scale->rounds, m->speed);
}

/* ---- dense against sparse ---- */

static double speed_of(const at_speed *s, int what) {
    return what == 0 ? s->train : what == 1 ? s->forward : s->decode;
}

/* Speed of the mixture over that of a dense model of its loss, seed by seed.  The logarithms vary by
   seed; what the rounds leave unsure of the speeds is added to their standard error. */
static at_estimate quality_at_speed(const mf *m, int what, int *beyond, int *before) {
    const int dense = m->scale->n_dense, n = (int)m->scale->seeds;
    double ratio[MF_SEEDS_MAX], speed[AT_FRONTIER_MAX], unsure = 0;
    *beyond = *before = 0;
    for (int i = 0; i < dense; i++) {
        speed[i] = speed_of(&m->speed[i], what);
        unsure = fmax(unsure, m->speed[i].error[what]);
    }
    unsure = hypot(unsure, m->speed[dense].error[what]);
    for (int k = 0; k < n; k++) {
        double loss[AT_FRONTIER_MAX];
        at_frontier_side side;
        for (int i = 0; i < dense; i++) loss[i] = m->loss[i][k];
        const double same = at_frontier_speed(loss, speed, dense, m->loss[dense][k], &side);
        ratio[k] = log(speed_of(&m->speed[dense], what) / same);
        *beyond += side == AT_FRONTIER_BEYOND;
        *before += side == AT_FRONTIER_BEFORE;
    }
    at_estimate e = at_stat_t(ratio, n, 0);
    if (n > 1) {
        const double error = hypot(e.sd / sqrt((double)n), unsure), df = (double)(n - 1);
        const double half = at_stat_t_quantile(0.975, df) * error;
        e.lo = e.mean - half;
        e.hi = e.mean + half;
        e.p = error > 0 ? 2 * at_stat_t_cdf(-fabs(e.mean - log(2)) / error, df) : e.p;
    }
    return at_estimate_exp(e);
}

static at_status claim_speed(mf *m) {
    static const char *const text[3] = {
        "a dense model's quality at more than twice its training throughput",
        "a dense model's quality at more than twice its throughput reading text",
        "a dense model's quality at more than twice its throughput writing token by token"};
    at_status s = AT_OK;
    for (int what = 0; what < 3 && s == AT_OK; what++) {
        int beyond, before;
        const at_estimate e = quality_at_speed(m, what, &beyond, &before);
        cJSON *more = cJSON_CreateObject();
        cJSON_AddNumberToObject(more, "null", 2);
        cJSON_AddStringToObject(more, "bound",
                                beyond && before ? "mixed"
                                : beyond         ? "at least"
                                : before         ? "at most"
                                                 : "none");
        cJSON_AddNumberToObject(more, "seeds_better_than_every_dense_model", beyond);
        s = at_lab_claim(m->l, text[what], e.lo > 2 && !before, &e,
                         "times the throughput of a dense model of equal validation loss", more);
    }
    return s;
}

/* ---- one group against another ---- */

/* Differences of the windows' losses, each a mean over seeds: how sure the difference is of other
   text, the trained models given. */
static at_status by_window(mf *m, const char *a, const char *b, cJSON *more) {
    double *sum = NULL;
    int64_t n = 0;
    at_status s = AT_OK;
    for (int64_t seed = 1; seed <= m->scale->seeds && s == AT_OK; seed++)
        for (int side = 0; side < 2 && s == AT_OK; side++) {
            double *x = NULL;
            int64_t count = 0;
            s = at_lab_windows(m->l, at_lab_trial(m->l, side ? b : a, seed), &x, &count);
            if (s == AT_OK && !sum) {
                n = count;
                sum = at_calloc(m->l->c, (size_t)n + 1, sizeof *sum);
                if (!sum) s = AT_OOM;
            }
            for (int64_t i = 0; s == AT_OK && i < n && i < count; i++)
                sum[i] += (side ? -x[i] : x[i]) / (double)m->scale->seeds;
            at_free(x);
        }
    at_estimate e;
    if (s == AT_OK && n >= 2) {
        s = at_stat_bca(m->l->c, sum, n, 0, RESAMPLES, 1, &e);
        cJSON *o = cJSON_AddObjectToObject(more, "windows"), *ci = cJSON_AddArrayToObject(o, "ci");
        cJSON_AddItemToArray(ci, cJSON_CreateNumber(e.lo));
        cJSON_AddItemToArray(ci, cJSON_CreateNumber(e.hi));
        cJSON_AddNumberToObject(o, "p", e.p);
        cJSON_AddNumberToObject(o, "n", (double)n);
    }
    at_free(sum);
    return s;
}

typedef struct {
    const char *text, *a, *b, *key, *unit; /* key of a minus key of b         */
    double margin;                         /* holds where all of it is above  */
    int sign;                              /* -1: below                       */
} difference;

static const difference differences[] = {
    {"the mutual-information loss (weight 0.001) evens the load of the experts", MF_MAIN, MF_PLAIN,
     "load_entropy", "load entropy / its maximum, mean over routers", 0, 1},
    {"the mutual-information loss, ten times as heavy, evens the load of the experts", MF_STRONG,
     MF_PLAIN, "load_entropy", "load entropy / its maximum, mean over routers", 0, 1},
    {"the mutual-information loss, ten times as heavy, keeps experts alive", MF_PLAIN, MF_STRONG,
     "dead", "dead experts of all routers", 0, 1},
    {"the mutual-information loss costs less than 0.02 nats a token", MF_MAIN, MF_PLAIN, "val_loss",
     "nats a token", 0.02, -1},
    {"the mutual-information loss, ten times as heavy, costs less than 0.02 nats a token",
     MF_STRONG, MF_PLAIN, "val_loss", "nats a token", 0.02, -1},
    {"two experts a token are better than one", MF_K1, MF_MAIN, "val_loss", "nats a token", 0, 1},
    {"four experts a token are better than two", MF_MAIN, MF_K4, "val_loss", "nats a token", 0, 1},
    {"stick-breaking attention learns better than softmax attention with rotary positions",
     MF_SOFTMAX, MF_MAIN, "val_loss", "nats a token", 0, 1},
};

static at_status claim_difference(mf *m, const difference *d) {
    double a[MF_SEEDS_MAX], b[MF_SEEDS_MAX];
    const int64_t n = m->scale->seeds;
    if (!at_lab_numbers(m->l, d->a, d->key, n, a) || !at_lab_numbers(m->l, d->b, d->key, n, b))
        return at_error(m->l->c, AT_FORMAT, "results.jsonl: runs of %s and %s lack %s", d->a, d->b,
                        d->key);
    const at_estimate e = at_estimate_paired(a, b, n);
    cJSON *more = cJSON_CreateObject();
    cJSON_AddNumberToObject(more, "with", at_stat_mean(a, n));
    cJSON_AddNumberToObject(more, "against", at_stat_mean(b, n));
    at_status s = strcmp(d->key, "val_loss") ? AT_OK : by_window(m, d->a, d->b, more);
    if (s == AT_OK)
        return at_lab_claim(m->l, d->text, d->sign > 0 ? e.lo > d->margin : e.hi < d->margin, &e,
                            d->unit, more);
    cJSON_Delete(more);
    return s;
}

/* ---- length ---- */

/* Loss of the same tokens, read in windows four times as long as in training, minus that in windows
   as long as in training. */
static bool growth(const mf *m, const char *group, double *out) {
    bool all = true;
    for (int64_t k = 0; k < m->scale->seeds; k++) {
        const at_trial *t = at_lab_trial(m->l, group, k + 1);
        out[k] = mf_context_loss(t, 2) - mf_context_loss(t, 0);
        all &= isfinite(out[k]) != 0;
    }
    return all;
}

static at_status claim_length(mf *m) {
    double stick[MF_SEEDS_MAX], softmax[MF_SEEDS_MAX];
    const int64_t n = m->scale->seeds;
    if (!growth(m, MF_MAIN, stick) || !growth(m, MF_SOFTMAX, softmax)) {
        at_log(m->l->c, AT_LOG_WARN,
               "the validation split has no text of %lld tokens: nothing is said about length",
               (long long)(4 * m->scale->context));
        return AT_OK;
    }
    const at_estimate own = at_stat_t(stick, n, 0), both = at_estimate_paired(softmax, stick, n);
    const char *unit = "nats a token: four times the trained context, minus the trained one";
    at_status s = at_lab_claim(
        m->l,
        "stick-breaking attention reads on beyond its training length at no loss (below 0.02)",
        own.hi < 0.02, &own, unit, NULL);
    if (s == AT_OK)
        s = at_lab_claim(
            m->l, "beyond its training length softmax attention loses more than stick-breaking",
            both.lo > 0, &both, unit, NULL);
    return s;
}

at_status mf_claims(mf *m) {
    at_status s = claim_speed(m);
    for (size_t i = 0; i < sizeof differences / sizeof *differences && s == AT_OK; i++)
        s = claim_difference(m, &differences[i]);
    return s == AT_OK ? claim_length(m) : s;
}
