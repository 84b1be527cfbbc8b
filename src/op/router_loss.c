/* router_loss.c - mean load, gradient of the logits. */
#include "op/router_loss.h"
#include <string.h>

enum { BLOCK = 256 }; /* rows */

at_tensor *at_router_loss_apply(at_run *r, const at_op *op, at_tensor *logits, const at_routing *ro,
                                const at_batch_load *whole) {
    if (!logits || r->status != AT_OK) return NULL;
    if (at_rows(logits) != ro->n || at_cols(logits) != ro->e) {
        char s[96];
        return at_fail(r, AT_SHAPE, "%s: logits %s for a routing of %lld tokens to %lld experts",
                       op->name, at_shape_text(logits, s), (long long)ro->n, (long long)ro->e);
    }
    at_router_loss *a = at_run_alloc(r, sizeof *a);
    if (!a || !(a->load = at_run_values(r, (size_t)ro->e * sizeof *a->load))) return NULL;
    a->ro = *ro;
    a->whole = whole ? *whole : (at_batch_load){0};
    at_tensor *y = at_new(r, 1, (int64_t[]){1});
    return at_apply(r, op, &logits, 1, y, a);
}

typedef struct {
    const at_routing *ro;
    double *sum; /* [blocks, e] */
} load_arg;

static void load_part(void *arg, int64_t begin, int64_t end, int worker) {
    const load_arg *b = arg;
    const int64_t e = b->ro->e;
    double *sum = b->sum + begin / BLOCK * e;
    (void)worker;
    memset(sum, 0, (size_t)e * sizeof *sum);
    for (int64_t i = begin; i < end; i++)
        for (int64_t j = 0; j < e; j++) sum[j] += (double)b->ro->p[i * e + j];
}

void at_mean_load(at_node *n) {
    const at_router_loss *a = n->attr;
    const int64_t e = a->ro.e, blocks = (a->ro.n + BLOCK - 1) / BLOCK;
    const at_mark mark = at_arena_mark(n->run->arena);
    load_arg b = {&a->ro, at_run_alloc(n->run, (size_t)(blocks * e) * sizeof(double))};
    if (!b.sum) return;
    at_run_par(n->run, a->ro.n, BLOCK, load_part, &b);
    memset(a->load, 0, (size_t)e * sizeof *a->load);
    for (int64_t i = 0; i < blocks; i++)
        for (int64_t j = 0; j < e; j++) a->load[j] += b.sum[i * e + j];
    for (int64_t j = 0; j < e; j++) a->load[j] /= (double)a->ro.n;
    at_arena_rewind(n->run->arena, mark);
}

typedef struct {
    const at_node *n;
    const double *t;
    double entropy;
    at_real *d;
} grad_arg;

static void grad_part(void *arg, int64_t begin, int64_t end, int worker) {
    const grad_arg *b = arg;
    const at_router_loss *a = b->n->attr;
    const int64_t e = a->ro.e;
    const double dl = (double)b->n->out->grad[0];
    (void)worker;
    for (int64_t i = begin; i < end; i++) {
        const at_real *p = a->ro.p + i * e, *x = b->n->in[0]->data + i * e;
        double mean = 0;
        for (int64_t j = 0; j < e; j++)
            mean += (double)p[j] * (b->t[j] - b->entropy * ((double)x[j] - a->ro.lse[i]));
        for (int64_t j = 0; j < e; j++) {
            const double dp = b->t[j] - b->entropy * ((double)x[j] - a->ro.lse[i]);
            b->d[i * e + j] += (at_real)(dl * (double)p[j] * (dp - mean));
        }
    }
}

void at_router_loss_grad(at_node *n, const double *t, double entropy) {
    grad_arg b = {n, t, entropy, at_grad(n, 0)};
    if (b.d) at_run_par(n->run, at_rows(n->in[0]), BLOCK, grad_part, &b);
}
