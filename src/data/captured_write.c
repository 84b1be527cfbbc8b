/* captured_write.c - windows are appended, each with its checksum, so that a file that was left
   half made is gone on with after its last good window. */
#include "base/ints.h"
#include "data/captured.h"
#include <errno.h>
#include <math.h>
#include <string.h>
#include <unistd.h>

static at_status trouble(at_ctx *c, const char *path, const char *what) {
    return at_error(c, AT_IO, "%s: cannot %s: %s", path, what, strerror(errno));
}

/* ---- numbers ---- */

static void put_number(const at_captured_plan *p, unsigned char *at, int64_t i, float x,
                       bool odds) {
    if (p->bits == 32) {
        memcpy(at + 4 * i, &x, sizeof x);
        return;
    }
    const double lo = odds ? -32767 : 0, hi = odds ? 32767 : 65535, below = -16 - (double)x;
    const double fine = (double)x * (odds ? 2048 : -2048);
    const double y = !odds && below > 0 ? 32768 + 512 * below : fine;
    const double z = !(y > lo) ? lo : y > hi ? hi : y;
    const int32_t near = (int32_t)floor(z + 0.5);
    const uint16_t bits = (uint16_t)near;
    memcpy(at + 2 * i, &bits, sizeof bits);
}

static void encode(const at_captured_writer *w, const int32_t *id, const float *logp,
                   const float *left) {
    const at_captured_plan *p = &w->plan;
    const int64_t all = p->context * p->n, wide = p->vocab <= 65536 ? 2 : 4;
    unsigned char *logs = w->record + all * wide, *odds = logs + all * (p->bits / 8);
    memset(w->record, 0, (size_t)at_captured_window_bytes(p));
    for (int64_t i = 0; i < all; i++) {
        const uint16_t narrow = (uint16_t)id[i];
        if (wide == 2) memcpy(w->record + 2 * i, &narrow, sizeof narrow);
        if (wide == 4) memcpy(w->record + 4 * i, &id[i], sizeof id[i]);
        put_number(p, logs, i, logp[i], false);
    }
    for (int64_t i = 0; i < p->n_tau * p->context; i++)
        put_number(p, odds, i, p->n < p->vocab ? left[i] : 0, true);
    const uint64_t sum = at_captured_window_sum(p, w->check, w->done, w->record);
    memcpy(w->record + at_captured_window_bytes(p) - sizeof sum, &sum, sizeof sum);
}

/* ---- a file in the making ---- */

void at_captured_writer_close(at_captured_writer *w) {
    if (w->f) (void)fclose(w->f);
    at_free(w->path);
    at_free(w->part);
    at_free(w->record);
    *w = (at_captured_writer){0};
}

/* What an earlier capture left: *w->done good windows of this very plan.  A header that is not whole
   was never finished, either. */
static at_status go_on(at_ctx *c, at_captured_writer *w, const unsigned char *head) {
    const size_t window = (size_t)at_captured_window_bytes(&w->plan);
    unsigned char *there = at_malloc(c, AT_CAPTURED_HEAD);
    if (!there) return c->status;
    const size_t n = fread(there, 1, AT_CAPTURED_HEAD, w->f);
    const bool same = n == AT_CAPTURED_HEAD && !memcmp(there, head, AT_CAPTURED_HEAD);
    at_free(there);
    if (n == AT_CAPTURED_HEAD && !same)
        return at_error(c, AT_MISMATCH,
                        "%s: was begun for another teacher, text or setting; remove it, or "
                        "capture to another folder",
                        w->part);
    while (same && w->done < w->plan.windows && fread(w->record, 1, window, w->f) == window &&
           at_captured_window_ok(&w->plan, w->check, w->done, w->record))
        w->done++;
    const off_t end = same ? (off_t)AT_CAPTURED_HEAD + (off_t)w->done * (off_t)window : 0;
    if (ftruncate(fileno(w->f), end) != 0 || fseeko(w->f, end, SEEK_SET) != 0)
        return trouble(c, w->part, "go on writing");
    if (!same && fwrite(head, 1, AT_CAPTURED_HEAD, w->f) != AT_CAPTURED_HEAD)
        return trouble(c, w->part, "write");
    return AT_OK;
}

at_status at_captured_writer_open(at_ctx *c, const char *path, const at_captured_plan *p,
                                  at_captured_writer *w) {
    *w = (at_captured_writer){.plan = *p};
    at_status s = at_captured_check_plan(c, p);
    if (s != AT_OK) return s;
    const size_t n = strlen(path) + sizeof ".part";
    unsigned char *head = at_malloc(c, AT_CAPTURED_HEAD);
    w->path = at_strdup(c, path);
    w->part = at_malloc(c, n);
    w->record = at_malloc(c, (size_t)at_captured_window_bytes(p));
    if (!head || !w->path || !w->part || !w->record) s = c->status;
    if (s == AT_OK) {
        (void)snprintf(w->part, n, "%s.part", path);
        w->check = at_captured_head(p, head);
        w->f = fopen(w->part, at_exists(w->part) ? "r+b" : "w+b");
        s = w->f ? go_on(c, w, head) : trouble(c, w->part, "create");
    }
    at_free(head);
    if (s != AT_OK) at_captured_writer_close(w);
    return s;
}

at_status at_captured_writer_add(at_ctx *c, at_captured_writer *w, const int32_t *id,
                                 const float *logp, const float *left) {
    const size_t window = (size_t)at_captured_window_bytes(&w->plan);
    if (w->done >= w->plan.windows)
        return at_error(c, AT_ARG, "%s: all its %lld windows are written", w->part,
                        (long long)w->plan.windows);
    encode(w, id, logp, left);
    if (fwrite(w->record, 1, window, w->f) != window) return trouble(c, w->part, "write");
    w->done++;
    return AT_OK;
}

at_status at_captured_writer_flush(at_ctx *c, at_captured_writer *w) {
    if (fflush(w->f) != 0 || fsync(fileno(w->f)) != 0) return trouble(c, w->part, "write");
    return AT_OK;
}

at_status at_captured_writer_commit(at_ctx *c, at_captured_writer *w) {
    at_status s = AT_OK;
    if (w->done != w->plan.windows)
        s = at_error(c, AT_ARG, "%s: %lld of its %lld windows are missing", w->part,
                     (long long)(w->plan.windows - w->done), (long long)w->plan.windows);
    if (s == AT_OK) s = at_captured_writer_flush(c, w);
    if (w->f && fclose(w->f) != 0 && s == AT_OK) s = trouble(c, w->part, "write");
    w->f = NULL;
    if (s == AT_OK) s = at_partial_commit(c, w->part, w->path);
    at_captured_writer_close(w);
    return s;
}
