/* api_route_ood.c - what a router says to text of none of its classes. */
#include "api/api_route.h"

/* Windows of one set: the classes chosen, and how sure of them. */
typedef struct told {
    int64_t windows, answered, *chosen; /* [n_classes] */
    double confidence, *p;              /* [n_classes] */
    int32_t *id;                        /* [length] */
} told;

static at_status ask(at_ctx *c, const at_router *r, const at_domain *d, int64_t length,
                     double abstain, told *t) {
    const at_shard *s = &d->shard[AT_TEST];
    at_status status = AT_OK;
    for (int64_t at = 0; !status && at < s->n_tokens; at += length) {
        const int64_t n = s->n_tokens - at < length ? s->n_tokens - at : length;
        int best = 0;
        if (n < length && at > 0) break; /* a rest, unless it is all there is */
        if (at_interrupted(c)) return at_error(c, AT_INTERRUPTED, "router: interrupted");
        at_shard_read(s, at, n, t->id);
        status = at_router_predict(c, r, t->id, n, t->p, &best, NULL);
        if (status) return at_error_in(c, d->name);
        at_router_temper(r, t->p);
        t->windows++;
        t->chosen[best]++;
        t->confidence += t->p[best];
        t->answered += t->p[best] >= abstain;
    }
    return status;
}

static artel_status one_set(artel *a, const at_router *r, const at_domain *d, int64_t length,
                            double abstain, artel_emit emit, void *user) {
    at_ctx *c = &a->ctx;
    told t = {.chosen = at_calloc(c, (size_t)r->n_classes, sizeof *t.chosen),
              .p = at_calloc(c, (size_t)r->n_classes, sizeof *t.p),
              .id = at_calloc(c, (size_t)length, sizeof *t.id)};
    at_status s = t.chosen && t.p && t.id ? ask(c, r, d, length, abstain, &t) : c->status;
    artel_status out = (artel_status)s;
    if (!s) {
        const double n = t.windows > 0 ? (double)t.windows : 1;
        at_json j;
        at_json_open(&j, c);
        at_json_put_string(&j, "ood", d->name);
        at_json_put_number(&j, "length", (double)length);
        at_json_put_number(&j, "sequences", (double)t.windows);
        at_json_put_number(&j, "confidence", t.confidence / n);
        if (abstain > 0) at_json_put_number(&j, "abstain", abstain);
        if (abstain > 0) at_json_put_number(&j, "coverage", (double)t.answered / n);
        at_json_begin_object(&j, "share");
        for (int k = 0; k < r->n_classes; k++)
            at_json_put_number(&j, r->name[k], (double)t.chosen[k] / n);
        at_json_end(&j);
        out = at_emit(a, emit, user, &j);
    }
    at_free(t.chosen);
    at_free(t.p);
    at_free(t.id);
    return out;
}

at_status at_route_ood(artel *a, const at_router *r, const at_dataset *d,
                       const artel_router_lengths *o, artel_emit emit, void *user) {
    at_ctx *c = &a->ctx;
    const int64_t length = o->length ? o->length : 128;
    if (length < 1 || length > 1 << 20)
        return at_error(c, AT_ARG, "router: sequences of %lld tokens", (long long)length);
    at_status s = at_router_check(c, r, d->path, d->tokenizer_hash);
    for (int k = 0; !s && k < d->n_domains; k++)
        s = (at_status)one_set(a, r, &d->domain[k], length, o->abstain, emit, user);
    return s;
}
