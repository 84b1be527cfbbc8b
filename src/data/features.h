/*
 * features.h - from the columns of a table to the numbers that a model reads, and back to its classes.
 *
 * Everything is fitted on training rows alone and kept with the model, so that a row means the same
 * wherever it comes from:
 *
 *   numbers    less their mean, divided by their standard deviation; or their quantile among the training
 *              rows, scaled to variance 1; bytes divided by 255.  Missing: 0, the mean
 *   images     all pixels, divided by 255
 *   levels     an input for each level of the training rows, 1 where it is that one.  Missing, or a level
 *              that no training row has: all 0
 *   text       where a column of texts is named, it alone is read: each byte plus 1, then 0 up to the length
 *              of all rows.  Longer texts are cut; a missing one is empty
 *   missing    where a column misses values in training rows, one input more is 1 for a missing one; not
 *              of a single level, which is there or is not
 *
 * A column that is the same in all training rows, or whose levels are so many that it seems to number
 * the rows, is left out, and a warning says so.
 */
#ifndef AT_FEATURES_H
#define AT_FEATURES_H
#include "base/json.h"
#include "base/real.h"
#include "data/tabular.h"

typedef enum at_scaling { AT_SCALE_STANDARD, AT_SCALE_QUANTILE, AT_SCALE_NONE } at_scaling;

typedef struct at_feature {
    char *name;
    bool of_levels;
    double shift, scale; /* of numbers: (v - shift) scale          */
    double *knot;        /* [knots] quantiles, ascending; or NULL  */
    int64_t knots;
    at_levels levels;
    at_image_size image; /* of images: height, width and channels of `width` numbers */
    bool text;           /* its bytes, the first `width` */
    bool indicator;      /* the last of its inputs says that it is missing */
    int64_t at, width;   /* its inputs                                    */
} at_feature;

typedef struct at_features {
    at_feature *feature;
    int64_t n, cap, inputs;
    char *label;       /* the column that is predicted                 */
    at_levels classes; /* its levels in training rows; none: a number  */
    int64_t majority;  /* the class that most training rows are of, the first of equals */
    double mean,
        spread; /* of this number over training rows; the model predicts (v - mean) / spread */
} at_features;

typedef struct at_features_options {
    at_scaling scaling;
    char *const *ignore; /* n_ignore columns that are not read */
    int64_t n_ignore;
    const char *
        text; /* the only column that is read, levels, as a text of text_length bytes; NULL: there is none */
    int64_t text_length;
} at_features_options;

/** From the rows given; label: index of the column that is predicted, levels of which are classes.
    AT_FORMAT: nothing to learn from, or one class alone. */
at_status at_features_fit(at_ctx *c, const at_table *t, int64_t label, const int64_t *row,
                          int64_t n, const at_features_options *o, at_features *out);
void at_features_close(at_features *f);
/** The size of the images that a row is; without height: it is something else. */
at_image_size at_features_image(const at_features *f);
/** Whether a row is a text. */
bool at_features_text(const at_features *f);

/** Which column of a table each feature is, and where its levels are among the feature's. */
typedef struct at_reading {
    const at_features *of;
    const at_table *t;
    int64_t *column; /* [n] */
    int32_t **level; /* [n] [levels of the column] -> the feature's, or -1; NULL of numbers */
} at_reading;
/** AT_MISMATCH names a column that is missing, or not numbers; numbers are made levels where levels are
    needed. */
at_status at_reading_open(at_ctx *c, const at_features *f, at_table *t, at_reading *out);
void at_reading_close(at_reading *r);
/** The inputs of a row: x [inputs]. */
void at_reading_row(const at_reading *r, int64_t row, at_real *x);

/** Into an object that is open: "inputs", "label", ... */
void at_features_write(const at_features *f, at_json *j);
/** AT_FORMAT names the field; `name` stands for the file. */
at_status at_features_read(at_ctx *c, const char *name, const cJSON *o, at_features *out);

#endif
