/* pool.c - the largest value, or the mean, of a window, for each channel. */
#include "op/op.h"
#include "op/window.h"

typedef struct {
    at_window w;
    at_pool_kind kind;
    int32_t *from; /* of the largest: which pixel of the image, as many as there are results */
    at_real *dx;   /* during backward */
} pool_attr;

/* Bounds of the part of a window that lies in the image. */
typedef struct {
    int64_t top, bottom, left, right;
} span;

static span visible(const at_placed *p, int64_t y, int64_t x) {
    span s = {y * p->w.stride - p->w.pad, 0, x * p->w.stride - p->w.pad, 0};
    s.bottom = s.top + p->w.rows < p->height ? s.top + p->w.rows : p->height;
    s.right = s.left + p->w.columns < p->width ? s.left + p->w.columns : p->width;
    if (s.top < 0) s.top = 0;
    if (s.left < 0) s.left = 0;
    return s;
}

/* Of equal values the first one counts. */
static void largest(const at_placed *p, const at_real *image, const span *s, at_real *to,
                    int32_t *from) {
    const int64_t first = s->top * p->width + s->left;
    for (int64_t c = 0; c < p->channels; c++) {
        to[c] = image[first * p->channels + c];
        from[c] = (int32_t)first;
    }
    for (int64_t i = s->top; i < s->bottom; i++)
        for (int64_t j = s->left; j < s->right; j++) {
            const int64_t at = i * p->width + j;
            const at_real *pixel = image + at * p->channels;
            for (int64_t c = 0; c < p->channels; c++) {
                const bool more = pixel[c] > to[c];
                from[c] = more ? (int32_t)at : from[c];
                to[c] = more ? pixel[c] : to[c];
            }
        }
}
static void mean(const at_placed *p, const at_real *image, const span *s, at_real *to) {
    const double n = (double)((s->bottom - s->top) * (s->right - s->left));
    for (int64_t c = 0; c < p->channels; c++) {
        double sum = 0;
        for (int64_t i = s->top; i < s->bottom; i++)
            for (int64_t j = s->left; j < s->right; j++)
                sum += (double)image[(i * p->width + j) * p->channels + c];
        to[c] = (at_real)(sum / n);
    }
}

static void fwd_part(void *arg, int64_t begin, int64_t end, int worker) {
    const at_node *n = arg;
    const pool_attr *a = n->attr;
    const at_placed p = at_window_place(n->in[0], &a->w);
    const int64_t size = p.height * p.width * p.channels;
    int64_t at = begin * p.down * p.across * p.channels;
    (void)worker;
    for (int64_t b = begin; b < end; b++)
        for (int64_t y = 0; y < p.down; y++)
            for (int64_t x = 0; x < p.across; x++, at += p.channels) {
                const span s = visible(&p, y, x);
                if (a->kind == AT_POOL_MAX)
                    largest(&p, n->in[0]->data + b * size, &s, n->out->data + at, a->from + at);
                else
                    mean(&p, n->in[0]->data + b * size, &s, n->out->data + at);
            }
}
static void pool_fwd(at_node *n) { at_run_par(n->run, n->out->dim[0], 1, fwd_part, n); }

static void spread(const at_placed *p, const at_real *dy, const span *s, at_real *dx) {
    const at_real n = (at_real)((s->bottom - s->top) * (s->right - s->left));
    for (int64_t i = s->top; i < s->bottom; i++)
        for (int64_t j = s->left; j < s->right; j++)
            for (int64_t c = 0; c < p->channels; c++)
                dx[(i * p->width + j) * p->channels + c] += dy[c] / n;
}

static void bwd_part(void *arg, int64_t begin, int64_t end, int worker) {
    const at_node *n = arg;
    const pool_attr *a = n->attr;
    const at_placed p = at_window_place(n->in[0], &a->w);
    const int64_t size = p.height * p.width * p.channels;
    int64_t at = begin * p.down * p.across * p.channels;
    (void)worker;
    for (int64_t b = begin; b < end; b++)
        for (int64_t y = 0; y < p.down; y++)
            for (int64_t x = 0; x < p.across; x++, at += p.channels) {
                const span s = visible(&p, y, x);
                if (a->kind == AT_POOL_MEAN)
                    spread(&p, n->out->grad + at, &s, a->dx + b * size);
                else
                    for (int64_t c = 0; c < p.channels; c++)
                        a->dx[b * size + a->from[at + c] * p.channels + c] += n->out->grad[at + c];
            }
}
static void pool_bwd(at_node *n) {
    pool_attr *a = n->attr;
    a->dx = at_grad(n, 0);
    if (a->dx) at_run_par(n->run, n->out->dim[0], 1, bwd_part, n);
}

const at_op at_op_pool = {"pool", pool_fwd, pool_bwd, NULL};

at_tensor *at_pool_window(at_run *r, at_tensor *x, const at_window *w, at_pool_kind kind) {
    pool_attr *a = x ? at_run_alloc(r, sizeof *a) : NULL;
    if (!a || !at_window_fits(r, "pool", x, w)) return NULL;
    const at_placed p = at_window_place(x, w);
    const int64_t dim[] = {x->dim[0], p.down, p.across, p.channels};
    *a = (pool_attr){.w = *w, .kind = kind};
    at_tensor *y = at_new(r, 4, dim);
    if (y && kind == AT_POOL_MAX &&
        !(a->from = at_run_values(r, (size_t)at_numel(y) * sizeof *a->from)))
        return NULL;
    return at_apply(r, &at_op_pool, &x, 1, y, a);
}
