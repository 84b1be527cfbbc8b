/*
 * cells.h - rows of cells in text: CSV (RFC 4180), and the data lines of ARFF.
 *
 *     at_cells r = {.name = path, .at = text, .end = text + bytes, .line = 1, .mark = ','};
 *     while (!(s = at_cells_next(c, &r, &cell)) && cell.text) ...    cell.last: the row ends with it
 *     at_cells_close(&r);
 *
 * A cell in quotes may hold marks, line breaks, and quotes written twice; blanks around a cell without
 * quotes are not part of it.  Empty lines are passed over.
 */
#ifndef AT_CELLS_H
#define AT_CELLS_H
#include "data/utf8.h"

typedef struct at_cells {
    const char *name;     /* of the file, for messages                   */
    const char *at, *end; /* what is left                                */
    int64_t line;         /* of `at`, from 1                             */
    char mark;            /* between cells                               */
    bool arff;            /* single quotes, too; \ before a character in them; % begins a comment */
    bool inside;          /* of a row: a mark was read last               */
    int64_t column;       /* of the last cell, from 1                     */
    at_bytes plain;       /* the cell in quotes, without them             */
} at_cells;

typedef struct at_cell {
    const char *text; /* until the next call; NULL: there are no more rows */
    size_t bytes;
    int64_t line; /* in which it begins */
    bool quoted, last;
} at_cell;

/** AT_FORMAT names line and column. */
at_status at_cells_next(at_ctx *c, at_cells *r, at_cell *out);
void at_cells_close(at_cells *r);

/** Whether it is a number in decimal digits: "-1.5e3"; not "0x10", "inf", "1,5", "". */
bool at_cell_number(const char *text, size_t bytes, double *out);
/** Whether nothing is known: "", "?", "NA", "N/A", "nan", "NULL", in any case. */
bool at_cell_missing(const char *text, size_t bytes);

#endif
