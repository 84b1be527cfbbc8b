/* api_route_speed.c - how fast a router routes. */
#include "api/api_route.h"
#include "base/clock.h"

/* Tokens of a domain, and seconds, the first of which warms up. */
enum { MOST = 1 << 18 };
#define SECONDS 1.0

static at_status once(at_ctx *c, const at_router *r, const int32_t *id, int64_t n, int64_t length,
                      double *p) {
    int best;
    at_status s = AT_OK;
    for (int64_t i = 0; !s && i < n; i += length)
        s = at_router_predict(c, r, id + i, n - i < length ? n - i : length, p, &best, NULL);
    return s;
}

at_status at_route_speed(at_ctx *c, const at_router *r, const at_dataset *d, at_split split,
                         int64_t length, double *out) {
    int32_t *id = at_malloc(c, (size_t)d->n_domains * MOST * sizeof *id);
    double *p = at_malloc(c, (size_t)r->n_classes * sizeof *p);
    int64_t n = 0, routed = 0;
    for (int k = 0; id && k < d->n_domains; k++) {
        const at_shard *s = &d->domain[k].shard[split];
        const int64_t take = s->n_tokens < MOST ? s->n_tokens : MOST;
        at_shard_read(s, 0, take, id + n);
        n += take;
    }
    at_status s = id && p ? once(c, r, id, n, length, p) : AT_OOM;
    const double begin = at_now();
    double spent = 0;
    while (!s && spent < SECONDS && !at_interrupted(c)) {
        s = once(c, r, id, n, length, p);
        routed += n;
        spent = at_now() - begin;
    }
    *out = spent > 0 ? (double)routed / spent : 0;
    at_free(id);
    at_free(p);
    return s;
}
