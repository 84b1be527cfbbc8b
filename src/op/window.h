/* window.h - where a window can stand in an image; shared by patches and pool. */
#ifndef AT_WINDOW_H
#define AT_WINDOW_H
#include "op/op.h"

/** A window in images [B, height, width, channels]: down times across places. */
typedef struct at_placed {
    at_window w;
    int64_t height, width, channels, down, across;
} at_placed;

static inline at_placed at_window_place(const at_tensor *x, const at_window *w) {
    at_placed p = {*w, x->dim[1], x->dim[2], x->dim[3], 0, 0};
    p.down = (p.height + 2 * w->pad - w->rows) / w->stride + 1;
    p.across = (p.width + 2 * w->pad - w->columns) / w->stride + 1;
    return p;
}

/** False, and the run has failed: no images, or the window does not fit into them. */
static inline bool at_window_fits(at_run *r, const char *op, const at_tensor *x,
                                  const at_window *w) {
    char text[96];
    if (x->rank != 4)
        at_fail(r, AT_ARG, "%s: expected images [B,height,width,channels], found %s", op,
                at_shape_text(x, text));
    else if (w->rows < 1 || w->columns < 1 || w->stride < 1 || w->pad < 0)
        at_fail(r, AT_ARG, "%s: a window of %lld x %lld with stride %lld and %lld of padding", op,
                (long long)w->rows, (long long)w->columns, (long long)w->stride, (long long)w->pad);
    else if (w->pad >= w->rows || w->pad >= w->columns)
        at_fail(r, AT_ARG, "%s: %lld of padding leave a window of %lld x %lld beside the image", op,
                (long long)w->pad, (long long)w->rows, (long long)w->columns);
    else if (x->dim[1] + 2 * w->pad < w->rows || x->dim[2] + 2 * w->pad < w->columns)
        at_fail(r, AT_ARG, "%s: a window of %lld x %lld does not fit into %s", op,
                (long long)w->rows, (long long)w->columns, at_shape_text(x, text));
    return r->status == AT_OK;
}

#endif
