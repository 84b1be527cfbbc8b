/* mf_claims.c - decides the claims from the results of the runs. */
#include "lab/frontier.h"
#include "lab/lab_result.h"
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

double mf_speed_of(const at_speed *s, int what) {
    return what == MF_TRAIN ? s->train : what == MF_READ ? s->forward : s->decode;
}

at_status mf_losses(mf *m) {
    for (int i = 0; i < m->n; i++) {
        const char *group = m->model[i].group;
        if (!at_lab_numbers(m->l, group, "test_loss", m->scale->seeds, m->loss[i]))
            return at_error(m->l->c, AT_FORMAT, "results.jsonl: runs of %s lack test_loss", group);
    }
    return AT_OK;
}

at_status mf_speeds(mf *m) {
    const at_trial *t[MF_SEEDS_MAX * MF_MODELS] = {NULL};
    at_speed speed[MF_SEEDS_MAX * MF_MODELS];
    const int n = m->n, seeds = (int)m->scale->seeds;
    for (int k = 0; k < seeds; k++)
        for (int i = 0; i < n; i++) t[k * n + i] = at_lab_trial(m->l, m->model[i].group, k + 1);
    const at_status s = at_lab_speed(m->l, t, seeds, n, m->scale->rounds, speed);
    for (int k = 0; s == AT_OK && k < seeds; k++)
        for (int i = 0; i < n; i++) m->speed[k][i] = speed[k * n + i];
    return s;
}

/* Which of the models from .. to have a best learning rate at an end of the range that was
   tried. */
static void put_edges(const mf *m, at_json *j, int from, int to) {
    bool some = false;
    for (int i = from; i <= to; i++) {
        if (!mf_edge(m, i)) continue;
        if (!some) at_json_begin_list(j, "rates_at_edge");
        some = true;
        at_json_put_string(j, NULL, m->model[i].group);
    }
    if (some) at_json_end(j);
}

/* ---- dense against sparse ---- */

typedef struct {
    at_estimate e;              /* of the ratio                                  */
    double ratio[MF_SEEDS_MAX]; /* of each seed                                  */
    int beyond, before;         /* seeds for which it is a limit: see frontier.h */
    double clock;               /* part of the standard error of the logarithm   */
} quality_speed;

/* Speed of the mixture divided by that of a dense model of equal loss.  The models of each seed are
   timed together, so that the ratios of different seeds vary by all that influences them; the
   interval is Student's over their logarithms.  They may happen to lie closer together than the
   error of the measurement allows; then that error is used. */
static quality_speed quality_at_speed(const mf *m, int what) {
    const int dense = m->scale->n_dense, n = (int)m->scale->seeds;
    quality_speed q = {0};
    double ratio[MF_SEEDS_MAX];
    for (int k = 0; k < n; k++) {
        double loss[AT_FRONTIER_MAX], speed[AT_FRONTIER_MAX], unsure = 0;
        at_frontier_side side;
        for (int i = 0; i < dense; i++) {
            loss[i] = m->loss[i][k];
            speed[i] = mf_speed_of(&m->speed[k][i], what);
            unsure = fmax(unsure, m->speed[k][i].error[what]);
        }
        const double own = mf_speed_of(&m->speed[k][dense], what);
        q.ratio[k] = own / at_frontier_speed(loss, speed, dense, m->loss[dense][k], &side);
        ratio[k] = log(q.ratio[k]);
        q.beyond += side == AT_FRONTIER_BEYOND;
        q.before += side == AT_FRONTIER_BEFORE;
        q.clock = hypot(q.clock, hypot(unsure, m->speed[k][dense].error[what]) / n);
    }
    q.e = at_stat_t(ratio, n, log(2));
    if (n > 1) {
        const double error = fmax(q.e.sd / sqrt((double)n), q.clock), df = (double)(n - 1);
        const double half = at_stat_t_quantile(0.975, df) * error;
        q.e.lo = q.e.mean - half;
        q.e.hi = q.e.mean + half;
        if (error > 0) q.e.p = 2 * at_stat_t_cdf(-fabs(q.e.mean - log(2)) / error, df);
    }
    q.e = at_estimate_exp(q.e);
    return q;
}

static at_status claim_speed(mf *m) {
    static const char *const text[3] = {
        "a dense model's quality at more than twice its training throughput",
        "a dense model's quality at more than twice its throughput reading text",
        "a dense model's quality at more than twice its throughput writing token by token"};
    at_status s = AT_OK;
    for (int what = 0; what < 3 && s == AT_OK; what++) {
        const quality_speed q = quality_at_speed(m, what);
        const at_claim claim = {.text = text[what],
                                .unit = "times the throughput of a dense model of equal test loss",
                                .bound = q.beyond && q.before ? "mixed"
                                         : q.beyond           ? "at_least"
                                         : q.before           ? "at_most"
                                                              : "none",
                                .e = q.e,
                                .null = 2,
                                .side = AT_ABOVE};
        at_json j;
        at_lab_claim_begin(m->l, &claim, &j);
        at_json_put_number(&j, "seeds_better_than_every_dense_model", q.beyond);
        at_json_put_numbers(&j, "by_seed", q.ratio, m->scale->seeds);
        put_edges(m, &j, 0, m->scale->n_dense);
        s = at_lab_claim_end(m->l, &j);
    }
    return s;
}

