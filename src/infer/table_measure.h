/*
 * table_measure.h - rows of a file as a model reads them, and how good its answers are.
 */
#ifndef AT_TABLE_MEASURE_H
#define AT_TABLE_MEASURE_H
#include "infer/table_model.h"

typedef struct at_table_rows {
    at_real *x;      /* [n, inputs]                              */
    int32_t *class;  /* [n], -1: a class that training lacks; or */
    at_real *target; /* [n] (number - mean) / spread; or neither */
    char **file;     /* [n] of pictures; NULL: they are in one, or it does not matter */
    int64_t n;
} at_table_rows;

/** Of a table those rows of `row`, n of them, or with NULL all that have a label. */
at_status at_table_rows_read(at_ctx *c, const at_features *f, at_table *t, const int64_t *row,
                             int64_t n, at_table_rows *out);
/** All rows of a file, whether they have labels or not. */
at_status at_table_unlabelled(at_ctx *c, const at_features *f, const at_table_origin *o,
                              const char *file, at_table_rows *out);
void at_table_rows_close(at_table_rows *r);

/** A row: its part (at_part; AT_PARTS_OF_TABLE: none), its label as text, "" where it has none, and what the
    model reads, x [inputs]. */
typedef void (*at_table_row_fn)(void *user, int part, const char *label, const at_real *x);
/** Every row of a file that has the label's column, in order.  Rows have parts if it is the file that the model
    learnt from: those of its run. */
at_status at_table_each(at_ctx *c, const at_features *f, const at_table_origin *o, const char *file,
                        at_table_row_fn fn, void *user);

/** A class for each row, for at_row_split_make: -1 where there is no label, 0 of numbers.  A warning says how
    many have none. */
at_status at_table_strata(at_ctx *c, const at_table *t, int64_t label, int32_t **out);

/** Scores of rows that have labels; at_scores_close. */
at_status at_table_score(at_compute *cp, at_model *m, const at_features *f,
                         const at_table_rows *rows, at_scores *out);
/** Into an open object: the scores with names, baseline, label. */
void at_table_put_scores(const at_features *f, const at_table_rows *rows, const at_scores *s,
                         at_json *j);

/**
 * Rows of a file for a model, with labels.  If it is the file that the model learnt from, those of one part
 * (at_part), the test rows for part -1; of another file all, and a part is AT_ARG.  AT_ARG: there are no such
 * rows.  Both are closed by the caller when all went well.
 */
at_status at_table_open_rows(at_ctx *c, const at_model *m, const char *file, int part,
                             at_features *f, at_table_rows *rows);
/** Whether it is the file that the model learnt from. */
at_status at_table_is_own(at_ctx *c, const at_model *m, const char *file, bool *own);
/** Scores of these rows into an open object. */
at_status at_table_measure(at_compute *cp, at_model *m, const char *file, int part, at_json *j);

#endif
