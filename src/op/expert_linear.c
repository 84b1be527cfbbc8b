/*
 * expert_linear.c - one matrix an expert, applied to the rows routed to it.
 *
 * Rows are gathered into a tile, multiplied, and scattered to their slots; a task is an expert and
 * a tile of its rows (or, for the gradient of its matrix, a block of columns), so an expert
 * without rows costs nothing.  Every slot belongs to one task, and the gradient of a token's row
 * is summed over its slots in their order: the number of workers changes no bit.
 */
#include "op/op.h"
#include <string.h>

enum { TILE = 128, COLUMNS = 128 };

typedef struct {
    at_routing ro;
    bool per_slot; /* x has a row a slot */
} expert_attr;

typedef struct {
    int64_t expert, begin, end; /* places in ro.slot, or columns of the expert's matrix */
} task;

typedef struct {
    const at_node *n;
    const task *tasks;
    int64_t in, out;
    at_real *scratch;
    int64_t stride;
    at_real *dx;  /* [slots, in] */
    bool add;     /* to dx       */
    at_real **dw; /* [E], NULL: not wanted */
} job;

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

static const at_routing *routing(const at_node *n) { return &((const expert_attr *)n->attr)->ro; }

/* Rows of x at places [begin, end) of the slot list, one after the other. */
static void gather_x(const job *b, int64_t begin, int64_t end, at_real *to) {
    const expert_attr *a = b->n->attr;
    for (int64_t i = begin; i < end; i++) {
        const int64_t s = a->ro.slot[i], row = a->per_slot ? s : s / a->ro.k;
        memcpy(to + (i - begin) * b->in, b->n->in[0]->data + row * b->in,
               (size_t)b->in * sizeof *to);
    }
}
/* Columns [c0, c0+cols) of rows of dy. */
static void gather_dy(const job *b, int64_t begin, int64_t end, int64_t c0, int64_t cols,
                      at_real *to) {
    const at_routing *ro = routing(b->n);
    for (int64_t i = begin; i < end; i++)
        memcpy(to + (i - begin) * cols, b->n->out->grad + ro->slot[i] * b->out + c0,
               (size_t)cols * sizeof *to);
}

/* On the calling worker nothing is allocated, so nothing can fail. */
static void product(const job *b, const at_gemm *g, int worker) {
    (void)at_gemm_serial(b->n->run->cp, g, worker);
}

static void fwd_part(void *arg, int64_t begin, int64_t end, int worker) {
    const job *b = arg;
    const at_routing *ro = routing(b->n);
    at_real *x = b->scratch + worker * b->stride, *y = x + TILE * b->in;
    for (int64_t i = begin; i < end; i++) {
        const task *t = &b->tasks[i];
        gather_x(b, t->begin, t->end, x);
        product(b,
                &(at_gemm){.m = t->end - t->begin,
                           .n = b->out,
                           .k = b->in,
                           .a = x,
                           .lda = b->in,
                           .b = b->n->in[1 + t->expert]->data,
                           .ldb = b->out,
                           .c = y,
                           .ldc = b->out},
                worker);
        for (int64_t s = t->begin; s < t->end; s++)
            memcpy(b->n->out->data + ro->slot[s] * b->out, y + (s - t->begin) * b->out,
                   (size_t)b->out * sizeof *y);
    }
}

/* dx of each slot: dy W^T */
static void dx_part(void *arg, int64_t begin, int64_t end, int worker) {
    const job *b = arg;
    const at_routing *ro = routing(b->n);
    at_real *x = b->scratch + worker * b->stride, *y = x + TILE * b->in;
    for (int64_t i = begin; i < end; i++) {
        const task *t = &b->tasks[i];
        gather_dy(b, t->begin, t->end, 0, b->out, y);
        product(b,
                &(at_gemm){.tb = true,
                           .m = t->end - t->begin,
                           .n = b->in,
                           .k = b->out,
                           .a = y,
                           .lda = b->out,
                           .b = b->n->in[1 + t->expert]->data,
                           .ldb = b->out,
                           .c = x,
                           .ldc = b->in},
                worker);
        for (int64_t s = t->begin; s < t->end; s++) {
            at_real *to = b->dx + ro->slot[s] * b->in, *from = x + (s - t->begin) * b->in;
            if (b->add)
                b->n->run->cp->k.acc(b->in, from, to);
            else
                memcpy(to, from, (size_t)b->in * sizeof *to);
        }
    }
}

