/* zloss.c - penalises large logits of a router. */
#include "op/router_loss.h"

enum { GRAIN = 256 }; /* rows */

static void zloss_fwd(at_node *n) {
    const at_routing *ro = &((const at_router_loss *)n->attr)->ro;
    double sum = 0;
    for (int64_t i = 0; i < ro->n; i++) sum += ro->lse[i] * ro->lse[i];
    n->out->data[0] = (at_real)(sum / (double)ro->n);
}

typedef struct {
    const at_node *n;
    at_real *d;
} zloss_arg;
static void bwd_part(void *arg, int64_t begin, int64_t end, int worker) {
    const zloss_arg *b = arg;
    const at_routing *ro = &((const at_router_loss *)b->n->attr)->ro;
    const double dl = 2 * (double)b->n->out->grad[0] / (double)ro->n;
    (void)worker;
    for (int64_t i = begin; i < end; i++)
        b->n->run->cp->k.axpy(ro->e, (at_real)(dl * ro->lse[i]), ro->p + i * ro->e,
                              b->d + i * ro->e);
}
static void zloss_bwd(at_node *n) {
    zloss_arg b = {n, at_grad(n, 0)};
    if (b.d) at_run_par(n->run, at_rows(n->in[0]), GRAIN, bwd_part, &b);
}

const at_op at_op_zloss = {"zloss", zloss_fwd, zloss_bwd, NULL};

at_tensor *at_zloss(at_run *r, at_tensor *logits, const at_routing *ro) {
    return at_router_loss_apply(r, &at_op_zloss, logits, ro, NULL);
}
