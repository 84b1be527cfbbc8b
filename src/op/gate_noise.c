/* gate_noise.c - noise on the logits of a router; it is not stored but drawn again in backward. */
#include "base/maths.h"
#include "base/rng.h"
#include "op/op.h"
#include <math.h>

enum { GRAIN = 256 };

typedef struct {
    double tau;
    at_noise kind; /* none where the run does not train */
    uint64_t stream;
    at_real *dx, *ds; /* during backward */
} noise_attr;

/* log(1 + e^x) */
static double softplus(double x) { return x > 0 ? x + at_log1p(at_exp(-x)) : at_log1p(at_exp(x)); }

static double gumbel(const at_node *n, int64_t i) {
    const noise_attr *a = n->attr;
    return -at_ln(-at_ln(at_uniform(n->run->seed, a->stream, (uint64_t)i)));
}
static double normal(const at_node *n, int64_t i) {
    const noise_attr *a = n->attr;
    return at_normal(n->run->seed, a->stream, (uint64_t)i);
}

static void fwd_part(void *arg, int64_t begin, int64_t end, int worker) {
    const at_node *n = arg;
    const noise_attr *a = n->attr;
    const at_tensor *spread = n->in[1];
    (void)worker;
    for (int64_t i = begin; i < end; i++) {
        double x = (double)n->in[0]->data[i];
        if (a->kind == AT_NOISE_NORMAL) x += normal(n, i) * softplus((double)spread->data[i]);
        if (a->kind == AT_NOISE_GUMBEL) x += gumbel(n, i);
        n->out->data[i] = (at_real)(x / a->tau);
    }
}
static void gate_noise_fwd(at_node *n) { at_run_par(n->run, at_numel(n->out), GRAIN, fwd_part, n); }

static void bwd_part(void *arg, int64_t begin, int64_t end, int worker) {
    const at_node *n = arg;
    const noise_attr *a = n->attr;
    (void)worker;
    for (int64_t i = begin; i < end; i++) {
        const double d = (double)n->out->grad[i] / a->tau;
        if (a->dx) a->dx[i] += (at_real)d;
        if (a->ds)
            a->ds[i] += (at_real)(d * normal(n, i) / (1 + at_exp(-(double)n->in[1]->data[i])));
    }
}
static void gate_noise_bwd(at_node *n) {
    noise_attr *a = n->attr;
    a->dx = at_grad(n, 0);
    a->ds = a->kind == AT_NOISE_NORMAL ? at_grad(n, 1) : NULL;
    if (a->dx || a->ds) at_run_par(n->run, at_numel(n->out), GRAIN, bwd_part, n);
}

const at_op at_op_gate_noise = {"gate_noise", gate_noise_fwd, gate_noise_bwd, NULL};

at_tensor *at_gate_noise(at_run *r, at_tensor *logits, at_tensor *spread, at_noise kind,
                         double tau) {
    if (!logits || r->status != AT_OK) return NULL;
    if (!(tau > 0)) return at_fail(r, AT_ARG, "gate_noise: temperature %g is not positive", tau);
    if (kind == AT_NOISE_NORMAL && (!spread || at_numel(spread) != at_numel(logits))) {
        char sl[96], ss[96];
        return at_fail(r, AT_SHAPE, "gate_noise: logits %s and spread %s",
                       at_shape_text(logits, sl), spread ? at_shape_text(spread, ss) : "none");
    }
    noise_attr *a = at_run_alloc(r, sizeof *a);
    if (!a) return NULL;
    *a = (noise_attr){.tau = tau, .kind = r->train ? kind : AT_NOISE_NONE};
    if (a->kind) a->stream = AT_STREAM_ROUTE + (++r->draw << 8);
    at_tensor *y = at_new(r, logits->rank, logits->dim);
    return at_apply(r, &at_op_gate_noise,
                    (at_tensor *[]){logits, kind == AT_NOISE_NORMAL ? spread : NULL}, 2, y, a);
}
