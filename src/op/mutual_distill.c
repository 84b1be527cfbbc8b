/*
 * mutual_distill.c - mutual distillation among the experts of a token.
 *
 * Every form is written in what each output is off from the token's teacher.  The teacher is found from
 * the differences to the first output, so that equal outputs are off by exactly nothing.
 */
#include "base/maths.h"
#include "op/softmax_row.h"
#include <string.h>

enum { GRAIN = 16 }; /* tokens */

typedef struct {
    at_mutual how;
    double *loss;     /* [N] */
    at_real *tmp;     /* [threads, room(K, C)] */
    at_real *dx, *dg; /* during backward; NULL: not wanted */
} mutual_attr;

/* Working memory of a token. */
typedef struct {
    at_real *off;     /* [K, C] outputs, or probabilities of KL, minus the teacher's   */
    at_real *p;       /* [K, C] of KL: probabilities                                   */
    at_real *teacher; /* [C] minus the first output; of KL: mean logarithm, mean of p  */
    at_real *share;   /* [K] gates over their sum                                      */
} space;

static int64_t room(int64_t k, int64_t c) { return (2 * k + 1) * c + k; }

static space space_of(const at_node *n, int worker) {
    const mutual_attr *a = n->attr;
    const int64_t k = n->in[0]->dim[1], c = n->in[0]->dim[2];
    at_real *t = a->tmp + worker * room(k, c);
    return (space){t, t + k * c, t + 2 * k * c, t + (2 * k + 1) * c};
}

/* Gates over their sum; even ones where there are none, or their sum is 0.  Returns the sum. */
static double shares(const at_node *n, int64_t i, at_real *share) {
    const int64_t k = n->in[0]->dim[1];
    const at_real *g = n->in[1] ? n->in[1]->data + i * k : NULL;
    double sum = 0;
    for (int64_t j = 0; g && j < k; j++) sum += (double)g[j];
    for (int64_t j = 0; j < k; j++)
        share[j] = sum > 0 ? (at_real)((double)g[j] / sum) : 1 / (at_real)k;
    return sum;
}

/* off_j = x_j - sum_i w_i x_i; weights that sum to 1, NULL: even ones. */
static void off_from(const at_kernels *kernel, int64_t k, int64_t c, const at_real *x,
                     const at_real *w, at_real *teacher, at_real *off) {
    memset(teacher, 0, (size_t)c * sizeof *teacher);
    memset(off, 0, (size_t)c * sizeof *off);
    for (int64_t j = 1; j < k; j++) {
        at_real *o = off + j * c;
        memcpy(o, x + j * c, (size_t)c * sizeof *o);
        kernel->axpy(c, -1, x, o);
        kernel->axpy(c, w ? w[j] : 1 / (at_real)k, o, teacher);
    }
    for (int64_t j = 0; j < k; j++) kernel->axpy(c, -1, teacher, off + j * c);
}

/* A shift of all values of an output is no difference. */
static void centre(int64_t k, int64_t c, at_real *off) {
    for (int64_t j = 0; j < k; j++, off += c) {
        double mean = 0;
        for (int64_t i = 0; i < c; i++) mean += (double)off[i];
        mean /= (double)c;
        for (int64_t i = 0; i < c; i++) off[i] = (at_real)((double)off[i] - mean);
    }
}

static double scale_of(int64_t k, int64_t c) { return (k == 2 ? 4.0 : 1.0) / (double)(k * c); }

static at_real weight_of(const mutual_attr *a, const space *s, int64_t j) {
    return a->how.form == AT_MUTUAL_GATED ? 1 - s->share[j] : 1;
}

/* ---- squares ---- */

static double differences(const at_node *n, int64_t i, const space *s) {
    const mutual_attr *a = n->attr;
    const at_kernels *kernel = &n->run->cp->k;
    const int64_t k = n->in[0]->dim[1], c = n->in[0]->dim[2];
    const at_real *x = n->in[0]->data + i * k * c;
    const double sum = shares(n, i, s->share);
    off_from(kernel, k, c, x, a->how.form == AT_MUTUAL_MIXTURE ? s->share : NULL, s->teacher,
             s->off);
    if (a->how.form == AT_MUTUAL_CENTRED) centre(k, c, s->off);
    return sum;
}

static double squares(const at_node *n, int64_t i, const space *s) {
    const mutual_attr *a = n->attr;
    const int64_t k = n->in[0]->dim[1], c = n->in[0]->dim[2];
    double sum = 0;
    (void)differences(n, i, s);
    for (int64_t j = 0; j < k; j++) {
        const at_real *o = s->off + j * c;
        sum += (double)weight_of(a, s, j) * (double)n->run->cp->k.dot(c, o, o);
    }
    return scale_of(k, c) * sum;
}

