/*
 * optim_muon.c - Muon for matrices, AdamW for everything else.
 *
 * The momentum of a matrix is orthogonalised: replaced by the nearest matrix whose singular values
 * are all 1, so that rare directions are stepped as far as frequent ones.  Five Newton-Schulz
 * iterations X <- a X + (b A + c A A) X with A = X X' do that approximately (singular values 0.7 to
 * 1.2) and need products only.  Source: K. Jordan et al. 2024, "Muon: an optimizer for hidden
 * layers in neural networks".
 *
 * Such a matrix of r by c values has a root mean square of 1 / sqrt(max(r, c)); times muon_scale *
 * sqrt(max(r, c)) its steps are muon_scale lr, whatever its shape.  AdamW's are 0.2 to 0.4 lr.
 * Source: J. Liu et al. 2025, arXiv 2502.16982.
 *
 * Embeddings, positions and heads (at_param_table) are rows, not maps, and stay with AdamW.  Each
 * slot of a bank is a matrix; the rows of a router that lie side by side are one together.  The
 * length of a step does not follow from that of the gradient, so a slot that had no token would go
 * on for ever along its last momentum: one whose gradient is nothing but zeros is not touched.
 */
#include "base/ints.h"
#include "base/par.h"
#include "tensor/optim.h"
#include <math.h>
#include <stdatomic.h>

enum { ITERATIONS = 5 };
static const at_real FIRST = (at_real)3.4445, THIRD = (at_real)-4.7750, FIFTH = (at_real)2.0315;

/* A parameter: matrices of one shape. */
typedef struct {
    const at_update *u;
    int64_t rows, cols, less; /* less: the smaller of the two */
    at_real momentum, clip, decay, step;
    at_real *space; /* of a worker, or of all where they share each matrix */
    int64_t stride; /* from one worker's to the next one's                 */
    atomic_int failed;
} job;

/* One of them. */
typedef struct {
    const job *j;
    int worker;             /* alone with it; -1: all share it                   */
    at_real *p, *m, *x, *y; /* [rows, cols]; x is orthogonalised with the help of y */
    const at_real *g;
    at_real *gram, *square; /* [less, less] */
    at_real size;
} work;

/* Of u->n values that are stepped together. */
static void shape(const at_update *u, int64_t *rows, int64_t *cols) {
    const at_param_entry *e = u->e;
    *cols = at_cols(&e->t);
    *rows = e->of->together ? u->n / *cols : e->t.dim[e->t.rank - 2];
}

/* ---- loops over values ---- */

static void each(work *w, int64_t n, at_par_fn part) {
    if (w->worker >= 0)
        part(w, 0, n, w->worker);
    else
        at_par_for(w->j->u->cp->threads, n, AT_OPTIM_CHUNK, part, w);
}

/* Chunk by chunk, as at_squares does. */
static double squares(const work *w, int64_t n, const at_real *x) {
    at_compute *cp = w->j->u->cp;
    if (w->worker < 0) return at_squares(cp, n, x);
    double total = 0;
    for (int64_t i = 0; i < n; i += AT_OPTIM_CHUNK)
        total += cp->k.sumsq(at_min(n - i, AT_OPTIM_CHUNK), x + i);
    return total;
}

/* Updates the momentum and takes Nesterov's look-ahead of it. */
static void momentum_part(void *arg, int64_t begin, int64_t end, int worker) {
    const work *w = arg;
    const at_real momentum = w->j->momentum, clip = w->j->clip;
    (void)worker;
    for (int64_t i = begin; i < end; i++) {
        const at_real d = clip * w->g[i];
        w->m[i] = momentum * w->m[i] + d;
        w->x[i] = momentum * w->m[i] + d;
    }
}

static void scale_part(void *arg, int64_t begin, int64_t end, int worker) {
    const work *w = arg;
    (void)worker;
    for (int64_t i = begin; i < end; i++) w->x[i] *= w->size;
}

/* b A + c A A, in place of A A. */
static void mix_part(void *arg, int64_t begin, int64_t end, int worker) {
    const work *w = arg;
    (void)worker;
    for (int64_t i = begin; i < end; i++) w->square[i] = THIRD * w->gram[i] + FIFTH * w->square[i];
}

static void keep_part(void *arg, int64_t begin, int64_t end, int worker) {
    const work *w = arg;
    (void)worker;
    for (int64_t i = begin; i < end; i++) w->y[i] = FIRST * w->x[i];
}

static void change_part(void *arg, int64_t begin, int64_t end, int worker) {
    const work *w = arg;
    const at_real decay = w->j->decay, step = w->j->step;
    (void)worker;
    for (int64_t i = begin; i < end; i++) w->p[i] = (w->p[i] - decay * w->p[i]) - step * w->x[i];
}

