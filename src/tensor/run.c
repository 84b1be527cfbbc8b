/* run.c - eager evaluation, tape, gradient pool. */
#include "tensor/run.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void at_run_init(at_run *r, at_compute *cp, at_arena *arena, bool train, uint64_t seed) {
    *r = (at_run){.ctx = cp->ctx, .cp = cp, .arena = arena, .train = train, .seed = seed};
}

at_status at_run_status(at_run *r) {
    if (r->status != AT_OK) (void)at_error(r->ctx, r->status, "%s", r->message);
    return r->status;
}

void *at_fail(at_run *r, at_status s, const char *fmt, ...) {
    if (r->status == AT_OK) {
        r->status = s;
        va_list ap;
        va_start(ap, fmt);
        (void)vsnprintf(r->message, sizeof r->message, fmt, ap);
        va_end(ap);
    }
    return NULL;
}

void *at_run_alloc(at_run *r, size_t bytes) {
    if (r->status != AT_OK) return NULL;
    void *p = at_arena_alloc(r->arena, bytes);
    return p ? p : at_fail(r, AT_OOM, "%s", r->ctx->message);
}

void *at_run_values(at_run *r, size_t bytes) {
    if (!r->dry || bytes <= sizeof(void *)) return at_run_alloc(r, bytes);
    r->tally->bytes += (double)(bytes - sizeof(void *)) / 64 * 64;
    return at_run_alloc(r, sizeof(void *));
}

/* A tensor without values. */
static at_tensor *shape(at_run *r, int rank, const int64_t *dim) {
    at_tensor *t = at_run_alloc(r, sizeof *t);
    if (!t) return NULL;
    memset(t, 0, sizeof *t);
    t->rank = rank;
    for (int i = 0; i < rank; i++) t->dim[i] = dim[i];
    return t;
}

/* A tensor that shares the values of t. */
static at_tensor *alias(at_run *r, const at_tensor *t, int rank, const int64_t *dim) {
    at_tensor *y = t ? shape(r, rank, dim) : NULL;
    if (!y) return NULL;
    y->data = t->data;
    y->bf16 = t->bf16;
    return y;
}

at_tensor *at_new(at_run *r, int rank, const int64_t *dim) {
    at_tensor *t = shape(r, rank, dim);
    if (t) t->data = at_run_values(r, (size_t)at_numel(t) * sizeof(at_real));
    return t && t->data ? t : NULL;
}

at_tensor *at_new2(at_run *r, int64_t d0, int64_t d1) { return at_new(r, 2, (int64_t[]){d0, d1}); }

at_tensor *at_view(at_run *r, at_tensor *t, int rank, const int64_t *dim) {
    at_tensor *y = alias(r, t, rank, dim);
    if (!y) return NULL;
    if (at_numel(y) != at_numel(t)) {
        char from[96], to[96];
        return at_fail(r, AT_SHAPE, "view: %s as %s", at_shape_text(t, from), at_shape_text(y, to));
    }
    y->need_grad = t->need_grad;
    y->base = t;
    y->name = t->name;
    return y;
}

at_tensor *at_detach(at_run *r, at_tensor *t) { return t ? alias(r, t, t->rank, t->dim) : NULL; }

/* The inputs, those in BF16 replaced by copies in at_real; `in` itself when none is. */
static at_tensor *const *widened(at_run *r, at_tensor *const *in, int n_in) {
    at_tensor **all = NULL;
    for (int i = 0; i < n_in; i++) {
        if (!in[i] || !in[i]->bf16 || r->dry) continue;
        if (!all) {
            if (!(all = at_run_alloc(r, (size_t)n_in * sizeof *all))) return NULL;
            memcpy(all, in, (size_t)n_in * sizeof *all);
        }
        if (!(all[i] = at_new(r, in[i]->rank, in[i]->dim))) return NULL;
        all[i]->name = in[i]->name;
        r->cp->k.widen(at_numel(in[i]), in[i]->bf16, all[i]->data);
    }
    return all ? all : in;
}

at_tensor *at_apply(at_run *r, const at_op *op, at_tensor *const *in, int n_in, at_tensor *out,
                    void *attr) {
    if (r->status != AT_OK || !out) return NULL;
    in = widened(r, in, n_in);
    return in ? at_apply_bf16(r, op, in, n_in, out, attr) : NULL;
}

static void tally(const at_node *n, bool record) {
    at_tally *y = n->run->tally;
    at_cost c = {.share = 1};
    if (n->op->cost) n->op->cost(n, &c);
    y->forward += c.forward;
    if (record) y->backward += c.backward;
    for (int i = 0; i < n->n_in; i++) /* parameters have names */
        if (n->in[i] && n->in[i]->name) y->active += c.share * (double)at_numel(n->in[i]);
}

