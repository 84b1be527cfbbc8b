/* history.c - double buffering: a pass reads `now` and writes `next`. */
#include "arch/history.h"
#include <string.h>

int64_t at_history_numel(const at_history *h) {
    return h->layers * h->kinds * h->B * h->length * h->width;
}

at_status at_history_open(at_ctx *c, int64_t layers, int64_t width, bool one, int64_t B,
                          int64_t length, at_history *h) {
    *h = (at_history){.layers = layers, .B = B, .length = length, .width = width};
    h->kinds = one ? 1 : 2;
    const int64_t dim[] = {layers, h->kinds, B, length, width, (int64_t)sizeof *h->now};
    int64_t room = INT64_MAX;
    for (int i = 0; i < 6; i++) room /= dim[i];
    if (!room)
        return at_error(c, AT_OOM, "a history of %lld tokens is too large", (long long)length);
    h->now = at_calloc(c, (size_t)at_history_numel(h), sizeof *h->now);
    h->next = at_calloc(c, (size_t)at_history_numel(h), sizeof *h->next);
    h->from = at_calloc(c, (size_t)B, sizeof *h->from);
    return h->now && h->next && h->from ? AT_OK : AT_OOM;
}

void at_history_close(at_history *h) {
    at_free(h->now);
    at_free(h->next);
    at_free(h->from);
    *h = (at_history){0};
}

void at_history_begin(at_history *h, const int32_t *kept) {
    h->ahead = 0;
    for (int64_t b = 0; b < h->B; b++)
        if (kept[b]) h->ahead = h->length;
    for (int64_t b = 0; b < h->B; b++) h->from[b] = (int32_t)h->ahead - kept[b];
}

void at_history_advance(at_history *h) {
    at_real *t = h->now;
    h->now = h->next;
    h->next = t;
}

/* The last `length` rows of y [B, rows, width]; where there are fewer, zeros before them. */
static void remember(const at_history *h, const at_real *y, int64_t rows, at_real *to) {
    const int64_t keep = rows < h->length ? rows : h->length, gap = h->length - keep;
    for (int64_t b = 0; b < h->B; b++, to += h->length * h->width) {
        memset(to, 0, (size_t)(gap * h->width) * sizeof *to);
        memcpy(to + gap * h->width, y + (b * rows + rows - keep) * h->width,
               (size_t)(keep * h->width) * sizeof *to);
    }
}

at_tensor *at_history_join(at_run *r, at_history *h, int64_t layer, int which, at_tensor *x) {
    if (!h || !x) return x;
    if (layer >= h->layers || which >= h->kinds || at_cols(x) != h->width ||
        at_rows(x) % h->B != 0) {
        char text[96];
        return at_fail(r, AT_SHAPE, "history: %s of layer %lld; kept are %lld layers of width %lld",
                       at_shape_text(x, text), (long long)layer, (long long)h->layers,
                       (long long)h->width);
    }
    const int64_t at = (layer * h->kinds + which) * h->B * h->length * h->width;
    at_tensor past = {
        .data = r->dry ? NULL : h->now + at, .dim = {h->B * h->length, h->width}, .rank = 2};
    if (h->ahead) {
        at_tensor *p = at_detach(r, &past);
        x = at_prepend(r, p, x, h->B);
        if (!x) return NULL;
    }
    if (!r->dry) remember(h, x->data, at_rows(x) / h->B, h->next + at);
    return x;
}
