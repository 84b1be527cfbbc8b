/* rows_measure.h - what the experts of a trained run do on test rows, for its line: see lab_rows.h. */
#ifndef AT_ROWS_MEASURE_H
#define AT_ROWS_MEASURE_H
#include "infer/probe.h"

/** "probe", "dominant" and "right" into an open object; fresh heads are fitted to `train`.  AT_ARG: more than AT_ROWS_EXPERTS. */
at_status at_rows_probe(at_compute *cp, at_model *m, const at_table_rows *train,
                        const at_table_rows *test, at_json *j);

#endif