at_tensor *at_apply_bf16(at_run *r, const at_op *op, at_tensor *const *in, int n_in, at_tensor *out,
                         void *attr) {
    if (r->status != AT_OK || !out) return NULL;
    at_node now, *n = &now;
    bool record = false;
    for (int i = 0; i < n_in; i++) record |= in[i] && in[i]->need_grad;
    record &= r->train && op->bwd;
    if (record && !(n = at_run_alloc(r, sizeof *n))) return NULL;
    *n = (at_node){.op = op, .run = r, .n_in = n_in, .out = out, .attr = attr};
    if (record) {
        n->in = at_run_alloc(r, (size_t)n_in * sizeof *n->in);
        if (!n->in) return NULL;
        memcpy(n->in, in, (size_t)n_in * sizeof *n->in);
        out->need_grad = true; /* before fwd: an op may prepare its gradient there */
    } else {
        n->in = (at_tensor **)(uintptr_t)in; /* only read, and only during fwd */
    }
    if (r->tally) tally(n, record);
    if (!r->dry) op->fwd(n);
    if (r->status != AT_OK) return NULL;
    if (record) {
        n->prev = r->tape;
        r->tape = n;
        r->n_nodes++;
    }
    return out;
}

/* ---- gradients ------------------------------------------------------------ */

static int pool_class(at_pool *p, size_t bytes) {
    for (int i = 0; i < p->n; i++)
        if (p->bytes[i] == bytes) return i;
    if (p->n == AT_POOL_SIZES) return -1;
    p->bytes[p->n] = bytes;
    p->free[p->n] = NULL;
    return p->n++;
}

static size_t grad_bytes(const at_tensor *t) {
    const size_t n = (size_t)at_numel(t) * sizeof(at_real);
    return n < sizeof(void *) ? sizeof(void *) : n;
}

static at_real *pool_take(at_run *r, const at_tensor *t) {
    const size_t bytes = grad_bytes(t);
    const int i = pool_class(&r->pool, bytes);
    if (i < 0 || !r->pool.free[i]) return at_run_values(r, bytes);
    void *p = r->pool.free[i];
    memcpy(&r->pool.free[i], p, sizeof(void *)); /* links the list of free buffers */
    return p;
}

static void pool_give(at_run *r, at_tensor *t) {
    const int i = pool_class(&r->pool, grad_bytes(t));
    if (i >= 0) {
        memcpy(t->grad, &r->pool.free[i], sizeof(void *));
        r->pool.free[i] = t->grad;
    }
    t->grad = NULL;
}

at_real *at_grad_fresh(at_node *n, int i, bool *fresh) {
    at_tensor *t = n->in[i];
    *fresh = false;
    if (!t || !t->need_grad) return NULL;
    t = at_root(t);
    if (!t->grad) {
        t->grad = pool_take(n->run, t);
        *fresh = t->grad != NULL;
    }
    return t->grad;
}

at_real *at_grad(at_node *n, int i) {
    bool fresh;
    at_real *g = at_grad_fresh(n, i, &fresh);
    if (fresh) memset(g, 0, (size_t)at_numel(n->in[i]) * sizeof *g);
    return g;
}

/* Gradients that the op would collect; those of parameters have memory of their own. */
static void dry_backward(at_node *n) {
    bool fresh;
    at_cost c = {0};
    at_tally *y = n->run->tally;
    for (int i = 0; i < n->n_in; i++)
        if (n->in[i] && !at_root(n->in[i])->keep_grad) (void)at_grad_fresh(n, i, &fresh);
    if (n->op->cost) n->op->cost(n, &c);
    const double now = y->bytes + (double)n->run->arena->used + c.scratch;
    if (now > y->peak) y->peak = now;
}

at_status at_backward_from(at_run *r, at_tensor *t) {
    if (r->status != AT_OK) return at_run_status(r);
    if (!t || !t->grad) {
        at_fail(r, AT_ARG, "backward: nothing to start from");
        return at_run_status(r);
    }
    for (at_node *n = r->tape; n && r->status == AT_OK; n = n->prev) {
        at_tensor *y = n->out;
        if (!y->grad) continue; /* no gradient reached this node */
        if (r->dry)
            dry_backward(n);
        else
            n->op->bwd(n);
        for (int i = 0; i < n->n_in && !r->dry; i++)
            if (n->in[i]) at_root(n->in[i])->has_grad = true;
        if (!y->keep_grad && y != t) pool_give(r, y);
    }
    r->tape = NULL;
    return at_run_status(r);
}

at_status at_backward(at_run *r, at_tensor *loss, at_real scale) {
    if (r->status != AT_OK) return at_run_status(r);
    if (!loss || at_numel(loss) != 1) {
        at_fail(r, AT_SHAPE, "backward: the loss is not a single number");
        return at_run_status(r);
    }
    if (!loss->grad && !(loss->grad = at_run_alloc(r, sizeof(void *)))) return at_run_status(r);
    loss->grad[0] = scale;
    return at_backward_from(r, loss);
}

const at_parts *at_run_parts(const at_run *r, const at_tensor *x) {
    return r->parts.n > 1 && at_rows(x) == r->parts.all ? &r->parts : NULL;
}

void at_run_par(at_run *r, int64_t n, int64_t grain, at_par_fn f, void *arg) {
    at_par_for(r->cp->threads, n, grain, f, arg);
}
