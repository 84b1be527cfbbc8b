/* expert_bias.c - adds to each slot the bias of its expert. */
#include "op/op.h"
#include <string.h>

enum { GRAIN = 64 }; /* slots */

typedef struct {
    at_routing ro;
    at_real **db; /* [E] during backward; NULL: not wanted */
} bias_attr;

static void fwd_part(void *arg, int64_t begin, int64_t end, int worker) {
    const at_node *n = arg;
    const bias_attr *a = n->attr;
    const int64_t c = at_cols(n->out);
    (void)worker;
    memcpy(n->out->data + begin * c, n->in[0]->data + begin * c,
           (size_t)((end - begin) * c) * sizeof(at_real));
    for (int64_t s = begin; s < end; s++)
        n->run->cp->k.acc(c, n->in[1 + a->ro.pick[s]]->data, n->out->data + s * c);
}
static void expert_bias_fwd(at_node *n) {
    const bias_attr *a = n->attr;
    at_run_par(n->run, a->ro.n * a->ro.k, GRAIN, fwd_part, n);
}

/* The slots of an expert are summed in their order. */
static void bwd_part(void *arg, int64_t begin, int64_t end, int worker) {
    const at_node *n = arg;
    const bias_attr *a = n->attr;
    const int64_t c = at_cols(n->out);
    (void)worker;
    for (int64_t e = begin; e < end; e++)
        for (int64_t i = a->ro.first[e]; a->db[e] && i < a->ro.first[e + 1]; i++)
            n->run->cp->k.acc(c, n->out->grad + a->ro.slot[i] * c, a->db[e]);
}
static void expert_bias_bwd(at_node *n) {
    bias_attr *a = n->attr;
    at_real *dx = at_grad(n, 0);
    if (dx) n->run->cp->k.acc(at_numel(n->out), n->out->grad, dx);
    for (int64_t e = 0; e < a->ro.e; e++) /* an expert without slots gets no gradient */
        a->db[e] = a->ro.first[e] < a->ro.first[e + 1] ? at_grad(n, (int)(1 + e)) : NULL;
    at_run_par(n->run, a->ro.e, 1, bwd_part, n);
}

/* It multiplies nothing; a token uses the biases of its experts. */
static void expert_bias_cost(const at_node *n, at_cost *c) {
    const at_routing *ro = &((const bias_attr *)n->attr)->ro;
    c->share = (double)ro->k / (double)ro->e;
}

const at_op at_op_expert_bias = {"expert_bias", expert_bias_fwd, expert_bias_bwd, expert_bias_cost};

at_tensor *at_expert_bias(at_run *r, at_tensor *x, at_tensor *const *b, const at_routing *ro) {
    if (!x || !b || r->status != AT_OK) return NULL;
    bool fits = x->rank == 3 && at_rows(x) == ro->n * ro->k;
    for (int64_t e = 0; e < ro->e && fits; e++) fits = at_numel(b[e]) == at_cols(x);
    if (!fits) {
        char sx[96], sb[96];
        return at_fail(r, AT_SHAPE, "expert_bias: x %s and biases %s for %lld tokens of %lld slots",
                       at_shape_text(x, sx), at_shape_text(b[0], sb), (long long)ro->n,
                       (long long)ro->k);
    }
    bias_attr *a = at_run_alloc(r, sizeof *a);
    at_tensor **in = at_run_alloc(r, (size_t)(1 + ro->e) * sizeof *in);
    if (!a || !in || !(a->db = at_run_alloc(r, (size_t)ro->e * sizeof *a->db))) return NULL;
    a->ro = *ro;
    in[0] = x;
    memcpy(in + 1, b, (size_t)ro->e * sizeof *in);
    at_tensor *y = at_new(r, 3, x->dim);
    return at_apply(r, &at_op_expert_bias, in, (int)(1 + ro->e), y, a);
}