/* A token's row: the sum over its slots. */
typedef struct {
    const at_kernels *k;
    const at_real *slots;
    at_real *dx;
    int64_t per_token, width;
    bool fresh;
} token_sum;
static void token_part(void *arg, int64_t begin, int64_t end, int worker) {
    const token_sum *b = arg;
    const int64_t w = b->width;
    (void)worker;
    for (int64_t i = begin; i < end; i++) {
        const at_real *from = b->slots + i * b->per_token * w;
        int64_t j = 0;
        if (b->fresh) {
            memcpy(b->dx + i * w, from, (size_t)w * sizeof *from);
            j = 1;
        }
        for (; j < b->per_token; j++) b->k->acc(w, from + j * w, b->dx + i * w);
    }
}

/* dW[:, begin..end) += x^T dy over all rows of the expert, tile after tile. */
static void dw_part(void *arg, int64_t begin, int64_t end, int worker) {
    const job *b = arg;
    const at_routing *ro = routing(b->n);
    at_real *x = b->scratch + worker * b->stride, *y = x + TILE * b->in;
    for (int64_t i = begin; i < end; i++) {
        const task *t = &b->tasks[i];
        const int64_t cols = t->end - t->begin, last = ro->first[t->expert + 1];
        for (int64_t s = ro->first[t->expert]; s < last; s += TILE) {
            const int64_t to = least(s + TILE, last);
            gather_x(b, s, to, x);
            gather_dy(b, s, to, t->begin, cols, y);
            product(b,
                    &(at_gemm){.ta = true,
                               .m = b->in,
                               .n = cols,
                               .k = to - s,
                               .a = x,
                               .lda = b->in,
                               .b = y,
                               .ldb = cols,
                               .c = b->dw[t->expert] + t->begin,
                               .ldc = b->out,
                               .accumulate = true},
                    worker);
        }
    }
}

/* ---- tasks ---- */

static int64_t pieces(int64_t n, int64_t size) { return (n + size - 1) / size; }

/* Tiles of the rows of every expert. */
static task *row_tasks(const at_node *n, int64_t *count) {
    const at_routing *ro = routing(n);
    *count = 0;
    for (int64_t e = 0; e < ro->e; e++) *count += pieces(ro->first[e + 1] - ro->first[e], TILE);
    task *t = at_save(n->run, (size_t)*count * sizeof *t), *p = t;
    for (int64_t e = 0; t && e < ro->e; e++)
        for (int64_t s = ro->first[e]; s < ro->first[e + 1]; s += TILE)
            *p++ = (task){e, s, least(s + TILE, ro->first[e + 1])};
    return t;
}
/* Blocks of columns of every matrix whose gradient is wanted. */
static task *column_tasks(const job *b, int64_t *count) {
    const at_routing *ro = routing(b->n);
    *count = 0;
    task *t = at_save(b->n->run, (size_t)(ro->e * pieces(b->out, COLUMNS)) * sizeof *t);
    for (int64_t e = 0; t && e < ro->e; e++)
        for (int64_t c = 0; b->dw[e] && c < b->out; c += COLUMNS)
            t[(*count)++] = (task){e, c, least(c + COLUMNS, b->out)};
    return t;
}

static bool lend(job *b) {
    const int64_t values = TILE * (b->in + b->out);
    b->scratch = at_scratch(b->n->run->cp, values);
    b->stride = at_scratch_stride(values);
    if (!b->scratch) at_fail(b->n->run, AT_OOM, "expert_linear: %s", b->n->run->ctx->message);
    return b->scratch != NULL;
}

static void expert_linear_fwd(at_node *n) {
    job b = {.n = n, .in = at_cols(n->in[0]), .out = at_cols(n->out)};
    const at_mark mark = at_arena_mark(n->run->arena);
    int64_t count;
    b.tasks = row_tasks(n, &count);
    if (b.tasks && lend(&b)) at_run_par(n->run, count, 1, fwd_part, &b);
    at_arena_rewind(n->run->arena, mark);
}

