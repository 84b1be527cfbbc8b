/*
 * table_model.h - models of rows of tables: what config.json says of the table they learnt from, and
 * their answers.
 *
 * The object "table" of config.json has the features (data/features.h), and where the rows came from:
 * "file", its "sha256", "classes_seen", the options of reading and splitting.  Evaluated on the very file,
 * such a model is measured on the rows that were held back.
 */
#ifndef AT_TABLE_MODEL_H
#define AT_TABLE_MODEL_H
#include "arch/read.h"
#include "base/sha256.h"
#include "data/features.h"
#include "data/split.h"
#include "data/table_read.h"
#include "infer/scores.h"

#define AT_TABLE_KEY "table"

/** Where the rows of a table came from, and how they were shared out. */
typedef struct at_table_origin {
    char sha256[AT_SHA256_TEXT];
    int header; /* at_table_header */
    int64_t skip;
    bool own_test; /* the test rows are a file of their own */
    bool resized;  /* pictures had other sizes                */
    at_row_split_options split;
    char *frame;   /* of a file of R, owned, or NULL */
    char **levels; /* [n_levels] owned: columns named as levels */
    int64_t n_levels;
} at_table_origin;

/** Whether a model answers rows of tables. */
bool at_model_of_tables(const at_model *m);

/** The object "table" of a model's configuration, that is to say what at_table_sign wrote.  AT_FORMAT: it
    is not there, or damaged; AT_MISMATCH: it does not fit the model. */
at_status at_table_known(at_ctx *c, const at_model *m, at_features *f, at_table_origin *o);
void at_table_origin_close(at_table_origin *o);
/** How its tables are read; categories are borrowed.  Pictures get the model's channels, and its size if those
    that it learnt from did. */
at_table_options at_table_reading(const at_table_origin *o, const at_features *f);
/** Puts it there. */
at_status at_table_sign(at_ctx *c, at_model *m, const at_features *f, const at_table_origin *o);

/** The label of the rows: its column, made levels where the model tells classes apart.  AT_MISMATCH: it
    is missing, or no numbers. */
at_status at_table_label(at_ctx *c, const at_features *f, at_table *t, int64_t *column);
/** For each level of a label's column the class of the model, -1: none. */
at_status at_table_classes(at_ctx *c, const at_features *f, const at_column *k, int32_t **out);

/** Logits [n, V] of rows: x [n, inputs].  f is called with every row in order; watch may be NULL. */
typedef void (*at_row_fn)(void *user, int64_t row, const at_real *logits);
at_status at_table_answer(at_compute *cp, at_model *m, const at_real *x, int64_t n,
                          const at_watch *watch, at_row_fn f, void *user);

#endif
