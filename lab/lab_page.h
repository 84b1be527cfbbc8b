/*
 * lab_page.h - sections of the report of a lab, in the form of docs/report.md, written from top to
 * bottom: what is begun (a section, its table, its chart, a series) ends what was before it.
 */
#ifndef AT_LAB_PAGE_H
#define AT_LAB_PAGE_H
#include "lab/lab_session.h"

/** A new section; both may be NULL. */
void at_page_section(at_lab_session *l, const char *heading, const char *text);
/** A table in it; columns: "name|loss|speed".  Rows: at_page_row. */
void at_page_table(at_lab_session *l, const char *title, const char *columns);
/** One cell a %s of printf: cells are separated by | in the finished text. */
void at_page_row(at_lab_session *l, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/** A chart in it (one a section, after its table). */
void at_page_chart(at_lab_session *l, const char *title, const char *x, const char *y);
/** A series of points: at_page_point. */
void at_page_points(at_lab_session *l, const char *name);
void at_page_point(at_lab_session *l, double x, double y);
/** A series out of the metrics.jsonl of a run. */
void at_page_metrics(at_lab_session *l, const at_trial *t, const char *name, const char *x,
                     const char *y);
/** Just after at_page_metrics: that series is drawn thin, with its moving average. */
void at_page_smooth(at_lab_session *l);
/** A matrix of numbers as cells, the larger the darker (one a section): value [rows, columns]. */
void at_page_heat(at_lab_session *l, const char *title, int rows, const char *const *row,
                  int columns, const char *const *column, const double *value);
/** After the last series: the axis of x is logarithmic. */
void at_page_log_x(at_lab_session *l);
/** Figures of a section, large: at_page_figure. */
void at_page_figures(at_lab_session *l);
void at_page_figure(at_lab_session *l, const char *label, const char *value);
/** The table of all claims, decided, as a section. */
void at_page_claims(at_lab_session *l);
/** The rows of those that have this text as their "part", with what the paper says, as a table. */
void at_page_claims_of(at_lab_session *l, const char *part);
/** "at least ", "at most ", or what else stands before the effect of a claim; "" of an estimate. */
const char *at_page_bound(const cJSON *claim);
/** A warning about the results: logged, and added to the page and to the lab's last object. */
at_status at_lab_warn(at_lab_session *l, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
/** The warnings so far as a section; nothing when there are none. */
void at_page_warnings(at_lab_session *l);

#endif
