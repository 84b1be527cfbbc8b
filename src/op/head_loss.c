/*
 * head_loss.c - output projection, softmax, cross entropy and distillation in one.
 *
 * Forward works in blocks of rows: it computes the logits of a block, replaces them by their
 * gradient, and adds that to dx and dw.  So the [N,V] logits are never stored, and backward only
 * multiplies dx and dw by the gradient of the loss, which is a single number.
 *
 * The gradient of a row has its weights in it.  Where these follow from the losses of all rows, a
 * first round over the blocks measures them.
 */
#include "op/taught.h"
#include <math.h>
#include <string.h>

typedef struct {
    at_head_spec spec;
    at_head_report *report;
    int32_t *label;
    int64_t n_labels, block;
    double *ce, *kd;   /* [N] */
    double *share;     /* [N] of the KD's sum; NULL: 1 / rows that are taught each       */
    double *square[2]; /* [N] of the gradients of ce and kd of a row, or NULL */
    at_real *logits;   /* [block, V], becomes their gradient */
    at_taught taught;
    at_real *tmp;     /* [threads, 3, V] with a teacher, else NULL */
    at_real *dx, *dw; /* gradients for a cotangent of 1, or NULL */
    int64_t begin;    /* first row of the block at hand */
} head_attr;

static bool measures_first(const head_attr *a) { return a->share || a->spec.weigh; }

/* Gradients of a row as if it were the only one: p - onehot(label) is made of p and left as p. */
static void square_of_ce(const at_kernels *k, const head_attr *a, int64_t v, int64_t row,
                         at_real *p) {
    const int32_t label = a->label[row];
    a->square[0][row] = 0;
    if (label < 0) return;
    const at_real was = p[label];
    p[label] -= 1;
    a->square[0][row] = k->sumsq(v, p);
    p[label] = was;
}

/* The losses of rows of logits, which stay, and what is needed to weigh them. */
static void measure_part(void *arg, int64_t begin, int64_t end, int worker) {
    const at_node *n = arg;
    const head_attr *a = n->attr;
    const at_kernels *k = &n->run->cp->k;
    const int64_t v = n->in[1]->dim[0];
    for (int64_t i = begin; i < end; i++) {
        const at_real *l = a->logits + i * v;
        at_real *tmp = a->tmp + worker * 3 * v;
        const int64_t row = a->begin + i;
        const int32_t label = a->label[row];
        if (a->share)
            a->share[row] = at_taught_weight(n->run, &a->taught, a->begin, i, v, l, label, tmp);
        if (!a->spec.weigh) continue;
        const double lse = at_row_softmax(k, v, 1, l, tmp);
        a->ce[row] = label >= 0 ? lse - (double)l[label] : 0;
        if (a->spec.norms) square_of_ce(k, a, v, row, tmp);
        memset(tmp, 0, (size_t)v * sizeof *tmp);
        a->kd[row] = at_taught_row(n->run, &a->taught, a->begin, i, l, tmp + v, 1,
                                   a->spec.norms ? tmp : NULL);
        if (a->spec.norms) a->square[1][row] = k->sumsq(v, tmp);
    }
}

/* The losses of rows of logits; the logits are replaced by their gradient. */
static void row_part(void *arg, int64_t begin, int64_t end, int worker) {
    const at_node *n = arg;
    const head_attr *a = n->attr;
    const at_kernels *k = &n->run->cp->k;
    const int64_t v = n->in[1]->dim[0];
    const at_real wce = (at_real)(a->spec.alpha / (double)a->n_labels);
    const double wkd = a->tmp ? (1 - a->spec.alpha) / (double)a->taught.rows : 0;
    for (int64_t i = begin; i < end; i++) {
        at_real *l = a->logits + i * v, *tmp = a->tmp ? a->tmp + worker * 3 * v : NULL;
        const int64_t row = a->begin + i;
        const int32_t label = a->label[row];
        const at_real at_label = label >= 0 ? l[label] : 0;
        if (tmp) {
            const double w = a->share ? (1 - a->spec.alpha) * a->share[row] : wkd;
            memset(tmp, 0, (size_t)v * sizeof *tmp);
            a->kd[row] = at_taught_row(n->run, &a->taught, a->begin, i, l, tmp + v,
                                       a->spec.norms ? 1 : w, tmp);
            if (a->spec.norms) {
                a->square[1][row] = k->sumsq(v, tmp);
                k->scale(v, (at_real)w, tmp);
            }
        }
        const double lse = at_row_softmax(k, v, 1, l, l);
        a->ce[row] = label >= 0 ? lse - (double)at_label : 0;
        if (tmp && a->spec.norms) square_of_ce(k, a, v, row, l);
        k->scale(v, label >= 0 ? wce : 0, l);
        if (label >= 0) l[label] -= wce;
        if (tmp) k->acc(v, tmp, l);
    }
}

