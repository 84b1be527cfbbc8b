/* api_route_measure.c - what a router is worth on a split. */
#include "api/api_route.h"
#include <string.h>

enum { EVAL_LENGTH = 128, EVAL_WINDOWS = 2000, SHORTEST = 8, LONGEST = 1024 };

static void per_class(at_json *j, const at_router *r, const at_router_score *s) {
    at_json_begin_list(j, "per_class");
    for (int k = 0; k < r->n_classes; k++) {
        at_json_begin_object(j, NULL);
        at_json_put_string(j, "class", r->name[k]);
        at_json_put_number(j, "precision", s->class_precision[k]);
        at_json_put_number(j, "recall", s->class_recall[k]);
        at_json_put_number(j, "f1", s->class_f1[k]);
        at_json_put_number(j, "sequences", (double)s->support[k]);
        at_json_end(j);
    }
    at_json_end(j);
}

static void confusion(at_json *j, const at_router_score *s) {
    at_json_begin_list(j, "confusion");
    for (int64_t i = 0; i < s->n_classes; i++) {
        at_json_begin_list(j, NULL);
        for (int k = 0; k < s->n_classes; k++)
            at_json_put_number(j, NULL, (double)s->confusion[i * s->n_classes + k]);
        at_json_end(j);
    }
    at_json_end(j);
}

void at_route_classes(at_json *j, const at_router *r) {
    at_json_begin_list(j, "classes");
    for (int k = 0; k < r->n_classes; k++) at_json_put_string(j, NULL, r->name[k]);
    at_json_end(j);
}

bool at_route_fills(const at_dataset *d, at_split split, int64_t length) {
    int64_t most = 0;
    for (int k = 0; k < d->n_domains; k++)
        if (d->domain[k].shard[split].n_tokens > most) most = d->domain[k].shard[split].n_tokens;
    return length <= most;
}

/* How much was answered, where that was in question. */
static void coverage(at_json *j, const at_router_score *s, double abstain) {
    if (!(abstain > 0)) return;
    const int64_t seen = s->total + s->declined;
    at_json_put_number(j, "abstain", abstain);
    at_json_put_number(j, "coverage", seen ? (double)s->total / (double)seen : 0);
}

static void risks(at_json *j, const at_router_score *s) {
    const double seen = (double)(s->total + s->declined);
    at_json_begin_list(j, "risk");
    for (int i = 0; i < AT_ROUTER_RISKS; i++) {
        const at_router_risk *x = &s->risk[i];
        at_json_begin_object(j, NULL);
        at_json_put_number(j, "threshold", at_router_risk_at[i]);
        at_json_put_number(j, "coverage", (double)x->answered / seen);
        at_json_put_number(j, "error", x->answered ? (double)x->wrong / (double)x->answered : 0);
        at_json_end(j);
    }
    at_json_end(j);
}

static void calibration(at_json *j, const at_router_score *s) {
    at_json_put_number(j, "ece", at_router_bins_error(&s->tempered));
    at_json_put_number(j, "ece_before", at_router_bins_error(&s->raw));
}

/* Domains whose split is shorter than a window: theirs is one window of what there is. */
static void short_domains(at_json *j, const at_dataset *d, at_split split, int64_t length) {
    at_json_begin_list(j, "short");
    for (int k = 0; k < d->n_domains; k++)
        if (d->domain[k].shard[split].n_tokens < length)
            at_json_put_string(j, NULL, d->domain[k].name);
    at_json_end(j);
}

static at_status one_length(at_ctx *c, const at_router *r, const at_dataset *d, at_split split,
                            int64_t length, double abstain, at_json *j) {
    at_router_score s = {0};
    const bool whole = at_route_fills(d, split, length);
    const at_status status =
        whole ? at_router_eval_sure(c, r, d, split, length, EVAL_WINDOWS, abstain, &s) : AT_OK;
    if (status) return status;
    at_json_begin_object(j, NULL);
    at_json_put_number(j, "length", (double)length);
    at_json_put_number(j, "sequences", (double)s.total);
    if (whole) {
        at_json_put_number(j, "accuracy", s.accuracy);
        at_json_put_number(j, "f1", s.f1);
        at_json_put_number(j, "weighted_f1", s.weighted_f1);
        coverage(j, &s, abstain);
        calibration(j, &s);
    }
    short_domains(j, d, split, length);
    at_json_end(j);
    at_router_score_free(&s);
    return AT_OK;
}

