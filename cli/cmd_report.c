/* cmd_report.c - artel report SPEC.json -o PAGE.html, artel report RUN. */
#include "artel.h"
#include "opt.h"
#include "printable.h"
#include "ui.h"
#include "verbs.h"
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static void draw(void *user, const char *json) {
    (void)user;
    cJSON *o = cJSON_Parse(json);
    const char *path = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(o, "report"));
    printable_print(stdout, "%s\n", path ? path : "");
    cJSON_Delete(o);
}

int cmd_report(int argc, char **argv) {
    ui u = {0};
    const char *out = NULL;
    const opt table[] = {
        {"output", 'o', OPT_STRING, &out, NULL, "FILE", "the page; needed with SPEC", 0, 0},
        UI_OPTIONS(&u),
        {0}};
    const opt_verb verb = {"report",
                           "SPEC|RUN",
                           1,
                           1,
                           "Makes one self-contained HTML page with curves, tables, confusion "
                           "matrices and samples: from\na JSON description (docs/report.md), or "
                           "from a run's folder, where it becomes RUN/report.html.",
                           table};
    const int rc = opt_parse(&verb, &argc, argv);
    if (rc >= 0) return rc;
    struct stat st;
    const bool run = stat(argv[0], &st) == 0 && S_ISDIR(st.st_mode);
    if (run && out) return ui_usage("report", "-o is for a SPEC; a run's page is RUN/report.html");
    if (!run && !out) return ui_usage("report", "-o FILE is missing");
    if (!ui_open(&u, "report")) return 1;
    const artel_emit emit = u.json ? ui_json : draw;
    return ui_close(&u, run ? artel_report_run(u.a, argv[0], emit, NULL)
                            : artel_report(u.a, argv[0], out, emit, NULL));
}