/* ---- a matrix ---- */

static at_status multiply(const work *w, const at_gemm *g) {
    at_compute *cp = w->j->u->cp;
    return w->worker >= 0 ? at_gemm_serial(cp, g, w->worker) : at_gemm_run(cp, g);
}

/* The smaller of X X' and X' X, and a X + (b A + c A A) X or a X + X (b A + c A A). */
static at_status iterate(work *w) {
    const int64_t rows = w->j->rows, cols = w->j->cols, n = w->j->less;
    const bool wide = rows <= cols;
    const at_gemm gram = {.ta = !wide,
                          .tb = wide,
                          .m = n,
                          .n = n,
                          .k = wide ? cols : rows,
                          .a = w->x,
                          .lda = cols,
                          .b = w->x,
                          .ldb = cols,
                          .c = w->gram,
                          .ldc = n};
    const at_gemm square = {.m = n,
                            .n = n,
                            .k = n,
                            .a = w->gram,
                            .lda = n,
                            .b = w->gram,
                            .ldb = n,
                            .c = w->square,
                            .ldc = n};
    const at_gemm next = {.m = rows,
                          .n = cols,
                          .k = n,
                          .a = wide ? w->square : w->x,
                          .lda = n,
                          .b = wide ? w->x : w->square,
                          .ldb = cols,
                          .c = w->y,
                          .ldc = cols,
                          .accumulate = true};
    at_status s = multiply(w, &gram);
    if (s == AT_OK) s = multiply(w, &square);
    if (s != AT_OK) return s;
    each(w, n * n, mix_part);
    each(w, rows * cols, keep_part);
    s = multiply(w, &next);
    at_real *t = w->x;
    w->x = w->y;
    w->y = t;
    return s;
}

static at_status step_matrix(const job *j, int64_t slot, int worker) {
    const at_update *u = j->u;
    const int64_t n = j->rows * j->cols, at = slot * n;
    work w = {.j = j, .worker = worker, .p = u->e->t.data + at, .m = u->m + at};
    w.g = u->e->t.grad + at;
    w.x = j->space + (worker < 0 ? 0 : worker) * j->stride;
    w.y = w.x + n;
    w.gram = w.y + n;
    w.square = w.gram + j->less * j->less;
    if (!(squares(&w, n, w.g) > 0)) return AT_OK;
    each(&w, n, momentum_part);
    const double sum = squares(&w, n, w.x);
    if (!(sum > 0)) return AT_OK;
    w.size = (at_real)(1 / sqrt(sum));
    each(&w, n, scale_part);
    at_status s = AT_OK;
    for (int i = 0; i < ITERATIONS && s == AT_OK; i++) s = iterate(&w);
    if (s == AT_OK) each(&w, n, change_part);
    return s;
}

/* ---- all of a parameter ---- */

static void slots_part(void *arg, int64_t begin, int64_t end, int worker) {
    job *j = arg;
    for (int64_t i = begin; i < end; i++) {
        const at_status s = step_matrix(j, i, worker);
        if (s != AT_OK) atomic_store(&j->failed, (int)s);
    }
}

/* Slots are shared out where there are enough of them, else the work on each is. */
static at_status step(const at_update *u) {
    if (u->e->of->t.rank < 2 || u->e->table) return at_optimiser_adamw.step(u);
    job j = {.u = u, .momentum = (at_real)u->o->momentum, .clip = (at_real)u->clip};
    shape(u, &j.rows, &j.cols);
    j.less = at_min(j.rows, j.cols);
    j.decay = (at_real)(u->lr * u->o->weight_decay);
    j.step = (at_real)(u->lr * u->o->muon_scale * sqrt((double)at_max(j.rows, j.cols)));
    const int64_t n = j.rows * j.cols, slots = u->n / n, needs = 2 * (n + j.less * j.less);
    const bool apart = slots >= u->cp->threads;
    const int64_t each_has = apart ? needs : needs / u->cp->threads + 1;
    if (!(j.space = at_scratch(u->cp, each_has))) return AT_OOM;
    j.stride = at_scratch_stride(each_has);
    if (apart) {
        at_par_for(u->cp->threads, slots, 1, slots_part, &j);
        return (at_status)atomic_load(&j.failed);
    }
    at_status s = AT_OK;
    for (int64_t i = 0; i < slots && s == AT_OK; i++) s = step_matrix(&j, i, -1);
    return s;
}

const at_optimiser at_optimiser_muon = {"muon", "Muon for matrices, AdamW for the rest", step};
