/*
 * rope.c - rotary positions: pairs of values are rotated by angles in proportion to the position.
 *
 * The gradient of a rotation is the inverse rotation.  Angles are computed in double: in float the
 * error at position 30000 is 1e-3.
 */
#include "base/maths.h"
#include "op/op.h"
#include <math.h>

enum { GRAIN = 32 }; /* rows */

typedef struct {
    const at_angles *angles;
    int64_t slots; /* rows of a token */
    at_real *dx;   /* backward */
    bool fresh;
} rope_attr;

const at_angles *at_rope_angles(at_run *r, const int32_t *position, int64_t n, int64_t D,
                                double theta) {
    if (r->status != AT_OK || !position) return NULL;
    if (n < 1 || D < 2 || D % 2 || !(theta > 0))
        return at_fail(r, AT_ARG, "rope: %lld positions for heads of %lld values", (long long)n,
                       (long long)D);
    const int64_t half = D / 2;
    at_angles *a = at_run_alloc(r, sizeof *a);
    at_real *cosine = at_run_alloc(r, (size_t)(n * half) * sizeof *cosine);
    at_real *sine = at_run_alloc(r, (size_t)(n * half) * sizeof *sine);
    if (!a || !cosine || !sine) return NULL;
    for (int64_t i = 0; i < half; i++) {
        const double speed = at_pow(theta, -2.0 * (double)i / (double)D);
        for (int64_t t = 0; t < n; t++) {
            const double angle = (double)position[t] * speed;
            cosine[t * half + i] = (at_real)at_cos(angle);
            sine[t * half + i] = (at_real)at_sin(angle);
        }
    }
    *a = (at_angles){n, half, cosine, sine};
    return a;
}

/* y (+)= row i of x, rotated; way is 1, or -1 for the inverse rotation. */
static void turn(const rope_attr *a, int64_t i, int64_t width, at_real way, const at_real *x,
                 at_real *y, bool plus) {
    const int64_t half = a->angles->half;
    const int64_t at = i / a->slots % a->angles->n * half;
    const at_real *c = a->angles->cosine + at, *s = a->angles->sine + at;
    for (int64_t h = 0; h < width; h += 2 * half) {
        const at_real *u = x + h, *v = u + half;
        at_real *p = y + h, *q = p + half;
        for (int64_t j = 0; j < half; j++) {
            const at_real left = u[j] * c[j] - way * s[j] * v[j];
            const at_real right = v[j] * c[j] + way * s[j] * u[j];
            p[j] = plus ? p[j] + left : left;
            q[j] = plus ? q[j] + right : right;
        }
    }
}

static void fwd_part(void *arg, int64_t begin, int64_t end, int worker) {
    const at_node *n = arg;
    const int64_t width = at_cols(n->out);
    (void)worker;
    for (int64_t i = begin; i < end; i++)
        turn(n->attr, i, width, 1, n->in[0]->data + i * width, n->out->data + i * width, false);
}
static void rope_fwd(at_node *n) { at_run_par(n->run, at_rows(n->out), GRAIN, fwd_part, n); }

static void bwd_part(void *arg, int64_t begin, int64_t end, int worker) {
    const at_node *n = arg;
    const rope_attr *a = n->attr;
    const int64_t width = at_cols(n->out);
    (void)worker;
    for (int64_t i = begin; i < end; i++)
        turn(a, i, width, -1, n->out->grad + i * width, a->dx + i * width, !a->fresh);
}
static void rope_bwd(at_node *n) {
    rope_attr *a = n->attr;
    a->dx = at_grad_fresh(n, 0, &a->fresh);
    if (a->dx) at_run_par(n->run, at_rows(n->out), GRAIN, bwd_part, n);
}

const at_op at_op_rope = {"rope", rope_fwd, rope_bwd, NULL};

at_tensor *at_rope(at_run *r, at_tensor *x, int64_t slots, const at_angles *angles) {
    if (!x || !angles) return NULL;
    if (slots < 1 || at_rows(x) % (angles->n * slots) || at_cols(x) % (2 * angles->half)) {
        char s[96];
        return at_fail(r, AT_SHAPE, "rope: x %s for %lld positions, %lld slots, heads of %lld",
                       at_shape_text(x, s), (long long)angles->n, (long long)slots,
                       (long long)(2 * angles->half));
    }
    rope_attr *a = at_run_alloc(r, sizeof *a);
    at_tensor *y = a ? at_new(r, x->rank, x->dim) : NULL;
    if (!y) return NULL;
    *a = (rope_attr){.angles = angles, .slots = slots};
    return at_apply(r, &at_op_rope, &x, 1, y, a);
}
