/* patches.c - what a convolution sees at each place of an image, as a row: the convolution itself is
   then a linear map of rows.  In backward a worker has whole images, so that no two add to one pixel. */
#include "op/op.h"
#include "op/window.h"
#include <string.h>

typedef struct {
    at_window w;
    at_real *dx; /* during backward */
} patches_attr;

/* The part of a row of a window that lies in the image: columns [from, to) of it; none where the row does
   not.  It is one stretch of memory, channels and all. */
typedef struct {
    int64_t from, to;
} stretch;
static stretch inside(const at_placed *p, int64_t row, int64_t at) {
    stretch s = {at < 0 ? -at : 0, p->width - at < p->w.columns ? p->width - at : p->w.columns};
    if (row < 0 || row >= p->height || s.to < s.from) s.from = s.to = p->w.columns;
    return s;
}

/* One row of a window at one place: pixels from column `at` on, the rest is zeros. */
static void copy_row(const at_real *image, const at_placed *p, int64_t row, int64_t at,
                     at_real *to) {
    const int64_t c = p->channels;
    const stretch s = inside(p, row, at);
    const int64_t begin = s.from * c, n = (s.to - s.from) * c;
    for (int64_t i = 0; i < begin; i++) to[i] = 0;
    if (n > 0) {
        const at_real *from = image + (row * p->width + at + s.from) * c;
        if (n > 16)
            memcpy(to + begin, from, (size_t)n * sizeof *to);
        else /* a call takes longer */
            for (int64_t i = 0; i < n; i++) to[begin + i] = from[i];
    }
    for (int64_t i = begin + n; i < p->w.columns * c; i++) to[i] = 0;
}
static void add_row(const at_kernels *k, const at_real *from, const at_placed *p, int64_t row,
                    int64_t at, at_real *image) {
    const int64_t c = p->channels;
    const stretch s = inside(p, row, at);
    if (s.to > s.from)
        k->acc((s.to - s.from) * c, from + s.from * c, image + (row * p->width + at + s.from) * c);
}

static void fwd_part(void *arg, int64_t begin, int64_t end, int worker) {
    const at_node *n = arg;
    const at_placed p = at_window_place(n->in[0], &((const patches_attr *)n->attr)->w);
    const int64_t line = p.w.columns * p.channels, size = p.height * p.width * p.channels;
    at_real *to = n->out->data + begin * p.down * p.across * p.w.rows * line;
    (void)worker;
    for (int64_t b = begin; b < end; b++)
        for (int64_t y = 0; y < p.down; y++)
            for (int64_t x = 0; x < p.across; x++)
                for (int64_t i = 0; i < p.w.rows; i++, to += line)
                    copy_row(n->in[0]->data + b * size, &p, y * p.w.stride - p.w.pad + i,
                             x * p.w.stride - p.w.pad, to);
}
static void patches_fwd(at_node *n) { at_run_par(n->run, n->out->dim[0], 1, fwd_part, n); }

static void bwd_part(void *arg, int64_t begin, int64_t end, int worker) {
    const at_node *n = arg;
    const patches_attr *a = n->attr;
    const at_placed p = at_window_place(n->in[0], &a->w);
    const int64_t line = p.w.columns * p.channels, size = p.height * p.width * p.channels;
    const at_real *from = n->out->grad + begin * p.down * p.across * p.w.rows * line;
    (void)worker;
    for (int64_t b = begin; b < end; b++)
        for (int64_t y = 0; y < p.down; y++)
            for (int64_t x = 0; x < p.across; x++)
                for (int64_t i = 0; i < p.w.rows; i++, from += line)
                    add_row(&n->run->cp->k, from, &p, y * p.w.stride - p.w.pad + i,
                            x * p.w.stride - p.w.pad, a->dx + b * size);
}
static void patches_bwd(at_node *n) {
    patches_attr *a = n->attr;
    a->dx = at_grad(n, 0);
    if (a->dx) at_run_par(n->run, n->out->dim[0], 1, bwd_part, n);
}

const at_op at_op_patches = {"patches", patches_fwd, patches_bwd, NULL};

at_tensor *at_patches(at_run *r, at_tensor *x, const at_window *w) {
    patches_attr *a = x ? at_run_alloc(r, sizeof *a) : NULL;
    if (!a || !at_window_fits(r, "patches", x, w)) return NULL;
    *a = (patches_attr){.w = *w};
    const at_placed p = at_window_place(x, w);
    const int64_t dim[] = {x->dim[0], p.down, p.across, w->rows * w->columns * p.channels};
    at_tensor *y = at_new(r, 4, dim);
    return at_apply(r, &at_op_patches, &x, 1, y, a);
}