/* d loss / d gate = (u_j - sum share u) / sum of gates, u being what the shares make of the loss. */
static void gates_gradient(const at_node *n, int64_t i, const space *s, double sum, double coef) {
    const mutual_attr *a = n->attr;
    const at_kernels *kernel = &n->run->cp->k;
    const int64_t k = n->in[0]->dim[1], c = n->in[0]->dim[2];
    const at_real *x = n->in[0]->data + i * k * c;
    double mean = 0;
    for (int pass = 0; pass < 2 && sum > 0; pass++)
        for (int64_t j = 0; j < k; j++) {
            const at_real *o = s->off + j * c;
            const double u = a->how.form == AT_MUTUAL_GATED
                                 ? -coef / 2 * (double)kernel->dot(c, o, o)
                                 : -coef * (double)kernel->dot(c, s->teacher, x + j * c);
            if (!pass)
                mean += (double)s->share[j] * u;
            else
                a->dg[i * k + j] += (at_real)((u - mean) / sum);
        }
}

/* coef w_j off_j and, where it is not detached, what flows through the teacher. */
static void squares_gradient(const at_node *n, int64_t i, const space *s, double dl) {
    const mutual_attr *a = n->attr;
    const at_kernels *kernel = &n->run->cp->k;
    const int64_t k = n->in[0]->dim[1], c = n->in[0]->dim[2];
    const bool mixture = a->how.form == AT_MUTUAL_MIXTURE;
    const bool through = !a->how.detach && (mixture || a->how.form == AT_MUTUAL_GATED);
    const double sum = differences(n, i, s), coef = 2 * dl * scale_of(k, c);
    at_real *dx = a->dx ? a->dx + i * k * c : NULL;
    for (int64_t j = 0; j < k && dx; j++)
        kernel->axpy(c, (at_real)coef * weight_of(a, s, j), s->off + j * c, dx + j * c);
    if (!through) return;
    memset(s->teacher, 0, (size_t)c * sizeof *s->teacher); /* now sum_j w_j off_j */
    for (int64_t j = 0; j < k; j++) kernel->axpy(c, weight_of(a, s, j), s->off + j * c, s->teacher);
    for (int64_t j = 0; j < k && dx; j++)
        kernel->axpy(c, (at_real)-coef * (mixture ? s->share[j] : 1 / (at_real)k), s->teacher,
                     dx + j * c);
    if (a->dg) gates_gradient(n, i, s, sum, coef);
}

/* ---- KL ---- */

/* p = softmax(x / tau) of each output; off = log p minus its mean over the outputs. */
static void logarithms(const at_node *n, int64_t i, const space *s) {
    const mutual_attr *a = n->attr;
    const at_kernels *kernel = &n->run->cp->k;
    const int64_t k = n->in[0]->dim[1], c = n->in[0]->dim[2];
    const at_real *x = n->in[0]->data + i * k * c;
    for (int64_t j = 0; j < k; j++) {
        const double lse = at_row_softmax(kernel, c, 1 / a->how.tau, x + j * c, s->p + j * c);
        for (int64_t t = 0; t < c; t++)
            s->off[j * c + t] = (at_real)((double)x[j * c + t] / a->how.tau - lse);
    }
    memset(s->teacher, 0, (size_t)c * sizeof *s->teacher);
    for (int64_t j = 1; j < k; j++) {
        kernel->axpy(c, -1, s->off, s->off + j * c);
        kernel->axpy(c, 1 / (at_real)k, s->off + j * c, s->teacher);
    }
    memset(s->off, 0, (size_t)c * sizeof *s->off);
    for (int64_t j = 0; j < k; j++) kernel->axpy(c, -1, s->teacher, s->off + j * c);
}

/* Over all ordered pairs KL(p_j, p_i) sums to K sum_j p_j . off_j. */
static double divergences(const at_node *n, int64_t i, const space *s) {
    const mutual_attr *a = n->attr;
    const int64_t k = n->in[0]->dim[1], c = n->in[0]->dim[2];
    double sum = 0;
    logarithms(n, i, s);
    for (int64_t j = 0; j < k; j++)
        sum += (double)n->run->cp->k.dot(c, s->p + j * c, s->off + j * c);
    return a->how.tau * a->how.tau / (double)(k - 1) * sum;
}

