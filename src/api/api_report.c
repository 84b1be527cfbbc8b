/* api_report.c - reports. */
#include "api/api.h"
#include "base/file.h"
#include "report/report.h"

static artel_status tell(artel *a, at_status s, const char *page, artel_emit emit, void *user) {
    if (s != AT_OK) return (artel_status)s;
    at_json j;
    at_json_open(&j, &a->ctx);
    at_json_put_string(&j, "report", page);
    return at_emit(a, emit, user, &j);
}

artel_status artel_report(artel *a, const char *spec, const char *out_html, artel_emit emit,
                          void *user) {
    return tell(a, at_report_spec(&a->ctx, spec, out_html), out_html, emit, user);
}

artel_status artel_report_run(artel *a, const char *run_dir, artel_emit emit, void *user) {
    char *page = at_join(&a->ctx, run_dir, "report.html");
    const at_status s = page ? at_report_run(&a->ctx, run_dir) : AT_OOM;
    const artel_status told = tell(a, s, page, emit, user);
    at_free(page);
    return told;
}