static at_status project(at_node *n, const at_tensor *x, const at_tensor *w, int64_t begin,
                         int64_t rows, at_real *logits) {
    const int64_t c = at_cols(x), v = w->dim[0];
    return at_gemm_run(n->run->cp, &(at_gemm){.tb = true,
                                              .m = rows,
                                              .n = v,
                                              .k = c,
                                              .a = x->data + begin * c,
                                              .lda = c,
                                              .b = w->data,
                                              .b16 = w->bf16,
                                              .ldb = c,
                                              .c = logits,
                                              .ldc = v});
}

static at_status block_gradient(at_node *n, int64_t rows) {
    const head_attr *a = n->attr;
    const at_tensor *x = n->in[0], *w = n->in[1];
    const int64_t c = at_cols(x), v = w->dim[0];
    at_status s = AT_OK;
    if (a->dx)
        s = at_gemm_run(n->run->cp, &(at_gemm){.m = rows,
                                               .n = c,
                                               .k = v,
                                               .a = a->logits,
                                               .lda = v,
                                               .b = w->data,
                                               .b16 = w->bf16,
                                               .ldb = c,
                                               .c = a->dx + a->begin * c,
                                               .ldc = c});
    if (s == AT_OK && a->dw)
        s = at_gemm_run(n->run->cp, &(at_gemm){.ta = true,
                                               .m = v,
                                               .n = c,
                                               .k = rows,
                                               .a = a->logits,
                                               .lda = v,
                                               .b = x->data + a->begin * c,
                                               .ldb = c,
                                               .c = a->dw,
                                               .ldc = c,
                                               .accumulate = a->begin > 0});
    return s;
}

/* A round over all blocks.  Logits that an earlier round has made may still be there. */
static at_status round_of(at_node *n, at_par_fn part, bool logits_are_there, bool gradient) {
    head_attr *a = n->attr;
    const int64_t rows = at_rows(n->in[0]);
    at_status s = AT_OK;
    for (a->begin = 0; a->begin < rows && s == AT_OK; a->begin += a->block) {
        const int64_t m = rows - a->begin < a->block ? rows - a->begin : a->block;
        if (!logits_are_there) s = project(n, n->in[0], n->in[1], a->begin, m, a->logits);
        if (s == AT_OK && a->taught.n && !logits_are_there)
            s = at_taught_block(n->run, &a->taught, a->begin, m);
        if (s != AT_OK) break;
        at_run_par(n->run, m, 8, part, n);
        if (gradient) s = block_gradient(n, m);
    }
    return s;
}

/* Means over all rows, from what the parts left of each. */
static at_head_report summary(const at_node *n) {
    const head_attr *a = n->attr;
    const int64_t rows = at_rows(n->in[0]);
    double ce = 0, kd = 0, ce_squares = 0, kd_squares = 0;
    for (int64_t i = 0; i < rows; i++) {
        ce += a->ce[i];
        if (a->kd) kd += a->share ? a->share[i] * a->kd[i] : a->kd[i];
        if (!a->square[0]) continue;
        ce_squares += a->square[0][i];
        kd_squares += a->square[1][i] * (a->share ? a->share[i] * a->share[i] : 1);
    }
    const double n_kd = a->share || !a->kd ? 1 : (double)a->taught.rows;
    return (at_head_report){.ce = ce / (double)a->n_labels,
                            .kd = kd / n_kd,
                            .n_labels = a->n_labels,
                            .ce_norm = sqrt(ce_squares) / (double)a->n_labels,
                            .kd_norm = sqrt(kd_squares) / n_kd};
}

static at_status measure(at_node *n) {
    head_attr *a = n->attr;
    const at_status s = round_of(n, measure_part, false, false);
    if (s != AT_OK) return s;
    if (a->share) at_weight_shares(at_rows(n->in[0]), a->share);
    if (!a->spec.weigh) return AT_OK;
    const at_head_report known = summary(n);
    a->spec.alpha = a->spec.weigh(a->spec.user, &known);
    return AT_OK;
}

static void head_loss_fwd(at_node *n) {
    head_attr *a = n->attr;
    const bool twice = measures_first(a);
    at_status s = twice ? measure(n) : AT_OK;
    if (s == AT_OK) s = round_of(n, row_part, twice && a->block == at_rows(n->in[0]), true);
    if (s != AT_OK) {
        at_fail(n->run, s, "head_loss: %s", n->run->ctx->message);
        return;
    }
    const at_head_report all = summary(n);
    n->out->data[0] = (at_real)(a->spec.alpha * all.ce + (1 - a->spec.alpha) * all.kd);
    if (a->report) *a->report = all;
}

