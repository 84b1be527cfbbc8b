/* batchnorm.c - each channel to mean 0 and variance 1 over the rows of an expert.  Sums are made in double
   within blocks of a fixed number of rows, then over the blocks in order, so that the number of workers
   changes no bit. */
#include "op/op.h"
#include <math.h>
#include <string.h>

enum { BLOCK = 256 }; /* rows */

typedef struct {
    at_routing ro;
    at_batch_norm how;
    double *mean, *rstd; /* [E, C] */
    at_real *dx;         /* during backward */
} norm_attr;

/* Work on the rows of expert e: sums of two values of each channel, or an assignment. */
typedef struct {
    const at_node *n;
    int64_t e;
    double *part; /* [blocks, 2 C] */
    const double *sum;
    void (*row)(const at_node *n, const norm_attr *a, int64_t e, int64_t slot, double *sum);
} work;

static void sum_block(void *arg, int64_t begin, int64_t end, int worker) {
    const work *w = arg;
    const norm_attr *a = w->n->attr;
    const int64_t c = at_cols(w->n->out), first = a->ro.first[w->e];
    double *sum = w->part + begin / BLOCK * 2 * c;
    (void)worker;
    memset(sum, 0, (size_t)(2 * c) * sizeof *sum);
    for (int64_t i = begin; i < end; i++) w->row(w->n, a, w->e, a->ro.slot[first + i], sum);
}

/* Over all rows of the expert: sum [2 C]. */
static void sum_rows(work *w, double *sum) {
    const norm_attr *a = w->n->attr;
    const int64_t c = at_cols(w->n->out), rows = a->ro.first[w->e + 1] - a->ro.first[w->e];
    at_run_par(w->n->run, rows, BLOCK, sum_block, w);
    memset(sum, 0, (size_t)(2 * c) * sizeof *sum);
    for (int64_t b = 0; b * BLOCK < rows; b++)
        for (int64_t j = 0; j < 2 * c; j++) sum[j] += w->part[b * 2 * c + j];
}

static void value_row(const at_node *n, const norm_attr *a, int64_t e, int64_t slot, double *sum) {
    const int64_t c = at_cols(n->out);
    const at_real *x = n->in[0]->data + slot * c;
    (void)a;
    (void)e;
    for (int64_t j = 0; j < c; j++) sum[j] += (double)x[j];
}
static void square_row(const at_node *n, const norm_attr *a, int64_t e, int64_t slot, double *sum) {
    const int64_t c = at_cols(n->out);
    const at_real *x = n->in[0]->data + slot * c;
    for (int64_t j = 0; j < c; j++) {
        const double off = (double)x[j] - a->mean[e * c + j];
        sum[j] += off * off;
    }
}

/* Those of the batch, which the running ones follow. */
static void measure(work *w, double *sum) {
    const norm_attr *a = w->n->attr;
    const int64_t c = at_cols(w->n->out), e = w->e, rows = a->ro.first[e + 1] - a->ro.first[e];
    const double n = (double)rows, m = a->how.momentum;
    at_real *mean = a->how.mean[e]->data, *var = a->how.var[e]->data;
    w->row = value_row;
    sum_rows(w, sum);
    for (int64_t j = 0; j < c; j++) a->mean[e * c + j] = sum[j] / n;
    w->row = square_row;
    sum_rows(w, sum);
    for (int64_t j = 0; j < c; j++) {
        a->rstd[e * c + j] = 1 / sqrt(sum[j] / n + a->how.eps);
        if (a->how.keep || (a->how.still && a->how.still[e])) continue;
        mean[j] = (at_real)((1 - m) * (double)mean[j] + m * a->mean[e * c + j]);
        var[j] = (at_real)((1 - m) * (double)var[j] + m * sum[j] / (rows > 1 ? n - 1 : 1));
    }
}

static void write_part(void *arg, int64_t begin, int64_t end, int worker) {
    const at_node *n = arg;
    const norm_attr *a = n->attr;
    const int64_t c = at_cols(n->out);
    (void)worker;
    for (int64_t s = begin; s < end; s++) {
        const int64_t at = a->ro.pick[s] * c;
        for (int64_t j = 0; j < c; j++)
            n->out->data[s * c + j] =
                (at_real)(((double)n->in[0]->data[s * c + j] - a->mean[at + j]) * a->rstd[at + j]);
    }
}

/* Room for the sums of any expert; NULL: out of memory. */
static double *room(const at_node *n, double **sum) {
    const int64_t c = at_cols(n->out), rows = at_rows(n->out);
    *sum = at_run_alloc(n->run, (size_t)(2 * c) * sizeof **sum);
    double *part = at_run_alloc(n->run, (size_t)((rows / BLOCK + 1) * 2 * c) * sizeof *part);
    return *sum ? part : NULL;
}

