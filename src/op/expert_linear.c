/*
 * expert_linear.c - each expert's matrix is applied to the rows routed to it, see
 * kernel/gemm_group.h.
 *
 * The gradient of a token's row is the sum over its slots, in the order of the slots, so that the
 * number of workers changes no bit.
 */
#include "kernel/gemm_few.h"
#include "kernel/gemm_group.h"
#include "op/op.h"
#include <string.h>

typedef struct {
    at_routing ro;
    bool per_slot; /* x has a row a slot */
} expert_attr;

static const at_routing *routing(const at_node *n) { return &((const expert_attr *)n->attr)->ro; }

static at_groups groups(const at_node *n) {
    const expert_attr *a = n->attr;
    return (at_groups){a->ro.e, a->ro.first, a->ro.slot, a->per_slot ? 1 : a->ro.k};
}

/* The matrices of all groups, each of its own type: of every expert, or of expert[i]. */
typedef struct {
    const at_real **w;
    const uint16_t **w16; /* or here */
} matrices;
static bool collect(const at_node *n, const at_groups *of, const int64_t *expert, matrices *m) {
    m->w = at_run_alloc(n->run, (size_t)of->e * sizeof *m->w);
    m->w16 = at_run_alloc(n->run, (size_t)of->e * sizeof *m->w16);
    for (int64_t i = 0; m->w && m->w16 && i < of->e; i++) {
        const at_tensor *w = n->in[1 + (expert ? expert[i] : i)];
        const int64_t rows = of->first[i + 1] - of->first[i];
        m->w[i] = w->data;
        m->w16[i] = w->bf16;
        if (!w->data && !w->bf16 && rows > 0)
            at_fail(n->run, AT_ARG, "expert_linear: `%s` is absent, and %lld tokens chose it",
                    w->name ? w->name : "a matrix", (long long)rows);
    }
    return n->run->status == AT_OK;
}

/* Groups in place of an expert's: of the slots of a part with many of them, and of at most AT_FEW
   slots of parts with few.  So each part gets the bits that it gets alone, see at_parts. */
typedef struct {
    int64_t n, *first, *row, *expert;
} split;
static void join(split *s, const int64_t *slot, int64_t n, int64_t expert, bool few) {
    for (int64_t i = 0; i < n; i++) {
        const int64_t last = s->n - 1, at = s->n ? s->first[s->n] : 0;
        if (!s->n || s->expert[last] != expert || (few ? at - s->first[last] == AT_FEW : !i)) {
            s->expert[s->n] = expert;
            s->first[s->n++] = at;
        }
        s->row[at] = slot[i];
        s->first[s->n] = at + 1;
    }
}

static const int64_t *by_parts(const at_node *n, const at_parts *parts, at_groups *of) {
    const at_routing *ro = routing(n);
    const size_t bytes = (size_t)(ro->n * ro->k + 1) * sizeof(int64_t);
    split s = {0, at_run_alloc(n->run, bytes), at_run_alloc(n->run, bytes),
               at_run_alloc(n->run, bytes)};
    if (!s.first || !s.row || !s.expert) return NULL;
    for (int64_t x = 0; x < ro->e; x++)
        for (int few = 1; few >= 0; few--) {
            int64_t i = ro->first[x], end = 0;
            for (int64_t p = 0; p < parts->n; p++) {
                const int64_t begin = i;
                end += parts->rows[p] * ro->k;
                while (i < ro->first[x + 1] && ro->slot[i] < end) i++;
                if (at_is_few(false, i - begin) == few)
                    join(&s, ro->slot + begin, i - begin, x, few);
            }
        }
    *of = (at_groups){s.n, s.first, s.row, of->share};
    return s.expert;
}

static void failed(const at_node *n, at_status s) {
    if (s != AT_OK) at_fail(n->run, s, "expert_linear: %s", n->run->ctx->message);
}

static void expert_linear_fwd(at_node *n) {
    const int64_t in = at_cols(n->in[0]), out = at_cols(n->out);
    const at_mark mark = at_arena_mark(n->run->arena);
    const at_parts *parts = &n->run->parts;
    const bool apart = parts->n > 1 && parts->all == routing(n)->n;
    at_groups of = groups(n);
    const int64_t *expert = apart ? by_parts(n, parts, &of) : NULL;
    matrices m;
    if (expert || !apart ? collect(n, &of, expert, &m) : false)
        failed(n, at_gemm_group_run(n->run->cp, &(at_gemm_group){.of = of,
                                                                 .n = out,
                                                                 .k = in,
                                                                 .a = n->in[0]->data,
                                                                 .lda = in,
                                                                 .b = m.w,
                                                                 .b16 = m.w16,
                                                                 .ldb = out,
                                                                 .c = n->out->data,
                                                                 .ldc = out}));
    at_arena_rewind(n->run->arena, mark);
}

