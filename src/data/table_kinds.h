/* table_kinds.h - the readers of a kind each: from the text of a file to rows of an empty table whose
   path is set.  Whoever calls them closes the table, whatever comes of it. */
#ifndef AT_TABLE_KINDS_H
#define AT_TABLE_KINDS_H
#include "data/tabular.h"

at_status at_table_read_cells(at_ctx *c, const char *text, size_t bytes, const at_table_options *o,
                              at_table *t);
at_status at_table_read_arff(at_ctx *c, const char *text, size_t bytes, at_table *t);
at_status at_table_read_fann(at_ctx *c, const char *text, size_t bytes, at_table *t);
/** Pictures, with names of files; a folder with one folder for each class has labels. */
at_status at_table_read_folder(at_ctx *c, const char *path, const at_table_options *o, at_table *t);
at_status at_table_read_picture(at_ctx *c, const char *data, size_t bytes,
                                const at_table_options *o, at_table *t);
at_status at_table_read_idx(at_ctx *c, const char *text, size_t bytes, at_table *t);
at_status at_table_read_rdata(at_ctx *c, const char *text, size_t bytes, const at_table_options *o,
                              at_table *t);

#endif
