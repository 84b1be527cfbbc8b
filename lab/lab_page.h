/* lab_page.h - sections of the report of a lab, in the form of docs/report.md. */
#ifndef AT_LAB_PAGE_H
#define AT_LAB_PAGE_H
#include "lab/lab_session.h"

/** A new section; text may be NULL. */
cJSON *at_page_section(at_lab_session *l, const char *heading, const char *text);
/** A table in it; columns: "name|loss|speed".  Rows: at_page_row of the table. */
cJSON *at_page_table(cJSON *section, const char *title, const char *columns);
/** One cell a %s of printf: cells are separated by | in the finished text. */
void at_page_row(cJSON *table, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/** A chart in it (one a section). */
cJSON *at_page_chart(cJSON *section, const char *title, const char *x, const char *y);
/** A series of points; points: at_page_point. */
cJSON *at_page_points(cJSON *chart, const char *name);
void at_page_point(cJSON *points, double x, double y);
/** A series out of the metrics.jsonl of a run. */
void at_page_metrics(cJSON *chart, const at_trial *t, const char *name, const char *x,
                     const char *y);
/** The table of all claims, decided, as a section. */
void at_page_claims(at_lab_session *l);
/** "at least ", "at most ", or what else stands before the effect of a claim; "" of an estimate. */
const char *at_page_bound(const cJSON *claim);
/** A doubt about the results: logged at once, kept for the page and the lab's last object. */
void at_lab_warn(at_lab_session *l, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/** The doubts so far as a section; nothing where there are none. */
void at_page_warnings(at_lab_session *l);

#endif