/* The gradient of a token's row: the sum over its slots. */
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

/* dx of each slot is dy W^T. */
static void grad_x(const at_node *n, at_real *dx, bool fresh) {
    const expert_attr *a = n->attr;
    at_run *r = n->run;
    const int64_t in = at_cols(n->in[0]), out = at_cols(n->out);
    at_groups of = groups(n);
    of.share = 1; /* dy has a row a slot */
    matrices m;
    const bool some = collect(n, &of, NULL, &m);
    at_real *slots =
        a->per_slot ? dx : at_run_alloc(r, (size_t)(a->ro.n * a->ro.k * in) * sizeof *dx);
    if (!some || !slots) return;
    failed(n, at_gemm_group_run(r->cp, &(at_gemm_group){.of = of,
                                                        .tb = true,
                                                        .n = in,
                                                        .k = out,
                                                        .a = n->out->grad,
                                                        .lda = out,
                                                        .b = m.w,
                                                        .b16 = m.w16,
                                                        .ldb = out,
                                                        .c = slots,
                                                        .ldc = in,
                                                        .accumulate = a->per_slot && !fresh}));
    if (!a->per_slot)
        at_run_par(r, a->ro.n, 16, token_part,
                   &(token_sum){&r->cp->k, slots, dx, a->ro.k, in, fresh});
}

static void expert_linear_bwd(at_node *n) {
    const at_routing *ro = routing(n);
    const int64_t in = at_cols(n->in[0]), out = at_cols(n->out);
    bool fresh;
    at_real *dx = at_grad_fresh(n, 0, &fresh),
            **dw = at_run_alloc(n->run, (size_t)ro->e * sizeof *dw);
    if (!dw) return;
    for (int64_t e = 0; e < ro->e; e++) /* an expert without slots gets no gradient */
        dw[e] = ro->first[e] < ro->first[e + 1] ? at_grad(n, (int)(1 + e)) : NULL;
    if (n->run->status != AT_OK) return;
    const at_mark mark = at_arena_mark(n->run->arena);
    if (dx) grad_x(n, dx, fresh);
    at_arena_rewind(n->run->arena, mark);
    failed(n, at_gemm_outer_run(n->run->cp, &(at_gemm_outer){.of = groups(n),
                                                             .m = in,
                                                             .n = out,
                                                             .a = n->in[0]->data,
                                                             .lda = in,
                                                             .b = n->out->grad,
                                                             .ldb = out,
                                                             .c = dw,
                                                             .ldc = out}));
}

static void expert_linear_cost(const at_node *n, at_cost *c) {
    const at_routing *ro = routing(n);
    const double product = 2 * (double)(ro->n * ro->k * at_cols(n->in[0]) * at_cols(n->out));
    bool some = false;
    for (int64_t e = 0; e < ro->e; e++) some |= n->in[1 + e]->need_grad;
    c->forward = product;
    c->backward = product * (n->in[0]->need_grad + some);
    c->share = (double)ro->k / (double)ro->e;
    if (n->in[0]->need_grad && !((const expert_attr *)n->attr)->per_slot)
        c->scratch = (double)(ro->n * ro->k * at_cols(n->in[0])) * sizeof(at_real);
}

const at_op at_op_expert_linear = {"expert_linear", expert_linear_fwd, expert_linear_bwd,
                                   expert_linear_cost};

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
    expert_attr *a = at_run_alloc(r, sizeof *a);
    at_tensor **in = at_run_alloc(r, (size_t)(1 + ro->e) * sizeof *in);
    if (!a || !in) return NULL;
    *a = (expert_attr){*ro, per_slot};
    in[0] = x;
    memcpy(in + 1, w, (size_t)ro->e * sizeof *in);
    at_tensor *y = at_new(r, 3, (int64_t[]){ro->n, ro->k, w[0]->dim[1]});
    return at_apply_bf16(r, &at_op_expert_linear, in, (int)(1 + ro->e), y, a);
}
