/* split.c - ranks within the classes decide. */
#include "data/split.h"
#include "base/rng.h"
#include <math.h>
#include <stdlib.h>

typedef struct {
    int64_t row;
    int32_t class;
    at_part part;
    uint64_t draw;
    double place; /* rank within its class, in (0, 1) */
} entry;

static int by_class(const void *a, const void *b) {
    const entry *x = a, *y = b;
    if (x->class != y->class) return x->class < y->class ? -1 : 1;
    if (x->draw != y->draw) return x->draw < y->draw ? -1 : 1;
    return x->row < y->row ? -1 : x->row > y->row;
}
static int by_place(const void *a, const void *b) {
    const entry *x = a, *y = b;
    if (x->part != y->part) return x->part < y->part ? -1 : 1;
    if (x->place < y->place || x->place > y->place) return x->place < y->place ? -1 : 1;
    return x->row < y->row ? -1 : x->row > y->row;
}
static int by_row(const void *a, const void *b) {
    const entry *x = a, *y = b;
    if (x->part != y->part) return x->part < y->part ? -1 : 1;
    return x->row < y->row ? -1 : x->row > y->row;
}

static int64_t share_of(double share, int64_t n, int64_t most) {
    const int64_t k = (int64_t)floor(share * (double)n + 0.5);
    return k < most ? k : most;
}

/* The rows of one class, in their drawn order. */
static void divide(entry *e, int64_t n, const at_row_split_options *o) {
    const int64_t test = share_of(o->test, n, n - 1);
    const int64_t validation = share_of(o->validation, n, n - 1 - test);
    for (int64_t i = 0; i < n; i++)
        e[i].part = i < test                ? AT_PART_TEST
                    : i < test + validation ? AT_PART_VALIDATION
                                            : AT_PART_TRAIN;
    for (int64_t i = test + validation; i < n; i++)
        e[i].place = ((double)(i - test - validation) + 0.5) / (double)(n - test - validation);
}

static at_status hand_out(at_ctx *c, const entry *e, int64_t n, at_row_split *out) {
    for (int64_t i = 0; i < n; i++) out->n[e[i].part]++;
    for (int p = 0; p < AT_PARTS_OF_TABLE; p++)
        if (!(out->row[p] = at_calloc(c, (size_t)out->n[p], sizeof *out->row[p]))) return AT_OOM;
    int64_t at[AT_PARTS_OF_TABLE] = {0};
    for (int64_t i = 0; i < n; i++) out->row[e[i].part][at[e[i].part]++] = e[i].row;
    return AT_OK;
}

at_status at_row_split_make(at_ctx *c, int64_t rows, const int32_t *class_of,
                            const at_row_split_options *o, at_row_split *out) {
    *out = (at_row_split){0};
    entry *e = at_calloc(c, (size_t)rows, sizeof *e);
    int64_t n = 0;
    if (!e) return AT_OOM;
    for (int64_t i = 0; i < rows; i++) {
        if (class_of && class_of[i] < 0) continue;
        e[n++] = (entry){.row = i,
                         .class = class_of ? class_of[i] : 0,
                         .draw = at_rand64(o->seed, AT_STREAM_SPLIT, (uint64_t)i)};
    }
    if (n > 1) qsort(e, (size_t)n, sizeof *e, by_class);
    for (int64_t i = 0, j = 0; i < n; i = j) {
        while (j < n && e[j].class == e[i].class) j++;
        divide(e + i, j - i, o);
    }
    if (n > 1) qsort(e, (size_t)n, sizeof *e, by_place);
    int64_t train = 0;
    while (train < n && e[train].part == AT_PART_TRAIN) train++;
    if (o->most > 0 && o->most < train) { /* those placed last are left out */
        for (int64_t i = train; i < n; i++) e[i - train + o->most] = e[i];
        n -= train - o->most;
    }
    if (n > 1) qsort(e, (size_t)n, sizeof *e, by_row);
    const at_status s = hand_out(c, e, n, out);
    at_free(e);
    if (s != AT_OK) at_row_split_close(out);
    return s;
}

void at_row_split_close(at_row_split *s) {
    for (int p = 0; p < AT_PARTS_OF_TABLE; p++) at_free(s->row[p]);
    *s = (at_row_split){0};
}
