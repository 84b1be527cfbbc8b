/* lab_result.h - measures a finished run: its line of results.jsonl. */
#ifndef AT_LAB_RESULT_H
#define AT_LAB_RESULT_H
#include "lab/lab_session.h"

#define AT_LAB_WINDOWS \
    "test.json" /* in the run's folder: the loss of each window of the test split */

/** The line described in lab_trial.h; `hash` becomes its "recipe". */
at_status at_lab_result(at_lab_session *l, const at_trial *t, const char *hash, cJSON **out);

/** Mean losses of the windows of the test split, in order of domain and place (whole windows
    only); *n of them, at_free. */
at_status at_lab_windows(at_lab_session *l, const at_trial *t, double **loss, int64_t *n);

#endif