typedef struct {
    const at_kernels *k;
    at_real g;
    const at_real *x;
    at_real *y;
} scaled;
static void scaled_part(void *arg, int64_t begin, int64_t end, int worker) {
    const scaled *s = arg;
    (void)worker;
    s->k->axpy(end - begin, s->g, s->x + begin, s->y + begin);
}

static void head_loss_bwd(at_node *n) {
    const head_attr *a = n->attr;
    const at_real *made[2] = {a->dx, a->dw};
    for (int i = 0; i < 2; i++) {
        at_real *d = at_grad(n, i);
        if (!d) continue;
        scaled s = {&n->run->cp->k, n->out->grad[0], made[i], d};
        at_run_par(n->run, at_numel(n->in[i]), 32768, scaled_part, &s);
    }
}

static void head_loss_cost(const at_node *n, at_cost *c) {
    const head_attr *a = n->attr;
    const at_tensor *x = n->in[0], *w = n->in[1];
    const double product = 2 * (double)(at_rows(x) * w->dim[0]) * (double)at_cols(x);
    c->forward = product + at_taught_cost(&a->taught);
    if (measures_first(a) && a->block < at_rows(x)) c->forward *= 2;
    c->backward = product * (x->need_grad + w->need_grad);
}

const at_op at_op_head_loss = {"head_loss", head_loss_fwd, head_loss_bwd, head_loss_cost};

static bool agree(at_run *r, const at_tensor *x, const at_tensor *w) {
    if (w->rank == 2 && at_cols(x) == w->dim[1]) return true;
    char a[96], b[96];
    at_fail(r, AT_SHAPE, "head_loss: x %s and w %s", at_shape_text(x, a), at_shape_text(w, b));
    return false;
}

/* Buffers of the size of a block. */
static bool reserve(at_run *r, head_attr *a, const at_tensor *x, const at_tensor *w) {
    const int64_t rows = at_rows(x), v = w->dim[0];
    a->block = a->spec.block > 0 ? a->spec.block : ((int64_t)8 << 20) / v;
    if (a->block < 64 && !a->spec.block) a->block = 64;
    if (a->block > rows) a->block = rows;
    const size_t block = (size_t)(a->block * v) * sizeof(at_real);
    const bool grad = r->train;
    if (!(a->ce = at_run_values(r, (size_t)rows * sizeof *a->ce)) ||
        !(a->logits = at_run_values(r, block)) ||
        !(a->label = at_run_alloc(r, (size_t)rows * sizeof *a->label)))
        return false;
    if (grad && x->need_grad && !(a->dx = at_run_values(r, (size_t)at_numel(x) * sizeof(at_real))))
        return false;
    if (grad && w->need_grad && !(a->dw = at_run_values(r, (size_t)at_numel(w) * sizeof(at_real))))
        return false;
    if (!at_taught_open(r, &a->spec, x, v, a->block, &a->taught)) return false;
    if (!a->taught.n) return true;
    if (a->spec.kd.weight != AT_TOKENS_ALIKE &&
        !(a->share = at_run_values(r, (size_t)rows * sizeof *a->share)))
        return false;
    for (int i = 0; i < 2 && a->spec.norms; i++)
        if (!(a->square[i] = at_run_values(r, (size_t)rows * sizeof *a->square[i]))) return false;
    return (a->kd = at_run_values(r, (size_t)rows * sizeof *a->kd)) &&
           (a->tmp = at_run_values(r, (size_t)r->cp->threads * 3 * (size_t)v * sizeof(at_real)));
}

at_tensor *at_head_loss(at_run *r, at_tensor *x, at_tensor *w, const at_head_spec *spec,
                        at_head_report *report) {
    if (!x || !w || r->status != AT_OK || !agree(r, x, w)) return NULL;
    head_attr *a = at_run_alloc(r, sizeof *a);
    if (!a) return NULL;
    *a = (head_attr){.spec = *spec, .report = report};
    if (!spec->teacher_x && !spec->n_teachers) { /* nothing to weigh against the text */
        a->spec.alpha = 1;
        a->spec.weigh = NULL;
        a->spec.norms = false;
    }
    const int64_t rows = at_rows(x);
    if (!reserve(r, a, x, w)) return NULL;
    memcpy(a->label, spec->label, (size_t)rows * sizeof *a->label);
    if ((a->n_labels = at_count_labels(r, "head_loss", a->label, rows, w->dim[0])) < 0) return NULL;
    at_tensor *y = at_new(r, 1, (int64_t[]){1});
    return at_apply_bf16(r, &at_op_head_loss, (at_tensor *[]){x, w}, 2, y, a);
}
