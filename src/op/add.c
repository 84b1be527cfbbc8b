/* add.c - the residual stream.  The first gradient to arrive is copied, later ones are added. */
#include "op/op.h"
#include <string.h>

enum { GRAIN = 32768 };

typedef struct {
    const at_kernels *k;
    const at_real *x, *y;
    at_real *z;
} part;

static void sum_part(void *arg, int64_t begin, int64_t end, int worker) {
    const part *p = arg;
    (void)worker;
    p->k->add(end - begin, p->x + begin, p->y + begin, p->z + begin);
}
static void copy_part(void *arg, int64_t begin, int64_t end, int worker) {
    const part *p = arg;
    (void)worker;
    memcpy(p->z + begin, p->x + begin, (size_t)(end - begin) * sizeof *p->z);
}
static void acc_part(void *arg, int64_t begin, int64_t end, int worker) {
    const part *p = arg;
    (void)worker;
    p->k->acc(end - begin, p->x + begin, p->z + begin);
}

static void add_fwd(at_node *n) {
    part p = {&n->run->cp->k, n->in[0]->data, n->in[1]->data, n->out->data};
    at_run_par(n->run, at_numel(n->out), GRAIN, sum_part, &p);
}

static void add_bwd(at_node *n) {
    for (int i = 0; i < 2; i++) {
        bool fresh;
        at_real *d = at_grad_fresh(n, i, &fresh);
        if (!d) continue;
        part p = {&n->run->cp->k, n->out->grad, NULL, d};
        at_run_par(n->run, at_numel(n->out), GRAIN, fresh ? copy_part : acc_part, &p);
    }
}

const at_op at_op_add = {"add", add_fwd, add_bwd, NULL};

at_tensor *at_add(at_run *r, at_tensor *a, at_tensor *b) {
    if (!a || !b) return NULL;
    if (at_numel(a) != at_numel(b)) {
        char sa[96], sb[96];
        return at_fail(r, AT_SHAPE, "add: %s and %s", at_shape_text(a, sa), at_shape_text(b, sb));
    }
    at_tensor *y = at_new(r, a->rank, a->dim);
    return at_apply(r, &at_op_add, (at_tensor *[]){a, b}, 2, y, NULL);
}
