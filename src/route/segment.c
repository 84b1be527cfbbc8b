/* segment.c - evidence of each token in a sliding window, and the best path through it. */
#include "route/segment.h"
#include <math.h>
#include <string.h>

at_segment_options at_segment_defaults(void) {
    return (at_segment_options){.window = 16, .penalty = 4};
}

/* Penalties that a token may speak for.  Two are paid for a part inside of another, so that it has four
   tokens at least, however sure the router is of one of them. */
#define LOUDEST 0.5

typedef struct path {
    const at_router *r;
    at_bag_spec spec;
    const int32_t *id;
    int64_t n;
    const at_segment_options *o;
    double *e, *best;   /* [n_classes]: evidence of a token; of paths that end in a class */
    unsigned char *new; /* [n, n_classes]: whether the class begins here                  */
    int32_t *from;      /* [n]: the class of the best path before a token                 */
    at_bag bag;
    int64_t run; /* tokens since one was dropped */
} path;

static bool dropped(const path *p, int32_t id) {
    for (int i = 0; i < p->spec.n_drop; i++)
        if (p->spec.drop[i] == id) return true;
    return false;
}

/* e = what token i adds to the score of each class */
static at_status weigh(at_ctx *c, path *p, int64_t i) {
    const at_router *r = p->r;
    int64_t begin = i - p->o->window / 2, end = begin + p->o->window;
    if (begin < 0) begin = 0;
    if (end > p->n) end = p->n;
    const at_status s = at_bag_fill(c, &p->bag, p->id + begin, end - begin, &p->spec);
    if (s) return s;
    const double scale = at_bag_scale(&p->bag, &p->spec, r->idf);
    for (int k = 0; k < r->n_classes; k++) p->e[k] = (double)r->bias[k] / (double)(end - begin);
    p->run = dropped(p, p->id[i]) ? 0 : p->run + 1;
    for (int m = 1; m <= r->ngrams && m <= p->run; m++) {
        const int64_t f = at_bag_feature(&p->spec, p->id + i + 1 - m, m);
        for (int k = 0; k < r->n_classes; k++)
            p->e[k] += scale * (double)r->idf[f] * (double)r->weight[k * r->features + f];
    }
    double most = -(double)INFINITY;
    for (int k = 0; k < r->n_classes; k++) {
        p->e[k] /= r->temperature;
        if (p->e[k] > most) most = p->e[k];
    }
    const double least = most - p->o->penalty * LOUDEST;
    for (int k = 0; k < r->n_classes; k++)
        if (p->e[k] < least) p->e[k] = least;
    return AT_OK;
}

static int largest(const double *v, int n) {
    int best = 0;
    for (int k = 1; k < n; k++)
        if (v[k] > v[best]) best = k;
    return best;
}

/* Paths grow by token i: each class goes on, or begins after the best path of all. */
static void grow(path *p, int64_t i) {
    const int n = p->r->n_classes, best = largest(p->best, n);
    const double change = p->best[best] - p->o->penalty;
    p->from[i] = best;
    for (int k = 0; k < n; k++) {
        p->new[i * n + k] = i > 0 && change > p->best[k];
        if (p->new[i * n + k]) p->best[k] = change;
        p->best[k] += p->e[k];
    }
}

static at_status walk(at_ctx *c, path *p, int32_t *class_of) {
    const int n = p->r->n_classes;
    for (int64_t i = 0; i < p->n; i++) {
        if (i % 4096 == 0 && at_interrupted(c))
            return at_error(c, AT_INTERRUPTED, "router: interrupted");
        const at_status s = weigh(c, p, i);
        if (s) return s;
        grow(p, i);
    }
    int at = largest(p->best, n);
    for (int64_t i = p->n - 1; i >= 0; i--) {
        class_of[i] = at;
        if (p->new[i * n + at]) at = p->from[i];
    }
    return AT_OK;
}

at_status at_router_segment(at_ctx *c, const at_router *r, const int32_t *id, int64_t n,
                            const at_segment_options *o, int32_t *class_of) {
    if (o->window < 1 || !(o->penalty >= 0) || !isfinite(o->penalty))
        return at_error(c, AT_ARG,
                        "router: a window of %lld tokens and a penalty of %g nats; expected at "
                        "least 1 and 0",
                        (long long)o->window, o->penalty);
    for (int64_t i = 0; i < n; i++) /* of the text, not of a window */
        if (id[i] < 0 || id[i] >= r->vocab)
            return at_error(c, AT_ARG, "router: token %lld is %d, ids are 0 to %lld", (long long)i,
                            (int)id[i], (long long)r->vocab - 1);
    path p = {.r = r, .spec = at_router_spec(r), .id = id, .n = n, .o = o};
    const size_t classes = (size_t)r->n_classes;
    p.e = at_calloc(c, classes, sizeof *p.e);
    p.best = at_calloc(c, classes, sizeof *p.best);
    p.new = at_calloc(c, (size_t)n, classes);
    p.from = at_calloc(c, (size_t)n, sizeof *p.from);
    const at_status s = p.e && p.best && p.new &&p.from ? walk(c, &p, class_of) : AT_OOM;
    at_bag_free(&p.bag);
    at_free(p.e);
    at_free(p.best);
    at_free(p.new);
    at_free(p.from);
    return s;
}
