/*
 * table.h - from a row of JSON to what people read: values by key, and tables drawn from one description.
 */
#ifndef CLI_TABLE_H
#define CLI_TABLE_H
#include <cjson/cJSON.h>

/** The number of a key, or `otherwise` where there is none; row_number: or 0. */
double row_number_or(const cJSON *o, const char *key, double otherwise);
double row_number(const cJSON *o, const char *key);
/** The text of a key, or "". */
const char *row_text(const cJSON *o, const char *key);

typedef enum cell {
    CELL_NUMBER,
    CELL_TEXT,
    CELL_BYTES,
    CELL_COUNT
} cell; /* the last two by ui.h */

/** A table is an array of these that ends with {0}; its cells are one blank apart. */
typedef struct column {
    const char *key;     /* "tokens"; "splits.train.tokens" is inside of objects           */
    const char *heading; /* NULL: the next one's stands over both                          */
    int width;           /* of a cell; below 0: flush left                                 */
    cell kind;
    int digits;       /* after the point; of a text its longest, 0: any                    */
    double scale;     /* of a number; 0: as it is                                          */
    const char *unit; /* behind a number, or NULL                                          */
} column;

void table_head(const column *c);
void table_row(const column *c, const cJSON *row);
/** The head, then a row for each item of the list. */
void table_draw(const column *c, const cJSON *list);

#endif
