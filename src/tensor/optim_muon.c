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

enum { ITERATIONS = 5 };
static const at_real FIRST = (at_real)3.4445, THIRD = (at_real)-4.7750, FIFTH = (at_real)2.0315;

typedef struct {
    const at_update *u;
    int64_t rows, cols, less; /* less: the smaller of the two */
    at_real *p, *m, *x, *y;   /* [rows, cols]; x is orthogonalised with the help of y   */
    const at_real *g;
    at_real *gram, *square; /* [less, less] */
    at_real momentum, clip, size, decay, step;
} work;

static bool is_matrix(const at_param_entry *e) { return e->of->t.rank >= 2 && !e->table; }

/* n: values that are stepped together. */
static void shape(const at_param_entry *e, int64_t n, int64_t *rows, int64_t *cols) {
    *cols = at_cols(&e->t);
    *rows = e->of->together ? n / *cols : e->t.dim[e->t.rank - 2];
}

static int64_t space(const at_param_entry *e) {
    if (!is_matrix(e)) return 0;
    int64_t rows, cols;
    shape(e, at_numel(&e->of->t), &rows, &cols);
    const int64_t less = at_min(rows, cols);
    return 2 * (rows * cols + less * less);
}

/* Updates the momentum and takes Nesterov's look-ahead of it. */
static void momentum_part(void *arg, int64_t begin, int64_t end, int worker) {
    const work *w = arg;
    (void)worker;
    for (int64_t i = begin; i < end; i++) {
        const at_real d = w->clip * w->g[i];
        w->m[i] = w->momentum * w->m[i] + d;
        w->x[i] = w->momentum * w->m[i] + d;
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
    (void)worker;
    for (int64_t i = begin; i < end; i++)
        w->p[i] = (w->p[i] - w->decay * w->p[i]) - w->step * w->x[i];
}

static void each(work *w, int64_t n, at_par_fn part) {
    at_par_for(w->u->cp->threads, n, AT_OPTIM_CHUNK, part, w);
}

/* The smaller of X X' and X' X, and a X + (b A + c A A) X or a X + X (b A + c A A). */
static at_status iterate(work *w) {
    at_compute *cp = w->u->cp;
    const int64_t n = w->less, ldx = w->cols;
    const bool wide = w->rows <= w->cols;
    const at_gemm gram = {.ta = !wide,
                          .tb = wide,
                          .m = n,
                          .n = n,
                          .k = wide ? w->cols : w->rows,
                          .a = w->x,
                          .lda = ldx,
                          .b = w->x,
                          .ldb = ldx,
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
    const at_gemm next = {.m = w->rows,
                          .n = w->cols,
                          .k = n,
                          .a = wide ? w->square : w->x,
                          .lda = n,
                          .b = wide ? w->x : w->square,
                          .ldb = wide ? ldx : n,
                          .c = w->y,
                          .ldc = ldx,
                          .accumulate = true};
    at_status s = at_gemm_run(cp, &gram);
    if (s == AT_OK) s = at_gemm_run(cp, &square);
    if (s != AT_OK) return s;
    each(w, n * n, mix_part);
    each(w, w->rows * w->cols, keep_part);
    s = at_gemm_run(cp, &next);
    at_real *t = w->x;
    w->x = w->y;
    w->y = t;
    return s;
}

static at_status step_matrix(work *w) {
    const int64_t n = w->rows * w->cols;
    if (!(at_squares(w->u->cp, n, w->g) > 0)) return AT_OK;
    each(w, n, momentum_part);
    const double squares = at_squares(w->u->cp, n, w->x);
    if (!(squares > 0)) return AT_OK;
    w->size = (at_real)(1 / sqrt(squares));
    each(w, n, scale_part);
    at_status s = AT_OK;
    for (int i = 0; i < ITERATIONS && s == AT_OK; i++) s = iterate(w);
    if (s == AT_OK) each(w, n, change_part);
    return s;
}

static at_status step(const at_update *u) {
    const at_tensor *t = &u->e->t;
    if (!is_matrix(u->e)) return at_optimiser_adamw.step(u);
    work w = {.u = u, .momentum = (at_real)u->o->momentum, .clip = (at_real)u->clip};
    shape(u->e, u->n, &w.rows, &w.cols);
    w.less = at_min(w.rows, w.cols);
    const int64_t n = w.rows * w.cols, slots = u->n / n;
    w.decay = (at_real)(u->lr * u->o->weight_decay);
    w.step = (at_real)(u->lr * u->o->muon_scale * sqrt((double)at_max(w.rows, w.cols)));
    w.gram = u->o->space + 2 * n;
    w.square = w.gram + w.less * w.less;
    at_status s = AT_OK;
    for (int64_t i = 0; i < slots && s == AT_OK; i++) {
        w.p = t->data + i * n;
        w.g = t->grad + i * n;
        w.m = u->m + i * n;
        w.x = u->o->space;
        w.y = w.x + n;
        s = step_matrix(&w);
    }
    return s;
}

const at_optimiser at_optimiser_muon = {"muon", "Muon for matrices, AdamW for the rest", space,
                                        step};
