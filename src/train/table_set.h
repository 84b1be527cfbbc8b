/* table_set.h - the data of a run on a table: its rows as a model reads them, in three parts. */
#ifndef AT_TABLE_SET_H
#define AT_TABLE_SET_H
#include "infer/table_measure.h"
#include "train/task.h"

typedef struct at_table_set {
    at_features features;
    at_table_origin origin;
    at_table_rows part[AT_PARTS_OF_TABLE];
} at_table_set;

/** Reads the recipe's table, and the one of its test rows; `classes`: what the label is.  Rows without a
    label are left out, and a warning says how many. */
at_status at_table_set_open(at_ctx *c, const at_recipe *r, bool classes, at_table_set **out);
/** The same of a table that was read already; `where` it came from is not known.  With several threads at
    work in one table its label has been made levels before, and nothing in it is changed. */
at_status at_table_set_of(at_ctx *c, const at_recipe *r, at_table *t, bool classes,
                          at_table_set **out);
/** What a task says of it; borrows it. */
at_data at_table_data(at_table_set *s);
void at_table_set_close(at_table_set *s);

#endif
