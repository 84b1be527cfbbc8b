/* ensemble.c - see ensemble.h.  Models and tokens are summed in their order. */
#include "infer/ensemble.h"
#include "base/ints.h"
#include "base/maths.h"
#include <string.h>

at_status at_ensemble_weigh(at_ctx *c, const at_ensemble *e, const int32_t *ids, int64_t n,
                            double *weight) {
    const int classes = e->router ? e->router->n_classes : 0;
    double *p = at_calloc(c, (size_t)classes + 1, sizeof *p), sum = 0;
    bool *taken = at_calloc(c, (size_t)e->n, sizeof *taken);
    int top = 0;
    at_status s = p && taken ? AT_OK : AT_OOM;
    if (s == AT_OK && e->router) {
        s = at_router_predict(c, e->router, ids, n, p, &top, NULL);
        if (s == AT_OK) at_router_temper(e->router, p);
    }
    for (int i = 0; i < e->n; i++) weight[i] = 0;
    for (int k = 0; k < e->k && s == AT_OK; k++) {
        int best = -1;
        for (int i = 0; i < e->n; i++)
            if (!taken[i] && (best < 0 || (e->router && p[e->class_of[i]] > p[e->class_of[best]])))
                best = i;
        taken[best] = true;
        weight[best] = e->router ? p[e->class_of[best]] : 1;
        sum += weight[best];
    }
    for (int i = 0; i < e->n && s == AT_OK; i++)
        weight[i] = sum > 0 ? weight[i] / sum : (double)taken[i] / e->k;
    at_free(taken);
    at_free(p);
    return s;
}

typedef struct {
    at_compute *cp;
    const at_ensemble *e;
    at_arena arena;
    int32_t *ids;       /* [context + 1] */
    int64_t T, prefix;  /* tokens that are read; of them those that are not scored */
    double *weight, *p; /* [n]; [T] probability of what follows each, so far */
    double share;       /* of the model that reads */
    int64_t vocab;
} reading;

/* One more model's part of the probability of the token that follows token i. */
static void hear(void *user, int64_t i, const at_real *logits) {
    reading *w = user;
    double most = (double)logits[0], sum = 0;
    for (int64_t v = 1; v < w->vocab; v++)
        if ((double)logits[v] > most) most = (double)logits[v];
    for (int64_t v = 0; v < w->vocab; v++) sum += at_exp((double)logits[v] - most);
    w->p[i] += w->share * at_exp((double)logits[w->ids[i + 1]] - most) / sum;
}

static at_status read_mean(reading *w, const at_input *in, at_ensemble_loss *out) {
    at_status s =
        at_ensemble_weigh(w->cp->ctx, w->e, w->ids, w->prefix ? w->prefix : w->T, w->weight);
    memset(w->p, 0, (size_t)w->T * sizeof *w->p);
    for (int i = 0; i < w->e->n && s == AT_OK; i++) {
        const at_readout what = {.logits = hear, .user = w};
        if (!(w->weight[i] > 0)) continue;
        w->share = w->weight[i];
        if (out->by) out->by[i]++;
        w->vocab = w->e->model[i]->dims.vocab;
        s = at_model_read(w->cp, &w->arena, w->e->model[i], in, NULL, &what);
    }
    for (int64_t i = at_max(w->prefix - 1, 0); i < w->T && s == AT_OK; i++)
        out->nats -= at_ln(w->p[i]);
    return s;
}

/* A model alone: the loss without the logits. */
static at_status read_one(reading *w, const at_input *in, int32_t *label, double *nats) {
    at_head_report rep = {0};
    for (int64_t i = 0; i < w->T; i++) label[i] = i + 1 < w->prefix ? -1 : w->ids[i + 1];
    const at_readout what = {.label = label, .parts = 1, .report = &rep};
    const at_status s = at_model_read(w->cp, &w->arena, w->e->model[0], in, NULL, &what);
    *nats += rep.ce * (double)rep.n_labels;
    return s;
}

static at_status read_window(reading *w, int32_t *label, at_ensemble_loss *out) {
    const at_input in = {.ids = w->ids, .B = 1, .T = w->T};
    const at_status s = w->e->n == 1 ? read_one(w, &in, label, &out->nats) : read_mean(w, &in, out);
    if (s != AT_OK) return s;
    if (out->by && w->e->n == 1) out->by[0]++;
    out->tokens += w->T - at_max(w->prefix - 1, 0);
    out->windows++;
    return AT_OK;
}

at_status at_ensemble_eval(at_compute *cp, const at_ensemble *e, const at_shard *s, int64_t context,
                           int64_t limit, int64_t prefix, at_ensemble_loss *out) {
    at_ctx *c = cp->ctx;
    for (int i = 0; i < e->n; i++) context = at_min(context, e->model[i]->dims.context);
    reading w = {.cp = cp, .e = e, .prefix = prefix};
    at_arena_init(&w.arena, c);
    w.ids = at_malloc(c, (size_t)(context + 1) * sizeof *w.ids);
    w.p = at_malloc(c, (size_t)context * sizeof *w.p);
    w.weight = at_malloc(c, (size_t)e->n * sizeof *w.weight);
    int32_t *label = at_malloc(c, (size_t)context * sizeof *label);
    at_status st = w.ids && w.p && w.weight && label ? AT_OK : AT_OOM;
    const int64_t n = at_eval_windows(s, context, limit);
    for (int64_t i = 0; i < n && st == AT_OK; i++) {
        int64_t start, len;
        at_eval_window(s, context, limit, i, &start, &len);
        if (len <= at_max(prefix, 1)) continue;
        if (at_interrupted(c)) st = at_error(c, AT_INTERRUPTED, "interrupted");
        at_shard_read(s, start, len, w.ids);
        w.T = len - 1;
        if (st == AT_OK) st = read_window(&w, label, out);
    }
    at_arena_close(&w.arena);
    at_free(w.ids);
    at_free(w.p);
    at_free(w.weight);
    at_free(label);
    return st;
}
