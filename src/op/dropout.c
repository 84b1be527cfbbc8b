/* dropout.c - Srivastava et al. 2014.  The mask is not stored but drawn again in backward. */
#include "base/rng.h"
#include "op/op.h"

enum { GRAIN = 16384 };

typedef struct {
    double p;
    uint64_t stream;
    const at_real *x; /* what is masked ... */
    at_real *y;       /* ... and where it is added or put */
    bool add;
} dropout_attr;

static void part(void *arg, int64_t begin, int64_t end, int worker) {
    const at_node *n = arg;
    const dropout_attr *a = n->attr;
    const uint64_t bar = (uint64_t)(a->p * 4294967296.0); /* 32 bits a value, two values a draw */
    const at_real keep = (at_real)(1 / (1 - a->p));
    (void)worker;
    for (int64_t i = begin; i < end; i++) {
        const uint64_t bits = at_rand64(n->run->seed, a->stream, (uint64_t)i / 2);
        const uint64_t u = i % 2 ? bits >> 32 : bits & 0xffffffffu;
        const at_real v = u >= bar ? a->x[i] * keep : 0;
        if (a->add)
            a->y[i] += v;
        else
            a->y[i] = v;
    }
}

static void dropout_fwd(at_node *n) {
    dropout_attr *a = n->attr;
    a->x = n->in[0]->data;
    a->y = n->out->data;
    a->add = false;
    at_run_par(n->run, at_numel(n->out), GRAIN, part, n);
}
static void dropout_bwd(at_node *n) {
    dropout_attr *a = n->attr;
    a->x = n->out->grad;
    a->y = at_grad(n, 0);
    a->add = true;
    if (a->y) at_run_par(n->run, at_numel(n->out), GRAIN, part, n);
}

const at_op at_op_dropout = {"dropout", dropout_fwd, dropout_bwd, NULL};

at_tensor *at_dropout(at_run *r, at_tensor *x, double p) {
    if (!x || !r->train || p <= 0) return x;
    if (p >= 1) return at_fail(r, AT_ARG, "dropout: p = %g is not below 1", p);
    dropout_attr *a = at_run_alloc(r, sizeof *a);
    if (!a) return NULL;
    *a = (dropout_attr){.p = p, .stream = AT_STREAM_DROPOUT + (++r->draw << 8)};
    at_tensor *y = at_new(r, x->rank, x->dim);
    return at_apply(r, &at_op_dropout, &x, 1, y, a);
}
