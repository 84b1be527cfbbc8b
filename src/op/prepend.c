/* prepend.c - concatenation along time, sequence by sequence. */
#include "op/op.h"
#include <string.h>

typedef struct {
    int64_t B;
} prepend_attr;

static void prepend_fwd(at_node *n) {
    const prepend_attr *a = n->attr;
    at_real *y = n->out->data;
    for (int64_t b = 0; b < a->B; b++)
        for (int i = 0; i < 2; i++) {
            const int64_t values = at_numel(n->in[i]) / a->B;
            memcpy(y, n->in[i]->data + b * values, (size_t)values * sizeof *y);
            y += values;
        }
}

static void prepend_bwd(at_node *n) {
    const prepend_attr *a = n->attr;
    for (int i = 0; i < 2; i++) {
        bool fresh;
        at_real *d = at_grad_fresh(n, i, &fresh);
        const int64_t values = at_numel(n->in[i]) / a->B, all = at_numel(n->out) / a->B;
        const at_real *dy = n->out->grad + (i ? all - values : 0);
        for (int64_t b = 0; d && b < a->B; b++) {
            if (fresh)
                memcpy(d + b * values, dy + b * all, (size_t)values * sizeof *d);
            else
                n->run->cp->k.acc(values, dy + b * all, d + b * values);
        }
    }
}

const at_op at_op_prepend = {"prepend", prepend_fwd, prepend_bwd, NULL};

at_tensor *at_prepend(at_run *r, at_tensor *past, at_tensor *x, int64_t B) {
    if (!past || !x) return NULL;
    const int64_t n = at_rows(past) + at_rows(x);
    if (B < 1 || at_cols(past) != at_cols(x) || at_rows(past) % B || at_rows(x) % B) {
        char p[96], s[96];
        return at_fail(r, AT_SHAPE, "prepend: %s before %s of %lld sequences",
                       at_shape_text(past, p), at_shape_text(x, s), (long long)B);
    }
    prepend_attr *a = at_run_alloc(r, sizeof *a);
    at_tensor *y = a ? at_new2(r, n, at_cols(x)) : NULL;
    if (a) a->B = B;
    return at_apply(r, &at_op_prepend, (at_tensor *[]){past, x}, 2, y, a);
}
