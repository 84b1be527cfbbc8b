/* distill.c - loss between a teacher's and a student's rows; recomputed in backward. */
#include "op/softmax_row.h"

typedef struct {
    at_kd how;
    const int32_t *label; /* [rows], in forward alone; NULL: all rows weigh the same */
    double *share;        /* [rows] of the loss; NULL: 1 / rows each                 */
    double *loss;         /* [rows] */
    at_real *tmp;         /* [threads, 2, V] */
    double coef;
    at_real *d; /* NULL in forward */
} distill_attr;

static void weigh_part(void *arg, int64_t begin, int64_t end, int worker) {
    const at_node *n = arg;
    const distill_attr *a = n->attr;
    const int64_t v = at_cols(n->in[0]);
    for (int64_t i = begin; i < end; i++)
        a->share[i] = at_row_weight(&n->run->cp->k, v, &a->how, n->in[0]->data + i * v,
                                    n->in[1]->data + i * v, a->label[i], a->tmp + worker * 2 * v);
}

static void part(void *arg, int64_t begin, int64_t end, int worker) {
    const at_node *n = arg;
    const distill_attr *a = n->attr;
    const int64_t v = at_cols(n->in[0]);
    for (int64_t i = begin; i < end; i++)
        a->loss[i] =
            at_row_kd(&n->run->cp->k, v, &a->how, n->in[0]->data + i * v, n->in[1]->data + i * v,
                      a->tmp + worker * 2 * v, a->share ? a->coef * a->share[i] : a->coef,
                      a->d ? a->d + i * v : NULL);
}

static void distill_fwd(at_node *n) {
    distill_attr *a = n->attr;
    const int64_t rows = at_rows(n->in[0]);
    if (a->share) {
        at_run_par(n->run, rows, 8, weigh_part, n);
        at_weight_shares(rows, a->share);
    }
    a->d = NULL;
    at_run_par(n->run, rows, 8, part, n);
    double sum = 0;
    for (int64_t i = 0; i < rows; i++) sum += a->share ? a->share[i] * a->loss[i] : a->loss[i];
    n->out->data[0] = (at_real)(a->share ? sum : sum / (double)rows);
}

static void distill_bwd(at_node *n) { /* the student's gradient alone */
    distill_attr *a = n->attr;
    a->d = at_grad(n, 0);
    a->coef = (double)n->out->grad[0];
    if (!a->share) a->coef /= (double)at_rows(n->in[0]);
    if (a->d) at_run_par(n->run, at_rows(n->in[0]), 8, part, n);
}

const at_op at_op_distill = {"distill", distill_fwd, distill_bwd, NULL};

at_tensor *at_distill_tokens(at_run *r, at_tensor *student, at_tensor *teacher, const at_kd *how,
                             const int32_t *label) {
    if (!student || !teacher) return NULL;
    if (at_cols(student) != at_cols(teacher) || at_rows(student) != at_rows(teacher)) {
        char ss[96], st[96];
        return at_fail(r, AT_SHAPE, "distill: student %s and teacher %s",
                       at_shape_text(student, ss), at_shape_text(teacher, st));
    }
    if (!(how->tau > 0))
        return at_fail(r, AT_ARG, "distill: temperature %g is not positive", how->tau);
    if (!(how->skew >= 0 && how->skew < 1))
        return at_fail(r, AT_ARG, "distill: skew %g is outside [0,1)", how->skew);
    if (how->weight != AT_TOKENS_ALIKE && !label)
        return at_fail(r, AT_ARG, "distill: tokens are weighed by labels, and there are none");
    const int64_t rows = at_rows(student), v = at_cols(student);
    distill_attr *a = at_run_alloc(r, sizeof *a);
    if (!a) return NULL;
    *a = (distill_attr){.how = *how};
    if (!(a->loss = at_run_values(r, (size_t)rows * sizeof *a->loss)) ||
        !(a->tmp = at_run_values(r, (size_t)r->cp->threads * 2 * (size_t)v * sizeof(at_real))))
        return NULL;
    if (how->weight != AT_TOKENS_ALIKE) {
        a->label = label;
        if (at_count_labels(r, "distill", label, rows, v) < 0 ||
            !(a->share = at_run_values(r, (size_t)rows * sizeof *a->share)))
            return NULL;
    }
    at_tensor *fixed = at_detach(r, teacher);
    at_tensor *y = at_new(r, 1, (int64_t[]){1});
    return at_apply(r, &at_op_distill, (at_tensor *[]){student, fixed}, 2, y, a);
}

at_tensor *at_distill(at_run *r, at_tensor *student, at_tensor *teacher, const at_kd *how) {
    return at_distill_tokens(r, student, teacher, how, NULL);
}
