/* swap.c - the two middle dimensions change places. */
#include "op/op.h"
#include <string.h>

static void fwd_part(void *arg, int64_t begin, int64_t end, int worker) {
    const at_node *n = arg;
    const int64_t l = n->out->dim[2], k = n->out->dim[1], c = n->out->dim[3];
    (void)worker;
    for (int64_t b = begin; b < end; b++) {
        const at_real *from = n->in[0]->data + b * l * k * c;
        at_real *to = n->out->data + b * l * k * c;
        for (int64_t i = 0; i < l; i++)
            for (int64_t j = 0; j < k; j++, from += c)
                memcpy(to + (j * l + i) * c, from, (size_t)c * sizeof *to);
    }
}
static void swap_fwd(at_node *n) { at_run_par(n->run, n->out->dim[0], 1, fwd_part, n); }

typedef struct {
    const at_node *n;
    at_real *dx;
} bwd_arg;

static void bwd_part(void *arg, int64_t begin, int64_t end, int worker) {
    const bwd_arg *a = arg;
    const at_node *n = a->n;
    const int64_t l = n->out->dim[2], k = n->out->dim[1], c = n->out->dim[3];
    (void)worker;
    for (int64_t b = begin; b < end; b++) {
        const at_real *dy = n->out->grad + b * l * k * c;
        at_real *dx = a->dx + b * l * k * c;
        for (int64_t i = 0; i < l; i++)
            for (int64_t j = 0; j < k; j++, dx += c) n->run->cp->k.acc(c, dy + (j * l + i) * c, dx);
    }
}
static void swap_bwd(at_node *n) {
    bwd_arg a = {n, at_grad(n, 0)};
    if (a.dx) at_run_par(n->run, n->out->dim[0], 1, bwd_part, &a);
}

const at_op at_op_swap = {"swap", swap_fwd, swap_bwd, NULL};

at_tensor *at_swap(at_run *r, at_tensor *x) {
    char text[96];
    if (!x) return NULL;
    if (x->rank != 4)
        return at_fail(r, AT_SHAPE, "swap: expected four dimensions, found %s",
                       at_shape_text(x, text));
    const int64_t dim[4] = {x->dim[0], x->dim[2], x->dim[1], x->dim[3]};
    at_tensor *y = at_new(r, 4, dim);
    return at_apply(r, &at_op_swap, &x, 1, y, NULL);
}
