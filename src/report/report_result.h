/* report_result.h - the part of a run's page that says how good its model is. */
#ifndef AT_REPORT_RESULT_H
#define AT_REPORT_RESULT_H
#include "base/text.h"

/** From result.json in the run's folder; nothing where there is none. */
at_status at_report_result(at_ctx *c, at_text *t, const char *run_dir);

#endif
