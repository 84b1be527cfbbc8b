/* table_read.h - reads a table of any kind; see tabular.h for what there is. */
#ifndef AT_TABLE_READ_H
#define AT_TABLE_READ_H
#include "base/sha256.h"
#include "data/tabular.h"

/** o may be NULL.  AT_FORMAT names line and column. */
at_status at_table_read(at_ctx *c, const char *path, const at_table_options *o, at_table *out);
/** The same from memory; labels of IDX are not looked for. */
at_status at_table_parse(at_ctx *c, const char *name, const char *text, size_t bytes,
                         const at_table_options *o, at_table *out);
/** SHA-256 of a file; of a folder, of the names and sums of its files, those hidden apart. */
at_status at_table_sum(at_ctx *c, const char *path, char text[AT_SHA256_TEXT]);

#endif
