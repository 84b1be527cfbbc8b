/* grid.h - a table of numbers from several JSON-lines files: a row for each key, a column for each
   file. */
#ifndef AT_GRID_H
#define AT_GRID_H
#include "base/ctx.h"

typedef struct at_grid_column {
    const char *title, *file, *field;
} at_grid_column;

typedef struct at_grid {
    int rows, columns;
    char **key;    /* [rows]                                         */
    double *value; /* [rows, columns]; NaN where a file has no line  */
    int64_t key_cap;
} at_grid;

/** Rows: the values of `key` in the first file, in its order.  AT_FORMAT when it has none. */
at_status at_grid_read(at_ctx *c, const char *key, const at_grid_column *column, int columns,
                       at_grid *out);
void at_grid_free(at_grid *g);
/** Numbers of a column as text: whole, or with as many decimals as give its largest value 4
    significant digits. */
void at_grid_cell(const at_grid *g, int row, int column, char *out, size_t size);
/** With thousands separated, or 4 significant digits; a dash for NaN. */
void at_grid_number(double v, char *out, size_t size);

#endif
