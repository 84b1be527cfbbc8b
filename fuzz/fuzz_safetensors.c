/* fuzz_safetensors.c - any bytes as a tensor file; every byte of what is accepted is read. */
#include "io/safetensors.h"
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Ranges tile the data: together the tensors have exactly the bytes after the header. */
static void check(at_ctx *c, const at_st *st, const uint8_t *data, size_t size) {
    size_t sum = 0;
    for (int64_t i = 0; i < at_st_count(st); i++) {
        const at_st_tensor *t = at_st_at(st, i);
        const uint8_t *p = t->data;
        if (p < data || p + t->bytes > data + size) abort();
        if (at_st_find(st, t->name) != t) abort();
        sum += t->bytes;
        const size_t n = t->bytes / at_dtype_size(t->dtype);
        double *values = at_malloc(c, n * sizeof *values);
        if (!values) continue;
        (void)at_st_to_f64(c, t, values);
        (void)at_st_to_f32(c, t, (float *)(void *)values);
        (void)at_st_to_i64(c, t, (int64_t *)(void *)values);
        at_free(values);
    }
    if (sum > size) abort();
    for (int64_t i = 0; i < at_st_meta_count(st) && i < 100; i++) {
        const char *key, *value;
        at_st_meta_at(st, i, &key, &value);
        if (!key || !value || !at_st_meta(st, key)) abort();
    }
    (void)at_st_verify(c, st);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    at_ctx c;
    at_ctx_init(&c, 1);
    at_st *st;
    if (at_st_open_bytes(&c, "fuzz", data, size, &st)) {
        if (st || !*c.message) abort();
        return 0;
    }
    check(&c, st, data, size);
    at_st_close(st);
    return 0;
}
