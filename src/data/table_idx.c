/* table_idx.c - IDX, the files of MNIST: a type, sizes, and values, big-endian. */
#include "data/table_kinds.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { BYTE = 8, SIGNED = 9, SHORT = 11, INT = 12, FLOAT = 13, DOUBLE = 14, COLUMNS = 1 << 20 };

static size_t width_of(int type) {
    switch (type) {
    case BYTE:
    case SIGNED: return 1;
    case SHORT: return 2;
    case INT:
    case FLOAT: return 4;
    case DOUBLE: return 8;
    default: return 0;
    }
}

static uint64_t big_endian(const unsigned char *p, size_t n) {
    uint64_t x = 0;
    for (size_t i = 0; i < n; i++) x = x << 8 | p[i];
    return x;
}

static double value(int type, const unsigned char *p) {
    float f;
    double d;
    const uint64_t bits = big_endian(p, width_of(type));
    const uint32_t low = (uint32_t)bits;
    switch (type) {
    case SIGNED: return (int8_t)low;
    case SHORT: return (int16_t)low;
    case INT: return (int32_t)low;
    case FLOAT: memcpy(&f, &low, sizeof f); return (double)f;
    default: memcpy(&d, &bits, sizeof d); return d;
    }
}

static double finite(double x) { return x - x == 0 ? x : (double)NAN; }

/* Bytes of h x w, or h x w x channels, are images. */
static at_status add_images(at_ctx *c, const unsigned char *p, int rank, int64_t numel,
                            at_table *t) {
    const size_t head = 4 + 4 * (size_t)rank, bytes = (size_t)(t->rows * numel);
    at_column *k = at_table_add(c, t, "image", 5);
    if (!k || !(k->byte = at_malloc(c, bytes + 1))) return AT_OOM;
    k->image = (at_image_size){(int64_t)big_endian(p + 8, 4), (int64_t)big_endian(p + 12, 4),
                               rank == 4 ? (int64_t)big_endian(p + 16, 4) : 1};
    memcpy(k->byte, p + head, bytes);
    return AT_OK;
}

/* Rows are the first dimension, a row's other values its columns, unless they are an image. */
at_status at_table_read_idx(at_ctx *c, const char *text, size_t bytes, at_table *t) {
    const unsigned char *p = (const unsigned char *)text;
    const int type = p[2], rank = p[3];
    const size_t width = width_of(type), head = 4 + 4 * (size_t)rank;
    int64_t columns = 1;
    if (!width) return at_error(c, AT_FORMAT, "%s: IDX of an unknown type %d", t->path, type);
    if (bytes < head) return at_error(c, AT_FORMAT, "%s: the header of IDX is cut off", t->path);
    for (int i = 1; i < rank && columns <= COLUMNS; i++)
        columns *= (int64_t)big_endian(p + 4 + 4 * i, 4);
    t->rows = (int64_t)big_endian(p + 4, 4);
    if (columns < 1 || columns > COLUMNS)
        return at_error(c, AT_FORMAT, "%s: expected 1 to %d values a row", t->path, (int)COLUMNS);
    const double expected = (double)head + (double)t->rows * (double)columns * (double)width;
    if ((double)bytes != expected)
        return at_error(c, AT_FORMAT, "%s: %lld rows of %lld values are %.0f bytes, found %lld",
                        t->path, (long long)t->rows, (long long)columns, expected,
                        (long long)bytes);
    if (type == BYTE && (rank == 3 || rank == 4)) return add_images(c, p, rank, columns, t);
    for (int64_t k = 0; k < columns; k++) {
        char name[24];
        const int n = snprintf(name, sizeof name, "p%lld", (long long)k);
        at_column *col = at_table_add(c, t, name, (size_t)n);
        if (!col) return AT_OOM;
        if (type == BYTE)
            col->byte = at_calloc(c, (size_t)t->rows, 1);
        else
            col->number = at_calloc(c, (size_t)t->rows, sizeof *col->number);
        if (!col->byte && !col->number) return AT_OOM;
        for (int64_t i = 0; i < t->rows; i++) {
            const unsigned char *at = p + head + (size_t)(i * columns + k) * width;
            if (type == BYTE)
                col->byte[i] = *at;
            else
                col->number[i] = finite(value(type, at));
        }
    }
    return AT_OK;
}
