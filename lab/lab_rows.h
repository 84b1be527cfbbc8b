/*
 * lab_rows.h - many small training runs on tables, in memory, side by side on the cores.
 *
 * A run is declared with the text of its recipe; `artel train` of the same recipe gives the same bits.  Each
 * is trained by one thread, as many of them at a time as the lab has threads, which changes no result.  A run
 * leaves a line in results.jsonl as soon as it is done, and no folder; after an interrupt those under way are
 * begun again, and no others.
 *
 *     {"name","seed","recipe" (hash of recipe and table),"program","processor","parameters","steps",
 *      "seconds" (of processor time),"val_accuracy","val_loss",
 *      "test_accuracy","test_loss","test_ece","test_rows",     not of a run that a setting is chosen by
 *      "probe":{..},    where asked for: infer/probe.h, with fresh heads and missing experts
 *      "dominant","right",           of each test row: the expert with the largest gate, and which experts
 *                                    alone are right, as a bit mask; a character each, '0' + number
 *      "diverged": why,              then what was best so far is measured
 *      "yaml" (the recipe)}
 */
#ifndef AT_LAB_ROWS_H
#define AT_LAB_ROWS_H
#include "lab/lab_session.h"
#include "train/table_set.h"

enum {
    AT_ROWS_TUNING = 1, /* chooses a setting: it is never measured on test rows */
    AT_ROWS_PROBE = 2   /* its experts are asked alone, too                     */
};
enum { AT_ROWS_EXPERTS = 6 }; /* most of a probed run: masks are characters */

/** A table that runs learn from; its label is made levels. */
typedef struct at_lab_table {
    char name[48];
    char *path, *label;
    char *ignore; /* "a,b", or NULL */
    at_table t;
    char hash[AT_SHA256_TEXT];
    int64_t classes;
} at_lab_table;

typedef struct at_row_trial {
    char name[160];
    int table;
    int64_t seed, rows; /* runs of a table that have these in common have the same rows */
    unsigned flags;
    char *recipe, hash[AT_SHA256_TEXT];
    double work;   /* in any unit: how long it takes beside others */
    cJSON *result; /* its line; NULL until done (borrowed)         */
} at_row_trial;

typedef struct at_row_runs at_row_runs;

at_status at_rows_open(at_lab_session *l, at_row_runs **out);
void at_rows_close(at_row_runs *r);

/** Reads a table.  label NULL: the last column.  AT_MISMATCH: the label is no class. */
at_status at_rows_read(at_row_runs *r, const char *name, const char *path, const char *label,
                       const char *ignore);
int at_rows_tables(const at_row_runs *r);
const at_lab_table *at_rows_table(const at_row_runs *r, int i);

/** Declares a run of this name; of a declared name nothing is changed.  The recipe has data.train,
    table.label, table.ignore and table.split_seed of its own: at_rows_head. */
at_status at_rows_declare(at_row_runs *r, const char *name, int table, int64_t seed, int64_t rows,
                          unsigned flags, double work, const char *recipe);
/** The beginning of a recipe: task, data, seed, and a section `table` in which the caller's lines may follow. */
void at_rows_head(const at_row_runs *r, int table, int64_t seed, int64_t rows, at_text *out);
/** Does what is declared and not done. */
at_status at_rows_train(at_row_runs *r);
int64_t at_rows_count(const at_row_runs *r);

/** The run, or NULL. */
const at_row_trial *at_rows_find(const at_row_runs *r, const char *name);
/** A number of its line; NaN: there is none. */
double at_rows_number(const at_row_runs *r, const char *name, const char *key);

#endif