/* p_j minus the mean of p as a student; p_j (off_j - p_j . off_j) as a teacher. */
static void divergences_gradient(const at_node *n, int64_t i, const space *s, double dl) {
    const mutual_attr *a = n->attr;
    const at_kernels *kernel = &n->run->cp->k;
    const int64_t k = n->in[0]->dim[1], c = n->in[0]->dim[2];
    const double coef = dl * a->how.tau / (double)(k - 1);
    at_real *dx = a->dx + i * k * c;
    logarithms(n, i, s);
    for (int64_t j = 0; j < k && !a->how.detach; j++) {
        const at_real *p = s->p + j * c, *o = s->off + j * c;
        const double kl = (double)kernel->dot(c, p, o);
        for (int64_t t = 0; t < c; t++)
            dx[j * c + t] += (at_real)(coef * (double)p[t] * ((double)o[t] - kl));
    }
    off_from(kernel, k, c, s->p, NULL, s->teacher, s->off);
    kernel->axpy(k * c, (at_real)coef, s->off, dx);
}

/* ---- the op ---- */

static void fwd_part(void *arg, int64_t begin, int64_t end, int worker) {
    const at_node *n = arg;
    const mutual_attr *a = n->attr;
    const space s = space_of(n, worker);
    for (int64_t i = begin; i < end; i++)
        a->loss[i] = a->how.form == AT_MUTUAL_KL ? divergences(n, i, &s) : squares(n, i, &s);
}
static void mutual_distill_fwd(at_node *n) {
    const mutual_attr *a = n->attr;
    const int64_t rows = n->in[0]->dim[0];
    double sum = 0;
    n->out->data[0] = 0;
    if (n->in[0]->dim[1] < 2) return; /* nobody to learn from */
    at_run_par(n->run, rows, GRAIN, fwd_part, n);
    for (int64_t i = 0; i < rows; i++) sum += a->loss[i];
    n->out->data[0] = (at_real)(sum / (double)rows);
}

static void bwd_part(void *arg, int64_t begin, int64_t end, int worker) {
    const at_node *n = arg;
    const mutual_attr *a = n->attr;
    const space s = space_of(n, worker);
    const double dl = (double)n->out->grad[0] / (double)n->in[0]->dim[0];
    for (int64_t i = begin; i < end; i++) {
        if (a->how.form != AT_MUTUAL_KL)
            squares_gradient(n, i, &s, dl);
        else if (a->dx)
            divergences_gradient(n, i, &s, dl);
    }
}
static void mutual_distill_bwd(at_node *n) {
    mutual_attr *a = n->attr;
    const at_mutual_form form = a->how.form;
    if (n->in[0]->dim[1] < 2) return;
    a->dx = at_grad(n, 0);
    a->dg = !a->how.detach && (form == AT_MUTUAL_GATED || form == AT_MUTUAL_MIXTURE) && n->in[1]
                ? at_grad(n, 1)
                : NULL;
    if (a->dx || a->dg) at_run_par(n->run, n->in[0]->dim[0], GRAIN, bwd_part, n);
}

const at_op at_op_mutual_distill = {"mutual_distill", mutual_distill_fwd, mutual_distill_bwd, NULL};

at_tensor *at_mutual_distill(at_run *r, at_tensor *x, at_tensor *gates, const at_mutual *how) {
    if (!x || r->status != AT_OK) return NULL;
    if (x->rank != 3 || (gates && (x->dim[0] != at_rows(gates) || x->dim[1] != at_cols(gates)))) {
        char sx[96], sg[96];
        return at_fail(r, AT_SHAPE, "mutual_distill: x %s and gates %s", at_shape_text(x, sx),
                       gates ? at_shape_text(gates, sg) : "none");
    }
    if (how->form == AT_MUTUAL_KL && !(how->tau > 0))
        return at_fail(r, AT_ARG, "mutual_distill: temperature %g is not positive", how->tau);
    mutual_attr *a = at_run_alloc(r, sizeof *a);
    if (!a) return NULL;
    *a = (mutual_attr){.how = *how};
    const size_t bytes = (size_t)room(x->dim[1], x->dim[2]) * sizeof(at_real);
    if (!(a->loss = at_run_values(r, (size_t)x->dim[0] * sizeof *a->loss)) ||
        !(a->tmp = at_run_values(r, (size_t)r->cp->threads * bytes)))
        return NULL;
    at_tensor *y = at_new(r, 1, (int64_t[]){1});
    return at_apply(r, &at_op_mutual_distill, (at_tensor *[]){x, gates}, 2, y, a);
}
