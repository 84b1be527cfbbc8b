/* router_fit.c - sequences -> sparse rows -> one logistic regression per class by liblinear. */
#include "base/par.h"
#include "route/bag.h"
#include "route/router.h"
#include <limits.h>
#include <linear.h>
#include <math.h>
#include <string.h>

#ifdef AT_HAVE_BLAS
#include <cblas.h>
#endif

typedef struct fit {
    struct feature_node *node; /* all rows, one after the other, each closed by index -1 */
    int64_t n_nodes, cap;
    int64_t *row;            /* [n] where each begins                 */
    struct feature_node **x; /* [n] the same, as liblinear wants them */
    int32_t *column;         /* [vocab] 1.. for a token seen, or 0    */
    int64_t *df;             /* [vocab] sequences with the token      */
    int columns;
} fit;

static void silence(const char *line) { (void)line; }

static at_status check(at_ctx *c, const at_router_set *set, const at_router_options *o) {
    if (!(o->c > 0) || !isfinite(o->c) || !(o->eps > 0) || !isfinite(o->eps))
        return at_error(c, AT_ARG, "router: C is %g and eps is %g, both must be above 0", o->c,
                        o->eps);
    if (set->n_drop < 0 || set->n_drop > AT_ROUTER_DROP_MAX)
        return at_error(c, AT_ARG, "router: %d ids to drop, at most %d", set->n_drop,
                        AT_ROUTER_DROP_MAX);
    if (set->n < 1 || set->n > INT_MAX / 2)
        return at_error(c, AT_ARG, "router: %lld training sequences", (long long)set->n);
    if (set->tokenizer_hash && strlen(set->tokenizer_hash) > 64)
        return at_error(c, AT_ARG, "router: a tokenizer hash of more than 64 characters");
    for (int k = 0; k < set->n_classes; k++) {
        int64_t found = 0;
        for (int64_t i = 0; i < set->n; i++) found += set->label[i] == k;
        if (!found)
            return at_error(c, AT_ARG, "router: class \"%.80s\" has no training sequence",
                            set->name[k]);
    }
    for (int64_t i = 0; i < set->n; i++)
        if (set->label[i] < 0 || set->label[i] >= set->n_classes)
            return at_error(c, AT_ARG, "router: sequence %lld has label %d of %d classes",
                            (long long)i, (int)set->label[i], set->n_classes);
    return AT_OK;
}

/* Rows of (id, count) and how many rows hold each id. */
static at_status count(at_ctx *c, const at_router_set *set, fit *f) {
    f->row = at_malloc(c, (size_t)set->n * sizeof *f->row);
    f->x = at_malloc(c, (size_t)set->n * sizeof *f->x);
    f->column = at_calloc(c, (size_t)set->vocab, sizeof *f->column);
    f->df = at_calloc(c, (size_t)set->vocab, sizeof *f->df);
    if (!f->row || !f->x || !f->column || !f->df) return AT_OOM;
    at_bag b = {0};
    at_status s = AT_OK;
    for (int64_t i = 0; !s && i < set->n; i++) {
        s = at_bag_fill(c, &b, set->id + set->start[i], set->start[i + 1] - set->start[i],
                        set->vocab, set->drop, set->n_drop);
        if (!s && !at_reserve(c, &f->node, &f->cap, f->n_nodes + b.n + 2, sizeof *f->node))
            s = AT_OOM;
        if (s) break;
        f->row[i] = f->n_nodes;
        for (int64_t j = 0; j < b.n; j++) {
            f->node[f->n_nodes++] = (struct feature_node){b.id[j], b.count[j]};
            f->df[b.id[j]]++;
        }
        f->n_nodes += 2; /* the bias and the end, written by weigh */
    }
    at_bag_free(&b);
    return s;
}

/* Ids become columns 1.., counts become tf-idf of length 1; then the constant for the bias. */
static void weigh(const at_router_set *set, fit *f, float *idf) {
    for (int64_t t = 0; t < set->vocab; t++) {
        if (!f->df[t]) continue;
        f->column[t] = ++f->columns;
        idf[t] = (float)(log((1.0 + (double)set->n) / (1.0 + (double)f->df[t])) + 1);
    }
    for (int64_t i = 0; i < set->n; i++) {
        struct feature_node *first = f->node + f->row[i];
        struct feature_node *last = f->node + (i + 1 < set->n ? f->row[i + 1] : f->n_nodes) - 2;
        double sum = 0;
        for (struct feature_node *v = first; v < last; v++) {
            v->value *= (double)idf[v->index];
            v->index = f->column[v->index];
            sum += v->value * v->value;
        }
        const double scale = sum > 0 ? 1 / sqrt(sum) : 0;
        for (struct feature_node *v = first; v < last; v++) v->value *= scale;
        last[0] = (struct feature_node){f->columns + 1, 1};
        last[1] = (struct feature_node){-1, 0};
        f->x[i] = first;
    }
}