/* ---- one group against another ---- */

/* Differences of the losses of each window, means over seeds: how certain the difference of these
   models is for other text. */
static at_status by_window(mf *m, const char *a, const char *b, double null, at_json *j) {
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
        s = at_stat_bca(m->l->c, sum, n, null, RESAMPLES, 1, &e);
        at_json_begin_object(j, "windows");
        at_json_put_numbers(j, "ci", (const double[]){e.lo, e.hi}, 2);
        at_json_put_number(j, "p", e.p);
        at_json_put_number(j, "n", (double)n);
        at_json_end(j);
    }
    at_free(sum);
    return s;
}

typedef struct {
    const char *text, *a, *b, *key, *unit; /* key of a minus key of b    */
    double margin;                         /* what it is said to be above */
    at_claim_side side;                    /* or below                   */
} difference;

static const difference differences[] = {
    {"the mutual-information loss (weight 0.001) evens the load of the experts", MF_MAIN, MF_PLAIN,
     "load_entropy", "load entropy / its maximum, mean over routers", 0, AT_ABOVE},
    {"the mutual-information loss, ten times as heavy, evens the load of the experts", MF_STRONG,
     MF_PLAIN, "load_entropy", "load entropy / its maximum, mean over routers", 0, AT_ABOVE},
    {"the mutual-information loss, ten times as heavy, keeps experts alive", MF_PLAIN, MF_STRONG,
     "dead", "dead experts of all routers", 0, AT_ABOVE},
    {"the mutual-information loss costs less than 0.02 nats a token", MF_MAIN, MF_PLAIN,
     "test_loss", "nats a token", 0.02, AT_BELOW},
    {"the mutual-information loss, ten times as heavy, costs less than 0.02 nats a token",
     MF_STRONG, MF_PLAIN, "test_loss", "nats a token", 0.02, AT_BELOW},
    {"two experts a token are better than one", MF_K1, MF_MAIN, "test_loss", "nats a token", 0,
     AT_ABOVE},
    {"four experts a token are better than two", MF_MAIN, MF_K4, "test_loss", "nats a token", 0,
     AT_ABOVE},
    {"stick-breaking attention learns better than softmax attention with rotary positions",
     MF_SOFTMAX, MF_MAIN, "test_loss", "nats a token", 0, AT_ABOVE},
};

static at_status claim_difference(mf *m, const difference *d) {
    double a[MF_SEEDS_MAX], b[MF_SEEDS_MAX];
    const int64_t n = m->scale->seeds;
    if (!at_lab_numbers(m->l, d->a, d->key, n, a) || !at_lab_numbers(m->l, d->b, d->key, n, b))
        return at_error(m->l->c, AT_FORMAT, "results.jsonl: runs of %s and %s lack %s", d->a, d->b,
                        d->key);
    const at_claim claim = {.text = d->text,
                            .unit = d->unit,
                            .e = at_estimate_paired(a, b, n, d->margin),
                            .null = d->margin,
                            .side = d->side};
    at_json j;
    at_lab_claim_begin(m->l, &claim, &j);
    at_json_put_number(&j, "with", at_stat_mean(a, n));
    at_json_put_number(&j, "against", at_stat_mean(b, n));
    put_edges(m, &j, m->scale->n_dense, m->scale->n_dense); /* all have the mixture's rate */
    at_status s = strcmp(d->key, "test_loss") ? AT_OK : by_window(m, d->a, d->b, d->margin, &j);
    if (s == AT_OK) return at_lab_claim_end(m->l, &j);
    at_json_close(&j);
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
               "the test split has no text of %lld tokens: nothing is said about length",
               (long long)(4 * m->scale->context));
        return AT_OK;
    }
    const char *unit = "nats a token: four times the trained context, minus the trained one";
    const at_claim own = {
        .text =
            "stick-breaking attention reads on beyond its training length at no loss (below 0.02)",
        .unit = unit,
        .e = at_stat_t(stick, n, 0.02),
        .null = 0.02,
        .side = AT_BELOW};
    const at_claim both = {
        .text = "beyond its training length softmax attention loses more than stick-breaking",
        .unit = unit,
        .e = at_estimate_paired(softmax, stick, n, 0),
        .null = 0,
        .side = AT_ABOVE};
    const at_claim *const claim[2] = {&own, &both};
    at_status s = AT_OK;
    for (int i = 0; i < 2 && s == AT_OK; i++) {
        at_json j;
        at_lab_claim_begin(m->l, claim[i], &j);
        put_edges(m, &j, m->scale->n_dense, m->scale->n_dense);
        s = at_lab_claim_end(m->l, &j);
    }
    return s;
}

at_status mf_claims(mf *m) {
    at_status s = claim_speed(m);
    for (size_t i = 0; i < sizeof differences / sizeof *differences && s == AT_OK; i++)
        s = claim_difference(m, &differences[i]);
    if (s == AT_OK) s = claim_length(m);
    return s == AT_OK ? at_lab_claims_decide(m->l) : s;
}
