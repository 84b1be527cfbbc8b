/* picture_fit.c - sizes that are read; other sizes, other channels. */
#include "base/ints.h"
#include "data/picture.h"
#include <math.h>
#include <string.h>

enum { SIDE = 1 << 15, PIXELS = 1 << 26 };

at_status at_picture_check(at_ctx *c, const char *name, at_image_size size) {
    if (size.height >= 1 && size.width >= 1 && size.height <= SIDE && size.width <= SIDE &&
        size.height * size.width <= PIXELS)
        return AT_OK;
    return at_error(c, AT_UNSUPPORTED,
                    "%s: %lld x %lld pixels: at most %d in a side and %d in all are read", name,
                    (long long)size.height, (long long)size.width, (int)SIDE, (int)PIXELS);
}

/* ---- another size ---- */

/* What pixel i of n reads of m pixels: the first of them, how many, and their weights. */
static int64_t weigh(int64_t i, int64_t n, int64_t m, double *w, int64_t *first) {
    const double scale = (double)m / (double)n, support = scale > 1 ? scale : 1;
    const double centre = ((double)i + 0.5) * scale;
    double sum = 0;
    *first = (int64_t)floor(centre - support);
    if (*first < 0) *first = 0;
    int64_t count = 0;
    for (int64_t k = *first; k < m && (double)k < centre + support; k++) {
        const double far = fabs((double)k + 0.5 - centre) / support;
        sum += w[count++] = far < 1 ? 1 - far : 0;
    }
    for (int64_t k = 0; k < count; k++) w[k] /= sum;
    return count;
}

typedef struct {
    double *w;    /* [most] of one line                  */
    double *line; /* [width, channels], of the old width */
    double *across;
    int64_t *first, *count; /* [new width] weights of a column: across + j * most */
    int64_t most;
} room;

static void resize(const at_picture *p, at_image_size to, const room *r, uint8_t *out) {
    const int64_t c = p->size.channels, from = p->size.width * c;
    for (int64_t i = 0; i < to.height; i++) {
        int64_t top;
        const int64_t rows = weigh(i, to.height, p->size.height, r->w, &top);
        memset(r->line, 0, (size_t)from * sizeof *r->line);
        for (int64_t k = 0; k < rows; k++)
            for (int64_t x = 0; x < from; x++)
                r->line[x] += r->w[k] * (double)p->pixel[(top + k) * from + x];
        for (int64_t j = 0; j < to.width; j++)
            for (int64_t d = 0; d < c; d++) {
                double v = 0;
                for (int64_t k = 0; k < r->count[j]; k++)
                    v += r->across[j * r->most + k] * r->line[(r->first[j] + k) * c + d];
                out[(i * to.width + j) * c + d] = (uint8_t)(v + 0.5);
            }
    }
}

at_status at_picture_resize(at_ctx *c, at_picture *p, int64_t height, int64_t width) {
    const at_image_size to = {height, width, p->size.channels}, from = p->size;
    if (height == from.height && width == from.width) return AT_OK;
    const int64_t most = 2 * at_max(at_max(from.width / width, from.height / height), 1) + 4;
    room r = {.most = most,
              .w = at_calloc(c, (size_t)most, sizeof(double)),
              .line = at_calloc(c, (size_t)(from.width * from.channels), sizeof(double)),
              .across = at_calloc(c, (size_t)(width * most), sizeof(double)),
              .first = at_calloc(c, (size_t)width, sizeof(int64_t)),
              .count = at_calloc(c, (size_t)width, sizeof(int64_t))};
    uint8_t *out = at_malloc(c, (size_t)at_image_numel(to));
    const bool ok = r.w && r.line && r.across && r.first && r.count && out;
    for (int64_t j = 0; ok && j < width; j++)
        r.count[j] = weigh(j, width, from.width, r.across + j * most, &r.first[j]);
    if (ok) {
        resize(p, to, &r, out);
        at_free(p->pixel);
        *p = (at_picture){to, out};
    } else {
        at_free(out);
    }
    at_free(r.w);
    at_free(r.line);
    at_free(r.across);
    at_free(r.first);
    at_free(r.count);
    return ok ? AT_OK : AT_OOM;
}

/* ---- other channels ---- */

at_status at_picture_channels(at_ctx *c, at_picture *p, int64_t channels) {
    const int64_t n = p->size.height * p->size.width;
    if (channels == p->size.channels) return AT_OK;
    uint8_t *out = at_malloc(c, (size_t)(n * channels));
    if (!out) return AT_OOM;
    for (int64_t i = 0; i < n; i++) {
        const uint8_t *v = p->pixel + i * p->size.channels;
        if (channels == 3)
            memset(out + 3 * i, *v, 3);
        else
            out[i] = (uint8_t)((299 * v[0] + 587 * v[1] + 114 * v[2] + 500) / 1000);
    }
    at_free(p->pixel);
    p->pixel = out;
    p->size.channels = channels;
    return AT_OK;
}