typedef struct job {
    at_ctx *ctx;
    const at_router_set *set;
    const at_router_options *o;
    const fit *f;
    at_router *r;
    double *y;         /* [workers, sequences] +1 for the class, -1 for the others */
    at_status *status; /* [n_classes] */
} job;

/* Class `begin` against all others.  The context's message is not touched: this runs in a worker. */
static void one_class(void *arg, int64_t begin, int64_t end, int worker) {
    (void)end;
    job *j = arg;
    const at_router_set *set = j->set;
    if (at_interrupted(j->ctx)) {
        j->status[begin] = AT_INTERRUPTED;
        return;
    }
    double *y = j->y + worker * set->n;
    for (int64_t i = 0; i < set->n; i++) y[i] = set->label[i] == begin ? 1 : -1;
    const struct problem problem = {
        .l = (int)set->n, .n = j->f->columns + 1, .y = y, .x = j->f->x, .bias = 1};
    const struct parameter parameter = {.solver_type = L2R_LR, .eps = j->o->eps, .C = j->o->c};
    struct model *m = train(&problem, &parameter);
    /* liblinear writes the vector of the class it calls label[0] */
    const double sign = m->label[0] == 1 ? 1 : -1;
    float *w = j->r->weight + begin * set->vocab;
    for (int64_t t = 0; t < set->vocab; t++)
        if (j->f->column[t]) w[t] = (float)(sign * m->w[j->f->column[t] - 1]);
    j->r->bias[begin] = (float)(sign * m->w[j->f->columns]);
    free_and_destroy_model(&m);
}

static at_status solve(at_ctx *c, const at_router_set *set, const at_router_options *o,
                       const fit *f, at_router *r) {
    at_status *status = at_calloc(c, (size_t)set->n_classes, sizeof *status);
    double *y = at_calloc(c, (size_t)c->threads * (size_t)set->n, sizeof *y);
    if (!status || !y) {
        at_free(status);
        at_free(y);
        return AT_OOM;
    }
    set_print_string_function(silence);
#ifdef AT_HAVE_BLAS
    /* liblinear's dot products go through BLAS, whose own threads would change their last bits */
    openblas_set_num_threads(1);
#endif
    job j = {.ctx = c, .set = set, .o = o, .f = f, .r = r, .y = y, .status = status};
    at_par_for(c->threads, set->n_classes, 1, one_class, &j);
    at_status s = AT_OK;
    for (int k = 0; !s && k < set->n_classes; k++) s = status[k];
    at_free(status);
    at_free(y);
    return s ? at_error(c, s, "router: interrupted while fitting") : AT_OK;
}

at_status at_router_fit(at_ctx *c, const at_router_set *set, const at_router_options *o,
                        at_router **out) {
    *out = NULL;
    at_router *r = NULL;
    at_status s = at_router_new(c, set->n_classes, set->name, set->vocab, &r);
    if (s) return s;
    fit f = {0};
    s = check(c, set, o);
    if (!s) s = count(c, set, &f);
    if (!s) {
        weigh(set, &f, r->idf);
        if (!f.columns) s = at_error(c, AT_ARG, "router: no training sequence holds a token");
    }
    if (!s) s = solve(c, set, o, &f, r);
    if (!s) {
        r->n_drop = set->n_drop;
        if (set->n_drop) memcpy(r->drop, set->drop, (size_t)set->n_drop * sizeof *r->drop);
        if (set->tokenizer_hash)
            memcpy(r->tokenizer_hash, set->tokenizer_hash, strlen(set->tokenizer_hash) + 1);
        r->sequences = set->n;
        r->trained = *o;
        *out = r;
    } else {
        at_router_close(r);
    }
    at_free(f.node);
    at_free(f.row);
    at_free(f.x);
    at_free(f.column);
    at_free(f.df);
    return s;
}
