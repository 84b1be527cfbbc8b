/* api_report.c - reports. */
#include "api/api.h"
#include "report/report.h"

artel_status artel_report(artel *a, const char *spec, const char *out_html) {
    return (artel_status)at_report_spec(&a->ctx, spec, out_html);
}

artel_status artel_report_run(artel *a, const char *run_dir) {
    return (artel_status)at_report_run(&a->ctx, run_dir);
}
