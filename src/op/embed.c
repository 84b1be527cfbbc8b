/* embed.c - rows of a table.  In backward each worker has a slice of the columns and adds in the
   order of the ids, so that repeated ids give the same bits for every number of threads. */
#include "op/op.h"
#include <string.h>

typedef struct {
    int32_t *ids;
    at_real *d; /* during backward */
} embed_attr;

static void fwd_part(void *arg, int64_t begin, int64_t end, int worker) {
    const at_node *n = arg;
    const int32_t *ids = ((const embed_attr *)n->attr)->ids;
    const at_tensor *table = n->in[0];
    const int64_t c = at_cols(n->out);
    (void)worker;
    for (int64_t i = begin; i < end; i++) {
        at_real *to = n->out->data + i * c;
        if (table->data)
            memcpy(to, table->data + ids[i] * c, (size_t)c * sizeof *to);
        else
            n->run->cp->k.widen(c, table->bf16 + ids[i] * c, to);
    }
}
static void embed_fwd(at_node *n) { at_run_par(n->run, n->out->dim[0], 64, fwd_part, n); }

static void bwd_part(void *arg, int64_t begin, int64_t end, int worker) {
    const at_node *n = arg;
    const embed_attr *a = n->attr;
    const int64_t c = at_cols(n->out), rows = n->out->dim[0];
    (void)worker;
    for (int64_t i = 0; i < rows; i++)
        n->run->cp->k.acc(end - begin, n->out->grad + i * c + begin, a->d + a->ids[i] * c + begin);
}
static void embed_bwd(at_node *n) {
    embed_attr *a = n->attr;
    a->d = at_grad(n, 0);
    if (a->d) at_run_par(n->run, at_cols(n->out), 128, bwd_part, n);
}

/* A token uses a row, which is not counted. */
static void embed_cost(const at_node *n, at_cost *c) {
    (void)n;
    c->share = 0;
}

const at_op at_op_embed = {"embed", embed_fwd, embed_bwd, embed_cost};

at_tensor *at_embed(at_run *r, at_tensor *table, const int32_t *ids, int64_t n) {
    embed_attr *a = table ? at_run_alloc(r, sizeof *a) : NULL;
    if (!a || !(a->ids = at_run_alloc(r, (size_t)n * sizeof *a->ids))) return NULL;
    for (int64_t i = 0; i < n; i++) {
        if (ids[i] < 0 || ids[i] >= table->dim[0])
            return at_fail(r, AT_ARG, "embed %s: id %d at position %lld is outside [0,%lld)",
                           table->name ? table->name : "?", (int)ids[i], (long long)i,
                           (long long)table->dim[0]);
        a->ids[i] = ids[i];
    }
    at_tensor *y = at_new2(r, n, table->dim[1]);
    return at_apply_bf16(r, &at_op_embed, &table, 1, y, a);
}