static void batchnorm_fwd(at_node *n) {
    const norm_attr *a = n->attr;
    const int64_t c = at_cols(n->out);
    const at_mark mark = at_arena_mark(n->run->arena);
    double *sum;
    work w = {.n = n, .part = room(n, &sum)};
    if (!w.part) return;
    for (w.e = 0; w.e < a->ro.e; w.e++) {
        if (a->how.batch && a->ro.first[w.e] < a->ro.first[w.e + 1]) {
            measure(&w, sum);
            continue;
        }
        for (int64_t j = 0; j < c; j++) {
            a->mean[w.e * c + j] = (double)a->how.mean[w.e]->data[j];
            a->rstd[w.e * c + j] = 1 / sqrt((double)a->how.var[w.e]->data[j] + a->how.eps);
        }
    }
    at_arena_rewind(n->run->arena, mark);
    at_run_par(n->run, a->ro.n * a->ro.k, BLOCK, write_part, n);
}

/* Sums of dy and of dy times the normed x. */
static void slope_row(const at_node *n, const norm_attr *a, int64_t e, int64_t slot, double *sum) {
    const int64_t c = at_cols(n->out);
    const at_real *dy = n->out->grad + slot * c, *y = n->out->data + slot * c;
    (void)a;
    (void)e;
    for (int64_t j = 0; j < c; j++) {
        sum[j] += (double)dy[j];
        sum[c + j] += (double)dy[j] * (double)y[j];
    }
}

static void bwd_part(void *arg, int64_t begin, int64_t end, int worker) {
    const work *w = arg;
    const at_node *n = w->n;
    const norm_attr *a = n->attr;
    const int64_t c = at_cols(n->out), first = a->ro.first[w->e];
    const double rows = (double)(a->ro.first[w->e + 1] - first);
    (void)worker;
    for (int64_t i = begin; i < end; i++) {
        const int64_t at = a->ro.slot[first + i] * c;
        for (int64_t j = 0; j < c; j++)
            a->dx[at + j] += (at_real)(a->rstd[w->e * c + j] *
                                       ((double)n->out->grad[at + j] - w->sum[j] / rows -
                                        (double)n->out->data[at + j] * w->sum[c + j] / rows));
    }
}

/* dx = rstd (dy - mean dy - y mean(dy y)) */
static void batchnorm_bwd(at_node *n) {
    norm_attr *a = n->attr;
    const at_mark mark = at_arena_mark(n->run->arena);
    double *sum;
    if (!(a->dx = at_grad(n, 0))) return;
    work w = {.n = n, .part = room(n, &sum), .row = slope_row, .sum = sum};
    for (w.e = 0; w.part && w.e < a->ro.e; w.e++) {
        if (a->ro.first[w.e] == a->ro.first[w.e + 1]) continue;
        if (a->how.batch)
            sum_rows(&w, sum);
        else /* means and variances that do not depend on x */
            memset(sum, 0, (size_t)(2 * at_cols(n->out)) * sizeof *sum);
        at_run_par(n->run, a->ro.first[w.e + 1] - a->ro.first[w.e], BLOCK, bwd_part, &w);
    }
    at_arena_rewind(n->run->arena, mark);
}

const at_op at_op_batchnorm = {"batchnorm", batchnorm_fwd, batchnorm_bwd, NULL};

at_tensor *at_batchnorm(at_run *r, at_tensor *x, const at_routing *ro, const at_batch_norm *how) {
    if (!x || r->status != AT_OK) return NULL;
    bool fits = x->rank == 3 && at_rows(x) == ro->n * ro->k;
    for (int64_t e = 0; e < ro->e && fits; e++)
        fits = at_numel(how->mean[e]) == at_cols(x) && at_numel(how->var[e]) == at_cols(x);
    if (!fits) {
        char sx[96], sm[96];
        return at_fail(r, AT_SHAPE, "batchnorm: x %s and means %s for %lld tokens of %lld slots",
                       at_shape_text(x, sx), at_shape_text(how->mean[0], sm), (long long)ro->n,
                       (long long)ro->k);
    }
    norm_attr *a = at_run_alloc(r, sizeof *a);
    const size_t bytes = (size_t)(ro->e * at_cols(x)) * sizeof(double);
    if (!a) return NULL;
    *a = (norm_attr){
        .ro = *ro, .how = *how, .mean = at_run_values(r, bytes), .rstd = at_run_values(r, bytes)};
    if (!a->mean || !a->rstd) return NULL;
    at_tensor *y = at_new(r, 3, x->dim);
    return at_apply(r, &at_op_batchnorm, &x, 1, y, a);
}