static void grad_x(job *b, at_real *dx, bool fresh) {
    const expert_attr *a = b->n->attr;
    at_run *r = b->n->run;
    int64_t count;
    b->tasks = row_tasks(b->n, &count);
    b->dx = a->per_slot ? dx : at_save(r, (size_t)(a->ro.n * a->ro.k * b->in) * sizeof *dx);
    b->add = a->per_slot && !fresh;
    if (!b->tasks || !b->dx) return;
    at_run_par(r, count, 1, dx_part, b);
    if (!a->per_slot)
        at_run_par(r, a->ro.n, 16, token_part,
                   &(token_sum){&r->cp->k, b->dx, dx, a->ro.k, b->in, fresh});
}

static void expert_linear_bwd(at_node *n) {
    const at_routing *ro = routing(n);
    job b = {.n = n, .in = at_cols(n->in[0]), .out = at_cols(n->out)};
    bool fresh;
    at_real *dx = at_grad_fresh(n, 0, &fresh);
    if (!(b.dw = at_save(n->run, (size_t)ro->e * sizeof *b.dw))) return;
    for (int64_t e = 0; e < ro->e; e++) /* an idle expert gets no gradient */
        b.dw[e] = ro->first[e] < ro->first[e + 1] ? at_grad(n, (int)(1 + e)) : NULL;
    if (n->run->status != AT_OK || !lend(&b)) return;
    const at_mark mark = at_arena_mark(n->run->arena);
    if (dx) grad_x(&b, dx, fresh);
    int64_t count;
    b.tasks = column_tasks(&b, &count);
    if (b.tasks) at_run_par(n->run, count, 1, dw_part, &b);
    at_arena_rewind(n->run->arena, mark);
}

const at_op at_op_expert_linear = {"expert_linear", expert_linear_fwd, expert_linear_bwd};

at_tensor *at_expert_linear(at_run *r, at_tensor *x, at_tensor *const *w, const at_routing *ro) {
    if (!x || !w || r->status != AT_OK) return NULL;
    const bool per_slot = x->rank == 3;
    bool fits = at_rows(x) == (per_slot ? ro->n * ro->k : ro->n);
    for (int64_t e = 0; e < ro->e && fits; e++) {
        fits = w[e]->rank == 2 && w[e]->dim[0] == at_cols(x) && w[e]->dim[1] == w[0]->dim[1];
        if (fits) continue;
        char sx[96], sw[96];
        return at_fail(r, AT_SHAPE, "expert_linear: x %s and matrix %lld %s %s (in,out)",
                       at_shape_text(x, sx), (long long)e, w[e]->name ? w[e]->name : "?",
                       at_shape_text(w[e], sw));
    }
    if (!fits) {
        char sx[96];
        return at_fail(r, AT_SHAPE, "expert_linear: x %s for %lld tokens of %lld slots",
                       at_shape_text(x, sx), (long long)ro->n, (long long)ro->k);
    }
    expert_attr *a = at_save(r, sizeof *a);
    at_tensor **in = at_save(r, (size_t)(1 + ro->e) * sizeof *in);
    if (!a || !in) return NULL;
    *a = (expert_attr){*ro, per_slot};
    in[0] = x;
    memcpy(in + 1, w, (size_t)ro->e * sizeof *in);
    at_tensor *y = at_new(r, 3, (int64_t[]){ro->n, ro->k, w[0]->dim[1]});
    return at_apply(r, &at_op_expert_linear, in, (int)(1 + ro->e), y, a);
}

at_tensor *const *at_slices(at_run *r, at_tensor *t) {
    if (!t || r->status != AT_OK) return NULL;
    const int64_t size = at_numel(t) / t->dim[0];
    if (t->rank < 2 || (t->need_grad && !t->grad))
        return at_fail(r, AT_ARG, "slices: %s is no parameter", t->name ? t->name : "this tensor");
    at_tensor **list = at_save(r, (size_t)t->dim[0] * sizeof *list);
    at_tensor *slice = at_save(r, (size_t)t->dim[0] * sizeof *slice);
    if (!list || !slice) return NULL;
    for (int64_t e = 0; e < t->dim[0]; e++) {
        slice[e] = *t;
        slice[e].rank--;
        memmove(slice[e].dim, t->dim + 1, (size_t)slice[e].rank * sizeof *t->dim);
        slice[e].data = t->data + e * size;
        slice[e].grad = t->grad ? t->grad + e * size : NULL;
        list[e] = &slice[e];
    }
    return list;
}
