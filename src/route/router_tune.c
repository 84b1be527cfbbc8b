/* router_tune.c - C by what it is worth on the validation split. */
#include "route/router.h"

/* Steps of about half a decade.  The weights of a router hardly change within one. */
static const double grid[AT_ROUTER_TRIALS] = {0.1, 0.3, 1, 3, 10, 30, 100, 300, 1000, 3000};
enum { WINDOWS = 2000, PATIENCE = 2 };

static at_status worth(at_ctx *c, const at_router *r, const at_dataset *d, double *f1) {
    const at_router_options *o = &r->trained;
    at_status s = AT_OK;
    *f1 = 0;
    for (int i = 0; !s && i < o->n_lengths; i++) {
        at_router_score score;
        s = at_router_eval(c, r, d, AT_VALIDATION, o->length[i], WINDOWS, &score);
        if (s) return s;
        *f1 += score.weighted_f1 / o->n_lengths;
        at_router_score_free(&score);
    }
    return s;
}

at_status at_router_tune(at_ctx *c, const at_dataset *d, const at_router_windows *w,
                         const at_router_options *o, at_router **out, at_router_trial *trial,
                         int *n) {
    *out = NULL;
    at_status s = AT_OK;
    int best = 0;
    for (*n = 0; !s && *n < AT_ROUTER_TRIALS && *n - best <= PATIENCE; ++*n) {
        at_router_options with = *o;
        at_router *r = NULL;
        with.c = trial[*n].c = grid[*n];
        s = at_router_fit(c, &w->set, &with, &r);
        if (s == AT_ARG) s = at_error_in(c, d->path);
        if (!s) s = worth(c, r, d, &trial[*n].f1);
        if (!s && (*n == 0 || trial[*n].f1 > trial[best].f1)) {
            best = *n;
            at_router_close(*out);
            *out = r;
            r = NULL;
        }
        at_router_close(r);
    }
    if (!s) return AT_OK;
    at_router_close(*out);
    *out = NULL;
    return s;
}
