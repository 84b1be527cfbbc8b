/* fuzz_captured.c - any bytes as a file of captured logits: what is read lies inside of it, ids are of
   the vocabulary, and errors name the file.  So that changed bytes get past the checksums, each input
   is tried again with those of its header and windows put right. */
#include "data/captured.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { HASHED = 328, MOST = 1 << 16 };

static void read_all(at_ctx *c, const at_captured_file *f) {
    const at_captured_plan *p = &f->plan;
    const int64_t rows = p->context, all = rows * p->n;
    if (all > MOST) return;
    int32_t *id = calloc((size_t)all, sizeof *id);
    at_real *logq = calloc((size_t)all, sizeof *logq), *left = calloc((size_t)rows, sizeof *left);
    if (!id || !logq || !left) abort();
    for (int64_t w = -1; w <= p->windows && w < 4; w++)
        for (int k = 0; k <= p->n_tau; k++) {
            const at_status s = at_captured_read(c, f, w, k, id, logq, left);
            if (s != AT_OK && !strstr(c->message, f->path)) abort();
            for (int64_t i = 0; s == AT_OK && i < all; i++)
                if (id[i] < 0 || id[i] >= p->vocab) abort();
        }
    free(id);
    free(logq);
    free(left);
}

static bool try(const uint8_t *data, size_t size, at_captured_file *f) {
    char path[] = "/tmp/fuzz_captured.XXXXXX";
    const int fd = mkstemp(path);
    if (fd < 0 || write(fd, data, size) != (ssize_t)size || close(fd) != 0) abort();
    at_ctx c;
    at_ctx_init(&c, 1);
    const at_status s = at_captured_open(&c, path, f);
    if (s != AT_OK && !strstr(c.message, path)) abort();
    if (s == AT_OK) read_all(&c, f);
    (void)unlink(path);
    return s == AT_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    at_captured_file f;
    if (try(data, size, &f)) at_captured_close(&f);
    if (size < AT_CAPTURED_HEAD) return 0;
    uint8_t *copy = malloc(size);
    if (!copy) abort();
    memcpy(copy, data, size);
    const uint64_t check = XXH3_64bits(copy, HASHED);
    memcpy(copy + HASHED, &check, sizeof check);
    if (try(copy, size, &f)) {
        const int64_t bytes = at_captured_window_bytes(&f.plan);
        for (int64_t w = 0; w < f.plan.windows; w++) {
            uint8_t *at = copy + AT_CAPTURED_HEAD + w * bytes;
            const uint64_t sum = at_captured_window_sum(&f.plan, check, w, at);
            memcpy(at + bytes - 8, &sum, sizeof sum);
        }
        at_captured_close(&f);
        if (try(copy, size, &f)) at_captured_close(&f);
    }
    free(copy);
    return 0;
}