at_status at_route_per_length(at_ctx *c, const at_router *r, const at_dataset *d, at_split split,
                              const artel_router_lengths *o, at_json *j) {
    at_status s = AT_OK;
    at_json_begin_list(j, "per_length");
    for (int i = 0; !s && i < o->n_lengths; i++)
        s = one_length(c, r, d, split, o->lengths[i], o->abstain, j);
    if (!o->n_lengths)
        for (int64_t n = SHORTEST; !s && n <= LONGEST && at_route_fills(d, split, n); n *= 2)
            s = one_length(c, r, d, split, n, o->abstain, j);
    at_json_end(j);
    return s;
}

at_status at_route_measure(artel *a, const at_router *r, const at_dataset *d, at_split split,
                           const artel_router_lengths *o, artel_emit emit, void *user) {
    at_router_score s;
    const int64_t length = o->length ? o->length : EVAL_LENGTH;
    at_status status = at_router_eval_sure(&a->ctx, r, d, split, length, 0, o->abstain, &s);
    double speed = 0;
    if (!status && o->speed) status = at_route_speed(&a->ctx, r, d, split, length, &speed);
    if (status) {
        at_router_score_free(&s);
        return status;
    }
    at_json j;
    at_json_open(&j, &a->ctx);
    const bool other = d->n_ood && d->domain == d->ood; /* text shown in place of the domains */
    at_json_put_string(&j, "split", other ? "ood" : at_split_name[split]);
    at_json_put_number(&j, "length", (double)length);
    at_json_put_number(&j, "sequences", (double)s.total);
    at_json_put_number(&j, "accuracy", s.accuracy);
    at_json_put_number(&j, "precision", s.precision);
    at_json_put_number(&j, "recall", s.recall);
    at_json_put_number(&j, "f1", s.f1);
    at_json_put_number(&j, "weighted_f1", s.weighted_f1);
    at_json_put_number(&j, "temperature", r->temperature);
    coverage(&j, &s, o->abstain);
    if (o->abstain > 0) risks(&j, &s);
    if (o->speed) at_json_put_number(&j, "tokens_per_second", speed);
    calibration(&j, &s);
    at_route_classes(&j, r);
    confusion(&j, &s);
    per_class(&j, r, &s);
    at_router_score_free(&s);
    status = at_route_per_length(&a->ctx, r, d, split, o, &j);
    if (!status) return (at_status)at_emit(a, emit, user, &j);
    at_json_close(&j);
    return status;
}

artel_status artel_router_eval(artel *a, const char *router, const char *data_dir,
                               const char *split, const artel_router_lengths *o, artel_emit emit,
                               void *user) {
    static const artel_router_lengths usual = {0};
    at_split which = AT_TEST;
    at_router *r = NULL;
    at_dataset *d = NULL;
    at_status s = at_router_load(&a->ctx, router, &r);
    if (!s) s = at_dataset_open_checked(&a->ctx, data_dir, &d);
    if (!s) s = at_dataset_show(&a->ctx, d, split, &which);
    bool ood = false; /* sets without a right class */
    for (int k = 0; !s && d->domain == d->ood && k < d->n_domains; k++)
        ood = ood || at_router_class(r, d->domain[k].name) < 0;
    if (!o) o = &usual;
    if (!s)
        s = ood ? at_route_ood(a, r, d, o, emit, user)
                : at_route_measure(a, r, d, which, o, emit, user);
    at_dataset_close(d);
    at_router_close(r);
    return at_answer(a, s);
}
