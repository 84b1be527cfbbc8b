/*
 * split.h - rows of a table into training, validation and test, class by class.
 *
 * Of the rows of a class, in an order drawn from the seed, round(share of test) are for the test,
 * round(share of validation) of the others for validation, and at least one is for training.  A class
 * with a single row so has none to test with.
 */
#ifndef AT_SPLIT_H
#define AT_SPLIT_H
#include "base/ctx.h"

typedef enum at_part { AT_PART_TRAIN, AT_PART_VALIDATION, AT_PART_TEST, AT_PARTS_OF_TABLE } at_part;

typedef struct at_row_split {
    int64_t *row[AT_PARTS_OF_TABLE]; /* rows of each part, ascending; owned */
    int64_t n[AT_PARTS_OF_TABLE];
} at_row_split;

typedef struct at_row_split_options {
    uint64_t seed;
    double validation, test; /* shares, in [0, 1) together */
    int64_t most;            /* training rows kept, of each class as many in proportion; 0: all */
} at_row_split_options;

/** class_of: [rows] numbers from 0, or NULL for a single class; negative: the row is left out. */
at_status at_row_split_make(at_ctx *c, int64_t rows, const int32_t *class_of,
                            const at_row_split_options *o, at_row_split *out);
void at_row_split_close(at_row_split *s);

#endif
