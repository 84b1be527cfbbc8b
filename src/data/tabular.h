/*
 * tabular.h - tables: rows of numbers and categories, from
 *
 *   CSV    RFC 4180; marks , ; tab or |, whichever the first line has most of; a header or none
 *   ARFF   @attribute numeric, real, integer, {a,b}, string; no sparse rows
 *   FANN   "rows inputs outputs", then inputs and outputs in turn (the data files of libfann)
 *   IDX    images and labels of MNIST's kind: PATH holds the images, its label file lies beside it.
 *          Bytes of three or four dimensions are images: one column, `image`
 *   PNG, JPEG   a picture, or a folder of them with one folder for each class: `image` and `label`
 *   R      a data frame of .rda, .RData or .rds, in XDR: numbers, logicals, texts, factors
 *
 * plain, .gz or .zst.  The kind is known by the first bytes.
 *
 * A column of CSV is numbers if every cell that is not missing is one; if most are, the others are
 * errors; else its different texts are levels.  Levels are in order, by value or bytes; those of ARFF
 * and of factors as declared.
 */
#ifndef AT_TABULAR_H
#define AT_TABULAR_H
#include "data/levels.h"

/** Sizes of images; their pixels lie row by row, the channels of a pixel side by side. */
typedef struct at_image_size {
    int64_t height, width, channels; /* height 0: no images */
} at_image_size;
static inline int64_t at_image_numel(at_image_size s) { return s.height * s.width * s.channels; }

typedef struct at_column {
    char *name;
    double *number; /* [rows], NaN: missing; or */
    uint8_t
        *byte; /* [rows] 0 to 255, none missing; of images [rows, height, width, channels]; or */
    at_image_size image; /* of a column of images, which has no values otherwise */
    int32_t *level;      /* [rows] into levels, -1: missing */
    at_levels levels;
} at_column;

typedef enum at_table_header { AT_HEADER_AUTO, AT_HEADER_YES, AT_HEADER_NO } at_table_header;

typedef struct at_table_options {
    at_table_header header; /* of CSV; auto: the first row is one if no cell of it is a number or
                               missing, and no two are the same                              */
    int64_t skip;           /* lines before the table, CSV                                   */
    char *const *levels;    /* n_levels names of columns that are levels, whatever they hold */
    int64_t n_levels;
    const char *frame;  /* of R: which data frame; NULL: there is only one       */
    bool frame_if_many; /* `frame` does not count where there is one, or no R     */
    at_image_size
        image; /* of pictures: resized to this height and width, 0: all have one size; with
                            so many channels, 0: 1 where all are grey, else 3 */
} at_table_options;

typedef struct at_table {
    char *path;
    int64_t rows, n, cap; /* n columns */
    at_column *column;
    int64_t *line;   /* [rows] in the file; NULL: rows are numbered from 0 */
    char **file;     /* [rows] files of pictures; NULL: all are in one     */
    int64_t outputs; /* of FANN and IDX: so many last columns are what is to be predicted */
} at_table;

void at_table_close(at_table *t);

/** The column of this name, or -1. */
int64_t at_table_find(const at_table *t, const char *name);
/** The same; AT_ARG with the nearest name that there is. */
at_status at_table_column(at_ctx *c, const at_table *t, const char *name, int64_t *out);
/** What row i says: a number, or that of a level; NaN: missing. */
double at_column_value(const at_column *k, int64_t row);
/** "FILE:LINE", "FILE: row N", or the file, of row i; returns text. */
enum { AT_WHERE = 512 };
const char *at_table_where(const at_table *t, int64_t row, char text[AT_WHERE]);
/** Levels that were added as they came, into order. */
at_status at_column_sort(at_ctx *c, at_column *k, int64_t rows);
/** Numbers into levels: their texts are those of the shortest decimals that give them back. */
at_status at_column_to_levels(at_ctx *c, at_table *t, int64_t column);

/** Another column without values; NULL: out of memory. */
at_column *at_table_add(at_ctx *c, at_table *t, const char *name, size_t bytes);

#endif
