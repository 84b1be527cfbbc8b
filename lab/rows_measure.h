/* rows_measure.h - what the experts of a trained run do on test rows, for its line: see lab_rows.h. */
#ifndef AT_ROWS_MEASURE_H
#define AT_ROWS_MEASURE_H
#include "infer/probe.h"

/** "probe", "dominant", "right" and "missing" into an open object.  AT_ARG: more than AT_ROWS_EXPERTS. */
at_status at_rows_probe(at_compute *cp, at_model *m, const at_table_rows *rows, at_json *j);

#endif
