/* attention.c - causal attention row by row; keeps the log-sum-exp of each row. */
#include "op/op.h"
#include <math.h>
#include <string.h>

typedef struct {
    int64_t B, T, C;
    int H;
    at_real *lse; /* [B,H,T] */
    at_real *tmp; /* [threads, T] */
    at_real *d;
} attention_attr;

static void fwd_part(void *arg, int64_t begin, int64_t end, int worker) {
    const at_node *n = arg;
    const attention_attr *a = n->attr;
    const at_kernels *k = &n->run->cp->k;
    const int64_t D = a->C / a->H, ld = 3 * a->C;
    const at_real scale = (at_real)(1 / sqrt((double)D));
    at_real *p = a->tmp + worker * a->T;
    for (int64_t bh = begin; bh < end; bh++) {
        const int64_t b = bh / a->H, h = bh % a->H;
        const at_real *q = n->in[0]->data + b * a->T * ld + h * D, *key = q + a->C,
                      *val = key + a->C;
        at_real *y = n->out->data + b * a->T * a->C + h * D;
        for (int64_t i = 0; i < a->T; i++) {
            for (int64_t j = 0; j <= i; j++) p[j] = scale * k->dot(D, q + i * ld, key + j * ld);
            const at_real top = k->max(i + 1, p), sum = k->expsum(i + 1, 1, top, p, p);
            memset(y + i * a->C, 0, (size_t)D * sizeof *y);
            for (int64_t j = 0; j <= i; j++) k->axpy(D, p[j] / sum, val + j * ld, y + i * a->C);
            a->lse[bh * a->T + i] = (at_real)((double)top + log((double)sum));
        }
    }
}

static void bwd_part(void *arg, int64_t begin, int64_t end, int worker) {
    const at_node *n = arg;
    const attention_attr *a = n->attr;
    const at_kernels *k = &n->run->cp->k;
    const int64_t D = a->C / a->H, ld = 3 * a->C;
    const at_real scale = (at_real)(1 / sqrt((double)D));
    (void)worker;
    for (int64_t bh = begin; bh < end; bh++) {
        const int64_t b = bh / a->H, h = bh % a->H, at = b * a->T * ld + h * D;
        const at_real *q = n->in[0]->data + at, *key = q + a->C, *val = key + a->C;
        at_real *dq = a->d + at, *dk = dq + a->C, *dv = dk + a->C;
        const at_real *y = n->out->data + b * a->T * a->C + h * D;
        const at_real *dy = n->out->grad + b * a->T * a->C + h * D;
        for (int64_t i = 0; i < a->T; i++) {
            const at_real dot = k->dot(D, dy + i * a->C, y + i * a->C);
            for (int64_t j = 0; j <= i; j++) {
                const double s = (double)(scale * k->dot(D, q + i * ld, key + j * ld));
                const at_real p = (at_real)exp(s - (double)a->lse[bh * a->T + i]);
                const at_real ds = p * scale * (k->dot(D, dy + i * a->C, val + j * ld) - dot);
                k->axpy(D, p, dy + i * a->C, dv + j * ld);
                k->axpy(D, ds, key + j * ld, dq + i * ld);
                k->axpy(D, ds, q + i * ld, dk + j * ld);
            }
        }
    }
}

static void attention_fwd(at_node *n) {
    const attention_attr *a = n->attr;
    at_run_par(n->run, a->B * a->H, 1, fwd_part, n);
}
static void attention_bwd(at_node *n) {
    attention_attr *a = n->attr;
    a->d = at_grad(n, 0);
    if (a->d) at_run_par(n->run, a->B * a->H, 1, bwd_part, n);
}

const at_op at_op_attention = {"attention", attention_fwd, attention_bwd};

static bool fits(at_run *r, const at_tensor *qkv, int64_t rows, int heads) {
    const int64_t C = at_cols(qkv) / 3;
    if (at_cols(qkv) == 3 * C && heads > 0 && C % heads == 0 && at_rows(qkv) == rows) return true;
    char s[96];
    at_fail(r, AT_SHAPE, "attention: qkv %s for %lld tokens and %d heads", at_shape_text(qkv, s),
            (long long)rows, heads);
    return false;
}

at_tensor *at_attention(at_run *r, at_tensor *qkv, int64_t B, int64_t T, int heads) {
    if (!qkv || !fits(r, qkv, B * T, heads)) return NULL;
    attention_attr *a = at_save(r, sizeof *a);
    if (!a) return NULL;
    *a = (attention_attr){.B = B, .T = T, .C = at_cols(qkv) / 3, .H = heads};
    a->lse = at_save(r, (size_t)(B * T * heads) * sizeof *a->lse);
    a->tmp = at_save(r, (size_t)(T * r->cp->threads) * sizeof *a->tmp);
    if (!a->lse || !a->tmp) return NULL;
    at_tensor *y = at_new2(r, B * T, a->C);
    return at_apply(r, &at_op_attention, &qkv, 1, y, a);
}

at_tensor *at_attention_cached(at_run *r, at_tensor *qkv, at_kv *c, int heads) {
    if (!qkv || !fits(r, qkv, at_rows(qkv), heads)) return NULL;
    const int64_t T = at_rows(qkv), C = at_cols(qkv) / 3, D = C / heads, ld = 3 * C;
    if (c->n + T > c->cap)
        return at_fail(r, AT_ARG, "attention: %lld tokens after %lld cached ones exceed %lld",
                       (long long)T, (long long)c->n, (long long)c->cap);
    at_tensor *y = at_new2(r, T, C);
    at_real *p = at_save(r, (size_t)c->cap * sizeof *p);
    if (!y || !p) return NULL;
    const at_kernels *k = &r->cp->k;
    const at_real scale = (at_real)(1 / sqrt((double)D));
    for (int64_t t = 0; t < T; t++, c->n++) {
        const at_real *q = qkv->data + t * ld;
        memcpy(c->k + c->n * C, q + C, (size_t)C * sizeof *q);
        memcpy(c->v + c->n * C, q + 2 * C, (size_t)C * sizeof *q);
        memset(y->data + t * C, 0, (size_t)C * sizeof *q);
        for (int64_t h = 0; h < C; h += D) {
            const int64_t n = c->n + 1;
            for (int64_t j = 0; j < n; j++) p[j] = scale * k->dot(D, q + h, c->k + j * C + h);
            const at_real sum = k->expsum(n, 1, k->max(n, p), p, p);
            for (int64_t j = 0; j < n; j++)
                k->axpy(D, p[j] / sum, c->v + j * C + h, y->data + t * C + h);
        }
    }
    return y;
}
