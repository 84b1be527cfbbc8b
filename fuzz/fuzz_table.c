/*
 * fuzz_table.c - any bytes as a table, and as the features of a model: errors name the file, rows are
 * whole, levels are among those there are, what is read can be written and read again.
 */
#include "data/features.h"
#include "data/table_read.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void whole(const at_table *t) {
    for (int64_t k = 0; k < t->n; k++) {
        const at_column *col = &t->column[k];
        if ((col->number != NULL) + (col->byte != NULL) + (col->level != NULL) != 1) abort();
        if (at_table_find(t, col->name) != k) abort();
        for (int64_t i = 0; i < t->rows; i++) {
            if (col->level && (col->level[i] < -1 || col->level[i] >= col->levels.n)) abort();
            if (col->number && isinf(col->number[i])) abort();
        }
    }
}

/* All rows but every fourth are for training; the last column is the label. */
static void learn(at_ctx *c, at_table *t) {
    at_features f, again;
    at_reading r;
    int64_t n = 0, *row = at_calloc(c, (size_t)t->rows, sizeof *row);
    if (!row) abort();
    for (int64_t i = 0; i < t->rows; i++)
        if (i % 4 != 3) row[n++] = i;
    const at_features_options o = {.scaling = (at_scaling)(t->rows % 3)};
    if (!at_features_fit(c, t, t->n - 1, row, n, &o, &f)) {
        at_json j;
        at_json_open(&j, c);
        at_features_write(&f, &j);
        cJSON *json = at_json_value(&j, "written");
        if (!json || at_features_read(c, "read", json, &again) || again.inputs != f.inputs) abort();
        at_real *x = at_calloc(c, (size_t)f.inputs, sizeof *x);
        if (!x || at_reading_open(c, &again, t, &r)) abort();
        for (int64_t i = 0; i < t->rows; i++) at_reading_row(&r, i, x);
        at_free(x);
        at_reading_close(&r);
        at_features_close(&again);
        at_features_close(&f);
        cJSON_Delete(json);
    }
    at_free(row);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    at_ctx c;
    at_table t;
    at_features f;
    at_ctx_init(&c, 1);
    for (int header = AT_HEADER_AUTO; header <= AT_HEADER_NO; header++) {
        const at_table_options o = {.header = (at_table_header)header,
                                    .skip = header / 2,
                                    .frame = "cars",
                                    .frame_if_many = true};
        if (at_table_parse(&c, "NAME", (const char *)data, size, &o, &t)) {
            if (!strstr(c.message, "NAME")) abort();
            continue;
        }
        whole(&t);
        learn(&c, &t);
        at_table_close(&t);
    }
    cJSON *json = at_json_parse(&c, "NAME", (const char *)data, size);
    if (json && !at_features_read(&c, "NAME", json, &f)) at_features_close(&f);
    cJSON_Delete(json);
    return 0;
}
